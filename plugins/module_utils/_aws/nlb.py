# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The work of nlb: read the load balancers once, plan, change what has to be changed, wait for all in one loop."""

from __future__ import annotations

import functools
import typing as t

from .. import _progress
from .._outcome import Outcome
from .._wait import Clock
from . import ec2, elbv2
from .changes import CONSISTENCY, Ref, carry_out, patient
from .clients import Clients
from .nlb_options import Balancer, NlbOptions
from .nlb_plan import LOAD_BALANCER, TARGET_GROUP, choose_subnets, plan_absent, plan_present, serving_group
from .nlb_world import World, read_world
from .options import check_problems
from .waits import growing

Item = dict[str, t.Any]
INTERVAL = 5.0
# Said of what was made a moment ago.
NOT_THERE_YET = ("LoadBalancerNotFound", "TargetGroupNotFound", "InvalidSecurityGroup")


def nlb_work(options: NlbOptions, clients: Clients, check_mode: bool, clock: Clock = growing) -> Outcome:
    """Do what nlb's state says."""
    if not options.balancers:
        return Outcome(values={"load_balancers": [], "target_groups": []})
    world = read_world(options, clients)
    work = _present if options.state == "present" else _absent
    return work(options, clients, world, check_mode, clock)


def _present(options: NlbOptions, clients: Clients, world: World, check_mode: bool, clock: Clock) -> Outcome:
    findings = plan_present(options, world, check_mode)
    check_problems(findings.problems)
    outcome = Outcome(steps=findings.steps, warnings=findings.warnings + _empty_zones(options, clients, world), noun="load balancers")
    ids = _known(options, world)
    balancers = {found.arn: found.item for found in world.balancers.values()}
    if not check_mode:
        caller = patient(functools.partial(elbv2.change, clients.elbv2), clock, CONSISTENCY, NOT_THERE_YET)
        carry_out(findings.changes, ids, caller, outcome.failures)
        if findings.changes or any(_state(item) == "provisioning" for item in balancers.values()):
            balancers = _wait_active(options, clients, ids, clock, outcome)
    outcome.values = {
        "load_balancers": [_shown(balancer, balancers.get(ids.get(Ref(LOAD_BALANCER, balancer.name), ""), {})) for balancer in options.balancers],
        "target_groups": [group for balancer in options.balancers for group in _groups_shown(balancer, ids, world)],
    }
    return outcome


def _empty_zones(options: NlbOptions, clients: Clients, world: World) -> list[str]:
    """Where cross-zone is off, a zone without a target serves nobody who is sent there. Target groups without any target are still to be filled."""
    warnings = []
    for balancer in options.balancers:
        found = world.balancers.get(balancer.wanted_name)
        for listener in balancer.listeners if found and not balancer.cross_zone else ():
            group = serving_group(balancer, listener, world)
            zones = _target_zones(clients, group.arn) if group else set()
            empty = sorted(choose_subnets(balancer, world, found.subnets if found else {}).keys() - zones)
            if group and zones and empty:
                warnings.append(f"{balancer.name}: cross-zone is off, and target group {group.name} has no target in {', '.join(empty)}")
    return warnings


def _target_zones(clients: Clients, arn: str) -> set[str]:
    """The zones that a target group has targets in."""
    ids = [item["Target"]["Id"] for item in elbv2.describe_target_health(clients.elbv2, arn) or []]
    by_id = ec2.describe_instances(clients.ec2, "instance-id", [one for one in ids if one.startswith("i-")])
    by_address = ec2.describe_instances(clients.ec2, "private-ip-address", [one for one in ids if not one.startswith("i-")])
    return {item["Placement"]["AvailabilityZone"] for item in [*by_id, *by_address]}


def _known(options: NlbOptions, world: World) -> dict[Ref, str]:
    """The ARNs of what is there already."""
    ids = {Ref(LOAD_BALANCER, one.name): found.arn for one in options.balancers if (found := world.balancers.get(one.wanted_name))}
    groups = {(one, listener): serving_group(one, listener, world) for one in options.balancers for listener in one.listeners}
    return {**ids, **{Ref(TARGET_GROUP, one.group_name(listener)): group.arn for (one, listener), group in groups.items() if group}}


