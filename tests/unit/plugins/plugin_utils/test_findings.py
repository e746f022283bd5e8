# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an observed cluster is found to disagree, and what is not."""

from __future__ import annotations

import copy
import itertools
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils import _findings
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._findings import KINDS, SYSTEMS

Row = dict[str, t.Any]
Change = t.Callable[[list[Row]], None]

GROUPS = [
    {"name": "c-api", "arn": "arn:api", "kind": "apiserver", "skipped": ""},
    {"name": "c-web-80", "arn": "arn:80", "kind": "ingress", "skipped": ""},
    {"name": "c-web-443", "arn": "arn:443", "kind": "ingress", "skipped": ""},
    {"name": "c-old", "arn": "arn:old", "kind": "ingress", "skipped": "no load balancer uses it"},
]
EMPTY: Row = {
    "name": "", "role": "", "purpose": "", "cluster": "", "instance_id": "", "state": "", "status": "", "unfinished": False, "az": "",
    "address": "", "public_ip": "", "tags": {}, "node": None, "member": None, "targets": [], "records": [], "talos": None,
}  # fmt: skip


def node(name: str, **facts: t.Any) -> Row:
    return {"node_name": f"{name}.example.com", "uid": f"uid-{name}", "ready": False, "unschedulable": False, "provider_id": "", **facts}


def member(name: str, **facts: t.Any) -> Row:
    return {"id": f"5c2a{name[-1] * 12}", "hostname": name, "addresses": [], "learner": False, "healthy": False, **facts}


def target(identity: str, group: str, **facts: t.Any) -> Row:
    return {"group": f"c-{group}", "arn": f"arn:{group.rpartition('-')[2]}", "id": identity, "port": 80, "state": "unhealthy", "reason": "", **facts}


def record(name: str, content: str, **facts: t.Any) -> Row:
    full = f"{name}.example.com"
    return {"id": f"rec-{name}", "name": full, "type": "A", "content": content, "cluster": "c", "node": name, "ours": True, **facts}


def vm(name: str, role: str, number: int, cluster: str = "c") -> Row:
    """A node of which everything is as it should be."""
    instance_id, address = f"i-{name}", f"10.0.0.{number}"
    groups = ["api"] if role == "controlplane" else ["web-80", "web-443"]
    return {
        **EMPTY,
        "name": name,
        "role": role,
        "cluster": cluster,
        "instance_id": instance_id,
        "state": "running",
        "status": "ok",
        "az": "eu-central-1a",
        "address": address,
        "tags": {"Cluster": cluster, "Name": name},
        "node": node(name, ready=True, provider_id=f"aws:///eu-central-1a/{instance_id}"),
        "member": member(name, healthy=True) if role == "controlplane" else None,
        "targets": [target(instance_id, group, state="healthy") for group in groups],
        "records": [record(name, address)],
        "talos": {"was": "configured", "stage": "running", "drift": False},
    }


def cluster(name: str = "c") -> list[Row]:
    return [vm(f"{name}-cp-{number}", "controlplane", number, name) for number in (1, 2, 3)] + [
        vm(f"{name}-w-{number}", "worker", 10 + number, name) for number in range(1, 9)
    ]


def of(rows: list[Row], name: str) -> Row:
    return next(row for row in rows if row["name"] == name)


def left(name: str, **things: t.Any) -> Change:
    """What is left of a node that has no VM."""
    return lambda rows: rows.append({**EMPTY, "name": name, **things})


def having(which: str, **facts: t.Any) -> Change:
    return lambda rows: of(rows, which).update(facts)


def drifted(rows: list[Row]) -> None:
    of(rows, "c-w-6")["talos"]["drift"] = True


def twin(rows: list[Row]) -> None:
    rows.append({**vm("c-w-2", "worker", 99), "instance_id": "i-twin", "node": None, "targets": [], "records": [], "talos": None})


