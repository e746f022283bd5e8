# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers: what the API refuses, targets' health over time, pages, tags.

Each test cites where the real behaviour is documented. API = https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference,
NLB = https://docs.aws.amazon.com/elasticloadbalancing/latest/network
"""

from __future__ import annotations

import socket
import typing as t

import pytest

from tests.sandbox import nlb

from .aws_lab import Answering, Lab, expect_refused, phases, until


def balancer(lab: Lab, name: str = "fargle-apiserver", **changes: t.Any) -> str:
    """An internal NLB in all zones; its ARN."""
    words: dict[str, t.Any] = {"Name": name, "Subnets": list(lab.subnets.values()), "Scheme": "internal", "Type": "network", **changes}
    return str(lab.elb.create_load_balancer(**words)["LoadBalancers"][0]["LoadBalancerArn"])


def group(lab: Lab, name: str = "fargle-6443", **changes: t.Any) -> str:
    """A TCP target group for instances on port 6443; its ARN."""
    words: dict[str, t.Any] = {"Name": name, "Protocol": "TCP", "Port": 6443, "VpcId": lab.vpc, "TargetType": "instance", **changes}
    return str(lab.elb.create_target_group(**words)["TargetGroups"][0]["TargetGroupArn"])


def listen(lab: Lab, lb: str, tg: str, port: int = 6443) -> str:
    """A listener; its ARN."""
    actions = [{"Type": "forward", "TargetGroupArn": tg}]
    return str(lab.elb.create_listener(LoadBalancerArn=lb, Protocol="TCP", Port=port, DefaultActions=actions)["Listeners"][0]["ListenerArn"])


def used_group(lab: Lab, **changes: t.Any) -> str:
    """A target group with a load balancer in front of it."""
    tg = group(lab, **changes)
    listen(lab, balancer(lab), tg)
    return tg


def register(lab: Lab, tg: str, target: str, **changes: t.Any) -> None:
    lab.elb.register_targets(TargetGroupArn=tg, Targets=[{"Id": target, **changes}])


def deregister(lab: Lab, tg: str, target: str, **changes: t.Any) -> None:
    lab.elb.deregister_targets(TargetGroupArn=tg, Targets=[{"Id": target, **changes}])


def health(lab: Lab, tg: str, *targets: dict[str, t.Any]) -> dict[tuple[str, int], str]:
    """(ID, port) -> "state reason" of all targets, or of those asked for."""
    asked = {"Targets": list(targets)} if targets else {}
    rows = lab.elb.describe_target_health(TargetGroupArn=tg, **asked)["TargetHealthDescriptions"]
    found = [(row["Target"], row["TargetHealth"]) for row in rows]
    return {(target["Id"], target["Port"]): f"{state['State']} {state.get('Reason', '')}".strip() for target, state in found}


def becomes(lab: Lab, tg: str, state: str) -> None:
    """Wait until the only target of a group is in this state."""
    until(lambda: list(health(lab, tg).values()) == [state])


# Registration


def test_one_bad_target_refuses_all(lab: Lab) -> None:
    """kubernetes-sigs/aws-load-balancer-controller#1099."""
    tg, good = group(lab), lab.running()
    with expect_refused("InvalidTarget", "do not exist"):
        lab.elb.register_targets(TargetGroupArn=tg, Targets=[{"Id": good}, {"Id": "i-0123456789abcdef0"}])
    assert health(lab, tg) == {}


def test_instance_of_another_vpc(lab: Lab) -> None:
    """API_RegisterTargets errors InvalidTarget: is not in the same VPC as the target group."""
    other = lab.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    tg = group(lab, VpcId=other)
    with expect_refused("InvalidTarget", "VPC"):
        register(lab, tg, lab.running())


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ({"Id": "8.8.8.8"}, "ValidationError"),
        ({"Id": "10.1.2.3"}, "ValidationError"),
        ({"Id": "8.8.8.8", "AvailabilityZone": "all"}, "InvalidTarget"),
        ({"Id": "node-1"}, "ValidationError"),
        ({"Id": "i-0123456789abcdef0"}, "ValidationError"),
    ],
)
def test_addresses_outside_the_vpc(lab: Lab, target: dict[str, str], code: str) -> None:
    """API_TargetDescription AvailabilityZone; NLB/target-group-register-targets: subnets of the VPC or private blocks."""
    tg = group(lab, TargetType="ip")
    with expect_refused(code):
        lab.elb.register_targets(TargetGroupArn=tg, Targets=[target])


