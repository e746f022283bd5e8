# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""talos_machine_config as Ansible runs it, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring

ROOT = Path(__file__).resolve().parents[3]
RUNNER = """
import sys, tests.conftest
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
basic._ANSIBLE_PROFILE = "legacy"
from ansible_collections.k8s_cluster.manager.plugins.modules import talos_machine_config
talos_machine_config.main()
"""

CONFIG = """\
version: v1alpha1
machine:
  type: worker
  token: canary.aaaaaaaaaaaaaaaa
  ca: {crt: LS0tLQ==, key: ""}
  install: {image: "ghcr.io/siderolabs/installer:v1.11.3"}
cluster:
  clusterName: fargle
  secret: canary.bbbbbbbbbbbbbbbb
  controlPlane: {endpoint: "https://fargle.example.com:6443"}
"""


def run(check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    """The module's result for these options, with diff."""
    arguments = {"config": CONFIG, "role": "worker", "nodes": [{"name": "n1", "hostname": "n1.example.com"}], **options}
    payload = json.dumps({"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}})
    done = subprocess.run([sys.executable, "-c", RUNNER], input=payload, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.stdout.lstrip().startswith("{"), done.stderr
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))


def without_invocation(result: dict[str, t.Any]) -> dict[str, t.Any]:
    """The result without what Ansible adds, and without the marks that each process makes its own."""
    return {key: value for key, value in result.items() if key not in ("invocation", "diff")}


def test_digests_and_cluster_but_no_text() -> None:
    result = run()
    assert result["changed"] is False
    assert [node["name"] for node in result["nodes"]] == ["n1"]
    assert len(result["nodes"][0]["digest"]) == 64
    assert result["config_info"]["cluster_name"] == "fargle"
    assert result["config_info"]["talos_version"] == "v1.11.3"
    assert "configs" not in result
    assert "canary" not in json.dumps(result)
    assert "n1.example.com" in result["diff"][0]["after"]


def test_check_mode_is_the_same() -> None:
    assert without_invocation(run(check=True)) == without_invocation(run())


def test_the_text_on_request() -> None:
    config = yaml.safe_load(run(return_config=True)["configs"]["n1"])
    assert config["machine"]["token"] == "canary.aaaaaaaaaaaaaaaa"
    assert config["machine"]["network"] == {"hostname": "n1.example.com"}


def test_every_problem_of_config_and_patch_without_a_value() -> None:
    result = run(patch="machine: {tokn: canary.cccccccccccccccc, install: {wipe: canary.dddddddddddddddd}}")
    assert result["failed"] is True
    assert result["problems"] == [
        "patch: v1alpha1: line 1: machine.tokn: unknown key",
        "patch: v1alpha1: line 1: machine.install.wipe: must be true or false (unquoted)",
    ]
    assert "canary" not in json.dumps(result)


def test_a_bad_node_fails_the_module_but_not_the_others() -> None:
    result = run(nodes=[{"name": "good"}, {"name": "bad", "patch": "machine: {foo: 1}"}])
    assert result["failed"] is True
    assert [node["name"] for node in result["nodes"]] == ["good"]
    assert result["failures"] == [{"name": "bad", "msg": "node patch: v1alpha1: line 1: machine.foo: unknown key"}]


@pytest.mark.parametrize(("nodes", "message"), [([{"name": "a"}, {"name": "a"}], "named twice: a"), ([{"name": " "}], "empty name")])
def test_names_are_checked(nodes: list[dict[str, str]], message: str) -> None:
    assert message in run(nodes=nodes)["msg"]


def test_labels_and_taints_reach_the_config() -> None:
    node = {"name": "n1", "labels": {"purpose": "gpu", "fast": True}, "taints": [{"key": "purpose", "value": "gpu"}]}
    machine = yaml.safe_load(run(nodes=[node], return_config=True)["configs"]["n1"])["machine"]
    assert machine["nodeLabels"] == {"fast": "true", "purpose": "gpu"}
    assert machine["kubelet"]["extraConfig"]["registerWithTaints"] == [{"effect": "NoSchedule", "key": "purpose", "value": "gpu"}]


def test_the_documentation_names_every_option() -> None:
    source = ROOT / "plugins" / "modules" / "talos_machine_config.py"
    documentation, _examples, returned, _metadata = get_docstring(str(source), fragment_loader, collection_name="k8s_cluster.manager", plugin_type="module")
    result = run()
    assert set(documentation["options"]) == set(result["invocation"]["module_args"])
    assert set(documentation["options"]["nodes"]["suboptions"]) == set(result["invocation"]["module_args"]["nodes"][0])
    assert "PyYAML >= 5.4" in documentation["requirements"] and "python >= 3.10" in documentation["requirements"]
    assert set(returned) >= set(result) - {"changed", "diff", "invocation"}
    assert set(returned["config_info"]["contains"]) == set(result["config_info"])


@pytest.mark.parametrize("form", [json.dumps, yaml.safe_load, lambda text: text])
def test_configs_and_patches_as_text_or_data(form: t.Callable[[str], t.Any]) -> None:
    patches = '[{"machine": {"sysctls": {"a": "0x10", "b": null, "c": "\U0001f600"}}}, "machine: {certSANs: [\'x: y\']}"]'
    node = {"name": "n1", "patch": yaml.safe_load('[{"op": "add", "path": "/machine/time", "value": {"disabled": true}}]')}
    config = form(CONFIG) if form is not json.dumps else json.dumps(yaml.safe_load(CONFIG))
    result = run(config=config, patch=form(patches) if form is not json.dumps else patches, nodes=[node], return_config=True)
    machine = yaml.safe_load(result["configs"]["n1"])["machine"]
    assert machine["sysctls"] == {"a": "0x10", "b": "", "c": "\U0001f600"}
    assert machine["certSANs"] == ["x: y"]
    assert machine["time"]["disabled"] is True


def test_of_data_only_the_whole_is_masked() -> None:
    """Ansible masks every word of a no_log mapping otherwise: this one's are in the message and in the results."""
    config = yaml.safe_load(CONFIG)
    result = run(config=config, patch=[{"machine": {"sysctls": {"a": "worker"}}}, {"debug": "v1alpha1"}])
    assert result["problems"] == ["patch: v1alpha1: line 1: debug: must be true or false (unquoted)"]
    assert result["invocation"]["module_args"]["config"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    assert result["invocation"]["module_args"]["patch"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    assert run(config=config, patch=[])["config_info"]["cluster_name"] == "fargle"


def test_a_short_text_masks_nothing() -> None:
    result = run(patch="[]", nodes=[{"name": "n1", "patch": "machine: {pods: []}"}])
    assert "********" not in json.dumps(result)


def test_what_is_neither_text_nor_data() -> None:
    assert run(config=5)["msg"] == "config: must be a text, a mapping or a list"
    assert run(nodes=[{"name": "n1", "patch": True}])["msg"] == "patch: must be a text, a mapping or a list"
