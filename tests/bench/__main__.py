# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All benchmarks: python -m tests.bench [--quick] [words of a file's name]: a JSON line for each figure, a table, and an error for what is missed."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import typing as t

from tests import conftest  # noqa: F401 - makes the collection importable

from . import cases
from .figures import Figure


def figures(words: str, quick: bool) -> t.Iterator[Figure]:
    """The figures of the files whose names have these words."""
    for found in pkgutil.iter_modules(cases.__path__):
        if words in found.name:
            yield from importlib.import_module(f"{cases.__name__}.{found.name}").measure(quick)


def line(figure: Figure) -> str:
    """A figure as JSON."""
    return json.dumps({"name": figure.name, "value": round(figure.value, 2), "limit": figure.limit, "unit": figure.unit, **figure.seen})


def table(found: t.Sequence[Figure]) -> str:
    """Figures for people."""
    width = max((len(figure.name) for figure in found), default=0)
    return "\n".join(
        f"{figure.name:{width}}  {figure.value:8.2f} {figure.unit:2}  limit {figure.limit:g}{'  MISSED' if figure.missed else ''}" for figure in found
    )


def main(arguments: t.Sequence[str] | None = None) -> int:
    """0 when every figure keeps its limit."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("words", nargs="?", default="")
    options = parser.parse_args(arguments)
    found = []
    for figure in figures(options.words, options.quick):
        print(line(figure), flush=True)
        found.append(figure)
    print(table(found))
    missed = [f"{figure.name}: {figure.value:.2f} {figure.unit}, limit {figure.limit:g}" for figure in found if figure.missed]
    if missed or not found:
        print(f"bench: missed: {'; '.join(missed) or 'no benchmark of that name'}", file=sys.stderr)
    return 1 if missed or not found else 0


if __name__ == "__main__":
    sys.exit(main())
