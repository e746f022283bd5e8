# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods are unavailable, and the wait until they are no more than before."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils import _progress
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import WaitTimeout
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.availability import unavailable, work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.client import Api

from .conftest import Lab
from .exchange import seconds


def pod(name: str, phase: str = "Running", ready: bool = True, kept: bool = True, **more: t.Any) -> dict[str, t.Any]:
    owners = [{"kind": "ReplicaSet", "controller": True}] if kept else []
    metadata = {"namespace": "shop", "name": name, "ownerReferences": owners, **more.pop("metadata", {})}
    return {"metadata": metadata, "status": {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}], **more}}


def test_pods_that_are_kept_and_not_ready_are_unavailable() -> None:
    waiting = [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
    unscheduled = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]
    pods = [
        pod("fine"),
        pod("crashing", ready=False, containerStatuses=waiting),
        pod("homeless", "Pending", conditions=unscheduled),
        pod("new", "Pending", conditions=[]),
        pod("broken", ready=False),
    ]
    assert unavailable(pods) == {"shop/crashing": "CrashLoopBackOff", "shop/homeless": "Unschedulable", "shop/new": "Pending", "shop/broken": "Running"}


def test_pods_that_nobody_keeps_that_go_or_have_done_their_work_do_not_count() -> None:
    going = {"deletionTimestamp": "2026-11-22T15:00:00Z"}
    assert unavailable([pod("alone", ready=False, kept=False), pod("done", "Succeeded", ready=False), pod("going", ready=False, metadata=going)]) == {}


def test_it_is_waited_until_there_are_no_more_than_before(lab: Lab, api: Api) -> None:
    lab.web()

    def clock(timeout: float, _interval: float) -> t.Iterator[float]:
        assert timeout == 30
        yield 0.0
        lines.append(progress.wait.line() if progress.wait else "")
        lab.node("w-1", 1)
        lab.store.settle("fargle")
        yield 5.0

    lines: list[str] = []
    with _progress.running() as progress:
        assert work(0, 30, api, check_mode=False, clock=clock).values == {"unavailable": {}}
    assert lines[0].startswith("0 of 2 available; Unschedulable: shop/web-")


def test_what_is_unavailable_is_only_told_where_nothing_is_to_be_waited_for(lab: Lab, api: Api) -> None:
    lab.web()
    told = work(None, 30, api, check_mode=False, clock=seconds(0.0)).values["unavailable"]
    assert list(told.values()) == ["Unschedulable", "Unschedulable"]
    assert work(0, 30, api, check_mode=True, clock=seconds(0.0)).values["unavailable"] == told
    assert work(2, 30, api, check_mode=False, clock=seconds(0.0)).values["unavailable"] == told


def test_a_wait_that_is_too_long_names_the_pods(lab: Lab, api: Api) -> None:
    lab.web()
    with pytest.raises(WaitTimeout, match=r"after 5 s 2 pods are not available, 1 were before: shop/web-\S+ \(Unschedulable\), shop/web-"):
        work(1, 5, api, check_mode=False, clock=seconds(0.0, 5.0))
