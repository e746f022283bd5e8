# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd of simulated control planes: joining, learners, leadership, quorum, and the removals that etcd refuses.

Sources: Talos v1.13.9 internal/pkg/etcd/etcd.go and machined/pkg/system/services/etcd.go; etcd 3.6 server/etcdserver/server.go
(mayAddMember, mayRemoveMember) and api/v3rpc/rpctypes/error.go.
"""

from __future__ import annotations

import threading
import time
import typing as t
from functools import partial

import pytest
from grpclib.exceptions import GRPCError

from tests.sandbox.configs import machine_config

from .talos_kit import Kit, cluster_secrets, edit, secure


@pytest.fixture
def kit() -> t.Iterator[Kit]:
    kit = Kit()
    yield kit
    kit.close()


def expect_refused(call: t.Callable[[], t.Any]) -> tuple[str, str]:
    """The status and text that a call ends with."""
    with pytest.raises(GRPCError) as caught:
        call()
    return caught.value.status.name, caught.value.message or ""


def off(kit: Kit, number: int) -> None:
    kit.machines.power_off(kit.vm(number).instance_id)


def leader(kit: Kit, context: t.Any, number: int) -> int:
    return int(kit.call(kit.vm(number).private_ip, "EtcdStatus", context).messages[0].member_status.leader)


def test_three_members(kit: Kit) -> None:
    secrets = kit.cluster(3)
    admin = secure(secrets)
    members = kit.members(kit.vm(1).private_ip, admin)
    assert sorted(member.hostname for member in members) == ["cp-1", "cp-2", "cp-3"]
    assert [member.id for member in members] == sorted(member.id for member in members) and all(member.id > 2**32 for member in members)
    assert not any(member.is_learner for member in members)
    assert {url for member in members for url in member.peer_urls} == {f"https://{kit.vm(number).private_ip}:2380" for number in (1, 2, 3)}
    assert len({leader(kit, admin, number) for number in (1, 2, 3)} - {0}) == 1


def test_without_bootstrap_nothing_becomes_ready(kit: Kit) -> None:
    """services/etcd.go: a control plane waits to be bootstrapped or to join; the kubelet's API and the worker's depend on it."""
    secrets = cluster_secrets()
    for number, role in ((1, "controlplane"), (2, "controlplane"), (3, "worker")):
        kit.boot(number, edit(machine_config(secrets, role), f"node-{number}"), "starting")
    kit.wait(lambda: all(kit.state(kit.vm(number).private_ip).cri for number in (1, 2, 3)))
    time.sleep(0.5)
    states = [kit.state(kit.vm(number).private_ip) for number in (1, 2, 3)]
    assert [(state.phase, state.etcd, state.ready) for state in states] == [("starting", "waiting", False)] * 2 + [("starting", "", False)]
    assert kit.kubernetes.registered == {} and kit.machines.dump()["etcd"] == []
    assert not any(kit.machines.answers(kit.vm(number).private_ip, 6443) for number in (1, 2))
    kit.call(kit.vm(2).private_ip, "Bootstrap", secure(secrets))
    for number in (1, 2, 3):
        kit.reach(kit.vm(number).private_ip, "running")
    assert [len(cluster["members"]) for cluster in kit.machines.dump()["etcd"]] == [2]


def test_bootstrap_is_refused_where_there_is_etcd_data(kit: Kit) -> None:
    """v1alpha1_server.go Bootstrap."""
    secrets = kit.cluster(1)
    assert expect_refused(lambda: kit.call(kit.vm(1).private_ip, "Bootstrap", secure(secrets))) == ("ALREADY_EXISTS", "etcd data directory is not empty")


def test_bootstrap_elsewhere_splits_the_cluster(kit: Kit) -> None:
    """https://github.com/siderolabs/talos/issues/5500: a node that has not joined yet becomes a second cluster, whose members know nothing of the first."""
    secrets = cluster_secrets()
    admin = secure(secrets)
    first, second = (kit.boot(number, edit(machine_config(secrets, "controlplane"), f"cp-{number}"), "starting") for number in (1, 2))
    kit.wait(lambda: kit.state(first).cri and kit.state(second).cri)
    kit.call(first, "Bootstrap", admin)
    kit.call(second, "Bootstrap", admin)
    for address in (first, second):
        kit.reach(address, "running")
    assert [[member["name"] for member in cluster["members"]] for cluster in kit.machines.dump()["etcd"]] in ([["cp-1"], ["cp-2"]], [["cp-2"], ["cp-1"]])
    assert [member.hostname for member in kit.members(first, admin)] == ["cp-1"]
    assert [member.hostname for member in kit.members(second, admin)] == ["cp-2"]


