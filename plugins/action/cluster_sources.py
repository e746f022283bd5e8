# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a cluster's inputs on the controller, where the user's files, Vault token and environment are."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

from ..plugin_utils import _node_config, _preparation, _sources

# Ansible's main process loads this action before it forks for it: the first that a role used by itself comes to.
_preparation.prepare()

LOOKUP = "community.hashi_vault.vault_kv2_get"

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "cluster": {"type": "str", "required": True},
    "role": {"type": "str", "choices": ["worker", "controlplane"]},
    "role_word": {"type": "str"},
    "required": {"type": "list", "elements": "str", "default": []},
    "secret_mount": {"type": "str", "default": "secret"},
    "secret_names": {"type": "dict", "default": {}},
    "machine_config_file": {"type": "str"},
    "patch_file": {"type": "str"},
    "node_config_file": {"type": "str"},
    "talosconfig_file": {"type": "str"},
    "kubeconfig_file": {"type": "str"},
    "machine_config": {"type": "raw", "no_log": True},
    "patch": {"type": "raw", "no_log": True},
    "node_config": {"type": "raw", "no_log": True},
    "talosconfig": {"type": "raw", "no_log": True},
    "kubeconfig": {"type": "raw", "no_log": True},
}

# Names of the secrets; {cluster} and {role} are filled in.
SECRET_NAMES = {
    "machine_config": "cluster-{cluster}-machine-{role}",
    "patch": "cluster-{cluster}-patch-{role}",
    "node_config": "cluster-{cluster}-node-{role}",
    "talosconfig": "cluster-{cluster}-talosconfig",
    "kubeconfig": "cluster-{cluster}-kubeconfig",
    "all": "cluster-{cluster}-{role}",
}
OF_A_ROLE = ("machine_config", "patch", "node_config")
# Of the lookup, unless its own option says otherwise (urllib3's words): answers of a Vault that throttles or changes its leader are waited
# out for about a minute, one that does not answer is told of soon. The lookup's own defaults leave out 429, since standbys' health is that.
RETRIES = {
    "total": 8,
    "connect": 1,
    "read": 2,
    "other": 0,
    "status_forcelist": [412, 429, 500, 502, 503],
    "allowed_methods": None,
    "backoff_factor": 0.3,
}
ADDRESS_VARIABLES = ("ansible_hashi_vault_url", "ansible_hashi_vault_addr")
ENVIRONMENT = {"talosconfig": "TALOSCONFIG", "kubeconfig": "KUBECONFIG"}


class ActionModule(ActionBase):
    """Returns sources (name to text, null when absent), node_config (a mapping), cloudflare, and problems (texts)."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Read every source once; report all problems together."""
        result = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(ARGUMENTS)
        self._variables = task_vars or {}
        self._vault = Vault(options["secret_mount"], self._variables, self._loader, self._templar)
        self._problems: dict[str, str] = {}
        names = {**SECRET_NAMES, **options["secret_names"]}
        sources = {name: self._source(name, options, names) for name in SECRET_NAMES if name != "all"}
        one = self._one_secret(options, names) if options["role"] else {}
        for name, key in _sources.ONE_SECRET_KEYS.items():
            if sources[name] is None and one.get(key):
                sources[name] = _sources.as_text(one[key])
        for name in options["required"]:
            if sources[name] is None and name not in self._problems:
                self._problems[name] = self._absent(name, _names(names[name], options))
        node_config, problems = _node_config.parse(sources["node_config"] or {})
        result.update(
            changed=False,
            sources=sources,
            node_config=node_config,
            cloudflare={"api_token": one.get("CLOUDFLARE_API_TOKEN"), "zone_id": one.get("CLOUDFLARE_ZONE_ID")},
            problems=[*dict.fromkeys(self._problems.values()), *(problems if sources["node_config"] else [])],
        )
        return result

    def _source(self, name: str, options: dict[str, t.Any], names: dict[str, str]) -> str | None:
        """One source's text, or None; a problem is noted."""
        if name in OF_A_ROLE and not options["role"]:
            return None
        source = _sources.Source(name, options.get(f"{name}_file"), options.get(name), ENVIRONMENT.get(name))
        try:
            return _sources.read(source, _names(names[name], options), self._vault.reader, os.environ)
        except _sources.SourceProblem as problem:
            self._problems[name] = str(problem)
            return None

    def _one_secret(self, options: dict[str, t.Any], names: dict[str, str]) -> dict[str, t.Any]:
        """The secret that holds all sources of a role, or nothing."""
        reader = self._vault.reader
        try:
            return next((found for name in _names(names["all"], options) if reader and (found := reader(name))), {})
        except _sources.SourceProblem as problem:
            self._problems["all"] = str(problem)
            return {}

    def _absent(self, name: str, tried: list[str]) -> str:
        """What to tell about a required source that nothing gave."""
        where = f"Vault has no secret {' or '.join(tried)} under mount {self._vault.mount!r}" if self._vault.reader else "VAULT_ADDR is not set"
        return f"{name}: not found: {where}; store it there or give {name}_file"


