# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Validation of machine.network.interfaces of the legacy document."""

from __future__ import annotations

import typing as t

from . import checks
from .checks import Warn, quoted
from .scalars import ENUMS

Value = dict[str, t.Any]


def interfaces(devices: t.Sequence[Value | None], path: str, minor: int) -> t.Iterator[str]:
    """All interfaces."""
    members: dict[str, str] = {}
    bridged: dict[str, str] = members if minor >= 9 else {}
    for index, found in enumerate(devices):
        if found is not None:
            yield from _members(found, f"{path}[{index}]", members, bridged, minor)
    for index, found in enumerate(devices):
        if found is None:
            yield f"{path}[{index}]: empty device"
        elif not found.get("ignore"):
            yield from _device(found, f"{path}[{index}]", members, minor)


def shared_addresses(devices: t.Sequence[Value | None], path: str) -> t.Iterator[str]:
    """Virtual addresses, which workers may not have."""
    for index, found in enumerate(devices):
        places = [(f"{path}[{index}].vip", found or {})]
        places += [(f"{path}[{index}].vlans[{number}].vip", vlan or {}) for number, vlan in enumerate((found or {}).get("vlans") or [])]
        for place, value in places:
            if value.get("vip") is not None:
                yield f"{place}: virtual (shared) IP is not allowed on non-controlplane nodes"


def _members(found: Value, path: str, bonded: dict[str, str], bridged: dict[str, str], minor: int) -> t.Iterator[str]:
    """Remember which interfaces are part of a bond or bridge, and refuse those in two."""
    name = found.get("interface", "")
    bond, bridge = found.get("bond"), found.get("bridge")
    if bond is not None and bridge is not None:
        yield f"{path}: interface has both bridge and bond sections set {quoted(name)}: config sections are mutually exclusive"
    if bond is not None and bond.get("interfaces") and bond.get("deviceSelectors"):
        yield f"{path}.bond: interface {quoted(name)} has both interfaces and selectors set: config sections are mutually exclusive"
    if minor >= 9:
        yield from _claim((bridge if bridge is not None else bond or {}).get("interfaces") or [], name, path, bonded, {}, "separate links")
        return
    yield from _claim((bond or {}).get("interfaces") or [], name, f"{path}.bond", bonded, bridged, "bonds")
    yield from _claim((bridge or {}).get("interfaces") or [], name, f"{path}.bridge", bridged, bonded, "bridges")


def _claim(wanted: list[str], name: str, path: str, known: dict[str, str], others: dict[str, str], what: str) -> t.Iterator[str]:
    for member in wanted:
        if known.get(member, name) != name:
            yield f"{path}.interfaces: interface {quoted(member)} is declared as part of two {what}: {quoted(known[member])} and {quoted(name)}"
        if member in others:
            yield (f"{path}.interfaces: interface {quoted(member)} is declared as part of an interface and a bond: {quoted(others[member])} and {quoted(name)}")
        known[member] = name


def _device(found: Value, path: str, members: t.Mapping[str, str], minor: int) -> t.Iterator[str]:
    name, selector = found.get("interface", ""), found.get("deviceSelector")
    both = "[networking.os.device.interface], [networking.os.device.deviceSelector]"
    if not name and selector is None:
        yield f"{path}.interface: {both}: required either config section to be set"
    if name and selector is not None:
        yield f"{path}.deviceSelector: {both}: config sections are mutually exclusive"
    if selector is not None and not any(value is not None and value != "" for value in selector.values()):
        yield f"{path}.deviceSelector: [networking.os.device.deviceSelector]: config section should contain at least one field"
    if found.get("bond") is not None:
        yield from bond(found["bond"], f"{path}.bond")
    if found.get("wireguard") is not None:
        yield from wireguard(found["wireguard"], f"{path}.wireguard")
    for index, vlan in enumerate(found.get("vlans") or []):
        yield from _vlan(vlan or {}, f"{path}.vlans[{index}]", name)
    if name in members and (found.get("dhcp") or found.get("cidr") or found.get("addresses") or found.get("vip") is not None):
        what = "bonded/bridged" if minor >= 9 else "bonded"
        yield f"{path}: [networking.os.device] {quoted(name)}: {what} interface shouldn't have any addressing methods configured"
    yield from _addresses(found, path, name)
    vip = found.get("vip")
    if vip is not None and not checks.is_address(vip.get("ip", "")):
        yield f"{path}.vip.ip: [networking.os.device.vip] failed to parse {quoted(vip.get('ip', ''))} as IP address"
    yield from _routes(found.get("routes") or [], f"{path}.routes")


def _address_problem(text: str) -> str:
    if "/" in text:
        return "" if checks.is_prefix(text) else f"invalid CIDR address: {text[:80]}"
    return "" if checks.is_address(text) else f"failed to parse IP address {quoted(text)}"


def _vlan(found: Value, path: str, name: str) -> t.Iterator[str]:
    where = f"{name}.{found.get('vlanId', 0)}"
    if found.get("addresses") and found.get("cidr"):
        yield f"{path}.cidr: [networking.os.device.vlan] {where}: vlan can't have both .cidr and .addresses set"
    for part, words, texts in (("cidr", "CIDR", [found["cidr"]] if found.get("cidr") else []), ("addresses", "addresses", found.get("addresses") or [])):
        for problem in filter(None, map(_address_problem, texts)):
            yield f"{path}.{part}: [networking.os.device.vlan.{words}] {where}: {problem}"


