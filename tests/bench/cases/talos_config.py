# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine config engine against PyYAML's C code, and many nodes against one."""

from __future__ import annotations

import base64
import gc
import typing as t

import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import emit, redact, urls
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.render import NodeInput, render_nodes

from ..figures import Figure, medians

NODES = 100


def _pem(label: str) -> str:
    """Something as long as a certificate or key of Talos."""
    body = base64.b64encode(bytes(range(160))).decode()
    return base64.b64encode(f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()).decode()


CONFIG = f"""\
version: v1alpha1
debug: false
persist: true
machine:
    type: controlplane
    token: abcdef.0123456789abcdef
    ca:
        crt: {_pem("CERTIFICATE")}
        key: {_pem("ED25519 PRIVATE KEY")}
    certSANs: [10.0.0.10, fargle.example.com]
    kubelet:
        image: ghcr.io/siderolabs/kubelet:v1.34.2
        defaultRuntimeSeccompProfileEnabled: true
        disableManifestsDirectory: true
        extraArgs:
            rotate-server-certificates: "true"
        nodeIP:
            validSubnets: [10.0.0.0/16]
    network:
        nameservers: [10.0.0.2, 10.0.0.3]
        interfaces:
            - interface: eth0
              dhcp: true
              mtu: 9001
            - interface: eth1
              addresses: [192.168.4.5/24]
              routes:
                  - network: 192.168.0.0/16
                    gateway: 192.168.4.1
    install:
        disk: /dev/nvme0n1
        image: factory.talos.dev/aws-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba:v1.11.6
        wipe: false
    features:
        rbac: true
        stableHostname: true
        apidCheckExtKeyUsage: true
        diskQuotaSupport: true
        kubePrism:
            enabled: true
            port: 7445
        hostDNS:
            enabled: true
            forwardKubeDNSToHost: true
    sysctls:
{"".join(f'        net.core.setting_{number}: "{number * 1000}"{chr(10)}' for number in range(26))}    nodeLabels:
        node.kubernetes.io/exclude-from-external-load-balancers: ""
cluster:
    id: {base64.b64encode(bytes(32)).decode()}
    secret: {base64.b64encode(bytes(32)).decode()}
    controlPlane:
        endpoint: https://fargle.example.com:6443
    clusterName: fargle
    network:
        dnsDomain: cluster.local
        podSubnets: [10.244.0.0/16]
        serviceSubnets: [10.96.0.0/12]
    token: uvwxyz.0123456789abcdef
    secretboxEncryptionSecret: {base64.b64encode(bytes(32)).decode()}
    ca:
        crt: {_pem("CERTIFICATE")}
        key: {_pem("EC PRIVATE KEY")}
    aggregatorCA:
        crt: {_pem("CERTIFICATE")}
        key: {_pem("EC PRIVATE KEY")}
    serviceAccount:
        key: {_pem("RSA PRIVATE KEY")}
    apiServer:
        image: registry.k8s.io/kube-apiserver:v1.34.2
        certSANs: [fargle.example.com]
        disablePodSecurityPolicy: true
        admissionControl:
            - name: PodSecurity
              configuration:
                  apiVersion: pod-security.admission.config.k8s.io/v1alpha1
                  kind: PodSecurityConfiguration
                  defaults: {{audit: restricted, audit-version: latest, enforce: baseline, enforce-version: latest}}
                  exemptions: {{namespaces: [kube-system], runtimeClasses: [], usernames: []}}
        auditPolicy:
            apiVersion: audit.k8s.io/v1
            kind: Policy
            rules:
                - level: Metadata
    controllerManager:
        image: registry.k8s.io/kube-controller-manager:v1.34.2
    proxy:
        image: registry.k8s.io/kube-proxy:v1.34.2
    scheduler:
        image: registry.k8s.io/kube-scheduler:v1.34.2
    discovery:
        enabled: true
        registries:
            kubernetes: {{disabled: true}}
            service: {{}}
    etcd:
        ca:
            crt: {_pem("CERTIFICATE")}
            key: {_pem("EC PRIVATE KEY")}
        advertisedSubnets: [10.0.0.0/16]
    extraManifests: []
    inlineManifests:
        - name: namespace
          contents: |
{"".join(f"              line {number} of a manifest{chr(10)}" for number in range(24))}"""

PATCHES = """\
- machine:
    sysctls: {vm.max_map_count: "262144"}
    kubelet: {extraArgs: {max-pods: "110"}}
- machine:
    certSANs: [10.0.0.11]
    time: {servers: [169.254.169.123]}
    registries: {mirrors: {docker.io: {endpoints: ["https://mirror.example.com"]}}}
- cluster:
    apiServer: {extraArgs: {audit-log-maxage: "30"}}
    network: {cni: {name: none}}
"""


def _nodes(count: int) -> list[NodeInput]:
    return [NodeInput(f"n{number}", f"n{number}.example.com", {"purpose": "gpu"}) for number in range(count)]


def _render(count: int) -> None:
    """What the module does for some nodes: patch, validate, print, digest, diff."""
    rendered = render_nodes(CONFIG, PATCHES, _nodes(count), "controlplane", None, "cloud")
    assert len(rendered.nodes) == count, rendered.errors


def _pyyaml() -> None:
    yaml.dump(yaml.load(CONFIG, Loader=yaml.CSafeLoader), Dumper=yaml.CSafeDumper)


def _forget() -> None:
    """Every call of the module is a process of its own: nothing is known from the call before."""
    for remembered in (emit.scalar, redact.mark, redact.scrub, urls.parse):
        remembered.cache_clear()
    gc.collect()


def measure(quick: bool) -> t.Iterator[Figure]:
    """One node against PyYAML, and many nodes against one."""
    _render(1)
    times = medians({"pyyaml": _pyyaml, "one": lambda: _render(1), "many": lambda: _render(NODES)}, 7 if quick else 25, _forget)
    seen = {f"{name}_ms": round(seconds * 1000, 2) for name, seconds in times.items()}
    yield Figure("talos config of 8 KB, three patches, against PyYAML", times["one"] / times["pyyaml"], 10, seen=seen)
    yield Figure(f"talos configs of {NODES} nodes, against one", times["many"] / times["one"], 40, seen=seen)
