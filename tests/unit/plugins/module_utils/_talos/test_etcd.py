# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""talos_etcd_member: pinned exchanges of reading and of taking members out."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils import _permit, _progress
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError, ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import etcd, transport
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from .server import CUT, Authority, Loop, Node, address, member, reply, talosconfig

Make = t.Callable[..., Node]
UNAVAILABLE = GRPCError(Status.UNAVAILABLE, "dial tcp: connection refused")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_BACKOFF_SECONDS", 0.0)
    monkeypatch.setattr(etcd, "POLL_SECONDS", 0.01)


class World:
    """A scripted etcd behind one control plane that answers for itself and relays to the others."""

    def __init__(self, node: Node, others: int = 2) -> None:
        self.node = node
        self.ips = [node.ip, *(address() for _other in range(others))]
        self.members = {number: member(number, f"cp-{number}", ip) for number, ip in enumerate(self.ips, 1)}
        self.leader = 1
        self.down: set[str] = set()
        self.alarms: list[dict[str, int]] = []
        self.leave_answers: list[t.Any] = []
        self.status: dict[int, dict[str, t.Any]] = {}
        node.answers = {
            "EtcdMemberList": lambda _request, _node: reply("EtcdMemberList", members=list(self.members.values())),
            "EtcdAlarmList": lambda _request, _node: reply("EtcdAlarmList", member_alarms=self.alarms),
            "EtcdStatus": self._relayed(self._status),
            "Version": self._relayed(lambda _number: reply("Version", version={"tag": "v1.11.6"})),
            "EtcdForfeitLeadership": self._relayed(self._forfeit),
            "EtcdLeaveCluster": self._relayed(self._leave),
            "EtcdRemoveMemberByID": self._remove,
        }

    def _relayed(self, answer: t.Callable[[int], t.Any]) -> t.Callable[[t.Any, str | None], t.Any]:
        def relay(_request: t.Any, node: str | None) -> t.Any:
            if node in self.down:
                return UNAVAILABLE
            return answer(self.ips.index(node or self.node.ip) + 1)

        return relay

    def _status(self, number: int) -> t.Any:
        return reply("EtcdStatus", member_status={"leader": self.leader, "member_id": number, **self.status.get(number, {})})

    def _forfeit(self, number: int) -> t.Any:
        if self.leader != number:
            return reply("EtcdForfeitLeadership")
        self.leader = next(other for other in self.members if other != number)
        return reply("EtcdForfeitLeadership", member=f"cp-{self.leader}")

    def _leave(self, number: int) -> t.Any:
        answer = self.leave_answers.pop(0) if self.leave_answers else None
        if answer is None or answer is CUT:
            self.members.pop(number, None)
        return reply("EtcdLeaveCluster") if answer is None else answer

    def _remove(self, request: t.Any, _node: str | None) -> t.Any:
        self.members.pop(request.member_id, None)
        return reply("EtcdRemoveMemberByID")

    @property
    def exchange(self) -> list[str]:
        """The calls as "method" or "method@number of the member that it was relayed to"."""
        return [name + (f"@{self.ips.index(node) + 1}" if node else "") for name, _request, node in self.node.calls]

    def ref(self, number: int, **kwargs: t.Any) -> dict[str, t.Any]:
        return {"name": f"cp-{number}", "address": self.ips[number - 1], "hostname": None, "member_id": None, **kwargs}

    def run(self, *nodes: dict[str, t.Any], check: bool = False, **options: t.Any) -> Outcome:
        params: dict[str, t.Any] = {
            "talosconfig": talosconfig(self.node.authority, self.node.ip),
            "endpoints": [],
            "nodes": list(nodes),
            "unreachable": "fail",
            "allow_single_control_plane": False,
            "allow_last_control_plane": False,
            "wait_timeout": 20.0,
        }
        return etcd.etcd_members({**params, **options}, check)


@pytest.fixture
def world(nodes: Make) -> World:
    return World(nodes().secure())


READ = ["EtcdMemberList", "EtcdStatus", "EtcdStatus@2", "EtcdStatus@3", "EtcdAlarmList"]


def read_of(exchange: list[str]) -> list[str]:
    """Statuses are asked all at once: in any order."""
    return [*exchange[:1], *sorted(exchange[1:-1]), *exchange[-1:]]


def test_info_only_reads(world: World) -> None:
    outcome = world.run()
    assert read_of(world.exchange) == READ
    assert (outcome.steps, outcome.nodes, outcome.failures) == ([], [], {})
    assert outcome.values["quorum"] == {"voters": 3, "healthy": 3, "needed": 2, "tolerates": 1}
    assert outcome.values["members"][1] == {
        "id": "0000000000000002",
        "hostname": "cp-2",
        "addresses": [world.ips[1]],
        "learner": False,
        "healthy": True,
        "leader": False,
        "alarms": [],
        "problem": "",
    }
    assert [row["leader"] for row in outcome.values["members"]] == [True, False, False]


