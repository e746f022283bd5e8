# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cluster_sources makes of Vault's answers: absent, forbidden and broken are three different things."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleError
from ansible_collections.k8s_cluster.manager.plugins.action import cluster_sources
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._sources import SourceProblem


class InvalidPath(Exception):
    """Named as hvac's."""


class Forbidden(Exception):
    """Named as hvac's."""


class Lookup:
    """community.hashi_vault's lookup, with answers by secret; counts what it is asked."""

    def __init__(self, own_retries: int | None = None, **answers: t.Any) -> None:
        self.answers = answers
        self.own_retries = own_retries
        self.asked: list[str] = []
        self.retries: t.Any = None

    def set_options(self, var_options: t.Any) -> None:
        assert var_options == {}

    def get_option(self, name: str) -> int | None:
        assert name == "retries"
        return self.own_retries

    def run(self, terms: list[str], variables: t.Any, engine_mount_point: str, retries: t.Any = None) -> list[dict[str, t.Any]]:
        assert engine_mount_point == "kv"
        self.retries = retries
        self.asked += terms
        answer = self.answers[terms[0]]
        if isinstance(answer, dict):
            return [{"secret": answer}]
        if isinstance(answer, AnsibleError):
            raise answer
        raise AnsibleError("hashi_vault said something long\nand a traceback") from answer


def vault(monkeypatch: pytest.MonkeyPatch, lookup: Lookup | None) -> cluster_sources.Vault:
    monkeypatch.setenv("VAULT_ADDR", "http://vault.invalid:8200")
    monkeypatch.setattr(cluster_sources.lookup_loader, "get", lambda *_arguments, **_more: lookup)
    return cluster_sources.Vault("kv", {}, None, None)


def ask(source: cluster_sources.Vault, name: str) -> dict[str, t.Any] | None:
    assert source.reader is not None
    return source.reader(name)


def test_a_vault_that_throttles_is_asked_again_as_its_users_say_or_else_as_we_do(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = Lookup(one={"a": "b"}), Lookup(own_retries=0, one={"a": "b"})
    for lookup in (ours, theirs):
        ask(vault(monkeypatch, lookup), "one")
    assert 429 in ours.retries["status_forcelist"]
    assert theirs.retries is None


def test_a_secret_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lookup = Lookup(a={"k": "v"})
    source = vault(monkeypatch, lookup)
    assert [ask(source, "a"), ask(source, "a")] == [{"k": "v"}] * 2
    assert lookup.asked == ["a"]


def test_an_absent_secret_is_none_and_a_forbidden_one_a_problem_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    source = vault(monkeypatch, Lookup(a=InvalidPath(), b=Forbidden(), c={"k": "v"}))
    assert ask(source, "a") is None
    with pytest.raises(SourceProblem, match=r"^secret b \(mount 'kv'\): the Vault token may not read it$"):
        ask(source, "b")
    assert ask(source, "c") == {"k": "v"}


def test_a_vault_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lookup = Lookup(a=ConnectionError(), b={"k": "v"})
    source = vault(monkeypatch, lookup)
    for name in ("a", "b"):
        with pytest.raises(SourceProblem, match=r"^Vault at http://vault\.invalid:8200: hashi_vault said something long$"):
            ask(source, name)
    assert lookup.asked == ["a"]


def test_a_missing_collection_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    source = vault(monkeypatch, None)
    with pytest.raises(SourceProblem, match="ansible-galaxy collection install community.hashi_vault"):
        ask(source, "a")


def test_without_an_address_there_is_no_vault_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_ADDR", raising=False)
    assert cluster_sources.Vault("kv", {}, None, None).reader is None
    assert cluster_sources.Vault("kv", {"ansible_hashi_vault_url": "http://v"}, None, None).reader is not None
