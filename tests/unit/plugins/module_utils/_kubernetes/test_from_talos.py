# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfigs from control planes: the archive Talos sends, where it leads, and the file that holds it."""

from __future__ import annotations

import datetime
import os
import stat
import typing as t
from pathlib import Path

import pytest
import urllib3
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError, ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes import from_talos
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.arguments import api_for
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.client import connect
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.kubeconfig import read
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import transport
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.sandbox import pki
from tests.unit.plugins.module_utils._kubernetes import exchange
from tests.unit.plugins.module_utils._talos.server import Authority, Loop, Node, address, kubeconfig_reply, talosconfig

CLUSTER = pki.kubernetes_pki("barney")
SERVER = "https://api.barney.example.com:6443"


@pytest.fixture(scope="module")
def loop() -> t.Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def node(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Node]:
    """A control plane that makes a kubeconfig with a new certificate for each call."""
    monkeypatch.setattr(transport, "FIRST_BACKOFF_SECONDS", 0.0)
    made = Node(loop, Authority()).secure()
    made.answers["Kubeconfig"] = lambda _request, _node: kubeconfig_reply(kubeconfig())
    yield made
    made.stop()


def kubeconfig(server: str = SERVER, cluster: pki.KubernetesPKI = CLUSTER, days: float = 365, **more: t.Any) -> str:
    """As Talos makes one, with a certificate for so many days."""
    pair = pki.issue(cluster.ca, common_name="admin", client=True, life=datetime.timedelta(days=days))
    config: dict[str, t.Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "barney", "cluster": {"server": server, "certificate-authority-data": cluster.ca.crt_b64}}],
        "users": [{"name": "admin@barney", "user": {"client-certificate-data": pair.crt_b64, "client-key-data": pair.key_b64}}],
        "contexts": [{"name": "admin@barney", "context": {"cluster": "barney", "user": "admin@barney"}}],
        "current-context": "admin@barney",
        **more,
    }
    return yaml.safe_dump(config)


def options(node: Node, *endpoints: str, **more: t.Any) -> dict[str, t.Any]:
    return {"talosconfig": talosconfig(node.authority), "context": None, "endpoints": list(endpoints) or [node.ip], "cluster": "barney", "server": None, **more}


def save(node: Node, dest: Path, check: bool = False, **more: t.Any) -> Outcome:
    return from_talos.save(options(node, dest=str(dest), **more), check)


def verbs(outcome: Outcome) -> list[str]:
    return [step.verb for step in outcome.steps]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("parts", [1, 3])
def test_the_archive_is_read_as_talos_sends_it(node: Node, parts: int) -> None:
    """Without tar's padding and end, in any number of messages."""
    text = kubeconfig()
    node.answers["Kubeconfig"] = kubeconfig_reply(text, parts)
    assert from_talos.fetch(talosconfig(node.authority), None, [node.ip])[0] == text


def test_what_is_no_archive(node: Node) -> None:
    for broken in ((), kubeconfig_reply("x" * 9000)[:0], (type(kubeconfig_reply("x")[0])(bytes=b"no gzip"),)):
        node.answers["Kubeconfig"] = broken
        with pytest.raises(ManagerError, match="not an archive with a kubeconfig"):
            from_talos.fetch(talosconfig(node.authority), None, [node.ip])


def test_the_api_server_of_the_one_that_answers_is_talked_to(node: Node) -> None:
    """It must show the certificate of the name in the kubeconfig, which leads nowhere yet."""
    found = from_talos.access(options(node, address(), node.ip))
    assert (found.server, found.tls_server_name) == (f"https://{node.ip}:6443", "api.barney.example.com")
    assert found.ca == CLUSTER.ca.crt
    with api_for({**options(node), "kubeconfig": None}) as api:
        assert api.access.server == f"https://{node.ip}:6443"
    assert from_talos.access(options(node, server="https://elsewhere:6443")).server == "https://elsewhere:6443"


def test_an_endpoint_that_leads_elsewhere_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    direct = read(exchange.kubeconfig(), server="https://10.0.1.5:6443")
    own, other = (exchange.Expect("GET", "/api/v1/namespaces/kube-system", {"metadata": {"uid": uid}}) for uid in ("cluster-uid", "other-uid"))
    script = exchange.installed(monkeypatch, own, own, own, other)
    with connect(direct) as api:
        assert from_talos.endpoint_warning(api) == ""
        assert "another cluster answers there" in from_talos.endpoint_warning(api)
    assert script.left == []
    refused = exchange.Expect("GET", "/api/v1/namespaces/kube-system", urllib3.exceptions.ProtocolError("refused"))
    exchange.installed(monkeypatch, own, refused, refused)
    with connect(direct) as api:
        said = from_talos.endpoint_warning(api)
    assert said.startswith("https://kube.test:6443, the endpoint in the machine configs")
    assert "the Kubernetes API server does not answer" in said and "CNAME" in said


