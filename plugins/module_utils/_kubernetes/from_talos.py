# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Kubeconfigs that a Talos control plane makes: to talk to its own API server, or to be kept in a file of the user's."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import os
import stat
import typing as t
from pathlib import Path

from .._errors import InputError, ManagerError
from .._outcome import Outcome
from .._plan import Step
from .._talos import client, tls
from .._talos.etcd import ENDPOINT_ATTEMPTS
from .._talos.talosconfig import Endpoint, TalosConfig, endpoint, parse
from .._talos.transport import Connection, TalosError, require_libraries
from .api import cluster_id
from .client import Api, KubernetesError, call, connect
from .kubeconfig import Access, contexts, read

API_SERVER_PORT = 6443
PRIVATE = 0o600


def access(params: t.Mapping[str, t.Any]) -> Access:
    """The access to the API server of the control plane that answered; server, when given, replaces its URL."""
    require_libraries()
    text, place = fetch(params["talosconfig"], None, params["endpoints"])
    host = f"[{place.host}]" if ":" in place.host else place.host
    return read(text, server=params["server"] or f"https://{host}:{API_SERVER_PORT}")


def fetch(talosconfig: str, context: str | None, endpoints: t.Sequence[str]) -> tuple[str, Endpoint]:
    """A kubeconfig from the first endpoint that gives one (by default the talosconfig's), and that endpoint. Raises ManagerError."""
    config = parse(talosconfig, context)
    try:
        places = tuple(endpoint(text) for text in endpoints) or config.endpoints
    except ValueError as error:
        raise InputError(f"endpoints: {error}") from None
    return asyncio.run(_first(config, places))


async def _first(config: TalosConfig, places: t.Sequence[Endpoint]) -> tuple[str, Endpoint]:
    context, errors = config.tls_context(), []
    for place in places:
        try:
            async with Connection(place, context, attempts=ENDPOINT_ATTEMPTS) as connection:
                return await client.kubeconfig(connection), place
        except TalosError as error:
            errors.append(str(error))
    raise ManagerError(f"no control plane gives a kubeconfig: {'; '.join(errors) or 'there is no endpoint to ask'}")


def endpoint_warning(api: Api) -> str:
    """What is wrong when the endpoint in the machine configs does not lead to the cluster that api talks to; "" when it does.

    A new cluster works for a while without, as its nodes find each other by Talos' discovery; its users, and nodes without discovery, do not.
    """
    own = cluster_id(api)
    try:
        with connect(dataclasses.replace(api.access, server=api.access.endpoint, tls_server_name="")) as other:
            found = call(other, "use it", "GET", "/api/v1/namespaces/kube-system", attempts=2)["metadata"]["uid"]
        why = "" if found == own else "another cluster answers there"
    except KubernetesError as error:
        why = str(error)
    cure = "Let its name lead to the load balancer of the Kubernetes API (a CNAME of that one's DNS name)"
    return f"{api.access.endpoint}, the endpoint in the machine configs, does not lead to the cluster from here: {why} {cure}." if why else ""


def save(params: t.Mapping[str, t.Any], check_mode: bool) -> Outcome:
    """The work of talos_kubeconfig: dest holds a kubeconfig of the cluster that is good for a while, and nobody else may read it."""
    require_libraries()
    dest = Path(params["dest"]).expanduser()
    _check(dest)
    try:
        fresh = fetch(params["talosconfig"], params.get("context"), params["endpoints"])[0]
    except ManagerError as error:
        # In check mode the cluster may not exist yet; what is wrong with the options is wrong in any case.
        if not check_mode or isinstance(error, InputError):
            raise
        return Outcome(steps=[] if dest.exists() else [_step("write", dest)])
    good = dest.exists() and _good(dest, fresh)
    steps = []
    if not good:
        steps = [_step("write", dest)]
    elif stat.S_IMODE(dest.stat().st_mode) != PRIVATE:
        steps = [_step("restrict", dest)]
    if steps and not check_mode:
        _write(dest, dest.read_text() if good else fresh)
    return Outcome(steps=steps)


def _step(verb: str, dest: Path) -> Step:
    return Step(verb, "", str(dest), None if verb == "write" else {"private": False}, {"mode": "0600"})


def _check(dest: Path) -> None:
    """Whether dest can be a file. Raises InputError."""
    if dest.is_dir():
        raise InputError(f"dest: {dest} is a directory; name a file in it")
    if not dest.parent.is_dir():
        raise InputError(f"dest: there is no directory {dest.parent}")


def _good(dest: Path, fresh: str) -> bool:
    """Whether the file that is there serves as well as the fresh kubeconfig. Raises InputError when it is not ours to replace.

    Talos makes a new certificate each time, so texts never equal: a file counts while a third of the time of a new one is left.
    """
    text = dest.read_text(encoding="utf-8", errors="replace")
    try:
        names, old = contexts(text), read(text)
    except InputError:
        raise InputError(f"dest: {dest} is there and is not a kubeconfig of this cluster alone; name another file") from None
    new = read(fresh)
    if len(names) > 1 or old.ca_sha256 != new.ca_sha256:
        raise InputError(f"dest: {dest} is there and is not a kubeconfig of this cluster alone; name another file")
    now = datetime.datetime.now(datetime.timezone.utc)
    try:
        left, lifetime = tls.expiry(old.certificate) - now, tls.expiry(new.certificate) - now
    except ValueError:
        return False
    return old.server == new.server and left > lifetime / 3


def _write(dest: Path, text: str) -> None:
    """Replace the file as a whole; it is private from its first byte on. What a killed run left beside it is used again."""
    beside = dest.with_name(f".{dest.name}.k8s_cluster.manager")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(dest)
    except OSError as error:
        raise ManagerError(f"dest: {dest} cannot be written: {error.strerror}") from None
