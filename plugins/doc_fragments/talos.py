# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and requirements of the modules that talk to Talos' API."""

from __future__ import annotations


class ModuleDocFragment:
    """`talos`: add it where there is an option talosconfig; what that one must hold differs from module to module."""

    DOCUMENTATION = r"""
options:
  context:
    description: The context of O(talosconfig) to use instead of its current one.
    type: str
requirements:
  - python >= 3.10
  - grpclib >= 0.4.7
  - protobuf >= 4.25
  - cryptography >= 41
"""
