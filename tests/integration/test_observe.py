# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a cluster's nodes, from whoever knows it, on the sandbox."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from tests.sandbox.fixture import RunningSandbox

from .playbooks import ROOT, play, stats, succeed


def observed(cloud: RunningSandbox, cluster: str, **words: t.Any) -> tuple[dict[str, dict[str, t.Any]], list[str]]:
    """The rows by name, and the problems."""
    env = {**cloud.env, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections"), "ANSIBLE_SHOW_CUSTOM_STATS": "1"}
    run = succeed(play(env, "../tests/integration/observe.yml", cluster=cluster, **words))
    assert run.changed == 0, run.output
    assert "loop variable" not in run.output
    found = stats(run, cluster)
    return {row["name"]: row for row in found["nodes"]}, found["problems"]


@pytest.mark.parametrize(("cluster", "planes", "workers"), [("fargle", 3, 5), ("fargle2", 1, 1)])
def test_all_is_known_of_every_node_of_a_healthy_cluster(cloud: RunningSandbox, cluster: str, planes: int, workers: int) -> None:
    rows, problems = observed(cloud, cluster)
    assert problems == []
    assert [row["role"] for row in rows.values()] == ["controlplane"] * planes + ["worker"] * workers
    for row in rows.values():
        plane = row["role"] == "controlplane"
        assert (row["cluster"], row["state"], row["status"], row["vcpus"], row["unfinished"]) == (cluster, "running", "ok", 2, False)
        assert [volume["size_gb"] for volume in row["volumes"]] == [40]
        assert (row["node"]["ready"], row["node"]["talos_version"]) == (True, row["talos"]["talos_version"])
        assert (row["member"] is not None, row["member"] and row["member"]["healthy"]) == (plane, plane or None)
        assert {(target["kind"], target["state"]) for target in row["targets"]} == {("apiserver" if plane else "ingress", "healthy")}
        assert [record["content"] for record in row["records"]] == [row["address"]]
        assert (row["talos"]["was"], row["talos"]["stage"], row["talos"]["drift"]) == ("configured", "running", False)


def test_a_machine_config_that_would_be_another_now_is_drift(cloud: RunningSandbox, tmp_path: Path) -> None:
    """Of the control planes it is only the order of keys that differs."""
    patch = tmp_path / "patch.yaml"
    patch.write_text("machine: {kubelet: {extraArgs: {rotate-server-certificates: 'true'}}, sysctls: {vm.max_map_count: '262144'}}")
    rows, problems = observed(cloud, "fargle", cluster_patch_file=str(patch))
    assert problems == []
    assert {(row["role"], row["talos"]["drift"]) for row in rows.values()} == {("controlplane", False), ("worker", True)}


@pytest.mark.parametrize(("service", "gone"), [("kubernetes", "node"), ("talos", "member")])
def test_what_cannot_be_read_is_a_problem_and_all_else_is_known(cloud: RunningSandbox, service: str, gone: str) -> None:
    cloud.control.fault("error", service)
    rows, problems = observed(cloud, "fargle")
    assert problems
    assert len(rows) == 8
    assert not any(row[gone] for row in rows.values())
    assert all(row["targets"] and row["records"] for row in rows.values())
