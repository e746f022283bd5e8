# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C: drains, Node objects and volumes. k8s_node_drain and k8s_node against the simulated API, which refuses what the real one refuses."""

from __future__ import annotations

import dataclasses
import time
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes import client as client_module
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes import drain, nodes
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.client import Api, KubernetesError, connect
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.drain import DrainOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.kubeconfig import read
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.nodes import NodeOptions, Wanted
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome

from tests.sandbox.calls import Fault
from tests.sandbox.kubernetes import seed
from tests.sandbox.kubernetes.resources import NODES, PODS, STATEFULSETS
from tests.unit.plugins.module_utils._kubernetes.conftest import ADDRESS, Lab, running


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Lab]:
    yield from running(monkeypatch)


@pytest.fixture
def api(lab: Lab) -> t.Iterator[Api]:
    with connect(read(lab.kubeconfig(f"https://{ADDRESS}:{lab.port}"))) as made:
        yield made


def drained(*wanted: Wanted, timeout: float = 20.0, **more: t.Any) -> DrainOptions:
    return DrainOptions(nodes=list(wanted), timeout=timeout, volume_timeout=5.0, **more)


def node_states(api: Api, *wanted: Wanted) -> list[dict[str, t.Any]]:
    """Each node as Kubernetes has it now."""
    return nodes.work(NodeOptions(list(wanted), "ready", 1.0), api, check_mode=True).nodes


def absent(api: Api, *wanted: Wanted) -> Outcome:
    """k8s_node's outcome."""
    return nodes.work(NodeOptions(list(wanted), "absent", 5.0), api, check_mode=False)


def evictions(lab: Lab) -> list[str]:
    """The pods that were asked to go, in order."""
    return [call.detail["name"] for call in lab.ledger.calls if call.operation == "create_pods/eviction"]


def test_C1_budget_without_room(lab: Lab, api: Api) -> None:
    doomed = lab.node("w1", 1)
    lab.web({"minAvailable": 2})
    outcome = drain.work(drained(doomed, timeout=1.5), api, check_mode=False)
    assert "blocked by PodDisruptionBudget shop/web-0 (needs 2 healthy pods and has 2)" in outcome.failures["w1"]
    assert node_states(api, doomed)[0]["unschedulable"] is True
    assert len(evictions(lab)) <= 2 * 3, "it spins"


def test_C1b_two_budgets(lab: Lab, api: Api) -> None:
    doomed = lab.node("w1", 1)
    lab.web({"maxUnavailable": 1}, {"maxUnavailable": 1})
    outcome = drain.work(drained(doomed), api, check_mode=False)
    assert "shop/web-0" in outcome.failures["w1"]
    assert "shop/web-1" in outcome.failures["w1"]
    assert "create_pods/eviction" not in lab.operations()


def test_C2_dead_node(lab: Lab, api: Api) -> None:
    doomed = lab.node("w1", 1)
    lab.web()
    lab.node("w2", 2)
    lab.store.kubelet_ready("fargle", "w1", ready=False)
    lab.store.settle("fargle")
    assert "unreachable=force" in drain.work(drained(doomed), api, check_mode=False).failures["w1"]
    assert drain.work(drained(doomed, unreachable="force"), api, check_mode=False).failures == {}


def test_C8_drain_ends_only_when_the_volume_is_detached(lab: Lab, api: Api) -> None:
    doomed = lab.node("w1", 1)
    lab.database()
    lab.ledger.delays["volume.detach"] = 1.5
    assert drain.attached_volumes(api, [drain.Job("w1", {"metadata": {"name": "w1"}}, [])], set()) == {"w1": ["pv-1"]}
    assert drain.work(drained(doomed), api, check_mode=False).failures == {}
    assert drain.attached_volumes(api, [drain.Job("w1", {"metadata": {"name": "w1"}}, [])], set()) == {}


