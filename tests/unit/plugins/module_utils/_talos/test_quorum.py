# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quorum arithmetic (D1) and which member a node is (D4), on all small clusters."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError, ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.client import EtcdMember
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.quorum import (
    Member,
    NodeRef,
    Quorum,
    find,
    parse_member_id,
    quorum,
    refusal,
    removal_order,
)


def make(number: int, sort: str = "H", **kwargs: t.Any) -> Member:
    """H healthy, S sick, L leader, l learner, a healthy but with an alarm, D dead."""
    row = EtcdMember(number, kwargs.get("hostname", f"cp-{number}"), kwargs.get("addresses", (f"10.0.0.{number}",)), sort == "l")
    problems = {"S": "no answer", "D": "connection refused", "a": "alarm CORRUPT"}
    return Member(row, problems.get(sort, ""), sort == "L", ("CORRUPT",) if sort == "a" else (), sort != "D")


def cluster(text: str) -> list[Member]:
    return [make(number, sort) for number, sort in enumerate(text, 1)]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ("", Quorum(0, 0, 1, -1)),
        ("H", Quorum(1, 1, 1, 0)),
        ("HH", Quorum(2, 2, 2, 0)),
        ("HHH", Quorum(3, 3, 2, 1)),
        ("HHS", Quorum(3, 2, 2, 0)),
        ("HSS", Quorum(3, 1, 2, -1)),
        ("HHHH", Quorum(4, 4, 3, 1)),
        ("HHHHS", Quorum(5, 4, 3, 1)),
        ("HHl", Quorum(2, 2, 2, 0)),
        ("HHHa", Quorum(4, 3, 3, 0)),
    ],
)
def test_quorum(members: str, expected: Quorum) -> None:
    assert quorum(cluster(members)) == expected


# members, who leaves, what the refusal says ("" = allowed)
D1 = [
    ("HHH", [1], ""),
    ("HHHH", [2], ""),
    ("HHHHH", [1, 2], ""),
    ("HHH", [1, 2], "a single control plane would be left"),
    ("HH", [1], "a single control plane would be left"),
    ("H", [1], "last control plane"),
    ("HHH", [1, 2, 3], "last control plane"),
    ("HHS", [1], "without .* only 1 of 2 voters would be healthy"),
    ("HHS", [3], ""),
    ("HHD", [3], ""),
    ("HS", [1], "a single control plane"),
    ("HS", [2], "a single control plane"),
    ("HSS", [2], "no quorum .1 of 3"),
    ("HHHHS", [1], "is healthy while others are not"),
    ("HHHHS", [5], ""),
    ("HHHHS", [1, 5], ""),
    ("HHHSS", [4], ""),
    ("HHHSS", [4, 5], ""),
    ("HHHSS", [1], "only 2 of 4 voters would be healthy"),
    ("HHHSS", [1, 4], "is healthy while others are not"),
    ("HHSSS", [4], "no quorum"),
    ("HHl", [3], ""),
    ("HHHl", [1], "still joining"),
    ("HHSl", [3], ""),
    ("HHHl", [1, 4], ""),
    ("HHa", [1], "without .* only 1 of 2"),
    ("HHa", [3], ""),
    ("aaa", [1], "no quorum .0 of 3"),
    ("HHH", [], ""),
    ("SSS", [], ""),
]


@pytest.mark.parametrize(("members", "leaving", "match"), D1)
def test_D1_table(members: str, leaving: list[int], match: str) -> None:
    why = refusal(cluster(members), leaving)
    if not match:
        assert why is None
        return
    with pytest.raises(ManagerError, match=match):
        raise ManagerError(why or "allowed")


@pytest.mark.parametrize(
    ("members", "leaving", "allowed"),
    [("HH", [1], True), ("HHH", [1, 2], True), ("HS", [2], False), ("HS", [1], False), ("HHS", [1, 3], True), ("HHS", [1, 2], False), ("H", [1], False)],
)
def test_D1_down_to_one_by_its_word(members: str, leaving: list[int], allowed: bool) -> None:
    assert (refusal(cluster(members), leaving, allow_single=True) is None) is allowed


def test_the_stronger_word_includes_the_weaker() -> None:
    assert refusal(cluster("HH"), [1], allow_last=True) is None


@pytest.mark.parametrize(("members", "leaving"), [("H", [1]), ("S", [1]), ("HHS", [1, 2, 3]), ("SS", [1, 2])])
def test_D8_last_by_its_word(members: str, leaving: list[int]) -> None:
    assert refusal(cluster(members), leaving, allow_last=True) is None
    assert "allow_last_control_plane" in str(refusal(cluster(members), leaving, allow_single=True))


