# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What a cluster's security groups, target groups and instances are for: pure functions over what AWS described."""

from __future__ import annotations

import typing as t

from ansible_collections.amazon.aws.plugins.module_utils.tagging import boto3_tag_list_to_ansible_dict

from .names import CLUSTER_TAG, CONTROLLER_TAG, GENERATION_TAG, LOAD_BALANCER_TAG, NAME_TAG, ROLE_TAG, ROLES, UNFINISHED_TAG

Item = dict[str, t.Any]
Tags = t.Mapping[str, str]

TALOS_API_PORT = 50000
APISERVER_PORTS = (6443, TALOS_API_PORT)
KINDS = ("apiserver", "ingress", "none")


def tags_of(item: Item) -> dict[str, str]:
    """The tags of something EC2 described."""
    return boto3_tag_list_to_ansible_dict(item.get("Tags") or [])


def admits_port(group: Item, port: int) -> bool:
    """Whether an ingress rule of the security group covers this TCP port: exactly, in a range, or as part of all traffic."""
    for rule in group.get("IpPermissions", []):
        if rule["IpProtocol"] == "-1":
            return True
        if rule["IpProtocol"] in ("tcp", "6") and rule.get("FromPort", 0) <= port <= rule.get("ToPort", 65535):
            return True
    return False


def security_group(item: Item, load_balancer_groups: t.Collection[str]) -> Item:
    """A security group as cluster_info returns it.

    It is a load balancer's when the tag LoadBalancer says so, or when a load balancer of the cluster wears it: on a node such a
    group would open the node to all that may reach the load balancer. The tag's value none says that it is for nodes nevertheless.
    """
    tags = tags_of(item)
    mark = tags.get(LOAD_BALANCER_TAG)
    return {
        "id": item["GroupId"],
        "name": item["GroupName"],
        "vpc_id": item.get("VpcId", ""),
        "tags": tags,
        "admits_talos_api": admits_port(item, TALOS_API_PORT),
        "load_balancer": item["GroupId"] in load_balancer_groups if mark is None else mark.lower() not in ("", "none", "false", "no"),
    }


def load_balancer(item: Item, tags: Tags) -> Item:
    """A load balancer as cluster_info returns it."""
    return {
        "arn": item["LoadBalancerArn"],
        "name": item["LoadBalancerName"],
        "type": item.get("Type", "network"),
        "dns_name": item.get("DNSName", ""),
        "scheme": item.get("Scheme", ""),
        "vpc_id": item.get("VpcId", ""),
        "state": item.get("State", {}).get("Code", ""),
        "zones": sorted(zone["ZoneName"] for zone in item.get("AvailabilityZones", [])),
        "security_groups": item.get("SecurityGroups", []),
        "tags": dict(tags),
        "controller_owned": CONTROLLER_TAG in tags,
    }


def kind_and_skip(group: Item, tags: Tags, balancers: t.Sequence[Item]) -> tuple[str, str]:
    """The kind of a target group, and why no node is put into it ("" when nodes are).

    Kind none is left alone altogether. A group that only the reason skips gets no new nodes, but doomed nodes are still taken out.
    """
    if group["TargetType"] in ("lambda", "alb"):
        return "none", f"target type {group['TargetType']} has no nodes"
    if CONTROLLER_TAG in tags or any(balancer["controller_owned"] for balancer in balancers):
        return "none", "a Kubernetes controller owns it"
    marks = [mark for mark in (tags.get(LOAD_BALANCER_TAG), *(balancer["tags"].get(LOAD_BALANCER_TAG) for balancer in balancers)) if mark]
    mark = next((mark for mark in marks if mark in KINDS), "")
    if mark == "none":
        return "none", "its tag LoadBalancer says none"
    looks_api = group.get("Port") in APISERVER_PORTS or any("apiserver" in balancer["name"] for balancer in balancers)
    kind = mark or ("apiserver" if looks_api else "ingress")
    if any(balancer["type"] != "network" for balancer in balancers):
        return kind, "its load balancer is not a network load balancer"
    if not group.get("LoadBalancerArns"):
        return kind, "no load balancer uses it"
    return kind, ""


