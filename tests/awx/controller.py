# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for AWX 24.6.1's API on a loopback address: what awx.awx asks of it when job templates are made, and launches.

It keeps what it is told and refuses what AWX refuses: unknown filters, wrong types, missing fields, names that are taken, ids of nothing, playbooks that
the project does not have, surveys and credential types by their own rules, two credentials of one type, schedules without what AWX wants of a rule. Fields
that AWX does not know it would ignore; here they are refused, too, so that a wrong one shows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from . import credential_types, survey

Item = dict[str, t.Any]
VERSION = "24.6.1"
SECRET = "$encrypted$"
PLAY = re.compile(r"^\s*?-?\s*?(?:hosts|(ansible\.builtin\.)?import_playbook):\s*?.*?$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Field:
    """What may be in a field: kind is a type, or the endpoint that an id is of; texts may be null, which is blank unless nullable."""

    kind: t.Union[type, str] = str
    needed: bool = False
    choices: tuple[t.Any, ...] = ()
    default: t.Any = None
    nullable: bool = False

    @property
    def blank(self) -> t.Any:
        """What it is when nobody says."""
        if self.nullable:
            return None
        return self.default if self.default is not None else {str: "", bool: False, int: 0, dict: {}}.get(t.cast("type", self.kind))

    def problem(self, value: t.Any, known: t.Mapping[str, t.Mapping[int, Item]]) -> str:
        """Why AWX would not take a value, or nothing."""
        if isinstance(self.kind, str):
            return (
                ""
                if value is None and not self.needed or (type(value) is int and value in known[self.kind])
                else f'Invalid pk "{value}" - object does not exist.'
            )
        if value is None and self.kind is not dict and not self.needed:
            return ""
        if type(value) is not self.kind or (self.needed and value == ""):
            return f"{value!r} is not a {self.kind.__name__}."
        return "" if not self.choices or value in self.choices else f'"{value}" is not a valid choice.'


NAMED = {"name": Field(needed=True), "description": Field()}
TRUE, FALSE, NUMBER, TEXT = Field(bool, default=True), Field(bool), Field(int), Field()
ASKS: tuple[str, ...] = ("diff_mode", "variables", "limit", "tags", "skip_tags", "job_type", "verbosity", "inventory", "credential", "execution_environment")
ASKS += ("forks", "instance_groups", "job_slice_count", "labels", "timeout", "scm_branch")
# Endpoint to its fields that can be written.
FIELDS: dict[str, dict[str, Field]] = {
    "organizations": {**NAMED, "max_hosts": NUMBER, "default_environment": Field("execution_environments")},
    "execution_environments": {
        **NAMED,
        "organization": Field("organizations"),
        "image": Field(needed=True),
        "credential": Field("credentials"),
        "pull": Field(choices=("", "always", "missing", "never")),
    },
    "projects": {
        **NAMED,
        "organization": Field("organizations"),
        "scm_type": Field(choices=("", "git", "svn", "insights", "archive")),
        **dict.fromkeys(("scm_url", "scm_branch", "scm_refspec", "local_path"), TEXT),
        **dict.fromkeys(("scm_clean", "scm_delete_on_update", "scm_track_submodules", "scm_update_on_launch", "allow_override"), FALSE),
        **dict.fromkeys(("scm_update_cache_timeout", "timeout"), NUMBER),
        "credential": Field("credentials"),
        "signature_validation_credential": Field("credentials"),
        "default_environment": Field("execution_environments"),
    },
    "inventories": {
        **NAMED,
        "organization": Field("organizations", needed=True),
        "kind": Field(choices=("", "smart", "constructed")),
        "host_filter": Field(nullable=True),
        "variables": TEXT,
        "prevent_instance_group_fallback": FALSE,
    },
    "hosts": {**NAMED, "inventory": Field("inventories", needed=True), "enabled": TRUE, "variables": TEXT},
    "credential_types": {**NAMED, "kind": Field(needed=True, choices=("net", "cloud")), "inputs": Field(dict), "injectors": Field(dict), "managed": FALSE},
    "credentials": {**NAMED, "organization": Field("organizations"), "credential_type": Field("credential_types", needed=True), "inputs": Field(dict)},
    "job_templates": {
        **NAMED,
        # Read-only in AWX, which takes it from the project; the module sends it all the same.
        "organization": Field("organizations"),
        "job_type": Field(choices=("run", "check"), default="run"),
        "inventory": Field("inventories"),
        "project": Field("projects", needed=True),
        "execution_environment": Field("execution_environments"),
        **dict.fromkeys(("playbook", "scm_branch", "limit", "extra_vars", "job_tags", "skip_tags", "start_at_task", "host_config_key"), TEXT),
        **dict.fromkeys(("forks", "timeout"), NUMBER),
        "verbosity": Field(int, choices=(0, 1, 2, 3, 4, 5)),
        "job_slice_count": Field(int, default=1),
        **{f"ask_{word}_on_launch": FALSE for word in ASKS},
        **dict.fromkeys(
            ("force_handlers", "use_fact_cache", "survey_enabled", "become_enabled", "diff_mode", "allow_simultaneous", "prevent_instance_group_fallback"),
            FALSE,
        ),
        "webhook_service": Field(choices=("", "github", "gitlab")),
        "webhook_credential": Field("credentials"),
    },
    "schedules": {
        **NAMED,
        "unified_job_template": Field("job_templates", needed=True),
        "rrule": Field(needed=True),
        "extra_data": Field(dict),
        "enabled": TRUE,
        "inventory": Field("inventories"),
        "execution_environment": Field("execution_environments"),
        **dict.fromkeys(("scm_branch", "job_tags", "skip_tags", "limit"), TEXT),
        "job_type": Field(choices=("", "run", "check")),
        "diff_mode": FALSE,
        **dict.fromkeys(("forks", "job_slice_count", "timeout"), NUMBER),
        "verbosity": Field(int, choices=(0, 1, 2, 3, 4, 5)),
    },
}
# What a name is unique in.
SCOPE = {
    "hosts": "inventory",
    "credentials": "credential_type",
    "credential_types": "",
    "execution_environments": "",
    "organizations": "",
    "schedules": "unified_job_template",
}
AMAZON = {
    "name": "Amazon Web Services",
    "kind": "cloud",
    "managed": True,
    "inputs": {
        "fields": [
            {"id": "username", "label": "Access Key"},
            {"id": "password", "label": "Secret Key", "secret": True},
            {"id": "security_token", "label": "STS Token", "secret": True},
        ],
        "required": ["username", "password"],
    },
    "injectors": {},
}


class Refused(Exception):
    """AWX says no: a status, and what it says."""

    def __init__(self, status: int, body: t.Any) -> None:
        super().__init__(body)
        self.status, self.body = status, body


class Controller:
    """What AWX keeps. checkouts: by the URL of a project the folder that its repository is in."""

    def __init__(self, token: str, checkouts: t.Mapping[str, Path]) -> None:
        self.token, self.checkouts = token, checkouts
        self.items: dict[str, dict[int, Item]] = {endpoint: {} for endpoint in FIELDS}
        self.surveys: dict[int, t.Any] = {}
        self.attached: dict[int, list[int]] = {}
        self.secrets: dict[int, dict[str, t.Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.url = ""
        self._keep("organizations", {"name": "Default"})
        self._keep("credential_types", AMAZON)

    def named(self, endpoint: str, name: str) -> Item:
        """The one item of a name."""
        (found,) = (item for item in self.items[endpoint].values() if item["name"] == name)
        return found

    @property
    def changes(self) -> list[tuple[str, str]]:
        """The requests that were not just asking."""
        return [request for request in self.requests if request[0] != "GET"]

    def answer(self, method: str, path: str, query: t.Mapping[str, str], body: t.Any) -> tuple[int, t.Any]:
        """Answer one request below /api/v2/."""
        parts = path.strip("/").split("/")
        endpoint, rest = parts[0], parts[1:]
        if endpoint == "unified_job_templates" and method == "GET" and not rest:
            return 200, self._list("job_templates", query)
        if endpoint == "project_updates":
            return 200, {"id": int(rest[0]), "status": "successful", "finished": "now", "failed": False}
        if endpoint not in FIELDS:
            raise Refused(404, {"detail": "Not found."})
        if not rest:
            return (200, self._list(endpoint, query)) if method == "GET" else (201, self._create(endpoint, body))
        item = self.items[endpoint].get(int(rest[0]))
        if item is None:
            raise Refused(404, {"detail": "Not found."})
        if len(rest) == 1:
            return 200, item if method == "GET" else self._change(endpoint, item, body)
        return self._below(endpoint, item, rest[1], method, body)

    def _below(self, endpoint: str, item: Item, part: str, method: str, body: t.Any) -> tuple[int, t.Any]:
        """What belongs to a job template."""
        if (endpoint, part) == ("job_templates", "survey_spec"):
            return (200, self.surveys.get(item["id"], {})) if method == "GET" else self._survey(item, body)
        if (endpoint, part) == ("job_templates", "credentials"):
            attached = self.attached.setdefault(item["id"], [])
            if method == "GET":
                return 200, _page([self.items["credentials"][number] for number in attached])
            return self._attach(attached, body)
        if (endpoint, part, method) == ("job_templates", "launch", "POST"):
            return 201, self._launch(item, body)
        raise Refused(404, {"detail": "Not found."})

    def _survey(self, item: Item, body: t.Any) -> tuple[int, t.Any]:
        if found := survey.spec_problems(body):
            raise Refused(400, {"error": "; ".join(found)})
        self.surveys[item["id"]] = body
        return 200, {}

    def _attach(self, attached: list[int], body: Item) -> tuple[int, t.Any]:
        number = body.get("id", 0)
        if number not in self.items["credentials"]:
            raise Refused(400, {"detail": f"Invalid pk {number}"})
        if body.get("disassociate"):
            attached.remove(number)
            return 204, None
        kind = self.items["credentials"][number]["credential_type"]
        if any(self.items["credentials"][other]["credential_type"] == kind for other in attached):
            raise Refused(400, {"error": f"Cannot assign multiple {self.items['credential_types'][kind]['name']} credentials."})
        attached.append(number)
        return 204, None

    def _launch(self, item: Item, body: Item) -> Item:
        """A job: its extra variables, and what its template asks to be said at launch and nothing else."""
        for word in body.keys() - {"extra_vars"}:
            if not item.get(f"ask_{word}_on_launch"):
                raise Refused(400, {word: "Field is not configured to prompt on launch."})
        answers = body.get("extra_vars", {})
        spec = self.surveys.get(item["id"]) if item["survey_enabled"] else None
        more = item["ask_variables_on_launch"]
        if found := survey.answer_problems(spec or {"spec": []}, answers, more=more):
            raise Refused(400, {"variables_needed_to_start": found})
        return {"extra_vars": json.dumps(survey.variables(spec or {"spec": []}, answers))}

    def _list(self, endpoint: str, query: t.Mapping[str, str]) -> Item:
        for key in query:
            if key.removeprefix("or__") not in ("id", *FIELDS[endpoint]):
                raise Refused(400, {"detail": f"{key} is not a field that can be filtered by."})
        alone = {key: value for key, value in query.items() if not key.startswith("or__")}
        any_of = {key.removeprefix("or__"): value for key, value in query.items() if key.startswith("or__")}
        found = [item for item in self.items[endpoint].values() if all(str(item[key]) == value for key, value in alone.items())]
        return _page([item for item in found if not any_of or any(str(item[key]) == value for key, value in any_of.items())])

    def _create(self, endpoint: str, body: Item) -> Item:
        missing = {key: ["This field is required."] for key, field in FIELDS[endpoint].items() if field.needed and key not in body}
        if missing:
            raise Refused(400, missing)
        self._check(endpoint, {}, body)
        return self._keep(endpoint, body)

    def _change(self, endpoint: str, item: Item, body: Item) -> Item:
        if item.get("managed"):
            raise Refused(403, {"detail": "It is AWX's own."})
        self._check(endpoint, item, body)
        before = dict(item)
        item.update(self._stored(endpoint, item, body))
        scm = any(before[key] != item[key] for key in ("scm_url", "scm_branch")) if endpoint == "projects" else False
        return self._shown(item, updating=scm)

    def _check(self, endpoint: str, item: Item, body: Item) -> None:
        fields = FIELDS[endpoint]
        wrong = {key: ["is not a field."] for key in body if key not in fields}
        wrong.update({key: [text] for key, value in body.items() if key in fields and (text := fields[key].problem(value, self.items))})
        if wrong:
            raise Refused(400, wrong)
        whole = {**{key: field.blank for key, field in fields.items()}, **item, **body}
        scope = SCOPE.get(endpoint, "organization")
        for other in self.items[endpoint].values():
            if other["id"] != item.get("id") and other["name"] == whole["name"] and (not scope or other[scope] == whole[scope]):
                raise Refused(400, {"__all__": [f"{endpoint} with this name already exists."]})
        rule = getattr(self, f"_check_{endpoint}", None)
        if rule and (found := rule(whole)):
            raise Refused(400, found)

    def _check_credential_types(self, whole: Item) -> Item:
        found = credential_types.problems(whole["inputs"], whole["injectors"])
        return {"inputs": found} if found else {}

    def _check_credentials(self, whole: Item) -> Item:
        inputs = self.items["credential_types"][whole["credential_type"]]["inputs"]
        fields = {field["id"]: field for field in inputs["fields"]}
        found = [f"{key}: Additional properties are not allowed" for key in whole["inputs"] if key not in fields]
        found += [f"{key} required" for key in inputs.get("required", []) if not whole["inputs"].get(key)]
        return {"inputs": found} if found else {}

    def _check_inventories(self, whole: Item) -> Item:
        return _json_problem(whole)

    def _check_hosts(self, whole: Item) -> Item:
        return _json_problem(whole)

    def _check_projects(self, whole: Item) -> Item:
        if whole["scm_type"] and whole["scm_url"] not in self.checkouts:
            return {"scm_url": ["Invalid SCM URL."]}
        return {"scm_refspec": ["can only be used with git projects."]} if whole["scm_refspec"] and whole["scm_type"] != "git" else {}

    def _check_job_templates(self, whole: Item) -> Item:
        project = self.items["projects"][whole["project"]]
        if whole["playbook"] not in playbooks(self.checkouts[project["scm_url"]]):
            return {"playbook": ["Playbook not found for project."]}
        if whole["inventory"] is None and not whole["ask_inventory_on_launch"]:
            return {"inventory": ["You must either set a default value or ask to prompt on launch."]}
        return {"scm_branch": ["Project does not allow overriding branch."]} if whole["scm_branch"] and not project["allow_override"] else {}

    def _check_schedules(self, whole: Item) -> Item:
        template = self.items["job_templates"][whole["unified_job_template"]]
        spec = self.surveys.get(template["id"], {"spec": []})
        if found := survey.answer_problems(spec, whole["extra_data"], more=template["ask_variables_on_launch"]):
            return {"variables_needed_to_start": found}
        found = rule_problems(whole["rrule"])
        return {"rrule": found} if found else {}

    def _keep(self, endpoint: str, body: Item) -> Item:
        number = sum(map(len, self.items.values())) + 1
        item: Item = {"id": number, "type": endpoint.rstrip("s"), "url": f"/api/v2/{endpoint}/{number}/"}
        item.update({key: field.blank for key, field in FIELDS[endpoint].items()})
        item["related"] = {"survey_spec": f"{item['url']}survey_spec/"} if endpoint == "job_templates" else {}
        item["summary_fields"] = {}
        if endpoint == "projects":
            item["scm_revision"] = ""
        self.items[endpoint][number] = item
        item.update(self._stored(endpoint, item, body))
        return self._shown(item, updating=endpoint == "projects")

    def _stored(self, endpoint: str, item: Item, body: Item) -> Item:
        """A body as it is kept: null texts are blank, secrets are shown to nobody, and what stands for one leaves it as it is."""
        fields = FIELDS[endpoint]
        stored = {key: fields[key].blank if value is None else value for key, value in body.items()}
        if endpoint == "credentials" and "inputs" in stored:
            kind = self.items["credential_types"][{**item, **stored}["credential_type"]]
            secret = {field["id"] for field in kind["inputs"]["fields"] if field.get("secret")}
            kept = self.secrets.setdefault(item["id"], {})
            kept.update({key: value for key, value in stored["inputs"].items() if value != SECRET})
            stored["inputs"] = {key: SECRET if key in secret else value for key, value in stored["inputs"].items()}
        return stored

    def _shown(self, item: Item, *, updating: bool) -> Item:
        """An item as the answer to its change has it: a project says which update it has begun."""
        return {**item, "summary_fields": {"current_update": {"id": item["id"]}} if updating else {}}


def playbooks(checkout: Path) -> set[str]:
    """What AWX finds in a project, by its rule: files of plays, no links followed, nothing below roles, tasks, or anything hidden."""
    found = set()
    for folder, folders, names in os.walk(checkout):
        folders[:] = [name for name in folders if name not in ("roles", "tasks", "group_vars", "host_vars") and not name.startswith(".")]
        for path in (Path(folder, name) for name in names if name.endswith((".yml", ".yaml"))):
            if PLAY.search(path.read_text(errors="replace")):
                found.add(str(path.relative_to(checkout)))
    return found


def rule_problems(text: str) -> list[str]:
    """Why AWX would not take a schedule's rule."""
    begins = re.findall(r"DTSTART(?:;TZID=[^:]+:[0-9]{8}T[0-9]{6}|:[0-9]{8}T[0-9]{6}Z)(?= |$)", text)
    rules = re.findall(r"RRULE:(\S+)", text)
    found = [] if len(begins) == 1 and text.count("DTSTART") == 1 else ["Valid DTSTART required in rrule."]
    found += [] if rules else ["One or more rule required in rrule."]
    found += [f"{word} not allowed in rrule." for word in ("EXDATE", "RDATE") if word in text]
    for rule in rules:
        parts = dict(part.partition("=")[::2] for part in rule.split(";"))
        found += [] if "INTERVAL" in parts else ["INTERVAL required in rrule"]
        found += ["SECONDLY is not supported"] if parts.get("FREQ") == "SECONDLY" else []
        found += [] if parts.get("FREQ") in ("SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY") else ["rrule parsing failed validation"]
        found += ["BYDAY with numeric prefix not supported"] if re.search(r"[0-9][A-Z]{2}", parts.get("BYDAY", "")) else []
        found += ["RRULE may not contain both COUNT and UNTIL"] if {"COUNT", "UNTIL"} <= parts.keys() else []
        found += ["COUNT > 999 is unsupported"] if int(parts.get("COUNT", 0)) > 999 else []
    return found


def _json_problem(whole: Item) -> Item:
    try:
        return {} if isinstance(json.loads(whole["variables"] or "{}"), dict) else {"variables": ["Cannot parse as JSON."]}
    except ValueError:
        return {"variables": ["Cannot parse as JSON."]}


def _page(results: list[Item]) -> Item:
    return {"count": len(results), "next": None, "previous": None, "results": results}


@contextlib.contextmanager
def running(controller: Controller) -> t.Iterator[Controller]:
    """The controller behind HTTP, on a free port of 127.0.0.1; its url is where."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size) or "{}")
            split = urlsplit(self.path)
            controller.requests.append((self.command, split.path))
            try:
                status, answer = self._answer(split.path, dict(parse_qsl(split.query)), body)
            except Refused as refused:
                status, answer = refused.status, refused.body
            data = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in (("Content-Type", "application/json"), ("X-API-Product-Name", "AWX"), ("X-API-Product-Version", VERSION)):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _answer(self, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
            if self.headers.get("Authorization") != f"Bearer {controller.token}":
                raise Refused(401, {"detail": "Authentication credentials were not provided."})
            if not path.startswith("/api/v2/") or not path.endswith("/"):
                raise Refused(404, {"detail": "Not found."})
            return controller.answer(self.command, path.removeprefix("/api/v2/"), query, body)

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815 the names that the base class looks for

        def log_message(self, format: str, *args: t.Any) -> None:  # noqa: A002 the base class calls it so
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        controller.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield controller
        finally:
            server.shutdown()
            thread.join()
