# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted Kubernetes API: each call must be the next one of the script, and all of it must be used."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import functools
import io
import json
import typing as t
from urllib.parse import parse_qsl, urlsplit

import urllib3
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes import client
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.client import Api, connect
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.kubeconfig import read
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclasses.dataclass
class Expect:
    """One call and its answer. query and body are compared whole; answer may be an exception to raise."""

    method: str
    path: str
    answer: t.Any = dataclasses.field(default_factory=dict)
    status: int = 200
    query: dict[str, str] = dataclasses.field(default_factory=dict)
    body: t.Any = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


class Script:
    """Plays the answers; with ordered=False calls of several threads may come in any order."""

    def __init__(self, *expected: Expect, ordered: bool = True) -> None:
        self.left = list(expected)
        self.ordered = ordered
        self.slept: list[float] = []
        self.headers: list[dict[str, str]] = []

    def request(self, _pool: t.Any, method: str, url: str, **kwargs: t.Any) -> urllib3.HTTPResponse:
        """Stands in for urllib3.PoolManager.request."""
        parts = urlsplit(url)
        self.headers.append(dict(kwargs["headers"]))
        body = json.loads(kwargs["body"]) if kwargs.get("body") else None
        # Older clients leave a GET's query to urllib3.
        query = {**dict(parse_qsl(parts.query)), **{key: str(value) for key, value in dict(kwargs.get("fields") or {}).items()}}
        seen = (method, parts.path, query, body)
        candidates = self.left[:1] if self.ordered else self.left
        for expect in candidates:
            if seen == (expect.method, expect.path, expect.query, expect.body):
                self.left.remove(expect)
                return self._answer(expect)
        raise AssertionError(f"unexpected call {seen}; expected {candidates}")

    @staticmethod
    def _answer(expect: Expect) -> urllib3.HTTPResponse:
        if isinstance(expect.answer, Exception):
            raise expect.answer
        text = expect.answer if isinstance(expect.answer, str) else json.dumps(expect.answer)
        return urllib3.HTTPResponse(io.BytesIO(text.encode()), status=expect.status, headers=expect.headers, preload_content=False)


def installed(monkeypatch: t.Any, *expected: Expect, ordered: bool = True) -> Script:
    """From now on all requests of the kubernetes client follow the script, and nothing sleeps between tries."""
    script = Script(*expected, ordered=ordered)
    monkeypatch.setattr(urllib3.PoolManager, "request", lambda pool, method, url, **kwargs: script.request(pool, method, url, **kwargs))
    monkeypatch.setattr(client, "sleep", script.slept.append)
    return script


@contextlib.contextmanager
def scripted(monkeypatch: t.Any, *expected: Expect, ordered: bool = True) -> t.Iterator[tuple[Api, Script]]:
    """An Api that follows the script."""
    script = installed(monkeypatch, *expected, ordered=ordered)
    with connect(read(kubeconfig())) as api:
        yield api, script
    assert not script.left, f"never called: {script.left}"


def seconds(*values: float) -> t.Callable[[float, float], t.Iterator[float]]:
    """A clock that ticks at these seconds and does not sleep."""
    return lambda _timeout, _interval: iter(values)


@functools.cache
def pki() -> dict[str, str]:
    """A CA and a server and client certificate of it; PEM texts."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("test-ca", ca_key, "test-ca", ca_key, is_ca=True)
    leaf = _certificate("kube.test", key, "test-ca", ca_key, is_ca=False)
    return {"ca": _pem(ca), "certificate": _pem(leaf), "key": _key_pem(key)}


def _certificate(name: str, key: t.Any, issuer: str, issuer_key: t.Any, is_ca: bool) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    if is_ca:
        # As Talos and kubeadm make them; Python 3.13 insists on it.
        builder = builder.add_extension(x509.KeyUsage(True, False, False, False, False, True, False, False, False), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: t.Any) -> str:
    return t.cast(
        "str",
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(),
    )


def config(server: str = "https://kube.test:6443", **changes: t.Any) -> dict[str, t.Any]:
    """A kubeconfig as talosctl writes it; changes replace whole keys of user or cluster."""
    encode = {name: base64.b64encode(text.encode()).decode() for name, text in pki().items()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "admin@fargle",
        "contexts": [{"name": "admin@fargle", "context": {"cluster": "fargle", "user": "admin@fargle"}}],
        "clusters": [{"name": "fargle", "cluster": changes.get("cluster", {"server": server, "certificate-authority-data": encode["ca"]})}],
        "users": [
            {
                "name": "admin@fargle",
                "user": changes.get("user", {"client-certificate-data": encode["certificate"], "client-key-data": encode["key"]}),
            }
        ],
    }


def kubeconfig(server: str = "https://kube.test:6443", **changes: t.Any) -> str:
    """The same as text."""
    return yaml.safe_dump(config(server, **changes))


def node(name: str, address: str = "", provider_id: str = "", ready: str = "True", uid: str = "", unschedulable: bool = False) -> dict[str, t.Any]:
    """A Node object as the API shows it."""
    spec: dict[str, t.Any] = {"unschedulable": True} if unschedulable else {}
    if provider_id:
        spec["providerID"] = provider_id
    reason = {"True": "KubeletReady", "False": "KubeletNotReady", "Unknown": "NodeStatusUnknown"}[ready]
    return {
        "metadata": {"name": name, "uid": uid or f"uid-{name}", "labels": {"kubernetes.io/hostname": name}, "creationTimestamp": "2026-11-22T15:00:00Z"},
        "spec": spec,
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}] if address else [],
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready, "reason": reason, "message": "as told"}],
            "nodeInfo": {"kubeletVersion": "v1.34.2", "osImage": "Talos (v1.11.6)"},
        },
    }


def nodes(*entries: dict[str, t.Any]) -> Expect:
    """The list call for all nodes."""
    return Expect("GET", "/api/v1/nodes", {"items": list(entries)}, query={"limit": "500"})


def identity() -> Expect:
    """The call that tells which cluster it is."""
    return Expect("GET", "/api/v1/namespaces/kube-system", {"metadata": {"uid": "cluster-uid"}})


def failure(status: int, message: str = "no", **details: t.Any) -> dict[str, t.Any]:
    """A Status object."""
    return {"kind": "Status", "status": "Failure", "code": status, "message": message, "details": details}
