# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disruption budget that allows nothing stops a deletion before anything of the node is gone, and the same command finishes it later."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from kubernetes import client
from kubernetes.config import new_client_from_config_dict

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .playbooks import play, succeed
from .scenes import World, secret

pytestmark = pytest.mark.slow


def home(world: World, pod: str) -> str:
    """The node that a pod of the namespace shop runs on, by the beginning of its name."""
    pods = [one for one in world["kubernetes"]["fargle"]["objects"]["pods"] if one["metadata"]["namespace"] == "shop"]
    return str(next(one["spec"]["nodeName"] for one in pods if one["metadata"]["name"].startswith(pod)))


def bought(world: World) -> set[str]:
    """The instances that are not terminated."""
    return {key for key, vm in worldview.region(world)["instances"].items() if vm["state"] == "running"}


def test_C1_a_budget_that_allows_nothing_is_named_and_the_same_command_goes_on_without_it(cloud: RunningSandbox) -> None:
    before = cloud.control.world()
    config: dict[str, t.Any] = yaml.safe_load(str(secret(before, "cluster-fargle-kubeconfig")["kubeconfig"]))
    policy = client.PolicyV1Api(new_client_from_config_dict(config))
    policy.patch_namespaced_pod_disruption_budget("web", "shop", {"spec": {"minAvailable": "100%", "maxUnavailable": None}})
    node = home(before, "web").split(".")[0]
    words = {"cluster": "fargle", "nodes": node, "drain_timeout": 4}

    stopped = play(cloud.env, "delete_node.yml", **words)
    assert stopped.code != 0
    assert f"{node}: not drained within 4 s: pod shop/web-" in stopped.message
    assert "PodDisruptionBudget shop/web" in stopped.message
    assert "stays cordoned: run again, or `kubectl uncordon" in stopped.message
    after = cloud.control.world()
    assert bought(after) == bought(before)
    left = worldview.nodes(after, "fargle")[node]
    # As roles/delete_node/README.md says: cordoned and without traffic, all else as it was.
    assert (left.state, left.stage, left.ready, left.records) == ("running", "running", True, worldview.nodes(before, "fargle")[node].records)
    assert set(left.targets.values()) <= {"draining"}
    assert [one["spec"].get("unschedulable") for one in worldview.kubernetes_nodes(after, "fargle") if one["metadata"]["name"].split(".")[0] == node] == [True]

    policy.delete_namespaced_pod_disruption_budget("web", "shop")
    succeed(play(cloud.env, "delete_node.yml", **words))
    assert node not in worldview.nodes(cloud.control.world(), "fargle")
