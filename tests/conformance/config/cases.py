# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked: a base and patches; and the rows of the field table that a release has."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import table
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.table import Field


@dataclasses.dataclass(frozen=True)
class Case:
    """A base and the patches to apply to it; about tells what it is for ("kind:path variant", or "random")."""

    config: str
    patches: tuple[str, ...]
    about: str = "random"


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the field table: its document kind and the fields from the document's root down to it."""

    kind: str
    chain: tuple[Field, ...]

    @property
    def field(self) -> Field:
        """The row's own field."""
        return self.chain[-1]

    @property
    def name(self) -> str:
        """The row as reports call it: kind, colon, path."""
        return f"{self.kind or 'v1alpha1'}:{self.field.path}"


def known(kind: str) -> table.Kind:
    """A document kind of the table."""
    found = table.kind(kind)
    assert found is not None, kind
    return found


def kinds(minor: int) -> list[str]:
    """The document kinds of a release ("" is the legacy document)."""
    return [kind for kind in table.kinds() if known(kind).since <= minor]


@functools.cache
def rows(minor: int) -> tuple[Row, ...]:
    """All rows that exist in a release."""
    return tuple(row for kind in kinds(minor) for row in _below(kind, (known(kind).root,), minor))


def _below(kind: str, chain: tuple[Field, ...], minor: int) -> t.Iterator[Row]:
    field = chain[-1]
    for child in (*field.fields.values(), *([field.item] if field.item is not None and field.item.path else [])):
        if child.since <= minor:
            yield Row(kind, (*chain, child))
            yield from _below(kind, (*chain, child), minor)
