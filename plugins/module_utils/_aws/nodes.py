# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The work of ec2_node: find, plan, then launch, terminate or mark as finished."""

from __future__ import annotations

import concurrent.futures
import typing as t

from .. import _progress
from .._errors import ManagerError
from .._outcome import Outcome
from .._plan import Step
from .._wait import Clock
from . import ec2, matching, waits
from .classify import instance
from .clients import Clients
from .discovery import LIVING
from .errors import Ec2Error
from .launch import Launcher, launch_request, ordered_subnets
from .matching import Match
from .names import CLUSTER_TAG, NAME_TAG, UNFINISHED_TAG, token_prefix
from .options import NodeOptions, Offer, check_problems
from .preflight import Findings, dry_run_problem, image_result, preflight, read_image

Item = dict[str, t.Any]
RESULT_KEYS = (
    "instance_id",
    "private_ip",
    "public_ip",
    "az",
    "subnet_id",
    "state",
    "image_id",
    "instance_type",
    "launch_time",
    "generation",
    "unfinished",
)
# What a step is applied to while it has no id yet; the same in check mode and in the run, so that plans can be compared.
TARGET = "instance"


def node_work(options: NodeOptions, clients: Clients, check_mode: bool, clock: Clock = waits.growing) -> Outcome:
    """Do what ec2_node's state says."""
    if not options.nodes:
        return Outcome()
    works = {"present": _present, "absent": _absent, "stopped": _stopped, "finished": _finished, "tagged": _tagged}
    return works[options.state](options, clients, check_mode, clock)


def find(options: NodeOptions, clients: Clients) -> list[Match]:
    """Look for all nodes at once: by Name tag; by launch token where no id says which is meant; by id where one is given that is not among those."""
    names = [node.name for node in options.nodes]
    tokens = [f"{token_prefix(options.cluster, node.name)}*" for node in options.nodes if not node.instance_id]
    items = {item["InstanceId"]: item for item in ec2.describe_instances(clients.ec2, f"tag:{NAME_TAG}", names, LIVING)}
    if tokens:
        items.update({item["InstanceId"]: item for item in ec2.describe_instances(clients.ec2, "client-token", tokens)})
    ids = [node.instance_id for node in options.nodes if node.instance_id and node.instance_id not in items]
    if ids:
        items.update({item["InstanceId"]: item for item in ec2.describe_instances(clients.ec2, "instance-id", ids, LIVING)})
    known = [instance(item) for item in items.values()]
    return [matching.match(options.cluster, node, known, names) for node in options.nodes]


def node_result(name: str, item: Item | None, **other: t.Any) -> Item:
    """A node as ec2_node returns it; what is not known is null."""
    known = {key: item[key] for key in RESULT_KEYS} if item else dict.fromkeys(RESULT_KEYS)
    return {"name": name, **known, **other}


# --- present


def _present(options: NodeOptions, clients: Clients, check_mode: bool, clock: Clock) -> Outcome:
    found = find(options, clients)
    problems = [text for match in found if (text := matching.wanted_problem(match, options.role))]
    missing = [match for match in found if match.instance is None]
    outcome = Outcome(steps=_present_steps(options, found), warnings=_kept(options, found))
    if options.offer:
        check_problems(problems + (options.problems() if missing else []))
    offer = options.offer or _offer(options, clients, missing, check_mode, problems, outcome)
    if check_mode:
        outcome.nodes = [_predicted(match) for match in found]
        return outcome
    _bring_up(options, clients, clock, found, offer, outcome)
    return outcome


