# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world a sandbox starts with: three clusters and what else an account has in it.

fargle    runs: three control planes, workers 1, 2, 3 and 10, and worker 4, which k8s-cluster-manager once made
fargle2   runs: one control plane and one worker, both named so that only a careless eye takes them for fargle's
barney    nothing but its secrets and the network: the place to create a cluster
foreign   load balancers, security groups, an instance and DNS records that are nobody's business

Nodes come up as real ones do: VMs with their machine config as user data boot, join etcd and register at Kubernetes.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
import typing as t

import yaml

from . import configs, seed_aws
from .configs import ClusterSecrets, Document
from .kubernetes.resources import STATEFULSETS
from .kubernetes.seed import running_cluster, talos_manifests
from .seed_aws import Account

if t.TYPE_CHECKING:
    from .sandbox import Sandbox

DOMAIN = "k8s.example.com"
# Where Kubernetes' API servers really listen; control planes and load balancers forward to them.
API_HOST_NUMBERS = {"fargle": 2, "fargle2": 3, "barney": 4}
# Where the load balancer of a cluster that is still to be made will listen, since its machine configs know already. Its owner would
# have put a DNS name there and have pointed that to the load balancer later; here is no DNS to do that.
API_BALANCER_NUMBERS = {"barney": 9}
# How long the seeded nodes may take to be Ready: simulated time is 0, so this is only the machine's own speed.
SEED_TIMEOUT = 30.0
# How long ago they were launched.
AGE = datetime.timedelta(days=30)
MARK = "k8s_cluster.manager cluster={cluster} node={node}"


@dataclasses.dataclass(frozen=True)
class Node:
    """A node of the seeded world. number: the last part of its address; zone: 0, 1 or 2.

    legacy: made by k8s-cluster-manager, so without Role tag and DNS mark, and registered on another port.
    """

    name: str
    role: str
    zone: int
    number: int
    legacy: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    """A cluster of the seeded world. cp_word: how its control plane's secrets are spelled; one_secret: the layout with one secret per role."""

    name: str
    talos_version: str
    kubernetes_version: str
    nodes: tuple[Node, ...] = ()
    cp_word: str = "controlplane"
    one_secret: bool = False


def _nodes(cluster: str, role: str, numbers: t.Sequence[int], first: int, legacy: int = 0) -> tuple[Node, ...]:
    return tuple(Node(f"{cluster}-{role}-{number}", role, index % 3, first + index, legacy=number == legacy) for index, number in enumerate(numbers))


PLANS = (
    Plan(
        "fargle",
        "v1.11.6",
        "v1.33.4",
        _nodes("fargle", "controlplane", (1, 2, 3), 11) + _nodes("fargle", "worker", (1, 2, 3, 4, 10), 21, legacy=4),
    ),
    Plan(
        "fargle2",
        "v1.13.9",
        "v1.33.4",
        _nodes("fargle2", "controlplane", (1,), 111) + _nodes("fargle2", "worker", (1,), 121),
        one_secret=True,
    ),
    Plan("barney", "v1.11.6", "v1.33.4", cp_word="cp"),
)


def seed(sandbox: Sandbox) -> None:
    """Fill a sandbox whose parts are started, except Kubernetes, which is started here once its clusters are known."""
    account = seed_aws.Account(sandbox.aws.endpoint, sandbox.aws.region, sandbox.network)
    account.network()
    sandbox.images.update(account.images(sorted({plan.talos_version for plan in PLANS})))
    account.foreign()
    clusters = [_Cluster(sandbox, account, plan) for plan in PLANS]
    for cluster in clusters:
        cluster.infrastructure()
    sandbox.kubernetes.start()
    for cluster in clusters:
        cluster.launch()
    for cluster in clusters:
        cluster.join()
        cluster.publish()
    _foreign_records(sandbox)
    sandbox.aws.age(AGE)


def _foreign_records(sandbox: Sandbox) -> None:
    """Records of the zone that belong to others, one of them with a name that begins like a node's."""
    for kind, name, content in (
        ("A", "www.example.com", "203.0.113.10"),
        ("CNAME", f"grafana.{DOMAIN}", "www.example.com"),
        ("TXT", f"fargle-worker-1.{DOMAIN}", "not yours"),
    ):
        sandbox.cloudflare.add_record(kind, name, content)


