# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The work of nlb_target: read the health of each group once, plan, register or deregister in batches, wait for all in one loop."""

from __future__ import annotations

import time
import typing as t

from .. import _progress
from .._errors import ManagerError
from .._outcome import Outcome
from .._wait import Clock
from . import classify, ec2, elbv2, targets
from .clients import Clients
from .errors import ApiError
from .options import check_problems
from .targets import Group, Health, Placement, TargetOptions
from .waits import growing

Item = dict[str, t.Any]

# Targets in one request, well under what ELB takes.
BATCH = 100
# Refused as a whole for the sake of one target.
ISOLATE_CODES = ("InvalidTarget", "ValidationError", "TooManyTargets", "TooManyRegistrationsForTargetId")
INTERVAL = 5.0
# Seconds after which ELB should know that an instance runs.
CONSISTENCY = 60.0


def target_work(options: TargetOptions, clients: Clients, check_mode: bool, clock: Clock = growing) -> Outcome:
    """Do what nlb_target's state says."""
    if not options.nodes:
        return Outcome()
    work = _present if options.state == "present" else _absent
    return work(options, clients, check_mode, clock)


def read_health(clients: Clients, groups: t.Iterable[Group]) -> Health:
    """The targets of each group that is there: one call per group, however many nodes."""
    health: Health = {}
    for group in groups:
        if not group.arn:
            continue
        items = elbv2.describe_target_health(clients.elbv2, group.arn)
        health[group.arn] = None if items is None else [classify.target(item) for item in items]
    return health


def by_group(placements: t.Iterable[Placement]) -> dict[Group, list[Placement]]:
    """The placements of each group, in order."""
    grouped: dict[Group, list[Placement]] = {}
    for place in placements:
        grouped.setdefault(place.group, []).append(place)
    return grouped


def _results(options: TargetOptions, placements: t.Sequence[Placement]) -> list[Item]:
    return [{"name": node.name, "targets": [place.result() for place in placements if place.node == node]} for node in options.nodes]


def _fail(failures: dict[str, str], place: Placement, text: str) -> None:
    """Note a node's failure after those it has."""
    name = place.node.name
    failures[name] = f"{failures[name]}; {text}" if name in failures else text


# --- present


def _present(options: TargetOptions, clients: Clients, check_mode: bool, clock: Clock) -> Outcome:
    used = [group for group in options.groups if group.kind != "none" and not group.skipped]
    health = read_health(clients, used)
    if check_mode:
        # Nobody is in a group that is still to be made.
        health[""] = []
    problems = targets.gone_groups(options, health)
    check_problems(problems if check_mode else problems + targets.unknown(options))
    places = targets.wanted(options, health)
    missing = targets.to_register(places)
    outcome = Outcome(steps=[place.step("register") for place in missing], nodes=_results(options, places))
    if check_mode:
        return outcome
    with _progress.wait("registered", [node.name for node in options.nodes]) as progress:
        for group, members in by_group(missing).items():
            _register(clients, group, members, options.wait_timeout, clock, outcome.failures)
        _wait_registered(options, clients, clock, places, outcome, progress)
    return outcome


def _register(clients: Clients, group: Group, members: list[Placement], timeout: float, clock: Clock, failures: dict[str, str]) -> None:
    """Register in batches; where ELB refuses a batch, one by one, so that one bad target does not keep out the others."""
    for start in range(0, len(members), BATCH):
        batch = members[start : start + BATCH]
        try:
            elbv2.register_targets(clients.elbv2, group.arn, [place.target for place in batch])
        except ApiError as error:
            if error.code not in ISOLATE_CODES:
                raise
            _register_singly(clients, batch, timeout, clock, failures)


def _register_singly(clients: Clients, batch: list[Placement], timeout: float, clock: Clock, failures: dict[str, str]) -> None:
    """Register one by one; an instance that does not run yet is tried again, one that will not run again is given up."""
    waiting = list(batch)
    errors: dict[str, ApiError] = {}
    for elapsed in clock(timeout, INTERVAL):
        refused = [place for place in waiting if not _registered(clients, place, errors)]
        waiting = _worth_waiting(clients, refused, errors, elapsed)
        for place in refused:
            if place not in waiting:
                _fail(failures, place, _refusal(place, errors))
        if not waiting:
            return
    for place in waiting:
        _fail(failures, place, _refusal(place, errors))


def _refusal(place: Placement, errors: dict[str, ApiError]) -> str:
    return f"target group {place.group.name} refuses {place.target_id}: {errors[place.target_id]}"


def _registered(clients: Clients, place: Placement, errors: dict[str, ApiError]) -> bool:
    try:
        elbv2.register_targets(clients.elbv2, place.group.arn, [place.target])
    except ApiError as error:
        if error.code not in ISOLATE_CODES:
            raise
        errors[place.target_id] = error
        return False
    return True


def _worth_waiting(clients: Clients, refused: list[Placement], errors: dict[str, ApiError], elapsed: float) -> list[Placement]:
    """Those of the refused targets that will do in a moment: instances that are starting, or run already and ELB does not know it yet."""
    ours = [place for place in refused if place.group.target_type == "instance" and errors[place.target_id].code == "InvalidTarget"]
    ids = [place.target_id for place in ours if "VPC" not in errors[place.target_id].aws_message]
    if not ids:
        return []
    states = ("pending", "running") if elapsed < CONSISTENCY else ("pending",)
    starting = {item["InstanceId"] for item in ec2.describe_instances(clients.ec2, "instance-id", ids, states)}
    return [place for place in refused if place.target_id in starting]


