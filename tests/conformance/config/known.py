# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where we differ from Talos knowingly, and which rows no case can exercise. Both are counted and told, never silent."""

from __future__ import annotations

import csv
import dataclasses
import re
import typing as t
from pathlib import Path

from .judge import Difference

UNREACHABLE = Path(__file__).resolve().parent / "unreachable.tsv"


@dataclasses.dataclass(frozen=True)
class Known:
    """A known difference: how it differs and what Talos' and our answers have (patterns), the releases, and why we differ."""

    what: str
    theirs: str
    mine: str
    minors: tuple[int, int]
    reason: str

    def fits(self, found: Difference, minor: int) -> bool:
        """Whether a difference is this one."""
        return (
            self.minors[0] <= minor <= self.minors[1]
            and bool(re.fullmatch(self.what, found.what))
            and bool(re.search(self.theirs, found.theirs))
            and bool(re.search(self.mine, found.mine))
        )


KNOWN: dict[str, Known] = {
    "delete in a missing document": Known(
        "only we refuse",
        r"(?m)^\{\}$",
        "the config has no such document",
        (8, 13),
        "Talos adds the delete itself as a document that prints as {} and that no Talos loads again; we refuse",
    ),
    "a scalar for the whole config": Known(
        "only we refuse",
        "machine",
        "replace operation value must be object or array",
        (6, 9),
        "Talos ignores the operation, and later refuses it",
    ),
    "a document without a kind beside the legacy one": Known(
        "not named v1alpha1",
        "duplicate document /v1alpha1/ is not allowed",
        "missing kind",
        (8, 14),
        "both refuse; Talos takes it for a second legacy document, we say that its kind is missing",
    ),
}


class Counted(t.Protocol):
    """A report's count of known differences."""

    known: t.Any


def match(found: Difference, minor: int) -> str:
    """The name of the known difference that this one is, or ""."""
    return next((name for name, known in KNOWN.items() if known.fits(found, minor)), "")


def stale(reports: t.Iterable[Counted]) -> list[str]:
    """Known differences that no release showed."""
    seen = {name for report in reports for name in report.known}
    return [name for name in KNOWN if name not in seen]


def unreachable(minor: int) -> set[str]:
    """The rows of a release that no case can exercise; unreachable.tsv says why."""
    with UNREACHABLE.open(encoding="utf-8", newline="") as stream:
        return {row["row"] for row in csv.DictReader(stream, delimiter="\t") if int(row["first"]) <= minor <= int(row["last"])}
