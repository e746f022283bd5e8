# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RunInstances: client tokens, dry runs and everything it refuses.

Each test cites where the real behaviour is documented. API = https://docs.aws.amazon.com/AWSEC2/latest/APIReference
"""

from __future__ import annotations

import base64
import typing as t

import pytest

from .aws_lab import Lab, expect_refused, until

IDEMPOTENCY = "https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html"
ERRORS = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html"


def root(lab: Lab, **ebs: t.Any) -> dict[str, t.Any]:
    """A BlockDeviceMappings word for the root device, changed as given."""
    return {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", **ebs}}]}


# Client tokens: IDEMPOTENCY


def test_same_token_and_parameters_give_the_same_instance(lab: Lab) -> None:
    """devguide/ec2-api-idempotency: a retry with the same parameters succeeds without a further action."""
    first = lab.ec2.run_instances(**lab.request(ClientToken="one"))
    again = lab.ec2.run_instances(**lab.request(ClientToken="one"))
    assert again["ReservationId"] == first["ReservationId"]
    assert [one["InstanceId"] for one in again["Instances"]] == [one["InstanceId"] for one in first["Instances"]]
    assert len(lab.ec2.describe_instances()["Reservations"]) == 1


def test_repeated_token_shows_the_instance_as_it_is_now(lab: Lab) -> None:
    """devguide/ec2-api-idempotency: the result might contain updated information, such as the current creation status."""
    instance_id = lab.running(ClientToken="one")
    again = lab.ec2.run_instances(**lab.request(ClientToken="one"))["Instances"][0]
    assert (again["InstanceId"], again["State"]["Name"]) == (instance_id, "running")


def test_other_parameters_for_a_token_are_a_mismatch(lab: Lab) -> None:
    """devguide/ec2-api-idempotency: the retry fails with IdempotentParameterMismatch."""
    lab.launch(ClientToken="one")
    with expect_refused("IdempotentParameterMismatch"):
        lab.launch(ClientToken="one", InstanceType="m5.xlarge")
    assert len(lab.ec2.describe_instances()["Reservations"]) == 1


def test_other_tags_for_a_token_are_a_mismatch(lab: Lab) -> None:
    """devguide/ec2-api-idempotency: any changed parameter but the zone."""
    lab.launch(ClientToken="one")
    with expect_refused("IdempotentParameterMismatch"):
        lab.launch(ClientToken="one", TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "x"}]}])


@pytest.mark.parametrize("slow", [0.0, 30.0], ids=["terminated", "shutting-down"])
def test_token_of_a_terminated_instance_is_spent(lab: Lab, slow: float) -> None:
    """API errors-overview IdempotentInstanceTerminated; boto/boto3#4406."""
    instance_id = lab.running(ClientToken="one")
    lab.ledger.delays["ec2.terminating"] = slow
    lab.ec2.terminate_instances(InstanceIds=[instance_id])
    until(lambda: lab.state(instance_id) == ("shutting-down" if slow else "terminated"))
    with expect_refused("IdempotentInstanceTerminated"):
        lab.launch(ClientToken="one")


def test_tokens_count_per_zone(lab: Lab) -> None:
    """devguide/ec2-api-idempotency: RunInstances is idempotent per Availability Zone."""
    first = lab.launch(ClientToken="one")
    other = lab.launch(ClientToken="one", SubnetId=lab.subnets["b"])
    assert first != other
    assert lab.launch(ClientToken="one") == first
    found = lab.ec2.describe_instances(Filters=[{"Name": "client-token", "Values": ["one"]}])["Reservations"]
    assert {one["InstanceId"] for page in found for one in page["Instances"]} == {first, other}


def test_refused_launch_leaves_its_token_free(lab: Lab) -> None:
    """devguide/ec2-api-idempotency: only a request that completed successfully binds the token."""
    with expect_refused("InvalidAMIID.NotFound"):
        lab.launch(ClientToken="one", ImageId="ami-0123456789abcdef0")
    assert lab.launch(ClientToken="one").startswith("i-")


