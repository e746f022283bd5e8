# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules are asked by the playbooks: each invocation of a run, with the world it found."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import typing as t
from pathlib import Path

from tests.integration.playbooks import ANSIBLE_PLAYBOOK, QUICK, ROOT
from tests.sandbox.fixture import RunningSandbox

PREFIX = "k8s_cluster.manager."


@dataclasses.dataclass(frozen=True)
class Scene:
    """A run of a playbook. before: runs that make the world it begins in."""

    name: str
    playbook: str
    words: dict[str, t.Any]
    before: tuple[tuple[str, dict[str, t.Any]], ...] = ()


SMALL = {"cluster": "barney", "control_planes": 1, "workers": 0}
WORKERS = ["fargle-worker-1", "fargle-worker-2", "fargle-worker-3"]
SCENES = (
    Scene("create-workers", "create_node.yml", {"cluster": "fargle", "role": "worker", "nodes": ["fargle-worker-11", "fargle-worker-12", "fargle-worker-13"]}),
    Scene("create-controlplane", "create_node.yml", {"cluster": "fargle", "role": "controlplane", "nodes": "fargle-controlplane-4"}),
    Scene("delete-workers", "delete_node.yml", {"cluster": "fargle", "nodes": WORKERS}),
    Scene("delete-controlplane", "delete_node.yml", {"cluster": "fargle", "nodes": "fargle-controlplane-1"}),
    Scene("create-cluster", "create_cluster.yml", SMALL),
    Scene(
        "delete-load-balancers",
        "create_load_balancers.yml",
        {"cluster": "barney", "state": "absent"},
        (("create_load_balancers.yml", {"cluster": "barney", "load_balancers_node_security_group": True}),),
    ),
)


@dataclasses.dataclass(frozen=True)
class Invocation:
    """One run of a module: its arguments as Ansible hands them over, and the world it found."""

    scene: str
    module: str
    arguments: str
    snapshot: str

    @property
    def given(self) -> dict[str, t.Any]:
        """The arguments."""
        return t.cast("dict[str, t.Any]", json.loads(self.arguments)["ANSIBLE_MODULE_ARGS"])

    @property
    def checks(self) -> bool:
        """Whether it only checks."""
        return bool(self.given.get("_ansible_check_mode"))

    @property
    def work(self) -> str:
        """The module with the state it makes, such as ec2_node.absent."""
        state = self.given.get("state")
        return f"{self.module}.{state}" if state else self.module


def record(cloud: RunningSandbox, scene: Scene) -> list[Invocation]:
    """Run a scene in the world as it is and return what its modules were asked, in order. RuntimeError with its output when it fails."""
    for playbook, words in scene.before:
        _run(cloud, playbook, words, {})
    descriptor = os.memfd_create("invocations")
    try:
        path = f"/proc/{os.getpid()}/fd/{descriptor}"
        hooks = {"INVOCATIONS": path, "ANSIBLE_CALLBACKS_ENABLED": "invocations", "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback_plugins")}
        _run(cloud, scene.playbook, scene.words, hooks)
        lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    finally:
        os.close(descriptor)
    return [Invocation(scene.name, _module(line["arguments"]), line["arguments"], line["snapshot"]) for line in lines]


def _module(arguments: str) -> str:
    return str(json.loads(arguments)["ANSIBLE_MODULE_ARGS"]["_ansible_module_name"]).removeprefix(PREFIX)


def _run(cloud: RunningSandbox, playbook: str, words: dict[str, t.Any], hooks: dict[str, str]) -> None:
    command = [str(ANSIBLE_PLAYBOOK), f"playbooks/{playbook}", "-e", json.dumps({**QUICK, **words})]
    env = {**cloud.env, "SANDBOX_CONTROL_URL": cloud.control.url, "PYTHONPATH": str(ROOT), **hooks}
    run = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
    if run.returncode:
        raise RuntimeError(f"{playbook} failed undisturbed:\n{run.stdout}{run.stderr}")
