# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Surveys as AWX 24.6.1 takes them: what it refuses when one is stored, what when a job is launched, and the variables that a job gets."""

from __future__ import annotations

import keyword
import re
import typing as t

from ansible.vars.reserved import get_reserved_names

Spec = t.Mapping[str, t.Any]
Question = t.Mapping[str, t.Any]

# The types of questions, and of their defaults.
TYPES: dict[str, type] = {"text": str, "textarea": str, "password": str, "multiplechoice": str, "multiselect": str, "integer": int, "float": float}
TEXTS = ("text", "textarea", "password")
CHOICES = ("multiplechoice", "multiselect")
NEEDED = {"variable": str, "question_name": str, "type": str, "required": bool}
ALLOWED = {*NEEDED, "question_description", "default", "choices", "min", "max"}
# AWX gives every job variables of its own that begin so.
TAKEN = re.compile(r"(awx|tower|ansible)_")


def spec_problems(spec: t.Any) -> list[str]:
    """Why AWX would not store a survey. Keys that it does not know it would store and never look at; here they are problems, too."""
    if not isinstance(spec, dict):
        return ["a survey is an object"]
    problems = [f"{key}: is not known" for key in spec if key not in ("name", "description", "spec")]
    problems += [f"{key}: a text is needed" for key in ("name", "description") if not isinstance(spec.get(key), str)]
    questions = spec.get("spec")
    if not isinstance(questions, list) or not questions:
        return [*problems, "spec: a list with at least one question is needed"]
    seen: set[str] = set()
    for number, question in enumerate(questions):
        problems += [f"question {number}: {text}" for text in _question_problems(question)]
        variable = question.get("variable") if isinstance(question, dict) else None
        if variable in seen:
            problems.append(f"question {number}: variable {variable} is asked for twice")
        seen.add(str(variable))
    return problems


def _question_problems(question: t.Any) -> list[str]:
    if not isinstance(question, dict):
        return ["is not an object"]
    problems = [f"{key}: is not known" for key in question if key not in ALLOWED]
    problems += [f"{key}: {kind.__name__} is needed" for key, kind in NEEDED.items() if type(question.get(key)) is not kind]
    problems += [f"{key}: a whole number is needed" for key in ("min", "max") if type(question.get(key)) not in (int, type(None))]
    if not isinstance(question.get("question_description", ""), str):
        problems.append("question_description: a text is needed")
    if problems:
        return problems
    if question["type"] not in TYPES:
        return [f"type: {question['type']} is none of {', '.join(TYPES)}"]
    return [*_variable_problems(question["variable"]), *_choices_problems(question), *_default_problems(question)]


def _variable_problems(name: str) -> t.Iterator[str]:
    """AWX takes any text here and Ansible only what can be a variable."""
    if not name.isascii() or not name.isidentifier() or keyword.iskeyword(name) or name in get_reserved_names() or TAKEN.match(name):
        yield f"variable: {name!r} cannot be a variable of a play"


def _choices_problems(question: Question) -> t.Iterator[str]:
    choices = question.get("choices")
    if question["type"] in CHOICES and not choices:
        yield "choices: are needed"
    if choices is not None and not (isinstance(choices, list) and all(isinstance(choice, str) and choice.strip() for choice in choices)):
        # A text with a choice on each line is taken too, and comes back as something else: the next run would store it again.
        yield "choices: a list of texts is needed"


def _default_problems(question: Question) -> t.Iterator[str]:
    default = question.get("default", "")
    if default == "":
        return
    if type(default) is not TYPES[question["type"]]:
        yield f"default: {default!r} is not of the question's type"
    elif default == "$encrypted$":
        yield "default: $encrypted$ is AWX's own word"
    else:
        yield from (f"default: {text}" for text in _answer_problems(question, str(default).splitlines() if question["type"] == "multiselect" else default))


def answer_problems(spec: Spec, answers: t.Mapping[str, t.Any], *, more: bool = False) -> list[str]:
    """Why AWX would not launch a job with these answers. more: the template lets further variables be given."""
    questions = {question["variable"]: question for question in spec["spec"]}
    problems = [f"'{name}' value missing" for name, question in questions.items() if question["required"] and name not in answers]
    problems += [f"{name}: {text}" for name in questions.keys() & answers.keys() for text in _answer_problems(questions[name], answers[name])]
    if not more:
        problems += [f"{name}: is not asked for" for name in answers.keys() - questions.keys()]
    return sorted(problems)


def _answer_problems(question: Question, answer: t.Any) -> list[str]:
    kind = question["type"]
    if kind == "multiselect":
        return [f"{one!r} is no choice" for one in answer if one not in question["choices"]] if isinstance(answer, list) else ["a list is needed"]
    if kind == "multiplechoice":
        return [] if answer in question["choices"] else [f"{answer!r} is no choice"]
    kinds = (str,) if kind in TEXTS else (int,) if kind == "integer" else (int, float)
    if type(answer) not in kinds:
        return [f"{answer!r} is of the wrong type"]
    size = len(answer) if kind in TEXTS else answer
    low, high = question.get("min"), question.get("max")
    return [f"{answer!r} is too {word}" for word, wrong in (("small", low is not None and size < low), ("large", high is not None and size > high)) if wrong]


def variables(spec: Spec, answers: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The extra variables of a job: the defaults that are answers themselves, then the answers."""
    defaults = {question["variable"]: question["default"] for question in spec["spec"] if "default" in question and not _default_refused(question)}
    return {**defaults, **answers}


def _default_refused(question: Question) -> bool:
    return bool(_answer_problems(question, question["default"]))
