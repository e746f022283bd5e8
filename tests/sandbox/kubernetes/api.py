# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP face of one cluster: authentication, authorization, lists with pages, watches, writes, discovery."""

from __future__ import annotations

import base64
import json
import time
import typing as t

from werkzeug.wrappers import Request, Response

from . import access, errors, eviction, patches, schema, selectors
from .cluster import Change, Cluster, Object
from .nodes import bind
from .requests import PLAIN, Route, body_of, delete_options, is_dry, route
from .resources import BY_PATH, PODS, REVIEW, Resource

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Test = selectors.Test
# A watch without timeoutSeconds ends after this long; the real server's default is half an hour to an hour.
WATCH_SECONDS = 1800.0
BOOKMARK_SECONDS = 10.0


def _json(body: t.Any, code: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status=code, content_type="application/json", headers=headers)


def refusal(error: errors.ApiError) -> Response:
    """An error as the client gets it."""
    return _json(error.status(), error.code, error.headers())


def answer(kind: str, _request: Request) -> Response:
    """Injected faults in the API server's own words."""
    if kind == "throttle":
        message = "the server has received too many requests and has asked us to try again later"
        return refusal(errors.ApiError(429, "TooManyRequests", message, {"retryAfterSeconds": 1}))
    return refusal(errors.ApiError(500, "InternalError", "Internal error occurred: etcdserver: request timed out"))


