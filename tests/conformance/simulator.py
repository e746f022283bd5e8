# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talos' own client library against simulated nodes, and Talos' own configuration loader against their strict decoding."""

from __future__ import annotations

import base64
import re
import typing as t
from functools import partial

import yaml

from tests.sandbox import pki
from tests.sandbox.configs import ClusterSecrets, machine_config
from tests.unit.sandbox.talos_corpus import GOOD, INVALID, UNDECODABLE
from tests.unit.sandbox.talos_kit import Kit, cluster_secrets, edit

from .referee import Program, Score

AUTO, NO_REBOOT, STAGED = 1, 2, 3


class Drive:
    """Asks the Go client and compares its answers."""

    def __init__(self, go: Program, score: Score, kit: Kit) -> None:
        self.go, self.score, self.kit = go, score, kit

    def code(self, wanted: str, op: str, endpoint: str, config: str = "", words: str = "", **fields: t.Any) -> t.Any:
        """A call that must end with this code, with these words in its text; its result."""
        answer = self.go.ask(op=op, endpoint=endpoint, talosconfig=config, **fields)
        seen = answer["code"] if words in answer["text"] else f"{answer['code']}: {answer['text']}"
        self.score.compare(f"{op} of {endpoint} {fields if op != 'apply' else ''}", seen, wanted)
        return answer["result"]

    def value(self, wanted: t.Any, op: str, endpoint: str, config: str = "", read: t.Callable[[t.Any], t.Any] = lambda result: result, **fields: t.Any) -> None:
        """A call that must succeed with this value."""
        answer = self.go.ask(op=op, endpoint=endpoint, talosconfig=config, **fields)
        self.score.compare(f"{op} of {endpoint}", read(answer["result"]) if answer["code"] == "OK" else answer, wanted)


def talosconfig(secrets: ClusterSecrets, pair: pki.Pair, ca: str = "") -> str:
    """A talosconfig with another client certificate."""
    parts = {"ca": ca or secrets.talos.ca.crt, "crt": pair.crt, "key": pair.key}
    return yaml.safe_dump(
        {"context": "c", "contexts": {"c": {"endpoints": [], **{key: base64.b64encode(text.encode()).decode() for key, text in parts.items()}}}}
    )


def role(secrets: ClusterSecrets, *roles: str, **usage: t.Any) -> str:
    """A talosconfig with these roles."""
    return talosconfig(secrets, pki.issue(secrets.talos.ca, organizations=list(roles), **{"client": True, **usage}))


def members(result: t.Any) -> list[tuple[str, bool]]:
    return sorted((one.get("hostname", ""), one.get("is_learner", False)) for one in result["messages"][0]["members"])


def maintenance(drive: Drive, secrets: ClusterSecrets, config: str) -> str:
    """Everything about a machine in maintenance; ends with the configuration taken."""
    kit = drive.kit
    address = kit.boot(1)
    console = kit.machines.console(kit.vm(1).instance_id)
    printed = re.findall(r"--cert-fingerprint '([^']+)'", console)[-1]
    drive.value("v1.13.9", "version", address, read=lambda r: r["messages"][0]["version"]["tag"], fingerprints=[printed])
    wrong = base64.b64encode(b"0" * 32).decode()
    drive.code("Unavailable", "version", address, words="leaf peer certificate doesn't match the provided fingerprints", fingerprints=[wrong])
    drive.value({"stage": "maintenance", "ready": True}, "stage", address)
    drive.code("Unimplemented", "members", address, words="machine type is not set, cannot use member list API")
    drive.code("PermissionDenied", "config", address, id="v1alpha1", words="not authorized")
    drive.code("PermissionDenied", "reset", address)
    drive.code("Unavailable", "version", address, role(secrets, "os:admin"), words="x509: certificate signed by unknown authority")
    drive.code("InvalidArgument", "apply", address, data="machine: {tpye: x}", mode=AUTO, words="unknown keys found during decoding:\nmachine:\n    tpye: x\n")
    drive.code("OK", "apply", address, data=config, mode=AUTO, dry_run=True)
    drive.value({"stage": "maintenance", "ready": True}, "stage", address)
    drive.code("OK", "apply", address, data=config, mode=AUTO)
    kit.reach(address, "starting")
    return address


def strangers(drive: Drive, secrets: ClusterSecrets, address: str) -> None:
    """Client certificates that a configured node refuses."""
    other = pki.talos_pki()
    drive.code("Unavailable", "version", address, words="tls: certificate required")
    drive.code("Unavailable", "version", address, talosconfig(secrets, other.admin), words="tls: unknown certificate authority")
    drive.code("Unavailable", "version", address, talosconfig(secrets, secrets.talos.admin, other.ca.crt), words="certificate signed by unknown authority")
    for usage in ({"client": False, "server": True}, {"server": True}, {"client": False}):
        drive.code("Unavailable", "version", address, role(secrets, "os:admin", **usage))
    reader = role(secrets, "os:reader")
    drive.code("OK", "version", address, reader)
    drive.code("PermissionDenied", "config", address, reader, id="v1alpha1", words="not authorized")
    for op in ("remove", "leave", "forfeit", "bootstrap", "kubeconfig", "apply"):
        drive.code("PermissionDenied", op, address, reader, words="not authorized", member=1)


