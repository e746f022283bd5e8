# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Label and field selectors: the query language of lists and watches, and the selectors inside objects."""

from __future__ import annotations

import re
import typing as t

from .errors import bad_request
from .resources import Resource

Labels = t.Mapping[str, str]
Test = t.Callable[[dict[str, t.Any]], bool]

SET_TERM = re.compile(r"^\s*(?P<key>\S+)\s+(?P<op>in|notin)\s+\((?P<values>[^)]*)\)\s*$")
EQUAL_TERM = re.compile(r"^\s*(?P<key>[^\s=!]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s=!]*)\s*$")
EXISTS_TERM = re.compile(r"^\s*(?P<not>!?)\s*(?P<key>[A-Za-z0-9][A-Za-z0-9_./-]*)\s*$")


def requirement(labels: Labels, key: str, operator: str, values: t.Sequence[str]) -> bool:
    """One matchExpression."""
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    try:
        number, limit = int(labels[key]), int(values[0])
    except (KeyError, ValueError, IndexError):
        return False
    return number > limit if operator == "Gt" else number < limit


def matches(selector: t.Mapping[str, t.Any] | None, labels: Labels) -> bool:
    """A LabelSelector object; an empty one matches everything (and a missing one too: callers for whom it means nothing ask first)."""
    chosen = selector or {}
    wanted = (chosen.get("matchLabels") or {}).items()
    expressions = chosen.get("matchExpressions") or []
    return all(labels.get(key) == value for key, value in wanted) and all(
        requirement(labels, term["key"], term["operator"], term.get("values") or []) for term in expressions
    )


def _split(text: str) -> list[str]:
    """Terms separated by commas outside parentheses."""
    return [term for term in re.split(r",(?![^()]*\))", text) if term.strip()]


def _label_term(term: str) -> tuple[str, str, list[str]]:
    if found := SET_TERM.match(term):
        return found["key"], "In" if found["op"] == "in" else "NotIn", [value.strip() for value in found["values"].split(",")]
    if found := EQUAL_TERM.match(term):
        return found["key"], "NotIn" if found["op"] == "!=" else "In", [found["value"]]
    if found := EXISTS_TERM.match(term):
        return found["key"], "DoesNotExist" if found["not"] else "Exists", []
    raise bad_request(f"unable to parse requirement: found '{term}', expected: in, notin, =, ==, !=, gt, lt")


def label_test(text: str) -> Test:
    """A test for the labelSelector parameter."""
    terms = [_label_term(term) for term in _split(text)]
    return lambda obj: all(requirement(obj["metadata"].get("labels") or {}, *term) for term in terms)


def _field(obj: dict[str, t.Any], path: str) -> str:
    found: t.Any = obj
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, bool):
        return "true" if found else "false"
    return "" if found is None else str(found)


def _field_term(resource: Resource, term: str) -> tuple[str, bool, str]:
    found = EQUAL_TERM.match(term)
    if not found:
        raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
    if found["key"] not in resource.fields:
        raise bad_request(f"field label not supported: {found['key']}" if resource.group == "" else f'"{found["key"]}" is not a known field selector')
    return found["key"], found["op"] != "!=", found["value"]


def field_test(resource: Resource, text: str) -> Test:
    """A test for the fieldSelector parameter; unschedulable is false where it is not set."""
    terms = [_field_term(resource, term) for term in _split(text)]

    def value(obj: dict[str, t.Any], path: str) -> str:
        return _field(obj, path) or ("false" if path == "spec.unschedulable" else "")

    return lambda obj: all((value(obj, path) == wanted) is equal for path, equal, wanted in terms)
