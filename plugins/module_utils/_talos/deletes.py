# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""`$patch: delete`: found in a patch before it is decoded, applied to decoded documents."""

from __future__ import annotations

import dataclasses
import typing as t

from . import scalars, table
from .documents import Document, head
from .table import Field
from .yamltext import ConfigError, Mapping, Node, Scalar, Sequence, shown_key

FIRST_MINOR = 8
UNTYPED_SINCE = 12
HEAD_KEYS = frozenset(("version", "kind", "name"))


@dataclasses.dataclass(frozen=True)
class Delete:
    """One thing to delete: path () is the whole document; a path ending in "[i]" is the first list item whose field key reads value."""

    kind: str
    name: str
    path: tuple[str, ...]
    key: str = ""
    value: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """The document it addresses."""
        return self.kind, self.name

    @property
    def title(self) -> str:
        """The delete as messages call it."""
        where = f"{self.kind or 'v1alpha1'}/{shown_key(self.name)}" if self.name else self.kind or "v1alpha1"
        return f"patch delete: path '{shown_path(self.path)}' in document '{where}'"


def shown_path(path: t.Iterable[str]) -> str:
    """A path as Talos writes it."""
    return ".".join(part if part.startswith("[") else shown_key(part) for part in path)


class LookupFailed(ConfigError):
    """The base has nothing at the path to delete."""

    def __init__(self) -> None:
        super().__init__("lookup failed")


# ---- finding ----------------------------------------------------------------------------------------------------------------------


def extract(node: Node) -> tuple[list[Delete], Node | None]:
    """The deletes of one YAML document, and what is left of it to merge (None if nothing)."""
    found: list[tuple[tuple[str, ...], Mapping | None]] = []
    rest = _prune(node, (), False, found)
    deletes = [_delete(t.cast(Mapping, node), path, item) for path, item in found]
    if rest is None or (found and _only_head(rest)):
        return deletes, None
    return deletes, rest


def _prune(node: Node, path: tuple[str, ...], in_list: bool, found: list[tuple[tuple[str, ...], Mapping | None]]) -> Node | None:
    if isinstance(node, Mapping):
        return _prune_mapping(node, path, in_list, found)
    if isinstance(node, Sequence):
        items: list[Node] = []
        for item in node.items:
            # Positions count what is left before: Talos takes the deletes out one by one.
            rest = _prune(item, (*path, f"[{len(items)}]"), True, found)
            if rest is not None:
                items.append(rest)
        return Sequence(items, node.line) if items or not node.items else None
    return node


def _prune_mapping(node: Mapping, path: tuple[str, ...], in_list: bool, found: list[tuple[tuple[str, ...], Mapping | None]]) -> Node | None:
    pairs: list[tuple[Scalar, Node]] = []
    for key, value in node.pairs:
        if key.text == "$patch" and isinstance(value, Scalar) and value.text == "delete":
            if not in_list and any(part.startswith("[") for part in path):
                raise ConfigError(f"line {key.line}: cannot delete an inner key in '{shown_path(path)}'")
            found.append((path, node if in_list else None))
            return None
        rest = _prune(value, (*path, key.text), False, found)
        if rest is not None:
            pairs.append((key, rest))
    if node.pairs and not pairs:
        return None
    return Mapping(pairs, node.line)


def _only_head(node: Node) -> bool:
    return isinstance(node, Mapping) and all(key.text in HEAD_KEYS and isinstance(value, Scalar) for key, value in node.pairs)


def _delete(root: Mapping, path: tuple[str, ...], item: Mapping | None) -> Delete:
    kind, version = head(root, "kind"), head(root, "apiVersion")
    if bool(kind) != bool(version):
        raise ConfigError(f"line {root.line}: kind and apiVersion must be both set for path '{shown_path(path)}'")
    if not path and not kind:
        raise ConfigError(f"line {root.line}: missing kind in document for which $patch: delete is used")
    if table.kind(kind) is None or version not in ("", "v1alpha1"):
        kind = f"{shown_key(version)} {shown_key(kind)}"  # a document that no config has
    key, value = _selector(item, path) if item is not None else ("", "")
    return Delete(kind, head(root, "name"), path, key, value)


