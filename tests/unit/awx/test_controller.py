# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for AWX refuses what AWX refuses: a test for each refusal."""

from __future__ import annotations

import importlib.util
import json
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.awx import modules
from tests.awx.controller import FIELDS, Controller, Refused, playbooks, rule_problems, running

URL = "https://git.example/k8s.git"
QUESTION = {"variable": "cluster", "question_name": "Cluster", "type": "text", "required": True}
SURVEY = {
    "name": "survey",
    "description": "",
    "spec": [
        QUESTION,
        {"variable": "count", "question_name": "How many", "type": "integer", "required": False, "default": "", "min": 1, "max": 9},
        {"variable": "role", "question_name": "Role", "type": "multiplechoice", "required": False, "default": "", "choices": ["worker", "cp"]},
        {"variable": "nodes", "question_name": "Nodes", "type": "textarea", "required": False, "default": ""},
        {"variable": "zones", "question_name": "Zones", "type": "multiselect", "required": False, "default": "a", "choices": ["a", "b"]},
        {"variable": "share", "question_name": "Share", "type": "float", "required": False, "default": 0.5},
    ],
}
RULE = "DTSTART:20260105T070000Z RRULE:FREQ=DAILY;INTERVAL=1"
# Fields of awx.awx that are not sent as they are, or that AWX 24 no longer has.
ELSEWHERE = {
    "job_template": {"credential", "vault_credential", "credentials", "labels", "survey_spec", "instance_groups", "custom_virtualenv"},
    "inventory": {"instance_groups", "input_inventories"},
    "organization": {"instance_groups", "galaxy_credentials", "custom_virtualenv"},
    "project": {"custom_virtualenv"},
    "schedule": {"organization", "credentials", "labels", "instance_groups"},
    "credential": {"user", "team"},
}


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    """One with a project that has a playbook, an inventory and a job template with a survey."""
    (tmp_path / "play.yml").write_text("- hosts: all\n")
    made = Controller("token", {URL: tmp_path})
    post(made, "organizations", name="Platform")
    post(made, "projects", name="project", scm_type="git", scm_url=URL, organization=number(made, "organizations", "Platform"))
    post(made, "inventories", name="clusters", organization=number(made, "organizations", "Platform"))
    post(made, "job_templates", **template(made, name="template"), survey_enabled=True)
    made.answer("POST", f"job_templates/{number(made, 'job_templates', 'template')}/survey_spec/", {}, SURVEY)
    return made


def number(controller: Controller, endpoint: str, name: str) -> int:
    return t.cast("int", controller.named(endpoint, name)["id"])


def post(controller: Controller, endpoint: str, **body: t.Any) -> t.Any:
    return controller.answer("POST", f"{endpoint}/", {}, body)[1]


def template(controller: Controller, **more: t.Any) -> dict[str, t.Any]:
    return {
        "name": "another",
        "project": number(controller, "projects", "project"),
        "inventory": number(controller, "inventories", "clusters"),
        "playbook": "play.yml",
        **more,
    }


def refused(controller: Controller, endpoint: str, body: dict[str, t.Any], method: str = "POST") -> str:
    with pytest.raises(Refused) as caught:
        controller.answer(method, f"{endpoint}/", {}, body)
    assert caught.value.status == 400
    return json.dumps(caught.value.body)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"timeouts": 5}, "is not a field"),
        ({"timeout": "5"}, "is not a int"),
        ({"timeout": True}, "is not a int"),
        ({"become_enabled": "no"}, "is not a bool"),
        ({"verbosity": 6}, "is not a valid choice"),
        ({"job_type": "dry"}, "is not a valid choice"),
        ({"inventory": 999}, "does not exist"),
        ({"inventory": None}, "You must either set a default value or ask to prompt on launch"),
        ({"name": ""}, "is not a str"),
        ({"name": "template", "organization": None}, "already exists"),
        ({"playbook": "other.yml"}, "Playbook not found for project"),
        ({"scm_branch": "other"}, "Project does not allow overriding branch"),
    ],
)
def test_job_templates(controller: Controller, wrong: dict[str, t.Any], said: str) -> None:
    assert said in refused(controller, "job_templates", template(controller, **wrong))
    assert post(controller, "job_templates", **template(controller))["job_slice_count"] == 1


