# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What Talos' own validation would refuse or warn of, every problem at once, in words that name path and value.

Checks are generators over a Subject; a Warn among their messages is a warning. Up to 1.14; what a check's release is stands beside it.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from . import checks, table
from .checks import Warn
from .documents import Config
from .validate_documents import conflicts, documents, whole

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
    if legacy.get("cluster") is None:
        yield "cluster: cluster instructions are required"
    if legacy.get("persist") is False:
        yield "persist: .persist should be enabled"
    for check in CHECKS:
        yield from check(subject)


# ---- the machine ------------------------------------------------------------------------------------------------------------------------


def _machine_type(subject: Subject) -> t.Iterator[Message]:
    word = subject.machine.get("type", "")
    if word in ("", "join"):
        yield Warn(f'machine.type: use "worker" instead of "{word}" for machine type')
    elif word not in ("init", "controlplane", "worker"):
        yield f"machine.type: unknown machine type {checks.quoted(word)}; must be controlplane or worker"


def _authorities(subject: Subject) -> t.Iterator[Message]:
    """Control planes issue certificates, so they have CA keys; workers must not have them."""
    authority = subject.machine.get("ca")
    accepted = subject.machine.get("acceptedCAs")
    if authority is None and not accepted:
        yield "machine.ca: issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)"
    if subject.control_plane:
        if authority is None:
            yield "machine.ca: issuing CA is required (.machine.ca)"
        elif not authority.get("key"):
            yield "machine.ca.key: issuing CA key is required for controlplane nodes (.machine.ca.key)"
        return
    if authority is not None and authority.get("key"):
        yield "machine.ca.key: issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)"
    if authority is not None and not authority.get("crt") and not accepted:
        yield "machine.ca.crt: trusted CA certificates are required on non-controlplane nodes (.machine.ca.crt, .machine.acceptedCAs)"
    if (subject.cluster.get("ca") or {}).get("key"):
        yield "cluster.ca.key: issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)"


DISK_TYPES = ("nvme", "sd", "hdd", "ssd")


def _install(subject: Subject) -> t.Iterator[Message]:
    install = subject.machine.get("install")
    if subject.mode == "metal" and install is None and subject.minor <= 13:
        yield 'machine.install: install instructions are required in "metal" mode'
    if install is None:
        return
    if subject.mode == "metal" and not install.get("disk") and not install.get("diskSelector"):
        yield "machine.install: either install disk or diskSelector should be defined"
    if subject.mode == "metal" and (install.get("diskSelector") or {}).get("name"):
        yield "machine.install.diskSelector.name: install disk selector is invalid: selector on name is not supported"
    word = (install.get("diskSelector") or {}).get("type")
    if subject.mode == "metal" and word and word not in DISK_TYPES:
        yield f"machine.install.diskSelector.type: install disk selector is invalid: unsupported disk type {checks.quoted(word)}; use {', '.join(DISK_TYPES)}"
    if subject.mode == "metal" and install.get("extraKernelArgs") and install.get("grubUseUKICmdline"):
        yield "machine.install: install.extraKernelArgs and install.grubUseUKICmdline can't be used together"
    images = [item.get("image", "") for item in install.get("extensions") or []]
    for image in sorted({image for image in images if images.count(image) > 1}):
        yield f"machine.install.extensions: duplicate system extension {checks.quoted(image)}"
    if images:
        yield Warn("machine.install.extensions: .machine.install.extensions is deprecated; use an image of the Image Factory")


PROTECTED_KUBELET = frozenset(
    (
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
    )
)


# Sections that 1.14 warns of.
DEPRECATED = {"files": "use dedicated configuration documents", "baseRuntimeSpecOverrides": "use a CRIBaseRuntimeSpecConfig document"}


def _deprecated(subject: Subject) -> t.Iterator[Message]:
    for name, instead in DEPRECATED.items():
        if subject.minor >= 14 and subject.machine.get(name):
            yield Warn(f"machine.{name}: .machine.{name} is deprecated; {instead} instead")


def _kubelet(subject: Subject) -> t.Iterator[Message]:
    kubelet = subject.machine.get("kubelet") or {}
    subnets = (kubelet.get("nodeIP") or {}).get("validSubnets") or []
    yield from checks.subnets(subnets, "machine.kubelet.nodeIP.validSubnets", "kubelet nodeIP subnet")
    for name in kubelet.get("extraConfig") or {}:
        if name in PROTECTED_KUBELET:
            yield f"machine.kubelet.extraConfig.{name}: kubelet configuration field {checks.quoted(name)} can't be overridden"


