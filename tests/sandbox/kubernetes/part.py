# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes part of the sandbox: one API server and one set of control loops per cluster, and the door for simulated kubelets."""

from __future__ import annotations

import ssl
import threading
import time
import traceback
import typing as t

from .. import pki
from ..calls import Ledger
from ..http import HttpServer, LedgerMiddleware, NoAnswer, close_connection
from . import api, errors, nodes, seed, workloads
from .cluster import Cluster, Kubelet, Object
from .eviction import condition
from .requests import operation
from .resources import NODES, PODS, TABLE
from .turn import Turn, deleting

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

VERSION = "v1.34.2"
PORT = 6443
# Control loops, in the order in which one's work feeds the next.
LOOPS = (
    nodes.kubelets,
    nodes.lifecycle,
    workloads.deployments,
    workloads.replicasets,
    workloads.daemonsets,
    workloads.statefulsets,
    nodes.provision,
    nodes.schedule,
    nodes.volumes,
    nodes.static_pods,
    nodes.run_pods,
    workloads.garbage,
    workloads.namespaces,
    workloads.budgets,
)
# The loops settle in a few rounds; more mean that two of them fight.
ROUNDS = 100
# Changes that come in within this time are settled together: a round costs what the whole cluster costs.
BATCH = 0.01
# Labels under kubernetes.io and k8s.io that a kubelet may give its own Node (k8s.io/kubelet/pkg/apis/well_known_labels.go).
KUBELET_PREFIXES = ("kubelet.kubernetes.io/", "node.kubernetes.io/")
KUBELET_LABELS = (
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    # Talos sets these two itself, with an administrator's rights.
    "node-role.kubernetes.io/control-plane",
    "node.kubernetes.io/exclude-from-external-load-balancers",
)


def forbidden_labels(labels: t.Iterable[str]) -> list[str]:
    """Labels with which a kubelet does not start."""
    domains = [(label, label.rpartition("/")[0]) for label in labels]
    reserved = [label for label, domain in domains if domain in ("kubernetes.io", "k8s.io") or domain.endswith((".kubernetes.io", ".k8s.io"))]
    return sorted(label for label in reserved if label not in KUBELET_LABELS and not label.startswith(KUBELET_PREFIXES))


def _ingress(pod: Object) -> bool:
    """Whether this is a ready pod of the ingress controller."""
    labels = pod["metadata"].get("labels") or {}
    return labels.get("app.kubernetes.io/name") == seed.INGRESS and condition(pod, "Ready") == "True" and not deleting(pod)


class _Server:
    """One cluster with its listener."""

    def __init__(self, cluster: Cluster, app: api.Api, http: HttpServer, context: ssl.SSLContext) -> None:
        self.cluster = cluster
        self.app = app
        self.http = http
        self.context = context


class _Gate:
    """Cuts connections while no control plane runs the API server: before the cluster is bootstrapped, and without quorum."""

    def __init__(self, app: WSGIApplication, runs: t.Callable[[], bool]) -> None:
        self.app, self.runs = app, runs

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
        if not self.runs():
            close_connection(environ)
            raise NoAnswer("no control plane runs this API server")
        return self.app(environ, start_response)


