# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which records are ours, and exactly what is sent to change them."""

from __future__ import annotations

import dataclasses
import typing as t

import httpx
import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare import client as calls
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare.client import CloudflareError, connect
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare.ownership import is_marked_for, mark, owner
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare.records import RecordOptions, read_options, work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError

from .exchange import PATH, ZONE, Expect, batch, marked, read_zone, record, refusal, result, scripted, under, zone

W1, W10 = "fargle-worker-1", "fargle-worker-10"
FQDN = f"{W1}.example.com"
MARK = f"k8s_cluster.manager cluster=fargle node={W1}"
SENT = {"name": FQDN, "type": "A", "content": "10.0.0.1", "ttl": 1, "proxied": False, "comment": MARK}
OURS = record("r1", FQDN, "10.0.0.1", MARK)


def options(*records: dict[str, t.Any], check_mode: bool = False, **changes: t.Any) -> RecordOptions:
    params = {"api_token": "token", "zone_id": ZONE, "domain": None, "cluster": "fargle", "records": list(records), "state": "present", **changes}
    return read_options(params, check_mode)


def w1(**changes: t.Any) -> dict[str, t.Any]:
    return {"node": W1, "name": FQDN, "content": "10.0.0.1", **changes}


def summaries(outcome: t.Any) -> list[tuple[str, str, str]]:
    return [(step.verb, step.node, step.target) for step in outcome.steps]


# ---- the mark


def test_mark_is_readable_and_fits() -> None:
    assert mark("fargle", W1) == "k8s_cluster.manager cluster=fargle node=fargle-worker-1"
    assert owner(MARK) == ("fargle", W1)
    assert is_marked_for(MARK, "fargle")


@pytest.mark.parametrize("cluster", ["fargle", "c" * 40, "c" * 63])
def test_long_names_are_shortened_the_same_way_every_time(cluster: str) -> None:
    one, other = mark(cluster, "n" * 80), mark(cluster, "n" * 79 + "m")
    assert len(one) <= 100
    assert one == mark(cluster, "n" * 80) != other
    assert is_marked_for(one, cluster)
    assert not is_marked_for(one, cluster + "2")


@pytest.mark.parametrize("comment", ["", "mine", f"see {MARK}", f"{MARK} and more", MARK.replace("fargle ", "fargle2 ")])
def test_other_comments_are_not_our_mark(comment: str) -> None:
    assert not is_marked_for(comment, "fargle")


# ---- present


def test_creates_and_reads_back() -> None:
    with scripted(read_zone(), under("example.com"), marked(), batch(posts=[SENT]), under("example.com", OURS), marked(OURS)) as client:
        outcome = work(options(w1()), client, check_mode=False)
    assert summaries(outcome) == [("create", W1, f"A {FQDN}")]
    assert outcome.nodes[0]["records"][0]["id"] == "r1"
    assert outcome.failures == {}


def test_second_run_changes_nothing() -> None:
    with scripted(read_zone(), under("example.com", OURS), marked(OURS)) as client:
        assert work(options(w1()), client, check_mode=False).steps == []


def test_check_mode_plans_the_same_and_sends_nothing() -> None:
    with scripted(read_zone(), under("example.com"), marked()) as client:
        assert summaries(work(options(w1(), check_mode=True), client, check_mode=True)) == [("create", W1, f"A {FQDN}")]


def test_check_mode_accepts_a_node_without_address() -> None:
    with scripted(read_zone(), under("example.com"), marked()) as client:
        outcome = work(options(w1(content=None), check_mode=True), client, check_mode=True)
    assert summaries(outcome) == [("create", W1, f"A {FQDN}")]
    assert outcome.steps[0].after is not None
    assert outcome.steps[0].after["content"] is None


