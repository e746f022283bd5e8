# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The checks that several parts of a machine config share: addresses, URLs, names, links."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import typing as t
from urllib.parse import SplitResult, urlsplit

from .scalars import ENUMS

KUBESPAN_MTU = 1280


class Warn(str):
    """A message that is a warning, not a problem."""


def quoted(value: object) -> str:
    """A value as a message shows it: short, on one line, in double quotes."""
    text = " ".join(str(value).split())
    return f'"{text if len(text) <= 80 else text[:77] + "..."}"'


# ---- addresses and URLs -----------------------------------------------------------------------------------------------------------------


def is_address(text: str) -> bool:
    """Whether Go's net.ParseIP takes it."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_prefix(text: str) -> bool:
    """Whether it is an address with a prefix length."""
    address, _slash, bits = text.rpartition("/")
    return is_address(address) and bits.isdecimal() and len(bits) < 4 and int(bits) <= (128 if ":" in address else 32)


def subnets(texts: t.Iterable[str], path: str, what: str) -> t.Iterator[str]:
    """Subnets or addresses, "!" before those that are excluded."""
    for text in texts:
        bare = text.removeprefix("!")
        if not is_prefix(bare) and not is_address(bare):
            yield f"{path}: {what} is not valid: {quoted(bare)}"


def url_parts(text: str) -> SplitResult:
    """A URL's parts; empty ones for what is none."""
    try:
        return urlsplit(text)
    except ValueError:
        return SplitResult("", "", "", "", "")


def endpoint_problem(text: str) -> str:
    """Why a text is no URL of an endpoint, "" if it is one."""
    parts = url_parts(text)
    try:
        port, host = parts.port, parts.hostname
    except ValueError:
        return "invalid port"
    if not parts.scheme:
        return "scheme must not be blank"
    if not host:
        return "hostname must not be blank"
    if port is not None and not 1 <= port <= 65535:
        return "port must be between 1 and 65535"
    bare = parts.netloc.rpartition("@")[2]
    if bare.count(":") > 1 and not bare.startswith("["):
        return "IPv6 address must be in square brackets"
    return ""


DNS_NAME = re.compile(r"[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?(\.[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?)*\.?")


def is_dns_name(text: str) -> bool:
    """Whether a text can be a DNS name."""
    return len(text) <= 253 and DNS_NAME.fullmatch(text) is not None


# ---- Kubernetes' names ------------------------------------------------------------------------------------------------------------------

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
RESERVED_ANNOTATIONS = ("talos.dev/owned-annotations", "talos.dev/owned-labels", "talos.dev/owned-taints")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
ANNOTATIONS_SIZE = 256 * 1024


