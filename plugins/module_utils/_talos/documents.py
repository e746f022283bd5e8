# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Machine configs as lists of documents: loading, identity, and the checks on documents that belong together."""

from __future__ import annotations

import dataclasses
import typing as t

from . import table
from .decode import Decoder
from .scalars import is_time
from .yamltext import ConfigError, Mapping, Node, Scalar, documents, shown_key

LEGACY_KEYS = frozenset(("machine", "cluster", "debug", "persist"))

LINKS = ("BondConfig", "BridgeConfig", "DummyLinkConfig", "LinkConfig", "VLANConfig", "WireguardConfig", "VRFConfig", "VethConfig")
LINK_OWNERS_SINCE = 14
CONFLICTS = (LINKS, ("Layer2VIPConfig", "HCloudVIPConfig"), ("UserVolumeConfig", "ExistingVolumeConfig"))


@dataclasses.dataclass(frozen=True)
class Document:
    """One decoded document. value is never changed in place: a change makes a new Document. timed: it may hold a time in untyped data."""

    kind: table.Kind
    value: dict[str, t.Any]
    line: int = 0
    timed: bool = False

    @property
    def name(self) -> str:
        """The document's name, "" for kinds without names."""
        return str(self.value.get("name", "")) if self.kind.named else ""

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two documents the same: kind and name."""
        return self.kind.kind, self.name

    @property
    def title(self) -> str:
        """The document as messages call it."""
        kind = self.kind.kind or "v1alpha1"
        return f"{kind}/{self.name}" if self.kind.named else kind


@dataclasses.dataclass(frozen=True)
class Config:
    """A machine config: the legacy document, if any, first."""

    documents: tuple[Document, ...]

    def get(self, kind: str) -> dict[str, t.Any] | None:
        """The value of the first document of a kind ("" for the legacy one), or None."""
        for document in self.documents:
            if document.kind.kind == kind:
                return document.value
        return None

    def all(self, kind: str) -> list[Document]:
        """All documents of a kind."""
        return [document for document in self.documents if document.kind.kind == kind]


def legacy_first(found: t.Iterable[Document]) -> tuple[Document, ...]:
    """The order Talos prints: the legacy document, then the others as they are."""
    return tuple(sorted(found, key=lambda document: document.kind.kind != table.LEGACY))


def head(node: Mapping, key: str) -> str:
    """The text of a top-level scalar, "" if there is none."""
    value = node.get(key)
    return value.text if isinstance(value, Scalar) and not value.is_null else ""


def identify(node: Mapping, minor: int) -> table.Kind:
    """The kind of a document from its head; raises ConfigError for kinds this release does not know."""
    for key, value in node.pairs:
        if key.text in ("kind", "apiVersion") and (not isinstance(value, Scalar) or is_time(value, minor)):
            raise ConfigError(f"line {value.line}: {key.text}: must be a text")
    name = head(node, "kind")
    legacy = any(key.text in LEGACY_KEYS for key, _value in node.pairs)
    version = "v1alpha1" if legacy else head(node, "apiVersion")
    if not name and version != "v1alpha1":
        raise ConfigError(f"line {node.line}: missing kind")
    if not version:
        raise ConfigError(f"line {node.line}: {shown_key(name)}: missing apiVersion")
    kind = table.kind(name) if version == "v1alpha1" else None
    if kind is None or kind.since > minor:
        hint = f" (the kind is first in Talos 1.{kind.since}, the target is 1.{minor})" if kind else ""
        raise ConfigError(f'line {node.line}: "{shown_key(name)}" "{shown_key(version)}": not registered{hint}')
    return kind


def decode(node: Node, minor: int) -> Document | None:
    """A top-level node as a document; None for a null document."""
    if isinstance(node, Scalar) and node.is_null:
        return None
    if not isinstance(node, Mapping):
        raise ConfigError(f"expected a YAML document at line {node.line}")
    kind = identify(node, minor)
    decoder = Decoder(minor)
    value = decoder.value(node, kind.root, "")
    if decoder.problems:
        name = head(node, "name") if kind.named else ""
        title = f"{kind.kind or 'v1alpha1'}{'/' + shown_key(name) if name else ''}"
        raise ConfigError("\n".join(f"{title}: {problem}" for problem in decoder.problems))
    if kind.kind == table.LEGACY:
        value = _trim_manifests(value)
    return Document(kind, value, node.line, decoder.timed)


def _trim_manifests(value: dict[str, t.Any]) -> dict[str, t.Any]:
    """Talos trims leading tabs and line breaks of inline manifests while loading."""
    manifests = (value.get("cluster") or {}).get("inlineManifests")
    if manifests:
        value["cluster"]["inlineManifests"] = [
            {**item, "contents": item["contents"].lstrip("\t\n\v\f\r")} if "contents" in item else item for item in manifests
        ]
    return value


def load(text: str, minor: int) -> Config:
    """A machine config from YAML or JSON text.

    Raises ConfigError with every problem found, one a line, never repeating a value.
    """
    return from_nodes(documents(text), minor)


def from_nodes(nodes: t.Iterable[Node], minor: int) -> Config:
    """A machine config from the YAML documents of its text."""
    found: list[Document] = []
    problems: list[str] = []
    for node in nodes:
        try:
            document = decode(node, minor)
        except ConfigError as error:
            problems.append(str(error))
            continue
        if document is not None:
            found.append(document)
        elif minor <= 11:
            problems.append(f"line {node.line}: an empty document: expected a mapping")
    if problems:
        raise ConfigError("\n".join(problems))
    if not found:
        raise ConfigError("config not found: there is no document in it")
    check(found, minor)
    return Config(legacy_first(found))


def check(found: t.Sequence[Document], minor: int) -> None:
    """Raise ConfigError for duplicate and conflicting documents."""
    seen: set[tuple[str, str]] = set()
    owners: dict[str, Document] = {}
    for document in found:
        kind, name = document.identity
        where = f" (line {document.line})" if document.line else ""
        if document.identity in seen:
            raise ConfigError(f"duplicate document: {kind or 'v1alpha1'}/{shown_key(name) if name else ''}{where}")
        for group in CONFLICTS:
            other = next((rival for rival in group if rival != kind and (rival, name) in seen), None) if kind in group else None
            if other:
                raise ConfigError(f"conflicting documents: {other}/{shown_key(name)} and {kind}/{shown_key(name)}{where}")
        seen.add(document.identity)
        if minor >= LINK_OWNERS_SINCE:
            _claim_links(document, owners)


def _claim_links(document: Document, owners: dict[str, Document]) -> None:
    """Refuse two documents that configure the same link; a pair (Veth) has two."""
    if document.kind.kind not in LINKS:
        return
    pair = [document.value.get("peer") or {}] if document.kind.kind == "VethConfig" else []
    for name in (document.name, *(peer.get("name", "") for peer in pair)):
        if name in owners:
            raise ConfigError(f'conflicting link configurations: {owners[name].title} and {document.title} both configure "{shown_key(name) if name else ""}"')
        owners[name] = document
