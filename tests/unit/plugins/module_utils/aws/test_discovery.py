# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery: what is read, with how many calls, and what it is taken for."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws import classify
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.discovery import InfoOptions, discover
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.errors import ApiError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError

from tests.unit.plugins.module_utils.aws.exchange import Exchange, tags

ARN = "arn:aws:elasticloadbalancing:eu-central-1:1:"
API_LB = f"{ARN}loadbalancer/net/fargle-apiserver/1"
WEB_LB = f"{ARN}loadbalancer/net/fargle-web/2"
API_TG = f"{ARN}targetgroup/api/1"
WEB_TG = f"{ARN}targetgroup/web/2"
TAGGED = {
    "TagFilters": [{"Key": "Cluster", "Values": ["fargle"]}],
    "ResourceTypeFilters": ["elasticloadbalancing:loadbalancer", "elasticloadbalancing:targetgroup"],
}
INSTANCES = {
    "Filters": [
        {"Name": "tag:Cluster", "Values": ["fargle"]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "shutting-down", "stopping", "stopped"]},
    ]
}
GROUPS = {"Filters": [{"Name": "tag:Cluster", "Values": ["fargle"]}]}


def resource(arn: str, **more: str) -> dict[str, t.Any]:
    return {"ResourceARN": arn, "Tags": tags(Cluster="fargle", **more)}


ZONES = [{"ZoneName": "eu-central-1b", "SubnetId": "subnet-2"}, {"ZoneName": "eu-central-1a", "SubnetId": "subnet-1"}]


def balancer(arn: str, groups: list[str] | None = None) -> dict[str, t.Any]:
    return {
        "LoadBalancerArn": arn,
        "LoadBalancerName": arn.split("/")[-2],
        "Type": "network",
        "VpcId": "vpc-1",
        "SecurityGroups": groups or [],
        "AvailabilityZones": ZONES,
    }


def target_group(arn: str, port: int, balancers: list[str], target_type: str = "instance") -> dict[str, t.Any]:
    name = arn.split("/")[-2]
    return {"TargetGroupArn": arn, "TargetGroupName": name, "Port": port, "Protocol": "TCP", "TargetType": target_type, "LoadBalancerArns": balancers}


def health(target: str, port: int, state: str = "healthy") -> dict[str, t.Any]:
    return {"Target": {"Id": target, "Port": port}, "TargetHealth": {"State": state}}


def instance(instance_id: str, name: str, **more: str) -> dict[str, t.Any]:
    return {
        "InstanceId": instance_id,
        "State": {"Name": "running", "Code": 16},
        "LaunchTime": datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
        "PrivateIpAddress": "10.0.0.9",
        "Tags": tags(Name=name, Cluster="fargle", **more),
    }


def reservations(*instances: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"Reservations": [{"Instances": list(instances)}]}


def whole_cluster() -> Exchange:
    """Two load balancers, two target groups, two instances, two security groups."""
    aws = Exchange()
    aws.expect("GetResources", TAGGED, {"ResourceTagMappingList": [resource(API_LB), resource(WEB_LB)]})
    aws.expect("DescribeLoadBalancers", {"LoadBalancerArns": [API_LB, WEB_LB]}, {"LoadBalancers": [balancer(API_LB, ["sg-lb"]), balancer(WEB_LB)]})
    aws.expect("DescribeTargetGroups", {"LoadBalancerArn": API_LB}, {"TargetGroups": [target_group(API_TG, 6443, [API_LB])]})
    aws.expect("DescribeTargetGroups", {"LoadBalancerArn": WEB_LB}, {"TargetGroups": [target_group(WEB_TG, 443, [WEB_LB])]})
    aws.expect("DescribeTags", {"ResourceArns": [API_TG, WEB_TG]}, {"TagDescriptions": []})
    for arn, target in ((API_TG, health("i-1", 6443)), (WEB_TG, health("i-2", 31443))):
        aws.expect("DescribeTargetHealth", {"TargetGroupArn": arn}, {"TargetHealthDescriptions": [target]})
    aws.expect("DescribeInstances", INSTANCES, reservations(instance("i-1", "fargle-cp-1"), instance("i-2", "fargle-worker-1", Role="worker")))
    node_rule = {"IpProtocol": "tcp", "FromPort": 49000, "ToPort": 51000}
    groups = [{"GroupId": "sg-n", "GroupName": "nodes", "IpPermissions": [node_rule]}, {"GroupId": "sg-lb", "GroupName": "lb", "IpPermissions": [node_rule]}]
    aws.expect("DescribeSecurityGroups", GROUPS, {"SecurityGroups": groups})
    return aws


