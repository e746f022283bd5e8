# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases that Talos' own library answered: the same text, byte for byte, or a refusal that names the same; the same problems."""

from __future__ import annotations

import collections

import pytest

from tests.conformance.config import known
from tests.conformance.config.cases import Case, rows
from tests.conformance.config.freeze import FROZEN, unpack
from tests.conformance.config.judge import Verdict, difference
from tests.conformance.config.oracle import Answer, Engine, releases

SAMPLE = list(unpack(FROZEN.read_bytes()))
PAGE = 50  # cases in a test: a fault shows soon
PAGES = [
    pytest.param(minor, found[start : start + PAGE], id=f"{minor}-{start // PAGE}")
    for minor in releases()
    for found in ([(case, verdict) for release, case, verdict, _rows in SAMPLE if release == minor],)
    for start in range(0, len(found), PAGE)
]


def said(verdict: Verdict) -> Answer:
    """Talos' answer for a report: of the texts, only the result was kept."""
    return Answer(text=verdict.text, error="(a refusal)" if verdict.refused else "")


@pytest.mark.parametrize(("minor", "cases"), PAGES)
def test_the_same_answers_as_talos(minor: int, cases: list[tuple[Case, Verdict]]) -> None:
    engine = Engine(minor)
    found = [difference(case, verdict, said(verdict), engine.answer(case)) for case, verdict in cases]
    assert [one for one in found if one is not None] == []


def test_the_sample_is_large_and_mixed() -> None:
    counts = collections.Counter((minor, verdict.refused) for minor, _case, verdict, _rows in SAMPLE)
    invalid = collections.Counter(minor for minor, _case, verdict, _rows in SAMPLE if verdict.invalid[0])
    assert len(SAMPLE) >= 2000
    assert FROZEN.stat().st_size < 5_000_000
    assert all(counts[minor, refused] >= 80 and invalid[minor] >= 80 for minor in releases() for refused in (False, True))


@pytest.mark.parametrize("minor", releases())
def test_the_sample_exercises_every_row(minor: int) -> None:
    seen = {row for release, _case, _verdict, exercised in SAMPLE if release == minor for row in exercised}
    assert {row.name for row in rows(minor)} - seen - known.unreachable(minor) == set()
