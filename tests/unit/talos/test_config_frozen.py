# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases that Talos' own library answered: the same text, byte for byte, or a refusal too."""

from __future__ import annotations

import collections
import gzip
import json
from pathlib import Path

import pytest

from tests.conformance.config.cases import Case
from tests.conformance.config.compare import ours

FROZEN = Path(__file__).resolve().parents[2] / "conformance" / "config" / "frozen.json.gz"
ROWS = json.loads(gzip.decompress(FROZEN.read_bytes()))
BY_MINOR = {minor: [row for row in ROWS if row["minor"] == minor] for minor in sorted({row["minor"] for row in ROWS})}


@pytest.mark.parametrize("minor", BY_MINOR)
def test_the_same_answers_as_talos(minor: int) -> None:
    for row in BY_MINOR[minor]:
        text, error = ours(Case(row["config"], row["patches"]), minor)
        assert bool(error) == row["refused"], (row, error)
        assert row["refused"] or text == row["text"], row


def test_the_sample_is_large_and_mixed() -> None:
    counts = collections.Counter((row["minor"], row["refused"]) for row in ROWS)
    assert len(ROWS) >= 2000
    assert all(counts[minor, refused] >= 80 for minor in range(6, 14) for refused in (False, True))
