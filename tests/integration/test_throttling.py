# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where three calls of ten are throttled, a run takes longer, and nothing else."""

from __future__ import annotations

import typing as t

import pytest

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .playbooks import Run, play, succeed

pytestmark = pytest.mark.slow

Call = dict[str, t.Any]
Log = list[Call]
NAMES = ["fargle-worker-50", "fargle-worker-51"]
SERVICES = ["vault", "tagging", "elbv2", "ec2", "talos", "kubernetes", "cloudflare"]
SHARE = 0.3
# Throttled in the deletion, so many times in a row: the first read of each service (all of AWS is asked by the same code).
STUBBORN = {
    ("vault", "read"): 3,
    ("ec2", "DescribeInstances"): 6,
    ("talos", "EtcdMemberList"): 3,
    ("kubernetes", "list_nodes"): 3,
    ("cloudflare", "list_records"): 2,
}
# Between tries where the service itself says how long to wait; its answer says one second.
SAYS_WHEN = {"cloudflare"}
# Whose pauses are drawn by lot, between nothing and a bound that grows: only all of them together are never short.
BY_LOT = {"ec2"}


def throttle(cloud: RunningSandbox, seed: int) -> None:
    for service in SERVICES:
        cloud.control.fault("throttle", service, share=SHARE, seed=seed)


@pytest.fixture(scope="module")
def runs(stage: t.Callable[[], RunningSandbox]) -> list[tuple[Run, Log, dict[str, t.Any]]]:
    """A creation and the deletion of the same workers, each with its calls and the world after it."""
    cloud = stage()
    cloud.control.delays({"*": 0})
    found = []
    for seed, playbook in enumerate(("create_node.yml", "delete_node.yml"), start=1):
        cloud.control.clear_faults()
        for (service, operation), times in STUBBORN.items() if playbook == "delete_node.yml" else ():
            cloud.control.fault("throttle", service, operation, ordinals=list(range(1, times + 1)))
        throttle(cloud, seed)
        cloud.control.forget_calls()
        run = play(cloud.env, playbook, cluster="fargle", nodes=NAMES)
        found.append((run, cloud.control.calls(), cloud.control.world()))
    return found


def test_creation_and_deletion_succeed(runs: list[tuple[Run, Log, dict[str, t.Any]]]) -> None:
    (created, _calls, world), (deleted, _more, end) = runs
    succeed(created)
    assert all(worldview.nodes(world, "fargle")[name].ready for name in NAMES)
    succeed(deleted)
    assert not worldview.nodes(end, "fargle").keys() & set(NAMES)


def test_every_service_has_throttled_as_many_as_that(runs: list[tuple[Run, Log, dict[str, t.Any]]]) -> None:
    calls = [call for _run, log, _world in runs for call in log if call["service"] in SERVICES]
    throttled = [call for call in calls if call["fault"]]
    # The tagging API is asked once in a run.
    assert {call["service"] for call in throttled} >= set(SERVICES) - {"tagging"}
    assert 0.2 < len(throttled) / len(calls) < 0.45


def test_the_next_tries_come_later_and_later(runs: list[tuple[Run, Log, dict[str, t.Any]]]) -> None:
    _run, log, _world = runs[1]
    for (service, operation), times in STUBBORN.items():
        tries = [call for call in log if (call["service"], call["operation"]) == (service, operation)][: times + 1]
        assert [bool(call["fault"]) for call in tries[:times]] == [True] * times, service
        pauses = [later["started"] - earlier["ended"] for earlier, later in zip(tries, tries[1:], strict=False)]
        if service in SAYS_WHEN:
            assert min(pauses) >= 1, (service, pauses)
        elif service in BY_LOT:
            assert sum(pauses) > 0.5, (service, pauses)
        else:
            assert sum(pauses[1:]) > pauses[0], (service, pauses)
