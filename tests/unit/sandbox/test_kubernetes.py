# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated Kubernetes API, driven by the official client.

Where a test shows a refusal, its docstring names the place in Kubernetes that refuses.
"""

from __future__ import annotations

import base64
import functools
import json
import socket
import time
import typing as t

import pytest
import urllib3
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from tests.sandbox import pki
from tests.sandbox.calls import Fault, Ledger
from tests.sandbox.kubernetes import KubernetesStore, seed
from tests.sandbox.kubernetes.errors import ApiError
from tests.sandbox.kubernetes.resources import DAEMONSETS, DEPLOYMENTS, STATEFULSETS
from tests.unit.addresses import own_address

T = t.TypeVar("T")
ADDRESS = own_address(2)


def free_port() -> int:
    with socket.socket() as found:
        found.bind((ADDRESS, 0))
        return int(found.getsockname()[1])


class SettledStore(KubernetesStore):
    """What kubelets do has all its consequences when the call returns, so that tests need not wait for them."""

    def _changed(self, cluster: t.Any) -> None:
        self._settle(cluster)


class Lab:
    """One started cluster with its administrator's client."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.ledger.delays = {"*": 0}
        self.store = SettledStore(self.ledger)
        self.secrets = pki.kubernetes_pki("fargle")
        self.port = free_port()
        self.cluster = self.store.add_cluster("fargle", ADDRESS, self.secrets, port=self.port)
        self.api = self.client(self.secrets.admin)
        self.core = client.CoreV1Api(self.api)
        self.policy = client.PolicyV1Api(self.api)
        self.leases = client.CoordinationV1Api(self.api)
        self.storage = client.StorageV1Api(self.api)

    def client(self, pair: pki.Pair | None, ca: str = "", port: int = 0) -> client.ApiClient:
        user = {"client-certificate-data": pair.crt_b64, "client-key-data": pair.key_b64} if pair else {}
        authority = base64.b64encode((ca or self.secrets.ca.crt).encode()).decode()
        text = {
            "clusters": [{"name": "c", "cluster": {"server": f"https://{ADDRESS}:{port or self.port}", "certificate-authority-data": authority}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        settings = client.Configuration()
        settings.retries = 0
        config.load_kube_config_from_dict(text, client_configuration=settings)
        return client.ApiClient(settings)

    def raw(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Code and body of a request with the administrator's certificate."""
        answer = self.api.rest_client.pool_manager.request(method, f"https://{ADDRESS}:{self.port}{path}", body=body, retries=False)
        return answer.status, answer.data

    def node(self, name: str, number: int, *, ready: bool = True, **more: t.Any) -> None:
        self.store.kubelet_register("fargle", name, f"127.77.10.{number}", f"aws:///eu-a/i-{number:08x}", **more)
        if ready:
            self.store.kubelet_ready("fargle", name)

    def pods(self, namespace: str = "shop") -> list[client.V1Pod]:
        return self.core.list_namespaced_pod(namespace).items

    def web(self, replicas: int = 2, **budget: t.Any) -> None:
        """An application in the namespace shop, with a budget if its limits are given."""
        with self.cluster.lock:
            seed.namespace(self.cluster, "shop")
            seed.workload(self.cluster, DEPLOYMENTS, "shop", "web", replicas=replicas)
            if budget:
                seed.budget(self.cluster, "shop", "web", app="web", **budget)
        self.store.settle("fargle")

    def evict(self, pod: client.V1Pod, **options: t.Any) -> int:
        """Evict and return the HTTP code (the answer is a Status, which the client takes for an Eviction)."""
        name, namespace = pod.metadata.name, pod.metadata.namespace
        body = client.V1Eviction(metadata=client.V1ObjectMeta(name=name, namespace=namespace), delete_options=options.pop("delete_options", None))
        return int(self.core.create_namespaced_pod_eviction_with_http_info(name, namespace, body, **options)[1])


@pytest.fixture
def lab() -> t.Iterator[Lab]:
    made = Lab()
    made.store.start()
    yield made
    made.store.stop()


def eventually(read: t.Callable[[], T], good: t.Callable[[T], bool], seconds: float = 5.0) -> T:
    end = time.monotonic() + seconds
    while not good(found := read()):
        assert time.monotonic() < end, f"not in {seconds} s: {found}"
        time.sleep(0.02)
    return found


def expect_refused(call: t.Callable[[], object]) -> tuple[int, dict[str, t.Any]]:
    """Code and Status of the refusal that call meets."""
    with pytest.raises(ApiException) as caught:
        call()
    return caught.value.status, client.ApiClient().deserialize(caught.value.body, "object", "application/json")


# Nodes and their kubelets


def test_a_kubelet_registers_with_its_labels_and_taints_and_gets_ready(lab: Lab) -> None:
    taint = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    lab.node("w1", 1, ready=False, labels={"purpose": "gpu"}, taints=[taint])
    node = lab.core.read_node("w1")
    assert {c.type: c.status for c in node.status.conditions}["Ready"] == "False"
    assert node.metadata.labels["purpose"] == "gpu"
    assert node.metadata.labels["kubernetes.io/hostname"] == "w1"
    assert node.spec.provider_id == "aws:///eu-a/i-00000001"
    assert {(x.key, x.effect) for x in node.spec.taints} >= {("dedicated", "NoSchedule"), ("node.kubernetes.io/not-ready", "NoSchedule")}
    lab.store.kubelet_ready("fargle", "w1")
    node = lab.core.read_node("w1")
    assert {c.type: c.status for c in node.status.conditions}["Ready"] == "True"
    assert [(x.key, x.value, x.effect) for x in node.spec.taints] == [("dedicated", "gpu", "NoSchedule")]
    assert {a.type: a.address for a in node.status.addresses} == {"InternalIP": "127.77.10.1", "Hostname": "w1"}


def test_a_kubelet_may_not_give_itself_reserved_labels(lab: Lab) -> None:
    """plugin/pkg/admission/noderestriction: only the allowed prefixes and names under kubernetes.io and k8s.io."""
    with pytest.raises(ApiError, match=r"not allowed to set the following labels: node-role\.kubernetes\.io/worker"):
        lab.node("w1", 1, labels={"node-role.kubernetes.io/worker": ""})
    lab.node("w2", 2, labels={"node.kubernetes.io/pool": "a", "example.com/pool": "b"})
    assert [node.metadata.name for node in lab.core.list_node().items] == ["w2"]


def test_talos_adds_labels_and_taints_after_registration(lab: Lab) -> None:
    lab.node("cp1", 1, taints=[{"key": "a", "value": "old", "effect": "NoSchedule"}])
    control_plane = "node-role.kubernetes.io/control-plane"
    taints = [{"key": control_plane, "effect": "NoSchedule"}, {"key": "a", "value": "new", "effect": "NoSchedule"}]
    lab.store.node_apply("fargle", "cp1", {control_plane: ""}, taints)
    node = lab.core.read_node("cp1")
    assert node.metadata.labels[control_plane] == ""
    assert [(x.key, x.value) for x in node.spec.taints] == [("a", "new"), (control_plane, None)]


def test_clusters_that_are_not_here(lab: Lab) -> None:
    assert lab.store.api_address("fargle") == (ADDRESS, lab.port)
    assert lab.store.api_address("nowhere") is None
    lab.store.kubelet_register("nowhere", "w1", "127.77.10.1")
    lab.store.kubelet_ready("nowhere", "w1", True)
    lab.store.node_apply("nowhere", "w1", {"a": "b"}, [])
    assert lab.store.ingress_ready("nowhere", "w1") is False
    assert list(lab.store.dump()) == ["fargle"]


def test_malformed_registration_leaves_no_kubelet_behind(lab: Lab) -> None:
    """pkg/apis/core/validation.validateNodeTaints."""
    with pytest.raises(ApiError, match='Unsupported value: "Sometimes"'):
        lab.node("w1", 1, taints=[{"key": "a", "effect": "Sometimes"}])
    assert lab.store.dump()["fargle"]["kubelets"] == {}


def test_c7_a_recycled_name_adopts_the_old_node_as_it_is(lab: Lab) -> None:
    lab.node("w1", 1, labels={"purpose": "old"})
    lab.core.patch_node("w1", {"spec": {"unschedulable": True}})
    lab.store.kubelet_gone("fargle", "w1")
    lab.node("w1", 2, labels={"purpose": "new"})
    node = lab.core.read_node("w1")
    assert (node.spec.provider_id, node.spec.unschedulable, node.metadata.labels["purpose"]) == ("aws:///eu-a/i-00000001", True, "old")
    assert node.status.addresses[0].address == "127.77.10.2"


def test_c6_a_deleted_node_of_a_live_kubelet_stays_away(lab: Lab) -> None:
    lab.node("w1", 1)
    lab.core.delete_node("w1")
    time.sleep(0.2)
    assert lab.core.list_node().items == []
    lab.node("w1", 1)
    assert lab.core.read_node("w1").spec.provider_id == "aws:///eu-a/i-00000001"


def test_c6_a_deleted_node_comes_back_when_told(lab: Lab) -> None:
    lab.ledger.delays["kubelet.reregister"] = 0.1
    lab.node("w1", 1)
    uid = lab.core.read_node("w1").metadata.uid
    lab.core.delete_node("w1")
    assert lab.core.list_node().items == []
    node = eventually(lambda: lab.core.list_node().items, bool)[0]
    assert node.metadata.uid != uid
    lab.store.kubelet_gone("fargle", "w1")
    lab.core.delete_node("w1")
    time.sleep(0.3)
    assert lab.core.list_node().items == []


def test_a_silent_kubelet_makes_its_node_unknown_and_its_pods_hang(lab: Lab) -> None:
    lab.node("w1", 1)
    lab.web(1)
    pod = lab.pods()[0]
    lab.store.kubelet_ready("fargle", "w1", False)
    node = lab.core.read_node("w1")
    ready = next(c for c in node.status.conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("Unknown", "NodeStatusUnknown")
    assert {x.key for x in node.spec.taints} == {"node.kubernetes.io/unreachable"}
    stuck = eventually(lambda: lab.core.read_namespaced_pod(pod.metadata.name, "shop"), lambda p: p.metadata.deletion_timestamp is not None)
    time.sleep(0.2)
    assert lab.core.read_namespaced_pod(stuck.metadata.name, "shop").metadata.uid == pod.metadata.uid
    lab.core.delete_node("w1")
    eventually(lambda: [p.metadata.uid for p in lab.pods()], lambda uids: pod.metadata.uid not in uids)


# Reading


def test_get_of_a_missing_node_is_404_with_a_status(lab: Lab) -> None:
    """apimachinery errors.NewNotFound."""
    code, status = expect_refused(lambda: lab.core.read_node("nope"))
    assert code == 404
    assert status["reason"] == "NotFound"
    assert status["message"] == 'nodes "nope" not found'
    assert status["details"] == {"name": "nope", "kind": "nodes"}


def test_selectors(lab: Lab) -> None:
    lab.node("w1", 1, labels={"pool": "a"})
    lab.node("w2", 2, labels={"pool": "b"})
    lab.core.patch_node("w2", {"spec": {"unschedulable": True}})

    def names(**selectors: str) -> list[str]:
        return [node.metadata.name for node in lab.core.list_node(**selectors).items]

    assert names(label_selector="pool=a") == ["w1"]
    assert names(label_selector="pool in (a, b),pool!=a") == ["w2"]
    assert names(label_selector="!pool") == []
    assert names(field_selector="metadata.name=w2") == ["w2"]
    assert names(field_selector="spec.unschedulable=false") == ["w1"]
    lab.web(2)
    on_first = lab.core.list_pod_for_all_namespaces(field_selector="spec.nodeName=w1").items
    assert len(on_first) == 2
    assert lab.core.list_pod_for_all_namespaces(field_selector="spec.nodeName!=w1,metadata.namespace=shop").items == []


def test_unknown_field_selector_is_400(lab: Lab) -> None:
    """pkg/apis/core/v1/conversion.go: field label not supported."""
    code, status = expect_refused(lambda: lab.core.list_node(field_selector="spec.providerID=x"))
    assert (code, status["reason"], status["message"]) == (400, "BadRequest", "field label not supported: spec.providerID")


def test_pages_are_consistent_and_expire(lab: Lab) -> None:
    """410 Expired: apiserver storage/etcd3 handleExpiredContinue; see API concepts, "Retrieving large result sets in chunks"."""
    for number in range(5):
        lab.node(f"w{number}", number + 1)
    first = lab.core.list_node(limit=2)
    assert first.metadata.remaining_item_count == 3
    lab.core.delete_node("w4")
    second = lab.core.list_node(limit=2, _continue=first.metadata._continue)
    third = lab.core.list_node(limit=2, _continue=second.metadata._continue)
    assert [n.metadata.name for page in (first, second, third) for n in page.items] == ["w0", "w1", "w2", "w3", "w4"]
    assert third.metadata._continue is None
    assert {page.metadata.resource_version for page in (first, second, third)} == {first.metadata.resource_version}
    lab.ledger.delays["etcd.compaction"] = 0
    code, status = expect_refused(lambda: lab.core.list_node(limit=2, _continue=first.metadata._continue))
    assert (code, status["reason"]) == (410, "Expired")
    assert "continue parameter is too old" in status["message"]


def test_watch_sees_changes_bookmarks_and_ends(lab: Lab) -> None:
    lab.node("w1", 1)
    start = lab.core.list_node().metadata.resource_version
    lab.core.patch_node("w1", {"metadata": {"labels": {"pool": "a"}}})
    lab.node("w2", 2, ready=False)
    lab.core.delete_node("w1")
    began = time.monotonic()
    events = list(watch.Watch().stream(lab.core.list_node, resource_version=start, timeout_seconds=1, allow_watch_bookmarks=True))
    assert 0.9 < time.monotonic() - began < 3
    kinds = [(event["type"], event["raw_object"]["metadata"].get("name")) for event in events]
    assert kinds[0] == ("MODIFIED", "w1")
    assert ("ADDED", "w2") in kinds
    assert ("DELETED", "w1") in kinds
    bookmark = [event["raw_object"] for event in events if event["type"] == "BOOKMARK"][-1]
    assert int(bookmark["metadata"]["resourceVersion"]) >= lab.cluster.version


def test_watch_without_a_version_begins_with_what_exists_and_delivers_at_once(lab: Lab) -> None:
    lab.node("w1", 1)
    seen = []
    stream = watch.Watch()
    for event in stream.stream(lab.core.list_node, field_selector="metadata.name=w1", timeout_seconds=5):
        seen.append(event["type"])
        if len(seen) == 1:
            lab.core.patch_node("w1", {"spec": {"unschedulable": True}})
            began = time.monotonic()
        elif event["raw_object"]["spec"].get("unschedulable"):
            stream.stop()
    assert seen[0] == "ADDED"
    assert "MODIFIED" in seen
    assert time.monotonic() - began < 1


def test_a_watched_object_that_leaves_the_selection_looks_deleted(lab: Lab) -> None:
    lab.node("w1", 1, labels={"pool": "a"})
    start = lab.core.list_node().metadata.resource_version
    lab.core.patch_node("w1", {"metadata": {"labels": {"pool": "b"}}})
    events = list(watch.Watch().stream(lab.core.list_node, resource_version=start, label_selector="pool=a", timeout_seconds=1))
    assert [event["type"] for event in events] == ["DELETED"]


def test_watch_from_before_the_log_is_410(lab: Lab) -> None:
    """apiserver storage/cacher: too old resource version."""
    lab.node("w1", 1)
    start = lab.core.list_node().metadata.resource_version
    lab.store.restore(lab.store.snapshot())
    with pytest.raises(ApiException) as caught:
        list(watch.Watch().stream(lab.core.list_node, resource_version=start, timeout_seconds=1))
    assert caught.value.status == 410


# Writing


def test_stale_update_is_409(lab: Lab) -> None:
    """apiserver registry/generic/registry/store.go OptimisticLockErrorMsg."""
    lab.node("w1", 1)
    mine, theirs = lab.core.read_node("w1"), lab.core.read_node("w1")
    theirs.metadata.labels["pool"] = "theirs"
    lab.core.replace_node("w1", theirs)
    mine.metadata.labels["pool"] = "mine"
    code, status = expect_refused(lambda: lab.core.replace_node("w1", mine))
    assert (code, status["reason"]) == (409, "Conflict")
    assert status["message"] == (
        'Operation cannot be fulfilled on nodes "w1": the object has been modified; please apply your changes to the latest version and try again'
    )
    stale = {"metadata": {"resourceVersion": mine.metadata.resource_version, "labels": {"pool": "mine"}}}
    assert expect_refused(lambda: lab.core.patch_node("w1", stale))[0] == 409
    assert lab.core.read_node("w1").metadata.labels["pool"] == "theirs"


def test_patches_in_three_languages(lab: Lab) -> None:
    lab.node("w1", 1, labels={"a": "1"}, taints=[{"key": "x", "effect": "NoSchedule"}])
    before = lab.core.read_node("w1")
    strategic = lab.core.patch_node("w1", {"spec": {"unschedulable": True}, "metadata": {"labels": {"b": "2", "a": None}}})
    assert (strategic.spec.unschedulable, strategic.metadata.labels.get("b"), strategic.metadata.labels.get("a")) == (True, "2", None)
    replaced = lab.core.patch_node("w1", {"spec": {"taints": [{"key": "y", "effect": "NoExecute"}]}})
    assert [x.key for x in replaced.spec.taints] == ["y"], "taints have no merge key: the list is replaced"
    steps = [{"op": "test", "path": "/spec/unschedulable", "value": True}, {"op": "remove", "path": "/spec/unschedulable"}]
    assert lab.core.patch_node("w1", steps).spec.unschedulable is None
    merged = lab.core.patch_node("w1", {"metadata": {"labels": {"c": "3"}}}, _content_type="application/merge-patch+json")
    assert merged.metadata.labels["c"] == "3"
    assert merged.metadata.uid == before.metadata.uid
    assert int(merged.metadata.resource_version) > int(before.metadata.resource_version)


def test_equal_content_is_no_new_version(lab: Lab) -> None:
    lab.node("w1", 1)
    first = lab.core.patch_node("w1", {"spec": {"unschedulable": True}})
    again = lab.core.patch_node("w1", {"spec": {"unschedulable": True}})
    assert again.metadata.resource_version == first.metadata.resource_version


def test_failed_json_patch_test_is_422_and_changes_nothing(lab: Lab) -> None:
    """apiserver handlers/patch.go: a failing test operation is an invalid patch."""
    lab.node("w1", 1)
    steps = [{"op": "add", "path": "/metadata/labels/x", "value": "1"}, {"op": "test", "path": "/metadata/name", "value": "other"}]
    assert expect_refused(lambda: lab.core.patch_node("w1", steps))[0] == 422
    assert "x" not in lab.core.read_node("w1").metadata.labels


def test_unknown_patch_language_is_415(lab: Lab) -> None:
    """apiserver handlers/patch.go: negotiation.NewUnsupportedMediaTypeError."""
    lab.node("w1", 1)
    assert expect_refused(lambda: lab.core.patch_node("w1", {}, _content_type="application/json"))[0] == 415


def test_validation_names_every_wrong_field(lab: Lab) -> None:
    """pkg/apis/core/validation.ValidateNode."""
    lab.node("w1", 1)
    wrong = {"metadata": {"labels": {"bad key!": "v"}}, "spec": {"taints": [{"key": "k", "effect": "Never"}]}}
    code, status = expect_refused(lambda: lab.core.patch_node("w1", wrong))
    assert (code, status["reason"]) == (422, "Invalid")
    assert {(cause["field"], cause["reason"]) for cause in status["details"]["causes"]} == {
        ("metadata.labels", "FieldValueInvalid"),
        ("spec.taints[0].effect", "FieldValueNotSupported"),
    }
    code, status = expect_refused(lambda: lab.core.patch_node("w1", {"spec": {"providerID": "aws:///eu-a/i-other"}}))
    assert (code, status["details"]["causes"][0]["field"]) == (422, "spec.providerID")


def test_wrong_types_are_400_and_unknown_fields_are_dropped(lab: Lab) -> None:
    """apiserver decoding: json: cannot unmarshal; unknown fields are dropped unless fieldValidation is Strict."""
    lab.node("w1", 1)
    code, status = expect_refused(lambda: lab.core.patch_node("w1", {"spec": {"unschedulable": "yes"}}))
    assert (code, status["reason"]) == (400, "BadRequest")
    assert "cannot unmarshal string" in status["message"]
    lab.core.patch_node("w1", {"spec": {"nonsense": 1}})
    assert "nonsense" not in lab.store.node("fargle", "w1")["spec"]


def test_a_status_is_not_changed_through_the_main_resource(lab: Lab) -> None:
    """pkg/registry/core/node/strategy.go PrepareForUpdate."""
    lab.node("w1", 1)
    condition = {"type": "Ready", "status": "False"}
    node = lab.core.patch_node("w1", {"status": {"conditions": [condition]}})
    assert {c.type: c.status for c in node.status.conditions}["Ready"] == "True"
    patched = lab.core.patch_node_status("w1", {"status": {"conditions": [{"type": "Custom", "status": "True"}]}})
    assert {("Custom", "True"), ("Ready", "True")} <= {(c.type, c.status) for c in patched.status.conditions}


def test_creation_refusals(lab: Lab) -> None:
    """apimachinery errors.NewAlreadyExists; ValidateNodeName; namespace lifecycle admission; rest.BeforeCreate."""
    lab.node("w1", 1)
    same = client.V1Node(metadata=client.V1ObjectMeta(name="w1"))
    code, status = expect_refused(lambda: lab.core.create_node(same))
    assert (code, status["reason"], status["message"]) == (409, "AlreadyExists", 'nodes "w1" already exists')
    assert expect_refused(lambda: lab.core.create_node(client.V1Node(metadata=client.V1ObjectMeta(name="Bad_Name"))))[0] == 422
    pod = client.V1Pod(metadata=client.V1ObjectMeta(name="p"), spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="i")]))
    code, status = expect_refused(lambda: lab.core.create_namespaced_pod("nowhere", pod))
    assert (code, status["message"]) == (404, 'namespaces "nowhere" not found')
    pod.metadata.namespace = "other"
    assert expect_refused(lambda: lab.core.create_namespaced_pod("default", pod))[0] == 400


def test_deletion_preconditions(lab: Lab) -> None:
    """apiserver registry/rest/delete.go BeforeDelete."""
    lab.node("w1", 1)
    node = lab.core.read_node("w1")
    wrong_uid = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="other"))
    code, status = expect_refused(lambda: lab.core.delete_node("w1", body=wrong_uid))
    assert (code, status["reason"]) == (409, "Conflict")
    assert f"the UID in the precondition (other) does not match the UID in record ({node.metadata.uid})" in status["message"]
    stale = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=node.metadata.uid, resource_version="1"))
    assert expect_refused(lambda: lab.core.delete_node("w1", body=stale))[0] == 409
    right = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=node.metadata.uid))
    lab.core.delete_node("w1", body=right)
    assert expect_refused(lambda: lab.core.delete_node("w1", body=right))[0] == 404


