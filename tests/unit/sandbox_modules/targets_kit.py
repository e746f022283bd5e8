# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers in front of the nodes of aws_kit, and nlb_target's work on them, with connections going through."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.balancing import target_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.discovery import InfoOptions, discover
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.targets import TargetOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome

from tests.unit.sandbox.aws_lab import Answering, Lab, greeting
from tests.unit.sandbox_modules.aws_kit import clients_of


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