def _show(progress: _progress.Wait, places: t.Sequence[Placement], settled: t.Callable[[Placement], bool]) -> None:
    """Let it be known how far each node is: as far as that target of it is that is behind the others."""
    by_node: dict[str, list[Placement]] = {}
    for place in places:
        by_node.setdefault(place.node.name, []).append(place)
    for name, mine in by_node.items():
        waited_for = [place for place in mine if not settled(place)]
        if waited_for:
            progress.at(name, waited_for[0].state or "not listed", waited_for[0].group.name)
        else:
            progress.arrived(name, next((place.state for place in mine if place.state not in ("healthy", "")), mine[0].state))


def _look_again(options: TargetOptions, clients: Clients, seen: list[Placement], waiting: t.Iterable[Placement]) -> list[Placement]:
    """The targets as they are now, with one read for each group that has any of those waited for."""
    groups = {place.group for place in waiting}
    return targets.refresh(seen, read_health(clients, [group for group in options.groups if group in groups]))


def _unsettled(options: TargetOptions, places: t.Sequence[Placement]) -> list[Placement]:
    return [place for place in places if not targets.settled(place, options.require_healthy)]


def _wait_registered(options: TargetOptions, clients: Clients, clock: Clock, places: list[Placement], outcome: Outcome, progress: _progress.Wait) -> None:
    """Wait until the targets are as healthy as their group's kind demands, with one read per group and look.

    Those that need not be healthy, and are not, are looked at once more after a pause: the pods of a new worker are only starting then.
    """
    seen = [place for place in places if place.node.name not in outcome.failures]
    for name in outcome.failures:
        progress.failed(name)
    waiting, last = _unsettled(options, seen), False
    for _elapsed in clock(options.wait_timeout, INTERVAL):
        if waiting:
            seen = _look_again(options, clients, seen, waiting)
        _show(progress, seen, lambda place: targets.settled(place, options.require_healthy))
        looked, waiting = bool(waiting), _unsettled(options, seen)
        if looked and not waiting and not last:
            waiting, last = [place for place in seen if place.state != "healthy"], True
        if not waiting:
            break
    sick = [place for place in seen if place.state != "healthy"]
    for place in sick:
        if place.group.kind in options.require_healthy:
            _fail(outcome.failures, place, f"not healthy after {options.wait_timeout} s: {place.words()}")
    outcome.warnings += targets.alike(place for place in sick if place.group.kind not in options.require_healthy)
    now = {(place.node, place.key): place for place in seen}
    outcome.nodes = _results(options, [now.get((place.node, place.key), place) for place in places])


# --- absent


def _absent(options: TargetOptions, clients: Clients, check_mode: bool, clock: Clock) -> Outcome:
    health = read_health(clients, [group for group in options.groups if group.kind != "none"])
    places = targets.present(options, health)
    leaving = [place for place in places if place.state not in targets.LEAVING]
    emptied = targets.emptied(options, health, leaving)
    vital = [text for group, text in emptied.items() if group.kind == "apiserver"]
    if vital and not options.allow_empty:
        raise ManagerError(f"{'; '.join(vital)}; nothing was deregistered. Take fewer nodes at a time, or say allow_empty", emptied=vital)
    outcome = Outcome(steps=[place.step("deregister") for place in leaving], nodes=_results(options, places), warnings=list(emptied.values()))
    if check_mode:
        return outcome
    for group, members in by_group(leaving).items():
        _deregister(clients, group, members, outcome.failures)
    started = time.monotonic()
    draining = [place for place in places if place.node.name not in outcome.failures]
    with _progress.wait("drained", {place.node.name: None for place in draining}) as progress:
        seen = _wait_left(options, clients, clock, draining, outcome.failures, progress)
        _wait_floor(options, draining, started, progress)
    outcome.nodes = _results(options, seen)
    return outcome


def _deregister(clients: Clients, group: Group, members: list[Placement], failures: dict[str, str]) -> None:
    """Deregister in batches, each target by the port it was found on; what fails is a failure of its nodes, which must stay as they are."""
    for start in range(0, len(members), BATCH):
        batch = members[start : start + BATCH]
        try:
            elbv2.deregister_targets(clients.elbv2, group.arn, [place.target for place in batch])
        except ApiError as error:
            for place in batch:
                _fail(failures, place, f"still gets traffic through target group {group.name}: {error}")


def _wait_left(
    options: TargetOptions, clients: Clients, clock: Clock, draining: list[Placement], failures: dict[str, str], progress: _progress.Wait
) -> list[Placement]:
    """Wait until ELB lists none of the targets any more, or as unused; return them as last seen."""
    seen = list(draining)
    _show(progress, seen, targets.left)
    for _elapsed in clock(options.wait_timeout, INTERVAL):
        if waiting := [place for place in seen if not targets.left(place)]:
            seen = _look_again(options, clients, seen, waiting)
            _show(progress, seen, targets.left)
        if all(map(targets.left, seen)):
            break
    for place in seen:
        if not targets.left(place):
            _fail(failures, place, f"not drained after {options.wait_timeout} s: {place.words()}")
    return seen


def _wait_floor(options: TargetOptions, draining: t.Sequence[Placement], started: float, progress: _progress.Wait) -> None:
    """Network load balancers send new connections for a while after a target is gone from the API; wait that out where there is a VM to get them."""
    there = {place.node.name for place in draining if place.node.exists}
    if there:
        for name in there:
            progress.at(name, "waiting", f"up to {options.floor} s for late connections")
        time.sleep(max(0.0, options.floor - (time.monotonic() - started)))
        for name in there:
            progress.arrived(name)
