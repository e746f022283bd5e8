# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a sample of cases with what Talos said of them, checked without Go: python -m tests.conformance.config.freeze

From every release: cases until each row that can be is exercised, and some of every variant. Cases that differ, knowingly or not, are left out.
"""

from __future__ import annotations

import collections
import concurrent.futures
import gzip
import json
import os
import random
import tempfile
import typing as t
from pathlib import Path

from . import coverage, judge
from .cases import Case
from .judge import Verdict
from .names import Name
from .oracle import Engine, Referee, build, releases
from .run import CASES, all_cases

FROZEN = Path(__file__).resolve().parent / "frozen.json.gz"
# The share of cases kept besides those that exercise a row for the first time: accepted, refused.
SHARES = (0.02, 0.1)

Kept = tuple[Case, Verdict, set[str]]


def keep(minor: int, release: str, folder: str) -> list[Kept]:
    """The cases of one release that are kept, with Talos' verdict and the rows they exercise."""
    choice = random.Random(minor)
    engine = Engine(minor)
    seen: set[str] = set()
    variants: collections.Counter[str] = collections.Counter()
    kept: list[Kept] = []
    with Referee(build(release, Path(folder))) as referee:
        for case in all_cases(minor, CASES):
            theirs = referee.answer(case)
            wanted = judge.verdict(referee, case, theirs, minor)
            if judge.difference(case, wanted, theirs, engine.answer(case)) is not None:
                continue
            rows, _changed = coverage.exercised(case, wanted, minor)
            variant = case.about.rpartition(" ")[2]
            if rows - seen or variants[variant] < 3 or choice.random() < SHARES[wanted.refused]:
                seen |= rows
                variants[variant] += 1
                kept.append((case, wanted, rows))
    return kept


# ---- the file -------------------------------------------------------------------------------------------------------------------------


def pack(kept: dict[int, list[Kept]]) -> bytes:
    """The sample as a file: texts shared, by their position."""
    texts: dict[str, int] = {}

    def text(words: str) -> int:
        return texts.setdefault(words, len(texts))

    cases = [
        [minor, text(case.config), [text(patch) for patch in case.patches], case.about, _verdict(wanted, text), sorted(rows)]
        for minor, found in sorted(kept.items())
        for case, wanted, rows in found
    ]
    body = json.dumps({"texts": list(texts), "cases": cases}, ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(body.encode(), 9, mtime=0)


def _verdict(wanted: Verdict, text: t.Callable[[str], int]) -> list[t.Any]:
    if wanted.refused:
        return [wanted.crashed, wanted.names]
    return [text(wanted.text), wanted.invalid, wanted.warnings]


def unpack(data: bytes) -> t.Iterator[tuple[int, Case, Verdict, list[str]]]:
    """(minor, case, verdict, rows exercised) of a file."""
    held = json.loads(gzip.decompress(data))
    texts = held["texts"]
    for minor, base, patches, about, packed, rows in held["cases"]:
        yield minor, Case(texts[base], tuple(texts[patch] for patch in patches), about), _unpacked(packed, texts), rows


def _unpacked(packed: list[t.Any], texts: list[str]) -> Verdict:
    if isinstance(packed[0], bool):
        return Verdict(refused=True, crashed=packed[0], names=tuple(_names(packed[1])))
    modes = [tuple([_names(names) for names in one] for one in part) for part in packed[1:]]
    return Verdict(texts[packed[0]], invalid=modes[0], warnings=modes[1])


def _names(packed: list[t.Any]) -> list[Name]:
    return [Name(tuple(tuple(path) for path in paths), word, within, kind) for paths, word, within, kind in packed]


def main() -> None:
    """Write the sample."""
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        waiting = {minor: pool.submit(keep, minor, release, folder) for minor, release in sorted(releases().items(), reverse=True)}
        kept = {minor: done.result() for minor, done in waiting.items()}
    FROZEN.write_bytes(pack(kept))
    print(f"{sum(map(len, kept.values()))} cases, {FROZEN.stat().st_size} bytes")


if __name__ == "__main__":
    main()
