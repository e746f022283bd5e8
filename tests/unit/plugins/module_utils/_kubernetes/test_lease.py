# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may take the lease, how it is kept and lost: against the simulated API server, which refuses stale versions as the real one does."""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import json
import threading
import types
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils import _permit, _progress
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError, ManagerError, WaitTimeout
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes import api as calls
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes import lease
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.client import Api
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.lease import Held, Keeper, LeaseLostError, LeaseOptions, held, work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome

from tests.sandbox.calls import Fault

from .conftest import ADDRESS, Lab
from .exchange import Expect, scripted, seconds

ALICE, BOB = "delete_node cp-1 alice@one", "delete_node cp-2 bob@two"
PATH = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


def asked(holder: str, state: str = "present", acquired: str = "") -> LeaseOptions:
    return LeaseOptions(holder, state, acquired, 10.0)


def take(api: Api, holder: str, *ticks: float) -> Outcome:
    return work(asked(holder), api, check_mode=False, clock=seconds(*(ticks or (0.0,))))


def aged(api: Api, by: float) -> None:
    """The lease as if nobody had renewed it for so many seconds."""
    found = calls.read_lease(api)
    assert found
    found["spec"]["renewTime"] = lease.timestamp(api.now() - by)
    calls.write_lease(api, found)


def mine(outcome: Outcome) -> Held:
    return Held(outcome.values["holder"], outcome.values["acquired"])


def test_it_is_taken_shown_and_given_back(api: Api) -> None:
    taken = take(api, ALICE)
    stored = calls.read_lease(api)
    assert stored
    assert (stored["spec"]["holderIdentity"], stored["spec"]["leaseDurationSeconds"], stored["spec"]["leaseTransitions"]) == (ALICE, 60, 0)
    assert [(step.verb, step.target) for step in taken.steps] == [("take", "lease/kube-system/k8s-cluster-manager")]
    back = work(asked(ALICE, "absent", taken.values["acquired"]), api, check_mode=False)
    assert ([step.verb for step in back.steps], calls.read_lease(api)) == (["release"], None)
    again = work(asked(ALICE, "absent", taken.values["acquired"]), api, check_mode=False)
    assert again.steps == []


def test_F4_the_second_waits_until_the_first_gives_it_back_and_shows_him(api: Api) -> None:
    first = take(api, ALICE)

    def clock(_timeout: float, _interval: float) -> t.Iterator[float]:
        yield 0.0
        lines.append(progress.wait.line() if progress.wait else "")
        work(asked(ALICE, "absent", first.values["acquired"]), api, check_mode=False)
        yield 2.0

    lines: list[str] = []
    with _progress.running() as progress:
        second = work(asked(BOB), api, check_mode=False, clock=clock)
    assert lines == [f"0 of 1 taken; held by others: lease/kube-system/k8s-cluster-manager ({ALICE})"]
    assert (second.values["holder"], second.values["waited_for"]) == (BOB, [ALICE])


def test_F4_a_wait_that_is_too_long_names_the_holder(api: Api) -> None:
    take(api, ALICE)
    with pytest.raises(WaitTimeout, match=rf"was not free within 10 s.*{ALICE} holds it since 20.*its lease ends in \d+ s"):
        take(api, BOB, 0, 5, 10)
    assert held(calls.read_lease(api)).holder == ALICE


@pytest.mark.parametrize(("age", "taken"), [(55, False), (61, True)])
def test_one_that_is_not_renewed_is_taken_over_when_it_ends(api: Api, age: float, taken: bool) -> None:
    first = take(api, ALICE)
    aged(api, age)
    with contextlib.nullcontext() if taken else pytest.raises(WaitTimeout):
        take(api, BOB)
    stored = calls.read_lease(api)
    assert stored
    assert (held(stored).holder, stored["spec"]["leaseTransitions"]) == ((BOB, 1) if taken else (ALICE, 0))
    with pytest.raises(LeaseLostError, match=BOB) if taken else contextlib.nullcontext():
        Keeper(api, mine(first)).renew()


def test_the_same_operation_takes_over_at_once_and_the_first_run_finds_out(api: Api) -> None:
    first, second = take(api, ALICE), take(api, ALICE)
    assert second.values["waited_for"] == []
    with pytest.raises(LeaseLostError, match="the same command was started again"):
        Keeper(api, mine(first)).renew()
    Keeper(api, mine(second)).renew()
    left = work(asked(ALICE, "absent", first.values["acquired"]), api, check_mode=False)
    assert (left.steps, held(calls.read_lease(api))) == ([], mine(second)), "the first run does not give back what is the second's"


