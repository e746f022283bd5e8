# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Validation of the documents beside the legacy one, and of what they have in common with it."""

from __future__ import annotations

import re
import typing as t

from . import checks
from .checks import Warn, quoted
from .documents import Config, Document

Value = dict[str, t.Any]
Check = t.Callable[[Document, int], t.Iterator[str]]


def documents(config: Config, minor: int) -> t.Iterator[str]:
    """Messages of every document that has a kind."""
    for document in config.documents:
        if document.kind.kind:
            title = document.title
            if document.kind.named and not document.name:
                yield f"{title}: name must be specified"
            for message in DOCUMENT_CHECKS.get(document.kind.kind, _nothing)(document, minor):
                yield Warn(f"{title}: {message}") if isinstance(message, Warn) else f"{title}: {message}"


def _nothing(document: Document, minor: int) -> t.Iterator[str]:
    return iter(())


def _hostname(document: Document, minor: int) -> t.Iterator[str]:
    auto, name = document.value.get("auto"), document.value.get("hostname", "")
    if auto is None and not name:
        yield "either 'auto' or 'hostname' must be set"
    if auto not in (None, "off") and name:
        yield "'auto' and 'hostname' cannot be set at the same time (set auto: off, too)"
    if auto == "talos-addr":
        yield "auto: invalid value for 'auto': talos-addr"
    if len(name) > 253:
        yield f"hostname: fqdn is too long: {len(name)}"
    if name and not 1 <= len(name.partition(".")[0]) <= 63:
        yield f"hostname: invalid hostname {quoted(name.partition('.')[0])}"


def _link(document: Document, minor: int) -> t.Iterator[str]:
    value = document.value
    for index, item in enumerate(value.get("addresses") or []):
        address = item.get("address", "")
        if not address or address.rpartition("/")[0] in ("0.0.0.0", "::"):
            yield f"addresses[{index}]: address {index} must be a valid IP prefix"
    for index, route in enumerate(value.get("routes") or []):
        for name in ("destination", "gateway", "source"):
            if route.get(name, "").partition("/")[0] in ("0.0.0.0", "::"):
                yield f"routes[{index}].{name}: route {index} {name} must be a valid IP address or prefix"


def _bond(document: Document, minor: int) -> t.Iterator[str]:
    if not document.value.get("links"):
        yield "links: at least one link must be specified"
    if document.value.get("bondMode") is None:
        yield "bondMode: bond mode must be specified"
    yield from _link(document, minor)


def _vlan(document: Document, minor: int) -> t.Iterator[str]:
    if not 1 <= document.value.get("vlanID", 0) <= 4094:
        yield "vlanID: vlanID must be specified and between 1 and 4094"
    if not document.value.get("parent"):
        yield "parent: parent must be specified"
    yield from _link(document, minor)


def _wireguard(document: Document, minor: int) -> t.Iterator[str]:
    value = document.value
    problem = checks.wireguard_key_problem(value.get("privateKey", ""))
    if problem:
        yield f"privateKey: wireguard private key is invalid: {problem}"
    if not 0 <= value.get("listenPort", 0) <= 65535:
        yield "listenPort: wireguard listen port must be between 0 and 65535"
    for index, peer in enumerate(value.get("peers") or []):
        problem = checks.wireguard_key_problem(peer.get("publicKey", ""))
        if problem:
            yield f"peers[{index}].publicKey: wireguard peer public key is invalid: {problem}"
        if peer.get("presharedKey") and checks.wireguard_key_problem(peer["presharedKey"]):
            yield f"peers[{index}].presharedKey: wireguard peer preshared key is invalid"
        if peer.get("persistentKeepaliveInterval", 0) < 0:
            yield f"peers[{index}].persistentKeepaliveInterval: wireguard peer persistent keepalive interval cannot be negative"
    yield from _link(document, minor)


