# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""meta/runtime.yml names every module: for module_defaults, and for the action that runs it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


def runtime() -> dict[str, t.Any]:
    """meta/runtime.yml."""
    return t.cast("dict[str, t.Any]", yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text()))


def modules() -> set[str]:
    """The modules that are no mere documentation of an action."""
    return {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if "\ndef main(" in path.read_text()}


def test_every_module_is_run_by_the_action() -> None:
    assert runtime()["plugin_routing"]["modules"] == dict.fromkeys(modules(), {"action_plugin": "k8s_cluster.manager.cluster_info"})


def test_every_module_is_in_the_action_groups() -> None:
    groups = runtime()["action_groups"]
    aws = {name for name in modules() if "AnsibleAWSModule" in (ROOT / "plugins" / "modules" / f"{name}.py").read_text()}
    assert (set(groups["manager"]), set(groups["aws"])) == (modules(), aws)


@pytest.mark.parametrize(("group", "fragment"), [("kubernetes", "kubernetes"), ("leased", "kubernetes.lease")])
def test_who_has_the_options_is_in_the_group(group: str, fragment: str) -> None:
    having = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if f"\n  - k8s_cluster.manager.{fragment}\n" in path.read_text()}
    assert set(runtime()["action_groups"][group]) == having