def _offer(options: NodeOptions, clients: Clients, missing: list[Match], check_mode: bool, problems: list[str], outcome: Outcome) -> Offer:
    """Check what the missing nodes would be launched from, and note in the outcome what was found out. Raises InputError with all problems."""
    image = read_image(clients, options.image_id)
    findings = preflight(options, clients, image, len(missing)) if missing else Findings(image)
    check_problems(problems + findings.problems)
    offer = Offer((image or {}).get("RootDeviceName", ""), tuple(findings.subnets))
    # Without groups the dry run would ask about the VPC's default group.
    if check_mode and missing and options.security_group_ids:
        request = launch_request(options, missing[0].node.name, offer.subnet_ids[0], missing[0].generation, offer.root_device_name)
        check_problems([text for text in [dry_run_problem(clients, request)] if text])
    outcome.warnings = findings.warnings + outcome.warnings
    outcome.values = {
        "image": image_result(image, options.image_id),
        "public_addresses": sum(_gets_public_address(options, match, findings) for match in missing),
        **({"offer": {"root_device_name": offer.root_device_name, "subnet_id": list(offer.subnet_ids)}} if missing else {}),
    }
    return offer


def _gets_public_address(options: NodeOptions, match: Match, findings: Findings) -> bool:
    """Whether a launch in the node's first subnet gives it a public address, as the options or else the subnet say."""
    if options.associate_public_ip is not None:
        return options.associate_public_ip
    return ordered_subnets(match.node.name, findings.subnets)[0] in findings.public


def _kept(options: NodeOptions, found: list[Match]) -> list[str]:
    """Existing instances are never replaced; say where one differs from what a launch would make."""
    pairs = [(match, matching.differences(match.instance, options.image_id, options.instance_type)) for match in found if match.instance]
    return [f"{match.node.name}: the existing instance is kept although it differs: {text}" for match, text in pairs if text]


def _lost_tags(options: NodeOptions, match: Match) -> dict[str, str]:
    """Tags by which the node is found and which its instance has lost."""
    wanted = {CLUSTER_TAG: options.cluster, NAME_TAG: match.node.name}
    return {key: value for key, value in wanted.items() if match.instance and match.instance["tags"].get(key) != value}


def _present_steps(options: NodeOptions, found: list[Match]) -> list[Step]:
    steps = []
    for match in found:
        lost = _lost_tags(options, match)
        if match.instance is None:
            after = {"image_id": options.image_id, "instance_type": options.instance_type, "role": options.role}
            after["subnet_id"] = ordered_subnets(match.node.name, options.subnet_ids)[0]
            steps.append(Step("launch", match.node.name, TARGET, after=after))
        elif lost:
            before = {key: match.instance["tags"].get(key) for key in lost}
            steps.append(Step("tag", match.node.name, match.instance["instance_id"], before=before, after=dict(lost)))
    return steps


def _predicted(match: Match) -> Item:
    if match.instance:
        return node_result(match.node.name, match.instance)
    return node_result(match.node.name, None, generation=match.generation, unfinished=True)


def _bring_up(options: NodeOptions, clients: Clients, clock: Clock, found: list[Match], offer: Offer, outcome: Outcome) -> None:
    """Restore tags, launch what is missing, wait for all."""
    for match in found:
        lost = _lost_tags(options, match)
        if match.instance and lost:
            ec2.create_tags(clients.ec2, [match.instance["instance_id"]], lost)
    launcher = Launcher(options, clients, offer, clock)
    launched = _launch_all(options, clients, clock, found, launcher, outcome.failures)
    known = {match.node.name: match.instance for match in found if match.instance} | launched
    # Launched ones are looked for even if they run already: what comes next must find them where EC2 lists instances.
    waiting = {name: item["instance_id"] for name, item in known.items() if name in launched or item["state"] != "running" or not item["private_ip"]}
    seen, failures = waits.wait_running(clients.ec2, waiting, options.wait_timeout, clock)
    outcome.failures.update(failures)
    known.update(seen)
    outcome.failures.update(waits.impaired(clients.ec2, {name: item["instance_id"] for name, item in known.items() if name not in failures}))
    outcome.warnings += launcher.warnings
    outcome.nodes = [node_result(match.node.name, known.get(match.node.name)) for match in found]


