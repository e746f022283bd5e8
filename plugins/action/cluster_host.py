# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the cluster that a play is about the one host of a group, whatever the inventory looks like."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

from ansible import context
from ansible.errors import AnsibleActionFail, AnsibleActionSkip
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

from ..plugin_utils import _preparation

# Ansible's main process loads this action, the first of every playbook's, before it forks for it.
_preparation.prepare()

# The group whose only host a cluster is. One for each: a run may be about several.
TARGET = "k8s_cluster_manager_{}"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# Names that Ansible has a meaning for.
NO_CLUSTERS = ("all", "ungrouped", "localhost")
ARGUMENTS: dict[str, dict[str, t.Any]] = {"cluster": {"type": "raw", "required": True}}

Groups = t.Mapping[str, t.Sequence[str]]


class ActionModule(ActionBase):
    """Adds a host, by ansible.builtin.add_host: how an action does that differs between releases of ansible-core."""

    # Once for a run, however many hosts the play has.
    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """The cluster as a host. Fails for a name that is none, one that the inventory does not know, and one that --limit leaves out."""
        result = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(ARGUMENTS)
        variables = task_vars or {}
        self._check_tags(variables)
        groups: Groups = variables["groups"]
        cluster = _name(options["cluster"])
        _check_known(cluster, groups, variables["hostvars"])
        host, own_groups = place(cluster, groups)
        self._check_limit(cluster, {"all": [host], **dict.fromkeys(own_groups, [host])}, variables)
        known = variables["hostvars"][cluster] if cluster in groups["all"] else {}
        # ansible_host and the like send the modules elsewhere, a bastion for example, where another Python is.
        elsewhere = "ansible_host" in known or "ansible_connection" in known
        here = {} if elsewhere else {"ansible_connection": "local", "ansible_python_interpreter": variables["ansible_playbook_python"]}
        result.update(self._add_host({"name": host, "groups": own_groups, "cluster_name": cluster, **here}, variables), changed=False)
        return result

    def _check_tags(self, variables: dict[str, t.Any]) -> None:
        """Fail where --tags leaves out the tasks that follow: the run would be green and have done nothing. A playbook that imports this one may."""
        chosen, tags = variables["ansible_run_tags"], [tag for tag in self._task.tags if tag != "always"]
        if {"all", *(["tagged", *tags] if tags else ["untagged"])} & set(chosen):
            return
        own = Path(self._task.get_path().rpartition(":")[0]).stem
        if own in [name.rpartition("/")[2].removesuffix(".yml").rpartition(".")[2] for name in context.CLIARGS["args"]]:
            raise AnsibleActionFail(f"--tags {','.join(chosen)} leaves out what {own} does: its steps belong together. Use --check for its checks alone.")
        raise AnsibleActionSkip("left out by --tags")

    def _add_host(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """What ansible.builtin.add_host answers to these arguments."""
        task = self._task.copy()
        task.args = arguments
        action = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.add_host",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return t.cast("dict[str, t.Any]", action.run(task_vars=variables))

    def _check_limit(self, cluster: str, added: Groups, variables: dict[str, t.Any]) -> None:
        """Fail where --limit leaves the host out: the next play would be green for having no host."""
        limit = variables.get("ansible_limit")
        if limit is None:
            return
        groups = {name: [*variables["groups"].get(name, []), *added.get(name, [])] for name in {**variables["groups"], **added}}
        lookup = lookup_loader.get("ansible.builtin.inventory_hostnames", loader=self._loader, templar=self._templar)
        if added["all"][0] not in lookup.run([limit], variables={"groups": groups}):
            raise AnsibleActionFail(f"--limit {limit} leaves out the cluster {cluster}. Leave --limit away, or let it name the cluster.")


def place(cluster: str, groups: Groups) -> tuple[str, list[str]]:
    """The host that stands for a cluster, and its groups.

    A host of the cluster's name is the cluster. In a group of its name the hosts are nodes: there a host of another name stands for the
    cluster, so that the group's variables apply and no node is taken for a cluster.
    """
    target = TARGET.format(cluster)
    if cluster in groups and cluster not in groups["all"]:
        return f"cluster-{cluster}", [target, cluster]
    return cluster, [target]


def _name(given: t.Any) -> str:
    """The cluster's name, if it can be one."""
    name = str("" if given is None else given)
    if not NAME.fullmatch(name) or name in NO_CLUSTERS:
        raise AnsibleActionFail(
            f'cluster: {json.dumps(name)} is not a cluster\'s name. Give one, as in -e "cluster=fargle": letters, digits, - and _, '
            f"no pattern, and none of {', '.join(NO_CLUSTERS)}."
        )
    return name


def _check_known(cluster: str, groups: Groups, hosts: t.Mapping[str, t.Mapping[str, t.Any]]) -> None:
    """Fail for a cluster that is missing in an inventory that knows any host. Clusters that were added by this run are in no inventory."""
    if cluster in groups or cluster in groups["all"]:
        return
    others = [name for name in sorted(set(groups["all"]) - {"localhost"}) if hosts[name].get("inventory_file")]
    if others:
        raise AnsibleActionFail(
            f"cluster: the inventory has no host and no group {cluster}. It knows {', '.join(others)}. "
            f"Correct the name, add {cluster} as a host, or run without an inventory."
        )
