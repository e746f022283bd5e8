# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Bring machine configs to nodes: wait for each, make sure whose machine it is, configure it once, wait until it has joined.

All nodes are handled in one event loop. What a node is in is read again and again from outside; no answer of an apply is trusted as its result.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
import ssl
import time
import typing as t

from .. import _permit, _progress
from .._errors import InputError, ManagerError, WaitTimeout
from .._outcome import Outcome
from .._plan import Step
from . import client, identity, redact, tls
from .etcd import Etcd
from .machine_config import config_info, rendering
from .render import NodeConfig, Rendering
from .render_changes import Change, change, same_config
from .talosconfig import Endpoint, TalosConfig, endpoint, parse
from .transport import Connection, TalosError

FIRST_TICK_SECONDS = 0.25
LAST_TICK_SECONDS = 5.0
# After an apply without an answer: how long a node may go on in maintenance mode before it is sent again.
RESEND_SECONDS = 5.0
# A machine that reboots before its disk holds the config comes back in maintenance mode; one that does so for ever is broken.
MAX_SENDS = 3
CONFIGURED = "configured"
JOINED = "joined"
UNREACHABLE = "unreachable"
# The node did nothing (yet): asked again at the next tick.
_NOT_SENT = ("CONNECT", "UNTRUSTED", "RESOURCE_EXHAUSTED")

Console = t.Callable[[str], str]


@dataclasses.dataclass(frozen=True)
class Options:
    """What talos_apply_config is asked, checked. rows are the nodes as given, by name; ca is the PEM of the cluster's Talos CA."""

    rows: dict[str, t.Mapping[str, t.Any]]
    rendered: Rendering
    control_planes: bool
    talosconfig: TalosConfig | None
    endpoints: tuple[Endpoint, ...]
    identity_check: str
    wait_timeout: float
    concurrency: int
    # Whether nodes are done only when they have joined the cluster; a new cluster's first control plane cannot before etcd is bootstrapped.
    joins: bool = True

    @property
    def ca(self) -> str:
        """The PEM text of the Talos CA that the nodes are to belong to."""
        return self.rendered.info.talos_ca_pem

    def familiar_context(self) -> ssl.SSLContext:
        """For nodes that should have joined: their certificate must come from a CA that both the machine config and the talosconfig know."""
        config = self.talosconfig
        if config is None:
            return tls.verified_context(self.ca)
        return tls.verified_context(tls.common_authorities(self.ca, config.ca), config.certificate, config.key)

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any], check_mode: bool) -> Options:
        """Read the module's options. Raises InputError with all that is wrong."""
        problems: list[str] = []
        rendered = _collect(problems, lambda: rendering(params))
        config = _collect(problems, lambda: parse(params["talosconfig"], params.get("context"))) if params["talosconfig"] else None
        endpoints = _collect(problems, lambda: tuple(_endpoint(text) for text in params["endpoints"] or ()))
        problems += _missing(params, check_mode)
        if rendered:
            problems += _wrong_cluster(rendered.info.talos_ca_pem, config)
        if problems or rendered is None:
            raise InputError("; ".join(problems), problems=problems)
        return cls(
            {row["name"].strip(): row for row in params["nodes"]},
            rendered,
            params["role"] == "controlplane",
            config,
            endpoints or (config.endpoints if config else ()),
            params["identity_check"],
            params["wait_timeout"],
            max(1, params["concurrency"]),
            params["until"] == "joined",
        )


T = t.TypeVar("T")


def _collect(problems: list[str], work: t.Callable[[], T]) -> T | None:
    """Run work; what is wrong with its input is added to problems."""
    try:
        return work()
    except InputError as error:
        problems += error.details.get("problems") or [str(error)]
        return None


def _endpoint(text: str) -> Endpoint:
    """One item of endpoints."""
    try:
        return endpoint(text)
    except ValueError as error:
        raise InputError(f"endpoints: {error}") from None


