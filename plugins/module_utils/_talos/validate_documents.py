# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Validation of the documents beside the legacy one, of what they have in common with it, and of the config as a whole."""

from __future__ import annotations

import typing as t

from . import checks, validate_kubernetes, validate_network, validate_services, validate_volumes
from .checks import Warn, quoted
from .documents import Config, Document

Value = dict[str, t.Any]
Check = t.Callable[[Document, int], t.Iterator[str]]

CHECKS: dict[str, Check] = {**validate_network.CHECKS, **validate_volumes.CHECKS, **validate_kubernetes.CHECKS, **validate_services.CHECKS}


def documents(config: Config, minor: int) -> t.Iterator[str]:
    """Messages of every document that has a kind."""
    for document in config.documents:
        check = CHECKS.get(document.kind.kind)
        for message in check(document, minor) if check else ():
            text = f"{document.title}: {message}"
            yield Warn(text) if isinstance(message, Warn) else text


# ---- conflicts with the legacy document -------------------------------------------------------------------------------------------------

PRESENT, FILLED, TRUE = "present", "filled", "true"
INSTEAD = "Please remove it and use only the new {} document to avoid conflicts"

# What a document may not stand beside, by kind: (path in the legacy document, what there counts, Talos' words). Talos names the first one only.
CONFLICTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "HostnameConfig": (
        ("machine.network.hostname", FILLED, "static hostname is already set in v1alpha1 config"),
        ("machine.features.stableHostname", TRUE, "stable hostname is already set in v1alpha1 config"),
    ),
    "TimeSyncConfig": (
        ("machine.time.disabled", TRUE, "time sync cannot be disabled in both v1alpha1 and new-style configuration"),
        ("machine.time.servers", FILLED, "time servers cannot be specified in both v1alpha1 and new-style configuration"),
        ("machine.time.bootTimeout", FILLED, "boot timeout cannot be specified in both v1alpha1 and new-style configuration"),
    ),
    "KubeSpanConfig": (("machine.network.kubespan", PRESENT, "kubespan is already configured in v1alpha1 machine.network.kubespan"),),
    "UnattendedInstallConfig": (("machine.install", PRESENT, "UnattendedInstallConfig config is incompatible with v1alpha1 config (.machine.install)"),),
    "KubeletConfig": (("machine.kubelet", PRESENT, "kubelet config is already set in v1alpha1 config (.machine.kubelet)"),),
    "KubeCredentialProviderConfig": (
        ("machine.kubelet", PRESENT, "cannot use KubeCredentialProviderConfig with legacy kubelet configuration (.machine.kubelet)"),
    ),
    "KubeNodeConfig": tuple(
        (path, FILLED if path.startswith("machine.node") else PRESENT, f".{path} is already set in v1alpha1 config")
        for path in (
            "cluster.allowSchedulingOnControlPlanes",
            "cluster.allowSchedulingOnMasters",
            "machine.kubelet.skipNodeRegistration",
            "machine.kubelet.registerWithFQDN",
            "machine.kubelet.nodeIP",
            "machine.nodeLabels",
            "machine.nodeAnnotations",
            "machine.nodeTaints",
        )
    ),
    "KubeNetworkConfig": (
        (
            "cluster.network",
            PRESENT,
            f"cluster network config is already set in the v1alpha1 config (.machine.cluster.network). {INSTEAD.format('KubeNetworkConfig')}",
        ),
    ),
    "KubeFlannelCNIConfig": (
        (
            "cluster.network",
            PRESENT,
            "cluster network config in v1alpha1 config (.machine.cluster.network) can't be used with KubeFlannelCNIConfig document, "
            "please remove it to avoid conflicts",
        ),
    ),
    "KubeClusterConfig": (
        ("cluster.clusterName", FILLED, f"cluster name is already set in the v1alpha1 config (.cluster.clusterName). {INSTEAD.format('KubeClusterConfig')}"),
        (
            "cluster.controlPlane.endpoint",
            PRESENT,
            f"cluster endpoint is already set in the v1alpha1 config (.cluster.controlPlane.endpoint). {INSTEAD.format('KubeClusterConfig')}",
        ),
    ),
    "KubeAPIServerConfig": (
        ("cluster.apiServer", PRESENT, "kube-apiserver config is already set in v1alpha1 config (.cluster.apiServer)"),
        (
            "cluster.controlPlane.localAPIServerPort",
            FILLED,
            "kube-apiserver API port is already set in v1alpha1 config (.cluster.controlPlane.localAPIServerPort)",
        ),
    ),
    "KubeAPIServerCAConfig": (("cluster.ca", PRESENT, "kube-apiserver CA is already set in v1alpha1 config (.cluster.ca)"),),
    "KubeAggregatorCAConfig": (
        (
            "cluster.aggregatorCA",
            PRESENT,
            "kube-apiserver aggregator CA is already set in v1alpha1 config (.cluster.aggregatorCA), "
            "please remove it and use the new KubeAggregatorCAConfig document instead",
        ),
    ),
    "KubeServiceAccountConfig": (("cluster.serviceAccount", PRESENT, "service account is already set in v1alpha1 config (.cluster.serviceAccount)"),),
    "KubeAuditPolicyConfig": (("cluster.apiServer.auditPolicy", FILLED, "audit policy config is already set in v1alpha1 config"),),
    "KubeAdmissionControlConfig": (("cluster.apiServer.admissionControl", FILLED, "admission control plugin config is already set in v1alpha1 config"),),
    "KubeAuthorizerConfig": (("cluster.apiServer.admissionControl", FILLED, "admission control plugin config is already set in v1alpha1 config"),),
    "KubeControllerManagerConfig": (
        ("cluster.controllerManager", PRESENT, "kube-controller-manager config is already set in v1alpha1 config (.cluster.controllerManager)"),
        (
            "machine.controlPlane.controllerManager",
            PRESENT,
            "kube-controller-manager config is already set in v1alpha1 config (.machine.controlplane.controllerManager)",
        ),
    ),
    "KubeSchedulerConfig": (
        ("cluster.scheduler", PRESENT, "kube-scheduler config is already set in v1alpha1 config (.cluster.scheduler)"),
        ("machine.controlPlane.scheduler", PRESENT, "kube-scheduler config is already set in v1alpha1 config (.machine.controlplane.scheduler)"),
    ),
    "KubeProxyConfig": (
        (
            "cluster.proxy",
            PRESENT,
            "cluster proxy config in v1alpha1 config (.machine.cluster.proxy) can't be used with KubeProxyConfig document, please remove it to avoid conflicts",
        ),
    ),
    "KubeCoreDNSConfig": (("cluster.coreDNS", PRESENT, "CoreDNS config is already set in v1alpha1 config (.cluster.coreDNS)"),),
    "KubeEtcdEncryptionConfig": (
        ("cluster.secretboxEncryptionSecret", FILLED, "etcd encryption config is already set in v1alpha1 config"),
        ("cluster.aescbcEncryptionSecret", FILLED, "etcd encryption config is already set in v1alpha1 config"),
    ),
    "KubePrismConfig": (
        (
            "machine.features.kubePrism",
            PRESENT,
            "KubePrism config in v1alpha1 config (.machine.features.kubePrism) can't be used with KubePrismConfig document, "
            "please remove it to avoid conflicts",
        ),
    ),
    "KubeTalosAPIAccessConfig": (
        ("machine.features.kubernetesTalosAPIAccess", PRESENT, ".machine.features.kubernetesTalosAPIAccess is already set in v1alpha1 config"),
    ),
    "ImageCacheConfig": (("machine.features.imageCache", PRESENT, "image cache config is already set in v1alpha1 config"),),
    "DiscoveryIdentityConfig": (
        ("cluster.id", FILLED, "cluster identity is already configured in .cluster.id/.cluster.secret of the v1alpha1 config"),
        ("cluster.secret", FILLED, "cluster identity is already configured in .cluster.id/.cluster.secret of the v1alpha1 config"),
    ),
    "DiscoveryServiceConfig": (("cluster.discovery", PRESENT, "discovery service is already configured in .cluster.discovery of the v1alpha1 config"),),
    "CRIBaseRuntimeSpecConfig": (("machine.baseRuntimeSpecOverrides", FILLED, "base runtime spec overrides are already set in v1alpha1 config"),),
}
ENCRYPTION_CONFLICTS_SINCE = 11


