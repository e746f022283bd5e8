# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API of simulated nodes refuses, as real ones do: TLS, roles, modes, resources, proxying; and injected faults.

Sources: Talos v1.13.9 unless said otherwise; paths below internal/app.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import gzip
import json
import socket
import ssl
import threading
import time
import typing as t
from functools import partial

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.messages import message
from cryptography import x509
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from tests.sandbox import pki
from tests.sandbox.calls import Fault
from tests.sandbox.configs import machine_config, new_secrets

from .talos_kit import Kit, cluster_secrets, edit, insecure, secure

CONFIG = "MachineConfigs.config.talos.dev"
BROKEN = (ConnectionError, ssl.SSLError, StreamTerminatedError)


@pytest.fixture
def kit(request: pytest.FixtureRequest) -> t.Iterator[Kit]:
    kit = Kit(getattr(request, "param", "v1.13.9"))
    yield kit
    kit.close()


old = pytest.mark.parametrize("kit", ["v1.11.6", "v1.12.4"], indirect=True)
newest = pytest.mark.parametrize("kit", ["v1.14.0"], indirect=True)


def expect_refused(call: t.Callable[[], t.Any]) -> tuple[str, str]:
    """The status and text that a call ends with."""
    with pytest.raises(GRPCError) as caught:
        call()
    return caught.value.status.name, caught.value.message or ""


# -- TLS ------------------------------------------------------------------------------------------------------------


def alert(address: str, context: ssl.SSLContext) -> str:
    """The TLS alert that comes at the first read, after a handshake that looked good."""
    with socket.create_connection((address, 50000), 5) as plain, context.wrap_socket(plain, server_hostname=address) as tls:
        with pytest.raises(ssl.SSLError) as caught:
            tls.recv(1)
        return str(caught.value.reason)


def test_no_client_certificate(kit: Kit) -> None:
    """facts 5.1: TLS 1.3 alert certificate_required after the handshake."""
    kit.cluster(1)
    assert alert(kit.vm(1).private_ip, insecure()) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    with pytest.raises(BROKEN):
        kit.call(kit.vm(1).private_ip, "Version", insecure())


def test_client_certificate_of_another_ca(kit: Kit) -> None:
    """facts 5.1: alert unknown_ca."""
    secrets = kit.cluster(1)
    stranger = pki.client_context(secrets.talos.ca.crt, pki.talos_pki().admin, alpn=["h2"])
    assert alert(kit.vm(1).private_ip, stranger) == "TLSV1_ALERT_UNKNOWN_CA"


@pytest.mark.parametrize("usage", [{"client": False, "server": True}, {"client": True, "server": True}, {"client": False}])
def test_client_certificate_with_other_key_usage(kit: Kit, usage: dict[str, bool]) -> None:
    """Since 1.12 exactly clientAuth: https://github.com/siderolabs/talos/issues/12870, https://github.com/siderolabs/talos/issues/12274."""
    secrets = kit.cluster(1)
    with pytest.raises(BROKEN):
        kit.call(kit.vm(1).private_ip, "Version", secure(secrets, **usage))


def test_expired_client_certificate(kit: Kit) -> None:
    secrets = kit.cluster(1)
    with pytest.raises(BROKEN):
        kit.call(kit.vm(1).private_ip, "Version", secure(secrets, life=datetime.timedelta(hours=-1)))


def test_a_talosconfig_does_not_trust_a_machine_in_maintenance(kit: Kit) -> None:
    """facts 5.1: the client's own verification fails; the usual sign that the node is not configured yet."""
    address = kit.boot(1)
    with pytest.raises(ssl.SSLCertVerificationError):
        kit.call(address, "Version", secure(cluster_secrets()))


def test_only_http2_by_alpn(kit: Kit) -> None:
    """grpc-go ends connections without ALPN h2 (GRPC_ENFORCE_ALPN_ENABLED, on since 1.67)."""
    address = kit.boot(1)
    with pytest.raises(BROKEN):
        kit.call(address, "Version", insecure(alpn=False))


