# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine configs of nodes that run are changed: nothing where nothing differs, one node at a time where one reboots, and no client notices."""

from __future__ import annotations

import collections
import json
import typing as t

import pytest
import yaml
from kubernetes import client
from kubernetes.config import new_client_from_config_dict

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .kills import killed_after
from .playbooks import Run, play, succeed
from .probe import traffic
from .scenes import secret
from .test_replace import REPEATED, leases, nodes, serving
from .test_roll import PLANES, WORKERS, watched
from .test_traffic import FLOOR, PROPAGATION, RATE, listeners

pytestmark = pytest.mark.slow

# Made by another tool, so that it serves on ports of its own; a pod of a shop runs on it.
NAME = "fargle-worker-4"
# What changing a node asks for one node at a time; all else is asked for all of them, or repeated while it is waited for.
PER_NODE = {"talos.ApplyConfiguration": 2, "talos.Version": 2, "talos.Read": 3}
KUBELET = {"machine": {"kubelet": {"extraArgs": {"rotate-server-certificates": "true"}}}}
SYSCTLS = {"machine": {"sysctls": {"vm.max_map_count": "262144"}}}
# What the seeded nodes have, by role, and what takes a reboot beside it.
PATCHES = {"worker": [KUBELET], "controlplane": [KUBELET, SYSCTLS]}
UDEV = {"machine": {"udev": {"rules": ['SUBSYSTEM=="drm", GROUP="44"']}}}
LIVE = {"machine": {"sysctls": {"net.core.somaxconn": "65535"}}}


def patched(role: str, *patches: t.Any) -> dict[str, t.Any]:
    """The words by which a role's inputs are others than those that its nodes were made of."""
    return {"cluster_patch": json.dumps([*PATCHES[role], *patches])}


def change(cloud: RunningSandbox, *arguments: str, **words: t.Any) -> Run:
    return play(cloud.env, "apply_changes.yml", *arguments, cluster="fargle", **words)


def told(run: Run) -> dict[str, t.Any]:
    return next(task["msg"] for task in run.tasks if task["task"].endswith("Show what was changed"))


def boots(cloud: RunningSandbox) -> dict[str, str]:
    return {node["name"]: node["boot"] for node in cloud.control.world()["talos"]["nodes"] if node["cluster"] == "fargle"}


def test_where_nothing_differs_nothing_is_called_that_changes_anything(cloud: RunningSandbox) -> None:
    before = worldview.facts(cloud.control.world())
    for arguments in (("--check",), ()):
        run = succeed(change(cloud, *arguments, role="all"))
        assert run.changed == 0
        assert "Nothing differs." in run.output
    assert cloud.control.mutating() == []
    assert worldview.facts(cloud.control.world()) == before


def test_check_mode_says_the_order_and_changes_nothing(cloud: RunningSandbox) -> None:
    before = worldview.facts(cloud.control.world())
    run = succeed(change(cloud, "--check", "--diff", role="worker", **patched("worker", UDEV)))
    order = "; then ".join(f"fargle-worker-{number} (reboot for machine.udev)" for number in (1, 2, 3, 10, 4))
    assert f"In this order: {order}." in run.output
    assert run.output.count("\n+    udev:\n") == WORKERS
    assert "WARNING]: The loop" not in run.output
    assert cloud.control.mutating() == []
    assert worldview.facts(cloud.control.world()) == before


def test_what_needs_no_reboot_is_changed_in_all_workers_at_once(cloud: RunningSandbox) -> None:
    before, were = boots(cloud), serving(cloud)
    run = succeed(change(cloud, role="worker", **patched("worker", LIVE)))
    # The fourth serves in fewer target groups.
    order = "fargle-worker-1, fargle-worker-2, fargle-worker-3, fargle-worker-10 (no reboot); then fargle-worker-4 (no reboot)"
    assert f"In this order: {order}." in run.output
    assert (boots(cloud), serving(cloud)) == (before, were)
    assert [call for call in cloud.control.mutating() if "leases" not in call] == ["talos.ApplyConfiguration"] * WORKERS
    assert set(told(run)["changed"].values()) == {"changed"}
    assert succeed(change(cloud, role="worker", **patched("worker", LIVE))).changed == 0


