# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostname, labels and taints go where the config's own style has them."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import documents, place, validate
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.yamltext import ConfigError

LEGACY = "machine: {type: worker}\ncluster: {}\n"
STABLE = "machine: {type: worker, features: {stableHostname: true}}\ncluster: {}\n"
HOSTNAME = LEGACY + "---\n{apiVersion: v1alpha1, kind: HostnameConfig, auto: stable}\n"
NODE = LEGACY + "---\n{apiVersion: v1alpha1, kind: KubeNodeConfig, labels: {old: a}}\n---\n{apiVersion: v1alpha1, kind: KubeletConfig}\n"
TAINT = place.Taint("purpose", "gpu", "NoSchedule")


def values(config: documents.Config) -> dict[str, t.Any]:
    """The config's documents by kind, without their heads."""
    return {document.kind.kind: {key: value for key, value in document.value.items() if key not in ("apiVersion", "kind")} for document in config.documents}


@pytest.mark.parametrize(
    ("text", "minor", "legacy"),
    [(LEGACY, 11, True), (LEGACY, 12, False), (STABLE, 12, True), (STABLE, 14, True), (HOSTNAME, 13, False), ("machine: {network: {hostname: old}}", 14, True)],
)
def test_hostname(text: str, minor: int, legacy: bool) -> None:
    result = values(place.hostname(documents.load(text, minor), "n1.example.com", minor))
    if legacy:
        assert result[""]["machine"]["network"]["hostname"] == "n1.example.com"
        assert "HostnameConfig" not in result
    else:
        assert result["HostnameConfig"] == {"auto": "off", "hostname": "n1.example.com"}
        assert "network" not in result[""]["machine"]