def _vip(document: Document, minor: int) -> t.Iterator[str]:
    if document.name and not checks.is_address(document.name):
        yield "name: name must be a valid IP address"
    if not document.value.get("link"):
        yield "link: link must be specified"


def _hcloud_vip(document: Document, minor: int) -> t.Iterator[str]:
    yield from _vip(document, minor)
    if not document.value.get("apiToken"):
        yield "apiToken: apiToken must be specified"


def _static_host(document: Document, minor: int) -> t.Iterator[str]:
    if not checks.is_address(document.name):
        yield "name: name must be a valid IP address"
    if not document.value.get("hostnames"):
        yield "hostnames: at least one hostname is required"


def _time_sync(document: Document, minor: int) -> t.Iterator[str]:
    if document.value.get("bootTimeout", 0) < 0:
        yield "bootTimeout: bootTimeout cannot be negative"
    if document.value.get("ntp") is not None and document.value.get("ptp") is not None:
        yield "only one of ntp or ptp configuration can be specified"


def _kubespan(document: Document, minor: int) -> t.Iterator[str]:
    if document.value.get("mtu") is not None and document.value["mtu"] < checks.KUBESPAN_MTU:
        yield f"mtu: kubespan link MTU must be at least {checks.KUBESPAN_MTU}"
    filters = document.value.get("filters") or {}
    yield from checks.subnets(filters.get("endpoints") or [], "filters.endpoints", "KubeSpan endpoint filter")


def _link_alias(document: Document, minor: int) -> t.Iterator[str]:
    if not (document.value.get("selector") or {}).get("match"):
        yield "selector.match: link selector is required"
    _prefix, percent, suffix = document.name.partition("%")
    if percent and (suffix != "d" or not _prefix):
        yield f"name: name {quoted(document.name)} contains an invalid format verb, use %d suffix"


def _network_rule(document: Document, minor: int) -> t.Iterator[str]:
    ports = (document.value.get("portSelector") or {}).get("ports") or []
    if not ports:
        yield "portSelector.ports: portSelector.ports is required"
    ranges = sorted((int(text.partition("-")[0]), int(text.rpartition("-")[2]), text) for text in ports)
    for index, (low, high, text) in enumerate(ranges):
        if low > high:
            yield f"portSelector.ports: invalid port range: {quoted(text)}"
        if index and low <= ranges[index - 1][1]:
            yield f"portSelector.ports: invalid port range: {quoted(text)}, overlaps with {quoted(ranges[index - 1][2])}"
    for index, rule in enumerate(document.value.get("ingress") or []):
        if not rule.get("subnet"):
            yield f"ingress[{index}].subnet: invalid subnet"


VOLUME_NAME = re.compile(r"[A-Za-z0-9-]*")
VOLUMES = {6: ("STATE", "EPHEMERAL"), 9: ("STATE", "EPHEMERAL", "IMAGECACHE"), 14: ("STATE", "EPHEMERAL", "IMAGECACHE", "ETCD", "CRI", "KUBELET", "LOG")}


def _volume(document: Document, minor: int) -> t.Iterator[str]:
    allowed = VOLUMES[max(since for since in VOLUMES if since <= minor)]
    if document.name not in allowed:
        yield f"name: only {', '.join(allowed)} volumes are supported"
        return
    keys = (document.value.get("encryption") or {}).get("keys") or []
    if document.name == "STATE" and _provisioned(document.value):
        yield f"provisioning: provisioning config is not allowed for the {quoted(document.name)} volume"
    if document.name == "STATE" and any(key.get("lockToState") for key in keys):
        yield f"encryption.keys: state-locked key is not allowed for the {quoted(document.name)} volume"
    yield from _provisioning(document.value, required=False)
    yield from _encryption(document.value)


def _provisioned(value: Value) -> bool:
    provisioning = value.get("provisioning") or {}
    return bool((provisioning.get("diskSelector") or {}).get("match") or set(provisioning) - {"diskSelector"})