def test_C8_volume_that_stays_is_named(lab: Lab, api: Api) -> None:
    doomed = lab.node("w1", 1)
    lab.database()
    lab.ledger.delays["volume.detach"] = 600.0
    outcome = drain.work(dataclasses.replace(drained(doomed), volume_timeout=1.0), api, check_mode=False)
    assert "volumes still attached after 1 s: pv-1" in outcome.failures["w1"]


def test_C7_recycled_name(lab: Lab, api: Api) -> None:
    lab.node("w1", 1)
    outcome = nodes.work(NodeOptions([Wanted("w1", "127.78.10.9", "i-new")], "absent", 5.0), api, check_mode=False)
    assert "another machine" in outcome.failures["w1"]
    assert [entry["name"] for entry in outcome.values["all_nodes"]] == ["w1"]


def test_C3_refused_evictions_are_repeated_until_the_budget_yields(lab: Lab, api: Api) -> None:
    doomed = lab.node("w1", 1)
    lab.web({"maxUnavailable": 1})
    lab.ledger.delays["pod.start"] = 1.5
    lab.node("w2", 2)
    outcome = drain.work(drained(doomed), api, check_mode=False)
    assert outcome.failures == {}
    refused = [call.status for call in lab.ledger.calls if call.operation == "create_pods/eviction" and call.status == "429"]
    assert refused, "no budget was in the way"
    assert len(set(evictions(lab))) == 2


def test_C4_pod_of_the_same_name_elsewhere_is_not_waited_for(lab: Lab, api: Api) -> None:
    """A StatefulSet makes its pod anew under the same name as soon as the old one is gone."""
    doomed = lab.node("w1", 1)
    lab.database()
    lab.node("w2", 2)
    outcome = drain.work(drained(doomed), api, check_mode=False)
    assert outcome.failures == {}
    assert [(pod["name"], pod["result"]) for pod in outcome.nodes[0]["pods"]] == [("db-0", "evicted")]
    with lab.cluster.lock:
        (again,) = lab.cluster.list(PODS, "shop")
    assert (again["metadata"]["name"], again["spec"]["nodeName"]) == ("db-0", "w2")
    assert evictions(lab) == ["db-0"]


def test_C4_pod_of_the_same_name_on_the_same_node_is_another_pod(lab: Lab, api: Api) -> None:
    """It tolerates the cordon, so it comes back to where it was and has to go again: never taken for the one that went, which would be never."""
    doomed = lab.node("w1", 1)
    with lab.cluster.lock:
        seed.namespace(lab.cluster, "shop")
        seed.workload(lab.cluster, STATEFULSETS, "shop", "db", tolerations=[{"operator": "Exists"}])
    lab.store.settle("fargle")
    outcome = drain.work(drained(doomed, timeout=1.5), api, check_mode=False)
    assert len(evictions(lab)) > 1
    assert "pod shop/db-0" in outcome.failures["w1"]


def test_C6_node_that_its_kubelet_registers_anew_is_deleted_once_the_vm_is_gone(lab: Lab, api: Api) -> None:
    lab.ledger.delays["kubelet.reregister"] = 0.3
    doomed = lab.node("w1", 1)
    assert absent(api, doomed).failures == {}
    deadline = time.monotonic() + 5
    while not node_states(api, doomed)[0]["node_name"]:
        assert time.monotonic() < deadline, "the kubelet did not come back"
        time.sleep(0.05)
    lab.store.kubelet_gone("fargle", "w1")
    again = absent(api, doomed)
    assert [step.verb for step in again.steps] == ["delete"]
    assert again.values["all_nodes"] == []


