# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""A cluster's own security groups: wanted rules against those there are, as pure functions.

Only groups that carry the cluster's tag and the collection's mark are ever changed or removed.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ansible_collections.amazon.aws.plugins.module_utils.tagging import ansible_dict_to_boto3_tag_list as pairs

from .._errors import InputError
from .._plan import Step
from .changes import Call, Change, Findings, Ref, drift
from .classify import tags_of
from .names import CLUSTER_TAG, LOAD_BALANCER_TAG, OWNED_TAG, check_cluster

Item = dict[str, t.Any]
SECURITY_GROUP = "security group"


@dataclasses.dataclass(frozen=True)
class Rule:
    """What may come in: a protocol, its ports (None = all) and one source, an IPv4 or IPv6 range, the ID of a group, or a Ref to one."""

    protocol: str
    first: int | None
    last: int | None
    source: str | Ref

    def permission(self) -> Item:
        """As EC2 takes it."""
        ports = {} if self.first is None else {"FromPort": self.first, "ToPort": self.last}
        if isinstance(self.source, Ref) or self.source.startswith("sg-"):
            return {"IpProtocol": self.protocol, **ports, "UserIdGroupPairs": [{"GroupId": self.source}]}
        kind = ("Ipv6Ranges", "CidrIpv6") if ":" in self.source else ("IpRanges", "CidrIp")
        return {"IpProtocol": self.protocol, **ports, kind[0]: [{kind[1]: self.source}]}

    def words(self, names: t.Mapping[str, str]) -> str:
        """As a diff shows it: "tcp 80 from 0.0.0.0/0"; names are those of groups by ID."""
        ports = "" if self.first is None else f" {self.first}" if self.first == self.last else f" {self.first}-{self.last}"
        source = self.source.name if isinstance(self.source, Ref) else names.get(self.source, self.source)
        return f"{'all traffic' if self.protocol == '-1' else self.protocol}{ports} from {source}"


@dataclasses.dataclass(frozen=True)
class WantedRule:
    """A rule as the user gives it: ports as "443" or "2379-2380"; sources are IP ranges, IDs or names of groups, self, and vpc for the VPC's own ranges."""

    protocol: str
    ports: tuple[str, ...]
    sources: tuple[str, ...]

    def ranges(self) -> list[tuple[int | None, int | None]]:
        """First and last port of each range, as EC2 wants them; ValueError for what is none."""
        if self.protocol == "-1":
            return [(None, None)]
        if self.protocol == "icmp":
            return [(-1, -1)]
        found: list[tuple[int | None, int | None]] = []
        for text in self.ports:
            first, _dash, last = text.partition("-")
            low, high = int(first), int(last or first)
            if not 0 <= low <= high <= 65535:
                raise ValueError(text)
            found.append((low, high))
        return found


@dataclasses.dataclass(frozen=True)
class WantedGroup:
    """A security group that is wanted, or to be removed; load_balancer is its mark, "none" for groups of nodes."""

    name: str
    load_balancer: str = "none"
    rules: tuple[WantedRule, ...] = ()


@dataclasses.dataclass(frozen=True)
class GroupOptions:
    """The options of cluster_security_group; wait_timeout is seconds."""

    cluster: str
    state: str
    groups: tuple[WantedGroup, ...]
    subnet_ids: tuple[str, ...] = ()
    tags: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    wait_timeout: int = 600

    @classmethod
    def of_params(cls, params: t.Mapping[str, t.Any]) -> GroupOptions:
        """Take a module's parameters; raise InputError for what cannot be used."""
        check_cluster(params["cluster"])
        groups = tuple(
            WantedGroup(
                group["name"],
                group["load_balancer"],
                tuple(WantedRule(rule["protocol"], tuple(rule["ports"]), tuple(rule["sources"])) for rule in group["rules"]),
            )
            for group in params["security_groups"]
        )
        names = [group.name for group in groups]
        wrong = sorted({name for name in names if names.count(name) > 1 or not name.strip() or name.startswith("sg-")})
        if wrong:
            raise InputError(f"security_groups: {', '.join(map(repr, wrong))} is named twice, empty, or begins with sg-")
        tags = {key: str(value) for key, value in (params["tags"] or {}).items()}
        return cls(params["cluster"], params["state"], groups, tuple(params["subnet_ids"]), tags, params["wait_timeout"])

    def tags_of(self, group: WantedGroup) -> dict[str, str]:
        """The tags of a group."""
        return {**self.tags, "Name": group.name, CLUSTER_TAG: self.cluster, LOAD_BALANCER_TAG: group.load_balancer, OWNED_TAG: "true"}