def test_addresses_of_the_vpc(lab: Lab) -> None:
    """API_TargetDescription: in a subnet of the VPC the zone is detected."""
    tg = group(lab, TargetType="ip")
    register(lab, tg, f"{lab.network}.20.9")
    shown = lab.elb.describe_target_health(TargetGroupArn=tg)["TargetHealthDescriptions"][0]["Target"]
    assert shown == {"Id": f"{lab.network}.20.9", "Port": 6443, "AvailabilityZone": "eu-central-1b"}


def test_an_instance_can_be_registered_with_several_ports(lab: Lab) -> None:
    """API_RegisterTargets: each instance with the same target group multiple times using different ports; kubernetes/kops#13363."""
    tg, instance_id = group(lab), lab.running()
    register(lab, tg, instance_id)
    register(lab, tg, instance_id, Port=7443)
    assert set(health(lab, tg)) == {(instance_id, 6443), (instance_id, 7443)}
    deregister(lab, tg, instance_id)
    until(lambda: set(health(lab, tg)) == {(instance_id, 7443)})
    deregister(lab, tg, instance_id, Port=7443)
    until(lambda: health(lab, tg) == {})


def test_deregistering_what_is_not_there_succeeds(lab: Lab) -> None:
    """API_DeregisterTargets: if the specified target does not exist, the action returns successfully."""
    deregister(lab, group(lab), "i-0123456789abcdef0")


def test_unknown_target_group(lab: Lab) -> None:
    """API_RegisterTargets errors TargetGroupNotFound."""
    arn = group(lab) + "0"
    for call in (lambda: register(lab, arn, "i-0123456789abcdef0"), lambda: deregister(lab, arn, "i-0123456789abcdef0"), lambda: health(lab, arn)):
        with expect_refused("TargetGroupNotFound"):
            call()


# Health


def test_a_target_starts_initial_and_becomes_what_it_answers(lab: Lab) -> None:
    """API_TargetHealth: Elb.RegistrationInProgress, Elb.InitialHealthChecking, then healthy without a reason."""
    lab.ledger.delays["elb.initial"] = 0.4
    tg, instance_id = used_group(lab), lab.running()
    with Answering(lab, lab.instance(instance_id)["PrivateIpAddress"], 6443, "one"):
        register(lab, tg, instance_id)
        seen = phases(lambda: health(lab, tg)[instance_id, 6443], "healthy")
    assert seen == ["initial Elb.RegistrationInProgress", "initial Elb.InitialHealthChecking", "healthy"]


def test_a_target_that_does_not_answer_is_unhealthy_until_it_does(lab: Lab) -> None:
    """API_TargetHealth Target.FailedHealthChecks; NLB/target-group-health-checks thresholds."""
    tg, instance_id = used_group(lab), lab.running()
    register(lab, tg, instance_id)
    becomes(lab, tg, "unhealthy Target.FailedHealthChecks")
    with Answering(lab, lab.instance(instance_id)["PrivateIpAddress"], 6443, "one"):
        becomes(lab, tg, "healthy")
    becomes(lab, tg, "unhealthy Target.FailedHealthChecks")


def test_http_health_checks(lab: Lab) -> None:
    """API_CreateTargetGroup HealthCheckProtocol: TCP is not enough for an HTTP check."""
    tg, instance_id = used_group(lab, HealthCheckProtocol="HTTP", HealthCheckPath="/readyz", Matcher={"HttpCode": "200-399"}), lab.running()
    address = lab.instance(instance_id)["PrivateIpAddress"]
    with Answering(lab, address, 6443, "HTTP/1.1 500 Broken"):
        register(lab, tg, instance_id)
        becomes(lab, tg, "unhealthy Target.FailedHealthChecks")
    with Answering(lab, address, 6443, "HTTP/1.1 200 OK"):
        becomes(lab, tg, "healthy")


