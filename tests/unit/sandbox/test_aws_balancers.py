# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making, changing and removing network load balancers: what the API refuses, and what stays behind for a while.

API = https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference (as in botocore's service model),
NLB = https://docs.aws.amazon.com/elasticloadbalancing/latest/network
"""

from __future__ import annotations

import socket
import types
import typing as t

import pytest

from .aws_lab import Answering, Lab, expect_refused, greeting, until
from .test_aws_elb import balancer, becomes, deregister, group, health, listen, register, resources


def described(lab: Lab, arn: str) -> dict[str, t.Any]:
    return dict(lab.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0])


def described_group(lab: Lab, arn: str) -> dict[str, t.Any]:
    return dict(lab.elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0])


def subnet(lab: Lab, octet: int, zone: str = "a", vpc: str = "", block: str = "") -> str:
    """Another subnet; its ID."""
    block = block or f"{lab.network}.{octet}.0/24"
    return str(lab.ec2.create_subnet(VpcId=vpc or lab.vpc, CidrBlock=block, AvailabilityZone=f"eu-central-1{zone}")["Subnet"]["SubnetId"])


def other_vpc(lab: Lab) -> str:
    return str(lab.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"])


def security_group(lab: Lab, name: str, vpc: str = "") -> str:
    return str(lab.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc or lab.vpc)["GroupId"])


def interfaces(lab: Lab, arn: str) -> list[dict[str, t.Any]]:
    """A load balancer's network interfaces, by address."""
    filters = [{"Name": "description", "Values": [f"ELB {arn.partition('loadbalancer/')[2]}"]}]
    return sorted(lab.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"], key=lambda one: str(one["PrivateIpAddress"]))


def attributes(answer: dict[str, t.Any]) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in answer["Attributes"]}


def pairs(**changes: str) -> list[dict[str, str]]:
    """Attributes as the API wants them; a_b is the key a.b where the test says so."""
    return [{"Key": key, "Value": value} for key, value in changes.items()]


# Creation


def test_enumerations_are_checked(lab: Lab) -> None:
    """API_CreateLoadBalancer Scheme, Type Valid Values; API_CommonErrors ValidationError."""
    for words in ({"Scheme": "public"}, {"Type": "classic"}, {"IpAddressType": "ipv6"}):
        with expect_refused("ValidationError", "failed to satisfy constraint: Member must satisfy enum value set"):
            balancer(lab, **words)


def test_a_load_balancer_comes_up_after_a_while(lab: Lab) -> None:
    """API_LoadBalancerState: provisioning, then active."""
    lab.ledger.delays["elb.provision"] = 0.5
    arn = balancer(lab)
    assert described(lab, arn)["State"]["Code"] == "provisioning"
    until(lambda: described(lab, arn)["State"]["Code"] == "active")


def test_targets_wait_for_their_load_balancer(lab: Lab) -> None:
    """API_TargetHealth Elb.RegistrationInProgress: the target is in the process of being registered with the load balancer."""
    lab.ledger.delays["elb.provision"] = 2.0
    tg, instance = group(lab), lab.running()
    lb = balancer(lab)
    listen(lab, lb, tg)
    register(lab, tg, instance)
    with Answering(lab, lab.instance(instance)["PrivateIpAddress"], 6443, "one"):
        until(lambda: described(lab, lb)["State"]["Code"] == "active" or set(health(lab, tg).values()) == {"initial Elb.RegistrationInProgress"})
        assert described(lab, lb)["State"]["Code"] == "provisioning"
        becomes(lab, tg, "healthy")
        assert described(lab, lb)["State"]["Code"] == "active"


def test_the_tagging_service_hears_of_it_later(lab: Lab) -> None:
    """resourcegroupstagging API_GetResources is eventually consistent; the service that owns a resource knows it at once."""
    lab.ledger.delays["elb.tagged"] = 1.5
    tags = [{"Key": "Cluster", "Value": "fargle"}]
    arns = {balancer(lab, Tags=tags), group(lab, Tags=tags)}
    assert resources(lab, TagFilters=[{"Key": "Cluster"}]) == set()
    assert len(lab.elb.describe_tags(ResourceArns=sorted(arns))["TagDescriptions"][0]["Tags"]) == 1
    until(lambda: resources(lab, TagFilters=[{"Key": "Cluster"}]) == arns)


def test_subnets_or_mappings(lab: Lab) -> None:
    """API_CreateLoadBalancer Subnets: either subnets or subnet mappings, but not both."""
    with expect_refused("ValidationError", "not both"):
        balancer(lab, SubnetMappings=[{"SubnetId": lab.subnets["a"]}])
    with expect_refused("ValidationError", "At least one subnet"):
        lab.elb.create_load_balancer(Name="fargle-apiserver", Type="network")


def test_subnets_of_one_vpc(lab: Lab) -> None:
    """API_CreateLoadBalancer errors InvalidConfigurationRequest."""
    with expect_refused("InvalidConfigurationRequest", "same VPC"):
        balancer(lab, Subnets=[lab.subnets["a"], subnet(lab, 0, "b", other_vpc(lab), "10.9.1.0/24")])


def test_a_subnet_with_too_few_free_addresses(lab: Lab) -> None:
    """API_CreateLoadBalancer errors InvalidSubnet: out of available addresses; NLB/create: at least 8."""
    small = subnet(lab, 0, block=f"{lab.network}.40.0/28")
    lab.launch(SubnetId=small)
    balancer(lab, "fits", Subnets=[small])
    lab.launch(SubnetId=small, MinCount=3, MaxCount=3)
    with expect_refused("InvalidSubnet", "at least 8 free IP addresses"):
        balancer(lab, "too-many", Subnets=[small])


def test_the_internet_is_reached_through_a_gateway_of_the_vpc(lab: Lab) -> None:
    """openshift/installer#1110: VPC … has no internet gateway; the subnet's routes are not looked at (aws-load-balancer-controller#2222)."""
    with expect_refused("InvalidSubnet", f"VPC {lab.vpc} has no internet gateway"):
        balancer(lab, Scheme="internet-facing")
    gateway = lab.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    lab.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=lab.vpc)
    assert described(lab, balancer(lab, Scheme="internet-facing"))["Scheme"] == "internet-facing"


