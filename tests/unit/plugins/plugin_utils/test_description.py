# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cluster is, in words: each thing that can be wrong is said once, where it belongs, and what was not read is unknown."""

from __future__ import annotations

import datetime
import json
import re
import typing as t
from html.parser import HTMLParser

import pytest
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._description import FACTS
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._description_page import page
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._description_text import age, description_lines
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._drawing import drawing

from tests.browser.observed import Observed, cluster, troubled

Record = dict[str, t.Any]
WORKER, PLANE = "fargle-worker-1", "fargle-controlplane-1"
NOW = datetime.datetime(2026, 11, 23, 9, 0, tzinfo=datetime.timezone.utc).timestamp()


def node(described: Record, name: str = WORKER) -> Record:
    return next(one for one in described["nodes"] if one["name"] == name)


def facts(described: Record, name: str = WORKER) -> dict[str, tuple[str, str]]:
    return {key: (node(described, name)[key]["level"], node(described, name)[key]["words"]) for key in (*FACTS, "health")}


WELL = {
    "machine": ("ok", "running"),
    "ready": ("ok", "Ready"),
    "behind": ("ok", "4/4 healthy"),
    "etcd": ("none", "-"),
    "dns": ("ok", "right"),
    "config": ("ok", "as rendered"),
    "health": ("ok", "well"),
}


def test_a_cluster_in_which_all_is_well() -> None:
    described = cluster(5).described()
    assert facts(described) == WELL
    assert facts(described, PLANE) == {**WELL, "behind": ("ok", "1/1 healthy"), "etcd": ("ok", "leader")}
    assert facts(described, "fargle-controlplane-2")["etcd"] == ("ok", "voter")
    assert described["etcd"] == {"level": "ok", "words": "3/3 healthy", "detail": "1 more may fail"}
    assert described["unread"] == {} and described["problems"] == []
    totals = {"nodes": 5, "controlplanes": 3, "workers": 2, "vms": 5, "ready": 5, "well": 5, "drifted": 0, "vcpus": 10, "memory_mib": 5 * 8192}
    assert described["totals"] == totals
    assert {group["health"]["words"] for group in described["target_groups"]} == {"3/3 healthy", "2/2 healthy"}
    assert {balancer["health"]["words"] for balancer in described["load_balancers"]} == {"active"}


def test_what_would_be_made_otherwise_now_is_told_without_calling_it_ill() -> None:
    found = cluster(20)
    assert "Outdated, since their inputs would make them otherwise now" not in description_lines(found.described(), NOW)
    found.inputs["controlplane"]["image_id"] = "ami-new"
    found.inputs["worker"]["instance_type"] = "m5.xlarge"
    described = found.described()
    assert (node(described)["outdated"], node(described, PLANE)["outdated"], facts(described)) == (["instance_type"], ["image"], WELL)
    lines = description_lines(described, NOW)
    place = lines.index("Outdated, since their inputs would make them otherwise now")
    planes = "fargle-controlplane-1, fargle-controlplane-2, fargle-controlplane-3"
    assert lines[place + 1 : place + 3] == [f"  image: {planes}", "  instance_type: 17 nodes"]
    assert page(described).count("outdated: instance_type") == 17


def set_in(kind: str, name: str = WORKER, **values: t.Any) -> t.Callable[[Observed], None]:
    return lambda found: found.named(name, kind).update(values)


def remove(kind: str, name: str = WORKER) -> t.Callable[[Observed], None]:
    return lambda found: getattr(found, kind).remove(found.named(name, kind))


def targets(state: str, kind: str = "ingress") -> t.Callable[[Observed], None]:
    def change(found: Observed) -> None:
        next(group for group in found.groups if group["kind"] == kind)["targets"][0].update(state=state, reason="Why")

    return change


def without_targets(found: Observed) -> None:
    for group in found.groups[1:]:
        group["targets"] = group["targets"][1:]


def status(found: Observed) -> None:
    found.details["instances"][3]["status"] = "impaired"