def test_of_two_who_find_it_ended_one_gets_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    take(api, ALICE)
    aged(api, 100)
    write = calls.write_lease

    def overtaken(to: Api, found: dict[str, t.Any], attempts: int) -> t.Any:
        monkeypatch.setattr(calls, "write_lease", write)
        take(api, BOB)
        return write(to, found, attempts)

    monkeypatch.setattr(calls, "write_lease", overtaken)
    with pytest.raises(WaitTimeout, match=BOB):
        take(api, "create_node cp-3 carol@three", 0, 2)
    assert held(calls.read_lease(api)).holder == BOB


@pytest.mark.parametrize("operation", ["create_leases", "update_leases"])
def test_an_answer_that_gets_lost_does_not_lock_ourselves_out(lab: Lab, api: Api, operation: str) -> None:
    if operation == "update_leases":
        take(api, ALICE)
    lab.ledger.faults.append(Fault("lost_reply", "kubernetes", operation, ordinals=[1]))
    taken = take(api, ALICE, 0, 2, 4)
    assert held(calls.read_lease(api)) == mine(taken)
    assert [call.operation for call in lab.ledger.calls if call.fault] == [operation]


def test_check_mode_takes_nothing_and_shows_the_holder(api: Api) -> None:
    assert work(asked(BOB), api, check_mode=True).values == {"holder": "", "acquired": "", "unfinished": {}}
    assert calls.read_lease(api) is None
    take(api, ALICE)
    seen = work(asked(BOB), api, check_mode=True)
    assert seen.values["holder"] == ALICE
    assert seen.warnings[0].startswith(f"lease/kube-system/k8s-cluster-manager: {ALICE} holds it since ")
    assert held(calls.read_lease(api)).holder == ALICE


def noting(taken: Outcome, unfinished: dict[str, t.Any]) -> LeaseOptions:
    return LeaseOptions(taken.values["holder"], "present", taken.values["acquired"], 10.0, unfinished)


def test_what_is_noted_outlives_the_run_and_those_that_hold_the_lease_after_it(api: Api) -> None:
    taken = take(api, ALICE)
    step = work(noting(taken, {"w-1": {"instance_id": "i-1"}}), api, check_mode=False).steps[0]
    assert (step.verb, step.before, step.after) == ("note", {"unfinished": {}}, {"unfinished": {"w-1": {"instance_id": "i-1"}}})
    work(asked(ALICE, "absent"), api, check_mode=False)
    assert held(calls.read_lease(api)) == Held("", taken.values["acquired"])
    other = take(api, BOB)
    assert other.values["unfinished"] == {"w-1": {"instance_id": "i-1"}}
    work(asked(BOB, "absent"), api, check_mode=False)
    assert lease.noted(calls.read_lease(api)) == {"w-1": {"instance_id": "i-1"}}


def test_a_lease_in_which_nothing_is_left_to_do_goes_when_it_is_given_back(api: Api) -> None:
    taken = take(api, ALICE)
    work(noting(taken, {"w-1": {}}), api, check_mode=False)
    assert work(noting(taken, {"w-1": {}}), api, check_mode=False).steps == []
    assert [step.verb for step in work(noting(taken, {}), api, check_mode=False).steps] == ["note"]
    work(asked(ALICE, "absent"), api, check_mode=False)
    assert calls.read_lease(api) is None


def test_only_who_holds_the_lease_notes_in_it(api: Api) -> None:
    taken = take(api, ALICE)
    aged(api, 61)
    take(api, BOB)
    with pytest.raises(LeaseLostError, match=f"was lost: {BOB} took it over"):
        work(noting(taken, {"w-1": {}}), api, check_mode=False)
    assert lease.noted(calls.read_lease(api)) == {}


def test_noting_renews_the_lease(api: Api) -> None:
    taken = take(api, ALICE)
    aged(api, 50)
    work(noting(taken, {}), api, check_mode=False)
    found = calls.read_lease(api)
    assert found and lease.left(found, api.now()) > 58


def test_check_mode_notes_nothing(api: Api) -> None:
    assert work(LeaseOptions(ALICE, "present", "", 10.0, {"w-1": {}}), api, check_mode=True).values["unfinished"] == {"w-1": {}}
    assert calls.read_lease(api) is None


def test_a_note_that_somebody_spoilt_is_not_taken_for_none(api: Api) -> None:
    take(api, ALICE)
    found = calls.read_lease(api)
    assert found
    found["metadata"]["annotations"] = {lease.ANNOTATION: "w-1"}
    calls.write_lease(api, found)
    with pytest.raises(ManagerError, match="k8s-cluster-manager/unfinished is not a JSON object: w-1"):
        take(api, ALICE)