def test_what_is_needed(controller: Controller) -> None:
    for endpoint, fields in FIELDS.items():
        for field in (name for name, rule in fields.items() if rule.needed):
            assert f'"{field}": ["This field is required."]' in refused(controller, endpoint, {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": None}, "name: a text"),
        ({"spec": []}, "at least one question"),
        ({"extra": 1}, "is not known"),
        ({"spec": ["cluster"]}, "is not an object"),
        ({"spec": [QUESTION, QUESTION]}, "asked for twice"),
        ({"spec": [{**QUESTION, "help": ""}]}, "help: is not known"),
        ({"spec": [{**QUESTION, "required": "yes"}]}, "required: bool is needed"),
        ({"spec": [{**QUESTION, "question_name": 1}]}, "question_name: str is needed"),
        ({"spec": [{**QUESTION, "type": "number"}]}, "is none of"),
        ({"spec": [{**QUESTION, "min": "1"}]}, "min: a whole number"),
        ({"spec": [{**QUESTION, "max": 1.5}]}, "max: a whole number"),
        ({"spec": [{**QUESTION, "variable": "my cluster"}]}, "cannot be a variable"),
        ({"spec": [{**QUESTION, "variable": "tags"}]}, "cannot be a variable"),
        ({"spec": [{**QUESTION, "variable": "awx_job_id"}]}, "cannot be a variable"),
        ({"spec": [{**QUESTION, "type": "integer", "default": "5"}]}, "is not of the question's type"),
        ({"spec": [{**QUESTION, "type": "integer", "default": True}]}, "is not of the question's type"),
        ({"spec": [{**QUESTION, "type": "float", "default": 5}]}, "is not of the question's type"),
        ({"spec": [{**QUESTION, "type": "integer", "default": 5, "max": 4}]}, "too large"),
        ({"spec": [{**QUESTION, "type": "multiplechoice"}]}, "choices: are needed"),
        ({"spec": [{**QUESTION, "type": "multiplechoice", "choices": "a\nb"}]}, "a list of texts"),
        ({"spec": [{**QUESTION, "type": "multiplechoice", "choices": ["a", ""]}]}, "a list of texts"),
        ({"spec": [{**QUESTION, "type": "multiplechoice", "choices": ["a"], "default": "b"}]}, "is no choice"),
        ({"spec": [{**QUESTION, "type": "multiselect", "choices": ["a"], "default": "a\nb"}]}, "is no choice"),
        ({"spec": [{**QUESTION, "default": "$encrypted$"}]}, "AWX's own word"),
    ],
)
def test_surveys(controller: Controller, change: dict[str, t.Any], said: str) -> None:
    where = f"job_templates/{number(controller, 'job_templates', 'template')}/survey_spec"
    assert said in refused(controller, where, {**SURVEY, **change})


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "'cluster' value missing"),
        ({"cluster": None}, "wrong type"),
        ({"cluster": 5}, "wrong type"),
        ({"cluster": "a", "count": "5"}, "wrong type"),
        ({"cluster": "a", "count": ""}, "wrong type"),
        ({"cluster": "a", "count": 0}, "too small"),
        ({"cluster": "a", "count": 10}, "too large"),
        ({"cluster": "a", "role": ""}, "is no choice"),
        ({"cluster": "a", "zones": "a"}, "a list is needed"),
        ({"cluster": "a", "zones": ["c"]}, "is no choice"),
        ({"cluster": "a", "share": "1"}, "wrong type"),
        ({"cluster": "a", "other": "1"}, "is not asked for"),
    ],
)
def test_launches_and_schedules(controller: Controller, answers: dict[str, t.Any], said: str) -> None:
    template_id = number(controller, "job_templates", "template")
    assert said in refused(controller, f"job_templates/{template_id}/launch", {"extra_vars": answers})
    assert said in refused(controller, "schedules", {"name": "s", "unified_job_template": template_id, "rrule": RULE, "extra_data": answers})


