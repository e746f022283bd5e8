# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the playbooks as a user does, in a process of their own, and keep what happened."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
# The same program by another name: to Ansible another interpreter, in which modules are processes of their own.
ELSEWHERE = str(ANSIBLE_PLAYBOOK.parent / ".." / ANSIBLE_PLAYBOOK.parent.name / Path(sys.executable).name)
# Waits that mean minutes to real load balancers mean nothing to the sandbox's.
QUICK = {"delete_node_traffic_floor": 1, "apply_changes_traffic_floor": 1, "apply_changes_pause": 0}

Action = tuple[str, str, str, str]


@dataclasses.dataclass
class Run:
    """One finished ansible-playbook: its exit code, what it printed, and each task's result."""

    code: int
    output: str
    tasks: list[dict[str, t.Any]]

    @property
    def changed(self) -> int:
        """The number of changed tasks as the recap counts them."""
        return sum(int(number) for number in re.findall(r"changed=(\d+)", self.output))

    @property
    def actions(self) -> set[Action]:
        """(module, node, verb, target) of everything planned outside the preflight, but for the turns that runs take: a check takes none."""
        return {
            (task["module"], step["node"], step["verb"], step["target"])
            for task in self.tasks
            if task["plan"] and task["module"] != "k8s_lease" and not task["task"].rpartition(" : ")[2].startswith(("Check", "Find", "Render"))
            for step in task["plan"]
        }

    @property
    def message(self) -> str:
        """The failed tasks' messages."""
        return "\n".join(str(task["msg"]) for task in self.tasks if task["status"] == "failed")


def play(env: t.Mapping[str, str], playbook: str, *arguments: str, cwd: Path = ROOT, timeout: float = 600, **words: t.Any) -> Run:
    """Run playbooks/<playbook> with words as -e, in the environment env; never raises for a failed run."""
    with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as record:
        with started(env, playbook, *arguments, cwd=cwd, record=record.name, **words) as process:
            output = process.communicate(timeout=timeout)[0]
        tasks = [json.loads(line) for line in record]
    return Run(process.returncode, output, tasks)


@contextlib.contextmanager
def started(
    env: t.Mapping[str, str], playbook: str, *arguments: str, cwd: Path = ROOT, record: str = os.devnull, **words: t.Any
) -> t.Iterator[subprocess.Popen[str]]:
    """The running ansible-playbook, leader of a process group of its own; whatever of it still runs at the end of the block is killed."""
    process = subprocess.Popen(
        [str(ANSIBLE_PLAYBOOK), os.path.relpath(ROOT / "playbooks" / playbook, cwd), "-e", json.dumps({**QUICK, **words}), *arguments],
        cwd=cwd,
        env={
            **env,
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "recorder",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_NOCOLOR": "1",
            "RECORDER_FILE": record,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        with process:
            try:
                yield process
            finally:
                kill(process)
    finally:
        process.wait()


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL a started playbook and all its children, as a machine that goes down would."""
    with contextlib.suppress(ProcessLookupError):
        # Stopped first, so that it starts no more of them.
        os.kill(process.pid, signal.SIGSTOP)
        for pid in [*_children(process.pid), process.pid]:
            _kill_group(pid)


def _children(pid: int) -> list[int]:
    """The processes that a process has started. Ansible's workers, in which modules run, are in groups of their own."""
    return [int(child) for thread in Path(f"/proc/{pid}/task").glob("*/children") for child in thread.read_text().split()]


def _kill_group(leader: int) -> None:
    """SIGKILL a process, and its group if it leads one."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(leader, signal.SIGKILL)
        os.killpg(leader, signal.SIGKILL)


def kill_when(happened: t.Callable[[], t.Any], env: t.Mapping[str, str], playbook: str, timeout: float = 300, **words: t.Any) -> None:
    """Run a playbook and kill it as soon as something has happened; fails if it ends before."""
    with started(env, playbook, **words) as process:
        deadline = time.monotonic() + timeout
        while not happened():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.02)


def prices_said(run: Run) -> list[str]:
    """What the run said of prices: in a task of its own, or with the word that all is well."""
    return [
        task["msg"] for task in run.tasks if task["module"] in ("debug", "assert") and task["status"] == "ok" and re.search(r"\d [×x] |price", str(task["msg"]))
    ]


def succeed(run: Run) -> Run:
    """The run, which must have succeeded; else an error with all it printed."""
    assert run.code == 0, run.output
    return run


def stats(run: Run, cluster: str = "fargle") -> dict[str, t.Any]:
    """What the run left for the job that follows, as Ansible prints it."""
    found = re.search(r"^\s*RUN: (\{.*\})\s*$", run.output, re.MULTILINE)
    assert found, run.output
    return t.cast("dict[str, t.Any]", json.loads(found.group(1))["k8s_cluster_manager"][cluster])
