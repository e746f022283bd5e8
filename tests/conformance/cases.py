# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection's Talos client is asked to do against Talos' own server code, and what must come of it.

The server's answers are fixed (server/main.go); here is what the client is to make of them, written down independently.
"""

from __future__ import annotations

import dataclasses
import typing as t

FIRST, SECOND = 0xDEADBEEFCAFEF00D, 7
CONFIG = "version: v1alpha1 # kept byte for byte\nmachine:\n    type: worker\ncluster: {}\n"


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of a client function. decoded: the request as Talos' code reads it (protojson); result: the client's, as plain
    data; code: the error's code instead."""

    function: str
    arguments: tuple[t.Any, ...]
    method: str
    decoded: dict[str, t.Any]
    result: t.Any = None
    code: str = ""


MACHINE, GET = "/machine.MachineService/", "/cosi.resource.State/Get"
CASES: tuple[Case, ...] = (
    Case("version", (), MACHINE + "Version", {}, "v1.13.9"),
    Case(
        "apply_configuration",
        (CONFIG.encode(),),
        MACHINE + "ApplyConfiguration",
        {"data": "dmVyc2lvbjogdjFhbHBoYTEgIyBrZXB0IGJ5dGUgZm9yIGJ5dGUKbWFjaGluZToKICAgIHR5cGU6IHdvcmtlcgpjbHVzdGVyOiB7fQo=", "mode": "AUTO"},
        {"mode": "AUTO", "warnings": ["first warning", "second warning"]},
    ),
    Case(
        "apply_configuration",
        (CONFIG.encode(), True),
        MACHINE + "ApplyConfiguration",
        {
            "data": "dmVyc2lvbjogdjFhbHBoYTEgIyBrZXB0IGJ5dGUgZm9yIGJ5dGUKbWFjaGluZToKICAgIHR5cGU6IHdvcmtlcgpjbHVzdGVyOiB7fQo=",
            "mode": "AUTO",
            "dryRun": True,
        },
        {"mode": "REBOOT", "warnings": []},
    ),
    Case(
        "apply_configuration",
        (b"machine: {tpye: x}",),
        MACHINE + "ApplyConfiguration",
        {"data": "bWFjaGluZToge3RweWU6IHh9", "mode": "AUTO"},
        code="INVALID_ARGUMENT",
    ),
    Case(
        "machine_status",
        (),
        GET,
        {"namespace": "runtime", "type": "MachineStatuses.runtime.talos.dev", "id": "machine"},
        {"stage": "booting", "ready": False, "unmet": ["services", "nodeReady"]},
    ),
    Case("machine_config", (), GET, {"namespace": "config", "type": "MachineConfigs.config.talos.dev", "id": "v1alpha1"}, CONFIG),
    Case(
        "etcd_members",
        (),
        MACHINE + "EtcdMemberList",
        {},
        [
            {"id": SECOND, "hostname": "", "addresses": ["fd00::2"], "learner": True},
            {"id": FIRST, "hostname": "cp-1", "addresses": ["10.0.0.1"], "learner": False},
        ],
    ),
    Case(
        "etcd_status",
        (5.0,),
        MACHINE + "EtcdStatus",
        {},
        {"member_id": FIRST, "leader": SECOND, "learner": True, "errors": ["etcdserver: no leader"]},
    ),
    Case("etcd_alarms", (), MACHINE + "EtcdAlarmList", {}, {FIRST: ["NOSPACE", "CORRUPT"]}),
    Case("etcd_forfeit_leadership", (), MACHINE + "EtcdForfeitLeadership", {}, "cp-2"),
    Case("etcd_leave", (), MACHINE + "EtcdLeaveCluster", {}),
    Case("etcd_remove_member", (FIRST,), MACHINE + "EtcdRemoveMemberByID", {"memberId": str(FIRST)}),
    Case("etcd_remove_member", (SECOND,), MACHINE + "EtcdRemoveMemberByID", {"memberId": str(SECOND)}, code="UNKNOWN"),
    Case("reboot", (), MACHINE + "Reboot", {}),
    Case("boot_id", (), MACHINE + "Read", {"path": "/proc/sys/kernel/random/boot_id"}, "0e1c1b0a-5c0e-4f5f-8f0b-1d2c3b4a5968"),
    Case("bootstrap", (), MACHINE + "Bootstrap", {}),
    Case("etcd_data", (), MACHINE + "List", {"root": "/var/lib/etcd"}, True),
    Case("kubeconfig", (), MACHINE + "Kubeconfig", {}, "apiVersion: v1\nkind: Config\n"),
    # Gone already is no error.
    Case("etcd_remove_member", (42,), MACHINE + "EtcdRemoveMemberByID", {"memberId": "42"}),
)


def plain(value: t.Any) -> t.Any:
    """A client's result as plain data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value.decode() if isinstance(value, bytes) else value
