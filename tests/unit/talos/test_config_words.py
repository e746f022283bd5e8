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
        (machine("certSANs: [a]"), f"machine: {{certSANs: {{a: {{b: {{{DELETE}}}}}}}}}", "searching for complex paths in slices is not supported"),
        (machine("certSANs: [a]"), f"machine: {{certSANs: {{a: {{{DELETE}}}}}}}", "searching for non-integer keys in slices is not supported"),
    ],
)
def test_refusals_name_place_and_reason(base: str, patch: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        applied(base, patch, 13)
    assert message in str(caught.value)
