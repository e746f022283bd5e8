# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planted secrets: unmistakable values, and which of them an output may not hold.

A secret is made of one period four times over, so that any 17 characters of it, in any spelling, are found again and say which it was.
It is plain base64 and has the shape of a Talos token's second half.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import table
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.table import Field
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.yamltext import ConfigError, Mapping, Node, Scalar, Sequence, documents

PLANTED = re.compile(r"zq([0-9]{4})zq\1", re.IGNORECASE)


def planted(number: int) -> str:
    """The secret of a number (its last four digits count)."""
    return f"zq{number % 10_000:04}" * 4


def found(text: str) -> set[str]:
    """The secrets of which a text holds a recognisable piece."""
    return {match.lower() for match in PLANTED.findall(text)} if "zq" in text or "ZQ" in text else set()


# ---- what may be shown --------------------------------------------------------------------------------------------------------------------
#
# A mutation may move a secret to a place that is none (a label, a host name): showing it there is right. So what an output holds is looked up
# in the input, by the field table. What is not well-formed, unknown, or a key where words of the format are expected, is never shown.

INNER = re.compile(r"://[^/@\s]+@|(?:token|password|passwd|secret|passphrase|api_?key|authorization)[=:]\s*[^\s&,;\"']+", re.IGNORECASE)
SECRET_NAME = re.compile(r"pass|secret|token|key|credential|auth|data", re.IGNORECASE)


def leaked(output: str, texts: t.Iterable[str]) -> set[str]:
    """The secrets in an output that none of the input's texts has in a place that may be shown."""
    held = found(output)
    if held:
        every = list(texts)
        for text in every:
            held -= _public(text)
        for source in _copied(every):
            held -= _below(every[0], source)
    return held


def _copied(texts: list[str]) -> t.Iterator[str]:
    """The pointers from which JSON patches copy or move something to a place that may be shown: the user has it there then."""
    for text in texts:
        for node in _nodes(text):
            operations = [_words(item) for item in node.items] if isinstance(node, Sequence) else []
            for words in (*operations, *(words for item in operations for words in _listed_words(item.get("", "")))):
                field = _at(words.get("path", "")) if words.get("op") in ("copy", "move") else None
                if field is not None and not field.secret:
                    yield words.get("from", "")


def _nodes(text: str) -> list[Node]:
    try:
        return documents(text)
    except ConfigError:
        return []


def _words(item: Node) -> dict[str, str]:
    """The scalars of a mapping; a text by itself is under ""."""
    if isinstance(item, Scalar):
        return {"": item.text}
    return {key.text: value.text for key, value in item.pairs if isinstance(value, Scalar)} if isinstance(item, Mapping) else {}


def _listed_words(text: str) -> list[dict[str, str]]:
    return [_words(item) for node in _nodes(text) if isinstance(node, Sequence) for item in node.items]


def _below(text: str, pointer: str) -> set[str]:
    """The secrets in a config at a JSON pointer and below."""
    held: set[str] = set()
    for node in _nodes(text):
        here: Node | None = node
        for part in pointer.split("/")[1:]:
            here = here.get(part) if isinstance(here, Mapping) else None
        held |= _every(here) if here is not None else set()
    return held


def _every(node: Node) -> set[str]:
    if isinstance(node, Scalar):
        return found(node.text)
    return set().union(*map(_every, node.items if isinstance(node, Sequence) else [value for _key, value in node.pairs]))


def _public(text: str) -> set[str]:
    return set().union(*map(_document, _nodes(text)))


def _document(node: Node) -> set[str]:
    if isinstance(node, Sequence):
        return set().union(*map(_listed, node.items))
    if not isinstance(node, Mapping):
        return set()
    word = node.get("kind")
    kind = table.kind(word.text if isinstance(word, Scalar) else "")
    return _shown(node, kind.root) if kind else set()


def _listed(item: Node) -> set[str]:
    """An item of a list of patches: a text, a document or an operation of a JSON patch."""
    if isinstance(item, Scalar):
        return _public(item.text)
    value, path = (item.get("value"), item.get("path")) if isinstance(item, Mapping) else (None, None)
    if value is None or not isinstance(path, Scalar):
        return _document(item)
    field = _at(path.text)
    return _shown(value, field) if field else set()


def _at(pointer: str) -> Field | None:
    """The field of the legacy document that a JSON pointer leads to."""
    legacy = table.kind(table.LEGACY)
    field = legacy.root if legacy else None
    for part in pointer.split("/")[1:]:
        if field is None or field.secret:
            return None
        field = field.fields.get(part) if field.kind == "struct" else field.item
    return field


def _shown(node: Node, field: Field) -> set[str]:
    """The secrets below a node that is in its right place."""
    if field.secret:
        return set()
    if isinstance(node, Scalar):
        return found(INNER.sub("", node.text))
    if field.kind == "unstructured":
        return _untyped(node)
    if isinstance(node, Sequence):
        return set().union(*(_shown(item, field.item) for item in node.items)) if field.item else set()
    if field.kind.startswith("x509"):
        return set().union(*(found(value.text) for key, value in node.pairs if key.text == "crt" and isinstance(value, Scalar)))
    below = [(key, value, field.fields.get(key.text) if field.kind == "struct" else field.item) for key, value in node.pairs]
    keys = set().union(*(found(key.text) for key, _value, _child in below)) if field.kind == "map" else set()
    return keys.union(*(_shown(value, child) for _key, value, child in below if child))


def _untyped(node: Node) -> set[str]:
    if isinstance(node, Scalar):
        return found(INNER.sub("", node.text))
    if isinstance(node, Sequence):
        return set().union(*map(_untyped, node.items))
    return set().union(*(found(key.text) | _untyped(value) for key, value in node.pairs if not SECRET_NAME.search(key.text)))
