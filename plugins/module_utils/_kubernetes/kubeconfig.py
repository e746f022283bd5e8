# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Read a kubeconfig given as text: where the API server is, whom to trust and who we are.

Only what a cluster made by talosctl or kubeadm needs is supported. Everything that would run a program, ask a third
party or trust anybody is refused with the way out, because the answer decides which cluster is changed.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import re
import ssl
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

from ansible.module_utils.basic import missing_required_lib

from .._errors import InputError, ManagerError

CURE = "Give the kubeconfig that `talosctl kubeconfig` writes for this cluster."


@dataclasses.dataclass(frozen=True)
class Access:
    """What one context of a kubeconfig says. PEM texts are str; an empty string means not given.

    ca_sha256 is the hex SHA-256 of the first CA certificate's DER form: two kubeconfigs with the same one mean the same cluster.
    endpoint is the kubeconfig's own URL, also where server is another one.
    """

    context: str
    server: str
    ca: str
    ca_sha256: str
    tls_server_name: str = ""
    certificate: str = dataclasses.field(default="", repr=False)
    key: str = dataclasses.field(default="", repr=False)
    token: str = dataclasses.field(default="", repr=False)
    proxy_url: str = ""
    endpoint: str = ""


def read(text: str, cluster: str = "", context: str = "", server: str = "") -> Access:
    """The access that a kubeconfig's text gives to cluster.

    The context is the one asked for, else the one named after the cluster, else the only one, else (without a cluster name)
    the current one. server replaces the kubeconfig's URL; the server must still prove the name it has in the kubeconfig.
    Raises InputError, whose message never holds any of the text.
    """
    config = _load(text)
    name = _choose(config, cluster, context)
    chosen = _named(config, "contexts", name, "context")
    where = _named(config, "clusters", chosen.get("cluster", ""), "cluster")
    user = _named(config, "users", chosen.get("user", ""), "user")
    url = _url(where.get("server", ""), "the kubeconfig's server")
    ca = _trust(where)
    return Access(
        context=name,
        server=_url(server, "server") if server else url,
        ca=ca,
        ca_sha256=ca_fingerprint(ca),
        tls_server_name=where.get("tls-server-name") or (urlsplit(url).hostname or "" if server else ""),
        proxy_url=where.get("proxy-url") or "",
        endpoint=url,
        **_identity(user),
    )


def contexts(text: str) -> list[str]:
    """The names of a kubeconfig's contexts. Raises InputError as read() does."""
    return [str(entry.get("name", "")) for entry in _load(text)["contexts"] if isinstance(entry, dict)]


def ca_fingerprint(pem: str) -> str:
    """Hex SHA-256 over the DER form of the first certificate in a PEM text."""
    found = re.search(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", pem, re.DOTALL)
    if found is None:
        raise InputError(f"The kubeconfig's certificate-authority-data holds no certificate. {CURE}")
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(found.group(0))).hexdigest()


def _load(text: str) -> dict[str, t.Any]:
    if not text.strip():
        raise InputError(f"kubeconfig is empty. {CURE}")
    try:
        import yaml
    except ImportError as error:
        raise ManagerError(missing_required_lib("PyYAML")) from error
    try:
        # Bytes, because ansible-core 2.19 marks strings in a way that the C loader does not take.
        config = yaml.safe_load(text.encode())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        raise InputError(f"kubeconfig is not valid YAML{place}. {CURE}") from None
    if not isinstance(config, dict) or not config.get("contexts"):
        raise InputError(f"kubeconfig is not a kubeconfig: it has no contexts. {CURE}")
    return config


def _choose(config: dict[str, t.Any], cluster: str, context: str) -> str:
    entries = [entry for entry in config["contexts"] if isinstance(entry, dict)]
    names = [str(entry.get("name", "")) for entry in entries]
    if context:
        return context
    after_cluster = [str(e.get("name", "")) for e in entries if cluster and _is_named_after(e, cluster)]
    if len(after_cluster) == 1:
        return after_cluster[0]
    if len(names) == 1:
        return names[0]
    current = str(config.get("current-context") or "")
    if current and (not cluster or current in after_cluster):
        return current
    wanted = f"exactly one named after cluster {cluster}" if cluster else "a current-context"
    raise InputError(f"kubeconfig has the contexts {', '.join(names)}, but not {wanted}. Say which one with the option context.")


def _is_named_after(entry: dict[str, t.Any], cluster: str) -> bool:
    name = str(entry.get("name", ""))
    inner = entry.get("context")
    return name == cluster or name.endswith(f"@{cluster}") or (isinstance(inner, dict) and inner.get("cluster") == cluster)


def _named(config: dict[str, t.Any], section: str, name: str, key: str) -> dict[str, t.Any]:
    for entry in config.get(section) or []:
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(key), dict):
            return t.cast("dict[str, t.Any]", entry[key])
    raise InputError(f"kubeconfig has no {key} named {name!r}. {CURE}")


def _url(value: str, what: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname:
        raise InputError(f"{what} must be an https URL such as https://10.0.1.5:6443, not {value!r}.")
    return value.rstrip("/")


def _trust(where: dict[str, t.Any]) -> str:
    if where.get("insecure-skip-tls-verify"):
        raise InputError(f"The kubeconfig says insecure-skip-tls-verify: whoever answers would be believed. {CURE}")
    ca = _text(where, "certificate-authority")
    if not ca:
        raise InputError(f"The kubeconfig has no certificate-authority-data. {CURE}")
    return ca


def _identity(user: dict[str, t.Any]) -> dict[str, str]:
    for word in ("exec", "auth-provider"):
        if word in user:
            raise InputError(f"The kubeconfig gets its credentials from `{word}`, which is not run here. {CURE}")
    certificate, key = _text(user, "client-certificate"), _text(user, "client-key")
    token = str(user.get("token") or "") or _file(user, "tokenFile").strip()
    if bool(certificate) != bool(key):
        raise InputError(f"The kubeconfig has only one of client-certificate and client-key. {CURE}")
    if not certificate and not token:
        raise InputError(f"The kubeconfig has neither a client certificate nor a token. {CURE}")
    return {"certificate": certificate, "key": key, "token": token}


def _text(section: dict[str, t.Any], key: str) -> str:
    """The PEM text under key-data (base64), or in the file that key names."""
    data = section.get(f"{key}-data")
    if not data:
        return _file(section, key)
    try:
        return base64.b64decode("".join(str(data).split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InputError(f"The kubeconfig's {key}-data is not base64 of a PEM text. {CURE}") from None


def _file(section: dict[str, t.Any], key: str) -> str:
    if not section.get(key):
        return ""
    path = Path(str(section[key]))
    if not path.is_absolute():
        raise InputError(f"The kubeconfig names a relative {key}; as text it has no folder. Use `kubectl config view --flatten --raw`.")
    try:
        return path.read_text()
    except OSError as error:
        raise InputError(f"The kubeconfig's {key} cannot be read: {error.strerror}. Use `kubectl config view --flatten --raw`.") from error