def test_dry_runs_change_nothing_and_are_not_mutating(lab: Lab) -> None:
    """API concepts, "Dry-run": only All is accepted."""
    lab.node("w1", 1)
    before = lab.cluster.version
    lab.ledger.clear_calls()
    lab.core.patch_node("w1", {"spec": {"unschedulable": True}}, dry_run="All")
    lab.core.delete_node("w1", dry_run="All")
    assert expect_refused(lambda: lab.core.delete_node("w1", dry_run="Some"))[0] == 422
    assert lab.cluster.version == before
    assert [(c.operation, c.mutating, c.detail.get("dry_run")) for c in lab.ledger.calls][:2] == [("patch_nodes", False, True), ("delete_nodes", False, True)]


def test_many_nodes_come_up_together(lab: Lab) -> None:
    """The work of a round grows with the cluster, so rounds must not come one per change: 200 nodes in seconds, not minutes."""
    with lab.cluster.lock:
        seed.running_cluster(lab.cluster)
    rounds = []
    lab.store._changed = functools.partial(KubernetesStore._changed, lab.store)  # type: ignore[method-assign]
    settle = lab.store._settle
    lab.store._settle = lambda cluster: (rounds.append(1), settle(cluster))[1]  # type: ignore[method-assign]
    for number in range(200):
        lab.store.kubelet_register("fargle", f"n{number:03}", f"127.77.10.{number}")
        lab.store.kubelet_ready("fargle", f"n{number:03}")
    found = eventually(
        lambda: lab.core.list_node().items, lambda nodes: all(c.status == "True" for n in nodes for c in n.status.conditions if c.type == "Ready"), 30.0
    )
    assert len(found) == 200 and len(rounds) < 100
    proxies = eventually(lambda: [pod for pod in lab.pods("kube-system") if pod.metadata.name.startswith("kube-proxy")], lambda pods: len(pods) == 200, 30.0)
    assert len({pod.spec.node_name or pod.metadata.name for pod in proxies}) == 200


