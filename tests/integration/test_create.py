# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are created really are what they must be, everywhere, and nothing else is touched.

A run costs seconds, so each scene is run once and many tests look at it.
"""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import yaml

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .playbooks import ROOT, kill_when, play, succeed
from .scenes import DOMAIN, Scene, documents, merged, scene, secret

pytestmark = pytest.mark.slow

Stage = t.Callable[[], RunningSandbox]
UNFINISHED = "k8s-cluster-manager/unfinished"
INGRESS = {"ingress-external-80:31080", "ingress-external-443:31443", "ingress-internal-80:30080", "ingress-internal-443:30443"}
BATCH_TAINT = {"key": "purpose", "value": "batch", "effect": "NoSchedule"}


def states(node: worldview.Node) -> set[tuple[str, str]]:
    """(target group without the cluster:port, state) of a node's targets."""
    return {(name.partition("-")[2], state) for name, state in node.targets.items()}


def tags(world: t.Mapping[str, t.Any], node: worldview.Node) -> dict[str, str]:
    return t.cast("dict[str, str]", worldview.region(world)["instances"][node.instance_id]["tags"])


def serves(node: worldview.Node) -> bool:
    """Whether a node runs Talos, is Ready in Kubernetes, and its name leads to its address and nowhere else."""
    return (node.state, node.stage, node.ready, node.records) == ("running", "running", True, [node.address])


# One worker more, for batch jobs: the ingress pods do not tolerate its taint.


@pytest.fixture(scope="module")
def batch(stage: Stage) -> Scene:
    """As the README says it: words as text, from the checkout."""
    fresh = stage()
    found = scene(fresh, "create_node.yml", "-e", "cluster=fargle role=worker purpose=batch")
    succeed(found.run)
    found.run.tasks.append({"config": fresh.control.config("fargle-worker-11")})
    return found


def test_one_worker_more(batch: Scene) -> None:
    assert batch.new("fargle") == ["fargle-worker-11"]
    node = batch.node("fargle-worker-11")
    assert serves(node)
    assert node.role == "worker"
    wanted = {"Cluster": "fargle", "Name": "fargle-worker-11", "Role": "worker"}
    assert tags(batch.after, node).items() >= wanted.items()
    assert UNFINISHED not in tags(batch.after, node)


def test_a_workers_config_is_base_patch_and_name(batch: Scene) -> None:
    """And the purpose; what the node stores is compared as a whole."""
    expected = merged(
        secret(batch.before, "cluster-fargle-machine-worker"),
        yaml.safe_load(secret(batch.before, "cluster-fargle-patch-worker")["patch.yaml"]),
        {"machine": {"network": {"hostname": f"fargle-worker-11.{DOMAIN}"}}},
        {"machine": {"nodeLabels": {"purpose": "batch"}, "kubelet": {"extraArgs": {"node-labels": "purpose=batch"}}}},
        {"machine": {"kubelet": {"extraConfig": {"registerWithTaints": [BATCH_TAINT]}}}},
    )
    assert documents(batch.run.tasks[-1]["config"]) == documents(yaml.safe_dump(expected))


def test_label_and_taint_are_there_before_any_pod(batch: Scene) -> None:
    landed = [pod for pod in batch.after["kubernetes"]["fargle"]["bindings"] if pod["node"] == "fargle-worker-11"]
    assert landed
    for pod in landed:
        assert BATCH_TAINT in pod["taints"]
        assert pod["labels"].get("purpose") == "batch"
    assert {pod["pod"].rpartition("-")[0] for pod in landed} == {"kube-system/kube-flannel", "kube-system/kube-proxy"}


def test_a_worker_without_ingress_pods_is_a_warning(batch: Scene) -> None:
    assert states(batch.node("fargle-worker-11")) == {(group, "unhealthy") for group in INGRESS}
    assert "[WARNING]: no traffic yet for fargle-worker-11: unhealthy" in " ".join(batch.run.output.split())
    assert "unhealthy" in batch.run.output
    assert "DEPRECATION" not in batch.run.output


def test_nothing_of_others_is_touched_by_a_creation(batch: Scene) -> None:
    """Neither fargle-worker-1 and -10, nor fargle2."""
    assert batch.strange("fargle", "fargle-worker-11") == []
    assert {"fargle-worker-1", "fargle-worker-10"} <= batch.nodes("fargle").keys()


# Eight workers in all.


@pytest.fixture(scope="module")
def eight(stage: Stage) -> tuple[Scene, Scene]:
    """From inside playbooks/; then the same words again."""
    fresh = stage()
    words = ("-e", "cluster=fargle role=worker count=8")
    first = scene(fresh, "create_node.yml", *words, cwd=ROOT / "playbooks")
    succeed(first.run)
    return first, scene(fresh, "create_node.yml", *words)


