# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Strategic merge: Talos' rules over decoded values, chosen by the field table.

Nothing is changed in place: results share what did not change with the base, so one base serves many nodes.
"""

from __future__ import annotations

import typing as t

from . import urls
from .scalars import zero_word
from .table import NETWORK, Field
from .yamltext import ConfigError, shown_key

Rule = t.Callable[[t.Any, t.Any, Field, "Merger", str], t.Any]


# Pairs of list items that one patch may have to compare: a thousand items meeting a thousand.
MAX_PAIRS = 2_000_000


class Merger:
    """Merges for one Talos release (minor). notes tells what a user would not expect, by path; pairs counts items compared."""

    def __init__(self, minor: int) -> None:
        self.minor = minor
        self.notes: list[str] = []
        self.pairs = 0

    def struct(self, left: dict[str, t.Any], right: dict[str, t.Any], field: Field, path: str) -> dict[str, t.Any]:
        """Two structs of the same field."""
        result = dict(left)
        for name in dict.fromkeys((*field.clearing, *right)):
            child = field.fields[name]
            value = self.value(left.get(name), right.get(name), child, f"{path}.{name}" if path else name)
            if value is None:
                result.pop(name, None)
            else:
                result[name] = value
        return result

    def value(self, left: t.Any, right: t.Any, field: Field, path: str) -> t.Any:
        """Two values of one field; None is absent. Only what clears acts on an absent right side."""
        if right is None and not field.clears:
            return left
        return RULES[field.merge](left, right, field, self, path)


def _nonzero(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    if field.kind in NETWORK and merger.minor <= 13:
        raise ConfigError(f"{path}: merge not possible, Talos 1.{merger.minor} cannot merge addresses; delete the document first ($patch: delete)")
    if left is not None and (right is None or is_zero(right, field)):
        if right is not None and right != left and field.kind.startswith("enum:"):
            merger.notes.append(f"{path}: the patch's {right} is ignored, because Talos takes it for unset; delete the old value first ($patch: delete)")
        return left
    return right


def is_zero(value: t.Any, field: Field) -> bool:
    """Whether a scalar by value is Go's zero (and so cannot overwrite)."""
    if field.kind.startswith("enum:"):
        return value in ("", zero_word(field.kind))
    return value in ("", 0) and value is not False


