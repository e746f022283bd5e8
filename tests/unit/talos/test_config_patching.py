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


@pytest.mark.parametrize("minor", [6, 13, 14])
def test_empty_untyped_data_replaces_nothing(minor: int) -> None:
    base = "cluster: {apiServer: {auditPolicy: {a: 1}}}"
    assert pick(patched(base, "cluster: {apiServer: {auditPolicy: {}}}", minor=minor), "cluster.apiServer.auditPolicy") == {"a": 1}
    assert pick(patched(base, "cluster: {apiServer: {auditPolicy: {b: 1}}}", minor=minor), "cluster.apiServer.auditPolicy") == {"b": 1}


@pytest.mark.parametrize(
    "where", ["sysctls: {a: 2024-01-01}", "sysctls: {2024-01-01: a}", "kubelet: {extraArgs: {a: [2024-01-01]}}", "pods: [{2024-01-01: a}]"]
)
def test_from_1_14_on_an_unquoted_time_is_no_text(where: str) -> None:
    assert "must be quoted" in refused(f"machine: {{{where}}}", "machine: {type: worker}", minor=14)
    assert pick(patched(f"machine: {{{where}}}", "machine: {type: worker}", minor=13), "machine.type") == "worker"


def test_null_keys_are_dropped_and_keys_below_untyped_data_are_texts() -> None:
    assert pick(patched("machine: {sysctls: {~: 1, 1: 2}}", "machine: {type: worker}"), "machine.sysctls") == {"1": "2"}
    assert pick(patched("machine: {pods: [{10: 1, ~: 2}]}", "machine: {type: worker}"), "machine.pods") == [{"10": 1}]
    assert "machine.pods[0].a[0].10: a key in untyped data" in refused("machine: {pods: [{a: [{10: 1}]}]}", "machine: {type: worker}")


@pytest.mark.parametrize(("minor", "quote"), [(13, '"'), (14, "'")])
def test_words_of_yaml_1_1_are_in_single_quotes_from_1_14_on(minor: int, quote: str) -> None:
    words = ["yes", "off", "1:30", "<<"]
    result = patching.Patched(minor, text=f"machine: {{sysctls: {{a: '12', b: =}}, certSANs: {words!r}}}").apply(patching.load_patch("machine: {}", minor))
    assert [f"- {quote}{word}{quote}" in result.text() for word in words] == [True] * 4
    assert 'a: "12"\n' in result.text() and "b: =\n" in result.text()


RESOLVER = "{apiVersion: v1alpha1, kind: ResolverConfig, searchDomains: {domains: [a]}}"


def test_search_domains_are_replaced_from_1_14_on() -> None:
    patch = "{apiVersion: v1alpha1, kind: ResolverConfig, searchDomains: {domains: [b]}}"
    assert pick(patched(RESOLVER, patch, minor=13), "searchDomains.domains") == ["a", "b"]
    assert pick(patched(RESOLVER, patch, minor=14), "searchDomains.domains") == ["b"]
    empty = "{apiVersion: v1alpha1, kind: ResolverConfig, searchDomains: {domains: []}}"
    assert pick(patched(RESOLVER, empty, minor=14), "searchDomains.domains") == []
    assert "searchDomains" not in patched(empty, "{apiVersion: v1alpha1, kind: ResolverConfig}", minor=13)[0]


def test_two_pairs_of_links_may_not_share_an_end() -> None:
    pair = "{apiVersion: v1alpha1, kind: VethConfig, name: NAME, peer: {name: PEER}}"
    one, two = pair.replace("NAME", "a").replace("PEER", "x"), pair.replace("NAME", "b").replace("PEER", "x")
    assert 'conflicting link configurations: VethConfig/a and VethConfig/b both configure "x"' in refused(one, two, minor=14)
    assert len(patched(one, two.replace("x}", "y}"), minor=14)) == 2


def test_access_to_machined_is_cleared_by_a_patch_that_does_not_repeat_it() -> None:
    base = "{apiVersion: v1alpha1, kind: ContainerConfig, name: a, security: {machinedAccess: true}}"
    patch = "{apiVersion: v1alpha1, kind: ContainerConfig, name: a, security: {profile: restricted}}"
    assert pick(patched(base, patch, minor=14), "security") == {"profile": "restricted"}
    assert pick(patched(base, "{apiVersion: v1alpha1, kind: ContainerConfig, name: a}", minor=14), "security") == {"machinedAccess": True}


