# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A smaller case that still differs the same way: fewer patches, documents, keys and list items, as long as the difference remains."""

from __future__ import annotations

import dataclasses
import typing as t

import yaml

from .cases import Case
from .judge import Difference

Differs = t.Callable[[Case], "Difference | None"]
LOADER: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER: t.Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
TRIES = 1500


def shrink(found: Difference, differs: Differs) -> Difference:
    """The smallest difference of the same kind that dropping one part after the other leads to, within a number of tries."""
    left = TRIES
    again = True
    while again and left > 0:
        again = False
        for smaller in candidates(found.case):
            left -= 1
            difference = differs(smaller)
            if difference is not None and _alike(difference, found):
                found, again = difference, True
                break
            if left <= 0:
                break
    return found


def _alike(left: Difference, right: Difference) -> bool:
    return left.what.partition(" named")[0] == right.what.partition(" named")[0] and left.kind[:60] == right.kind[:60]


def candidates(case: Case) -> t.Iterator[Case]:
    """Cases with one part less, the largest parts first."""
    for number in range(len(case.patches)):
        if len(case.patches) > 1:
            yield dataclasses.replace(case, patches=(*case.patches[:number], *case.patches[number + 1 :]))
    for text in smaller_texts(case.config):
        yield dataclasses.replace(case, config=text)
    for number, patch in enumerate(case.patches):
        for text in smaller_texts(patch):
            yield dataclasses.replace(case, patches=(*case.patches[:number], text, *case.patches[number + 1 :]))


def smaller_texts(text: str) -> t.Iterator[str]:
    """The text with one document, key or item less; scalars keep their style."""
    try:
        documents = list(yaml.compose_all(text, Loader=LOADER))
    except yaml.YAMLError:
        return
    for number in range(len(documents)):
        if len(documents) > 1:
            yield _dump([*documents[:number], *documents[number + 1 :]])
    for number, document in enumerate(documents):
        for smaller in _smaller_nodes(document):
            yield _dump([*documents[:number], smaller, *documents[number + 1 :]])


def _smaller_nodes(node: yaml.Node) -> t.Iterator[yaml.Node]:
    if not isinstance(node, yaml.CollectionNode):
        return
    for number in range(len(node.value)):
        yield _like(node, [*node.value[:number], *node.value[number + 1 :]])
    for number, entry in enumerate(node.value):
        below = entry[1] if isinstance(node, yaml.MappingNode) else entry
        for smaller in _smaller_nodes(below):
            changed = (entry[0], smaller) if isinstance(node, yaml.MappingNode) else smaller
            yield _like(node, [*node.value[:number], changed, *node.value[number + 1 :]])


def _like(node: yaml.CollectionNode, value: list[t.Any]) -> yaml.Node:
    return type(node)(node.tag, value, flow_style=False)


def _dump(documents: list[yaml.Node]) -> str:
    return yaml.serialize_all(documents, Dumper=DUMPER, explicit_start=len(documents) > 1)
