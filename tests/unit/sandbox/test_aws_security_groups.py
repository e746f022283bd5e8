# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups: what the API refuses about names, rules and deletion.

API = https://docs.aws.amazon.com/AWSEC2/latest/APIReference
"""

from __future__ import annotations

import typing as t

import pytest

from .aws_lab import Lab, expect_refused, until


def made(lab: Lab, name: str = "mine", **words: t.Any) -> str:
    return str(lab.ec2.create_security_group(**{"GroupName": name, "Description": name, "VpcId": lab.vpc, **words})["GroupId"])


def tcp(first: int, last: int, **peers: t.Any) -> dict[str, t.Any]:
    """A permission for TCP ports, for everybody unless told otherwise."""
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, **(peers or {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]})}


def let_in(lab: Lab, group: str, *permissions: dict[str, t.Any]) -> dict[str, t.Any]:
    return dict(lab.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=list(permissions)))


def ingress(lab: Lab, group: str) -> list[dict[str, t.Any]]:
    return list(lab.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"])


def references(group: str) -> dict[str, t.Any]:
    return {"UserIdGroupPairs": [{"GroupId": group}]}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"GroupName": "sg-mine"}, "InvalidParameterValue"),
        ({"GroupName": "x" * 256}, "InvalidParameterValue"),
        ({"GroupName": "na\u00efve"}, "InvalidParameterValue"),
        ({"Description": "what?"}, "InvalidParameterValue"),
        ({"VpcId": "vpc-0123456789abcdef0"}, "InvalidVpcID.NotFound"),
        ({"GroupName": "nodes"}, "InvalidGroup.Duplicate"),
    ],
)
def test_names_and_descriptions(lab: Lab, words: dict[str, str], code: str) -> None:
    """API_CreateSecurityGroup GroupName, GroupDescription, VpcId; names are unique in a VPC."""
    with expect_refused(code):
        made(lab, **words)


def test_the_same_rule_twice(lab: Lab) -> None:
    """API_AuthorizeSecurityGroupIngress errors InvalidPermission.Duplicate: another description does not make another rule, and nothing is added."""
    group = made(lab)
    let_in(lab, group, tcp(6443, 6443))
    with expect_refused("InvalidPermission.Duplicate", '"peer: 0.0.0.0/0, TCP, from port: 6443, to port: 6443, ALLOW" already exists'):
        let_in(lab, group, tcp(50000, 50001), tcp(6443, 6443, IpRanges=[{"CidrIp": "0.0.0.0/0", "Description": "again"}]))
    assert [one["FromPort"] for one in ingress(lab, group)] == [6443]
    with expect_refused("InvalidParameterValue", "must not appear multiple times"):
        let_in(lab, group, tcp(50000, 50000), tcp(50000, 50000))
    with expect_refused("InvalidPermission.Duplicate"):
        lab.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])


def test_one_call_gives_back_all_its_rules(lab: Lab) -> None:
    """API_AuthorizeSecurityGroupIngress SecurityGroupRuleSet."""
    rules = let_in(lab, made(lab), tcp(6443, 6443), tcp(2379, 2380, IpRanges=[{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "192.168.0.0/16"}]))["SecurityGroupRules"]
    assert sorted((rule["FromPort"], rule["CidrIpv4"]) for rule in rules) == [(2379, "10.0.0.0/8"), (2379, "192.168.0.0/16"), (6443, "0.0.0.0/0")]
    assert len({rule["SecurityGroupRuleId"] for rule in rules}) == 3


def test_blocks_are_kept_without_host_bits(lab: Lab) -> None:
    """API_IpRange: 100.68.0.18/18 becomes 100.68.0.0/18."""
    group = made(lab)
    let_in(lab, group, tcp(443, 443, IpRanges=[{"CidrIp": "100.68.0.18/18"}]))
    assert ingress(lab, group)[0]["IpRanges"] == [{"CidrIp": "100.68.0.0/18"}]
    with expect_refused("InvalidPermission.Duplicate"):
        let_in(lab, group, tcp(443, 443, IpRanges=[{"CidrIp": "100.68.0.0/18"}]))


@pytest.mark.parametrize(
    "permission",
    [
        tcp(6444, 6443),
        tcp(0, 65536),
        {"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        {"IpProtocol": "tls", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        tcp(1, 1, IpRanges=[{"CidrIp": "10.0.0.0/33"}]),
        tcp(1, 1, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "what?"}]),
    ],
)
def test_rules_that_make_no_sense(lab: Lab, permission: dict[str, t.Any]) -> None:
    """API_IpPermission, API_IpRange; errors InvalidParameterValue."""
    group = made(lab)
    with expect_refused("InvalidParameterValue"):
        let_in(lab, group, permission)
    assert ingress(lab, group) == []


def test_rules_that_name_groups(lab: Lab) -> None:
    """API_UserIdGroupPair: an existing group of the same network; itself too."""
    group, other = made(lab), made(lab, "other")
    let_in(lab, group, {"IpProtocol": "-1", **references(group)}, tcp(6443, 6443, **references(other)))
    shown = {one["IpProtocol"]: one for one in ingress(lab, group)}
    assert [one["GroupId"] for one in shown["-1"]["UserIdGroupPairs"]] == [group] and "FromPort" not in shown["-1"]
    assert [one["GroupId"] for one in shown["tcp"]["UserIdGroupPairs"]] == [other]
    vpc = lab.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    for stranger in ("sg-0123456789abcdef0", made(lab, "far", VpcId=vpc)):
        with expect_refused("InvalidGroup.NotFound"):
            let_in(lab, group, tcp(1, 1, **references(stranger)))


def test_too_many_rules(lab: Lab) -> None:
    """VPC quotas: 60 inbound rules per security group."""
    group = made(lab)
    let_in(lab, group, *(tcp(port, port) for port in range(1, 61)))
    with expect_refused("RulesPerSecurityGroupLimitExceeded"):
        let_in(lab, group, tcp(61, 61))


def test_revoking(lab: Lab) -> None:
    """API_RevokeSecurityGroupIngress: outside of a default VPC a rule that is not there is an error, and nothing is revoked."""
    group = made(lab)
    rules = let_in(lab, group, tcp(6443, 6443), tcp(50000, 50001))["SecurityGroupRules"]
    with expect_refused("InvalidPermission.NotFound", "does not exist in this security group"):
        lab.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[tcp(6443, 6443), tcp(50000, 50000)])
    with expect_refused("InvalidSecurityGroupRuleId.NotFound"):
        lab.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=["sgr-0123456789abcdef0"])
    assert len(ingress(lab, group)) == 2
    lab.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[tcp(6443, 6443)])
    lab.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"] for rule in rules if rule["FromPort"] == 50000])
    assert ingress(lab, group) == []


def test_unknown_groups(lab: Lab) -> None:
    """API_AuthorizeSecurityGroupIngress, API_DeleteSecurityGroup errors InvalidGroup.NotFound."""
    for call in (
        lambda: let_in(lab, "sg-0123456789abcdef0", tcp(1, 1)),
        lambda: lab.ec2.delete_security_group(GroupId="sg-0123456789abcdef0"),
        lambda: lab.ec2.revoke_security_group_ingress(GroupId="sg-0123456789abcdef0", IpPermissions=[tcp(1, 1)]),
    ):
        with expect_refused("InvalidGroup.NotFound"):
            call()


def test_a_group_in_use_stays(lab: Lab) -> None:
    """API_DeleteSecurityGroup: DependencyViolation while an instance has it or another group's rule names it; its own rules do not count."""
    group, other = made(lab), made(lab, "other")
    let_in(lab, group, {"IpProtocol": "-1", **references(group)})
    let_in(lab, other, tcp(6443, 6443, **references(group)))
    instance = lab.running(SecurityGroupIds=[group])
    let_in(lab, made(lab, "third"), tcp(6443, 6443, **references(other)))
    with expect_refused("DependencyViolation", f"resource {group} has a dependent object"):
        lab.ec2.delete_security_group(GroupId=group)
    lab.ec2.revoke_security_group_ingress(GroupId=other, IpPermissions=[tcp(6443, 6443, **references(group))])
    with expect_refused("DependencyViolation"):
        lab.ec2.delete_security_group(GroupId=group)
    lab.ec2.terminate_instances(InstanceIds=[instance])
    until(lambda: lab.state(instance) == "terminated")
    assert lab.ec2.delete_security_group(GroupId=group)["GroupId"] == group
    with expect_refused("DependencyViolation"):
        lab.ec2.delete_security_group(GroupId=other)


