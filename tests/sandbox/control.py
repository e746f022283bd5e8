# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API: what tests ask of the sandbox itself. Its endpoints are described in README.md.

ControlApp serves it, Control is its client.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import typing as t
import urllib.error
import urllib.request

from werkzeug.wrappers import Request, Response

from .calls import Fault, Ledger

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Snapshots kept in memory besides the seeded world's; the oldest goes first.
SNAPSHOTS_KEPT = 80
SEED = "seed"


class Part(t.Protocol):
    """One simulated service, as the control API sees it."""

    def dump(self) -> t.Any:
        """All it stores, as JSON, in an order that depends on the content alone."""

    def snapshot(self) -> t.Any:
        """A copy in memory."""

    def restore(self, snapshot: t.Any, /) -> None:
        """Go back to a copy."""


class Nodes(t.Protocol):
    """The simulated machines, as the control API sees them."""

    def nodes(self) -> list[dict[str, t.Any]]:
        """Each machine: name, instance_id, address, stage and more."""

    def config_of(self, name: str) -> str | None:
        """The machine config that a machine stores, by host name, instance ID or address."""

    def set_ingress(self, name: str, present: bool) -> None:
        """Put ingress pods on a machine or take them away."""

    def rekey(self, name: str) -> None:
        """A new maintenance certificate."""

    def impersonate(self, name: str) -> None:
        """Someone else answers on a machine's address in maintenance."""

    def stolen(self, name: str) -> list[str]:
        """Configurations that an impostor was given."""

    def set_alarm(self, name: str, alarm: int) -> None:
        """Raise an etcd alarm on a control plane, 0 clears its alarms."""


class Cloud(t.Protocol):
    """What goes wrong in AWS, as the control API sets it."""

    def set_conditions(self, changes: dict[str, t.Any]) -> dict[str, t.Any]:
        """Change some conditions; all of them as they are then."""


class ControlError(Exception):
    """The sandbox refused a request of the control API."""


class Worlds:
    """Snapshots of all parts together."""

    def __init__(self, parts: t.Mapping[str, Part]) -> None:
        self._parts = parts
        self._kept: dict[str, dict[str, t.Any]] = {}
        self._count = 0
        self._lock = threading.Lock()

    def keep(self, name: str = "") -> str:
        """Take a snapshot; its id is name, or a new one."""
        with self._lock:
            if not name:
                self._count += 1
                name = f"world-{self._count}"
            self._kept[name] = {part: service.snapshot() for part, service in self._parts.items()}
            for old in [kept for kept in self._kept if kept != SEED][:-SNAPSHOTS_KEPT]:
                del self._kept[old]
            return name

    def dump(self) -> dict[str, t.Any]:
        """Everything all parts store."""
        return {name: part.dump() for name, part in self._parts.items()}

    def restore(self, name: str) -> None:
        """Bring every part back to a snapshot; KeyError if it is not kept (any more)."""
        with self._lock:
            kept = self._kept[name]
            for part, service in self._parts.items():
                service.restore(kept[part])


def summary(ledger: Ledger) -> dict[str, dict[str, t.Any]]:
    """{service.operation: {count, mutating, seconds, first}}: seconds is the time spent in the server, first the first call's number."""
    table: dict[str, dict[str, t.Any]] = {}
    for call in list(ledger.calls):
        row = table.setdefault(f"{call.service}.{call.operation}", {"count": 0, "mutating": 0, "seconds": 0.0, "first": call.number})
        row["count"] += 1
        row["mutating"] += call.mutating
        row["seconds"] += (call.ended or call.started) - call.started
    return table


