# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Node objects: which one is which machine, and the states that k8s_node brings them to.

A name alone proves nothing, since names are used again: a Node is the wanted machine when its providerID or its internal
address says so, and by name only while neither side has anything better.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import typing as t

from .. import _progress
from .._errors import InputError
from .._outcome import Outcome
from .._plan import Step
from .._wait import Clock, ticks
from . import api as calls
from .client import Api, KubernetesError

Node = dict[str, t.Any]

INTERVAL = 2.0
# Calls about one Node each are made side by side, so many at a time.
CONCURRENCY = 8


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A node as the user names it. address, provider_id, hostname and uid may be empty: not known. new: its VM does not exist yet."""

    name: str
    address: str = ""
    provider_id: str = ""
    new: bool = False
    hostname: str = ""
    uid: str = ""


@dataclasses.dataclass(frozen=True)
class Match:
    """What the cluster has for a wanted node: its Nodes (best first), and a Node of its name that is another machine."""

    wanted: Wanted
    found: list[Node]
    foreign: Node | None = None


@dataclasses.dataclass(frozen=True)
class NodeOptions:
    """What k8s_node is asked to do. state: ready, cordoned, uncordoned or absent; seconds for the wait."""

    nodes: list[Wanted]
    state: str
    wait_timeout: float


def wanted_nodes(entries: t.Sequence[t.Mapping[str, t.Any]]) -> list[Wanted]:
    """The nodes option, checked: no empty name and no name twice."""
    names = [str(entry.get("name") or "").strip() for entry in entries]
    if "" in names:
        raise InputError(f"nodes[{names.index('')}] has an empty name.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"nodes names {', '.join(twice)} more than once.")
    return [_wanted(entry) for entry in entries]


def _wanted(entry: t.Mapping[str, t.Any]) -> Wanted:
    return Wanted(
        name=str(entry["name"]).strip(),
        address=str(entry.get("address") or ""),
        provider_id=str(entry.get("provider_id") or ""),
        new=bool(entry.get("new")),
        hostname=str(entry.get("hostname") or ""),
        uid=str(entry.get("uid") or ""),
    )


def internal_addresses(node: Node) -> list[str]:
    """The node's InternalIP addresses."""
    return [a["address"] for a in node.get("status", {}).get("addresses") or [] if a.get("type") == "InternalIP"]


def provider_id(node: Node) -> str:
    """spec.providerID, empty when no cloud controller has set it."""
    return str(node.get("spec", {}).get("providerID") or "")


def is_same_machine(wanted: Wanted, node: Node) -> bool | None:
    """Whether node runs on the wanted VM; None when there is nothing to compare."""
    theirs = provider_id(node)
    if wanted.provider_id and theirs:
        return _last_part(wanted.provider_id) == _last_part(theirs)
    addresses = internal_addresses(node)
    if wanted.address and addresses:
        return wanted.address in addresses
    return None


def is_named(wanted: Wanted, node: Node) -> bool:
    """Whether node carries the wanted name: as its name, its hostname, or the first label of either."""
    return any(name in (wanted.name, wanted.hostname) or name.startswith(f"{wanted.name}.") for name in _names(node))


def _names(node: Node) -> set[str]:
    """What a Node is called: its name and its hostnames."""
    status_names = [a["address"] for a in node.get("status", {}).get("addresses") or [] if a.get("type") == "Hostname"]
    label = (node["metadata"].get("labels") or {}).get("kubernetes.io/hostname", "")
    return {node["metadata"]["name"], label, *status_names} - {""}


def match(wanted: Wanted, nodes: t.Sequence[Node]) -> Match:
    """Find a wanted node among all nodes."""
    named = [node for node in nodes if is_named(wanted, node)]
    if wanted.uid:
        return Match(wanted, [node for node in named if node["metadata"]["uid"] == wanted.uid])
    if wanted.new:
        return Match(wanted, [], named[0] if named else None)
    same = [node for node in nodes if is_same_machine(wanted, node)]
    if not same:
        same = [node for node in named if is_same_machine(wanted, node) is None]
    same.sort(key=lambda node: (not is_ready(node), not is_named(wanted, node), node["metadata"]["name"]))
    foreign = [node for node in named if is_same_machine(wanted, node) is False]
    return Match(wanted, same, foreign[0] if foreign and not same else None)


