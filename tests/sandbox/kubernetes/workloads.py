# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controllers of workloads: DaemonSets, Deployments, ReplicaSets, StatefulSets, disruption budgets, garbage and namespaces."""

from __future__ import annotations

import copy
import hashlib
import json
import math

from . import scheduling
from .cluster import Cluster, Object
from .eviction import condition
from .resources import BUDGETS, CLAIMS, DAEMONSETS, DEPLOYMENTS, NAMESPACES, NODES, PODS, REPLICASETS, STATEFULSETS, TABLE, Resource
from .selectors import matches
from .turn import Turn, deleting, owned_by, set_condition


def _pods_of(cluster: Cluster, owner: Object) -> list[Object]:
    stored = cluster.objects[PODS.plural]
    # Sorted last: most pods are somebody else's.
    return [stored[key] for key in sorted(key for key, pod in stored.items() if owned_by(pod, owner))]


def _living(pods: list[Object]) -> list[Object]:
    return [pod for pod in pods if not deleting(pod) and pod["status"].get("phase") not in ("Succeeded", "Failed")]


def _counts(owner: Object, pods: list[Object]) -> Object:
    ready = sum(condition(pod, "Ready") == "True" for pod in pods)
    return {"replicas": len(pods), "readyReplicas": ready, "availableReplicas": ready, "observedGeneration": owner["metadata"]["generation"]}


# DaemonSets


def _pinned(spec: Object, node: str) -> Object:
    """The template's spec, tied to one node and tolerant of its troubles."""
    pinned = copy.deepcopy(_tolerant(spec))
    required = pinned.setdefault("affinity", {}).setdefault("nodeAffinity", {}).setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    required["nodeSelectorTerms"] = [{**term, "matchFields": [field]} for term in required.get("nodeSelectorTerms") or [{}]]
    return pinned


def _tolerant(spec: Object) -> Object:
    return {**spec, "tolerations": [*(spec.get("tolerations") or []), *scheduling.DAEMON_TOLERATIONS]}


def _target(pod: Object) -> str:
    """The node a DaemonSet's pod is for: what it is tied to, or where it is."""
    affinity = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    fields = [field for term in affinity.get("nodeSelectorTerms") or [] for field in term.get("matchFields") or []]
    return str(fields[0]["values"][0] if fields else pod["spec"].get("nodeName", ""))


def daemonsets(turn: Turn) -> None:
    """A pod on each node that the DaemonSet's pods accept."""
    for owner in turn.cluster.list(DAEMONSETS):
        if deleting(owner):
            continue
        template = owner["spec"]["template"]["spec"]
        pods = {_target(pod): pod for pod in _living(_pods_of(turn.cluster, owner))}
        tolerant = _tolerant(template)
        nodes = [node["metadata"]["name"] for node in turn.cluster.list(NODES) if not scheduling.refusal(tolerant, node)]
        for name in nodes:
            if name not in pods:
                turn.make_pod(owner, "", _pinned(template, name))
        for name, pod in pods.items():
            if turn.cluster.find(NODES, "", name) is None:
                turn.remove(PODS, pod, grace=0)
        ready = sum(condition(pod, "Ready") == "True" for pod in pods.values())
        numbers = {"desiredNumberScheduled": len(nodes), "currentNumberScheduled": len(pods), "numberReady": ready, "numberAvailable": ready}
        status = {**numbers, "numberMisscheduled": 0, "observedGeneration": owner["metadata"]["generation"]}
        turn.cluster.store(DAEMONSETS, {**owner, "status": status})


# ReplicaSets and their owners


def _expendable(pod: Object) -> tuple[bool, bool, str]:
    """Which pods a scale-down takes first: unscheduled, then unready, then by name."""
    return bool(pod["spec"].get("nodeName")), condition(pod, "Ready") == "True", pod["metadata"]["name"]


def replicasets(turn: Turn) -> None:
    """As many living pods as wanted; a terminating pod does not count, so its replacement comes at once."""
    for owner in turn.cluster.list(REPLICASETS):
        if deleting(owner):
            continue
        pods = _living(_pods_of(turn.cluster, owner))
        wanted = owner["spec"].get("replicas", 1)
        for _missing in range(wanted - len(pods)):
            turn.make_pod(owner, "", copy.deepcopy(owner["spec"]["template"]["spec"]))
        for pod in sorted(pods, key=_expendable)[: max(0, len(pods) - wanted)]:
            turn.remove(PODS, pod)
        turn.cluster.store(REPLICASETS, {**owner, "status": _counts(owner, _living(_pods_of(turn.cluster, owner)))})


