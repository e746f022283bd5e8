# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Waits for instances: all of a call in one loop, one describe per look."""

from __future__ import annotations

import time
import typing as t

from .. import _progress
from .._wait import Clock
from . import ec2
from .classify import instance
from .clients import Client

Item = dict[str, t.Any]
LONGEST_INTERVAL = 5.0


def growing(timeout: float, interval: float) -> t.Iterator[float]:
    """A clock like _wait.ticks that starts fast: pauses double from a quarter second up to interval, the last look is at the deadline."""
    start = time.monotonic()
    pause = min(0.25, interval)
    while True:
        yield time.monotonic() - start
        left = timeout - (time.monotonic() - start)
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(pause * 2, interval)


def death(item: Item) -> str:
    """Why an instance that should run will not: its state and EC2's reason; "" when it may still come up."""
    state = item["State"]["Name"]
    if state in ("pending", "running"):
        return ""
    reason = item.get("StateReason", {})
    words = reason.get("Message") or item.get("StateTransitionReason") or reason.get("Code") or "EC2 gives no reason"
    keys = reason.get("Code", "") == "Client.InternalError" or "KMS" in words.upper()
    cure = "; the usual cause is a KMS key of the root volume that this account or the instance's grants may not use" if keys else ""
    return f"instance {item['InstanceId']} is {state}: {words}{cure}"


def wait_running(client: Client, ids: dict[str, str], timeout: float, clock: Clock) -> tuple[dict[str, Item], dict[str, str]]:
    """Wait until the instances (name → id) run and have an address; return what was last seen of each and failures, both by name.

    One that EC2 does not show yet is waited for; one that stops or dies fails at once.
    """
    seen: dict[str, Item] = {}
    failures: dict[str, str] = {}
    waiting = dict(ids)
    with _progress.wait("running", ids) as progress:
        for _elapsed in clock(timeout, LONGEST_INTERVAL) if waiting else ():
            shown = {item["InstanceId"]: item for item in ec2.describe_instances(client, "instance-id", sorted(waiting.values()))}
            for name in [name for name, instance_id in waiting.items() if instance_id in shown]:
                if _settled(name, shown[waiting[name]], progress, seen, failures):
                    del waiting[name]
            if not waiting:
                break
    for name, instance_id in waiting.items():
        last = seen[name]["state"] if name in seen else "not shown by EC2"
        failures[name] = f"instance {instance_id} is not running after {timeout:g} s, last seen: {last}"
    return seen, failures


def _settled(name: str, item: Item, progress: _progress.Wait, seen: dict[str, Item], failures: dict[str, str]) -> bool:
    """Note what EC2 shows of a node's instance; True when it runs, or never will."""
    seen[name] = instance(item)
    if death(item):
        failures[name] = death(item)
        progress.failed(name)
    elif item["State"]["Name"] == "running" and item.get("PrivateIpAddress"):
        progress.arrived(name)
    else:
        progress.at(name, item["State"]["Name"])
        return False
    return True


def wait_state(client: Client, ids: dict[str, str], final: t.Sequence[str], timeout: float, clock: Clock) -> dict[str, str]:
    """Wait until the instances (name → id) are in one of the final states, or not shown any more; return failures by name."""
    waiting = dict(ids)
    states: dict[str, str] = {}
    with _progress.wait(final[0], ids) as progress:
        for _elapsed in clock(timeout, LONGEST_INTERVAL) if waiting else ():
            states = {item["InstanceId"]: item["State"]["Name"] for item in ec2.describe_instances(client, "instance-id", sorted(waiting.values()))}
            for name, instance_id in list(waiting.items()):
                state = states.get(instance_id, "terminated")
                if state in final:
                    progress.arrived(name, state)
                    del waiting[name]
                else:
                    progress.at(name, state)
            if not waiting:
                break
    return {name: f"instance {instance_id} is still {states[instance_id]} after {timeout:g} s" for name, instance_id in waiting.items()}


def wait_terminated(client: Client, ids: dict[str, str], timeout: float, clock: Clock) -> dict[str, str]:
    """Wait until the instances (name → id) are terminated; return failures by name."""
    return wait_state(client, ids, ("terminated",), timeout, clock)


def impaired(client: Client, ids: dict[str, str]) -> dict[str, str]:
    """Failures by name of running instances (name → id) whose status checks fail."""
    if not ids:
        return {}
    broken = {}
    for status in ec2.describe_instance_status(client, sorted(ids.values())):
        checks = {check: status.get(f"{check.title()}Status", {}).get("Status", "") for check in ("system", "instance")}
        words = [f"{check} status {value}" for check, value in checks.items() if value == "impaired"]
        if words:
            broken[status["InstanceId"]] = " and ".join(words)
    return {
        name: f"instance {instance_id} runs but is broken: {broken[instance_id]}; delete the node and create it again"
        for name, instance_id in ids.items()
        if instance_id in broken
    }
