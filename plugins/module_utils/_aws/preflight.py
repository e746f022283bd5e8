# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Preflight: everything about a launch that read-only calls can find out, all problems together.

RunInstances itself (and its DryRun) stops at the first problem, and does not look at zones, free addresses or keys at all.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from . import ec2
from .classify import tags_of
from .clients import Clients
from .errors import DENIED_CODES, ApiError, KmsError
from .options import NodeOptions, RootVolume
from .volumes import VOLUME_TYPES

Item = dict[str, t.Any]

TALOS_VERSION = re.compile(r"v?(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.\d+)?)")


@dataclasses.dataclass
class Findings:
    """What a preflight found: the image (None: not there), subnets that can take the nodes, which of them give public addresses, problems and warnings."""

    image: Item | None = None
    subnets: list[str] = dataclasses.field(default_factory=list)
    public: set[str] = dataclasses.field(default_factory=set)
    problems: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)


def image_result(image: Item | None, image_id: str) -> Item:
    """The image as ec2_node returns it; the Talos version comes from a tag, else from the name, else is ""."""
    if image is None:
        return {"id": image_id, "name": "", "root_device_name": "", "root_volume_gb": 0, "talos_version": ""}
    tags = {key.lower().replace("-", "").replace("_", ""): value for key, value in tags_of(image).items()}
    named = image.get("Name", "")
    seen = TALOS_VERSION.search(tags.get("talosversion", "")) or ("talos" in named.lower() and TALOS_VERSION.search(named))
    return {
        "id": image["ImageId"],
        "name": named,
        "root_device_name": image.get("RootDeviceName", ""),
        "root_volume_gb": _root_volume_gb(image),
        "talos_version": f"v{seen.group(1)}" if seen else "",
    }


def _root_volume_gb(image: Item) -> int:
    """The size of the image's root volume in GiB; 0 when it does not say it."""
    roots = [entry.get("Ebs", {}) for entry in image.get("BlockDeviceMappings", []) if entry.get("DeviceName") == image.get("RootDeviceName")]
    return max((root.get("VolumeSize", 0) for root in roots), default=0)


def image_problems(image: Item | None, options: NodeOptions) -> list[str]:
    """Whether nodes can be launched from the image."""
    if image is None:
        return [f"image_id: {options.image_id} does not exist in this region, or this account may not use it"]
    problems = []
    if image.get("State", "available") != "available":
        problems.append(f"image_id: {options.image_id} is {image['State']}, not available")
    if image.get("RootDeviceType", "ebs") != "ebs":
        problems.append(f"image_id: {options.image_id} has an {image['RootDeviceType']} root, only ebs can be encrypted and kept on stop")
    device = options.root_volume.device_name
    if device and device != image.get("RootDeviceName"):
        problems.append(f"root_volume.device_name: {device} is not the root device of {options.image_id}, use {image.get('RootDeviceName')} or leave it out")
    size = options.root_volume.size_gb
    smallest = _root_volume_gb(image)
    if size is not None and size < smallest:
        problems.append(f"root_volume.size_gb: {size} is smaller than the image's {smallest}")
    return problems


def volume_problems(volume: RootVolume) -> list[str]:
    """Whether size, IOPS and throughput go with the volume's type."""
    if volume.type not in VOLUME_TYPES:
        return [f"root_volume.type: {volume.type!r} is none of {', '.join(VOLUME_TYPES)}"]
    low, high, per_gb, iops_low, iops_high = VOLUME_TYPES[volume.type]
    problems = []
    if volume.size_gb is not None and not low <= volume.size_gb <= high:
        problems.append(f"root_volume.size_gb: {volume.size_gb} is not within {low}-{high} of {volume.type}")
    if volume.iops is None and volume.type in ("io1", "io2"):
        problems.append(f"root_volume.iops: is needed for {volume.type}")
    if volume.iops is not None and not per_gb:
        problems.append(f"root_volume.iops: cannot be chosen for {volume.type}")
    elif volume.iops is not None and not iops_low <= volume.iops <= iops_high:
        problems.append(f"root_volume.iops: {volume.iops} is not within {iops_low}-{iops_high} of {volume.type}")
    elif volume.iops is not None and volume.size_gb is not None and volume.iops > max(iops_low, per_gb * volume.size_gb):
        problems.append(f"root_volume.iops: {volume.iops} is more than {per_gb} per GiB of {volume.type}")
    return problems + _throughput_problems(volume)


def _throughput_problems(volume: RootVolume) -> list[str]:
    if volume.throughput is None:
        return []
    if volume.type != "gp3":
        return [f"root_volume.throughput: cannot be chosen for {volume.type}"]
    if not 125 <= volume.throughput <= 2000:
        return [f"root_volume.throughput: {volume.throughput} is not within 125-2000 MiB/s"]
    if volume.throughput > (volume.iops or 3000) / 4:
        return [f"root_volume.throughput: {volume.throughput} MiB/s needs at least {volume.throughput * 4} iops"]
    return []


def type_problems(found: Item | None, image: Item | None, options: NodeOptions) -> list[str]:
    """Whether the instance type exists and can run the image."""
    if found is None:
        return [f"instance_type: {options.instance_type} does not exist in this region"]
    known = found.get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    wanted = (image or {}).get("Architecture")
    if wanted and known and wanted not in known:
        return [f"instance_type: {options.instance_type} is {'/'.join(known)}, but {options.image_id} is {wanted}"]
    return []


