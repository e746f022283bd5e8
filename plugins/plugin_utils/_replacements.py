# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""Which nodes are replaced by which, and how many at a time."""

from __future__ import annotations

import datetime
import itertools
import re
import typing as t

from ansible.errors import AnsibleFilterError

from . import _names

Record = dict[str, t.Any]


def replacements(
    instances: t.Sequence[Record],
    nodes: t.Sequence[str],
    role: str,
    min_age: int,
    surge: bool,
    now: float,
    seen: t.Iterable[str] = (),
    unfinished: t.Mapping[str, Record] | None = None,
    purposes: t.Mapping[str, str] | None = None,
    differ: t.Mapping[str, bool | None] | None = None,
) -> dict[str, t.Any]:
    """What a run replaces.

    instances: the cluster's, as cluster_info returns them. nodes or role: what was asked for. min_age: seconds; a younger VM is as good as
    replaced. now: seconds since 1970. seen: names that are no longer free. unfinished: what earlier runs began, name to record. purposes: of
    nodes that have one. differ: as outdated returns it; then only those that differ are replaced, whatever their age. Returns {"unfinished": [record],
    "chosen": [record], "young": [name], "current": [name], "undecided": [name], "unknown": [name], "roleless": [name],
    "changing": [name]}, records with name, role, instance_id, successor, purpose; changing are those that apply_changes has begun with, and that stay.
    """
    noted = sorted((unfinished or {}).items(), key=lambda item: _names.natural(item[0]))
    begun = [{"name": name, **record} for name, record in noted if "successor" in record]
    spoken_for = {name for record in begun for name in (record["name"], record["successor"])}
    by_name = {item["name"]: item for item in _living(instances)}
    wanted = list(nodes) or sorted((name for name, item in by_name.items() if role in ("all", item["role"])), key=_names.natural)
    known = [name for name in wanted if name in by_name and name not in spoken_for]
    young = [name for name in known if differ is None and now - _launched(by_name[name]) < min_age]
    current, undecided = ([name for name in known if differ is not None and differ.get(name) is verdict] for verdict in (False, None))
    old = [name for name in known if name not in (*young, *current, *undecided)]
    chosen = [
        {"name": name, "role": by_name[name]["role"], "instance_id": by_name[name]["instance_id"], "successor": name, "purpose": (purposes or {}).get(name, "")}
        for name in old
    ]
    if surge:
        _succeed(chosen, {*seen, *by_name, *spoken_for})
    return {
        "unfinished": begun,
        "chosen": chosen,
        "young": young,
        "current": current,
        "undecided": undecided,
        "unknown": [name for name in wanted if name not in by_name and name not in spoken_for],
        "roleless": [name for name in known if not by_name[name]["role"]],
        "changing": [name for name, record in noted if "successor" not in record and name in by_name and name not in old],
    }


def outdated(rows: t.Iterable[Record], regards: t.Collection[str]) -> dict[str, bool | None]:
    """Whether nodes are other than they would be made now in one of the regards; None where that cannot be told.

    rows: as cluster_nodes returns them. regards: some of image, instance_type, talos_version, machine_config; or all.
    """
    found: dict[str, bool | None] = {}
    for row in rows:
        if row["instance_id"]:
            verdicts = {verdict for regard, verdict in row["outdated"].items() if regard in regards or "all" in regards}
            found[row["name"]] = True if True in verdicts else None if None in verdicts else False
    return found


def _living(instances: t.Iterable[Record]) -> list[Record]:
    return [item for item in instances if item["state"] != "shutting-down"]


def _launched(instance: Record) -> float:
    """When a VM was launched, in seconds since 1970."""
    return datetime.datetime.fromisoformat(instance["launch_time"]).timestamp()


def _succeed(chosen: t.Sequence[Record], taken: set[str]) -> None:
    """Give each of them the next free name of its kind; the numbers of those that go are not used again."""
    for record in chosen:
        prefix = re.sub(r"\d+$", "", record["name"])
        prefix += "" if prefix != record["name"] else "-"
        record["successor"] = f"{prefix}{_names.highest_number(taken, prefix) + 1}"
        taken.add(record["successor"])


def replacement_batches(plan: t.Mapping[str, t.Any], instances: t.Sequence[Record], at_once: t.Any = 1) -> list[dict[str, t.Any]]:
    """What is done together, in order: what earlier runs began, then control planes one by one, then workers so many at a time.

    plan: as replacements returns it. at_once: workers, a number or a percentage of the cluster's. Returns batches with role, purpose, surge,
    records, and the names to delete and to create.
    """
    workers = sum(item["role"] == "worker" for item in instances)
    sizes = {"controlplane": 1, "worker": size(at_once, workers)}
    living = {item["name"]: item["instance_id"] for item in _living(instances)}
    found = []
    for records in (plan["unfinished"], plan["chosen"]):
        for (role, purpose, surge), group in itertools.groupby(sorted(records, key=_kind), key=_kind):
            alike = list(group)
            for start in range(0, len(alike), sizes[role]):
                found.append({"role": role, "purpose": purpose, "surge": surge, **_batch(alike[start : start + sizes[role]], living)})
    return found


def _kind(record: Record) -> tuple[str, str, bool]:
    return record["role"], record["purpose"], record["successor"] != record["name"]


def _batch(records: list[Record], living: t.Mapping[str, str]) -> dict[str, t.Any]:
    """A VM of the name that is another one is the new one already: only that is finished."""
    return {
        "records": {record["name"]: {key: value for key, value in record.items() if key != "name"} for record in records},
        "delete": [record["name"] for record in records if living.get(record["name"], record["instance_id"]) == record["instance_id"]],
        "create": [record["successor"] for record in records],
    }


def size(given: t.Any, total: int) -> int:
    """How many a number or a percentage is, at least one. AnsibleFilterError for what is neither."""
    found = re.fullmatch(r"\s*(\d+)\s*(%?)\s*", str(given))
    if not found or not int(found[1]) or (found[2] and int(found[1]) > 100):
        raise AnsibleFilterError(f"{given!r} is neither a number of nodes nor a percentage, such as 2 or 25%")
    return max(1, total * int(found[1]) // 100) if found[2] else int(found[1])
