# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkout as a clone of it would be: what git knows, or would if it was added."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def files(*paths: str) -> list[str]:
    """The files, from the checkout's root; only those that paths, as git takes them, lead to, if there are any."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths]
    return [name for name in subprocess.check_output(command, cwd=ROOT, text=True).split("\0") if name]


def copy(folder: Path, *paths: str) -> None:
    """Copy them into a folder. The link by which a checkout finds itself stays one."""
    for name in files(*paths):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