def test_finalizers_hold_an_object_until_they_are_gone(lab: Lab) -> None:
    lab.node("w1", 1)
    lab.core.patch_node("w1", {"metadata": {"finalizers": ["example.com/hold"]}})
    lab.core.delete_node("w1")
    assert lab.core.read_node("w1").metadata.deletion_timestamp is not None
    lab.core.patch_node("w1", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/hold"]}})
    assert expect_refused(lambda: lab.core.read_node("w1"))[0] == 404


def test_leases_need_the_version_and_two_holders_conflict(lab: Lab) -> None:
    """pkg/registry/coordination/lease/strategy.go: AllowUnconditionalUpdate is false, so an update without a version is 422."""
    spec = client.V1LeaseSpec(holder_identity="one", lease_duration_seconds=60)
    lab.leases.create_namespaced_lease("kube-system", client.V1Lease(metadata=client.V1ObjectMeta(name="lock"), spec=spec))
    mine = lab.leases.read_namespaced_lease("lock", "kube-system")
    theirs = lab.leases.read_namespaced_lease("lock", "kube-system")
    theirs.spec.holder_identity = "two"
    lab.leases.replace_namespaced_lease("lock", "kube-system", theirs)
    mine.spec.holder_identity = "three"
    code, status = expect_refused(lambda: lab.leases.replace_namespaced_lease("lock", "kube-system", mine))
    assert (code, status["message"][:72]) == (409, 'Operation cannot be fulfilled on leases.coordination.k8s.io "lock": the '[:72])
    mine.metadata.resource_version = None
    code, status = expect_refused(lambda: lab.leases.replace_namespaced_lease("lock", "kube-system", mine))
    assert (code, status["details"]["causes"][0]["field"]) == (422, "metadata.resourceVersion")
    mine.spec.lease_duration_seconds = 0
    mine.metadata.resource_version = lab.leases.read_namespaced_lease("lock", "kube-system").metadata.resource_version
    assert expect_refused(lambda: lab.leases.replace_namespaced_lease("lock", "kube-system", mine))[0] == 422


# Pods, scheduling, eviction


def test_pods_land_only_where_they_may_and_the_landing_is_recorded(lab: Lab) -> None:
    lab.web(2)
    assert {pod.spec.node_name for pod in lab.pods()} == {None}
    taint = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    lab.node("gpu", 1, labels={"purpose": "gpu"}, taints=[taint])
    lab.node("cordoned", 2, ready=False)
    lab.core.patch_node("cordoned", {"spec": {"unschedulable": True}})
    lab.store.kubelet_ready("fargle", "cordoned")
    pod = lab.pods()[0]
    reason = next(c for c in pod.status.conditions if c.type == "PodScheduled")
    assert (reason.status, reason.reason) == ("False", "Unschedulable")
    assert "untolerated taint {dedicated: gpu}" in reason.message
    assert "were unschedulable" in reason.message
    lab.node("open", 3, labels={"purpose": "web"})
    running = eventually(lab.pods, lambda pods: all(p.status.phase == "Running" for p in pods))
    assert {pod.spec.node_name for pod in running} == {"open"}
    landings = lab.store.dump()["fargle"]["bindings"]
    assert [(x["node"], x["labels"]["purpose"], x["ready"]) for x in landings] == [("open", "web", True)] * 2


def test_a_daemonset_puts_a_pod_on_every_node_even_a_cordoned_one(lab: Lab) -> None:
    with lab.cluster.lock:
        seed.workload(lab.cluster, DAEMONSETS, "kube-system", "agent", tolerations=seed.EVERYWHERE)
        seed.workload(lab.cluster, DAEMONSETS, "kube-system", "picky")
    lab.node("w1", 1)
    lab.node("w2", 2, taints=[{"key": "dedicated", "effect": "NoSchedule"}])
    lab.core.patch_node("w1", {"spec": {"unschedulable": True}})
    placed = eventually(lambda: lab.pods("kube-system"), lambda pods: len(pods) == 3 and all(p.status.phase == "Running" for p in pods))
    assert sorted((p.metadata.owner_references[0].name, p.spec.node_name) for p in placed) == [("agent", "w1"), ("agent", "w2"), ("picky", "w1")]
    victim = next(p for p in placed if p.spec.node_name == "w2")
    lab.core.delete_namespaced_pod(victim.metadata.name, "kube-system")
    again = eventually(
        lambda: [p for p in lab.pods("kube-system") if p.spec.node_name == "w2"], lambda pods: [p.metadata.uid for p in pods] != [victim.metadata.uid]
    )
    assert len(again) == 1


def test_evicted_pods_are_replaced_elsewhere(lab: Lab) -> None:
    lab.node("w1", 1)
    lab.web(1)
    lab.node("w2", 2)
    pod = eventually(lab.pods, lambda pods: pods[0].status.phase == "Running")[0]
    assert pod.spec.node_name == "w1"
    lab.core.patch_node("w1", {"spec": {"unschedulable": True}})
    assert lab.evict(pod) == 201
    moved = eventually(lab.pods, lambda pods: len(pods) == 1 and pods[0].spec.node_name == "w2" and pods[0].status.phase == "Running")
    assert moved[0].metadata.uid != pod.metadata.uid


def test_a_terminating_pod_takes_its_time_and_a_forced_one_does_not(lab: Lab) -> None:
    lab.ledger.delays["pod.terminating"] = 0.4
    lab.node("w1", 1)
    lab.web(1)
    pod = lab.pods()[0]
    gone = lab.core.delete_namespaced_pod(pod.metadata.name, "shop")
    assert gone.metadata.deletion_grace_period_seconds == 30
    assert lab.core.read_namespaced_pod(pod.metadata.name, "shop").metadata.deletion_timestamp is not None
    began = time.monotonic()
    eventually(lambda: [p.metadata.uid for p in lab.pods()], lambda uids: pod.metadata.uid not in uids)
    assert 0.2 < time.monotonic() - began < 3
    second = lab.pods()[0]
    lab.core.delete_namespaced_pod(second.metadata.name, "shop", grace_period_seconds=0)
    assert second.metadata.uid not in [p.metadata.uid for p in lab.pods()]


def test_a_pod_that_stops_slowly_is_killed_when_its_grace_is_over(lab: Lab) -> None:
    lab.node("w1", 1)
    annotations = {"sandbox/stops-after": "60"}
    container = client.V1Container(name="c", image="i")
    pod = client.V1Pod(metadata=client.V1ObjectMeta(name="slow", annotations=annotations), spec=client.V1PodSpec(containers=[container]))
    lab.core.create_namespaced_pod("default", pod)
    eventually(lambda: lab.pods("default"), lambda found: found[0].status.phase == "Running")
    lab.core.delete_namespaced_pod("slow", "default")
    time.sleep(0.3)
    assert lab.pods("default")[0].metadata.deletion_timestamp is not None
    lab.core.delete_namespaced_pod("slow", "default", grace_period_seconds=1)
    assert lab.pods("default")[0].metadata.deletion_grace_period_seconds == 1
    eventually(lambda: lab.pods("default"), lambda found: not found)


def test_c1_a_budget_refuses_with_429_and_names_itself(lab: Lab) -> None:
    """pkg/registry/core/pod/storage/eviction.go checkAndDecrement."""
    lab.node("w1", 1)
    lab.web(2, minAvailable=2)
    pods = eventually(lab.pods, lambda found: all(p.status.phase == "Running" for p in found))
    code, status = expect_refused(lambda: lab.evict(pods[0]))
    assert (code, status["reason"]) == (429, "TooManyRequests")
    assert status["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert status["details"]["causes"] == [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 2 healthy pods and has 2 currently"}]
    lab.core.delete_namespaced_pod(pods[0].metadata.name, "shop")


