# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Terminals that the blocks of a page are typed into."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
import typing as t
from pathlib import Path

# Seconds that one block may take: the first of them may install what it needs on a slow machine.
TIMEOUT = 1200.0
STOP_TIMEOUT = 20.0
DONE = "--- the block is done ---"


class Failed(Exception):
    """A block failed, or did not do what the page says. The text has what it printed."""


class Terminal:
    """A shell that keeps its variables from block to block, as a reader's does. A command that fails ends it."""

    def __init__(self, env: t.Mapping[str, str], folder: Path) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc", "-e"],
            cwd=folder,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def type(self, text: str, until: str = DONE) -> str:
        """Run a block; returns what it printed, up to a line that has the words `until`. Failed if it ends before."""
        with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
            file.write(text)
            file.flush()
            self._send(f". {file.name} </dev/null\necho '{DONE}'\n")
            return self._output(until)

    def _send(self, text: str) -> None:
        assert self._process.stdin is not None
        # A shell that has ended says so by the end of its output.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(text)
            self._process.stdin.flush()

    def _output(self, until: str) -> str:
        printed: list[str] = []
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                line = self._lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise Failed("".join([*printed, f"(still running after {TIMEOUT:g} s)"])) from None
            if line is None or (DONE in line and until != DONE):
                raise Failed("".join(printed))
            if until in line:
                return "".join(printed)
            printed.append(line)

    def close(self) -> None:
        """Stop what runs in it as Ctrl-C would, give it time to end, then end it for good."""
        with self._process:
            self._kill(signal.SIGTERM)
            deadline = time.monotonic() + STOP_TIMEOUT
            while self._kill(0) and time.monotonic() < deadline:
                self._process.poll()
                time.sleep(0.05)
            self._kill(signal.SIGKILL)

    def _kill(self, number: int) -> bool:
        """Send a signal to all that runs in it; returns whether anything does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
            return True
        return False