def _provisioning(value: Value, required: bool, sizes: bool = True) -> t.Iterator[str]:
    provisioning = value.get("provisioning") or {}
    low, high = provisioning.get("minSize", ""), (provisioning.get("maxSize") or {}).get("bytes", "")
    percent = (provisioning.get("maxSize") or {}).get("percent", "")
    if required and not (provisioning.get("diskSelector") or {}).get("match"):
        yield "provisioning.diskSelector.match: disk selector is required"
    if not sizes:
        if low or high or percent or provisioning.get("grow") is not None:
            yield "provisioning: min size, max size and grow are not supported"
        return
    if low and high and not high.startswith("-") and _bytes(low) > _bytes(high):
        yield "provisioning.minSize: min size is greater than max size"
    if required and not low and not high and not percent:
        yield "provisioning: min size or max size is required"
    if low.startswith("-"):
        yield "provisioning.minSize: min size cannot be negative"


def _bytes(text: str) -> int:
    """The bytes of a size that was decoded before."""
    from .scalars import parse_bytes_number

    return parse_bytes_number(text.removeprefix("-"))


def _encryption(value: Value) -> t.Iterator[str]:
    encryption = value.get("encryption") or {}
    if not encryption:
        return
    if encryption.get("provider") != "luks2":
        yield f"encryption.provider: unsupported encryption provider: {encryption.get('provider', 'none')}; must be luks2"
    keys = encryption.get("keys") or []
    if not keys:
        yield "encryption.keys: encryption keys are required"
    slots: set[int] = set()
    for key in keys:
        slot = key.get("slot", 0)
        if slot in slots:
            yield f"encryption.keys: duplicate key slot {slot}"
        slots.add(slot)
        if all(key.get(way) is None for way in ("static", "nodeID", "kms", "tpm")):
            yield f"encryption.keys: at least one encryption key type must be specified for slot {slot}"
        if any(not 0 <= pcr <= 23 for pcr in ((key.get("tpm") or {}).get("options") or {}).get("pcrs") or []):
            yield "encryption.keys: a TPM PCR is out of range (0-23)"


def _volume_name(document: Document) -> t.Iterator[str]:
    if len(document.name) > 34:
        yield "name: name must be between 1 and 34 characters long"
    if not VOLUME_NAME.fullmatch(document.name):
        yield "name: name can only contain lowercase and uppercase ASCII letters, digits, and hyphens"


def _user_volume(document: Document, minor: int) -> t.Iterator[str]:
    yield from _volume_name(document)
    kind = document.value.get("volumeType") or "partition"
    if kind not in ("directory", "disk", "partition"):
        yield f"volumeType: unsupported volume type {quoted(kind)}"
    if kind == "directory":
        for section in ("provisioning", "encryption", "filesystem", "mount"):
            if document.value.get(section) and (section != "provisioning" or _provisioned(document.value)):
                yield f"{section}: {section} spec is invalid for volumeType directory"
        return
    yield from _provisioning(document.value, required=True, sizes=kind == "partition")
    filesystem = document.value.get("filesystem") or {}
    if filesystem.get("type") not in (None, "", "none", "xfs", "ext4"):
        yield f"filesystem.type: unsupported filesystem type: {filesystem['type']}"
    elif filesystem.get("projectQuotaSupport") and filesystem.get("type") not in (None, "", "none", "xfs"):
        yield "filesystem.projectQuotaSupport: project quota support is only available for xfs filesystem"
    yield from _encryption(document.value)


def _raw_volume(document: Document, minor: int) -> t.Iterator[str]:
    yield from _volume_name(document)
    yield from _provisioning(document.value, required=True)
    yield from _encryption(document.value)


def _existing_volume(document: Document, minor: int) -> t.Iterator[str]:
    yield from _volume_name(document)
    if not ((document.value.get("discovery") or {}).get("volumeSelector") or {}).get("match"):
        yield "discovery.volumeSelector.match: volume selector is required"


