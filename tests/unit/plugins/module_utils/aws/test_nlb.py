# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers: what is read, with how many calls; what is made, mended or refused, with which requests."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.names import load_balancer_name
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.nlb import nlb_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.nlb_options import NlbOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError, ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome

from tests.unit.plugins.module_utils.aws.exchange import Exchange, looks, tags

ARN = "arn:aws:elasticloadbalancing:eu-central-1:1:"
MARKS = {"Cluster": "fargle", "LoadBalancer": "ingress", "k8s-cluster-manager/owned": "true"}
MARKED = [{"Key": key, "Value": value} for key, value in MARKS.items()]
LB = f"{ARN}loadbalancer/net/web/1"
OTHER_LB = f"{ARN}loadbalancer/net/old/2"
TG = f"{ARN}targetgroup/web-80/1"
OTHER_TG = f"{ARN}targetgroup/old/2"
SUBNETS = [{"SubnetId": f"subnet-{zone}", "VpcId": "vpc-1", "AvailabilityZone": f"zone-{zone}"} for zone in "ab"]
BALANCER: dict[str, t.Any] = {
    "LoadBalancerArn": LB,
    "LoadBalancerName": "web",
    "Type": "network",
    "Scheme": "internal",
    "VpcId": "vpc-1",
    "State": {"Code": "active"},
    "SecurityGroups": ["sg-1"],
    "AvailabilityZones": [{"ZoneName": f"zone-{zone}", "SubnetId": f"subnet-{zone}"} for zone in "ab"],
    "DNSName": "web.example",
}
CHECK = {
    "HealthCheckProtocol": "TCP",
    "HealthCheckPort": "traffic-port",
    "HealthCheckIntervalSeconds": 10,
    "HealthCheckTimeoutSeconds": 6,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 2,
}
FIXED = {"Protocol": "TCP", "Port": 30080, "VpcId": "vpc-1", "TargetType": "instance"}
GROUP: dict[str, t.Any] = {"TargetGroupArn": TG, "TargetGroupName": "web-80", "LoadBalancerArns": [LB], **FIXED, **CHECK}
LISTENER: dict[str, t.Any] = {"ListenerArn": f"{ARN}listener/1", "Port": 80, "Protocol": "TCP", "DefaultActions": [{"Type": "forward", "TargetGroupArn": TG}]}
LB_ATTRIBUTES = {"load_balancing.cross_zone.enabled": "true", "deletion_protection.enabled": "false"}
TG_ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": "120",
    "deregistration_delay.connection_termination.enabled": "true",
    "preserve_client_ip.enabled": "true",
}
ON: dict[str, t.Any] = {
    "name": "web",
    "kind": "ingress",
    "scheme": "internal",
    "subnet_ids": ["subnet-a", "subnet-b"],
    "security_groups": ["sg-1"],
    "cross_zone": True,
    "deregistration_delay": 120,
    "connection_termination": True,
    "preserve_client_ip": True,
    "health_check": None,
    "listeners": [{"port": 80, "target_port": 30080}],
}
GET_TAGGED = {
    "TagFilters": [{"Key": "Cluster", "Values": ["fargle"]}],
    "ResourceTypeFilters": ["elasticloadbalancing:loadbalancer", "elasticloadbalancing:targetgroup"],
}


def play(aws: Exchange, check: bool = False, state: str = "present", count: int = 3, **changes: t.Any) -> Outcome:
    """Run on the one load balancer web of fargle, changed as given."""
    params = {"cluster": "fargle", "state": state, "load_balancers": [{**ON, **changes}], "tags": {}, "wait_timeout": 10}
    outcome = nlb_work(NlbOptions.of_params(params), aws.clients(), check, looks(count))
    aws.done()
    return outcome


