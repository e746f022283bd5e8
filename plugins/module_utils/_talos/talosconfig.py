# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""talosconfig: which endpoints a cluster's Talos API has, and the client certificate for it."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import ssl
import typing as t
import urllib.parse

from ansible.module_utils.common.yaml import yaml_load

from .._errors import InputError
from . import tls

API_PORT = 50000


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where a Talos API listens; host is a bare address or name, IPv6 without brackets."""

    host: str
    port: int = API_PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == API_PORT else f"{host}:{self.port}"


@dataclasses.dataclass(frozen=True)
class TalosConfig:
    """One context of a talosconfig. ca, certificate and key are PEM texts; expires is the client certificate's end."""

    context: str
    endpoints: tuple[Endpoint, ...]
    ca: str
    certificate: str
    key: str = dataclasses.field(repr=False)
    expires: datetime.datetime = dataclasses.field(default_factory=lambda: datetime.datetime.max.replace(tzinfo=datetime.timezone.utc))

    def tls_context(self) -> ssl.SSLContext:
        """A context for connections to this cluster's configured nodes. Raises InputError when key and certificate do not fit."""
        try:
            return tls.verified_context(self.ca, self.certificate, self.key)
        except (ssl.SSLError, ValueError) as error:
            # OpenSSL's texts name the problem (KEY_VALUES_MISMATCH, bad base64), never the material.
            raise InputError(f"talosconfig: context {self.context}: the client certificate and key cannot be used: {error}") from None


def endpoint(text: str, default_port: int = API_PORT) -> Endpoint:
    """Parse host, host:port, [v6], [v6]:port, bare v6 or a URL (https without port means 443). Raises ValueError."""
    text = text.strip()
    if text.count(":") > 1 and "://" not in text and not text.startswith("["):
        return Endpoint(text, default_port)
    if "://" not in text:
        text = f"//{text}"
    elif text.startswith("https://"):
        default_port = 443
    parts = urllib.parse.urlsplit(text)
    if not parts.hostname:
        raise ValueError(f"no host in endpoint {text!r}")
    return Endpoint(parts.hostname, parts.port or default_port)


def _pem(context: str, word: str, value: t.Any) -> str:
    """Decode one base64 PEM field; the label ED25519 PRIVATE KEY, which OpenSSL does not know, becomes PRIVATE KEY (the body is PKCS#8)."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"talosconfig: context {context} has no {word}: a client certificate of the cluster is needed (talosctl config new)")
    try:
        text = base64.b64decode("".join(value.split()), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise InputError(f"talosconfig: context {context}: {word} is not base64 of a PEM text") from None
    if "-----BEGIN " not in text:
        raise InputError(f"talosconfig: context {context}: {word} is not base64 of a PEM text")
    return text.replace("ED25519 PRIVATE KEY", "PRIVATE KEY")


def _choose(document: dict[str, t.Any], wanted: str | None) -> tuple[str, dict[str, t.Any]]:
    """The wanted context, else the current one, else the only one."""
    contexts = document.get("contexts")
    if not isinstance(contexts, dict) or not contexts:
        raise InputError("talosconfig has no contexts")
    name = wanted or document.get("context") or (next(iter(contexts)) if len(contexts) == 1 else None)
    if name is None:
        raise InputError(f"talosconfig names no current context; it has {', '.join(sorted(map(str, contexts)))}")
    if not isinstance(contexts.get(name), dict):
        raise InputError(f"talosconfig has no context {name}; it has {', '.join(sorted(map(str, contexts)))}")
    return str(name), contexts[name]


def _load(text: str) -> dict[str, t.Any]:
    """Read the YAML without quoting it in an error."""
    try:
        document = yaml_load(text.encode())
    except Exception as error:  # noqa: BLE001 - any YAML error; its text may quote the key
        mark = getattr(error, "problem_mark", None)
        raise InputError(f"talosconfig is not YAML{f' (line {mark.line + 1})' if mark else ''}") from None
    if not isinstance(document, dict):
        raise InputError("talosconfig is not a mapping with context and contexts")
    return document


def _endpoints(context: str, values: t.Mapping[str, t.Any]) -> tuple[Endpoint, ...]:
    """The context's endpoints; the deprecated target stands for one."""
    listed = values.get("endpoints") or ([values["target"]] if values.get("target") else [])
    try:
        return tuple(endpoint(str(item)) for item in listed)
    except (TypeError, ValueError) as error:
        raise InputError(f"talosconfig: context {context}: endpoints: {error}") from None


def parse(text: str, context: str | None = None, now: datetime.datetime | None = None) -> TalosConfig:
    """Read a talosconfig text. Raises InputError when it cannot serve, also when its client certificate has expired."""
    name, values = _choose(_load(text), context)
    ca, certificate, key = (_pem(name, word, values.get(word)) for word in ("ca", "crt", "key"))
    try:
        tls.authorities(ca)
    except ValueError:
        raise InputError(f"talosconfig: context {name}: ca is not a certificate") from None
    try:
        expires = tls.expiry(certificate)
    except ValueError:
        raise InputError(f"talosconfig: context {name}: crt is not a certificate") from None
    if expires <= (now or datetime.datetime.now(datetime.timezone.utc)):
        raise InputError(
            f"talosconfig: context {name}: the client certificate expired on {expires:%Y-%m-%d %H:%M} UTC;"
            " make a new one (talosctl config new, or talosctl gen config with the cluster's secrets)"
        )
    return TalosConfig(name, _endpoints(name, values), ca, certificate, key, expires)
