# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What Talos' own validation would refuse or warn of, every problem at once, as "path: Talos' words".

Checks are generators over a Subject; a Warn among their messages is a warning. Up to 1.14; what a check's release is stands beside it.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from . import checks, devices, table, urls
from .checks import Warn, quoted
from .documents import Config
from .validate_documents import conflicts, documents, whole
from .validate_kubernetes import AUTHORIZERS, resources
from .yamltext import ConfigError

MODES = ("cloud", "metal")

# Kubernetes minors each Talos minor runs: the oldest; five more after it.
OLDEST_KUBERNETES = {minor: minor + 18 for minor in range(6, 16)}


@dataclasses.dataclass(frozen=True)
class Subject:
    """What the checks of the legacy document look at; minor is the Talos release, mode the platform's."""

    config: Config
    machine: dict[str, t.Any]
    cluster: dict[str, t.Any]
    minor: int
    mode: str
    control_plane: bool


Message = str
Check = t.Callable[[Subject], t.Iterator[Message]]


def validate(config: Config, minor: int, mode: str) -> tuple[list[str], list[str]]:
    """(problems, warnings) of a config for a platform mode ("metal" requires install instructions, "cloud" does not)."""
    if not config.documents:
        return ["config not found: nothing is left of it"], []
    messages: list[str] = []
    legacy = config.get(table.LEGACY)
    control_plane = is_control_plane(legacy)
    if legacy is not None:
        messages.extend(_legacy(config, legacy, minor, mode, control_plane))
    messages.extend(documents(config, minor))
    if legacy is not None:
        messages.extend(conflicts(config, legacy, minor))
    messages.extend(whole(config, legacy, minor, control_plane))
    messages.extend(_kubernetes_versions(config, legacy or {}, minor))
    problems = [message for message in messages if not isinstance(message, Warn)]
    return list(dict.fromkeys(problems)), [str(message) for message in dict.fromkeys(messages) if isinstance(message, Warn)]


def is_control_plane(legacy: dict[str, t.Any] | None) -> bool:
    """Whether machine.type says control plane."""
    return ((legacy or {}).get("machine") or {}).get("type") in ("controlplane", "init")


def _legacy(config: Config, legacy: dict[str, t.Any], minor: int, mode: str, control_plane: bool) -> t.Iterator[Message]:
    if legacy.get("machine") is None:
        yield "machine: machine instructions are required"
        return
    subject = Subject(config, legacy["machine"], legacy.get("cluster") or {}, minor, mode, control_plane)
    if legacy.get("persist") is False:
        yield "persist: .persist should be enabled"
    for check in MACHINE_CHECKS:
        yield from check(subject)
    if legacy.get("cluster") is None:
        yield "cluster: cluster instructions are required"
    elif minor <= 13 and (subject.cluster.get("controlPlane") or {}).get("endpoint") is None:
        # Talos looks no further.
        yield "cluster.controlPlane.endpoint: cluster controlplane endpoint is required"
    else:
        for check in CLUSTER_CHECKS:
            yield from check(subject)


# ---- the machine ------------------------------------------------------------------------------------------------------------------------


def _machine_type(subject: Subject) -> t.Iterator[Message]:
    word = subject.machine.get("type", "")
    if word in ("", "join"):
        yield Warn(f'machine.type: use "worker" instead of {quoted(word)} for machine type')
    elif word not in ("init", "controlplane", "worker"):
        yield f"machine.type: unknown machine type {quoted(word)}; must be controlplane or worker"


