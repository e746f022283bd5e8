# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What --check says is what a run does, and a run costs as many tasks for twenty nodes as for one."""

from __future__ import annotations

import typing as t

import pytest

from tests.sandbox.fixture import RunningSandbox

from .playbooks import Run, play, succeed

pytestmark = pytest.mark.slow

THREE = ["fargle-worker-31", "fargle-worker-32", "fargle-worker-33"]


def checked_and_done(cloud: RunningSandbox, playbook: str, **words: t.Any) -> tuple[Run, Run]:
    """The same words with --check --diff and without; the first must change nothing."""
    cloud.control.forget_calls()
    checked = succeed(play(cloud.env, playbook, "--check", "--diff", **words))
    assert cloud.control.mutating() == []
    return checked, succeed(play(cloud.env, playbook, **words))


def verbs(run: Run) -> dict[str, set[str]]:
    """What is done to each node: the modules' verbs."""
    found: dict[str, set[str]] = {}
    for _module, node, verb, _target in run.actions:
        found.setdefault(node, set()).add(verb)
    return found


@pytest.mark.parametrize(
    ("words", "nodes"), [({"role": "worker"}, {"fargle-worker-11"}), ({"nodes": THREE}, set(THREE)), ({"role": "cp"}, {"fargle-controlplane-4"})]
)
def test_a_creation_does_what_its_check_said(cloud: RunningSandbox, words: dict[str, t.Any], nodes: set[str]) -> None:
    checked, done = checked_and_done(cloud, "create_node.yml", cluster="fargle", **words)
    assert checked.actions == done.actions
    assert verbs(done) == dict.fromkeys(nodes, {"launch", "configure", "register", "create", "finish"})


@pytest.mark.parametrize(
    ("nodes", "more"),
    [
        (["fargle-worker-10"], set()),
        (["fargle-worker-1", "fargle-worker-4", "fargle-worker-3"], set()),
        (["fargle-controlplane-3"], {"leave"}),
    ],
)
def test_a_deletion_does_what_its_check_said(cloud: RunningSandbox, nodes: list[str], more: set[str]) -> None:
    checked, done = checked_and_done(cloud, "delete_node.yml", cluster="fargle", nodes=nodes)
    assert checked.actions == done.actions
    for node in nodes:
        assert {"cordon", "deregister", "delete", "terminate"} | more <= verbs(done)[node]
    assert verbs(done).keys() == set(nodes)


def shape(run: Run) -> list[tuple[str, str, int]]:
    """Each task that ran: its name, its module and how often that was called."""
    return [(task["task"], task["module"], task["invocations"]) for task in succeed(run).tasks if task["status"] != "skipped"]


def test_twenty_nodes_cost_as_many_tasks_as_one(cloud: RunningSandbox) -> None:
    """For creation and deletion. Without simulated durations no wait needs another look."""
    cloud.control.delays({"*": 0})
    one = shape(play(cloud.env, "create_node.yml", cluster="fargle", role="worker", count=6))
    twenty = shape(play(cloud.env, "create_node.yml", cluster="fargle", role="worker", count=26))
    assert twenty == one
    new = [f"fargle-worker-{number}" for number in range(11, 32)]
    one = shape(play(cloud.env, "delete_node.yml", cluster="fargle", nodes=new[:1]))
    twenty = shape(play(cloud.env, "delete_node.yml", cluster="fargle", nodes=new[1:]))
    assert twenty == one
    assert {node["name"] for node in cloud.control.nodes()}.isdisjoint(new)
