# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes a creation works on."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.filter import nodes as filters
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils import _names

NOTHING: dict[str, t.Any] = {"count": None, "existing": [], "unfinished": [], "seen": [], "prefix": "a-worker-"}


def names(wanted: t.Sequence[str] = (), **how: t.Any) -> list[str]:
    return _names.names_to_create(wanted, **{**NOTHING, **how})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        (None, []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a\nb\r\n c ", ["a", "b", "c"]),
        (["a", "b,c"], ["a", "b", "c"]),
        (["", None], []),
    ],
)
def test_names_come_as_lists_or_joined_text(value: t.Any, expected: list[str]) -> None:
    assert _names.name_list(value) == expected


def test_named_nodes_are_exactly_those() -> None:
    assert names(["x", "y", "x"], existing=["a-worker-1"], unfinished=["a-worker-1"]) == ["x", "y"]


def test_without_names_or_count_one_more() -> None:
    assert names(existing=["a-worker-1", "a-worker-2"]) == ["a-worker-3"]


def test_an_unfinished_node_is_finished_before_another_is_made() -> None:
    assert names(existing=["a-worker-1", "a-worker-2"], unfinished=["a-worker-2"]) == ["a-worker-2"]


def test_count_is_the_total_and_never_deletes() -> None:
    existing = ["a-worker-1", "a-worker-2", "a-worker-3"]
    assert names(existing=existing, count=5) == ["a-worker-4", "a-worker-5"]
    assert names(existing=existing, count=3) == []
    assert names(existing=existing, count=0) == []
    assert names(existing=existing, unfinished=["a-worker-3"], count=4) == ["a-worker-3", "a-worker-4"]


def test_numbers_go_on_after_the_highest_ever_visible() -> None:
    seen = ["a-worker-9.example.com", "b-worker-40", "a-worker-12x", "xa-worker-30", "a-worker-7"]
    assert names(seen=seen) == ["a-worker-10"]


def test_a_count_that_came_as_text_is_a_number() -> None:
    assert filters.node_names("", **{**NOTHING, "count": "2"}) == ["a-worker-1", "a-worker-2"]
    assert filters.node_names("", **{**NOTHING, "count": " "}) == ["a-worker-1"]


@pytest.mark.parametrize("blank", ["", "  ", None, []])
def test_blank_means_unset(blank: t.Any) -> None:
    assert filters.given(blank, "fallback") == "fallback"


@pytest.mark.parametrize("value", [0, False, "0", ["x"]])
def test_zero_and_false_are_values(value: t.Any) -> None:
    assert filters.given(value, "fallback") == value


def test_records_join_what_modules_said_of_a_node() -> None:
    launched = [{"name": "a", "private_ip": "10.0.0.1", "az": None}, {"name": "other", "private_ip": "10.0.0.9"}]
    records = _names.node_records(
        ["a", "b"],
        [launched],
        keys=["name", "hostname", "address", "az", "labels"],
        rename={"private_ip": "address"},
        common={"labels": {"x": "y"}},
        domain="d.e",
    )
    assert records == [
        {"name": "a", "hostname": "a.d.e", "address": "10.0.0.1", "labels": {"x": "y"}},
        {"name": "b", "hostname": "b.d.e", "labels": {"x": "y"}},
    ]


def test_timings_are_by_node_and_step() -> None:
    launch = {"nodes": [{"name": "n1", "timing": {"running": 3.0}}, {"name": "other", "timing": {"running": 1.0}}, {"name": "n2"}]}
    steps = {"launch": launch, "talos": {"nodes": [{"name": "n1", "timing": {"joined": 9.5}}]}, "skipped": {}, "failed": {"nodes": None}}
    expected = [{"name": "n1", "timing": {"launch": {"running": 3.0}, "talos": {"joined": 9.5}}}]
    assert _names.node_timings(["n1", "n2"], steps) == expected


def test_a_node_without_address_gets_a_record_without_content() -> None:
    assert _names.dns_records([{"name": "a", "address": "10.0.0.1"}, {"name": "b"}], "d.e") == [
        {"node": "a", "name": "a.d.e", "type": "A", "content": "10.0.0.1"},
        {"node": "b", "name": "b.d.e", "type": "A"},
    ]


def test_without_a_domain_a_record_is_found_by_its_node() -> None:
    assert _names.dns_records([{"name": "a"}], "") == [{"node": "a", "type": "A"}]
