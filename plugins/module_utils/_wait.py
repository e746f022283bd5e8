# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Waits: a predicate on a monotonic clock; running out of time is an error that names the last state."""

from __future__ import annotations

import time
import typing as t

from ._errors import WaitTimeout

T = t.TypeVar("T")
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


def wait_until(
    what: str,
    read: t.Callable[[], T],
    done: t.Callable[[T], bool],
    timeout: float,
    interval: float,
    describe: t.Callable[[T], str] = str,
    clock: Clock = ticks,
) -> T:
    """Read until done(state) holds and return that state; else raise WaitTimeout naming the last one."""
    last: T | None = None
    for _elapsed in clock(timeout, interval):
        last = read()
        if done(last):
            return last
    seen = "nothing" if last is None else describe(last)
    raise WaitTimeout(f"Timed out after {timeout:g} s waiting for {what}; last seen: {seen}")
