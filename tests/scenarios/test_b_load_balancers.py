# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""B: load balancers. nlb, nlb_target and cluster_info against the sandbox's, with connections going through them."""

from __future__ import annotations

import itertools
import socket
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Clients
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.discovery import InfoOptions, discover
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import ManagerError

from tests.sandbox.calls import Fault
from tests.unit.sandbox.aws_lab import REGION, Answering, Lab, greeting, until
from tests.unit.sandbox_modules.aws_kit import NAMES, Killed, client, operations, plan, play
from tests.unit.sandbox_modules.balancers_kit import balance, by_hand, goal, mortal, shape, wanted
from tests.unit.sandbox_modules.targets_kit import cluster_of, front, nodes_of, probing, registered, serving, targets

ROOT = Path(__file__).resolve().parents[2]


def connections_while_a_node_goes(lab: Lab, floor: int) -> list[str]:
    """Who answered those who connected while the first of two nodes left its load balancer and was terminated; the load balancer hears of it 0.9 s later."""
    web = front(lab, "fargle-web", 8443)
    lab.elb.modify_target_group_attributes(TargetGroupArn=web, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}])
    nodes = nodes_of(play(lab, nodes=[{"name": name} for name in NAMES[:2]]))
    doomed, staying = (Answering(lab, node["address"], 8443, node["name"]) for node in nodes)
    with staying:
        with doomed:
            targets(lab, "present", nodes)
            address = lab.part.address_of("fargle-web")
            until(lambda: greeting(address, 8443))
            lab.ledger.delays["elb.propagate"] = 0.9
            with probing(address, 8443) as before:
                assert targets(lab, "absent", nodes[:1], floor=floor).failures == {}
        with probing(address, 8443) as after:
            assert play(lab, state="absent", nodes=[{"name": NAMES[0]}]).failures == {}
    return before + after


def test_B1_no_connection_is_refused_when_a_node_goes(lab: Lab) -> None:
    answers = connections_while_a_node_goes(lab, floor=1)
    assert set(answers) == {*NAMES[:2]}


def test_B2_without_the_floor_connections_are_refused(lab: Lab) -> None:
    """What B1 would miss if nobody waited; and the delay of the target group, which is 0 here, waits for nothing."""
    assert "" in connections_while_a_node_goes(lab, floor=0)


def test_B2_the_floor_is_waited_out_as_long_as_there_is_a_vm(lab: Lab) -> None:
    front(lab, "fargle-web", 8443)
    nodes = nodes_of(play(lab, nodes=[{"name": name} for name in NAMES[:2]]))
    taken = []
    for node in (nodes[0], {**nodes[1], "instance_exists": False}):
        targets(lab, "present", [node], require_healthy=[])
        started = time.monotonic()
        assert targets(lab, "absent", [node], floor=2).failures == {}
        taken.append(time.monotonic() - started)
    assert taken[0] >= 2 > taken[1]


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


def test_B4_instance_that_shuts_down_is_given_up_at_once(lab: Lab) -> None:
    web = front(lab, "fargle-web", 8443)
    made = play(lab)
    lab.ledger.delays["ec2.terminating"] = 30.0
    lab.ec2.terminate_instances(InstanceIds=[made.nodes[0]["instance_id"]])
    started = time.monotonic()
    outcome = targets(lab, "present", nodes_of(made), require_healthy=[], wait_timeout=30)
    assert time.monotonic() - started < 15
    assert list(outcome.failures) == [NAMES[0]]
    assert made.nodes[0]["instance_id"] in outcome.failures[NAMES[0]]
    assert len(registered(lab, web)) == 2


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


def test_B6_all_target_groups_and_ports_are_left(lab: Lab) -> None:
    groups = [front(lab, "fargle-apiserver", 6443), front(lab, "fargle-web", 8443), front(lab, "fargle-ip", 8080, "ip")]
    made = play(lab, nodes=[{"name": name} for name in NAMES[:2]])
    nodes = nodes_of(made)
    with serving(lab, made, 6443, 8443, 8080):
        targets(lab, "present", nodes)
        lab.elb.register_targets(TargetGroupArn=groups[1], Targets=[{"Id": nodes[0]["instance_id"], "Port": 31443}])
        outcome = targets(lab, "absent", nodes[:1])
    assert sorted(step.target for step in outcome.steps) == ["fargle-apiserver:6443", "fargle-ip:8080", "fargle-web:31443", "fargle-web:8443"]
    assert [len(registered(lab, group)) for group in groups] == [1, 1, 1]


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


