# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs: number n of a seed is always the same, whatever came before it."""

from __future__ import annotations

import dataclasses
import json
import random
import typing as t

from .documents import Documents, Patches, plain, text
from .hostile import hostile
from .planted import planted

MINORS = range(6, 15)
STYLES = ("flow", "block", "block", "json")

TOKENS = [
    *"{}[]:,#&*!|>'\"%@`?-~\n\t\\",
    *("  ", "\r\n", "\ufeff", "\x00", "\x07", "\x85", "\u2028", "\ud800", "\udcff", "é", "😀", "²", "٣", "\x7f", "\xa0"),
    *("- ", "? ", ": ", "<<: *a\n", "<<: [*a, *a]\n", "&a ", "*a", "!!int ", "!!binary ", "!!null ", "!!str ", "!<tag:x> ", "---\n", "...\n", "%YAML 1.1\n"),
    *("|2-\n", ">+\n", "|\n", "\\x41", '"\\ud83d\\ude00"', "$patch: delete\n", "null", "true", "yes", "0x", "0o8", "1e999", "9" * 5000, ".inf", "-0", "1_000"),
    *("2024-01-01", "2024-13-45T99:99:99Z", "kind: X\n", "apiVersion: v2\n", "name: \n", "/", "//", "~1", "://", "@", "token: ", "- op: add\n"),
    planted(9999),
]


@dataclasses.dataclass(frozen=True)
class Input:
    """Options as a user gives them. family says how they were made; places are the secret fields that were planted."""

    family: str
    options: dict[str, t.Any]
    places: frozenset[str] = frozenset()


def make(seed: int, number: int) -> Input:
    """An input."""
    chance = random.Random(f"{seed}/{number}")
    family = chance.choices(list(FAMILIES), [40, 46, 14])[0]
    minor = MINORS[number % len(MINORS)]
    documents = Documents(chance, minor)
    options = FAMILIES[family](documents)
    return Input(family, {**_around(documents), **options}, frozenset(documents.places))


def _around(documents: Documents) -> dict[str, t.Any]:
    """The other options: mostly good."""
    chance = documents.chance
    version = f"v1.{documents.minor}.{chance.randrange(9)}"
    return {
        "nodes": [_node(chance, f"n{number}") for number in range(chance.choice([0, 1, 1, 2]))],
        "role": "worker",
        "mode": "cloud" if documents.happens(0.9) else "metal",
        "talos_version": version if documents.happens(0.97) else chance.choice(["", "1.5", "v1.99", "v" + "9" * 5000, "v1.²", "x\ny", None]),
    }


def _node(chance: random.Random, name: str) -> dict[str, t.Any]:
    good = chance.random() < 0.95
    odd = {chance.choice(["a", "kubernetes.io/x", "", "²", "x" * 300]): chance.choice([True, None, 5, "v", "é", {"a": 1}])}
    hostname = "n.example.com" if good else chance.choice(["", "x" * 300, "\n", "é.", "-", ".", "a b", "9" * 5000])
    return {
        "name": name,
        "hostname": hostname,
        "labels": {"purpose": "gpu"} if good else odd,
        "taints": [{"key": "a", "value": "b"}] if chance.random() < 0.2 else [],
    }


# ---- structures -----------------------------------------------------------------------------------------------------------------------------


def _structure(documents: Documents) -> dict[str, t.Any]:
    base = _base(documents)
    patches = Patches(documents)
    common = [patches.patch(base) for _ in range(documents.chance.choice([0, 1, 1, 2]))]
    options = {"config": _written(documents, base), "patch": _patch_option(documents, common)}
    if documents.happens(0.3):
        options["nodes"] = [{**_node(documents.chance, "own"), "patch": _patch_option(documents, [patches.patch(base)])}]
    return options


