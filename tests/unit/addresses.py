# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loopback addresses for servers on fixed ports: tests of one file may run in several processes at a time."""

from __future__ import annotations

import os


def own_address(number: int) -> str:
    """An address of this process; number (1 to 254) tells the servers of a process apart."""
    return f"127.251.{os.getpid() % 250}.{number}"