@pytest.mark.parametrize("operation", ["GetResources", "DescribeTags"])
def test_B16_throttled_walk_over_tags_is_waited_out(lab: Lab, operation: str) -> None:
    """The SDK tries once here, and gives up."""
    front(lab, "fargle-web", 8443)
    lab.ledger.faults.append(Fault("throttle", operation=operation, ordinals=[1, 2]))
    found = discover(InfoOptions("fargle"), Clients(lab.client)).values["cluster"]
    assert (len(found["load_balancers"]), len(found["target_groups"])) == (1, 1)


def test_B18_creation_killed_after_any_mutating_call_is_finished_by_the_next_run(lab: Lab) -> None:
    before = lab.part.snapshot()
    for number in itertools.count(1):
        lab.part.restore(before)
        try:
            balance(lab, mortal(lab, number))
        except Killed:
            balance(lab)
            assert shape(lab) == goal(lab), f"killed after mutating call {number}"
            assert plan(balance(lab)) == []
        else:
            break
    assert number == 3 * 3 + 2 * 2 + 1  # target group, its attributes and listener; load balancer and its attributes; and the run that nobody killed


def test_B13_load_balancer_made_without_a_security_group_is_a_warning(lab: Lab) -> None:
    by_hand(lab, "apiserver-barney", {6443: 6443}, SecurityGroups=[])
    outcome = balance(lab)
    assert outcome.warnings == [
        "apiserver-barney: was made without a security group and can never get one; what may reach it is up to the nodes' groups",
    ]
    assert outcome.failures == {}
    assert shape(lab)["load balancers"]["apiserver-barney"]["groups"] == []


@pytest.mark.parametrize("terminates", [True, False], ids=["closed", "kept"])
def test_B10_connections_to_a_node_that_has_left_end_because_the_group_is_set_so(lab: Lab, terminates: bool) -> None:
    """Clients would stay on a control plane that is leaving for as long as they like."""
    assert balance(lab, load_balancers=[{**one, "connection_termination": terminates} for one in wanted(lab)]).failures == {}
    made = play(lab, cluster="barney", nodes=[{"name": "barney-controlplane-1"}], role="controlplane")
    groups = [group for group in cluster_of(lab, "barney")["target_groups"] if group["kind"] == "apiserver"]
    with serving(lab, made, 6443):
        assert targets(lab, "present", nodes_of(made), target_groups=groups).failures == {}
        address = lab.part.address_of("apiserver-barney")
        until(lambda: greeting(address, 6443))
        with socket.create_connection((address, 6443), 2.0) as connection:
            assert connection.recv(100) == b"barney-controlplane-1\n"
            assert targets(lab, "absent", nodes_of(made), target_groups=groups, allow_empty=True).failures == {}
            connection.settimeout(1.0)
            if terminates:
                with pytest.raises(ConnectionResetError):
                    connection.recv(100)
            else:
                connection.sendall(b"still here")
                assert connection.recv(100) == b"still here"


@pytest.mark.parametrize("preserved", [False, True], ids=["the role's default", "preserved"])
def test_B11_a_control_plane_reaches_itself_through_its_load_balancer(lab: Lab, preserved: bool) -> None:
    """Where client addresses are preserved it does not, which is why they are not unless asked for."""
    defaults = yaml.safe_load((ROOT / "roles/load_balancers/defaults/main.yml").read_text())
    value = defaults["load_balancers_apiserver_preserve_client_ip"] or preserved
    assert balance(lab, load_balancers=[{**wanted(lab)[0], "preserve_client_ip": value}]).failures == {}
    made = play(lab, cluster="barney", nodes=[{"name": "barney-controlplane-1"}], role="controlplane")
    with serving(lab, made, 6443):
        assert targets(lab, "present", nodes_of(made), target_groups=cluster_of(lab, "barney")["target_groups"]).failures == {}
        address = lab.part.address_of("apiserver-barney")
        until(lambda: greeting(address, 6443))
        answer = greeting(address, 6443, source=made.nodes[0]["private_ip"], patience=0.5 if preserved else 5.0)
    assert answer == ("" if preserved else "barney-controlplane-1")