def test_whole_cluster_is_found_with_as_many_calls_as_it_has_target_groups() -> None:
    aws = whole_cluster()
    cluster = discover(InfoOptions("fargle"), aws.clients()).values["cluster"]
    aws.done()
    assert [(group["name"], group["kind"], group["skipped"]) for group in cluster["target_groups"]] == [
        ("api", "apiserver", ""),
        ("web", "ingress", ""),
    ]
    assert [(item["name"], item["role"], item["unfinished"]) for item in cluster["instances"]] == [
        ("fargle-cp-1", "controlplane", False),
        ("fargle-worker-1", "worker", False),
    ]
    assert [(group["id"], group["admits_talos_api"], group["load_balancer"]) for group in cluster["security_groups"]] == [
        ("sg-lb", True, True),
        ("sg-n", True, False),
    ]
    assert cluster["target_groups"][1]["targets"][0]["port"] == 31443
    assert [item["zones"] for item in cluster["load_balancers"]] == [["eu-central-1a", "eu-central-1b"]] * 2


def test_empty_account_takes_three_calls() -> None:
    aws = Exchange()
    aws.expect("GetResources", TAGGED, {"ResourceTagMappingList": []})
    aws.expect("DescribeInstances", INSTANCES, {"Reservations": []})
    aws.expect("DescribeSecurityGroups", GROUPS, {"SecurityGroups": []})
    outcome = discover(InfoOptions("fargle"), aws.clients())
    aws.done()
    assert outcome.values["cluster"]["instances"] == []
    assert outcome.steps == []


@pytest.mark.parametrize("cluster", ["", " ", "*", "a:b", "fargle*"])
def test_A12_empty_or_pattern_cluster_is_refused_without_a_call(cluster: str) -> None:
    with pytest.raises(InputError, match="is not a cluster name"):
        discover(InfoOptions(cluster), Exchange().clients())


def test_B14_pages_are_read_to_the_end() -> None:
    aws = Exchange()
    aws.expect("GetResources", TAGGED, {"ResourceTagMappingList": [], "PaginationToken": "more"})
    aws.expect("GetResources", {**TAGGED, "PaginationToken": "more"}, {"ResourceTagMappingList": []})
    aws.expect("DescribeInstances", INSTANCES, {**reservations(instance("i-1", "a")), "NextToken": "t"})
    aws.expect("DescribeInstances", {**INSTANCES, "NextToken": "t"}, reservations(instance("i-2", "b")))
    aws.expect("DescribeSecurityGroups", GROUPS, {"SecurityGroups": [], "NextToken": "s"})
    aws.expect("DescribeSecurityGroups", {**GROUPS, "NextToken": "s"}, {"SecurityGroups": []})
    cluster = discover(InfoOptions("fargle"), aws.clients()).values["cluster"]
    aws.done()
    assert [item["name"] for item in cluster["instances"]] == ["a", "b"]


def test_B15_more_than_twenty_arns_go_in_chunks() -> None:
    aws = Exchange()
    arns = [f"{ARN}loadbalancer/net/lb-{index}/1" for index in range(21)]
    groups = {arn: [target_group(f"{ARN}targetgroup/tg-{index}/1", 443, [arn], "alb")] for index, arn in enumerate(arns)}
    aws.expect("GetResources", TAGGED, {"ResourceTagMappingList": [resource(arn) for arn in arns]})
    aws.expect("DescribeLoadBalancers", {"LoadBalancerArns": arns[:20]}, {"LoadBalancers": [balancer(arn) for arn in arns[:20]]})
    aws.expect("DescribeLoadBalancers", {"LoadBalancerArns": arns[20:]}, {"LoadBalancers": [balancer(arn) for arn in arns[20:]]})
    for arn in arns:
        aws.expect("DescribeTargetGroups", {"LoadBalancerArn": arn}, {"TargetGroups": groups[arn]})
    own = [groups[arn][0]["TargetGroupArn"] for arn in arns]
    aws.expect("DescribeTags", {"ResourceArns": own[:20]}, {"TagDescriptions": []})
    aws.expect("DescribeTags", {"ResourceArns": own[20:]}, {"TagDescriptions": []})
    aws.expect("DescribeInstances", INSTANCES, {"Reservations": []})
    aws.expect("DescribeSecurityGroups", GROUPS, {"SecurityGroups": []})
    discover(InfoOptions("fargle"), aws.clients())
    aws.done()


