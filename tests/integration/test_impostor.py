# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody else holds a new VM's address before its own API is up, and shows a certificate as Talos makes them: he gets nothing."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import typing as t

import pytest

from tests.sandbox.fixture import RunningSandbox
from tests.sandbox.pki import authority, issue, server_context
from tests.sandbox.talos.listener import API_PORT, fingerprint

from .forked import together, until
from .playbooks import Run, play

pytestmark = pytest.mark.slow

NODE = "fargle-worker-20"
# The VM itself would come up later than the run waits.
BOOT, WAIT = 300.0, 12


class Impostor:
    """Answers at an address as a machine in maintenance mode, and keeps all that it is told once TLS is up."""

    def __init__(self, address: str) -> None:
        pair = issue(authority("talos", ed=True), common_name="maintenance-service.talos.dev", addresses=[address], server=True)
        self.fingerprint = fingerprint(pair.crt)
        self.handshakes = 0
        self.told = b""
        self._tls = server_context(pair, alpn=["h2"])
        self._door = socket.create_server((address, API_PORT))
        self._door.settimeout(0.2)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError):
                connection, _client = self._door.accept()
                connection.settimeout(10)
                with self._tls.wrap_socket(connection, server_side=True) as talk:
                    self.handshakes += 1
                    while heard := talk.recv(65536):
                        self.told += heard

    def close(self) -> None:
        """He goes."""
        self._ended.set()
        self._thread.join()
        self._door.close()


def robbed(cloud: RunningSandbox, **words: t.Any) -> tuple[Run, Impostor]:
    """create_node, with an impostor at the address of the new VM from its launch on."""
    cloud.control.delays({"talos.boot": BOOT})

    known = {node["address"] for node in cloud.control.nodes()}

    def address() -> str:
        return next((str(node["address"]) for node in cloud.control.nodes() if node["address"] not in known), "")

    words = {"cluster": "fargle", "nodes": NODE, "create_node_wait_timeout": WAIT, **words}
    (future,) = together(lambda: play(cloud.env, "create_node.yml", **words))
    until(lambda: address() or future.done(), "no VM is launched")
    assert not future.done(), future.result().output
    impostor = Impostor(address())
    try:
        return future.result(), impostor
    finally:
        impostor.close()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({}, r"with a certificate of fingerprint {seen}, but the console of i-[0-9a-f]+ tells"),
        ({"identity_check": "fingerprint", "create_node_fingerprints": {NODE: "A" * 43 + "="}}, "has fingerprint {seen}, not A{{43}}=: another machine"),
    ],
    ids=["console", "fingerprint"],
)
def test_an_impostor_gets_nothing(cloud: RunningSandbox, words: dict[str, t.Any], why: str) -> None:
    run, impostor = robbed(cloud, **words)
    assert run.code != 0
    assert impostor.handshakes > 0
    assert impostor.told == b""
    assert re.search(why.format(seen=re.escape(impostor.fingerprint)), run.message), run.message


def test_without_the_check_he_would_get_it_all(cloud: RunningSandbox) -> None:
    """The control run: what the check is for, and that this impostor would be told."""
    run, impostor = robbed(cloud, identity_check="none")
    assert run.code != 0
    assert b"machine:" in impostor.told
    assert len(impostor.told) > 1000
