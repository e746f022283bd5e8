# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An environment with the distributions that some requirements need and nothing else, made of links to those that are installed: no download, no waiting."""

from __future__ import annotations

import ast
import sys
import typing as t
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
OWN = ("ansible", "ansible_collections")


class NotSatisfied(Exception):
    """What is installed is not what is asked for."""


def needed(requirements: t.Iterable[str]) -> dict[str, metadata.Distribution]:
    """By name the distributions that the requirements ask for, and those that these ask for, and so on."""
    found: dict[str, metadata.Distribution] = {}
    asked = [(Requirement(line), "") for line in requirements]
    while asked:
        requirement, extra = asked.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = requirement.name.lower().replace("_", "-")
        distribution = metadata.distribution(name)
        if not requirement.specifier.contains(distribution.version, prereleases=True):
            raise NotSatisfied(f"{requirement}: {distribution.version} is installed")
        extras = requirement.extras or {""}
        if name not in found or requirement.extras:
            found[name] = distribution
            asked += [(Requirement(line), one) for line in distribution.requires or () for one in extras]
    return found


def make(folder: Path, requirements: t.Iterable[str]) -> None:
    """Make the environment: the files of those distributions."""
    for distribution in needed(requirements).values():
        for path in distribution.files or ():
            if path.parts[0] != ".." and not (folder / path).exists():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).symlink_to(Path(str(distribution.locate_file(path))))


def lines(path: Path) -> list[str]:
    """The requirements in a file."""
    return [line for line in (text.partition("#")[0].strip() for text in path.read_text().splitlines()) if line]


def imported(folder: Path) -> set[str]:
    """The modules that Python files import when they run, other than the standard library's, Ansible's and their own."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        found |= {name for name in _imports(ast.parse(path.read_text())) if name.split(".")[0] not in (*sys.stdlib_module_names, *OWN)}
    return found


def _imports(node: ast.AST) -> t.Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        yield node.module
    # What only a type checker looks at is not there when it runs.
    children = node.orelse if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else ast.iter_child_nodes(node)
    for child in children:
        yield from _imports(child)
