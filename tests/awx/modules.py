# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of awx.awx that is installed: what arguments they take."""

from __future__ import annotations

import functools
import importlib
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

PREFIX = "awx.awx."
PACKAGE = "ansible_collections.awx.awx.plugins"
# Arguments that are about the module and not fields of what it makes.
ABOUT = ("state", "new_name", "copy_from", "wait", "interval", "update_project", "update_secrets")


class _Met(Exception):
    """Raised where a module would begin its work."""


@functools.cache
def arguments(module: str) -> dict[str, t.Any]:
    """A module's own argument spec, taken from it as it starts; without those by which all of them find the controller."""
    code: t.Any = importlib.import_module(f"{PACKAGE}.modules.{module.removeprefix(PREFIX)}")
    met: dict[str, t.Any] = {}

    def meet(argument_spec: dict[str, t.Any], **_more: t.Any) -> t.NoReturn:
        met.update(argument_spec)
        raise _Met

    real = code.ControllerAPIModule
    code.ControllerAPIModule = meet
    try:
        code.main()
    except _Met:
        return met
    finally:
        code.ControllerAPIModule = real
    raise AssertionError(f"{module} began without an argument spec")


def problems(module: str, given: t.Mapping[str, t.Any]) -> list[str]:
    """What a module would refuse of its arguments, and whole or half numbers, truths and objects that it would only take as texts that look like them."""
    spec = arguments(module)
    found = list(ArgumentSpecValidator(spec).validate(dict(given)).error_messages)
    for name, value in given.items():
        kind = {"int": int, "bool": bool, "dict": dict, "list": list}.get(spec.get(name, {}).get("type", "str"), str)
        if value is not None and not (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
            found.append(f"{name}: {value!r} is not of type {kind.__name__}")
    return found