def _missing(params: t.Mapping[str, t.Any], check_mode: bool) -> list[str]:
    """What delivering needs and is not there. In check mode a node may not exist yet."""
    problems = []
    if params["role"] == "controlplane" and params["nodes"] and not params["talosconfig"]:
        problems.append("talosconfig: control planes need it, since each is configured only when the one before it votes in etcd")
    if params["configured"] == "apply" and not params["talosconfig"]:
        problems.append("talosconfig: what nodes run is read, and changed, with its certificate")
    # Who has a config already shows a certificate of the cluster: there is nothing to compare.
    checked = params["identity_check"] if params["configured"] == "compare" else ""
    needed = {"console": "instance_id", "fingerprint": "fingerprint"}.get(checked)
    for row in () if check_mode else params["nodes"]:
        problems += [f"nodes: {row['name']} has no {word}" for word in ("address", needed) if word and not row.get(word)]
    return problems


def _wrong_cluster(ca: str, config: TalosConfig | None) -> list[str]:
    """Whether the machine config has a Talos CA, and it is the talosconfig's."""
    try:
        authorities = tls.authorities(ca)
    except ValueError:
        return ["config: machine.ca.crt is not a certificate; without it a node cannot be recognised as the cluster's"]
    if config and not authorities & tls.authorities(config.ca):
        return [f"talosconfig: its context {config.context} is of another cluster: its ca is not the machine config's machine.ca"]
    return []


@dataclasses.dataclass(eq=False)
class Target:
    """A node on its way. was: the mode of the first contact, mode: of the latest; seen: its latest state in words; sent: how often the config was sent.

    answered: what it makes of the mode AUTO. change: what lies between the config that it had and the one it should have, if that is not the same;
    reboots: whether it takes a reboot. boot_id: of its latest boot.
    """

    name: str
    row: t.Mapping[str, t.Any]
    config: NodeConfig
    was: str = ""
    mode: str = ""
    seen: str = ""
    sent: int = 0
    acknowledged: bool = False
    sent_at: float = 0.0
    answered: str = ""
    away: bool = False
    drift: bool | None = None
    change: Change | None = None
    boot_id: str = ""
    reboots: bool = False
    stage: str = ""
    ready: bool = False
    talos_version: str = ""
    fingerprint: str = ""
    console_fingerprint: str = ""
    deadline: float = 0.0
    done: bool = False
    failed: bool = False

    @property
    def address(self) -> str:
        """The node's address, "" while it has none."""
        return str(self.row.get("address") or "")

    @property
    def phase(self) -> str:
        """Where it is on its way, in a word."""
        if self.mode == identity.SECURE:
            return "joining"
        if self.mode == identity.MAINTENANCE:
            return CONFIGURED if self.sent else identity.MAINTENANCE
        return "installing" if self.sent else "booting"

    def public(self) -> dict[str, t.Any]:
        """The node as the module returns it; None is unknown."""
        return {
            "name": self.name,
            "address": self.address or None,
            "was": self.was or (UNREACHABLE if self.address else None),
            "applied": self.sent > 0,
            "drift": self.drift,
            "reboot": None if self.drift is None else self.reboots,
            "reboot_for": list(self.change.why) if self.change else [],
            "diff": self.change.diff if self.change else None,
            "boot_id": self.boot_id or None,
            "stage": self.stage or None,
            "talos_version": self.talos_version or None,
            "fingerprint": self.fingerprint or None,
            "digest": self.config.digest,
            "seen": self.seen or None,
        }

    def step(self) -> Step:
        """The node's change in the plan."""
        return Step("configure", self.name, "machine config", None, {"sha256": self.config.digest})


