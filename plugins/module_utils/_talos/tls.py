# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The certificates and fingerprints of Talos nodes, and TLS contexts that hold keys only in memory."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import os
import ssl
import typing as t

try:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
except ImportError:
    # Reported by transport.missing_library() before anything here is called.
    pass

# The common name of the self-made certificate of a node without configuration, in every Talos version.
MAINTENANCE_NAME = "maintenance-service.talos.dev"


def fingerprint(der: bytes) -> str:
    """Talos' fingerprint of a certificate: base64 SHA-256 of its SubjectPublicKeyInfo (not of the whole certificate)."""
    public = x509.load_der_x509_certificate(der).public_key()
    return base64.b64encode(hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()


def common_name(der: bytes) -> str:
    """The subject's common name, "" when the certificate has none."""
    names = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def expiry(pem: str) -> datetime.datetime:
    """When the first certificate of a PEM text expires (aware, UTC). Raises ValueError when it is no certificate."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    # cryptography < 42 only has the naive one.
    return certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)


def authorities(pem: str) -> frozenset[str]:
    """The fingerprints of the certificates of a CA bundle, so that bundles compare whatever their text looks like."""
    return frozenset(fingerprint(certificate.public_bytes(Encoding.DER)) for certificate in x509.load_pem_x509_certificates(pem.encode()))


class _PinnedObject(ssl.SSLObject):
    """A TLS connection that refuses a server with another key before a byte of application data can be sent."""

    def do_handshake(self) -> None:
        """Finish the handshake, then compare; asyncio tells the protocol of the connection only after this returned."""
        super().do_handshake()
        context = t.cast("PinnedContext", self.context)
        seen = fingerprint(self.getpeercert(binary_form=True) or b"")
        if seen not in context.pins:
            raise ssl.SSLCertVerificationError(1, f"the server's certificate has fingerprint {seen}, expected {' or '.join(sorted(context.pins))}")


class PinnedContext(ssl.SSLContext):
    """A context that accepts exactly the server keys whose fingerprints are in pins."""

    sslobject_class = _PinnedObject
    pins: frozenset[str] = frozenset()


def _client_side(context: ssl.SSLContext) -> ssl.SSLContext:
    """What all connections to Talos have in common: HTTP/2 (required by its server) and TLS 1.3.

    Every Talos version speaks 1.3, in which a refused client certificate shows after the handshake, not as its failure.
    """
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    return context


def unverified_context() -> ssl.SSLContext:
    """For looking at a server's certificate without sending anything, or for a node whose identity is deliberately not checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _client_side(context)


def pinned_context(pins: t.Iterable[str]) -> ssl.SSLContext:
    """For a node in maintenance mode: no CA vouches for it, the fingerprints in pins do."""
    context = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.pins = frozenset(pins)
    return _client_side(context)


def verified_context(ca: str, certificate: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """For a configured node: its certificate must come from ca (PEM) and name the address; certificate and key (PEM) are the client's.

    A context made by hand does not set VERIFY_X509_STRICT, which Python 3.13 has in its default contexts and Talos' certificates need not pass.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca)
    if certificate and key:
        with in_memory(certificate) as certificate_path, in_memory(key) as key_path:
            context.load_cert_chain(certificate_path, key_path)
    return _client_side(context)


@contextlib.contextmanager
def in_memory(text: str) -> t.Iterator[str]:
    """A path from which text can be read once, without a file that would survive a kill: load_cert_chain takes only paths."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("k8s_cluster.manager", os.MFD_CLOEXEC)
        os.write(descriptor, text.encode())
    else:
        # macOS: certificates and keys fit into a pipe's buffer.
        descriptor, writer = os.pipe()
        os.write(writer, text.encode())
        os.close(writer)
    try:
        # Linux links /dev/fd to /proc/self/fd, where opening starts at the beginning again.
        yield f"/dev/fd/{descriptor}"
    finally:
        os.close(descriptor)
