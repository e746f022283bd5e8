# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What Talos' own validation would refuse, with every problem found, in words that name path and value."""

from __future__ import annotations

import typing as t

from . import table
from .documents import Config

MODES = ("cloud", "metal")


def validate(config: Config, minor: int, mode: str) -> tuple[list[str], list[str]]:
    """(problems, warnings) of a config for a platform mode ("metal" requires install instructions, "cloud" does not)."""
    problems: list[str] = []
    legacy = config.get(table.LEGACY)
    if legacy is not None and not legacy.get("machine"):
        problems.append("machine: machine instructions are required")
    for document in config.all("HostnameConfig"):
        problems.extend(_hostname(document.value, legacy or {}))
    return problems, []


def _hostname(value: dict[str, t.Any], legacy: dict[str, t.Any]) -> t.Iterator[str]:
    machine = legacy.get("machine") or {}
    if (machine.get("network") or {}).get("hostname"):
        yield "HostnameConfig: static hostname is already set in v1alpha1 config (machine.network.hostname)"
    if (machine.get("features") or {}).get("stableHostname"):
        yield "HostnameConfig: stable hostname is already set in v1alpha1 config (machine.features.stableHostname)"
    if value.get("hostname") and value.get("auto", "off") != "off":
        yield "HostnameConfig: 'auto' and 'hostname' cannot be set at the same time"
