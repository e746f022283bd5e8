# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted Talos API: real TLS with Ed25519 certificates, answers from a script, every call recorded."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import datetime
import gzip
import ipaddress
import itertools
import os
import ssl
import tarfile
import threading
import typing as t

import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import messages, tls
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.messages import message
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server, Stream

YEAR = datetime.timedelta(days=365)
_NUMBERS = itertools.count(1)


def address() -> str:
    """A loopback address nobody else uses: the port of the API is fixed, so each node needs its own."""
    more, last = divmod(next(_NUMBERS), 250)
    return f"127.{200 + os.getpid() % 50}.{(os.getpid() // 50 + 50 * more) % 250}.{last + 1}"


@dataclasses.dataclass(frozen=True)
class Issued:
    """A certificate and its key, PEM."""

    certificate: str
    key: str

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.certificate)


class Authority:
    """An Ed25519 CA as Talos makes them."""

    def __init__(self, name: str = "talos") -> None:
        self._key = ed25519.Ed25519PrivateKey.generate()
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, name)])
        builder = self._builder(self._name, self._key.public_key(), YEAR).add_extension(x509.BasicConstraints(True, None), True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), False)
        self.pem = builder.sign(self._key, None).public_bytes(serialization.Encoding.PEM).decode()

    def _builder(self, subject: x509.Name, key: ed25519.Ed25519PublicKey, lasts: datetime.timedelta) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        start = min(now, now + lasts) - datetime.timedelta(minutes=5)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key).serial_number(x509.random_serial_number())
        return builder.not_valid_before(start).not_valid_after(now + lasts)

    def issue(self, name: str, ip: str | None = None, role: str | None = None, lasts: datetime.timedelta = YEAR) -> Issued:
        """A server certificate (ip) or a client certificate (role), its key under Talos' label."""
        key = ed25519.Ed25519PrivateKey.generate()
        attributes = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]
        if role:
            attributes.append(x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, role))
        builder = self._builder(x509.Name(attributes), key.public_key(), lasts)
        usage = x509.ExtendedKeyUsageOID.CLIENT_AUTH if role else x509.ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False)
        if ip:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ip))]), False)
        pem = builder.sign(self._key, None).public_bytes(serialization.Encoding.PEM).decode()
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        return Issued(pem, private.replace("PRIVATE KEY", "ED25519 PRIVATE KEY"))


def talosconfig(authority: Authority, *endpoints: str, lasts: datetime.timedelta = YEAR, **changes: t.Any) -> str:
    """A talosconfig text of a context "test"; changes replace fields of the context."""
    client = authority.issue("admin", role="os:admin", lasts=lasts)
    fields = {word: base64.b64encode(text.encode()).decode() for word, text in (("ca", authority.pem), ("crt", client.certificate), ("key", client.key))}
    return yaml.safe_dump({"context": "test", "contexts": {"test": {"endpoints": list(endpoints), **fields, **changes}}})


