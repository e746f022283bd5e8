# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README is also the page that Galaxy and Automation Hub show: in their order, with links that hold there and on a forge."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from .documented import words
from .pages import ROOT, documented_pages, forge

README = (ROOT / "README.md").read_text()
PICTURE = ROOT / "docs" / "run.svg"
SECTIONS = (
    "Description",
    "Requirements",
    "Installation",
    "Use Cases",
    "Testing",
    "Contributing",
    "Support",
    "Release Notes and Roadmap",
    "Related Information",
    "License Information",
)


def test_sections_are_those_of_automation_hub() -> None:
    assert tuple(re.findall(r"^## (.+)$", README, re.MULTILINE)) == SECTIONS


def test_links_lead_into_the_repository_and_to_what_there_is() -> None:
    """Galaxy shows the page at an address of its own, where a relative link leads nowhere."""
    repository = forge(ROOT).partition("/tree/")[0]
    links = re.findall(r"\]\((\S+?)\)", README)
    assert [link for link in links if not link.startswith("https://")] == []
    inside = [re.fullmatch(rf"{re.escape(repository)}/(blob|tree|raw)/main/(.+)", link) for link in links]
    found = [(link.group(1), ROOT / link.group(2)) for link in inside if link]
    assert len(found) > 10
    assert [path for kind, path in found if not path.exists() or path.is_dir() != (kind == "tree")] == []


@pytest.mark.parametrize("case", ["usual N=10", "usual_exact_count N=10", "create N=10", "usual_exact_count N=100", "create N=100"])
def test_figures_are_those_of_the_page_on_performance(case: str) -> None:
    """When they are measured anew, the README says the new ones."""
    row = re.search(rf"^\| {case} \| ([\d.]+) \|", (ROOT / "docs" / "performance.md").read_text(), re.MULTILINE)
    assert row
    compared = README.partition("### Why not")[2].partition("## Testing")[0]
    assert re.search(rf"\b{round(float(row.group(1)))}\b", compared)


@pytest.mark.parametrize("page", documented_pages()[1:], ids=lambda page: str(page.relative_to(ROOT)))
def test_other_pages_link_to_what_there_is(page: Path) -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^\s)]+)\)", page.read_text())]
    assert [link for link in links if link and "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("playbook", sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml") if "cluster_host:" in path.read_text()))
def test_all_words_of_a_playbook_are_listed(playbook: str) -> None:
    row = re.search(rf"^\| `{playbook}` \| (.+) \|$", README, re.MULTILINE)
    assert row, "it is not in the table"
    assert set(re.findall(r"`(\w+)`", row.group(1))) == set(words(playbook))


def test_the_picture_is_self_contained_and_shows_tasks_that_there_are() -> None:
    """Made anew by `python -m tests.docs.picture`."""
    document = ET.parse(PICTURE)  # noqa: S314 our own file
    text = PICTURE.read_text()
    assert not re.search(r"(src|href)=|url\((?!#)|@import", text)
    shown = " ".join("".join(element.itertext()) for element in document.iter("{http://www.w3.org/2000/svg}text")).replace("\u00a0", " ")
    tasks = re.findall(r"TASK \[k8s_cluster\.manager\.(\w+) : ([^\]]+)\]", shown)
    assert len(tasks) > 8
    known = {role: names_of(ROOT / "roles" / role) for role, _name in tasks}
    assert [(role, name) for role, name in tasks if name not in known[role]] == []


def names_of(role: Path) -> set[str]:
    """The names of a role's tasks, those in blocks included."""

    def within(tasks: list[dict[str, object]]) -> set[str]:
        inner = [one for task in tasks for word in ("block", "rescue", "always") for one in task.get(word) or []]  # type: ignore[attr-defined]
        return {str(task.get("name")) for task in tasks} | (within(inner) if inner else set())

    return {name for path in role.glob("tasks/*.yml") for name in within(yaml.safe_load(path.read_text()))}
