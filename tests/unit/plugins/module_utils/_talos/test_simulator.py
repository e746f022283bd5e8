# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's modules against the sandbox's Talos machines, which were written by others after Talos' sources: delivery, joining, leaving."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from tests.sandbox.configs import machine_config
from tests.unit.plugins.module_utils._talos.lab import Lab, quick
from tests.unit.sandbox.talos_kit import Kit, cluster_secrets

VERSIONS = ["v1.11.6", "v1.12.11", "v1.13.9", "v1.14.0"]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


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


def test_alarm_makes_a_member_sick(lab: Lab) -> None:
    lab.kit.machines.set_alarm(lab.control_planes[1], 2)
    rows = {row["hostname"]: row for row in lab.leave().values["members"]}
    assert (rows["cp-2"]["healthy"], rows["cp-2"]["alarms"], rows["cp-1"]["healthy"]) == (False, ["CORRUPT"], True)
