# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strict decoding and validation of machine configurations by simulated nodes.

Sources: Talos v1.13.9 pkg/machinery/config: configloader/internal/decoder, types/v1alpha1/v1alpha1_validation.go, container. The same
verdicts are asked of Talos' own library in tests/conformance.
"""

from __future__ import annotations

import pytest

from tests.sandbox.talos.config import load, validate
from tests.sandbox.talos.decode import ConfigError, release

from .talos_corpus import GOOD, INVALID, UNDECODABLE, changed


def check(text: str, version: str = "v1.13.9") -> list[str]:
    return validate(load(text.encode(), release(version)), release(version))


def refusal(text: str, version: str = "v1.13.9") -> str:
    with pytest.raises(ConfigError) as caught:
        check(text, version)
    return str(caught.value)


@pytest.mark.parametrize("text", GOOD)
def test_good_configurations(text: str) -> None:
    assert check(text) in ([], ['use "worker" instead of "" for machine type'])


@pytest.mark.parametrize(("text", "words"), UNDECODABLE.items())
def test_decoding_is_strict(text: str, words: str) -> None:
    assert words in refusal(text)


@pytest.mark.parametrize(("text", "words"), INVALID.items())
def test_validation(text: str, words: str) -> None:
    assert words in refusal(text)


def test_unknown_keys_are_named() -> None:
    assert refusal("machine: {type: worker, tpye: x, kubelet: {nodeIP: {subnets: [a]}}}").endswith(
        "\nmachine:\n    kubelet:\n        nodeIP:\n            subnets:\n            - a\n    tpye: x\n"
    )


@pytest.mark.parametrize(("image", "word"), [("v1.20.0", "old"), ("v1.60.0", "new")])
def test_kubernetes_versions(image: str, word: str) -> None:
    """facts 3.3."""
    text = changed("worker", "machine.kubelet.image", f"ghcr.io/siderolabs/kubelet:{image}")
    assert refusal(text) == f"version of Kubernetes {image[1:]} is too {word} to be used with Talos 1.13"


@pytest.mark.parametrize(
    "text",
    [
        "machine: {type: 0x10}",
        "debug: on",
        "machine: {network: {interfaces: [{interface: a, mtu: 1_500}, {interface: b, mtu: 0x10}, {interface: c, mtu: 017}, {interface: d, mtu: 3.0}]}}",
        "machine: {sysctls: {a: 1, b: yes, c: null}}",
        "machine: {kubelet: {extraConfig: {anything: {goes: [1, true]}}}}",
    ],
)
def test_scalars_are_taken_as_talos_takes_them(text: str) -> None:
    assert load(text.encode(), (1, 13)).complete


def test_what_a_release_does_not_know() -> None:
    """Kinds and keys newer than the node."""
    document = "apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: a\n"
    assert check(document, "v1.12.0") == []
    assert '"HostnameConfig" "v1alpha1": not registered' in refusal(document, "v1.11.6")
    assert "unknown keys" in refusal("machine: {install: {grubUseUKICmdline: true}}", "v1.11.6")


def test_all_errors_at_once() -> None:
    text = refusal(changed("worker", "machine.type", "boss").replace("persist: true", "persist: false"))
    assert text.startswith("2 errors occurred:\n\t* v1alpha1.Config: ") and "boss" in text and "persist" in text