def _authorities(subject: Subject) -> t.Iterator[Message]:
    """Control planes issue certificates, so they have CA keys (checked from 1.8 on); workers must not have them (from 1.7 on)."""
    authority = subject.machine.get("ca")
    accepted = subject.machine.get("acceptedCAs")
    if authority is None and not accepted and subject.minor >= 8:
        yield "machine.ca: issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)"
    if subject.control_plane and subject.minor >= 8:
        if authority is None:
            yield "machine.ca: issuing CA is required (.machine.ca)"
        elif not authority.get("key"):
            yield "machine.ca.key: issuing CA key is required for controlplane nodes (.machine.ca.key)"
    if subject.machine.get("type", "") not in ("worker", "", "join") or subject.minor < 7:
        return
    if authority is not None and authority.get("key"):
        yield "machine.ca.key: issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)"
    if authority is not None and not authority.get("crt") and not accepted and subject.minor >= 8:
        yield "machine.ca.crt: trusted CA certificates are required on non-controlplane nodes (.machine.ca.crt, .machine.acceptedCAs)"
    if (subject.cluster.get("ca") or {}).get("key"):
        yield "cluster.ca.key: issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)"


DISK_TYPES = ("nvme", "sd", "hdd", "ssd")


def _install(subject: Subject) -> t.Iterator[Message]:
    install = subject.machine.get("install")
    if subject.mode == "metal" and install is None and subject.minor <= 13:
        yield 'machine.install: install instructions are required in "metal" mode'
    if subject.mode != "metal" or install is None:
        return
    selector = install.get("diskSelector")
    problem = _selector_problem(selector) if selector is not None and subject.minor >= 9 else ""
    if problem:
        yield f"machine.install.diskSelector.{problem}"
    chosen = selector is not None and not problem if subject.minor >= 9 else bool(selector)
    if not install.get("disk") and not chosen:
        yield "machine.install.disk: either install disk or diskSelector should be defined"
    if install.get("extraKernelArgs") and install.get("grubUseUKICmdline"):
        yield "machine.install.extraKernelArgs: install.extraKernelArgs and install.grubUseUKICmdline can't be used together"


def _selector_problem(selector: dict[str, t.Any]) -> str:
    if selector.get("name"):
        return "name: install disk selector is invalid: selector on name is not supported"
    if selector.get("type") and selector["type"] not in DISK_TYPES:
        return f"type: install disk selector is invalid: unsupported disk type {quoted(selector['type'])}; use {', '.join(DISK_TYPES)}"
    return ""


MANUALS = {
    True: "https://docs.siderolabs.com/talos/latest/platform-specific-installations/boot-assets",
    False: "https://www.talos.dev/latest/talos-guides/install/boot-assets/",
}


def _extensions(subject: Subject) -> t.Iterator[Message]:
    images: set[str] = set()
    for index, item in enumerate((subject.machine.get("install") or {}).get("extensions") or []):
        image = (item or {}).get("image", "")
        if image in images:
            yield f"machine.install.extensions[{index}]: duplicate system extension {quoted(image)}"
        images.add(image)
    if images:
        yield Warn(f"machine.install.extensions: .machine.install.extensions is deprecated, please see {MANUALS[subject.minor >= 13]}")


# Sections that 1.14 warns of.
DEPRECATED = {"files": "use dedicated configuration documents", "baseRuntimeSpecOverrides": "use a CRIBaseRuntimeSpecConfig document"}


def _deprecated(subject: Subject) -> t.Iterator[Message]:
    for name, instead in DEPRECATED.items():
        if subject.minor >= 14 and subject.machine.get(name):
            yield Warn(f"machine.{name}: .machine.{name} is deprecated; {instead} instead")
    if subject.machine.get("baseRuntimeSpecOverrides"):
        yield from checks.runtime_spec(subject.machine["baseRuntimeSpecOverrides"], "machine.baseRuntimeSpecOverrides")


def _kubelet(subject: Subject) -> t.Iterator[Message]:
    kubelet = subject.machine.get("kubelet") or {}
    subnets = (kubelet.get("nodeIP") or {}).get("validSubnets") or []
    yield from checks.subnets(subnets, "machine.kubelet.nodeIP.validSubnets", "kubelet nodeIP subnet")
    for name in kubelet.get("extraConfig") or {}:
        if name in checks.PROTECTED_KUBELET:
            yield f"machine.kubelet.extraConfig.{name}: kubelet configuration field {quoted(name)} can't be overridden"


