# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What disagrees in a cluster is found, each thing once, and repaired where that was asked for; another cluster's is left alone."""

from __future__ import annotations

import dataclasses
import re
import threading
import time
import typing as t

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._findings import KINDS

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .playbooks import ROOT, Run, play, stats, succeed
from .scenes import secret
from .seeds import Seeder
from .test_lease import BOB, somebody_holds_it

pytestmark = pytest.mark.slow

# The node that each kind is seeded on.
NODES = {
    "missing_tag": "fargle-worker-1",
    "foreign_vm": "fargle-worker-10",
    "duplicate_name": "fargle-worker-30",
    "unfinished_launch": "fargle-worker-31",
    "impaired_instance": "fargle-worker-2",
    "vm_without_node": "fargle-worker-3",
    "node_without_vm": "fargle-worker-32",
    "vm_in_no_load_balancer": "fargle-worker-4",
    "target_without_vm": "",
    "ghost_member": "fargle-controlplane-2",
    "record_without_node": "fargle-worker-33",
    "config_drift": "fargle-controlplane-3",
}
# In the look-alike, which has two nodes only.
LOOK_ALIKE = {
    kind: re.sub(r"^fargle-(controlplane|worker)-\d$", r"fargle2-\1-1", name).replace("fargle-", "fargle2-")
    for kind, name in {**NODES, "foreign_vm": NODES["ghost_member"], "config_drift": NODES["missing_tag"]}.items()
}
REPAIRABLE = [kind for kind, one in KINDS.items() if one.repair]


def reconcile(cloud: RunningSandbox, *arguments: str, **words: t.Any) -> Run:
    return play({**cloud.env, "ANSIBLE_SHOW_CUSTOM_STATS": "1"}, "reconcile_cluster.yml", *arguments, **{"cluster": "fargle", **words})


def told(run: Run, what: str = "findings", cluster: str = "fargle") -> t.Any:
    """What the run left for the job that follows."""
    return stats(run, cluster)[what]


def things(found: t.Iterable[t.Mapping[str, t.Any]]) -> list[tuple[str, str]]:
    return [(one["kind"], one["subject"]) for one in found]


def seed(cloud: RunningSandbox, kinds: t.Iterable[str], cluster: str = "fargle") -> list[tuple[str, str]]:
    """Seed each kind; by what they are told, in the report's order."""
    seeder, names = Seeder(cloud, cluster), NODES if cluster == "fargle" else LOOK_ALIKE
    subjects = {kind: getattr(seeder, kind)(names[kind]) for kind in kinds}
    return [(kind, subjects[kind]) for kind in KINDS if kind in subjects]


def test_every_kind_is_seeded() -> None:
    assert NODES.keys() == KINDS.keys()


@pytest.mark.parametrize("cluster", ["fargle", "fargle2"])
def test_a_clean_cluster_gives_an_empty_report(cloud: RunningSandbox, cluster: str) -> None:
    before = worldview.facts(cloud.control.world())
    run = succeed(reconcile(cloud, cluster=cluster))
    assert "Nothing disagrees." in run.output
    assert (told(run, "findings", cluster), told(run, "problems", cluster)) == ([], [])
    assert (run.changed, cloud.control.mutating()) == (0, [])
    assert worldview.facts(cloud.control.world()) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_alone_is_found_once_and_nothing_else(cloud: RunningSandbox, kind: str) -> None:
    wanted = seed(cloud, [kind])
    cloud.control.forget_calls()
    run = reconcile(cloud)
    assert things(told(run)) == wanted
    assert run.code == 2
    assert told(run)[0]["says"] in run.message
    assert cloud.control.mutating() == []


def test_all_kinds_together_are_found_once_each(cloud: RunningSandbox) -> None:
    wanted = seed(cloud, KINDS)
    run = succeed(reconcile(cloud, fail_on_findings=False))
    assert things(told(run)) == wanted
    for kind in KINDS:
        assert f'"{kind}: 1"' in run.output


@pytest.mark.parametrize("kinds", [KINDS.keys() - {"foreign_vm", "missing_tag"}, {"foreign_vm", "missing_tag"}], ids=len)
def test_what_is_wrong_elsewhere_is_nothing_here(cloud: RunningSandbox, kinds: t.Collection[str]) -> None:
    seed(cloud, [kind for kind in KINDS if kind in kinds], "fargle2")
    assert told(succeed(reconcile(cloud))) == []


class Repaired(t.NamedTuple):
    """All that can be repaired, seeded; a look with --check, the repair, and a look after it; with the changes of the two first."""

    wanted: list[tuple[str, str]]
    before: worldview.World
    check: Run
    changes_of_check: list[str]
    repair: Run
    changes: list[str]
    after: worldview.World
    second: Run


