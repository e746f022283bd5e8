# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gRPC over TLS on one address, as Talos' apid serves it: HTTP/2 only, client certificates by Talos' rules, closed at once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import typing as t

import h2.config
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from grpclib.config import Configuration
from grpclib.const import Cardinality
from grpclib.const import Handler as Method
from grpclib.encoding.proto import ProtoCodec
from grpclib.events import _DispatchServerEvents
from grpclib.protocol import H2Protocol
from grpclib.server import Handler, Stream

from ..pki import Pair, server_context

API_PORT = 50000
HANDSHAKE_SECONDS = 5
Serve = t.Callable[[str, Stream[t.Any, t.Any], frozenset[str]], t.Awaitable[None]]
_H2 = h2.config.H2Configuration(
    client_side=False,
    header_encoding="ascii",
    validate_inbound_headers=False,
    validate_outbound_headers=False,
    normalize_inbound_headers=False,
    normalize_outbound_headers=False,
)


def fingerprint(certificate_pem: str) -> str:
    """base64 SHA-256 of the leaf's SubjectPublicKeyInfo: what Talos prints on the console."""
    public = x509.load_pem_x509_certificate(certificate_pem.encode()).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def _client(transport: asyncio.BaseTransport) -> x509.Certificate | None:
    der = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(der) if der else None


def _exact_usage(certificate: x509.Certificate) -> bool:
    """Talos accepts a client certificate whose extended key usage is clientAuth and nothing else."""
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def roles(certificate: x509.Certificate | None) -> frozenset[str]:
    """Talos' roles are the organizations of the client certificate."""
    if certificate is None:
        return frozenset()
    return frozenset(str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))


class _Bytes:
    """Messages pass through unparsed: the service knows their types by the method's name."""

    DESCRIPTOR = None


class _RawCodec(ProtoCodec):
    """grpclib's codec for messages that are kept as bytes."""

    def encode(self, message: t.Any, message_type: t.Any) -> bytes:
        return t.cast(bytes, message)

    def decode(self, data: bytes, message_type: t.Any) -> t.Any:
        return data


class _Methods(dict[str, Method]):
    """Every method exists here, with as many answers as it wants: the service itself knows, and answers the unknown ones."""

    def __init__(self, listener: Listener, granted: frozenset[str]) -> None:
        super().__init__()
        self._listener, self._granted = listener, granted

    def get(self, key: str, default: t.Any = None) -> Method:
        async def call(stream: Stream[t.Any, t.Any]) -> None:
            await self._listener.serve(key, stream, self._granted)

        return Method(call, Cardinality.UNARY_STREAM, _Bytes, _Bytes)


class _Protocol(H2Protocol):
    """One connection. What TLS itself cannot refuse is refused here: no ALPN h2, wrong key usage."""

    def __init__(self, listener: Listener, methods: _Methods) -> None:
        super().__init__(Handler(methods, _RawCodec(), None, _DispatchServerEvents()), Configuration().__for_server__(), _H2)
        self._listener, self._methods = listener, methods

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        certificate = _client(transport)
        wrong_usage = self._listener.exact_usage and (certificate is None or not _exact_usage(certificate))
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2" or wrong_usage:
            t.cast(asyncio.Transport, transport).abort()
            return
        self._methods._granted = self._listener.granted(certificate)
        self._listener.transports.add(t.cast(asyncio.Transport, transport))
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if hasattr(self, "processor"):
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        if hasattr(self, "processor"):
            self._listener.transports -= {transport for transport in self._listener.transports if transport.is_closing()}
            super().connection_lost(exc)


class _Alerting(ssl.SSLObject):
    """TLS that tells the client why it is refused: asyncio drops OpenSSL's alert together with a failed handshake.

    The failure is held back once as "want read", upon which asyncio sends what OpenSSL has written; then it counts.
    """

    failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """Shake hands, failing at the second look."""
        if self.failure:
            raise self.failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.failure = error
            raise ssl.SSLWantReadError from error


class Listener:
    """The API port of one node. granted(certificate) gives a connection's roles."""

    def __init__(self, address: str, serve: Serve, *, exact_usage: bool, granted: t.Callable[[x509.Certificate | None], frozenset[str]] = roles) -> None:
        self.address, self.serve, self.exact_usage, self.granted = address, serve, exact_usage, granted
        self.transports: set[asyncio.Transport] = set()
        self._server: asyncio.AbstractServer | None = None

    async def open(self, pair: Pair, client_ca: str = "") -> None:
        """Listen with this certificate; client_ca (PEM, one or more) makes client certificates mandatory."""
        context = server_context(pair, client_ca=client_ca, require_client=bool(client_ca), alpn=["h2"])
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.sslobject_class = _Alerting
        loop = asyncio.get_running_loop()
        # Serving starts when the server is known here: a task that is cancelled meanwhile must not leave the port open.
        self._server = await loop.create_server(
            lambda: _Protocol(self, _Methods(self, frozenset())),
            self.address,
            API_PORT,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            reuse_address=True,
            backlog=64,
            start_serving=False,
        )
        await self._server.start_serving()

    @property
    def is_open(self) -> bool:
        return self._server is not None and self._server.is_serving()

    def close(self) -> None:
        """Stop listening and cut all connections, as a machine that goes down does."""
        if self._server:
            self._server.close()
            self._server = None
        for transport in list(self.transports):
            transport.abort()
        self.transports.clear()
