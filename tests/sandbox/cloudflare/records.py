# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS records: normalising, validation and conflicts, as the API does them."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import re
import typing as t
import uuid

from . import refusals

Record = dict[str, t.Any]

# cloudflare SDK, types/dns/record_list_params.py
TYPES = (
    *("A", "AAAA", "CAA", "CERT", "CNAME", "DNSKEY", "DS", "HTTPS", "LOC", "MX", "NAPTR", "NS", "OPENPGPKEY", "PTR"),
    *("SMIMEA", "SRV", "SSHFP", "SVCB", "TLSA", "TXT", "URI"),
)
ADDRESSES = ("A", "AAAA")
PROXIABLE = ("A", "AAAA", "CNAME")  # developers.cloudflare.com/dns/proxy-status
LABEL = re.compile(r"^(\*|[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)$")
WRITABLE = ("name", "type", "content", "ttl", "proxied", "comment", "tags", "settings", "priority", "data")
# Addresses that Cloudflare's proxy cannot reach, beside the private and reserved ones (dnsweaver#161, DNSControl#4776).
UNREACHABLE = ("1.1.1.1/32", "1.0.0.1/32", "100.64.0.0/10")


@dataclasses.dataclass(frozen=True)
class Plan:
    """Limits of a zone's plan: developers.cloudflare.com/dns/manage-dns-records (record-attributes, batch-record-changes, quota)."""

    name: str
    records: int
    batch: int
    comment: int
    tags: int
    shortest_ttl: int


PLANS = {
    "free": Plan("Free Website", 200, 200, 100, 0, 60),
    "pro": Plan("Pro Website", 3500, 3500, 500, 20, 60),
    "business": Plan("Business Website", 3500, 3500, 500, 20, 60),
    "enterprise": Plan("Enterprise Website", 3500, 3500, 500, 20, 30),
}


def now() -> str:
    """The present as the API writes times: microseconds and Z."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def full_name(given: str, zone: str) -> str:
    """Lower case, without the final dot, and inside the zone: anything that does not end in the zone's name is taken as relative to it."""
    name = given.strip().lower().rstrip(".")
    if name in ("", "@", zone):
        return zone
    return name if name.endswith(f".{zone}") else f"{name}.{zone}"


def _check_name(given: object, zone: str) -> str:
    if not isinstance(given, str):
        raise refusals.invalid(9000, "DNS name is invalid.")
    name = full_name(given, zone)
    labels = name.split(".")
    if len(name) > 253 or any(not LABEL.match(label) for label in labels) or "*" in labels[1:]:
        raise refusals.invalid(9000, "DNS name is invalid.")
    return name


def _check_content(kind: str, given: object) -> str:
    text = given.strip() if isinstance(given, str) else ""
    if kind in ADDRESSES:
        version = 4 if kind == "A" else 6
        try:
            return str(ipaddress.IPv4Address(text) if version == 4 else ipaddress.IPv6Address(text))
        except ValueError:
            raise refusals.invalid(9005 if version == 4 else 9006, f"Content for {kind} record must be a valid IPv{version} address.") from None
    if not text:
        raise refusals.invalid(9007, f"Content for {kind} record is invalid.")
    return text.lower().rstrip(".") if kind in ("CNAME", "NS", "MX", "PTR") else text


def _check_ttl(given: object, plan: Plan) -> int:
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise refusals.invalid(9022, "TTL must be a number, not a string.")
    if given != 1 and not plan.shortest_ttl <= given <= 86400:
        raise refusals.invalid(9021, f"TTL must be between {plan.shortest_ttl} and 86400 seconds, or 1 for Automatic.")
    return int(given)


def is_proxiable(kind: str, content: str) -> bool:
    """Whether Cloudflare can stand in front of the record: never for private addresses."""
    if kind not in PROXIABLE:
        return False
    if kind == "CNAME":
        return True
    address = ipaddress.ip_address(content)
    return address.is_global and not any(address in ipaddress.ip_network(net) for net in UNREACHABLE if address.version == 4)


def _check_proxied(kind: str, content: str, given: object) -> bool:
    if given and kind not in PROXIABLE:
        raise refusals.invalid(9004, "This record type cannot be proxied.")
    if given and not is_proxiable(kind, content):
        raise refusals.invalid(9003, f"Target {content} is not allowed for a proxied record.")
    return bool(given)


def _check_notes(record: Record, plan: Plan) -> None:
    comment, tags = record.get("comment"), record.get("tags") or []
    if comment is not None and len(comment) > plan.comment:
        raise refusals.invalid(9313, f"DNS record comment exceeds the maximum length of {plan.comment} characters.")
    if len(tags) > plan.tags:
        raise refusals.invalid(9300, f"DNS record has {len(tags)} tags, exceeding the quota of {plan.tags}.")


def checked(given: t.Mapping[str, t.Any], zone: str, plan: Plan) -> Record:
    """The writable part of a record, normalised and complete, or the first thing wrong with it."""
    kind = str(given.get("type") or "").upper()
    if kind not in TYPES:
        raise refusals.invalid_body("DNS record type is invalid.")
    name = _check_name(given.get("name"), zone)
    content = _check_content(kind, given.get("content"))
    proxied = _check_proxied(kind, content, given.get("proxied", False))
    ttl = _check_ttl(given.get("ttl", 1), plan)
    _check_notes(dict(given), plan)
    record = {
        "name": name,
        "type": kind,
        "content": content,
        "proxiable": is_proxiable(kind, content),
        "proxied": proxied,
        "ttl": 1 if proxied else ttl,
        "settings": dict(given.get("settings") or {}),
        "meta": {},
        "comment": given.get("comment") or None,
        "tags": sorted(given.get("tags") or []),
    }
    return {**record, **({"priority": given["priority"]} if "priority" in given else {})}


def check_neighbours(record: Record, others: t.Iterable[Record]) -> None:
    """Refuse what cannot stand beside the zone's other records."""
    same = [other for other in others if other["name"] == record["name"]]
    for other in same:
        if (other["type"], other["content"]) == (record["type"], record["content"]) and record["type"] != "CNAME":
            settings = ("ttl", "proxied", "priority")
            equal = all(other.get(key) == record.get(key) for key in settings)
            raise refusals.identical_exists() if equal else refusals.record_exists()
    if record["type"] == "CNAME" and any(other["type"] in (*ADDRESSES, "CNAME") for other in same):
        raise refusals.host_exists()
    if record["type"] in ADDRESSES and any(other["type"] == "CNAME" for other in same):
        raise refusals.alias_exists()


def new_id() -> str:
    """An identifier: 32 hex digits."""
    return uuid.uuid4().hex


def stamped(record: Record, old: Record | None = None) -> Record:
    """The record with its identifier and times."""
    moment = now()
    stamp: Record = {"created_on": old["created_on"] if old else moment, "modified_on": moment}
    if record["comment"]:
        kept = old.get("comment_modified_on") if old and old["comment"] == record["comment"] else None
        stamp["comment_modified_on"] = kept or moment
    return {"id": old["id"] if old else new_id(), **record, **stamp}