def test_c3_a_budget_that_allows_one_lets_the_next_go_when_the_replacement_is_ready(lab: Lab) -> None:
    lab.node("w1", 1)
    lab.web(2, maxUnavailable=1)
    lab.node("w2", 2)
    first, second = eventually(lab.pods, lambda found: all(p.status.phase == "Running" for p in found))
    lab.ledger.delays["pod.start"] = 0.3
    lab.core.patch_node("w1", {"spec": {"unschedulable": True}})
    lab.evict(first)
    assert expect_refused(lambda: lab.evict(second))[0] == 429
    budget = lab.policy.read_namespaced_pod_disruption_budget("web", "shop")
    assert (budget.status.desired_healthy, budget.status.disruptions_allowed) == (1, 0)
    eventually(lambda: lab.policy.read_namespaced_pod_disruption_budget("web", "shop").status.disruptions_allowed, lambda allowed: allowed == 1)
    assert lab.evict(second) == 201


def test_c1b_two_budgets_are_500(lab: Lab) -> None:
    """pkg/registry/core/pod/storage/eviction.go: more than one PodDisruptionBudget is not supported (code 500, no reason)."""
    lab.node("w1", 1)
    lab.web(1, maxUnavailable=1)
    with lab.cluster.lock:
        seed.budget(lab.cluster, "shop", "second", app="web", maxUnavailable=1)
    pod = eventually(lab.pods, lambda found: all(p.status.phase == "Running" for p in found))[0]
    code, status = expect_refused(lambda: lab.evict(pod))
    assert (code, status["message"]) == (500, "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")
    assert "reason" not in status


