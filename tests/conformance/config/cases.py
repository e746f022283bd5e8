# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random machine configs and patches from the field table: the same seed gives the same cases."""

from __future__ import annotations

import dataclasses
import json
import random
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import scalars, table
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.table import Field


class Raw(str):
    """A scalar written without quotes."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A base and the patches to apply to it."""

    config: str
    patches: list[str]


WORDS = [
    "alpha",
    "beta",
    "",
    "with: colon",
    "#hash",
    " lead",
    "trail ",
    "two\nlines\n",
    "no\nend",
    "true",
    "null",
    "12",
    "a'b\"c",
    "*x",
    "é",
    "-",
    "a #b",
    "\ttab",
]
PLAIN = [
    Raw(word) for word in ("plain", "65535", "yes", "0x10", "1.0", "off", "~", "2024-01-01", "1:30", "a:b", "http://x/y", "1e3", "0o17", "null", ".5", "-7")
]
NAMES = ["one", "two", "eth0", "10.0.0.1"]

CEL = {
    "disk": ["disk.size > 10u * GB", 'disk.transport == "nvme"'],
    "volume": ['volume.name == "ext4"', 'volume.partition_label == "x"'],
    "link": ['link.driver == "x"', "link.mtu == 1500u"],
}

POOLS: dict[str, list[t.Any]] = {
    "bool": [Raw("true"), Raw("false"), Raw("yes"), Raw("off"), "yes", "true", Raw("True"), 1],
    "duration": [Raw("10m"), Raw("1h30m"), "1.5s", 0, Raw("0s"), 5, "x", "250ms", "-3s"],
    "url": ["https://a.example:6443/", "http://b", "https://u:p@c/path?x=1#f", "", "https://10.0.0.1", "tcp://h:1/", "/only/path", "a b", "grpc://x:1?t=y"],
    "bytesize": ["10GiB", "5 GB", 4096, "", "-1GB", "x", "1.5MiB"],
    "size": ["10GiB", "50%", "", "5 GB", "-10%", "120%", "7"],
    "disksize": ["10GB", 5000, 4096, "1.5 GB", "123kB", "x", 1000, 99000000],
    "sizecondition": [">= 1TB", "4GB", "<= 2TB", "= 3"],
    "addr": ["10.0.0.1", "fe80::1", "FE80::0:1", "", "x", "fe80::1%eth0"],
    "prefix": ["10.0.0.0/24", "10.0.0.5/8", "2001:DB8::/32", "", "10.0.0.0", "10.0.0.0/33"],
    "addrport": ["10.0.0.1:80", "[fe80::1]:443", "x:1", ""],
    "hwaddr": ["00:1A:2b:3c:4d:5e", "00-1a-2b-3c-4d-5e", "001a.2b3c.4d5e", "zz", ""],
    "portrange": [80, Raw("80-90"), "443", "90-80", "x", 70000],
    "bytes": ["YQ==", "Yg==", "", "x", "******"],
    "filemode": [Raw("0o644"), 420, Raw("0755"), "0644", 0],
    "arg": ["a", "", Raw("7"), Raw("null"), ["x", "y"], [], {"x": "y"}],
}