def test_security_groups_are_the_vpcs_and_exist(lab: Lab) -> None:
    """API_CreateLoadBalancer, API_SetSecurityGroups errors InvalidSecurityGroup, InvalidConfigurationRequest; at most five."""
    many = [security_group(lab, f"group-{number}") for number in range(6)]
    arn = balancer(lab, "made", SecurityGroups=many[:5])
    for ids, code in ((["sg-0123456789abcdef0"], "InvalidSecurityGroup"), ([security_group(lab, "far", other_vpc(lab))], "InvalidConfigurationRequest")):
        with expect_refused(code):
            balancer(lab, SecurityGroups=ids)
        with expect_refused(code):
            lab.elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=ids)
    with expect_refused("InvalidConfigurationRequest", "maximum number of security groups"):
        balancer(lab, SecurityGroups=many)
    with expect_refused("InvalidConfigurationRequest", "remove all"):
        lab.elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[])


def test_security_groups_are_on_the_interfaces(lab: Lab) -> None:
    """NLB/load-balancer-security-groups; an NLB born without has none, not the VPC's default one."""
    bare, guarded, other = balancer(lab, "bare"), balancer(lab, "guarded", SecurityGroups=[lab.group]), security_group(lab, "other")
    assert [one["Groups"] for one in interfaces(lab, bare)] == [[], [], []]
    assert "SecurityGroups" not in described(lab, bare) or described(lab, bare)["SecurityGroups"] == []
    lab.elb.set_security_groups(LoadBalancerArn=guarded, SecurityGroups=[other])
    assert described(lab, guarded)["SecurityGroups"] == [other]
    assert [[one["GroupId"] for one in each["Groups"]] for each in interfaces(lab, guarded)] == [[other]] * 3


def test_same_name_same_settings(lab: Lab) -> None:
    """API_CreateLoadBalancer: idempotent; tags do not count and are not added (kubernetes-sigs/aws-load-balancer-controller#3027)."""
    first = balancer(lab, SecurityGroups=[lab.group], Tags=[{"Key": "Cluster", "Value": "fargle"}])
    assert balancer(lab, SecurityGroups=[lab.group], Tags=[{"Key": "Cluster", "Value": "other"}]) == first
    assert lab.elb.describe_tags(ResourceArns=[first])["TagDescriptions"][0]["Tags"] == [{"Key": "Cluster", "Value": "fargle"}]
    for words in ({}, {"SecurityGroups": [lab.group], "Subnets": [lab.subnets["a"]]}):
        with expect_refused("DuplicateLoadBalancerName", "but with different settings"):
            balancer(lab, **words)


def test_private_addresses(lab: Lab) -> None:
    """API_SubnetMapping PrivateIPv4Address: from the subnet, for an internal load balancer."""
    mapping = {"SubnetId": lab.subnets["a"], "PrivateIPv4Address": f"{lab.network}.10.77"}
    words: dict[str, t.Any] = {"Type": "network", "Scheme": "internal"}
    arn = lab.elb.create_load_balancer(Name="fixed", SubnetMappings=[mapping], **words)["LoadBalancers"][0]["LoadBalancerArn"]
    assert [one["PrivateIpAddress"] for one in interfaces(lab, arn)] == [f"{lab.network}.10.77"]
    for address in (f"{lab.network}.10.77", f"{lab.network}.20.77"):
        with expect_refused("InvalidConfigurationRequest", address):
            lab.elb.create_load_balancer(Name="second", SubnetMappings=[{**mapping, "PrivateIPv4Address": address}], **words)


