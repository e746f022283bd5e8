# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment: ansible-builder understands what it asks for, and with only that every plugin of the collection can be loaded."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import ansible_collections
import pytest
import yaml

from tests.awx import closure

from .playbooks import ROOT

pytestmark = pytest.mark.slow

BUILDER = Path(sys.executable).with_name("ansible-builder")
REQUIREMENTS = closure.lines(ROOT / "meta/ee-requirements.txt")
COLLECTIONS = yaml.safe_load((ROOT / "meta/ee-collections.yml").read_text())["collections"]
# Loads what it is told; prints why anything cannot be.
LOAD = """
import importlib, json, sys
site, collections, names = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path.insert(0, site)
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder
_AnsibleCollectionFinder(paths=[collections])._install()
failed = {}
for name in names:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = f"{type(error).__name__}: {error}"
print(json.dumps(failed))
"""


def builder(*arguments: str, cwd: Path = ROOT) -> str:
    done = subprocess.run([str(BUILDER), *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_introspection_finds_the_requirements_of_the_collection() -> None:
    """As in an execution environment into which it is installed. PyYAML the builder leaves out: every such environment has it."""
    found = yaml.safe_load(builder("introspect", "playbooks/collections"))
    assert found["system"] == []
    wanted = [line for line in REQUIREMENTS if not line.startswith("PyYAML")]
    assert found["python"] == [f"{line}  # from collection k8s_cluster.manager" for line in wanted]


def test_a_build_context_has_what_is_asked_for(tmp_path: Path) -> None:
    builder("create", "--file", "execution-environment.yml", "--context", str(tmp_path), "--output-filename", "Containerfile")
    assert closure.lines(tmp_path / "_build/requirements.txt") == REQUIREMENTS
    assert yaml.safe_load((tmp_path / "_build/requirements.yml").read_text())["collections"] == COLLECTIONS
    assert closure.lines(tmp_path / "_build/bindep.txt") == []
    text = (tmp_path / "Containerfile").read_text()
    # The argument that says which base image.
    assert "\nARG EE_BASE_IMAGE=" in f"\n{text}"
    assert "ansible-core>=2.16" in text
    assert "ansible-runner>=2.4" in text


def test_the_project_asks_for_the_same_collections_and_packages() -> None:
    """AWX installs a project's collections/requirements.yml by itself."""
    assert yaml.safe_load((ROOT / "collections/requirements.yml").read_text())["collections"] == COLLECTIONS
    assert closure.lines(ROOT / "requirements.txt") == REQUIREMENTS
    wanted = yaml.safe_load((ROOT / "galaxy.yml").read_text())["dependencies"]
    assert {one["name"]: one["version"] for one in COLLECTIONS}.items() >= wanted.items()


def load(tmp_path: Path, requirements: t.Iterable[str], names: t.Sequence[str]) -> dict[str, str]:
    """Which modules cannot be loaded where only these distributions and ansible-core are, and the collections that are asked for: name to why."""
    site, collections = tmp_path / "site", tmp_path / "collections/ansible_collections"
    closure.make(site, ["ansible-core", *requirements])
    (collections / "k8s_cluster").mkdir(parents=True)
    (collections / "k8s_cluster/manager").symlink_to(ROOT)
    for one in COLLECTIONS:
        namespace, name = one["name"].split(".")
        (collections / namespace).mkdir(exist_ok=True)
        (collections / namespace / name).symlink_to(installed(namespace, name))
    command = [sys.executable, "-I", "-S", "-c", LOAD, str(site), str(collections.parent), json.dumps(names)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, cwd=tmp_path)
    return t.cast("dict[str, str]", json.loads(done.stdout.splitlines()[-1]))


def installed(namespace: str, name: str) -> Path:
    """Where a collection is installed."""
    return next(path for folder in ansible_collections.__path__ if (path := Path(folder) / namespace / name).is_dir())


def libraries() -> list[str]:
    """What plugins import. Guards let them load without, so these are looked for by themselves."""
    return [*sorted(closure.imported(ROOT / "plugins")), "hvac", "requests"]


def test_everything_loads_with_only_what_is_asked_for(tmp_path: Path) -> None:
    plugins = [path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / "plugins").rglob("*.py")) if path.name != "__init__.py"]
    assert len(plugins) > 90
    names = [f"ansible_collections.k8s_cluster.manager.{'.'.join(path.parts)}" for path in plugins]
    assert load(tmp_path, REQUIREMENTS, [*names, *libraries(), "ansible_collections.community.hashi_vault.plugins.lookup.vault_kv2_get"]) == {}


@pytest.mark.parametrize("library", ["grpclib", "protobuf"])
def test_a_requirement_that_is_missing_is_noticed(tmp_path: Path, library: str) -> None:
    failed = load(tmp_path, [line for line in REQUIREMENTS if not line.startswith(library)], libraries())
    assert any(name.startswith(library.replace("protobuf", "google")) for name in failed), failed
