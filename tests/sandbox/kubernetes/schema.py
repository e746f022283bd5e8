# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decoding by schema: the official client's models are generated from Kubernetes' OpenAPI, so they say which fields exist and of which type.

Like the API server, decoding drops fields it does not know and refuses values of the wrong JSON type.
"""

from __future__ import annotations

import functools
import re
import typing as t

from kubernetes import client

from .errors import bad_request
from .resources import Resource

JSON_WORDS = {bool: "bool", str: "string", int: "number", float: "number", dict: "object", list: "array"}
ACCEPTED: dict[str, tuple[type, ...]] = {"str": (str,), "datetime": (str,), "date": (str,), "bool": (bool,), "int": (int,), "float": (int, float)}
CONTAINER = re.compile(r"(?i)^(list|dict)[\[(](?:str, ?)?(.+)[\])]$")
# Quantities are strings in the schema, but the server also reads numbers.
QUANTITY_PARENTS = ("requests", "limits", "capacity", "allocatable", "overhead")


@functools.cache
def _fields(model: str) -> dict[str, str]:
    """JSON name → type word of one model."""
    cls = getattr(client, model)
    return {cls.attribute_map[attribute]: word for attribute, word in cls.openapi_types.items()}


def _mismatch(value: object, path: str, word: str) -> t.NoReturn:
    given = JSON_WORDS.get(type(value), "null")
    raise bad_request(f"json: cannot unmarshal {given} into Go struct field {path} of type {'string' if word == 'str' else word}")


def _plain(value: t.Any, path: str, word: str) -> t.Any:
    """A scalar or free-form value."""
    accepted = ACCEPTED.get(word)
    if accepted is None:
        return value
    if path.rsplit(".", 2)[-2:-1] and path.rsplit(".", 2)[-2] in QUANTITY_PARENTS and isinstance(value, (int, float)):
        return str(value)
    if not isinstance(value, accepted) or (isinstance(value, bool) and word != "bool"):
        _mismatch(value, path, word)
    return value


def _decode(value: t.Any, word: str, path: str) -> t.Any:
    if value is None:
        return None
    container = CONTAINER.match(word)
    if container and container[1].lower() == "list":
        if not isinstance(value, list):
            _mismatch(value, path, f"[]{container[2]}")
        return [_decode(item, container[2], path) for item in value]
    if container:
        if not isinstance(value, dict):
            _mismatch(value, path, f"map[string]{container[2]}")
        return {key: _decode(item, container[2], f"{path}.{key}") for key, item in value.items()}
    if word in ACCEPTED or not hasattr(getattr(client, word, None), "openapi_types"):
        return _plain(value, path, word)
    if not isinstance(value, dict):
        _mismatch(value, path, word.removeprefix("V1"))
    fields = _fields(word)
    decoded = {key: _decode(item, fields[key], f"{path}.{key}" if path else key) for key, item in value.items() if key in fields}
    return {key: item for key, item in decoded.items() if item is not None}


def decode(resource: Resource, body: object) -> dict[str, t.Any]:
    """An object of the resource from a request's body; apiVersion and kind may be left out but not be wrong."""
    if not isinstance(body, dict):
        raise bad_request(f"couldn't get version/kind; json parse error: json: cannot unmarshal {JSON_WORDS.get(type(body), 'null')} into Go value")
    if body.get("kind") not in (None, "", resource.kind):
        raise bad_request(f'{body.get("kind")} in version "{resource.version}" cannot be handled as a {resource.kind}')
    if body.get("apiVersion") not in (None, "", resource.api_version):
        expected = resource.api_version
        raise bad_request(f"the API version in the data ({body.get('apiVersion')}) does not match the expected API version ({expected})")
    found = t.cast("dict[str, t.Any]", _decode(body, resource.model, ""))
    found.setdefault("metadata", {})
    return {"kind": resource.kind, "apiVersion": resource.api_version, **{key: found[key] for key in found if key not in ("kind", "apiVersion")}}


def decode_options(body: object) -> dict[str, t.Any]:
    """DeleteOptions from a request's body (empty = defaults)."""
    return t.cast("dict[str, t.Any]", _decode(body or {}, "V1DeleteOptions", ""))
