# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every field of what playbooks/configure_awx.yml makes is one that awx.awx and AWX know, and a wrong one anywhere is noticed."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import typing as t

import pytest
import yaml

from tests.awx import playbook
from tests.awx.controller import playbooks, rule_problems

pytestmark = pytest.mark.slow
if importlib.util.find_spec("ansible_collections.awx") is None:
    pytest.skip("awx.awx is not installed: PyPI's ansible up to 13 brings it", allow_module_level=True)

TASKS = playbook.load(playbook.TASKS)
DATA = playbook.load(playbook.DATA)
# Arguments that are objects.
OBJECTS = ("inputs", "injectors", "variables", "survey_spec", "extra_data")
# Texts that any other text may stand for; all others are names of something.
PROSE = ("description", "question_name", "question_description", "label", "help_text")

Path = tuple[t.Union[str, int], ...]


def paths(value: t.Any, at: Path = ()) -> t.Iterator[Path]:
    """Where each value of a nested object is."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*at, key))


def parent(value: t.Any, at: Path) -> t.Any:
    for key in at[:-1]:
        value = value[key]
    return value


def misspelt(value: t.Any, at: Path) -> t.Any:
    """A copy with another key in place of one."""
    changed = copy.deepcopy(value)
    holder = parent(changed, at)
    holder[f"{at[-1]}x"] = holder.pop(at[-1])
    return changed


def replaced(value: t.Any, at: Path, by: t.Any) -> t.Any:
    """A copy with another value at one place."""
    changed = copy.deepcopy(value)
    parent(changed, at)[at[-1]] = by
    return changed


def named(at: Path) -> str:
    return ".".join(map(str, at))


def is_key(at: Path) -> bool:
    return isinstance(at[-1], str)


KINDS = {"configure_awx_credential_types": "awx.awx.credential_type", "configure_awx_templates": "awx.awx.job_template"}
ENTRIES = [(kind, number) for kind in KINDS for number in range(len(DATA[kind]))]


def alone(kind: str, number: int) -> tuple[playbook.Tasks, playbook.Data]:
    """The data of one entry, and its task with the arguments that come from there."""
    (task,) = (task for task in TASKS if KINDS[kind] in task)
    arguments = {key: value for key, value in task[KINDS[kind]].items() if "item" in str(value)}
    return [{**task, KINDS[kind]: arguments}], {**dict.fromkeys(KINDS, []), kind: [DATA[kind][number]]}


def fields(data: playbook.Data) -> list[Path]:
    """Where the fields of the data's one entry are; what the entries of these objects are called is the entry's own affair."""
    return [at for at in paths(data) if len(at) > 2 and is_key(at) and at[-2] not in ("left_out", "env", "extra_vars", "file")]


def test_all_is_as_awx_and_the_playbooks_know_it() -> None:
    assert playbook.problems(TASKS, DATA) == []


def test_without_clusters_the_cluster_is_typed_in() -> None:
    said = {**playbook.SAID, "clusters": None, "credentials": "", "schedules": []}
    assert playbook.problems(TASKS, DATA, said) == []
    questions = {call.arguments["survey_spec"]["spec"][0]["type"] for call in playbook.calls(TASKS, DATA, said) if call.module == "awx.awx.job_template"}
    assert questions == {"text"}
    known = [call.arguments["survey_spec"]["spec"][0] for call in playbook.calls(TASKS, DATA, playbook.SAID) if call.module == "awx.awx.job_template"]
    assert all(question["type"] == "multiplechoice" and question["choices"] == ["fargle", "barney"] for question in known)


def test_the_guide_says_words_that_are_understood() -> None:
    """Its example, with every word of the playbook in its table."""
    text = (playbook.ROOT / "docs/awx.md").read_text()
    (example,) = (block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "project_url" in block)
    said = yaml.safe_load(example.replace("{{", "").replace("}}", ""))
    assert playbook.problems(TASKS, DATA, said) == []
    assert all(rule_problems(one["rrule"]) == [] for one in said["schedules"])
    taken = playbook.words("playbooks/configure_awx.yml", "playbooks/tasks/configure_awx.yml")
    assert said.keys() < taken
    assert {word for row in re.findall(r"^\| (`\w+`[^|]*)\|", text, re.MULTILINE) for word in re.findall(r"`(\w+)`", row)} == taken
    kinds = {one["type"] for one in said["credentials"].values()} - {"Amazon Web Services"}
    assert kinds < {entry["name"] for entry in DATA["configure_awx_credential_types"]}
    for entry in DATA["configure_awx_credential_types"]:
        assert f"| {entry['name']} |" in text


def test_every_playbook_has_a_template() -> None:
    """Of those that AWX offers to choose from, but for the one that makes them."""
    there = {name for name in playbooks(playbook.ROOT) if name.startswith("playbooks/")} - {"playbooks/configure_awx.yml"}
    assert {template["playbook"] for template in DATA["configure_awx_templates"]} == there


def test_a_misspelt_or_mistyped_argument_is_noticed() -> None:
    arguments = [at for at in paths(TASKS) if len(at) == 3 and str(at[1]).startswith("awx.awx.")]
    assert len(arguments) > 50
    data = {key: entries[:1] for key, entries in DATA.items()}
    for number, *rest in arguments:
        task, at = [TASKS[int(number)]], (0, *rest)
        assert playbook.problems(misspelt(task, at), data), named(at)
        assert playbook.problems(replaced(task, at, 7 if at[-1] in OBJECTS else {"x": []}), data), named(at)


@pytest.mark.parametrize(("kind", "number"), ENTRIES)
def test_a_misspelt_field_is_noticed(kind: str, number: int) -> None:
    tasks, data = alone(kind, number)
    where = fields(data)
    assert len(where) > 10
    assert [named(at) for at in where if not playbook.problems(tasks, misspelt(data, at))] == []


@pytest.mark.parametrize(("kind", "number"), ENTRIES)
def test_a_field_of_another_type_is_noticed(kind: str, number: int) -> None:
    """A list where a number or a truth may be, a number where anything else is."""
    tasks, data = alone(kind, number)
    wrong = [(at, ["x"] if at[-1] == "default" or isinstance(parent(data, at)[at[-1]], int) else 7) for at in fields(data)]
    assert [named(at) for at, value in wrong if not playbook.problems(tasks, replaced(data, at, value))] == []


@pytest.mark.parametrize(("kind", "number"), ENTRIES)
def test_another_word_in_place_of_one_that_means_something_is_noticed(kind: str, number: int) -> None:
    tasks, data = alone(kind, number)
    where = [at for at in fields(data) if isinstance(parent(data, at)[at[-1]], str) and at[-1] not in (*PROSE, "name")]
    # A text may have any default.
    where = [at for at in where if at[-1] != "default" or parent(data, at)["type"] not in ("text", "textarea")]
    assert len(where) > 2
    assert [named(at) for at in where if not playbook.problems(tasks, replaced(data, at, "other thing"))] == []


@pytest.mark.parametrize("part", ["questions", "left_out"])
@pytest.mark.parametrize("number", range(len(DATA["configure_awx_templates"])))
def test_a_word_that_is_forgotten_is_noticed(part: str, number: int) -> None:
    tasks, data = alone("configure_awx_templates", number)
    entries = data["configure_awx_templates"][0][part]
    for key in entries if isinstance(entries, dict) else range(len(entries)):
        changed = copy.deepcopy(data)
        del changed["configure_awx_templates"][0][part][key]
        found = playbook.problems(tasks, changed)
        assert any("nothing is said of" in text for text in found), (key, found)


def test_secrets_are_secret_fields() -> None:
    inputs = [field for entry in DATA["configure_awx_credential_types"] for field in entry["inputs"]["fields"]]
    assert {field["id"] for field in inputs if field.get("secret")} == {"vault_token", "vault_secret_id", "cloudflare_api_token"}


def test_what_is_asked_is_understood_by_an_operator() -> None:
    for template in json.loads(json.dumps(DATA["configure_awx_templates"])):
        for question in template["questions"]:
            assert len(question["question_description"]) > 15, question
            # What may stay open has to say that nothing is given then.
            assert question["required"] or question["default"] == "", question
