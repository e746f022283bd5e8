# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbooks/configure_awx.yml says to the modules of awx.awx, without running it."""

from __future__ import annotations

import inspect
import json
import re
import typing as t
from pathlib import Path

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from . import credential_types, modules, survey

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = ROOT / "playbooks"
PLAYBOOK = PLAYBOOKS / "configure_awx.yml"
TASKS = PLAYBOOKS / "tasks/configure_awx.yml"
DATA = PLAYBOOKS / "vars/configure_awx.yml"
# What an entry of the data file has, all of it, and nothing else.
TYPE = {"name", "description", "kind", "inputs", "injectors"}
TEMPLATE = {"name", "description", "playbook", "allow_simultaneous", "timeout", "questions", "left_out"}
OMIT = "__omitted__"
# What a user would say, with something for every word.
SAID: dict[str, t.Any] = {
    "prefix": "k8s",
    "organization": "Platform",
    "project_url": "https://git.example/k8s.git",
    "project_branch": "stable",
    "project_credential": "git",
    "image": "images.example/k8s-ee:1",
    "image_credential": "images",
    "clusters": {"fargle": {"cluster_dns": "none"}, "barney": None},
    "credentials": {"aws": {"type": "Amazon Web Services", "inputs": {"username": "AKIA", "password": "secret"}}, "there already": {}},
    "update_secrets": False,
    "schedules": [
        {
            "name": "mornings",
            "template": "create nodes",
            "rrule": "DTSTART;TZID=Europe/Berlin:20260105T070000 RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,TU,WE,TH,FR",
            "words": {"cluster": "fargle", "role": "worker", "count": 20},
        }
    ],
}

Tasks = list[dict[str, t.Any]]
Data = dict[str, t.Any]


class Call(t.NamedTuple):
    """One call of a module: which task makes it, and the arguments it is given."""

    task: str
    module: str
    arguments: dict[str, t.Any]


def load(path: Path) -> t.Any:
    """A file as Ansible reads it: !unsafe stays what it is, everything else may be a template."""
    loader = DataLoader()
    # ansible-core 2.19 and newer fill in only what they are told to trust.
    trust = {"trusted_as_template": True} if "trusted_as_template" in inspect.signature(loader.load_from_file).parameters else {}
    return loader.load_from_file(str(path), **trust)


def calls(tasks: Tasks, data: Data, said: t.Mapping[str, t.Any]) -> t.Iterator[Call]:
    """What the tasks call, in order, with the templates filled in."""
    play = load(PLAYBOOK)[0]
    variables = {**play["vars"], **data, **said, "omit": OMIT}
    for task in tasks:
        module = next(key for key in task if key.startswith(modules.PREFIX))
        loop = Templar(loader=DataLoader(), variables=variables).template(task["loop"]) if "loop" in task else [None]
        for item in loop:
            templar = Templar(loader=DataLoader(), variables={**variables, "item": item})
            given = {key: templar.template(value) for key, value in task[module].items()}
            # As the module gets it, over a pipe: plain values.
            plain = json.loads(json.dumps(given))
            yield Call(task["name"], module, {key: value for key, value in plain.items() if value != OMIT})


def problems(tasks: Tasks, data: Data, said: t.Mapping[str, t.Any] = SAID) -> list[str]:
    """Whatever awx.awx, AWX or the playbooks would not understand of these tasks and this data; a template that cannot be filled in, too."""
    try:
        return [*_data_problems(data), *(text for call in calls(tasks, data, said) for text in _call_problems(call))]
    except Exception as error:  # of Jinja, of Ansible's templating and of what looks at its results: a mutated file may break any of it
        return [f"{type(error).__name__}: {error}"]


def _call_problems(call: Call) -> list[str]:
    given = call.arguments
    found = modules.problems(call.module, given)
    if call.module == "awx.awx.credential_type":
        found += credential_types.problems(given["inputs"], given["injectors"])
    if call.module == "awx.awx.job_template":
        found += survey.spec_problems(given["survey_spec"])
    return [f"{call.task}: {given.get('name')}: {text}" for text in found]


def _data_problems(data: Data) -> t.Iterator[str]:
    if data.keys() != {"configure_awx_credential_types", "configure_awx_templates"}:
        yield f"the data is {', '.join(data)}"
        return
    for known, entries in ((TYPE, data["configure_awx_credential_types"]), (TEMPLATE, data["configure_awx_templates"])):
        for entry in entries:
            yield from (f"{entry.get('name')}: {key}: one too many, or missing" for key in sorted(known ^ entry.keys()))
    for template in data["configure_awx_templates"]:
        yield from _words_problems(template)


def _words_problems(template: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Every word of the playbook is asked for or left out, and nothing else is."""
    asked, left_out, taken = {question["variable"] for question in template["questions"]}, template["left_out"], words(str(template["playbook"]))
    yield from (f"{template['name']}: {word} is no word of {template['playbook']}" for word in sorted((asked | left_out.keys()) - taken))
    yield from (f"{template['name']}: nothing is said of {word}" for word in sorted(taken - asked - left_out.keys()))
    yield from (f"{template['name']}: {word} is asked for and left out" for word in sorted(asked & left_out.keys()))
    yield from (f"{template['name']}: {word}: why?" for word, why in left_out.items() if not (isinstance(why, str) and why))


def words(playbook: str, *tasks: str) -> set[str]:
    """The words a playbook takes, with files of tasks beside it: what it gives a default of nothing, which its head must name too."""
    text = "".join((ROOT / path).read_text() for path in (playbook, *tasks))
    taken = set(re.findall(r"(?:\{\{|-) (\w+) \| default\(''\)", text))
    head = re.search(r"^# Words: ([^.]+)\.", text, re.MULTILINE)
    assert head, f"{playbook} does not say its words"
    named = set(re.sub(r"\n# ", " ", head[1]).split())
    assert named == taken, f"{playbook} names {named ^ taken} in one place only"
    return taken
