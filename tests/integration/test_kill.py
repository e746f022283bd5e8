# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A killed run does nothing any more: a worker that lives on would finish its task, and the kill would prove nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from .playbooks import kill

# As Ansible does it: a child in a session of its own, which says its id and waits.
PARENT = """
import os, time
child = os.fork()
if not child:
    {detach}
    print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("detach", ["os.setsid()", "pass"])
def test_workers_die_with_the_run(detach: str) -> None:
    script = PARENT.format(detach=detach)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        kill(process)
        assert process.wait() == -9
    deadline = time.monotonic() + 10
    while _lives(worker):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    """Whether a process is there that is not only waiting for its exit code to be read."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
