# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong is said before anything is bought or cut: the message names the input and the cure."""

from __future__ import annotations

import json
import typing as t
import urllib.request

import boto3
import pytest
import yaml

from tests import worldview
from tests.sandbox.fixture import RunningSandbox

from .playbooks import Run, play
from .scenes import secret

pytestmark = pytest.mark.slow


class Trouble:
    """Spoils the inputs of fargle in one sandbox."""

    def __init__(self, cloud: RunningSandbox) -> None:
        self.cloud = cloud
        self.env = dict(cloud.env)
        self.world = cloud.control.world()

    def store(self, name: str, data: dict[str, t.Any] | None) -> None:
        """Put a secret into Vault, None takes it away."""
        path = f"/v1/secret/{'data' if data is not None else 'metadata'}/{name}"
        request = urllib.request.Request(
            self.env["VAULT_ADDR"] + path,
            data=None if data is None else json.dumps({"data": data}).encode(),
            method="DELETE" if data is None else "POST",
            headers={"X-Vault-Token": self.env["VAULT_TOKEN"]},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30):
            pass

    def node_config(self, **changes: t.Any) -> None:
        """Change keys of the workers' node config."""
        self.store("cluster-fargle-node-worker", {**secret(self.world, "cluster-fargle-node-worker"), **changes})

    def refused(self, playbook: str = "create_node.yml", **words: t.Any) -> str:
        """Run a playbook, which must fail before any mutating call; its message on one line."""
        self.cloud.control.forget_calls()
        run: Run = play(self.env, playbook, **{"cluster": "fargle", **words})
        assert run.code != 0, run.output
        assert self.cloud.control.mutating() == [], run.output
        assert "Traceback" not in run.output
        return " ".join(run.message.split())


@pytest.fixture
def trouble(cloud: RunningSandbox) -> Trouble:
    return Trouble(cloud)


# Sources


def test_missing_secret(trouble: Trouble) -> None:
    trouble.store("cluster-fargle-machine-worker", None)
    message = trouble.refused()
    assert "machine_config: not found: Vault has no secret cluster-fargle-machine-worker under mount 'secret'" in message
    assert "store it there or give machine_config_file" in message


def test_malformed_secret(trouble: Trouble) -> None:
    trouble.store("cluster-fargle-machine-worker", {"worker.yaml": "machine:\n  token: [canary-in-a-broken-text\n"})
    message = trouble.refused()
    assert "machine_config: line 3: did not find expected" in message
    assert "canary-in" not in message


def test_config_of_the_wrong_role(trouble: Trouble) -> None:
    trouble.store("cluster-fargle-machine-worker", secret(trouble.world, "cluster-fargle-machine-controlplane"))
    message = trouble.refused(role="worker")
    assert "machine.type" in message
    assert "controlplane" in message and "worker" in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"block_device_gb": "many"}, ["block_device_gb: 'many' is not a whole number"]),
        ({"image_id": {"a": "b"}}, ["image_id: text is wanted"]),
        ({"associate_public_ip": "perhaps", "tags": ["a"]}, ["associate_public_ip: 'perhaps' is neither true nor false", "tags: a mapping"]),
        ({"subnets": "subnet-1", "domain": ""}, ["unknown key 'subnets'; known are image_id", "domain is missing"]),
    ],
)
def test_node_config_of_wrong_types(trouble: Trouble, changes: dict[str, t.Any], words: list[str]) -> None:
    trouble.node_config(**changes)
    message = trouble.refused()
    for word in words:
        assert f"node config: {word}" in message


# AWS


def test_unknown_image(trouble: Trouble) -> None:
    trouble.node_config(image_id="ami-0123456789abcdef0")
    message = trouble.refused()
    assert "image_id" in message and "ami-0123456789abcdef0" in message


def test_unknown_subnet(trouble: Trouble) -> None:
    trouble.node_config(subnet_id="subnet-0123456789abcdef0")
    message = trouble.refused()
    assert "subnet_id" in message and "subnet-0123456789abcdef0" in message


