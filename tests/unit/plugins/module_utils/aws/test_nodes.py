# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances of nodes: launches that survive kills and lost answers, guards before anything is terminated."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws import waits
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.errors import ApiError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.names import launch_token, token_prefix
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.nodes import node_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.options import NodeOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError, ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome
from botocore.exceptions import ReadTimeoutError

from tests.unit.plugins.module_utils.aws.exchange import ANY, Exchange, looks, tags

LIVING = ["pending", "running", "shutting-down", "stopping", "stopped"]
ALIVE = ["pending", "running", "stopping", "stopped"]
NAME = "fargle-worker-1"
PREFIX = token_prefix("fargle", NAME)
LOST = ReadTimeoutError(endpoint_url="https://ec2")


def params(**changes: t.Any) -> dict[str, t.Any]:
    """The module's parameters as AnsibleModule gives them."""
    base: dict[str, t.Any] = {
        "cluster": "fargle",
        "state": "present",
        "nodes": [{"name": NAME, "instance_id": None}],
        "role": "worker",
        "image_id": "ami-1",
        "instance_type": "m5.large",
        "subnet_id": ["subnet-a", "subnet-b"],
        "security_group_ids": ["sg-1"],
        "root_volume": {"size_gb": 50, "type": "gp3", "device_name": None, "kms_key_id": None, "iops": None, "throughput": None},
        "placement_group_name": "",
        "tags": {"team": "blue"},
        "iam_instance_profile": None,
        "associate_public_ip": None,
        "offer": None,
        "wait_timeout": 10,
        "concurrency": 1,
    }
    return {**base, **changes}


def play(aws: Exchange, check: bool = False, count: int = 3, **changes: t.Any) -> Outcome:
    outcome = node_work(NodeOptions.of_params(params(**changes)), aws.clients(), check, looks(count))
    aws.done()
    return outcome


def vm(instance_id: str = "i-1", state: str = "running", name: str = NAME, token: str = "", **more: t.Any) -> dict[str, t.Any]:
    """An instance as EC2 describes it."""
    named = {"Name": name, "Cluster": "fargle", "Role": "worker", **more.pop("tags", {})}
    shown = tags(**{key: value for key, value in named.items() if value is not None})
    address = {"PrivateIpAddress": "10.0.0.9"} if state in ("running", "stopped") else {}
    base = {"InstanceId": instance_id, "State": {"Name": state}, "ClientToken": token, "Tags": shown, "ImageId": "ami-1", "InstanceType": "m5.large"}
    return {**base, **address, **more}


def described(*instances: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"Reservations": [{"Instances": list(instances)}]}


def by(key: str, *values: str, states: list[str] | None = None) -> dict[str, t.Any]:
    filters = [{"Name": key, "Values": list(values)}]
    return {"Filters": filters + ([{"Name": "instance-state-name", "Values": states}] if states else [])}


def found(aws: Exchange, named: list[dict[str, t.Any]], launched: list[dict[str, t.Any]], *names: str) -> Exchange:
    """The two describes by which every call begins."""
    wanted = names or (NAME,)
    aws.expect("DescribeInstances", by("tag:Name", *wanted, states=LIVING), described(*named))
    return aws.expect("DescribeInstances", by("client-token", *(f"{token_prefix('fargle', name)}*" for name in wanted)), described(*launched))


def image(aws: Exchange, **more: t.Any) -> Exchange:
    root = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}
    base = {"ImageId": "ami-1", "Name": "talos-v1.11.3-amd64", "RootDeviceName": "/dev/xvda", "RootDeviceType": "ebs", "Architecture": "x86_64"}
    return aws.expect("DescribeImages", {"ImageIds": ["ami-1"]}, {"Images": [{**base, "State": "available", "BlockDeviceMappings": [root], **more}]})


def subnet(letter: str, **more: t.Any) -> dict[str, t.Any]:
    return {"SubnetId": f"subnet-{letter}", "VpcId": "vpc-1", "AvailabilityZone": f"eu-central-1{letter}", "AvailableIpAddressCount": 100, **more}


