# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances over time: states, visibility, termination protection, pages, console output, faults.

Each test cites where the real behaviour is documented. API = https://docs.aws.amazon.com/AWSEC2/latest/APIReference
"""

from __future__ import annotations

import gc
import json
import time
import typing as t

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError

from tests.sandbox.aws.ec2 import StrictEC2Backend
from tests.sandbox.calls import Fault

from .aws_lab import Lab, expect_refused, until


def left_over(lab: Lab, instance_id: str) -> list[str]:
    """What of an instance still exists: volumes, interfaces."""
    only = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    volumes = [one["VolumeId"] for one in lab.ec2.describe_volumes(Filters=only)["Volumes"]]
    return volumes + [one["NetworkInterfaceId"] for one in lab.ec2.describe_network_interfaces(Filters=only)["NetworkInterfaces"]]


# States


def test_pending_then_running(lab: Lab) -> None:
    """UserGuide/ec2-instance-lifecycle."""
    lab.ledger.delays["ec2.pending"] = 0.3
    instance_id = lab.launch()
    assert lab.state(instance_id) == "pending"
    assert lab.instance(instance_id)["StateReason"]["Code"] == "pending"
    assert lab.machines.told == []
    until(lambda: lab.state(instance_id) == "running")
    until(lambda: lab.machines.told == [("power_on", instance_id)])


def test_termination_takes_its_time_and_stays_listed(lab: Lab) -> None:
    """API_TerminateInstances: terminated instances remain visible for approximately one hour."""
    instance_id = lab.running()
    lab.ledger.delays["ec2.terminating"] = 0.3
    change = lab.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "shutting-down")
    assert lab.state(instance_id) == "shutting-down"
    until(lambda: lab.state(instance_id) == "terminated")
    assert lab.instance(instance_id)["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    until(lambda: lab.machines.told[1:] == [("power_off", instance_id), ("destroy", instance_id)])
    assert "PrivateIpAddress" not in lab.instance(instance_id)


def test_terminating_twice_succeeds(lab: Lab) -> None:
    """API_TerminateInstances: this operation is idempotent."""
    instance_id = lab.running()
    lab.ec2.terminate_instances(InstanceIds=[instance_id])
    until(lambda: lab.state(instance_id) == "terminated")
    change = lab.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("terminated", "terminated")


def test_nothing_is_left_of_a_terminated_instance(lab: Lab) -> None:
    """UserGuide/preserving-volumes-on-termination; API_NetworkInterfaceAttachment DeleteOnTermination."""
    volumes, interfaces = len(lab.ec2.describe_volumes()["Volumes"]), len(lab.ec2.describe_network_interfaces()["NetworkInterfaces"])
    instance_id = lab.running()
    assert len(left_over(lab, instance_id)) == 2
    lab.ec2.terminate_instances(InstanceIds=[instance_id])
    until(lambda: lab.state(instance_id) == "terminated")
    assert len(lab.ec2.describe_volumes()["Volumes"]) == volumes
    assert len(lab.ec2.describe_network_interfaces()["NetworkInterfaces"]) == interfaces


def test_a_volume_that_is_to_stay_stays(lab: Lab) -> None:
    """UserGuide/preserving-volumes-on-termination: DeleteOnTermination=false."""
    instance_id = lab.running(BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10, "DeleteOnTermination": False}}])
    volume = lab.instance(instance_id)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    lab.ec2.terminate_instances(InstanceIds=[instance_id])
    until(lambda: lab.state(instance_id) == "terminated")
    assert lab.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available"


def test_stop_and_start(lab: Lab) -> None:
    """UserGuide/Stop_Start: stopping, stopped, pending, running; the machine goes down and up."""
    instance_id = lab.running()
    assert lab.ec2.stop_instances(InstanceIds=[instance_id])["StoppingInstances"][0]["CurrentState"]["Name"] == "stopping"
    until(lambda: lab.state(instance_id) == "stopped")
    lab.ec2.start_instances(InstanceIds=[instance_id])
    until(lambda: lab.state(instance_id) == "running")
    until(lambda: [what for what, _ in lab.machines.told] == ["power_on", "power_off", "power_on"])


def test_a_terminated_instance_does_not_start(lab: Lab) -> None:
    """API errors-overview IncorrectInstanceState."""
    instance_id = lab.running()
    lab.ec2.terminate_instances(InstanceIds=[instance_id])
    with expect_refused("IncorrectInstanceState"):
        lab.ec2.start_instances(InstanceIds=[instance_id])


@pytest.mark.parametrize("key", ["alias/none", "disabled"])
def test_unusable_key_kills_the_instance_after_a_good_answer(lab: Lab, key: str) -> None:
    """API_CreateVolume KmsKeyId (asynchronously); aws/karpenter-provider-aws#1407, #5039: Client.InternalError."""
    if key == "disabled":
        key = lab.client("kms").create_key()["KeyMetadata"]["KeyId"]
        lab.client("kms").disable_key(KeyId=key)
    ebs = {"VolumeSize": 10, "Encrypted": True, "KmsKeyId": key}
    instance_id = lab.launch(BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": ebs}])
    until(lambda: lab.state(instance_id) == "terminated")
    assert lab.instance(instance_id)["StateReason"] == {"Code": "Client.InternalError", "Message": "Client.InternalError: Client error on launch"}
    assert ("power_on", instance_id) not in lab.machines.told


def test_usable_key(lab: Lab) -> None:
    """API_EbsBlockDevice KmsKeyId: key ID, alias, key ARN or alias ARN."""
    made = lab.client("kms").create_key()["KeyMetadata"]
    lab.client("kms").create_alias(AliasName="alias/nodes", TargetKeyId=made["KeyId"])
    for key in (made["KeyId"], made["Arn"], "alias/nodes", f"{made['Arn'].rpartition(':')[0]}:alias/nodes", "alias/aws/ebs"):
        lab.running(BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10, "Encrypted": True, "KmsKeyId": key}}])


