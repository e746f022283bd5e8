# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile and broken inputs: clean errors, in time, and never a secret in a message."""

from __future__ import annotations

import base64
import json
import random
import time
import typing as t

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import redact
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos._fields import KINDS
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.render import NodeInput, render_nodes
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.yamltext import ConfigError, shown_key

CANARY = "kanari-4f9d1c77"

BASE = f"""\
version: v1alpha1
machine:
  type: worker
  token: {CANARY}
  ca: {{crt: LS0tLQ==, key: ""}}
  certSANs: [one, two]
  env: {{HTTP_PROXY: "http://u:{CANARY}@proxy"}}
  files:
    - content: "{CANARY}"
      permissions: 0o600
      path: /var/x
      op: create
cluster:
  secret: {CANARY}
  controlPlane: {{endpoint: "https://a.example:6443"}}
  inlineManifests:
    - name: x
      contents: |
        password: {CANARY}
---
apiVersion: v1alpha1
kind: WireguardConfig
name: wg0
privateKey: {CANARY}
"""


def message(config: str, patch: str = "") -> str:
    """The error of a rendering, "" if there is none; it must come soon and without the canary.

    Soon is a second on an idle machine (make fuzz); here it is some seconds of CPU, since others may be at work. What is meant took minutes.
    """
    started = time.process_time()
    try:
        result = render_nodes(config, patch, [NodeInput("n1", "n1")], "worker", "v1.13.2", "cloud")
        text = " ".join(problem for problems in result.errors.values() for problem in problems)
        shown = "".join(node.diff["before"] + node.diff["after"] for node in result.nodes.values())
        assert CANARY not in shown
    except ConfigError as error:
        text = str(error)
    assert time.process_time() - started < 4
    assert CANARY not in text
    return text


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "config not found"),
        ("# nothing\n", "config not found"),
        ("- a\n", "expected a YAML document"),
        ("machine: [", "line"),
        ("machine: {type: worker, type: worker}", 'mapping key "type" already defined'),
        ("\x00", "control characters"),
        ("machine: \ud800", "not valid UTF-8"),
        ("a: *nothing", "alias names no anchor"),
        (BOMB, "too large once its aliases are expanded"),
        ("machine: " + "[" * 10000, "nested deeper"),
        ("machine: " + "{a: " * 10000, "nested deeper"),
        ("\n".join("  " * i + "a:" for i in range(300)), "nested deeper"),
        ("x" * (5 * 1024 * 1024), "larger than"),
        ("kind: Foo\napiVersion: v1alpha1\n", "not registered"),
        ("apiVersion: v1alpha1\nname: x\nkind: BGPInstanceConfig\n", "first in Talos 1.14"),
    ],
)
def test_bad_texts_get_clean_errors(text: str, words: str) -> None:
    assert words in message(text)


def test_a_cycle_through_an_alias_is_refused() -> None:
    assert "alias names no anchor" in message("machine: &m {network: *m}")


@pytest.mark.parametrize("seed", range(30))
def test_mutated_bytes_never_crash(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(20):
        text = list(BASE)
        for _ in range(chance.choice([1, 2, 5])):
            at = chance.randrange(len(text))
            text[at : at + chance.choice([0, 1, 3])] = chance.choice(
                ["{", "}", "[", ":", "\n", "  ", "&a ", "*a", "!!int ", "'", '"', "|", "- ", "\t", "#", "é", "\x07"]
            )
        # A mutation may cut the canary out of its secret place; then it is no secret any more and cut off here.
        message("".join(text).replace(f"{CANARY}:", "x:"), BASE)


WRONG: list[t.Any] = ["x", "[]", "{}", "null", "-1", "1.5", "[a, {b: c}]", "{$patch: delete}", "2024-01-01", "!!binary x", "&a b"]


@pytest.mark.parametrize(
    "key", ["machine", "cluster", "machine: {network", "machine: {install", "machine: {files", "cluster: {inlineManifests", "machine: {ca"]
)
def test_wrong_shapes_never_crash(key: str) -> None:
    for value in WRONG:
        message(BASE, f"{key}: {value}{'}' * key.count('{')}\n")


def test_secrets_of_wrong_type_are_not_repeated() -> None:
    text = message(BASE, f"machine: {{token: [{CANARY}], ca: {{key: {CANARY}}}, install: {{wipe: {CANARY}}}}}\ncluster: {{secret: {{a: {CANARY}}}}}\n")
    assert text.count("must be") == 4


CLEAN = BASE.partition("---")[0]
LARGE = {"op": "add", "path": "/cluster/a", "value": [0] * 20_000}
THERE_AND_BACK = [{"op": "move", "from": "/cluster/a", "path": "/cluster/b"}, {"op": "move", "from": "/cluster/b", "path": "/cluster/a"}]
INTERFACES: list[t.Any] = [{"interface": f"eth{number}"} for number in range(500)]


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        # Each operation copies what the ones before it have made: 2^60 values.
        (json.dumps([{"op": "copy", "from": "/cluster", "path": f"/cluster/a{number}"} for number in range(60)]), "too large"),
        (json.dumps([LARGE, *THERE_AND_BACK * 100]), "too large"),
        (json.dumps([{"machine": {"network": {"interfaces": INTERFACES * 10}}}] * 2), "machine.network.interfaces: too many items"),
        (json.dumps([{"op": "add", "path": "/cluster" + "/a" * number, "value": {}} for number in range(1, 1000)]), "nested deeper than 100 levels"),
        ("\n".join("  " * level + "- |" for level in range(400)) + "\n" + "  " * 400 + "machine: {}\n", "a list of patches in a list of patches in a list"),
        # Each document alone is within the limits.
        (f"---\nmachine: {{pods: [&a {{x: [{', '.join(['1'] * 300)}]}}{', *a' * 300}]}}\n" * 40, "too large once its aliases are expanded"),
        ("---\n" * 100_000, "more than 1000 documents"),
        (json.dumps([f"machine: {{pods: [{', '.join(['1'] * 20_000)}]}}"] * 5), "too large"),
        (json.dumps(["machine: {}"] * 1001), "too large"),
        (json.dumps([{"machine": {}}] * 20_000), "too large"),
    ],
)
def test_what_grows_out_of_all_measure_is_refused(patch: str, words: str) -> None:
    assert words in message(CLEAN, patch)


