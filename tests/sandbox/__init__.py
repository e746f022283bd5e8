# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox: a local cloud of simulated services. README.md says what it is and how it is driven."""

from __future__ import annotations

import sys
from pathlib import Path

# Simulated nodes speak by the collection's own table of messages, so a checkout must be importable as that collection.
_COLLECTIONS = str(Path(__file__).resolve().parents[2] / "playbooks" / "collections")
if _COLLECTIONS not in sys.path:
    sys.path.append(_COLLECTIONS)