# -- roles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["os:operator", "os:reader", "os:etcd:backup", "system:masters", ""])
@pytest.mark.parametrize("method", ["Bootstrap", "EtcdLeaveCluster", "EtcdForfeitLeadership", "EtcdRemoveMemberByID", "ApplyConfiguration"])
def test_only_admins_change_anything(kit: Kit, role: str, method: str) -> None:
    """machined/pkg/system/services/machined.go (rules), authz.ErrNotAuthorized."""
    secrets = kit.cluster(1)
    context = secure(secrets, [role] if role else [])
    assert expect_refused(lambda: kit.call(kit.vm(1).private_ip, method, context)) == ("PERMISSION_DENIED", "not authorized")


def test_readers_read_but_not_the_configuration(kit: Kit) -> None:
    """resources/resources.go: MachineConfig is sensitive."""
    secrets = kit.cluster(1)
    address, reader = kit.vm(1).private_ip, secure(secrets, ["os:reader"])
    assert kit.call(address, "Version", reader).messages[0].version.tag == "v1.13.9"
    assert kit.status(address, reader).stage == 4
    assert expect_refused(lambda: kit.resource(address, reader, CONFIG, "v1alpha1", "config")) == ("PERMISSION_DENIED", "not authorized")
    backup = secure(secrets, ["os:etcd:backup"])
    assert len(kit.members(address, backup)) == 1
    assert expect_refused(lambda: kit.call(address, "Version", backup)) == ("PERMISSION_DENIED", "not authorized")


# -- methods and resources ------------------------------------------------------------------------------------------


def test_unknown_methods_and_services(kit: Kit) -> None:
    """grpc-go server.go handleStream; for others than admins the fallback rule comes first."""
    secrets = kit.cluster(1)
    address, admin = kit.vm(1).private_ip, secure(secrets)
    assert expect_refused(lambda: kit.call(address, "Reset", admin)) == ("UNIMPLEMENTED", "unknown method Reset for service machine.MachineService")
    assert expect_refused(lambda: kit.call(address, "/storage.StorageService/Disks", admin)) == ("UNIMPLEMENTED", "unknown service storage.StorageService")
    assert expect_refused(lambda: kit.call(address, "Reset", secure(secrets, ["os:reader"])))[0] == "PERMISSION_DENIED"


def test_resources(kit: Kit) -> None:
    """resources/resources.go and COSI's not-found text."""
    secrets = kit.cluster(1)
    address, admin = kit.vm(1).private_ip, secure(secrets)
    assert expect_refused(lambda: kit.resource(address, admin, "mc", "v1alpha1")) == ("PERMISSION_DENIED", 'resource type "mc" is not supported')
    assert expect_refused(lambda: kit.resource(address, admin, CONFIG, "v1alpha1", "nope")) == ("PERMISSION_DENIED", 'namespace "nope" is not supported')
    missing = expect_refused(lambda: kit.resource(address, admin, CONFIG, "maintenance", "config"))
    assert missing == ("NOT_FOUND", f"resource {CONFIG}(config/maintenance@undefined) doesn't exist")
    spec = message("talos.resource.definitions.config.MachineConfigSpec")
    for name in ("v1alpha1", "persistent"):
        stored = kit.resource(address, admin, CONFIG, name, "config").spec
        assert spec.FromString(stored.proto_spec).yaml_marshalled.decode() == kit.machines.config_of("cp-1") == yaml.safe_load(stored.yaml_spec)
    kind = kit.resource(address, admin, "MachineTypes.config.talos.dev", "machine-type", "config").spec.proto_spec
    assert message("talos.resource.definitions.config.MachineTypeSpec").FromString(kind).machine_type == 2


# -- maintenance ----------------------------------------------------------------------------------------------------


