# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""D: etcd and Talos. talos_etcd_member, talos_apply_config and talos_bootstrap against the sandbox's machines.

D6, which is about the order of steps, is in tests/integration/test_delete.py.

Rows that are not reproduced:
| D9 | nothing is reset: a node that goes ends with its VM and its disk, and no module calls Talos' Reset |
"""

from __future__ import annotations

import time
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import bootstrap

from tests.sandbox.calls import Fault
from tests.sandbox.configs import ClusterSecrets, machine_config, talosconfig
from tests.unit.plugins.module_utils._talos.lab import Lab, quick
from tests.unit.sandbox.talos_kit import Kit, cluster_secrets, edit


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    monkeypatch.setattr(bootstrap, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(bootstrap, "RESEND_SECONDS", 0.5)


@pytest.fixture
def kit() -> t.Iterator[Kit]:
    kit = Kit()
    yield kit
    kit.close()


@pytest.fixture
def lab(kit: Kit) -> Lab:
    """Three control planes, cp-1 to cp-3."""
    return Lab(kit)


def plane(lab: Lab, number: int) -> dict[str, t.Any]:
    return {"name": f"cp-{number}", "address": lab.kit.vm(number).private_ip}


def dies(lab: Lab, number: int) -> dict[str, t.Any]:
    """Power a control plane off."""
    lab.kit.machines.power_off(lab.kit.vm(number).instance_id)
    return plane(lab, number)


def member_ids(lab: Lab) -> dict[str, str]:
    """Address to ID of the members that etcd lists."""
    return {row["addresses"][0]: row["id"] for row in lab.leave().values["members"]}


@pytest.mark.parametrize("kind", ["lost_reply", "error", "throttle"])
def test_D7_faults_while_applying(lab: Lab, kind: str) -> None:
    lab.fresh(11)
    lab.kit.ledger.faults.append(Fault(kind, "talos", "ApplyConfiguration", [1]))
    outcome = lab.deliver(lab.row(11, "w-1"))
    assert outcome.failures == {}
    assert outcome.nodes[0]["stage"] == "running"


@pytest.mark.parametrize("kind", ["lost_reply", "error", "throttle"])
def test_D3_faults_while_leaving(lab: Lab, kind: str) -> None:
    lab.kit.ledger.faults.append(Fault(kind, "talos", "EtcdLeaveCluster", [1]))
    outcome = lab.leave({"name": "cp-3", "address": lab.control_planes[2]})
    assert outcome.failures == {}
    assert outcome.values["quorum"] == {"voters": 2, "healthy": 2, "needed": 2, "tolerates": 0}


def test_D1_a_healthy_one_does_not_go_beside_a_sick_one_and_the_sick_one_may(lab: Lab) -> None:
    dead = dies(lab, 3)
    with pytest.raises(ManagerError, match="only 1 of 2 voters would be healthy, 2 are needed: .*cp-3"):
        lab.leave(plane(lab, 2))
    assert lab.mutating == []
    assert lab.leave(dead, unreachable="force").failures == {}
    assert lab.leave().values["quorum"] == {"voters": 2, "healthy": 2, "needed": 2, "tolerates": 0}


def test_D1_a_sick_one_that_answers_counts_as_sick(lab: Lab) -> None:
    lab.kit.machines.set_alarm(lab.control_planes[2], 2)
    with pytest.raises(ManagerError, match="CORRUPT"):
        lab.leave(plane(lab, 2))
    assert lab.mutating == []


def test_D1_down_to_one_only_by_its_word(lab: Lab) -> None:
    """Two of three at once, and one of two."""
    two = [plane(lab, 2), plane(lab, 3)]
    with pytest.raises(ManagerError, match="allow_single_control_plane"):
        lab.leave(*two)
    assert lab.mutating == []
    assert lab.leave(two[1]).failures == {}
    with pytest.raises(ManagerError, match="allow_single_control_plane"):
        lab.leave(two[0])
    assert lab.leave(two[0], allow_single_control_plane=True).failures == {}
    assert lab.leave().values["quorum"] == {"voters": 1, "healthy": 1, "needed": 1, "tolerates": 0}


def test_D2_one_that_has_left_counts_no_more_and_is_not_asked_again(lab: Lab) -> None:
    """Its machine and its Node are still there, as a run leaves them that is killed right after."""
    lab.leave(plane(lab, 3))
    lab.kit.ledger.clear_calls()
    again = lab.leave(plane(lab, 3))
    assert (again.failures, again.steps, again.nodes[0]["state"]) == ({}, [], "absent")
    assert again.values["quorum"] == {"voters": 2, "healthy": 2, "needed": 2, "tolerates": 0}
    assert lab.mutating == []


def test_D3_leave_that_fails_is_a_failure_and_the_member_is_told(lab: Lab) -> None:
    lab.kit.ledger.faults.append(Fault("error", "talos", "EtcdLeaveCluster"))
    outcome = lab.leave(plane(lab, 3), wait_timeout=1.0)
    assert "did not leave etcd within 1 s" in outcome.failures["cp-3"]
    assert outcome.nodes[0]["state"] == "present"
    lab.kit.ledger.faults.clear()
    assert lab.control_planes[2] in member_ids(lab)


def test_D4_the_member_at_the_address_goes_and_its_namesake_stays(lab: Lab) -> None:
    """Names are given again; what is removed is told by its ID."""
    ids = member_ids(lab)
    dies(lab, 2)
    outcome = lab.leave({"name": "cp-3", "address": lab.control_planes[1]}, unreachable="force")
    assert outcome.failures == {}
    assert [step.target for step in outcome.steps] == [f"etcd member {ids[lab.control_planes[1]]}"]
    assert outcome.values["ghosts"] == [ids[lab.control_planes[2]]]
    assert member_ids(lab) == {address: ids[address] for address in (lab.control_planes[0], lab.control_planes[2])}


def test_D5_control_planes_join_one_by_one_and_are_waited_for_until_they_vote(lab: Lab) -> None:
    lab.kit.ledger.delays["talos.join"] = 0.4
    for number in (11, 12):
        lab.fresh(number)
    outcome = lab.deliver(lab.row(11, "cp-4"), lab.row(12, "cp-5"), role="controlplane")
    assert outcome.failures == {}
    members = lab.leave().values
    assert members["quorum"] == {"voters": 5, "healthy": 5, "needed": 3, "tolerates": 2}
    first, second = [call.started for call in lab.kit.ledger.calls if call.operation == "ApplyConfiguration"]
    assert second - first >= 0.4


def test_D8_the_last_one_goes_by_its_word_only(kit: Kit) -> None:
    lab = Lab(kit, 1)
    with pytest.raises(ManagerError, match="allow_last_control_plane"):
        lab.leave(plane(lab, 1))
    assert lab.mutating == []
    outcome = lab.leave(plane(lab, 1), allow_last_control_plane=True)
    assert (outcome.failures, outcome.nodes[0]["state"]) == ({}, "last")


def test_D8_all_of_them_at_once_too(lab: Lab) -> None:
    everyone = [plane(lab, number) for number in (1, 2, 3)]
    with pytest.raises(ManagerError, match="allow_last_control_plane"):
        lab.leave(*everyone, allow_single_control_plane=True)
    assert lab.mutating == []


def test_D10_which_mode_a_node_is_in_is_found_out(lab: Lab) -> None:
    """One is configured, as an earlier run left it, and one waits in maintenance mode."""
    lab.fresh(11)
    assert lab.deliver(lab.row(11, "w-1")).failures == {}
    lab.fresh(12)
    lab.kit.ledger.clear_calls()
    outcome = lab.deliver(lab.row(11, "w-1"), lab.row(12, "w-2"))
    assert outcome.failures == {}
    assert [(node["name"], node["was"], node["applied"]) for node in outcome.nodes] == [("w-1", "configured", False), ("w-2", "maintenance", True)]
    assert lab.mutating == ["ApplyConfiguration"]


def test_D10b_maintenance_mode_that_still_answers_is_not_the_end(lab: Lab) -> None:
    lab.kit.ledger.delays |= {"talos.apply": 0.5, "talos.install": 0.3}
    lab.fresh(11)
    started = time.monotonic()
    outcome = lab.deliver(lab.row(11, "w-1"))
    assert time.monotonic() - started >= 0.8
    assert (outcome.failures, outcome.nodes[0]["stage"]) == ({}, "running")
    assert lab.mutating == ["ApplyConfiguration"]


def test_D11_a_machine_that_is_gone_is_removed_by_force_only(lab: Lab) -> None:
    dead = dies(lab, 3)
    lab.kit.machines.destroy(lab.kit.vm(3).instance_id)
    with pytest.raises(ManagerError, match="unreachable=force"):
        lab.leave(dead)
    assert lab.mutating == []
    assert lab.leave(dead, unreachable="force").failures == {}
    assert lab.mutating == ["EtcdRemoveMemberByID"]


def test_D11_force_still_guards_the_quorum_and_says_who_blocks(lab: Lab) -> None:
    for number in (2, 3):
        dies(lab, number)
    with pytest.raises(ManagerError, match=rf"no leader; {lab.control_planes[1]}: EtcdMemberList: connection refused"):
        lab.leave(plane(lab, 3), unreachable="force")
    assert lab.mutating == []


@pytest.fixture
def secrets(kit: Kit) -> ClusterSecrets:
    return cluster_secrets(kit.talos)


@pytest.fixture
def planes(kit: Kit, secrets: ClusterSecrets) -> list[dict[str, str]]:
    """Three control planes that are configured; none was told to bootstrap."""
    for number in (1, 2, 3):
        kit.boot(number, edit(machine_config(secrets, "controlplane"), f"cp-{number}"), "starting")
    kit.ledger.clear_calls()
    return [{"name": f"cp-{number}", "address": kit.vm(number).private_ip} for number in (1, 2, 3)]


def bootstrapped(secrets: ClusterSecrets, planes: list[dict[str, str]], **more: t.Any) -> Outcome:
    """talos_bootstrap's outcome."""
    config = talosconfig(secrets, [planes[0]["address"]])
    return bootstrap.bootstrap({"talosconfig": config, "nodes": planes, "wait_timeout": 20, **more}, False)