def pairs(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


class Cloud:
    """What AWS has, to be changed by a test; script() is the exchange in which it is read."""

    def __init__(self) -> None:
        self.balancer, self.group, self.listener = copy.deepcopy((BALANCER, GROUP, LISTENER))
        self.lb_tags, self.tg_tags = dict(MARKS), dict(MARKS)
        self.lb_attributes, self.tg_attributes = dict(LB_ATTRIBUTES), dict(TG_ATTRIBUTES)

    def script(self) -> Exchange:
        """The reads of a load balancer that is there."""
        aws = Exchange().expect("DescribeLoadBalancers", {"Names": ["web"]}, {"LoadBalancers": [self.balancer]})
        aws.expect("DescribeListeners", {"LoadBalancerArn": LB}, {"Listeners": [self.listener]})
        aws.expect("DescribeTargetGroups", {"Names": ["web-80"]}, {"TargetGroups": [self.group]})
        described = [{"ResourceArn": LB, "Tags": pairs(self.lb_tags)}, {"ResourceArn": TG, "Tags": pairs(self.tg_tags)}]
        aws.expect("DescribeTags", {"ResourceArns": [LB, TG]}, {"TagDescriptions": described})
        aws.expect("DescribeLoadBalancerAttributes", {"LoadBalancerArn": LB}, {"Attributes": pairs(self.lb_attributes)})
        aws.expect("DescribeTargetGroupAttributes", {"TargetGroupArn": TG}, {"Attributes": pairs(self.tg_attributes)})
        wanted = {"Filters": [{"Name": "subnet-id", "Values": ["subnet-a", "subnet-b"]}]}
        return aws.expect("DescribeSubnets", wanted, {"Subnets": SUBNETS})


def active(aws: Exchange, arn: str = LB, **changes: t.Any) -> Exchange:
    return aws.expect("DescribeLoadBalancers", {"LoadBalancerArns": [arn]}, {"LoadBalancers": [{**BALANCER, "LoadBalancerArn": arn, **changes}]})


# --- names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("apiserver-fargle", "apiserver-fargle"),
        ("ingress-a-cluster-of-32-letters1", "ingress-a-cluster-of-32-letters1"),
        ("ingress-a-cluster-of-33-letters-1", "ingress-a-cluster-of-33-042c32bc"),
        ("ingress-my_cluster", "ingress-my-cluster-f6bd7534"),
        ("ingress-my--cluster", "ingress-my-cluster-44eb64d9"),
        ("ingress-fargle--80", "ingress-fargle-80-b2b70771"),
    ],
)
def test_names_that_aws_would_not_take_are_shortened_the_same_way_for_ever(name: str, expected: str) -> None:
    assert load_balancer_name(name) == expected
    assert len(expected) <= 32


def test_long_names_stay_different() -> None:
    cluster = "a-cluster-with-a-name-of-more-than-thirty-letters"
    names = [f"apiserver-{cluster}", f"ingress-{cluster}", f"ingress-{cluster}-ext", f"ingress-{cluster}-80", f"ingress-{cluster}-443", f"ingress-{cluster}2"]
    short = {load_balancer_name(name) for name in names}
    assert len(short) == len(names)
    assert all(len(name) <= 32 and "--" not in name and name.strip("-") == name for name in short)


def test_same_name_twice_is_refused() -> None:
    with pytest.raises(InputError, match="load_balancers: web is named twice"):
        NlbOptions.of_params({"cluster": "fargle", "state": "present", "load_balancers": [ON, ON], "tags": {}, "wait_timeout": 1})


# --- what is read


def test_second_run_reads_each_load_balancer_once_and_changes_nothing() -> None:
    aws = Cloud().script()
    outcome = play(aws)
    assert outcome.steps == []
    assert outcome.values["load_balancers"][0]["dns_name"] == "web.example"
    assert outcome.values["target_groups"] == [{"name": "web-80", "arn": TG, "port": 30080, "target_type": "instance", "kind": "ingress", "skipped": ""}]
    assert len(aws.operations()) == 7


