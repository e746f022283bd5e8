# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What nlb does: pure functions from what is wanted and what there is to changes, problems and warnings.

What can be repaired in place is repaired, nothing is ever replaced, and nothing is taken away but by state absent.
"""

from __future__ import annotations

import typing as t

# Attributes have the shape of tags.
from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list as pairs

from .._plan import Step
from .changes import Call, Change, Findings, Params, Ref, drift
from .names import CLUSTER_TAG, CONTROLLER_TAG, LOAD_BALANCER_TAG, OWNED_TAG
from .nlb_options import Balancer, Listener, NlbOptions
from .nlb_world import Found, Group, World, fits, forwards_to, vpc_of

LOAD_BALANCER = "load balancer"
TARGET_GROUP = "target group"
CROSS_ZONE = "load_balancing.cross_zone.enabled"
PROTECTION = "deletion_protection.enabled"


def choose_subnets(balancer: Balancer, world: World, taken: t.Mapping[str, str]) -> dict[str, str]:
    """Zone → subnet, one for each zone as ELB wants it: the one the load balancer is in already, else the first that was named."""
    chosen = dict(taken)
    for subnet_id in balancer.subnet_ids:
        if subnet_id in world.subnets:
            chosen.setdefault(world.subnets[subnet_id]["AvailabilityZone"], subnet_id)
    return chosen


# --- present


def plan_present(options: NlbOptions, world: World, check_mode: bool) -> Findings:
    """Everything that is missing or has drifted, load balancer by load balancer, in the order in which it is made."""
    findings = Findings(problems=options.problems(check_mode))
    for balancer in options.balancers:
        findings.problems += _subnet_problems(balancer, world) + _identity_problems(options, balancer, world)
        found = world.balancers.get(balancer.wanted_name)
        if found is not None:
            findings.problems += _fixed_problems(balancer, found, world)
            findings.warnings += _warnings(balancer, found)
        for listener in balancer.listeners:
            findings.problems += _listener_problems(options, balancer, listener, world)
        findings.changes += _changes(options, balancer, world)
    return findings


def _subnet_problems(balancer: Balancer, world: World) -> list[str]:
    where = f"load_balancers: {balancer.wanted_name}: subnet_ids"
    problems = [f"{where}: {subnet_id} does not exist in this region" for subnet_id in balancer.subnet_ids if subnet_id and subnet_id not in world.subnets]
    vpcs = sorted({world.subnets[subnet_id]["VpcId"] for subnet_id in balancer.subnet_ids if subnet_id in world.subnets})
    if len(vpcs) > 1:
        problems.append(f"{where}: the subnets are in different VPCs ({', '.join(vpcs)})")
    problems += [f"{where}: {vpc_id} has no internet gateway, so nothing in it can be internet-facing" for vpc_id in vpcs if _offline(balancer, vpc_id, world)]
    return problems


def _offline(balancer: Balancer, vpc_id: str, world: World) -> bool:
    return balancer.scheme == "internet-facing" and vpc_id in world.offline_vpcs


def _identity_problems(options: NlbOptions, balancer: Balancer, world: World) -> list[str]:
    """Whether what goes by the name may be touched."""
    rivals = world.rivals.get(balancer.wanted_name, [])
    if rivals:
        cure = f"delete the others, or mark those that are for something else with the tag {LOAD_BALANCER_TAG}=none"
        return [f"{balancer.name}: {', '.join(rivals)} could each be this load balancer of {options.cluster}; {cure}"]
    found = world.balancers.get(balancer.wanted_name)
    return [] if found is None else [f"{found.name}: {text}" for text in _foreign(options, found.tags)]


def _foreign(options: NlbOptions, tags: t.Mapping[str, str]) -> list[str]:
    """Why something with these tags is not the cluster's to change."""
    if tags.get(CLUSTER_TAG, options.cluster) != options.cluster:
        return [f"belongs to another cluster, its tag {CLUSTER_TAG} says {tags[CLUSTER_TAG]}"]
    if CONTROLLER_TAG in tags:
        return ["a Kubernetes controller owns it"]
    if tags.get(LOAD_BALANCER_TAG) == "none":
        return [f"its tag {LOAD_BALANCER_TAG}=none says to leave it alone"]
    return []


