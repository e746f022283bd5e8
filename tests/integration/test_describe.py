# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster is described as it is; what cannot be read is unknown, and whatever names are, they are text."""

from __future__ import annotations

import html
import json
import typing as t
from pathlib import Path

import boto3
import pytest

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .playbooks import Run, play, stats, succeed

pytestmark = pytest.mark.slow

Record = dict[str, t.Any]
LASTING = list(range(1, 1000))


class Looked(t.NamedTuple):
    """Two runs with files, the world they looked at, and what was in the files after each."""

    cloud: RunningSandbox
    world: Record
    runs: tuple[Run, Run]
    files: tuple[dict[str, bytes], dict[str, bytes]]

    @property
    def described(self) -> Record:
        return t.cast("Record", json.loads(self.files[0]["cluster.json"]))


def describe(cloud: RunningSandbox, *arguments: str, **words: t.Any) -> Run:
    return play({**cloud.env, "ANSIBLE_SHOW_CUSTOM_STATS": "true"}, "describe_cluster.yml", *arguments, cluster="fargle", **words)


def lines(run: Run) -> list[str]:
    """What the run shows; it must have succeeded and changed nothing."""
    return next(task["msg"] for task in succeed(run).tasks if task["task"].endswith("Show it"))


def node(described: Record, name: str) -> Record:
    return next(one for one in described["nodes"] if one["name"] == name)


@pytest.fixture(scope="module")
def looked(stage: t.Callable[[], RunningSandbox], tmp_path_factory: pytest.TempPathFactory) -> Looked:
    cloud = stage()
    folder = tmp_path_factory.mktemp("described")
    words = {"html": str(folder / "cluster.html"), "json": str(folder / "cluster.json")}
    world = cloud.control.world()
    cloud.control.forget_calls()
    runs, files = [], []
    for _time in range(2):
        runs.append(succeed(describe(cloud, **words)))
        files.append({file.name: file.read_bytes() for file in folder.iterdir()})
    return Looked(cloud, world, (runs[0], runs[1]), (files[0], files[1]))


def test_all_nodes_are_described_as_they_are(looked: Looked) -> None:
    there = worldview.nodes(looked.world, "fargle")
    described = looked.described
    assert {one["name"] for one in described["nodes"]} == there.keys()
    for one in described["nodes"]:
        real = there[one["name"]]
        assert (one["instance_id"], one["role"], one["address"], one["zone"]) == (real.instance_id, real.role, real.address, real.zone)
        words = [one[key]["words"] for key in ("machine", "ready", "behind", "dns", "config")]
        assert words == ["running", "Ready", f"{len(real.targets)}/{len(real.targets)} healthy", "right", "as rendered"], one
        assert (one["talos_version"], one["health"]["words"]) == ("v1.11.6", "well")
    assert sorted(one["etcd"]["words"] for one in described["nodes"]) == ["-"] * 5 + ["leader", "voter", "voter"]
    assert described["unread"] == {} and described["problems"] == []


def test_the_load_balancers_and_their_targets_are(looked: Looked) -> None:
    found = worldview.region(looked.world)["target_groups"].values()
    real = {group["name"]: set(group["targets"]) for group in found}
    described = {group["name"]: {f"{target['id']}:{target['port']}" for target in group["targets"]} for group in looked.described["target_groups"]}
    assert described.pop("k8s-web-frontend") == set()
    assert described == {name: real[name] for name in real if name.startswith("fargle-")}
    assert [one["name"] for one in looked.described["load_balancers"]][-1] == "k8s-web-frontend"


def test_cost_and_totals_are_those_of_a_hand_calculation(looked: Looked) -> None:
    """Prices in the sandbox's Frankfurt are 1.2 times those of us-east-1."""
    totals, cost = looked.described["totals"], looked.described["cost"]
    assert (totals["nodes"], totals["vms"], totals["vcpus"], totals["memory_mib"]) == (8, 8, 8 * 2, 8 * 8192)
    hourly = 1.2 * (8 * 0.096 + 8 * 40 * 0.08 / 730 + 4 * 0.0226 + 3 * 0.005)
    assert cost["hourly"] == pytest.approx(hourly, abs=1e-5)
    assert cost["daily"] == pytest.approx(24 * hourly, abs=1e-4)
    assert [(line["count"], line["what"]) for line in cost["lines"]] == [
        (8, "m5.large"),
        (8, "40 GB gp3"),
        (4, "network load balancer"),
        (3, "public IPv4 address"),
    ]
    assert f"Costs {hourly:.2f} USD per hour, {24 * hourly:.2f} USD per day" in lines(looked.runs[0])


def test_it_is_shown_as_a_table_and_left_for_the_job_that_follows(looked: Looked) -> None:
    shown = lines(looked.runs[0])
    assert shown[0] == "fargle: 8 nodes, 8 Ready, 8 in all respects well; etcd 3/3 healthy"
    assert [line.split()[:3] for line in shown if line.startswith("fargle-worker-10 ")] == [
        ["fargle-worker-10", "m5.large", "eu-central-1b"],
        ["fargle-worker-10", "Ready", "4/4"],
    ]
    assert next(line for line in shown if line.startswith("fargle-worker-10 ")).endswith(" 30d")
    assert max(map(len, shown)) <= 80 + len(" AWS Price List")
    assert stats(looked.runs[0]) == {**looked.described, "operation": "describe_cluster"}


