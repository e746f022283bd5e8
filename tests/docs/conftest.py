# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox of the integration tests."""

from __future__ import annotations

from tests.integration.conftest import cloud, running

__all__ = ["cloud", "running"]