def _disks(subject: Subject) -> t.Iterator[Message]:
    for index, disk in enumerate(subject.machine.get("disks") or []):
        path = f"machine.disks[{index}]"
        if disk is None:
            yield f"{path}: {path} is null"
            continue
        for number, partition in enumerate((disk.get("partitions") or [])[:-1]):
            if not (partition or {}).get("size"):
                yield (
                    f"{path}.partitions[{number}].size: partition for disk {quoted(disk.get('device', ''))} "
                    "is set to occupy full disk, but it's not the last partition in the list"
                )


def _disk_encryption(subject: Subject) -> t.Iterator[Message]:
    for name, label in (("ephemeral", "EPHEMERAL"), ("state", "STATE")):
        encryption = (subject.machine.get("systemDiskEncryption") or {}).get(name)
        if encryption is None:
            continue
        path = f"machine.systemDiskEncryption.{name}.keys"
        keys = [key for key in encryption.get("keys") or [] if key is not None]
        if not keys:
            yield f'{path}: partition "{label}": no encryption keys provided'
        slots: set[int] = set()
        for index, key in enumerate(keys):
            slot = key.get("slot", 0)
            if slot in slots:
                yield f'{path}[{index}].slot: partition "{label}": encryption key slot {slot} is already in use'
            slots.add(slot)
            if all(key.get(way) is None for way in ("nodeID", "static", "kms", "tpm")):
                yield f'{path}[{index}]: partition "{label}": encryption key at slot {slot} doesn\'t have the configuration parameters'


def _logging(subject: Subject) -> t.Iterator[Message]:
    for index, target in enumerate((subject.machine.get("logging") or {}).get("destinations") or []):
        path, target = f"machine.logging.destinations[{index}]", target or {}
        endpoint = target.get("endpoint")
        if endpoint is None:
            yield f"{path}.endpoint: empty logging endpoint"
        else:
            parts = checks.go_url(endpoint)
            if not parts.host:
                yield f"{path}.endpoint: empty logging endpoint's host"
            if parts.scheme not in ("tcp", "udp"):
                yield f"{path}.endpoint: unexpected logging endpoint scheme {quoted(parts.scheme)}; must be tcp or udp"
        if target.get("format") != "json_lines":
            yield f"{path}.format: unknown logging format {quoted(target.get('format', ''))}; must be json_lines"


def _node_metadata(subject: Subject) -> t.Iterator[Message]:
    yield from checks.label_problems(subject.machine.get("nodeLabels") or {}, "machine.nodeLabels")
    if subject.minor >= 8:
        yield from checks.annotation_problems(subject.machine.get("nodeAnnotations") or {}, "machine.nodeAnnotations")
    yield from checks.taint_problems(subject.machine.get("nodeTaints") or {}, "machine.nodeTaints")


SORT_ALGORITHMS = ("v1", "v2")


def _features(subject: Subject) -> t.Iterator[Message]:
    features = subject.machine.get("features") or {}
    yield from _api_access(subject, features)
    dns = features.get("hostDNS") or {}
    if dns.get("forwardKubeDNSToHost") and not dns.get("enabled") and subject.minor >= 13:
        yield "machine.features.hostDNS: feature hostDNS.forwardKubeDNSToHost requires hostDNS.enabled to be true (.machine.features.hostDNS)"
    algorithm = features.get("nodeAddressSortAlgorithm")
    if algorithm and algorithm.lower() not in SORT_ALGORITHMS:
        yield (
            f"machine.features.nodeAddressSortAlgorithm: invalid node address sort algorithm: {quoted(algorithm)[1:-1]} "
            "does not belong to AddressSortAlgorithm values; must be v1 or v2"
        )


