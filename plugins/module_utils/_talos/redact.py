# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Configs for human eyes: secrets replaced by short marks that differ when the secret differs.

The marks are keyed hashes with a key of this process alone: within one diff equal secrets look equal and changed ones changed, but nothing
can be guessed from them afterwards.
"""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
import typing as t

from . import emit
from .table import Field

KEY = secrets.token_bytes(32)

SECRET_WORD = re.compile(r"pass(?:word|phrase|wd)?$|secret|token$|private_?key$|api_?key$|credential|^key$|^auth$|^data$|authorization", re.IGNORECASE)
URL_USER = re.compile(r"(?<=://)[^/@\s]+(?=@)")
NAMED_VALUE = re.compile(r"(?i)((?:token|password|passwd|secret|passphrase|apikey|api_key|authorization)[=:]\s*)([^\s&,;\"']+)")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
# The same in base64: its beginning, and the word in each of the three positions that it can have behind it.
ENCODED_BEGIN = "LS0tLS1CRUdJTi"
ENCODED_PRIVATE = re.compile("UFJJVkFURS|BSSVZBVE|QUklWQVRF")


@functools.lru_cache(maxsize=4096)
def mark(value: str) -> str:
    """What stands for a secret."""
    digest = hashlib.blake2b(value.encode("utf-8", "replace"), key=KEY, digest_size=4).hexdigest()
    return f"(secret {digest})" if value else ""


def _holds_key(text: str) -> bool:
    begin = text.find(ENCODED_BEGIN)
    return PRIVATE_KEY.search(text) is not None or (begin >= 0 and ENCODED_PRIVATE.search(text, begin) is not None)


@functools.lru_cache(maxsize=4096)
def scrub(text: str) -> str:
    """A text that is not secret as such, without the secrets such texts sometimes carry: URL users, token=..., private keys."""
    if _holds_key(text):
        return mark(text)
    if "://" in text:
        text = URL_USER.sub(lambda match: mark(match[0]), text)
    return NAMED_VALUE.sub(lambda match: match[1] + mark(match[2]), text)


def value(found: t.Any, field: Field) -> t.Any:
    """A decoded value with its secrets replaced; the same shape, so that it prints like the original."""
    if found is None:
        return None
    if field.kind == "struct":
        return {name: value(entry, field.fields[name]) for name, entry in found.items()}
    if field.kind == "map":
        item = t.cast(Field, field.item)
        return {
            name: untyped(entry, field.secret or bool(SECRET_WORD.search(name))) if not item.fields else value(entry, item) for name, entry in found.items()
        }
    if field.kind == "list":
        item = t.cast(Field, field.item)
        return [value(entry, item) for entry in found]
    if field.kind.startswith("x509"):
        return {part: mark(text) if part == "key" else text for part, text in found.items()}
    return untyped(found, field.secret) if isinstance(found, (str, dict, list)) and field.kind != "size" else found


def untyped(found: t.Any, secret: bool) -> t.Any:
    """Plain data: everything replaced below a secret or a name that says so."""
    if isinstance(found, dict):
        return {name: untyped(entry, secret or bool(SECRET_WORD.search(str(name)))) for name, entry in found.items()}
    if isinstance(found, list):
        return [untyped(entry, secret) for entry in found]
    if secret and not isinstance(found, bool) and found is not None:
        return mark(str(found))
    # Subclasses of str stand for scalars that print in a form of their own.
    return scrub(found) if type(found) is str else found  # pylint: disable=unidiomatic-typecheck


def printer(minor: int) -> emit.ConfigPrinter:
    """A printer of configs that replaces their secrets."""
    return emit.ConfigPrinter(minor, value)