class KubernetesStore:
    """All simulated Kubernetes clusters.

    Kubelets come in by kubelet_register, kubelet_ready and kubelet_gone; clients over TLS on each cluster's address.
    runs: says whether some control plane runs the API server of a cluster; without machines all of them run.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.runs: t.Callable[[str], bool] = lambda _key: True
        self.clusters: dict[str, Cluster] = {}
        self._servers: dict[str, _Server] = {}
        self._loops: dict[str, threading.Thread] = {}
        # Cluster -> its version, and the nodes on which ingress pods are ready in it: health checks ask all the time.
        self._ingress: dict[str, tuple[int, frozenset[str]]] = {}
        self._running = False

    def add_cluster(
        self, key: str, address: str, secrets: pki.KubernetesPKI, *, addresses: t.Sequence[str] = (), names: t.Sequence[str] = (), port: int = PORT
    ) -> Cluster:
        """A cluster whose API listens on address:port once started.

        addresses and names: what else its certificate is for (control planes, load balancers).
        """
        cluster = Cluster(key)
        with cluster.lock:
            seed.namespaces(cluster)
        known = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost")
        pair = pki.issue(secrets.ca, common_name="kube-apiserver", addresses=(address, *addresses), names=(*known, *names), server=True)
        context = pki.server_context(pair, client_ca=secrets.ca.crt)
        # Certificates of the other clusters' CAs get through TLS here too, so that the API answers 401 as the real one does.
        for other in self._servers.values():
            other.context.load_verify_locations(cadata=secrets.ca.crt)
            context.load_verify_locations(cadata=other.app.ca_pem)
        app = api.Api(cluster, secrets.ca.crt, VERSION, lambda: self.ledger.delays.get("etcd.compaction", 300.0))
        middleware = LedgerMiddleware(app, self.ledger, "kubernetes", lambda request: operation(request, key), api.answer)
        gate = _Gate(middleware, lambda: self.runs(key))
        self._servers[key] = _Server(cluster, app, HttpServer(gate, address, port, context=context), context)
        self.clusters[key] = cluster
        return cluster

    def start(self) -> None:
        """Listen, and run the control loops."""
        self._running = True
        for key, server in self._servers.items():
            server.app.stopping = False
            server.http.start()
            self._loops[key] = threading.Thread(target=self._control, args=(server.cluster,), name=f"kubernetes-{key}", daemon=True)
            self._loops[key].start()

    def stop(self) -> None:
        """Stop loops, watches and listeners."""
        self._running = False
        for server in self._servers.values():
            server.app.stopping = True
            with server.cluster.lock:
                server.cluster.changed.notify_all()
        for key, thread in self._loops.items():
            thread.join()
            self._servers[key].http.stop()
        self._loops.clear()

    # Control loops

    def _control(self, cluster: Cluster) -> None:
        while self._running:
            with cluster.lock:
                try:
                    wake = self._settle(cluster)
                except Exception:
                    # A loop that stumbles over an object must be seen, and must not take the others down for good.
                    traceback.print_exc()
                    wake = time.monotonic() + 1.0
                pause = min(1.0, wake - time.monotonic())
                if self._running and pause > 0:
                    cluster.changed.wait(pause)
            time.sleep(BATCH)

    def _settle(self, cluster: Cluster) -> float:
        """Run all loops until nothing changes any more; the monotonic time at which something is due."""
        for _round in range(ROUNDS):
            before = cluster.version
            turn = Turn(cluster, self.ledger, VERSION)
            for loop in LOOPS:
                loop(turn)
            turn.finish()
            if cluster.version == before:
                return turn.wake
        raise RuntimeError(f"the control loops of cluster {cluster.name} do not settle")

    def _changed(self, cluster: Cluster) -> None:
        """Something happened to a cluster whose lock is held: its loops look soon, or now if they do not run by themselves."""
        if self._running:
            cluster.changed.notify_all()
        else:
            self._settle(cluster)

    def settle(self, key: str) -> None:
        """Run the loops now, in the caller's thread (they also run by themselves once started)."""
        with self.clusters[key].lock:
            self._settle(self.clusters[key])

    # Kubelets

    def kubelet_register(
        self,
        cluster_key: str,
        name: str,
        address: str,
        provider_id: str = "",
        labels: t.Mapping[str, str] | None = None,
        taints: t.Sequence[t.Mapping[str, str]] = (),
        os_image: str = "Talos (v1.11.0)",
    ) -> None:
        """A kubelet starts on a VM: its Node appears, not ready. ApiError 403 for labels no kubelet may give itself, 422 for malformed ones.

        Labels and taints count only when the Node is new; an existing Node of the name is taken as it is, its providerID too.
        A cluster that is not here has no API server to register with: nothing happens, as for the other calls of kubelets.
        """
        cluster = self.clusters.get(cluster_key)
        if cluster is None:
            return
        if wrong := forbidden_labels(labels or {}):
            message = f'nodes "{name}" is forbidden: is not allowed to set the following labels: {", ".join(wrong)}'
            raise errors.ApiError(403, "Forbidden", message, {"name": name, "kind": "nodes"})
        with cluster.lock:
            cluster.kubelets[name] = Kubelet(address, provider_id, dict(labels or {}), [dict(taint) for taint in taints], os_image)
            try:
                nodes.register(cluster, name, VERSION)
            except errors.ApiError:
                del cluster.kubelets[name]
                raise
            self._changed(cluster)

    def kubelet_ready(self, cluster_key: str, name: str, ready: bool = True) -> None:
        """The kubelet reports ready, or (False) falls silent: after the delay `node.monitor` its Node is Unknown and its pods hang."""
        self._kubelet(cluster_key, name, alive=ready, gone=False)

    def kubelet_gone(self, cluster_key: str, name: str) -> None:
        """The VM has ended: silent for good, and its volumes are detached after `volume.detach`. The Node object stays until somebody deletes it."""
        self._kubelet(cluster_key, name, alive=False, gone=True)

    def _kubelet(self, cluster_key: str, name: str, *, alive: bool, gone: bool) -> None:
        cluster = self.clusters.get(cluster_key)
        if cluster is None:
            return
        with cluster.lock:
            kubelet = cluster.kubelets.get(name)
            if kubelet is None:
                return
            kubelet.alive, kubelet.ready, kubelet.gone = alive, alive, gone
            self._changed(cluster)

    def node_apply(self, cluster_key: str, name: str, labels: t.Mapping[str, str], taints: t.Sequence[t.Mapping[str, str]]) -> None:
        """Labels and taints that Talos adds to the Node after it has registered; nothing without such a Node. ApiError 422 for malformed ones."""
        cluster = self.clusters.get(cluster_key)
        if cluster is None:
            return
        with cluster.lock:
            node = cluster.find(NODES, "", name)
            if node is None:
                return
            merged = {(taint["key"], taint["effect"]): dict(taint) for taint in [*(node["spec"].get("taints") or []), *taints]}
            metadata = {**node["metadata"], "labels": {**(node["metadata"].get("labels") or {}), **labels}}
            cluster.update(NODES, "", name, {**node, "metadata": metadata, "spec": {**node["spec"], "taints": list(merged.values())}})
            self._changed(cluster)

    def api_address(self, cluster_key: str) -> tuple[str, int] | None:
        """Where a cluster's API server listens, for the forwarders of its control planes; None when there is no such cluster."""
        server = self._servers.get(cluster_key)
        return (server.http.host, server.http.port) if server else None

    def ingress_ready(self, cluster_key: str, name: str) -> bool:
        """Whether a ready pod of the ingress controller runs on the node, so that the ingress node ports answer there."""
        cluster = self.clusters.get(cluster_key)
        if cluster is None:
            return False
        with cluster.lock:
            version, homes = self._ingress.get(cluster_key, (0, frozenset()))
            if version != cluster.version:
                pods = [pod for pod in cluster.objects[PODS.plural].values() if _ingress(pod)]
                homes = frozenset(str(pod["spec"].get("nodeName", "")) for pod in pods)
                self._ingress[cluster_key] = (cluster.version, homes)
        return name in homes

    def node(self, cluster_key: str, name: str) -> Object | None:
        """The Node object, if there is one. Not to be changed."""
        cluster = self.clusters[cluster_key]
        with cluster.lock:
            return cluster.find(NODES, "", name)

    # State

    def dump(self) -> dict[str, t.Any]:
        """Everything stored, by cluster: objects by resource in the order of their keys, and where each pod landed and when."""
        found = {}
        for key, cluster in sorted(self.clusters.items()):
            with cluster.lock:
                objects = {resource.plural: cluster.list(resource) for resource in TABLE}
                kubelets = {name: {"address": kubelet.address, "alive": kubelet.alive} for name, kubelet in sorted(cluster.kubelets.items())}
                found[key] = {"objects": objects, "kubelets": kubelets, "bindings": list(cluster.bindings)}
        return found

    def snapshot(self) -> object:
        """A copy of the state for restore()."""
        saved = {}
        for key, cluster in self.clusters.items():
            with cluster.lock:
                saved[key] = cluster.snapshot()
        return saved

    def restore(self, saved: object) -> None:
        """Take back a snapshot."""
        for key, state in t.cast("dict[str, dict[str, t.Any]]", saved).items():
            with self.clusters[key].lock:
                self.clusters[key].restore(state)
