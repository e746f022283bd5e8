# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Whether a run may still do what cannot be taken back. What has waited asks again: something it held may be somebody else's by now."""

from __future__ import annotations

import contextlib
import typing as t

_check: t.Callable[[], None] | None = None


def confirm() -> None:
    """Raise the ManagerError of whoever gave the permission, if it is not valid any more."""
    if _check:
        _check()


@contextlib.contextmanager
def confirmed_by(check: t.Callable[[], None]) -> t.Iterator[None]:
    """Let check decide, for the block. It is asked from anywhere, so it must not take long."""
    global _check  # noqa: PLW0603 one module runs in a process
    earlier, _check = _check, check
    try:
        yield
    finally:
        _check = earlier
