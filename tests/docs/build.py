# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the site of all pages into build/docs/html: the Markdown pages as they are, and antsibull-docs' pages of modules, filters and roles.

Every warning is an error. No network is used.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .pages import ROOT, forge, site_pages

BUILD = ROOT / "build" / "docs"
SOURCE = BUILD / "source"
SITE = Path(__file__).parent / "site"
BIN = Path(sys.executable).parent
COLLECTION = "k8s_cluster.manager"


def copy_pages() -> None:
    """The pages, and what they show or link to from docs/, where they are in the checkout: so their links to each other hold."""
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(SITE, SOURCE, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "docs", SOURCE / "docs")
    for page in site_pages():
        copy = SOURCE / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(linked(page))


def linked(page: Path) -> str:
    """A page's text whose links to files that the site has not lead to the forge."""

    def link(found: re.Match[str]) -> str:
        to = (page.parent / found.group(1)).resolve()
        elsewhere = to.exists() and to not in site_pages() and (ROOT / "docs") not in to.parents
        return f"]({forge(to)})" if elsewhere else found.group()

    return re.sub(r"\]\(([^)#:\s]+)\)", link, page.read_text())


def generate_reference() -> None:
    """The pages of modules, filters and roles, from their documentation."""
    folder = SOURCE / "collection"
    folder.mkdir()
    program: list[str | Path] = [BIN / "antsibull-docs", "collection", "--use-current", "--fail-on-error"]
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections"), "PATH": path}
    subprocess.run([*program, "--squash-hierarchy", "--dest-dir", folder, COLLECTION], check=True, env=environment)


def main() -> int:
    """Build; returns Sphinx' exit code."""
    copy_pages()
    generate_reference()
    command: list[str | Path] = [BIN / "sphinx-build", "-q", "-n", "-W", "--keep-going", "-d", BUILD / "doctrees", SOURCE, BUILD / "html"]
    code = subprocess.run(command, check=False).returncode
    print("docs: warnings, see above" if code else f"docs: {BUILD / 'html' / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
