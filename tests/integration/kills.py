# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed right after a change took effect, before they hear of it."""

from __future__ import annotations

import threading
import time
import typing as t

from tests.sandbox.fixture import RunningSandbox

from .playbooks import Run, kill, started, succeed

TIMEOUT = 900.0
# A run takes, keeps and gives back its lease whether or not it has anything to do.
LEASE = ["create_leases", "update_leases", "delete_leases"]


def killed_after(
    cloud: RunningSandbox, playbook: str, number: int = 1, service: str = "*", operation: str = "*", spared: t.Sequence[str] = (), **words: t.Any
) -> str:
    """Run a playbook and kill it when its number-th mutating call (of a service and operation, if given, and none of those spared) has taken effect.

    Returns what that call was, as service.operation; "" when the run ended before, having made fewer.
    """
    return _killed(cloud, playbook, number, service, operation, list(spared), words)[0]


def killed_after_each(cloud: RunningSandbox, playbook: str, most: int, **words: t.Any) -> tuple[list[str], Run]:
    """Run a playbook again and again, each time until its first mutating call has taken effect, and at last to its end, in which it finds nothing to do.

    Calls about its lease do not count.

    Returns what the calls were, in order, and the last run, which has succeeded. Fails after more calls than most: runs that do the same again and again.
    """
    calls: list[str] = []
    while True:
        call, run = _killed(cloud, playbook, 1, "*", "*", LEASE, words)
        if not call:
            return calls, succeed(run)
        calls.append(call)
        assert len(calls) <= most, f"the runs get nowhere: {calls}"


def _killed(cloud: RunningSandbox, playbook: str, number: int, service: str, operation: str, spared: list[str], words: dict[str, t.Any]) -> tuple[str, Run]:
    """What killed_after returns, and the run as far as it came (without its tasks)."""
    cloud.control.fault("park", service, operation, mutating=True, ordinals=[number], spared=spared)
    said: list[str] = []
    try:
        with started(cloud.env, playbook, **words) as process:
            # What is printed must be read, or a run that says much waits for ever.
            output = process.stdout
            assert output is not None
            reader = threading.Thread(target=lambda: said.append(output.read()))
            reader.start()
            parked = _wait(cloud, lambda: process.poll() is not None)
            kill(process)
            reader.join()
    finally:
        cloud.control.clear_faults()
    # Nobody hears the answer any more, but the call must have ended before the next run begins.
    while cloud.control.parked():
        time.sleep(0.02)
    return f"{parked[0]['service']}.{parked[0]['operation']}" if parked else "", Run(process.returncode, said[0], [])


def _wait(cloud: RunningSandbox, ended: t.Callable[[], bool]) -> list[dict[str, t.Any]]:
    """The calls that are parked, as soon as there is one; none when the run ends before."""
    deadline = time.monotonic() + TIMEOUT
    while not (parked := cloud.control.parked()) and not ended():
        assert time.monotonic() < deadline, "the run neither made the call nor ended"
        time.sleep(0.05)
    return parked
