# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine configurations, good and bad, with words of the refusal: judged by simulated nodes in unit tests and by Talos' own
library in tests/conformance. All for Talos 1.13."""

from __future__ import annotations

import typing as t

import yaml

from tests.sandbox.configs import ClusterSecrets, machine_config, new_secrets

OLDER: ClusterSecrets = new_secrets("fargle", "https://fargle.example.com:6443", talos_version="v1.11.6")
NEWER: ClusterSecrets = new_secrets("fargle2", "https://fargle2.example.com:6443", talos_version="v1.13.9", kubernetes_version="v1.35.0")


def changed(role: str, path: str, value: t.Any) -> str:
    """A generated configuration with one value set by dotted path (None: taken away)."""
    document = yaml.safe_load(machine_config(OLDER, role))
    *parents, last = path.split(".")
    at = document
    for part in parents:
        at = at.setdefault(part, {})
    if value is None:
        at.pop(last, None)
    else:
        at[last] = value
    return yaml.safe_dump(document, sort_keys=False)


def with_hostname(document: str) -> str:
    """A configuration with a host name in the legacy document and a HostnameConfig beside it."""
    legacy = changed("worker", "machine.network", {"hostname": "b"})
    return f"{legacy}---\napiVersion: v1alpha1\nkind: HostnameConfig\n{document}"


GOOD: tuple[str, ...] = (
    *(machine_config(secrets, role) for secrets in (OLDER, NEWER) for role in ("controlplane", "worker")),
    changed("worker", "machine.type", ""),
    changed("worker", "machine.nodeLabels", {"example.com/purpose": "gpu"}),
    changed("worker", "machine.nodeTaints", {"example.com/purpose": "gpu:NoSchedule"}),
    changed("controlplane", "machine.network.interfaces", [{"interface": "eth0", "dhcp": True, "vip": {"ip": "10.0.0.1"}}]),
    changed("worker", "machine.kubelet.extraConfig", {"registerWithTaints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]}),
    changed("worker", "machine.sysctls", {"a": 1, "b": True, "c": "x"}),
    changed("worker", "machine.kubelet.extraArgs", {"node-labels": ["a=b", "c=d"]}),
    machine_config(NEWER, "worker").replace("auto: stable", "auto: 'off'\nhostname: a.example.com"),
    machine_config(NEWER, "worker").replace("auto: stable", "hostname: a.example.com"),
    changed("worker", "cluster.network.cni", {"name": "calico"}),
    changed("controlplane", "cluster.etcd.ca.key", ""),
)

# text -> words of the refusal that both sides use.
UNDECODABLE: dict[str, str] = {
    "- a": "expected a YAML document at line 1",
    "machine: {type: worker, tpye: x}": "unknown keys found during decoding:\n",
    "machine: {kubelet: {nodeIP: {subnets: [a]}}}": "unknown keys found during decoding:\n",
    "machine: {<<: {type: worker}}": "unknown keys found during decoding:\n",
    "kind: Foo\napiVersion: v1alpha1": '"Foo" "v1alpha1": not registered',
    "apiVersion: v1alpha1": "unknown keys found during decoding:\n",
    "name: x": "missing kind",
    "kind: HostnameConfig": "missing apiVersion",
    "machine: [a]": "cannot construct",
    "machine: {type: [a]}": "cannot construct",
    "machine: {certSANs: {a: b}}": "cannot construct",
    "debug: 'true'": "cannot construct",
    "machine: {network: {interfaces: [{mtu: '1500'}]}}": "cannot construct",
    "machine: {network: {interfaces: [{vlans: [{vlanId: 70000}]}]}}": "cannot construct",
    "machine: {ca: {crt: '%%'}}": "illegal base64 data",
    "machine: {type: worker}\nmachine: {type: worker}": 'mapping key "machine" already defined at line 1',
    "machine: {}\n---\nmachine: {}": "duplicate document /v1alpha1/ is not allowed (line 3)",
    "a: [": "yaml: ",
    "": "config not found",
    "null": "config not found",
    "kind: LinkConfig\napiVersion: v1alpha1\nname: eth0\naddresses: [{address: nonsense}]": "nonsense",
}

INVALID: dict[str, str] = {
    changed("worker", "machine", None): "machine instructions are required",
    changed("worker", "cluster", None): "cluster instructions are required",
    changed("worker", "machine.type", "boss"): 'unknown machine type "boss"',
    changed("worker", "cluster.controlPlane.endpoint", None): "cluster controlplane endpoint is required",
    changed("worker", "cluster.controlPlane.endpoint", "https://:6443"): "invalid controlplane endpoint",
    changed("worker", "machine.ca", None): "issuing CA or some accepted CAs are required",
    changed("controlplane", "machine.ca.key", ""): "issuing CA key is required for controlplane nodes (.machine.ca.key)",
    changed("worker", "machine.ca.key", OLDER.talos.ca.key_b64): "issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)",
    changed("worker", "cluster.ca.key", OLDER.kubernetes.ca.key_b64): "issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)",
    changed("worker", "cluster.etcd", {"subnet": "10.0.0.0/8"}): "etcd config is only allowed on control plane machines",
    changed("controlplane", "cluster.etcd.ca", None): "key/cert combination should not be empty",
    changed("worker", "persist", False): ".persist should be enabled",
    changed("controlplane", "cluster.network.cni", {"name": "calico"}): "cni name should be one of",
    changed("worker", "machine.kubelet.extraConfig", {"port": 1}): 'kubelet configuration field "port" can\'t be overridden',
    changed("worker", "machine.network.interfaces", [{"dhcp": True}]): "required either config section to be set",
    changed("worker", "machine.network.interfaces", [{"interface": "eth0", "vip": {"ip": "10.0.0.1"}}]): "virtual (shared) IP is not allowed",
    changed("worker", "machine.nodeLabels", {"a b": "c"}): 'name "a b" is invalid',
    changed("worker", "machine.nodeTaints", {"a": "b:Never"}): 'invalid taint effect: "Never"',
    changed("worker", "cluster.id", None): "requires .cluster.id",
    with_hostname("auto: stable\nhostname: a\n"): "'auto' and 'hostname' cannot be set at the same time",
    with_hostname("hostname: a\n"): "static hostname is already set in v1alpha1 config",
    with_hostname(""): "either 'auto' or 'hostname' must be set",
}