@pytest.fixture(scope="module")
def repaired(stage: t.Callable[[], RunningSandbox]) -> Repaired:
    cloud = stage()
    wanted = seed(cloud, REPAIRABLE)
    before = cloud.control.world()
    cloud.control.forget_calls()
    check = reconcile(cloud, "--check", "--diff", fix=REPAIRABLE)
    changes_of_check = cloud.control.mutating()
    cloud.control.forget_calls()
    repair = reconcile(cloud, fix=",".join(REPAIRABLE))
    return Repaired(wanted, before, check, changes_of_check, repair, cloud.control.mutating(), cloud.control.world(), reconcile(cloud, fix=REPAIRABLE))


def test_check_mode_shows_what_would_be_done_does_nothing_and_does_not_wait(repaired: Repaired) -> None:
    assert things(told(succeed(repaired.check), "repaired")) == repaired.wanted
    assert (told(repaired.check, "left"), told(repaired.check, "readings")) == ([], 1)
    assert repaired.changes_of_check == []
    assert "+++ after" in repaired.check.output


def test_what_can_be_repaired_is(repaired: Repaired) -> None:
    assert things(told(succeed(repaired.repair), "repaired")) == repaired.wanted
    assert (told(repaired.repair, "left"), told(repaired.repair, "failures"), told(repaired.repair, "readings")) == ([], [], 2)
    found = worldview.nodes(repaired.after, "fargle")
    assert all(found[NODES[kind]].ready for kind in ("missing_tag", "unfinished_launch"))
    assert set(found[NODES["vm_in_no_load_balancer"]].targets.values()) == {"healthy"}


def test_the_second_run_finds_nothing(repaired: Repaired) -> None:
    assert (told(succeed(repaired.second)), repaired.second.changed) == ([], 0)


def test_what_is_added_comes_first_then_what_is_taken_away_traffic_first(repaired: Repaired) -> None:
    first = {call: number for number, call in reversed(list(enumerate(repaired.changes)))}
    order = ["ec2.CreateTags", "elbv2.RegisterTargets", "elbv2.DeregisterTargets", "kubernetes.create_leases", "talos.EtcdRemoveMemberByID"]
    order += ["kubernetes.delete_leases", "kubernetes.delete_nodes", "cloudflare.batch_records", "talos.ApplyConfiguration", "ec2.DeleteTags"]
    assert sorted(order, key=first.__getitem__) == order
    assert "ec2.TerminateInstances" not in first
    assert "ec2.RunInstances" not in first


def test_repairs_leave_the_look_alike_and_all_others_as_they_are(repaired: Repaired) -> None:
    for cluster in ("fargle2", "barney"):
        assert worldview.nodes(repaired.after, cluster) == worldview.nodes(repaired.before, cluster)
    ours = {one["id"] for world in (repaired.before, repaired.after) for one in worldview.records(world) if "cluster=fargle " in (one["comment"] or "")}
    before, after = ([one for one in worldview.records(world) if one["id"] not in ours] for world in (repaired.before, repaired.after))
    assert after == before


def test_kinds_that_are_not_named_stay_and_nothing_to_take_away_needs_no_second_look(cloud: RunningSandbox) -> None:
    seed(cloud, ["missing_tag", "node_without_vm"])
    cloud.control.forget_calls()
    run = reconcile(cloud, fix="missing_tag")
    assert run.code == 2
    assert [one["kind"] for one in told(run, "left")] == ["node_without_vm"]
    assert (told(run, "readings"), cloud.control.mutating()) == (1, ["ec2.CreateTags"])


def test_etcd_without_a_quorum_loses_no_member(cloud: RunningSandbox) -> None:
    member = Seeder(cloud, "fargle").ghost_member("fargle-controlplane-2")
    cloud.control.trouble("fargle-controlplane-3", "alarm", alarm=1)
    run = reconcile(cloud, "--check", fix="ghost_member")
    assert (run.code, things(told(run, "left"))) == (2, [("ghost_member", member)])
    assert "etcd has no quorum (1 of 3 voters are healthy, 2 are needed)" in run.message


