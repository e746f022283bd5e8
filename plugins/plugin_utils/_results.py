# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""What the results of several modules say together."""

from __future__ import annotations

import typing as t


def problems(results: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Everything that is wrong, one text each, from the results of modules that may have failed; nothing from the others."""
    found: list[str] = []
    for result in results:
        if result.get("problems"):
            found += result["problems"]
        elif result.get("failures"):
            found += [f"{failure['name']}: {failure['msg']}" for failure in result["failures"]]
        elif "msg" in result:
            found.append(result["msg"])
    return list(dict.fromkeys(str(text) for text in found))
