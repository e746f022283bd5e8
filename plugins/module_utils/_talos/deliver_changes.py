# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Change the machine configs of nodes that run: send what differs, have it rebooted where that takes a reboot, wait until each serves again.

As in deliver.py no answer counts as a result. A node is done when its active config is the one it should have, it has left the boot that it had to
leave, it is ready, and a control plane votes in etcd.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import typing as t

from .. import _permit
from .._errors import ManagerError
from .._outcome import Outcome
from .._plan import Step
from . import client, deliver, identity
from .deliver import CONFIGURED, MAX_SENDS, Delivery, Options, Target, without_secrets
from .machine_config import config_info
from .quorum import quorum
from .render import release
from .render_changes import REBOOTS_UNTIL
from .transport import Connection, TalosError

# Nothing was done, and the next look may find it otherwise: it reboots already, or another apply is on its way.
_LATER = ("CONNECT", "UNTRUSTED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION")


class Changes(Delivery):
    """One run of talos_apply_config that applies what differs. Control planes go one by one, and only while etcd can spare one."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, None)
        # By node: the boot in which it was sent its config, and when it was told to reboot.
        self._sent_in: dict[str, str] = {}
        self._reboots_asked: dict[str, float] = {}

    # ---- check mode ----

    async def _predict(self, target: Target) -> None:
        """Look, compare, and ask the node itself what it would make of the change: over mTLS, so nobody else gets to see it."""
        if not target.address:
            return
        async with self._slots, self._stranger(target) as connection:
            sighting = await identity.look(connection, self.options.ca)
        target.seen = sighting.detail
        self._refuse_foreign(sighting)
        if sighting.mode == identity.SECURE:
            await self._predict_configured(target)
        if target.drift is None and not target.row.get("boot_id"):
            # One that a killed run had reboot may be just doing so.
            raise ManagerError(f"{target.address}: its machine config cannot be read: {target.seen}")

    async def _predict_configured(self, target: Target) -> None:
        target.was = CONFIGURED
        async with self._slots, self._member(target) as member:
            await self._inspect(target, member)
            if target.drift:
                self._refuse_renaming(target)
                await self._dry_run(target, member)
        # Whatever it is, the boot that it was to leave is left.
        target.reboots = target.reboots or self._owes_reboot(target)

    async def _dry_run(self, target: Target, connection: Connection) -> None:
        """Have the node judge the config, and whether it reboots. Where it thinks otherwise than the rules here, it is taken to reboot."""
        try:
            applied = await client.apply_configuration(connection, target.config.text.encode(), dry_run=True)
        except TalosError as error:
            raise ManagerError(f"it refuses the machine config: {without_secrets(str(error), target.config)}") from None
        if self._decides(target) and (applied.mode == client.REBOOT) != target.reboots:
            says = "reboots for the change" if applied.mode == client.REBOOT else "would not reboot for the change"
            expected = "it was not expected to" if applied.mode == client.REBOOT else f"{', '.join(t.cast(t.Any, target.change).why)} was expected to need it"
            self.warnings.append(f"{target.name} says that it {says}, while {expected}; it is taken to reboot")
            target.reboots = True

    def _decides(self, target: Target) -> bool:
        """Whether the node itself decides to reboot."""
        return release([], target.talos_version)[0] <= REBOOTS_UNTIL

    def _refuse_renaming(self, target: Target) -> None:
        if target.change and target.change.renames:
            raise ManagerError(f"the change would make another node of it ({', '.join(target.change.renames)}); replace it instead, or correct the inputs")

    # ---- one look, and what it calls for ----

    async def _configure(self, target: Target, sighting: identity.Sighting, connection: Connection) -> None:
        raise ManagerError("it is in maintenance mode: it has no machine config that could be changed")

    async def _compare(self, target: Target, connection: Connection) -> None:
        """Read in which boot it is, and what it runs."""
        target.boot_id = await client.boot_id(connection)
        await self._differs(target, connection)

    async def _joined(self, target: Target, connection: Connection) -> bool:
        """Whether the node is as it should be; if not, what is next is done."""
        target.drift = None
        running = await self._inspect(target, connection)
        if target.drift is None:
            # Not even its config could be read; seen says why.
            return False
        if target.drift or self._owes_reboot(target):
            await self._in_turn(target, connection)
            return False
        if not self._touched(target):
            return True
        if not (running and target.ready):
            return False
        return await self._votes(target) if self.options.control_planes else True

    def _touched(self, target: Target) -> bool:
        """Whether this run, or one before it that was killed, did something to the node."""
        return bool(target.sent or target.name in self._reboots_asked or target.row.get("boot_id"))

    def _owes_reboot(self, target: Target) -> bool:
        """Whether the node is still in a boot that it has to leave: said by the caller, or because of this change, which does not do it by itself."""
        by_itself = self._decides(target) and target.acknowledged
        left = {target.row.get("boot_id"), self._sent_in.get(target.name) if target.reboots and not by_itself else None}
        return target.boot_id in left

    async def _in_turn(self, target: Target, connection: Connection) -> None:
        """Do what is next; control planes one after the other."""
        self._refuse_renaming(target)
        async with self._turn if self.options.control_planes else contextlib.nullcontext():
            if not self.options.control_planes or await self._may_go(target):
                _permit.confirm()
                await self._go_on(target, connection)

    async def _may_go(self, target: Target) -> bool:
        """Whether no other control plane is on its way, and etcd keeps its quorum without this one."""
        if self._touched(target) and not self._owes_reboot(target):
            return True
        for other in () if self._touched(target) else self.targets:
            if other is target or other.done or not self._touched(other):
                continue
            if other.failed:
                raise ManagerError(f"not changed, since {other.name} did not come back")
            target.seen = f"waits for its turn after {other.name}"
            target.deadline = time.monotonic() + self.options.wait_timeout
            return False
        return await self._is_spared(target)

    async def _is_spared(self, target: Target) -> bool:
        """Whether etcd keeps its quorum: while the node reboots without its vote."""
        try:
            _place, members = await self._etcd(target).members()
        except ManagerError as error:
            target.seen = f"etcd cannot be read: {error}"
            return False
        away = target.reboots or self._owes_reboot(target)
        needed = quorum(members).needed
        staying = [member for member in members if not (away and target.address in member.row.addresses)]
        if away and quorum(staying).voters < needed:
            raise ManagerError("etcd would lose its quorum while the node reboots; replace it instead, its successor first")
        healthy = quorum(staying).healthy
        joining = [str(member) for member in staying if not member.voter]
        if healthy < needed or joining:
            sick = "; ".join(f"{member}: {member.problem}" for member in staying if member.voter and not member.healthy)
            target.seen = f"etcd cannot spare it: {sick or ', '.join(joining) + ' is still joining'}"
        return healthy >= needed and not joining

    async def _go_on(self, target: Target, connection: Connection) -> None:
        """Send the config, or have the node reboot, unless that was done and only takes its time."""
        if not target.drift:
            await self._reboot(target, connection)
        elif not target.sent or self._is_lost(target):
            if target.sent >= MAX_SENDS:
                raise ManagerError(f"it does not run the machine config although it was sent {MAX_SENDS} times; its logs say why")
            self._sent_in[target.name] = target.boot_id
            await self._send(target, connection)
            if target.acknowledged and self._decides(target):
                target.reboots = target.answered == client.REBOOT

    def _is_lost(self, target: Target) -> bool:
        """Whether a node that was sent its config goes on with another: after a reboot, or because it never heard."""
        if target.stage != "running":
            return False
        silent = not target.acknowledged and time.monotonic() - target.sent_at > deliver.RESEND_SECONDS
        return silent or target.boot_id != self._sent_in[target.name]

    async def _reboot(self, target: Target, connection: Connection) -> None:
        """Ask once; again only when the node goes on as if it had not heard."""
        asked = self._reboots_asked.get(target.name)
        if asked is not None and (target.stage != "running" or time.monotonic() - asked < deliver.RESEND_SECONDS):
            target.seen = f"stage {target.stage}, told to reboot"
            return
        target.reboots = True
        self._reboots_asked[target.name] = time.monotonic()
        target.seen = "told to reboot"
        try:
            await client.reboot(connection)
        except TalosError as error:
            if not error.maybe_done and error.code not in _LATER:
                raise ManagerError(f"it refuses to reboot: {error}") from None
            target.seen = f"told to reboot, without an answer: {error}"

    # ---- the report ----

    def steps(self, check_mode: bool) -> list[Step]:
        """What is done, or would be."""
        found = []
        for target in self.targets:
            sends = bool(target.drift and not target.failed) if check_mode else target.sent > 0
            if sends:
                found.append(target.step())
            if target.reboots and (not target.failed if check_mode else target.sent or target.name in self._reboots_asked):
                found.append(Step("reboot", target.name, "machine"))
        return found

    def shown(self) -> list[dict[str, t.Any]]:
        """Ansible's diff: each config before and after, secrets replaced."""
        changes = [(target.name, target.change) for target in self.targets if target.change and not target.failed]
        return [{"before_header": f"{name} (running)", "after_header": f"{name} (rendered)", "before": one.before, "after": one.after} for name, one in changes]


def apply_changes(params: t.Mapping[str, t.Any], check_mode: bool) -> Outcome:
    """The work of talos_apply_config where nodes that are configured already get what differs."""
    return asyncio.run(_run(Options.of(params, check_mode), check_mode))


async def _run(options: Options, check_mode: bool) -> Outcome:
    """Predict or apply, and report in the order of the input."""
    changes = Changes(options)
    await (changes.predict() if check_mode else changes.deliver())
    return Outcome(
        steps=changes.steps(check_mode),
        nodes=[target.public() for target in changes.targets],
        failures={name: changes.failures[name] for name in options.rows if name in changes.failures},
        warnings=changes.warnings,
        values={"config_info": config_info(options.rendered.info)},
        shown_diff=changes.shown(),
    )