def test_sick_members(world: World) -> None:
    world.down.add(world.ips[1])
    world.status[3] = {"leader": 2}
    world.alarms = [{"member_id": 1, "alarm": 2}]
    members = world.run().values["members"]
    assert [row["healthy"] for row in members] == [False, False, False]
    assert [row["alarms"] for row in members] == [["CORRUPT"], [], []]
    assert "connection refused" in members[1]["problem"]
    assert members[2]["problem"] == "it follows 0000000000000002, the others 0000000000000001"


def test_another_member_at_the_address(world: World) -> None:
    world.status[2] = {"member_id": 77}
    assert world.run().values["members"][1]["problem"] == "the member at its address is 000000000000004d"


def test_leave(world: World) -> None:
    with _progress.running() as progress:
        outcome = world.run(world.ref(2))
    assert list(progress.timing["cp-2"]) == ["leaving", "left"]
    assert read_of(world.exchange[:5]) == READ
    assert world.exchange[5:9] == ["EtcdMemberList", "EtcdForfeitLeadership@2", "EtcdLeaveCluster@2", "EtcdMemberList"]
    assert read_of(world.exchange[9:]) == [call for call in READ if call != "EtcdStatus@2"]
    assert [step.summary() for step in outcome.steps] == [{"verb": "leave", "node": "cp-2", "target": "etcd member 0000000000000002"}]
    assert outcome.nodes == [{"name": "cp-2", "member_id": "0000000000000002", "state": "absent"}]
    assert outcome.values["quorum"]["voters"] == 2
    assert outcome.failures == {}


def test_check_mode_predicts_the_same_plan(world: World) -> None:
    predicted = world.run(world.ref(2), check=True)
    assert read_of(world.exchange) == READ
    done = world.run(world.ref(2))
    assert predicted.steps == done.steps
    assert predicted.nodes == done.nodes


def test_D2_already_left(world: World) -> None:
    del world.members[2]
    outcome = world.run(world.ref(2))
    assert (outcome.steps, outcome.nodes) == ([], [{"name": "cp-2", "member_id": "", "state": "absent"}])
    assert set(world.node.names) == {"EtcdMemberList", "EtcdAlarmList", "EtcdStatus"}


def test_D3_lost_reply_is_verified_from_another_member(world: World) -> None:
    world.leave_answers = [CUT]
    outcome = world.run(world.ref(2))
    assert outcome.failures == {}
    assert world.exchange.count("EtcdLeaveCluster@2") == 1


def test_D3_failed_leave_is_tried_again(world: World) -> None:
    world.leave_answers = [GRPCError(Status.UNKNOWN, "etcdserver: unhealthy cluster")]
    assert world.run(world.ref(2)).failures == {}
    assert world.exchange.count("EtcdLeaveCluster@2") == 2


def test_D3_never_left(world: World) -> None:
    world.leave_answers = [GRPCError(Status.UNKNOWN, "etcdserver: unhealthy cluster")] * 1000
    outcome = world.run(world.ref(2), wait_timeout=0.1)
    assert "did not leave etcd within 0.1 s" in outcome.failures["cp-2"]
    assert "unhealthy cluster" in outcome.failures["cp-2"]
    assert outcome.nodes == [{"name": "cp-2", "member_id": "0000000000000002", "state": "present"}]
    assert 2 in world.members


def test_D3_acknowledged_but_still_listed(world: World) -> None:
    world.leave_answers = [reply("EtcdLeaveCluster")]
    outcome = world.run(world.ref(2), wait_timeout=0.1)
    assert "etcd still lists 0000000000000002 (cp-2" in outcome.failures["cp-2"]


def test_leader_leaves_last_and_hands_over(world: World, nodes: Make) -> None:
    five = World(world.node, others=4)
    five.leader = 2
    outcome = five.run(five.ref(2), five.ref(3))
    asked = [call for call in five.exchange if call.partition("@")[0] in ("EtcdForfeitLeadership", "EtcdLeaveCluster")]
    assert asked == ["EtcdForfeitLeadership@3", "EtcdLeaveCluster@3", "EtcdForfeitLeadership@2", "EtcdLeaveCluster@2"]
    assert outcome.failures == {}
    assert [node["name"] for node in outcome.nodes] == ["cp-2", "cp-3"]


def test_failed_forfeit_does_not_stop_the_leave(world: World) -> None:
    world.node.answers["EtcdForfeitLeadership"] = GRPCError(Status.UNKNOWN, "no other healthy member")
    outcome = world.run(world.ref(2))
    assert outcome.failures == {}
    assert "leadership was not handed over" in outcome.warnings[0]


