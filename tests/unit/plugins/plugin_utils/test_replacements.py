# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes a roll replaces, by which, and how many at a time."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils import _replacements

NOW = 1_800_000_000.0
LONG_AGO, JUST_NOW = "2026-01-31T12:00:00+00:00", "2027-01-15T07:55:00+00:00"


def vm(name: str, role: str = "worker", instance_id: str = "", launched: str = LONG_AGO, state: str = "running") -> dict[str, t.Any]:
    return {"name": name, "role": role, "instance_id": instance_id or f"i-{name}", "launch_time": launched, "state": state}


CLUSTER = [vm("c-cp-1", "controlplane"), vm("c-cp-2", "controlplane"), vm("c-cp-10", "controlplane"), *(vm(f"c-w-{number}") for number in (1, 2, 3, 10))]


def plan(
    nodes: t.Sequence[str] = (), role: str = "", instances: t.Sequence[dict[str, t.Any]] = CLUSTER, surge: bool = False, **more: t.Any
) -> dict[str, t.Any]:
    return _replacements.replacements(instances, nodes, role, 3600, surge, NOW, **more)


def replaced(found: dict[str, t.Any], kind: str = "chosen") -> dict[str, str]:
    return {record["name"]: record["successor"] for record in found[kind]}


def batches(found: dict[str, t.Any], at_once: t.Any = 1, instances: t.Sequence[dict[str, t.Any]] = CLUSTER) -> list[tuple[list[str], list[str]]]:
    return [(batch["delete"], batch["create"]) for batch in _replacements.replacement_batches(found, instances, at_once)]


def test_named_nodes_are_replaced_under_their_names() -> None:
    found = plan(["c-w-3", "c-cp-1"])
    assert replaced(found) == {"c-w-3": "c-w-3", "c-cp-1": "c-cp-1"}
    assert found["chosen"][0] == {"name": "c-w-3", "role": "worker", "instance_id": "i-c-w-3", "successor": "c-w-3", "purpose": ""}


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("worker", ["c-w-1", "c-w-2", "c-w-3", "c-w-10"]),
        ("controlplane", ["c-cp-1", "c-cp-2", "c-cp-10"]),
        ("all", ["c-cp-1", "c-cp-2", "c-cp-10", "c-w-1", "c-w-2", "c-w-3", "c-w-10"]),
    ],
)
def test_a_role_is_all_of_its_nodes_by_number(role: str, names: list[str]) -> None:
    assert list(replaced(plan(role=role))) == names


def test_a_young_node_is_as_good_as_replaced() -> None:
    """So the same command once more replaces nothing."""
    found = plan(role="worker", instances=[vm("w-1"), vm("w-2", launched=JUST_NOW)])
    assert (replaced(found), found["young"]) == ({"w-1": "w-1"}, ["w-2"])


def test_of_outdated_nodes_only_those_that_differ_are_replaced_whatever_their_age() -> None:
    young = [vm("w-1", launched=JUST_NOW), vm("w-2"), vm("w-3"), vm("w-4")]
    found = plan(role="worker", instances=young, differ={"w-1": True, "w-2": False, "w-3": None})
    assert (replaced(found), found["young"], found["current"], found["undecided"]) == ({"w-1": "w-1"}, [], ["w-2"], ["w-3", "w-4"])


def test_a_node_is_outdated_in_any_of_the_regards() -> None:
    def row(name: str, instance_id: str = "i", **regards: bool | None) -> dict[str, t.Any]:
        return {"name": name, "instance_id": instance_id, "outdated": {"image": False, "machine_config": False, **regards}}

    rows = [row("a", image=True, machine_config=None), row("b", machine_config=None), row("c"), row("d", ""), row("e", machine_config=True)]
    assert _replacements.outdated(rows, ["image", "machine_config"]) == {"a": True, "b": None, "c": False, "e": True}
    assert _replacements.outdated(rows, ["image"]) == {"a": True, "b": False, "c": False, "e": False}
    assert _replacements.outdated(rows, ["all"]) == _replacements.outdated(rows, ["image", "machine_config"])


def test_what_is_not_there_or_has_no_role_is_told() -> None:
    found = plan(["w-1", "w-9"], instances=[vm("w-1", role="")])
    assert (found["unknown"], found["roleless"]) == (["w-9"], ["w-1"])


