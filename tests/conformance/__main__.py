# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All referees: `exchanges: N, 0 differ` for the API, then `conformance: N cases, 0 differ` for machine configs, or what is wrong."""

from __future__ import annotations

import argparse
import sys

from tests import conftest  # noqa: F401 - makes the collection importable

from .client import judge
from .config.run import main as configs
from .referee import Score, program
from .simulator import drive


def main() -> int:
    """0 when nothing differs."""
    parser = argparse.ArgumentParser(prog="conformance", add_help=False)
    parser.add_argument("--record", action="store_true")
    options, rest = parser.parse_known_args()
    score = Score()
    with program("client") as go:
        drive(go, score)
    judge(score, record=options.record)
    print(f"exchanges: {score.exchanges}, {score.differ} differ", flush=True)
    return max(configs(rest), 1 if score.differ else 0)


if __name__ == "__main__":
    sys.exit(main())