def test_count_reaches_the_total(eight: tuple[Scene, Scene]) -> None:
    """New numbers follow the highest: 5 to 9 stay free."""
    first, _again = eight
    assert first.new("fargle") == ["fargle-worker-11", "fargle-worker-12", "fargle-worker-13"]
    assert sum(node.role == "worker" for node in first.nodes("fargle").values()) == 8
    assert all(serves(first.node(name)) for name in first.new("fargle"))
    assert len({first.node(name).zone for name in first.new("fargle")}) > 1


def test_workers_serve_all_ingress_groups_and_no_other(eight: tuple[Scene, Scene]) -> None:
    for name in eight[0].new("fargle"):
        assert states(eight[0].node(name)) == {(group, "healthy") for group in INGRESS}


def test_the_same_count_again_changes_nothing(eight: tuple[Scene, Scene]) -> None:
    _first, again = eight
    assert succeed(again.run).changed == 0
    assert again.changed == set()


# Control planes.


@pytest.fixture(scope="module")
def control_planes(stage: Stage) -> dict[str, Scene]:
    fresh = stage()
    scenes = {
        "cp": scene(fresh, "create_node.yml", "-e", "cluster=fargle role=cp"),
        "named": scene(fresh, "create_node.yml", cluster="fargle", role="controlplane", nodes="fargle-controlplane-7"),
        "again": scene(fresh, "create_node.yml", cluster="fargle", role="controlplane", nodes=["fargle-controlplane-7"]),
    }
    scenes["cp"].run.tasks.append({"config": fresh.control.config("fargle-controlplane-4")})
    return scenes


def test_a_control_plane_joins(control_planes: dict[str, Scene]) -> None:
    succeed(control_planes["cp"].run)
    node = control_planes["cp"].node("fargle-controlplane-4")
    assert serves(node)
    assert (node.role, node.member) == ("controlplane", "voter")
    assert states(node) == {("apiserver-6443:6443", "healthy")}
    assert control_planes["cp"].strange("fargle", "fargle-controlplane-4") == []


def test_a_control_planes_config_is_base_patches_and_name(control_planes: dict[str, Scene]) -> None:
    world = control_planes["cp"].before
    expected = merged(
        yaml.safe_load(secret(world, "cluster-fargle-machine-controlplane")["controlplane.yaml"]),
        *yaml.safe_load(secret(world, "cluster-fargle-patch-controlplane")["patch.yaml"]),
        {"machine": {"network": {"hostname": f"fargle-controlplane-4.{DOMAIN}"}}},
    )
    assert documents(control_planes["cp"].run.tasks[-1]["config"]) == documents(yaml.safe_dump(expected))


def test_a_named_control_plane(control_planes: dict[str, Scene]) -> None:
    succeed(control_planes["named"].run)
    assert control_planes["named"].new("fargle") == ["fargle-controlplane-7"]
    node = control_planes["named"].node("fargle-controlplane-7")
    assert (serves(node), node.member, states(node)) == (True, "voter", {("apiserver-6443:6443", "healthy")})


def test_the_same_names_again_change_nothing(control_planes: dict[str, Scene]) -> None:
    assert succeed(control_planes["again"].run).changed == 0
    assert control_planes["again"].changed == set()


# A run that is killed.


def test_a_killed_creation_is_finished_by_the_next(cloud: RunningSandbox) -> None:
    """The machine that ran the playbook went down right after the launch: the VM is found again, and no second one is made."""
    before = cloud.control.world()

    def launched() -> bool:
        return any(call["operation"] == "RunInstances" and call["ended"] and not call["detail"].get("dry_run") for call in cloud.control.calls())

    kill_when(launched, cloud.env, "create_node.yml", cluster="fargle", role="worker")
    (killed,) = worldview.nodes(cloud.control.world(), "fargle").keys() - worldview.nodes(before, "fargle").keys()
    left = worldview.nodes(cloud.control.world(), "fargle")[killed]
    assert not left.ready and tags(cloud.control.world(), left)[UNFINISHED] == "worker"

    succeed(play(cloud.env, "create_node.yml", cluster="fargle", role="worker"))
    world = cloud.control.world()
    assert worldview.nodes(world, "fargle").keys() - worldview.nodes(before, "fargle").keys() == {killed}
    node = worldview.nodes(world, "fargle")[killed]
    assert (serves(node), node.instance_id) == (True, left.instance_id)
    assert UNFINISHED not in tags(world, node)


# Health that is demanded.


def test_a_node_that_must_serve_ingress_and_does_not_is_named(cloud: RunningSandbox) -> None:
    found = scene(
        cloud,
        "create_node.yml",
        cluster="fargle",
        nodes="fargle-worker-20",
        purpose="batch",
        create_node_require_healthy=["ingress"],
        create_node_wait_timeout=20,
    )
    assert found.run.code != 0
    assert "fargle-worker-20: " in found.run.message
    assert "Target.FailedHealthChecks" in found.run.message
    left = found.node("fargle-worker-20")
    assert f"Paid for until they are finished or deleted:\n- fargle-worker-20, {left.instance_id}" in found.run.message
    assert tags(found.after, left)[UNFINISHED] == "worker"