# Each kind seeded alone, and how it is recognised.
SEEDS: dict[str, tuple[Change, str]] = {
    "missing_tag": (having("c-w-1", cluster="", tags={"Name": "c-w-1"}), "i-c-w-1"),
    "foreign_vm": (having("c-w-8", cluster="d"), "i-c-w-8"),
    "duplicate_name": (twin, "i-c-w-2, i-twin"),
    "unfinished_launch": (having("c-w-3", unfinished=True, node=None, targets=[], records=[], talos=None), "i-c-w-3"),
    "impaired_instance": (having("c-w-4", status="impaired"), "i-c-w-4"),
    "vm_without_node": (having("c-w-5", node=None), "i-c-w-5"),
    "node_without_vm": (left("c-w-9", node=node("c-w-9")), "c-w-9.example.com"),
    "vm_in_no_load_balancer": (having("c-w-7", targets=[]), "i-c-w-7"),
    "target_without_vm": (left("", targets=[target("10.0.0.77", "web-80"), target("10.0.0.77", "web-443")]), "10.0.0.77"),
    "ghost_member": (left("c-cp-9", member=member("c-cp-9")), "5c2a999999999999"),
    "record_without_node": (left("c-w-12", records=[record("c-w-12", "10.0.0.88")]), "A c-w-12.example.com → 10.0.0.88"),
    "config_drift": (drifted, "i-c-w-6"),
}


def found(rows: list[Row], read: t.Collection[str] = tuple(SYSTEMS), **more: t.Any) -> list[_findings.Finding]:
    return _findings.findings(rows, "c", read, GROUPS, **more)


def seeded(*changes: Change) -> list[Row]:
    rows = cluster()
    for change in changes:
        change(rows)
    return rows


def kinds(rows: list[Row], read: t.Collection[str] = tuple(SYSTEMS)) -> list[str]:
    return [finding["kind"] for finding in found(rows, read)]


def test_every_kind_is_seeded_here() -> None:
    assert SEEDS.keys() == KINDS.keys()


