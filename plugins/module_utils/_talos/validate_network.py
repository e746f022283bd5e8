# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Validation of the documents about networks. A message is "path: Talos' words", the path within the document."""

from __future__ import annotations

import re
import typing as t

from . import checks
from .checks import Warn, quoted
from .documents import Document
from .scalars import format_duration

Value = dict[str, t.Any]
Check = t.Callable[[Document, int], t.Iterator[str]]

NAMELESS = "name: name must be specified"


def link(value: Value, path: str = "") -> t.Iterator[str]:
    """Addresses and routes, which all links have."""
    for index, item in enumerate(value.get("addresses") or []):
        address = item.get("address", "")
        if not address:
            yield f"{path}addresses[{index}].address: address {index} must be specified"
        elif _unspecified(address):
            yield f"{path}addresses[{index}].address: address {index} must be a valid IP address"
    for index, route in enumerate(value.get("routes") or []):
        for name, what in (("destination", "prefix"), ("gateway", "address"), ("source", "address")):
            if route.get(name) and _unspecified(route[name]):
                yield f"{path}routes[{index}].{name}: route {index} {name} must be a valid IP {what}"


def _unspecified(text: str) -> bool:
    return text.partition("/")[0] in ("0.0.0.0", "::")


def _link(document: Document, minor: int) -> t.Iterator[str]:
    if not document.name:
        yield NAMELESS
    yield from link(document.value)


def _bond(document: Document, minor: int) -> t.Iterator[str]:
    value = document.value
    if not document.name:
        yield NAMELESS
    if not value.get("links"):
        yield "links: at least one link must be specified"
    if value.get("bondMode") is None:
        yield "bondMode: bond mode must be specified"
    elif value["bondMode"] == "802.3ad":
        for name in ("miimon", "updelay", "downdelay"):
            if value.get(name) is None:
                yield Warn(f"{name}: {name} was not specified for 802.3ad bond")
    yield from link(value)


def _vlan(document: Document, minor: int) -> t.Iterator[str]:
    if not document.name:
        yield NAMELESS
    if not 1 <= document.value.get("vlanID", 0) <= 4094:
        yield "vlanID: vlanID must be specified and between 1 and 4094"
    if not document.value.get("parent"):
        yield "parent: parent must be specified"
    yield from link(document.value)


def _vrf(document: Document, minor: int) -> t.Iterator[str]:
    if not document.name:
        yield NAMELESS
    table = document.value.get("table") or "unspec"
    if table in ("unspec", "local", "main", "default"):
        yield f"table: cannot create vrf with reserved table {table}"
    yield from link(document.value)


PRINTABLE = re.compile(r"[^\s\x00-\x1f\x7f-\xa0\u2000-\u200f\u2028-\u202f\ufeff]*")


def _veth_name(name: str, path: str, what: str) -> t.Iterator[str]:
    if not name:
        yield f"{path}: {what} must be specified"
    elif len(name.encode()) > 15:
        yield f"{path}: {what} must not exceed 15 bytes"
    elif name in (".", ".."):
        yield f"{path}: {what} must not be {quoted(name)}"
    elif "/" in name or ":" in name:
        yield f"{path}: {what} must not contain '/' or ':'"
    elif not PRINTABLE.fullmatch(name):
        yield f"{path}: {what} must not contain whitespace or non-printable characters"


def _veth(document: Document, minor: int) -> t.Iterator[str]:
    peer = document.value.get("peer") or {}
    yield from _veth_name(document.name, "name", "name")
    yield from _veth_name(peer.get("name", ""), "peer.name", "peer name")
    yield from link(document.value)
    yield from link(peer, "peer.")


def _wireguard(document: Document, minor: int) -> t.Iterator[str]:
    value = document.value
    if not document.name:
        yield NAMELESS
    yield from _key(value.get("privateKey", ""), "privateKey", "wireguard private key {}", True)
    if not 0 <= value.get("listenPort", 0) <= 65535:
        yield "listenPort: wireguard listen port must be between 0 and 65535"
    for index, peer in enumerate(value.get("peers") or []):
        path, where = f"peers[{index}]", f"(peer index {index})"
        yield from _key(peer.get("publicKey", ""), f"{path}.publicKey", f"wireguard peer public key {{}} {where}", True)
        yield from _key(peer.get("presharedKey", ""), f"{path}.presharedKey", f"wireguard peer preshared key {{}} {where}", False)
        if peer.get("persistentKeepaliveInterval", 0) < 0:
            yield f"{path}.persistentKeepaliveInterval: wireguard peer persistent keepalive interval cannot be negative {where}"
    yield from link(value)


