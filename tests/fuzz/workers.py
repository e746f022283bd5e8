# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging many inputs in several processes, which a crash of the interpreter or an endless input does not stop."""

from __future__ import annotations

import collections
import dataclasses
import multiprocessing
import resource
import time
import typing as t
from multiprocessing.connection import Connection, wait

from .inputs import make
from .judge import Options, Verdict, Work, judge, work

# An input that takes this long (wall clock) is given up; memory is what a small controller has to spare.
PATIENCE = 60.0
MEMORY = 2 * 1024**3
REPORT_EVERY = 200


@dataclasses.dataclass(frozen=True)
class Fault:
    """An input (by number) with a fault."""

    number: int
    verdict: Verdict


@dataclasses.dataclass
class Tally:
    """What became of the inputs: how many were judged, by family and by whether they were accepted; the places planted; faults; the slowest."""

    judged: int = 0
    families: collections.Counter[tuple[str, bool]] = dataclasses.field(default_factory=collections.Counter)
    places: set[str] = dataclasses.field(default_factory=set)
    faults: list[Fault] = dataclasses.field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)

    def count(self, fault: str) -> int:
        """How many inputs have this fault."""
        return sum(found.verdict.fault == fault for found in self.faults)

    def add(self, other: Tally) -> None:
        """Take in another tally."""
        self.judged += other.judged
        self.families += other.families
        self.places |= other.places
        self.faults += other.faults
        self.slowest = max(self.slowest, other.slowest)


def judge_one(seed: int, number: int, tally: Tally, run: Work = work, build: t.Callable[[int, int], t.Any] = make) -> None:
    """Judge one input into a tally."""
    made = build(seed, number)
    verdict = judge(made.options, run)
    tally.judged += 1
    tally.families[made.family, verdict.accepted] += 1
    tally.places |= made.places
    tally.slowest = max(tally.slowest, (verdict.seconds, number))
    if verdict.fault:
        tally.faults.append(Fault(number, verdict))


def judge_here(seed: int, numbers: t.Iterable[int], run: Work = work) -> Tally:
    """Judge inputs in this process."""
    tally = Tally()
    for number in numbers:
        judge_one(seed, number, tally, run)
    return tally


# ---- processes ------------------------------------------------------------------------------------------------------------------------------


def _worker(pipe: Connection, current: t.Any, seed: int, numbers: range, run: Work) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    tally = Tally()
    for number in numbers:
        current.value = number
        judge_one(seed, number, tally, run)
        if tally.judged == REPORT_EVERY:
            pipe.send(tally)
            tally = Tally()
    pipe.send(tally)
    current.value = numbers.stop
    pipe.close()


class _Lane:
    """One process at a time, working through its numbers; a new one takes over behind an input that ended or stopped it."""

    def __init__(self, seed: int, numbers: range, run: Work) -> None:
        self.seed, self.run, self.stop = seed, run, numbers.stop
        self.tally = Tally()
        self.done = False
        self._start(numbers)

    def _start(self, numbers: range) -> None:
        self.numbers = numbers
        self.current = multiprocessing.Value("q", numbers.start, lock=False)
        self.pipe, theirs = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.Process(target=_worker, args=(theirs, self.current, self.seed, numbers, self.run), daemon=True)
        self.process.start()
        theirs.close()
        self.seen, self.since = numbers.start, time.monotonic()

    def look(self, patience: float) -> None:
        """Take what has arrived; replace a process that died or does not get on."""
        ended = False
        try:
            while self.pipe.poll():
                self.tally.add(self.pipe.recv())
        except EOFError:
            ended = True
        if self.current.value != self.seen:
            self.seen, self.since = self.current.value, time.monotonic()
        if ended:
            self.process.join()
            self.done = self.current.value >= self.stop
            if not self.done:
                self._replace("crash", f"the process ended with {self.process.exitcode}")
        elif time.monotonic() - self.since > patience:
            self.process.kill()
            self.process.join()
            self._replace("slow", f"no end after {patience:.0f} s")

    def _replace(self, fault: str, detail: str) -> None:
        """Go on behind the input that did it. What the process had not reported yet is judged again."""
        number = self.current.value
        self.tally.faults.append(Fault(number, Verdict(0.0, fault, detail, detail)))
        self.tally.judged += 1
        unreported = (number - self.numbers.start) % (REPORT_EVERY * self.numbers.step)
        self.tally.add(judge_here(self.seed, range(number - unreported, number, self.numbers.step), self.run))
        self._start(range(number + self.numbers.step, self.stop, self.numbers.step))


def judge_many(seed: int, count: int, workers: int, run: Work = work, patience: float = PATIENCE) -> Tally:
    """Judge the inputs 0 … count-1 in several processes."""
    lanes = [_Lane(seed, range(worker, count, workers), run) for worker in range(workers)]
    while not all(lane.done for lane in lanes):
        wait([lane.pipe for lane in lanes if not lane.done], timeout=1.0)
        for lane in lanes:
            if not lane.done:
                lane.look(patience)
    tally = Tally()
    for lane in lanes:
        tally.add(lane.tally)
    return tally


def again(seed: int, number: int) -> Options:
    """The options of an input."""
    return make(seed, number).options
