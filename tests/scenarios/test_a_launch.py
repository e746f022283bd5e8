# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A: launches and the identity of VMs. ec2_node, and the names that all modules take, against the sandbox's EC2."""

from __future__ import annotations

import itertools
import os

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Clients
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.names import launch_token
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError, ManagerError

from tests.integration.forked import run
from tests.sandbox.calls import Fault
from tests.sandbox.configs import machine_config
from tests.unit.sandbox.aws_lab import REGION, Lab, until
from tests.unit.sandbox.talos_kit import cluster_secrets
from tests.unit.sandbox_modules.aws_kit import NAMES, Killed, clients_of, living, operations, plan, play

ONE = [{"name": NAMES[0]}]


def test_A1_killed_after_any_call_and_repeated_makes_one_instance_per_name(lab: Lab) -> None:
    start = lab.part.snapshot()
    for number in itertools.count(1):
        lab.part.restore(start)
        try:
            play(lab, clients=clients_of(lab, killed_after=number))
        except Killed:
            before = living(lab)
            lab.ledger.clear_calls()
            again = play(lab)
            assert again.failures == {}, f"killed after call {number}"
            assert operations(lab)["RunInstances"] == 3 - len(before), f"killed after call {number}"
            assert [name for name, _instance_id in living(lab)] == list(NAMES), f"killed after call {number}"
            assert set(before) <= set(living(lab)), f"killed after call {number}"
        else:
            break
    assert number > 10


def test_A1_deletion_killed_after_any_call_and_repeated_leaves_nothing(lab: Lab) -> None:
    play(lab)
    start = lab.part.snapshot()
    for number in itertools.count(1):
        lab.part.restore(start)
        try:
            play(lab, state="absent", clients=clients_of(lab, killed_after=number))
        except Killed:
            assert play(lab, state="absent").failures == {}
            assert living(lab) == []
        else:
            break
    assert number > 5


@pytest.mark.parametrize("visible", [0.0, 0.5], ids=["shown", "not shown yet"])
@pytest.mark.parametrize("kind", ["lost_reply", "timeout"])
def test_A2_launch_that_nobody_answered_is_made_once(lab: Lab, kind: str, visible: float) -> None:
    """The SDK has given up: what was made is looked for, and else asked for again by the same token."""
    lab.ledger.delays["ec2.visible"] = visible
    lab.ledger.faults.append(Fault(kind, operation="RunInstances", ordinals=[1]))
    assert play(lab, clients=Clients(lab.client), nodes=ONE).failures == {}
    assert lab.ledger.faults[0].hits == 1
    until(lambda: [name for name, _instance_id in living(lab)] == [NAMES[0]])


@pytest.mark.parametrize("kind", ["lost_reply", "throttle", "error"])
def test_A2_lost_answers_and_errors_of_launches_make_no_twins(lab: Lab, kind: str) -> None:
    lab.ledger.faults.append(Fault(kind, operation="RunInstances", ordinals=[1, 3]))
    assert play(lab).failures == {}
    assert [name for name, _instance_id in living(lab)] == list(NAMES)
    assert lab.ledger.faults[0].hits == 2


def test_A3_instances_that_ec2_does_not_show_yet_are_waited_for(lab: Lab) -> None:
    lab.ledger.delays["ec2.visible"] = 1.0
    assert play(lab).failures == {}
    assert operations(lab)["RunInstances"] == 3


def test_A3_run_repeated_before_ec2_shows_anything_launches_no_twins(lab: Lab) -> None:
    lab.ledger.delays["ec2.visible"] = 1.0
    with pytest.raises(Killed):
        play(lab, clients=clients_of(lab, killed_after=10))
    assert play(lab).failures == {}
    assert [name for name, _instance_id in living(lab)] == list(NAMES)