def test_what_changes_between_the_looks_stays_and_a_repair_that_fails_is_named(cloud: RunningSandbox) -> None:
    """A Node that was made again meanwhile is another one; and while another run is at the control planes no member goes, but the other repairs are made."""
    seeder = Seeder(cloud, "fargle")
    member = seeder.ghost_member("fargle-controlplane-2")
    for name in ("fargle-worker-40", "fargle-worker-41"):
        seeder.node_without_vm(name)
    cloud.control.forget_calls()
    cloud.control.fault("hold", "kubernetes", "list_nodes", ordinals=[2])
    meanwhile = threading.Thread(target=_while_the_second_look_waits, args=(cloud, seeder, "fargle-worker-41"))
    meanwhile.start()
    run = reconcile(cloud, fix=["ghost_member", "node_without_vm"], reconcile_cluster_wait_timeout=2)
    meanwhile.join()
    assert run.code == 2
    assert things(told(run, "repaired")) == [("node_without_vm", "fargle-worker-40")]
    assert things(told(run, "left")) == [("node_without_vm", "fargle-worker-41"), ("ghost_member", member)]
    (failure,) = told(run, "failures")
    assert (failure["kind"], failure["name"]) == ("ghost_member", member)
    assert BOB in failure["msg"] and failure["msg"] in run.message
    assert "talos.EtcdRemoveMemberByID" not in cloud.control.mutating()
    there = [one["metadata"]["name"] for one in worldview.kubernetes_nodes(cloud.control.look(), "fargle")]
    assert "fargle-worker-41" in there and "fargle-worker-40" not in there


def _while_the_second_look_waits(cloud: RunningSandbox, seeder: Seeder, name: str) -> None:
    """A Node is deleted and another made under its name, and somebody begins to replace a control plane."""
    deadline = time.monotonic() + 300
    while not cloud.control.waiting() and time.monotonic() < deadline:
        time.sleep(0.1)
    seeder.delete_node(name)
    seeder.node_without_vm(name)
    somebody_holds_it(cloud.control.look())
    cloud.control.clear_faults()


# --- what was not read


def test_another_clusters_kubeconfig_counts_as_not_read(cloud: RunningSandbox) -> None:
    """All of that one's Nodes are without a VM here."""
    theirs = secret(cloud.control.look(), "cluster-fargle2-kubeconfig")["kubeconfig"]
    run = reconcile(cloud, fix=REPAIRABLE, cluster_kubeconfig=theirs)
    assert (run.code, told(run), cloud.control.mutating()) == (2, [], [])
    assert told(run, "problems") == ["kubeconfig: it is another cluster's. None of its nodes has an address of a VM of fargle."]
    assert "Not read: Kubernetes. So nothing is said of: vm_without_node, node_without_vm" in run.output


def test_what_is_not_asked_is_not_called_missing(cloud: RunningSandbox) -> None:
    seed(cloud, ["vm_without_node", "node_without_vm", "impaired_instance"])
    run = reconcile(cloud, kubernetes="skip")
    assert [one["kind"] for one in told(run)] == ["impaired_instance"]
    assert "Not read: Kubernetes." in run.output


def test_what_could_not_be_read_fails_the_run(cloud: RunningSandbox) -> None:
    run = reconcile(dataclasses.replace(cloud, env={**cloud.env, "CLOUDFLARE_API_TOKEN": "expired"}), fail_on_findings=False)
    assert (run.code, told(run)) == (2, [])
    assert "Not read: DNS. So nothing is said of: record_without_node." in run.output
    assert "1 could not be read" in run.message


def test_without_aws_nothing_is_known_whatever_is_asked(cloud: RunningSandbox) -> None:
    cloud.control.conditions(denied=["DescribeInstances"])
    run = reconcile(cloud, fail_on_findings=False, fix=REPAIRABLE)
    assert (run.code, told(run), cloud.control.mutating()) == (2, [], [])


@pytest.mark.parametrize(
    ("words", "message"), [({"pause": 29}, "29 s is too short"), ({"fix": "ghosts"}, "missing_tag, unfinished_launch"), ({"fix": "all"}, "ghost_member")]
)
def test_what_cannot_be_asked_for_is_said_before_anything_is_read(cloud: RunningSandbox, words: dict[str, t.Any], message: str) -> None:
    run = reconcile(cloud, **words)
    assert run.code != 0
    assert message in run.message
    assert cloud.control.calls() == []


# --- what is written about it


def test_the_page_tells_every_kind_as_the_code_has_it() -> None:
    rows = [f"| `{kind}` | {one.meaning} | {one.repair}{', *twice*' if one.destructive else ''} |" for kind, one in KINDS.items()]
    page = (ROOT / "docs" / "reconcile.md").read_text().splitlines()
    begin = page.index("|---|---|---|") + 1
    assert page[begin : begin + len(rows) + 1] == [*rows, ""]


def test_the_role_takes_the_kinds_that_can_be_repaired() -> None:
    options = yaml.safe_load((ROOT / "roles/reconcile_cluster/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert options["reconcile_cluster_fix"]["choices"] == REPAIRABLE
