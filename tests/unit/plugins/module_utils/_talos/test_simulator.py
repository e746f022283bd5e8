# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's modules against the sandbox's Talos machines, which were written by others after Talos' sources: delivery, joining, leaving."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import deliver, etcd, transport

from tests.sandbox.calls import Fault
from tests.sandbox.configs import ClusterSecrets, machine_config, talosconfig
from tests.unit.sandbox.talos_kit import Kit, cluster_secrets

VERSIONS = ["v1.11.6", "v1.12.11", "v1.13.9", "v1.14.0"]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(deliver, "FIRST_TICK_SECONDS", 0.02)
    monkeypatch.setattr(deliver, "LAST_TICK_SECONDS", 0.1)
    monkeypatch.setattr(deliver, "RESEND_SECONDS", 0.3)
    monkeypatch.setattr(etcd, "POLL_SECONDS", 0.02)


class Lab:
    """A running cluster of three control planes (machines 1 to 3) and fresh machines from 11 on."""

    def __init__(self, kit: Kit, control_planes: int = 3) -> None:
        self.kit = kit
        self.secrets: ClusterSecrets = kit.cluster(control_planes, cluster_secrets(kit.talos))
        self.control_planes = [kit.vm(number).private_ip for number in range(1, control_planes + 1)]
        self.talosconfig = talosconfig(self.secrets, self.control_planes)
        kit.ledger.clear_calls()

    def fresh(self, number: int) -> str:
        return self.kit.boot(number)

    def row(self, number: int, name: str, **kwargs: t.Any) -> dict[str, t.Any]:
        vm = self.kit.vm(number)
        fixed = {"labels": {}, "taints": [], "patch": None, "fingerprint": None, "hostname": f"{name}.example.org"}
        return {"name": name, "address": vm.private_ip, "instance_id": vm.instance_id, **fixed, **kwargs}

    def deliver(self, *rows: dict[str, t.Any], role: str = "worker", check: bool = False, **options: t.Any) -> Outcome:
        params: dict[str, t.Any] = {
            "config": machine_config(self.secrets, role),
            "patch": None,
            "nodes": list(rows),
            "role": role,
            "talos_version": None,
            "mode": "cloud",
            "talosconfig": self.talosconfig,
            "endpoints": [],
            "identity_check": "console",
            "wait_timeout": 60.0,
            "concurrency": 50,
            "until": "joined",
        }
        return deliver.apply_configs({**params, **options}, self.kit.machines.console, check)

    def leave(self, *nodes: dict[str, t.Any], check: bool = False, **options: t.Any) -> Outcome:
        params: dict[str, t.Any] = {
            "talosconfig": self.talosconfig,
            "endpoints": [],
            "nodes": list(nodes),
            "unreachable": "fail",
            "allow_single_control_plane": False,
            "allow_last_control_plane": False,
            "wait_timeout": 60.0,
        }
        return etcd.etcd_members({**params, **options}, check)

    def calls(self, operation: str) -> int:
        return sum(call.operation == operation for call in self.kit.ledger.calls)

    @property
    def mutating(self) -> list[str]:
        return [call.operation for call in self.kit.ledger.calls if call.mutating]


@pytest.fixture
def lab() -> t.Iterator[Lab]:
    kit = Kit()
    yield Lab(kit)
    kit.close()


