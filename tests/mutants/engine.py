# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's mutants: which modules, what stands in for the functions of its tables, and which mutants change nothing."""

from __future__ import annotations

import functools
import importlib
import types
import typing as t

from .mutations import Mutation, Neutral, conditions, tables

PACKAGE = "ansible_collections.k8s_cluster.manager.plugins.module_utils._talos"
MERGE = "merge"  # in this one each part of a condition counts, too
RULES = ("deletes", "jsonpatch", "decode", "documents", "patching", "urls")
TABLES = ("scalars", "validate", "validate_documents")  # of these, the functions in their tables: types and checks

TAKEN: Neutral = {"takes the patch's value": lambda left, right, *_: right}
KEPT: Neutral = {"keeps the base's value": lambda left, right, *_: right if left is None else left}
SILENT: Neutral = {"finds nothing": lambda *_: iter(())}

# What stands in for the functions of a table, by table; the others' entries just go.
NEUTRAL: dict[str, Neutral] = {
    "merge.RULES": {**TAKEN, **KEPT},
    "jsonpatch.HANDLERS": {"does nothing": lambda data, operation: data},
    "scalars.PARSERS": {"takes any text": lambda node, kind, minor: node.text},
    "validate.MACHINE_CHECKS": SILENT,
    "validate.CLUSTER_CHECKS": SILENT,
    "validate_documents.CHECKS": SILENT,
}

# Mutants that cannot be told from the engine, and why.
SAME = "it is what the rule does"
NOTHING = "merging into nothing, or nothing into something, changes nothing: it is only quicker"
EQUIVALENT: dict[str, str] = {
    "merge.RULES['pair'] takes the patch's value": SAME,
    "merge.RULES['take'] takes the patch's value": SAME,
    "merge.Merger.struct: if value is None": "a field that is None is printed and read as one that is absent",
    "merge.Merger.value: if right is None and (not field.clears)": NOTHING,
    "merge._nonzero: and left is not None": "zero is printed as absent",
    "merge._nonzero: and right is not None": "what is absent is no enumeration's word",
    "merge._deep: or field.pointer": NOTHING,
    "merge._deep: or not field.clears": NOTHING,
    "merge._keys: if known is None": NOTHING,
    "merge._url: or not right": NOTHING,
    "merge._replace: and left is not None": NOTHING,
    "deletes.HEAD_KEYS without 'name'": "only documents with an apiVersion have names, and they are never head only",
    "deletes._reads: if field.pointer": "no list has items with pointers to texts yet",
}


def modules() -> dict[str, types.ModuleType]:
    """The modules with rules, by their last names."""
    return {name: importlib.import_module(f"{PACKAGE}.{name}") for name in (MERGE, *RULES, *TABLES)}


def mutations() -> list[Mutation]:
    """All mutants of the engine that change something."""
    known = modules()
    found = list(merge_classes())
    for name, module in known.items():
        found += tables(module, known.values(), NEUTRAL, neutral_only=name in TABLES)
        found += [] if name in TABLES else conditions(module, parts=name == MERGE)
    unknown = EQUIVALENT.keys() - {mutation.name for mutation in found}
    if unknown:
        raise SystemExit(f"mutants: EQUIVALENT names what is no mutant: {', '.join(sorted(unknown))}")
    return [mutation for mutation in found if mutation.name not in EQUIVALENT]


def merge_classes() -> t.Iterator[Mutation]:
    """For each merge rule and each type that the field table gives it: fields of that type are merged by another rule."""
    merge, table = (importlib.import_module(f"{PACKAGE}.{name}") for name in ("merge", "table"))
    classes: dict[tuple[str, str], list[t.Any]] = {}
    for kind in table.kinds():
        for field in _below(table.kind(kind).root):
            if field.merge in merge.RULES:
                classes.setdefault((field.merge, ("*" if field.pointer else "") + field.kind.partition(":")[0]), []).append(field)
    for (rule, kind), fields in classes.items():
        for words, stand_in in {**TAKEN, **KEPT}.items():
            if words in KEPT or merge.RULES[rule] is not merge.RULES["take"]:
                yield Mutation(f"merge.{rule} of {kind} {words}", functools.partial(_other_rule, merge, fields, stand_in), frozenset(("merge.value",)))


def _below(field: t.Any) -> t.Iterator[t.Any]:
    for child in (*field.fields.values(), *([field.item] if field.item else [])):
        yield child
        yield from _below(child)


def _other_rule(merge: types.ModuleType, fields: list[t.Any], stand_in: t.Callable[..., t.Any]) -> None:
    merge.RULES["mutant"] = stand_in
    for field in fields:
        field.merge = "mutant"
