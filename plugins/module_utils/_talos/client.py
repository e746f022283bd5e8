# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""One function per call of the Talos API; replies as plain, typed data. All raise transport.TalosError."""

from __future__ import annotations

import dataclasses
import io
import tarfile
import typing as t
import urllib.parse

from . import messages
from .messages import message
from .transport import Connection, TalosError

APPLY_SECONDS = 60.0
# On the node itself leaving is retried for minutes while the cluster is unhealthy.
LEAVE_SECONDS = 60.0
# Before it answers, Talos waits up to 5 s for the time to be in sync.
BOOTSTRAP_SECONDS = 20.0
ETCD_DATA = "/var/lib/etcd"
# The kernel's name for the time since it was started; talosctl waits for a reboot by it, too.
BOOT_ID = "/proc/sys/kernel/random/boot_id"
REBOOT = "REBOOT"
_MODE_AUTO = 1
_MODES = messages.ENUMS["machine.ApplyConfigurationRequest.Mode"]
_STAGES = messages.ENUMS["talos.resource.definitions.enums.RuntimeMachineStage"]
_ALARMS = messages.ENUMS["machine.EtcdMemberAlarm.AlarmType"]


@dataclasses.dataclass(frozen=True)
class Applied:
    """What a node answered to a config. mode: what a configured node makes of AUTO, REBOOT or NO_REBOOT."""

    mode: str
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class MachineStatus:
    """What a node says of itself. stage in lower case ("running"); unmet are the conditions that keep it from ready."""

    stage: str
    ready: bool
    unmet: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"stage {self.stage}" + (f" (waiting for {', '.join(self.unmet)})" if self.unmet else "")


@dataclasses.dataclass(frozen=True)
class EtcdMember:
    """A row of etcd's member list. addresses are the hosts of its peer and client URLs."""

    id: int
    hostname: str
    addresses: tuple[str, ...]
    learner: bool

    @property
    def hex_id(self) -> str:
        """The ID as Talos and etcdctl print it."""
        return f"{self.id:016x}"

    def __str__(self) -> str:
        return f"{self.hex_id} ({self.hostname or 'not started'}, {', '.join(self.addresses) or 'no address'})"


@dataclasses.dataclass(frozen=True)
class EtcdStatus:
    """What a member says of itself. leader is 0 when it knows none."""

    member_id: int
    leader: int
    learner: bool
    errors: tuple[str, ...]


def _only(reply: t.Any, method: str) -> t.Any:
    """The single message of a reply that was not fanned out."""
    if len(reply.messages) != 1:
        raise TalosError(f"{method}: {len(reply.messages)} answers instead of one", "INTERNAL")
    return reply.messages[0]


async def _machine(connection: Connection, method: str, request: t.Any = None, **kwargs: t.Any) -> t.Any:
    """Call a method of machine.MachineService, by default with an empty request."""
    path = f"/machine.MachineService/{method}"
    request = message(messages.METHODS[path][0])() if request is None else request
    return _only(await connection.call(path, request, **kwargs), method)


async def _resource(connection: Connection, namespace: str, kind: str, name: str, spec: str) -> t.Any:
    """Read one COSI resource and decode its spec."""
    request = message("cosi.resource.GetRequest")(namespace=namespace, type=kind, id=name)
    reply = await connection.call("/cosi.resource.State/Get", request)
    return message(spec).FromString(reply.resource.spec.proto_spec)


async def apply_configuration(connection: Connection, config: bytes, dry_run: bool = False) -> Applied:
    """Send a machine config once, or (dry_run) ask what would become of it.

    The mode is said explicitly: an unset one means REBOOT. Not repeated here, since a lost answer says nothing about the node.
    """
    request = message("machine.ApplyConfigurationRequest")(data=config, mode=_MODE_AUTO, dry_run=dry_run)
    reply = await _machine(connection, "ApplyConfiguration", request, timeout=APPLY_SECONDS, attempts=1)
    return Applied(_MODES[reply.mode] if reply.mode < len(_MODES) else str(reply.mode), tuple(reply.warnings))


async def reboot(connection: Connection) -> None:
    """Make the node reboot; asked once, whether it does is seen by its boot_id."""
    await _machine(connection, "Reboot", timeout=APPLY_SECONDS, attempts=1)


async def boot_id(connection: Connection) -> str:
    """What tells this boot of the node from all others (needs the role os:admin)."""
    parts = await connection.call("/machine.MachineService/Read", message("machine.ReadRequest")(path=BOOT_ID))
    return b"".join(part.bytes for part in parts).decode("ascii", "replace").strip()


async def version(connection: Connection, **kwargs: t.Any) -> str:
    """The Talos version, e.g. v1.13.9. kwargs as of Connection.call."""
    return str((await _machine(connection, "Version", **kwargs)).version.tag)