def _wait(what: str, done: t.Callable[[], bool]) -> None:
    deadline = time.monotonic() + SEED_TIMEOUT
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"the seeded world did not come up: waited {SEED_TIMEOUT:g} s for {what}")
        time.sleep(0.02)


def _database() -> Document:
    """A StatefulSet of one pod with a volume."""
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Gi"}}}
    labels = {"app.kubernetes.io/name": "db"}
    pod = {"containers": [{"name": "db", "image": "registry.example/db:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}
    spec = {
        "replicas": 1,
        "serviceName": "db",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
    }
    return {"kind": "StatefulSet", "apiVersion": "apps/v1", "metadata": {"name": "db"}, "spec": spec}


class _Cluster:
    """One cluster while it is seeded."""

    def __init__(self, sandbox: Sandbox, account: Account, plan: Plan) -> None:
        self.sandbox = sandbox
        self.account = account
        self.plan = plan
        self.secrets: ClusterSecrets
        self.groups: dict[str, str] = {}
        self.instances: dict[str, str] = {}
        self.target_groups: dict[str, list[tuple[str, int]]] = {}

    @property
    def _control_planes(self) -> list[Node]:
        return [node for node in self.plan.nodes if node.role == "controlplane"]

    def _address(self, node: Node) -> str:
        return f"{self.sandbox.network}.{seed_aws.SUBNETS[node.zone]}.{node.number}"

    def infrastructure(self) -> None:
        """Security groups and load balancers, if it has nodes; an API server; secrets with its endpoint."""
        plan, network = self.plan, self.sandbox.network
        if not plan.nodes:
            host = f"{network}.1.{API_BALANCER_NUMBERS[plan.name]}"
            self.sandbox.aws.reserve(f"apiserver-{plan.name}", host)
        else:
            self.groups = self.account.security_groups(plan.name)
            self.target_groups = self.account.load_balancers(plan.name, self.groups["nlb"])
            # A load balancer's DNS name means nothing outside of AWS.
            host = self.sandbox.aws.address_of(f"{plan.name}-apiserver")
        self.secrets = configs.new_secrets(plan.name, f"https://{host}:6443", talos_version=plan.talos_version, kubernetes_version=plan.kubernetes_version)
        # Any address of the subnets may become a control plane's; a real one's certificate names its own.
        addresses = [f"{network}.{subnet}.{number}" for subnet in seed_aws.SUBNETS for number in range(4, 255)]
        self.sandbox.kubernetes.add_cluster(
            plan.name,
            f"{network}.0.{API_HOST_NUMBERS[plan.name]}",
            self.secrets.kubernetes,
            addresses=addresses + [f"{network}.1.{number}" for number in range(1, 50)],
            names=(f"api.{plan.name}.example.com",),
        )
        if not plan.nodes:
            # Nobody sees it before the cluster is bootstrapped.
            talos_manifests(self.sandbox.kubernetes.clusters[plan.name])

    def launch(self) -> None:
        """Run the VMs, with their machine configs as user data, and put them behind the load balancers."""
        for node in self.plan.nodes:
            text = configs.patched(configs.machine_config(self.secrets, node.role), self._patches(node.role))
            text = configs.with_hostname(text, f"{node.name}.{DOMAIN}")
            tags = {"Name": node.name, "Cluster": self.plan.name}
            if not node.legacy:
                tags |= {"Role": node.role, "k8s-cluster-manager/generation": "1"}
            self.instances[node.name] = self.account.launch(
                self.plan.talos_version, zone=node.zone, address=self._address(node), groups=[self.groups["node"]], tags=tags, user_data=text
            )
        if self.plan.nodes:
            self.account.wait_running(list(self.instances.values()))
            self._register()

    def _register(self) -> None:
        control = [self.instances[node.name] for node in self._control_planes]
        legacy = [self.instances[node.name] for node in self.plan.nodes if node.legacy]
        workers = [instance for instance in self.instances.values() if instance not in control + legacy]
        for arn, port in self.target_groups["apiserver"]:
            self.account.register(arn, control, port)
        for arn, port in self.target_groups["ingress"]:
            self.account.register(arn, workers, port)
        # The old tool's node answers for the internal ingress on the port of the external one.
        for (arn, _port), port in zip(self.target_groups["ingress"][:2], (31080, 31443), strict=True):
            self.account.register(arn, legacy, port)

    def join(self) -> None:
        """Bootstrap the first control plane; wait until every node is Ready, then run the workloads."""
        if not self.plan.nodes:
            return
        machines, name = self.sandbox.machines, self.plan.name
        first = self.instances[self._control_planes[0].name]
        _wait(
            f"{first} to wait for its bootstrap",
            lambda: any(one["instance_id"] == first and one["phase"] in ("starting", "running") for one in machines.nodes()),
        )
        machines.bootstrap(first)
        names = {node.name for node in self.plan.nodes}
        _wait(f"the nodes of {name} to be ready", lambda: names <= {one["name"] for one in machines.nodes() if one["cluster"] == name and one["ready"]})
        self._workloads()
        self.account.wait_healthy([arn for kind in self.target_groups.values() for arn, _port in kind])

    def _workloads(self) -> None:
        """What runs in the cluster: the usual, and a database with a volume."""
        cluster = self.sandbox.kubernetes.clusters[self.plan.name]
        running_cluster(cluster)
        with cluster.lock:
            cluster.create(STATEFULSETS, "shop", _database())
        self.sandbox.kubernetes.settle(self.plan.name)

    def publish(self) -> None:
        """DNS records of the nodes, and the secrets in Vault."""
        for node in self.plan.nodes:
            comment = "" if node.legacy else MARK.format(cluster=self.plan.name, node=node.name)
            self.sandbox.cloudflare.add_record("A", f"{node.name}.{DOMAIN}", self._address(node), comment=comment)
        for path, data in self._vault_secrets().items():
            self.sandbox.vault.put(path, data)

    def _node_config(self, role: str) -> Document:
        """What a node of a role is made of; numbers and text mixed, as people write it."""
        worker = role == "worker"
        return {
            "image_id": self.account.image_ids[self.plan.talos_version],
            "instance_type": "m5.large" if worker else "m5.xlarge",
            "subnet_id": list(self.account.subnets) if worker or not self.plan.nodes else self.account.subnets[0],
            "domain": DOMAIN,
            "block_device_gb": 80 if worker else "40",
            "block_device_name": seed_aws.ROOT_DEVICE,
            "block_device_type": "gp3",
            "placement_group_name": "",
        }

    def _patches(self, role: str) -> str:
        """A strategic patch for workers, a list of two for control planes."""
        kubelet = {"machine": {"kubelet": {"extraArgs": {"rotate-server-certificates": "true"}}}}
        sysctls = {"machine": {"sysctls": {"vm.max_map_count": "262144"}}}
        return yaml.safe_dump(kubelet if role == "worker" else [kubelet, sysctls])

    def _vault_secrets(self) -> dict[str, dict[str, t.Any]]:
        """Path -> data. Machine configs are stored in each of the ways users have: as the secret itself, or as text under one key."""
        name = self.plan.name
        endpoints = [self._address(node) for node in self._control_planes]
        stored: dict[str, dict[str, t.Any]] = {
            f"cluster-{name}-talosconfig": {"talosconfig": configs.talosconfig(self.secrets, endpoints)},
        }
        if self.plan.nodes:
            # A cluster that was never bootstrapped has given nobody a kubeconfig.
            stored[f"cluster-{name}-kubeconfig"] = {"kubeconfig": configs.kubeconfig(self.secrets)}
        for role, word in (("worker", "worker"), ("controlplane", self.plan.cp_word)):
            stored |= self._one_secret(role, word) if self.plan.one_secret else self._three_secrets(role, word)
        return stored

    def _one_secret(self, role: str, word: str) -> dict[str, dict[str, t.Any]]:
        data = {
            "config.yaml": configs.machine_config(self.secrets, role),
            "patch.yaml": self._patches(role),
            "node-aws.yaml": yaml.safe_dump(self._node_config(role)),
            "CLOUDFLARE_API_TOKEN": self.sandbox.cloudflare.token,
            "CLOUDFLARE_ZONE_ID": self.sandbox.cloudflare.zone_id,
        }
        return {f"cluster-{self.plan.name}-{word}": data}

    def _three_secrets(self, role: str, word: str) -> dict[str, dict[str, t.Any]]:
        text = configs.machine_config(self.secrets, role)
        machine = yaml.safe_load(text) if role == "worker" else {f"{role}.yaml": text}
        name = self.plan.name
        return {
            f"cluster-{name}-machine-{word}": machine,
            f"cluster-{name}-patch-{word}": {"patch.yaml": self._patches(role)},
            f"cluster-{name}-node-{word}": self._node_config(role),
        }
