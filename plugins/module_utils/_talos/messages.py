# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The messages of the Talos API that the collection uses, as protobuf classes.

Only the fields in use are declared: proto3 keeps or ignores the others. The classes are built at import from the table
below in a descriptor pool of their own, so that no generated code ties the collection to one protobuf release.
Numbers as in Talos' api/**/*.proto, 1.6 to 1.14.
"""

from __future__ import annotations

import typing as t

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
except ImportError:
    # Reported by the transport with the name of the missing package.
    descriptor_pb2 = None  # type: ignore[assignment]

# message -> field -> (number, type). Types: a proto scalar, "repeated X", or the name of another message or enum of this table.
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "google.protobuf.Empty": {},
    "google.protobuf.Timestamp": {"seconds": (1, "int64"), "nanos": (2, "int32")},
    "google.protobuf.Duration": {"seconds": (1, "int64"), "nanos": (2, "int32")},
    "google.rpc.Status": {"code": (1, "int32"), "message": (2, "string")},
    "common.Metadata": {"hostname": (1, "string"), "error": (2, "string"), "status": (3, "google.rpc.Status")},
    "common.NetIP": {"ip": (1, "bytes")},
    "common.Data": {"metadata": (1, "common.Metadata"), "bytes": (2, "bytes")},
    "machine.ApplyConfigurationRequest": {
        "data": (1, "bytes"),
        "mode": (4, "machine.ApplyConfigurationRequest.Mode"),
        "dry_run": (5, "bool"),
        "try_mode_timeout": (6, "google.protobuf.Duration"),
    },
    "machine.ApplyConfiguration": {
        "metadata": (1, "common.Metadata"),
        "warnings": (2, "repeated string"),
        "mode": (3, "machine.ApplyConfigurationRequest.Mode"),
        "mode_details": (4, "string"),
    },
    "machine.ApplyConfigurationResponse": {"messages": (1, "repeated machine.ApplyConfiguration")},
    "machine.VersionInfo": {
        "tag": (1, "string"),
        "sha": (2, "string"),
        "built": (3, "string"),
        "go_version": (4, "string"),
        "os": (5, "string"),
        "arch": (6, "string"),
    },
    "machine.PlatformInfo": {"name": (1, "string"), "mode": (2, "string")},
    "machine.FeaturesInfo": {"rbac": (1, "bool")},
    "machine.Version": {
        "metadata": (1, "common.Metadata"),
        "version": (2, "machine.VersionInfo"),
        "platform": (3, "machine.PlatformInfo"),
        "features": (4, "machine.FeaturesInfo"),
    },
    "machine.VersionResponse": {"messages": (1, "repeated machine.Version")},
    "machine.Hostname": {"metadata": (1, "common.Metadata"), "hostname": (2, "string")},
    "machine.HostnameResponse": {"messages": (1, "repeated machine.Hostname")},
    "machine.ServiceHealth": {"unknown": (1, "bool"), "healthy": (2, "bool"), "last_message": (3, "string")},
    "machine.ServiceInfo": {"id": (1, "string"), "state": (2, "string"), "health": (4, "machine.ServiceHealth")},
    "machine.ServiceList": {"metadata": (1, "common.Metadata"), "services": (2, "repeated machine.ServiceInfo")},
    "machine.ServiceListResponse": {"messages": (1, "repeated machine.ServiceList")},
    "machine.BootstrapRequest": {"recover_etcd": (1, "bool"), "recover_skip_hash_check": (2, "bool")},
    "machine.Bootstrap": {"metadata": (1, "common.Metadata")},
    "machine.BootstrapResponse": {"messages": (1, "repeated machine.Bootstrap")},
    "machine.RebootRequest": {"mode": (1, "machine.RebootRequest.Mode")},
    "machine.Reboot": {"metadata": (1, "common.Metadata"), "actor_id": (2, "string")},
    "machine.RebootResponse": {"messages": (1, "repeated machine.Reboot")},
    "machine.ReadRequest": {"path": (1, "string")},
    "machine.ListRequest": {"root": (1, "string"), "recurse": (2, "bool"), "recursion_depth": (3, "int32")},
    "machine.FileInfo": {
        "metadata": (1, "common.Metadata"),
        "name": (2, "string"),
        "is_dir": (6, "bool"),
        "error": (7, "string"),
        "relative_name": (9, "string"),
    },
    "machine.EtcdMemberListRequest": {"query_local": (1, "bool")},
    "machine.EtcdMember": {
        "id": (2, "uint64"),
        "hostname": (3, "string"),
        "peer_urls": (4, "repeated string"),
        "client_urls": (5, "repeated string"),
        "is_learner": (6, "bool"),
    },
    "machine.EtcdMembers": {
        "metadata": (1, "common.Metadata"),
        "legacy_members": (2, "repeated string"),
        "members": (3, "repeated machine.EtcdMember"),
    },
    "machine.EtcdMemberListResponse": {"messages": (1, "repeated machine.EtcdMembers")},
    "machine.EtcdLeaveClusterRequest": {},
    "machine.EtcdLeaveCluster": {"metadata": (1, "common.Metadata")},
    "machine.EtcdLeaveClusterResponse": {"messages": (1, "repeated machine.EtcdLeaveCluster")},
    "machine.EtcdForfeitLeadershipRequest": {},
    "machine.EtcdForfeitLeadership": {"metadata": (1, "common.Metadata"), "member": (2, "string")},
    "machine.EtcdForfeitLeadershipResponse": {"messages": (1, "repeated machine.EtcdForfeitLeadership")},
    "machine.EtcdRemoveMemberByIDRequest": {"member_id": (1, "uint64")},
    "machine.EtcdRemoveMemberByID": {"metadata": (1, "common.Metadata")},
    "machine.EtcdRemoveMemberByIDResponse": {"messages": (1, "repeated machine.EtcdRemoveMemberByID")},
    "machine.EtcdMemberStatus": {
        "protocol_version": (1, "string"),
        "db_size": (2, "int64"),
        "db_size_in_use": (3, "int64"),
        "leader": (4, "uint64"),
        "raft_index": (5, "uint64"),
        "raft_term": (6, "uint64"),
        "raft_applied_index": (7, "uint64"),
        "errors": (8, "repeated string"),
        "is_learner": (9, "bool"),
        "member_id": (10, "uint64"),
        "storage_version": (11, "string"),
    },
    "machine.EtcdStatus": {"metadata": (1, "common.Metadata"), "member_status": (2, "machine.EtcdMemberStatus")},
    "machine.EtcdStatusResponse": {"messages": (1, "repeated machine.EtcdStatus")},
    "machine.EtcdMemberAlarm": {"member_id": (1, "uint64"), "alarm": (2, "machine.EtcdMemberAlarm.AlarmType")},
    "machine.EtcdAlarm": {"metadata": (1, "common.Metadata"), "member_alarms": (2, "repeated machine.EtcdMemberAlarm")},
    "machine.EtcdAlarmListResponse": {"messages": (1, "repeated machine.EtcdAlarm")},
    "cosi.resource.Metadata": {
        "namespace": (1, "string"),
        "type": (2, "string"),
        "id": (3, "string"),
        "version": (4, "string"),
        "owner": (5, "string"),
        "phase": (6, "string"),
    },
    "cosi.resource.Spec": {"proto_spec": (1, "bytes"), "yaml_spec": (2, "string")},
    "cosi.resource.Resource": {"metadata": (1, "cosi.resource.Metadata"), "spec": (2, "cosi.resource.Spec")},
    "cosi.resource.GetOptions": {},
    "cosi.resource.GetRequest": {"namespace": (1, "string"), "type": (2, "string"), "id": (3, "string"), "options": (4, "cosi.resource.GetOptions")},
    "cosi.resource.GetResponse": {"resource": (1, "cosi.resource.Resource")},
    "talos.resource.definitions.config.MachineConfigSpec": {"yaml_marshalled": (1, "bytes")},
    "talos.resource.definitions.config.MachineTypeSpec": {"machine_type": (1, "int32")},
    "talos.resource.definitions.runtime.UnmetCondition": {"name": (1, "string"), "reason": (2, "string")},
    "talos.resource.definitions.runtime.MachineStatusStatus": {
        "ready": (1, "bool"),
        "unmet_conditions": (2, "repeated talos.resource.definitions.runtime.UnmetCondition"),
    },
    "talos.resource.definitions.runtime.MachineStatusSpec": {
        "stage": (1, "talos.resource.definitions.enums.RuntimeMachineStage"),
        "status": (2, "talos.resource.definitions.runtime.MachineStatusStatus"),
    },
}

ENUMS: dict[str, tuple[str, ...]] = {
    "machine.ApplyConfigurationRequest.Mode": ("REBOOT", "AUTO", "NO_REBOOT", "STAGED", "TRY"),
    "machine.RebootRequest.Mode": ("DEFAULT", "POWERCYCLE", "FORCE"),
    "machine.EtcdMemberAlarm.AlarmType": ("NONE", "NOSPACE", "CORRUPT"),
    "talos.resource.definitions.enums.RuntimeMachineStage": (
        "UNKNOWN",
        "BOOTING",
        "INSTALLING",
        "MAINTENANCE",
        "RUNNING",
        "REBOOTING",
        "SHUTTING_DOWN",
        "RESETTING",
        "UPGRADING",
    ),
}

# service/method -> (request, reply).
METHODS: dict[str, tuple[str, str]] = {
    "/machine.MachineService/ApplyConfiguration": ("machine.ApplyConfigurationRequest", "machine.ApplyConfigurationResponse"),
    "/machine.MachineService/Version": ("google.protobuf.Empty", "machine.VersionResponse"),
    "/machine.MachineService/Hostname": ("google.protobuf.Empty", "machine.HostnameResponse"),
    "/machine.MachineService/ServiceList": ("google.protobuf.Empty", "machine.ServiceListResponse"),
    "/machine.MachineService/Bootstrap": ("machine.BootstrapRequest", "machine.BootstrapResponse"),
    "/machine.MachineService/Reboot": ("machine.RebootRequest", "machine.RebootResponse"),
    "/machine.MachineService/EtcdMemberList": ("machine.EtcdMemberListRequest", "machine.EtcdMemberListResponse"),
    "/machine.MachineService/EtcdLeaveCluster": ("machine.EtcdLeaveClusterRequest", "machine.EtcdLeaveClusterResponse"),
    "/machine.MachineService/EtcdForfeitLeadership": ("machine.EtcdForfeitLeadershipRequest", "machine.EtcdForfeitLeadershipResponse"),
    "/machine.MachineService/EtcdRemoveMemberByID": ("machine.EtcdRemoveMemberByIDRequest", "machine.EtcdRemoveMemberByIDResponse"),
    "/machine.MachineService/EtcdStatus": ("google.protobuf.Empty", "machine.EtcdStatusResponse"),
    "/machine.MachineService/EtcdAlarmList": ("google.protobuf.Empty", "machine.EtcdAlarmListResponse"),
    "/machine.MachineService/Kubeconfig": ("google.protobuf.Empty", "common.Data"),
    "/machine.MachineService/List": ("machine.ListRequest", "machine.FileInfo"),
    "/machine.MachineService/Read": ("machine.ReadRequest", "common.Data"),
    "/cosi.resource.State/Get": ("cosi.resource.GetRequest", "cosi.resource.GetResponse"),
}
# Those of them that answer with any number of replies.
STREAMED = frozenset(f"/machine.MachineService/{name}" for name in ("Kubeconfig", "List", "Read"))


def _field(proto: t.Any, name: str, number: int, kind: str) -> None:
    """Add one field to a message's descriptor."""
    field = proto.field.add(name=name, number=number, label=1)
    if kind.startswith("repeated "):
        field.label, kind = 3, kind[len("repeated ") :]
    if kind in MESSAGES:
        field.type, field.type_name = 11, f".{kind}"
    elif kind in ENUMS:
        field.type, field.type_name = 14, ".enums." + kind.replace(".", "_")
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")