def test_a_health_check_that_gets_no_answer(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """API_TargetHealth Target.Timeout: the health check requests timed out."""
    monkeypatch.setattr(nlb, "CONNECT_TIMEOUT", 0.2)
    tg, instance_id = used_group(lab, HealthCheckProtocol="HTTP"), lab.running()
    with socket.create_server((lab.instance(instance_id)["PrivateIpAddress"], 6443)):
        register(lab, tg, instance_id)
        becomes(lab, tg, "unhealthy Target.Timeout")


def test_health_check_port(lab: Lab) -> None:
    """API_CreateTargetGroup HealthCheckPort: another port than the traffic's."""
    tg, instance_id = used_group(lab, HealthCheckPort="10256"), lab.running()
    register(lab, tg, instance_id)
    with Answering(lab, lab.instance(instance_id)["PrivateIpAddress"], 10256, "one"):
        becomes(lab, tg, "healthy")


def test_without_a_listener_targets_are_not_in_use(lab: Lab) -> None:
    """API_TargetHealth Target.NotInUse: the target group is not used by any load balancer."""
    tg, instance_id = group(lab), lab.running()
    register(lab, tg, instance_id)
    assert health(lab, tg) == {(instance_id, 6443): "unused Target.NotInUse"}
    listener = listen(lab, balancer(lab), tg)
    becomes(lab, tg, "unhealthy Target.FailedHealthChecks")
    lab.elb.delete_listener(ListenerArn=listener)
    becomes(lab, tg, "unused Target.NotInUse")


def test_zone_without_load_balancer(lab: Lab) -> None:
    """API_TargetHealth Target.NotInUse: the target is in an Availability Zone that is not enabled."""
    tg, instance_id = group(lab), lab.running(SubnetId=lab.subnets["b"])
    listen(lab, balancer(lab, Subnets=[lab.subnets["a"]]), tg)
    register(lab, tg, instance_id)
    rows = lab.elb.describe_target_health(TargetGroupArn=tg)["TargetHealthDescriptions"]
    assert rows[0]["TargetHealth"]["Reason"] == "Target.NotInUse" and "not enabled" in rows[0]["TargetHealth"]["Description"]


def test_stopped_instance(lab: Lab) -> None:
    """API_TargetHealth Target.InvalidState: stopped; checked anew when it runs again."""
    tg, instance_id = used_group(lab), lab.running()
    register(lab, tg, instance_id)
    lab.ec2.stop_instances(InstanceIds=[instance_id])
    becomes(lab, tg, "unused Target.InvalidState")
    until(lambda: lab.state(instance_id) == "stopped")
    lab.ec2.start_instances(InstanceIds=[instance_id])
    becomes(lab, tg, "unhealthy Target.FailedHealthChecks")


# Draining


def test_a_deregistered_target_drains_then_is_gone(lab: Lab) -> None:
    """API_TargetHealth Target.DeregistrationInProgress, Target.NotRegistered; NLB/edit-target-group-attributes."""
    lab.ledger.delays["elb.drain"] = 0.4
    tg, instance_id = used_group(lab), lab.running()
    register(lab, tg, instance_id)
    deregister(lab, tg, instance_id)
    assert health(lab, tg) == {(instance_id, 6443): "draining Target.DeregistrationInProgress"}
    until(lambda: health(lab, tg) == {})
    assert health(lab, tg, {"Id": instance_id}) == {(instance_id, 6443): "unused Target.NotRegistered"}


def test_a_deregistration_delay_of_zero(lab: Lab) -> None:
    """API_TargetGroupAttribute deregistration_delay.timeout_seconds: draining takes as long as it says."""
    lab.ledger.delays["elb.drain"] = 30.0
    tg, instance_id = used_group(lab), lab.running()
    lab.elb.modify_target_group_attributes(TargetGroupArn=tg, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}])
    register(lab, tg, instance_id)
    deregister(lab, tg, instance_id)
    assert health(lab, tg) == {}


