# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_info and nlb_target against the sandbox's load balancers, with connections going through them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.balancing import target_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.discovery import InfoOptions, discover
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.targets import TargetOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome

from tests.sandbox.calls import Fault
from tests.unit.sandbox.aws_lab import Answering, Lab, greeting, until
from tests.unit.sandbox_modules.aws_kit import NAMES, clients_of, plan, play

TAGS = [{"Key": "Cluster", "Value": "fargle"}]


def front(lab: Lab, name: str, port: int, target_type: str = "instance", cluster: str = "fargle") -> str:
    """A load balancer with a listener and a target group behind it; the group's ARN."""
    tags = [{"Key": "Cluster", "Value": cluster}]
    words = {"Subnets": list(lab.subnets.values()), "Scheme": "internal", "Type": "network"}
    balancer = lab.elb.create_load_balancer(Name=name, Tags=tags, **words)["LoadBalancers"][0]["LoadBalancerArn"]
    group = lab.elb.create_target_group(Name=name, Protocol="TCP", Port=port, VpcId=lab.vpc, TargetType=target_type)["TargetGroups"][0]["TargetGroupArn"]
    actions = [{"Type": "forward", "TargetGroupArn": group}]
    lab.elb.create_listener(LoadBalancerArn=balancer, Protocol="TCP", Port=port, DefaultActions=actions)
    return str(group)


def cluster_of(lab: Lab, name: str = "fargle") -> dict[str, t.Any]:
    return discover(InfoOptions(name), clients_of(lab)).values["cluster"]


def nodes_of(outcome: Outcome, **more: t.Any) -> list[dict[str, t.Any]]:
    return [{"name": node["name"], "instance_id": node["instance_id"], "address": node["private_ip"], **more} for node in outcome.nodes]


def targets(lab: Lab, state: str, nodes: list[dict[str, t.Any]], check: bool = False, **changes: t.Any) -> Outcome:
    base = {
        "state": state,
        "nodes": nodes,
        "target_groups": changes.get("target_groups") or cluster_of(lab)["target_groups"],
        "require_healthy": ["apiserver", "ingress"],
        "wait_timeout": 10,
        "floor": 0,
        "allow_empty": False,
    }
    return target_work(TargetOptions.of_params({**base, **changes}), clients_of(lab), check)


def registered(lab: Lab, group: str) -> set[tuple[str, int]]:
    rows = lab.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return {(row["Target"]["Id"], row["Target"]["Port"]) for row in rows if row["TargetHealth"]["State"] != "draining"}


@contextlib.contextmanager
def serving(lab: Lab, outcome: Outcome, *ports: int) -> t.Iterator[None]:
    """Every node answers on the ports."""
    with contextlib.ExitStack() as stack:
        for node in outcome.nodes:
            for port in ports:
                stack.enter_context(Answering(lab, node["private_ip"], port, node["name"]))
        yield


def test_nodes_become_healthy_in_both_kinds_of_groups_and_leave_them(lab: Lab) -> None:
    web, by_address = front(lab, "fargle-web", 8443), front(lab, "fargle-ip", 8080, "ip")
    other = front(lab, "fargle2-web", 9443, cluster="fargle2")
    made = play(lab)
    nodes = nodes_of(made)
    with serving(lab, made, 8443, 8080):
        predicted = targets(lab, "present", nodes, check=True)
        assert registered(lab, web) == set()
        done = targets(lab, "present", nodes)
        assert plan(done) == plan(predicted)
        assert done.failures == {}
        assert registered(lab, web) == {(node["instance_id"], 8443) for node in nodes}
        assert registered(lab, by_address) == {(node["address"], 8080) for node in nodes}
        assert plan(targets(lab, "present", nodes)) == []
        predicted = targets(lab, "absent", nodes[:1], check=True)
        assert plan(targets(lab, "absent", nodes[:1])) == plan(predicted)
        assert registered(lab, web) == {(node["instance_id"], 8443) for node in nodes[1:]}
        assert plan(targets(lab, "absent", nodes[:1])) == []
    assert registered(lab, other) == set()


def test_waiting_takes_one_read_per_group_and_look_however_many_nodes(lab: Lab) -> None:
    front(lab, "fargle-web", 8443)
    made = play(lab)
    groups = cluster_of(lab)["target_groups"]
    with serving(lab, made, 8443):
        lab.ledger.clear_calls()
        targets(lab, "present", nodes_of(made), target_groups=groups)
        assert sum(call.operation == "RegisterTargets" for call in lab.ledger.calls) == 1
        lab.ledger.clear_calls()
        targets(lab, "present", nodes_of(made), target_groups=groups)
        assert [call.operation for call in lab.ledger.calls] == ["DescribeTargetHealth"]


@contextlib.contextmanager
def probing(address: str, port: int) -> t.Iterator[list[str]]:
    """Connect again and again meanwhile; yields who answered, "" for nobody."""
    answers: list[str] = []
    stop = threading.Event()

    def probe() -> None:
        while not stop.is_set():
            answers.append(greeting(address, port))

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(probe)
        yield answers
        stop.set()
        running.result()


@pytest.mark.parametrize(("floor", "propagation", "lossless"), [(1, 0.9, True), (0, 5.0, False)])
def test_B2_no_connection_is_lost_when_a_node_is_killed_after_the_floor(lab: Lab, floor: int, propagation: float, lossless: bool) -> None:
    web = front(lab, "fargle-web", 8443)
    lab.elb.modify_target_group_attributes(TargetGroupArn=web, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}])
    nodes = nodes_of(play(lab, nodes=[{"name": name} for name in NAMES[:2]]))
    doomed, staying = (Answering(lab, node["address"], 8443, node["name"]) for node in nodes)
    with staying:
        with doomed:
            targets(lab, "present", nodes)
            address = lab.part.address_of("fargle-web")
            until(lambda: greeting(address, 8443))
            lab.ledger.delays["elb.propagate"] = propagation
            with probing(address, 8443) as before:
                assert targets(lab, "absent", nodes[:1], floor=floor).failures == {}
        with probing(address, 8443) as after:
            assert play(lab, state="absent", nodes=[{"name": NAMES[0]}]).failures == {}
    assert NAMES[1] in after
    assert ("" not in before + after) is lossless


