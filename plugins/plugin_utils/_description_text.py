# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""A cluster's description for a terminal: tables narrow enough for 80 columns, Ansible's own indentation included."""

from __future__ import annotations

import collections
import datetime
import typing as t
import unicodedata

from ._description import FACTS, TITLES, Record, explained, money

# What control characters of a name become, which would move the cursor or colour the rest.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
GROUPS = (("controlplane", "Control planes"), ("worker", "Workers"), ("", "Others"))
# How many nodes are named where they could be counted.
NAMED = 8
# One unit of time, in seconds, and from how many of the next smaller one it is used.
AGES = (("d", 86400, 2), ("h", 3600, 2), ("m", 60, 2), ("s", 1, 0))


def description_lines(described: Record, now: float) -> list[str]:
    """The description, line by line. now: seconds since 1970, which ages are counted to."""
    lines = [_headline(described), *_unread(described), *_machines(described["nodes"], now), *_states(described["nodes"])]
    lines += _versions(described["nodes"]) + _outdated(described["nodes"]) + _attention(described["nodes"]) + _balancing(described) + _totals(described)
    return [plain(line.rstrip()) for line in lines]


def plain(text: str) -> str:
    """Text that a terminal shows as it is."""
    return "".join(REPLACEMENT if unicodedata.category(one) in ("Cc", "Cf", "Zl", "Zp") else one for one in text)


def cells(text: str) -> int:
    """How many columns a text takes."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 0 if unicodedata.combining(one) else 1 for one in text)


def table(rows: t.Sequence[t.Sequence[str]]) -> list[str]:
    """Rows in aligned columns."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(cells(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell + " " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def age(launched: str, now: float) -> str:
    """How long ago something was launched, "-" when nobody knows."""
    if not launched:
        return "-"
    seconds = max(0, int(now - datetime.datetime.fromisoformat(launched.replace("Z", "+00:00")).timestamp()))
    return next(f"{seconds // size}{unit}" for unit, size, least in AGES if seconds >= size * least)


def _headline(described: Record) -> str:
    totals = described["totals"]
    if not described["nodes"] and not described["load_balancers"]:
        return f"{described['cluster']}: nothing of it was found"
    ready = "whether they are Ready is unknown" if totals["ready"] is None else f"{totals['ready']} Ready, {totals['well']} in all respects well"
    return f"{described['cluster']}: {totals['nodes']} nodes, {ready}; etcd {described['etcd']['words']}"


def _unread(described: Record) -> list[str]:
    if not described["unread"]:
        return []
    return ["", "Unknown, since it could not be read", *(f"  {what}: {why}" for what, why in described["unread"].items())]


def _by_role(nodes: t.Sequence[Record], head: t.Sequence[str], cells_of: t.Callable[[Record], list[str]]) -> list[str]:
    """One table of all nodes, with a line above each role's."""
    if not nodes:
        return []
    known = [role for role, _title in GROUPS]
    groups = [(title, [node for node in nodes if (node["role"] if node["role"] in known else "") == role]) for role, title in GROUPS]
    lines = iter(table([head, *(cells_of(node) for _title, some in groups for node in some)]))
    found = ["", next(lines)]
    for title, some in groups:
        found += [f"{title} ({len(some)})", *(next(lines) for _node in some)] if some else []
    return found


def _machines(nodes: t.Sequence[Record], now: float) -> list[str]:
    return _by_role(
        nodes,
        ("NODE", "TYPE", "ZONE", "ADDRESS", "AGE"),
        lambda node: [node["name"], *(node[key] or "-" for key in ("type", "zone", "address")), age(node["launched"], now)],
    )


def _states(nodes: t.Sequence[Record]) -> list[str]:
    return _by_role(
        nodes,
        ("NODE", "READY", "BEHIND", "ETCD", "DNS", "CONFIG"),
        lambda node: [node["name"], *(node[key]["words"] for key in ("ready", "behind", "etcd", "dns", "config"))],
    )


def _versions(nodes: t.Sequence[Record]) -> list[str]:
    """What most nodes run, and which ones run something else."""
    runs: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    for node in nodes:
        if node["instance_id"] or node["kubernetes_version"]:
            runs[node["talos_version"] or "unknown", node["kubernetes_version"] or "unknown"].append(node["name"])
    usual = max(runs, key=lambda both: len(runs[both]), default=None)
    lines = []
    for both, names in sorted(runs.items(), key=lambda item: -len(item[1])):
        who = ("all" if len(runs) == 1 else f"{len(names)} nodes") if both == usual else ", ".join(names)
        lines.append(f"  Talos {both[0]}, Kubernetes {both[1]}: {who}")
    return ["", "Versions", *lines] if lines else []


def _outdated(nodes: t.Sequence[Record]) -> list[str]:
    """Which nodes would be made otherwise now, and in which regard."""
    regards = list(dict.fromkeys(regard for node in nodes for regard in node["outdated"]))
    lines = []
    for regard in regards:
        names = [node["name"] for node in nodes if regard in node["outdated"]]
        lines.append(f"  {regard}: {', '.join(names) if len(names) <= NAMED else f'{len(names)} nodes'}")
    return ["", "Outdated, since their inputs would make them otherwise now", *lines] if lines else []


def _attention(nodes: t.Sequence[Record]) -> list[str]:
    """What is not as it should be, node by node, with the reasons."""
    lines = []
    for node in nodes:
        causes = [f"{TITLES[name]} {explained(node[name])}" for name in FACTS if node[name]["level"] in ("warn", "bad")]
        lines += [f"  {node['name']}: {'; '.join(causes)}"] if causes else []
    return ["", "To look at", *lines] if lines else []


def _balancing(described: Record) -> list[str]:
    """Each load balancer's target groups below it; at the end those of none."""
    groups = {
        balancer["name"]: [one for one in described["target_groups"] if balancer["name"] in one["load_balancers"]] for balancer in described["load_balancers"]
    }
    groups["of no load balancer"] = [one for one in described["target_groups"] if not one["load_balancers"]]
    shown = [["TARGET GROUP", "PORT", "TARGETS"]]
    shown += [["  " + one["name"], str(one["port"] or "-"), one["health"]["words"]] for some in groups.values() for one in some]
    lines = iter(table(shown))
    found = ["", next(lines)]
    for name, some in groups.items():
        states = [balancer["health"]["words"] for balancer in described["load_balancers"] if balancer["name"] == name]
        found += [" ".join([name, *(f"({state})" for state in states)]), *(next(lines) for _one in some)] if some or states else []
    return found if len(found) > 2 else []


def _totals(described: Record) -> list[str]:
    totals, cost = described["totals"], described["cost"]
    hardware = "unknown" if totals["vcpus"] is None else f"{totals['vcpus']} vCPUs, {totals['memory_mib'] / 1024:g} GiB of memory"
    running = "" if totals["vms"] is None else f", in {totals['vms']} running VMs"
    lines = ["", f"Hardware: {hardware}{running}", f"Costs {cost['words']}" if cost["hourly"] is not None else f"Costs: {cost['words']}"]
    lines += [f"  {line['count']} × {line['what']}: {money(line['daily'])} {cost['currency']} per day" for line in cost["lines"] if line["daily"] is not None]
    lines += [f"  not included: {what}" for what in cost["left_out"]]
    return lines + (["  AWS Price List, on demand; without traffic and load balancer capacity units (LCU)"] if cost["lines"] else [])
