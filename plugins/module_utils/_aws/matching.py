# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Which instance is which node: pure decisions over what EC2 described."""

from __future__ import annotations

import dataclasses
import typing as t

from .classify import owner
from .names import token_generation, token_prefix
from .options import Node

Item = dict[str, t.Any]

ALIVE = ("pending", "running", "stopping", "stopped")


@dataclasses.dataclass
class Match:
    """What there is of a node. problem says why nothing may be done about it ("" when something may).

    instance is the one living instance, dying those still shutting down, generation the number for the next launch.
    """

    node: Node
    instance: Item | None = None
    dying: list[Item] = dataclasses.field(default_factory=list)
    generation: int = 0
    problem: str = ""


def match(cluster: str, node: Node, items: t.Sequence[Item], names: t.Collection[str]) -> Match:
    """Sort out the instances (as classify.instance returns them) for one node; names are all nodes asked for."""
    prefix = token_prefix(cluster, node.name)
    launched = [item for item in items if item["client_token"].startswith(prefix)]
    related = [item for item in items if _related(item, node, item in launched, names)]
    ours = [item for item in related if owner(item) == cluster or (item in launched and not owner(item))]
    found = Match(node, generation=max((token_generation(item["client_token"]) + 1 for item in launched), default=0))
    found.dying = [item for item in ours if item["state"] == "shutting-down"]
    living = [item for item in ours if item["state"] in ALIVE]
    if node.instance_id:
        found.dying = [item for item in found.dying if item["instance_id"] == node.instance_id]
        living = [item for item in living if item["instance_id"] == node.instance_id]
    found.instance = living[0] if len(living) == 1 else None
    foreign = [item for item in related if item not in ours and item["state"] in ALIVE]
    found.problem = _problem(cluster, node, living, found.dying, foreign)
    return found


def _related(item: Item, node: Node, launched: bool, names: t.Collection[str]) -> bool:
    """By the id given, by name, or by launch token unless another node asked for has it by name."""
    by_name = item["name"] == node.name
    return item["instance_id"] == node.instance_id or by_name or (launched and item["name"] not in names)


def _problem(cluster: str, node: Node, living: list[Item], dying: list[Item], foreign: list[Item]) -> str:
    if len(living) > 1:
        ids = ", ".join(item["instance_id"] for item in living)
        return f"{node.name}: {len(living)} instances have that name ({ids}); say which with instance_id"
    if living and node.instance_id and living[0]["name"] not in ("", node.name):
        return f"{node.name}: instance {node.instance_id} is called {living[0]['name']}"
    if node.instance_id:
        foreign = [item for item in foreign if item["instance_id"] == node.instance_id]
    if living or dying or not foreign:
        return ""
    other = foreign[0]
    if owner(other):
        which = f"instance {other['instance_id']} ({other['name']}) belongs to cluster {owner(other)}"
        return f"{node.name}: {which}, not {cluster}; choose another name or that cluster"
    return (
        f"{node.name}: instance {other['instance_id']} ({other['name']}) has no Cluster tag. If it is a node of {cluster}, tag it: "
        f"aws ec2 create-tags --resources {other['instance_id']} --tags Key=Cluster,Value={cluster} ; else choose another name"
    )


def wanted_problem(found: Match, role: str) -> str:
    """Why an existing instance cannot serve as the node wanted."""
    item = found.instance
    if found.problem:
        return found.problem
    if item is None:
        return f"{found.node.name}: there is no instance {found.node.instance_id}" if found.node.instance_id and not found.dying else ""
    if item["role"] not in ("", role):
        return f"{found.node.name}: instance {item['instance_id']} is a {item['role']}, not a {role}"
    if item["state"] in ("stopping", "stopped"):
        return f"{found.node.name}: instance {item['instance_id']} is {item['state']}; start it, or delete the node first"
    return ""


def doomed_problem(found: Match) -> str:
    """Why an instance must not be touched for the sake of this name."""
    item = found.instance
    if found.problem or item is None or found.node.instance_id or item["name"] in ("", found.node.name):
        return found.problem
    renamed = f"instance {item['instance_id']} was launched under that name but is called {item['name']} now"
    return f"{found.node.name}: {renamed}; say that it is meant with instance_id, or name it back"


def untaggable(cluster: str, node: Node, item: Item | None) -> str:
    """Why an instance does not become this node of the cluster by its tags: it is gone, another cluster's, or called something else."""
    if item is None:
        return f"there is no instance {node.instance_id}"
    if owner(item) not in ("", cluster):
        return f"instance {node.instance_id} belongs to cluster {owner(item)}, not {cluster}"
    if item["name"] not in ("", node.name):
        return f"instance {node.instance_id} is called {item['name']}"
    return ""


def differences(item: Item, image_id: str, instance_type: str) -> str:
    """How an existing instance differs from the launch wanted; "" when it does not."""
    wanted = (("image_id", image_id), ("instance_type", instance_type))
    return ", ".join(f"{key} {item[key]} (wanted {value})" for key, value in wanted if value and item[key] != value)