# A creation that is undone where it fails.


@pytest.fixture(scope="module")
def undone(stage: Stage) -> dict[str, Scene]:
    """Nodes that never become healthy beside one that is there; and a run that is stopped in the middle."""
    fresh = stage()
    unhealthy = scene(
        fresh,
        "create_node.yml",
        cluster="fargle",
        nodes="fargle-worker-1,fargle-worker-20,fargle-worker-21",
        purpose="batch",
        rollback="true",
        create_node_require_healthy=["ingress"],
        create_node_wait_timeout=20,
    )
    fresh.control.conditions(denied=["RegisterTargets"])
    stopped = scene(fresh, "create_node.yml", cluster="fargle", role="worker", count=11, rollback="true")
    return {"unhealthy": unhealthy, "stopped": stopped}


def test_what_a_failed_run_launched_is_taken_away_again_if_asked(undone: dict[str, Scene]) -> None:
    found = undone["unhealthy"]
    assert found.run.code != 0
    assert found.nodes("fargle") == worldview.nodes(found.before, "fargle")
    assert worldview.records(found.after) == worldview.records(found.before)
    assert "fargle-worker-20: " in found.run.message and "Target.FailedHealthChecks" in found.run.message
    assert "Taken away again: fargle-worker-20, fargle-worker-21." in found.run.message
    assert "Paid for" not in found.run.message


def test_what_a_stopped_run_launched_is_taken_away_again_if_asked(undone: dict[str, Scene]) -> None:
    found = undone["stopped"]
    assert found.run.code != 0
    assert "RegisterTargets" in found.run.message
    launched = worldview.region(found.after)["instances"].keys() - worldview.region(found.before)["instances"].keys()
    assert {worldview.region(found.after)["instances"][instance_id]["state"] for instance_id in launched} == {"terminated"}
    assert found.nodes("fargle") == worldview.nodes(found.before, "fargle")


# A cluster of documents, its inputs in one secret per role.


@pytest.fixture(scope="module")
def documented(stage: Stage) -> Scene:
    fresh = stage()
    found = scene(fresh, "create_node.yml", cluster="fargle2", role="worker", nodes="fargle2-worker-7,fargle2-batch-1")
    succeed(found.run)
    found.run.tasks.append({"config": fresh.control.config("fargle2-batch-1")})
    return found


def test_a_cluster_with_one_secret_per_role(documented: Scene) -> None:
    assert documented.new("fargle2") == ["fargle2-batch-1", "fargle2-worker-7"]
    for name in documented.new("fargle2"):
        assert serves(documented.node(name))
        assert {group.partition("-")[0] for group, _state in states(documented.node(name))} == {"ingress"}
    assert documented.strange("fargle2", "fargle2-worker-7", "fargle2-batch-1") == []


def test_a_config_of_documents_gets_the_name_in_its_own_document(documented: Scene) -> None:
    source = secret(documented.before, "cluster-fargle2-worker")
    machine, _hostname = documents(source["config.yaml"])
    wanted = [
        merged(machine, documents(source["patch.yaml"])[0]),
        {"apiVersion": "v1alpha1", "kind": "HostnameConfig", "auto": "off", "hostname": f"fargle2-batch-1.{DOMAIN}"},
    ]
    assert documents(documented.run.tasks[-1]["config"]) == wanted


# Files instead of Vault.


def test_files_found_from_where_the_user_stands(cloud: RunningSandbox, tmp_path: Path) -> None:
    """No Vault at all: machine config, patch and node config as files, kubeconfig by the environment."""
    world = cloud.control.world()
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs/worker.yaml").write_text(yaml.safe_dump(secret(world, "cluster-fargle-machine-worker")))
    (tmp_path / "patch.json").write_text(json.dumps({"machine": {"sysctls": {"vm.swappiness": "1"}}}))
    (tmp_path / "node.yaml").write_text(yaml.safe_dump(secret(world, "cluster-fargle-node-worker")))
    (tmp_path / "kubeconfig").write_text(secret(world, "cluster-fargle-kubeconfig")["kubeconfig"])
    env = {name: value for name, value in cloud.env.items() if not name.startswith("VAULT_")}
    run = play(
        {**env, "KUBECONFIG": str(tmp_path / "kubeconfig")},
        "create_node.yml",
        cwd=tmp_path,
        cluster="fargle",
        nodes="fargle-worker-11",
        machine_config_file="inputs/worker.yaml",
        patch_file="patch.json",
        node_config_file="node.yaml",
    )
    succeed(run)
    assert serves(worldview.nodes(cloud.control.world(), "fargle")["fargle-worker-11"])
    expected = merged(
        secret(world, "cluster-fargle-machine-worker"),
        {"machine": {"sysctls": {"vm.swappiness": "1"}, "network": {"hostname": f"fargle-worker-11.{DOMAIN}"}}},
    )
    assert documents(cloud.control.config("fargle-worker-11")) == documents(yaml.safe_dump(expected))
