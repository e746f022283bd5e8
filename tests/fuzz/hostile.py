# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts made to break a reader: bombs, nesting, sheer size. Each comes in a random size."""

from __future__ import annotations

import json
import random
import typing as t

from .planted import planted

Hostile = t.Callable[[random.Random, int], str]


def _bomb(chance: random.Random, size: int) -> str:
    width, names = chance.choice([2, 9, 100]), [f"a{number}" for number in range(chance.choice([3, 10, 25]))]
    lines = [f"{names[0]}: &{names[0]} [{', '.join(['x'] * width)}]"]
    return "\n".join(lines + [f"{b}: &{b} [{', '.join([f'*{a}'] * width)}]" for a, b in zip(names, names[1:], strict=False)]) + "\n"


def _merge_bomb(chance: random.Random, size: int) -> str:
    """Merge keys of merge keys, in untyped data, where they are followed."""
    rows = [f"    a{number}: &a{number} {{<<: [{', '.join([f'*a{number - 1}'] * 9)}], k{number}: 1}}" for number in range(1, chance.choice([3, 6, 20]))]
    return "machine:\n  kubelet:\n   extraConfig:\n    a0: &a0 {x: 1}\n" + "\n".join(rows) + "\n"


def _many_bombs(chance: random.Random, size: int) -> str:
    """Documents that are each within the limits."""
    return f"---\nmachine: {{pods: [&a {{x: [{', '.join(['1'] * 300)}]}}{', *a' * 300}]}}\n" * min(size // 200 + 1, 40)


def _flow_depth(chance: random.Random, size: int) -> str:
    start = chance.choice(["[", "{a: ", "[{a: ", "- ", "? ", "!!map {", "&a [", "[[["])
    return chance.choice(["", "machine: ", "machine: {kubelet: {extraConfig: {a: ", "- op: add\n  path: /machine/x\n  value: "]) + start * size


def _closed_depth(chance: random.Random, size: int) -> str:
    size = chance.choice([40, 95, 99, 101, min(size, 10000)])
    nested = "[" * size + "]" * size
    return chance.choice(["machine: {pods: [{a: %s}]}", "machine: {kubelet: {extraConfig: {a: %s}}}", "[{op: add, path: /machine/x, value: %s}]"]) % nested


def _block_depth(chance: random.Random, size: int) -> str:
    depth = min(size, 1500)
    return "\n".join(" " * level + chance.choice(["a:", "- "]) for level in range(depth)) if chance.random() < 0.5 else "- " * depth


def _texts_of_texts(chance: random.Random, size: int) -> str:
    """A list of patches whose only patch is the text of a list of patches, and so on."""
    depth = chance.choice([2, 10, 50, 400])
    return "\n".join("  " * level + "- |" for level in range(depth)) + "\n" + "  " * depth + f"machine: {{token: {planted(1)}}}\n"


def _quoted_texts(chance: random.Random, size: int) -> str:
    text = "machine: {type: worker}"
    for _ in range(chance.choice([1, 5, 12])):
        text = json.dumps([text])
    return text


def _huge_scalar(chance: random.Random, size: int) -> str:
    sign = chance.choice(["x", "9", "\\x41", "é", "a: ", "'' ", "-", "=", "%", "://@", "token=", "LS0tLS1CRUdJTi", "1:", "0_", "&", "\n\n", "."])
    path = chance.choice(["machine: {token: ", "cluster: {clusterName: ", "machine: {nodeLabels: {a: ", "cluster: {controlPlane: {endpoint: "])
    return path + chance.choice(['"', "'", "", "|\n  ", ">\n  "]) + sign * size + chance.choice(['"}}', "'}", "", "\n", "}}}"])


def _huge_key(chance: random.Random, size: int) -> str:
    return chance.choice(["", "machine: {nodeLabels: {", "machine: {sysctls: {", "? "]) + chance.choice(["k", "9", "é", "$", "a/"]) * size + ": 1\n"


def _many_documents(chance: random.Random, size: int) -> str:
    bodies = ["", " x", "# c\n...", "{}", "machine: {}", "kind: X", "apiVersion: v1alpha1\nkind: HostnameConfig"]
    return f"---\n{chance.choice(bodies)}\n" * min(size, 100_000)


def _many_keys(chance: random.Random, size: int) -> str:
    count, where = min(size, 100_000), chance.choice(["", "machine:\n", "machine:\n sysctls:\n", "machine:\n kubelet:\n  extraConfig:\n"])
    pad = " " * where.count("\n")
    same = chance.random() < 0.3
    return where + "".join(f"{pad}k{0 if same else number}: {number}\n" for number in range(count))


def _many_items(chance: random.Random, size: int) -> str:
    path, item = chance.choice(
        [
            ("machine: {certSANs: [", "a"),
            ("machine: {pods: [", "{a: 1}"),
            ("machine: {network: {interfaces: [", "{interface: eth%d, addresses: [1.2.3.4]}"),
            ("machine: {network: {interfaces: [", "{deviceSelector: {busPath: '%d'}}"),
            ("machine: {disks: [", "{device: x}"),
            ("cluster: {inlineManifests: [", "{name: n%d, contents: c}"),
            ("machine: {files: [", "{path: /x, content: " + planted(1) + "}"),
            ("[{op: add, path: /machine/x, value: [", "1"),
        ]
    )
    return path + ", ".join(item.replace("%d", str(number)) for number in range(min(size, 60_000))) + "]" + "}" * path.count("{")


def _many_operations(chance: random.Random, size: int) -> str:
    operation = chance.choice(
        [
            {"op": "add", "path": "/machine/certSANs/-", "value": "a"},
            {"op": "test", "path": "/machine/type", "value": "worker"},
            {"op": "copy", "from": "/machine", "path": "/machine/pods"},
            {"op": "copy", "from": "", "path": "/machine/sysctls"},
            {"op": "add", "path": "/machine/sysctls", "value": {}},
            {"op": "move", "from": "/machine", "path": "/machine/network"},
        ]
    )
    return json.dumps([operation] * min(size, chance.choice([2, 40, 5000])))


def _doubling(chance: random.Random, size: int) -> str:
    """A JSON patch that copies the config into itself again and again."""
    source, target = chance.choice([("/machine", "/machine/x"), ("", "/cluster"), ("/machine", "/machine/certSANs/-"), ("/cluster", "/cluster/a")])
    rows = [{"op": "copy", "from": source, "path": f"{target}{number if target[-1] not in '-' else ''}"} for number in range(chance.choice([5, 20, 60]))]
    return json.dumps(rows)


def _digging(chance: random.Random, size: int) -> str:
    """A JSON patch that makes the config ever deeper."""
    count = chance.choice([50, 200, 1200])
    return json.dumps([{"op": "add", "path": "/machine" + "/a" * number, "value": {}} for number in range(1, min(count, 400))])


REGULAR = (
    "machine: {network: {hostname: %s}}",
    "machine: {network: {interfaces: [{interface: a, wireguard: {peers: [{endpoint: %s}]}}]}}",
    "machine: {nodeLabels: {a: %s}}",
    "machine: {nodeTaints: {a: %s}}",
    "machine: {kubelet: {image: %s}}",
    "machine: {kubelet: {extraConfig: {a: %s}}}",
    "machine: {install: {image: %s}}",
    "machine: {sysctls: {a: %s}}",
    "machine: {time: {bootTimeout: %s}}",
    "cluster: {network: {dnsDomain: %s}}",
    "cluster: {controlPlane: {endpoint: %s}}",
)


def _regular(chance: random.Random, size: int) -> str:
    """Texts on which careless regular expressions take their time."""
    text = chance.choice(["a.{}!", "1:{}", "0{}.", "-{}:", "a-{}_", "1_{}", "[:{}", "token={}", "a@{}", "a b{}", "://{}", "LS0tLS1CRUdJTi{}"])
    text = text.format(text.partition("{")[0] * size)
    path = chance.choice(REGULAR)
    return path % chance.choice([text, json.dumps(text)])


def _deletes(chance: random.Random, size: int) -> str:
    count = min(size, 20_000)
    return "machine: {sysctls: {" + ", ".join(f"k{number}: {{$patch: delete}}" for number in range(count)) + "}}"


HOSTILE: tuple[Hostile, ...] = (
    _bomb,
    _merge_bomb,
    _many_bombs,
    _flow_depth,
    _closed_depth,
    _block_depth,
    _texts_of_texts,
    _quoted_texts,
    _huge_scalar,
    _huge_key,
    _many_documents,
    _many_keys,
    _many_items,
    _many_operations,
    _doubling,
    _digging,
    _regular,
    _deletes,
)


def hostile(chance: random.Random) -> str:
    """One such text: small ones are common, those of a megabyte rare."""
    size = chance.choices([30, 300, 3000, 10_000, 100_000, 1_000_000], [30, 30, 25, 10, 4, 1])[0]
    return chance.choice(HOSTILE)(chance, max(1, int(size * chance.uniform(0.5, 1.5))))