def _selector(item: Mapping, path: tuple[str, ...]) -> tuple[str, str]:
    """The first pair beside the marker says which item is meant."""
    for key, value in item.pairs:
        if not (key.text == "$patch" and isinstance(value, Scalar) and value.text == "delete"):
            return key.text, value.text if isinstance(value, Scalar) else ""
    raise ConfigError(f"line {item.line}: no key:value found beside $patch: delete in list item '{shown_path(path)}'")


# ---- applying ---------------------------------------------------------------------------------------------------------------------


def apply(document: Document, delete: Delete, minor: int) -> Document | None:
    """The document without what is deleted; None when the whole document goes. Raises ConfigError when there is no such thing."""
    if not delete.path:
        return None
    try:
        value = _without(document.value, document.kind.root, delete.path, delete, minor)
    except ConfigError as error:
        raise ConfigError(f"{delete.title}: failed to delete path '{shown_path(delete.path)}': {error}") from None
    return dataclasses.replace(document, value=value)


def _without(value: t.Any, field: Field, path: tuple[str, ...], delete: Delete, minor: int) -> t.Any:
    first, rest = path[0], path[1:]
    if field.kind == "struct":
        return _without_member(value, field, first, rest, delete, minor)
    if field.kind == "map":
        return _without_key(value, first, rest, t.cast(Field, field.item), delete, minor)
    if field.kind == "unstructured" and minor >= UNTYPED_SINCE:
        return _without_untyped(value, first, rest)
    if field.kind == "list":
        return _without_item(value, t.cast(Field, field.item), first, rest, delete, minor)
    raise LookupFailed()


def _without_member(value: t.Any, field: Field, first: str, rest: tuple[str, ...], delete: Delete, minor: int) -> t.Any:
    child = field.fields.get(first)
    if child is None or child.since > minor:
        raise LookupFailed()
    if not rest:
        return {key: entry for key, entry in value.items() if key != first}
    below = value.get(first)
    if below is None:
        if child.pointer or child.kind != "struct":
            raise LookupFailed()
        below = {}
    return {**value, first: _without(below, child, rest, delete, minor)}


def _without_key(value: dict[str, t.Any], first: str, rest: tuple[str, ...], item: Field, delete: Delete, minor: int) -> t.Any:
    if first not in value:
        raise LookupFailed()
    if not rest:
        return {key: entry for key, entry in value.items() if key != first}
    if value[first] is None:
        raise LookupFailed()
    return {**value, first: _without(value[first], item, rest, delete, minor)}


def _without_untyped(value: t.Any, first: str, rest: tuple[str, ...]) -> t.Any:
    if not isinstance(value, dict) or first not in value:
        raise LookupFailed()
    if not rest:
        return {key: entry for key, entry in value.items() if key != first}
    return {**value, first: _without_untyped(value[first], rest[0], rest[1:])}


def _without_item(value: list[t.Any], item: Field, first: str, rest: tuple[str, ...], delete: Delete, minor: int) -> t.Any:
    if rest:
        raise ConfigError("searching for complex paths in slices is not supported")
    if not first.startswith("["):
        raise ConfigError("searching for non-integer keys in slices is not supported")
    field = item.fields.get(delete.key) if item.kind == "struct" else None
    if field is None:
        raise LookupFailed()
    for index, entry in enumerate(value):
        if entry is not None and _reads(entry.get(delete.key), field, minor) == delete.value:
            return [*value[:index], *value[index + 1 :]]
    raise LookupFailed()


# What Go prints of an unset address or duration.
INVALID = {"addr": "invalid IP", "prefix": "invalid Prefix", "addrport": "invalid AddrPort", "duration": "0s", "filemode": "0o0"}


def _reads(value: t.Any, field: Field, minor: int) -> str | None:
    """The field as Go prints it; None for what no text can equal (numbers, structs)."""
    if field.kind == "url" and minor >= 12:
        return t.cast("str | None", value)
    if field.pointer:
        return None
    if field.kind in ("string", "cel", "disktype"):
        return str(value or "")
    if field.kind in INVALID and minor >= 12:
        return str(scalars.format_(value, field.kind)) if value else INVALID[field.kind]
    if field.kind.startswith("enum:") and minor >= 12:
        return str(value or scalars.zero_word(field.kind))
    return None
