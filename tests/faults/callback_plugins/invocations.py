# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write down each module that a run of the playbooks starts: its arguments, and a snapshot of the sandbox's world just before.

The arguments hold secrets; they go to a file in memory (INVOCATIONS), as they would stay in Ansible's own processes.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible.module_utils import basic
from ansible.plugins.callback import CallbackBase

from tests.sandbox.control import Control

DOCUMENTATION = """
name: invocations
type: aggregate
short_description: Arguments of modules with snapshots of the sandbox
description: Writes each module's arguments and the id of a snapshot to the file named by INVOCATIONS.
"""


class CallbackModule(CallbackBase):
    """The recorder. Modules run in processes forked from the one that loads this."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "invocations"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        begin = basic.AnsibleModule.__init__

        def note(module: t.Any, *args: t.Any, **kwargs: t.Any) -> None:
            arguments = (basic._ANSIBLE_ARGS or b"").decode()
            snapshot = Control(os.environ["SANDBOX_CONTROL_URL"]).world()["snapshot"]
            with open(os.environ["INVOCATIONS"], "a", encoding="utf-8") as file:
                file.write(json.dumps({"arguments": arguments, "snapshot": snapshot}) + "\n")
            begin(module, *args, **kwargs)

        basic.AnsibleModule.__init__ = note
