# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering: one config per node from one base."""

from __future__ import annotations

import base64

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


FOREIGN = [
    ("/etc/talos/worker.yaml", "this is a path, not what is in the file"),
    ("@patch.yaml", "this is a path, not what is in the file"),
    ("$ANSIBLE_VAULT;1.1;AES256\n6231", "this is still encrypted by ansible-vault"),
    ("{{ worker_config }}", "this is a Jinja expression that was not rendered"),
    ("<html>504</html>", "this is HTML or XML"),
    (base64.b64encode(LEGACY.encode()).decode(), "this is base64"),
    ("context: a\ncontexts: {a: {key: canary}}", "this is a talosconfig, not a machine config"),
    ("apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: [canary]", "this is a kubeconfig, not a machine config"),
    ("cluster: {id: canary}\nsecrets: {}\ntrustdinfo: {}\ncerts: {}", "this is a secrets bundle"),
    ("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: canary", "this is a Kubernetes object, not a Talos document"),
]


@pytest.mark.parametrize(("text", "message"), FOREIGN)
@pytest.mark.parametrize("place", ["config", "patch", "node patch"])
def test_another_thing_than_a_config_is_called_by_its_name(text: str, message: str, place: str) -> None:
    """And nothing else is said of it, least of all what is in it."""
    config, patch, own = (text if place == name else None for name in ("config", "patch", "node patch"))
    try:
        (said,) = render_nodes(config or LEGACY, patch, [NodeInput("n1", patch=own)], "worker", None, "cloud").errors["n1"]
    except ConfigError as error:
        said = str(error)
    assert said.startswith(f"{place}: {message}")
    assert "canary" not in said
    assert "\n" not in said


@pytest.mark.parametrize("text", ["machine:\n\ttoken: canary", "machine:\n  type: worker\n\ttoken: canary", "# \u00e9\nmachine: {\n\ttype: @canary}"])
def test_yaml_that_is_none_is_told_by_line_only(text: str) -> None:
    with pytest.raises(ConfigError, match=r"config: line [23]: ") as caught:
        render_nodes(text, None, [], "worker", None, "cloud")
    assert ("tab" in str(caught.value)) == ("{" not in text)
    assert "canary" not in str(caught.value)


def test_a_newer_release_than_the_known_ones_is_told() -> None:
    nodes = [NodeInput("n1")]
    assert render_nodes(LEGACY, None, nodes, "worker", "v1.14.9", "cloud").nodes["n1"].warnings == []
    (warning,) = render_nodes(LEGACY, None, nodes, "worker", "v1.30.0", "cloud").nodes["n1"].warnings
    assert warning == "Talos v1.30.0 is newer than 1.14, the newest release whose rules are known here: those are used"


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
