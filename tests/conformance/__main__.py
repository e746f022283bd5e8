# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All referees, one after the other: `conformance: N exchanges, 0 differ`, or an error."""

from __future__ import annotations

import sys

from tests import conftest  # noqa: F401 - makes the collection importable

from .client import judge
from .config.compare import main as compare
from .referee import Score, program
from .simulator import drive

# Machine configs and patches of the newest stable release; the others by `python -m tests.conformance.config.compare`.
MINOR, CASES, SEED = 13, 300, 1


def main() -> int:
    """0 when nothing differs."""
    score = Score()
    with program("client") as go:
        drive(go, score)
    judge(score, record="--record" in sys.argv[1:])
    score.exchanges += CASES
    score.differ += compare(MINOR, CASES, SEED)
    print(f"conformance: {score.exchanges} exchanges, {score.differ} differ")
    return 1 if score.differ else 0


if __name__ == "__main__":
    sys.exit(main())
