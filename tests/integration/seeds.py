# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be wrong with a cluster, done to the sandbox as it comes about: by the services' own APIs."""

from __future__ import annotations

import asyncio
import contextlib
import time
import typing as t

import boto3
import httpx
import kubernetes
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import client as talos
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.talosconfig import Endpoint, parse
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.transport import Connection

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .scenes import DOMAIN, secret

WAIT = 20.0
MARK = "k8s_cluster.manager cluster={} node={}"


class Seeder:
    """Does things to one cluster of a sandbox; each returns by what the finding is told."""

    def __init__(self, cloud: RunningSandbox, cluster: str) -> None:
        self.cloud = cloud
        self.cluster = cluster
        self.ec2, self.elb = self._aws("ec2"), self._aws("elbv2")

    def _aws(self, service: str) -> t.Any:
        env = self.cloud.env
        session = boto3.Session(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], region_name=env["AWS_DEFAULT_REGION"])
        return session.client(service, endpoint_url=env["AWS_ENDPOINT_URL"])

    def node(self, name: str) -> worldview.Node:
        return worldview.nodes(self.cloud.control.look(), self.cluster)[name]

    @contextlib.contextmanager
    def _kubernetes(self) -> t.Iterator[t.Any]:
        text = secret(self.cloud.control.look(), f"cluster-{self.cluster}-kubeconfig")["kubeconfig"]
        with kubernetes.config.new_client_from_config_dict(yaml.safe_load(text)) as client:
            yield kubernetes.client.CoreV1Api(client)

    def _until(self, done: t.Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT
        while not done():
            assert time.monotonic() < deadline, "the sandbox did not come to what was seeded"
            time.sleep(0.05)

    def missing_tag(self, name: str) -> str:
        """Somebody cleans up tags."""
        instance_id = self.node(name).instance_id
        self.ec2.delete_tags(Resources=[instance_id], Tags=[{"Key": "Cluster"}])
        return instance_id

    def foreign_vm(self, name: str) -> str:
        """Somebody tags a VM for another cluster."""
        instance_id = self.node(name).instance_id
        self.ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "Cluster", "Value": "barney"}])
        return instance_id

    def _launch(self, name: str, **tags: str) -> str:
        """A VM with nothing on it, beside an existing node."""
        like = next(one for one in worldview.nodes(self.cloud.control.look(), self.cluster).values() if one.role == "worker")
        there = self.ec2.describe_instances(InstanceIds=[like.instance_id])["Reservations"][0]["Instances"][0]
        made = self.ec2.run_instances(
            ImageId=there["ImageId"],
            InstanceType=there["InstanceType"],
            SubnetId=there["SubnetId"],
            SecurityGroupIds=[group["GroupId"] for group in there["SecurityGroups"]],
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": key, "Value": value} for key, value in {"Name": name, "Cluster": self.cluster, "Role": "worker", **tags}.items()],
                }
            ],
        )
        instance_id = str(made["Instances"][0]["InstanceId"])
        self._until(lambda: worldview.region(self.cloud.control.look())["instances"][instance_id]["state"] == "running")
        return instance_id

    def duplicate_name(self, name: str) -> str:
        """Two runs of another tool make a VM each."""
        return ", ".join(sorted((self._launch(name), self._launch(name))))

    def unfinished_launch(self, name: str) -> str:
        """A creation is killed after the launch."""
        return self._launch(name, **{"k8s-cluster-manager/unfinished": "worker", "k8s-cluster-manager/generation": "0"})

    def impaired_instance(self, name: str) -> str:
        """A VM's host fails."""
        instance_id = self.node(name).instance_id
        self.cloud.control.conditions(impaired=[instance_id])
        return instance_id

    def delete_node(self, name: str) -> None:
        """Somebody deletes a Node."""
        with self._kubernetes() as api:
            api.delete_node(name)

    def vm_without_node(self, name: str) -> str:
        """Somebody deletes a Node, whose kubelet does not register again."""
        self.delete_node(name)
        return self.node(name).instance_id

    def node_without_vm(self, name: str) -> str:
        """A Node outlives its VM."""
        zone = next(iter(worldview.nodes(self.cloud.control.look(), self.cluster).values())).zone
        with self._kubernetes() as api:
            spec = {"providerID": f"aws:///{zone}/i-{name.encode().hex()[-17:]}"}
            api.create_node({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}, "spec": spec})
        return name

    def vm_in_no_load_balancer(self, name: str) -> str:
        """Somebody takes a node out of its target groups."""
        node = self.node(name)
        for group in self.elb.describe_target_groups()["TargetGroups"]:
            health = self.elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
            mine = [one["Target"] for one in health if one["Target"]["Id"] == node.instance_id]
            if mine:
                self.elb.deregister_targets(TargetGroupArn=group["TargetGroupArn"], Targets=mine)
        self._until(lambda: not self.node(name).targets)
        return node.instance_id

    def target_without_vm(self, _name: str) -> str:
        """A target by address, where no VM is any more, in a target group that no listener uses."""
        balancer = self.elb.describe_load_balancers(Names=[f"{self.cluster}-ingress-internal"])["LoadBalancers"][0]
        tags = [{"Key": "Cluster", "Value": self.cluster}]
        group = self.elb.create_target_group(
            Name=f"{self.cluster}-by-address", Protocol="TCP", Port=30080, VpcId=balancer["VpcId"], TargetType="ip", HealthCheckProtocol="TCP", Tags=tags
        )["TargetGroups"][0]["TargetGroupArn"]
        address = ".".join([*next(iter(worldview.nodes(self.cloud.control.look(), self.cluster).values())).address.split(".")[:3], "240"])
        self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": address, "Port": 30080}])
        return address

    def ghost_member(self, name: str) -> str:
        """A control plane's VM is terminated, by somebody who has cleaned up all but etcd."""
        node = self.node(name)
        member = next(one["id"] for one in worldview.members(self.cloud.control.look()) if one["instance_id"] == node.instance_id)
        # Of a cluster with a single control plane this is the end; its Node goes while there is somebody to ask.
        self.delete_node(name)
        records = [one["id"] for one in worldview.records(self.cloud.control.look()) if one["name"] == f"{name}.{DOMAIN}"]
        self._dns("DELETE", f"/{records[0]}")
        self.ec2.terminate_instances(InstanceIds=[node.instance_id])
        self._until(lambda: worldview.region(self.cloud.control.look())["instances"][node.instance_id]["state"] == "terminated")
        self._until(lambda: not worldview.targets(self.cloud.control.look(), node.instance_id))
        return str(member)

    def record_without_node(self, name: str) -> str:
        """A record outlives its node."""
        body = {"name": f"{name}.{DOMAIN}", "type": "A", "content": "192.0.2.77", "ttl": 1, "comment": MARK.format(self.cluster, name)}
        self._dns("POST", "", body)
        return f"A {name}.{DOMAIN} → 192.0.2.77"

    def _dns(self, method: str, path: str, body: t.Any = None) -> None:
        env = self.cloud.env
        url = f"{env['CLOUDFLARE_BASE_URL']}/zones/{env['CLOUDFLARE_ZONE_ID']}/dns_records{path}"
        httpx.request(method, url, json=body, headers={"Authorization": f"Bearer {env['CLOUDFLARE_API_TOKEN']}"}).raise_for_status()

    def config_drift(self, name: str) -> str:
        """Somebody changes a node's machine config on the node."""
        documents = list(yaml.safe_load_all(self.cloud.control.config(name)))
        documents[0]["machine"].setdefault("sysctls", {})["vm.swappiness"] = "10"
        config = parse(secret(self.cloud.control.look(), f"cluster-{self.cluster}-talosconfig")["talosconfig"], None)

        async def send() -> None:
            async with Connection(Endpoint(self.node(name).address), config.tls_context()) as connection:
                await talos.apply_configuration(connection, yaml.safe_dump_all(documents).encode())

        asyncio.run(send())
        return self.node(name).instance_id
