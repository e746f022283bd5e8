# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The eviction subresource of pods, decision by decision as pkg/registry/core/pod/storage/eviction.go takes them."""

from __future__ import annotations

import typing as t

from . import errors
from .cluster import Cluster, Object, timestamp
from .resources import BUDGETS, PODS
from .selectors import matches

SEVERAL_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


def condition(obj: Object, kind: str) -> str:
    """Status of a condition: True, False, Unknown, or empty when it is not there."""
    found = (obj.get("status") or {}).get("conditions") or []
    return next((item["status"] for item in found if item["type"] == kind), "")


def budgets_of(cluster: Cluster, pod: Object) -> list[Object]:
    """Budgets whose selector takes the pod; as policy/v1 says, an empty selector takes every pod and a missing one none."""
    labels = pod["metadata"].get("labels") or {}
    candidates = cluster.list(BUDGETS, pod["metadata"]["namespace"])
    return [budget for budget in candidates if budget["spec"].get("selector") is not None and matches(budget["spec"]["selector"], labels)]


def _unprotected(pod: Object) -> bool:
    """Pods that do not run have nothing left to disrupt."""
    return pod["status"].get("phase") in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]


def _take_from(cluster: Cluster, budget: Object, pod: str, *, dry_run: bool) -> None:
    """Use one of the budget's disruptions, or 429."""
    status, name = budget["status"], budget["metadata"]["name"]
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise errors.budget_exceeded(f"The disruption budget {name} is still being processed by the server.", 10)
    if status["disruptionsAllowed"] <= 0:
        needs, has = status["desiredHealthy"], status["currentHealthy"]
        raise errors.budget_exceeded(f"The disruption budget {name} needs {needs} healthy pods and has {has} currently", 0)
    if not dry_run:
        disrupted = {**(status.get("disruptedPods") or {}), pod: timestamp()}
        cluster.store(BUDGETS, {**budget, "status": {**status, "disruptionsAllowed": status["disruptionsAllowed"] - 1, "disruptedPods": disrupted}})


def _ask_budget(cluster: Cluster, pod: Object, *, dry_run: bool) -> None:
    found = budgets_of(cluster, pod)
    if len(found) > 1:
        raise errors.ApiError(500, "", SEVERAL_BUDGETS)
    if not found:
        return
    status, ready = found[0]["status"], condition(pod, "Ready") == "True"
    spare = status["currentHealthy"] >= status["desiredHealthy"] > 0
    always = found[0]["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    if not ready and (always or spare):
        # A pod that is not ready does not count as healthy, so nothing is taken.
        return
    _take_from(cluster, found[0], pod["metadata"]["name"], dry_run=dry_run)


def evict(cluster: Cluster, namespace: str, name: str, eviction: Object, *, dry_run: bool) -> None:
    """Evict a pod, or raise 400, 404, 409, 429 or 500."""
    if (eviction.get("metadata") or {}).get("name") != name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    options: dict[str, t.Any] = dict(eviction.get("deleteOptions") or {})
    asked = bool(options.get("dryRun"))
    if dry_run:
        options["dryRun"] = ["All"]
    pod = cluster.get(PODS, namespace, name)
    if not _unprotected(pod):
        _ask_budget(cluster, pod, dry_run=dry_run or asked)
    cluster.delete(PODS, namespace, name, options)