def _fixed_problems(balancer: Balancer, found: Found, world: World) -> list[str]:
    """What of a load balancer is wrong and cannot be changed."""
    wanted = {"Type": "network", "Scheme": balancer.scheme, "VpcId": vpc_of(balancer, world)}
    words = {"Type": "type", "Scheme": "scheme", "VpcId": "VPC"}
    wrong = ", ".join(f"{words[key]} {found.item.get(key)} instead of {value}" for key, value in wanted.items() if value and found.item.get(key) != value)
    problems = [f"{found.name}: has {wrong}, which cannot be changed; delete it, or ask for what it is"] if wrong else []
    if found.item.get("State", {}).get("Code") == "failed":
        problems.append(f"{found.name}: AWS failed to make it: {found.item['State'].get('Reason', 'no reason given')}; delete it and run again")
    return problems


def _warnings(balancer: Balancer, found: Found) -> list[str]:
    if balancer.security_groups and not found.item.get("SecurityGroups"):
        text = "was made without a security group and can never get one; what may reach it is up to the nodes' groups"
        return [f"{found.name}: {text}"]
    return []


def serving_group(balancer: Balancer, listener: Listener, world: World) -> Group | None:
    """The target group that a listener is to forward to: the one of its name, else the one it forwards to already if that one fits."""
    named = world.group_named(balancer.group_name(listener))
    return named or _forwarded(balancer, listener, world)


def _forwarded(balancer: Balancer, listener: Listener, world: World) -> Group | None:
    """The one target group that the listener forwards to now, if it can serve it."""
    found = world.balancers.get(balancer.wanted_name)
    now = forwards_to(found.listeners[listener.port]) if found and listener.port in found.listeners else []
    group = world.groups.get(now[0]) if len(now) == 1 else None
    return group if group and not fits(group, listener, vpc_of(balancer, world)) else None


def _listener_problems(options: NlbOptions, balancer: Balancer, listener: Listener, world: World) -> list[str]:
    """What stands in the way of a listener and its target group."""
    name = balancer.group_name(listener)
    problems = []
    named = world.group_named(name)
    if named:
        problems += [f"target group {name}: {text}" for text in _foreign(options, named.tags)]
        wrong = fits(named, listener, vpc_of(balancer, world))
        if wrong:
            problems.append(f"target group {name}: has {wrong}, which cannot be changed; delete it, or ask for what it is")
    found = world.balancers.get(balancer.wanted_name)
    current = found.listeners.get(listener.port) if found else None
    if found and current:
        if current.get("Protocol") != "TCP":
            problems.append(f"{found.name}: its listener on port {listener.port} is {current.get('Protocol')}, not TCP; delete it or use another port")
        problems += _forward_problems(balancer, listener, found, world)
    return problems


def _forward_problems(balancer: Balancer, listener: Listener, found: Found, world: World) -> list[str]:
    """A listener that forwards where nobody asked for is not bent elsewhere: its port may be what the cluster's ingress listens on."""
    ours = {balancer.group_name(one) for one in balancer.listeners}
    problems = []
    for arn in forwards_to(found.listeners[listener.port]):
        group = world.groups.get(arn)
        wrong = fits(group, listener, vpc_of(balancer, world)) if group else ""
        if group and wrong and group.name not in ours:
            cure = "ask for what it is, or delete the listener"
            problems.append(f"{found.name}: its listener on port {listener.port} forwards to target group {group.name}, which has {wrong}; {cure}")
    return problems


def _changes(options: NlbOptions, balancer: Balancer, world: World) -> list[Change]:
    """All changes of one load balancer: target groups, then itself, then its listeners, so that no listener waits for anything."""
    found = world.balancers.get(balancer.wanted_name)
    changes: list[Change] = []
    for listener in balancer.listeners:
        group = serving_group(balancer, listener, world)
        changes += _mend_group(options, balancer, group) if group else [_create_group(options, balancer, listener, world)]
    changes += _mend_balancer(options, balancer, found, world) if found else [_create_balancer(options, balancer, world)]
    for listener in balancer.listeners:
        changes += _listener_changes(balancer, listener, found, world)
    return changes


