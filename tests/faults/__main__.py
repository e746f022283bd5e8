# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The matrix of crashes and faults: see README.md. Two processes of its own, each with a sandbox, take half of the cases each."""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import threading
import time
import typing as t
import zlib

import tests.conftest  # noqa: F401 makes the collection importable
from tests.sandbox.fixture import sandbox

from . import modules, runs
from .cases import KINDS, LASTING, Report, matches

SHARDS = 2
PROGRESS_SECONDS = 30.0
RUNS = "run:"


class Tally:
    """What the shards report, as they report it."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self._lock = threading.Lock()
        self._begun = self._said = time.monotonic()

    def take(self, report: Report) -> None:
        """Count a report; say what is wrong at once, and now and then how far all is."""
        with self._lock:
            self.reports.append(report)
            if report.why:
                lines = [f"NOT CONVERGED {report.case}", *report.why, f"again: make faults ONLY='{report.case}'"]
                print("\n    ".join(lines), flush=True)
            if time.monotonic() - self._said > PROGRESS_SECONDS:
                self._said = time.monotonic()
                print(f"{len(self.reports)} cases in {self._said - self._begun:.0f} s", flush=True)

    def end(self) -> int:
        """The last line; the exit code."""
        bad = [report for report in self.reports if report.why]
        keys = {report.case.partition("/")[2] for report in self.reports if not report.case.startswith(RUNS)}
        print(f"{len(keys)} distinct (module, operation, place, fault); {time.monotonic() - self._begun:.0f} s")
        twins, orphans = (sum(getattr(report, what) for report in self.reports) for what in ("twins", "orphans"))
        print(f"faults: {len(self.reports)} injected, {len(self.reports) - len(bad)} converged, {twins} twins, {orphans} orphans")
        return int(bool(bad) or not self.reports)


def shard(options: argparse.Namespace) -> None:
    """Run this process' share of the cases; a report a line."""

    def wanted(case: str) -> bool:
        return matches(case, options.only) and zlib.crc32(case.encode()) % SHARDS == options.shard

    with sandbox() as cloud:
        if not options.only.startswith(RUNS):
            tell(modules.Layer(cloud, KINDS if options.quick else (*KINDS, LASTING)).reports(wanted, options.only))
        whole = runs.Layer(cloud)
        if options.quick and not options.only:
            tell(whole.drawn(runs.COMMANDS[options.shard :: SHARDS], options.seed))
        else:
            tell(whole.reports(wanted, options.only))


def tell(reports: t.Iterable[Report]) -> None:
    """Hand reports to the process that gathers them."""
    for report in reports:
        print(json.dumps(dataclasses.asdict(report)), flush=True)


def read(process: subprocess.Popen[str], tally: Tally) -> None:
    """Take a shard's reports."""
    for line in t.cast("t.IO[str]", process.stdout):
        tally.take(Report(**json.loads(line)))


def gather(arguments: list[str]) -> int:
    """Start the shards and sum up; the exit code."""
    tally = Tally()
    commands = [[sys.executable, "-m", "tests.faults", *arguments, "--shard", str(number)] for number in range(SHARDS)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    threads = [threading.Thread(target=read, args=(process, tally)) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    broken = [process for process in processes if process.wait()]
    if broken:
        print(f"{len(broken)} of {SHARDS} processes did not come to their end")
    return tally.end() or int(bool(broken))


def main() -> int:
    """Start the shards and sum up."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description="Crashes and faults at every call, and whether running again makes up for them."
    )
    parser.add_argument("--only", default="", help="only cases of this name, its parts separated by /, * for any")
    parser.add_argument("--quick", action="store_true", help="of whole runs some kills drawn by lot, and no outages")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the lot")
    parser.add_argument("--shard", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.shard is not None:
        shard(options)
        return 0
    if options.quick:
        print(f"kills of whole runs drawn by lot: SEED={options.seed}", flush=True)
    return gather([*sys.argv[1:], "--seed", str(options.seed)])


if __name__ == "__main__":
    sys.exit(main())
