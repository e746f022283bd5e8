# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s_node, k8s_node_drain and cloudflare_record as Ansible runs them: options in, JSON out, no secret in it."""

from __future__ import annotations

import contextlib
import json
import sys
import typing as t

import pytest
import yaml
from ansible.module_utils import basic
from ansible_collections.k8s_cluster.manager.plugins.doc_fragments import kubernetes
from ansible_collections.k8s_cluster.manager.plugins.modules import cloudflare_record, k8s_lease, k8s_node, k8s_node_drain

from tests.unit.plugins.module_utils._cloudflare import exchange as dns
from tests.unit.plugins.module_utils._kubernetes import exchange as kube


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> t.Callable[..., dict[str, t.Any]]:
    """Run a module's main with options and return what it prints."""

    def started(module: t.Any, _check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        text = json.dumps({"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": _check_mode, "_ansible_diff": True}})
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", text.encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            module.main()
        out = capsys.readouterr().out
        assert kube.config()["users"][0]["user"]["client-key-data"][:40] not in out
        return t.cast("dict[str, t.Any]", json.loads(out))

    return started


def shape(option: dict[str, t.Any]) -> dict[str, t.Any]:
    """What documentation and argument spec must agree about."""
    found: dict[str, t.Any] = {key: option[key] for key in ("type", "elements", "required", "default", "choices", "aliases") if key in option}
    inner = option.get("suboptions") or option.get("options") or {}
    return {**found, "options": {name: shape(entry) for name, entry in inner.items()}}


@pytest.mark.parametrize("module", [k8s_lease, k8s_node, k8s_node_drain, cloudflare_record])
def test_documentation_and_argument_spec_agree(monkeypatch: pytest.MonkeyPatch, module: t.Any) -> None:
    specs: list[dict[str, t.Any]] = []

    def constructed(argument_spec: dict[str, t.Any], **_more: t.Any) -> t.NoReturn:
        specs.append(argument_spec)
        raise SystemExit

    monkeypatch.setattr(module, "AnsibleModule", constructed)
    with pytest.raises(SystemExit):
        module.main()
    documentation = yaml.safe_load(module.DOCUMENTATION)
    documented = dict(documentation["options"])
    if "k8s_cluster.manager.kubernetes" in documentation["extends_documentation_fragment"]:
        documented.update(yaml.safe_load(kubernetes.ModuleDocFragment.DOCUMENTATION)["options"])
    if "k8s_cluster.manager.kubernetes.lease" in documentation["extends_documentation_fragment"]:
        documented.update(yaml.safe_load(kubernetes.ModuleDocFragment.LEASE)["options"])
    assert {name: shape(option) for name, option in documented.items()} == {name: shape(option) for name, option in specs[0].items()}
    name = f"k8s_cluster.manager.{documentation['module']}"
    tasks = [task[name] for task in yaml.safe_load(module.EXAMPLES) if name in task]
    assert tasks
    assert all(set(arguments) <= set(specs[0]) for arguments in tasks)
    assert yaml.safe_load(module.RETURN)["plan" if module is k8s_lease else "nodes"]


