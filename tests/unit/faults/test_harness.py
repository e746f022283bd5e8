# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the harness itself takes for a failure: a fault that was never hit, a run that fails or changes something when repeated, a secret."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.faults import modules
from tests.faults.alike import Expected
from tests.faults.cases import KINDS, LASTING, Report
from tests.faults.forks import Result
from tests.faults.recording import Invocation
from tests.faults.runs import COMMANDS, kills
from tests.integration.test_secrets import Watch

from .test_judgement import a_world

INVOCATION = Invocation("create-workers", "ec2_node", json.dumps({"ANSIBLE_MODULE_ARGS": {"state": "present"}}), "world-1")
DONE = Result({"changed": False}, "")
FAILED = Result({"failed": True, "msg": "no such VM"}, "")
CHANGED = Result({"changed": True, "plan": [{"verb": "launch"}]}, "")


class Sandbox:
    """A control API whose world is always the same; each fault is hit so often, and a run to be killed waits or not."""

    def __init__(self, hits: int = 1, waits: bool = True) -> None:
        self.posted: dict[str, t.Any] = {}
        self._hits, self._waits = hits, waits

    def fault(self, kind: str, service: str, operation: str, **more: t.Any) -> None:
        self.posted = {"kind": kind, "service": service, "operation": operation, **more}

    def faults(self) -> list[dict[str, t.Any]]:
        return [{"hits": self._hits}]

    def waiting(self) -> list[dict[str, t.Any]]:
        there, self._waits = self._waits, False
        return [{"operation": "RunInstances"}] if there else []

    parked = waiting

    def look(self) -> dict[str, t.Any]:
        return a_world()

    def clear_faults(self) -> None: ...
    def forget_calls(self) -> None: ...
    def restore(self, snapshot: str) -> None: ...


def report(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, *results: Result, kind: str = "error") -> Report:
    """What the layer reports of one case whose runs end so: the disturbed one, and the two after it."""
    ends = iter(results)

    class Fork:
        def __init__(self, _invocation: Invocation) -> None: ...
        def kill(self) -> None: ...

        def ended(self, _seconds: float = 0.0) -> bool:
            return True

        def result(self) -> Result:
            return next(ends)

    monkeypatch.setattr(modules, "Fork", Fork)
    layer = modules.Layer.__new__(modules.Layer)
    layer.control = t.cast("t.Any", sandbox)
    layer._watch = Watch({"a password": "canary-Registry-9vXq2LmZ7"})
    usual = modules.Undisturbed(DONE, Expected(a_world()))
    return layer._run(modules.Case(INVOCATION, "ec2.RunInstances", "first", 1, kind), usual)


@pytest.mark.parametrize("kind", [*KINDS, LASTING])
def test_a_case_that_converges(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    sandbox = Sandbox()
    found = report(monkeypatch, sandbox, Result({"failed": True}, ""), CHANGED, DONE, kind=kind)
    assert (found.case, found.why) == (f"create-workers/ec2_node.present/ec2.RunInstances/first/{kind}", [])
    assert (sandbox.posted["service"], sandbox.posted["operation"], sandbox.posted["ordinals"][0]) == ("ec2", "RunInstances", 1)


def test_what_changed_nothing_is_not_run_a_third_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert report(monkeypatch, Sandbox(), DONE, DONE).why == []


@pytest.mark.parametrize("kind", [*KINDS, LASTING])
def test_a_fault_that_was_never_hit_is_a_failure(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    found = report(monkeypatch, Sandbox(hits=0, waits=False), DONE, DONE, kind=kind)
    assert any(line.startswith("the harness: ") for line in found.why)


TOLD = Result({"changed": False}, "login with canary-Registry-9vXq2LmZ7")
WRONG = {
    "run 1 ended without a result: boom": (Result(None, "boom"), DONE),
    "run 2 failed: no such VM": (DONE, FAILED),
    "run 3 failed: no such VM": (DONE, CHANGED, FAILED),
    'run 3 changed something: [{"verb": "launch"}]': (DONE, CHANGED, CHANGED),
    "a password in run 2: ": (DONE, TOLD),
}


@pytest.mark.parametrize("why", WRONG)
def test_what_is_wrong_is_said(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    found = report(monkeypatch, Sandbox(), *WRONG[why])
    assert found.why
    assert all(line.startswith(why) for line in found.why)


def test_a_run_is_killed_before_and_after_each_change_and_at_one_renewal() -> None:
    operations = [("ec2.RunInstances", False), ("ec2.RunInstances", True), ("ec2.RunInstances", True), *[("kubernetes.update_leases", True)] * 3]
    calls = [{"service": name.split(".")[0], "operation": name.split(".")[1], "mutating": mutating} for name, mutating in operations]
    places = ["ec2.RunInstances/1", "ec2.RunInstances/2", "kubernetes.update_leases/1"]
    expected = [f"run:create-worker/{place}/{kind}" for place in places for kind in ("killed_before", "killed_after")]
    assert [case.name for case in kills(COMMANDS[0], calls)] == expected
