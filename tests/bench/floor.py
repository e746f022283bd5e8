# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor: playbooks with the tasks of our own, whose modules are ordinary ones that import the same SDKs and do nothing.

python -m tests.bench.floor writes them anew, after our playbooks got more tasks, or fewer.
"""

from __future__ import annotations

import sys
import typing as t

import yaml

from tests import conftest  # noqa: F401 - makes the collection importable
from tests.sandbox.fixture import sandbox

from .measured import PLAYBOOKS, Run
from .world import Bench

# Module of ours -> the one that stands for it.
STANDS_FOR = {
    "cluster_host": "add_host",
    "cluster_sources": "floor_vault",
    **dict.fromkeys(("cluster_info", "cluster_price", "ec2_node", "nlb_target"), "floor_aws"),
    **dict.fromkeys(("k8s_lease", "k8s_node", "k8s_node_drain"), "floor_kubernetes"),
    **dict.fromkeys(("talos_apply_config", "talos_bootstrap", "talos_etcd_member"), "floor_talos"),
    "cloudflare_record": "floor_cloudflare",
}
# Ansible's own modules as they are, with little to do.
ITSELF: dict[str, dict[str, t.Any]] = {
    "add_host": {"ansible.builtin.add_host": {"name": "floor", "ansible_connection": "local"}, "changed_when": False},
    "assert": {"ansible.builtin.assert": {"that": True, "quiet": True}},
    "include_tasks": {"ansible.builtin.include_tasks": "nothing.yml"},
    "debug": {"ansible.builtin.debug": {"msg": "floor"}},
    "set_fact": {"ansible.builtin.set_fact": {"floor_fact": "{{ inventory_hostname }}"}},
    "set_stats": {"ansible.builtin.set_stats": {"data": {"floor": "{{ inventory_hostname }}"}}},
    "skipped": {"ansible.builtin.debug": {"msg": "floor"}, "when": False},
    "validate_argument_spec": {"ansible.builtin.validate_argument_spec": {"argument_spec": {}, "provided_arguments": {}}},
}
HEAD = """\
---
# As many tasks as {name}.yml has for one worker, each module an ordinary one that imports the SDKs of the one it stands
# for, makes no call and returns. Written by python -m tests.bench.floor.
"""


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: lists are indented, nothing is an alias."""

    def ignore_aliases(self, data: t.Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


def expected(tasks: t.Iterable[str]) -> list[str]:
    """The tasks of the floor of a run with these tasks."""
    return [STANDS_FOR.get(task, task) for task in tasks]


def playbook(name: str, tasks: t.Iterable[str]) -> str:
    """The floor of a run with these tasks, as text."""
    named = [{"name": f"Do nothing as {task}", **ITSELF.get(task, {task: {}})} for task in expected(tasks)]
    play = {
        "name": f"The floor of {name}",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_pipelining": True, "ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": named,
    }
    return HEAD.format(name=name) + yaml.dump([play], Dumper=_Dumper, sort_keys=False, width=160)


def write(name: str, run: Run) -> None:
    """Write the floor of this run."""
    (PLAYBOOKS / f"floor_{name}.yml").write_text(playbook(name, run.tasks))


def main() -> int:
    """Write all floors."""
    with sandbox() as cloud:
        bench = Bench(cloud)
        bench.reset()
        write("create_node", bench.create(1))
        write("delete_node", bench.delete(1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
