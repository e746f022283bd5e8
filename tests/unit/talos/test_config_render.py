# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering: one config per node from one base."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.render import NodeInput, render_nodes
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.yamltext import ConfigError

LEGACY = """\
version: v1alpha1
machine:
  type: worker
  token: abcdef.canary0123456789
  ca: {crt: LS0tLQ==, key: ""}
  install: {image: ghcr.io/siderolabs/installer:v1.11.3, disk: /dev/xvda}
cluster:
  clusterName: fargle
  controlPlane: {endpoint: "https://fargle.example.com:6443"}
"""
MULTI = LEGACY.replace("v1.11.3", "v1.13.2") + "---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n"


def test_hostname_in_the_legacy_style() -> None:
    result = render_nodes(LEGACY, None, [NodeInput("n1", "n1.example.com")], "worker", None, "cloud")
    assert result.errors == {}
    assert result.info.talos_version == "v1.11.3"
    (document,) = yaml.safe_load_all(result.nodes["n1"].text)
    assert document["machine"]["network"] == {"hostname": "n1.example.com"}


def test_hostname_in_the_document_style() -> None:
    result = render_nodes(MULTI, None, [NodeInput("n1", "n1.example.com")], "worker", None, "cloud")
    assert result.errors == {}
    legacy, hostname = yaml.safe_load_all(result.nodes["n1"].text)
    assert "network" not in legacy["machine"]
    assert hostname == {"apiVersion": "v1alpha1", "kind": "HostnameConfig", "auto": "off", "hostname": "n1.example.com"}


def test_a_worker_registers_with_its_taints() -> None:
    node = NodeInput("n1", "", {"purpose": "gpu"}, [{"key": "purpose", "value": "gpu", "effect": "NoSchedule"}])
    result = render_nodes(LEGACY, None, [node], "worker", None, "cloud")
    machine = yaml.safe_load(result.nodes["n1"].text)["machine"]
    assert machine["nodeLabels"] == {"purpose": "gpu"}
    assert machine["kubelet"]["extraConfig"] == {"registerWithTaints": [{"effect": "NoSchedule", "key": "purpose", "value": "gpu"}]}
    assert "nodeTaints" not in machine


def test_the_diff_shows_that_a_secret_changed_but_not_the_secret() -> None:
    node = NodeInput("n1", "n1", patch="machine: {token: other.canary9876543210}")
    diff = render_nodes(LEGACY, None, [node], "worker", None, "cloud").nodes["n1"].diff
    assert "canary" not in diff["before"] + diff["after"]
    before, after = (yaml.safe_load(diff[side])["machine"]["token"] for side in ("before", "after"))
    assert before != after


def test_another_roles_config_is_refused() -> None:
    with pytest.raises(ConfigError, match="machine.type is 'worker' but the role is 'controlplane'"):
        render_nodes(LEGACY, None, [NodeInput("n1")], "controlplane", None, "cloud")


def test_a_node_patch_that_is_wrong_fails_only_its_node() -> None:
    nodes = [NodeInput("good", "good"), NodeInput("bad", "bad", patch="machine: {foo: 1, bar: 2}")]
    result = render_nodes(LEGACY, None, nodes, "worker", None, "cloud")
    assert list(result.nodes) == ["good"]
    assert result.errors == {"bad": ["node patch: v1alpha1: line 1: machine.foo: unknown key", "node patch: v1alpha1: line 1: machine.bar: unknown key"]}


def test_a_patch_that_clears_what_it_does_not_name_is_told() -> None:
    base = MULTI + "---\napiVersion: v1alpha1\nkind: UserVolumeConfig\nname: data\nprovisioning:\n  diskSelector: {match: disk.rotational}\n  minSize: 1GB\n"
    patch = "apiVersion: v1alpha1\nkind: UserVolumeConfig\nname: data\nprovisioning: {minSize: 2GB, diskSelector: {match: disk.rotational}}\n"
    assert render_nodes(base, patch, [NodeInput("n1", "n1")], "worker", None, "cloud").nodes["n1"].warnings == []
    patch = "apiVersion: v1alpha1\nkind: UserVolumeConfig\nname: data\nprovisioning: {minSize: 2GB}\n"
    result = render_nodes(base, patch, [NodeInput("n1", "n1")], "worker", None, "cloud")
    assert result.errors["n1"] == [
        "UserVolumeConfig/data: provisioning.diskSelector.match: disk selector is required",
        "note: UserVolumeConfig/data: provisioning.diskSelector.match: cleared, because a patch of this document that does not repeat the value "
        "clears it in Talos",
    ]


def test_an_enumerations_zero_that_is_ignored_is_told() -> None:
    base = MULTI + "---\napiVersion: v1alpha1\nkind: NetworkDefaultActionConfig\ningress: block\n"
    patch = "apiVersion: v1alpha1\nkind: NetworkDefaultActionConfig\ningress: accept\n"
    node = render_nodes(base, patch, [NodeInput("n1", "n1")], "worker", None, "cloud").nodes["n1"]
    assert "ingress: block" in node.text
    assert "NetworkDefaultActionConfig: ingress: the patch's accept is ignored" in node.warnings[0]
