# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patching small configs: each rule of Talos' strategic merge, deletes and JSON patches."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import patching
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.yamltext import ConfigError

HOSTNAME = "apiVersion: v1alpha1\nkind: HostnameConfig\n"


def patched(base: str, *patches: str, minor: int = 13) -> list[t.Any]:
    """The documents of base with the patches applied."""
    result = patching.Patched(minor, text=base)
    for patch in patches:
        result = result.apply(patching.load_patch(patch, minor))
    return list(yaml.safe_load_all(result.text()))


def refused(base: str, *patches: str, minor: int = 13) -> str:
    """The message with which the patches are refused."""
    with pytest.raises(ConfigError) as caught:
        patched(base, *patches, minor=minor)
    return str(caught.value)


def pick(documents: list[t.Any], path: str) -> t.Any:
    """A value of the first document by dotted path."""
    value = documents[0]
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


@pytest.mark.parametrize(
    ("base", "patch", "path", "expected"),
    [
        ("machine: {certSANs: [a]}", "machine: {certSANs: [b]}", "machine.certSANs", ["a", "b"]),
        ("machine: {certSANs: [a]}", "machine: {certSANs: []}", "machine.certSANs", ["a"]),
        ("machine: {certSANs: [a]}", "machine: {certSANs: null}", "machine.certSANs", ["a"]),
        ("cluster: {network: {podSubnets: [a]}}", "cluster: {network: {podSubnets: [b]}}", "cluster.network.podSubnets", ["b"]),
        ("cluster: {network: {podSubnets: [a]}}", "cluster: {network: {podSubnets: []}}", "cluster.network.podSubnets", []),
        ("machine: {sysctls: {x: '1'}}", "machine: {sysctls: {x: '', y: 2}}", "machine.sysctls", {"x": "1", "y": "2"}),
        ("machine: {install: {disk: a, wipe: true}}", "machine: {install: {wipe: false}}", "machine.install", {"disk": "a", "wipe": False}),
        ("machine: {ca: {crt: WA==, key: WQ==}}", "machine: {ca: {crt: Wg==}}", "machine.ca", {"crt": "Wg==", "key": ""}),
        ("machine: {kubelet: {extraArgs: {v: '2'}}}", "machine: {kubelet: {extraArgs: {v: ''}}}", "machine.kubelet.extraArgs", {"v": None}),
        ("machine: {kubelet: {extraArgs: {v: [a]}}}", "machine: {kubelet: {extraArgs: {v: [b]}}}", "machine.kubelet.extraArgs", {"v": ["b"]}),
        ("machine: {kubelet: {extraConfig: {a: {b: [1]}}}}", "machine: {kubelet: {extraConfig: {a: {b: [2]}}}}", "machine.kubelet.extraConfig.a.b", [1, 2]),
        (
            "cluster: {controlPlane: {endpoint: 'https://a:1/'}}",
            "cluster: {controlPlane: {endpoint: 'https://b'}}",
            "cluster.controlPlane.endpoint",
            "https://b/",
        ),
    ],
)
def test_value_rules(base: str, patch: str, path: str, expected: object) -> None:
    assert pick(patched(base, patch), path) == expected


def test_interfaces_meet_by_name_and_keep_what_the_patch_does_not_name() -> None:
    base = "machine: {network: {interfaces: [{interface: eth0, addresses: [1.1.1.1/24], mtu: 1500}]}}"
    patch = "machine: {network: {interfaces: [{interface: eth0, addresses: [2.2.2.2/24], dhcp: false}, {interface: eth1}]}}"
    assert pick(patched(base, patch), "machine.network.interfaces") == [
        {"interface": "eth0", "addresses": ["1.1.1.1/24", "2.2.2.2/24"], "mtu": 1500, "dhcp": False},
        {"interface": "eth1"},
    ]


def test_up_to_1_12_an_empty_argument_does_not_overwrite() -> None:
    assert pick(patched("machine: {kubelet: {extraArgs: {v: '2'}}}", "machine: {kubelet: {extraArgs: {v: ''}}}", minor=12), "machine.kubelet.extraArgs") == {
        "v": "2"
    }


def test_untyped_values_of_different_types_do_not_merge() -> None:
    message = refused("machine: {kubelet: {extraConfig: {a: 1}}}", "machine: {kubelet: {extraConfig: {a: '1'}}}")
    assert message == "machine.kubelet.extraConfig.a: merge type mismatch left int right string"


def test_delete_removes_keys_items_and_documents() -> None:
    base = "machine: {certSANs: [a], network: {interfaces: [{interface: eth0}, {interface: eth1}]}}\n---\n" + HOSTNAME + "auto: stable\n"
    patch = "machine: {certSANs: {$patch: delete}, network: {interfaces: [{interface: eth0, $patch: delete}]}}\n---\n" + HOSTNAME + "$patch: delete\n"
    result = patched(base, patch)
    assert len(result) == 1
    assert pick(result, "machine.certSANs") == []
    assert pick(result, "machine.network.interfaces") == [{"interface": "eth1"}]


def test_delete_of_what_is_not_there_is_refused() -> None:
    assert "machine.network.hostname': lookup failed" in refused("machine: {type: worker}", "machine: {network: {hostname: {$patch: delete}}}")


def test_keys_of_untyped_data_can_be_deleted_from_1_12_on() -> None:
    base, patch = "machine: {kubelet: {extraConfig: {a: 1, b: 2}}}", "machine: {kubelet: {extraConfig: {a: {$patch: delete}}}}"
    assert pick(patched(base, patch, minor=12), "machine.kubelet.extraConfig") == {"b": 2}
    assert "lookup failed" in refused(base, patch, minor=11)


def test_json_patch_changes_a_single_document_only() -> None:
    base = "machine: {type: worker}"
    patch = '[{"op": "add", "path": "/machine/network", "value": {"hostname": "a"}}]'
    assert pick(patched(base, patch), "machine.network.hostname") == "a"
    assert "multi-document" in refused(base + "\n---\n{apiVersion: v1alpha1, kind: HostnameConfig, auto: stable}\n", patch)


def test_all_unknown_keys_are_named_with_their_line_and_no_value() -> None:
    message = refused("machine: {type: worker}", "machine:\n  tokn: hunter2\n  install:\n    dsk: hunter3\n")
    assert message.split("\n") == ["v1alpha1: line 2: machine.tokn: unknown key", "v1alpha1: line 4: machine.install.dsk: unknown key"]
