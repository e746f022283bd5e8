# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted Cloudflare behind the real SDK: each request must be the next one of the script, and all of it must be used."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing as t

import httpx
from cloudflare import Cloudflare

ZONE = "0123456789abcdef0123456789abcdef"
PATH = f"/client/v4/zones/{ZONE}"


@dataclasses.dataclass
class Expect:
    """One request and its answer. query and body are compared whole; answer may be an exception to raise."""

    method: str
    path: str
    answer: t.Any
    status: int = 200
    query: dict[str, str] = dataclasses.field(default_factory=dict)
    body: t.Any = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


class Script:
    """An httpx transport's handler."""

    def __init__(self, *expected: Expect) -> None:
        self.left = list(expected)
        self.unexpected: list[t.Any] = []  # the SDK would take an AssertionError for a lost connection

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        seen = (request.method, request.url.path, dict(request.url.params), body)
        assert request.headers["authorization"] == "Bearer token"
        expect = self.left.pop(0) if self.left else None
        if expect is None or seen != (expect.method, expect.path, expect.query, expect.body):
            self.unexpected.append((seen, expect))
            raise AssertionError(seen)
        if isinstance(expect.answer, Exception):
            raise expect.answer
        return httpx.Response(expect.status, json=expect.answer, headers=expect.headers)


@contextlib.contextmanager
def scripted(*expected: Expect, retries: int = 0) -> t.Iterator[t.Any]:
    """An SDK client that follows the script."""
    script = Script(*expected)
    yield Cloudflare(
        api_token="token",
        base_url="https://api.cloudflare.com/client/v4",
        max_retries=retries,
        http_client=httpx.Client(transport=httpx.MockTransport(script)),
    )
    assert not script.unexpected
    assert not script.left, f"never called: {script.left}"


def result(value: t.Any, **info: t.Any) -> dict[str, t.Any]:
    """A successful answer."""
    return {"success": True, "errors": [], "messages": [], "result": value, **({"result_info": info} if info else {})}


def refusal(*codes: int) -> dict[str, t.Any]:
    """An answer that says no."""
    return {"success": False, "errors": [{"code": code, "message": f"message {code}"} for code in codes], "messages": [], "result": None}


def zone(name: str = "example.com", zone_id: str = ZONE, permissions: t.Sequence[str] = ()) -> dict[str, t.Any]:
    """A zone as the API shows it."""
    return {"id": zone_id, "name": name, "status": "active", "permissions": list(permissions)}


def read_zone(**changes: t.Any) -> Expect:
    """The call that reads the zone by ID."""
    return Expect("GET", PATH, result(zone(**changes)))


def record(record_id: str, name: str, content: str, comment: str | None = None, **changes: t.Any) -> dict[str, t.Any]:
    """A record as the API shows it."""
    base = {"id": record_id, "name": name, "type": "A", "content": content, "ttl": 1, "proxied": False, "comment": comment, "tags": []}
    return {**base, **changes}


def under(domain: str, *records: dict[str, t.Any], page: int = 1, per_page: int = 1000) -> Expect:
    """The list call for the records below a domain."""
    query = {"per_page": "1000", "name.endswith": f".{domain}", **({"page": str(page)} if page > 1 else {})}
    return Expect("GET", f"{PATH}/dns_records", result(list(records), page=page, per_page=per_page), query=query)


def marked(*records: dict[str, t.Any], cluster: str = "fargle") -> Expect:
    """The list call for the records of a cluster."""
    query = {"per_page": "1000", "comment.startswith": f"k8s_cluster.manager cluster={cluster}"}
    return Expect("GET", f"{PATH}/dns_records", result(list(records), page=1, per_page=1000), query=query)


def batch(status: int = 200, answer: t.Any = None, **body: t.Any) -> Expect:
    """The call that changes records."""
    return Expect("POST", f"{PATH}/dns_records/batch", answer if answer is not None else result({}), status, body=body)