def at(value: t.Any, path: str) -> t.Any:
    """What is at a dotted path, or None."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _counts(value: t.Any, how: str) -> bool:
    return value is not None if how == PRESENT else value is True if how == TRUE else bool(value)


def conflicts(config: Config, legacy: Value, minor: int) -> t.Iterator[str]:
    """What is said both in the legacy document and in another."""
    for document in config.documents:
        kind = document.kind.kind
        found = next(((path, words) for path, how, words in CONFLICTS.get(kind, ()) if _counts(at(legacy, path), how)), None)
        if kind == "ResolverConfig":
            found = _resolver_conflict(document.value, legacy, minor)
        elif kind == "VolumeConfig" and minor >= ENCRYPTION_CONFLICTS_SINCE:
            found = _encryption_conflict(document, legacy)
        if found:
            yield f"{document.title}: {found[0]}: {found[1]}"


def _resolver_conflict(value: Value, legacy: Value, minor: int) -> tuple[str, str] | None:
    network = "machine.network"
    if at(legacy, f"{network}.searchDomains"):
        return f"{network}.searchDomains", ".machine.network.searchDomains is already set in v1alpha1 config"
    if any(map(checks.is_addr, at(legacy, f"{network}.nameservers") or ())):
        return f"{network}.nameservers", ".machine.network.nameservers is already set in v1alpha1 config"
    if at(legacy, f"{network}.disableSearchDomain"):
        return f"{network}.disableSearchDomain", ".machine.network.disableSearchDomain is already set in v1alpha1 config"
    if minor >= 14 and value.get("hostDNS") and at(legacy, "machine.features.hostDNS") is not None:
        return "machine.features.hostDNS", ".machine.features.hostDNS is already set in v1alpha1 config"
    return None


def _encryption_conflict(document: Document, legacy: Value) -> tuple[str, str] | None:
    section = {"STATE": "state", "EPHEMERAL": "ephemeral"}.get(document.name, "")
    found = document.value.get("encryption") or {}
    path = f"machine.systemDiskEncryption.{section}"
    if not section or not (found.get("keys") or found.get("provider") not in (None, "none")) or at(legacy, path) is None:
        return None
    return path, f"system disk encryption for {quoted(document.name)} is configured in both v1alpha1.Config and VolumeConfig"


# ---- the config as a whole (from 1.14 on) -----------------------------------------------------------------------------------------------

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"


def whole(config: Config, legacy: Value | None, minor: int, control_plane: bool) -> t.Iterator[str]:
    """What only the config as a whole shows."""
    if minor < 14:
        return
    legacy = legacy or {}
    yield from _dns(config, legacy)
    discovered = yield from _discovery(config, legacy)
    yield from validate_services.container_dependencies(config.all("ContainerConfig"))
    span = config.get("KubeSpanConfig")
    if (span if span is not None else at(legacy, "machine.network.kubespan") or {}).get("enabled") and not discovered:
        yield "KubeSpanConfig: KubeSpan requires cluster discovery to be enabled"
    yield from _kubernetes(config, legacy, control_plane)
    misplaced = sorted({document.kind.kind for document in config.documents if document.kind.control_plane_only})
    if misplaced and not control_plane:
        yield f"machine.type: the following document kinds are only allowed on control plane machines: [{' '.join(misplaced)}]"


def _dns(config: Config, legacy: Value) -> t.Iterator[str]:
    resolver = config.get("ResolverConfig") or {}
    secured = any((server.get("protocol") or "Do53") != "Do53" for server in resolver.get("nameservers") or [])
    enabled = at(resolver, "hostDNS.enabled") or at(legacy, "machine.features.hostDNS.enabled")
    if secured and not enabled:
        yield "ResolverConfig: hostDNS.enabled: hostDNS must be enabled when using non-default DNS protocols"


def _discovery(config: Config, legacy: Value) -> t.Generator[str, None, bool]:
    """Discovery needs the cluster's identity; tells whether there is discovery."""
    service = at(legacy, "cluster.discovery.registries.service") or {}
    enabled = bool(at(legacy, "cluster.discovery.enabled") and not service.get("disabled")) or bool(config.all("DiscoveryServiceConfig"))
    if not enabled:
        return False
    identity = {"id": at(legacy, "cluster.id"), "secret": at(legacy, "cluster.secret")}
    if not any(identity.values()):
        document = config.get("DiscoveryIdentityConfig") or {}
        identity = {"id": document.get("clusterID"), "secret": document.get("clusterSecret")}
    for name, word in (("id", "ID"), ("secret", "secret")):
        if not identity[name]:
            yield (
                f"cluster.{name}: cluster {word} (.cluster.{name} or DiscoveryIdentityConfig) should be set when cluster discovery "
                "(DiscoveryServiceConfig) is enabled"
            )
    return True


