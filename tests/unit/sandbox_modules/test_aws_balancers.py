# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nlb and cluster_security_group against the sandbox's AWS: from nothing, after every kill, on what somebody made by hand, and back to nothing."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import ManagerError

from tests.sandbox.calls import Fault
from tests.unit.sandbox.aws_lab import Lab, until
from tests.unit.sandbox_modules.aws_kit import Killed, plan
from tests.unit.sandbox_modules.balancers_kit import OWNED, balance, by_hand, goal, group, mortal, mutations, shape, wanted

# --- from nothing, and back


def test_load_balancers_from_nothing_and_back_to_nothing(lab: Lab) -> None:
    predicted = balance(lab, check=True)
    assert mutations(lab) == []
    made = balance(lab)
    assert plan(made) == plan(predicted)
    assert made.failures == {}
    assert shape(lab) == goal(lab)
    assert {one["state"] for one in made.values["load_balancers"]} == {"active"}
    lab.ledger.clear_calls()
    assert plan(balance(lab)) == []
    assert mutations(lab) == []
    predicted = balance(lab, check=True, state="absent")
    assert plan(balance(lab, state="absent")) == plan(predicted)
    assert shape(lab) == {"load balancers": {}, "target groups": []}
    assert plan(balance(lab, state="absent")) == []


def test_removal_killed_after_any_mutating_call_is_finished_by_the_next_run(lab: Lab) -> None:
    balance(lab)
    before = lab.part.snapshot()
    for number in itertools.count(1):
        lab.part.restore(before)
        try:
            balance(lab, mortal(lab, number), state="absent")
        except Killed:
            balance(lab, state="absent")
            assert shape(lab) == {"load balancers": {}, "target groups": []}, f"killed after mutating call {number}"
        else:
            break
    assert number >= 3 + 2 + 1  # a removal that AWS puts off, because something is still in use, is asked for again


def test_internet_facing_without_a_gateway_is_refused_before_anything_is_made(lab: Lab) -> None:
    assert f"subnet_ids: {lab.vpc} has no internet gateway" in refused(lab, load_balancers=wanted(lab, scheme="internet-facing"))


@pytest.mark.parametrize("operation", ["CreateTargetGroup", "CreateLoadBalancer", "CreateListener"])
def test_lost_reply_makes_no_second_one(lab: Lab, operation: str) -> None:
    lab.ledger.faults.append(Fault("lost_reply", "elbv2", operation, ordinals=(1,)))
    assert balance(lab).failures == {}
    assert shape(lab) == goal(lab)


def test_refusal_of_one_does_not_keep_the_other_from_being_made(lab: Lab) -> None:
    api, web = wanted(lab)
    elsewhere = lab.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"]
    other_vpcs = next(one["GroupId"] for one in elsewhere if one["VpcId"] != lab.vpc)
    failures = balance(lab, load_balancers=[{**api, "security_groups": [other_vpcs]}, web]).failures
    assert list(failures) == ["apiserver-barney"]
    assert "Failed to create load balancer of apiserver-barney: CreateLoadBalancer: InvalidConfigurationRequest" in failures["apiserver-barney"]
    assert shape(lab)["load balancers"] == {"ingress-barney": goal(lab)["load balancers"]["ingress-barney"]}


def test_missing_permission_is_named(lab: Lab) -> None:
    lab.part.conditions.denied = ["CreateLoadBalancer"]
    assert "grant the IAM action elasticloadbalancing:CreateLoadBalancer" in balance(lab).failures["ingress-barney"]


# --- what somebody made by hand


