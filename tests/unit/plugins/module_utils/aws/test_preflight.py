# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a preflight finds, and the names and tags by which nodes are found: pure functions."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws import preflight
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Clients
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.launch import node_tags, ordered_subnets
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.names import launch_token, token_generation, token_prefix
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.options import NodeOptions, RootVolume

from tests.unit.plugins.module_utils.aws.exchange import Exchange

IMAGE: dict[str, t.Any] = {
    "ImageId": "ami-1",
    "State": "available",
    "RootDeviceType": "ebs",
    "RootDeviceName": "/dev/xvda",
    "Architecture": "arm64",
    "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10}}, {"DeviceName": "/dev/xvdb", "Ebs": {"VolumeSize": 500}}],
}


def options(**changes: t.Any) -> NodeOptions:
    base: dict[str, t.Any] = {"image_id": "ami-1", "instance_type": "m5.large", "subnet_ids": ("subnet-a", "subnet-b"), "security_group_ids": ("sg-1",)}
    return NodeOptions("fargle", "present", (), role="worker", **{**base, **changes})


def test_launch_tokens_differ_by_everything_that_makes_a_launch_another_one() -> None:
    tokens = {
        launch_token(cluster, name, subnet, generation)
        for cluster, name, subnet, generation in itertools.product(("fargle", "fargle2"), ("a", "b"), ("subnet-a", "subnet-b"), (0, 1, 15))
    }
    assert len(tokens) == 24
    assert max(map(len, tokens)) <= 64
    assert all(token.isascii() for token in tokens)
    assert launch_token("fargle", "a", "subnet-a", 15).startswith(token_prefix("fargle", "a"))
    assert token_prefix("ab", "c") != token_prefix("a", "bc")


def test_launch_token_is_the_same_in_every_release() -> None:
    """A changed token would give every node whose launch was cut short a twin when the collection is updated in between."""
    assert launch_token("fargle", "fargle-worker-1", "subnet-a", 3) == "20e601d370f27088966f2879a4ee5717e08a5f7f-56bdf0204ff9-3"


@pytest.mark.parametrize(("token", "generation"), [("x-y-12", 12), ("", 0), ("0b5f3e1a-4c1e", 0), ("terraform-20260101", 20260101)])
def test_generation_of_a_token(token: str, generation: int) -> None:
    assert token_generation(token) == generation


def test_user_tags_never_replace_those_of_identity() -> None:
    tags = node_tags(options(tags={"Name": "other", "Cluster": "other", "team": "blue"}), "n", 2)
    assert tags["instance"]["Name"] == tags["volume"]["Name"] == "n"
    assert tags["instance"]["Cluster"] == "fargle"
    assert tags["network-interface"]["team"] == "blue"


@pytest.mark.parametrize(("name", "first"), [("worker-1", "a"), ("worker-2", "b"), ("worker-3", "c"), ("worker-4", "a"), ("worker", "a"), ("worker-0", "c")])
def test_nodes_are_spread_over_the_subnets_by_number(name: str, first: str) -> None:
    order = ordered_subnets(name, ["a", "b", "c"])
    assert order[0] == first
    assert sorted(order) == ["a", "b", "c"]


IMAGES = [
    ({}, {}, ""),
    ({"State": "pending"}, {}, "image_id: ami-1 is pending, not available"),
    ({"RootDeviceType": "instance-store"}, {}, "image_id: ami-1 has an instance-store root"),
    ({}, {"device_name": "/dev/sda1"}, "root_volume.device_name: /dev/sda1 is not the root device of ami-1, use /dev/xvda"),
    ({}, {"device_name": "/dev/xvda"}, ""),
    ({}, {"size_gb": 9}, "root_volume.size_gb: 9 is smaller than the image's 10"),
    ({}, {"size_gb": 10}, ""),
]


@pytest.mark.parametrize(("image", "volume", "problem"), IMAGES)
def test_image(image: dict[str, t.Any], volume: dict[str, t.Any], problem: str) -> None:
    found = preflight.image_problems({**IMAGE, **image}, options(root_volume=RootVolume(**volume)))
    assert [text[: len(problem)] for text in found] == ([problem] if problem else [])


VOLUMES: list[tuple[dict[str, t.Any], str]] = [
    ({"type": "gp3", "size_gb": 100, "iops": 4000, "throughput": 1000}, ""),
    ({"type": "st1"}, "root_volume.type"),
    ({"type": "gp2", "size_gb": 20000}, "root_volume.size_gb"),
    ({"type": "gp2", "iops": 3000}, "root_volume.iops: cannot"),
    ({"type": "io2", "size_gb": 100}, "root_volume.iops: is needed"),
    ({"type": "io1", "size_gb": 10, "iops": 600}, "root_volume.iops: 600 is more than 50 per GiB"),
    ({"type": "gp3", "size_gb": 4, "iops": 3000}, ""),
    ({"type": "gp3", "iops": 100}, "root_volume.iops: 100 is not within"),
    ({"type": "io2", "iops": 200, "throughput": 200}, "root_volume.throughput: cannot"),
    ({"type": "gp3", "throughput": 100}, "root_volume.throughput: 100 is not within"),
    ({"type": "gp3", "throughput": 1000}, "root_volume.throughput: 1000 MiB/s needs at least 4000 iops"),
]


