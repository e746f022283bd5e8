# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What there is of the load balancers that nlb works on: read once, at a cost that does not depend on what else the account holds."""

from __future__ import annotations

import dataclasses
import typing as t

from . import ec2, elbv2
from .clients import Clients
from .names import CLUSTER_TAG, CONTROLLER_TAG, LOAD_BALANCER_TAG, OWNED_TAG
from .nlb_options import Balancer, Listener, NlbOptions

Item = dict[str, t.Any]
Tags = dict[str, str]


@dataclasses.dataclass
class Found:
    """A load balancer with all that belongs to it; listeners by port."""

    item: Item
    tags: Tags = dataclasses.field(default_factory=dict)
    attributes: Tags = dataclasses.field(default_factory=dict)
    listeners: dict[int, Item] = dataclasses.field(default_factory=dict)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return str(self.item["LoadBalancerArn"])

    @property
    def name(self) -> str:
        """Its name, which need not be the wanted one."""
        return str(self.item["LoadBalancerName"])

    @property
    def subnets(self) -> dict[str, str]:
        """Zone → the subnet it is in."""
        return {zone["ZoneName"]: zone["SubnetId"] for zone in self.item.get("AvailabilityZones", [])}


@dataclasses.dataclass
class Group:
    """A target group."""

    item: Item
    tags: Tags = dataclasses.field(default_factory=dict)
    attributes: Tags = dataclasses.field(default_factory=dict)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return str(self.item["TargetGroupArn"])

    @property
    def name(self) -> str:
        """Its name, which need not be the wanted one."""
        return str(self.item["TargetGroupName"])


@dataclasses.dataclass
class World:
    """What AWS has: load balancers by wanted name (one that several could be is in rivals), target groups by ARN, subnets by ID.

    tagged holds what has the cluster's tag (ARN → tags), where it was needed to find the others. offline_vpcs have no internet gateway, among those
    where an internet-facing load balancer is to be made.
    """

    balancers: dict[str, Found] = dataclasses.field(default_factory=dict)
    rivals: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    groups: dict[str, Group] = dataclasses.field(default_factory=dict)
    subnets: dict[str, Item] = dataclasses.field(default_factory=dict)
    tagged: dict[str, Tags] = dataclasses.field(default_factory=dict)
    offline_vpcs: set[str] = dataclasses.field(default_factory=set)

    def group_named(self, name: str) -> Group | None:
        """The target group of that name."""
        return next((group for group in self.groups.values() if group.name == name), None)


def forwards_to(listener: Item) -> list[str]:
    """The ARNs of the target groups a listener forwards to."""
    found = []
    for action in listener.get("DefaultActions", []):
        weighted = action.get("ForwardConfig", {}).get("TargetGroups", [])
        found += [entry["TargetGroupArn"] for entry in weighted] or ([action["TargetGroupArn"]] if "TargetGroupArn" in action else [])
    return found


def read_world(options: NlbOptions, clients: Clients) -> World:
    """Read what exists. Load balancers are found by name, else among those with the cluster's tag."""
    world = World()
    _find_balancers(options, clients, world)
    _find_groups(options, clients, world)
    tags = elbv2.describe_tags(clients.elbv2, [found.arn for found in world.balancers.values()] + list(world.groups))
    for found in world.balancers.values():
        found.tags = tags.get(found.arn, {})
        found.attributes = elbv2.load_balancer_attributes(clients.elbv2, found.arn)
    for group in world.groups.values():
        group.tags = tags.get(group.arn, {})
        group.attributes = elbv2.target_group_attributes(clients.elbv2, group.arn)
    subnet_ids = sorted({subnet_id for balancer in options.balancers for subnet_id in balancer.subnet_ids if subnet_id})
    if subnet_ids:
        world.subnets = {item["SubnetId"]: item for item in ec2.describe_subnets(clients.ec2, subnet_ids)}
    public = [one for one in options.balancers if one.scheme == "internet-facing" and one.wanted_name not in world.balancers]
    vpcs = {vpc_of(one, world) for one in public} - {""}
    world.offline_vpcs = {vpc_id for vpc_id in vpcs if not ec2.has_internet_gateway(clients.ec2, vpc_id)}
    return world