def test_a_failure_stops_the_next_member(world: World) -> None:
    five = World(world.node, others=4)
    five.leave_answers = [GRPCError(Status.UNKNOWN, "no")] * 1000
    outcome = five.run(five.ref(2), five.ref(3), wait_timeout=0.05)
    assert outcome.failures["cp-3"] == "not tried, since the one before it failed"
    assert "EtcdLeaveCluster@3" not in five.exchange


def test_guard_is_asked_again_before_the_next_member(world: World) -> None:
    five = World(world.node, others=4)
    leave = five._leave

    def leave_and_lose(number: int) -> t.Any:
        five.down.add(five.ips[4])
        return leave(number)

    five.node.answers["EtcdLeaveCluster"] = five._relayed(leave_and_lose)
    outcome = five.run(five.ref(2), five.ref(3))
    assert "is healthy while others are not" in outcome.failures["cp-3"]
    assert sorted(five.members) == [1, 3, 4, 5]


def test_F4_what_is_not_permitted_any_more_stops_the_next_member(world: World) -> None:
    """The lease that was held when the run began may be somebody else's by the time the first member has left."""
    five = World(world.node, others=4)

    def lost() -> None:
        if 2 not in five.members:
            raise ManagerError("the lease was lost")

    with _permit.confirmed_by(lost):
        outcome = five.run(five.ref(2), five.ref(3))
    assert outcome.failures == {"cp-3": "the lease was lost"}
    assert "EtcdLeaveCluster@3" not in five.exchange


def test_D1_refused_before_anything(world: World) -> None:
    world.down.add(world.ips[2])
    with pytest.raises(ManagerError, match=r"without 0000000000000002 .* only 1 of 2 voters would be healthy"):
        world.run(world.ref(2))
    assert "EtcdLeaveCluster@2" not in world.exchange


def test_endpoint_that_has_left_etcd_still_tells(world: World, nodes: Make) -> None:
    """A control plane outside etcd lists the members (it asks the others), but knows nothing of its own: alarms come from a member."""
    world.members = {number: row for number, row in world.members.items() if number != 1}
    world.leader = 2
    outcome = world.run()
    assert outcome.values["quorum"] == {"voters": 2, "healthy": 2, "needed": 2, "tolerates": 0}
    assert world.exchange[-1] == "EtcdAlarmList@2"


def test_dead_member_needs_the_word(world: World) -> None:
    world.down.add(world.ips[2])
    with pytest.raises(ManagerError, match="cp-3: .*unreachable=force removes it by its ID"):
        world.run(world.ref(3))
    assert sorted(world.members) == [1, 2, 3]


def test_D11_dead_member_is_removed_by_id(world: World) -> None:
    world.down.add(world.ips[2])
    outcome = world.run(world.ref(3), unreachable="force")
    assert [step.verb for step in outcome.steps] == ["remove"]
    assert outcome.failures == {}
    [request] = [request for name, request, _node in world.node.calls if name == "EtcdRemoveMemberByID"]
    assert request.member_id == 3
    assert not any(call.startswith(("EtcdLeave", "EtcdForfeit")) for call in world.exchange)


def test_sick_member_that_cannot_leave_is_removed_by_force(world: World) -> None:
    world.status[3] = {"errors": ["etcdserver: no leader"]}
    world.leave_answers = [GRPCError(Status.UNKNOWN, "etcdserver: request timed out")] * 1000
    assert "did not leave etcd" in world.run(world.ref(3), wait_timeout=0.1).failures["cp-3"]
    outcome = world.run(world.ref(3), wait_timeout=0.1, unreachable="force")
    assert outcome.failures == {}
    assert "removed by its ID" in outcome.warnings[0]
    assert sorted(world.members) == [1, 2]


def test_unreadable_after_the_change(world: World) -> None:
    members = world.node.answers["EtcdMemberList"]
    asked = iter(range(100))
    world.node.answers["EtcdMemberList"] = lambda request, node: members(request, node) if next(asked) < 3 else GRPCError(Status.UNKNOWN, "no leader")
    outcome = world.run(world.ref(2))
    assert outcome.failures == {}
    assert [row["hostname"] for row in outcome.values["members"]] == ["cp-1", "cp-3"]
    assert "could not be read again" in outcome.warnings[0]


def test_force_still_lets_a_living_member_leave(world: World) -> None:
    outcome = world.run(world.ref(3), unreachable="force")
    assert [step.verb for step in outcome.steps] == ["leave"]
    assert "EtcdRemoveMemberByID" not in world.exchange


