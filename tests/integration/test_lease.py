# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs at the same time: of one node they make one VM, and of control planes they never take more than etcd can spare.

How often each meeting is repeated: a few times, and BARRIERS times where that is set (make barriers: 20, as whole playbooks, too).
"""

from __future__ import annotations

import functools
import json
import os
import time
import typing as t

import pytest
import yaml
from kubernetes import client
from kubernetes.config import new_client_from_config_dict

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .forked import SECONDS, run, together, until
from .kills import killed_after
from .playbooks import ELSEWHERE, Run, play, started, succeed
from .scenes import World, secret

pytestmark = pytest.mark.slow

MODULES = int(os.environ.get("BARRIERS", "3"))
PLAYBOOKS = int(os.environ.get("BARRIERS", "1"))
NAME, NAMESPACE = "k8s-cluster-manager", "kube-system"
BOB = "delete_node fargle-controlplane-2 bob@elsewhere"


def kubeconfig(world: World) -> str:
    return str(secret(world, "cluster-fargle-kubeconfig")["kubeconfig"])


def talosconfig(world: World) -> str:
    return str(secret(world, "cluster-fargle-talosconfig")["talosconfig"])


def leases(world: World) -> list[dict[str, t.Any]]:
    """The leases of fargle's kube-system."""
    return [lease for lease in world["kubernetes"]["fargle"]["objects"]["leases"] if lease["metadata"]["namespace"] == NAMESPACE]


def lease_calls(cloud: RunningSandbox) -> list[str]:
    return [call["operation"] for call in cloud.control.calls() if call["operation"].endswith("_leases")]


def voters(world: World) -> list[str]:
    """The names of fargle's voting etcd members."""
    return sorted(member["name"] for member in worldview.members(world) if member["name"].startswith("fargle-") and not member["learner"])


def somebody_holds_it(world: World, holder: str = BOB) -> None:
    """As another operator's run does."""
    api = client.CoordinationV1Api(new_client_from_config_dict(yaml.safe_load(kubeconfig(world))))
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 60, "acquireTime": now, "renewTime": now}
    found = {lease.metadata.name: lease for lease in api.list_namespaced_lease(NAMESPACE).items}
    if NAME in found:
        metadata = {"name": NAME, "resourceVersion": found[NAME].metadata.resource_version}
        api.replace_namespaced_lease(NAME, NAMESPACE, {"metadata": metadata, "spec": spec})
    else:
        api.create_namespaced_lease(NAMESPACE, {"metadata": {"name": NAME}, "spec": spec})


# The lease and the playbooks


def test_a_worker_pays_nothing(cloud: RunningSandbox) -> None:
    succeed(play(cloud.env, "create_node.yml", cluster="fargle", nodes="fargle-worker-20"))
    assert lease_calls(cloud) == []


def test_control_planes_take_it_and_give_it_back(cloud: RunningSandbox) -> None:
    words = {"cluster": "fargle", "role": "controlplane", "nodes": "fargle-controlplane-4"}
    succeed(play(cloud.env, "create_node.yml", **words))
    calls = lease_calls(cloud)
    # Taken before anything changes, renewed by each module that may wait, given back in the end.
    assert (calls[:2], calls[-1]) == (["get_leases", "create_leases"], "delete_leases")
    assert calls.count("update_leases") >= 4
    mutating = cloud.control.mutating()
    assert (mutating[0], mutating[-1]) == ("kubernetes.create_leases", "kubernetes.delete_leases")
    again = succeed(play(cloud.env, "create_node.yml", **words))
    assert again.changed == 0
    cloud.control.forget_calls()
    succeed(play(cloud.env, "delete_node.yml", cluster="fargle", nodes="fargle-controlplane-4"))
    mutating = cloud.control.mutating()
    assert (mutating[0], mutating[-1]) == ("kubernetes.create_leases", "kubernetes.delete_leases")
    assert leases(cloud.control.world()) == []


def test_modules_that_are_shipped_keep_it_too_and_need_no_kubeconfig(cloud: RunningSandbox) -> None:
    """As on a bastion; a control plane makes the kubeconfig."""
    words = {"ansible_python_interpreter": ELSEWHERE, "kubernetes": "talos"}
    succeed(play(cloud.env, "delete_node.yml", cluster="fargle", nodes="fargle-controlplane-1", **words))
    calls = lease_calls(cloud)
    assert (calls[:2], calls[-1]) == (["get_leases", "create_leases"], "delete_leases")
    assert calls.count("update_leases") >= 4


def test_F4_a_wait_that_is_too_long_names_the_holder_and_has_changed_nothing(cloud: RunningSandbox) -> None:
    before = cloud.control.world()
    somebody_holds_it(before)
    cloud.control.forget_calls()
    words: dict[str, t.Any] = {"cluster": "fargle", "nodes": "fargle-controlplane-1", "delete_node_wait_timeout": 3}
    checked = succeed(play(cloud.env, "delete_node.yml", "--check", **words))
    assert f"{BOB} holds it since" in checked.output
    failed = play(cloud.env, "delete_node.yml", **words)
    assert failed.code != 0
    assert f"lease/kube-system/k8s-cluster-manager was not free within 3 s. Control planes are added and removed by one run at a time: {BOB} holds it" in (
        failed.message
    )
    assert cloud.control.mutating() == []
    assert leases(cloud.control.world())[0]["spec"]["holderIdentity"] == BOB