def test_a_node_that_reboots_is_out_of_service_meanwhile_and_back_in_it(cloud: RunningSandbox) -> None:
    """Also on the ports on which it was, which are not its target groups'."""
    before, were = boots(cloud), nodes(cloud)[NAME]
    run = succeed(change(cloud, nodes=NAME, **patched("worker", UDEV)))
    assert nodes(cloud)[NAME] == were
    after = boots(cloud)
    assert {name for name in after if after[name] != before[name]} == {NAME}
    assert told(run) == {"operation": "apply_changes", "changed": {NAME: "rebooted"}, "left": [], "same": []}
    assert leases(cloud) == []
    order = ["kubernetes.patch_nodes", "elbv2.DeregisterTargets", "talos.ApplyConfiguration", "kubernetes.patch_nodes", "elbv2.RegisterTargets"]
    assert ordered(cloud) == order
    assert succeed(change(cloud, nodes=NAME, **patched("worker", UDEV))).changed == 0


def ordered(cloud: RunningSandbox) -> list[str]:
    """The calls that changed something, without those about leases, those about pods, which may be on any node, and repetitions in a row."""
    calls = [call for call in cloud.control.mutating() if not ("leases" in call or "eviction" in call)]
    return [call for place, call in enumerate(calls) if place == 0 or calls[place - 1] != call]


def test_no_client_notices_and_etcd_keeps_its_quorum(cloud: RunningSandbox) -> None:
    before, were = boots(cloud), serving(cloud)
    names = [f"fargle-controlplane-{number}" for number in (1, 2, 3)] + ["fargle-worker-2", NAME]
    cloud.control.delays({"elb.propagate": PROPAGATION})
    with traffic(listeners(cloud.control.world())) as clients, watched(cloud) as least:
        run = succeed(change(cloud, nodes=names, apply_changes_traffic_floor=FLOOR, timeout=900, **patched("controlplane", UDEV)))
    print(least, {name: (round(clients.rates[name], 1), one["outcomes"]) for name, one in clients.found.items()})
    assert told(run)["changed"] == dict.fromkeys(names, "rebooted")
    after = boots(cloud)
    assert {name for name in after if after[name] != before[name]} == set(names)
    assert serving(cloud) == were
    assert clients.failures == {}
    assert min(clients.rates.values()) >= RATE, clients.rates
    assert least.looks > 30
    assert least.voters == PLANES
    # A look may fall between the registrations in two target groups.
    assert least.workers >= WORKERS - 1


def test_killed_three_times_it_ends_the_same(cloud: RunningSandbox) -> None:
    """Out of service, rebooting by a change that it has taken, and after that, when nothing differs any more."""
    before, were = boots(cloud), nodes(cloud)[NAME]
    words = {"cluster": "fargle", "nodes": NAME, **patched("worker", UDEV)}
    for call in ("elbv2.DeregisterTargets", "talos.ApplyConfiguration", "elbv2.RegisterTargets"):
        assert killed_after(cloud, "apply_changes.yml", 1, *call.split("."), **words) == call
    succeed(change(cloud, nodes=NAME, **patched("worker", UDEV)))
    assert nodes(cloud)[NAME] == were
    assert boots(cloud)[NAME] != before[NAME]
    assert cloud.control.mutating().count("talos.ApplyConfiguration") == 1
    assert leases(cloud) == []


