# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox as a whole, as its users run it: what it starts with, that everybody's own client reaches it, that it leaves nothing."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import boto3
import cloudflare
import hvac
import kubernetes
import pytest
import yaml

from tests.sandbox.fixture import ROOT, RunningSandbox, sandbox

pytestmark = pytest.mark.xdist_group("sandbox")

FARGLE = {f"fargle-controlplane-{n}" for n in (1, 2, 3)} | {f"fargle-worker-{n}" for n in (1, 2, 3, 4, 10)}


@pytest.fixture(scope="module")
def running() -> t.Iterator[RunningSandbox]:
    with sandbox() as started:
        yield started


@pytest.fixture
def cloud(running: RunningSandbox) -> t.Iterator[RunningSandbox]:
    yield running
    running.control.reset()


def aws(cloud: RunningSandbox, service: str) -> t.Any:
    """A boto3 client as one made under the exports."""
    env = cloud.env
    return boto3.Session(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], region_name=env["AWS_REGION"]).client(
        service, endpoint_url=env["AWS_ENDPOINT_URL"]
    )


def vault(cloud: RunningSandbox) -> hvac.Client:
    return hvac.Client(url=cloud.env["VAULT_ADDR"], token=cloud.env["VAULT_TOKEN"])


def secret(cloud: RunningSandbox, path: str) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", vault(cloud).secrets.kv.v2.read_secret_version(path, raise_on_deleted_version=True)["data"]["data"])


def api(cloud: RunningSandbox, cluster: str) -> kubernetes.client.ApiClient:
    """The official client with the kubeconfig that Vault holds."""
    return kubernetes.config.new_client_from_config_dict(yaml.safe_load(secret(cloud, f"cluster-{cluster}-kubeconfig")["kubeconfig"]))


def dns(cloud: RunningSandbox) -> cloudflare.Cloudflare:
    return cloudflare.Cloudflare(api_token=cloud.env["CLOUDFLARE_API_TOKEN"], base_url=cloud.env["CLOUDFLARE_BASE_URL"])


def instances(cloud: RunningSandbox, cluster: str) -> dict[str, dict[str, t.Any]]:
    """VMs of a cluster by name, tags as a mapping."""
    found = {}
    for page in aws(cloud, "ec2").get_paginator("describe_instances").paginate(Filters=[{"Name": "tag:Cluster", "Values": [cluster]}]):
        for instance in (one for reservation in page["Reservations"] for one in reservation["Instances"]):
            tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
            found[tags["Name"]] = {**instance, "Tags": tags}
    return found


# The seeded world


def test_fargle_has_three_control_planes_and_five_workers_that_run(cloud: RunningSandbox) -> None:
    found = instances(cloud, "fargle")
    assert found.keys() == FARGLE
    assert {one["State"]["Name"] for one in found.values()} == {"running"}
    assert set(instances(cloud, "fargle2")) == {"fargle2-controlplane-1", "fargle2-worker-1"}
    assert instances(cloud, "barney") == {}


def test_the_empty_cluster_has_a_network_in_three_zones_and_nothing_else(cloud: RunningSandbox) -> None:
    ec2, elb = aws(cloud, "ec2"), aws(cloud, "elbv2")
    subnets = {tag["Value"]: one for one in ec2.describe_subnets()["Subnets"] for tag in one.get("Tags", [])}
    assert {name: one["AvailabilityZone"][-1] for name, one in subnets.items()} == {f"sandbox-{kind}{zone}": zone for kind in ("", "public-") for zone in "abc"}
    public = {one["SubnetId"] for name, one in subnets.items() if "public" in name}
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "route.gateway-id", "Values": ["igw-*"]}])["RouteTables"]
    assert {one.get("SubnetId") for one in table["Associations"]} == public
    assert not ec2.describe_security_groups(Filters=[{"Name": "tag:Cluster", "Values": ["barney"]}])["SecurityGroups"]
    (front,) = elb.describe_load_balancers(Names=["fargle-ingress-external"])["LoadBalancers"]
    assert {zone["SubnetId"] for zone in front["AvailabilityZones"]} == public
    config = yaml.safe_load(secret(cloud, "cluster-barney-machine-cp")["controlplane.yaml"])
    made = elb.create_load_balancer(Name="apiserver-barney", Type="network", Scheme="internal", Subnets=[subnets["sandbox-a"]["SubnetId"]])["LoadBalancers"][0]
    tail = made["LoadBalancerArn"].split("loadbalancer/")[1]
    (interface,) = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": [f"ELB {tail}"]}])["NetworkInterfaces"]
    assert config["cluster"]["controlPlane"]["endpoint"] == f"https://{interface['PrivateIpAddress']}:6443"