def checks(aws: Exchange) -> Exchange:
    """The preflight of a launch, all well."""
    types = [{"InstanceType": "m5.large", "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]}}]
    aws.expect("DescribeInstanceTypes", by("instance-type", "m5.large"), {"InstanceTypes": types})
    offerings = [{"Location": f"eu-central-1{letter}"} for letter in "ab"]
    aws.expect("DescribeInstanceTypeOfferings", {"LocationType": "availability-zone", **by("instance-type", "m5.large")}, {"InstanceTypeOfferings": offerings})
    aws.expect("DescribeSubnets", by("subnet-id", "subnet-a", "subnet-b"), {"Subnets": [subnet("a"), subnet("b")]})
    return aws.expect("DescribeSecurityGroups", by("group-id", "sg-1"), {"SecurityGroups": [{"GroupId": "sg-1", "VpcId": "vpc-1"}]})


def fresh() -> Exchange:
    """Nothing there yet, and a launch is possible."""
    return checks(image(found(Exchange(), [], [])))


def launch(generation: int = 0, letter: str = "a", name: str = NAME) -> t.Callable[[dict[str, t.Any]], bool]:
    """RunInstances with the token of this generation and subnet."""
    token = launch_token("fargle", name, f"subnet-{letter}", generation)
    return lambda sent: sent["ClientToken"] == token and sent["SubnetId"] == f"subnet-{letter}"


def launched(*instances: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"Instances": list(instances)}


def comes_up(aws: Exchange, instance_id: str = "i-1", **more: t.Any) -> Exchange:
    """The instance is seen running, its status checks say nothing yet."""
    aws.expect("DescribeInstances", by("instance-id", instance_id), described(vm(instance_id, **more)))
    return aws.expect("DescribeInstanceStatus", {"InstanceIds": [instance_id]}, {"InstanceStatuses": []})


def test_launch_is_tagged_at_birth_and_locked_down() -> None:
    aws = fresh().expect("RunInstances", ANY, launched(vm(state="pending")))
    outcome = play(comes_up(aws))
    sent = dict(aws.played)["RunInstances"]
    token = sent.pop("ClientToken")
    assert token == launch_token("fargle", NAME, "subnet-a", 0)
    assert len(token) <= 64
    common = {"team": "blue", "Cluster": "fargle", "Name": NAME, "Role": "worker"}
    assert {spec["ResourceType"]: {tag["Key"]: tag["Value"] for tag in spec["Tags"]} for spec in sent.pop("TagSpecifications")} == {
        "instance": {**common, "k8s-cluster-manager/unfinished": "worker", "k8s-cluster-manager/generation": "0"},
        "volume": common,
        "network-interface": common,
    }
    ebs = {"DeleteOnTermination": True, "Encrypted": True, "VolumeSize": 50, "VolumeType": "gp3"}
    assert sent == {
        "ImageId": "ami-1",
        "InstanceType": "m5.large",
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": "subnet-a",
        "SecurityGroupIds": ["sg-1"],
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": ebs}],
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required"},
    }
    assert outcome.nodes[0]["instance_id"] == "i-1"
    assert outcome.nodes[0]["private_ip"] == "10.0.0.9"
    assert [step.summary() for step in outcome.steps] == [{"verb": "launch", "node": NAME, "target": "instance"}]
    assert outcome.values["image"] == {
        "id": "ami-1",
        "name": "talos-v1.11.3-amd64",
        "root_device_name": "/dev/xvda",
        "root_volume_gb": 8,
        "talos_version": "v1.11.3",
    }


def test_every_launch_option_reaches_ec2() -> None:
    aws = image(found(Exchange(), [], []))
    checks(aws)
    aws.expect("DescribePlacementGroups", by("group-name", "pg"), {"PlacementGroups": [{"GroupName": "pg", "State": "available"}]})
    aws.expect("DescribeKey", {"KeyId": "alias/k"}, {"KeyMetadata": {"KeyId": "k", "KeyState": "Enabled"}})
    aws.expect("RunInstances", ANY, launched(vm(state="pending")))
    volume = {"size_gb": 50, "type": "io2", "device_name": "/dev/xvda", "kms_key_id": "alias/k", "iops": 1000, "throughput": None}
    play(comes_up(aws), root_volume=volume, placement_group_name="pg", iam_instance_profile="arn:aws:iam::1:instance-profile/x", associate_public_ip=True)
    sent = dict(aws.played)["RunInstances"]
    assert sent["BlockDeviceMappings"][0]["Ebs"]["KmsKeyId"] == "alias/k"
    assert sent["BlockDeviceMappings"][0]["Ebs"]["Iops"] == 1000
    assert sent["Placement"] == {"GroupName": "pg"}
    assert sent["IamInstanceProfile"] == {"Arn": "arn:aws:iam::1:instance-profile/x"}
    assert "SubnetId" not in sent
    assert sent["NetworkInterfaces"] == [
        {"DeviceIndex": 0, "SubnetId": "subnet-a", "Groups": ["sg-1"], "AssociatePublicIpAddress": True, "DeleteOnTermination": True}
    ]


OFFER = {"root_device_name": "/dev/xvda", "subnet_id": ["subnet-b"]}


def test_a_check_offers_what_a_launch_then_takes_without_checking_again() -> None:
    checked = play(dry_run(fresh()), check=True)
    assert checked.values["offer"] == {"root_device_name": "/dev/xvda", "subnet_id": ["subnet-a", "subnet-b"]}
    aws = found(Exchange(), [], []).expect("RunInstances", launch(letter="b"), launched(vm(state="pending")))
    outcome = play(comes_up(aws), offer=OFFER)
    assert dict(aws.played)["RunInstances"]["BlockDeviceMappings"][0]["DeviceName"] == "/dev/xvda"
    assert outcome.values == {}


def test_an_offer_does_not_hide_what_is_wrong_with_options_and_instances() -> None:
    with pytest.raises(InputError, match="image_id: is empty"):
        play(found(Exchange(), [], []), offer=OFFER, image_id="")
    with pytest.raises(InputError, match="is a controlplane, not a worker"):
        play(found(Exchange(), [vm(tags={"Role": "controlplane"})], []), offer=OFFER)


@pytest.mark.parametrize(("subnets", "named"), [(["subnet-z"], "subnet-z"), ([], "empty")])
def test_an_offer_of_other_subnets_is_refused(subnets: list[str], named: str) -> None:
    with pytest.raises(InputError, match=f"offer.subnet_id: {named}: the offer is of a call with another subnet_id"):
        play(Exchange(), offer={"root_device_name": "/dev/xvda", "subnet_id": subnets})


def test_second_run_takes_four_calls_and_changes_nothing() -> None:
    aws = image(found(Exchange(), [vm()], []))
    aws.expect("DescribeInstanceStatus", {"InstanceIds": ["i-1"]}, {"InstanceStatuses": []})
    outcome = play(aws)
    assert outcome.steps == []
    assert outcome.nodes[0]["instance_id"] == "i-1"


def test_no_nodes_is_no_call() -> None:
    assert play(Exchange(), nodes=[]).nodes == []


def test_A1_killed_run_repeated_adopts_its_instance() -> None:
    pending = vm(state="pending", token=launch_token("fargle", NAME, "subnet-a", 0), tags={"k8s-cluster-manager/unfinished": "worker"})
    outcome = play(comes_up(image(found(Exchange(), [pending], [pending])), tags={"k8s-cluster-manager/unfinished": "worker"}))
    assert outcome.steps == []
    assert outcome.nodes[0]["unfinished"] is True


def test_A2_lost_answer_is_looked_for_before_asking_again() -> None:
    aws = fresh().expect("RunInstances", launch(), LOST)
    token = launch_token("fargle", NAME, "subnet-a", 0)
    aws.expect("DescribeInstances", by("client-token", f"{PREFIX}*", states=ALIVE), described(vm(state="pending", token=token)))
    assert play(comes_up(aws)).nodes[0]["instance_id"] == "i-1"


def test_A2_lost_answer_and_nothing_shown_is_asked_again_with_the_same_token() -> None:
    aws = fresh().expect("RunInstances", launch(), LOST)
    aws.expect("DescribeInstances", by("client-token", f"{PREFIX}*", states=ALIVE), described())
    aws.expect("RunInstances", launch(), launched(vm(state="pending")))
    assert play(comes_up(aws)).nodes[0]["instance_id"] == "i-1"


def test_A2_no_answer_at_all_says_that_a_rerun_finds_it() -> None:
    aws = fresh()
    for _attempt in range(3):
        aws.expect("RunInstances", launch(), LOST)
        aws.expect("DescribeInstances", by("client-token", f"{PREFIX}*", states=ALIVE), described())
    outcome = play(aws)
    assert "run again, the same launch token finds it" in outcome.failures[NAME]


def test_A3_instance_not_shown_yet_is_waited_for_not_launched_again() -> None:
    aws = fresh().expect("RunInstances", launch(), launched(vm(state="pending")))
    aws.expect("DescribeInstances", by("instance-id", "i-1"), described())
    outcome = play(comes_up(aws))
    assert aws.operations().count("RunInstances") == 1
    assert outcome.failures == {}


def test_A3_instance_never_shown_fails_and_names_it() -> None:
    aws = fresh().expect("RunInstances", launch(), launched(vm(state="pending")))
    for _look in range(2):
        aws.expect("DescribeInstances", by("instance-id", "i-1"), described())
    outcome = play(aws, count=2)
    assert outcome.failures == {NAME: "instance i-1 is not running after 10 s, last seen: not shown by EC2"}
    assert outcome.nodes[0]["instance_id"] == "i-1"


def test_A4_renamed_instance_is_found_by_its_token_and_named_back() -> None:
    renamed = vm(name="override", token=launch_token("fargle", NAME, "subnet-b", 2))
    aws = image(found(Exchange(), [], [renamed]))
    aws.expect("CreateTags", {"Resources": ["i-1"], "Tags": tags(Name=NAME)}, {})
    aws.expect("DescribeInstanceStatus", {"InstanceIds": ["i-1"]}, {"InstanceStatuses": []})
    outcome = play(aws)
    assert [step.summary() for step in outcome.steps] == [{"verb": "tag", "node": NAME, "target": "i-1"}]
    assert "RunInstances" not in aws.operations()


def test_A4_user_tags_cannot_override_the_keys_of_identity() -> None:
    aws = checks(image(found(Exchange(), [], [])))
    with pytest.raises(InputError, match="tags: Cluster, Name cannot be chosen"):
        play(aws, tags={"Name": "x", "Cluster": "y"})


def test_A4_instance_that_another_wanted_node_has_by_name_is_not_taken_twice() -> None:
    other = "fargle-worker-2"
    swapped = vm(name=other, token=launch_token("fargle", NAME, "subnet-a", 0))
    aws = checks(image(found(Exchange(), [swapped], [swapped], NAME, other)))
    aws.expect("RunInstances", launch(generation=1), launched(vm("i-2", state="pending")))
    aws.expect("DescribeInstances", by("instance-id", "i-2"), described(vm("i-2")))
    aws.expect("DescribeInstanceStatus", {"InstanceIds": ["i-1", "i-2"]}, {"InstanceStatuses": []})
    outcome = play(aws, nodes=[{"name": NAME}, {"name": other}])
    assert [(node["name"], node["instance_id"]) for node in outcome.nodes] == [(NAME, "i-2"), (other, "i-1")]


def test_A5_dying_instance_of_the_name_is_waited_for() -> None:
    token = launch_token("fargle", NAME, "subnet-a", 0)
    dying = vm("i-0", state="shutting-down", token=token)
    aws = checks(image(found(Exchange(), [dying], [dying])))
    aws.expect("DescribeInstances", by("instance-id", "i-0"), described(dying))
    aws.expect("DescribeInstances", by("instance-id", "i-0"), described(vm("i-0", state="terminated")))
    aws.expect("RunInstances", launch(generation=1), launched(vm(state="pending")))
    assert play(comes_up(aws)).failures == {}


def test_A5_dying_instance_that_stays_is_a_failure_of_its_node() -> None:
    dying = vm("i-0", state="shutting-down")
    aws = checks(image(found(Exchange(), [dying], [])))
    aws.expect("DescribeInstances", by("instance-id", "i-0"), described(dying))
    outcome = play(aws, count=1)
    assert outcome.failures == {NAME: "not launched: the old instance i-0 is still shutting-down after 10 s"}


def test_A6_terminated_twin_still_listed_gives_the_next_generation() -> None:
    gone = vm("i-0", state="terminated", token=launch_token("fargle", NAME, "subnet-b", 0))
    aws = checks(image(found(Exchange(), [], [gone]))).expect("RunInstances", launch(generation=1), launched(vm(state="pending")))
    assert play(comes_up(aws)).failures == {}


def test_A6_terminated_twin_not_listed_gives_the_next_generation() -> None:
    aws = fresh().refuse("RunInstances", launch(), "IdempotentInstanceTerminated")
    aws.expect("RunInstances", launch(generation=1), launched(vm(state="pending")))
    assert play(comes_up(aws)).failures == {}


def test_A6_generations_are_bounded() -> None:
    aws = fresh()
    for generation in range(16):
        aws.refuse("RunInstances", launch(generation=generation), "IdempotentInstanceTerminated")
    assert "16 instances of this name were terminated within a day" in play(aws).failures[NAME]


def test_token_used_with_other_parameters_adopts_what_is_there_and_warns() -> None:
    token = launch_token("fargle", NAME, "subnet-a", 0)
    aws = fresh().refuse("RunInstances", launch(), "IdempotentParameterMismatch")
    aws.expect("DescribeInstances", by("client-token", token), described())
    aws.expect("DescribeInstances", by("client-token", token), described(vm(token=token)))
    outcome = play(comes_up(aws))
    assert outcome.warnings == [f"{NAME}: instance i-1 was launched before with other parameters; it is used as it is"]


def test_A7_no_capacity_goes_to_the_next_subnet_after_making_sure() -> None:
    aws = fresh().refuse("RunInstances", launch(), "InsufficientInstanceCapacity")
    aws.expect("DescribeInstances", by("client-token", f"{PREFIX}*", states=ALIVE), described())
    aws.expect("RunInstances", launch(letter="b"), launched(vm(state="pending")))
    assert play(comes_up(aws)).failures == {}


def test_A7_what_the_full_zone_made_after_all_is_taken() -> None:
    aws = fresh().refuse("RunInstances", launch(), "InsufficientInstanceCapacity")
    aws.expect("DescribeInstances", by("client-token", f"{PREFIX}*", states=ALIVE), described(vm(state="pending")))
    assert play(comes_up(aws)).nodes[0]["instance_id"] == "i-1"


def test_A7_no_capacity_anywhere_names_every_subnet_and_the_other_nodes_go_on() -> None:
    other = "fargle-worker-2"
    aws = checks(image(found(Exchange(), [], [], NAME, other)))
    aws.refuse("RunInstances", launch(), "InsufficientInstanceCapacity", "none left in a")
    aws.expect("DescribeInstances", by("client-token", f"{PREFIX}*", states=ALIVE), described())
    aws.refuse("RunInstances", launch(letter="b"), "InsufficientInstanceCapacity", "none left in b")
    aws.expect("DescribeInstances", by("client-token", f"{PREFIX}*", states=ALIVE), described())
    outcome = play(aws, nodes=[{"name": NAME}, {"name": other}])
    assert set(outcome.failures) == {NAME, other}
    assert "subnet-a: InsufficientInstanceCapacity: none left in a; subnet-b:" in outcome.failures[NAME]


def test_A8_instance_that_dies_at_once_fails_with_its_reason() -> None:
    aws = fresh().expect("RunInstances", launch(), launched(vm(state="pending")))
    reason = {"Code": "Client.InternalError", "Message": "Client.InternalError: Client error on launch"}
    aws.expect("DescribeInstances", by("instance-id", "i-1"), described(vm(state="terminated", StateReason=reason)))
    failure = play(aws).failures[NAME]
    assert failure.startswith("instance i-1 is terminated: Client.InternalError: Client error on launch; the usual cause is a KMS key")


def test_A9_impaired_instance_is_a_failure() -> None:
    aws = image(found(Exchange(), [vm()], []))
    status = {"InstanceId": "i-1", "SystemStatus": {"Status": "impaired"}, "InstanceStatus": {"Status": "ok"}}
    aws.expect("DescribeInstanceStatus", {"InstanceIds": ["i-1"]}, {"InstanceStatuses": [status]})
    assert play(aws).failures == {NAME: "instance i-1 runs but is broken: system status impaired; delete the node and create it again"}


def test_A10_missing_security_groups_are_refused_before_launch() -> None:
    aws = image(found(Exchange(), [], []))
    aws.expect("DescribeInstanceTypes", ANY, {"InstanceTypes": [{"InstanceType": "m5.large"}]})
    aws.expect("DescribeInstanceTypeOfferings", ANY, {"InstanceTypeOfferings": [{"Location": "eu-central-1a"}, {"Location": "eu-central-1b"}]})
    aws.expect("DescribeSubnets", ANY, {"Subnets": [subnet("a"), subnet("b")]})
    with pytest.raises(InputError, match="never right for a node"):
        play(aws, security_group_ids=[])


def test_A11_newer_image_replaces_nothing() -> None:
    aws = image(found(Exchange(), [vm(ImageId="ami-old")], []))
    aws.expect("DescribeInstanceStatus", {"InstanceIds": ["i-1"]}, {"InstanceStatuses": []})
    outcome = play(aws)
    assert outcome.steps == []
    assert outcome.warnings == [f"{NAME}: the existing instance is kept although it differs: image_id ami-old (wanted ami-1)"]


@pytest.mark.parametrize("name", ["", "a b", "-x", "x-", "UPPER", "a.b", "x" * 64, "*"])
def test_A12_names_that_are_no_dns_labels_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="is not a node name"):
        NodeOptions.of_params(params(nodes=[{"name": name}]))


def test_A12_duplicates_are_refused_with_both_places() -> None:
    with pytest.raises(InputError, match=r"nodes\[1\]: 'a' is already nodes\[0\]"):
        NodeOptions.of_params(params(nodes=[{"name": "a"}, {"name": "a"}]))


def test_instance_without_cluster_tag_is_not_adopted_and_the_tag_command_is_printed() -> None:
    aws = checks(image(found(Exchange(), [vm(tags={"Cluster": None})], [])))
    with pytest.raises(InputError, match="aws ec2 create-tags --resources i-1 --tags Key=Cluster,Value=fargle"):
        play(aws)


def test_instance_of_another_cluster_is_not_touched() -> None:
    aws = found(Exchange(), [vm(tags={"Cluster": "fargle2"})], [])
    with pytest.raises(InputError, match="belongs to cluster fargle2, not fargle"):
        play(aws, state="absent")


def test_two_instances_of_a_name_need_instance_id() -> None:
    twins = [vm("i-1"), vm("i-2")]
    with pytest.raises(InputError, match=r"2 instances have that name \(i-1, i-2\); say which with instance_id"):
        play(found(Exchange(), twins, []), state="absent")
    aws = Exchange().expect("DescribeInstances", by("tag:Name", NAME, states=LIVING), described(*twins))
    aws.expect("DescribeInstanceAttribute", {"InstanceId": "i-2", "Attribute": "disableApiTermination"}, {"DisableApiTermination": {"Value": False}})
    aws.expect("TerminateInstances", {"InstanceIds": ["i-2"]}, {})
    aws.expect("DescribeInstances", by("instance-id", "i-2"), described())
    outcome = play(aws, state="absent", nodes=[{"name": NAME, "instance_id": "i-2"}])
    assert outcome.nodes[0]["instance_id"] == "i-2"


@pytest.mark.parametrize(
    ("existing", "message"),
    [(vm(tags={"Role": "controlplane"}), "is a controlplane, not a worker"), (vm(state="stopped"), "is stopped; start it, or delete the node first")],
)
def test_existing_instance_that_cannot_serve_is_an_error(existing: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        play(image(found(Exchange(), [existing], [])))


def protection(aws: Exchange, instance_id: str, protected: bool) -> Exchange:
    wanted = {"InstanceId": instance_id, "Attribute": "disableApiTermination"}
    return aws.expect("DescribeInstanceAttribute", wanted, {"DisableApiTermination": {"Value": protected}})


def test_A13_one_protected_instance_fails_the_whole_call_first() -> None:
    other = "fargle-worker-2"
    aws = found(Exchange(), [vm(), vm("i-2", name=other)], [], NAME, other)
    protection(aws, "i-1", False)
    protection(aws, "i-2", True)
    with pytest.raises(ManagerError, match=rf"termination protection is on for {other} \(i-2\); nothing was terminated"):
        play(aws, state="absent", nodes=[{"name": NAME}, {"name": other}])


def test_absent_terminates_all_in_one_call_and_waits_in_one_loop() -> None:
    other = "fargle-worker-2"
    aws = found(Exchange(), [vm(), vm("i-2", name=other, tags={"Role": None})], [], NAME, other)
    protection(aws, "i-1", False)
    protection(aws, "i-2", False)
    aws.expect("TerminateInstances", {"InstanceIds": ["i-1", "i-2"]}, {})
    aws.expect("DescribeInstances", by("instance-id", "i-1", "i-2"), described(vm(state="shutting-down"), vm("i-2", state="terminated")))
    aws.expect("DescribeInstances", by("instance-id", "i-1"), described())
    outcome = play(aws, state="absent", nodes=[{"name": NAME}, {"name": other}])
    assert [step.summary()["target"] for step in outcome.steps] == ["i-1", "i-2"]
    assert {node["state"] for node in outcome.nodes} == {"terminated"}


def test_absent_repeated_changes_nothing() -> None:
    outcome = play(found(Exchange(), [], []), state="absent")
    assert outcome.steps == []
    assert outcome.nodes[0]["state"] == "absent"


def test_absent_after_a_kill_waits_for_what_is_shutting_down() -> None:
    aws = found(Exchange(), [vm(state="shutting-down")], [])
    aws.expect("DescribeInstances", by("instance-id", "i-1"), described(vm(state="terminated")))
    outcome = play(aws, state="absent")
    assert outcome.steps == []
    assert outcome.failures == {}


def test_absent_tolerates_an_instance_that_vanished_meanwhile() -> None:
    aws = protection(found(Exchange(), [vm()], []), "i-1", False)
    aws.refuse("TerminateInstances", {"InstanceIds": ["i-1"]}, "InvalidInstanceID.NotFound")
    aws.refuse("TerminateInstances", {"InstanceIds": ["i-1"]}, "InvalidInstanceID.NotFound")
    aws.expect("DescribeInstances", by("instance-id", "i-1"), described())
    assert play(aws, state="absent").failures == {}


def test_absent_does_not_terminate_what_was_renamed() -> None:
    renamed = vm(name="something-else", token=launch_token("fargle", NAME, "subnet-a", 0))
    with pytest.raises(InputError, match="launched under that name but is called something-else now"):
        play(found(Exchange(), [], [renamed]), state="absent")


def test_stopped_stops_what_runs_and_waits() -> None:
    other = "fargle-worker-2"
    aws = found(Exchange(), [vm(), vm("i-2", name=other, state="stopped")], [], NAME, other)
    aws.expect("StopInstances", {"InstanceIds": ["i-1"], "Force": True}, {})
    aws.expect("DescribeInstances", by("instance-id", "i-1"), described(vm(state="stopping")))
    aws.expect("DescribeInstances", by("instance-id", "i-1"), described(vm(state="stopped")))
    nodes = [{"name": NAME}, {"name": other}]
    stopped = play(aws, state="stopped", nodes=nodes)
    predicted = play(found(Exchange(), [vm(), vm("i-2", name=other, state="stopped")], [], NAME, other), check=True, state="stopped", nodes=nodes)
    assert summaries(stopped) == summaries(predicted) == [{"verb": "stop", "node": NAME, "target": "i-1"}]
    assert [node["state"] for node in stopped.nodes] == ["stopped", "stopped"]


@pytest.mark.parametrize(("existing", "state"), [([vm(state="stopped")], "stopped"), ([], "absent")])
def test_stopped_repeated_or_without_instance_changes_nothing(existing: list[dict[str, t.Any]], state: str) -> None:
    outcome = play(found(Exchange(), existing, []), state="stopped")
    assert (outcome.steps, outcome.nodes[0]["state"]) == ([], state)


def test_stopped_instance_that_does_not_stop_fails_its_node() -> None:
    aws = found(Exchange(), [vm(state="stopping")], [])
    aws.expect("DescribeInstances", by("instance-id", "i-1"), described(vm(state="stopping")))
    assert play(aws, state="stopped", count=1).failures == {NAME: "instance i-1 is still stopping after 10 s"}


def test_finished_removes_the_mark_once() -> None:
    aws = found(Exchange(), [vm(tags={"k8s-cluster-manager/unfinished": "worker"})], [])
    aws.expect("DeleteTags", {"Resources": ["i-1"], "Tags": [{"Key": "k8s-cluster-manager/unfinished"}]}, {})
    assert [step.verb for step in play(aws, state="finished").steps] == ["finish"]
    assert play(found(Exchange(), [vm()], []), state="finished").steps == []


def test_finished_fails_for_a_node_without_instance() -> None:
    assert play(found(Exchange(), [], []), state="finished").failures == {NAME: "there is no instance to mark as finished"}


def summaries(outcome: Outcome) -> list[dict[str, str]]:
    return [step.summary() for step in outcome.steps]


def dry_run(aws: Exchange, code: str = "DryRunOperation", message: str = "would have succeeded") -> Exchange:
    return aws.refuse("RunInstances", lambda sent: sent["DryRun"] is True and "ClientToken" not in sent, code, message)


def test_check_mode_predicts_the_plan_of_the_run() -> None:
    predicted = play(dry_run(fresh()), check=True)
    real = play(comes_up(fresh().expect("RunInstances", launch(), launched(vm(state="pending")))))
    assert summaries(predicted) == summaries(real)
    assert predicted.nodes[0]["instance_id"] is None
    mark = {"k8s-cluster-manager/unfinished": "worker"}
    finish = found(Exchange(), [vm(tags=mark)], []).expect("DeleteTags", ANY, {})
    assert summaries(play(found(Exchange(), [], []), check=True, state="finished")) == summaries(play(finish, state="finished"))
    removal = protection(found(Exchange(), [vm()], []), "i-1", False)
    removal.expect("TerminateInstances", ANY, {}).expect("DescribeInstances", ANY, described())
    assert summaries(play(protection(found(Exchange(), [vm()], []), "i-1", False), check=True, state="absent")) == summaries(play(removal, state="absent"))


def test_check_mode_reports_what_ec2_itself_would_refuse() -> None:
    aws = dry_run(fresh(), "InvalidParameterValue", "Invalid IAM Instance Profile name")
    with pytest.raises(InputError, match="EC2 would refuse the launch: .*Invalid IAM Instance Profile name"):
        play(aws, check=True)


def test_missing_permission_to_launch_names_the_iam_action() -> None:
    aws = dry_run(fresh(), "UnauthorizedOperation", "You are not authorized to perform this operation.")
    with pytest.raises(InputError, match=r"grant the IAM action ec2:RunInstances"):
        play(aws, check=True)


def test_preflight_names_all_problems_together() -> None:
    aws = found(Exchange(), [], [])
    aws.refuse("DescribeImages", {"ImageIds": ["ami-1"]}, "InvalidAMIID.NotFound")
    aws.expect("DescribeInstanceTypes", ANY, {"InstanceTypes": []})
    aws.expect("DescribeSubnets", ANY, {"Subnets": [subnet("a")]})
    aws.expect("DescribeSecurityGroups", ANY, {"SecurityGroups": []})
    aws.expect("DescribePlacementGroups", ANY, {"PlacementGroups": []})
    aws.refuse("DescribeKey", ANY, "NotFoundException", "Alias k is not found")
    volume = {"size_gb": 0, "type": "gp3", "kms_key_id": "alias/k", "throughput": 5000}
    with pytest.raises(InputError) as caught:
        play(aws, root_volume=volume, placement_group_name="pg", check=True)
    aws.done()
    named = [problem.partition(":")[0] for problem in caught.value.details["problems"]]
    assert named == [
        "root_volume.size_gb",
        "root_volume.throughput",
        "image_id",
        "instance_type",
        "subnet_id",
        "security_group_ids",
        "placement_group_name",
        "root_volume.kms_key_id",
    ]


def test_error_of_a_describe_is_one_error_of_the_whole_call() -> None:
    aws = Exchange().refuse("DescribeInstances", ANY, "UnauthorizedOperation")
    with pytest.raises(ApiError, match="ec2:DescribeInstances"):
        play(aws)


def test_status_checks_are_read_in_chunks_and_vanished_instances_are_no_error() -> None:
    ids = {f"n{number}": f"i-{number:03d}" for number in range(101)}
    sick = {"InstanceId": "i-100", "SystemStatus": {"Status": "ok"}, "InstanceStatus": {"Status": "impaired"}}
    aws = Exchange().refuse("DescribeInstanceStatus", {"InstanceIds": list(ids.values())[:100]}, "InvalidInstanceID.NotFound")
    aws.expect("DescribeInstanceStatus", {"InstanceIds": ["i-100"]}, {"InstanceStatuses": [sick]})
    assert list(waits.impaired(aws.clients().ec2, ids)) == ["n100"]
    aws.done()


def test_growing_clock_starts_fast_and_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", sleep)
    assert list(waits.growing(10, 2))[-1] == 10
    assert pauses[:4] == [0.25, 0.5, 1.0, 2]


def tagging(*instances: dict[str, t.Any]) -> Exchange:
    return Exchange().expect("DescribeInstances", by("instance-id", "i-1", states=LIVING), described(*instances))


NODES = [{"name": NAME, "instance_id": "i-1"}]


@pytest.mark.parametrize("name", [None, NAME])
def test_tagged_gives_the_tags_that_an_instance_lacks_once(name: str | None) -> None:
    missing = {"Cluster": "fargle"} if name else {"Cluster": "fargle", "Name": NAME}
    aws = tagging(vm(name=t.cast("str", name), tags={"Cluster": None})).expect("CreateTags", {"Resources": ["i-1"], "Tags": tags(**missing)}, {})
    assert summaries(play(aws, state="tagged", nodes=NODES)) == [{"verb": "tag", "node": NAME, "target": "i-1"}]
    assert play(tagging(vm()), state="tagged", nodes=NODES).steps == []


def test_tagged_in_check_mode_tags_nothing() -> None:
    assert [step.verb for step in play(tagging(vm(tags={"Cluster": None})), check=True, state="tagged", nodes=NODES).steps] == ["tag"]


@pytest.mark.parametrize(
    ("there", "problem"),
    [
        ([vm(tags={"Cluster": "fargle2"})], "instance i-1 belongs to cluster fargle2, not fargle"),
        ([vm(name="bastion", tags={"Cluster": None})], "instance i-1 is called bastion"),
        ([], "there is no instance i-1"),
    ],
)
def test_tagged_never_touches_what_is_anothers(there: list[dict[str, t.Any]], problem: str) -> None:
    outcome = play(tagging(*there), state="tagged", nodes=NODES)
    assert (outcome.failures, outcome.steps) == ({NAME: problem}, [])


def test_tagged_wants_the_instance_id() -> None:
    with pytest.raises(InputError, match=f"{NAME} has no instance_id"):
        play(Exchange(), state="tagged")
