# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/iam-policy.json allows what the playbooks call, and nothing else."""

from __future__ import annotations

import collections
import dataclasses
import json
import typing as t

import boto3
import pytest

from tests.sandbox.fixture import RunningSandbox

from . import iam
from .playbooks import ROOT, play, succeed

pytestmark = pytest.mark.slow

Stage = t.Callable[[], RunningSandbox]
POLICY = json.loads((ROOT / "docs" / "iam-policy.json").read_text())
# Together these call everything.
RUNS: list[tuple[str, dict[str, t.Any]]] = [
    ("create_node.yml", {"cluster": "fargle", "role": "controlplane", "nodes": "fargle-controlplane-4"}),
    ("delete_node.yml", {"cluster": "fargle", "nodes": "fargle-worker-2"}),
    ("delete_node.yml", {"cluster": "fargle", "nodes": "fargle-controlplane-3", "unreachable": "force"}),
]
# Condition keys that an action knows, of those that the policy uses: a condition on another one is never met.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html and list_awselasticloadbalancingv2.html
KNOWN_KEYS = {
    "aws:ResourceTag": {
        *("ec2:CreateTags", "ec2:DeleteTags", "ec2:DescribeInstanceAttribute", "ec2:GetConsoleOutput", "ec2:StopInstances", "ec2:TerminateInstances"),
        *("elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"),
    },
    "aws:RequestTag": {"ec2:CreateTags", "ec2:RunInstances"},
    "ec2:CreateAction": {"ec2:CreateTags"},
}
# What no tag can bind: AWS has no resource for it, or it is somebody else's to use.
UNBOUND = ("Look", "LaunchFrom")


@dataclasses.dataclass
class Log:
    """The questions that all runs put to IAM."""

    requests: list[iam.Request]

    @property
    def actions(self) -> set[str]:
        return {one.action for one in self.requests}


class Account:
    """The sandbox's account, seen past its playbooks."""

    def __init__(self, cloud: RunningSandbox) -> None:
        session = boto3.Session(cloud.env["AWS_ACCESS_KEY_ID"], cloud.env["AWS_SECRET_ACCESS_KEY"], region_name=cloud.env["AWS_DEFAULT_REGION"])
        self.ec2 = session.client("ec2", endpoint_url=cloud.env["AWS_ENDPOINT_URL"])
        self.elb = session.client("elbv2", endpoint_url=cloud.env["AWS_ENDPOINT_URL"])

    def tags(self) -> dict[str, dict[str, str]]:
        """The tags of everything, by id or ARN."""
        found: dict[str, dict[str, str]] = collections.defaultdict(dict)
        for page in self.ec2.get_paginator("describe_tags").paginate():
            for tag in page["Tags"]:
                found[tag["ResourceId"]][tag["Key"]] = tag["Value"]
        balancers = [one["LoadBalancerArn"] for one in self.elb.describe_load_balancers()["LoadBalancers"]]
        arns = balancers + [one["TargetGroupArn"] for one in self.elb.describe_target_groups()["TargetGroups"]]
        arns += [one["ListenerArn"] for arn in balancers for one in self.elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]]
        for start in range(0, len(arns), 20):
            for row in self.elb.describe_tags(ResourceArns=arns[start : start + 20])["TagDescriptions"]:
                found[row["ResourceArn"]] = {tag["Key"]: tag["Value"] for tag in row["Tags"]}
        return found

    def target_group(self, name: str) -> str:
        """Its ARN."""
        return str(self.elb.describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"])


@pytest.fixture(scope="module")
def log(stage: Stage) -> Log:
    """All runs, one after another. A target group without tags, on a load balancer that has them, is looked at more closely."""
    cloud = stage()
    account = Account(cloud)
    plain = account.target_group("fargle-ingress-internal-80")
    account.elb.remove_tags(ResourceArns=[plain], TagKeys=["Cluster"])
    tags, asked = account.tags(), []
    for playbook, words in RUNS:
        cloud.control.forget_calls()
        succeed(play(cloud.env, playbook, **words))
        calls = [call for call in cloud.control.calls() if call["service"] in iam.PREFIXES]
        account.elb.add_tags(ResourceArns=[plain], Tags=[{"Key": "Cluster", "Value": "fargle"}])
        tags = {**tags, **account.tags()}
        asked += [request for call in calls for request in iam.requests(call, tags)]
    return Log(asked)


def test_the_policy_has_exactly_the_actions_that_are_called(log: Log) -> None:
    assert set(iam.actions(POLICY)) == log.actions


def test_every_call_meets_the_policys_conditions(log: Log) -> None:
    refused = {one for one in log.requests if not iam.statements(POLICY, one)}
    assert refused == set()


def test_every_statement_is_needed(log: Log) -> None:
    needed = {sid for one in log.requests for sid in iam.statements(POLICY, one)}
    assert needed == {one["Sid"] for one in POLICY["Statement"]}


def test_what_carries_no_tag_is_out_of_reach(log: Log) -> None:
    """Whatever can be bound to the tag is."""
    allowed = {one for one in log.requests if iam.statements(POLICY, one.without_tags())}
    assert {sid for one in allowed for sid in iam.statements(POLICY, one)} <= {*UNBOUND, "LaunchWhatCarriesTheTag", "TagAtLaunch"}


def test_conditions_are_on_keys_that_the_actions_have() -> None:
    """An action without the key would never be allowed."""
    assert {(action, key) for action, key in iam.condition_keys(POLICY) if action not in KNOWN_KEYS[key]} == set()


def test_reads_are_for_all_and_nothing_else_is() -> None:
    for statement in POLICY["Statement"]:
        reads = all(action.split(":")[1].startswith(iam.UNBOUND) for action in iam.actions({"Statement": [statement]}))
        assert (statement["Resource"] == "*") == reads, statement["Sid"]
