# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Strict decoding: nodes to typed values, by the field table.

Values: structs and maps are dicts (an absent or null field has no entry), lists are lists, certificates {"crt", "key"} dicts in base64, untyped
data plain Python; scalars as scalars.parse() says. Problems are collected, each naming path and line.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import scalars
from .table import NETWORK, Field
from .yamltext import ConfigError, Mapping, Node, Scalar, Sequence, shown_key

NULLS_REFUSED_SINCE = 14

# Types that are structs without fields in Go: earlier releases took {} for an unset one (and lists of bytes for hardware addresses).
OPAQUE = frozenset(("addr", "prefix", "addrport", "cel", "bytesize", "size"))
OPAQUE_REFUSED_SINCE = 13


@dataclasses.dataclass
class Decoder:
    """Decodes one document for one Talos release (minor), collecting problems; timed: its untyped data holds a time."""

    minor: int
    problems: list[str] = dataclasses.field(default_factory=list)
    timed: bool = False

    def problem(self, node: Node, path: str, text: str) -> None:
        """Remember one problem."""
        self.problems.append(f"line {node.line}: {path or 'document'}: {text}")

    def value(self, node: Node, field: Field, path: str) -> t.Any:
        """A node as a field's value; None for null or what could not be decoded."""
        if isinstance(node, Scalar) and node.is_null:
            return None
        method = getattr(self, "_" + field.kind.partition(":")[0], self._scalar)
        return method(node, field, path)

    def _scalar(self, node: Node, field: Field, path: str) -> t.Any:
        if isinstance(node, Mapping) and self.minor < OPAQUE_REFUSED_SINCE and field.kind in OPAQUE:
            for key, _value in node.pairs:
                self.problem(key, f"{path}.{shown_key(key.text)}", "unknown key")
            return "" if field.kind in NETWORK else None
        if isinstance(node, Sequence) and self.minor < OPAQUE_REFUSED_SINCE and field.kind == "hwaddr":
            numbers = [self.value(item, BYTE, f"{path}[{index}]") for index, item in enumerate(node.items)]
            return ":".join(f"{number:02x}" for number in numbers if number is not None)
        if not isinstance(node, Scalar):
            self.problem(node, path, f"must be a single value, not a {_shape(node)}")
            return None
        try:
            return scalars.parse(node, field.kind, self.minor)
        except ConfigError as error:
            self.problem(node, path, str(error))
            return None

    def _struct(self, node: Node, field: Field, path: str) -> dict[str, t.Any] | None:
        if not isinstance(node, Mapping):
            self.problem(node, path, f"must be a mapping, not a {_shape(node)}")
            return None
        result: dict[str, t.Any] = {}
        for key, child_node in node.pairs:
            child = field.fields.get(key.text)
            below = f"{path}.{shown_key(key.text)}" if path else shown_key(key.text)
            if child is None or child.since > self.minor:
                hint = f" (first in Talos 1.{child.since})" if child else ""
                self.problem(key, below, f"unknown key{hint}")
                continue
            value = self.value(child_node, child, below)
            if value is not None:
                result[key.text] = value
        return result

    def _list(self, node: Node, field: Field, path: str) -> list[t.Any] | None:
        if not isinstance(node, Sequence):
            self.problem(node, path, f"must be a list, not a {_shape(node)}")
            return None
        item = t.cast(Field, field.item)
        self._refuse_nulls([(entry, f"{path}[{index}]") for index, entry in enumerate(node.items)], item)
        values = [self.value(entry, item, f"{path}[{index}]") for index, entry in enumerate(node.items)]
        keep_null = item.pointer or item.kind in ("list", "map")
        return values if keep_null else [value for value in values if value is not None]

    def _map(self, node: Node, field: Field, path: str) -> dict[str, t.Any] | None:
        if not isinstance(node, Mapping):
            self.problem(node, path, f"must be a mapping, not a {_shape(node)}")
            return None
        item = t.cast(Field, field.item)
        self._refuse_nulls([(entry, f"{path}[{shown_key(key.text)}]") for key, entry in node.pairs], item)
        values = {key.text: self.value(entry, item, f"{path}[{shown_key(key.text)}]") for key, entry in self._keys(node, path)}
        return {key: zero(item) if value is None else value for key, value in values.items()}

    def _refuse_nulls(self, entries: list[tuple[Node, str]], item: Field) -> None:
        """From 1.14 on, items that may be absent must not be null in lists and maps."""
        if item.pointer and self.minor >= NULLS_REFUSED_SINCE:
            for entry, path in entries:
                if isinstance(entry, Scalar) and entry.is_null:
                    self.problem(entry, path, "null value is not allowed")

    def _keys(self, node: Mapping, path: str) -> list[tuple[Scalar, Node]]:
        """The pairs of a mapping whose keys are texts: without null keys, and from 1.14 on times are refused."""
        for key, _value in node.pairs:
            if scalars.is_time(key, self.minor):
                self.problem(key, path, "a key such as 2024-01-01 is a time for Talos: it must be quoted")
        return [(key, value) for key, value in node.pairs if not key.is_null]

    def _is_time(self, node: Node) -> bool:
        return isinstance(node, Scalar) and scalars.is_time(node, self.minor)

    def _arg(self, node: Node, field: Field, path: str) -> str | list[str] | None:
        texts = node.items if isinstance(node, Sequence) and self.minor >= 13 else [node]
        if all(isinstance(entry, Scalar) and not self._is_time(entry) for entry in texts):
            known = [entry.text for entry in texts if isinstance(entry, Scalar) and not (entry.is_null and entry is not node)]
            return known if isinstance(node, Sequence) else known[0]
        words = "a string or a list of strings" if self.minor >= 13 else "a string"
        self.problem(node, path, f"must be {words} (a time such as 2024-01-01 must be quoted)" if any(map(self._is_time, texts)) else f"must be {words}")
        return None

    def _x509(self, node: Node, field: Field, path: str) -> dict[str, str] | None:
        parts = field.kind.partition(":")[2].split(",")
        if not isinstance(node, Mapping):
            self.problem(node, path, f"must be a mapping with {' and '.join(parts)}, not a {_shape(node)}")
            return None
        result = dict.fromkeys(parts, "")
        for key, entry in node.pairs:
            if key.text not in parts:
                self.problem(key, f"{path}.{shown_key(key.text)}", "unknown key")
                continue
            result[key.text] = self.value(entry, PARTS[key.text], f"{path}.{key.text}") or ""
        return result

    def _unstructured(self, node: Node, field: Field, path: str) -> dict[str, t.Any] | None:
        if not isinstance(node, Mapping):
            self.problem(node, path, f"must be a mapping, not a {_shape(node)}")
            return None
        pairs = self._keys(node, path)
        for key, entry in pairs:
            self._untyped_keys(entry, f"{path}.{shown_key(key.text)}")
        value = t.cast("dict[str, t.Any]", untyped(dataclasses.replace(node, pairs=pairs)))
        self.timed = self.timed or (not field.plain_map and holds_time(value))
        return value

    def _untyped_keys(self, node: Node, path: str) -> None:
        """Below the first level of untyped data, Talos crashes on keys that are not texts."""
        if isinstance(node, Sequence):
            for index, item in enumerate(node.items):
                self._untyped_keys(item, f"{path}[{index}]")
        elif isinstance(node, Mapping):
            for key, value in node.pairs:
                below = f"{path}.{shown_key(key.text)}"
                word = scalars.resolve(key)
                if not isinstance(word, str) or isinstance(word, scalars.Timestamp):
                    self.problem(key, below, "a key in untyped data must be a text: it must be quoted")
                self._untyped_keys(value, below)


