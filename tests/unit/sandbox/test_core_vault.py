# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Vault part is a real server that dies with its parent, counted and restorable."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import hvac
import hvac.exceptions
import pytest

from tests.sandbox.calls import Fault, Ledger
from tests.sandbox.http import listen
from tests.sandbox.vault import BACKEND_PORT, Vault, exchange
from tests.unit.addresses import own_address

ROOT = Path(__file__).resolve().parents[3]
HOST = own_address(4)


@pytest.fixture(scope="module")
def running() -> t.Iterator[tuple[Vault, Ledger]]:
    ledger = Ledger()
    vault = Vault(HOST, ledger, "sandbox-token")
    vault.start()
    yield vault, ledger
    vault.stop()


@pytest.fixture
def vault(running: tuple[Vault, Ledger]) -> t.Iterator[Vault]:
    snapshot = running[0].snapshot()
    yield running[0]
    running[0].restore(snapshot)


@pytest.fixture
def ledger(running: tuple[Vault, Ledger]) -> t.Iterator[Ledger]:
    running[1].clear_calls()
    yield running[1]
    running[1].faults.clear()


@pytest.fixture
def client(vault: Vault) -> hvac.Client:
    return hvac.Client(url=vault.address, token=vault.token)


def test_hvac_reads_what_was_seeded(vault: Vault, client: hvac.Client) -> None:
    vault.put("cluster-fargle-node-worker", {"image_id": "ami-1"})
    read = client.secrets.kv.v2.read_secret_version("cluster-fargle-node-worker", raise_on_deleted_version=True)
    assert read["data"]["data"] == {"image_id": "ami-1"}
    assert client.is_authenticated()


def test_a_wrong_token_and_a_missing_secret_are_refused(vault: Vault, client: hvac.Client) -> None:
    with pytest.raises(hvac.exceptions.InvalidPath):
        client.secrets.kv.v2.read_secret_version("nothing", raise_on_deleted_version=True)
    with pytest.raises(hvac.exceptions.Forbidden):
        hvac.Client(url=vault.address, token="wrong").secrets.kv.v2.read_secret_version("nothing", raise_on_deleted_version=True)


def test_calls_are_counted_and_faults_injected(client: hvac.Client, ledger: Ledger) -> None:
    ledger.faults.append(Fault("throttle", "vault", "read", ordinals=[2]))
    client.secrets.kv.v2.create_or_update_secret("a", {"b": "c"})
    client.secrets.kv.v2.read_secret_version("a", raise_on_deleted_version=True)
    with pytest.raises(hvac.exceptions.RateLimitExceeded, match="quota"):
        client.secrets.kv.v2.read_secret_version("a", raise_on_deleted_version=True)
    assert [(call.operation, call.mutating) for call in ledger.calls] == [("write", True), ("read", False), ("read", False)]
    assert ledger.calls[0].detail == {"path": "secret/data/a"}


def test_restore_brings_back_secrets_and_mounts(vault: Vault, client: hvac.Client) -> None:
    vault.put("kept", {"a": "1"})
    vault.put("folder/deep", {"b": "2"})
    before, snapshot = vault.dump(), vault.snapshot()
    client.secrets.kv.v2.create_or_update_secret("kept", {"a": "changed"})
    client.secrets.kv.v2.delete_latest_version_of_secret("folder/deep")
    client.secrets.kv.v2.create_or_update_secret("new", {"c": "3"})
    client.sys.enable_secrets_engine("kv", path="other", options={"version": "2"})
    assert vault.dump() != before
    vault.restore(snapshot)
    assert vault.dump() == before


def test_what_is_stored_is_asked_again_only_after_something_was_written(vault: Vault, client: hvac.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    read = Vault._read
    monkeypatch.setattr(Vault, "_read", lambda self: asked.append("") or read(self))
    vault.put("kept", {"a": "1"})
    before = vault.dump()
    vault.restore(vault.snapshot())
    client.secrets.kv.v2.read_secret_version("kept", raise_on_deleted_version=True)
    assert (vault.dump(), len(asked)) == (before, 1)
    client.secrets.kv.v2.create_or_update_secret("kept", {"a": "2"})
    assert (vault.dump() != before, len(asked)) == (True, 2)


PARENT = """
import sys, time
from tests.sandbox.calls import Ledger
from tests.sandbox.vault import Vault
vault = Vault(sys.argv[1], Ledger(), "sandbox-token")
vault.start()
print("started", flush=True)
time.sleep(60)
"""


def _refuses(host: str) -> bool:
    try:
        exchange(host, "GET", "/v1/sys/health", "")
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def test_the_server_dies_with_a_killed_parent() -> None:
    host = own_address(5)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, host], cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        assert not _refuses(host)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 5.0
    while not _refuses(host):
        assert time.monotonic() < deadline, "OpenBao outlived its parent"
        time.sleep(0.05)


def test_a_taken_address_is_named_with_the_servers_own_words() -> None:
    host = own_address(6)
    vault = Vault(host, Ledger(), "sandbox-token")
    with listen(host, BACKEND_PORT), pytest.raises(RuntimeError, match=rf"{re.escape(host)}:8210.*address already in use"):
        vault.start()
    vault.stop()
