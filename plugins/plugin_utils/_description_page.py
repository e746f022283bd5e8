# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""A cluster's description as one self-contained HTML page.

Rendered by an environment of its own, which escapes everything: Ansible's escapes nothing, and names and tags are other people's.
"""

from __future__ import annotations

import datetime
import typing as t
from pathlib import Path

import jinja2

from ._description import Fact, Record, fact, money, worst
from ._description_text import plain
from ._drawing import drawing

TEMPLATES = Path(__file__).resolve().parents[2] / "roles" / "describe_cluster" / "templates"


def page(described: Record) -> str:
    """The page of a description."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=jinja2.FileSystemLoader(TEMPLATES)
    )
    environment.filters["minute"] = minute
    shown = _plain(described)
    more = {"drawing": drawing(shown), "targets": _targets(described), "drift": _drift(described), "attention": _attention(shown)}
    return environment.get_template("page.html.j2").render(**shown, **more, money=money)


def _plain(value: t.Any) -> t.Any:
    """The same without characters that would show other text than there is."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return plain(value) if isinstance(value, str) else value


def _attention(described: Record) -> list[Record]:
    """The nodes that are not as they should be, the worst first; with their numbers among all."""
    numbered = [{**node, "number": number} for number, node in enumerate(described["nodes"])]
    return [node for level in ("bad", "warn") for node in numbered if node["health"]["level"] == level]


def _targets(described: Record) -> Fact:
    """All targets in one."""
    targets = [target for group in described["target_groups"] for target in group["targets"]]
    if "aws" in described["unread"]:
        return fact("unknown", "unknown")
    healthy = sum(target["level"] == "ok" for target in targets)
    return fact(worst(target["level"] for target in targets), f"{healthy}/{len(targets)} healthy" if targets else "none")


def _drift(described: Record) -> Fact:
    """All machine configs in one."""
    drifted, rendered = (sum(node["config"]["words"] == words for node in described["nodes"]) for words in ("drift", "as rendered"))
    level = "warn" if drifted else "ok" if rendered else "unknown"
    unknown = sum(node["config"]["level"] == "unknown" for node in described["nodes"])
    return fact(level, f"{drifted} drifted" if drifted or rendered else "unknown", f"{rendered} as rendered, {unknown} unknown")


def minute(launched: str) -> str:
    """A time as EC2 says it, for people: to the minute, in UTC."""
    if not launched:
        return "-"
    then = datetime.datetime.fromisoformat(launched.replace("Z", "+00:00")).astimezone(datetime.timezone.utc)
    return then.strftime("%Y-%m-%d %H:%M UTC")
