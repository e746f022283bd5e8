# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credential types as AWX 24.6.1 takes them: what it refuses when one is stored, and what a job gets of a credential."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

NAME = re.compile(r"[a-zA-Z_]+[a-zA-Z0-9_]*")
TEMPLATE = re.compile(r"template(\.[a-zA-Z_]+[a-zA-Z0-9_]*)?")
# Of a field: key to type.
FIELD: dict[str, type] = {
    "id": str,
    "label": str,
    "type": str,
    "format": str,
    "help_text": str,
    "choices": list,
    "multiline": bool,
    "secret": bool,
    "ask_at_runtime": bool,
    "default": object,
}
ONLY_TEXT = ("choices", "multiline", "format", "secret")
# Environment variables that no credential may set.
BLOCKED = re.compile(
    r"ANSIBLE_.*|VIRTUAL_ENV|PATH|PYTHONPATH|(JOB|INVENTORY|INVENTORY_SOURCE|INVENTORY_UPDATE|AD_HOC_COMMAND)_ID|REST_API_(URL|TOKEN)|MAX_EVENT_RES"
    r"|CALLBACK_(QUEUE|CONNECTION)|CACHE|JOB_CALLBACK_DEBUG|INVENTORY_HOSTVARS|AWX_HOST|PROJECT_REVISION|SUPERVISOR_CONFIG_PATH"
)

Mapping = t.Mapping[str, t.Any]


class Injected(t.NamedTuple):
    """What a job gets of a credential: environment variables and extra variables. Files are written already."""

    env: dict[str, str]
    extra_vars: dict[str, str]


def problems(inputs: t.Any, injectors: t.Any) -> list[str]:
    """Why AWX would not store a credential type."""
    found = [*_inputs_problems(inputs), *_injectors_problems(injectors)]
    return found or list(_rendering_problems(inputs, injectors))


def _inputs_problems(inputs: t.Any) -> t.Iterator[str]:
    if not isinstance(inputs, dict) or not isinstance(inputs.get("fields"), list):
        yield "inputs: an object with fields is needed"
        return
    yield from (f"inputs.{key}: is not known" for key in inputs if key not in ("fields", "required"))
    for number, field in enumerate(inputs["fields"]):
        yield from (f"inputs.fields[{number}].{text}" for text in _field_problems(field))
    names = [field.get("id") for field in inputs["fields"] if isinstance(field, dict)]
    yield from (f"inputs.fields: {name} is there twice" for name in sorted({str(name) for name in names if names.count(name) > 1}))
    # AWX itself does not look whether these are fields; such a credential could never be complete.
    yield from (f"inputs.required: {name} is no field" for name in inputs.get("required", []) if name not in names)


def _field_problems(field: t.Any) -> t.Iterator[str]:
    if not isinstance(field, dict):
        yield "object: is needed"
        return
    yield from (f"{key}: is not known" for key in field if key not in FIELD)
    yield from (f"{key}: is needed" for key in ("id", "label") if key not in field)
    yield from (f"{key}: {kind.__name__} is needed" for key, kind in FIELD.items() if key in field and not isinstance(field[key], kind))
    if not NAME.fullmatch(str(field.get("id"))) or field["id"] == "tower":
        yield f"id: {field.get('id')!r} is not taken"
    if field.get("type", "string") not in ("string", "boolean"):
        yield f"type: {field['type']!r} is not taken"
    if field.get("format", "url") not in ("url", "ssh_private_key"):
        yield f"format: {field['format']!r} is not taken"
    if field.get("type") == "boolean":
        yield from (f"{key}: is for texts" for key in ONLY_TEXT if key in field)


def _injectors_problems(injectors: t.Any) -> t.Iterator[str]:
    if not isinstance(injectors, dict) or not all(isinstance(part, dict) for part in injectors.values()):
        yield "injectors: an object of objects is needed"
        return
    yield from (f"injectors.{key}: is not known" for key in injectors if key not in ("env", "extra_vars", "file"))
    for part, entries in injectors.items():
        pattern = TEMPLATE if part == "file" else NAME
        yield from (f"injectors.{part}.{key}: is not taken" for key in entries if not pattern.fullmatch(key))
        yield from (f"injectors.{part}.{key}: a text is needed" for key, text in entries.items() if not isinstance(text, str))
    yield from (f"injectors.env.{key}: is not for credentials" for key in injectors.get("env", {}) if BLOCKED.fullmatch(key))
    if "template" in injectors.get("file", {}) and len(injectors["file"]) > 1:
        yield "injectors.file: several need names, as in template.one"


def _rendering_problems(inputs: Mapping, injectors: Mapping) -> t.Iterator[str]:
    """With every field set, none may be named that there is not."""
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    names = {**{field["id"]: "EXAMPLE" for field in inputs["fields"]}, "tower": {"filename": _filenames(injectors, lambda _label: "EXAMPLE")}}
    for part, entries in injectors.items():
        for key, text in entries.items():
            try:
                environment.from_string(str(text)).render(names)
            except jinja2.TemplateError as error:
                yield f"injectors.{part}.{key}: {error}"


def _filenames(injectors: Mapping, path: t.Callable[[str], str]) -> t.Any:
    """tower.filename: a path, or an object of paths."""
    labels = list(injectors.get("file", {}))
    return path("") if labels == ["template"] else {label.partition(".")[2]: path(label) for label in labels}


def inject(credential_type: Mapping, values: t.Mapping[str, t.Any], folder: Path) -> Injected:
    """What a job gets of a credential with these values; its files go below the folder. Fields that were left open are blank, not absent."""
    injectors = credential_type["injectors"]
    environment = ImmutableSandboxedEnvironment()
    names: dict[str, t.Any] = dict(values)
    for label, text in injectors.get("file", {}).items():
        (folder / label).write_text(environment.from_string(str(text)).render(names))
    names["tower"] = {"filename": _filenames(injectors, lambda label: str(folder / (label or "template")))}
    rendered = {
        part: {key: environment.from_string(str(text)).render(names) for key, text in injectors.get(part, {}).items()} for part in ("env", "extra_vars")
    }
    return Injected(**rendered)