def test_a_clean_cluster_gives_nothing() -> None:
    assert found(cluster()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_alone_is_found_once_and_nothing_else(kind: str) -> None:
    change, subject = SEEDS[kind]
    (one,) = found(seeded(change))
    assert (one["kind"], one["subject"]) == (kind, subject)
    assert one["node"] and one["says"].endswith(".") and one["says"].count("\n") == 0
    assert bool(one["repair"]) == bool(KINDS[kind].repair)
    assert one["destructive"] == KINDS[kind].destructive


def test_all_kinds_together_are_found_once_each_in_order() -> None:
    rows = seeded(*(change for change, _subject in SEEDS.values()))
    assert [(one["kind"], one["subject"]) for one in found(rows)] == [(kind, subject) for kind, (_change, subject) in SEEDS.items()]


@pytest.mark.parametrize("pair", list(itertools.combinations(KINDS, 2)), ids="+".join)
def test_two_kinds_do_not_hide_each_other(pair: tuple[str, str]) -> None:
    assert kinds(seeded(*(SEEDS[kind][0] for kind in pair))) == list(pair)


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_was_not_read_is_not_called_missing(system: str) -> None:
    read = [other for other in SYSTEMS if other != system]
    rows = seeded(*(change for change, _subject in SEEDS.values()))
    assert kinds(rows, read) == [kind for kind in KINDS if system not in KINDS[kind].needs]
    (told,) = _findings.not_looked_for(read)
    assert told.startswith(f"Not read: {SYSTEMS[system]}.")
    assert [kind for kind in KINDS if f" {kind}" in told] == [kind for kind in KINDS if system in KINDS[kind].needs]


def test_an_unread_kubernetes_makes_no_node_missing() -> None:
    rows = cluster()
    for row in rows:
        row["node"] = None
    assert found(rows, [system for system in SYSTEMS if system != "kubernetes"]) == []


@pytest.mark.parametrize(("read", "row"), [(["aws", "details"], {}), (tuple(SYSTEMS), {"node": None})])
def test_whether_a_vm_is_being_deleted_must_be_known_to_register_it(read: t.Collection[str], row: Row) -> None:
    """A deletion takes the traffic away first, and the Node before the VM."""
    one = found(seeded(having("c-w-7", targets=[], **row)), read)[-1]
    assert (one["kind"], one["repair"]) == ("vm_in_no_load_balancer", "")


@pytest.mark.parametrize(("state", "unfinished"), [("pending", False), ("shutting-down", False), ("stopping", False)])
def test_what_comes_or_goes_is_left_in_peace(state: str, unfinished: bool) -> None:
    assert found(seeded(having("c-w-1", state=state, node=None, targets=[], records=[record("c-w-1", "10.9.9.9")]))) == []


def test_a_successor_beside_the_one_that_goes_is_no_duplicate() -> None:
    assert kinds(seeded(twin, lambda rows: of(rows, "c-w-2").update(state="shutting-down", node=None, targets=[]), after_twin)) == []


def after_twin(rows: list[Row]) -> None:
    """The new one has the Node and the targets."""
    rows[-1].update(node=node("c-w-2", ready=True), targets=[target("i-twin", "web-80")], records=[record("c-w-2", rows[-1]["address"])])


def test_a_target_that_drains_is_somebodys_doing() -> None:
    draining = [target("i-c-w-7", "web-80", state="draining")]
    assert found(seeded(having("c-w-7", targets=draining))) == []
    assert found(seeded(left("c-w-9", targets=[target("i-gone", "web-80", state="draining")]))) == []
    assert found(seeded(left("c-w-9", targets=[target("i-gone", "web-80", state="unused", reason="Target.NotRegistered")]))) == []


def test_any_port_and_one_group_of_the_kind_is_enough() -> None:
    """Nodes of older tools are behind some of the load balancers, on ports of their own."""
    assert found(seeded(having("c-w-7", targets=[target("i-c-w-7", "web-443", port=31080)]))) == []


def test_a_node_of_create_node_must_be_in_all_groups_of_its_role() -> None:
    """So a registration that was killed half way is found."""
    tags = {"Cluster": "c", "Name": "c-w-7", "k8s-cluster-manager/generation": "1"}
    (one,) = found(seeded(having("c-w-7", tags=tags, targets=[target("i-c-w-7", "web-443")])))
    assert one["kind"] == "vm_in_no_load_balancer" and one["repair"]
    assert "c-web-80" in one["says"] and "c-web-443" not in one["says"]
    assert found(seeded(having("c-w-7", tags=tags))) == []


def test_a_worker_behind_the_wrong_load_balancer_gets_no_traffic() -> None:
    (one,) = found(seeded(having("c-w-7", targets=[target("i-c-w-7", "api"), target("i-c-w-7", "old")])))
    assert one["kind"] == "vm_in_no_load_balancer"
    assert "c-web-80, c-web-443" in one["says"] and "c-old" not in one["says"]


def test_control_planes_belong_behind_the_ingress_where_the_cluster_says_so() -> None:
    assert [one["node"] for one in found(cluster(), schedule_on_control_planes=True)] == ["c-cp-1", "c-cp-2", "c-cp-3"]


def test_without_load_balancers_nobody_lacks_one() -> None:
    assert _findings.findings(seeded(having("c-w-7", targets=[])), "c", tuple(SYSTEMS)) == []


def test_a_cordoned_node_is_not_put_to_work_again() -> None:
    (one,) = found(seeded(having("c-w-7", targets=[], node=node("c-w-7", ready=True, unschedulable=True))))
    assert (one["kind"], one["repair"]) == ("vm_in_no_load_balancer", "")
    assert "delete_node.yml with nodes=c-w-7" in one["says"]


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (left("c-w-9", node=node("c-w-9", ready=True)), "node_without_vm", "It is Ready"),
        (left("c-w-9", node=node("c-w-9", provider_id="aws:///us-west-2b/i-0")), "node_without_vm", "us-west-2b, where nobody looked"),
        (left("c-w-9", node=node("c-w-9", provider_id="hcloud://123")), "node_without_vm", "hcloud://123, where nobody looked"),
        (left("c-w-9", targets=[target("10.0.0.77", "web-80", state="healthy")]), "target_without_vm", "It is healthy"),
        (left("c-cp-9", member=member("c-cp-9", healthy=True)), "ghost_member", "It is healthy"),
    ],
)
def test_what_may_live_somewhere_is_told_and_not_taken_away(change: Change, kind: str, words: str) -> None:
    (one,) = found(seeded(change))
    assert (one["kind"], one["repair"], one["destructive"]) == (kind, "", False)
    assert words in one["says"]


