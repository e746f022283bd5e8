# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""EC2, one function per call: retry, pagination and error text, nothing else."""

from __future__ import annotations

import typing as t

from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list
from ansible_collections.amazon.aws.plugins.module_utils.transformation import ansible_dict_to_boto3_filter_list

from .errors import Ec2ErrorHandler, KmsErrorHandler, throttled

Client = t.Any
Item = dict[str, t.Any]

# EC2 takes at most 200 values in one filter.
FILTER_VALUES = 200
# and at most 100 ids in DescribeInstanceStatus.
STATUS_IDS = 100


def chunks(values: t.Sequence[str], size: int) -> t.Iterator[list[str]]:
    """The values in lists of at most size."""
    for start in range(0, len(values), size):
        yield list(values[start : start + size])


@Ec2ErrorHandler.common_error_handler("describe instances")
@throttled
def _describe_instances(ec2: Client, filters: dict[str, t.Any]) -> list[Item]:
    pages = ec2.get_paginator("describe_instances").paginate(Filters=ansible_dict_to_boto3_filter_list(filters))
    return [instance for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]]


def describe_instances(
    ec2: Client, key: str, values: t.Sequence[str], states: t.Sequence[str] = (), filters: t.Mapping[str, list[str]] | None = None
) -> list[Item]:
    """Instances whose filter key has one of the values, in one of the states (none given: any, terminated ones too), that pass the other filters.

    A filter and not InstanceIds: an instance that EC2 does not show yet is then missing instead of an error.
    """
    extra = {**({"instance-state-name": list(states)} if states else {}), **(filters or {})}
    return [item for chunk in chunks(values, FILTER_VALUES) for item in _describe_instances(ec2, {key: chunk, **extra})]


@Ec2ErrorHandler.list_error_handler("describe the status of instances", [])
@throttled
def _describe_instance_status(ec2: Client, instance_ids: list[str]) -> list[Item]:
    return ec2.describe_instance_status(InstanceIds=instance_ids)["InstanceStatuses"]


def describe_instance_status(ec2: Client, instance_ids: t.Sequence[str]) -> list[Item]:
    """Status checks of running instances, in chunks of as many as EC2 takes; nothing of a chunk of which one instance is not there."""
    return [status for chunk in chunks(instance_ids, STATUS_IDS) for status in _describe_instance_status(ec2, chunk)]


@Ec2ErrorHandler.list_error_handler("read the termination protection of an instance", False)
@throttled
def termination_protected(ec2: Client, instance_id: str) -> bool:
    """Whether the instance refuses to be terminated (DescribeInstances does not say)."""
    answer = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="disableApiTermination")
    return bool(answer.get("DisableApiTermination", {}).get("Value"))


@Ec2ErrorHandler.common_error_handler("launch an instance")
@throttled
def run_instances(ec2: Client, request: dict[str, t.Any]) -> Item:
    """Launch one instance and return it as EC2 described it."""
    return ec2.run_instances(MinCount=1, MaxCount=1, **request)["Instances"][0]


@Ec2ErrorHandler.common_error_handler("check a launch without launching")
@throttled
def dry_run_instances(ec2: Client, request: dict[str, t.Any]) -> None:
    """Always raises: code DryRunOperation when the launch would have been allowed."""
    ec2.run_instances(MinCount=1, MaxCount=1, DryRun=True, **request)


@Ec2ErrorHandler.common_error_handler("terminate instances")
@throttled
def terminate_instances(ec2: Client, instance_ids: list[str]) -> None:
    """Terminate instances; those terminated already are no error."""
    ec2.terminate_instances(InstanceIds=instance_ids)


@Ec2ErrorHandler.deletion_error_handler("terminate an instance")
@throttled
def terminate_if_there(ec2: Client, instance_id: str) -> bool:
    """Terminate an instance; False when it does not exist any more."""
    ec2.terminate_instances(InstanceIds=[instance_id])
    return True


@Ec2ErrorHandler.common_error_handler("stop instances")
@throttled
def stop_instances(ec2: Client, instance_ids: list[str]) -> None:
    """Stop instances at once, without waiting for their systems to shut down."""
    ec2.stop_instances(InstanceIds=instance_ids, Force=True)


@Ec2ErrorHandler.common_error_handler("tag an instance")
@throttled
def create_tags(ec2: Client, resource_ids: list[str], tags: dict[str, str]) -> None:
    """Add or replace these tags."""
    ec2.create_tags(Resources=resource_ids, Tags=ansible_dict_to_boto3_tag_list(tags))


@Ec2ErrorHandler.common_error_handler("remove a tag from instances")
@throttled
def delete_tag(ec2: Client, resource_ids: list[str], key: str) -> None:
    """Remove a tag whatever its value; where it is missing nothing happens."""
    ec2.delete_tags(Resources=resource_ids, Tags=[{"Key": key}])


@Ec2ErrorHandler.common_error_handler("describe security groups")
@throttled
def describe_security_groups(ec2: Client, filters: dict[str, t.Any]) -> list[Item]:
    """Security groups that pass the filters."""
    pages = ec2.get_paginator("describe_security_groups").paginate(Filters=ansible_dict_to_boto3_filter_list(filters))
    return [group for page in pages for group in page["SecurityGroups"]]


