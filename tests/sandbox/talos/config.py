# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a simulated node reads out of its machine configuration, and what it refuses in one.

Rules and texts as in Talos' pkg/machinery/config/types/v1alpha1/v1alpha1_validation.go and container/container.go.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import typing as t
import urllib.parse

from ..pki import Pair
from .decode import ConfigError, Document, Version, decode

CONTROL_PLANE = ("controlplane", "init")
# Kubernetes minors that a Talos minor runs: 1.N runs 1.(N+18) to 1.(N+23).
KUBERNETES_FIRST, KUBERNETES_LAST = 18, 23
DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
LABEL_LENGTH = 63
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# Newer documents that only control planes may have (facts: Talos 1.14's controlPlaneOnly kinds).
CONTROL_PLANE_KINDS = frozenset(
    [
        "KubeAPIServerConfig",
        "KubeAdmissionControlConfig",
        "KubeAggregatorCAConfig",
        "KubeAuditPolicyConfig",
        "KubeAuthenticationConfig",
        "KubeAuthorizerConfig",
        "KubeControllerManagerConfig",
        "KubeCoreDNSConfig",
        "KubeEtcdEncryptionConfig",
        "KubeFlannelCNIConfig",
        "KubeProxyConfig",
        "KubeSchedulerConfig",
        "KubeServiceAccountConfig",
        "KubeTalosAPIAccessConfig",
    ]
)
# kubelet's own rule for labels that a node may give itself (--node-labels, and NodeRestriction on workers).
KUBELET_LABELS = ("kubelet.kubernetes.io/", "node.kubernetes.io/")
KUBELET_LABEL_NAMES = frozenset(
    [
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.kubernetes.io/region",
        "failure-domain.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    ]
)
KUBELET_FIELDS = frozenset(
    [
        "apiVersion",
        "authentication",
        "authorization",
        "cgroupRoot",
        "kind",
        "kubeletCgroups",
        "port",
        "protectKernelDefaults",
        "resolvConf",
        "rotateCertificates",
        "systemCgroups",
        "staticPodPath",
        "seccompDefault",
    ]
)

Taint = dict[str, str]


@dataclasses.dataclass
class MachineConfig:
    """A decoded configuration: its text as it was sent, and its documents."""

    text: bytes
    documents: list[Document]

    @property
    def complete(self) -> bool:
        """Without a legacy document a node stays in maintenance."""
        return any(document.kind == "" for document in self.documents)

    def document(self, kind: str) -> dict[str, t.Any]:
        """The first document of a kind ("" = legacy), or an empty one."""
        return next((document.value for document in self.documents if document.kind == kind), {})

    def get(self, path: str) -> t.Any:
        """A value of the legacy document by dotted path, None when absent."""
        value: t.Any = self.document("")
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    @property
    def type(self) -> str:
        """controlplane (also for init) or worker."""
        return "controlplane" if self.get("machine.type") in CONTROL_PLANE else "worker"

    @property
    def cluster(self) -> str:
        return str(self.get("cluster.clusterName") or self.document("KubeClusterConfig").get("clusterName") or "")

    @property
    def fqdn(self) -> str:
        """The configured host name, "" when the node must find one itself."""
        return str(self.document("HostnameConfig").get("hostname") or self.get("machine.network.hostname") or "")

    @property
    def with_fqdn(self) -> bool:
        return bool(self.get("machine.kubelet.registerWithFQDN") or self.document("KubeNodeConfig").get("registerWithFQDN"))

    @property
    def machine_ca(self) -> dict[str, bytes]:
        return self.get("machine.ca") or {"crt": b"", "key": b""}

    @property
    def kubernetes_ca(self) -> Pair:
        """The CA that signs Kubernetes' certificates; the key is "" on workers."""
        ca = self.get("cluster.ca") or {}
        return Pair((ca.get("crt") or b"").decode(), (ca.get("key") or b"").decode())

    @property
    def etcd_key(self) -> str:
        """What tells one etcd cluster from another: the digest of its CA."""
        ca = self.get("cluster.etcd.ca") or {}
        return hashlib.sha256(ca.get("crt") or b"").hexdigest()

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text).hexdigest()


@functools.lru_cache(maxsize=4096)
def load(data: bytes, version: Version) -> MachineConfig:
    """Decode strictly for a Talos release; ConfigError with the loader's text. The result is shared: read it only."""
    return MachineConfig(data, decode(data, version))


