# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/iam-policy.json and docs/kubernetes-role.yaml allow what the playbooks call, and nothing else."""

from __future__ import annotations

import collections
import dataclasses
import json
import typing as t

import boto3
import pytest
import yaml

from tests.sandbox.fixture import RunningSandbox

from . import iam
from .playbooks import ROOT, play, succeed

pytestmark = pytest.mark.slow

Stage = t.Callable[[], RunningSandbox]
POLICY = json.loads((ROOT / "docs" / "iam-policy.json").read_text())
ROLE = yaml.safe_load((ROOT / "docs" / "kubernetes-role.yaml").read_text())
# Together, and in the account as Account.spoil() leaves it, these call everything.
RUNS: list[tuple[str, dict[str, t.Any]]] = [
    ("create_load_balancers.yml", {"cluster": "barney", "load_balancers_node_security_group": True}),
    ("create_cluster.yml", {"cluster": "barney", "control_planes": 1, "workers": 0}),
    ("create_node.yml", {"cluster": "fargle", "role": "worker", "nodes": "fargle-worker-21"}),
    ("delete_node.yml", {"cluster": "fargle", "nodes": "fargle-worker-2"}),
    ("delete_node.yml", {"cluster": "fargle", "nodes": "fargle-controlplane-3", "unreachable": "force"}),
    ("describe_cluster.yml", {"cluster": "fargle"}),
    ("create_load_balancers.yml", {"cluster": "barney", "state": "absent", "load_balancers_allow_nodes": True}),
]
# Actions of the policy that know a condition key; on another action the condition is never met, and the action never allowed.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html and list_awselasticloadbalancingv2.html
KNOWN_KEYS = {
    "aws:RequestTag": {
        *("ec2:RunInstances", "ec2:CreateSecurityGroup", "ec2:CreateTags"),
        *("elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:AddTags"),
    },
    "aws:ResourceTag": {
        *("ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress", "ec2:DeleteSecurityGroup", "ec2:CreateTags", "ec2:DeleteTags"),
        *("ec2:DescribeInstanceAttribute", "ec2:GetConsoleOutput", "ec2:StopInstances", "ec2:TerminateInstances"),
        *(f"elasticloadbalancing:{name}" for name in ("AddTags", "CreateListener", "RegisterTargets", "DeregisterTargets", "SetSecurityGroups", "SetSubnets")),
        *(f"elasticloadbalancing:Modify{name}" for name in ("LoadBalancerAttributes", "TargetGroup", "TargetGroupAttributes")),
        *(f"elasticloadbalancing:Delete{name}" for name in ("LoadBalancer", "TargetGroup")),
    },
    "ec2:CreateAction": {"ec2:CreateTags"},
    "elasticloadbalancing:CreateAction": {"elasticloadbalancing:AddTags"},
}
# What the tag of an existing resource does not bind: there is none yet, it is anybody's to use, or (listeners) it has no tags.
UNBOUND = {"Look", "LaunchFrom", "LaunchWhatGetsTheTag", "MakeIn", "MakeWhatGetsTheTag", "TagAtBirth", "TagLoadBalancersAtBirth", "ChangeListeners"}


@dataclasses.dataclass
class Log:
    """The questions that all runs put to IAM, and what they called of Kubernetes."""

    requests: list[iam.Request]
    kubernetes: set[str]

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

    def subnets(self, word: str) -> list[str]:
        """The subnets whose name begins with the word."""
        found = self.ec2.describe_subnets(Filters=[{"Name": "tag:Name", "Values": [f"{word}*"]}])["Subnets"]
        return [one["SubnetId"] for one in sorted(found, key=lambda one: str(one["AvailabilityZone"]))]

    def spoil(self, cluster: str) -> None:
        """Make a load balancer and a security group for a cluster, with something wrong everywhere."""
        subnet = self.subnets("sandbox-a")[0]
        vpc = self.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
        mark = [{"Key": "Cluster", "Value": cluster}]
        group = self.ec2.create_security_group(GroupName="hand-made", Description="by hand", VpcId=vpc)["GroupId"]
        nodes = [{"ResourceType": "security-group", "Tags": [*mark, {"Key": "k8s-cluster-manager/owned", "Value": "true"}]}]
        self.ec2.create_security_group(GroupName=f"node-{cluster}", Description="by hand", VpcId=vpc, TagSpecifications=nodes)
        made = self.elb.create_load_balancer(Name="hand-made", Type="network", Scheme="internal", Subnets=[subnet], SecurityGroups=[group], Tags=mark)
        balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
        arns = []
        for name in ("hand-made", f"apiserver-{cluster}-6443"):
            words = {"Name": name, "Protocol": "TCP", "Port": 6443, "VpcId": vpc, "TargetType": "instance", "Tags": mark}
            arns.append(self.elb.create_target_group(**words)["TargetGroups"][0]["TargetGroupArn"])
        forward = [{"Type": "forward", "TargetGroupArn": arns[0]}]
        self.elb.create_listener(LoadBalancerArn=balancer, Protocol="TCP", Port=6443, DefaultActions=forward)


@pytest.fixture(scope="module")
def log(stage: Stage) -> Log:
    """All runs, one after another."""
    cloud = stage()
    cloud.control.delays({"*": 0})
    account = Account(cloud)
    account.spoil("barney")
    tags, asked, kubernetes = account.tags(), [], set()
    public = account.subnets("sandbox-public")
    for playbook, words in RUNS:
        cloud.control.forget_calls()
        succeed(play(cloud.env, playbook, **words, load_balancers_public_subnet_ids=public))
        calls = cloud.control.calls()
        tags = {**tags, **account.tags()}
        asked += [request for call in calls if call["service"] in iam.PREFIXES for request in iam.requests(call, tags)]
        kubernetes |= {call["operation"] for call in calls if call["service"] == "kubernetes"}
    return Log(asked, kubernetes)


def test_the_policy_has_exactly_the_actions_that_are_called(log: Log) -> None:
    assert set(iam.actions(POLICY)) == log.actions


def test_the_role_has_exactly_the_verbs_that_are_called(log: Log) -> None:
    allowed = {f"{verb}_{resource}" for rule in ROLE["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    # Claims are read where the pods of a drained node have volumes, which is chance.
    assert allowed == log.kubernetes | {"get_persistentvolumeclaims"}


def test_every_call_meets_the_policys_conditions(log: Log) -> None:
    refused = {one for one in log.requests if not iam.statements(POLICY, one)}
    assert refused == set()


def test_every_statement_is_needed(log: Log) -> None:
    needed = {sid for one in log.requests for sid in iam.statements(POLICY, one)}
    assert needed == {one["Sid"] for one in POLICY["Statement"]}


def test_what_carries_no_tag_is_out_of_reach(log: Log) -> None:
    """Whatever can be bound to the tag is."""
    allowed = {one for one in log.requests if iam.statements(POLICY, one.without_tags())}
    assert {sid for one in allowed for sid in iam.statements(POLICY, one)} == UNBOUND


def test_conditions_are_on_keys_that_the_actions_have() -> None:
    """An action without the key would never be allowed."""
    assert {(action, key) for action, key in iam.condition_keys(POLICY) if action not in KNOWN_KEYS[key]} == set()


def test_reads_are_for_all_and_nothing_else_is() -> None:
    for statement in POLICY["Statement"]:
        reads = all(action.split(":")[1].startswith(iam.UNBOUND) for action in iam.actions({"Statement": [statement]}))
        assert (statement["Resource"] == "*") == reads, statement["Sid"]
