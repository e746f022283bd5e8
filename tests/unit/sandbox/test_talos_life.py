# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of simulated machines: boot, maintenance, configuration, cluster, power, snapshots."""

from __future__ import annotations

import asyncio
import base64
import gzip
import socket
import ssl
import time
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.sandbox.configs import machine_config
from tests.sandbox.talos.listener import fingerprint

from .talos_kit import Kit, cluster_secrets, edit, insecure, secure

BOOTING, INSTALLING, MAINTENANCE, RUNNING = 1, 2, 3, 4


@pytest.fixture
def kit() -> t.Iterator[Kit]:
    kit = Kit()
    yield kit
    kit.close()


def certificate(address: str) -> x509.Certificate:
    """The certificate that the API port shows."""
    with socket.create_connection((address, 50000), 5) as plain, insecure().wrap_socket(plain) as tls:
        return x509.load_der_x509_certificate(t.cast(bytes, tls.getpeercert(binary_form=True)))


def open_port(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, port)) == 0


def served(address: str, port: int) -> str:
    """The body that a node port answers with, "" when it cuts the connection."""
    try:
        with socket.create_connection((address, port), 5) as probe:
            probe.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return b"".join(iter(lambda: probe.recv(4096), b"")).decode().rpartition("\r\n\r\n")[2].strip()
    except ConnectionError:
        return ""


def test_the_port_is_closed_while_booting(kit: Kit) -> None:
    kit.ledger.delays["talos.boot"] = 0.3
    kit.machines.power_on(kit.vm(1))
    address = kit.vm(1).private_ip
    assert not open_port(address, 50000) and not kit.machines.answers(address, 50000)
    kit.reach(address, "maintenance")
    assert open_port(address, 50000) and kit.machines.answers(address, 50000)


def test_maintenance_has_a_throw_away_ed25519_certificate(kit: Kit) -> None:
    """facts 5.3: leaf CN maintenance-service.talos.dev, SANs with the node's address, 127.0.0.1 and ::1; Ed25519."""
    address = kit.boot(1)
    shown = certificate(address)
    assert shown.subject.rfc4514_string() == "CN=maintenance-service.talos.dev"
    assert isinstance(shown.public_key(), ed25519.Ed25519PublicKey)
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(ip) for ip in names.get_values_for_type(x509.IPAddress)} == {address, "127.0.0.1", "::1"}


def test_the_console_tells_the_fingerprint_as_talos_prints_it(kit: Kit) -> None:
    """maintenance_service_inform.go: three lines with the value, base64 of SHA-256 over the SubjectPublicKeyInfo."""
    from cryptography.hazmat.primitives.serialization import Encoding

    address = kit.boot(1)
    value = fingerprint(certificate(address).public_bytes(Encoding.PEM).decode())
    console = kit.machines.console(kit.vm(1).instance_id)
    assert len(base64.b64decode(value)) == 32
    assert f'"controller": "runtime.MaintenanceServiceInformController", "fingerprint": "{value}"}}' in console
    assert f"talosctl apply-config --insecure --nodes {address} --cert-fingerprint '{value}' --file <config.yaml>" in console


def test_a_new_certificate_is_told_and_an_impostors_is_not(kit: Kit) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    address = kit.boot(1)
    console = kit.machines.console(kit.vm(1).instance_id)
    kit.machines.rekey(address)
    again = fingerprint(certificate(address).public_bytes(Encoding.PEM).decode())
    assert again in kit.machines.console(kit.vm(1).instance_id) and again not in console
    kit.machines.impersonate(address)
    false = fingerprint(certificate(address).public_bytes(Encoding.PEM).decode())
    assert false != again and false not in kit.machines.console(kit.vm(1).instance_id)
    config = machine_config(cluster_secrets(), "worker")
    kit.apply(address, insecure(), config)
    assert kit.machines.stolen(address) == [config]


def test_from_maintenance_to_running(kit: Kit) -> None:
    secrets = kit.cluster(1)
    address = kit.boot(9)
    config = edit(machine_config(secrets, "worker"), "worker-9")
    assert kit.status(address, insecure()).stage == MAINTENANCE
    kit.apply(address, insecure(), config)
    kit.reach(address, "running")
    kit.wait(lambda: kit.state(address).ready)
    status = kit.status(address, secure(secrets))
    assert (status.stage, status.status.ready) == (RUNNING, True)
    assert kit.machines.config_of("worker-9") == config
    assert kit.kubernetes.registered["worker-9"][:3] == ("fargle", address, f"aws:///eu-west-1a/{kit.vm(9).instance_id}")
    assert kit.kubernetes.registered["worker-9"][5] == f"Talos ({kit.state(address).talos})"
    assert kit.kubernetes.ready["worker-9"]