def test_the_default_group_stays(lab: Lab) -> None:
    """API_DeleteSecurityGroup errors CannotDelete (alantech/iasql#654)."""
    groups = lab.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [lab.vpc]}, {"Name": "group-name", "Values": ["default"]}])
    with expect_refused("CannotDelete", "cannot be deleted by a user"):
        lab.ec2.delete_security_group(GroupId=groups["SecurityGroups"][0]["GroupId"])


def test_pages_of_what_a_network_consists_of(lab: Lab) -> None:
    """API_DescribeRouteTables, API_DescribeSecurityGroupRules, API_DescribeInternetGateways, API_DescribeVpcs MaxResults, NextToken."""
    group = made(lab)
    rules = {one["SecurityGroupRuleId"] for one in let_in(lab, group, *(tcp(port, port) for port in range(1, 8)))["SecurityGroupRules"]}
    tables = {lab.ec2.create_route_table(VpcId=lab.vpc)["RouteTable"]["RouteTableId"] for _ in range(6)}
    of_group = {"Filters": [{"Name": "group-id", "Values": [group]}]}
    first = lab.ec2.describe_security_group_rules(**of_group, MaxResults=5)
    rest = lab.ec2.describe_security_group_rules(**of_group, MaxResults=5, NextToken=first["NextToken"])
    assert len(first["SecurityGroupRules"]) == 5 and rules < {one["SecurityGroupRuleId"] for one in first["SecurityGroupRules"] + rest["SecurityGroupRules"]}
    pages = lab.ec2.get_paginator("describe_route_tables").paginate(PaginationConfig={"PageSize": 5})
    assert tables < {one["RouteTableId"] for page in pages for one in page["RouteTables"]}
    for call, most in (("describe_route_tables", 100), ("describe_internet_gateways", 1000), ("describe_vpcs", 1000), ("describe_security_group_rules", 1000)):
        with expect_refused("InvalidParameterValue", "maxResults"):
            getattr(lab.ec2, call)(MaxResults=most + 1)


def test_dry_runs_change_nothing(lab: Lab) -> None:
    """API CommonParameters DryRun."""
    group = made(lab)
    for call in (
        lambda: lab.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[tcp(1, 1)], DryRun=True),
        lambda: lab.ec2.delete_security_group(GroupId=group, DryRun=True),
    ):
        with expect_refused("DryRunOperation"):
            call()
    assert ingress(lab, group) == []
