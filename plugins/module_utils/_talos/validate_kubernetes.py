# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Validation of the documents about Kubernetes (all from 1.14 on). A message is "path: Talos' words", the path within the document."""

from __future__ import annotations

import ipaddress
import typing as t

from . import checks
from .checks import Warn, quoted
from .documents import Document

Value = dict[str, t.Any]
Check = t.Callable[[Document, int], t.Iterator[str]]


def _labelled(document: Document, minor: int) -> t.Iterator[str]:
    value = document.value
    yield from checks.subnets((value.get("nodeIP") or {}).get("validSubnets") or [], "nodeIP.validSubnets", "nodeIP subnet")
    yield from checks.label_problems(value.get("labels") or {}, "labels")
    yield from checks.annotation_problems(value.get("annotations") or {}, "annotations")
    yield from checks.taint_problems(value.get("taints") or {}, "taints")


def _cluster(document: Document, minor: int) -> t.Iterator[str]:
    endpoint = document.value.get("endpoint")
    problem = checks.endpoint_problem(endpoint) if endpoint else ""
    if not document.value.get("clusterName"):
        yield "clusterName: clusterName must be specified"
    if not endpoint:
        yield "endpoint: endpoint must be specified"
    elif problem:
        yield f"endpoint: cluster endpoint is invalid: {problem}"


def resources(value: Value, path: str = "resources") -> t.Iterator[str]:
    """Requests and limits: the first unknown resource."""
    found = value.get("resources") or {}
    for section in ("requests", "limits"):
        for name in sorted(found.get(section) or {}):
            if name not in ("cpu", "memory"):
                yield f"{path}.{section}.{name}: unsupported pod resource {quoted(name)}"
                return


NO_COUNTERPART = (
    "not supported with KubeAuthenticationConfig: kube-apiserver rejects --oidc-* flags when structured authentication configuration is used, "
    "and the configuration has no equivalent setting (all RFC 7518 asymmetric algorithms are accepted)"
)
# Arguments of kube-apiserver that other documents stand for; the longest prefix counts.
DENIED_ARGUMENTS = {
    "anonymous-auth": "use KubeAuthenticationConfig",
    "oidc-": "use KubeAuthenticationConfig",
    "authentication-config": "use KubeAuthenticationConfig",
    "authorization-config": "use KubeAuthorizerConfig",
    "authorization-mode": "use KubeAuthorizerConfig",
    "authorization-webhook-": "use KubeAuthorizerConfig",
    "oidc-signing-algs": NO_COUNTERPART,
}


def _api_server(document: Document, minor: int) -> t.Iterator[str]:
    value = document.value
    if not value.get("image"):
        yield "image: kube-apiserver image cannot be empty"
    for name in sorted(value.get("extraArgs") or {}):
        prefix = max((prefix for prefix in DENIED_ARGUMENTS if name.startswith(prefix)), key=len, default="")
        if prefix:
            yield f"extraArgs.{name}: kube-apiserver extra argument {quoted(name)} is not allowed: {DENIED_ARGUMENTS[prefix]}"
    yield from resources(value)


def _pod(what: str) -> Check:
    def check(document: Document, minor: int) -> t.Iterator[str]:
        if document.value.get("enabled") is False:
            return
        if not document.value.get("image"):
            yield f"image: {what} image cannot be empty"
        yield from resources(document.value)

    return check


def _proxy(document: Document, minor: int) -> t.Iterator[str]:
    value, mode = document.value, document.value.get("mode", "")
    if value.get("enabled") is False:
        return
    if not value.get("image"):
        yield "image: proxy image cannot be empty"
    if mode in ("iptables", "ipvs"):
        yield Warn(f"mode: proxy mode {quoted(mode)} is not recommended, please switch to nftables if possible")
    elif mode not in ("", "nftables"):
        yield f"mode: invalid proxy mode {quoted(mode)}: supported modes are iptables, ipvs and nftables"
    if value.get("extraArgs"):
        yield Warn("extraArgs: extra arguments for kube-proxy may not work as expected, please use configuration instead")
    yield from resources(value)


