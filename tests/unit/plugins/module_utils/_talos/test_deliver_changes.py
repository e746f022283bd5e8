# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""talos_apply_config with configured=apply, against the sandbox's Talos machines: what is sent, who reboots, and what is refused."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils import _permit
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError, ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import render_changes

from tests.sandbox.calls import Fault
from tests.sandbox.configs import talosconfig
from tests.unit.plugins.module_utils._talos.lab import Lab, quick
from tests.unit.sandbox.talos_kit import Kit, cluster_secrets

VERSIONS = ["v1.11.6", "v1.12.11", "v1.13.9", "v1.14.0"]
CANARY = "canaryabcdefghijklmnop"
SYSCTL = yaml.safe_dump({"machine": {"sysctls": {"vm.max_map_count": "262144"}}})
UDEV = yaml.safe_dump({"machine": {"udev": {"rules": ['SUBSYSTEM=="drm", GROUP="44"']}}})
ENVIRONMENT = yaml.safe_dump({"machine": {"env": {"http_proxy": f"http://user:{CANARY}@proxy:3128"}}})


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


@pytest.fixture(params=VERSIONS)
def versions(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    kit = Kit(request.param)
    yield Lab(kit, 1)
    kit.close()


def lab_of(talos: str, control_planes: int) -> t.Iterator[Lab]:
    kit = Kit(talos)
    yield Lab(kit, control_planes)
    kit.close()


@pytest.fixture(params=["v1.11.6", "v1.14.0"])
def planes(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    yield from lab_of(request.param, 3)


@pytest.fixture
def lab() -> t.Iterator[Lab]:
    yield from lab_of("v1.13.9", 1)


def worker(lab: Lab, number: int = 11) -> dict[str, t.Any]:
    """A worker that runs as its inputs say; the calls so far are forgotten."""
    row = lab.row(number, f"w-{number}")
    lab.fresh(number)
    assert lab.deliver(row).failures == {}
    lab.kit.wait(lambda: lab.kit.state(row["address"]).ready)
    lab.kit.ledger.clear_calls()
    return row


def plane(lab: Lab, number: int) -> dict[str, t.Any]:
    return lab.row(number, f"cp-{number}", hostname=f"cp-{number}")


def change(lab: Lab, *rows: dict[str, t.Any], check: bool = False, **options: t.Any) -> Outcome:
    return lab.deliver(*rows, check=check, **{"configured": "apply", "wait_timeout": 20.0, "identity_check": "console", **options})


def boot(lab: Lab, row: dict[str, t.Any]) -> str:
    return str(lab.kit.state(row["address"]).boot)


def did(outcome: Outcome) -> list[tuple[str, str]]:
    return [(step.verb, step.node) for step in outcome.steps]


def test_where_nothing_differs_nothing_is_called_that_changes(versions: Lab) -> None:
    row = worker(versions)
    before = boot(versions, row)
    for check in (True, False):
        outcome = change(versions, row, check=check)
        assert (outcome.failures, outcome.steps, outcome.shown_diff) == ({}, [], [])
    assert versions.mutating == []
    assert versions.calls("ApplyConfiguration") == 0
    assert boot(versions, row) == before


def test_what_needs_no_reboot_is_changed_in_the_running_node(versions: Lab) -> None:
    row = worker(versions)
    before = boot(versions, row)
    predicted = change(versions, row, check=True, patch=SYSCTL)
    assert (predicted.failures, did(predicted), versions.mutating) == ({}, [("configure", "w-11")], [])
    outcome = change(versions, row, patch=SYSCTL)
    assert (outcome.failures, did(outcome), versions.mutating) == ({}, did(predicted), ["ApplyConfiguration"])
    [node] = outcome.nodes
    assert (node["drift"], node["reboot"], node["reboot_for"], node["boot_id"]) == (False, False, [], before)
    assert '+        vm.max_map_count: "262144"' in node["diff"]
    stored = next(yaml.safe_load_all(versions.kit.machines.config_of("w-11") or ""))
    assert stored["machine"]["sysctls"] == {"vm.max_map_count": "262144"}
    assert change(versions, row, patch=SYSCTL).steps == []


def test_what_needs_a_reboot_gets_one(versions: Lab) -> None:
    """Up to 1.13 of the node's own, from 1.14 on it is asked for."""
    versions.kit.ledger.delays |= {"talos.boot": 0.2, "kubelet.ready": 0.2}
    row = worker(versions)
    before = boot(versions, row)
    predicted = change(versions, row, check=True, patch=UDEV)
    assert did(predicted) == [("configure", "w-11"), ("reboot", "w-11")]
    assert (boot(versions, row), versions.mutating) == (before, [])
    outcome = change(versions, row, patch=UDEV)
    assert (outcome.failures, did(outcome), outcome.warnings) == ({}, did(predicted), [])
    assert versions.mutating == ["ApplyConfiguration"] + (["Reboot"] if versions.kit.talos == "v1.14.0" else [])
    [node] = outcome.nodes
    assert (node["drift"], node["reboot"], node["reboot_for"]) == (False, True, ["machine.udev"])
    state = versions.kit.state(row["address"])
    assert node["boot_id"] == state.boot != before
    assert (state.phase, state.ready) == ("running", True)


def test_no_secret_is_shown(versions: Lab) -> None:
    row = worker(versions)
    token = yaml.safe_dump({"machine": {"token": f"abcdef.{CANARY}"}})
    outcome = change(versions, row, check=True, patch=[ENVIRONMENT, token])
    shown = repr((outcome.nodes, outcome.shown_diff, outcome.warnings, outcome.failures, outcome.steps))
    assert CANARY not in shown
    assert "(secret " in outcome.nodes[0]["diff"]
    key = versions.secrets.talos.ca.key.split("\n")[1]
    assert key not in shown


def test_control_planes_reboot_one_by_one_and_etcd_keeps_its_quorum(planes: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    planes.kit.ledger.delays |= {"talos.boot": 0.2}
    rows = [plane(planes, number) for number in (1, 2, 3)]
    before = [boot(planes, row) for row in rows]
    states = [planes.kit.state(row["address"]) for row in rows]
    away: list[int] = []
    asked: list[int] = []
    monkeypatch.setattr(type(planes.kit.machines.world), "changed", noted(type(planes.kit.machines.world).changed, lambda: away.append(count(states))))
    with _permit.confirmed_by(lambda: asked.append(1)):
        outcome = change(planes, *rows, role="controlplane", patch=UDEV)
    assert outcome.failures == {}
    assert did(outcome) == [(verb, f"cp-{number}") for number in (1, 2, 3) for verb in ("configure", "reboot")]
    assert not {boot(planes, row) for row in rows} & set(before)
    assert max(away) == 1
    # Whether the turn is still this run's is asked before each.
    assert len(asked) >= 3


def count(states: list[t.Any]) -> int:
    return sum(not state.up for state in states)


def noted(method: t.Callable[..., t.Any], note: t.Callable[[], None]) -> t.Callable[..., t.Any]:
    def wrapped(*args: t.Any) -> t.Any:
        note()
        return method(*args)

    return wrapped


def test_a_lost_turn_changes_nothing(planes: Lab) -> None:
    def lost() -> None:
        raise ManagerError("somebody else holds it")

    with _permit.confirmed_by(lost):
        outcome = change(planes, plane(planes, 1), role="controlplane", patch=UDEV)
    assert outcome.failures == {"cp-1": "somebody else holds it"}
    assert planes.mutating == []


def test_a_control_plane_that_etcd_cannot_spare_stays(planes: Lab) -> None:
    planes.kit.machines.power_off(planes.kit.vm(3).instance_id)
    outcome = change(planes, plane(planes, 1), role="controlplane", patch=UDEV, wait_timeout=2.0)
    assert "etcd cannot spare it" in outcome.failures["cp-1"]
    assert planes.mutating == []


def test_a_single_control_plane_is_not_rebooted(lab: Lab) -> None:
    outcome = change(lab, plane(lab, 1), role="controlplane", patch=UDEV)
    assert "etcd would lose its quorum" in outcome.failures["cp-1"]
    assert lab.mutating == []
    changed = change(lab, plane(lab, 1), role="controlplane", config=lab.kit.machines.config_of("cp-1"), patch=SYSCTL)
    assert (changed.failures, did(changed)) == ({}, [("configure", "cp-1")])


@pytest.mark.parametrize(
    ("talos", "operation"), [("v1.11.6", "ApplyConfiguration"), ("v1.13.9", "ApplyConfiguration"), ("v1.14.0", "ApplyConfiguration"), ("v1.14.0", "Reboot")]
)
def test_a_lost_answer_is_no_second_reboot(talos: str, operation: str) -> None:
    for lab in lab_of(talos, 1):
        lab.kit.ledger.delays |= {"talos.boot": 0.2}
        row = worker(lab)
        lab.kit.ledger.faults.append(Fault("lost_reply", "talos", operation))
        outcome = change(lab, row, patch=UDEV)
        assert (outcome.failures, did(outcome)) == ({}, [("configure", "w-11"), ("reboot", "w-11")])
        assert lab.mutating == ["ApplyConfiguration"] + (["Reboot"] if talos == "v1.14.0" else [])


def test_a_call_that_did_not_arrive_is_made_again(lab: Lab) -> None:
    row = worker(lab)
    lab.kit.ledger.faults.append(Fault("error", "talos", "ApplyConfiguration", ordinals=[1]))
    outcome = change(lab, row, patch=UDEV)
    assert (outcome.failures, lab.mutating) == ({}, ["ApplyConfiguration"] * 2)


def test_a_boot_that_a_killed_run_had_to_end_is_ended(versions: Lab) -> None:
    """It was killed between its apply and the reboot: nothing differs any more."""
    row = worker(versions)
    before = boot(versions, row)
    owing = {**row, "boot_id": before}
    assert did(change(versions, owing, check=True)) == [("reboot", "w-11")]
    outcome = change(versions, owing)
    assert (outcome.failures, did(outcome), versions.mutating) == ({}, [("reboot", "w-11")], ["Reboot"])
    assert boot(versions, row) != before
    assert change(versions, owing).steps == []


def test_another_name_or_role_is_refused(versions: Lab) -> None:
    row = worker(versions)
    fqdn = yaml.safe_dump({"machine": {"kubelet": {"registerWithFQDN": True}}})
    for changed, patch, word in (({**row, "hostname": "other.example.org"}, None, "hostname"), (row, fqdn, "registerWithFQDN")):
        for check in (True, False):
            outcome = change(versions, changed, check=check, patch=patch)
            assert f"the change would make another node of it ({word})" in outcome.failures["w-11"]
    assert versions.mutating == []


def test_a_node_of_another_cluster_is_not_touched(lab: Lab) -> None:
    row = worker(lab)
    stranger = cluster_secrets(name="fargle2")
    for check in (True, False):
        outcome = Lab.deliver(
            t.cast(t.Any, OtherCluster(lab, stranger)), row, check=check, configured="apply", patch=UDEV, identity_check="none", wait_timeout=2.0
        )
        assert "another machine answers at its address" in outcome.failures["w-11"]
    assert lab.mutating == []


class OtherCluster:
    """A lab's machines, asked with another cluster's inputs."""

    def __init__(self, lab: Lab, secrets: t.Any) -> None:
        self.kit, self.secrets = lab.kit, secrets
        self.talosconfig = talosconfig(secrets, lab.control_planes)


def test_a_new_node_is_not_configured(versions: Lab) -> None:
    versions.fresh(12)
    for check in (True, False):
        outcome = change(versions, versions.row(12, "w-12"), check=check)
        assert "in maintenance mode" in outcome.failures["w-12"]
    assert versions.mutating == []


def test_what_the_node_refuses_is_known_before(lab: Lab) -> None:
    """A node of an older release than its config is made for."""
    row = worker(lab)
    lab.kit.state(row["address"]).talos = "v1.8.4"
    patch = yaml.safe_dump({"machine": {"features": {"nodeAddressSortAlgorithm": "v2"}}})
    assert "it refuses the machine config" in change(lab, row, check=True, patch=patch).failures["w-11"]
    assert lab.mutating == []


def test_the_node_that_would_reboot_for_less_is_believed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    row = worker(lab)
    monkeypatch.setitem(render_changes.IMMEDIATE, "machine.udev", 6)
    outcome = change(lab, row, check=True, patch=UDEV)
    assert outcome.warnings == ["w-11 says that it reboots for the change, while it was not expected to; it is taken to reboot"]
    assert did(outcome) == [("configure", "w-11"), ("reboot", "w-11")]
    assert did(change(lab, row, patch=UDEV)) == did(outcome)


def test_a_node_that_would_not_reboot_is_taken_to(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    row = worker(lab)
    monkeypatch.delitem(render_changes.IMMEDIATE, "machine.sysctls")
    outcome = change(lab, row, check=True, patch=SYSCTL)
    assert outcome.warnings == ["w-11 says that it would not reboot for the change, while machine.sysctls was expected to need it; it is taken to reboot"]
    assert did(outcome) == [("configure", "w-11"), ("reboot", "w-11")]
    before = boot(lab, row)
    assert change(lab, row, patch=SYSCTL).failures == {}
    assert boot(lab, row) == before


def test_without_a_talosconfig_nothing_is_changed(lab: Lab) -> None:
    with pytest.raises(InputError, match="talosconfig: what nodes run is read, and changed, with its certificate"):
        change(lab, worker(lab), talosconfig=None)


def test_a_node_that_does_not_come_back_is_named_with_its_last_state(lab: Lab) -> None:
    row = worker(lab)
    lab.kit.ledger.delays |= {"talos.boot": 60.0}
    outcome = change(lab, row, patch=UDEV, wait_timeout=2.0)
    assert "not done within 2 s; last seen: the Talos API does not answer" in outcome.failures["w-11"]