def _addresses(found: Value, path: str, name: str) -> t.Iterator[str]:
    if found.get("addresses") and found.get("cidr"):
        yield f"{path}.cidr: [networking.os.device] {quoted(name)}: interface can't have both .cidr and .addresses set"
    if found.get("cidr"):
        problem = _address_problem(found["cidr"])
        if problem:
            yield f"{path}.cidr: [networking.os.device.CIDR] {quoted(name)}: {problem}"
        yield Warn(f"{path}.cidr: {quoted(name)}: machine.network.interface.cidr is deprecated, please use machine.network.interface.addresses")
    for text in found.get("addresses") or []:
        problem = _address_problem(text)
        if problem:
            yield f"{path}.addresses: [networking.os.device.addresses] {quoted(name)}: {problem}"


def _routes(routes: t.Sequence[Value | None], path: str) -> t.Iterator[str]:
    for index, route in enumerate(routes):
        route, where = route or {}, f"networking.os.device.route[{index}]"
        for name, good in (("network", checks.is_prefix), ("gateway", checks.is_address), ("source", checks.is_address)):
            if route.get(name) and not good(route[name]):
                yield f"{path}[{index}].{name}: [{where}.{name}] {quoted(route[name])}: invalid network address"
        if not route.get("network") and not route.get("gateway"):
            yield f"{path}[{index}]: [{where}]: either network or gateway should be set"


# ---- bonds ------------------------------------------------------------------------------------------------------------------------------

BOND_WORDS = (
    ("mode", "BondMode", "bond type"),
    ("xmitHashPolicy", "BondXmitHashPolicy", "xmit hash policy"),
    ("lacpRate", "LACPRate", "lacp rate"),
    ("arpValidate", "ARPValidate", "arp_validate mode"),
    ("arpAllTargets", "ARPAllTargets", "arp_all_targets mode"),
    ("primaryReselect", "PrimaryReselect", "primary_reselect mode"),
    ("failOverMac", "FailOverMAC", "fail_over_mac value"),
    ("adSelect", "ADSelect", "ad_select mode"),
)
LACP, BALANCED = "802.3ad", ("balance-alb", "balance-tlb")
ACTIVE = ("active-backup", *BALANCED)
UNBALANCED = ("balance-rr", "active-backup", "balance-xor", "broadcast")

# What a bond's option needs of its mode: (option, least number that counts, modes allowed, Talos' name of it).
BOND_MODES: tuple[tuple[str, int, tuple[str, ...], str], ...] = (
    ("lacpRate", 0, (LACP,), "lacpRate"),
    ("arpValidate", 0, UNBALANCED, "arpValidate"),
    ("primary", 0, ACTIVE, "primary"),
    ("arpInterval", 1, UNBALANCED, "arpInterval"),
    ("packetsPerSlave", 2, ("balance-rr",), "packetsPerSlave"),
    ("tlbDynamicLb", 1, BALANCED, "tlbDynamicTLB"),
    ("adActorSysPrio", 1, (LACP,), "adActorSysPrio"),
    ("adUserPortKey", 1, (LACP,), "adUserPortKey"),
)


def bond(found: Value, path: str) -> t.Iterator[str]:
    """A bond of the legacy document."""
    for name, words, what in BOND_WORDS:
        word = found.get(name)
        if word and word not in ENUMS[words]:
            yield f"{path}.{name}: invalid {what} {quoted(word)[1:-1]}; must be one of {', '.join(ENUMS[words])}"
    every = found.get("miimon", 0)
    for name, label in (("updelay", "bond.upDelay"), ("downdelay", "bond.downDelay")):
        delay = found.get(name, 0)
        if delay and not every:
            yield f"{path}.{name}: {label} can't be set if miiMon is zero"
        elif every and delay % every:
            yield f"{path}.{name}: {label} should be a multiple of miiMon"
    for name in ("arpIPTarget", "adActorSystem"):
        if found.get(name):
            yield f"{path}.{name}: bond.{name} is not supported"
    mode = found.get("mode") or "balance-rr"
    # A mode that is none counts as the first.
    mode = mode if mode in ENUMS["BondMode"] else "balance-rr"
    for name, least, modes, label in BOND_MODES:
        value = found.get(name)
        if value and (isinstance(value, str) or value >= least) and mode not in modes:
            words = f"only available in {LACP} mode" if modes == (LACP,) else f"not available in {mode} mode"
            yield f"{path}.{name}: bond.{label} is {words}"


# ---- WireGuard --------------------------------------------------------------------------------------------------------------------------


def _key_problem(text: str) -> str:
    """Why a text is no key, never showing it."""
    length = checks.key_length(text)
    return "illegal base64 data" if length is None else "" if length == 32 else f"wrong key length: {length}"


def wireguard(found: Value, path: str) -> t.Iterator[str]:
    """A WireGuard link of the legacy document. Never shows a key."""
    problem = _key_problem(found.get("privateKey", ""))
    if problem:
        yield f"{path}.privateKey: private key is invalid: {problem}"
    for index, peer in enumerate(found.get("peers") or []):
        peer = peer or {}
        problem, endpoint = _key_problem(peer.get("publicKey", "")), peer.get("endpoint", "")
        if problem:
            yield f"{path}.peers[{index}].publicKey: public key invalid: {problem}"
        host = endpoint.rpartition(":")[0].strip("[]")
        if endpoint and (checks.host_port_problem(endpoint) or (":" in host and not checks.is_addr(host))):
            yield f"{path}.peers[{index}].endpoint: peer endpoint {quoted(endpoint)} is invalid"
        for text in peer.get("allowedIPs") or []:
            if not checks.is_prefix(text):
                yield f"{path}.peers[{index}].allowedIPs: peer allowed IP {quoted(text)} is invalid: invalid CIDR address: {text[:80]}"
