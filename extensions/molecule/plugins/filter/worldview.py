# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox's world has of a cluster, for verify.yml: {{ world | worldview('fargle') }}."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from tests import worldview  # noqa: E402 - found in the checkout


def nodes(world: worldview.World, cluster: str) -> dict[str, dict[str, t.Any]]:
    """The cluster's nodes by name, each with what there is of it in AWS, Talos, Kubernetes and DNS."""
    return {name: vars(node) for name, node in worldview.nodes(world, cluster).items()}


def owned(world: worldview.World, cluster: str, kind: str) -> dict[str, dict[str, t.Any]]:
    """What AWS has of one kind with the cluster's tag, by name: load_balancers, target_groups, security_groups."""
    rows = worldview.region(world)[kind].values()
    return {row["tags"].get("Name") or row["name"]: row for row in rows if row["tags"].get("Cluster") == cluster}


class FilterModule:
    """Both filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"worldview": nodes, "worldview_owned": owned}
