# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cluster becomes a host: one test per row of the table in the design."""

from __future__ import annotations

import os
import re
import sys
import typing as t
from pathlib import Path

import pytest

from .playbooks import ROOT, Run, play, succeed

INVENTORY = """\
[fargle]
node-1
node-2
[fargle:vars]
color=red
ansible_host=10.0.0.1
[clusters]
barney color=blue
wilma ansible_host=10.1.1.1
"""


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    path = tmp_path / "hosts.ini"
    path.write_text(INVENTORY)
    return str(path)


def find(*arguments: str, **words: t.Any) -> Run:
    # The test's playbook is not beside the link by which the checkout's own find the collection.
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections")}
    return play(env, "../tests/integration/find_cluster.yml", *arguments, **words)


def shown(run: Run) -> list[str]:
    """host, cluster, connection, interpreter and the variable color of every host of the second play."""
    own = re.escape(str(Path(sys.executable).parent)) + r"/python[0-9.]*"
    return [re.sub(own, "PYTHON", " ".join(task["msg"].split())) for task in succeed(run).tasks if task["module"] == "debug"]


def test_without_an_inventory_the_cluster_is_made_a_local_host() -> None:
    assert shown(find(cluster="fargle")) == ["fargle fargle local PYTHON"]


def test_a_host_of_its_name_is_the_cluster(inventory: str) -> None:
    assert shown(find("-i", inventory, cluster="barney")) == ["barney barney local PYTHON blue"]


def test_ansible_host_sends_the_modules_there(inventory: str) -> None:
    assert shown(find("-i", inventory, cluster="wilma")) == ["wilma wilma ssh auto"]


def test_a_groups_nodes_are_never_the_cluster_but_its_variables_apply(inventory: str) -> None:
    assert shown(find("-i", inventory, cluster="fargle")) == ["cluster-fargle fargle local PYTHON red"]


def test_the_example_inventory_knows_its_clusters() -> None:
    assert shown(find("-i", str(ROOT / "inventories/example"), cluster="barney")) == ["barney barney local PYTHON"]


def test_an_inventory_that_knows_other_clusters_refuses(inventory: str) -> None:
    run = find("-i", inventory, cluster="fred")
    assert run.code != 0
    assert "the inventory has no host and no group fred. It knows barney, node-1, node-2, wilma." in run.message


@pytest.mark.parametrize("name", ["", " ", None, "all", "ungrouped", "localhost", "a:b", "*", "fargle,barney", "-x", "fargle\n", "!fargle"])
def test_names_that_are_no_clusters_are_refused(name: t.Any, inventory: str) -> None:
    run = find("-i", inventory, cluster=name)
    assert run.code != 0
    assert "is not a cluster's name" in run.message


def test_limit_to_the_cluster_is_fine(inventory: str) -> None:
    assert shown(find("-i", inventory, "--limit", "barney", cluster="barney"))
    assert shown(find("-i", inventory, "--limit", "fargle", cluster="fargle"))


@pytest.mark.parametrize(("limit", "cluster"), [("wilma", "barney"), ("node-1", "fargle")])
def test_limit_that_leaves_the_cluster_out_is_never_a_green_run(inventory: str, limit: str, cluster: str) -> None:
    run = find("-i", inventory, "--limit", limit, cluster=cluster)
    assert run.code != 0
    assert f"--limit {limit} leaves out the cluster {cluster}" in run.message


def test_limit_without_an_inventory_is_never_a_green_run() -> None:
    assert find("--limit", "localhost", cluster="fargle").code != 0
    assert find("--limit", "fargle", cluster="fargle").code != 0


def test_a_slice_without_the_cluster_is_never_a_green_run(tmp_path: Path) -> None:
    """AWX gives each slice a part of the inventory's hosts; only the one that has the cluster may run."""
    (tmp_path / "slice").write_text("wilma\n")
    assert find("-i", str(tmp_path / "slice"), cluster="barney").code != 0