def _external_volume(document: Document, minor: int) -> t.Iterator[str]:
    yield from _volume_name(document)
    if document.value.get("filesystemType") != "virtiofs":
        yield f"filesystemType: invalid filesystem type: {document.value.get('filesystemType', 'none')}; must be virtiofs"
    elif not ((document.value.get("mount") or {}).get("virtiofs") or {}).get("tag"):
        yield "mount.virtiofs.tag: virtiofs tag is required"


def _vrf(document: Document, minor: int) -> t.Iterator[str]:
    if document.value.get("table", "unspec") in ("", "unspec", "local", "main", "default"):
        yield f"table: cannot create vrf with reserved table {document.value.get('table') or 'unspec'}"
    yield from _link(document, minor)


def _dhcp(document: Document, minor: int) -> t.Iterator[str]:
    raw, duid = document.value.get("duidRaw"), document.value.get("clientIdentifier") == "duid"
    if raw and not duid:
        yield "duidRaw: duidRaw can only be set if clientIdentifier is 'duid'"
    if duid and not raw:
        yield "duidRaw: duidRaw must be set if clientIdentifier is 'duid'"


VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _environment(document: Document, minor: int) -> t.Iterator[str]:
    for name in document.value.get("variables") or {}:
        if not VARIABLE.fullmatch(name):
            yield f"variables: invalid environment variable name: {quoted(name)}"


def _extension_service(document: Document, minor: int) -> t.Iterator[str]:
    files = document.value.get("configFiles") or []
    if not files and not document.value.get("environment"):
        yield f"configFiles: no config files found for extension {quoted(document.name)}"
    for index, item in enumerate(files):
        if not item.get("content"):
            yield f"configFiles[{index}].content: extension content is required for extension {quoted(document.name)}"
        if not item.get("mountPath"):
            yield f"configFiles[{index}].mountPath: extension mount path is required for extension {quoted(document.name)}"


def _image_verification(document: Document, minor: int) -> t.Iterator[str]:
    for index, rule in enumerate(document.value.get("rules") or []):
        for problem in _image_rule(rule):
            yield f"rules[{index}]: rule {index}: {problem}"


def _image_rule(rule: Value) -> t.Iterator[str]:
    keyless, public = rule.get("keyless"), rule.get("publicKey")
    final = rule.get("skip") or rule.get("deny")
    if not rule.get("image"):
        yield "image pattern must be specified"
    if rule.get("skip") and rule.get("deny"):
        yield "skip and deny cannot both be true"
    if final and (keyless is not None or public is not None):
        yield "verifiers cannot be configured if skip or deny is true"
    if not final and keyless is None and public is None:
        yield "at least one verifier must be configured"
    if keyless is not None and public is not None:
        yield "only one of keyless or publicKey verifier can be configured"
    if keyless is not None and not keyless.get("issuer"):
        yield "verifier OIDC issuer must be specified"
    if keyless is not None and not keyless.get("subject") and not keyless.get("subjectRegex"):
        yield "verifier subject or subjectRegex must be specified"
    if public is not None and not public.get("certificate"):
        yield "verifier certificates must be specified"


def _oom(document: Document, minor: int) -> t.Iterator[str]:
    if document.value.get("sampleInterval", 0) < 0:
        yield "sampleInterval: OOM sample interval must be longer than 0"


def _zswap(document: Document, minor: int) -> t.Iterator[str]:
    if not 0 <= document.value.get("maxPoolPercent", 0) <= 100:
        yield "maxPoolPercent: maxPoolPercent must be between 0 and 100"


def _registry_auth(document: Document, minor: int) -> t.Iterator[str]:
    if sum(bool(document.value.get(name)) for name in ("username", "identityToken", "auth")) > 1:
        yield "only one of auth, username/password or identityToken authentication can be specified"


PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)


