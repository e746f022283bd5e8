# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""What AWS, Kubernetes, etcd, DNS and the nodes themselves know of a cluster's nodes, joined: one row per node.

Whoever knows a node knows it by other marks: EC2 by id, name and address, a target group by id or address, etcd by address, Kubernetes by provider id,
address and name, DNS by name. What has no VM of the cluster gets rows too: that is what is left of nodes, or belongs to a VM without the tag.
"""

from __future__ import annotations

import re
import typing as t

from . import _names

Record = dict[str, t.Any]
Records = t.Sequence[t.Mapping[str, t.Any]]

_TALOS = re.compile(r"Talos \((v?[^)]+)\)")


def strange_machines(instances: Records, target_groups: Records, members: Records, nodes: Records) -> list[str]:
    """The ids and addresses of machines in the cluster's places that are none of its instances, for the option machines of ec2_node_info."""
    known = {item[key] for item in instances for key in ("instance_id", "private_ip")}
    targets = [target["id"] for group in target_groups for target in group["targets"]]
    addresses = [address for member in members for address in member["addresses"]]
    ids = [mark for node in nodes for mark in (_instance_id(node), node["address"])]
    return [mark for mark in dict.fromkeys([*targets, *addresses, *ids]) if mark and mark not in known]


def cluster_nodes(
    instances: Records,
    details: t.Mapping[str, Records],
    target_groups: Records = (),
    members: Records = (),
    nodes: Records = (),
    records: Records = (),
    talos: Records = (),
    inputs: t.Mapping[str, t.Mapping[str, str]] | None = None,
) -> list[Record]:
    """The rows, control planes first, in the order of their names.

    instances and target_groups: as cluster_info returns them. details: the result of ec2_node_info. members: as talos_etcd_member returns them.
    nodes: all_nodes of k8s_node. records: as cloudflare_record returns them. talos: nodes of talos_apply_config in check mode.
    inputs: role to image_id and instance_type, what a node would be made of now.
    """
    rows = _Rows(instances, details)
    names = {row["name"] for row in rows.found}
    # Of two at one address the first gets the VM: those of its name come first.
    for node in sorted(nodes, key=lambda node: _short(node["node_name"]) not in names):
        rows.of_node(node)["node"] = {**node, "talos_version": talos_version(node)}
    for member in sorted(members, key=lambda member: _short(member["hostname"]) not in names):
        rows.of_member(member)["member"] = dict(member)
    for group in target_groups:
        for target in group["targets"]:
            shown = {key: target[key] for key in ("id", "port", "state", "reason", "description")}
            rows.of_target(target)["targets"].append({"group": group["name"], "arn": group["arn"], "kind": group["kind"], **shown})
    for record in records:
        row = rows.of_record(record)
        if row is not None:
            row["records"].append(dict(record))
    for seen in talos:
        for row in rows.found:
            if row["name"] == seen["name"] and row["address"] == seen["address"]:
                # Only its Node tells a node's purpose, which is part of its machine config.
                drift = None if seen["drift"] and row["node"] is None else seen["drift"]
                row["talos"] = {**{key: seen[key] for key in ("was", "stage", "talos_version", "seen")}, "drift": drift}
    images = {image["id"]: image["talos_version"] for image in details.get("images", ())}
    return sorted((_finished(row, inputs or {}, images) for row in rows.found), key=_order)


def node_traits(nodes: Records, labels: t.Mapping[str, str] | None = None, taints: Records = ()) -> list[Record]:
    """The labels and taints in the machine configs of nodes, as {"name", "labels", "taints"}: those that all get, and their purpose."""
    rows = []
    for node in nodes:
        purpose = node["labels"].get("purpose", "")
        own = [{"key": "purpose", "value": purpose, "effect": "NoSchedule"}] if purpose else []
        told = {"purpose": purpose} if purpose else {}
        rows.append({"name": _short(node["node_name"]), "labels": dict(labels or {}) | told, "taints": [*taints, *own]})
    return rows


def talos_version(node: t.Mapping[str, t.Any]) -> str:
    """The Talos version that a Node tells, "" where it tells none."""
    found = _TALOS.search(node["os_image"])
    return found[1] if found else ""


def _instance_id(node: t.Mapping[str, t.Any]) -> str:
    """The instance id in a Node's provider id."""
    return str(node["provider_id"]).rpartition("/")[2]


def _short(name: str) -> str:
    """A name without its domain."""
    return name.partition(".")[0]


