# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets of a target group: registration, health as the checks find it, draining, and when they are forgotten.

https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html
https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html (deregistration delay)
"""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from ..calls import Ledger

Key = tuple[str, int]
# Seconds that a target which is over is remembered, so that its connections are ended where the group is set so.
LINGER = 1.0

DESCRIPTIONS = {
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Elb.InitialHealthChecking": "Initial health checks in progress",
    "Target.Timeout": "Request timed out",
    "Target.FailedHealthChecks": "Health checks failed",
    "Target.NotInUse": "Target group is not configured to receive traffic from the load balancer",
    "Target.NotRegistered": "Target is not registered to the target group",
    "Target.InvalidState": "Target is in the stopped state",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
}
OTHER_ZONE = "Target is in an Availability Zone that is not enabled for the load balancer"


@dataclasses.dataclass
class Health:
    """What DescribeTargetHealth says of one target."""

    state: str
    reason: str = ""
    description: str = ""

    def public(self) -> dict[str, str]:
        """As the API shows it: a healthy target has neither reason nor description."""
        if not self.reason:
            return {"State": self.state}
        return {"State": self.state, "Reason": self.reason, "Description": self.description or DESCRIPTIONS[self.reason]}


@dataclasses.dataclass
class Target:
    """One registered (or leaving) target. Times are the sandbox clock's.

    checked: it is in use and up, so the load balancer checks it; registering_until, initial_until: the phases of
    its start; drained_at, forgotten_at: when it is no longer listed, and no longer sent connections.
    """

    id: str
    port: int
    ip: str
    zone: str
    registering_until: float = 0.0
    initial_until: float = 0.0
    status: str = "initial"
    reason: str = ""
    last: str | None = None
    streak: int = 0
    checked: bool = False
    drained_at: float | None = None
    forgotten_at: float | None = None
    idle: Health | None = None

    @property
    def key(self) -> Key:
        """What tells targets of a group apart: the same instance may be registered with several ports."""
        return (self.id, self.port)

    def begin(self, now: float, ledger: Ledger) -> None:
        """Start (again) to be checked."""
        seconds = ledger.delay("elb.initial", 0.5)
        self.registering_until, self.initial_until = now + seconds / 2, now + seconds
        self.status, self.reason, self.last, self.streak = "initial", "", None, 0
        self.drained_at = self.forgotten_at = None

    def leave(self, now: float, drain: float, propagate: float) -> None:
        """Deregister: draining for `drain` seconds; new connections still come for `propagate` seconds."""
        if self.drained_at is None:
            self.drained_at, self.forgotten_at = now + drain, now + propagate

    def record(self, failure: str, up: int, down: int) -> None:
        """Take a health check's result; up, down: equal results in a row that change the status."""
        self.streak = self.streak + 1 if self.last is not None and bool(self.last) == bool(failure) else 1
        self.last = failure
        if self.status == "healthy" and failure and self.streak >= down:
            self._is("unhealthy", failure)
        if self.status == "unhealthy" and not failure and self.streak >= up:
            self._is("healthy", "")

    def settle(self, now: float) -> None:
        """End the initial phase once its time is over and a check has been made."""
        if self.status == "initial" and now >= self.initial_until and self.last is not None:
            self._is("unhealthy" if self.last else "healthy", self.last)

    def _is(self, status: str, failure: str) -> None:
        self.status = status
        self.reason = {"": "", "timeout": "Target.Timeout", "failed": "Target.FailedHealthChecks"}[failure]

    def draining(self, now: float) -> bool:
        """True while it is deregistering."""
        return self.drained_at is not None and now < self.drained_at

    def registered(self) -> bool:
        """True if it has not been deregistered."""
        return self.drained_at is None

    def over(self, now: float) -> bool:
        """True if nothing of it is left."""
        return self.drained_at is not None and now >= max(self.drained_at, self.forgotten_at or 0.0) + LINGER

    def routable(self, now: float) -> bool:
        """True if it may get new connections although it is leaving."""
        return self.forgotten_at is not None and now < self.forgotten_at and self.status != "initial"

    def health(self, now: float) -> Health:
        """Its health as the API shows it."""
        if self.drained_at is not None:
            return Health("draining", "Target.DeregistrationInProgress") if now < self.drained_at else Health("unused", "Target.NotRegistered")
        if self.idle is not None:
            return self.idle
        if self.status == "initial":
            return Health("initial", "Elb.RegistrationInProgress" if now < self.registering_until else "Elb.InitialHealthChecking")
        return Health(self.status, self.reason)