def _launch_all(options: NodeOptions, clients: Clients, clock: Clock, found: list[Match], launcher: Launcher, failures: dict[str, str]) -> dict[str, Item]:
    """Launch the missing nodes: first those whose name is free, then those whose old instance had still to go."""
    missing = [match for match in found if match.instance is None]
    launched = _launch([match for match in missing if not match.dying], options, launcher, failures)
    late = [match for match in missing if match.dying]
    dying = {f"{match.node.name}/{item['instance_id']}": item["instance_id"] for match in late for item in match.dying}
    stuck = waits.wait_terminated(clients.ec2, dying, options.wait_timeout, clock)
    failures.update({key.partition("/")[0]: f"not launched: the old {text}" for key, text in stuck.items()})
    launched.update(_launch([match for match in late if match.node.name not in failures], options, launcher, failures))
    return launched


def _launch(missing: list[Match], options: NodeOptions, launcher: Launcher, failures: dict[str, str]) -> dict[str, Item]:
    """Launch nodes side by side; failures are noted by name, the others go on."""
    launched: dict[str, Item] = {}
    if not missing:
        return launched
    with _progress.wait("launched", [match.node.name for match in missing]) as progress, concurrent.futures.ThreadPoolExecutor(options.concurrency) as pool:
        running = {match.node.name: pool.submit(_told, progress, launcher, match) for match in missing}
    for name, future in running.items():
        try:
            launched[name] = instance(future.result())
        except ManagerError as error:
            failures[name] = str(error)
    return launched


def _told(progress: _progress.Wait, launcher: Launcher, match: Match) -> Item:
    """Launch a node, and let it be known."""
    progress.at(match.node.name, "launching")
    try:
        item = launcher.launch(match.node.name, match.generation)
    except ManagerError:
        progress.failed(match.node.name)
        raise
    progress.arrived(match.node.name)
    return item


# --- absent


def _absent(options: NodeOptions, clients: Clients, check_mode: bool, clock: Clock) -> Outcome:
    found = find(options, clients)
    check_problems([text for match in found if (text := matching.doomed_problem(match))])
    doomed = {match.node.name: match.instance for match in found if match.instance}
    _refuse_protected(options, clients, doomed)
    steps = [
        Step("terminate", name, item["instance_id"], before={key: item[key] for key in ("state", "private_ip", "image_id", "instance_type")})
        for name, item in doomed.items()
    ]
    outcome = Outcome(steps=steps, nodes=[_gone(match, "terminated") for match in found])
    if check_mode:
        return outcome
    _terminate(clients, [item["instance_id"] for item in doomed.values()])
    waiting = {name: item["instance_id"] for name, item in _last(found).items()}
    outcome.failures = waits.wait_terminated(clients.ec2, waiting, options.wait_timeout, clock)
    outcome.nodes = [_gone(match, "shutting-down" if match.node.name in outcome.failures else "terminated") for match in found]
    return outcome


def _last(found: list[Match]) -> dict[str, Item]:
    """What is left of each node by name: its living instance, else the one that is still shutting down."""
    return {match.node.name: item for match in found if (item := match.instance or next(iter(match.dying), None))}


def _gone(match: Match, state: str) -> Item:
    last = _last([match]).get(match.node.name)
    return node_result(match.node.name, last, state=state if last else "absent")


def _refuse_protected(options: NodeOptions, clients: Clients, doomed: dict[str, Item]) -> None:
    """Fail the whole call when one instance is protected: half a deletion is worse than none."""
    ids = [item["instance_id"] for item in doomed.values()]
    with concurrent.futures.ThreadPoolExecutor(options.concurrency) as pool:
        protected = list(pool.map(lambda instance_id: ec2.termination_protected(clients.ec2, instance_id), ids))
    blocked = [(name, instance_id) for name, instance_id, is_protected in zip(doomed, ids, protected, strict=True) if is_protected]
    if blocked:
        names = ", ".join(f"{name} ({instance_id})" for name, instance_id in blocked)
        cure = f"aws ec2 modify-instance-attribute --no-disable-api-termination --instance-id {blocked[0][1]}"
        raise ManagerError(f"termination protection is on for {names}; nothing was terminated. To lift it: {cure}", protected=[name for name, _id in blocked])


