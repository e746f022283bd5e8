# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutants of the machine config engine: each rule is disabled in turn, and the unit tests must notice.

Why not mutmut or cosmic-ray: they swap operators in expressions by the thousand, many without effect, and run pytest anew for each.
Here a mutant is one rule less, the list follows from the code, and one pytest session collects once and forks for each mutant.
"""

from __future__ import annotations

import tests.conftest  # noqa: F401
