# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Node is which machine, and what k8s_node does to it."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest
import urllib3
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes import nodes as matching
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.kubeconfig import ca_fingerprint
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.nodes import (
    CONCURRENCY,
    NodeOptions,
    Wanted,
    match,
    match_all,
    wanted_nodes,
    work,
)

from .exchange import Expect, failure, identity, node, nodes, pki, scripted, seconds

AWS = "aws:///eu-central-1a/"


def asked(*wanted: Wanted, state: str = "ready") -> NodeOptions:
    return NodeOptions(list(wanted), state, 60.0)


def delete(name: str, uid: str, status: int = 200) -> Expect:
    answer = {} if status == 200 else failure(status)
    return Expect("DELETE", f"/api/v1/nodes/{name}", answer, status, body={"preconditions": {"uid": uid}})


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted("w1", "10.0.0.1"), ["w1"]),
        (Wanted("w1", "10.0.0.9"), []),
        (Wanted("w1"), ["w1"]),
        (Wanted("w2", "10.0.0.2"), ["w2.example.com"]),
        (Wanted("w2"), ["w2.example.com"]),
        (Wanted("other", "10.0.0.2"), ["w2.example.com"]),
        (Wanted("w3", "10.0.0.8", f"{AWS}i-3"), ["w3"]),
        (Wanted("w3", "10.0.0.8", "i-3"), ["w3"]),
        (Wanted("w3", "10.0.0.3", "i-4"), []),
        (Wanted("w", ""), []),
        (Wanted("odd", hostname="w2.example.com"), ["w2.example.com"]),
        (Wanted("w4", "10.0.0.4"), ["w4"]),
        (Wanted("w1", new=True), []),
    ],
)
def test_C10_node_is_found_by_machine_before_name(wanted: Wanted, names: list[str]) -> None:
    there = [node("w1", "10.0.0.1"), node("w2.example.com", "10.0.0.2"), node("w3", "10.0.0.3", f"{AWS}i-3"), node("w4"), node("w10", "10.0.0.10")]
    assert [found["metadata"]["name"] for found in match(wanted, there).found] == names
    assert match_all([wanted, wanted], there) == [match(wanted, there)] * 2


def test_many_are_found_among_many_without_looking_at_each_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    original = matching.is_same_machine
    monkeypatch.setattr(matching, "is_same_machine", lambda one, other: looked.append(one.name) or original(one, other))
    there = [node(f"w{number}.example.com", f"10.0.0.{number}", f"{AWS}i-{number}") for number in range(50)]
    found = match_all([Wanted(f"w{number}", f"10.0.0.{number}", f"i-{number}") for number in range(50)], there)
    assert [one.found for one in found] == [[other] for other in there]
    assert len(looked) <= 4 * 50


def test_cordons_are_made_side_by_side_but_not_more_than_so_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [node(f"w{number}", f"10.0.0.{number}") for number in range(3 * CONCURRENCY)]
    now, most, lock = 0, 0, threading.Lock()

    def cordon(_api: t.Any, _name: str) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1

    monkeypatch.setattr(matching.calls, "cordon", cordon)
    wanted = [Wanted(f"w{number}", f"10.0.0.{number}") for number in range(3 * CONCURRENCY)]
    with scripted(monkeypatch, nodes(*there), nodes(*there)) as (api, _script):
        assert work(asked(*wanted, state="cordoned"), api, check_mode=False).failures == {}
    assert 1 < most <= CONCURRENCY


def test_C7_node_of_our_name_on_another_machine_is_not_ours() -> None:
    found = match(Wanted("w3", "10.0.0.3", "i-new"), [node("w3", "10.0.0.3", f"{AWS}i-old")])
    assert (found.found, found.foreign is not None) == ([], True)


def test_info_reads_once_and_identifies_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, nodes(node("w1", "10.0.0.1", f"{AWS}i-1")), identity()) as (api, _script):
        outcome = work(asked(), api, check_mode=False)
    assert outcome.nodes == []
    assert outcome.values["cluster_id"] == "cluster-uid"
    assert outcome.values["ca_sha256"] == ca_fingerprint(pki()["ca"])
    assert outcome.values["all_nodes"] == [
        {
            "name": "w1",
            "node_name": "w1",
            "uid": "uid-w1",
            "ready": True,
            "condition": "Ready=True KubeletReady: as told",
            "address": "10.0.0.1",
            "provider_id": f"{AWS}i-1",
            "labels": {"kubernetes.io/hostname": "w1"},
            "taints": [],
            "unschedulable": False,
            "created": "2026-11-22T15:00:00Z",
            "kubelet_version": "v1.34.2",
            "os_image": "Talos (v1.11.6)",
        }
    ]


