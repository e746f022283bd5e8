# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to Talos nodes: who is trusted, what is tried again, what errors say."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import ssl
import threading
import types
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import client, tls, transport
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.talosconfig import Endpoint, parse
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.transport import Connection, TalosError
from cryptography import x509
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from .server import CUT, Authority, Issued, Loop, Node, address, config_reply, member, reply, server_context, status_reply, talosconfig

VERSION = reply("Version", version={"tag": "v1.11.6"})
Make = t.Callable[..., Node]


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_BACKOFF_SECONDS", 0.0)


def ask(server: Node, context: ssl.SSLContext, work: t.Callable[[Connection], t.Awaitable[t.Any]], pin: str = "", **kwargs: t.Any) -> t.Any:
    """Run one call against a node with a loop of its own, as the modules do."""

    async def run() -> t.Any:
        async with Connection(Endpoint(server.ip), context, **kwargs) as connection:
            connection.trust(pin)
            return await work(connection)

    return asyncio.run(run())


def admin(authority: Authority) -> ssl.SSLContext:
    return parse(talosconfig(authority)).tls_context()


def failure(node: Node, context: ssl.SSLContext, work: t.Callable[[Connection], t.Awaitable[t.Any]] = client.version, **kwargs: t.Any) -> TalosError:
    with pytest.raises(TalosError) as caught:
        ask(node, context, work, **kwargs)
    return caught.value


def test_mutual_tls(nodes: Make, authority: Authority) -> None:
    node = nodes().secure()
    node.answers["Version"] = VERSION
    assert ask(node, admin(authority), client.version) == "v1.11.6"
    assert node.names == ["Version"]


def test_pinned_maintenance_node(nodes: Make) -> None:
    node = nodes().maintenance()
    node.answers["Get"] = status_reply("maintenance")
    assert ask(node, tls.unverified_context(), client.machine_status, pin=node.fingerprint).stage == "maintenance"


@pytest.mark.parametrize("pin", ["A" * 43 + "=", ""])
def test_wrong_pin_sends_nothing(nodes: Make, pin: str) -> None:
    node = nodes().maintenance()
    node.answers["ApplyConfiguration"] = reply("ApplyConfiguration")
    error = failure(node, tls.unverified_context(), lambda c: client.apply_configuration(c, b"secret"), pin=pin)
    assert error.code == "UNTRUSTED"
    assert f"has fingerprint {node.fingerprint}, expected {pin or 'none'}" in str(error)
    assert node.calls == []


def test_a_call_goes_on_over_the_connection_whose_certificate_was_seen(nodes: Make) -> None:
    """A new one could reach another machine. Once it is lost, the machine behind the new one must have the same key."""
    node = nodes().maintenance()
    node.answers["ApplyConfiguration"] = reply("ApplyConfiguration")
    made: list[object] = []

    async def look_and_send(connection: Connection, lose: bool) -> None:
        connection.trust(tls.fingerprint(await connection.certificate()))
        made.append(first := connection._channel.latest)
        if lose:
            assert first
            first.abort()
            await asyncio.sleep(0.05)
            node.loop.run(node.shut())
            node.loop.run(node.listen(node.as_maintenance()))
        await client.apply_configuration(connection, b"secret")
        made.append(connection._channel.latest)

    async def run(lose: bool) -> None:
        async with Connection(Endpoint(node.ip), tls.unverified_context()) as connection:
            await look_and_send(connection, lose)

    asyncio.run(run(lose=False))
    assert made[0] is made[1]
    with pytest.raises(TalosError) as caught:
        asyncio.run(run(lose=True))
    assert caught.value.code == "UNTRUSTED"
    assert node.names == ["ApplyConfiguration"]


def test_pin_is_enforced_before_any_application_data() -> None:
    """A raw TLS server that notes every decrypted byte: even HTTP/2's preface must not arrive."""
    received = bytearray()
    issued = Authority().issue("maintenance-service.talos.dev", ip := address())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    with tls.in_memory(issued.certificate) as certificate, tls.in_memory(issued.key.replace("ED25519 ", "")) as key:
        context.load_cert_chain(certificate, key)

    async def serve(pin: str) -> None:
        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.extend(await reader.read(3))
            writer.transport.abort()

        server = await asyncio.start_server(listen, ip, 50000, ssl=context)
        async with server, Connection(Endpoint(ip), tls.unverified_context(), attempts=1) as connection:
            assert await connection.certificate() == issued.der
            connection.trust(pin)
            with pytest.raises(TalosError):
                await client.version(connection)
            await asyncio.sleep(0.05)

    asyncio.run(serve("A" * 43 + "="))
    assert bytes(received) == b""
    asyncio.run(serve(tls.fingerprint(issued.der)))
    assert bytes(received) == b"PRI"