@old
def test_old_maintenance_answers_little(kit: Kit) -> None:
    """1.12 internal/app/maintenance/server.go."""
    address = kit.boot(1)
    for method in ("Version", "Hostname", "ServiceList", "EtcdMemberList", "Bootstrap"):
        assert expect_refused(partial(kit.call, address, method, insecure())) == ("UNIMPLEMENTED", "API is not implemented in maintenance mode")
    assert kit.status(address, insecure()).stage == 3
    assert expect_refused(lambda: kit.resource(address, insecure(), CONFIG, "v1alpha1", "config")) == ("PERMISSION_DENIED", "not authorized")
    assert "runtime.MaintenanceServiceController" in kit.machines.console(kit.vm(1).instance_id)


@old
def test_old_maintenance_apply(kit: Kit) -> None:
    """1.12 internal/app/maintenance/server.go ApplyConfiguration."""
    address = kit.boot(1)
    good = machine_config(cluster_secrets(), "controlplane")
    for mode, word in (("NO_REBOOT", "no-reboot"), ("STAGED", "staged")):
        text = f"apply configuration --mode='{word}' is not supported in maintenance mode"
        assert expect_refused(partial(kit.apply, address, insecure(), good, mode)) == ("UNIMPLEMENTED", text)
    status, text = expect_refused(lambda: kit.apply(address, insecure(), "machine: [1]"))
    assert (status, text.startswith("failed to parse config: ")) == ("UNKNOWN", True)
    status, text = expect_refused(lambda: kit.apply(address, insecure(), edit(good, type="boss")))
    assert status == "INVALID_ARGUMENT" and text.startswith("configuration validation failed: ") and 'unknown machine type "boss"' in text
    assert "does not have a config yet" in kit.apply(address, insecure(), good, dry_run=True).mode_details
    assert kit.state(address).phase == "maintenance"
    reply = kit.apply(address, insecure(), good, "REBOOT")
    assert (reply.mode, reply.mode_details) == (0, "")
    kit.reach(address, "starting")


def test_maintenance_reads_and_takes(kit: Kit) -> None:
    """facts 5.3: from 1.13 the caller is a reader; apply is accepted in all modes, REBOOT and AUTO become NO_REBOOT."""
    address = kit.boot(1)
    assert kit.call(address, "Version", insecure()).messages[0].version.tag == "v1.13.9"
    assert expect_refused(lambda: kit.call(address, "EtcdLeaveCluster", insecure())) == ("PERMISSION_DENIED", "not authorized")
    text = "machine type is not set, cannot use member list API"
    assert expect_refused(lambda: kit.call(address, "EtcdMemberList", insecure())) == ("UNIMPLEMENTED", text)
    good = machine_config(cluster_secrets(), "controlplane")
    assert expect_refused(lambda: kit.apply(address, insecure(), "machine: [1]"))[0] == "INVALID_ARGUMENT"
    kit.apply(address, insecure(), good, "STAGED")
    assert (kit.state(address).phase, kit.machines.config_of(address)) == ("maintenance", good)
    reply = kit.apply(address, insecure(), good, "REBOOT")
    assert (reply.mode, reply.mode_details) == (2, "Applied configuration without a reboot")
    kit.reach(address, "starting")


def test_node_metadata_means_nothing_in_maintenance(kit: Kit) -> None:
    """facts 5.3."""
    address = kit.boot(1)
    assert kit.call(address, "Version", insecure(), {"node": "10.9.9.9"}).messages[0].version.tag == "v1.13.9"


@pytest.mark.parametrize("kit", ["v1.12.4", "v1.13.9"], indirect=True)
def test_documents_without_a_legacy_one_do_not_end_maintenance(kit: Kit) -> None:
    """facts 5.3."""
    address = kit.boot(1)
    kit.apply(address, insecure(), "apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: lonely\n")
    time.sleep(0.1)
    assert kit.state(address).phase == "maintenance"