def server_context(authority: Authority | None, ip: str, issued: Issued | None = None) -> ssl.SSLContext:
    """A server's side; with an authority clients must show a certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    if authority:
        issued = issued or authority.issue("node", ip)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority.pem)
    assert issued
    with tls.in_memory(issued.certificate) as certificate, tls.in_memory(issued.key.replace("ED25519 ", "")) as key:
        context.load_cert_chain(certificate, key)
    return context


class Loop:
    """An event loop in a thread, so that servers answer while the code under test runs a loop of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: t.Coroutine[t.Any, t.Any, t.Any]) -> t.Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Node:
    """One scripted node. answers maps a method's name to its answer: a message, an exception, a callable of the request and metadata, or a list of
    those used in turn (the last one stays); a method that streams is answered with a tuple of messages.
    calls holds (method, request, metadata node) in order."""

    def __init__(self, loop: Loop, authority: Authority, ip: str | None = None) -> None:
        self.loop, self.authority, self.ip = loop, authority, ip or address()
        self.answers: dict[str, t.Any] = {}
        self.calls: list[tuple[str, t.Any, str | None]] = []
        self._server: Server | None = None
        self.fingerprint = ""

    @property
    def names(self) -> list[str]:
        """The methods called, in order."""
        return [name for name, _request, _node in self.calls]

    def __mapping__(self) -> dict[str, Handler]:
        return {path: self._handler(path) for path in messages.METHODS}

    def _handler(self, path: str) -> Handler:
        request_type, reply_type = (message(name) for name in messages.METHODS[path])

        async def answer(stream: Stream[t.Any, t.Any]) -> None:
            request = await stream.recv_message()
            node = t.cast(t.Any, stream.metadata).get("node")
            name = path.rpartition("/")[2]
            self.calls.append((name, request, node))
            found = self.answers.get(name, GRPCError(Status.UNIMPLEMENTED, "API is not implemented in maintenance mode"))
            if isinstance(found, list):
                found = found.pop(0) if len(found) > 1 else found[0]
            if callable(found):
                found = found(request, node)
                if asyncio.iscoroutine(found):
                    found = await found
            if found is CUT:
                t.cast(t.Any, stream)._stream._transport.abort()
                return
            if isinstance(found, Exception):
                raise found
            for one in found if isinstance(found, tuple) else (found,):
                await stream.send_message(one)

        cardinality = Cardinality.UNARY_STREAM if path in messages.STREAMED else Cardinality.UNARY_UNARY
        return Handler(answer, cardinality, request_type, reply_type)

    async def listen(self, context: ssl.SSLContext) -> None:
        self._server = Server([self])
        await self._server.start(self.ip, 50000, ssl=context)

    async def shut(self) -> None:
        """Refuse connections; those that are open are cut."""
        server, self._server = self._server, None
        if server:
            server.close()
            await server.wait_closed()

    def as_maintenance(self) -> ssl.SSLContext:
        issued = Authority("maintenance").issue("maintenance-service.talos.dev", self.ip)
        self.fingerprint = tls.fingerprint(issued.der)
        return server_context(None, self.ip, issued)

    def as_secure(self, names: str | None = None) -> ssl.SSLContext:
        issued = self.authority.issue("node", names or self.ip)
        self.fingerprint = tls.fingerprint(issued.der)
        return server_context(self.authority, self.ip, issued)

    def maintenance(self) -> Node:
        """Listen as a node without configuration: a throw-away CA, no client authentication."""
        self.loop.run(self.listen(self.as_maintenance()))
        return self

    def secure(self, names: str | None = None) -> Node:
        """Listen as a configured node: a certificate of the cluster's CA, client certificates required."""
        self.loop.run(self.listen(self.as_secure(names)))
        return self

    def stop(self) -> None:
        """Refuse connections, from another thread."""
        with contextlib.suppress(TimeoutError):
            self.loop.run(self.shut())


CUT = object()


def reply(method: str, **fields: t.Any) -> t.Any:
    """The reply of a machine API method with one message of these fields."""
    name = messages.METHODS[f"/machine.MachineService/{method}"][1]
    kind = message(name)()
    kind.messages.add(**fields)
    return kind


def status_reply(stage: str, ready: bool = True) -> t.Any:
    """The COSI resource MachineStatus."""
    number = [word.lower() for word in messages.ENUMS["talos.resource.definitions.enums.RuntimeMachineStage"]].index(stage)
    spec = message("talos.resource.definitions.runtime.MachineStatusSpec")(stage=number)
    spec.status.ready = ready
    if not ready:
        spec.status.unmet_conditions.add(name="services", reason="kubelet")
    answer = message("cosi.resource.GetResponse")()
    answer.resource.spec.proto_spec = spec.SerializeToString()
    return answer


def config_reply(text: str) -> t.Any:
    """The COSI resource MachineConfig."""
    answer = message("cosi.resource.GetResponse")()
    spec = message("talos.resource.definitions.config.MachineConfigSpec")(yaml_marshalled=text.encode())
    answer.resource.spec.proto_spec = spec.SerializeToString()
    return answer


def files_reply(*names: str) -> tuple[t.Any, ...]:
    """The stream of a directory's entries; the directory itself comes first."""
    kind = message("machine.FileInfo")
    return tuple(kind(name=f"/var/lib/etcd/{name}".rstrip("/."), relative_name=name, is_dir=True) for name in (".", *names))


def kubeconfig_reply(text: str, parts: int = 1) -> tuple[t.Any, ...]:
    """The stream of Kubeconfig: a gzip'd tar that Talos does not pad and end as tar wants it."""
    header = tarfile.TarInfo("kubeconfig")
    header.size = len(text.encode())
    data = gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + text.encode())
    size = -(-len(data) // parts)
    return tuple(message("common.Data")(bytes=data[start : start + size]) for start in range(0, len(data), size))


def member(number: int, hostname: str, ip: str, learner: bool = False) -> dict[str, t.Any]:
    """A row for EtcdMemberList."""
    return {"id": number, "hostname": hostname, "peer_urls": [f"https://{ip}:2380"], "client_urls": [f"https://{ip}:2379"], "is_learner": learner}
