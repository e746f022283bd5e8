# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of a wait, how often, and the times that are kept of it."""

from __future__ import annotations

import threading
import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils import _outcome, _progress
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome


def test_a_line_says_how_many_are_there_and_which_are_in_which_phase() -> None:
    wait = _progress.Wait("Ready", [f"w{number}" for number in range(1, 11)])
    assert wait.line() == "0 of 10 Ready; not seen yet: w1, w2, w3, w4, w5 (+5)"
    for number in range(1, 8):
        wait.at(f"w{number}", "NotReady")
    wait.at("w8", "unregistered", "no kubelet")
    wait.arrived("w9")
    wait.failed("w10")
    assert wait.line() == "1 of 10 Ready; NotReady: w1, w2, w3, w4, w5 (+2); unregistered: w8 (no kubelet); failed: w10"


def test_nothing_is_said_when_nobody_is_waited_for() -> None:
    wait = _progress.Wait("Ready", ["w1", "w2"])
    wait.arrived("w1")
    wait.failed("w2")
    assert wait.line() == ""
    assert _progress.Wait("Ready", []).line() == ""


def test_each_phase_keeps_the_time_at_which_it_was_first_seen() -> None:
    now = iter([100.0, 101.0, 102.04, 107.0, 109.0])
    run = _progress.Run(lambda: next(now))
    for phase in ("booting", "maintenance", "booting", "joined"):
        run.reached("w1", phase)
    assert run.timing == {"w1": {"booting": 1.0, "maintenance": 2.0, "joined": 9.0}}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines shown, at an interval too short to wait for."""
    lines: list[str] = []
    monkeypatch.setattr(_progress, "show", lines.append)
    monkeypatch.setattr(_progress, "INTERVAL", 0.05)
    return lines


def test_a_long_wait_is_shown_again_and_again_and_a_short_one_never(shown: list[str]) -> None:
    with _progress.running(), _progress.wait("Ready", ["w1"]) as wait:
        wait.at("w1", "NotReady")
        threading.Event().wait(0.3)
    assert set(shown) == {"0 of 1 Ready; NotReady: w1"}
    assert 2 <= len(shown) <= 6
    shown.clear()
    with _progress.running(), _progress.wait("Ready", ["w1"]):
        pass
    threading.Event().wait(0.1)
    assert shown == []


def test_between_waits_there_is_silence(shown: list[str]) -> None:
    with _progress.running():
        with _progress.wait("Ready", ["w1"]):
            pass
        threading.Event().wait(0.15)
    assert shown == []


def test_a_wait_within_a_wait_is_what_is_shown(shown: list[str]) -> None:
    with _progress.running() as run, _progress.wait("registered", ["w1"]):
        with _progress.wait("running", ["w1"]):
            run.say()
        run.say()
    assert shown == ["0 of 1 running; not seen yet: w1", "0 of 1 registered; not seen yet: w1"]


class Exit(Exception):
    """The module's end."""


class Module:
    """As much of AnsibleModule as the edge of a module uses."""

    _diff = False

    def exit_json(self, **result: t.Any) -> None:
        raise Exit(result)


def test_the_result_has_the_times_of_the_nodes_that_were_waited_for() -> None:
    def work() -> Outcome:
        with _progress.wait("Ready", ["w1"]) as wait:
            wait.at("w1", "NotReady")
            wait.arrived("w1")
        return Outcome(nodes=[{"name": "w1"}, {"name": "w2"}])

    with pytest.raises(Exit) as end:
        _outcome.run(t.cast("AnsibleModule", Module()), work)
    assert end.value.args[0]["nodes"] == [{"name": "w1", "timing": {"NotReady": 0.0, "Ready": 0.0}}, {"name": "w2"}]