BYTE = Field("[]", "", "uint8", False, "-", 5)
PARTS = {"crt": Field("crt", "", "bytes", False, "take", 5), "key": Field("key", "", "key", False, "take", 5, secret=True)}


def _shape(node: Node) -> str:
    return {Mapping: "mapping", Sequence: "list", Scalar: "single value"}[type(node)]


def zero(field: Field) -> t.Any:
    """A map value that was written as null: the type's zero (None for pointers and structs)."""
    return {"string": "", "arg": "", "bool": False}.get(field.kind)


def holds_time(value: t.Any) -> bool:
    """Whether plain data holds a time."""
    if isinstance(value, dict):
        return any(map(holds_time, value.values()))
    if isinstance(value, list):
        return any(map(holds_time, value))
    return isinstance(value, scalars.Timestamp)


def untyped(node: Node) -> t.Any:
    """Untyped data: dicts, lists and scalars as YAML 1.2 reads them; merge keys (<<) are followed."""
    if isinstance(node, Scalar):
        return scalars.resolve(node)
    if isinstance(node, Sequence):
        return [untyped(item) for item in node.items]
    result: dict[str, t.Any] = {}
    for key, value in node.pairs:
        if key.text == "<<" and key.plain:
            result = merge_keys(untyped(value), result, key)
        else:
            result[key.text] = untyped(value)
    return result


def merge_keys(sources: t.Any, result: dict[str, t.Any], key: Scalar) -> dict[str, t.Any]:
    """What a merge key (<<) brings: a mapping or a list of mappings; what is there already stays. Raises ConfigError for anything else."""
    for source in sources if isinstance(sources, list) else [sources]:
        if not isinstance(source, dict):
            raise ConfigError(f"line {key.line}: map merge (<<) requires a mapping or a list of mappings as the value")
        result = {**source, **result}
    return result
