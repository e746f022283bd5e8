# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AwsPart: one AWS account and region of the sandbox, served on one HTTP endpoint."""

from __future__ import annotations

import asyncio
import collections
import copy
import datetime
import logging
import threading
import typing as t

from moto.core.model_instances import reset_model_data
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.resourcegroupstaggingapi.models import resourcegroupstaggingapi_backends

from ..http import HttpServer, listen
from ..nlb import DataPlane, Results, View
from . import dump
from .ec2 import StrictEC2Backend
from .elbv2 import StrictELBv2Backend
from .instances import Lifecycle
from .traffic import Traffic
from .world import Clock, Conditions, register
from .wsgi import AwsApp

if t.TYPE_CHECKING:
    from ..calls import Ledger
    from ..machines import VM

LOG = logging.getLogger(__name__)
TICK = 0.05


class Machines(t.Protocol):
    """The simulated machines behind the VMs."""

    def power_on(self, vm: VM) -> None:
        """The VM runs: boot its machine."""

    def power_off(self, instance_id: str) -> None:
        """The VM shuts down."""

    def destroy(self, instance_id: str) -> None:
        """The VM is gone, its disk with it."""

    def console(self, instance_id: str) -> str:
        """Everything the machine has printed on its serial console; "" if there is no such machine."""


class Snapshot(t.NamedTuple):
    """A copy of everything the part keeps."""

    now: float
    backends: dict[str, dict[str, t.Any]]
    conditions: Conditions
    effects: list[tuple[str, t.Any]]


def _copy(snapshot: Snapshot) -> Snapshot:
    """A deep copy, but for the private keys of KMS: they never change, and older releases of cryptography cannot copy them."""
    keys = [key.private_key for backend in snapshot.backends["kms"].values() for key in backend.keys.values()]
    return copy.deepcopy(snapshot, {id(key): key for key in keys})


