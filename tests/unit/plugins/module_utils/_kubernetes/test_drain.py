# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draining: what is evicted, in which order, how refusals are taken, and what a failure says."""

from __future__ import annotations

import typing as t

import pytest
import urllib3
from ansible_collections.k8s_cluster.manager.plugins.module_utils import _progress
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes import drain
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.drain import DrainOptions, Job, PodLists, work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.nodes import Wanted
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.pods import claims, matches, treatment

from .exchange import Expect, failure, node, nodes, scripted, seconds

W1 = Wanted("w1", "10.0.0.1")
NODE = node("w1", "10.0.0.1")
CORDONED = node("w1", "10.0.0.1", unschedulable=True)


def pod(name: str, owner: str = "ReplicaSet", uid: str = "", phase: str = "Running", **changes: t.Any) -> dict[str, t.Any]:
    meta: dict[str, t.Any] = {"name": name, "namespace": "shop", "uid": uid or f"uid-{name}", "labels": {"app": "web"}}
    if owner:
        meta["ownerReferences"] = [{"kind": owner, "name": "o", "controller": True}]
    meta.update(changes.pop("metadata", {}))
    return {"metadata": meta, "spec": {"volumes": changes.pop("volumes", [])}, "status": {"phase": phase}}


TERMINATING: dict[str, t.Any] = {"metadata": {"deletionTimestamp": "2026-11-22T15:00:00Z"}}


def budget(name: str, allowed: int = 0, **labels: str) -> dict[str, t.Any]:
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"matchLabels": labels or {"app": "web"}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 2, "desiredHealthy": 2},
    }


def pods(*entries: dict[str, t.Any], on: str = "w1") -> Expect:
    return Expect("GET", "/api/v1/pods", {"items": list(entries)}, query={"limit": "500", "fieldSelector": f"spec.nodeName={on}"})


def budgets(*entries: dict[str, t.Any]) -> Expect:
    return Expect("GET", "/apis/policy/v1/poddisruptionbudgets", {"items": list(entries)}, query={"limit": "500"})


def cordon(name: str = "w1") -> Expect:
    return Expect("PATCH", f"/api/v1/nodes/{name}", {}, body={"spec": {"unschedulable": True}})


def evict(name: str, uid: str = "", status: int = 201, answer: t.Any = None, grace: int | None = None, retry_after: str = "") -> Expect:
    options: dict[str, t.Any] = {"preconditions": {"uid": uid or f"uid-{name}"}}
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "shop"}, "deleteOptions": options}
    answer = answer if answer is not None else {} if status < 300 else failure(status)
    return Expect(
        "POST", f"/api/v1/namespaces/shop/pods/{name}/eviction", answer, status, body=body, headers={"Retry-After": retry_after} if retry_after else {}
    )


def refused_by(name: str) -> dict[str, t.Any]:
    said = f"The disruption budget {name} needs 2 healthy pods and has 2 currently"
    return failure(429, "Cannot evict pod as it would violate the pod's disruption budget.", causes=[{"reason": "DisruptionBudget", "message": said}])


def attachments(*pairs: tuple[str, str]) -> Expect:
    items = [{"metadata": {"name": f"csi-{v}"}, "spec": {"nodeName": n, "source": {"persistentVolumeName": v}}} for n, v in pairs]
    return Expect("GET", "/apis/storage.k8s.io/v1/volumeattachments", {"items": items}, query={"limit": "500"})


def options(*wanted: Wanted, **changes: t.Any) -> DrainOptions:
    return DrainOptions(nodes=list(wanted or [W1]), timeout=changes.pop("timeout", 60.0), **changes)


def results(outcome: t.Any) -> dict[str, str]:
    return {entry["name"]: entry["result"] for found in outcome.nodes for entry in found["pods"]}


def run(monkeypatch: pytest.MonkeyPatch, *script: Expect, check_mode: bool = False, clock: t.Any = None, ordered: bool = True, **changes: t.Any) -> t.Any:
    with scripted(monkeypatch, *script, ordered=ordered) as (api, _script):
        return work(options(*changes.pop("wanted", ()), **changes), api, check_mode, clock or seconds(0, 1, 2, 3))


# ---- the plain way


