# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs of life of modules that run elsewhere."""

from __future__ import annotations

import threading
import types
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils import _progress
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._in_process import ActionModule


class Shipped(ActionModule):  # type: ignore[misc]
    """An action whose module takes a while on a bastion."""

    def __init__(self, nodes: t.Any) -> None:
        self._task = types.SimpleNamespace(action="k8s_cluster.manager.ec2_node", args={"nodes": nodes}, async_val=0)
        self._play_context = types.SimpleNamespace(remote_addr="bastion")

    def _execute_module(self, **_words: t.Any) -> dict[str, t.Any]:
        threading.Event().wait(0.2)
        return {"changed": True}


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([{"name": "w1"}, {"name": "w2"}], {"0 of 2 finished; ec2_node runs on bastion: w1, w2"}),
        ([], set()),
        ("no list", set()),
        ([{"nome": "w1"}, "w2"], set()),
    ],
)
def test_a_module_elsewhere_is_seen_to_run(monkeypatch: pytest.MonkeyPatch, nodes: t.Any, expected: set[str]) -> None:
    lines: list[str] = []
    monkeypatch.setattr(_progress, "show", lines.append)
    monkeypatch.setattr(_progress, "INTERVAL", 0.05)
    assert Shipped(nodes)._run_there({}) == {"changed": True}
    assert set(lines) == expected