def test_eviction_refusals_and_exceptions(lab: Lab) -> None:
    """eviction.go: name mismatch 400, missing pod 404, preconditions 409; pods that do not run have no budget to break."""
    lab.node("w1", 1)
    lab.web(1, minAvailable=1)
    pod = eventually(lab.pods, lambda found: all(p.status.phase == "Running" for p in found))[0]
    other = client.V1Eviction(metadata=client.V1ObjectMeta(name="other"))
    code, status = expect_refused(lambda: lab.core.create_namespaced_pod_eviction(pod.metadata.name, "shop", other))
    assert (code, status["message"]) == (400, "name in URL does not match name in Eviction object")
    missing = client.V1Eviction(metadata=client.V1ObjectMeta(name="missing"))
    assert expect_refused(lambda: lab.core.create_namespaced_pod_eviction("missing", "shop", missing))[0] == 404
    lab.core.patch_node("w1", {"spec": {"unschedulable": True}})
    lab.core.delete_namespaced_pod(pod.metadata.name, "shop")
    pending = eventually(lab.pods, lambda found: [p.metadata.uid for p in found] != [pod.metadata.uid] and len(found) == 1)[0]
    wrong = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="not-this"))
    assert expect_refused(lambda: lab.evict(pending, delete_options=wrong))[0] == 409
    assert lab.evict(pending) == 201


