# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources that the simulated API server has: names, verbs and the habits in which they differ."""

from __future__ import annotations

import dataclasses

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
DEFAULT_FIELDS = ("metadata.name", "metadata.namespace")


@dataclasses.dataclass(frozen=True)
class Resource:
    """One resource.

    model: the class of the official client whose fields are the schema.
    unconditional: an update without resourceVersion is accepted.
    upsert: an update of a missing object creates it.
    returned: a deletion answers with the object rather than a Status.
    fields: field selectors it understands.
    """

    group: str
    plural: str
    kind: str
    model: str
    namespaced: bool = True
    version: str = "v1"
    has_status: bool = True
    unconditional: bool = True
    upsert: bool = False
    returned: bool = False
    fields: tuple[str, ...] = DEFAULT_FIELDS
    verbs: tuple[str, ...] = VERBS

    @property
    def qualified(self) -> str:
        """plural.group, as in messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """group/version, as in apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version


POD_FIELDS = (
    *DEFAULT_FIELDS,
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
EVENT_FIELDS = (*DEFAULT_FIELDS, "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "reason", "type")

TABLE = (
    Resource("", "namespaces", "Namespace", "V1Namespace", namespaced=False, fields=(*DEFAULT_FIELDS, "status.phase")),
    Resource("", "nodes", "Node", "V1Node", namespaced=False, fields=("metadata.name", "spec.unschedulable")),
    Resource("", "pods", "Pod", "V1Pod", returned=True, fields=POD_FIELDS),
    Resource("", "events", "Event", "CoreV1Event", has_status=False, upsert=True, fields=EVENT_FIELDS),
    Resource("", "configmaps", "ConfigMap", "V1ConfigMap", has_status=False),
    Resource("", "services", "Service", "V1Service", returned=True),
    Resource("", "persistentvolumes", "PersistentVolume", "V1PersistentVolume", namespaced=False, returned=True),
    Resource("", "persistentvolumeclaims", "PersistentVolumeClaim", "V1PersistentVolumeClaim", returned=True),
    Resource("apps", "daemonsets", "DaemonSet", "V1DaemonSet"),
    Resource("apps", "deployments", "Deployment", "V1Deployment"),
    Resource("apps", "replicasets", "ReplicaSet", "V1ReplicaSet"),
    Resource("apps", "statefulsets", "StatefulSet", "V1StatefulSet"),
    Resource("coordination.k8s.io", "leases", "Lease", "V1Lease", has_status=False, unconditional=False, upsert=True),
    Resource("policy", "poddisruptionbudgets", "PodDisruptionBudget", "V1PodDisruptionBudget", unconditional=False),
    Resource("rbac.authorization.k8s.io", "clusterroles", "ClusterRole", "V1ClusterRole", namespaced=False, has_status=False),
    Resource("rbac.authorization.k8s.io", "clusterrolebindings", "ClusterRoleBinding", "V1ClusterRoleBinding", namespaced=False, has_status=False),
    Resource("storage.k8s.io", "storageclasses", "StorageClass", "V1StorageClass", namespaced=False, has_status=False, returned=True),
    Resource("storage.k8s.io", "volumeattachments", "VolumeAttachment", "V1VolumeAttachment", namespaced=False, unconditional=False, returned=True),
)
# A subject access review is created but never stored.
REVIEW = Resource(
    "authorization.k8s.io",
    "selfsubjectaccessreviews",
    "SelfSubjectAccessReview",
    "V1SelfSubjectAccessReview",
    namespaced=False,
    has_status=False,
    verbs=("create",),
)
BY_PLURAL = {resource.plural: resource for resource in TABLE}
BY_PATH = {(resource.group, resource.version, resource.plural): resource for resource in (*TABLE, REVIEW)}

NAMESPACES = BY_PLURAL["namespaces"]
NODES = BY_PLURAL["nodes"]
PODS = BY_PLURAL["pods"]
CLAIMS = BY_PLURAL["persistentvolumeclaims"]
VOLUMES = BY_PLURAL["persistentvolumes"]
DAEMONSETS = BY_PLURAL["daemonsets"]
DEPLOYMENTS = BY_PLURAL["deployments"]
REPLICASETS = BY_PLURAL["replicasets"]
STATEFULSETS = BY_PLURAL["statefulsets"]
LEASES = BY_PLURAL["leases"]
BUDGETS = BY_PLURAL["poddisruptionbudgets"]
ATTACHMENTS = BY_PLURAL["volumeattachments"]
ROLES = BY_PLURAL["clusterroles"]
BINDINGS = BY_PLURAL["clusterrolebindings"]
