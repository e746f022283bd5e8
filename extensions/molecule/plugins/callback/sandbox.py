# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give Ansible the environment by which molecule's sandbox is reached, as a shell that has read the sandbox's export lines would."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: sandbox
type: aggregate
short_description: The environment of molecule's sandbox
description: Sets the environment of Ansible, and so of its modules and lookups, to that of the sandbox that the scenario C(default) has started.
"""

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT))

from tests.sandbox import exports  # noqa: E402 - found in the checkout


class CallbackModule(CallbackBase):
    """Made before the first task; shows nothing."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "sandbox"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        known = ROOT / "build" / "molecule" / "env"
        if known.exists():
            os.environ.update(exports.environment(exports.read(known.read_text().splitlines())))