def test_E1_neighbours_with_similar_names_are_not_touched() -> None:
    neighbours = [
        record("r10", f"{W10}.example.com", "10.0.0.10", MARK + "0"),
        record("rx", f"my-{FQDN}", "10.0.0.11"),
        record("r2", FQDN, "10.0.0.1", MARK.replace("fargle ", "fargle2 "), type="TXT"),
    ]
    script = [read_zone(), under("example.com", OURS, *neighbours), marked(OURS, neighbours[0]), batch(deletes=[{"id": "r1"}])]
    with scripted(*script, under("example.com", *neighbours), marked(neighbours[0])) as client:
        outcome = work(options(w1(), state="absent"), client, check_mode=False)
    assert summaries(outcome) == [("delete", W1, f"A {FQDN}")]


def test_E1_names_that_contain_ours_are_not_taken_for_ours() -> None:
    neighbours = [record("rx", f"my-{FQDN}", "10.0.0.1"), record("ry", f"my-{FQDN}", "192.0.2.1"), record("rt", FQDN, "10.0.0.1", type="TXT")]
    with scripted(read_zone(), under("example.com", OURS, *neighbours), marked(OURS)) as client:
        outcome = work(options(w1()), client, check_mode=False)
    assert (outcome.steps, outcome.failures) == ([], {})


def test_E1_other_cluster_of_the_same_node_name_is_not_touched() -> None:
    other = record("r2", FQDN.replace("example", "example.example"), "10.0.0.1", MARK.replace("fargle ", "fargle2 "))
    with scripted(read_zone(), marked(other)) as client:
        assert work(options({"node": W1}, state="absent"), client, check_mode=False).steps == []


@pytest.mark.parametrize(
    ("foreign", "message"),
    [
        (record("f1", FQDN, "192.0.2.7", "mail server"), "is not marked as ours and has another address"),
        (record("f1", FQDN, "192.0.2.7", "k8s_cluster.manager cluster=barney node=b1"), "belongs to node b1 of cluster barney"),
        (record("f1", FQDN, "elsewhere.example.net", type="CNAME"), f"CNAME {FQDN} → elsewhere.example.net"),
    ],
)
def test_E2_foreign_record_is_refused_with_its_name_and_the_cure(foreign: dict[str, t.Any], message: str) -> None:
    with scripted(read_zone(), under("example.com", foreign), marked()) as client:
        outcome = work(options(w1()), client, check_mode=False)
    assert outcome.steps == []
    assert message in outcome.failures[W1]
    assert "ID f1" in outcome.failures[W1]
    assert "Delete it if nothing needs it" in outcome.failures[W1]


def test_E2_foreign_record_fails_only_its_node() -> None:
    foreign = record("f1", FQDN, "192.0.2.7")
    other = {"name": f"{W10}.example.com", "type": "A", "content": "10.0.0.10", "ttl": 1, "proxied": False, "comment": MARK + "0"}
    made = record("r10", f"{W10}.example.com", "10.0.0.10", MARK + "0")
    script = [read_zone(), under("example.com", foreign), marked(), batch(posts=[other]), under("example.com", foreign, made), marked(made)]
    with scripted(*script) as client:
        outcome = work(options(w1(), {"node": W10, "name": f"{W10}.example.com", "content": "10.0.0.10"}), client, check_mode=False)
    assert list(outcome.failures) == [W1]
    assert [len(node["records"]) for node in outcome.nodes] == [0, 1]


def test_E2_foreign_record_survives_deletion_with_a_warning() -> None:
    with scripted(read_zone(), under("example.com", record("f1", FQDN, "192.0.2.7")), marked()) as client:
        outcome = work(options(w1(), state="absent"), client, check_mode=False)
    assert (outcome.steps, outcome.failures) == ([], {})
    assert "left alone" in outcome.warnings[0]


def test_E3_equal_record_is_adopted_by_adding_the_mark() -> None:
    unmarked = record("r1", FQDN, "10.0.0.1", ttl=300)
    patch = {"id": "r1", **SENT, "ttl": 300}
    script = [read_zone(), under("example.com", unmarked), marked(), batch(patches=[patch]), under("example.com", {**OURS, "ttl": 300}), marked()]
    with scripted(*script) as client:
        assert summaries(work(options(w1()), client, check_mode=False)) == [("update", W1, f"A {FQDN}")]