def test_the_page_has_every_node_and_the_cost(looked: Looked) -> None:
    page = looked.files[0]["cluster.html"].decode()
    for one in looked.described["nodes"]:
        assert f"<th>{one['name']}<" in page
    assert f"<b>{looked.described['cost']['daily']:.2f} USD</b>" in page


def test_nothing_of_the_cluster_is_changed_and_an_unchanged_one_leaves_the_files(looked: Looked) -> None:
    assert looked.cloud.control.mutating() == []
    assert [run.changed for run in looked.runs] == [2, 0]
    assert looked.files[0] == looked.files[1]


def test_a_check_writes_no_file_and_its_diff_shows_what_would_be(cloud: RunningSandbox, tmp_path: Path) -> None:
    run = succeed(describe(cloud, "--check", "--diff", html=str(tmp_path / "cluster.html"), json=str(tmp_path / "cluster.json")))
    assert list(tmp_path.iterdir()) == []
    assert '+  "cluster": "fargle",' in run.output and "+<!DOCTYPE html>" in run.output
    assert run.changed == 2


def test_without_kubeconfig_and_talosconfig_what_they_are_for_is_unknown(cloud: RunningSandbox) -> None:
    names = {"talosconfig": "none-{cluster}", "kubeconfig": "none-{cluster}"}
    described = stats(succeed(describe(cloud, cluster_secret_names=names, cluster_dns="none")))
    assert described["unread"] == {
        "kubernetes": "there is no kubeconfig",
        "etcd": "there is no talosconfig",
        "dns": "DNS is left to others",
        "config": "there is no talosconfig",
    }
    plane = node(described, "fargle-controlplane-1")
    assert [plane[key]["words"] for key in ("machine", "ready", "behind", "etcd", "dns", "config")] == ["running", "unknown", "1/1 healthy", *["unknown"] * 3]
    assert plane["ready"]["detail"] == "there is no kubeconfig"


def test_apis_that_are_down_fail_nothing(cloud: RunningSandbox) -> None:
    for service, operation in (("kubernetes", "list_nodes"), ("talos", "EtcdMemberList")):
        cloud.control.fault("error", service, operation, ordinals=LASTING)
    cloud.control.conditions(denied=["GetProducts", "DescribeVolumes"])
    # Refused, which is said at once.
    env = {**cloud.env, "ANSIBLE_SHOW_CUSTOM_STATS": "true", "CLOUDFLARE_API_TOKEN": "wrong"}
    described = stats(succeed(play(env, "describe_cluster.yml", cluster="fargle")))
    assert {"details", "kubernetes", "etcd", "dns"} <= described["unread"].keys()
    assert {one["health"]["level"] for one in described["nodes"]} == {"unknown"}
    assert described["cost"]["hourly"] is None
    assert "grant the IAM action pricing:GetProducts" in described["cost"]["words"]
    assert "grant the IAM action ec2:DescribeVolumes" in described["cost"]["left_out"][0]


def test_without_aws_nothing_is_called_missing_that_aws_would_know(cloud: RunningSandbox) -> None:
    cloud.control.conditions(denied=["GetResources"])
    described = stats(succeed(describe(cloud)))
    assert "grant the IAM action tag:GetResources" in described["unread"]["aws"]
    assert len(described["nodes"]) == 8
    assert {one["machine"]["words"] for one in described["nodes"]} == {"unknown"}
    assert not [one["health"] for one in described["nodes"] if one["health"]["level"] in ("bad", "warn")]
    assert (described["totals"]["vms"], described["cost"]["hourly"]) == (None, None)


def test_a_name_is_text_whatever_it_is(cloud: RunningSandbox, tmp_path: Path) -> None:
    """Neither a template nor markup, nor anything that turns text around."""
    name = "{{ 7 * 7 }}</td><script>alert(1)</script>\u202e"
    session = boto3.Session(cloud.env["AWS_ACCESS_KEY_ID"], cloud.env["AWS_SECRET_ACCESS_KEY"], region_name=cloud.env["AWS_DEFAULT_REGION"])
    target = worldview.nodes(cloud.control.world(), "fargle")["fargle-worker-3"].instance_id
    session.client("ec2", endpoint_url=cloud.env["AWS_ENDPOINT_URL"]).create_tags(Resources=[target], Tags=[{"Key": "Name", "Value": name}])
    # Relative names start where the user stands.
    run = succeed(play(cloud.env, "describe_cluster.yml", cwd=tmp_path, cluster="fargle", html="cluster.html", json="cluster.json"))
    described = json.loads((tmp_path / "cluster.json").read_text())
    assert node(described, name)["instance_id"] == target
    page = (tmp_path / "cluster.html").read_text()
    assert html.escape(name[:-1], quote=False) in page
    assert "<script" not in page and "\u202e" not in page
    assert [line for line in lines(run) if line.startswith(name[:-1])]
