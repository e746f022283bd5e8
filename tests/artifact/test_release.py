# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release, rehearsed in a clone: what keeps it from being made, and what is said when nothing does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests import checkout

from .conftest import BIN, ROOT

VERSION = re.search(r"^version: (.*)$", (ROOT / "galaxy.yml").read_text(), re.MULTILINE)[1]  # type: ignore[index]
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    **{f"GIT_{who}_{what}": "test@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What is here, committed; what a release tests of its tarball is tested elsewhere."""
    checkout.copy(tmp_path)
    for test in (tmp_path / "tests" / "artifact").glob("test_*.py"):
        test.write_text("def test_it() -> None:\n    pass\n")
    run(tmp_path, "git", "init", "-q")
    commit(tmp_path)
    return tmp_path


def run(clone: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=clone, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def commit(clone: Path) -> None:
    run(clone, "git", "add", "-A")
    assert run(clone, "git", "commit", "-q", "-m", "all").returncode == 0


def refused(clone: Path) -> str:
    done = run(clone, ".ci/release")
    assert done.returncode == 1, done.stdout
    assert not (clone / "dist").exists()
    return done.stderr


def test_a_release(clone: Path) -> None:
    assert "CHANGELOG.md does not tell of" in refused(clone)
    assert run(clone, "antsibull-changelog", "release").returncode == 0
    assert "not committed" in refused(clone)
    commit(clone)

    done = run(clone, ".ci/release")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"git tag -s {VERSION}" in done.stdout
    (built,) = (clone / "dist").iterdir()
    assert built.name == f"k8s_cluster-manager-{VERSION}.tar.gz"
    assert f"ansible-galaxy collection publish dist/{built.name}" in done.stdout
    assert VERSION.replace(".", "\\.").replace("-", "\\-") in (clone / "CHANGELOG.md").read_text()
    assert run(clone, "git", "status", "--porcelain").stdout == ""
    assert run(clone, "git", "tag").stdout == ""


def test_a_version_is_released_once(clone: Path) -> None:
    run(clone, "git", "tag", VERSION)
    assert f"{VERSION} is tagged already" in refused(clone)


def test_the_changelog_is_what_its_data_says(clone: Path) -> None:
    run(clone, "antsibull-changelog", "release")
    (clone / "CHANGELOG.md").write_text("Nothing new.\n")
    commit(clone)
    assert "CHANGELOG.md is not what" in refused(clone)