def test_sick_but_reachable_member_leaves(world: World) -> None:
    world.status[3] = {"errors": ["etcdserver: no leader"]}
    assert [step.verb for step in world.run(world.ref(3)).steps] == ["leave"]


def test_etcd_down_but_talos_up_counts_as_reachable(world: World) -> None:
    world.node.answers["EtcdStatus"] = lambda request, node: UNAVAILABLE if node == world.ips[2] else world._relayed(world._status)(request, node)
    assert [step.verb for step in world.run(world.ref(3), check=True).steps] == ["leave"]
    assert "Version@3" in world.exchange


def test_D4_ghost_is_reported_and_left_alone(world: World) -> None:
    world.members[9] = member(9, "cp-2", "127.254.254.254")
    world.down.add("127.254.254.254")
    del world.members[2]
    outcome = world.run(world.ref(2))
    assert outcome.values["ghosts"] == ["0000000000000009"]
    assert "bears the name of a node, but not its address" in outcome.warnings[0]
    assert outcome.nodes[0]["state"] == "absent"
    assert 9 in world.members


def test_endpoints_of_doomed_nodes_are_not_asked(world: World, nodes: Make) -> None:
    other = nodes().secure()
    world.ips[1] = other.ip
    world.members[2] = member(2, "cp-2", other.ip)
    outcome = world.run(world.ref(2), endpoints=[other.ip, world.node.ip])
    assert outcome.failures == {}
    assert other.calls == []


def test_doomed_endpoint_known_by_its_name_only(world: World, nodes: Make) -> None:
    """The node's address is unknown: the member list tells it, and the endpoint is given up."""
    other = World(nodes().secure())
    other.members, other.ips = world.members, [other.node.ip, *world.ips[1:]]
    world.members[2] = member(2, "cp-2", other.node.ip)
    world.ips[1] = other.node.ip
    outcome = world.run(world.ref(2, address=None), endpoints=[other.node.ip, world.node.ip])
    assert outcome.failures == {}
    assert not any(name in ("EtcdLeaveCluster", "EtcdForfeitLeadership") for name in other.node.names)


def test_only_doomed_endpoints(world: World) -> None:
    with pytest.raises(ManagerError, match="endpoints: all of them are of the nodes to remove"):
        world.run(world.ref(1))


def test_unreachable_endpoint_is_passed_over(world: World) -> None:
    assert world.run(endpoints=[address(), world.node.ip]).values["quorum"]["voters"] == 3


def test_no_endpoint_answers(loop: Loop, authority: Authority) -> None:
    silent = World(Node(loop, authority))
    with pytest.raises(ManagerError, match=r"no control plane gives etcd's member list: 127.*connection refused"):
        silent.run()


def test_D8_last_control_plane(nodes: Make) -> None:
    world = World(nodes().secure(), others=0)
    with pytest.raises(ManagerError, match="endpoints: all of them are of the nodes to remove"):
        world.run(world.ref(1))
    outcome = world.run(world.ref(1), allow_last_control_plane=True)
    assert (outcome.steps, outcome.nodes) == ([], [{"name": "cp-1", "member_id": "0000000000000001", "state": "last"}])
    assert "EtcdLeaveCluster" not in world.node.names


def test_D8_last_control_plane_is_dead(loop: Loop, authority: Authority) -> None:
    world = World(Node(loop, authority), others=0)
    outcome = world.run(world.ref(1), allow_last_control_plane=True)
    assert outcome.nodes == [{"name": "cp-1", "member_id": "", "state": "unknown"}]
    assert "tolerated for the last control plane" in outcome.warnings[0]


def test_not_knowing_is_tolerated_only_when_nobody_stays(world: World) -> None:
    """The word for the last one must not let another one be killed unseen."""
    world.node.answers["EtcdMemberList"] = GRPCError(Status.UNKNOWN, "no leader")
    with pytest.raises(ManagerError, match="no control plane gives etcd's member list"):
        world.run(world.ref(2), allow_last_control_plane=True)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"nodes": [{"name": ""}]}, "name is empty"),
        ({"nodes": [{"name": "a"}, {"name": "a"}]}, "named twice: a"),
        ({"nodes": [{"name": "a", "member_id": "zz"}]}, "not an etcd member ID"),
        ({"endpoints": ["a:b"]}, "endpoints: "),
        ({"talosconfig": "{"}, "talosconfig is not YAML"),
    ],
)
def test_bad_options(world: World, options: dict[str, t.Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        world.run(**options)
    assert world.node.calls == []


def test_two_nodes_for_one_member(world: World) -> None:
    with pytest.raises(ManagerError, match="two of them are the same etcd member"):
        world.run(world.ref(2), {"name": "other", "address": world.ips[1]})