def test_a_launch_has_defaults_that_are_answers_and_what_is_said(controller: Controller) -> None:
    """A blank default of a text is a blank; of a number or a choice it is no answer, and nothing is sent."""
    where = f"job_templates/{number(controller, 'job_templates', 'template')}/launch"
    assert json.loads(post(controller, where, extra_vars={"cluster": "fargle"})["extra_vars"]) == {"cluster": "fargle", "nodes": "", "share": 0.5}
    assert "not configured to prompt" in refused(controller, where, {"limit": "fargle", "extra_vars": {"cluster": "fargle"}})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "external"}, "is not a valid choice"),
        ({"inputs": {"fields": [{"id": "a b", "label": "A"}]}}, "is not taken"),
        ({"inputs": {"fields": [{"id": "tower", "label": "A"}]}}, "is not taken"),
        ({"inputs": {"fields": [{"id": "a"}]}}, "label: is needed"),
        ({"inputs": {"fields": [{"id": "a", "label": "A", "type": "text"}]}}, "type: 'text' is not taken"),
        ({"inputs": {"fields": [{"id": "a", "label": "A", "format": "uri"}]}}, "format: 'uri' is not taken"),
        ({"inputs": {"fields": [{"id": "a", "label": "A", "secret": "yes"}]}}, "secret: bool is needed"),
        ({"inputs": {"fields": [{"id": "a", "label": "A", "type": "boolean", "secret": True}]}}, "is for texts"),
        ({"inputs": {"fields": [{"id": "a", "label": "A"}, {"id": "a", "label": "B"}]}}, "is there twice"),
        ({"inputs": {"fields": [{"id": "a", "label": "A", "hint": ""}]}}, "hint: is not known"),
        ({"inputs": {"fields": [{"id": "a", "label": "A"}], "required": ["b"]}}, "is no field"),
        ({"injectors": {"environment": {}}}, "is not known"),
        ({"injectors": {"env": {"A-B": "x"}}}, "is not taken"),
        ({"injectors": {"env": {"ANSIBLE_HASHI_VAULT_ROLE_ID": "{{ a }}"}}}, "is not for credentials"),
        ({"injectors": {"env": {"PATH": "{{ a }}"}}}, "is not for credentials"),
        ({"injectors": {"env": {"A": 5}}}, "a text is needed"),
        ({"injectors": {"env": {"A": "{{ b }}"}}}, "'b' is undefined"),
        ({"injectors": {"env": {"A": "{{ a "}}}, "unexpected"),
        ({"injectors": {"env": {"A": "{{ tower.filename.other }}"}}}, "has no attribute 'other'"),
        ({"injectors": {"file": {"template": "{{ a }}", "template.b": "{{ a }}"}}}, "several need names"),
        ({"injectors": {"file": {"cert": "{{ a }}"}}}, "is not taken"),
    ],
)
def test_credential_types(controller: Controller, change: dict[str, t.Any], said: str) -> None:
    good = {"name": "type", "kind": "cloud", "inputs": {"fields": [{"id": "a", "label": "A"}]}, "injectors": {"env": {"A": "{{ a }}"}}}
    assert said in refused(controller, "credential_types", {**good, **change})
    assert post(controller, "credential_types", **good)["name"] == "type"


def test_credentials(controller: Controller) -> None:
    amazon = number(controller, "credential_types", "Amazon Web Services")
    inputs = {"username": "AKIA", "password": "canary"}
    made = post(controller, "credentials", name="aws", credential_type=amazon, inputs=inputs)
    assert made["inputs"] == {"username": "AKIA", "password": "$encrypted$"}
    assert controller.secrets[made["id"]]["password"] == "canary"
    assert "password required" in refused(controller, "credentials", {"name": "b", "credential_type": amazon, "inputs": {"username": "A"}})
    assert "not allowed" in refused(controller, "credentials", {"name": "b", "credential_type": amazon, "inputs": {**inputs, "region": "x"}})
    other = post(controller, "credentials", name="b", credential_type=amazon, inputs=inputs)
    where = f"job_templates/{number(controller, 'job_templates', 'template')}/credentials"
    assert controller.answer("POST", f"{where}/", {}, {"id": made["id"]})[0] == 204
    assert "Cannot assign multiple Amazon Web Services" in refused(controller, where, {"id": other["id"]})
    assert "Invalid pk" in refused(controller, where, {"id": 999})


def test_hosts_inventories_and_projects(controller: Controller) -> None:
    inventory = number(controller, "inventories", "clusters")
    assert "Cannot parse" in refused(controller, "hosts", {"name": "fargle", "inventory": inventory, "variables": "{"})
    assert "Cannot parse" in refused(controller, f"inventories/{inventory}", {"variables": "[]"}, "PATCH")
    assert "Invalid SCM URL" in refused(controller, "projects", {"name": "p", "scm_type": "git", "scm_url": "https://other.example"})
    assert "is not a field that can be filtered by" in filtered(controller)


