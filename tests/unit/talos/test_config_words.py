# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only we say, so that no referee can tell: notes on what a patch did unexpectedly, and words of refusals."""

from __future__ import annotations

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import patching
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.yamltext import ConfigError

from tests.conformance.config.rulebook import DELETE, VOLUME, M, doc, docs, machine


def applied(base: str, patch: str, minor: int) -> patching.Patched:
    """The base with the patch."""
    return patching.Patched(minor, text=base).apply(patching.load_patch(patch, minor))


INGRESS = "NetworkDefaultActionConfig"
UNSET = "because Talos takes it for unset; delete the old value first ($patch: delete)"
CLEARED = "cleared, because a patch of this document that does not repeat the value clears it in Talos"


@pytest.mark.parametrize(
    ("base", "patch", "notes"),
    [
        (doc(INGRESS, "ingress: block"), doc(INGRESS, "ingress: accept"), (f"{INGRESS}: ingress: the patch's accept is ignored, {UNSET}",)),
        (doc(INGRESS, "ingress: accept"), doc(INGRESS, "ingress: accept"), ()),
        (doc(INGRESS), doc(INGRESS, "ingress: accept"), ()),
        (machine("kubelet: {image: a}"), machine("kubelet: {image: ''}"), ()),
        (doc("RoutingRuleConfig", "src: 10.0.0.0/8", "1001"), doc("RoutingRuleConfig", "table: '99'", "1001"), ()),
        (
            doc(VOLUME, "provisioning: {minSize: 1GB}", "EPHEMERAL"),
            doc(VOLUME, "provisioning: {grow: true}", "EPHEMERAL"),
            (f"VolumeConfig/EPHEMERAL: provisioning.minSize: {CLEARED}",),
        ),
        (doc(VOLUME, "provisioning: {minSize: 1GB}", "EPHEMERAL"), doc(VOLUME, "provisioning: {minSize: 2GB}", "EPHEMERAL"), ()),
        (
            doc("ContainerConfig", "image: a, security: {machinedAccess: true}", "c"),
            doc("ContainerConfig", "security: {profile: restricted}", "c"),
            (f"ContainerConfig/c: security.machinedAccess: {CLEARED}",),
        ),
        (doc(VOLUME, "provisioning: {grow: false}", "EPHEMERAL"), doc(VOLUME, "provisioning: {grow: true}", "EPHEMERAL"), ()),
    ],
)
def test_notes_tell_what_a_user_would_not_expect(base: str, patch: str, notes: tuple[str, ...]) -> None:
    assert applied(base, patch, 14).notes == notes


@pytest.mark.parametrize(
    ("base", "patch", "message"),
    [
        (
            machine("kubelet: {extraConfig: {a: 1}}"),
            machine("kubelet: {extraConfig: {a: null}}"),
            "machine.kubelet.extraConfig.a: null cannot be merged over a value",
        ),
        (
            docs(M, doc("LinkConfig", name="a")),
            doc("LinkConfig", DELETE, "b"),
            "patch delete: path '' in document 'LinkConfig/b': the config has no such document",
        ),
        (M, doc("HostnameConfig", DELETE), "patch delete: path '' in document 'HostnameConfig': the config has no such document"),
        (
            M,
            f"machine: {{token: {{{DELETE}}}, nothing: {{{DELETE}}}}}",
            "path 'machine.nothing' in document 'v1alpha1': failed to delete path 'machine.nothing': lookup failed",
        ),
        (M, f"machine: {{network: {{interfaces: [{{interface: a, {DELETE}}}]}}}}", "path 'machine.network.interfaces.[0]'"),
        (M, f"{{kind: LinkConfig, name: a, {DELETE}}}", "kind and apiVersion must be both set for path ''"),
        (M, f"machine: {{network: {{interfaces: [{{mtu: {{{DELETE}}}}}]}}}}", "cannot delete an inner key in 'machine.network.interfaces.[0].mtu'"),
        (
            M,
            '[{"op": "add", "path": "/machine/nothing/9", "value": 1}]',
            'add operation does not apply: doc is missing path: "/machine/nothing/9": missing value',
        ),
        (M, machine("install: {grubUseUKICmdline: true}, nothing: 1"), "line 1: machine.nothing: unknown key"),
        (M, doc("LinkConfig", "mut: 9", "a"), "LinkConfig/a: line 1: mut: unknown key"),
        (M, machine("kubelet: {extraArgs: {a: {b: c}}}"), "extraArgs[a]: must be a string or a list of strings"),
        (M, doc("KubeSchedulerConfig"), "(the kind is first in Talos 1.14, the target is 1.13)"),
        (M, doc(VOLUME, "trim: {enabled: true}", "EPHEMERAL"), "VolumeConfig/EPHEMERAL: line 1: trim: unknown key (first in Talos 1.14)"),
        (docs(M, doc("LinkConfig", name="a"), doc("LinkConfig", name="a")), M, "duplicate document: LinkConfig/a (line 5)"),
        (M, "hostname: a", "line 1: missing kind"),
        (M, "{kind: HostnameConfig, hostname: a}", "line 1: HostnameConfig: missing apiVersion"),
        (machine("certSANs: [a]"), f"machine: {{certSANs: {{a: {{b: {{{DELETE}}}}}}}}}", "searching for complex paths in slices is not supported"),
        (machine("certSANs: [a]"), f"machine: {{certSANs: {{a: {{{DELETE}}}}}}}", "searching for non-integer keys in slices is not supported"),
    ],
)
def test_refusals_name_place_and_reason(base: str, patch: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        applied(base, patch, 13)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "null", "--- \n---\n", "# nothing\n", "[null, '', 'null']"])
def test_blank_patches_are_none(text: str) -> None:
    assert patching.load_patches(text, 13) == []


def test_a_list_of_patches_may_follow_an_empty_document() -> None:
    patches = patching.load_patches(f"---\n---\n[{{{M.strip()}}}, '{M.strip()}']", 13)
    assert [type(patch) for patch in patches] == [patching.Strategic, patching.Strategic]
