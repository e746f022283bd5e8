# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tarball holds: what a user of the collection needs, and nothing that its makers left lying around."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest

from tests import checkout

# A file that none of these allows is in the tarball by mistake, or belongs here.
ALLOWED = re.compile(
    r"""
    (MANIFEST|FILES)\.json
    | (README|CHANGELOG)\.md | COPYING | LICENSES/[\w.-]+\.txt | REUSE\.toml | requirements\.txt
    | changelogs/(changelog|config)\.yaml
    | collections/requirements\.yml
    | docs/([\w-]+/)*[\w-]+\.(md|rst|svg|png|json|ya?ml)
    | inventories/(example|nodes)/([\w-]+/)*[\w-]+\.yml
    | meta/(runtime|execution-environment|ee-collections)\.yml | meta/ee-(requirements|bindep)\.txt
    | playbooks/([\w-]+/)*\w+\.yml
    | plugins/(action|doc_fragments|filter|module_utils|modules|plugin_utils)/(\w+/)*\w+\.(py|yml)
    | roles/\w+/(README\.md|(defaults|meta|tasks|vars)/\w+\.yml|templates/\w+\.(html|json)\.j2)
    """,
    re.VERBOSE,
)
# A key's or certificate's body, a Vault or AWS credential: the words around them occur in documentation, these do not.
SECRET = re.compile(rb"PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}|\bhvs\.[A-Za-z0-9]{20}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")


@pytest.fixture(scope="module")
def members(tarball: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(tarball) as archive:
        return archive.getmembers()


def test_only_what_users_need(members: list[tarfile.TarInfo]) -> None:
    files = [member.name for member in members if not member.isdir()]
    assert [name for name in files if not ALLOWED.fullmatch(name)] == []
    assert {"README.md", "CHANGELOG.md", "meta/runtime.yml", "playbooks/create_node.yml", "roles/create_node/tasks/main.yml"} <= set(files)


def test_only_files_and_folders(members: list[tarfile.TarInfo]) -> None:
    assert [member.name for member in members if not member.isfile() and not member.isdir()] == []
    assert [member.name for member in members if member.isfile() and member.mode & 0o111] == []


def test_nothing_that_git_does_not_know(members: list[tarfile.TarInfo]) -> None:
    known = set(checkout.files())
    assert {member.name for member in members if member.isfile()} - known == {"MANIFEST.json", "FILES.json"}


def test_all_that_is_the_product(members: list[tarfile.TarInfo]) -> None:
    product = checkout.files("plugins", "roles", "meta", "playbooks/*.yml")
    assert set(product) - {member.name for member in members} == set()


def test_no_secret(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        found = {member.name: SECRET.findall(file.read()) for member in archive if (file := archive.extractfile(member))}
    assert {name: secrets for name, secrets in found.items() if secrets} == {}
