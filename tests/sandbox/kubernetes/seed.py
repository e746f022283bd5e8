# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fresh cluster holds: namespaces, the workloads every Talos cluster runs, an ingress controller, and an application with a disruption budget."""

from __future__ import annotations

import typing as t

from .cluster import Cluster, Object
from .resources import BUDGETS, DAEMONSETS, DEPLOYMENTS, NAMESPACES, Resource

INGRESS = "ingress-nginx"
SYSTEM = ("default", "kube-node-lease", "kube-public", "kube-system")
EVERYWHERE = ({"operator": "Exists"},)


def namespaces(cluster: Cluster) -> None:
    """The namespaces every cluster has; the uid of kube-system is the cluster's identity."""
    for name in SYSTEM:
        namespace(cluster, name)


def namespace(cluster: Cluster, name: str) -> None:
    """One namespace more, unless it exists."""
    if cluster.find(NAMESPACES, "", name) is None:
        cluster.create(NAMESPACES, "", {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}})


def workload(
    cluster: Cluster, resource: Resource, where: str, name: str, *, replicas: int = 1, tolerations: t.Sequence[Object] = (), extra: Object | None = None
) -> Object:
    """A DaemonSet, Deployment or StatefulSet of one container. where: its namespace. extra: more for its pods' spec."""
    labels = {"app.kubernetes.io/name": name}
    pod = {"containers": [{"name": name, "image": f"registry.example/{name}:1"}], "tolerations": [dict(item) for item in tolerations], **(extra or {})}
    spec: Object = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    if resource is not DAEMONSETS:
        spec["replicas"] = replicas
    metadata = {"name": name, "labels": labels}
    return cluster.create(resource, where, {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata, "spec": spec})


def budget(cluster: Cluster, where: str, name: str, *, app: str, **limits: t.Any) -> Object:
    """A disruption budget over the pods of an application; limits: minAvailable or maxUnavailable."""
    spec = {"selector": {"matchLabels": {"app.kubernetes.io/name": app}}, **limits}
    return cluster.create(BUDGETS, where, {"kind": "PodDisruptionBudget", "apiVersion": "policy/v1", "metadata": {"name": name}, "spec": spec})


def talos_manifests(cluster: Cluster) -> None:
    """What Talos itself puts into a cluster that it bootstraps: network, proxy and DNS."""
    with cluster.lock:
        workload(cluster, DAEMONSETS, "kube-system", "kube-flannel", tolerations=EVERYWHERE)
        workload(cluster, DAEMONSETS, "kube-system", "kube-proxy", tolerations=EVERYWHERE)
        control_plane = {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}
        workload(cluster, DEPLOYMENTS, "kube-system", "coredns", replicas=2, tolerations=[control_plane])


def running_cluster(cluster: Cluster, *, ingress_everywhere: bool = True) -> None:
    """What Talos puts there, ingress (as a DaemonSet on all workers, or two pods somewhere), and an application with a budget."""
    talos_manifests(cluster)
    with cluster.lock:
        namespace(cluster, INGRESS)
        if ingress_everywhere:
            workload(cluster, DAEMONSETS, INGRESS, INGRESS)
        else:
            workload(cluster, DEPLOYMENTS, INGRESS, INGRESS, replicas=2)
        namespace(cluster, "shop")
        workload(cluster, DEPLOYMENTS, "shop", "web", replicas=2)
        budget(cluster, "shop", "web", app="web", maxUnavailable=1)