WRONG = {
    "stopped": (set_in("instances", state="stopped"), WORKER, "machine", ("bad", "stopped")),
    "coming": (set_in("instances", state="pending"), WORKER, "machine", ("warn", "pending")),
    "unfinished": (set_in("instances", unfinished=True), WORKER, "machine", ("warn", "unfinished")),
    "impaired": (status, WORKER, "machine", ("bad", "impaired")),
    "NotReady": (set_in("nodes", ready=False, condition="Ready=False"), WORKER, "ready", ("bad", "NotReady")),
    "cordoned": (set_in("nodes", unschedulable=True), WORKER, "ready", ("warn", "cordoned")),
    "no Node": (remove("nodes"), WORKER, "ready", ("bad", "no Node")),
    "unhealthy": (targets("unhealthy"), WORKER, "behind", ("warn", "3/4 healthy")),
    "unhealthy apiserver": (targets("unhealthy", "apiserver"), PLANE, "behind", ("bad", "0/1 healthy")),
    "draining": (targets("draining", "apiserver"), PLANE, "behind", ("warn", "0/1 healthy")),
    "in none": (without_targets, WORKER, "behind", ("warn", "in none")),
    "no member": (remove("members", PLANE), PLANE, "etcd", ("bad", "no member")),
    "learner": (set_in("members", PLANE, learner=True), PLANE, "etcd", ("warn", "learner")),
    "ill member": (set_in("members", PLANE, healthy=False, problem="no answer"), PLANE, "etcd", ("bad", "unhealthy")),
    "alarm": (set_in("members", PLANE, alarms=["NOSPACE"]), PLANE, "etcd", ("bad", "unhealthy")),
    "no record": (remove("records"), WORKER, "dns", ("warn", "no record")),
    "wrong record": (set_in("records", content="10.9.9.9"), WORKER, "dns", ("warn", "wrong")),
    "drift": (set_in("talos", drift=True), WORKER, "config", ("warn", "drift")),
    "not configured": (set_in("talos", drift=None, was="maintenance"), WORKER, "config", ("warn", "none yet")),
}


