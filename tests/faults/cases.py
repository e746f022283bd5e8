# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fault, what it is to prove, and what came of it."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import time
import typing as t

from tests.sandbox.control import Control

from .alike import Expected, Verdict

# What happens to a call, in the sandbox's words. killed_before and killed_after: the caller dies before the service acts, or when it has acted.
KINDS = ("error", "throttle", "timeout", "lost_reply", "killed_before", "killed_after")
# The same error again and again, until the run gives up or the service is well again.
LASTING = "outage"
KILLED = {"killed_before": "hold", "killed_after": "park"}
TIMEOUT_SECONDS = 0.2
# A world is given this long to come to rest.
REST_SECONDS = 10.0
LOOK_SECONDS = 0.1
SHOWN = 12


@dataclasses.dataclass
class Report:
    """What came of one case. why says what is wrong, nothing when all converged."""

    case: str
    why: list[str] = dataclasses.field(default_factory=list)
    twins: int = 0
    orphans: int = 0

    def judge(self, verdict: Verdict) -> None:
        """Add what a verdict finds."""
        self.twins += len(verdict.twins)
        self.orphans += len(verdict.orphans)
        self.why += [f"twin: {name}" for name in verdict.twins] + [f"orphan: {name}" for name in verdict.orphans]
        self.why += verdict.differences[:SHOWN]
        if len(verdict.differences) > SHOWN:
            self.why.append(f"... and {len(verdict.differences) - SHOWN} more lines")


class Sleep(t.Protocol):
    """time.sleep, or what stands for it where that is shortened."""

    def __call__(self, seconds: float, /) -> None: ...


def matches(case: str, only: str) -> bool:
    """Whether a case is one of those asked for: the parts of its name are, as far as they are said; with * as in a shell."""
    asked = only.split("/") if only else []
    return len(asked) <= len(case.split("/")) and all(fnmatch.fnmatchcase(part, word) for word, part in zip(asked, case.split("/"), strict=False))


def post(control: Control, kind: str, call: str, ordinal: int, *, mutating: bool = False) -> None:
    """Put a fault in the way of the ordinal-th call of service.operation."""
    service, _dot, operation = call.partition(".")
    lasting = list(range(ordinal, ordinal + 1000))
    posted = {**KILLED, LASTING: "error"}.get(kind, kind)
    seconds = TIMEOUT_SECONDS if kind == "timeout" else 0.0
    ordinals = lasting if kind == LASTING else [ordinal]
    control.fault(posted, service, operation, ordinals=ordinals, seconds=seconds, mutating=mutating)


def stopped(control: Control, kind: str) -> list[dict[str, t.Any]]:
    """The call that a run is to be killed at, once it is there."""
    return control.waiting() if kind == "killed_before" else control.parked()


def let_go(control: Control, kind: str, sleep: Sleep) -> None:
    """After the caller was killed: wait until nothing of it goes on, and take the fault away."""
    if kind == "killed_after":
        control.clear_faults()
    deadline = time.monotonic() + REST_SECONDS
    while left := control.waiting() + control.parked():
        if time.monotonic() > deadline:
            raise RuntimeError(f"goes on although its caller was killed: {left}")
        sleep(0.005)
    control.clear_faults()


def settled(control: Control, sleep: Sleep) -> Expected:
    """The world when it has come to rest: nothing of it changes for some time."""
    found = Expected(control.look())
    still, deadline = 0, time.monotonic() + REST_SECONDS
    while still < 3 and time.monotonic() < deadline:
        sleep(LOOK_SECONDS)
        now = Expected(control.look())
        still = still + 1 if now.facts == found.facts else 0
        found = now
    return found


def verdict(control: Control, expected: Expected, sleep: Sleep) -> Verdict:
    """How the world differs from the expected one; it is given time to become that."""
    deadline = time.monotonic() + REST_SECONDS
    while not (found := expected.judge(control.look())).good and time.monotonic() < deadline:
        sleep(LOOK_SECONDS)
    return found


@contextlib.contextmanager
def without_faults(control: Control) -> t.Iterator[None]:
    """Whatever happens in the block, nothing is injected after it."""
    try:
        yield
    finally:
        control.clear_faults()
