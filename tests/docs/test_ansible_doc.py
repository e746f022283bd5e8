# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-doc documents all there is, and the examples in it are right."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from .checks import playbook_problems
from .documented import documentation, names


@pytest.mark.parametrize("name", [*names("module"), *names("filter")])
def test_a_plugin_is_documented_with_examples_and_what_it_returns(name: str) -> None:
    entry = documentation("module" if name in names("module") else "filter")[name]
    assert entry["doc"]["short_description"]
    assert undescribed(entry["doc"].get("options", {})) == []
    assert entry["examples"]
    assert entry["return"]


@pytest.mark.parametrize("name", names("role"))
def test_a_roles_entry_points_are_documented(name: str) -> None:
    points = documentation("role")[name]["entry_points"]
    assert points["main"]["short_description"]
    assert [option for point in points.values() for option in undescribed(point["options"])] == []


def undescribed(options: t.Mapping[str, t.Any]) -> list[str]:
    """Options without a description, those of options included."""
    found = [name for name, option in options.items() if not option.get("description")]
    return found + [f"{name}.{inner}" for name, option in options.items() for inner in undescribed(option.get("suboptions") or option.get("options") or {})]


@pytest.mark.parametrize("name", names("module"))
def test_a_modules_examples_fit_its_options(name: str) -> None:
    text = documentation("module")[name]["examples"]
    tasks = yaml.safe_load(text)
    assert playbook_problems(tasks, text) == []
    assert name in text


@pytest.mark.parametrize("name", names("filter"))
def test_a_filters_examples_are_yaml_and_use_it(name: str) -> None:
    text = documentation("filter")[name]["examples"]
    assert yaml.safe_load(text)
    assert f"| {name}" in text
