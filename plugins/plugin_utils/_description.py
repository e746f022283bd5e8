# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""A cluster in one description, made for people and for JSON alike, of what was observed of it.

A fact is {"level", "words", "detail"}: how it is in one of LEVELS, the same in a word or two, and why. What could not be read is unknown, never missing.
"""

from __future__ import annotations

import collections
import typing as t

from ..module_utils._aws.volumes import GP3_IOPS, GP3_THROUGHPUT, VOLUME_TYPES
from . import _names

Record = dict[str, t.Any]
Fact = dict[str, str]

# From what is of no matter to what matters most.
LEVELS = ("none", "ok", "unknown", "warn", "bad")
PAID_STATES = ("pending", "running")


def fact(level: str, words: str, detail: t.Any = "") -> Fact:
    """One thing that is known of something, or is not."""
    return {"level": level, "words": words, "detail": str(detail or "")}


def worst(levels: t.Iterable[str]) -> str:
    """The level that matters most; "none" of nothing."""
    return max(levels, key=LEVELS.index, default="none")


# What is paid for


def priced(rows: t.Sequence[Record], cluster: str, load_balancers: t.Sequence[Record] = (), unread: t.Mapping[str, str] | None = None) -> dict[str, t.Any]:
    """What of a cluster costs by the hour, as the options of cluster_price; and what of it is left out, in words.

    All that has the cluster's tag. Stopped instances cost nothing, their volumes do.
    """
    mine = [row for row in rows if row["instance_id"] and row["cluster"] == cluster]
    paid = [row for row in mine if row["state"] in PAID_STATES]
    volumes = [volume for row in mine for volume in row["volumes"]]
    wanted = collections.Counter(_volume(volume) for volume in volumes if volume["type"] in VOLUME_TYPES)
    network = [balancer for balancer in load_balancers if balancer["type"] == "network"]
    addresses = sum(bool(row["public_ip"]) for row in paid)
    return {
        "instances": [{"type": name, "count": count} for name, count in sorted(collections.Counter(row["instance_type"] for row in paid).items())],
        "volumes": [{**dict(volume), "count": count} for volume, count in sorted(wanted.items())],
        "load_balancers": len(network),
        "public_addresses": addresses + sum(len(balancer["zones"]) for balancer in network if balancer["scheme"] == "internet-facing"),
        "left_out": _left_out(rows, volumes, len(load_balancers) - len(network), unread or {}),
    }


def _volume(volume: Record) -> tuple[tuple[str, t.Any], ...]:
    """A volume as cluster_price wants it; EC2 names IOPS and throughput also where they are included."""
    kind, iops, throughput = volume["type"], volume["iops"] or 0, volume["throughput"] or 0
    found: Record = {"type": kind, "size_gb": volume["size_gb"]}
    if kind in ("io1", "io2") or (kind == "gp3" and iops > GP3_IOPS):
        found["iops"] = iops
    if kind == "gp3" and throughput > GP3_THROUGHPUT:
        found["throughput"] = throughput
    return tuple(found.items())


def _left_out(rows: t.Sequence[Record], volumes: t.Sequence[Record], other_balancers: int, unread: t.Mapping[str, str]) -> list[str]:
    """What is not among the options of cluster_price although it may cost something."""
    others = collections.Counter(f"{volume['size_gb']} GB {volume['type']}" for volume in volumes if volume["type"] not in VOLUME_TYPES)
    found = [f"{count} × {what}" for what, count in sorted(others.items())]
    found += [f"{other_balancers} × application load balancer"] if other_balancers else []
    found += [f"the VM of {row['name'] or row['instance_id']}, which has no tag Cluster" for row in rows if row["instance_id"] and not row["cluster"]]
    return found + ([f"volumes, which could not be read: {unread['details']}"] if unread.get("details") else [])


def _cost(price: t.Mapping[str, t.Any], left_out: t.Sequence[str]) -> Record:
    """What all of it costs, by the hour and by the day, from cluster_price's result."""
    hourly, currency, unknown = price.get("hourly"), price.get("currency"), list(price.get("unknown", []))
    lines = [{**line, "daily": None if line["hourly"] is None else round(line["hourly"] * 24, 6)} for line in price.get("lines", [])]
    if hourly is None:
        words = "price unknown: " + "; ".join(unknown or ["nobody was asked"])
    elif not lines:
        words = "nothing that costs by the hour"
    else:
        words = f"{money(hourly)} {currency} per hour, {money(hourly * 24)} {currency} per day" + (", and what is not included" if left_out else "")
    return {
        "hourly": hourly,
        "daily": None if hourly is None else round(hourly * 24, 6),
        "currency": currency,
        "lines": lines,
        "unknown": unknown,
        "left_out": list(left_out),
        "words": words,
    }