class Vault:
    """KVv2 secrets of one mount through community.hashi_vault's lookup; each is read at most once."""

    def __init__(self, mount: str, variables: dict[str, t.Any], loader: t.Any, templar: t.Any) -> None:
        self.mount = mount
        self._variables, self._loader, self._templar = variables, loader, templar
        self._read: dict[str, dict[str, t.Any] | None] = {}
        self._broken = ""
        address = os.environ.get("VAULT_ADDR") or next((variables[key] for key in ADDRESS_VARIABLES if variables.get(key)), "")
        self._address = str(address)

    @property
    def reader(self) -> _sources.SecretReader | None:
        """A function from a secret's name to its data or None; None where no Vault is configured."""
        return self._secret if self._address else None

    def _secret(self, name: str) -> dict[str, t.Any] | None:
        if self._broken:
            raise _sources.SourceProblem(self._broken)
        if name not in self._read:
            self._read[name] = self._ask(name)
        return self._read[name]

    def _ask(self, name: str) -> dict[str, t.Any] | None:
        """Ask Vault. Only a refused path concerns that path alone; after any other error asking on is pointless."""
        plugin = lookup_loader.get(LOOKUP, loader=self._loader, templar=self._templar)
        if plugin is None:
            self._fail("community.hashi_vault is not installed: ansible-galaxy collection install community.hashi_vault")
        try:
            plugin.set_options(var_options=self._variables)
            patience = {} if plugin.get_option("retries") is not None else {"retries": RETRIES}
            return dict(plugin.run([name], variables=self._variables, engine_mount_point=self.mount, **patience)[0]["secret"])
        except AnsibleError as error:
            cause = type(error.__cause__).__name__
            if cause == "InvalidPath":
                return None
            if cause == "Forbidden":
                raise _sources.SourceProblem(f"secret {name} (mount {self.mount!r}): the Vault token may not read it") from None
            self._fail(f"Vault at {self._address}: {_first_line(error)}")
        except Exception as error:  # hvac and requests have a zoo of types for one thing: Vault does not answer
            self._fail(f"Vault at {self._address} (VAULT_ADDR): {type(error).__name__}: {_first_line(error)}")
        return None

    def _fail(self, message: str) -> t.NoReturn:
        self._broken = message
        raise _sources.SourceProblem(message) from None


def _names(pattern: str, options: dict[str, t.Any]) -> list[str]:
    """The secrets to try for a pattern, in order."""
    words = _sources.spellings(options["role"], options["role_word"]) if options["role"] else [""]
    return list(dict.fromkeys(pattern.format(cluster=options["cluster"], role=word) for word in words))


def _first_line(error: Exception) -> str:
    """The first line of an error; the rest is tracebacks of libraries."""
    return str(error).strip().split("\n", maxsplit=1)[0]
