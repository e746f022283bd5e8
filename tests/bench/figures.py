# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark says: a case, or a figure with its limit; and how to get a fair ratio of two times."""

from __future__ import annotations

import dataclasses
import gc
import statistics
import time
import typing as t

Task = t.Callable[[], t.Any]


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure of a benchmark, which may be at most limit. seen: the measurements behind it, by name, as people may want them."""

    name: str
    value: float
    limit: float
    unit: str = "x"
    seen: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def missed(self) -> bool:
        """Whether it is over its limit."""
        return self.value > self.limit


@dataclasses.dataclass(frozen=True)
class Case:
    """Something that was measured without a limit of its own. seen: the measurements by name."""

    name: str
    seen: dict[str, t.Any]


def medians(tasks: dict[str, Task], repetitions: int, before: Task = gc.collect) -> dict[str, float]:
    """The median CPU seconds of each task. They take turns, so that what else the machine does hits all alike; before runs before each."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repetitions):
        for name, task in tasks.items():
            before()
            started = time.process_time()
            task()
            seconds[name].append(time.process_time() - started)
    return {name: statistics.median(found) for name, found in seconds.items()}
