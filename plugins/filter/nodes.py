# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for the words of the command line and the names of nodes; each is documented in a file of its name."""

from __future__ import annotations

import typing as t

from ..plugin_utils import _changes, _findings, _names, _observation, _replacements, _results


def given(value: t.Any, fallback: t.Any) -> t.Any:
    """The value the user gave, or fallback when it is blank: surveys send "" and null for what was left empty."""
    if value is None or value == [] or (isinstance(value, str) and not value.strip()):
        return fallback
    return value.strip() if isinstance(value, str) else value


def node_names(wanted: t.Any, **how: t.Any) -> list[str]:
    """The names a creation works on; see plugin_utils/_names.names_to_create for the arguments."""
    count = given(how.pop("count", None), None)
    return _names.names_to_create(_names.name_list(wanted), None if count is None else int(count), **how)


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {
            "given": given,
            "name_list": _names.name_list,
            "node_names": node_names,
            "node_records": _names.node_records,
            "node_timings": _names.node_timings,
            "dns_records": _names.dns_records,
            "cluster_nodes": _observation.cluster_nodes,
            "strange_machines": _observation.strange_machines,
            "change_groups": _changes.change_groups,
            "change_batches": _changes.change_batches,
            "problems": _results.problems,
            "outdated": _replacements.outdated,
            "replacements": _replacements.replacements,
            "replacement_batches": _replacements.replacement_batches,
            "findings": _findings.findings,
            "repairs": _findings.repairs,
            "after_repairs": _findings.after_repairs,
            "findings_report": _findings.report,
        }
