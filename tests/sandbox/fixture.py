# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sandbox for tests, demo and benchmarks: started as its users start it, in a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
import typing as t
from pathlib import Path

from . import exports
from .control import Control

ROOT = Path(__file__).resolve().parents[2]
STOP_TIMEOUT = 20.0
LAST_LINE = "# The sandbox runs"


@dataclasses.dataclass(frozen=True)
class RunningSandbox:
    """A running sandbox: the whole environment for commands that use it, its control API, and its process."""

    env: dict[str, str]
    control: Control
    process: subprocess.Popen[str]


@contextlib.contextmanager
def sandbox(*arguments: str) -> t.Iterator[RunningSandbox]:
    """Run `python -m tests.sandbox` for the block; RuntimeError with its words if it does not start."""
    command = [sys.executable, "-m", "tests.sandbox", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            found = _wait_until_ready(process)
            yield RunningSandbox(exports.environment(found), Control(found["SANDBOX_CONTROL_URL"]), process)
        finally:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[str]) -> dict[str, str]:
    """The exports of a starting sandbox, once it says that it runs."""
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        if line.startswith(LAST_LINE):
            return exports.read(said)
        said.append(line)
    raise RuntimeError(f"the sandbox did not start (exit code {process.wait()}); its reason is on standard error")


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
