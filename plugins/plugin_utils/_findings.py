# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""What of a cluster disagrees, as pure functions of one observation of it.

Two rules hold for every kind. What was not read is never called missing: a kind is looked for only where all that it needs was read. And what answers is
not dead: a Ready Node, a healthy target or member without a VM is told, but nothing is offered that would take it away.
"""

from __future__ import annotations

import collections
import dataclasses
import re
import typing as t

from ansible.errors import AnsibleFilterError

from . import _names

Row = t.Mapping[str, t.Any]
Finding = dict[str, t.Any]

# What is read, in the order in which it is said that it was not.
SYSTEMS = {
    "aws": "AWS",
    "details": "the status of the VMs, and VMs without the cluster's tag",
    "kubernetes": "Kubernetes",
    "etcd": "etcd",
    "dns": "DNS",
    "configs": "the nodes' machine configs",
}
# A target in these states is being taken out by somebody, or is out.
LEAVING = ("draining", "unhealthy.draining")
NOT_REGISTERED = "Target.NotRegistered"
# On VMs that create_node launched, as module_utils/_aws/names.py has it.
GENERATION_TAG = "k8s-cluster-manager/generation"


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of finding: what it is, what must have been read to say so, and what repairs it ("" where nothing does)."""

    meaning: str
    needs: tuple[str, ...]
    repair: str = ""
    destructive: bool = False


KINDS = {
    "missing_tag": Kind(
        "A Node or etcd member of this cluster, or a target of its load balancers, is a VM without the tag `Cluster`.",
        ("aws", "details"),
        "the VM gets the tag, if a Node or a member is on it",
    ),
    "foreign_vm": Kind("A Node, etcd member or target of this cluster is a VM that carries another cluster's tag.", ("aws", "details")),
    "duplicate_name": Kind("Several VMs of the cluster have one name.", ("aws",)),
    "unfinished_launch": Kind("A VM's creation was begun and not finished.", ("aws",), "`create_node` finishes it"),
    "impaired_instance": Kind("A VM fails EC2's status checks, or is stopped.", ("aws", "details")),
    "vm_without_node": Kind("A VM runs, and Kubernetes has no Node for it.", ("aws", "kubernetes")),
    "node_without_vm": Kind("A Node's VM is gone.", ("aws", "details", "kubernetes"), "the Node is deleted, unless it is Ready", destructive=True),
    "vm_in_no_load_balancer": Kind(
        "A VM runs and is in no target group of its role or, if `create_node` launched it, not in all of them.",
        ("aws",),
        "it is registered with the target groups of its role, if it has a Node that is not cordoned",
    ),
    "target_without_vm": Kind(
        "A target's VM is gone.", ("aws", "details"), "the target is deregistered everywhere, unless it is healthy somewhere", destructive=True
    ),
    "ghost_member": Kind("An etcd member's VM is gone.", ("aws", "details", "etcd"), "the member is removed by its ID, unless it is healthy", destructive=True),
    "record_without_node": Kind(
        "A DNS record with this cluster's mark leads to no VM of it.",
        ("aws", "details", "kubernetes", "dns"),
        "the record is deleted, if its node is gone altogether",
        destructive=True,
    ),
    "config_drift": Kind("A node's machine config is not the one that its inputs make.", ("aws", "configs")),
}


def findings(
    nodes: t.Iterable[Row], cluster: str, read: t.Collection[str], target_groups: t.Sequence[Row] = (), schedule_on_control_planes: bool = False
) -> list[Finding]:
    """All that disagrees in one observation, by kind and name; [] for a cluster that is as it should be.

    nodes: rows of an observation, see the filter cluster_nodes. read: those of SYSTEMS that were read. target_groups: as cluster_info returns them.
    Each finding has kind, node, subject, says, repair, destructive, and in object what a repair needs to know.
    """
    rows = [_Row(_as_read(row, read), cluster) for row in nodes]
    wanted = _groups_by_role(target_groups, schedule_on_control_planes)
    found = [*_duplicates(rows)]
    twins = {finding["node"] for finding in found}
    for row in rows:
        if row.is_gone:
            found += _of_what_is_left(row, rows)
        elif not row.is_ours:
            found += _of_a_stranger(row)
        elif row["name"] not in twins or not row["name"]:
            found += _of_a_vm(row, wanted)
    order = list(KINDS)
    able = [finding for finding in found if set(KINDS[finding["kind"]].needs) <= set(read)]
    return sorted(able, key=lambda finding: (order.index(finding["kind"]), _names.natural(finding["node"]), finding["subject"]))


