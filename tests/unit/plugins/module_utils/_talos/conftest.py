# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the Talos client's tests."""

from __future__ import annotations

import typing as t

import pytest

from .server import Authority, Loop, Node


@pytest.fixture(scope="session")
def loop() -> t.Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def nodes(loop: Loop, authority: Authority) -> t.Iterator[t.Callable[..., Node]]:
    """Make scripted nodes; all are stopped at the end."""
    made: list[Node] = []

    def make(**kwargs: t.Any) -> Node:
        made.append(Node(loop, kwargs.pop("authority", authority), **kwargs))
        return made[-1]

    yield make
    for node in made:
        node.stop()