def first_control_plane(drive: Drive, admin: str, address: str, config: str) -> None:
    """Before and after bootstrap."""
    kit = drive.kit
    drive.value({"stage": "booting", "ready": False}, "stage", address, admin)
    drive.code("Unknown", "members", address, admin, words="no controlplane endpoints discovered yet")
    kit.wait(lambda: kit.state(address).cri)
    drive.value(["."], "files", address, admin, id="/var/lib/etcd")
    kubeconfig(drive, admin, address, config)
    kit.ledger.delays["talos.etcd"] = 0.5
    for _again in range(2):
        drive.code("OK", "bootstrap", address, admin)
    drive.code("Unknown", "members", address, admin, words="no controlplane endpoints discovered yet")
    kit.wait(lambda: kit.state(address).ready)
    drive.value(1, "members", address, admin, lambda r: len(members(r)))
    drive.value([".", "member"], "files", address, admin, id="/var/lib/etcd")
    drive.value({"stage": "running", "ready": True}, "stage", address, admin)
    drive.code("AlreadyExists", "bootstrap", address, admin, words="etcd data directory is not empty")
    for name in ("v1alpha1", "persistent"):
        drive.value(config, "config", address, admin, id=name)
    drive.code("NotFound", "config", address, admin, id="maintenance")
    drive.value("controlplane", "type", address, admin)
    drive.code("Unknown", "forfeit", address, admin, words="cannot forfeit leadership, only one member")
    drive.code("Unknown", "leave", address, admin, words="not enough started members")
    drive.code("Unimplemented", "reset", address, admin)
    drive.code("Unimplemented", "disks", address, admin)


def kubeconfig(drive: Drive, admin: str, address: str, config: str) -> None:
    """Talos' client takes the archive apart; what is in it leads to the endpoint, as the administrator."""
    endpoint = yaml.safe_load(config)["cluster"]["controlPlane"]["endpoint"]

    def read(text: str) -> tuple[str, str]:
        found = yaml.safe_load(text)
        return found["clusters"][0]["cluster"]["server"], found["current-context"]

    drive.value((endpoint, "admin@fargle"), "kubeconfig", address, admin, read)


def not_bootstrapped(drive: Drive, secrets: ClusterSecrets, admin: str) -> None:
    """Who is not to be bootstrapped: a machine that still starts, a worker; and what comes of doing it twice."""
    kit = drive.kit
    kit.ledger.delays.update({"talos.cri": 1.0, "talos.etcd": 0.0})
    other = kit.boot(4)
    drive.code("OK", "apply", other, data=edit(machine_config(secrets, "controlplane"), "cp-4"), mode=AUTO)
    kit.reach(other, "starting")
    drive.code("FailedPrecondition", "bootstrap", other, admin, words="bootstrap is not available yet")
    drive.code("Unknown", "files", other, admin, words="lstat /var/lib/etcd: no such file or directory", id="/var/lib/etcd")
    # All others are cut off, so that it cannot join them.
    for number in (1, 2):
        kit.machines.power_off(kit.vm(number).instance_id)
    kit.wait(lambda: kit.state(other).cri)
    drive.code("OK", "bootstrap", other, admin)
    kit.reach(other, "running")
    drive.value([("cp-4", False)], "members", other, admin, members)
    drive.score.compare("a second cluster", len(kit.machines.dump()["etcd"]), 2)


def ready(kit: Kit, address: str) -> bool:
    """Whether a node is Ready."""
    return bool(kit.state(address).ready)


