# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/configure_awx.yml run as it is, towards a stand-in for AWX that refuses what AWX refuses."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.awx import playbook
from tests.awx.controller import Controller, running

from .playbooks import ANSIBLE_PLAYBOOK, ROOT, Run, play, succeed

pytestmark = pytest.mark.slow
if importlib.util.find_spec("ansible_collections.awx") is None:
    pytest.skip("awx.awx is not installed: PyPI's ansible up to 13 brings it", allow_module_level=True)

TOKEN = "canary-Controller-Pq7LxW2vT9"
URL = playbook.SAID["project_url"]
CANARY = "canary-Credential-Zk3MnB8cJ1"
WORDS = {
    **playbook.SAID,
    "project_credential": "",
    "image_credential": None,
    "credentials": {
        "aws": {"type": "Amazon Web Services", "inputs": {"username": "AKIA0", "password": CANARY}},
        "vault": {"type": "k8s_cluster.manager HashiCorp Vault token", "inputs": {"vault_addr": "https://vault.example:8200", "vault_token": CANARY}},
        "cloudflare": {"type": "k8s_cluster.manager Cloudflare", "inputs": {"cloudflare_api_token": CANARY}},
        "region": {"type": "k8s_cluster.manager AWS region", "inputs": {"aws_region": "eu-central-1"}},
    },
}


NEW_SECRET = {**WORDS, "credentials": {**WORDS["credentials"], "cloudflare": {**WORDS["credentials"]["cloudflare"], "inputs": {"cloudflare_api_token": "new"}}}}


class Configured(t.NamedTuple):
    """The controller after a run and a second one, which had another secret; what the second changed there."""

    controller: Controller
    first: Run
    second: Run
    changes: list[tuple[str, str]]


def configure(controller: Controller, *arguments: str, **words: t.Any) -> Run:
    env = {**os.environ, "CONTROLLER_HOST": controller.url, "CONTROLLER_OAUTH_TOKEN": TOKEN, "HOME": "/nonexistent"}
    return play(env, "configure_awx.yml", *arguments, **words)


def cloudflare_token(controller: Controller) -> t.Any:
    return controller.secrets[controller.named("credentials", "cloudflare")["id"]]["cloudflare_api_token"]


@pytest.fixture(scope="module")
def configured() -> t.Iterator[Configured]:
    with running(Controller(TOKEN, {URL: ROOT})) as controller:
        first = succeed(configure(controller, "-vvv", "--diff", **WORDS))
        controller.requests.clear()
        second = succeed(configure(controller, **NEW_SECRET))
        yield Configured(controller, first, second, controller.changes)


def test_a_second_run_changes_nothing(configured: Configured) -> None:
    assert configured.first.changed > 0
    assert configured.second.changed == 0
    # Not even what is the same already: a check would say so, too.
    assert configured.changes == []


def test_all_of_it_is_there(configured: Configured) -> None:
    controller = configured.controller
    assert {item["name"] for item in controller.items["organizations"].values()} == {"Default", "Platform"}
    assert controller.named("projects", "k8s")["scm_branch"] == "stable"
    assert controller.named("execution_environments", "k8s")["image"] == playbook.SAID["image"]
    assert {item["name"]: json.loads(item["variables"] or "{}") for item in controller.items["hosts"].values()} == {
        "fargle": {"cluster_dns": "none"},
        "barney": {},
    }
    names = [item["name"] for item in controller.items["job_templates"].values()]
    nodes = ["k8s create nodes", "k8s delete nodes", "k8s replace nodes", "k8s change nodes"]
    assert names == [*nodes, "k8s describe a cluster", "k8s reconcile a cluster", "k8s create load balancers", "k8s create a cluster"]
    for item in controller.items["job_templates"].values():
        attached = {controller.items["credentials"][number]["name"] for number in controller.attached[item["id"]]}
        assert attached == WORDS["credentials"].keys()
        assert item["survey_enabled"]
        assert not item["become_enabled"]
        assert not item["ask_variables_on_launch"]
        assert item["job_slice_count"] == 1
    assert controller.named("schedules", "mornings")["extra_data"] == {"cluster": "fargle", "role": "worker", "count": 20}


def test_jinja_of_credential_types_reaches_awx_as_it_is(configured: Configured) -> None:
    injectors = configured.controller.named("credential_types", "k8s_cluster.manager HashiCorp Vault token")["injectors"]
    assert injectors["env"]["VAULT_TOKEN"] == "{{ vault_token }}"


def test_secrets_reach_awx_and_nothing_else(configured: Configured) -> None:
    assert [secret["password"] for secret in configured.controller.secrets.values() if "password" in secret] == [CANARY]
    assert CANARY not in configured.first.output
    assert TOKEN not in configured.first.output


def test_a_secret_is_written_again_only_when_asked(configured: Configured) -> None:
    """AWX shows none, so whether one is another nobody can see."""
    assert cloudflare_token(configured.controller) == CANARY
    succeed(configure(configured.controller, **{**NEW_SECRET, "clusters": {}, "schedules": [], "update_secrets": True}))
    assert cloudflare_token(configured.controller) == "new"


def test_by_its_full_name_from_anywhere(tmp_path: Path) -> None:
    """With its files beside it: as far as the first word that is missing."""
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections"), "ANSIBLE_NOCOLOR": "1"}
    command = [str(ANSIBLE_PLAYBOOK), "k8s_cluster.manager.configure_awx", "-e", json.dumps({"clusters": {"fargle": {}}})]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "project_url and image are needed" in " ".join(done.stdout.split())


@pytest.mark.parametrize("word", ["project_url", "image"])
def test_what_is_needed_is_asked_for(word: str) -> None:
    with running(Controller(TOKEN, {URL: ROOT})) as controller:
        run = configure(controller, **{**WORDS, word: " "})
    assert run.code != 0
    assert "project_url and image are needed" in run.message
    assert controller.requests == []


def test_without_awx_awx_the_run_says_what_to_install() -> None:
    """Ansible sees no collections beside itself, as with ansible-core alone."""
    env = {**os.environ, "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false", "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections")}
    run = play(env, "configure_awx.yml", **WORDS)
    assert run.code != 0
    assert "ansible-galaxy collection install 'awx.awx:>=24.6.1'" in run.message
