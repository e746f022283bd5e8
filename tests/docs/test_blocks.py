# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No code block of the pages is only shown: it is run on the sandbox, or checked, or says why not."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from tests.sandbox.fixture import RunningSandbox

from .blocks import Block, blocks
from .checks import shell_problems, yaml_problems
from .documented import BIN, ENVIRONMENT
from .files import lay_out
from .getting_started import PAGE as GETTING_STARTED
from .pages import ROOT, documented_pages
from .running import RUN, Reader

EVERY = [block for page in documented_pages() for block in blocks(page)]
SHOWN = [block for block in EVERY if block.word not in (*RUN, "not run")]
# Blocks of the page that is typed in an empty home are run there, by `make getting-started`.
TYPED = sorted({block.page for block in EVERY if block.word in RUN} - {GETTING_STARTED})


def place(value: t.Any) -> str:
    """The names of the tests."""
    return value.place if isinstance(value, Block) else str(value.relative_to(ROOT))


@pytest.mark.parametrize("block", EVERY, ids=place)
def test_a_block_says_what_it_is(block: Block) -> None:
    """Between fences, with its language; a reason is a reason."""
    assert block.fenced
    assert block.language in ("sh", "yaml", "text", "json")
    assert block.word != "not run" or len(block.detail.split()) > 3


@pytest.mark.parametrize("block", SHOWN, ids=place)
def test_a_block_that_is_shown_is_right(block: Block) -> None:
    judges: dict[str, t.Callable[[], list[str]]] = {
        "sh": lambda: shell_problems(block.text) if not block.word else [f"what is `{block.word}`?"],
        "yaml": lambda: yaml_problems(block.text, block.word),
    }
    assert block.language in judges, "let it run, compare it with what was run, or say why it is not run"
    assert judges[block.language]() == []


@pytest.mark.slow
@pytest.mark.parametrize("page", TYPED, ids=place)
def test_what_a_page_says_can_be_typed(page: Path, cloud: RunningSandbox, tmp_path: Path) -> None:
    """On the sandbox, from top to bottom, in a folder with the files that the guides begin with."""
    home = tmp_path / "home"
    home.mkdir()
    lay_out(cloud.control.world()["vault"]["secret"], home)
    programs = tmp_path / "programs"
    programs.mkdir()
    # OpenBao's command line is Vault's.
    (programs / "vault").symlink_to(BIN / "bao")
    # Where a real load balancer needs minutes until none of its parts sends traffic any more, the sandbox's needs less than a second.
    playbook = programs / "ansible-playbook"
    playbook.write_text(f'#!/bin/sh\nexec {BIN / "ansible-playbook"} -e "delete_node_traffic_floor=1 apply_changes_traffic_floor=1" "$@"\n')
    playbook.chmod(0o755)
    env = {**ENVIRONMENT, **cloud.env, "HOME": str(home), "PATH": f"{programs}:{cloud.env['PATH']}", "LANG": "C.UTF-8"}
    assert Reader(env, home).read(page) > 0


def test_a_block_with_a_mistake_is_found() -> None:
    """The checks themselves."""
    for text in (
        "ansible-playbook k8s_cluster.manager.create_node -e 'cluster=fargle rôle=worker'",
        "ansible-playbook k8s_cluster.manager.create_node -e 'cluster=fargle count=some'",
        "ansible-playbook k8s_cluster.manager.create_nodes -e cluster=fargle",
        "ansible-playbook k8s_cluster.manager.create_node --chek",
        "ansible localhost -m k8s_cluster.manager.cluster_info -a 'clustr=fargle'",
        "ansible-doc k8s_cluster.manager.no_such",
        "make tea",
        "pip install -r no-such-file",
        "pip uninstall ansible",
        "kubectl get nodes",
        "aws ec2 create-tags --resource i-0",
        "cd . && make tea",
    ):
        assert shell_problems(text), text
    for text, what in (
        ("- hosts: all\n  tasks:\n    - k8s_cluster.manager.cluster_info:\n        clustr: fargle", ""),
        ("- hosts: all\n  roles:\n    - role: k8s_cluster.manager.create_node\n      vars: {create_node_rolle: worker}", ""),
        ("- hosts: all\n  roles:\n    - role: k8s_cluster.manager.create_node\n      vars: {create_node_role: master}", ""),
        ("- hosts: all\n  task: []", ""),
        ("- import_playbook: k8s_cluster.manager.create_node\n  vars: {cluster: fargle, number: 3}", ""),
        ("create_node_wait_timeout: long", "vars"),
        ("instance_typ: m5.large", "node config"),
        ("all: {hosts: {fargle: {cluster_dms: none}}}", "inventory"),
        ("a: [", "vars"),
    ):
        assert yaml_problems(text, what), text
