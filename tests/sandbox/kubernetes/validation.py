# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaults, validation and update strategies: what the API server fills in, refuses, and keeps from the old object."""

from __future__ import annotations

import copy
import re
import typing as t

from . import errors
from .errors import Cause
from .resources import BUDGETS, DAEMONSETS, DEPLOYMENTS, LEASES, NODES, PODS, REPLICASETS, STATEFULSETS, Resource

Object = dict[str, t.Any]

SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
LABEL_NAME = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
WORKLOADS = (DAEMONSETS, DEPLOYMENTS, REPLICASETS, STATEFULSETS)

SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
POD_FIXED = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


# Defaults


def _pod_spec_defaults(spec: Object) -> Object:
    defaults = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
    return {**defaults, "serviceAccountName": "default", "enableServiceLinks": True, **spec}


def _pod_defaults(obj: Object) -> Object:
    """Also what admission adds: five minutes of tolerance for nodes that are not ready or unreachable."""
    spec = _pod_spec_defaults(obj.get("spec") or {})
    tolerations = list(spec.get("tolerations") or [])
    for key in (NOT_READY, UNREACHABLE):
        if not any(item.get("key") in (key, None) and item.get("effect") in ("NoExecute", None) for item in tolerations):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    spec["tolerations"] = tolerations
    return {**obj, "spec": spec, "status": {"phase": "Pending", "qosClass": "BestEffort"}}


def _workload_defaults(resource: Resource, obj: Object) -> Object:
    spec = copy.deepcopy(obj.get("spec") or {})
    if resource is not DAEMONSETS:
        spec.setdefault("replicas", 1)
    if isinstance(spec.get("template"), dict):
        spec["template"]["spec"] = _pod_spec_defaults(spec["template"].get("spec") or {})
    return {**obj, "spec": spec, "status": {}}


