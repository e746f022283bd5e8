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
RULES = ("deletes", "jsonpatch", "decode", "documents", "patching", "urls", "scalars")
VALIDATION = ("validate", "validate_documents")  # of these, the tables of checks

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
EQUIVALENT: dict[str, str] = {}


def modules() -> dict[str, types.ModuleType]:
    """The modules with rules, by their last names."""
    return {name: importlib.import_module(f"{PACKAGE}.{name}") for name in (MERGE, *RULES, *VALIDATION)}


def mutations() -> list[Mutation]:
    """All mutants of the engine that change something."""
    known = modules()
    found = list(merge_classes())
    for name, module in known.items():
        checks = name in VALIDATION
        found += tables(module, known.values(), NEUTRAL, neutral_only=checks)
        found += [] if checks else conditions(module, parts=name == MERGE)
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