def test_a_reserved_address(lab: Lab) -> None:
    """The sandbox's own: who writes a config before the load balancer is there knows where it will be."""
    lab.part.reserve("apiserver-barney", f"{lab.network}.1.9")
    balancer(lab, "other")
    balancer(lab, "apiserver-barney")
    assert lab.part.addresses_of("apiserver-barney")[0] == f"{lab.network}.1.9"
    assert f"{lab.network}.1.9" not in lab.part.addresses_of("other")


def test_application_load_balancers_need_two_zones(lab: Lab) -> None:
    """API_CreateLoadBalancer Subnets."""
    with expect_refused("ValidationError", "At least two subnets"):
        balancer(lab, Type="application", Subnets=[lab.subnets["a"]])


# Subnets


def test_zones_come_and_go(lab: Lab) -> None:
    """API_SetSubnets: the specified subnets replace the previous ones, for network load balancers too (terraform-provider-aws#41418)."""
    arn = balancer(lab, Subnets=[lab.subnets["a"], lab.subnets["b"]])
    before = {one["SubnetId"]: one["PrivateIpAddress"] for one in interfaces(lab, arn)}
    answer = lab.elb.set_subnets(LoadBalancerArn=arn, Subnets=[lab.subnets["b"], lab.subnets["c"]])
    assert {one["SubnetId"] for one in answer["AvailabilityZones"]} == {lab.subnets["b"], lab.subnets["c"]}
    until(lambda: {one["SubnetId"] for one in interfaces(lab, arn)} == {lab.subnets["b"], lab.subnets["c"]})
    assert {one["SubnetId"]: one["PrivateIpAddress"] for one in interfaces(lab, arn)}[lab.subnets["b"]] == before[lab.subnets["b"]]
    lab.elb.set_subnets(LoadBalancerArn=arn, Subnets=[lab.subnets["c"]])
    assert [one["SubnetId"] for one in described(lab, arn)["AvailabilityZones"]] == [lab.subnets["c"]]


def test_another_subnet_in_a_zone_is_refused(lab: Lab) -> None:
    """kubernetes-sigs/aws-load-balancer-controller#4171."""
    arn, second = balancer(lab), subnet(lab, 40)
    with expect_refused("InvalidConfigurationRequest", "additional subnet from an Availability Zone that is already associated", second):
        lab.elb.set_subnets(LoadBalancerArn=arn, Subnets=[second, lab.subnets["b"], lab.subnets["c"]])
    with expect_refused("InvalidConfigurationRequest", "VPC"):
        lab.elb.set_subnets(LoadBalancerArn=arn, Subnets=[subnet(lab, 0, "b", other_vpc(lab), "10.9.1.0/24")])
    with expect_refused("ValidationError", "At least one subnet"):
        lab.elb.set_subnets(LoadBalancerArn=arn, Subnets=[])


# Attributes


def test_attributes_of_a_load_balancer(lab: Lab) -> None:
    """API_LoadBalancerAttribute: defaults of a network load balancer; a change answers with all of them."""
    arn = balancer(lab)
    shown = attributes(lab.elb.describe_load_balancer_attributes(LoadBalancerArn=arn))
    assert shown == {
        "access_logs.s3.enabled": "false",
        "access_logs.s3.bucket": "",
        "access_logs.s3.prefix": "",
        "deletion_protection.enabled": "false",
        "load_balancing.cross_zone.enabled": "false",
        "zonal_shift.config.enabled": "false",
        "dns_record.client_routing_policy": "any_availability_zone",
        "secondary_ips.auto_assigned.per_subnet": "0",
    }
    wanted = pairs(**{"load_balancing.cross_zone.enabled": "true"})
    assert attributes(lab.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=wanted)) == {**shown, "load_balancing.cross_zone.enabled": "true"}