def test_bootstrap_needs_the_container_runtime(kit: Kit) -> None:
    """v1alpha1_runtime.go IsBootstrapAllowed: the secure API answers before CRI is up."""
    secrets = cluster_secrets()
    kit.ledger.delays["talos.cri"] = 0.4
    address = kit.boot(1, edit(machine_config(secrets, "controlplane"), "cp-1"), "starting")
    admin = secure(secrets)
    assert expect_refused(lambda: kit.call(address, "Bootstrap", admin)) == ("FAILED_PRECONDITION", "bootstrap is not available yet")
    kit.wait(lambda: kit.state(address).cri)
    kit.call(address, "Bootstrap", admin)
    kit.reach(address, "running")


def test_workers_are_not_bootstrapped(kit: Kit) -> None:
    """v1alpha1_server.go Bootstrap."""
    secrets = kit.cluster(1)
    worker = kit.boot(5, edit(machine_config(secrets, "worker"), "worker-5"), "running")
    refused = ("FAILED_PRECONDITION", "bootstrap can only be performed on a control plane node")
    assert expect_refused(lambda: kit.call(worker, "Bootstrap", secure(secrets))) == refused


def test_bootstrap_shows_only_once_etcd_has_started(kit: Kit) -> None:
    """v1alpha1_server.go Bootstrap looks at the data directory alone: until etcd has started, a second call is taken, and makes no second cluster."""
    secrets = cluster_secrets()
    kit.ledger.delays["talos.etcd"] = 0.5
    address = kit.boot(1, edit(machine_config(secrets, "controlplane"), "cp-1"), "starting")
    admin = secure(secrets)
    kit.wait(lambda: kit.state(address).cri)
    kit.call(address, "Bootstrap", admin)
    assert expect_refused(lambda: kit.members(address, admin)) == ("UNKNOWN", "no controlplane endpoints discovered yet")
    kit.call(address, "Bootstrap", admin)
    kit.reach(address, "running")
    assert len(kit.machines.dump()["etcd"]) == 1


def test_a_reboot_forgets_a_bootstrap_that_has_not_happened(kit: Kit) -> None:
    """services/etcd.go BootstrapEtcd: the request lives in memory until etcd has written its data."""
    secrets = cluster_secrets()
    kit.ledger.delays["talos.etcd"] = 30.0
    address = kit.boot(1, edit(machine_config(secrets, "controlplane"), "cp-1"), "starting")
    kit.wait(lambda: kit.state(address).cri)
    kit.call(address, "Bootstrap", secure(secrets))
    off(kit, 1)
    kit.ledger.delays["talos.etcd"] = 0.0
    kit.machines.power_on(kit.vm(1))
    kit.wait(lambda: kit.state(address).cri)
    time.sleep(0.3)
    assert kit.state(address).etcd == "waiting" and kit.machines.dump()["etcd"] == []


def test_before_bootstrap_etcd_calls_say_what_is_missing(kit: Kit) -> None:
    """etcd.go: no endpoints are discovered, nothing listens."""
    secrets = cluster_secrets()
    address = kit.boot(1, edit(machine_config(secrets, "controlplane"), "cp-1"), "starting")
    admin = secure(secrets)
    assert expect_refused(lambda: kit.members(address, admin)) == ("UNKNOWN", "no controlplane endpoints discovered yet")
    status, text = expect_refused(lambda: kit.call(address, "EtcdStatus", admin))
    assert status == "UNKNOWN" and "connection refused" in text


