# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""talos_apply_config and talos_etcd_member as Ansible runs them: options in, JSON out, no secret in it."""

from __future__ import annotations

import json
import typing as t

import pytest
import yaml
from ansible.module_utils import basic
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring
from ansible_collections.amazon.aws.plugins.module_utils.modules import aws_argument_spec
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import transport
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.identity import newest_fingerprint
from ansible_collections.k8s_cluster.manager.plugins.modules import talos_apply_config, talos_bootstrap, talos_etcd_member, talos_kubeconfig

from tests.sandbox.configs import machine_config, talosconfig
from tests.unit.sandbox.talos_kit import Kit

MODULES = [
    (talos_apply_config, "AnsibleAWSModule"),
    (talos_bootstrap, "AnsibleModule"),
    (talos_etcd_member, "AnsibleModule"),
    (talos_kubeconfig, "AnsibleModule"),
]
FRAGMENTS = {"amazon.aws.common.modules", "amazon.aws.region.modules"}


@pytest.fixture(scope="module")
def kit() -> t.Iterator[Kit]:
    kit = Kit()
    yield kit
    kit.close()


@pytest.fixture(scope="module")
def secrets(kit: Kit) -> t.Any:
    return kit.cluster(1)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], secrets: t.Any) -> t.Callable[..., dict[str, t.Any]]:
    """Run a module's main with options and return what it prints."""

    def started(module: t.Any, _check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        text = json.dumps({"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": _check_mode, "_ansible_diff": True}})
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", text.encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            module.main()
        out = capsys.readouterr().out
        for secret in (secrets.talos.admin.key_b64, secrets.talos.ca.key_b64):
            assert secret[-40:] not in out
        return t.cast("dict[str, t.Any]", json.loads(out))

    return started


Run = t.Callable[..., dict[str, t.Any]]


def shape(option: dict[str, t.Any]) -> dict[str, t.Any]:
    """What documentation and argument spec must agree about."""
    found = {key: option[key] for key in ("type", "elements", "required", "default", "choices", "aliases") if key in option}
    inner = option.get("suboptions") or option.get("options") or {}
    return {**found, "options": {name: shape(entry) for name, entry in inner.items()}}


@pytest.mark.parametrize(("module", "base"), MODULES)
def test_documentation_and_argument_spec_agree(monkeypatch: pytest.MonkeyPatch, module: t.Any, base: str) -> None:
    specs: list[dict[str, t.Any]] = []

    def constructed(argument_spec: dict[str, t.Any], **_more: t.Any) -> t.NoReturn:
        specs.append(argument_spec)
        raise SystemExit

    monkeypatch.setattr(module, base, constructed)
    with pytest.raises(SystemExit):
        module.main()
    documentation = yaml.safe_load(module.DOCUMENTATION)
    options = all_options(module)
    aws = set(aws_argument_spec()) - set(specs[0]) if base == "AnsibleAWSModule" else set()
    assert {name: shape(option) for name, option in options.items() if name not in aws} == {name: shape(option) for name, option in specs[0].items()}
    assert (base == "AnsibleAWSModule") == (set(documentation["extends_documentation_fragment"]) >= FRAGMENTS)
    tasks = [task[f"k8s_cluster.manager.{documentation['module']}"] for task in yaml.safe_load(module.EXAMPLES)]
    assert all(set(arguments) <= set(specs[0]) for arguments in tasks)
    assert yaml.safe_load(module.RETURN)["nodes"]


def all_options(module: t.Any) -> dict[str, t.Any]:
    """The options in a module's documentation, those of its fragments too."""
    found = get_docstring(module.__file__, fragment_loader, collection_name="k8s_cluster.manager", plugin_type="module")
    return t.cast("dict[str, t.Any]", found[0]["options"])


def documented(module: t.Any, key: str) -> set[str]:
    return set(yaml.safe_load(module.RETURN)[key]["contains"])


def test_configures_a_worker(run: Run, kit: Kit, secrets: t.Any) -> None:
    address = kit.boot(11)
    told = newest_fingerprint(kit.machines.console(kit.vm(11).instance_id))
    options = {
        "config": machine_config(secrets, "worker"),
        "role": "worker",
        "talosconfig": talosconfig(secrets, [kit.vm(1).private_ip]),
        "identity_check": "fingerprint",
        "nodes": [{"name": "w-1", "hostname": "w-1.example.org", "address": address, "fingerprint": told}],
    }
    predicted = run(talos_apply_config, _check_mode=True, **options)
    assert kit.machines.config_of(address) is None
    done = run(talos_apply_config, **options)
    assert (predicted["changed"], predicted["plan"]) == (done["changed"], done["plan"])
    assert done["changed"] is True
    assert predicted["diff"] == done["diff"]
    assert set(done["nodes"][0]) == documented(talos_apply_config, "nodes")
    again = run(talos_apply_config, **options)
    assert (again["changed"], again["plan"], again["nodes"][0]["drift"]) == (False, [], False)


def test_tells_who_is_in_etcd(run: Run, kit: Kit, secrets: t.Any) -> None:
    config = talosconfig(secrets, [kit.vm(1).private_ip])
    result = run(talos_etcd_member, talosconfig=config, nodes=[])
    assert result["changed"] is False
    assert set(result["members"][0]) == documented(talos_etcd_member, "members")
    assert result["quorum"] == {"voters": 1, "healthy": 1, "needed": 1, "tolerates": 0}
    rendered = run(talos_apply_config, config=machine_config(secrets, "worker"), role="worker", nodes=[])
    assert result["ca_sha256"] == rendered["config_info"]["talos_ca_sha256"]


def test_refuses_the_last_control_plane(run: Run, kit: Kit, secrets: t.Any) -> None:
    node = {"name": "cp-1", "address": kit.vm(1).private_ip}
    result = run(talos_etcd_member, _check_mode=True, talosconfig=talosconfig(secrets, [kit.vm(1).private_ip]), nodes=[node])
    assert result["failed"] is True
    assert "allow_last_control_plane" in result["msg"]


@pytest.mark.parametrize("module", [module for module, _base in MODULES])
def test_missing_library(run: Run, monkeypatch: pytest.MonkeyPatch, module: t.Any) -> None:
    monkeypatch.setattr(transport, "IMPORT_ERROR", "Traceback")
    monkeypatch.setattr(transport, "MISSING", "grpclib")
    options = {"config": "x", "role": "worker", "talosconfig": "x", "dest": "x", "nodes": []}
    known = all_options(module)
    assert "grpclib" in run(module, **{name: value for name, value in options.items() if name in known})["msg"]
