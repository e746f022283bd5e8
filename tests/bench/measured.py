# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One ansible-playbook on a sandbox, measured from outside: what it took, and what it asked of the services."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import json
import os
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

from tests.integration.playbooks import ANSIBLE_PLAYBOOK, ROOT
from tests.sandbox.fixture import RunningSandbox

PLAYBOOKS = Path(__file__).parent / "playbooks"
RECORDER = ROOT / "tests" / "integration" / "callback_plugins"
# Parameters that ask for a page after the first.
PAGES = ("NextToken", "Marker", "PaginationToken", "continue", "page")
# Looks at one node while it is not finished: they are counted apart.
PER_NODE = ("ec2.GetConsoleOutput", "talos.Get", "talos.Version")

# The tasks that take longest are named: this many.
LONGEST = 8
# Of a failed playbook this many characters are shown.
SAID = 4000

Span = tuple[float, float]
Call = dict[str, t.Any]


class Failed(Exception):
    """A playbook that is measured did not succeed; says the end of what it printed."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run took.

    wall: seconds from start to end; served: those of them in which at least one request was inside the sandbox.
    cpu: seconds of ansible-playbook and all its children; memory: MiB of the largest of these processes at its largest.
    simulator: CPU seconds of the sandbox meanwhile, which runs on the same machine.
    calls: by service and operation, without those that are counted apart: looks that a task repeats (polls), looks at single
    nodes (looks), and pages after the first (pages). tasks: the module of each executed task, "skipped" for each other one.
    spent: seconds by a task's name, from the end of the task before; what comes before the first task's end is the first's.
    """

    wall: float
    served: float
    cpu: float
    memory: float
    calls: dict[str, int]
    polls: int
    looks: int
    pages: int
    tasks: tuple[str, ...]
    spent: dict[str, float] = dataclasses.field(default_factory=dict)
    simulator: float = 0.0

    @property
    def own(self) -> float:
        """Seconds in which nobody else worked for it."""
        return self.wall - self.served

    @property
    def executed(self) -> int:
        """The number of tasks that were not skipped."""
        return len(self.tasks) - self.tasks.count("skipped")

    def public(self) -> dict[str, t.Any]:
        """As the line of JSON has it."""
        seconds = {name: round(getattr(self, name), 2) for name in ("wall", "own", "served", "cpu", "simulator")}
        counts = {"paid_calls": sum(self.calls.values()), "polls": self.polls, "looks": self.looks, "pages": self.pages, "tasks": self.executed}
        longest = dict(sorted(self.spent.items(), key=lambda task: -task[1])[:LONGEST])
        return {**seconds, "memory": round(self.memory), **counts, "calls": self.calls, "longest": longest}


def union(spans: t.Iterable[Span], within: Span) -> float:
    """Seconds covered by at least one of the spans."""
    covered, reached = 0.0, within[0]
    for start, end in sorted(spans):
        start, end = max(start, reached), min(end, within[1])
        if end > start:
            covered, reached = covered + end - start, end
    return covered


def measure(cloud: RunningSandbox, playbook: Path, words: t.Mapping[str, t.Any] | None = None) -> Run:
    """Run a playbook with these words as -e; Failed when it fails."""
    cloud.control.forget_calls()
    before = _cpu(cloud.process.pid)
    with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as record, tempfile.TemporaryFile("w+") as output:
        command = [str(ANSIBLE_PLAYBOOK), str(playbook), "-e", json.dumps(dict(words or {}))]
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(cloud, record.name), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        started = time.monotonic()
        _pid, status, usage = os.wait4(process.pid, 0)
        ended = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise Failed(f"{playbook.name}: {output.read()[-SAID:]}")
        tasks = [json.loads(line) for line in record]
    calls = cloud.control.calls()
    paid, polls, looks, pages = sort(calls, [task["ended"] for task in tasks])
    return Run(
        wall=ended - started,
        served=union(((call["started"], call["ended"] or ended) for call in calls), (started, ended)),
        cpu=usage.ru_utime + usage.ru_stime,
        memory=usage.ru_maxrss / 1024,
        calls=paid,
        polls=polls,
        looks=looks,
        pages=pages,
        spent=_spent(tasks, started),
        simulator=_cpu(cloud.process.pid) - before,
        tasks=tuple("skipped" if task["status"] == "skipped" else task["module"] for task in tasks),
    )


def _cpu(pid: int) -> float:
    """CPU seconds that a process has used so far."""
    # proc(5): the fields after the name in parentheses begin with the third; utime and stime are the 14th and 15th.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _spent(tasks: t.Iterable[dict[str, t.Any]], started: float) -> dict[str, float]:
    """Seconds by a task's name without its role's."""
    spent: dict[str, float] = collections.defaultdict(float)
    for task in tasks:
        spent[task["task"].rpartition(" : ")[2]] += task["ended"] - started
        started = task["ended"]
    return {name: round(seconds, 2) for name, seconds in spent.items()}


def sort(calls: t.Iterable[Call], ends: t.Sequence[float]) -> tuple[dict[str, int], int, int, int]:
    """(calls by operation, polls, looks at single nodes, pages after the first). ends: when each task ended."""
    paid: collections.Counter[str] = collections.Counter()
    polls = looks = pages = 0
    seen = set()
    for call in calls:
        name = f"{call['service']}.{call['operation']}"
        same = (bisect.bisect(ends, call["started"]), name, json.dumps(call["detail"], sort_keys=True))
        if name in PER_NODE:
            looks += 1
        elif not call["mutating"] and _page(call["detail"]):
            pages += 1
        elif not call["mutating"] and same in seen:
            polls += 1
        else:
            paid[name] += 1
        seen.add(same)
    return dict(sorted(paid.items())), polls, looks, pages


def _page(detail: t.Mapping[str, t.Any]) -> bool:
    """Whether a call asks for a page after the first."""
    return any(detail.get(name) not in (None, "", "1", 1) for name in PAGES)


def _environment(cloud: RunningSandbox, record: str) -> dict[str, str]:
    return {
        **cloud.env,
        "ANSIBLE_CALLBACK_PLUGINS": str(RECORDER),
        "ANSIBLE_CALLBACKS_ENABLED": "recorder",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_NOCOLOR": "1",
        "RECORDER_FILE": record,
    }
