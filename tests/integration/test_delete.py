# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are deleted leave nothing behind, anywhere, and nothing else is touched.

A run costs seconds, so each scene is run once and many tests look at it.
"""

from __future__ import annotations

import itertools
import json
import typing as t
from pathlib import Path

import boto3
import pytest
import yaml

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .playbooks import ROOT, play, stats, succeed
from .scenes import Scene, World, scene

pytestmark = pytest.mark.slow

Stage = t.Callable[[], RunningSandbox]


def ec2(cloud: RunningSandbox) -> t.Any:
    """EC2 as an administrator of the account uses it."""
    keys = {"aws_access_key_id": cloud.env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": cloud.env["AWS_SECRET_ACCESS_KEY"]}
    return boto3.client("ec2", endpoint_url=cloud.env["AWS_ENDPOINT_URL"], region_name=cloud.env["AWS_REGION"], **keys)


def traces(before: World, after: World, name: str) -> list[str]:
    """Everything that is left of a node; before is a world in which it lived."""
    node = worldview.nodes(before, name.split("-")[0])[name]
    region = worldview.region(after)
    stored = worldview.region(before)["instances"][node.instance_id]
    left = [f"vm {node.instance_id} {vm['state']}" for key, vm in region["instances"].items() if key == node.instance_id and vm["state"] != "terminated"]
    left += [f"volume {volume}" for volume in stored["volumes"] if volume in region["volumes"]]
    left += [f"interface {interface}" for interface in stored["interfaces"] if interface in region["interfaces"]]
    left += [f"address {key}" for key, address in region["addresses"].items() if node.instance_id in json.dumps(address)]
    left += [f"target {target}" for target in worldview.targets(after, node.instance_id, node.address)]
    left += [f"machine {machine['stage']}" for machine in after["talos"]["nodes"] if machine["instance_id"] == node.instance_id]
    left += [f"member {member['id']}" for member in worldview.members(after) if member["instance_id"] == node.instance_id]
    left += [f"Node {one['metadata']['name']}" for one in worldview.kubernetes_nodes(after, name.split("-")[0]) if one["metadata"]["name"] == name]
    left += [f"record {one['id']}" for one in worldview.records(after) if one["name"].split(".")[0] == name and one["type"] == "A"]
    left += [f"record to {one['name']}" for one in worldview.records(after) if one["content"] == node.address]
    return left


def members(world: World, cluster: str) -> list[str]:
    """The names of a cluster's etcd members."""
    return sorted(member["name"] for member in worldview.members(world) if member["name"].startswith(f"{cluster}-"))


def rest(world: World, *gone: str) -> dict[str, worldview.Node]:
    """The nodes of fargle but these."""
    return {name: node for name, node in worldview.nodes(world, "fargle").items() if name not in gone}


# Two workers at once, one of them made by k8s-cluster-manager and with a database on it or the other.

BOTH = ("fargle-worker-1", "fargle-worker-4")


@pytest.fixture(scope="module")
def workers_and_evictions(stage: Stage) -> tuple[Scene, Scene, set[str]]:
    """fargle-worker-10 lives on beside fargle-worker-1; the second scene is the same command again. The evictions are the first's."""
    cloud = stage()
    first = scene(cloud, "delete_node.yml", "-e", f"cluster=fargle nodes={','.join(BOTH)}")
    succeed(first.run)
    evicted = {call["detail"]["name"] for call in cloud.control.calls() if call["operation"] == "create_pods/eviction"}
    return first, scene(cloud, "delete_node.yml", "-e", f"cluster=fargle nodes={','.join(BOTH)}"), evicted


@pytest.fixture(scope="module")
def workers(workers_and_evictions: tuple[Scene, Scene, set[str]]) -> tuple[Scene, Scene]:
    return workers_and_evictions[:2]


def test_every_pod_that_can_move_is_asked_to(workers_and_evictions: tuple[Scene, Scene, set[str]]) -> None:
    """One that is still there when its machine goes was never told to stop."""
    first, _again, evicted = workers_and_evictions
    pods = first.before["kubernetes"]["fargle"]["objects"]["pods"]
    moving = [pod for pod in pods if pod["metadata"]["ownerReferences"][0]["kind"] != "DaemonSet"]
    doomed = {pod["metadata"]["name"] for pod in moving if pod["spec"]["nodeName"] in BOTH}
    assert doomed, "there is nothing to see"
    assert doomed <= evicted


