# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One round of a cluster's control loops: the clock, the delays, and the writes that loops share."""

from __future__ import annotations

import time

from ..calls import Ledger
from .cluster import Cluster, Object, timestamp
from .errors import ApiError
from .resources import PODS, Resource


class Turn:
    """The state of one round. wake: monotonic time at which the next round is due (infinity = on the next change). version: of new kubelets."""

    def __init__(self, cluster: Cluster, ledger: Ledger, version: str) -> None:
        self.cluster = cluster
        self.ledger = ledger
        self.version = version
        self.now = time.monotonic()
        self.wake = float("inf")
        self._touched: set[str] = set()

    def due(self, key: str, delay: str, seconds: float) -> bool:
        """True once the named delay has passed since this was first asked for the key."""
        return self.after(key, self.ledger.delay(delay, seconds))

    def after(self, key: str, seconds: float) -> bool:
        """True once so many seconds have passed since this was first asked for the key."""
        self._touched.add(key)
        moment = self.cluster.timers.setdefault(key, self.now + seconds)
        if self.now >= moment:
            return True
        self.wake = min(self.wake, moment)
        return False

    def finish(self) -> None:
        """Forget timers that no loop asked for: their reason is gone."""
        for key in [key for key in self.cluster.timers if key not in self._touched]:
            del self.cluster.timers[key]

    def remove(self, resource: Resource, obj: Object, grace: int | None = None) -> None:
        """Delete an object as a controller does, if it is still there."""
        metadata = obj["metadata"]
        stored = self.cluster.find(resource, metadata.get("namespace", ""), metadata["name"])
        if stored is None or stored["metadata"]["uid"] != metadata["uid"]:
            return
        options = {} if grace is None else {"gracePeriodSeconds": grace}
        self.cluster.delete(resource, metadata.get("namespace", ""), metadata["name"], options)

    def make(self, resource: Resource, namespace: str, obj: Object) -> Object | None:
        """Create an object as a controller does; one that is refused is tried again a while later, and None returned."""
        try:
            return self.cluster.create(resource, namespace, obj)
        except ApiError:
            self.wake = min(self.wake, self.now + 0.5)
            return None

    def make_pod(self, owner: Object, name: str, spec: Object) -> None:
        """Create a pod of a workload."""
        template = owner["spec"]["template"].get("metadata") or {}
        reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        naming = {"name": name} if name else {"generateName": f"{owner['metadata']['name']}-"}
        metadata = {
            **naming,
            "labels": dict(template.get("labels") or {}),
            "annotations": dict(template.get("annotations") or {}),
            "ownerReferences": [{**reference, "controller": True, "blockOwnerDeletion": True}],
        }
        pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {key: value for key, value in metadata.items() if value}, "spec": spec}
        self.make(PODS, owner["metadata"]["namespace"], pod)


def set_condition(status: Object, kind: str, value: str, reason: str = "", message: str = "") -> Object:
    """The status with a condition; the time of transition changes with the value alone."""
    conditions = list(status.get("conditions") or [])
    old = next((item for item in conditions if item["type"] == kind), None)
    if old and (old["status"], old.get("reason", ""), old.get("message", "")) == (value, reason, message):
        return status
    fresh = {"type": kind, "status": value, "lastTransitionTime": old["lastTransitionTime"] if old and old["status"] == value else timestamp()}
    fresh.update({key: text for key, text in (("reason", reason), ("message", message)) if text})
    return {**status, "conditions": [item for item in conditions if item["type"] != kind] + [fresh]}


def owned_by(obj: Object, owner: Object) -> bool:
    """Whether owner is the object's controller."""
    return any(item.get("controller") and item["uid"] == owner["metadata"]["uid"] for item in obj["metadata"].get("ownerReferences") or [])


def deleting(obj: Object) -> bool:
    """Whether the object is marked for deletion."""
    return "deletionTimestamp" in obj["metadata"]
