# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.mutants [words of a mutant's name]: exits with 1 and names the mutants that no test notices, if there are any."""

from __future__ import annotations

import sys

from . import engine
from .runner import hunt

TESTS = ("tests/unit/talos",)


def main(words: str) -> int:
    """Try the engine's mutants whose names have these words."""
    found = hunt([mutation for mutation in engine.mutations() if words in mutation.name], engine.modules().values(), TESTS)
    for name in found.survivors:
        print(f"survived: {name}")
    print(f"mutants: {found.tried}, survivors {len(found.survivors)}")
    return 1 if found.survivors or not found.tried else 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
