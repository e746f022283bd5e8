# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""YAML text to nodes that keep what Talos' decoder looks at: the raw scalar text, its style, and the line.

PyYAML's constructors lose that (`0x10`, `yes`, `1.0`), and its errors quote the text, which here is full of secrets; so nodes are
built from parse events, without recursion, with limits on size, depth and alias expansion. No error repeats a value.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
import typing as t

try:
    import yaml
except ImportError as error:  # reported by the modules through missing_required_lib
    YAML_IMPORT_ERROR: ImportError | None = error
    LOADER: t.Any = None
else:
    YAML_IMPORT_ERROR = None
    LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 100
MAX_NODES = 50_000
MAX_DOCUMENTS = 1000
MAX_KEY = 1024

NULLS = frozenset(("", "~", "null", "Null", "NULL"))
STR_TAG = "tag:yaml.org,2002:str"
NULL_TAG = "tag:yaml.org,2002:null"
BINARY_TAG = "tag:yaml.org,2002:binary"


class ConfigError(ValueError):
    """A text is not a config or patch that Talos would take. The message names path or line, never a secret."""


@dataclasses.dataclass
class Scalar:
    """A scalar as written: text, whether it was plain (unquoted), its explicit tag or ""."""

    text: str
    plain: bool
    tag: str
    line: int
    size: int = 1

    @property
    def is_null(self) -> bool:
        """Null for Talos: an empty or null-like plain scalar, or one tagged !!null."""
        return self.tag == NULL_TAG or (self.plain and not self.tag and self.text in NULLS)


@dataclasses.dataclass
class Mapping:
    """A mapping's pairs in the order written."""

    pairs: list[tuple[Scalar, Node]]
    line: int
    size: int = 1

    def get(self, key: str) -> Node | None:
        """The value of key, or None."""
        for name, value in self.pairs:
            if name.text == key:
                return value
        return None


@dataclasses.dataclass
class Sequence:
    """A sequence's items."""

    items: list[Node]
    line: int
    size: int = 1


Node = t.Union[Scalar, Mapping, Sequence]

KEY_SHOWN = re.compile(r"[A-Za-z0-9$<][A-Za-z0-9_./<$-]{0,62}")
# As tokens and passphrases look, and no key: a long run of letters and digits with a letter after a digit.
SECRET_RUN = re.compile(r"(?=[A-Za-z0-9]{0,14}[0-9][A-Za-z])[A-Za-z0-9]{16}")


def shown_key(key: str) -> str:
    """A key as messages may show it: what looks like a word of the format, never what may be a misplaced value."""
    return key if KEY_SHOWN.fullmatch(key) and not SECRET_RUN.search(key) else "(unprintable key)"


class _Builder:
    """Builds documents from events, one at a time; stack holds the open collections and the keys waiting for a value."""

    def __init__(self) -> None:
        self.documents: list[Node] = []
        self.stack: list[Mapping | Sequence] = []
        self.anchored: list[str | None] = []
        self.keys: list[Scalar | None] = []
        self.anchors: dict[str, Node] = {}
        self.size = 0

    def add(self, node: Node, anchor: str | None) -> None:
        """Put a finished scalar or alias target where it belongs."""
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.stack:
            self.documents.append(node)
            self.size += node.size
            self._check_size(0, node.line)
            if len(self.documents) > MAX_DOCUMENTS:
                raise ConfigError(f"line {node.line}: more than {MAX_DOCUMENTS} documents")
            return
        parent = self.stack[-1]
        parent.size += node.size
        self._check_size(parent.size, parent.line)
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif self.keys[-1] is None:
            self.keys[-1] = self._key(parent, node)
        else:
            parent.pairs.append((self.keys[-1], node))
            self.keys[-1] = None

    def _check_size(self, pending: int, line: int) -> None:
        if self.size + pending > MAX_NODES:
            raise ConfigError(f"line {line}: too large once its aliases are expanded (more than {MAX_NODES} values)")

    @staticmethod
    def _key(parent: Mapping, node: Node) -> Scalar:
        if not isinstance(node, Scalar):
            raise ConfigError(f"line {node.line}: a mapping key must be a plain word, not a list or mapping")
        if len(node.text) > MAX_KEY:
            raise ConfigError(f"line {node.line}: a mapping key is longer than {MAX_KEY} characters")
        return node

    def open(self, node: Mapping | Sequence, anchor: str | None) -> None:
        """Begin a collection."""
        if len(self.stack) >= MAX_DEPTH:
            raise ConfigError(f"line {node.line}: nested deeper than {MAX_DEPTH} levels")
        self.stack.append(node)
        self.anchored.append(anchor)
        self.keys.append(None)

    def close(self) -> None:
        """End the innermost collection."""
        node = self.stack.pop()
        self.keys.pop()
        if isinstance(node, Mapping):
            _refuse_duplicates(node)
        self.add(node, self.anchored.pop())

    def alias(self, name: str, line: int) -> None:
        """Put the node that an anchor names."""
        if name not in self.anchors:
            raise ConfigError(f"line {line}: an alias names no anchor before it")
        self.add(self.anchors[name], None)


