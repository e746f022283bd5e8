# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_info and nlb_target against the sandbox's load balancers, with connections going through them."""

from __future__ import annotations

from tests.unit.sandbox.aws_lab import Lab
from tests.unit.sandbox_modules.aws_kit import plan, play
from tests.unit.sandbox_modules.targets_kit import cluster_of, front, nodes_of, registered, serving, targets

TAGS = [{"Key": "Cluster", "Value": "fargle"}]


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