def test_etcds_data_directory(kit: Kit) -> None:
    """services/etcd.go PreFunc makes it on control planes; what is in it decides whether Bootstrap is refused."""
    secrets = cluster_secrets()
    kit.ledger.delays["talos.cri"] = 0.4
    address = kit.boot(1, edit(machine_config(secrets, "controlplane"), "cp-1"), "starting")
    reader = secure(secrets, ["os:reader"])
    missing = ("UNKNOWN", "lstat /var/lib/etcd: no such file or directory")
    assert expect_refused(lambda: kit.stream(address, "List", reader, root="/var/lib/etcd")) == missing
    kit.wait(lambda: kit.state(address).cri)
    assert kit.stream(address, "List", reader, root="/var/lib/etcd/") == [b"/var/lib/etcd"]
    kit.call(address, "Bootstrap", secure(secrets))
    kit.reach(address, "running")
    assert kit.stream(address, "List", reader, root="/var/lib/etcd") == [b"/var/lib/etcd", b"/var/lib/etcd/member"]
    worker = kit.boot(5, edit(machine_config(secrets, "worker"), "worker-5"), "running")
    assert expect_refused(lambda: kit.stream(worker, "List", reader, root="/var/lib/etcd")) == missing


def test_a_control_plane_joins_as_a_learner(kit: Kit) -> None:
    secrets = kit.cluster(1)
    admin = secure(secrets)
    kit.ledger.delays["talos.join"] = 0.5
    second = kit.boot(2, edit(machine_config(secrets, "controlplane"), "cp-2"), "starting")
    kit.wait(lambda: [member for member in kit.members(kit.vm(1).private_ip, admin) if member.is_learner and member.hostname == "cp-2"])
    assert kit.call(second, "EtcdStatus", admin).messages[0].member_status.is_learner
    assert not kit.machines.answers(second, 6443)
    kit.reach(second, "running")
    assert not any(member.is_learner for member in kit.members(second, admin))


def test_one_learner_at_a_time(kit: Kit) -> None:
    """etcd --max-learners 1; https://github.com/siderolabs/talos/pull/4062."""
    secrets = kit.cluster(1)
    admin = secure(secrets)
    kit.ledger.delays["talos.join"] = 0.4
    for number in (2, 3):
        kit.boot(number, edit(machine_config(secrets, "controlplane"), f"cp-{number}"), "starting")
    kit.wait(lambda: len(kit.members(kit.vm(1).private_ip, admin)) == 2)
    assert [kit.state(kit.vm(number).private_ip).etcd for number in (2, 3)].count("waiting") == 1
    assert {service.id: service.state for service in kit.call(kit.vm(3).private_ip, "ServiceList", admin).messages[0].services}["etcd"] in (
        "Preparing",
        "Running",
    )
    for number in (2, 3):
        kit.reach(kit.vm(number).private_ip, "running")
    assert len(kit.members(kit.vm(1).private_ip, admin)) == 3


def test_nobody_joins_while_a_voter_is_down(kit: Kit) -> None:
    """etcd mayAddMember: all voting members must be connected (ErrUnhealthy)."""
    secrets = kit.cluster(3)
    off(kit, 3)
    address = kit.boot(4, edit(machine_config(secrets, "controlplane"), "cp-4"), "starting")
    assert kit.state(address).etcd == "waiting"
    assert len(kit.members(kit.vm(1).private_ip, secure(secrets))) == 3
    kit.machines.power_on(kit.vm(3))
    kit.reach(address, "running")
    assert len(kit.members(kit.vm(1).private_ip, secure(secrets))) == 4


def test_a_namesake_takes_the_dead_members_place(kit: Kit) -> None:
    """services/etcd.go addMember: an earlier member of the same name is removed first."""
    secrets = kit.cluster(3)
    before = {member.id for member in kit.members(kit.vm(1).private_ip, secure(secrets))}
    kit.machines.destroy(kit.vm(3).instance_id)
    kit.boot(4, edit(machine_config(secrets, "controlplane"), "cp-3"), "running")
    after = kit.members(kit.vm(1).private_ip, secure(secrets))
    assert sorted(member.hostname for member in after) == ["cp-1", "cp-2", "cp-3"] and len(before & {member.id for member in after}) == 2