def test_times_are_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our clock is an hour ahead: neither is a live lease taken, nor one written that others find ended."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(hours=1)
    date = {"Date": email.utils.format_datetime(now, usegmt=True)}
    spec = {"holderIdentity": ALICE, "leaseDurationSeconds": 60, "acquireTime": "x", "renewTime": lease.timestamp(now.timestamp() - 30)}
    live = Expect("GET", f"{PATH}/k8s-cluster-manager", {"metadata": {"resourceVersion": "1"}, "spec": spec}, headers=date)
    with scripted(monkeypatch, live) as (api, _script), pytest.raises(WaitTimeout, match="ends in 30 s"):
        take(api, BOB)
    missing = Expect("GET", f"{PATH}/k8s-cluster-manager", {}, 404, headers=date)
    moment = lease.timestamp(int(now.timestamp()))
    monkeypatch.setattr("time.time", lambda: 5000.0)
    spec = {"holderIdentity": BOB, "leaseDurationSeconds": 60, "acquireTime": moment, "renewTime": moment, "leaseTransitions": 0}
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "k8s-cluster-manager", "namespace": "kube-system"}, "spec": spec}
    with scripted(monkeypatch, missing, Expect("POST", PATH, body, body=body)) as (api, _script):
        assert take(api, BOB).values["acquired"] == moment


def test_it_is_renewed_while_something_else_goes_on(lab: Lab, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEWAL", 0.02)
    taken = mine(take(api, ALICE))
    renewals = threading.Event()
    write = calls.write_lease

    def counted(*args: t.Any) -> t.Any:
        renewals.set()
        return write(*args)

    with lease.kept(module(lab, taken)):
        monkeypatch.setattr(calls, "write_lease", counted)
        assert renewals.wait(5)
        _permit.confirm()
    assert held(calls.read_lease(api)) == taken


def test_what_is_lost_meanwhile_stops_the_next_step_that_cannot_be_taken_back(lab: Lab, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEWAL", 0.02)
    taken = mine(take(api, ALICE))
    looked = threading.Event()
    renew, turn = Keeper.renew, threading.Lock()

    def observed(keeper: Keeper, attempts: int = 1) -> None:
        try:
            with turn:
                renew(keeper, attempts)
        except LeaseLostError:
            looked.set()
            raise

    monkeypatch.setattr(Keeper, "renew", observed)
    with lease.kept(module(lab, taken)):
        # A renewal in between would make it Alice's again.
        with turn:
            aged(api, 100)
            take(api, BOB)
        assert looked.wait(5)
        with pytest.raises(LeaseLostError, match=f"was lost: {BOB} took it over at 20"):
            _permit.confirm()
    _permit.confirm()


def test_one_that_cannot_be_renewed_for_as_long_as_it_lasts_counts_as_lost(lab: Lab, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper(api, mine(take(api, ALICE)))
    lab.ledger.faults.append(Fault("error", "kubernetes"))
    ended = threading.Event()
    waits = iter([False, True])
    monkeypatch.setattr(ended, "wait", lambda _seconds: next(waits))
    keeper.keep(ended)
    keeper.confirm()
    monkeypatch.setattr(lease, "DURATION", 0)
    with pytest.raises(LeaseLostError, match="could not be renewed for 0 s, so somebody else may hold it: Cannot read lease k8s-cluster-manager: HTTP 500"):
        keeper.confirm()


def test_a_module_whose_lease_is_gone_does_not_begin(lab: Lab, api: Api) -> None:
    taken = take(api, ALICE)
    work(asked(ALICE, "absent"), api, check_mode=False)
    with pytest.raises(LeaseLostError, match="somebody has deleted it"), lease.kept(module(lab, mine(taken))):
        raise AssertionError
    with lease.kept(module(lab, mine(taken), check_mode=True)):
        pass
    with lease.kept(t.cast("t.Any", types.SimpleNamespace(params={"lease": None}, check_mode=False))):
        pass


def test_a_lease_option_that_is_none_is_refused_without_its_text() -> None:
    for text in ("s3cret", "[]", '{"holder": "s3cret"}'):
        refused = types.SimpleNamespace(params={"lease": text}, check_mode=False)
        with pytest.raises(InputError, match=r"^lease: it is not JSON") as error, lease.kept(t.cast("t.Any", refused)):
            raise AssertionError
        assert "s3cret" not in str(error.value)


def test_the_holder_says_what_and_who(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "one")
    monkeypatch.setattr("getpass.getuser", lambda: "alice")
    params = {"operation": "delete_node", "nodes": ["cp-1", "cp-2"], "state": "present", "acquired": None, "wait_timeout": 1, "unfinished": None}
    assert LeaseOptions.of(params).holder == "delete_node cp-1,cp-2 alice@one"
    with pytest.raises(InputError):
        LeaseOptions.of({**params, "operation": " "})


def module(lab: Lab, taken: Held, check_mode: bool = False) -> t.Any:
    """A module that is to keep an acquisition."""
    told = {"holder": taken.holder, "acquired": taken.acquired, "kubeconfig": lab.kubeconfig(f"https://{ADDRESS}:{lab.port}")}
    return types.SimpleNamespace(params={"lease": json.dumps(told)}, check_mode=check_mode)
