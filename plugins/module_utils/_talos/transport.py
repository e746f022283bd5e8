# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Calls to Talos nodes: gRPC over the standard library's TLS.

grpcio cannot do this: its TLS library offers no Ed25519, which all of Talos' certificates use. grpclib is pure Python over ssl.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import traceback
import typing as t

try:
    import cryptography
    import google.protobuf
    import yaml
    from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod
    from grpclib.config import Configuration
    from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
    from grpclib.protocol import H2Protocol
except ImportError as error:
    Channel = H2Protocol = object  # type: ignore[assignment,misc]
    IMPORT_ERROR: str | None = traceback.format_exc()
    MISSING = (error.name or "grpclib").partition(".")[0]
else:
    # The first three are imported to be missed here; tls.py, messages.py and talosconfig.py use them.
    USED_ELSEWHERE = (cryptography, google.protobuf, yaml)
    IMPORT_ERROR = None
    MISSING = ""

from ansible.module_utils.basic import missing_required_lib

from .._errors import ManagerError
from . import messages, tls
from .talosconfig import Endpoint

# What may be on its way unread. This is HTTP/2's own: any other has to be agreed upon, which costs more than configs of some 10 KB gain from it.
WINDOW_BYTES = 64 * 1024 - 1
# Who says more than this before he is asked anything is no Talos.
EARLY_BYTES = 64 * 1024
CONNECT_SECONDS = 5.0
CALL_SECONDS = 15.0
ATTEMPTS = 4
# A server that says that it has too much to do is there, and wants its time.
THROTTLED_ATTEMPTS = 8
FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 0.25, 8.0
# OpenSSL's verify codes for a certificate that does not name the host or address asked for.
NAME_MISMATCHES = (62, 64)
# ... and for one that is not valid yet, or not any more.
WRONG_TIMES = (9, 10)
# What OpenSSL calls the alerts of a server that does not accept the client's certificate.
REFUSALS = ("certificate", "unknown_ca", "decrypt_error", "access_denied")
RETRIED = ("CONNECT", "LOST", "UNAVAILABLE", "RESOURCE_EXHAUSTED")


class TalosError(ManagerError):
    """A call failed. code is the gRPC status' name, or what happened to the connection:

    CONNECT: refused or unreachable, nothing was sent. UNTRUSTED: the server's certificate was refused, nothing was sent.
    WRONG_ADDRESS, WRONG_TIME: its certificate is good, but for other addresses or times; nothing was sent. CLIENT_REFUSED: the server refused ours.
    LOST: the connection broke, the call may have been carried out.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def maybe_done(self) -> bool:
        """Whether the node may have done what was asked although no good answer came."""
        return self.code in ("LOST", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")


def missing_library() -> tuple[str, str] | None:
    """The Python package that is not installed and the traceback of its import, else None."""
    return ({"google": "protobuf", "yaml": "PyYAML"}.get(MISSING, MISSING), IMPORT_ERROR) if IMPORT_ERROR else None


def require_libraries() -> None:
    """Raise ManagerError, with the import's traceback, when a Python package is not installed."""
    missing = missing_library()
    if missing:
        raise ManagerError(missing_required_lib(missing[0]), exception=missing[1])


class _Gathering:
    """A transport that sends what is written in one turn of the event loop as one: HTTP/2 writes frame by frame, and each is a TLS record and a packet."""

    def __init__(self, transport: t.Any) -> None:
        self._transport = transport
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send this with what else is written in this turn."""
        if not self._parts:
            asyncio.get_running_loop().call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Send what is left, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            self._transport.write(b"".join(self._parts))
            self._parts.clear()

    def __getattr__(self, name: str) -> t.Any:
        """All else is the transport's own."""
        return getattr(self._transport, name)


