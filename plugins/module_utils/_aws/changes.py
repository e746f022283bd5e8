# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Changes of AWS resources as data: planned before anything is there, carried out in order, each owner's to its own first failure."""

from __future__ import annotations

import dataclasses
import typing as t

from .. import _progress
from .._errors import ManagerError, WaitTimeout
from .._plan import Step
from .._wait import Clock
from .errors import ApiError

Params = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Ref:
    """Something that may have to be made first; in a call's parameters it stands for the ID that it then has."""

    kind: str
    name: str


@dataclasses.dataclass(frozen=True)
class Call:
    """One API call: a client's method, its parameters, and what its answer gives an ID to."""

    operation: str
    params: Params
    makes: Ref | None = None


@dataclasses.dataclass(frozen=True)
class Change:
    """One step of a plan and the calls that carry it out."""

    step: Step
    calls: tuple[Call, ...]

    @property
    def words(self) -> str:
        """What it does, for error messages: "create target group web-80"."""
        return f"{self.step.verb} {self.step.target} of {self.step.node}"


@dataclasses.dataclass
class Findings:
    """A plan, what forbids it, and what should be known of it."""

    changes: list[Change] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)

    @property
    def steps(self) -> list[Step]:
        """The plan as a module reports it."""
        return [change.step for change in self.changes]


def drift(wanted: t.Mapping[str, t.Any], now: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What of the wanted values is different now."""
    return {key: value for key, value in wanted.items() if now.get(key) != value}


# (operation, what it is for, parameters) -> the ID of what it made, "" when it makes nothing.
Caller = t.Callable[[str, str, Params], str]


def resolved(value: t.Any, ids: t.Mapping[Ref, str]) -> t.Any:
    """Parameters with every Ref replaced by its ID; KeyError for one that nothing has made."""
    if isinstance(value, Ref):
        return ids[value]
    if isinstance(value, t.Mapping):
        return {key: resolved(item, ids) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolved(item, ids) for item in value]
    return value


def carry_out(changes: t.Iterable[Change], ids: dict[Ref, str], caller: Caller, failures: dict[str, str]) -> None:
    """Make the calls in order and add to ids what they made.

    An owner (the step's node) whose call fails is noted in failures; its further changes are left out, the others' are made.
    """
    for change in changes:
        if change.step.node in failures:
            continue
        try:
            for call in change.calls:
                made = caller(call.operation, change.words, resolved(call.params, ids))
                if call.makes is not None:
                    ids[call.makes] = made
        except ApiError as error:
            failures[change.step.node] = str(error)


# Seconds after which every part of AWS should know what another one has just made.
CONSISTENCY = 60.0


def patient(caller: Caller, clock: Clock, timeout: float, busy: t.Collection[str], gone: t.Collection[str] = ()) -> Caller:
    """A caller that tries again while AWS answers with a code in busy: not there yet, or still in use. Codes in gone mean that a removal is done already."""

    def call(operation: str, words: str, params: Params) -> str:
        error: ManagerError = WaitTimeout(f"{words}: no time to try within {timeout:g} s")
        with _progress.wait("done", [words]) as progress:
            for _elapsed in clock(timeout, 5.0):
                try:
                    return caller(operation, words, params)
                except ApiError as refusal:
                    if refusal.code in gone:
                        return ""
                    if refusal.code not in busy:
                        raise
                    error = refusal
                    progress.at(words, refusal.code)
        raise error

    return call