def _disks(subject: Subject) -> t.Iterator[Message]:
    for index, disk in enumerate(subject.machine.get("disks") or []):
        if disk is None:
            if subject.minor <= 13:
                yield f"machine.disks[{index}]: machine.disks[{index}] is null"
            continue
        for partition in (disk.get("partitions") or [])[:-1]:
            if not (partition or {}).get("size"):
                yield (
                    f"machine.disks[{index}].partitions: partition for disk {checks.quoted(disk.get('device', ''))} "
                    "is set to occupy full disk, but it's not the last partition in the list"
                )


def _disk_encryption(subject: Subject) -> t.Iterator[Message]:
    for name, label in (("ephemeral", "EPHEMERAL"), ("state", "STATE")):
        encryption = (subject.machine.get("systemDiskEncryption") or {}).get(name)
        if encryption is None:
            continue
        path = f"machine.systemDiskEncryption.{name}"
        keys = [key for key in encryption.get("keys") or [] if key is not None]
        if not keys:
            yield f'{path}.keys: partition "{label}": no encryption keys provided'
        slots: set[int] = set()
        for key in keys:
            slot = key.get("slot", 0)
            if slot in slots:
                yield f'{path}.keys: partition "{label}": encryption key slot {slot} is already in use'
            slots.add(slot)
            if all(key.get(way) is None for way in ("nodeID", "static", "kms", "tpm")):
                yield f'{path}.keys: partition "{label}": encryption key at slot {slot} doesn\'t have the configuration parameters'


def _logging(subject: Subject) -> t.Iterator[Message]:
    for index, target in enumerate((subject.machine.get("logging") or {}).get("destinations") or []):
        path = f"machine.logging.destinations[{index}]"
        endpoint = target.get("endpoint")
        if endpoint is None:
            yield f"{path}.endpoint: empty logging endpoint"
        else:
            parts = checks.url_parts(endpoint)
            if not parts.netloc:
                yield f"{path}.endpoint: empty logging endpoint's host"
            if parts.scheme not in ("tcp", "udp"):
                yield f"{path}.endpoint: unexpected logging endpoint scheme {checks.quoted(parts.scheme)}; must be tcp or udp"
        if target.get("format") != "json_lines":
            yield f"{path}.format: unknown logging format {checks.quoted(target.get('format', ''))}; must be json_lines"


def _node_metadata(subject: Subject) -> t.Iterator[Message]:
    yield from checks.label_problems(subject.machine.get("nodeLabels") or {}, "machine.nodeLabels")
    yield from checks.annotation_problems(subject.machine.get("nodeAnnotations") or {}, "machine.nodeAnnotations")
    yield from checks.taint_problems(subject.machine.get("nodeTaints") or {}, "machine.nodeTaints")


SORT_ALGORITHMS = ("v1", "v2")
TALOS_ROLES = frozenset(("os:admin", "os:operator", "os:reader", "os:etcd:backup", "os:image:verifier", "os:meta:writer", "os:impersonator"))


def _features(subject: Subject) -> t.Iterator[Message]:
    features = subject.machine.get("features") or {}
    access = features.get("kubernetesTalosAPIAccess") or {}
    if access.get("enabled") and not subject.control_plane:
        yield "machine.features.kubernetesTalosAPIAccess: feature Kubernetes Talos API Access can only be enabled on control plane machines"
    if access.get("enabled"):
        for role in access.get("allowedRoles") or []:
            if role not in TALOS_ROLES:
                yield f"machine.features.kubernetesTalosAPIAccess.allowedRoles: invalid role {checks.quoted(role)} in allowed roles"
    dns = features.get("hostDNS") or {}
    if dns.get("forwardKubeDNSToHost") and not dns.get("enabled"):
        yield "machine.features.hostDNS: feature hostDNS.forwardKubeDNSToHost requires hostDNS.enabled to be true"
    algorithm = features.get("nodeAddressSortAlgorithm")
    if algorithm and algorithm.lower() not in SORT_ALGORITHMS:
        yield f"machine.features.nodeAddressSortAlgorithm: invalid node address sort algorithm {checks.quoted(algorithm)}; must be v1 or v2"


