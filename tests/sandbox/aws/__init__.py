# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS part of the sandbox: EC2, Elastic Load Balancing v2, Resource Groups Tagging, STS, IAM and KMS.

moto answers; the classes here make it refuse what the real services refuse and give it time (states that pass,
describes that lag, targets that drain). `AwsPart` is the whole of it.
"""

from __future__ import annotations

from .part import AwsPart

__all__ = ["AwsPart"]