def _kubernetes(config: Config, legacy: Value, control_plane: bool) -> t.Iterator[str]:
    cluster = legacy.get("cluster") or {}
    authority = config.get("KubeAPIServerCAConfig") is not None or cluster.get("ca") is not None or bool(cluster.get("acceptedCAs"))
    encrypted = cluster.get("secretboxEncryptionSecret") or cluster.get("aescbcEncryptionSecret") or config.get("KubeEtcdEncryptionConfig") is not None
    if control_plane and authority and not encrypted:
        yield "cluster.secretboxEncryptionSecret: etcd encryption config is required for control plane machines running kube-apiserver"
    node = config.get("KubeNodeConfig")
    if control_plane and node is not None and CONTROL_PLANE_LABEL not in (node.get("labels") or {}) and not node.get("skipNodeRegistration"):
        yield Warn(
            f'KubeNodeConfig: labels: KubeNodeConfig document should set the "{CONTROL_PLANE_LABEL}" node label on control plane machines '
            f'(and, unless scheduling on control planes is allowed, the "{CONTROL_PLANE_LABEL}: NoSchedule" taint): '
            "unlike .machine.nodeLabels/.machine.nodeTaints, the document contents are used as-is"
        )
    if authority and config.get("KubeClusterConfig") is None and at(cluster, "controlPlane.endpoint") is None:
        yield (
            "cluster.controlPlane.endpoint: cluster name and endpoint are required when Kubernetes is configured: "
            "either .cluster.clusterName/.cluster.controlPlane.endpoint or the KubeClusterConfig document"
        )
