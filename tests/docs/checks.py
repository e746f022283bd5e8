# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is checked of code that is shown and not run: that its options and words exist and take what is given."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import tempfile
import typing as t
from pathlib import Path

import botocore.session
import yaml
from ansible.cli import CLI
from ansible.cli.adhoc import AdHocCLI
from ansible.cli.doc import DocCLI
from ansible.cli.galaxy import GalaxyCLI
from ansible.cli.inventory import InventoryCLI
from ansible.cli.playbook import PlaybookCLI
from ansible.cli.vault import VaultCLI
from ansible.parsing.splitter import parse_kv
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils import _node_config
from botocore import xform_name

from .documented import BIN, COLLECTION, ENVIRONMENT, documentation, module_options, role_options, words, wrong
from .pages import ROOT

PROGRAMS: dict[str, type[CLI]] = {
    "ansible": AdHocCLI,
    "ansible-doc": DocCLI,
    "ansible-galaxy": GalaxyCLI,
    "ansible-inventory": InventoryCLI,
    "ansible-playbook": PlaybookCLI,
    "ansible-vault": VaultCLI,
}
# Words of tasks and plays that hold further tasks.
HOLDERS = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")

Document = t.Any


def shell_problems(text: str) -> list[str]:
    """What is wrong with shell commands: programs nobody knows here, and what they are given."""
    return [f"{' '.join(command)}: {problem}" for command in _commands(text) for problem in _command_problems(command)]


def _commands(text: str) -> list[list[str]]:
    """The simple commands of a shell text: without comments, variables set in front, and redirections."""
    # A comment reaches to the end of its line, so it is taken out before the lines are joined.
    lexer = shlex.shlex(re.sub(r"(^|\s)#.*", "", text).replace("\\\n", " ").replace("\n", " ; "), posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|&;"):
            found.append([])
        elif found[-1] or not re.match(r"\w+=", word):
            found[-1].append(word)
    return [command for command in found if command]


def _command_problems(command: list[str]) -> list[str]:
    program, *given = command
    if program in PROGRAMS:
        return _ansible_problems(program, given)
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return [f"no target {word}" for word in given if "=" not in word and word not in targets]
    if program == "pip":
        files = [name for name in given[2:] if given[:2] == ["install", "-r"]]
        return [] if files and all((ROOT / name).exists() for name in files) else ["only `install -r` with files of the checkout is known here"]
    if program == "aws":
        return _aws_problems(given)
    return [] if program in ("export", "cd") else [f"what {program} takes is not known here: let the block run, or say why not"]


def _ansible_problems(program: str, given: list[str]) -> list[str]:
    """What the program's own parser refuses, then playbooks and modules that are none, and their options."""
    cli = PROGRAMS[program]([program, *given])
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            cli.init_parser()
            options = cli.parser.parse_args(cli.args[1:])
    except SystemExit:
        return [said.getvalue().strip().splitlines()[-1]]
    if program == "ansible-playbook":
        return [text for playbook in options.args for text in _playbook_call_problems(playbook, options.extra_vars)]
    if program == "ansible" and options.module_name.startswith(COLLECTION):
        return wrong(parse_kv(options.module_args), module_options(options.module_name))
    if program == "ansible-doc":
        return [f"{name} is not documented" for name in options.args if name not in documentation(options.type)]
    return []


def _playbook_call_problems(playbook: str, extra: list[t.Any]) -> list[str]:
    """A playbook of the collection, by full name or file, and its words."""
    return _playbook_problems(playbook, {key: value for text in extra if not text.startswith("@") for key, value in parse_kv(text).items()})


def _playbook_problems(playbook: str, given: t.Mapping[str, t.Any]) -> list[str]:
    name = playbook.removeprefix(f"{COLLECTION}.") if playbook.startswith(COLLECTION) else Path(playbook).stem
    if not (ROOT / "playbooks" / f"{name}.yml").exists():
        return [f"there is no playbook {playbook}"]
    known = {**role_options(), **{word: role_options()[option] for word, option in words(name).items()}}
    return wrong({key: value for key, value in given.items() if not key.startswith("ansible_")}, {**known})


def _aws_problems(given: list[str]) -> list[str]:
    """A service, one of its operations, and this one's parameters, as botocore knows them; --no-WORD says false of WORD."""
    service, operation, *rest = given
    session = botocore.session.get_session()
    if service not in session.get_available_services():
        return [f"AWS has no service {service}"]
    model = session.get_service_model(service)
    known = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in known:
        return [f"{service} has no {operation}"]
    parameters = {xform_name(name, "-") for name in model.operation_model(known[operation]).input_shape.members}
    words_given = [word[2:].removeprefix("no-") for word in rest if word.startswith("--")]
    return [f"{operation} has no --{word}" for word in words_given if word not in {*parameters, "query", "output", "region"}]


def yaml_problems(text: str, what: str = "") -> list[str]:
    """What is wrong with YAML: `what` says what it is (node config, vars, inventory); tasks and playbooks speak for themselves."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return [f"not YAML: {error}"]
    judges: dict[str, t.Callable[[], list[str]]] = {
        "": lambda: playbook_problems(document, text),
        "node config": lambda: _node_config.parse(text)[1],
        "vars": lambda: wrong(document, role_options()),
        "inventory": lambda: _inventory_problems(document),
    }
    return judges[what]() if what in judges else [f"what is `{what}`?"]


def playbook_problems(document: Document, text: str) -> list[str]:
    """A playbook must pass Ansible's own syntax check; what is in it, or in a list of tasks, must fit what it is given to."""
    if not isinstance(document, list) or not all(isinstance(one, dict) for one in document):
        return ["neither a playbook nor tasks; say in a comment above what it is"]
    found = [problem for one in document for problem in task_problems(one)]
    return found + (_syntax_problems(text) if any("hosts" in one or "import_playbook" in one for one in document) else [])


def task_problems(task: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with a play or task: options of the collection's modules, variables of its roles; those within included."""
    found = []
    for word, value in task.items():
        if word in HOLDERS:
            found += [problem for inner in value for problem in task_problems(inner)]
        elif word == "roles":
            found += [problem for role in value for problem in _role_problems(role.get("role", ""), role.get("vars", {}))]
        elif word.endswith("import_playbook"):
            found += _playbook_problems(value, task.get("vars", {}))
        elif word.endswith((".include_role", ".import_role")):
            found += _role_problems(value["name"], task.get("vars", {}))
        elif word.startswith(COLLECTION):
            known = word in documentation("module")
            found += wrong(value or {}, module_options(word), f"{word}: ") if known else [f"there is no module {word}"]
    return found


def _role_problems(role: str, given: t.Mapping[str, t.Any]) -> list[str]:
    if not role.startswith(COLLECTION):
        return []
    return wrong(given, role_options(), f"{role}: ") if role in documentation("role") else [f"there is no role {role}"]


def _syntax_problems(text: str) -> list[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write(text)
        file.flush()
        command = [str(BIN / "ansible-playbook"), "--syntax-check", "-i", "localhost,", file.name]
        done = subprocess.run(command, env=ENVIRONMENT, check=False, capture_output=True, text=True)
    return [done.stderr] if done.returncode else []


def _inventory_problems(document: Document) -> list[str]:
    """Variables of hosts and groups, at any depth, are options of the roles or Ansible's own."""
    found = []
    for group in (document or {}).values():
        group = group or {}
        for given in [group.get("vars") or {}, *(variables or {} for variables in (group.get("hosts") or {}).values())]:
            found += wrong({name: value for name, value in given.items() if not name.startswith("ansible_")}, role_options())
        found += _inventory_problems(group.get("children"))
    return found
