# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""Node names: which ones a run works on, and which numbers new ones get."""

from __future__ import annotations

import re
import typing as t


def name_list(value: t.Any) -> list[str]:
    """Names from a list, or from text joined by commas, blanks or new lines (as surveys send it)."""
    if value is None:
        return []
    parts = [part for item in value for part in name_list(item)] if isinstance(value, (list, tuple)) else re.split(r"[,\s]+", str(value))
    return [str(part) for part in parts if part]


def highest_number(seen: t.Iterable[str], prefix: str) -> int:
    """The highest number N of names <prefix>N among seen; names may be fully qualified. 0 when there is none."""
    pattern = re.compile(rf"^{re.escape(prefix)}(\d+)(?:\.|$)")
    return max((int(found[1]) for name in seen if (found := pattern.match(name))), default=0)


def natural(name: str) -> tuple[str, int]:
    """Sorts worker-2 before worker-10."""
    base, number = re.fullmatch(r"(.*?)(\d*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return base, int(number or 0)


def names_to_create(
    wanted: t.Sequence[str],
    count: int | None,
    existing: t.Sequence[str],
    unfinished: t.Sequence[str],
    seen: t.Iterable[str],
    prefix: str,
) -> list[str]:
    """The names a creation works on.

    wanted: exactly these, when given. count: the role's total; what exists stays, what is unfinished is finished, the
    rest is new. Neither: the unfinished ones, else one new. New names take the numbers after the highest ever seen.
    """
    if wanted:
        return list(dict.fromkeys(wanted))
    missing = max(0, count - len(set(existing) | set(unfinished))) if count is not None else (0 if unfinished else 1)
    first = highest_number([*seen, *existing, *unfinished], prefix) + 1
    return [*dict.fromkeys(unfinished), *(f"{prefix}{number}" for number in range(first, first + missing))]


def node_records(
    names: t.Sequence[str],
    sources: t.Sequence[t.Sequence[t.Mapping[str, t.Any]]] = (),
    keys: t.Sequence[str] = ("name",),
    rename: t.Mapping[str, str] | None = None,
    common: t.Mapping[str, t.Any] | None = None,
    domain: str | None = None,
) -> list[dict[str, t.Any]]:
    """One record per name, for the nodes option of a module.

    sources are lists of records with a name, later ones win; rename maps their keys to the wanted ones; common is added
    to all; with domain, hostname is <name>.<domain>. Only keys are kept, and only when there is a value.
    """
    # Ansible templates a value when it is looked at: none is that is not kept.
    shared = dict(common or {})
    merged: dict[str, dict[str, t.Any]] = {name: {**shared} for name in names}
    looked_at = {key: key for key in keys} | {old: new for old, new in (rename or {}).items() if new in keys}
    for record in (record for source in sources for record in source):
        if record.get("name") in merged:
            merged[record["name"]].update({new: value for old, new in looked_at.items() if (value := record.get(old)) is not None})
    for name, record in merged.items():
        record["name"] = name
        if domain:
            record["hostname"] = f"{name}.{domain}"
    return [{key: record[key] for key in keys if record.get(key) is not None} for record in merged.values()]


def node_timings(names: t.Sequence[str], steps: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Of each name that was waited for {"name", "timing": {step: {phase: seconds}}}. steps are modules' results, by what the step is called."""
    rows: dict[str, dict[str, t.Any]] = {name: {} for name in names}
    for step, result in steps.items():
        for node in result.get("nodes") or ():
            if node.get("name") in rows and "timing" in node:
                rows[node["name"]][step] = node["timing"]
    return [{"name": name, "timing": timing} for name, timing in rows.items() if timing]


def dns_records(nodes: t.Sequence[t.Mapping[str, t.Any]], domain: str) -> list[dict[str, str]]:
    """The A records of nodes: <name>.<domain> with the node's address, each where it is known already."""
    records = []
    for node in nodes:
        record = {"node": node["name"], "type": "A"}
        if domain:
            record["name"] = f"{node['name']}.{domain}"
        if node.get("address"):
            record["content"] = node["address"]
        records.append(record)
    return records