def test_from_1_14_on_null_items_are_refused() -> None:
    base = "machine: {network: {interfaces: [~]}, registries: {mirrors: {a: ~}}}"
    message = refused(base, "machine: {type: worker}", minor=14)
    assert "machine.network.interfaces[0]: null value is not allowed" in message and "machine.registries.mirrors[a]: null value" in message
    assert pick(patched(base, "machine: {type: worker}", minor=13), "machine.network.interfaces") == [None]


def test_a_time_in_an_added_document_is_refused_from_1_14_on() -> None:
    patch = "machine: {kubelet: {extraConfig: {a: 2024-01-01}}}"
    assert "must be quoted" in refused(RESOLVER, patch, minor=14)
    assert len(patched(RESOLVER, patch, minor=13)) == 2


def test_a_json_copy_of_a_missing_member_is_null() -> None:
    assert patched("{a: 1}", '[{"op": "copy", "from": "/b", "path": "/c"}]') == [{"a": 1, "c": None}]
    assert "doc is missing from path" in refused("{a: [1]}", '[{"op": "copy", "from": "/a/3", "path": "/c"}]')


@pytest.mark.parametrize(("text", "minor", "kept"), [("SSD", 8, "ssd"), ("SSD", 9, "SSD")])
def test_disk_types_were_words_up_to_1_8(text: str, minor: int, kept: str) -> None:
    base = f"machine: {{install: {{diskSelector: {{type: {text}}}}}}}"
    assert pick(patched(base, "machine: {type: worker}", minor=minor), "machine.install.diskSelector.type") == kept
    assert minor > 8 or "must be one of" in refused(base.replace(text, "''"), "machine: {type: worker}", minor=minor)


VOLUME = "{apiVersion: v1alpha1, kind: UserVolumeConfig, name: v, BODY}"


@pytest.mark.parametrize(
    ("body", "minor", "path", "expected"),
    [
        ("provisioning: {maxSize: 1.5%}", 13, "provisioning.maxSize", "1.5%"),
        ("provisioning: {maxSize: -5%}", 13, "provisioning.maxSize", "-5%"),
        ("provisioning: {minSize: {}, diskSelector: {match: {}}, grow: true}", 12, "provisioning", {"grow": True}),
        ("encryption: {provider: luks2, blockSize: 1.0e19}", 13, "encryption.blockSize", 10**19),
        ("encryption: {provider: luks2, blockSize: 18446744073709551616}", 12, "encryption.blockSize", 2**63),
        ("name: !!binary dg==, volumeType: disk", 13, "volumeType", "disk"),
    ],
)
def test_values_that_talos_takes(body: str, minor: int, path: str, expected: object) -> None:
    text = VOLUME.replace("BODY", body).replace("name: v, name", "name")
    assert pick(patched(text, text, minor=minor), path) == expected


@pytest.mark.parametrize(
    ("text", "minor", "words"),
    [
        (VOLUME.replace("BODY", "provisioning: {minSize: {a: 1}}"), 12, "provisioning.minSize.a: unknown key"),
        (VOLUME.replace("BODY", "provisioning: {minSize: {}}"), 13, "provisioning.minSize: must be a single value"),
        (VOLUME.replace("BODY", "provisioning: {maxSize: 101%}"), 13, "provisioning.maxSize: must be a size"),
        (VOLUME.replace("BODY", "provisioning: {minSize: ' 1GB'}"), 13, "provisioning.minSize: must be a size"),
        (VOLUME.replace("BODY", "filesystem: {type: swap}"), 10, "filesystem.type: must be one of none, xfs"),
        ("machine: {kubelet: {image: !!null x}}", 13, "line 1: a value tagged !!null must be null"),
        ("machine: {kubelet: {image: !!binary '?'}}", 13, "line 1: a value tagged !!binary must be a text in base64"),
        ("machine: {time: {bootTimeout: -0}}", 13, "machine.time.bootTimeout: must be a duration"),
        ("machine: {time: {bootTimeout: 2562047h47m16.854775808s}}", 13, "machine.time.bootTimeout: is too long a duration"),
        ("cluster: {controlPlane: {endpoint: 'https://::1'}}", 13, "cluster.controlPlane.endpoint: must be a URL"),
        ("{apiVersion: v1alpha1, kind: LinkConfig, name: a, routes: [{gateway: 'fe80::1%'}]}", 13, "routes[0].gateway: must be an IP address"),
        ("{apiVersion: v1alpha1, kind: NetworkDefaultActionConfig, ingress: Accept}", 6, "ingress: must be one of accept, block"),
        ("{apiVersion: v1alpha1, kind: BondConfig, name: b, failOverMac: NONE}", 13, "failOverMac: must be one of none"),
    ],
)
def test_values_that_talos_refuses(text: str, minor: int, words: str) -> None:
    assert words in refused(text, "[]" if "---" in text else "machine: {type: worker}", minor=minor)


