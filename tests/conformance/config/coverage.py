# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows of the field table a case exercised: its path changed in an accepted result, or Talos' refusal names it."""

from __future__ import annotations

import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import documents, table
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.documents import Config
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.table import Field
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.yamltext import ConfigError

from .cases import Case, known
from .judge import Verdict
from .names import Name

Rows = set[str]


def exercised(case: Case, verdict: Verdict, minor: int) -> tuple[Rows, bool]:
    """(rows exercised, whether the case was accepted and its result decodes to something else than its base)."""
    if verdict.refused:
        return {row for name in verdict.names for row in named_rows(name)}, False
    try:
        rows = changed_rows(documents.load(case.config, minor), documents.load(verdict.text, minor))
    except ConfigError:
        return set(), False
    return rows, bool(rows)


def title(kind: str, path: str) -> str:
    """A row as reports call it."""
    return f"{kind or 'v1alpha1'}:{path}"


# ---- changes --------------------------------------------------------------------------------------------------------------------------


def changed_rows(base: Config, result: Config) -> Rows:
    """The rows whose value differs in some document; all rows of a document that is only on one side."""
    before, after = ({document.identity: document.value for document in config.documents} for config in (base, result))
    return {
        title(identity[0], path)
        for identity in before.keys() | after.keys()
        for path in _changed(known(identity[0]).root, before.get(identity), after.get(identity))
    }


def _changed(field: Field, left: t.Any, right: t.Any) -> t.Iterator[str]:
    if left == right:
        return
    if field.path:
        yield field.path
    for child, before, after in _members(field, left, right):
        yield from _changed(child, before, after)


def _members(field: Field, left: t.Any, right: t.Any) -> t.Iterator[tuple[Field, t.Any, t.Any]]:
    if field.kind == "list" and field.item is not None:
        for index in range(max(len(left or ()), len(right or ()))):
            yield field.item, *(side[index] if index < len(side or ()) else None for side in (left, right))
        return
    for key in dict.fromkeys((*(left or ()), *(right or ()))) if field.kind in ("struct", "map") else ():
        child = field.fields.get(key) if field.kind == "struct" else field.item
        if child is not None:
            yield child, (left or {}).get(key), (right or {}).get(key)


# ---- refusals -------------------------------------------------------------------------------------------------------------------------


def named_rows(name: Name) -> t.Iterator[str]:
    """The rows that a named path may mean: one, since lines that could mean several do not tell."""
    if name.kind is None or len({tuple(map(str, path)) for path in name.paths}) != 1:
        return
    document = table.kind(name.kind)
    field: Field | None = document.root if document else None
    for step in name.paths[0]:
        if field is None:
            return
        field = field.fields.get(str(step)) if field.kind == "struct" else field.item
    if field is not None and field.path:
        yield title(name.kind, field.path)
