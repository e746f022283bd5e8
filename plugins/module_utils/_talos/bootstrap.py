# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Bootstrap etcd exactly once: a second call, sent to another control plane, would make a second cluster of the same name.

Every control plane is asked before anything is sent, and only when each of them shows that it has no part in any etcd is one told to begin. Whether
that worked is read from the nodes; no answer, and no missing answer, of the call itself is trusted.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
import time
import typing as t

from .. import _progress
from .._errors import InputError, ManagerError, WaitTimeout
from .._outcome import Outcome
from .._plan import Step
from . import client, identity, tls
from .client import EtcdMember
from .etcd import ENDPOINT_ATTEMPTS, STATUS_SECONDS
from .talosconfig import Endpoint, TalosConfig, parse
from .transport import Connection, TalosError, require_libraries

POLL_SECONDS = 1.0
# A call whose answer was lost is repeated, to the same node, when the node shows no sign of it for so long.
RESEND_SECONDS = 15.0

# What a control plane has of etcd. MEMBER: it gives the member list. DATA: there is data on its disk, but no list (yet). EMPTY: neither.
MEMBER, DATA, EMPTY = "member", "data", "empty"
# It has no machine config, so it has no part in any etcd / it could not be asked / it does not exist yet (check mode).
MAINTENANCE, UNKNOWN, PENDING = "maintenance", "unknown", "pending"
# The call was refused, and nothing was done: Talos is still starting, or its clock is not set.
_NOT_YET = ("FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "CONNECT", "UNTRUSTED", "WRONG_TIME", "WRONG_ADDRESS")


@dataclasses.dataclass(frozen=True)
class Options:
    """What talos_bootstrap is asked. nodes: name -> address ("" in check mode for a VM that does not exist yet), in order of preference."""

    config: TalosConfig
    nodes: dict[str, str]
    wait_timeout: float

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any], check_mode: bool) -> Options:
        """Read the module's options. Raises InputError."""
        config = parse(params["talosconfig"], params.get("context"))
        names = [row["name"].strip() for row in params["nodes"]]
        if not names:
            raise InputError("nodes: name all control planes of the cluster; one of them becomes etcd's first member")
        if len(set(names)) < len(names) or "" in names:
            raise InputError("nodes: a name is empty or named twice")
        missing = [row["name"] for row in params["nodes"] if not row.get("address")]
        if missing and not check_mode:
            raise InputError(f"nodes: no address of {', '.join(missing)}")
        return cls(config, {name: row.get("address") or "" for name, row in zip(names, params["nodes"], strict=True)}, params["wait_timeout"])


