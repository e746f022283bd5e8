# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the Talos simulator share: a cluster's secrets, machines without EC2, and a bare gRPC client."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import ssl
import time
import typing as t

import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.messages import METHODS, message
from google.protobuf import any_pb2
from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod

from tests.sandbox import pki
from tests.sandbox.calls import Ledger
from tests.sandbox.configs import ClusterSecrets, machine_config, new_secrets
from tests.sandbox.loop import LoopThread
from tests.sandbox.machines import VM, Machines

# Sandboxes use lower networks; see sandbox.NETWORKS.
NETWORKS = range(240, 255)
CLAIM_PORT = 50009
MACHINE = "/machine.MachineService/"
MODES = {"REBOOT": 0, "AUTO": 1, "NO_REBOOT": 2, "STAGED": 3, "TRY": 4}
PATIENCE = 15.0


def _claim() -> tuple[str, socket.socket]:
    """A network that no other test process uses now; the socket keeps it."""
    for number in NETWORKS:
        lock = socket.socket()
        try:
            lock.bind((f"127.{number}.0.9", CLAIM_PORT))
            lock.listen()
            return f"127.{number}", lock
        except OSError:
            lock.close()
    raise RuntimeError("no free network for the tests of the Talos simulator")


PREFIX, _LOCK = _claim()


@dataclasses.dataclass
class FakeKubernetes:
    """Records what kubelets do."""

    registered: dict[str, tuple[t.Any, ...]] = dataclasses.field(default_factory=dict)
    ready: dict[str, bool] = dataclasses.field(default_factory=dict)
    applied: dict[str, tuple[t.Any, ...]] = dataclasses.field(default_factory=dict)
    gone: list[str] = dataclasses.field(default_factory=list)
    without_ingress: set[str] = dataclasses.field(default_factory=set)
    address: tuple[str, int] | None = None

    def kubelet_register(
        self, cluster_key: str, name: str, address: str, provider_id: str, labels: dict[str, str], taints: list[dict[str, str]], os_image: str
    ) -> None:
        self.registered[name] = (cluster_key, address, provider_id, labels, taints, os_image)

    def kubelet_ready(self, cluster_key: str, name: str, ready: bool) -> None:
        self.ready[name] = ready

    def kubelet_gone(self, cluster_key: str, name: str) -> None:
        self.gone.append(name)

    def node_apply(self, cluster_key: str, name: str, labels: dict[str, str], taints: list[dict[str, str]]) -> None:
        self.applied[name] = (labels, taints)

    def ingress_ready(self, cluster_key: str, name: str) -> bool:
        return name not in self.without_ingress

    def api_address(self, cluster_key: str) -> tuple[str, int] | None:
        return self.address


def insecure(alpn: bool = True) -> ssl.SSLContext:
    """A client that does not look at the server's certificate, as in maintenance mode."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(["h2"])
    return context


def secure(secrets: ClusterSecrets, roles: t.Sequence[str] = ("os:admin",), **usage: t.Any) -> ssl.SSLContext:
    """A client with a certificate of the cluster's Talos CA."""
    pair = pki.issue(secrets.talos.ca, organizations=list(roles), **{"client": True, **usage})
    return pki.client_context(secrets.talos.ca.crt, pair, alpn=["h2"])


