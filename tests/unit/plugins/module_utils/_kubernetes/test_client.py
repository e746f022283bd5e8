# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS without files, retries, pagination, and errors that say what to do."""

from __future__ import annotations

import contextlib
import http.server
import os
import ssl
import threading
import time
import typing as t
from pathlib import Path

import pytest
import urllib3
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes import api as calls
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.client import KubernetesError, Unreachable, connect
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.kubeconfig import read

from .exchange import Expect, failure, identity, installed, kubeconfig, node, nodes, pki, scripted

RESET = urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))


@contextlib.contextmanager
def tls_server(tmp_path: Path) -> t.Iterator[tuple[int, list[str | None]]]:
    """A server that demands a client certificate; yields its port and the server names (SNI) that it was asked for."""
    asked: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"metadata": {"uid": "from-tls"}}')

        def log_message(self, *_args: t.Any) -> None:
            return

    for name, text in pki().items():
        (tmp_path / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    context.load_verify_locations(tmp_path / "ca")
    context.verify_mode = ssl.CERT_REQUIRED
    context.sni_callback = lambda _sock, name, _context: asked.append(name)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_client_certificate_and_ca_without_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - descriptors, not files
    with tls_server(tmp_path) as (port, asked), connect(read(kubeconfig(), server=f"https://127.0.0.1:{port}")) as api:
        assert calls.cluster_id(api) == "from-tls"
        assert asked == ["kube.test"]
        assert list(scratch.iterdir()) == []
    deadline = time.monotonic() + 5
    # The server's end of the connection is closed by a thread of its own.
    while not set(os.listdir("/proc/self/fd")) <= before:  # noqa: PTH208
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_server_of_another_name_is_not_believed(tmp_path: Path) -> None:
    with tls_server(tmp_path) as (port, _asked), connect(read(kubeconfig(server=f"https://127.0.0.1:{port}"))) as api:  # noqa: SIM117 - the error must not leave the server's block
        with pytest.raises(KubernetesError, match="Is the kubeconfig of this cluster"):
            calls.cluster_id(api)


def test_lists_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Expect("GET", "/api/v1/nodes", {"items": [node("a")], "metadata": {"continue": "next"}}, query={"limit": "500"})
    second = Expect("GET", "/api/v1/nodes", {"items": [node("b")]}, query={"limit": "500", "continue": "next"})
    with scripted(monkeypatch, first, second) as (api, _script):
        assert [n["metadata"]["name"] for n in calls.list_nodes(api)] == ["a", "b"]


def test_expired_page_token_starts_again_without_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Expect("GET", "/api/v1/nodes", {"items": [node("a")], "metadata": {"continue": "next"}}, query={"limit": "500"})
    gone = Expect("GET", "/api/v1/nodes", failure(410), 410, query={"limit": "500", "continue": "next"})
    with scripted(monkeypatch, first, gone, nodes(node("a"), node("b"))) as (api, _script):
        assert [n["metadata"]["name"] for n in calls.list_nodes(api)] == ["a", "b"]


def test_transient_answers_are_tried_again_at_the_servers_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Expect("GET", "/api/v1/namespaces/kube-system", failure(429), 429, headers={"Retry-After": "3"})
    down = Expect("GET", "/api/v1/namespaces/kube-system", RESET)
    with scripted(monkeypatch, busy, down, identity()) as (api, script):
        assert calls.cluster_id(api) == "cluster-uid"
        assert script.slept == [3.0, 1.0]


def test_retries_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    down = [Expect("GET", "/api/v1/namespaces/kube-system", RESET) for _ in range(5)]
    with scripted(monkeypatch, *down) as (api, script), pytest.raises(Unreachable, match="does not answer"):
        calls.cluster_id(api)
    assert script.slept == [0.5, 1.0, 2.0, 4.0]


def test_throttling_is_waited_out_for_longer_but_not_where_the_caller_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Expect("GET", "/api/v1/nodes", failure(429), 429, query={"limit": "500"})
    with scripted(monkeypatch, *[busy] * 9, nodes(node("a"))) as (api, script):
        assert len(calls.list_nodes(api)) == 1
        assert script.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 15.0]
    with scripted(monkeypatch, *[busy] * 10) as (api, script), pytest.raises(KubernetesError, match="429"):
        calls.list_nodes(api)
    with scripted(monkeypatch, busy) as (api, script), pytest.raises(KubernetesError, match="429"):
        calls.list_nodes(api, attempts=1)


@pytest.mark.parametrize(("status", "cure"), [(401, "credentials are not accepted"), (403, "lacks this permission")])
def test_refusals_are_not_tried_again_and_name_the_cure(monkeypatch: pytest.MonkeyPatch, status: int, cure: str) -> None:
    refused = Expect("GET", "/api/v1/namespaces/kube-system", failure(status, "you shall not"), status)
    with scripted(monkeypatch, refused) as (api, _script), pytest.raises(KubernetesError, match=f"you shall not.*{cure}"):
        calls.cluster_id(api)


def test_token_goes_into_the_header_and_patches_are_strategic(monkeypatch: pytest.MonkeyPatch) -> None:
    script = installed(monkeypatch, Expect("PATCH", "/api/v1/nodes/w1", {}, body={"spec": {"unschedulable": True}}))
    with connect(read(kubeconfig(user={"token": "sesame"}))) as api:
        calls.cordon(api, "w1")
    assert script.headers[0]["Authorization"] == "Bearer sesame"
    assert script.headers[0]["Content-Type"] == "application/strategic-merge-patch+json"


def test_not_an_api_server(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Expect("GET", "/api/v1/namespaces/kube-system", "<html>")
    with scripted(monkeypatch, page) as (api, _script), pytest.raises(KubernetesError, match="not a Kubernetes API server"):
        calls.cluster_id(api)