def test_C6_node_that_is_registered_anew_between_read_and_delete_is_deleted_too(lab: Lab, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its UID the delete is refused: then the new one is looked at, and deleted as the same machine."""
    doomed = lab.node("w1", 1)
    listed = nodes.calls.list_nodes

    def then_renewed(api: Api, **more: t.Any) -> list[dict[str, t.Any]]:
        found = listed(api, **more)
        monkeypatch.setattr(nodes.calls, "list_nodes", listed)
        with lab.cluster.lock:
            lab.cluster.delete(NODES, "", "w1")
        lab.node("w1", 1)
        return found

    monkeypatch.setattr(nodes.calls, "list_nodes", then_renewed)
    outcome = absent(api, doomed)
    assert outcome.failures == {}
    assert outcome.values["all_nodes"] == []


def test_C7_leftover_node_of_a_new_name_is_found_before_the_launch(lab: Lab, api: Api) -> None:
    """A kubelet would take it over with its labels, taints and provider ID."""
    lab.node("w1", 1)
    lab.store.kubelet_gone("fargle", "w1")
    outcome = nodes.work(NodeOptions([Wanted("w1", new=True), Wanted("w10", new=True)], "ready", 1.0), api, check_mode=True)
    assert list(outcome.failures) == ["w1"]
    assert "kubectl delete node w1" in outcome.failures["w1"]


@pytest.mark.parametrize("left", ["cordoned", "drained", "no node"])
def test_C9_deletion_repeated_converges(lab: Lab, api: Api, left: str) -> None:
    doomed = lab.node("w1", 1)
    lab.web()
    lab.node("w2", 2)
    if left == "cordoned":
        nodes.work(NodeOptions([doomed], "cordoned", 1.0), api, check_mode=False)
    else:
        drain.work(drained(doomed), api, check_mode=False)
    if left == "no node":
        absent(api, doomed)
    again = drain.work(drained(doomed), api, check_mode=False)
    assert again.failures == {}
    assert {step.verb for step in again.steps} == ({"evict"} if left == "cordoned" else set())
    assert (absent(api, doomed).failures, absent(api, doomed).steps) == ({}, [])
    assert [node["name"] for node in node_states(api, Wanted("w2"))] == ["w2"]


@pytest.mark.parametrize("known", ["provider_id", "address"])
def test_C10_node_of_another_name_is_found_by_its_machine(lab: Lab, api: Api, known: str) -> None:
    """It may be called by its domain, by its address, or by a name that somebody has changed; the one that bears our name may be another's."""
    lab.node("ip-127-78-10-1.ec2.internal", 1)
    lab.node("w1", 9)
    ours = {"provider_id": Wanted("w1", provider_id="i-00000001"), "address": Wanted("w1", address="127.78.10.1")}[known]
    assert node_states(api, ours)[0]["node_name"] == "ip-127-78-10-1.ec2.internal"
    assert [step.target for step in absent(api, ours).steps] == ["node/ip-127-78-10-1.ec2.internal"]
    assert [node["node_name"] for node in node_states(api, Wanted("w1", provider_id="i-00000009"))] == ["w1"]


@pytest.mark.parametrize("look", [1, 2], ids=["at first", "while pods leave"])
def test_C11_api_that_does_not_answer_stops_the_deletion(lab: Lab, api: Api, monkeypatch: pytest.MonkeyPatch, look: int) -> None:
    """A node of which nothing can be seen is not empty."""
    monkeypatch.setattr(client_module, "ATTEMPTS", 2)
    doomed = lab.node("w1", 1)
    lab.web()
    lab.node("w2", 2)
    operation = {1: "list_nodes", 2: "list_pods"}[look]
    lab.ledger.faults = [Fault("error", "kubernetes", operation, ordinals=[] if look == 1 else list(range(look, 1000)))]
    if look == 1:
        with pytest.raises(KubernetesError):
            drain.work(drained(doomed, timeout=1.0), api, check_mode=False)
        assert [call.operation for call in lab.ledger.calls if call.mutating and call.detail.get("client") != "controller"] == []
    else:
        assert "w1" in drain.work(drained(doomed, timeout=1.0), api, check_mode=False).failures