def test_B14_B15_twelve_load_balancers_are_described_in_chunks_of_twenty() -> None:
    """Three calls for each load balancer and one for each target group that AWS gives no batch for; all else does not grow."""
    names = [f"web{number}" for number in range(12)]
    arns = {name: f"{ARN}loadbalancer/net/{name}/1" for name in names}
    groups = {f"{name}-{port}": f"{ARN}targetgroup/{name}-{port}/1" for name in names for port in (80, 443)}
    aws = Exchange()
    aws.expect(
        "DescribeLoadBalancers", {"Names": names}, {"LoadBalancers": [{**BALANCER, "LoadBalancerArn": arns[name], "LoadBalancerName": name} for name in names]}
    )
    for name in names:
        listeners = [{**LISTENER, "Port": port, "DefaultActions": [{"Type": "forward", "TargetGroupArn": groups[f"{name}-{port}"]}]} for port in (80, 443)]
        aws.expect("DescribeListeners", {"LoadBalancerArn": arns[name]}, {"Listeners": listeners})
    for chunk in (list(groups)[:20], list(groups)[20:]):
        items = [{**GROUP, "TargetGroupName": name, "TargetGroupArn": groups[name]} for name in chunk]
        aws.expect("DescribeTargetGroups", {"Names": chunk}, {"TargetGroups": items})
    everything = [*arns.values(), *groups.values()]
    for chunk in (everything[:20], everything[20:]):
        aws.expect("DescribeTags", {"ResourceArns": chunk}, {"TagDescriptions": [{"ResourceArn": arn, "Tags": MARKED} for arn in chunk]})
    for arn in arns.values():
        aws.expect("DescribeLoadBalancerAttributes", {"LoadBalancerArn": arn}, {"Attributes": pairs(LB_ATTRIBUTES)})
    for arn in groups.values():
        aws.expect("DescribeTargetGroupAttributes", {"TargetGroupArn": arn}, {"Attributes": pairs(TG_ATTRIBUTES)})
    aws.expect("DescribeSubnets", lambda _sent: True, {"Subnets": SUBNETS})
    listeners = [{"port": 80, "target_port": 30080}, {"port": 443, "target_port": 30080}]
    params = {"cluster": "fargle", "state": "present", "tags": {}, "wait_timeout": 1}
    outcome = nlb_work(
        NlbOptions.of_params({**params, "load_balancers": [{**ON, "name": name, "listeners": listeners} for name in names]}), aws.clients(), False
    )
    aws.done()
    assert outcome.steps == []


# --- what is made


def nothing(aws: Exchange, public: bool = False) -> Exchange:
    """The reads where there is nothing; the search by tag finds only what is somebody else's."""
    aws.refuse("DescribeLoadBalancers", {"Names": ["web"]}, "LoadBalancerNotFound")
    aws.expect("GetResources", GET_TAGGED, {"ResourceTagMappingList": []})
    aws.refuse("DescribeTargetGroups", {"Names": ["web-80"]}, "TargetGroupNotFound")
    aws.expect("DescribeSubnets", lambda _sent: True, {"Subnets": SUBNETS})
    if public:
        aws.expect("DescribeInternetGateways", {"Filters": [{"Name": "attachment.vpc-id", "Values": ["vpc-1"]}]}, {"InternetGateways": []})
    return aws


def created(aws: Exchange) -> Exchange:
    aws.expect("CreateTargetGroup", {"Name": "web-80", **FIXED, **CHECK, "Tags": MARKED}, {"TargetGroups": [{"TargetGroupArn": TG}]})
    aws.expect("ModifyTargetGroupAttributes", {"TargetGroupArn": TG, "Attributes": pairs(TG_ATTRIBUTES)}, {})
    request = {"Name": "web", "Type": "network", "Scheme": "internal", "Subnets": ["subnet-a", "subnet-b"], "SecurityGroups": ["sg-1"], "Tags": MARKED}
    aws.expect("CreateLoadBalancer", request, {"LoadBalancers": [{"LoadBalancerArn": LB}]})
    return after_balancer(aws)


