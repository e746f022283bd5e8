# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's last line comes from the world: whichever step does not do its work, a number differs and the exit code says so."""

from __future__ import annotations

import contextlib
import copy
import types
import typing as t

import pytest

from tests import demo

World = dict[str, t.Any]


def empty_world() -> World:
    region: World = {"instances": {}, "target_groups": {}}
    return {
        "aws": {"regions": {"here": region}},
        "talos": {"nodes": [], "etcd": []},
        "kubernetes": {"fargle": {"objects": {"nodes": []}}},
        "cloudflare": {"zone": {"records": []}},
    }


def add(world: World, name: str, role: str, ready: bool = True) -> None:
    """A node of the cluster, as the sandbox's world shows one."""
    world["aws"]["regions"]["here"]["instances"][f"i-{name}"] = {
        "tags": {"Cluster": "fargle", "Name": name, "Role": role},
        "state": "running",
        "private_ip": "127.1.0.9",
        "zone": "a",
    }
    world["talos"]["nodes"].append({"instance_id": f"i-{name}", "type": role, "stage": "running"})
    status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    world["kubernetes"]["fargle"]["objects"]["nodes"].append({"metadata": {"name": name}, "status": status})


class Cloud:
    """A world and playbooks that change it; broken names the step that does not do its work."""

    env: t.ClassVar[dict[str, str]] = {}

    def __init__(self, broken: str) -> None:
        self.broken = broken
        self.world = empty_world()
        self.plays: list[str] = []
        self.control = types.SimpleNamespace(world=lambda: copy.deepcopy(self.world))
        for number in (1, 2, 3):
            add(self.world, f"fargle-controlplane-{number}", "controlplane")
            add(self.world, f"fargle-worker-{number}", "worker")

    def play(self, _cloud: t.Any, playbook: str, words: str) -> None:
        """What the playbook would do to the world."""
        self.plays.append(words)
        if self.broken == f"exit of {playbook}":
            raise demo.Failed(playbook)
        if playbook == "delete_node.yml" and self.broken != "delete":
            name = words.partition("nodes=")[2].split()[0]
            del self.world["aws"]["regions"]["here"]["instances"][f"i-{name}"]
        if playbook == "create_node.yml":
            given = dict(word.split("=") for word in words.split())
            self.create(given["role"], int(given["count"]))

    def create(self, role: str, count: int) -> None:
        """Nodes until there are count; the second run finds nothing to do."""
        if len(self.plays) > 2:
            if self.broken == "second run":
                self.world["cloudflare"]["zone"]["records"].append({"name": "more", "type": "A", "content": "x"})
            return
        if self.broken == f"create {role}":
            return
        present = sum(item["tags"]["Role"] == role for item in self.world["aws"]["regions"]["here"]["instances"].values())
        for number in range(present + 1, count + 1):
            add(self.world, f"fargle-{role}-{number}", role, ready=self.broken != "not Ready")


def run(broken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The demo's exit code and last line."""
    cloud = Cloud(broken)
    monkeypatch.setattr(demo, "sandbox", lambda: contextlib.nullcontext(cloud))
    monkeypatch.setattr(demo, "play", cloud.play)
    code = demo.main()
    return code, capsys.readouterr().out.strip().splitlines()[-1]


def test_all_went_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("", monkeypatch, capsys) == (0, "demo: created 4, second run changed 0, deleted 1")


@pytest.mark.parametrize(
    ("broken", "last"),
    [
        ("create controlplane", "demo: created 3, second run changed 0, deleted 1"),
        ("create worker", "demo: created 1, second run changed 0, deleted 1"),
        ("not Ready", "demo: created 0, second run changed 0, deleted 1"),
        ("second run", "demo: created 4, second run changed 1, deleted 1"),
        ("delete", "demo: created 4, second run changed 0, deleted 0"),
        ("exit of create_node.yml", "demo: create_node.yml failed"),
        ("exit of delete_node.yml", "demo: delete_node.yml failed"),
    ],
)
def test_a_step_that_does_not_do_its_work_shows(broken: str, last: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, line = run(broken, monkeypatch, capsys)
    assert line == last
    assert code != 0