def _api_access(subject: Subject, features: dict[str, t.Any]) -> t.Iterator[Message]:
    access, path = features.get("kubernetesTalosAPIAccess") or {}, "machine.features.kubernetesTalosAPIAccess"
    if not access.get("enabled"):
        return
    if subject.minor <= 11 and not features.get("rbac"):
        yield "machine.features.rbac: feature API RBAC should be enabled when Kubernetes Talos API Access feature is enabled"
    if not subject.control_plane:
        yield f"{path}: feature Kubernetes Talos API Access can only be enabled on control plane machines"
    for role in access.get("allowedRoles") or []:
        if role not in checks.roles(subject.minor):
            yield f"{path}.allowedRoles: invalid role {quoted(role)} in allowed roles for Kubernetes Talos API Access"


def _registries(subject: Subject) -> t.Iterator[Message]:
    for section in ("config", "mirrors") if subject.minor >= 9 else ():
        for name, value in ((subject.machine.get("registries") or {}).get(section) or {}).items():
            if value is None:
                yield f"machine.registries.{section}[{name}]: registries.{section}[{quoted(name)}] is null"


def _interfaces(subject: Subject) -> t.Iterator[Message]:
    found, path = (subject.machine.get("network") or {}).get("interfaces") or [], "machine.network.interfaces"
    yield from devices.interfaces(found, path, subject.minor)
    if subject.machine.get("type", "") in ("worker", "", "join"):
        yield from devices.shared_addresses(found, path)


def _kubespan(subject: Subject) -> t.Iterator[Message]:
    span = (subject.machine.get("network") or {}).get("kubespan") or {}
    if not span.get("enabled"):
        return
    if span.get("mtu") and span["mtu"] < checks.KUBESPAN_MTU:
        yield f"machine.network.kubespan.mtu: kubespan link MTU must be at least {checks.KUBESPAN_MTU}"
    if subject.minor <= 13 and not (subject.cluster.get("discovery") or {}).get("enabled"):
        yield "cluster.discovery: .cluster.discovery should be enabled when .machine.network.kubespan is enabled"
    for name in ("id", "secret") if subject.minor <= 13 else ():
        if not subject.cluster.get(name):
            yield f"cluster.{name}: .cluster.{name} should be set when .machine.network.kubespan is enabled"
    filters = span.get("filters") or {}
    what = "KubeSpan endpoint filter" if subject.minor >= 12 else "KubeSpan endpoint filer"
    yield from checks.subnets(filters.get("endpoints") or [], "machine.network.kubespan.filters.endpoints", what)
    for text in filters.get("excludeAdvertisedNetworks") or []:
        if not checks.is_go_prefix(text):
            yield f"machine.network.kubespan.filters.excludeAdvertisedNetworks: KubeSpan exclude advertised networks filter is not valid: {quoted(text)}"


def _cni(subject: Subject) -> t.Iterator[Message]:
    """Checked on control planes only."""
    found = (subject.cluster.get("network") or {}).get("cni")
    if found is not None and subject.control_plane:
        yield from checks.cni(found, "cluster.network.cni", subject.minor)


MACHINE_CHECKS: tuple[Check, ...] = (
    _machine_type,
    _authorities,
    _install,
    _extensions,
    _deprecated,
    _kubelet,
    _disks,
    _disk_encryption,
    _logging,
    _node_metadata,
    _features,
    _registries,
    _interfaces,
    _kubespan,
    _cni,
)


# ---- the cluster ------------------------------------------------------------------------------------------------------------------------


def _endpoint(subject: Subject) -> t.Iterator[Message]:
    path, control_plane = "cluster.controlPlane.endpoint", subject.cluster.get("controlPlane")
    endpoint = (control_plane or {}).get("endpoint")
    problem = "" if endpoint is None else checks.endpoint_problem(endpoint)
    if control_plane is not None and endpoint is None:
        yield (
            f"{path}: cluster controlplane endpoint is required (.cluster.controlPlane.endpoint); when the endpoint is migrated to the KubeClusterConfig "
            "document, the whole .cluster.controlPlane section should be removed (.cluster.controlPlane.localAPIServerPort is migrated to the "
            "KubeAPIServerConfig document)"
        )
    elif problem:
        yield f"{path}: invalid controlplane endpoint: {problem}"
    if subject.minor >= 14 and subject.cluster.get("serviceAccount") is not None and control_plane is None:
        yield (
            "cluster.serviceAccount: .cluster.serviceAccount requires the cluster endpoint to be set in the same document "
            "(.cluster.controlPlane.endpoint); when the cluster endpoint is migrated to the KubeClusterConfig document, .cluster.serviceAccount should "
            "be migrated to the KubeServiceAccountConfig document as well"
        )