def test_load_balancers_made_by_hand_are_repaired_and_not_replaced(lab: Lab) -> None:
    api = by_hand(lab, "apiserver-barney", {6443: 6443}, Tags=[{"Key": "team", "Value": "ours"}])
    web = by_hand(lab, "ingress-barney", {80: 30080})
    predicted = balance(lab, check=True)
    lab.ledger.clear_calls()
    assert plan(balance(lab)) == plan(predicted)
    assert not {"CreateLoadBalancer", "DeleteLoadBalancer", "DeleteListener", "DeleteTargetGroup"} & set(mutations(lab))
    now = shape(lab)
    assert now["target groups"] == ["hand-apiserver-6443", "hand-ingress-b-80", "ingress-barney-443"]
    want = goal(lab)["load balancers"]
    want["apiserver-barney"]["tags"]["team"] = "ours"
    want["apiserver-barney"]["listeners"][6443]["name"] = "hand-apiserver-6443"
    want["ingress-barney"]["listeners"][80]["name"] = "hand-ingress-b-80"
    assert now["load balancers"] == want
    assert {item["LoadBalancerArn"] for item in lab.elb.describe_load_balancers()["LoadBalancers"]} == {api, web}
    assert plan(balance(lab)) == []


def test_load_balancer_of_another_name_is_known_by_its_tag_scheme_and_ports(lab: Lab) -> None:
    tagged = [{"Key": "Cluster", "Value": "barney"}]
    by_hand(lab, "old-api", {6443: 6443}, Tags=tagged)
    by_hand(lab, "old-web", {443: 30443}, Tags=tagged)
    by_hand(lab, "other-web", {80: 30080}, Tags=[{"Key": "Cluster", "Value": "barney2"}])
    until(lambda: balance(lab, check=True).steps[0].target == "tags of target group hand-old-api-6443")
    assert balance(lab).failures == {}
    assert sorted(shape(lab)["load balancers"]) == ["old-api", "old-web", "other-web"]
    assert plan(balance(lab)) == []
    balance(lab, state="absent")
    assert sorted(shape(lab)["load balancers"]) == ["other-web"]


def test_listener_that_forwards_to_the_wrong_target_group_of_its_own_is_put_right(lab: Lab) -> None:
    balance(lab)
    arn = lab.elb.describe_load_balancers(Names=["ingress-barney"])["LoadBalancers"][0]["LoadBalancerArn"]
    wrong = lab.elb.describe_target_groups(Names=["ingress-barney-443"])["TargetGroups"][0]["TargetGroupArn"]
    (listener,) = [one for one in lab.elb.describe_listeners(LoadBalancerArn=arn)["Listeners"] if one["Port"] == 80]
    lab.elb.modify_listener(ListenerArn=listener["ListenerArn"], DefaultActions=[{"Type": "forward", "TargetGroupArn": wrong}])
    assert plan(balance(lab)) == [{"verb": "update", "node": "ingress-barney", "target": "listener on port 80"}]
    assert shape(lab) == goal(lab)


def refused(lab: Lab, **changes: t.Any) -> str:
    """What the run says that changes nothing."""
    lab.ledger.clear_calls()
    with pytest.raises(ManagerError) as caught:
        balance(lab, **changes)
    assert mutations(lab) == []
    return str(caught.value)


def test_what_cannot_be_changed_is_named_before_anything_is(lab: Lab) -> None:
    gateway = lab.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    lab.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=lab.vpc)
    by_hand(lab, "ingress-barney", {80: 8080}, Scheme="internet-facing")
    lab.elb.create_target_group(Name="ingress-barney-443", Protocol="UDP", Port=443, VpcId=lab.vpc, TargetType="instance")
    message = refused(lab)
    assert "ingress-barney: has scheme internet-facing instead of internal, which cannot be changed" in message
    assert "its listener on port 80 forwards to target group hand-ingress-b-80, which has port 8080 instead of 30080" in message
    assert "target group ingress-barney-443: has protocol UDP instead of TCP, port 443 instead of 30443, which cannot be changed" in message


def test_load_balancers_of_others_are_left_alone(lab: Lab) -> None:
    by_hand(lab, "apiserver-barney", {6443: 6443}, Tags=[{"Key": "Cluster", "Value": "wilma"}])
    by_hand(lab, "ingress-barney", {80: 30080}, Tags=[{"Key": "elbv2.k8s.aws/cluster", "Value": "barney"}])
    message = refused(lab)
    assert "apiserver-barney: belongs to another cluster, its tag Cluster says wilma" in message
    assert "ingress-barney: a Kubernetes controller owns it" in message


