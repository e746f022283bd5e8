# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is who: what EC2, target groups, Kubernetes, etcd and DNS know is put to the node it is about."""

from __future__ import annotations

import typing as t

from ansible_collections.k8s_cluster.manager.plugins.plugin_utils import _observation

Record = dict[str, t.Any]


def vm(name: str, address: str, role: str = "worker", instance_id: str = "", **more: t.Any) -> Record:
    cluster = {"Cluster": more.pop("cluster", "c")}
    return {
        "name": name,
        "role": role,
        "instance_id": instance_id or f"i-{name}",
        "private_ip": address,
        "public_ip": None,
        "state": "running",
        "instance_type": "m5.large",
        "tags": cluster,
        **more,
    }


def node(name: str, address: str = "", provider_id: str = "", **more: t.Any) -> Record:
    base = {"node_name": name, "uid": f"uid-{name}", "labels": {}, "os_image": "Talos (v1.11.3)", "kubelet_version": "v1.34.1", "ready": True}
    return {**base, "address": address, "provider_id": provider_id, **more}


def member(name: str, *addresses: str, member_id: str = "a1") -> Record:
    return {"id": member_id, "hostname": name, "addresses": list(addresses), "learner": False, "healthy": True}


def group(*targets: str, kind: str = "ingress", name: str = "web") -> Record:
    shown = {"port": 443, "state": "healthy", "reason": "", "description": ""}
    return {"name": name, "arn": f"arn:{name}", "kind": kind, "targets": [{"id": target, **shown} for target in targets]}


def record(name: str, content: str, marked: str = "") -> Record:
    return {"id": f"id-{name}-{content}", "name": f"{name}.example.com", "content": content, "node": marked, "ours": bool(marked)}


WORKER, PLANE = vm("w-1", "10.0.0.1"), vm("cp-1", "10.0.0.5", "controlplane")


def rows(instances: t.Sequence[Record] = (WORKER, PLANE), details: Record | None = None, **known: t.Any) -> dict[str, Record]:
    return {row["name"]: row for row in _observation.cluster_nodes(instances, details or {}, **known)}


def test_what_everybody_knows_of_a_node_is_one_row() -> None:
    volumes = [{"id": "vol-1", "type": "gp3", "size_gb": 10, "iops": 3000, "throughput": 125}]
    details = {
        "instances": [{"instance_id": "i-w-1", "status": "ok", "volumes": volumes}],
        "instance_types": [{"instance_type": "m5.large", "vcpus": 2, "memory_mib": 8192}],
        "machines": [],
    }
    seen = {"name": "w-1", "address": "10.0.0.1", "was": "configured", "stage": "running", "talos_version": "v1.11.3", "drift": True, "seen": "", "digest": "x"}
    found = rows(
        details=details,
        nodes=[node("w-1.example.com", "10.0.0.1", labels={"purpose": "gpu"}), node("cp-1", "10.0.0.5")],
        members=[member("cp-1", "10.0.0.5")],
        target_groups=[group("i-w-1"), group("10.0.0.5", kind="apiserver", name="api")],
        records=[record("w-1", "10.0.0.1", "w-1")],
        talos=[seen],
    )
    assert list(found) == ["cp-1", "w-1"]
    worker, plane = found["w-1"], found["cp-1"]
    assert (worker["status"], worker["vcpus"], worker["memory_mib"], worker["volumes"], worker["purpose"]) == ("ok", 2, 8192, volumes, "gpu")
    assert (worker["node"]["talos_version"], worker["node"]["kubelet_version"], worker["member"]) == ("v1.11.3", "v1.34.1", None)
    assert worker["talos"] == {"was": "configured", "stage": "running", "talos_version": "v1.11.3", "drift": True, "seen": ""}
    assert [(target["group"], target["kind"], target["state"]) for target in worker["targets"]] == [("web", "ingress", "healthy")]
    assert [one["content"] for one in worker["records"]] == ["10.0.0.1"]
    assert (plane["member"]["id"], [target["group"] for target in plane["targets"]], plane["records"], plane["talos"]) == ("a1", ["api"], [], None)


