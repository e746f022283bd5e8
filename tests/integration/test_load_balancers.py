# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers: from nothing, after a kill, on what somebody made by hand, with nodes behind them, and away again."""

from __future__ import annotations

import re
import typing as t

import boto3
import pytest

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .kills import killed_after
from .playbooks import play, succeed
from .scenes import Scene, scene

pytestmark = pytest.mark.slow

Stage = t.Callable[[], RunningSandbox]
PLAYBOOK = "create_load_balancers.yml"
OWNED = "k8s-cluster-manager/owned"
NAMES = ["apiserver-barney", "ingress-barney", "ingress-barney-ext"]
# Load balancer -> scheme, kind, listener -> (target group, port of the nodes)
GOAL = {
    "apiserver-barney": ("internal", "apiserver", {"6443": ("apiserver-barney-6443", 6443)}),
    "ingress-barney": ("internal", "ingress", {"80": ("ingress-barney-80", 30080), "443": ("ingress-barney-443", 30443)}),
    "ingress-barney-ext": ("internet-facing", "ingress", {"80": ("ingress-barney-ext-80", 31080), "443": ("ingress-barney-ext-443", 31443)}),
}


def public(world: t.Mapping[str, t.Any]) -> list[str]:
    """The public subnets of the sandbox's network."""
    return sorted(key for key, subnet in worldview.region(world)["subnets"].items() if "public" in subnet["tags"].get("Name", ""))


