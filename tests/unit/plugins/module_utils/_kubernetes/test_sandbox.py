# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same modules against the simulated Kubernetes API, which refuses what the real one refuses."""

from __future__ import annotations

import threading
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes import client as client_module
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes import drain, nodes
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.client import Api, connect
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.drain import DrainOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.kubeconfig import read
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.nodes import NodeOptions, Wanted

from tests.sandbox.calls import Fault
from tests.sandbox.kubernetes import seed
from tests.sandbox.kubernetes.resources import DEPLOYMENTS, PODS

from .conftest import ADDRESS, Lab


def drained(*wanted: Wanted, timeout: float = 20.0, **more: t.Any) -> DrainOptions:
    return DrainOptions(nodes=list(wanted), timeout=timeout, volume_timeout=5.0, **more)


def test_each_of_the_nodes_that_are_drained_side_by_side_is_emptied(lab: Lab, api: Api) -> None:
    wanted = [lab.node(f"w{number}", number) for number in (1, 2, 3)]
    with lab.cluster.lock:
        seed.namespace(lab.cluster, "shop")
        seed.workload(lab.cluster, DEPLOYMENTS, "shop", "web", replicas=9)
    lab.store.settle("fargle")
    lab.node("w4", 4)
    doomed = {name: node for name, node in bound(lab).items() if node != "w4"}
    assert set(doomed.values()) == {"w1", "w2", "w3"}
    outcome = drain.work(drained(*wanted), api, False)
    assert outcome.failures == {}
    assert {call.detail["name"] for call in lab.ledger.calls if call.operation == "create_pods/eviction"} == doomed.keys()
    assert set(bound(lab).values()) == {"w4"}


def bound(lab: Lab) -> dict[str, str]:
    """The node of each pod."""
    with lab.cluster.lock:
        return {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in lab.cluster.list(PODS, "shop")}


def test_drain_within_a_budget_then_delete(lab: Lab, api: Api) -> None:
    doomed = lab.node("w1", 1)
    lab.web({"maxUnavailable": 1})
    lab.node("w2", 2)
    planned = drain.work(drained(doomed), api, check_mode=True)
    outcome = drain.work(drained(doomed), api, check_mode=False)
    assert outcome.failures == {}
    assert [step.summary() for step in outcome.steps] == [step.summary() for step in planned.steps]
    assert [(p["namespace"], p["result"]) for p in outcome.nodes[0]["pods"]] == [("shop", "evicted")] * 2
    gone = nodes.work(NodeOptions([doomed], "absent", 5.0), api, check_mode=False)
    assert [entry["name"] for entry in gone.values["all_nodes"]] == ["w2"]
    assert drain.work(drained(doomed), api, check_mode=False).steps == []


@pytest.mark.parametrize("kind", ["throttle", "error", "lost_reply"])
def test_faults_of_the_eviction_api(lab: Lab, api: Api, kind: str) -> None:
    doomed = lab.node("w1", 1)
    lab.web()
    lab.node("w2", 2)
    lab.ledger.faults = [Fault(kind, "kubernetes", "create_pods/eviction", ordinals=[1])]
    assert drain.work(drained(doomed), api, check_mode=False).failures == {}


def test_ready_is_seen_when_the_kubelet_reports(lab: Lab, api: Api) -> None:
    wanted = lab.node("w1", 1, ready=False)
    later = threading.Timer(0.3, lab.store.kubelet_ready, ("fargle", "w1"))
    later.start()
    outcome = nodes.work(NodeOptions([wanted], "ready", 10.0), api, check_mode=False)
    later.join()
    assert (outcome.failures, outcome.nodes[0]["ready"]) == ({}, True)
    assert set(lab.operations()) == {"list_nodes"}


def test_many_nodes_over_many_pages(lab: Lab, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAGE", 2)
    for number in range(1, 6):
        lab.node(f"w{number}", number)
    outcome = nodes.work(NodeOptions([], "ready", 5.0), api, check_mode=False)
    assert [entry["name"] for entry in outcome.values["all_nodes"]] == ["w1", "w2", "w3", "w4", "w5"]
    assert lab.operations().count("list_nodes") == 3


def test_kubeconfig_of_another_cluster(lab: Lab) -> None:
    other = Lab()
    stolen = lab.kubeconfig(f"https://{ADDRESS}:{lab.port}").replace(lab.secrets.ca.crt_b64, other.secrets.ca.crt_b64)
    with connect(read(stolen)) as api, pytest.raises(client_module.KubernetesError, match="Is the kubeconfig of this cluster"):
        nodes.work(NodeOptions([], "ready", 5.0), api, check_mode=False)