def test_up_to_1_12_hardware_addresses_may_be_lists_of_bytes() -> None:
    text = "{apiVersion: v1alpha1, kind: DHCPv6Config, name: a, duidRaw: [1, 255, ~]}"
    assert pick(patched(text, text, minor=12), "duidRaw") == "01:ff"
    assert "duidRaw[1]: must be between 0 and 255" in refused(text.replace("255", "256"), text, minor=12)
    assert "duidRaw: must be a single value, not a list" in refused(text, text, minor=13)


def test_more_values_in_their_canonical_form() -> None:
    assert pick(patched("machine: {time: {bootTimeout: 00, disabled: true}}", "machine: {}"), "machine.time") == {"disabled": True}
    assert pick(patched("machine: {time: {bootTimeout: -2562047h47m16.854775808s}}", "machine: {}"), "machine.time.bootTimeout") == "-2562047h47m16.854775808s"
    port = "machine: {features: {kubePrism: {port: -9223372036854775809}}}"
    assert pick(patched(port, "machine: {}"), "machine.features.kubePrism.port") == -(2**63)
    rule = "{apiVersion: v1alpha1, kind: NetworkRuleConfig, name: r, portSelector: {ports: [80.0], protocol: TCP}}"
    assert pick(patched(rule, rule.replace("80.0", "81"), minor=7), "portSelector") == {"ports": [81], "protocol": "tcp"}
    assert patched("{apiVersion: v1alpha1, kind: BondConfig, name: b, failOverMac: ''}", "machine: {}")[1]["failOverMac"] == "none"


def test_the_first_address_that_cannot_be_merged_is_named() -> None:
    rule = "{apiVersion: v1alpha1, kind: RoutingRuleConfig, name: '7', dst: 10.0.0.0/8}"
    assert refused(rule, rule).startswith("src: merge not possible")


@pytest.mark.parametrize(
    "text",
    ["word " * 30 + "end", "it's: " * 25 + "end", "\\t" + "a  b " * 30 + "end", "x" * 90 + " y", "a" * 79 + " " + "b" * 79 + " c"],
)
def test_json_patches_break_long_lines_at_spaces(text: str) -> None:
    result = patching.Patched(13, text="{a: {b: 1}}").apply(patching.load_patch(f'[{{"op": "add", "path": "/a/c", "value": ["{text}"]}}]', 13)).text()
    assert yaml.safe_load(result)["a"]["c"] == [text.replace("\\t", "\t")]
    lines = result.split("\n")[3:-1]
    assert len(lines) > 1 and all(line.startswith("    ") for line in lines[1:])


@pytest.mark.parametrize(
    ("text", "minor", "words"),
    [
        ("{apiVersion: [], kind: LinkConfig, name: a}", 9, "line 1: apiVersion: must be a text"),
        ("{apiVersion: v1alpha1, kind: {a: b}}", 13, "line 1: kind: must be a text"),
        ("{apiVersion: 2024-01-01, kind: LinkConfig, name: a}", 14, "line 1: apiVersion: must be a text"),
        ("{apiVersion: 2024-01-01, kind: LinkConfig, name: a}", 13, '"LinkConfig" "2024-01-01": not registered'),
    ],
)
def test_the_head_of_a_document_is_text(text: str, minor: int, words: str) -> None:
    assert words in refused("machine: {}", text, minor=minor)


def test_the_second_delete_of_a_list_is_named_as_talos_names_it() -> None:
    base = "machine: {network: {interfaces: [{interface: a}, {interface: b}]}}"
    patch = "machine: {network: {interfaces: [{interface: a, $patch: delete}, {interface: c, $patch: delete}]}}"
    assert "failed to delete path 'machine.network.interfaces.[0]': lookup failed" in refused(base, patch)
    kept = "machine: {network: {interfaces: [{interface: d}, {interface: c, $patch: delete}]}}"
    assert "failed to delete path 'machine.network.interfaces.[1]': lookup failed" in refused(base, kept)
