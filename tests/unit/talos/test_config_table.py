# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The field table: generated as its source says, complete, cheap, and sure of what is secret."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import merge, scalars, table
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.table import Field

from tests.fieldtable import generate


def fields(field: Field) -> t.Iterator[Field]:
    """A field and all below it."""
    yield field
    for child in field.fields.values():
        yield from fields(child)
    if field.item is not None:
        yield from fields(field.item)


ALL = [(name, field) for name in table.kinds() for field in fields(t.cast(table.Kind, table.kind(name)).root)]


def test_the_module_is_what_the_generator_writes() -> None:
    assert generate.TARGET.read_text(encoding="utf-8") == generate.generate(generate.read())


def test_every_row_is_in_a_tree() -> None:
    rows = {(row["document"], row["path"]) for row in generate.read()}
    known = {(name or "v1alpha1", field.path) for name, field in ALL if field.path}
    assert rows == known


def test_every_type_and_rule_is_known() -> None:
    words = {"struct", "list", "map", "unstructured", "arg", *scalars.PARSERS, *(f"enum:{name}" for name in scalars.ENUMS)}
    assert {field.kind for _name, field in ALL if not field.kind.startswith("x509")} <= words
    assert {field.merge for _name, field in ALL} <= {*merge.RULES, "-"}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("", "machine.token"),
        ("", "cluster.token"),
        ("", "cluster.secret"),
        ("", "cluster.aescbcEncryptionSecret"),
        ("", "cluster.secretboxEncryptionSecret"),
        ("", "machine.env"),
        ("", "machine.files[].content"),
        ("", "machine.registries.config.<k>.auth.password"),
        ("", "machine.network.interfaces[].wireguard.privateKey"),
        ("", "cluster.inlineManifests[].contents"),
        ("WireguardConfig", "peers[].presharedKey"),
        ("VolumeConfig", "encryption.keys[].static.passphrase"),
        ("KubeEtcdEncryptionConfig", "config"),
        ("SideroLinkConfig", "uniqueToken"),
        ("RegistryAuthConfig", "identityToken"),
        ("DiscoveryIdentityConfig", "clusterSecret"),
    ],
)
def test_secret_paths(kind: str, path: str) -> None:
    assert [field.secret for name, field in ALL if name == kind and field.path == path] == [True]


def test_words_that_sound_secret_are_judged() -> None:
    """A field of a future table whose name sounds secret must be marked, or be listed here as harmless."""
    harmless = {"publicKey", "keySize", "adUserPortKey", "secretName", "registerWithFQDN", "publicKeys"}
    suspects = ("password", "passphrase", "secret", "token", "privateKey", "presharedKey")
    sounding = {(name, field.path) for name, field in ALL if any(word.lower() in field.name.lower() for word in suspects) and field.name not in harmless}
    assert {(name, field.path) for name, field in ALL if field.secret} >= sounding