def test_a_control_plane_with_another_etcd_ca_does_not_join(kit: Kit) -> None:
    kit.cluster(1)
    stranger = kit.boot(2, edit(machine_config(cluster_secrets(), "controlplane"), "cp-2"), "starting")
    assert kit.state(stranger).etcd == "waiting" and len(kit.machines.dump()["etcd"]) == 1


def test_forfeit_leadership(kit: Kit) -> None:
    """etcd.go ForfeitLeadership: the new leader's name, nothing from a follower, an error from a single member."""
    secrets = kit.cluster(3)
    admin = secure(secrets)
    addresses = {member.id: member.client_urls[0][8:-5] for member in kit.members(kit.vm(1).private_ip, admin)}
    first = leader(kit, admin, 1)
    heir = kit.call(addresses[first], "EtcdForfeitLeadership", admin).messages[0].member
    assert heir and leader(kit, admin, 1) != first
    assert kit.call(addresses[first], "EtcdForfeitLeadership", admin).messages[0].member == ""


def test_a_single_member_cannot_forfeit_or_leave(kit: Kit) -> None:
    secrets = kit.cluster(1)
    admin, address = secure(secrets), kit.vm(1).private_ip
    text = "failed to forfeit leadership: cannot forfeit leadership, only one member"
    assert expect_refused(lambda: kit.call(address, "EtcdForfeitLeadership", admin)) == ("UNKNOWN", text)
    status, text = expect_refused(lambda: kit.call(address, "EtcdLeaveCluster", admin))
    assert status == "UNKNOWN" and text.endswith("etcdserver: re-configuration failed due to not enough started members")


def test_leave(kit: Kit) -> None:
    """etcd.go LeaveCluster: member gone, etcd stopped and its data wiped; a reboot joins again as a new member."""
    secrets = kit.cluster(3)
    admin, third = secure(secrets), kit.vm(3).private_ip
    member = kit.state(third).member
    kit.call(third, "EtcdLeaveCluster", admin)
    assert member not in {one.id for one in kit.members(kit.vm(1).private_ip, admin)}
    services = {one.id: one.state for one in kit.call(third, "ServiceList", admin).messages[0].services}
    assert services["etcd"] == "Finished" and not kit.status(third, admin).status.ready
    kit.call(third, "EtcdLeaveCluster", admin)
    off(kit, 3)
    kit.machines.power_on(kit.vm(3))
    kit.reach(third, "running")
    assert kit.state(third).member not in (0, member) and len(kit.members(third, admin)) == 3


def test_removal_by_id(kit: Kit) -> None:
    """v1alpha1_server.go EtcdRemoveMemberByID: NotFound for an unknown member; a live member that is removed stays broken."""
    secrets = kit.cluster(3)
    admin, first, third = secure(secrets), kit.vm(1).private_ip, kit.vm(3).private_ip
    status, text = expect_refused(lambda: kit.call(first, "EtcdRemoveMemberByID", admin, member_id=42))
    assert (status, text) == ("NOT_FOUND", "failed to remove member 42: etcdserver: member not found")
    kit.call(first, "EtcdRemoveMemberByID", admin, member_id=kit.state(third).member)
    assert len(kit.members(first, admin)) == 2
    off(kit, 3)
    kit.machines.power_on(kit.vm(3))
    kit.reach(third, "starting")
    assert kit.state(third).etcd == "removed" and not kit.machines.answers(third, 6443)
    assert {one.id: one.state for one in kit.call(third, "ServiceList", admin).messages[0].services}["etcd"] == "Failed"