@dataclasses.dataclass(frozen=True)
class Report:
    """What one control plane showed: its state (see above), in words, and the member list that it gave."""

    name: str
    address: str
    etcd: str
    seen: str
    members: tuple[EtcdMember, ...] = ()

    def public(self) -> dict[str, t.Any]:
        """The node as the module returns it."""
        return {"name": self.name, "address": self.address or None, "etcd": self.etcd, "seen": self.seen}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the reports of all control planes mean together. first: the one to bootstrap, None while none may be; why: the reason."""

    bootstrapped: bool = False
    first: Report | None = None
    why: str = ""


def judge(reports: t.Sequence[Report]) -> Verdict:
    """Whether etcd is bootstrapped, may be bootstrapped, or neither. Pure. Raises ManagerError when two etcds exist already."""
    _refuse_split([report for report in reports if report.members])
    if any(report.members for report in reports):
        return Verdict(bootstrapped=True)
    for state, say in (
        (DATA, "has etcd's data, but gives no member list: etcd is starting, or has lost its quorum"),
        (UNKNOWN, "may have been bootstrapped before"),
    ):
        found = [report for report in reports if report.etcd == state]
        if found:
            return Verdict(why="; ".join(f"{report.name} ({report.address}) {say} ({report.seen})" for report in found))
    empty = [report for report in reports if report.etcd == EMPTY]
    if empty:
        return Verdict(first=empty[0])
    return Verdict(why="no control plane is configured: " + "; ".join(f"{report.name}: {report.seen}" for report in reports))


def _refuse_split(reports: t.Sequence[Report]) -> None:
    """Member lists that have no member in common are two clusters; nothing here can mend that."""
    for report in reports:
        ids = {member.id for member in report.members}
        others = [other.name for other in reports if not ids & {member.id for member in other.members}]
        if others:
            raise ManagerError(
                f"there are two etcds: {report.name} and {', '.join(others)} have no member in common. One of the two was bootstrapped by mistake:"
                " find out which one has the data (talosctl etcd members, etcd status), and delete the control planes of the other"
            )


class Work:
    """One run of talos_bootstrap."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._tls: ssl.SSLContext = options.config.tls_context()
        self._reports: list[Report] = []
        # The node that was told to begin: no other one ever is, whatever happens to it.
        self._told = ""
        self._sent_at = 0.0
        self._doubtful = False
        self._others_asked = False

    async def run(self, check_mode: bool) -> Outcome:
        """Ask all, tell one if need be, and wait until etcd answers. In check mode predict, and wait for nothing."""
        verdict = await self._ask_all()
        steps = []
        if check_mode:
            open_question = not verdict.bootstrapped and all(report.etcd != DATA for report in self._reports)
            if open_question:
                steps = [_step(verdict.first.name if verdict.first else self._reports[0].name)]
        else:
            with _progress.wait("in etcd", self.options.nodes) as progress:
                await self._until_bootstrapped(verdict, progress)
            steps = [_step(self._told)] if self._told else []
        return Outcome(
            steps=steps,
            nodes=[report.public() for report in self._reports],
            values={"bootstrapped": bool(steps) or any(report.etcd in (MEMBER, DATA) for report in self._reports), "members": self._members()},
        )

    def _members(self) -> list[dict[str, t.Any]]:
        """The member list, from the first node that gave it."""
        rows = next((report.members for report in self._reports if report.members), ())
        return [{"id": row.hex_id, "hostname": row.hostname, "addresses": list(row.addresses), "learner": row.learner} for row in rows]

    async def _until_bootstrapped(self, verdict: Verdict, progress: _progress.Wait) -> None:
        """Look again and again until etcd answers. Raises WaitTimeout with what is in the way."""
        deadline = time.monotonic() + self.options.wait_timeout
        while not verdict.bootstrapped:
            for report in self._reports:
                progress.at(report.name, report.etcd, report.seen)
            why = verdict.why
            if verdict.first:
                why = await self._begin(verdict.first)
            if time.monotonic() >= deadline:
                raise WaitTimeout(f"etcd is not bootstrapped after {self.options.wait_timeout:g} s: {why}")
            await asyncio.sleep(POLL_SECONDS)
            verdict = await self._ask_all()
        for report in self._reports:
            progress.arrived(report.name, report.etcd)

    # ---- asking ----

    async def _ask_all(self) -> Verdict:
        """Ask every control plane; before the first call also the talosconfig's endpoints, which may know members that nobody named."""
        self._reports = list(await asyncio.gather(*(self._ask(name, address) for name, address in self.options.nodes.items())))
        self._doubtful = self._doubtful or any(report.name == self._told and report.etcd in (UNKNOWN, MAINTENANCE) for report in self._reports)
        verdict = judge(self._reports)
        if verdict.first and not self._others_asked:
            self._others_asked = True
            known = set(self.options.nodes.values())
            others = [place for place in self.options.config.endpoints if place.host not in known]
            lists = await asyncio.gather(*(self._list(Connection(place, self._tls, attempts=1)) for place in others))
            for place, rows in zip(others, lists, strict=True):
                if rows:
                    raise ManagerError(
                        f"etcd is bootstrapped already: {place}, an endpoint of the talosconfig, gives its members, and none of nodes is one of them."
                        " Name all control planes, or take the endpoint out of the talosconfig if it is of another time"
                    )
        return verdict

    async def _list(self, connection: Connection) -> tuple[EtcdMember, ...]:
        """The member list, empty when it is not given."""
        async with connection:
            try:
                return tuple(await client.etcd_members(connection, timeout=STATUS_SECONDS))
            except TalosError as error:
                if error.code in ("CLIENT_REFUSED", "PERMISSION_DENIED"):
                    raise ManagerError(f"talosconfig: {error}") from None
                return ()

    async def _ask(self, name: str, address: str) -> Report:
        """One control plane's report. Raises ManagerError when another cluster's machine answers, or the talosconfig may not ask."""
        if not address:
            return Report(name, "", PENDING, "it does not exist yet")
        async with Connection(Endpoint(address), tls.unverified_context()) as stranger:
            sighting = await identity.look(stranger, self.options.config.ca)
        if sighting.mode == identity.FOREIGN:
            raise ManagerError(f"{name} ({address}) is another cluster's: {sighting.detail}. The talosconfig, or the address, is not of this cluster")
        if sighting.mode == identity.MAINTENANCE:
            return Report(name, address, MAINTENANCE, sighting.detail)
        if sighting.mode != identity.SECURE:
            return Report(name, address, UNKNOWN, sighting.detail)
        members = await self._list(Connection(Endpoint(address), self._tls, attempts=ENDPOINT_ATTEMPTS))
        if members:
            return Report(name, address, MEMBER, f"etcd has {len(members)} members" if len(members) > 1 else "etcd has one member", members)
        return await self._disk(name, address)

    async def _disk(self, name: str, address: str) -> Report:
        """What a configured control plane without member list has on its disk."""
        async with Connection(Endpoint(address), self._tls, attempts=ENDPOINT_ATTEMPTS) as connection:
            try:
                data = await client.etcd_data(connection)
            except TalosError as error:
                if error.code == "PERMISSION_DENIED":
                    raise ManagerError(f"talosconfig: {error}") from None
                return Report(name, address, UNKNOWN, str(error))
        return Report(name, address, DATA, "etcd's data is on its disk") if data else Report(name, address, EMPTY, "waits to be bootstrapped")

    # ---- telling ----

    async def _begin(self, first: Report) -> str:
        """Tell a node to bootstrap, unless one was told that may still do so; what happened, in words."""
        if self._told and first.name != self._told:
            return f"{self._told} was told to bootstrap and has not, and no other one is told instead"
        waited = time.monotonic() - self._sent_at
        if self._told and not (self._doubtful and waited > RESEND_SECONDS):
            return f"{self._told} was told to bootstrap {waited:.0f} s ago, and its disk has no data of etcd yet"
        async with Connection(Endpoint(first.address), self._tls, attempts=1) as connection:
            try:
                await client.bootstrap(connection)
            except TalosError as error:
                if error.code in _NOT_YET:
                    return f"{first.name} cannot be bootstrapped yet: {error}"
                if error.code == "ALREADY_EXISTS":
                    return f"{first.name} has been bootstrapped by somebody else meanwhile"
                if not error.maybe_done:
                    raise ManagerError(f"{first.name} refuses to bootstrap: {error}") from None
                self._doubtful = True
            else:
                self._doubtful = False
        self._told, self._sent_at = first.name, time.monotonic()
        return f"{first.name} was told to bootstrap"


def _step(name: str) -> Step:
    """The one change in the plan."""
    return Step("bootstrap", name, "etcd", None, {"members": [name]})


def bootstrap(params: t.Mapping[str, t.Any], check_mode: bool) -> Outcome:
    """The work of talos_bootstrap."""
    require_libraries()
    return asyncio.run(Work(Options.of(params, check_mode)).run(check_mode))