def validate(config: MachineConfig, version: Version) -> list[str]:
    """Warnings of a valid configuration in mode cloud; ConfigError with all errors together."""
    errors: list[str] = []
    warnings: list[str] = []
    if config.complete:
        legacy = _legacy(config, version, warnings)
        errors += [f"v1alpha1.Config: {error}" if version >= (1, 12) else error for error in legacy]
    errors += _hostname(config, version) + _conflicts(config) + _kinds(config)
    if errors:
        many = f"{len(errors)} error{'s' if len(errors) > 1 else ''} occurred:\n"
        raise ConfigError(many + "".join(f"\t* {error}\n" for error in errors) + "\n")
    kubernetes_versions(config, version)
    return warnings


def _legacy(config: MachineConfig, version: Version, warnings: list[str]) -> list[str]:
    """Errors in the legacy document."""
    if not config.get("machine"):
        return ["machine instructions are required"]
    errors = [] if config.get("cluster") else ["cluster instructions are required"]
    errors += _endpoint(config, version) + _type(config, warnings) + _certificates(config)
    if config.get("persist") is False:
        errors.append(".persist should be enabled")
    cni = config.get("cluster.network.cni")
    if config.type == "controlplane" and cni is not None and cni.get("name") not in ("flannel", "custom", "none"):
        errors.append('cni name should be one of ["flannel", "custom", "none"]')
    for field in sorted(KUBELET_FIELDS & set(config.get("machine.kubelet.extraConfig") or {})):
        errors.append(f'kubelet configuration field "{field}" can\'t be overridden')
    return errors + _interfaces(config) + _syntax(config) + _discovery(config)


def _endpoint(config: MachineConfig, version: Version) -> list[str]:
    endpoint = config.get("cluster.controlPlane.endpoint")
    if not endpoint:
        required = version < (1, 14) or config.get("cluster.controlPlane") is not None
        return ["cluster controlplane endpoint is required"] if required and config.get("cluster") else []
    try:
        parts = urllib.parse.urlsplit(endpoint)
        if not parts.hostname:
            return ["invalid controlplane endpoint: hostname must not be blank"]
        _ = parts.port
    except ValueError as error:
        return [f"invalid controlplane endpoint: {error}"]
    return []


def _type(config: MachineConfig, warnings: list[str]) -> list[str]:
    kind = config.get("machine.type") or ""
    if kind in ("", "join"):
        warnings.append(f'use "worker" instead of "{kind}" for machine type')
    elif kind not in (*CONTROL_PLANE, "worker"):
        return [f'unknown machine type "{kind}"']
    return []


def _certificates(config: MachineConfig) -> list[str]:
    """Who may, and who must, hold which CA key."""
    errors = []
    ca, accepted = config.machine_ca, config.get("machine.acceptedCAs")
    if not config.get("machine.ca") and not accepted:
        errors.append("issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)")
    if config.type == "controlplane":
        if not ca["crt"]:
            errors.append("issuing CA is required (.machine.ca)")
        elif not ca["key"]:
            errors.append("issuing CA key is required for controlplane nodes (.machine.ca.key)")
        if config.get("cluster.etcd") is not None and not config.get("cluster.etcd.ca"):
            errors.append("key/cert combination should not be empty")
        return errors
    if ca["key"]:
        errors.append("issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)")
    if not ca["crt"] and not accepted:
        errors.append("trusted CA certificates are required on non-controlplane nodes (.machine.ca.crt, .machine.acceptedCAs)")
    if (config.get("cluster.ca") or {}).get("key"):
        errors.append("issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)")
    if config.get("cluster.etcd"):
        errors.append("etcd config is only allowed on control plane machines")
    return errors


def _interfaces(config: MachineConfig) -> list[str]:
    errors = []
    for item in config.get("machine.network.interfaces") or []:
        name, selector = item.get("interface"), item.get("deviceSelector")
        if not name and selector is None:
            errors.append("[networking.os.device.interface], [networking.os.device.deviceSelector]: required either config section to be set")
        if name and selector is not None:
            errors.append("[networking.os.device.interface], [networking.os.device.deviceSelector]: config sections are mutually exclusive")
        if config.type == "worker" and item.get("vip"):
            errors.append("virtual (shared) IP is not allowed on non-controlplane nodes")
    return errors