@pytest.mark.parametrize(
    ("key", "value", "code", "word"),
    [
        ("colour", "red", "ValidationError", "is not recognized"),
        ("idle_timeout.timeout_seconds", "60", "InvalidConfigurationRequest", "load balancers with type 'network'"),
        ("routing.http.drop_invalid_header_fields.enabled", "true", "InvalidConfigurationRequest", "load balancers with type 'network'"),
        ("ipv6.deny_all_igw_traffic", "true", "InvalidConfigurationRequest", "IP address type 'ipv4'"),
        ("load_balancing.cross_zone.enabled", "yes", "ValidationError", "true, false"),
        ("dns_record.client_routing_policy", "near", "ValidationError", "any_availability_zone"),
        ("secondary_ips.auto_assigned.per_subnet", "8", "ValidationError", "0-7"),
        ("access_logs.s3.enabled", "true", "InvalidConfigurationRequest", "Access Denied for bucket"),
        ("deletion protection", "true", "ValidationError", "regular expression"),
    ],
)
def test_attributes_that_a_load_balancer_refuses(lab: Lab, key: str, value: str, code: str, word: str) -> None:
    """API_LoadBalancerAttribute; texts: terraform-provider-aws#23971, #34135, aws-cdk#29970. One wrong attribute refuses all."""
    arn = balancer(lab)
    with expect_refused(code, word):
        lab.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=pairs(**{"deletion_protection.enabled": "true", key: value}))
    assert attributes(lab.elb.describe_load_balancer_attributes(LoadBalancerArn=arn))["deletion_protection.enabled"] == "false"


def test_secondary_addresses_do_not_become_fewer(lab: Lab) -> None:
    """API_LoadBalancerAttribute secondary_ips.auto_assigned.per_subnet: after you set this value, you can't decrease it."""
    arn = balancer(lab)
    lab.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=pairs(**{"secondary_ips.auto_assigned.per_subnet": "2"}))
    with expect_refused("InvalidConfigurationRequest", "decreased"):
        lab.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=pairs(**{"secondary_ips.auto_assigned.per_subnet": "1"}))


def test_attributes_of_a_target_group(lab: Lab) -> None:
    """API_TargetGroupAttribute: defaults by protocol and target type."""
    shown = attributes(lab.elb.describe_target_group_attributes(TargetGroupArn=group(lab)))
    assert shown == {
        "deregistration_delay.timeout_seconds": "300",
        "deregistration_delay.connection_termination.enabled": "false",
        "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
        "preserve_client_ip.enabled": "true",
        "proxy_protocol_v2.enabled": "false",
        "stickiness.enabled": "false",
        "stickiness.type": "source_ip",
        "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
        "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
        "target_health_state.unhealthy.connection_termination.enabled": "true",
        "target_health_state.unhealthy.draining_interval_seconds": "0",
    }
    addresses = attributes(lab.elb.describe_target_group_attributes(TargetGroupArn=group(lab, "ip", TargetType="ip")))
    datagrams = attributes(lab.elb.describe_target_group_attributes(TargetGroupArn=group(lab, "udp", Protocol="UDP")))
    assert addresses["preserve_client_ip.enabled"] == "false" and datagrams["preserve_client_ip.enabled"] == "true"
    assert datagrams["deregistration_delay.connection_termination.enabled"] == "true"


@pytest.mark.parametrize(
    ("key", "value", "code", "word"),
    [
        ("colour", "red", "ValidationError", "is not recognized"),
        ("deregistration_delay.timeout_seconds", "3601", "ValidationError", "0-3600"),
        ("deregistration_delay.timeout_seconds", "soon", "ValidationError", "0-3600"),
        ("preserve_client_ip.enabled", "no", "ValidationError", "true, false"),
        ("load_balancing.cross_zone.enabled", "maybe", "ValidationError", "use_load_balancer_configuration"),
        ("slow_start.duration_seconds", "30", "InvalidConfigurationRequest", "protocol 'TCP'"),
        ("target_failover.on_unhealthy", "rebalance", "InvalidConfigurationRequest", "protocol 'TCP'"),
        ("stickiness.type", "lb_cookie", "InvalidConfigurationRequest", "lb_cookie"),
        ("target_health_state.unhealthy.draining_interval_seconds", "10", "InvalidConfigurationRequest", "can only be configured when"),
        ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "101", "ValidationError", "off, 1-100"),
    ],
)
def test_attributes_that_a_target_group_refuses(lab: Lab, key: str, value: str, code: str, word: str) -> None:
    """API_TargetGroupAttribute."""
    tg = group(lab)
    with expect_refused(code, word):
        lab.elb.modify_target_group_attributes(TargetGroupArn=tg, Attributes=pairs(**{"proxy_protocol_v2.enabled": "true", key: value}))
    assert attributes(lab.elb.describe_target_group_attributes(TargetGroupArn=tg))["proxy_protocol_v2.enabled"] == "false"