def test_ready_waits_for_all_with_one_list_per_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    outage = Expect("GET", "/api/v1/nodes", failure(503), 503, query={"limit": "500"})
    script = [
        nodes(),
        nodes(node("w1", "10.0.0.1", ready="False")),
        outage,  # the load balancer has no target for a while
        nodes(node("w1", "10.0.0.1"), node("w2", "10.0.0.2", ready="False")),
        nodes(node("w1", "10.0.0.1"), node("w2", "10.0.0.2")),
    ]
    with scripted(monkeypatch, *script) as (api, _script):
        outcome = work(asked(Wanted("w1", "10.0.0.1"), Wanted("w2", "10.0.0.2")), api, check_mode=False, clock=seconds(0, 2, 4, 6, 8, 10))
    assert (outcome.failures, outcome.steps) == ({}, [])
    assert [(entry["name"], entry["ready"]) for entry in outcome.nodes] == [("w1", True), ("w2", True)]


def test_ready_timeout_names_the_last_condition_of_each_node(monkeypatch: pytest.MonkeyPatch) -> None:
    there = nodes(node("w1", "10.0.0.1"), node("w2", "10.0.0.2", ready="False"))
    with scripted(monkeypatch, there, there) as (api, _script):
        options = asked(Wanted("w1", "10.0.0.1"), Wanted("w2", "10.0.0.2"), Wanted("w3", "10.0.0.3"))
        outcome = work(options, api, check_mode=False, clock=seconds(0, 60))
    assert outcome.failures == {
        "w2": "not Ready after 60 s; last seen: Ready=False KubeletNotReady: as told",
        "w3": "not Ready after 60 s; last seen: no Node object of this machine",
    }


def test_api_that_stays_away_fails_the_nodes_and_not_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = urllib3.exceptions.ProtocolError("Connection refused")
    down = [Expect("GET", "/api/v1/nodes", lost, query={"limit": "500"})] * 2
    with scripted(monkeypatch, *down) as (api, _script):
        outcome = work(asked(Wanted("w1", "10.0.0.1")), api, check_mode=False, clock=seconds(0, 60))
    assert "last seen: Cannot list the nodes: the Kubernetes API server does not answer (Connection refused)" in outcome.failures["w1"]


def test_ready_predicts_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, nodes()) as (api, _script):
        outcome = work(asked(Wanted("w1", new=True)), api, check_mode=True)
    assert (outcome.failures, outcome.nodes[0]["ready"]) == ({}, False)


def test_C7_leftover_node_of_a_new_name_is_found_before_the_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, nodes(node("w1.example.com", "10.0.0.7", f"{AWS}i-7"))) as (api, _script):
        outcome = work(asked(Wanted("w1", new=True)), api, check_mode=True)
    assert "10.0.0.7, aws:///eu-central-1a/i-7; this one: not launched yet" in outcome.failures["w1"]
    assert "kubectl delete node w1.example.com" in outcome.failures["w1"]


def test_C7_recycled_name_fails_at_once_and_the_other_node_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    old = node("w1", "10.0.0.9", f"{AWS}i-old")
    with scripted(monkeypatch, nodes(old), nodes(old, node("w2", "10.0.0.2"))) as (api, _script):
        options = asked(Wanted("w1", "10.0.0.1", "i-1"), Wanted("w2", "10.0.0.2"))
        outcome = work(options, api, check_mode=False, clock=seconds(0, 2, 4))
    assert list(outcome.failures) == ["w1"]
    assert "Node w1 of another machine (10.0.0.9, aws:///eu-central-1a/i-old; this one: 10.0.0.1, i-1)" in outcome.failures["w1"]


def test_absent_deletes_by_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [nodes(node("w1", "10.0.0.1", uid="u1"), node("w10", "10.0.0.10")), delete("w1", "u1"), nodes(node("w10", "10.0.0.10"))]
    with scripted(monkeypatch, *script) as (api, _script):
        outcome = work(asked(Wanted("w1", "10.0.0.1"), state="absent"), api, check_mode=False)
    assert [step.summary() for step in outcome.steps] == [{"verb": "delete", "node": "w1", "target": "node/w1"}]
    assert outcome.nodes[0]["uid"] == ""


@pytest.mark.parametrize(("uid", "deleted"), [("u-1", [delete("w1", "u-1"), nodes()]), ("u-0", [])])
def test_absent_by_uid_spares_a_node_that_was_made_again(monkeypatch: pytest.MonkeyPatch, uid: str, deleted: list[Expect]) -> None:
    with scripted(monkeypatch, nodes(node("w1", "10.0.0.1", uid="u-1")), *deleted) as (api, _script):
        outcome = work(asked(Wanted("w1", uid=uid), state="absent"), api, check_mode=False)
    assert len(outcome.steps) == bool(deleted)
    assert outcome.failures == {}


