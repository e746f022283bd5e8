# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Talos modules' work on the sandbox's machines: a running cluster, and fresh machines."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import deliver, deliver_changes, etcd, transport

from tests.sandbox.configs import ClusterSecrets, machine_config, talosconfig
from tests.unit.sandbox.talos_kit import Kit, cluster_secrets


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that look often."""
    monkeypatch.setattr(transport, "FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(deliver, "FIRST_TICK_SECONDS", 0.02)
    monkeypatch.setattr(deliver, "LAST_TICK_SECONDS", 0.1)
    monkeypatch.setattr(deliver, "RESEND_SECONDS", 0.3)
    monkeypatch.setattr(etcd, "POLL_SECONDS", 0.02)


class Lab:
    """A running cluster of three control planes (machines 1 to 3) and fresh machines from 11 on."""

    def __init__(self, kit: Kit, control_planes: int = 3) -> None:
        self.kit = kit
        self.secrets: ClusterSecrets = kit.cluster(control_planes, cluster_secrets(kit.talos))
        self.control_planes = [kit.vm(number).private_ip for number in range(1, control_planes + 1)]
        self.talosconfig = talosconfig(self.secrets, self.control_planes)
        kit.ledger.clear_calls()

    def fresh(self, number: int) -> str:
        return self.kit.boot(number)

    def row(self, number: int, name: str, **kwargs: t.Any) -> dict[str, t.Any]:
        vm = self.kit.vm(number)
        fixed = {"labels": {}, "taints": [], "patch": None, "fingerprint": None, "hostname": f"{name}.example.org"}
        return {"name": name, "address": vm.private_ip, "instance_id": vm.instance_id, **fixed, **kwargs}

    def deliver(self, *rows: dict[str, t.Any], role: str = "worker", check: bool = False, **options: t.Any) -> Outcome:
        params: dict[str, t.Any] = {
            "config": machine_config(self.secrets, role),
            "patch": None,
            "nodes": list(rows),
            "role": role,
            "talos_version": None,
            "mode": "cloud",
            "talosconfig": self.talosconfig,
            "endpoints": [],
            "identity_check": "console",
            "wait_timeout": 60.0,
            "concurrency": 50,
            "until": "joined",
            "configured": "compare",
        }
        if options.get("configured") == "apply":
            return deliver_changes.apply_changes({**params, **options}, check)
        return deliver.apply_configs({**params, **options}, self.kit.machines.console, check)

    def leave(self, *nodes: dict[str, t.Any], check: bool = False, **options: t.Any) -> Outcome:
        params: dict[str, t.Any] = {
            "talosconfig": self.talosconfig,
            "endpoints": [],
            "nodes": list(nodes),
            "unreachable": "fail",
            "allow_single_control_plane": False,
            "allow_last_control_plane": False,
            "wait_timeout": 60.0,
        }
        return etcd.etcd_members({**params, **options}, check)

    def calls(self, operation: str) -> int:
        return sum(call.operation == operation for call in self.kit.ledger.calls)

    @property
    def mutating(self) -> list[str]:
        return [call.operation for call in self.kit.ledger.calls if call.mutating]
