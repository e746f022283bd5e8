# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local cloud as a whole: all parts on a network of their own, seeded, started and stopped together.

A sandbox owns one network 127.x.0.0/16. Its VPC is that network, so that a VM's private address is a loopback address.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys
from pathlib import Path

from . import seed
from .aws import AwsPart
from .calls import Ledger
from .cloudflare import CloudflarePart
from .control import SEED, ControlApp, Worlds
from .http import HttpServer, listen
from .kubernetes import KubernetesStore
from .loop import LoopThread
from .machines import Machines
from .vault import Vault

CONTROL_PORT = 5500
# 127.0 is everybody's; the last numbers are left to tests that need an address of their own.
NETWORKS = range(20, 240)


def claim_network() -> tuple[str, socket.socket]:
    """The first free network ("127.x") and the listening socket of its control API, which is the lock on it."""
    for number in NETWORKS:
        with contextlib.suppress(OSError):
            return f"127.{number}", listen(f"127.{number}.0.1", CONTROL_PORT)
    raise RuntimeError(f"port {CONTROL_PORT} is taken on all of 127.{NETWORKS.start}.0.1 to 127.{NETWORKS.stop - 1}.0.1")


class Sandbox:
    """All parts of one local cloud. start() seeds it; exports are valid from then on."""

    def __init__(self) -> None:
        self.network, self._lock = claim_network()
        self.host = f"{self.network}.0.1"
        self.ledger = Ledger()
        self.loop = LoopThread()
        self.images: dict[str, str] = {}
        self.kubernetes = KubernetesStore(self.ledger)
        self.machines = Machines(self.ledger, self.loop, self.kubernetes, self.images)
        self.kubernetes.runs = self.machines.api_runs
        self.aws = AwsPart(self.ledger, self.machines, self.network, self.loop.loop)
        self.cloudflare = CloudflarePart(self.ledger, self.host, plan="pro")  # a free zone has room for 200 records
        self.vault = Vault(self.host, self.ledger, f"sandbox-{secrets.token_hex(12)}")
        self._worlds = Worlds(
            {"talos": self.machines, "kubernetes": self.kubernetes, "aws": self.aws, "cloudflare": self.cloudflare, "vault": self.vault},
        )
        self._control = HttpServer(ControlApp(self.ledger, self._worlds, self.machines, self.aws), self.host, CONTROL_PORT, listener=self._lock)
        self._running = contextlib.ExitStack()

    def start(self) -> None:
        """Start all parts, seed them, keep that world, then serve the control API. What was started is stopped again on an error."""
        with contextlib.ExitStack() as started:
            started.callback(self._lock.close)
            for part in (self.loop, self.vault, self.machines, self.aws, self.cloudflare):
                part.start()
                started.callback(part.stop)
            self.ledger.delays["*"] = 0.0
            started.callback(self.kubernetes.stop)
            seed.seed(self)
            self._worlds.keep(SEED)
            self.ledger.delays.clear()
            self.ledger.clear_calls()
            self._control.start()
            started.callback(self._control.stop)
            self._running = started.pop_all()

    def stop(self) -> None:
        """Stop all parts, last started first."""
        self._running.close()

    @property
    def exports(self) -> dict[str, str]:
        """Environment with which any client reaches this sandbox. PATH is only what goes in front."""
        return {
            "PATH": str(Path(sys.executable).parent),
            "AWS_ACCESS_KEY_ID": "AKIASANDBOX000000000",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_ENDPOINT_URL": self.aws.endpoint,
            "AWS_REGION": self.aws.region,
            "AWS_DEFAULT_REGION": self.aws.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "VAULT_ADDR": self.vault.address,
            "VAULT_TOKEN": self.vault.token,
            "CLOUDFLARE_BASE_URL": self.cloudflare.base_url,
            "CLOUDFLARE_API_TOKEN": self.cloudflare.token,
            "CLOUDFLARE_ZONE_ID": self.cloudflare.zone_id,
            "NO_PROXY": f"{self.host},{self.network}.0.0/16",
            "SANDBOX_CONTROL_URL": f"http://{self.host}:{CONTROL_PORT}",
        }
