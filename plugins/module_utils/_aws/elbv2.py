# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Load balancers and the tagging API, one function per call: retry, pagination and error text, nothing else."""

from __future__ import annotations

import typing as t

from ansible_collections.amazon.aws.plugins.module_utils.tagging import boto3_tag_list_to_ansible_dict

from .ec2 import Client, Item, chunks
from .errors import ElbErrorHandler, TaggingErrorHandler, throttled

# ELBv2 takes at most 20 ARNs in one describe call.
ARNS_PER_CALL = 20
LB_TYPES = ["elasticloadbalancing:loadbalancer", "elasticloadbalancing:targetgroup"]


@TaggingErrorHandler.common_error_handler("find the cluster's load balancers by tag")
@throttled
def tagged_resources(tagging: Client, key: str, value: str) -> dict[str, dict[str, str]]:
    """ARN → tags of the load balancers and target groups that have the tag, however many others the account has."""
    pages = tagging.get_paginator("get_resources").paginate(TagFilters=[{"Key": key, "Values": [value]}], ResourceTypeFilters=LB_TYPES)
    return {item["ResourceARN"]: boto3_tag_list_to_ansible_dict(item["Tags"]) for page in pages for item in page["ResourceTagMappingList"]}


@ElbErrorHandler.list_error_handler("describe load balancers")
@throttled
def _describe_load_balancers(elbv2: Client, arns: list[str]) -> list[Item] | None:
    pages = elbv2.get_paginator("describe_load_balancers").paginate(LoadBalancerArns=arns)
    return [item for page in pages for item in page["LoadBalancers"]]


@ElbErrorHandler.list_error_handler("describe target groups")
@throttled
def _describe_target_groups(elbv2: Client, arns: list[str]) -> list[Item] | None:
    pages = elbv2.get_paginator("describe_target_groups").paginate(TargetGroupArns=arns)
    return [item for page in pages for item in page["TargetGroups"]]


@ElbErrorHandler.list_error_handler("describe tags of target groups")
@throttled
def _describe_tags(elbv2: Client, arns: list[str]) -> list[Item] | None:
    return elbv2.describe_tags(ResourceArns=arns)["TagDescriptions"]


@ElbErrorHandler.list_error_handler("describe load balancers")
@throttled
def _load_balancers_named(elbv2: Client, names: list[str]) -> list[Item] | None:
    return elbv2.describe_load_balancers(Names=names)["LoadBalancers"]


@ElbErrorHandler.list_error_handler("describe target groups")
@throttled
def _target_groups_named(elbv2: Client, names: list[str]) -> list[Item] | None:
    return elbv2.describe_target_groups(Names=names)["TargetGroups"]


def _existing(describe: t.Callable[[Client, list[str]], list[Item] | None], elbv2: Client, keys: t.Sequence[str]) -> list[Item]:
    """Describe by ARN or name in chunks. ELBv2 fails a whole call for one that is missing, so such a chunk is asked for one by one."""
    found: list[Item] = []
    for chunk in chunks(keys, ARNS_PER_CALL):
        items = describe(elbv2, chunk)
        if items is None and len(chunk) > 1:
            items = [item for key in chunk for item in describe(elbv2, [key]) or []]
        found.extend(items or [])
    return found


def describe_load_balancers(elbv2: Client, arns: t.Sequence[str]) -> list[Item]:
    """Those of the load balancers that exist."""
    return _existing(_describe_load_balancers, elbv2, arns)


def describe_target_groups(elbv2: Client, arns: t.Sequence[str]) -> list[Item]:
    """Those of the target groups that exist."""
    return _existing(_describe_target_groups, elbv2, arns)


def load_balancers_named(elbv2: Client, names: t.Sequence[str]) -> list[Item]:
    """Those of the load balancers that exist."""
    return _existing(_load_balancers_named, elbv2, names)


def target_groups_named(elbv2: Client, names: t.Sequence[str]) -> list[Item]:
    """Those of the target groups that exist."""
    return _existing(_target_groups_named, elbv2, names)


@ElbErrorHandler.list_error_handler("describe the listeners of a load balancer", [])
@throttled
def describe_listeners(elbv2: Client, arn: str) -> list[Item]:
    """The load balancer's listeners; nothing when it vanished."""
    return [item for page in elbv2.get_paginator("describe_listeners").paginate(LoadBalancerArn=arn) for item in page["Listeners"]]


@ElbErrorHandler.list_error_handler("describe the attributes of a load balancer", {})
@throttled
def load_balancer_attributes(elbv2: Client, arn: str) -> dict[str, str]:
    """Attributes by key; nothing when the load balancer vanished."""
    return {item["Key"]: item["Value"] for item in elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]}


def change(elbv2: Client, operation: str, words: str, params: t.Mapping[str, t.Any]) -> str:
    """Make one changing call; words say what for, in its error. Returns the ARN of what it made, "" when it makes nothing.

    ELBv2 answers a repeated creation with what the first one made, so a call whose answer was lost is simply made again.
    """
    answer = ElbErrorHandler.common_error_handler(words)(throttled(getattr(elbv2, operation)))(**params)
    made = (answer.get("LoadBalancers") or answer.get("TargetGroups") or [{}])[0] if operation.startswith("create") else {}
    return str(made.get("LoadBalancerArn") or made.get("TargetGroupArn") or "")


def describe_tags(elbv2: Client, arns: t.Sequence[str]) -> dict[str, dict[str, str]]:
    """ARN → tags of those that exist."""
    return {item["ResourceArn"]: boto3_tag_list_to_ansible_dict(item["Tags"]) for item in _existing(_describe_tags, elbv2, arns)}


@ElbErrorHandler.list_error_handler("describe the target groups of a load balancer", [])
@throttled
def target_groups_of(elbv2: Client, load_balancer_arn: str) -> list[Item]:
    """The load balancer's target groups; nothing when it vanished."""
    pages = elbv2.get_paginator("describe_target_groups").paginate(LoadBalancerArn=load_balancer_arn)
    return [item for page in pages for item in page["TargetGroups"]]


@ElbErrorHandler.list_error_handler("describe the attributes of a target group", {})
@throttled
def target_group_attributes(elbv2: Client, arn: str) -> dict[str, str]:
    """Attributes by key; nothing when the target group vanished."""
    answer = elbv2.describe_target_group_attributes(TargetGroupArn=arn)
    return {item["Key"]: item["Value"] for item in answer["Attributes"]}


@ElbErrorHandler.list_error_handler("describe the health of targets")
@throttled
def describe_target_health(elbv2: Client, arn: str) -> list[Item] | None:
    """All targets of a group with their health; None when the group does not exist."""
    return elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]


@ElbErrorHandler.common_error_handler("register targets")
@throttled
def register_targets(elbv2: Client, arn: str, targets: list[Item]) -> None:
    """Register targets ({Id, Port}); one that AWS refuses fails them all."""
    elbv2.register_targets(TargetGroupArn=arn, Targets=targets)


@ElbErrorHandler.deletion_error_handler("deregister targets")
@throttled
def deregister_targets(elbv2: Client, arn: str, targets: list[Item]) -> bool:
    """Deregister targets ({Id, Port}); False when the target group does not exist any more."""
    elbv2.deregister_targets(TargetGroupArn=arn, Targets=targets)
    return True
