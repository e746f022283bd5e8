# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection among what people have already: their own playbooks, tags, inventories, vaulted variables, ansible-navigator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .playbooks import QUICK, ROOT, play, succeed
from .scenes import secret

BIN = Path(sys.executable).parent
CLUSTERS = {"all": {"vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **QUICK}, "hosts": {"fargle": {}}}}


def run(cloud: RunningSandbox, folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of Ansible's in a folder outside the checkout, with the collection where the estate has its own."""
    env = {**cloud.env, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "False"}
    return subprocess.run([str(BIN / program), *arguments], env=env, cwd=folder, text=True, capture_output=True, timeout=300, check=False)


def site(folder: Path, plays: list[dict[str, t.Any]], hosts: t.Mapping[str, t.Any] = CLUSTERS) -> None:
    """An estate's own site.yml, and its inventory."""
    (folder / "site.yml").write_text(yaml.safe_dump(plays))
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))


def names(cloud: RunningSandbox, cluster: str) -> set[str]:
    """Its nodes that are in service."""
    return {node.name for node in worldview.nodes(cloud.control.world(), cluster).values() if node.ready}


ROLE = {
    "hosts": "fargle",
    "gather_facts": False,
    "roles": [{"role": "k8s_cluster.manager.create_node", "tags": "nodes", "vars": {"create_node_nodes": ["fargle-worker-7"]}}],
}


@pytest.mark.parametrize(("tag", "made"), [("nodes", {"fargle-worker-7"}), ("web", set())])
def test_tags_of_a_role_choose_all_of_it_or_nothing(cloud: RunningSandbox, tmp_path: Path, tag: str, made: set[str]) -> None:
    site(tmp_path, [ROLE])
    before = names(cloud, "fargle")
    ended = run(cloud, tmp_path, "ansible-playbook", "-i", "hosts.yml", "site.yml", "--tags", tag)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert names(cloud, "fargle") - before == made
    assert bool(cloud.control.mutating()) == bool(made)


@pytest.mark.parametrize("playbook", ["create_node", "delete_node", "create_cluster", "create_load_balancers"])
def test_tags_that_leave_out_all_of_a_playbook_are_refused(cloud: RunningSandbox, playbook: str) -> None:
    ended = play(cloud.env, f"{playbook}.yml", "--tags", "drain", cluster="fargle", nodes="fargle-worker-1")
    assert ended.code != 0
    assert f"--tags drain leaves out what {playbook} does" in ended.message
    assert cloud.control.calls() == []


def test_playbooks_are_imported_for_several_clusters_each_with_its_words(cloud: RunningSandbox, tmp_path: Path) -> None:
    imports = [
        {"import_playbook": "k8s_cluster.manager.create_node", "tags": "fargle", "vars": {"cluster": "fargle", "nodes": "fargle-worker-7"}},
        {"import_playbook": "k8s_cluster.manager.create_node", "vars": {"cluster": "fargle", "nodes": "fargle-worker-8"}},
        {"import_playbook": "k8s_cluster.manager.create_node", "tags": "fargle2", "vars": {"cluster": "fargle2", "nodes": "fargle2-worker-9"}},
    ]
    site(tmp_path, imports)
    before = names(cloud, "fargle") | names(cloud, "fargle2")
    ended = run(cloud, tmp_path, "ansible-playbook", "site.yml", "--tags", "fargle,fargle2")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (names(cloud, "fargle") | names(cloud, "fargle2")) - before == {"fargle-worker-7", "fargle2-worker-9"}


def test_modules_serve_other_playbooks_with_defaults_by_group(cloud: RunningSandbox, tmp_path: Path) -> None:
    """The region and the cluster are said once for all modules of the play."""
    tasks = [
        {"k8s_cluster.manager.cluster_info": {}, "register": "found"},
        {"k8s_cluster.manager.nlb": {"name": "fargle-apiserver"}, "check_mode": True, "register": "balancer", "failed_when": False},
        {
            "ansible.builtin.copy": {
                "content": "{{ found.cluster.instances | map(attribute='name') | to_json }}",
                "dest": str(tmp_path / "names"),
                "mode": "0600",
            }
        },
    ]
    defaults = {"group/k8s_cluster.manager.aws": {"region": "{{ lookup('ansible.builtin.env', 'AWS_REGION') }}", "cluster": "{{ inventory_hostname }}"}}
    site(tmp_path, [{"hosts": "fargle", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}])
    ended = run(cloud, tmp_path, "ansible-playbook", "-i", "hosts.yml", "site.yml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert {"fargle-worker-1", "fargle-controlplane-1"} <= set(json.loads((tmp_path / "names").read_text()))


def test_dynamic_inventory_has_nodes_by_cluster_and_role(cloud: RunningSandbox) -> None:
    ended = run(cloud, ROOT, "ansible-inventory", "-i", "inventories/nodes", "--list")
    assert ended.returncode == 0, ended.stderr
    groups = json.loads(ended.stdout)
    assert set(groups["fargle2"]["hosts"]) == {"fargle2-controlplane-1", "fargle2-worker-1"}
    assert "fargle2-worker-1" in groups["role_worker"]["hosts"]
    assert "bastion" not in groups["_meta"]["hostvars"]


def test_a_dynamic_inventory_of_nodes_gives_the_playbooks_their_cluster(cloud: RunningSandbox, tmp_path: Path) -> None:
    """Its group's variables apply, and no node is taken for the cluster."""
    (tmp_path / "aws_ec2.yml").write_text((ROOT / "inventories/nodes/aws_ec2.yml").read_text())
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/fargle.yml").write_text("cluster_dns: none\n")
    ended = play({**cloud.env}, "create_node.yml", "-i", str(tmp_path / "aws_ec2.yml"), "-i", str(tmp_path), cluster="fargle", nodes="fargle-worker-7")
    assert "fargle-worker-7" in names(cloud, "fargle"), succeed(ended).output
    assert worldview.nodes(cloud.control.world(), "fargle")["fargle-worker-7"].records == []


@pytest.mark.parametrize("whole_file", [True, False])
def test_inputs_come_from_vaulted_variables(cloud: RunningSandbox, tmp_path: Path, whole_file: bool) -> None:
    """A vaulted file, or single values that are; nothing of them is shown, and Vault is not asked for them."""
    config = secret(cloud.control.world(), "cluster-fargle-machine-worker")
    text = yaml.safe_dump(config)
    site(tmp_path, [{**ROLE, "roles": [{**ROLE["roles"][0]}]}])
    (tmp_path / "pass").write_text("open sesame\n")
    variables = tmp_path / "group_vars/all.yml"
    variables.parent.mkdir()
    if whole_file:
        variables.write_text(yaml.safe_dump({"cluster_machine_config": text}))
        sealed = run(cloud, tmp_path, "ansible-vault", "encrypt", "--vault-password-file", "pass", str(variables))
    else:
        (tmp_path / "plain").write_text(text)
        sealed = subprocess.run(
            [str(BIN / "ansible-vault"), "encrypt_string", "--vault-password-file", "pass", "--name", "cluster_machine_config", "--", text],
            env={**os.environ}, cwd=tmp_path, text=True, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        variables.write_text(sealed.stdout)
    assert sealed.returncode == 0, sealed.stderr
    ended = run(cloud, tmp_path, "ansible-playbook", "-i", "hosts.yml", "--vault-password-file", "pass", "site.yml", "-vvv", "--diff")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "fargle-worker-7" in names(cloud, "fargle")
    assert config["machine"]["token"] not in ended.stdout + ended.stderr
    assert not [call for call in cloud.control.calls() if call["service"] == "vault" and "machine-worker" in json.dumps(call["detail"])]


def test_ansible_navigator_runs_the_playbooks(cloud: RunningSandbox) -> None:
    words = ["-e", "cluster=fargle nodes=fargle-worker-7", "--check"]
    ended = run(cloud, ROOT, "ansible-navigator", "run", "playbooks/create_node.yml", "--ee", "false", *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "fargle-worker-7" in ended.stdout
    assert cloud.control.mutating() == []
