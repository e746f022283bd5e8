# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: every call to every simulated service is counted here, and faults and delays are injected here.

All services share one ledger, so the order of calls across services is known.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import threading
import time
import typing as t

# What may be injected. A service turns the kind into its own protocol's words:
#   error        an internal error (HTTP 500/503, gRPC UNAVAILABLE), the service did nothing
#   throttle     the service's own throttling answer, the service did nothing
#   timeout      nothing is answered and the service did nothing; the connection is held for `seconds`, then closed
#   lost_reply   the service acts, the connection is closed without an answer
#   delay        the service acts and answers after `seconds`
#   park         the service acts, its answer is held back for as long as the fault is posted: time to kill the caller
#   hold         the service does not act before the fault is gone, or `parties` calls have arrived; never when the caller goes away before
FAULT_KINDS = ("error", "throttle", "timeout", "lost_reply", "delay", "park", "hold")
# How often a parked or waiting call looks whether its fault is still there.
PARKED_LOOK = 0.02


@dataclasses.dataclass
class Fault:
    """Inject `kind` into calls of service/operation ("*" = any), with `mutating` only into those that change something.

    ordinals: which matching calls (1 = the first after the fault was posted); empty = every one.
    share: fraction of matching calls hit when there are no ordinals: evenly spread, or with a seed drawn by lot, so that several in
    a row may be hit; the same ones with the same seed.
    parties: for the kind hold, how many calls wait for each other; 0 = they wait until the fault is gone.
    spared: operations that do not match.
    """

    kind: str
    service: str = "*"
    operation: str = "*"
    ordinals: list[int] = dataclasses.field(default_factory=list)
    share: float = 1.0
    seed: int | None = None
    seconds: float = 0.0
    mutating: bool = False
    parties: int = 0
    spared: list[str] = dataclasses.field(default_factory=list)
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"unknown fault kind {self.kind!r}, one of {', '.join(FAULT_KINDS)}")
        if self.seed is not None and (self.ordinals or not 0 < self.share < 1):
            raise ValueError("a seed needs a share between 0 and 1, and no ordinals")
        if self.parties and (self.kind != "hold" or self.parties < 2):
            raise ValueError("parties are at least 2, and of the kind hold")

    def strikes(self, service: str, operation: str, mutating: bool) -> bool:
        """Count a call and say whether it is hit."""
        if self.service not in ("*", service) or self.operation not in ("*", operation) or operation in self.spared or (self.mutating and not mutating):
            return False
        self.seen += 1
        if self.ordinals:
            hit = self.seen in self.ordinals
        elif self.seed is not None:
            hit = random.Random(f"{self.seed}/{self.seen}").random() < self.share  # noqa: S311 no secret
        else:
            hit = int(self.seen * self.share) > int((self.seen - 1) * self.share)
        self.hits += hit
        return hit


@dataclasses.dataclass
class Call:
    """One call as the ledger keeps it. status is the service's own word for how it ended."""

    number: int
    service: str
    operation: str
    mutating: bool
    detail: dict[str, t.Any]
    started: float
    ended: float | None = None
    status: str = ""
    fault: Fault | None = None
    delay: float = 0.0
    parked: bool = False
    waiting: bool = False

    def public(self) -> dict[str, t.Any]:
        """The call as GET /calls shows it."""
        return {
            "number": self.number,
            "service": self.service,
            "operation": self.operation,
            "mutating": self.mutating,
            "detail": self.detail,
            "started": self.started,
            "ended": self.ended,
            "status": self.status,
            "fault": self.fault.kind if self.fault else None,
        }


class Ledger:
    """Thread-safe log of calls with fault and delay injection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.delays: dict[str, float] = {}

    def begin(self, service: str, operation: str, *, mutating: bool, detail: dict[str, t.Any] | None = None, arrived: float | None = None) -> Call:
        """Log the start of a call; the service must honour call.fault and sleep call.delay, then call end(). arrived: when, if it was read before."""
        with self._lock:
            struck = [fault for fault in self.faults if fault.strikes(service, operation, mutating)]
            call = Call(len(self.calls) + 1, service, operation, mutating, detail or {}, time.monotonic() if arrived is None else arrived)
            call.fault = struck[0] if struck else None
            call.delay = self.delays.get(f"call.{service}.{operation}", self.delays.get(f"call.{service}", 0.0))
            if call.fault and call.fault.kind == "delay":
                call.delay += call.fault.seconds
            self.calls.append(call)
            return call

    def held(self, call: Call) -> bool:
        """Whether the answer to a call is to be held back now; the service has acted when it asks."""
        with self._lock:
            call.parked = call.fault is not None and call.fault.kind == "park" and any(fault is call.fault for fault in self.faults)
            return call.parked

    def waits(self, call: Call) -> bool:
        """Whether the service is not to act on a call yet; it asks before it acts."""
        with self._lock:
            fault = call.fault
            posted = fault is not None and fault.kind == "hold" and any(one is fault for one in self.faults)
            call.waiting = posted and fault is not None and not 0 < fault.parties <= fault.hits
            return call.waiting

    def waiting(self) -> list[Call]:
        """Calls that have arrived and on which the service does not act yet."""
        with self._lock:
            return [call for call in self.calls if call.waiting]

    def parked(self) -> list[Call]:
        """Calls whose answers are held back."""
        with self._lock:
            return [call for call in self.calls if call.parked]

    def end(self, call: Call, status: str) -> None:
        """Log the end of a call."""
        with self._lock:
            call.parked = call.waiting = False
            call.ended = time.monotonic()
            call.status = status

    @contextlib.contextmanager
    def call(self, service: str, operation: str, *, mutating: bool, detail: dict[str, t.Any] | None = None) -> t.Iterator[Call]:
        """begin() and end() around a synchronous handler; sleeps the delay; set call.status inside."""
        call = self.begin(service, operation, mutating=mutating, detail=detail)
        time.sleep(call.delay)
        try:
            yield call
        finally:
            self.end(call, call.status or "ok")

    def delay(self, name: str, default: float) -> float:
        """Seconds that a simulated process takes, e.g. delay("talos.install", 1.0)."""
        with self._lock:
            return self.delays.get(name, self.delays.get("*", default))

    def clear_calls(self) -> None:
        """Forget all calls (ordinals of posted faults keep counting)."""
        with self._lock:
            self.calls.clear()