def test_a_draining_target_can_be_registered_again(lab: Lab) -> None:
    """kubernetes-sigs/aws-load-balancer-controller#288; NLB/target-group-register-targets."""
    lab.ledger.delays["elb.drain"] = 30.0
    tg, instance_id = used_group(lab), lab.running()
    register(lab, tg, instance_id)
    becomes(lab, tg, "unhealthy Target.FailedHealthChecks")
    deregister(lab, tg, instance_id)
    becomes(lab, tg, "draining Target.DeregistrationInProgress")
    lab.ledger.delays["elb.initial"] = 30.0
    register(lab, tg, instance_id)
    becomes(lab, tg, "initial Elb.RegistrationInProgress")


def test_a_terminated_instance_is_deregistered_an_address_is_not(lab: Lab) -> None:
    """NLB/target-group-register-targets: an instance that ends is deregistered; getmoto/moto#2400."""
    lab.ledger.delays["elb.drain"] = 1.0
    instances, instance_id = used_group(lab), lab.running()
    addresses = group(lab, "fargle-ip", TargetType="ip")
    address = lab.instance(instance_id)["PrivateIpAddress"]
    register(lab, instances, instance_id)
    register(lab, addresses, address)
    lab.ec2.terminate_instances(InstanceIds=[instance_id])
    becomes(lab, instances, "draining Target.DeregistrationInProgress")
    until(lambda: health(lab, instances) == {})
    assert set(health(lab, addresses)) == {(address, 6443)}


# Load balancers


def test_unknown_load_balancer(lab: Lab) -> None:
    """API_DescribeLoadBalancers errors LoadBalancerNotFound."""
    arn = balancer(lab)
    for words in ({"Names": ["nowhere"]}, {"LoadBalancerArns": [arn + "0"]}, {"LoadBalancerArns": [arn, arn + "0"]}):
        with expect_refused("LoadBalancerNotFound"):
            lab.elb.describe_load_balancers(**words)


@pytest.mark.parametrize("name", ["x" * 33, "-x", "x-", "a_b", "internal-x"])
def test_names_of_load_balancers(lab: Lab, name: str) -> None:
    """API_CreateLoadBalancer Name: 32 characters, alphanumeric or hyphens, not "internal-"."""
    with expect_refused("ValidationError"):
        balancer(lab, name)


@pytest.mark.parametrize("name", ["x" * 33, "-x", "a_b"])
def test_names_of_target_groups(lab: Lab, name: str) -> None:
    """API_CreateTargetGroup Name."""
    with expect_refused("ValidationError"):
        group(lab, name)


def test_creating_twice(lab: Lab) -> None:
    """API_CreateLoadBalancer, API_CreateTargetGroup, API_CreateListener: same settings succeed, others are duplicates."""
    lb, tg = balancer(lab), group(lab)
    assert (balancer(lab), group(lab)) == (lb, tg)
    assert listen(lab, lb, tg) == listen(lab, lb, tg)
    other = group(lab, "fargle-other")
    with expect_refused("DuplicateLoadBalancerName"):
        balancer(lab, Scheme="internet-facing")
    with expect_refused("DuplicateTargetGroupName"):
        group(lab, Port=443)
    with expect_refused("DuplicateListener"):
        listen(lab, lb, other)


def test_a_target_group_has_one_load_balancer(lab: Lab) -> None:
    """NLB/load-balancer-target-groups: a target group can be used with one load balancer; errors TargetGroupAssociationLimit."""
    tg = used_group(lab)
    with expect_refused("TargetGroupAssociationLimit"):
        listen(lab, balancer(lab, "other"), tg)


def test_load_balancer_comes_up(lab: Lab) -> None:
    """API_LoadBalancerState: provisioning, then active."""
    lab.ledger.delays["elb.provision"] = 0.3
    arn = balancer(lab)

    def state() -> str:
        return str(lab.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]["State"]["Code"])

    assert phases(state, "active") == ["provisioning", "active"]