def _as_read(row: Row, read: t.Collection[str]) -> Row:
    """The row without what a system told that does not count as read, such as the Kubernetes of another cluster."""
    return {**row, **({} if "kubernetes" in read else {"node": None}), **({} if "etcd" in read else {"member": None})}


class _Row:
    """A row of an observation, and what it means for this cluster."""

    def __init__(self, row: Row, cluster: str) -> None:
        self.row = row
        self.cluster = cluster

    def __getitem__(self, key: str) -> t.Any:
        return self.row[key]

    @property
    def name(self) -> str:
        """Its name; of a VM that has no Name tag the one that Kubernetes or etcd know."""
        told = ((self["node"] or {}).get("node_name"), (self["member"] or {}).get("hostname"))
        return str(self["name"] or next(filter(None, told), "").partition(".")[0])

    @property
    def is_gone(self) -> bool:
        """There is no VM."""
        return not self["instance_id"] or self["state"] == "terminated"

    @property
    def is_ours(self) -> bool:
        """The VM carries this cluster's tag."""
        return bool(self["cluster"] == self.cluster)

    @property
    def is_going(self) -> bool:
        """The VM will be gone in a moment."""
        return bool(self["state"] == "shutting-down")

    @property
    def is_at_work(self) -> bool:
        """The VM runs, and nobody is still making it."""
        return self["state"] == "running" and not self["unfinished"]

    @property
    def targets(self) -> list[Row]:
        """Its targets, but for those that somebody is taking out."""
        return [target for target in self["targets"] or () if target["state"] not in LEAVING and target["reason"] != NOT_REGISTERED]

    @property
    def serves(self) -> list[str]:
        """What it is in the cluster, in words."""
        parts = ["a Node"] if self["node"] else []
        parts += ["an etcd member"] if self["member"] else []
        groups = sorted({target["group"] for target in self.targets})
        return [*parts, *([f"a target of {', '.join(groups)}"] if groups else [])]

    @property
    def called(self) -> str:
        """Name and instance ID, as far as there are both."""
        return f"{self.name} ({self['instance_id']})" if self.name else str(self["instance_id"])

    def finding(self, kind: str, subject: str, says: str, repair: str = "", **facts: t.Any) -> Finding:
        """A finding about it; facts are what the module that repairs it takes of it."""
        return {
            "kind": kind,
            "node": self.name or subject,
            "role": self["role"],
            "subject": subject,
            "says": says,
            "repair": repair,
            "destructive": bool(repair) and KINDS[kind].destructive,
            "object": facts,
        }


def _groups_by_role(groups: t.Iterable[Row], schedule_on_control_planes: bool) -> dict[str, list[list[Row]]]:
    """For each role its target groups, one list for each kind that it must be in; the rules are those of role create_node."""
    kinds: dict[str, list[Row]] = collections.defaultdict(list)
    for group in groups:
        if not group["skipped"]:
            kinds[group["kind"]].append(group)
    roles = {"worker": ["ingress"], "controlplane": ["apiserver", *(["ingress"] if schedule_on_control_planes else [])]}
    return {role: [kinds[kind] for kind in wanted if kinds[kind]] for role, wanted in roles.items()}


def _duplicates(rows: t.Iterable[_Row]) -> t.Iterator[Finding]:
    """VMs of one name, but for one that is going while its successor comes."""
    named: dict[str, list[_Row]] = collections.defaultdict(list)
    for row in rows:
        if row.is_ours and not row.is_gone and not row.is_going and row["name"]:
            named[row["name"]].append(row)
    for name, same in named.items():
        ids = sorted({row["instance_id"] for row in same})
        if len(ids) > 1:
            says = f"{len(ids)} VMs are called {name}: {', '.join(ids)}. Delete the wrong one with delete_node.yml, nodes={name} and its instance_id."
            yield same[0].finding("duplicate_name", ", ".join(ids), says, instance_ids=ids)


