# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster from nothing: barney has its secrets, and nothing else. One etcd whatever happens, and nothing is left when it goes.

Runs are killed after every change, one after another, until one finds nothing left to do: by default those that make the first control plane; by `make kills`
(KILLS=all) those that make the whole cluster and remove it. KILLS=3,22 kills one run after its third change and another after its 22nd; the next finishes each.
"""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

import pytest
import yaml

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .kills import killed_after, killed_after_each
from .playbooks import play, prices_said, succeed
from .scenes import Scene, World, scene, secret

pytestmark = pytest.mark.slow

Stage = t.Callable[[], RunningSandbox]
PLANES = [f"barney-controlplane-{number}" for number in (1, 2, 3)]
WORKERS = [f"barney-worker-{number}" for number in (1, 2)]
UNFINISHED = "k8s-cluster-manager/unfinished"
GONE: dict[str, t.Any] = {"cluster": "barney", "nodes": [*WORKERS, *PLANES], "kubernetes": "talos", "allow_last_control_plane": True}
# A cluster of one: its run has all of the steps that come once, and the fewest of the others.
SMALL = {"cluster": "barney", "control_planes": 1, "workers": 0}
KILLS = os.environ.get("KILLS", "")


def etcds(world: World) -> list[list[tuple[str, bool]]]:
    """(name, whether it learns) of the members of every etcd that barney's control planes ever began."""
    planes = {node.instance_id for node in worldview.nodes(world, "barney").values()}
    members = [[member for member in etcd["members"] if member["instance_id"] in planes] for etcd in world["talos"]["etcd"]]
    return [sorted((member["name"], member["learner"]) for member in found) for found in members if found]


def owned(world: World) -> dict[str, list[str]]:
    """The names of what AWS has of barney, by kind."""
    found: dict[str, list[str]] = {}
    for kind in ("instances", "volumes", "security_groups", "load_balancers", "target_groups"):
        rows = [row for row in worldview.region(world)[kind].values() if row["tags"].get("Cluster") == "barney" and row.get("state") != "terminated"]
        found[kind] = sorted(row["tags"].get("Name") or row.get("name", "") for row in rows)
    return found


def assert_healthy(world: World, planes: t.Collection[str], workers: t.Collection[str]) -> None:
    """All of the cluster, and one of each."""
    nodes = worldview.nodes(world, "barney")
    assert set(nodes) == {*planes, *workers}
    for node in nodes.values():
        assert (node.state, node.stage, node.ready, node.records) == ("running", "running", True, [node.address]), node
        assert UNFINISHED not in worldview.region(world)["instances"][node.instance_id]["tags"]
    assert etcds(world) == [[(name, False) for name in sorted(planes)]]
    for name in planes:
        assert nodes[name].targets == {"apiserver-barney-6443:6443": "healthy"}
    for name in workers:
        # No ingress controller has been installed yet.
        assert nodes[name].targets == {"ingress-barney-80:30080": "unhealthy", "ingress-barney-443:30443": "unhealthy"}
    assert owned(world) == {
        "instances": sorted(nodes),
        "volumes": owned(world)["volumes"],
        "security_groups": ["apiserver-barney", "ingress-barney", "node-barney"],
        "load_balancers": ["apiserver-barney", "ingress-barney"],
        "target_groups": ["apiserver-barney-6443", "ingress-barney-443", "ingress-barney-80"],
    }
    assert len(owned(world)["volumes"]) in (0, len(nodes))


# From nothing, again, and away.


class Story(t.NamedTuple):
    """The scenes, in order, the kubeconfig's file, and the calls of the first run that changed something."""

    made: Scene
    again: Scene
    deleted: Scene
    removed: Scene
    kubeconfig: str
    mode: int
    changes: list[str]


