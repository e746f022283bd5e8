# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What the nodes of a module's run are doing: shown while it waits for them, and returned as the times at which each got where.

A module runs once in its process, so there is one state, begun anew by each run. Waits tell it what they see; whoever runs the module
in his own process may set show, and gets a line every INTERVAL seconds for as long as there is something to wait for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
import typing as t

# Seconds between two lines.
INTERVAL = 20.0
# Nodes named per phase; of more only the number is said.
NAMES = 5

show: t.Callable[[str], None] | None = None


@dataclasses.dataclass
class _Place:
    """Where a node is now. over: it is not waited for any more, having arrived or failed."""

    phase: str = ""
    detail: str = ""
    over: bool = False
    arrived: bool = False


class Wait:
    """One wait for nodes until each is what goal says. Safe to use from several threads."""

    def __init__(self, goal: str, names: t.Iterable[str]) -> None:
        self.goal = goal
        self._places = {name: _Place() for name in names}

    def at(self, name: str, phase: str, detail: str = "") -> None:
        """A node is in a phase, one short word; detail, which is shown and not kept, may say more."""
        self._note(name, _Place(phase, detail))

    def arrived(self, name: str, phase: str = "") -> None:
        """A node is what it was waited for to be; phase, where that is not the goal's own word."""
        self._note(name, _Place(phase or self.goal, over=True, arrived=True))

    def failed(self, name: str) -> None:
        """A node is not waited for any more."""
        self._note(name, _Place("failed", over=True))

    def _note(self, name: str, place: _Place) -> None:
        self._places[name] = place
        if place.phase != "failed":
            _run.reached(name, place.phase)

    def line(self) -> str:
        """The state of all nodes, the waited for by phase; "" when none is."""
        places = dict(self._places)
        phases: dict[str, list[str]] = {}
        for name, place in places.items():
            if not place.over:
                phases.setdefault(place.phase or "not seen yet", []).append(f"{name} ({place.detail})" if place.detail else name)
        if not phases:
            return ""
        groups = [f"{phase}: {_some(names)}" for phase, names in phases.items()]
        failed = [name for name, place in places.items() if place.over and not place.arrived]
        groups += [f"failed: {_some(failed)}"] if failed else []
        return f"{sum(place.arrived for place in places.values())} of {len(places)} {self.goal}; {'; '.join(groups)}"


def _some(names: t.Sequence[str]) -> str:
    more = f" (+{len(names) - NAMES})" if len(names) > NAMES else ""
    return ", ".join(names[:NAMES]) + more


class Run:
    """One run of a module: its latest wait, and for each node the seconds from the beginning at which it was first seen in each phase."""

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self.wait: Wait | None = None
        self.timing: dict[str, dict[str, float]] = {}

    def reached(self, name: str, phase: str) -> None:
        """A node is in a phase, perhaps for the first time."""
        self.timing.setdefault(name, {}).setdefault(phase, round(self._clock() - self._begun, 1))

    def say(self) -> None:
        """Show one line, if there is somebody to see it and something to wait for."""
        line = self.wait.line() if self.wait else ""
        if show and line:
            show(line)


_run = Run()


@contextlib.contextmanager
def running() -> t.Iterator[Run]:
    """A run of the module, for the block. Lines are shown from a thread: a wait may itself be kept waiting by a call without answer."""
    global _run  # noqa: PLW0603 one module runs in a process
    _run = run = Run()
    if not show:
        yield run
        return
    ended = threading.Event()

    def lines() -> None:
        while not ended.wait(INTERVAL):
            run.say()

    thread = threading.Thread(target=lines, daemon=True)
    thread.start()
    try:
        yield run
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def wait(goal: str, names: t.Iterable[str]) -> t.Iterator[Wait]:
    """A wait for nodes, for the block."""
    run, earlier = _run, _run.wait
    run.wait = now = Wait(goal, names)
    try:
        yield now
    finally:
        run.wait = earlier
