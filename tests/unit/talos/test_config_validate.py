# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation: each check refuses what Talos refuses, by path, and takes what it takes."""

from __future__ import annotations

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import patching, validate

BASES = {
    "worker": "machine: {type: worker, token: t, ca: {crt: YQ==, key: ''}}\ncluster: {clusterName: x, controlPlane: {endpoint: 'https://a.example:6443'}}\n",
    "controlplane": "machine: {type: controlplane, token: t, ca: {crt: YQ==, key: Yg==}}\n"
    "cluster: {clusterName: x, secretboxEncryptionSecret: s, controlPlane: {endpoint: 'https://a.example:6443'}}\n",
}


def checked(role: str, patch: str, minor: int = 13, mode: str = "cloud") -> tuple[list[str], list[str]]:
    """(problems, warnings) of the role's base with a patch."""
    result = patching.Patched(minor, text=BASES[role])
    for one in patching.load_patches(patch, minor):
        result = result.apply(one)
    return validate.validate(result.config(), minor, mode)


@pytest.mark.parametrize("role", ["worker", "controlplane"])
@pytest.mark.parametrize("minor", range(6, 15))
def test_the_bases_are_valid_everywhere(role: str, minor: int) -> None:
    assert checked(role, "", minor) == ([], [])


WORKER = [
    ("machine: {type: boss}", "machine.type: unknown machine type"),
    ("machine: {ca: {crt: YQ==, key: YQ==}}", "machine.ca.key"),
    ("machine: {ca: {$patch: delete}}", "machine.ca: issuing CA or some accepted CAs are required"),
    ("cluster: {ca: {crt: YQ==, key: YQ==}}", "cluster.ca.key: issuing Kubernetes API CA key is not allowed"),
    ("cluster: {ca: {crt: YQ==, key: YQ==}}", "cluster.ca.key: cluster CA key is not allowed"),
    ("cluster: {etcd: {}}", "cluster.etcd: etcd config is only allowed"),
    ("cluster: {controlPlane: {endpoint: {$patch: delete}}}", "cluster.controlPlane.endpoint: cluster controlplane endpoint is required"),
    ("cluster: {controlPlane: {endpoint: 'https://a:70000'}}", "cluster.controlPlane.endpoint: invalid controlplane endpoint"),
    ("cluster: {network: {dnsDomain: a..b}}", "cluster.network.dnsDomain"),
    (
        "machine: {network: {interfaces: [{}]}}",
        "machine.network.interfaces[0].interface: [networking.os.device.interface], [networking.os.device.deviceSelector]: required",
    ),
    ("machine: {network: {interfaces: [{interface: a, vip: {ip: 1.2.3.4}}]}}", "virtual (shared) IP is not allowed"),
    (
        "machine: {network: {interfaces: [{interface: a, addresses: [1.2.3.4/99]}]}}",
        'machine.network.interfaces[0].addresses: [networking.os.device.addresses] "a": invalid CIDR address: 1.2.3.4/99',
    ),
    ("machine: {network: {interfaces: [{interface: a, routes: [{}]}]}}", "either network or gateway should be set"),
    ("machine: {network: {interfaces: [{interface: b, bond: {mode: best}}]}}", "bond.mode: invalid bond type best"),
    (
        "machine: {network: {interfaces: [{interface: b, bond: {mode: balance-rr, lacpRate: fast}}]}}",
        "bond.lacpRate: bond.lacpRate is only available in 802.3ad mode",
    ),
    ("machine: {network: {interfaces: [{interface: b, bond: {updelay: 3}}]}}", "bond.updelay: bond.upDelay can't be set if miiMon is zero"),
    ("machine: {kubelet: {extraConfig: {port: 1}}}", 'kubelet configuration field "port" can\'t be overridden'),
    ("machine: {kubelet: {nodeIP: {validSubnets: [x]}}}", "machine.kubelet.nodeIP.validSubnets"),
    ("machine: {disks: [{device: a, partitions: [{mountpoint: /a}, {size: 1GB}]}]}", "is set to occupy full disk"),
    ("machine: {systemDiskEncryption: {state: {provider: luks2}}}", 'partition "STATE": no encryption keys provided'),
    ("machine: {logging: {destinations: [{endpoint: 'http://x:1', format: text}]}}", "unexpected logging endpoint scheme"),
    ("machine: {nodeLabels: {'a b': c}}", "machine.nodeLabels"),
    ("machine: {nodeTaints: {a: b}}", 'invalid taint effect: "b"'),
    ("machine: {features: {hostDNS: {forwardKubeDNSToHost: true}}}", "requires hostDNS.enabled"),
    ("machine: {features: {kubernetesTalosAPIAccess: {enabled: true}}}", "can only be enabled on control plane machines"),
    ("persist: false", ".persist should be enabled"),
    ("cluster: {discovery: {enabled: true}}", "cluster discovery service requires .cluster.id"),
    ("cluster: {inlineManifests: [{name: a}, {name: a}]}", 'inline manifest name "a" is duplicate'),
    ("cluster: {externalCloudProvider: {manifests: ['https://x/y']}}", "external cloud provider is disabled"),
    ("cluster: {apiServer: {resources: {limits: {gpu: 1}}}}", 'unsupported pod resource "gpu"'),
    ("machine: {network: {kubespan: {enabled: true}}}", ".cluster.id should be set"),
    ("{apiVersion: v1alpha1, kind: HostnameConfig, hostname: a, auto: stable}", "'auto' and 'hostname' cannot be set at the same time"),
    ("machine: {network: {hostname: a}}\n---\n{apiVersion: v1alpha1, kind: HostnameConfig, auto: stable}", "static hostname is already set"),
    ("machine: {network: {nameservers: [1.1.1.1]}}\n---\n{apiVersion: v1alpha1, kind: ResolverConfig}", ".machine.network.nameservers is already set"),
    ("{apiVersion: v1alpha1, kind: VLANConfig, name: v}", "vlanID must be specified"),
    ("{apiVersion: v1alpha1, kind: VolumeConfig, name: STATE, provisioning: {grow: true}}", "provisioning config is not allowed"),
    ("{apiVersion: v1alpha1, kind: NetworkRuleConfig, name: a, portSelector: {protocol: tcp}}", "portSelector.ports is required"),
    ("{apiVersion: v1alpha1, kind: KmsgLogConfig, name: a, url: 'http://x'}", "url scheme must be tcp:// or udp://"),
]