def test_attributes_that_depend_on_others(lab: Lab) -> None:
    """API_TargetGroupAttribute: the longest delay; draining unhealthy targets; the client's address of datagrams."""
    tg = group(lab)
    wanted = {
        "deregistration_delay.timeout_seconds": "3600",
        "target_health_state.unhealthy.connection_termination.enabled": "false",
        "target_health_state.unhealthy.draining_interval_seconds": "10",
    }
    answer = attributes(lab.elb.modify_target_group_attributes(TargetGroupArn=tg, Attributes=pairs(**wanted)))
    assert answer.items() >= wanted.items() and len(answer) == 13
    with expect_refused("InvalidConfigurationRequest", "UDP"):
        lab.elb.modify_target_group_attributes(TargetGroupArn=group(lab, "udp", Protocol="UDP"), Attributes=pairs(**{"preserve_client_ip.enabled": "false"}))


# Target groups


def test_health_checks_of_a_new_target_group(lab: Lab) -> None:
    """API_CreateTargetGroup: defaults by the protocol of the check."""
    plain, web = described_group(lab, group(lab)), described_group(lab, group(lab, "web", HealthCheckProtocol="HTTP"))
    words = ("HealthCheckProtocol", "HealthCheckPort", "HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds")
    assert [plain[word] for word in words] == ["TCP", "traffic-port", 30, 10]
    assert (plain["HealthyThresholdCount"], plain["UnhealthyThresholdCount"], plain["HealthCheckEnabled"]) == (5, 2, True)
    assert "HealthCheckPath" not in plain and "Matcher" not in plain
    assert [web[word] for word in words] == ["HTTP", "traffic-port", 30, 6]
    assert (web["HealthCheckPath"], web["Matcher"]) == ("/", {"HttpCode": "200-399"})


WRONG_CHECKS = [
    ({"HealthCheckProtocol": "TLS"}, "InvalidConfigurationRequest"),
    ({"HealthCheckPath": "/readyz"}, "InvalidConfigurationRequest"),
    ({"Matcher": {"HttpCode": "200"}}, "InvalidConfigurationRequest"),
    ({"HealthCheckEnabled": False}, "InvalidConfigurationRequest"),
    ({"HealthCheckPort": "70000"}, "ValidationError"),
    ({"HealthCheckPort": "http"}, "ValidationError"),
    ({"HealthCheckIntervalSeconds": 5}, "ValidationError"),
    ({"HealthCheckIntervalSeconds": 301}, "ValidationError"),
    ({"HealthCheckTimeoutSeconds": 121}, "ValidationError"),
    ({"HealthyThresholdCount": 11}, "ValidationError"),
    ({"HealthCheckProtocol": "HTTP", "HealthCheckPath": "readyz"}, "ValidationError"),
    ({"HealthCheckProtocol": "HTTP", "Matcher": {"HttpCode": "100-200"}}, "ValidationError"),
]


@pytest.mark.parametrize(("words", "code"), WRONG_CHECKS)
def test_health_checks_that_are_refused(lab: Lab, words: dict[str, t.Any], code: str) -> None:
    """API_CreateTargetGroup, API_ModifyTargetGroup: ranges; path and codes for HTTP only; the timeout (10 by default) within the interval."""
    with expect_refused(code):
        group(lab, **words)
    tg = group(lab)
    before = described_group(lab, tg)
    with expect_refused(code):
        lab.elb.modify_target_group(TargetGroupArn=tg, **words)
    assert described_group(lab, tg) == before


def test_changing_a_health_check(lab: Lab) -> None:
    """API_ModifyTargetGroup: what is not named stays; path and codes come and go with the protocol."""
    tg = group(lab)
    lab.elb.modify_target_group(TargetGroupArn=tg, HealthCheckProtocol="HTTPS", HealthCheckPath="/readyz", HealthCheckPort="6443", HealthyThresholdCount=2)
    (shown,) = lab.elb.modify_target_group(TargetGroupArn=tg, HealthCheckIntervalSeconds=10)["TargetGroups"]
    assert (shown["HealthCheckProtocol"], shown["HealthCheckPath"], shown["HealthCheckPort"]) == ("HTTPS", "/readyz", "6443")
    assert (shown["HealthCheckIntervalSeconds"], shown["HealthyThresholdCount"], shown["UnhealthyThresholdCount"]) == (10, 2, 2)
    (plain,) = lab.elb.modify_target_group(TargetGroupArn=tg, HealthCheckProtocol="TCP")["TargetGroups"]
    assert "HealthCheckPath" not in plain and "Matcher" not in plain and plain["HealthCheckPort"] == "6443"
    with expect_refused("TargetGroupNotFound"):
        lab.elb.modify_target_group(TargetGroupArn=tg + "0", HealthyThresholdCount=2)


