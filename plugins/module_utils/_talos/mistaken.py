# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What a refused text probably is instead of a machine config or patch, and what to do about it; nothing of the text is repeated."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from .documents import head
from .yamltext import ConfigError, Mapping, documents

PATH = re.compile(r"@?[\w.~/\\:-]+\.(?:ya?ml|json|j2)")


def _is_base64(text: str) -> bool:
    """Whether it is the base64 of a text with a colon, as all YAML and JSON configs have."""
    try:
        return ":" in base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        return False


TEXTS: tuple[tuple[t.Callable[[str], t.Any], str], ...] = (
    (lambda text: text.startswith("$ANSIBLE_VAULT;"), "is still encrypted by ansible-vault; read it with the file lookup, which decrypts"),
    (lambda text: text.startswith("{{"), "is a Jinja expression that was not rendered"),
    (lambda text: text.startswith("<"), "is HTML or XML, such as a proxy's or a login page"),
    (PATH.fullmatch, "is a path, not what is in the file; read it with the file lookup"),
    (_is_base64, "is base64; decode it first (b64decode)"),
)

# By the top-level keys that together only the other thing has.
KEYS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset(("context", "contexts")), "is a talosconfig, not a machine config"),
    (frozenset(("clusters", "contexts", "users")), "is a kubeconfig, not a machine config"),
    (frozenset(("secrets", "trustdinfo", "certs")), "is a secrets bundle; make the configs from it with: talosctl gen config --with-secrets"),
)


def mistaken(text: str) -> str:
    """A sentence such as "this is a talosconfig, not a Talos machine config", "" where nothing is recognised."""
    stripped = text.strip()
    found = next((what for test, what in TEXTS if test(stripped)), "") or _by_keys(stripped)
    return f"this {found}" if found else ""


def _by_keys(text: str) -> str:
    try:
        read = documents(text)
    except ConfigError:
        return ""
    first = read[0] if read else None
    if not isinstance(first, Mapping):
        return ""
    names = {key.text for key, _value in first.pairs}
    by_keys = next((what for keys, what in KEYS if keys <= names), "")
    return by_keys or ("is a Kubernetes object, not a Talos document" if {"metadata", "kind"} <= names and head(first, "apiVersion") else "")