def test_maintenance_answers_for_a_while_after_the_configuration_was_taken(kit: Kit) -> None:
    """https://github.com/freed-dev-llc/turing-rk1-cluster/issues/39: the next step must not take that for the secure API."""
    secrets = kit.cluster(1)
    kit.ledger.delays["talos.install"] = 0.6
    address = kit.boot(9)
    kit.apply(address, insecure(), edit(machine_config(secrets, "worker"), "worker-9"))
    assert kit.status(address, insecure()).stage == INSTALLING
    assert certificate(address).subject.rfc4514_string() == "CN=maintenance-service.talos.dev"
    kit.wait(lambda: not open_port(address, 50000))
    kit.reach(address, "running")
    assert certificate(address).subject.rfc4514_string() == "CN=worker-9"


def test_user_data_is_used_at_boot(kit: Kit) -> None:
    """facts 8: user data is the configuration, gzip is recognised; EC2's base64 is already taken off by the metadata service."""
    secrets = cluster_secrets()
    text = edit(machine_config(secrets, "controlplane"), "cp-1")
    address = kit.boot(1, gzip.compress(text.encode()), "starting")
    assert kit.machines.config_of("cp-1") == text
    other = kit.boot(2, base64.b64encode(text.encode()).decode(), "starting")
    assert kit.status(address, secure(secrets)).stage == kit.status(other, secure(secrets)).stage == BOOTING


def test_wrong_user_data_is_an_error_for_ever(kit: Kit) -> None:
    """facts 8: invalid user data loops with the error, it does not lead to maintenance."""
    kit.machines.power_on(kit.vm(1, "machine: {tpye: worker}"))
    kit.wait(lambda: kit.state(kit.vm(1).private_ip).phase == "broken")
    assert "failed to load config from platform aws" in kit.machines.console(kit.vm(1).instance_id)
    assert not open_port(kit.vm(1).private_ip, 50000)


def test_a_control_plane_waits_in_stage_booting_for_bootstrap(kit: Kit) -> None:
    secrets = cluster_secrets()
    address = kit.boot(1, edit(machine_config(secrets, "controlplane"), "cp-1"), "starting")
    status = kit.status(address, secure(secrets))
    assert (status.stage, status.status.ready) == (BOOTING, False)
    assert {condition.name for condition in status.status.unmet_conditions} == {"services", "nodeReady"}
    assert not kit.kubernetes.registered


def test_a_worker_joins_only_through_a_control_plane_of_its_cluster(kit: Kit) -> None:
    """Talos' trustd: wrong CA or wrong machine token, no certificate, so the secure API never opens."""
    secrets = kit.cluster(1)
    kit.machines.power_on(kit.vm(8, edit(machine_config(cluster_secrets(), "worker"), "worker-8")))
    kit.machines.power_on(kit.vm(9, edit(machine_config(secrets, "worker"), "worker-9", token="wrong1.0123456789abcdef")))
    kit.wait(lambda: all(kit.state(kit.vm(number).private_ip).phase == "starting" for number in (8, 9)))
    time.sleep(0.3)
    assert not open_port(kit.vm(8).private_ip, 50000) and not open_port(kit.vm(9).private_ip, 50000)
    assert set(kit.kubernetes.registered) == {"cp-1"}


def test_ports_follow_the_node(kit: Kit) -> None:
    """6443 on control planes with a working etcd, node ports on Ready nodes, nothing when the power is off."""
    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0), kit.loop.loop).result(5)
    kit.kubernetes.address = server.sockets[0].getsockname()
    kit.cluster(1)
    address = kit.vm(1).private_ip
    kit.wait(lambda: kit.machines.answers(address, 6443) and kit.machines.answers(address, 30080))
    # They are opened one after the other.
    kit.wait(lambda: all(open_port(address, port) for port in (6443, 30080, 30443, 31080, 31443)))
    assert served(address, 30080) == "cp-1"
    kit.kubernetes.without_ingress.add("cp-1")
    assert not kit.machines.ingress_ready("cp-1") and not kit.machines.answers(address, 30080) and kit.machines.answers(address, 6443)
    assert served(address, 30080) == ""
    kit.machines.power_off(kit.vm(1).instance_id)
    assert not any(open_port(address, port) for port in (50000, 6443, 30080))
    assert kit.kubernetes.ready["cp-1"] is False


