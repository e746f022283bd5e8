# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster's own security groups: what is read, with how many calls, and with which requests rules are made what is wanted."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils import _progress
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.group_plan import GroupOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.security_groups import group_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError, ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome

from tests.unit.plugins.module_utils.aws.exchange import Exchange, looks

MARKS = {"Name": "web", "Cluster": "fargle", "LoadBalancer": "ingress", "k8s-cluster-manager/owned": "true"}
SUBNETS = {"Subnets": [{"SubnetId": "subnet-a", "VpcId": "vpc-1"}]}
NAMED = {"Filters": [{"Name": "group-name", "Values": ["web"]}, {"Name": "vpc-id", "Values": ["vpc-1"]}]}
OWN = {"Filters": [{"Name": "group-name", "Values": ["web"]}, {"Name": "tag:Cluster", "Values": ["fargle"]}]}


def pairs(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def rule(first: int, last: int, **source: t.Any) -> dict[str, t.Any]:
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, **source}


def cidr(value: str) -> dict[str, t.Any]:
    return {"IpRanges": [{"CidrIp": value}]}


def pair(group_id: str) -> dict[str, t.Any]:
    return {"UserIdGroupPairs": [{"GroupId": group_id}]}


def web(*rules: dict[str, t.Any], marks: dict[str, str] | None = None, group_id: str = "sg-1", name: str = "web") -> dict[str, t.Any]:
    return {"GroupId": group_id, "GroupName": name, "VpcId": "vpc-1", "IpPermissions": list(rules), "Tags": pairs(MARKS if marks is None else marks)}


def play(aws: Exchange, rules: list[dict[str, t.Any]], check: bool = False, state: str = "present", **changes: t.Any) -> Outcome:
    groups = [{"name": "web", "load_balancer": "ingress", "rules": [{"protocol": "tcp", "ports": [], **one} for one in rules]}]
    params = {"cluster": "fargle", "state": state, "subnet_ids": ["subnet-a"], "security_groups": groups, "tags": {}, "wait_timeout": 10}
    outcome = group_work(GroupOptions.of_params({**params, **changes}), aws.clients(), check, looks(3))
    aws.done()
    return outcome


def read(*items: dict[str, t.Any]) -> Exchange:
    return Exchange().expect("DescribeSubnets", lambda _sent: True, SUBNETS).expect("DescribeSecurityGroups", NAMED, {"SecurityGroups": list(items)})


HTTP = {"ports": ["80", "8000-8080"], "sources": ["10.0.0.0/8", "self"]}
HTTP_RULES = [rule(first, last, **source) for source in (cidr("10.0.0.0/8"), pair("sg-1")) for first, last in ((80, 80), (8000, 8080))]


def test_second_run_is_two_calls_and_changes_nothing() -> None:
    together = [{**rule(80, 80), **cidr("10.0.0.0/8"), **pair("sg-1")}, {**rule(8000, 8080), **cidr("10.0.0.0/8"), **pair("sg-1")}]
    outcome = play(read(web(*together)), [HTTP])
    assert outcome.steps == []
    assert outcome.values["security_groups"] == [{"name": "web", "id": "sg-1"}]


def test_group_is_made_with_its_marks_and_its_rules_follow() -> None:
    aws = read()
    request = {
        "GroupName": "web",
        "Description": "For the ingress load balancer of the cluster fargle",
        "VpcId": "vpc-1",
        "TagSpecifications": [{"ResourceType": "security-group", "Tags": pairs(MARKS)}],
    }
    aws.expect("CreateSecurityGroup", request, {"GroupId": "sg-1"})
    wanted = {"GroupId": "sg-1", "IpPermissions": HTTP_RULES}
    aws.refuse("AuthorizeSecurityGroupIngress", wanted, "InvalidGroup.NotFound").expect("AuthorizeSecurityGroupIngress", wanted, {})
    assert [(step.verb, step.target) for step in play(aws, [HTTP]).steps] == [("create", "security group"), ("update", "rules of the security group")]