def test_nobody_gives_one(node: Node) -> None:
    node.answers["Kubeconfig"] = GRPCError(Status.PERMISSION_DENIED, "not authorized")
    with pytest.raises(ManagerError, match="no control plane gives a kubeconfig: .*refused.*; .*not authorized"):
        from_talos.access(options(node, address(), node.ip))
    with pytest.raises(ManagerError, match="there is no endpoint to ask"):
        from_talos.fetch(talosconfig(node.authority), None, [])


def test_a_new_file_is_private_and_a_good_one_is_kept(node: Node, tmp_path: Path) -> None:
    os.umask(0)
    dest = tmp_path / "kubeconfig"
    assert verbs(save(node, dest, check=True)) == ["write"]
    assert list(tmp_path.iterdir()) == []
    assert verbs(save(node, dest)) == ["write"]
    assert (mode(dest), list(tmp_path.iterdir())) == (0o600, [dest])
    text = dest.read_text()
    assert yaml.safe_load(text)["clusters"][0]["cluster"]["server"] == SERVER
    assert verbs(save(node, dest)) == []
    assert dest.read_text() == text


def test_a_file_that_others_may_read_is_restricted(node: Node, tmp_path: Path) -> None:
    dest = tmp_path / "kubeconfig"
    text = kubeconfig()
    dest.write_text(text)
    dest.chmod(0o644)
    assert verbs(save(node, dest, check=True)) == ["restrict"]
    assert mode(dest) == 0o644
    assert verbs(save(node, dest)) == ["restrict"]
    assert (mode(dest), dest.read_text()) == (0o600, text)


@pytest.mark.parametrize("old", [{"days": 100}, {"days": -1}, {"server": "https://old.example.com:6443"}])
def test_a_file_that_serves_no_more_is_replaced(node: Node, tmp_path: Path, old: dict[str, t.Any]) -> None:
    dest = tmp_path / "kubeconfig"
    dest.write_text(kubeconfig(**old))
    assert verbs(save(node, dest)) == ["write"]
    assert verbs(save(node, dest)) == []


@pytest.mark.parametrize(
    "other",
    [
        "not a kubeconfig",
        "\xff\xfe",
        kubeconfig(cluster=pki.kubernetes_pki("fargle")),
        kubeconfig(contexts=[{"name": name, "context": {"cluster": "barney", "user": "admin@barney"}} for name in ("admin@barney", "mine")]),
    ],
)
def test_a_file_that_is_not_ours_is_never_overwritten(node: Node, tmp_path: Path, other: str) -> None:
    dest = tmp_path / "kubeconfig"
    dest.write_text(other, encoding="latin-1")
    for check in (True, False):
        with pytest.raises(InputError, match="not a kubeconfig of this cluster alone; name another file"):
            save(node, dest, check=check)
    assert dest.read_text(encoding="latin-1") == other


def test_check_mode_before_there_is_a_cluster(node: Node, tmp_path: Path) -> None:
    dest = tmp_path / "kubeconfig"
    assert verbs(save(node, dest, check=True, endpoints=[])) == ["write"]
    with pytest.raises(InputError, match="talosconfig is not"):
        save(node, dest, check=True, talosconfig="[]")
    with pytest.raises(ManagerError, match="there is no endpoint to ask"):
        save(node, dest, endpoints=[])


def test_places_that_cannot_hold_it(node: Node, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory; name a file in it"):
        save(node, tmp_path)
    with pytest.raises(InputError, match="there is no directory"):
        save(node, tmp_path / "none" / "kubeconfig")
    assert node.names == []


def test_what_a_killed_run_left_beside_it_goes(node: Node, tmp_path: Path) -> None:
    dest = tmp_path / "kubeconfig"
    (tmp_path / ".kubeconfig.k8s_cluster.manager").write_text("half")
    assert verbs(save(node, dest)) == ["write"]
    assert list(tmp_path.iterdir()) == [dest]