@pytest.mark.parametrize(("patch", "words"), WORKER)
def test_what_a_worker_may_not_say(patch: str, words: str) -> None:
    problems, _warnings = checked("worker", patch)
    assert any(words in problem for problem in problems), problems


CONTROL_PLANE = [
    ("machine: {ca: {crt: YQ==}}", "issuing CA key is required"),
    ("cluster: {network: {cni: {name: calico}}}", "cni name should be one of"),
    ("cluster: {network: {cni: {name: none, urls: [a]}}}", '"urls" field should be empty'),
    ("cluster: {etcd: {}}", "cluster.etcd.ca: key/cert combination should not be empty"),
    ("cluster: {etcd: {ca: {crt: YQ==, key: YQ==}, subnet: 1.1.1.0/24, advertisedSubnets: [1.1.1.0/24]}}", "etcd subnet can't be set"),
    (
        "cluster: {apiServer: {authorizationConfig: [{type: Magic, name: a}]}}",
        "cluster.apiServer.authorizationConfig[0].type: apiserver authorization config validation failed: authorizer type Magic is not allowed",
    ),
]


@pytest.mark.parametrize(("patch", "words"), CONTROL_PLANE)
def test_what_a_control_plane_may_not_say(patch: str, words: str) -> None:
    problems, _warnings = checked("controlplane", patch)
    assert any(words in problem for problem in problems), problems


def test_no_message_shows_the_password_of_a_url() -> None:
    problems, _warnings = checked("worker", "cluster: {externalCloudProvider: {enabled: true, manifests: ['https://me:hush@:0/x']}}")
    assert len(problems) == 1 and 'manifest url "https://...@:0/x"' in problems[0]


def test_all_problems_are_told_at_once() -> None:
    problems, _warnings = checked("worker", "persist: false\nmachine: {type: boss, features: {hostDNS: {forwardKubeDNSToHost: true}}}\ncluster: {etcd: {}}")
    assert len(problems) == 4


def test_metal_needs_a_disk() -> None:
    assert checked("worker", "machine: {install: {image: a}}", mode="cloud") == ([], [])
    assert "either install disk or diskSelector" in checked("worker", "machine: {install: {image: a}}", mode="metal")[0][0]


def test_control_plane_kinds_on_a_worker() -> None:
    patch = "{apiVersion: v1alpha1, kind: KubeAuditPolicyConfig, configuration: {a: 1}}"
    assert checked("worker", patch, minor=14)[0] == [
        "machine.type: the following document kinds are only allowed on control plane machines: [KubeAuditPolicyConfig]"
    ]


def test_from_1_14_a_control_plane_encrypts_etcd() -> None:
    patch = "cluster: {secretboxEncryptionSecret: {$patch: delete}, ca: {crt: YQ==, key: YQ==}}"
    assert checked("controlplane", patch, minor=13)[0] == []
    assert "etcd encryption config is required" in checked("controlplane", patch, minor=14)[0][0]


@pytest.mark.parametrize(("version", "warned"), [("v1.30.4", True), ("v1.31.0", False), ("v1.36.9", False), ("v1.37.0", True)])
def test_kubernetes_outside_talos_window_is_warned_of(version: str, warned: bool) -> None:
    problems, warnings = checked("worker", f"machine: {{kubelet: {{image: 'ghcr.io/siderolabs/kubelet:{version}'}}}}")
    assert problems == []
    assert bool(warnings) is warned
    assert all(warning.startswith("machine.kubelet.image: Kubernetes 1.3") for warning in warnings)
