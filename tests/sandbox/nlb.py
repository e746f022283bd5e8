# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data plane of network load balancers: TCP forwarders and health checks, all on one asyncio loop.

It knows nothing of AWS: it is shown a View (who listens where, who gets new connections, whom to check) and reports
what the health checks found. Whoever shows it a View decides about health, draining and failing open.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import socket
import ssl
import struct
import typing as t

LOG = logging.getLogger(__name__)
CONNECT_TIMEOUT = 2.0
# How long a health check waits for the connection it made to be cut.
CUT_TIMEOUT = 0.05
# Where a listener goes whose port only root may use, when we are not root.
UNPRIVILEGED_OFFSET = 30000
# Health checks are never closer together than this, whatever the sandbox's delays are.
SHORTEST_INTERVAL = 0.05


@dataclasses.dataclass(frozen=True)
class Target:
    """Where connections go; key identifies the target across views. keeps_client: it sees its clients' addresses, so it cannot be its own client."""

    key: str
    ip: str
    port: int
    keeps_client: bool = False


@dataclasses.dataclass(frozen=True)
class Listener:
    """A listening address and the targets that get its new connections; none = connections are reset."""

    address: str
    port: int
    targets: tuple[Target, ...]


@dataclasses.dataclass(frozen=True)
class Probe:
    """A health check: TCP connect, or a GET of path answered with a status in codes ((first, last), ...)."""

    key: str
    ip: str
    port: int
    protocol: str = "TCP"
    path: str = "/"
    codes: tuple[tuple[int, int], ...] = ((200, 399),)


@dataclasses.dataclass(frozen=True)
class View:
    """Everything the data plane does. cut: keys of targets whose connections end at once."""

    listeners: tuple[Listener, ...] = ()
    probes: tuple[Probe, ...] = ()
    cut: frozenset[str] = frozenset()
    interval: float = 0.25


# key -> "" (healthy), "failed" (refused, reset, wrong answer) or "timeout"
Results = dict[str, str]
Address = tuple[str, int]


