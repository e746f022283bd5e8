# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX runs them: by ansible-runner, with what surveys and credentials send. An answer is first put to the survey, as AWX puts it."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import hvac
import pytest

from tests import worldview
from tests.awx import credential_types, job, playbook, survey
from tests.awx.job import Job
from tests.sandbox.fixture import RunningSandbox

from .test_preflight import Trouble
from .test_secrets import Watch, trouble, watch

__all__ = ["trouble", "watch"]
pytestmark = pytest.mark.slow

# What of the sandbox is in no credential.
SETTINGS = ("AWS_ENDPOINT_URL", "AWS_EC2_METADATA_DISABLED", "CLOUDFLARE_BASE_URL", "NO_PROXY")
DATA = playbook.load(playbook.DATA)
TYPES = {entry["name"].removeprefix("k8s_cluster.manager "): entry for entry in json.loads(json.dumps(DATA["configure_awx_credential_types"]))}
# Waits that mean minutes to real load balancers mean nothing to the sandbox's; in AWX they are variables of the inventory's host.
CLUSTERS: dict[str, dict[str, t.Any]] = {"fargle": {"delete_node_traffic_floor": 1}, "fargle2": {}, "barney": {}}
TEMPLATES = {
    call.arguments["name"].removeprefix("k8s "): call.arguments
    for call in playbook.calls(playbook.load(playbook.TASKS), DATA, {**playbook.SAID, "clusters": CLUSTERS})
    if call.module == "awx.awx.job_template"
}
NEW = ["fargle-worker-20", "fargle-worker-21"]


def credentials(cloud_env: t.Mapping[str, str]) -> dict[str, dict[str, str]]:
    """By its type the fields of each credential; what may be left open is. AWS's are those of AWX's own type."""
    return {
        "HashiCorp Vault token": {"vault_addr": cloud_env["VAULT_ADDR"], "vault_token": cloud_env["VAULT_TOKEN"]},
        "Cloudflare": {"cloudflare_api_token": cloud_env["CLOUDFLARE_API_TOKEN"]},
        "AWS region": {"aws_region": cloud_env["AWS_REGION"]},
    }


