# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of one simulated machine: from power on through maintenance and installation to a running node.

Each phase is one coroutine that ends by naming the next; a restored world goes on where it stood, at the start of a phase.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import typing as t
import uuid

from cryptography import x509

from ..kubernetes.errors import ApiError
from ..pki import Pair, authority, issue
from . import config as machine
from .decode import ConfigError
from .etcd import EtcdError
from .listener import Listener, fingerprint, roles
from .ports import Ports
from .service import Service
from .state import State

if t.TYPE_CHECKING:
    from .world import World

READER = frozenset({"os:reader"})
API_SERVER_PORT = 6443
NODE_PORTS = (30080, 30443, 31080, 31443)
# How often a waiting machine looks again; real ones take seconds.
LOOK = 0.05
# A server that stops lets calls end that it has accepted.
GRACE = 1.0


class Node:
    """A machine that lives on the world's loop."""

    def __init__(self, world: World, state: State) -> None:
        self.world, self.state = world, state
        self.service = Service(world, self)
        self.configured = asyncio.Event()
        self.listener: Listener | None = None
        self.ports = Ports(state.address)
        self.task: asyncio.Task[None] | None = None
        self._phases: dict[str, t.Callable[[], t.Awaitable[str]]] = {
            "booting": self._boot,
            "maintenance": self._maintenance,
            "installing": self._install,
            "rebooting": self._reboot,
            "starting": self._start,
            "running": self._run,
        }

    # -- power ------------------------------------------------------------------------------------------------------

    def live(self) -> None:
        """Go on from the current phase."""
        self.configured.clear()
        self.task = self.world.loop.create_task(self._live())
        self.task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self.world.loop.call_exception_handler({"message": f"simulated node {self.state.instance_id} died", "exception": error})

    async def _live(self) -> None:
        while self.state.phase in self._phases:
            self.state.phase = await self._phases[self.state.phase]()

    def down(self) -> None:
        """Cut everything, as when power goes."""
        if self.task:
            self.task.cancel()
        self.close()

    def close(self) -> None:
        """Close every port and connection."""
        if self.listener:
            self.listener.close()
            self.listener = None
        self.ports.close()

    def restart(self) -> None:
        """Reboot: calls in flight are answered, then everything in memory is lost."""
        if self.task:
            self.task.cancel()
        self.state.phase = "rebooting"
        self.live()

    def say(self, *lines: str) -> None:
        """Write to the serial console."""
        self.state.console += [f"[talos] {line}" for line in lines]

    # -- phases -----------------------------------------------------------------------------------------------------

    async def _boot(self) -> str:
        state = self.state
        state.active, state.pair, state.ready = None, None, False
        state.boot = str(uuid.uuid4())
        state.cri = state.bootstrapping = False
        self.say(f"[initramfs] booting Talos {state.talos}", "platform information: aws")
        await self.world.pause("talos.boot", 0.4)
        if state.persisted is None and state.user_data.strip():
            return self._user_data()
        return "starting" if state.persisted is not None else "maintenance"

    def _user_data(self) -> str:
        """A configuration in the user data is used; a wrong one is an error for ever, not a reason for maintenance."""
        data = self.state.user_data
        try:
            data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
            config = machine.load(data, self.state.version)
            machine.validate(config, self.state.version)
        except (OSError, ConfigError) as error:
            self.say(f"failed to load config from platform aws: {error}")
            return "broken"
        if not config.complete:
            return "maintenance"
        self.state.persisted = data
        return "starting"

    async def _maintenance(self) -> str:
        if self.state.pair is None:
            self.rekey()
        await self.listen()
        await self.configured.wait()
        return "installing"

    def rekey(self) -> None:
        """A throw-away CA's new server certificate, told on the console (as every 12 hours, or when an address changes)."""
        state = self.state
        ca = authority("talos", ed=True)
        names = ["localhost", "ip-" + state.address.replace(".", "-")]
        addresses = [state.address, "127.0.0.1", "::1"]
        state.pair = issue(ca, common_name="maintenance-service.talos.dev", addresses=addresses, names=names, server=True)
        if not state.impostor:
            self._announce(fingerprint(state.pair.crt))

    def _announce(self, value: str) -> None:
        controller = "MaintenanceServiceController" if self.state.version < (1, 13) else "MaintenanceServiceInformController"
        tags = json.dumps({"component": "controller-runtime", "controller": f"runtime.{controller}", "fingerprint": value})
        apply = f"\ttalosctl apply-config --insecure --nodes {self.state.address}"
        self.say(
            "this machine is reachable at:",
            f"\t{self.state.address}",
            f"server certificate issued {tags}",
            "upload configuration using talosctl:",
            f"{apply} --file <config.yaml>",
            "optionally with node fingerprint check:",
            f"{apply} --cert-fingerprint '{value}' --file <config.yaml>",
        )

    async def _install(self) -> str:
        """The port of maintenance mode stays open for a while after the configuration was taken."""
        seconds = self.world.ledger.delay("talos.install", 0.6)
        if self.listener is None:
            await self.listen()
        await asyncio.sleep(seconds / 2)
        await self._drain_calls()
        self.say("leaving maintenance service")
        self.close()
        await asyncio.sleep(seconds / 2)
        return "rebooting"

    async def _drain_calls(self) -> None:
        """Let accepted calls be answered, however long one is parked."""
        looks = round(GRACE / LOOK)
        while self.service.busy and (looks > 0 or self.service.parked):
            looks -= 1
            await asyncio.sleep(LOOK / 5)
        await asyncio.sleep(LOOK / 5)

    async def _reboot(self) -> str:
        self.say("rebooting")
        await self._drain_calls()
        self.close()
        config = self.state.config
        if config and self.state.kubelet and self.world.kubernetes:
            # Its pods stay where they are; Kubernetes notices after a while that nobody reports on them.
            self.world.kubernetes.kubelet_ready(config.cluster, self.state.kubelet, False)
        self.state.kubelet = ""
        self.world.changed()
        return "booting"

    async def _start(self) -> str:
        """Secure API, container runtime, etcd, kubelet: stage booting until all of it is up."""
        state = self.state
        if state.active is None:
            state.active = state.persisted
            state.etcd = "waiting" if state.control_plane and state.etcd not in ("removed",) else state.etcd
        config = t.cast(machine.MachineConfig, state.config)
        state.pair = state.pair if state.pair and self._secure(state.pair) else await self._certificate(config)
        await self.listen()
        await self.world.pause("talos.cri", 0.1)
        state.cri = True
        if config.type == "controlplane":
            await self._etcd(config)
        await self._until(lambda: self.world.api_available(config) and state.etcd in ("", "running"))
        await self._kubelet(config)
        return "running"

    def _secure(self, pair: Pair) -> bool:
        return "maintenance-service" not in x509.load_pem_x509_certificate(pair.crt.encode()).subject.rfc4514_string()

    async def _certificate(self, config: machine.MachineConfig) -> Pair:
        """The API certificate: control planes issue their own, workers ask a control plane's trustd."""
        state = self.state
        crt, key = config.machine_ca["crt"].decode(), config.machine_ca["key"].decode()
        if config.type == "worker":
            key = await self._until(lambda: self.world.trustd(crt, config.get("machine.token")))
        names = sorted({state.hostname, state.fqdn})
        return issue(Pair(crt, key), common_name=state.fqdn, addresses=[state.address, "127.0.0.1"], names=names, server=True)

    async def _etcd(self, config: machine.MachineConfig) -> None:
        """Go on as the member whose data is here, or wait to be bootstrapped or let in as a learner."""
        state, etcd = self.state, self.world.etcd
        if state.member and not etcd.of(state.member):
            state.etcd = "removed"
        if state.etcd == "removed":
            self.say("service[etcd](Failed): the member has been permanently removed from the cluster")
            return
        if not state.member:
            self.say("etcd is waiting to join the cluster, if this node is the first node in the cluster, please run `talosctl bootstrap`")
            await self._until(lambda: state.bootstrapping or self._join(config))
        if not state.member:
            await self._new_cluster(config)
        member = t.cast(t.Any, etcd.of(state.member)).member(state.member)
        member.name, state.etcd = state.hostname, "running"
        self.world.changed()
        if member.learner:
            await self.world.pause("talos.join", 0.5)
            await self._until(lambda: etcd.promote(state.member) or state.etcd != "running")
        self.world.changed()

    async def _new_cluster(self, config: machine.MachineConfig) -> None:
        """Start etcd as the first member, whatever other control planes do. Until it runs there is nothing to be seen of it."""
        state = self.state
        await self.world.pause("talos.etcd", 0.2)
        state.member = self.world.etcd.bootstrap(config.etcd_key, state.instance_id, state.address, state.hostname).id
        state.bootstrapping = False

    def _join(self, config: machine.MachineConfig) -> bool:
        """One try to become a learner of a running cluster."""
        for cluster in self.world.etcd.joinable(config.etcd_key):
            try:
                self.state.member = self.world.etcd.add_learner(cluster, self.state.instance_id, self.state.address, self.state.hostname).id
                return True
            except EtcdError:
                continue
        return False

    async def _kubelet(self, config: machine.MachineConfig) -> None:
        """Register the Node object; Talos adds its own labels and taints after that, where Kubernetes lets the node do so."""
        state, kubernetes = self.state, self.world.kubernetes
        state.kubelet = (state.fqdn if config.with_fqdn else state.hostname).lower()
        if not kubernetes:
            return
        provider = f"aws:///{state.az}/{state.instance_id}"
        try:
            birth = (machine.birth_labels(config), machine.birth_taints(config))
            kubernetes.kubelet_register(config.cluster, state.kubelet, state.address, provider, *birth, f"Talos ({state.talos})")
        except ApiError as error:
            # Labels or taints no kubelet may give itself: it does not start, and the machine goes on without a Node.
            self.say(f"service[kubelet](Failed): {error}")
            return
        labels, taints = machine.later_labels(config), machine.later_taints(config)
        if config.type == "worker" and (taints or any(machine.restricted(label) for label in labels)):
            self.say(f'nodes "{state.kubelet}" is forbidden: node "{state.kubelet}" is not allowed to modify taints or restricted labels')
        elif labels or taints:
            kubernetes.node_apply(config.cluster, state.kubelet, labels, taints)

    async def _run(self) -> str:
        """Running; the node is Ready after a while, and its node ports answer from then on."""
        state = self.state
        config = t.cast(machine.MachineConfig, state.config)
        if self.listener is None:
            await self.listen()
        self.world.changed()
        if not state.ready:
            await self.world.pause("kubelet.ready", 0.6)
            state.ready = True
            if self.world.kubernetes:
                self.world.kubernetes.kubelet_ready(config.cluster, state.kubelet, True)
        self.say("machine is running and ready")
        self.world.changed()
        await asyncio.Event().wait()
        return "running"

    # -- ports ------------------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Open the API port as the phase wants it: without client authentication in maintenance, with it later."""
        if self.listener:
            self.listener.close()
        if self.state.up:
            config = t.cast(machine.MachineConfig, self.state.config)
            accepted = [item["crt"] for item in config.get("machine.acceptedCAs") or []]
            client_ca = b"\n".join([config.machine_ca["crt"], *accepted]).decode()
            self.listener = Listener(self.state.address, self.service.serve, exact_usage=self.state.version >= (1, 12), granted=roles)
        else:
            client_ca = ""
            self.listener = Listener(self.state.address, self.service.serve, exact_usage=False, granted=lambda _certificate: READER)
        await self.listener.open(t.cast(Pair, self.state.pair), client_ca)

    async def refresh(self) -> None:
        """Open and close the Kubernetes API's port and the node ports to match the state of etcd and kubelet."""
        config = self.state.config if self.state.up else None
        address = self.world.api_address(config.cluster) if config else None
        await self.ports.forward(API_SERVER_PORT, address if config and self.world.api_runs(self) else None)
        ready = self.state.phase == "running" and self.state.ready
        for port in NODE_PORTS:
            await self.ports.answer(port, f"{self.state.hostname}\n" if ready else None, lambda: self.world.ingress(self))

    async def _until(self, look: t.Callable[[], t.Any]) -> t.Any:
        """Look until there is something."""
        while not (found := look()):
            await asyncio.sleep(LOOK)
        return found


def text(data: str | bytes) -> bytes:
    """User data as the machine sees it: plain, whether or not it came in EC2's base64."""
    raw = data.encode() if isinstance(data, str) else data
    try:
        return base64.b64decode(raw, validate=True) if raw else b""
    except ValueError:
        return raw
