# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""Runs any of the collection's modules inside Ansible's own worker process where the cluster is local, and ships it where it is not.

An ordinary local module is packed, written to a new Python and imported there, SDKs and all: most of a short task's time. The worker is
a process of this task alone, so the module's own main() runs in it as it is, with the same arguments, checks and cleaning of results.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import typing as t
from pathlib import Path

from ansible.module_utils import basic
from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase
from ansible.utils.unsafe_proxy import wrap_var

from ..module_utils import _progress

try:
    from ansible.vars.clean import remove_internal_keys
except ImportError:  # ansible-core >= 2.21: a result that was read has it as a method
    remove_internal_keys = None

try:
    from ansible.module_utils import _internal as core
    from ansible.module_utils.common.json import Direction, get_module_encoder

    ENCODER: t.Any = get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE)
    PROFILE: tuple[str, ...] = ("legacy",)
except ImportError:  # ansible-core < 2.19
    from ansible.module_utils.common.json import AnsibleJSONEncoder

    core = None
    ENCODER = AnsibleJSONEncoder
    PROFILE = ()

MODULES = "ansible_collections.k8s_cluster.manager.plugins.modules."


class ActionModule(ActionBase):
    """The action of every module (plugins/action/cluster_info.py)."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """The module's result."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        # Display hands it to the main process, not to the standard output that is caught while a module runs here.
        _progress.show = lambda line: self._display.display(f"{variables['inventory_hostname']}: {line}")
        result.update(self._run_here(variables) if self._here(variables) else self._run_there(variables))
        self._show_diff(result)
        return result

    def _show_diff(self, result: dict[str, t.Any]) -> None:
        """Show the diff of a task that changes nothing, such as a config against its base or a node's drift: Ansible's own output hides those."""
        if result.get("diff") and not result.get("changed"):
            self._display.display(CallbackBase()._get_diff(result["diff"]))

    def _here(self, variables: dict[str, t.Any]) -> bool:
        """Whether a process of the module's own would be this one's twin: same machine, user, interpreter and environment."""
        return (
            self._connection.transport == "local"
            and not self._connection.become
            and not self._task.async_val
            and not any(self._task.environment or [])
            and _same_interpreter(str(self._templar.template(variables.get("ansible_python_interpreter", ""))), sys.executable)
        )

    def _run_there(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Ship the module. What it sees is known when it ends; until then there are signs of life, with the names of its nodes."""
        module = self._task.action.rpartition(".")[2]
        nodes = self._task.args.get("nodes")
        names = [str(node["name"]) for node in nodes if isinstance(node, dict) and node.get("name")] if isinstance(nodes, list) else []
        with _progress.running(), _progress.wait("finished", names) as waiting:
            for name in names:
                waiting.at(name, f"{module} runs on {self._play_context.remote_addr or 'this machine'}")
            return t.cast(
                "dict[str, t.Any]",
                self._execute_module(module_name=self._task.action, task_vars=variables, wrap_async=self._task.async_val),
            )

    def _run_here(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Run the module's main() with its output caught; its own exit ends it as it would end its process."""
        arguments = dict(self._task.args)
        self._update_module_args(self._task.action, arguments, variables)
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}, cls=ENCODER).encode()
        basic._ANSIBLE_PROFILE = "legacy"
        answer, code = io.StringIO(), 0
        with contextlib.redirect_stdout(answer), _not_the_controller():
            try:
                importlib.import_module(MODULES + self._task.action.rpartition(".")[2]).main()
            except SystemExit as end:
                code = int(end.code or 0)
        return _cleaned(self._parse_returned_data({"rc": code, "stdout": answer.getvalue(), "stderr": ""}, *PROFILE))


def _cleaned(data: t.Any) -> dict[str, t.Any]:
    """A module's answer that was read, as core's own _execute_module passes it on: without the keys that are core's to set."""
    if remove_internal_keys is None:
        data.remove_internal_keys()
        return t.cast("dict[str, t.Any]", data.as_result_dict(for_round_trip=True))
    remove_internal_keys(data)
    # Before 2.19 any text was a template unless it was wrapped.
    return t.cast("dict[str, t.Any]", wrap_var(data) if core is None else data)


def _same_interpreter(one: str, other: str) -> bool:
    """Whether two paths are one program in one folder (python, python3): the folder decides which packages it sees."""
    mine, theirs = Path(one), Path(other)
    return mine.parent == theirs.parent and mine.exists() and mine.samefile(theirs)


@contextlib.contextmanager
def _not_the_controller() -> t.Iterator[None]:
    """ansible-core >= 2.19 keeps a module's warnings for its result only where it does not see itself on the controller."""
    if core is None:
        yield
        return
    core.is_controller = False
    try:
        yield
    finally:
        core.is_controller = True