def _key(text: str, path: str, words: str, required: bool) -> t.Iterator[str]:
    """A WireGuard key. Never shows it."""
    problem = checks.wireguard_key_problem(text)
    if not text and required:
        yield f"{path}: {words.format('must be specified')}"
    elif text and problem:
        yield f"{path}: {words.format('is invalid')}: {problem}"


def _vip(document: Document, minor: int) -> t.Iterator[str]:
    if not document.name:
        yield NAMELESS
    elif not checks.is_addr(document.name):
        yield f"name: name must be a valid IP address: {quoted(document.name)}"
    if not document.value.get("link"):
        yield "link: link must be specified"


def _hcloud_vip(document: Document, minor: int) -> t.Iterator[str]:
    yield from _vip(document, minor)
    if not document.value.get("apiToken"):
        yield "apiToken: apiToken must be specified"


def _dhcp(document: Document, minor: int) -> t.Iterator[str]:
    raw, duid = document.value.get("duidRaw"), document.value.get("clientIdentifier") == "duid"
    if not document.name:
        yield NAMELESS
    if raw and not duid:
        yield "duidRaw: duidRaw can only be set if clientIdentifier is 'duid'"
    if duid and not raw:
        yield "duidRaw: duidRaw must be set if clientIdentifier is 'duid'"


def _hostname(document: Document, minor: int) -> t.Iterator[str]:
    auto, name = document.value.get("auto"), document.value.get("hostname", "")
    nothing = auto is None if minor >= 13 else auto in (None, "off")
    if nothing and not name:
        yield "hostname: either 'auto' or 'hostname' must be set"
    if auto not in (None, "off") and name:
        yield "auto: 'auto' and 'hostname' cannot be set at the same time (set auto: off, too)"
    if auto == "talos-addr":
        yield "auto: invalid value for 'auto': talos-addr"
    if len(name.encode()) > 253:
        yield f"hostname: fqdn is too long: {len(name.encode())}"
    if name and not 1 <= len(name.partition(".")[0].encode()) <= 63:
        yield f"hostname: invalid hostname {quoted(name.partition('.')[0])}"


def _resolver(document: Document, minor: int) -> t.Iterator[str]:
    """Checked from 1.14 on."""
    if minor < 14:
        return
    dns = document.value.get("hostDNS") or {}
    for name in ("forwardKubeDNSToHost", "resolveMemberNames"):
        if dns.get(name) and not dns.get("enabled"):
            yield f"hostDNS.{name}: hostDNS.{name} cannot be enabled when hostDNS.enabled is false"
    servers = document.value.get("nameservers") or []
    for index, server in enumerate(servers):
        path, protocol = f"nameservers[{index}]", server.get("protocol") or "Do53"
        if protocol != "Do53" and not server.get("tlsServerName"):
            yield f"{path}.tlsServerName: tlsServerName must be set when protocol is {protocol}: entry {index}"
        if protocol == "Do53" and server.get("tlsServerName"):
            yield f"{path}.tlsServerName: tlsServerName must be empty when protocol is Do53: entry {index}"
        if not server.get("address"):
            yield f"{path}.address: nameserver address must be a valid IP: entry {index}"
    if servers and all((server.get("protocol") or "Do53") != "Do53" for server in servers):
        yield Warn("nameservers: all configured nameservers use encrypted DNS (DoT or DoH): without the right time the system may not boot; keep a plain one")


def _static_host(document: Document, minor: int) -> t.Iterator[str]:
    if not document.name:
        yield "name: name is required"
    if not checks.is_addr(document.name):
        yield "name: name must be a valid IP address"
    if not document.value.get("hostnames"):
        yield "hostnames: at least one hostname is required"


def _time_sync(document: Document, minor: int) -> t.Iterator[str]:
    ntp = document.value.get("ntp")
    if document.value.get("bootTimeout", 0) < 0:
        yield "bootTimeout: bootTimeout cannot be negative"
    if ntp is not None and document.value.get("ptp") is not None:
        yield "ntp: only one of ntp or ptp configuration can be specified"
    for index, server in enumerate((ntp or {}).get("servers") or [] if (ntp or {}).get("useNTS") else ()):
        if checks.is_address(server):
            yield f"ntp.servers[{index}]: NTS requires hostnames, not IP addresses: {quoted(server)}"


def _kubespan(document: Document, minor: int) -> t.Iterator[str]:
    if document.value.get("mtu") is not None and document.value["mtu"] < checks.KUBESPAN_MTU:
        yield f"mtu: kubespan link MTU must be at least {checks.KUBESPAN_MTU}"
    filters = document.value.get("filters") or {}
    yield from checks.subnets(filters.get("endpoints") or [], "filters.endpoints", "KubeSpan endpoint filter")