# Visibility


def test_a_new_instance_is_not_visible_at_once(lab: Lab) -> None:
    """devguide/eventual-consistency: InvalidInstanceID.NotFound by ID, missing by filter; kubernetes-sigs/cluster-api-provider-aws#1769."""
    lab.ledger.delays["ec2.visible"] = 0.4
    instance_id = lab.launch(ClientToken="one")
    assert lab.state(instance_id) == ""
    assert lab.ec2.describe_instances(Filters=[{"Name": "client-token", "Values": ["one"]}])["Reservations"] == []
    with expect_refused("InvalidInstanceID.NotFound"):
        lab.ec2.describe_instances(InstanceIds=[instance_id])
    with expect_refused("InvalidInstanceID.NotFound"):
        lab.ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "a", "Value": "b"}])
    assert lab.launch(ClientToken="one") == instance_id, "the token knows it all the same"
    until(lambda: lab.state(instance_id) == "running")


def test_unknown_and_malformed_ids(lab: Lab) -> None:
    """API errors-overview InvalidInstanceID.NotFound, InvalidInstanceID.Malformed."""
    with expect_refused("InvalidInstanceID.NotFound"):
        lab.ec2.describe_instances(InstanceIds=["i-0123456789abcdef0"])
    with expect_refused("InvalidInstanceID.Malformed"):
        lab.ec2.describe_instances(InstanceIds=["node-1"])


# Termination protection: API_TerminateInstances


def test_protection_counts_per_zone(lab: Lab) -> None:
    """API_TerminateInstances: instances in zones without a protected one are terminated although the call fails."""
    protected, far = lab.running(DisableApiTermination=True), lab.running(SubnetId=lab.subnets["b"])
    with expect_refused("OperationNotPermitted"):
        lab.ec2.terminate_instances(InstanceIds=[far, protected])
    until(lambda: lab.state(far) == "terminated")
    assert lab.state(protected) == "running"


def test_one_unknown_id_saves_all(lab: Lab) -> None:
    """API_TerminateInstances: if the request fails because of a single incorrect instance ID, none are terminated."""
    instance_id = lab.running()
    with expect_refused("InvalidInstanceID.NotFound"):
        lab.ec2.terminate_instances(InstanceIds=[instance_id, "i-0123456789abcdef0"])
    assert lab.state(instance_id) == "running"


