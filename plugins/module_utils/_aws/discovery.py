# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Discovery: everything tagged for a cluster, at a cost that does not depend on what else the account holds."""

from __future__ import annotations

import dataclasses
import typing as t

from .._outcome import Outcome
from . import classify, ec2, elbv2
from .clients import Clients
from .names import CLUSTER_TAG, check_cluster

Item = dict[str, t.Any]

# A terminated instance is listed for about an hour and means nothing.
LIVING = ("pending", "running", "shutting-down", "stopping", "stopped")


@dataclasses.dataclass(frozen=True)
class InfoOptions:
    """The options of cluster_info."""

    cluster: str


def _load_balancers(clients: Clients, tagged: dict[str, dict[str, str]], warnings: list[str]) -> list[Item]:
    wanted = [arn for arn in tagged if ":loadbalancer/net/" in arn or ":loadbalancer/app/" in arn]
    found = [classify.load_balancer(item, tagged[item["LoadBalancerArn"]]) for item in elbv2.describe_load_balancers(clients.elbv2, wanted)]
    gone = set(wanted) - {balancer["arn"] for balancer in found}
    warnings.extend(f"load balancer {arn} is tagged but does not exist (any more)" for arn in sorted(gone))
    return found


def _raw_target_groups(clients: Clients, tagged: dict[str, dict[str, str]], balancers: list[Item]) -> list[Item]:
    """Target groups behind the load balancers, and those that carry the tag themselves."""
    found = {item["TargetGroupArn"]: item for balancer in balancers for item in elbv2.target_groups_of(clients.elbv2, balancer["arn"])}
    alone = [arn for arn in tagged if ":targetgroup/" in arn and arn not in found]
    found.update({item["TargetGroupArn"]: item for item in elbv2.describe_target_groups(clients.elbv2, alone)})
    return list(found.values())


def _target_groups(clients: Clients, tagged: dict[str, dict[str, str]], balancers: list[Item]) -> list[Item]:
    raw = _raw_target_groups(clients, tagged, balancers)
    untagged = [item["TargetGroupArn"] for item in raw if item["TargetGroupArn"] not in tagged]
    tags = {**tagged, **elbv2.describe_tags(clients.elbv2, untagged)}
    by_arn = {balancer["arn"]: balancer for balancer in balancers}
    groups = []
    for item in raw:
        own = [by_arn[arn] for arn in item.get("LoadBalancerArns", []) if arn in by_arn]
        group = classify.target_group(item, tags.get(item["TargetGroupArn"], {}), own)
        if group["kind"] == "none" or _read_targets(clients, group):
            groups.append(group)
    return sorted(groups, key=lambda group: group["name"])


def _read_targets(clients: Clients, group: Item) -> bool:
    """Add its targets to a target group; False when it vanished meanwhile."""
    health = elbv2.describe_target_health(clients.elbv2, group["arn"])
    if health is None:
        return False
    group["targets"] = [classify.target(item) for item in health]
    return True


def discover(options: InfoOptions, clients: Clients) -> Outcome:
    """The work of cluster_info: read all that is tagged Cluster=<name>."""
    check_cluster(options.cluster)
    warnings: list[str] = []
    tagged = elbv2.tagged_resources(clients.tagging, CLUSTER_TAG, options.cluster)
    balancers = _load_balancers(clients, tagged, warnings)
    groups = _target_groups(clients, tagged, balancers)
    instances = [classify.instance(item) for item in ec2.describe_instances(clients.ec2, f"tag:{CLUSTER_TAG}", [options.cluster], LIVING)]
    for item in instances:
        item["role"] = classify.inferred_role(item, groups)
    worn = {group_id for balancer in balancers for group_id in balancer["security_groups"]}
    security_groups = ec2.describe_security_groups(clients.ec2, {f"tag:{CLUSTER_TAG}": options.cluster})
    cluster = {
        "name": options.cluster,
        "security_groups": sorted((classify.security_group(item, worn) for item in security_groups), key=lambda group: group["name"]),
        "load_balancers": sorted(balancers, key=lambda balancer: balancer["name"]),
        "target_groups": groups,
        "instances": sorted(instances, key=lambda item: (item["name"], item["instance_id"])),
    }
    return Outcome(warnings=warnings + classify.oddities(instances, groups), values={"cluster": cluster})