@pytest.mark.parametrize("name", ["a b", "a_b.example.com", "a" * 64, "-a", "a-.b", "a..b", "a.", ".", ".".join(["a" * 62] * 4) + ".bc"])
def test_a_hostname_that_no_node_can_have(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^hostname: {re.escape(repr(name))} is no host name: at most 253 characters"):
        place.hostname(documents.load(LEGACY, 11), name, 11)


@pytest.mark.parametrize("name", ["a", "A-1.example.com", "a" * 63, ".".join(["a" * 62] * 4) + ".b"])
def test_a_hostname_at_its_limits(name: str) -> None:
    assert values(place.hostname(documents.load(LEGACY, 11), name, 11))[""]["machine"]["network"]["hostname"] == name


def test_the_base_is_not_changed() -> None:
    base = documents.load(LEGACY, 11)
    place.hostname(base, "n1", 11)
    assert values(base) == {"": {"machine": {"type": "worker"}, "cluster": {}}}


def test_labels_in_both_styles() -> None:
    assert values(place.labels(documents.load(LEGACY, 13), {"a": "b"}, 13, False))[""]["machine"]["nodeLabels"] == {"a": "b"}
    assert values(place.labels(documents.load(NODE, 14), {"a": "b"}, 14, False))["KubeNodeConfig"]["labels"] == {"old": "a", "a": "b"}


def test_workers_register_with_their_labels() -> None:
    """Labels that Talos sets come after the registration, when pods may be there already."""
    legacy = values(place.labels(documents.load(LEGACY, 13), {"a": "b", "c": ""}, 13, False))[""]["machine"]
    assert legacy["kubelet"] == {"extraArgs": {"node-labels": "a=b,c="}}
    assert values(place.labels(documents.load(NODE, 14), {"a": "b"}, 14, False))["KubeletConfig"] == {"extraArgs": {"node-labels": "a=b"}}
    assert "kubelet" not in values(place.labels(documents.load(LEGACY, 13), {"a": "b"}, 13, True))[""]["machine"]


@pytest.mark.parametrize("given", ["x=y,a=old", ["x=y", "a=old"]])
def test_labels_that_the_kubelet_registers_with_already_stay(given: t.Any) -> None:
    base = place.labels(documents.load(LEGACY, 13), {"a": "b"}, 13, True)
    base.documents[0].value["machine"]["kubelet"] = {"extraArgs": {"node-labels": given}}
    assert values(place.labels(base, {"a": "b"}, 13, False))[""]["machine"]["kubelet"] == {"extraArgs": {"node-labels": "x=y,a=b"}}


@pytest.mark.parametrize("label", ["node-role.kubernetes.io/gpu", "kubernetes.io/x", "x.k8s.io/y"])
def test_labels_that_no_worker_may_give_itself(label: str) -> None:
    with pytest.raises(ConfigError, match="NodeRestriction"):
        place.labels(documents.load(LEGACY, 13), {label: ""}, 13, False)
    assert values(place.labels(documents.load(LEGACY, 13), {label: ""}, 13, True))[""]["machine"]["nodeLabels"] == {label: ""}


@pytest.mark.parametrize("label", ["purpose", "example.com/x", "node.kubernetes.io/x", "topology.kubernetes.io/zone", "a.node.kubernetes.io/x"])
def test_labels_that_a_worker_may_give_itself(label: str) -> None:
    assert values(place.labels(documents.load(LEGACY, 13), {label: ""}, 13, False))[""]["machine"]["nodeLabels"] == {label: ""}


def test_taints_of_workers_are_registered_with() -> None:
    entry = {"key": "purpose", "value": "gpu", "effect": "NoSchedule"}
    legacy = values(place.taints(documents.load(LEGACY, 13), [TAINT], 13, False))
    assert legacy[""]["machine"] == {"type": "worker", "kubelet": {"extraConfig": {"registerWithTaints": [entry]}}}
    modern = values(place.taints(documents.load(NODE, 14), [TAINT], 14, False))
    assert modern["KubeletConfig"] == {"config": {"registerWithTaints": [entry]}}


def test_a_taint_is_not_registered_twice() -> None:
    config = documents.load(LEGACY, 13)
    once = place.taints(config, [TAINT], 13, False)
    assert values(place.taints(once, [TAINT], 13, False)) == values(once)


def test_taints_of_control_planes() -> None:
    bare = place.Taint("other", "", "NoExecute")
    legacy = values(place.taints(documents.load(LEGACY, 13), [TAINT, bare], 13, True))
    assert legacy[""]["machine"]["nodeTaints"] == {"purpose": "gpu:NoSchedule", "other": "NoExecute"}
    modern = values(place.taints(documents.load(NODE, 14), [TAINT], 14, True))
    assert modern["KubeNodeConfig"]["taints"] == {"purpose": "gpu:NoSchedule"}


def test_style_of_the_whole() -> None:
    assert [place.style(documents.load(text, 14)) for text in (LEGACY, HOSTNAME, "{apiVersion: v1alpha1, kind: KubeletConfig}")] == [
        "legacy",
        "mixed",
        "documents",
    ]


KUBELET = LEGACY + "---\n{apiVersion: v1alpha1, kind: KubeletConfig, image: i}\n"
NODE_ONLY = LEGACY + "---\n{apiVersion: v1alpha1, kind: KubeNodeConfig}\n"


def test_labels_and_the_kubelet_have_styles_of_their_own() -> None:
    found = values(place.labels(documents.load(KUBELET, 14), {"a": "b"}, 14, False))
    assert found[""]["machine"]["nodeLabels"] == {"a": "b"} and "KubeNodeConfig" not in found
    assert found["KubeletConfig"]["extraArgs"] == {"node-labels": "a=b"} and "kubelet" not in found[""]["machine"]
    found = values(place.labels(documents.load(NODE_ONLY, 14), {"a": "b"}, 14, False))
    assert found["KubeNodeConfig"]["labels"] == {"a": "b"} and "nodeLabels" not in found[""]["machine"]
    assert found[""]["machine"]["kubelet"]["extraArgs"] == {"node-labels": "a=b"} and "KubeletConfig" not in found


def test_taints_have_one_style_too() -> None:
    taint = [place.Taint("purpose", "gpu", "NoSchedule")]
    worker = values(place.taints(documents.load(KUBELET, 14), taint, 14, False))
    assert worker["KubeletConfig"]["config"]["registerWithTaints"] and "kubelet" not in worker[""]["machine"]
    control_plane = values(place.taints(documents.load(KUBELET, 14), taint, 14, True))
    assert control_plane[""]["machine"]["nodeTaints"] == {"purpose": "gpu:NoSchedule"} and "KubeNodeConfig" not in control_plane


@pytest.mark.parametrize("text", [LEGACY, KUBELET, NODE_ONLY])
@pytest.mark.parametrize("control_plane", [False, True])
def test_what_is_placed_never_stands_beside_its_rival(text: str, control_plane: bool) -> None:
    config = place.hostname(documents.load(text, 14), "a.example", 14)
    config = place.labels(config, {"a": "b"}, 14, control_plane)
    config = place.taints(config, [place.Taint("purpose", "gpu", "NoSchedule")], 14, control_plane)
    problems, _warnings = validate.validate(config, 14, "cloud")
    assert [problem for problem in problems if "already set" in problem or "cannot" in problem] == []
