# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine configs, talosconfig and kubeconfig as `talosctl gen config` and `talosctl kubeconfig` write them.

Two styles exist in the field: one v1alpha1 document (Talos up to 1.11) and v1alpha1 plus further documents (from 1.12 on).
"""

from __future__ import annotations

import base64
import dataclasses
import secrets as random
import string
import typing as t

import yaml

from . import pki

Document = dict[str, t.Any]

# The image factory's id of an image without extensions.
SCHEMATIC = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key, as Go's encoder does."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


@dataclasses.dataclass(frozen=True)
class ClusterSecrets:
    """Everything secret in one cluster, and where it is reached. endpoint is the API's URL, https://host:6443."""

    name: str
    endpoint: str
    talos_version: str
    kubernetes_version: str
    talos: pki.TalosPKI
    kubernetes: pki.KubernetesPKI
    machine_token: str
    bootstrap_token: str
    cluster_id: str
    cluster_secret: str
    secretbox_secret: str

    @property
    def multi_document(self) -> bool:
        """Whether this cluster's Talos version writes more than the v1alpha1 document."""
        major, minor = self.talos_version.lstrip("v").split(".")[:2]
        return (int(major), int(minor)) >= (1, 12)


def _token() -> str:
    alphabet = string.ascii_lowercase + string.digits
    return "".join(random.choice(alphabet) for _ in range(6)) + "." + "".join(random.choice(alphabet) for _ in range(16))


def new_secrets(name: str, endpoint: str, *, talos_version: str = "v1.11.6", kubernetes_version: str = "v1.34.2") -> ClusterSecrets:
    """Fresh secrets for one cluster (`talosctl gen secrets`)."""
    return ClusterSecrets(
        name=name,
        endpoint=endpoint,
        talos_version=talos_version,
        kubernetes_version=kubernetes_version,
        talos=pki.talos_pki(),
        kubernetes=pki.kubernetes_pki(name),
        machine_token=_token(),
        bootstrap_token=_token(),
        cluster_id=base64.urlsafe_b64encode(random.token_bytes(32)).decode(),
        cluster_secret=base64.b64encode(random.token_bytes(32)).decode(),
        secretbox_secret=base64.b64encode(random.token_bytes(32)).decode(),
    )


def _features(secrets: ClusterSecrets) -> Document:
    legacy = {} if secrets.multi_document else {"rbac": True, "stableHostname": True, "apidCheckExtKeyUsage": True}
    return {
        **legacy,
        "diskQuotaSupport": True,
        "kubePrism": {"enabled": True, "port": 7445},
        "hostDNS": {"enabled": True, "forwardKubeDNSToHost": True},
    }


def _install(secrets: ClusterSecrets) -> Document:
    install: Document = {"disk": "/dev/xvda", "image": f"factory.talos.dev/aws-installer/{SCHEMATIC}:{secrets.talos_version}", "wipe": False}
    if secrets.multi_document:
        install["grubUseUKICmdline"] = True
    return install


def _machine(secrets: ClusterSecrets, role: str) -> Document:
    control = role == "controlplane"
    machine: Document = {
        "type": role,
        "token": secrets.machine_token,
        "ca": {"crt": secrets.talos.ca.crt_b64, "key": secrets.talos.ca.key_b64 if control else ""},
        "certSANs": [],
        "kubelet": {
            "image": f"ghcr.io/siderolabs/kubelet:{secrets.kubernetes_version}",
            "defaultRuntimeSeccompProfileEnabled": True,
            "disableManifestsDirectory": True,
        },
    }
    if not secrets.multi_document:
        machine["network"] = {}
    machine["install"] = _install(secrets)
    machine["features"] = _features(secrets)
    if control:
        machine["nodeLabels"] = {"node.kubernetes.io/exclude-from-external-load-balancers": ""}
    return machine


def _pod_security() -> Document:
    levels = {
        "enforce": "baseline",
        "enforce-version": "latest",
        "audit": "restricted",
        "audit-version": "latest",
        "warn": "restricted",
        "warn-version": "latest",
    }
    return {
        "name": "PodSecurity",
        "configuration": {
            "apiVersion": "pod-security.admission.config.k8s.io/v1alpha1",
            "kind": "PodSecurityConfiguration",
            "defaults": levels,
            "exemptions": {"namespaces": ["kube-system"], "runtimeClasses": [], "usernames": []},
        },
    }


def _api_server(secrets: ClusterSecrets) -> Document:
    server: Document = {"image": f"registry.k8s.io/kube-apiserver:{secrets.kubernetes_version}"}
    if not secrets.multi_document:
        server.update({"certSANs": [secrets.endpoint.split("//")[1].rsplit(":", 1)[0]], "disablePodSecurityPolicy": True})
    server["admissionControl"] = [_pod_security()]
    server["auditPolicy"] = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
    return server


