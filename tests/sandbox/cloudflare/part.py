# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cloudflare part of the sandbox."""

from __future__ import annotations

import copy
import secrets
import string
import typing as t

from ..calls import Ledger
from ..http import HttpServer, LedgerMiddleware
from .api import BASE, Api, Token, answer, operation
from .records import Record, new_id
from .zone import Zone

PORT = 5300


def new_token() -> str:
    """A token as Cloudflare makes them: 40 characters."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _place in range(40))


class CloudflarePart:
    """One account with one zone at first, and a token for it.

    token and zone_id belong to the first zone; further ones come from add_zone and add_token.
    """

    def __init__(self, ledger: Ledger, host: str, *, port: int = PORT, zone: str = "example.com", plan: str = "free") -> None:
        self.api = Api()
        self._http = HttpServer(LedgerMiddleware(self.api, ledger, "cloudflare", operation, answer), host, port)
        self.base_url = f"http://{host}:{port}{BASE}"
        self.zone_id = self.add_zone(zone, plan)
        self.token = self.add_token()

    def start(self) -> None:
        """Listen."""
        self._http.start()

    def stop(self) -> None:
        """Stop listening."""
        self._http.stop()

    def add_zone(self, name: str, plan: str = "free", status: str = "active") -> str:
        """A further zone; its identifier."""
        zone = Zone(name, plan, status=status)
        with self.api.lock:
            self.api.zones[zone.id] = zone
        return zone.id

    def add_token(self, permissions: t.Sequence[str] | None = None, zones: t.Sequence[str] | None = None, status: str = "active") -> str:
        """A token; permissions as in Token (all by default), zones it is limited to (none by default)."""
        token = Token(new_token(), new_id(), zones=tuple(zones) if zones is not None else None, status=status)
        if permissions is not None:
            token.permissions = tuple(permissions)
        with self.api.lock:
            self.api.tokens[token.value] = token
        return token.value

    def add_record(self, kind: str, name: str, content: str, *, comment: str = "", ttl: int = 1, zone_id: str = "") -> Record:
        """A record, made as the API would make it; Refusal where the API would refuse."""
        with self.api.lock:
            return self.api.zones[zone_id or self.zone_id].create({"type": kind, "name": name, "content": content, "comment": comment, "ttl": ttl})

    def dump(self) -> dict[str, t.Any]:
        """Zones by name with their records, in the order of name, type and content. Tokens are secrets: they are not in it."""
        with self.api.lock:
            zones = sorted(self.api.zones.values(), key=lambda zone: zone.name)
            return {
                zone.name: {
                    "id": zone.id,
                    "status": zone.status,
                    "plan": zone.plan_name,
                    "records": sorted(copy.deepcopy(list(zone.records.values())), key=lambda record: (record["name"], record["type"], record["content"])),
                }
                for zone in zones
            }

    def snapshot(self) -> object:
        """A copy of the state for restore()."""
        with self.api.lock:
            return copy.deepcopy((self.api.zones, self.api.tokens))

    def restore(self, saved: object) -> None:
        """Take back a snapshot."""
        with self.api.lock:
            self.api.zones, self.api.tokens = copy.deepcopy(t.cast("tuple[dict[str, Zone], dict[str, Token]]", saved))