def _base(documents: Documents) -> list[dict[str, t.Any]]:
    chance = documents.chance
    legacy = documents.document("", chance.choices([0.03, 0.1, 0.3, 0.7], [50, 25, 20, 5])[0])
    cluster = legacy.get("cluster") if isinstance(legacy.get("cluster"), dict) else {}
    if documents.happens(0.9):
        legacy["cluster"] = {**(cluster or {}), "controlPlane": {"endpoint": "https://a.example:6443"}}
        legacy["machine"] = {**legacy["machine"], "ca": {"crt": "LS0tLQ==", "key": ""}}
    kinds = documents.secret_kinds if documents.happens(0.5) else documents.kinds
    others = chance.sample(kinds, min(chance.choice([0, 0, 0, 1, 2]), len(kinds)))
    return [legacy, *(documents.document(kind, chance.choice([0.3, 0.9, 0.9])) for kind in others)]


def _written(documents: Documents, base: list[t.Any]) -> t.Any:
    """Documents as a text in some style, or (one) as they are."""
    if len(base) == 1 and documents.happens(0.05):
        return plain(base[0])
    return text(base, documents.chance.choice(STYLES))


def _patch_option(documents: Documents, patches: list[t.Any]) -> t.Any:
    """No, one or several patches, each a list of documents (or of one JSON patch), as the option takes them."""
    if not patches:
        return documents.chance.choice([None, "", "\n", "[]", "# none"])
    written = [_written(documents, patch) for patch in patches]
    if len(written) == 1 and documents.happens(0.7):
        return written[0]
    listed = [json.dumps(one) if isinstance(one, list) else one for one in written]
    return listed if documents.happens(0.2) else json.dumps(listed)


# ---- bytes ----------------------------------------------------------------------------------------------------------------------------------


def _bytes(documents: Documents) -> dict[str, t.Any]:
    options = _structure(documents)
    damaged = documents.chance.choice(["config", "patch", "patch"])
    source = options[damaged] if isinstance(options[damaged], str) else json.dumps(options[damaged])
    return {**options, damaged: _recoded(documents.chance, _mutated(documents.chance, source))}


def _mutated(chance: random.Random, source: str) -> str:
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        at = chance.randrange(len(source) + 1)
        end = at + chance.choice([0, 0, 1, 3, 30])
        piece = chance.choice(TOKENS)
        if chance.random() < 0.3:
            start = chance.randrange(len(source) + 1)
            piece = source[start : start + chance.choice([1, 8, 80])]
        source = source[:at] + piece + source[end:]
    return source


def _recoded(chance: random.Random, source: str) -> str:
    """The text as it arrives from a file of another encoding or system, rarely."""
    choice = chance.randrange(60)
    if choice == 0:
        return source.replace("\n", "\r\n")
    if choice == 1:
        return source.replace("\n", "\r")
    if choice == 2:
        return "\ufeff" + source
    if choice == 3:
        return source.encode("utf-16", "surrogatepass").decode("utf-8", "surrogateescape")
    if choice == 4:
        return source.encode("utf-8", "surrogatepass").decode("latin-1")
    return source.replace("  ", "\t") if choice == 5 else source[: chance.randrange(len(source) + 1)] if choice < 10 else source


# ---- hostile texts --------------------------------------------------------------------------------------------------------------------------


def _hostile(documents: Documents) -> dict[str, t.Any]:
    chance = documents.chance
    options = _structure(documents)
    texts = [hostile(chance) for _ in range(chance.choice([1, 1, 1, 2]))]
    where = chance.choice(["config", "patch", "patch", "node", "list"])
    if where == "node":
        return {**options, "nodes": [{"name": "n", "hostname": "n", "patch": texts[0]}]}
    if where == "list":
        return {**options, "patch": json.dumps(texts)}
    return {**options, where: texts[0]}


FAMILIES: dict[str, t.Callable[[Documents], dict[str, t.Any]]] = {"structure": _structure, "bytes": _bytes, "hostile": _hostile}
