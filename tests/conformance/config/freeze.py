# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a sample of cases with the referees' answers, checked without Go: python -m tests.conformance.config.freeze [cases per release] [folder]

The folder has referees built before, named referee-<minor>; without it they are built.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from pathlib import Path

from .cases import Generator
from .compare import HERE, RELEASES, Referee, build, difference

FROZEN = HERE / "frozen.json.gz"


def freeze(count: int, programs: dict[int, str]) -> list[dict[str, object]]:
    """Cases by release: {minor, config, patches, text, refused}. Those that are known to differ (crashes of theirs) are left out."""
    rows: list[dict[str, object]] = []
    for minor, program in programs.items():
        referee = Referee(program)
        generator = Generator(1000 + minor, minor)
        for _ in range(count):
            case = generator.case()
            answer = referee.ask(case)
            if "panic" not in answer["error"] and difference(case, answer, minor) is None:
                rows.append({"minor": minor, "config": case.config, "patches": case.patches, "text": answer["text"], "refused": bool(answer["error"])})
        referee.stop()
    return rows


def main(count: int, folder: str | None) -> None:
    """Write the sample."""
    with tempfile.TemporaryDirectory() as scratch:
        programs = {minor: str(Path(folder) / f"referee-{minor}") if folder else build(release, Path(scratch)) for minor, release in RELEASES.items()}
        rows = freeze(count, programs)
    FROZEN.write_bytes(gzip.compress(json.dumps(rows, ensure_ascii=False).encode(), 9, mtime=0))


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["300"])[0]), (sys.argv[2:] or [None])[0])
