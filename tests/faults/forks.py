# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules in processes forked from one that has imported everything, in which pauses are short."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
import typing as t

from ansible.module_utils import basic

from .recording import Invocation

MODULES = "ansible_collections.k8s_cluster.manager.plugins.modules."
# Modules pause for seconds where the sandbox, told to take no time, needs milliseconds.
PACE = 0.05
LONGEST = 60.0

sleep = time.sleep
_sleep_in_loop = asyncio.sleep


def warm() -> None:
    """Import what modules need, once for all forks, and shorten this process's and their pauses."""
    importlib.import_module("ansible_collections.k8s_cluster.manager.plugins.plugin_utils._preparation").prepare()

    def shortened(seconds: float, /) -> None:
        sleep(seconds * PACE)

    kubernetes: t.Any = importlib.import_module("ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.client")
    time.sleep = kubernetes.sleep = shortened  # type: ignore[assignment]
    asyncio.sleep = lambda seconds, result=None: _sleep_in_loop(seconds * PACE, result)


@dataclasses.dataclass(frozen=True)
class Result:
    """How a module ended: what it returned (nothing when it was killed or crashed) and all it printed."""

    returned: dict[str, t.Any] | None
    printed: str

    @property
    def failed(self) -> bool:
        """Whether it did not end well."""
        return self.returned is None or bool(self.returned.get("failed"))

    @property
    def changed(self) -> bool:
        """Whether it changed something."""
        return bool((self.returned or {}).get("changed"))

    @property
    def message(self) -> str:
        """Why it failed, on one line."""
        return " ".join(str((self.returned or {}).get("msg", self.printed[-2000:])).split())


class Fork:
    """One run of a module."""

    def __init__(self, invocation: Invocation) -> None:
        self._output = os.memfd_create("output")
        self._pid = os.fork()
        if not self._pid:
            _become(invocation, self._output)
        self._watch = os.pidfd_open(self._pid)

    def ended(self, seconds: float = 0.0) -> bool:
        """Whether it ends within some time."""
        return bool(select.select([self._watch], [], [], seconds)[0])

    def kill(self) -> None:
        """SIGKILL it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def result(self) -> Result:
        """Wait for its end; a run that takes too long is killed."""
        if not self.ended(LONGEST):
            self.kill()
        os.waitpid(self._pid, 0)
        os.close(self._watch)
        size = os.fstat(self._output).st_size
        printed = os.pread(self._output, size, 0).decode(errors="replace")
        os.close(self._output)
        return Result(_returned(printed), printed)


def _returned(printed: str) -> dict[str, t.Any] | None:
    for line in printed.splitlines():
        if line.startswith("{"):
            with contextlib.suppress(ValueError):
                return t.cast("dict[str, t.Any]", json.loads(line))
    return None


def _become(invocation: Invocation, output: int) -> t.NoReturn:
    """In the fork: be the module, as Ansible's worker would be."""
    code = 1
    try:
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        basic._ANSIBLE_ARGS = invocation.arguments.encode()
        basic._ANSIBLE_PROFILE = "legacy"
        importlib.import_module(MODULES + invocation.module).main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
