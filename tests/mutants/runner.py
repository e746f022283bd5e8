# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests against mutants: one pytest session collects the tests and forks a child for each mutant, which stops at the first failure."""

from __future__ import annotations

import collections
import dataclasses
import functools
import gc
import json
import os
import resource
import signal
import time
import types
import typing as t
from pathlib import Path

import pytest

from .mutations import Mutation, Note, forget, functions

JOBS = 2
SECONDS_EACH = 2.0  # of CPU for a test, or
TIMES_EACH = 10  # what it takes without a mutant, if that is more
BYTES_EACH = 2**30  # beyond what the tests have before
PASSED, FAILED, BROKEN = 0, 1, 3
Say = t.Callable[[object], None]
Work = t.Callable[[Say], int]


@dataclasses.dataclass
class Child:
    """A forked process and the reading end of the pipe into which it says what it found, as JSON."""

    pid: int
    pipe: int
    started: float = dataclasses.field(default_factory=time.monotonic)

    def end(self) -> tuple[int, t.Any]:
        """(exit code, what it said or None); a negative code is a signal."""
        with os.fdopen(self.pipe) as pipe:
            said = pipe.read()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), json.loads(said) if said else None


def fork(work: Work) -> Child:
    """Do work in a child: it is given a function to say something with, and returns the exit code."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading)
    code = BROKEN
    try:
        code = work(lambda said: _say(writing, said))
    finally:
        os._exit(code)


def _say(pipe: int, said: object) -> None:
    with os.fdopen(pipe, "w") as writing:
        json.dump(said, writing)


@dataclasses.dataclass
class Hunt:
    """A pytest plugin in place of its test loop. watch makes the modules note marks (see Mutation). jobs: how many mutants at a time.

    After the session: the survivors' names, how many mutants were tried, how many of them only took too long; or what kept it from that.
    """

    mutations: list[Mutation]
    modules: t.Sequence[types.ModuleType]
    watch: t.Callable[[Note], None]
    jobs: int
    survivors: list[str] = dataclasses.field(default_factory=list)
    tried: int = 0
    endless: int = 0
    trouble: str = ""
    reach: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    costs: list[float] = dataclasses.field(default_factory=list)
    kills: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)

    def pytest_configure(self, config: pytest.Config) -> None:
        """A failure's words are for nobody, and make longer than the test itself takes."""
        config.option.tbstyle = "native"

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Without a mutant every test passes, or nothing is tried."""
        for module in self.modules:
            functions(module)
        gc.freeze()  # a child's collector would copy what it looks at
        code, said = fork(functools.partial(self._watched, session)).end()
        if code != PASSED or not session.items:
            self.trouble = f"without a mutant {said or 'a test'} fails, or there is no test"
            return True
        self.reach, self.costs = said
        running: dict[int, tuple[Mutation, Child]] = {}
        for mutation in self.mutations:
            if len(running) >= self.jobs:
                self._next(session, running)
            child = fork(functools.partial(self._test, session, mutation))
            running[child.pid] = mutation, child
        while running:
            self._next(session, running)
        return True

    def _watched(self, session: pytest.Session, say: Say) -> int:
        """Say which tests leave which marks, and the seconds of each test; or, if one fails, its name."""
        reach: dict[str, list[int]] = {}
        costs: list[float] = []
        marks: set[str] = set()
        self.watch(marks.add)
        for index, item in enumerate(session.items):
            forget(self.modules)
            marks.clear()
            start = time.process_time()
            passes = _passes(session, index)
            costs.append(max(time.process_time() - start, 0.001))
            if not passes:
                say(item.nodeid)
                return FAILED
            for mark in marks:
                reach.setdefault(mark, []).append(index)
        say((reach, costs))
        return PASSED

    def _test(self, session: pytest.Session, mutation: Mutation, say: Say) -> int:
        """Run tests with a mutant to the first that fails, and say which."""
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + BYTES_EACH, used + BYTES_EACH))
        forget(self.modules)
        mutation.apply()
        for index in self._tests(mutation):
            signal.setitimer(signal.ITIMER_PROF, max(SECONDS_EACH, TIMES_EACH * self.costs[index]))
            if not _passes(session, index):
                say(index)
                return FAILED
        return PASSED

    def _tests(self, mutation: Mutation) -> list[int]:
        """The tests that may notice the mutant; those that noticed most mutants in their time so far come first, then the quickest."""
        reached = {index for mark in mutation.marks for index in self.reach.get(mark, ())}
        return sorted(reached, key=lambda index: (-self.kills[index] / self.costs[index], self.costs[index]))

    def _next(self, session: pytest.Session, running: dict[int, tuple[Mutation, Child]]) -> None:
        """Wait for a child that ends, and tell what became of its mutant."""
        ended = t.cast("os.waitid_result", os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT))
        mutation, child = running.pop(ended.si_pid)
        code, index = child.end()
        if code not in (PASSED, FAILED, -signal.SIGPROF):
            self.trouble = f"{mutation.name} cannot be tried (exit code {code})"
        self.tried += 1
        self.endless += code == -signal.SIGPROF
        if code == PASSED:
            self.survivors.append(mutation.name)
        if code == FAILED:
            self.kills[index] += 1
        how = {PASSED: "SURVIVED", FAILED: session.items[index or 0].name}.get(code, "takes too long")
        print(f"{time.monotonic() - child.started:5.1f} s  {mutation.name}  <- {how}", flush=True)


def _passes(session: pytest.Session, index: int) -> bool:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    session.config.hook.pytest_runtest_protocol(item=session.items[index], nextitem=None)
    return not session.testsfailed


def hunt(mutations: list[Mutation], modules: t.Sequence[types.ModuleType], watch: t.Callable[[Note], None], tests: t.Sequence[str], jobs: int = JOBS) -> Hunt:
    """Try the mutants of modules on tests (paths). Raises SystemExit if that cannot be done."""
    found = Hunt(mutations, modules, watch, jobs)
    quiet = ["-o", "addopts=--import-mode=importlib", "--capture=no", "--assert=plain"]
    quiet += [word for name in ("terminal", "cacheprovider") for word in ("-p", f"no:{name}")]
    if pytest.main([*quiet, *tests], plugins=[found]) not in (0, 5) or found.trouble:
        raise SystemExit(f"mutants: {found.trouble or 'the tests cannot be collected'}")
    return found