def launch(
    folder: Path,
    template: str,
    answers: t.Mapping[str, t.Any],
    cloud_env: t.Mapping[str, str],
    *arguments: str,
    using: t.Mapping[str, t.Mapping[str, str]] | None = None,
    before_it: t.Mapping[str, t.Any] | None = None,
    past_survey: bool = False,
    verbosity: int = 0,
) -> Job:
    """Launch a job template. Answers are held against its survey and get its defaults, unless they go past it; before_it is what an earlier job left."""
    spec = TEMPLATES[template]["survey_spec"]
    assert past_survey or survey.answer_problems(spec, answers) == []
    folder.mkdir(exist_ok=True)
    env = {name: cloud_env[name] for name in (*SETTINGS, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    variables = {**(before_it or {}), **(answers if past_survey else survey.variables(spec, answers))}
    (folder / "credentials").mkdir()
    for kind, values in (using or credentials(cloud_env)).items():
        injected = credential_types.inject(TYPES[kind], values, folder / "credentials")
        env.update(injected.env)
        variables.update(injected.extra_vars)
    job.prepare(folder, CLUSTERS, variables)
    return job.run(folder, TEMPLATES[template]["playbook"], env, *arguments, verbosity=verbosity)


def succeed(done: Job) -> Job:
    assert done.status == "successful", done.output
    return done


def names(cloud: RunningSandbox, cluster: str = "fargle") -> set[str]:
    return {*worldview.nodes(cloud.control.world(), cluster)}


def test_nodes_come_by_a_survey_and_go_by_another(cloud: RunningSandbox, tmp_path: Path) -> None:
    """Names are lines of a text, which end as the browser ends them. What one job leaves, the next one of a workflow gets as a variable."""
    before = names(cloud)
    answers = {"cluster": "fargle", "role": "worker", "nodes": "\n".join(NEW) + "\n", "purpose": "", "kubernetes": "auto", "rollback": "false"}
    done = succeed(launch(tmp_path / "create", "create nodes", answers, cloud.env))
    assert done.changed > 0
    left = done.artifacts
    assert left.keys() == {"k8s_cluster_manager"}
    assert left["k8s_cluster_manager"]["fargle"]["operation"] == "create_node"
    assert sorted(left["k8s_cluster_manager"]["fargle"]["finished"]) == NEW
    assert names(cloud) - before == {*NEW}

    again = succeed(launch(tmp_path / "again", "create nodes", answers, cloud.env))
    assert again.changed == 0

    answers = {"cluster": "fargle", "nodes": "\r\n".join(NEW), "drain_timeout": 60, "unreachable": "fail", "allow_single_control_plane": "false"}
    done = succeed(launch(tmp_path / "delete", "delete nodes", answers, cloud.env, before_it=left))
    assert done.artifacts["k8s_cluster_manager"]["fargle"]["operation"] == "delete_node"
    assert done.artifacts["k8s_cluster_manager"]["fargle"]["nodes"] == dict.fromkeys(NEW, "deleted")
    assert names(cloud) == before


def test_numbers_and_truths_as_texts_and_nothing_as_null(cloud: RunningSandbox, tmp_path: Path) -> None:
    """As a template's own variables, other tools and older surveys send them, past the survey."""
    before = names(cloud)
    workers = sum("-worker-" in name for name in before)
    sent = {"cluster": "fargle", "role": None, "count": f" {workers + 1} ", "nodes": None, "instance_type": "", "purpose": None, "rollback": "False"}
    sent |= {"kubernetes": "", "identity_check": None, "secret_mount": "", "machine_config_file": "", "patch_file": None, "node_config_file": " "}
    done = succeed(launch(tmp_path / "create", "create nodes", sent, cloud.env, past_survey=True))
    (new,) = names(cloud) - before
    assert done.artifacts["k8s_cluster_manager"]["fargle"]["finished"] == [new]

    # A list of choices, one of them with several lines.
    sent = {"cluster": "fargle", "nodes": [f"{new}\n", "\nfargle-worker-99"], "drain_timeout": "60", "unreachable": "", "instance_id": None}
    sent |= {"allow_single_control_plane": "no", "allow_last_control_plane": "0", "kubernetes": None, "secret_mount": None, "node_config_file": ""}
    done = succeed(launch(tmp_path / "delete", "delete nodes", sent, cloud.env, past_survey=True))
    assert done.artifacts["k8s_cluster_manager"]["fargle"]["nodes"] == {new: "deleted", "fargle-worker-99": "nothing was left of it"}
    assert names(cloud) == before


@pytest.mark.parametrize("no", ["False", "0", None])
def test_a_no_in_any_spelling_allows_nothing(cloud: RunningSandbox, tmp_path: Path, no: t.Any) -> None:
    sent = {"cluster": "fargle2", "nodes": "fargle2-controlplane-1", "allow_last_control_plane": no}
    done = launch(tmp_path, "delete nodes", sent, cloud.env, past_survey=True)
    assert done.status == "failed"
    assert "Say allow_last_control_plane=true" in " ".join(done.output.split())
    assert cloud.control.mutating() == []
    # A workflow's branch for failures can tell, too.
    assert done.artifacts["k8s_cluster_manager"]["fargle2"]["operation"] == "delete_node"


def test_a_check_of_a_whole_cluster(cloud: RunningSandbox, tmp_path: Path) -> None:
    """A launch as a check, numbers as texts; subnets are lines."""
    subnets = sorted(number for number, subnet in worldview.region(cloud.control.world())["subnets"].items() if "public" in subnet["tags"].get("Name", ""))
    assert len(subnets) == 3
    sent = {"cluster": "barney", "control_planes": "1", "workers": "0", "public_subnet_ids": "\n".join(subnets)}
    sent |= {"kubeconfig_file": None, "identity_check": "", "kubernetes": None, "secret_mount": ""}
    done = succeed(launch(tmp_path, "create a cluster", sent, cloud.env, "--check", "--diff", past_survey=True))
    assert cloud.control.mutating() == []
    assert "barney-controlplane-1" in done.output
    assert "barney-controlplane-2" not in done.output
    assert "barney-worker-1" not in done.output
    assert "ingress-barney-ext" in done.output


def test_load_balancers_by_the_survey(cloud: RunningSandbox, tmp_path: Path) -> None:
    done = succeed(launch(tmp_path / "present", "create load balancers", {"cluster": "barney", "state": "present"}, cloud.env))
    assert done.artifacts["k8s_cluster_manager"]["barney"]["state"] == "present"
    again = succeed(launch(tmp_path / "again", "create load balancers", {"cluster": "barney", "state": None, "secret_mount": ""}, cloud.env, past_survey=True))
    assert again.changed == 0
    done = succeed(launch(tmp_path / "absent", "create load balancers", {"cluster": "barney", "state": "absent"}, cloud.env))
    assert done.artifacts["k8s_cluster_manager"]["barney"]["state"] == "absent"


def test_a_description_is_left_as_an_artifact(cloud: RunningSandbox, tmp_path: Path) -> None:
    sent = {"cluster": "fargle", "html": None, "json": "", "kubernetes": None, "secret_mount": ""}
    done = succeed(launch(tmp_path, "describe a cluster", sent, cloud.env, past_survey=True))
    assert done.changed == 0
    assert {node["name"] for node in done.artifacts["k8s_cluster_manager"]["fargle"]["nodes"]} == names(cloud)


def test_an_answer_is_never_a_template(cloud: RunningSandbox, tmp_path: Path) -> None:
    """Who may only launch must not get at what only the job may read."""
    answer = "{{ lookup('ansible.builtin.env', 'VAULT_TOKEN') }}"
    done = launch(tmp_path, "create nodes", {"cluster": "fargle", "role": "worker", "purpose": answer[:63]}, cloud.env)
    assert done.status == "failed"
    assert cloud.env["VAULT_TOKEN"] not in done.output
    assert cloud.control.mutating() == []


def test_a_slice_that_lacks_the_cluster_fails(cloud: RunningSandbox, tmp_path: Path) -> None:
    """The templates' slice count is 1; somebody may change it."""
    job.prepare(tmp_path, {"barney": {}}, {"cluster": "fargle"})
    (tmp_path / "credentials").mkdir()
    done = job.run(tmp_path, "playbooks/create_node.yml", {name: cloud.env[name] for name in SETTINGS})
    assert done.status == "failed"
    assert "the inventory has no host and no group fargle. It knows barney." in " ".join(done.output.split())


def test_the_events_of_a_job_tell_no_secret(trouble: Trouble, watch: Watch, tmp_path: Path) -> None:
    """At -vvvv and with differences, for a control plane; nothing that AWX keeps of it."""
    answers = {"cluster": "fargle", "role": "controlplane"}
    done = succeed(launch(tmp_path, "create nodes", answers, trouble.env, "--diff", verbosity=4))
    kept = dict(done.kept())
    assert sum("job_events" in name for name in kept) > 30
    # What runner itself notes of the command is the environment that it was given, which AWX hides.
    for name, text in kept.items():
        watch.look(name, json.dumps(json.loads(text)["command"]) if name.endswith("/command") else text)
    watch.look("artifacts", json.dumps(done.artifacts))
    assert watch.found == set()


def test_an_approle_reads_the_secrets(trouble: Trouble, watch: Watch, tmp_path: Path) -> None:
    """Its words are variables, since AWX lets no credential set the environment for them; they stay out of what is kept."""
    role_id, secret_id = approle(trouble.env)
    watch = Watch({"the secret ID": secret_id})
    using = credentials(trouble.env)
    del using["HashiCorp Vault token"]
    using["HashiCorp Vault AppRole"] = {"vault_addr": trouble.env["VAULT_ADDR"], "vault_role_id": role_id, "vault_secret_id": secret_id}
    done = succeed(launch(tmp_path, "create nodes", {"cluster": "fargle", "role": "worker"}, trouble.env, "--check", using=using, verbosity=4))
    for name, text in done.kept():
        watch.look(name, text)
    assert watch.found == set()


def approle(env: t.Mapping[str, str]) -> tuple[str, str]:
    """A role of Vault that may read clusters' secrets: its ID and a secret ID."""
    vault = hvac.Client(url=env["VAULT_ADDR"], token=env["VAULT_TOKEN"])
    if "approle/" not in vault.sys.list_auth_methods()["data"]:
        vault.sys.enable_auth_method("approle")
    vault.sys.create_or_update_policy("clusters", 'path "secret/data/cluster-*" { capabilities = ["read"] }')
    vault.auth.approle.create_or_update_approle("clusters", token_policies=["clusters"])
    role_id = vault.auth.approle.read_role_id("clusters")["data"]["role_id"]
    return role_id, vault.auth.approle.generate_secret_id("clusters")["data"]["secret_id"]


def test_a_certificate_of_a_credential_is_a_file_and_none_is_none(tmp_path: Path) -> None:
    values = {"vault_addr": "https://vault.example", "vault_token": "token", "vault_cacert": "-----BEGIN CERTIFICATE-----"}
    env = credential_types.inject(TYPES["HashiCorp Vault token"], values, tmp_path).env
    assert Path(env["VAULT_CACERT"]).read_text() == values["vault_cacert"]
    del values["vault_cacert"]
    assert credential_types.inject(TYPES["HashiCorp Vault token"], values, tmp_path).env["VAULT_CACERT"] == ""