def test_a_killed_run_is_taken_over_at_once_by_the_same_command(cloud: RunningSandbox) -> None:
    words = {"cluster": "fargle", "nodes": "fargle-controlplane-1"}
    assert killed_after(cloud, "delete_node.yml", 1, "talos", "EtcdLeaveCluster", **words)
    holder = leases(cloud.control.world())[0]["spec"]["holderIdentity"]
    assert holder.startswith("delete_node fargle-controlplane-1 ")
    cloud.control.forget_calls()
    succeed(play(cloud.env, "delete_node.yml", **words))
    assert lease_calls(cloud)[:2] == ["get_leases", "update_leases"]
    assert leases(cloud.control.world()) == []


def test_a_run_killed_at_its_very_end_leaves_nothing_that_the_same_command_does_not_take_away(cloud: RunningSandbox) -> None:
    words = {"cluster": "fargle", "nodes": "fargle-controlplane-1"}
    assert killed_after(cloud, "delete_node.yml", 1, "ec2", "TerminateInstances", **words)
    assert leases(cloud.control.world())[0]["spec"]["holderIdentity"].startswith("delete_node fargle-controlplane-1 ")
    until(lambda: "fargle-controlplane-1" not in worldview.nodes(cloud.control.world(), "fargle"), "the VM does not end")
    assert succeed(play(cloud.env, "delete_node.yml", **words)).changed == 0
    assert leases(cloud.control.world()) == []
    somebody_holds_it(cloud.control.world())
    succeed(play(cloud.env, "delete_node.yml", **words))
    assert leases(cloud.control.world())[0]["spec"]["holderIdentity"] == BOB


def test_a_failed_run_gives_it_back(cloud: RunningSandbox) -> None:
    cloud.control.conditions(denied=["TerminateInstances"])
    assert play(cloud.env, "delete_node.yml", cluster="fargle", nodes="fargle-controlplane-1").code != 0
    assert lease_calls(cloud)[-1] == "delete_leases"


def test_a_run_whose_lease_was_taken_over_stops_before_it_takes_a_member_away(cloud: RunningSandbox) -> None:
    """It was away for longer than its lease lasts: here, held up while it takes the node out of the load balancers."""
    before = cloud.control.world()
    cloud.control.fault("hold", "elbv2", "DeregisterTargets")
    with started(cloud.env, "delete_node.yml", cluster="fargle", nodes="fargle-controlplane-1") as process:
        until(cloud.control.waiting, "it does not come to the load balancers")
        somebody_holds_it(before)
        cloud.control.clear_faults()
        output = process.communicate(timeout=SECONDS)[0]
    assert process.returncode != 0
    assert f"lease/kube-system/k8s-cluster-manager was lost: {BOB} took it over" in output
    world = cloud.control.world()
    assert voters(world) == voters(before)
    assert worldview.nodes(world, "fargle")["fargle-controlplane-1"].state == "running"
    assert leases(world)[0]["spec"]["holderIdentity"] == BOB, "what another run holds is not given back"


# Two create_node of the same name meet just before launch


def launched(world: World, name: str) -> int:
    """VMs of a name, whatever became of them."""
    return sum(vm["tags"].get("Name") == name for vm in worldview.region(world)["instances"].values())


def launch(cloud: RunningSandbox, world: World, name: str) -> dict[str, t.Any]:
    """ec2_node as create_node calls it."""
    config = yaml.safe_load(json.dumps(secret(world, "cluster-fargle-node-worker")))
    groups = [key for key, group in worldview.region(world)["security_groups"].items() if group["name"] == "fargle-node"]
    made_of = {"image_id": config["image_id"], "instance_type": config["instance_type"], "subnet_id": config["subnet_id"], "security_group_ids": groups}
    return run(cloud.env, "ec2_node", cluster="fargle", role="worker", nodes=[{"name": name}], **made_of)


def test_F5_two_launches_of_one_name_that_meet_make_one_vm(cloud: RunningSandbox) -> None:
    world = cloud.control.world()
    for number in range(MODULES):
        name = f"fargle-worker-{100 + number}"
        cloud.control.fault("hold", "ec2", "RunInstances", parties=2)
        results = [future.result() for future in together(*[functools.partial(launch, cloud, world, name)] * 2)]
        (fault,) = cloud.control.faults()
        cloud.control.clear_faults()
        assert fault["hits"] >= 2, "they did not meet"
        assert [result.get("failed", False) for result in results] == [False, False], results
        (one, other) = (result["nodes"][0]["instance_id"] for result in results)
        assert one == other
        assert launched(cloud.control.world(), name) == 1