def test_after_a_configuration_was_taken_strangers_are_not_served(kit: Kit) -> None:
    """v1alpha1_server.go: with a complete config only os:admin may apply, and the caller in maintenance is a reader."""
    kit.ledger.delays["talos.install"] = 0.6
    address = kit.boot(1)
    good = machine_config(cluster_secrets(), "controlplane")
    kit.apply(address, insecure(), good)
    assert expect_refused(lambda: kit.apply(address, insecure(), good)) == ("PERMISSION_DENIED", "not authorized")


# -- apply on a configured node -------------------------------------------------------------------------------------


def test_apply_is_one_at_a_time(kit: Kit) -> None:
    """v1alpha1_server.go: applyConfigMu."""
    kit.ledger.delays["talos.apply"] = 0.3
    address = kit.boot(1)
    good = machine_config(cluster_secrets(), "controlplane")
    first = threading.Thread(target=kit.apply, args=(address, insecure(), good), kwargs={"dry_run": True})
    first.start()
    kit.wait(lambda: kit.machines._node(address).service.applying)
    assert expect_refused(lambda: kit.apply(address, insecure(), good)) == ("FAILED_PRECONDITION", "another apply configuration is already in progress")
    first.join()


def test_apply_modes(kit: Kit) -> None:
    """v1alpha1_server.go and v1alpha1_runtime.go CanApplyImmediate."""
    secrets = kit.cluster(1)
    address, admin = kit.vm(1).private_ip, secure(secrets)
    now = t.cast(str, kit.machines.config_of("cp-1"))
    labelled, filed = edit(now, nodeLabels={"a": "b"}), edit(now, env={"A": "b"})
    details = kit.apply(address, admin, labelled, "AUTO", dry_run=True).mode_details
    assert details.startswith("Dry run summary:\nApplied configuration without a reboot (skipped in dry-run).\nConfig diff:\n\n") and "+    a: b" in details
    assert "No changes." in kit.apply(address, admin, now, "AUTO", dry_run=True).mode_details
    status, text = expect_refused(lambda: kit.apply(address, admin, filed, "NO_REBOOT"))
    assert status == "INVALID_ARGUMENT" and text.startswith("this config change can't be applied in immediate mode\ndiff:\n")
    assert kit.apply(address, admin, labelled, "NO_REBOOT").mode_details == "Applied configuration without a reboot"
    assert kit.machines.config_of("cp-1") == labelled
    kit.apply(address, admin, filed, "STAGED")
    assert kit.state(address).active.decode() == labelled and kit.machines.config_of("cp-1") == filed
    wrong = expect_refused(lambda: kit.call(address, "ApplyConfiguration", admin, data=now.encode(), mode=7))
    assert wrong == ("UNKNOWN", "incorrect mode '7' specified for the apply config call")


def test_an_apply_that_needs_it_reboots(kit: Kit) -> None:
    """AUTO, and the unset mode, which is REBOOT; the node comes back with the new configuration and its etcd member."""
    secrets = kit.cluster(1)
    address, admin = kit.vm(1).private_ip, secure(secrets)
    changed = edit(t.cast(str, kit.machines.config_of("cp-1")), env={"A": "b"})
    member = kit.state(address).member
    reply = kit.apply(address, admin, changed, "AUTO")
    assert reply.mode == 0 and reply.mode_details.startswith("Applied configuration with a reboot: this config change can't")
    kit.wait(lambda: kit.state(address).phase in ("booting", "starting", "running"))
    kit.reach(address, "running")
    assert kit.state(address).active.decode() == changed and kit.state(address).member == member


def test_try_is_taken_back(kit: Kit) -> None:
    """facts 4.4."""
    secrets = kit.cluster(1)
    address, admin = kit.vm(1).private_ip, secure(secrets)
    now = t.cast(str, kit.machines.config_of("cp-1"))
    reply = kit.apply(address, admin, edit(now, nodeLabels={"a": "b"}), "TRY", try_mode_timeout={"seconds": 1})
    assert reply.mode_details.endswith("will be automatically reverted back in 1s")
    assert kit.state(address).active.decode() != now == kit.machines.config_of("cp-1")
    kit.wait(lambda: kit.state(address).active.decode() == now)


