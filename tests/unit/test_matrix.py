# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The support matrix: which cells there are, what goes into them, and what makes the target fail."""

from __future__ import annotations

import re
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from tests import matrix


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., None]:
    """Say which Pythons this machine has."""
    return lambda *versions: monkeypatch.setattr(matrix, "interpreter", lambda version: sys.executable if version in versions else None)


def names(cells: t.Iterable[matrix.Cell]) -> list[str]:
    return [cell.name for cell in cells]


def test_each_core_on_the_ends_of_its_pythons_and_the_newest_that_is_here(here: t.Callable[..., None]) -> None:
    here("3.10", "3.13")
    found = names(matrix.chosen([]))
    assert found[:3] == ["lowest", "2.16/3.10", "2.16/3.12"]
    assert found[-3:] == ["2.21/3.12", "2.21/3.13", "2.21/3.14"]


def test_words_choose_cells_in_order(here: t.Callable[..., None]) -> None:
    here("3.11", "3.12")
    assert names(matrix.chosen(["newest", "oldest", "lowest", "2.18"])) == ["lowest", "2.16/3.11", "2.18/3.11", "2.18/3.12", "2.18/3.13", "2.21/3.12"]
    with pytest.raises(ValueError, match="no such cell: 2.15"):
        matrix.chosen(["2.15"])


def test_the_oldest_core_is_the_one_that_the_collection_requires() -> None:
    requires = yaml.safe_load((matrix.ROOT / "meta" / "runtime.yml").read_text())["requires_ansible"]
    assert requires == f">={matrix.RELEASES[0][0]}.0"


def test_lower_bounds_are_what_the_lowest_cell_installs() -> None:
    (cell,) = matrix.chosen(["lowest"])
    bounds = [line.replace(">=", "==") for line in matrix.lines("requirements.txt")]
    assert cell.requirements()[: len(bounds)] == bounds
    assert any(line.startswith("protobuf==4.25") for line in bounds)
    with pytest.raises(ValueError, match="its lower bound cannot be tested"):
        matrix.lowest("boto3")


def test_execution_environments_get_the_same_libraries() -> None:
    assert matrix.lines("meta/ee-requirements.txt") == matrix.lines("requirements.txt")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "ENVIRONMENTS", tmp_path / "environments")
    monkeypatch.setattr(matrix, "LOGS", tmp_path / "logs")


@pytest.mark.usefixtures("scratch")
def test_a_cell_without_interpreter_says_so_and_is_not_red(
    here: t.Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here()
    monkeypatch.setattr(sys, "argv", ["matrix", "2.21/3.14"])
    assert matrix.main() == 0
    assert "needs Python 3.14" in capsys.readouterr().out


@pytest.mark.usefixtures("scratch")
def test_a_red_cell_fails_and_shows_its_log(here: t.Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    here("3.10")
    made: list[str] = []
    monkeypatch.setattr(matrix, "make", lambda cell, python, log: made.append(cell.name) or True)
    monkeypatch.setattr(matrix, "suite", lambda cell, arguments, log: log.write("E   it broke\n") and "FAILED")
    monkeypatch.setattr(sys, "argv", ["matrix", "2.16/3.10"])
    assert matrix.main() == 1
    assert made == ["2.16/3.10"]
    assert "E   it broke" in capsys.readouterr().out


def test_a_suite_that_hangs_is_killed_and_red(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(matrix, "MOST_SECONDS", 0.5)
    with open(tmp_path / "log", "w") as log:
        passed, said = matrix.done(matrix.chosen(["lowest"])[0], ["sh", "-c", "echo before; sleep 60 & wait"], log)
    assert (passed, said) == (False, "before\n\nno end after 0.5 s, killed: sh -c echo before; sleep 60 & wait\n")
    assert (tmp_path / "log").read_text() == said


def test_what_is_required_is_pinned() -> None:
    """By the name alone: what it needs itself comes from the same freeze."""
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in matrix.lines("constraints.txt")}
    required = [
        line for name in ("requirements.txt", "requirements-dev.txt", "requirements-lint.txt", "requirements-browser.txt") for line in matrix.lines(name)
    ]
    names = {re.split(r"[\[>=;]", line)[0].lower().replace("_", "-") for line in required}
    assert names - pinned == {"ansible"}
