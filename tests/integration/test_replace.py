# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes are renewed, and whatever happens to the run that does it, the same command makes the same cluster of it."""

from __future__ import annotations

import collections
import json
import typing as t
from pathlib import Path

import pytest

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .kills import killed_after
from .playbooks import Run, play, succeed
from .scenes import Scene, scene

pytestmark = pytest.mark.slow

NAME = "fargle-worker-3"
PLANES = ["fargle-controlplane-1", "fargle-controlplane-2", "fargle-controlplane-3"]


def replace(cloud: RunningSandbox, *arguments: str, **words: t.Any) -> Run:
    return play(cloud.env, "replace_node.yml", *arguments, cluster="fargle", **words)


def nodes(cloud: RunningSandbox) -> dict[str, worldview.Node]:
    return worldview.nodes(cloud.control.world(), "fargle")


def serving(cloud: RunningSandbox) -> dict[str, str]:
    """The nodes that are Ready, healthy behind all their load balancers, and have one record; by their VMs."""
    found = nodes(cloud).values()
    return {node.name: node.instance_id for node in found if node.ready and set(node.targets.values()) == {"healthy"} and node.records == [node.address]}


def leases(cloud: RunningSandbox) -> list[dict[str, t.Any]]:
    """The leases of runs, not those of nodes."""
    found = cloud.control.world()["kubernetes"]["fargle"]["objects"]["leases"]
    return [lease for lease in found if lease["metadata"]["namespace"] == "kube-system"]


@pytest.fixture(scope="module")
def renewed(stage: t.Callable[[], RunningSandbox]) -> tuple[RunningSandbox, Scene, Run]:
    """One worker replaced, and the same command again."""
    cloud = stage()
    first = scene(cloud, "replace_node.yml", cluster="fargle", nodes=NAME)
    return cloud, first, replace(cloud, nodes=NAME)


def test_a_node_is_a_new_machine_of_the_same_name(renewed: tuple[RunningSandbox, Scene, Run]) -> None:
    _cloud, found, _second = renewed
    succeed(found.run)
    old, new = worldview.nodes(found.before, "fargle")[NAME], found.node(NAME)
    assert new.instance_id != old.instance_id
    assert (new.ready, set(new.targets.values()), new.records) == (True, {"healthy"}, [new.address])
    assert worldview.region(found.after)["instances"][old.instance_id]["state"] == "terminated"
    assert found.strange("fargle", NAME) == []


def test_the_result_says_what_was_replaced_by_what(renewed: tuple[RunningSandbox, Scene, Run]) -> None:
    told = next(task["msg"] for task in renewed[1].run.tasks if task["task"].endswith("Show what was replaced by what"))
    assert told == {"operation": "replace_node", "replaced": {NAME: NAME}, "left": [], "young": [], "current": [], "gone": []}


def test_a_second_run_replaces_nothing(renewed: tuple[RunningSandbox, Scene, Run]) -> None:
    """The node is young now."""
    second = succeed(renewed[2])
    assert second.changed == 0
    assert "Nothing to replace: younger than 3600 s are fargle-worker-3." in second.output


def test_no_lease_is_left(renewed: tuple[RunningSandbox, Scene, Run]) -> None:
    assert leases(renewed[0]) == []


def test_check_mode_says_the_order_and_changes_nothing(cloud: RunningSandbox) -> None:
    before = worldview.facts(cloud.control.world())
    run = succeed(replace(cloud, "--check", role="all", max_unavailable="50%"))
    assert (
        "In this order: fargle-controlplane-1; then fargle-controlplane-2; then fargle-controlplane-3; then fargle-worker-1, fargle-worker-2;"
        " then fargle-worker-3, fargle-worker-4; then fargle-worker-10." in run.output
    )
    assert cloud.control.mutating() == []
    assert worldview.facts(cloud.control.world()) == before


