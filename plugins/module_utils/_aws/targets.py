# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Which targets are to be registered or deregistered, and what their health means: pure functions over what ELB described."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import InputError
from .._plan import Step
from .names import check_nodes

Item = dict[str, t.Any]

# A target in these states gets no new connections for long, whatever else may be said of it.
LEAVING = ("draining", "unhealthy.draining")
NOT_REGISTERED = "Target.NotRegistered"


@dataclasses.dataclass(frozen=True)
class TargetNode:
    """A node of the call; exists says whether its VM is still there, "" stands for what is not known yet."""

    name: str
    instance_id: str = ""
    address: str = ""
    exists: bool = True


@dataclasses.dataclass(frozen=True)
class Group:
    """A target group as cluster_info or nlb returns it, as much of it as is needed. One that is still to be made has no ARN, and a title."""

    arn: str
    port: int
    target_type: str
    kind: str
    skipped: str = ""
    title: str = ""

    @classmethod
    def of_param(cls, index: int, group: t.Mapping[str, t.Any]) -> Group:
        """Take an element of target_groups; keys that are not needed here are left out."""
        needed = ("target_type", "kind") if group.get("name") else ("arn", "target_type", "kind")
        missing = [key for key in needed if not group.get(key)]
        if missing:
            raise InputError(f"target_groups[{index}]: has no {', '.join(missing)}; pass target groups as cluster_info returns them")
        arn, title = group.get("arn") or "", group.get("name") or ""
        return cls(arn, int(group.get("port") or 0), group["target_type"], group["kind"], group.get("skipped") or "", "" if arn else title)

    @property
    def name(self) -> str:
        """The name that is part of every target group's ARN."""
        parts = self.arn.split("/")
        return parts[-2] if len(parts) >= 3 else self.arn or self.title

    def target_id(self, node: TargetNode) -> str:
        """What the node is called in this group."""
        return node.address if self.target_type == "ip" else node.instance_id


@dataclasses.dataclass(frozen=True)
class TargetOptions:
    """The options of nlb_target; require_healthy holds kinds, floor and wait_timeout are seconds."""

    state: str
    nodes: tuple[TargetNode, ...]
    groups: tuple[Group, ...]
    require_healthy: tuple[str, ...] = ("apiserver",)
    wait_timeout: int = 600
    floor: int = 120
    allow_empty: bool = False

    @classmethod
    def of_params(cls, params: t.Mapping[str, t.Any]) -> TargetOptions:
        """Take a module's parameters; raise InputError for names that cannot be used."""
        check_nodes(params["nodes"])
        return cls(
            state=params["state"],
            nodes=tuple(
                TargetNode(node["name"], node.get("instance_id") or "", node.get("address") or "", node.get("instance_exists") is not False)
                for node in params["nodes"]
            ),
            groups=tuple(Group.of_param(index, group) for index, group in enumerate(params["target_groups"])),
            require_healthy=tuple(params["require_healthy"]),
            wait_timeout=params["wait_timeout"],
            floor=params["floor"],
            allow_empty=params["allow_empty"],
        )


@dataclasses.dataclass(frozen=True)
class Placement:
    """One target of one node in one group, with its health when it was last read (state "" = not listed)."""

    node: TargetNode
    group: Group
    target_id: str
    port: int
    state: str = ""
    reason: str = ""
    description: str = ""

    @property
    def target(self) -> Item:
        """As ELB wants it in a request."""
        return {"Id": self.target_id, "Port": self.port}

    @property
    def key(self) -> tuple[str, str, int]:
        """Group, target and port, by which ELB tells targets apart."""
        return self.group.arn, self.target_id, self.port

    def step(self, verb: str) -> Step:
        """Registering or deregistering it."""
        here = {"target": self.target_id, "state": self.state}
        after = {"target": self.target_id, "state": "registered"}
        target = f"{self.group.name}:{self.port}"
        return Step(verb, self.node.name, target, before=here if self.state else None, after=after if verb == "register" else None)

    def health(self) -> str:
        """How it is, for messages."""
        why = " ".join(word for word in (self.reason, self.description) if word)
        return f"{self.state or 'not listed'}{f' ({why})' if why else ''}"

    def words(self) -> str:
        """Where it is and how it is, for messages."""
        return f"target group {self.group.name}, target {self.target_id} port {self.port}: {self.health()}"

    def result(self) -> Item:
        """As nlb_target returns it."""
        return {"target_group_arn": self.group.arn, "target_group": self.group.name, "port": self.port, "state": self.state, "reason": self.reason}


