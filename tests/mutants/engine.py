# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's mutants: which modules, what stands in for the functions of its tables, and which mutants change nothing."""

from __future__ import annotations

import functools
import importlib
import types
import typing as t

from . import mutations
from .mutations import Mutation, Neutral, Note

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

# Mutants that cannot be told from the engine, and why. (They are tried, too: a test that notices one proves the reason wrong.)
SAME = "it is what the rule does"
LATER = "up to 1.11 the rule is another, but there were no such fields"
NOTHING = "merging into nothing, or nothing into something, changes nothing: it is only quicker"
EQUIVALENT: dict[str, str] = {
    "merge.RULES['pair'] takes the patch's value": SAME,
    "merge.RULES['take'] takes the patch's value": SAME,
    "merge.replace of list takes the patch's value": SAME,
    "merge.present of *bool takes the patch's value": SAME,
    "merge.present of *enum takes the patch's value": LATER,
    "merge.present of *uint8 takes the patch's value": LATER,
    "merge.present of *uint16 takes the patch's value": LATER,
    "merge.present of *int32 takes the patch's value": LATER,
    "scalars.PARSERS['cel'] takes any text": SAME,
    "merge.Merger.struct: if value is None": "a field that is None is printed and read as one that is absent",
    "merge.Merger.value: if right is None and (not field.clears)": NOTHING,
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


def mutants() -> list[Mutation]:
    """All mutants of the engine."""
    known = modules()
    found = list(merge_classes())
    for name, module in known.items():
        found += mutations.tables(module, known.values(), NEUTRAL, neutral_only=name in TABLES)
        found += [] if name in TABLES else mutations.conditions(module, parts=name == MERGE)
    unknown = EQUIVALENT.keys() - {mutant.name for mutant in found}
    if unknown:
        raise SystemExit(f"mutants: EQUIVALENT names what is no mutant: {', '.join(sorted(unknown))}")
    return found


def merge_classes() -> t.Iterator[Mutation]:
    """For each merge rule and each type that the field table gives it: fields of that type are merged by another rule."""
    merge, table = (importlib.import_module(f"{PACKAGE}.{name}") for name in ("merge", "table"))
    classes: dict[tuple[str, str], list[t.Any]] = {}
    for kind in table.kinds():
        for field in _below(table.kind(kind).root):
            if field.merge in merge.RULES and field.since <= table.NEWEST:
                classes.setdefault((field.merge, _type(field)), []).append(field)
    for (rule, kind), fields in classes.items():
        for words, stand_in in {**TAKEN, **KEPT}.items():
            if words in KEPT or merge.RULES[rule] is not merge.RULES["take"]:
                name = f"merge.{rule} of {kind} {words}"
                yield Mutation(name, functools.partial(_other_rule, merge, fields, stand_in), frozenset((name,)))


def _below(field: t.Any) -> t.Iterator[t.Any]:
    for child in (*field.fields.values(), *([field.item] if field.item else [])):
        yield child
        yield from _below(child)


def _type(field: t.Any) -> str:
    return ("*" if field.pointer else "") + str(field.kind.partition(":")[0])


def watch(note: Note) -> None:
    """From now on the engine notes the marks of its mutants."""
    for module in modules().values():
        mutations.watch(module, note)
        mutations.watch_tables(module, NEUTRAL, note)
    _watch_merges(modules()[MERGE], note)


def _watch_merges(merge: types.ModuleType, note: Note) -> None:
    """Note where another rule would make something else of two values, or of a note on them."""
    merged = merge.Merger.value

    def value(merger: t.Any, left: t.Any, right: t.Any, field: t.Any, path: str) -> t.Any:
        notes, result = len(merger.notes), object()
        try:
            result = merged(merger, left, right, field, path)
        finally:
            for words, stand_in in {**TAKEN, **KEPT}.items():
                if len(merger.notes) > notes or stand_in(left, right) != result:
                    note(f"merge.{field.merge} of {_type(field)} {words}")
        return result

    merge.Merger.value = value  # type: ignore[attr-defined]


def _other_rule(merge: types.ModuleType, fields: list[t.Any], stand_in: t.Callable[..., t.Any]) -> None:
    merge.RULES["mutant"] = stand_in
    for field in fields:
        field.merge = "mutant"
