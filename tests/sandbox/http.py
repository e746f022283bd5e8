# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP for the simulated services: a threaded WSGI server on one address, and the ledger in front of an application.

A service hands LedgerMiddleware two functions: classify (what operation a request is) and answer (what the real
service says when it throttles or breaks). Everything else about counting, faults and delays is done here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import select
import socket
import ssl
import threading
import time
import typing as t

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from .calls import PARKED_LOOK, Call, Ledger

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOG = logging.getLogger(__name__)
# How long a connection may take for its TLS handshake, and a client for its request.
IO_TIMEOUT = 60.0
# What it is like when a client goes away.
GONE = (ConnectionError, TimeoutError, ssl.SSLError)


@dataclasses.dataclass(frozen=True)
class Operation:
    """What a request asks for: the service's own name of the operation; detail for tests, never secrets."""

    name: str
    mutating: bool
    detail: dict[str, t.Any] = dataclasses.field(default_factory=dict)


class NoAnswer(ConnectionAbortedError):
    """Raised inside an application: the connection is closed and the client gets nothing."""


Classify = t.Callable[[Request], "Operation | None"]
Answer = t.Callable[[str, Request], Response]


class LedgerMiddleware:
    """WSGI middleware: log each request in the ledger, honour its faults and delays.

    classify returns None for requests that are not calls (health pages of the sandbox itself).
    answer(kind, request) makes the response for the fault kinds "error" and "throttle".
    The request is in environ["sandbox.call"] while the application runs, so it may add detail.
    """

    def __init__(self, app: WSGIApplication, ledger: Ledger, service: str, classify: Classify, answer: Answer) -> None:
        self.app = app
        self.ledger = ledger
        self.service = service
        self.classify = classify
        self.answer = answer

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
        request = _buffered(environ)
        operation = self.classify(request)
        if operation is None:
            return self.app(environ, start_response)
        arrived = environ.get("sandbox.arrived")
        call = self.ledger.begin(self.service, operation.name, mutating=operation.mutating, detail=operation.detail, arrived=arrived)
        environ["sandbox.call"] = call
        kind = call.fault.kind if call.fault else ""
        while self.ledger.waits(call):
            if gone(environ, PARKED_LOOK):
                self._drop(call, environ)
        if kind == "timeout":
            time.sleep(call.fault.seconds if call.fault else 0.0)
            self._drop(call, environ)
        if kind in ("error", "throttle"):
            response = self.answer(kind, request)
            self.ledger.end(call, str(response.status_code))
            return response(environ, start_response)
        return self._serve(call, environ, start_response, lose=kind == "lost_reply")

    def _serve(self, call: Call, environ: WSGIEnvironment, start_response: StartResponse, *, lose: bool) -> t.Iterable[bytes]:
        """Let the service act; then its answer is passed on, delayed or lost."""
        try:
            response = Response.from_app(self.app, environ, buffered=False)
        except Exception:
            self.ledger.end(call, "broken")
            raise
        if lose:
            list(response.iter_encoded())
            response.close()
            self._drop(call, environ)
        time.sleep(call.delay)
        while self.ledger.held(call):
            time.sleep(PARKED_LOOK)
        call.status = str(response.status_code)
        response.call_on_close(lambda: self.ledger.end(call, call.status))
        return response(environ, start_response)

    def _drop(self, call: Call, environ: WSGIEnvironment) -> t.NoReturn:
        self.ledger.end(call, "no answer")
        close_connection(environ)
        raise NoAnswer("the sandbox was told to lose this answer")


def _buffered(environ: WSGIEnvironment) -> Request:
    """The request with its body read, and readable again by the application."""
    body = Request(environ).get_data(cache=False)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    for key in ("HTTP_TRANSFER_ENCODING", "wsgi.input_terminated"):
        environ.pop(key, None)
    request = Request(dict(environ, **{"wsgi.input": io.BytesIO(body)}))
    request.get_data(cache=True)
    return request


def close_connection(environ: WSGIEnvironment) -> None:
    """Cut the client's connection at once, without an answer."""
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def gone(environ: WSGIEnvironment, seconds: float) -> bool:
    """Whether the client ends its connection within some time."""
    look = select.poll()
    look.register(environ["werkzeug.socket"], select.POLLRDHUP)
    return bool(look.poll(seconds * 1000))