def after_balancer(aws: Exchange) -> Exchange:
    cross_zone = [{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]
    aws.expect("ModifyLoadBalancerAttributes", {"LoadBalancerArn": LB, "Attributes": cross_zone}, {})
    forward = [{"Type": "forward", "TargetGroupArn": TG}]
    return aws.expect("CreateListener", {"LoadBalancerArn": LB, "Protocol": "TCP", "Port": 80, "DefaultActions": forward}, {"Listeners": []})


def test_B13_everything_is_made_with_its_tags_and_security_groups_from_birth() -> None:
    outcome = play(active(active(created(nothing(Exchange())), State={"Code": "provisioning"})))
    assert [(step.verb, step.target) for step in outcome.steps] == [
        ("create", "target group web-80"),
        ("create", "load balancer"),
        ("create", "listener on port 80"),
    ]
    assert outcome.failures == {}
    assert outcome.values["load_balancers"][0]["state"] == "active"


def test_check_mode_predicts_the_same_even_without_the_security_group() -> None:
    predicted = play(nothing(Exchange()), check=True, security_groups=["web"])
    assert [step.summary() for step in predicted.steps] == [step.summary() for step in play(active(created(nothing(Exchange())))).steps]
    assert predicted.values["load_balancers"][0]["arn"] == ""
    with pytest.raises(InputError, match="web: web is not the id of a security group"):
        play(nothing(Exchange()), security_groups=["web"])


def test_load_balancer_that_does_not_come_up_is_a_failure() -> None:
    aws = active(created(nothing(Exchange())), State={"Code": "failed", "Reason": "no addresses"})
    assert play(aws).failures == {"web": "is not active, last seen: failed (no addresses)"}


def test_security_group_that_elb_does_not_know_yet_is_waited_for() -> None:
    aws = nothing(Exchange())
    aws.expect("CreateTargetGroup", lambda _sent: True, {"TargetGroups": [{"TargetGroupArn": TG}]}).expect(
        "ModifyTargetGroupAttributes", lambda _sent: True, {}
    )
    aws.refuse("CreateLoadBalancer", lambda _sent: True, "InvalidSecurityGroup")
    aws.expect("CreateLoadBalancer", lambda _sent: True, {"LoadBalancers": [{"LoadBalancerArn": LB}]})
    assert play(active(after_balancer(aws))).failures == {}


def test_internet_facing_needs_an_internet_gateway() -> None:
    with pytest.raises(ManagerError, match="subnet_ids: vpc-1 has no internet gateway"):
        play(nothing(Exchange(), public=True), scheme="internet-facing")


def test_one_subnet_of_each_zone_is_taken() -> None:
    third = {"SubnetId": "subnet-0", "VpcId": "vpc-1", "AvailabilityZone": "zone-b"}
    aws = (
        Exchange()
        .refuse("DescribeLoadBalancers", {"Names": ["web"]}, "LoadBalancerNotFound")
        .expect("GetResources", GET_TAGGED, {"ResourceTagMappingList": []})
    )
    aws.refuse("DescribeTargetGroups", {"Names": ["web-80"]}, "TargetGroupNotFound").expect(
        "DescribeSubnets", lambda _sent: True, {"Subnets": [third, *SUBNETS]}
    )
    steps = play(aws, check=True, subnet_ids=["subnet-a", "subnet-b", "subnet-0"]).steps
    assert steps[1].after is not None
    assert steps[1].after["Subnets"] == ["subnet-a", "subnet-b"]


# --- what is mended


def mended(cloud: Cloud, operation: str, params: dict[str, t.Any], **changes: t.Any) -> list[tuple[str, str]]:
    """The steps of a run that makes exactly this one call."""
    outcome = play(active(cloud.script().expect(operation, params, {})), **changes)
    assert outcome.failures == {}
    return [(step.verb, step.target) for step in outcome.steps]


@pytest.mark.parametrize("key", CHECK)
def test_each_part_of_the_health_check_is_mended(key: str) -> None:
    cloud = Cloud()
    cloud.group[key] = "9999" if isinstance(CHECK[key], str) else 99
    assert mended(cloud, "ModifyTargetGroup", {"TargetGroupArn": TG, **CHECK}) == [("update", "health check of target group web-80")]


@pytest.mark.parametrize("key", TG_ATTRIBUTES)
def test_B10_B11_each_attribute_of_the_target_group_is_mended(key: str) -> None:
    cloud = Cloud()
    cloud.tg_attributes[key] = "something else"
    right = [{"Key": key, "Value": TG_ATTRIBUTES[key]}]
    steps = mended(cloud, "ModifyTargetGroupAttributes", {"TargetGroupArn": TG, "Attributes": right})
    assert steps == [("update", "attributes of target group web-80")]


def test_B12_cross_zone_is_explicit() -> None:
    aws = Cloud().script().expect("DescribeTargetHealth", {"TargetGroupArn": TG}, {"TargetHealthDescriptions": []})
    off = [{"Key": "load_balancing.cross_zone.enabled", "Value": "false"}]
    aws.expect("ModifyLoadBalancerAttributes", {"LoadBalancerArn": LB, "Attributes": off}, {})
    assert [step.target for step in play(active(aws), cross_zone=False).steps] == ["attributes of the load balancer"]


@pytest.mark.parametrize(("zones", "warned"), [("a", True), ("ab", False), ("", False)])
def test_B12_zone_without_a_target_is_a_warning_when_cross_zone_is_off(zones: str, warned: bool) -> None:
    cloud = Cloud()
    cloud.lb_attributes["load_balancing.cross_zone.enabled"] = "false"
    targets = [{"Target": {"Id": f"i-{zone}", "Port": 30080}, "TargetHealth": {"State": "healthy"}} for zone in zones]
    aws = cloud.script().expect("DescribeTargetHealth", {"TargetGroupArn": TG}, {"TargetHealthDescriptions": targets})
    if zones:
        instances = [{"InstanceId": f"i-{zone}", "Placement": {"AvailabilityZone": f"zone-{zone}"}} for zone in zones]
        asked = {"Filters": [{"Name": "instance-id", "Values": [f"i-{zone}" for zone in zones]}]}
        aws.expect("DescribeInstances", asked, {"Reservations": [{"Instances": instances}]})
    expected = ["web: cross-zone is off, and target group web-80 has no target in zone-b"] if warned else []
    assert play(aws, cross_zone=False).warnings == expected


@pytest.mark.parametrize("key", MARKS)
@pytest.mark.parametrize("arn", [LB, TG])
def test_each_tag_is_mended_and_others_stay(arn: str, key: str) -> None:
    cloud = Cloud()
    for carried, place in ((cloud.lb_tags, LB), (cloud.tg_tags, TG)):
        carried["team"] = "theirs"
        if place == arn:
            del carried[key]
    assert len(mended(cloud, "AddTags", {"ResourceArns": [arn], "Tags": [{"Key": key, "Value": MARKS[key]}]})) == 1


def test_missing_zone_and_security_group_are_added_and_nothing_taken_away() -> None:
    cloud = Cloud()
    cloud.balancer["AvailabilityZones"] = [{"ZoneName": "zone-b", "SubnetId": "subnet-z"}]
    subnets = {"LoadBalancerArn": LB, "Subnets": ["subnet-z", "subnet-a"]}
    assert mended(cloud, "SetSubnets", subnets) == [("update", "subnets of the load balancer")]
    cloud = Cloud()
    cloud.balancer["SecurityGroups"] = ["sg-theirs"]
    groups = {"LoadBalancerArn": LB, "SecurityGroups": ["sg-theirs", "sg-1"]}
    assert mended(cloud, "SetSecurityGroups", groups) == [("update", "security groups of the load balancer")]


def test_http_checks_have_a_path() -> None:
    cloud = Cloud()
    cloud.group.update(HealthCheckProtocol="HTTP", HealthCheckPath="/old")
    check = {"protocol": "http", "path": "/healthz", "port": None}
    right = {**CHECK, "HealthCheckProtocol": "HTTP", "HealthCheckPath": "/healthz"}
    assert mended(cloud, "ModifyTargetGroup", {"TargetGroupArn": TG, **right}, health_check=check) == [("update", "health check of target group web-80")]


# --- what is taken over, and what is not


def elsewhere(*named: str, mark: str = "") -> Exchange:
    """The search for web where load balancers of other names have the cluster's tag and listen on port 80."""
    more = {"LoadBalancer": mark} if mark else {}
    arns = [f"{ARN}loadbalancer/net/{name}/1" for name in named]
    aws = Exchange().refuse("DescribeLoadBalancers", {"Names": ["web"]}, "LoadBalancerNotFound")
    listed = [{"ResourceARN": arn, "Tags": tags(Cluster="fargle", **more)} for arn in arns]
    aws.expect("GetResources", GET_TAGGED, {"ResourceTagMappingList": listed})
    items = [{**BALANCER, "LoadBalancerArn": arn, "LoadBalancerName": name} for arn, name in zip(arns, named, strict=True)]
    aws.expect("DescribeLoadBalancers", {"LoadBalancerArns": arns}, {"LoadBalancers": items})
    for arn in arns:
        aws.expect("DescribeListeners", {"LoadBalancerArn": arn}, {"Listeners": [LISTENER]})
    return aws.refuse("DescribeTargetGroups", {"Names": ["web-80"]}, "TargetGroupNotFound")


def test_two_that_could_be_it_are_named() -> None:
    aws = elsewhere("old", "older").expect("DescribeSubnets", lambda _sent: True, {"Subnets": SUBNETS})
    with pytest.raises(ManagerError, match="web: old, older could each be this load balancer of fargle; delete the others, or mark those"):
        play(aws)


@pytest.mark.parametrize("mark", ["apiserver", "none"])
def test_load_balancer_with_another_mark_is_not_it(mark: str) -> None:
    steps = play(elsewhere("old", mark=mark).expect("DescribeSubnets", lambda _sent: True, {"Subnets": SUBNETS}), check=True).steps
    assert ("create", "load balancer") in [(step.verb, step.target) for step in steps]


def test_B17_load_balancer_that_vanishes_meanwhile_is_made_again() -> None:
    aws = Exchange().refuse("DescribeLoadBalancers", {"Names": ["web"]}, "LoadBalancerNotFound")
    aws.expect("GetResources", GET_TAGGED, {"ResourceTagMappingList": [{"ResourceARN": OTHER_LB, "Tags": tags(Cluster="fargle")}]})
    aws.refuse("DescribeLoadBalancers", {"LoadBalancerArns": [OTHER_LB]}, "LoadBalancerNotFound")
    aws.refuse("DescribeTargetGroups", {"Names": ["web-80"]}, "TargetGroupNotFound").expect("DescribeSubnets", lambda _sent: True, {"Subnets": SUBNETS})
    assert len(play(aws, check=True).steps) == 3


@pytest.mark.parametrize(
    ("where", "key", "value", "message"),
    [
        ("balancer", "Scheme", "internet-facing", "web: has scheme internet-facing instead of internal, which cannot be changed"),
        ("balancer", "VpcId", "vpc-2", "web: has VPC vpc-2 instead of vpc-1, which cannot be changed"),
        ("balancer", "Type", "application", "web: has type application instead of network, which cannot be changed"),
        ("balancer", "State", {"Code": "failed", "Reason": "why"}, "web: AWS failed to make it: why"),
        ("group", "Port", 8080, "target group web-80: has port 8080 instead of 30080, which cannot be changed"),
        ("group", "Protocol", "UDP", "target group web-80: has protocol UDP instead of TCP, which cannot be changed"),
        ("group", "TargetType", "alb", "target group web-80: has target type alb instead of instance, which cannot be changed"),
        ("listener", "Protocol", "TLS", "web: its listener on port 80 is TLS, not TCP"),
        ("lb_tags", "Cluster", "other", "web: belongs to another cluster, its tag Cluster says other"),
        ("lb_tags", "LoadBalancer", "none", "web: its tag LoadBalancer=none says to leave it alone"),
        ("tg_tags", "Cluster", "other", "target group web-80: belongs to another cluster, its tag Cluster says other"),
    ],
)
def test_what_cannot_be_changed_is_refused_before_any_change(where: str, key: str, value: t.Any, message: str) -> None:
    cloud = Cloud()
    getattr(cloud, where)[key] = value
    cloud.lb_attributes.clear()  # which would be mended
    with pytest.raises(ManagerError) as caught:
        play(cloud.script())
    assert message in str(caught.value)


def test_options_are_checked_together() -> None:
    aws = (
        Exchange().expect("DescribeLoadBalancers", {"Names": ["web"]}, {"LoadBalancers": []}).expect("GetResources", GET_TAGGED, {"ResourceTagMappingList": []})
    )
    with pytest.raises(InputError) as caught:
        groups = ["sg-1", "sg-2", "sg-3", "sg-4", "sg-5", "sg-6"]
        play(aws, subnet_ids=[], listeners=[], security_groups=groups, deregistration_delay=4000, health_check={"interval": 4, "port": "web"})
    assert "subnet_ids is empty" in str(caught.value)
    assert "has no listeners" in str(caught.value)
    assert "6 security groups, a load balancer takes 5" in str(caught.value)
    assert "web: deregistration_delay is not within 0-3600" in str(caught.value)
    assert "web: health_check: interval is not within 5-300" in str(caught.value)
    assert "web: health_check: timeout 6 is longer than the interval 4" in str(caught.value)
    assert "web: health_check: port 'web' is neither a port number nor traffic-port" in str(caught.value)


# --- removal


def removal(cloud: Cloud) -> Exchange:
    aws = Exchange().expect("DescribeLoadBalancers", {"Names": ["web"]}, {"LoadBalancers": [cloud.balancer]})
    aws.expect("DescribeListeners", {"LoadBalancerArn": LB}, {"Listeners": [cloud.listener]})
    aws.expect("GetResources", GET_TAGGED, {"ResourceTagMappingList": []})
    aws.expect("DescribeTargetGroups", {"Names": ["web-80"]}, {"TargetGroups": [cloud.group]})
    described = [{"ResourceArn": LB, "Tags": pairs(cloud.lb_tags)}, {"ResourceArn": TG, "Tags": pairs(cloud.tg_tags)}]
    aws.expect("DescribeTags", {"ResourceArns": [LB, TG]}, {"TagDescriptions": described})
    aws.expect("DescribeLoadBalancerAttributes", {"LoadBalancerArn": LB}, {"Attributes": pairs(cloud.lb_attributes)})
    aws.expect("DescribeTargetGroupAttributes", {"TargetGroupArn": TG}, {"Attributes": pairs(cloud.tg_attributes)})
    return aws


def test_target_groups_go_after_the_load_balancer_is_gone_and_has_let_go_of_them() -> None:
    aws = removal(Cloud()).expect("DeleteLoadBalancer", {"LoadBalancerArn": LB}, {})
    active(aws).refuse("DescribeLoadBalancers", {"LoadBalancerArns": [LB]}, "LoadBalancerNotFound")
    aws.refuse("DeleteTargetGroup", {"TargetGroupArn": TG}, "ResourceInUse").expect("DeleteTargetGroup", {"TargetGroupArn": TG}, {})
    outcome = play(aws, state="absent", subnet_ids=[])
    assert [(step.verb, step.target) for step in outcome.steps] == [("delete", "load balancer web"), ("delete", "target group web-80")]
    assert outcome.failures == {}


def test_load_balancer_that_stays_keeps_its_target_groups() -> None:
    aws = removal(Cloud()).expect("DeleteLoadBalancer", {"LoadBalancerArn": LB}, {})
    for _look in range(2):
        active(aws)
    assert play(aws, state="absent", subnet_ids=[], count=2).failures == {"web": "is still there after 10 s"}


def test_target_group_without_the_mark_stays() -> None:
    cloud = Cloud()
    cloud.tg_tags = {"Cluster": "fargle"}
    steps = play(removal(cloud), state="absent", subnet_ids=[], check=True).steps
    assert [step.target for step in steps] == ["load balancer web"]
