# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where inputs are looked for, and in which order."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils import _sources
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._sources import Source


def vault(**secrets: dict[str, t.Any]) -> _sources.SecretReader:
    return lambda name: secrets.get(name.replace("-", "_"))


def test_file_beats_inline_beats_vault_beats_environment(tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("from file")
    other.write_text("from environment")
    secret = vault(s={"value": "a: from vault"})
    environ = {"KUBECONFIG": str(other)}
    source = Source("kubeconfig", str(file), "from inline", "KUBECONFIG")
    assert _sources.read(source, ["s"], secret, environ) == "from file"
    assert _sources.read(Source("kubeconfig", None, "from inline", "KUBECONFIG"), ["s"], secret, environ) == "from inline"
    assert _sources.read(Source("kubeconfig", None, None, "KUBECONFIG"), ["s"], secret, environ) == "a: from vault"
    assert _sources.read(Source("kubeconfig", None, None, "KUBECONFIG"), ["t"], secret, environ) == "from environment"
    assert _sources.read(Source("kubeconfig", None, None, "KUBECONFIG"), ["t"], None, {}) is None


def test_a_file_that_cannot_be_read_is_named_with_its_option(tmp_path: Path) -> None:
    with pytest.raises(_sources.SourceProblem, match=r"^patch_file: cannot read '.*/none': No such file or directory$"):
        _sources.read(Source("patch", str(tmp_path / "none")), [], None, {})
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(_sources.SourceProblem, match="not UTF-8"):
        _sources.read(Source("patch", str(tmp_path / "binary")), [], None, {})


def test_a_roles_own_word_is_tried_first() -> None:
    assert _sources.spellings("controlplane", "cp") == ["cp", "controlplane", "control-plane"]
    assert _sources.spellings("worker", None) == ["worker"]


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        ({"controlplane.yaml": "version: v1alpha1\n"}, "version: v1alpha1\n"),
        ({"patches": [{"machine": {}}]}, '[{"machine": {}}]'),
        ({"machine": {"type": "worker"}, "cluster": {}}, '{"machine": {"type": "worker"}, "cluster": {}}'),
        ({"image_id": "ami-1", "domain": "d"}, '{"image_id": "ami-1", "domain": "d"}'),
    ],
)
def test_the_document_in_a_secret(secret: dict[str, t.Any], expected: str) -> None:
    assert _sources.document_of(secret) == expected


def test_raw_scalars_of_text_are_kept() -> None:
    assert _sources.as_text("machine: {sysctls: {a: 0x10}}") == "machine: {sysctls: {a: 0x10}}"
    assert json.loads(_sources.as_text([{"a": 1}])) == [{"a": 1}]
