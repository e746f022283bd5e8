# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets: registered in batches, waited for in one loop, taken out before anything else happens to a node."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils import _progress
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws import waits
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.balancing import target_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.errors import ApiError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.targets import TargetOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError, ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome

from tests.unit.plugins.module_utils.aws.exchange import Exchange, looks

API = "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/api/1"
WEB = "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/web/2"
BY_IP = "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/byip/3"
GROUPS: dict[str, dict[str, t.Any]] = {
    API: {"arn": API, "port": 6443, "target_type": "instance", "kind": "apiserver", "skipped": "", "name": "api", "targets": []},
    WEB: {"arn": WEB, "port": 443, "target_type": "instance", "kind": "ingress", "skipped": ""},
    BY_IP: {"arn": BY_IP, "port": 80, "target_type": "ip", "kind": "ingress", "skipped": ""},
}


def node(number: int, **more: t.Any) -> dict[str, t.Any]:
    return {"name": f"n{number}", "instance_id": f"i-{number}", "address": f"10.0.0.{number}", **more}


def play(aws: Exchange, *groups: str, check: bool = False, count: int = 3, **changes: t.Any) -> Outcome:
    base = {
        "state": "present",
        "nodes": [node(1)],
        "target_groups": [GROUPS[arn] for arn in groups],
        "require_healthy": ["apiserver"],
        "wait_timeout": 10,
        "floor": 0,
        "allow_empty": False,
    }
    outcome = target_work(TargetOptions.of_params({**base, **changes}), aws.clients(), check, looks(count))
    aws.done()
    return outcome


def listed(*entries: tuple[str, int, str], reason: str = "") -> dict[str, t.Any]:
    """DescribeTargetHealth's answer: (target, port, state)."""
    why = {"Reason": reason, "Description": "told so"} if reason else {}
    return {"TargetHealthDescriptions": [{"Target": {"Id": target, "Port": port}, "TargetHealth": {"State": state, **why}} for target, port, state in entries]}


def read(aws: Exchange, arn: str, *entries: tuple[str, int, str], reason: str = "") -> Exchange:
    return aws.expect("DescribeTargetHealth", {"TargetGroupArn": arn}, listed(*entries, reason=reason))


def put(arn: str, *entries: tuple[str, int]) -> dict[str, t.Any]:
    return {"TargetGroupArn": arn, "Targets": [{"Id": target, "Port": port} for target, port in entries]}


def plan(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(step.verb, step.node, step.target) for step in outcome.steps]


def test_nodes_are_registered_in_one_call_per_group_and_waited_for_together() -> None:
    aws = read(read(Exchange(), API), BY_IP)
    aws.expect("RegisterTargets", put(API, ("i-1", 6443), ("i-2", 6443)), {})
    aws.expect("RegisterTargets", put(BY_IP, ("10.0.0.1", 80), ("10.0.0.2", 80)), {})
    read(read(aws, API, ("i-1", 6443, "initial"), ("i-2", 6443, "healthy")), BY_IP, ("10.0.0.1", 80, "healthy"), ("10.0.0.2", 80, "healthy"))
    read(aws, API, ("i-1", 6443, "healthy"), ("i-2", 6443, "healthy"))
    outcome = play(aws, API, BY_IP, nodes=[node(1), node(2)])
    assert plan(outcome) == [("register", "n1", "api:6443"), ("register", "n2", "api:6443"), ("register", "n1", "byip:80"), ("register", "n2", "byip:80")]
    assert outcome.failures == {}
    assert [[entry["state"] for entry in result["targets"]] for result in outcome.nodes] == [["healthy", "healthy"], ["healthy", "healthy"]]


