# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for single modules on single services of the sandbox, which are those of the other tests."""

from __future__ import annotations

from tests.unit.sandbox_modules.conftest import aws_laboratory, lab

__all__ = ["aws_laboratory", "lab"]
