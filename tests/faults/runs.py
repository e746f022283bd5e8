# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook layer: whole runs, killed before and after each change, or with a fault at one call of each operation; then the same command again."""

from __future__ import annotations

import collections
import dataclasses
import random
import subprocess
import tempfile
import threading
import time
import typing as t

from tests.integration.playbooks import Run, kill, started
from tests.integration.seeds import Seeder
from tests.integration.test_secrets import Watch
from tests.sandbox.fixture import RunningSandbox

from .alike import Expected
from .cases import KILLED, Report, let_go, matches, post, settled, stopped, verdict, without_faults
from .forks import sleep
from .secrets import CANARY, plant

FAULTS = ("error", "throttle", "timeout", "lost_reply")
# These come at intervals, as polls do: how many there are is chance, and they count once.
RENEWALS = "kubernetes.update_leases"
RUN_SECONDS = 900.0
# Kills drawn for each command that changes something when there is no time for all.
DRAWN = 2


# It changes nothing, and so is not killed.
DESCRIBES = "describe_cluster.yml"
# What takes a reboot.
UDEV = {"cluster_patch": {"machine": {"udev": {"rules": ['SUBSYSTEM=="drm", GROUP="44"']}}}}


@dataclasses.dataclass(frozen=True)
class Command:
    """A command as a user gives it."""

    name: str
    playbook: str
    words: dict[str, t.Any]
    # What is wrong before, by the Seeder's words, and on which node of fargle's.
    seeds: dict[str, str] = dataclasses.field(default_factory=dict)


COMMANDS = (
    Command("run:create-worker", "create_node.yml", {"cluster": "fargle", "role": "worker", "nodes": "fargle-worker-11"}),
    Command("run:create-controlplane", "create_node.yml", {"cluster": "fargle", "role": "controlplane", "nodes": "fargle-controlplane-4"}),
    Command("run:create-three", "create_node.yml", {"cluster": "fargle", "role": "worker", "nodes": [f"fargle-worker-{number}" for number in (11, 12, 13)]}),
    Command("run:delete-worker", "delete_node.yml", {"cluster": "fargle", "nodes": "fargle-worker-1"}),
    Command("run:delete-controlplane", "delete_node.yml", {"cluster": "fargle", "nodes": "fargle-controlplane-1"}),
    Command("run:replace-worker", "replace_node.yml", {"cluster": "fargle", "nodes": "fargle-worker-3"}),
    Command("run:replace-controlplane", "replace_node.yml", {"cluster": "fargle", "nodes": "fargle-controlplane-2", "max_surge": 1}),
    Command("run:change-worker", "apply_changes.yml", {"cluster": "fargle", "nodes": "fargle-worker-2", **UDEV}),
    Command("run:change-controlplane", "apply_changes.yml", {"cluster": "fargle", "nodes": "fargle-controlplane-2", **UDEV}),
    Command("run:describe", DESCRIBES, {"cluster": "fargle"}),
    # What takes nothing away, since that would wait for half a minute in each run. The nodes have other secrets in their machine configs than are planted.
    Command(
        "run:reconcile",
        "reconcile_cluster.yml",
        {"cluster": "fargle", "fix": ["missing_tag", "vm_in_no_load_balancer", "unfinished_launch"], "fail_on_findings": False},
        {"missing_tag": "fargle-worker-1", "vm_in_no_load_balancer": "fargle-worker-3", "unfinished_launch": "fargle-worker-11"},
    ),
)


@dataclasses.dataclass(frozen=True)
class Case:
    """One fault in one command, at the ordinal-th call of service.operation; kills count only those that change something."""

    command: Command
    call: str
    ordinal: int
    kind: str

    @property
    def name(self) -> str:
        """By which it is repeated."""
        return f"{self.command.name}/{self.call}/{self.ordinal}/{self.kind}"


def kills(command: Command, calls: t.Iterable[t.Mapping[str, t.Any]]) -> list[Case]:
    """Kills before and after each change."""
    changes = collections.Counter(f"{call['service']}.{call['operation']}" for call in calls if call["mutating"])
    ordinals = {call: 1 if call == RENEWALS else count for call, count in changes.items()}
    return [Case(command, call, ordinal, kind) for call, last in ordinals.items() for ordinal in range(1, last + 1) for kind in KILLED]


