# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""One function per API call. Objects are plain dicts in the API's own camelCase."""

from __future__ import annotations

import contextlib
import typing as t

from .client import ATTEMPTS, Api, KubernetesError, call, items

Object = dict[str, t.Any]


def list_nodes(api: Api, attempts: int = ATTEMPTS) -> list[Object]:
    """All Node objects. A loop that asks again anyway takes attempts=1."""
    return items("list the nodes", api.core.list_node, attempts)


def cluster_id(api: Api) -> str:
    """The UID of namespace kube-system: no two clusters share it, and it never changes."""
    return str(call("read namespace kube-system", api.core.read_namespace, "kube-system")["metadata"]["uid"])


def cordon(api: Api, name: str) -> Object:
    """Mark a node unschedulable."""
    return call(f"cordon node {name}", api.core.patch_node, name, {"spec": {"unschedulable": True}})


def delete_node(api: Api, name: str, uid: str) -> bool:
    """Delete the Node of that name if its UID is still uid. False: already gone. A newer one raises status 409."""
    body = _delete_options(api, uid)
    try:
        call(f"delete node {name}", api.core.delete_node, name, body=body)
    except KubernetesError as error:
        if error.status == 404:
            return False
        raise
    return True


def list_pods(api: Api, node_name: str, attempts: int = ATTEMPTS) -> list[Object]:
    """All pods bound to a node, in all namespaces."""
    return items(f"list the pods of node {node_name}", api.core.list_pod_for_all_namespaces, attempts, field_selector=f"spec.nodeName={node_name}")


def evict(api: Api, pod: Object, grace_period: int | None) -> None:
    """Ask once for a pod's eviction, by UID. Raises KubernetesError: 404 gone, 409 another pod, 429 budget, 500."""
    meta = pod["metadata"]
    body = api.models.V1Eviction(
        api_version="policy/v1",
        kind="Eviction",
        metadata=api.models.V1ObjectMeta(name=meta["name"], namespace=meta["namespace"]),
        delete_options=_delete_options(api, meta["uid"], grace_period),
    )
    what = f"evict pod {meta['namespace']}/{meta['name']}"
    call(what, api.core.create_namespaced_pod_eviction, meta["name"], meta["namespace"], body, attempts=1)


def delete_pod(api: Api, pod: Object, grace_period: int | None) -> None:
    """Ask once for a pod's deletion, by UID, past all disruption budgets."""
    meta = pod["metadata"]
    body = _delete_options(api, meta["uid"], grace_period)
    what = f"delete pod {meta['namespace']}/{meta['name']}"
    call(what, api.core.delete_namespaced_pod, meta["name"], meta["namespace"], body=body, attempts=1)


def list_budgets(api: Api) -> list[Object]:
    """All PodDisruptionBudgets of the cluster."""
    return items("list the pod disruption budgets", api.policy.list_pod_disruption_budget_for_all_namespaces)


def list_volume_attachments(api: Api, attempts: int = ATTEMPTS) -> list[Object]:
    """All VolumeAttachments of the cluster (the API cannot select them by node)."""
    return items("list the volume attachments", api.storage.list_volume_attachment, attempts)


def volume_of_claim(api: Api, namespace: str, name: str) -> str:
    """The persistent volume bound to a claim; empty when there is none."""
    with contextlib.suppress(KeyError):
        try:
            claim = call(f"read claim {namespace}/{name}", api.core.read_namespaced_persistent_volume_claim, name, namespace)
        except KubernetesError as error:
            if error.status == 404:
                return ""
            raise
        return str(claim["spec"]["volumeName"])
    return ""


def _delete_options(api: Api, uid: str, grace_period: int | None = None) -> t.Any:
    return api.models.V1DeleteOptions(preconditions=api.models.V1Preconditions(uid=uid), grace_period_seconds=grace_period)