def test_a_node_that_does_not_come_back_stops_the_run(cloud: RunningSandbox) -> None:
    """The others serve on, and when the trouble is over the same command goes on from there."""
    were = nodes(cloud)
    cloud.control.delays({"talos.boot": 12.0})
    words: dict[str, t.Any] = {"nodes": ["fargle-worker-2", "fargle-worker-3"], **patched("worker", UDEV)}
    run = change(cloud, apply_changes_wait_timeout=5, **words)
    assert run.code != 0
    assert "fargle-worker-2: " in run.message and "not done within 5 s; last seen: the Talos API does not answer" in run.message
    assert "fargle-worker-2, fargle-worker-3 are not changed yet, or not back in service; the same command goes on from here." in run.output
    assert nodes(cloud)["fargle-worker-3"] == were["fargle-worker-3"]
    (lease,) = leases(cloud)
    assert "holderIdentity" not in lease["spec"]
    assert json.loads(lease["metadata"]["annotations"]["k8s-cluster-manager/unfinished"]).keys() == {"fargle-worker-2"}
    cloud.control.delays({"talos.boot": 0.1})
    # Another command finishes it, too.
    run = succeed(change(cloud, nodes="fargle-worker-3", **patched("worker", UDEV)))
    assert told(run)["changed"] == {"fargle-worker-2": "rebooted", "fargle-worker-3": "rebooted"}
    assert nodes(cloud) == were
    assert leases(cloud) == []


def test_what_somebody_has_cordoned_stays_so(cloud: RunningSandbox) -> None:
    config: dict[str, t.Any] = yaml.safe_load(str(secret(cloud.control.world(), "cluster-fargle-kubeconfig")["kubeconfig"]))
    client.CoreV1Api(new_client_from_config_dict(config)).patch_node(NAME, {"spec": {"unschedulable": True}})
    succeed(change(cloud, nodes=NAME, **patched("worker", UDEV)))
    found = worldview.kubernetes_nodes(cloud.control.world(), "fargle")
    assert [node["metadata"]["name"] for node in found if node["spec"].get("unschedulable")] == [NAME]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "name the nodes to change, or give role=worker"),
        ({"nodes": NAME, "role": "worker"}, "Give one of the two"),
        ({"nodes": "fargle-worker-99"}, "fargle has no fargle-worker-99 that runs"),
        ({"nodes": NAME, "kubernetes": "skip"}, "nodes are not changed without it"),
        ({"nodes": NAME, "max_unavailable": "none"}, "neither a number of nodes nor a percentage"),
        ({"nodes": NAME, "cluster_patch": json.dumps({"machine": {"kubelet": {"registerWithFQDN": True}}})}, "would make another node of it (registerWithFQDN"),
        ({"nodes": NAME, "cluster_patch": json.dumps({"machine": {"tpye": "worker"}})}, "machine.tpye"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_touched(cloud: RunningSandbox, words: dict[str, t.Any], message: str) -> None:
    run = change(cloud, **words)
    assert run.code != 0
    assert message in run.message
    assert cloud.control.mutating() == []


def test_a_single_control_plane_is_not_rebooted(cloud: RunningSandbox) -> None:
    run = play(cloud.env, "apply_changes.yml", cluster="fargle2", role="controlplane", **patched("controlplane", UDEV))
    assert "etcd of fargle2 has 1 voters and loses its quorum while one reboots" in run.message
    assert cloud.control.mutating() == []


def test_calls_grow_with_nodes_only_where_they_must(cloud: RunningSandbox) -> None:
    counts = []
    for names in (["fargle-worker-1"], ["fargle-worker-2", "fargle-worker-3", "fargle-worker-10"]):
        cloud.control.forget_calls()
        succeed(change(cloud, nodes=names, **patched("worker", LIVE)))
        counts.append(collections.Counter({name: item["count"] for name, item in cloud.control.summary().items() if name not in REPEATED}))
    one, three = counts
    assert three - one == collections.Counter({name: 2 * each for name, each in PER_NODE.items()})
    assert one - three == collections.Counter()


def test_control_planes_are_changed_one_by_one_without_a_reboot_too(cloud: RunningSandbox) -> None:
    before, were = boots(cloud), serving(cloud)
    run = succeed(change(cloud, role="controlplane", **patched("controlplane", LIVE)))
    order = "; then ".join(f"fargle-controlplane-{number} (no reboot)" for number in (1, 2, 3))
    assert f"In this order: {order}." in run.output
    assert ordered(cloud) == ["talos.ApplyConfiguration"]
    assert (boots(cloud), serving(cloud)) == (before, were)