def test_B3_draining_target_comes_back(lab: Lab) -> None:
    web = front(lab, "fargle-web", 8443)
    made = play(lab)
    lab.ledger.delays["elb.drain"] = 5.0
    with serving(lab, made, 8443):
        targets(lab, "present", nodes_of(made))
        lab.elb.deregister_targets(TargetGroupArn=web, Targets=[{"Id": made.nodes[0]["instance_id"]}])
        again = targets(lab, "present", nodes_of(made))
    assert [(step.verb, step.node) for step in again.steps] == [("register", NAMES[0])]
    assert again.failures == {}


def test_B4_instance_that_does_not_run_yet_is_registered_once_it_does(lab: Lab) -> None:
    front(lab, "fargle-web", 8443)
    lab.ledger.delays["ec2.pending"] = 0.5
    pending = lab.launch()
    nodes = [{"name": "n", "instance_id": pending, "address": "127.0.0.1"}]
    assert targets(lab, "present", nodes, require_healthy=[]).failures == {}


def test_B5_target_that_never_answers_fails_with_elbs_words(lab: Lab) -> None:
    front(lab, "fargle-web", 8443)
    failure = targets(lab, "present", nodes_of(play(lab, nodes=[{"name": NAMES[0]}])), wait_timeout=1).failures[NAMES[0]]
    assert "unhealthy (Target.FailedHealthChecks" in failure


def test_B5_ingress_target_that_is_unhealthy_is_only_a_warning_by_default(lab: Lab) -> None:
    front(lab, "fargle-web", 8443)
    outcome = targets(lab, "present", nodes_of(play(lab, nodes=[{"name": NAMES[0]}])), require_healthy=["apiserver"])
    assert outcome.failures == {}
    assert "Target.FailedHealthChecks" in outcome.warnings[0]


def test_B6_target_of_another_tool_on_another_port_is_taken_out(lab: Lab) -> None:
    web = front(lab, "fargle-web", 8443)
    made = play(lab, nodes=[{"name": NAMES[0]}])
    lab.elb.register_targets(TargetGroupArn=web, Targets=[{"Id": made.nodes[0]["instance_id"], "Port": 31443}])
    assert [step.target for step in targets(lab, "absent", nodes_of(made)).steps] == ["fargle-web:31443"]
    assert registered(lab, web) == set()


def test_B7_denied_deregistration_is_a_failure_of_the_nodes(lab: Lab) -> None:
    web = front(lab, "fargle-web", 8443)
    made = play(lab)
    targets(lab, "present", nodes_of(made), require_healthy=[])
    lab.part.conditions.denied = ["DeregisterTargets"]
    failures = targets(lab, "absent", nodes_of(made)).failures
    assert set(failures) == set(NAMES)
    assert "elasticloadbalancing:DeregisterTargets" in failures[NAMES[0]]
    assert len(registered(lab, web)) == 3


def test_B19_stopped_instance_does_not_keep_out_the_others(lab: Lab) -> None:
    web = front(lab, "fargle-web", 8443)
    made = play(lab)
    stopped = made.nodes[1]["instance_id"]
    lab.ec2.stop_instances(InstanceIds=[stopped])
    until(lambda: lab.state(stopped) == "stopped")
    outcome = targets(lab, "present", nodes_of(made), require_healthy=[])
    assert list(outcome.failures) == [NAMES[1]]
    assert len(registered(lab, web)) == 2


def test_B20_last_healthy_apiserver_target_is_kept(lab: Lab) -> None:
    front(lab, "fargle-apiserver", 6443)
    made = play(lab)
    with serving(lab, made, 6443):
        targets(lab, "present", nodes_of(made))
        with pytest.raises(ManagerError, match="target group fargle-apiserver has no healthy target without"):
            targets(lab, "absent", nodes_of(made))
        assert targets(lab, "absent", nodes_of(made)[:2]).failures == {}
        assert targets(lab, "absent", nodes_of(made)[2:], allow_empty=True).failures == {}


def test_cluster_is_found_with_its_load_balancers_only(lab: Lab) -> None:
    front(lab, "fargle-apiserver", 6443)
    front(lab, "fargle-web", 8443)
    front(lab, "fargle2-web", 9443, cluster="fargle2")
    lab.ec2.create_tags(Resources=[lab.group], Tags=TAGS)
    rule = {"IpProtocol": "tcp", "FromPort": 50000, "ToPort": 50001, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    lab.ec2.authorize_security_group_ingress(GroupId=lab.group, IpPermissions=[rule])
    found = cluster_of(lab)
    assert [(group["name"], group["kind"], group["skipped"]) for group in found["target_groups"]] == [
        ("fargle-apiserver", "apiserver", ""),
        ("fargle-web", "ingress", ""),
    ]
    assert [(group["id"], group["admits_talos_api"], group["load_balancer"]) for group in found["security_groups"]] == [(lab.group, True, False)]


def test_B16_throttled_tagging_api_is_waited_out(lab: Lab) -> None:
    front(lab, "fargle-web", 8443)
    lab.ledger.faults.append(Fault("throttle", operation="GetResources", ordinals=[1, 2]))
    assert len(cluster_of(lab)["load_balancers"]) == 1