@newest
def test_there_is_no_reboot_mode_from_1_14(kit: Kit) -> None:
    """facts 4.4: and AUTO never reboots."""
    secrets = kit.cluster(1)
    address, admin = kit.vm(1).private_ip, secure(secrets)
    changed = edit(t.cast(str, kit.machines.config_of("cp-1")), env={"A": "b"})
    text = "the REBOOT mode is not supported, please use AUTO or NO_REBOOT modes instead"
    assert expect_refused(lambda: kit.apply(address, admin, changed, "REBOOT")) == ("UNIMPLEMENTED", text)
    assert kit.apply(address, admin, changed, "AUTO").mode == 2


@pytest.mark.parametrize(
    ("talos", "change", "mode"),
    [
        ("v1.8.4", {"nodeTaints": {"a": "b:NoSchedule"}}, 2),
        ("v1.8.4", {"nodeAnnotations": {"a": "b"}}, 0),
        ("v1.10.9", {"nodeAnnotations": {"a": "b"}}, 2),
        ("v1.10.9", {"udev": {"rules": ["a"]}}, 0),
        ("v1.14.0", {"udev": {"rules": ["a"]}}, 2),
    ],
)
def test_what_needs_a_reboot_by_release(talos: str, change: dict[str, t.Any], mode: int) -> None:
    """Talos' documentation of each release, and v1alpha1_runtime.go."""
    kit = Kit(talos)
    try:
        kubernetes = f"v1.{int(talos.split('.')[1]) + 20}.0"
        secrets = kit.cluster(1, new_secrets("fargle", "https://127.0.0.1:6443", talos_version="v1.8.4", kubernetes_version=kubernetes))
        changed = edit(t.cast(str, kit.machines.config_of("cp-1")), **change)
        reply = kit.apply(kit.vm(1).private_ip, secure(secrets), changed, dry_run=True)
        assert reply.mode == mode
    finally:
        kit.close()


def test_features_count_one_by_one_only_where_both_have_some(kit: Kit) -> None:
    """v1alpha1_runtime.go CanApplyImmediate: a nil on either side differs as a whole."""
    secrets = kit.cluster(1)
    address, admin = kit.vm(1).private_ip, secure(secrets)
    now = t.cast(str, kit.machines.config_of("cp-1"))
    features = yaml.safe_load(now)["machine"]["features"]
    assert kit.apply(address, admin, edit(now, features={**features, "hostDNS": {"enabled": True}}), dry_run=True).mode == 2
    assert kit.apply(address, admin, edit(now, features={**features, "rbac": False}), dry_run=True).mode == 0
    assert kit.apply(address, admin, edit(now, features=None), dry_run=True).mode == 0


# -- reboot ---------------------------------------------------------------------------------------------------------

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def boot_id(kit: Kit, address: str, admin: t.Any) -> bytes:
    return b"".join(kit.stream(address, "Read", admin, root=BOOT_ID))


def test_a_reboot_is_another_boot_of_the_same_node(kit: Kit) -> None:
    """v1alpha1_server.go Reboot: answered at once; the config and the etcd member stay, Kubernetes hears nothing meanwhile."""
    secrets = kit.cluster(1)
    address, admin = kit.vm(1).private_ip, secure(secrets)
    before, first, member = kit.machines.config_of("cp-1"), boot_id(kit, address, admin), kit.state(address).member
    assert first.endswith(b"\n")
    kit.ledger.delays["talos.boot"] = 0.2
    assert kit.call(address, "Reboot", admin).messages[0].actor_id
    kit.wait(lambda: kit.kubernetes.ready["cp-1"] is False)
    kit.wait(lambda: kit.state(address).phase in ("booting", "starting", "running"))
    kit.reach(address, "running")
    kit.wait(lambda: kit.kubernetes.ready["cp-1"])
    assert boot_id(kit, address, admin) != first
    assert (kit.machines.config_of("cp-1"), kit.state(address).member) == (before, member)


