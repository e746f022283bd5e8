# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The edge of every module: run its work, report per node, turn errors into one clear failure."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible.module_utils.common.warnings import warn

from . import _progress
from ._errors import ManagerError
from ._plan import Step, diff

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


@dataclasses.dataclass
class Outcome:
    """What a module's work returns.

    failures maps node names to messages: those nodes failed, the others were carried to the end.
    values are further return values of the module.
    shown_diff replaces the diff that is made of the steps, for modules whose result is no list of changes.
    noun is what failures are about, where that is not nodes.
    """

    steps: list[Step] = dataclasses.field(default_factory=list)
    nodes: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    warnings: list[str] = dataclasses.field(default_factory=list)
    values: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    shown_diff: list[dict[str, t.Any]] | None = None
    noun: str = "nodes"

    def result(self, with_diff: bool) -> dict[str, t.Any]:
        """The module's return values."""
        result: dict[str, t.Any] = {
            **self.values,
            "changed": bool(self.steps),
            "plan": [step.summary() for step in self.steps],
            "nodes": self.nodes,
        }
        if with_diff:
            result["diff"] = diff(self.steps) if self.shown_diff is None else self.shown_diff
        if self.failures:
            result["failures"] = [{"name": name, "msg": msg} for name, msg in self.failures.items()]
        return result


def _alone(_module: AnsibleModule) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def run(module: AnsibleModule, work: t.Callable[[], Outcome], meanwhile: t.Callable[[AnsibleModule], contextlib.AbstractContextManager[None]] = _alone) -> None:
    """Run a module's work, and what has to be done meanwhile, and exit: success, per-node failures, or one error for the whole call."""
    try:
        with _progress.running() as progress, meanwhile(module):
            outcome = work()
    except ManagerError as error:
        module.fail_json(msg=str(error), **error.details)
    outcome.nodes = [{**node, "timing": progress.timing[node["name"]]} if node.get("name") in progress.timing else node for node in outcome.nodes]
    for warning in outcome.warnings:
        # Not module.warn: amazon.aws' returns it a second time, in a way that ansible-core calls deprecated on the user's screen.
        warn(warning)
    result = outcome.result(with_diff=module._diff)
    if outcome.failures:
        lines = "; ".join(f"{name}: {msg}" for name, msg in outcome.failures.items())
        of_all = f" of {max(len(outcome.nodes), len(outcome.failures))}" if outcome.noun == "nodes" else ""
        module.fail_json(msg=f"{len(outcome.failures)}{of_all} {outcome.noun} failed: {lines}", **result)
    module.exit_json(**result)
