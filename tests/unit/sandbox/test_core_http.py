# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP server and the ledger in front of an application."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
import typing as t

import pytest
from werkzeug.wrappers import Request, Response

from tests.sandbox import configs, pki
from tests.sandbox.calls import Fault, Ledger
from tests.sandbox.http import HttpServer, LedgerMiddleware, Operation, listen

HOST = "127.0.0.1"


class Shop:
    """A tiny service: POST adds an item, GET lists them."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def __call__(self, environ: dict[str, t.Any], start_response: t.Any) -> t.Iterable[bytes]:
        request = Request(environ)
        if request.method == "POST":
            self.items.append(request.get_data(as_text=True))
        return Response(json.dumps(self.items), content_type="application/json")(environ, start_response)


def classify(request: Request) -> Operation | None:
    if request.path == "/health":
        return None
    return Operation("add" if request.method == "POST" else "list", request.method == "POST", {"length": len(request.get_data())})


def answer(kind: str, request: Request) -> Response:
    return Response(f"{kind} on {request.path}", status=429 if kind == "throttle" else 503)


class Served(t.NamedTuple):
    shop: Shop
    ledger: Ledger
    port: int

    def call(self, method: str, body: t.Any = None, path: str = "/items", **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request(method, path, body, headers, encode_chunked=headers.get("Transfer-Encoding") == "chunked")
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()


@pytest.fixture
def served() -> t.Iterator[Served]:
    shop, ledger = Shop(), Ledger()
    listener = listen(HOST, 0)
    port = listener.getsockname()[1]
    server = HttpServer(LedgerMiddleware(shop, ledger, "shop", classify, answer), HOST, port, listener=listener)
    server.start()
    yield Served(shop, ledger, port)
    server.stop()


def test_calls_are_logged_with_operation_status_and_time(served: Served) -> None:
    assert served.call("POST", b"bread") == (200, '["bread"]')
    assert served.call("GET", path="/health")[0] == 200
    (call,) = served.ledger.calls
    assert (call.service, call.operation, call.mutating, call.detail) == ("shop", "add", True, {"length": 5})
    deadline = time.monotonic() + 2
    while call.ended is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (call.status, call.ended is not None) == ("200", True)


def test_a_connection_is_kept_and_what_nobody_read_is_not_the_next_request(served: Served) -> None:
    connection = http.client.HTTPConnection(HOST, served.port, timeout=5)
    connection.connect()
    kept = connection.sock
    # GET leaves its body unread.
    for method, expected in (("GET", b"[]"), ("POST", b'["x"]'), ("GET", b'["x"]')):
        connection.request(method, "/items", b"x")
        assert connection.getresponse().read() == expected
    assert connection.sock is kept
    connection.request("GET", "/items", headers={"Connection": "close"})
    assert connection.getresponse().getheader("Connection") == "close"
    connection.close()


def test_an_answer_of_unknown_length_comes_in_chunks_and_a_crash_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: dict[str, t.Any], start_response: t.Any) -> t.Iterable[bytes]:
        if environ["PATH_INFO"] == "/crash":
            raise ValueError("a bug")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"one ", b"", b"two"])

    listener = listen(HOST, 0)
    port = listener.getsockname()[1]
    server = HttpServer(app, HOST, port, listener=listener)
    server.start()
    try:
        connection = http.client.HTTPConnection(HOST, port, timeout=5)
        for _ in range(2):
            connection.request("GET", "/")
            reply = connection.getresponse()
            assert (reply.getheader("Transfer-Encoding"), reply.read()) == ("chunked", b"one two")
        connection.request("GET", "/crash")
        assert connection.getresponse().status == 500
        connection.close()
    finally:
        server.stop()
    assert "a bug" in caplog.text


def test_a_call_begins_when_its_request_arrives_not_when_its_body_is_there(served: Served) -> None:
    with socket.create_connection((HOST, served.port), timeout=5) as client:
        before = time.monotonic()
        client.sendall(b"POST /items HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\n")
        time.sleep(0.2)
        client.sendall(b"bread")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert before <= served.ledger.calls[0].started < before + 0.15


def test_a_chunked_request_reaches_the_application_whole(served: Served) -> None:
    headers = {"Transfer-Encoding": "chunked"}
    assert served.call("POST", iter([b"bre", b"ad"]), **headers) == (200, '["bread"]')


@pytest.mark.parametrize(("kind", "status"), [("error", 503), ("throttle", 429)])
def test_an_injected_refusal_is_the_services_own_answer_and_does_nothing(served: Served, kind: str, status: int) -> None:
    served.ledger.faults.append(Fault(kind, "shop", "add", ordinals=[2]))
    assert [served.call("POST", b"x")[0] for _ in range(3)] == [200, status, 200]
    assert served.shop.items == ["x", "x"]


def test_a_lost_reply_acts_and_answers_nothing(served: Served) -> None:
    served.ledger.faults.append(Fault("lost_reply", "shop", ordinals=[1]))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        served.call("POST", b"x")
    assert served.shop.items == ["x"]
    assert served.ledger.calls[0].status == "no answer"


def test_a_timeout_holds_the_connection_and_does_nothing(served: Served) -> None:
    served.ledger.faults.append(Fault("timeout", ordinals=[1], seconds=0.3))
    begin = time.monotonic()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        served.call("POST", b"x")
    assert time.monotonic() - begin >= 0.3
    assert served.shop.items == []


def test_a_delay_acts_and_answers_late(served: Served) -> None:
    served.ledger.faults.append(Fault("delay", ordinals=[1], seconds=0.3))
    begin = time.monotonic()
    assert served.call("POST", b"x")[0] == 200
    assert time.monotonic() - begin >= 0.3


def test_a_parked_call_has_acted_and_is_answered_when_the_fault_is_gone(served: Served) -> None:
    served.ledger.faults.append(Fault("park", mutating=True, ordinals=[2]))
    assert [served.call(method, b"x")[0] for method in ("POST", "GET")] == [200, 200]
    answers: list[tuple[int, str]] = []
    caller = threading.Thread(target=lambda: answers.append(served.call("POST", b"y")))
    caller.start()
    deadline = time.monotonic() + 2
    while not served.ledger.parked() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [call.number for call in served.ledger.parked()] == [3]
    assert served.shop.items == ["x", "y"] and not answers
    assert served.call("GET")[0] == 200
    served.ledger.faults.clear()
    caller.join(2)
    assert answers == [(200, '["x", "y"]')] and not served.ledger.parked()


def _called(served: Served, body: bytes, answers: list[tuple[int, str]]) -> threading.Thread:
    """A caller that waits for its answer in a thread of its own."""
    caller = threading.Thread(target=lambda: answers.append(served.call("POST", body)))
    caller.start()
    return caller


def _wait(happened: t.Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_held_call_acts_when_the_fault_is_gone(served: Served) -> None:
    served.ledger.faults.append(Fault("hold", mutating=True, ordinals=[1]))
    answers: list[tuple[int, str]] = []
    caller = _called(served, b"x", answers)
    _wait(lambda: [call.number for call in served.ledger.waiting()] == [1])
    assert served.call("POST", b"y") == (200, '["y"]')
    assert not answers
    served.ledger.faults.clear()
    caller.join(5)
    assert answers == [(200, '["y", "x"]')] and not served.ledger.waiting()


def test_a_held_call_whose_caller_goes_away_does_nothing(served: Served) -> None:
    served.ledger.faults.append(Fault("hold", ordinals=[1]))
    with socket.create_connection((HOST, served.port), timeout=5) as client:
        client.sendall(b"POST /items HTTP/1.1\r\nHost: shop\r\nContent-Length: 1\r\n\r\nx")
        _wait(lambda: len(served.ledger.waiting()) == 1)
    _wait(lambda: not served.ledger.waiting())
    served.ledger.faults.clear()
    assert (served.shop.items, served.ledger.calls[0].status) == ([], "no answer")


def test_held_calls_meet(served: Served) -> None:
    """Both act when the second has arrived; a third is not held."""
    served.ledger.faults.append(Fault("hold", "shop", "add", parties=2))
    answers: list[tuple[int, str]] = []
    first = _called(served, b"x", answers)
    _wait(lambda: len(served.ledger.waiting()) == 1)
    assert served.shop.items == []
    second = _called(served, b"x", answers)
    for caller in (first, second):
        caller.join(5)
    assert [status for status, _body in answers] == [200, 200]
    assert served.call("POST", b"x") == (200, '["x", "x", "x"]')


def test_stop_closes_the_port_and_idle_connections(served: Served) -> None:
    shop = Shop()
    listener = listen(HOST, 0)
    port = listener.getsockname()[1]
    server = HttpServer(shop, HOST, port, listener=listener)
    server.start()
    with socket.create_connection((HOST, port)) as idle:
        time.sleep(0.1)
        server.stop()
        idle.settimeout(2)
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), timeout=1)


def test_tls_shows_the_clients_certificate_and_a_silent_client_holds_up_nobody() -> None:
    secrets = configs.new_secrets("fargle", "https://127.0.0.1:6443")
    authorities = secrets.kubernetes

    def whoami(environ: dict[str, t.Any], start_response: t.Any) -> t.Iterable[bytes]:
        return Response("known" if environ.get("SSL_CLIENT_CERT") else "unknown")(environ, start_response)

    listener = listen(HOST, 0)
    port = listener.getsockname()[1]
    certificate = pki.issue(authorities.ca, addresses=[HOST], server=True)
    server = HttpServer(whoami, HOST, port, context=pki.server_context(certificate, client_ca=authorities.ca.crt), listener=listener)
    server.start()
    try:
        with socket.create_connection((HOST, port)):
            answers = []
            for pair in (authorities.admin, None):
                connection = http.client.HTTPSConnection(HOST, port, timeout=5, context=pki.client_context(authorities.ca.crt, pair))
                connection.request("GET", "/")
                answers.append(connection.getresponse().read().decode())
                connection.close()
        assert answers == ["known", "unknown"]
    finally:
        server.stop()


def test_an_address_that_is_taken_is_refused() -> None:
    with listen(HOST, 0) as listener, pytest.raises(OSError, match="in use"):
        listen(HOST, listener.getsockname()[1])
