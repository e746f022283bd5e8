# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module run inside Ansible's worker answers exactly as one that is run as a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.sandbox.fixture import RunningSandbox

from .playbooks import ANSIBLE_PLAYBOOK, ELSEWHERE, ROOT
from .scenes import secret

pytestmark = pytest.mark.slow

HERE = sys.executable

CONFIG = "{{ lookup('ansible.builtin.env', 'MACHINE_CONFIG') }}"
KUBECONFIG = "{{ lookup('ansible.builtin.env', 'KUBECONFIG_TEXT') }}"
STRANGER = {"name": "stranger", "address": "127.0.0.9"}
NODE = {"name": "n1", "hostname": "n1.example.com", "labels": {"a": "b"}}
VM = {"cluster": "fargle", "role": "worker", "nodes": [{"name": "fargle-worker-77"}], "instance_type": "m5.large", "subnet_id": "subnet-0"}
TOO_NEW = "{cluster: {apiServer: {image: 'registry.k8s.io/kube-apiserver:v1.99.0'}}}"
TASKS: dict[str, tuple[str, dict[str, t.Any], dict[str, t.Any]]] = {
    "success": ("cluster_info", {"cluster": "fargle"}, {}),
    "wrong value": ("cluster_info", {"cluster": "", "region": 7}, {}),
    "unknown option": ("cluster_info", {"cluster": "fargle", "clutser": "x"}, {}),
    "missing option": ("k8s_node_drain", {}, {}),
    "prediction": ("ec2_node", {**VM, "state": "present", "image_id": "ami-none", "security_group_ids": ["sg-none"]}, {"check_mode": True}),
    "warning and diff": ("talos_machine_config", {"config": CONFIG, "role": "controlplane", "nodes": [NODE], "patch": TOO_NEW}, {"diff": True}),
    "secret in bad input": ("talos_machine_config", {"config": "machine: {token: hunter2", "nodes": [NODE]}, {}),
    "secret returned": ("talos_machine_config", {"config": CONFIG, "role": "controlplane", "nodes": [NODE], "return_config": True}, {}),
    "defaults": ("cloudflare_record", {}, {"module_defaults": {"k8s_cluster.manager.cloudflare_record": {"cluster": "fargle", "records": []}}}),
    "kubernetes": ("k8s_node", {"cluster": "fargle", "kubeconfig": KUBECONFIG, "nodes": []}, {}),
    "failure of a node": ("k8s_node", {"cluster": "fargle", "kubeconfig": KUBECONFIG, "nodes": [STRANGER], "state": "ready", "wait_timeout": 1}, {}),
}


def playbook(folder: Path) -> Path:
    """All tasks; what they registered goes into results.json."""
    tasks: list[dict[str, t.Any]] = [
        {"name": name, f"k8s_cluster.manager.{module}": options, "register": f"r{index}", "ignore_errors": True, **words}
        for index, (name, (module, options, words)) in enumerate(TASKS.items())
    ]
    registered = ", ".join(f"r{index}" for index in range(len(TASKS)))
    tasks.append({"ansible.builtin.copy": {"content": f"{{{{ [{registered}] | to_json }}}}", "dest": str(folder / "results.json"), "mode": "0600"}})
    file = folder / "play.yml"
    file.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    return file


def results(cloud: RunningSandbox, folder: Path, interpreter: str) -> dict[str, t.Any]:
    """What each task registered, by the task's name."""
    world = cloud.control.world()
    texts = {
        "MACHINE_CONFIG": secret(world, "cluster-fargle-machine-controlplane")["controlplane.yaml"],
        "KUBECONFIG_TEXT": secret(world, "cluster-fargle-kubeconfig")["kubeconfig"],
    }
    run = subprocess.run(
        [str(ANSIBLE_PLAYBOOK), str(playbook(folder)), "-vvv", "-e", json.dumps({"ansible_python_interpreter": interpreter, "ansible_pipelining": True})],
        env={**cloud.env, **texts, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    # At -vvv Ansible names each module file that it packs and sends.
    packed = len(re.findall(r"Using module file \S+/manager/plugins/modules/", run.stdout))
    assert packed == (len(TASKS) if interpreter == ELSEWHERE else 0)
    assert run.stdout.count("+++ after: n1 (machine config)") == 1, "the diff of a task that changes nothing is shown"
    # The digests of secrets in diffs are salted anew by each run.
    registered = re.sub(r"\(secret [0-9a-f]+\)", "(secret)", (folder / "results.json").read_text())
    answers: list[dict[str, t.Any]] = json.loads(registered)
    # Where a traceback's files are; only older releases show one for a failure that is no crash.
    for node in (node for answer in answers for node in answer.get("nodes") or ()):
        node.pop("timing", None)
    return {name: {key: value for key, value in answer.items() if key != "exception"} for name, answer in zip(TASKS, answers, strict=True)}


def test_results_are_the_same_in_the_worker_as_in_a_process_of_their_own(cloud: RunningSandbox, tmp_path: Path) -> None:
    here, elsewhere = (results(cloud, tmp_path, interpreter) for interpreter in (HERE, ELSEWHERE))
    for name in TASKS:
        assert here[name] == elsewhere[name], name
    assert not here["success"]["failed"]
    assert here["warning and diff"]["warnings"]
    assert here["warning and diff"]["diff"]
    assert [name for name in TASKS if here[name]["failed"]] == [
        "wrong value",
        "unknown option",
        "missing option",
        "prediction",
        "secret in bad input",
        "failure of a node",
    ]
    assert "hunter2" not in json.dumps(here)
