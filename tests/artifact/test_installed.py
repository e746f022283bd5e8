# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed collection does its main job where there is no checkout: no inventory, no settings, an empty HOME."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .conftest import ROOT, run

NEW = "fargle-worker-20"


@pytest.fixture
def elsewhere(installed: Path, cloud: RunningSandbox, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """An empty folder to stand in, and the environment of a user who has installed the collection."""
    environment = {name: value for name, value in cloud.env.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
    environment.update(HOME=str(tmp_path), ANSIBLE_COLLECTIONS_PATH=str(installed), ANSIBLE_LOCALHOST_WARNING="False", ANSIBLE_NOCOLOR="1")
    return tmp_path, environment


def play(where: tuple[Path, dict[str, str]], playbook: str, **words: str) -> str:
    """What `ansible-playbook k8s_cluster.manager.<playbook>` prints."""
    folder, environment = where
    extra = [argument for name, value in words.items() for argument in ("-e", f"{name}={value}")]
    return run("ansible-playbook", f"k8s_cluster.manager.{playbook}", *extra, cwd=folder, env=environment)


def test_nodes_come_and_go_by_fqcn(elsewhere: tuple[Path, dict[str, str]], cloud: RunningSandbox) -> None:
    before = worldview.nodes(cloud.control.world(), "fargle")
    play(elsewhere, "create_node", cluster="fargle", role="worker", nodes=NEW)
    grown = worldview.nodes(cloud.control.world(), "fargle")
    assert grown.keys() - before.keys() == {NEW}
    assert grown[NEW].ready and grown[NEW].records == [grown[NEW].address]

    assert "changed=0" in play(elsewhere, "create_node", cluster="fargle", role="worker", nodes=NEW)
    play(elsewhere, "delete_node", cluster="fargle", nodes=NEW, delete_node_traffic_floor="1")
    assert worldview.nodes(cloud.control.world(), "fargle") == before


def test_it_is_the_installed_one_that_runs(elsewhere: tuple[Path, dict[str, str]]) -> None:
    folder, environment = elsewhere
    listed = run("ansible-galaxy", "collection", "list", "k8s_cluster.manager", cwd=folder, env=environment)
    assert environment["ANSIBLE_COLLECTIONS_PATH"] in listed
    assert str(ROOT) + os.sep not in listed