@pytest.mark.parametrize(("change", "name", "what", "expected"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_said_where_it_belongs_and_nowhere_else(change: t.Callable[[Observed], None], name: str, what: str, expected: tuple[str, str]) -> None:
    before = cluster(4).described()
    found = cluster(4)
    change(found)
    after = found.described()
    level = expected[0]
    assert {key for key, said in facts(after, name).items() if said != facts(before, name)[key]} == {what, "health"}
    assert facts(after, name)[what] == expected
    assert facts(after, name)["health"] == (level, {"bad": "ill", "warn": "look"}[level])
    assert [one["name"] for one in after["nodes"] if one["health"]["level"] != "ok"][:1] == [name]


REASON = "no answer within 5 s"
UNREAD = {"aws": "behind", "kubernetes": "ready", "etcd": "etcd", "dns": "dns", "config": "config"}


@pytest.mark.parametrize(("source", "what"), UNREAD.items())
def test_what_could_not_be_read_is_unknown_with_its_reason_and_never_missing(source: str, what: str) -> None:
    found = cluster(4)
    for kind in {"aws": ["groups", "instances"], "kubernetes": ["nodes"], "etcd": ["members"], "dns": ["records"], "config": ["talos"]}[source]:
        setattr(found, kind, [])
    described = found.described(unread={source: REASON}, problems=[REASON, "another"])
    for one in described["nodes"]:
        if what != "etcd" or one["role"] == "controlplane":
            assert one[what] == {"level": "unknown", "words": "unknown", "detail": REASON}
        assert not {one[key]["level"] for key in FACTS} & {"bad", "warn"}
    assert described["unread"] == {source: REASON}
    assert described["problems"] == ["another"]
    assert any(REASON in line for line in description_lines(described, NOW))
    assert REASON in page(described)


def test_a_node_is_well_although_nobody_knows_its_record_or_config_but_not_although_nobody_knows_whether_it_is_ready() -> None:
    found = cluster(4)
    found.records, found.talos = [], []
    assert facts(found.described(unread={"dns": REASON, "config": REASON}))["health"] == ("ok", "well")
    found.nodes = []
    assert facts(found.described(unread={"dns": REASON, "config": REASON, "kubernetes": REASON}))["health"] == ("unknown", "unknown")


def test_a_record_that_was_read_is_right_although_not_all_were() -> None:
    """Without the domain of the nodes only those with the cluster's mark are found."""
    found = cluster(4)
    found.records.remove(found.named(WORKER, "records"))
    described = found.described(unread={"dns": REASON})
    assert (node(described)["dns"]["words"], node(described, PLANE)["dns"]["words"]) == ("unknown", "right")


def test_of_what_aws_has_nothing_is_counted_when_it_was_not_read() -> None:
    found = cluster(4)
    found.instances, found.groups, found.balancers = [], [], []
    described = found.described(unread={"aws": REASON}, price={"hourly": 0.0, "currency": None, "lines": [], "unknown": []})
    assert {key: described["totals"][key] for key in ("vms", "vcpus", "memory_mib", "ready")} == {"vms": None, "vcpus": None, "memory_mib": None, "ready": 4}
    assert described["cost"]["words"] == f"price unknown: {REASON}"
    assert "Hardware: unknown" in description_lines(described, NOW)


def test_how_many_are_ready_is_unknown_without_kubernetes() -> None:
    found = cluster(4)
    found.nodes = []
    described = found.described(unread={"kubernetes": REASON})
    assert described["totals"]["ready"] is None
    assert description_lines(described, NOW)[0] == "fargle: 4 nodes, whether they are Ready is unknown; etcd 3/3 healthy"


def test_why_configs_could_not_be_compared_is_said_only_where_one_was_not() -> None:
    assert cluster(4).described(unread={"config": REASON})["unread"] == {}


def test_what_is_left_of_a_node_is_no_node_that_lacks_everything() -> None:
    found = cluster(4)
    found.instances.remove(found.named(WORKER, "instances"))
    said = facts(found.described())
    assert said["machine"] == ("bad", "no VM")
    assert said["config"] == ("none", "-")


def test_vms_without_the_tag_are_said_and_not_paid_for() -> None:
    found = cluster(4)
    stranger = found.named(WORKER, "instances")
    found.instances.remove(stranger)
    found.details["machines"] = [{**stranger, "tags": {}}]
    described = found.described()
    assert node(described)["machine"] == {"level": "warn", "words": "running", "detail": "its VM has no tag Cluster"}
    assert described["totals"]["vms"] == 3
    assert described["cost"]["left_out"] == [f"the VM of {WORKER}, which has no tag Cluster"]
    found.details["machines"] = [{**stranger, "tags": {"Cluster": "fargle2"}}]
    assert node(found.described())["machine"] == {"level": "bad", "words": "running", "detail": "its tag says Cluster=fargle2"}
    assert found.priced()["instances"] == [{"type": "m5.large", "count": 3}]


def test_a_target_group_without_a_healthy_target_is_ill_and_one_that_is_left_alone_is_not() -> None:
    found = cluster(4)
    found.groups[1]["targets"][0]["state"] = "unhealthy"
    found.groups[2].update(kind="none", skipped="a Kubernetes controller owns it", targets=[])
    found.groups[3]["targets"] = []
    said = {group["name"]: (group["health"]["level"], group["health"]["words"]) for group in found.described()["target_groups"]}
    assert said == {
        "fargle-apiserver-6443": ("ok", "3/3 healthy"),
        "fargle-ingress-internal-30080": ("bad", "0/1 healthy"),
        "fargle-ingress-internal-30443": ("none", "left alone"),
        "fargle-ingress-external-31080": ("warn", "no targets"),
        "fargle-ingress-external-31443": ("ok", "1/1 healthy"),
    }


# What is paid for


def test_what_is_paid_for_is_what_runs_with_all_volumes_load_balancers_and_public_addresses() -> None:
    found = cluster(5)
    found.instances[3]["state"] = "stopped"
    found.instances[4].update(instance_type="m5.xlarge", public_ip="203.0.113.9")
    volumes = found.details["instances"][0]["volumes"]
    volumes.append({"id": "vol-2", "type": "gp3", "size_gb": 80, "iops": 4000, "throughput": 250})
    volumes.append({"id": "vol-3", "type": "io2", "size_gb": 100, "iops": 5000, "throughput": None})
    volumes.append({"id": "vol-4", "type": "gp2", "size_gb": 10, "iops": 100, "throughput": None})
    volumes.append({"id": "vol-5", "type": "st1", "size_gb": 500, "iops": None, "throughput": None})
    found.balancers.append({**found.balancers[0], "name": "web", "type": "application"})
    assert found.priced({"details": REASON}) == {
        "instances": [{"type": "m5.large", "count": 3}, {"type": "m5.xlarge", "count": 1}],
        "volumes": [
            {"type": "gp2", "size_gb": 10, "count": 1},
            {"type": "gp3", "size_gb": 80, "count": 5},
            {"type": "gp3", "size_gb": 80, "iops": 4000, "throughput": 250, "count": 1},
            {"type": "io2", "size_gb": 100, "iops": 5000, "count": 1},
        ],
        "load_balancers": 3,
        "public_addresses": 1 + 3,
        "left_out": ["1 × 500 GB st1", "1 × application load balancer", f"volumes, which could not be read: {REASON}"],
    }


def test_cost_is_by_the_hour_and_by_the_day_or_unknown() -> None:
    line = {"what": "m5.large", "count": 4, "unit_price": 0.1, "hourly": 0.4}
    known = cluster(4).described(price={"hourly": 0.4, "currency": "USD", "lines": [line], "unknown": []})["cost"]
    assert (known["hourly"], known["daily"], known["words"]) == (0.4, 9.6, "0.40 USD per hour, 9.60 USD per day")
    assert known["lines"] == [{**line, "daily": 9.6}]
    unknown = cluster(4).described(price={"unknown": ["no answer"]})["cost"]
    assert (unknown["hourly"], unknown["daily"], unknown["words"]) == (None, None, "price unknown: no answer")


def test_hardware_that_could_not_be_looked_at_has_no_total() -> None:
    found = cluster(4)
    found.details["instance_types"] = []
    totals = found.described()["totals"]
    assert (totals["vms"], totals["vcpus"], totals["memory_mib"]) == (4, None, None)


# In a terminal


def test_tables_are_aligned_and_narrow() -> None:
    """Ansible puts eleven characters around each line."""
    lines = description_lines(cluster(12).described(), NOW)
    tables = [line for line in lines if re.match(r"NODE |(  )?fargle-|TARGET GROUP", line) and "  " in line]
    assert max(map(len, tables)) <= 80 - 11
    machines = lines[lines.index(next(line for line in lines if line.startswith("NODE"))) :][:15]
    assert {line.index("m5.large") for line in machines if "m5.large" in line} == {machines[0].index("TYPE")}
    assert {line.index("30d") for line in machines if "30d" in line} == {machines[0].index("AGE")}
    assert sum(line.startswith("fargle-worker-9 ") for line in lines) == 2


def test_lines_say_what_is_wrong_with_its_reason_and_which_node_runs_another_version() -> None:
    found = cluster(5)
    found.named(WORKER, "talos").update(talos_version="v1.10.9")
    found.named("fargle-worker-2", "nodes").update(ready=False, condition="Ready=Unknown")
    lines = description_lines(found.described(), NOW)
    assert "  Talos v1.10.9, Kubernetes v1.33.4: fargle-worker-1" in lines
    assert "  Talos v1.11.6, Kubernetes v1.33.4: 4 nodes" in lines
    assert "  fargle-worker-2: Kubernetes NotReady (Ready=Unknown)" in lines


def test_nothing_of_a_cluster_is_said() -> None:
    empty = Observed([], {}, [], [], [], [], [], [], {})
    assert description_lines(empty.described(), NOW)[0] == "fargle: nothing of it was found"


@pytest.mark.parametrize(
    ("launched", "expected"),
    [
        ("2026-11-23T08:59:30+00:00", "30s"),
        ("2026-11-23T08:30:00Z", "30m"),
        ("2026-11-22T21:00:00+00:00", "12h"),
        ("2026-10-24T08:00:00+00:00", "30d"),
        ("2026-11-23T10:00:00+00:00", "0s"),
        ("", "-"),
    ],
)
def test_age(launched: str, expected: str) -> None:
    assert age(launched, NOW) == expected


# As a page and as JSON

HOSTILE = "</title><script>alert(1)</script>\"' onload=x {{ 7 * 7 }} \x1b[31m \u202e&"


class Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _value in attrs}


def test_names_of_others_are_text_wherever_they_stand() -> None:
    found = cluster(4)
    old = found.named(WORKER, "instances")
    old["name"] = HOSTILE
    old.update(instance_type=HOSTILE, az=HOSTILE, image_id=HOSTILE)
    found.named("fargle-controlplane-2", "nodes").update(ready=False, condition=HOSTILE, labels={"purpose": HOSTILE})
    found.groups[1].update(name=HOSTILE, protocol=HOSTILE)
    found.groups[1]["targets"][0].update(state=HOSTILE, reason=HOSTILE, description=HOSTILE)
    found.balancers[0].update(name=HOSTILE, dns_name=HOSTILE, scheme=HOSTILE, state=HOSTILE)
    price = {"unknown": [HOSTILE], "lines": [{"what": HOSTILE, "count": 1, "unit_price": None, "hourly": None}]}
    described = found.described(unread={"dns": HOSTILE}, problems=[HOSTILE + "!"], price=price)
    text = page(described)
    assert "<script" not in text and "&lt;script&gt;" in text
    assert text.count("<title>") == text.count("</title>")
    seen = Seen()
    seen.feed(text)
    assert not seen.tags & {"script", "img", "iframe", "link", "object"}
    assert not {name for name in seen.attributes if name.startswith("on")}
    assert "{{ 7 * 7 }}" in text
    assert not [line for line in description_lines(described, NOW) if "\x1b" in line or "\u202e" in line]
    assert "\x1b" not in text


def test_an_unchanged_cluster_has_an_unchanged_page_that_has_no_time_of_its_own() -> None:
    assert page(troubled(30).described()) == page(troubled(30).described())
    assert json.loads(json.dumps(troubled(30).described())) == troubled(30).described()


def test_every_node_load_balancer_and_target_group_is_drawn_once_and_none_over_another() -> None:
    found = drawing(troubled(60).described())
    boxes = [box for lane in found["lanes"] for box in lane["nodes"]]
    assert len(boxes) == 60
    everything = [*boxes, *found["groups"], *found["balancers"]]
    for number, one in enumerate(everything):
        for other in everything[number + 1 :]:
            apart_x = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
            assert apart_x or one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
    assert all(box["x"] + box["width"] <= found["width"] and box["y"] + box["height"] <= found["height"] for box in everything)
    # Each group from its load balancer and to its nodes.
    assert len(found["edges"]) == 5 + 5


@pytest.mark.parametrize(("size", "said"), [(8, "Ready · 3/4 healthy · DNS no record · drift"), (80, "Ready · 3/4 · +2")])
def test_a_box_says_in_words_what_its_colour_says(size: int, said: str) -> None:
    found = cluster(size)
    for change in (targets("unhealthy"), remove("records"), set_in("talos", drift=True)):
        change(found)
    boxes = {box["name"]: box for lane in drawing(found.described())["lanes"] for box in lane["nodes"]}
    assert boxes[WORKER]["lines"][1]["text"] == said
    assert boxes[WORKER]["level"] == "warn"


def test_a_node_of_another_role_is_drawn_too() -> None:
    found = cluster(4)
    found.named(WORKER, "instances")["role"] = "gateway"
    assert [lane["title"].split(":")[0] for lane in drawing(found.described())["lanes"]] == ["Control planes", "Others"]
