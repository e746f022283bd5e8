# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of nlb and cluster_security_group for a cluster barney, what becomes of it, and clients of a process that dies."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Clients
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.group_plan import GroupOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.nlb import nlb_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.nlb_options import NlbOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.security_groups import group_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome
from ansible_collections.k8s_cluster.manager.plugins.modules import cluster_security_group, nlb

from tests.unit.sandbox.aws_lab import Lab
from tests.unit.sandbox_modules.aws_kit import Killed, client, clients_of

OWNED = "k8s-cluster-manager/owned"


def filled(spec: dict[str, t.Any], given: dict[str, t.Any]) -> dict[str, t.Any]:
    """Parameters as Ansible gives them to a module: with its defaults."""
    found = {}
    for name, option in spec.items():
        value = given.get(name, option.get("default"))
        if "options" in option and isinstance(value, list):
            value = [filled(option["options"], item) for item in value]
        elif "options" in option and isinstance(value, dict):
            value = filled(option["options"], value)
        found[name] = value
    return found


def wanted(lab: Lab, **changes: t.Any) -> list[dict[str, t.Any]]:
    """The load balancers of the cluster barney; changes are made to both."""
    common = {"subnet_ids": [lab.subnets["a"], lab.subnets["b"]], "security_groups": [lab.group], **changes}
    api = {"name": "apiserver-barney", "kind": "apiserver", "preserve_client_ip": False, "listeners": [{"port": 6443, "target_port": 6443}]}
    web = {"name": "ingress-barney", "kind": "ingress", "listeners": [{"port": 80, "target_port": 30080}, {"port": 443, "target_port": 30443}]}
    return [{**api, **common}, {**web, **common}]


def balance(lab: Lab, clients: Clients | None = None, check: bool = False, **changes: t.Any) -> Outcome:
    given = {"cluster": "barney", "load_balancers": wanted(lab), "wait_timeout": 10, **changes}
    return nlb_work(NlbOptions.of_params(filled(nlb.SPEC, given)), clients or clients_of(lab), check)


def group(lab: Lab, clients: Clients | None = None, check: bool = False, **changes: t.Any) -> Outcome:
    rules = [{"ports": ["6443"], "sources": ["0.0.0.0/0"]}]
    inner = [{"ports": ["6443", "50000-50001"], "sources": ["apiserver-barney", "self", "vpc"]}]
    groups = [{"name": "apiserver-barney", "load_balancer": "apiserver", "rules": rules}, {"name": "node-barney", "rules": inner}]
    given = {"cluster": "barney", "subnet_ids": [lab.subnets["a"]], "security_groups": groups, "wait_timeout": 10, **changes}
    return group_work(GroupOptions.of_params(filled(cluster_security_group.SPEC, given)), clients or clients_of(lab), check)


def tags(lab: Lab, arn: str) -> dict[str, str]:
    (described,) = lab.elb.describe_tags(ResourceArns=[arn])["TagDescriptions"]
    return {tag["Key"]: tag["Value"] for tag in described["Tags"]}


def attributes(lab: Lab, arn: str) -> dict[str, str]:
    return {item["Key"]: item["Value"] for item in lab.elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]}


def shape(lab: Lab) -> dict[str, t.Any]:
    """All load balancers of the account: where they are, and each listener with the target group behind it, everything that was asked for."""
    found: dict[str, t.Any] = {}
    groups = {item["TargetGroupArn"]: item for item in lab.elb.describe_target_groups()["TargetGroups"]}
    for item in lab.elb.describe_load_balancers()["LoadBalancers"]:
        arn = item["LoadBalancerArn"]
        listeners = lab.elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
        settings = {one["Key"]: one["Value"] for one in lab.elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]}
        found[item["LoadBalancerName"]] = {
            "scheme": item["Scheme"],
            "zones": {zone["ZoneName"][-1] for zone in item["AvailabilityZones"]},
            "groups": item["SecurityGroups"],
            "cross_zone": settings["load_balancing.cross_zone.enabled"],
            "tags": tags(lab, arn),
            "listeners": {listener["Port"]: behind(lab, groups[listener["DefaultActions"][0]["TargetGroupArn"]]) for listener in listeners},
        }
    return {"load balancers": found, "target groups": sorted(item["TargetGroupName"] for item in groups.values())}


