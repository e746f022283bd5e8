# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The clock of waits."""

from __future__ import annotations

import time
import typing as t

Clock = t.Callable[[float, float], t.Iterator[float]]


def ticks(timeout: float, interval: float) -> t.Iterator[float]:
    """Yield the seconds gone, at every interval and once exactly at the deadline."""
    start = time.monotonic()
    while True:
        elapsed = time.monotonic() - start
        yield elapsed
        left = timeout - (time.monotonic() - start)
        if left <= 0:
            return
        time.sleep(min(interval, left))