def test_protection_is_seen_only_as_an_attribute(lab: Lab) -> None:
    """API_DescribeInstanceAttribute; not part of API_Instance."""
    instance_id = lab.running()
    lab.ec2.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": True})
    attribute = lab.ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="disableApiTermination")
    assert attribute["DisableApiTermination"] == {"Value": True}
    assert "DisableApiTermination" not in lab.instance(instance_id)
    lab.ec2.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": False})
    lab.ec2.terminate_instances(InstanceIds=[instance_id])


# Pages and filters


def test_pages(lab: Lab) -> None:
    """API_DescribeInstances MaxResults, NextToken: 5 to 1000, the token of the next page."""
    launched = {lab.launch() for _ in range(7)}
    page = lab.ec2.describe_instances(MaxResults=5)
    assert len(page["Reservations"]) == 5 and page["NextToken"]
    rest = lab.ec2.describe_instances(MaxResults=5, NextToken=page["NextToken"])
    assert "NextToken" not in rest
    seen = {one["InstanceId"] for part in (page, rest) for entry in part["Reservations"] for one in entry["Instances"]}
    assert seen == launched


@pytest.mark.parametrize("size", [4, 1001])
def test_page_size(lab: Lab, size: int) -> None:
    """API_DescribeInstances MaxResults: between 5 and 1000."""
    with expect_refused("InvalidParameterValue", "maxResults"):
        lab.ec2.describe_instances(MaxResults=size)


def test_ids_and_page_size_exclude_each_other(lab: Lab) -> None:
    """API_DescribeInstances: you cannot specify MaxResults and the instance IDs in the same request."""
    with expect_refused("InvalidParameterCombination"):
        lab.ec2.describe_instances(InstanceIds=[lab.launch()], MaxResults=5)


def test_invented_page_token(lab: Lab) -> None:
    """API errors-overview InvalidPaginationToken."""
    with expect_refused("InvalidPaginationToken"):
        lab.ec2.describe_instances(MaxResults=5, NextToken="bm8=")


def named(lab: Lab, name: str) -> str:
    """Launch an instance with this Name tag."""
    return lab.launch(TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}])


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("tag:Name", ["fargle-worker-1"], ["fargle-worker-1"]),
        ("tag:Name", ["fargle-worker-*"], ["fargle-worker-1", "fargle-worker-10"]),
        ("tag:Name", ["fargle-worker-?"], ["fargle-worker-1"]),
        ("tag:Name", ["Fargle-worker-1"], []),
        ("tag:Name", [r"fargle-worker-\*"], []),
        ("tag-key", ["Name"], ["fargle-worker-1", "fargle-worker-10"]),
        ("instance-state-name", ["stopped"], []),
        ("availability-zone", ["eu-central-1a"], ["fargle-worker-1", "fargle-worker-10"]),
    ],
)
def test_filters(lab: Lab, name: str, values: list[str], found: list[str]) -> None:
    """UserGuide/Using_Filtering: wildcards, case, backslash."""
    named(lab, "fargle-worker-1"), named(lab, "fargle-worker-10")
    pages = lab.ec2.describe_instances(Filters=[{"Name": name, "Values": values}])["Reservations"]
    assert sorted(one["Tags"][0]["Value"] for page in pages for one in page["Instances"]) == found


def test_unknown_filter(lab: Lab) -> None:
    """API errors-overview InvalidParameterValue."""
    lab.launch()
    with expect_refused("InvalidParameterValue", "colour"):
        lab.ec2.describe_instances(Filters=[{"Name": "colour", "Values": ["red"]}])


# Status and console


def test_impaired(lab: Lab) -> None:
    """API_DescribeInstanceStatus, UserGuide/monitoring-system-instance-status-check."""
    instance_id, healthy = lab.running(), lab.running()
    lab.part.conditions.impaired = [instance_id]

    def status() -> dict[str, str]:
        return {one["InstanceId"]: one["InstanceStatus"]["Status"] for one in lab.ec2.describe_instance_status()["InstanceStatuses"]}

    until(lambda: status() == {instance_id: "impaired", healthy: "ok"})


