# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP face: tokens and their permissions, zones, DNS records."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import typing as t

from werkzeug.wrappers import Request, Response

from ..http import Operation
from . import filters, refusals
from .refusals import Refusal
from .zone import Zone

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BASE = "/client/v4"
IDENTIFIER = re.compile(r"^[0-9a-f]{32}$")
TOKEN = re.compile(r"^[A-Za-z0-9_-]{40,}$")
# Page sizes: developers.cloudflare.com/api (DNS records 100, at most 5 000 000; zones 20, at most 50).
RECORD_PAGE, RECORD_PAGE_MOST = 100, 5_000_000
ZONE_PAGE, ZONE_PAGE_MOST = 20, 50
RETRY_AFTER = 1

# Paths below a zone: pattern → method → operation. The most exact pattern comes first.
ROUTES: tuple[tuple[re.Pattern[str], dict[str, str]], ...] = (
    (re.compile(r"^/user/tokens/verify$"), {"GET": "verify_token"}),
    (re.compile(r"^/zones$"), {"GET": "list_zones"}),
    (re.compile(r"^/zones/(?P<zone>[^/]+)$"), {"GET": "get_zone"}),
    (re.compile(r"^/zones/(?P<zone>[^/]+)/dns_records$"), {"GET": "list_records", "POST": "create_record"}),
    (re.compile(r"^/zones/(?P<zone>[^/]+)/dns_records/batch$"), {"POST": "batch_records"}),
    (
        re.compile(r"^/zones/(?P<zone>[^/]+)/dns_records/(?P<record>[^/]+)$"),
        {"GET": "get_record", "PUT": "update_record", "PATCH": "edit_record", "DELETE": "delete_record"},
    ),
)
READS = ("verify_token", "list_zones", "get_zone", "list_records", "get_record")


@dataclasses.dataclass
class Token:
    """An API token. zones: identifiers it may touch (None = all). permissions: Cloudflare's words."""

    value: str
    token_id: str
    permissions: tuple[str, ...] = ("#zone:read", "#dns_records:read", "#dns_records:edit")
    zones: tuple[str, ...] | None = None
    status: str = "active"

    def may(self, permission: str, zone_id: str) -> bool:
        """Whether it carries the permission for the zone."""
        return permission in self.permissions and (self.zones is None or zone_id in self.zones)


def _match(request: Request) -> tuple[str, dict[str, str]]:
    """(operation, identifiers) of a request; Refusal for a path or method that does not exist."""
    path = request.path.removeprefix(BASE)
    for pattern, methods in ROUTES:
        if request.path.startswith(BASE) and (found := pattern.match(path)):
            if request.method not in methods:
                raise refusals.wrong_method(request.method)
            return methods[request.method], found.groupdict()
    raise refusals.unknown_path()


def operation(request: Request) -> Operation:
    """What the ledger calls the request."""
    try:
        name, ids = _match(request)
    except Refusal:
        return Operation("unknown", mutating=False, detail={"path": request.path})
    detail: dict[str, t.Any] = {**ids, **request.args.to_dict()}
    body = request.get_json(force=True, silent=True)
    if isinstance(body, dict):
        detail["body"] = body
    return Operation(name, mutating=name not in READS, detail=detail)


def answer(kind: str, _request: Request) -> Response:
    """Injected faults in Cloudflare's own words."""
    return respond(refusals.throttled(RETRY_AFTER) if kind == "throttle" else refusals.broken())


def respond(refusal: Refusal) -> Response:
    """A refusal as the client gets it."""
    return Response(json.dumps(refusal.body()), status=refusal.status, content_type="application/json", headers=refusal.headers)


def _success(result: t.Any, **more: t.Any) -> Response:
    body = {"result": result, "success": True, "errors": [], "messages": [], **more}
    return Response(json.dumps(body), content_type="application/json")


class Api:
    """A WSGI application over zones and tokens."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.zones: dict[str, Zone] = {}
        self.tokens: dict[str, Token] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
        request = Request(environ)
        try:
            with self.lock:
                response = self._serve(request)
        except Refusal as refusal:
            response = respond(refusal)
        return response(environ, start_response)

    def _serve(self, request: Request) -> Response:
        name, ids = _match(request)
        text = _bearer(request)
        token = self.tokens.get(text)
        if name == "verify_token":
            return self._verify(token)
        if any(not IDENTIFIER.match(value) for value in ids.values()):
            raise refusals.no_route(request.path)
        if token is None or token.status != "active":
            raise refusals.not_permitted() if "record" in name else refusals.unknown_token()
        if name == "list_zones":
            return self._list_zones(token, request)
        if name == "get_zone":
            if ids["zone"] not in self.zones or not token.may("#zone:read", ids["zone"]):
                raise refusals.zone_not_permitted()
            return _success(self.zones[ids["zone"]].public(token.permissions))
        needed = "#dns_records:read" if name in READS else "#dns_records:edit"
        allowed = token.may(needed, ids["zone"]) or (name in READS and token.may("#dns_records:edit", ids["zone"]))
        if ids["zone"] not in self.zones or not allowed:
            raise refusals.not_permitted()
        return self._records(name, self.zones[ids["zone"]], ids.get("record", ""), request)

    def _verify(self, token: Token | None) -> Response:
        if token is None:
            raise refusals.unverified_token()
        message = {"code": 10000, "message": "This API Token is valid and active", "type": None}
        return _success({"id": token.token_id, "status": token.status}, messages=[message] if token.status == "active" else [])

    def _list_zones(self, token: Token, request: Request) -> Response:
        query = request.args
        seen = [zone for zone in self.zones.values() if token.may("#zone:read", zone.id)]
        if "name" in query:
            seen = [zone for zone in seen if filters.zone_matches(zone.name, query["name"])]
        if "status" in query:
            seen = [zone for zone in seen if zone.status == query["status"]]
        items = [zone.public(token.permissions) for zone in sorted(seen, key=lambda zone: zone.name)]
        shown, info = filters.page_of(items, query, ZONE_PAGE, ZONE_PAGE_MOST)
        return _success(shown, result_info=info)

    def _records(self, name: str, zone: Zone, record_id: str, request: Request) -> Response:
        if name == "list_records":
            shown, info = filters.page_of(filters.chosen(zone.records.values(), request.args), request.args, RECORD_PAGE, RECORD_PAGE_MOST)
            return _success(shown, result_info=info)
        if name == "get_record":
            return _success(zone.get(record_id))
        if name == "delete_record":
            return _success(zone.delete(record_id))
        body = _body(request)
        if name == "create_record":
            return _success(zone.create(body))
        if name == "batch_records":
            return _success(zone.batch(body))
        return _success(zone.replace(record_id, body) if name == "update_record" else zone.edit(record_id, body))


def _bearer(request: Request) -> str:
    """The token of the Authorization header."""
    scheme, _space, value = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        raise refusals.no_credentials()
    if scheme.lower() != "bearer" or not TOKEN.match(value.strip()):
        raise refusals.malformed_token()
    return value.strip()


def _body(request: Request) -> dict[str, t.Any]:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise refusals.invalid_body("Request body is invalid.")
    return body
