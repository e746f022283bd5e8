# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""etcd membership of control planes: read it, and take members out without losing quorum."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import time
import typing as t

from .. import _permit, _progress
from .._errors import InputError, ManagerError, WaitTimeout
from .._outcome import Outcome
from .._plan import Step
from . import client
from .client import EtcdMember, EtcdStatus
from .quorum import Member, NodeRef, find, parse_member_id, quorum, refusal, removal_order
from .render import ca_digest
from .talosconfig import Endpoint, TalosConfig, endpoint, parse
from .transport import Connection, TalosError, require_libraries

STATUS_SECONDS = 5.0
ENDPOINT_ATTEMPTS = 2
POLL_SECONDS = 1.0
# Codes that say that a node's Talos API did not answer, itself or through the control plane that relays.
_NO_API = ("CONNECT", "UNTRUSTED", "WRONG_ADDRESS", "WRONG_TIME", "CLIENT_REFUSED", "LOST", "UNAVAILABLE", "DEADLINE_EXCEEDED")


@dataclasses.dataclass(frozen=True)
class Options:
    """What talos_etcd_member is asked. endpoints: control planes to ask, by default the talosconfig's."""

    config: TalosConfig
    nodes: tuple[NodeRef, ...]
    endpoints: tuple[Endpoint, ...]
    force: bool = False
    allow_single: bool = False
    allow_last: bool = False
    wait_timeout: float = 300.0

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> Options:
        """Read the module's options. Raises InputError."""
        config = parse(params["talosconfig"], params.get("context"))
        try:
            endpoints = tuple(endpoint(text) for text in params["endpoints"] or ()) or config.endpoints
        except ValueError as error:
            raise InputError(f"endpoints: {error}") from None
        nodes = tuple(_node(row) for row in params["nodes"])
        twice = [name for name, number in collections.Counter(node.name for node in nodes).items() if number > 1]
        if twice:
            raise InputError(f"nodes: named twice: {', '.join(twice)}")
        return cls(
            config,
            nodes,
            endpoints,
            params["unreachable"] == "force",
            params["allow_single_control_plane"],
            params["allow_last_control_plane"],
            params["wait_timeout"],
        )


def _node(row: t.Mapping[str, t.Any]) -> NodeRef:
    """One item of nodes."""
    if not row["name"]:
        raise InputError("nodes: a node's name is empty")
    return NodeRef(row["name"], row.get("address") or "", row.get("hostname") or "", parse_member_id(row.get("member_id") or ""))