def test_checks_of_a_new_instance_take_their_time(lab: Lab) -> None:
    """API_InstanceStatusSummary: initializing."""
    lab.ledger.delays["ec2.checked"] = 0.3
    lab.part.conditions.impaired = [lab.running()]

    def checks() -> tuple[str, str]:
        (status,) = lab.ec2.describe_instance_status()["InstanceStatuses"]
        return status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"]

    assert checks() == ("initializing", "initializing")
    until(lambda: checks() == ("impaired", "ok"))


def test_status_shows_running_instances_only(lab: Lab) -> None:
    """API_DescribeInstanceStatus IncludeAllInstances: the default is running instances only."""
    lab.ledger.delays["ec2.pending"] = 30.0
    lab.launch()
    assert lab.ec2.describe_instance_status()["InstanceStatuses"] == []
    shown = lab.ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
    assert [(one["InstanceState"]["Name"], one["InstanceStatus"]["Status"]) for one in shown] == [("pending", "not-applicable")]


def test_console_of_this_moment_and_of_a_while_ago(lab: Lab) -> None:
    """API_GetConsoleOutput Latest; UserGuide/troubleshoot-unreachable-instance: posted now and then."""
    lab.ledger.delays["ec2.console"] = 0.4
    instance_id = lab.running()
    lab.machines.consoles[instance_id] = "booting"
    assert lab.ec2.get_console_output(InstanceId=instance_id, Latest=True)["Output"] == "booting"
    assert "Output" not in lab.ec2.get_console_output(InstanceId=instance_id)
    assert until(lambda: lab.ec2.get_console_output(InstanceId=instance_id).get("Output")) == "booting"


def test_console_keeps_the_last_64_kilobytes(lab: Lab) -> None:
    """UserGuide/troubleshoot-unreachable-instance: the most recent 64 KB."""
    instance_id = lab.running()
    lab.machines.consoles[instance_id] = "x" * 70_000 + "end"
    output = lab.ec2.get_console_output(InstanceId=instance_id, Latest=True)["Output"]
    assert len(output) == 64 * 1024 and output.endswith("end")


def test_latest_console_needs_nitro(lab: Lab) -> None:
    """API errors-overview UnsupportedOperation; GetConsoleOutput Latest is supported on Nitro-based types."""
    instance_id = lab.running(InstanceType="m4.large")
    with expect_refused("UnsupportedOperation"):
        lab.ec2.get_console_output(InstanceId=instance_id, Latest=True)


# What else a preflight reads


def test_images(lab: Lab) -> None:
    """API_DescribeImages: RootDeviceName, BlockDeviceMappings, tags of the name."""
    image = lab.ec2.describe_images(ImageIds=[lab.image])["Images"][0]
    assert (image["Name"], image["RootDeviceName"]) == ("talos-v1.11.2-eu-central-1-amd64", "/dev/xvda")
    assert (image["Architecture"], image["State"]) == ("x86_64", "available")
    assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 10
    with expect_refused("InvalidAMIID.NotFound"):
        lab.ec2.describe_images(ImageIds=["ami-0123456789abcdef0"])


def test_instance_types(lab: Lab) -> None:
    """API_DescribeInstanceTypes; errors-overview InvalidInstanceType."""
    shown = lab.ec2.describe_instance_types(InstanceTypes=["m5.large"])["InstanceTypes"][0]
    assert (shown["Hypervisor"], shown["ProcessorInfo"]["SupportedArchitectures"]) == ("nitro", ["x86_64"])
    with expect_refused("InvalidInstanceType"):
        lab.ec2.describe_instance_types(InstanceTypes=["no.such"])


def test_who_am_i(lab: Lab) -> None:
    """STS API_GetCallerIdentity."""
    assert lab.client("sts").get_caller_identity()["Account"] == lab.part.account


# Faults


@pytest.mark.parametrize(
    ("service", "operation", "kind", "code"),
    [
        ("ec2", "DescribeInstances", "throttle", "RequestLimitExceeded"),
        ("ec2", "DescribeInstances", "error", "InternalError"),
        ("elbv2", "DescribeLoadBalancers", "throttle", "Throttling"),
        ("elbv2", "DescribeLoadBalancers", "error", "InternalFailure"),
        ("tagging", "GetResources", "throttle", "ThrottledException"),
        ("tagging", "GetResources", "error", "InternalServiceException"),
        ("sts", "GetCallerIdentity", "throttle", "Throttling"),
        ("kms", "ListKeys", "throttle", "ThrottlingException"),
    ],
)
def test_fault(lab: Lab, service: str, operation: str, kind: str, code: str) -> None:
    """API query-api-troubleshooting (RequestLimitExceeded); CommonErrors pages of ELBv2 and tagging."""
    name = {"tagging": "resourcegroupstaggingapi"}.get(service, service)
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
    lab.ledger.faults = [Fault(kind, service, operation, [1])]
    with expect_refused(code):
        getattr(lab.client(name), snake)()
    getattr(lab.client(name), snake)()


