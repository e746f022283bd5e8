# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases as text: data with scalars as one wants them written, in block style (one key a line, so that a line tells the key) or flow style."""

from __future__ import annotations

import json
import typing as t


class Raw(str):
    """A scalar written without quotes."""


def block(documents: t.Iterable[t.Any]) -> str:
    """Documents in block style."""
    return "---\n".join(_lines(document, 0).removeprefix("\n") + "\n" for document in documents)


def flow(documents: t.Iterable[t.Any]) -> str:
    """Documents in flow style, one a line."""
    return "\n---\n".join(_flow(document) for document in documents) + "\n"


def _lines(value: t.Any, indent: int) -> str:
    """A value as what follows its key's colon: a scalar on the same line, collections on lines of their own."""
    pad = "\n" + " " * indent
    if isinstance(value, dict) and value:
        return "".join(f"{pad}{_key(key)}:{_after_key(entry, indent + 2)}" for key, entry in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{pad}- {_lines(item, indent + 2).lstrip()}" for item in value)
    return _flow(value)


def _after_key(value: t.Any, indent: int) -> str:
    text = _lines(value, indent)
    return text if text.startswith("\n") else f" {text}"


def _key(key: str) -> str:
    return key if key.isidentifier() or key[:1] == "$" else json.dumps(key)


def _flow(value: t.Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, Raw):
        return str(value) or "~"
    return json.dumps(value, ensure_ascii=False)