class DataPlane:
    """Forward and check until closed. show() may be called from any thread; report is called on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: t.Callable[[Results], None]) -> None:
        self._loop = loop
        self._report = report
        self._view = View()
        self._listeners: dict[Address, Listener] = {}
        self._servers: dict[Address, asyncio.Server] = {}
        self._turns: dict[Address, t.Iterator[int]] = {}
        self._connections: dict[str, set[_Client]] = {}
        self._accepted: dict[Address, set[_Client]] = {}
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        # (address, port) as asked for -> port really bound
        self.bound: dict[Address, int] = {}

    def start(self) -> None:
        """Begin; called from another thread than the loop's."""
        self._on_loop(self._begin())

    def stop(self) -> None:
        """Close every listener and connection; called from another thread than the loop's."""
        self._on_loop(self._end())

    def show(self, view: View) -> None:
        """Do this from now on."""
        self._loop.call_soon_threadsafe(self._take, view)

    def _on_loop(self, work: t.Coroutine[t.Any, t.Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    def _take(self, view: View) -> None:
        self._view = view
        self._changed.set()

    async def _begin(self) -> None:
        self._tasks = [self._loop.create_task(self._serve()), self._loop.create_task(self._check())]

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._view = View()
        await self._reconcile()
        self._cut(list(self._connections))

    # Listeners

    async def _serve(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._reconcile()
            self._cut(self._view.cut)

    async def _reconcile(self) -> None:
        wanted = {(one.address, one.port): one for one in self._view.listeners}
        self._listeners = wanted
        for gone in [address for address in self._servers if address not in wanted]:
            self._servers.pop(gone).close()
            self.bound.pop(gone, None)
            for client in list(self._accepted.pop(gone, set())):
                client.cut()
        for new in [address for address in wanted if address not in self._servers]:
            await self._open(new)

    async def _open(self, address: Address) -> None:
        """Listen; a port that only root may bind is moved up (self.bound says where to)."""
        host, port = address
        for actual in (port, port + UNPRIVILEGED_OFFSET):
            try:
                server = await self._loop.create_server(lambda: _Client(self, address), host, actual)
            except PermissionError:
                continue
            except OSError as error:
                # The next view tries again: a restored world may listen where the old one has not let go yet.
                LOG.warning("load balancer cannot listen on %s:%s: %s", host, actual, error)
                self._loop.call_later(0.2, self._changed.set)
                return
            self._servers[address], self.bound[address] = server, actual
            return

    def _pick(self, address: Address) -> Target | None:
        listener = self._listeners.get(address)
        if listener is None or not listener.targets:
            return None
        turn = self._turns.setdefault(address, itertools.count())
        return listener.targets[next(turn) % len(listener.targets)]

    def keep(self, client: _Client, address: Address) -> Target | None:
        """Who gets a new connection; it is known here from now on."""
        target = self._pick(address)
        if target:
            client.kept_in = (self._connections.setdefault(target.key, set()), self._accepted.setdefault(address, set()))
            for connections in client.kept_in:
                connections.add(client)
        return target

    def _cut(self, keys: t.Iterable[str]) -> None:
        for key in keys:
            for client in list(self._connections.get(key, ())):
                client.cut()

    # Health checks

    async def _check(self) -> None:
        while True:
            probes, started = self._view.probes, self._loop.time()
            found = await asyncio.gather(*(_probe(probe) for probe in probes))
            if probes:
                self._report(dict(zip((probe.key for probe in probes), found, strict=True)))
            # Of hundreds of targets the checks themselves take long: the loop is needed for the nodes, too.
            await asyncio.sleep(max(self._view.interval, SHORTEST_INTERVAL, self._loop.time() - started))


class _Side(asyncio.Protocol):
    """One side of a forwarded connection: what comes in goes out at the other. Protocols rather than streams, which cost twice the time."""

    def __init__(self, other: _Side | None = None) -> None:
        self.other = other
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = t.cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.other:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """The other side is told; the connection ends when both have."""
        self.ended = True
        if self.other:
            self.other.transport.write_eof()
            if self.other.ended:
                self.transport.close()
        return self.other is not None

    def pause_writing(self) -> None:
        if self.other:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other and error:
            _reset(self.other.transport)
        elif self.other:
            self.other.transport.close()


class _Client(_Side):
    """The side that a listener has accepted."""

    def __init__(self, plane: DataPlane, address: Address) -> None:
        super().__init__()
        self._plane = plane
        self._address = address
        self._reaching: asyncio.Task[None] | None = None
        self.kept_in: tuple[set[_Client], ...] = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        target = self._plane.keep(self, self._address)
        if target is None:
            _reset(self.transport)
            return
        if target.keeps_client and transport.get_extra_info("peername")[0] == target.ip:
            # It is answered from an address that it did not ask, and waits until it gives up.
            return
        # Nothing is read before there is somebody to pass it on to.
        self.transport.pause_reading()
        self._reaching = asyncio.get_running_loop().create_task(self._reach(target))

    async def _reach(self, target: Target) -> None:
        reaching = asyncio.get_running_loop().create_connection(lambda: _Side(self), target.ip, target.port)
        try:
            _transport, other = await asyncio.wait_for(reaching, CONNECT_TIMEOUT)
        except (OSError, asyncio.TimeoutError):
            _reset(self.transport)
            return
        self.other = other
        if self.transport.is_closing():
            other.transport.abort()
        self.transport.resume_reading()

    def cut(self) -> None:
        """End the connection at once."""
        if self._reaching:
            self._reaching.cancel()
        _reset(self.transport)

    def connection_lost(self, error: Exception | None) -> None:
        for connections in self.kept_in:
            connections.discard(self)
        super().connection_lost(error)


def _reset(transport: asyncio.Transport) -> None:
    """End a connection with RST, as a load balancer does that has nowhere to send it."""
    connection = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _probe(probe: Probe) -> str:
    """One health check: "" if the target is healthy, else why not."""
    try:
        return await asyncio.wait_for(_ask(probe), CONNECT_TIMEOUT)
    except asyncio.TimeoutError:
        return "timeout"
    except (OSError, ValueError, asyncio.IncompleteReadError):
        return "failed"


async def _ask(probe: Probe) -> str:
    context = None
    if probe.protocol == "HTTPS":
        # Load balancers do not verify the certificates of their targets.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(probe.ip, probe.port, ssl=context)
    try:
        if probe.protocol == "TCP":
            return "failed" if await _cut(reader) else ""
        writer.write(f"GET {probe.path} HTTP/1.1\r\nHost: {probe.ip}\r\nConnection: close\r\n\r\n".encode())
        status = int((await reader.readuntil(b"\n")).split()[1])
        return "" if any(first <= status <= last for first, last in probe.codes) else "failed"
    except IndexError:
        return "failed"
    finally:
        writer.close()


async def _cut(reader: asyncio.StreamReader) -> bool:
    """Whether the other side ends a connection as soon as it is made: so simulated nodes refuse what real ones' kernels would."""
    with contextlib.suppress(asyncio.TimeoutError):
        return not await asyncio.wait_for(reader.read(1), CUT_TIMEOUT)
    return False