def test_sdk_retries_a_throttle(lab: Lab) -> None:
    """SDK reference, retry behaviour: RequestLimitExceeded is retried."""
    lab.ledger.faults = [Fault("throttle", "ec2", "DescribeInstances", [1])]
    lab.client("ec2", attempts=3).describe_instances()
    assert [call.status for call in lab.ledger.calls if call.operation == "DescribeInstances"] == ["503", "200"]


def test_lost_reply_of_a_launch(lab: Lab) -> None:
    """ansible-collections/amazon.aws#1810, boto/boto3#2556: the VM exists although nobody was told."""
    lab.ledger.faults = [Fault("lost_reply", "ec2", "RunInstances", [1])]
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        lab.launch(ClientToken="one")
    assert len(lab.ec2.describe_instances()["Reservations"]) == 1
    assert lab.launch(ClientToken="one") == lab.ec2.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"]


def test_calls_are_logged(lab: Lab) -> None:
    """The ledger knows the operation, its parameters and whether it changes something."""
    lab.launch(ClientToken="one")
    lab.ec2.describe_instances()
    calls = [(call.service, call.operation, call.mutating) for call in lab.ledger.calls]
    assert calls == [("ec2", "RunInstances", True), ("ec2", "DescribeInstances", False)]
    assert lab.ledger.calls[0].detail["ClientToken"] == "one"


# Snapshots


def test_restore_brings_back_instances_tokens_and_transitions(lab: Lab) -> None:
    """The contract of the sandbox: what ran runs, what was under way ends in the time it had left."""
    kept = lab.running(ClientToken="one")
    lab.ledger.delays["ec2.pending"] = 0.5
    young = lab.launch()
    world = lab.part.snapshot()
    for _ in range(2):
        lab.ec2.terminate_instances(InstanceIds=[kept, young])
        until(lambda: lab.state(kept) == lab.state(young) == "terminated")
        later = lab.launch()
        lab.part.restore(world)
        started = time.monotonic()
        assert (lab.state(kept), lab.state(young), lab.state(later)) == ("running", "pending", "")
        assert lab.launch(ClientToken="one") == kept
        until(lambda: lab.state(young) == "running")
        assert time.monotonic() - started < 1.0


def test_two_sandboxes_do_not_meet(lab: Lab) -> None:
    """Several sandboxes in one process."""
    from .aws_lab import laboratory

    with laboratory() as other:
        assert other.network != lab.network
        instance_id = other.launch()
        assert lab.state(instance_id) == ""
        assert t.cast(str, other.client("sts").get_caller_identity()["Account"]) != lab.part.account


def test_dump_is_json_and_tells_what_changed(lab: Lab) -> None:
    """The contract of the sandbox: equal dumps, nothing changed; the dump of a restored world is the old one."""
    instance_id = lab.running(TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "fargle-worker-1"}]}])
    before = json.loads(json.dumps(lab.part.dump()))
    assert lab.part.dump() == before
    shown = before["regions"]["eu-central-1"]["instances"][instance_id]
    assert (shown["state"], shown["tags"], shown["private_ip"]) == ("running", {"Name": "fargle-worker-1"}, lab.instance(instance_id)["PrivateIpAddress"])
    world = lab.part.snapshot()
    lab.ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "a", "Value": "b"}])
    lab.ec2.authorize_security_group_ingress(GroupId=lab.group, IpProtocol="tcp", FromPort=50000, ToPort=50000, CidrIp="10.0.0.0/8")
    after = lab.part.dump()["regions"]["eu-central-1"]
    assert after["instances"][instance_id]["tags"] == {"Name": "fargle-worker-1", "a": "b"}
    assert after["security_groups"][lab.group]["ingress"] == ["tcp 50000-50000 10.0.0.0/8"]
    lab.part.restore(world)
    assert lab.part.dump() == before