def subnet_findings(found: list[Item], zones: set[str] | None, count: int, options: NodeOptions) -> Findings:
    """Which subnets can take count nodes of a type offered in these zones (None: not known), and what is wrong with the others."""
    result = Findings()
    by_id = {item["SubnetId"]: item for item in found}
    result.problems += [f"subnet_id: {subnet_id} does not exist in this region" for subnet_id in options.subnet_ids if subnet_id not in by_id]
    present = [by_id[subnet_id] for subnet_id in options.subnet_ids if subnet_id in by_id]
    vpcs = sorted({item["VpcId"] for item in present})
    if len(vpcs) > 1:
        result.problems.append(f"subnet_id: the subnets are in different VPCs ({', '.join(vpcs)})")
    offered = [item for item in present if zones is None or item["AvailabilityZone"] in zones]
    missing = ", ".join(f"{item['SubnetId']} ({item['AvailabilityZone']})" for item in present if item not in offered)
    if missing:
        text = f"subnet_id: {options.instance_type} is not offered in the zone of {missing}"
        (result.warnings if offered else result.problems).append(text)
    free = sum(item.get("AvailableIpAddressCount", 0) for item in offered)
    if offered and free < count:
        result.problems.append(f"subnet_id: {free} free addresses in {', '.join(item['SubnetId'] for item in offered)}, {count} nodes to launch")
    # A full subnet stays in: EC2 itself answers with its contents' token, or says that it is full, and then the next one is tried.
    result.subnets = [item["SubnetId"] for item in offered]
    result.public = {item["SubnetId"] for item in offered if item.get("MapPublicIpOnLaunch")}
    return result


def group_problems(found: list[Item], vpcs: set[str], options: NodeOptions) -> list[str]:
    """Whether the security groups exist in the subnets' VPC."""
    by_id = {item["GroupId"]: item for item in found}
    problems = [f"security_group_ids: {group_id} does not exist in this region" for group_id in options.security_group_ids if group_id not in by_id]
    problems += [
        f"security_group_ids: {group_id} is in {item.get('VpcId')}, the subnets are in {', '.join(sorted(vpcs))}"
        for group_id, item in by_id.items()
        if vpcs and item.get("VpcId") not in vpcs
    ]
    return problems


def _placement_problems(clients: Clients, options: NodeOptions) -> list[str]:
    if not options.placement_group_name:
        return []
    found = ec2.describe_placement_groups(clients.ec2, options.placement_group_name)
    if not found:
        return [f"placement_group_name: {options.placement_group_name} does not exist in this region"]
    state = found[0].get("State", "available")
    return [] if state == "available" else [f"placement_group_name: {options.placement_group_name} is {state}"]


def _key_findings(clients: Clients, key_id: str) -> Findings:
    result = Findings()
    if not key_id:
        return result
    try:
        key = ec2.describe_key(clients.kms, key_id)
    except KmsError as error:
        if error.code in DENIED_CODES:
            result.warnings.append(f"root_volume.kms_key_id: not checked: {error}")
        else:
            result.problems.append(f"root_volume.kms_key_id: {key_id}: {error.code}: {error.aws_message}")
        return result
    if key.get("KeyState", "Enabled") != "Enabled":
        result.problems.append(f"root_volume.kms_key_id: {key_id} is {key['KeyState']}; an instance with such a volume terminates at once")
    return result


def read_image(clients: Clients, image_id: str) -> Item | None:
    """The image, or None."""
    found = ec2.describe_images(clients.ec2, image_id) if image_id else []
    return found[0] if found else None


def preflight(options: NodeOptions, clients: Clients, image: Item | None, count: int) -> Findings:
    """Check everything a launch of count nodes needs; six calls, however many nodes."""
    result = Findings(image, problems=options.problems())
    result.problems += volume_problems(options.root_volume)
    if options.image_id:
        result.problems += image_problems(image, options)
    instance_type = _read_type(clients, options.instance_type)
    if options.instance_type:
        result.problems += type_problems(instance_type, image, options)
    if options.subnet_ids:
        zones = ec2.offering_zones(clients.ec2, options.instance_type) if instance_type else None
        _check_network(options, clients, zones, count, result)
    result.problems += _placement_problems(clients, options)
    key = _key_findings(clients, options.root_volume.kms_key_id)
    result.problems += key.problems
    result.warnings += key.warnings
    return result


def _read_type(clients: Clients, name: str) -> Item | None:
    found = ec2.describe_instance_types(clients.ec2, [name]) if name else []
    return next((item for item in found if item["InstanceType"] == name), None)


def _check_network(options: NodeOptions, clients: Clients, zones: set[str] | None, count: int, result: Findings) -> None:
    found = ec2.describe_subnets(clients.ec2, list(options.subnet_ids))
    subnets = subnet_findings(found, zones, count, options)
    result.subnets, result.public = subnets.subnets, subnets.public
    result.problems += subnets.problems
    result.warnings += subnets.warnings
    if options.security_group_ids:
        groups = ec2.describe_security_groups(clients.ec2, {"group-id": list(options.security_group_ids)})
        result.problems += group_problems(groups, {item["VpcId"] for item in found}, options)


def dry_run_problem(clients: Clients, request: Item) -> str:
    """What EC2 itself says to the launch without doing it; "" when it would do it."""
    try:
        ec2.dry_run_instances(clients.ec2, request)
    except ApiError as error:
        return "" if error.code == "DryRunOperation" else f"EC2 would refuse the launch: {error}"
    return ""