def test_target_groups_of_the_same_name(lab: Lab) -> None:
    """API_CreateTargetGroup: idempotent, defaults spelled out or not; as it is now, not as it was made."""
    tg = group(lab)
    assert group(lab, HealthCheckProtocol="TCP", HealthCheckIntervalSeconds=30, Tags=[{"Key": "a", "Value": "b"}]) == tg
    assert lab.elb.describe_tags(ResourceArns=[tg])["TagDescriptions"][0]["Tags"] == []
    for words in ({"HealthyThresholdCount": 3}, {"TargetType": "ip"}, {"Protocol": "TLS"}):
        with expect_refused("DuplicateTargetGroupName", "but with different settings"):
            group(lab, **words)
    lab.elb.modify_target_group(TargetGroupArn=tg, HealthyThresholdCount=3)
    assert group(lab, HealthyThresholdCount=3) == tg
    with expect_refused("DuplicateTargetGroupName"):
        group(lab)


def test_ports_and_protocols_of_target_groups(lab: Lab) -> None:
    """API_CreateTargetGroup Port 1-65535, Protocol Valid Values."""
    for words in ({"Port": 65536}, {"Protocol": "SCTP"}, {"TargetType": "pod"}):
        with expect_refused("ValidationError"):
            group(lab, **words)


def test_a_target_group_in_use_stays(lab: Lab) -> None:
    """API_DeleteTargetGroup errors ResourceInUse, for a while after the listener is gone; one that is gone is no error."""
    lab.ledger.delays["elb.unlink"] = 0.4
    lb, tg, free = balancer(lab), group(lab), group(lab, "free")
    listener = listen(lab, lb, tg)
    with expect_refused("ResourceInUse", "currently in use by a listener or a rule"):
        lab.elb.delete_target_group(TargetGroupArn=tg)
    lab.elb.delete_listener(ListenerArn=listener)
    with expect_refused("ResourceInUse"):
        lab.elb.delete_target_group(TargetGroupArn=tg)
    lab.elb.delete_target_group(TargetGroupArn=free)
    until(lambda: not lab.part.elbv2_backends()[0].unlinked)
    for _ in range(2):
        lab.elb.delete_target_group(TargetGroupArn=tg)
    assert lab.elb.describe_target_groups()["TargetGroups"] == []


# Listeners


def test_protocols_must_match(lab: Lab) -> None:
    """NLB/load-balancer-listeners, listener configuration; API_CreateListener errors IncompatibleProtocols."""
    lb = balancer(lab)
    datagrams, web, both = group(lab, "udp", Protocol="UDP"), group(lab, "web", Protocol="HTTP"), group(lab, "both", Protocol="TCP_UDP")
    for tg in (datagrams, web):
        with expect_refused("IncompatibleProtocols"):
            listen(lab, lb, tg)
    listen(lab, lb, both)
    with expect_refused("ValidationError", "must be one of"):
        lab.elb.create_listener(LoadBalancerArn=lb, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": web}])


def test_actions_of_a_listener(lab: Lab) -> None:
    """NLB/listener: one default action, forward; API_CreateListener errors TargetGroupNotFound, InvalidLoadBalancerAction."""
    lb, tg = balancer(lab), group(lab)
    redirect = {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Port": "443"}}
    for actions in ([redirect], [{"Type": "forward", "TargetGroupArn": tg}, redirect]):
        with expect_refused("InvalidLoadBalancerAction"):
            lab.elb.create_listener(LoadBalancerArn=lb, Protocol="TCP", Port=80, DefaultActions=actions)
    with expect_refused("TargetGroupNotFound"):
        listen(lab, lb, tg + "0")
    with expect_refused("ValidationError", "65535"):
        listen(lab, lb, tg, 65536)


def test_a_target_group_of_another_vpc(lab: Lab) -> None:
    """API_CreateListener errors InvalidConfigurationRequest."""
    with expect_refused("InvalidConfigurationRequest", "same VPC"):
        listen(lab, balancer(lab), group(lab, VpcId=other_vpc(lab)))


def test_changing_a_listener(lab: Lab) -> None:
    """API_ModifyListener: the checks of CreateListener; the group that it leaves is free again."""
    lb, first, second = balancer(lab), group(lab), group(lab, "second")
    listener, _other = listen(lab, lb, first), listen(lab, lb, group(lab, "third"), 443)
    forward = [{"Type": "forward", "TargetGroupArn": second}]
    (shown,) = lab.elb.modify_listener(ListenerArn=listener, DefaultActions=forward)["Listeners"]
    assert shown["DefaultActions"][0]["TargetGroupArn"] == second and "SslPolicy" not in shown
    assert (described_group(lab, first)["LoadBalancerArns"], described_group(lab, second)["LoadBalancerArns"]) == ([], [lb])
    with expect_refused("DuplicateListener"):
        lab.elb.modify_listener(ListenerArn=listener, Port=443)
    with expect_refused("IncompatibleProtocols"):
        lab.elb.modify_listener(ListenerArn=listener, DefaultActions=[{"Type": "forward", "TargetGroupArn": group(lab, "udp", Protocol="UDP")}])
    with expect_refused("TargetGroupNotFound"):
        lab.elb.modify_listener(ListenerArn=listener, DefaultActions=[{"Type": "forward", "TargetGroupArn": second + "0"}])
    with expect_refused("ListenerNotFound"):
        lab.elb.modify_listener(ListenerArn=listener[:-1] + ("0" if listener[-1] != "0" else "1"), Port=80)


def test_too_many_listeners(lab: Lab) -> None:
    """NLB/load-balancer-limits: 50 listeners."""
    lb, tg = balancer(lab), group(lab)
    for port in range(1, 51):
        listen(lab, lb, tg, port)
    with expect_refused("TooManyListeners"):
        listen(lab, lb, tg, 51)


def test_attributes_of_a_listener(lab: Lab) -> None:
    """API_ListenerAttribute tcp.idle_timeout.seconds 60-6000, 350 by default."""
    listener = listen(lab, balancer(lab), group(lab))
    assert attributes(lab.elb.describe_listener_attributes(ListenerArn=listener)) == {"tcp.idle_timeout.seconds": "350"}
    for key, value in (("tcp.idle_timeout.seconds", "59"), ("routing.http.response.server.enabled", "true")):
        with expect_refused("ValidationError"):
            lab.elb.modify_listener_attributes(ListenerArn=listener, Attributes=pairs(**{key: value}))


# Deletion


def test_deletion_protection(lab: Lab) -> None:
    """API_DeleteLoadBalancer errors OperationNotPermitted."""
    arn = balancer(lab)
    lab.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=pairs(**{"deletion_protection.enabled": "true"}))
    with expect_refused("OperationNotPermitted", "deletion protection is enabled"):
        lab.elb.delete_load_balancer(LoadBalancerArn=arn)
    lab.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=pairs(**{"deletion_protection.enabled": "false"}))
    for _ in range(2):
        lab.elb.delete_load_balancer(LoadBalancerArn=arn)
    assert lab.elb.describe_load_balancers()["LoadBalancers"] == []


