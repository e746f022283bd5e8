# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What creating and deleting N workers, and describing a cluster with them, costs in calls, by operation.

Services throttle by calls: one that is added must be added here.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t

import boto3
import httpx
import pytest

from tests.sandbox.fixture import RunningSandbox

from .playbooks import play, succeed
from .scenes import DOMAIN

pytestmark = pytest.mark.slow

Call = dict[str, t.Any]
Counts = collections.Counter[str]
CONTROL_PLANES = 3
# Reads of lists: a call is a page.
PAGED = {
    *("tagging GetResources", "elbv2 DescribeLoadBalancers", "elbv2 DescribeTargetGroups", "pricing GetProducts"),
    *(f"ec2 Describe{what}" for what in ("Images", "InstanceStatus", "InstanceTypeOfferings", "InstanceTypes", "Instances", "SecurityGroups", "Subnets")),
    *("kubernetes list_nodes", "kubernetes list_pods", "kubernetes list_poddisruptionbudgets", "cloudflare list_records"),
}
# Looks at one node, while it is not finished.
PER_NODE = {"talos Get", "ec2 GetConsoleOutput"}
# Calls about one node each that are made side by side, and how many at most at a time.
SIDE_BY_SIDE = {"create_node": ("ec2 RunInstances", "talos ApplyConfiguration"), "delete_node": ("ec2 DescribeInstanceAttribute",)}
CONCURRENCY = 4
# Seconds that each of them takes, so that they meet.
MEETING = 0.2
# The shortest pause between two looks at the same thing, in seconds, less what a busy machine may take from it.
PAUSE = 0.15


@dataclasses.dataclass
class Bill:
    """The calls of one run. nodes were made or deleted; groups and balancers have the cluster's tag, ingress of the groups are the workers'."""

    nodes: int
    groups: int
    balancers: int
    pages: int
    calls: list[Call]

    @property
    def ingress(self) -> int:
        return self.groups - 1

    @property
    def polls(self) -> list[Call]:
        """Looks that a wait repeats."""
        return [call for number, call in enumerate(self.calls) if is_poll(call, self.calls[:number])]

    @property
    def paid(self) -> Counts:
        """All others, by operation."""
        polls = {call["number"] for call in self.polls}
        return collections.Counter(name(call) for call in self.calls if call["number"] not in polls)


def name(call: Call) -> str:
    return f"{call['service']} {call['operation']}"


def is_poll(call: Call, before: t.Sequence[Call]) -> bool:
    """Whether a call belongs to a wait: a look that is made for what the run itself has begun."""
    words = name(call)
    earlier = collections.Counter(name(other) for other in before)
    targets_moved = earlier["elbv2 RegisterTargets"] + earlier["elbv2 DeregisterTargets"] > 0
    if words in PER_NODE:
        return not call["detail"].get("dry_run")
    if words == "ec2 DescribeInstances":
        return any(one["Name"] == "instance-id" for one in call["detail"].get("Filters", []))
    if words == "elbv2 DescribeTargetHealth":
        return targets_moved
    if words == "kubernetes list_nodes":
        return earlier["elbv2 RegisterTargets"] > 0
    # The second time that budgets are read the drain itself begins.
    return words == "kubernetes list_volumeattachments" or (words == "kubernetes list_pods" and earlier["kubernetes list_poddisruptionbudgets"] == 2)


def found(bill: Bill) -> Counts:
    """What every run reads first: inputs, and what exists."""
    return collections.Counter(
        {
            "vault read": 6,
            "tagging GetResources": 1,
            "elbv2 DescribeLoadBalancers": 1,
            "elbv2 DescribeTargetGroups": bill.balancers,
            "elbv2 DescribeTargetHealth": bill.groups,
            "ec2 DescribeInstances": 1,
            "ec2 DescribeSecurityGroups": 1,
            "talos EtcdMemberList": 1,
            "talos EtcdStatus": CONTROL_PLANES,
            "talos EtcdAlarmList": 1,
            "kubernetes list_nodes": 1,
            "kubernetes get_namespaces": 1,
            "cloudflare get_zone": 1,
            "cloudflare list_records": 1 + bill.pages,
        }
    )


