# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what Talos said of the rulebook's cases, checked without Go: python -m tests.conformance.config.freeze_rulebook

Of a case that all releases judge alike one release is kept, else those on both sides of each change. Cases answered differently are left out, and told.
"""

from __future__ import annotations

import collections
import tempfile
import typing as t
from pathlib import Path

from . import judge, rulebook
from .freeze import Kept, pack
from .judge import Verdict
from .oracle import Engine, Referee, build, releases

RULEBOOK = Path(__file__).resolve().parent / "rulebook.json.gz"


def asked(minor: int, program: Path) -> dict[str, Verdict | None]:
    """By case: the verdict of a release, None where the engine differs."""
    engine = Engine(minor)
    verdicts: dict[str, Verdict | None] = {}
    with Referee(program) as referee:
        for case in rulebook.cases():
            theirs = referee.answer(case)
            verdict = judge.verdict(referee, case, theirs, minor)
            verdicts[case.about] = verdict if judge.difference(case, verdict, theirs, engine.answer(case)) is None else None
    return verdicts


def telling(number: int, verdicts: dict[int, Verdict | None]) -> t.Iterator[int]:
    """The releases whose verdict on a case is worth keeping; number spreads those that judge alike."""
    minors = sorted(verdicts)
    changes = {side for before, after in zip(minors, minors[1:], strict=False) if verdicts[before] != verdicts[after] for side in (before, after)}
    return (minor for minor in sorted(changes or {minors[number % len(minors)]}) if verdicts[minor] is not None)


def main() -> None:
    """Ask all releases and write the file."""
    with tempfile.TemporaryDirectory() as folder:
        found = {minor: asked(minor, build(release, Path(folder))) for minor, release in releases().items()}
    kept: dict[int, list[Kept]] = collections.defaultdict(list)
    for number, case in enumerate(rulebook.cases()):
        verdicts = {minor: found[minor][case.about] for minor in found}
        for minor in telling(number, verdicts):
            kept[minor].append((case, t.cast(Verdict, verdicts[minor]), set()))
        if None in verdicts.values():
            print(f"differs: {case.about} in {', '.join(f'1.{minor}' for minor, verdict in verdicts.items() if verdict is None)}")
    RULEBOOK.write_bytes(pack(kept))
    print(f"{sum(map(len, kept.values()))} verdicts, {RULEBOOK.stat().st_size} bytes")


if __name__ == "__main__":
    main()
