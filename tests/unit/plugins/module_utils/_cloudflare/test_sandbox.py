# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same work against the simulated Cloudflare API, which refuses what the real one refuses."""

from __future__ import annotations

import socket
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare import client as calls
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare.client import CloudflareError, connect
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare.records import RecordOptions, read_options, work

from tests.sandbox.calls import Fault, Ledger
from tests.sandbox.cloudflare import CloudflarePart
from tests.unit.addresses import own_address

HOST = own_address(8)
W1 = {"node": "w1", "name": "w1.example.com", "content": "10.0.0.1"}
MARK = "k8s_cluster.manager cluster=fargle node=w1"


class Lab:
    """A started Cloudflare with a zone example.com that others use too."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        with socket.socket() as found:
            found.bind((HOST, 0))
            port = int(found.getsockname()[1])
        self.part = CloudflarePart(self.ledger, HOST, port=port, plan="pro")
        self.part.add_record("A", "w10.example.com", "10.0.0.10", comment=f"{MARK}0")
        self.part.add_record("A", "my-w1.example.com", "10.0.0.11")
        self.part.add_record("TXT", "w1.example.com", "a note of somebody else")
        self.part.start()

    def records(self) -> dict[str, dict[str, t.Any]]:
        """The zone's records by ID."""
        return {record["id"]: record for record in self.part.dump()["example.com"]["records"]}

    def options(self, *records: dict[str, t.Any], check_mode: bool = False, **changes: t.Any) -> RecordOptions:
        zone = {"zone_id": self.part.zone_id, "domain": None}
        params = {"api_token": self.part.token, **zone, "cluster": "fargle", "records": list(records), "state": "present", **changes}
        return read_options(params, check_mode)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Lab]:
    made = Lab()
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", made.part.base_url)
    yield made
    made.part.stop()


def test_create_repeat_move_delete(lab: Lab) -> None:
    client, before = connect(lab.part.token), lab.records()
    predicted = work(lab.options(W1, check_mode=True), client, check_mode=True)
    assert lab.records() == before
    made = work(lab.options(W1), client, check_mode=False)
    assert [step.summary() for step in made.steps] == [step.summary() for step in predicted.steps]
    assert work(lab.options(W1), client, check_mode=False).steps == []
    moved = work(lab.options({**W1, "content": "10.0.0.2"}), client, check_mode=False)
    assert [(step.verb, record["content"]) for step, record in zip(moved.steps, moved.nodes[0]["records"])] == [("update", "10.0.0.2")]  # noqa: B905
    work(lab.options({"node": "w1"}, state="absent"), client, check_mode=False)
    assert lab.records() == before


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


def test_more_records_than_a_batch_takes(lab: Lab) -> None:
    wanted = [{"node": f"n{number}", "name": f"n{number}.example.com", "content": "10.0.1.1"} for number in range(205)]
    assert work(lab.options(*wanted), connect(lab.part.token), check_mode=False).failures == {}
    assert [call.operation for call in lab.ledger.calls].count("batch_records") == 2
    work(lab.options(*[{"node": record["node"]} for record in wanted], state="absent"), connect(lab.part.token), check_mode=False)
    assert len(lab.records()) == 3


def test_quota_of_the_zone_is_named(lab: Lab) -> None:
    small = lab.part.add_zone("small.net", "free")
    for number in range(200):
        lab.part.add_record("A", f"a{number}.small.net", "192.0.2.9", zone_id=small)
    outcome = work(lab.options({**W1, "name": "w1.small.net"}, zone_id=small), connect(lab.part.token), check_mode=False)
    assert "The record quota has been exceeded. (81045)" in outcome.failures["w1"]


def test_zone_is_found_by_the_domain(lab: Lab) -> None:
    longer = lab.part.add_zone("k8s.example.com")
    outcome = work(lab.options(zone_id="", domain="x.k8s.example.com"), connect(lab.part.token), check_mode=False)
    assert outcome.values["zone"]["id"] == longer


@pytest.mark.parametrize(
    ("token", "zone_id", "message"),
    [
        ("short", "", r"Invalid request headers \(6003\). Check api_token"),
        ("x" * 40, "", r"Invalid access token \(9109\). Check api_token"),
        ("expired", "", "The token is expired"),
        ("elsewhere", "", "The token itself is valid; it may lack rights on this zone"),
        ("", "example.com", "Check zone_id .* not its name"),
        ("", "f" * 32, "Check zone_id"),
    ],
)
def test_preflight_names_the_wrong_input(lab: Lab, token: str, zone_id: str, message: str) -> None:
    other = lab.part.add_zone("other.net")
    made = {"expired": lambda: lab.part.add_token(status="expired"), "elsewhere": lambda: lab.part.add_token(zones=[other]), "": lambda: lab.part.token}
    client = connect(made.get(token, lambda: token)())
    with pytest.raises(CloudflareError, match=message):
        work(lab.options(W1, check_mode=True, zone_id=zone_id or lab.part.zone_id), client, check_mode=True)
    assert not [call for call in lab.ledger.calls if call.mutating]


def test_read_only_token_is_told_before_the_run(lab: Lab) -> None:
    client = connect(lab.part.add_token(permissions=["#zone:read", "#dns_records:read"]))
    assert "lack DNS / Edit" in work(lab.options(W1, check_mode=True), client, check_mode=True).warnings[0]
    assert "Check api_token" in work(lab.options(W1), client, check_mode=False).failures["w1"]


def test_token_that_only_edits_dns_does(lab: Lab) -> None:
    client = connect(lab.part.add_token(permissions=["#dns_records:edit"]))
    assert work(lab.options(W1), client, check_mode=False).failures == {}