@dataclasses.dataclass
class GroupWorld:
    """What EC2 has: the VPC and its ranges, groups of the wanted names by name; of those that go, the groups that name and the interfaces that wear them."""

    vpc_id: str = ""
    vpc_cidrs: tuple[str, ...] = ()
    named: dict[str, Item] = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)
    referring: list[Item] = dataclasses.field(default_factory=list)
    wearing: list[Item] = dataclasses.field(default_factory=list)


def owned(options: GroupOptions, item: Item) -> bool:
    """Whether a group is the cluster's own by its marks."""
    tags = tags_of(item)
    return tags.get(CLUSTER_TAG) == options.cluster and OWNED_TAG in tags


def rules_of(item: Item) -> list[Rule]:
    """The rules a group has, one for each source."""
    found = []
    for entry in item.get("IpPermissions", []):
        sources = [one["CidrIp"] for one in entry.get("IpRanges", [])] + [one["CidrIpv6"] for one in entry.get("Ipv6Ranges", [])]
        sources += [one["GroupId"] for one in entry.get("UserIdGroupPairs", []) if "GroupId" in one]
        found += [Rule(entry["IpProtocol"], entry.get("FromPort"), entry.get("ToPort"), source) for source in sources]
    return found


# --- present


def plan_groups(options: GroupOptions, world: GroupWorld) -> Findings:
    """Create what is missing, then bring the rules of all groups to what is wanted: what lacks is added before what is too much goes."""
    findings = Findings(problems=list(world.problems))
    names = {item["GroupId"]: name for name, item in world.named.items()}
    rules: list[Change] = []
    for group in options.groups:
        item = world.named.get(group.name)
        if item is not None and not owned(options, item):
            findings.problems.append(_not_ours(group, item))
            continue
        wanted = _wanted_rules(options, group, world, findings.problems)
        if item is None:
            findings.changes.append(_create(options, group, world, [rule.words(names) for rule in wanted]))
        else:
            findings.changes += _tagging(options, group, item)
        rules += _rule_changes(group, item, wanted, names)
    findings.changes += rules
    return findings


def _not_ours(group: WantedGroup, item: Item) -> str:
    cure = f"rename it, or give it the tags {CLUSTER_TAG} and {OWNED_TAG} if its rules are to be changed"
    return f"security group {group.name}: {item['GroupId']} has that name, and this collection did not make it; {cure}"


def _wanted_rules(options: GroupOptions, group: WantedGroup, world: GroupWorld, problems: list[str]) -> list[Rule]:
    """The group's rules with every source resolved; what cannot be resolved is added to problems."""
    found: list[Rule] = []
    for rule in group.rules:
        try:
            ranges = rule.ranges()
        except ValueError:
            ranges = []
        if not ranges:
            problems.append(f"security group {group.name}: ports {', '.join(rule.ports) or 'of a rule'}: give port numbers or ranges, such as 443 or 2379-2380")
        for source in rule.sources:
            resolved = _sources(options, group, source, world)
            if not resolved:
                problems.append(f"security group {group.name}: {source!r} is neither an IP range nor a security group; say 10.0.0.0/8, sg-…, self or vpc")
            found += [Rule(rule.protocol, *ports, one) for one in resolved for ports in ranges]
    return list(dict.fromkeys(found))


def _sources(options: GroupOptions, group: WantedGroup, source: str, world: GroupWorld) -> list[str | Ref]:
    if source == "vpc":
        return list(world.vpc_cidrs)
    name = group.name if source == "self" else source
    if name in world.named:
        return [str(world.named[name]["GroupId"])]
    if any(one.name == name for one in options.groups):
        return [Ref(SECURITY_GROUP, name)]
    if source.startswith("sg-"):
        return [source]
    try:
        return [str(ipaddress.ip_network(source))]
    except ValueError:
        return []