def match_all(wanted: t.Sequence[Wanted], nodes: t.Sequence[Node]) -> list[Match]:
    """match() for each, where only those Nodes are looked at that share a word with it: hundreds of each are looked at in one go."""
    places: dict[str, list[int]] = collections.defaultdict(list)
    for place, node in enumerate(nodes):
        for word in _words(node):
            places[word].append(place)
    shared = ({place for word in (one.name, one.hostname, one.address, _last_part(one.provider_id)) for place in places.get(word, ())} for one in wanted)
    return [match(one, [nodes[place] for place in sorted(found)]) for one, found in zip(wanted, shared, strict=True)]


def _last_part(identity: str) -> str:
    """The instance ID of a providerID."""
    return identity.rpartition("/")[2]


def _words(node: Node) -> set[str]:
    """All that is_named and is_same_machine may recognise it by: its names, whole and before each dot, addresses, and instance ID."""
    names = _names(node)
    starts = {name[:end] for name in names for end, sign in enumerate(name) if sign == "."}
    return {*names, *starts, *internal_addresses(node), _last_part(provider_id(node))} - {""}


def foreign_text(found: Match) -> str:
    """Why the Node of our name is not ours, and what to do."""
    node = found.foreign or {"metadata": {"name": ""}}
    name = node["metadata"]["name"]
    theirs = ", ".join([*internal_addresses(node), provider_id(node)]).strip(", ") or "no address"
    ours = ", ".join(filter(None, [found.wanted.address, found.wanted.provider_id])) or "not launched yet"
    return (
        f"the cluster has a Node {name} of another machine ({theirs}; this one: {ours}). "
        f"If that machine is gone, remove its Node with `kubectl delete node {name}`; otherwise choose another name"
    )


def condition(node: Node, kind: str = "Ready") -> dict[str, t.Any]:
    """A condition of the node, empty when it has none of that kind."""
    for entry in node.get("status", {}).get("conditions") or []:
        if entry.get("type") == kind:
            return t.cast("dict[str, t.Any]", entry)
    return {}


def is_ready(node: Node) -> bool:
    """Ready and not being deleted."""
    return condition(node).get("status") == "True" and not node["metadata"].get("deletionTimestamp")


def is_unreachable(node: Node) -> bool:
    """The control plane has lost the node's kubelet."""
    return condition(node).get("status") == "Unknown"


def ready_text(node: Node) -> str:
    """The Ready condition in words."""
    state = condition(node)
    if not state:
        return "no Ready condition yet"
    return f"Ready={state.get('status')} {state.get('reason', '')}: {state.get('message', '')}".strip(": ")


def summary(name: str, node: Node) -> dict[str, t.Any]:
    """A Node as the module returns it."""
    meta, spec = node["metadata"], node.get("spec", {})
    info = node.get("status", {}).get("nodeInfo") or {}
    return {
        "name": name,
        "node_name": meta["name"],
        "uid": meta["uid"],
        "ready": is_ready(node),
        "condition": ready_text(node),
        "address": next(iter(internal_addresses(node)), ""),
        "provider_id": provider_id(node),
        "labels": meta.get("labels") or {},
        "taints": spec.get("taints") or [],
        "unschedulable": bool(spec.get("unschedulable")),
        "created": meta.get("creationTimestamp"),
        "kubelet_version": info.get("kubeletVersion", ""),
        "os_image": info.get("osImage", ""),
    }


def missing(name: str) -> dict[str, t.Any]:
    """A node that has no Node object, in the shape of summary."""
    empty = dict.fromkeys(("node_name", "uid", "condition", "address", "provider_id", "created", "kubelet_version", "os_image"), "")
    return {"name": name, **empty, "ready": False, "labels": {}, "taints": [], "unschedulable": False}


def work(options: NodeOptions, api: Api, check_mode: bool, clock: Clock = ticks) -> Outcome:
    """Bring the Nodes to the state; a node that fails does not stop the others."""
    outcome = Outcome()
    if options.state == "ready" and options.nodes and not check_mode:
        nodes, matches = wait_ready(api, options, outcome, clock)
    else:
        nodes = calls.list_nodes(api)
        matches = match_all(options.nodes, nodes)
        refuse_foreign(matches, outcome)
    if options.state != "ready":
        outcome.steps = plan(options.state, [m for m in matches if m.wanted.name not in outcome.failures])
    if outcome.steps and not check_mode:
        apply(api, options, matches, outcome)
        nodes = calls.list_nodes(api)
        matches = match_all(options.nodes, nodes)
    outcome.nodes = [summary(m.wanted.name, m.found[0]) if m.found else missing(m.wanted.name) for m in matches]
    outcome.values = {"all_nodes": [summary(node["metadata"]["name"], node) for node in nodes], "ca_sha256": api.access.ca_sha256}
    if not options.nodes:
        outcome.values["cluster_id"] = calls.cluster_id(api)
    return outcome