def _name_problem(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    if slash and (not prefix or len(prefix) > 253 or not SUBDOMAIN.fullmatch(prefix)):
        return f"prefix {quoted(prefix)} is invalid"
    if not name or len(name) > 63 or not QUALIFIED.fullmatch(name):
        return f"name {quoted(name)} is invalid"
    return ""


def _value_allowed(value: str) -> bool:
    return not value or (len(value) <= 63 and QUALIFIED.fullmatch(value) is not None)


def label_problems(found: t.Mapping[str, str], path: str) -> t.Iterator[str]:
    """Label keys and values."""
    for key, value in sorted(found.items()):
        problem = _name_problem(key)
        if problem:
            yield f"{path}[{quoted(key)}]: {problem}"
        if not _value_allowed(value):
            yield f"{path}[{quoted(key)}]: label value {quoted(value)} is invalid"


def annotation_problems(found: t.Mapping[str, str], path: str) -> t.Iterator[str]:
    """Annotation keys, and the size of all."""
    for key in sorted(found):
        problem = _name_problem(key)
        if problem:
            yield f"{path}[{quoted(key)}]: {problem}"
        if key in RESERVED_ANNOTATIONS:
            yield f"{path}[{quoted(key)}]: annotation {quoted(key)} is reserved"
    if sum(len(key.encode()) + len(value.encode()) for key, value in found.items()) > ANNOTATIONS_SIZE:
        yield f"{path}: total annotation size exceeds limit of {ANNOTATIONS_SIZE} bytes"


def taint_problems(found: t.Mapping[str, str], path: str) -> t.Iterator[str]:
    """Taints as Talos writes them: key: "value:effect" or key: effect."""
    for key, text in sorted(found.items()):
        value, colon, effect = text.partition(":")
        problem = _name_problem(key)
        if problem:
            yield f"{path}[{quoted(key)}]: {problem}"
        elif (effect if colon else value) not in EFFECTS:
            yield f"{path}[{quoted(key)}]: invalid taint effect: {quoted(effect if colon else value)}; must be one of {', '.join(EFFECTS)}"
        elif colon and not _value_allowed(value):
            yield f"{path}[{quoted(key)}]: label value {quoted(value)} is invalid"


# ---- the CNI ----------------------------------------------------------------------------------------------------------------------------


def cni(found: dict[str, t.Any], path: str) -> t.Iterator[str]:
    """The CNI and what belongs to it."""
    name, urls, flannel = found.get("name", ""), found.get("urls") or [], found.get("flannel") or {}
    if name not in ("flannel", "custom", "none"):
        yield f'{path}.name: cni name should be one of ["flannel", "custom", "none"], not {quoted(name)}'
        return
    if name != "custom" and urls:
        yield f'{path}.urls: "urls" field should be empty for {quoted(name)} CNI'
    if name == "custom" and not urls:
        yield Warn(f'{path}.urls: "urls" field should not be empty for {quoted(name)} CNI')
    if name != "flannel" and flannel.get("extraArgs"):
        yield f'{path}.flannel.extraArgs: "flanneldExtraArgs" field should be empty for {quoted(name)} CNI'
    if name != "flannel" and flannel.get("kubeNetworkPoliciesEnabled"):
        yield f'{path}.flannel: "flannelKubeNetworkPoliciesEnabled" should not be enabled for {quoted(name)} CNI'
    for url in urls if name == "custom" else ():
        problem = endpoint_problem(url)
        if problem:
            yield f"{path}.urls: {problem}"


# ---- interfaces of the legacy document --------------------------------------------------------------------------------------------------


def device(found: dict[str, t.Any], path: str, members: t.Mapping[str, str]) -> t.Iterator[str]:
    """One of machine.network.interfaces."""
    name, selector = found.get("interface"), found.get("deviceSelector")
    if not name and selector is None:
        yield f"{path}: [interface], [deviceSelector]: required either config section to be set"
    if name and selector is not None:
        yield f"{path}: [interface], [deviceSelector]: config sections are mutually exclusive"
    if selector is not None and not selector:
        yield f"{path}.deviceSelector: config section should contain at least one field"
    if found.get("bond") is not None:
        yield from bond(found["bond"], f"{path}.bond")
    if found.get("wireguard") is not None:
        yield from wireguard(found["wireguard"], f"{path}.wireguard")
    for index, vlan in enumerate(found.get("vlans") or []):
        yield from _addresses(vlan or {}, f"{path}.vlans[{index}]", "vlan")
    if name in members and (found.get("dhcp") or found.get("cidr") or found.get("addresses") or found.get("vip") is not None):
        yield f"{path}: bonded/bridged interface shouldn't have any addressing methods configured"
    yield from _addresses(found, path, "interface")
    if found.get("cidr"):
        yield Warn(f"{path}.cidr: machine.network.interface.cidr is deprecated, please use machine.network.interface.addresses")
    vip = found.get("vip")
    if vip is not None and not is_address(vip.get("ip", "")):
        yield f"{path}.vip.ip: failed to parse {quoted(vip.get('ip', ''))} as IP address"
    yield from _routes(found.get("routes") or [], f"{path}.routes")


def _addresses(found: dict[str, t.Any], path: str, what: str) -> t.Iterator[str]:
    if found.get("addresses") and found.get("cidr"):
        yield f"{path}: {what} can't have both .cidr and .addresses set"
    for name, texts in (("cidr", [found["cidr"]] if found.get("cidr") else []), ("addresses", found.get("addresses") or [])):
        for text in texts:
            if not (is_prefix(text) if "/" in text else is_address(text)):
                yield f"{path}.{name}: {quoted(text)} is not an IP address or CIDR"


def _routes(routes: t.Sequence[dict[str, t.Any] | None], path: str) -> t.Iterator[str]:
    for index, route in enumerate(routes):
        route = route or {}
        if route.get("network") and not is_prefix(route["network"]):
            yield f"{path}[{index}].network: {quoted(route['network'])}: invalid network address"
        for name in ("gateway", "source"):
            if route.get(name) and not is_address(route[name]):
                yield f"{path}[{index}].{name}: {quoted(route[name])}: invalid network address"
        if not route.get("network") and not route.get("gateway"):
            yield f"{path}[{index}]: either network or gateway should be set"


BOND_WORDS = (
    ("mode", "BondMode"),
    ("xmitHashPolicy", "BondXmitHashPolicy"),
    ("lacpRate", "LACPRate"),
    ("arpValidate", "ARPValidate"),
    ("arpAllTargets", "ARPAllTargets"),
    ("primaryReselect", "PrimaryReselect"),
    ("failOverMac", "FailOverMAC"),
    ("adSelect", "ADSelect"),
)
LACP, BALANCED = "802.3ad", ("balance-alb", "balance-tlb")

# What a bond's option needs of its mode: (option, least value that counts, modes allowed).
BOND_MODES: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("lacpRate", 0, (LACP,)),
    ("arpValidate", 0, ("balance-rr", "active-backup", "balance-xor", "broadcast")),
    ("primary", 0, ("active-backup", *BALANCED)),
    ("arpInterval", 1, ("balance-rr", "active-backup", "balance-xor", "broadcast")),
    ("packetsPerSlave", 2, ("balance-rr",)),
    ("tlbDynamicLb", 1, BALANCED),
    ("adActorSysPrio", 1, (LACP,)),
    ("adUserPortKey", 1, (LACP,)),
)