def _cluster_network(subject: Subject) -> t.Iterator[Message]:
    domain = (subject.cluster.get("network") or {}).get("dnsDomain")
    if domain and not checks.is_dns_name(domain):
        yield f"cluster.network.dnsDomain: {quoted(domain)} is not a valid DNS name"


def _cluster_key(subject: Subject) -> t.Iterator[Message]:
    if subject.minor >= 7 and not subject.control_plane and (subject.cluster.get("ca") or {}).get("key"):
        yield "cluster.ca.key: cluster CA key is not allowed on non-controlplane nodes (.cluster.ca)"


def _etcd(subject: Subject) -> t.Iterator[Message]:
    etcd = subject.cluster.get("etcd")
    if etcd is None:
        return
    if not subject.control_plane:
        yield "cluster.etcd: etcd config is only allowed on control plane machines"
        return
    if etcd.get("ca") is None:
        yield "cluster.etcd.ca: key/cert combination should not be empty"
    if etcd.get("subnet") and etcd.get("advertisedSubnets"):
        yield "cluster.etcd.subnet: etcd subnet can't be set when advertised subnets are set"
    advertised = etcd.get("advertisedSubnets") or ([etcd["subnet"]] if etcd.get("subnet") else [])
    yield from checks.subnets(advertised, "cluster.etcd.advertisedSubnets", "etcd advertised subnet")
    yield from checks.subnets(etcd.get("listenSubnets") or advertised, "cluster.etcd.listenSubnets", "etcd listen subnet")


def _manifests(subject: Subject) -> t.Iterator[Message]:
    names: set[str] = set()
    for index, manifest in enumerate(subject.cluster.get("inlineManifests") or []):
        path, name = f"cluster.inlineManifests[{index}].name", (manifest or {}).get("name", "")
        if not name.strip():
            yield f"{path}: inline manifest name can't be empty"
        if name in names:
            yield f"{path}: inline manifest name {quoted(name)} is duplicate"
        names.add(name)
    provider, path = subject.cluster.get("externalCloudProvider") or {}, "cluster.externalCloudProvider"
    if provider.get("manifests") and not provider.get("enabled"):
        yield f"{path}.manifests: external cloud provider is disabled, but manifests are provided"
    elif provider.get("enabled"):
        for index, url in enumerate(provider.get("manifests") or []):
            problem = checks.endpoint_problem(url)
            if problem:
                yield f"{path}.manifests[{index}]: invalid external cloud provider manifest url {quoted(url)}: {problem}"


def _discovery(subject: Subject) -> t.Iterator[Message]:
    discovery = subject.cluster.get("discovery") or {}
    service = (discovery.get("registries") or {}).get("service") or {}
    if not discovery.get("enabled") or service.get("disabled"):
        return
    path = "cluster.discovery.registries.service.endpoint"
    problem = _discovery_problem(service.get("endpoint") or "https://discovery.talos.dev/")
    if problem:
        yield f"{path}: {problem}"
    for name in ("id", "secret"):
        if not subject.cluster.get(name):
            yield f"cluster.{name}: cluster discovery service requires .cluster.{name}"


def _discovery_problem(endpoint: str) -> str:
    try:
        url = urls.parse(endpoint.partition("#")[0] or endpoint)
    except ConfigError as error:
        return f"cluster discovery service registry endpoint is invalid: {error}"
    if (not url.scheme and not endpoint.startswith("/")) or (url.opaque and not url.scheme):
        return "cluster discovery service registry endpoint is invalid: invalid URI for request"
    return "" if url.path in ("", "/") and not (endpoint.startswith("/") and url.host) else "cluster discovery service path should be empty"