def test_a_node_in_the_region_of_the_others_is_where_somebody_looked() -> None:
    (one,) = found(seeded(left("c-w-9", node=node("c-w-9", provider_id="aws:///eu-central-1c/i-0"))))
    assert one["repair"] and "(aws:///eu-central-1c/i-0)" in one["says"]


def test_all_that_a_terminated_vm_leaves_is_found() -> None:
    everything = {"node": node("c-cp-9"), "member": member("c-cp-9"), "targets": [target("i-9", "api")], "records": [record("c-cp-9", "10.0.0.9")]}
    assert kinds(seeded(left("c-cp-9", **everything))) == ["node_without_vm", "target_without_vm", "ghost_member", "record_without_node"]
    # While EC2 still lists it.
    assert kinds(seeded(left("c-cp-9", instance_id="i-9", state="terminated", cluster="c", **everything)))[0] == "node_without_vm"


def test_only_a_vm_that_kubernetes_or_etcd_vouch_for_is_tagged() -> None:
    """Whatever somebody has put behind the load balancer is not a node because of that."""
    stranger = {**EMPTY, "name": "bastion", "instance_id": "i-bastion", "state": "running", "targets": [target("i-bastion", "web-80")]}
    (one,) = found([*cluster(), stranger])
    assert (one["kind"], one["repair"]) == ("missing_tag", "")
    assert "else deregister it" in one["says"]


def test_a_vm_that_has_lost_all_its_tags_is_called_what_kubernetes_calls_it() -> None:
    (one,) = found(seeded(having("c-w-1", name="", cluster="", tags={})))
    assert (one["node"], one["repair"]) == ("c-w-1", "Tag it with Cluster=c.")


def test_a_vm_that_nothing_of_the_cluster_is_on_is_none_of_its_business() -> None:
    assert (
        found(
            [*cluster(), {**EMPTY, "name": "c-w-50", "instance_id": "i-x", "state": "running"}, vm("d-w-1", "worker", 77, "d") | {"node": None, "targets": []}]
        )
        == []
    )


def test_another_clusters_vm_is_never_offered_for_anything() -> None:
    """Not for its tag, nor for what of this cluster is on it."""
    change = having("c-cp-2", cluster="d", state="running", status="impaired", unfinished=True)
    (one,) = found(seeded(change))
    assert (one["kind"], one["repair"], one["destructive"]) == ("foreign_vm", "", False)
    assert "an etcd member" in one["says"] and "Cluster=d" in one["says"]


def test_a_record_of_another_cluster_or_of_nobody_is_none_of_its_business() -> None:
    for facts in ({"ours": False, "cluster": "d"}, {"ours": False, "cluster": "", "node": ""}):
        assert found(seeded(left("c-w-12", records=[record("c-w-12", "10.0.0.88", **facts)]))) == []


def test_a_record_that_leads_elsewhere_is_corrected_by_its_nodes_creation() -> None:
    (one,) = found(seeded(having("c-w-1", records=[record("c-w-1", "10.9.9.9")])))
    assert (one["kind"], one["repair"]) == ("record_without_node", "")
    assert "create_node.yml with nodes=c-w-1" in one["says"]
    assert found(seeded(having("c-w-1", public_ip="203.0.113.5", records=[record("c-w-1", "203.0.113.5")]))) == []


def test_a_stopped_vm_is_told() -> None:
    (one,) = found(seeded(having("c-w-4", state="stopped", status="not-applicable")))
    assert one["kind"] == "impaired_instance" and "is stopped" in one["says"]


# --- which are repaired

REPAIRABLE = [kind for kind in KINDS if KINDS[kind].repair]


def test_only_the_kinds_asked_for_are_repaired() -> None:
    everything = found(seeded(*(change for change, _subject in SEEDS.values())))
    assert _findings.repairs(everything, []) == []
    assert [one["kind"] for one in _findings.repairs(everything, ["ghost_member", "missing_tag"])] == ["missing_tag", "ghost_member"]
    assert [one["kind"] for one in _findings.repairs(everything, REPAIRABLE)] == REPAIRABLE


