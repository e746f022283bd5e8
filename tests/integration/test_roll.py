# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole cluster is renewed: no client notices, etcd never loses its quorum, no more nodes are missing than allowed, however often the run is killed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import threading
import typing as t

import pytest

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .kills import LEASE, killed_after
from .playbooks import play, succeed
from .probe import traffic
from .test_replace import leases, serving
from .test_traffic import FLOOR, PROPAGATION, RATE, listeners

pytestmark = pytest.mark.slow

WORKERS, PLANES, AT_ONCE = 5, 3, 2
ALL: dict[str, t.Any] = {"cluster": "fargle", "role": "all", "max_unavailable": AT_ONCE}
KILLS = 10


@dataclasses.dataclass
class Least:
    """The fewest that there ever were of what a cluster lives by."""

    workers: int = WORKERS
    voters: int = PLANES
    looks: int = 0


def look(cloud: RunningSandbox, least: Least) -> None:
    nodes = worldview.nodes(cloud.control.look(), "fargle").values()
    workers = [node for node in nodes if node.role != "controlplane" and node.ready and "healthy" in node.targets.values()]
    voters = [node for node in nodes if node.member == "voter" and node.state == "running"]
    least.workers, least.voters, least.looks = min(least.workers, len(workers)), min(least.voters, len(voters)), least.looks + 1


@contextlib.contextmanager
def watched(cloud: RunningSandbox) -> t.Iterator[Least]:
    """The world is looked at again and again during the block."""
    least, ended = Least(), threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            look(cloud, least)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield least
    finally:
        ended.set()
        thread.join()


def test_nobody_notices_that_a_whole_cluster_is_renewed(cloud: RunningSandbox) -> None:
    before = serving(cloud)
    cloud.control.delays({"elb.propagate": PROPAGATION})
    with traffic(listeners(cloud.control.world())) as clients, watched(cloud) as least:
        succeed(play(cloud.env, "replace_node.yml", timeout=1800, delete_node_traffic_floor=FLOOR, **ALL))
    after = serving(cloud)
    print(least, {name: (round(clients.rates[name], 1), one["outcomes"]) for name, one in clients.found.items()})
    assert len(after) == WORKERS + PLANES
    assert not set(after.values()) & set(before.values())
    assert clients.failures == {}
    assert min(clients.rates.values()) >= RATE, clients.rates
    assert least.looks > 30
    assert (least.workers, least.voters) == (WORKERS - AT_ONCE, PLANES - 1)


@pytest.mark.skipif(os.environ.get("KILLS") != "all", reason="make kills; make faults kills it at every change of one node")
def test_killed_at_ten_random_points_it_ends_the_same(cloud: RunningSandbox) -> None:
    before = serving(cloud)
    lot = random.Random(os.environ.get("SEED", "8"))  # noqa: S311 no secret
    with watched(cloud) as least:
        points = [killed_after(cloud, "replace_node.yml", lot.randint(1, 12), spared=LEASE, **ALL) for _kill in range(KILLS)]
        succeed(play(cloud.env, "replace_node.yml", timeout=1800, **ALL))
    print(points, least)
    after = serving(cloud)
    assert after.keys() == worldview.nodes(cloud.control.world(), "fargle").keys()
    assert len(after) == WORKERS + PLANES
    assert not set(after.values()) & set(before.values())
    assert leases(cloud) == []
    assert least.voters >= PLANES - 1
    assert least.workers >= WORKERS - AT_ONCE
