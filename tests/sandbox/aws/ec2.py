# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EC2 as strict as the real one: client tokens, dry runs, refusals, states, visibility, pagination."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import typing as t

from moto.core.responses import ActionResult, EmptyResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.exceptions import DryRunClientError, EC2ClientError, InvalidInstanceIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Reservation
from moto.ec2.responses import EC2Response
from moto.ec2.utils import random_ami_id

from .filters import matches
from .instances import StrictInstance
from .kms import usable
from .launch import Launch, check_request, check_room, refuse
from .security_groups import SecurityGroupActions
from .world import part_of

if t.TYPE_CHECKING:
    from .part import AwsPart

CONSOLE_LIMIT = 64 * 1024
# Actions that name instances without needing them to exist, or look them up in another way.
UNCHECKED = ("RunInstances",)


@dataclasses.dataclass
class Token:
    """What a client token stands for."""

    fingerprint: str
    reservation: t.Any


class StrictAmi(Ami):
    """An image with the block devices it was registered with."""

    mappings: list[dict[str, t.Any]]

    @property
    def block_device_mappings(self) -> list[dict[str, t.Any]]:
        return self.mappings


class StrictEC2Backend(EC2Backend):
    """moto's store, and what it lacks: client tokens (per zone) and placement groups."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.tokens: dict[tuple[str, str], Token] = {}
        self.placement_groups: dict[str, dict[str, t.Any]] = {}

    def _load_amis(self) -> None:
        """No images but those the seed registers: moto's would only slow snapshots down."""