def test_conditions(lab: Lab) -> None:
    """What the control API passes on: changes of single conditions, unknown ones refused, part of the world."""
    where = {"zone": "eu-central-1a", "instance_type": "*"}
    world = lab.part.snapshot()
    assert lab.part.set_conditions({"no_capacity": [where]})["no_capacity"] == [where]
    assert lab.part.set_conditions({"capacity": 5})["no_capacity"] == [where]
    with expect_refused("InsufficientInstanceCapacity"):
        lab.launch()
    with pytest.raises(ValueError, match="colour"):
        lab.part.set_conditions({"colour": "red"})
    lab.part.restore(world)
    assert lab.launch()


def test_a_terminated_instance_is_forgotten(lab: Lab) -> None:
    """API_TerminateInstances: visible for approximately one hour; errors-overview IdempotentInstanceTerminated stays."""
    instance_id, other = lab.running(ClientToken="one"), lab.running()
    lab.ec2.terminate_instances(InstanceIds=[instance_id])
    until(lambda: lab.state(instance_id) == "terminated")
    lab.part.set_conditions({"terminated_listed": 0.0})
    assert (lab.state(instance_id), lab.state(other)) == ("", "running")
    with expect_refused("InvalidInstanceID.NotFound"):
        lab.ec2.describe_instances(InstanceIds=[instance_id])
    with expect_refused("IdempotentInstanceTerminated"):
        lab.launch(ClientToken="one")


@pytest.mark.parametrize(
    ("operation", "key", "size"),
    [
        ("describe_security_groups", "SecurityGroups", 5),
        ("describe_subnets", "Subnets", 5),
        ("describe_volumes", "Volumes", 5),
        ("describe_network_interfaces", "NetworkInterfaces", 5),
        ("describe_instance_types", "InstanceTypes", 100),
        ("describe_instance_type_offerings", "InstanceTypeOfferings", 1000),
    ],
)
def test_other_pages(lab: Lab, operation: str, key: str, size: int) -> None:
    """API reference of each action: MaxResults, NextToken."""
    for number in range(6):
        lab.ec2.create_security_group(GroupName=f"g{number}", Description="x", VpcId=lab.vpc)
        lab.launch()
    words = {"LocationType": "availability-zone"} if key == "InstanceTypeOfferings" else {}
    page = getattr(lab.ec2, operation)(MaxResults=size, **words)
    assert len(page[key]) == size and page["NextToken"]
    rest = getattr(lab.ec2, operation)(MaxResults=size, NextToken=page["NextToken"], **words)
    assert rest[key] and rest[key][0] not in page[key]


def test_many_instance_types_come_in_pages_unasked(lab: Lab) -> None:
    """API_DescribeInstanceTypes MaxResults: at most 100 in a page."""
    page = lab.ec2.describe_instance_types()
    assert len(page["InstanceTypes"]) == 100 and page["NextToken"]


def test_snapshot_keeps_what_machines_were_still_to_be_told(lab: Lab) -> None:
    """The contract of the sandbox: a VM that ran but whose machine was not told yet boots after a restore."""
    lab.ledger.delays["ec2.pending"] = 1.0  # time enough to take the lock before the machine is told
    instance_id = lab.launch()
    with lab.part.lock:
        until_running = time.monotonic() + 20
        while not any(method == "power_on" for method, _ in lab.part.snapshot().effects):
            assert time.monotonic() < until_running
        world = lab.part.snapshot()
    until(lambda: lab.machines.told == [("power_on", instance_id)])
    lab.part.restore(world)
    until(lambda: lab.machines.told == [("power_on", instance_id)] * 2)


def test_restored_worlds_do_not_pile_up(lab: Lab) -> None:
    """A suite restores the world for every test: what was replaced is garbage."""
    lab.launch()
    world = lab.part.snapshot()
    lab.part.restore(world)

    def stores() -> int:
        gc.collect()
        return sum(isinstance(one, StrictEC2Backend) for one in gc.get_objects())

    before = stores()
    for _ in range(5):
        lab.part.restore(world)
        lab.launch()
    assert stores() <= before