def test_B17_what_vanishes_between_two_calls_is_left_out() -> None:
    aws = Exchange()
    aws.expect("GetResources", TAGGED, {"ResourceTagMappingList": [resource(API_LB), resource(WEB_LB)]})
    aws.refuse("DescribeLoadBalancers", {"LoadBalancerArns": [API_LB, WEB_LB]}, "LoadBalancerNotFound")
    aws.refuse("DescribeLoadBalancers", {"LoadBalancerArns": [API_LB]}, "LoadBalancerNotFound")
    aws.expect("DescribeLoadBalancers", {"LoadBalancerArns": [WEB_LB]}, {"LoadBalancers": [balancer(WEB_LB)]})
    aws.expect("DescribeTargetGroups", {"LoadBalancerArn": WEB_LB}, {"TargetGroups": [target_group(WEB_TG, 443, [WEB_LB])]})
    aws.expect("DescribeTags", {"ResourceArns": [WEB_TG]}, {"TagDescriptions": []})
    aws.refuse("DescribeTargetHealth", {"TargetGroupArn": WEB_TG}, "TargetGroupNotFound")
    aws.expect("DescribeInstances", INSTANCES, {"Reservations": []})
    aws.expect("DescribeSecurityGroups", GROUPS, {"SecurityGroups": []})
    outcome = discover(InfoOptions("fargle"), aws.clients())
    aws.done()
    assert outcome.values["cluster"]["target_groups"] == []
    assert outcome.warnings == [f"load balancer {API_LB} is tagged but does not exist (any more)"]


def test_B16_throttling_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    aws = Exchange()
    aws.refuse("GetResources", TAGGED, "ThrottlingException")
    aws.expect("GetResources", TAGGED, {"ResourceTagMappingList": []})
    aws.expect("DescribeInstances", INSTANCES, {"Reservations": []})
    aws.expect("DescribeSecurityGroups", GROUPS, {"SecurityGroups": []})
    discover(InfoOptions("fargle"), aws.clients())
    aws.done()
    assert len(pauses) == 1


@pytest.mark.parametrize(
    ("operation", "code", "message", "action"),
    [
        ("GetResources", "AccessDeniedException", "User is not authorized", "tag:GetResources"),
        ("GetResources", "AccessDeniedException", "User: x is not authorized to perform: tag:GetTagKeys", "tag:GetTagKeys"),
    ],
)
def test_missing_permission_names_the_iam_action(operation: str, code: str, message: str, action: str) -> None:
    aws = Exchange().refuse(operation, TAGGED, code, message)
    with pytest.raises(ApiError) as caught:
        discover(InfoOptions("fargle"), aws.clients())
    assert str(caught.value).endswith(f"(grant the IAM action {action})")
    assert caught.value.details == {"error": {"code": code, "operation": operation}}


RULES = [
    ({"IpProtocol": "tcp", "FromPort": 50000, "ToPort": 50000}, True),
    ({"IpProtocol": "tcp", "FromPort": 49000, "ToPort": 51000}, True),
    ({"IpProtocol": "-1"}, True),
    ({"IpProtocol": "udp", "FromPort": 50000, "ToPort": 50000}, False),
    ({"IpProtocol": "tcp", "FromPort": 50001, "ToPort": 50010}, False),
    ({"IpProtocol": "tcp", "FromPort": 6443, "ToPort": 6443}, False),
]


