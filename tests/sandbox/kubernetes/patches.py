# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The patch languages of the Kubernetes API: JSON patch (RFC 6902), JSON merge patch (RFC 7386) and strategic merge patch."""

from __future__ import annotations

import copy
import typing as t

from .errors import ApiError, bad_request, unsupported_media_type

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
ACCEPTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)

# Lists that merge by a key, and lists of scalars that merge as sets, by the name of their field (patchMergeKey in the API's types). Every other
# list is replaced as a whole, taints and tolerations among them.
MERGE_KEYS = {
    "conditions": "type",
    "addresses": "type",
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "env": "name",
    "imagePullSecrets": "name",
    "ownerReferences": "uid",
    "topologySpreadConstraints": "topologyKey",
}
MERGE_SETS = ("finalizers", "podCIDRs", "volumesInUse")


def _unprocessable(message: str) -> ApiError:
    return ApiError(422, "Invalid", message)


def _pointer(path: str) -> list[str]:
    if path == "":
        return []
    if not path.startswith("/"):
        raise _unprocessable("the server rejected our request due to an error in our request")
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _index(target: list[t.Any], key: str, *, adding: bool) -> int:
    try:
        index = len(target) if adding and key == "-" else int(key)
    except ValueError:
        raise _unprocessable(f"invalid array index {key!r}") from None
    if not 0 <= index < len(target) + adding:
        raise _unprocessable(f"array index {index} out of bounds")
    return index


def _walk(document: t.Any, parts: t.Sequence[str]) -> t.Any:
    for part in parts:
        if isinstance(document, list):
            document = document[_index(document, part, adding=False)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            raise _unprocessable("the server rejected our request due to an error in our request")
    return document


def _add(document: t.Any, parts: t.Sequence[str], value: t.Any) -> None:
    parent = _walk(document, parts[:-1])
    if isinstance(parent, list):
        parent.insert(_index(parent, parts[-1], adding=True), value)
    else:
        parent[parts[-1]] = value


def _remove(document: t.Any, parts: t.Sequence[str]) -> t.Any:
    found = _walk(document, parts)
    parent = _walk(document, parts[:-1])
    del parent[_index(parent, parts[-1], adding=False) if isinstance(parent, list) else parts[-1]]
    return found


def _operate(document: t.Any, step: dict[str, t.Any]) -> None:
    operation, parts = step.get("op"), _pointer(step.get("path", ""))
    if operation == "test":
        if _walk(document, parts) != step.get("value"):
            raise _unprocessable("the server rejected our request due to an error in our request")
    elif operation == "add":
        _add(document, parts, copy.deepcopy(step.get("value")))
    elif operation == "remove":
        _remove(document, parts)
    elif operation == "replace":
        _remove(document, parts)
        _add(document, parts, copy.deepcopy(step.get("value")))
    elif operation == "move":
        _add(document, parts, _remove(document, _pointer(step.get("from", ""))))
    elif operation == "copy":
        _add(document, parts, copy.deepcopy(_walk(document, _pointer(step.get("from", "")))))
    else:
        raise bad_request(f"Unexpected kind: {operation}")


def json_patch(document: dict[str, t.Any], steps: object) -> dict[str, t.Any]:
    """Apply a list of operations, all or none."""
    if not isinstance(steps, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    result = copy.deepcopy(document)
    for step in steps:
        _operate(result, step)
    return result


def merge_patch(document: t.Any, patch: t.Any) -> t.Any:
    """Null deletes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def _merge_keyed(current: list[t.Any], patch: list[t.Any], key: str) -> list[t.Any]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [copy.deepcopy(item) for item in patch if "$patch" not in item]
    result = copy.deepcopy(current)
    for item in patch:
        if key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        at = next((index for index, old in enumerate(result) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(strategic_patch({}, item))
        else:
            result[at] = strategic_patch(result[at], item)
    return result


def _merge_list(field: str, current: t.Any, patch: list[t.Any]) -> list[t.Any]:
    existing = current if isinstance(current, list) else []
    if field in MERGE_SETS:
        return [*existing, *(item for item in patch if item not in existing)]
    if field in MERGE_KEYS and all(isinstance(item, dict) for item in patch):
        return _merge_keyed(existing, patch, MERGE_KEYS[field])
    return copy.deepcopy(patch)


def _directive(result: dict[str, t.Any], key: str, value: t.Any) -> None:
    """$deleteFromPrimitiveList, $retainKeys; the order of elements ($setElementOrder) is not kept by what we store."""
    directive, _, field = key.partition("/")
    if directive == "$deleteFromPrimitiveList":
        result[field] = [item for item in result.get(field) or [] if item not in value]
    elif directive == "$retainKeys":
        for gone in [name for name in result if name not in value]:
            del result[gone]


def strategic_patch(document: dict[str, t.Any], patch: dict[str, t.Any]) -> dict[str, t.Any]:
    """Kubernetes' own merge: like a merge patch, but some lists merge by key."""
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    result = copy.deepcopy(document)
    for key, value in patch.items():
        if key.startswith("$"):
            _directive(result, key, value)
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            merged = strategic_patch(result.get(key) or {}, value)
            result[key] = {} if merged.get("$patch") == "delete" else merged
        elif isinstance(value, list):
            result[key] = _merge_list(key, result.get(key), value)
        else:
            result[key] = value
    return result


def apply(document: dict[str, t.Any], patch: t.Any, content_type: str) -> dict[str, t.Any]:
    """Apply a patch in the language its content type names."""
    language = content_type.partition(";")[0].strip()
    if language == JSON_PATCH:
        return json_patch(document, patch)
    if language not in (MERGE_PATCH, STRATEGIC_PATCH):
        raise unsupported_media_type(language, ACCEPTED)
    if not isinstance(patch, dict):
        raise bad_request("error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}")
    return t.cast("dict[str, t.Any]", merge_patch(document, patch)) if language == MERGE_PATCH else strategic_patch(document, patch)
