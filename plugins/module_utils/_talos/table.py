# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The field table as trees: what a document may contain, how it merges, prints and which of it is secret."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ._fields import KINDS

LEGACY = ""

ALWAYS = 99
LAST_FORMER = 13
FIRST_EMPTY = 14

NEWEST = 14
OLDEST = 6


@dataclasses.dataclass
class Field:
    """One field. kind is the type word without its pointer star ("struct", "list", "map", "string", "enum:X", ...).

    fields are a struct's members in print order; item is what a list's items or a map's values are.
    printed_until: the last minor release that prints it even when unset; empty_since: the first that prints it even when empty;
    deciding: the fields that make a struct count as set (() for all).
    clears: a value here, or below it in structs by value, is overwritten even by an absent one.
    """

    name: str
    path: str
    kind: str
    pointer: bool
    merge: str
    since: int
    printed_until: int = 0
    empty_since: int = ALWAYS
    secret: bool = False
    plain_map: bool = False
    fields: dict[str, Field] = dataclasses.field(default_factory=dict)
    item: Field | None = None
    clears: bool = False
    clearing: tuple[str, ...] = ()
    deciding: tuple[str, ...] = ()


@dataclasses.dataclass
class Kind:
    """A document kind: first minor release with it, whether documents have names, whether workers may have it, and its fields."""

    kind: str
    since: int
    named: bool
    control_plane_only: bool
    root: Field


# Go's address types: up to 1.13 they could not be merged, not even with an absent one.
NETWORK = ("addr", "prefix", "addrport")

STRING = Field("<k>", "", "string", False, "nonzero", 5)
ARG = Field("<k>", "", "arg", False, "-", 5)
SECRET_STRING = dataclasses.replace(STRING, secret=True)


def _leaf(path: str, words: list[str]) -> Field:
    kind, merge, since, marks = words
    flags, _colon, deciding = marks.partition(":")
    segment = path.rpartition(".")[2]
    name = "[]" if segment.endswith("[]") else segment
    pointer = kind.startswith("*")
    printed = ALWAYS if "P" in flags else LAST_FORMER if "F" in flags else 0
    decides = tuple(deciding.split(",")) if deciding else ()
    empty = FIRST_EMPTY if "E" in flags else ALWAYS
    return Field(name, path, kind.removeprefix("*"), pointer, merge, int(since), printed, empty, "S" in flags, "M" in flags, deciding=decides)


def _attach(parent: Field, child: Field) -> None:
    child.secret = child.secret or parent.secret
    if child.name in ("[]", "<k>"):
        parent.item = child
    else:
        parent.fields[child.name] = child


def _parent_path(path: str) -> str:
    return path[:-2] if path.endswith("[]") else path.rpartition(".")[0]


def _default_items(field: Field) -> None:
    """A map row without an item row is a map of strings (or of arguments)."""
    if field.kind == "map" and field.item is None:
        field.item = ARG if field.merge == "args" else SECRET_STRING if field.secret else STRING


def _mark_clearing(field: Field) -> bool:
    """Compute clears bottom-up: pointers stop it, because an absent pointer means nothing is merged below."""
    below = tuple(name for name, child in field.fields.items() if _mark_clearing(child))
    if field.item is not None and field.item is not STRING:
        _mark_clearing(field.item)
    field.clearing = below
    field.clears = (
        field.merge in ("always", "slots")
        or (field.merge == "nonzero" and field.kind in NETWORK)
        or (field.kind == "struct" and not field.pointer and bool(below))
    )
    return field.clears


@functools.cache
def kind(name: str) -> Kind | None:
    """The document kind of that name ("" for the legacy document), or None."""
    if name not in KINDS:
        return None
    since, flags, rows = KINDS[name]
    root = Field("", "", "struct", True, "deep", since)
    by_path = {"": root}
    for row in rows.strip().splitlines():
        path, *words = row.split(" ")
        field = by_path[path] = _leaf(path, words)
        _attach(by_path[_parent_path(path)], field)
    for field in by_path.values():
        _default_items(field)
    _mark_clearing(root)
    return Kind(name, since, "n" in flags, "c" in flags, root)


def kinds() -> t.Iterator[str]:
    """All document kinds."""
    return iter(KINDS)
