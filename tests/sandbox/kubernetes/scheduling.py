# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods a node takes: taints and tolerations, selectors and affinity, cordons."""

from __future__ import annotations

import typing as t

from .cluster import Object
from .eviction import condition
from .selectors import requirement

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"

# What the DaemonSet controller adds to its pods.
DAEMON_TOLERATIONS = (
    {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/disk-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/pid-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": UNSCHEDULABLE, "operator": "Exists", "effect": "NoSchedule"},
)


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether one toleration covers one taint."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint["key"]:
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def untolerated(node: Object, tolerations: t.Sequence[Object], effects: t.Sequence[str]) -> list[Object]:
    """The node's taints of these effects that no toleration covers."""
    taints = [taint for taint in node["spec"].get("taints") or [] if taint["effect"] in effects]
    return [taint for taint in taints if not any(tolerates(item, taint) for item in tolerations)]


def _term_matches(term: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    return all(requirement(labels, e["key"], e["operator"], e.get("values") or []) for e in term.get("matchExpressions") or []) and all(
        requirement(fields, e["key"], e["operator"], e.get("values") or []) for e in term.get("matchFields") or []
    )


def _terms(spec: Object) -> list[Object] | None:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    found: list[Object] | None = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    return found


def tied_to(spec: Object) -> list[str] | None:
    """The only nodes that the pod may land on, by name, as a DaemonSet's pods have it; None when others may do."""
    fields = [(term.get("matchFields") or [{}])[0] for term in _terms(spec) or []]
    if not fields or any((one.get("key"), one.get("operator")) != ("metadata.name", "In") for one in fields):
        return None
    return [str(name) for one in fields for name in one.get("values") or []]


def wants(spec: Object, node: Object) -> bool:
    """Whether the pod's node selector and required affinity accept the node."""
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    terms = _terms(spec)
    return terms is None or any(_term_matches(term, node) for term in terms)


def refusal(spec: Object, node: Object) -> str:
    """Why the pod cannot land on the node, in the scheduler's words; empty when it can."""
    tolerations = spec.get("tolerations") or []
    cordon = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    if node["spec"].get("unschedulable") and not any(tolerates(item, cordon) for item in tolerations):
        return "node(s) were unschedulable"
    if missing := untolerated(node, tolerations, ("NoSchedule", "NoExecute")):
        return f"node(s) had untolerated taint {{{missing[0]['key']}: {missing[0].get('value', '')}}}"
    return "" if wants(spec, node) else "node(s) didn't match Pod's node affinity/selector"


def ready(node: Object) -> bool:
    """Whether the node's kubelet says it is ready."""
    return condition(node, "Ready") == "True"