def test_who_may_reboot_and_read(kit: Kit) -> None:
    """machined.go rules."""
    secrets = kit.cluster(1)
    address = kit.vm(1).private_ip
    for roles, method in ((["os:reader"], "Reboot"), (["os:operator"], "Read")):
        context = secure(secrets, roles)
        assert expect_refused(lambda: kit.stream(address, method, context, root=BOOT_ID)) == ("PERMISSION_DENIED", "not authorized")  # noqa: B023
    assert expect_refused(lambda: kit.stream(address, "Read", secure(secrets), root="/etc/passwd"))[0] == "UNIMPLEMENTED"
    fresh = kit.boot(2)
    refused = expect_refused(lambda: kit.call(fresh, "Reboot", insecure()))
    assert refused[0] == ("UNIMPLEMENTED" if kit.state(fresh).version < (1, 13) else "PERMISSION_DENIED")
    kit.call(address, "Reboot", secure(secrets, ["os:operator"]))


def test_a_configured_node_wants_a_legacy_document(kit: Kit) -> None:
    """v1alpha1_server.go."""
    secrets = kit.cluster(1)
    document = "apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: lonely\n"
    status, text = expect_refused(lambda: kit.apply(kit.vm(1).private_ip, secure(secrets), document))
    assert status == "INVALID_ARGUMENT" and text.startswith("the applied machine configuration doesn't contain v1alpha1 config")


# -- proxying -------------------------------------------------------------------------------------------------------


def test_node_metadata(kit: Kit) -> None:
    """apid/pkg/director/director.go."""
    secrets = kit.cluster(1)
    admin, first = secure(secrets), kit.vm(1).private_ip
    worker = kit.boot(5, edit(machine_config(secrets, "worker"), "worker-5"), "running")
    unset = kit.boot(6)
    assert kit.call(first, "Hostname", admin, {"node": worker}).messages[0].hostname == "worker-5"
    assert expect_refused(lambda: kit.call(worker, "Hostname", admin, {"node": first})) == ("PERMISSION_DENIED", "no request forwarding")
    assert kit.call(worker, "Hostname", admin, {"node": worker}).messages[0].hostname == "worker-5"
    double = [("node", worker), ("node", first)]
    assert expect_refused(lambda: kit.call(first, "Hostname", admin, double)) == ("INVALID_ARGUMENT", "node metadata must be single-valued")
    status, text = expect_refused(lambda: kit.call(first, "Hostname", admin, {"node": f"{first}9"}))
    assert status == "UNAVAILABLE" and "connection refused" in text
    status, text = expect_refused(lambda: kit.call(first, "Hostname", admin, {"node": unset}))
    assert status == "UNAVAILABLE" and "certificate signed by unknown authority" in text
    reader = secure(secrets, ["os:reader"])
    assert expect_refused(lambda: kit.resource(first, reader, CONFIG, "v1alpha1", "config", {"node": worker})) == ("PERMISSION_DENIED", "not authorized")
    assert kit.resource(first, admin, CONFIG, "v1alpha1", "config", {"node": worker}).spec.proto_spec


def test_nodes_metadata_fans_out(kit: Kit) -> None:
    """facts 5.4: failures are in the message's metadata, the call itself is OK; not for COSI."""
    secrets = kit.cluster(1)
    admin, first = secure(secrets), kit.vm(1).private_ip
    reply = kit.call(first, "Hostname", admin, [("nodes", first), ("nodes", f"{first}9")])
    assert [(one.metadata.hostname, one.hostname) for one in reply.messages] == [(first, "cp-1"), (f"{first}9", "")]
    assert reply.messages[1].metadata.status.code == Status.UNAVAILABLE.value
    path = "/cosi.resource.State/Get"
    text = f"one-2-many proxying is not supported for method {path}"
    assert expect_refused(lambda: kit.call(first, path, admin, {"nodes": first})) == ("INVALID_ARGUMENT", text)