def test_interfaces_outlive_their_load_balancer(lab: Lab) -> None:
    """hashicorp/terraform#3758: for a while they hold on to the security group; one interface per zone, "ELB net/<name>/<id>" (NLB/network-load-balancers)."""
    lab.ledger.delays["elb.release"] = 0.5
    mine = security_group(lab, "mine")
    arn = balancer(lab, SecurityGroups=[mine])
    assert [one["PrivateIpAddress"] for one in interfaces(lab, arn)] == sorted(lab.part.addresses_of("fargle-apiserver"))
    assert [one["AvailabilityZone"][-1] for one in interfaces(lab, arn)] == ["a", "b", "c"]
    lab.elb.delete_load_balancer(LoadBalancerArn=arn)
    assert len(interfaces(lab, arn)) == 3
    with expect_refused("DependencyViolation", f"resource {mine} has a dependent object"):
        lab.ec2.delete_security_group(GroupId=mine)
    until(lambda: interfaces(lab, arn) == [])
    lab.ec2.delete_security_group(GroupId=mine)


def test_a_name_is_free_after_deletion(lab: Lab) -> None:
    """API_DeleteLoadBalancer: deletes its listeners too; targets stay in their group."""
    lb, tg, instance = balancer(lab), group(lab), lab.running()
    listen(lab, lb, tg)
    register(lab, tg, instance)
    lab.elb.delete_load_balancer(LoadBalancerArn=lb)
    becomes(lab, tg, "unused Target.NotInUse")
    again = balancer(lab, Subnets=[lab.subnets["a"]])
    assert again != lb and lab.elb.describe_listeners(LoadBalancerArn=again)["Listeners"] == []
    listen(lab, again, tg)
    deregister(lab, tg, instance)


def test_arns_must_look_like_arns(lab: Lab) -> None:
    """API_CommonErrors ValidationError."""
    tg = group(lab)
    for call in (
        lambda: lab.elb.delete_load_balancer(LoadBalancerArn="fargle-apiserver"),
        lambda: lab.elb.describe_load_balancers(LoadBalancerArns=[tg]),
        lambda: lab.elb.delete_target_group(TargetGroupArn="fargle-6443"),
        lambda: lab.elb.delete_listener(ListenerArn=tg),
    ):
        with expect_refused("ValidationError", "is not a valid"):
            call()


# The data plane