class Kit:
    """Machines on a loop of their own, and calls to them."""

    def __init__(self, talos: str = "v1.13.9") -> None:
        self.loop = LoopThread()
        self.loop.start()
        self.ledger = Ledger()
        self.ledger.delays["*"] = 0.0
        self.kubernetes = FakeKubernetes()
        self.machines = Machines(self.ledger, self.loop, self.kubernetes, {"ami-1": talos})
        self.talos = talos

    def close(self) -> None:
        self.machines.stop()
        self.loop.stop()

    def vm(self, number: int, user_data: str | bytes = "") -> VM:
        return VM(f"i-{number:017x}", f"{PREFIX}.10.{number}", "eu-west-1a", "ami-1", {}, user_data)

    def boot(self, number: int, user_data: str | bytes = "", until: str = "maintenance") -> str:
        """Power a machine on; its address once it is in that phase."""
        self.machines.power_on(self.vm(number, user_data))
        address = f"{PREFIX}.10.{number}"
        self.reach(address, until)
        return address

    def state(self, address: str) -> t.Any:
        return self.machines._node(address).state

    def reach(self, address: str, phase: str) -> None:
        """Wait for a phase with its port in place; a machine that was faster than we look has been there."""
        node = self.machines._node(address)
        phases = ("starting", "running") if phase == "starting" else (phase,)
        self.wait(lambda: node.state.phase in phases and (phase in ("booting", "broken") or (node.listener and node.listener.is_open)))

    def wait(self, look: t.Callable[[], t.Any]) -> t.Any:
        """Look until there is something."""
        deadline = time.monotonic() + PATIENCE
        while not (found := look()):
            assert time.monotonic() < deadline, "nothing came of the wait"
            time.sleep(0.005)
        return found

    def call(
        self, address: str, method: str, context: ssl.SSLContext, metadata: t.Any = None, *, request: t.Any = None, patience: float = 10, **fields: t.Any
    ) -> t.Any:
        """One call; GRPCError, OSError or grpclib's own errors as they come; asyncio.TimeoutError after `patience` seconds."""
        path = method if method.startswith("/") else MACHINE + method
        names = METHODS.get(path, ("google.protobuf.Empty", "google.protobuf.Empty"))
        classes = [message(name) for name in names]

        async def work() -> t.Any:
            channel = Channel(address, 50000, ssl=context)
            try:
                stub = UnaryUnaryMethod(channel, path, *classes)
                return await asyncio.wait_for(stub(request or classes[0](**fields), metadata=metadata), patience)
            finally:
                channel.close()
                await asyncio.sleep(0)

        return asyncio.run(work())

    def stream(self, address: str, method: str, context: ssl.SSLContext, metadata: t.Any = None, root: str = "") -> list[bytes]:
        """A call that is answered with a stream of common.Data; the bytes of each. Or of FileInfo about what is in `root`; the names, as bytes.

        `root` is also the path of the file to read.
        """

        async def work() -> list[bytes]:
            channel = Channel(address, 50000, ssl=context)
            try:
                # Any has its value where common.Data has its bytes and FileInfo its name, and its type where ListRequest has its root.
                stub = UnaryStreamMethod(channel, MACHINE + method, any_pb2.Any, any_pb2.Any)
                return [one.value for one in await asyncio.wait_for(stub(any_pb2.Any(type_url=root), metadata=metadata), 10)]
            finally:
                channel.close()
                await asyncio.sleep(0)

        return asyncio.run(work())

    def resource(self, address: str, context: ssl.SSLContext, kind: str, name: str, namespace: str = "runtime", metadata: t.Any = None) -> t.Any:
        """One COSI resource."""
        return self.call(address, "/cosi.resource.State/Get", context, metadata, namespace=namespace, type=kind, id=name).resource

    def status(self, address: str, context: ssl.SSLContext) -> t.Any:
        """The MachineStatus spec."""
        resource = self.resource(address, context, "MachineStatuses.runtime.talos.dev", "machine")
        return message("talos.resource.definitions.runtime.MachineStatusSpec").FromString(resource.spec.proto_spec)

    def apply(self, address: str, context: ssl.SSLContext, data: str, mode: str = "AUTO", **fields: t.Any) -> t.Any:
        """ApplyConfiguration's one message."""
        return self.call(address, "ApplyConfiguration", context, data=data.encode(), mode=MODES[mode], **fields).messages[0]

    # -- clusters ---------------------------------------------------------------------------------------------------

    def cluster(self, control_planes: int = 1, secrets: ClusterSecrets | None = None) -> ClusterSecrets:
        """A running cluster: machines 1, 2, ... are its control planes, named cp-1, cp-2, ..."""
        secrets = secrets or cluster_secrets(self.talos)
        for number in range(1, control_planes + 1):
            address = self.boot(number, edit(machine_config(secrets, "controlplane"), hostname=f"cp-{number}"), "starting")
            if number == 1:
                self.machines.bootstrap(address)
            self.reach(address, "running")
            self.wait(lambda: self.state(address).ready)  # noqa: B023 - waited for in this turn
        return secrets

    def members(self, address: str, context: ssl.SSLContext, **fields: t.Any) -> list[t.Any]:
        return list(self.call(address, "EtcdMemberList", context, **fields).messages[0].members)


def cluster_secrets(talos: str = "v1.13.9", name: str = "fargle") -> ClusterSecrets:
    """Secrets with an endpoint that no test uses; single-document style so that tests can edit one document."""
    return new_secrets(name, f"https://{PREFIX}.1.1:6443", talos_version="v1.11.6", kubernetes_version="v1.34.2")


def edit(text: str, hostname: str = "", **machine: t.Any) -> str:
    """A single-document configuration with a host name and other keys of `machine`."""
    document = yaml.safe_load(text)
    if hostname:
        document["machine"]["network"] = {"hostname": hostname}
        document["machine"]["features"].pop("stableHostname", None)
    document["machine"].update(machine)
    return yaml.safe_dump(document, sort_keys=False)
