# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases made for one row of the field table each: its path set, changed, taken away, left alone by blanks, and refused."""

from __future__ import annotations

import copy
import json
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.table import Field

from . import values, yamlwriter
from .cases import Case, Row, known, rows
from .skeletons import CONTROL_PLANE, DOCUMENTS, WORKER

FIRST_DELETE = 8

# The key by which items of a list meet, by merge rule of the list.
ITEM_KEYS: dict[str, tuple[str, t.Any]] = {
    "by-device": ("interface", "eth0"),
    "by-vlan": ("vlanId", 100),
    "by-name": ("name", "PodSecurity"),
    "by-mountpath": ("mountPath", "/etc/a"),
    "by-image": ("image", "registry.example/*"),
}


def cases(minor: int) -> t.Iterator[Case]:
    """The cases of all rows of a release."""
    for number, row in enumerate(rows(minor)):
        yield from RowCases(row, number, minor).cases()


class RowCases:
    """Makes one row's cases; number varies their values and their form."""

    def __init__(self, row: Row, number: int, minor: int) -> None:
        self.row = row
        self.number = number
        self.minor = minor

    def cases(self) -> t.Iterator[Case]:
        """Set, change, both after another, take away, JSON, blank, wrong, odd, and for structs an unknown key."""
        first, second = self.value(0), self.value(1)
        yield self.strategic("set", self.base(None), self.patch(first))
        yield self.strategic("change", self.base(first), self.patch(second))
        yield self.strategic("twice", self.base(None), self.patch(second), self.patch(self.value(2)))
        yield from self.removal(first)
        yield from self.json(first, second)
        blanks = (None, values.empty(self.row.field))
        yield self.strategic("blank", self.base(first), self.patch(blanks[self.number % len(blanks)]))
        yield self.strategic("wrong", self.base(None), self.patch(values.wrong(self.row.field)))
        if self.number % 2:
            odd = values.odd(self.row.field)
            yield self.strategic("odd", self.base(first), self.patch(odd[self.number // 2 % len(odd)]))
        if self.row.field.kind == "struct":
            yield self.strategic("unknown", self.base(first), self.patch({"unknownKey": self.number}))

    # ---- values and places ------------------------------------------------------------------------------------------------------------

    def value(self, turn: int) -> t.Any:
        """The row's good value of a turn."""
        return sample(self.row.kind, self.row.field, self.minor, self.number + turn)

    def place(self, value: t.Any, keys: bool = True) -> dict[str, t.Any]:
        """A document's body with nothing but the value at the row's path, and the keys by which list items meet."""
        for parent, field in zip(reversed(self.row.chain[:-1]), reversed(self.row.chain), strict=False):
            value = _wrap(parent, field, value, keys)
        return t.cast("dict[str, t.Any]", value)

    def document(self, value: t.Any, keys: bool = True) -> dict[str, t.Any]:
        """A patch's document: with the value at the row's path and nothing else."""
        body = self.place(value, keys)
        if not self.row.kind:
            return {"machine": {}, **body} if not {"machine", "cluster"} & body.keys() else body
        return {**self.head(), **body}

    def head(self) -> dict[str, t.Any]:
        """What identifies a document of the row's kind."""
        name = {"name": DOCUMENTS.get(self.row.kind, {}).get("name", "eth9")} if "name" in self.row.chain[0].fields else {}
        return {"apiVersion": "v1alpha1", "kind": self.row.kind, **name}

    def skeleton(self) -> dict[str, t.Any]:
        """A valid document of the row's kind without the row."""
        whole = {**self.head(), **DOCUMENTS.get(self.row.kind, {})} if self.row.kind else CONTROL_PLANE if self.number % 2 else WORKER
        return without(whole, [field.name for field in self.row.chain[1:]])

    def base(self, value: t.Any) -> list[t.Any]:
        """The base: a valid document with the value (None: without the path), now and then more documents."""
        head = self.row.field.name in ("apiVersion", "kind") or (self.row.kind and self.row.field.path == "name")
        document = self.skeleton() if value is None else merged(self.skeleton(), self.place(value))
        if not self.row.kind:
            return [document]
        legacy = CONTROL_PLANE if known(self.row.kind).control_plane_only or self.number % 2 else WORKER
        documents = [] if head and value is None else [document]
        return documents if self.number % 3 and documents else [legacy, *documents]

    def patch(self, value: t.Any) -> list[t.Any]:
        """A strategic patch that sets the path; every ninth brings a second document."""
        more = {"apiVersion": "v1alpha1", "kind": "KmsgLogConfig", "name": "more", "url": "tcp://127.0.0.1:1"}
        return [self.document(value), *([more] if self.number % 9 == 8 else [])]

    def strategic(self, variant: str, base: list[t.Any], *patches: list[t.Any]) -> Case:
        """A case with strategic patches, now and then in flow style."""
        write = yamlwriter.flow if self.number % 10 == 7 else yamlwriter.block
        return Case(yamlwriter.block(base), tuple(write(patch) for patch in patches), f"{self.row.name} {variant}")

    # ---- deletes and JSON patches -----------------------------------------------------------------------------------------------------

    def removal(self, first: t.Any) -> t.Iterator[Case]:
        """The path taken away, by $patch: delete where the release has it."""
        if self.row.field.path in ("apiVersion", "kind"):
            yield self.strategic("delete", self.base(first), [{**self.document(first), "$patch": "delete"}])
        elif self.minor >= FIRST_DELETE or self.number % 4 == 0:
            yield self.strategic("delete", self.base(first), [self.deletion(first)])

    def deletion(self, first: t.Any) -> dict[str, t.Any]:
        """A document that deletes the row: itself; in a list mostly the item that has the row's value, or the whole list."""
        marked = {"$patch": "delete"}
        outer = next((number for number, field in enumerate(self.row.chain) if field.kind == "list"), len(self.row.chain))
        inside = len(self.row.chain) - outer - 1
        if inside <= 0 or self.number % 5 == 0:
            return self.document(marked)
        item = first if inside == 1 else {self.row.field.name: first} if inside == 2 else None
        if isinstance(item, dict) and self.number % 5 in (1, 2):
            return RowCases(Row(self.row.kind, self.row.chain[: outer + 2]), 0, self.minor).document({**item, **marked}, keys=False)
        return RowCases(Row(self.row.kind, self.row.chain[: outer + 1]), 0, self.minor).document(marked)

    def json(self, first: t.Any, second: t.Any) -> t.Iterator[Case]:
        """One JSON patch: adds, replaces, removes, tests, copies or moves."""
        base = [document for document in self.base(first) if document.get("kind", "") == self.row.kind]
        path = pointer(base[0], self.row)
        plain = json.loads(json.dumps(second))
        operations: list[dict[str, t.Any]] = [
            {"op": "replace", "path": path, "value": plain},
            {"op": "remove", "path": path},
            {"op": "add", "path": path, "value": plain},
            {"op": "test", "path": path, "value": plain},
            {"op": "copy", "from": path, "path": path.rpartition("/")[0] + "/copied"},
            {"op": "move", "from": path, "path": path.rpartition("/")[0] + "/moved"},
        ]
        chosen = operations[self.number % len(operations)]
        text = json.dumps([chosen]) if self.number % 4 else yamlwriter.block([[chosen]])
        yield Case(yamlwriter.block(base), (text,), f"{self.row.name} json-{chosen['op']}")


def sample(kind: str, field: Field, minor: int, turn: int) -> t.Any:
    """A small good value of a row: a scalar, or a collection with one entry."""
    if field.kind == "struct":
        names = [name for name, child in field.fields.items() if child.since <= minor]
        simple = [name for name in names if field.fields[name].kind not in ("struct", "list", "map")] or names
        if not simple:
            return {}
        name = simple[turn % len(simple)]
        return {name: sample(kind, field.fields[name], minor, turn)}
    if field.kind in ("list", "map"):
        item = sample(kind, t.cast(Field, field.item), minor, turn)
        key, word = ITEM_KEYS.get(field.merge, ("", ""))
        if key:
            item = {key: word, **item}
        return [item] if field.kind == "list" else {"a" if turn % 2 else "b": item}
    pool = values.good(kind, field)
    return pool[turn % len(pool)]


def _wrap(parent: Field, field: Field, value: t.Any, keys: bool) -> t.Any:
    if parent.kind == "list":
        key, word = ITEM_KEYS.get(parent.merge, ("", "")) if keys else ("", "")
        return [{key: word, **value} if key and isinstance(value, dict) else value]
    return {"a": value} if parent.kind == "map" else {field.name: value}


def merged(base: t.Any, more: t.Any) -> t.Any:
    """Two data trees in one; more wins."""
    if isinstance(base, dict) and isinstance(more, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in more.items()}}
    return more


def without(data: dict[str, t.Any], path: list[str]) -> dict[str, t.Any]:
    """The data without what is at a path."""
    result = copy.deepcopy(data)
    below: t.Any = result
    for name in path[:-1]:
        below = below.get(name) if isinstance(below, dict) else None
    if isinstance(below, dict):
        below.pop(path[-1], None)
    return result


def pointer(document: t.Any, row: Row) -> str:
    """The JSON pointer to the row in a document."""
    path, below = "", document
    for field in row.chain[1:]:
        step: t.Any = 0 if field.name == "[]" else next(iter(below)) if field.name == "<k>" and below else field.name
        path += f"/{step}"
        below = below[step] if isinstance(below, (dict, list)) and (not isinstance(below, dict) or step in below) else {}
    return path
