# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All benchmarks: python -m tests.bench [--quick] [words of a file's name]: a JSON line for each case and figure, tables, and an error for what is missed."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import typing as t

from tests import conftest  # noqa: F401 - makes the collection importable

from . import cases
from .figures import Case, Figure

# What the table of cases shows of each.
COLUMNS = ("wall", "own", "cpu", "simulator", "memory", "paid_calls", "polls", "looks", "pages", "tasks")


def figures(words: str, quick: bool) -> t.Iterator[Case | Figure]:
    """The cases and figures of the files whose names have these words."""
    for found in pkgutil.iter_modules(cases.__path__):
        if words in found.name:
            yield from importlib.import_module(f"{cases.__name__}.{found.name}").measure(quick)


def line(one: Case | Figure) -> str:
    """A case or figure as JSON."""
    if isinstance(one, Case):
        return json.dumps({"case": one.name, **one.seen})
    return json.dumps({"name": one.name, "value": round(one.value, 2), "limit": one.limit, "unit": one.unit, **one.seen})


def cases_table(measured: t.Sequence[Case]) -> str:
    """Cases for people."""
    width = max((len(case.name) for case in measured), default=0)
    rows = [f"{case.name:{width}}  " + "  ".join(f"{case.seen[column]:>10}" for column in COLUMNS) for case in measured]
    return "\n".join([f"{'':{width}}  " + "  ".join(f"{column:>10}" for column in COLUMNS), *rows]) if rows else ""


def table(figures: t.Sequence[Figure]) -> str:
    """Figures for people."""
    width = max((len(figure.name) for figure in figures), default=0)
    return "\n".join(
        f"{figure.name:{width}}  {figure.value:8.2f} {figure.unit:5}  limit {figure.limit:g}{'  MISSED' if figure.missed else ''}" for figure in figures
    )


def main(arguments: t.Sequence[str] | None = None) -> int:
    """0 when every figure keeps its limit."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("words", nargs="?", default="")
    options = parser.parse_args(arguments)
    measured: list[Case | Figure] = []
    for one in figures(options.words, options.quick):
        print(line(one), flush=True)
        measured.append(one)
    limited = [one for one in measured if isinstance(one, Figure)]
    for text in (cases_table([one for one in measured if isinstance(one, Case)]), table(limited)):
        print(text)
    missed = [f"{figure.name}: {figure.value:.2f} {figure.unit}, limit {figure.limit:g}" for figure in limited if figure.missed]
    if missed or not limited:
        print(f"bench: missed: {'; '.join(missed) or 'no benchmark of that name'}", file=sys.stderr)
    return 1 if missed or not limited else 0


if __name__ == "__main__":
    sys.exit(main())