def etcd(drive: Drive, secrets: ClusterSecrets, admin: str, first: str) -> None:
    """Members come and go."""
    kit = drive.kit
    plane = machine_config(secrets, "controlplane")
    for number in (2, 3):
        address = kit.boot(number)
        drive.code("OK", "apply", address, data=edit(plane, f"cp-{number}"), mode=AUTO)
        kit.reach(address, "running")
        kit.wait(partial(ready, kit, address))
    second, third = kit.vm(2).private_ip, kit.vm(3).private_ip
    drive.value([("cp-1", False), ("cp-2", False), ("cp-3", False)], "members", second, admin, members)
    leader = int(drive.code("OK", "status", first, admin)["messages"][0]["member_status"]["leader"])
    leading = next(at for at in (first, second, third) if kit.state(at).member == leader)
    heir = drive.code("OK", "forfeit", leading, admin)["messages"][0]["member"]
    new = next(kit.state(at).member for at in (first, second, third) if kit.state(at).hostname == heir)
    drive.value(new, "status", first, admin, lambda r: r["messages"][0]["member_status"]["leader"])
    drive.code("NotFound", "remove", first, admin, member=42, words="member not found")
    drive.code("OK", "leave", third, admin)
    drive.value([("cp-1", False), ("cp-2", False)], "members", first, admin, members)
    restart(kit, 3)
    drive.value([("cp-1", False), ("cp-2", False), ("cp-3", False)], "members", first, admin, members)
    kit.machines.power_off(kit.vm(3).instance_id)
    drive.code("Unknown", "remove", first, admin, member=kit.state(second).member, words="unhealthy cluster")
    drive.code("OK", "remove", first, admin, member=kit.state(third).member)
    kit.machines.power_off(kit.vm(2).instance_id)
    drive.code("Unknown", "members", first, admin, words="no leader")
    drive.value(["etcdserver: no leader"], "status", first, admin, lambda r: r["messages"][0]["member_status"]["errors"])
    kit.machines.power_on(kit.vm(2))
    kit.reach(second, "running")
    drive.code("OK", "alarms", first, admin)


def restart(kit: Kit, number: int) -> None:
    """Power off and on until it runs again."""
    kit.machines.power_off(kit.vm(number).instance_id)
    kit.machines.power_on(kit.vm(number))
    kit.reach(kit.vm(number).private_ip, "running")


def proxying(drive: Drive, secrets: ClusterSecrets, admin: str, first: str) -> None:
    """A worker through a control plane, and not the other way round."""
    worker = drive.kit.boot(9)
    drive.code("OK", "apply", worker, data=edit(machine_config(secrets, "worker"), "worker-9"), mode=AUTO)
    drive.kit.reach(worker, "running")
    drive.value("worker-9", "hostname", first, admin, lambda r: r["messages"][0]["hostname"], node=worker)
    drive.code("PermissionDenied", "hostname", worker, admin, node=first, words="no request forwarding")
    drive.code("Unimplemented", "members", first, admin, node=worker, words="only available on control plane nodes")
    drive.code("Unavailable", "hostname", first, admin, node=f"{worker}9")
    drive.code("FailedPrecondition", "bootstrap", first, admin, node=worker, words="bootstrap can only be performed on a control plane node")
    drive.code("Unimplemented", "kubeconfig", worker, admin, words="kubeconfig is only available on control plane nodes")
    drive.value("worker", "type", worker, admin)
    drive.value(True, "services", first, admin, lambda r: {one["id"]: one["state"] for one in r["messages"][0]["services"]}["etcd"] == "Running")


def old_maintenance(drive: Drive) -> None:
    """A machine of Talos 1.11, whose maintenance server is another one."""
    address = drive.kit.boot(1)
    config = machine_config(cluster_secrets(), "controlplane")
    drive.code("Unimplemented", "version", address, words="API is not implemented in maintenance mode")
    drive.value({"stage": "maintenance", "ready": True}, "stage", address)
    drive.code(
        "Unimplemented", "apply", address, data=config, mode=NO_REBOOT, words="apply configuration --mode='no-reboot' is not supported in maintenance mode"
    )
    drive.code("Unimplemented", "apply", address, data=config, mode=STAGED)
    drive.code("Unknown", "apply", address, data="a: [", mode=AUTO, words="failed to parse config: ")
    drive.code("OK", "apply", address, data=config, mode=AUTO)


def corpus(go: Program, score: Score) -> None:
    """Talos' own verdict on what the simulated nodes accept and refuse."""
    for text in GOOD:
        score.compare(f"good: {text[:60]!r}", go.ask(op="validate", data=text)["text"], "")
    for text, words in {**UNDECODABLE, **INVALID}.items():
        verdict = go.ask(op="validate", data=text)["text"]
        score.compare(f"bad: {text[:60]!r}", words if verdict and words in verdict else verdict, words)


def drive(go: Program, score: Score) -> None:
    """All of it."""
    corpus(go, score)
    kit = Kit("v1.13.9")
    try:
        secrets = cluster_secrets()
        admin, config = role(secrets, "os:admin"), edit(machine_config(secrets, "controlplane"), "cp-1")
        run = Drive(go, score, kit)
        address = maintenance(run, secrets, config)
        strangers(run, secrets, address)
        first_control_plane(run, admin, address, config)
        etcd(run, secrets, admin, address)
        proxying(run, secrets, admin, address)
        not_bootstrapped(run, secrets, admin)
    finally:
        kit.close()
    kit = Kit("v1.11.6")
    try:
        old_maintenance(Drive(go, score, kit))
    finally:
        kit.close()
