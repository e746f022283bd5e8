# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One sandbox per test process; each test, or each scene that tests share, starts in the seeded world."""

from __future__ import annotations

import typing as t

import pytest

from tests.sandbox.fixture import RunningSandbox, sandbox


def pytest_itemcollected(item: pytest.Function) -> None:
    """Tests that share a scene go to the same process; all others go wherever there is room."""
    known = item._fixtureinfo.name2fixturedefs
    scenes = [name for name in item.fixturenames if name != "stage" and name in known and known[name][-1].scope == "module"]
    if scenes:
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{scenes[0]}"))


@pytest.fixture(scope="session")
def running() -> t.Iterator[RunningSandbox]:
    with sandbox() as cloud:
        yield cloud


@pytest.fixture
def cloud(running: RunningSandbox) -> RunningSandbox:
    running.control.reset()
    return running


@pytest.fixture(scope="module")
def stage(running: RunningSandbox) -> t.Callable[[], RunningSandbox]:
    """For scenes, which are run once for many tests: each begins by calling this."""

    def begin() -> RunningSandbox:
        running.control.reset()
        return running

    return begin
