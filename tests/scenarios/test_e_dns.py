# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""E: DNS. cloudflare_record against the simulated API, in a zone that others use too."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare import client as calls
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare.client import connect
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare.records import work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome

from tests.sandbox.calls import Fault
from tests.unit.plugins.module_utils._cloudflare.lab import MARK, W1, Lab


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Lab]:
    made = Lab()
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", made.part.base_url)
    yield made
    made.part.stop()


def play(lab: Lab, *records: dict[str, t.Any], **changes: t.Any) -> Outcome:
    """cloudflare_record's outcome."""
    return work(lab.options(*records, **changes), connect(lab.part.token), check_mode=False)


def addresses(lab: Lab, name: str = "w1.example.com") -> list[str]:
    """The A records of a name."""
    return [record["content"] for record in lab.records().values() if (record["name"], record["type"]) == (name, "A")]


def test_E2_foreign_record_is_neither_changed_nor_deleted(lab: Lab) -> None:
    lab.part.add_record("A", "w1.example.com", "192.0.2.1", comment="printer")
    client, before = connect(lab.part.token), lab.records()
    assert "192.0.2.1" in work(lab.options(W1), client, check_mode=False).failures["w1"]
    assert work(lab.options(W1, state="absent"), client, check_mode=False).steps == []
    assert lab.records() == before


def test_E3_unmarked_record_with_this_address_is_adopted(lab: Lab) -> None:
    record = lab.part.add_record("A", "w1.example.com", "10.0.0.1", ttl=300)
    work(lab.options(W1), connect(lab.part.token), check_mode=False)
    assert {key: lab.records()[record["id"]][key] for key in ("comment", "ttl", "content")} == {"comment": MARK, "ttl": 300, "content": "10.0.0.1"}


def test_E4_records_on_later_pages_are_seen(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PAGE", 50)
    for number in range(120):
        lab.part.add_record("A", f"a{number}.example.com", "192.0.2.9")
    lab.part.add_record("A", "w1.example.com", "10.0.0.1", comment=MARK)
    assert work(lab.options(W1), connect(lab.part.token), check_mode=False).steps == []
    assert [call.operation for call in lab.ledger.calls].count("list_records") == 4


@pytest.mark.parametrize("kind", ["throttle", "error", "lost_reply"])
@pytest.mark.parametrize("operation", ["batch_records", "list_records", "get_zone"])
def test_E6_exactly_one_record_whatever_happens_to_a_call(lab: Lab, monkeypatch: pytest.MonkeyPatch, operation: str, kind: str) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    lab.ledger.faults = [Fault(kind, "cloudflare", operation, ordinals=[1])]
    outcome = work(lab.options(W1), connect(lab.part.token), check_mode=False)
    assert outcome.failures == {}
    assert [r["content"] for r in lab.records().values() if r["name"] == "w1.example.com" and r["type"] == "A"] == ["10.0.0.1"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_E1_neighbours_with_similar_names_are_not_touched(lab: Lab, state: str) -> None:
    """w10, my-w1, and a TXT record of the very name; nothing is found by a part of its name, and nothing is purged."""
    lab.part.add_record("A", "w1.example.com", "10.0.0.1", comment=MARK)
    lab.part.add_record("A", "w1.example.com.example.com", "10.0.0.12")
    neighbours = {key: record for key, record in lab.records().items() if record["name"] != "w1.example.com" or record["type"] != "A"}
    assert play(lab, {**W1, "content": "10.0.0.7"} if state == "present" else {"node": "w1"}, state=state).failures == {}
    left = lab.records()
    assert {key: left.get(key) for key in neighbours} == neighbours
    assert addresses(lab) == (["10.0.0.7"] if state == "present" else [])


def test_E1_other_clusters_node_of_the_same_name_keeps_its_record(lab: Lab) -> None:
    other = lab.part.add_record("A", "w1.dev.example.com", "10.9.0.1", comment="k8s_cluster.manager cluster=dev node=w1")
    play(lab, W1)
    play(lab, {"node": "w1"}, state="absent", domain="example.com")
    assert other["id"] in lab.records()
    assert addresses(lab) == []


def test_E3_record_that_somebody_makes_meanwhile_is_adopted_when_equal(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service refuses a second one of the same name, type and content."""
    client = connect(lab.part.token)
    lab.ledger.faults = [Fault("lost_reply", "cloudflare", "batch_records", ordinals=[1])]
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    assert work(lab.options(W1), client, check_mode=False).failures == {}
    assert addresses(lab) == ["10.0.0.1"]
    assert work(lab.options(W1), client, check_mode=False).steps == []


@pytest.mark.parametrize("record", [{"node": "w1", "name": "", "content": "10.0.0.1"}, {"node": "", "name": "w1.example.com", "content": "10.0.0.1"}], ids=str)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_E5_empty_names_are_refused_before_any_call(lab: Lab, record: dict[str, str], state: str) -> None:
    if (record["name"], state) == ("", "absent"):
        # Without a name a node's records are found by its mark; that is not the zone.
        before = lab.records()
        assert play(lab, record, state=state).steps == []
        assert lab.records() == before
        return
    with pytest.raises(InputError, match="is empty"):
        play(lab, record, state=state)
    assert lab.ledger.calls == []


def test_E5_the_zone_itself_is_no_node(lab: Lab) -> None:
    before = lab.records()
    with pytest.raises(InputError):
        play(lab, {**W1, "name": "example.com"}, domain="example.com")
    assert lab.records() == before


def test_E6_changed_address_updates_the_record(lab: Lab) -> None:
    play(lab, W1)
    (before,) = [key for key, record in lab.records().items() if record["content"] == "10.0.0.1"]
    outcome = play(lab, {**W1, "content": "10.0.0.2"})
    assert [step.verb for step in outcome.steps] == ["update"]
    assert addresses(lab) == ["10.0.0.2"]
    assert lab.records()[before]["content"] == "10.0.0.2"


def test_E6_of_several_records_of_ours_one_stays(lab: Lab) -> None:
    for address in ("10.0.0.3", "10.0.0.4"):
        lab.part.add_record("A", "w1.example.com", address, comment=MARK)
    assert play(lab, W1).failures == {}
    assert addresses(lab) == ["10.0.0.1"]


@pytest.mark.parametrize("record", [{"node": "w1"}, {"node": "w1", "name": "w1.example.com", "content": "10.0.0.1"}], ids=["by its mark", "by its address"])
def test_E7_stale_record_of_a_deletion_that_died_is_found_and_removed(lab: Lab, record: dict[str, str]) -> None:
    """The VM may be gone with all that it told; an old tool's record has no mark, but this VM's address."""
    lab.part.add_record("A", "w1.example.com", "10.0.0.1", comment=MARK if "name" not in record else "")
    assert [step.verb for step in play(lab, record, state="absent").steps] == ["delete"]
    assert addresses(lab) == []
    assert play(lab, record, state="absent").steps == []