def _create(options: GroupOptions, group: WantedGroup, world: GroupWorld, rules: list[str]) -> Change:
    kind = "the nodes" if group.load_balancer == "none" else f"the {group.load_balancer} load balancer"
    tags = options.tags_of(group)
    params = {
        "GroupName": group.name,
        "Description": f"For {kind} of the cluster {options.cluster}",
        "VpcId": world.vpc_id,
        "TagSpecifications": [{"ResourceType": "security-group", "Tags": pairs(tags)}],
    }
    step = Step("create", group.name, "security group", after={"rules": rules, "tags": tags, "vpc_id": world.vpc_id})
    return Change(step, (Call("create_security_group", params, Ref(SECURITY_GROUP, group.name)),))


def _tagging(options: GroupOptions, group: WantedGroup, item: Item) -> list[Change]:
    now = tags_of(item)
    wrong = drift(options.tags_of(group), now)
    if not wrong:
        return []
    step = Step("update", group.name, "tags of the security group", {key: now.get(key) for key in wrong}, wrong)
    return [Change(step, (Call("create_tags", {"Resources": [item["GroupId"]], "Tags": pairs(wrong)}),))]


def _rule_changes(group: WantedGroup, item: Item | None, wanted: list[Rule], names: t.Mapping[str, str]) -> list[Change]:
    now = rules_of(item) if item else []
    lacking = [rule for rule in wanted if rule not in now]
    extra = [rule for rule in now if rule not in wanted]
    target = item["GroupId"] if item else Ref(SECURITY_GROUP, group.name)
    calls = []
    for operation, rules in (("authorize_security_group_ingress", lacking), ("revoke_security_group_ingress", extra)):
        if rules:
            calls.append(Call(operation, {"GroupId": target, "IpPermissions": [rule.permission() for rule in rules]}))
    if not calls:
        return []
    before, after = ([rule.words(names) for rule in rules] for rules in (now, wanted))
    return [Change(Step("update", group.name, "rules of the security group", {"rules": sorted(before)}, {"rules": sorted(after)}), tuple(calls))]


# --- absent


def plan_removal(options: GroupOptions, world: GroupWorld) -> Findings:
    """Take the groups that go out of the rules that name them, then delete them; a group that others' rules name stays, with the reason."""
    findings = Findings()
    doomed = {item["GroupId"]: name for name, item in world.named.items()}
    for name, item in world.named.items():
        if not owned(options, item):
            findings.problems.append(f"security group {name}: {item['GroupId']} has that name, and this collection did not make it; delete it yourself")
    for item in world.referring:
        rules = [rule for rule in rules_of(item) if rule.source in doomed]
        if rules and owned(options, item):
            findings.changes.append(_forget(item, rules, doomed))
        elif rules:
            text = f"{item['GroupName']} ({item['GroupId']}), which this collection did not make, names it in a rule; take that rule out first"
            findings.problems += [f"security group {doomed[str(rule.source)]}: {text}" for rule in rules]
    # Those of load balancers go soon after them; nobody takes the group off an instance.
    lasting = [item for item in world.wearing if item.get("InterfaceType") != "network_load_balancer"]
    findings.problems += [f"security group {doomed[group_id]}: {words} has it" for group_id, words in wearers(lasting) if group_id in doomed]
    for group_id, name in doomed.items():
        step = Step("delete", name, "security group", {"id": group_id})
        findings.changes.append(Change(step, (Call("delete_security_group", {"GroupId": group_id}),)))
    return findings


def wearers(interfaces: t.Iterable[Item]) -> list[tuple[str, str]]:
    """(security group, words for the interface) of network interfaces."""
    found = []
    for item in interfaces:
        words = item.get("Attachment", {}).get("InstanceId") or item.get("Description") or "without a description"
        found += [(str(group["GroupId"]), f"network interface {item['NetworkInterfaceId']} ({words})") for group in item.get("Groups", [])]
    return found


def _forget(item: Item, rules: list[Rule], names: t.Mapping[str, str]) -> Change:
    params = {"GroupId": item["GroupId"], "IpPermissions": [rule.permission() for rule in rules]}
    step = Step("update", item["GroupName"], "rules of the security group", {"rules": sorted(rule.words(names) for rule in rules)})
    return Change(step, (Call("revoke_security_group_ingress", params),))
