# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write every task result as one JSON line to the file named by RECORDER_FILE, for tests."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: recorder
type: aggregate
short_description: Task results as JSON lines
description: Writes every task result as one JSON line to the file named by RECORDER_FILE.
"""


class CallbackModule(CallbackBase):
    """The recorder."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recorder"
    CALLBACK_NEEDS_ENABLED = True

    def _record(self, status: str, result: t.Any) -> None:
        task, values = result._task, result._result
        line = {
            "status": status,
            "host": result._host.get_name(),
            "task": task.get_name(),
            "module": task.action.rpartition(".")[2],
            "invocations": len(values["results"]) if isinstance(values.get("results"), list) else 1,
            "check_mode": bool(task.check_mode),
            "changed": bool(values.get("changed")),
            "plan": values.get("plan"),
            "msg": values.get("msg"),
            # On the clock of the sandbox's call log.
            "ended": time.monotonic(),
        }
        with open(os.environ["RECORDER_FILE"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """A task succeeded."""
        self._record("ok", result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """A task failed."""
        self._record("failed", result)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        """A task was skipped."""
        self._record("skipped", result)
