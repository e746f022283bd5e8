# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request asks for: its route, its parameters, and the name the ledger knows it by."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from werkzeug.wrappers import Request

from ..http import Operation
from . import errors
from .resources import BY_PATH, PODS, Resource
from .schema import decode_options

SAFE = ("get", "list", "watch")
SUBRESOURCES = {"status": ("get", "update", "patch"), "eviction": ("create",), "binding": ("create",)}
# Paths outside the resources → operation name.
PLAIN = {"/version": "get_version", "/livez": "get_livez", "/readyz": "get_readyz", "/healthz": "get_healthz"}


@dataclasses.dataclass(frozen=True)
class Route:
    """A resource request: verb is the API's word (list, deletecollection, ...)."""

    verb: str
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def plural(self) -> str:
        """resource or resource/subresource."""
        return f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural


def _verb(method: str, name: str, watching: bool) -> str:
    if method == "GET":
        return "get" if name else "watch" if watching else "list"
    if method == "DELETE":
        return "delete" if name else "deletecollection"
    return {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(method, "")


def _split(path: str) -> tuple[str, str, list[str]]:
    """(group, version, rest) of a path; 404 when it is none."""
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 3 and parts[0] == "api":
        return "", parts[1], parts[2:]
    if len(parts) >= 4 and parts[0] == "apis":
        return parts[1], parts[2], parts[3:]
    raise errors.path_not_found()


def route(request: Request) -> Route:
    """The route of a resource request, or 404/405."""
    group, version, rest = _split(request.path)
    namespace = ""
    if len(rest) >= 3 and rest[0] == "namespaces" and (group, version, rest[2]) in BY_PATH and BY_PATH[(group, version, rest[2])].namespaced:
        namespace, rest = rest[1], rest[2:]
    resource = BY_PATH.get((group, version, rest[0]))
    if resource is None or len(rest) > 3:
        raise errors.path_not_found()
    name, subresource = [*rest[1:], "", ""][:2]
    verb = _verb(request.method, name, request.args.get("watch") in ("1", "true"))
    if subresource == "status" and not resource.has_status:
        raise errors.path_not_found()
    if subresource in ("eviction", "binding") and resource is not PODS:
        raise errors.path_not_found()
    if subresource and subresource not in SUBRESOURCES:
        raise errors.path_not_found()
    _check_verb(resource, verb, namespace, name, subresource)
    return Route(verb, resource, namespace, name, subresource)


def _check_verb(resource: Resource, verb: str, namespace: str, name: str, subresource: str) -> None:
    known = SUBRESOURCES[subresource] if subresource else resource.verbs
    if verb not in known or (verb == "create" and bool(name) is not bool(subresource)) or (verb in ("update", "patch") and not name):
        raise errors.method_not_allowed()
    if resource.namespaced and not namespace and (name or verb in ("create", "deletecollection")):
        raise errors.path_not_found() if name else errors.method_not_allowed()


def body_of(request: Request) -> t.Any:
    """The JSON body, None when there is none."""
    data = request.get_data()
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        raise errors.bad_request(f"couldn't get version/kind; json parse error: {error}") from None


def is_dry(request: Request, body: t.Any) -> bool:
    """Whether the request, or its DeleteOptions, asks for a dry run; 422 for a word other than All."""
    words = list(request.args.getlist("dryRun"))
    if isinstance(body, dict):
        sources = [source for source in (body, body.get("deleteOptions")) if isinstance(source, dict)]
        words += [word for source in sources for word in source.get("dryRun") or []]
    kind = "DeleteOptions" if request.method == "DELETE" else "CreateOptions"
    for word in words:
        if word != "All":
            raise errors.invalid(kind, "meta.k8s.io", "", [errors.unsupported("dryRun", word, ["All"])])
    return bool(words)


def delete_options(request: Request, body: t.Any) -> dict[str, t.Any]:
    """DeleteOptions from body and query; the body wins, as with the real server."""
    options: dict[str, t.Any] = {}
    if "gracePeriodSeconds" in request.args:
        options["gracePeriodSeconds"] = int(request.args["gracePeriodSeconds"])
    if "propagationPolicy" in request.args:
        options["propagationPolicy"] = request.args["propagationPolicy"]
    options.update(decode_options(body))
    if options.pop("orphanDependents", False):
        options.setdefault("propagationPolicy", "Orphan")
    policy = options.get("propagationPolicy", "Background")
    if policy not in ("Background", "Foreground", "Orphan"):
        raise errors.invalid("DeleteOptions", "meta.k8s.io", "", [errors.unsupported("propagationPolicy", policy, ("Background", "Foreground", "Orphan"))])
    if is_dry(request, body):
        options["dryRun"] = ["All"]
    return options


def _detail(found: Route, request: Request, cluster: str) -> dict[str, t.Any]:
    detail: dict[str, t.Any] = {"cluster": cluster}
    detail.update({key: text for key, text in (("namespace", found.namespace), ("name", found.name)) if text})
    for key in ("labelSelector", "fieldSelector", "continue", "limit"):
        if request.args.get(key):
            detail[key] = request.args[key]
    if found.verb == "patch" and found.resource.plural == "nodes":
        detail["patch"] = request.get_json(force=True, silent=True)
    return detail


def operation(request: Request, cluster: str) -> Operation:
    """What the ledger calls the request: `<verb>_<resource>`; a dry run changes nothing."""
    plain = PLAIN.get(request.path.rstrip("/").partition("/verbose")[0])
    if plain:
        return Operation(plain, mutating=False, detail={"cluster": cluster})
    try:
        found = route(request)
    except errors.ApiError:
        known = request.method == "GET" and request.path.split("/")[1] in ("api", "apis")
        return Operation("discover" if known else "unknown", mutating=False, detail={"cluster": cluster, "path": request.path})
    detail = _detail(found, request, cluster)
    try:
        dry = is_dry(request, body_of(request))
    except errors.ApiError:
        dry = False
    if dry:
        detail["dry_run"] = True
    asking = found.resource.plural == "selfsubjectaccessreviews"
    return Operation(f"{found.verb}_{found.plural}", mutating=found.verb not in SAFE and not dry and not asking, detail=detail)