# -- etcd methods on the wrong node ---------------------------------------------------------------------------------


def test_workers_have_no_etcd(kit: Kit) -> None:
    """internal/machinehelper/machinehelper.go."""
    secrets = kit.cluster(1)
    worker = kit.boot(5, edit(machine_config(secrets, "worker"), "worker-5"), "running")
    names = {
        "EtcdMemberList": "member list",
        "EtcdStatus": "etcd status",
        "EtcdAlarmList": "etcd alarm list",
        "EtcdRemoveMemberByID": "etcd remove member",
        "EtcdLeaveCluster": "etcd leave",
        "EtcdForfeitLeadership": "etcd forfeit leadership",
    }
    for method, name in names.items():
        assert expect_refused(partial(kit.call, worker, method, secure(secrets))) == ("UNIMPLEMENTED", f"{name} is only available on control plane nodes")


# -- kubeconfig -----------------------------------------------------------------------------------------------------


def test_a_kubeconfig_is_made_for_administrators_by_control_planes(kit: Kit) -> None:
    """machined.go (rules); v1alpha1_server.go checkControlplane."""
    secrets = kit.cluster(1)
    worker = kit.boot(5, edit(machine_config(secrets, "worker"), "worker-5"), "running")
    first, admin = kit.vm(1).private_ip, secure(secrets)
    text = "kubeconfig is only available on control plane nodes"
    assert expect_refused(lambda: kit.stream(worker, "Kubeconfig", admin)) == ("UNIMPLEMENTED", text)
    assert expect_refused(lambda: kit.stream(first, "Kubeconfig", admin, {"node": worker})) == ("UNIMPLEMENTED", text)
    for role in ("os:operator", "os:reader"):
        assert expect_refused(partial(kit.stream, first, "Kubeconfig", secure(secrets, [role]))) == ("PERMISSION_DENIED", "not authorized")
    kit.machines.destroy(kit.vm(5).instance_id)
    maintenance = kit.boot(6)
    assert expect_refused(lambda: kit.stream(maintenance, "Kubeconfig", insecure())) == ("PERMISSION_DENIED", "not authorized")


def test_a_kubeconfig_comes_as_an_archive_that_ends_early(kit: Kit) -> None:
    """v1alpha1_server.go Kubeconfig: a gzipped tar whose writer is not closed: no padding, no end mark. pkg/kubeconfig GenerateAdmin."""
    secrets = cluster_secrets()
    address = kit.boot(1, edit(machine_config(secrets, "controlplane"), "cp-1"), "starting")
    archives = [gzip.decompress(b"".join(kit.stream(address, "Kubeconfig", secure(secrets)))) for _ in range(2)]
    assert archives[0][:10] == b"kubeconfig" and archives[0][257:262] == b"ustar"
    size = int(archives[0][124:135], 8)
    assert len(archives[0]) == 512 + size
    first, second = (yaml.safe_load(archive[512:]) for archive in archives)
    assert first["clusters"][0]["cluster"]["server"] == secrets.endpoint and first["current-context"] == "admin@fargle"
    users = [one["users"][0]["user"] for one in (first, second)]
    assert users[0]["client-key-data"] != users[1]["client-key-data"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(users[0]["client-certificate-data"]))
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(secrets.kubernetes.ca.crt.encode()))
    assert certificate.subject.rfc4514_string() in ("CN=admin,O=system:masters", "O=system:masters,CN=admin")


# -- ledger and faults ----------------------------------------------------------------------------------------------