def _registries(subject: Subject) -> t.Iterator[Message]:
    for section in ("config", "mirrors"):
        for name, value in ((subject.machine.get("registries") or {}).get(section) or {}).items():
            if value is None:
                yield f"machine.registries.{section}[{name}]: registries.{section}[{checks.quoted(name)}] is null"


# ---- interfaces -------------------------------------------------------------------------------------------------------------------------


def _interfaces(subject: Subject) -> t.Iterator[Message]:
    devices = (subject.machine.get("network") or {}).get("interfaces") or []
    members: dict[str, str] = {}
    for index, device in enumerate(devices):
        if device is not None:
            yield from _members(device, f"machine.network.interfaces[{index}]", members)
    for index, device in enumerate(devices):
        path = f"machine.network.interfaces[{index}]"
        if device is None:
            yield f"{path}: empty device"
        elif not device.get("ignore"):
            yield from checks.device(device, path, members)
        if device is not None and not subject.control_plane and _has_vip(device):
            yield f"{path}: virtual (shared) IP is not allowed on non-controlplane nodes"


def _members(device: dict[str, t.Any], path: str, members: dict[str, str]) -> t.Iterator[Message]:
    """Remember which interfaces are part of a bond or bridge, and refuse those in two."""
    name = device.get("interface", "")
    bond, bridge = device.get("bond"), device.get("bridge")
    if bond is not None and bridge is not None:
        yield f"{path}: interface has both bridge and bond sections set {checks.quoted(name)}: config sections are mutually exclusive"
    if bond is not None and bond.get("interfaces") and bond.get("deviceSelectors"):
        yield f"{path}.bond: interface {checks.quoted(name)} has both interfaces and selectors set: config sections are mutually exclusive"
    for member in (bridge if bridge is not None else bond or {}).get("interfaces") or []:
        if members.setdefault(member, name) != name:
            yield (
                f"{path}: interface {checks.quoted(member)} is declared as part of two separate links: "
                f"{checks.quoted(members[member])} and {checks.quoted(name)}"
            )
            members[member] = name


def _has_vip(device: dict[str, t.Any]) -> bool:
    return device.get("vip") is not None or any((vlan or {}).get("vip") is not None for vlan in device.get("vlans") or [])


def _kubespan(subject: Subject) -> t.Iterator[Message]:
    span = (subject.machine.get("network") or {}).get("kubespan") or {}
    if not span.get("enabled"):
        return
    if span.get("mtu") is not None and span["mtu"] < checks.KUBESPAN_MTU:
        yield f"machine.network.kubespan.mtu: kubespan link MTU must be at least {checks.KUBESPAN_MTU}"
    if subject.minor <= 13 and not (subject.cluster.get("discovery") or {}).get("enabled"):
        yield "cluster.discovery: .cluster.discovery should be enabled when .machine.network.kubespan is enabled"
    for name in ("id", "secret") if subject.minor <= 13 else ():
        if not subject.cluster.get(name):
            yield f"cluster.{name}: .cluster.{name} should be set when .machine.network.kubespan is enabled"
    filters = span.get("filters") or {}
    yield from checks.subnets(filters.get("endpoints") or [], "machine.network.kubespan.filters.endpoints", "KubeSpan endpoint filter")
    for text in filters.get("excludeAdvertisedNetworks") or []:
        if not checks.is_prefix(text):
            yield (
                f"machine.network.kubespan.filters.excludeAdvertisedNetworks: KubeSpan exclude advertised networks filter is not valid: {checks.quoted(text)}"
            )


# ---- the cluster ------------------------------------------------------------------------------------------------------------------------


def _endpoint(subject: Subject) -> t.Iterator[Message]:
    control_plane = subject.cluster.get("controlPlane")
    endpoint = (control_plane or {}).get("endpoint")
    if endpoint is None:
        if subject.minor <= 13 or control_plane is not None:
            yield "cluster.controlPlane.endpoint: cluster controlplane endpoint is required"
        return
    problem = checks.endpoint_problem(endpoint)
    if problem:
        yield f"cluster.controlPlane.endpoint: invalid controlplane endpoint: {problem}"