def test_many_items_meet_in_time() -> None:
    assert message(CLEAN, json.dumps([{"machine": {"network": {"interfaces": INTERFACES}}}] * 2)) == ""


def test_what_is_moved_does_not_grow() -> None:
    assert message(CLEAN, json.dumps([LARGE, *THERE_AND_BACK * 2, {"op": "remove", "path": "/cluster/a"}])) == ""


def test_a_list_of_texts_that_are_lists_of_patches_is_taken() -> None:
    patch = json.dumps(["- machine: {sysctls: {a: '1'}}\n- machine: {sysctls: {b: '2'}}\n", '[{"op": "add", "path": "/machine/sysctls/c", "value": "3"}]'])
    (node,) = render_nodes(CLEAN, patch, [NodeInput("n1")], "worker", "v1.13.2", "cloud").nodes.values()
    assert yaml.safe_load(node.text)["machine"]["sysctls"] == {"a": "1", "b": "2", "c": "3"}


def test_numbers_too_long_for_python() -> None:
    ports = "apiVersion: v1alpha1\nkind: NetworkRuleConfig\nname: a\nportSelector: {protocol: tcp, ports: [1-" + "9" * 5000 + "]}\n"
    assert "must be a port or a range of ports" in message(CLEAN, ports)
    digits = "9" * 900
    assert message(CLEAN, f"machine: {{sysctls: {{a{digits}: 1, a{digits}1: 2, a²: 3, a³: 4}}}}") == ""
    assert "a mapping key is longer than 1024 characters" in message(CLEAN, f"machine:\n  sysctls:\n    ? a{digits * 2}\n    : 1\n")


@pytest.mark.parametrize(
    "misplaced",
    [
        "machine:\n  {}: x\n",
        "{}:\n",
        "machine: {{kubelet: {{extraArgs: {{a: b}}, {}: a}}}}\n",
        "kind: {}\napiVersion: v1alpha1\n",
        "machine: {{a: {{{}: {{$patch: delete}}}}}}\n",
        '[{{"op": "add", "path": "/machine/{}/x", "value": 1}}]',
        '[{{"op": "{}", "path": "/machine"}}]',
    ],
)
@pytest.mark.parametrize("secret", ["abcdef.0123456789abcdef", "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA", "correcthorse1batterystaple"])
def test_a_secret_where_a_word_of_the_format_should_be_is_not_repeated(misplaced: str, secret: str) -> None:
    """As when the line above it lacks its last letter."""
    for config, patch in ((CLEAN, misplaced.format(secret)), (misplaced.format(secret), "")):
        with pytest.raises(ConfigError) as caught:
            render_nodes(config, patch, [NodeInput("n1")], "worker", "v1.13.2", "cloud")
        assert secret[-16:] not in str(caught.value)


def test_words_of_the_format_are_repeated() -> None:
    words = {field.rpartition(".")[2] for _since, _flags, rows in KINDS.values() for field, *_rest in map(str.split, rows.strip().splitlines())}
    assert {word for word in words if "[" not in word and "<" not in word and shown_key(word) != word} == set()
    assert "machine.kubernetesTalosAPIAccess: unknown key" in message(CLEAN, "machine: {kubernetesTalosAPIAccess: x}")
    assert "machine.net.ipv4.conf.all: unknown key" in message(CLEAN, "machine: {net.ipv4.conf.all: x}")


@pytest.mark.parametrize(
    "text",
    [
        "machine: {{time: {{bootTimeout: '{}x'}}}}".format("0" * 20_000),
        "machine: {{kubelet: {{extraConfig: {{a: {}}}}}}}".format("LS0tLS1CRUdJTi" * 50_000),
        "machine: {{kubelet: {{image: '{}\n\nx'}}}}".format(":v1.1.1@" * 50_000),
    ],
)
def test_long_texts_take_no_longer_than_their_length(text: str) -> None:
    message(CLEAN, text)


@pytest.mark.parametrize("begin", ["", "x", "xy"])
def test_a_private_key_in_base64_is_marked(begin: str) -> None:
    encoded = base64.b64encode(b"-----BEGIN EC" + begin.encode() + b" PRIVATE KEY-----\nabc\n").decode()
    assert redact.scrub(f"see {encoded}").startswith("(secret ")
    certificate = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nabc\n").decode()
    assert redact.scrub(certificate) == certificate
