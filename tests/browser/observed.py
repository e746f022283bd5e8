# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up cluster of any size, as modules would tell of it: everything well, then some of it not."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.plugin_utils import _observation
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._description import description, priced

Record = dict[str, t.Any]
CLUSTER = "fargle"
ARN = "arn:aws:elasticloadbalancing:eu-central-1:123456789012"
ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
# Load balancer, port, kind.
GROUPS = (
    ("fargle-apiserver", 6443, "apiserver"),
    ("fargle-ingress-internal", 30080, "ingress"),
    ("fargle-ingress-internal", 30443, "ingress"),
    ("fargle-ingress-external", 31080, "ingress"),
    ("fargle-ingress-external", 31443, "ingress"),
)


@dataclasses.dataclass
class Observed:
    """What the modules return of a cluster, each in its own shape; tests change it before they look."""

    instances: list[Record]
    details: Record
    balancers: list[Record]
    groups: list[Record]
    members: list[Record]
    nodes: list[Record]
    records: list[Record]
    talos: list[Record]
    inputs: Record

    @property
    def rows(self) -> list[Record]:
        """The observation's rows."""
        return _observation.cluster_nodes(self.instances, self.details, self.groups, self.members, self.nodes, self.records, self.talos, self.inputs)

    def described(self, **more: t.Any) -> Record:
        """The description."""
        voters = len(self.members)
        quorum = {"voters": voters, "healthy": sum(one["healthy"] for one in self.members), "needed": voters // 2 + 1, "tolerates": (voters - 1) // 2}
        found = {"load_balancers": self.balancers, "target_groups": self.groups}
        told: Record = {"found": found, "quorum": quorum, "unread": {}, **more}
        return description(self.rows, CLUSTER, **told)

    def priced(self, unread: t.Mapping[str, str] | None = None) -> Record:
        """What of it is paid for."""
        return priced(self.rows, CLUSTER, self.balancers, unread)

    def named(self, name: str, kind: str) -> Record:
        """What one of the lists has of a node."""
        key = {"nodes": "node_name", "members": "hostname"}.get(kind, "name")
        return next(one for one in getattr(self, kind) if one[key].partition(".")[0] == name)


def cluster(size: int, planes: int = 3, stem: str = "") -> Observed:
    """A cluster of so many nodes, all of them well. stem: put before the numbers of workers instead of a name like fargle-worker-."""
    roles = ["controlplane"] * min(planes, size) + ["worker"] * (size - min(planes, size))
    names = [
        f"fargle-controlplane-{number + 1}" if role == "controlplane" else f"{stem or 'fargle-worker-'}{number + 1 - planes}"
        for number, role in enumerate(roles)
    ]
    known = list(enumerate(zip(names, roles, strict=True)))
    instances = [_instance(number, name, role) for number, (name, role) in known]
    volumes = [{"id": f"vol-{number:017x}", "type": "gp3", "size_gb": 80, "iops": 3000, "throughput": 125} for number in range(size)]
    details = {
        "instances": [{"instance_id": one["instance_id"], "status": "ok", "volumes": [volume]} for one, volume in zip(instances, volumes, strict=True)],
        "instance_types": [{"instance_type": "m5.large", "vcpus": 2, "memory_mib": 8192}],
        "machines": [],
    }
    return Observed(
        instances=instances,
        details=details,
        balancers=[_balancer(name) for name in dict.fromkeys(name for name, _port, _kind in GROUPS)],
        groups=[_group(name, port, kind, instances) for name, port, kind in GROUPS],
        members=[_member(number, name) for number, (name, role) in known if role == "controlplane"],
        nodes=[_node(number, name) for number, (name, _role) in known],
        records=[_record(number, name) for number, (name, _role) in known],
        talos=[_talos(number, name) for number, (name, _role) in known],
        inputs={role: {"image_id": instances[0]["image_id"], "instance_type": "m5.large"} for role in ("controlplane", "worker")},
    )


def troubled(size: int) -> Observed:
    """A cluster of so many nodes, every tenth of which lacks something, and another thing each."""
    found = cluster(size, planes=3 if size > 3 else 1)
    for number, instance in enumerate(found.instances[::10]):
        _trouble(found, number, instance)
    return found


def _trouble(found: Observed, number: int, instance: Record) -> None:
    name = instance["name"]
    mine = [target for group in found.groups for target in group["targets"] if target["id"] == instance["instance_id"]]
    if number % 6 == 0:
        found.named(name, "nodes").update(ready=False, condition="Ready=Unknown NodeStatusUnknown: Kubelet stopped posting node status.")
    elif number % 6 == 1:
        mine[0].update(state="unhealthy", reason="Target.FailedHealthChecks", description="Health checks failed")
    elif number % 6 == 2:
        found.named(name, "talos")["drift"] = True
    elif number % 6 == 3:
        instance["state"] = "stopped"
    elif number % 6 == 4:
        found.records.remove(found.named(name, "records"))
    else:
        found.named(name, "talos").update(was="unreachable", drift=None, talos_version=None, stage=None, seen="no answer within 5 s")


def _address(number: int) -> str:
    return f"10.0.{1 + number // 250}.{1 + number % 250}"


def _instance(number: int, name: str, role: str) -> Record:
    return {
        "instance_id": f"i-{number:017x}",
        "name": name,
        "role": role,
        "state": "running",
        "private_ip": _address(number),
        "public_ip": None,
        "subnet_id": "subnet-0123456789abcdef0",
        "az": ZONES[number % 3],
        "image_id": "ami-0123456789abcdef0",
        "instance_type": "m5.large",
        "launch_time": "2026-10-24T08:00:00+00:00",
        "tags": {"Cluster": CLUSTER, "Name": name, "Role": role},
        "unfinished": False,
    }


def _balancer(name: str) -> Record:
    return {
        "arn": f"{ARN}:loadbalancer/net/{name}/1",
        "name": name,
        "type": "network",
        "dns_name": f"{name}-0123456789abcdef.elb.eu-central-1.amazonaws.com",
        "scheme": "internet-facing" if name.endswith("external") else "internal",
        "state": "active",
        "zones": list(ZONES),
        "controller_owned": False,
    }


def _group(balancer: str, port: int, kind: str, instances: t.Sequence[Record]) -> Record:
    role = "controlplane" if kind == "apiserver" else "worker"
    health = {"port": port, "az": "", "state": "healthy", "reason": "", "description": ""}
    return {
        "arn": f"{ARN}:targetgroup/{balancer}-{port}/1",
        "name": f"{balancer}-{port}",
        "load_balancer_arns": [f"{ARN}:loadbalancer/net/{balancer}/1"],
        "protocol": "TCP",
        "port": port,
        "target_type": "instance",
        "kind": kind,
        "skipped": "",
        "targets": [{"id": one["instance_id"], **health} for one in instances if one["role"] == role],
    }


def _member(number: int, name: str) -> Record:
    shown = {"learner": False, "healthy": True, "problem": "", "leader": number == 0, "alarms": []}
    return {"id": f"{number + 1:016x}", "hostname": name, "addresses": [_address(number)], **shown}


def _node(number: int, name: str) -> Record:
    return {
        "node_name": name,
        "uid": f"uid-{number}",
        "ready": True,
        "condition": "Ready=True KubeletReady: kubelet is posting ready status",
        "address": _address(number),
        "provider_id": "",
        "labels": {},
        "taints": [],
        "unschedulable": False,
        "created": "2026-10-24T08:03:00Z",
        "kubelet_version": "v1.33.4",
        "os_image": "Talos (v1.11.6)",
    }


def _record(number: int, name: str) -> Record:
    return {"id": f"r{number}", "name": f"{name}.k8s.example.com", "type": "A", "content": _address(number), "node": name, "ours": True}


def _talos(number: int, name: str) -> Record:
    return {
        "name": name,
        "address": _address(number),
        "was": "configured",
        "stage": "running",
        "talos_version": "v1.11.6",
        "drift": False,
        "seen": "stage running",
    }
