# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exits with 1 and names the mutants that no test notices, if there are any."""

from __future__ import annotations

import argparse
import sys

from . import engine
from .runner import JOBS, hunt

TESTS = ("tests/unit/talos",)


def main() -> int:
    """Try the engine's mutants."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants with these words in their names, one after the other")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"how many mutants at a time (default: {JOBS})")
    options = parser.parse_args()
    wanted = [mutant for mutant in engine.mutants() if " ".join(options.words) in mutant.name]
    found = hunt(wanted, list(engine.modules().values()), engine.watch, TESTS, options.jobs)
    for name in found.survivors:
        print(f"survived: {name}")
    killed = f"killed {found.tried - len(found.survivors)} ({found.endless} of them take too long)"
    print(f"mutants: {found.tried}, {killed}, equivalent {len(engine.EQUIVALENT)} (not tried), survivors {len(found.survivors)}")
    return 1 if found.survivors or not found.tried else 0


if __name__ == "__main__":
    sys.exit(main())
