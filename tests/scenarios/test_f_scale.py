# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""F: scale and concurrency. What single modules cost and how they go on after a failure.

F4 (two removals at once), and F5 for runs that meet at a barrier, are in tests/integration/test_lease.py.
"""

from __future__ import annotations

import concurrent.futures
import time
import typing as t

import pytest

from tests.unit.plugins.module_utils._talos.lab import Lab as TalosLab
from tests.unit.plugins.module_utils._talos.lab import quick
from tests.unit.sandbox.aws_lab import Lab
from tests.unit.sandbox.talos_kit import Kit
from tests.unit.sandbox_modules.aws_kit import NAMES, living, operations, play
from tests.unit.sandbox_modules.targets_kit import cluster_of, front, nodes_of, serving, targets


@pytest.fixture
def talos(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[TalosLab]:
    """A cluster of one control plane."""
    quick(monkeypatch)
    kit = Kit()
    yield TalosLab(kit, 1)
    kit.close()


def test_F1_calls_do_not_depend_on_the_number_of_nodes_but_for_the_launches(lab: Lab) -> None:
    counts = []
    for names in (NAMES[:1], [f"fargle-worker-{number}" for number in range(10, 30)]):
        lab.ledger.clear_calls()
        play(lab, nodes=[{"name": name} for name in names])
        counts.append({operation: count for operation, count in operations(lab).items() if operation not in ("RunInstances", "DescribeInstances")})
    assert counts[0] == counts[1]


def test_F5_two_operators_creating_the_same_names_get_the_same_instances(lab: Lab) -> None:
    lab.ledger.delays["ec2.visible"] = 0.3
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = [future.result() for future in [pool.submit(play, lab) for _operator in range(2)]]
    assert len(living(lab)) == 3
    assert [node["instance_id"] for node in both[0].nodes] == [node["instance_id"] for node in both[1].nodes]


def test_F1_waiting_takes_one_read_per_group_and_look_however_many_nodes(lab: Lab) -> None:
    front(lab, "fargle-web", 8443)
    made = play(lab)
    groups = cluster_of(lab)["target_groups"]
    with serving(lab, made, 8443):
        lab.ledger.clear_calls()
        targets(lab, "present", nodes_of(made), target_groups=groups)
        assert sum(call.operation == "RegisterTargets" for call in lab.ledger.calls) == 1
        lab.ledger.clear_calls()
        targets(lab, "present", nodes_of(made), target_groups=groups)
        assert [call.operation for call in lab.ledger.calls] == ["DescribeTargetHealth"]


def test_F1_one_node_more_costs_the_same_in_a_cluster_of_any_size(lab: Lab) -> None:
    front(lab, "fargle-web", 8443)
    costs = []
    for number in (1, 20):
        play(lab, nodes=[{"name": f"fargle-worker-{index}"} for index in range(100, 100 + number)])
        lab.ledger.clear_calls()
        group = cluster_of(lab)["target_groups"]
        targets(lab, "present", nodes_of(play(lab, nodes=[{"name": f"fargle-worker-{number}"}])), target_groups=group, require_healthy=[])
        # How often a wait looks depends on how busy this machine is.
        waits = ("DescribeInstances", "DescribeTargetHealth")
        costs.append({operation: 1 if operation in waits else count for operation, count in operations(lab).items()})
    assert costs[0] == costs[1]


def test_F2_launches_take_as_long_as_the_slowest(lab: Lab) -> None:
    lab.ledger.delays["call.ec2.RunInstances"] = 1.5
    started = time.monotonic()
    assert play(lab, nodes=[{"name": f"fargle-worker-{number}"} for number in range(1, 7)], concurrency=6).failures == {}
    assert time.monotonic() - started < 6 * 1.5


def test_F2_deliveries_to_workers_take_as_long_as_the_slowest(talos: TalosLab) -> None:
    numbers = range(11, 17)
    for number in numbers:
        talos.fresh(number)
    talos.kit.ledger.delays["talos.install"] = 2.0
    started = time.monotonic()
    assert talos.deliver(*(talos.row(number, f"w-{number}") for number in numbers)).failures == {}
    assert time.monotonic() - started < len(numbers) * 2.0


def test_F3_launch_that_fails_does_not_keep_the_others_from_being_made(lab: Lab) -> None:
    """The first one's name is still taken by a VM that does not end."""
    old = play(lab, nodes=[{"name": NAMES[0]}]).nodes[0]["instance_id"]
    lab.ledger.delays["ec2.terminating"] = 600.0
    lab.ec2.terminate_instances(InstanceIds=[old])
    outcome = play(lab, wait_timeout=1)
    assert list(outcome.failures) == [NAMES[0]]
    assert [name for name, _instance_id in living(lab)] == list(NAMES[1:])


def test_F3_worker_that_fails_does_not_stop_the_others(talos: TalosLab) -> None:
    talos.kit.machines.impersonate(talos.fresh(11))
    for number in (12, 13):
        talos.fresh(number)
    outcome = talos.deliver(*(talos.row(number, f"w-{number}") for number in (11, 12, 13)), wait_timeout=3.0)
    assert list(outcome.failures) == ["w-11"]
    assert [(node["name"], node["stage"]) for node in outcome.nodes if node["stage"]] == [("w-12", "running"), ("w-13", "running")]


def test_F3_control_planes_stop_after_one_that_fails(talos: TalosLab) -> None:
    """The first gets its config and never votes; the second must not even get its own."""
    talos.kit.ledger.delays["talos.join"] = 600.0
    for number in (11, 12):
        talos.fresh(number)
    outcome = talos.deliver(talos.row(11, "cp-4"), talos.row(12, "cp-5"), role="controlplane", wait_timeout=2.0)
    assert "not done within 2 s" in outcome.failures["cp-4"]
    assert outcome.failures["cp-5"] == "not configured, since cp-4 did not become a voting member of etcd"
    assert talos.mutating == ["ApplyConfiguration"]
