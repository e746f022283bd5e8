# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain TCP ports of a machine: one that forwards (the Kubernetes API) and ones that answer with the node's name (node ports)."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

Address = tuple[str, int]
CHUNK = 65536
Connected = t.Callable[[asyncio.StreamReader, asyncio.StreamWriter], t.Awaitable[None]]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, then half-close. Where one side breaks the other does, too: it would wait for ever."""
    try:
        with contextlib.suppress(asyncio.CancelledError):
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
    except OSError:
        writer.transport.abort()


class Ports:
    """The open ports of one address."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._servers: dict[int, asyncio.AbstractServer] = {}
        self._closings = 0
        self._writers: dict[int, set[asyncio.StreamWriter]] = {}

    @property
    def open(self) -> set[int]:
        return set(self._servers)

    async def forward(self, port: int, target: Address | None) -> None:
        """Forward connections to target; None closes the port."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(*target)  # type: ignore[misc]
                with self._tracked(port, far_writer):
                    await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

        await self._set(port, connected if target else None)

    async def answer(self, port: int, body: str | None, willing: t.Callable[[], bool]) -> None:
        """Answer every request with 200 and body, cut the connection when not willing; None closes the port."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                if not willing():
                    writer.transport.abort()
                elif await reader.read(CHUNK):
                    content = (body or "").encode()
                    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
                    writer.write(head.encode() + content)
                    await writer.drain()

        await self._set(port, connected if body is not None else None)

    async def _set(self, port: int, connected: Connected | None) -> None:
        if connected is None:
            self._shut(port)
        elif port not in self._servers:

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with self._tracked(port, writer):
                    await connected(reader, writer)

            closings = self._closings
            # Bound first and serving after it is known here: a cancelled task must not leave a port open that nobody closes.
            server = await asyncio.start_server(serve, self._address, port, reuse_address=True, start_serving=False)
            if closings != self._closings:
                server.close()
                return
            self._servers[port] = server
            await server.start_serving()

    @contextlib.contextmanager
    def _tracked(self, port: int, writer: asyncio.StreamWriter) -> t.Iterator[None]:
        """Close the connection at the end, and let close() cut it before."""
        self._writers.setdefault(port, set()).add(writer)
        try:
            yield
        finally:
            self._writers.get(port, set()).discard(writer)
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()

    def _shut(self, port: int) -> None:
        if server := self._servers.pop(port, None):
            server.close()
        for writer in self._writers.pop(port, set()):
            writer.transport.abort()

    def close(self) -> None:
        """Close all ports and cut their connections."""
        self._closings += 1
        for port in list(self._servers):
            self._shut(port)