def test_A4_renamed_instances_are_found_by_their_tokens(lab: Lab) -> None:
    made = play(lab)
    ids = [node["instance_id"] for node in made.nodes]
    lab.ec2.create_tags(Resources=ids, Tags=[{"Key": "Name", "Value": "overridden"}])
    again = play(lab)
    assert [step.verb for step in again.steps] == ["tag"] * 3
    assert [node["instance_id"] for node in again.nodes] == ids
    assert [name for name, _instance_id in living(lab)] == list(NAMES)


def test_A5_name_whose_instance_is_still_shutting_down_is_launched_after_it(lab: Lab) -> None:
    old = play(lab, nodes=[{"name": NAMES[0]}]).nodes[0]["instance_id"]
    lab.ledger.delays["ec2.terminating"] = 0.5
    lab.ec2.terminate_instances(InstanceIds=[old])
    new = play(lab, nodes=[{"name": NAMES[0]}]).nodes[0]
    assert (new["generation"], new["state"]) == (1, "running")
    assert lab.state(old) == "terminated"


def test_A7_full_zone_is_left_for_the_next_one(lab: Lab) -> None:
    lab.part.conditions.no_capacity = [{"zone": f"{REGION}a", "instance_type": "*"}]
    made = play(lab)
    assert {node["az"] for node in made.nodes} == {f"{REGION}b"}
    assert len(living(lab)) == 3


def test_A7_no_capacity_anywhere_is_a_failure_that_names_the_subnets(lab: Lab) -> None:
    lab.part.conditions.no_capacity = [{"zone": "*", "instance_type": "*"}]
    failures = play(lab).failures
    assert set(failures) == set(NAMES)
    assert all(lab.subnets[zone] in failures[NAMES[0]] for zone in "ab")
    assert living(lab) == []


def test_A9_impaired_instance_is_reported(lab: Lab) -> None:
    lab.part.conditions.impaired = [play(lab).nodes[1]["instance_id"]]
    assert list(play(lab).failures) == [NAMES[1]]


def test_A9_new_instance_that_turns_out_to_be_impaired_is_named_when_it_does_not_answer(lab: Lab) -> None:
    """EC2 checks an instance minutes after it runs: its launch has succeeded by then, and the run waits for its Talos API."""
    lab.ledger.delays["ec2.checked"] = 0.5
    made = play(lab, nodes=ONE)
    assert made.failures == {}
    (node,) = made.nodes
    lab.part.conditions.impaired = [node["instance_id"]]
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE00", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": REGION}
    secrets = cluster_secrets()
    options = {"config": machine_config(secrets, "worker"), "role": "worker", "wait_timeout": 1}
    nodes = [{"name": node["name"], "address": node["private_ip"], "instance_id": node["instance_id"]}]
    result = run({**os.environ, **keys, "AWS_ENDPOINT_URL": lab.part.endpoint}, "talos_apply_config", **options, nodes=nodes)
    assert result["failures"][0]["msg"].endswith(
        f"instance {node['instance_id']} runs but is broken: instance status impaired; delete the node and create it again"
    )


def test_A13_termination_protection_stops_the_whole_deletion(lab: Lab) -> None:
    made = play(lab)
    protected = made.nodes[2]["instance_id"]
    lab.ec2.modify_instance_attribute(InstanceId=protected, DisableApiTermination={"Value": True})
    with pytest.raises(ManagerError, match=protected):
        play(lab, state="absent")
    assert len(living(lab)) == 3


def test_A4_names_cannot_be_overridden_by_further_tags(lab: Lab) -> None:
    with pytest.raises(InputError, match="tags: Cluster, Name cannot be chosen"):
        play(lab, tags={"Name": "mine", "Cluster": "fargle"})
    assert living(lab) == []