class Api:
    """A WSGI application over one cluster.

    lifetime: seconds a continue token lives (asked for at each use). stopping: ends all watches.
    """

    def __init__(self, cluster: Cluster, ca_pem: str, version: str, lifetime: t.Callable[[], float]) -> None:
        self.cluster = cluster
        self.ca_pem = ca_pem
        self.version = version
        self.lifetime = lifetime
        self.stopping = False
        self._pages: dict[str, tuple[float, int, list[Object]]] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._serve(request)
        except errors.ApiError as error:
            response = refusal(error)
        return response(environ, start_response)

    def _serve(self, request: Request) -> Response:
        user = access.authenticate(request.environ.get("SSL_CLIENT_CERT", ""), self.ca_pem)
        path = request.path.rstrip("/")
        if path in PLAIN:
            return _json(self._version()) if path == "/version" else Response("ok", content_type="text/plain")
        if request.method == "GET" and (found := discovery(path)) is not None:
            return _json(found)
        wanted = route(request)
        with self.cluster.lock:
            if wanted.resource is not REVIEW and not access.allowed(self.cluster, user, wanted.verb, wanted.resource.group, wanted.plural):
                raise errors.forbidden(user.name, wanted.verb, wanted.resource, wanted.subresource, wanted.namespace, wanted.name)
            return t.cast("Response", getattr(self, f"_{wanted.verb}")(wanted, request, user))

    def _version(self) -> dict[str, str]:
        major, minor = self.version.removeprefix("v").split(".")[:2]
        build = {"gitCommit": "0" * 40, "gitTreeState": "clean", "buildDate": "2025-08-13T00:00:00Z", "goVersion": "go1.24.6", "compiler": "gc"}
        return {"major": major, "minor": minor, "gitVersion": self.version, **build, "platform": "linux/amd64"}

    # Reading

    def _get(self, wanted: Route, _request: Request, _user: access.User) -> Response:
        return _json(self.cluster.get(wanted.resource, wanted.namespace, wanted.name))

    def _list(self, wanted: Route, request: Request, _user: access.User) -> Response:
        token = request.args.get("continue", "")
        version, items = self._page(token) if token else (self.cluster.version, self._chosen(wanted, request))
        limit = int(request.args.get("limit") or 0)
        metadata: Object = {"resourceVersion": str(version)}
        if limit and len(items) > limit:
            metadata.update({"continue": self._keep(version, items[limit:]), "remainingItemCount": len(items) - limit})
            items = items[:limit]
        return _json(_list_of(wanted.resource, items, metadata))

    def _chosen(self, wanted: Route, request: Request) -> list[Object]:
        accepts = _tests(wanted.resource, request)
        return [obj for obj in self.cluster.list(wanted.resource, wanted.namespace) if accepts(obj)]

    def _keep(self, version: int, rest: list[Object]) -> str:
        """A continue token: later pages show the objects as they were when the first was made."""
        first = rest[0]["metadata"]
        token = base64.urlsafe_b64encode(json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": first["name"], "n": len(self._pages)}).encode()).decode()
        self._pages[token] = (time.monotonic(), version, rest)
        return token

    def _page(self, token: str) -> tuple[int, list[Object]]:
        if token not in self._pages:
            raise errors.bad_request("continue key is not valid: illegal base64 data")
        made, version, items = self._pages[token]
        if time.monotonic() > made + self.lifetime() or version < self.cluster.compacted:
            raise errors.expired_continue()
        return version, items

    def _watch(self, wanted: Route, request: Request, _user: access.User) -> Response:
        accepts = _tests(wanted.resource, request)
        given = request.args.get("resourceVersion", "")
        start = int(given) if given not in ("", "0") else self.cluster.version
        initial: list[bytes] = []
        if given in ("", "0"):
            initial = [_event("ADDED", obj) for obj in self.cluster.list(wanted.resource, wanted.namespace) if accepts(obj)]
        if request.args.get("sendInitialEvents") == "true":
            initial.append(_event("BOOKMARK", _bookmark(wanted.resource, start, initial_end=True)))
        seconds = float(request.args.get("timeoutSeconds") or WATCH_SECONDS)
        bookmarks = request.args.get("allowWatchBookmarks") in ("1", "true")
        stream = self._stream(wanted, accepts, start, initial, time.monotonic() + seconds, bookmarks)
        return Response(stream, content_type="application/json")

    def _stream(self, wanted: Route, accepts: Test, seen: int, initial: list[bytes], end: float, bookmarks: bool) -> t.Iterator[bytes]:
        """Events until the end; each loop waits for changes without holding anything up."""
        yield from initial
        marked = time.monotonic()
        while not self.stopping:
            with self.cluster.lock:
                if seen < self.cluster.compacted:
                    yield _event("ERROR", errors.too_old(seen, self.cluster.compacted).status())
                    return
                fresh = [change for change in self.cluster.log if change.version > seen]
                now = time.monotonic()
                if not fresh and now < end:
                    self.cluster.changed.wait(min(end - now, BOOKMARK_SECONDS, 0.5))
            for change in fresh:
                if change.plural == wanted.resource.plural and (kind := _seen_as(change, wanted.namespace, accepts)):
                    yield _event(kind, change.obj)
            # What came while waiting is read in the next loop.
            seen = fresh[-1].version if fresh else seen
            due = time.monotonic() >= end
            if bookmarks and (due or time.monotonic() > marked + BOOKMARK_SECONDS):
                marked = time.monotonic()
                yield _event("BOOKMARK", _bookmark(wanted.resource, seen))
            if due:
                return

    # Writing

    def _create(self, wanted: Route, request: Request, user: access.User) -> Response:
        body = body_of(request)
        dry = is_dry(request, body)
        if wanted.resource is REVIEW:
            return _json(self._review(body, user), 201)
        if wanted.subresource == "eviction":
            eviction.evict(self.cluster, wanted.namespace, wanted.name, body or {}, dry_run=dry)
            return _json(_success(), 201)
        if wanted.subresource == "binding":
            return self._bind(wanted, body or {})
        obj = schema.decode(wanted.resource, body)
        return _json(self.cluster.create(wanted.resource, wanted.namespace, obj, dry_run=dry), 201)

    def _bind(self, wanted: Route, body: Object) -> Response:
        pod = self.cluster.get(PODS, wanted.namespace, wanted.name)
        if pod["spec"].get("nodeName"):
            raise errors.conflict(PODS, wanted.name, f'pod {wanted.name} is already assigned to node "{pod["spec"]["nodeName"]}"', what="pods/binding")
        bind(self.cluster, pod, (body.get("target") or {}).get("name", ""))
        return _json(_success(), 201)

    def _review(self, body: Object, user: access.User) -> Object:
        """SelfSubjectAccessReview: may I?"""
        review = schema.decode(REVIEW, body)
        asked = (review.get("spec") or {}).get("resourceAttributes") or {}
        plural = asked.get("resource", "") + (f"/{asked['subresource']}" if asked.get("subresource") else "")
        return {**review, "status": {"allowed": access.allowed(self.cluster, user, asked.get("verb", ""), asked.get("group", ""), plural)}}

    def _update(self, wanted: Route, request: Request, _user: access.User) -> Response:
        body = body_of(request)
        obj = schema.decode(wanted.resource, body)
        existed = self.cluster.find(wanted.resource, wanted.namespace, wanted.name) is not None
        stored = self.cluster.update(wanted.resource, wanted.namespace, wanted.name, obj, subresource=wanted.subresource, dry_run=is_dry(request, None))
        return _json(stored, 200 if existed else 201)

    def _patch(self, wanted: Route, request: Request, _user: access.User) -> Response:
        old = self.cluster.get(wanted.resource, wanted.namespace, wanted.name)
        changed = patches.apply(old, body_of(request), request.headers.get("Content-Type", ""))
        obj = schema.decode(wanted.resource, changed)
        stored = self.cluster.update(wanted.resource, wanted.namespace, wanted.name, obj, subresource=wanted.subresource, dry_run=is_dry(request, None))
        return _json(stored)

    def _delete(self, wanted: Route, request: Request, _user: access.User) -> Response:
        options = delete_options(request, body_of(request))
        obj, gone = self.cluster.delete(wanted.resource, wanted.namespace, wanted.name, options)
        if not gone or wanted.resource.returned:
            return _json(obj)
        details = {"name": wanted.name, "kind": wanted.resource.plural, "uid": obj["metadata"]["uid"]}
        return _json({**_success(), "details": {**details, **({"group": wanted.resource.group} if wanted.resource.group else {})}})

    def _deletecollection(self, wanted: Route, request: Request, _user: access.User) -> Response:
        options = delete_options(request, body_of(request))
        items = self._chosen(wanted, request)
        for obj in items:
            self.cluster.delete(wanted.resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"], options)
        return _json(_list_of(wanted.resource, items, {"resourceVersion": str(self.cluster.version)}))


def _list_of(resource: Resource, items: list[Object], metadata: Object) -> Object:
    return {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata, "items": items}


def _success() -> Object:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _tests(resource: Resource, request: Request) -> Test:
    """labelSelector and fieldSelector together."""
    by_label = selectors.label_test(request.args.get("labelSelector", ""))
    by_field = selectors.field_test(resource, request.args.get("fieldSelector", ""))
    return lambda obj: by_label(obj) and by_field(obj)


def _seen_as(change: Change, namespace: str, accepts: Test) -> str:
    """The event a watch with these selectors sees; empty for none. An object that leaves the selection looks deleted."""
    if namespace not in ("", change.obj["metadata"].get("namespace", "")):
        return ""
    before = change.old is not None and accepts(change.old)
    after = change.type != "DELETED" and accepts(change.obj)
    return {(False, True): "ADDED", (True, True): "MODIFIED", (True, False): "DELETED"}.get((before, after), "")


def _event(kind: str, obj: Object) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def _bookmark(resource: Resource, version: int, *, initial_end: bool = False) -> Object:
    metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
    if initial_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}


# Discovery


def _groups() -> dict[str, str]:
    return {group: version for group, version, _plural in BY_PATH if group}


def _group(group: str, version: str) -> Object:
    preferred = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [preferred], "preferredVersion": preferred}


