# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs on the sandbox: create and delete of one to hundreds of workers, beside the floor and the usual way."""

from __future__ import annotations

import collections
import dataclasses
import statistics
import typing as t

from tests.sandbox.fixture import sandbox

from .. import floor
from ..figures import Case, Figure
from ..measured import Run
from ..world import GROUPS, SHIPPED, Bench

VERBS = ("create", "delete")
Found = t.Iterator["Case | Figure"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is measured. many: sizes beyond 1 and how often each is run; usual: sizes of the usual way; full: what takes an idle machine and long."""

    repetitions: int
    many: dict[int, int]
    usual: tuple[int, ...]
    full: bool


FULL = Plan(5, {10: 3, 100: 5, 300: 2}, (10, 100), full=True)
QUICK = Plan(2, {10: 1}, (), full=False)


class Measured:
    """The runs so far, by case."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.runs: dict[str, list[Run]] = collections.defaultdict(list)

    def add(self, name: str, run: Run) -> None:
        """Keep a run of a case."""
        self.runs[name].append(run)

    def pair(self, count: int, case: str = "", **words: t.Any) -> None:
        """Create and delete this many workers."""
        self.bench.reset()
        self.add(f"create{case} N={count}", self.bench.create(count, **words))
        self.add(f"delete{case} N={count}", self.bench.delete(count, **words))

    def median(self, name: str, value: str) -> float:
        """The median of a value over the runs of a case."""
        return statistics.median(getattr(run, value) for run in self.runs[name])

    def ratio(self, name: str, other: str, value: str) -> float:
        """The median of a value over that of another case."""
        return self.median(name, value) / self.median(other, value)

    def case(self, name: str) -> Case:
        """A case with medians; calls are those of its last run."""
        runs = self.runs[name]
        public = runs[-1].public()
        middle = {key: round(statistics.median(run.public()[key] for run in runs), 2) for key in ("wall", "own", "served", "cpu", "simulator", "memory")}
        return Case(name, {**public, **middle, "runs": len(runs)})

    def cases(self, since: t.Collection[str] = ()) -> t.Iterator[Case]:
        """All cases but those."""
        return (self.case(name) for name in list(self.runs) if name not in since)


def measure(quick: bool) -> Found:
    """All of it; quick: what means something on a small and noisy machine in four minutes."""
    plan = QUICK if quick else FULL
    with sandbox() as cloud:
        found = Measured(Bench(cloud))
        for part in (_one, _many, _usual, _foreign):
            seen = set(found.runs)
            yield from part(found, plan)
            yield from found.cases(seen)


def _one(found: Measured, plan: Plan) -> Found:
    """One worker, against what Ansible costs by itself and the floor. They take turns: what else the machine does hits all alike."""
    for _ in range(plan.repetitions):
        found.add("empty play", found.bench.other("empty"))
        found.pair(1)
        for verb in VERBS:
            found.add(f"floor of {verb}", found.bench.other(f"floor_{verb}_node"))
        if plan.full:
            found.pair(1, " shipped", **SHIPPED)
    for verb in VERBS:
        wanted, standing = (collections.Counter(found.runs[name][0].tasks) for name in (f"{verb} N=1", f"floor of {verb}"))
        expected = collections.Counter(floor.expected(wanted.elements()))
        yield Figure(f"{verb}: tasks that its floor lacks or has too many (mend: python -m tests.bench.floor)", _differ(expected, standing), 0, "tasks")
        if plan.full:
            yield Figure(f"{verb} N=1: own time against its floor's", found.ratio(f"{verb} N=1", f"floor of {verb}", "own"), 0.7)
            yield Figure(f"{verb} shipped N=1: own time against its floor's", found.ratio(f"{verb} shipped N=1", f"floor of {verb}", "own"), 1.5)
        else:
            # Seconds mean little on a machine that does other things, too.
            yield Figure(f"{verb} N=1: CPU against its floor's", found.ratio(f"{verb} N=1", f"floor of {verb}", "cpu"), 0.7)


def _differ(one: t.Counter[str], other: t.Counter[str]) -> int:
    return ((one - other) + (other - one)).total()


def _many(found: Measured, plan: Plan) -> Found:
    """Growth with N."""
    for count, repetitions in plan.many.items():
        for _ in range(repetitions):
            found.add("empty play", found.bench.other("empty"))
            found.pair(count)
    yield Figure("create N=1: CPU against an empty play", found.ratio("create N=1", "empty play", "cpu"), 4)
    if plan.full:
        yield Figure("create N=100: CPU against an empty play", found.ratio("create N=100", "empty play", "cpu"), 6)
    for count in (1, *plan.many):
        calls = sum(found.runs[f"create N={count}"][-1].calls.values())
        yield Figure(f"create N={count}, {GROUPS} target groups: calls but polls, looks and pages", calls, 3 * count + 25, "calls")
    for verb in VERBS:
        yield from _growth(found, plan, verb)


def _growth(found: Measured, plan: Plan, verb: str) -> Found:
    """Own time of many against one, memory, and what each further node costs in CPU."""
    for count, limit in ((100, 2.5), (300, 4.5)):
        if count in plan.many:
            yield Figure(f"{verb} N={count}: own time against N=1", found.ratio(f"{verb} N={count}", f"{verb} N=1", "own"), limit)
    most = max(plan.many)
    yield Figure(f"{verb} N={most}: peak memory of the largest process", found.median(f"{verb} N={most}", "memory"), 300, "MiB")
    if verb == "create" and plan.full:
        more = found.median("create N=100", "cpu") - found.median("create N=1", "cpu")
        yield Figure("create N=100: CPU of each further node", more / 99 * 1000, 15, "ms")


def _usual(found: Measured, plan: Plan) -> Found:
    """The better of the usual ways, against ours: seconds from start to end."""
    for count in plan.usual:
        for playbook in ("usual", "usual_exact_count"):
            found.bench.reset()
            found.add(f"{playbook} N={count}", found.bench.other(playbook, count=count))
        best = min(found.median(f"{playbook} N={count}", "wall") for playbook in ("usual", "usual_exact_count"))
        # How much of the better one's time ours may take.
        least = {10: 4, 100: 15}[count]
        yield Figure(f"create N={count}: time against the usual way's", found.median(f"create N={count}", "wall") / best, 1 / least)


def _foreign(found: Measured, plan: Plan) -> Found:
    """Others' load balancers and instances cost pages only."""
    if not plan.full:
        return
    found.bench.foreign()
    found.pair(10, " among others")
    for verb in VERBS:
        alone, among = (found.runs[f"{verb}{case} N=10"][-1] for case in ("", " among others"))
        seen: dict[str, float] = {"pages": among.pages, "pages_alone": alone.pages}
        yield Figure(f"{verb} N=10: calls but polls, looks and pages that others' things cost", _differ(_counter(among), _counter(alone)), 0, "calls", seen)


def _counter(run: Run) -> t.Counter[str]:
    return collections.Counter(run.calls)
