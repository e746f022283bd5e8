# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is about to be bought has its price said first, and an unknown price stops nothing."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
import yaml

from tests.sandbox.fixture import RunningSandbox

from .playbooks import ROOT, Run, play, prices_said, stats, succeed

pytestmark = pytest.mark.slow

LINE = "2 × m5.large + 2 × 80 GB gp3: 0.25 USD per hour (AWS Price List, on demand, without traffic)"
TWO = ["fargle-worker-21", "fargle-worker-22"]


def said(run: Run) -> list[str]:
    """What the run said of prices; it must have succeeded."""
    return prices_said(succeed(run))


def test_the_price_of_new_nodes_is_said_before_they_are_bought(cloud: RunningSandbox) -> None:
    """By a check and by the run alike; and kept for the job that follows."""
    checked = play(cloud.env, "create_node.yml", "--check", cluster="fargle", nodes=TWO)
    cloud.control.forget_calls()
    done = play({**cloud.env, "ANSIBLE_SHOW_CUSTOM_STATS": "true"}, "create_node.yml", cluster="fargle", nodes=[*TWO, "fargle-worker-1"])
    assert said(checked) == said(done) == [LINE]
    asked = [call["number"] for call in cloud.control.calls() if call["operation"] == "GetProducts"]
    assert len(asked) == 2
    assert max(asked) < min(call["number"] for call in cloud.control.calls() if call["mutating"])
    assert stats(done)["price"]["summary"] == LINE
    assert stats(done)["price"]["hourly"] == pytest.approx(2 * (0.1152 + 80 * 0.096 / 730), abs=1e-6)


def test_the_price_of_new_load_balancers_is_said(cloud: RunningSandbox) -> None:
    """Those for the inside, and a public one with an address in each zone."""
    run = play(cloud.env, "create_load_balancers.yml", "--check", cluster="barney", load_balancers_public_subnet_ids=public_subnets(cloud))
    (line,) = said(run)
    # 3 × 0.0226 × 1.2 + 3 × 0.005 × 1.2
    assert line.startswith("3 × network load balancer + 3 × public IPv4 address: 0.0994 USD per hour (AWS Price List, on demand, without traffic or ")


def public_subnets(cloud: RunningSandbox) -> list[str]:
    """The subnets of the sandbox with a way to the internet."""
    session = boto3.Session(cloud.env["AWS_ACCESS_KEY_ID"], cloud.env["AWS_SECRET_ACCESS_KEY"], region_name=cloud.env["AWS_DEFAULT_REGION"])
    ec2 = session.client("ec2", endpoint_url=cloud.env["AWS_ENDPOINT_URL"])
    return [one["SubnetId"] for one in ec2.describe_subnets(Filters=[{"Name": "tag:Name", "Values": ["sandbox-public*"]}])["Subnets"]]


def test_where_nothing_is_bought_no_price_is_asked(cloud: RunningSandbox) -> None:
    cloud.control.forget_calls()
    assert said(play(cloud.env, "create_node.yml", "--check", cluster="fargle", nodes=["fargle-worker-1"])) == []
    assert "GetProducts" not in [call["operation"] for call in cloud.control.calls()]


def test_a_price_is_of_the_nodes_it_was_asked_for(cloud: RunningSandbox, tmp_path: Path) -> None:
    """The role twice in one run: the second time buys nothing, since it is refused."""
    uses = [{"create_node_nodes": TWO}, {"create_node_nodes": ["fargle-worker-23"], "create_node_instance_type": "m5.tiny"}]
    tasks = [{"ansible.builtin.import_role": {"name": "k8s_cluster.manager.create_node"}, "vars": words} for words in uses]
    (tmp_path / "twice.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    env = {**cloud.env, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections"), "ANSIBLE_SHOW_CUSTOM_STATS": "true"}
    run = play(env, str(tmp_path / "twice.yml"), "--check", cluster_name="fargle")
    assert "instance_type: m5.tiny does not exist" in run.message
    assert prices_said(run) == [LINE]
    assert stats(run)["price"] is None


def test_an_unknown_price_stops_nothing(cloud: RunningSandbox) -> None:
    cloud.control.conditions(denied=["GetProducts"])
    (line,) = said(play(cloud.env, "create_node.yml", "--check", cluster="fargle", nodes=TWO))
    assert line.startswith("2 × m5.large + 2 × 80 GB gp3: price unknown: ")
    assert line.endswith("(grant the IAM action pricing:GetProducts)")