def test_a_stranger_who_talks_and_talks_is_cut_off() -> None:
    issued, ip = Authority().issue("maintenance-service.talos.dev"), address()
    ended = asyncio.Event()

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"x" * 4096)
                await writer.drain()
        ended.set()

    async def run() -> None:
        server = await asyncio.start_server(talk, ip, 50000, ssl=server_context(None, ip, issued))
        async with server, Connection(Endpoint(ip), tls.unverified_context()) as connection:
            assert await connection.certificate() == issued.der
            await asyncio.wait_for(ended.wait(), 5)
            protocol = connection._channel.latest
            assert protocol
            assert len(protocol._early) <= transport.EARLY_BYTES

    asyncio.run(run())


def test_fingerprint_is_that_of_the_public_key() -> None:
    authority = Authority()
    first, other = authority.issue("a"), authority.issue("a")
    assert tls.fingerprint(first.der) != tls.fingerprint(other.der)
    assert len(tls.fingerprint(first.der)) == 44
    # The RFC 8410 form of an Ed25519 key is a fixed prefix and the 32 bytes: computed by hand here.
    public = x509.load_der_x509_certificate(first.der).public_key().public_bytes_raw()
    by_hand = base64.b64encode(hashlib.sha256(bytes.fromhex("302a300506032b6570032100") + public).digest()).decode()
    assert tls.fingerprint(first.der) == by_hand


def test_foreign_authority(nodes: Make) -> None:
    node = nodes(authority=Authority("other")).secure()
    error = failure(node, admin(Authority()))
    assert error.code == "UNTRUSTED"
    assert node.calls == []


def test_certificate_for_another_address(nodes: Make, authority: Authority) -> None:
    node = nodes().secure(names="10.9.9.9")
    error = failure(node, admin(authority))
    assert error.code == "WRONG_ADDRESS"
    assert "IP address mismatch" in str(error)


T = t.TypeVar("T")


def at_a_server_that_alerts(authority: Authority, work: t.Callable[[str], t.Coroutine[t.Any, t.Any, T]]) -> T:
    """Run work at a server that sends its TLS alert before it closes, as Go does (asyncio's servers close without it)."""
    ip = address()
    server = socket.create_server((ip, 50000))

    def serve() -> None:
        accepted, _peer = server.accept()
        with accepted:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls_side = server_context(authority, ip).wrap_bio(incoming, outgoing, server_side=True)
            for _flight in range(8):
                incoming.write(accepted.recv(65536))
                try:
                    tls_side.do_handshake()
                except ssl.SSLWantReadError:
                    accepted.sendall(outgoing.read())
                except ssl.SSLError:
                    break
            accepted.sendall(outgoing.read())
            accepted.shutdown(socket.SHUT_WR)
            while accepted.recv(65536):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        return asyncio.run(work(ip))
    finally:
        thread.join(10)
        server.close()


def alert_of_a_real_server(authority: Authority, context: ssl.SSLContext) -> TalosError:
    async def ask_version(ip: str) -> TalosError:
        async with Connection(Endpoint(ip), context) as connection:
            with pytest.raises(TalosError) as caught:
                await client.version(connection)
            return caught.value

    return at_a_server_that_alerts(authority, ask_version)


def test_certificate_is_known_even_after_the_alert(authority: Authority) -> None:
    """A configured node refuses a client without certificate right after the handshake; OpenSSL then forgets the server's."""

    async def look(ip: str) -> bytes:
        _reader, writer = await asyncio.open_connection(ip, 50000, ssl=tls.unverified_context())
        await asyncio.sleep(0.1)
        found = writer.get_extra_info("ssl_object")
        writer.transport.abort()
        with pytest.raises(ValueError, match="handshake not done"):
            found.getpeercert(binary_form=True)
        return bytes(found.certificate)

    assert tls.common_name(at_a_server_that_alerts(authority, look)) == "node"


def test_client_of_another_cluster(authority: Authority) -> None:
    stranger = Authority().issue("admin", role="os:admin")
    context = tls.verified_context(authority.pem, stranger.certificate, stranger.key.replace("ED25519 ", ""))
    error = alert_of_a_real_server(authority, context)
    assert (error.code, "unknown ca" in str(error)) == ("CLIENT_REFUSED", True)