def test_power_off_and_on_keeps_the_disk_and_destroy_does_not(kit: Kit) -> None:
    secrets = kit.cluster(1)
    vm = kit.vm(1)
    member = kit.state(vm.private_ip).member
    kit.machines.power_off(vm.instance_id)
    kit.machines.power_on(vm)
    kit.reach(vm.private_ip, "running")
    assert kit.state(vm.private_ip).member == member
    assert kit.members(vm.private_ip, secure(secrets))[0].id == member
    kit.machines.destroy(vm.instance_id)
    assert kit.kubernetes.gone == ["cp-1"]
    assert kit.machines.nodes() == [] and not open_port(vm.private_ip, 50000)


def test_a_connection_is_cut_when_power_goes(kit: Kit) -> None:
    address = kit.boot(1)
    with socket.create_connection((address, 50000), 5) as plain, insecure().wrap_socket(plain) as tls:
        tls.settimeout(5)
        kit.machines.power_off(kit.vm(1).instance_id)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            while tls.recv(1024):
                pass
            raise ConnectionResetError("closed")


def test_births(kit: Kit) -> None:
    """Labels and taints: the kubelet's own come with it; Talos may set nodeTaints and restricted labels on control planes only (NodeRestriction)."""
    secrets = kit.cluster(1)
    extra = {"image": "ghcr.io/siderolabs/kubelet:v1.34.2", "extraConfig": {"registerWithTaints": [{"key": "purpose", "value": "gpu", "effect": "NoSchedule"}]}}
    extra["extraArgs"] = {"node-labels": "purpose=gpu"}
    kit.boot(2, edit(machine_config(secrets, "worker"), "w-2", kubelet=extra, nodeLabels={"team": "blue"}), "running")
    kit.boot(3, edit(machine_config(secrets, "worker"), "w-3", nodeTaints={"purpose": "gpu:NoSchedule"}, nodeLabels={"team": "blue"}), "running")
    assert kit.kubernetes.registered["w-2"][3:5] == ({"purpose": "gpu"}, [{"key": "purpose", "value": "gpu", "effect": "NoSchedule"}])
    assert kit.kubernetes.applied["w-2"] == ({"team": "blue"}, [])
    assert kit.kubernetes.registered["w-3"][3:5] == ({}, []) and "w-3" not in kit.kubernetes.applied
    assert "node-role.kubernetes.io/control-plane" in kit.kubernetes.applied["cp-1"][0]
    assert {"key": "node-role.kubernetes.io/control-plane", "value": "", "effect": "NoSchedule"} in kit.kubernetes.registered["cp-1"][4]


def test_a_snapshot_is_put_back_with_its_ports(kit: Kit) -> None:
    secrets = kit.cluster(1)
    waiting = kit.boot(9)
    before, shown, kept = kit.machines.dump(), certificate(waiting), kit.machines.snapshot()
    kit.apply(waiting, insecure(), edit(machine_config(secrets, "worker"), "worker-9"))
    kit.reach(waiting, "running")
    kit.machines.destroy(kit.vm(1).instance_id)
    kit.machines.restore(kept)
    assert kit.machines.dump() == before
    assert certificate(waiting) == shown
    assert kit.status(kit.vm(1).private_ip, secure(secrets)).stage == RUNNING
    assert kit.machines.config_of("worker-9") is None


def test_three_hundred_machines(kit: Kit) -> None:
    started = time.monotonic()
    secrets = kit.cluster(1)
    config = machine_config(secrets, "worker")
    for number in range(2, 302):
        vm = kit.vm(2, config.replace("network: {}", f"network: {{hostname: w-{number}}}"))
        vm.instance_id, vm.private_ip = f"i-{number:017x}", f"{vm.private_ip.rsplit('.', 2)[0]}.{20 + number // 200}.{number % 200 + 1}"
        kit.machines.power_on(vm)
    kit.wait(lambda: sum(node["ready"] for node in kit.machines.nodes()) == 301)
    assert len(kit.kubernetes.registered) == 301 and time.monotonic() - started < 30