@pytest.mark.parametrize("name", BOTH)
def test_nothing_is_left_of_a_worker(workers: tuple[Scene, Scene], name: str) -> None:
    """fargle-worker-4 is the old tool's: no role, no mark on its record, targets on another port."""
    assert traces(workers[0].before, workers[0].before, name), "the test looks in the wrong places"
    assert traces(workers[0].before, workers[0].after, name) == []


def test_nothing_of_others_is_touched_by_a_deletion(workers: tuple[Scene, Scene]) -> None:
    first, _again = workers
    assert first.strange("fargle", *BOTH) == []
    assert rest(first.after) == rest(first.before, *BOTH)


def test_pods_find_another_place(workers: tuple[Scene, Scene]) -> None:
    """The deployments and the database run in full on the nodes that are left."""
    objects = workers[0].after["kubernetes"]["fargle"]["objects"]
    for kind in ("deployments", "statefulsets"):
        for one in objects[kind]:
            assert one["status"].get("readyReplicas") == one["spec"]["replicas"], one["metadata"]["name"]
    assert {pod["spec"].get("nodeName") for pod in objects["pods"]} <= rest(workers[0].after).keys()


def test_the_same_deletion_again_changes_nothing(workers: tuple[Scene, Scene]) -> None:
    _first, again = workers
    assert succeed(again.run).changed == 0
    assert again.changed == set()


# A control plane.


@pytest.fixture(scope="module")
def control_plane_and_changes(stage: Stage) -> tuple[Scene, list[str]]:
    """The second is what the run changed, service.operation in order; cordons are not told from other patches."""
    cloud = stage()
    found = scene(cloud, "delete_node.yml", cluster="fargle", nodes="fargle-controlplane-2", allow_single_control_plane="")
    succeed(found.run)
    return found, cloud.control.mutating()


@pytest.fixture(scope="module")
def control_plane(control_plane_and_changes: tuple[Scene, list[str]]) -> Scene:
    return control_plane_and_changes[0]


def in_order(changes: list[str], *operations: str) -> bool:
    """Whether each of these was made, the last time before the next one's first time."""
    assert set(operations) <= set(changes), changes
    return all(len(changes) - 1 - changes[::-1].index(one) < changes.index(other) for one, other in itertools.pairwise(operations))


def test_B9_a_control_plane_leaves_the_load_balancer_before_etcd(control_plane_and_changes: tuple[Scene, list[str]]) -> None:
    assert in_order(control_plane_and_changes[1], "elbv2.DeregisterTargets", "talos.EtcdLeaveCluster", "ec2.TerminateInstances")


def test_D6_the_node_object_goes_after_the_member_and_the_machine_last(control_plane_and_changes: tuple[Scene, list[str]]) -> None:
    """Nothing of Talos' own that wants to cordon its Node looks for it in vain, and the VM's tags lead a killed run back."""
    assert in_order(control_plane_and_changes[1], "talos.EtcdLeaveCluster", "kubernetes.delete_nodes", "cloudflare.batch_records", "ec2.TerminateInstances")


def test_a_control_plane_leaves_etcd(control_plane: Scene) -> None:
    assert traces(control_plane.before, control_plane.after, "fargle-controlplane-2") == []
    assert members(control_plane.after, "fargle") == ["fargle-controlplane-1", "fargle-controlplane-3"]
    left = [node for node in rest(control_plane.after).values() if node.role == "controlplane"]
    assert [(node.member, node.ready, set(node.targets.values())) for node in left] == [("voter", True, {"healthy"})] * 2


def test_nothing_of_others_is_touched_when_a_control_plane_goes(control_plane: Scene) -> None:
    strange = [line for line in control_plane.strange("fargle", "fargle-controlplane-2") if "/leader " not in line]
    assert strange == []


# What goes wrong meanwhile.


def test_B7_a_node_that_stays_behind_a_load_balancer_is_neither_drained_nor_terminated(cloud: RunningSandbox) -> None:
    cloud.control.conditions(denied=["DeregisterTargets"])
    found = scene(cloud, "delete_node.yml", cluster="fargle", nodes="fargle-worker-2")
    assert found.run.code != 0
    assert "elasticloadbalancing:DeregisterTargets" in found.run.message
    assert set(cloud.control.mutating()) == {"kubernetes.patch_nodes", "elbv2.DeregisterTargets"}
    assert found.node("fargle-worker-2").state == "running"


