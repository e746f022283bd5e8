# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strict decoding of a machine configuration, the way a Talos node of a given release does it.

A node refuses what it does not know: keys, kinds, and values of the wrong type. The keys come from keys.tsv; the decoder
shares no code with the collection, so that a mistake in one shows in the other.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import ipaddress
import re
import typing as t
from pathlib import Path

import yaml

Version = tuple[int, int]
LEGACY = "v1alpha1"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LEGACY_KEYS = ("machine", "cluster", "debug", "persist")
BOOLEANS = frozenset(("y", "yes", "on", "n", "no", "off"))
DURATION = re.compile(r"[-+]?(0|(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*)")


class ConfigError(Exception):
    """A configuration that the node refuses; the text is what the node answers."""


@dataclasses.dataclass
class Key:
    """A key of the schema with the keys below it; `[]` is a list's item, `<k>` a map's value."""

    kind: str = "struct"
    since: Version = (1, 5)
    below: dict[str, Key] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Document:
    """One decoded document: kind "" is the legacy one."""

    kind: str
    name: str
    value: dict[str, t.Any]


def release(tag: str) -> Version:
    """(1, 13) for v1.13.9."""
    major, minor = re.match(r"v?(\d+)\.(\d+)", tag).groups()  # type: ignore[union-attr]
    return int(major), int(minor)