def vpc_of(balancer: Balancer, world: World) -> str:
    """The VPC of the wanted subnets, "" when it is not known."""
    return next((world.subnets[subnet_id]["VpcId"] for subnet_id in balancer.subnet_ids if subnet_id in world.subnets), "")


def _find_balancers(options: NlbOptions, clients: Clients, world: World) -> None:
    by_name = {item["LoadBalancerName"]: item for item in elbv2.load_balancers_named(clients.elbv2, [one.name for one in options.balancers])}
    for balancer in options.balancers:
        if balancer.name in by_name:
            world.balancers[balancer.wanted_name] = _with_listeners(by_name[balancer.name], clients)
    missing = [balancer for balancer in options.balancers if balancer.name not in by_name]
    if not missing and options.state == "present":
        return
    world.tagged = tagged = elbv2.tagged_resources(clients.tagging, CLUSTER_TAG, options.cluster)
    taken = {found.arn for found in world.balancers.values()}
    arns = [arn for arn, tags in tagged.items() if ":loadbalancer/net/" in arn and arn not in taken and CONTROLLER_TAG not in tags]
    others = [_with_listeners(item, clients, tagged) for item in elbv2.describe_load_balancers(clients.elbv2, arns)]
    for balancer in missing:
        fitting = [found for found in others if _could_be(found, balancer) and (options.state == "present" or OWNED_TAG in found.tags)]
        if len(fitting) == 1:
            world.balancers[balancer.wanted_name] = fitting[0]
        elif fitting:
            world.rivals[balancer.wanted_name] = sorted(found.name for found in fitting)


def _with_listeners(item: Item, clients: Clients, tagged: t.Mapping[str, Tags] | None = None) -> Found:
    listeners = elbv2.describe_listeners(clients.elbv2, item["LoadBalancerArn"])
    tags = (tagged or {}).get(item["LoadBalancerArn"], {})
    return Found(item, tags, listeners={int(listener["Port"]): listener for listener in listeners if "Port" in listener})


def _could_be(found: Found, balancer: Balancer) -> bool:
    """Whether a load balancer of the cluster under another name is the one wanted: same scheme, and its mark or its ports say so."""
    if found.item.get("Scheme") != balancer.scheme:
        return False
    mark = found.tags.get(LOAD_BALANCER_TAG, "")
    if mark in ("apiserver", "ingress", "none"):
        return mark == balancer.kind
    return any(listener.port in found.listeners for listener in balancer.listeners)


def _find_groups(options: NlbOptions, clients: Clients, world: World) -> None:
    """Target groups by their wanted names, and those that the listeners forward to."""
    names = [balancer.group_name(listener) for balancer in options.balancers for listener in balancer.listeners]
    world.groups = {item["TargetGroupArn"]: Group(item) for item in elbv2.target_groups_named(clients.elbv2, names)}
    used = {arn for found in world.balancers.values() for listener in found.listeners.values() for arn in forwards_to(listener)}
    if options.state == "absent":
        # What an interrupted removal left of load balancers that are gone is known by its mark alone.
        used |= {arn for arn, tags in world.tagged.items() if ":targetgroup/" in arn and OWNED_TAG in tags}
    further = elbv2.describe_target_groups(clients.elbv2, sorted(used - set(world.groups)))
    world.groups.update({item["TargetGroupArn"]: Group(item) for item in further})


def fits(group: Group, listener: Listener, vpc_id: str) -> str:
    """Why a target group cannot serve a listener, "" when it can: what cannot be changed of a target group."""
    item = group.item
    wanted = {"Protocol": "TCP", "Port": listener.target_port, "VpcId": vpc_id, "TargetType": "instance"}
    if item.get("TargetType") == "ip":
        del wanted["TargetType"]  # nodes are registered by their addresses there
    words = {"Protocol": "protocol", "Port": "port", "VpcId": "VPC", "TargetType": "target type"}
    return ", ".join(f"{words[key]} {item.get(key)} instead of {value}" for key, value in wanted.items() if item.get(key) != value)