def test_the_old_tools_node_has_two_tags_another_port_and_no_mark(cloud: RunningSandbox) -> None:
    old = instances(cloud, "fargle")["fargle-worker-4"]
    assert old["Tags"] == {"Name": "fargle-worker-4", "Cluster": "fargle"}
    elb = aws(cloud, "elbv2")
    ports = {}
    for group in elb.describe_target_groups()["TargetGroups"]:
        for target in elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]:
            if target["Target"]["Id"] == old["InstanceId"]:
                ports[group["Port"]] = target["Target"]["Port"]
    assert ports == {30080: 31080, 30443: 31443}
    comments = {record.name.split(".")[0]: record.comment for record in dns(cloud).dns.records.list(zone_id=cloud.env["CLOUDFLARE_ZONE_ID"], type="A")}
    assert (comments["fargle-worker-4"] or "", comments["fargle-worker-10"]) == ("", "k8s_cluster.manager cluster=fargle node=fargle-worker-10")


def test_control_planes_are_etcd_voters_and_healthy_behind_their_load_balancer_alone(cloud: RunningSandbox) -> None:
    world = cloud.control.world()
    fargle = next(cluster for cluster in world["talos"]["etcd"] if len(cluster["members"]) == 3)
    assert all(member["alive"] and not member["learner"] for member in fargle["members"])
    found, elb = instances(cloud, "fargle"), aws(cloud, "elbv2")
    control = {found[name]["InstanceId"] for name in found if "controlplane" in name}
    targets: dict[int, set[tuple[str, str]]] = {}
    for group in elb.describe_target_groups()["TargetGroups"]:
        if group["TargetGroupName"].startswith("fargle-"):
            health = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
            targets[group["Port"]] = {(one["Target"]["Id"], one["TargetHealth"]["State"]) for one in health}
    assert targets.pop(6443) == {(instance, "healthy") for instance in control}
    assert targets.keys() == {30080, 30443, 31080, 31443}
    assert not any(instance in control for group in targets.values() for instance, _state in group)
    assert {state for group in targets.values() for _instance, state in group} == {"healthy"}