def test_surge_takes_the_next_free_numbers() -> None:
    assert replaced(plan(["c-w-1", "c-w-3"], surge=True, seen=["c-w-11.example.com"])) == {"c-w-1": "c-w-12", "c-w-3": "c-w-13"}
    assert replaced(plan(["bob"], surge=True, instances=[vm("bob")])) == {"bob": "bob-1"}


def test_a_vm_that_is_going_is_none() -> None:
    assert plan(["w-1"], instances=[vm("w-1", state="shutting-down")])["unknown"] == ["w-1"]


def test_control_planes_go_one_by_one_and_first_workers_so_many_at_a_time() -> None:
    expected = [["c-cp-1"], ["c-cp-2"], ["c-cp-10"], ["c-w-1", "c-w-2"], ["c-w-3", "c-w-10"]]
    assert batches(plan(role="all"), 2) == [(names, names) for names in expected]
    assert batches(plan(role="all"), "50%") == batches(plan(role="all"), 2)


def test_nodes_of_one_purpose_are_made_together() -> None:
    found = _replacements.replacement_batches(plan(["c-w-1", "c-w-2", "c-w-3"], purposes={"c-w-2": "gpu"}), CLUSTER, 3)
    assert [(batch["purpose"], batch["create"]) for batch in found] == [("", ["c-w-1", "c-w-3"]), ("gpu", ["c-w-2"])]


UNFINISHED = {"c-w-2": {"role": "worker", "instance_id": "i-c-w-2", "successor": "c-w-2", "purpose": "gpu"}}


def test_what_an_earlier_run_began_comes_first() -> None:
    found = plan(["c-cp-1", "c-w-2"], unfinished=UNFINISHED)
    assert (replaced(found, "unfinished"), replaced(found)) == ({"c-w-2": "c-w-2"}, {"c-cp-1": "c-cp-1"})
    assert batches(found) == [(["c-w-2"], ["c-w-2"]), (["c-cp-1"], ["c-cp-1"])]


def test_what_apply_changes_began_is_left_to_it_but_for_nodes_that_are_replaced() -> None:
    begun = {name: {"operation": "apply_changes"} for name in ("c-w-2", "c-cp-1", "c-w-gone")}
    found = plan(["c-cp-1"], unfinished=begun)
    assert (found["unfinished"], replaced(found), found["changing"]) == ([], {"c-cp-1": "c-cp-1"}, ["c-w-2"])


def test_a_node_that_an_earlier_run_deleted_is_known_by_its_record_alone() -> None:
    without = [item for item in CLUSTER if item["name"] != "c-w-2"]
    found = plan(["c-w-2"], instances=without, unfinished=UNFINISHED)
    assert (found["unknown"], batches(found, instances=without)) == ([], [(["c-w-2"], ["c-w-2"])])


def test_a_node_that_an_earlier_run_created_again_is_not_deleted_once_more() -> None:
    again = [*(item for item in CLUSTER if item["name"] != "c-w-2"), vm("c-w-2", instance_id="i-new", launched=JUST_NOW)]
    assert batches(plan(["c-w-2"], instances=again, unfinished=UNFINISHED), instances=again) == [([], ["c-w-2"])]


def test_successors_of_an_earlier_run_are_not_replaced_and_their_names_are_taken() -> None:
    begun = {"c-w-2": {**UNFINISHED["c-w-2"], "successor": "c-w-11"}}
    now = [*CLUSTER, vm("c-w-11", launched=LONG_AGO)]
    found = plan(role="worker", instances=now, surge=True, unfinished=begun)
    assert replaced(found) == {"c-w-1": "c-w-12", "c-w-3": "c-w-13", "c-w-10": "c-w-14"}
    first = _replacements.replacement_batches(found, now)[0]
    assert (first["surge"], first["delete"], first["create"]) == (True, ["c-w-2"], ["c-w-11"])
    assert first["records"] == begun


@pytest.mark.parametrize(("given", "total", "expected"), [(2, 10, 2), ("2", 10, 2), ("25%", 10, 2), (" 100 % ", 3, 3), ("1%", 3, 1)])
def test_how_many_at_a_time(given: t.Any, total: int, expected: int) -> None:
    assert _replacements.size(given, total) == expected


@pytest.mark.parametrize("given", ["", "0", "0%", "101%", "-1", "two", None, 1.5])
def test_what_is_no_number_of_nodes(given: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="neither a number of nodes nor a percentage, such as 2 or 25%"):
        _replacements.size(given, 10)