@pytest.fixture(scope="module")
def story(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Story:
    cloud = stage()
    folder = tmp_path_factory.mktemp("kube")
    words: dict[str, t.Any] = {"cluster": "barney", "kubeconfig_file": str(folder / "barney"), "timeout": 1500}
    made = scene(cloud, "create_cluster.yml", **words)
    succeed(made.run)
    changes = cloud.control.mutating()
    again = scene(cloud, "create_cluster.yml", **words)
    text, mode = (folder / "barney").read_text(), stat.S_IMODE((folder / "barney").stat().st_mode)
    deleted = scene(cloud, "delete_node.yml", timeout=1500, **GONE)
    removed = scene(cloud, "create_load_balancers.yml", cluster="barney", state="absent", timeout=900)
    return Story(made, again, deleted, removed, text, mode, changes)


def test_a_cluster_from_nothing(story: Story) -> None:
    """Three control planes and two workers; and nothing of others is touched."""
    assert_healthy(story.made.after, PLANES, WORKERS)
    zones = [story.made.nodes("barney")[name].zone for name in PLANES]
    assert len(set(zones)) == 3
    before, after = story.made.before, story.made.after
    for other in ("fargle", "fargle2"):
        assert worldview.nodes(before, other) == worldview.nodes(after, other)
    assert [record for record in worldview.records(before) if record not in worldview.records(after)] == []


def test_d12_etcd_is_bootstrapped_once(story: Story) -> None:
    assert story.changes.count("talos.Bootstrap") == 1
    first = story.changes.index("talos.Bootstrap")
    assert story.changes[:first].count("talos.ApplyConfiguration") == 1
    assert "elbv2.CreateListener" in story.changes[:first]


def test_one_price_of_all_is_said_before_anything_is_bought(story: Story) -> None:
    (line,) = prices_said(story.made.run)
    # (3 × 0.192 + 2 × 0.096 + 2 × 0.0226) × 1.2 + (3 × 40 + 2 × 80) × 0.096 / 730
    assert line.startswith("3 × m5.xlarge + 2 × m5.large + 3 × 40 GB gp3 + 2 × 80 GB gp3 + 2 × network load balancer: 1.01 USD per hour (")
    first_change = next(number for number, task in enumerate(story.made.run.tasks) if task["plan"] and task["changed"])
    assert line in [task["msg"] for task in story.made.run.tasks[:first_change]]


def test_the_kubeconfig_is_written_for_its_owner_alone(story: Story) -> None:
    """On request, and shown nowhere."""
    config = yaml.safe_load(story.kubeconfig)
    machine = yaml.safe_load(secret(story.made.before, "cluster-barney-machine-cp")["controlplane.yaml"])
    assert config["clusters"][0]["cluster"]["server"] == machine["cluster"]["controlPlane"]["endpoint"]
    assert story.mode == 0o600
    key = config["users"][0]["user"]["client-key-data"]
    for run in (story.made.run, story.again.run):
        assert key[:60] not in run.output + str(run.tasks)


def test_the_endpoint_of_the_machine_configs_leads_there(story: Story) -> None:
    """It is the load balancer's, so there is nothing to warn of."""
    assert "does not lead to the cluster" not in story.made.run.output


def test_the_same_again_changes_nothing(story: Story) -> None:
    assert succeed(story.again.run).changed == 0
    assert story.again.changed == set()
    assert prices_said(story.again.run) == []


def test_removal_leaves_nothing(story: Story) -> None:
    succeed(story.deleted.run)
    assert story.deleted.nodes("barney") == {}
    succeed(story.removed.run)
    assert owned(story.removed.after) == {kind: [] for kind in owned(story.removed.after)}
    assert [record["name"] for record in worldview.records(story.removed.after) if "barney" in record["name"]] == []


# Check mode, and wrong words.


@pytest.fixture(scope="module")
def checked(stage: Stage) -> tuple[Scene, list[str]]:
    cloud = stage()
    return scene(cloud, "create_cluster.yml", "--check", cluster="barney", timeout=900), cloud.control.mutating()


def test_check_mode_from_nothing_predicts_the_cluster(checked: tuple[Scene, list[str]]) -> None:
    found, changes = checked
    actions = succeed(found.run).actions
    assert {node for module, node, verb, _target in actions if (module, verb) == ("ec2_node", "launch")} == {*PLANES, *WORKERS}
    assert {node for module, node, verb, _target in actions if (module, verb) == ("talos_apply_config", "configure")} == {*PLANES, *WORKERS}
    assert [(node, verb) for module, node, verb, _target in actions if module == "talos_bootstrap"] == [(PLANES[0], "bootstrap")]
    assert {module for module, *_rest in actions} >= {"nlb", "cluster_security_group", "cloudflare_record"}
    wanted = {(node, "apiserver-barney-6443:6443") for node in PLANES}
    wanted |= {(node, group) for node in WORKERS for group in ("ingress-barney-80:30080", "ingress-barney-443:30443")}
    assert {(node, target) for module, node, verb, target in actions if (module, verb) == ("nlb_target", "register")} == wanted
    assert (changes, found.changed) == ([], set())
    assert len(prices_said(found.run)) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"control_planes": 0}, "control_planes: 0, workers: 2. A cluster has at least one control plane"),
        ({"workers": -1}, "control_planes: 3, workers: -1."),
        ({"control_planes": "three"}, "create_cluster_control_planes"),
        ({"kubernetes": "perhaps"}, "perhaps"),
    ],
)
def test_wrong_words(cloud: RunningSandbox, words: dict[str, t.Any], says: str) -> None:
    run = play(cloud.env, "create_cluster.yml", cluster="barney", **words)
    assert run.code != 0
    assert says in run.output
    assert cloud.control.mutating() == []