def test_absent_check_mode_plans_the_same_and_deletes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, nodes(node("w1", "10.0.0.1"))) as (api, _script):
        outcome = work(asked(Wanted("w1", "10.0.0.1"), state="absent"), api, check_mode=True)
    assert [step.summary() for step in outcome.steps] == [{"verb": "delete", "node": "w1", "target": "node/w1"}]


def test_C9_absent_node_already_gone_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, nodes()) as (api, _script):
        outcome = work(asked(Wanted("w1", "10.0.0.1"), state="absent"), api, check_mode=False)
    assert (outcome.steps, outcome.failures) == ([], {})


def test_C9_node_that_goes_between_read_and_delete_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, nodes(node("w1", "10.0.0.1", uid="u1")), delete("w1", "u1", 404), nodes()) as (api, _script):
        assert work(asked(Wanted("w1", "10.0.0.1"), state="absent"), api, check_mode=False).failures == {}


def test_C6_node_registered_anew_meanwhile_is_deleted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [
        nodes(node("w1", "10.0.0.1", uid="u1")),
        delete("w1", "u1", 409),
        nodes(node("w1", "10.0.0.1", uid="u2")),
        delete("w1", "u2"),
        nodes(),
    ]
    with scripted(monkeypatch, *script) as (api, _script):
        assert work(asked(Wanted("w1", "10.0.0.1"), state="absent"), api, check_mode=False).failures == {}


def test_C7_absent_spares_a_node_that_took_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, nodes(node("w1", "10.0.0.9"))) as (api, _script):
        outcome = work(asked(Wanted("w1", "10.0.0.1"), state="absent"), api, check_mode=False)
    assert outcome.steps == []
    assert "another machine (10.0.0.9; this one: 10.0.0.1)" in outcome.failures["w1"]


def test_C9_cordoned_patches_only_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    patch = Expect("PATCH", "/api/v1/nodes/w1", {}, body={"spec": {"unschedulable": True}})
    after = nodes(node("w1", "10.0.0.1", unschedulable=True), node("w2", "10.0.0.2", unschedulable=True))
    script = [nodes(node("w1", "10.0.0.1"), node("w2", "10.0.0.2", unschedulable=True)), patch, after]
    with scripted(monkeypatch, *script) as (api, _script):
        outcome = work(asked(Wanted("w1", "10.0.0.1"), Wanted("w2", "10.0.0.2"), state="cordoned"), api, check_mode=False)
    assert [(step.verb, step.node) for step in outcome.steps] == [("cordon", "w1")]


def test_failure_of_one_node_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    there = nodes(node("w1", "10.0.0.1", uid="u1"), node("w2", "10.0.0.2", uid="u2"))
    script = [there, delete("w1", "u1", 403), delete("w2", "u2"), nodes(node("w1", "10.0.0.1", uid="u1"))]
    with scripted(monkeypatch, *script, ordered=False) as (api, _script):
        outcome = work(asked(Wanted("w1", "10.0.0.1"), Wanted("w2", "10.0.0.2"), state="absent"), api, check_mode=False)
    assert list(outcome.failures) == ["w1"]
    assert "lacks this permission" in outcome.failures["w1"]


def test_C11_api_down_while_deleting_raises_before_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    down = Expect("GET", "/api/v1/nodes", urllib3.exceptions.ProtocolError("Connection refused"), query={"limit": "500"})
    with scripted(monkeypatch, *[down] * 5) as (api, _script), pytest.raises(Exception, match="does not answer"):
        work(asked(Wanted("w1", "10.0.0.1"), state="absent"), api, check_mode=False)


@pytest.mark.parametrize(("entries", "message"), [([{"name": " "}], r"nodes\[0\] has an empty name"), ([{"name": "a"}, {"name": "a"}], "a more than once")])
def test_node_names_are_checked(entries: list[dict[str, str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        wanted_nodes(entries)


def test_a_cordon_is_taken_off_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cordoned, free = node("w1", "10.0.0.1", unschedulable=True), node("w2", "10.0.0.2")
    patch = Expect("PATCH", "/api/v1/nodes/w1", node("w1", "10.0.0.1"), body={"spec": {"unschedulable": False}})
    script = [nodes(cordoned, free), patch, nodes(node("w1", "10.0.0.1"), free)]
    with scripted(monkeypatch, *script) as (api, _script):
        outcome = work(asked(Wanted("w1", "10.0.0.1"), Wanted("w2", "10.0.0.2"), state="uncordoned"), api, check_mode=False)
    assert [(step.verb, step.node) for step in outcome.steps] == [("uncordon", "w1")]
    assert [one["unschedulable"] for one in outcome.nodes] == [False, False]