def _qualified(text: str) -> str:
    """What is wrong with a label's or taint's key, "" when nothing is."""
    prefix, slash, name = text.rpartition("/")
    if slash and not DOMAIN.fullmatch(prefix):
        return f'prefix "{prefix}" is invalid: domain doesn\'t match required format: "{prefix}"'
    return "" if QUALIFIED.fullmatch(name) and len(name) <= LABEL_LENGTH else f'name "{name}" is invalid'


def _value(text: str) -> str:
    """What is wrong with a label's or taint's value."""
    return "" if not text or (QUALIFIED.fullmatch(text) and len(text) <= LABEL_LENGTH) else f'label value "{text}" is invalid'


def _syntax(config: MachineConfig) -> list[str]:
    """Kubernetes' syntax of labels and taints (Talos' labels/validate.go)."""
    errors = []
    for key, value in sorted((config.get("machine.nodeLabels") or {}).items()):
        errors += [f"invalid machine node labels: {wrong}" for wrong in (_qualified(key), _value(value or "")) if wrong]
    for key, value in sorted((config.get("machine.nodeTaints") or {}).items()):
        word, _colon, effect = (value or "").rpartition(":")
        unknown = "" if effect in EFFECTS else f'invalid taint effect: "{effect}"'
        wrong = _qualified(key) or unknown or _value(word)
        errors += [f"invalid machine node taints: {wrong}"] if wrong else []
    return errors


def _discovery(config: MachineConfig) -> list[str]:
    discovery = config.get("cluster.discovery") or {}
    service = (discovery.get("registries") or {}).get("service") or {}
    if not discovery.get("enabled") or service.get("disabled"):
        return []
    wanted = (("id", "cluster discovery service requires .cluster.id"), ("secret", "cluster discovery service requires .cluster.secret"))
    return [text for key, text in wanted if not config.get(f"cluster.{key}")]


def _hostname(config: MachineConfig, version: Version) -> list[str]:
    """HostnameConfig's own rules and its conflicts with the legacy document."""
    document = config.document("HostnameConfig")
    if not document:
        return []
    auto, hostname = document.get("auto"), document.get("hostname")
    errors = []
    if not auto and not hostname:
        errors.append("either 'auto' or 'hostname' must be set")
    if auto and auto != "off" and hostname:
        errors.append("'auto' and 'hostname' cannot be set at the same time")
    if auto and auto not in ("stable", "off"):
        errors.append(f"invalid value for 'auto': {auto}")
    if hostname and (len(hostname) > 253 or not 1 <= len(hostname.partition(".")[0]) <= 63):
        errors.append(f'invalid hostname "{hostname}"')
    if config.get("machine.network.hostname"):
        errors.append("static hostname is already set in v1alpha1 config")
    if config.get("machine.features.stableHostname"):
        errors.append("stable hostname is already set in v1alpha1 config")
    prefix = "HostnameConfig: " if version >= (1, 12) else ""
    return [prefix + error for error in errors]


CONFLICTS = (
    ("KubeSpanConfig", "machine.network.kubespan", "kubespan is already configured in v1alpha1 machine.network.kubespan"),
    ("UnattendedInstallConfig", "machine.install", "UnattendedInstallConfig config is incompatible with v1alpha1 config (.machine.install)"),
    ("KubeletConfig", "machine.kubelet", "kubelet config is already set in v1alpha1 config (.machine.kubelet)"),
    ("KubeNodeConfig", "machine.nodeLabels", ".machine.nodeLabels is already set in v1alpha1 config"),
    ("KubeNodeConfig", "machine.nodeTaints", ".machine.nodeTaints is already set in v1alpha1 config"),
    ("KubeNodeConfig", "machine.nodeAnnotations", ".machine.nodeAnnotations is already set in v1alpha1 config"),
    ("KubeNetworkConfig", "cluster.network", "cluster network config is already set in v1alpha1 config"),
    ("KubeClusterConfig", "cluster.clusterName", "cluster name is already set in v1alpha1 config"),
    ("KubeClusterConfig", "cluster.controlPlane.endpoint", "cluster endpoint is already set in v1alpha1 config"),
    ("KubeAPIServerConfig", "cluster.apiServer", "kube-apiserver config is already set in v1alpha1 config"),
    ("KubeAPIServerCAConfig", "cluster.ca", "kube-apiserver CA is already set in v1alpha1 config"),
    ("DiscoveryIdentityConfig", "cluster.id", "cluster ID is already set in v1alpha1 config"),
)