class _Protocol(H2Protocol):  # type: ignore[misc,valid-type]
    """grpclib's protocol, which says nothing before it is told to, and remembers why the connection ended: grpclib itself reports only that it did.

    certificate is the server's (DER), b"" until the handshake is over. made: from here on calls may reach the server.
    """

    certificate = b""
    made = False
    over = False
    lost: BaseException | None = None

    def connection_made(self, transport: t.Any) -> None:
        """Note that the handshake is over. HTTP/2 begins by sending something: that waits."""
        self._transport, self._early = transport, bytearray()
        self.certificate = transport.get_extra_info("ssl_object").certificate

    def begin(self) -> None:
        """Let HTTP/2 begin, with what the server has said already."""
        self.made = True
        super().connection_made(t.cast(t.Any, _Gathering(self._transport)))
        if self._early:
            super().data_received(bytes(self._early))

    def data_received(self, data: bytes) -> None:
        """Keep what comes early: Go's servers speak first, but they do not say much."""
        if self.made:
            super().data_received(data)
        elif len(self._early) + len(data) > EARLY_BYTES:
            self.abort()
        else:
            self._early += data

    def connection_lost(self, exc: BaseException | None) -> None:
        """Keep the reason (with TLS 1.3 the refusal of a client certificate comes after the handshake)."""
        self.over, self.lost = True, exc
        if self.made:
            super().connection_lost(exc)

    def abort(self) -> None:
        """End a connection that has not begun."""
        if self.certificate and not self.made:
            self._transport.abort()


class _Channel(Channel):  # type: ignore[misc,valid-type]
    """grpclib's channel with _Protocol; latest is the protocol of its latest connection.

    pin is the fingerprint of the key that the server must have where the context verifies nothing; without it nothing is sent.
    """

    latest: _Protocol | None = None
    pin = ""

    def _protocol_factory(self) -> _Protocol:
        base = super()._protocol_factory()
        self.latest = _Protocol(base.handler, base.config, base.h2_config)
        return self.latest

    async def meet(self) -> _Protocol:
        """A connection on which nothing was sent yet: the one that waits, else a new one."""
        if self.latest and self.latest.certificate and not (self.latest.made or self.latest.over):
            return self.latest
        return t.cast(_Protocol, await super()._create_connection())

    async def _create_connection(self) -> _Protocol:
        protocol = await self.meet()
        if self._ssl is None or self._ssl.verify_mode is ssl.CERT_NONE:
            seen = tls.fingerprint(protocol.certificate)
            if seen != self.pin:
                protocol.abort()
                raise ssl.SSLCertVerificationError(1, f"the server's certificate has fingerprint {seen}, expected {self.pin or 'none'}")
        protocol.begin()
        return protocol