def money(amount: float) -> str:
    """An amount as people write it; cents are not enough for the small ones."""
    return f"{amount:,.2f}" if amount >= 0.1 else f"{amount:.4f}"


# Nodes


class _Look:
    """What was read of a cluster and what was not."""

    def __init__(self, cluster: str, unread: t.Mapping[str, str], groups: t.Sequence[Record]) -> None:
        self.cluster = cluster
        self.unread = {what: why for what, why in unread.items() if why}
        self.kinds = {group["kind"] for group in groups if not group["skipped"]}

    def unknown(self, what: str) -> Fact:
        return fact("unknown", "unknown", self.unread[what])

    def machine(self, row: Record) -> Fact:
        """The VM."""
        if not row["instance_id"]:
            return self.unknown("aws") if "aws" in self.unread else fact("bad", "no VM")
        if row["cluster"] != self.cluster:
            tag = f"its tag says Cluster={row['cluster']}" if row["cluster"] else "its VM has no tag Cluster"
            return fact("bad" if row["cluster"] else "warn", row["state"] or "unknown", tag)
        if row["state"] != "running":
            return fact("warn" if row["state"] == "pending" else "bad", row["state"] or "unknown")
        if row["status"] == "impaired":
            return fact("bad", "impaired", "EC2's status checks fail")
        if row["unfinished"]:
            return fact("warn", "unfinished", "its creation was begun and not finished")
        return fact("warn", "initializing", "EC2's status checks have not ended") if row["status"] == "initializing" else fact("ok", "running")

    def ready(self, row: Record) -> Fact:
        """What Kubernetes says of it."""
        node = row["node"]
        if not node:
            if "kubernetes" in self.unread:
                return self.unknown("kubernetes")
            return fact("warn" if row["unfinished"] else "bad", "no Node") if row["instance_id"] else fact("none", "no Node")
        if not node["ready"]:
            return fact("bad", "NotReady", node["condition"])
        return fact("warn", "cordoned", "Ready, and takes no new pods") if node["unschedulable"] else fact("ok", "Ready")

    def behind(self, row: Record) -> Fact:
        """How it does behind load balancers."""
        if "aws" in self.unread:
            return self.unknown("aws")
        if not row["targets"]:
            kind = "apiserver" if row["role"] == "controlplane" else "ingress"
            wanted = row["instance_id"] and row["role"] and kind in self.kinds
            return fact("warn", "in none", f"no target group of kind {kind} has it") if wanted else fact("none", "-")
        healthy = sum(target["state"] == "healthy" for target in row["targets"])
        ill = [f"{target['group']}:{target['port']} {_state(target)}" for target in row["targets"] if target["state"] != "healthy"]
        return fact(worst(map(target_level, row["targets"])), f"{healthy}/{len(row['targets'])} healthy", ", ".join(ill))

    def etcd(self, row: Record) -> Fact:
        """Its etcd member."""
        member = row["member"]
        if not member:
            if row["role"] != "controlplane":
                return fact("none", "-")
            return self.unknown("etcd") if "etcd" in self.unread else fact("bad", "no member")
        if not member["healthy"] or member["alarms"]:
            return fact("bad", "unhealthy", ", ".join([member["problem"] or "", *(f"alarm {alarm}" for alarm in member["alarms"])]).strip(", "))
        if member["learner"]:
            return fact("warn", "learner", "it does not vote yet")
        return fact("ok", "leader" if member["leader"] else "voter")

    def dns(self, row: Record) -> Fact:
        """Its records: whether they point to it and nowhere else. Some may be known although not all could be read."""
        found = sorted(record["content"] for record in row["records"] if record["type"] in ("A", "AAAA", "CNAME"))
        here = {row["address"], row["public_ip"]} - {None, ""}
        wrong = [content for content in found if content not in here]
        if not found and "dns" in self.unread:
            return self.unknown("dns")
        if not row["instance_id"] and "aws" in self.unread:
            return self.unknown("aws")
        if not row["instance_id"]:
            return fact("warn", "left over", f"points to {', '.join(found)}") if found else fact("none", "-")
        if not found:
            return fact("warn", "no record")
        return fact("warn", "wrong", f"points to {', '.join(wrong)}") if wrong else fact("ok", "right")

    def config(self, row: Record) -> Fact:
        """Whether its machine config is the one that it should have."""
        talos = row["talos"]
        if not row["instance_id"]:
            return self.unknown("aws") if "aws" in self.unread else fact("none", "-")
        if not talos or talos["drift"] is None:
            if talos and talos["was"] == "maintenance":
                return fact("warn", "none yet", "it waits for its machine config")
            return fact("unknown", "unknown", (talos or {}).get("seen") or self.unread.get("config") or "it was not asked")
        return fact("warn", "drift", "its machine config is not the one that the sources make") if talos["drift"] else fact("ok", "as rendered")