def test_check_mode_predicts_with_names_for_groups_that_are_still_to_be_made() -> None:
    outcome = play(read(), [HTTP], check=True)
    assert outcome.values["security_groups"] == [{"name": "web", "id": "web"}]
    assert outcome.steps[1].after == {"rules": ["tcp 80 from 10.0.0.0/8", "tcp 80 from web", "tcp 8000-8080 from 10.0.0.0/8", "tcp 8000-8080 from web"]}


def test_what_lacks_is_added_before_what_is_too_much_goes() -> None:
    aws = read(web(rule(22, 22, **cidr("0.0.0.0/0")), *HTTP_RULES[1:]))
    aws.expect("AuthorizeSecurityGroupIngress", {"GroupId": "sg-1", "IpPermissions": HTTP_RULES[:1]}, {})
    aws.expect("RevokeSecurityGroupIngress", {"GroupId": "sg-1", "IpPermissions": [rule(22, 22, **cidr("0.0.0.0/0"))]}, {})
    assert len(play(aws, [HTTP]).steps) == 1


def test_all_traffic_icmp_and_ipv6_are_written_as_ec2_does() -> None:
    aws = read(web())
    wanted = [
        {"IpProtocol": "-1", **pair("sg-9")},
        {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, **cidr("10.0.0.0/8")},
        rule(443, 443, Ipv6Ranges=[{"CidrIpv6": "fd00::/8"}]),
    ]
    aws.expect("AuthorizeSecurityGroupIngress", {"GroupId": "sg-1", "IpPermissions": wanted}, {})
    rules = [
        {"protocol": "-1", "sources": ["sg-9"]},
        {"protocol": "icmp", "sources": ["10.0.0.0/8"]},
        {"ports": ["443"], "sources": ["fd00::/8"]},
    ]
    assert play(aws, rules).failures == {}