def test_no_client_certificate_is_named(authority: Authority) -> None:
    error = alert_of_a_real_server(authority, tls.verified_context(authority.pem))
    assert (error.code, "certificate required" in str(error)) == ("CLIENT_REFUSED", True)


def test_server_certificate_only(nodes: Make, authority: Authority) -> None:
    """Without a talosconfig the handshake alone shows whose node it is."""
    node = nodes().secure()
    der = ask(node, tls.verified_context(authority.pem), Connection.certificate)
    assert tls.fingerprint(der) == node.fingerprint
    assert failure(node, tls.verified_context(Authority().pem), Connection.certificate).code == "UNTRUSTED"
    assert node.calls == []


def test_refused_connection(loop: Loop, authority: Authority) -> None:
    node = Node(loop, authority)
    error = failure(node, admin(authority))
    assert (error.code, str(error)) == ("CONNECT", f"{node.ip}: Version: connection refused")
    assert not error.maybe_done


def test_silent_server_times_out(authority: Authority) -> None:
    ip = address()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """From Python 3.12.1 on a server waits at its end for connections that nobody closes."""
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async def run() -> TalosError:
        server = await asyncio.start_server(silence, ip, 50000)
        async with server, Connection(Endpoint(ip), tls.unverified_context()) as connection:
            with pytest.raises(TalosError) as caught:
                await connection.certificate(timeout=0.1)
            return caught.value

    error = asyncio.run(run())
    assert (error.code, str(error)) == ("CONNECT", "no answer in time")


@pytest.mark.parametrize("status", [Status.UNAVAILABLE, Status.RESOURCE_EXHAUSTED])
def test_passing_failures_are_tried_again(nodes: Make, authority: Authority, status: Status) -> None:
    node = nodes().secure()
    node.answers["Version"] = [GRPCError(status, "busy"), CUT, VERSION]
    assert ask(node, admin(authority), client.version) == "v1.11.6"
    assert node.names == ["Version"] * 3


def test_attempts_are_bounded(nodes: Make, authority: Authority) -> None:
    node = nodes().secure()
    node.answers["Version"] = GRPCError(Status.UNAVAILABLE, "busy")
    error = failure(node, admin(authority))
    assert (error.code, str(error)) == ("UNAVAILABLE", f"{node.ip}: Version: busy")
    assert len(node.calls) == transport.ATTEMPTS


