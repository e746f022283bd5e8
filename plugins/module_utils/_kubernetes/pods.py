# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What a drain does with each pod, decided from the pod alone, and which disruption budgets stand in its way."""

from __future__ import annotations

import dataclasses
import typing as t

Pod = dict[str, t.Any]
Budget = dict[str, t.Any]

MIRROR = "kubernetes.io/config.mirror"


@dataclasses.dataclass(frozen=True)
class Treatment:
    """evict: whether the pod has to go. reason: why not, or why it cannot (then problem names the option that would allow it)."""

    evict: bool
    reason: str = ""
    problem: str = ""


def name_of(pod: Pod) -> str:
    """namespace/name."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def owner(pod: Pod) -> str:
    """The kind of the pod's controller, empty when nothing would make it again."""
    for reference in pod["metadata"].get("ownerReferences") or []:
        if reference.get("controller"):
            return str(reference.get("kind", ""))
    return ""


def is_finished(pod: Pod) -> bool:
    """Its containers have ended for good."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def is_terminating(pod: Pod) -> bool:
    """Somebody has asked for its deletion already."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def local_volumes(pod: Pod) -> list[str]:
    """The names of its emptyDir volumes, whose data ends with the pod."""
    return [volume["name"] for volume in pod.get("spec", {}).get("volumes") or [] if "emptyDir" in volume]


def claims(pod: Pod) -> list[tuple[str, str]]:
    """(namespace, claim) of its persistent volume claims, generic ephemeral ones included."""
    namespace, found = pod["metadata"]["namespace"], []
    for volume in pod.get("spec", {}).get("volumes") or []:
        if "persistentVolumeClaim" in volume:
            found.append((namespace, volume["persistentVolumeClaim"]["claimName"]))
        elif "ephemeral" in volume:
            found.append((namespace, f"{pod['metadata']['name']}-{volume['name']}"))
    return found


def treatment(pod: Pod, force: bool, delete_emptydir_data: bool) -> Treatment:
    """What becomes of a pod on a node that is drained."""
    if MIRROR in (pod["metadata"].get("annotations") or {}):
        return Treatment(False, "static pod of the node itself")
    if is_finished(pod):
        return Treatment(False, "finished")
    if owner(pod) == "DaemonSet":
        return Treatment(False, "managed by a DaemonSet")
    if is_terminating(pod):
        return Treatment(True, "already terminating")
    if not owner(pod) and not force:
        return Treatment(True, problem=f"pod {name_of(pod)} has no controller and would be lost: allow it with force=true")
    if local_volumes(pod) and not delete_emptydir_data:
        volumes = ", ".join(local_volumes(pod))
        return Treatment(True, problem=f"pod {name_of(pod)} keeps data in emptyDir ({volumes}), which would be lost: allow it with delete_emptydir_data=true")
    return Treatment(True)


def matches(selector: dict[str, t.Any] | None, labels: dict[str, str]) -> bool:
    """Whether a label selector (policy/v1: an empty one selects all, none selects nothing) selects these labels."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_satisfies(expression, labels) for expression in selector.get("matchExpressions") or [])


def _satisfies(expression: dict[str, t.Any], labels: dict[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    tests: dict[str, t.Callable[[], bool]] = {
        "In": lambda: labels.get(key) in values,
        "NotIn": lambda: labels.get(key) not in values,
        "Exists": lambda: key in labels,
        "DoesNotExist": lambda: key not in labels,
    }
    test = tests.get(expression.get("operator", ""))
    return test is not None and test()


def budgets_of(pod: Pod, budgets: t.Sequence[Budget]) -> list[Budget]:
    """The disruption budgets that cover a pod."""
    labels = pod["metadata"].get("labels") or {}
    namespace = pod["metadata"]["namespace"]
    return [b for b in budgets if b["metadata"]["namespace"] == namespace and matches(b.get("spec", {}).get("selector"), labels)]


def budget_text(budgets: t.Sequence[Budget]) -> str:
    """The budgets with their numbers, for messages."""
    return " and ".join(_one_budget(budget) for budget in budgets)


def _one_budget(budget: Budget) -> str:
    status, meta = budget.get("status") or {}, budget["metadata"]
    numbers = f" (needs {status['desiredHealthy']} healthy pods and has {status.get('currentHealthy', 0)})" if "desiredHealthy" in status else ""
    return f"PodDisruptionBudget {meta['namespace']}/{meta['name']}{numbers}"


def respects_budgets(pod: Pod) -> bool:
    """Whether the eviction API looks at budgets for this pod at all: not for one that waits to start or is on its way out."""
    return pod.get("status", {}).get("phase") != "Pending" and not is_finished(pod) and not is_terminating(pod)
