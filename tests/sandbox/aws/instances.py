# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a VM: states that pass with time, what becomes visible when, and what the machine behind it is told.

moto's instances run at once and die at once. Here a request only starts a transition; `Lifecycle.advance` ends it
when its time has come and queues what happens to the simulated machine.
"""

from __future__ import annotations

import copy
import dataclasses
import typing as t

from moto.ec2.models.instances import Instance, InstanceState, StateReason

from ..machines import VM

if t.TYPE_CHECKING:
    from .part import AwsPart

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
USER_SHUTDOWN = "Client.UserInitiatedShutdown"
PUBLIC_STATUS = {"Details": [{"Name": "reachability", "Status": "passed"}], "Status": "ok"}
NEW_STATUS = {"Details": [{"Name": "reachability", "Status": "initializing"}], "Status": "initializing"}
IMPAIRED_STATUS = {"Details": [{"Name": "reachability", "Status": "failed"}], "Status": "impaired"}


@dataclasses.dataclass
class Life:
    """What moto does not keep of an instance. Times are the sandbox clock's.

    due/then: the transition under way, None if the state is stable. doom: state reason code of a VM that will die
    instead of running. posted, post_due: the console text that EC2 has
    buffered, and when it looks again. checked_at: when its status checks have been made.
    """

    visible_at: float
    due: float | None = None
    then: str = ""
    doom: str = ""
    posted: str = ""
    post_due: float | None = None
    terminated_at: float | None = None
    checked_at: float = 0.0


class StrictInstance(Instance):
    """An instance with a life; moto makes an Instance, the launch turns it into this class."""

    life: Life
    impaired = False
    is_checked = True

    @property
    def instance_id(self) -> str:
        """moto finds an InstanceId only in a class called Instance."""
        return str(self.id)

    @property
    def private_ip(self) -> str | None:
        """None once it is terminated, as its interface is gone."""
        return self.nics[0].private_ip_address if self.nics else None

    @property
    def private_ip_address(self) -> str | None:
        return self.private_ip

    @property
    def private_dns_name(self) -> str:
        return super().private_dns_name if self.nics else ""

    @property
    def public_ip(self) -> str | None:
        return self.nics[0].public_ip if self.nics else None

    @property
    def public_ip_address(self) -> str | None:
        return self.public_ip

    @property
    def instance_status(self) -> dict[str, t.Any]:
        return self._status(IMPAIRED_STATUS if self.impaired else PUBLIC_STATUS)

    @property
    def system_status(self) -> dict[str, t.Any]:
        return self._status(PUBLIC_STATUS)

    def _status(self, running: dict[str, t.Any]) -> dict[str, t.Any]:
        if self.state != "running":
            return {"Status": "not-applicable"}
        return running if self.is_checked else NEW_STATUS

    @property
    def tag_dict(self) -> dict[str, str]:
        """Tags as a plain dict."""
        return {tag["key"]: tag["value"] for tag in self.get_tags()}

    def become(self, state: str, code: str = "", message: str = "") -> None:
        """Enter a state, with its reason."""
        self._state = InstanceState(state, CODES[state])
        self.state_reason = StateReason(f"{code}: {message}" if message else code, code)


class Lifecycle:
    """Moves the instances of one sandbox from state to state."""

    def __init__(self, part: AwsPart) -> None:
        self.part = part

    def instances(self) -> list[StrictInstance]:
        """All instances, of all regions, oldest first."""
        return [instance for backend in self.part.ec2_backends() for reservation in backend.reservations.values() for instance in reservation.instances]

    def launched(self, instance: StrictInstance, doom: str = "") -> None:
        """A new instance: pending now, running (or dead) later."""
        now = self.part.clock.now()
        delay = self.part.ledger.delay
        instance.life = Life(visible_at=now + delay("ec2.visible", 0.1), doom=doom)
        instance.become("pending", "pending", "pending")
        self._later(instance, "terminated" if doom else "running", delay("ec2.pending", 0.3))

    def _later(self, instance: StrictInstance, state: str, seconds: float) -> None:
        instance.life.then = state
        instance.life.due = self.part.clock.now() + seconds

    def terminate(self, instance: StrictInstance) -> None:
        """The user ends it: its machine goes down now, the instance is gone a little later."""
        if instance.state in ("shutting-down", "terminated"):
            return
        instance.become("shutting-down", USER_SHUTDOWN, "User initiated shutdown")
        instance.life.doom = USER_SHUTDOWN
        self._later(instance, "terminated", self.part.ledger.delay("ec2.terminating", 0.5))
        self.part.effect("power_off", instance.id)

    def stop(self, instance: StrictInstance) -> None:
        """The user stops it."""
        instance.become("stopping", USER_SHUTDOWN, "User initiated shutdown")
        self._later(instance, "stopped", self.part.ledger.delay("ec2.terminating", 0.5))
        self.part.effect("power_off", instance.id)

    def start(self, instance: StrictInstance) -> None:
        """The user starts a stopped one."""
        instance.become("pending", "pending", "pending")
        self._later(instance, "running", self.part.ledger.delay("ec2.pending", 0.3))

    def reboot(self, instance: StrictInstance) -> None:
        """The machine goes down and up; EC2 shows it as running all the time."""
        self.part.effect("power_off", instance.id)
        self.part.effect("power_on", self._vm(instance))

    def advance(self, now: float) -> None:
        """End every transition whose time has come, in the order of their times."""
        alive = self.instances()
        due = [instance for instance in alive if instance.life.due is not None and instance.life.due <= now]
        for instance in sorted(due, key=lambda one: one.life.due or 0.0):
            instance.life.due = None
            {"running": self._runs, "stopped": self._stopped, "terminated": self._terminated}[instance.life.then](instance)
        listed = self.part.conditions.terminated_listed
        if gone := [one for one in alive if one.life.terminated_at is not None and one.life.terminated_at + listed <= now]:
            self._forget(gone)
        for instance in alive:
            if instance.life.post_due is not None and instance.life.post_due <= now:
                self._post_console(instance, now)

    def _forget(self, gone: list[StrictInstance]) -> None:
        """Take terminated instances off the list; their client tokens stay spent."""
        for backend in self.part.ec2_backends():
            for reservation_id, reservation in list(backend.reservations.items()):
                kept = [one for one in reservation.instances if one not in gone]
                if len(kept) == len(reservation.instances):
                    continue
                # The token points to the reservation as it was.
                backend.reservations[reservation_id] = copy.copy(reservation)
                backend.reservations[reservation_id].instances = kept
                if not kept:
                    del backend.reservations[reservation_id]

    def _runs(self, instance: StrictInstance) -> None:
        instance.become("running")
        self.part.effect("power_on", self._vm(instance))
        instance.life.checked_at = self.part.clock.now() + self.part.ledger.delay("ec2.checked", 1.0)
        instance.life.post_due = self.part.clock.now() + self.part.ledger.delay("ec2.console", 1.5)

    def _stopped(self, instance: StrictInstance) -> None:
        instance.become("stopped", USER_SHUTDOWN, "User initiated shutdown")

    def _terminated(self, instance: StrictInstance) -> None:
        """The instance's interface, addresses and volumes go with it; what has DeleteOnTermination=false stays."""
        doom = instance.life.doom
        instance.terminate()
        for interface in [one for one in instance.nics.values() if not one.delete_on_termination]:
            instance.detach_eni(interface)
        instance.nics = {}
        instance._subnet_id = None
        instance.security_groups = []
        instance.become("terminated", doom, "User initiated shutdown" if doom == USER_SHUTDOWN else "Client error on launch")
        instance.life.post_due = None
        instance.life.terminated_at = self.part.clock.now()
        self.part.effect("destroy", instance.id)

    def _post_console(self, instance: StrictInstance, now: float) -> None:
        """EC2 buffers console output now and then; between two posts GetConsoleOutput shows the old text."""
        instance.life.posted = self.part.machines.console(instance.id)
        # Never at every tick: with all delays at zero it would be read all the time.
        instance.life.post_due = now + max(self.part.ledger.delay("ec2.console", 1.5), 0.05)

    def _vm(self, instance: StrictInstance) -> VM:
        return VM(
            instance_id=instance.id,
            private_ip=instance.private_ip or "",
            az=instance.availability_zone or "",
            image_id=instance.image_id,
            tags=instance.tag_dict,
            user_data=instance.user_data.decode() if instance.user_data else "",
        )
