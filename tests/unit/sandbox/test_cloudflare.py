# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated Cloudflare API, driven by the official SDK.

Sources of the refusals stand beside them in tests/sandbox/cloudflare/refusals.py; limits and order are Cloudflare's documentation.
"""

from __future__ import annotations

import json
import socket
import typing as t
import urllib.error
import urllib.request

import cloudflare
import pytest
from cloudflare import Cloudflare

from tests.sandbox.calls import Fault, Ledger
from tests.sandbox.cloudflare import CloudflarePart
from tests.sandbox.cloudflare.refusals import Refusal
from tests.unit.addresses import own_address

HOST = own_address(3)


class Lab:
    """A started part with a client that holds its token."""

    def __init__(self, plan: str = "free") -> None:
        with socket.socket() as found:
            found.bind((HOST, 0))
            port = int(found.getsockname()[1])
        self.ledger = Ledger()
        self.part = CloudflarePart(self.ledger, HOST, port=port, plan=plan)
        self.part.start()
        self.zone = self.part.zone_id
        self.records = self.client(self.part.token).dns.records

    def client(self, token: str, **options: t.Any) -> Cloudflare:
        return Cloudflare(api_token=token, base_url=self.part.base_url, max_retries=options.pop("max_retries", 0), **options)

    def a(self, name: str, content: str = "10.0.1.7", **more: t.Any) -> t.Any:
        return self.records.create(zone_id=self.zone, name=name, type="A", content=content, **{"ttl": 60, **more})

    def stored(self) -> list[tuple[str, str, str]]:
        """Name, type and content of all records."""
        return [(record["name"], record["type"], record["content"]) for record in self.part.dump()["example.com"]["records"]]


@pytest.fixture
def lab() -> t.Iterator[Lab]:
    made = Lab()
    yield made
    made.part.stop()


def expect_refused(call: t.Callable[[], object]) -> tuple[int, int, str]:
    """(HTTP status, code, sentence) of the refusal; of a chain the last."""
    with pytest.raises(cloudflare.APIStatusError) as caught:
        call()
    body = t.cast("dict[str, t.Any]", caught.value.body)
    assert (body["success"], body["result"]) == (False, None)
    error = body["errors"][0]
    last = error.get("error_chain", [error])[-1]
    return caught.value.status_code, error["code"], last["message"]


# Life of a record


def test_create_read_edit_replace_delete(lab: Lab) -> None:
    made = lab.a("w1.example.com", comment="ours", proxied=False)
    assert (made.name, made.type, made.content, made.ttl, made.proxied, made.proxiable, made.comment, made.tags) == (
        "w1.example.com",
        "A",
        "10.0.1.7",
        60,
        False,
        False,
        "ours",
        [],
    )
    assert lab.records.get(made.id, zone_id=lab.zone).id == made.id
    edited = lab.records.edit(made.id, zone_id=lab.zone, content="10.0.1.8", name="w1.example.com", type="A", ttl=60)
    assert (edited.content, edited.comment, edited.id) == ("10.0.1.8", "ours", made.id)
    assert edited.created_on == made.created_on
    assert edited.modified_on > made.modified_on
    replaced = lab.records.update(made.id, zone_id=lab.zone, content="10.0.1.9", name="w1.example.com", type="A", ttl=1)
    assert (replaced.content, replaced.comment, replaced.ttl) == ("10.0.1.9", None, 1), "what a PUT does not name gets its default"
    assert lab.records.delete(made.id, zone_id=lab.zone).id == made.id
    assert lab.stored() == []


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("w1", "w1.example.com"),
        ("W1.Example.COM", "w1.example.com"),
        ("w1.k8s.example.com.", "w1.k8s.example.com"),
        ("@", "example.com"),
        ("example.com", "example.com"),
        ("*.apps", "*.apps.example.com"),
        # github.com/NewFuture/DDNS/issues/21: a name of another zone becomes one inside this zone.
        ("w1.other.org", "w1.other.org.example.com"),
    ],
)
def test_names_are_made_complete(lab: Lab, given: str, stored: str) -> None:
    assert lab.a(given).name == stored


def test_proxied_records_have_an_automatic_ttl(lab: Lab) -> None:
    made = lab.a("www", "203.0.114.10", proxied=True, ttl=3600)
    assert (made.proxied, made.proxiable, made.ttl) == (True, True, 1)


# Refusals


def test_81058_an_identical_record(lab: Lab) -> None:
    lab.a("w1", comment="first")
    assert expect_refused(lambda: lab.a("W1.example.com", comment="another")) == (400, 81058, "An identical record already exists.")


def test_81057_the_same_record_with_other_settings(lab: Lab) -> None:
    first = lab.a("w1")
    second = lab.a("w1", "10.0.1.8")
    assert expect_refused(lambda: lab.a("w1", ttl=120)) == (400, 81057, "Record already exists.")
    assert expect_refused(lambda: lab.records.edit(second.id, zone_id=lab.zone, name="w1", type="A", ttl=1, content=first.content))[:2] == (400, 81057)
    assert lab.stored() == [("w1.example.com", "A", "10.0.1.7"), ("w1.example.com", "A", "10.0.1.8")]


def test_81053_and_81054_cname_beside_an_address(lab: Lab) -> None:
    def alias(name: str, target: str) -> object:
        return lab.records.create(zone_id=lab.zone, name=name, type="CNAME", content=target, ttl=1)

    lab.a("w1")
    status, code, message = expect_refused(lambda: alias("w1", "lb.example.com"))
    assert (status, code) == (400, 81053)
    assert message.startswith("An A, AAAA, or CNAME record with that host already exists.")
    alias("grafana", "lb.example.com")
    assert expect_refused(lambda: alias("grafana", "other.example.com"))[:2] == (400, 81053)
    status, code, message = expect_refused(lambda: lab.a("grafana"))
    assert (status, code) == (400, 81054)
    assert message.startswith("A CNAME record with that host already exists.")


def test_a_txt_record_stands_beside_anything(lab: Lab) -> None:
    lab.a("w1")
    lab.records.create(zone_id=lab.zone, name="w1", type="TXT", content="not yours", ttl=1)
    assert len(lab.stored()) == 2


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"content": "10.0.1.256"}, 9005, "Content for A record must be a valid IPv4 address."),
        ({"content": "10.0.1.7", "type": "AAAA"}, 9006, "Content for AAAA record must be a valid IPv6 address."),
        ({"content": "", "type": "CNAME"}, 9007, "Content for CNAME record is invalid."),
        ({"name": "w 1"}, 9000, "DNS name is invalid."),
        ({"name": "a" * 64}, 9000, "DNS name is invalid."),
        ({"ttl": 59}, 9021, "TTL must be between 60 and 86400 seconds, or 1 for Automatic."),
        ({"ttl": 86401}, 9021, "TTL must be between 60 and 86400 seconds, or 1 for Automatic."),
        ({"ttl": "60"}, 9022, "TTL must be a number, not a string."),
        ({"proxied": True}, 9003, "Target 10.0.1.7 is not allowed for a proxied record."),
        ({"proxied": True, "content": "127.5.10.4"}, 9003, "Target 127.5.10.4 is not allowed for a proxied record."),
        ({"proxied": True, "type": "TXT"}, 9004, "This record type cannot be proxied."),
        ({"comment": "x" * 101}, 9313, "DNS record comment exceeds the maximum length of 100 characters."),
        ({"tags": ["owner:us"]}, 9300, "DNS record has 1 tags, exceeding the quota of 0."),
    ],
)
def test_validation(lab: Lab, fields: dict[str, t.Any], code: int, message: str) -> None:
    given = {"name": "w1", "type": "A", "content": "10.0.1.7", "ttl": 60, **fields}
    assert expect_refused(lambda: lab.records.create(zone_id=lab.zone, **given)) == (400, code, message)
    assert lab.stored() == []


def test_1004_type_and_body(lab: Lab) -> None:
    assert expect_refused(lambda: lab.records.create(zone_id=lab.zone, name="w1", type="SPF", content="x", ttl=1))[:2] == (400, 1004)
    raw = lab.client(lab.part.token)
    assert expect_refused(lambda: raw.post(f"/zones/{lab.zone}/dns_records", cast_to=object, body=[1]))[:2] == (400, 1004)


def test_limits_follow_the_plan() -> None:
    lab = Lab(plan="enterprise")
    try:
        made = lab.a("w1", ttl=30, comment="x" * 500, tags=["owner:us"])
        assert (made.ttl, made.tags) == (30, ["owner:us"])
        assert expect_refused(lambda: lab.a("w2", ttl=29))[1] == 9021
    finally:
        lab.part.stop()


def test_81045_the_quota_of_a_free_zone(lab: Lab) -> None:
    for number in range(200):
        lab.part.add_record("A", f"w{number}", "10.0.1.7")
    assert expect_refused(lambda: lab.a("one-more")) == (400, 81045, "The record quota has been exceeded.")


def test_81044_a_missing_record(lab: Lab) -> None:
    missing = "0" * 32
    for call in (
        lambda: lab.records.get(missing, zone_id=lab.zone),
        lambda: lab.records.delete(missing, zone_id=lab.zone),
        lambda: lab.records.edit(missing, zone_id=lab.zone, name="w1", type="A", ttl=1, content="10.0.1.7"),
    ):
        assert expect_refused(call) == (404, 81044, "Record does not exist.")


def test_the_part_itself_refuses_like_the_api(lab: Lab) -> None:
    with pytest.raises(Refusal, match="must be a valid IPv4 address"):
        lab.part.add_record("A", "w1", "nowhere")


# Lists


def test_filters(lab: Lab) -> None:
    for name, content, comment in (
        ("fargle-worker-1", "10.0.1.1", "k8s_cluster.manager cluster=fargle node=fargle-worker-1"),
        ("fargle-worker-10", "10.0.1.10", "k8s_cluster.manager cluster=fargle node=fargle-worker-10"),
        ("fargle2-worker-1", "10.0.2.1", "k8s_cluster.manager cluster=fargle2 node=fargle2-worker-1"),
        ("www", "10.0.1.1", ""),
    ):
        lab.part.add_record("A", name, content, comment=comment)
    lab.part.add_record("TXT", "fargle-worker-1", "10.0.1.1")

    def names(**query: t.Any) -> list[str]:
        return [f"{record.type} {record.name.removesuffix('.example.com')}" for record in lab.records.list(zone_id=lab.zone, **query)]

    assert names(name={"exact": "FARGLE-worker-1.example.com"}) == ["A fargle-worker-1", "TXT fargle-worker-1"]
    assert names(name={"exact": "fargle-worker-1.example.com"}, type="A") == ["A fargle-worker-1"]
    assert names(name={"contains": "worker-1"}, type="A") == ["A fargle-worker-1", "A fargle-worker-10", "A fargle2-worker-1"]
    assert names(name={"endswith": "worker-1.example.com", "startswith": "fargle2"}) == ["A fargle2-worker-1"]
    assert names(comment={"contains": "cluster=fargle "}) == ["A fargle-worker-1", "A fargle-worker-10"]
    assert names(comment={"startswith": "K8S_CLUSTER"}, content={"exact": "10.0.2.1"}) == ["A fargle2-worker-1"]
    assert names(comment={"absent": "true"}) == ["TXT fargle-worker-1", "A www"]
    assert names(comment={"present": "true"}, content={"endswith": ".10"}) == ["A fargle-worker-10"]
    assert names(match="any", name={"exact": "www.example.com"}, type="TXT") == ["TXT fargle-worker-1", "A www"]
    assert names(order="content", direction="desc", type="A")[0] == "A fargle2-worker-1"
    assert names(proxied=True) == []


def test_pages(lab: Lab) -> None:
    for number in range(120):
        lab.part.add_record("A", f"w{number:03}", "10.0.1.7")
    first = lab.records.list(zone_id=lab.zone)
    assert len(first.result) == 100
    assert first.result_info.total_count == 120
    assert [record.name for record in lab.records.list(zone_id=lab.zone, per_page=50)] == [f"w{number:03}.example.com" for number in range(120)]
    assert lab.records.list(zone_id=lab.zone, per_page=50, page=4).result == []


def test_zones(lab: Lab) -> None:
    for number in range(60):
        lab.part.add_zone(f"z{number:02}.org", status="pending" if number == 59 else "active")
    zones = lab.client(lab.part.token).zones
    page = zones.list(per_page=1000)
    assert len(page.result) == 50, "more than 50 are never shown at once"
    assert len(list(zones.list(per_page=50))) == 61
    assert [zone.id for zone in zones.list(name="example.com")] == [lab.zone]
    assert [zone.name for zone in zones.list(name="ends_with:59.org")] == ["z59.org"]
    assert [zone.name for zone in zones.list(status="pending")] == ["z59.org"]
    assert list(zones.list(name="nowhere.example.com")) == []
    found = zones.get(zone_id=lab.zone)
    assert (found.name, found.status) == ("example.com", "active")


# Batches


def test_a_batch_deletes_before_it_adds(lab: Lab) -> None:
    old, kept = lab.a("w1"), lab.a("w2", "10.0.1.2", comment="ours")
    changed = lab.records.batch(
        zone_id=lab.zone,
        posts=[{"name": "w1", "type": "A", "content": "10.0.1.7", "ttl": 120}],
        patches=[{"id": kept.id, "content": "10.0.1.3", "name": "w2.example.com", "type": "A", "ttl": 60}],
        deletes=[{"id": old.id}],
    )
    assert [record.ttl for record in changed.posts] == [120]
    assert [record.comment for record in changed.patches] == ["ours"]
    assert [record.id for record in changed.deletes] == [old.id]
    assert changed.puts is None
    assert lab.stored() == [("w1.example.com", "A", "10.0.1.7"), ("w2.example.com", "A", "10.0.1.3")]


def test_a_batch_is_all_or_nothing(lab: Lab) -> None:
    old = lab.a("w1")
    bad = [{"name": "w2", "type": "A", "content": "10.0.1.2", "ttl": 60}, {"name": "w3", "type": "A", "content": "nowhere", "ttl": 60}]
    assert expect_refused(lambda: lab.records.batch(zone_id=lab.zone, deletes=[{"id": old.id}], posts=bad))[:2] == (400, 9005)
    assert lab.stored() == [("w1.example.com", "A", "10.0.1.7")]
    missing = [{"id": old.id}, {"id": "0" * 32}]
    assert expect_refused(lambda: lab.records.batch(zone_id=lab.zone, deletes=missing))[:2] == (404, 81044)
    assert len(lab.stored()) == 1


def test_a_batch_has_a_limit(lab: Lab) -> None:
    posts = [{"name": f"w{number}", "type": "A", "content": "10.0.1.7", "ttl": 60} for number in range(201)]
    status, code, message = expect_refused(lambda: lab.records.batch(zone_id=lab.zone, posts=posts))
    assert (status, code) == (400, 1004)
    assert "200" in message
    lab.records.batch(zone_id=lab.zone, posts=posts[:200])
    assert len(lab.stored()) == 200


# Access


def test_tokens_are_verified(lab: Lab) -> None:
    assert lab.client(lab.part.token).user.tokens.verify().status == "active"
    assert lab.client(lab.part.add_token(status="expired")).user.tokens.verify().status == "expired"
    assert expect_refused(lambda: lab.client("x" * 40).user.tokens.verify()) == (401, 1000, "Invalid API Token")
    assert expect_refused(lambda: lab.client("short").user.tokens.verify()) == (400, 6003, "Invalid format for Authorization header")


def test_unknown_and_powerless_tokens(lab: Lab) -> None:
    unknown = lab.client("x" * 40)
    assert expect_refused(lambda: unknown.zones.list()) == (403, 9109, "Invalid access token")
    assert expect_refused(lambda: unknown.dns.records.list(zone_id=lab.zone)) == (403, 10000, "Authentication error")
    reader = lab.client(lab.part.add_token(["#zone:read", "#dns_records:read"]))
    assert list(reader.dns.records.list(zone_id=lab.zone)) == []
    made = lambda: reader.dns.records.create(zone_id=lab.zone, name="w1", type="A", content="10.0.1.7", ttl=60)  # noqa: E731
    assert expect_refused(made) == (403, 10000, "Authentication error")
    other_zone = lab.part.add_zone("other.org")
    limited = lab.client(lab.part.add_token(zones=[lab.zone]))
    assert [zone.name for zone in limited.zones.list()] == ["example.com"]
    assert expect_refused(lambda: limited.zones.get(zone_id=other_zone)) == (403, 9109, "Unauthorized to access requested resource")
    assert expect_refused(lambda: limited.dns.records.list(zone_id=other_zone)) == (403, 10000, "Authentication error")
    dns_only = lab.client(lab.part.add_token(["#dns_records:edit"]))
    assert list(dns_only.zones.list()) == []
    assert list(dns_only.dns.records.list(zone_id=lab.zone)) == []


def test_no_token_at_all(lab: Lab) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{lab.part.base_url}/zones")
    with caught.value as answer:
        assert (answer.code, json.load(answer)["errors"][0]["code"]) == (400, 9106)


def test_wrong_identifiers_and_paths(lab: Lab) -> None:
    status, code, message = expect_refused(lambda: lab.records.list(zone_id="example.com"))
    assert (status, code) == (400, 7003)
    assert message == "Could not route to /client/v4/zones/example.com/dns_records, perhaps your object identifier is invalid?"
    assert expect_refused(lambda: lab.records.get("nope", zone_id=lab.zone))[:2] == (400, 7003)
    client = lab.client(lab.part.token)
    assert expect_refused(lambda: client.get("/nowhere", cast_to=object)) == (400, 7000, "No route for that URI")
    assert expect_refused(lambda: client.put("/zones", cast_to=object))[0] == 405


# Faults, the ledger, the state


def test_faults_and_operation_names(lab: Lab) -> None:
    lab.ledger.faults = [Fault("throttle", "cloudflare", "list_records", [1]), Fault("error", "cloudflare", "list_zones")]
    with pytest.raises(cloudflare.RateLimitError) as caught:
        lab.records.list(zone_id=lab.zone)
    assert caught.value.response.headers["Retry-After"] == "1"
    assert expect_refused(lambda: lab.client(lab.part.token).zones.list())[0] == 500
    lab.ledger.faults = [Fault("lost_reply", "cloudflare", "batch_records")]
    with pytest.raises(cloudflare.APIConnectionError):
        lab.records.batch(zone_id=lab.zone, posts=[{"name": "w1", "type": "A", "content": "10.0.1.7", "ttl": 60}])
    assert lab.stored() == [("w1.example.com", "A", "10.0.1.7")]
    assert [(call.operation, call.mutating, call.status) for call in lab.ledger.calls] == [
        ("list_records", False, "429"),
        ("list_zones", False, "500"),
        ("batch_records", True, "no answer"),
    ]
    assert lab.ledger.calls[2].detail["body"]["posts"][0]["name"] == "w1"
    assert lab.part.token not in str([call.public() for call in lab.ledger.calls])


def test_the_sdk_waits_and_retries_when_throttled(lab: Lab) -> None:
    lab.ledger.faults = [Fault("throttle", "cloudflare", "list_records", [1])]
    patient = lab.client(lab.part.token, max_retries=2)
    assert list(patient.dns.records.list(zone_id=lab.zone)) == []
    assert [call.status for call in lab.ledger.calls][:2] == ["429", "200"]


def test_snapshot_and_restore(lab: Lab) -> None:
    lab.a("w1")
    before, saved = lab.part.dump(), lab.part.snapshot()
    lab.a("w2")
    lab.part.restore(saved)
    assert lab.part.dump() == before
    lab.a("w3")
    lab.part.restore(saved)
    assert lab.part.dump() == before
    assert lab.part.token not in str(before)