def test_security_groups_only_from_birth(lab: Lab) -> None:
    """API_SetSecurityGroups: not on an NLB made without; ansible-collections/community.aws#2049."""
    without, with_one = balancer(lab), balancer(lab, "other", SecurityGroups=[lab.group])
    with expect_refused("InvalidConfigurationRequest"):
        lab.elb.set_security_groups(LoadBalancerArn=without, SecurityGroups=[lab.group])
    assert lab.elb.set_security_groups(LoadBalancerArn=with_one, SecurityGroups=[lab.group])["SecurityGroupIds"] == [lab.group]


def test_subnets_of_a_load_balancer(lab: Lab) -> None:
    """API_CreateLoadBalancer Subnets: one per zone; errors SubnetNotFound."""
    second = lab.ec2.create_subnet(VpcId=lab.vpc, CidrBlock=f"{lab.network}.40.0/24", AvailabilityZone="eu-central-1a")["Subnet"]["SubnetId"]
    with expect_refused("InvalidConfigurationRequest", "Availability Zone"):
        balancer(lab, Subnets=[lab.subnets["a"], second])
    with expect_refused("SubnetNotFound"):
        balancer(lab, Subnets=["subnet-0123456789abcdef0"])


# Pages and tags


def test_pages_of_load_balancers(lab: Lab) -> None:
    """API_DescribeLoadBalancers PageSize 1-400, NextMarker; aws/aws-sdk-ruby#680, ansible/ansible#25075."""
    arns = {balancer(lab, f"lb-{number}", Subnets=[lab.subnets["a"]]) for number in range(5)}
    first = lab.elb.describe_load_balancers(PageSize=2)
    assert len(first["LoadBalancers"]) == 2 and first["NextMarker"]
    pages = lab.elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 2})
    assert {one["LoadBalancerArn"] for page in pages for one in page["LoadBalancers"]} == arns
    with expect_refused("ValidationError"):
        lab.elb.describe_load_balancers(PageSize=401)


def test_pages_survive_a_deletion(lab: Lab) -> None:
    """aws/aws-parallelcluster#7361: what goes between two pages hides nothing else."""
    arns = sorted(balancer(lab, f"lb-{number}", Subnets=[lab.subnets["a"]]) for number in range(4))
    first = lab.elb.describe_load_balancers(PageSize=2)
    lab.elb.delete_load_balancer(LoadBalancerArn=arns[0])
    rest = lab.elb.describe_load_balancers(PageSize=2, Marker=first["NextMarker"])
    assert [one["LoadBalancerArn"] for one in rest["LoadBalancers"]] == arns[2:]


def test_a_page_of_target_groups_is_short(lab: Lab) -> None:
    """API_DescribeTargetGroups NextMarker: nothing promises that one page holds all of them."""
    for number in range(101):
        group(lab, f"tg-{number}")
    page = lab.elb.describe_target_groups()
    assert len(page["TargetGroups"]) == 100 and page["NextMarker"]
    assert len(lab.elb.describe_target_groups(Marker=page["NextMarker"])["TargetGroups"]) == 1


def test_target_groups_of_a_load_balancer(lab: Lab) -> None:
    """API_DescribeTargetGroups LoadBalancerArn; a group loses its load balancer with the listener."""
    lb, tg = balancer(lab), group(lab)
    listener = listen(lab, lb, tg)
    group(lab, "other")
    found = lab.elb.describe_target_groups(LoadBalancerArn=lb)["TargetGroups"]
    assert [(one["TargetGroupArn"], one["LoadBalancerArns"]) for one in found] == [(tg, [lb])]
    lab.elb.delete_listener(ListenerArn=listener)
    assert lab.elb.describe_target_groups(LoadBalancerArn=lb)["TargetGroups"] == []


def test_target_groups_by_arn_are_at_most_twenty(lab: Lab) -> None:
    """ansible-collections/amazon.aws#1593: You cannot describe more than '20' target groups at a time."""
    arns = [group(lab, f"tg-{number}") for number in range(21)]
    assert len(lab.elb.describe_target_groups(TargetGroupArns=arns[:20])["TargetGroups"]) == 20
    with expect_refused("ValidationError", "'20' target groups"):
        lab.elb.describe_target_groups(TargetGroupArns=arns)


