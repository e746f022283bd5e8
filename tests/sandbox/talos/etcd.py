# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd as its members see it: ids, learners, leader, quorum, and the changes of membership that etcd refuses.

Rules and texts as in etcd's server/etcdserver/server.go (mayAddMember, mayRemoveMember), membership/cluster.go and
api/v3rpc/rpctypes/error.go, with strict-reconfig-check on, as Talos runs it.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import typing as t

NO_LEADER = "etcdserver: no leader"
UNHEALTHY = "etcdserver: unhealthy cluster"
TOO_MANY_LEARNERS = "etcdserver: too many learner members in cluster"
NOT_FOUND = "etcdserver: member not found"
NOT_ENOUGH_STARTED = "etcdserver: re-configuration failed due to not enough started members"
TIMED_OUT = "etcdserver: request timed out"
BAD_TRANSFEREE = "etcdserver: bad leader transferee"


class EtcdError(Exception):
    """A refusal in etcd's own words."""


@dataclasses.dataclass
class Member:
    """A member of one etcd cluster. name is "" until the member has started for the first time."""

    id: int
    instance_id: str
    address: str
    name: str = ""
    learner: bool = False


@dataclasses.dataclass
class Cluster:
    """One etcd cluster. ca tells which nodes may join it; serial makes ids unique."""

    ca: str
    serial: int
    members: list[Member] = dataclasses.field(default_factory=list)
    leader: int = 0
    term: int = 1
    index: int = 10
    added: int = 0
    alarms: list[tuple[int, int]] = dataclasses.field(default_factory=list)

    def member(self, member_id: int) -> Member | None:
        return next((member for member in self.members if member.id == member_id), None)

    @property
    def voters(self) -> list[Member]:
        return [member for member in self.members if not member.learner]


class Etcd:
    """All etcd clusters of a sandbox. runs(instance_id, member_id) says whether that node's etcd process runs as that member."""

    def __init__(self, runs: t.Callable[[str, int], bool]) -> None:
        self._runs = runs
        self.clusters: list[Cluster] = []

    def alive(self, member: Member) -> bool:
        """Whether the member's process runs."""
        return bool(member.name) and self._runs(member.instance_id, member.id)

    def of(self, member_id: int) -> Cluster | None:
        """The cluster that has this member."""
        return next((cluster for cluster in self.clusters if cluster.member(member_id)), None)

    def joinable(self, ca: str) -> list[Cluster]:
        """Clusters whose members answer a node with this CA, oldest first."""
        return [cluster for cluster in self.clusters if cluster.ca == ca and any(self.alive(member) for member in cluster.members)]

    def quorum(self, cluster: Cluster) -> bool:
        """Whether more than half of the voters run."""
        voters = cluster.voters
        return sum(self.alive(member) for member in voters) > len(voters) // 2

    def leader(self, cluster: Cluster) -> int:
        """The leader's id; elects a new one when it is gone, 0 without quorum."""
        if not self.quorum(cluster):
            return 0
        current = cluster.member(cluster.leader)
        if current is None or current.learner or not self.alive(current):
            cluster.leader = min(member.id for member in cluster.voters if self.alive(member))
            cluster.term += 1
        return cluster.leader

    def bootstrap(self, ca: str, instance_id: str, address: str, name: str) -> Member:
        """A new cluster of one member."""
        cluster = Cluster(ca, serial=len(self.clusters) + 1)
        self.clusters.append(cluster)
        member = self._new(cluster, instance_id, address)
        member.name, cluster.leader = name, member.id
        return member

    def _new(self, cluster: Cluster, instance_id: str, address: str) -> Member:
        cluster.added += 1
        seed = f"{cluster.ca}/{cluster.serial}/{cluster.added}/{address}"
        member = Member(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"), instance_id, address)
        cluster.members = sorted([*cluster.members, member], key=lambda one: one.id)
        cluster.index += 1
        return member

    def require_leader(self, cluster: Cluster) -> None:
        """What every linearizable call needs."""
        if not self.leader(cluster):
            raise EtcdError(NO_LEADER)

    def add_learner(self, cluster: Cluster, instance_id: str, address: str, name: str) -> Member:
        """How Talos joins a node: an earlier member of the same name goes first, then a learner is added."""
        self.require_leader(cluster)
        for namesake in [member for member in cluster.members if member.name == name]:
            self.remove(cluster, namesake.id)
        if any(not self.alive(member) for member in cluster.voters):
            raise EtcdError(UNHEALTHY)
        if any(member.learner for member in cluster.members):
            raise EtcdError(TOO_MANY_LEARNERS)
        member = self._new(cluster, instance_id, address)
        member.learner = True
        return member

    def promote(self, member_id: int) -> bool:
        """Make a learner a voter when a leader and the learner are up; says whether it is one now."""
        cluster = self.of(member_id)
        member = cluster.member(member_id) if cluster else None
        if cluster is None or member is None or not self.alive(member) or not self.leader(cluster):
            return False
        member.learner = False
        cluster.index += 1
        return True

    def remove(self, cluster: Cluster, member_id: int) -> None:
        """Remove a member as etcd allows it."""
        self.require_leader(cluster)
        member = cluster.member(member_id)
        if member is None:
            raise EtcdError(NOT_FOUND)
        if not member.learner:
            self._may_remove(cluster, member)
        cluster.members.remove(member)
        cluster.index += 1
        if cluster.leader == member_id:
            cluster.leader = 0

    def _may_remove(self, cluster: Cluster, member: Member) -> None:
        others = [voter for voter in cluster.voters if voter is not member]
        if sum(bool(voter.name) for voter in others) < len(others) // 2 + 1:
            raise EtcdError(NOT_ENOUGH_STARTED)
        active = sum(self.alive(voter) for voter in cluster.voters)
        # A member that is down is no part of the active quorum and may go.
        if self.alive(member) and active - 1 < 1 + len(others) // 2:
            raise EtcdError(UNHEALTHY)

    def forfeit(self, cluster: Cluster, member_id: int) -> str:
        """Talos' way: leadership to the first other member, its name; "" when the member did not lead."""
        self.require_leader(cluster)
        if len(cluster.members) == 1:
            raise EtcdError("cannot forfeit leadership, only one member")
        if self.leader(cluster) != member_id:
            return ""
        heir = next(member for member in cluster.members if member.id != member_id)
        if heir.learner:
            raise EtcdError(BAD_TRANSFEREE)
        if not self.alive(heir):
            raise EtcdError(TIMED_OUT)
        cluster.leader, cluster.term = heir.id, cluster.term + 1
        return heir.name

    def dump(self) -> list[dict[str, t.Any]]:
        """All clusters as plain data."""
        return [
            {
                "ca": cluster.ca,
                "leader": f"{self.leader(cluster):016x}",
                "quorum": self.quorum(cluster),
                "members": [{**dataclasses.asdict(member), "id": f"{member.id:016x}", "alive": self.alive(member)} for member in cluster.members],
            }
            for cluster in self.clusters
        ]

    def snapshot(self) -> list[Cluster]:
        return copy.deepcopy(self.clusters)

    def restore(self, saved: list[Cluster]) -> None:
        self.clusters = copy.deepcopy(saved)