@Ec2ErrorHandler.common_error_handler("describe the VPC")
@throttled
def vpc_cidrs(ec2: Client, vpc_id: str) -> list[str]:
    """The IPv4 ranges of a VPC; nothing when there is no such VPC."""
    found = ec2.describe_vpcs(Filters=ansible_dict_to_boto3_filter_list({"vpc-id": vpc_id}))["Vpcs"]
    entries = [entry for vpc in found for entry in vpc.get("CidrBlockAssociationSet", [])]
    return [entry["CidrBlock"] for entry in entries if entry.get("CidrBlockState", {}).get("State", "associated") == "associated"]


@Ec2ErrorHandler.common_error_handler("describe internet gateways")
@throttled
def has_internet_gateway(ec2: Client, vpc_id: str) -> bool:
    """Whether the VPC is connected to the internet."""
    return bool(ec2.describe_internet_gateways(Filters=ansible_dict_to_boto3_filter_list({"attachment.vpc-id": vpc_id}))["InternetGateways"])


@Ec2ErrorHandler.common_error_handler("describe network interfaces")
@throttled
def interfaces_wearing(ec2: Client, group_ids: list[str]) -> list[Item]:
    """The network interfaces that have one of the security groups."""
    pages = ec2.get_paginator("describe_network_interfaces").paginate(Filters=ansible_dict_to_boto3_filter_list({"group-id": group_ids}))
    return [item for page in pages for item in page["NetworkInterfaces"]]


def change(ec2: Client, operation: str, words: str, params: t.Mapping[str, t.Any]) -> str:
    """Make one changing call; words say what for, in its error. Returns the ID of the security group it made, "" when it makes none."""
    answer = Ec2ErrorHandler.common_error_handler(words)(throttled(getattr(ec2, operation)))(**params)
    return str(answer.get("GroupId") or "") if operation == "create_security_group" else ""


@Ec2ErrorHandler.list_error_handler("describe the image", [])
@throttled
def describe_images(ec2: Client, image_id: str) -> list[Item]:
    """The image, or nothing when there is none that this account may see."""
    return ec2.describe_images(ImageIds=[image_id])["Images"]


@Ec2ErrorHandler.common_error_handler("describe subnets")
@throttled
def describe_subnets(ec2: Client, subnet_ids: list[str]) -> list[Item]:
    """Those of the subnets that exist."""
    pages = ec2.get_paginator("describe_subnets").paginate(Filters=ansible_dict_to_boto3_filter_list({"subnet-id": subnet_ids}))
    return [subnet for page in pages for subnet in page["Subnets"]]


@Ec2ErrorHandler.common_error_handler("describe instance types")
@throttled
def _describe_instance_types(ec2: Client, names: list[str]) -> list[Item]:
    pages = ec2.get_paginator("describe_instance_types").paginate(Filters=ansible_dict_to_boto3_filter_list({"instance-type": names}))
    return [item for page in pages for item in page["InstanceTypes"]]


def describe_instance_types(ec2: Client, names: t.Sequence[str]) -> list[Item]:
    """Those of the instance types that there are in the region."""
    return [item for chunk in chunks(names, FILTER_VALUES) for item in _describe_instance_types(ec2, chunk)]


@Ec2ErrorHandler.common_error_handler("describe volumes")
@throttled
def _describe_volumes(ec2: Client, instance_ids: list[str]) -> list[Item]:
    pages = ec2.get_paginator("describe_volumes").paginate(Filters=ansible_dict_to_boto3_filter_list({"attachment.instance-id": instance_ids}))
    return [item for page in pages for item in page["Volumes"]]


def describe_volumes(ec2: Client, instance_ids: t.Sequence[str]) -> list[Item]:
    """The volumes that are attached to the instances."""
    return [item for chunk in chunks(instance_ids, FILTER_VALUES) for item in _describe_volumes(ec2, chunk)]


@Ec2ErrorHandler.common_error_handler("describe where an instance type is offered")
@throttled
def offering_zones(ec2: Client, instance_type: str) -> set[str]:
    """The zones that offer the instance type."""
    filters = ansible_dict_to_boto3_filter_list({"instance-type": instance_type})
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(LocationType="availability-zone", Filters=filters)
    return {offering["Location"] for page in pages for offering in page["InstanceTypeOfferings"]}


@Ec2ErrorHandler.common_error_handler("describe placement groups")
@throttled
def describe_placement_groups(ec2: Client, name: str) -> list[Item]:
    """The placement group, or nothing."""
    return ec2.describe_placement_groups(Filters=ansible_dict_to_boto3_filter_list({"group-name": name}))["PlacementGroups"]


@KmsErrorHandler.common_error_handler("describe the KMS key")
@throttled
def describe_key(kms: Client, key_id: str) -> Item:
    """A KMS key by id, ARN or alias."""
    return kms.describe_key(KeyId=key_id)["KeyMetadata"]
