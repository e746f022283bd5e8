# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes are compared, and in which order they are changed."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._changes import change_batches, change_groups


def instance(number: int, role: str = "worker", state: str = "running") -> dict[str, t.Any]:
    return {"name": f"{role}-{number}", "role": role, "state": state, "private_ip": f"10.0.0.{number}", "instance_id": f"i-{number}"}


def node(number: int, role: str = "worker", talos: str = "v1.11.6", **fields: t.Any) -> dict[str, t.Any]:
    common = {"node_name": f"{role}-{number}.example.com", "address": f"10.0.0.{number}", "labels": {}, "os_image": f"Talos ({talos})", "unschedulable": False}
    return {**common, **fields}


def compared(number: int, role: str = "worker", **fields: t.Any) -> dict[str, t.Any]:
    common = {
        "name": f"{role}-{number}",
        "role": role,
        "talos_version": "v1.11.6",
        "drift": True,
        "reboot": False,
        "reboot_for": [],
        "boot_id": f"boot-{number}",
    }
    return {**common, **fields}


def note(number: int, **fields: t.Any) -> dict[str, t.Any]:
    common = {
        "name": f"worker-{number}",
        "operation": "apply_changes",
        "role": "worker",
        "boot_id": "earlier",
        "cordoned": False,
        "target_groups": [],
        "healthy": [],
    }
    return {**common, **fields}


INSTANCES = [instance(number, "controlplane") for number in (1, 2, 3)] + [instance(number) for number in (11, 12, 13, 20)]
NODES = [node(number, "controlplane") for number in (1, 2, 3)] + [node(number) for number in (11, 12, 13, 20)]


def batches(rows: list[dict[str, t.Any]], **more: t.Any) -> list[dict[str, t.Any]]:
    return change_batches(rows, INSTANCES, more.pop("nodes", NODES), more.pop("target_groups", []), **more)


def test_those_of_one_role_and_release_are_a_group() -> None:
    nodes = [node(11), node(12, talos="v1.13.9"), node(1, "controlplane")]
    found = change_groups([instance(11), instance(12), instance(1, "controlplane")], nodes, [], "all", domains={"worker": "example.com"})
    assert [(group["role"], group["talos_version"], [row["name"] for row in group["nodes"]]) for group in found["groups"]] == [
        ("controlplane", "v1.11.6", ["controlplane-1"]),
        ("worker", "v1.11.6", ["worker-11"]),
        ("worker", "v1.13.9", ["worker-12"]),
    ]
    assert found["groups"][1]["nodes"] == [
        {"name": "worker-11", "address": "10.0.0.11", "instance_id": "i-11", "labels": {}, "taints": [], "hostname": "worker-11.example.com"}
    ]


def test_a_node_keeps_its_purpose() -> None:
    gpu = node(11, labels={"purpose": "gpu"})
    [group] = change_groups([instance(11)], [gpu], ["worker-11"], "", labels={"team": "a"}, taints=[{"key": "a"}])["groups"]
    [row] = group["nodes"]
    assert (row["labels"], row["taints"]) == ({"team": "a", "purpose": "gpu"}, [{"key": "a"}, {"key": "purpose", "value": "gpu", "effect": "NoSchedule"}])


def test_what_does_not_run_or_has_no_role_is_told() -> None:
    found = change_groups([instance(11, state="stopped"), instance(12, "")], [], ["worker-11", "-12", "worker-99"], "")
    assert (found["groups"], found["unknown"], found["roleless"]) == ([], ["worker-11", "worker-99"], ["-12"])


def test_a_role_that_only_its_service_told_is_noted() -> None:
    untagged = {**instance(12), "role": ""}
    [group] = change_groups([untagged], NODES, [], "worker", unfinished={"worker-12": note(12)})["groups"]
    assert (group["role"], group["nodes"][0]["name"]) == ("worker", "worker-12")


