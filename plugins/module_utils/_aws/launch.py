# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Launching one node so that a run killed at any point and repeated gets the same instance, never a second one."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.amazon.aws.plugins.module_utils.tagging import boto3_tag_specifications
from ansible_collections.amazon.aws.plugins.module_utils.transformation import scrub_none_parameters

from .._errors import ManagerError
from .._wait import Clock
from . import ec2
from .classify import instance, owner
from .clients import Clients
from .errors import ApiError
from .matching import ALIVE
from .names import CLUSTER_TAG, GENERATION_TAG, NAME_TAG, ROLE_TAG, UNFINISHED_TAG, launch_token, token_prefix
from .options import NodeOptions, Offer

Item = dict[str, t.Any]

# A zone (or subnet) that cannot take the instance now; another one may.
CAPACITY_CODES = (
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientReservedInstanceCapacity",
    "InsufficientCapacity",
    "InsufficientFreeAddressesInSubnet",
    "Unsupported",
)
# Launch tokens of terminated instances stay taken for a day; more than this many in a day is something else gone wrong.
GENERATIONS = 16
# Seconds for which EC2 is asked again for an instance that it must have but does not show.
CONSISTENCY = 30.0
ATTEMPTS = 3


def ordered_subnets(name: str, subnets: t.Sequence[str]) -> list[str]:
    """The subnets in the order tried: nodes are spread by the number their name ends in, and the same name starts at the same one."""
    number = re.search(r"(\d+)$", name)
    start = (int(number.group(1)) - 1) % len(subnets) if number and subnets else 0
    return [*subnets[start:], *subnets[:start]]


def node_tags(options: NodeOptions, name: str, generation: int) -> dict[str, dict[str, str]]:
    """Tags at birth by resource type; the user's never override those by which the node is found."""
    common = {**options.tags, CLUSTER_TAG: options.cluster, NAME_TAG: name, ROLE_TAG: options.role}
    own = {**common, UNFINISHED_TAG: options.role, GENERATION_TAG: str(generation)}
    return {"instance": own, "volume": common, "network-interface": common}


def launch_request(options: NodeOptions, name: str, subnet_id: str, generation: int, root_device: str) -> Item:
    """RunInstances' parameters but for the client token and the count."""
    volume = options.root_volume
    ebs = {
        "DeleteOnTermination": True,
        "Encrypted": True,
        "KmsKeyId": volume.kms_key_id or None,
        "VolumeSize": volume.size_gb,
        "VolumeType": volume.type,
        "Iops": volume.iops,
        "Throughput": volume.throughput,
    }
    profile = options.iam_instance_profile
    request = {
        "ImageId": options.image_id,
        "InstanceType": options.instance_type,
        "BlockDeviceMappings": [{"DeviceName": volume.device_name or root_device, "Ebs": scrub_none_parameters(ebs)}],
        "IamInstanceProfile": {"Arn" if profile.startswith("arn:") else "Name": profile} if profile else None,
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required"},
        "Placement": {"GroupName": options.placement_group_name} if options.placement_group_name else None,
        "TagSpecifications": [spec for kind, tags in node_tags(options, name, generation).items() for spec in boto3_tag_specifications(tags, [kind])],
        **_network(options, subnet_id),
    }
    return {key: value for key, value in request.items() if value is not None}


def _network(options: NodeOptions, subnet_id: str) -> Item:
    """Subnet and groups; whether there is a public address can only be said of an interface."""
    if options.associate_public_ip is None:
        return {"SubnetId": subnet_id, "SecurityGroupIds": list(options.security_group_ids)}
    interface = {
        "DeviceIndex": 0,
        "SubnetId": subnet_id,
        "Groups": list(options.security_group_ids),
        "AssociatePublicIpAddress": options.associate_public_ip,
        "DeleteOnTermination": True,
    }
    return {"NetworkInterfaces": [interface]}


class Launcher:
    """Launches nodes of one call; subnets found full are not tried again. Safe to use from several threads."""

    def __init__(self, options: NodeOptions, clients: Clients, offer: Offer, clock: Clock) -> None:
        self.options = options
        self.clients = clients
        self.offer = offer
        self.clock = clock
        self.full: dict[str, str] = {}
        self.warnings: list[str] = []

    def launch(self, name: str, generation: int) -> Item:
        """Launch the node, in the next subnet where one has no capacity, and return the instance as EC2 described it."""
        for subnet_id in ordered_subnets(name, self.options.subnet_ids):
            if subnet_id in self.full or subnet_id not in self.offer.subnet_ids:
                continue
            try:
                return self._in_subnet(name, subnet_id, generation)
            except ApiError as error:
                if error.code not in CAPACITY_CODES:
                    raise
                self.full[subnet_id] = f"{subnet_id}: {error.code}: {error.aws_message}"
            made = self._living(name)
            if made:
                return made
        reasons = "; ".join(self.full.values())
        raise ManagerError(f"no subnet has room for {self.options.instance_type}: {reasons}. Add a subnet in another zone or choose another instance_type")

    def _in_subnet(self, name: str, subnet_id: str, first: int) -> Item:
        for generation in range(first, first + GENERATIONS):
            token = launch_token(self.options.cluster, name, subnet_id, generation)
            request = launch_request(self.options, name, subnet_id, generation, self.offer.root_device_name)
            try:
                return self._run(name, {**request, "ClientToken": token})
            except ApiError as error:
                if error.code == "IdempotentParameterMismatch":
                    made = self._shown(token)
                    if made:
                        self.warnings.append(f"{name}: instance {made['InstanceId']} was launched before with other parameters; it is used as it is")
                        return made
                elif error.code != "IdempotentInstanceTerminated":
                    raise
        raise ManagerError(f"{GENERATIONS} instances of this name were terminated within a day; find out why before launching more")

    def _run(self, name: str, request: Item) -> Item:
        """RunInstances; when no answer came, look for what it may have made before asking again with the same token."""
        failed: ApiError | None = None
        for _attempt in range(ATTEMPTS):
            try:
                return ec2.run_instances(self.clients.ec2, request)
            except ApiError as error:
                if not error.ambiguous:
                    raise
                failed = error
            made = self._living(name)
            if made:
                return made
        raise ManagerError(f"{failed}. It may have been launched nevertheless: run again, the same launch token finds it")

    def _living(self, name: str) -> Item | None:
        """The living instance that was launched with any token of this node."""
        found = ec2.describe_instances(self.clients.ec2, "client-token", [f"{token_prefix(self.options.cluster, name)}*"], ALIVE)
        return next((item for item in found if owner(instance(item)) in ("", self.options.cluster)), None)

    def _shown(self, token: str) -> Item | None:
        """The living instance of exactly this token, waited for until EC2 shows it; None when it is gone or never shown."""
        for _elapsed in self.clock(CONSISTENCY, 5.0):
            found = ec2.describe_instances(self.clients.ec2, "client-token", [token])
            if found:
                return next((item for item in found if item["State"]["Name"] in ALIVE), None)
        return None