@pytest.mark.parametrize("code", [81057, 81058])
def test_E3_record_that_came_meanwhile_counts_as_made(code: int) -> None:
    refused = batch(400, refusal(code), posts=[SENT])
    with scripted(read_zone(), under("example.com"), marked(), refused, under("example.com", OURS), marked(OURS)) as client:
        assert work(options(w1()), client, check_mode=False).failures == {}


def test_E3_races_are_tried_three_times_at_most() -> None:
    again = [batch(400, refusal(81057), posts=[SENT]), under("example.com"), marked()]
    with scripted(read_zone(), under("example.com"), marked(), *again, *again, *again) as client:
        outcome = work(options(w1()), client, check_mode=False)
    assert "create A fargle-worker-1.example.com: Cannot change DNS records: message 81057 (81057)" in outcome.failures[W1]


def test_E3_lost_answer_is_found_out_by_reading() -> None:
    lost = batch(posts=[SENT], answer=httpx.ReadTimeout("lost"))
    with scripted(read_zone(), under("example.com"), marked(), lost, under("example.com", OURS), marked(OURS)) as client:
        assert work(options(w1()), client, check_mode=False).failures == {}


def test_E4_all_pages_are_read_and_no_more() -> None:
    pages = [under("example.com", record("x1", "a.example.com", "10.0.0.8"), per_page=1), under("example.com", OURS, page=2, per_page=1)]
    last = under("example.com", page=3, per_page=1)
    with scripted(read_zone(), *pages, last, marked(OURS)) as client:
        assert work(options(w1()), client, check_mode=False).steps == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cluster": " "}, "cluster is empty"),
        ({"records": [{"node": "", "name": FQDN, "content": "10.0.0.1"}]}, r"records\[0\]: node is empty"),
        ({"records": [{"node": "", "name": ""}], "state": "absent"}, r"records\[0\]: node is empty"),
        ({"records": [w1(id="r1")]}, r"records\[0\]: id is only for state absent"),
        ({"records": [{"node": W1, "name": "", "content": "10.0.0.1"}]}, r"records\[0\]: name is empty"),
        ({"records": [{"node": W1, "name": "*.example.com", "content": "10.0.0.1"}]}, "must be one full name"),
        ({"records": [{"node": W1, "name": FQDN}]}, "content is empty"),
        ({"records": [{"node": W1, "name": FQDN, "content": "fd00::1"}]}, "fd00::1 is not an address for a record of type A"),
        ({"records": [w1(ttl=5)]}, "ttl 5 is neither 1"),
        ({"records": [w1(), w1(node="other")]}, "more than once"),
        ({"zone_id": ""}, "Which zone"),
        ({"api_token": ""}, r"api_token \(or CLOUDFLARE_API_TOKEN\) is empty"),
    ],
)
def test_E5_unusable_options_are_refused_before_any_call(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        options(**{"records": [], **changes}) if "records" not in changes else read_options(
            {"api_token": "token", "zone_id": ZONE, "domain": None, "cluster": "fargle", "state": "present", **changes}, False
        )


def test_E5_the_zone_itself_is_no_node() -> None:
    with scripted(read_zone()) as client, pytest.raises(InputError, match="the zone itself"):
        work(options(w1(name="example.com")), client, check_mode=False)


def test_E6_changed_address_updates_the_record() -> None:
    old = record("r1", FQDN, "10.0.0.99", MARK)
    script = [read_zone(), under("example.com", old), marked(old), batch(patches=[{"id": "r1", **SENT}]), under("example.com", OURS), marked(OURS)]
    with scripted(*script) as client:
        outcome = work(options(w1()), client, check_mode=False)
    assert outcome.steps[0].before is not None
    assert (outcome.steps[0].verb, outcome.steps[0].before["content"]) == ("update", "10.0.0.99")


def test_E6_of_several_records_of_ours_one_stays() -> None:
    twins = [record("r0", FQDN, "10.0.0.99", MARK), OURS, record("r2", FQDN, "10.0.0.1")]
    script = [read_zone(), under("example.com", *twins), marked(*twins[:2]), batch(deletes=[{"id": "r2"}, {"id": "r0"}])]
    with scripted(*script, under("example.com", OURS), marked(OURS)) as client:
        outcome = work(options(w1()), client, check_mode=False)
    assert [verb for verb, _node, _target in summaries(outcome)] == ["delete", "delete"]


def test_E6_proxied_record_of_ours_is_unproxied() -> None:
    proxied = {**OURS, "proxied": True}
    script = [read_zone(), under("example.com", proxied), marked(proxied), batch(patches=[{"id": "r1", **SENT}]), under("example.com", OURS), marked(OURS)]
    with scripted(*script) as client:
        assert summaries(work(options(w1()), client, check_mode=False)) == [("update", W1, f"A {FQDN}")]


# ---- absent


def test_E7_stale_record_is_found_by_its_mark_alone() -> None:
    stale = record("r1", f"{W1}.old.example.com", "10.9.9.9", MARK)
    with scripted(read_zone(), marked(stale), batch(deletes=[{"id": "r1"}]), marked()) as client:
        outcome = work(options({"node": W1}, state="absent"), client, check_mode=False)
    assert summaries(outcome) == [("delete", W1, f"A {W1}.old.example.com")]


def test_E7_unmarked_record_of_this_address_is_deleted() -> None:
    legacy = record("r1", FQDN, "10.0.0.1")
    with scripted(read_zone(), under("example.com", legacy), marked(), batch(deletes=[{"id": "r1"}]), under("example.com"), marked()) as client:
        assert summaries(work(options(w1(), state="absent"), client, check_mode=False)) == [("delete", W1, f"A {FQDN}")]


def test_absent_by_id_takes_that_one_alone() -> None:
    """What else has the node's mark, and another content under that ID since, stays."""
    other = record("r2", f"old.{FQDN}", "10.0.0.1", MARK)
    with scripted(read_zone(), marked(OURS, other), batch(deletes=[{"id": "r1"}]), marked(other)) as client:
        assert summaries(work(options({"node": W1, "id": "r1"}, state="absent"), client, check_mode=False)) == [("delete", W1, f"A {FQDN}")]


@pytest.mark.parametrize(
    ("there", "asked"),
    [(OURS, {"id": "r1", "content": "10.0.0.2"}), (OURS, {"id": "r9"}), (record("r1", FQDN, "10.0.0.1", MARK.replace("fargle ", "fargle2 ")), {"id": "r1"})],
)
def test_absent_by_id_leaves_what_is_not_that_record(there: dict[str, t.Any], asked: dict[str, str]) -> None:
    with scripted(read_zone(), under("example.com", there), marked()) as client:
        outcome = work(options({"node": W1, **asked}, state="absent", domain="example.com"), client, check_mode=False)
    assert (outcome.steps, outcome.failures) == ([], {})


def test_two_records_of_one_name_are_told_apart_by_id() -> None:
    assert len(options(w1(id="r1"), w1(id="r2"), state="absent").records) == 2


def test_absent_of_nothing_is_fine() -> None:
    with scripted(read_zone(), marked()) as client:
        assert work(options({"node": W1}, state="absent"), client, check_mode=False).steps == []


# ---- batches


def test_large_sets_go_in_chunks_with_deletes_before_creates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BATCH", 2)
    names = [f"n{number}" for number in range(3)]
    sent: list[dict[str, t.Any]] = [{**SENT, "name": f"{n}.example.com", "comment": f"k8s_cluster.manager cluster=fargle node={n}"} for n in names]
    made = [record(f"r{i}", s["name"], "10.0.0.1", s["comment"]) for i, s in enumerate(sent)]
    twin = record("z9", "n0.example.com", "10.0.0.1", sent[0]["comment"])
    script = [
        read_zone(),
        under("example.com", made[0], twin),
        marked(made[0], twin),
        batch(deletes=[{"id": "z9"}], posts=[sent[1]]),
        batch(posts=[sent[2]]),
        under("example.com", *made),
        marked(*made),
    ]
    with scripted(*script) as client:
        wanted = [{"node": n, "name": f"{n}.example.com", "content": "10.0.0.1"} for n in names]
        assert work(options(*wanted), client, check_mode=False).failures == {}


def test_refused_batch_fails_its_nodes_and_is_not_repeated() -> None:
    refused = batch(400, refusal(81045), posts=[SENT])
    with scripted(read_zone(), under("example.com"), marked(), refused, under("example.com"), marked()) as client:
        assert "message 81045 (81045)" in work(options(w1()), client, check_mode=False).failures[W1]


# ---- zone, token, info


def zones(*entries: dict[str, t.Any], page: int = 1, per_page: int = 50) -> Expect:
    query = {"per_page": "50", **({"page": str(page)} if page > 1 else {})}
    return Expect("GET", "/client/v4/zones", result(list(entries), page=page, per_page=per_page), query=query)


def test_zone_is_the_longest_that_the_domain_ends_in_over_all_pages() -> None:
    script = [
        zones(zone("example.com", "f" * 32), zone("ample.com", "e" * 32), per_page=2),
        zones(zone("k8s.example.com"), page=2, per_page=2),
        under("k8s.example.com"),
        marked(),
    ]
    with scripted(*script) as client:
        outcome = work(options(domain="k8s.example.com", zone_id=None), client, check_mode=False)
    assert outcome.values["zone"] == {"id": ZONE, "name": "k8s.example.com"}


def test_no_zone_for_the_domain() -> None:
    with scripted(zones(zone("example.com"))) as client, pytest.raises(InputError, match="sees no zone for notexample.com. Check domain"):
        work(options(domain="notexample.com", zone_id=None), client, check_mode=False)


def test_a_known_zone_is_asked_for_in_check_mode_only() -> None:
    known = {"zone_name": "example.com"}
    with scripted(read_zone(), under("example.com", OURS), marked(OURS)) as client:
        work(options(w1(), **known), client, check_mode=True)
    with scripted(under("example.com", OURS), marked(OURS)) as client:
        assert work(options(w1(), **known), client, check_mode=False).values["zone"] == {"id": ZONE, "name": "example.com"}
    with scripted() as client, pytest.raises(InputError, match="is not in zone example"):
        work(options(w1(name="w.example.net"), **known), client, check_mode=False)


def test_name_outside_the_zone_is_refused() -> None:
    with scripted(read_zone()) as client, pytest.raises(InputError, match=r"w\.example\.net is not in zone example\.com. Check domain and zone_id"):
        work(options(w1(name="w.example.net")), client, check_mode=False)


VERIFY = "/client/v4/user/tokens/verify"
NO_RECORDS = dataclasses.replace(under("example.com"), answer=refusal(10000), status=403)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            [Expect("GET", PATH, refusal(9109), 403), NO_RECORDS, Expect("GET", VERIFY, refusal(1000), 401)],
            "Check api_token",
        ),
        (
            [Expect("GET", PATH, refusal(9109), 403), NO_RECORDS, Expect("GET", VERIFY, result({"id": "t", "status": "active"}))],
            "The token itself is valid; it may lack rights on this zone",
        ),
        (
            [Expect("GET", PATH, refusal(10000), 403), NO_RECORDS, Expect("GET", VERIFY, result({"id": "t", "status": "expired"}))],
            "The token is expired",
        ),
        ([Expect("GET", PATH, refusal(7003), 404)], r"Check zone_id \(or CLOUDFLARE_ZONE_ID\)"),
    ],
)
def test_preflight_names_the_wrong_option(script: list[Expect], message: str) -> None:
    with scripted(*script) as client, pytest.raises(CloudflareError, match=message):
        work(options(w1(), check_mode=True), client, check_mode=True)


