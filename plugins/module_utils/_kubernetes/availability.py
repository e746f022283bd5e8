# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Which pods should serve and do not, and the wait until these are no more than they were."""

from __future__ import annotations

import typing as t

from .. import _progress
from .._errors import WaitTimeout
from .._outcome import Outcome
from .._wait import Clock, ticks
from . import api as calls
from .client import Api, KubernetesError
from .pods import Pod, is_finished, is_terminating, name_of, owner

INTERVAL = 5.0
NAMES = 10


def unavailable(pods: t.Iterable[Pod]) -> dict[str, str]:
    """Pods that a controller keeps and that are not Ready, with the reason, by namespace/name. Those that are going, or have done their work, are none."""
    kept = [pod for pod in pods if owner(pod) and not is_finished(pod) and not is_terminating(pod)]
    return {name_of(pod): why for pod in kept if (why := _why(pod))}


def _why(pod: Pod) -> str:
    """Why a pod is not Ready, empty when it is."""
    status: Pod = pod.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    containers = [container.get("state", {}).get("waiting") for container in status.get("containerStatuses") or []]
    failed = [conditions.get(kind) for kind in ("PodScheduled", "Ready") if conditions.get(kind, {}).get("status") == "False"]
    reasons = [str(part["reason"]) for part in (*containers, *failed) if part and part.get("reason")]
    return (reasons or [str(status.get("phase") or "not started")])[0]


def work(at_most: int | None, wait_timeout: float, api: Api, check_mode: bool, clock: Clock = ticks) -> Outcome:
    """Tell which pods are unavailable; with at_most, wait until they are no more than that. Raises WaitTimeout, which names them."""
    if at_most is None or check_mode:
        return Outcome(values={"unavailable": unavailable(calls.list_pods(api))})
    found, trouble = dict[str, str](), ""
    with _progress.wait("available", []) as progress:
        for _elapsed in clock(wait_timeout, INTERVAL):
            try:
                found, trouble = unavailable(calls.list_pods(api, attempts=1)), ""
            except KubernetesError as error:
                if not error.transient:
                    raise
                trouble = str(error)
                continue
            if len(found) <= at_most:
                return Outcome(values={"unavailable": found})
            for name, why in found.items():
                progress.at(name, why)
    raise WaitTimeout(trouble or f"after {wait_timeout:g} s {len(found)} pods are not available, {at_most} were before: {_some(found)}")


def _some(found: t.Mapping[str, str]) -> str:
    more = f" and {len(found) - NAMES} more" if len(found) > NAMES else ""
    return ", ".join(f"{name} ({why})" for name, why in list(found.items())[:NAMES]) + more
