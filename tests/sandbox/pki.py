# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real certificates for simulated clusters: the authorities `talosctl gen secrets` makes, and what is issued from them.

Algorithms, subjects and PEM labels are those of a real cluster, because clients stumble over exactly these:
Ed25519 for Talos (PEM label `ED25519 PRIVATE KEY`), ECDSA P-256 (`EC PRIVATE KEY`) for Kubernetes and etcd.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import ipaddress
import os
import ssl
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

ED25519_LABEL = "ED25519 PRIVATE KEY"
CA_LIFE = datetime.timedelta(days=3650)
LEAF_LIFE = datetime.timedelta(days=365)
# Certificates begin a little in the past, as clocks differ.
CLOCK_SKEW = datetime.timedelta(minutes=5)


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its key as PEM text, labelled as Talos labels them."""

    crt: str
    key: str

    @property
    def crt_b64(self) -> str:
        """The certificate as machine configs, talosconfigs and kubeconfigs carry it."""
        return base64.b64encode(self.crt.encode()).decode()

    @property
    def key_b64(self) -> str:
        """The key as machine configs, talosconfigs and kubeconfigs carry it."""
        return base64.b64encode(self.key.encode()).decode()


@dataclasses.dataclass(frozen=True)
class TalosPKI:
    """The Talos API's authority and an administrator's client certificate (O=os:admin)."""

    ca: Pair
    admin: Pair


@dataclasses.dataclass(frozen=True)
class KubernetesPKI:
    """The authorities in a control plane's machine config, the service account key, and an administrator (O=system:masters)."""

    ca: Pair
    etcd_ca: Pair
    aggregator_ca: Pair
    service_account_key: str
    admin: Pair


def usable_key(pem: str) -> str:
    """The key with the label OpenSSL and `cryptography` accept (Talos' own label means plain PKCS#8)."""
    return pem.replace(ED25519_LABEL, "PRIVATE KEY")


def load_key(pem: str) -> PrivateKey:
    """Read a private key in any of the labels used here."""
    key = serialization.load_pem_private_key(usable_key(pem).encode(), password=None)
    if not isinstance(key, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        raise ValueError(f"keys here are Ed25519 or ECDSA, not {type(key).__name__}")
    return key


def _new_key(like: PrivateKey | None, ed: bool) -> PrivateKey:
    if isinstance(like, ed25519.Ed25519PrivateKey) or (like is None and ed):
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: PrivateKey) -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return pem.decode().replace("PRIVATE KEY", ED25519_LABEL)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()).decode()


def _digest(key: PrivateKey) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _name(common_name: str, organizations: t.Sequence[str]) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, text) for text in organizations]
    if common_name:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(parts)


def _usage(*, sign: bool, encipher: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign,
        key_encipherment=encipher,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: PrivateKey, life: datetime.timedelta) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    begin = min(now, now + life) - CLOCK_SKEW
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def authority(organization: str, *, ed: bool = False, common_name: str = "") -> Pair:
    """A self-signed CA: Ed25519 when ed, else ECDSA P-256."""
    key = _new_key(None, ed)
    subject = _name(common_name, [organization] if organization else [])
    builder = (
        _builder(subject, subject, key, CA_LIFE)
        .add_extension(_usage(sign=True, encipher=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, _digest(key))
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), _key_pem(key))


def issue(
    ca: Pair,
    *,
    common_name: str = "",
    organizations: t.Sequence[str] = (),
    addresses: t.Sequence[str] = (),
    names: t.Sequence[str] = (),
    server: bool = False,
    client: bool = False,
    life: datetime.timedelta = LEAF_LIFE,
) -> Pair:
    """A leaf certificate with a key of the CA's algorithm; EKU is exactly what server and client say.

    A negative life gives an expired certificate.
    """
    ca_certificate = x509.load_pem_x509_certificate(ca.crt.encode())
    ca_key = load_key(ca.key)
    key = _new_key(ca_key, ed=False)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH] * server + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
    builder = (
        _builder(_name(common_name, organizations), ca_certificate.subject, key, life)
        .add_extension(_usage(sign=False, encipher=isinstance(key, ec.EllipticCurvePrivateKey)), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    alternatives = [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses] + [x509.DNSName(n) for n in names]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate = builder.sign(ca_key, _digest(ca_key))
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), _key_pem(key))


def talos_pki() -> TalosPKI:
    """The Talos side of a cluster's secrets (no cluster's name is in it, as with talosctl)."""
    ca = authority("talos", ed=True)
    return TalosPKI(ca, issue(ca, organizations=["os:admin"], client=True))


def kubernetes_pki(cluster: str) -> KubernetesPKI:
    """The Kubernetes side of a cluster's secrets."""
    ca = authority("kubernetes")
    return KubernetesPKI(
        ca=ca,
        etcd_ca=authority("etcd"),
        aggregator_ca=authority("", common_name="front-proxy"),
        service_account_key=_key_pem(_new_key(None, ed=False)),
        admin=issue(ca, common_name=f"admin@{cluster}", organizations=["system:masters"], client=True),
    )


@contextlib.contextmanager
def _memory_file(text: str) -> t.Iterator[str]:
    # ssl wants paths; a memfd leaves nothing behind, not even on SIGKILL.
    fd = os.memfd_create("pem")
    try:
        os.write(fd, text.encode())
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def server_context(pair: Pair, *, client_ca: str = "", require_client: bool = False, alpn: t.Sequence[str] = ()) -> ssl.SSLContext:
    """TLS for a server; with client_ca (PEM) client certificates are verified, and demanded when require_client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with _memory_file(pair.crt + usable_key(pair.key)) as path:
        context.load_cert_chain(path)
    if client_ca:
        context.load_verify_locations(cadata=client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def client_context(ca: str, pair: Pair | None = None, *, alpn: t.Sequence[str] = ()) -> ssl.SSLContext:
    """TLS for a client that trusts ca (PEM) alone and shows pair, if given."""
    context = ssl.create_default_context(cadata=ca)
    if pair:
        with _memory_file(pair.crt + usable_key(pair.key)) as path:
            context.load_cert_chain(path)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
