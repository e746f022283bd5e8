# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of playbooks with the sandbox's world before and after, and what of it changed."""

from __future__ import annotations

import dataclasses
import re
import typing as t

import yaml

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .playbooks import Run, play

DOMAIN = "k8s.example.com"
World = t.Mapping[str, t.Any]
# What controllers write of their own accord when a pod comes or goes.
COUNTS = re.compile(r"^/kubernetes/[^/]+/objects/(daemonsets|deployments|replicasets|statefulsets|poddisruptionbudgets)\[[^]]+\]/status/")


@dataclasses.dataclass(frozen=True)
class Scene:
    """One run, and the worlds around it."""

    run: Run
    before: World
    after: World

    @property
    def changed(self) -> set[str]:
        """The facts that are in one of the worlds only."""
        return worldview.facts(self.before) ^ worldview.facts(self.after)

    def nodes(self, cluster: str) -> dict[str, worldview.Node]:
        """The cluster's nodes after the run."""
        return worldview.nodes(self.after, cluster)

    def new(self, cluster: str) -> list[str]:
        """The names of the cluster's nodes that were not there before, in order."""
        return sorted(self.nodes(cluster).keys() - worldview.nodes(self.before, cluster).keys(), key=_natural)

    def node(self, name: str) -> worldview.Node:
        """A node after the run, of the cluster that its name begins with."""
        return self.nodes(name.split("-")[0])[name]

    def strange(self, cluster: str, *names: str) -> list[str]:
        """What changed although it is not about these nodes of the cluster."""
        about = re.compile("|".join(rf"(?<![\w.-]){re.escape(word)}(?![\w-])" for word in sorted(self._words(cluster, names))))
        return sorted(line for line in self.changed if not about.search(line) and not COUNTS.match(line))

    def _words(self, cluster: str, names: t.Collection[str]) -> set[str]:
        """Everything by which these nodes are known: names, addresses and ids; and the pods on them, or moved because of them, with their volumes."""
        words = set(names)
        for world in (self.before, self.after):
            for instance_id, instance in worldview.region(world)["instances"].items():
                if instance["tags"].get("Cluster") == cluster and instance["tags"].get("Name") in words:
                    words |= {instance_id, *instance["volumes"], *instance["interfaces"]}
                    words |= {instance["private_ip"]} - {None}
            words |= {record["id"] for record in worldview.records(world) if record["name"].split(".")[0] in names}
            words |= {member["id"] for member in worldview.members(world) if member["name"].split(".")[0] in names}
            attachments = world["kubernetes"][cluster]["objects"]["volumeattachments"]
            words |= {one["metadata"]["name"] for one in attachments if one["spec"]["nodeName"] in names}
        return words | self._pods(cluster, names)

    def _pods(self, cluster: str, names: t.Collection[str]) -> set[str]:
        before, after = (_pods(world, cluster) for world in (self.before, self.after))
        here = {pod for pods in (before, after) for pod, node in pods.items() if node in names}
        return here | (after.keys() - before.keys())


def _pods(world: World, cluster: str) -> dict[str, str]:
    """The cluster's pods as namespace/name, and the node each is on."""
    pods = world["kubernetes"][cluster]["objects"]["pods"]
    return {f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": pod["spec"].get("nodeName", "") for pod in pods}


def _natural(name: str) -> tuple[str, int]:
    base, _dash, number = name.rpartition("-")
    return base, int(number)


def scene(cloud: RunningSandbox, playbook: str, *arguments: str, **words: t.Any) -> Scene:
    """Run a playbook in the world as it is; the log of calls begins with it."""
    before = cloud.control.world()
    cloud.control.forget_calls()
    run = play(cloud.env, playbook, *arguments, **words)
    return Scene(run, before, cloud.control.world())


def secret(world: World, name: str) -> dict[str, t.Any]:
    """A secret as Vault has it."""
    return t.cast("dict[str, t.Any]", world["vault"]["secret"][name])


def documents(text: str) -> list[t.Any]:
    """YAML documents with every scalar as its text, so that only writing style is ignored."""
    return list(yaml.load_all(text, Loader=yaml.BaseLoader))  # noqa: S506 BaseLoader makes nothing but text


def merged(base: t.Any, *patches: t.Any) -> t.Any:
    """Mappings merged key by key, later ones winning: all that the sandbox's own patches need of Talos' rules."""
    for patch in patches:
        base = {**base, **{key: merged(base.get(key) or {}, value) if isinstance(value, dict) else value for key, value in patch.items()}}
    return base