def _terminate(clients: Clients, ids: list[str]) -> None:
    """Terminate in one call; one that vanished fails the whole call, so then each by itself."""
    if not ids:
        return
    try:
        ec2.terminate_instances(clients.ec2, ids)
        return
    except Ec2Error as error:
        if error.code != "InvalidInstanceID.NotFound":
            raise
    for instance_id in ids:
        ec2.terminate_if_there(clients.ec2, instance_id)


# --- stopped


def _stopped(options: NodeOptions, clients: Clients, check_mode: bool, clock: Clock) -> Outcome:
    found = find(options, clients)
    check_problems([text for match in found if (text := matching.doomed_problem(match))])
    running = {match.node.name: match.instance for match in found if match.instance and match.instance["state"] in ("pending", "running")}
    steps = [Step("stop", name, item["instance_id"], before={"state": item["state"]}, after={"state": "stopped"}) for name, item in running.items()]
    outcome = Outcome(steps=steps, nodes=[_gone(match, "stopped") for match in found])
    if check_mode:
        return outcome
    if running:
        ec2.stop_instances(clients.ec2, [item["instance_id"] for item in running.values()])
    waiting = {name: item["instance_id"] for name, item in _last(found).items() if item["state"] != "stopped"}
    outcome.failures = waits.wait_state(clients.ec2, waiting, ("stopped", "terminated"), options.wait_timeout, clock)
    outcome.nodes = [_gone(match, "stopping" if match.node.name in outcome.failures else "stopped") for match in found]
    return outcome


# --- finished


def _finished(options: NodeOptions, clients: Clients, check_mode: bool, clock: Clock) -> Outcome:
    found = find(options, clients)
    check_problems([text for match in found if (text := matching.doomed_problem(match))])
    outcome = Outcome(nodes=[node_result(match.node.name, match.instance, unfinished=False) for match in found])
    # In check mode a node that is not there yet is one that the run will have launched.
    marked = [match for match in found if (match.instance["unfinished"] if match.instance else check_mode)]
    outcome.steps = [Step("finish", match.node.name, TARGET, before={UNFINISHED_TAG: options.role}, after={}) for match in marked]
    if check_mode:
        return outcome
    outcome.failures = {match.node.name: "there is no instance to mark as finished" for match in found if not match.instance}
    ids = [match.instance["instance_id"] for match in marked if match.instance]
    if ids:
        ec2.delete_tag(clients.ec2, ids, UNFINISHED_TAG)
    return outcome


# --- tagged


def _tagged(options: NodeOptions, clients: Clients, check_mode: bool, _clock: Clock) -> Outcome:
    """Give instances the tags by which they are found. The id says which is meant, as without tags nothing else can."""
    check_problems([f"nodes: {node.name} has no instance_id" for node in options.nodes if not node.instance_id])
    items = ec2.describe_instances(clients.ec2, "instance-id", [node.instance_id for node in options.nodes], LIVING)
    known = {item["instance_id"]: item for item in map(instance, items)}
    outcome = Outcome(nodes=[node_result(node.name, known.get(node.instance_id)) for node in options.nodes])
    for node in options.nodes:
        problem = matching.untaggable(options.cluster, node, known.get(node.instance_id))
        if problem:
            outcome.failures[node.name] = problem
            continue
        lost = {key: value for key, value in {CLUSTER_TAG: options.cluster, NAME_TAG: node.name}.items() if not known[node.instance_id]["tags"].get(key)}
        if lost:
            outcome.steps.append(Step("tag", node.name, node.instance_id, before={}, after=lost))
    for step in [] if check_mode else outcome.steps:
        ec2.create_tags(clients.ec2, [step.target], step.after or {})
    return outcome