def _kubelet(document: Document, minor: int) -> t.Iterator[str]:
    if not document.value.get("image"):
        yield "image: kubelet image cannot be empty"
    for name in document.value.get("config") or {}:
        if name in checks.PROTECTED_KUBELET:
            yield f"config.{name}: kubelet configuration field {quoted(name)} can't be overridden"


def _flannel(document: Document, minor: int) -> t.Iterator[str]:
    if not document.value.get("backendType"):
        yield "backendType: flannel backend type must be specified"
    yield from resources(document.value)


def _admission(document: Document, minor: int) -> t.Iterator[str]:
    if not document.name:
        yield "name: admission control plugin name is required"


AUTHORIZERS = ("Node", "RBAC", "Webhook")


def _authorizer(document: Document, minor: int) -> t.Iterator[str]:
    kind, webhook = document.value.get("type", ""), document.value.get("webhook")
    if not document.name:
        yield "name: authorizer name is required"
    if not kind:
        yield "type: authorizer type is required"
    if kind not in AUTHORIZERS:
        yield f"type: authorizer type {kind} is not allowed, allowed types are [{' '.join(AUTHORIZERS)}]"
    if kind == "Webhook" and not webhook:
        yield "webhook: authorizer webhook configuration is required for Webhook authorizer type"
    if kind != "Webhook" and webhook:
        yield Warn("webhook: authorizer webhook configuration is not allowed non-Webhook authorizer types")


def _authority(required: bool) -> Check:
    def check(document: Document, minor: int) -> t.Iterator[str]:
        pair = document.value.get("issuingCA")
        if pair is None and required:
            yield "issuingCA: issuing CA is not set"
        elif pair is not None:
            yield from checks.key_pair(pair, "issuingCA", "issuing CA", load=True)
        for index, text in enumerate(document.value.get("acceptedCAs") or []):
            problem = checks.pem_problem(text, "CERTIFICATE")
            if problem:
                yield f"acceptedCAs[{index}]: accepted CA #{index}: {problem}"

    return check


def _service_account(document: Document, minor: int) -> t.Iterator[str]:
    issuer = document.value.get("issuer") or {}
    key = issuer.get("privateKey", "")
    problem = checks.private_key_problem(key) if key else ""
    if not key:
        yield "issuer.privateKey: service issuer private key is required"
    elif problem:
        yield f"issuer.privateKey: service issuer private key is invalid: {problem}"
    if not issuer.get("issuerURL"):
        yield "issuer.issuerURL: service issuer URL is required"


def _encryption(document: Document, minor: int) -> t.Iterator[str]:
    if not document.value.get("config"):
        yield "config: etcd encryption config is required"


def _manifest_name(document: Document, what: str) -> t.Iterator[str]:
    problem = checks.subdomain_problem(document.name)
    if not document.name:
        yield f"name: {what} name is required"
    elif problem:
        yield f"name: {what} name is invalid: {problem}"


def _inline_manifest(document: Document, minor: int) -> t.Iterator[str]:
    yield from _manifest_name(document, "manifest")


def _external_manifest(document: Document, minor: int) -> t.Iterator[str]:
    url = document.value.get("url")
    yield from _manifest_name(document, "manifest")
    if not url:
        yield "url: manifest URL is required"
    elif checks.go_url(url).scheme not in ("http", "https"):
        yield f"url: manifest URL scheme must be http or https: {quoted(checks.go_url(url).scheme)}"


def _static_pod(document: Document, minor: int) -> t.Iterator[str]:
    yield from _manifest_name(document, "static pod")
    if not document.value.get("pod"):
        yield "pod: static pod spec is required"


def _prism(document: Document, minor: int) -> t.Iterator[str]:
    port = document.value.get("port", 0)
    if not 1 <= port <= 65535:
        yield f"port: invalid port {port}: must be in range 1-65535"


MASKS = (("nodeCIDRMaskSizeIPv4", 32, 24), ("nodeCIDRMaskSizeIPv6", 128, 64))
LEAST_HOST_BITS, MOST_SERVICE_BITS, MOST_NODE_BITS = 4, 20, 16


