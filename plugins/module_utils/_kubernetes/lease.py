# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The Lease by which runs that add or remove control planes take turns: take it, keep it, give it back.

A run that repeats a killed one bears the same holder identity and takes it over at once; the time at which it was acquired tells the two
apart, so that the first, should it live, finds that it has lost it. Times are those of the API server, which its answers bear: the clocks of
two laptops may differ by more than a lease lasts.

A holder may note in it what is not to be forgotten should he die: that stays, whoever holds the lease, until it is noted that nothing is left.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import getpass
import json
import os
import socket
import threading
import time
import typing as t

from .. import _permit, _progress
from .._errors import InputError, ManagerError, WaitTimeout
from .._outcome import Outcome
from .._plan import Step
from .._wait import Clock, ticks
from . import api as calls
from .client import ATTEMPTS, Api, KubernetesError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Object = dict[str, t.Any]

TARGET = f"lease/{calls.LEASE_NAMESPACE}/{calls.LEASE_NAME}"
# Seconds: how long it lasts, how often it is renewed, how often those who wait look.
DURATION = 60
RENEWAL = 20.0
INTERVAL = 2.0
# Where it is noted what a run has begun and not finished.
ANNOTATION = "k8s-cluster-manager/unfinished"
# The option of modules that wait: they keep the lease meanwhile. Text, because it holds a kubeconfig.
LEASE_OPTION: dict[str, t.Any] = {"lease": {"type": "str", "no_log": True}}


class LeaseLostError(ManagerError):
    """Somebody else may hold the lease."""


@dataclasses.dataclass(frozen=True)
class Held:
    """One acquisition of the lease, by whom and when (acquireTime); both empty: nobody's."""

    holder: str = ""
    acquired: str = ""


@dataclasses.dataclass(frozen=True)
class LeaseOptions:
    """What k8s_lease is asked. acquired: which acquisition is meant, any of the holder's when empty. unfinished: what to note. Seconds for the wait."""

    holder: str
    state: str
    acquired: str
    wait_timeout: float
    unfinished: Object | None = None

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> LeaseOptions:
        """Read the module's options. Raises InputError."""
        operation = params["operation"].strip()
        if not operation:
            raise InputError("operation is empty.")
        holder = " ".join(filter(None, [operation, ",".join(params["nodes"]), f"{_user()}@{socket.gethostname()}"]))
        return cls(holder, params["state"], params["acquired"] or "", params["wait_timeout"], params["unfinished"])


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def held(lease: Object | None) -> Held:
    """Whose a Lease object is."""
    spec = (lease or {}).get("spec") or {}
    return Held(spec.get("holderIdentity") or "", spec.get("acquireTime") or "")


def noted(lease: Object | None) -> Object:
    """What a Lease says that a run has begun and not finished."""
    text = ((lease or {}).get("metadata", {}).get("annotations") or {}).get(ANNOTATION) or "{}"
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        raise ManagerError(f"{TARGET}: its annotation {ANNOTATION} is not a JSON object: {text}. Correct it, or remove it if nothing is unfinished.") from None


def work(options: LeaseOptions, api: Api, check_mode: bool, clock: Clock = ticks) -> Outcome:
    """Take the lease, note something in it, or give it back."""
    if options.state == "absent":
        return give_back(options, api, check_mode)
    if options.unfinished is not None:
        return note(options, api, check_mode)
    if check_mode:
        lease = calls.read_lease(api)
        waits = not is_free(lease, options.holder, api.now())
        outcome = Outcome(steps=[take_step(lease, options.holder)], values={**dataclasses.asdict(held(lease)), "unfinished": noted(lease)})
        outcome.warnings = [f"{TARGET}: {holder_text(lease, api.now())}. A run would wait for it."] if waits else []
        return outcome
    return take(options, api, clock)


def take_step(lease: Object | None, holder: str) -> Step:
    """The acquisition in the module's plan."""
    return Step("take", "", TARGET, before={"holder": held(lease).holder}, after={"holder": holder})


def is_free(lease: Object | None, holder: str, now: float) -> bool:
    """Whether holder may take the lease: nobody's, his own from an earlier run, or not renewed for as long as it lasts. now: seconds since 1970."""
    owner = held(lease).holder
    return lease is None or owner in ("", holder) or left(lease, now) <= 0