class AwsPart:
    """Start it, point AWS_ENDPOINT_URL at `endpoint`, stop it.

    network: the sandbox's first two octets, e.g. "127.77". The endpoint is <network>.0.1:<port>.
    All state is guarded by `lock`; machines are told what happens to them by one thread, in order, without the lock.
    """

    def __init__(
        self, ledger: Ledger, machines: Machines, network: str, loop: asyncio.AbstractEventLoop, *, region: str = "eu-central-1", port: int = 5000
    ) -> None:
        self.ledger = ledger
        self.machines = machines
        self.network = network
        self.loop = loop
        self.region = region
        # One account per sandbox: moto keeps its stores per account, and sandboxes in one process must not meet.
        self.account = f"123456789{int(network.rpartition('.')[2]):03d}"
        self.endpoint = f"http://{network}.0.1:{port}"
        self.lock = threading.RLock()
        self.clock = Clock()
        self.conditions = Conditions()
        self.lifecycle = Lifecycle(self)
        self.traffic = Traffic(self)
        self._plane = DataPlane(loop, self._checked)
        self._view = View()
        self._effects: collections.deque[tuple[str, t.Any]] = collections.deque()
        self._found: collections.deque[Results] = collections.deque()
        self._awake = threading.Event()
        self._stopping = False
        self._reserved: dict[str, str] = {}
        self._port = port
        self._server: HttpServer | None = None
        self._thread = threading.Thread(target=self._run, name="aws-clock", daemon=True)

    def start(self) -> None:
        """Serve; OSError if the address is taken."""
        host = f"{self.network}.0.1"
        listener = listen(host, self._port)
        register(self.account, self)
        ec2_backends[self.account].backend = StrictEC2Backend
        elbv2_backends[self.account].backend = StrictELBv2Backend
        self._server = HttpServer(AwsApp(self), host, self._port, listener=listener)
        self._server.start()
        self._plane.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and forget the account."""
        if self._server is None:
            return
        self._server.stop()
        self._stopping = True
        self.wake()
        self._thread.join()
        self._plane.stop()
        for stores in self.stores().values():
            stores.clear()

    def ec2_backends(self) -> list[t.Any]:
        """The EC2 stores of all regions used so far."""
        return list(ec2_backends[self.account].values())

    def elbv2_backends(self) -> list[t.Any]:
        """The load balancer stores of all regions used so far."""
        return list(elbv2_backends[self.account].values())

    def age(self, by: datetime.timedelta) -> None:
        """Every instance there is was launched so much earlier."""
        with self.lock:
            for instance in (instance for store in self.ec2_backends() for instance in store.all_instances()):
                instance.launch_time -= by

    def reserve(self, load_balancer_name: str, address: str) -> None:
        """Give the load balancer that will have this name this first address, which nobody else gets; it should be below <network>.1.10."""
        self._reserved[load_balancer_name] = address

    def reserved(self, load_balancer_name: str) -> str | None:
        """The address kept for a load balancer of this name."""
        return self._reserved.get(load_balancer_name)

    def addresses_of(self, load_balancer_name: str) -> list[str]:
        """Where a network load balancer listens, one address per zone; what its DNS name would resolve to.

        KeyError if there is no such load balancer.
        """
        with self.lock:
            found = {one.name: one.addresses for store in self.elbv2_backends() for one in store.load_balancers.values()}
        return list(found[load_balancer_name])

    def address_of(self, load_balancer_name: str) -> str:
        """The first of its addresses. Every address reaches the targets of all zones."""
        return self.addresses_of(load_balancer_name)[0]

    def port_of(self, load_balancer_name: str, port: int) -> int:
        """The port really bound for a listener: another one where only root may bind it. KeyError until it listens."""
        return self._plane.bound[self.address_of(load_balancer_name), port]

    def stores(self) -> dict[str, dict[str, t.Any]]:
        """moto's stores of this account: service -> region -> store."""
        every: dict[str, t.Any] = {
            "ec2": ec2_backends,
            "elbv2": elbv2_backends,
            "iam": iam_backends,
            "kms": kms_backends,
            "tagging": resourcegroupstaggingapi_backends,
        }
        return {name: backends[self.account] for name, backends in every.items()}

    # Time

    def wake(self) -> None:
        """Let the clock's thread look at once."""
        self._awake.set()

    def advance(self) -> None:
        """Bring the world up to the clock; the lock is held."""
        while self._found:
            self.traffic.record(self._found.popleft())
        now = self.clock.now()
        self.lifecycle.advance(now)
        self.traffic.advance(now)

    def effect(self, method: str, argument: t.Any) -> None:
        """Queue a call of the machines; the lock is held."""
        self._effects.append((method, argument))

    def _checked(self, results: Results) -> None:
        """Health checks found something; called on the loop, which must never wait for the lock."""
        self._found.append(results)
        self.wake()

    def _run(self) -> None:
        while not self._stopping:
            self._awake.wait(TICK)
            self._awake.clear()
            try:
                with self.lock:
                    self.advance()
                    view = self.traffic.view(self.clock.now())
                if view != self._view:
                    self._view = view
                    self._plane.show(view)
            except Exception:  # a bug in one instance's life must not stop time for all others
                LOG.exception("the AWS clock stumbled")
            self._tell_machines()

    def _tell_machines(self) -> None:
        """Do what is queued. What is under way stays queued until it is done, so that a snapshot never misses it."""
        while self._effects:
            effect = self._effects[0]
            try:
                getattr(self.machines, effect[0])(effect[1])
            except Exception:  # a machine that fails must not stop the clock of all others
                LOG.exception("machines.%s failed", effect[0])
            with self.lock:
                # A restore may have put another queue in place meanwhile.
                if self._effects and self._effects[0] is effect:
                    self._effects.popleft()

    # The world

    def dump(self) -> dict[str, t.Any]:
        """Everything stored, as JSON (see dump.py)."""
        with self.lock:
            self.advance()
            return dump.dump(self)

    def set_conditions(self, changes: dict[str, t.Any]) -> dict[str, t.Any]:
        """Change what goes wrong in this AWS; returns all conditions. ValueError for an unknown one."""
        with self.lock:
            known = self.conditions.public()
            if unknown := sorted(changes.keys() - known.keys()):
                raise ValueError(f"unknown conditions {', '.join(unknown)}; there are {', '.join(sorted(known))}")
            self.conditions = Conditions(**{**known, **changes})
            return self.conditions.public()

    def snapshot(self) -> Snapshot:
        """A copy of everything, to be given back to restore() any number of times."""
        with self.lock:
            self.advance()
            stores = {name: dict(regions) for name, regions in self.stores().items()}
            return _copy(Snapshot(self.clock.now(), stores, self.conditions, list(self._effects)))

    def restore(self, snapshot: Snapshot) -> None:
        """Make the world what it was: instances, tokens, targets, and transitions under way.

        Machines are restored by their own part; they are told only what they were still to be told.
        """
        with self.lock:
            self._effects.clear()
            self._found.clear()
            now, stores, conditions, effects = _copy(snapshot)
            self._effects.extend(effects)
            for name, regions in self.stores().items():
                regions.clear()
                regions.update(stores[name])
            self.conditions = conditions
            self.clock.set(now)
            # moto remembers every object ever made for its dashboard; each would keep its whole world alive.
            reset_model_data()
        self.wake()