def test_of_all_nodes_those_that_would_be_made_otherwise_now_are_chosen(cloud: RunningSandbox) -> None:
    """The seeded control planes are smaller than their node config says; nothing else differs."""
    run = succeed(replace(cloud, "--check", role="all", outdated="image,instance_type,talos_version,machine_config"))
    assert f"In this order: {'; then '.join(PLANES)}." in run.output
    run = succeed(replace(cloud, role="all", outdated="image,talos_version"))
    assert f"Nothing to replace: as they would be made now are {', '.join(PLANES)}, fargle-worker-1" in run.output
    assert run.changed == 0


def test_a_node_whose_machine_config_differs_is_renewed_once(cloud: RunningSandbox, tmp_path: Path) -> None:
    patch = tmp_path / "patch.yaml"
    patch.write_text("machine: {sysctls: {vm.swappiness: '1'}}")
    words = {"nodes": NAME, "outdated": "machine_config", "cluster_patch_file": str(patch)}
    before = nodes(cloud)[NAME].instance_id
    assert succeed(replace(cloud, **words)).changed
    assert nodes(cloud)[NAME].instance_id != before
    again = succeed(replace(cloud, **words))
    assert again.changed == 0
    assert f"Nothing to replace: as they would be made now are {NAME}." in again.output


def test_a_run_that_is_killed_is_finished_by_the_same_command(cloud: RunningSandbox) -> None:
    """Also when the node is nowhere: the old VM is gone and the new one not there. make faults kills it at every change."""
    before = nodes(cloud)
    assert killed_after(cloud, "replace_node.yml", 1, "ec2", "TerminateInstances", cluster="fargle", nodes=NAME) == "ec2.TerminateInstances"
    succeed(replace(cloud, nodes=NAME))
    after = serving(cloud)
    assert after[NAME] != before[NAME].instance_id
    assert nodes(cloud).keys() == before.keys()
    assert leases(cloud) == []


def test_what_one_run_left_is_finished_by_another(cloud: RunningSandbox) -> None:
    """A node that is nowhere is remembered by whoever replaces something next."""
    killed_after(cloud, "replace_node.yml", 1, "ec2", "TerminateInstances", cluster="fargle", nodes=NAME)
    succeed(replace(cloud, nodes="fargle-worker-2", replace_node_wait_timeout=120))
    assert {NAME, "fargle-worker-2"} <= serving(cloud).keys()
    assert leases(cloud) == []


def test_successors_come_before_the_old_go(cloud: RunningSandbox) -> None:
    before = serving(cloud)
    succeed(replace(cloud, nodes=["fargle-worker-1", "fargle-worker-2"], max_surge=2))
    assert serving(cloud).keys() - before.keys() == {"fargle-worker-11", "fargle-worker-12"}
    assert before.keys() - nodes(cloud).keys() == {"fargle-worker-1", "fargle-worker-2"}
    order = [call for call in cloud.control.mutating() if call in ("ec2.RunInstances", "ec2.TerminateInstances")]
    assert order == ["ec2.RunInstances", "ec2.RunInstances", "ec2.TerminateInstances"]
    assert succeed(replace(cloud, nodes=["fargle-worker-1", "fargle-worker-2"], max_surge=2)).changed == 0


def test_control_planes_are_replaced_one_by_one_each_by_a_voter(cloud: RunningSandbox) -> None:
    before = nodes(cloud)
    succeed(replace(cloud, role="controlplane"))
    after = nodes(cloud)
    assert [after[name].member for name in PLANES] == ["voter"] * 3
    assert not {after[name].instance_id for name in PLANES} & {before[name].instance_id for name in PLANES}
    order = [call.partition(".")[2] for call in cloud.control.mutating() if call in ("ec2.RunInstances", "ec2.TerminateInstances")]
    assert order == ["TerminateInstances", "RunInstances"] * 3