def _step(balancer: Balancer, verb: str, target: str, before: t.Any = None, after: t.Any = None) -> Step:
    return Step(verb, balancer.name, target, before, after)


def _create_group(options: NlbOptions, balancer: Balancer, listener: Listener, world: World) -> Change:
    name = balancer.group_name(listener)
    fixed = {"Protocol": "TCP", "Port": listener.target_port, "VpcId": vpc_of(balancer, world), "TargetType": "instance", **balancer.health_check.params()}
    tags = options.tags_of(balancer)
    ref = Ref(TARGET_GROUP, name)
    calls = (
        Call("create_target_group", {"Name": name, **fixed, "Tags": pairs(tags)}, ref),
        Call("modify_target_group_attributes", {"TargetGroupArn": ref, "Attributes": pairs(balancer.group_attributes())}),
    )
    return Change(_step(balancer, "create", f"target group {name}", after={**fixed, **balancer.group_attributes(), "tags": tags}), calls)


def _mend_group(options: NlbOptions, balancer: Balancer, group: Group) -> list[Change]:
    target = f"target group {group.name}"
    by_arn = {"TargetGroupArn": group.arn}
    check = balancer.health_check.params()
    changes = _tagging(options, balancer, target, group.arn, group.tags)
    wrong = drift(check, group.item)
    if wrong:
        # Together: what ELB makes of one value depends on the others.
        changes.append(_mending(balancer, f"health check of {target}", wrong, group.item, "modify_target_group", {**by_arn, **check}))
    wrong = drift(balancer.group_attributes(), group.attributes)
    if wrong:
        call = {**by_arn, "Attributes": pairs(wrong)}
        changes.append(_mending(balancer, f"attributes of {target}", wrong, group.attributes, "modify_target_group_attributes", call))
    return changes


def _mending(balancer: Balancer, target: str, wrong: Params, now: Params, operation: str, params: Params) -> Change:
    before = {key: now.get(key) for key in wrong}
    return Change(_step(balancer, "update", target, before, dict(wrong)), (Call(operation, params),))


def _tagging(options: NlbOptions, balancer: Balancer, target: str, arn: str, tags: t.Mapping[str, str]) -> list[Change]:
    wrong = drift(options.tags_of(balancer), tags)
    return [_mending(balancer, f"tags of {target}", wrong, tags, "add_tags", {"ResourceArns": [arn], "Tags": pairs(wrong)})] if wrong else []


def _create_balancer(options: NlbOptions, balancer: Balancer, world: World) -> Change:
    ref = Ref(LOAD_BALANCER, balancer.name)
    fixed: dict[str, t.Any] = {"Type": "network", "Scheme": balancer.scheme, "Subnets": list(choose_subnets(balancer, world, {}).values())}
    if balancer.security_groups:
        fixed["SecurityGroups"] = list(balancer.security_groups)
    tags = options.tags_of(balancer)
    attributes = {CROSS_ZONE: str(balancer.cross_zone).lower()}
    calls = (
        Call("create_load_balancer", {"Name": balancer.name, **fixed, "Tags": pairs(tags)}, ref),
        Call("modify_load_balancer_attributes", {"LoadBalancerArn": ref, "Attributes": pairs(attributes)}),
    )
    return Change(_step(balancer, "create", "load balancer", after={**fixed, **attributes, "tags": tags}), calls)


def _mend_balancer(options: NlbOptions, balancer: Balancer, found: Found, world: World) -> list[Change]:
    by_arn = {"LoadBalancerArn": found.arn}
    changes = _tagging(options, balancer, f"load balancer {found.name}", found.arn, found.tags)
    wrong = drift({CROSS_ZONE: str(balancer.cross_zone).lower()}, found.attributes)
    if wrong:
        call = {**by_arn, "Attributes": pairs(wrong)}
        changes.append(_mending(balancer, "attributes of the load balancer", wrong, found.attributes, "modify_load_balancer_attributes", call))
    subnets = choose_subnets(balancer, world, found.subnets)
    if subnets != found.subnets:
        call = {**by_arn, "Subnets": list(subnets.values())}
        changes.append(_mending(balancer, "subnets of the load balancer", {"subnets": sorted(subnets.values())}, _listed(found), "set_subnets", call))
    worn = found.item.get("SecurityGroups") or []
    lacking = [group for group in balancer.security_groups if group not in worn]
    if worn and lacking:
        groups = {"security_groups": [*worn, *lacking]}
        call = {**by_arn, "SecurityGroups": groups["security_groups"]}
        changes.append(_mending(balancer, "security groups of the load balancer", groups, _listed(found), "set_security_groups", call))
    return changes