def test_token_has_at_most_64_characters(lab: Lab) -> None:
    """API_RunInstances ClientToken: maximum 64 ASCII characters."""
    assert lab.launch(ClientToken="x" * 64)
    with expect_refused("InvalidParameterValue", "64"):
        lab.launch(ClientToken="x" * 65)


# Dry runs: API_RunInstances DryRun


def test_dry_run_launches_nothing(lab: Lab) -> None:
    """API_RunInstances DryRun: DryRunOperation if you have the permissions."""
    with expect_refused("DryRunOperation"):
        lab.launch(DryRun=True, ClientToken="one")
    assert lab.ec2.describe_instances()["Reservations"] == []
    call = next(call for call in lab.ledger.calls if call.operation == "RunInstances")
    assert (call.mutating, call.detail["dry_run"]) == (False, True)
    assert lab.launch(ClientToken="one"), "a dry run does not bind the token"


@pytest.mark.parametrize("dry", [True, False])
def test_without_permission(lab: Lab, dry: bool) -> None:
    """API_RunInstances DryRun: otherwise UnauthorizedOperation."""
    lab.part.conditions.denied = ["RunInstances"]
    with expect_refused("UnauthorizedOperation"):
        lab.launch(DryRun=dry)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"InstanceType": "m6g.large"}, "InvalidParameterValue"),
        ({"InstanceType": "f2.6xlarge"}, "Unsupported"),
        ({"Placement": {"GroupName": "nowhere"}}, "InvalidPlacementGroup.Unknown"),
    ],
)
def test_dry_run_validates_the_request(lab: Lab, changes: dict[str, t.Any], code: str) -> None:
    """hashicorp/packer-plugin-amazon#649, awslabs/engineering-development-hub#77, aws/aws-parallelcluster#1248."""
    with expect_refused(code):
        lab.launch(DryRun=True, **changes)


def test_dry_run_does_not_look_for_room(lab: Lab) -> None:
    """API_RunInstances DryRun: it checks permissions without making the request; capacity and keys show only then."""
    lab.part.conditions.no_capacity = [{"zone": "*", "instance_type": "*"}]
    with expect_refused("DryRunOperation"):
        lab.launch(DryRun=True, **root(lab, Encrypted=True, KmsKeyId="alias/none"))


@pytest.mark.parametrize("operation", ["terminate_instances", "stop_instances", "reboot_instances"])
def test_dry_run_of_other_actions(lab: Lab, operation: str) -> None:
    """API CommonParameters DryRun."""
    instance_id = lab.running()
    with expect_refused("DryRunOperation"):
        getattr(lab.ec2, operation)(InstanceIds=[instance_id], DryRun=True)
    assert lab.state(instance_id) == "running"


# Refusals: ERRORS unless said otherwise

