# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""A Kubernetes API client without files, and the one place where its errors and retries are understood."""

from __future__ import annotations

import contextlib
import email.utils
import itertools
import json
import os
import time
import typing as t
from urllib.parse import urlencode

from ansible.module_utils.basic import missing_required_lib

from .._errors import ManagerError

if t.TYPE_CHECKING:
    from .kubeconfig import Access

PAGE = 500
ATTEMPTS = 5
# A server that asks to come back later is there, and wants its time.
THROTTLED_ATTEMPTS = 10
FIRST_DELAY, LONGEST_DELAY = 0.5, 15.0
TIMEOUT = (5.0, 30.0)  # seconds to connect, seconds without an answer
TRANSIENT = frozenset({429, 500, 502, 503, 504})

sleep = time.sleep


class KubernetesError(ManagerError):
    """A call failed. status is the HTTP status, 0 when nothing usable answered; causes are the API's own details."""

    def __init__(self, message: str, status: int = 0, causes: list[dict[str, t.Any]] | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.causes = causes or []
        self.retry_after = retry_after

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed a moment later."""
        return self.status in TRANSIENT or isinstance(self, Unreachable)


class Unreachable(KubernetesError):
    """No answer at all: refused, reset, timed out."""


class Api:
    """The kubernetes library's own transport to one API server.

    Its generated classes are left out: importing three of them takes 0.9 s, more than the calls that a module makes.
    """

    def __init__(self, transport: t.Any, access: Access) -> None:
        self.access = access
        self._transport = transport
        self.date = ""

    def now(self) -> float:
        """The server's time at its latest answer, to the second, in seconds since 1970; ours where no answer has said it."""
        try:
            return email.utils.parsedate_to_datetime(self.date).timestamp()
        except (TypeError, ValueError):
            return time.time()

    def send(self, method: str, path: str, query: t.Mapping[str, t.Any] | None = None, body: dict[str, t.Any] | None = None) -> t.Any:
        """One request; the library's response, whatever its status, or one of its exceptions."""
        content = "application/strategic-merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Accept": "application/json", "Content-Type": content, "User-Agent": "k8s_cluster.manager"}
        if self.access.token:
            headers["Authorization"] = f"Bearer {self.access.token}"
        url = f"{self.access.server}{path}" + (f"?{urlencode(query)}" if query else "")
        return self._transport.request(method, url, headers=headers, body=body, _request_timeout=TIMEOUT)


@contextlib.contextmanager
def connect(access: Access, connections: int = 1) -> t.Iterator[Api]:
    """An Api for access; no file is written. connections bounds the pool, for calls from threads."""
    try:
        # Here and not above: the import takes 0.3 s, which a run without Kubernetes need not pay.
        from kubernetes.client.configuration import Configuration
        from kubernetes.client.rest import RESTClientObject
    except ImportError as error:
        raise ManagerError(missing_required_lib("kubernetes")) from error
    with contextlib.ExitStack() as files:
        configuration = Configuration()
        configuration.host = access.server
        configuration.retries = False  # urllib3's own retries would multiply with ours
        configuration.connection_pool_maxsize = connections
        configuration.ssl_ca_cert = files.enter_context(memory_file("ca", access.ca))
        configuration.tls_server_name = access.tls_server_name or None
        if access.certificate:
            configuration.cert_file = files.enter_context(memory_file("certificate", access.certificate))
            configuration.key_file = files.enter_context(memory_file("key", access.key))
        if access.proxy_url:
            configuration.proxy = access.proxy_url
        transport = RESTClientObject(configuration)
        files.callback(transport.pool_manager.clear)
        yield Api(transport, access)