def target_group(item: Item, tags: Tags, balancers: t.Sequence[Item]) -> Item:
    """A target group as cluster_info returns it, its targets and delay still to be read."""
    kind, skipped = kind_and_skip(item, tags, balancers)
    return {
        "arn": item["TargetGroupArn"],
        "name": item["TargetGroupName"],
        "load_balancer_arns": item.get("LoadBalancerArns", []),
        "protocol": item.get("Protocol", ""),
        "port": item.get("Port"),
        "target_type": item["TargetType"],
        "vpc_id": item.get("VpcId", ""),
        "tags": dict(tags),
        "kind": kind,
        "skipped": skipped,
        "targets": [],
    }


def target(item: Item) -> Item:
    """A target with its health as the modules return it."""
    health = item.get("TargetHealth", {})
    return {
        "id": item["Target"]["Id"],
        "port": item["Target"].get("Port"),
        "az": item["Target"].get("AvailabilityZone", ""),
        "state": health.get("State", ""),
        "reason": health.get("Reason", ""),
        "description": health.get("Description", ""),
    }


def instance(item: Item) -> Item:
    """An instance as cluster_info returns it; role comes from the tag alone."""
    tags = tags_of(item)
    launched = item.get("LaunchTime")
    return {
        "instance_id": item["InstanceId"],
        "name": tags.get(NAME_TAG, ""),
        "role": tags.get(ROLE_TAG, ""),
        "state": item["State"]["Name"],
        "private_ip": item.get("PrivateIpAddress"),
        "public_ip": item.get("PublicIpAddress"),
        "subnet_id": item.get("SubnetId"),
        "vpc_id": item.get("VpcId"),
        "az": item.get("Placement", {}).get("AvailabilityZone"),
        "image_id": item.get("ImageId"),
        "instance_type": item.get("InstanceType"),
        "launch_time": launched.isoformat() if launched else None,
        "tags": tags,
        "client_token": item.get("ClientToken", ""),
        "generation": int(tags[GENERATION_TAG]) if tags.get(GENERATION_TAG, "").isdigit() else None,
        "unfinished": UNFINISHED_TAG in tags,
    }


def inferred_role(item: Item, groups: t.Sequence[Item]) -> str:
    """The role of an instance: its tag, else by the target groups it is in, apiserver before ingress, else unknown ("")."""
    if item["role"]:
        return item["role"]
    own = {item["instance_id"], item["private_ip"]}
    kinds = {group["kind"] for group in groups if own & {entry["id"] for entry in group["targets"]}}
    return "controlplane" if "apiserver" in kinds else "worker" if "ingress" in kinds else ""


def oddities(instances: t.Sequence[Item], groups: t.Sequence[Item]) -> list[str]:
    """What a user should look at: strange marks, instances without a name, names used twice."""
    found = []
    for group in groups:
        mark = group["tags"].get(LOAD_BALANCER_TAG, "")
        if mark and mark not in KINDS:
            found.append(f"target group {group['name']}: tag {LOAD_BALANCER_TAG}={mark} is none of {', '.join(KINDS)}; taken for {group['kind']}")
    names: dict[str, list[str]] = {}
    for item in instances:
        names.setdefault(item["name"], []).append(item["instance_id"])
        if item["role"] not in ("", *ROLES):
            found.append(f"instance {item['instance_id']}: tag {ROLE_TAG}={item['role']} is none of {', '.join(ROLES)}")
    for name, ids in names.items():
        if not name:
            found.append(f"instances without a {NAME_TAG} tag: {', '.join(ids)}")
        elif len(ids) > 1:
            found.append(f"{len(ids)} instances are called {name}: {', '.join(ids)}")
    return found


def owner(item: Item) -> str:
    """The cluster an instance (as `instance` returns it) is tagged for; "" when for none."""
    return item["tags"].get(CLUSTER_TAG, "")