@pytest.fixture(params=VERSIONS)
def versions(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    kit = Kit(request.param)
    yield Lab(kit, 1)
    kit.close()


def test_worker_on_every_version(versions: Lab) -> None:
    lab = versions
    lab.fresh(11)
    outcome = lab.deliver(lab.row(11, "w-1"))
    assert outcome.failures == {}
    [node] = outcome.nodes
    assert (node["was"], node["applied"], node["stage"], node["talos_version"]) == ("maintenance", True, "running", lab.kit.talos)
    stored = lab.kit.machines.config_of("w-1") or ""
    assert next(yaml.safe_load_all(stored))["cluster"]["clusterName"] == "fargle"
    assert lab.mutating == ["ApplyConfiguration"]
    again = lab.deliver(lab.row(11, "w-1"))
    assert (again.failures, again.steps, again.nodes[0]["drift"]) == ({}, [], False)
    assert lab.mutating == ["ApplyConfiguration"]


def test_workers_with_install_and_boot_times(lab: Lab) -> None:
    lab.kit.ledger.delays |= {"talos.boot": 0.3, "talos.install": 0.3, "talos.join": 0.3}
    for number in range(11, 16):
        lab.kit.machines.power_on(lab.kit.vm(number))
    outcome = lab.deliver(*(lab.row(number, f"w-{number}") for number in range(11, 16)))
    assert outcome.failures == {}
    assert lab.mutating == ["ApplyConfiguration"] * 5


def test_control_planes_join_one_by_one(lab: Lab) -> None:
    lab.kit.ledger.delays["talos.join"] = 0.1
    for number in (11, 12):
        lab.fresh(number)
    outcome = lab.deliver(lab.row(11, "cp-4"), lab.row(12, "cp-5"), role="controlplane")
    assert outcome.failures == {}
    members = lab.leave().values
    assert members["quorum"] == {"voters": 5, "healthy": 5, "needed": 3, "tolerates": 2}
    assert {address for row in members["members"] for address in row["addresses"]} >= {lab.kit.vm(11).private_ip, lab.kit.vm(12).private_ip}


def test_impostor_gets_nothing(lab: Lab) -> None:
    address = lab.fresh(11)
    lab.kit.machines.impersonate(address)
    outcome = lab.deliver(lab.row(11, "w-1"), wait_timeout=0.5)
    assert "but the console of" in outcome.failures["w-1"]
    assert lab.kit.machines.stolen(address) == []
    assert lab.mutating == []


def test_identity_none_would_fall_for_it(lab: Lab) -> None:
    address = lab.fresh(11)
    lab.kit.machines.impersonate(address)
    outcome = lab.deliver(lab.row(11, "w-1"), wait_timeout=0.5, identity_check="none")
    assert len(lab.kit.machines.stolen(address)) >= 1
    assert "whoever answers" in outcome.warnings[0]


def test_rekeyed_machine(lab: Lab) -> None:
    address = lab.fresh(11)
    lab.kit.machines.rekey(address)
    assert lab.deliver(lab.row(11, "w-1")).failures == {}


@pytest.mark.parametrize("kind", ["lost_reply", "error", "throttle"])
def test_D7_faults_while_applying(lab: Lab, kind: str) -> None:
    lab.fresh(11)
    lab.kit.ledger.faults.append(Fault(kind, "talos", "ApplyConfiguration", [1]))
    outcome = lab.deliver(lab.row(11, "w-1"))
    assert outcome.failures == {}
    assert outcome.nodes[0]["stage"] == "running"


def test_machine_of_another_cluster(lab: Lab) -> None:
    other = cluster_secrets(lab.kit.talos, "fargle2")
    lab.kit.boot(11, machine_config(other, "controlplane"), "starting")
    outcome = lab.deliver(lab.row(11, "w-1"))
    assert "another machine answers" in outcome.failures["w-1"]
    assert lab.mutating == []


def test_check_mode_touches_nothing(lab: Lab) -> None:
    lab.fresh(11)
    predicted = lab.deliver(lab.row(11, "w-1"), lab.row(12, "w-2", address=None, instance_id=None), check=True)
    assert [step.node for step in predicted.steps] == ["w-1", "w-2"]
    assert lab.kit.ledger.calls == []


def test_leaving(lab: Lab) -> None:
    gone = {"name": "cp-3", "address": lab.control_planes[2]}
    predicted = lab.leave(gone, check=True)
    assert lab.mutating == []
    outcome = lab.leave(gone)
    assert outcome.failures == {}
    assert outcome.steps == predicted.steps
    assert outcome.values["quorum"]["voters"] == 2
    assert lab.mutating == ["EtcdForfeitLeadership", "EtcdLeaveCluster"]
    again = lab.leave(gone)
    assert (again.steps, again.nodes[0]["state"]) == ([], "absent")


def test_the_leader_leaves(lab: Lab) -> None:
    [leader] = [row for row in lab.leave().values["members"] if row["leader"]]
    outcome = lab.leave({"name": leader["hostname"], "address": leader["addresses"][0]})
    assert (outcome.failures, outcome.values["quorum"]["healthy"]) == ({}, 2)


@pytest.mark.parametrize("kind", ["lost_reply", "error", "throttle"])
def test_D3_faults_while_leaving(lab: Lab, kind: str) -> None:
    lab.kit.ledger.faults.append(Fault(kind, "talos", "EtcdLeaveCluster", [1]))
    outcome = lab.leave({"name": "cp-3", "address": lab.control_planes[2]})
    assert outcome.failures == {}
    assert outcome.values["quorum"] == {"voters": 2, "healthy": 2, "needed": 2, "tolerates": 0}


def test_dead_control_plane(lab: Lab) -> None:
    lab.kit.machines.power_off(lab.kit.vm(3).instance_id)
    dead, healthy = ({"name": f"cp-{number}", "address": lab.control_planes[number - 1]} for number in (3, 2))
    with pytest.raises(ManagerError, match="unreachable=force"):
        lab.leave(dead)
    with pytest.raises(ManagerError, match="only 1 of 2 voters would be healthy"):
        lab.leave(healthy)
    assert lab.mutating == []
    outcome = lab.leave(dead, unreachable="force")
    assert outcome.failures == {}
    assert lab.mutating == ["EtcdRemoveMemberByID"]
    assert outcome.values["quorum"] == {"voters": 2, "healthy": 2, "needed": 2, "tolerates": 0}


def test_no_quorum(lab: Lab) -> None:
    for number in (2, 3):
        lab.kit.machines.power_off(lab.kit.vm(number).instance_id)
    with pytest.raises(ManagerError):
        lab.leave({"name": "cp-3", "address": lab.control_planes[2]}, unreachable="force")
    assert lab.mutating == []


def test_alarm_makes_a_member_sick(lab: Lab) -> None:
    lab.kit.machines.set_alarm(lab.control_planes[1], 2)
    rows = {row["hostname"]: row for row in lab.leave().values["members"]}
    assert (rows["cp-2"]["healthy"], rows["cp-2"]["alarms"], rows["cp-1"]["healthy"]) == (False, ["CORRUPT"], True)


def test_down_to_one_and_none(lab: Lab) -> None:
    two = [{"name": f"cp-{number}", "address": lab.control_planes[number - 1]} for number in (2, 3)]
    with pytest.raises(ManagerError, match="allow_single_control_plane"):
        lab.leave(*two)
    assert lab.leave(*two, allow_single_control_plane=True).failures == {}
    last = {"name": "cp-1", "address": lab.control_planes[0]}
    outcome = lab.leave(last, allow_last_control_plane=True)
    assert outcome.nodes[0]["state"] == "last", outcome.warnings


def test_new_machine_at_a_ghosts_address(lab: Lab) -> None:
    """A machine was lost without leaving, its successor got the name and the address: it joins and both are told apart by ID."""
    lab.kit.machines.power_off(lab.kit.vm(3).instance_id)
    assert lab.leave({"name": "cp-3", "address": lab.control_planes[2]}, unreachable="force").failures == {}
    lab.fresh(13)
    outcome = lab.deliver(lab.row(13, "cp-3", hostname="cp-3"), role="controlplane")
    assert outcome.failures == {}
    assert lab.leave().values["quorum"] == {"voters": 3, "healthy": 3, "needed": 2, "tolerates": 1}