def test_vpc_means_all_its_ranges() -> None:
    aws = Exchange().expect("DescribeSubnets", lambda _sent: True, SUBNETS)
    entries = [{"CidrBlock": block, "CidrBlockState": {"State": state}} for block, state in (("10.1.0.0/16", "associated"), ("10.2.0.0/16", "disassociated"))]
    vpc = {"Filters": [{"Name": "vpc-id", "Values": ["vpc-1"]}]}
    aws.expect("DescribeVpcs", vpc, {"Vpcs": [{"VpcId": "vpc-1", "CidrBlockAssociationSet": entries}]})
    aws.expect("DescribeSecurityGroups", NAMED, {"SecurityGroups": [web(rule(80, 80, **cidr("10.1.0.0/16")))]})
    assert play(aws, [{"ports": ["80"], "sources": ["vpc"]}]).steps == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ports": ["80"], "sources": ["10.0.0.1/8"]}, "'10.0.0.1/8' is neither an IP range nor a security group"),
        ({"ports": ["80"], "sources": ["office"]}, "'office' is neither an IP range nor a security group"),
        ({"ports": ["http"], "sources": ["self"]}, "ports http: give port numbers or ranges"),
        ({"ports": ["90-80"], "sources": ["self"]}, "ports 90-80: give port numbers or ranges"),
        ({"sources": ["self"]}, "ports of a rule: give port numbers or ranges"),
    ],
)
def test_rules_that_mean_nothing_are_named(wrong: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        play(read(web()), [wrong])
    assert message in str(caught.value)


@pytest.mark.parametrize("marks", [{}, {**MARKS, "Cluster": "other"}, {"Cluster": "fargle", "LoadBalancer": "ingress"}])
def test_group_of_somebody_else_is_not_touched(marks: dict[str, str]) -> None:
    with pytest.raises(ManagerError, match="sg-1 has that name, and this collection did not make it"):
        play(read(web(marks=marks)), [HTTP])


def test_vpc_must_be_known() -> None:
    with pytest.raises(InputError, match="subnet_ids: is empty, or names no subnet of this region"):
        play(Exchange(), [], subnet_ids=[])
    two = {"Subnets": [{"SubnetId": "subnet-a", "VpcId": "vpc-1"}, {"SubnetId": "subnet-b", "VpcId": "vpc-2"}]}
    with pytest.raises(InputError, match=r"the subnets are in different VPCs \(vpc-1, vpc-2\)"):
        play(Exchange().expect("DescribeSubnets", lambda _sent: True, two), [])


# --- removal


def removal(referring: list[dict[str, t.Any]], wearing: list[dict[str, t.Any]]) -> Exchange:
    aws = Exchange().expect("DescribeSecurityGroups", OWN, {"SecurityGroups": [web()]})
    aws.expect("DescribeSecurityGroups", {"Filters": [{"Name": "ip-permission.group-id", "Values": ["sg-1"]}]}, {"SecurityGroups": referring})
    return aws.expect("DescribeNetworkInterfaces", {"Filters": [{"Name": "group-id", "Values": ["sg-1"]}]}, {"NetworkInterfaces": wearing})


def interface(**more: t.Any) -> dict[str, t.Any]:
    return {"NetworkInterfaceId": "eni-1", "Groups": [{"GroupId": "sg-1"}], "InterfaceType": "network_load_balancer", **more}


def test_group_goes_when_the_load_balancers_interfaces_have_gone() -> None:
    nodes = web(rule(30080, 30080, **pair("sg-1")), rule(22, 22, **cidr("10.0.0.0/8")), group_id="sg-2", name="nodes")
    aws = removal([nodes], [interface()])
    aws.expect("RevokeSecurityGroupIngress", {"GroupId": "sg-2", "IpPermissions": [rule(30080, 30080, **pair("sg-1"))]}, {})
    aws.refuse("DeleteSecurityGroup", {"GroupId": "sg-1"}, "DependencyViolation").expect("DeleteSecurityGroup", {"GroupId": "sg-1"}, {})
    with _progress.running() as progress:
        outcome = play(aws, [], state="absent")
    assert [list(phases) for phases in progress.timing.values()] == [["DependencyViolation"]]
    assert [(step.verb, step.node) for step in outcome.steps] == [("update", "nodes"), ("delete", "web")]
    assert outcome.failures == {}


def test_group_that_is_held_on_to_is_a_failure_that_names_the_holder() -> None:
    aws = removal([], [interface(Description="ELB net/web/1")])
    for _look in range(3):
        aws.refuse("DeleteSecurityGroup", {"GroupId": "sg-1"}, "DependencyViolation")
    aws.expect("DescribeNetworkInterfaces", lambda _sent: True, {"NetworkInterfaces": [interface(Description="ELB net/web/1")]})
    assert play(aws, [], state="absent").failures["web"].endswith("DependencyViolation: no; network interface eni-1 (ELB net/web/1) has it")


def test_group_of_an_instance_and_group_in_a_foreign_rule_stay() -> None:
    foreign = web(rule(80, 80, **pair("sg-1")), marks={}, group_id="sg-3", name="office")
    with pytest.raises(ManagerError) as caught:
        play(removal([foreign], [interface(InterfaceType="interface", Attachment={"InstanceId": "i-1"})]), [], state="absent")
    assert "security group web: office (sg-3), which this collection did not make, names it in a rule" in str(caught.value)
    assert "security group web: network interface eni-1 (i-1) has it" in str(caught.value)


def test_group_that_is_gone_meanwhile_is_removed() -> None:
    assert play(removal([], []).refuse("DeleteSecurityGroup", {"GroupId": "sg-1"}, "InvalidGroup.NotFound"), [], state="absent").failures == {}


def test_nothing_to_remove_is_one_call() -> None:
    assert play(Exchange().expect("DescribeSecurityGroups", OWN, {"SecurityGroups": []}), [], state="absent").steps == []