def test_dry_run_of_an_eviction_asks_the_budget_and_evicts_nothing(lab: Lab) -> None:
    lab.node("w1", 1)
    lab.web(1, maxUnavailable=1)
    pod = eventually(lab.pods, lambda found: all(p.status.phase == "Running" for p in found))[0]
    lab.evict(pod, dry_run="All")
    budget = lab.policy.read_namespaced_pod_disruption_budget("web", "shop")
    assert budget.status.disruptions_allowed == 1
    assert lab.pods()[0].metadata.deletion_timestamp is None
    lab.policy.patch_namespaced_pod_disruption_budget("web", "shop", {"spec": {"maxUnavailable": 0}})
    eventually(lambda: lab.policy.read_namespaced_pod_disruption_budget("web", "shop").status.disruptions_allowed, lambda allowed: allowed == 0)
    assert expect_refused(lambda: lab.evict(pod, dry_run="All"))[0] == 429


def test_static_pods_of_a_control_plane_come_back(lab: Lab) -> None:
    control_plane = "node-role.kubernetes.io/control-plane"
    lab.node("cp1", 1, labels={control_plane: ""}, taints=[{"key": control_plane, "effect": "NoSchedule"}])
    pods = eventually(lambda: lab.pods("kube-system"), lambda found: len(found) == 3 and all(p.status.phase == "Running" for p in found))
    first = next(pod for pod in pods if pod.metadata.name == "kube-apiserver-cp1")
    assert "kubernetes.io/config.mirror" in first.metadata.annotations
    assert first.metadata.owner_references[0].kind == "Node"
    lab.evict(first)
    eventually(lambda: [p.metadata.uid for p in lab.pods("kube-system")], lambda uids: first.metadata.uid not in uids and len(uids) == 3)
    lab.core.delete_node("cp1")
    eventually(lambda: lab.pods("kube-system"), lambda found: not found)