def alike(places: t.Iterable[Placement]) -> list[str]:
    """Those that get no traffic yet, in one sentence for all that are so for the same reason: a hundred new nodes are not a thousand warnings."""
    by_health: dict[str, list[Placement]] = {}
    for place in places:
        by_health.setdefault(place.health(), []).append(place)
    return [
        f"no traffic yet for {', '.join(_each(place.node.name for place in same))}: {health} in {', '.join(_each(place.group.name for place in same))}"
        for health, same in by_health.items()
    ]


def _each(names: t.Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


# ARN → targets as classify.target returns them; None: the group does not exist (any more).
Health = dict[str, t.Optional[list[Item]]]


def _seen(node: TargetNode, group: Group, item: Item) -> Placement:
    return Placement(node, group, item["id"], item["port"] or group.port, item["state"], item["reason"], item["description"])


def wanted(options: TargetOptions, health: Health) -> list[Placement]:
    """Where every node should be, with what ELB says of it now. Skipped groups and kind none get no nodes."""
    found = []
    for group in options.groups:
        if group.kind == "none" or group.skipped:
            continue
        listed = {(item["id"], item["port"]): item for item in health.get(group.arn) or []}
        for node in options.nodes:
            item = listed.get((group.target_id(node), group.port))
            found.append(_seen(node, group, item) if item else Placement(node, group, group.target_id(node), group.port))
    return found


def present(options: TargetOptions, health: Health) -> list[Placement]:
    """Every target the nodes have in any group, on whatever port it was registered."""
    return [
        _seen(node, group, item)
        for group in options.groups
        for node in options.nodes
        for item in health.get(group.arn) or []
        if item["id"] == group.target_id(node) and item["reason"] != NOT_REGISTERED
    ]


def to_register(placements: t.Sequence[Placement]) -> list[Placement]:
    """Those not registered, or leaving: a draining target must be registered again, it does not come back by itself."""
    return [place for place in placements if place.state in ("", *LEAVING) or place.reason == NOT_REGISTERED]


def unknown(options: TargetOptions) -> list[str]:
    """Problems with nodes that cannot be registered for want of an id or address."""
    problems = []
    for node in options.nodes:
        for group in options.groups:
            if group.kind != "none" and not group.skipped and not group.target_id(node):
                needed = "address" if group.target_type == "ip" else "instance_id"
                problems.append(f"nodes: {node.name} has no {needed}, which target group {group.name} wants")
    return problems


def gone_groups(options: TargetOptions, health: Health) -> list[str]:
    """Problems with target groups that do not exist."""
    wanted_groups = [group for group in options.groups if group.kind != "none" and not group.skipped]
    return [f"target_groups: {group.name} does not exist{' (any more)' if group.arn else ' yet'}" for group in wanted_groups if health.get(group.arn) is None]


def emptied(options: TargetOptions, health: Health, leaving: t.Sequence[Placement]) -> dict[Group, str]:
    """Groups that would lose their last healthy target, each with a sentence that says so."""
    doomed = {place.key for place in leaving}
    found = {}
    for group in options.groups:
        healthy = [item for item in health.get(group.arn) or [] if item["state"] == "healthy"]
        staying = [item for item in healthy if (group.arn, item["id"], item["port"] or group.port) not in doomed]
        if healthy and not staying:
            names = ", ".join(sorted({place.node.name for place in leaving if place.group == group}))
            found[group] = f"target group {group.name} has no healthy target without {names}"
    return found


def refresh(placements: t.Sequence[Placement], health: Health) -> list[Placement]:
    """The placements as ELB sees them now; those of groups that were not read stay as they are."""
    return [_refreshed(place, health[place.group.arn] or []) if place.group.arn in health else place for place in placements]


def _refreshed(place: Placement, items: t.Sequence[Item]) -> Placement:
    for item in items:
        if (item["id"], item["port"] or place.group.port) == (place.target_id, place.port):
            return _seen(place.node, place.group, item)
    return dataclasses.replace(place, state="", reason="", description="")


def settled(place: Placement, require_healthy: t.Collection[str]) -> bool:
    """Whether a registered target needs no more waiting: healthy where that is required, else only no longer initial."""
    if place.group.kind in require_healthy:
        return place.state == "healthy"
    return place.state not in ("", "initial", *LEAVING) and place.reason != NOT_REGISTERED


def left(place: Placement) -> bool:
    """Whether a deregistered target has drained."""
    return place.state in ("", "unused")
