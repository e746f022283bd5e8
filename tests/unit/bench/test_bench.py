# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks' own rules: what they print, when they fail, and that they measure what they say."""

from __future__ import annotations

import json
import time
import typing as t

import pytest

from tests.bench import __main__ as program
from tests.bench.cases import talos_config
from tests.bench.figures import Figure, medians


def give(monkeypatch: pytest.MonkeyPatch, *found: Figure) -> None:
    """Benchmarks that have these figures."""
    monkeypatch.setattr(program, "figures", lambda words, quick: iter(found))


def test_a_missed_figure_is_named_and_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    give(monkeypatch, Figure("a", 2.0, 3), Figure("b", 4.5, 3, "s", {"one": 1.5}))
    assert program.main([]) == 1
    output = capsys.readouterr()
    assert [json.loads(line) for line in output.out.split("\n")[:2]] == [
        {"name": "a", "value": 2.0, "limit": 3, "unit": "x"},
        {"name": "b", "value": 4.5, "limit": 3, "unit": "s", "one": 1.5},
    ]
    assert "b      4.50 s   limit 3  MISSED" in output.out
    assert output.err == "bench: missed: b: 4.50 s, limit 3\n"


def test_all_kept_is_success_and_none_found_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, Figure("a", 3.0, 3))
    assert program.main(["--quick"]) == 0
    give(monkeypatch)
    assert program.main([]) == 1


def test_a_file_is_found_by_its_name() -> None:
    assert [figure.limit for figure in program.figures("talos_con", True)] == [10, 40]
    assert list(program.figures("no such", True)) == []


def test_tasks_take_turns() -> None:
    order: list[str] = []
    tasks: dict[str, t.Callable[[], t.Any]] = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    medians(tasks, 2, lambda: order.append("-"))
    assert order == ["-", "a", "-", "b", "-", "a", "-", "b"]


def test_a_median_is_cpu_time_of_the_task_alone() -> None:
    durations = iter([0.02, 0.06, 0.02])

    def work() -> None:
        until = time.process_time() + next(durations)
        while time.process_time() < until:
            pass

    assert 0.02 <= medians({"a": work}, 3, lambda: time.sleep(0.01))["a"] < 0.05


def test_the_config_that_is_measured_has_eight_kilobytes_and_is_patched() -> None:
    assert 8000 <= len(talos_config.CONFIG) <= 8400
    (node,) = talos_config.render_nodes(talos_config.CONFIG, talos_config.PATCHES, talos_config._nodes(1), "controlplane", None, "cloud").nodes.values()
    for text in ("vm.max_map_count", "mirror.example.com", "audit-log-maxage", "n0.example.com", "purpose: gpu"):
        assert text in node.text