def _possible(members: list[Member], leaving: set[int]) -> bool:
    """By trying every order: does one keep quorum before and after every step, with no healthy one going beside a sick one that stays?"""
    staying_sick = any(not member.healthy for member in members if member.id not in leaving)
    gone = [member for member in members if member.id in leaving]
    if staying_sick and any(member.healthy for member in gone):
        return False
    for order in itertools.permutations(gone):
        left = list(members)
        for member in order:
            before = sum(other.healthy for other in left) * 2 > len(left)
            left.remove(member)
            if not (before and sum(other.healthy for other in left) * 2 > len(left)):
                break
        else:
            return True
    return False


@pytest.mark.parametrize("size", range(1, 6))
def test_D1_every_small_cluster(size: int) -> None:
    """All states times all removals, judged by trying every order; leaving one or none is allowed here, and judged above."""
    judged = 0
    for health in itertools.product("HS", repeat=size):
        members = cluster("".join(health))
        for number in range(1, size):
            for leaving in itertools.combinations(range(1, size + 1), number):
                assert (refusal(members, leaving, allow_single=True) is None) == _possible(members, set(leaving)), (health, leaving)
                if number == size - 1:
                    assert refusal(members, leaving) is not None
                judged += 1
    assert judged == 2**size * (2**size - 2)


def test_removal_order_raises_tolerance_first() -> None:
    assert [member.id for member in removal_order(cluster("HLSlH"))] == [4, 3, 1, 5, 2]


NODE = NodeRef("fargle-cp-1", "10.0.0.1", "fargle-cp-1.example.org")


@pytest.mark.parametrize(
    ("node", "rows", "member_id", "ghosts"),
    [
        (NODE, [("fargle-cp-1", "10.0.0.1"), ("fargle-cp-10", "10.0.0.10")], 1, []),
        (NODE, [("fargle-cp-1.example.org", "10.0.0.1")], 1, []),
        (NodeRef("fargle-cp-1", "10.0.0.1"), [("ip-10-0-0-1", "10.0.0.1")], 1, []),
        # A name alone does not make it the node when its address is known: that is a machine that was here before.
        (NODE, [("fargle-cp-1", "10.0.0.7")], None, [1]),
        (NODE, [("fargle-cp-1", "10.0.0.1"), ("fargle-cp-1", "10.0.0.7")], 1, [2]),
        (NodeRef("fargle-cp-1"), [("fargle-cp-1", "10.0.0.7"), ("fargle-cp-11", "10.0.0.8")], 1, []),
        (NodeRef("fargle-cp-1"), [("fargle-cp-10", "10.0.0.7")], None, []),
        (NodeRef("fargle-cp-1", "10.0.0.1", member_id=2), [("fargle-cp-1", "10.0.0.1"), ("fargle-cp-1", "10.0.0.7")], 2, [1]),
        (NodeRef("fargle-cp-1", member_id=9), [("fargle-cp-1", "10.0.0.1")], None, [1]),
        (NODE, [("", "10.0.0.1")], 1, []),
    ],
)
def test_D4_find(node: NodeRef, rows: list[tuple[str, str]], member_id: int | None, ghosts: list[int]) -> None:
    members = [make(number, hostname=hostname, addresses=(address,)) for number, (hostname, address) in enumerate(rows, 1)]
    found, others = find(node, members)
    assert (found.id if found else None, [other.id for other in others]) == (member_id, ghosts)


@pytest.mark.parametrize(
    ("node", "rows", "match"),
    [
        (NodeRef("fargle-cp-1"), [("fargle-cp-1", "10.0.0.1"), ("fargle-cp-1", "10.0.0.7")], "several etcd members fit: 0000000000000001 .*0000000000000002"),
        (NODE, [("fargle-cp-1", "10.0.0.1"), ("fargle-cp-1", "10.0.0.1")], "several"),
        (NODE, [("other", "10.0.0.1")], "the etcd member at 10.0.0.1 is .*other.*, not fargle-cp-1.example.org"),
    ],
)
def test_D4_ambiguous(node: NodeRef, rows: list[tuple[str, str]], match: str) -> None:
    members = [make(number, hostname=hostname, addresses=(address,)) for number, (hostname, address) in enumerate(rows, 1)]
    with pytest.raises(ManagerError, match=match):
        find(node, members)


def test_member_ids() -> None:
    assert parse_member_id("") is None
    assert parse_member_id("00000000000000ff") == 255
    assert parse_member_id("fffffffffffffffe") == 2**64 - 2
    for text in ("x", "0", "1" * 17, "-1"):
        with pytest.raises(InputError, match="not an etcd member ID"):
            parse_member_id(text)
