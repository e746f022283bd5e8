# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes and what runs on them: kubelets, the node lifecycle controller, the scheduler, and volumes following their pods."""

from __future__ import annotations

import time
import uuid

from . import scheduling
from .cluster import Cluster, Kubelet, Object, timestamp
from .eviction import condition
from .resources import ATTACHMENTS, CLAIMS, NODES, PODS, VOLUMES
from .turn import Turn, deleting, set_condition
from .validation import NOT_READY, UNREACHABLE

# Node conditions other than Ready: type → (reason, sentence) while all is well.
HEALTHY = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}
# What the lifecycle controller taints a node with that is not ready.
EVICTING = ("NoSchedule", "NoExecute")
SILENT = ("NodeStatusUnknown", "Kubelet stopped posting node status.")


def builtin_labels(name: str) -> dict[str, str]:
    """Labels every kubelet gives its Node."""
    machine = {"arch": "amd64", "os": "linux"}
    return {f"{domain}/{key}": word for domain in ("beta.kubernetes.io", "kubernetes.io") for key, word in machine.items()} | {"kubernetes.io/hostname": name}


def node_object(name: str, kubelet: Kubelet, version: str) -> Object:
    """The Node as its kubelet registers it."""
    annotations = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
    metadata = {"name": name, "labels": {**builtin_labels(name), **kubelet.labels}, "annotations": annotations}
    spec: Object = {"taints": [dict(taint) for taint in kubelet.taints]}
    if kubelet.provider_id:
        spec["providerID"] = kubelet.provider_id
    return {"kind": "Node", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": kubelet_status({}, name, kubelet, version)}


def kubelet_status(status: Object, name: str, kubelet: Kubelet, version: str) -> Object:
    """The status as the kubelet posts it."""
    words = {"kernelVersion": "6.12.40-talos", "osImage": kubelet.os_image, "containerRuntimeVersion": "containerd://2.1.4"}
    identity = uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}/{kubelet.provider_id}")
    machine = {"machineID": identity.hex, "systemUUID": str(identity), "bootID": str(identity), "architecture": "amd64", "operatingSystem": "linux"}
    info = {**machine, **words, "kubeletVersion": version, "kubeProxyVersion": ""}
    resources = {"cpu": "2", "memory": "4026532Ki", "pods": "110", "ephemeral-storage": "41926636Ki"}
    fresh = {
        **status,
        "capacity": resources,
        "allocatable": resources,
        "addresses": [{"type": "InternalIP", "address": kubelet.address}, {"type": "Hostname", "address": name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": info,
    }
    for kind, (reason, message) in HEALTHY.items():
        fresh = set_condition(fresh, kind, "False", reason, message)
    if kubelet.ready:
        return set_condition(fresh, "Ready", "True", "KubeletReady", "kubelet is posting ready status")
    return set_condition(fresh, "Ready", "False", "KubeletNotReady", "container runtime network not ready: NetworkReady=false")


def register(cluster: Cluster, name: str, version: str) -> None:
    """A kubelet that starts: it creates its Node, or takes an existing one as it is, with only its own labels and status renewed."""
    kubelet = cluster.kubelets[name]
    kubelet.missing_since = None
    old = cluster.find(NODES, "", name)
    if old is None:
        cluster.create(NODES, "", node_object(name, kubelet, version))
        return
    labels = {**(old["metadata"].get("labels") or {}), **builtin_labels(name)}
    status = kubelet_status(old.get("status") or {}, name, kubelet, version)
    cluster.store(NODES, {**old, "metadata": {**old["metadata"], "labels": labels}, "status": status})


def _retainted(node: Object, key: str) -> Object:
    """The node with the lifecycle controller's taints: those of `key` ("" = none)."""
    if {taint["key"] for taint in node["spec"].get("taints") or [] if taint["key"] in (NOT_READY, UNREACHABLE)} == ({key} if key else set()) and not (
        key and len([taint for taint in node["spec"]["taints"] if taint["key"] == key]) < len(EVICTING)
    ):
        return node
    kept = [taint for taint in node["spec"].get("taints") or [] if taint["key"] not in (NOT_READY, UNREACHABLE)]
    present = {(taint["key"], taint["effect"]): taint for taint in node["spec"].get("taints") or []}
    wanted = []
    for effect in EVICTING if key else ():
        added = {"timeAdded": timestamp()} if effect == "NoExecute" else {}
        wanted.append(present.get((key, effect), {"key": key, "effect": effect, **added}))
    spec = {**node["spec"], "taints": kept + wanted}
    if not spec["taints"]:
        del spec["taints"]
    return {**node, "spec": spec}


def _silent(status: Object) -> Object:
    for kind in (*HEALTHY, "Ready"):
        status = set_condition(status, kind, "Unknown", *SILENT)
    return status


def kubelets(turn: Turn) -> None:
    """Live kubelets post their status; one whose Node was deleted stays away unless told to come back (it registers only when it starts)."""
    for name, kubelet in sorted(turn.cluster.kubelets.items()):
        node = turn.cluster.find(NODES, "", name)
        if node is None:
            _missing(turn, name, kubelet)
        elif kubelet.alive:
            if kubelet.posted != (node["metadata"]["resourceVersion"], kubelet.ready):
                node = turn.cluster.store(NODES, {**node, "status": kubelet_status(node.get("status") or {}, name, kubelet, turn.version)})
                kubelet.posted = (node["metadata"]["resourceVersion"], kubelet.ready)
        elif condition(node, "Ready") != "Unknown" and turn.due(f"monitor/{name}", "node.monitor", 0.5):
            turn.cluster.store(NODES, {**node, "status": _silent(node["status"])})


def _missing(turn: Turn, name: str, kubelet: Kubelet) -> None:
    # Read by its exact name: {"*": 0} must not make every kubelet come back.
    seconds = turn.ledger.delays.get("kubelet.reregister", -1)
    if kubelet.missing_since is None:
        kubelet.missing_since = turn.now
    if not kubelet.alive or seconds < 0:
        return
    if turn.now >= kubelet.missing_since + seconds:
        register(turn.cluster, name, turn.version)
    else:
        turn.wake = min(turn.wake, kubelet.missing_since + seconds)


def lifecycle(turn: Turn) -> None:
    """The node lifecycle controller: taints by condition, pods of silent nodes are not ready, evictions by taint."""
    for node in turn.cluster.list(NODES):
        state = condition(node, "Ready")
        key = {"True": "", "Unknown": UNREACHABLE}.get(state, NOT_READY)
        turn.cluster.store(NODES, _retainted(node, key))
    troubled = {node["metadata"]["name"]: node for node in turn.cluster.list(NODES) if _troubled(node)}
    for pod in turn.cluster.list(PODS) if troubled else ():
        if home := troubled.get(pod["spec"].get("nodeName", "")):
            _pod_on(turn, pod, home)


def _troubled(node: Object) -> bool:
    """Whether the node has anything that its pods feel."""
    return not scheduling.ready(node) or any(taint["effect"] == "NoExecute" for taint in node["spec"].get("taints") or [])


def _pod_on(turn: Turn, pod: Object, node: Object) -> None:
    if not scheduling.ready(node) and condition(pod, "Ready") == "True":
        pod = turn.cluster.store(PODS, {**pod, "status": set_condition(pod["status"], "Ready", "False", "NodeNotReady")})
    if deleting(pod):
        return
    tolerations = pod["spec"].get("tolerations") or []
    uid = pod["metadata"]["uid"]
    for taint in node["spec"].get("taints") or []:
        if taint["effect"] != "NoExecute":
            continue
        covering = [item for item in tolerations if scheduling.tolerates(item, taint)]
        patience = [item["tolerationSeconds"] for item in covering if item.get("tolerationSeconds") is not None]
        forever = covering and not patience
        if not covering or (not forever and turn.due(f"taint/{uid}", "pod.toleration", min(*patience, 2.0))):
            turn.remove(PODS, pod)
            return


def schedule(turn: Turn) -> None:
    """Bind pods that have no node yet: the emptiest node that takes them, and a record of what the node looked like then."""
    cluster = turn.cluster
    waiting = [pod for pod in cluster.list(PODS) if not pod["spec"].get("nodeName") and not deleting(pod) and not pod["spec"].get("schedulingGates")]
    if not waiting:
        return
    load: dict[str, int] = {node["metadata"]["name"]: 0 for node in cluster.list(NODES)}
    for pod in cluster.list(PODS):
        if pod["spec"].get("nodeName") in load:
            load[pod["spec"]["nodeName"]] += 1
    for pod in waiting:
        tied = scheduling.tied_to(pod["spec"])
        nodes = cluster.list(NODES) if tied is None else [node for name in tied if (node := cluster.find(NODES, "", name))]
        open_nodes = [(load[name], name) for node in nodes if not scheduling.refusal(pod["spec"], node) for name in [node["metadata"]["name"]]]
        if open_nodes:
            _load, name = min(open_nodes)
            load[name] += 1
            bind(cluster, pod, name)
        else:
            refusals = {node["metadata"]["name"]: scheduling.refusal(pod["spec"], node) for node in cluster.list(NODES)}
            cluster.store(PODS, {**pod, "status": set_condition(pod["status"], "PodScheduled", "False", "Unschedulable", _no_node(refusals))})


def _no_node(refusals: dict[str, str]) -> str:
    counts = {why: list(refusals.values()).count(why) for why in sorted(set(refusals.values()))}
    said = ", ".join(f"{count} {why}" for why, count in counts.items())
    return f"0/{len(refusals)} nodes are available: {said}." if said else "no nodes available to schedule pods"


def bind(cluster: Cluster, pod: Object, name: str) -> None:
    """Give a pod its node."""
    node = cluster.get(NODES, "", name)
    metadata = pod["metadata"]
    cluster.bindings.append(
        {
            "pod": f"{metadata['namespace']}/{metadata['name']}",
            "uid": metadata["uid"],
            "node": name,
            "node_uid": node["metadata"]["uid"],
            "labels": dict(node["metadata"].get("labels") or {}),
            "taints": [dict(taint) for taint in node["spec"].get("taints") or []],
            "ready": scheduling.ready(node),
            "at": time.time(),
        }
    )
    cluster.store(PODS, {**pod, "spec": {**pod["spec"], "nodeName": name}, "status": set_condition(pod["status"], "PodScheduled", "True")})


def run_pods(turn: Turn) -> None:
    """Kubelets start bound pods, stop terminating ones, and leave everything as it is where they are dead; pods of vanished nodes are collected."""
    for pod in turn.cluster.list(PODS):
        name = pod["spec"].get("nodeName")
        if not name:
            continue
        kubelet = turn.cluster.kubelets.get(name)
        uid = pod["metadata"]["uid"]
        if turn.cluster.find(NODES, "", name) is None:
            if turn.due(f"orphan/{uid}", "pod.gc", 0.3):
                turn.remove(PODS, pod, grace=0)
        elif kubelet is None or not kubelet.alive:
            continue
        elif deleting(pod):
            # The key holds the grace, so that a shortened one counts anew.
            grace = pod["metadata"].get("deletionGracePeriodSeconds")
            if grace and turn.after(f"stop/{uid}/{grace}", stopping_time(turn, pod)):
                turn.remove(PODS, pod, grace=0)
        elif condition(pod, "Ready") != "True" and pod["status"].get("phase") in ("Pending", "Running") and kubelet.ready:
            _start(turn, pod, kubelet)


def stopping_time(turn: Turn, pod: Object) -> float:
    """Seconds until a pod's processes have ended, at most its grace; an annotation makes one take its own time."""
    asked = (pod["metadata"].get("annotations") or {}).get("sandbox/stops-after")
    usual = turn.ledger.delay("pod.terminating", 0.2)
    return min(usual if asked is None else float(asked), float(pod["metadata"]["deletionGracePeriodSeconds"]))


def _start(turn: Turn, pod: Object, kubelet: Kubelet) -> None:
    if not _volumes_attached(turn.cluster, pod) or not turn.due(f"start/{pod['metadata']['uid']}", "pod.start", 0.1):
        return
    if (pod["metadata"].get("annotations") or {}).get("sandbox/never-ready"):
        turn.cluster.store(PODS, {**pod, "status": {**pod["status"], "phase": "Running"}})
        return
    started = pod["status"].get("startTime") or timestamp()
    status = {**pod["status"], "phase": "Running", "hostIP": kubelet.address, "podIP": kubelet.address, "startTime": started}
    for kind in ("Initialized", "ContainersReady", "Ready"):
        status = set_condition(status, kind, "True")
    turn.cluster.store(PODS, {**pod, "status": status})


CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
STATIC_PODS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


def static_pods(turn: Turn) -> None:
    """Kubelets of control planes show their static pods as mirror pods, and show them again when they are deleted: no drain gets rid of them."""
    for name, kubelet in sorted(turn.cluster.kubelets.items()):
        node = turn.cluster.find(NODES, "", name)
        if node is None or not kubelet.ready or CONTROL_PLANE not in (node["metadata"].get("labels") or {}):
            continue
        for component in STATIC_PODS:
            if turn.cluster.find(PODS, "kube-system", f"{component}-{name}") is None:
                turn.make(PODS, "kube-system", _mirror(component, node))


def _mirror(component: str, node: Object) -> Object:
    name = node["metadata"]["name"]
    digest = uuid.uuid5(uuid.NAMESPACE_DNS, component).hex
    annotations = {"kubernetes.io/config.mirror": digest, "kubernetes.io/config.hash": digest, "kubernetes.io/config.source": "file"}
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"], "controller": True}
    labels = {"tier": "control-plane", "k8s-app": component}
    container = {"name": component, "image": f"registry.k8s.io/{component}:{node['status']['nodeInfo']['kubeletVersion']}"}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": f"{component}-{name}", "labels": labels, "annotations": annotations, "ownerReferences": [owner]},
        "spec": {"nodeName": name, "hostNetwork": True, "containers": [container], "tolerations": [{"operator": "Exists", "effect": "NoExecute"}]},
    }


# Volumes


def pod_volumes(cluster: Cluster, pod: Object) -> list[str]:
    """Names of the attachable persistent volumes a pod uses."""
    found = []
    for volume in pod["spec"].get("volumes") or []:
        claim_name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        claim = cluster.find(CLAIMS, pod["metadata"]["namespace"], claim_name) if claim_name else None
        name = claim["spec"].get("volumeName") if claim else None
        stored = cluster.find(VOLUMES, "", name) if name else None
        if stored and stored["spec"].get("csi"):
            found.append(stored["metadata"]["name"])
    return found


def _attachment(cluster: Cluster, volume: str) -> Object | None:
    return next((item for item in cluster.list(ATTACHMENTS) if item["spec"]["source"].get("persistentVolumeName") == volume), None)


def _volumes_attached(cluster: Cluster, pod: Object) -> bool:
    node = pod["spec"]["nodeName"]
    held = [_attachment(cluster, volume) for volume in pod_volumes(cluster, pod)]
    return all(item is not None and item["spec"]["nodeName"] == node and (item.get("status") or {}).get("attached") for item in held)


def provision(turn: Turn) -> None:
    """The provisioner of the EBS driver: a claim without a volume gets one of its own, which goes with the claim."""
    cluster = turn.cluster
    for claim in cluster.list(CLAIMS):
        metadata, spec = claim["metadata"], claim["spec"]
        name = spec.get("volumeName") or f"pvc-{metadata['uid']}"
        if deleting(claim):
            continue
        if cluster.find(VOLUMES, "", name) is None and not spec.get("volumeName"):
            turn.make(VOLUMES, "", _volume(name, claim))
            cluster.store(CLAIMS, {**claim, "spec": {**spec, "volumeName": name}, "status": {"phase": "Bound"}})
        elif (claim.get("status") or {}).get("phase") != "Bound" and cluster.find(VOLUMES, "", name):
            cluster.store(CLAIMS, {**claim, "status": {"phase": "Bound"}})
    for volume in cluster.list(VOLUMES):
        reference = volume["spec"].get("claimRef")
        if reference and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete" and not _claimed(cluster, reference):
            cluster.drop(VOLUMES, volume)


def _claimed(cluster: Cluster, reference: Object) -> bool:
    claim = cluster.find(CLAIMS, reference["namespace"], reference["name"])
    return claim is not None and claim["metadata"]["uid"] == reference["uid"]


def _volume(name: str, claim: Object) -> Object:
    metadata, spec = claim["metadata"], claim["spec"]
    requested = (spec.get("resources") or {}).get("requests") or {"storage": "1Gi"}
    return {
        "kind": "PersistentVolume",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "spec": {
            "capacity": dict(requested),
            "accessModes": list(spec.get("accessModes") or ["ReadWriteOnce"]),
            "claimRef": {"kind": "PersistentVolumeClaim", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]},
            "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": f"vol-{metadata['uid'].replace('-', '')[:17]}"},
            "persistentVolumeReclaimPolicy": "Delete",
        },
    }


