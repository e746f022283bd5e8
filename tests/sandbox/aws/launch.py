# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What RunInstances refuses, with EC2's codes; moto launches nearly anything.

Codes: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
A dry run validates the request, and finds type, zone, architecture and placement group wrong too
(hashicorp/packer-plugin-amazon#649, awslabs/engineering-development-hub#77, aws/aws-parallelcluster#1248); what needs
room or a volume (`check_room`) comes out only when the request is meant.
"""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import json
import re
import typing as t

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES

UNSUPPORTED = ("LaunchTemplate", "InstanceMarketOptions", "SecurityGroups", "Ipv6AddressCount", "HibernationOptions", "CapacityReservationSpecification")
MAX_GROUPS = 5
MAX_TAGS = 50
MAX_USER_DATA = 16384
MAX_TOKEN = 64
# type -> (smallest GiB, largest GiB, smallest IOPS, largest IOPS); no IOPS = the type takes none
VOLUME_TYPES: dict[str, tuple[int, int, int, int]] = {
    "standard": (1, 1024, 0, 0),
    "gp2": (1, 16384, 0, 0),
    "gp3": (1, 65536, 3000, 80000),
    "io1": (4, 16384, 100, 64000),
    "io2": (4, 65536, 100, 256000),
    "st1": (125, 16384, 0, 0),
    "sc1": (125, 16384, 0, 0),
}


def refuse(code: str, message: str) -> t.NoReturn:
    """Answer with this EC2 error."""
    raise EC2ClientError(code, message)


@dataclasses.dataclass
class Launch:
    """A RunInstances request, with what it resolves to.

    parameters: as boto3 names them. subnet, image, groups: moto's objects, filled by check_request.
    """

    backend: t.Any
    region: str
    parameters: dict[str, t.Any]
    subnet: t.Any = None
    image: t.Any = None
    groups: list[t.Any] = dataclasses.field(default_factory=list)
    profile: t.Any = None

    @property
    def token(self) -> str:
        """The client token, "" if there is none."""
        return str(self.parameters.get("ClientToken") or "")

    @property
    def zone(self) -> str:
        """Where it is to run."""
        return str(self.subnet.availability_zone)

    @property
    def interface(self) -> dict[str, t.Any]:
        """The primary network interface as asked for, {} if left to EC2."""
        return next((one for one in self.parameters.get("NetworkInterfaces", []) if int(one.get("DeviceIndex", 0)) == 0), {})

    @property
    def subnet_id(self) -> str:
        return str(self.parameters.get("SubnetId") or self.interface.get("SubnetId") or "")

    @property
    def group_ids(self) -> list[str]:
        return list(self.parameters.get("SecurityGroupIds") or self.interface.get("Groups") or [])

    @property
    def private_ip(self) -> str:
        """The address asked for, "" if EC2 is to choose."""
        return str(self.parameters.get("PrivateIpAddress") or self.interface.get("PrivateIpAddress") or "")

    @property
    def instance_type(self) -> str:
        return str(self.parameters.get("InstanceType", "m1.small"))

    def fingerprint(self) -> str:
        """Equal for requests that the same client token may repeat."""
        same = {name: value for name, value in self.parameters.items() if name not in ("ClientToken", "DryRun")}
        return json.dumps(same, sort_keys=True, default=str)

    def tags(self, resource_type: str) -> dict[str, str]:
        """The tags asked for a kind of resource."""
        specs = [spec for spec in self.parameters.get("TagSpecifications", []) if spec.get("ResourceType") == resource_type]
        return {tag["Key"]: tag.get("Value", "") for spec in specs for tag in spec.get("Tags", [])}

    def root_mapping(self) -> dict[str, t.Any]:
        """What the image says about its root device (an Ebs block)."""
        for mapping in self.image.block_device_mappings:
            if mapping["DeviceName"] == self.image.root_device_name:
                return dict(mapping["Ebs"])
        return {}

    def volumes(self) -> list[dict[str, t.Any]]:
        """All block devices of the instance: the image's, changed and added to by the request's."""
        merged = {mapping["DeviceName"]: dict(mapping["Ebs"]) for mapping in self.image.block_device_mappings}
        for mapping in self.parameters.get("BlockDeviceMappings", []):
            name = mapping.get("DeviceName", "")
            if "NoDevice" in mapping:
                merged.pop(name, None)
                continue
            merged.setdefault(name, {"DeleteOnTermination": False}).update(mapping.get("Ebs", {}))
        return [{"DeviceName": name, "Ebs": ebs} for name, ebs in merged.items()]


def check_request(launch: Launch) -> None:
    """Everything that a dry run finds too; resolves image, subnet, groups and profile.

    Raises NotImplementedError for what the sandbox does not do at all.
    """
    if missing := [name for name in UNSUPPORTED if launch.parameters.get(name)]:
        raise NotImplementedError(f"RunInstances of the sandbox does not know {', '.join(missing)}")
    _check_combinations(launch)
    _check_token(launch)
    launch.image = _image(launch)
    launch.subnet = _subnet(launch)
    launch.groups = [_group(launch, group_id) for group_id in launch.group_ids]
    launch.profile = _profile(launch)
    _check_counts(launch)
    _check_user_data(launch)
    _check_tags(launch)
    _check_type(launch)
    _check_groups(launch)
    _check_placement_group(launch)


def check_room(launch: Launch) -> None:
    """What EC2 finds only when it is asked to launch for real: addresses and volumes."""
    _check_addresses(launch)
    for mapping in launch.volumes():
        _check_volume(launch, mapping["DeviceName"], mapping["Ebs"])


def _check_combinations(launch: Launch) -> None:
    if not launch.parameters.get("NetworkInterfaces"):
        return
    if launch.parameters.get("SubnetId"):
        refuse("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request")
    if launch.parameters.get("SecurityGroupIds") or launch.parameters.get("SecurityGroups"):
        refuse("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")


def _check_token(launch: Launch) -> None:
    if len(launch.token) > MAX_TOKEN or not launch.token.isascii():
        refuse("InvalidParameterValue", f"Invalid client token {launch.token!r}: at most {MAX_TOKEN} ASCII characters")


def _image(launch: Launch) -> t.Any:
    image_id = launch.parameters.get("ImageId")
    if not image_id:
        refuse("MissingParameter", "The request must contain the parameter ImageId")
    if not re.fullmatch(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", image_id):
        refuse("InvalidAMIID.Malformed", f'Invalid id: "{image_id}"')
    image = launch.backend.amis.get(image_id)
    if image is None:
        refuse("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    if image.state != "available":
        refuse("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is currently {image.state} and may not be run")
    return image


def _subnet(launch: Launch) -> t.Any:
    if not launch.subnet_id:
        # The VPC's default subnet, as for anyone who names none.
        default = [subnet for zone in launch.backend.subnets.values() for subnet in zone.values() if subnet.default_for_az]
        return default[0] if default else refuse("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
    if not launch.subnet_id.startswith("subnet-"):
        refuse("InvalidSubnetID.Malformed", f'Invalid id: "{launch.subnet_id}" (expecting "subnet-...")')
    for zone in launch.backend.subnets.values():
        if launch.subnet_id in zone:
            return zone[launch.subnet_id]
    return refuse("InvalidSubnetID.NotFound", f"The subnet ID '{launch.subnet_id}' does not exist")


def _group(launch: Launch, group_id: str) -> t.Any:
    if not group_id.startswith("sg-"):
        refuse("InvalidGroupId.Malformed", f'Invalid id: "{group_id}" (expecting "sg-...")')
    for groups in launch.backend.groups.values():
        if group_id in groups:
            return groups[group_id]
    return refuse("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist in VPC '{launch.subnet.vpc_id}'")


def _profile(launch: Launch) -> t.Any:
    wanted = launch.parameters.get("IamInstanceProfile") or {}
    if not wanted:
        return None
    from moto.iam.models import iam_backends

    profiles = iam_backends[launch.backend.account_id][launch.backend.partition].instance_profiles.values()
    for profile in profiles:
        if profile.name == wanted.get("Name") or profile.arn == wanted.get("Arn"):
            return profile
    key, value = next(iter(wanted.items()))
    word = {"Name": "name", "Arn": "ARN"}[key]
    return refuse("InvalidParameterValue", f"Value ({value}) for parameter iamInstanceProfile.{key.lower()} is invalid. Invalid IAM Instance Profile {word}")


def _check_counts(launch: Launch) -> None:
    least, most = int(launch.parameters.get("MinCount", 1)), int(launch.parameters.get("MaxCount", 1))
    if least < 1:
        refuse("InvalidParameterValue", f"Value ({least}) for parameter minCount is invalid.")
    if most < least:
        refuse("InvalidParameterValue", f"Value ({most}) for parameter maxCount is invalid. maxCount must be at least minCount.")


def _check_addresses(launch: Launch) -> None:
    taken = {interface.private_ip_address for interface in launch.backend.enis.values() if interface.subnet.id == launch.subnet.id}
    # The first four addresses and the last one of a subnet are AWS' own.
    free = launch.subnet.cidr.num_addresses - 5 - len(taken)
    if free < int(launch.parameters.get("MinCount", 1)):
        refuse("InsufficientFreeAddressesInSubnet", f"The specified subnet '{launch.subnet.id}' does not have enough free addresses to satisfy the request.")
    if not launch.private_ip:
        return
    if ipaddress.ip_address(launch.private_ip) not in launch.subnet.cidr:
        refuse("InvalidParameterValue", "Address does not fall within the subnet's address range")
    if launch.private_ip in taken:
        refuse("InvalidIPAddress.InUse", f"Address {launch.private_ip} is in use.")


def _check_type(launch: Launch) -> None:
    name = launch.instance_type
    if name not in INSTANCE_TYPES:
        refuse("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
    offered = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(launch.region, [])
    zones = sorted(offer["Location"] for offer in offered if offer["InstanceType"] == name)
    if launch.zone not in zones:
        refuse(
            "Unsupported",
            f"Your requested instance type ({name}) is not supported in your requested Availability Zone ({launch.zone}). "
            f"Please retry your request by not specifying an Availability Zone or choosing {', '.join(zones)}.",
        )
    architectures = INSTANCE_TYPES[name].get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    if launch.image.architecture not in architectures:
        refuse(
            "InvalidParameterValue",
            f"The architecture '{','.join(architectures)}' of the specified instance type does not match the architecture "
            f"'{launch.image.architecture}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
        )


def _check_groups(launch: Launch) -> None:
    if len(set(launch.group_ids)) > MAX_GROUPS:
        message = f"You have exceeded the maximum number of security groups allowed per network interface ({MAX_GROUPS})."
        refuse("SecurityGroupsPerInterfaceLimitExceeded", message)
    for group in launch.groups:
        if group.vpc_id != launch.subnet.vpc_id:
            refuse("InvalidParameter", f"Security group {group.id} and subnet {launch.subnet.id} belong to different networks.")


def _check_placement_group(launch: Launch) -> None:
    placement = launch.parameters.get("Placement", {})
    name = placement.get("GroupName", "")
    if not name:
        return
    group = launch.backend.placement_groups.get(name)
    if group is None:
        refuse("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    supported = INSTANCE_TYPES[launch.instance_type].get("PlacementGroupInfo", {}).get("SupportedStrategies", [])
    if group["Strategy"] not in supported:
        strategy = group["Strategy"].capitalize()
        refuse("InvalidParameterCombination", f"{strategy} placement groups are not supported by the '{launch.instance_type}' instance type.")


def _check_volume(launch: Launch, device: str, ebs: dict[str, t.Any]) -> None:
    """One block device; launch.image decides which one is the root and how small it may be."""
    if not re.fullmatch(r"(/dev/)?(sd|xvd)[a-z]{1,2}\d{0,2}", device):
        refuse("InvalidBlockDeviceMapping", f"Invalid device name {device}")
    size = ebs.get("VolumeSize")
    if not size and not ebs.get("SnapshotId"):
        refuse("MissingParameter", "The request must contain the parameter size or snapshotId")
    root = launch.root_mapping()
    if device == launch.image.root_device_name and size and int(size) < int(root["VolumeSize"]):
        least = f"expect size>= {root['VolumeSize']}GB"
        refuse("InvalidBlockDeviceMapping", f"Volume of size {size}GB is smaller than snapshot '{root['SnapshotId']}', {least}")
    kind = ebs.get("VolumeType", "gp2")
    if kind not in VOLUME_TYPES:
        refuse("InvalidParameterValue", f"Invalid value '{kind}' for VolumeType.")
    if ebs.get("KmsKeyId") and not ebs.get("Encrypted"):
        refuse("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
    _check_performance(kind, ebs)


def _check_performance(kind: str, ebs: dict[str, t.Any]) -> None:
    smallest, largest, low, high = VOLUME_TYPES[kind]
    size, iops = ebs.get("VolumeSize"), ebs.get("Iops")
    if size and not smallest <= int(size) <= largest:
        refuse("InvalidParameterValue", f"Volume of {size}GiB is invalid for volume type {kind}; it must be between {smallest} and {largest}GiB.")
    if iops and not high:
        refuse("InvalidParameterCombination", f"The parameter iops is not supported for {kind} volumes.")
    if kind in ("io1", "io2") and not iops:
        refuse("MissingParameter", f"The parameter iops must be specified for {kind} volumes.")
    if iops and not low <= int(iops) <= high:
        refuse("InvalidParameterValue", f"Volume iops of {iops} is out of range; it must be between {low} and {high} for {kind} volumes.")
    if ebs.get("Throughput") and kind != "gp3":
        refuse("InvalidParameterCombination", f"The parameter throughput is not supported for {kind} volumes.")


def _check_user_data(launch: Launch) -> None:
    data = launch.parameters.get("UserData")
    if not data:
        return
    try:
        raw = base64.b64decode(data, validate=True)
    except ValueError:
        refuse("InvalidParameterValue", "Invalid BASE64 encoding of user data.")
    if len(raw) > MAX_USER_DATA:
        refuse("InvalidParameterValue", f"User data is limited to {MAX_USER_DATA} bytes")


def _check_tags(launch: Launch) -> None:
    for spec in launch.parameters.get("TagSpecifications", []):
        keys = [tag["Key"] for tag in spec.get("Tags", [])]
        if len(keys) != len(set(keys)):
            refuse("InvalidParameterValue", "Duplicate tag key found. Please specify unique tag keys.")
        if len(keys) > MAX_TAGS:
            refuse("TagLimitExceeded", f"You have exceeded the maximum number of tags allowed per resource ({MAX_TAGS}).")
        for tag in spec.get("Tags", []):
            _check_tag(tag["Key"], tag.get("Value", ""))


def _check_tag(key: str, value: str) -> None:
    if key.lower().startswith("aws:"):
        message = "Tag keys starting with 'aws:' are reserved for internal use"
        refuse("InvalidParameterValue", f"Value ( {key} ) for parameter key is invalid. {message}")
    if not 1 <= len(key) <= 128:
        refuse("InvalidParameterValue", f"Tag key exceeds the maximum length of 128 characters: {key}")
    if len(value) > 256:
        refuse("InvalidParameterValue", f"Tag value exceeds the maximum length of 256 characters: {value}")