def test_cordons_evicts_waits_for_pods_and_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    web, agent = pod("web"), pod("agent", owner="DaemonSet")
    with _progress.running() as progress:
        outcome = run(
            monkeypatch,
            nodes(NODE),
            pods(web, agent),
            budgets(),
            cordon(),
            pods(web, agent),
            evict("web"),
            pods(pod("web", **TERMINATING), agent),
            pods(agent),
            attachments(("w1", "data")),
            attachments(("w2", "other")),
        )
    assert list(progress.timing["w1"]) == ["draining", "empty", "detaching", "detached"]
    assert outcome.failures == {}
    assert [step.summary() for step in outcome.steps] == [
        {"verb": "cordon", "node": "w1", "target": "node/w1"},
        {"verb": "evict", "node": "w1", "target": "pod/shop/web"},
    ]
    assert results(outcome) == {"web": "evicted", "agent": "skipped"}


def test_check_mode_plans_the_same_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run(monkeypatch, nodes(NODE), pods(pod("web")), budgets(), check_mode=True)
    assert [(step.verb, step.target) for step in outcome.steps] == [("cordon", "node/w1"), ("evict", "pod/shop/web")]
    assert results(outcome) == {"web": "evicted"}


def test_nodes_that_somebody_else_cordons_are_only_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [nodes(NODE), pods(pod("web")), budgets(), pods(pod("web")), evict("web"), pods(), attachments()]
    outcome = run(monkeypatch, *script, cordon=False)
    assert [(step.verb, step.target) for step in outcome.steps] == [("evict", "pod/shop/web")]


def test_C9_rerun_on_a_cordoned_and_empty_node_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run(monkeypatch, nodes(CORDONED), pods(), budgets(), pods(), attachments())
    assert (outcome.steps, outcome.failures) == ([], {})


def test_C9_node_without_node_object_is_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run(monkeypatch, nodes())
    assert outcome.nodes == [{"name": "w1", "node_names": [], "pods": []}]


def test_no_nodes_need_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch) as (api, _script):
        assert work(DrainOptions(nodes=[], timeout=1), api, False).steps == []


