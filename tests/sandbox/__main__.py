# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a sandbox in the foreground: print the lines that make a shell use it, stop on Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import sys
import typing as t
from pathlib import Path

from . import exports
from .sandbox import Sandbox

# Seconds that a thread may keep the others from running. A request passes through several of them (load balancer, control plane,
# API server); with Python's own 5 ms each, the sandbox would be slow in a way that no real service is.
SWITCH_INTERVAL = 0.0005
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def arguments(given: t.Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox", description=__doc__)
    parser.add_argument("--env-file", metavar="PATH", type=Path, help="also write the export lines to PATH; it is removed at the end")
    return parser.parse_args(given)


@contextlib.contextmanager
def env_file(path: Path | None, text: str) -> t.Iterator[None]:
    """Keep text in a file that only its owner reads, for as long as the block runs."""
    if path is None:
        yield
        return
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def raise_file_limit() -> None:
    """Every simulated node listens on several ports; ordinary limits end at about 150 nodes."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _stop(_number: int, _frame: object) -> t.NoReturn:
    """The first signal ends the sandbox; more of them must not disturb that."""
    _handle(signal.SIG_IGN)
    raise KeyboardInterrupt


def _handle(handler: t.Any) -> None:
    for number in STOP_SIGNALS:
        # nohup and the like ignore a signal on purpose.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def main() -> int:
    """Start, tell how to use it, wait for a signal, stop."""
    options = arguments()
    raise_file_limit()
    sys.setswitchinterval(SWITCH_INTERVAL)
    sandbox = Sandbox()
    _handle(_stop)
    try:
        sandbox.start()
        lines = exports.lines(sandbox.exports)
        with env_file(options.env_file, lines):
            print(lines + "# The sandbox runs until Ctrl-C. Use the lines above in another shell.", flush=True)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    finally:
        _handle(signal.SIG_IGN)
        sandbox.stop()


if __name__ == "__main__":
    sys.exit(main())
