# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One zone: its records, and the changes to them, one by one or as a batch."""

from __future__ import annotations

import typing as t

from . import refusals
from .records import PLANS, WRITABLE, Plan, Record, check_neighbours, checked, new_id, now, stamped

# The order of a batch is fixed, whatever the order in its body: developers.cloudflare.com/api/resources/dns/subresources/records/methods/batch
BATCH_ORDER = ("deletes", "patches", "puts", "posts")


class Zone:
    """Records in the order of their creation."""

    def __init__(self, name: str, plan: str = "free", zone_id: str = "", status: str = "active") -> None:
        self.id = zone_id or new_id()
        self.name = name.lower()
        self.plan_name = plan
        self.status = status
        self.created = now()
        self.records: dict[str, Record] = {}

    @property
    def plan(self) -> Plan:
        """Its limits."""
        return PLANS[self.plan_name]

    def public(self, permissions: t.Sequence[str]) -> dict[str, t.Any]:
        """The zone as the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "paused": False,
            "type": "full",
            "development_mode": 0,
            "name_servers": ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
            "original_name_servers": None,
            "original_registrar": None,
            "original_dnshost": None,
            "modified_on": self.created,
            "created_on": self.created,
            "activated_on": self.created,
            "meta": {"step": 2, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": False},
            "owner": {"id": None, "type": "user", "email": None},
            "account": {"id": "0" * 32, "name": "sandbox"},
            "permissions": list(permissions),
            "plan": {"id": "0" * 32, "name": self.plan.name, "legacy_id": self.plan_name},
        }

    def get(self, record_id: str) -> Record:
        """The record, or 404."""
        if record_id not in self.records:
            raise refusals.missing_record()
        return self.records[record_id]

    def create(self, given: t.Mapping[str, t.Any]) -> Record:
        """Add a record."""
        record = checked(given, self.name, self.plan)
        check_neighbours(record, self.records.values())
        if len(self.records) >= self.plan.records:
            raise refusals.quota_exceeded()
        stored = stamped(record)
        self.records[stored["id"]] = stored
        return stored

    def replace(self, record_id: str, given: t.Mapping[str, t.Any]) -> Record:
        """PUT: fields that are not given get their defaults."""
        old = self.get(record_id)
        record = checked(given, self.name, self.plan)
        check_neighbours(record, [other for other in self.records.values() if other["id"] != record_id])
        stored = stamped(record, old)
        self.records[record_id] = stored
        return stored

    def edit(self, record_id: str, given: t.Mapping[str, t.Any]) -> Record:
        """PATCH: fields that are not given stay."""
        old = self.get(record_id)
        return self.replace(record_id, {**{key: old[key] for key in WRITABLE if key in old}, **{key: given[key] for key in WRITABLE if key in given}})

    def delete(self, record_id: str) -> dict[str, str]:
        """Remove a record."""
        self.get(record_id)
        del self.records[record_id]
        return {"id": record_id}

    def batch(self, body: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """All changes, or none and the first error."""
        changes = {word: _items(body, word) for word in BATCH_ORDER}
        if sum(len(items) for items in changes.values()) > self.plan.batch:
            raise refusals.invalid_body(f"Batch exceeds the limit of {self.plan.batch} operations.")
        saved = dict(self.records)
        done: dict[str, t.Any] = {}
        try:
            for word in BATCH_ORDER:
                done[word] = [self._one(word, item) for item in changes[word]]
        except refusals.Refusal:
            self.records = saved
            raise
        return {word: done[word] if word in body else None for word in BATCH_ORDER}

    def _one(self, word: str, item: t.Mapping[str, t.Any]) -> Record:
        if word == "posts":
            return self.create(item)
        record_id = str(item.get("id", ""))
        if word == "deletes":
            gone = self.get(record_id)
            self.delete(record_id)
            return gone
        return self.edit(record_id, item) if word == "patches" else self.replace(record_id, item)


def _items(body: t.Mapping[str, t.Any], word: str) -> list[dict[str, t.Any]]:
    items = body.get(word) or []
    if not isinstance(items, list) or any(not isinstance(item, dict) for item in items):
        raise refusals.invalid_body(f"{word} must be a list of records.")
    return items