class StrictEC2Response(SecurityGroupActions):
    """One EC2 request."""

    # moto shows every instance as pending in a RunInstances reply; a repeated token shows the state of today.
    RESPONSE_KEY_PATH_TO_TRANSFORMER = {
        path: function for path, function in EC2Response.RESPONSE_KEY_PATH_TO_TRANSFORMER.items() if path != "RunInstances.Reservation.Instances.Instance.State"
    }

    @property
    def part(self) -> AwsPart:
        return part_of(self.current_account)

    def _plain(self) -> dict[str, t.Any]:
        """The parameters as plain dicts and lists, as boto3 names them."""
        return dict(_plain(self.params))

    def _asked(self) -> dict[str, t.Any]:
        return self._plain()

    def call_action(self) -> t.Any:
        """Refuse instance IDs that EC2 does not know (yet) before moto sees them."""
        try:
            self._check_instance_ids()
        except EC2ClientError as error:
            return self.serialized(ActionResult(error))
        return super().call_action()

    def _check_instance_ids(self) -> None:
        if self._get_action() in UNCHECKED:
            return
        parameters = self._plain()
        named = [*parameters.get("InstanceIds", []), *filter(None, [parameters.get("InstanceId")])]
        named += [one for one in parameters.get("Resources", []) if str(one).startswith("i-")]
        for instance_id in named:
            if not re.fullmatch(r"i-([0-9a-f]{8}|[0-9a-f]{17})", instance_id):
                refuse("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
        visible = {instance.id for instance in self._visible()}
        if missing := [instance_id for instance_id in named if instance_id not in visible]:
            raise InvalidInstanceIdError(missing)

    def _visible(self) -> list[StrictInstance]:
        """Instances that a describe shows by now.

        https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
        """
        now = self.part.clock.now()
        return [instance for one in self.ec2_backend.reservations.values() for instance in one.instances if instance.life.visible_at <= now]

    # RunInstances

    def run_instances(self) -> ActionResult:
        launch = Launch(self.ec2_backend, self.region, self._plain())
        check_request(launch)
        self.error_on_dryrun()
        if known := self._by_token(launch):
            return ActionResult(known)
        check_room(launch)
        count = self._capacity(launch)
        reservation = self._launch(launch, count)
        if launch.token:
            self.ec2_backend.tokens[launch.zone, launch.token] = Token(launch.fingerprint(), reservation)
        return ActionResult(reservation)

    def _by_token(self, launch: Launch) -> t.Any:
        """The reservation that this client token already made in this zone, None if there is none.

        https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
        """
        known = self.ec2_backend.tokens.get((launch.zone, launch.token))
        if known is None:
            return None
        if known.fingerprint != launch.fingerprint():
            refuse("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
        if any(instance.state in ("shutting-down", "terminated") for instance in known.reservation.instances):
            message = "The client token you have provided is associated with a resource that is already deleted. Please use a different client token."
            refuse("IdempotentInstanceTerminated", message)
        return known.reservation

    def _capacity(self, launch: Launch) -> int:
        """How many instances are launched: MaxCount, or what is left of it."""
        conditions = self.part.conditions
        if conditions.exhausted(launch.zone, launch.instance_type):
            refuse(
                "InsufficientInstanceCapacity",
                f"We currently do not have sufficient {launch.instance_type} capacity in the Availability Zone you requested ({launch.zone}). "
                "Our system will be working on provisioning additional capacity.",
            )
        most, least = int(launch.parameters.get("MaxCount", 1)), int(launch.parameters.get("MinCount", 1))
        if conditions.capacity is None:
            return most
        if conditions.capacity < least:
            message = "You have requested more vCPU capacity than your current vCPU limit allows for the instance bucket of the specified instance type."
            refuse("VcpuLimitExceeded", message)
        return min(most, conditions.capacity)

    def _launch(self, launch: Launch, count: int) -> Reservation:
        """Let moto make the instances from a request that says everything explicitly, then add what moto leaves out."""
        parameters = launch.parameters
        keys = [one["Ebs"].get("KmsKeyId") for one in launch.volumes()]
        doom = "" if all(usable(self.current_account, self.region, key) for key in keys) else "Client.InternalError"
        interface = {
            "DeviceIndex": 0,
            "SubnetId": launch.subnet.id,
            "Groups": launch.group_ids or [self.ec2_backend.get_default_security_group(launch.subnet.vpc_id).id],
            "DeleteOnTermination": launch.interface.get("DeleteOnTermination", True),
            "AssociatePublicIpAddress": launch.interface.get("AssociatePublicIpAddress", launch.subnet.map_public_ip_on_launch),
            "Description": launch.interface.get("Description", ""),
        }
        if not launch.private_ip:
            _offer_addresses(self.ec2_backend, launch.subnet, count)
        reservation: Reservation = self.ec2_backend.run_instances(
            parameters["ImageId"],
            count,
            _user_data(parameters.get("UserData")),
            [],
            instance_type=launch.instance_type,
            is_instance_type_default=False,
            region_name=self.region,
            nics=[interface],
            private_ip=launch.private_ip or None,
            key_name=parameters.get("KeyName"),
            tags={"instance": launch.tags("instance"), "volume": launch.tags("volume")},
            metadata_options=parameters.get("MetadataOptions", {}),
            client_token=launch.token,
            disable_api_termination=bool(parameters.get("DisableApiTermination", False)),
            ebs_optimized=bool(parameters.get("EbsOptimized", False)),
            monitoring_state="enabled" if parameters.get("Monitoring", {}).get("Enabled") else "disabled",
            instance_initiated_shutdown_behavior=parameters.get("InstanceInitiatedShutdownBehavior"),
            block_device_mappings=[{"DeviceName": one["DeviceName"], "Ebs": _ebs(one["Ebs"])} for one in launch.volumes()],
        )
        for instance in reservation.instances:
            self._finish(launch, instance, doom)
        return reservation

    def _finish(self, launch: Launch, instance: t.Any, doom: str) -> None:
        """What moto's launch does not do: interface tags, groups, placement group, volume performance, profile, life."""
        instance.__class__ = StrictInstance
        instance.security_groups = list(instance.nics[0].group_set)
        instance.nics[0].add_tags(launch.tags("network-interface"))
        instance.placement.group_name = launch.parameters.get("Placement", {}).get("GroupName", "")
        specs = {one["DeviceName"]: one["Ebs"] for one in launch.volumes()}
        for device, attachment in instance.block_device_mapping.items():
            volume = self.ec2_backend.volumes[attachment.volume_id]
            volume.throughput = specs[device].get("Throughput", volume.throughput)
            volume.iops = specs[device].get("Iops", volume.iops)
        if launch.profile is not None:
            self.ec2_backend.associate_iam_instance_profile(instance_id=instance.id, iam_instance_profile_arn=launch.profile.arn)
        self.part.lifecycle.launched(instance, doom)

    # Other changes of state

    def terminate_instances(self) -> ActionResult:
        """Terminate by zone: a protected instance saves those of its own zone, and the call fails all the same.

        https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html
        """
        instances = self._named()
        self.error_on_dryrun()
        protected = [instance for instance in instances if instance.disable_api_termination]
        safe_zones = {instance.availability_zone for instance in protected}
        changes = [self._change(instance, self.part.lifecycle.terminate) for instance in instances if instance.availability_zone not in safe_zones]
        if protected:
            refuse(
                "OperationNotPermitted",
                f"The instance '{protected[0].id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
            )
        return ActionResult({"TerminatingInstances": changes})

    def stop_instances(self) -> ActionResult:
        instances = self._named()
        self.error_on_dryrun()
        self._require(instances, "running", "stopped", "stopping")
        return ActionResult({"StoppingInstances": [self._change(one, self.part.lifecycle.stop if one.state == "running" else _nothing) for one in instances]})

    def start_instances(self) -> ActionResult:
        instances = self._named()
        self.error_on_dryrun()
        self._require(instances, "stopped", "running", "pending")
        return ActionResult({"StartingInstances": [self._change(one, self.part.lifecycle.start if one.state == "stopped" else _nothing) for one in instances]})

    def reboot_instances(self) -> ActionResult:
        instances = self._named()
        self.error_on_dryrun()
        self._require(instances, "running")
        for instance in instances:
            self.part.lifecycle.reboot(instance)
        return EmptyResult()

    def _named(self) -> list[StrictInstance]:
        wanted = self._plain().get("InstanceIds", [])
        return [self.ec2_backend.get_instance(instance_id) for instance_id in dict.fromkeys(wanted)]

    def _require(self, instances: list[StrictInstance], *states: str) -> None:
        for instance in instances:
            if instance.state not in states:
                refuse("IncorrectInstanceState", f"The instance '{instance.id}' is not in a state from which this is possible ({instance.state}).")

    def _change(self, instance: StrictInstance, act: t.Callable[[StrictInstance], None]) -> dict[str, t.Any]:
        before = {"Code": instance.state_code, "Name": instance.state}
        act(instance)
        return {"InstanceId": instance.id, "PreviousState": before, "CurrentState": {"Code": instance.state_code, "Name": instance.state}}

    # Describing

    def describe_instances(self) -> ActionResult:
        self.error_on_dryrun()
        chosen = {instance.id: instance for instance in self._select()}
        page, token = self._page(list(chosen.values()), low=5, high=1000)
        ids = {instance.id for instance in page}
        reservations = []
        for known in self.ec2_backend.reservations.values():
            if mine := [instance for instance in known.instances if instance.id in ids]:
                shown = Reservation(known.id, known.owner_id)
                shown.instances = mine
                reservations.append(shown)
        return ActionResult({"Reservations": reservations, "NextToken": token})

    def describe_instance_status(self) -> ActionResult:
        self.error_on_dryrun()
        everything = bool(self._plain().get("IncludeAllInstances"))
        chosen = [instance for instance in self._select() if everything or instance.state == "running"]
        for instance in chosen:
            instance.impaired = instance.id in self.part.conditions.impaired
            instance.is_checked = instance.life.checked_at <= self.part.clock.now()
        page, token = self._page(chosen, low=5, high=1000)
        return ActionResult({"InstanceStatuses": page, "NextToken": token})

    def _select(self) -> list[StrictInstance]:
        parameters = self._plain()
        wanted = parameters.get("InstanceIds", [])
        if wanted and "MaxResults" in parameters:
            refuse("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
        filters = parameters.get("Filters", [])
        return [one for one in self._visible() if (not wanted or one.id in wanted) and matches(one, filters)]

    def _page(self, items: list[t.Any], *, low: int, high: int) -> tuple[list[t.Any], str | None]:
        """The page asked for, and the token of the next one."""
        parameters = self._plain()
        size = int(parameters.get("MaxResults", high))
        if size < low:
            refuse("InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value greater than {low}.")
        if size > high:
            refuse("InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value less than {high}.")
        start = _read_token(parameters.get("NextToken"))
        end = start + size
        return items[start:end], _write_token(end) if end < len(items) else None

    # moto shows everything at once; the real service shows a page.

    def describe_security_groups(self) -> ActionResult:
        return self._paged(super().describe_security_groups(), "SecurityGroups", "GroupIds")

    def describe_subnets(self) -> ActionResult:
        return self._paged(super().describe_subnets(), "Subnets", "SubnetIds")

    def describe_volumes(self) -> ActionResult:
        return self._paged(super().describe_volumes(), "Volumes", "VolumeIds")

    def describe_network_interfaces(self) -> ActionResult:
        return self._paged(super().describe_network_interfaces(), "NetworkInterfaces", "NetworkInterfaceIds")

    def describe_security_group_rules(self) -> ActionResult:
        return self._paged(super().describe_security_group_rules(), "SecurityGroupRules", "SecurityGroupRuleIds")

    def describe_route_tables(self) -> ActionResult:
        return self._paged(super().describe_route_tables(), "RouteTables", "RouteTableIds", high=100)

    def describe_internet_gateways(self) -> ActionResult:
        return self._paged(super().describe_internet_gateways(), "InternetGateways", "InternetGatewayIds")

    def describe_vpcs(self) -> ActionResult:
        return self._paged(super().describe_vpcs(), "Vpcs", "VpcIds")

    def describe_instance_types(self) -> ActionResult:
        return self._paged(super().describe_instance_types(), "InstanceTypes", "InstanceTypes", high=100)

    def describe_instance_type_offerings(self) -> ActionResult:
        return self._paged(super().describe_instance_type_offerings(), "InstanceTypeOfferings", "")

    def _paged(self, everything: ActionResult, name: str, ids: str, *, high: int = 1000) -> ActionResult:
        """A page of what moto found; `ids` is the parameter that names single things and excludes pages."""
        parameters = self._plain()
        items = list(t.cast("dict[str, t.Any]", everything.result)[name])
        if parameters.get(ids):
            if "MaxResults" in parameters:
                refuse("InvalidParameterCombination", f"The parameter {ids} cannot be used with the parameter maxResults")
            return ActionResult({name: items})
        page, token = self._page(items, low=5, high=high)
        return ActionResult({name: page, "NextToken": token})

    def get_console_output(self) -> ActionResult:
        """Buffered text, or the text of this moment with Latest (Nitro only).

        https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshoot-unreachable-instance.html
        """
        parameters = self._plain()
        instance = self.ec2_backend.get_instance(parameters["InstanceId"])
        self.error_on_dryrun()
        text = instance.life.posted
        if parameters.get("Latest"):
            if INSTANCE_TYPES[instance.instance_type].get("Hypervisor") != "nitro":
                message = "This instance type does not support retrieving the latest console logs. Set Latest to false, or use a Nitro-based instance type."
                refuse("UnsupportedOperation", message)
            text = self.part.machines.console(instance.id) if instance.state == "running" else text
        result = {"InstanceId": instance.id, "Timestamp": utcnow()}
        if text:
            result["Output"] = Base64EncodedString.from_raw_string(text[-CONSOLE_LIMIT:])
        return ActionResult(result)

    # Images and placement groups

    def register_image(self) -> ActionResult:
        parameters = self._plain()
        self.error_on_dryrun()
        mappings = parameters.get("BlockDeviceMappings") or [{"DeviceName": parameters.get("RootDeviceName", "/dev/sda1"), "Ebs": {"VolumeSize": 8}}]
        image = StrictAmi(
            self.ec2_backend,
            random_ami_id(),
            name=parameters["Name"],
            description=parameters.get("Description", ""),
            architecture=parameters.get("Architecture", "i386"),
            virtualization_type=parameters.get("VirtualizationType", "paravirtual"),
            root_device_name=parameters.get("RootDeviceName", "/dev/sda1"),
            root_device_type="ebs",
            boot_mode=parameters.get("BootMode", "legacy-bios"),
            tags={tag["Key"]: tag["Value"] for spec in parameters.get("TagSpecifications", []) for tag in spec.get("Tags", [])},
        )
        defaults = {"SnapshotId": image.ebs_snapshot.id, "DeleteOnTermination": True, "VolumeType": "gp2", "Encrypted": False, "VolumeSize": 8}
        image.mappings = [{"DeviceName": one["DeviceName"], "Ebs": {**defaults, **one.get("Ebs", {})}} for one in mappings]
        self.ec2_backend.amis[image.id] = image
        return ActionResult({"ImageId": image.id})

    def create_placement_group(self) -> ActionResult:
        parameters = self._plain()
        self.error_on_dryrun()
        name = parameters["GroupName"]
        if name in self.ec2_backend.placement_groups:
            refuse("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")
        identity = f"pg-{len(self.ec2_backend.placement_groups):017x}"
        group = {"GroupName": name, "Strategy": parameters.get("Strategy", "cluster"), "State": "available", "GroupId": identity}
        self.ec2_backend.placement_groups[name] = group
        return ActionResult({"PlacementGroup": group})

    def describe_placement_groups(self) -> ActionResult:
        parameters = self._plain()
        self.error_on_dryrun()
        groups = self.ec2_backend.placement_groups
        for name in parameters.get("GroupNames", []):
            if name not in groups:
                refuse("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
        chosen = [group for name, group in groups.items() if name in parameters.get("GroupNames", groups)]
        return ActionResult({"PlacementGroups": chosen})

    def delete_placement_group(self) -> ActionResult:
        name = self._plain()["GroupName"]
        self.error_on_dryrun()
        if name not in self.ec2_backend.placement_groups:
            refuse("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
        if any(instance.placement.group_name == name and instance.state != "terminated" for instance in self.part.lifecycle.instances()):
            refuse("InvalidPlacementGroup.InUse", f"The placement group '{name}' is in use and may not be deleted.")
        del self.ec2_backend.placement_groups[name]
        return EmptyResult()

    def error_on_dryrun(self) -> None:
        """Every action of EC2 that takes DryRun answers it with an error.

        https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html
        """
        if self._plain().get("DryRun"):
            raise DryRunClientError()


def _offer_addresses(store: StrictEC2Backend, subnet: t.Any, count: int) -> None:
    """Make moto take these addresses: the next free ones after the last one given, since reuse at once would hide mistakes.

    moto's own iterator is cached per object: in a restored world it starts again, at addresses that AWS reserves.
    """
    taken = {interface.private_ip_address for interface in store.enis.values() if interface.subnet.id == subnet.id}
    # The first four addresses and the last one are AWS' own.
    usable = [str(address) for address in subnet.cidr][4:-1]
    next_one = getattr(subnet, "next_address", 0)
    free = [address for address in usable[next_one:] + usable[:next_one] if address not in taken][:count]
    subnet.next_address = usable.index(free[-1]) + 1
    subnet._unused_ips = set(free)


def _nothing(_instance: StrictInstance) -> None:
    """The state is what was asked for already."""


def _plain(value: t.Any) -> t.Any:
    if hasattr(value, "original_dict"):
        value = value.original_dict()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _ebs(block: dict[str, t.Any]) -> dict[str, t.Any]:
    """A block device as moto's launch reads it."""
    return {"VolumeType": "gp2", **block}


def _user_data(encoded: t.Any) -> t.Any:
    """User data as moto keeps it; None if there is none."""
    return Base64EncodedString(str(encoded)) if encoded else None


def _write_token(offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"offset": offset}).encode()).decode()


def _read_token(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(token))["offset"])
    except (ValueError, KeyError, TypeError):
        return refuse("InvalidPaginationToken", "The specified pagination token is not valid or is expired.")