def _api_server(subject: Subject) -> t.Iterator[Message]:
    """Talos names the first problem of each component only."""
    problems = [*_authorizers(subject.cluster.get("apiServer") or {}), *_resources(subject, "apiServer", "apiserver")]
    yield from problems[:1]
    yield from _resources(subject, "controllerManager", "controller-manager")
    yield from _resources(subject, "scheduler", "scheduler")


def _resources(subject: Subject, part: str, what: str) -> t.Iterator[Message]:
    for message in resources(subject.cluster.get(part) or {}, f"cluster.{part}.resources"):
        path, _colon, words = message.partition(": ")
        yield f"{path}: {what} resource validation failed: {words}"


def _authorizers(server: dict[str, t.Any]) -> t.Iterator[Message]:
    authorizers, path = server.get("authorizationConfig"), "cluster.apiServer.authorizationConfig"
    for name in sorted(server.get("extraArgs") or {}) if authorizers else ():
        if name == "authorization-mode":
            yield (
                f"cluster.apiServer.extraArgs.{name}: authorization-mode cannot be used in conjunction with AuthorizationConfig, "
                "use eitherr AuthorizationConfig or authorization-mode"
            )
        elif name.startswith("authorization-webhook-"):
            yield (
                f"cluster.apiServer.extraArgs.{name}: authorization-webhook-* flags cannot be used in conjunction with AuthorizationConfig, "
                "use either AuthorizationConfig or authorization-webhook-* flags"
            )
    failed = "apiserver authorization config validation failed"
    for index, item in enumerate(authorizers or []):
        missing = next((name for name in ("type", "name") if not (item or {}).get(name)), "")
        if missing:
            yield f"{path}[{index}].{missing}: {failed}: authorizer {missing} must be set"
        elif item["type"] not in AUTHORIZERS:
            yield f"{path}[{index}].type: {failed}: authorizer type {item['type'][:80]} is not allowed, allowed types are [{' '.join(AUTHORIZERS)}]"


CLUSTER_CHECKS: tuple[Check, ...] = (_endpoint, _cluster_network, _cluster_key, _etcd, _manifests, _discovery, _api_server)


# ---- Kubernetes' version ----------------------------------------------------------------------------------------------------------------

MAX_IMAGE = 1000
IMAGE_VERSION = re.compile(r".*:v(\d+)\.(\d+)\.\d+[^@]*(?:@.*)?")

IMAGES = (
    (table.LEGACY, ("machine", "kubelet", "image")),
    (table.LEGACY, ("cluster", "apiServer", "image")),
    (table.LEGACY, ("cluster", "controllerManager", "image")),
    (table.LEGACY, ("cluster", "scheduler", "image")),
    ("KubeletConfig", ("image",)),
    ("KubeAPIServerConfig", ("image",)),
    ("KubeControllerManagerConfig", ("image",)),
    ("KubeSchedulerConfig", ("image",)),
)


def _kubernetes_versions(config: Config, legacy: dict[str, t.Any], minor: int) -> t.Iterator[Message]:
    """The node itself refuses Kubernetes releases its Talos does not run; nothing else says so before."""
    oldest = OLDEST_KUBERNETES[minor]
    for kind, path in IMAGES:
        image = functools.reduce(lambda value, key: (value or {}).get(key), path, t.cast(t.Any, config.get(kind)))
        match = IMAGE_VERSION.fullmatch(image or "") if len(image or "") <= MAX_IMAGE else None
        if match and (int(match[1]) != 1 or not oldest <= int(match[2]) <= oldest + 5):
            where = ".".join((*([kind] if kind else []), *path))
            yield Warn(f"{where}: Kubernetes {match[1]}.{match[2]} is outside what Talos 1.{minor} runs (1.{oldest} to 1.{oldest + 5}); the node refuses it")