@pytest.mark.parametrize(("rule", "admits"), RULES)
def test_port_is_admitted_by_ranges_and_all_traffic(rule: dict[str, t.Any], admits: bool) -> None:
    assert classify.admits_port({"IpPermissions": [rule]}, 50000) is admits


@pytest.mark.parametrize(
    ("mark", "worn", "expected"), [(None, False, False), (None, True, True), ("apiserver", False, True), ("none", True, False), ("", False, False)]
)
def test_security_group_is_a_load_balancers_by_mark_or_by_use(mark: str | None, worn: bool, expected: bool) -> None:
    item = {"GroupId": "sg-1", "GroupName": "x", "Tags": tags(LoadBalancer=mark) if mark is not None else []}
    assert classify.security_group(item, ["sg-1"] if worn else [])["load_balancer"] is expected


KINDS = [
    # port, target type, tags of the group, tags of the load balancer, its name, its type, used -> kind, whether nodes are registered
    (6443, "instance", {}, {}, "x", "network", True, "apiserver", True),
    (50000, "ip", {}, {}, "x", "network", True, "apiserver", True),
    (443, "instance", {}, {}, "fargle-apiserver", "network", True, "apiserver", True),
    (443, "instance", {}, {}, "x", "network", True, "ingress", True),
    (6443, "instance", {"LoadBalancer": "ingress"}, {}, "x", "network", True, "ingress", True),
    (443, "instance", {}, {"LoadBalancer": "apiserver"}, "x", "network", True, "apiserver", True),
    (443, "instance", {"LoadBalancer": "ingress"}, {"LoadBalancer": "none"}, "x", "network", True, "ingress", True),
    (443, "instance", {"LoadBalancer": "none"}, {}, "x", "network", True, "none", False),
    (443, "instance", {}, {"elbv2.k8s.aws/cluster": "fargle"}, "x", "network", True, "none", False),
    (443, "instance", {"elbv2.k8s.aws/cluster": "fargle"}, {}, "x", "network", True, "none", False),
    (None, "lambda", {}, {}, "x", "network", True, "none", False),
    (443, "alb", {}, {}, "x", "network", True, "none", False),
    (443, "instance", {}, {}, "x", "application", True, "ingress", False),
    (443, "instance", {}, {}, "x", "network", False, "ingress", False),
]


@pytest.mark.parametrize(("port", "target_type", "group_tags", "balancer_tags", "name", "lb_type", "used", "kind", "registered"), KINDS)
def test_target_group_is_classified(
    port: int | None,
    target_type: str,
    group_tags: dict[str, str],
    balancer_tags: dict[str, str],
    name: str,
    lb_type: str,
    used: bool,
    kind: str,
    registered: bool,
) -> None:
    owner = classify.load_balancer({"LoadBalancerArn": "a", "LoadBalancerName": name, "Type": lb_type}, balancer_tags)
    group = {"TargetGroupName": "g", "TargetType": target_type, "Port": port, "LoadBalancerArns": ["a"] if used else []}
    found, skipped = classify.kind_and_skip(group, group_tags, [owner] if used else [])
    assert (found, skipped == "") == (kind, registered)


def test_oddities_name_what_a_user_should_look_at() -> None:
    twins = [classify.instance(instance(instance_id, "twin", Role="master")) for instance_id in ("i-1", "i-2")]
    nameless = classify.instance(instance("i-3", ""))
    found = classify.oddities([*twins, nameless], [])
    assert "2 instances are called twin: i-1, i-2" in found
    assert "instances without a Name tag: i-3" in found
    assert "instance i-1: tag Role=master is none of worker, controlplane" in found


@pytest.mark.parametrize(
    ("role", "kinds", "expected"),
    [("", ["apiserver", "ingress"], "controlplane"), ("", ["ingress"], "worker"), ("", [], ""), ("worker", ["apiserver"], "worker")],
)
def test_role_of_an_instance_without_the_tag_is_where_it_serves(role: str, kinds: list[str], expected: str) -> None:
    groups = [{"kind": kind, "targets": [{"id": "i-1"}, {"id": "i-9"}]} for kind in kinds]
    assert classify.inferred_role({"role": role, "instance_id": "i-1", "private_ip": "10.0.0.1"}, groups) == expected