class Generator:
    """Makes cases for one release (minor). odd is the share of values that are wrong on purpose."""

    def __init__(self, seed: int, minor: int, odd: float = 0.02) -> None:
        self.random = random.Random(seed)
        self.minor = minor
        self.odd = odd
        self.kinds = [name for name in table.kinds() if t.cast(table.Kind, table.kind(name)).since <= minor]

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def value(self, field: Field, density: float, depth: int = 0) -> t.Any:
        """A random value of a field."""
        if self.chance(self.odd):
            return self.random.choice([None, Raw(""), [], {}, "odd", 7, ["a"], {"a": "b"}, {"$patch": "replace"}])
        method = getattr(self, "_" + field.kind.partition(":")[0], self._scalar)
        return method(field, density, depth)

    def _struct(self, field: Field, density: float, depth: int) -> dict[str, t.Any]:
        result = {
            name: self.value(child, density, depth + 1)
            for name, child in field.fields.items()
            if name not in ("apiVersion", "kind") and (child.since <= self.minor or self.chance(self.odd)) and self.chance(density)
        }
        if self.chance(self.odd / 4):
            result["unknownKey"] = "x"
        return result

    def _list(self, field: Field, density: float, depth: int) -> list[t.Any]:
        item = t.cast(Field, field.item)
        return [self.value(item, max(density, 0.4), depth + 1) for _ in range(self.random.choice([0, 1, 1, 2]))]

    def _map(self, field: Field, density: float, depth: int) -> dict[str, t.Any]:
        item = t.cast(Field, field.item)
        keys = self.random.sample(["a", "b", "eth2", "eth10", "x.y/z", "10", "true"], self.random.choice([0, 1, 2, 3]))
        return {key: self.value(item, density, depth + 1) for key in keys}

    def _unstructured(self, field: Field, density: float, depth: int) -> dict[str, t.Any]:
        return {key: self.untyped(2) for key in self.random.sample(["a", "b", "c", "memory", "cpu"], self.random.choice([0, 1, 2, 3]))}

    def untyped(self, depth: int) -> t.Any:
        """Untyped data."""
        choice = self.random.randrange(10)
        if choice < 2 and depth:
            return {key: self.untyped(depth - 1) for key in self.random.sample(["a", "b", "k10", "k9"], 2)}
        if choice < 4 and depth:
            return [self.untyped(depth - 1) for _ in range(self.random.choice([0, 1, 2]))]
        return self.random.choice([1, 0, True, False, 1.5, 2.0, "s", "", Raw("yes"), Raw("0x1F"), Raw("1e3"), Raw("2024-01-01"), 10**12, "12", "two\nlines"])

    def _x509(self, field: Field, density: float, depth: int) -> dict[str, t.Any]:
        parts = field.kind.partition(":")[2].split(",")
        return {part: self.random.choice(["YQ==", "Yg==", "Yw==", "", "******"]) for part in parts if self.chance(0.7)}

    def _cel(self, field: Field, density: float, depth: int) -> str:
        env = "volume" if "volumeSelector" in field.path else "link" if field.path == "selector.match" else "disk"
        if "xpression" in field.path:
            return {
                "triggerExpression": "multiply_qos_vectors(d_qos_memory_full_total, {System: 8.0, Podruntime: 4.0}) > 3000.0",
                "cgroupRankingExpression": "1.0",
            }.get(field.path, "true")
        return self.random.choice(CEL[env])

    def _enum(self, field: Field, density: float, depth: int) -> str:
        words = [word for word in scalars.ENUMS[field.kind.partition(":")[2]] if word][:12]
        return self.random.choice([*words, *words, "other"])

    def _scalar(self, field: Field, density: float, depth: int) -> t.Any:
        if field.kind in POOLS:
            return self.random.choice(POOLS[field.kind][:4] * 3 + POOLS[field.kind])
        if field.kind in scalars.INT_RANGES:
            return self.random.choice([0, 1, 9, 200, 1, 9, 1500, 70000, -1, Raw("0x1F"), Raw("0o17"), Raw("017"), Raw("3.0"), Raw("1_0"), Raw("1.5"), "12"])
        if field.path in ("interface", "name", "machine.network.interfaces[].interface") or field.name in ("name", "image", "mountPath", "interface"):
            return self.random.choice(NAMES)
        return self.random.choice([*WORDS, *PLAIN])

    def document(self, kind: str, density: float) -> dict[str, t.Any]:
        """A document of a kind, its identity always right."""
        known = t.cast(table.Kind, table.kind(kind))
        body = self._struct(known.root, density, 0)
        if not kind:
            body.pop("version", None)
            if not {"machine", "cluster", "debug", "persist"} & body.keys():
                body["machine"] = {"type": "worker"}
            return {"version": "v1alpha1", **body} if self.chance(0.7) else body
        head = {"apiVersion": "v1alpha1", "kind": kind}
        return {**head, "name": self.random.choice(NAMES), **{k: v for k, v in body.items() if k != "name"}} if known.named else {**head, **body}

    def deletes(self, value: t.Any, share: float) -> t.Any:
        """A value with some parts replaced by deletes."""
        if isinstance(value, dict):
            result = {key: self.deletes(entry, share) for key, entry in value.items()}
            for key in result:
                if key not in ("apiVersion", "kind", "name", "version") and self.chance(share):
                    result[key] = {"$patch": "delete"}
            return result
        if isinstance(value, list):
            return [{**item, "$patch": "delete"} if isinstance(item, dict) and self.chance(share * 2) else self.deletes(item, share / 3) for item in value]
        return value

    def subset(self, value: t.Any, share: float) -> t.Any:
        """Some of a value's parts."""
        if isinstance(value, dict):
            heads = ("apiVersion", "kind", "name", "interface", "mountPath", "image", "vlanId")
            return {key: self.subset(entry, share) for key, entry in value.items() if key in heads or self.chance(share)}
        return value

    def case(self) -> Case:
        """One case: a config of one or a few documents, one or two patches."""
        kinds = [""] if self.chance(0.3) else self.random.sample(self.kinds, self.random.choice([1, 1, 2, 3]))
        density = self.random.choice([0.06, 0.15, 0.3]) if kinds == [""] else self.random.choice([0.2, 0.5, 0.9])
        base = [self.document(kind, density) for kind in kinds]
        patches = [self.patch(kinds, base, density) for _ in range(self.random.choice([1, 1, 1, 2]))]
        return Case(text(base), patches)

    def patch(self, kinds: list[str], base: list[t.Any], density: float) -> str:
        """A patch that concerns the base's documents, mostly."""
        if self.chance(0.12):
            return json.dumps([self.operation(base[0]) for _ in range(self.random.choice([1, 2]))])
        if self.chance(0.25):
            return text([self.deletes(self.subset(self.random.choice(base), 0.6), 0.3)])
        if self.chance(0.03):
            document = self.random.choice(base)
            return text([{key: document[key] for key in ("apiVersion", "kind", "name") if key in document} | {"$patch": "delete"}])
        documents = []
        for kind, known in zip(kinds, base, strict=True):
            document = self.document(kind, density)
            if "name" in known and self.chance(0.85):
                document["name"] = known["name"]
            documents.append(self.deletes(document, 0.02))
        if self.chance(0.1):
            documents.append(self.document(self.random.choice(self.kinds), density))
        return text(documents)

    def operation(self, base: t.Any) -> dict[str, t.Any]:
        """A JSON patch operation on some path of the base."""
        path, value = "", base
        while isinstance(value, (dict, list)) and value and self.chance(0.85):
            key = self.random.choice(list(value)) if isinstance(value, dict) else self.random.randrange(len(value))
            path, value = f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}", value[key]
        tail = self.random.choice(["", "", "/-", "/new", "/0", "/-1", "/a/b"])
        op = self.random.choice(["add", "add", "replace", "remove", "test", "move", "copy", "bogus"])
        result = {"op": op, "path": path + tail}
        if op in ("move", "copy"):
            result["from"] = path
        elif op != "remove":
            result["value"] = self.random.choice(["v", 1, None, True, [], {"a": 1}, value if isinstance(value, (int, str)) else "w"])
        return result


def text(documents: list[t.Any]) -> str:
    """Documents as YAML in flow style, Raw scalars unquoted."""
    return "\n---\n".join(flow(document) for document in documents) + "\n"


def flow(value: t.Any) -> str:
    """A value in flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key if key.isidentifier() or key[0] == '$' else json.dumps(key)}: {flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, Raw):
        return str(value) or "~"
    return json.dumps(value, ensure_ascii=False)
