# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchanges of the collection's client with a server on Talos' own code, recorded by tests/conformance, replayed without Go.

A server that knows nothing but the recorded bytes: what the client sends must be them, and what it makes of the recorded answers
must be what tests/conformance/cases.py says.
"""

from __future__ import annotations

import asyncio
import json
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import tls
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.messages import METHODS
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.talosconfig import Endpoint
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from tests.conformance.cases import CASES, Case
from tests.conformance.client import FROZEN, call
from tests.sandbox import pki
from tests.sandbox.talos.listener import Listener

from .talos_kit import PREFIX

LINES = [json.loads(line) for line in FROZEN.read_text().splitlines()]
ADDRESS = f"{PREFIX}.9.2"


async def replay(case: Case, line: dict[str, t.Any]) -> tuple[t.Any, str, list[str]]:
    """The client's result and code, and the requests that the server saw."""
    seen: list[str] = []

    async def serve(path: str, stream: Stream[t.Any, t.Any], granted: frozenset[str]) -> None:
        seen.append(path + " " + ((await stream.recv_message()) or b"").hex())
        if line["code"] != "OK":
            names = {status.name.replace("_", "").lower(): status for status in Status}
            raise GRPCError(names[line["code"].lower()], line["text"])
        for reply in line["reply"].split(","):
            await stream.send_message(bytes.fromhex(reply))

    cluster = pki.talos_pki()
    listener = Listener(ADDRESS, serve, exact_usage=True)
    await listener.open(pki.issue(cluster.ca, addresses=[ADDRESS], server=True), cluster.ca.crt)
    try:
        context = tls.verified_context(cluster.ca.crt, cluster.admin.crt, pki.usable_key(cluster.admin.key))
        return *(await call(case, Endpoint(ADDRESS), context)), seen
    finally:
        listener.close()


@pytest.mark.parametrize(("case", "line"), list(zip(CASES, LINES, strict=True)), ids=lambda one: one.function if isinstance(one, Case) else "")
def test_replay(case: Case, line: dict[str, t.Any]) -> None:
    result, code, seen = asyncio.run(replay(case, line))
    assert seen == [f"{case.method} {line['request']}"]
    assert (result, code) == (case.result, case.code)


def test_every_call_of_the_client_is_recorded() -> None:
    assert len(LINES) == len(CASES)
    used = {line["method"] for line in LINES}
    unused = {"/machine.MachineService/Hostname", "/machine.MachineService/ServiceList"}
    assert used == set(METHODS) - unused
