# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases written by hand, judged as Talos judged them. A difference tells the case by its number in the rulebook."""

from __future__ import annotations

import itertools

import pytest

from tests.conformance.config import judge, rulebook
from tests.conformance.config.freeze import unpack
from tests.conformance.config.freeze_rulebook import RULEBOOK
from tests.conformance.config.oracle import Answer, Engine, releases

KEPT = sorted(unpack(RULEBOOK.read_bytes()), key=lambda kept: kept[1].about.rpartition(" ")[2])
PAGE = 60
PAGES = {
    f"{group}-{page}": rows[page * PAGE : (page + 1) * PAGE]
    for group, rows in ((group, list(found)) for group, found in itertools.groupby(KEPT, key=lambda kept: kept[1].about.rpartition(" ")[2]))
    for page in range(-(-len(rows) // PAGE))
}
ENGINES = {minor: Engine(minor) for minor in releases()}


@pytest.mark.parametrize("page", PAGES)
def test_the_rulebook(page: str) -> None:
    for minor, case, verdict, _rows in PAGES[page]:
        said = Answer(text=verdict.text, error="(a refusal)" if verdict.refused else "")
        assert judge.difference(case, verdict, said, ENGINES[minor].answer(case)) is None, (minor, case)


def test_the_kept_cases_are_those_of_the_rulebook() -> None:
    assert {(case.config, case.patches) for _minor, case, _verdict, _rows in KEPT} <= {(case.config, case.patches) for case in rulebook.cases()}