def _link_alias(document: Document, minor: int) -> t.Iterator[str]:
    prefix, percent, suffix = document.name.partition("%")
    if not document.name:
        yield NAMELESS
    elif minor >= 13 and percent and (suffix != "d" or not prefix):
        yield f"name: name {quoted(document.name)} contains an invalid format verb, use %d suffix"
    match = (document.value.get("selector") or {}).get("match")
    if not match:
        yield "selector.match: link selector is required"
    else:
        yield from checks.expression(match, "selector.match", "link selector is invalid", "link")


def _network_rule(document: Document, minor: int) -> t.Iterator[str]:
    """Talos names the first problem only."""
    selector = document.value.get("portSelector") or {}
    if not document.name:
        yield "name: name is required"
    elif not selector.get("ports"):
        yield "portSelector.ports: portSelector.ports is required"
    else:
        problems = _ports(selector["ports"]) or _subnets(document.value.get("ingress") or [])
        yield from problems[:1]


def _ports(ports: list[str]) -> list[str]:
    problems = []
    ranges = sorted(((int(text.partition("-")[0]), int(text.rpartition("-")[2]), text) for text in ports), key=lambda found: found[0])
    for index, (low, high, text) in enumerate(ranges):
        if low > high:
            problems.append(f"portSelector.ports: invalid port range: {text}")
        if index and low <= ranges[index - 1][1]:
            problems.append(f"portSelector.ports: invalid port range: {text}, overlaps with {ranges[index - 1][2]}")
    return problems


def _subnets(rules: list[Value]) -> list[str]:
    return [f"ingress[{index}].subnet: invalid subnet: invalid Prefix" for index, rule in enumerate(rules) if not rule.get("subnet")]


def _blackhole(document: Document, minor: int) -> t.Iterator[str]:
    if not document.name:
        yield NAMELESS
    if not checks.is_go_prefix(document.name):
        yield f"name: name must be a valid address prefix: {quoted(document.name)}"


RESERVED_PRIORITIES = (0, 32500, 32766, 32767)


def _routing_rule(document: Document, minor: int) -> t.Iterator[str]:
    value, name = document.value, document.name
    if not name:
        yield NAMELESS
    known = name.isascii() and name.isdecimal() and int(name[:20]) < 2**32
    if not known:
        yield f"name: invalid name: must be priority parsable unsigned integer: {quoted(name)}"
    # What is too large counts as the largest, anything else that is no number as 0.
    if (int(name) if known else -1 if name.isascii() and name.isdecimal() else 0) in RESERVED_PRIORITIES:
        words = " ".join(map(str, RESERVED_PRIORITIES))
        yield f"name: priority must be between 1 and 32765 (excluding reserved priorities [{words}])"
    if value.get("table", "unspec") in ("", "unspec") and value.get("action", "unspec") in ("", "unspec", "unicast"):
        yield "table: either table or a non-unicast action must be specified"
    if value.get("fwMask") and not value.get("fwMark"):
        yield "fwMask: fwMask requires fwMark to be set"


def _probe(document: Document, minor: int) -> t.Iterator[str]:
    value, tcp = document.value, document.kind.kind == "TCPProbeConfig"
    if not document.name:
        yield "name: probe name is required"
    yield from _tcp_endpoint(value) if tcp else _http_url(value)
    for name, words in (("timeout", f"{'TCP' if tcp else 'HTTP'} probe timeout"), ("interval", "probe interval")):
        if value.get(name, 0) < 0:
            yield f"{name}: {words} cannot be negative: {format_duration(value[name])}"
    if value.get("failureThreshold", 0) < 0:
        yield f"failureThreshold: probe failure threshold cannot be negative: {value['failureThreshold']}"


def _tcp_endpoint(value: Value) -> t.Iterator[str]:
    if not value.get("endpoint"):
        yield "endpoint: TCP probe endpoint is required"


def _http_url(value: Value) -> t.Iterator[str]:
    url = checks.go_url(value.get("url", ""))
    if not value.get("url"):
        yield "url: HTTP probe URL is required"
    elif url.scheme not in ("http", "https"):
        yield f"url: HTTP probe URL scheme must be http or https, got {quoted(url.scheme)}"
    elif url.opaque or not checks.hostname(url):
        yield "url: HTTP probe URL must be an absolute http or https URL with a non-empty host"


def _ethernet(document: Document, minor: int) -> t.Iterator[str]:
    if not document.name:
        yield "name: name is required"