@pytest.mark.parametrize("listed", [3600.0, 0.0], ids=["listed", "forgotten"])
def test_A6_token_of_a_terminated_instance_gives_way_to_the_next_generation(lab: Lab, listed: float) -> None:
    """Whether EC2 still shows that instance or not: its token is spent for a day."""
    lab.part.set_conditions({"terminated_listed": listed})
    old = play(lab, nodes=ONE).nodes[0]
    play(lab, nodes=ONE, state="absent")
    until(lambda: lab.state(old["instance_id"]) == ("terminated" if listed else ""))
    lab.ledger.clear_calls()
    new = play(lab, nodes=ONE).nodes[0]
    assert (new["generation"], new["state"]) == (1, "running")
    assert lab.instance(new["instance_id"])["ClientToken"] == launch_token("fargle", NAMES[0], lab.subnets["a"], 1)
    assert operations(lab)["RunInstances"] == (1 if listed else 2)


def test_A7_full_zone_is_left_inside_a_placement_group_too(lab: Lab) -> None:
    lab.ec2.create_placement_group(GroupName="close", Strategy="spread")
    lab.part.conditions.no_capacity = [{"zone": f"{REGION}a", "instance_type": "m5.large"}]
    made = play(lab, placement_group_name="close")
    assert {node["az"] for node in made.nodes} == {f"{REGION}b"}
    assert {lab.instance(instance_id)["Placement"]["GroupName"] for _name, instance_id in living(lab)} == {"close"}


def test_A8_key_that_cannot_be_used_is_named_before_anything_is_bought(lab: Lab) -> None:
    kms = lab.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    with pytest.raises(InputError, match=rf"root_volume.kms_key_id: {key} is Disabled"):
        play(lab, root_volume={"type": "gp3", "kms_key_id": key})
    assert not any(call.mutating for call in lab.ledger.calls if call.service == "ec2")


def test_A8_instance_that_dies_of_its_key_fails_within_seconds_with_ec2s_reason(lab: Lab) -> None:
    """Whoever may not look at keys learns of it from the instance, and long before the timeout."""
    lab.part.conditions.denied = ["DescribeKey"]
    made = play(lab, nodes=ONE, root_volume={"type": "gp3", "kms_key_id": "00000000-0000-0000-0000-000000000000"}, wait_timeout=15)
    assert "is terminated: Client.InternalError: Client error on launch; the usual cause is a KMS key" in made.failures[NAMES[0]]
    assert living(lab) == []


@pytest.mark.parametrize(("groups", "words"), [([], "security_group_ids: is empty"), (["sg-00000000000000000"], "sg-00000000000000000 does not exist")])
def test_A10_launch_without_the_right_security_groups_is_refused(lab: Lab, groups: list[str], words: str) -> None:
    """EC2 would take the VPC's default group."""
    with pytest.raises(InputError, match=words):
        play(lab, security_group_ids=groups)
    assert operations(lab)["RunInstances"] == 0


def test_A11_newer_image_replaces_nothing(lab: Lab) -> None:
    before = [node["instance_id"] for node in play(lab).nodes]
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10, "VolumeType": "gp3"}}]
    words = {"Architecture": "x86_64", "RootDeviceName": "/dev/xvda", "VirtualizationType": "hvm", "BlockDeviceMappings": mapping}
    newer = lab.ec2.register_image(Name="talos-v1.12.0-eu-central-1-amd64", **words)["ImageId"]
    again = play(lab, image_id=newer)
    assert (plan(again), [node["instance_id"] for node in again.nodes]) == ([], before)
    assert again.warnings == [f"{name}: the existing instance is kept although it differs: image_id {lab.image} (wanted {newer})" for name in NAMES]


@pytest.mark.parametrize("state", ["present", "absent", "stopped", "finished"])
@pytest.mark.parametrize("words", [{"cluster": ""}, {"cluster": "*"}, {"nodes": [{"name": ""}]}, {"nodes": [{"name": "*"}]}], ids=str)
def test_A12_empty_name_or_cluster_is_refused_before_any_call(lab: Lab, state: str, words: dict[str, object]) -> None:
    with pytest.raises(InputError, match="is not a (cluster|node) name"):
        play(lab, state=state, **words)
    assert lab.ledger.calls == []
