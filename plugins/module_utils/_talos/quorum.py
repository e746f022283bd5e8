# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""etcd's quorum arithmetic: what may be removed, in which order, and which member a node is. Pure functions, no calls."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import InputError, ManagerError
from .client import EtcdMember


@dataclasses.dataclass(frozen=True)
class Member:
    """A member with its state. problem says why it is not healthy, "" when it is; reachable: its Talos API answers."""

    row: EtcdMember
    problem: str = ""
    leader: bool = False
    alarms: tuple[str, ...] = ()
    reachable: bool = True

    @property
    def id(self) -> int:
        """The member's ID."""
        return self.row.id

    @property
    def healthy(self) -> bool:
        """Whether it takes part: answers, follows the leader that the others follow, has no error and no alarm."""
        return not self.problem

    @property
    def voter(self) -> bool:
        """Whether it counts for the quorum."""
        return not self.row.learner

    def __str__(self) -> str:
        return str(self.row)

    def public(self) -> dict[str, t.Any]:
        """The member as the module returns it."""
        return {
            "id": self.row.hex_id,
            "hostname": self.row.hostname,
            "addresses": list(self.row.addresses),
            "learner": self.row.learner,
            "healthy": self.healthy,
            "leader": self.leader,
            "alarms": list(self.alarms),
            "problem": self.problem,
        }


@dataclasses.dataclass(frozen=True)
class Quorum:
    """voters in the member list, how many of them are healthy, how many are needed, how many more may fail (negative: no quorum)."""

    voters: int
    healthy: int
    needed: int
    tolerates: int


@dataclasses.dataclass(frozen=True)
class NodeRef:
    """How a node is known. address is what identifies a living one; hostname may be longer than name, by a domain."""

    name: str
    address: str = ""
    hostname: str = ""
    member_id: int | None = None

    def bears(self, hostname: str) -> bool:
        """Whether hostname is one of the node's, which etcd knows with or without the domain. Never by a part of a label."""
        names = {name for name in (self.name, self.hostname, self.hostname.partition(".")[0]) if name}
        return hostname in names or hostname.partition(".")[0] in names


def quorum(members: t.Iterable[Member]) -> Quorum:
    """Count voters. An empty cluster needs one."""
    voters = [member for member in members if member.voter]
    healthy = sum(member.healthy for member in voters)
    needed = len(voters) // 2 + 1
    return Quorum(len(voters), healthy, needed, healthy - needed)


def removal_order(members: t.Iterable[Member]) -> list[Member]:
    """Learners first, then the sick, then the healthy, the leader last: tolerance rises before it falls, leadership moves once."""
    return sorted(members, key=lambda member: (member.voter, member.healthy, member.leader, member.id))


def refusal(members: t.Sequence[Member], leaving: t.Collection[int], allow_single: bool = False, allow_last: bool = False) -> str | None:
    """Why the members with the IDs in leaving must not be removed one after the other, None when they may.

    allow_single: a single voter may be left; allow_last: none may be left (the cluster ends), and so may one.
    """
    gone = removal_order(member for member in members if member.id in leaving)
    staying = [member for member in members if member.id not in leaving]
    if not gone:
        return None
    if not any(member.voter for member in staying):
        last = ", ".join(str(member) for member in gone)
        return None if allow_last else f"{last} would be the last control plane to go, and the cluster with it; allow_last_control_plane allows it"
    if quorum(members).voters > 1 == quorum(staying).voters and not (allow_single or allow_last):
        return "a single control plane would be left, whose loss is the cluster's; allow_single_control_plane or allow_last_control_plane allows it"
    left = list(members)
    for member in gone:
        why = _refuse_one(left, member, staying)
        if why:
            return why
        left.remove(member)
    return None


def _refuse_one(members: t.Sequence[Member], member: Member, staying: t.Sequence[Member]) -> str | None:
    """Why member must not be the next to leave members; staying are those that no later removal takes either."""
    now = quorum(members)
    if now.healthy < now.needed:
        return (
            f"etcd has no quorum ({now.healthy} of {now.voters} voters are healthy, {now.needed} are needed), so no member can be removed:"
            f" {_sickness(members)}; repair them, or recover from a snapshot"
        )
    after = quorum(other for other in members if other is not member)
    if after.healthy < after.needed:
        return f"without {member} only {after.healthy} of {after.voters} voters would be healthy, {after.needed} are needed: {_sickness(staying)}"
    if not member.voter or not member.healthy:
        return None
    if any(not other.healthy for other in staying if other.voter):
        return f"{member} is healthy while others are not: {_sickness(staying)}; repair or remove those first"
    learners = [str(other) for other in staying if not other.voter]
    if learners:
        return f"{', '.join(learners)} is still joining; wait until it votes before {member} is removed"
    return None


def _sickness(members: t.Iterable[Member]) -> str:
    """The members that are not healthy, and why."""
    return "; ".join(f"{member}: {member.problem}" for member in members if member.voter and not member.healthy) or "all healthy"


def find(node: NodeRef, members: t.Sequence[Member]) -> tuple[Member | None, list[Member]]:
    """The member that a node is, and members that only bear its name (ghosts of earlier machines).

    An address decides when it is known; a name alone only when there is no address and one member has it. Raises ManagerError when it is ambiguous.
    """
    namesakes = [member for member in members if node.bears(member.row.hostname)]
    if node.member_id is not None:
        found = [member for member in members if member.id == node.member_id]
    elif node.address:
        found = [member for member in members if node.address in member.row.addresses]
        if node.hostname and any(member.row.hostname and member not in namesakes for member in found):
            raise ManagerError(f"{node.name}: the etcd member at {node.address} is {found[0]}, not {node.hostname}; say which is meant by its member_id")
    else:
        found = namesakes
    if len(found) > 1:
        raise ManagerError(f"{node.name}: several etcd members fit: {', '.join(map(str, found))}; say which is meant by its member_id")
    return (found[0] if found else None), [member for member in namesakes if member not in found]


def parse_member_id(text: str) -> int | None:
    """A member ID as etcdctl and talosctl print it (up to 16 hex digits); "" is None. Raises InputError."""
    if not text:
        return None
    try:
        value = int(text, 16)
    except ValueError:
        value = 0
    if not 0 < value < 2**64:
        raise InputError(f"nodes: member_id {text!r} is not an etcd member ID (up to 16 hex digits)")
    return value