class _Handler(WSGIRequestHandler):
    disable_nagle_algorithm = True
    timeout = IO_TIMEOUT
    arrived = 0.0

    # Connections are kept, as real services keep them.
    protocol_version = "HTTP/1.1"

    def parse_request(self) -> bool:
        """Called when the first line of a request is there: from then on the client waits for the sandbox."""
        self.arrived = time.monotonic()
        return super().parse_request()

    def make_environ(self) -> WSGIEnvironment:
        environ = {**super().make_environ(), "sandbox.arrived": self.arrived}
        # What an application does not read would be taken for the next request.
        _buffered(environ)
        return environ

    def run_wsgi(self) -> None:
        """Answer one request. werkzeug's own would close the connection, after looking for 10 ms whether more comes in."""
        head: list[t.Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: t.Any = None) -> t.Callable[[bytes], None]:
            head[:] = [status, headers]
            return self.wfile.write  # type: ignore[return-value]

        try:
            try:
                answer = self.server.app(self.make_environ(), start_response)
                try:
                    self._send(head[0], head[1], answer)
                finally:
                    getattr(answer, "close", lambda: None)()
            except GONE:
                raise
            except Exception:
                self.close_connection = True
                LOG.exception("%s %s failed", self.command, self.path)
                self._send("500 INTERNAL SERVER ERROR", [("Content-Length", "0")], [])
        except GONE:
            # The client is gone, or is to be left without an answer.
            self.close_connection = True

    def _send(self, status: str, headers: list[tuple[str, str]], body: t.Iterable[bytes]) -> None:
        """Send an answer; one of unknown length (a watch) goes in chunks."""
        code, reason = int(status.split()[0]), status.partition(" ")[2]
        known = any(name.lower() == "content-length" for name, _value in headers)
        chunked = not known and self.command != "HEAD" and code not in (204, 304) and self.request_version != "HTTP/1.0"
        self.send_response(code, reason)
        for name, value in [*headers, *([("Transfer-Encoding", "chunked")] if chunked else []), *([("Connection", "close")] if self.close_connection else [])]:
            self.send_header(name, value)
        self.end_headers()
        for data in body:
            if data:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def setup(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            # In this connection's own thread: a client that never speaks holds up nobody else.
            self.request.settimeout(IO_TIMEOUT)
            self.request.do_handshake()
        super().setup()

    def log(self, type: str, message: str, *args: t.Any) -> None:  # noqa: A002
        """Requests are in the ledger; nothing is printed for them."""


class _Server(ThreadedWSGIServer):
    """Keeps its connections, so that stop() ends them, and does TLS handshakes in the connections' threads."""

    def __init__(self, listener: socket.socket, app: WSGIApplication, context: ssl.SSLContext | None) -> None:
        host, port = listener.getsockname()[:2]
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(host, port, app, _Handler, fd=listener.fileno())
        self.ssl_context = context

    def get_request(self) -> tuple[t.Any, t.Any]:
        connection, address = super().get_request()
        if self.ssl_context is not None:
            connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: t.Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that went away or never spoke TLS is not the sandbox's error."""

    def close_connections(self) -> None:
        """End all connections that are open now."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket on exactly this address; OSError if it is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
    except OSError:
        listener.close()
        raise
    return listener


class HttpServer:
    """A WSGI application on host:port, one thread per connection; with context it speaks TLS.

    Client certificates, when the context asks for them, are in environ["SSL_CLIENT_CERT"] (PEM).
    """

    def __init__(self, app: WSGIApplication, host: str, port: int, *, context: ssl.SSLContext | None = None, listener: socket.socket | None = None) -> None:
        self.app = app
        self.host = host
        self.port = port
        self.context = context
        self._listener = listener
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen and serve; OSError if the address is taken."""
        listener = self._listener or listen(self.host, self.port)
        self._server = _Server(listener, self.app, self.context)
        listener.close()
        self._listener = None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name=f"http-{self.host}:{self.port}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close every connection."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.close_connections()
        self._server = self._thread = None