class Delivery:
    """One run of talos_apply_config. console reads the console of an instance ID (needed for identity_check console only)."""

    def __init__(self, options: Options, console: Console | None) -> None:
        self.options = options
        self.console = console
        self.warnings: list[str] = []
        self.failures: dict[str, str] = {name: "; ".join(problems) for name, problems in options.rendered.errors.items()}
        configs = options.rendered.nodes
        self.targets = [Target(name, row, configs[name]) for name, row in options.rows.items() if name in configs]
        self._tls = options.talosconfig.tls_context() if options.talosconfig else None
        self._familiar = options.familiar_context()
        self._slots = asyncio.Semaphore(options.concurrency)
        self._turn = asyncio.Lock()

    async def predict(self) -> None:
        """Check mode: look at the nodes that exist, and compare those that are configured. Nothing is waited for."""
        await self._all(self._predict)

    async def _predict(self, target: Target) -> None:
        if not target.address:
            return
        async with self._slots, self._stranger(target) as connection:
            sighting = await identity.look(connection, self.options.ca)
            target.seen = sighting.detail
            self._refuse_foreign(sighting)
            if sighting.mode == identity.MAINTENANCE:
                target.was, target.fingerprint = identity.MAINTENANCE, sighting.fingerprint
            elif sighting.mode == identity.SECURE:
                target.was = CONFIGURED
                async with self._member(target) as member:
                    await self._inspect(target, member)

    async def deliver(self) -> None:
        """Bring every node to the end, or to its failure."""
        with _progress.wait(JOINED if self.options.joins else CONFIGURED, [target.name for target in self.targets]) as progress:
            if self.options.control_planes:
                # All are looked at before any is configured: one that a killed run left half joined goes first.
                await self._all(self._first_look)
            await self._all(lambda target: self._follow(target, progress))

    async def _all(self, work: t.Callable[[Target], t.Awaitable[None]]) -> None:
        """Do the same for all nodes that have not failed; a failure stays its node's own."""
        targets = [target for target in self.targets if not target.failed]
        results = await asyncio.gather(*(work(target) for target in targets), return_exceptions=True)
        for target, result in zip(targets, results, strict=True):
            if isinstance(result, ManagerError):
                target.failed = True
                self.failures[target.name] = str(result)
            elif isinstance(result, BaseException):
                raise result

    def _stranger(self, target: Target) -> Connection:
        """A connection to whoever answers at a node's address."""
        return Connection(Endpoint(target.address), tls.unverified_context())

    def _member(self, target: Target) -> Connection:
        """A connection to a configured node, with the talosconfig's certificate."""
        return Connection(Endpoint(target.address), self._tls or self._familiar)

    async def _first_look(self, target: Target) -> None:
        async with self._slots, self._stranger(target) as connection:
            sighting = await identity.look(connection, self.options.ca)
            target.seen = sighting.detail
            target.was = {identity.MAINTENANCE: identity.MAINTENANCE, identity.SECURE: CONFIGURED}.get(sighting.mode, "")

    async def _follow(self, target: Target, progress: _progress.Wait) -> None:
        """Look at a node until it is done, at intervals that grow while nothing changes. Raises WaitTimeout with its latest state."""
        target.deadline = time.monotonic() + self.options.wait_timeout
        pause, before = FIRST_TICK_SECONDS, ""
        try:
            while not await self._tick(target):
                progress.at(target.name, target.phase)
                pause = min(pause * 1.5, LAST_TICK_SECONDS) if target.seen == before else FIRST_TICK_SECONDS
                before = target.seen
                left = target.deadline - time.monotonic()
                if left <= 0:
                    raise WaitTimeout(f"{target.address}: not done within {self.options.wait_timeout:g} s; last seen: {target.seen}")
                await asyncio.sleep(min(pause, left))
        except BaseException:
            # Others wait for this one's turn to end, whatever ended it.
            target.failed = True
            progress.failed(target.name)
            raise
        target.done = True
        progress.arrived(target.name)

    async def _tick(self, target: Target) -> bool:
        """One look and what it calls for; True when the node is done."""
        async with self._slots:
            if target.sent or target.mode == identity.SECURE:
                # Most likely it has this cluster's certificate now: one handshake shows that, and is the beginning of what follows.
                async with Connection(Endpoint(target.address), self._familiar) as connection:
                    sighting = await identity.recognise(connection)
                    if sighting.mode != identity.FOREIGN:
                        return await self._met(target, sighting, connection)
            async with self._stranger(target) as connection:
                sighting = await identity.look(connection, self.options.ca)
                if sighting.mode != identity.SECURE:
                    return await self._met(target, sighting, connection)
            async with self._member(target) as connection:
                return await self._met(target, sighting, connection)

    async def _met(self, target: Target, sighting: identity.Sighting, connection: Connection) -> bool:
        """What a look calls for; True when the node is done. connection is the one that it was made over."""
        target.seen, target.mode = sighting.detail, sighting.mode
        self._refuse_foreign(sighting)
        if sighting.mode == identity.MAINTENANCE:
            await self._configure(target, sighting, connection)
        elif sighting.mode == identity.SECURE:
            target.was = target.was or CONFIGURED
            return await self._joined(target, connection)
        else:
            target.away = True
        return False

    def _refuse_foreign(self, sighting: identity.Sighting) -> None:
        """Nothing is ever sent to a machine that belongs to somebody else."""
        if sighting.mode == identity.FOREIGN:
            raise ManagerError(f"another machine answers at its address: {sighting.detail}, and it is not in maintenance mode")

    # ---- configuring ----

    async def _configure(self, target: Target, sighting: identity.Sighting, connection: Connection) -> None:
        """Send a node in maintenance mode its config, if it is the right machine, its turn, and has not got it yet."""
        target.was = target.was or identity.MAINTENANCE
        target.fingerprint = sighting.fingerprint
        if target.sent and not self._came_back(target):
            target.seen = "in maintenance mode, the config " + ("was accepted" if target.acknowledged else "was sent without an answer")
            return
        if target.sent >= MAX_SENDS:
            raise ManagerError(f"it came back in maintenance mode each of the {MAX_SENDS} times that it was configured; its console says why")
        if not await self._is_ours(target, sighting):
            return
        connection.trust(sighting.fingerprint)
        if not self.options.control_planes:
            await self._send(target, connection)
            return
        async with self._turn:
            if await self._may_go(target):
                _permit.confirm()
                await self._send(target, connection)

    def _came_back(self, target: Target) -> bool:
        """Whether a node that was sent its config shows that it does not have it."""
        silent = not target.acknowledged and time.monotonic() - target.sent_at > RESEND_SECONDS
        return target.away or silent

    async def _is_ours(self, target: Target, sighting: identity.Sighting) -> bool:
        """Whether the certificate is that of the machine that is meant: anybody could answer in maintenance mode, and would get all secrets."""
        seen = sighting.fingerprint
        if self.options.identity_check == "none":
            return True
        if self.options.identity_check == "fingerprint":
            if seen != target.row["fingerprint"].strip():
                raise ManagerError(
                    f"the certificate at {target.address} has fingerprint {seen}, not {target.row['fingerprint']}: another machine, or it has re-keyed"
                )
            return True
        if seen != target.console_fingerprint and self.console:
            text = await asyncio.to_thread(self.console, str(target.row["instance_id"]))
            target.console_fingerprint = identity.newest_fingerprint(text) or ""
        if seen != target.console_fingerprint:
            told = target.console_fingerprint or "no fingerprint yet"
            target.seen = f"in maintenance mode with a certificate of fingerprint {seen}, but the console of {target.row['instance_id']} tells {told}"
        return seen == target.console_fingerprint

    async def _may_go(self, target: Target) -> bool:
        """Whether a control plane may be configured now: none before it is still on its way, and etcd has no learner."""
        for other in self.targets:
            if other is target or other.done or not (other.sent or other.was == CONFIGURED):
                continue
            if other.failed:
                raise ManagerError(f"not configured, since {other.name} did not become a voting member of etcd")
            target.seen = f"in maintenance mode, waits for its turn after {other.name}"
            target.deadline = time.monotonic() + self.options.wait_timeout
            return False
        if not self.options.joins:
            return True
        try:
            _place, rows = await self._etcd(target).rows()
        except ManagerError as error:
            target.seen = f"in maintenance mode, but etcd cannot be read: {error}"
            return False
        learners = [str(row) for row in rows if row.learner]
        if learners:
            target.seen = f"in maintenance mode, but another member is still joining: {', '.join(learners)}"
        return not learners

    async def _send(self, target: Target, connection: Connection) -> None:
        """Send the config over the connection whose certificate was just recognised."""
        try:
            applied = await client.apply_configuration(connection, target.config.text.encode())
        except TalosError as error:
            why = without_secrets(str(error), target.config)
            if error.code in _NOT_SENT:
                target.seen = f"{'in maintenance mode' if target.mode == identity.MAINTENANCE else 'running'}, not configured yet: {why}"
                return
            if not error.maybe_done and error.code != "FAILED_PRECONDITION":
                raise ManagerError(f"it refuses the machine config: {why}") from None
            target.acknowledged = False
            target.seen = f"the config was sent without an answer: {why}"
        else:
            target.acknowledged = True
            target.seen = "the config was accepted"
            target.answered = applied.mode
            self.warnings += [f"{target.name}: {without_secrets(warning, target.config)}" for warning in applied.warnings]
        target.sent += 1
        target.sent_at = time.monotonic()
        target.away = False

    # ---- joined ----

    async def _joined(self, target: Target, connection: Connection) -> bool:
        """Whether a node that has this cluster's certificate is done: running, and a control plane also votes in etcd."""
        if self._tls is None:
            return True
        running = await self._inspect(target, connection)
        if not self.options.joins:
            return target.stage in ("booting", "running")
        if not running:
            return False
        return await self._votes(target) if self.options.control_planes else True

    async def _inspect(self, target: Target, connection: Connection) -> bool:
        """Read stage, version and (of a node that was configured before) config; True when it runs."""
        if self._tls is None:
            return True
        try:
            status = await client.machine_status(connection)
            target.stage, target.ready, target.seen = status.stage, status.ready, str(status)
            target.talos_version = target.talos_version or await client.version(connection)
            if target.drift is None:
                await self._compare(target, connection)
        except TalosError as error:
            if error.code in ("CLIENT_REFUSED", "PERMISSION_DENIED"):
                raise ManagerError(f"talosconfig: {error}") from None
            target.seen = str(error)
            return False
        return target.stage == "running"

    async def _compare(self, target: Target, connection: Connection) -> None:
        """Compare the active config of a node that this run did not configure with the one it should have."""
        if target.sent:
            target.drift = False
            return
        if await self._differs(target, connection):
            self.warnings.append(f"{target.name} is configured already, and not as it would be now; it was left as it is")

    async def _differs(self, target: Target, connection: Connection) -> bool:
        """Read the active config and note whether, and at first how, it differs from the one that it should be."""
        active = (await client.machine_config(connection)).decode("utf-8", "replace")
        target.drift = not same_config(target.config.text, active, self.options.rendered.info.talos_version)
        if target.drift and target.change is None:
            target.change = change(active, target.config.text, target.talos_version)
            target.reboots = target.change.needs_reboot
        return target.drift

    def _etcd(self, target: Target) -> Etcd:
        """The membership as others than the target see it; only without others it is asked itself."""
        if not self.options.talosconfig:
            raise AssertionError("only asked with a talosconfig")
        others = [place for place in self.options.endpoints if place.host != target.address]
        return Etcd(self.options.talosconfig, others or [Endpoint(target.address)])

    async def _votes(self, target: Target) -> bool:
        """Whether a control plane is a voting member of etcd."""
        try:
            _place, rows = await self._etcd(target).rows()
        except ManagerError as error:
            target.seen = f"stage {target.stage}, but etcd cannot be read: {error}"
            return False
        rows = [row for row in rows if target.address in row.addresses]
        if not rows:
            target.seen = f"stage {target.stage}, not yet a member of etcd"
        elif rows[0].learner:
            target.seen = f"stage {target.stage}, still a learner in etcd"
        return bool(rows) and not rows[0].learner


