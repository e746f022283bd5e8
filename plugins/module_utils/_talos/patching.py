# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Patches: which of the two kinds a text is, and how a config takes them."""

from __future__ import annotations

import dataclasses
import typing as t

from . import deletes, emit, jsonpatch, table
from .decode import holds_time
from .deletes import Delete
from .documents import Config, Document, check, decode, legacy_first, load
from .merge import Merger
from .yamltext import MAX_NODES, ConfigError, Mapping, Node, Scalar, Sequence, documents


@dataclasses.dataclass(frozen=True)
class Strategic:
    """A strategic merge patch: deletes and documents in the order they apply."""

    steps: tuple[Delete | Document, ...]


@dataclasses.dataclass(frozen=True)
class JsonPatch:
    """An RFC 6902 patch."""

    operations: tuple[jsonpatch.Operation, ...]


# The first release that copies the documents a patch adds.
COPIES_ADDED_SINCE = 14

# Files that each hold a list of patches may be listed themselves.
MAX_LISTS = 2
MAX_PATCHES = 1000

Patch = t.Union[Strategic, JsonPatch]


def load_patch(text: str, minor: int) -> Patch:
    """One patch from its text. Raises ConfigError if it is neither kind; a mapping reports the errors of a strategic merge patch."""
    return from_nodes(documents(text), minor)


def read_patches(text: str, depth: int = MAX_LISTS) -> list[list[Node]]:
    """The patches of an option, each as the YAML documents of its text, not decoded yet.

    The option is one patch, or a list of patches: texts or mappings. Blank text is none. depth: how many lists may be in each other.
    """
    nodes = [node for node in documents(text) if not (isinstance(node, Scalar) and node.is_null)]
    if len(nodes) != 1 or not isinstance(nodes[0], Sequence) or _is_operations(nodes[0]):
        return [nodes] if nodes else []
    if not depth:
        raise ConfigError(f"line {nodes[0].line}: a list of patches in a list of patches in a list of patches; give one list")
    found: list[list[Node]] = []
    size = 0
    for item in nodes[0].items:
        more: list[list[Node]] = [[item]] if not isinstance(item, Scalar) else read_patches(item.text, depth - 1) if not item.is_null else []
        found += more
        size += sum(node.size for patch in more for node in patch)
        if size > MAX_NODES or len(found) > MAX_PATCHES:
            raise ConfigError(f"line {item.line}: too large (more than {MAX_NODES} values or {MAX_PATCHES} patches)")
    return found


def _is_operations(node: Sequence) -> bool:
    return any(isinstance(item, Mapping) and item.get("op") is not None for item in node.items) or not node.items


def load_patches(text: str, minor: int) -> list[Patch]:
    """The patches of an option, decoded."""
    return [from_nodes(nodes, minor) for nodes in read_patches(text)]


def from_nodes(nodes: t.Sequence[Node], minor: int) -> Patch:
    """One patch from the YAML documents of its text."""
    nodes = [node for node in nodes if not (isinstance(node, Scalar) and node.is_null)]
    if not nodes:
        return JsonPatch(())
    if isinstance(nodes[0], Sequence):  # Talos looks no further
        return JsonPatch(tuple(jsonpatch.operations(nodes[0])))
    return _strategic(nodes, minor)


def _strategic(nodes: t.Sequence[Node], minor: int) -> Strategic:
    steps: list[Delete | Document] = []
    problems: list[str] = []
    for node in nodes:
        try:
            found, rest = deletes.extract(node) if minor >= deletes.FIRST_MINOR else ([], node)
            steps.extend(found)
            document = decode(rest, minor) if rest is not None else None
        except ConfigError as error:
            problems.append(str(error))
            continue
        if document is not None:
            steps.append(document)
    if problems:
        raise ConfigError("\n".join(problems))
    if minor <= 13:
        check([step for step in steps if isinstance(step, Document)], minor)
    return Strategic(tuple(sorted(steps, key=lambda step: _rank(step, minor))))


