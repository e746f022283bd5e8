# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubeconfig is read as text, strictly, and never quoted in a message."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.kubeconfig import read

from .exchange import config, kubeconfig, pki


def two_contexts(current: str) -> str:
    """fargle and barney in one kubeconfig."""
    one = config()
    one["contexts"].append({"name": "admin@barney", "context": {"cluster": "fargle", "user": "admin@fargle"}})
    one["contexts"][0]["context"]["cluster"] = "fargle"
    one["current-context"] = current
    return yaml.safe_dump(one)


def test_reads_what_talosctl_writes() -> None:
    access = read(kubeconfig(), cluster="fargle")
    assert (access.context, access.server, access.tls_server_name) == ("admin@fargle", "https://kube.test:6443", "")
    assert access.ca == pki()["ca"]
    assert access.key == pki()["key"]
    assert len(access.ca_sha256) == 64


def test_representation_holds_no_secret() -> None:
    assert "PRIVATE KEY" not in repr(read(kubeconfig()))


def test_direct_endpoint_must_prove_the_clusters_name() -> None:
    access = read(kubeconfig(), server="https://10.0.1.5:6443")
    assert (access.server, access.tls_server_name) == ("https://10.0.1.5:6443", "kube.test")


def test_context_named_after_the_cluster_beats_the_current_one() -> None:
    assert read(two_contexts("admin@fargle"), cluster="barney").context == "admin@barney"


def test_current_context_without_a_cluster_name() -> None:
    assert read(two_contexts("admin@barney")).context == "admin@barney"


def test_explicit_context() -> None:
    assert read(two_contexts("admin@fargle"), cluster="fargle", context="admin@barney").context == "admin@barney"


def test_current_context_of_another_cluster_is_not_taken() -> None:
    with pytest.raises(InputError, match="admin@fargle, admin@barney, but not exactly one named after cluster wilma"):
        read(two_contexts("admin@fargle"), cluster="wilma")


CA = {"server": "https://kube.test:6443"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "kubeconfig is empty"),
        ("a: [b", r"not valid YAML \(line 1\)"),
        ("just words", "it has no contexts"),
        (kubeconfig(server="http://kube.test"), "must be an https URL"),
        (kubeconfig(cluster={**CA, "insecure-skip-tls-verify": True}), "insecure-skip-tls-verify"),
        (kubeconfig(cluster=CA), "no certificate-authority-data"),
        (kubeconfig(cluster={**CA, "certificate-authority-data": "%%"}), "not base64 of a PEM"),
        (kubeconfig(cluster={**CA, "certificate-authority-data": "aGVsbG8="}), "holds no certificate"),
        (kubeconfig(user={"exec": {"command": "aws"}}), "from `exec`, which is not run here"),
        (kubeconfig(user={"auth-provider": {"name": "oidc"}}), "from `auth-provider`"),
        (kubeconfig(user={"client-certificate-data": "YQ=="}), "only one of client-certificate and client-key"),
        (kubeconfig(user={}), "neither a client certificate nor a token"),
        (kubeconfig(user={"client-certificate": "me.crt", "client-key": "me.key"}), "relative client-certificate"),
        (kubeconfig(user={"tokenFile": "/does/not/exist"}), "tokenFile cannot be read"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(text)


def test_files_with_absolute_paths_are_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\n")
    assert read(kubeconfig(user={"tokenFile": str(tmp_path / "token")})).token == "sesame"


@pytest.mark.parametrize("word", ["contexts", "clusters", "users"])
def test_messages_never_hold_the_text(word: str) -> None:
    broken: dict[str, t.Any] = config()
    broken[word] = [{"name": "sesame-canary", "secret": "sesame-canary"}]
    with pytest.raises(InputError) as caught:
        read(yaml.safe_dump(broken), context="admin@fargle")
    assert "sesame-canary" not in str(caught.value)