def created(bill: Bill) -> Counts:
    """Checks, launch, delivery, registration, DNS, and the mark taken off."""
    return found(bill) + collections.Counter(
        {
            "ec2 DescribeInstances": 2 + 2 + 1,
            "ec2 DescribeImages": 1,
            "ec2 DescribeInstanceTypes": 1,
            "ec2 DescribeInstanceTypeOfferings": 1,
            "ec2 DescribeSubnets": 1,
            "ec2 DescribeSecurityGroups": 1,
            "ec2 GetConsoleOutput": 1,
            "pricing GetProducts": 2,
            "ec2 RunInstances": 1 + bill.nodes,
            "ec2 DescribeInstanceStatus": 1,
            "ec2 DeleteTags": 1,
            "talos ApplyConfiguration": bill.nodes,
            "talos Version": bill.nodes,
            "elbv2 DescribeTargetHealth": bill.ingress,
            "elbv2 RegisterTargets": bill.ingress,
            "kubernetes list_nodes": 1,
            "cloudflare get_zone": 1,
            "cloudflare list_records": 3 * (1 + bill.pages),
            "cloudflare batch_records": 1,
        }
    )


def deleted(bill: Bill) -> Counts:
    """Checks, then traffic, pods, Node objects, DNS, VMs, and a last look. Termination protection is an attribute that is read VM by VM."""
    return found(bill) + collections.Counter(
        {
            "ec2 DescribeInstances": 1 + 1,
            "ec2 DescribeInstanceAttribute": 2 * bill.nodes,
            "ec2 TerminateInstances": 1,
            "elbv2 DescribeTargetHealth": 2 * bill.groups,
            "elbv2 DeregisterTargets": bill.ingress,
            "kubernetes list_nodes": 7,
            "kubernetes list_poddisruptionbudgets": 2,
            "kubernetes list_pods": 2,
            "kubernetes patch_nodes": bill.nodes,
            "kubernetes delete_nodes": bill.nodes,
            "cloudflare get_zone": 1,
            "cloudflare list_records": 3 * (1 + bill.pages),
            "cloudflare batch_records": 1,
        }
    )


def observed(bill: Bill) -> Counts:
    """What every run reads first, inputs of both roles; VMs, their types and volumes by the page; and each node itself."""
    seeded = 8
    return found(bill) + collections.Counter(
        {
            "vault read": 8 + 8,
            "ec2 DescribeImages": 1,
            "ec2 DescribeInstanceStatus": 1,
            "ec2 DescribeInstanceTypes": 1,
            "ec2 DescribeVolumes": 1,
            "talos Get": 2 * (seeded + bill.nodes),
            "talos Version": seeded + bill.nodes,
        }
    )


def described(bill: Bill) -> Counts:
    """What is observed, and prices by what there is: two pages of load balancers, and two of addresses."""
    public = bill.balancers == 4
    return observed(bill) + collections.Counter({"pricing GetProducts": 1 + 1 + 2 + 2 * public})


def aws(cloud: RunningSandbox, service: str) -> t.Any:
    session = boto3.Session(cloud.env["AWS_ACCESS_KEY_ID"], cloud.env["AWS_SECRET_ACCESS_KEY"], region_name=cloud.env["AWS_DEFAULT_REGION"])
    return session.client(service, endpoint_url=cloud.env["AWS_ENDPOINT_URL"])


def crowd(cloud: RunningSandbox) -> None:
    """Others in the account, more than a page of each kind that is not asked for by tag; and one ingress load balancer of the cluster goes."""
    ec2, elb = aws(cloud, "ec2"), aws(cloud, "elbv2")
    cloud.control.delays({"elb.unlink": 0})
    subnet = ec2.describe_subnets(Filters=[{"Name": "tag:Name", "Values": ["sandbox-a"]}])["Subnets"][0]
    for number in range(12):
        elb.create_load_balancer(Name=f"other-{number}", Type="network", Scheme="internal", Subnets=[subnet["SubnetId"]])
        elb.create_target_group(Name=f"other-{number}", Protocol="TCP", Port=80, VpcId=subnet["VpcId"], TargetType="ip")
    bastion = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["bastion"]}])["Reservations"][0]["Instances"][0]
    ec2.run_instances(ImageId=bastion["ImageId"], InstanceType="t3.micro", SubnetId=subnet["SubnetId"], MinCount=20, MaxCount=20)
    elb.delete_load_balancer(LoadBalancerArn=elb.describe_load_balancers(Names=["fargle-ingress-external"])["LoadBalancers"][0]["LoadBalancerArn"])
    for group in elb.describe_target_groups()["TargetGroups"]:
        if group["TargetGroupName"].startswith("fargle-ingress-external"):
            elb.delete_target_group(TargetGroupArn=group["TargetGroupArn"])
    fill_zone(cloud)


