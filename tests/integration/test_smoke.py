# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job once, on whichever ansible-core runs the tests: the oldest supported one has its own lane."""

from __future__ import annotations

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .playbooks import play, succeed

# amazon.aws before 11 imports it, which ansible-core 2.20 says.
OF_AMAZON_AWS = "'ansible.module_utils._text'"
NEW = {"fargle-controlplane-4", "fargle-worker-20"}


def test_nodes_come_and_go_on_this_core(cloud: RunningSandbox) -> None:
    before = worldview.nodes(cloud.control.world(), "fargle")
    plane = succeed(play(cloud.env, "create_node.yml", "--diff", cluster="fargle", role="cp"))
    worker = succeed(play(cloud.env, "create_node.yml", cluster="fargle", role="worker", nodes="fargle-worker-20", purpose="batch"))
    grown = worldview.nodes(cloud.control.world(), "fargle")
    assert grown.keys() - before.keys() == NEW
    assert all(grown[name].ready and grown[name].records == [grown[name].address] for name in NEW)
    assert grown["fargle-controlplane-4"].member == "voter"

    again = succeed(play(cloud.env, "create_node.yml", cluster="fargle", role="worker", nodes="fargle-worker-20", purpose="batch"))
    assert again.changed == 0

    gone = succeed(play(cloud.env, "delete_node.yml", "--diff", cluster="fargle", nodes=[*sorted(NEW), "fargle-wroker-1"]))
    said = next(task["msg"] for task in gone.tasks if task["task"].endswith("Show what became of the nodes"))
    assert said == {**dict.fromkeys(NEW, "deleted"), "fargle-wroker-1": "nothing was left of it"}
    assert worldview.nodes(cloud.control.world(), "fargle") == before
    warned = [line for run in (plane, worker, again, gone) for line in run.output.splitlines() if "DEPRECATION WARNING" in line]
    assert [line for line in warned if OF_AMAZON_AWS not in line] == []