def _network(document: Document, minor: int) -> t.Iterator[str]:
    value = document.value
    masks: dict[int, int] = {}
    for version, (name, most, default) in zip((4, 6), MASKS, strict=True):
        size = value.get(name, 0)
        if 0 <= size <= most:
            masks[version] = size or default
        else:
            yield f"{name}: {name} must be between 1 and {most}"
    pods, services = value.get("podSubnets") or [], value.get("serviceSubnets") or []
    for name, words, subnets, check in (
        ("podSubnets", "pod subnets", pods, lambda network: _pod_size(network, masks)),
        ("serviceSubnets", "service subnets", services, _service_size),
    ):
        problem = _subnets_problem(subnets, check)
        if problem:
            yield f"{name}: {words}: {problem}"
    if len(pods) != len(services):
        yield "serviceSubnets: the number of pod subnets must match the number of service subnets"


Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


def _subnets_problem(subnets: list[str], check: t.Callable[[Network], str]) -> str:
    if not subnets:
        return "at least one subnet must be specified"
    if len(subnets) > 2:
        return "at most two subnets can be specified for dual-stack clusters"
    versions = []
    for text in subnets:
        problem = _subnet_problem(text, check)
        if problem:
            return f"invalid subnet: {problem}"
        versions.append(ipaddress.ip_network(text).version)
    return "at most one IPv4 and one IPv6 subnet can be specified for dual-stack clusters" if len(set(versions)) < len(versions) else ""


def _subnet_problem(text: str, check: t.Callable[[Network], str]) -> str:
    if not text:
        return "invalid Prefix"
    if checks.masked(text) != text:
        return f"{text} is not a valid CIDR"
    network = ipaddress.ip_network(text)
    if network.max_prefixlen - network.prefixlen < LEAST_HOST_BITS:
        return f"/{network.prefixlen} is too small, it must be larger than /{network.prefixlen - LEAST_HOST_BITS}"
    return check(network)


def _pod_size(network: Network, masks: dict[int, int]) -> str:
    mask = masks.get(network.version)
    if mask is None:
        return ""
    if network.prefixlen > mask:
        return f"{network} is smaller than the per-node pod CIDR mask size /{mask}"
    if mask - network.prefixlen > MOST_NODE_BITS:
        return f"{network} is too large for the per-node pod CIDR mask size /{mask}, the difference must be at most {MOST_NODE_BITS} bits"
    return ""


def _service_size(network: Network) -> str:
    if network.max_prefixlen - network.prefixlen <= MOST_SERVICE_BITS:
        return ""
    least = network.max_prefixlen - MOST_SERVICE_BITS
    return f"{network} is too large, it must be at least /{least} (at most {MOST_SERVICE_BITS} host identifier bits)"


def _api_access(document: Document, minor: int) -> t.Iterator[str]:
    roles = document.value.get("allowedRoles") or []
    if not roles:
        yield Warn("allowedRoles: no roles are allowed in .allowedRoles, so access is blocked")
    for role in roles:
        if role not in checks.roles(minor):
            yield f"allowedRoles: invalid role {quoted(role)} in .allowedRoles"


CHECKS: dict[str, Check] = {
    "KubeAPIServerCAConfig": _authority(required=False),
    "KubeAPIServerConfig": _api_server,
    "KubeAdmissionControlConfig": _admission,
    "KubeAggregatorCAConfig": _authority(required=True),
    "KubeAuthorizerConfig": _authorizer,
    "KubeClusterConfig": _cluster,
    "KubeControllerManagerConfig": _pod("kube-controller-manager"),
    "KubeEtcdEncryptionConfig": _encryption,
    "KubeExternalManifestConfig": _external_manifest,
    "KubeFlannelCNIConfig": _flannel,
    "KubeInlineManifestConfig": _inline_manifest,
    "KubeNetworkConfig": _network,
    "KubeNodeConfig": _labelled,
    "KubePrismConfig": _prism,
    "KubeProxyConfig": _proxy,
    "KubeSchedulerConfig": _pod("scheduler"),
    "KubeServiceAccountConfig": _service_account,
    "KubeStaticPodConfig": _static_pod,
    "KubeTalosAPIAccessConfig": _api_access,
    "KubeletConfig": _kubelet,
}