def everything(world: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Extra words for all that the role can make."""
    return {"load_balancers_public_subnet_ids": public(world), "load_balancers_node_security_group": True}


def balancers(world: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """Load balancers by name."""
    return {one["name"]: {**one, "arn": arn} for arn, one in worldview.region(world)["load_balancers"].items()}


def shape(world: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """barney's load balancers as GOAL says them."""
    groups = worldview.region(world)["target_groups"]
    found = {}
    for name, one in balancers(world).items():
        if one["tags"].get("Cluster") == "barney":
            behind = {port: [groups[arn] for arn in listener["target_groups"]] for port, listener in one["listeners"].items()}
            listeners = {port: (group["name"], group["port"]) for port, (group,) in behind.items()}
            found[name] = (one["scheme"], one["tags"].get("LoadBalancer"), listeners)
    return found


def owned(world: t.Mapping[str, t.Any], cluster: str = "barney") -> dict[str, list[str]]:
    """What carries the cluster's tag and the mark, by kind."""
    region = worldview.region(world)
    return {
        kind: sorted(one["name"] for one in region[kind].values() if OWNED in one["tags"] and one["tags"].get("Cluster") == cluster)
        for kind in ("load_balancers", "target_groups", "security_groups")
    }


ALL = {
    "load_balancers": NAMES,
    "target_groups": sorted(group for _scheme, _kind, listeners in GOAL.values() for group, _port in listeners.values()),
    "security_groups": [*NAMES, "node-barney"],
}
NOTHING: dict[str, list[str]] = {"load_balancers": [], "target_groups": [], "security_groups": []}


class Hands:
    """Somebody at the AWS console."""

    def __init__(self, cloud: RunningSandbox) -> None:
        keys = {"aws_access_key_id": cloud.env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": cloud.env["AWS_SECRET_ACCESS_KEY"]}
        session = boto3.Session(region_name=cloud.env["AWS_DEFAULT_REGION"], **keys)
        self.elb: t.Any = session.client("elbv2", endpoint_url=cloud.env["AWS_ENDPOINT_URL"])
        world = cloud.control.world()
        node_config = world["vault"]["secret"]["cluster-barney-node-worker"]
        subnets = node_config.get("node-aws.yaml", node_config)["subnet_id"]
        self.subnets: list[str] = subnets if isinstance(subnets, list) else [subnets]
        self.vpc = worldview.region(world)["subnets"][self.subnets[0]]["vpc"]
        ec2 = session.client("ec2", endpoint_url=cloud.env["AWS_ENDPOINT_URL"])
        self.group = ec2.create_security_group(GroupName="by-hand", Description="by hand", VpcId=self.vpc)["GroupId"]

    def balancer(self, name: str, port: int, target_port: int, **changes: t.Any) -> str:
        """A load balancer in one zone, with a target group behind one listener; its ARN."""
        words = {"Scheme": "internal", "Type": "network", "Subnets": self.subnets[:1], "SecurityGroups": [self.group], **changes}
        arn = self.elb.create_load_balancer(Name=name, **words)["LoadBalancers"][0]["LoadBalancerArn"]
        made = self.elb.create_target_group(Name=f"{name}-byhand", Protocol="TCP", Port=target_port, VpcId=self.vpc, TargetType="instance")
        forward = [{"Type": "forward", "TargetGroupArn": made["TargetGroups"][0]["TargetGroupArn"]}]
        self.elb.create_listener(LoadBalancerArn=arn, Protocol="TCP", Port=port, DefaultActions=forward)
        return str(arn)


# From nothing


@pytest.fixture(scope="module")
def made(stage: Stage) -> dict[str, Scene]:
    """A check, the run, and the same again."""
    cloud = stage()
    words = {"cluster": "barney", **everything(cloud.control.world())}
    return {
        "check": scene(cloud, PLAYBOOK, "--check", "--diff", **words),
        "run": scene(cloud, PLAYBOOK, **words),
        "again": scene(cloud, PLAYBOOK, **words),
    }


def test_check_changes_nothing_and_shows_the_plan(made: dict[str, Scene]) -> None:
    check = made["check"]
    assert check.changed == set()
    assert check.run.actions == succeed(made["run"].run).actions
    assert '"apiserver-barney target group apiserver-barney-6443"' in succeed(check.run).output


def test_load_balancers_from_nothing(made: dict[str, Scene]) -> None:
    assert shape(made["run"].after) == GOAL
    assert owned(made["run"].after) == ALL


def test_they_are_in_all_zones_with_a_security_group_of_their_own(made: dict[str, Scene]) -> None:
    world = made["run"].after
    groups = worldview.region(world)["security_groups"]
    for name in NAMES:
        one = balancers(world)[name]
        assert len(one["subnets"]) == 3
        assert [groups[group]["name"] for group in one["security_groups"]] == [name]
        assert one["attributes"]["load_balancing.cross_zone.enabled"] == "true"


def test_B11_the_apiservers_targets_do_not_see_client_addresses(made: dict[str, Scene]) -> None:
    seen = {group["name"]: group["attributes"] for group in worldview.region(made["run"].after)["target_groups"].values()}
    assert {name: seen[name]["preserve_client_ip.enabled"] for name in ALL["target_groups"]} == {
        name: "false" if name.startswith("apiserver") else "true" for name in ALL["target_groups"]
    }
    assert {seen[name]["deregistration_delay.connection_termination.enabled"] for name in ALL["target_groups"]} == {"true"}


def test_a_second_run_changes_nothing(made: dict[str, Scene]) -> None:
    again = made["again"]
    assert succeed(again.run).changed == 0
    assert again.changed == set()


def test_nothing_of_others_is_touched(made: dict[str, Scene]) -> None:
    before, after = (worldview.region(made["run"].before), worldview.region(made["run"].after))
    for kind in ("load_balancers", "target_groups", "security_groups", "instances"):
        assert {key: after[kind].get(key) for key in before[kind]} == before[kind]


def test_create_node_finds_the_nodes_security_group(made: dict[str, Scene], running: RunningSandbox) -> None:
    """It admits the Talos API and is not a load balancer's."""
    running.control.restore(made["again"].after)
    run = play(running.env, "create_node.yml", "--check", cluster="barney", role="cp", count=1)
    assert "security groups: none" not in run.output
    assert "load balancers: no" not in run.output


# Killed


# Every single call is killed after in tests/unit/sandbox_modules/test_aws_balancers.py, where a run takes no seconds.
@pytest.mark.parametrize(
    ("service", "operation", "number"),
    [("ec2", "CreateSecurityGroup", 2), ("elbv2", "CreateTargetGroup", 5), ("elbv2", "CreateLoadBalancer", 2), ("elbv2", "CreateListener", 1)],
)
def test_B18_a_creation_killed_right_after_a_call_is_finished_by_running_again(cloud: RunningSandbox, service: str, operation: str, number: int) -> None:
    words = {"cluster": "barney", **everything(cloud.control.world())}
    assert killed_after(cloud, PLAYBOOK, number, service, operation, **words) == f"{service}.{operation}"
    finished = scene(cloud, PLAYBOOK, **words)
    succeed(finished.run)
    assert shape(finished.after) == GOAL
    assert owned(finished.after) == ALL


@pytest.mark.parametrize("operation", ["DeleteLoadBalancer", "DeleteTargetGroup"])
def test_a_removal_killed_right_after_a_call_is_finished_by_running_again(cloud: RunningSandbox, operation: str) -> None:
    before = cloud.control.world()
    succeed(play(cloud.env, PLAYBOOK, cluster="barney", **everything(before)))
    assert killed_after(cloud, PLAYBOOK, 2, "elbv2", operation, cluster="barney", state="absent") == f"elbv2.{operation}"
    removed = scene(cloud, PLAYBOOK, cluster="barney", state="absent")
    succeed(removed.run)
    assert owned(removed.after) == NOTHING
    for kind in ("load_balancers", "target_groups", "security_groups"):
        assert worldview.region(removed.after)[kind] == worldview.region(before)[kind]


# Made by hand


def test_load_balancers_made_by_hand_are_repaired_and_not_replaced(cloud: RunningSandbox) -> None:
    hands = Hands(cloud)
    api = hands.balancer("apiserver-barney", 6443, 6443, Tags=[{"Key": "team", "Value": "ours"}])
    web = hands.balancer("barney-web", 443, 30443, Tags=[{"Key": "Cluster", "Value": "barney"}])
    cloud.control.delays({"*": 0})
    repaired = scene(cloud, PLAYBOOK, cluster="barney")
    succeed(repaired.run)
    called = {call["operation"] for call in cloud.control.calls() if call["mutating"]}
    assert not called & {"CreateLoadBalancer", "DeleteLoadBalancer", "DeleteListener", "DeleteTargetGroup"}
    assert shape(repaired.after) == {
        "apiserver-barney": ("internal", "apiserver", {"6443": ("apiserver-barney-byhand", 6443)}),
        "barney-web": ("internal", "ingress", {"80": ("ingress-barney-80", 30080), "443": ("barney-web-byhand", 30443)}),
    }
    mended = balancers(repaired.after)
    assert {mended["apiserver-barney"]["arn"], mended["barney-web"]["arn"]} == {api, web}
    assert mended["apiserver-barney"]["tags"]["team"] == "ours"
    assert [len(mended[name]["subnets"]) for name in ("apiserver-barney", "barney-web")] == [3, 3]
    assert succeed(play(cloud.env, PLAYBOOK, cluster="barney")).changed == 0


def refused(cloud: RunningSandbox, **words: t.Any) -> str:
    """A run that must fail before any change; its message on one line."""
    cloud.control.forget_calls()
    run = play(cloud.env, PLAYBOOK, **words)
    assert run.code != 0, run.output
    assert cloud.control.mutating() == [], run.output
    assert "Traceback" not in run.output
    return " ".join(run.message.split())


def test_what_cannot_be_changed_is_named_before_anything_is(cloud: RunningSandbox) -> None:
    hands = Hands(cloud)
    hands.balancer("ingress-barney", 80, 8080, Scheme="internet-facing", Subnets=public(cloud.control.world())[:1])
    message = refused(cloud, cluster="barney")
    assert message.startswith("Nothing was made. 2 to mend first:")
    assert "ingress-barney: has scheme internet-facing instead of internal" in message
    assert "listener on port 80 forwards to target group ingress-barney-byhand, which has port 8080 instead of 30080" in message


def test_subnets_that_nobody_named_are_a_problem(cloud: RunningSandbox) -> None:
    message = refused(cloud, cluster="barney", secret_mount="nowhere")
    assert "node_config" in message


def test_state_is_present_or_absent(cloud: RunningSandbox) -> None:
    assert "value of load_balancers_state must be one of: present, absent, got: gone" in refused(cloud, cluster="barney", state="gone")


# With nodes


def test_running_nodes_are_put_behind_a_load_balancer_that_was_lost(cloud: RunningSandbox) -> None:
    """And those of the cluster under their own names are taken over."""
    hands = Hands(cloud)
    lost = balancers(cloud.control.world())["fargle-ingress-internal"]
    hands.elb.delete_load_balancer(LoadBalancerArn=lost["arn"])
    cloud.control.delays({"*": 0})
    done = scene(cloud, PLAYBOOK, cluster="fargle")
    succeed(done.run)
    assert {"fargle-apiserver", "fargle-ingress-external", "ingress-fargle"} <= balancers(done.after).keys()
    assert "apiserver-fargle" not in balancers(done.after)
    workers = [node for node in done.nodes("fargle").values() if node.role == "worker"]
    assert workers
    for node in workers:
        assert {"ingress-fargle-80:30080", "ingress-fargle-443:30443"} <= node.targets.keys()
    assert not any(group.startswith("ingress-fargle") for node in done.nodes("fargle").values() if node.role == "controlplane" for group in node.targets)
    assert succeed(play(cloud.env, PLAYBOOK, cluster="fargle")).changed == 0


def test_load_balancers_stay_while_there_are_nodes(cloud: RunningSandbox) -> None:
    succeed(play(cloud.env, PLAYBOOK, cluster="fargle"))
    message = refused(cloud, cluster="fargle", state="absent")
    assert re.search(r"nodes: fargle still has fargle-controlplane-1, .*fargle-worker-10", message)
    assert "say load_balancers_allow_nodes=true" in message
    removed = scene(cloud, PLAYBOOK, cluster="fargle", state="absent", load_balancers_allow_nodes=True)
    succeed(removed.run)
    assert owned(removed.after, "fargle") == NOTHING
    assert "fargle-ingress-external" in balancers(removed.after), "it was never taken over"
    assert removed.nodes("fargle").keys() == worldview.nodes(removed.before, "fargle").keys()