DOUBLE = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
REFUSALS: list[tuple[str, dict[str, t.Any], str]] = [
    ("image unknown", {"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
    ("image malformed", {"ImageId": "talos"}, "InvalidAMIID.Malformed"),
    ("subnet unknown", {"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
    ("subnet malformed", {"SubnetId": "nodes"}, "InvalidSubnetID.Malformed"),
    ("group unknown", {"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
    ("group malformed", {"SecurityGroupIds": ["nodes"]}, "InvalidGroupId.Malformed"),
    # getmoto/moto#1695 shows code and message
    ("type unknown", {"InstanceType": "no.such"}, "InvalidParameterValue"),
    ("architecture", {"InstanceType": "m6g.large"}, "InvalidParameterValue"),
    ("placement group unknown", {"Placement": {"GroupName": "nowhere"}}, "InvalidPlacementGroup.Unknown"),
    ("profile unknown", {"IamInstanceProfile": {"Name": "nobody"}}, "InvalidParameterValue"),
    ("address outside the subnet", {"PrivateIpAddress": "10.0.0.9"}, "InvalidParameterValue"),
    ("counts", {"MinCount": 2, "MaxCount": 1}, "InvalidParameterValue"),
    ("user data too long", {"UserData": "x" * 16385}, "InvalidParameterValue"),
    ("tag reserved", {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "aws:x", "Value": "1"}]}]}, "InvalidParameterValue"),
    ("tag twice", {"TagSpecifications": [{"ResourceType": "instance", "Tags": DOUBLE}]}, "InvalidParameterValue"),
    ("tags too many", {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": f"k{n}", "Value": ""} for n in range(51)]}]}, "TagLimitExceeded"),
]


@pytest.mark.parametrize(("changes", "code"), [(changes, code) for _, changes, code in REFUSALS], ids=[name for name, _, _ in REFUSALS])
def test_refusal(lab: Lab, changes: dict[str, t.Any], code: str) -> None:
    """API errors-overview, the code of this case; nothing is launched."""
    with expect_refused(code):
        lab.launch(**changes)
    assert lab.ec2.describe_instances()["Reservations"] == []


DEVICES: list[tuple[str, dict[str, t.Any], str]] = [
    ("smaller than the image", {"VolumeSize": 5}, "InvalidBlockDeviceMapping"),
    ("type unknown", {"VolumeType": "fast"}, "InvalidParameterValue"),
    ("key without encryption", {"KmsKeyId": "alias/x"}, "InvalidParameterDependency"),
    ("IOPS of gp2", {"VolumeType": "gp2", "Iops": 3000}, "InvalidParameterCombination"),
    ("io1 without IOPS", {"VolumeType": "io1"}, "MissingParameter"),
    ("IOPS out of range", {"VolumeType": "gp3", "Iops": 100}, "InvalidParameterValue"),
    ("throughput of gp2", {"VolumeType": "gp2", "Throughput": 200}, "InvalidParameterCombination"),
    ("st1 too small", {"VolumeType": "st1"}, "InvalidParameterValue"),
]


@pytest.mark.parametrize(("ebs", "code"), [(ebs, code) for _, ebs, code in DEVICES], ids=[name for name, _, _ in DEVICES])
def test_block_device_refusal(lab: Lab, ebs: dict[str, t.Any], code: str) -> None:
    """API_EbsBlockDevice and API_CreateVolume: sizes, types and performance."""
    with expect_refused(code):
        lab.launch(**root(lab, **ebs))


def test_device_name(lab: Lab) -> None:
    """API errors-overview InvalidBlockDeviceMapping."""
    with expect_refused("InvalidBlockDeviceMapping", "Invalid device name"):
        lab.launch(BlockDeviceMappings=[{"DeviceName": "root", "Ebs": {"VolumeSize": 20}}])


def test_wrong_root_device_name_makes_a_second_volume(lab: Lab) -> None:
    """UserGuide/block-device-mapping-concepts: a name that is not the image's root device adds a volume."""
    instance_id = lab.running(BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 20, "Encrypted": True}}])
    devices = {one["DeviceName"]: one["Ebs"]["VolumeId"] for one in lab.instance(instance_id)["BlockDeviceMappings"]}
    volumes = {one["VolumeId"]: one for one in lab.ec2.describe_volumes(VolumeIds=list(devices.values()))["Volumes"]}
    assert volumes[devices["/dev/xvda"]]["Encrypted"] is False
    assert volumes[devices["/dev/sda1"]]["Encrypted"] is True


def test_group_of_another_vpc(lab: Lab) -> None:
    """API errors-overview InvalidParameter: you cannot specify a security group and a subnet in different VPCs."""
    other = lab.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = lab.ec2.create_security_group(GroupName="other", Description="x", VpcId=other)["GroupId"]
    with expect_refused("InvalidParameter", "different networks"):
        lab.launch(SecurityGroupIds=[group])


def test_at_most_five_groups(lab: Lab) -> None:
    """API errors-overview SecurityGroupsPerInterfaceLimitExceeded; amazon-vpc-limits: 5 per network interface."""
    groups = [lab.ec2.create_security_group(GroupName=f"g{n}", Description="x", VpcId=lab.vpc)["GroupId"] for n in range(6)]
    assert lab.launch(SecurityGroupIds=groups[:5])
    with expect_refused("SecurityGroupsPerInterfaceLimitExceeded"):
        lab.launch(SecurityGroupIds=groups)


def test_no_groups_means_the_default_group_of_the_vpc(lab: Lab) -> None:
    """API_RunInstances: if you don't specify a security group ID, the default security group for the VPC is used."""
    instance_id = lab.running(SecurityGroupIds=None)
    assert [group["GroupName"] for group in lab.instance(instance_id)["SecurityGroups"]] == ["default"]


def test_interface_and_instance_level_network_words(lab: Lab) -> None:
    """API_RunInstances SecurityGroupIds, SubnetId: if you specify a network interface, they must be part of it."""
    interface = {"DeviceIndex": 0, "SubnetId": lab.subnets["a"], "Groups": [lab.group]}
    with expect_refused("InvalidParameterCombination", "security groups"):
        lab.launch(NetworkInterfaces=[interface], SubnetId=None)
    with expect_refused("InvalidParameterCombination", "subnet"):
        lab.launch(NetworkInterfaces=[interface], SecurityGroupIds=None)


def test_type_not_offered_in_the_zone(lab: Lab) -> None:
    """API errors-overview Unsupported; API_DescribeInstanceTypeOfferings tells where."""
    filters = [{"Name": "instance-type", "Values": ["f2.6xlarge"]}]
    rows = lab.ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=filters)["InstanceTypeOfferings"]
    assert sorted(row["Location"] for row in rows) == ["eu-central-1b", "eu-central-1c"]
    with expect_refused("Unsupported", "Availability Zone", "eu-central-1b, eu-central-1c"):
        lab.launch(InstanceType="f2.6xlarge")