def test_C5_C6_a_node_goes_when_it_has_no_volumes_and_again_when_it_comes_back(cloud: RunningSandbox) -> None:
    """The database's volume takes its time; and the kubelet, which still lives, registers its Node anew."""
    world = cloud.control.world()
    (name,) = (pod["spec"]["nodeName"] for pod in world["kubernetes"]["fargle"]["objects"]["pods"] if pod["metadata"]["name"] == "db-0")
    cloud.control.delays({"kubelet.reregister": 0.05, "volume.detach": 3.0})
    found = scene(cloud, "delete_node.yml", cluster="fargle", nodes=name)
    succeed(found.run)
    calls = cloud.control.calls()
    evicted = next(call["started"] for call in calls if call["operation"] == "create_pods/eviction" and call["detail"]["name"] == "db-0")
    deleted = [call["started"] for call in calls if call["operation"] == "delete_nodes"]
    assert deleted[0] - evicted >= 3.0
    terminated = next(call["started"] for call in calls if call["operation"] == "TerminateInstances")
    assert len(deleted) == 2 and deleted[0] < terminated < deleted[1]
    assert traces(found.before, found.after, name) == []


# What is half gone already, or looks like another.


def test_what_is_left_of_a_terminated_vm_is_cleaned(cloud: RunningSandbox) -> None:
    before = cloud.control.world()
    node = worldview.nodes(before, "fargle")["fargle-worker-2"]
    client = ec2(cloud)
    client.terminate_instances(InstanceIds=[node.instance_id])
    client.get_waiter("instance_terminated").wait(InstanceIds=[node.instance_id], WaiterConfig={"Delay": 1})
    assert traces(before, cloud.control.world(), "fargle-worker-2"), "a VM's end alone leaves nothing to clean"
    succeed(scene(cloud, "delete_node.yml", cluster="fargle", nodes="fargle-worker-2").run)
    assert traces(before, cloud.control.world(), "fargle-worker-2") == []
    assert rest(cloud.control.world()) == rest(before, "fargle-worker-2")


def test_two_vms_of_one_name_are_told_apart_by_instance_id(cloud: RunningSandbox) -> None:
    """Without the word nothing is deleted; with it exactly that VM is."""
    client = ec2(cloud)
    world = cloud.control.world()
    twin = worldview.region(world)["instances"][worldview.nodes(world, "fargle")["fargle-worker-3"].instance_id]
    tags = [{"Key": key, "Value": value} for key, value in twin["tags"].items()]
    launched = client.run_instances(
        ImageId=twin["image"],
        InstanceType=twin["type"],
        MinCount=1,
        MaxCount=1,
        SubnetId=twin["subnet"],
        SecurityGroupIds=twin["groups"],
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )["Instances"][0]["InstanceId"]
    client.get_waiter("instance_running").wait(InstanceIds=[launched], WaiterConfig={"Delay": 1})

    refused = scene(cloud, "delete_node.yml", cluster="fargle", nodes="fargle-worker-3")
    assert refused.run.code != 0
    assert "instance_id" in refused.run.message and launched in refused.run.message
    assert cloud.control.mutating() == []

    found = scene(cloud, "delete_node.yml", cluster="fargle", nodes="fargle-worker-3", instance_id=launched)
    succeed(found.run)
    instances = worldview.region(found.after)["instances"]
    assert instances.get(launched, {"state": "terminated"})["state"] == "terminated"
    assert worldview.nodes(found.after, "fargle")["fargle-worker-3"] == worldview.nodes(world, "fargle")["fargle-worker-3"]


# What is refused, and what has its own word.


def test_the_last_control_plane_is_refused(cloud: RunningSandbox) -> None:
    found = scene(cloud, "delete_node.yml", cluster="fargle2", nodes="fargle2-controlplane-1")
    assert found.run.code != 0
    assert "allow_last_control_plane" in found.run.message
    assert cloud.control.mutating() == []
    assert found.changed == set()


def test_kubernetes_skip_deletes_without_draining(cloud: RunningSandbox) -> None:
    """For a cluster whose API is gone for good: nothing is asked of Kubernetes at all."""
    found = scene(cloud, "delete_node.yml", cluster="fargle", nodes="fargle-worker-10", kubernetes="skip")
    succeed(found.run)
    assert [call for call in cloud.control.calls() if call["service"] == "kubernetes" and call["detail"].get("client") != "controller"] == []
    left = traces(found.before, found.after, "fargle-worker-10")
    assert [word.split()[0] for word in left] == ["Node"]
    assert {"fargle-worker-1"} <= rest(found.after).keys()


