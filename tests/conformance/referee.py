# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Go programs as child processes that speak JSON lines, and the score."""

from __future__ import annotations

import contextlib
import json
import subprocess
import typing as t
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Score:
    """Counts exchanges and prints those that differ."""

    def __init__(self) -> None:
        self.exchanges = self.differ = 0

    def compare(self, what: str, seen: t.Any, wanted: t.Any) -> None:
        """One exchange: seen must be what was wanted."""
        self.exchanges += 1
        if seen != wanted:
            self.differ += 1
            print(f"differs: {what}\n  seen:   {seen!r}\n  wanted: {wanted!r}")


class Program:
    """One Go program."""

    def __init__(self, name: str) -> None:
        self._process = subprocess.Popen([HERE / name / "bin" / name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, line: dict[str, t.Any]) -> None:
        stdin = t.cast(t.TextIO, self._process.stdin)
        stdin.write(json.dumps(line) + "\n")
        stdin.flush()

    def hear(self) -> dict[str, t.Any]:
        """The next line; EOFError when the program ended."""
        line = t.cast(t.TextIO, self._process.stdout).readline()
        if not line:
            raise EOFError(f"the referee ended with {self._process.wait()}")
        return dict(json.loads(line))

    def ask(self, **line: t.Any) -> dict[str, t.Any]:
        """Tell, then hear."""
        self.tell(line)
        return self.hear()

    def stop(self) -> None:
        """End this process, and no other."""
        self._process.terminate()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            t.cast(t.TextIO, stream).close()


@contextlib.contextmanager
def program(name: str) -> t.Iterator[Program]:
    """Run a Go program for the time of the block."""
    running = Program(name)
    try:
        yield running
    finally:
        running.stop()
