# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of one simulated node: ledger and faults, routing by `node`/`nodes` metadata, authorization by role.

Order and texts as in Talos' internal/app/apid/pkg/director/director.go and internal/app/machined/pkg/system/services/machined.go.
"""

from __future__ import annotations

import asyncio
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.messages import METHODS, message
from google.protobuf.message import DecodeError
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from ..calls import PARKED_LOOK, Call
from .answers import ANSWERS, STREAMS

if t.TYPE_CHECKING:
    from .node import Node
    from .world import World

MACHINE = "/machine.MachineService/"
READERS = frozenset(("os:admin", "os:operator", "os:reader"))
ETCD_READERS = READERS | {"os:etcd:backup"}
ADMIN = frozenset(("os:admin",))
# Who may call what; anything else needs os:admin. ApplyConfiguration looks at the role itself (a reader may, in maintenance).
RULES: dict[str, frozenset[str]] = {
    MACHINE + "ApplyConfiguration": frozenset(("os:admin", "os:reader")),
    MACHINE + "Version": READERS,
    MACHINE + "Hostname": READERS,
    MACHINE + "ServiceList": READERS,
    MACHINE + "List": READERS,
    MACHINE + "Read": ADMIN,
    MACHINE + "Reboot": frozenset(("os:admin", "os:operator")),
    MACHINE + "EtcdMemberList": ETCD_READERS,
    MACHINE + "EtcdStatus": ETCD_READERS,
    MACHINE + "EtcdAlarmList": ETCD_READERS,
    "/cosi.resource.State/Get": READERS,
}
MUTATING = frozenset(
    MACHINE + name for name in ("ApplyConfiguration", "Reboot", "Bootstrap", "EtcdLeaveCluster", "EtcdForfeitLeadership", "EtcdRemoveMemberByID")
)
# What the separate maintenance server of Talos up to 1.12 implements.
OLD_MAINTENANCE = frozenset((MACHINE + "ApplyConfiguration", "/cosi.resource.State/Get"))
FAN_OUT = (MACHINE, "/cluster.ClusterService/", "/inspect.InspectService/", "/storage.StorageService/", "/time.TimeService/")


class Reset(Exception):
    """The connection is to be cut without an answer."""


def unknown(path: str) -> GRPCError:
    """What a Go server says to a method that it does not have."""
    service, _slash, method = path.lstrip("/").rpartition("/")
    known = any(one.startswith(f"/{service}/") for one in METHODS)
    text = f"unknown method {method} for service {service}" if known else f"unknown service {service}"
    return GRPCError(Status.UNIMPLEMENTED, text)


class Service:
    """Answers the calls that reach one node."""

    def __init__(self, world: World, node: Node) -> None:
        self.world, self.node = world, node
        self.busy = 0
        self.parked = 0
        self.applying = False

    async def serve(self, path: str, stream: Stream[t.Any, t.Any], granted: frozenset[str]) -> None:
        """One call from the wire: logged, delayed, faulted, answered."""
        data = await stream.recv_message() if path in METHODS or path in STREAMS else b""
        request = self._parse(path, data or b"")
        call = self.world.ledger.begin("talos", path.rpartition("/")[2], mutating=self._mutates(path, request), detail=self._detail(path, request, stream))
        self.busy += 1
        try:
            await self._keep(call, self.world.ledger.waits)
            await asyncio.sleep(call.delay)
            await self._fault_before(call.fault)
            try:
                reply = await self._route(path, request, t.cast(t.Any, stream.metadata), granted)
            except GRPCError:
                # A refusal is an answer, too.
                await self._hold_back(call)
                raise
            await self._hold_back(call)
            call.status = "OK"
            for message in reply if path in STREAMS else [reply.SerializeToString()]:
                await stream.send_message(message)
        except GRPCError as error:
            call.status = error.status.name
            raise
        except Reset:
            call.status = "reset"
            stream._stream._transport.abort()
        finally:
            self.busy -= 1
            self.world.ledger.end(call, call.status or "CANCELLED")

    def _parse(self, path: str, data: bytes) -> t.Any:
        if path in STREAMS:
            return data
        if path not in METHODS:
            return None
        request = message(METHODS[path][0])()
        try:
            request.ParseFromString(data)
        except DecodeError as error:
            raise GRPCError(Status.INTERNAL, f"grpc: error unmarshalling request: {error}") from None
        return request

    def _mutates(self, path: str, request: t.Any) -> bool:
        return path in MUTATING and not getattr(request, "dry_run", False)

    def _detail(self, path: str, request: t.Any, stream: Stream[t.Any, t.Any]) -> dict[str, t.Any]:
        """What tests need to know about a call; nothing of the configuration itself."""
        target = str(stream.metadata.get("node", "")) if stream.metadata else ""
        node = self.world.by_address(target) if target and self.node.state.up else self.node
        detail: dict[str, t.Any] = {
            "node": node.state.hostname if node else target,
            "address": node.state.address if node else target,
            "endpoint": self.node.state.address,
        }
        if path.endswith("/ApplyConfiguration"):
            detail |= {"mode": request.mode, "dry_run": request.dry_run, "bytes": len(request.data)}
        if path.endswith("/EtcdRemoveMemberByID"):
            detail["member"] = f"{request.member_id:016x}"
        if path.startswith("/cosi.") and request is not None:
            detail |= {"type": request.type, "id": request.id}
        return detail

    async def _fault_before(self, fault: t.Any) -> None:
        """Injected failures in which the node does nothing."""
        if fault is None:
            return
        if fault.kind == "error":
            raise GRPCError(Status.UNAVAILABLE, "injected: the service is unavailable")
        if fault.kind == "throttle":
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "injected: too many requests")
        if fault.kind == "timeout":
            await asyncio.sleep(fault.seconds)
            raise Reset

    async def _hold_back(self, call: Call) -> None:
        """Lose an answer or keep it for a while, as the fault says."""
        if call.fault and call.fault.kind == "lost_reply":
            raise Reset
        await self._keep(call, self.world.ledger.held)

    async def _keep(self, call: Call, kept: t.Callable[[Call], bool]) -> None:
        """Hold a call or its answer back while the fault says so, or until the caller is gone."""
        self.parked += 1
        try:
            while kept(call):
                await asyncio.sleep(PARKED_LOOK)
        finally:
            self.parked -= 1

    # -- routing ----------------------------------------------------------------------------------------------------

    async def _route(self, path: str, request: t.Any, metadata: t.Any, granted: frozenset[str]) -> t.Any:
        """Answer here, or relay to the nodes that the metadata names. A machine in maintenance does not look at it."""
        nodes, node = metadata.getall("nodes", []), metadata.getall("node", [])
        if not self.node.state.up or not (nodes or node):
            return await self.answer(path, request, granted)
        if len(node) > 1:
            raise GRPCError(Status.INVALID_ARGUMENT, "node metadata must be single-valued")
        own = not self.node.state.control_plane
        if own and (nodes or node) in ([self.node.state.address], ["127.0.0.1"], [self.node.state.hostname]):
            return await self.answer(path, request, granted)
        if nodes and not path.startswith(FAN_OUT):
            raise GRPCError(Status.INVALID_ARGUMENT, f"one-2-many proxying is not supported for method {path}")
        if own:
            raise GRPCError(Status.PERMISSION_DENIED, "no request forwarding")
        if nodes and path in STREAMS:
            raise GRPCError(Status.UNIMPLEMENTED, "streams of several nodes are not simulated")
        return await self._fan_out(path, request, granted, nodes) if nodes else await self._relay(path, request, granted, node[0])

    async def _relay(self, path: str, request: t.Any, granted: frozenset[str], target: str) -> t.Any:
        """Call another node with the credentials that the nodes of a cluster share, and the caller's roles."""
        other = self.world.by_address(target)
        dial = f'connection error: desc = "transport: Error while dialing: dial tcp {target}:50000: connect: connection refused"'
        if other is None or other.listener is None:
            raise GRPCError(Status.UNAVAILABLE, dial)
        mine, theirs = self.node.state.config, other.state.config
        if theirs is None or not other.state.up or theirs.machine_ca["crt"] != mine.machine_ca["crt"]:  # type: ignore[union-attr]
            reason = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
            raise GRPCError(Status.UNAVAILABLE, f'connection error: desc = "transport: authentication handshake failed: {reason}"')
        return await other.service.answer(path, request, granted)

    async def _fan_out(self, path: str, request: t.Any, granted: frozenset[str], targets: list[str]) -> t.Any:
        """One message per node; a node's failure is in its message's metadata."""
        if path not in METHODS:
            raise unknown(path)
        reply = message(METHODS[path][1])()
        for target in targets:
            try:
                messages = (await self._relay(path, request, granted, target)).messages
            except GRPCError as error:
                failed = reply.messages.add()
                failed.metadata.error = f"rpc error: code = {error.status.name.title().replace('_', '')} desc = {error.message}"
                failed.metadata.status.code, failed.metadata.status.message = error.status.value, error.message or ""
                messages = []
            for one in messages:
                reply.messages.add().CopyFrom(one)
            reply.messages[-1].metadata.hostname = target
        return reply

    async def answer(self, path: str, request: t.Any, granted: frozenset[str]) -> t.Any:
        """Authorize and answer on this node."""
        old = not self.node.state.up and self.node.state.version < (1, 13)
        if old and (path in METHODS or path in STREAMS) and path not in OLD_MAINTENANCE:
            raise GRPCError(Status.UNIMPLEMENTED, "API is not implemented in maintenance mode")
        if not old and not RULES.get(path, ADMIN) & granted:
            raise GRPCError(Status.PERMISSION_DENIED, "not authorized")
        found = ANSWERS.get(path) or STREAMS.get(path)
        if found is None:
            raise unknown(path)
        return await found(self.node, request, granted)
