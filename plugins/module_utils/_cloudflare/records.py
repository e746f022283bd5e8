# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""DNS records of nodes: which are ours, what has to change, and the one place where it is changed.

Ours is a record with this node's mark, or one with exactly the wanted name, type and address. Everything else belongs to
somebody else and is neither changed nor deleted.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from .._errors import InputError
from .._outcome import Outcome
from .._plan import Step
from . import client as calls
from .client import CloudflareError, Record, Zone
from .ownership import cluster_mark, is_marked_for, mark, owner

ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A record of a node. name and content may be empty for state absent, content also in check mode; ttl None: as it is, or automatic.

    id: for state absent this one record alone, if it still has the node's mark and what else is given.
    """

    node: str
    name: str = ""
    type: str = "A"
    content: str = ""
    ttl: int | None = None
    id: str = ""


@dataclasses.dataclass(frozen=True)
class RecordOptions:
    """What cloudflare_record is asked to do. zone_id, zone_name or domain may be empty."""

    cluster: str
    records: list[Wanted]
    state: str = "present"
    zone_id: str = ""
    domain: str = ""
    zone_name: str = ""


@dataclasses.dataclass(frozen=True)
class Change:
    """before None: create; after None: delete; else update."""

    node: str
    before: Record | None
    after: Record | None

    @property
    def verb(self) -> str:
        """create, update or delete."""
        return "create" if self.before is None else "delete" if self.after is None else "update"

    def step(self) -> Step:
        """As the plan shows it."""
        record = t.cast("Record", self.after or self.before)
        return Step(self.verb, self.node, f"{record.type} {record.name}", _shown(self.before), _shown(self.after))


@dataclasses.dataclass
class Plan:
    """Changes, the nodes that must not be changed with the reason, and what the user should hear."""

    changes: list[Change] = dataclasses.field(default_factory=list)
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    warnings: list[str] = dataclasses.field(default_factory=list)


def _shown(record: Record | None) -> dict[str, t.Any] | None:
    return None if record is None else {key: value for key, value in record.public().items() if key != "id"}


def read_options(params: t.Mapping[str, t.Any], check_mode: bool) -> RecordOptions:
    """The module's options, checked before any call; all that is wrong is named together."""
    records = [_wanted(entry) for entry in params["records"] or []]
    cluster, domain = str(params["cluster"] or "").strip(), _dns(params["domain"])
    wrong = [f"{name} is empty." for name, value in (("api_token (or CLOUDFLARE_API_TOKEN)", params["api_token"]), ("cluster", cluster)) if not value]
    for index, record in enumerate(records):
        wrong += [f"records[{index}]: {text}" for text in _flaws(record, params["state"], check_mode)]
    keys = [(record.name, record.type) for record in records if record.name and not record.id]
    wrong += [f"records has {kind} {name} more than once." for name, kind in sorted({key for key in keys if keys.count(key) > 1})]
    if not params["zone_id"] and not domain and not any(record.name for record in records):
        wrong.append("Which zone? Give zone_id (or CLOUDFLARE_ZONE_ID) or domain.")
    if wrong:
        raise InputError(" ".join(wrong))
    return RecordOptions(cluster, records, params["state"], params["zone_id"] or "", domain, _dns(params.get("zone_name")))


def _wanted(entry: t.Mapping[str, t.Any]) -> Wanted:
    return Wanted(
        node=str(entry.get("node") or "").strip(),
        name=_dns(entry.get("name")),
        type=entry.get("type") or "A",
        content=_address(str(entry.get("content") or "").strip()),
        ttl=entry.get("ttl"),
        id=entry.get("id") or "",
    )


def _dns(name: str | None) -> str:
    return str(name or "").strip().rstrip(".").lower()


