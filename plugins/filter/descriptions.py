# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that describe a cluster; each is documented in a file of its name."""

from __future__ import annotations

import typing as t

from ..plugin_utils import _description, _description_page, _description_text


class FilterModule:
    """The collection's filters for role describe_cluster."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {
            "cluster_priced": _description.priced,
            "cluster_description": _description.description,
            "cluster_lines": _description_text.description_lines,
            "cluster_page": _description_page.page,
        }
