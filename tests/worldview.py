# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster as the sandbox's world has it, whatever the playbooks say of it."""

from __future__ import annotations

import dataclasses
import json
import typing as t

World = t.Mapping[str, t.Any]

# Of the world, what belongs to nobody's nodes or moves by itself: counters, times, the order in which pods were bound.
PASSING = {"resourceVersion", "creationTimestamp", "lastHeartbeatTime", "lastTransitionTime", "modified_on", "created_on", "comment_modified_on"}


@dataclasses.dataclass(frozen=True)
class Node:
    """What there is of one node in each system; empty where there is nothing."""

    name: str
    instance_id: str
    role: str
    state: str
    address: str
    zone: str
    stage: str
    ready: bool
    labels: dict[str, str]
    taints: list[str]
    targets: dict[str, str]
    records: list[str]
    member: str


def region(world: World) -> dict[str, t.Any]:
    """AWS' part of the world; a sandbox has one region."""
    (only,) = world["aws"]["regions"].values()
    return t.cast("dict[str, t.Any]", only)


def nodes(world: World, cluster: str) -> dict[str, Node]:
    """The nodes of a cluster that have a VM, by name."""
    found = {}
    for instance_id, instance in region(world)["instances"].items():
        if instance["tags"].get("Cluster") == cluster and instance["state"] not in ("terminated", "shutting-down"):
            node = _node(world, cluster, instance_id, instance)
            found[node.name] = node
    return dict(sorted(found.items()))


def _node(world: World, cluster: str, instance_id: str, instance: t.Mapping[str, t.Any]) -> Node:
    name = instance["tags"].get("Name", "")
    machine: dict[str, t.Any] = next((item for item in world["talos"]["nodes"] if item["instance_id"] == instance_id), {})
    kubernetes = next((item for item in kubernetes_nodes(world, cluster) if item["metadata"]["name"].split(".")[0] == name), {})
    conditions = {item["type"]: item["status"] for item in kubernetes.get("status", {}).get("conditions", [])}
    return Node(
        name=name,
        instance_id=instance_id,
        role=machine.get("type") or instance["tags"].get("Role", ""),
        state=instance["state"],
        address=instance["private_ip"] or "",
        zone=instance["zone"],
        stage=machine.get("stage", ""),
        ready=conditions.get("Ready") == "True",
        labels=kubernetes.get("metadata", {}).get("labels", {}),
        taints=[f"{item['key']}={item.get('value', '')}:{item['effect']}" for item in kubernetes.get("spec", {}).get("taints", [])],
        targets=targets(world, instance_id, instance["private_ip"]),
        records=[item["content"] for item in records(world) if item["name"].split(".")[0] == name and item["type"] == "A"],
        member=next((("learner" if item["learner"] else "voter") for item in members(world) if item["instance_id"] == instance_id), ""),
    )


def kubernetes_nodes(world: World, cluster: str) -> list[dict[str, t.Any]]:
    """The Node objects of a cluster."""
    return t.cast("list[dict[str, t.Any]]", world["kubernetes"][cluster]["objects"]["nodes"])


def members(world: World) -> list[dict[str, t.Any]]:
    """The etcd members of all clusters."""
    return [member for etcd in world["talos"]["etcd"] for member in etcd["members"]]


def records(world: World) -> list[dict[str, t.Any]]:
    """The DNS records of all zones."""
    return [record for zone in world["cloudflare"].values() for record in zone["records"]]


def targets(world: World, *ids: str | None) -> dict[str, str]:
    """Target group:port to state, for targets with one of these ids."""
    return {
        f"{group['name']}:{target.rpartition(':')[2]}": health["State"]
        for group in region(world)["target_groups"].values()
        for target, health in group["targets"].items()
        if target.rpartition(":")[0] in ids
    }


def facts(world: World) -> set[str]:
    """Everything the world holds, as one line per leaf; two equal worlds give equal sets."""
    lines: set[str] = set()

    def walk(path: str, value: t.Any) -> None:
        if isinstance(value, t.Mapping):
            for key, item in value.items():
                if key not in PASSING:
                    walk(f"{path}/{key}", item)
        elif isinstance(value, list):
            keys = [_identity(item) for item in value]
            if value and all(keys) and len(set(keys)) == len(keys):
                for key, item in zip(keys, value, strict=True):
                    walk(f"{path}[{key}]", item)
            else:
                lines.update(f"{path}[] {json.dumps(_lasting(item), sort_keys=True)}" for item in value)
        else:
            lines.add(f"{path} {value!r}")

    walk("", {key: value for key, value in world.items() if key != "snapshot"})
    return lines


def _identity(item: t.Any) -> str:
    """What tells an item of a list from the others, if it has such a thing."""
    if not isinstance(item, t.Mapping):
        return ""
    metadata = item.get("metadata")
    if isinstance(metadata, t.Mapping) and "name" in metadata:
        return f"{metadata.get('namespace', '')}/{metadata['name']}"
    if item.get("pod"):  # a binding: a StatefulSet's pod is bound again under its old name
        return f"{item['pod']} {item.get('uid')}"
    return next((str(item[key]) for key in ("uid", "instance_id", "id", "ca") if item.get(key)), "")


def _lasting(value: t.Any) -> t.Any:
    """A value without what moves by itself."""
    if isinstance(value, t.Mapping):
        return {key: _lasting(item) for key, item in value.items() if key not in PASSING}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


def table(found: t.Mapping[str, Node]) -> str:
    """Nodes as a table for people."""
    rows = [("NAME", "ROLE", "ADDRESS", "ZONE", "TALOS", "KUBERNETES", "ETCD", "BEHIND", "DNS")]
    for node in found.values():
        healthy = sum(state == "healthy" for state in node.targets.values())
        kind = "apiserver" if any("apiserver" in name for name in node.targets) else "ingress"
        rows.append(
            (
                node.name,
                node.role,
                node.address,
                node.zone,
                node.stage,
                "Ready" if node.ready else "not Ready",
                node.member,
                f"{kind} {healthy}/{len(node.targets)} healthy" if node.targets else "nothing",
                "yes" if node.records == [node.address] else ", ".join(node.records) or "no",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows)
