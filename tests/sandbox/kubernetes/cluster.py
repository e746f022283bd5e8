# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one simulated cluster stores, and the habits of storage: resource versions, conflicts, preconditions, finalizers, graceful deletion, a log for watches.

Stored objects are never changed in place: every write stores a new object, so lists, logs and snapshots share them.
All methods expect the caller to hold `lock`.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime
import threading
import time
import typing as t
import uuid

from . import errors, validation
from .resources import NAMESPACES, PODS, TABLE, Resource

Object = dict[str, t.Any]
Key = tuple[str, str]

# How many changes a watch can look back; the real server keeps minutes.
LOG_LENGTH = 20000
PROPAGATION_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}
STALE = "the object has been modified; please apply your changes to the latest version and try again"


def timestamp(moment: float | None = None) -> str:
    """RFC 3339 with whole seconds, as metav1.Time is written (now, if no epoch seconds are given)."""
    when = datetime.datetime.fromtimestamp(time.time() if moment is None else moment, datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text: str) -> float:
    """Epoch seconds of an RFC 3339 time."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@dataclasses.dataclass(frozen=True)
class Change:
    """One write, for watches. old is the object before, None for a creation; obj is the object after (or as it was deleted)."""

    version: int
    plural: str
    type: str
    obj: Object
    old: Object | None


@dataclasses.dataclass
class Kubelet:
    """The kubelet of one VM, whether or not its Node object exists.

    alive: it posts status. gone: its VM ended, which frees its volumes. missing_since: when its Node was found deleted (monotonic).
    posted: the version of its Node, and its readiness, when it last posted its status.
    """

    address: str
    provider_id: str
    labels: dict[str, str]
    taints: list[dict[str, str]]
    os_image: str
    ready: bool = False
    alive: bool = True
    gone: bool = False
    missing_since: float | None = None
    posted: tuple[str, bool] | None = None


class Cluster:
    """Objects of one cluster and the log of their changes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.objects: dict[str, dict[Key, Object]] = {resource.plural: {} for resource in TABLE}
        self.version = 1000
        self.log: collections.deque[Change] = collections.deque(maxlen=LOG_LENGTH)
        self.compacted = self.version
        self.kubelets: dict[str, Kubelet] = {}
        self.timers: dict[str, float] = {}
        self.bindings: list[dict[str, t.Any]] = []

    # Reading

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The stored object, or None. Not to be changed."""
        return self.objects[resource.plural].get((namespace, name))

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """The stored object, or 404."""
        found = self.find(resource, namespace, name)
        if found is None:
            raise errors.not_found(resource, name)
        return found

    def list(self, resource: Resource, namespace: str = "") -> list[Object]:
        """All objects (of a namespace), in the order of their keys, as etcd gives them."""
        stored = self.objects[resource.plural]
        return [stored[key] for key in sorted(stored) if namespace in ("", key[0])]

    # Writing

    def store(self, resource: Resource, obj: Object) -> Object:
        """Store obj as the newest version; equal content is no change, as with the real server."""
        metadata = obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        old = self.objects[resource.plural].get(key)
        if old is not None and (old is obj or _same(old, obj)):
            return old
        self.version += 1
        stored = {**obj, "metadata": {**metadata, "resourceVersion": str(self.version)}}
        self.objects[resource.plural][key] = stored
        self._log(resource, "MODIFIED" if old else "ADDED", stored, old)
        return stored

    def drop(self, resource: Resource, obj: Object) -> Object:
        """Remove obj from storage at once; the answer carries the version of the deletion."""
        metadata = obj["metadata"]
        old = self.objects[resource.plural].pop((metadata.get("namespace", ""), metadata["name"]))
        self.version += 1
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.version)}}
        self._log(resource, "DELETED", last, old)
        return old

    def _log(self, resource: Resource, kind: str, obj: Object, old: Object | None) -> None:
        if len(self.log) == self.log.maxlen:
            self.compacted = self.log[0].version
        self.log.append(Change(self.version, resource.plural, kind, obj, old))
        self.changed.notify_all()

    def create(self, resource: Resource, namespace: str, obj: Object, *, dry_run: bool = False) -> Object:
        """Create as a client does: names, namespace, defaults and validation."""
        metadata = dict(obj["metadata"])
        if metadata.get("namespace", namespace) != namespace:
            raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if metadata.get("resourceVersion"):
            raise errors.ApiError(500, "", "resourceVersion should not be set on objects to be created")
        if resource.namespaced:
            metadata["namespace"] = namespace
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        now = timestamp()
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=now)
        for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
            metadata.pop(key, None)
        fresh = validation.with_defaults(resource, {**obj, "metadata": metadata})
        validation.check_new(resource, fresh)
        if resource.namespaced and self.find(NAMESPACES, "", namespace) is None:
            raise errors.not_found(NAMESPACES, namespace)
        if self.find(resource, namespace, metadata["name"]) is not None:
            raise errors.already_exists(resource, metadata["name"])
        return fresh if dry_run else self.store(resource, fresh)

    def update(self, resource: Resource, namespace: str, name: str, obj: Object, *, subresource: str = "", dry_run: bool = False) -> Object:
        """Replace an object's main part, or its status; 409 for a stale version or another object of that name."""
        given = obj["metadata"]
        if given.get("name", name) != name:
            raise errors.bad_request(f"the name of the object ({given['name']}) does not match the name on the URL ({name})")
        old = self.find(resource, namespace, name)
        if old is None and resource.upsert and not given.get("uid"):
            return self.create(resource, namespace, {**obj, "metadata": {**given, "resourceVersion": ""}}, dry_run=dry_run)
        old = self.get(resource, namespace, name)
        self._check_current(resource, old, given)
        fresh = validation.next_version(resource, old, obj, subresource)
        validation.check_change(resource, old, fresh)
        if dry_run:
            return fresh
        return self._finish(resource, self.store(resource, fresh))

    def _check_current(self, resource: Resource, old: Object, given: Object) -> None:
        """The writer's idea of the object must be the present one."""
        metadata = old["metadata"]
        if given.get("uid") and given["uid"] != metadata["uid"]:
            why = f"Precondition failed: UID in precondition: {given['uid']}, UID in object meta: {metadata['uid']}"
            lead = f"StorageError: invalid object, Code: 4, Key: /registry/{resource.plural}/{metadata['name']}, ResourceVersion: 0, AdditionalErrorMsg:"
            raise errors.conflict(resource, metadata["name"], f"{lead} {why}")
        if not given.get("resourceVersion"):
            if not resource.unconditional:
                cause = errors.invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
                raise errors.invalid(resource.kind, resource.group, metadata["name"], [cause])
        elif given["resourceVersion"] != metadata["resourceVersion"]:
            raise errors.conflict(resource, metadata["name"], STALE)

    def delete(self, resource: Resource, namespace: str, name: str, options: Object | None = None) -> tuple[Object, bool]:
        """Delete as a client does: (object, whether it is gone). Finalizers and a pod's grace keep it for a while."""
        chosen = options or {}
        old = self.get(resource, namespace, name)
        self._check_preconditions(resource, old, chosen.get("preconditions") or {})
        marked = _marked(resource, old, chosen)
        if chosen.get("dryRun"):
            return old, False
        if marked is None:
            return self.drop(resource, old), True
        stored = self.store(resource, marked)
        return stored, False

    def _check_preconditions(self, resource: Resource, old: Object, wanted: Object) -> None:
        metadata = old["metadata"]
        if wanted.get("uid") not in (None, metadata["uid"]):
            why = f"the UID in the precondition ({wanted['uid']}) does not match the UID in record ({metadata['uid']})."
            raise errors.conflict(resource, metadata["name"], f"{why} The object might have been deleted and then recreated", what=resource.kind)
        if wanted.get("resourceVersion") not in (None, metadata["resourceVersion"]):
            why = f"the ResourceVersion in the precondition ({wanted['resourceVersion']}) does not match the ResourceVersion in record"
            raise errors.conflict(resource, metadata["name"], f"{why} ({metadata['resourceVersion']}). The object might have been modified", what=resource.kind)

    def _finish(self, resource: Resource, obj: Object) -> Object:
        """An object marked for deletion goes with its last finalizer (a pod also waits for its kubelet)."""
        metadata = obj["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers") and not metadata.get("deletionGracePeriodSeconds"):
            return self.drop(resource, obj)
        return obj

    # State as a whole

    def snapshot(self) -> dict[str, t.Any]:
        """A copy that later writes do not touch."""
        return {
            "objects": {plural: dict(stored) for plural, stored in self.objects.items()},
            "kubelets": copy.deepcopy(self.kubelets),
            "timers": dict(self.timers),
            "bindings": list(self.bindings),
        }

    def restore(self, saved: dict[str, t.Any]) -> None:
        """Take back a snapshot. Versions go on counting; watches from before learn that they are too old."""
        self.objects = {plural: dict(stored) for plural, stored in saved["objects"].items()}
        self.kubelets = copy.deepcopy(saved["kubelets"])
        self.timers = dict(saved["timers"])
        self.bindings = list(saved["bindings"])
        self.version += 1
        self.compacted = self.version
        self.log.clear()
        self.changed.notify_all()