def _conflicts(config: MachineConfig) -> list[str]:
    """A thing said in the legacy document and in a newer one."""
    kinds = {document.kind for document in config.documents}
    return [f"{kind}: {text}" for kind, path, text in CONFLICTS if kind in kinds and config.get(path) is not None]


def _kinds(config: MachineConfig) -> list[str]:
    wrong = sorted({document.kind for document in config.documents} & CONTROL_PLANE_KINDS)
    if not wrong or not config.complete or config.type == "controlplane":
        return []
    return [f"the following document kinds are only allowed on control plane machines: [{' '.join(wrong)}]"]


def kubernetes_versions(config: MachineConfig, version: Version) -> None:
    """Refuse Kubernetes images outside the range of the Talos release."""
    for path in ("machine.kubelet.image", "cluster.apiServer.image", "cluster.controllerManager.image", "cluster.scheduler.image"):
        found = re.search(r":v?1\.(\d+)\.(\S+)$", config.get(path) or "")
        if not found:
            continue
        low, high = version[1] + KUBERNETES_FIRST, version[1] + KUBERNETES_LAST
        if not low <= int(found[1]) <= high:
            word = "old" if int(found[1]) < low else "new"
            raise ConfigError(f"version of Kubernetes 1.{found[1]}.{found[2]} is too {word} to be used with Talos {version[0]}.{version[1]}")


def taint(text: str, key: str = "") -> Taint:
    """A taint from Talos' "value:Effect" or the kubelet's "key=value:Effect"."""
    rest, _colon, effect = text.rpartition(":")
    if not key:
        key, _equals, rest = rest.partition("=")
    return {"key": key, "value": rest, "effect": effect}


def _argument(config: MachineConfig, name: str) -> list[str]:
    """The comma-separated words of a kubelet argument."""
    value = (config.get("machine.kubelet.extraArgs") or config.document("KubeletConfig").get("extraArgs") or {}).get(name) or ""
    return [word for word in ",".join(value if isinstance(value, list) else [value]).split(",") if word]


def birth_taints(config: MachineConfig) -> list[Taint]:
    """Taints that the kubelet registers with."""
    extra = config.get("machine.kubelet.extraConfig") or config.document("KubeletConfig").get("config") or {}
    taints = [{"key": one["key"], "value": one.get("value") or "", "effect": one["effect"]} for one in extra.get("registerWithTaints") or []]
    words = _argument(config, "register-with-taints")
    taints += [taint(word) for word in words]
    schedulable = config.get("cluster.allowSchedulingOnControlPlanes") or config.get("cluster.allowSchedulingOnMasters")
    role = "node-role.kubernetes.io/control-plane"
    if config.type == "controlplane" and not schedulable and not words and role not in {one["key"] for one in taints}:
        taints.append({"key": role, "value": "", "effect": "NoSchedule"})
    return taints


def birth_labels(config: MachineConfig) -> dict[str, str]:
    """Labels that the kubelet registers with (--node-labels)."""
    return {key: value for key, _equals, value in (word.partition("=") for word in _argument(config, "node-labels"))}


def restricted(label: str) -> bool:
    """Whether Kubernetes keeps a node's own credentials from setting this label (NodeRestriction, kubelet --node-labels)."""
    prefix = label.partition("/")[0] if "/" in label else ""
    ours = prefix in ("kubernetes.io", "k8s.io") or prefix.endswith((".kubernetes.io", ".k8s.io"))
    return ours and label not in KUBELET_LABEL_NAMES and not (prefix + "/").endswith(KUBELET_LABELS)


def later_labels(config: MachineConfig) -> dict[str, str]:
    """Labels that Talos sets on the Node object after it has registered."""
    labels = dict(config.get("machine.nodeLabels") or config.document("KubeNodeConfig").get("labels") or {})
    if config.type == "controlplane":
        labels["node-role.kubernetes.io/control-plane"] = ""
    return {key: value or "" for key, value in labels.items()}


def later_taints(config: MachineConfig) -> list[Taint]:
    """Taints that Talos sets on the Node object after it has registered."""
    taints = config.get("machine.nodeTaints") or config.document("KubeNodeConfig").get("taints") or {}
    return [taint(value or "", key) for key, value in taints.items()]