class _Rows:
    """The rows so far, and whose they are. Addresses and names are given again in the course of time, ids are not: the surest mark decides."""

    def __init__(self, instances: Records, details: t.Mapping[str, Records]) -> None:
        more = {item["instance_id"]: item for item in details.get("instances", ())}
        hardware = {item["instance_type"]: item for item in details.get("instance_types", ())}
        strangers = [item for item in details.get("machines", ()) if item["instance_id"] not in {own["instance_id"] for own in instances}]
        self.found = [_row(item, more.get(item["instance_id"], {}), hardware.get(item["instance_type"], {})) for item in [*instances, *strangers]]
        self._by_id = {row["instance_id"]: row for row in self.found}
        # One that is on its way out gives its address to nobody else yet, but its name.
        self._by_address: dict[str, list[Record]] = {}
        for row in self.found:
            self._by_address.setdefault(row["address"], []).append(row)

    def of_node(self, node: t.Mapping[str, t.Any]) -> Record:
        """The row of a Node object."""
        name, instance_id = _short(node["node_name"]), _instance_id(node)
        if instance_id:
            row = self._by_id.get(instance_id)
            return row if row is not None and row["node"] is None else self._left(name, node["address"], instance_id)
        if node["address"]:
            return self._at(node["address"], name, "node") or self._left(name, node["address"])
        return self._named(name, "node") or self._left(name)

    def of_member(self, member: t.Mapping[str, t.Any]) -> Record:
        """The row of an etcd member; a worker is none, whatever its address."""
        name = _short(member["hostname"]) or member["id"]
        for address in member["addresses"]:
            row = self._at(address, name, "member")
            if row is not None and row["role"] != "worker":
                return row
        return self._left(name, next(iter(member["addresses"]), ""))

    def of_target(self, target: t.Mapping[str, t.Any]) -> Record:
        """The row of a target, which is an id or an address."""
        mark = target["id"]
        if mark in self._by_id:
            return self._by_id[mark]
        known = self._by_address.get(mark) or [row for row in self.found if mark in (row["instance_id"], row["address"])]
        return known[0] if known else self._left(mark, "" if mark.startswith("i-") else mark, mark if mark.startswith("i-") else "")

    def of_record(self, record: t.Mapping[str, t.Any]) -> Record | None:
        """The row of a DNS record: that of the node in its mark, or the one whose name and address it tells; None for others' records."""
        name = record["node"] if record["ours"] else _short(record["name"])
        alike = [row for row in self.found if row["name"] == name]
        exact = [row for row in alike if record["content"] in (row["address"], row["public_ip"])]
        if exact or not record["ours"]:
            return exact[0] if exact else None
        return alike[0] if alike else self._left(name)

    def _at(self, address: str, name: str, kind: str) -> Record | None:
        """The VM at an address, preferably of that name, which has no such thing yet."""
        free = [row for row in self._by_address.get(address, ()) if row[kind] is None]
        return next((row for row in free if row["name"] == name), free[0] if free else None)

    def _named(self, name: str, kind: str) -> Record | None:
        return next((row for row in self.found if row["name"] == name and row[kind] is None), None)

    def _left(self, name: str, address: str = "", last_id: str = "") -> Record:
        """The row of what is left of a node: that of its name or address, or a new one."""
        for row in self.found:
            if not row["instance_id"] and (row["name"] == name or (address and row["address"] == address) or (last_id and row["last_instance_id"] == last_id)):
                row["address"], row["last_instance_id"] = row["address"] or address, row["last_instance_id"] or last_id
                return row
        self.found.append({**_row({}, {}, {}), "name": name, "address": address, "last_instance_id": last_id})
        return self.found[-1]


def _row(instance: t.Mapping[str, t.Any], more: t.Mapping[str, t.Any], hardware: t.Mapping[str, t.Any]) -> Record:
    """The row of an instance, of which only EC2 is known yet."""
    tags = instance.get("tags", {})
    return {
        "name": instance.get("name", ""),
        "role": instance.get("role", ""),
        "purpose": "",
        "cluster": tags.get("Cluster", ""),
        "instance_id": instance.get("instance_id", ""),
        "state": instance.get("state", ""),
        "status": more.get("status", ""),
        "unfinished": instance.get("unfinished", False),
        "image_id": instance.get("image_id") or "",
        "instance_type": instance.get("instance_type") or "",
        "vcpus": hardware.get("vcpus"),
        "memory_mib": hardware.get("memory_mib"),
        "az": instance.get("az") or "",
        "subnet_id": instance.get("subnet_id") or "",
        "address": instance.get("private_ip") or "",
        "public_ip": instance.get("public_ip") or "",
        "launched": instance.get("launch_time") or "",
        "tags": dict(tags),
        "volumes": list(more.get("volumes", ())),
        "last_instance_id": "",
        "node": None,
        "member": None,
        "targets": [],
        "records": [],
        "talos": None,
    }


def _finished(row: Record, inputs: t.Mapping[str, t.Mapping[str, str]], images: t.Mapping[str, str]) -> Record:
    """A row with what only all of it tells."""
    labels = row["node"]["labels"] if row["node"] else {}
    plane = row["member"] or "node-role.kubernetes.io/control-plane" in labels or any(target["kind"] == "apiserver" for target in row["targets"])
    role = row["role"] or ("controlplane" if plane else "worker" if row["node"] or row["targets"] else "")
    return {**row, "role": role, "purpose": labels.get("purpose", ""), "outdated": _outdated(row, inputs.get(role, {}), images)}


def _outdated(row: t.Mapping[str, t.Any], made_of: t.Mapping[str, str], images: t.Mapping[str, str]) -> dict[str, bool | None]:
    """In which regards a node is not as it would be made now; None where that is unknown."""
    runs = row["node"]["talos_version"] if row["node"] else ""
    return {
        "image": _differ(row["image_id"], made_of.get("image_id", "")),
        "instance_type": _differ(row["instance_type"], made_of.get("instance_type", "")),
        "talos_version": _differ(runs, images.get(made_of.get("image_id", ""), "")),
        "machine_config": row["talos"]["drift"] if row["talos"] else None,
    }


def _differ(one: str, other: str) -> bool | None:
    return one != other if one and other else None


def _order(row: Record) -> tuple[int, tuple[str, int], str]:
    return {"controlplane": 0, "worker": 1}.get(row["role"], 2), _names.natural(row["name"]), row["instance_id"]