def _replica_set(deployment: Object, digest: str) -> Object:
    metadata = deployment["metadata"]
    template = copy.deepcopy(deployment["spec"]["template"])
    labels = {**((template.get("metadata") or {}).get("labels") or {}), "pod-template-hash": digest}
    template["metadata"] = {**(template.get("metadata") or {}), "labels": labels}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"], "controller": True, "blockOwnerDeletion": True}
    return {
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": {"name": f"{metadata['name']}-{digest}", "labels": labels, "ownerReferences": [owner]},
        "spec": {"replicas": deployment["spec"]["replicas"], "selector": {"matchLabels": labels}, "template": template},
    }


def deployments(turn: Turn) -> None:
    """One ReplicaSet per template; the newest has all the replicas."""
    for owner in turn.cluster.list(DEPLOYMENTS):
        if deleting(owner):
            continue
        namespace = owner["metadata"]["namespace"]
        digest = hashlib.sha256(json.dumps(owner["spec"]["template"], sort_keys=True).encode()).hexdigest()[:10]
        current = turn.cluster.find(REPLICASETS, namespace, f"{owner['metadata']['name']}-{digest}")
        if current is None:
            turn.make(REPLICASETS, namespace, _replica_set(owner, digest))
            continue
        for item in turn.cluster.list(REPLICASETS, namespace):
            if owned_by(item, owner):
                replicas = owner["spec"]["replicas"] if item is current else 0
                turn.cluster.store(REPLICASETS, {**item, "spec": {**item["spec"], "replicas": replicas}})
        status = turn.cluster.get(REPLICASETS, namespace, current["metadata"]["name"]).get("status") or {}
        turn.cluster.store(DEPLOYMENTS, {**owner, "status": {**status, "observedGeneration": owner["metadata"]["generation"]}})