def _registry_tls(document: Document, minor: int) -> t.Iterator[str]:
    authority = document.value.get("ca")
    if authority and not any(match[1] == "CERTIFICATE" for match in PEM.finditer(authority)):
        yield "ca: ca must be a valid PEM-encoded certificate"
    identity = document.value.get("clientIdentity")
    for name, what in (("cert", "certificate"), ("key", "key")):
        if identity is not None and not PEM.search(identity.get(name, "")):
            yield f"clientIdentity.{name}: client identity {what} is invalid: it is not PEM"


def _registry_mirror(document: Document, minor: int) -> t.Iterator[str]:
    for index, endpoint in enumerate(document.value.get("endpoints") or []):
        url = endpoint.get("url", "")
        if not url:
            yield f"endpoints[{index}].url: endpoints[{index}].url must be specified"
        elif checks.url_parts(url).scheme not in ("http", "https"):
            yield f"endpoints[{index}].url: endpoints[{index}].url has unsupported scheme: {quoted(checks.url_parts(url).scheme)}"


def _url(key: str, schemes: tuple[str, ...], port: bool) -> Check:
    def check(document: Document, minor: int) -> t.Iterator[str]:
        url = document.value.get(key, "")
        parts = checks.url_parts(url)
        if not url:
            yield f"{key}: {key} is required"
            return
        if parts.scheme not in schemes:
            yield f"{key}: {key} scheme must be {' or '.join(f'{scheme}://' for scheme in schemes)}"
        if parts.path not in ("", "/"):
            yield f"{key}: {key} path must be empty"
        if port and not re.search(r":\d+$", parts.netloc):
            yield f"{key}: {key} port is required"

    return check


def _event_sink(document: Document, minor: int) -> t.Iterator[str]:
    if not re.fullmatch(r"(?:\[[^\]]*\]|[^:\[\]]*):[^:]*", document.value.get("endpoint", "")):
        yield "endpoint: event sink endpoint must be host:port"


def _watchdog(document: Document, minor: int) -> t.Iterator[str]:
    if not document.value.get("device"):
        yield "device: watchdog device: empty value"
    if document.value.get("timeout") and document.value["timeout"] < 10 * 10**9:
        yield "timeout: watchdog timeout: minimum value is 10s"


def _blackhole(document: Document, minor: int) -> t.Iterator[str]:
    if document.name and not checks.is_prefix(document.name):
        yield "name: name must be a valid address prefix"


RESERVED_PRIORITIES = (0, 32500, 32501, 32766, 32767)


def _routing_rule(document: Document, minor: int) -> t.Iterator[str]:
    if not document.name.isdecimal() or int(document.name) >= 2**32 or int(document.name) in RESERVED_PRIORITIES:
        yield f"name: priority must be a number between 1 and 32765, without {', '.join(map(str, RESERVED_PRIORITIES[1:]))}"
    if document.value.get("table", "unspec") in ("", "unspec") and document.value.get("action", "unspec") in ("", "unspec", "unicast"):
        yield "table: either table or a non-unicast action must be specified"
    if document.value.get("fwMask") and not document.value.get("fwMark"):
        yield "fwMask: fwMask requires fwMark to be set"


def _probe(document: Document, minor: int) -> t.Iterator[str]:
    required = "endpoint" if document.kind.kind == "TCPProbeConfig" else "url"
    if not document.value.get(required):
        yield f"{required}: probe {required} is required"
    for name in ("timeout", "interval", "failureThreshold"):
        if document.value.get(name, 0) < 0:
            yield f"{name}: probe {name} cannot be negative"


def _node(document: Document, minor: int) -> t.Iterator[str]:
    yield from checks.label_problems(document.value.get("labels") or {}, "labels")
    yield from checks.annotation_problems(document.value.get("annotations") or {}, "annotations")
    yield from checks.taint_problems(document.value.get("taints") or {}, "taints")
    subnets = (document.value.get("nodeIP") or {}).get("validSubnets") or []
    yield from checks.subnets(subnets, "nodeIP.validSubnets", "kubelet nodeIP subnet")


