# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine's port that forwards to the Kubernetes API."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from tests.sandbox.talos.ports import Ports

ADDRESS = "127.77.0.5"
PORT = 6443


@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_goes_away_is_gone_behind_a_forwarded_port_too(reset: bool) -> None:
    """With RST as a killed process leaves it that had something to read, or with FIN."""

    async def scene() -> None:
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while await reader.read(100):
                    pass
            except ConnectionResetError:
                pass
            ended.set()
            writer.close()

        server = await asyncio.start_server(serve, ADDRESS, 0)
        ports = Ports(ADDRESS)
        await ports.forward(PORT, (ADDRESS, server.sockets[0].getsockname()[1]))
        _reader, writer = await asyncio.open_connection(ADDRESS, PORT)
        writer.write(b"hello")
        await writer.drain()
        await asyncio.sleep(0.05)
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await asyncio.wait_for(ended.wait(), 5)
        ports.close()
        server.close()

    asyncio.run(scene())
