# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all AWS services of one sandbox share: its clock, its conditions, and how a moto backend finds them.

moto's backends are kept per account, so every sandbox is an account of its own and several live side by side in
one process. A backend must not hold a reference to its sandbox (it is deep-copied by snapshots): it looks it up.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t
import weakref

if t.TYPE_CHECKING:
    from .part import AwsPart

_PARTS: weakref.WeakValueDictionary[str, AwsPart] = weakref.WeakValueDictionary()


def register(account: str, part: AwsPart) -> None:
    """Make `part` the sandbox of this account."""
    _PARTS[account] = part


def part_of(account: str) -> AwsPart:
    """The sandbox of this account; KeyError if there is none (any more)."""
    return _PARTS[account]


class Clock:
    """Seconds that pass as real ones do, and that a restored snapshot can set back."""

    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> float:
        """Simulated seconds."""
        return time.monotonic() + self._offset

    def set(self, now: float) -> None:
        """Go on from `now`."""
        self._offset = now - time.monotonic()


@dataclasses.dataclass
class Conditions:
    """What goes wrong in this AWS, beyond faults of single calls. All fields are JSON.

    denied: operations the credentials may not use ("RunInstances", or "*").
    no_capacity: [{"zone": "eu-central-1a" | "*", "instance_type": "m5.large" | "*"}] that have no capacity left.
    capacity: instances that can still be launched per call (MaxCount beyond it is cut, MinCount beyond it refused).
    impaired: instance IDs whose status checks fail.
    terminated_listed: seconds for which describes still show a terminated instance (about an hour, says AWS).
    """

    denied: list[str] = dataclasses.field(default_factory=list)
    no_capacity: list[dict[str, str]] = dataclasses.field(default_factory=list)
    capacity: int | None = None
    impaired: list[str] = dataclasses.field(default_factory=list)
    terminated_listed: float = 3600.0

    def public(self) -> dict[str, t.Any]:
        """The conditions as JSON."""
        return dataclasses.asdict(self)

    def denies(self, operation: str) -> bool:
        """True if the credentials may not use this operation."""
        return operation in self.denied or "*" in self.denied

    def exhausted(self, zone: str, instance_type: str) -> bool:
        """True if this zone has no capacity for this instance type."""
        return any(entry.get("zone", "*") in (zone, "*") and entry.get("instance_type", "*") in (instance_type, "*") for entry in self.no_capacity)