def test_a_replacement_that_never_becomes_ready_stops_the_roll(cloud: RunningSandbox) -> None:
    """The others serve on, and when the trouble is over the same command goes on from there."""
    before = serving(cloud)
    cloud.control.delays({"talos.install": 10_000})
    words: dict[str, t.Any] = {"nodes": [NAME, "fargle-worker-2"], "create_node_wait_timeout": 5}
    run = replace(cloud, **words)
    assert run.code != 0
    assert f"{NAME}: " in run.message and "the same command goes on from here" in run.message
    assert {**serving(cloud), NAME: ""} == {**before, NAME: ""}
    (lease,) = leases(cloud)
    assert "holderIdentity" not in lease["spec"]
    assert json.loads(lease["metadata"]["annotations"]["k8s-cluster-manager/unfinished"]).keys() == {NAME}
    cloud.control.delays({"talos.install": 0.1})
    stuck = nodes(cloud)[NAME].instance_id
    succeed(play(cloud.env, "delete_node.yml", cluster="fargle", nodes=NAME, unreachable="force", instance_id=stuck))
    succeed(replace(cloud, **{**words, "create_node_wait_timeout": 300}))
    assert serving(cloud).keys() == before.keys()
    assert not {serving(cloud)[name] for name in words["nodes"]} & set(before.values())
    assert leases(cloud) == []


# What a replacement asks for one node at a time; all else is asked for all of them, or repeated while it is waited for.
PER_NODE = {
    "ec2.RunInstances": 1,
    "ec2.DescribeInstanceAttribute": 2,
    "talos.ApplyConfiguration": 1,
    "talos.Version": 1,
    "kubernetes.patch_nodes": 1,
    "kubernetes.delete_nodes": 1,
}
# Waits, pods, and the times at which the lease is renewed.
REPEATED = {
    *("ec2.DescribeInstances", "ec2.GetConsoleOutput", "elbv2.DescribeTargetHealth", "talos.Get"),
    *(f"kubernetes.{what}" for what in ("list_nodes", "list_pods", "list_volumeattachments", "create_pods/eviction", "get_persistentvolumeclaims")),
    *("kubernetes.get_leases", "kubernetes.update_leases"),
}


def test_calls_grow_with_nodes_only_where_they_must(cloud: RunningSandbox) -> None:
    counts = []
    for names in (["fargle-worker-1"], ["fargle-worker-2", "fargle-worker-3", "fargle-worker-10"]):
        cloud.control.forget_calls()
        succeed(replace(cloud, nodes=names, max_unavailable=3))
        counts.append(collections.Counter({name: item["count"] for name, item in cloud.control.summary().items() if name not in REPEATED}))
    one, three = counts
    assert three - one == collections.Counter({name: 2 * each for name, each in PER_NODE.items()})
    assert one - three == collections.Counter()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "name the nodes to replace, or give role=worker"),
        ({"nodes": "fargle-worker-3", "role": "worker"}, "Give one of the two"),
        ({"nodes": "fargle-worker-99"}, "fargle has no fargle-worker-99"),
        ({"nodes": "fargle-worker-3", "kubernetes": "skip"}, "nodes are not replaced without it"),
        ({"nodes": "fargle-worker-3", "max_unavailable": "none"}, "neither a number of nodes nor a percentage"),
        ({"nodes": "fargle-worker-3", "instance_type": "m5.huge"}, "m5.huge"),
        ({"nodes": "fargle-worker-3", "outdated": "ami"}, "replace_node_outdated"),
        (
            {"nodes": "fargle-worker-3", "outdated": "machine_config", "cluster_machine_config_file": "/nowhere"},
            "whether fargle-worker-3 would be made otherwise now is unknown in respect of machine_config",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_touched(cloud: RunningSandbox, words: dict[str, t.Any], message: str) -> None:
    run = replace(cloud, **words)
    assert run.code != 0
    assert message in run.message
    assert [call for call in cloud.control.mutating() if "leases" not in call] == []
    assert leases(cloud) == []
