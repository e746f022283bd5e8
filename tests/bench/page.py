# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.bench.page FILE: tables and plots of docs/performance.md, from what `make bench` printed into FILE."""

from __future__ import annotations

import json
import math
import re
import sys
import typing as t
from pathlib import Path

from tests.integration.playbooks import ROOT

Point = tuple[float, float]
Series = dict[str, list[Point]]
Line = dict[str, t.Any]

PAGE = ROOT / "docs" / "performance.md"
BETWEEN = re.compile(r"(<!-- (\w+): written by tests/bench/page.py -->\n).*?(<!-- end -->)", re.DOTALL)
# Colours that are told apart by all eyes (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 360, 60, 40, 30, 170
# Case of the bench -> its line in the plots.
LINES = {"create": "create_node", "delete": "delete_node", "usual": "usual way", "usual_exact_count": "usual, exact_count"}
COLUMNS = {
    "wall": "wall, s",
    "own": "own, s",
    "cpu": "CPU, s",
    "simulator": "sandbox's CPU, s",
    "memory": "MiB",
    "paid_calls": "calls",
    "polls": "polls",
    "looks": "looks",
    "pages": "pages",
}


def read(text: str) -> list[Line]:
    """The lines of JSON in what the bench printed."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def growth(lines: t.Iterable[Line], value: str) -> Series:
    """A value by the number of nodes, for each of LINES."""
    found: Series = {}
    for line in lines:
        match = re.fullmatch(r"(\w+) N=(\d+)", line.get("case", ""))
        if match and match[1] in LINES and line[value]:
            found.setdefault(LINES[match[1]], []).append((float(match[2]), float(line[value])))
    return {name: sorted(points) for name, points in found.items()}


def _ticks(low: float, high: float) -> list[float]:
    """1, 3, 10, 30, … around a range."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [factor * 10.0**exponent for exponent in exponents for factor in (1, 3)]
    inside = [tick for tick in every if low <= tick <= high]
    return [
        max((tick for tick in every if tick <= low), default=every[0]),
        *(tick for tick in inside if tick > low),
        *[tick for tick in every if tick > high][:1],
    ]


def plot(title: str, series: Series, unit: str) -> str:
    """Lines over the number of nodes as SVG, both axes logarithmic."""
    across = _ticks(1, max(x for points in series.values() for x, _y in points))
    values = [y for points in series.values() for _x, y in points]
    up = _ticks(min(values), max(values))

    def at(x: float, y: float) -> Point:
        share_x = math.log(x / across[0]) / math.log(across[-1] / across[0])
        share_y = math.log(y / up[0]) / math.log(up[-1] / up[0])
        return round(LEFT + share_x * (WIDTH - LEFT - RIGHT), 1), round(HEIGHT - BOTTOM - share_y * (HEIGHT - BOTTOM - TOP), 1)

    drawn = [f'<text x="{LEFT}" y="18" font-weight="bold">{title}</text>']
    drawn += [_rule(at(tick, up[0]), at(tick, up[-1]), f"{tick:g}", below=True) for tick in across]
    drawn += [_rule(at(across[0], tick), at(across[-1], tick), f"{tick:g}{unit}", below=False) for tick in up]
    for number, (name, points) in enumerate(series.items()):
        drawn.append(_line(name, [at(*point) for point in points], COLOURS[number % len(COLOURS)], number))
    drawn.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">nodes</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *drawn, "</svg>"]) + "\n"


def _rule(start: Point, end: Point, text: str, *, below: bool) -> str:
    """A line of the grid and what it stands for."""
    x, y, anchor = (start[0], start[1] + 16, "middle") if below else (start[0] - 6, start[1] + 4, "end")
    line = f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}" stroke="#ddd"/>'
    return f'{line}<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'


def _line(name: str, points: list[Point], colour: str, number: int) -> str:
    """A line with its points, and its name beside the plot."""
    path = " ".join(f"{x},{y}" for x, y in points)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in points)
    key = f'<text x="{WIDTH - RIGHT + 14}" y="{TOP + 14 + 18 * number}" fill="{colour}">{name}</text>'
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}{key}'


def _table(head: t.Sequence[str], rows: t.Iterable[t.Sequence[t.Any]]) -> str:
    texts = [" | ".join(map(str, row)) for row in ([*head], ["---"] * len(head), *rows)]
    return "".join(f"| {text} |\n" for text in texts)


def parts(lines: t.Sequence[Line]) -> dict[str, str]:
    """The page's written parts by name."""
    cases = [line for line in lines if "case" in line]
    figures = [line for line in lines if "limit" in line]
    longest: dict[str, float] = next((line["longest"] for line in cases if line["case"] == "create N=1" and "longest" in line), {})
    return {
        "figures": _table(
            ("figure", "value", "limit", ""),
            [(one["name"], f"{one['value']:g} {one['unit']}", f"{one['limit']:.3g}", "missed" if one["value"] > one["limit"] else "") for one in figures],
        ),
        "cases": _table(("case", *COLUMNS.values(), "tasks"), [(one["case"], *(one[name] for name in COLUMNS), one["tasks"]) for one in cases]),
        "longest": _table(("task", "s"), list(longest.items())),
    }


def main(arguments: t.Sequence[str]) -> int:
    """Write the page's parts and plots."""
    lines = read(Path(arguments[0]).read_text())
    written = parts(lines)
    PAGE.write_text(BETWEEN.sub(lambda match: match[1] + "\n" + written[match[2]] + "\n" + match[3], PAGE.read_text()))
    for name, title, unit in (("wall", "Seconds from start to end, no simulated delays", " s"), ("paid_calls", "Calls but polls, looks and pages", "")):
        (PAGE.parent / f"performance-{name.replace('_', '-')}.svg").write_text(plot(title, growth(lines, name), unit))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