def test_k8s_node_deletes_and_shows_the_diff(run: t.Callable[..., dict[str, t.Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    delete = kube.Expect("DELETE", "/api/v1/nodes/w1", {}, body={"preconditions": {"uid": "uid-w1"}})
    script = kube.installed(monkeypatch, kube.nodes(kube.node("w1", "10.0.0.1")), delete, kube.nodes())
    result = run(k8s_node, kubeconfig=kube.kubeconfig(), nodes=[{"name": "w1", "address": "10.0.0.1"}], state="absent")
    assert (result["changed"], result["plan"]) == (True, [{"verb": "delete", "node": "w1", "target": "node/w1"}])
    assert result["diff"] == {"before": {"w1 node/w1": {"uid": "uid-w1", "unschedulable": False}}, "after": {}}
    assert script.left == []


def test_a_lease_is_taken_and_another_module_does_nothing_once_it_is_lost(run: t.Callable[..., dict[str, t.Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    theirs = {"metadata": {"resourceVersion": "2"}, "spec": {"holderIdentity": "bob", "acquireTime": "then"}}
    script = kube.installed(monkeypatch, kube.Expect("GET", f"{path}/k8s-cluster-manager", theirs))
    lease = json.dumps({"holder": "alice", "acquired": "now", "kubeconfig": kube.kubeconfig()})
    result = run(k8s_node, kubeconfig=kube.kubeconfig(), nodes=[{"name": "w1"}], state="absent", lease=lease)
    assert result["msg"] == (
        "lease/kube-system/k8s-cluster-manager was lost: bob took it over at then. Nothing further was done; the same command goes on from here."
    )
    assert script.left == []
    kube.installed(monkeypatch, kube.Expect("GET", f"{path}/k8s-cluster-manager", theirs))
    result = run(k8s_lease, _check_mode=True, kubeconfig=kube.kubeconfig(), operation="create_node", nodes=["cp-4"])
    assert (result["changed"], result["holder"], result["plan"][0]["verb"]) == (True, "bob", "take")


def test_k8s_node_failure_still_tells_about_the_others(run: t.Callable[..., dict[str, t.Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    kube.installed(monkeypatch, kube.nodes(kube.node("w1", "10.0.0.9"), kube.node("w2", "10.0.0.2")))
    wanted = [{"name": "w1", "address": "10.0.0.1"}, {"name": "w2", "instance_id": "i-2"}]
    result = run(k8s_node, _check_mode=True, kubeconfig=kube.kubeconfig(), nodes=wanted)
    assert result["failed"] is True
    assert [entry["name"] for entry in result["failures"]] == ["w1"]
    assert [(entry["name"], entry["ready"]) for entry in result["nodes"]] == [("w1", False), ("w2", True)]


@pytest.mark.parametrize("module", [k8s_node, k8s_node_drain])
def test_A12_empty_names_are_refused_before_any_call(run: t.Callable[..., dict[str, t.Any]], monkeypatch: pytest.MonkeyPatch, module: t.Any) -> None:
    kube.installed(monkeypatch)
    result = run(module, kubeconfig=kube.kubeconfig(), nodes=[{"name": ""}])
    assert result["msg"] == "nodes[0] has an empty name."


def test_k8s_node_drain_reports_each_pod(run: t.Callable[..., dict[str, t.Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    web = {"metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "spec": {}, "status": {"phase": "Running"}}
    pods = kube.Expect("GET", "/api/v1/pods", {"items": [web]}, query={"limit": "500", "fieldSelector": "spec.nodeName=w1"})
    budgets = kube.Expect("GET", "/apis/policy/v1/poddisruptionbudgets", {"items": []}, query={"limit": "500"})
    kube.installed(monkeypatch, kube.nodes(kube.node("w1", "10.0.0.1")), pods, budgets)
    result = run(k8s_node_drain, kubeconfig=kube.kubeconfig(), nodes=[{"name": "w1", "address": "10.0.0.1"}])
    assert "allow it with force=true" in result["msg"]
    assert result["nodes"][0]["pods"][0]["result"] == "failed"


def test_cloudflare_record_creates(run: t.Callable[..., dict[str, t.Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    name, comment = "w1.example.com", "k8s_cluster.manager cluster=fargle node=w1"
    made = dns.record("r1", name, "10.0.0.1", comment)
    sent = {"name": name, "type": "A", "content": "10.0.0.1", "ttl": 1, "proxied": False, "comment": comment}
    script = [dns.read_zone(), dns.under("example.com"), dns.marked(), dns.batch(posts=[sent]), dns.under("example.com", made), dns.marked(made)]
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "token")
    monkeypatch.setenv("CLOUDFLARE_ZONE_ID", dns.ZONE)
    with contextlib.ExitStack() as stack:
        monkeypatch.setattr(cloudflare_record, "connect", lambda token: stack.enter_context(dns.scripted(*script)) if token == "token" else None)
        result = run(cloudflare_record, cluster="fargle", records=[{"node": "w1", "name": name, "content": "10.0.0.1"}])
    assert result["plan"] == [{"verb": "create", "node": "w1", "target": f"A {name}"}]
    assert result["diff"]["after"] == {f"w1 A {name}": sent}
    assert result["records"][0]["id"] == "r1"


def test_all_wrong_options_of_cloudflare_record_are_named_together(run: t.Callable[..., dict[str, t.Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDFLARE_ZONE_ID", raising=False)
    result = run(cloudflare_record, api_token="secret-token", cluster="", records=[{"node": "", "content": "here"}])
    assert result["msg"] == (
        "cluster is empty. records[0]: node is empty. records[0]: name is empty. records[0]: content here is not an address for a record of type A. "
        "Which zone? Give zone_id (or CLOUDFLARE_ZONE_ID) or domain."
    )
    assert "secret-token" not in json.dumps(result)


@pytest.mark.parametrize(
    ("module", "library", "options"),
    [
        (k8s_node, "kubernetes", {"kubeconfig": kube.kubeconfig(), "nodes": []}),
        (k8s_node_drain, "kubernetes", {"kubeconfig": kube.kubeconfig(), "nodes": []}),
        (cloudflare_record, "cloudflare", {"api_token": "token", "zone_id": dns.ZONE, "cluster": "fargle", "records": []}),
    ],
)
def test_missing_library_is_named(
    run: t.Callable[..., dict[str, t.Any]], monkeypatch: pytest.MonkeyPatch, module: t.Any, library: str, options: dict[str, t.Any]
) -> None:
    for loaded in [name for name in sys.modules if name.startswith(f"{library}.")]:
        monkeypatch.setitem(sys.modules, loaded, None)
    monkeypatch.setitem(sys.modules, library, None)
    assert f"required Python library ({library})" in run(module, **options)["msg"]