def test_tags_of_at_most_twenty(lab: Lab) -> None:
    """API_DescribeTags ResourceArns: up to 20 in a single call; argoproj/argo-rollouts#2569."""
    arns = [group(lab, f"tg-{number}", Tags=[{"Key": "Cluster", "Value": "fargle"}]) for number in range(21)]
    shown = lab.elb.describe_tags(ResourceArns=arns[:20])["TagDescriptions"]
    assert len(shown) == 20 and shown[0]["Tags"] == [{"Key": "Cluster", "Value": "fargle"}]
    with expect_refused("ValidationError", "20"):
        lab.elb.describe_tags(ResourceArns=arns)


def test_tags_of_what_is_gone(lab: Lab) -> None:
    """API_DescribeTags errors TargetGroupNotFound, LoadBalancerNotFound."""
    with expect_refused("TargetGroupNotFound"):
        lab.elb.describe_tags(ResourceArns=[group(lab) + "0"])
    with expect_refused("LoadBalancerNotFound"):
        lab.elb.describe_tags(ResourceArns=[balancer(lab) + "0"])


def resources(lab: Lab, **words: t.Any) -> set[str]:
    """All ARNs that GetResources finds, page after page."""
    pages = lab.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(**words)
    return {one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]}


def test_resources_by_tag(lab: Lab) -> None:
    """resourcegroupstagging API_GetResources TagFilters, ResourceTypeFilters."""
    mine, other = [{"Key": "Cluster", "Value": "fargle"}], [{"Key": "Cluster", "Value": "fargle2"}]
    lb, tg = balancer(lab, Tags=mine), group(lab, Tags=mine)
    balancer(lab, "other", Tags=other)
    balancer(lab, "untagged")
    filters = [{"Key": "Cluster", "Values": ["fargle"]}]
    assert resources(lab, TagFilters=filters) == {lb, tg}
    assert resources(lab, TagFilters=filters, ResourceTypeFilters=["elasticloadbalancing:loadbalancer"]) == {lb}
    assert resources(lab, TagFilters=[{"Key": "Cluster"}], ResourceTypeFilters=["elasticloadbalancing:loadbalancer"]) > {lb}


def test_pages_of_resources(lab: Lab) -> None:
    """resourcegroupstagging API_GetResources ResourcesPerPage 1-100, PaginationToken empty on the last page."""
    arns = {group(lab, f"tg-{number}", Tags=[{"Key": "Cluster", "Value": "fargle"}]) for number in range(5)}
    api = lab.client("resourcegroupstaggingapi")
    page = api.get_resources(ResourcesPerPage=3)
    assert len(page["ResourceTagMappingList"]) == 3 and page["PaginationToken"]
    assert api.get_resources(ResourcesPerPage=3, PaginationToken=page["PaginationToken"])["PaginationToken"] == ""
    assert resources(lab, ResourcesPerPage=2, TagFilters=[{"Key": "Cluster"}]) == arns
    with expect_refused("InvalidParameterException"):
        api.get_resources(ResourcesPerPage=101)
    with expect_refused("InvalidParameterException"):
        api.get_resources(ResourceARNList=list(arns), TagFilters=[{"Key": "Cluster"}])
    with expect_refused("PaginationTokenExpiredException"):
        api.get_resources(PaginationToken="bm8=")


def test_restore_brings_back_targets(lab: Lab) -> None:
    """The contract of the sandbox: registrations and what was draining come back with a snapshot."""
    lab.ledger.delays["elb.drain"] = 0.5
    tg, stays, leaves = used_group(lab), lab.running(), lab.running()
    register(lab, tg, stays)
    register(lab, tg, leaves)
    deregister(lab, tg, leaves)
    world = lab.part.snapshot()
    deregister(lab, tg, stays)
    until(lambda: health(lab, tg) == {})
    lab.part.restore(world)
    assert health(lab, tg)[leaves, 6443] == "draining Target.DeregistrationInProgress"
    assert health(lab, tg)[stays, 6443].split()[0] in ("initial", "unhealthy")
    until(lambda: set(health(lab, tg)) == {(stays, 6443)})