@pytest.mark.parametrize(("volume", "problem"), VOLUMES)
def test_volume(volume: dict[str, t.Any], problem: str) -> None:
    found = preflight.volume_problems(RootVolume(**volume))
    assert [text[: len(problem)] for text in found] == ([problem] if problem else [])


def test_instance_type_must_run_the_image() -> None:
    intel = {"InstanceType": "m5.large", "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]}}
    assert preflight.type_problems(intel, IMAGE, options()) == ["instance_type: m5.large is x86_64, but ami-1 is arm64"]
    assert preflight.type_problems(intel, {**IMAGE, "Architecture": "x86_64"}, options()) == []
    assert preflight.type_problems(None, IMAGE, options()) == ["instance_type: m5.large does not exist in this region"]


def subnet(letter: str, **more: t.Any) -> dict[str, t.Any]:
    return {"SubnetId": f"subnet-{letter}", "VpcId": "vpc-1", "AvailabilityZone": f"z{letter}", "AvailableIpAddressCount": 5, **more}


def subnets(*found: dict[str, t.Any], zones: set[str] | None = None, count: int = 1) -> preflight.Findings:
    return preflight.subnet_findings(list(found), zones, count, options())


def test_subnets_that_do_not_exist_or_are_in_different_vpcs() -> None:
    assert subnets(subnet("a")).problems == ["subnet_id: subnet-b does not exist in this region"]
    assert subnets(subnet("a"), subnet("b", VpcId="vpc-2")).problems == ["subnet_id: the subnets are in different VPCs (vpc-1, vpc-2)"]


def test_subnet_in_whose_zone_the_type_is_not_offered_is_left_out() -> None:
    partly = subnets(subnet("a"), subnet("b"), zones={"za"})
    assert (partly.subnets, partly.problems) == (["subnet-a"], [])
    assert partly.warnings == ["subnet_id: m5.large is not offered in the zone of subnet-b (zb)"]
    nowhere = subnets(subnet("a"), subnet("b"), zones=set())
    assert nowhere.problems == ["subnet_id: m5.large is not offered in the zone of subnet-a (za), subnet-b (zb)"]


def test_free_addresses_must_suffice_for_all_nodes() -> None:
    assert subnets(subnet("a"), subnet("b"), count=10).problems == []
    assert subnets(subnet("a"), subnet("b"), count=11).problems == ["subnet_id: 10 free addresses in subnet-a, subnet-b, 11 nodes to launch"]


def test_security_groups_must_be_in_the_subnets_vpc() -> None:
    found = [{"GroupId": "sg-1", "VpcId": "vpc-2"}]
    assert preflight.group_problems(found, {"vpc-1"}, options()) == ["security_group_ids: sg-1 is in vpc-2, the subnets are in vpc-1"]
    assert preflight.group_problems(found, {"vpc-2"}, options()) == []


def test_more_security_groups_than_an_interface_takes() -> None:
    six = tuple(f"sg-{number}" for number in range(6))
    assert options(security_group_ids=six).problems() == ["security_group_ids: 6 groups, an interface takes 5"]
    assert options(security_group_ids=six[:5]).problems() == []


@pytest.mark.parametrize(
    ("code", "state", "problems", "warnings"),
    [("", "Enabled", 0, 0), ("", "PendingDeletion", 1, 0), ("NotFoundException", "", 1, 0), ("AccessDeniedException", "", 0, 1)],
)
def test_A8_kms_key_is_looked_at_before_launch(code: str, state: str, problems: int, warnings: int) -> None:
    aws = Exchange()
    answer = (
        {"KeyMetadata": {"KeyId": "k", "KeyState": state}} if state else {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    )
    aws.expect("DescribeKey", {"KeyId": "k"}, answer)
    found = preflight._key_findings(aws.clients(), "k")
    assert (len(found.problems), len(found.warnings)) == (problems, warnings)


def test_no_key_is_no_call() -> None:
    assert preflight._key_findings(Clients(lambda service: pytest.fail(service)), "").problems == []


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ({"ImageId": "ami-1", "Name": "talos-v1.11.3-eu-central-1-amd64"}, "v1.11.3"),
        ({"ImageId": "ami-1", "Name": "Talos 1.12.0-beta.1"}, "v1.12.0-beta.1"),
        ({"ImageId": "ami-1", "Name": "golden", "Tags": [{"Key": "talos-version", "Value": "1.10.9"}]}, "v1.10.9"),
        ({"ImageId": "ami-1", "Name": "debian-12.1.0"}, ""),
    ],
)
def test_talos_version_of_an_image(image: dict[str, t.Any], version: str) -> None:
    assert preflight.image_result(image, "ami-1")["talos_version"] == version


def test_image_that_is_gone_has_an_id_only() -> None:
    assert preflight.image_result(None, "ami-9") == {"id": "ami-9", "name": "", "root_device_name": "", "root_volume_gb": 0, "talos_version": ""}