def _address(text: str) -> str:
    """The address in its one usual way of writing; left alone when it is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _flaws(record: Wanted, state: str, check_mode: bool) -> t.Iterator[str]:
    if not record.node:
        yield "node is empty."
    if state == "present" and not record.name:
        yield "name is empty."
    if state == "present" and record.id:
        yield "id is only for state absent; a record that is to be present is found by its name."
    if record.name.startswith("*") or (record.name and "." not in record.name):
        yield f"name {record.name} must be one full name such as worker-1.example.com."
    if state == "present" and not record.content and not check_mode:
        yield "content is empty: the node's address is needed."
    if record.content and not _is_address(record.content, record.type):
        yield f"content {record.content} is not an address for a record of type {record.type}."
    if record.ttl is not None and record.ttl != 1 and not 30 <= record.ttl <= 86400:
        yield f"ttl {record.ttl} is neither 1 (automatic) nor between 30 and 86400 seconds."


def _is_address(text: str, kind: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == {"A": 4, "AAAA": 6}[kind]
    except ValueError:
        return False


def find_zone(client: t.Any, options: RecordOptions, check_mode: bool = False) -> Zone:
    """The zone given by ID, or the longest one that the domain (else the first record's name) ends in. All names must lie in it.

    In check mode it is always asked for, since only Cloudflare's answer tells what the token may do.
    """
    names = [name for name in [options.domain, *(record.name for record in options.records)] if name]
    if options.zone_id and options.zone_name and not check_mode:
        zone = Zone(options.zone_id, options.zone_name)
    elif options.zone_id:
        zone = _given_zone(client, options)
    else:
        fitting = [zone for zone in calls.list_zones(client) if _is_within(names[0], zone.name)]
        longest = [zone for zone in fitting if len(zone.name) == max(len(z.name) for z in fitting)]
        if len(longest) != 1:
            seen = f"{len(longest)} zones named {longest[0].name}" if longest else "no zone"
            raise InputError(f"The API token sees {seen} for {names[0]}. Check domain, or give zone_id; the token needs Zone / Zone / Read.")
        zone = longest[0]
    outside = sorted({name for name in names if zone.name and not _is_within(name, zone.name)})
    if outside:
        raise InputError(f"{', '.join(outside)} is not in zone {zone.name}. Check domain and zone_id (or CLOUDFLARE_ZONE_ID).")
    if zone.name in {record.name for record in options.records}:
        raise InputError(f"{zone.name} is the zone itself, not a node's name.")
    return zone


def _given_zone(client: t.Any, options: RecordOptions) -> Zone:
    """The zone of an ID. A token without Zone / Read may do, if the zone has records beside the wanted ones: then they are in it.

    Otherwise nobody could tell that a name is not in the zone; Cloudflare would take it and append the zone's name.
    """
    try:
        return calls.read_zone(client, options.zone_id)
    except CloudflareError as error:
        if error.status != 403 or not _parents(options):
            raise
        try:
            proven = all(calls.list_records(client, options.zone_id, name={"endswith": f".{parent}"}) for parent in _parents(options))
        except CloudflareError:
            raise error from None
        if not proven:
            raise
    return Zone(options.zone_id, "")


def _parents(options: RecordOptions) -> list[str]:
    """The domains that the wanted records and the domain option are about, without those below another."""
    parents = {record.name.partition(".")[2] for record in options.records if record.name} | {options.domain} - {""}
    return sorted(p for p in parents if p and not any(p != q and _is_within(p, q) for q in parents))


def _is_within(name: str, zone: str) -> bool:
    return name == zone or name.endswith(f".{zone}")


def read_records(client: t.Any, zone: Zone, options: RecordOptions) -> list[Record]:
    """All records that matter: those beside or below the wanted names, and those with a mark of this cluster. Sorted."""
    found: dict[str, Record] = {}
    for parent in _parents(options):
        found.update((r.id, r) for r in calls.list_records(client, zone.id, name={"endswith": f".{parent}"}))
    found.update((r.id, r) for r in calls.list_records(client, zone.id, comment={"startswith": cluster_mark(options.cluster)}))
    return sorted(found.values(), key=lambda r: (r.name, r.type, r.content, r.id))


def plan(options: RecordOptions, existing: t.Sequence[Record]) -> Plan:
    """What has to change (pure)."""
    result = Plan()
    for wanted in options.records:
        if options.state == "absent":
            _plan_absent(options.cluster, wanted, existing, result)
        else:
            _plan_present(options.cluster, wanted, existing, result)
    return result


def _plan_present(cluster: str, wanted: Wanted, existing: t.Sequence[Record], result: Plan) -> None:
    ours = mark(cluster, wanted.node)
    same = [r for r in existing if (r.name, r.type) == (wanted.name, wanted.type)]
    mine = [r for r in same if r.comment == ours or (wanted.content and r.content == wanted.content)]
    foreign = [r for r in same if r not in mine] + [r for r in existing if r.name == wanted.name and r.type == "CNAME"]
    if foreign:
        earlier = [result.failures[wanted.node]] if wanted.node in result.failures else []
        result.failures[wanted.node] = "; ".join(earlier + [_foreign_text(record) for record in foreign])
        return
    mine.sort(key=lambda r: (r.content != wanted.content, r.comment != ours, r.id))
    keep = mine[0] if mine else None
    ttl = wanted.ttl or (keep.ttl if keep else 1)
    after = Record(keep.id if keep else "", wanted.name, wanted.type, wanted.content or None, ttl, False, ours)
    if keep != after:
        result.changes.append(Change(wanted.node, keep, after))
    result.changes += [Change(wanted.node, surplus, None) for surplus in mine[1:]]


def _plan_absent(cluster: str, wanted: Wanted, existing: t.Sequence[Record], result: Plan) -> None:
    ours = mark(cluster, wanted.node)
    exact = (wanted.name, wanted.type, wanted.content)
    doomed = {change.before for change in result.changes}
    if wanted.id:
        result.changes += [Change(wanted.node, record, None) for record in existing if record.comment == ours and _is_exactly(wanted, record)]
        return
    for record in existing:
        if record.comment == ours or (all(exact) and (record.name, record.type, record.content) == exact):
            if record not in doomed:
                result.changes.append(Change(wanted.node, record, None))
        elif (record.name, record.type) == exact[:2]:
            result.warnings.append(f"{wanted.node}: left alone: {_foreign_text(record)}")


def _is_exactly(wanted: Wanted, record: Record) -> bool:
    """Whether it is the record of the ID given, and still as it was when that was read."""
    given = ((wanted.id, record.id), (wanted.name, record.name), (wanted.content, record.content))
    return all(value in ("", there) for value, there in given)


def _foreign_text(record: Record) -> str:
    cluster, node = owner(record.comment)
    holder = f"belongs to node {node} of cluster {cluster}" if cluster else "is not marked as ours and has another address"
    return (
        f"the record {record.type} {record.name} → {record.content} (ID {record.id}) {holder}. "
        "Delete it if nothing needs it, choose another name, or set dns to none"
    )


def work(options: RecordOptions, client: t.Any, check_mode: bool) -> Outcome:
    """Bring the records to the state. In check mode also see whether the token could."""
    zone = _zone_checked(client, options) if check_mode else find_zone(client, options)
    existing = read_records(client, zone, options)
    planned = plan(options, existing)
    outcome = Outcome(failures=planned.failures, warnings=planned.warnings, steps=[change.step() for change in planned.changes])
    if check_mode and planned.changes:
        outcome.warnings += _permission_warnings(zone)
    elif planned.changes:
        existing = settle(client, zone, options, planned.changes, outcome)
    outcome.nodes = _per_node(options, existing)
    outcome.values = {"records": _shown_records(options, existing), "zone": {"id": zone.id, "name": zone.name}}
    return outcome


def _zone_checked(client: t.Any, options: RecordOptions) -> Zone:
    """find_zone; when that fails, ask Cloudflare about the token, so that the message blames the right option."""
    try:
        return find_zone(client, options, check_mode=True)
    except CloudflareError as error:
        if error.status not in (400, 401, 403):
            raise
        try:
            status = calls.token_status(client)
        except CloudflareError:
            status = ""
        if not status:
            raise
        verdict = "The token itself is valid; it may lack rights on this zone." if status == "active" else f"The token is {status}."
        raise CloudflareError(f"{error} {verdict}", error.status, error.codes) from None


def _permission_warnings(zone: Zone) -> list[str]:
    if not zone.permissions or "#dns_records:edit" in zone.permissions:
        return []
    return [f"The API token seems to lack DNS / Edit on zone {zone.name}; Cloudflare lists {', '.join(zone.permissions)}. {calls.TOKEN_CURE}"]


def settle(client: t.Any, zone: Zone, options: RecordOptions, changes: list[Change], outcome: Outcome) -> list[Record]:
    """Carry out the changes and read again; what a lost answer or somebody else's change left over is planned and tried anew."""
    existing: list[Record] = []
    for _round in range(ROUNDS):
        refused = _apply(client, zone, changes)
        existing = read_records(client, zone, options)
        again = plan(options, existing)
        outcome.failures.update(again.failures)
        changes = [change for change in again.changes if change.node not in outcome.failures]
        if not changes or not any(error.is_race for error in refused.values()):
            break
    for change in changes:
        reason = str(refused.get(change.node, "Cloudflare took the change, but does not show it"))
        outcome.failures[change.node] = f"{change.verb} {change.step().target}: {reason}"
    return existing


def _apply(client: t.Any, zone: Zone, changes: t.Sequence[Change]) -> dict[str, CloudflareError]:
    """Batches in the API's own order (delete, update, create); a batch that is refused changed nothing and fails its nodes."""
    order = {"delete": 0, "update": 1, "create": 2}
    ordered = sorted(changes, key=lambda change: order[change.verb])
    refused: dict[str, CloudflareError] = {}
    for start in range(0, len(ordered), calls.BATCH):
        part = ordered[start : start + calls.BATCH]
        try:
            calls.batch(
                client,
                zone.id,
                deletes=[c.before.id for c in part if c.before and not c.after],
                patches=[c.after for c in part if c.before and c.after],
                posts=[c.after for c in part if c.after and not c.before],
            )
        except CloudflareError as error:
            refused.update({change.node: error for change in part})
    return refused


def _per_node(options: RecordOptions, existing: t.Sequence[Record]) -> list[dict[str, t.Any]]:
    names = list(dict.fromkeys(record.node for record in options.records))
    return [{"name": name, "records": [r.public() for r in existing if r.comment == mark(options.cluster, name)]} for name in names]


def _shown_records(options: RecordOptions, existing: t.Sequence[Record]) -> list[dict[str, t.Any]]:
    """The records of the cluster and those below domain; node is the marked one, of a name too long for the mark the record's first label."""
    shown = []
    for record in existing:
        ours = is_marked_for(record.comment, options.cluster)
        if not ours and not (options.domain and record.name.endswith(f".{options.domain}")):
            continue
        cluster, node = owner(record.comment)
        shown.append({**record.public(), "cluster": cluster, "node": record.name.partition(".")[0] if node.startswith("~") else node, "ours": ours})
    return shown
