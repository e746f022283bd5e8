# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The certificates and fingerprints of Talos nodes, and TLS contexts that hold keys only in memory."""

from __future__ import annotations

import base64
import contextlib
import datetime
import functools
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


def common_authorities(pem: str, other: str) -> str:
    """The certificates of a CA bundle whose keys are in another one, too: what either vouches for. "" when there are none."""
    known = authorities(other)
    found = [certificate.public_bytes(Encoding.PEM).decode() for certificate in x509.load_pem_x509_certificates(pem.encode())]
    return "".join(text for text in found if authorities(text) & known)


class TalosObject(ssl.SSLObject):
    """One end of a TLS connection. certificate is the server's (DER), from the end of the handshake on."""

    certificate: bytes = b""

    def do_handshake(self) -> None:
        """Finish the handshake. The certificate is kept: once a server has refused ours, which with TLS 1.3 comes later, OpenSSL gives it no more."""
        super().do_handshake()
        self.certificate = self.getpeercert(binary_form=True) or b""


class TalosContext(ssl.SSLContext):
    """A client's context for Talos."""

    sslobject_class = TalosObject


def _context() -> TalosContext:
    """What all connections to Talos have in common: HTTP/2 (required by its server) and TLS 1.3, which every Talos version speaks.

    A context made by hand does not set VERIFY_X509_STRICT, which Python 3.13 has in its default contexts and Talos' certificates need not pass.
    """
    context = TalosContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    return context


@functools.lru_cache(maxsize=1)
def unverified_context() -> TalosContext:
    """For looking at a server's certificate; transport.Connection sends nothing over it but to a server whose key it is told."""
    context = _context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@functools.lru_cache(maxsize=4)
def verified_context(ca: str, certificate: str | None = None, key: str | None = None) -> TalosContext:
    """For a configured node: its certificate must come from ca (PEM) and name the address; certificate and key (PEM) are the client's."""
    context = _context()
    context.load_verify_locations(cadata=ca)
    if certificate and key:
        with in_memory(certificate) as certificate_path, in_memory(key) as key_path:
            context.load_cert_chain(certificate_path, key_path)
    return context


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