def test_no_matching_security_group(trouble: Trouble) -> None:
    keys = {"aws_access_key_id": trouble.env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": trouble.env["AWS_SECRET_ACCESS_KEY"]}
    ec2 = boto3.client("ec2", endpoint_url=trouble.env["AWS_ENDPOINT_URL"], region_name=trouble.env["AWS_REGION"], **keys)
    group = next(key for key, one in worldview.region(trouble.world)["security_groups"].items() if one["name"] == "fargle-node")
    ec2.delete_tags(Resources=[group], Tags=[{"Key": "Cluster"}])
    message = trouble.refused()
    assert "security groups: none of the cluster's admits TCP 50000" in message
    assert "Tag one with Cluster=fargle" in message


def test_consoles_that_may_not_be_read(trouble: Trouble) -> None:
    """Found out on a VM that is there already, before others are bought."""
    trouble.cloud.control.conditions(denied=["GetConsoleOutput"])
    assert "UnauthorizedOperation; allow ec2:GetConsoleOutput, or choose another identity_check" in trouble.refused()


def test_no_load_balancer(trouble: Trouble) -> None:
    message = trouble.refused(cluster="barney")
    assert "load balancers: no ingress target group has the tag Cluster=barney" in message
    assert "Make the load balancers first, or tag them" in message


@pytest.mark.parametrize(("playbook", "words"), [("create_node.yml", {"role": "worker"}), ("delete_node.yml", {})])
@pytest.mark.parametrize("name", ["bastion", "fargle2-worker-1"])
def test_name_of_a_foreign_instance(trouble: Trouble, playbook: str, words: dict[str, t.Any], name: str) -> None:
    """bastion has no Cluster tag, fargle2-worker-1 another cluster's."""
    message = trouble.refused(playbook, nodes=name, **words)
    instance_id = next(key for key, one in worldview.region(trouble.world)["instances"].items() if one["tags"]["Name"] == name)
    assert name in message and instance_id in message
    assert "cluster" in message.lower()


# Cloudflare


@pytest.mark.parametrize(("playbook", "words"), [("create_node.yml", {}), ("delete_node.yml", {"nodes": "fargle-worker-1"})])
def test_bad_cloudflare_token(trouble: Trouble, playbook: str, words: dict[str, t.Any]) -> None:
    trouble.env["CLOUDFLARE_API_TOKEN"] = "wrong" * 8
    message = trouble.refused(playbook, **words)
    assert "Cannot read zone" in message
    assert "Check api_token (or CLOUDFLARE_API_TOKEN)" in message


def test_bad_cloudflare_zone(trouble: Trouble) -> None:
    trouble.env["CLOUDFLARE_ZONE_ID"] = "0" * 32
    message = trouble.refused()
    assert "zone" in message and "0" * 32 in message
    assert "CLOUDFLARE_ZONE_ID" in message


# Credentials of another cluster


@pytest.mark.parametrize(("playbook", "words"), [("create_node.yml", {}), ("delete_node.yml", {"nodes": "fargle-worker-1"})])
def test_kubeconfig_of_another_cluster(trouble: Trouble, playbook: str, words: dict[str, t.Any]) -> None:
    trouble.store("cluster-fargle-kubeconfig", secret(trouble.world, "cluster-fargle2-kubeconfig"))
    assert "kubeconfig: it is another cluster's" in trouble.refused(playbook, **words)


@pytest.mark.parametrize(("playbook", "words"), [("create_node.yml", {"role": "controlplane"}), ("delete_node.yml", {"nodes": "fargle-controlplane-1"})])
def test_talosconfig_of_another_cluster(trouble: Trouble, playbook: str, words: dict[str, t.Any]) -> None:
    trouble.store("cluster-fargle-talosconfig", secret(trouble.world, "cluster-fargle2-talosconfig"))
    message = trouble.refused(playbook, **words)
    assert "talosconfig" in message
    assert "another cluster" in message


# Words


def test_empty_cluster(trouble: Trouble) -> None:
    assert 'is not a cluster\'s name. Give one, as in -e "cluster=fargle"' in trouble.refused(cluster="")


@pytest.mark.parametrize("nodes", ["", " ", ["", " "], None])
def test_empty_node_name(trouble: Trouble, nodes: t.Any) -> None:
    assert "nodes: name the nodes to delete" in trouble.refused("delete_node.yml", nodes=nodes)


def test_five_wrong_inputs_are_named_at_once(trouble: Trouble) -> None:
    trouble.node_config(image_id="ami-0123456789abcdef0", block_device_gb="many")
    trouble.store("cluster-fargle-kubeconfig", secret(trouble.world, "cluster-fargle2-kubeconfig"))
    trouble.store("cluster-fargle-patch-worker", {"patch.yaml": yaml.safe_dump({"machine": {"no-such-field": True}})})
    trouble.env["CLOUDFLARE_API_TOKEN"] = "wrong" * 8
    message = trouble.refused()
    assert "Nothing was created. 5 to mend first:" in message
    for wrong in ("ami-0123456789abcdef0", "block_device_gb", "kubeconfig: it is another cluster's", "no-such-field", "CLOUDFLARE_API_TOKEN"):
        assert wrong in message, wrong