def bond(found: dict[str, t.Any], path: str) -> t.Iterator[str]:
    """A bond of the legacy document."""
    for name, words in BOND_WORDS:
        word = found.get(name)
        if word and word not in ENUMS[words]:
            yield f"{path}.{name}: invalid value {quoted(word)}; must be one of {', '.join(ENUMS[words])}"
    every = found.get("miimon", 0)
    for name in ("updelay", "downdelay"):
        delay = found.get(name, 0)
        if delay and not every:
            yield f"{path}.{name}: can't be set if miimon is zero"
        elif every and delay % every:
            yield f"{path}.{name}: should be a multiple of miimon"
    for name in ("arpIPTarget", "adActorSystem"):
        if found.get(name):
            yield f"{path}.{name}: is not supported"
    mode = found.get("mode") or "balance-rr"
    for name, least, modes in BOND_MODES:
        value = found.get(name)
        if value and (isinstance(value, str) or value >= least) and mode not in modes:
            yield f"{path}.{name}: is not available in {mode} mode"


def wireguard_key_problem(text: str) -> str:
    """Why a text is no WireGuard key (32 bytes in base64), "" if it is one."""
    try:
        length = len(base64.b64decode(text.encode(), validate=True))
    except (binascii.Error, ValueError):
        return "it is not base64"
    return "" if length == 32 else "it is not 32 bytes long"


def wireguard(found: dict[str, t.Any], path: str) -> t.Iterator[str]:
    """A WireGuard link of the legacy document. Never shows a key."""
    problem = wireguard_key_problem(found.get("privateKey", ""))
    if problem:
        yield f"{path}.privateKey: private key is invalid: {problem}"
    for index, peer in enumerate(found.get("peers") or []):
        peer = peer or {}
        problem = wireguard_key_problem(peer.get("publicKey", ""))
        if problem:
            yield f"{path}.peers[{index}].publicKey: public key invalid: {problem}"
        if peer.get("endpoint") and not re.fullmatch(r"(?:\[[^\]]+\]|[^:\[\]]+):\d+", peer["endpoint"]):
            yield f"{path}.peers[{index}].endpoint: peer endpoint {quoted(peer['endpoint'])} is invalid"
        for text in peer.get("allowedIPs") or []:
            if not is_prefix(text):
                yield f"{path}.peers[{index}].allowedIPs: peer allowed IP {quoted(text)} is invalid"
