# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node answers, method by method.

As in Talos' internal/app/machined/internal/server/v1alpha1/v1alpha1_server.go and internal/app/resources/resources.go. Errors that
Talos does not give a code have the code Unknown, as gRPC has it. What is not here (Reset, COSI's List and Watch) is answered
with Unimplemented.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import tarfile
import time
import typing as t
import uuid

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.messages import message
from google.protobuf import any_pb2
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from .. import configs
from .apply import apply_configuration
from .config import MachineConfig
from .etcd import NOT_FOUND, UNHEALTHY, Cluster, EtcdError
from .state import STAGES

if t.TYPE_CHECKING:
    from .node import Node

Granted = frozenset[str]
Answer = t.Callable[["Node", t.Any, Granted], t.Awaitable[t.Any]]
# COSI: the machine types of config.MachineType.
MACHINE_TYPES = {"controlplane": 2, "worker": 3}
RETRY_SECONDS = 0.05
ETCD_VERSION = "3.6.4"
ETCD_DATA = "/var/lib/etcd"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
# Go's fs.ModeDir with rwx for root alone.
DIRECTORY_MODE = 1 << 31 | 0o700


def _one(name: str, **fields: t.Any) -> t.Any:
    """A reply with one message, as every unary call of the machine service has."""
    reply = message(name)()
    reply.messages.add(**fields)
    return reply


async def version(node: Node, request: t.Any, granted: Granted) -> t.Any:
    info = {"tag": node.state.talos, "sha": "0" * 8, "os": "linux", "arch": "amd64", "go_version": "go1.26.6"}
    reply = _one("machine.VersionResponse", version=info, platform={"name": "aws", "mode": "cloud"})
    if node.state.up:
        reply.messages[0].features.rbac = True
    return reply


async def hostname(node: Node, request: t.Any, granted: Granted) -> t.Any:
    return _one("machine.HostnameResponse", hostname=node.state.hostname)


def _services(node: Node) -> list[tuple[str, str, bool]]:
    """(id, state, healthy) of the services that a node of its kind runs."""
    state = node.state
    services = [(name, "Running", True) for name in ("apid", "auditd", "containerd", "machined", "syslogd", "udevd")]
    if not state.up:
        return services
    services.append(("cri", "Running" if state.cri else "Starting", state.cri))
    if state.control_plane:
        services.append(("trustd", "Running", True))
        cluster = node.world.etcd.of(state.member)
        word = {"running": "Running", "waiting": "Preparing", "finished": "Finished", "removed": "Failed"}[state.etcd]
        services.append(("etcd", word, word == "Running" and cluster is not None and node.world.etcd.quorum(cluster)))
    services.append(("kubelet", "Running" if state.kubelet else "Waiting", bool(state.kubelet)))
    return sorted(services)


async def service_list(node: Node, request: t.Any, granted: Granted) -> t.Any:
    reply = _one("machine.ServiceListResponse")
    for name, word, healthy in _services(node):
        reply.messages[0].services.add(id=name, state=word, health={"healthy": healthy, "unknown": word in ("Preparing", "Waiting")})
    return reply


async def reboot(node: Node, request: t.Any, granted: Granted) -> t.Any:
    """Begin to reboot. The answer comes at once; what becomes of it is not told."""
    if request.mode not in (0, 1) and node.state.version < (1, 12):
        raise GRPCError(Status.UNIMPLEMENTED, f"reboot mode {request.mode} is not simulated")
    if node.state.phase != "rebooting":
        node.restart()
    return _one("machine.RebootResponse", actor_id=str(uuid.uuid4()))


# -- etcd -----------------------------------------------------------------------------------------------------------


def _control_plane(node: Node, what: str) -> None:
    """Refuse etcd calls where there is no etcd."""
    if not node.state.up:
        raise GRPCError(Status.UNIMPLEMENTED, f"machine type is not set, cannot use {what} API")
    if not node.state.control_plane:
        raise GRPCError(Status.UNIMPLEMENTED, f"{what} is only available on control plane nodes")


def _cluster(node: Node, prefix: str = "") -> Cluster:
    """The etcd cluster that the node's control planes form, as seen from this node."""
    own = node.world.etcd.of(node.state.member) if node.state.etcd == "running" else None
    config = node.state.config
    found = [own] if own else node.world.etcd.joinable(config.etcd_key if config else "")
    if not found:
        raise GRPCError(Status.UNKNOWN, f"{prefix}no controlplane endpoints discovered yet")
    return found[0]


def _local(node: Node, prefix: str) -> Cluster:
    """The etcd cluster through the node's own etcd process."""
    if node.state.etcd != "running":
        refused = "dial tcp [::1]:2379: connect: connection refused"
        raise GRPCError(Status.UNKNOWN, f'{prefix}rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: {refused}"')
    return _cluster(node)


def _etcd(prefix: str, work: t.Callable[[], t.Any]) -> t.Any:
    """Run an etcd call; Talos passes etcd's errors on as text."""
    try:
        return work()
    except EtcdError as error:
        raise GRPCError(Status.UNKNOWN, f"{prefix}{error}") from None


async def member_list(node: Node, request: t.Any, granted: Granted) -> t.Any:
    _control_plane(node, "member list")
    cluster = _local(node, "") if request.query_local else _cluster(node)
    _etcd("", lambda: node.world.etcd.require_leader(cluster))
    reply = _one("machine.EtcdMemberListResponse", legacy_members=[member.name for member in cluster.members])
    for member in cluster.members:
        urls = {"peer_urls": [f"https://{member.address}:2380"], "client_urls": [f"https://{member.address}:2379"] if member.name else []}
        reply.messages[0].members.add(id=member.id, hostname=member.name, is_learner=member.learner, **urls)
    return reply


async def status(node: Node, request: t.Any, granted: Granted) -> t.Any:
    _control_plane(node, "etcd status")
    cluster = _local(node, "failed to query etcd status: ")
    leader = node.world.etcd.leader(cluster)
    member = t.cast(t.Any, cluster.member(node.state.member))
    raft = {"raft_index": cluster.index, "raft_applied_index": cluster.index, "raft_term": cluster.term}
    sizes = {"db_size": 20480000, "db_size_in_use": 10240000, "storage_version": "3.6.0", "protocol_version": ETCD_VERSION}
    fields = {"member_id": member.id, "leader": leader, "is_learner": member.learner, "errors": [] if leader else ["etcdserver: no leader"]}
    return _one("machine.EtcdStatusResponse", member_status={**raft, **sizes, **fields})


async def alarm_list(node: Node, request: t.Any, granted: Granted) -> t.Any:
    _control_plane(node, "etcd alarm list")
    cluster = _local(node, "failed to list etcd alarms: ")
    _etcd("failed to list etcd alarms: ", lambda: node.world.etcd.require_leader(cluster))
    alarms = [{"member_id": member, "alarm": alarm} for member, alarm in cluster.alarms]
    return _one("machine.EtcdAlarmListResponse", member_alarms=alarms)


async def remove_member(node: Node, request: t.Any, granted: Granted) -> t.Any:
    _control_plane(node, "etcd remove member")
    cluster = _cluster(node, "failed to create etcd client: ")
    failed = f"failed to remove member {request.member_id}: "
    try:
        node.world.etcd.remove(cluster, request.member_id)
    except EtcdError as error:
        if str(error) == NOT_FOUND:
            raise GRPCError(Status.NOT_FOUND, f"{failed}{error}") from None
        raise GRPCError(Status.UNKNOWN, f"failed to remove member: {failed}{error}") from None
    node.world.removed(request.member_id)
    return _one("machine.EtcdRemoveMemberByIDResponse")


async def leave(node: Node, request: t.Any, granted: Granted) -> t.Any:
    """Remove the own member, stop etcd, wipe its data. An unhealthy cluster is tried again (Talos: for 5 minutes)."""
    _control_plane(node, "etcd leave")
    state = node.state
    cluster = _cluster(node, "failed to create etcd client: ")
    failed = f"failed to leave cluster: failed to remove member {state.member}: "
    deadline = node.world.loop.time() + node.world.ledger.delay("talos.leave", 2.0)
    while cluster.member(state.member):
        try:
            node.world.etcd.remove(cluster, state.member)
        except EtcdError as error:
            if str(error) != UNHEALTHY or node.world.loop.time() >= deadline:
                raise GRPCError(Status.UNKNOWN, f"{failed}{error}") from None
            await asyncio.sleep(RETRY_SECONDS)
    state.etcd, state.member = "finished", 0
    node.say("service[etcd](Finished): service finished successfully")
    node.world.changed()
    return _one("machine.EtcdLeaveClusterResponse")


async def forfeit(node: Node, request: t.Any, granted: Granted) -> t.Any:
    _control_plane(node, "etcd forfeit leadership")
    cluster = _cluster(node, "failed to create etcd client: ")
    heir = _etcd("failed to forfeit leadership: ", lambda: node.world.etcd.forfeit(cluster, node.state.member))
    return _one("machine.EtcdForfeitLeadershipResponse", member=heir)


async def bootstrap(node: Node, request: t.Any, granted: Granted) -> t.Any:
    """Have a new etcd cluster made of this node: also beside one that exists, if the node has not joined it yet.

    Only what is on the disk forbids a second time: while etcd starts, the call is taken again.
    """
    state = node.state
    if not state.cri:
        raise GRPCError(Status.FAILED_PRECONDITION, "bootstrap is not available yet")
    if not state.control_plane:
        raise GRPCError(Status.FAILED_PRECONDITION, "bootstrap can only be performed on a control plane node")
    if state.member:
        raise GRPCError(Status.ALREADY_EXISTS, "etcd data directory is not empty")
    if request.recover_etcd:
        raise GRPCError(Status.UNIMPLEMENTED, "recovering etcd is not simulated")
    state.bootstrapping = True
    return _one("machine.BootstrapResponse")


# -- streams: messages that the collection need not know come and go encoded ----------------------------------------


def _varint(number: int) -> bytes:
    data = b""
    while number > 127:
        data, number = data + bytes((number & 127 | 128,)), number >> 7
    return data + bytes((number,))


def _encoded(fields: dict[int, bytes | int]) -> bytes:
    """A protobuf message of bytes (or text) and numbers."""
    data = b""
    for number, value in fields.items():
        head, body = (2, _varint(len(value)) + value) if isinstance(value, bytes) else (0, _varint(value))
        data += _varint(number << 3 | head) + body
    return data


async def kubeconfig(node: Node, request: bytes, granted: Granted) -> list[bytes]:
    """An administrator's kubeconfig, made anew for each call, as common.Data; it needs neither etcd nor an API server.

    The archive is a gzipped tar that ends with the file's last byte: Talos does not close its tar writer (v1alpha1_server.go Kubeconfig).
    """
    _control_plane(node, "kubeconfig")
    config = t.cast(MachineConfig, node.state.config)
    text = configs.admin_kubeconfig(config.cluster, str(config.get("cluster.controlPlane.endpoint")), config.kubernetes_ca).encode()
    entry = tarfile.TarInfo("kubeconfig")
    entry.size, entry.mode, entry.mtime = len(text), 0o600, int(time.time())
    return [_encoded({2: gzip.compress(entry.tobuf(tarfile.USTAR_FORMAT) + text)})]


async def list_files(node: Node, request: bytes, granted: Granted) -> list[bytes]:
    """What is in etcd's data directory, as machine.FileInfo; it exists once the container runtime does, and only on control planes."""
    # machine.ListRequest has its root where Any has its type.
    root = any_pb2.Any.FromString(request).type_url.rstrip("/")
    if root != ETCD_DATA:
        raise GRPCError(Status.UNIMPLEMENTED, f"of a node's files only {ETCD_DATA} is simulated")
    state = node.state
    if not (state.control_plane and state.cri):
        raise GRPCError(Status.UNKNOWN, f"lstat {root}: no such file or directory")
    found = [(root, "."), *([(f"{root}/member", "member")] if state.member else [])]
    return [_encoded({2: path.encode(), 3: 4096, 4: DIRECTORY_MODE, 6: 1, 9: name.encode()}) for path, name in found]


async def read_file(node: Node, request: bytes, granted: Granted) -> list[bytes]:
    """A file's content as common.Data; of a node's files there is the kernel's boot id."""
    path = message("machine.ReadRequest").FromString(request).path
    if path != BOOT_ID:
        raise GRPCError(Status.UNIMPLEMENTED, f"of a node's files only {BOOT_ID} is simulated")
    return [_encoded({2: f"{node.state.boot}\n".encode()})]


# -- COSI -----------------------------------------------------------------------------------------------------------


def _resource(request: t.Any, proto: t.Any, text: str, number: int = 1) -> t.Any:
    """A GetResponse around one resource."""
    reply = message("cosi.resource.GetResponse")()
    names = {"namespace": request.namespace, "type": request.type, "id": request.id, "version": str(number), "phase": "running"}
    reply.resource.metadata.MergeFrom(message("cosi.resource.Metadata")(**names))
    reply.resource.spec.proto_spec, reply.resource.spec.yaml_spec = proto.SerializeToString(), text
    return reply


def _machine_status(node: Node, request: t.Any, granted: Granted) -> t.Any:
    """Stage and readiness; readiness means something in booting and running only."""
    state = node.state
    spec = message("talos.resource.definitions.runtime.MachineStatusSpec")(stage=STAGES[state.stage])
    sick = [name for name, _word, healthy in _services(node) if not healthy] if state.up else []
    if sick:
        spec.status.unmet_conditions.add(name="services", reason=", ".join(f'service "{name}" not healthy' for name in sick))
    if state.up and not state.ready:
        spec.status.unmet_conditions.add(name="nodeReady", reason=f'node "{state.kubelet or state.hostname}" status is not available yet')
    spec.status.ready = not spec.status.unmet_conditions
    return _resource(request, spec, f"stage: {state.stage}\nstatus:\n    ready: {str(spec.status.ready).lower()}\n")


def _machine_config(node: Node, request: t.Any, granted: Granted) -> t.Any:
    if "os:admin" not in granted:
        raise GRPCError(Status.PERMISSION_DENIED, "not authorized")
    state = node.state
    texts = {"v1alpha1": state.active} | ({"persistent": state.persisted} if state.version >= (1, 10) else {})
    data = texts.get(request.id)
    if data is None:
        raise _missing(request)
    spec = message("talos.resource.definitions.config.MachineConfigSpec")(yaml_marshalled=data)
    return _resource(request, spec, json.dumps(data.decode()) if state.version >= (1, 12) else data.decode())


def _machine_type(node: Node, request: t.Any, granted: Granted) -> t.Any:
    if node.state.config is None:
        raise _missing(request)
    spec = message("talos.resource.definitions.config.MachineTypeSpec")(machine_type=MACHINE_TYPES[node.state.config.type])
    return _resource(request, spec, node.state.config.type)


def _missing(request: t.Any) -> GRPCError:
    return GRPCError(Status.NOT_FOUND, f"resource {request.type}({request.namespace}/{request.id}@undefined) doesn't exist")


# type -> (namespace, ids, reader)
RESOURCES: dict[str, tuple[str, tuple[str, ...], t.Callable[[Node, t.Any, Granted], t.Any]]] = {
    "MachineStatuses.runtime.talos.dev": ("runtime", ("machine",), _machine_status),
    "MachineConfigs.config.talos.dev": ("config", ("v1alpha1", "persistent"), _machine_config),
    "MachineTypes.config.talos.dev": ("config", ("machine-type",), _machine_type),
}
NAMESPACES = frozenset(
    ("runtime", "config", "cluster", "network", "k8s", "etcd", "secrets", "v1alpha1", "meta", "files", "hardware", "cri", "security", "block")
)


async def get(node: Node, request: t.Any, granted: Granted) -> t.Any:
    """Read one resource; access is decided before existence."""
    if request.type not in RESOURCES:
        raise GRPCError(Status.PERMISSION_DENIED, f'resource type "{request.type}" is not supported')
    namespace, ids, read = RESOURCES[request.type]
    if "os:admin" not in granted and request.type == "MachineConfigs.config.talos.dev":
        raise GRPCError(Status.PERMISSION_DENIED, "not authorized")
    if request.namespace not in NAMESPACES:
        raise GRPCError(Status.PERMISSION_DENIED, f'namespace "{request.namespace}" is not supported')
    if request.namespace != namespace or request.id not in ids:
        raise _missing(request)
    return read(node, request, granted)


ANSWERS: dict[str, Answer] = {
    "/machine.MachineService/ApplyConfiguration": apply_configuration,
    "/machine.MachineService/Version": version,
    "/machine.MachineService/Hostname": hostname,
    "/machine.MachineService/ServiceList": service_list,
    "/machine.MachineService/Reboot": reboot,
    "/machine.MachineService/Bootstrap": bootstrap,
    "/machine.MachineService/EtcdMemberList": member_list,
    "/machine.MachineService/EtcdStatus": status,
    "/machine.MachineService/EtcdAlarmList": alarm_list,
    "/machine.MachineService/EtcdLeaveCluster": leave,
    "/machine.MachineService/EtcdForfeitLeadership": forfeit,
    "/machine.MachineService/EtcdRemoveMemberByID": remove_member,
    "/cosi.resource.State/Get": get,
}
# Methods that answer with any number of messages. Request and messages are encoded.
STREAMS: dict[str, Answer] = {
    "/machine.MachineService/Kubeconfig": kubeconfig,
    "/machine.MachineService/List": list_files,
    "/machine.MachineService/Read": read_file,
}