def refuse_foreign(matches: t.Sequence[Match], outcome: Outcome) -> None:
    """Fail the nodes whose name another machine has."""
    for found in matches:
        if found.foreign is not None:
            outcome.failures.setdefault(found.wanted.name, foreign_text(found))


def plan(state: str, matches: t.Sequence[Match]) -> list[Step]:
    """The changes to Node objects for a state (pure)."""
    steps = []
    for found in matches:
        for node in found.found:
            target = f"node/{node['metadata']['name']}"
            unschedulable = bool(node.get("spec", {}).get("unschedulable"))
            if state == "absent":
                steps.append(Step("delete", found.wanted.name, target, before={"uid": node["metadata"]["uid"], "unschedulable": unschedulable}))
            elif state == "cordoned" and not unschedulable:
                steps.append(Step("cordon", found.wanted.name, target, before={"unschedulable": False}, after={"unschedulable": True}))
            elif state == "uncordoned" and unschedulable:
                steps.append(Step("uncordon", found.wanted.name, target, before={"unschedulable": True}, after={"unschedulable": False}))
    return steps


def apply(api: Api, options: NodeOptions, matches: t.Sequence[Match], outcome: Outcome) -> None:
    """Carry out the plan; what fails is noted for its node."""
    planned = {(step.node, step.target) for step in outcome.steps}
    pairs = [(found.wanted, node) for found in matches for node in found.found if (found.wanted.name, f"node/{node['metadata']['name']}") in planned]
    with concurrent.futures.ThreadPoolExecutor(CONCURRENCY) as pool:
        troubles = list(pool.map(lambda pair: _change(api, options.state, *pair), pairs))
    outcome.failures.update({wanted.name: trouble for (wanted, _node), trouble in zip(pairs, troubles, strict=True) if trouble})


def _change(api: Api, state: str, wanted: Wanted, node: Node) -> str:
    """Delete, cordon or uncordon one Node; why that failed, "" when it did not."""
    try:
        if state == "absent":
            delete(api, wanted, node)
        else:
            (calls.cordon if state == "cordoned" else calls.uncordon)(api, node["metadata"]["name"])
    except KubernetesError as error:
        return "" if error.status == 404 else str(error)
    return ""


def delete(api: Api, wanted: Wanted, node: Node) -> None:
    """Delete one Node by UID. If its kubelet has registered it anew meanwhile, that one, provided it is still the same machine."""
    try:
        calls.delete_node(api, node["metadata"]["name"], node["metadata"]["uid"])
    except KubernetesError as error:
        if error.status != 409:
            raise
        for again in match(wanted, calls.list_nodes(api)).found:
            calls.delete_node(api, again["metadata"]["name"], again["metadata"]["uid"])


def is_settled(found: Match, outcome: Outcome, progress: _progress.Wait) -> bool:
    """Whether a node needs no more waiting, having failed or being Ready."""
    name = found.wanted.name
    if name in outcome.failures:
        progress.failed(name)
    elif found.found and is_ready(found.found[0]):
        progress.arrived(name)
    else:
        progress.at(name, "NotReady" if found.found else "unregistered")
        return False
    return True


def wait_ready(api: Api, options: NodeOptions, outcome: Outcome, clock: Clock) -> tuple[list[Node], list[Match]]:
    """Wait for all nodes at once, one list per tick. An API that does not answer meanwhile is only the last state seen."""
    nodes: list[Node] = []
    matches = [Match(wanted, []) for wanted in options.nodes]
    trouble = ""
    with _progress.wait("Ready", [wanted.name for wanted in options.nodes]) as progress:
        for _elapsed in clock(options.wait_timeout, INTERVAL):
            try:
                nodes, trouble = calls.list_nodes(api, attempts=1), ""
            except KubernetesError as error:
                if not error.transient:
                    raise
                trouble = str(error)
                continue
            matches = match_all(options.nodes, nodes)
            refuse_foreign(matches, outcome)
            settled = [is_settled(found, outcome, progress) for found in matches]  # all of them, since each is to be shown
            if all(settled):
                break
    for found in matches:
        if not (found.found and is_ready(found.found[0])):
            seen = trouble or (ready_text(found.found[0]) if found.found else "no Node object of this machine")
            outcome.failures.setdefault(found.wanted.name, f"not Ready after {options.wait_timeout:g} s; last seen: {seen}")
    return nodes, matches