@pytest.mark.parametrize("number", range(PLAYBOOKS))
def test_F5_two_runs_for_one_name_that_meet_make_one_vm(cloud: RunningSandbox, number: int) -> None:
    cloud.control.fault("hold", "ec2", "RunInstances", parties=2)
    create = functools.partial(play, cloud.env, "create_node.yml", cluster="fargle", nodes="fargle-worker-20")
    runs: list[Run] = [future.result() for future in together(create, create)]
    assert cloud.control.faults()[0]["hits"] >= 2, "they did not meet"
    for one in runs:
        succeed(one)
    world = cloud.control.world()
    assert launched(world, "fargle-worker-20") == 1
    assert worldview.nodes(world, "fargle")["fargle-worker-20"].ready


# Two delete_node of different control planes of three meet just before they leave


def remove(cloud: RunningSandbox, world: World, name: str, leased: bool) -> dict[str, t.Any]:
    """What delete_node does to take a control plane out of etcd, without the lease if that is wanted."""
    where = {"kubeconfig": kubeconfig(world), "operation": "delete_node", "nodes": [name]}
    addresses = {plane: node.address for plane, node in worldview.nodes(world, "fargle").items() if node.role == "controlplane"}
    stay = [address for plane, address in addresses.items() if plane != name]
    member: dict[str, t.Any] = {"talosconfig": talosconfig(world), "endpoints": stay, "nodes": [{"name": name, "address": addresses[name]}]}
    if not leased:
        return run(cloud.env, "talos_etcd_member", **member)
    taken = run(cloud.env, "k8s_lease", **where)
    kept = json.dumps({**{key: taken[key] for key in ("holder", "acquired")}, "kubeconfig": kubeconfig(world)})
    result = run(cloud.env, "talos_etcd_member", **member, lease=kept)
    back = run(cloud.env, "k8s_lease", **where, acquired=taken["acquired"], state="absent")
    assert back["changed"]
    return result


def met(cloud: RunningSandbox) -> int:
    """How many stand just before they leave, once one does and the other has shown that it waits for the lease, or stands there, too."""

    def settled() -> bool:
        standing = len(cloud.control.waiting())
        return standing > 1 or (standing == 1 and lease_calls(cloud).count("get_leases") > seen + 1)

    until(lambda: cloud.control.waiting(), "nobody comes to leave")
    seen = lease_calls(cloud).count("get_leases")
    until(settled, "the other one neither waits nor comes")
    return len(cloud.control.waiting())


def test_F4_without_the_lease_both_would_leave(cloud: RunningSandbox) -> None:
    """The control run: each sees three healthy members, and one is left of them."""
    world = cloud.control.world()
    cloud.control.fault("hold", "talos", "EtcdLeaveCluster")
    runs = []
    # The second comes when the first stands before its leave: a leader that gives up its office is a moment in which neither may go.
    for number in (1, 2):
        runs += together(functools.partial(remove, cloud, world, f"fargle-controlplane-{number}", leased=False))
        until(lambda count=number: len(cloud.control.waiting()) == count, "they do not meet")
    cloud.control.clear_faults()
    assert [future.result().get("failed", False) for future in runs] == [False, False]
    assert voters(cloud.control.world()) == ["fargle-controlplane-3"]


def test_F4_of_two_that_meet_before_they_leave_one_leaves(cloud: RunningSandbox) -> None:
    world = cloud.control.world()
    for _number in range(MODULES):
        cloud.control.reset()
        cloud.control.fault("hold", "kubernetes", "create_leases", parties=2)
        cloud.control.fault("hold", "talos", "EtcdLeaveCluster")
        runs = together(*[functools.partial(remove, cloud, world, f"fargle-controlplane-{number}", leased=True) for number in (1, 2)])
        assert met(cloud) == 1
        cloud.control.clear_faults()
        results = [future.result() for future in runs]
        assert sorted(result.get("failed", False) for result in results) == [False, True], results
        refused = next(result["msg"] for result in results if result.get("failed"))
        assert "a single control plane would be left" in refused
        assert len(voters(cloud.control.world())) == 2


@pytest.mark.parametrize("number", range(PLAYBOOKS))
def test_F4_of_two_runs_that_meet_before_they_leave_one_leaves(cloud: RunningSandbox, number: int) -> None:
    before = cloud.control.world()
    cloud.control.fault("hold", "kubernetes", "create_leases", parties=2)
    cloud.control.fault("hold", "talos", "EtcdLeaveCluster")
    delete = [functools.partial(play, cloud.env, "delete_node.yml", cluster="fargle", nodes=f"fargle-controlplane-{plane}") for plane in (1, 2)]
    runs = together(*delete)
    assert met(cloud) == 1
    cloud.control.clear_faults()
    ended = {f"fargle-controlplane-{plane}": future.result() for plane, future in zip((1, 2), runs, strict=True)}
    assert sorted(one.code == 0 for one in ended.values()) == [False, True], [one.output for one in ended.values()]
    (stays,) = (name for name, one in ended.items() if one.code)
    assert "a single control plane would be left" in ended[stays].message
    after = cloud.control.world()
    assert len(voters(after)) == 2
    # Nothing of the refused one was touched: not even its targets.
    assert worldview.nodes(after, "fargle")[stays] == worldview.nodes(before, "fargle")[stays]