def test_token_without_zone_read_does_where_the_zone_has_such_records() -> None:
    forbidden = Expect("GET", PATH, refusal(9109), 403)
    neighbour = under("example.com", record("r9", "mail.example.com", "192.0.2.1"))
    with scripted(forbidden, neighbour, neighbour, marked()) as client:
        outcome = work(options(w1(), check_mode=True), client, check_mode=True)
    assert summaries(outcome) == [("create", W1, f"A {FQDN}")]


def test_token_without_zone_read_does_not_do_where_nothing_proves_the_zone() -> None:
    with scripted(Expect("GET", PATH, refusal(9109), 403), under("example.com")) as client, pytest.raises(CloudflareError, match="Zone / Zone / Read"):
        work(options(w1()), client, check_mode=False)


def test_preflight_warns_of_a_token_that_only_reads() -> None:
    with scripted(read_zone(permissions=["#dns_records:read", "#zone:read"]), under("example.com"), marked()) as client:
        outcome = work(options(w1(), check_mode=True), client, check_mode=True)
    assert "seems to lack DNS / Edit on zone example.com" in outcome.warnings[0]


def test_sdk_retries_throttling_at_the_pace_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    busy = Expect("GET", PATH, refusal(10013), 429, headers={"Retry-After": "7"})
    with scripted(busy, read_zone(), marked(), retries=calls.RETRIES) as client:
        work(options(), client, check_mode=False)
    assert slept == [7.0]