def volumes(turn: Turn) -> None:
    """The attach/detach controller: a volume follows its pod, and is let go some time after the pod is gone or with the VM's end."""
    cluster = turn.cluster
    wanted: dict[tuple[str, str], Object] = {}
    for pod in cluster.list(PODS):
        if pod["spec"].get("nodeName") and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            wanted.update({(volume, pod["spec"]["nodeName"]): pod for volume in pod_volumes(cluster, pod)})
    for item in cluster.list(ATTACHMENTS):
        _keep_or_detach(turn, item, wanted)
    for volume, node in sorted(wanted):
        if _attachment(cluster, volume) is None and not _gone(cluster, node):
            _attach(turn, volume, node)


def _gone(cluster: Cluster, node: str) -> bool:
    kubelet = cluster.kubelets.get(node)
    return kubelet is not None and kubelet.gone


def _keep_or_detach(turn: Turn, item: Object, wanted: dict[tuple[str, str], Object]) -> None:
    name, node = item["metadata"]["name"], item["spec"]["nodeName"]
    used = (item["spec"]["source"].get("persistentVolumeName", ""), node) in wanted
    if used and not _gone(turn.cluster, node):
        return
    if turn.due(f"detach/{name}", "volume.detach", 0.5):
        turn.cluster.drop(ATTACHMENTS, item)


def _attach(turn: Turn, volume: str, node: str) -> None:
    attacher = turn.cluster.get(VOLUMES, "", volume)["spec"]["csi"]["driver"]
    made = {
        "kind": "VolumeAttachment",
        "apiVersion": "storage.k8s.io/v1",
        "metadata": {"name": f"csi-{volume}"},
        "spec": {"attacher": attacher, "nodeName": node, "source": {"persistentVolumeName": volume}},
    }
    if fresh := turn.make(ATTACHMENTS, "", made):
        turn.cluster.store(ATTACHMENTS, {**fresh, "status": {"attached": True}})
