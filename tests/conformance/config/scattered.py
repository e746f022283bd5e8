# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random cases: configs of several documents with many fields, patches of all kinds that mostly apply. The same seed gives the same cases."""

from __future__ import annotations

import json
import random
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.table import Field

from . import values, yamlwriter
from .cases import Case, kinds, known
from .directed import ITEM_KEYS, merged
from .skeletons import CONTROL_PLANE, DOCUMENTS, WORKER

NAMES = ("one", "two", "eth0", "eth10")
MAP_KEYS = ("a", "b", "eth2", "eth10", "x.y/z", "10", "true")
HEADS = ("apiVersion", "kind", "name", "version", *(key for key, _word in ITEM_KEYS.values()))


class Generator:
    """Makes cases for one release; a share of them is odd in a few places."""

    def __init__(self, seed: int, minor: int, share: float = 0.15) -> None:
        self.random = random.Random(seed)
        self.minor = minor
        self.share = share
        self.odd = 0.0
        self.kinds = kinds(minor)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def cases(self, count: int) -> t.Iterator[Case]:
        """So many cases."""
        return (self.case() for _ in range(count))

    def case(self) -> Case:
        """One case: a config of one or a few documents, one or two patches."""
        self.odd = 0.06 if self.chance(self.share) else 0.0
        chosen = [""] if self.chance(0.3) else self.random.sample(self.kinds, self.random.choice([1, 1, 2, 3]))
        density = self.random.choice([0.03, 0.06, 0.15]) if chosen == [""] else self.random.choice([0.3, 0.6, 0.9])
        base = [self.document(kind, density, self.chance(0.5)) for kind in chosen]
        patches = [self.patch(chosen, base, density) for _ in range(self.random.choice([1, 1, 1, 2]))]
        return Case(self.text(base), tuple(patches))

    def text(self, documents: list[t.Any]) -> str:
        """Documents as text, mostly in block style."""
        return yamlwriter.flow(documents) if self.chance(0.08) else yamlwriter.block(documents)

    # ---- values -----------------------------------------------------------------------------------------------------------------------

    def value(self, kind: str, field: Field, density: float) -> t.Any:
        """A random value of a field."""
        if self.chance(self.odd):
            return self.random.choice(values.odd(field))
        if field.kind == "struct":
            return self.struct(kind, field, density)
        if field.kind == "list":
            items = [self.value(kind, t.cast(Field, field.item), max(density, 0.4)) for _ in range(self.random.choice([0, 1, 1, 2]))]
            return [self._with_key(field, item) for item in items]
        if field.kind == "map":
            keys = self.random.sample(MAP_KEYS, self.random.choice([0, 1, 2, 3]))
            return {key: self.value(kind, t.cast(Field, field.item), density) for key in keys}
        return self.random.choice(values.good(kind, field))

    def _with_key(self, field: Field, item: t.Any) -> t.Any:
        key, word = ITEM_KEYS.get(field.merge, ("", ""))
        return {**item, key: word} if key and isinstance(item, dict) and self.chance(0.6) else item

    def struct(self, kind: str, field: Field, density: float) -> dict[str, t.Any]:
        """Some members of a struct; when odd, also one that is too new or unknown."""
        result = {
            name: self.value(kind, child, density)
            for name, child in field.fields.items()
            if name not in ("apiVersion", "kind") and (child.since <= self.minor or self.chance(self.odd)) and self.chance(density)
        }
        if self.chance(self.odd / 4):
            result["unknownKey"] = self.random.choice(["x", {"a": 1}, [{"b": 2}]])
        return result

    def document(self, kind: str, density: float, whole: bool = False) -> dict[str, t.Any]:
        """A document of a kind, its identity always right; a whole document is one that could be valid."""
        body = self.struct(kind, known(kind).root, density)
        if not kind:
            body.pop("version", None)
            body = body if {"machine", "cluster", "debug", "persist"} & body.keys() else {**body, "machine": {"type": "worker"}}
            return t.cast("dict[str, t.Any]", merged(self.random.choice([WORKER, CONTROL_PLANE]), body)) if whole else body
        head = {"apiVersion": "v1alpha1", "kind": kind}
        name = {"name": self.random.choice(NAMES)} if known(kind).named else {}
        rest = {key: value for key, value in body.items() if key != "name"}
        return {**head, **name, **t.cast("dict[str, t.Any]", merged(DOCUMENTS.get(kind, {}), rest) if whole else rest)}

    # ---- patches ----------------------------------------------------------------------------------------------------------------------

    def patch(self, chosen: list[str], base: list[t.Any], density: float) -> str:
        """A patch that concerns the base's documents, mostly."""
        if len(base) == 1 and self.chance(0.2) or self.chance(self.odd):
            return json.dumps([self.operation(base[0]) for _ in range(self.random.choice([1, 2]))])
        if self.minor >= 8 and self.chance(0.2):
            return self.text([self.deletes(self.subset(self.random.choice(base), 0.5), 0.3)])
        if self.minor >= 8 and self.chance(0.03):
            document = self.random.choice(base)
            return self.text([{key: document[key] for key in ("apiVersion", "kind", "name") if key in document} | {"$patch": "delete"}])
        documents = []
        for kind, first in zip(chosen, base, strict=True):
            document = self.document(kind, density)
            if "name" in first and self.chance(0.85):
                document["name"] = first["name"]
            documents.append(document)
        if self.chance(0.1):
            documents.append(self.document(self.random.choice(self.kinds), density))
        return self.text(documents)

    def deletes(self, value: t.Any, share: float) -> t.Any:
        """A value with some parts replaced by deletes."""
        if isinstance(value, dict):
            result = {key: self.deletes(entry, share) for key, entry in value.items()}
            for key in result:
                if key not in HEADS and self.chance(share):
                    result[key] = {"$patch": "delete"}
            return result
        if isinstance(value, list):
            return [{**item, "$patch": "delete"} if isinstance(item, dict) and self.chance(share * 2) else self.deletes(item, share / 6) for item in value]
        return value

    def subset(self, value: t.Any, share: float) -> t.Any:
        """Some of a value's parts."""
        if isinstance(value, dict):
            return {key: self.subset(entry, share) for key, entry in value.items() if key in HEADS or self.chance(share)}
        return value

    def operation(self, base: t.Any) -> dict[str, t.Any]:
        """A JSON patch operation on some path of the base."""
        path, value = "", base
        while isinstance(value, (dict, list)) and value and (not path or self.chance(0.85)):
            key = self.random.choice(list(value)) if isinstance(value, dict) else self.random.randrange(len(value))
            path, value = f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}", value[key]
        tails = ["/-", "/new", "/0", "/-1", "/a/b"] if self.odd else ["/new"] if isinstance(value, dict) else ["/-", "/0"] if isinstance(value, list) else [""]
        op = self.random.choice(["add", "add", "replace", "remove", "copy", *(["test", "move", "bogus"] if self.odd else [])])
        tail = self.random.choice(tails) if op in ("add", "copy") or self.odd else ""
        result: dict[str, t.Any] = {"op": op, "path": path + tail}
        if op in ("move", "copy"):
            result["from"] = path
        elif op != "remove":
            result["value"] = self.random.choice(["v", 1, None, True, [], {"a": 1}, value if isinstance(value, (int, str)) else "w"])
        return result
