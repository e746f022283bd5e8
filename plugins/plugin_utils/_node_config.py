# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""Node config: what a node of one role is made of in AWS (design: image, type, subnets, domain, root volume).

Read from a mapping or from YAML or JSON text; every problem is reported, none is fatal here.
"""

from __future__ import annotations

import typing as t

import yaml

# key -> (kind, default). A default of ... marks a required key.
KEYS: dict[str, tuple[str, t.Any]] = {
    "image_id": ("str", ...),
    "instance_type": ("str", ...),
    "subnet_id": ("list", ...),
    "domain": ("str", ...),
    "block_device_gb": ("int", None),
    "block_device_name": ("str", None),
    "block_device_type": ("str", "gp3"),
    "placement_group_name": ("str", None),
    "tags": ("dict", {}),
    "iam_instance_profile": ("str", None),
    "kms_key_id": ("str", None),
    "associate_public_ip": ("bool", None),
}


def parse(source: t.Any) -> tuple[dict[str, t.Any], list[str]]:
    """Normalise a node config; returns it with every key of KEYS, and the problems found."""
    mapping, problems = _mapping(source)
    config: dict[str, t.Any] = {}
    for key in sorted(set(mapping) - set(KEYS)):
        problems.append(f"node config: unknown key {key!r}; known are {', '.join(KEYS)}")
    for key, (kind, default) in KEYS.items():
        value = mapping.get(key)
        if value is None or value == "" or value == []:
            config[key] = None if default is ... else default
            if default is ...:
                problems.append(f"node config: {key} is missing")
            continue
        try:
            config[key] = _CONVERT[kind](value)
        except ValueError as error:
            config[key] = None
            problems.append(f"node config: {key}: {error}")
    if config["block_device_gb"] is not None and config["block_device_gb"] < 1:
        problems.append(f"node config: block_device_gb: {config['block_device_gb']} is not a size in GiB")
    return config, problems


def _mapping(source: t.Any) -> tuple[dict[str, t.Any], list[str]]:
    """The mapping in a source, whether it comes as data or text."""
    if isinstance(source, (str, bytes)):
        try:
            source = yaml.safe_load(bytes(source) if isinstance(source, bytes) else str(source))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f" at line {mark.line + 1}" if mark else ""
            return {}, [f"node config: not YAML or JSON{where}"]
    if not isinstance(source, t.Mapping):
        return {}, ["node config: a mapping is wanted, with the keys " + ", ".join(KEYS)]
    return {str(key): value for key, value in source.items()}, []


def _text(value: t.Any) -> str:
    if isinstance(value, (dict, list, bool)):
        raise ValueError("text is wanted")
    return str(value).strip()


def _texts(value: t.Any) -> list[str]:
    if isinstance(value, list):
        return [_text(item) for item in value]
    return [part for part in _text(value).replace(",", " ").split() if part]


def _number(value: t.Any) -> int:
    try:
        return int(_text(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a whole number") from None


def _truth(value: t.Any) -> bool:
    word = str(value).strip().lower()
    if word in ("true", "yes", "1", "on"):
        return True
    if word in ("false", "no", "0", "off"):
        return False
    raise ValueError(f"{value!r} is neither true nor false")


def _tags(value: t.Any) -> dict[str, str]:
    if not isinstance(value, t.Mapping):
        raise ValueError("a mapping of tag keys to values is wanted")
    return {_text(key): _text(item) for key, item in value.items()}


_CONVERT: dict[str, t.Callable[[t.Any], t.Any]] = {
    "str": _text,
    "list": _texts,
    "int": _number,
    "bool": _truth,
    "dict": _tags,
}
