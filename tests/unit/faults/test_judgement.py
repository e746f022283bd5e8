# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the matrix of faults takes for the same, and what it does not."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest

from tests.faults.alike import Expected, Verdict
from tests.faults.cases import Report, matches
from tests.faults.modules import places

World = dict[str, t.Any]
Change = t.Callable[[World], t.Any]


def instance(name: str, address: str, **more: t.Any) -> dict[str, t.Any]:
    letter = {"fargle-controlplane-1": "a", "fargle-worker-1": "b"}.get(name, "c")
    return {
        "state": "running",
        "zone": "eu-central-1a",
        "client_token": f"launch-of-{name}",
        "private_ip": address,
        "public_ip": None,
        "volumes": [f"vol-{letter * 17}"],
        "interfaces": [f"eni-{letter * 17}"],
        "tags": {"Cluster": "fargle", "Name": name},
        **more,
    }


def node(name: str, number: int, **spec: t.Any) -> dict[str, t.Any]:
    metadata = {"name": name, "uid": f"{number:08d}-0000-4000-8000-000000000000", "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "7"}
    return {"metadata": metadata, "spec": spec, "status": {"nodeInfo": {"machineID": f"{number:032d}"}}}


def pod(name: str, where: str, owner: str = "ReplicaSet") -> dict[str, t.Any]:
    metadata = {"namespace": "shop", "name": name, "uid": f"uid-{name}", "ownerReferences": [{"kind": owner, "name": "web"}]}
    return {"metadata": metadata, "spec": {"nodeName": where}, "status": {"phase": "Running", "podIP": "10.0.0.1"}}


def lease(holder: str) -> dict[str, t.Any]:
    metadata = {"namespace": "kube-system", "name": "k8s-cluster-manager", "uid": "lease"}
    return {"metadata": metadata, "spec": {"holderIdentity": holder, "renewTime": "2026-01-01T00:00:00.000000Z", "leaseTransitions": 1}}


def record(number: int, name: str, content: str) -> dict[str, t.Any]:
    comment = f"k8s_cluster.manager cluster=fargle node={name}"
    return {"id": f"{number:032d}", "type": "A", "name": f"{name}.k8s.example.com", "content": content, "comment": comment}


def a_world() -> World:
    """A control plane and a worker, with all that belongs to them."""
    ids = {"i-aaaaaaaaaaaaaaaaa": instance("fargle-controlplane-1", "127.1.10.1"), "i-bbbbbbbbbbbbbbbbb": instance("fargle-worker-1", "127.1.10.2")}
    primary = {"description": "Primary network interface", "subnet": "subnet-1"}
    aws = {
        "instances": ids,
        "volumes": {vm["volumes"][0]: {"size": 80, "instance": identity} for identity, vm in ids.items()},
        "interfaces": {vm["interfaces"][0]: {**primary, "private_ip": vm["private_ip"], "instance": identity} for identity, vm in ids.items()},
        "security_groups": {},
        "load_balancers": {},
        "target_groups": {"arn:aws:targetgroup/web/0123456789abcdef": {"name": "web", "targets": {"i-bbbbbbbbbbbbbbbbb:80": {"State": "healthy"}}}},
    }
    objects = {
        "nodes": [node("fargle-controlplane-1", 1), node("fargle-worker-1", 2)],
        "pods": [pod("web-1a", "fargle-worker-1"), pod("web-2b", "fargle-controlplane-1"), pod("proxy-3c", "fargle-worker-1", "DaemonSet")],
        "leases": [lease("")],
        "volumeattachments": [],
    }
    member = {"id": "0000000000000001", "instance_id": "i-aaaaaaaaaaaaaaaaa", "name": "fargle-controlplane-1", "address": "127.1.10.1", "learner": False}
    return {
        "snapshot": "world-1",
        "aws": {"regions": {"eu-central-1": aws}},
        "talos": {
            "nodes": [{"instance_id": "i-bbbbbbbbbbbbbbbbb", "boot": "b007b007-0000-4000-8000-000000000000"}],
            "etcd": [{"ca": "c" * 64, "leader": "0000000000000001", "members": [member]}],
        },
        "kubernetes": {"fargle": {"objects": objects, "kubelets": {}, "bindings": []}},
        "cloudflare": {"example.com": {"records": [record(1, "fargle-worker-1", "127.1.10.2")]}},
    }


def aws_of(world: World) -> World:
    return t.cast("World", world["aws"]["regions"]["eu-central-1"])


def objects_of(world: World, kind: str) -> list[World]:
    return t.cast("list[World]", world["kubernetes"]["fargle"]["objects"][kind])


def judged(change: Change) -> Verdict:
    """The verdict on the world with a change."""
    world = a_world()
    change(world)
    return Expected(a_world()).judge(world)


def renamed(world: World) -> None:
    """Another run's ids, address and times for the same worker."""
    text = (
        json.dumps(world)
        .replace("b" * 17, "d" * 17)
        .replace("127.1.10.2", "127.1.10.9")
        .replace("2026-01-01T00", "2026-02-02T11")
        .replace("web-1a", "web-9z")
        .replace("b007", "b008")
    )
    world.clear()
    world.update(json.loads(text))


def test_other_ids_addresses_and_times_are_the_same_world() -> None:
    assert judged(lambda world: None).good
    assert judged(renamed).good


HARMLESS: dict[str, Change] = {
    "a pod that was evicted twice": lambda world: objects_of(world, "pods")[0]["metadata"].update(name="web-5e", uid="another"),
    "a pod that went elsewhere": lambda world: objects_of(world, "pods")[0]["spec"].update(nodeName="fargle-controlplane-1"),
    "a lease that changed hands": lambda world: objects_of(world, "leases")[0]["spec"].update(leaseTransitions=9),
    "a counter": lambda world: objects_of(world, "nodes")[0]["metadata"].update(resourceVersion="99"),
}


@pytest.mark.parametrize("what", HARMLESS)
def test_what_is_chance_is_no_difference(what: str) -> None:
    assert judged(HARMLESS[what]).good


def crossed(world: World) -> None:
    """The record points to the other VM, whose address exists, too."""
    world["cloudflare"]["example.com"]["records"][0]["content"] = "127.1.10.1"


DIFFERENT: dict[str, Change] = {
    "a tag": lambda world: aws_of(world)["instances"]["i-bbbbbbbbbbbbbbbbb"]["tags"].update(unfinished="true"),
    "a tag that is lost": lambda world: aws_of(world)["volumes"]["vol-" + "b" * 17].update(size=40),
    "a record of another VM's address": crossed,
    "a record that is lost": lambda world: world["cloudflare"]["example.com"]["records"].clear(),
    "a record twice": lambda world: world["cloudflare"]["example.com"]["records"].append(record(2, "fargle-worker-1", "127.1.10.2")),
    "a target of the other VM": lambda world: aws_of(world)["target_groups"].update(
        {"arn:aws:targetgroup/web/0123456789abcdef": {"name": "web", "targets": {"i-aaaaaaaaaaaaaaaaa:80": {"State": "healthy"}}}}
    ),
    "a target that drains": lambda world: next(iter(aws_of(world)["target_groups"].values()))["targets"]["i-bbbbbbbbbbbbbbbbb:80"].update(State="draining"),
    "a lease that is kept": lambda world: objects_of(world, "leases")[0]["spec"].update(holderIdentity="create fargle-worker-1"),
    "a pod that is lost": lambda world: objects_of(world, "pods").pop(0),
    "a pod too many": lambda world: objects_of(world, "pods").append(pod("web-7g", "fargle-worker-1")),
    "a daemon that is elsewhere": lambda world: objects_of(world, "pods")[2]["spec"].update(nodeName="fargle-controlplane-1"),
    "a node that is cordoned": lambda world: objects_of(world, "nodes")[1]["spec"].update(unschedulable=True),
    "a learner": lambda world: world["talos"]["etcd"][0]["members"][0].update(learner=True),
    "a VM in another zone": lambda world: aws_of(world)["instances"]["i-bbbbbbbbbbbbbbbbb"].update(zone="eu-central-1b"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_a_user_would_care_about_is_a_difference(what: str) -> None:
    verdict = judged(DIFFERENT[what])
    assert verdict.differences
    assert not verdict.good


def test_a_pod_on_a_cordoned_node_is_where_it_is() -> None:
    """What a drain left is not the same as what went to a node that takes it."""
    before = a_world()
    objects_of(before, "nodes")[1]["spec"]["unschedulable"] = True
    after = copy.deepcopy(before)
    objects_of(after, "pods")[0]["spec"]["nodeName"] = "fargle-controlplane-1"
    assert Expected(before).judge(after).differences


def second(**more: t.Any) -> Change:
    """Another VM, with nothing else of its own."""
    vm = {**instance("fargle-worker-1", "127.1.10.3"), "volumes": [], "interfaces": [], **more}
    return lambda world: aws_of(world)["instances"].update({"i-" + "e" * 17: vm})


def test_a_twin_is_noticed_by_its_name_or_its_launch() -> None:
    assert judged(second(client_token="")).twins == ["fargle/fargle-worker-1"]
    assert judged(second(tags={"Cluster": "fargle", "Name": "fargle-worker-2"})).twins == ["launch launch-of-fargle-worker-1 in eu-central-1a"]
    assert judged(second(state="terminated")).twins == []


def gone(world: World) -> None:
    """The worker's VM is terminated, and nothing else of it is."""
    aws_of(world)["instances"]["i-bbbbbbbbbbbbbbbbb"]["state"] = "terminated"


def test_orphans_are_noticed() -> None:
    expected = ["Node fargle/fargle-worker-1", "interface Primary network interface", "record fargle-worker-1.k8s.example.com", "target in web port 80"]
    assert judged(gone).orphans == [*expected, "volume of 80 GB"]
    assert judged(lambda world: aws_of(world)["instances"]["i-aaaaaaaaaaaaaaaaa"].update(state="terminated")).orphans[-2:] == [
        "member fargle-controlplane-1",
        "volume of 80 GB",
    ]
    assert judged(second(tags={}, client_token="lost")).orphans == ["VM without cluster or name, launch lost"]


def test_an_orphan_of_the_undisturbed_run_is_none() -> None:
    world = a_world()
    gone(world)
    assert Expected(world).judge(world).good


def test_a_report_says_what_is_wrong_and_counts_it() -> None:
    report = Report("a case")
    report.judge(judged(second(tags={}, client_token="")))
    assert (report.twins, report.orphans) == (0, 1)
    assert report.why[0] == "orphan: VM without cluster or name, launch "
    assert any(line.startswith("+ /aws/regions/eu-central-1/instances/") for line in report.why)


def call(operation: str, **detail: t.Any) -> dict[str, t.Any]:
    return {"service": "ec2", "operation": operation, "detail": detail}


def test_a_poll_counts_once() -> None:
    launches = [call("RunInstances", name=number) for number in range(4)]
    polls = [call("DescribeInstances", name=0), call("DescribeInstances", name=0), call("DescribeInstances", name=1)]
    found = places([*launches, *polls, call("DeleteTags")])
    assert found == {"ec2.RunInstances": {"first": 1, "middle": 2, "last": 4}, "ec2.DescribeInstances": {"first": 1}, "ec2.DeleteTags": {"first": 1}}


@pytest.mark.parametrize(
    ("only", "asked"),
    [
        ("", True),
        ("create", False),
        ("create-workers", True),
        ("*/ec2_node.present", True),
        ("create-workers/ec2_node", False),
        ("create-*/*/ec2.*", True),
        ("create-workers/*/*/*/*/*", False),
    ],
)
def test_cases_are_asked_for_by_the_parts_of_their_names(only: str, asked: bool) -> None:
    assert matches("create-workers/ec2_node.present/ec2.RunInstances/first/error", only) is asked