def test_second_run_is_one_call_per_group_and_changes_nothing() -> None:
    outcome = play(read(read(Exchange(), API, ("i-1", 6443, "healthy")), WEB, ("i-1", 443, "healthy")), API, WEB)
    assert outcome.steps == []


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_wait_ends_with_the_look_that_shows_what_it_waits_for_without_another_pause(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(waits, "time", types.SimpleNamespace(sleep=pauses.append, monotonic=lambda: 0.0))
    aws = read(Exchange(), API, *[("i-1", 6443, "healthy"), ("i-2", 6443, "healthy")][state == "present" :])
    change, moving, there = ("RegisterTargets", "initial", "healthy") if state == "present" else ("DeregisterTargets", "draining", "unused")
    aws.expect(change, put(API, ("i-1", 6443)), {})
    for seen in (moving, there):
        read(aws, API, ("i-1", 6443, seen))
    options = {"nodes": [node(1)], "target_groups": [GROUPS[API]], "require_healthy": ["apiserver"], "wait_timeout": 10, "floor": 0, "allow_empty": False}
    assert target_work(TargetOptions.of_params({"state": state, **options}), aws.clients(), False, waits.growing).failures == {}
    aws.done()
    assert pauses == [0.25]


def test_no_nodes_is_no_call() -> None:
    assert play(Exchange(), API, nodes=[]).nodes == []


def test_check_mode_predicts_the_plan_even_without_ids() -> None:
    predicted = play(read(read(Exchange(), API), BY_IP), API, BY_IP, check=True, nodes=[{"name": "n1"}])
    aws = read(read(Exchange(), API), BY_IP)
    aws.expect("RegisterTargets", put(API, ("i-1", 6443)), {}).expect("RegisterTargets", put(BY_IP, ("10.0.0.1", 80)), {})
    real = play(read(read(aws, API, ("i-1", 6443, "healthy")), BY_IP, ("10.0.0.1", 80, "healthy")), API, BY_IP)
    assert plan(predicted) == plan(real)
    with pytest.raises(InputError, match="n1 has no instance_id, which target group api wants; nodes: n1 has no address"):
        play(read(read(Exchange(), API), BY_IP), API, BY_IP, nodes=[{"name": "n1"}])


def test_check_mode_predicts_for_groups_that_are_still_to_be_made() -> None:
    coming = {"name": "api", "arn": "", "port": 6443, "target_type": "instance", "kind": "apiserver", "skipped": ""}
    outcome = play(read(Exchange(), WEB, ("i-1", 443, "healthy")), target_groups=[coming, GROUPS[WEB], {**coming, "name": "api2"}], check=True)
    assert plan(outcome) == [("register", "n1", "api:6443"), ("register", "n1", "api2:6443")]
    with pytest.raises(InputError, match="target_groups: api does not exist yet"):
        play(Exchange(), target_groups=[coming])
    assert play(Exchange(), target_groups=[coming], state="absent").steps == []


def test_groups_that_are_skipped_or_none_get_no_nodes() -> None:
    groups = [{**GROUPS[WEB], "skipped": "no load balancer uses it"}, {**GROUPS[API], "kind": "none"}]
    outcome = play(Exchange(), target_groups=groups)
    assert outcome.nodes == [{"name": "n1", "targets": []}]


def test_missing_target_group_is_named() -> None:
    aws = Exchange().refuse("DescribeTargetHealth", {"TargetGroupArn": API}, "TargetGroupNotFound")
    with pytest.raises(InputError, match=r"target_groups: api does not exist \(any more\)"):
        play(aws, API)


def test_target_groups_must_have_what_cluster_info_returns() -> None:
    with pytest.raises(InputError, match=r"target_groups\[0\]: has no target_type, kind"):
        play(Exchange(), target_groups=[{"arn": API}])


def test_B3_draining_target_is_registered_again() -> None:
    aws = read(Exchange(), API, ("i-1", 6443, "draining")).expect("RegisterTargets", put(API, ("i-1", 6443)), {})
    read(read(aws, API, ("i-1", 6443, "draining")), API, ("i-1", 6443, "healthy"))
    outcome = play(aws, API)
    assert plan(outcome) == [("register", "n1", "api:6443")]
    assert outcome.steps[0].before == {"target": "i-1", "state": "draining"}


def instances(**states: str) -> dict[str, t.Any]:
    return {"Reservations": [{"Instances": [{"InstanceId": name.replace("_", "-"), "State": {"Name": state}} for name, state in states.items()]}]}


def looked_for(*ids: str) -> dict[str, t.Any]:
    return {"Filters": [{"Name": "instance-id", "Values": list(ids)}, {"Name": "instance-state-name", "Values": ["pending", "running"]}]}


def test_B4_pending_instance_is_tried_again() -> None:
    aws = read(Exchange(), API)
    for _attempt in range(2):
        aws.refuse("RegisterTargets", put(API, ("i-1", 6443)), "InvalidTarget", "The following targets are not in a running state")
    aws.expect("DescribeInstances", looked_for("i-1"), instances(i_1="pending"))
    aws.expect("RegisterTargets", put(API, ("i-1", 6443)), {})
    read(aws, API, ("i-1", 6443, "healthy"))
    assert play(aws, API).failures == {}


def test_B4_instance_that_shuts_down_is_given_up_at_once() -> None:
    aws = read(Exchange(), API)
    for _attempt in range(2):
        aws.refuse("RegisterTargets", put(API, ("i-1", 6443)), "InvalidTarget", "The following targets are not in a running state")
    aws.expect("DescribeInstances", looked_for("i-1"), instances())
    assert "target group api refuses i-1" in play(aws, API).failures["n1"]


def test_B5_target_that_stays_unhealthy_fails_with_elbs_reason() -> None:
    aws = read(Exchange(), API, ("i-1", 6443, "unhealthy"), reason="Target.FailedHealthChecks")
    read(aws, API, ("i-1", 6443, "unhealthy"), reason="Target.FailedHealthChecks")
    failure = play(aws, API, count=1).failures["n1"]
    assert failure == "not healthy after 10 s: target group api, target i-1 port 6443: unhealthy (Target.FailedHealthChecks told so)"


def test_B5_ingress_target_is_waited_for_past_initial_then_a_warning() -> None:
    aws = read(Exchange(), WEB).expect("RegisterTargets", put(WEB, ("i-1", 443)), {})
    for state in ("initial", "unhealthy", "unhealthy"):
        read(aws, WEB, ("i-1", 443, state), reason="Target.FailedHealthChecks")
    outcome = play(aws, WEB)
    assert outcome.failures == {}
    assert outcome.warnings == ["no traffic yet for n1: unhealthy (Target.FailedHealthChecks told so) in web"]


def test_targets_that_are_alike_are_one_warning() -> None:
    aws = read(read(Exchange(), WEB), BY_IP)
    aws.expect("RegisterTargets", put(WEB, ("i-1", 443), ("i-2", 443)), {})
    aws.expect("RegisterTargets", put(BY_IP, ("10.0.0.1", 80), ("10.0.0.2", 80)), {})
    for _look in range(2):
        read(aws, WEB, ("i-1", 443, "unhealthy"), ("i-2", 443, "unhealthy"))
        read(aws, BY_IP, ("10.0.0.1", 80, "unhealthy"), ("10.0.0.2", 80, "unused"))
    outcome = play(aws, WEB, BY_IP, nodes=[node(1), node(2)])
    assert outcome.warnings == ["no traffic yet for n1, n2: unhealthy in web, byip", "no traffic yet for n2: unused in byip"]


def test_B5_ingress_target_whose_pods_are_only_starting_is_looked_at_once_more() -> None:
    aws = read(Exchange(), WEB).expect("RegisterTargets", put(WEB, ("i-1", 443)), {})
    for state in ("initial", "unhealthy", "healthy"):
        read(aws, WEB, ("i-1", 443, state))
    outcome = play(aws, WEB)
    assert (outcome.failures, outcome.warnings) == ({}, [])


def test_B5_ingress_target_can_be_required_to_be_healthy() -> None:
    aws = read(Exchange(), WEB, ("i-1", 443, "unhealthy"))
    read(aws, WEB, ("i-1", 443, "unhealthy"))
    assert "not healthy" in play(aws, WEB, count=1, require_healthy=["ingress"]).failures["n1"]


def absent(aws: Exchange, *groups: str, **changes: t.Any) -> Outcome:
    return play(aws, *groups, state="absent", **changes)


def test_B6_every_target_of_the_node_is_deregistered_by_the_port_it_is_found_on() -> None:
    aws = read(Exchange(), API, ("i-1", 6443, "healthy"), ("i-2", 6443, "healthy"))
    read(aws, WEB, ("i-1", 443, "healthy"), ("i-1", 31443, "unused"), ("i-2", 443, "healthy"))
    read(aws, BY_IP, ("10.0.0.1", 8080, "healthy"), ("10.0.0.10", 80, "healthy"))
    aws.expect("DeregisterTargets", put(API, ("i-1", 6443)), {})
    aws.expect("DeregisterTargets", put(WEB, ("i-1", 443), ("i-1", 31443)), {})
    aws.expect("DeregisterTargets", put(BY_IP, ("10.0.0.1", 8080)), {})
    read(aws, API, ("i-1", 6443, "draining"), ("i-2", 6443, "healthy"))
    read(read(aws, WEB, ("i-2", 443, "healthy")), BY_IP, ("10.0.0.1", 8080, "draining"))
    read(read(aws, API, ("i-2", 6443, "healthy")), BY_IP)
    outcome = absent(aws, API, WEB, BY_IP)
    assert plan(outcome) == [
        ("deregister", "n1", "api:6443"),
        ("deregister", "n1", "web:443"),
        ("deregister", "n1", "web:31443"),
        ("deregister", "n1", "byip:8080"),
    ]
    assert outcome.failures == {}
    assert {entry["state"] for entry in outcome.nodes[0]["targets"]} == {""}


def test_skipped_groups_are_left_but_kind_none_is_not_touched() -> None:
    groups = [{**GROUPS[WEB], "skipped": "no load balancer uses it"}, {**GROUPS[API], "kind": "none"}]
    aws = read(Exchange(), WEB, ("i-1", 443, "unused"), reason="Target.NotInUse")
    aws.expect("DeregisterTargets", put(WEB, ("i-1", 443)), {})
    assert plan(absent(aws, target_groups=groups)) == [("deregister", "n1", "web:443")]


def test_B2_floor_is_waited_out_while_the_instance_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    for exists in (True, False):
        aws = read(Exchange(), WEB, ("i-1", 443, "healthy")).expect("DeregisterTargets", put(WEB, ("i-1", 443)), {})
        with _progress.running() as progress:
            absent(read(aws, WEB), WEB, floor=120, nodes=[node(1, instance_exists=exists)])
        assert ("waiting" in progress.timing["n1"]) is exists
    assert len(pauses) == 1
    assert 119 < pauses[0] <= 120


def test_B3_target_draining_already_is_waited_for_with_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    outcome = absent(read(read(Exchange(), WEB, ("i-1", 443, "draining")), WEB), WEB, floor=120)
    assert outcome.steps == []
    assert len(pauses) == 1


def test_absent_repeated_is_one_call_per_group_without_any_wait() -> None:
    assert absent(read(Exchange(), WEB, ("i-2", 443, "healthy")), WEB, floor=1000).steps == []


def test_absent_target_that_does_not_drain_fails_its_node() -> None:
    aws = read(Exchange(), WEB, ("i-1", 443, "draining"))
    read(aws, WEB, ("i-1", 443, "draining"), reason="Target.DeregistrationInProgress")
    assert absent(aws, WEB, count=1).failures["n1"].startswith("not drained after 10 s: target group web, target i-1 port 443: draining")


def test_B7_failed_deregistration_fails_its_nodes_and_no_others() -> None:
    aws = read(read(Exchange(), WEB, ("i-1", 443, "healthy")), BY_IP, ("10.0.0.2", 80, "healthy"))
    aws.refuse("DeregisterTargets", put(WEB, ("i-1", 443)), "AccessDenied", "no")
    aws.expect("DeregisterTargets", put(BY_IP, ("10.0.0.2", 80)), {})
    outcome = absent(read(aws, BY_IP), WEB, BY_IP, nodes=[node(1), node(2)])
    assert list(outcome.failures) == ["n1"]
    assert "still gets traffic through target group web" in outcome.failures["n1"]
    assert "elasticloadbalancing:DeregisterTargets" in outcome.failures["n1"]


def test_B17_vanished_target_group_has_no_targets() -> None:
    aws = Exchange().refuse("DescribeTargetHealth", {"TargetGroupArn": WEB}, "TargetGroupNotFound")
    assert absent(aws, WEB).steps == []


def test_B19_one_bad_target_does_not_keep_out_the_others() -> None:
    aws = read(Exchange(), API)
    aws.refuse("RegisterTargets", put(API, ("i-1", 6443), ("i-2", 6443)), "InvalidTarget", "not in the target group VPC: i-1")
    aws.refuse("RegisterTargets", put(API, ("i-1", 6443)), "InvalidTarget", "not in the target group VPC: i-1")
    aws.expect("RegisterTargets", put(API, ("i-2", 6443)), {})
    outcome = play(read(aws, API, ("i-2", 6443, "healthy")), API, nodes=[node(1), node(2)])
    assert list(outcome.failures) == ["n1"]
    assert [entry["state"] for entry in outcome.nodes[1]["targets"]] == ["healthy"]


def test_other_refusals_to_register_fail_the_whole_call() -> None:
    aws = read(Exchange(), API).refuse("RegisterTargets", put(API, ("i-1", 6443)), "AccessDenied")
    with pytest.raises(ApiError, match="elasticloadbalancing:RegisterTargets"):
        play(aws, API)


@pytest.mark.parametrize("check", [True, False])
def test_B20_last_healthy_apiserver_target_stays(check: bool) -> None:
    aws = read(Exchange(), API, ("i-1", 6443, "healthy"), ("i-2", 6443, "unhealthy"))
    with pytest.raises(ManagerError, match="target group api has no healthy target without n1; nothing was deregistered"):
        absent(aws, API, check=check)


def test_B20_sick_apiserver_target_may_go_and_allow_empty_lets_the_last_go() -> None:
    entries = (("i-1", 6443, "unhealthy"), ("i-2", 6443, "healthy"))
    assert plan(absent(read(Exchange(), API, *entries), API, check=True)) == [("deregister", "n1", "api:6443")]
    outcome = absent(read(Exchange(), API, ("i-1", 6443, "healthy")), API, check=True, allow_empty=True)
    assert outcome.warnings == ["target group api has no healthy target without n1"]


def test_more_targets_than_a_batch_go_in_several_calls() -> None:
    nodes = [node(number) for number in range(1, 102)]
    aws = read(Exchange(), WEB)
    for batch in (nodes[:100], nodes[100:]):
        aws.expect("RegisterTargets", put(WEB, *((one["instance_id"], 443) for one in batch)), {})
    read(aws, WEB, *((one["instance_id"], 443, "healthy") for one in nodes))
    assert len(play(aws, WEB, nodes=nodes).steps) == 101
