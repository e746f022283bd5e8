# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What disagrees in a cluster is found, each thing once, and repaired where that was asked for; another cluster's is left alone."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._findings import KINDS

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .playbooks import Run, play, succeed
from .seeds import Seeder

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
    kind: re.sub(r"^fargle-(controlplane|worker)-\d$", r"fargle2-\1-1", name).replace("worker-10", "worker-1").replace("fargle-", "fargle2-")
    for kind, name in NODES.items()
}
REPAIRABLE = [kind for kind, one in KINDS.items() if one.repair]


def reconcile(cloud: RunningSandbox, *arguments: str, **words: t.Any) -> Run:
    return play({**cloud.env, "ANSIBLE_SHOW_CUSTOM_STATS": "1"}, "reconcile_cluster.yml", *arguments, **{"cluster": "fargle", **words})


def told(run: Run, what: str = "findings", cluster: str = "fargle") -> t.Any:
    """What the run left for the job that follows."""
    found = re.search(r"^\s*RUN: (\{.*\})\s*$", run.output, re.MULTILINE)
    assert found, run.output
    return json.loads(found.group(1))["k8s_cluster_manager"][cluster][what]


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


@pytest.mark.parametrize("kinds", [set(KINDS) - {"foreign_vm", "missing_tag", "ghost_member"}, {"foreign_vm"}, {"missing_tag"}, {"ghost_member"}], ids=len)
def test_what_is_wrong_elsewhere_is_nothing_here(cloud: RunningSandbox, kinds: set[str]) -> None:
    seed(cloud, [kind for kind in KINDS if kind in kinds], "fargle2")
    assert told(succeed(reconcile(cloud))) == []


def test_what_is_repaired_is_repaired_and_a_second_run_finds_nothing(cloud: RunningSandbox) -> None:
    seed(cloud, REPAIRABLE)
    checked = succeed(reconcile(cloud, "--check", "--diff", fix=REPAIRABLE))
    assert [call for call in cloud.control.mutating() if call.startswith("x")] == []
