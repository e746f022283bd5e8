# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of the cluster notice nothing of nodes that come and go: no connection through any of its load balancers' listeners fails meanwhile."""

from __future__ import annotations

import socket
import typing as t

import pytest

from tests import worldview
from tests.sandbox.fixture import RunningSandbox
from tests.sandbox.nlb import UNPRIVILEGED_OFFSET

from .playbooks import play, succeed
from .probe import Place, Traffic, traffic
from .scenes import World

pytestmark = pytest.mark.slow

RATE = 50.0
# A load balancer goes on for this long to send new connections to a target that has left it, and the floor waits that out.
PROPAGATION = 12.0
FLOOR = 13
WORKERS = ["fargle-worker-20", "fargle-worker-21"]
PLANE = "fargle-controlplane-4"


def reached(place: Place) -> Place:
    """Where a listener really is: the sandbox moves ports that only root may open, where it is not root."""
    try:
        socket.create_connection(place, 5).close()
    except ConnectionRefusedError:
        return place[0], place[1] + UNPRIVILEGED_OFFSET
    return place


def listeners(world: World) -> dict[str, list[Place]]:
    """Every listener of fargle's load balancers, with its address in each zone."""
    balancers = [one for one in worldview.region(world)["load_balancers"].values() if one["name"].startswith("fargle-")]
    return {f"{one['name']}:{port}": [reached((address, int(port))) for address in one["addresses"]] for one in balancers for port in one["listeners"]}


def delete(cloud: RunningSandbox, *nodes: str, floor: int = FLOOR) -> None:
    succeed(play(cloud.env, "delete_node.yml", cluster="fargle", nodes=list(nodes), delete_node_traffic_floor=floor))


@pytest.fixture
def seen(cloud: RunningSandbox) -> t.Iterator[t.Callable[[], t.ContextManager[Traffic]]]:
    """Begins to probe, through a load balancer that takes its time to forget a target."""
    cloud.control.delays({"elb.propagate": PROPAGATION})
    places = listeners(cloud.control.world())
    assert {name.partition(":")[0] for name in places} == {"fargle-apiserver", "fargle-ingress-internal", "fargle-ingress-external"}
    yield lambda: traffic(places)


@pytest.mark.parametrize(("role", "nodes"), [("worker", WORKERS), ("controlplane", [PLANE])])
def test_B1_no_client_notices_nodes_that_come_and_go(
    cloud: RunningSandbox, seen: t.Callable[[], t.ContextManager[Traffic]], role: str, nodes: list[str]
) -> None:
    with seen() as found:
        succeed(play(cloud.env, "create_node.yml", cluster="fargle", role=role, nodes=nodes))
        delete(cloud, *nodes)
    print({name: (round(found.rates[name], 1), one["outcomes"]) for name, one in found.found.items()})
    assert found.failures == {}
    assert len(found.rates) == 5
    assert min(found.rates.values()) >= RATE, found.rates


def test_B1_without_the_floor_clients_do_notice(cloud: RunningSandbox, seen: t.Callable[[], t.ContextManager[Traffic]]) -> None:
    """The control run: the VM ends while the load balancers still send it new connections."""
    with seen() as found:
        delete(cloud, "fargle-worker-10", floor=0)
    print(found.failures)
    assert sum(sum(outcomes.values()) for outcomes in found.failures.values()) > 0
    assert found.failures.keys() <= {name for name in found.found if "ingress" in name}
