# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Details of instances: what is told of each, and with how many calls."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.details import DetailOptions, details, status_of

from tests.unit.plugins.module_utils.aws.exchange import Exchange, tags

NOTHING: dict[str, list[str]] = {"instance_ids": [], "instance_types": [], "image_ids": [], "machines": [], "vpc_ids": []}
LIVING = {"Name": "instance-state-name", "Values": ["pending", "running", "shutting-down", "stopping", "stopped"]}


def options(**more: list[str]) -> DetailOptions:
    return DetailOptions.of_params({**NOTHING, **more})


def check(value: str) -> dict[str, t.Any]:
    return {"Status": value}


def filters(**values: list[str]) -> dict[str, t.Any]:
    return {"Filters": [{"Name": key.replace("_", "-"), "Values": value} for key, value in values.items()]}


def volume(volume_id: str, *instances: str, **more: t.Any) -> dict[str, t.Any]:
    return {"VolumeId": volume_id, "VolumeType": "gp3", "Size": 100, "Attachments": [{"InstanceId": name} for name in instances], **more}


def test_nothing_asked_takes_no_call() -> None:
    assert details(options(), Exchange().clients()).values == {"instances": [], "instance_types": [], "images": [], "machines": []}


def test_instances_are_told_with_their_status_and_volumes_types_with_their_hardware() -> None:
    aws = Exchange()
    statuses = [{"InstanceId": "i-1", "SystemStatus": check("ok"), "InstanceStatus": check("impaired")}]
    aws.expect("DescribeInstanceStatus", {"InstanceIds": ["i-1", "i-2"]}, {"InstanceStatuses": statuses})
    volumes = [volume("vol-1", "i-1", Iops=3000, Throughput=125), volume("vol-2", "i-1")]
    aws.expect("DescribeVolumes", {"Filters": [{"Name": "attachment.instance-id", "Values": ["i-1", "i-2"]}]}, {"Volumes": volumes})
    kind = {"InstanceType": "m5.large", "VCpuInfo": {"DefaultVCpus": 2}, "MemoryInfo": {"SizeInMiB": 8192}}
    aws.expect("DescribeInstanceTypes", filters(instance_type=["m5.large"]), {"InstanceTypes": [kind]})
    found = details(options(instance_ids=["i-1", "i-2", "i-1"], instance_types=["m5.large", "m5.large"]), aws.clients()).values
    aws.done()
    assert [(item["instance_id"], item["status"], [disk["id"] for disk in item["volumes"]]) for item in found["instances"]] == [
        ("i-1", "impaired", ["vol-1", "vol-2"]),
        ("i-2", "", []),
    ]
    assert found["instances"][0]["volumes"][0] == {"id": "vol-1", "type": "gp3", "size_gb": 100, "iops": 3000, "throughput": 125}
    assert found["instance_types"] == [{"instance_type": "m5.large", "vcpus": 2, "memory_mib": 8192}]


def test_images_tell_their_talos_version_those_that_are_gone_are_left_out() -> None:
    aws = Exchange()
    aws.expect("DescribeImages", {"ImageIds": ["ami-1"]}, {"Images": [{"ImageId": "ami-1", "Name": "talos-v1.11.3-amd64"}]})
    aws.refuse("DescribeImages", {"ImageIds": ["ami-2"]}, "InvalidAMIID.NotFound")
    found = details(options(image_ids=["ami-1", "ami-2"]), aws.clients()).values["images"]
    aws.done()
    assert [(image["id"], image["talos_version"]) for image in found] == [("ami-1", "v1.11.3")]


def test_strange_machines_are_found_by_id_anywhere_and_by_address_in_the_clusters_vpcs() -> None:
    aws = Exchange()
    foreign = {"InstanceId": "i-9", "State": {"Name": "running", "Code": 16}, "Tags": tags(Name="w-9", Cluster="barney"), "PrivateIpAddress": "10.0.0.9"}
    plain = {"InstanceId": "i-8", "State": {"Name": "running", "Code": 16}, "PrivateIpAddress": "10.0.0.8"}
    aws.expect("DescribeInstances", {"Filters": [{"Name": "instance-id", "Values": ["i-9"]}, LIVING]}, {"Reservations": [{"Instances": [foreign]}]})
    by_address = [{"Name": "private-ip-address", "Values": ["10.0.0.8", "10.0.0.9"]}, LIVING, {"Name": "vpc-id", "Values": ["vpc-1"]}]
    aws.expect("DescribeInstances", {"Filters": by_address}, {"Reservations": [{"Instances": [plain, foreign]}]})
    found = details(options(machines=["i-9", "10.0.0.8", "10.0.0.9"], vpc_ids=["vpc-1"]), aws.clients()).values["machines"]
    aws.done()
    assert [(item["instance_id"], item["name"], item["cluster"]) for item in found] == [("i-9", "w-9", "barney"), ("i-8", "", "")]


def test_without_a_vpc_addresses_mean_nothing() -> None:
    """The same private address is used in other VPCs, too."""
    assert details(options(machines=["10.0.0.8"]), Exchange().clients()).values["machines"] == []


def test_calls_grow_by_pages() -> None:
    aws = Exchange()
    ids = [f"i-{number}" for number in range(201)]
    for size in (100, 100, 1):
        aws.expect("DescribeInstanceStatus", lambda sent, size=size: len(sent["InstanceIds"]) == size, {"InstanceStatuses": []})
    for size in (200, 1):
        aws.expect("DescribeVolumes", lambda sent, size=size: len(sent["Filters"][0]["Values"]) == size, {"Volumes": []})
    details(options(instance_ids=ids), aws.clients())
    aws.done()


@pytest.mark.parametrize(
    ("checks", "worst"),
    [
        ({"SystemStatus": "ok", "InstanceStatus": "ok"}, "ok"),
        ({"SystemStatus": "ok", "InstanceStatus": "initializing"}, "initializing"),
        ({"SystemStatus": "insufficient-data", "InstanceStatus": "initializing"}, "insufficient-data"),
        ({"SystemStatus": "ok", "InstanceStatus": "ok", "AttachedEbsStatus": "impaired"}, "impaired"),
        ({}, ""),
    ],
)
def test_an_instance_is_as_well_as_its_worst_check(checks: dict[str, str], worst: str) -> None:
    assert status_of({name: check(value) for name, value in checks.items()}) == worst