def test_vault_holds_every_source_of_every_cluster(cloud: RunningSandbox) -> None:
    paths = vault(cloud).secrets.kv.v2.list_secrets("")["data"]["keys"]
    three = {f"cluster-{name}-{kind}-{role}" for name, role in (("fargle", "controlplane"), ("fargle", "worker")) for kind in ("machine", "patch", "node")}
    barney = {f"cluster-barney-{kind}-{role}" for kind in ("machine", "patch", "node") for role in ("cp", "worker")}
    files = {f"cluster-{name}-{kind}" for name in ("fargle", "fargle2") for kind in ("talosconfig", "kubeconfig")} | {"cluster-barney-talosconfig"}
    assert set(paths) == three | barney | files | {"cluster-fargle2-controlplane", "cluster-fargle2-worker"}
    assert set(secret(cloud, "cluster-fargle2-worker")) == {"config.yaml", "patch.yaml", "node-aws.yaml", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ZONE_ID"}
    assert secret(cloud, "cluster-fargle-machine-worker")["machine"]["type"] == "worker"
    assert yaml.safe_load(secret(cloud, "cluster-fargle-machine-controlplane")["controlplane.yaml"])["machine"]["type"] == "controlplane"


def test_kubernetes_knows_the_nodes_by_their_machines(cloud: RunningSandbox) -> None:
    with api(cloud, "fargle") as client:
        core = kubernetes.client.CoreV1Api(client)
        nodes = {node.metadata.name: node for node in core.list_node().items}
        pods = core.list_pod_for_all_namespaces().items
        attachments = kubernetes.client.StorageV1Api(client).list_volume_attachment().items
        budgets = kubernetes.client.PolicyV1Api(client).list_pod_disruption_budget_for_all_namespaces().items
    assert nodes.keys() == FARGLE
    vms = instances(cloud, "fargle")
    for name, node in nodes.items():
        assert node.spec.provider_id.endswith("/" + vms[name]["InstanceId"])
        assert vms[name]["PrivateIpAddress"] in {address.address for address in node.status.addresses}
        assert [one.status for one in node.status.conditions if one.type == "Ready"] == ["True"]
        assert ("node-role.kubernetes.io/control-plane" in node.metadata.labels) == ("controlplane" in name)
    assert {pod.status.phase for pod in pods} == {"Running"}
    assert {owner.kind for pod in pods for owner in pod.metadata.owner_references or []} == {"DaemonSet", "Node", "ReplicaSet", "StatefulSet"}
    assert len(attachments) == len(budgets) == 1


def test_an_api_server_needs_a_control_plane(cloud: RunningSandbox) -> None:
    """Before a cluster is bootstrapped, and without quorum, nothing answers, not even where the simulation keeps it."""
    network, ids = network_of(cloud), [one["InstanceId"] for name, one in instances(cloud, "fargle2").items() if "controlplane" in name]
    assert speaks(f"{network}.0.3") and not speaks(f"{network}.0.4")
    cloud.control.delays({"*": 0})
    aws(cloud, "ec2").terminate_instances(InstanceIds=ids)
    deadline = time.monotonic() + 10
    while speaks(f"{network}.0.3"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def speaks(address: str) -> bool:
    """Whether a Kubernetes API server answers there, if only that we are nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, 6443, timeout=5, context=context)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status in (200, 401)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def test_a_kubeconfig_of_one_cluster_is_no_use_in_another(cloud: RunningSandbox) -> None:
    text = yaml.safe_load(secret(cloud, "cluster-fargle-kubeconfig")["kubeconfig"])
    other = yaml.safe_load(secret(cloud, "cluster-fargle2-kubeconfig")["kubeconfig"])
    text["clusters"][0]["cluster"]["server"] = other["clusters"][0]["cluster"]["server"]
    with kubernetes.config.new_client_from_config_dict(text) as client, pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
        client.configuration.retries = False
        kubernetes.client.CoreV1Api(client).list_node()


def test_the_nodes_own_configs_name_them(cloud: RunningSandbox) -> None:
    old, new = (list(yaml.safe_load_all(cloud.control.config(name))) for name in ("fargle-worker-1", "fargle2-worker-1"))
    assert old[0]["machine"]["network"]["hostname"] == "fargle-worker-1.k8s.example.com"
    assert new[1] == {"apiVersion": "v1alpha1", "kind": "HostnameConfig", "auto": "off", "hostname": "fargle2-worker-1.k8s.example.com"}
    assert {one["name"] for one in cloud.control.nodes() if one["cluster"] == "fargle"} == FARGLE


def test_seeding_is_no_call_of_the_users(cloud: RunningSandbox) -> None:
    cloud.control.reset()
    assert [call for call in cloud.control.calls() if call["mutating"]] == []


# Back to what it was


def _settled(cloud: RunningSandbox) -> dict[str, t.Any]:
    """The world without what moves by itself: the snapshot's id."""
    return {key: value for key, value in cloud.control.world().items() if key != "snapshot"}


def test_a_damaged_world_is_restored(cloud: RunningSandbox) -> None:
    before = cloud.control.world()
    vms = instances(cloud, "fargle")
    victim = vms["fargle-worker-2"]
    cloud.control.delays({"*": 0})
    aws(cloud, "ec2").terminate_instances(InstanceIds=[victim["InstanceId"]])
    with api(cloud, "fargle") as client:
        kubernetes.client.CoreV1Api(client).delete_node("fargle-worker-2")
    records = dns(cloud).dns.records
    zone = cloud.env["CLOUDFLARE_ZONE_ID"]
    (record,) = records.list(zone_id=zone, name={"exact": "fargle-worker-2.k8s.example.com"})
    records.delete(record.id, zone_id=zone)
    vault(cloud).secrets.kv.v2.delete_metadata_and_all_versions("cluster-fargle-patch-worker")
    deadline = time.monotonic() + 10
    while instances(cloud, "fargle")["fargle-worker-2"]["State"]["Name"] != "terminated":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(OSError, match="."):
        socket.create_connection((victim["PrivateIpAddress"], 50000), timeout=2)
    cloud.control.restore(before)
    assert _settled(cloud) == {key: value for key, value in before.items() if key != "snapshot"}
    socket.create_connection((victim["PrivateIpAddress"], 50000), timeout=2).close()
    assert instances(cloud, "fargle")["fargle-worker-2"]["State"]["Name"] == "running"


def test_a_fault_of_the_control_api_strikes_one_call(cloud: RunningSandbox) -> None:
    cloud.control.fault("throttle", "ec2", "DescribeVpcs", ordinals=[1])
    ec2 = aws(cloud, "ec2")
    ec2.describe_vpcs()
    statuses = [call["fault"] for call in cloud.control.calls() if call["operation"] == "DescribeVpcs"]
    assert statuses == ["throttle", None]


# Leaving nothing


def listening(network: str) -> set[str]:
    """Addresses of a sandbox's network on which something listens."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        if state == "0A":
            host, port = local.split(":")
            # The kernel prints the address as the number that it is in memory.
            address = socket.inet_ntoa(int(host, 16).to_bytes(4, sys.byteorder))
            if address.startswith(network + "."):
                found.add(f"{address}:{int(port, 16)}")
    return found


def network_of(cloud: RunningSandbox) -> str:
    return ".".join(cloud.env["VAULT_ADDR"].removeprefix("http://").split(".")[:2])


def children(pid: int) -> set[int]:
    return {int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_process_port_or_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, request: pytest.FixtureRequest
) -> None:
    for name in ("HOME", "TMPDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    # Tests that run in the background may ignore SIGINT, and what they start would do so, too.
    before = signal.signal(number, signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(number, before))
    file = tmp_path / "exports"
    with sandbox("--env-file", str(file)) as started:
        network, offspring = network_of(started), children(started.process.pid)
        assert file.stat().st_mode & 0o777 == 0o600
        assert f"export VAULT_TOKEN={started.env['VAULT_TOKEN']}\n" in file.read_text()
        assert len(listening(network)) > 20
        assert len(offspring) == 1
        started.process.send_signal(number)
        assert started.process.wait(15) == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert [pid for pid in offspring if Path(f"/proc/{pid}").exists()] == []
    assert listening(network) == set()


@pytest.mark.slow
def test_after_sigkill_nothing_lives_on_and_another_sandbox_stands_beside(running: RunningSandbox) -> None:
    with sandbox() as second:
        network, offspring = network_of(second), children(second.process.pid)
        assert network != network_of(running)
        aws(second, "ec2").terminate_instances(InstanceIds=[instances(second, "fargle")["fargle-worker-1"]["InstanceId"]])
        assert instances(second, "fargle")["fargle-worker-1"]["State"]["Name"] != "running"
        assert instances(running, "fargle")["fargle-worker-1"]["State"]["Name"] == "running"
        os.kill(second.process.pid, signal.SIGKILL)
        second.process.wait()
        deadline = time.monotonic() + 5.0
        while listening(network) or any(Path(f"/proc/{pid}").exists() and "Z" not in _state(pid) for pid in offspring):
            assert time.monotonic() < deadline, "something outlived the sandbox"
            time.sleep(0.05)
    assert running.control.nodes()


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_the_exports_are_all_a_shell_needs(running: RunningSandbox, tmp_path: Path) -> None:
    """boto3 in a fresh process, with nothing but the environment."""
    script = "import boto3, json, sys; print(json.dumps([z['ZoneName'] for z in boto3.client('ec2').describe_availability_zones()['AvailabilityZones']]))"
    found = subprocess.run([sys.executable, "-c", script], env=running.env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert json.loads(found)[0].startswith(running.env["AWS_REGION"])
    which = subprocess.run(["/bin/sh", "-c", "command -v ansible-playbook"], env=running.env, capture_output=True, text=True, check=True).stdout
    assert which.strip() == str(Path(sys.executable).parent / "ansible-playbook")
    assert ROOT.joinpath("galaxy.yml").exists()


@pytest.mark.parametrize("cluster", ["fargle", "fargle2"])
def test_the_seeded_nodes_have_the_patches_of_their_roles(cloud: RunningSandbox, cluster: str) -> None:
    """So they are as their inputs make them, and a comparison finds no difference."""
    worker, plane = (next(yaml.safe_load_all(cloud.control.config(f"{cluster}-{role}-1")))["machine"] for role in ("worker", "controlplane"))
    assert worker["kubelet"]["extraArgs"] == plane["kubelet"]["extraArgs"] == {"rotate-server-certificates": "true"}
    assert "sysctls" not in worker
    assert plane["sysctls"] == {"vm.max_map_count": "262144"}