def left(lease: Object, now: float) -> float:
    """Seconds until a lease that is not renewed may be taken over."""
    spec = lease["spec"]
    try:
        renewed = datetime.datetime.fromisoformat(str(spec.get("renewTime")).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0
    return renewed + float(spec.get("leaseDurationSeconds") or DURATION) - now


def holder_text(lease: Object | None, now: float) -> str:
    """Who holds the lease, and for how long at most if he is dead."""
    owner = held(lease)
    return f"{owner.holder} holds it since {owner.acquired}; if that run is dead, its lease ends in {max(0, left(lease or {'spec': {}}, now)):.0f} s"


def take(options: LeaseOptions, api: Api, clock: Clock) -> Outcome:
    """Wait until the lease is free and take it. Raises WaitTimeout, which names the holder."""
    waited_for: list[str] = []
    why = ""
    with _progress.wait("taken", [TARGET]) as progress:
        for _elapsed in clock(options.wait_timeout, INTERVAL):
            try:
                lease = calls.read_lease(api, attempts=1)
                if is_free(lease, options.holder, api.now()):
                    taken = calls.write_lease(api, _acquisition(lease, options.holder, api.now()), attempts=1)
                    values = {**dataclasses.asdict(held(taken)), "waited_for": waited_for, "unfinished": noted(taken)}
                    return Outcome(steps=[take_step(lease, options.holder)], values=values)
            except KubernetesError as error:
                # 409: somebody was faster, or it was us and the answer got lost.
                if not (error.transient or error.status == 409):
                    raise
                why = str(error)
                continue
            why = f"{holder_text(lease, api.now())}."
            owner = held(lease).holder
            waited_for += [owner] if owner not in waited_for else []
            progress.at(TARGET, "held by others", owner)
    raise WaitTimeout(f"{TARGET} was not free within {options.wait_timeout:g} s. Control planes are added and removed by one run at a time: {why}")


def _acquisition(lease: Object | None, holder: str, now: float) -> Object:
    """The Lease object as its new holder writes it, over the one that was read, if any."""
    # The fraction is ours, since the server tells none: no two acquisitions have the same time.
    acquired = timestamp(int(now) + time.time() % 1)
    changes = {"holderIdentity": holder, "leaseDurationSeconds": DURATION, "acquireTime": acquired, "renewTime": timestamp(now)}
    if lease is None:
        return {"metadata": {"name": calls.LEASE_NAME, "namespace": calls.LEASE_NAMESPACE}, "spec": {**changes, "leaseTransitions": 0}}
    spec = lease.get("spec") or {}
    return {"metadata": lease["metadata"], "spec": {**spec, **changes, "leaseTransitions": (spec.get("leaseTransitions") or 0) + 1}}


def timestamp(now: float) -> str:
    """Seconds since 1970 as the API writes MicroTime."""
    return datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def note(options: LeaseOptions, api: Api, check_mode: bool) -> Outcome:
    """Note what is unfinished, and renew the lease. Raises LeaseLostError when it is not ours any more; in check mode there is none to lose."""
    mine, lease = Held(options.holder, options.acquired), calls.read_lease(api)
    before, after = noted(lease), options.unfinished or {}
    if not check_mode:
        if lease is None or held(lease) != mine:
            raise _lost(lease, mine)
        calls.write_lease(api, _renewal(_annotated(lease, after), api.now()))
    steps = [Step("note", "", TARGET, before={"unfinished": before}, after={"unfinished": after})] if before != after else []
    return Outcome(steps=steps, values={**dataclasses.asdict(held(lease)), "unfinished": after})


def _annotated(lease: Object, unfinished: Object) -> Object:
    others = {key: value for key, value in (lease["metadata"].get("annotations") or {}).items() if key != ANNOTATION}
    own = {ANNOTATION: json.dumps(unfinished, sort_keys=True)} if unfinished else {}
    return {**lease, "metadata": {**lease["metadata"], "annotations": {**others, **own}}}


def _renewal(lease: Object, now: float) -> Object:
    return {"metadata": lease["metadata"], "spec": {**lease["spec"], "renewTime": timestamp(now)}}


def give_back(options: LeaseOptions, api: Api, check_mode: bool) -> Outcome:
    """Let others have the lease, if it is still this holder's, and this acquisition. What is unfinished stays noted in it; else it is deleted."""
    lease = calls.read_lease(api)
    owner = held(lease)
    if lease is None or owner.holder != options.holder or options.acquired not in ("", owner.acquired):
        return Outcome(values=dataclasses.asdict(owner))
    if not check_mode:
        _vacate(api, lease)
    return Outcome(steps=[Step("release", "", TARGET, before={"holder": options.holder})], values=dataclasses.asdict(Held()))


def _vacate(api: Api, lease: Object) -> None:
    if not noted(lease):
        # A refusal for another version (409) means that it is somebody else's by now.
        calls.delete_lease(api, lease)
        return
    nobodys = {key: value for key, value in lease["spec"].items() if key != "holderIdentity"}
    try:
        calls.write_lease(api, {"metadata": lease["metadata"], "spec": nobodys})
    except KubernetesError as error:
        if error.status != 409:
            raise


class Keeper:
    """Keeps one acquisition while something else goes on."""

    def __init__(self, api: Api, mine: Held) -> None:
        self._api = api
        self._mine = mine
        self._lost: LeaseLostError | None = None
        self._renewed = time.monotonic()
        self._trouble = ""

    def renew(self, attempts: int = ATTEMPTS) -> None:
        """Renew it now. Raises LeaseLostError when it is not ours any more, KubernetesError when that could not be found out."""
        began = time.monotonic()
        lease = calls.read_lease(self._api, attempts)
        if lease is None or held(lease) != self._mine:
            self._lost = _lost(lease, self._mine)
            raise self._lost
        calls.write_lease(self._api, _renewal(lease, self._api.now()), attempts)
        self._renewed = began

    def confirm(self) -> None:
        """Raise LeaseLostError unless it is certainly still ours."""
        if self._lost:
            raise self._lost
        gone = time.monotonic() - self._renewed
        if gone > DURATION:
            raise LeaseLostError(f"{TARGET} could not be renewed for {gone:.0f} s, so somebody else may hold it: {self._trouble}")

    def keep(self, ended: threading.Event) -> None:
        """Renew it until ended is set or it is lost. What goes wrong is said by confirm."""
        while not self._lost and not ended.wait(RENEWAL):
            try:
                self.renew(attempts=1)
            except LeaseLostError:
                return
            except ManagerError as error:
                self._trouble = str(error)


def _lost(lease: Object | None, mine: Held) -> LeaseLostError:
    return LeaseLostError(f"{TARGET} was lost: {_taken_text(lease, mine)}. Nothing further was done; the same command goes on from here.")


def _taken_text(lease: Object | None, mine: Held) -> str:
    owner = held(lease)
    if not owner.holder:
        return "somebody has deleted it"
    return "the same command was started again, and goes on" if owner.holder == mine.holder else f"{owner.holder} took it over at {owner.acquired}"


@contextlib.contextmanager
def kept(module: AnsibleModule) -> t.Iterator[None]:
    """Keep the lease that the option lease tells of, for the block; without one, nothing. Raises LeaseLostError where it is lost already."""
    text = module.params["lease"]
    if not text or module.check_mode:
        yield
        return
    # Here and not above: it brings what is needed to ask Talos, which most of those who may keep a lease do without.
    from .arguments import api_for

    told = _told(text)
    with api_for(told) as api:
        keeper = Keeper(api, Held(told["holder"], told["acquired"]))
        keeper.renew()
        ended = threading.Event()
        thread = threading.Thread(target=keeper.keep, args=(ended,), daemon=True)
        thread.start()
        try:
            with _permit.confirmed_by(keeper.confirm):
                yield
        finally:
            ended.set()
            thread.join()


def _told(text: str) -> Object:
    """The option lease, with connection options that are not given as None. Raises InputError, which shows none of it."""
    try:
        found = json.loads(text)
        return {"talosconfig": None, "kubeconfig": None, "cluster": None, "context": None, "server": None, "endpoints": [], **found, **_identity(found)}
    except (ValueError, TypeError, KeyError):
        raise InputError("lease: it is not JSON with holder, acquired and what leads to the cluster.") from None


def _identity(found: Object) -> dict[str, str]:
    return {"holder": str(found["holder"]), "acquired": str(found["acquired"])}
