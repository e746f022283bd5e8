# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's Talos work (no Ansible, no AWS) against simulated nodes: configure, recognise, take out of etcd."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.deliver import apply_configs
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.etcd import etcd_members

from tests.sandbox.calls import Fault
from tests.sandbox.configs import ClusterSecrets, machine_config, talosconfig

from .talos_kit import Kit, cluster_secrets

DOMAIN = "k8s.example.com"


@pytest.fixture(params=["v1.11.6", "v1.13.9"])
def kit(request: pytest.FixtureRequest) -> t.Iterator[Kit]:
    kit = Kit(request.param)
    yield kit
    kit.close()


def row(kit: Kit, number: int, name: str) -> dict[str, t.Any]:
    vm = kit.vm(number)
    node = {"name": name, "hostname": f"{name}.{DOMAIN}", "labels": {"purpose": "gpu"}, "taints": [], "patch": None, "fingerprint": None}
    return {**node, "address": vm.private_ip, "instance_id": vm.instance_id}


def apply(kit: Kit, secrets: ClusterSecrets, role: str, rows: list[dict[str, t.Any]], check_mode: bool = False, **changes: t.Any) -> t.Any:
    """talos_apply_config's outcome."""
    params = {
        "config": machine_config(secrets, role),
        "patch": yaml.safe_dump({"machine": {"sysctls": {"vm.max_map_count": "262144"}}}),
        "nodes": rows,
        "role": role,
        "talos_version": kit.talos,
        "mode": "cloud",
        "return_config": False,
        "talosconfig": talosconfig(secrets, [kit.vm(1).private_ip]),
        "context": None,
        "endpoints": [],
        "identity_check": "console",
        "wait_timeout": 20,
        "concurrency": 50,
        "until": "joined",
        "configured": "compare",
        **changes,
    }
    return apply_configs(params, kit.machines.console, check_mode)


def member_work(kit: Kit, secrets: ClusterSecrets, numbers: t.Sequence[int], check_mode: bool = False, ask: int = 1, **changes: t.Any) -> t.Any:
    """talos_etcd_member's outcome."""
    nodes = [{"name": f"cp-{number}", "address": kit.vm(number).private_ip, "hostname": None, "member_id": None} for number in numbers]
    params = {
        "talosconfig": talosconfig(secrets, [kit.vm(ask).private_ip]),
        "context": None,
        "nodes": nodes,
        "endpoints": [],
        "unreachable": "fail",
        "allow_single_control_plane": False,
        "allow_last_control_plane": False,
        "wait_timeout": 20,
        **changes,
    }
    return etcd_members(params, check_mode)


def operations(kit: Kit) -> list[str]:
    return [call.operation for call in kit.ledger.calls if call.mutating]


def test_workers_are_configured_and_then_left_alone(kit: Kit) -> None:
    secrets = kit.cluster(1)
    rows = [row(kit, number, f"worker-{number}") for number in (11, 12, 13)]
    for number in (11, 12, 13):
        kit.boot(number)
    kit.ledger.clear_calls()
    predicted = apply(kit, secrets, "worker", rows, check_mode=True)
    assert operations(kit) == []
    outcome = apply(kit, secrets, "worker", rows)
    assert not outcome.failures and outcome.steps == predicted.steps and len(outcome.steps) == 3
    assert operations(kit) == ["ApplyConfiguration"] * 3
    stored = yaml.safe_load(t.cast(str, kit.machines.config_of("worker-12")))
    assert stored["machine"]["network"]["hostname"] == f"worker-12.{DOMAIN}"
    assert stored["machine"]["sysctls"] == {"vm.max_map_count": "262144"}
    again = apply(kit, secrets, "worker", rows)
    assert not again.failures and not again.steps and len(operations(kit)) == 3


def test_control_planes_join_one_by_one(kit: Kit) -> None:
    secrets = kit.cluster(1)
    kit.ledger.delays["talos.join"] = 0.3
    for number in (2, 3):
        kit.boot(number)
    outcome = apply(kit, secrets, "controlplane", [row(kit, number, f"cp-{number}") for number in (2, 3)])
    assert not outcome.failures
    members = member_work(kit, secrets, [])
    assert sorted(member["hostname"] for member in members.values["members"]) == ["cp-1", "cp-2", "cp-3"]


def test_an_impostor_gets_nothing(kit: Kit) -> None:
    secrets = kit.cluster(1)
    kit.boot(11)
    kit.machines.impersonate(kit.vm(11).private_ip)
    outcome = apply(kit, secrets, "worker", [row(kit, 11, "worker-11")], wait_timeout=2)
    assert set(outcome.failures) == {"worker-11"} and kit.machines.stolen(kit.vm(11).private_ip) == []


def test_a_lost_answer_is_no_second_apply(kit: Kit) -> None:
    secrets = kit.cluster(1)
    kit.boot(11)
    kit.ledger.faults.append(Fault("lost_reply", "talos", "ApplyConfiguration"))
    outcome = apply(kit, secrets, "worker", [row(kit, 11, "worker-11")])
    assert not outcome.failures and operations(kit).count("ApplyConfiguration") == 1


def test_a_node_of_another_cluster_is_not_touched(kit: Kit) -> None:
    kit.cluster(1)
    outcome = apply(kit, cluster_secrets(), "worker", [row(kit, 1, "cp-1")], wait_timeout=1, talosconfig=None)
    assert set(outcome.failures) == {"cp-1"} and "ApplyConfiguration" not in operations(kit)


def test_a_control_plane_leaves_etcd(kit: Kit) -> None:
    secrets = kit.cluster(3)
    outcome = member_work(kit, secrets, [3])
    assert not outcome.failures and kit.state(kit.vm(3).private_ip).etcd == "finished"
    assert len(kit.machines.dump()["etcd"][0]["members"]) == 2
    again = member_work(kit, secrets, [3])
    assert not again.failures and not again.steps


def test_a_dead_control_plane_is_removed_by_its_id(kit: Kit) -> None:
    secrets = kit.cluster(3)
    kit.machines.power_off(kit.vm(3).instance_id)
    outcome = member_work(kit, secrets, [3], unreachable="force")
    assert not outcome.failures
    assert [call.detail["member"] for call in kit.ledger.calls if call.operation == "EtcdRemoveMemberByID"]
    assert len(kit.machines.dump()["etcd"][0]["members"]) == 2