async def machine_status(connection: Connection) -> MachineStatus:
    """The node's stage and readiness."""
    spec = await _resource(connection, "runtime", "MachineStatuses.runtime.talos.dev", "machine", "talos.resource.definitions.runtime.MachineStatusSpec")
    stage = _STAGES[spec.stage].lower() if spec.stage < len(_STAGES) else str(spec.stage)
    return MachineStatus(stage, spec.status.ready, tuple(condition.name for condition in spec.status.unmet_conditions))


async def machine_config(connection: Connection) -> bytes:
    """The active machine config, byte for byte as it was submitted (needs the role os:admin)."""
    spec = await _resource(connection, "config", "MachineConfigs.config.talos.dev", "v1alpha1", "talos.resource.definitions.config.MachineConfigSpec")
    return bytes(spec.yaml_marshalled)


def _host(url: str) -> str:
    """The host of a peer or client URL."""
    return urllib.parse.urlsplit(url).hostname or ""


async def etcd_members(connection: Connection, **kwargs: t.Any) -> list[EtcdMember]:
    """The member list, ordered by ID. kwargs as of Connection.call."""
    reply = await _machine(connection, "EtcdMemberList", **kwargs)
    members = []
    for row in reply.members:
        hosts = [_host(url) for url in (*row.peer_urls, *row.client_urls)]
        members.append(EtcdMember(row.id, row.hostname, tuple(dict.fromkeys(host for host in hosts if host)), row.is_learner))
    return sorted(members, key=lambda member: member.id)


async def etcd_status(connection: Connection, timeout: float) -> EtcdStatus:
    """The answering node's own view of etcd; asked once, a member that does not answer counts as sick."""
    status = (await _machine(connection, "EtcdStatus", timeout=timeout, attempts=1)).member_status
    return EtcdStatus(status.member_id, status.leader, status.is_learner, tuple(status.errors))


async def etcd_alarms(connection: Connection) -> dict[int, tuple[str, ...]]:
    """Raised alarms by member ID, e.g. {123: ("NOSPACE",)}."""
    alarms: dict[int, tuple[str, ...]] = {}
    for row in (await _machine(connection, "EtcdAlarmList")).member_alarms:
        if row.alarm:
            alarms[row.member_id] = (*alarms.get(row.member_id, ()), _ALARMS[row.alarm] if row.alarm < len(_ALARMS) else str(row.alarm))
    return alarms


async def etcd_forfeit_leadership(connection: Connection) -> str:
    """Make the answering node give up etcd's leadership; the new leader's name, "" when it was not the leader."""
    return str((await _machine(connection, "EtcdForfeitLeadership")).member)


async def etcd_leave(connection: Connection, timeout: float = LEAVE_SECONDS) -> None:
    """Make the answering node leave etcd; asked once, whether it worked is another member's to say."""
    await _machine(connection, "EtcdLeaveCluster", timeout=timeout, attempts=1)


async def etcd_remove_member(connection: Connection, member_id: int) -> None:
    """Remove a (dead) member by its ID; a member that is already gone is no error."""
    request = message("machine.EtcdRemoveMemberByIDRequest")(member_id=member_id)
    try:
        await _machine(connection, "EtcdRemoveMemberByID", request)
    except TalosError as error:
        if error.code != "NOT_FOUND":
            raise


async def etcd_data(connection: Connection) -> bool:
    """Whether the answering node has etcd's data on its disk: what Talos itself looks at before it bootstraps."""
    try:
        entries = await connection.call("/machine.MachineService/List", message("machine.ListRequest")(root=ETCD_DATA))
    except TalosError as error:
        if "no such file or directory" in str(error):
            return False
        raise
    wrong = [entry.error for entry in entries if entry.error]
    if wrong:
        raise TalosError(f"{ETCD_DATA} cannot be read: {wrong[0]}", "INTERNAL")
    return any(entry.relative_name not in ("", ".") for entry in entries)


async def bootstrap(connection: Connection) -> None:
    """Make the answering node the first member of a new etcd; asked once, whether it worked is read from the node."""
    await _machine(connection, "Bootstrap", timeout=BOOTSTRAP_SECONDS, attempts=1)


async def kubeconfig(connection: Connection) -> str:
    """A kubeconfig with a new administrator's certificate (needs the role os:admin, and a control plane)."""
    parts = await connection.call("/machine.MachineService/Kubeconfig", message("google.protobuf.Empty")())
    try:
        # Talos does not end the archive as tar wants it: nothing is read beyond the one file.
        with tarfile.open(fileobj=io.BytesIO(b"".join(part.bytes for part in parts)), mode="r:gz") as archive:
            file = archive.extractfile(t.cast(tarfile.TarInfo, archive.firstmember))  # type: ignore[attr-defined]
            return t.cast("t.IO[bytes]", file).read().decode()
    except (tarfile.TarError, EOFError, OSError, AttributeError, ValueError):
        raise TalosError("Kubeconfig: the answer is not an archive with a kubeconfig", "INTERNAL") from None
