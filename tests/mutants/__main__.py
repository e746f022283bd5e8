# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exits with 1 and names the mutants that no test notices, if there are any; so it does for those that count as equivalent and are noticed."""

from __future__ import annotations

import argparse
import sys

from . import engine
from .runner import JOBS, hunt

TESTS = ("tests/unit/talos",)


def main(words: list[str]) -> int:
    """Try the engine's mutants, with the command line's words."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants with these words in their names, one after the other")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"how many mutants at a time (default: {JOBS})")
    options = parser.parse_args(words)
    wanted = [mutant for mutant in engine.mutants() if " ".join(options.words) in mutant.name]
    found = hunt(wanted, list(engine.modules().values()), engine.watch, TESTS, options.jobs)
    equivalent = {mutant.name for mutant in wanted} & engine.EQUIVALENT.keys()
    survivors = [name for name in found.survivors if name not in equivalent]
    noticed = sorted(equivalent.difference(found.survivors))
    for name in survivors:
        print(f"survived: {name}")
    for name in noticed:
        print(f"not equivalent: {name}")
    killed = f"killed {found.tried - len(found.survivors)} ({found.endless} of them take too long)"
    print(f"mutants: {found.tried}, {killed}, equivalent {len(equivalent) - len(noticed)}, survivors {len(survivors)}")
    return 1 if survivors or noticed or not found.tried else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