@contextlib.contextmanager
def memory_file(name: str, text: str) -> t.Iterator[str]:
    """The path of a file that exists in memory only, for libraries that insist on paths; gone with the process, even if killed."""
    try:
        descriptor = os.memfd_create(name)
    except (AttributeError, OSError) as error:
        raise ManagerError("This needs memfd_create, so Linux: secrets are never written to temporary files. Run it on a Linux controller.") from error
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def call(
    api: Api,
    what: str,
    method: str,
    path: str,
    *,
    query: t.Mapping[str, t.Any] | None = None,
    body: dict[str, t.Any] | None = None,
    attempts: int = ATTEMPTS,
) -> dict[str, t.Any]:
    """Make a call and return the JSON it answers; retry what is transient, attempts times in all. what completes "Cannot ...".

    Throttling is waited out for longer, unless attempts is 1: that caller has his own idea of when to ask again.
    """
    delay = FIRST_DELAY
    for made in itertools.count(1):
        try:
            return _once(api, what, method, path, query, body)
        except KubernetesError as error:
            most = THROTTLED_ATTEMPTS if error.status == 429 and attempts > 1 else attempts
            if made >= most or not error.transient:
                raise
            pause = max(delay, error.retry_after or 0)
        sleep(min(pause, LONGEST_DELAY))
        delay *= 2
    raise AssertionError("the loop ends by itself")


def items(api: Api, what: str, path: str, attempts: int = ATTEMPTS, **query: str) -> list[dict[str, t.Any]]:
    """All pages of a list call, each tried attempts times. A page token that expired (410) starts the list again."""
    found: list[dict[str, t.Any]] = []
    token, restarts = "", 0
    while True:
        page = {"limit": PAGE, **query, **({"continue": token} if token else {})}
        try:
            answer = call(api, what, "GET", path, query=page, attempts=attempts)
        except KubernetesError as error:
            if error.status != 410 or restarts == 3:
                raise
            found, token, restarts = [], "", restarts + 1
            continue
        found += answer.get("items") or []
        token = (answer.get("metadata") or {}).get("continue") or ""
        if not token:
            return found


def _once(api: Api, what: str, method: str, path: str, query: t.Mapping[str, t.Any] | None, body: dict[str, t.Any] | None) -> dict[str, t.Any]:
    import urllib3
    from kubernetes.client.exceptions import ApiException

    try:
        response = api.send(method, path, query, body)
        text = response.data or response.read()  # older releases have read it already
    except ApiException as error:  # a refusal in older releases, broken TLS in all
        api.date = (error.headers or {}).get("Date") or ""
        raise _explain_status(what, error.status, error.headers, error.body) if error.status else _explain_tls(what, str(error.reason)) from error
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(f"Cannot {what}: the Kubernetes API server does not answer ({_short(error)}).") from error
    api.date = response.getheaders().get("Date") or ""
    if not 200 <= response.status <= 299:
        raise _explain_status(what, response.status, response.getheaders(), text)
    try:
        return t.cast("dict[str, t.Any]", json.loads(text))
    except ValueError as error:  # a proxy or another service answered
        raise KubernetesError(f"Cannot {what}: what answers is not a Kubernetes API server. Check the kubeconfig's server.") from error


def _explain_status(what: str, code: int, headers: t.Any, body: t.Any) -> KubernetesError:
    status = _status_object(body)
    message = status.get("message") or "no reason given"
    cures = {
        401: " The kubeconfig's credentials are not accepted: expired, or of another cluster.",
        403: " The kubeconfig's user lacks this permission.",
    }
    details = status.get("details") or {}
    return KubernetesError(
        f"Cannot {what}: HTTP {code}: {message}.{cures.get(code, '')}".replace("..", "."),
        status=code,
        causes=list(details.get("causes") or []),
        retry_after=_seconds((headers or {}).get("Retry-After"), details.get("retryAfterSeconds")),
    )


def _explain_tls(what: str, reason: str) -> KubernetesError:
    if "CERTIFICATE_VERIFY_FAILED" not in reason and "doesn't match" not in reason:
        return Unreachable(f"Cannot {what}: the TLS connection to the Kubernetes API server broke ({_short(reason)}).")
    return KubernetesError(
        f"Cannot {what}: the API server's certificate is not of the kubeconfig's CA or not for its name ({_short(reason)}). Is the kubeconfig of this cluster?"
    )


def _status_object(body: t.Any) -> dict[str, t.Any]:
    try:
        status = json.loads(body)
    except (TypeError, ValueError):
        return {}
    return status if isinstance(status, dict) else {}


def _seconds(*candidates: t.Any) -> float | None:
    for candidate in candidates:
        with contextlib.suppress(TypeError, ValueError):
            return float(candidate)
    return None


def _short(error: object) -> str:
    """The last, telling part of a wrapped error, in one line."""
    return " ".join(str(error).split())[-160:]
