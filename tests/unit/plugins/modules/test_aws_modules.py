# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS modules' front: documented options are the options, main() wires them to the work and reports its errors."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import typing as t

import pytest
import yaml
from ansible.module_utils import basic
from ansible_collections.k8s_cluster.manager.plugins.doc_fragments import kubernetes
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws import clients
from ansible_collections.k8s_cluster.manager.plugins.modules import (
    cluster_info,
    cluster_price,
    cluster_security_group,
    ec2_node,
    ec2_node_info,
    nlb,
    nlb_target,
)

from tests.unit.plugins.module_utils.aws.exchange import Exchange

LEASED = "k8s_cluster.manager.kubernetes.lease"
INFO_SPEC = {"cluster": {"type": "str", "required": True}}
SPECS = [
    (cluster_info, INFO_SPEC),
    (cluster_price, cluster_price.SPEC),
    (ec2_node, ec2_node.SPEC),
    (ec2_node_info, ec2_node_info.SPEC),
    (nlb_target, nlb_target.SPEC),
    (nlb, nlb.SPEC),
    (cluster_security_group, cluster_security_group.SPEC),
]


def documented(options: dict[str, t.Any]) -> dict[str, t.Any]:
    """An argument spec as the documentation tells it."""
    spec = {}
    for name, option in options.items():
        kept = {key: option[key] for key in ("type", "required", "default", "choices", "elements") if key in option}
        spec[name] = {**kept, "options": documented(option["suboptions"])} if "suboptions" in option else kept
    return spec


def effective(spec: dict[str, t.Any]) -> dict[str, t.Any]:
    """An argument spec without what documentation does not show."""
    shown = {name: {key: value for key, value in option.items() if key != "no_log"} for name, option in spec.items()}
    return {name: {**option, "options": effective(option["options"])} if "options" in option else option for name, option in shown.items()}


@pytest.mark.parametrize(("module", "spec"), SPECS, ids=lambda value: getattr(value, "__name__", "").rpartition(".")[2])
def test_documentation_and_argument_spec_agree(module: t.Any, spec: dict[str, t.Any]) -> None:
    name = module.__name__.rpartition(".")[2]
    documentation = yaml.safe_load(module.DOCUMENTATION)
    shared = yaml.safe_load(kubernetes.ModuleDocFragment.LEASE)["options"] if LEASED in documentation["extends_documentation_fragment"] else {}
    assert documented({**documentation["options"], **shared}) == effective(spec)
    assert yaml.safe_load(module.RETURN)
    used = [task[f"k8s_cluster.manager.{name}"] for task in yaml.safe_load(module.EXAMPLES) if f"k8s_cluster.manager.{name}" in task]
    assert used
    assert all(set(arguments) <= set(spec) for arguments in used)


def call(monkeypatch: pytest.MonkeyPatch, module: t.Any, aws: Exchange, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
    """Run main() as Ansible does, its clients playing the exchange; return the JSON it prints."""
    arguments = {"_ansible_check_mode": False, "_ansible_diff": True, "_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False, **arguments}
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    monkeypatch.setattr(clients.Clients, "of_module", classmethod(lambda _cls, _module, _connections=10: aws.clients()))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        module.main()
    aws.done()
    return json.loads(printed.getvalue())


def test_cluster_info_returns_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Exchange().expect("GetResources", lambda _sent: True, {"ResourceTagMappingList": []})
    aws.expect("DescribeInstances", lambda _sent: True, {"Reservations": []}).expect("DescribeSecurityGroups", lambda _sent: True, {"SecurityGroups": []})
    result = call(monkeypatch, cluster_info, aws, {"cluster": "fargle"})
    assert (result["changed"], result["cluster"]["name"], result["plan"]) == (False, "fargle", [])


def test_ec2_node_reports_a_refusal_as_one_failure_with_details(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Exchange().refuse("DescribeInstances", lambda _sent: True, "UnauthorizedOperation", "You are not authorized")
    result = call(monkeypatch, ec2_node, aws, {"cluster": "fargle", "nodes": [{"name": "a"}]})
    assert result["failed"] is True
    assert result["msg"].endswith("(grant the IAM action ec2:DescribeInstances)")
    assert result["error"] == {"code": "UnauthorizedOperation", "operation": "DescribeInstances"}


def test_ec2_node_refuses_empty_names_without_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    result = call(monkeypatch, ec2_node, Exchange(), {"cluster": "fargle", "nodes": [{"name": ""}]})
    assert "is not a node name" in result["msg"]


def test_nlb_target_reports_failed_nodes_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    arn = "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/web/2"
    health = [{"Target": {"Id": "i-1", "Port": 443}, "TargetHealth": {"State": "healthy"}}]
    aws = Exchange().expect("DescribeTargetHealth", {"TargetGroupArn": arn}, {"TargetHealthDescriptions": health})
    aws.refuse("DeregisterTargets", lambda _sent: True, "AccessDenied")
    group = {"arn": arn, "port": 443, "target_type": "instance", "kind": "ingress", "skipped": ""}
    nodes = [{"name": "a", "instance_id": "i-1"}, {"name": "b", "instance_id": "i-2"}]
    result = call(monkeypatch, nlb_target, aws, {"state": "absent", "nodes": nodes, "target_groups": [group]})
    assert [failure["name"] for failure in result["failures"]] == ["a"]
    assert result["plan"] == [{"verb": "deregister", "node": "a", "target": "web:443"}]
    assert result["diff"]["before"] == {"a web:443": {"state": "healthy", "target": "i-1"}}


@pytest.mark.parametrize("name", ["cluster_info", "cluster_price", "cluster_security_group", "ec2_node", "nlb", "nlb_target"])
def test_modules_are_documentation_and_a_short_main(name: str) -> None:
    module = importlib.import_module(f"ansible_collections.k8s_cluster.manager.plugins.modules.{name}")
    functions = [value for value in vars(module).values() if callable(value) and getattr(value, "__module__", "") == module.__name__]
    assert [function.__name__ for function in functions] == ["main"]