def _wait_active(options: NlbOptions, clients: Clients, ids: t.Mapping[Ref, str], clock: Clock, outcome: Outcome) -> dict[str, Item]:
    """Wait until no load balancer is being provisioned any more; return them as last seen, by ARN."""
    names = {ids[ref]: one.name for one in options.balancers if (ref := Ref(LOAD_BALANCER, one.name)) in ids}
    seen: dict[str, Item] = {}
    with _progress.wait("active", names.values()) as progress:
        for _elapsed in clock(options.wait_timeout, INTERVAL):
            seen = {item["LoadBalancerArn"]: item for item in elbv2.describe_load_balancers(clients.elbv2, sorted(names))}
            for arn, item in seen.items():
                progress.at(names[arn], _state(item))
            if not any(_state(item) == "provisioning" for item in seen.values()):
                break
    for arn, name in names.items():
        state = _state(seen.get(arn, {}))
        if state not in ("active", "active_impaired"):
            reason = seen.get(arn, {}).get("State", {}).get("Reason", "")
            outcome.failures.setdefault(name, f"is not active, last seen: {state or 'gone'}{f' ({reason})' if reason else ''}")
    return seen


def _state(item: Item) -> str:
    return str(item.get("State", {}).get("Code", ""))


def _shown(balancer: Balancer, item: Item) -> Item:
    """A load balancer as nlb returns it; empty texts for what is not known before it is made."""
    return {
        "name": item.get("LoadBalancerName", balancer.name),
        "kind": balancer.kind,
        "arn": item.get("LoadBalancerArn", ""),
        "dns_name": item.get("DNSName", ""),
        "scheme": item.get("Scheme", balancer.scheme),
        "state": _state(item),
        "zones": sorted(zone["ZoneName"] for zone in item.get("AvailabilityZones", [])),
        "security_groups": item.get("SecurityGroups", []),
    }


def _groups_shown(balancer: Balancer, ids: t.Mapping[Ref, str], world: World) -> list[Item]:
    """The target groups of a load balancer as nlb_target takes them."""
    shown = []
    for listener in balancer.listeners:
        group = serving_group(balancer, listener, world)
        shown.append(
            {
                "name": group.name if group else balancer.group_name(listener),
                "arn": ids.get(Ref(TARGET_GROUP, balancer.group_name(listener)), ""),
                "port": listener.target_port,
                "target_type": group.item["TargetType"] if group else "instance",
                "kind": balancer.kind,
                "skipped": "",
            }
        )
    return shown


# --- absent


def _absent(options: NlbOptions, clients: Clients, world: World, check_mode: bool, clock: Clock) -> Outcome:
    findings = plan_absent(options, world)
    check_problems(findings.problems)
    outcome = Outcome(steps=findings.steps, noun="load balancers", values={"load_balancers": [], "target_groups": []})
    if check_mode or not findings.changes:
        return outcome
    caller = functools.partial(elbv2.change, clients.elbv2)
    removing = patient(caller, clock, options.wait_timeout, busy=("ResourceInUse",), gone=("LoadBalancerNotFound", "TargetGroupNotFound"))
    first = [change for change in findings.changes if change.calls[0].operation == "delete_load_balancer"]
    carry_out(first, {}, removing, outcome.failures)
    _wait_gone(options, clients, world, clock, outcome)
    carry_out([change for change in findings.changes if change not in first], {}, removing, outcome.failures)
    return outcome


def _wait_gone(options: NlbOptions, clients: Clients, world: World, clock: Clock, outcome: Outcome) -> None:
    """Wait until ELB does not list the deleted load balancers any more: until then they hold their target groups."""
    names = {found.arn: one.name for one in options.balancers if (found := world.balancers.get(one.wanted_name))}
    names = {arn: name for arn, name in names.items() if name not in outcome.failures}
    left: list[Item] = []
    with _progress.wait("gone", names.values()):
        for _elapsed in clock(options.wait_timeout, INTERVAL) if names else ():
            left = elbv2.describe_load_balancers(clients.elbv2, sorted(names))
            if not left:
                break
    for item in left:
        outcome.failures[names[item["LoadBalancerArn"]]] = f"is still there after {options.wait_timeout} s"