def fill_zone(cloud: RunningSandbox) -> None:
    """1,000 records of others beside the cluster's."""
    url = f"{cloud.env['CLOUDFLARE_BASE_URL']}/zones/{cloud.env['CLOUDFLARE_ZONE_ID']}/dns_records/batch"
    for start in range(0, 1000, 200):
        posts = [{"name": f"pc-{start + number}.{DOMAIN}", "type": "A", "content": "192.0.2.1", "ttl": 1} for number in range(200)]
        httpx.post(url, json={"posts": posts}, headers={"Authorization": f"Bearer {cloud.env['CLOUDFLARE_API_TOKEN']}"}).raise_for_status()


# N, and whether the account is full of others.
CASES = [(1, False), (3, True), (12, False)]
Bills = dict[str, Bill]


@pytest.fixture(scope="module", params=CASES, ids=["1", "3-among-others", "12"])
def bills(request: pytest.FixtureRequest, stage: t.Callable[[], RunningSandbox]) -> Bills:
    """A creation, a description, a look at what disagrees, and the deletion of the same workers."""
    cloud = stage()
    nodes, crowded = request.param
    if crowded:
        crowd(cloud)
    cloud.control.delays({f"call.{words.replace(' ', '.')}": MEETING for some in SIDE_BY_SIDE.values() for words in some})
    names = ",".join(f"fargle-worker-{50 + number}" for number in range(nodes))
    bills = {}
    for playbook in ("create_node", "describe_cluster", "reconcile_cluster", "delete_node"):
        cloud.control.forget_calls()
        words = {"nodes": names, f"{playbook}_concurrency": CONCURRENCY} if playbook.endswith("node") else {}
        succeed(play(cloud.env, f"{playbook}.yml", cluster="fargle", **words))
        groups, balancers, pages = (3, 3, 2) if crowded else (5, 4, 1)
        bills[playbook] = Bill(nodes, groups, balancers, pages, cloud.control.calls())
    return bills


def test_a_creation_costs_exactly_this(bills: Bills) -> None:
    assert bills["create_node"].paid == created(bills["create_node"])


def test_a_deletion_costs_exactly_this(bills: Bills) -> None:
    assert bills["delete_node"].paid == deleted(bills["delete_node"])


def test_a_description_costs_exactly_this(bills: Bills) -> None:
    """In AWS, Kubernetes and at Cloudflare as much with one node as with a hundred, but for pages."""
    assert collections.Counter(map(name, bills["describe_cluster"].calls)) == described(bills["describe_cluster"])


def test_looking_for_what_disagrees_costs_exactly_this(bills: Bills) -> None:
    """Where nothing does: what is taken away wants the same once more."""
    assert collections.Counter(map(name, bills["reconcile_cluster"].calls)) == observed(bills["reconcile_cluster"])


def test_a_creation_costs_three_calls_per_worker_and_little_else_but_pages(bills: Bills) -> None:
    bill = bills["create_node"]
    assert sum(count for words, count in bill.paid.items() if words not in PAGED) <= 3 * bill.nodes + 25 + 3 * max(0, bill.ingress - 2)


@pytest.mark.parametrize("playbook", ["create_node", "delete_node"])
def test_a_wait_looks_at_all_nodes_at_once_and_pauses(bills: Bills, playbook: str) -> None:
    """AWS and Kubernetes are asked once per tick (load balancers once per group); only Talos and the console are asked node by node."""
    looks: dict[tuple[str, ...], list[Call]] = collections.defaultdict(list)
    for call in bills[playbook].polls:
        about = {"elbv2": "TargetGroupArn", "talos": "address"}.get(call["service"], "InstanceId" if name(call) in PER_NODE else "")
        looks[(name(call), str(call["detail"].get(about)))].append(call)
    for (words, about), calls in looks.items():
        gaps = [later["started"] - earlier["ended"] for earlier, later in zip(calls, calls[1:], strict=False)]
        assert all(gap > PAUSE for gap in gaps), (words, about, gaps)
    each = {words: sum(key[0] == words for key in looks) for words in PER_NODE}
    assert each == (dict.fromkeys(PER_NODE, bills[playbook].nodes) if playbook == "create_node" else dict.fromkeys(PER_NODE, 0))


@pytest.mark.parametrize("playbook", ["create_node", "delete_node"])
def test_no_more_calls_are_made_at_a_time_than_the_option_says(bills: Bills, playbook: str) -> None:
    bill = bills[playbook]
    for words in SIDE_BY_SIDE[playbook]:
        calls = [call for call in bill.calls if name(call) == words]
        # A call is logged as ended a little after its answer is out.
        most = max(sum(other["started"] <= call["started"] < other["ended"] - MEETING / 2 for other in calls) for call in calls)
        assert most <= CONCURRENCY, words
        assert most > 1 or bill.nodes == 1, words
