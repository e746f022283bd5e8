# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks' own rules: what they print, when they fail, and that they measure what they say."""

from __future__ import annotations

import json
import time
import typing as t
from xml.etree import ElementTree

import pytest
import yaml

from tests.bench import __main__ as program
from tests.bench import floor, page
from tests.bench.cases import talos_config
from tests.bench.figures import Case, Figure, medians
from tests.bench.measured import Run, sort, union


def give(monkeypatch: pytest.MonkeyPatch, *found: Case | Figure) -> None:
    """Benchmarks that have these figures and cases."""
    monkeypatch.setattr(program, "figures", lambda words, quick: iter(found))


def test_a_missed_figure_is_named_and_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    give(monkeypatch, Figure("a", 2.0, 3), Figure("b", 4.5, 3, "s", {"one": 1.5}))
    assert program.main([]) == 1
    output = capsys.readouterr()
    assert [json.loads(line) for line in output.out.split("\n")[:2]] == [
        {"name": "a", "value": 2.0, "limit": 3, "unit": "x"},
        {"name": "b", "value": 4.5, "limit": 3, "unit": "s", "one": 1.5},
    ]
    assert "b      4.50 s      limit 3  MISSED" in output.out
    assert output.err == "bench: missed: b: 4.50 s, limit 3\n"


def test_all_kept_is_success_and_none_found_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, Figure("a", 3.0, 3))
    assert program.main(["--quick"]) == 0
    give(monkeypatch)
    assert program.main([]) == 1


def test_a_file_is_found_by_its_name() -> None:
    assert [figure.limit for figure in program.figures("talos_con", True) if isinstance(figure, Figure)] == [10, 40]
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


RUN = Run(3.0, 1.0, 2.5, 99.6, {"ec2.RunInstances": 1}, 2, 3, 4, ("assert", "skipped", "ec2_node"))


def test_a_case_is_a_line_and_a_row(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    give(monkeypatch, Case("create", RUN.public()), Figure("a", 1.0, 1))
    assert program.main([]) == 0
    output = capsys.readouterr().out.split("\n")
    expected = {"own": 2.0, "served": 1.0, "paid_calls": 1, "polls": 2, "looks": 3, "pages": 4, "tasks": 2, "memory": 100}
    assert json.loads(output[0]).items() >= {"case": "create", "calls": {"ec2.RunInstances": 1}, **expected}.items()
    assert output[3].split() == ["create", "3.0", "2.0", "2.5", "0.0", "100", "1", "2", "3", "4", "2"]


def test_what_overlaps_counts_once_and_only_within_the_run() -> None:
    assert union([(0, 2), (1, 3), (1, 2), (5, 6), (9, 20)], (0.5, 10)) == 2.5 + 1 + 1
    assert union([(0, 1), (11, 12)], (2, 10)) == 0


def call(started: float, operation: str, mutating: bool = False, **detail: t.Any) -> dict[str, t.Any]:
    return {"service": "ec2", "operation": operation, "mutating": mutating, "started": started, "detail": detail}


def test_calls_that_a_task_repeats_are_polls_those_of_another_task_are_not() -> None:
    read = "DescribeInstances"
    calls = [
        *(call(1, read), call(2, read), call(3, read, Filters=["other"]), call(4, read, NextToken="x")),
        *(call(11, read), call(12, "RunInstances", mutating=True), call(13, "RunInstances", mutating=True), call(14, "GetConsoleOutput")),
    ]
    assert sort(calls, [10, 20]) == ({"ec2.DescribeInstances": 3, "ec2.RunInstances": 2}, 1, 1, 1)


def test_a_floor_has_the_tasks_of_its_run() -> None:
    assert floor.expected(RUN.tasks) == ["assert", "skipped", "floor_aws"]
    (play,) = yaml.safe_load(floor.playbook("create_node", RUN.tasks))
    assert [sorted(task.keys() - {"name"}) for task in play["tasks"]] == [["ansible.builtin.assert"], ["ansible.builtin.debug", "when"], ["floor_aws"]]


def test_the_page_has_what_was_measured_and_plots_grow_with_it() -> None:
    lines = [json.loads(program.line(one)) for one in (Case("create N=1", RUN.public()), Case("create N=100", RUN.public()), Figure("a", 2.0, 1, "s"))]
    printed = "\n".join(["no JSON", *map(json.dumps, lines)])
    assert page.read(printed) == lines
    written = page.parts(lines)
    assert "| a | 2 s | 1 | missed |" in written["figures"]
    assert "| create N=1 | 3.0 | 2.0 | 2.5 |" in written["cases"]
    series = page.growth(lines, "wall")
    assert series == {"create_node": [(1.0, 3.0), (100.0, 3.0)]}
    drawn = ElementTree.fromstring(page.plot("seconds", {**series, "other": [(1.0, 30.0), (100.0, 3000.0)]}, " s"))
    lines_drawn = [[tuple(map(float, point.split(","))) for point in line.get("points", "").split()] for line in drawn.iter() if line.tag.endswith("polyline")]
    (flat, rising) = lines_drawn
    assert flat[0][1] == flat[1][1]
    assert rising[0][1] - rising[1][1] > 100
    assert flat[0][0] == rising[0][0] < rising[1][0]