def test_what_an_earlier_run_began_is_looked_at_too() -> None:
    begun = {"worker-12": note(12), "worker-99": note(99), "worker-13": {"role": "worker", "successor": "worker-13"}}
    [group] = change_groups(INSTANCES, NODES, ["worker-11"], "", unfinished=begun)["groups"]
    assert {row["name"]: row.get("boot_id") for row in group["nodes"]} == {"worker-12": "earlier", "worker-11": None}


def test_control_planes_go_one_by_one_and_workers_that_do_not_reboot_together() -> None:
    rows = [compared(20), compared(12, reboot=True, reboot_for=["machine.env"]), compared(11), compared(13, drift=False)]
    rows += [compared(2, "controlplane", reboot=True, reboot_for=["machine.udev"]), compared(1, "controlplane"), compared(3, "controlplane")]
    assert [batch["say"] for batch in batches(rows)] == [
        "controlplane-1 (no reboot)",
        "controlplane-3 (no reboot)",
        "controlplane-2 (reboot for machine.udev)",
        "worker-11, worker-20 (no reboot)",
        "worker-12 (reboot for machine.env)",
    ]


def test_workers_reboot_so_many_at_a_time() -> None:
    rows = [compared(number, reboot=True) for number in (11, 12, 13, 20)]
    assert [batch["names"] for batch in batches(rows, at_once="75%")] == [["worker-11", "worker-12", "worker-13"], ["worker-20"]]
    with pytest.raises(AnsibleFilterError, match="neither a number"):
        batches(rows, at_once="many")


def test_what_an_earlier_run_began_comes_first_and_serves_as_before_that() -> None:
    earlier = note(13, cordoned=True, healthy=["ingress"])
    found = batches([compared(11), compared(13, drift=False)], unfinished={"worker-13": earlier})
    assert [(batch["say"], batch["reboot"]) for batch in found] == [("worker-13 (begun by an earlier run)", True), ("worker-11 (no reboot)", False)]
    assert (found[0]["records"], found[0]["healthy"]) == ({"worker-13": earlier}, ["ingress"])


@pytest.mark.parametrize(
    ("seen", "returns"),
    [
        ({"drift": False, "reboot": False}, True),
        ({"drift": None, "reboot": None}, True),
        ({"drift": True, "reboot": True}, False),
        ({"drift": False, "reboot": True}, False),
    ],
)
def test_who_has_rebooted_for_an_earlier_run_has_only_to_be_put_back(seen: dict[str, t.Any], returns: bool) -> None:
    [batch] = batches([compared(13, **seen)], unfinished={"worker-13": note(13)})
    assert (batch["returns"], batch["reboot"]) == (returns, True)


def group(arn: str, *targets: tuple[str, int, str]) -> dict[str, t.Any]:
    rows = [{"id": name, "port": port, "state": state} for name, port, state in targets]
    return {"arn": arn, "kind": "ingress", "target_type": "instance", "port": 30443, "targets": rows}


def test_it_is_noted_how_a_node_serves() -> None:
    groups = [
        group("a", ("i-11", 31443, "healthy"), ("i-12", 30443, "healthy")),
        group("b", ("10.0.0.11", 1, "unhealthy")),
        group("c", ("i-11", 2, "draining")),
    ]
    [batch] = batches([compared(11, reboot=True)], target_groups=groups, nodes=[node(11, unschedulable=True)])
    kept = {"kind": "ingress", "target_type": "instance"}
    assert batch["records"]["worker-11"] == {
        "name": "worker-11",
        "operation": "apply_changes",
        "role": "worker",
        "boot_id": "boot-11",
        "cordoned": True,
        "target_groups": [{"arn": "a", "port": 31443, **kept}, {"arn": "b", "port": 1, **kept}],
        "healthy": ["ingress"],
    }


def test_those_that_serve_elsewhere_are_not_changed_together() -> None:
    groups = [group("a", ("i-11", 30443, "healthy"), ("i-20", 30443, "healthy"), ("i-12", 31443, "healthy"))]
    found = batches([compared(11), compared(12), compared(20)], target_groups=groups)
    assert [batch["names"] for batch in found] == [["worker-11", "worker-20"], ["worker-12"]]
