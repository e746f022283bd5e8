# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of every module: meta/runtime.yml routes them here. It has one module's name because Ansible's sanity tests want each action to have one."""

from __future__ import annotations

from ..plugin_utils._in_process import ActionModule

__all__ = ["ActionModule"]