def _cluster(document: Document, minor: int) -> t.Iterator[str]:
    problem = checks.endpoint_problem(document.value.get("endpoint", ""))
    if problem:
        yield f"endpoint: invalid cluster endpoint: {problem}"


DOCUMENT_CHECKS: dict[str, Check] = {
    "HostnameConfig": _hostname,
    "LinkConfig": _link,
    "DummyLinkConfig": _link,
    "BridgeConfig": _link,
    "VRFConfig": _vrf,
    "DHCPv4Config": _dhcp,
    "DHCPv6Config": _dhcp,
    "EnvironmentConfig": _environment,
    "ExtensionServiceConfig": _extension_service,
    "ImageVerificationConfig": _image_verification,
    "RegistryTLSConfig": _registry_tls,
    "BondConfig": _bond,
    "VLANConfig": _vlan,
    "WireguardConfig": _wireguard,
    "Layer2VIPConfig": _vip,
    "HCloudVIPConfig": _hcloud_vip,
    "StaticHostConfig": _static_host,
    "TimeSyncConfig": _time_sync,
    "KubeSpanConfig": _kubespan,
    "LinkAliasConfig": _link_alias,
    "NetworkRuleConfig": _network_rule,
    "VolumeConfig": _volume,
    "UserVolumeConfig": _user_volume,
    "RawVolumeConfig": _raw_volume,
    "SwapVolumeConfig": _raw_volume,
    "ExistingVolumeConfig": _existing_volume,
    "ExternalVolumeConfig": _external_volume,
    "OOMConfig": _oom,
    "ZswapConfig": _zswap,
    "RegistryAuthConfig": _registry_auth,
    "RegistryMirrorConfig": _registry_mirror,
    "KmsgLogConfig": _url("url", ("tcp", "udp"), True),
    "SideroLinkConfig": _url("apiUrl", ("https", "grpc"), False),
    "EventSinkConfig": _event_sink,
    "WatchdogTimerConfig": _watchdog,
    "BlackholeRouteConfig": _blackhole,
    "RoutingRuleConfig": _routing_rule,
    "TCPProbeConfig": _probe,
    "HTTPProbeConfig": _probe,
    "KubeNodeConfig": _node,
    "KubeClusterConfig": _cluster,
}


# ---- conflicts with the legacy document -------------------------------------------------------------------------------------------------

PRESENT, FILLED, TRUE = "present", "filled", "true"

