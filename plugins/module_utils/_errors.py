# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Errors every part of the collection raises; each is caught once, at the edge (_outcome.run)."""

from __future__ import annotations

import typing as t


class ManagerError(Exception):
    """Something the user must know: which option, value or node, and what to do.

    details are extra, machine-readable return values of the failed module.
    """

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.details = details


class InputError(ManagerError):
    """An option's value cannot be used; nothing has been changed."""


class WaitTimeout(ManagerError):
    """A wait ended without its condition; the message says the last state seen."""
