# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two worlds of the sandbox are the same but for ids, addresses and times, and what one has too much.

Everything that was made under an id is known by what it is: a VM by cluster and name, its volume and address by the VM, a record by type and
name. Ids are replaced by that wherever they stand, so a target that points to another VM's id is a difference, and a new id of the same VM none.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import re
import typing as t

from tests.worldview import region

World = t.Mapping[str, t.Any]

GONE = ("terminated", "shutting-down")
# What ids and addresses look like, wherever they stand: in keys, ARNs, provider IDs.
IDS = re.compile(
    r"\b(?:(?:i|vol|eni|sg)-[0-9a-f]{17}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{16}|127\.\d+\.\d+\.\d+)\b"
)
TIME = re.compile(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.]*(?:Z|[+-]\d\d:\d\d)?"')
# Counters; and the log of which pod was bound when to what, of which the pods themselves are what is left.
PASSING = {"resourceVersion", "leaseTransitions", "bindings", "snapshot"}
OURS = re.compile(r"k8s_cluster\.manager cluster=(\S+) node=(\S+)")


class _Names:
    """What each id stands for; of several things of the same name the second is #2."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        self._taken: collections.Counter[str] = collections.Counter()

    def give(self, identity: str | None, name: str) -> str:
        """Name an id that has no name yet; its name."""
        if not identity:
            return ""
        if identity not in self.of:
            self._taken[name] += 1
            number = self._taken[name]
            self.of[identity] = name if number == 1 else f"{name} #{number}"
        return self.of[identity]


def _name_aws(names: _Names, world: World) -> None:
    aws = region(world)

    def order(item: tuple[str, t.Any]) -> tuple[t.Any, ...]:
        vm = item[1]
        return vm["state"] in GONE, vm["zone"], vm["client_token"], item[0]

    for identity, vm in sorted(aws["instances"].items(), key=order):
        name = names.give(identity, f"VM {vm['tags'].get('Cluster', '')}/{vm['tags'].get('Name', '')}")
        for kind in ("volumes", "interfaces"):
            for one in vm[kind]:
                names.give(one, f"{kind[:-1]} of {name}")
        for kind in ("private_ip", "public_ip"):
            names.give(vm[kind], f"{kind} of {name}")
    for identity, group in sorted(aws["security_groups"].items(), key=lambda item: json.dumps(item[1], sort_keys=True)):
        names.give(identity, f"security group {group['name']} in {group['vpc']}")
    for kind in ("load_balancers", "target_groups"):
        for arn, one in sorted(aws[kind].items()):
            names.give(arn.rpartition("/")[2], f"{kind} {one['name']}")
            for address in one.get("addresses", []):
                names.give(address, f"address of {one['name']}")
    for identity, interface in sorted(aws["interfaces"].items(), key=lambda item: (item[1]["description"], item[1]["subnet"])):
        what = IDS.sub(lambda found: names.of.get(found[0], "?"), f"{interface['description']} in {interface['subnet']}")
        name = names.give(identity, f"interface {what}")
        names.give(interface["private_ip"], f"address of {name}")


def _name_the_rest(names: _Names, world: World) -> None:
    for machine in world["talos"]["nodes"]:
        names.give(machine["boot"], f"boot of {names.of.get(machine['instance_id'], machine['instance_id'])}")
    for etcd in world["talos"]["etcd"]:
        for member in sorted(etcd["members"], key=lambda one: (one["name"], one["id"])):
            names.give(member["id"], f"member {member['name']}")
    for zone in world["cloudflare"].values():
        for record in sorted(zone["records"], key=lambda one: (one["type"], one["name"], one["content"])):
            names.give(record["id"], f"record {record['type']} {record['name']}")
    for cluster, kubernetes in world["kubernetes"].items():
        for kind, objects in kubernetes["objects"].items():
            for one in sorted(objects, key=lambda item: str(item["metadata"]["name"])):
                metadata = one["metadata"]
                names.give(metadata["uid"], "" if kind == "pods" else f"uid of {cluster}/{kind}/{metadata.get('namespace', '')}/{metadata['name']}")
                for machine in {key: value for key, value in one.get("status", {}).get("nodeInfo", {}).items() if key.endswith("ID")}.items():
                    names.give(machine[1], f"{machine[0]} of {metadata['name']}")


def _placed(kubernetes: dict[str, t.Any]) -> None:
    """Where the scheduler puts a pod, and under which name, is its own affair, as long as it is a node that takes pods."""
    objects = kubernetes["objects"]
    takes = {node["metadata"]["name"] for node in objects["nodes"] if not node["spec"].get("unschedulable")}

    def place(spec: dict[str, t.Any]) -> None:
        if spec.get("nodeName") in takes:
            spec["nodeName"] = "a node that takes pods"

    for pod in objects["pods"]:
        owner = pod["metadata"].get("ownerReferences", [{}])[0].get("kind")
        for key in ("name", "uid") if owner in ("DaemonSet", "ReplicaSet") else ("uid",):
            pod["metadata"].pop(key, None)
        if owner in ("ReplicaSet", "StatefulSet"):
            place(pod["spec"])
            for key in ("hostIP", "podIP", "podIPs"):
                pod["status"].pop(key, None)
    for attachment in objects["volumeattachments"]:
        place(attachment["spec"])


def _led(etcd: dict[str, t.Any]) -> None:
    """Which of the voters leads is etcd's own affair."""
    if etcd["leader"] in [member["id"] for member in etcd["members"] if not member["learner"]]:
        etcd["leader"] = "a voter"