def test_calls_are_logged_without_secrets(kit: Kit) -> None:
    address = kit.boot(1)
    good = machine_config(cluster_secrets(), "controlplane")
    kit.apply(address, insecure(), good, dry_run=True)
    kit.apply(address, insecure(), good)
    logged = [call.public() for call in kit.ledger.calls]
    assert [(call["operation"], call["mutating"], call["status"]) for call in logged] == [
        ("ApplyConfiguration", False, "OK"),
        ("ApplyConfiguration", True, "OK"),
    ]
    assert logged[1]["detail"]["address"] == address and logged[1]["detail"]["bytes"] == len(good)
    assert yaml.safe_load(good)["machine"]["token"] not in json.dumps(logged)


@pytest.mark.parametrize(("kind", "status"), [("error", "UNAVAILABLE"), ("throttle", "RESOURCE_EXHAUSTED")])
def test_faults_before(kit: Kit, kind: str, status: str) -> None:
    address = kit.boot(1)
    kit.ledger.faults.append(Fault(kind, "talos", "Version", [1]))
    assert expect_refused(lambda: kit.call(address, "Version", insecure()))[0] == status
    assert kit.call(address, "Version", insecure()).messages[0].version.tag == "v1.13.9"


def test_a_lost_reply_is_an_act_without_an_answer(kit: Kit) -> None:
    address = kit.boot(1)
    kit.ledger.faults.append(Fault("lost_reply", "talos", "ApplyConfiguration"))
    good = machine_config(cluster_secrets(), "controlplane")
    with pytest.raises(BROKEN):
        kit.apply(address, insecure(), good)
    kit.reach(address, "starting")
    assert kit.machines.config_of(address) == good


def test_a_parked_call_has_acted_and_ends_with_its_caller(kit: Kit) -> None:
    address = kit.boot(1)
    kit.ledger.faults.append(Fault("park", "talos", mutating=True))
    good = machine_config(cluster_secrets(), "controlplane")
    kit.apply(address, insecure(), good, dry_run=True)
    with pytest.raises(asyncio.TimeoutError):
        kit.apply(address, insecure(), good, patience=0.5)
    assert kit.machines.config_of(address) == good
    kit.wait(lambda: not kit.ledger.parked())


def test_a_refusal_is_lost_and_parked_as_any_answer(kit: Kit) -> None:
    address = kit.boot(1)
    assert expect_refused(lambda: kit.call(address, "EtcdMemberList", insecure()))[0] == "UNIMPLEMENTED"
    kit.ledger.faults.append(Fault("lost_reply", "talos", "EtcdMemberList"))
    with pytest.raises(BROKEN):
        kit.call(address, "EtcdMemberList", insecure())
    kit.ledger.faults[:] = [Fault("park", "talos", "EtcdMemberList")]
    with pytest.raises(asyncio.TimeoutError):
        kit.call(address, "EtcdMemberList", insecure(), patience=0.5)
    kit.wait(lambda: not kit.ledger.parked())


def test_a_held_call_does_nothing_and_ends_with_its_caller(kit: Kit) -> None:
    address = kit.boot(1)
    kit.ledger.faults.append(Fault("hold", "talos", mutating=True, ordinals=[1]))
    good = machine_config(cluster_secrets(), "controlplane")
    with pytest.raises(asyncio.TimeoutError):
        kit.apply(address, insecure(), good, patience=0.5)
    kit.wait(lambda: not kit.ledger.waiting())
    assert kit.machines.config_of(address) is None
    kit.apply(address, insecure(), good)
    assert kit.machines.config_of(address) == good


def test_a_timeout_is_no_act_and_no_answer(kit: Kit) -> None:
    address = kit.boot(1)
    kit.ledger.faults.append(Fault("timeout", "talos", "ApplyConfiguration", seconds=0.1))
    with pytest.raises(BROKEN):
        kit.apply(address, insecure(), machine_config(cluster_secrets(), "controlplane"))
    assert (kit.state(address).phase, kit.machines.config_of(address)) == ("maintenance", None)
