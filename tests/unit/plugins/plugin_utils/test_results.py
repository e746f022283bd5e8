# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several results say together."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._results import problems


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"changed": False, "nodes": []}, []),
        ({"skipped": True, "skip_reason": "Conditional result was False"}, []),
        ({"problems": []}, []),
        ({"msg": "a; b", "problems": ["a", "b"]}, ["a", "b"]),
        ({"msg": "1 of 2 nodes failed: n: a", "failures": [{"name": "n", "msg": "a"}]}, ["n: a"]),
        ({"msg": "the API does not answer"}, ["the API does not answer"]),
    ],
)
def test_what_a_result_says(result: dict[str, t.Any], expected: list[str]) -> None:
    assert problems([result]) == expected


def test_each_problem_is_named_once() -> None:
    assert problems([{"msg": "a"}, {"problems": ["a", "b"]}]) == ["a", "b"]
