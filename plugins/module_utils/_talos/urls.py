# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""URLs as Go's net/url reads, merges and prints them. Talos decodes a URL and prints it again, so its spelling changes as there."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t
from urllib.parse import quote, unquote_to_bytes

from .yamltext import ConfigError

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
HOST = re.compile(r"(?:[A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"%]|[^\x00-\x7f])*")
PORT = re.compile(r"(?::[0-9]*)?")

UNRESERVED = "-_.~"
PATH_SAFE = UNRESERVED + "$&+,/:;=@"
PATH_KEPT = re.compile(r"(?:[A-Za-z0-9\-_.~$&+,/:;=@!'()*\[\]]|%[0-9A-Fa-f]{2})*")
FRAGMENT_SAFE = UNRESERVED + "$&+,/:;=?@!()*"
FRAGMENT_KEPT = re.compile(r"(?:[A-Za-z0-9\-_.~$&+,/:;=?@!'()*\[\]]|%[0-9A-Fa-f]{2})*")
USER_SAFE = UNRESERVED + "$&+,;="


@dataclasses.dataclass(frozen=True)
class Url:
    """A URL's parts, escaped as in its text; user is None when there is none. slashless: a path right after the scheme."""

    scheme: str = ""
    opaque: str = ""
    user: str | None = None
    host: str = ""
    path: str = ""
    query: str = ""
    forced_query: bool = False
    fragment: str = ""
    slashless: bool = False


@functools.lru_cache(maxsize=512)
def parse(text: str) -> Url:
    """A text as URL. Raises ConfigError where Go refuses it."""
    rest, _hash, fragment = text.partition("#")
    if CONTROL.search(rest):
        raise ConfigError("must be a URL without control characters")
    if BAD_ESCAPE.search(fragment):
        raise ConfigError("must be a URL (invalid escape in its fragment)")
    match = SCHEME.fullmatch(rest)
    scheme, rest = (match[1].lower(), match[2]) if match else ("", rest)
    forced = rest.endswith("?") and rest.count("?") == 1
    rest, _mark, query = rest.partition("?")
    url = Url(scheme=scheme, query=query, forced_query=forced, fragment=_canonical(fragment, FRAGMENT_KEPT, FRAGMENT_SAFE))
    if not rest.startswith("/"):
        if scheme:
            return dataclasses.replace(url, opaque=rest)
        if ":" in rest.partition("/")[0]:
            raise ConfigError("must be a URL (a colon before the first slash needs a protocol scheme before it)")
    return _with_authority(url, rest)


def _with_authority(url: Url, rest: str) -> Url:
    if rest.startswith("//") and (url.scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        user, host = _authority(authority)
        url, rest = dataclasses.replace(url, user=user, host=host), slash + path
    elif url.scheme and rest.startswith("/"):
        url = dataclasses.replace(url, slashless=True)
    if BAD_ESCAPE.search(rest):
        raise ConfigError("must be a URL (invalid escape in its path)")
    return dataclasses.replace(url, path=_canonical(rest, PATH_KEPT, PATH_SAFE))


def _authority(text: str) -> tuple[str | None, str]:
    user, at, host = text.rpartition("@")
    if at and (not USER.fullmatch(user) or BAD_ESCAPE.search(user)):
        raise ConfigError("must be a URL (invalid user information)")
    _check_host(host)
    if not at:
        return None, host
    name, colon, password = user.partition(":")
    return _escape(name, USER_SAFE) + (f":{_escape(password, USER_SAFE)}" if colon else ""), host


def _check_host(host: str) -> None:
    if not HOST.fullmatch(host) or BAD_ESCAPE.search(host) or re.search(r"%(?!25)[0-7]", host):
        raise ConfigError("must be a URL (invalid character in host name)")
    if host.startswith("["):
        port = host.rpartition("]")[2]
    else:
        port = host[host.index(":") :] if ":" in host else ""
    if not PORT.fullmatch(port):
        raise ConfigError("must be a URL (invalid port after host)")


def _canonical(text: str, kept: re.Pattern[str], safe: str) -> str:
    """The text itself if its escaping is valid, else escaped anew."""
    return text if kept.fullmatch(text) else _escape(text, safe)


def _escape(text: str, safe: str) -> str:
    return quote(unquote_to_bytes(text), safe=safe)


def text(url: Url) -> str:
    """The URL's text as Go prints it."""
    result = f"{url.scheme}:" if url.scheme else ""
    if url.opaque:
        result += url.opaque
    else:
        if (url.scheme or url.host or url.user is not None) and not (url.slashless and not url.host and url.user is None):
            if url.host or url.path or url.user is not None:
                result += "//"
            result += (f"{url.user}@" if url.user is not None else "") + quote(url.host, safe=UNRESERVED + "!$&'()*+,;=:[]<>\"%")
        if url.path and not url.path.startswith("/") and url.host:
            result += "/"
        result += url.path
    result += f"?{url.query}" if url.forced_query or url.query else ""
    return result + (f"#{url.fragment}" if url.fragment else "")


def canonical(source: str) -> str:
    """A URL's text as it comes out of Talos. Raises ConfigError for what is none."""
    return text(parse(source))


def merge(left: str, right: str) -> str:
    """Part by part: only the parts that the right side has overwrite. Raises ConfigError when both have user information."""
    old, new = parse(left), parse(right)
    if old.user is not None and new.user is not None:
        raise ConfigError("two URLs with user information cannot be merged; delete the old one first ($patch: delete)")
    parts: dict[str, t.Any] = {name: getattr(new, name) or getattr(old, name) for name in ("scheme", "opaque", "host", "path", "query", "fragment")}
    user = new.user if new.user is not None else old.user
    return text(Url(**parts, user=user, forced_query=new.forced_query, slashless=new.slashless))