FACTS = ("machine", "ready", "behind", "etcd", "dns", "config")
TITLES = {"machine": "VM", "ready": "Kubernetes", "behind": "load balancers", "etcd": "etcd", "dns": "DNS", "config": "config"}


def _node(row: Record, look: _Look) -> Record:
    facts = {name: getattr(look, name)(row) for name in FACTS}
    node, talos = row["node"] or {}, row["talos"] or {}
    return {
        "name": row["name"],
        "role": row["role"],
        "purpose": row["purpose"],
        "instance_id": row["instance_id"],
        "type": row["instance_type"],
        "zone": row["az"],
        "address": row["address"],
        "public_address": row["public_ip"],
        "image_id": row["image_id"],
        "launched": row["launched"],
        # How it would be made otherwise now; its machine config is a fact of its own.
        "outdated": [regard for regard, differs in row["outdated"].items() if differs and regard != "machine_config"],
        "vcpus": row["vcpus"],
        "memory_mib": row["memory_mib"],
        "volumes": row["volumes"],
        "talos_version": talos.get("talos_version") or node.get("talos_version") or "",
        "kubernetes_version": node.get("kubelet_version") or "",
        "targets": [{**target, "level": target_level(target)} for target in row["targets"]],
        "health": _health(facts),
        **facts,
    }


def _health(facts: t.Mapping[str, Fact]) -> Fact:
    """All facts of a node in one. That nobody knows its DNS record or its config makes no node's state unknown."""
    weigh = {name: one["level"] for name, one in facts.items() if one["level"] != "unknown" or name in ("machine", "ready")}
    level = worst(weigh.values())
    causes = [f"{TITLES[name]} {explained(facts[name])}" for name in weigh if weigh[name] == level] if level in ("warn", "bad", "unknown") else []
    words = {"ok": "well", "none": "-", "warn": "look", "bad": "ill", "unknown": "unknown"}[level]
    return fact(level, words, "; ".join(causes))


def explained(one: Fact) -> str:
    """A fact with its reason, in one line."""
    return f"{one['words']} ({one['detail']})" if one["detail"] else one["words"]


def target_level(target: Record) -> str:
    """How a target is. Ingress targets are unhealthy wherever no ingress pods run, which is not to be called ill."""
    state = target["state"]
    if state == "healthy":
        return "ok"
    if state == "unavailable" or not state:
        return "unknown"
    return "bad" if state.startswith("unhealthy") and target["kind"] == "apiserver" else "warn"


def _state(target: Record) -> str:
    return f"{target['state']} ({target['reason']})" if target["reason"] else str(target["state"])


# Load balancers


def _groups(groups: t.Sequence[Record], balancers: t.Sequence[Record], rows: t.Sequence[Record]) -> list[Record]:
    names = {balancer["arn"]: balancer["name"] for balancer in balancers}
    owner = {(target["arn"], target["id"], target["port"]): row["name"] for row in rows for target in row["targets"]}
    return [_group(group, names, owner) for group in sorted(groups, key=lambda one: (one["kind"] != "apiserver", one["kind"] == "none", one["name"]))]


def _group(group: Record, names: t.Mapping[str, str], owner: t.Mapping[tuple[str, str, int], str]) -> Record:
    targets = [
        {
            "node": owner.get((group["arn"], target["id"], target["port"]), ""),
            **{key: target[key] for key in ("id", "port", "state", "reason", "description")},
            "level": target_level({**target, "kind": group["kind"]}),
        }
        for target in group["targets"]
    ]
    return {
        "name": group["name"],
        "kind": group["kind"],
        "protocol": group["protocol"],
        "port": group["port"],
        "load_balancers": sorted(names[arn] for arn in group["load_balancer_arns"] if arn in names),
        "skipped": group["skipped"],
        "health": _group_health(group, targets),
        "targets": sorted(targets, key=lambda one: (_names.natural(one["node"] or one["id"]), one["port"] or 0)),
    }