def filtered(controller: Controller) -> str:
    with pytest.raises(Refused) as caught:
        controller.answer("GET", "hosts/", {"nmae": "x"}, {})
    return str(caught.value.body)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("RRULE:FREQ=DAILY;INTERVAL=1", "Valid DTSTART"),
        ("DTSTART:20260105T070000 RRULE:FREQ=DAILY;INTERVAL=1", "Valid DTSTART"),
        (f"DTSTART:20260105T070000Z {RULE}", "Valid DTSTART"),
        ("DTSTART:20260105T070000Z", "One or more rule required"),
        ("DTSTART:20260105T070000Z RRULE:FREQ=DAILY", "INTERVAL required"),
        ("DTSTART:20260105T070000Z RRULE:FREQ=SECONDLY;INTERVAL=1", "SECONDLY"),
        ("DTSTART:20260105T070000Z RRULE:FREQ=OFTEN;INTERVAL=1", "parsing failed"),
        (f"{RULE};BYDAY=2MO", "BYDAY with numeric prefix"),
        (f"{RULE};COUNT=3;UNTIL=20270101T000000Z", "both COUNT and UNTIL"),
        (f"{RULE};COUNT=1000", "COUNT > 999"),
        (f"{RULE} EXDATE:20260106T070000Z", "EXDATE not allowed"),
    ],
)
def test_rules_of_schedules(rule: str, said: str) -> None:
    assert said in " ".join(rule_problems(rule))
    assert rule_problems(RULE) == []
    assert rule_problems("DTSTART;TZID=Europe/Berlin:20260105T070000 RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,TU") == []


def test_projects_have_the_playbooks_that_awx_finds(tmp_path: Path) -> None:
    for path, text in {
        "play.yml": "- name: Play\n  hosts: all\n",
        "imports.yaml": "- import_playbook: play.yml\n",
        "vars/data.yml": "a: 1\n",
        "tasks/play.yml": "- hosts: all\n",
        "roles/r/play.yml": "- hosts: all\n",
        ".hidden/play.yml": "- hosts: all\n",
        "play.txt": "- hosts: all\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "again").symlink_to(tmp_path)
    assert playbooks(tmp_path) == {"play.yml", "imports.yaml"}


def test_only_with_the_token(controller: Controller) -> None:
    def status(path: str, token: str) -> int:
        request = urllib.request.Request(controller.url + path, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return t.cast("int", response.status)
        except urllib.error.HTTPError as error:
            return error.code

    with running(controller):
        assert status("/api/v2/projects/", "token") == 200
        assert status("/api/v2/projects/", "other") == 401
        assert status("/api/v2/groups/", "token") == 404
        assert status("/api/v2/projects/999/", "token") == 404


@pytest.mark.skipif(importlib.util.find_spec("ansible_collections.awx") is None, reason="awx.awx is not installed: PyPI's ansible up to 13 brings it")
@pytest.mark.parametrize("endpoint", FIELDS)
def test_its_fields_are_those_of_awx_awx(endpoint: str) -> None:
    """Of the same name and the same kind: ids are names there, objects may be texts."""
    module = "inventory" if endpoint == "inventories" else endpoint.removesuffix("s")
    spec = modules.arguments(f"awx.awx.{module}")
    sent = {name for name in spec if name not in modules.ABOUT and name not in ELSEWHERE.get(module, ()) and not name.startswith("notification_templates")}
    assert sent - FIELDS[endpoint].keys() == set()
    # managed is what the module says of itself.
    assert FIELDS[endpoint].keys() - sent <= {"managed", "variables"}
    kinds = {"int": int, "bool": bool, "dict": dict}
    # Of kinds AWX takes two for types that are not its own; a project without source control the module calls manual, AWX nothing.
    for name in sent:
        kind = FIELDS[endpoint][name].kind
        assert isinstance(kind, str) or kind is kinds.get(spec[name].get("type", "str"), str) or name in ("variables", "extra_vars"), name
        if (choices := spec[name].get("choices")) and name not in ("scm_type", "kind"):
            assert set(choices) <= {*FIELDS[endpoint][name].choices}, name