def test_no_capacity_in_one_zone(lab: Lab) -> None:
    """API errors-overview InsufficientInstanceCapacity; aws/karpenter-provider-aws#2275."""
    lab.part.conditions.no_capacity = [{"zone": "eu-central-1a", "instance_type": "m5.large"}]
    with expect_refused("InsufficientInstanceCapacity", "eu-central-1a"):
        lab.launch(ClientToken="one")
    assert lab.launch(ClientToken="one", SubnetId=lab.subnets["b"])
    assert lab.launch(InstanceType="m5.xlarge")


def test_max_count_is_cut_to_the_capacity_and_min_count_is_not(lab: Lab) -> None:
    """API_RunInstances MinCount, MaxCount: the largest possible number above the specified minimum count."""
    lab.part.conditions.capacity = 2
    assert len(lab.ec2.run_instances(**lab.request(MinCount=1, MaxCount=5))["Instances"]) == 2
    with expect_refused("VcpuLimitExceeded"):
        lab.ec2.run_instances(**lab.request(MinCount=3, MaxCount=5))


def test_placement_group_strategy_must_suit_the_type(lab: Lab) -> None:
    """UserGuide/placement-strategies: cluster placement groups are not supported by burstable types."""
    lab.ec2.create_placement_group(GroupName="tight", Strategy="cluster")
    with expect_refused("InvalidParameterCombination", "t3.medium"):
        lab.launch(Placement={"GroupName": "tight"}, InstanceType="t3.medium")
    instance_id = lab.running(Placement={"GroupName": "tight"}, InstanceType="c5.large")
    assert lab.instance(instance_id)["Placement"]["GroupName"] == "tight"
    with expect_refused("InvalidPlacementGroup.InUse"):
        lab.ec2.delete_placement_group(GroupName="tight")


def test_describe_placement_groups(lab: Lab) -> None:
    """API_DescribePlacementGroups; errors-overview InvalidPlacementGroup.Unknown."""
    lab.ec2.create_placement_group(GroupName="tight", Strategy="cluster")
    found = lab.ec2.describe_placement_groups(GroupNames=["tight"])["PlacementGroups"]
    assert [(group["GroupName"], group["Strategy"], group["State"]) for group in found] == [("tight", "cluster", "available")]
    with expect_refused("InvalidPlacementGroup.Unknown"):
        lab.ec2.describe_placement_groups(GroupNames=["wide"])


def test_address_in_use(lab: Lab) -> None:
    """API errors-overview InvalidIPAddress.InUse."""
    address = f"{lab.network}.10.77"
    assert lab.instance(lab.running(PrivateIpAddress=address))["PrivateIpAddress"] == address
    with expect_refused("InvalidIPAddress.InUse"):
        lab.launch(PrivateIpAddress=address)