def _group_health(group: Record, targets: t.Sequence[Record]) -> Fact:
    """One without a healthy target serves nobody."""
    if group["kind"] == "none":
        return fact("none", "left alone", group["skipped"])
    healthy = sum(target["state"] == "healthy" for target in targets)
    if not targets:
        return fact("none" if group["skipped"] else "warn", "no targets", group["skipped"])
    level = "bad" if not healthy else worst(target["level"] for target in targets)
    return fact(level, f"{healthy}/{len(targets)} healthy", group["skipped"])


def _balancer(balancer: Record) -> Record:
    state = balancer["state"]
    level = {"active": "ok", "provisioning": "warn", "active_impaired": "warn", "failed": "bad"}.get(state, "unknown")
    return {
        **{key: balancer[key] for key in ("name", "type", "scheme", "dns_name", "zones", "controller_owned")},
        "health": fact(level, state or "unknown", "a Kubernetes controller owns it" if balancer["controller_owned"] else ""),
    }


# All together


def description(
    rows: t.Sequence[Record],
    cluster: str,
    found: t.Mapping[str, t.Any] | None = None,
    quorum: t.Mapping[str, t.Any] | None = None,
    price: t.Mapping[str, t.Any] | None = None,
    unread: t.Mapping[str, str] | None = None,
    problems: t.Iterable[str] = (),
) -> dict[str, t.Any]:
    """A cluster as it is now, JSON-able; nothing in it moves while the cluster does not.

    rows: the observation's nodes. found: as cluster_info returns it. quorum: as talos_etcd_member returns it. price: as cluster_price returns it. unread: why
    something (aws, details, kubernetes, etcd, dns, config) could not be read; "" where it was. problems: everything met while reading.
    """
    balancers, groups = (list((found or {}).get(key) or []) for key in ("load_balancers", "target_groups"))
    look = _Look(cluster, _needed(unread or {}, rows), groups)
    nodes = [_node(row, look) for row in rows]
    if "aws" in look.unread:
        price = {"unknown": [look.unread["aws"]]}
    return {
        "cluster": cluster,
        "totals": _totals(rows, nodes, look),
        "etcd": _etcd(quorum, look),
        "nodes": nodes,
        "load_balancers": [_balancer(balancer) for balancer in balancers],
        "target_groups": _groups(groups, balancers, rows),
        "cost": _cost(price or {}, priced(rows, cluster, balancers, look.unread)["left_out"]),
        "unread": look.unread,
        "problems": [problem for problem in problems if not any(problem in why for why in look.unread.values())],
    }


def _needed(unread: t.Mapping[str, str], rows: t.Sequence[Record]) -> dict[str, str]:
    """What could not be read, but for what nobody would have had to say anything of."""
    uncompared = any(row["state"] == "running" and not row["talos"] for row in rows)
    return {what: why for what, why in unread.items() if what != "config" or uncompared}


def _totals(rows: t.Sequence[Record], nodes: t.Sequence[Record], look: _Look) -> Record:
    """Counts; vCPUs and memory of the cluster's running VMs. None is what could not be read."""
    running = [row for row in rows if row["cluster"] == look.cluster and row["state"] in PAID_STATES]
    counted = collections.Counter(node["role"] for node in nodes)
    known = "aws" not in look.unread and all(row["vcpus"] is not None and row["memory_mib"] is not None for row in running)
    ready = sum(node["ready"]["words"] in ("Ready", "cordoned") for node in nodes)
    return {
        "nodes": len(nodes),
        "controlplanes": counted["controlplane"],
        "workers": counted["worker"],
        "vms": None if "aws" in look.unread else len(running),
        "ready": None if "kubernetes" in look.unread else ready,
        "well": sum(node["health"]["level"] == "ok" for node in nodes),
        "drifted": sum(node["config"]["words"] == "drift" for node in nodes),
        "vcpus": sum(row["vcpus"] for row in running) if known else None,
        "memory_mib": sum(row["memory_mib"] for row in running) if known else None,
    }


def _etcd(quorum: t.Mapping[str, t.Any] | None, look: _Look) -> Fact:
    if not quorum:
        return look.unknown("etcd") if "etcd" in look.unread else fact("none", "none")
    healthy, voters, tolerates = (int(quorum[key]) for key in ("healthy", "voters", "tolerates"))
    level = "bad" if healthy < int(quorum["needed"]) else "ok" if healthy == voters else "warn"
    return fact(level, f"{healthy}/{voters} healthy", f"{tolerates} more may fail" if tolerates > 0 else "none more may fail")