def _of_a_vm(row: _Row, wanted: t.Mapping[str, t.Sequence[t.Sequence[Row]]]) -> t.Iterator[Finding]:
    """What is wrong with a VM of the cluster that is the only one of its name."""
    if row.is_going:
        return
    if row["unfinished"]:
        says = f"The creation of {row.called} was begun and not finished. If no run is at it now, create_node.yml with nodes={row.name} finishes it."
        yield row.finding("unfinished_launch", row["instance_id"], says, "Finish it as create_node does.", name=row.name, instance_id=row["instance_id"])
    yield from _impaired(row)
    if row.is_at_work:
        yield from _without_node(row)
        yield from _in_no_load_balancer(row, wanted.get(row["role"], ()))
        yield from _stale_records(row)
        yield from _drift(row)


def _impaired(row: _Row) -> t.Iterator[Finding]:
    cure = f"replace_node.yml with nodes={row.name} makes it anew"
    if row["state"] == "stopped":
        says = f"{row.called} is stopped. Start it; or {cure}."
    elif row["status"] == "impaired":
        says = f"{row.called} fails EC2's status checks. If that does not pass, {cure}; should it not answer, with delete_node.yml and unreachable=force first."
    else:
        return
    yield row.finding("impaired_instance", row["instance_id"], says, instance_id=row["instance_id"])


def _without_node(row: _Row) -> t.Iterator[Finding]:
    if not row["node"]:
        says = (
            f"{row.called} runs, and Kubernetes has no Node for it. A reboot lets its kubelet register again; replace_node.yml with nodes={row.name} "
            "makes it anew, delete_node.yml takes it away."
        )
        yield row.finding("vm_without_node", row["instance_id"], says, instance_id=row["instance_id"])


def _in_no_load_balancer(row: _Row, kinds: t.Sequence[t.Sequence[Row]]) -> t.Iterator[Finding]:
    """Whatever the port and health; and a target that drains is somebody's doing. Nodes of other tools are where those have put them."""
    here = {target["arn"] for target in row["targets"] or ()}
    strict = GENERATION_TAG in row["tags"]
    missing = [group["name"] for groups in kinds if strict or not here & {one["arn"] for one in groups} for group in groups if group["arn"] not in here]
    if not missing:
        return
    says = f"{row.called} is not in the target groups {', '.join(missing)}, so it gets no traffic from there."
    # A VM that is being deleted is cordoned first, and loses its Node before it ends.
    cordoned = bool(row["node"] and row["node"]["unschedulable"])
    if cordoned:
        says += f" Its Node is cordoned, as a deletion leaves it that was not finished: delete_node.yml with nodes={row.name} finishes that, or uncordon it."
    else:
        says += f" create_node.yml with nodes={row.name} registers it."
    repair = "" if cordoned or not row["node"] else f"Register it with the {row['role']} target groups."
    yield row.finding("vm_in_no_load_balancer", row["instance_id"], says, repair, name=row.name, instance_id=row["instance_id"], address=row["address"] or "")


def _stale_records(row: _Row) -> t.Iterator[Finding]:
    """Records of a node that is there, which lead elsewhere: the node's next creation corrects them, so none is deleted."""
    for record in row["records"] or ():
        if record["ours"] and record["type"] == "A" and record["content"] not in (row["address"], row["public_ip"]):
            says = f"The record {_record(record)} is no address of {row.called}, which has {row['address']}. create_node.yml with nodes={row.name} corrects it."
            yield row.finding("record_without_node", _record(record), says, record_id=record["id"])


def _drift(row: _Row) -> t.Iterator[Finding]:
    if row["talos"] and row["talos"]["drift"]:
        says = (
            f"The machine config of {row.called} is not the one that its inputs make. apply_changes.yml with nodes={row.name} applies that, "
            "replace_node.yml makes the node anew."
        )
        yield row.finding("config_drift", row["instance_id"], says, instance_id=row["instance_id"])