def test_addresses_are_not_reused_at_once(lab: Lab) -> None:
    """VPC guide, subnet sizing: the first four addresses are AWS' own; a restored world goes on where it was."""
    first = lab.running(PrivateIpAddress=f"{lab.network}.10.5")
    world = lab.part.snapshot()
    for _ in range(2):
        second = lab.running()
        assert lab.instance(second)["PrivateIpAddress"] == f"{lab.network}.10.4"
        lab.ec2.terminate_instances(InstanceIds=[first, second])
        until(lambda: lab.state(first) == lab.state(second) == "terminated")  # noqa: B023
        assert lab.instance(lab.running())["PrivateIpAddress"] == f"{lab.network}.10.5"
        lab.part.restore(world)


def test_full_subnet(lab: Lab) -> None:
    """API errors-overview InsufficientFreeAddressesInSubnet; VPC guide, subnet sizing: five addresses are reserved."""
    small = lab.ec2.create_subnet(VpcId=lab.vpc, CidrBlock=f"{lab.network}.40.0/28", AvailabilityZone="eu-central-1a")["Subnet"]["SubnetId"]
    assert len(lab.ec2.run_instances(**lab.request(SubnetId=small, MinCount=11, MaxCount=11))["Instances"]) == 11
    with expect_refused("InsufficientFreeAddressesInSubnet"):
        lab.launch(SubnetId=small)


def test_what_the_sandbox_does_not_know_is_refused_loudly(lab: Lab) -> None:
    """A fake that ignores a parameter would prove nothing about it."""
    with expect_refused("NotImplementedBySandbox", "LaunchTemplate"):
        lab.launch(LaunchTemplate={"LaunchTemplateName": "nodes"})


def test_instance_profile(lab: Lab) -> None:
    """API_RunInstances IamInstanceProfile."""
    profile = lab.client("iam").create_instance_profile(InstanceProfileName="nodes")["InstanceProfile"]
    instance_id = lab.running(IamInstanceProfile={"Name": "nodes"})
    assert lab.instance(instance_id)["IamInstanceProfile"]["Arn"] == profile["Arn"]


def test_what_a_launch_makes(lab: Lab) -> None:
    """API_RunInstances: tags at birth on instance, volume and interface; root volume and public address as asked for."""
    tags = [{"ResourceType": kind, "Tags": [{"Key": "Cluster", "Value": "fargle"}]} for kind in ("instance", "volume", "network-interface")]
    interface = {"DeviceIndex": 0, "SubnetId": lab.subnets["a"], "Groups": [lab.group], "AssociatePublicIpAddress": True}
    changes = root(lab, VolumeSize=50, Encrypted=True, Iops=4000, Throughput=250)
    data = base64.b64encode(b"hello").decode()
    words = {"NetworkInterfaces": [interface], "SubnetId": None, "SecurityGroupIds": None}
    instance_id = lab.running(TagSpecifications=tags, UserData="hello", MetadataOptions={"HttpTokens": "required"}, **words, **changes)
    shown = lab.instance(instance_id)
    assert shown["PublicIpAddress"] and shown["PrivateIpAddress"].startswith(f"{lab.network}.10.")
    assert shown["MetadataOptions"]["HttpTokens"] == "required"
    volume = lab.ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance_id]}])["Volumes"][0]
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"], volume["Iops"], volume["Throughput"]) == (50, "gp3", True, 4000, 250)
    eni = lab.ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": [instance_id]}])["NetworkInterfaces"][0]
    assert volume["Tags"] == eni["TagSet"] == shown["Tags"] == [{"Key": "Cluster", "Value": "fargle"}]
    until(lambda: instance_id in lab.machines.vms)
    vm = lab.machines.vms[instance_id]
    assert (vm.private_ip, vm.az, vm.image_id, vm.tags, vm.user_data) == (shown["PrivateIpAddress"], "eu-central-1a", lab.image, {"Cluster": "fargle"}, "hello")
    assert all(data not in str(call.detail) and "UserData" not in call.detail for call in lab.ledger.calls), "user data can hold secrets"