class ControlApp:
    """WSGI application of the control API."""

    def __init__(self, ledger: Ledger, worlds: Worlds, nodes: Nodes, cloud: Cloud) -> None:
        self.ledger = ledger
        self.worlds = worlds
        self.nodes = nodes
        self.cloud = cloud
        self._routes: dict[tuple[str, str], t.Callable[[Request], t.Any]] = {
            ("GET", "/calls"): self._calls,
            ("DELETE", "/calls"): self._forget_calls,
            ("GET", "/faults"): self._faults,
            ("POST", "/faults"): self._add_fault,
            ("DELETE", "/faults"): self._clear_faults,
            ("GET", "/parked"): lambda _request: [call.public() for call in self.ledger.parked()],
            ("GET", "/waiting"): lambda _request: [call.public() for call in self.ledger.waiting()],
            ("GET", "/delays"): lambda _request: dict(self.ledger.delays),
            ("POST", "/delays"): self._set_delays,
            ("DELETE", "/delays"): self._clear_delays,
            ("GET", "/world"): self._world,
            ("POST", "/world"): self._restore,
            ("GET", "/conditions"): lambda _request: self.cloud.set_conditions({}),
            ("POST", "/conditions"): lambda request: self.cloud.set_conditions(_body(request)),
            ("GET", "/nodes"): lambda _request: self.nodes.nodes(),
        }
        self._node_routes: dict[tuple[str, str], t.Callable[[str, Request], t.Any]] = {
            ("POST", "ingress"): lambda name, request: self.nodes.set_ingress(name, bool(_body(request)["present"])),
            ("POST", "alarm"): lambda name, request: self.nodes.set_alarm(name, int(_body(request)["alarm"])),
            ("POST", "rekey"): lambda name, _request: self.nodes.rekey(name),
            ("POST", "impersonate"): lambda name, _request: self.nodes.impersonate(name),
            ("GET", "stolen"): lambda name, _request: self.nodes.stolen(name),
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._answer(request)
        except (ControlError, LookupError, TypeError, ValueError) as error:
            response = _json({"error": str(error)}, 400)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        if len(parts) == 3 and parts[0] == "nodes":
            return self._node(request, parts[1], parts[2])
        route = self._routes.get((request.method, request.path.rstrip("/")))
        if route is None:
            return _json({"error": f"no {request.method} {request.path} here", "endpoints": sorted(" ".join(key) for key in self._routes)}, 404)
        return _json(route(request))

    def _node(self, request: Request, name: str, word: str) -> Response:
        known = {str(value) for node in self.nodes.nodes() for key, value in node.items() if key in ("name", "instance_id", "address")}
        if name not in known:
            return _json({"error": f"no node {name!r}"}, 404)
        if (request.method, word) == ("GET", "config"):
            text = self.nodes.config_of(name)
            return _json({"error": f"{name} has no machine config"}, 404) if text is None else Response(text, content_type="application/yaml")
        route = self._node_routes.get((request.method, word))
        if route is None:
            return _json({"error": f"nodes have no {request.method} {word}"}, 404)
        return _json(route(name, request))

    def _calls(self, request: Request) -> t.Any:
        since = int(request.args.get("since", 0))
        calls = [call.public() for call in list(self.ledger.calls) if call.number > since]
        return {"summary": summary(self.ledger), "calls": calls}

    def _forget_calls(self, _request: Request) -> t.Any:
        self.ledger.clear_calls()
        return {}

    def _faults(self, _request: Request) -> t.Any:
        return [dataclasses.asdict(fault) for fault in self.ledger.faults]

    def _add_fault(self, request: Request) -> t.Any:
        body = _body(request)
        allowed = {"kind", "service", "operation", "mutating", "ordinals", "share", "seed", "seconds", "parties", "spared"}
        if unknown := sorted(body.keys() - allowed):
            raise ControlError(f"a fault has no {', '.join(unknown)}; it has {', '.join(sorted(allowed))}")
        fault = Fault(**body)
        self.ledger.faults.append(fault)
        return dataclasses.asdict(fault)

    def _clear_faults(self, _request: Request) -> t.Any:
        self.ledger.faults.clear()
        return {}

    def _set_delays(self, request: Request) -> t.Any:
        wanted = {str(name): float(seconds) for name, seconds in _body(request).items()}
        if any(seconds < 0 for seconds in wanted.values()):
            raise ControlError("a delay is seconds, not less than 0")
        self.ledger.delays.update(wanted)
        return dict(self.ledger.delays)

    def _clear_delays(self, _request: Request) -> t.Any:
        self.ledger.delays.clear()
        return {}

    def _world(self, request: Request) -> t.Any:
        keep = request.args.get("keep") != "false"
        return {**({"snapshot": self.worlds.keep()} if keep else {}), **self.worlds.dump()}

    def _restore(self, request: Request) -> t.Any:
        name = _body(request).get("snapshot", "")
        try:
            self.worlds.restore(name)
        except KeyError:
            raise ControlError(f"no snapshot {name!r} (the last {SNAPSHOTS_KEPT} and {SEED!r} are kept)") from None
        return {"snapshot": name}


def _json(body: t.Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status=status, content_type="application/json")


def _body(request: Request) -> dict[str, t.Any]:
    body = json.loads(request.get_data() or b"{}")
    if not isinstance(body, dict):
        raise ControlError("the body must be a JSON object")
    return body


class Control:
    """Client of the control API at url."""

    def __init__(self, url: str) -> None:
        self.url = url

    def _ask(self, method: str, path: str, body: t.Any = None) -> bytes:
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(), method=method)
        try:
            # No proxy stands between a test and its own machine, whatever the environment says.
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as reply:
                return t.cast(bytes, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                raise ControlError(json.loads(error.read())["error"]) from None

    def calls(self, since: int = 0) -> list[dict[str, t.Any]]:
        """Calls in the order they began, those after number `since`."""
        return t.cast("list[dict[str, t.Any]]", json.loads(self._ask("GET", f"/calls?since={since}"))["calls"])

    def summary(self) -> dict[str, dict[str, t.Any]]:
        """{service.operation: {count, mutating, seconds, first}}."""
        return t.cast("dict[str, dict[str, t.Any]]", json.loads(self._ask("GET", "/calls"))["summary"])

    def mutating(self) -> list[str]:
        """service.operation of every mutating call, in order."""
        return [f"{call['service']}.{call['operation']}" for call in self.calls() if call["mutating"]]

    def forget_calls(self) -> None:
        """Empty the log."""
        self._ask("DELETE", "/calls")

    def fault(self, kind: str, service: str = "*", operation: str = "*", **more: t.Any) -> None:
        """Inject a fault; more: mutating, ordinals, share, seed, seconds, parties, spared (see calls.Fault)."""
        self._ask("POST", "/faults", {"kind": kind, "service": service, "operation": operation, **more})

    def faults(self) -> list[dict[str, t.Any]]:
        """Faults as posted, with seen (matching calls) and hits."""
        return t.cast("list[dict[str, t.Any]]", json.loads(self._ask("GET", "/faults")))

    def clear_faults(self) -> None:
        """Inject nothing any more; what is parked or waits goes on."""
        self._ask("DELETE", "/faults")

    def parked(self) -> list[dict[str, t.Any]]:
        """Calls that took effect and whose answers are held back by a fault of kind park."""
        return t.cast("list[dict[str, t.Any]]", json.loads(self._ask("GET", "/parked")))

    def waiting(self) -> list[dict[str, t.Any]]:
        """Calls that have arrived and do not take effect because of a fault of kind hold."""
        return t.cast("list[dict[str, t.Any]]", json.loads(self._ask("GET", "/waiting")))

    def delays(self, delays: t.Mapping[str, float]) -> None:
        """Set simulated durations, in seconds; {"*": 0} makes all of them nothing."""
        self._ask("POST", "/delays", dict(delays))

    def clear_delays(self) -> None:
        """Back to the default durations."""
        self._ask("DELETE", "/delays")

    def world(self) -> dict[str, t.Any]:
        """A full dump of every part, and the id of a snapshot of it."""
        return t.cast("dict[str, t.Any]", json.loads(self._ask("GET", "/world")))

    def look(self) -> dict[str, t.Any]:
        """A full dump of every part, to which there is no way back."""
        return t.cast("dict[str, t.Any]", json.loads(self._ask("GET", "/world?keep=false")))

    def restore(self, world: t.Mapping[str, t.Any] | str = SEED) -> None:
        """Back to a world that world() gave, or to a snapshot by id: "seed" is the world as it started."""
        self._ask("POST", "/world", {"snapshot": world if isinstance(world, str) else world["snapshot"]})

    def reset(self) -> None:
        """The seeded world, no faults, default delays, an empty log."""
        self.clear_faults()
        self.clear_delays()
        self.restore()
        self.forget_calls()

    def conditions(self, **conditions: t.Any) -> dict[str, t.Any]:
        """Set what goes wrong in AWS (denied, no_capacity, capacity, impaired; see README.md) and return all of it. Part of the world."""
        return t.cast("dict[str, t.Any]", json.loads(self._ask("POST", "/conditions", conditions)))

    def trouble(self, node: str, word: str, **body: t.Any) -> None:
        """Do something to a simulated machine: "ingress" (present=), "alarm" (alarm=), "rekey", "impersonate"."""
        self._ask("POST", f"/nodes/{node}/{word}", body)

    def stolen(self, node: str) -> list[str]:
        """Machine configs that an impostor on this node's address was given."""
        return t.cast("list[str]", json.loads(self._ask("GET", f"/nodes/{node}/stolen")))

    def nodes(self) -> list[dict[str, t.Any]]:
        """The simulated machines."""
        return t.cast("list[dict[str, t.Any]]", json.loads(self._ask("GET", "/nodes")))

    def config(self, name: str) -> str:
        """The machine config stored on a node (by node name or instance ID); ControlError if there is none."""
        return self._ask("GET", f"/nodes/{name}/config").decode()
