# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hunt for mutants itself: it tells those that a test notices from those that none does, and refuses to start on broken tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import __main__ as command
from tests.mutants import engine, mutations
from tests.mutants.runner import Hunt

ROOT = Path(__file__).resolve().parents[2]

TOY = """
WORDS = {"a": 1, "b": 2}
SIGNS = ("+", "-")
TWICE = {"up": lambda number: number * 2, "down": lambda number: number / 2}

def clamp(number, low):
    if number < low:
        return low
    return number

def known(word):
    return word in WORDS and word != "zz"

def forever(number):
    while True:
        if number > 3:
            return number
        number += 1 if number else 0

def scaled(way, number):
    return TWICE[way](number)

def signs(text):
    return [sign for sign in text if sign in SIGNS]
"""

TESTS = """
import toy

def test_toy():
    assert (toy.clamp(1, 2), toy.clamp(3, 2)) == (2, 3)
    assert toy.known("a") and not toy.known("c")
    assert toy.forever(1) == 4
    assert toy.scaled("up", 2) == 4
"""

HUNT = """
import tests.mutants.runner as runner, toy, sys
from tests.mutants.mutations import conditions, tables, watch, watch_tables
NEUTRAL = {"toy.TWICE": {"is inert": lambda number: number}}
def watched(note):
    watch(toy, note)
    watch_tables(toy, NEUTRAL, note)
runner.SECONDS_EACH = 1
found = runner.hunt([*tables(toy, [toy], NEUTRAL), *conditions(toy, parts=True)], [toy], watched, sys.argv[1:])
print(found.tried, *found.survivors, sep="\\n")
"""


def hunted(folder: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """A hunt on the toy with these tests."""
    (folder / "toy.py").write_text(TOY)
    (folder / "test_toy.py").write_text(tests)
    command = [sys.executable, "-c", HUNT, str(folder / "test_toy.py")]
    return subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": f"{ROOT}:{folder}"}, capture_output=True, text=True, timeout=60, check=False)


def test_survivors_are_named(tmp_path: Path) -> None:
    lines = hunted(tmp_path, TESTS).stdout.splitlines()
    assert any("toy.clamp: if number < low  <- test_toy" in line for line in lines)
    assert any("toy.forever: if number > 3  <- takes too long" in line for line in lines)
    assert sorted(lines[lines.index("12") + 1 :]) == [
        "toy.SIGNS without '+'",
        "toy.SIGNS without '-'",
        "toy.TWICE['down'] is inert",
        "toy.WORDS['b'] is gone",
        "toy.known: and word != 'zz'",
        "toy.signs: filter sign in SIGNS",
    ]


def test_broken_tests_prove_nothing(tmp_path: Path) -> None:
    ended = hunted(tmp_path, TESTS + "    assert False\n")
    assert ended.returncode != 0
    assert "mutants: without a mutant" in ended.stderr


def test_each_merge_rule_and_table_entry_is_a_mutant() -> None:
    names = {mutant.name for mutant in engine.mutants()}
    rules = engine.modules()["merge"].RULES
    assert {f"merge.RULES[{rule!r}] keeps the base's value" for rule in rules} <= names


def test_an_unknown_equivalent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine.EQUIVALENT, "merge.gone: if x", "it is no more")
    with pytest.raises(SystemExit, match="merge.gone"):
        engine.mutants()


@pytest.mark.parametrize(
    ("survivors", "code", "said"),
    [
        (["merge._url: or not right"], 0, ["mutants: 3, killed 2 (1 of them take too long), equivalent 1, survivors 0"]),
        (
            ["merge._url: or not left"],
            1,
            [
                "survived: merge._url: or not left",
                "not equivalent: merge._url: or not right",
                "mutants: 3, killed 2 (1 of them take too long), equivalent 0, survivors 1",
            ],
        ),
    ],
)
def test_the_last_line_and_the_exit_code_tell_survivors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], survivors: list[str], code: int, said: list[str]
) -> None:
    def hunt(mutants: list[mutations.Mutation], *_: object) -> Hunt:
        assert [mutant.name for mutant in mutants] == ["merge._url: if not left or not right", "merge._url: or not left", "merge._url: or not right"]
        return Hunt(mutants, [], engine.watch, 1, survivors=survivors, tried=3, endless=1)

    monkeypatch.setattr(command, "hunt", hunt)
    assert command.main(["merge._url"]) == code
    assert capsys.readouterr().out.splitlines() == said


def test_no_mutant_of_that_name_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "hunt", lambda mutants, *_: Hunt(mutants, [], engine.watch, 1))
    assert command.main(["no such mutant"]) == 1
