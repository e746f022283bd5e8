# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The official SDK's client, and one function per API call. Errors come out as CloudflareError, saying what to do."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible.module_utils.basic import missing_required_lib

from .._errors import ManagerError

RETRIES = 5  # of the SDK: connection errors, 408, 409, 429 (honouring Retry-After) and 5xx
PAGE = 1000
ZONE_PAGE = 50
BATCH = 200  # operations per batch that every plan allows

TOKEN_CODES = frozenset({1000, 6003, 6111, 9106, 9109, 10000, 10001})
ZONE_CODES = frozenset({1001, 7000, 7003})
RACE_CODES = frozenset({81044, 81053, 81054, 81057, 81058})  # a record came or went between our reading and our writing

TOKEN_CURE = "Check api_token (or CLOUDFLARE_API_TOKEN): it needs the permissions Zone / Zone / Read and Zone / DNS / Edit for this zone."
ZONE_CURE = "Check zone_id (or CLOUDFLARE_ZONE_ID): it is the 32 hex digits on the zone's overview page, not its name."


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


def connect(api_token: str) -> t.Any:
    """An SDK client that uses this token and nothing else. The endpoint is the SDK's own (CLOUDFLARE_BASE_URL)."""
    try:
        # Here and not above: the import takes 0.2 s, which a run without DNS need not pay.
        from cloudflare import Cloudflare
    except ImportError as error:
        raise ManagerError(missing_required_lib("cloudflare")) from error
    client = Cloudflare(api_token=api_token, max_retries=RETRIES)
    # The SDK also picks these up from the environment, and then prefers them to the token.
    client.api_email = client.api_key = client.user_service_key = None
    return client


def token_status(client: t.Any) -> str:
    """active, disabled or expired."""
    answer = _call("verify the API token", client.user.tokens.verify)
    return str(answer.status)


def read_zone(client: t.Any, zone_id: str) -> Zone:
    """The zone of that ID."""
    zone = _call(f"read zone {zone_id}", client.zones.get, zone_id=zone_id)
    return Zone(str(zone.id), str(zone.name).lower(), tuple(getattr(zone, "permissions", None) or ()))


def list_zones(client: t.Any) -> list[Zone]:
    """All active zones that the token sees."""
    found = _pages("list the zones", client.zones.list, per_page=ZONE_PAGE)
    return [Zone(str(z.id), str(z.name).lower(), tuple(getattr(z, "permissions", None) or ())) for z in found if z.status in ("active", None)]


def list_records(client: t.Any, zone_id: str, **filters: t.Any) -> list[Record]:
    """The records of a zone that pass the API's filters (name, comment, type, ...); filters ignore case."""
    return [_record(entry) for entry in _pages("list the DNS records", client.dns.records.list, zone_id=zone_id, per_page=PAGE, **filters)]


def batch(client: t.Any, zone_id: str, deletes: t.Sequence[str], patches: t.Sequence[Record], posts: t.Sequence[Record]) -> None:
    """Carry out up to BATCH changes in one transaction; the API takes deletes first, then patches, then posts."""
    body: dict[str, t.Any] = {
        "deletes": [{"id": record_id} for record_id in deletes],
        "patches": [{"id": record.id, **_fields(record)} for record in patches],
        "posts": [_fields(record) for record in posts],
    }
    _call("change DNS records", client.dns.records.batch, zone_id=zone_id, **{key: value for key, value in body.items() if value})


def _fields(record: Record) -> dict[str, t.Any]:
    fields = record.public()
    del fields["id"]
    return fields


def _record(entry: t.Any) -> Record:
    return Record(
        id=str(entry.id),
        name=str(entry.name).lower(),
        type=str(entry.type),
        content=str(getattr(entry, "content", None) or ""),
        ttl=int(getattr(entry, "ttl", None) or 1),
        proxied=bool(getattr(entry, "proxied", False)),
        comment=str(getattr(entry, "comment", None) or ""),
    )


def _pages(what: str, function: t.Callable[..., t.Any], **kwargs: t.Any) -> list[t.Any]:
    """All items of all pages. A page that is short by the server's own page size is the last; else the SDK would ask for one more."""

    def read() -> list[t.Any]:
        found: list[t.Any] = []
        for page in function(**kwargs).iter_pages():
            found += page.result or []
            size = getattr(page.result_info, "per_page", None)
            if size and len(page.result or []) < size:
                break
        return found

    return t.cast("list[t.Any]", _call(what, read))


def _call(what: str, function: t.Callable[..., t.Any], **kwargs: t.Any) -> t.Any:
    import cloudflare

    try:
        return function(**kwargs)
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