def test_objects_without_a_spec_break_nothing(lab: Lab) -> None:
    lab.node("w1", 1)
    node = lab.core.read_node("w1")
    node.spec = None
    assert expect_refused(lambda: lab.core.replace_node("w1", node))[0] == 422, "the providerID may not go"
    lab.core.create_node(client.V1Node(metadata=client.V1ObjectMeta(name="bare")))
    lab.policy.create_namespaced_pod_disruption_budget("default", {"metadata": {"name": "empty"}})
    code, answer = lab.raw("POST", "/apis/storage.k8s.io/v1/volumeattachments", b'{"metadata": {"name": "empty"}}')
    assert code == 422
    assert {cause["field"] for cause in json.loads(answer)["details"]["causes"]} == {"spec.attacher", "spec.nodeName", "spec.source"}
    lab.web(1)
    eventually(lab.pods, lambda pods: pods[0].status.phase == "Running")


# Volumes


def stateful(lab: Lab) -> None:
    with lab.cluster.lock:
        seed.namespace(lab.cluster, "shop")
    volume = client.V1PersistentVolume(
        metadata=client.V1ObjectMeta(name="pv-1"),
        spec=client.V1PersistentVolumeSpec(
            csi=client.V1CSIPersistentVolumeSource(driver="ebs.csi.aws.com", volume_handle="vol-1"), capacity={"storage": "1Gi"}
        ),
    )
    lab.core.create_persistent_volume(volume)
    spec = client.V1PersistentVolumeClaimSpec(access_modes=["ReadWriteOnce"], volume_name="pv-1")
    lab.core.create_namespaced_persistent_volume_claim("shop", client.V1PersistentVolumeClaim(metadata=client.V1ObjectMeta(name="data"), spec=spec))
    with lab.cluster.lock:
        seed.workload(lab.cluster, STATEFULSETS, "shop", "db", extra={"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]})
    lab.store.settle("fargle")


def attachments(lab: Lab) -> list[tuple[str, str]]:
    return [(item.spec.node_name, item.spec.source.persistent_volume_name) for item in lab.storage.list_volume_attachment().items]


def test_c8_a_volume_follows_its_pod_after_a_while(lab: Lab) -> None:
    lab.ledger.delays["volume.detach"] = 0.4
    lab.node("w1", 1)
    stateful(lab)
    pod = eventually(lab.pods, lambda found: all(p.status.phase == "Running" for p in found))[0]
    assert (pod.metadata.name, attachments(lab)) == ("db-0", [("w1", "pv-1")])
    lab.node("w2", 2)
    lab.core.patch_node("w1", {"spec": {"unschedulable": True}})
    lab.evict(pod)
    replaced = eventually(lab.pods, lambda found: len(found) == 1 and found[0].metadata.uid != pod.metadata.uid)[0]
    assert replaced.metadata.name == "db-0"
    assert attachments(lab) == [("w1", "pv-1")], "still attached to the old node, so the new pod waits"
    assert lab.pods()[0].status.phase == "Pending"
    eventually(lab.pods, lambda found: found[0].status.phase == "Running")
    assert attachments(lab) == [("w2", "pv-1")]


def test_a_claim_gets_a_volume_that_goes_with_it(lab: Lab) -> None:
    lab.node("w1", 1)
    with lab.cluster.lock:
        seed.namespace(lab.cluster, "shop")
    wanted = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Gi"}}}}
    lab.core.create_namespaced_persistent_volume_claim("shop", wanted)
    claim = eventually(lambda: lab.core.read_namespaced_persistent_volume_claim("data", "shop"), lambda c: c.status is not None and c.status.phase == "Bound")
    volume = lab.core.read_persistent_volume(claim.spec.volume_name)
    assert (volume.spec.csi.driver, volume.spec.capacity) == ("ebs.csi.aws.com", {"storage": "8Gi"})
    lab.core.delete_namespaced_persistent_volume_claim("data", "shop")
    eventually(lambda: lab.core.list_persistent_volume().items, lambda volumes: not volumes)


def test_the_end_of_the_vm_frees_its_volumes(lab: Lab) -> None:
    lab.node("w1", 1)
    stateful(lab)
    eventually(lambda: attachments(lab), bool)
    lab.store.kubelet_ready("fargle", "w1", False)
    time.sleep(0.2)
    assert attachments(lab) == [("w1", "pv-1")], "a silent node may still write"
    lab.store.kubelet_gone("fargle", "w1")
    eventually(lambda: attachments(lab), lambda found: not found)


# Access, faults, the part as a whole


def test_strangers_are_401_and_the_powerless_403(lab: Lab) -> None:
    """Talos starts the API server with anonymous-auth=false; authorization: k8s.io/apiserver .../responsewriters/errors.go Forbidden."""
    assert expect_refused(lambda: client.CoreV1Api(lab.client(None)).list_node())[0] == 401
    port = free_port()
    other = pki.kubernetes_pki("barney")
    lab.store.add_cluster("barney", ADDRESS, other, port=port)
    code, status = expect_refused(lambda: client.CoreV1Api(lab.client(other.admin)).list_node())
    assert (code, status["message"]) == (401, "Unauthorized")
    viewer = pki.issue(lab.secrets.ca, common_name="viewer", organizations=["viewers"], client=True)
    reader = client.CoreV1Api(lab.client(viewer))
    code, status = expect_refused(lambda: reader.delete_node("w1"))
    assert code == 403
    assert status["message"] == 'nodes "w1" is forbidden: User "viewer" cannot delete resource "nodes" in API group "" at the cluster scope'
    rbac = client.RbacAuthorizationV1Api(lab.api)
    rule = client.V1PolicyRule(api_groups=[""], resources=["nodes"], verbs=["get", "list"])
    rbac.create_cluster_role(client.V1ClusterRole(metadata=client.V1ObjectMeta(name="view"), rules=[rule]))
    binding = client.V1ClusterRoleBinding(
        metadata=client.V1ObjectMeta(name="view"),
        role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name="view"),
        subjects=[client.RbacV1Subject(kind="Group", name="viewers")],
    )
    rbac.create_cluster_role_binding(binding)
    assert reader.list_node().items == []
    assert expect_refused(lambda: reader.list_pod_for_all_namespaces())[0] == 403

    def may(verb: str) -> bool:
        asked = client.V1ResourceAttributes(verb=verb, resource="nodes")
        review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=asked))
        return bool(client.AuthorizationV1Api(lab.client(viewer)).create_self_subject_access_review(review).status.allowed)

    assert (may("list"), may("delete")) == (True, False)