def test_dead_nodes_go_by_force_and_a_healthy_one_does_not_go_beside_a_sick_one(cloud: RunningSandbox) -> None:
    before = cloud.control.world()
    dead = ("fargle-controlplane-3", "fargle-worker-2")
    client = ec2(cloud)
    ids = [worldview.nodes(before, "fargle")[name].instance_id for name in dead]
    client.stop_instances(InstanceIds=ids)
    client.get_waiter("instance_stopped").wait(InstanceIds=ids, WaiterConfig={"Delay": 1})

    cloud.control.forget_calls()
    refused = scene(cloud, "delete_node.yml", cluster="fargle", nodes=list(dead))
    assert refused.run.code != 0
    assert refused.run.message.count("unreachable=force") >= 2
    beside = scene(cloud, "delete_node.yml", cluster="fargle", nodes="fargle-controlplane-1", unreachable="force")
    assert beside.run.code != 0
    assert "only 1 of 2 voters would be healthy, 2 are needed" in beside.run.message
    assert cloud.control.mutating() == []

    succeed(scene(cloud, "delete_node.yml", cluster="fargle", nodes=list(dead), unreachable="force").run)
    after = cloud.control.world()
    assert [trace for name in dead for trace in traces(before, after, name)] == []
    assert members(after, "fargle") == ["fargle-controlplane-1", "fargle-controlplane-2"]


def test_B8_the_last_control_plane_goes_by_its_word_and_is_not_drained_through_itself(cloud: RunningSandbox) -> None:
    found = scene(cloud, "delete_node.yml", cluster="fargle2", nodes="fargle2-controlplane-1", allow_last_control_plane="true")
    succeed(found.run)
    assert "fargle2-controlplane-1" not in worldview.nodes(found.after, "fargle2")
    calls = [call for call in cloud.control.calls() if call["detail"].get("client") != "controller"]
    left = next(number for number, call in enumerate(calls) if call["operation"] == "DeregisterTargets")
    assert [call["operation"] for call in calls[left:] if call["service"] == "kubernetes"] == []
    assert [record for record in worldview.records(found.after) if record["name"].startswith("fargle2-controlplane-1.")] == []


def test_a_cluster_without_its_control_planes_is_taken_away(cloud: RunningSandbox) -> None:
    """A run that was killed when they had gone is finished: nobody can be asked any more, and the same word says that this is right."""
    found = ec2(cloud)
    machine = worldview.nodes(cloud.control.world(), "fargle2")["fargle2-controlplane-1"].instance_id
    found.terminate_instances(InstanceIds=[machine])
    found.get_waiter("instance_terminated").wait(InstanceIds=[machine], WaiterConfig={"Delay": 1})
    cloud.control.forget_calls()
    words: dict[str, t.Any] = {"cluster": "fargle2", "nodes": ["fargle2-worker-1", "fargle2-controlplane-1"]}
    assert play(cloud.env, "delete_node.yml", **words).code != 0
    assert cloud.control.mutating() == []
    succeed(play(cloud.env, "delete_node.yml", allow_last_control_plane=True, **words))
    world = cloud.control.world()
    assert worldview.nodes(world, "fargle2") == {}
    assert [record["name"] for record in worldview.records(world) if record["name"].startswith("fargle2-")] == []
    assert succeed(play(cloud.env, "delete_node.yml", allow_last_control_plane=True, **words)).changed == 0


def test_a_use_of_the_role_tells_of_itself_alone(cloud: RunningSandbox, tmp_path: Path) -> None:
    """The role twice in one run: the second time deletes nothing, since it is refused."""
    planes = [name for name, node in worldview.nodes(cloud.control.world(), "fargle").items() if node.role == "controlplane"]
    tasks = [
        {"ansible.builtin.import_role": {"name": "k8s_cluster.manager.delete_node"}, "vars": {"delete_node_nodes": nodes, "delete_node_traffic_floor": 1}}
        for nodes in (["fargle-worker-2"], planes)
    ]
    (tmp_path / "twice.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    env = {**cloud.env, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections"), "ANSIBLE_SHOW_CUSTOM_STATS": "true"}
    run = play(env, str(tmp_path / "twice.yml"), cluster_name="fargle")
    assert "would leave fargle without any control plane" in run.message
    assert [task["msg"] for task in run.tasks if task["task"].endswith("Show what became of the nodes") and task["msg"]] == [{"fargle-worker-2": "deleted"}]
    assert stats(run)["deleted"] == []
    assert stats(run)["changes"] == []
