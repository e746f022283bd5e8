# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which changes of a machine config take a reboot, by release, and which would make another node of a node."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.render_changes import change

BASE: dict[str, t.Any] = {
    "version": "v1alpha1",
    "machine": {"type": "worker", "token": "abcdef.0123456789abcdef", "network": {"hostname": "w-1"}, "features": {"rbac": True}},
    "cluster": {"clusterName": "fargle", "controlPlane": {"endpoint": "https://10.0.0.1:6443"}},
}


def text(*documents: str, **machine: t.Any) -> str:
    return "---\n".join([yaml.safe_dump({**BASE, "machine": {**BASE["machine"], **machine}}), *documents])


@pytest.mark.parametrize(
    ("path", "value", "since"),
    [
        ("certSANs", ["10.0.0.9"], 6),
        ("sysctls", {"a": "b"}, 6),
        ("nodeLabels", {"a": "b"}, 6),
        ("seccompProfiles", [{"name": "a", "value": {}}], 6),
        ("nodeTaints", {"a": "b:NoSchedule"}, 7),
        ("nodeAnnotations", {"a": "b"}, 10),
        ("udev", {"rules": ["a"]}, 99),
        ("env", {"A": "b"}, 99),
        ("files", [{"path": "/var/a", "op": "create", "content": "a", "permissions": 420}], 99),
    ],
)
@pytest.mark.parametrize("minor", [8, 9, 10, 11, 12, 13, 14])
def test_what_takes_a_reboot(path: str, value: t.Any, since: int, minor: int) -> None:
    found = change(text(), text(**{path: value}), f"v1.{minor}.0")
    assert (found.needs_reboot, found.why) == ((False, ()) if minor >= since else (True, (f"machine.{path}",)))


def test_older_releases_do_less_in_a_running_node() -> None:
    tainted = text(nodeTaints={"a": "b:NoSchedule"})
    assert change(text(), tainted, "v1.6.8").why == ("machine.nodeTaints",)
    assert not change(text(), tainted, "v1.7.7").needs_reboot


def test_nothing_is_no_change() -> None:
    assert change(text(), text(), "v1.13.9") == change(text(), f"# a comment\n{text()}", "v1.13.9")
    assert change(text(), text(), "v1.13.9").diff == ""


def test_features_one_by_one() -> None:
    prism = change(text(), text(features={"rbac": True, "kubePrism": {"enabled": True, "port": 7445}}), "v1.13.9")
    assert not prism.needs_reboot
    rbac = change(text(), text(features={"rbac": False}), "v1.13.9")
    assert rbac.why == ("machine.features.rbac",)
    assert change(text(features=None), text(), "v1.13.9").why == ("machine.features",)


RULES = "apiVersion: v1alpha1\nkind: UdevRulesConfig\nrules:\n  - a\n"
PRISM = "apiVersion: v1alpha1\nkind: KubePrismConfig\nport: 7445\n"
ENVIRONMENT = "apiVersion: v1alpha1\nkind: EnvironmentConfig\nvariables:\n  A: b\n"


def test_other_documents_take_a_reboot_only_where_the_caller_must_ask_for_it() -> None:
    assert change(text(), text(RULES), "v1.14.0").why == ("UdevRulesConfig",)
    assert change(text(RULES), text(), "v1.14.0").why == ("UdevRulesConfig",)
    assert not change(text(RULES), text(RULES), "v1.14.0").needs_reboot
    assert not change(text(), text(PRISM), "v1.14.0").needs_reboot
    assert not change(text(), text(ENVIRONMENT), "v1.13.9").needs_reboot


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        (text(network={"hostname": "w-2"}), "hostname"),
        (text("apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: w-2\nauto: 'off'\n", network={}), "hostname"),
        (text(network={}), "hostname"),
        (text(kubelet={"registerWithFQDN": True}), "registerWithFQDN"),
        (text(kubelet={"extraArgs": {"hostname-override": "x"}}), "kubelet.extraArgs.hostname-override"),
        (text(type="controlplane"), "machine.type"),
    ],
)
def test_what_would_make_another_node_of_it(changed: str, path: str) -> None:
    assert change(text(), changed, "v1.13.9").renames == (path,)


def test_a_hostname_may_move_to_its_document() -> None:
    moved = text("apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: w-1\nauto: 'off'\n", network={})
    assert change(text(), moved, "v1.13.9").renames == ()


def test_what_this_release_cannot_read_takes_a_reboot() -> None:
    found = change(text(), text(RULES), "v1.13.9")
    assert found.needs_reboot
    assert "cannot be compared" in found.why[0]


def test_secrets_are_told_apart_and_not_shown() -> None:
    found = change(text(), text(token="abcdef.canaryabcdefghi"), "v1.13.9")
    assert "canary" not in found.before + found.after + found.diff
    lines = [line for line in found.diff.splitlines() if "token" in line]
    assert len(lines) == 2 and lines[0][1:] != lines[1][1:]


def test_the_order_of_documents_is_no_difference() -> None:
    found = change(text(PRISM, RULES), text(RULES, PRISM), "v1.14.0")
    assert (found.needs_reboot, found.diff) == (False, "")