def _cluster_network(subject: Subject) -> t.Iterator[Message]:
    network = subject.cluster.get("network") or {}
    domain = network.get("dnsDomain")
    if domain and not checks.is_dns_name(domain):
        yield f"cluster.network.dnsDomain: {checks.quoted(domain)} is not a valid DNS name"
    cni = network.get("cni")
    if cni is not None and subject.control_plane:
        yield from checks.cni(cni, "cluster.network.cni")


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
    yield from checks.subnets(etcd.get("listenSubnets") or [], "cluster.etcd.listenSubnets", "etcd listen subnet")


def _manifests(subject: Subject) -> t.Iterator[Message]:
    names: set[str] = set()
    for index, manifest in enumerate(subject.cluster.get("inlineManifests") or []):
        name = manifest.get("name", "")
        if not name.strip():
            yield f"cluster.inlineManifests[{index}].name: inline manifest name can't be empty"
        if name in names:
            yield f"cluster.inlineManifests[{index}].name: inline manifest name {checks.quoted(name)} is duplicate"
        names.add(name)
    provider = subject.cluster.get("externalCloudProvider") or {}
    if provider.get("manifests") and not provider.get("enabled"):
        yield "cluster.externalCloudProvider: external cloud provider is disabled, but manifests are provided"
    elif provider.get("enabled"):
        for url in provider.get("manifests") or []:
            problem = checks.endpoint_problem(url)
            if problem:
                yield f"cluster.externalCloudProvider.manifests: invalid external cloud provider manifest url: {problem}"


def _discovery(subject: Subject) -> t.Iterator[Message]:
    discovery = subject.cluster.get("discovery") or {}
    service = (discovery.get("registries") or {}).get("service") or {}
    if not discovery.get("enabled") or service.get("disabled"):
        return
    endpoint = service.get("endpoint") or "https://discovery.talos.dev/"
    parts = checks.url_parts(endpoint)
    if not parts.scheme and not endpoint.startswith("/"):
        yield "cluster.discovery.registries.service.endpoint: cluster discovery service registry endpoint is invalid"
    elif parts.path not in ("", "/"):
        yield "cluster.discovery.registries.service.endpoint: cluster discovery service path should be empty"
    for name in ("id", "secret"):
        if not subject.cluster.get(name):
            yield f"cluster.{name}: cluster discovery service requires .cluster.{name}"


AUTHORIZERS = ("Node", "RBAC", "Webhook")


def _api_server(subject: Subject) -> t.Iterator[Message]:
    server = subject.cluster.get("apiServer") or {}
    authorizers = server.get("authorizationConfig")
    for name in server.get("extraArgs") or {} if authorizers is not None else ():
        if name == "authorization-mode" or name.startswith("authorization-webhook-"):
            yield f"cluster.apiServer.extraArgs: {name} cannot be used in conjunction with authorizationConfig"
    for index, item in enumerate(authorizers or []):
        path = f"cluster.apiServer.authorizationConfig[{index}]"
        for name in ("type", "name"):
            if not (item or {}).get(name):
                yield f"{path}.{name}: authorizer {name} must be set"
        if (item or {}).get("type") and item["type"] not in AUTHORIZERS:
            yield f"{path}.type: authorizer type {checks.quoted(item['type'])} is not allowed, allowed types are {', '.join(AUTHORIZERS)}"
    for part in ("apiServer", "controllerManager", "scheduler"):
        resources = (subject.cluster.get(part) or {}).get("resources") or {}
        for kind in ("requests", "limits"):
            for name in resources.get(kind) or {}:
                if name not in ("cpu", "memory"):
                    yield f"cluster.{part}.resources.{kind}: unsupported pod resource {checks.quoted(name)}; must be cpu or memory"


CHECKS: tuple[Check, ...] = (
    _machine_type,
    _authorities,
    _install,
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
    _endpoint,
    _cluster_network,
    _etcd,
    _manifests,
    _discovery,
    _api_server,
)


# ---- Kubernetes' version ----------------------------------------------------------------------------------------------------------------

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
        match = IMAGE_VERSION.fullmatch(image or "")
        if match and (int(match[1]) != 1 or not oldest <= int(match[2]) <= oldest + 5):
            where = ".".join((*([kind] if kind else []), *path))
            yield Warn(f"{where}: Kubernetes {match[1]}.{match[2]} is outside what Talos 1.{minor} runs (1.{oldest} to 1.{oldest + 5}); the node refuses it")