class Etcd:
    """The membership as seen through one endpoint that answers.

    Other members are asked through it too: it can always reach them, while the machine that this runs on may not.
    """

    def __init__(self, config: TalosConfig, endpoints: t.Sequence[Endpoint]) -> None:
        self.endpoints = list(endpoints)
        self._tls = config.tls_context()

    def connect(self, through: Endpoint, address: str | None = None, **kwargs: t.Any) -> Connection:
        """A connection to the endpoint, or through it to the member at address."""
        return Connection(through, self._tls, None if address in (None, through.host) else address, **kwargs)

    async def rows(self) -> tuple[Endpoint, list[EtcdMember]]:
        """The member list from the first endpoint that gives it, and that endpoint. Raises ManagerError when none does."""
        errors = []
        for place in self.endpoints:
            try:
                async with self.connect(place, attempts=ENDPOINT_ATTEMPTS) as connection:
                    found = await client.etcd_members(connection, timeout=STATUS_SECONDS)
            except TalosError as error:
                errors.append(str(error))
                continue
            # The next question goes to the one that answers, not into the void again.
            self.endpoints = [place, *(other for other in self.endpoints if other != place)]
            return place, found
        foreign = bool(errors) and all("certificate is not accepted" in error for error in errors)
        cure = ". If they are this cluster's control planes, the talosconfig is another cluster's" if foreign else ""
        raise ManagerError(f"no control plane gives etcd's member list: {'; '.join(errors) or 'there is no endpoint to ask'}{cure}")

    async def members(self) -> tuple[Endpoint, list[Member]]:
        """The members with their states, and the endpoint that was asked."""
        place, rows = await self.rows()
        states = await asyncio.gather(*(self._state(place, row) for row in rows))
        alarms = await self._alarms(place, [row for row, state in zip(rows, states, strict=True) if isinstance(state, EtcdStatus)])
        leaders = collections.Counter(state.leader for state in states if isinstance(state, EtcdStatus) and state.leader)
        leader = leaders.most_common(1)[0][0] if leaders else 0
        return place, [_member(row, state, leader, alarms.get(row.id, ())) for row, state in zip(rows, states, strict=True)]

    async def _alarms(self, place: Endpoint, answering: t.Sequence[EtcdMember]) -> dict[int, tuple[str, ...]]:
        """All members' alarms, from one whose etcd answers: the endpoint may be a control plane that has left etcd. None when nobody answers."""
        if not answering:
            return {}
        told_by = min(answering, key=lambda row: place.host not in row.addresses)
        try:
            async with self.connect(place, place.host if place.host in told_by.addresses else told_by.addresses[0]) as connection:
                return await client.etcd_alarms(connection)
        except TalosError as error:
            raise ManagerError(f"etcd's alarms cannot be read: {error}") from None

    async def _state(self, place: Endpoint, row: EtcdMember) -> EtcdStatus | TalosError:
        """A member's own view, or the error of asking it."""
        if not row.addresses:
            return TalosError("it was added but never started", "CONNECT")
        try:
            async with self.connect(place, row.addresses[0]) as connection:
                return await client.etcd_status(connection, STATUS_SECONDS)
        except TalosError as error:
            return error if error.code not in _NO_API or not await self._answers(place, row.addresses[0]) else TalosError(str(error), "UNKNOWN")

    async def _answers(self, place: Endpoint, address: str) -> bool:
        """Whether the Talos API of a member answers at all, even if its etcd does not."""
        try:
            async with self.connect(place, address) as connection:
                await client.version(connection, timeout=STATUS_SECONDS, attempts=1)
        except TalosError as error:
            return error.code not in _NO_API
        return True


def _member(row: EtcdMember, state: EtcdStatus | TalosError, leader: int, alarms: tuple[str, ...]) -> Member:
    """Judge a member by what it said."""
    if isinstance(state, TalosError):
        return Member(row, str(state), False, alarms, state.code not in _NO_API)
    problem = ""
    if state.member_id != row.id:
        problem = f"the member at its address is {state.member_id:016x}"
    elif state.errors:
        problem = "; ".join(state.errors)
    elif not state.leader:
        problem = "it knows no leader"
    elif state.leader != leader:
        problem = f"it follows {state.leader:016x}, the others {leader:016x}"
    elif alarms:
        problem = f"alarm {', '.join(alarms)}"
    return Member(row, problem, row.id == leader, alarms, state.member_id == row.id)


@dataclasses.dataclass(frozen=True)
class Removal:
    """One member to take out. verb: leave (asked on the node itself) or remove (by its ID, the node does not answer)."""

    node: NodeRef
    member: Member
    verb: str

    def step(self) -> Step:
        """The removal in the module's plan."""
        before = {"hostname": self.member.row.hostname, "addresses": list(self.member.row.addresses)}
        return Step(self.verb, self.node.name, f"etcd member {self.member.row.hex_id}", before, None)


def plan(options: Options, members: t.Sequence[Member]) -> list[Removal]:
    """The removals in their order, [] when there is nothing to remove. Raises ManagerError when one must not happen."""
    found = {node: find(node, members)[0] for node in options.nodes}
    doomed = {member.id: node for node, member in found.items() if member}
    if len(doomed) < sum(member is not None for member in found.values()):
        raise ManagerError("nodes: two of them are the same etcd member; give their addresses or member_id")
    why = refusal(members, doomed, options.allow_single, options.allow_last)
    if why:
        raise ManagerError(f"etcd: {why}")
    if doomed and not any(member.voter for member in members if member.id not in doomed):
        # The cluster ends with them: there is no quorum to protect, and the last one cannot leave.
        return []
    ordered = removal_order(member for member in members if member.id in doomed)
    dead = [member for member in ordered if not member.reachable]
    if dead and not options.force:
        texts = "; ".join(f"{doomed[member.id].name}: {member}: {member.problem}" for member in dead)
        raise ManagerError(f"cannot be asked to leave etcd: {texts}. If the machine is dead or stopped for good, unreachable=force removes it by its ID")
    return [Removal(doomed[member.id], member, "leave" if member.reachable else "remove") for member in ordered]


