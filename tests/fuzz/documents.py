# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents from the field table: mostly right, often odd, with a planted secret wherever the table says that one belongs."""

from __future__ import annotations

import functools
import json
import random
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import scalars, table
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.table import Field

from .planted import planted


class Raw(str):
    """A scalar written without quotes."""


PLAIN = ["65535", "yes", "0x10", "1.0", "off", "~", "2024-01-01", "1:30", "http://x/y", "1e3", "0o17", ".5", "-7", "!!int x", "!!binary YQ==", ".nan", "1_0"]
WORDS: list[t.Any] = ["alpha", "", "with: colon", "#hash", " lead", "two\nlines\n", "true", "null", "12", "a'b\"c", "é", "-", "\ttab", *map(Raw, PLAIN)]
NAMES = ["one", "two", "eth0", "10.0.0.1"]

# The first value of each is right.
POOLS: dict[str, list[t.Any]] = {
    "bool": [Raw("true"), Raw("false"), Raw("yes"), "yes", 1],
    "duration": ["10m", "1.5s", 0, "9" * 30 + "h", "x", "-3s", Raw("1e9")],
    "url": ["https://a.example:6443/", "https://10.0.0.1", "", "a b", "http://[::1", "http://h:99999999", "//x", "%zz", "http://h:" + "9" * 5000],
    "bytesize": ["10GiB", 4096, "", "-1GB", "x", "1e5", "9" * 50 + "GB"],
    "size": ["10GiB", "50%", "", "-10%", "120%", "9" * 50 + "%", "%"],
    "disksize": ["10GB", 5000, "1.5 GB", "x", "1..5GB", "1,GB"],
    "sizecondition": [">= 1TB", "4GB", "= 3", ">"],
    "addr": ["10.0.0.1", "fe80::1%eth0", "", "x", "1.2.3.4%", "::ffff:1.2.3.4", "01.2.3.4"],
    "prefix": ["10.0.0.0/24", "2001:DB8::/32", "", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/" + "9" * 5000, "10.0.0.0/²"],
    "addrport": ["10.0.0.1:80", "[fe80::1]:443", "x:1", "10.0.0.1:" + "9" * 5000, "[:1"],
    "hwaddr": ["00:1a:2b:3c:4d:5e", "zz", "", "0:"],
    "portrange": [80, Raw("80-90"), "90-80", "x", 70000, Raw("1-" + "9" * 5000), "٣-٤"],
    "bytes": ["YQ==", "", "x", "******", "YQ", "Y=Q="],
    "filemode": [Raw("0o644"), 420, Raw("0755"), "0644", -1, Raw("9" * 5000)],
    "arg": ["a", "", Raw("7"), Raw("null"), ["x", "y"], [], {"x": "y"}],
    "cel": ["true", "disk.size > 10u * GB", ""],
}
NUMBERS: list[t.Any] = [1, 9, 200, 0, 1500, 70000, -1, Raw("0x1F"), Raw("1.5"), "12", Raw("1e400"), Raw("9" * 5000)]
ODD: list[t.Any] = [None, Raw(""), [], {}, "odd", 7, ["a"], [[]], [None], {"a": "b"}, {"a": None}, {"$patch": "delete"}, {"$patch": "replace"}, Raw("9" * 400)]


@functools.cache
def kinds(minor: int) -> tuple[list[str], list[str]]:
    """The kinds of documents beside the legacy one that a release knows; those of them that hold secrets."""
    known = [kind for name in table.kinds() if (kind := table.kind(name)) and kind.kind and kind.since <= minor]
    return [kind.kind for kind in known], [kind.kind for kind in known if _has_secret(kind.root)]


def _has_secret(field: Field) -> bool:
    below = [*field.fields.values(), *([field.item] if field.item else [])]
    return field.secret or field.kind.startswith("x509") or any(map(_has_secret, below))


class Documents:
    """Makes documents for one release (minor), from chance alone. secrets counts those planted, places are the paths they went to."""

    def __init__(self, chance: random.Random, minor: int) -> None:
        self.chance = chance
        self.minor = minor
        self.secrets = 0
        self.places: set[str] = set()
        self.kinds, self.secret_kinds = kinds(minor)
        self.odd = chance.choice([0, 0, 0, 0.01, 0.05])
        self.document_kind = ""

    def secret(self, path: str) -> str:
        """A new planted secret."""
        self.secrets += 1
        self.places.add(f"{self.document_kind}:{path}")
        return planted(self.secrets)

    def happens(self, share: float) -> bool:
        """Whether something of this probability happens."""
        return self.chance.random() < share

    def document(self, name: str, density: float) -> dict[str, t.Any]:
        """A document of a kind, its identity always right."""
        kind = table.kind(name)
        assert kind
        self.document_kind = name
        body = self._struct(kind.root, density)
        if not name:
            machine = body.get("machine") if isinstance(body.get("machine"), dict) else {}
            return {"version": "v1alpha1", **body, "machine": {**(machine or {}), "type": "worker"}}
        head = {"apiVersion": "v1alpha1", "kind": name, **({"name": self.chance.choice(NAMES)} if kind.named else {})}
        return {**body, **head}

    def value(self, field: Field, density: float) -> t.Any:
        """A value of a field."""
        if self.happens(self.odd):
            return self._malformed(field) if field.secret else self.chance.choice(ODD)
        if field.secret and field.kind in ("string", "url"):
            return self._secret_text(field)
        method = getattr(self, "_" + field.kind.partition(":")[0], self._scalar)
        return method(field, density)

    def _malformed(self, field: Field) -> t.Any:
        """A secret of a wrong shape, or as a key, or cut by a sign of YAML's own."""
        secret = self.secret(field.path)
        raw = ["!!int {0}", "!!binary {0}", "{0}: {0}", "*{0}", "&{0} {0}", "'{0}", '"{0}', "!{0} x", "[{0}", "@{0}", "- {0}", "%{0}"]
        return self.chance.choice([[secret], {secret: secret}, {"a": secret}, f"{secret}\0", *(Raw(form.format(secret)) for form in raw)])

    def _secret_text(self, field: Field) -> str:
        secret = self.secret(field.path)
        if field.kind == "url":
            return f"https://user:{secret}@host/"
        return self.chance.choice([secret, secret, f"abcdef.{secret}", f"line\n{secret}\n", f"https://u:{secret}@h/", f"HTTP_PROXY={secret}", f"{secret}="])

    def _struct(self, field: Field, density: float) -> dict[str, t.Any]:
        result = {
            name: self.value(child, density)
            for name, child in field.fields.items()
            if name not in ("apiVersion", "kind") and (child.since <= self.minor or self.happens(self.odd)) and self.happens(density)
        }
        if self.happens(self.odd / 2):
            result[self.chance.choice(["unknownKey", "<<", "$patch", "", self.secret(field.path), "é" * 80])] = self.secret(field.path)
        return result

    def _item(self, field: Field, density: float) -> t.Any:
        item = field.item
        assert item
        return self._secret_text(field) if field.secret and item.kind == "string" else self.value(item, max(density, 0.4))

    def _list(self, field: Field, density: float) -> list[t.Any]:
        return [self._item(field, density) for _ in range(self.chance.choice([0, 1, 1, 2]))]

    def _map(self, field: Field, density: float) -> dict[str, t.Any]:
        keys = ["a", "b", "eth2", "eth10", "x.y/z", "10", "true", "a1²", "a" + "9" * 5000, "<<"]
        return {key: self._item(field, density) for key in self.chance.sample(keys[: 6 if self.happens(0.9) else 10], self.chance.choice([0, 1, 2, 3]))}

    def _unstructured(self, field: Field, density: float) -> dict[str, t.Any]:
        keys = self.chance.sample(["a", "b", "memory", "cpu", "password"], self.chance.choice([0, 1, 2, 3]))
        return {key: self.secret(field.path) if field.secret or key == "password" else self.untyped(2) for key in keys}

    def untyped(self, depth: int) -> t.Any:
        """Untyped data."""
        choice = self.chance.randrange(10)
        if choice < 2 and depth:
            return {key: self.untyped(depth - 1) for key in self.chance.sample(["a", "b", "k10", "k9"], 2)}
        if choice < 4 and depth:
            return [self.untyped(depth - 1) for _ in range(self.chance.choice([0, 1, 2]))]
        return self.chance.choice([1, 0, True, 1.5, "s", "", Raw("yes"), Raw("0x1F"), Raw("2024-01-01"), 10**12, "12", "two\nlines", None])

    def _x509(self, field: Field, density: float) -> dict[str, t.Any]:
        parts = field.kind.partition(":")[2].split(",")
        return {part: self.secret(f"{field.path}.key") if part == "key" else "LS0tLQ==" for part in parts if self.happens(0.8)}

    def _url(self, field: Field, density: float) -> t.Any:
        if self.happens(0.2):
            return self.chance.choice(["https://u:{}@h:1/", "tcp://{}@[::1", "http://u:{}@h:x", "http://h/?token={}"]).format(self.secret(field.path))
        return self._scalar(field, density)

    def _enum(self, field: Field, density: float) -> str:
        words = [word for word in scalars.ENUMS[field.kind.partition(":")[2]] if word][:12]
        return "other" if self.happens(self.odd) else self.chance.choice(words)

    def _scalar(self, field: Field, density: float) -> t.Any:
        pool = POOLS.get(field.kind)
        if pool:
            return self.chance.choice(pool) if self.happens(self.odd * 3) else pool[0]
        if field.kind in scalars.INT_RANGES:
            return self.chance.choice(NUMBERS[: None if self.happens(self.odd * 3) else 3])
        if field.name in ("name", "image", "mountPath", "interface"):
            return self.chance.choice(NAMES)
        return "alpha" if self.happens(0.9 - self.odd * 5) else self.chance.choice(WORDS)


# ---- patches of documents -------------------------------------------------------------------------------------------------------------------


class Patches:
    """Makes patches that have to do with a base."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self.chance = documents.chance

    def patch(self, base: list[dict[str, t.Any]]) -> t.Any:
        """A strategic merge patch (a list of documents) or a JSON patch (a list of one list)."""
        if self.documents.happens(0.3 if len(base) == 1 else 0.03):
            return [[self._operation(base[0]) for _ in range(self.chance.choice([1, 2, 5]))]]
        if self.documents.happens(0.25):
            return [self._deletes(self.chance.choice(base), self.chance.choice([0.02, 0.2]))]
        known = self.chance.choice(base)
        document = self.documents.document(known.get("kind", ""), self.chance.choice([0.05, 0.2]))
        return [{**document, "name": known["name"]} if "name" in document and "name" in known else document]

    def _deletes(self, value: t.Any, share: float) -> t.Any:
        if isinstance(value, dict):
            below = {key: {"$patch": "delete"} if self.documents.happens(share) else self._deletes(entry, share) for key, entry in value.items()}
            return {**below, **{key: value[key] for key in ("apiVersion", "kind", "name", "version") if key in value}}
        return [self._deletes(item, share) for item in value] if isinstance(value, list) else value

    def _operation(self, base: t.Any) -> dict[str, t.Any]:
        op = self.chance.choice(["add"] * 4 + ["replace", "remove", "test", "move", "copy"] * 2 + ["bogus"])
        path, value = self._pointer(base)
        result = {"op": op, "path": path}
        if op in ("move", "copy"):
            result["from"] = self._pointer(base)[0]
        elif op != "remove":
            result["value"] = self.chance.choice(["v", 1, None, True, [], {"a": 1}, value])
        return result

    def _pointer(self, value: t.Any) -> tuple[str, t.Any]:
        """A JSON pointer into a value, sometimes one that leads nowhere, and what is there."""
        path = ""
        while isinstance(value, (dict, list)) and value and self.documents.happens(0.85):
            key = self.chance.choice(list(value)) if isinstance(value, dict) else self.chance.randrange(len(value))
            path, value = f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}", value[key]
        junk = ["/-", "/new", "/0", "/-1", "/a/b", "~", "~2", "/" + "9" * 5000, "/" * 50, "/²", "/00", "/-²", f"/{self.documents.secret('pointer')}", "x"]
        return path + (self.chance.choice(junk) if self.documents.happens(0.25) else ""), value


# ---- text -----------------------------------------------------------------------------------------------------------------------------------


def text(documents: list[t.Any], style: str) -> str:
    """Documents as YAML text; style is "flow", "block" or "json" (of one document only)."""
    if style == "block":
        return "---\n".join("\n".join(_block(document, 0)) + "\n" for document in documents)
    if style == "json" and len(documents) == 1:
        return json.dumps(plain(documents[0]), indent=1)
    return "\n---\n".join(map(flow, documents)) + "\n"


def plain(value: t.Any) -> t.Any:
    """A value as JSON has it, in which there is nothing raw but true and false."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value == "true" if isinstance(value, Raw) and value in ("true", "false") else value


def flow(value: t.Any) -> str:
    """A value in flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return str(value) if isinstance(value, Raw) else json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    return key if key.isidentifier() or key[:1] == "$" else json.dumps(key, ensure_ascii=False)


def _block(value: t.Any, column: int) -> list[str]:
    pad = " " * column
    pairs = [(f"{_key(key)}:", entry) for key, entry in value.items()] if isinstance(value, dict) else [("-", entry) for entry in value]
    lines = []
    for lead, entry in pairs or [("", value)]:
        if isinstance(entry, (dict, list)) and entry:
            lines += [pad + lead, *_block(entry, column + 2)]
        elif isinstance(entry, str) and "\n" in entry and not isinstance(entry, Raw):
            lines += [f"{pad}{lead} |", *(f"{pad}  {line}" for line in entry.split("\n"))]
        else:
            lines.append(f"{pad}{lead} {flow(entry)}")
    return lines
