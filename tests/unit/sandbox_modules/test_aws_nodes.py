# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ec2_node against the sandbox's EC2: kills, lost answers, two operators, full zones, protection."""

from __future__ import annotations

import json

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.discovery import InfoOptions, discover
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError

from tests.unit.sandbox.aws_lab import REGION, Lab
from tests.unit.sandbox_modules.aws_kit import NAMES, clients_of, living, operations, plan, play


def test_life_of_three_nodes_and_what_it_costs(lab: Lab) -> None:
    predicted = play(lab, check=True)
    assert not any(call.mutating for call in lab.ledger.calls)
    made = play(lab)
    assert plan(made) == plan(predicted)
    assert [(node["name"], node["state"], node["unfinished"]) for node in made.nodes] == [(name, "running", True) for name in NAMES]
    assert {node["az"] for node in made.nodes} == {f"{REGION}a", f"{REGION}b"}
    lab.ledger.clear_calls()
    assert plan(play(lab)) == []
    assert operations(lab) == {"DescribeInstances": 2, "DescribeImages": 1, "DescribeInstanceStatus": 1}
    assert [step.verb for step in play(lab, state="finished").steps] == ["finish"] * 3
    assert plan(play(lab, state="finished")) == []
    found = discover(InfoOptions("fargle"), clients_of(lab)).values["cluster"]["instances"]
    assert [(item["name"], item["role"], item["unfinished"]) for item in found] == [(name, "worker", False) for name in NAMES]
    assert plan(play(lab, check=True, state="absent")) == plan(play(lab, state="absent"))
    assert living(lab) == []
    assert plan(play(lab, state="absent")) == []
    assert [node["generation"] for node in play(lab).nodes] == [1, 1, 1]


def test_an_exhausted_vcpu_quota_is_named_for_each_node_and_the_run_is_resumed(lab: Lab) -> None:
    """It is of the whole region: no other subnet is tried."""
    lab.part.conditions.capacity = 0
    lab.ledger.clear_calls()
    failures = play(lab).failures
    assert set(failures) == set(NAMES)
    assert all("VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit" in text for text in failures.values())
    assert sum(call.operation == "RunInstances" for call in lab.ledger.calls) == 3
    lab.part.conditions.capacity = None
    assert [step.verb for step in play(lab).steps] == ["launch"] * 3
    assert [name for name, _instance_id in living(lab)] == list(NAMES)


def test_dead_nodes_are_stopped_and_then_terminated(lab: Lab) -> None:
    play(lab)
    predicted = play(lab, check=True, state="stopped")
    assert plan(play(lab, state="stopped")) == plan(predicted)
    assert plan(play(lab, state="stopped")) == []
    assert {node["state"] for node in play(lab, state="absent").nodes} == {"terminated"}


def test_denied_launch_names_the_iam_action_before_anything_is_bought(lab: Lab) -> None:
    lab.part.conditions.denied = ["RunInstances"]
    with pytest.raises(InputError, match="grant the IAM action ec2:RunInstances"):
        play(lab, check=True)


@pytest.mark.parametrize(("associate", "count"), [(None, 1), (True, 3), (False, 0)])
def test_public_addresses_are_counted_as_the_option_or_else_the_subnets_say(lab: Lab, associate: bool | None, count: int) -> None:
    """Nodes 1 and 3 begin in the first subnet, node 2 in the second."""
    for name, public in (("a", False), ("b", True)):
        lab.ec2.modify_subnet_attribute(SubnetId=lab.subnets[name], MapPublicIpOnLaunch={"Value": public})
    assert play(lab, check=True, associate_public_ip=associate).values["public_addresses"] == count
    play(lab)
    assert play(lab, check=True, associate_public_ip=associate).values["public_addresses"] == 0


def test_five_wrong_inputs_are_named_in_one_answer(lab: Lab) -> None:
    wrong = {
        "image_id": "ami-00000000000000000",
        "instance_type": "m99.large",
        "subnet_id": [lab.subnets["a"], "subnet-00000000000000000"],
        "security_group_ids": ["sg-00000000000000000"],
        "placement_group_name": "nowhere",
    }
    with pytest.raises(InputError) as caught:
        play(lab, check=True, **wrong)
    assert [problem.partition(":")[0] for problem in caught.value.details["problems"]] == list(wrong)
    assert not any(call.mutating for call in lab.ledger.calls)


def test_legacy_instance_with_two_tags_is_listed_and_deleted(lab: Lab) -> None:
    tags = [{"Key": "Name", "Value": "fargle-legacy"}, {"Key": "Cluster", "Value": "fargle"}]
    legacy = lab.running(TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])
    item = discover(InfoOptions("fargle"), clients_of(lab)).values["cluster"]["instances"][0]
    assert (item["instance_id"], item["role"], item["generation"]) == (legacy, "", None)
    assert play(lab, state="absent", nodes=[{"name": "fargle-legacy"}]).nodes[0]["state"] == "terminated"


def test_look_alikes_are_left_alone(lab: Lab) -> None:
    play(lab, nodes=[{"name": "fargle-worker-10"}])
    play(lab, nodes=[{"name": NAMES[0]}])
    play(lab, cluster="fargle2", nodes=[{"name": "fargle2-worker-1"}])
    play(lab, state="absent", nodes=[{"name": NAMES[0]}])
    assert [name for name, _instance_id in living(lab)] == ["fargle-worker-10", "fargle2-worker-1"]
    with pytest.raises(InputError, match="belongs to cluster fargle2"):
        play(lab, state="absent", nodes=[{"name": "fargle2-worker-1"}])


def test_outcomes_are_plain_data(lab: Lab) -> None:
    assert json.loads(json.dumps(play(lab).result(with_diff=True)))["changed"] is True
