# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""JSON patches (RFC 6902) with the habits of the library Talos uses (evanphx/json-patch)."""

from __future__ import annotations

import dataclasses
import typing as t

from .decode import merge_keys, untyped
from .scalars import OLD_BOOLS, Timestamp
from .yamltext import MAX_DEPTH, MAX_NODES, ConfigError, Mapping, Node, Scalar, Sequence, shown_key

MISSING: t.Any = object()

# Moving makes nothing larger, but each time takes a look at all that is moved.
MAX_MOVED = 10 * MAX_NODES


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation; source is the "from" of move and copy."""

    op: str
    path: str
    source: str
    value: t.Any


def operations(node: Sequence) -> list[Operation]:
    """A YAML or JSON list of operations. Raises ConfigError if it is not one."""
    return [_operation(item) for item in node.items]


def _operation(item: Node) -> Operation:
    if not isinstance(item, Mapping):
        raise ConfigError(f"line {item.line}: a JSON patch must be a list of operations with op, path and value")
    words = {key.text: value.text for key, value in item.pairs if isinstance(value, Scalar)}
    value = item.get("value")
    return Operation(words.get("op", "unknown"), words.get("path", ""), words.get("from", ""), None if value is None else _printed(untyped(value)))


def _printed(value: t.Any) -> t.Any:
    """Times become texts, in full: JSON has none."""
    if isinstance(value, dict):
        return {key: _printed(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_printed(item) for item in value]
    return str(value) if isinstance(value, Timestamp) else value


def read(node: Node) -> t.Any:
    """A document as the patch sees it: YAML 1.1, in which yes, no, on and off are booleans."""
    if isinstance(node, Scalar):
        value = untyped(node)
        if node.plain and not node.tag and isinstance(value, str) and value in OLD_BOOLS:
            return OLD_BOOLS[value]
        return value.source if isinstance(value, Timestamp) else value  # JSON has no times
    if isinstance(node, Sequence):
        return [read(item) for item in node.items]
    merged: dict[str, t.Any] = {}
    for key, value in node.pairs:
        if key.text == "<<" and key.plain:
            merged = merge_keys(read(value), merged, key)
        else:
            merged[_key(key)] = read(value)
    return merged


def _key(node: Scalar) -> str:
    """An unquoted yes or off as a key becomes the word true or false."""
    if node.plain and not node.tag and node.text in OLD_BOOLS:
        return str(OLD_BOOLS[node.text]).lower()
    return node.text


def apply(data: t.Any, patch: t.Sequence[Operation]) -> t.Any:
    """The data after all operations; raises ConfigError at the first that does not apply, or when copying or moving makes it too large or too deep."""
    if not isinstance(data, (dict, list, type(None))):
        raise ConfigError("a JSON patch changes a mapping or a list")
    result = _copied(data)
    copied = moved = 0
    for operation in patch:
        size = _size(result, operation)
        copied, moved = (copied, moved + size) if operation.op == "move" else (copied + size, moved)
        if copied > MAX_NODES or moved > MAX_MOVED:
            raise ConfigError(f"too large once its values are copied and moved (more than {MAX_NODES} copied or {MAX_MOVED} moved)")
        try:
            handler = HANDLERS[operation.op]
        except KeyError:
            raise ConfigError(f"Unexpected kind: {shown_key(operation.op)}") from None
        result = handler(result, operation)
    return result


def _copied(value: t.Any) -> t.Any:
    """A copy of plain data (copy.deepcopy takes ten times as long)."""
    if isinstance(value, dict):
        return {key: _copied(entry) for key, entry in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _size(data: t.Any, operation: Operation) -> int:
    """How many values an operation puts somewhere. Raises ConfigError if it goes too deep."""
    value = operation.value
    if operation.op in ("copy", "move"):
        value = _get(*_find(data, operation.source))
    size, depth = _extent(value)
    if depth + operation.path.count("/") > MAX_DEPTH:
        raise ConfigError(f"nested deeper than {MAX_DEPTH} levels")
    return size


def _extent(value: t.Any) -> tuple[int, int]:
    """How many values there are in a value, and how many levels."""
    if not isinstance(value, (dict, list)):
        return 1, 0
    size, depth = 1, 0
    for entry in value.values() if isinstance(value, dict) else value:
        more, below = _extent(entry)
        size, depth = size + more, max(depth, below)
    return size, depth + 1


def _shown(path: str) -> str:
    return "/".join(part and shown_key(part) for part in path.split("/"))


def _find(data: t.Any, path: str) -> tuple[t.Any, str]:
    """The collection that holds the last step of path, or MISSING, and that step."""
    parts = path.split("/")
    if len(parts) < 2 or not isinstance(data, (dict, list)):
        return MISSING, ""
    *way, last = (part.replace("~1", "/").replace("~0", "~") for part in parts[1:])
    for part in way:
        data = _get(data, part)
        if data is MISSING or data is None or not isinstance(data, (dict, list)):
            return MISSING, last
    return data, last


def _index(text: str, length: int, path: str) -> int:
    digits = text.removeprefix("-")
    if not digits.isdecimal() or len(digits) > 9:
        raise ConfigError(f'"{_shown(path)}": a list position must be a number')
    index = int(text)
    if not -length <= index < length:
        raise ConfigError(f'"{_shown(path)}": unable to access invalid index: {index}')
    return index + length if index < 0 else index


def _get(data: t.Any, part: str) -> t.Any:
    if isinstance(data, dict):
        return data.get(part, MISSING)
    if isinstance(data, list):
        digits = part.removeprefix("-")
        if digits.isdecimal() and len(digits) < 9 and -len(data) <= int(part) < len(data):
            return data[int(part)]
    return MISSING


def _add(data: t.Any, operation: Operation) -> t.Any:
    parent, last = _find(data, operation.path)
    if parent is MISSING:
        raise ConfigError(f'add operation does not apply: doc is missing path: "{_shown(operation.path)}": missing value')
    value = _copied(operation.value)
    if isinstance(parent, dict):
        parent[last] = value
    else:
        parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1, operation.path), value)
    return data


def _remove(data: t.Any, operation: Operation) -> t.Any:
    parent, last = _find(data, operation.path)
    if parent is MISSING:
        raise ConfigError(f'remove operation does not apply: doc is missing path: "{_shown(operation.path)}": missing value')
    if isinstance(parent, list):
        del parent[_index(last, len(parent), operation.path)]
    elif last in parent:
        del parent[last]
    else:
        raise ConfigError(f"error in remove for path: '{_shown(operation.path)}': Unable to remove nonexistent key: {shown_key(last)}: missing value")
    return data


def _replace(data: t.Any, operation: Operation) -> t.Any:
    if operation.path == "":
        if not isinstance(operation.value, (dict, list)):
            raise ConfigError("replace operation value must be object or array")
        return _copied(operation.value)
    parent, last = _find(data, operation.path)
    if parent is MISSING:
        raise ConfigError(f"replace operation does not apply: doc is missing path: {_shown(operation.path)}: missing value")
    if isinstance(parent, list):
        parent[_index(last, len(parent), operation.path)] = _copied(operation.value)
    else:
        parent[last] = _copied(operation.value)
    return data


def _taken(data: t.Any, operation: Operation) -> t.Any:
    """What a copy or move takes; a missing member of an object counts as null."""
    parent, last = _find(data, operation.source)
    value = _get(parent, last)
    if value is MISSING and isinstance(parent, dict):
        return None
    if value is MISSING:
        raise ConfigError(f"{operation.op} operation does not apply: doc is missing from path: {_shown(operation.source)}: missing value")
    return value


def _move(data: t.Any, operation: Operation) -> t.Any:
    value = _taken(data, operation)
    data = _remove(data, dataclasses.replace(operation, path=operation.source))
    return _add(data, dataclasses.replace(operation, value=value))


def _copy(data: t.Any, operation: Operation) -> t.Any:
    return _add(data, dataclasses.replace(operation, value=_taken(data, operation)))


def _test(data: t.Any, operation: Operation) -> t.Any:
    """A missing member equals null only."""
    parent, last = ({"": {} if data is None else data}, "") if operation.path == "" else _find(data, operation.path)
    if parent is MISSING:
        raise ConfigError(f"test operation does not apply: is missing path: {_shown(operation.path)}: missing value")
    if isinstance(parent, list):
        _index(last, len(parent), operation.path)
    found = _get(parent, last)
    if found is MISSING:
        found = None
    if not _equal(found, operation.value):
        raise ConfigError(f"testing value {_shown(operation.path)} failed: test failed")
    return data


def _equal(left: t.Any, right: t.Any) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)


HANDLERS = {"add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test}