def facts(world: World) -> collections.Counter[str]:
    """Everything the world holds, a line per leaf, in names instead of ids; the same line as often as the same thing is there."""
    names = _Names()
    _name_aws(names, world)
    _name_the_rest(names, world)
    text = TIME.sub('"a time"', json.dumps(world))
    named: dict[str, t.Any] = json.loads(IDS.sub(lambda found: names.of.get(found[0], found[0]), text))
    for kubernetes in named["kubernetes"].values():
        _placed(kubernetes)
    for etcd in named["talos"]["etcd"]:
        _led(etcd)
    lines: collections.Counter[str] = collections.Counter()
    _flatten("", named, lines)
    return lines


def _flatten(path: str, value: t.Any, lines: collections.Counter[str]) -> None:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            if key not in PASSING:
                _flatten(f"{path}/{key}", item, lines)
    elif isinstance(value, list) and value:
        keys = [_key(item) for item in value]
        unique = all(keys) and len(set(keys)) == len(keys)
        for key, item in zip(keys, value, strict=True):
            if unique:
                _flatten(f"{path}[{key}]", item, lines)
            else:
                lines[f"{path}[] {json.dumps(_lasting(item), sort_keys=True)}"] += 1
    else:
        lines[f"{path} {value!r}"] += 1


def _key(item: t.Any) -> str:
    """What tells an item of a list from the others, if it has such a thing."""
    if not isinstance(item, dict):
        return ""
    metadata = item.get("metadata")
    if isinstance(metadata, dict):
        return f"{metadata.get('namespace', '')}/{metadata['name']}" if "name" in metadata else ""
    return next((str(item[key]) for key in ("instance_id", "id", "ca", "uid") if item.get(key)), "")


def _lasting(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if key not in PASSING}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


def twins(world: World) -> list[str]:
    """VMs that live although another has their name in the same cluster, or came of the same launch."""
    living = [vm for vm in region(world)["instances"].values() if vm["state"] not in GONE]
    named = collections.Counter(f"{vm['tags']['Cluster']}/{vm['tags'].get('Name', '')}" for vm in living if vm["tags"].get("Cluster"))
    launched = collections.Counter(f"launch {vm['client_token']} in {vm['zone']}" for vm in living if vm["client_token"])
    return sorted(name for counted in (named, launched) for name, count in counted.items() for _extra in range(count - 1))


def orphans(world: World) -> collections.Counter[str]:
    """What is there without the VM that it belongs to, and VMs that belong to nothing, in names instead of ids."""
    aws = region(world)
    living = {identity: vm for identity, vm in aws["instances"].items() if vm["state"] not in GONE}
    nodes = {(vm["tags"].get("Cluster"), vm["tags"].get("Name")) for vm in living.values()}
    found = [f"VM without cluster or name, launch {vm['client_token']}" for vm in living.values() if not (vm["tags"].get("Cluster") and vm["tags"].get("Name"))]
    found += [f"volume of {one['size']} GB" for one in aws["volumes"].values() if one["instance"] not in living]
    found += [f"interface {one['description']}" for one in aws["interfaces"].values() if one["instance"] not in living and not _balances(aws, one)]
    addresses = {vm["private_ip"] for vm in living.values()}
    for group in aws["target_groups"].values():
        targets = [target.rpartition(":") for target in group["targets"]]
        found += [f"target in {group['name']} port {port}" for target, _colon, port in targets if target not in living and target not in addresses]
    for cluster, kubernetes in world["kubernetes"].items():
        names = [node["metadata"]["name"] for node in kubernetes["objects"]["nodes"]]
        found += [f"Node {cluster}/{name}" for name in names if (cluster, name.split(".")[0]) not in nodes]
    found += [f"member {one['name']}" for etcd in world["talos"]["etcd"] for one in etcd["members"] if one["instance_id"] not in living]
    for zone in world["cloudflare"].values():
        marks = [(record["name"], OURS.search(record.get("comment") or "")) for record in zone["records"]]
        found += [f"record {name}" for name, mark in marks if mark and (mark[1], mark[2]) not in nodes]
    return collections.Counter(found)


def _balances(aws: t.Mapping[str, t.Any], interface: t.Mapping[str, t.Any]) -> bool:
    """Whether an interface is that of a load balancer that is there."""
    return interface["description"].startswith("ELB ") and any(arn.endswith(interface["description"][4:]) for arn in aws["load_balancers"])


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is not as it should be: lines of the difference, names of twins and orphans."""

    differences: list[str]
    twins: list[str]
    orphans: list[str]

    @property
    def good(self) -> bool:
        """Whether the world converged."""
        return not (self.differences or self.twins or self.orphans)


class Expected:
    """The world as an undisturbed run left it, to judge others by."""

    def __init__(self, world: World) -> None:
        self.facts = facts(world)
        self._orphans = orphans(world)

    def judge(self, world: World) -> Verdict:
        """How a world differs."""
        found = facts(world)
        differences = [f"+ {line}" for line in (found - self.facts).elements()] + [f"- {line}" for line in (self.facts - found).elements()]
        return Verdict(sorted(differences, key=lambda line: (line[2:], line)), twins(world), sorted((orphans(world) - self._orphans).elements()))
