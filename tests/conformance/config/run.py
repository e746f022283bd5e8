# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine of machine configs against Talos' own library, release by release: python -m tests.conformance.config.run [--release 1.13] [--cases N]

Each release has its own process and its own referee; two run at a time. See ../README.md.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import itertools
import os
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from . import coverage, directed, judge, known, rulebook, scattered
from .cases import Case, rows
from .judge import Difference
from .oracle import Asked, Engine, Referee, build, releases
from .shrink import shrink

CASES = 6000
RANDOM = 4500
SHARE = 0.6
SEED = 1
SHOWN = 12
# Kinds of differences that are shrunk, per release: the rest is counted.
SHRUNK = 25


@dataclasses.dataclass
class Report:
    """What a run of one release found. unexercised: rows without a case that exercised them. nameless: refusals that name nothing."""

    minor: int
    cases: int = 0
    accepted: int = 0
    changed: int = 0
    refused: int = 0
    nameless: int = 0
    validated: int = 0
    seconds: float = 0.0
    differ: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    samples: dict[str, Difference] = dataclasses.field(default_factory=dict)
    known: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    unexercised: set[str] = dataclasses.field(default_factory=set)

    def line(self) -> str:
        """The release in one line."""
        share = self.changed / max(self.cases, 1)
        return (
            f"1.{self.minor}: {self.cases} cases, {sum(self.differ.values())} differ, {sum(self.known.values())} known;"
            f" {share:.1%} accepted and changing ({self.accepted} accepted), {self.refused} refused ({self.nameless} name nothing), {self.seconds:.0f} s"
        )

    def misses(self, count: int) -> t.Iterator[str]:
        """The figures that are not reached."""
        if self.cases < count:
            yield f"1.{self.minor}: {self.cases} cases, wanted {count}"
        if self.changed < SHARE * self.cases:
            yield f"1.{self.minor}: {self.changed / max(self.cases, 1):.1%} of the cases are accepted and change the base, wanted {SHARE:.0%}"
        for row in sorted(self.unexercised):
            yield f"1.{self.minor}: row {row} is not exercised, and unreachable.tsv has no reason why"


def all_cases(minor: int, count: int, seed: int = SEED) -> t.Iterator[Case]:
    """Those of the rows, then random ones: at least RANDOM, and as many as it takes."""
    made = [*directed.cases(minor), *rulebook.cases()]
    return itertools.chain(made, scattered.Generator(seed * 100 + minor, minor).cases(max(RANDOM, count - len(made))))


def run(minor: int, cases: t.Iterable[Case], referee: Referee, engine: Asked) -> Report:
    """Ask both about the cases of one release and judge."""
    report = Report(minor)
    start = time.monotonic()
    seen: set[str] = set()

    def differs(case: Case) -> Difference | None:
        theirs = referee.answer(case)
        return judge.difference(case, judge.verdict(referee, case, theirs, minor), theirs, engine.answer(case))

    for case in cases:
        theirs = referee.answer(case)
        wanted = judge.verdict(referee, case, theirs, minor)
        found = judge.difference(case, wanted, theirs, engine.answer(case))
        touched, changed = coverage.exercised(case, wanted, minor)
        seen |= touched
        count(report, wanted, changed)
        if found is not None:
            tell(report, found, minor)
    for kind in [kind for kind, _number in report.differ.most_common(SHRUNK)]:
        report.samples[kind] = shrink(report.samples[kind], differs)
    report.unexercised = {row.name for row in rows(minor)} - seen - known.unreachable(minor)
    report.seconds = time.monotonic() - start
    return report


def count(report: Report, wanted: judge.Verdict, changed: bool) -> None:
    """Count one case."""
    report.cases += 1
    report.accepted += not wanted.refused
    report.refused += wanted.refused
    report.nameless += wanted.refused and not wanted.names
    report.changed += changed


def tell(report: Report, found: Difference, minor: int) -> None:
    """Count one difference, as known or not."""
    name = known.match(found, minor)
    if name:
        report.known[name] += 1
    else:
        report.differ[found.kind] += 1
        report.samples.setdefault(found.kind, found)


def run_release(minor: int, release: str, count: int, seed: int, folder: str) -> Report:
    """Build a release's referee and run its cases."""
    with Referee(build(release, Path(folder))) as referee:
        return run(minor, all_cases(minor, count, seed), referee, Engine(minor))


def run_all(chosen: dict[int, str], count: int, seed: int, show: t.Callable[[Report], None]) -> list[Report]:
    """All releases, on as many cores as there are, the largest first."""
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        waiting = [pool.submit(run_release, minor, chosen[minor], count, seed, folder) for minor in sorted(chosen, reverse=True)]
        reports = []
        for done in concurrent.futures.as_completed(waiting):
            reports.append(done.result())
            show(reports[-1])
    return sorted(reports, key=lambda report: report.minor)


def show(report: Report) -> None:
    """Print a release's line and its differences."""
    print(report.line(), flush=True)
    for kind, number in report.differ.most_common(SHOWN):
        sample = report.samples[kind]
        print(f"\n== {number} x 1.{report.minor}: {kind}\n-- {sample.case.about}; config\n{sample.case.config}-- patches")
        print(*sample.case.patches, f"-- Talos\n{sample.theirs}\n-- ours\n{sample.mine}\n", sep="\n", flush=True)


def verdict(reports: list[Report], count: int, whole: bool) -> int:
    """Print what is known and what is missed, and the last line; returns the exit code. Stale known differences are told after a whole run only."""
    for name, number in sorted(sum((report.known for report in reports), collections.Counter[str]()).items()):
        print(f"known: {number} x {name}: {known.KNOWN[name].reason}")
    misses = [miss for report in reports for miss in report.misses(count)]
    if whole:
        misses += [f"known difference {name!r} no longer occurs: remove it" for name in known.stale(reports)]
    for miss in misses:
        print(f"missed: {miss}")
    differ = sum(sum(report.differ.values()) for report in reports)
    print(f"conformance: {sum(report.cases for report in reports)} cases, {differ} differ")
    return 1 if differ or misses else 0


def main(arguments: t.Sequence[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="conformance")
    parser.add_argument("--release", action="append", help="only this release, such as 1.13 (may be given again)")
    parser.add_argument("--cases", type=int, default=CASES, help="at least so many cases per release")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(arguments)
    chosen = {minor: name for minor, name in releases().items() if not options.release or f"1.{minor}" in options.release}
    return verdict(run_all(chosen, options.cases, options.seed, show), options.cases, not options.release)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
