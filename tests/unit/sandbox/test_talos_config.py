# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strict decoding and validation of machine configurations by simulated nodes.

Sources: Talos v1.13.9 pkg/machinery/config: configloader/internal/decoder, types/v1alpha1/v1alpha1_validation.go, container. The same
verdicts are asked of Talos' own library in tests/conformance.
"""

from __future__ import annotations

import typing as t

import pytest
import yaml

from tests.sandbox.configs import machine_config, new_secrets
from tests.sandbox.talos.config import load, validate
from tests.sandbox.talos.decode import ConfigError, release

SECRETS = new_secrets("fargle", "https://fargle.example.com:6443", talos_version="v1.11.6")
NEWER = new_secrets("fargle2", "https://fargle2.example.com:6443", talos_version="v1.13.9", kubernetes_version="v1.35.0")


def check(text: str, version: str = "v1.13.9") -> list[str]:
    return validate(load(text.encode(), release(version)), release(version))


def refusal(text: str, version: str = "v1.13.9") -> str:
    with pytest.raises(ConfigError) as caught:
        check(text, version)
    return str(caught.value)


def changed(role: str, path: str, value: t.Any) -> str:
    """A configuration with one value set by dotted path (None: taken away)."""
    document = yaml.safe_load(machine_config(SECRETS, role))
    *parents, last = path.split(".")
    at = document
    for part in parents:
        at = at.setdefault(part, {})
    if value is None:
        at.pop(last, None)
    else:
        at[last] = value
    return yaml.safe_dump(document, sort_keys=False)


@pytest.mark.parametrize("role", ["controlplane", "worker"])
def test_generated_configurations_are_good(role: str) -> None:
    assert check(machine_config(SECRETS, role), "v1.11.6") == check(machine_config(SECRETS, role)) == []
    assert check(machine_config(NEWER, role)) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "config not found"),
        ("null", "config not found"),
        ("- a", "expected a YAML document at line 1"),
        ("machine: {type: worker, tpye: x}", "unknown keys found during decoding:\nmachine.tpye"),
        ("machine: {kubelet: {nodeIP: {subnets: [a]}}}", "machine.kubelet.nodeIP.subnets"),
        ("machine: {<<: {type: worker}}", "unknown keys found during decoding:\nmachine.<<"),
        ("kind: Foo\napiVersion: v1alpha1", '"Foo" "v1alpha1": not registered'),
        ("apiVersion: v1alpha1", "missing kind"),
        ("kind: HostnameConfig", "missing apiVersion"),
        ("machine: [a]", "cannot construct"),
        ("machine: {type: [a]}", "cannot construct"),
        ("machine: {certSANs: {a: b}}", "cannot construct"),
        ("debug: 'true'", "cannot construct"),
        ("machine: {network: {interfaces: [{mtu: '1500'}]}}", "cannot construct"),
        ("machine: {network: {interfaces: [{vlans: [{vlanId: 70000}]}]}}", "cannot construct"),
        ("machine: {ca: {crt: '%%'}}", "illegal base64 data"),
        ("machine: {type: worker}\nmachine: {type: worker}", 'mapping key "machine" already defined at line 1'),
        ("machine: {}\n---\nmachine: {}", "duplicate document"),
        ("a: [", "yaml: "),
        ("kind: LinkConfig\napiVersion: v1alpha1\nname: eth0\naddresses: [{address: nonsense}]", "nonsense"),
    ],
)
def test_decoding_is_strict(text: str, words: str) -> None:
    assert words in refusal(text)


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


@pytest.mark.parametrize(
    ("role", "path", "value", "words"),
    [
        ("worker", "machine", None, "machine instructions are required"),
        ("worker", "cluster", None, "cluster instructions are required"),
        ("worker", "machine.type", "boss", 'unknown machine type "boss"'),
        ("worker", "cluster.controlPlane.endpoint", None, "cluster controlplane endpoint is required"),
        ("worker", "cluster.controlPlane.endpoint", "https://:6443", "invalid controlplane endpoint"),
        ("worker", "machine.ca", None, "issuing CA or some accepted CAs are required"),
        ("controlplane", "machine.ca.key", "", "issuing CA key is required for controlplane nodes (.machine.ca.key)"),
        ("worker", "machine.ca.key", SECRETS.talos.ca.key_b64, "issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)"),
        ("worker", "cluster.ca.key", SECRETS.kubernetes.ca.key_b64, "issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)"),
        ("worker", "cluster.etcd", {"subnet": "10.0.0.0/8"}, "etcd config is only allowed on control plane machines"),
        ("controlplane", "cluster.etcd.ca.key", "", "key/cert combination should not be empty"),
        ("worker", "persist", False, ".persist should be enabled"),
        ("worker", "cluster.network.cni", {"name": "calico"}, "cni name should be one of"),
        ("worker", "machine.kubelet.extraConfig", {"port": 1}, 'kubelet configuration field "port" can\'t be overridden'),
        ("worker", "machine.network.interfaces", [{"dhcp": True}], "required either config section to be set"),
        ("worker", "machine.network.interfaces", [{"interface": "eth0", "vip": {"ip": "10.0.0.1"}}], "virtual (shared) IP is not allowed"),
        ("worker", "machine.nodeLabels", {"a b": "c"}, "invalid label key"),
        ("worker", "machine.nodeTaints", {"a": "b:Never"}, "invalid taint effect"),
        ("worker", "cluster.id", None, "requires .cluster.id"),
        ("worker", "machine.kubelet.image", "ghcr.io/siderolabs/kubelet:v1.20.0", "version of Kubernetes 1.20.0 is too old to be used with Talos 1.13"),
        ("worker", "machine.kubelet.image", "ghcr.io/siderolabs/kubelet:v1.60.0", "version of Kubernetes 1.60.0 is too new to be used with Talos 1.13"),
    ],
)
def test_validation(role: str, path: str, value: t.Any, words: str) -> None:
    assert words in refusal(changed(role, path, value))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("auto: stable\nhostname: a", "'auto' and 'hostname' cannot be set at the same time"),
        ("hostname: a", "static hostname is already set in v1alpha1 config"),
        ("{}", "either 'auto' or 'hostname' must be set"),
    ],
)
def test_hostname_documents(document: str, words: str) -> None:
    """facts 6.1."""
    body = "" if document == "{}" else document + "\n"
    legacy = changed("worker", "machine.network", {"hostname": "b"})
    assert words in refusal(f"{legacy}---\napiVersion: v1alpha1\nkind: HostnameConfig\n{body}")


def test_all_errors_at_once() -> None:
    text = refusal(changed("worker", "machine.type", "boss").replace("persist: true", "persist: false"))
    assert text.startswith("2 errors occurred:\n\t* v1alpha1.Config: ") and "boss" in text and "persist" in text


def test_worker_is_the_default_with_a_warning() -> None:
    assert check(changed("worker", "machine.type", "")) == ['use "worker" instead of "" for machine type']
