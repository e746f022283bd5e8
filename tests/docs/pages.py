# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Markdown pages there are, and where the forge shows them."""

from __future__ import annotations

import functools
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def site_pages() -> list[Path]:
    """The pages of the site: guides, roles, and the tests' own that guides link to."""
    patterns = ("docs/*.md", "roles/*/README.md", "tests/sandbox/README.md", "tests/faults/README.md")
    return [page for pattern in patterns for page in sorted(ROOT.glob(pattern))]


@functools.cache
def documented_pages() -> list[Path]:
    """The pages whose code blocks are held to what they show."""
    return [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("roles/*/README.md"))]


def forge(path: Path) -> str:
    """The address of a file or folder of the checkout in the repository that galaxy.yml names."""
    repository = yaml.safe_load((ROOT / "galaxy.yml").read_text())["repository"]
    return f"{repository}/{'tree' if path.is_dir() else 'blob'}/main/{path.relative_to(ROOT).as_posix()}"