def _control_plane_only(secrets: ClusterSecrets) -> Document:
    kubernetes, version = secrets.kubernetes, secrets.kubernetes_version
    return {
        "aggregatorCA": {"crt": kubernetes.aggregator_ca.crt_b64, "key": kubernetes.aggregator_ca.key_b64},
        "serviceAccount": {"key": base64.b64encode(kubernetes.service_account_key.encode()).decode()},
        "apiServer": _api_server(secrets),
        "controllerManager": {"image": f"registry.k8s.io/kube-controller-manager:{version}"},
        "proxy": {"image": f"registry.k8s.io/kube-proxy:{version}"},
        "scheduler": {"image": f"registry.k8s.io/kube-scheduler:{version}"},
    }


def _cluster(secrets: ClusterSecrets, role: str) -> Document:
    control = role == "controlplane"
    cluster: Document = {
        "id": secrets.cluster_id,
        "secret": secrets.cluster_secret,
        "controlPlane": {"endpoint": secrets.endpoint},
        "clusterName": secrets.name,
        "network": {"dnsDomain": "cluster.local", "podSubnets": ["10.244.0.0/16"], "serviceSubnets": ["10.96.0.0/12"]},
        "token": secrets.bootstrap_token,
    }
    if control:
        cluster["secretboxEncryptionSecret"] = secrets.secretbox_secret
    cluster["ca"] = {"crt": secrets.kubernetes.ca.crt_b64, "key": secrets.kubernetes.ca.key_b64 if control else ""}
    if control:
        cluster.update(_control_plane_only(secrets))
    cluster["discovery"] = {"enabled": True, "registries": {"kubernetes": {"disabled": True}, "service": {}}}
    if control:
        cluster["etcd"] = {"ca": {"crt": secrets.kubernetes.etcd_ca.crt_b64, "key": secrets.kubernetes.etcd_ca.key_b64}}
    return cluster


def dump_documents(documents: t.Sequence[Document]) -> str:
    """YAML text of one or more documents, keys in the order given."""
    return "---\n".join(yaml.dump(document, Dumper=_Dumper, sort_keys=False, indent=4, width=1_000_000) for document in documents)


def machine_config(secrets: ClusterSecrets, role: str) -> str:
    """controlplane.yaml or worker.yaml (role: controlplane, worker) in the style of the cluster's Talos version."""
    legacy = {
        "version": "v1alpha1",
        "debug": False,
        "persist": True,
        "machine": _machine(secrets, role),
        "cluster": _cluster(secrets, role),
    }
    documents: list[Document] = [legacy]
    if secrets.multi_document:
        documents.append({"apiVersion": "v1alpha1", "kind": "HostnameConfig", "auto": "stable"})
    return dump_documents(documents)


def patched(config: str, patches: str) -> str:
    """A machine config with strategic patches that only set keys of mappings in its first document."""
    documents = list(yaml.safe_load_all(config))
    loaded = yaml.safe_load(patches)
    for patch in loaded if isinstance(loaded, list) else [loaded]:
        _set(documents[0], patch)
    return dump_documents(documents)


def _set(document: Document, patch: Document) -> None:
    for key, value in patch.items():
        if isinstance(value, dict):
            _set(document.setdefault(key, {}), value)
        else:
            document[key] = value


def with_hostname(config: str, hostname: str) -> str:
    """A machine config for one node: its name the way that config's own style wants it."""
    documents = list(yaml.safe_load_all(config))
    for document in documents:
        if document.get("kind") == "HostnameConfig":
            document.update({"auto": "off", "hostname": hostname})
            return dump_documents(documents)
    documents[0]["machine"]["network"]["hostname"] = hostname
    return dump_documents(documents)


def talosconfig(secrets: ClusterSecrets, endpoints: t.Sequence[str]) -> str:
    """The administrator's talosconfig; endpoints are control planes' addresses."""
    context = {"endpoints": list(endpoints), "ca": secrets.talos.ca.crt_b64, "crt": secrets.talos.admin.crt_b64, "key": secrets.talos.admin.key_b64}
    return dump_documents([{"context": secrets.name, "contexts": {secrets.name: context}}])


def kubeconfig(secrets: ClusterSecrets, server: str = "") -> str:
    """The administrator's kubeconfig; server defaults to the cluster's endpoint."""
    return _kubeconfig(secrets.name, server or secrets.endpoint, secrets.kubernetes.ca.crt_b64, secrets.kubernetes.admin)


def admin_kubeconfig(cluster: str, server: str, ca: pki.Pair) -> str:
    """A kubeconfig with a new certificate, as a control plane makes it (Talos' pkg/kubeconfig, GenerateAdmin)."""
    return _kubeconfig(cluster, server, ca.crt_b64, pki.issue(ca, common_name="admin", organizations=["system:masters"], client=True))


def _kubeconfig(name: str, server: str, ca_b64: str, admin: pki.Pair) -> str:
    user = f"admin@{name}"
    return dump_documents(
        [
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": ca_b64}}],
                "users": [{"name": user, "user": {"client-certificate-data": admin.crt_b64, "client-key-data": admin.key_b64}}],
                "contexts": [{"name": user, "context": {"cluster": name, "namespace": "default", "user": user}}],
                "current-context": user,
            }
        ]
    )