def _rank(step: Delete | Document, minor: int) -> int:
    """Deletes in the legacy document come first; up to 1.13 the legacy document itself was next."""
    if isinstance(step, Delete):
        return 0 if step.kind == table.LEGACY else 2
    return 1 if step.kind.kind == table.LEGACY and minor <= 13 else 2


class Patched:
    """A config on its way through patches, decoded or as text, whichever the last patch left; the other is made when asked for.

    notes: what the patches did that a user would not expect.
    """

    def __init__(self, minor: int, text: str | None = None, config: Config | None = None, notes: tuple[str, ...] = ()) -> None:
        self.minor = minor
        self.notes = notes
        self._text = text
        self._config = config

    def config(self) -> Config:
        """The decoded config; raises ConfigError if the text is not one."""
        if self._config is None:
            self._config = load(t.cast(str, self._text), self.minor)
        return self._config

    def text(self) -> str:
        """The config's text, as Talos prints it after a patch of the kind applied last."""
        if self._text is None:
            self._text = emit.config(t.cast(Config, self._config), self.minor)
        return self._text

    def apply(self, patch: Patch) -> Patched:
        """The config with one more patch."""
        if isinstance(patch, JsonPatch):
            return Patched(self.minor, text=_apply_json(self.text(), patch), notes=self.notes)
        config, notes = _apply_strategic(self.config(), patch, self.minor)
        return Patched(self.minor, config=config, notes=(*self.notes, *notes))


def apply_all(start: Patched, patches: t.Iterable[Patch]) -> Patched:
    """Patches in the order given."""
    for patch in patches:
        start = start.apply(patch)
    return start


def _apply_json(text: str, patch: JsonPatch) -> str:
    nodes = documents(text)
    if len(nodes) != 1:
        raise ConfigError("JSON6902 patches are not supported for multi-document machine configuration; use a strategic merge patch")
    try:
        data = jsonpatch.apply(jsonpatch.read(nodes[0]), patch.operations)
    except ConfigError as error:
        raise ConfigError(f"failure applying rfc6902 patches to talos machine config: {error}") from None
    return emit.text(_sorted(data), step=2, flat_lists=True)


def _sorted(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=emit.natural)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _apply_strategic(config: Config, patch: Strategic, minor: int) -> tuple[Config, list[str]]:
    _refuse_times(config.documents)
    found = list(config.documents)
    known = {document.identity: index for index, document in enumerate(found)}
    gone: set[int] = set()
    merger, notes = Merger(minor), []
    for step in patch.steps:
        index = known.get(step.identity)
        if isinstance(step, Document):
            if index is None:
                _refuse_times([step] if minor >= COPIES_ADDED_SINCE else [])
                known[step.identity] = len(found)
                found.append(step)
            else:
                value = merger.struct(found[index].value, step.value, step.kind.root, "")
                notes += [f"{step.title}: {note}" for note in merger.notes]
                merger.notes.clear()
                found[index] = dataclasses.replace(found[index], value=value, timed=found[index].timed or step.timed)
        elif index is not None:
            _delete(found, index, step, gone, known, minor)
        elif minor <= 13:
            raise ConfigError(f"{step.title}: the config has no such document")
    result = [document for index, document in enumerate(found) if index not in gone]
    check([dataclasses.replace(document, line=0) for document in result], minor)
    return Config(legacy_first(result)), notes


def _refuse_times(documents: t.Iterable[Document]) -> None:
    """Talos copies a config before it patches it, and its copying does not know times."""
    for document in documents:
        if document.timed and holds_time(document.value):
            raise ConfigError(f"{document.title}: a time such as 2024-01-01 in untyped data must be quoted: Talos cannot patch a config that holds one")


def _delete(found: list[Document], index: int, step: Delete, gone: set[int], known: dict[tuple[str, str], int], minor: int) -> None:
    left = deletes.apply(found[index], step, minor)
    if left is None:
        gone.add(index)
        del known[step.identity]
    else:
        found[index] = left