# (document kind, first minor that checks it, path in the legacy document, what there counts, Talos' words)
CONFLICTS: tuple[tuple[str, int, str, str, str], ...] = (
    ("HostnameConfig", 12, "machine.network.hostname", FILLED, "static hostname is already set in v1alpha1 config"),
    ("HostnameConfig", 12, "machine.features.stableHostname", TRUE, "stable hostname is already set in v1alpha1 config"),
    ("ResolverConfig", 12, "machine.network.searchDomains", FILLED, ".machine.network.searchDomains is already set in v1alpha1 config"),
    ("ResolverConfig", 12, "machine.network.nameservers", FILLED, ".machine.network.nameservers is already set in v1alpha1 config"),
    ("ResolverConfig", 12, "machine.network.disableSearchDomain", TRUE, ".machine.network.disableSearchDomain is already set in v1alpha1 config"),
    ("TimeSyncConfig", 12, "machine.time.disabled", TRUE, "time sync cannot be disabled in both v1alpha1 and new-style configuration"),
    ("TimeSyncConfig", 12, "machine.time.servers", FILLED, "time servers cannot be specified in both v1alpha1 and new-style configuration"),
    ("TimeSyncConfig", 12, "machine.time.bootTimeout", FILLED, "boot timeout cannot be specified in both v1alpha1 and new-style configuration"),
    ("KubeSpanConfig", 13, "machine.network.kubespan", PRESENT, "kubespan is already configured in v1alpha1 machine.network.kubespan"),
    ("UnattendedInstallConfig", 14, "machine.install", PRESENT, "UnattendedInstallConfig config is incompatible with v1alpha1 config (.machine.install)"),
    ("KubeletConfig", 14, "machine.kubelet", PRESENT, "kubelet config is already set in v1alpha1 config (.machine.kubelet)"),
    ("KubeCredentialProviderConfig", 14, "machine.kubelet", PRESENT, "cannot use KubeCredentialProviderConfig with legacy kubelet configuration"),
    *(
        ("KubeNodeConfig", 14, path, PRESENT, f".{path} is already set in v1alpha1 config")
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
    ("KubeNetworkConfig", 14, "cluster.network", PRESENT, "cluster network config is already set in v1alpha1 config"),
    ("KubeFlannelCNIConfig", 14, "cluster.network", PRESENT, "cluster network config is already set in v1alpha1 config"),
    ("KubeClusterConfig", 14, "cluster.clusterName", FILLED, "cluster name is already set in v1alpha1 config"),
    ("KubeClusterConfig", 14, "cluster.controlPlane.endpoint", PRESENT, "cluster endpoint is already set in v1alpha1 config"),
    ("KubeAPIServerConfig", 14, "cluster.apiServer", PRESENT, "kube-apiserver config is already set in v1alpha1 config"),
    ("KubeAPIServerConfig", 14, "cluster.controlPlane.localAPIServerPort", FILLED, "kube-apiserver port is already set in v1alpha1 config"),
    ("KubeAPIServerCAConfig", 14, "cluster.ca", PRESENT, "kube-apiserver CA is already set in v1alpha1 config"),
    ("KubeAggregatorCAConfig", 14, "cluster.aggregatorCA", PRESENT, "kube-aggregator CA is already set in v1alpha1 config"),
    ("KubeServiceAccountConfig", 14, "cluster.serviceAccount", PRESENT, "service account is already set in v1alpha1 config"),
    ("KubeAuditPolicyConfig", 14, "cluster.apiServer.auditPolicy", FILLED, "audit policy config is already set in v1alpha1 config"),
    ("KubeAdmissionControlConfig", 14, "cluster.apiServer.admissionControl", FILLED, "admission control plugin config is already set in v1alpha1 config"),
    ("KubeAuthorizerConfig", 14, "cluster.apiServer.admissionControl", FILLED, "admission control plugin config is already set in v1alpha1 config"),
    ("KubeControllerManagerConfig", 14, "cluster.controllerManager", PRESENT, "kube-controller-manager config is already set in v1alpha1 config"),
    ("KubeControllerManagerConfig", 14, "machine.controlPlane.controllerManager", PRESENT, "kube-controller-manager config is already set in v1alpha1 config"),
    ("KubeSchedulerConfig", 14, "cluster.scheduler", PRESENT, "kube-scheduler config is already set in v1alpha1 config"),
    ("KubeSchedulerConfig", 14, "machine.controlPlane.scheduler", PRESENT, "kube-scheduler config is already set in v1alpha1 config"),
    ("KubeProxyConfig", 14, "cluster.proxy", PRESENT, "kube-proxy config is already set in v1alpha1 config"),
    ("KubeCoreDNSConfig", 14, "cluster.coreDNS", PRESENT, "coredns config is already set in v1alpha1 config"),
    ("KubeEtcdEncryptionConfig", 14, "cluster.secretboxEncryptionSecret", FILLED, "etcd encryption config is already set in v1alpha1 config"),
    ("KubeEtcdEncryptionConfig", 14, "cluster.aescbcEncryptionSecret", FILLED, "etcd encryption config is already set in v1alpha1 config"),
    ("KubePrismConfig", 14, "machine.features.kubePrism", PRESENT, "KubePrism is already set in v1alpha1 config"),
    ("KubeTalosAPIAccessConfig", 14, "machine.features.kubernetesTalosAPIAccess", PRESENT, "Kubernetes Talos API access is already set in v1alpha1 config"),
    ("ImageCacheConfig", 14, "machine.features.imageCache", PRESENT, "image cache is already set in v1alpha1 config"),
    ("DiscoveryIdentityConfig", 14, "cluster.id", FILLED, "cluster identity is already set in v1alpha1 config"),
    ("DiscoveryIdentityConfig", 14, "cluster.secret", FILLED, "cluster identity is already set in v1alpha1 config"),
    ("DiscoveryServiceConfig", 14, "cluster.discovery", PRESENT, "cluster discovery is already set in v1alpha1 config"),
    ("CRIBaseRuntimeSpecConfig", 14, "machine.baseRuntimeSpecOverrides", FILLED, "base runtime spec overrides are already set in v1alpha1 config"),
)


def _at(value: t.Any, path: str) -> t.Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _counts(value: t.Any, how: str) -> bool:
    return value is not None if how == PRESENT else value is True if how == TRUE else bool(value)


def conflicts(config: Config, legacy: Value, minor: int) -> t.Iterator[str]:
    """What is said both in the legacy document and in another."""
    kinds = {document.kind.kind for document in config.documents}
    for kind, since, path, how, words in CONFLICTS:
        if kind in kinds and minor >= since and _counts(_at(legacy, path), how):
            yield f"{kind}: {words} ({path})"
    if minor >= 14 and _at(config.get("ResolverConfig"), "hostDNS") and _at(legacy, "machine.features.hostDNS") is not None:
        yield "ResolverConfig: hostDNS is already set in v1alpha1 config (machine.features.hostDNS)"
    for document in config.all("VolumeConfig"):
        section = {"STATE": "state", "EPHEMERAL": "ephemeral"}.get(document.name)
        if minor >= 11 and section and document.value.get("encryption") and _at(legacy, f"machine.systemDiskEncryption.{section}") is not None:
            yield f"{document.title}: system disk encryption for {quoted(document.name)} is configured in both v1alpha1.Config and VolumeConfig"


def whole(config: Config, legacy: Value | None, minor: int, control_plane: bool) -> t.Iterator[str]:
    """What only the config as a whole shows (from 1.14 on)."""
    if minor < 14:
        return
    misplaced = sorted({document.kind.kind for document in config.documents if document.kind.control_plane_only})
    if misplaced and not control_plane:
        yield f"the following document kinds are only allowed on control plane machines: [{', '.join(misplaced)}]"
    cluster = (legacy or {}).get("cluster") or {}
    encrypted = cluster.get("secretboxEncryptionSecret") or cluster.get("aescbcEncryptionSecret") or config.get("KubeEtcdEncryptionConfig") is not None
    if control_plane and not encrypted:
        yield "cluster.secretboxEncryptionSecret: etcd encryption config is required for control plane machines running kube-apiserver"
    if config.all("DiscoveryServiceConfig"):
        identity = config.get("DiscoveryIdentityConfig") or {}
        for name, text, old in (("ID", identity.get("clusterID"), cluster.get("id")), ("secret", identity.get("clusterSecret"), cluster.get("secret"))):
            if not text and not old:
                yield f"DiscoveryServiceConfig: cluster {name} should be set when cluster discovery (DiscoveryServiceConfig) is enabled"
    spans = [config.get("KubeSpanConfig"), _at(legacy, "machine.network.kubespan")]
    discovery = config.all("DiscoveryServiceConfig") or (cluster.get("discovery") or {}).get("enabled")
    if any((span or {}).get("enabled") for span in spans) and not discovery:
        yield "KubeSpanConfig: KubeSpan requires cluster discovery to be enabled"