class Work:
    """One run of talos_etcd_member."""

    def __init__(self, options: Options, check_mode: bool) -> None:
        self.options = options
        self.check_mode = check_mode
        self.outcome = Outcome()
        doomed = {node.address for node in options.nodes}
        staying = [place for place in options.endpoints if place.host not in doomed]
        if options.nodes and not staying and not options.allow_last:
            raise InputError("endpoints: all of them are of the nodes to remove; name control planes that stay (allow_last_control_plane removes the last)")
        self._nobody_stays = not staying
        # When every control plane goes there may be nobody else to ask.
        last = [Endpoint(node.address) for node in options.nodes if node.address] if options.allow_last else []
        self.etcd = Etcd(options.config, [*staying, *last])

    async def run(self) -> Outcome:
        """Read, plan, apply, report."""
        try:
            _place, members = await self._read()
        except ManagerError as error:
            # While somebody stays who could be asked, not knowing is no reason to go on.
            if not (self.options.nodes and self.options.allow_last and self._nobody_stays):
                raise
            return self._unreadable(error)
        self.outcome.values["ca_sha256"] = ca_digest(self.options.config.ca)
        removals = plan(self.options, members)
        self.outcome.steps = [removal.step() for removal in removals]
        states = dict.fromkeys((removal.node.name for removal in removals), "absent") if self.check_mode else await self._carry_out_all(removals)
        self._report(members, states)
        if removals and not self.check_mode:
            members = await self._read_again(members)
        self.outcome.values |= {"members": [member.public() for member in members], "quorum": dataclasses.asdict(quorum(members))}
        return self.outcome

    async def _read(self) -> tuple[Endpoint, list[Member]]:
        """The members, from an endpoint that is none of the doomed ones, however it is known."""
        place, members = await self.etcd.members()
        going = [member for node in self.options.nodes for member in [find(node, members)[0]] if member]
        doomed = {address for member in going for address in member.row.addresses}
        if place.host in doomed and any(member.voter and member not in going for member in members):
            staying = [other for other in self.etcd.endpoints if other.host not in doomed]
            if not staying:
                raise InputError("endpoints: all of them are of the nodes to remove; name control planes that stay")
            self.etcd.endpoints = staying
            return await self._read()
        return place, members

    async def _read_again(self, members: list[Member]) -> list[Member]:
        """The members after the change; when they cannot be read any more, those that were not taken out."""
        try:
            return (await self._read())[1]
        except ManagerError as error:
            self.outcome.warnings.append(f"etcd could not be read again after the change: {error}")
            gone = {step.target for step in self.outcome.steps if step.node not in self.outcome.failures}
            return [member for member in members if f"etcd member {member.row.hex_id}" not in gone]

    def _unreadable(self, error: ManagerError) -> Outcome:
        """The last control plane is going and etcd cannot be read any more: that is tolerated, not hidden."""
        self.outcome.warnings.append(f"etcd could not be read, as is tolerated for the last control plane: {error}")
        self.outcome.nodes = [{"name": node.name, "member_id": "", "state": "unknown"} for node in self.options.nodes]
        self.outcome.values |= {"members": [], "quorum": dataclasses.asdict(quorum([])), "ghosts": [], "ca_sha256": ca_digest(self.options.config.ca)}
        return self.outcome

    async def _carry_out_all(self, removals: t.Sequence[Removal]) -> dict[str, str]:
        """Take the members out one after another; what became of each, by node."""
        states = {}
        with _progress.wait("out of etcd", [removal.node.name for removal in removals]) as progress:
            for position, removal in enumerate(removals):
                progress.at(removal.node.name, "leaving")
                states[removal.node.name] = await self._carry_out(removal, position)
                if removal.node.name in self.outcome.failures:
                    progress.failed(removal.node.name)
                else:
                    progress.arrived(removal.node.name, "left")
        return states

    async def _carry_out(self, removal: Removal, position: int) -> str:
        """Take one member out and see from another member that it is gone; a failure stops the later ones too."""
        if self.outcome.failures:
            self.outcome.failures[removal.node.name] = "not tried, since the one before it failed"
            return "present"
        try:
            if position:
                await self._still_allowed(removal)
            _permit.confirm()
            await (self._leave(removal) if removal.verb == "leave" else self._remove(removal))
        except ManagerError as error:
            self.outcome.failures[removal.node.name] = str(error)
            return "present"
        return "absent"

    async def _still_allowed(self, removal: Removal) -> None:
        """The world has changed since the plan: ask again before the next member."""
        _place, members = await self._read()
        why = refusal(members, [removal.member.id], self.options.allow_single, self.options.allow_last)
        if why:
            raise ManagerError(f"etcd: {why}")

    async def _leave(self, removal: Removal) -> None:
        """Ask the node to give up leadership and leave, until another member no longer lists it."""
        deadline = time.monotonic() + self.options.wait_timeout
        last: TalosError | None = None
        while time.monotonic() < deadline:
            place, rows = await self.etcd.rows()
            if all(row.id != removal.member.id for row in rows):
                return
            async with self.etcd.connect(place, removal.member.row.addresses[0]) as connection:
                last = await self._ask_to_leave(connection, removal, deadline)
            if last is None:
                await self._wait_gone(removal, deadline)
                return
            await asyncio.sleep(POLL_SECONDS)
        if not self.options.force or removal.member.healthy:
            raise WaitTimeout(f"it did not leave etcd within {self.options.wait_timeout:g} s: {last}")
        self.outcome.warnings.append(f"{removal.node.name}: it was sick and did not leave etcd, so it was removed by its ID: {last}")
        await self._remove(removal)

    async def _remove(self, removal: Removal) -> None:
        """Remove a member by its ID, through one that stays."""
        place, _rows = await self.etcd.rows()
        async with self.etcd.connect(place) as connection:
            await client.etcd_remove_member(connection, removal.member.id)
        await self._wait_gone(removal, time.monotonic() + self.options.wait_timeout)

    async def _ask_to_leave(self, connection: Connection, removal: Removal, deadline: float) -> TalosError | None:
        """One attempt; returns its error. Whether it worked is read from another member, not from the answer."""
        try:
            await client.etcd_forfeit_leadership(connection)
        except TalosError as error:
            # A leader can leave too; the others then elect without a hand-over.
            self.outcome.warnings.append(f"{removal.node.name}: leadership was not handed over: {error}")
        try:
            await client.etcd_leave(connection, min(client.LEAVE_SECONDS, max(1.0, deadline - time.monotonic())))
        except TalosError as error:
            return error
        return None

    async def _wait_gone(self, removal: Removal, deadline: float) -> None:
        """Wait until another member's list lacks the removed one. Raises WaitTimeout."""
        while True:
            _place, rows = await self.etcd.rows()
            if all(row.id != removal.member.id for row in rows):
                return
            if time.monotonic() >= deadline:
                raise WaitTimeout(f"etcd still lists {removal.member} after {self.options.wait_timeout:g} s")
            await asyncio.sleep(POLL_SECONDS)

    def _report(self, members: t.Sequence[Member], states: t.Mapping[str, str]) -> None:
        """One result per node, and the ghosts that bear a node's name."""
        ghosts: dict[int, Member] = {}
        for node in self.options.nodes:
            member, others = find(node, members)
            ghosts |= {other.id: other for other in others}
            state = states.get(node.name, "last" if member else "absent")
            self.outcome.nodes.append({"name": node.name, "member_id": member.row.hex_id if member else "", "state": state})
        for ghost in ghosts.values():
            self.outcome.warnings.append(f"etcd member {ghost} bears the name of a node, but not its address: left alone; member_id removes it")
        self.outcome.values["ghosts"] = [ghost.row.hex_id for ghost in ghosts.values()]


def etcd_members(params: t.Mapping[str, t.Any], check_mode: bool) -> Outcome:
    """The work of talos_etcd_member."""
    require_libraries()
    return asyncio.run(Work(Options.of(params), check_mode).run())
