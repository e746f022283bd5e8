# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""talosconfig: contexts, endpoints, certificate material, clear errors without secrets."""

from __future__ import annotations

import base64
import datetime
import os
import ssl
from pathlib import Path

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import tls
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.talosconfig import Endpoint, endpoint, parse

from .server import Authority, talosconfig


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", Endpoint("10.0.0.1", 50000)),
        ("10.0.0.1:50001", Endpoint("10.0.0.1", 50001)),
        ("[fd00::1]:7", Endpoint("fd00::1", 7)),
        ("[fd00::1]", Endpoint("fd00::1", 50000)),
        ("fd00::1", Endpoint("fd00::1", 50000)),
        ("cp.example.org", Endpoint("cp.example.org", 50000)),
        ("https://omni.example.org", Endpoint("omni.example.org", 443)),
        ("https://omni.example.org:8443/x", Endpoint("omni.example.org", 8443)),
        (" 10.0.0.1 ", Endpoint("10.0.0.1", 50000)),
    ],
)
def test_endpoint_forms(text: str, expected: Endpoint) -> None:
    assert endpoint(text) == expected


@pytest.mark.parametrize("text", ["", ":50000", "10.0.0.1:port"])
def test_endpoint_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        endpoint(text)


def test_endpoint_text() -> None:
    assert [str(endpoint(text)) for text in ("fd00::1", "[fd00::1]:7", "a:50000")] == ["[fd00::1]", "[fd00::1]:7", "a"]


def test_parse(authority: Authority) -> None:
    config = parse(talosconfig(authority, "10.0.0.1", "10.0.0.2:50001"))
    assert config.context == "test"
    assert config.endpoints == (Endpoint("10.0.0.1"), Endpoint("10.0.0.2", 50001))
    assert config.ca == authority.pem
    assert config.key.startswith("-----BEGIN PRIVATE KEY-----")
    assert config.tls_context().verify_mode is ssl.CERT_REQUIRED
    assert config.key not in repr(config)


def test_parse_target_stands_for_endpoints(authority: Authority) -> None:
    assert parse(talosconfig(authority, target="10.0.0.9")).endpoints == (Endpoint("10.0.0.9"),)


def _contexts(authority: Authority, current: str | None, *names: str) -> str:
    context = yaml.safe_load(talosconfig(authority))["contexts"]["test"]
    return yaml.safe_dump({"context": current, "contexts": {name: {**context, "endpoints": [name]} for name in names}})


@pytest.mark.parametrize(
    ("current", "names", "wanted", "chosen"),
    [("b", "ab", None, "b"), ("b", "ab", "a", "a"), (None, "a", None, "a"), ("", "a", None, "a")],
)
def test_context_choice(authority: Authority, current: str | None, names: str, wanted: str | None, chosen: str) -> None:
    assert parse(_contexts(authority, current, *names), wanted).context == chosen


@pytest.mark.parametrize(
    ("current", "wanted", "match"),
    [(None, None, "names no current context; it has a, b"), ("a", "c", "has no context c; it has a, b"), ("z", None, "has no context z")],
)
def test_context_errors(authority: Authority, current: str | None, wanted: str | None, match: str) -> None:
    with pytest.raises(InputError, match=match):
        parse(_contexts(authority, current, "a", "b"), wanted)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "not YAML"),
        ("a: [canary-secret\nb: }", "not YAML"),
        ("- a", "not a mapping"),
        ("", "not a mapping"),
        ("context: a", "no contexts"),
        ("contexts: {a: {auth: {siderov1: {identity: me}}}}", "context a has no ca"),
        ("contexts: {a: {ca: '!!!'}}", "ca is not base64"),
        (f"contexts: {{a: {{ca: {base64.b64encode(b'hello').decode()}}}}}", "ca is not base64 of a PEM"),
    ],
)
def test_malformed(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        parse(text)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("word", ["ca", "crt"])
def test_not_a_certificate(authority: Authority, word: str) -> None:
    broken = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").decode()
    with pytest.raises(InputError, match=f"{word} is not a certificate"):
        parse(talosconfig(authority, **{word: broken}))


def test_expired_certificate(authority: Authority) -> None:
    with pytest.raises(InputError, match=r"client certificate expired on \d{4}-\d\d-\d\d .*talosctl config new"):
        parse(talosconfig(authority, lasts=-datetime.timedelta(days=1)))


def test_foreign_key(authority: Authority) -> None:
    other = Authority().issue("x", role="os:admin").key
    with pytest.raises(InputError, match="cannot be used"):
        parse(talosconfig(authority, key=base64.b64encode(other.encode()).decode())).tls_context()


def test_key_material_needs_no_file() -> None:
    before = {path.name for path in Path("/proc/self/fd").iterdir()}
    with tls.in_memory("secret") as path:
        with open(path) as opened:
            assert opened.read() == "secret"
        assert "memfd:" in str(Path(path).readlink())
    assert {path.name for path in Path("/proc/self/fd").iterdir()} == before


def test_without_memfd_a_pipe_serves(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    client = authority.issue("admin", role="os:admin")
    context = tls.verified_context(authority.pem, client.certificate, client.key.replace("ED25519 ", ""))
    assert len(context.get_ca_certs()) == 1


def test_what_two_bundles_of_authorities_have_in_common() -> None:
    one, other, third = Authority(), Authority(), Authority()
    assert tls.common_authorities(one.pem + other.pem, f"# theirs\n{third.pem}{other.pem}") == other.pem
    assert tls.common_authorities(one.pem, third.pem) == ""
