# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both referees, one after the other: `conformance: N exchanges, 0 differ`, or an error."""

from __future__ import annotations

import sys

from tests import conftest  # noqa: F401 - makes the collection importable

from .client import judge
from .referee import Score, program
from .simulator import drive


def main() -> int:
    """0 when nothing differs."""
    score = Score()
    with program("client") as go:
        drive(go, score)
    judge(score, record="--record" in sys.argv[1:])
    print(f"conformance: {score.exchanges} exchanges, {score.differ} differ")
    return 1 if score.differ else 0


if __name__ == "__main__":
    sys.exit(main())
