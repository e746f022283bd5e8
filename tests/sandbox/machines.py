# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines behind the virtual machines: one simulated Talos node per instance, driven by the AWS part.

Every method may be called from any thread but the loop's own; `answers` and `console` from there too.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .calls import Ledger
from .loop import LoopThread
from .talos.etcd import EtcdError
from .talos.listener import API_PORT
from .talos.node import NODE_PORTS, text
from .talos.state import State
from .talos.world import Kubernetes, Snapshot, World

NEWEST = "v1.13.9"


@dataclasses.dataclass
class VM:
    """A virtual machine as EC2 describes it. user_data: plain, base64 or gzip."""

    instance_id: str
    private_ip: str
    az: str
    image_id: str
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    user_data: str | bytes = b""


class Machines:
    """Power, ports, console and inspection of all machines.

    images: image id -> Talos version (`v1.11.6`); an image that is not in it boots the newest.
    """

    def __init__(self, ledger: Ledger, loop: LoopThread, kubernetes: Kubernetes | None = None, images: dict[str, str] | None = None) -> None:
        self._loop = loop
        self.images = images if images is not None else {}
        self.world = World(ledger, loop.loop, kubernetes)

    def _run(self, work: t.Callable[[], t.Any]) -> t.Any:
        """Do work on the loop and wait for it."""

        async def call() -> t.Any:
            return work()

        return self._loop.run(call())

    def start(self) -> None:
        """Nothing runs until a machine is powered on."""

    def stop(self) -> None:
        """Close every port."""
        self._loop.run(self.world.stop())

    # -- power ------------------------------------------------------------------------------------------------------

    def power_on(self, vm: VM) -> None:
        """Boot; a machine that was powered on before keeps its disk."""
        state = State(vm.instance_id, vm.private_ip, vm.az, self.images.get(vm.image_id, NEWEST), text(vm.user_data))
        self._run(lambda: self.world.power_on(state))

    def power_off(self, instance_id: str) -> None:
        """Cut the power; unknown machines are ignored."""
        self._run(lambda: self.world.power_off(instance_id))

    def destroy(self, instance_id: str) -> None:
        """Cut the power and throw the disk away."""
        self._run(lambda: self.world.destroy(instance_id))

    # -- what is seen from outside ----------------------------------------------------------------------------------

    def console(self, instance_id: str) -> str:
        """The serial console's text so far, "" for an unknown machine."""
        node = self.world.nodes.get(instance_id)
        return "".join(f"{line}\r\n" for line in node.state.console) if node else ""

    def answers(self, ip: str, port: int) -> bool:
        """Whether a machine would answer there; makes no connection."""
        for node in [node for node in list(self.world.nodes.values()) if node.state.address == ip]:
            if port == API_PORT:
                return node.listener is not None and node.listener.is_open
            return port in node.ports.open and (port not in NODE_PORTS or self.world.ingress(node))
        return False

    def api_runs(self, cluster: str) -> bool:
        """Whether some control plane runs the API server of the cluster of this name; may be asked from any thread."""
        nodes = [node for node in list(self.world.nodes.values()) if node.state.etcd == "running"]
        return any(node.state.config is not None and node.state.config.cluster == cluster and self.world.api_runs(node) for node in nodes)

    def nodes(self) -> list[dict[str, t.Any]]:
        """All machines, without secrets, by instance id."""
        return list(self.dump()["nodes"])

    def config_of(self, name: str) -> str | None:
        """The stored configuration of a machine by host name, instance id or address: the bytes that were sent."""
        for node in list(self.world.nodes.values()):
            if name in (node.state.instance_id, node.state.address, node.state.hostname, node.state.fqdn) and node.state.persisted is not None:
                return node.state.persisted.decode()
        return None

    # The control API's word for it.
    config = config_of

    def ingress_ready(self, name: str) -> bool:
        """Whether the node ports of a machine answer: it is Ready and ingress pods run on it."""
        node = self._node(name)
        return node is not None and self.world.ingress(node)

    # -- what tests and the seed do ---------------------------------------------------------------------------------

    def _node(self, name: str) -> t.Any:
        found = (node for node in list(self.world.nodes.values()) if name in (node.state.instance_id, node.state.address, node.state.hostname))
        return next(found, None)

    def set_ingress(self, name: str, present: bool) -> None:
        """False: the node ports of a machine lead nowhere, whatever pods run on it."""
        self._node(name).state.ingress = present

    def bootstrap(self, name: str) -> None:
        """`talosctl bootstrap` against a machine that waits for it; ValueError when it already has etcd data."""

        def work() -> None:
            state = self._node(name).state
            if state.member or not state.up:
                raise ValueError(f"{name}: not waiting to be bootstrapped ({state.phase}, etcd {state.etcd or 'none'})")
            state.bootstrapping = True

        self._run(work)

    def rekey(self, name: str) -> None:
        """A new maintenance certificate, as after 12 hours; the console tells its fingerprint."""

        async def work() -> None:
            node = self._node(name)
            node.rekey()
            await node.listen()

        self._loop.run(work())

    def impersonate(self, name: str) -> None:
        """Someone else answers on a machine's address in maintenance: another certificate, not told on the console."""

        async def work() -> None:
            node = self._node(name)
            node.state.impostor = True
            node.rekey()
            await node.listen()

        self._loop.run(work())

    def stolen(self, name: str) -> list[str]:
        """Configurations that an impostor was given."""
        return [data.decode() for data in self._node(name).state.stolen]

    def set_alarm(self, name: str, alarm: int) -> None:
        """Raise an etcd alarm (1 NOSPACE, 2 CORRUPT) on a control plane, 0 clears its alarms."""

        def work() -> None:
            member = self._node(name).state.member
            cluster = self.world.etcd.of(member)
            if cluster is None:
                raise EtcdError(f"{name} is no member")
            cluster.alarms = [one for one in cluster.alarms if one[0] != member] + ([(member, alarm)] if alarm else [])

        self._run(work)

    # -- the world --------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, t.Any]:
        """Machines and etcd clusters as plain data."""
        return dict(self._run(self.world.dump))

    def snapshot(self) -> Snapshot:
        """A copy of everything, for restore()."""
        return t.cast(Snapshot, self._run(self.world.snapshot))

    def restore(self, saved: Snapshot) -> None:
        """Put a snapshot back; ports are open again when this returns."""
        self._loop.run(self.world.restore(saved), timeout=60)