def told(kit: Kit) -> list[str]:
    """The names of the calls that changed something."""
    return [call.operation for call in kit.ledger.calls if call.mutating]


@pytest.mark.parametrize("kind", ["none", "lost_reply", "error"])
def test_D12_etcd_is_bootstrapped_once(kit: Kit, secrets: ClusterSecrets, planes: list[dict[str, str]], kind: str) -> None:
    if kind != "none":
        kit.ledger.faults.append(Fault(kind, "talos", "Bootstrap", [1]))
    assert bootstrapped(secrets, planes).failures == {}
    assert told(kit) == ["Bootstrap"] * (2 if kind == "error" else 1)
    again = bootstrapped(secrets, planes)
    assert (again.steps, len(kit.machines.dump()["etcd"])) == ([], 1)


def test_D12_bootstrap_that_another_node_was_told_is_found(kit: Kit, secrets: ClusterSecrets, planes: list[dict[str, str]]) -> None:
    """Whichever node is named first: all are asked before one is told."""
    kit.machines.bootstrap(planes[2]["address"])
    kit.wait(lambda: kit.state(planes[2]["address"]).member)
    outcome = bootstrapped(secrets, planes)
    assert (outcome.failures, outcome.steps, told(kit)) == ({}, [], [])
    assert len(kit.machines.dump()["etcd"]) == 1


def test_D12_one_that_does_not_answer_may_have_been_told(kit: Kit, secrets: ClusterSecrets, planes: list[dict[str, str]]) -> None:
    kit.machines.power_off(kit.vm(2).instance_id)
    with pytest.raises(ManagerError, match="cp-2"):
        bootstrapped(secrets, planes, wait_timeout=1.0)
    assert told(kit) == []


def test_D5_a_new_machine_of_a_lost_ones_name_votes_in_the_end(lab: Lab) -> None:
    """A machine was lost without leaving, its successor got the name and the address: it joins and both are told apart by ID."""
    lab.kit.machines.power_off(lab.kit.vm(3).instance_id)
    assert lab.leave({"name": "cp-3", "address": lab.control_planes[2]}, unreachable="force").failures == {}
    lab.fresh(13)
    outcome = lab.deliver(lab.row(13, "cp-3", hostname="cp-3"), role="controlplane")
    assert outcome.failures == {}
    assert lab.leave().values["quorum"] == {"voters": 3, "healthy": 3, "needed": 2, "tolerates": 1}