def with_defaults(resource: Resource, obj: Object) -> Object:
    """The object as it is stored at creation."""
    if resource.has_status:
        obj = {**obj, "spec": obj.get("spec") or {}}
    if resource is PODS:
        obj = _pod_defaults(obj)
    elif resource in WORKLOADS:
        obj = _workload_defaults(resource, obj)
    elif resource is BUDGETS:
        obj = {**obj, "status": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}}
    elif resource is NODES:
        obj = {**obj, "spec": _with_condition_taint(obj.get("spec") or {})}
    if resource.plural == "namespaces":
        labels = {**(obj["metadata"].get("labels") or {}), "kubernetes.io/metadata.name": obj["metadata"].get("name", "")}
        return {**obj, "metadata": {**obj["metadata"], "labels": labels}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    if resource in (*WORKLOADS, BUDGETS):
        obj["metadata"]["generation"] = 1
    return obj


def _with_condition_taint(spec: Object) -> Object:
    """Admission taints every new Node as not ready, so that nothing lands before its conditions are known (TaintNodesByCondition)."""
    taints = [taint for taint in spec.get("taints") or [] if taint.get("key") != NOT_READY]
    return {**spec, "taints": [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]}


# Validation


def _qualified_name(field: str, key: str) -> list[Cause]:
    prefix, slash, name = key.rpartition("/")
    if slash and not SUBDOMAIN.match(prefix):
        return [errors.invalid_value(field, key, f"prefix part {SUBDOMAIN_RULE}")]
    if not name or not LABEL_NAME.match(name):
        return [errors.invalid_value(field, key, KEY_RULE)]
    return [errors.invalid_value(field, key, "name part must be no more than 63 characters")] if len(name) > 63 else []


def _label_value(field: str, value: str) -> list[Cause]:
    if len(value) > 63:
        return [errors.invalid_value(field, value, "must be no more than 63 characters")]
    return [] if LABEL_VALUE.match(value) else [errors.invalid_value(field, value, VALUE_RULE)]


def _check_metadata(obj: Object) -> list[Cause]:
    metadata = obj["metadata"]
    name = metadata.get("name", "")
    if not name:
        return [errors.required("metadata.name", "name or generateName is required")]
    causes = []
    if not SUBDOMAIN.match(name) and obj["kind"] not in ("ClusterRole", "ClusterRoleBinding"):
        causes.append(errors.invalid_value("metadata.name", name, SUBDOMAIN_RULE))
    elif len(name) > 253:
        causes.append(errors.invalid_value("metadata.name", name, "must be no more than 253 characters"))
    for key, value in (metadata.get("labels") or {}).items():
        causes += _qualified_name("metadata.labels", key) + _label_value("metadata.labels", value)
    for key in metadata.get("annotations") or {}:
        causes += _qualified_name("metadata.annotations", key.lower())
    return causes


def _check_taints(spec: Object) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(spec.get("taints") or []):
        field = f"spec.taints[{index}]"
        key, effect = taint.get("key", ""), taint.get("effect", "")
        causes += _qualified_name(f"{field}.key", key) + _label_value(f"{field}.value", taint.get("value", ""))
        if not effect:
            causes.append(errors.required(f"{field}.effect"))
        elif effect not in EFFECTS:
            causes.append(errors.unsupported(f"{field}.effect", effect, EFFECTS))
        if (key, effect) in seen:
            causes.append(Cause(field, "FieldValueDuplicate", f'Duplicate value: {{"key":"{key}","effect":"{effect}"}}'))
        seen.add((key, effect))
    return causes


def _check_pod_spec(spec: Object, field: str) -> list[Cause]:
    containers = spec.get("containers")
    if not containers:
        return [errors.required(f"{field}.containers")]
    missing = [index for index, item in enumerate(containers) if not item.get("name")]
    causes = [errors.required(f"{field}.containers[{index}].name") for index in missing]
    return causes + [errors.required(f"{field}.containers[{index}].image") for index, item in enumerate(containers) if not item.get("image")]


def _check_workload(spec: Object) -> list[Cause]:
    selector, template = spec.get("selector"), spec.get("template")
    if not selector:
        return [errors.required("spec.selector")]
    if not template:
        return [errors.required("spec.template")]
    labels = (template.get("metadata") or {}).get("labels") or {}
    causes = _check_pod_spec(template.get("spec") or {}, "spec.template.spec")
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        causes.append(errors.invalid_value("spec.template.metadata.labels", str(labels), "`selector` does not match template `labels`"))
    return causes


def _check_budget(spec: Object) -> list[Cause]:
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        return [errors.invalid_value("spec", "", "minAvailable and maxUnavailable cannot be both set")]
    causes = []
    for field in ("minAvailable", "maxUnavailable"):
        value = spec.get(field)
        if isinstance(value, str) and not re.match(r"^\d+%$", value):
            causes.append(errors.invalid_value(f"spec.{field}", value, "a valid percent string must be a numeric string followed by an ending '%'"))
        elif isinstance(value, int) and value < 0:
            causes.append(errors.invalid_value(f"spec.{field}", value, "must be greater than or equal to 0"))
    return causes


def _check_lease(spec: Object) -> list[Cause]:
    causes = []
    if spec.get("holderIdentity") == "":
        causes.append(errors.invalid_value("spec.holderIdentity", "", "must not be empty"))
    if (spec.get("leaseDurationSeconds") or 1) <= 0 or spec.get("leaseDurationSeconds") == 0:
        causes.append(errors.invalid_value("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0"))
    if (spec.get("leaseTransitions") or 0) < 0:
        causes.append(errors.invalid_value("spec.leaseTransitions", spec["leaseTransitions"], "must be greater than or equal to 0"))
    return causes


def _check_content(resource: Resource, obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    if resource is NODES:
        return _check_taints(spec)
    if resource is PODS:
        return _check_pod_spec(spec, "spec")
    if resource in WORKLOADS:
        return _check_workload(spec)
    if resource is BUDGETS:
        return _check_budget(spec)
    if resource.plural == "volumeattachments":
        return [errors.required(f"spec.{field}") for field in ("attacher", "nodeName", "source") if not spec.get(field)]
    return _check_lease(spec) if resource is LEASES else []


def _refuse(resource: Resource, obj: Object, causes: list[Cause]) -> None:
    if causes:
        raise errors.invalid(resource.kind, resource.group, obj["metadata"].get("name", ""), causes)


def check_new(resource: Resource, obj: Object) -> None:
    """422 with every cause, for a creation."""
    _refuse(resource, obj, _check_metadata(obj) + _check_content(resource, obj))


def _frozen_pod(spec: Object) -> Object:
    frozen = {key: value for key, value in spec.items() if key not in ("tolerations", "activeDeadlineSeconds")}
    for kind in ("containers", "initContainers"):
        frozen[kind] = [{**item, "image": ""} for item in spec.get(kind) or []]
    return frozen


def _check_transition(resource: Resource, old: Object, new: Object) -> list[Cause]:
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if resource is NODES and before.get("providerID") and before["providerID"] != after.get("providerID"):
        return [errors.forbidden_field("spec.providerID", 'node updates may not change providerID except from "" to valid')]
    if resource is PODS:
        added = [item for item in before.get("tolerations") or [] if item not in (after.get("tolerations") or [])]
        if added or _frozen_pod(before) != _frozen_pod(after):
            return [errors.forbidden_field("spec", POD_FIXED)]
    if resource in WORKLOADS and before.get("selector") != after.get("selector"):
        return [errors.invalid_value("spec.selector", str(after.get("selector")), "field is immutable")]
    return []


def check_change(resource: Resource, old: Object, new: Object) -> None:
    """422 with every cause, for an update."""
    _refuse(resource, new, _check_metadata(new) + _check_content(resource, new) + _check_transition(resource, old, new))


# Update strategies


def _metadata(old: Object, given: Object) -> Object:
    """A client may change labels, annotations, finalizers and owners; everything else stays the server's."""
    kept = {key: value for key, value in old.items() if key not in ("labels", "annotations", "finalizers", "ownerReferences")}
    return {**kept, **{key: given[key] for key in ("labels", "annotations", "finalizers", "ownerReferences") if given.get(key)}}


def next_version(resource: Resource, old: Object, given: Object, subresource: str) -> Object:
    """The object to store: an update of the main resource keeps the old status, one of the status keeps all else."""
    if subresource == "status":
        return {**old, "status": given.get("status") or {}}
    fresh = {**given, "metadata": _metadata(old["metadata"], given["metadata"])}
    if resource.has_status:
        fresh = {**fresh, "spec": fresh.get("spec") or {}}
        fresh.pop("status", None)
        if "status" in old:
            fresh["status"] = old["status"]
    if "generation" in old["metadata"] and fresh.get("spec") != old.get("spec"):
        fresh["metadata"]["generation"] = old["metadata"]["generation"] + 1
    return fresh