def _of_a_stranger(row: _Row) -> t.Iterator[Finding]:
    """A VM that something of the cluster is on, although it carries no tag of it. Another cluster's is never touched."""
    if not row.serves or row.is_going:
        return
    serves = " and ".join(row.serves)
    if row["cluster"]:
        says = f"{row.called} is {serves} of {row.cluster} and carries the tag Cluster={row['cluster']}. Take it out of the one or the other by hand."
        yield row.finding("foreign_vm", row["instance_id"], says, instance_id=row["instance_id"])
        return
    known = bool(row.name and (row["node"] or row["member"]))
    says = f"{row.called} is {serves} of {row.cluster} and has no tag Cluster, so no run finds it. "
    says += f"Tag it with Cluster={row.cluster}" + ("." if known else " if it is a node of it; else deregister it.")
    repair = f"Tag it with Cluster={row.cluster}." if known else ""
    yield row.finding("missing_tag", row["instance_id"], says, repair, name=row.name, instance_id=row["instance_id"])


def _of_what_is_left(row: _Row, rows: t.Sequence[_Row]) -> t.Iterator[Finding]:
    """Node, targets, member and records of a node that has no VM."""
    if row["node"]:
        yield _node_without_vm(row, rows)
    yield from _targets_without_vm(row)
    if row["member"]:
        yield _ghost(row)
    for record in row["records"] or ():
        if record["ours"]:
            says = f"The record {_record(record)} is of node {row['name']}, which has no VM. Delete it."
            facts = {"id": record["id"], "node": record["node"], "name": record["name"], "type": record["type"], "content": record["content"]}
            yield row.finding("record_without_node", _record(record), says, "Delete the record.", **facts)


def _node_without_vm(row: _Row, rows: t.Sequence[_Row]) -> Finding:
    node = row["node"]
    says = f"The Node {node['node_name']} has no VM" + (f" ({node['provider_id']}). " if node["provider_id"] else ". ")
    facts = {"name": node["node_name"], "uid": node["uid"]}
    elsewhere = _elsewhere(node["provider_id"], rows)
    if node["ready"]:
        return row.finding("node_without_vm", node["node_name"], f"{says}It is Ready, so its machine runs somewhere: find it first.", **facts)
    if elsewhere:
        return row.finding("node_without_vm", node["node_name"], f"{says}It would be in {elsewhere}, where nobody looked.", **facts)
    return row.finding("node_without_vm", node["node_name"], f"{says}Delete the Node.", "Delete the Node, by its UID.", **facts)


def _elsewhere(provider_id: str, rows: t.Sequence[_Row]) -> str:
    """Where a Node's VM is by its provider ID, if that is where none of the cluster's VMs is; "" when there is nothing to doubt."""
    cloud, _colon, place = provider_id.partition("://")
    if provider_id and cloud != "aws":
        return provider_id
    zone = place.strip("/").partition("/")[0]
    if not zone:
        return ""
    regions = {str(row["az"])[:-1] for row in rows if row.is_ours and not row.is_gone and row["az"]}
    return "" if not regions or zone[:-1] in regions else zone


def _targets_without_vm(row: _Row) -> t.Iterator[Finding]:
    for identity in dict.fromkeys(target["id"] for target in row.targets):
        same = [target for target in row.targets if target["id"] == identity]
        says = f"The target {identity} of {', '.join(dict.fromkeys(target['group'] for target in same))} has no VM. "
        healthy = any(target["state"] == "healthy" for target in same)
        says += "It is healthy, so something answers there: find it first." if healthy else "Deregister it."
        # What takes it out goes by the names of nodes, which have no dots.
        facts = {
            "name": re.sub(r"\W+", "-", f"target-{identity}"),
            "instance_exists": False,
            ("instance_id" if identity.startswith("i-") else "address"): identity,
        }
        yield row.finding("target_without_vm", identity, says, "" if healthy else "Deregister it from all target groups.", **facts)


