# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a simulated machine remembers: plain data, so that a world can be dumped, kept and put back."""

from __future__ import annotations

import dataclasses
import typing as t

from ..pki import Pair
from .config import MachineConfig, load
from .decode import Version, release

# The stages of Talos' MachineStatus.
STAGES = {"unknown": 0, "booting": 1, "installing": 2, "maintenance": 3, "running": 4, "rebooting": 5}


@dataclasses.dataclass
class State:
    """One machine.

    phase: off, booting (no port), broken (boots and fails for ever), maintenance, installing, rebooting (no port),
    starting (secure API, stage booting), running.
    persisted and active are configurations as they were sent; member is the etcd member whose data is on the disk.
    kubelet: the Node's name once registered; silent: (cluster, name) of the one that ran when the power went.
    etcd: "" (none), waiting (to be bootstrapped or to join), running, finished (left), removed (by another member).
    boot: the kernel's boot id, another one each time that it starts.
    cri: the container runtime is up; bootstrapping: told to make a new etcd cluster, which a reboot forgets until there is data on the disk.
    """

    instance_id: str
    address: str
    az: str
    talos: str
    user_data: bytes = b""
    phase: str = "off"
    boot: str = ""
    persisted: bytes | None = None
    active: bytes | None = None
    pair: Pair | None = None
    console: list[str] = dataclasses.field(default_factory=list)
    member: int = 0
    etcd: str = ""
    cri: bool = False
    bootstrapping: bool = False
    kubelet: str = ""
    silent: tuple[str, str] | None = None
    ready: bool = False
    ingress: bool = True
    impostor: bool = False
    stolen: list[bytes] = dataclasses.field(default_factory=list)

    @property
    def version(self) -> Version:
        return release(self.talos)

    @property
    def config(self) -> MachineConfig | None:
        """The active configuration, None in maintenance."""
        return load(self.active, self.version) if self.active is not None else None

    @property
    def fqdn(self) -> str:
        """The configured name, else the one that EC2's metadata service gives."""
        config = self.config
        return (config.fqdn if config else "") or "ip-" + self.address.replace(".", "-")

    @property
    def hostname(self) -> str:
        return self.fqdn.partition(".")[0]

    @property
    def up(self) -> bool:
        """Whether the machine runs with a configuration."""
        return self.phase in ("starting", "running")

    @property
    def control_plane(self) -> bool:
        config = self.config
        return config is not None and config.type == "controlplane"

    @property
    def stage(self) -> str:
        """The stage that Talos reports."""
        return "booting" if self.phase == "starting" else self.phase

    def public(self) -> dict[str, t.Any]:
        """Everything but secrets."""
        config = self.config
        return {
            "name": self.hostname,
            "instance_id": self.instance_id,
            "stage": self.stage,
            "address": self.address,
            "az": self.az,
            "talos": self.talos,
            "phase": self.phase,
            "boot": self.boot,
            "type": config.type if config else "",
            "cluster": config.cluster if config else "",
            "config_sha256": config.digest if config else "",
            "etcd": self.etcd,
            "member": f"{self.member:016x}" if self.member else "",
            "kubelet": self.kubelet,
            "ready": self.ready,
        }