@pytest.mark.parametrize("word", ["ghosts", "all", "config_drift", "impaired_instance"])
def test_what_cannot_be_repaired_is_refused_by_name(word: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"fix: {word} cannot be repaired; these can: missing_tag, unfinished_launch"):
        _findings.repairs([], ["missing_tag", word])


def test_what_a_second_reading_does_not_find_again_is_not_repaired() -> None:
    first = found(seeded(SEEDS["node_without_vm"][0], SEEDS["ghost_member"][0]))
    second = found(seeded(SEEDS["ghost_member"][0]))
    assert [one["kind"] for one in _findings.repairs(first, REPAIRABLE, again=second)] == ["ghost_member"]
    assert _findings.repairs(second, REPAIRABLE, again=[]) == []


def test_a_node_that_was_made_again_between_the_readings_is_another() -> None:
    first, second = (found(seeded(left("c-w-9", node=node("c-w-9", uid=uid)))) for uid in ("old", "new"))
    assert _findings.repairs(first, REPAIRABLE, again=second) == []


def test_a_node_that_became_ready_between_the_readings_lives() -> None:
    first, second = (found(seeded(left("c-w-9", node=node("c-w-9", ready=ready)))) for ready in (False, True))
    assert _findings.repairs(first, REPAIRABLE, again=second) == []


def test_findings_leave_the_observation_as_it_is() -> None:
    rows = seeded(*(change for change, _subject in SEEDS.values()))
    before = copy.deepcopy(rows)
    found(rows)
    assert rows == before


# --- what became of them

CHOSEN = found(seeded(SEEDS["node_without_vm"][0], SEEDS["ghost_member"][0], SEEDS["record_without_node"][0]))
DONE: dict[str, t.Any] = {"changed": True, "plan": []}


def after(**results: t.Any) -> tuple[list[str], list[str], dict[str, str]]:
    """The kinds that were repaired, that are left, and why."""
    outcome = _findings.after_repairs([*CHOSEN, *found(seeded(drifted))], CHOSEN, dict.fromkeys(KINDS, DONE) | results)
    repaired, remaining = ([one["kind"] for one in outcome[what]] for what in ("repaired", "left"))
    return repaired, remaining, {failure["kind"]: failure["msg"] for failure in outcome["failures"]}


def test_what_was_repaired_is_not_left() -> None:
    assert after() == (["node_without_vm", "ghost_member", "record_without_node"], ["config_drift"], {})


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"msg": "etcd: no quorum"}, "etcd: no quorum"),
        ({}, "not tried"),
        ({"skipped": True, "changed": False}, "not tried"),
        ({"msg": "1 of 1 failed", "failures": [{"name": "5c2a999999999999", "msg": "it stays"}]}, "it stays"),
    ],
)
def test_a_repair_that_failed_is_left_and_said(result: dict[str, t.Any], words: str) -> None:
    repaired, remaining, failures = after(ghost_member=result)
    assert (repaired, remaining) == (["node_without_vm", "record_without_node"], ["ghost_member", "config_drift"])
    assert list(failures) == ["ghost_member"] and failures["ghost_member"].startswith(words)


def test_of_a_kind_only_those_that_failed_are_left() -> None:
    results = {"node_without_vm": {"msg": "1 of 2 failed", "failures": [{"name": "another", "msg": "it stays"}]}, "record_without_node": DONE}
    assert after(**results)[0] == ["node_without_vm", "ghost_member", "record_without_node"]
    results["record_without_node"] = {"msg": "1 of 2 failed", "failures": [{"name": "c-w-12", "msg": "it stays"}]}
    assert after(**results)[2] == {"record_without_node": "it stays"}


def test_the_report_is_by_kind() -> None:
    rows = seeded(SEEDS["node_without_vm"][0], left("c-w-10", node=node("c-w-10")), drifted)
    lines = _findings.report(found(rows))
    assert [line for line in lines if not line.startswith("  ")] == ["node_without_vm: 2", "config_drift: 1"]
    assert lines[1] == "  c-w-9: The Node c-w-9.example.com has no VM. Delete the Node."
    assert _findings.report(found(rows), says="repair")[2] == "  c-w-10: Delete the Node, by its UID."
    assert _findings.report([], ["aws"])[0].startswith("Not read: ")
