# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""One function per API call. Objects are plain dicts in the API's own camelCase."""

from __future__ import annotations

import typing as t

from .client import ATTEMPTS, Api, KubernetesError, call, items

Object = dict[str, t.Any]

LEASE_NAMESPACE, LEASE_NAME = "kube-system", "k8s-cluster-manager"
_LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{LEASE_NAMESPACE}/leases"


def list_nodes(api: Api, attempts: int = ATTEMPTS) -> list[Object]:
    """All Node objects. A loop that asks again anyway takes attempts=1."""
    return items(api, "list the nodes", "/api/v1/nodes", attempts)


def cluster_id(api: Api) -> str:
    """The UID of namespace kube-system: no two clusters share it, and it never changes."""
    return str(call(api, "read namespace kube-system", "GET", "/api/v1/namespaces/kube-system")["metadata"]["uid"])


def cordon(api: Api, name: str) -> Object:
    """Mark a node unschedulable."""
    return call(api, f"cordon node {name}", "PATCH", f"/api/v1/nodes/{name}", body={"spec": {"unschedulable": True}})


def uncordon(api: Api, name: str) -> Object:
    """Take that mark off."""
    return call(api, f"uncordon node {name}", "PATCH", f"/api/v1/nodes/{name}", body={"spec": {"unschedulable": False}})


def delete_node(api: Api, name: str, uid: str) -> bool:
    """Delete the Node of that name if its UID is still uid. False: already gone. A newer one raises status 409."""
    try:
        call(api, f"delete node {name}", "DELETE", f"/api/v1/nodes/{name}", body=_delete_options(uid))
    except KubernetesError as error:
        if error.status == 404:
            return False
        raise
    return True


def list_pods(api: Api, node_name: str = "", attempts: int = ATTEMPTS) -> list[Object]:
    """All pods bound to a node, in all namespaces; without a node the whole cluster's."""
    if not node_name:
        return items(api, "list the pods", "/api/v1/pods", attempts)
    return items(api, f"list the pods of node {node_name}", "/api/v1/pods", attempts, fieldSelector=f"spec.nodeName={node_name}")


def evict(api: Api, pod: Object, grace_period: int | None) -> None:
    """Ask once for a pod's eviction, by UID. Raises KubernetesError: 404 gone, 409 another pod, 429 budget, 500."""
    meta = pod["metadata"]
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "deleteOptions": _delete_options(meta["uid"], grace_period),
    }
    call(api, f"evict pod {meta['namespace']}/{meta['name']}", "POST", f"{_pod_path(meta)}/eviction", body=body, attempts=1)


def delete_pod(api: Api, pod: Object, grace_period: int | None) -> None:
    """Ask once for a pod's deletion, by UID, past all disruption budgets."""
    meta = pod["metadata"]
    body = _delete_options(meta["uid"], grace_period)
    call(api, f"delete pod {meta['namespace']}/{meta['name']}", "DELETE", _pod_path(meta), body=body, attempts=1)


def list_budgets(api: Api) -> list[Object]:
    """All PodDisruptionBudgets of the cluster."""
    return items(api, "list the pod disruption budgets", "/apis/policy/v1/poddisruptionbudgets")


def list_volume_attachments(api: Api, attempts: int = ATTEMPTS) -> list[Object]:
    """All VolumeAttachments of the cluster (the API cannot select them by node)."""
    return items(api, "list the volume attachments", "/apis/storage.k8s.io/v1/volumeattachments", attempts)


def volume_of_claim(api: Api, namespace: str, name: str) -> str:
    """The persistent volume bound to a claim; empty when there is none."""
    try:
        claim = call(api, f"read claim {namespace}/{name}", "GET", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
    except KubernetesError as error:
        if error.status == 404:
            return ""
        raise
    return str(claim.get("spec", {}).get("volumeName") or "")


def read_lease(api: Api, attempts: int = ATTEMPTS) -> Object | None:
    """The Lease of the control planes' changes; None when there is none."""
    try:
        return call(api, f"read lease {LEASE_NAME}", "GET", f"{_LEASES}/{LEASE_NAME}", attempts=attempts)
    except KubernetesError as error:
        if error.status == 404:
            return None
        raise


def write_lease(api: Api, lease: Object, attempts: int = ATTEMPTS) -> Object:
    """Create the Lease or, when it bears a resourceVersion, replace that version. A faster writer raises status 409."""
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **lease}
    method, path = ("PUT", f"{_LEASES}/{LEASE_NAME}") if lease["metadata"].get("resourceVersion") else ("POST", _LEASES)
    return call(api, f"write lease {LEASE_NAME}", method, path, body=body, attempts=attempts)


def delete_lease(api: Api, lease: Object) -> None:
    """Delete the Lease if it is still that version; nothing when it is not."""
    body = {"preconditions": {key: lease["metadata"][key] for key in ("uid", "resourceVersion")}}
    try:
        call(api, f"delete lease {LEASE_NAME}", "DELETE", f"{_LEASES}/{LEASE_NAME}", body=body)
    except KubernetesError as error:
        if error.status not in (404, 409):
            raise


def _pod_path(meta: Object) -> str:
    return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"


def _delete_options(uid: str, grace_period: int | None = None) -> Object:
    grace = {} if grace_period is None else {"gracePeriodSeconds": grace_period}
    return {"preconditions": {"uid": uid}, **grace}