def test_throttling_is_waited_out_for_longer_but_not_where_the_caller_asks_once(nodes: Make, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    pause = asyncio.sleep

    async def noted(seconds: float) -> None:
        slept.extend([seconds] if seconds else [])
        await pause(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    monkeypatch.setattr(transport, "FIRST_BACKOFF_SECONDS", 0.25)
    node = nodes().secure()
    node.answers["Version"] = GRPCError(Status.RESOURCE_EXHAUSTED, "busy")
    assert failure(node, admin(authority)).code == "RESOURCE_EXHAUSTED"
    assert len(node.calls) == transport.THROTTLED_ATTEMPTS
    assert slept == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    node.calls.clear()
    assert failure(node, admin(authority), lambda c: client.version(c, attempts=1)).code == "RESOURCE_EXHAUSTED"
    assert len(node.calls) == 1


@pytest.mark.parametrize("status", [Status.PERMISSION_DENIED, Status.INVALID_ARGUMENT, Status.UNIMPLEMENTED, Status.FAILED_PRECONDITION])
def test_lasting_failures_are_not(nodes: Make, authority: Authority, status: Status) -> None:
    node = nodes().secure()
    node.answers["Version"] = GRPCError(status, "not authorized")
    error = failure(node, admin(authority))
    assert (error.code, len(node.calls)) == (status.name, 1)


def test_apply_is_sent_once_with_mode_auto(nodes: Make) -> None:
    node = nodes().maintenance()
    node.answers["ApplyConfiguration"] = CUT
    error = failure(node, tls.unverified_context(), lambda c: client.apply_configuration(c, b"machine: {}\n"), pin=node.fingerprint)
    assert (error.code, error.maybe_done) == ("LOST", True)
    [(name, request, _node)] = node.calls
    assert (name, request.data, request.mode, request.dry_run) == ("ApplyConfiguration", b"machine: {}\n", 1, False)


def test_deadline_of_a_call(nodes: Make, authority: Authority) -> None:
    node = nodes().secure()

    async def slow(_request: t.Any, _node: str | None) -> t.Any:
        await asyncio.sleep(2)
        return reply("EtcdStatus")

    node.answers["EtcdStatus"] = lambda request, name: slow(request, name)
    error = failure(node, admin(authority), lambda c: client.etcd_status(c, 0.2))
    assert error.code == "DEADLINE_EXCEEDED"
    assert len(node.calls) == 1


def test_relayed_by_node_metadata(nodes: Make, authority: Authority) -> None:
    node = nodes().secure()
    node.answers["Version"] = VERSION
    ask(node, admin(authority), client.version, node="10.0.0.7")
    assert [seen for _name, _request, seen in node.calls] == ["10.0.0.7"]


def test_big_config(nodes: Make, authority: Authority) -> None:
    node = nodes().secure()
    text = "# " + "x" * (8 * 1024 * 1024)
    node.answers["Get"] = config_reply(text)
    assert ask(node, admin(authority), client.machine_config) == text.encode()
    [(_name, request, _node)] = node.calls
    assert (request.namespace, request.type, request.id) == ("config", "MachineConfigs.config.talos.dev", "v1alpha1")


def test_machine_status(nodes: Make, authority: Authority) -> None:
    node = nodes().secure()
    node.answers["Get"] = status_reply("booting", ready=False)
    status = ask(node, admin(authority), client.machine_status)
    assert (status.stage, status.ready, str(status)) == ("booting", False, "stage booting (waiting for services)")


def test_etcd_calls(nodes: Make, authority: Authority) -> None:
    node = nodes().secure()
    big = 2**64 - 2
    node.answers |= {
        "EtcdMemberList": reply("EtcdMemberList", members=[member(big, "cp-2", "10.0.0.2", True), member(10, "cp-1", "10.0.0.1")]),
        "EtcdStatus": reply("EtcdStatus", member_status={"leader": big, "member_id": 10, "errors": ["etcdserver: no leader"]}),
        "EtcdAlarmList": reply("EtcdAlarmList", member_alarms=[{"member_id": 10, "alarm": 1}, {"member_id": big}]),
        "EtcdForfeitLeadership": reply("EtcdForfeitLeadership", member="cp-2"),
        "EtcdLeaveCluster": reply("EtcdLeaveCluster"),
        "EtcdRemoveMemberByID": [reply("EtcdRemoveMemberByID"), GRPCError(Status.NOT_FOUND, "member not found")],
    }
    context = admin(authority)
    first, second = ask(node, context, client.etcd_members)
    assert (first.hex_id, first.addresses, first.learner) == ("000000000000000a", ("10.0.0.1",), False)
    assert (second.hex_id, second.hostname, second.learner) == ("fffffffffffffffe", "cp-2", True)
    status = ask(node, context, lambda c: client.etcd_status(c, 5))
    assert (status.leader, status.member_id, status.errors) == (big, 10, ("etcdserver: no leader",))
    assert ask(node, context, client.etcd_alarms) == {10: ("NOSPACE",)}
    assert ask(node, context, client.etcd_forfeit_leadership) == "cp-2"
    ask(node, context, client.etcd_leave)
    for _time in range(2):
        ask(node, context, lambda c: client.etcd_remove_member(c, big))
    assert node.calls[-1][1].member_id == big
    assert node.names[-3:] == ["EtcdLeaveCluster", "EtcdRemoveMemberByID", "EtcdRemoveMemberByID"]


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert transport.missing_library() is None
    monkeypatch.setattr(transport, "IMPORT_ERROR", "Traceback")
    monkeypatch.setattr(transport, "MISSING", "google")
    assert transport.missing_library() == ("protobuf", "Traceback")


def test_issued_keys_have_talos_label(authority: Authority) -> None:
    issued: Issued = authority.issue("x", role="os:admin")
    assert issued.key.startswith("-----BEGIN ED25519 PRIVATE KEY-----")


def test_frames_of_one_turn_go_out_together() -> None:
    sent: list[bytes] = []

    async def run() -> None:
        gathering = transport._Gathering(types.SimpleNamespace(write=sent.append, close=lambda: sent.append(b"closed"), is_closing=lambda: True))
        gathering.write(b"preface ")
        gathering.write(b"request")
        assert sent == []
        await asyncio.sleep(0)
        gathering.write(b"end")
        gathering.close()
        assert gathering.is_closing()
        await asyncio.sleep(0)

    asyncio.run(run())
    assert sent == [b"preface request", b"end", b"closed"]