def _resource_list(group: str, version: str) -> Object:
    resources = []
    for resource in (item for item in BY_PATH.values() if (item.group, item.version) == (group, version)):
        entry = {"name": resource.plural, "singularName": resource.kind.lower(), "namespaced": resource.namespaced, "kind": resource.kind}
        resources.append({**entry, "verbs": list(resource.verbs)})
        if resource.has_status:
            resources.append({**entry, "name": f"{resource.plural}/status", "singularName": "", "verbs": ["get", "patch", "update"]})
    if (group, version) == ("", "v1"):
        entry = {"name": "pods/eviction", "singularName": "", "namespaced": True, "group": "policy", "version": "v1", "kind": "Eviction"}
        resources.append({**entry, "verbs": ["create"]})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}" if group else version, "resources": resources}


def discovery(path: str) -> Object | None:
    """The discovery documents, or None when the path is none of theirs."""
    groups = _groups()
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*item) for item in groups.items()]}
    if path == "/api/v1":
        return _resource_list("", "v1")
    parts = path.split("/")
    if len(parts) == 3 and parts[1] == "apis" and parts[2] in groups:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[2], groups[parts[2]])}
    if len(parts) == 4 and parts[1] == "apis" and groups.get(parts[2]) == parts[3]:
        return _resource_list(parts[2], parts[3])
    return None