def _refuse_duplicates(node: Mapping) -> None:
    seen: dict[str, int] = {}
    for key, _value in node.pairs:
        if key.text in seen:
            raise ConfigError(f'line {key.line}: mapping key "{shown_key(key.text)}" already defined at line {seen[key.text]}')
        seen[key.text] = key.line


def _tagged(node: Scalar) -> Scalar:
    """A scalar tagged as null, which must be one, or as binary, which stands for the text it encodes."""
    if node.tag == NULL_TAG:
        if node.text not in NULLS:
            raise ConfigError(f"line {node.line}: a value tagged !!null must be null")
        return node
    try:
        text = base64.b64decode("".join(node.text.split()).encode(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise ConfigError(f"line {node.line}: a value tagged !!binary must be a text in base64") from None
    return Scalar(text, False, STR_TAG, node.line)


def _feed(builder: _Builder, event: t.Any) -> None:
    line = event.start_mark.line + 1
    kind = type(event)
    if kind is yaml.ScalarEvent:
        tag = event.tag or ""
        node = Scalar(event.value, not event.style and tag != "!", "" if tag == "!" else tag, line)
        builder.add(_tagged(node) if tag in (NULL_TAG, BINARY_TAG) else node, event.anchor)
    elif kind is yaml.MappingStartEvent:
        builder.open(Mapping([], line), event.anchor)
    elif kind is yaml.SequenceStartEvent:
        builder.open(Sequence([], line), event.anchor)
    elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
        builder.close()
    elif kind is yaml.AliasEvent:
        builder.alias(event.anchor, line)
    elif kind is yaml.DocumentStartEvent:
        builder.anchors = {}


def documents(text: str) -> list[Node]:
    """The documents of a YAML (or JSON) text. An empty document is a null scalar; a text without documents gives [].

    Raises ConfigError for anything that is not YAML, has a key twice in one mapping, or exceeds the limits.
    """
    try:
        data = str(text).encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError("the text is not valid UTF-8") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"the text is larger than {MAX_BYTES} bytes")
    builder = _Builder()
    try:
        for event in yaml.parse(data, Loader=LOADER):
            _feed(builder, event)
    except yaml.YAMLError as error:
        raise ConfigError(_yaml_problem(error, str(text))) from None
    return builder.documents


def _yaml_problem(error: t.Any, text: str) -> str:
    """A YAML error in words, without the text around it (PyYAML's own message quotes it)."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    problem = getattr(error, "problem", None) or "unprintable or control characters"
    # The scanner stands at the tab, and says no more than that no token starts with it.
    if mark is not None and text[mark.index : mark.index + 1] == "\t":
        return f"{where}a tab in the indentation, which must be spaces"
    return where + re.sub(r"""'[^']{4,}'|"[^"]{4,}\"""", "...", problem)
