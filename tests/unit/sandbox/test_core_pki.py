# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated clusters' certificates and files have the traits real ones trip clients with."""

from __future__ import annotations

import base64
import datetime
import socket
import ssl
import threading

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.sandbox import configs, pki


@pytest.fixture(scope="module")
def fargle() -> configs.ClusterSecrets:
    return configs.new_secrets("fargle", "https://127.9.1.1:6443")


@pytest.fixture(scope="module")
def fargle2() -> configs.ClusterSecrets:
    return configs.new_secrets("fargle2", "https://127.9.1.4:6443", talos_version="v1.13.9", kubernetes_version="v1.35.1")


def test_talos_keys_carry_the_label_that_openssl_refuses(fargle: configs.ClusterSecrets) -> None:
    key = fargle.talos.admin.key
    assert key.startswith("-----BEGIN ED25519 PRIVATE KEY-----")
    with pytest.raises(ValueError, match="."):
        serialization.load_pem_private_key(key.encode(), password=None)
    assert isinstance(pki.load_key(key), ed25519.Ed25519PrivateKey)


def test_the_admin_certificate_is_for_clients_only_and_carries_the_role(fargle: configs.ClusterSecrets) -> None:
    certificate = x509.load_pem_x509_certificate(fargle.talos.admin.crt.encode())
    assert certificate.subject.rfc4514_string() == "O=os:admin"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(fargle.talos.ca.crt.encode()))


def test_a_negative_life_gives_an_expired_certificate(fargle: configs.ClusterSecrets) -> None:
    pair = pki.issue(fargle.talos.ca, organizations=["os:admin"], client=True, life=datetime.timedelta(hours=-1))
    certificate = x509.load_pem_x509_certificate(pair.crt.encode())
    assert certificate.not_valid_before_utc < certificate.not_valid_after_utc < datetime.datetime.now(datetime.timezone.utc)


def _serve_once(context: ssl.SSLContext) -> tuple[int, list[str]]:
    """A one-shot TLS echo server; the list receives what went wrong on its side."""
    listener = socket.create_server(("127.0.0.1", 0))
    problems: list[str] = []

    def serve() -> None:
        connection, _address = listener.accept()
        with listener, connection:
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    tls.sendall(tls.recv(100))
            except ssl.SSLError as error:
                problems.append(str(error))

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1], problems


@pytest.mark.parametrize("kind", ["talos", "kubernetes"])
def test_mutual_tls_works_between_issued_certificates(fargle: configs.ClusterSecrets, kind: str) -> None:
    authorities = getattr(fargle, kind)
    server = pki.issue(authorities.ca, common_name="node", addresses=["127.0.0.1"], server=True)
    port, problems = _serve_once(pki.server_context(server, client_ca=authorities.ca.crt, require_client=True, alpn=["h2"]))
    context = pki.client_context(authorities.ca.crt, authorities.admin, alpn=["h2"])
    with socket.create_connection(("127.0.0.1", port)) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
        tls.sendall(b"hello")
        assert (tls.recv(100), tls.selected_alpn_protocol()) == (b"hello", "h2")
    assert problems == []


def test_a_client_without_certificate_is_refused(fargle: configs.ClusterSecrets) -> None:
    server = pki.issue(fargle.talos.ca, addresses=["127.0.0.1"], server=True)
    port, _problems = _serve_once(pki.server_context(server, client_ca=fargle.talos.ca.crt, require_client=True))
    context = pki.client_context(fargle.talos.ca.crt)
    with (
        socket.create_connection(("127.0.0.1", port)) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
        pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
    ):
        tls.recv(100)


def test_up_to_1_11_a_config_is_one_document_and_later_it_is_more(fargle: configs.ClusterSecrets, fargle2: configs.ClusterSecrets) -> None:
    (old,) = yaml.safe_load_all(configs.machine_config(fargle, "worker"))
    new, hostname = yaml.safe_load_all(configs.machine_config(fargle2, "worker"))
    assert old["machine"]["network"] == {}
    assert old["machine"]["features"]["stableHostname"] is True
    assert "network" not in new["machine"]
    assert hostname == {"apiVersion": "v1alpha1", "kind": "HostnameConfig", "auto": "stable"}


def test_a_worker_gets_no_keys_and_a_control_plane_gets_all(fargle: configs.ClusterSecrets) -> None:
    worker = yaml.safe_load(configs.machine_config(fargle, "worker"))
    control = yaml.safe_load(configs.machine_config(fargle, "controlplane"))
    assert (worker["machine"]["ca"]["key"], worker["cluster"]["ca"]["key"]) == ("", "")
    assert not {"etcd", "serviceAccount", "aggregatorCA", "secretboxEncryptionSecret"} & worker["cluster"].keys()
    assert base64.b64decode(control["machine"]["ca"]["key"]).decode() == fargle.talos.ca.key
    assert {"etcd", "serviceAccount", "aggregatorCA", "secretboxEncryptionSecret"} <= control["cluster"].keys()
    assert worker["cluster"]["ca"]["crt"] == control["cluster"]["ca"]["crt"]


def test_talosconfig_and_kubeconfig_name_the_cluster(fargle: configs.ClusterSecrets) -> None:
    talos = yaml.safe_load(configs.talosconfig(fargle, ["127.9.10.11"]))
    kube = yaml.safe_load(configs.kubeconfig(fargle))
    assert (talos["context"], talos["contexts"]["fargle"]["endpoints"]) == ("fargle", ["127.9.10.11"])
    assert kube["clusters"][0]["cluster"]["server"] == "https://127.9.1.1:6443"
    assert kube["current-context"] == "admin@fargle"


def test_every_cluster_has_secrets_of_its_own(fargle: configs.ClusterSecrets, fargle2: configs.ClusterSecrets) -> None:
    for field in ("machine_token", "bootstrap_token", "cluster_id", "cluster_secret", "secretbox_secret", "talos", "kubernetes"):
        assert getattr(fargle, field) != getattr(fargle2, field)