def test_only_what_carries_the_mark_is_removed_and_protection_is_respected(lab: Lab) -> None:
    balance(lab)
    arn = lab.elb.describe_load_balancers(Names=["ingress-barney"])["LoadBalancers"][0]["LoadBalancerArn"]
    lab.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "true"}])
    assert "ingress-barney: deletion protection is on" in refused(lab, state="absent")
    lab.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}])
    lab.elb.remove_tags(ResourceArns=[arn], TagKeys=[OWNED])
    assert f"ingress-barney: was neither made nor taken over by this collection (no tag {OWNED})" in refused(lab, state="absent")


# --- security groups


def rules(lab: Lab) -> dict[str, list[tuple[t.Any, ...]]]:
    """The rules of barney's groups, each source by its range or the name of its group."""
    items = lab.ec2.describe_security_groups(Filters=[{"Name": "tag:Cluster", "Values": ["barney"]}])["SecurityGroups"]
    names = {item["GroupId"]: item["GroupName"] for item in items}
    return {
        item["GroupName"]: sorted(
            (entry["FromPort"], entry["ToPort"], source.get("CidrIp") or names[source["GroupId"]])
            for entry in item["IpPermissions"]
            for source in [*entry["IpRanges"], *entry["UserIdGroupPairs"]]
        )
        for item in items
    }


def rules_goal(lab: Lab) -> dict[str, list[tuple[t.Any, ...]]]:
    sources = (f"{lab.network}.0.0/16", "apiserver-barney", "node-barney")
    return {
        "apiserver-barney": [(6443, 6443, "0.0.0.0/0")],
        "node-barney": [(first, last, source) for first, last in ((6443, 6443), (50000, 50001)) for source in sources],
    }


def test_security_groups_from_nothing_and_back_after_any_kill(lab: Lab) -> None:
    before = lab.part.snapshot()
    for number in itertools.count(1):
        lab.part.restore(before)
        try:
            group(lab, mortal(lab, number))
        except Killed:
            assert group(lab).failures == {}
        else:
            break
        assert rules(lab) == rules_goal(lab), f"killed after mutating call {number}"
        assert plan(group(lab)) == []
    assert number == 2 + 2 + 1
    predicted = group(lab, check=True, state="absent")
    assert plan(group(lab, state="absent")) == plan(predicted)
    assert rules(lab) == {}
    assert plan(group(lab, state="absent")) == []


def test_rules_are_made_exactly_those_wanted(lab: Lab) -> None:
    made = group(lab).values["security_groups"][0]["id"]
    extra = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    lab.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[extra])
    lab.ec2.delete_tags(Resources=[made], Tags=[{"Key": "LoadBalancer"}])
    assert [step["target"] for step in plan(group(lab))] == ["tags of the security group", "rules of the security group"]
    assert rules(lab) == rules_goal(lab)


def test_groups_without_the_mark_are_never_touched(lab: Lab) -> None:
    theirs = lab.ec2.create_security_group(GroupName="apiserver-barney", Description="theirs", VpcId=lab.vpc)["GroupId"]
    lab.ledger.clear_calls()
    with pytest.raises(ManagerError, match=f"{theirs} has that name, and this collection did not make it"):
        group(lab)
    assert mutations(lab) == []


def test_group_that_an_instance_or_a_foreign_rule_needs_is_not_deleted(lab: Lab) -> None:
    ids = {one["name"]: one["id"] for one in group(lab).values["security_groups"]}
    pair = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": ids["apiserver-barney"]}]}
    lab.ec2.authorize_security_group_ingress(GroupId=lab.group, IpPermissions=[pair])
    instance = lab.running(SecurityGroupIds=[ids["node-barney"]])
    lab.ledger.clear_calls()
    with pytest.raises(ManagerError) as caught:
        group(lab, state="absent")
    assert f"security group apiserver-barney: nodes ({lab.group}), which this collection did not make, names it in a rule" in str(caught.value)
    assert f"({instance}) has it" in str(caught.value)
    assert mutations(lab) == []


def test_group_that_suddenly_exists_is_taken_when_it_is_ours(lab: Lab) -> None:
    lab.ledger.faults.append(Fault("lost_reply", "ec2", "CreateSecurityGroup", ordinals=(1,)))
    assert group(lab).failures == {}
    assert rules(lab) == rules_goal(lab)
