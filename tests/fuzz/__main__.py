# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random inputs to the machine config engine, as many as asked for: python -m tests.fuzz [--count N] [--seed S] [--workers W] [--number N]

None may crash it, take it more than a second of CPU time, or make it show a secret. Each input is made from the seed and its number alone:
`--number` judges one again and prints it. Faults are shrunk and printed, the first of each sort.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

from tests import conftest  # noqa: F401 - makes the collection importable

from .judge import Verdict, judge
from .shrink import shrink
from .workers import Fault, Tally, again, judge_many

SHOWN_FAULTS = 8
SHOWN_TEXT = 2000
FAULTS = {"crash": "crashes", "slow": "slow", "leak": "leaks"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 8))
    parser.add_argument("--number", type=int, help="judge this input alone")
    return parser


def summary(tally: Tally) -> str:
    """The last line."""
    counts = ", ".join(f"{tally.count(fault)} {words}" for fault, words in FAULTS.items())
    return f"fuzz: {tally.judged} inputs, {counts}, slowest {tally.slowest[0] * 1000:.0f} ms"


def missed(tally: Tally, count: int) -> list[str]:
    """What the run did not show, each with its figure."""
    found = [f"{tally.count(fault)} {words}, not 0" for fault, words in FAULTS.items() if tally.count(fault)]
    return found + ([f"{tally.judged} inputs, not {count}"] if tally.judged != count else [])


def show(seed: int, fault: Fault) -> None:
    """Print a fault and the smallest input found that has it."""
    verdict = fault.verdict
    print(f"\n{verdict.fault}: seed {seed} input {fault.number}: {verdict.detail}")
    if not verdict.seconds:  # it ended its process: not to be tried here
        print(f"try: python -m tests.fuzz --seed {seed} --number {fault.number}")
        return
    smaller = shrink(again(seed, fault.number), lambda options: _same(judge(options), verdict))
    print(json.dumps(smaller, default=str)[:SHOWN_TEXT])


def _same(found: Verdict, wanted: Verdict) -> bool:
    return found.fault == wanted.fault and (found.fault != "crash" or found.sign == wanted.sign)


def report(seed: int, tally: Tally) -> None:
    """Print the first fault of each sort, and how the inputs fared."""
    first: dict[tuple[str, str], Fault] = {}
    for fault in sorted(tally.faults, key=lambda fault: fault.number):
        first.setdefault((fault.verdict.fault, fault.verdict.sign), fault)
    for fault in list(first.values())[:SHOWN_FAULTS]:
        show(seed, fault)
    if len(first) > SHOWN_FAULTS:
        print(f"\n{len(first) - SHOWN_FAULTS} further sorts of faults")
    accepted = {family: tally.families[family, True] for family in sorted({name for name, _accepted in tally.families})}
    print(f"accepted: {', '.join(f'{count} {family}' for family, count in accepted.items())}; secrets planted in {len(tally.places)} places")


def main() -> int:
    """0 when there is no fault."""
    options = _parser().parse_args()
    if options.number is not None:
        print(json.dumps(again(options.seed, options.number), default=str, indent=1)[: 10 * SHOWN_TEXT])
        print(judge(again(options.seed, options.number)))
        return 0
    started = time.monotonic()
    tally = judge_many(options.seed, options.count, options.workers)
    report(options.seed, tally)
    print(f"{time.monotonic() - started:.0f} s, seed {options.seed}, slowest input {tally.slowest[1]}")
    problems = missed(tally, options.count)
    if problems:
        print(f"fuzz: missed: {'; '.join(problems)}", file=sys.stderr)
    print(summary(tally))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
