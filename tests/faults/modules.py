# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module layer: each call of each module, and each fault in its way. The module runs, runs again, and once more until it has nothing to do."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import time
import typing as t

from tests.integration.test_secrets import Watch
from tests.sandbox.fixture import RunningSandbox

from . import alike
from .cases import KILLED, LASTING, Report, let_go, matches, post, settled, stopped, verdict, without_faults
from .forks import LONGEST, Fork, Result, sleep, warm
from .recording import SCENES, Invocation, Scene, record
from .secrets import CANARY, plant

OUTAGE_SECONDS = 1.0
LOOK_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Case:
    """One fault at one call of one invocation. call: service.operation; place: first, middle or last of that operation's calls."""

    invocation: Invocation
    call: str
    place: str
    ordinal: int
    kind: str

    @property
    def key(self) -> str:
        """What the matrix counts: the module and what it does, call, place and fault."""
        return f"{self.invocation.work}/{self.call}/{self.place}/{self.kind}"

    @property
    def name(self) -> str:
        """By which it is repeated."""
        return f"{self.invocation.scene}/{self.key}"


@dataclasses.dataclass(frozen=True)
class Undisturbed:
    """What an invocation says when it is repeated, nothing having been in its way, and what has become of the world."""

    again: Result
    world: alike.Expected


def places(calls: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, dict[str, int]]:
    """For each service.operation its first, middle and last call by ordinal. A poll, the same call again, counts once."""
    found: dict[str, list[str]] = collections.defaultdict(list)
    for call in calls:
        found[f"{call['service']}.{call['operation']}"].append(json.dumps(call["detail"], sort_keys=True))
    return {operation: _of(len(details), len(set(details))) for operation, details in found.items()}


def _of(count: int, distinct: int) -> dict[str, int]:
    ordinals = {"first": 1}
    # Where some are polls, how many come before the last is chance.
    if count == distinct:
        ordinals |= {"last": count} if count > 1 else {}
        ordinals |= {"middle": (count + 1) // 2} if count > 2 else {}
    return ordinals


class Layer:
    """Runs the cases of one sandbox."""

    def __init__(self, cloud: RunningSandbox, kinds: t.Sequence[str]) -> None:
        self.cloud = cloud
        self.control = cloud.control
        self._kinds = kinds
        os.environ.clear()
        os.environ.update({**cloud.env, "AWS_SECRET_ACCESS_KEY": CANARY})
        warm()

    def reports(self, wanted: t.Callable[[str], bool], only: str) -> t.Iterator[Report]:
        """Run all cases that are wanted; a case that an earlier scene had is not repeated."""
        had: set[str] = set()
        for scene in SCENES:
            if matches(scene.name, only.split("/")[0]):
                yield from self._scene(scene, had, wanted)

    def _scene(self, scene: Scene, had: set[str], wanted: t.Callable[[str], bool]) -> t.Iterator[Report]:
        self.control.reset()
        self.control.delays({"*": 0})
        self._watch = Watch(plant(self.cloud))
        invocations = record(self.cloud, scene)
        # What a module checks it also does, mostly: then that is tried.
        for invocation in sorted(invocations, key=lambda one: one.checks):
            cases = [case for case in self._cases(invocation) if case.key not in had]
            had |= {case.key for case in cases}
            mine = [case for case in cases if wanted(case.name)]
            undisturbed = self._undisturbed(invocation) if mine else None
            for case in mine:
                yield self._run(case, t.cast(Undisturbed, undisturbed))

    def _cases(self, invocation: Invocation) -> list[Case]:
        """Every fault at every call that an invocation makes; it is run for that."""
        self._begin(invocation)
        Fork(invocation).result()
        found = places(self.control.calls())
        return [Case(invocation, call, place, ordinal, kind) for call, ordinals in found.items() for place, ordinal in ordinals.items() for kind in self._kinds]

    def _begin(self, invocation: Invocation) -> None:
        self.control.clear_faults()
        self.control.restore(invocation.snapshot)
        self.control.forget_calls()

    def _undisturbed(self, invocation: Invocation) -> Undisturbed:
        self._begin(invocation)
        Fork(invocation).result()
        again = Fork(invocation).result()
        return Undisturbed(again, settled(self.control, sleep))

    def _run(self, case: Case, undisturbed: Undisturbed) -> Report:
        report = Report(case.name)
        self._begin(case.invocation)
        with without_faults(self.control):
            post(self.control, case.kind, case.call, case.ordinal)
            runs = [self._killed(case, report) if case.kind in KILLED else self._hindered(case, report)]
        if not report.why and case.invocation.module == "ec2_node":
            report.why += [f"twin at once: {name}" for name in alike.twins(self.control.look())]
        runs.append(Fork(case.invocation).result())
        # What has changed nothing would change nothing again.
        if runs[1].changed:
            runs.append(Fork(case.invocation).result())
        for number, run in enumerate(runs[1:], 2):
            if run.failed and not undisturbed.again.failed:
                report.why.append(f"run {number} failed: {run.message[:1000]}")
        if runs[-1].changed != undisturbed.again.changed:
            report.why.append(f"run {len(runs)} changed something: {json.dumps((runs[-1].returned or {}).get('plan'))[:1000]}")
        self._tell(report, runs)
        report.judge(verdict(self.control, undisturbed.world, sleep))
        return report

    def _killed(self, case: Case, report: Report) -> Result:
        fork = Fork(case.invocation)
        while not (there := stopped(self.control, case.kind)) and not fork.ended(0.002):
            pass
        if not there:
            report.why.append("the harness: the run ended before the call")
        fork.kill()
        result = fork.result()
        try:
            let_go(self.control, case.kind, sleep)
        except RuntimeError as error:
            report.why.append(f"the harness: {error}")
        return result

    def _hindered(self, case: Case, report: Report) -> Result:
        fork = Fork(case.invocation)
        deadline = time.monotonic() + LONGEST
        while not (hits := self._hits()) and not fork.ended(LOOK_SECONDS) and time.monotonic() < deadline:
            pass
        if case.kind == LASTING and not fork.ended(OUTAGE_SECONDS):
            self.control.clear_faults()
        fork.ended(LONGEST)
        if not (hits or self._hits()):
            report.why.append("the harness: the fault was never hit")
        result = fork.result()
        if result.returned is None:
            report.why.append(f"run 1 ended without a result: {result.message}")
        return result

    def _hits(self) -> int:
        return sum(fault["hits"] for fault in self.control.faults())

    def _tell(self, report: Report, runs: t.Sequence[Result]) -> None:
        """Look for secrets in what the runs printed."""
        for number, run in enumerate(runs, 1):
            self._watch.look(f"run {number}", run.printed)
        report.why += sorted(self._watch.found)
        self._watch.found.clear()