def _same(old: Object, new: Object) -> bool:
    # Parts that are the very same need no comparison, and most are.
    if old.keys() != new.keys() or any(old[key] is not new[key] and old[key] != new[key] for key in old if key != "metadata"):
        return False

    def content(metadata: Object) -> Object:
        return {key: value for key, value in metadata.items() if key != "resourceVersion"}

    return old["metadata"] is new["metadata"] or content(old["metadata"]) == content(new["metadata"])


def grace_of(pod: Object, options: Object) -> int:
    """Seconds a pod gets; a pod that never started or has ended gets none."""
    spec, phase = pod["spec"], pod.get("status", {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    asked = options.get("gracePeriodSeconds")
    if asked is None:
        asked = spec.get("terminationGracePeriodSeconds", 30)
    return 1 if asked < 0 else asked


def _marked(resource: Resource, old: Object, options: Object) -> Object | None:
    """The object as it stays while it is being deleted, or None when it goes at once."""
    metadata = dict(old["metadata"])
    finalizers = list(metadata.get("finalizers") or [])
    begun, pending = "deletionTimestamp" in metadata, metadata.get("deletionGracePeriodSeconds") or 0
    if begun and not pending:
        return old if finalizers or resource is NAMESPACES else None
    word = PROPAGATION_FINALIZERS.get(options.get("propagationPolicy", ""))
    if word and word not in finalizers:
        finalizers.append(word)
    grace = grace_of(old, options) if resource is PODS else 0
    if begun:
        # A grace that runs can only be shortened.
        grace = pending if options.get("gracePeriodSeconds") is None else min(grace, pending)
        if grace == pending:
            return old
    if not grace and not finalizers and resource is not NAMESPACES:
        return None
    start = epoch(metadata["deletionTimestamp"]) - pending if begun else time.time()
    metadata.update(deletionTimestamp=timestamp(start + grace), deletionGracePeriodSeconds=grace)
    if finalizers:
        metadata["finalizers"] = finalizers
    # A namespace is emptied by its controller before it goes.
    return {**old, "metadata": metadata, **({"status": {"phase": "Terminating"}} if resource is NAMESPACES else {})}
