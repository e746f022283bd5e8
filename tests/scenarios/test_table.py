# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every row of the table of failures has a test that bears its code, or a reason why it has none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
# Letter -> the numbers of its rows.
ROWS = {
    "A": [str(number) for number in range(1, 14)],
    "B": [str(number) for number in range(1, 21)],
    "C": ["1", "1b", *(str(number) for number in range(2, 12))],
    "D": [*(str(number) for number in range(1, 11)), "10b", "11", "12"],
    "E": [str(number) for number in range(1, 8)],
    "F": [str(number) for number in range(1, 6)],
    "G": ["1", "2"],
}
CODES = [f"{letter}{number}" for letter, numbers in ROWS.items() for number in numbers]
# Where the order across modules is the point, and two runs at once.
PLAYBOOKS = [TESTS / "integration" / name for name in ("test_delete.py", "test_lease.py")]


def functions(path: Path) -> list[str]:
    return [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]


def codes_tested() -> set[str]:
    names = [name for path in [*sorted((TESTS / "scenarios").glob("test_[a-g]_*.py")), *PLAYBOOKS] for name in functions(path)]
    return {found.group(1) for name in names if (found := re.match(r"test_([A-G]\d+b?)_", name))}


def reasons() -> dict[str, str]:
    """Code to why it is not reproduced, from the tables in the files' docstrings."""
    texts = [ast.get_docstring(ast.parse(path.read_text())) or "" for path in sorted((TESTS / "scenarios").glob("test_[a-g]_*.py"))]
    return dict(re.findall(r"^\| ([A-G]\d+b?) \| (.+) \|$", "\n".join(texts), re.MULTILINE))


@pytest.mark.parametrize("code", CODES)
def test_row_has_a_test_or_a_reason(code: str) -> None:
    assert (code in codes_tested()) != (code in reasons())


def test_there_are_no_other_codes() -> None:
    assert codes_tested() | reasons().keys() <= set(CODES)


@pytest.mark.parametrize("path", sorted((TESTS / "scenarios").glob("test_[a-g]_*.py")), ids=lambda path: path.stem)
def test_tests_are_in_their_letters_file(path: Path) -> None:
    letter = path.stem.split("_")[1].upper()
    assert [name for name in functions(path) if name.startswith("test_") and not name.startswith(f"test_{letter}")] == []