def test_B12_zone_without_a_target_is_named_where_cross_zone_is_off(lab: Lab) -> None:
    both = [{**one, "cross_zone": False} for one in wanted(lab)]
    assert balance(lab, load_balancers=both).warnings == []
    assert {one["cross_zone"] for one in shape(lab)["load balancers"].values()} == {"false"}
    made = play(lab, cluster="barney", nodes=[{"name": "barney-controlplane-1"}], role="controlplane")
    groups = [group for group in cluster_of(lab, "barney")["target_groups"] if group["kind"] == "apiserver"]
    targets(lab, "present", nodes_of(made), target_groups=groups, require_healthy=[])
    words = f"apiserver-barney: cross-zone is off, and target group apiserver-barney-6443 has no target in {REGION}b"
    assert balance(lab, load_balancers=both).warnings == [words]
    assert balance(lab).warnings == []
    assert {one["cross_zone"] for one in shape(lab)["load balancers"].values()} == {"true"}


def test_B13_security_groups_are_there_from_birth(lab: Lab) -> None:
    assert balance(lab).failures == {}
    assert {tuple(one["groups"]) for one in shape(lab)["load balancers"].values()} == {(lab.group,)}
    assert not any(call.operation == "SetSecurityGroups" for call in lab.ledger.calls)


def test_B14_all_pages_are_read(lab: Lab) -> None:
    """The tagging API gives at most a hundred at a time."""
    for number in range(101):
        words = {"Protocol": "TCP", "Port": 80, "VpcId": lab.vpc, "TargetType": "instance", "Tags": [{"Key": "Cluster", "Value": "fargle"}]}
        lab.elb.create_target_group(Name=f"fargle-{number}", **words)
    lab.ledger.clear_calls()
    assert len(cluster_of(lab)["target_groups"]) == 101
    assert operations(lab)["GetResources"] > 1


def test_B14_others_load_balancers_are_not_gone_through(lab: Lab) -> None:
    """However many hundreds of them there are: none is asked for but by its ARN."""
    front(lab, "fargle-web", 8443)
    for number in range(5):
        front(lab, f"other-{number}", 9000 + number, cluster="other")
    lab.ledger.clear_calls()
    assert len(cluster_of(lab)["load_balancers"]) == 1
    described = [call for call in lab.ledger.calls if call.operation in ("DescribeLoadBalancers", "DescribeTargetGroups", "DescribeTargetHealth")]
    assert [call.operation for call in described] == ["DescribeLoadBalancers", "DescribeTargetGroups", "DescribeTargetHealth"]


def test_B15_no_more_than_twenty_are_described_in_a_call(lab: Lab) -> None:
    """The sandbox refuses more, as ELB does. The target groups have no tags of their own, so theirs are asked for."""
    for number in range(21):
        front(lab, f"fargle-{number}", 8000 + number)
    lab.ledger.clear_calls()
    found = cluster_of(lab)
    assert (len(found["load_balancers"]), len(found["target_groups"])) == (21, 21)
    assert (operations(lab)["DescribeLoadBalancers"], operations(lab)["DescribeTags"]) == (2, 2)


@pytest.mark.parametrize("operation", ["GetResources", "DescribeLoadBalancers", "DescribeTargetGroups"])
def test_B17_load_balancer_that_vanishes_between_two_calls_is_left_out(lab: Lab, operation: str) -> None:
    arns = {name: front(lab, f"fargle-{name}", port) for name, port in (("stays", 8443), ("goes", 8444))}
    balancers = {one["LoadBalancerName"]: one["LoadBalancerArn"] for one in lab.elb.describe_load_balancers()["LoadBalancers"]}

    def vanish(**_more: t.Any) -> None:
        lab.elb.delete_load_balancer(LoadBalancerArn=balancers["fargle-goes"])
        until(lambda: gone(lab, arns["goes"]))

    outcome = discover(InfoOptions("fargle"), interrupted(lab, operation, vanish))
    assert [group["name"] for group in outcome.values["cluster"]["target_groups"]] == ["fargle-stays"]


def gone(lab: Lab, group: str) -> bool:
    """Delete a target group; False while AWS still has it in use."""
    try:
        lab.elb.delete_target_group(TargetGroupArn=group)
    except lab.elb.exceptions.ResourceInUseException:
        return False
    return True


def interrupted(lab: Lab, operation: str, act: t.Callable[..., None]) -> Clients:
    """Clients between whose first call of this operation and the next one something happens."""
    happened: list[str] = []

    def once(**_more: t.Any) -> None:
        if not happened:
            happened.append(operation)
            act()

    def make(service: str) -> t.Any:
        made = client(lab.part.endpoint, service)
        made.meta.events.register(f"after-call.*.{operation}", once)
        return made

    return Clients(make)