def _present(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    """Optional scalars: up to 1.11 only false, not 0 or "", overwrote."""
    if left is not None and merger.minor <= 11 and is_zero(right, field):
        return left
    return right


def _take(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    return right


def _replace(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    """Replaced as a whole; empty untyped data is Go's zero and replaces nothing."""
    return left if field.kind == "unstructured" and not right and left is not None else right


def _replace_since_14(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    return (_replace if merger.minor >= 14 else _append)(left, right, field, merger, path)


def _deep(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    if field.kind == "unstructured":
        return untyped(left, right, path)
    if left is None and (field.pointer or not field.clears):
        return right
    return merger.struct(left or {}, right or {}, field, path)


def _append(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    return [*left, *right] if left else right


def _keys(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    result = dict(left or {})
    item = t.cast(Field, field.item)
    for key, value in right.items():
        known = result.get(key)
        result[key] = value if known is None else merger.value(known, value, item, f"{path}[{shown_key(key)}]")
    return result


def _args(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    """Arguments: each key overwrites; up to 1.12 they were strings, of which "" does not overwrite."""
    if merger.minor >= 13:
        return {**(left or {}), **right}
    return {**(left or {}), **{key: value for key, value in right.items() if value or key not in (left or {})}}


def _url(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    """URLs merge part by part: only the parts that the right side has overwrite."""
    if not left or not right:
        return right or left
    try:
        return urls.merge(left, right)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _slots(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    """A size has a slot for bytes and, from 1.12 on, one for percent; each side keeps its own."""
    if merger.minor <= 11:
        return _always(left, right, field, merger, path)
    return {**(left or {}), **(right or {})} or None


def _always(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    """Overwritten even by an absent value. 1.8 could not merge these at all."""
    if merger.minor > 8:
        if left and not right:
            merger.notes.append(f"{path}: cleared, because a patch of this document that does not repeat the value clears it in Talos")
        return right
    if right:
        raise ConfigError(f"{path}: merge not possible, Talos 1.8 cannot change it in a document that exists; delete the document first ($patch: delete)")
    return left


def _error(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    if left is not None:
        raise ConfigError(f"{path}: merge not possible when both sides set it; delete the old one first ($patch: delete)")
    return right


# ---- lists whose items have keys --------------------------------------------------------------------------------------------------


def _same_device(left: dict[str, t.Any], right: dict[str, t.Any]) -> bool:
    if right.get("interface"):
        return bool(left.get("interface") == right["interface"])
    selector = right.get("deviceSelector")
    # Two selectors that set physical never match: Talos compares the pointers.
    return selector is not None and "physical" not in selector and left.get("deviceSelector") == selector


def _same(key: str, default: t.Any) -> t.Callable[[dict[str, t.Any], dict[str, t.Any]], bool]:
    return lambda left, right: left.get(key, default) == right.get(key, default)


def _there(entry: dict[str, t.Any] | None, path: str) -> dict[str, t.Any]:
    """An item to compare; Talos crashes on one that is null."""
    if entry is None:
        raise ConfigError(f"{path}: a list with a null item cannot be merged")
    return entry


def _by(match: t.Callable[[dict[str, t.Any], dict[str, t.Any]], bool]) -> Rule:
    """A rule for lists whose items are merged when they match, else appended."""

    def rule(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
        result = list(left or [])
        item = t.cast(Field, field.item)
        merger.pairs += (len(result) + len(right)) * len(right)
        if merger.pairs > MAX_PAIRS:
            raise ConfigError(f"{path}: too many items to be merged one by one (more than {MAX_PAIRS} pairs)")
        for entry in right:
            new = _there(entry, path)
            index = next((i for i, known in enumerate(result) if match(_there(known, path), new)), None)
            if index is None:
                result.append(new)
            else:
                result[index] = merger.struct(result[index], new, item, f"{path}[{index}]")
        return result

    return rule


def _by_image(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    """Rules of images replace those of the same image that the base had, else they are appended."""
    result = list(left or [])
    known = {entry.get("image", ""): index for index, entry in enumerate(result)}
    for entry in right:
        index = known.get(entry.get("image", ""))
        if index is None:
            result.append(entry)
        else:
            result[index] = entry
    return result


def _by_mountpath(left: t.Any, right: t.Any, field: Field, merger: Merger, path: str) -> t.Any:
    """Files of extensions meet by path, since 1.8."""
    rule = _append if merger.minor <= 7 else _by(_same("mountPath", ""))
    return rule(left, right, field, merger, path)


RULES: dict[str, Rule] = {
    "nonzero": _nonzero,
    "present": _present,
    "deep": _deep,
    "append": _append,
    "replace": _replace,
    "replace-14": _replace_since_14,
    "keys": _keys,
    "args": _args,
    "url": _url,
    "pair": _take,
    "take": _take,
    "always": _always,
    "slots": _slots,
    "error": _error,
    "by-device": _by(_same_device),
    "by-vlan": _by(_same("vlanId", 0)),
    "by-name": _by(_same("name", "")),
    "by-mountpath": _by_mountpath,
    "by-image": _by_image,
}


# ---- untyped data -----------------------------------------------------------------------------------------------------------------


def untyped(left: t.Any, right: t.Any, path: str) -> t.Any:
    """Untyped data: maps merge, lists append, zero scalars keep, booleans overwrite; types must be the same."""
    if left is None:
        return right
    if right is None:
        raise ConfigError(f"{path}: null cannot be merged over a value; delete the key with $patch: delete")
    if type(left) is not type(right):
        raise ConfigError(f"{path}: merge type mismatch left {_word(left)} right {_word(right)}")
    if isinstance(left, dict):
        result = dict(left)
        for key, value in right.items():
            result[key] = untyped(result[key], value, f"{path}.{shown_key(key)}") if result.get(key) is not None else value
        return result
    if isinstance(left, list):
        return [*left, *right]
    return right if right or isinstance(right, bool) else left


def _word(value: t.Any) -> str:
    words = {dict: "map", list: "list", str: "string", bool: "bool", int: "int", float: "float64"}
    return words.get(type(value), "time")