def test_only_the_token_authenticates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_EMAIL", "somebody@example.com")
    monkeypatch.setenv("CLOUDFLARE_API_KEY", "global")
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "http://127.0.0.1:5300/client/v4")
    client = connect("token")
    assert client.auth_headers == {"Authorization": "Bearer token"}
    assert str(client.base_url) == "http://127.0.0.1:5300/client/v4/"
    assert client.max_retries == calls.RETRIES


def test_info_shows_the_cluster_and_the_domain_but_not_other_clusters() -> None:
    neighbour = record("r9", "mail.example.com", "192.0.2.1")
    elsewhere = record("r5", f"{W10}.example.org", "10.0.0.10", MARK + "0")
    look_alike = record("r6", "x.example.org", "10.0.0.12", "k8s_cluster.manager cluster=fargle2 node=x")
    with scripted(read_zone(), under("example.com", OURS, neighbour), marked(OURS, elsewhere, look_alike)) as client:
        outcome = work(options(domain="example.com"), client, check_mode=False)
    assert [(r["id"], r["node"], r["ours"]) for r in outcome.values["records"]] == [("r1", W1, True), ("r5", W10, True), ("r9", "", False)]


def test_a_list_that_is_null_has_nothing_in_it() -> None:
    with scripted(Expect("GET", f"{PATH}/dns_records", result(None), query={"per_page": "1000"})) as client:
        assert calls.list_records(client, ZONE) == []


@pytest.mark.parametrize("answer", [[], "<html>", {}, {"success": True}, result({"a": 1}), result("text")])
def test_what_is_no_list_of_cloudflares_is_said(answer: t.Any) -> None:
    expected = Expect("GET", f"{PATH}/dns_records", answer, query={"per_page": "1000"})
    with scripted(expected) as client, pytest.raises(CloudflareError, match="what answers is not Cloudflare's API"):
        calls.list_records(client, ZONE)


def test_a_zone_that_is_null_is_said() -> None:
    with scripted(Expect("GET", PATH, result(None))) as client, pytest.raises(CloudflareError, match="what answers is not Cloudflare's API"):
        calls.read_zone(client, ZONE)
