# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits that take long say which nodes are in which phase, in Ansible's own output and in ansible-runner's events."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import ansible_runner
import pytest

from tests.sandbox.fixture import RunningSandbox

from .playbooks import ROOT, Run, play, succeed

pytestmark = pytest.mark.slow

NAMES = ["fargle-worker-50", "fargle-worker-51"]
# Longer than the pause between two lines.
LONG = 24


@pytest.fixture(scope="module")
def created(stage: t.Callable[[], RunningSandbox]) -> tuple[RunningSandbox, Run]:
    cloud = stage()
    cloud.control.delays({"talos.install": LONG})
    return cloud, succeed(play(cloud.env, "create_node.yml", cluster="fargle", nodes=NAMES))


def test_a_long_wait_is_shown_while_it_lasts(created: tuple[RunningSandbox, Run]) -> None:
    _cloud, run = created
    assert "fargle: 0 of 2 joined; installing: fargle-worker-50, fargle-worker-51" in run.output.splitlines()


def test_the_summary_has_the_time_of_each_phase_of_each_node(created: tuple[RunningSandbox, Run]) -> None:
    _cloud, run = created
    shown = re.search(r"Show the nodes\] \*+\nok: \[fargle\] => (\{.*?\n\})", run.output, re.DOTALL)
    assert shown
    nodes = json.loads(shown[1])["msg"]
    assert [node["name"] for node in nodes] == NAMES
    for node in nodes:
        timing = node["timing"]
        assert timing.keys() == {"launch", "talos", "load_balancers", "kubernetes"}
        assert timing["launch"]["launching"] <= timing["launch"]["launched"] <= timing["launch"]["running"]
        assert timing["talos"]["configured"] < timing["talos"]["installing"] < timing["talos"]["joined"]
        assert timing["talos"]["joined"] > LONG
        assert "Ready" in timing["kubernetes"]


def test_ansible_runner_gets_the_lines_as_they_are_said(created: tuple[RunningSandbox, Run], tmp_path: Path) -> None:
    cloud, _run = created
    run = ansible_runner.run(
        private_data_dir=str(tmp_path),
        project_dir=str(ROOT),
        playbook="playbooks/delete_node.yml",
        extravars={"cluster": "fargle", "nodes": NAMES, "delete_node_traffic_floor": LONG + 6},
        envvars={name: value for name, value in cloud.env.items() if name != "PATH"},
        quiet=True,
    )
    said = [event["stdout"] for event in run.events]
    assert run.status == "successful", "\n".join(said)
    lines = [line for line in said if re.match(r"fargle: [01] of 2 drained; \w+: .*fargle-worker-5[01] \(", line)]
    assert lines, "\n".join(said)
