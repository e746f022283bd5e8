# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The official SDK's client, and one function per API call. Errors come out as CloudflareError, saying what to do."""

from __future__ import annotations

import dataclasses
import functools
import typing as t
from urllib.parse import quote

from ansible.module_utils.basic import missing_required_lib

from .._errors import ManagerError

RETRIES = 8  # of the SDK: connection errors, 408, 409, 429 (honouring Retry-After) and 5xx
PAGE = 1000
ZONE_PAGE = 50
BATCH = 200  # operations per batch that every plan allows

TOKEN_CODES = frozenset({1000, 6003, 6111, 9106, 9109, 10000, 10001})
ZONE_CODES = frozenset({1001, 7000, 7003})
RACE_CODES = frozenset({81044, 81053, 81054, 81057, 81058})  # a record came or went between our reading and our writing

TOKEN_CURE = "Check api_token (or CLOUDFLARE_API_TOKEN): it needs the permissions Zone / Zone / Read and Zone / DNS / Edit for this zone."
ZONE_CURE = "Check zone_id (or CLOUDFLARE_ZONE_ID): it is the 32 hex digits on the zone's overview page, not its name."


if t.TYPE_CHECKING:
    import ssl


class CloudflareError(ManagerError):
    """A call failed. status is the HTTP status (0: no answer), codes Cloudflare's own."""

    def __init__(self, message: str, status: int = 0, codes: t.Iterable[int] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.codes = frozenset(codes)

    @property
    def is_race(self) -> bool:
        """Reading again and planning anew may solve it."""
        return bool(self.codes & RACE_CODES)


@dataclasses.dataclass(frozen=True)
class Zone:
    """A DNS zone. permissions is what Cloudflare says the token may do there; empty when it does not say."""

    id: str
    name: str
    permissions: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Record:
    """A DNS record. ttl 1 means automatic. id is empty for one that does not exist yet; content None is not known yet."""

    id: str
    name: str
    type: str
    content: str | None
    ttl: int = 1
    proxied: bool = False
    comment: str = ""

    def public(self) -> dict[str, t.Any]:
        """As modules show it."""
        return dataclasses.asdict(self)


@functools.cache
def tls() -> ssl.SSLContext:
    """What the SDK's own client makes anew each time: the authorities of the machine or of certifi, read in 0.03 s."""
    import httpcore  # noqa: F401 httpx imports it with its first client
    import httpx

    return httpx.create_ssl_context()


def connect(api_token: str) -> t.Any:
    """An SDK client that uses this token and nothing else. The endpoint is the SDK's own (CLOUDFLARE_BASE_URL)."""
    try:
        # Here and not above: the import takes 0.2 s, which a run without DNS need not pay.
        from cloudflare import Cloudflare, DefaultHttpxClient
    except ImportError as error:
        raise ManagerError(missing_required_lib("cloudflare")) from error
    try:
        authorities = tls()
    except OSError as error:
        raise CloudflareError(f"Cannot read the certificate authorities: {error}. Check SSL_CERT_FILE and SSL_CERT_DIR.") from error
    client = Cloudflare(api_token=api_token, max_retries=RETRIES, http_client=DefaultHttpxClient(verify=authorities))
    # The SDK also picks these up from the environment, and then prefers them to the token.
    client.api_email = client.api_key = client.user_service_key = None
    return client


def token_status(client: t.Any) -> str:
    """active, disabled or expired."""
    return str(_get(client, "verify the API token", "/user/tokens/verify")["result"]["status"])


def read_zone(client: t.Any, zone_id: str) -> Zone:
    """The zone of that ID."""
    return _zone(_get(client, f"read zone {zone_id}", f"/zones/{quote(zone_id, safe='')}")["result"])


def list_zones(client: t.Any) -> list[Zone]:
    """All active zones that the token sees."""
    found = _pages(client, "list the zones", "/zones", per_page=ZONE_PAGE)
    return [_zone(entry) for entry in found if entry.get("status") in ("active", None)]


def list_records(client: t.Any, zone_id: str, **filters: t.Any) -> list[Record]:
    """The records of a zone that pass the API's filters (name, comment.startswith, type, ...); filters ignore case."""
    return [_record(entry) for entry in _pages(client, "list the DNS records", f"/zones/{zone_id}/dns_records", per_page=PAGE, **filters)]


def batch(client: t.Any, zone_id: str, deletes: t.Sequence[str], patches: t.Sequence[Record], posts: t.Sequence[Record]) -> None:
    """Carry out up to BATCH changes in one transaction; the API takes deletes first, then patches, then posts."""
    body: dict[str, t.Any] = {
        "deletes": [{"id": record_id} for record_id in deletes],
        "patches": [{"id": record.id, **_fields(record)} for record in patches],
        "posts": [_fields(record) for record in posts],
    }
    given = {key: value for key, value in body.items() if value}
    _call("change DNS records", lambda: client.post(f"/zones/{zone_id}/dns_records/batch", cast_to=object, body=given))


def _fields(record: Record) -> dict[str, t.Any]:
    fields = record.public()
    del fields["id"]
    return fields


def _zone(entry: dict[str, t.Any]) -> Zone:
    return Zone(str(entry["id"]), str(entry["name"]).lower(), tuple(entry.get("permissions") or ()))


def _record(entry: dict[str, t.Any]) -> Record:
    return Record(
        id=str(entry["id"]),
        name=str(entry["name"]).lower(),
        type=str(entry["type"]),
        content=str(entry.get("content") or ""),
        ttl=int(entry.get("ttl") or 1),
        proxied=bool(entry.get("proxied")),
        comment=str(entry.get("comment") or ""),
    )


def _pages(client: t.Any, what: str, path: str, **query: t.Any) -> list[dict[str, t.Any]]:
    """All items of all pages. A page that is short by the server's own page size is the last; null is a page without items."""
    found: list[dict[str, t.Any]] = []
    number = 1
    while True:
        answer = _get(client, what, path, (list, type(None)), **query, **({"page": number} if number > 1 else {}))
        items = answer["result"] or []
        found += items
        if len(items) < ((answer.get("result_info") or {}).get("per_page") or query["per_page"]):
            return found
        number += 1


def _get(client: t.Any, what: str, path: str, shapes: tuple[type, ...] = (dict,), **query: t.Any) -> dict[str, t.Any]:
    return _call(what, lambda: client.get(path, cast_to=object, options={"params": query}), shapes)


def _call(what: str, function: t.Callable[[], t.Any], shapes: tuple[type, ...] = (dict,)) -> dict[str, t.Any]:
    """A call's answer with its result, which is of one of these shapes, as JSON has them.

    Building the SDK's types of all that a record may be would take longer than the call.
    """
    import cloudflare

    try:
        answer = function()
        if not isinstance(answer, dict) or not isinstance(answer.get("result", ...), shapes):
            raise cloudflare.CloudflareError
        return answer
    except cloudflare.APIStatusError as error:
        raise _explain(what, error) from error
    except cloudflare.APIConnectionError as error:
        raise CloudflareError(f"Cannot {what}: Cloudflare does not answer ({error.__cause__ or error}).") from error
    except cloudflare.CloudflareError as error:
        raise CloudflareError(f"Cannot {what}: what answers is not Cloudflare's API ({type(error).__name__}). Check CLOUDFLARE_BASE_URL.") from error


def _explain(what: str, error: t.Any) -> CloudflareError:
    entries = error.body.get("errors") or [] if isinstance(error.body, dict) else []
    codes = {int(entry.get("code", 0)) for entry in entries}
    said = "; ".join(f"{entry.get('message')} ({entry.get('code')})" for entry in entries) or f"HTTP {error.status_code}"
    return CloudflareError(f"Cannot {what}: {said}. {_cure(what, error.status_code, codes)}".strip(), error.status_code, codes)


def _cure(what: str, status: int, codes: set[int]) -> str:
    if codes & ZONE_CODES or (status == 404 and what.startswith("read zone")):
        return ZONE_CURE
    if codes & TOKEN_CODES or status in (401, 403):
        return f"{TOKEN_CURE} {ZONE_CURE}" if what.startswith("read zone") else TOKEN_CURE
    return ""