def test_a_new_load_balancer_forwards_and_a_deleted_one_cuts(lab: Lab) -> None:
    """NLB/introduction: connections go to healthy targets; a deleted load balancer neither listens nor keeps connections."""
    lb, tg, instance = balancer(lab), group(lab), lab.running()
    listen(lab, lb, tg)
    register(lab, tg, instance)
    front = lab.part.address_of("fargle-apiserver")
    with Answering(lab, lab.instance(instance)["PrivateIpAddress"], 6443, "one"):
        becomes(lab, tg, "healthy")
        until(lambda: greeting(front, 6443) == "one")
        with socket.create_connection((front, 6443), 2.0) as connection:
            assert connection.recv(10) == b"one\n"
            lab.elb.delete_load_balancer(LoadBalancerArn=lb)
            connection.settimeout(3.0)
            with pytest.raises(ConnectionResetError):
                connection.recv(10)
        until(lambda: greeting(front, 6443) == "")


# Tags


def test_tags_of_load_balancers_target_groups_and_listeners(lab: Lab) -> None:
    """API_AddTags: changes a value; API_RemoveTags: unknown keys are no error."""
    lb, tg = balancer(lab), group(lab)
    arns = [lb, tg, listen(lab, lb, tg)]
    lab.elb.add_tags(ResourceArns=arns, Tags=[{"Key": "Cluster", "Value": "fargle"}])
    lab.elb.add_tags(ResourceArns=arns, Tags=[{"Key": "Cluster", "Value": "barney"}, {"Key": "x", "Value": ""}])
    lab.elb.remove_tags(ResourceArns=arns, TagKeys=["x", "y"])
    assert [one["Tags"] for one in lab.elb.describe_tags(ResourceArns=arns)["TagDescriptions"]] == [[{"Key": "Cluster", "Value": "barney"}]] * 3


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}], "DuplicateTagKeys"),
        ([{"Key": f"key-{number}", "Value": ""} for number in range(51)], "TooManyTags"),
        ([{"Key": "aws:mine", "Value": ""}], "ValidationError"),
        ([{"Key": "k" * 129, "Value": ""}], "ValidationError"),
        ([{"Key": "what?", "Value": ""}], "ValidationError"),
    ],
)
def test_tags_that_are_refused(lab: Lab, tags: list[dict[str, str]], code: str) -> None:
    """API_AddTags, API_CreateLoadBalancer, API_CreateTargetGroup errors; API_Tag Key, Value."""
    lb = balancer(lab)
    for call in (lambda: lab.elb.add_tags(ResourceArns=[lb], Tags=tags), lambda: balancer(lab, "new", Tags=tags), lambda: group(lab, "new", Tags=tags)):
        with expect_refused(code):
            call()
    assert len(lab.elb.describe_load_balancers()["LoadBalancers"]) == 1 and lab.elb.describe_target_groups()["TargetGroups"] == []


def test_tags_of_what_is_not_there(lab: Lab) -> None:
    """API_AddTags, API_RemoveTags errors LoadBalancerNotFound, TargetGroupNotFound; no resource is tagged then."""
    lb, tg = balancer(lab), group(lab)
    with expect_refused("TargetGroupNotFound"):
        lab.elb.add_tags(ResourceArns=[lb, tg + "0"], Tags=[{"Key": "a", "Value": "b"}])
    with expect_refused("LoadBalancerNotFound"):
        lab.elb.remove_tags(ResourceArns=[lb + "0"], TagKeys=["a"])
    assert lab.elb.describe_tags(ResourceArns=[lb])["TagDescriptions"][0]["Tags"] == []


def test_a_snapshot_keeps_what_is_leaving(lab: Lab) -> None:
    """The contract of the sandbox: interfaces and target groups that are let go come back as such."""
    lab.ledger.delays.update({"elb.release": 30.0, "elb.unlink": 30.0})
    lb, tg = balancer(lab), group(lab)
    listen(lab, lb, tg)
    lab.elb.delete_load_balancer(LoadBalancerArn=lb)
    world = lab.part.snapshot()
    lab.part.restore(world)
    assert len(interfaces(lab, lb)) == 3
    with expect_refused("ResourceInUse"):
        lab.elb.delete_target_group(TargetGroupArn=tg)


def test_hundreds_of_load_balancers_have_addresses(lab: Lab) -> None:
    first = described(lab, balancer(lab))["LoadBalancerName"]
    with lab.part.lock:
        (store,) = lab.part.elbv2_backends()
        crowd = types.SimpleNamespace(name="crowd", addresses=[f"{lab.network}.1.{number}" for number in range(10, 250)])
        store.load_balancers["crowd"] = crowd
        address = store._free_address(types.SimpleNamespace(name="one-more"))
        del store.load_balancers["crowd"]
    assert address == f"{lab.network}.2.10"
    assert lab.part.address_of(first) == f"{lab.network}.1.10"
