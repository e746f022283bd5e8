# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Plans: what a module will change, computed once from what it read.

The same steps feed changed, check mode, diff and apply, so that a prediction and the run cannot disagree.
"""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Step:
    """One change: verb ("launch", "register", "delete", ...) applied to target on behalf of node.

    before and after hold plain data for the diff, never secrets; None means absent.
    """

    verb: str
    node: str
    target: str
    before: dict[str, t.Any] | None = None
    after: dict[str, t.Any] | None = None

    def summary(self) -> dict[str, str]:
        """The step as a module returns it in its plan."""
        return {"verb": self.verb, "node": self.node, "target": self.target}


def diff(steps: t.Sequence[Step]) -> dict[str, dict[str, t.Any]]:
    """Ansible's diff: states before and after, keyed by node and target."""
    return {
        "before": {f"{s.node} {s.target}": s.before for s in steps if s.before is not None},
        "after": {f"{s.node} {s.target}": s.after for s in steps if s.after is not None},
    }