def _bgp(document: Document, minor: int) -> t.Iterator[str]:
    value = document.value
    if not document.name:
        yield NAMELESS
    if not value.get("localASN"):
        yield "localASN: localASN must be specified"
    if ":" in value.get("routerID", ""):
        yield "routerID: routerID must be an IPv4 address"
    neighbors = value.get("neighbors") or []
    if not neighbors:
        yield Warn("neighbors: BGPInstanceConfig has no neighbors configured")
    seen: set[str] = set()
    for index, neighbor in enumerate(neighbors):
        yield from _neighbor(neighbor, index, bool(value.get("vrf")), seen)
    yield from _imports(document.name, value.get("importRoutes") or [])


def _neighbor(neighbor: Value, index: int, bound: bool, seen: set[str]) -> t.Iterator[str]:
    path, where = f"neighbors[{index}]", f"neighbor[{index}]"
    address, name = neighbor.get("address", ""), neighbor.get("link", "")
    key = address or name
    if bool(address) == bool(name):
        yield f"{path}.address: {where}: exactly one of address or link must be set"
    elif key in seen:
        yield f"{path}: {where}: duplicate neighbor {quoted(key)}"
    if bool(address) != bool(name):
        seen.add(key)
    if neighbor.get("holdTime", 0) < 0:
        yield f"{path}.holdTime: {where}: holdTime must not be negative"
    bfd = neighbor.get("bfd")
    if bfd is not None and bound:
        yield f"{path}.bfd: {where}: bfd is not supported for VRF-bound BGP instances"
    for part in ("transmitInterval", "receiveInterval"):
        if (bfd or {}).get(part, 0) < 0:
            yield f"{path}.bfd.{part}: {where}: bfd.{part} must not be negative"


def _imports(own: str, routes: list[Value]) -> t.Iterator[str]:
    sources: set[str] = set()
    before: list[tuple[int, str]] = []
    for index, route in enumerate(routes):
        path, source = f"importRoutes[{index}]", route.get("bgpInstance", "")
        if not source:
            yield f"{path}.bgpInstance: {path}: bgpInstance must be specified"
        elif source == own:
            yield f"{path}.bgpInstance: {path}: cannot import from the same BGP instance {quoted(own)}"
        prefixes = route.get("prefixes") or []
        yield from _import_prefixes(prefixes, path)
        if source and source in sources:
            yield f"{path}.bgpInstance: {path}: duplicate source BGP instance {quoted(source)}"
        sources.add(source)
        masked = [prefix for prefix in prefixes if prefix and checks.masked(prefix) == prefix]
        for prefix in masked:
            for other_index, other in before:
                if checks.overlap(other, prefix):
                    yield f"{path}.prefixes: {path}: prefix {prefix} overlaps importRoutes[{other_index}] prefix {other}"
        before.extend((index, prefix) for prefix in masked)


def _import_prefixes(prefixes: list[str], path: str) -> t.Iterator[str]:
    if not prefixes:
        yield f"{path}.prefixes: {path}: at least one prefix must be specified"
    for index, prefix in enumerate(prefixes):
        where = f"{path}.prefixes[{index}]"
        if not prefix:
            yield f"{where}: invalid prefix"
            continue
        if checks.masked(prefix) != prefix:
            yield f"{where}: prefix {prefix} must be masked"
        for other_index, other in enumerate(prefixes[:index]):
            if other and checks.overlap(other, prefix):
                yield f"{where}: prefix {prefix} overlaps prefixes[{other_index}] {other}"


CHECKS: dict[str, Check] = {
    "BGPInstanceConfig": _bgp,
    "BlackholeRouteConfig": _blackhole,
    "BondConfig": _bond,
    "BridgeConfig": _link,
    "DHCPv4Config": _dhcp,
    "DHCPv6Config": _dhcp,
    "DummyLinkConfig": _link,
    "EthernetConfig": _ethernet,
    "HCloudVIPConfig": _hcloud_vip,
    "HTTPProbeConfig": _probe,
    "HostnameConfig": _hostname,
    "KubeSpanConfig": _kubespan,
    "Layer2VIPConfig": _vip,
    "LinkAliasConfig": _link_alias,
    "LinkConfig": _link,
    "NetworkRuleConfig": _network_rule,
    "ResolverConfig": _resolver,
    "RoutingRuleConfig": _routing_rule,
    "StaticHostConfig": _static_host,
    "TCPProbeConfig": _probe,
    "TimeSyncConfig": _time_sync,
    "VLANConfig": _vlan,
    "VRFConfig": _vrf,
    "VethConfig": _veth,
    "WireguardConfig": _wireguard,
}
