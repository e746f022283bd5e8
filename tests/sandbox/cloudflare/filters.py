# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The query language of lists: exact and partial filters, how they combine, order and pages."""

from __future__ import annotations

import typing as t

from .records import Record

Query = t.Mapping[str, str]
Entry = dict[str, t.Any]

OPERATORS: dict[str, t.Callable[[str, str], bool]] = {
    "exact": lambda value, wanted: value == wanted,
    "contains": lambda value, wanted: wanted in value,
    "startswith": lambda value, wanted: value.startswith(wanted),
    "endswith": lambda value, wanted: value.endswith(wanted),
}
# Of zones, in front of the name and a colon (cloudflare SDK, types/zones/zone_list_params.py).
ZONE_OPERATORS: dict[str, t.Callable[[str, str], bool]] = {
    "equal": OPERATORS["exact"],
    "not_equal": lambda value, wanted: value != wanted,
    "starts_with": OPERATORS["startswith"],
    "ends_with": OPERATORS["endswith"],
    "contains": OPERATORS["contains"],
}
ORDERS = ("type", "name", "content", "ttl", "proxied")


def _text_tests(record: Record, query: Query) -> t.Iterator[bool]:
    """Filters on name, content and comment ignore case; a bare name or content means exact."""
    for field in ("name", "content", "comment"):
        value = str(record.get(field) or "").lower()
        for word, test in OPERATORS.items():
            if f"{field}.{word}" in query:
                yield test(value, query[f"{field}.{word}"].lower())
        if field != "comment" and field in query:
            yield value == query[field].lower()
    if "comment.present" in query:
        yield bool(record.get("comment"))
    if "comment.absent" in query:
        yield not record.get("comment")


def _plain_tests(record: Record, query: Query) -> t.Iterator[bool]:
    if "type" in query:
        yield record["type"] == query["type"].upper()
    if "proxied" in query:
        yield record["proxied"] is (query["proxied"] == "true")
    for word, test in OPERATORS.items():
        if f"tag.{word}" in query:
            yield any(test(tag.lower(), query[f"tag.{word}"].lower()) for tag in record["tags"])
    if "tag.present" in query:
        yield any(tag.partition(":")[0].lower() == query["tag.present"].lower() for tag in record["tags"])


def chosen(records: t.Iterable[Record], query: Query) -> list[Record]:
    """The records that pass the filters (all of them, or with match=any at least one), in the order asked for."""
    combine = any if query.get("match") == "any" else all
    found = []
    for record in records:
        tests = [*_text_tests(record, query), *_plain_tests(record, query)]
        if not tests or combine(tests):
            found.append(record)
    order = query.get("order", "name")
    found.sort(key=lambda record: (str(record[order if order in ORDERS else "name"]), record["type"], record["content"]))
    return found[::-1] if query.get("direction") == "desc" else found


def zone_matches(name: str, text: str) -> bool:
    """Whether a zone's name passes the name parameter, which may begin with an operator."""
    word, colon, wanted = text.partition(":")
    if colon and word in ZONE_OPERATORS:
        return ZONE_OPERATORS[word](name, wanted.lower())
    return name == text.lower()


def page_of(items: list[Entry], query: Query, default: int, most: int) -> tuple[list[Entry], dict[str, int]]:
    """One page and its result_info. A size above the most is cut down to it, so that who trusts one page loses the rest."""
    size = max(1, min(int(float(query.get("per_page") or default)), most))
    number = max(1, int(float(query.get("page") or 1)))
    shown = items[(number - 1) * size : number * size]
    pages = -(-len(items) // size)
    return shown, {"page": number, "per_page": size, "count": len(shown), "total_count": len(items), "total_pages": pages}