def test_nothing_is_bought_for_what_cannot_become_a_cluster(cloud: RunningSandbox, tmp_path: Path) -> None:
    """Wrong in the workers' machine config, and another cluster's talosconfig: told before the first load balancer is made."""
    world = cloud.control.world()
    (tmp_path / "talosconfig").write_text(secret(world, "cluster-fargle-talosconfig")["talosconfig"])
    run = play(cloud.env, "create_cluster.yml", cluster="barney", cluster_talosconfig_file=str(tmp_path / "talosconfig"))
    assert run.code != 0
    assert "its ca is not the machine config's machine.ca" in run.message
    assert cloud.control.mutating() == []


def test_nodes_are_not_added_to_a_cluster_that_is_not_there(cloud: RunningSandbox) -> None:
    """create_node never bootstraps by itself."""
    run = play(cloud.env, "create_node.yml", cluster="barney", role="controlplane")
    assert run.code != 0
    assert "create_cluster.yml makes a cluster from nothing" in run.message
    assert cloud.control.mutating() == []


# Runs that are killed.


def balancer_changes() -> list[str]:
    """What a run from nothing changes before it makes nodes, in order."""
    groups = ["ec2.CreateSecurityGroup"] * 3 + ["ec2.AuthorizeSecurityGroupIngress"] * 3
    target_group = ["elbv2.CreateTargetGroup", "elbv2.ModifyTargetGroupAttributes"]
    balancer = ["elbv2.CreateLoadBalancer", "elbv2.ModifyLoadBalancerAttributes"]
    api = [*target_group, *balancer, "elbv2.CreateListener"]
    ingress = [*target_group, *target_group, *balancer, *["elbv2.CreateListener"] * 2]
    return [*groups, *api, *ingress]


def first_changes() -> list[str]:
    """What it changes for the first control plane, in order."""
    return ["ec2.RunInstances", "talos.ApplyConfiguration", "talos.Bootstrap", "elbv2.RegisterTargets", "cloudflare.batch_records", "ec2.DeleteTags"]


@pytest.mark.skipif(KILLS != "", reason="make kills does all of it and more")
def test_d12_the_first_control_plane_is_made_by_runs_that_are_killed_after_each_change(cloud: RunningSandbox) -> None:
    """One etcd, one of everything. The load balancers' part: tests/unit/sandbox_modules/test_aws_balancers.py."""
    succeed(play(cloud.env, "create_load_balancers.yml", cluster="barney", load_balancers_node_security_group=True))
    # What create_cluster does for it, and nothing else, which takes a third of the time.
    words = {"cluster": "barney", "role": "controlplane", "count": 1, "kubernetes": "talos", "create_node_bootstrap": True}
    changes, last = killed_after_each(cloud, "create_node.yml", 20, **words)
    assert changes == first_changes()
    assert last.changed == 0
    assert_healthy(cloud.control.world(), PLANES[:1], [])
    rest = succeed(play(cloud.env, "create_cluster.yml", "--check", **{**SMALL, "workers": 1}))
    assert {node for _module, node, _verb, _target in rest.actions} == {WORKERS[0]}
    assert [line.partition(":")[0] for line in prices_said(rest)] == ["1 × m5.large + 1 × 80 GB gp3"]


@pytest.mark.skipif(KILLS != "all", reason="make kills")
def test_a_cluster_is_made_and_removed_by_runs_that_are_killed_after_each_change(cloud: RunningSandbox) -> None:
    """All of it: load balancers, three control planes, two workers. Nothing is left when it has gone."""
    changes, last = killed_after_each(cloud, "create_cluster.yml", 60, cluster="barney")
    begun = [*balancer_changes(), *first_changes()]
    assert changes[: len(begun)] == begun
    assert "talos.Bootstrap" not in changes[len(begun) :]
    assert last.changed == 0
    assert_healthy(cloud.control.world(), PLANES, WORKERS)
    for number, removal in enumerate((GONE, {"cluster": "barney", "state": "absent"})):
        _changes, last = killed_after_each(cloud, ("delete_node.yml", "create_load_balancers.yml")[number], 60, **removal)
        assert last.changed == 0
    assert owned(cloud.control.world()) == {kind: [] for kind in owned(cloud.control.world())}


@pytest.mark.parametrize("point", [int(number) for number in KILLS.split(",") if number.isdigit()])
def test_a_killed_run_is_finished_by_the_next(cloud: RunningSandbox, point: int) -> None:
    """Killed right after the change took effect."""
    assert killed_after(cloud, "create_cluster.yml", point, **SMALL) == [*balancer_changes(), *first_changes()][point - 1]
    succeed(play(cloud.env, "create_cluster.yml", timeout=900, **SMALL))
    assert_healthy(cloud.control.world(), PLANES[:1], [])