def _ghost(row: _Row) -> Finding:
    member = row["member"]
    name = f" ({member['hostname']})" if member["hostname"] else ""
    says = f"The etcd member {member['id']}{name} has no VM, and counts for the quorum. "
    facts = {"name": member["id"], "member_id": member["id"]}
    if member["healthy"]:
        return row.finding("ghost_member", member["id"], f"{says}It is healthy, so its machine runs somewhere: find it first.", **facts)
    return row.finding("ghost_member", member["id"], f"{says}Remove it by its ID.", "Remove it by its ID, if the quorum allows.", **facts)


def _record(record: Row) -> str:
    return f"{record['type']} {record['name']} → {record['content']}"


def not_looked_for(read: t.Collection[str]) -> list[str]:
    """What was not read, each with the kinds that were not looked for because of it."""
    lost = {words: [name for name, kind in KINDS.items() if system in kind.needs] for system, words in SYSTEMS.items() if system not in read}
    return [f"Not read: {words}. So nothing is said of: {', '.join(kinds)}." for words, kinds in lost.items()]


def unknown_kinds(fix: t.Iterable[str]) -> list[str]:
    """Words of fix that are no kind, or none that can be repaired."""
    return [word for word in fix if word not in KINDS or not KINDS[word].repair]


def repairs(found: t.Sequence[Finding], fix: t.Collection[str], again: t.Sequence[Finding] | None = None) -> list[Finding]:
    """The findings that a run repairs: of the kinds in fix, with a repair; destructive ones only if a second reading found them again.

    again: the second reading's findings, None when there was none yet (then all are told, as check mode does). What the second reading did not find is
    over. AnsibleFilterError for a word of fix that is no kind.
    """
    if wrong := unknown_kinds(fix):
        raise AnsibleFilterError(f"fix: {', '.join(wrong)} cannot be repaired; these can: {', '.join(name for name, kind in KINDS.items() if kind.repair)}")
    wanted = [finding for finding in found if finding["kind"] in fix and finding["repair"]]
    if again is None:
        return wanted
    seen = {_key(finding) for finding in again if finding["repair"]}
    return [finding for finding in wanted if _key(finding) in seen]


def _key(finding: Finding) -> tuple[str, str, str]:
    """What makes it the same finding in another reading; a Node that was made again has another UID."""
    return finding["kind"], finding["subject"], repr(sorted(finding["object"].items()))


def after_repairs(found: t.Sequence[Finding], chosen: t.Sequence[Finding], results: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """What became of the findings: those "repaired", those "left", and the "failures", each with name and msg.

    chosen: those that were to be repaired. results: by kind what the module returned; of a kind that has none nothing was done.
    """
    failures = {_key(finding): text for finding in chosen if (text := _failure(finding, results.get(finding["kind"])))}
    repaired = [finding for finding in chosen if _key(finding) not in failures]
    done = {_key(finding) for finding in repaired}
    return {
        "repaired": repaired,
        "left": [finding for finding in found if _key(finding) not in done],
        "failures": [{"kind": kind, "name": subject, "msg": text} for (kind, subject, _object), text in failures.items()],
    }


def _failure(finding: Finding, result: t.Mapping[str, t.Any] | None) -> str:
    """Why a repair failed, "" when it did not."""
    if not result or result.get("skipped"):
        return "not tried, since something before it failed"
    if result.get("failures"):
        name = finding["object"].get("node", finding["object"].get("name"))
        return next((str(failure["msg"]) for failure in result["failures"] if failure["name"] == name), "")
    return str(result.get("msg", ""))


def report(found: t.Sequence[Finding], read: t.Collection[str] = tuple(SYSTEMS), says: str = "says") -> list[str]:
    """The findings as lines for people, by kind; first what could not be looked for. says: what of each is told, or "repair"."""
    lines = not_looked_for(read)
    for kind in dict.fromkeys(finding["kind"] for finding in found):
        same = [finding for finding in found if finding["kind"] == kind]
        lines += [f"{kind}: {len(same)}", *(f"  {finding['node']}: {finding[says]}" for finding in same)]
    return lines
