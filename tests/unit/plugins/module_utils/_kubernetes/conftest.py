# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of the simulated Kubernetes, for tests of what talks to it."""

from __future__ import annotations

import socket
import typing as t

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes import drain, nodes
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.client import Api, connect
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.kubeconfig import read
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.nodes import Wanted

from tests.sandbox import pki
from tests.sandbox.calls import Ledger
from tests.sandbox.kubernetes import KubernetesStore, seed
from tests.sandbox.kubernetes.resources import CLAIMS, DEPLOYMENTS, STATEFULSETS, VOLUMES
from tests.unit.addresses import own_address

ADDRESS = own_address(7)


class Lab:
    """A started cluster and an Api for its administrator."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.ledger.delays = {"*": 0}
        self.store = KubernetesStore(self.ledger)
        self.secrets = pki.kubernetes_pki("fargle")
        with socket.socket() as found:
            found.bind((ADDRESS, 0))
            self.port = int(found.getsockname()[1])
        self.cluster = self.store.add_cluster("fargle", ADDRESS, self.secrets, port=self.port, names=["fargle.example.com"])

    def kubeconfig(self, server: str) -> str:
        """As talosctl writes it."""
        admin = self.secrets.admin
        return yaml.safe_dump(
            {
                "clusters": [{"name": "fargle", "cluster": {"server": server, "certificate-authority-data": self.secrets.ca.crt_b64}}],
                "users": [{"name": "u", "user": {"client-certificate-data": admin.crt_b64, "client-key-data": admin.key_b64}}],
                "contexts": [{"name": "admin@fargle", "context": {"cluster": "fargle", "user": "u"}}],
            }
        )

    def node(self, name: str, number: int, ready: bool = True) -> Wanted:
        """A node whose kubelet is running."""
        self.store.kubelet_register("fargle", name, f"127.78.10.{number}", f"aws:///eu-a/i-{number:08x}")
        if ready:
            self.store.kubelet_ready("fargle", name)
        return Wanted(name, f"127.78.10.{number}", f"i-{number:08x}")

    def web(self, *budgets: dict[str, t.Any]) -> None:
        """Two pods, and disruption budgets for them."""
        with self.cluster.lock:
            seed.namespace(self.cluster, "shop")
            seed.workload(self.cluster, DEPLOYMENTS, "shop", "web", replicas=2)
            for index, budget in enumerate(budgets):
                seed.budget(self.cluster, "shop", f"web-{index}", app="web", **budget)
        self.store.settle("fargle")

    def database(self) -> None:
        """A StatefulSet whose pod has a volume."""
        volume: dict[str, t.Any] = {
            "metadata": {"name": "pv-1"},
            "spec": {"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}, "capacity": {"storage": "1Gi"}},
        }
        volume["spec"]["accessModes"] = ["ReadWriteOnce"]
        claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "volumeName": "pv-1"}}
        with self.cluster.lock:
            seed.namespace(self.cluster, "shop")
            self.cluster.create(VOLUMES, "", {"apiVersion": "v1", "kind": "PersistentVolume", **volume})
            self.cluster.create(CLAIMS, "shop", {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim})
            uses = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
            seed.workload(self.cluster, STATEFULSETS, "shop", "db", extra=uses)
        self.store.settle("fargle")

    def operations(self) -> list[str]:
        """What was asked, in order."""
        return [call.operation for call in self.ledger.calls]


def running(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Lab]:
    """A cluster, and modules that look often."""
    monkeypatch.setattr(nodes, "INTERVAL", 0.1)
    monkeypatch.setattr(drain, "INTERVAL", 0.1)
    made = Lab()
    made.store.start()
    yield made
    made.store.stop()


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Lab]:
    yield from running(monkeypatch)


@pytest.fixture
def api(lab: Lab) -> t.Iterator[Api]:
    """Over the direct endpoint, while the kubeconfig names the load balancer."""
    with connect(read(lab.kubeconfig("https://fargle.example.com:6443"), server=f"https://{ADDRESS}:{lab.port}")) as made:
        yield made
