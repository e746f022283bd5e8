# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The work of cluster_security_group: read the groups once, plan, create, change rules, or delete once nothing wears them any more."""

from __future__ import annotations

import functools
import typing as t

from .._outcome import Outcome
from .._wait import Clock
from . import ec2
from .changes import CONSISTENCY, Params, Ref, carry_out, patient
from .clients import Clients
from .errors import ApiError
from .group_plan import SECURITY_GROUP, GroupOptions, GroupWorld, owned, plan_groups, plan_removal, wearers
from .names import CLUSTER_TAG
from .options import check_problems
from .waits import growing

Item = dict[str, t.Any]


def group_work(options: GroupOptions, clients: Clients, check_mode: bool, clock: Clock = growing) -> Outcome:
    """Do what cluster_security_group's state says."""
    if not options.groups:
        return Outcome(values={"security_groups": []})
    work = _present if options.state == "present" else _absent
    return work(options, clients, check_mode, clock)


def _present(options: GroupOptions, clients: Clients, check_mode: bool, clock: Clock) -> Outcome:
    world = _read_vpc(options, clients)
    filters = {"group-name": [group.name for group in options.groups], "vpc-id": world.vpc_id}
    if world.vpc_id:
        world.named = {item["GroupName"]: item for item in ec2.describe_security_groups(clients.ec2, filters)}
    findings = plan_groups(options, world)
    check_problems(findings.problems)
    outcome = Outcome(steps=findings.steps, noun="security groups")
    ids = {Ref(SECURITY_GROUP, name): str(item["GroupId"]) for name, item in world.named.items()}
    if not check_mode:
        caller = patient(functools.partial(_change, options, clients), clock, CONSISTENCY, busy=("InvalidGroup.NotFound",))
        carry_out(findings.changes, ids, caller, outcome.failures)
    outcome.values = {"security_groups": [{"name": group.name, "id": ids.get(Ref(SECURITY_GROUP, group.name), group.name)} for group in options.groups]}
    return outcome


def _change(options: GroupOptions, clients: Clients, operation: str, words: str, params: Params) -> str:
    """Make a call. A group that suddenly exists is ours if it carries our marks: the SDK repeats a creation whose answer it lost."""
    try:
        return ec2.change(clients.ec2, operation, words, params)
    except ApiError as error:
        if error.code != "InvalidGroup.Duplicate":
            raise
        found = ec2.describe_security_groups(clients.ec2, {"group-name": params["GroupName"], "vpc-id": params["VpcId"]})
        ours = [str(item["GroupId"]) for item in found if owned(options, item)]
        if not ours:
            raise
        return ours[0]


def _read_vpc(options: GroupOptions, clients: Clients) -> GroupWorld:
    """The VPC of the subnets, and its ranges when a rule asks for them."""
    world = GroupWorld()
    subnets = ec2.describe_subnets(clients.ec2, list(options.subnet_ids)) if options.subnet_ids else []
    vpcs = sorted({subnet["VpcId"] for subnet in subnets})
    if len(vpcs) == 1:
        world.vpc_id = vpcs[0]
    elif vpcs:
        world.problems.append(f"subnet_ids: the subnets are in different VPCs ({', '.join(vpcs)})")
    else:
        world.problems.append("subnet_ids: is empty, or names no subnet of this region; the groups are made in the subnets' VPC")
    if world.vpc_id and any("vpc" in rule.sources for group in options.groups for rule in group.rules):
        world.vpc_cidrs = tuple(ec2.vpc_cidrs(clients.ec2, world.vpc_id))
    return world


def _absent(options: GroupOptions, clients: Clients, check_mode: bool, clock: Clock) -> Outcome:
    names = [group.name for group in options.groups]
    found = ec2.describe_security_groups(clients.ec2, {"group-name": names, f"tag:{CLUSTER_TAG}": options.cluster})
    world = GroupWorld(named={item["GroupName"]: item for item in found})
    if found:
        ids = [item["GroupId"] for item in found]
        world.referring = ec2.describe_security_groups(clients.ec2, {"ip-permission.group-id": ids})
        world.wearing = ec2.interfaces_wearing(clients.ec2, ids)
    findings = plan_removal(options, world)
    check_problems(findings.problems)
    outcome = Outcome(steps=findings.steps, noun="security groups", values={"security_groups": []})
    if not check_mode and findings.changes:
        # A load balancer's interfaces, and with them its hold on the groups, outlive it by a while.
        caller = functools.partial(ec2.change, clients.ec2)
        removing = patient(caller, clock, options.wait_timeout, busy=("DependencyViolation",), gone=("InvalidGroup.NotFound",))
        carry_out(findings.changes, {}, removing, outcome.failures)
        _explain(clients, world, outcome)
    return outcome


def _explain(clients: Clients, world: GroupWorld, outcome: Outcome) -> None:
    """Say who wears the groups that could not be deleted."""
    left = {item["GroupId"]: name for name, item in world.named.items() if name in outcome.failures}
    for group_id, words in wearers(ec2.interfaces_wearing(clients.ec2, sorted(left))) if left else []:
        if group_id in left:
            outcome.failures[left[group_id]] += f"; {words} has it"