class Layer:
    """Runs the cases of one sandbox."""

    def __init__(self, cloud: RunningSandbox) -> None:
        self.cloud = cloud
        self.control = cloud.control
        self._env = {**cloud.env, "AWS_SECRET_ACCESS_KEY": CANARY}

    def reports(self, wanted: t.Callable[[str], bool], only: str) -> t.Iterator[Report]:
        """Run all cases that are wanted; a fault at an operation that an earlier command had is not repeated."""
        had: set[str] = set()
        for command in COMMANDS:
            if matches(command.name, only.split("/")[0]):
                calls = self._prepare(command)
                operations = dict.fromkeys(f"{call['service']}.{call['operation']}" for call in calls)
                faults = [Case(command, operation, 1, kind) for operation in operations if operation not in had for kind in FAULTS]
                had |= operations.keys()
                for case in [*kills(command, calls), *faults]:
                    if wanted(case.name):
                        yield self._run(case)

    def drawn(self, commands: t.Iterable[Command], seed: int) -> t.Iterator[Report]:
        """Some kills of each command, drawn by lot; the same ones with the same seed."""
        for command in (command for command in commands if command.playbook != DESCRIBES):
            lot = random.Random(f"{seed} {command.name}")  # noqa: S311 no secret
            cases = kills(command, self._prepare(command))
            for case in lot.sample(cases, min(DRAWN, len(cases))):
                yield self._run(case)

    def _prepare(self, command: Command) -> list[dict[str, t.Any]]:
        """The world that each case of a command begins in, what the undisturbed command makes of it, and by which calls."""
        self.control.reset()
        self.control.delays({"*": 0})
        for kind, node in command.seeds.items():
            getattr(Seeder(self.cloud, "fargle"), kind)(node)
        self._watch = Watch(plant(self.cloud))
        self._begin = self.control.world()["snapshot"]
        # Planting them was no call of the run's.
        self.control.forget_calls()
        run = self._play(command)
        calls = self.control.calls()
        if run.code:
            raise RuntimeError(f"{command.name} failed undisturbed:\n{run.output}")
        again = self._play(command)
        if again.code or again.changed:
            raise RuntimeError(f"{command.name} repeated is not done:\n{again.output}")
        self._expected: Expected = settled(self.control, sleep)
        return calls

    def _play(self, command: Command, during: t.Callable[[subprocess.Popen[str]], None] = lambda process: None) -> Run:
        """Run a command, and something beside it; look for secrets in all it says."""
        said: list[str] = []
        with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as record:
            with started(self._env, command.playbook, "-vvv", record=record.name, **command.words) as process:
                output = t.cast("t.IO[str]", process.stdout)
                reader = threading.Thread(target=lambda: said.append(output.read()))
                reader.start()
                during(process)
                reader.join(RUN_SECONDS)
            results = record.read()
        self._watch.look("output", said[0])
        self._watch.look("results", results)
        return Run(process.returncode, said[0], [])

    def _run(self, case: Case) -> Report:
        report = Report(case.name)
        self.control.clear_faults()
        self.control.restore(self._begin)
        with without_faults(self.control):
            first = self._disturbed(case, report)
        again = self._play(case.command)
        if again.code:
            report.why.append(f"run 2 failed: {_end(again)}")
        if not first.code and again.changed:
            report.why.append(f"run 1 said that all is done, and run 2 changed something: {_end(again)}")
        report.why += sorted(self._watch.found)
        self._watch.found.clear()
        report.judge(verdict(self.control, self._expected, sleep))
        return report

    def _disturbed(self, case: Case, report: Report) -> Run:
        post(self.control, case.kind, case.call, case.ordinal, mutating=case.kind in KILLED)
        if case.kind not in KILLED:
            run = self._play(case.command)
            if not sum(fault["hits"] for fault in self.control.faults()):
                report.why.append("the harness: the fault was never hit")
            return run

        def wait_and_kill(process: subprocess.Popen[str]) -> None:
            deadline = time.monotonic() + RUN_SECONDS
            while not (there := stopped(self.control, case.kind)) and process.poll() is None and time.monotonic() < deadline:
                sleep(0.05)
            if not there:
                report.why.append("the harness: the run ended before the call")
            kill(process)

        run = self._play(case.command, wait_and_kill)
        let_go(self.control, case.kind, sleep)
        return run


def _end(run: Run) -> str:
    """What a run says last, on one line."""
    failed = [line for line in run.output.splitlines() if line.startswith(("fatal:", "[ERROR]", "ERROR"))]
    return " ".join(" ".join(failed or run.output.splitlines()[-30:]).split())[:1500]
