# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tarball that a release uploads, and what a user who installs it has."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.sandbox.fixture import RunningSandbox, sandbox

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def run(*command: str, cwd: Path, env: t.Mapping[str, str] | None = None) -> str:
    """What a command of the environment prints, both streams; the test fails with it if the command does."""
    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, built from this checkout as it stands; or what a release has built, named by ARTIFACT."""
    if given := os.environ.get("ARTIFACT"):
        return Path(given)
    folder = tmp_path_factory.mktemp("built")
    run("ansible-galaxy", "collection", "build", "--output-path", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.tar.gz")
    return built


@pytest.fixture(scope="session")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path that was empty before the tarball was installed into it; its dependency comes with PyPI's `ansible`."""
    path = tmp_path_factory.mktemp("collections")
    run("ansible-galaxy", "collection", "install", "--offline", "--pre", "-p", str(path), str(tarball), cwd=path)
    return path


@pytest.fixture(scope="session")
def cloud() -> t.Iterator[RunningSandbox]:
    with sandbox() as running:
        yield running