def test_a_server_of_another_authority_is_not_trusted(lab: Lab) -> None:
    stranger = pki.kubernetes_pki("barney")
    with pytest.raises(urllib3.exceptions.MaxRetryError, match="CERTIFICATE_VERIFY_FAILED"):
        client.CoreV1Api(lab.client(lab.secrets.admin, ca=stranger.ca.crt)).list_node()


def test_version_health_and_discovery(lab: Lab) -> None:
    assert client.VersionApi(lab.api).get_code().git_version.startswith("v1.34")
    for path in ("/livez", "/readyz"):
        assert lab.raw("GET", path) == (200, b"ok")
    assert "v1" in client.CoreApi(lab.api).get_api_versions().versions
    names = {resource.name for resource in lab.core.get_api_resources().resources}
    assert {"nodes", "pods", "pods/eviction", "nodes/status"} <= names
    groups = {group.name for group in client.ApisApi(lab.api).get_api_versions().groups}
    assert {"policy", "coordination.k8s.io", "storage.k8s.io", "apps"} <= groups


def test_unknown_paths_and_verbs(lab: Lab) -> None:
    """apiserver endpoints: 404 "the server could not find the requested resource", 405 MethodNotAllowed."""
    code, status = expect_refused(lambda: client.CustomObjectsApi(lab.api).list_cluster_custom_object("example.com", "v1", "things"))
    assert (code, status["message"]) == (404, "the server could not find the requested resource")
    assert lab.raw("PUT", "/api/v1/nodes")[0] == 405


def test_faults_and_operation_names(lab: Lab) -> None:
    lab.node("w1", 1)
    lab.ledger.clear_calls()
    lab.ledger.faults = [Fault("error", "kubernetes", "list_nodes", [1]), Fault("throttle", "kubernetes", "create_nodes")]
    assert expect_refused(lab.core.list_node)[0] == 500
    with pytest.raises(ApiException) as caught:
        lab.core.create_node(client.V1Node(metadata=client.V1ObjectMeta(name="w2")))
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, "1")
    lab.ledger.faults = [Fault("lost_reply", "kubernetes", "patch_nodes")]
    with pytest.raises(urllib3.exceptions.HTTPError):
        lab.core.patch_node("w1", {"spec": {"unschedulable": True}})
    lab.ledger.faults = [Fault("timeout", "kubernetes", "delete_nodes", seconds=0.1)]
    with pytest.raises(urllib3.exceptions.HTTPError):
        lab.core.delete_node("w1")
    lab.ledger.faults = []
    assert lab.core.read_node("w1").spec.unschedulable is True
    calls = [(call.operation, call.mutating, call.status) for call in lab.ledger.calls]
    assert calls == [
        ("list_nodes", False, "500"),
        ("create_nodes", True, "429"),
        ("patch_nodes", True, "no answer"),
        ("delete_nodes", True, "no answer"),
        ("get_nodes", False, "200"),
    ]
    assert lab.ledger.calls[2].detail == {"cluster": "fargle", "name": "w1", "patch": {"spec": {"unschedulable": True}}}


def test_snapshot_and_restore(lab: Lab) -> None:
    with lab.cluster.lock:
        seed.running_cluster(lab.cluster)
    lab.node("w1", 1)
    eventually(lambda: lab.core.list_pod_for_all_namespaces().items, lambda pods: all(p.status.phase == "Running" for p in pods))
    before, saved = lab.store.dump(), lab.store.snapshot()
    lab.core.delete_node("w1")
    lab.node("w2", 2)
    assert lab.store.dump() != before
    lab.store.restore(saved)
    assert lab.store.dump() == before
    assert [node.metadata.name for node in lab.core.list_node().items] == ["w1"]


def test_ingress_is_ready_only_where_its_pod_is(lab: Lab) -> None:
    for number in (1, 2, 3):
        lab.node(f"w{number}", number)
    with lab.cluster.lock:
        seed.running_cluster(lab.cluster, ingress_everywhere=False)
    lab.store.settle("fargle")
    eventually(lambda: lab.pods("ingress-nginx"), lambda pods: all(p.status.phase == "Running" for p in pods))
    lab.node("w4", 4)
    assert sum(lab.store.ingress_ready("fargle", f"w{number}") for number in range(1, 5)) == 2
    assert lab.store.ingress_ready("fargle", "w4") is False


def test_a_deleted_namespace_empties_first(lab: Lab) -> None:
    lab.node("w1", 1)
    lab.web(1)
    lab.core.delete_namespace("shop")
    eventually(lambda: [n.metadata.name for n in lab.core.list_namespace().items], lambda names: "shop" not in names)
    assert lab.core.list_pod_for_all_namespaces().items == []


def test_deleting_a_deployment_takes_its_pods(lab: Lab) -> None:
    lab.node("w1", 1)
    lab.web(2)
    client.AppsV1Api(lab.api).delete_namespaced_deployment("web", "shop", propagation_policy="Foreground")
    eventually(lab.pods, lambda pods: not pods)
    assert client.AppsV1Api(lab.api).list_namespaced_replica_set("shop").items == []
    assert client.AppsV1Api(lab.api).list_namespaced_deployment("shop").items == []