def behind(lab: Lab, item: dict[str, t.Any]) -> dict[str, t.Any]:
    set_to = attributes(lab, item["TargetGroupArn"])
    return {
        "name": item["TargetGroupName"],
        "port": item["Port"],
        "check": (item["HealthCheckProtocol"], item["HealthCheckIntervalSeconds"], item["HealthCheckTimeoutSeconds"], item["HealthyThresholdCount"]),
        "delay": set_to["deregistration_delay.timeout_seconds"],
        "terminates": set_to["deregistration_delay.connection_termination.enabled"],
        "client ip": set_to["preserve_client_ip.enabled"],
        "tags": tags(lab, item["TargetGroupArn"]),
    }


def goal(lab: Lab) -> dict[str, t.Any]:
    """What shape() is after a run from nothing."""

    def listener(name: str, port: int, kind: str, client_ip: str) -> dict[str, t.Any]:
        check = ("TCP", 10, 6, 2)
        return {"name": name, "port": port, "check": check, "delay": "120", "terminates": "true", "client ip": client_ip, "tags": marks(kind)}

    def marks(kind: str) -> dict[str, str]:
        return {"Cluster": "barney", "LoadBalancer": kind, OWNED: "true"}

    common = {"scheme": "internal", "zones": {"a", "b"}, "groups": [lab.group], "cross_zone": "true"}
    api = {6443: listener("apiserver-barney-6443", 6443, "apiserver", "false")}
    web = {80: listener("ingress-barney-80", 30080, "ingress", "true"), 443: listener("ingress-barney-443", 30443, "ingress", "true")}
    balancers = {
        "apiserver-barney": {**common, "tags": marks("apiserver"), "listeners": api},
        "ingress-barney": {**common, "tags": marks("ingress"), "listeners": web},
    }
    return {"load balancers": balancers, "target groups": ["apiserver-barney-6443", "ingress-barney-443", "ingress-barney-80"]}


def mutations(lab: Lab) -> list[str]:
    return [call.operation for call in lab.ledger.calls if call.mutating]


def mortal(lab: Lab, after: int) -> Clients:
    """Clients of a process that dies right after so many mutating calls took effect."""
    numbers = itertools.count(1)

    def kill(model: t.Any, **_kwargs: t.Any) -> None:
        if not model.name.startswith(("Describe", "Get")) and next(numbers) == after:
            raise Killed

    def make(service: str) -> t.Any:
        made = client(lab.part.endpoint, service)
        made.meta.events.register("after-call.*.*", kill)
        return made

    return Clients(make)


def by_hand(lab: Lab, name: str, ports: dict[int, int], **changes: t.Any) -> str:
    """A load balancer with a listener and a target group behind it for each port; its ARN."""
    words = {"Subnets": [lab.subnets["a"]], "Scheme": "internal", "Type": "network", "SecurityGroups": [lab.group], **changes}
    arn = lab.elb.create_load_balancer(Name=name, **words)["LoadBalancers"][0]["LoadBalancerArn"]
    for port, target_port in ports.items():
        made = lab.elb.create_target_group(Name=f"hand-{name[:9]}-{port}", Protocol="TCP", Port=target_port, VpcId=lab.vpc, TargetType="instance")
        actions = [{"Type": "forward", "TargetGroupArn": made["TargetGroups"][0]["TargetGroupArn"]}]
        lab.elb.create_listener(LoadBalancerArn=arn, Protocol="TCP", Port=port, DefaultActions=actions)
    return str(arn)