def _build() -> dict[str, type]:
    """Make one message class per row of the table."""
    pool = descriptor_pool.DescriptorPool()
    # Enums get names of their own: on the wire they are numbers, and nested scopes would complicate the table.
    enums = descriptor_pb2.FileDescriptorProto(name="enums.proto", package="enums", syntax="proto3")
    for name, members in ENUMS.items():
        enum = enums.enum_type.add(name=name.replace(".", "_"))
        for number, member in enumerate(members):
            enum.value.add(name=f"{enum.name}_{member}", number=number)
    pool.Add(enums)
    packages = sorted({name.rpartition(".")[0] for name in MESSAGES})
    files = {package: descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3") for package in packages}
    for name, fields in MESSAGES.items():
        package, dot, short = name.rpartition(".")
        proto = files[package].message_type.add(name=short)
        for field, (number, kind) in fields.items():
            _field(proto, field, number, kind)
            other = kind.rpartition(" ")[2]
            wanted = "enums.proto" if other in ENUMS else f"{other.rpartition('.')[0]}.proto"
            if (other in ENUMS or other in MESSAGES) and wanted != files[package].name and wanted not in files[package].dependency:
                files[package].dependency.append(wanted)
    for package in ("google.protobuf", "google.rpc", "common", *(p for p in packages)):
        if files.get(package):
            pool.Add(files.pop(package))
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in MESSAGES}


_CLASSES: dict[str, type] = _build() if descriptor_pb2 else {}


def message(name: str) -> t.Any:
    """The protobuf class of a message of the table, by its full name."""
    return _CLASSES[name]