def test_whether_a_node_drifts_whose_purpose_nobody_knows_is_unknown() -> None:
    seen = {"name": "w-1", "address": "10.0.0.1", "was": "configured", "stage": "running", "talos_version": "", "seen": ""}
    drifts = {drift: rows(talos=[{**seen, "drift": drift}])["w-1"]["talos"]["drift"] for drift in (True, False, None)}
    assert drifts == {True: None, False: False, None: None}


def test_a_node_is_outdated_where_it_is_not_as_it_would_be_made_now() -> None:
    instances = [
        vm("w-1", "10.0.0.1", image_id="ami-old"),
        vm("w-2", "10.0.0.2", image_id="ami-new"),
        vm("cp-1", "10.0.0.5", "controlplane", image_id="ami-old"),
    ]
    details = {"images": [{"id": "ami-new", "talos_version": "v1.12.0"}]}
    seen = {"was": "configured", "stage": "running", "talos_version": "", "seen": ""}
    talos = [{"name": f"w-{number}", "address": f"10.0.0.{number}", "drift": number == 2, **seen} for number in (1, 2)]
    nodes = [node("w-1", "10.0.0.1"), node("w-2", "10.0.0.2", os_image="Talos (v1.12.0)")]
    found = rows(instances, details, nodes=nodes, talos=talos, inputs={"worker": {"image_id": "ami-new", "instance_type": "m5.large"}})
    assert {name: row["outdated"] for name, row in found.items()} == {
        "cp-1": {"image": None, "instance_type": None, "talos_version": None, "machine_config": None},
        "w-1": {"image": True, "instance_type": False, "talos_version": True, "machine_config": False},
        "w-2": {"image": False, "instance_type": False, "talos_version": False, "machine_config": True},
    }


def test_rows_are_in_the_order_of_their_numbers_control_planes_first() -> None:
    instances = [vm("w-10", "10.0.0.10"), vm("w-9", "10.0.0.9"), vm("x", "10.0.0.3", ""), PLANE]
    assert list(rows(instances)) == ["cp-1", "w-9", "w-10", "x"]


def test_what_is_left_of_a_node_is_one_row_without_a_vm() -> None:
    found = rows(
        nodes=[node("cp-9.example.com", "10.0.0.9", "aws:///eu-central-1a/i-gone", labels={"node-role.kubernetes.io/control-plane": ""})],
        members=[member("cp-9", "10.0.0.9")],
        target_groups=[group("i-gone", "10.0.0.9", kind="apiserver")],
        records=[record("cp-9", "10.0.0.9", "cp-9")],
    )
    left = found["cp-9"]
    assert len(found) == 3
    assert (left["instance_id"], left["last_instance_id"], left["address"], left["role"], left["cluster"]) == ("", "i-gone", "10.0.0.9", "controlplane", "")
    assert (left["node"]["uid"], left["member"]["id"], len(left["targets"]), len(left["records"])) == ("uid-cp-9.example.com", "a1", 2, 1)


def test_a_node_of_an_earlier_machine_is_not_the_new_ones_though_name_and_address_are() -> None:
    found = _observation.cluster_nodes([WORKER], {}, nodes=[node("w-1", "10.0.0.1", "aws:///z/i-before")])
    assert [(row["name"], row["instance_id"], row["node"] is not None) for row in found] == [("w-1", "", True), ("w-1", "i-w-1", False)]


def test_of_two_nodes_at_one_address_the_vms_own_is_that_of_its_name() -> None:
    found = _observation.cluster_nodes([WORKER], {}, nodes=[node("w-0", "10.0.0.1"), node("w-1", "10.0.0.1")])
    assert {(row["instance_id"], row["node"]["node_name"]) for row in found} == {("", "w-0"), ("i-w-1", "w-1")}


def test_of_two_nodes_with_one_provider_id_none_is_lost() -> None:
    found = _observation.cluster_nodes([WORKER], {}, nodes=[node("w-0", "10.0.0.1", "aws:///z/i-w-1"), node("w-1", "10.0.0.1", "aws:///z/i-w-1")])
    assert {(row["instance_id"], row["node"]["node_name"]) for row in found} == {("", "w-0"), ("i-w-1", "w-1")}