def test_a_dead_member_can_be_removed_and_a_live_one_beside_it_not(kit: Kit) -> None:
    """etcd mayRemoveMember: the active quorum is protected, a member that is down may go."""
    secrets = kit.cluster(3)
    admin, first = secure(secrets), kit.vm(1).private_ip
    dead = kit.state(kit.vm(3).private_ip).member
    off(kit, 3)
    live = kit.state(kit.vm(2).private_ip).member
    status, text = expect_refused(lambda: kit.call(first, "EtcdRemoveMemberByID", admin, member_id=live))
    assert (status, text) == ("UNKNOWN", f"failed to remove member: failed to remove member {live}: etcdserver: unhealthy cluster")
    status, text = expect_refused(lambda: kit.call(kit.vm(2).private_ip, "EtcdLeaveCluster", admin))
    assert status == "UNKNOWN" and text.endswith("etcdserver: unhealthy cluster")
    kit.call(first, "EtcdRemoveMemberByID", admin, member_id=dead)
    assert len(kit.members(first, admin)) == 2


def test_without_quorum_nothing_works(kit: Kit) -> None:
    """clientv3.WithRequireLeader: `etcdserver: no leader`; the local status still answers, with that as its error."""
    secrets = kit.cluster(3)
    admin, first = secure(secrets), kit.vm(1).private_ip
    dead = kit.state(kit.vm(3).private_ip).member
    kit.wait(lambda: kit.machines._node(first).world.api_runs(kit.machines._node(first)))
    off(kit, 2)
    off(kit, 3)
    for fields in ({}, {"query_local": True}):
        assert expect_refused(partial(kit.members, first, admin, **fields)) == ("UNKNOWN", "etcdserver: no leader")
    assert expect_refused(lambda: kit.call(first, "EtcdRemoveMemberByID", admin, member_id=dead))[1].endswith("etcdserver: no leader")
    status = kit.call(first, "EtcdStatus", admin).messages[0].member_status
    assert (status.leader, list(status.errors)) == (0, ["etcdserver: no leader"])
    assert not kit.machines.answers(first, 6443)
    kit.machines.power_on(kit.vm(2))
    kit.reach(kit.vm(2).private_ip, "running")
    assert len(kit.members(first, admin)) == 3


def test_alarms(kit: Kit) -> None:
    secrets = kit.cluster(1)
    address, admin = kit.vm(1).private_ip, secure(secrets)
    assert not kit.call(address, "EtcdAlarmList", admin).messages[0].member_alarms
    kit.machines.set_alarm("cp-1", 1)
    alarms = kit.call(address, "EtcdAlarmList", admin).messages[0].member_alarms
    assert [(one.member_id, one.alarm) for one in alarms] == [(kit.state(address).member, 1)]


def test_leaving_waits_for_a_healthy_cluster(kit: Kit) -> None:
    """etcd.go LeaveCluster: ErrUnhealthy is tried again for minutes; the call ends well once the sick member is back."""
    secrets = kit.cluster(3)
    admin, second = secure(secrets), kit.vm(2).private_ip
    kit.ledger.delays["talos.leave"] = 10.0
    off(kit, 3)
    leaving = threading.Thread(target=kit.call, args=(second, "EtcdLeaveCluster", admin))
    leaving.start()
    kit.wait(lambda: kit.machines._node(second).service.busy)
    assert kit.state(second).etcd == "running"
    kit.machines.power_on(kit.vm(3))
    leaving.join(10)
    assert kit.state(second).etcd == "finished"


def test_leadership_does_not_go_to_a_dead_member(kit: Kit) -> None:
    """etcd MoveLeader to a member that does not answer: `etcdserver: request timed out`."""
    secrets = kit.cluster(3)
    admin = secure(secrets)
    by_id = sorted((kit.state(kit.vm(number).private_ip).member, number) for number in (1, 2, 3))
    t.cast(t.Any, kit.machines.world.etcd.of(by_id[0][0])).leader = by_id[-1][0]
    off(kit, by_id[0][1])
    status, text = expect_refused(lambda: kit.call(kit.vm(by_id[-1][1]).private_ip, "EtcdForfeitLeadership", admin))
    assert (status, text) == ("UNKNOWN", "failed to forfeit leadership: etcdserver: request timed out")