def _claims(turn: Turn, owner: Object, spec: Object, name: str) -> Object:
    """The pod's spec with its own claims, which are made when missing."""
    filled = copy.deepcopy(spec)
    for template in owner["spec"].get("volumeClaimTemplates") or []:
        claim = f"{template['metadata']['name']}-{name}"
        filled.setdefault("volumes", []).append({"name": template["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim}})
        if turn.cluster.find(CLAIMS, owner["metadata"]["namespace"], claim) is None:
            made = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": {"name": claim}, "spec": copy.deepcopy(template["spec"])}
            turn.make(CLAIMS, owner["metadata"]["namespace"], made)
    return filled


def statefulsets(turn: Turn) -> None:
    """Pods with fixed names, one after the other; a name is free again only when its pod is gone."""
    for owner in turn.cluster.list(STATEFULSETS):
        if deleting(owner):
            continue
        pods = {pod["metadata"]["name"]: pod for pod in _pods_of(turn.cluster, owner)}
        for index in range(owner["spec"].get("replicas", 1)):
            name = f"{owner['metadata']['name']}-{index}"
            if name not in pods:
                turn.make_pod(owner, name, _claims(turn, owner, owner["spec"]["template"]["spec"], name))
            if condition(pods.get(name) or {}, "Ready") != "True":
                break
        turn.cluster.store(STATEFULSETS, {**owner, "status": _counts(owner, list(pods.values()))})


# Disruption budgets


def _share(value: int | str, total: int) -> int:
    """A number, or a percentage of total rounded up."""
    return value if isinstance(value, int) else math.ceil(int(value.rstrip("%")) * total / 100)


def _wanted_by_owners(cluster: Cluster, pods: list[Object]) -> int:
    """How many pods the owners of these pods want (a pod without owner counts as itself)."""
    scales: dict[str, int] = {}
    for pod in pods:
        references = [item for item in pod["metadata"].get("ownerReferences") or [] if item.get("controller")]
        found = next((owner for kind in (REPLICASETS, STATEFULSETS) for owner in cluster.list(kind) if owned_by(pod, owner)), None)
        key = references[0]["uid"] if references else pod["metadata"]["uid"]
        scales[key] = found["spec"].get("replicas", 1) if found else 1
    return sum(scales.values())


def _budget_status(cluster: Cluster, budget: Object, pods: list[Object]) -> Object:
    spec, old = budget["spec"], budget.get("status") or {}
    names = {pod["metadata"]["name"] for pod in pods if not deleting(pod)}
    disrupted = {name: when for name, when in (old.get("disruptedPods") or {}).items() if name in names}
    healthy = [pod for pod in pods if condition(pod, "Ready") == "True" and not deleting(pod) and pod["metadata"]["name"] not in disrupted]
    expected = len(pods)
    if isinstance(spec.get("minAvailable"), int):
        desired = spec["minAvailable"]
    else:
        expected = _wanted_by_owners(cluster, pods)
        limit = spec.get("maxUnavailable")
        desired = max(0, expected - _share(limit, expected)) if limit is not None else _share(spec.get("minAvailable", 1), expected)
    allowed = max(0, len(healthy) - desired) if expected > 0 else 0
    status = {**old, "currentHealthy": len(healthy), "desiredHealthy": desired, "expectedPods": expected, "disruptionsAllowed": allowed}
    status["observedGeneration"] = budget["metadata"]["generation"]
    status.pop("disruptedPods", None)
    if disrupted:
        status["disruptedPods"] = disrupted
    status = set_condition(status, "DisruptionAllowed", "True" if allowed else "False", "SufficientPods" if allowed else "InsufficientPods")
    # Unlike the conditions of pods and nodes, metav1.Condition has a message even when there is nothing to say.
    return {**status, "conditions": [{"message": "", **item} for item in status["conditions"]]}


def budgets(turn: Turn) -> None:
    """The disruption controller."""
    for budget in turn.cluster.list(BUDGETS):
        selector = budget["spec"].get("selector")
        pods = turn.cluster.list(PODS, budget["metadata"]["namespace"])
        chosen = [pod for pod in pods if selector is not None and matches(selector, pod["metadata"].get("labels") or {})]
        counted = [pod for pod in chosen if pod["status"].get("phase") not in ("Succeeded", "Failed")]
        turn.cluster.store(BUDGETS, {**budget, "status": _budget_status(turn.cluster, budget, counted)})


# Garbage and namespaces


def _dependents(cluster: Cluster, uid: str) -> list[tuple[Resource, Object]]:
    everything = [(resource, obj) for resource in TABLE for obj in cluster.list(resource)]
    return [(resource, obj) for resource, obj in everything if any(item["uid"] == uid for item in obj["metadata"].get("ownerReferences") or [])]


def _release(cluster: Cluster, resource: Resource, obj: Object, finalizer: str) -> None:
    metadata = {**obj["metadata"], "finalizers": [word for word in obj["metadata"]["finalizers"] if word != finalizer]}
    if not metadata["finalizers"]:
        del metadata["finalizers"]
    cluster.store(resource, {**obj, "metadata": metadata})
    if "finalizers" not in metadata and not metadata.get("deletionGracePeriodSeconds"):
        cluster.drop(resource, obj)


def _propagate(turn: Turn, resource: Resource, obj: Object) -> None:
    """Foreground: dependents first. Orphan: dependents are let go."""
    finalizers = obj["metadata"].get("finalizers") or []
    if not {"orphan", "foregroundDeletion"} & set(finalizers):
        return
    dependents = _dependents(turn.cluster, obj["metadata"]["uid"])
    if "orphan" in finalizers:
        for kind, child in dependents:
            kept = [item for item in child["metadata"]["ownerReferences"] if item["uid"] != obj["metadata"]["uid"]]
            turn.cluster.store(kind, {**child, "metadata": {**child["metadata"], "ownerReferences": kept}})
        _release(turn.cluster, resource, obj, "orphan")
    elif "foregroundDeletion" in finalizers:
        for kind, child in dependents:
            if not deleting(child):
                turn.remove(kind, child)
        if not dependents:
            _release(turn.cluster, resource, obj, "foregroundDeletion")


def garbage(turn: Turn) -> None:
    """Objects whose owners are all gone go too; deletions in the foreground or with orphans are finished."""
    everything = [(resource, obj) for resource in TABLE for obj in turn.cluster.list(resource)]
    living = {obj["metadata"]["uid"] for _resource, obj in everything}
    for resource, obj in everything:
        owners = obj["metadata"].get("ownerReferences") or []
        if deleting(obj):
            _propagate(turn, resource, obj)
        elif owners and not any(item["uid"] in living for item in owners):
            turn.remove(resource, obj)


def namespaces(turn: Turn) -> None:
    """A namespace being deleted empties first."""
    for space in turn.cluster.list(NAMESPACES):
        if not deleting(space):
            continue
        name = space["metadata"]["name"]
        content = [(resource, obj) for resource in TABLE if resource.namespaced for obj in turn.cluster.list(resource, name)]
        for resource, obj in content:
            if not deleting(obj):
                turn.remove(resource, obj)
        if not content:
            turn.cluster.drop(NAMESPACES, space)