@functools.lru_cache(maxsize=1)
def schema() -> dict[str, Key]:
    """Document -> its root key, read from keys.tsv."""
    roots: dict[str, Key] = {}
    for line in Path(__file__).with_name("keys.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        document, path, kind, since = line.split("\t")
        version = release(since) if since else (1, 5)
        root = roots.setdefault(document, Key(since=version))
        at = root
        for part in path.replace("[]", ".[]").split("."):
            at = at.below.setdefault(part, Key())
        at.kind, at.since = kind, version
    return roots


def _cannot(node: yaml.Node, kind: str) -> ConfigError:
    """The YAML library's complaint about a value of the wrong type."""
    shown = node.value if isinstance(node, yaml.ScalarNode) else ""
    return ConfigError(f"yaml: construct errors:\n  line {node.start_mark.line + 1}: cannot construct {_tag(node)} `{str(shown)[:10]}` into {kind}")


def _tag(node: yaml.Node) -> str:
    return str(node.tag).replace("tag:yaml.org,2002:", "!!")


def _quoted(node: yaml.ScalarNode) -> bool:
    return node.style in ("'", '"', "|", ">")


def _boolean(node: yaml.ScalarNode) -> bool:
    """true/false unquoted, or YAML 1.1's yes/no/on/off words even quoted."""
    if node.value.lower() in BOOLEANS:
        return str(node.value).lower() in ("y", "yes", "on")
    if not _quoted(node) and node.value in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return str(node.value).lower() == "true"
    raise _cannot(node, "bool")


def _integer(node: yaml.ScalarNode, kind: str) -> int:
    """Whole numbers in any notation of YAML, floats without fraction; not quoted, in range."""
    text = node.value.replace("_", "")
    try:
        if _quoted(node):
            raise ValueError(text)
        octal = re.fullmatch(r"([-+]?)0([0-7]+)", text)
        number = int(f"{octal[1]}0o{octal[2]}", 0) if octal else int(text, 0) if not re.search(r"[.]|^\d+[eE]", text) else _whole(text)
    except ValueError:
        raise _cannot(node, kind) from None
    bits = int(re.sub(r"\D", "", kind) or 64)
    low, high = (0, 2**bits) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    if not low <= number < high:
        raise _cannot(node, kind)
    return number


def _whole(text: str) -> int:
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def _network(node: yaml.ScalarNode, kind: str) -> str:
    """Addresses of the newer documents are parsed when they are decoded."""
    try:
        if kind == "prefix":
            ipaddress.ip_interface(node.value)
            if "/" not in node.value:
                raise ValueError("no '/'")
        elif kind == "addr":
            ipaddress.ip_address(node.value)
    except ValueError as error:
        raise ConfigError(f'yaml: construct errors:\n  line {node.start_mark.line + 1}: netip.Parse("{node.value}"): {error}') from None
    return str(node.value)


def _scalar(node: yaml.ScalarNode, kind: str) -> t.Any:
    """One scalar of a typed field."""
    if node.tag.endswith(":null") and not _quoted(node):
        return None
    if kind == "bool":
        return _boolean(node)
    if re.fullmatch(r"u?int\d*", kind):
        return _integer(node, kind)
    if kind == "duration" and not DURATION.fullmatch(node.value):
        raise ConfigError(f"yaml: construct errors:\n  line {node.start_mark.line + 1}: time: invalid duration {node.value!r}")
    if kind in ("prefix", "addr"):
        return _network(node, kind)
    return node.value


def _x509(node: yaml.Node, kind: str) -> dict[str, bytes]:
    """A certificate and key, each base64 of PEM; a missing part is empty."""
    if not isinstance(node, yaml.MappingNode):
        raise _cannot(node, "x509.PEMEncodedCertificateAndKey")
    parts = dict.fromkeys(kind[5:-1].split(","), b"")
    for key, value in node.value:
        if key.value not in parts:
            continue
        try:
            parts[key.value] = base64.b64decode(re.sub(r"[\r\n]", "", value.value or ""), validate=True) if value.value != "******" else b"******"
        except (binascii.Error, ValueError, TypeError):
            raise ConfigError(f"illegal base64 data in line {value.start_mark.line + 1}") from None
    return parts


class Decoder:
    """Decodes one document; collects all unknown keys before it complains about them."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self.unknown: list[tuple[list[str], t.Any]] = []

    def value(self, node: yaml.Node, key: Key, path: str) -> t.Any:
        """The value of a node as the schema's type says."""
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null") and not _quoted(node):
            return None
        if key.kind == "unstructured":
            return plain(node)
        if key.kind.startswith("x509{"):
            return _x509(node, key.kind)
        if key.kind == "list":
            return self.items(node, key, path)
        if key.kind == "map":
            return self.mapping(node, key, path)
        if key.kind == "struct":
            return self.struct(node, key, path)
        if not isinstance(node, yaml.ScalarNode):
            # Types with their own decoder (enums as lists, sizes) take scalars only, like strings do.
            raise _cannot(node, key.kind)
        return _scalar(node, key.kind)

    def items(self, node: yaml.Node, key: Key, path: str) -> list[t.Any]:
        if not isinstance(node, yaml.SequenceNode):
            raise _cannot(node, "[]" + (key.below["[]"].kind if "[]" in key.below else "string"))
        return [self.value(item, key.below.get("[]", Key("string")), f"{path}[]") for item in node.value]

    def mapping(self, node: yaml.Node, key: Key, path: str) -> dict[str, t.Any]:
        """A map with free keys; extraArgs take lists since 1.13."""
        if not isinstance(node, yaml.MappingNode):
            raise _cannot(node, "map[string]string")
        unique(node)
        found: dict[str, t.Any] = {}
        for name, value in node.value:
            if isinstance(value, yaml.SequenceNode) and path.endswith("extraArgs") and self.version >= (1, 13):
                found[name.value] = [item.value for item in value.value]
            else:
                found[name.value] = self.value(value, key.below.get("<k>", Key("string")), f"{path}.{name.value}")
        return found

    def struct(self, node: yaml.Node, key: Key, path: str) -> dict[str, t.Any]:
        if not isinstance(node, yaml.MappingNode):
            raise _cannot(node, "struct")
        unique(node)
        found: dict[str, t.Any] = {}
        for name, value in node.value:
            below = key.below.get(name.value)
            if below is None or below.since > self.version:
                self.unknown.append(([part for part in f"{path}.{name.value}".replace("[]", ".[]").split(".") if part], plain(value)))
            else:
                found[name.value] = self.value(value, below, f"{path}.{name.value}".lstrip("."))
        return found


def unique(node: yaml.MappingNode) -> None:
    """Refuse a key that is given twice."""
    seen: dict[str, int] = {}
    for name, _value in node.value:
        if name.value in seen:
            raise ConfigError(
                f'yaml: construct errors:\n  line {name.start_mark.line + 1}: mapping key "{name.value}" already defined at line {seen[name.value]}'
            )
        seen[name.value] = name.start_mark.line + 1


def plain(node: yaml.Node) -> t.Any:
    """An untyped value, with YAML 1.2's idea of booleans."""
    if isinstance(node, yaml.MappingNode):
        unique(node)
        return {name.value: plain(value) for name, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(item) for item in node.value]
    if node.tag.endswith((":bool", ":timestamp")) and node.value.lower() not in ("true", "false"):
        return node.value
    return yaml.SafeLoader("").construct_object(node, deep=True)


def _compose(data: bytes) -> list[yaml.Node]:
    try:
        return [node for node in yaml.compose_all(data.decode(), Loader=LOADER) if node is not None]
    except UnicodeDecodeError as error:
        raise ConfigError(f"yaml: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"yaml: {error}") from None


def _top(node: yaml.MappingNode) -> dict[str, str]:
    """The scalars at the top of a document."""
    return {name.value: value.value for name, value in node.value if isinstance(value, yaml.ScalarNode)}


def decode(data: bytes, version: Version) -> list[Document]:
    """All documents of a configuration text, or ConfigError."""
    documents: list[Document] = []
    seen: set[tuple[str, str, str]] = set()
    for node in _compose(data):
        line = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null"):
            continue
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"expected a YAML document at line {line}")
        top = _top(node)
        identity = (top.get("apiVersion", ""), top.get("kind") or LEGACY, top.get("name", ""))
        if identity in seen:
            raise ConfigError(f"duplicate document {'/'.join(identity)} is not allowed (line {line})")
        seen.add(identity)
        try:
            documents.append(_document(node, version))
        except ConfigError as error:
            raise ConfigError(f"error decoding document {'/'.join(identity)} (line {line}): {error}" if version >= (1, 12) else str(error)) from None
    if not documents:
        raise ConfigError("config not found")
    return documents


def _root(node: yaml.MappingNode, version: Version) -> tuple[str, Key]:
    """The kind ("" = legacy) and schema of a document; a legacy one is known by its keys, or by its version without a kind."""
    top = _top(node)
    legacy = any(name.value in LEGACY_KEYS for name, _value in node.value)
    api, kind = LEGACY if legacy else top.get("apiVersion", ""), top.get("kind", "")
    if not kind and api != LEGACY:
        raise ConfigError("missing kind")
    if not api:
        raise ConfigError("missing apiVersion")
    root = schema().get(kind or LEGACY)
    if root is None or root.since > version or api != LEGACY:
        raise ConfigError(f'"{kind}" "{api}": not registered')
    return kind, root


def _tree(unknown: list[tuple[list[str], t.Any]]) -> t.Any:
    """Only the unknown keys with what is around them, as the node shows them."""
    tree: dict[str, t.Any] = {}
    for path, value in unknown:
        at = tree
        for part in path[:-1]:
            at = at.setdefault(part, {})
        at[path[-1]] = value
    return _lists(tree)


def _lists(tree: t.Any) -> t.Any:
    if not isinstance(tree, dict):
        return tree
    below = {key: _lists(value) for key, value in tree.items()}
    return [below["[]"]] if set(below) == {"[]"} else below


def _document(node: yaml.MappingNode, version: Version) -> Document:
    kind, root = _root(node, version)
    decoder = Decoder(version)
    try:
        value = decoder.struct(node, root, "")
    except ConfigError as error:
        raise ConfigError(f"error decoding {kind}: {error}") from None
    if decoder.unknown:
        raise ConfigError("unknown keys found during decoding:\n" + yaml.safe_dump(_tree(decoder.unknown), indent=4))
    return Document(kind, _top(node).get("name", ""), value)
