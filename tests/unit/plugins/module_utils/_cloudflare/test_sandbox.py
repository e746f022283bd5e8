# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same work against the simulated Cloudflare API, which refuses what the real one refuses."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare.client import CloudflareError, connect
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare.records import work

from tests.unit.plugins.module_utils._cloudflare.lab import W1, Lab


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