def test_all_nodes_are_cordoned_before_the_first_eviction(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    one, two = pod("one"), pod("two")
    script = [
        nodes(NODE, node("w2", "10.0.0.2")),
        *[pods(one), pods(two, on="w2"), budgets(), cordon(), cordon("w2")],
        *[pods(one), pods(two, on="w2"), evict("one"), evict("two"), pods(), pods(on="w2"), attachments()],
    ]
    with scripted(monkeypatch, *script, ordered=False) as (api, player):
        answer = player._answer

        def noted(expect: Expect) -> t.Any:
            order.append(expect.method)
            return answer(expect)

        monkeypatch.setattr(player, "_answer", noted)
        outcome = work(options(W1, Wanted("w2", "10.0.0.2"), concurrency=1), api, False, seconds(0, 1, 2))
    assert outcome.failures == {}
    assert [method for method in order if method != "GET"] == ["PATCH", "PATCH", "POST", "POST"]


def everywhere(*entries: dict[str, t.Any]) -> Expect:
    return Expect("GET", "/api/v1/pods", {"items": list(entries)}, query={"limit": "500"})


def test_many_nodes_cost_the_pages_of_all_pods_and_not_a_call_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list serves each node once; when no more nodes are left than pages, each is asked for by itself."""
    jobs = [Job(name, node(name, "10.0.0.1"), []) for name in ("w1", "w2", "w3")]
    first, later = pod("first"), pod("later")
    for entry, name in ((first, "w1"), (later, "w2")):
        entry["spec"]["nodeName"] = name
    with scripted(monkeypatch, everywhere(first, later), everywhere(later), pods(on="w2")) as (api, script):
        lists = PodLists(api, len(jobs), 8)
        assert [lists.of(job) for job in jobs] == [[first], [later], []]
        assert len(script.left) == 2
        assert [lists.of(job) for job in jobs] == [[], [later], []]
        lists.finished()
        lists.finished()
        assert lists.of(jobs[1]) == []


def test_nodes_that_wait_for_their_turn_are_not_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("w1", node("w1", "10.0.0.1"), [])
    with scripted(monkeypatch, pods(pod("one"))) as (api, _script):
        assert [found["metadata"]["name"] for found in PodLists(api, 5, 1).of(job)] == ["one"]


def test_no_concurrency_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="concurrency: 0 is less than 1"):
        run(monkeypatch, concurrency=0)


def test_pages_of_all_pods_are_weighed_against_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "PAGE", 1)
    jobs = [Job(name, node(name, "10.0.0.1"), []) for name in ("w1", "w2")]
    with scripted(monkeypatch, everywhere(pod("one"), pod("two")), pods(), pods(on="w2")) as (api, _script):
        lists = PodLists(api, len(jobs), 8)
        for job in (*jobs, *jobs):
            lists.of(job)


def test_a_list_that_others_read_a_while_ago_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(drain.time, "monotonic", lambda: now)
    jobs = [Job(name, node(name, "10.0.0.1"), []) for name in ("w1", "w2")]
    with scripted(monkeypatch, everywhere(), everywhere()) as (api, script):
        lists = PodLists(api, len(jobs), 8)
        lists.of(jobs[0])
        now += drain.INTERVAL + 0.1
        lists.of(jobs[1])
        assert script.left == []


def test_the_last_of_the_nodes_takes_the_list_that_the_others_read(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [Job(name, node(name, "10.0.0.1"), []) for name in ("w1", "w2")]
    with scripted(monkeypatch, everywhere()) as (api, _script):
        lists = PodLists(api, len(jobs), 8)
        lists.of(jobs[0])
        lists.finished()
        assert lists.of(jobs[1]) == []


def test_one_failing_node_does_not_stop_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [
        nodes(CORDONED, node("w2", "10.0.0.2", unschedulable=True)),
        *[pods(pod("alone", owner="")), pods(pod("two"), on="w2"), budgets()],
        *[pods(pod("two"), on="w2"), evict("two"), pods(on="w2"), attachments()],
    ]
    outcome = run(monkeypatch, *script, ordered=False, wanted=(W1, Wanted("w2", "10.0.0.2")), concurrency=1)
    assert list(outcome.failures) == ["w1"]
    assert results(outcome) == {"alone": "failed", "two": "evicted"}


def test_grace_period_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, nodes(CORDONED), pods(pod("web")), budgets(), pods(pod("web")), evict("web", grace=0), pods(), attachments(), terminate_grace_period=0)


def test_disable_eviction_deletes_by_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    delete = Expect("DELETE", "/api/v1/namespaces/shop/pods/web", {}, body={"preconditions": {"uid": "uid-web"}})
    two = budgets(budget("a"), budget("b"))
    outcome = run(monkeypatch, nodes(CORDONED), pods(pod("web")), two, pods(pod("web")), delete, pods(), attachments(), disable_eviction=True)
    assert (results(outcome), outcome.failures) == ({"web": "deleted"}, {})


# ---- refusals


def test_C1_budget_that_never_yields_ends_at_the_deadline_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = evict("web", status=429, answer=refused_by("web-pdb"))
    script = [nodes(NODE), pods(pod("web")), budgets(budget("web-pdb")), cordon()]
    ticks = [pods(pod("web")), refused] * 3
    outcome = run(monkeypatch, *script, *ticks, clock=seconds(0, 30, 60))
    assert "not drained within 60 s: pod shop/web: blocked by PodDisruptionBudget shop/web-pdb (needs 2 healthy pods and has 2)" in outcome.failures["w1"]
    assert "The disruption budget web-pdb needs 2 healthy pods" in outcome.failures["w1"]
    assert "Node w1 stays cordoned: run again, or `kubectl uncordon w1`" in outcome.failures["w1"]
    assert results(outcome) == {"web": "blocked"}


def test_C1_check_mode_warns_of_a_budget_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run(monkeypatch, nodes(NODE), pods(pod("web")), budgets(budget("web-pdb"), budget("other", app="db")), check_mode=True)
    assert outcome.warnings == [
        "w1: pod shop/web cannot be evicted now: PodDisruptionBudget shop/web-pdb (needs 2 healthy pods and has 2) allows no disruption"
    ]


def test_C1b_two_budgets_are_named_before_anything_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run(monkeypatch, nodes(NODE), pods(pod("web")), budgets(budget("a", 1), budget("b", 1)))
    assert outcome.steps == []
    assert "pod shop/web is covered by PodDisruptionBudget shop/a" in outcome.failures["w1"]
    assert "PodDisruptionBudget shop/b" in outcome.failures["w1"]


def test_C1b_answer_500_for_two_budgets_is_asked_once_only(monkeypatch: pytest.MonkeyPatch) -> None:
    late, two = pod("late"), budgets(budget("a"), budget("b"))
    waiting = pod("late", phase="Pending")  # not looked at by budgets yet, so it passes the check beforehand
    outcome = run(monkeypatch, nodes(CORDONED), pods(waiting), two, pods(late), evict("late", status=500))
    assert "a and PodDisruptionBudget shop/b" in outcome.failures["w1"].replace(" (needs 2 healthy pods and has 2)", "")
    assert results(outcome) == {"late": "failed"}


def test_C3_refused_evictions_are_tried_again_when_the_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    web = pods(pod("web"))
    refused = evict("web", status=429, answer=refused_by("web-pdb"), retry_after="10")
    script = [nodes(CORDONED), web, budgets(budget("web-pdb")), web, refused, web, web, evict("web"), pods(), attachments()]
    outcome = run(monkeypatch, *script, clock=seconds(0, 5, 10, 11))
    assert (outcome.failures, results(outcome)) == ({}, {"web": "evicted"})


def test_C3_backoff_grows_without_the_servers_word(monkeypatch: pytest.MonkeyPatch) -> None:
    web, refused = pods(pod("web")), evict("web", status=429)
    tried_at = {0, 1, 3, 7, 15}  # 1, 2, 4, 8 seconds apart
    ticks = [call for second in range(16) for call in ([web, refused] if second in tried_at else [web])]
    run(monkeypatch, nodes(CORDONED), web, budgets(), *ticks, pods(), attachments(), clock=lambda timeout, _i: iter(range(17)) if timeout == 60 else iter((0,)))


@pytest.mark.parametrize("status", [500, 503])
def test_other_server_errors_are_tried_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    web = pods(pod("web"))
    outcome = run(monkeypatch, nodes(CORDONED), web, budgets(), web, evict("web", status=status), web, evict("web"), pods(), attachments())
    assert outcome.failures == {}


def test_lost_answer_to_an_eviction_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    web, lost = pods(pod("web")), evict("web", answer=urllib3.exceptions.ProtocolError("reset"))
    outcome = run(monkeypatch, nodes(CORDONED), web, budgets(), web, lost, web, evict("web", status=404), pods(), attachments())
    assert (outcome.failures, results(outcome)) == ({}, {"web": "gone"})


def test_forbidden_eviction_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    web = pods(pod("web"))
    outcome = run(monkeypatch, nodes(CORDONED), web, budgets(), web, evict("web", status=403))
    assert "lacks this permission" in outcome.failures["w1"]


def test_terminating_namespace_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    web = pods(pod("web"))
    ending = failure(403, "unable to create new content", causes=[{"reason": "NamespaceTerminating"}])
    outcome = run(monkeypatch, nodes(CORDONED), web, budgets(), web, evict("web", status=403, answer=ending), pods(), attachments())
    assert outcome.failures == {}


def test_C4_pod_of_the_same_name_elsewhere_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    old = pods(pod("db-0", owner="StatefulSet", uid="old"))
    outcome = run(monkeypatch, nodes(CORDONED), old, budgets(), old, evict("db-0", uid="old", status=409), pods(), attachments())
    assert outcome.failures == {}


def test_C4_pod_of_the_same_name_on_the_same_node_is_another_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = pods(pod("db-0", uid="old")), pods(pod("db-0", uid="new"))
    script = [nodes(CORDONED), old, budgets(), old, evict("db-0", uid="old"), new, evict("db-0", uid="new"), pods(), attachments()]
    outcome = run(monkeypatch, *script)
    assert [entry["result"] for entry in outcome.nodes[0]["pods"]] == ["evicted", "evicted"]


# ---- dead nodes


def test_C2_unreachable_node_fails_before_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = node("w1", "10.0.0.1", ready="Unknown")
    outcome = run(monkeypatch, nodes(dead), pods(pod("web")), budgets())
    assert "its kubelet does not answer" in outcome.failures["w1"]
    assert "unreachable=force" in outcome.failures["w1"]


def test_C2_unreachable_node_by_force_asks_once_and_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = node("w1", "10.0.0.1", ready="Unknown")
    there = pods(pod("web"), pod("stuck", **TERMINATING), pod("held"))
    script = [nodes(dead), there, budgets(budget("web-pdb")), cordon(), there, evict("web"), evict("held", status=429, answer=refused_by("web-pdb"))]
    outcome = run(monkeypatch, *script, unreachable="force")
    assert outcome.failures == {}
    assert results(outcome) == {"web": "evicted", "stuck": "terminating", "held": "blocked"}


def test_terminating_pod_is_waited_for_but_not_evicted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = pods(pod("stuck", **TERMINATING))
    outcome = run(monkeypatch, nodes(CORDONED), stuck, budgets(), stuck, stuck, pods(), attachments())
    assert (outcome.steps, results(outcome)) == ([], {"stuck": "gone"})


def test_terminating_pod_that_stays_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = pods(pod("stuck", **TERMINATING))
    outcome = run(monkeypatch, nodes(CORDONED), stuck, budgets(), stuck, clock=seconds(0))
    assert "pod shop/stuck: already terminating" in outcome.failures["w1"]


# ---- volumes


def test_C8_attached_volumes_are_waited_for_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    held = attachments(("w1", "pv-1"), ("w1", "pv-2"), ("w9", "pv-3"))
    outcome = run(monkeypatch, nodes(CORDONED), pods(), budgets(), pods(), held, held, clock=seconds(0, 1), volume_timeout=7.0)
    assert "volumes still attached after 7 s: pv-1, pv-2. Node w1 stays cordoned" in outcome.failures["w1"]


def test_C8_volumes_of_daemonset_pods_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = pod("agent", owner="DaemonSet", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "cache"}}])
    claim = Expect("GET", "/api/v1/namespaces/shop/persistentvolumeclaims/cache", {"spec": {"volumeName": "pv-1"}})
    outcome = run(monkeypatch, nodes(CORDONED), pods(agent), budgets(), pods(agent), claim, attachments(("w1", "pv-1")))
    assert outcome.failures == {}


def test_C11_api_lost_while_pods_are_leaving_is_not_taken_for_an_empty_node(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Expect("GET", "/api/v1/pods", failure(503), 503, query={"limit": "500", "fieldSelector": "spec.nodeName=w1"})
    outcome = run(monkeypatch, nodes(CORDONED), pods(pod("web")), budgets(), lost, lost, clock=seconds(0, 60))
    assert "Cannot list the pods of node w1: HTTP 503" in outcome.failures["w1"]


def test_C11_api_lost_while_volumes_are_leaving_is_not_taken_for_detached(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Expect("GET", "/apis/storage.k8s.io/v1/volumeattachments", failure(503), 503, query={"limit": "500"})
    outcome = run(monkeypatch, nodes(CORDONED), pods(), budgets(), pods(), lost, lost, clock=seconds(0, 60))
    assert "Cannot list the volume attachments: HTTP 503" in outcome.failures["w1"]


def test_short_outages_are_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    lost_pods = Expect("GET", "/api/v1/pods", failure(503), 503, query={"limit": "500", "fieldSelector": "spec.nodeName=w1"})
    lost_volumes = Expect("GET", "/apis/storage.k8s.io/v1/volumeattachments", failure(503), 503, query={"limit": "500"})
    outcome = run(monkeypatch, nodes(CORDONED), pods(), budgets(), lost_pods, pods(), lost_volumes, attachments())
    assert outcome.failures == {}


# ---- single pods


@pytest.mark.parametrize(
    ("one", "evicted", "reason"),
    [
        (pod("a"), True, ""),
        (pod("a", owner="DaemonSet"), False, "managed by a DaemonSet"),
        (pod("a", metadata={"annotations": {"kubernetes.io/config.mirror": "x"}}), False, "static pod of the node itself"),
        (pod("a", phase="Succeeded"), False, "finished"),
        (pod("a", owner="", phase="Failed"), False, "finished"),
        (pod("a", owner="", **TERMINATING), True, "already terminating"),
    ],
)
def test_treatment(one: dict[str, t.Any], evicted: bool, reason: str) -> None:
    verdict = treatment(one, force=False, delete_emptydir_data=False)
    assert (verdict.evict, verdict.reason, verdict.problem) == (evicted, reason, "")


@pytest.mark.parametrize(
    ("one", "allowed_by", "option"),
    [
        (pod("a", owner=""), {"force": True, "delete_emptydir_data": False}, "force=true"),
        (pod("a", volumes=[{"name": "tmp", "emptyDir": {}}]), {"force": False, "delete_emptydir_data": True}, "delete_emptydir_data=true"),
    ],
)
def test_losing_something_needs_its_word(one: dict[str, t.Any], allowed_by: dict[str, bool], option: str) -> None:
    assert option in treatment(one, force=False, delete_emptydir_data=False).problem
    assert treatment(one, **allowed_by).problem == ""


def test_all_problems_of_all_pods_are_named_before_anything_is_cordoned(monkeypatch: pytest.MonkeyPatch) -> None:
    there = pods(pod("alone", owner=""), pod("scratch", volumes=[{"name": "tmp", "emptyDir": {}}]))
    outcome = run(monkeypatch, nodes(NODE), there, budgets())
    assert "pod shop/alone has no controller" in outcome.failures["w1"]
    assert "pod shop/scratch keeps data in emptyDir (tmp)" in outcome.failures["w1"]


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "db"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "db"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_label_selectors(selector: dict[str, t.Any] | None, selected: bool) -> None:
    assert matches(selector, {"app": "web"}) is selected


def test_claims_of_ephemeral_volumes() -> None:
    volumes = [{"name": "scratch", "ephemeral": {}}, {"name": "d", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "c", "configMap": {}}]
    assert claims(pod("web", volumes=volumes)) == [("shop", "web-scratch"), ("shop", "data")]