def _tls_error(error: ssl.SSLError, otherwise: str = "CONNECT") -> TalosError:
    """Tell a server we refuse from a server that refuses us; otherwise is the code for all the rest."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = getattr(error, "verify_message", error.args[-1])
        verify_code = getattr(error, "verify_code", 0)
        code = "WRONG_ADDRESS" if verify_code in NAME_MISMATCHES else "WRONG_TIME" if verify_code in WRONG_TIMES else "UNTRUSTED"
        return TalosError(f"the server's certificate is not accepted: {reason}", code)
    reason = (error.reason or str(error)).lower()
    if "alert" in reason and any(word in reason for word in REFUSALS):
        return TalosError(f"the server refuses the client certificate ({reason.replace('_', ' ')})", "CLIENT_REFUSED")
    return TalosError(f"TLS failed ({reason.replace('_', ' ')})", otherwise)


def _connection_error(error: BaseException) -> TalosError:
    """A failed or broken connection in words."""
    if isinstance(error, ssl.SSLError):
        return _tls_error(error)
    if isinstance(error, ConnectionRefusedError):
        return TalosError("connection refused", "CONNECT")
    if isinstance(error, (ConnectionError, EOFError)):
        return TalosError("the connection was closed", "CONNECT")
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
        return TalosError("no answer in time", "CONNECT")
    return TalosError(f"{getattr(error, 'strerror', None) or error}", "CONNECT")


class Connection:
    """A connection to one Talos API, made at the first use and remade when it broke.

    node, when given, is the address of the node that shall answer: a control plane relays the call to it.
    Over a context that verifies nothing, calls are made only once trust() has said which key the server must have.
    """

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext, node: str | None = None, attempts: int = ATTEMPTS) -> None:
        self.endpoint = endpoint
        self.node = node
        self._attempts = attempts
        config = Configuration(http2_connection_window_size=WINDOW_BYTES, http2_stream_window_size=WINDOW_BYTES)
        self._channel = _Channel(endpoint.host, endpoint.port, ssl=context, config=config)

    def __str__(self) -> str:
        return f"{self.node} (through {self.endpoint})" if self.node else str(self.endpoint)

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._channel.latest:
            self._channel.latest.abort()
        self._channel.close()
        # Lets the loop run the transport's close callback before the loop itself may end.
        await asyncio.sleep(0)

    async def certificate(self, timeout: float = CONNECT_SECONDS) -> bytes:
        """The certificate (DER) that the server shows. Nothing is sent but the handshake; a call goes on from there. Raises TalosError."""
        try:
            return (await asyncio.wait_for(self._channel.meet(), timeout)).certificate
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            raise _connection_error(error) from None

    def trust(self, fingerprint: str) -> None:
        """Make calls where a server has the key with this fingerprint, and only there, although no CA vouches for it: it is in maintenance mode."""
        self._channel.pin = fingerprint

    async def call(self, method: str, request: t.Any, timeout: float = CALL_SECONDS, attempts: int | None = None) -> t.Any:
        """Call a method of messages.METHODS and return its reply, of one in STREAMED the list of its replies; timeout is for each attempt.

        Only failures that promise to pass are tried again (RETRIED); attempts=1 for calls whose repetition means something else.
        """
        attempts = attempts or self._attempts
        backoff = FIRST_BACKOFF_SECONDS
        for made in itertools.count(1):
            try:
                return await self._attempt(method, request, timeout)
            except TalosError as error:
                most = THROTTLED_ATTEMPTS if error.code == "RESOURCE_EXHAUSTED" and attempts > 1 else attempts
                if made >= most or error.code not in RETRIED:
                    raise TalosError(f"{self}: {method.rpartition('/')[2]}: {error}", error.code) from None
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)
        raise AssertionError("the loop ends by itself")

    async def _attempt(self, method: str, request: t.Any, timeout: float) -> t.Any:
        """One attempt, its errors as TalosError."""
        request_type, reply_type = (messages.message(name) for name in messages.METHODS[method])
        kind = UnaryStreamMethod if method in messages.STREAMED else UnaryUnaryMethod
        stub = kind(self._channel, method, request_type, reply_type)
        try:
            metadata = {"node": self.node} if self.node else None
            return await asyncio.wait_for(stub(request, timeout=timeout, metadata=metadata), timeout)
        except GRPCError as error:
            raise TalosError(error.message or error.status.name, error.status.name) from None
        except StreamTerminatedError:
            raise self._lost() from None
        except (asyncio.TimeoutError, TimeoutError):
            protocol = self._channel.latest
            raise TalosError(f"no answer within {timeout:g} s", "DEADLINE_EXCEEDED" if protocol and protocol.made else "CONNECT") from None
        except (OSError, EOFError) as error:
            raise _connection_error(error) from None
        except ProtocolError as error:
            raise TalosError(f"not a gRPC answer: {error}", "LOST") from None

    def _lost(self) -> TalosError:
        """Why the connection that carried a call ended."""
        reason = self._channel.latest.lost if self._channel.latest else None
        if isinstance(reason, ssl.SSLError):
            return _tls_error(reason, "LOST")
        return TalosError("the connection was closed before the answer", "LOST")