_WORD = re.compile(r"[A-Za-z0-9+/_-]{6,}")


def without_secrets(text: str, config: NodeConfig) -> str:
    """A node's message without what stands in its config but not in the redacted one: Talos quotes what it does not understand."""
    shown = config.diff["after"]
    return _WORD.sub(lambda match: "(secret)" if match[0] in config.text and match[0] not in shown else match[0], redact.scrub(text))


def apply_configs(params: t.Mapping[str, t.Any], console: Console | None, check_mode: bool) -> Outcome:
    """The work of talos_apply_config where nodes that are configured already stay as they are."""
    return asyncio.run(_run(Options.of(params, check_mode), console, check_mode))


async def _run(options: Options, console: Console | None, check_mode: bool) -> Outcome:
    """Predict or deliver, and report in the order of the input."""
    delivery = Delivery(options, console)
    await (delivery.predict() if check_mode else delivery.deliver())
    changed = [target for target in delivery.targets if (target.was != CONFIGURED and not target.failed if check_mode else target.sent)]
    if changed and options.identity_check == "none":
        delivery.warnings.insert(0, "identity_check=none: whoever answers at a node's address in maintenance mode gets the cluster's secrets")
    return Outcome(
        steps=[target.step() for target in changed],
        nodes=[target.public() for target in delivery.targets],
        failures={name: delivery.failures[name] for name in options.rows if name in delivery.failures},
        warnings=delivery.warnings,
        values={"config_info": config_info(options.rendered.info)},
    )
