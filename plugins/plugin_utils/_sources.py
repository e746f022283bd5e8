# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""Where a cluster's inputs come from: a file, inline data, HashiCorp Vault, or the environment, in that order.

A source is found once and kept as text. Nothing here prints or caches what it read.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

# The spellings under which secrets of a role are looked for; the word the user gave comes first.
ROLE_SPELLINGS = {
    "worker": ("worker",),
    "controlplane": ("controlplane", "control-plane", "cp"),
}

# Keys of the one-secret layout (cluster-<cluster>-<role>) per source.
ONE_SECRET_KEYS = {"machine_config": "config.yaml", "patch": "patch.yaml", "node_config": "node-aws.yaml"}

SecretReader = t.Callable[[str], "dict[str, t.Any] | None"]


class SourceProblem(Exception):
    """A source cannot be read; the message says which and what to do, and holds nothing secret."""


@dataclasses.dataclass(frozen=True)
class Source:
    """One input: its name, and the file, inline data and environment variable it may come from besides Vault."""

    name: str
    file: str | None = None
    inline: t.Any = None
    environment: str | None = None


def spellings(role: str, given: str | None) -> list[str]:
    """The words to put into secret names for a role, in the order they are tried."""
    words = [given] if given else []
    return words + [word for word in ROLE_SPELLINGS[role] if word not in words]


def as_text(data: t.Any) -> str:
    """Data as the text that the modules take: text stays as it is, anything else becomes JSON."""
    return str(data) if isinstance(data, str) else json.dumps(data)


def document_of(secret: dict[str, t.Any]) -> str:
    """The document in a secret: its only text value when that is how it was stored, else the secret itself as JSON."""
    if len(secret) == 1:
        (value,) = secret.values()
        if isinstance(value, str) and ("\n" in value or ":" in value or value.lstrip().startswith(("[", "{"))):
            return value
        if isinstance(value, list):
            return json.dumps(value)
    return json.dumps(secret)


def read(source: Source, names: t.Sequence[str], secret: SecretReader | None, environ: t.Mapping[str, str]) -> str | None:
    """Find one source. names are the secrets to try; secret is None where no Vault is configured."""
    if source.file:
        return read_file(f"{source.name}_file", source.file)
    if source.inline not in (None, ""):
        return as_text(source.inline)
    if secret:
        for name in names:
            if (found := secret(name)) is not None:
                return document_of(found)
    if source.environment and environ.get(source.environment):
        return read_file(source.environment, environ[source.environment])
    return None


def read_file(option: str, path: str) -> str:
    """A file's text; relative paths start where the user stands."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8 text"
        raise SourceProblem(f"{option}: cannot read {path!r}: {reason}") from None