def _listed(found: Found) -> dict[str, list[str]]:
    return {"subnets": sorted(found.subnets.values()), "security_groups": found.item.get("SecurityGroups") or []}


def _listener_changes(balancer: Balancer, listener: Listener, found: Found | None, world: World) -> list[Change]:
    group = serving_group(balancer, listener, world)
    goal: str | Ref = group.arn if group else Ref(TARGET_GROUP, balancer.group_name(listener))
    actions = {"DefaultActions": [{"Type": "forward", "TargetGroupArn": goal}]}
    after = {"port": listener.port, "protocol": "TCP", "forwards_to": group.name if group else balancer.group_name(listener)}
    target = f"listener on port {listener.port}"
    current = found.listeners.get(listener.port) if found else None
    if current is None:
        place: str | Ref = found.arn if found else Ref(LOAD_BALANCER, balancer.name)
        call = Call("create_listener", {"LoadBalancerArn": place, "Protocol": "TCP", "Port": listener.port, **actions})
        return [Change(_step(balancer, "create", target, after=after), (call,))]
    now = forwards_to(current)
    if now == [goal]:
        return []
    before = {**after, "forwards_to": ", ".join(world.groups[arn].name if arn in world.groups else arn for arn in now)}
    call = Call("modify_listener", {"ListenerArn": current["ListenerArn"], **actions})
    return [Change(_step(balancer, "update", target, before, after), (call,))]


# --- absent


def plan_absent(options: NlbOptions, world: World) -> Findings:
    """Load balancers, then target groups: only those that carry the cluster's tag and the collection's mark."""
    findings = Findings()
    for balancer in options.balancers:
        findings.problems += _identity_problems(options, balancer, world)
        found = world.balancers.get(balancer.wanted_name)
        if found is not None:
            findings.problems += _keepers(options, found)
            step = Step("delete", balancer.name, f"load balancer {found.name}", {"arn": found.arn, "scheme": found.item.get("Scheme")})
            findings.changes.append(Change(step, (Call("delete_load_balancer", {"LoadBalancerArn": found.arn}),)))
    findings.changes += _group_removals(options, world)
    return findings


def _keepers(options: NlbOptions, found: Found) -> list[str]:
    """Why a load balancer stays."""
    problems = []
    if found.tags.get(CLUSTER_TAG) != options.cluster or OWNED_TAG not in found.tags:
        problems.append(f"{found.name}: was neither made nor taken over by this collection (no tag {OWNED_TAG}); tag it, or delete it yourself")
    if found.attributes.get(PROTECTION) == "true":
        problems.append(f"{found.name}: deletion protection is on; turn {PROTECTION} off if it is to go")
    return problems


def _group_removals(options: NlbOptions, world: World) -> list[Change]:
    doomed = {found.arn for found in world.balancers.values()}
    names = {one.group_name(listener): one.name for one in options.balancers for listener in one.listeners}
    owners = {found.arn: one.name for one in options.balancers if (found := world.balancers.get(one.wanted_name))}
    changes = []
    for group in sorted(world.groups.values(), key=lambda group: group.name):
        ours = group.tags.get(CLUSTER_TAG) == options.cluster and OWNED_TAG in group.tags
        users = group.item.get("LoadBalancerArns", [])
        if ours and set(users) <= doomed:
            owner = owners[users[0]] if users else names.get(group.name, group.name)
            step = Step("delete", owner, f"target group {group.name}", {"arn": group.arn, "port": group.item.get("Port")})
            changes.append(Change(step, (Call("delete_target_group", {"TargetGroupArn": group.arn}),)))
    return changes