def test_a_node_without_an_address_is_known_by_its_name() -> None:
    found = rows(nodes=[node("w-1"), node("w-2")])
    assert (found["w-1"]["instance_id"], found["w-2"]["instance_id"]) == ("i-w-1", "")


def test_a_member_is_no_worker_though_it_has_its_address() -> None:
    found = rows(members=[member("cp-3", "10.0.0.1")])
    assert (found["w-1"]["member"], found["cp-3"]["instance_id"], found["cp-3"]["role"]) == (None, "", "controlplane")


def test_a_member_that_never_started_has_its_id_for_a_name() -> None:
    assert rows(members=[member("", "10.0.0.77")])["a1"]["member"]["addresses"] == ["10.0.0.77"]


def test_a_target_of_nothing_has_its_id_for_a_name() -> None:
    found = rows(target_groups=[group("i-nothing", "10.0.0.99")])
    assert (found["i-nothing"]["last_instance_id"], found["10.0.0.99"]["address"]) == ("i-nothing", "10.0.0.99")


def test_a_record_goes_to_the_vm_that_it_points_to_others_records_nowhere_else() -> None:
    twins = [vm("w-1", "10.0.0.1", instance_id="i-a"), vm("w-1", "10.0.0.2", instance_id="i-b")]
    found = _observation.cluster_nodes(twins, {}, records=[record("w-1", "10.0.0.2", "w-1"), record("w-1", "10.9.9.9"), record("mail", "10.0.0.1")])
    assert [(row["instance_id"], [one["content"] for one in row["records"]]) for row in found] == [("i-a", []), ("i-b", ["10.0.0.2"])]


def test_a_marked_record_of_another_address_is_still_the_nodes() -> None:
    assert [one["content"] for one in rows(records=[record("w-1", "10.9.9.9", "w-1")])["w-1"]["records"]] == ["10.9.9.9"]


def test_a_vm_without_the_tag_in_the_clusters_places_has_a_row_with_the_tag_that_it_has() -> None:
    untagged, foreign = vm("w-7", "10.0.0.7", tags={}), vm("w-8", "10.0.0.8", cluster="barney")
    details = {"machines": [untagged, foreign, WORKER]}
    found = rows(details=details, nodes=[node("w-7", "10.0.0.7")], target_groups=[group("i-w-8", "i-w-1")])
    assert {name: row["cluster"] for name, row in found.items()} == {"cp-1": "c", "w-1": "c", "w-7": "", "w-8": "barney"}
    assert (found["w-7"]["instance_id"], found["w-7"]["node"]["uid"], len(found["w-8"]["targets"])) == ("i-w-7", "uid-w-7", 1)


def test_strange_machines_are_those_that_others_know() -> None:
    groups = [group("i-w-1", "i-9", "10.0.0.9")]
    members, nodes = [member("cp-1", "10.0.0.5"), member("cp-2", "10.0.0.6")], [node("w-7", "10.0.0.7", "aws:///z/i-7"), node("w-1", "10.0.0.1"), node("x")]
    assert _observation.strange_machines([WORKER, PLANE], groups, members, nodes) == ["i-9", "10.0.0.9", "10.0.0.6", "i-7", "10.0.0.7"]


def test_traits_are_those_of_all_and_the_purpose() -> None:
    taint = {"key": "a", "value": "b", "effect": "NoExecute"}
    gpu = {"key": "purpose", "value": "gpu", "effect": "NoSchedule"}
    found = _observation.node_traits([node("w-1.example.com", labels={"purpose": "gpu", "x": "y"}), node("w-2")], {"team": "a"}, [taint])
    assert found == [
        {"name": "w-1", "labels": {"team": "a", "purpose": "gpu"}, "taints": [taint, gpu]},
        {"name": "w-2", "labels": {"team": "a"}, "taints": [taint]},
    ]
