# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection documents of its modules, filters, roles and playbooks, as ansible-doc reads it; and how it judges options."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .pages import ROOT

COLLECTION = "k8s_cluster.manager"
BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections"), "ANSIBLE_LOCALHOST_WARNING": "False"}

Options = t.Mapping[str, t.Any]


def names(kind: str) -> list[str]:
    """The full names of all plugins of a kind (module, filter, role), by their files."""
    found = {
        "module": {path.stem for path in (ROOT / "plugins" / "modules").glob("[!_]*.py")},
        "filter": {path.stem for path in (ROOT / "plugins" / "filter").glob("*.yml")},
        "role": {path.parent.parent.name for path in (ROOT / "roles").glob("*/meta/argument_specs.yml")},
    }
    return sorted(f"{COLLECTION}.{name}" for name in found[kind])


@functools.cache
def documentation(kind: str) -> dict[str, t.Any]:
    """What ansible-doc knows of all plugins of a kind, by full name."""
    command = [str(BIN / "ansible-doc"), "--json", "--type", kind, *names(kind)]
    return t.cast("dict[str, t.Any]", json.loads(subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout))


def module_options(name: str) -> Options:
    """The options of a module of the collection."""
    return t.cast("Options", documentation("module")[name]["doc"].get("options", {}))


@functools.cache
def role_options() -> dict[str, t.Any]:
    """The options of all roles, by name: they begin with the role's name, so they are variables of one namespace."""
    roles = documentation("role").values()
    return {name: option for role in roles for point in role["entry_points"].values() for name, option in point.get("options", {}).items()}


@functools.cache
def words(playbook: str) -> dict[str, str]:
    """The words of a playbook (without .yml), and the role option that each becomes."""
    plays = yaml.safe_load((ROOT / "playbooks" / f"{playbook}.yml").read_text())
    facts = [task["ansible.builtin.set_fact"] for play in plays for task in play.get("pre_tasks", []) if "ansible.builtin.set_fact" in task]
    found = {"cluster": "cluster_name"}
    for option, expression in (pair for fact in facts for pair in fact.items()):
        if word := re.match(r"\{\{ (\w+) \| default\(''\)", str(expression)):
            found[word.group(1)] = option
    return found


def wrong(given: t.Mapping[str, t.Any], options: Options, where: str = "") -> list[str]:
    """What is wrong with options that somebody gives: unknown, missing, of the wrong type or choice. Templates may be anything."""
    known = {alias: name for name, option in options.items() for alias in [name, *option.get("aliases", [])]}
    found = [f"{where}{name} is not an option" for name in given if name not in known]
    missing = [name for name, option in options.items() if _is_needed(option) and name not in {known.get(word) for word in given}]
    found += [f"{where}{name} is missing" for name in missing]
    for name, value in given.items():
        option = options.get(known.get(name, ""), {})
        nested = [value] if isinstance(value, dict) else value if isinstance(value, list) else []
        if option.get("suboptions") or option.get("options"):
            inner = option.get("suboptions") or option["options"]
            found += [text for one in nested if isinstance(one, dict) for text in wrong(one, inner, f"{where}{name}.")]
        elif option and not _templated(value):
            found += [f"{where}{text}" for text in _misfits(known[name], value, option)]
    return found


def _is_needed(option: t.Mapping[str, t.Any]) -> bool:
    """Whether it must be said; one that is taken from the environment need not be."""
    return bool(option.get("required")) and "from the environment variable" not in " ".join(option["description"])


def _templated(value: t.Any) -> bool:
    return "{{" in json.dumps(value, default=str)


def _misfits(name: str, value: t.Any, option: t.Mapping[str, t.Any]) -> list[str]:
    """What Ansible itself has against a value."""
    spec = {key: option[key] for key in ("type", "elements", "choices") if key in option}
    return t.cast("list[str]", ArgumentSpecValidator({name: spec}).validate({name: value}).error_messages)
