# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All simulated machines together: what they know of each other. Lives on one asyncio loop and is touched only there."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import typing as t

from ..calls import Ledger
from .config import MachineConfig, Taint
from .etcd import Cluster, Etcd
from .node import Node
from .state import State


class Kubernetes(t.Protocol):
    """What the machines need of the Kubernetes part (cluster: the name in the machine configuration)."""

    def kubelet_register(
        self, cluster_key: str, name: str, address: str, provider_id: str, labels: dict[str, str], taints: list[Taint], os_image: str
    ) -> t.Any: ...

    def kubelet_ready(self, cluster_key: str, name: str, ready: bool) -> t.Any: ...

    def kubelet_gone(self, cluster_key: str, name: str) -> t.Any: ...

    def node_apply(self, cluster_key: str, name: str, labels: dict[str, str], taints: list[Taint]) -> t.Any: ...

    def ingress_ready(self, cluster_key: str, name: str) -> bool: ...

    def api_address(self, cluster_key: str) -> tuple[str, int] | None: ...


@dataclasses.dataclass
class Snapshot:
    """A world kept in memory."""

    states: list[State]
    etcd: list[Cluster]


class World:
    """The machines by instance id, and their etcd clusters."""

    def __init__(self, ledger: Ledger, loop: asyncio.AbstractEventLoop, kubernetes: Kubernetes | None) -> None:
        self.ledger, self.loop, self.kubernetes = ledger, loop, kubernetes
        self.nodes: dict[str, Node] = {}
        self.etcd = Etcd(self._etcd_runs)
        self._refresh: asyncio.Task[None] | None = None
        self._dirty = False

    async def pause(self, name: str, default: float) -> None:
        """Let a simulated process take its time."""
        await asyncio.sleep(self.ledger.delay(name, default))

    def by_address(self, target: str) -> Node | None:
        """The machine that has this address now, or this host name."""
        return next((node for node in self.nodes.values() if node.state.phase != "off" and target in (node.state.address, node.state.hostname)), None)

    # -- what machines see of each other ----------------------------------------------------------------------------

    def _etcd_runs(self, instance_id: str, member: int) -> bool:
        node = self.nodes.get(instance_id)
        return node is not None and node.state.up and node.state.etcd == "running" and node.state.member == member

    def trustd(self, ca: str, token: str) -> str:
        """The CA's key for a worker that knows the machine token, from a control plane that runs; "" while there is none."""
        for node in self.nodes.values():
            config = node.state.config if node.state.up and node.state.control_plane else None
            if config and config.machine_ca["crt"].decode() == ca and config.get("machine.token") == token:
                return config.machine_ca["key"].decode()
        return ""

    def api_runs(self, node: Node) -> bool:
        """Whether this machine's kube-apiserver works: it needs a voting member here and a leader."""
        state = node.state
        cluster = self.etcd.of(state.member) if state.up and state.etcd == "running" else None
        member = cluster.member(state.member) if cluster else None
        return cluster is not None and member is not None and not member.learner and self.etcd.quorum(cluster)

    def api_available(self, config: MachineConfig) -> bool:
        """Whether some control plane of this cluster, with the same Kubernetes CA, serves the API."""
        ca = (config.get("cluster.ca") or {}).get("crt")
        for node in self.nodes.values():
            theirs = node.state.config if self.api_runs(node) else None
            if theirs and theirs.cluster == config.cluster and (theirs.get("cluster.ca") or {}).get("crt") == ca:
                return True
        return False

    def ingress(self, node: Node) -> bool:
        """Whether the node ports of this machine lead to an ingress pod on it."""
        state, config = node.state, node.state.config
        if not (config and state.phase == "running" and state.ready and state.ingress):
            return False
        return self.kubernetes is None or self.kubernetes.ingress_ready(config.cluster, state.kubelet)

    def api_address(self, cluster: str) -> tuple[str, int] | None:
        """Where the Kubernetes part serves this cluster's API."""
        return self.kubernetes.api_address(cluster) if self.kubernetes else None

    def removed(self, member: int) -> None:
        """A member was removed from outside: its etcd stops for good, its data stays."""
        for node in self.nodes.values():
            if node.state.member == member:
                node.state.etcd = "removed"
                node.say("service[etcd](Failed): the member has been permanently removed from the cluster")
        self.changed()

    # -- ports follow the state -------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Something happened that may open or close ports."""
        self._dirty = True
        if self._refresh is None or self._refresh.done():
            self._refresh = self.loop.create_task(self._refresh_all())

    async def _refresh_all(self) -> None:
        while self._dirty:
            self._dirty = False
            for node in list(self.nodes.values()):
                await node.refresh()

    # -- power ------------------------------------------------------------------------------------------------------

    def power_on(self, state: State) -> None:
        """Boot a machine; one that is known keeps what is on its disk."""
        node = self.nodes.get(state.instance_id)
        if node is None:
            node = self.nodes[state.instance_id] = Node(self, state)
        if node.state.phase == "off":
            node.state.phase = "booting"
            node.live()

    def power_off(self, instance_id: str) -> None:
        """Cut the power: the kubelet falls silent."""
        node = self.nodes.get(instance_id)
        if node is None or node.state.phase == "off":
            return
        state, config = node.state, node.state.config
        node.down()
        if self.kubernetes and config and state.kubelet:
            state.silent = (config.cluster, state.kubelet)
            self.kubernetes.kubelet_ready(config.cluster, state.kubelet, False)
        state.phase, state.active, state.kubelet, state.ready, state.pair = "off", None, "", False, None
        state.cri = state.bootstrapping = False
        self.changed()

    def destroy(self, instance_id: str) -> None:
        """Cut the power and lose the disk."""
        self.power_off(instance_id)
        node = self.nodes.pop(instance_id, None)
        if node and node.state.silent and self.kubernetes:
            self.kubernetes.kubelet_gone(*node.state.silent)
        self.changed()

    # -- dump and restore -------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, t.Any]:
        nodes = sorted((node.state.public() for node in self.nodes.values()), key=lambda one: one["instance_id"])
        return {"nodes": nodes, "etcd": self.etcd.dump()}

    def snapshot(self) -> Snapshot:
        return Snapshot([copy.deepcopy(node.state) for node in self.nodes.values()], self.etcd.snapshot())

    async def restore(self, saved: Snapshot) -> None:
        """Put a world back: ports are closed and opened again to match, and every machine goes on from its phase."""
        await self.stop()
        self.etcd.restore(saved.etcd)
        self.nodes = {state.instance_id: Node(self, copy.deepcopy(state)) for state in saved.states}
        for node in self.nodes.values():
            node.live()
        # Secure ports are open before the caller goes on: what was running answers again.
        running = [node for node in self.nodes.values() if node.state.phase in ("running", "maintenance")]
        while any(node.listener is None or not node.listener.is_open for node in running if node.state.phase in ("running", "maintenance")):
            await asyncio.sleep(0.005)
        self.changed()
        await t.cast("asyncio.Task[None]", self._refresh)

    async def stop(self) -> None:
        """Close everything, once ports that are being opened are open."""
        if self._refresh:
            self._dirty = False
            await self._refresh
        for node in self.nodes.values():
            node.down()
        await asyncio.gather(*(node.task for node in self.nodes.values() if node.task), return_exceptions=True)
