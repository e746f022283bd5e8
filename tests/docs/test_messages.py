# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/troubleshooting.md quotes messages that the collection has, and those with which roles refuse to begin are all there."""

from __future__ import annotations

import ast
import functools
import re
import typing as t

import pytest
import yaml

from .pages import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
QUOTED = re.findall(r"^\| `(.+?)` \|", PAGE.read_text(), re.MULTILINE)


@functools.cache
def templates() -> tuple[str, ...]:
    """Every text of the plugins and roles, with `…` where something is filled in."""
    python = [node for path in (ROOT / "plugins").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    texts = [text for node in python if (text := _text(node))]
    roles = [text for path in (ROOT / "roles").glob("*/*/*.yml") for text in _strings(yaml.safe_load(path.read_text()))]
    return tuple(texts + [re.sub(r"\{[{%].*?[%}]\}", "…", text, flags=re.DOTALL) for text in roles])


def _text(node: ast.AST) -> str:
    """The text that a constant or an f-string is."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def _strings(document: t.Any) -> t.Iterator[str]:
    if isinstance(document, str):
        yield document
    for inner in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from _strings(inner)


def is_said(quoted: str, texts: t.Iterable[str]) -> bool:
    """Whether one of the texts is that message: what is between the gaps stands in it, in that order."""
    pieces = [re.escape(" ".join(piece.split()).strip(" .;:")) for piece in quoted.split("…")]
    pattern = re.compile(".*".join(piece for piece in pieces if piece))
    return any(pattern.search(" ".join(text.split())) for text in texts)


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_is_one_of_the_collection(quoted: str) -> None:
    assert max(len(piece) for piece in quoted.split("…")) > 8, "too little of it to be recognised"
    assert is_said(quoted, templates())


def test_a_message_that_nobody_says_is_found() -> None:
    assert not is_said("node config: … is absent without leave", templates())
    assert not is_said("… is missing: node config", templates())


@pytest.mark.parametrize("role", ["create_node", "delete_node", "load_balancers"])
def test_what_roles_refuse_to_begin_with_is_explained(role: str) -> None:
    variables = yaml.safe_load((ROOT / "roles" / role / "vars" / "main.yml").read_text())
    refusals = [re.sub(r"\{[{%].*?[%}]\}", "…", requirement["say"]) for requirement in variables[f"_{role}_requirements"]]
    assert refusals
    assert [text for text in refusals if not any(is_said(quoted, [text]) for quoted in QUOTED)] == []
