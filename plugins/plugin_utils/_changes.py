# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""Which nodes are compared with their inputs, and in which order those on which something differs are changed."""

from __future__ import annotations

import itertools
import typing as t

from . import _names, _observation, _replacements

Record = dict[str, t.Any]
Records = t.Sequence[t.Mapping[str, t.Any]]

OPERATION = "apply_changes"


def change_groups(
    instances: Records,
    nodes: Records,
    wanted: t.Sequence[str],
    role: str,
    unfinished: t.Mapping[str, Record] | None = None,
    domains: t.Mapping[str, str] | None = None,
    labels: t.Mapping[str, str] | None = None,
    taints: Records = (),
) -> Record:
    """The nodes to compare, in groups that have the same inputs.

    instances: the cluster's, as cluster_info returns them; nodes: all_nodes of k8s_node. wanted or role: what was asked for. unfinished: what an
    earlier run began, name to record. domains: by role. labels and taints: of all nodes, beside their purpose. Returns {"groups": [{"role",
    "talos_version", "nodes"}], "unknown": [name], "roleless": [name]}, nodes as talos_apply_config takes them.
    """
    begun = {name: record for name, record in (unfinished or {}).items() if record.get("operation") == OPERATION}
    # Where a VM has no tag for its role, that is known by where it serves, unless an earlier run has put it out of service.
    living = {item["name"]: {**item, "role": item["role"] or begun.get(item["name"], {}).get("role", "")} for item in instances if item["state"] == "running"}
    names = list(wanted) or sorted((name for name, item in living.items() if role in ("all", item["role"])), key=_names.natural)
    found = [living[name] for name in dict.fromkeys([*begun, *names]) if name in living]
    groups: dict[tuple[str, str], list[Record]] = {}
    traits = {row["name"]: row for row in _observation.node_traits(nodes, labels, taints)}
    for item in found:
        node = node_of(item, nodes)
        row = {"name": item["name"], "address": item["private_ip"], "instance_id": item["instance_id"]}
        row |= {key: value for key, value in traits.get(item["name"], {"labels": dict(labels or {}), "taints": list(taints)}).items() if key != "name"}
        row |= {"boot_id": begun[item["name"]]["boot_id"]} if item["name"] in begun else {}
        domain = (domains or {}).get(item["role"], "")
        row |= {"hostname": f"{item['name']}.{domain}"} if domain else {}
        groups.setdefault((item["role"], _observation.talos_version(node) if node else ""), []).append(row)
    return {
        "groups": [{"role": kind, "talos_version": version, "nodes": rows} for (kind, version), rows in sorted(groups.items()) if kind],
        # What was begun on a node that is gone has ended with it.
        "unknown": [name for name in names if name not in living],
        "roleless": [item["name"] for item in found if not item["role"]],
    }


def node_of(instance: t.Mapping[str, t.Any], nodes: Records) -> t.Mapping[str, t.Any] | None:
    """The Node object of a VM."""
    return next((node for node in nodes if node["address"] == instance["private_ip"]), None)


def change_batches(
    compared: Records,
    instances: Records,
    nodes: Records,
    target_groups: Records,
    unfinished: t.Mapping[str, Record] | None = None,
    at_once: t.Any = 1,
) -> list[Record]:
    """What is changed together, in order.

    compared: the nodes of talos_apply_config in check mode, with their role and the talos_version whose rules count. at_once: how many workers reboot
    together, a number or a percentage of the cluster's. What an earlier run began comes first, then control planes one by one, then workers, first
    those that need no reboot, all together. What differs in where it serves, or in the rules that count, is not done together. Returns batches
    {"role", "talos_version", "reboot", "returns", "names", "records", "target_groups", "healthy", "say"}; records tell by name how a node serves now,
    returns that it has only to be put back.
    """
    begun = {name: record for name, record in (unfinished or {}).items() if record.get("operation") == OPERATION}
    at_most = {"controlplane": 1, "worker": _replacements.size(at_once, sum(item["role"] == "worker" for item in instances))}
    by_name = {item["name"]: item for item in instances}
    rows = [
        {**row, "begun": row["name"] in begun, "record": begun.get(row["name"]) or served(row, by_name[row["name"]], nodes, target_groups)}
        for row in compared
        if row["drift"] or row["name"] in begun
    ]
    batches = []
    for (_later, role, reboot, *_rest), alike in itertools.groupby(sorted(rows, key=_order), key=lambda row: _order(row)[:-1]):
        group = list(alike)
        size = at_most[role] if reboot or role == "controlplane" else len(group)
        batches += [_batch(group[start : start + size], reboot) for start in range(0, len(group), size)]
    return batches


def _order(row: t.Mapping[str, t.Any]) -> tuple[t.Any, ...]:
    """Rows that are done together differ in the last part only, the name. (controlplane sorts before worker.)"""
    reboot = bool(row["reboot"] or row["begun"])
    serves = [(target["arn"], target["port"]) for target in row["record"]["target_groups"]], row["record"]["healthy"]
    return not row["begun"], row["role"], reboot, not _returns(row), row["talos_version"], serves, _names.natural(row["name"])


def _returns(row: t.Mapping[str, t.Any]) -> bool:
    """Whether a node was changed and rebooted by an earlier run, or is just doing so, and has only to be put back."""
    return bool(row["begun"] and not row["drift"] and not row["reboot"])


def _batch(rows: list[Record], reboot: bool) -> Record:
    first = rows[0]
    names = [row["name"] for row in rows]
    reasons = sorted({reason for row in rows for reason in row["reboot_for"]})
    why = ["begun by an earlier run"] if first["begun"] else [f"reboot for {', '.join(reasons)}" if reasons else "reboot"] if reboot else ["no reboot"]
    return {
        "role": first["role"],
        "talos_version": first["talos_version"],
        "reboot": reboot,
        "returns": _returns(first),
        "names": names,
        "records": {row["name"]: row["record"] for row in rows},
        "target_groups": first["record"]["target_groups"],
        "healthy": first["record"]["healthy"],
        "say": f"{', '.join(names)} ({why[0]})",
    }


def served(row: t.Mapping[str, t.Any], instance: t.Mapping[str, t.Any], nodes: Records, target_groups: Records) -> Record:
    """How a node serves now, for those who put it back: its boot, whether it is cordoned, and its target groups with its ports."""
    node = node_of(instance, nodes)
    marks = (instance["instance_id"], instance["private_ip"])
    mine = [(group, target) for group in target_groups for target in group["targets"] if target["id"] in marks and target["state"] != "draining"]
    healthy = {group["kind"] for group, target in mine if target["state"] == "healthy"}
    return {
        "name": row["name"],
        "operation": OPERATION,
        "role": row["role"],
        "boot_id": row["boot_id"],
        "cordoned": bool(node and node["unschedulable"]),
        "target_groups": [{**{key: group[key] for key in ("arn", "target_type", "kind")}, "port": target["port"]} for group, target in mine],
        "healthy": sorted(healthy & {"apiserver", "ingress"}),
    }
