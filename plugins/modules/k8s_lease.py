#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_lease
short_description: Lets one run at a time add or remove control planes
version_added: 1.0.0
description:
  - Takes the Kubernetes Lease C(k8s-cluster-manager) in namespace C(kube-system), waiting while another run holds it, or gives it back.
  - The lease lasts 60 seconds from its latest renewal. The modules that have the option C(lease) renew it while they run, and stop where it is lost.
  - Its holder identity says O(operation), O(nodes), user and host. A run that repeats a killed one, and so has the same, takes the lease over at once;
    others do when it has ended by itself. Should the first run still live, it finds that it has lost the lease.
  - A run may note in it what it has begun with O(unfinished). That outlives the run, and those who take the lease after it, until a run notes something else.
  - Times are the API server's, so the clock of the machine that this runs on does not matter.
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
extends_documentation_fragment:
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.set_module
  - k8s_cluster.manager.attributes.actiongroup_kubernetes
  - k8s_cluster.manager.kubernetes
attributes:
  idempotent:
    support: partial
    details:
      - Taking the lease begins a new acquisition each time, also of one's own.
options:
  operation:
    description: What it is taken for.
    type: str
    required: true
  nodes:
    description: The nodes that it is about.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(present) takes the lease. In check mode its holder is only shown.
      - V(absent) gives it back, where it is this holder's still. One in which something is noted stays, as nobody's.
    type: str
    choices: [present, absent]
    default: present
  acquired:
    description:
      - Which acquisition is given back, or noted in, as RV(acquired) told it. Nothing is given back when there is a later one. Without it, any of
        this holder's is.
    type: str
  unfinished:
    description:
      - With O(state=present) and O(acquired), the lease is not taken but renewed, and this noted in it, in the annotation C(k8s-cluster-manager/unfinished).
      - An empty one notes that nothing is unfinished.
    type: dict
  wait_timeout:
    description: Seconds to wait while others hold the lease. The failure then names the holder.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Wait until nobody else changes control planes
  k8s_cluster.manager.k8s_lease:
    kubeconfig: "{{ kubeconfig }}"
    operation: drain
    nodes: [fargle-controlplane-2]
  register: lease

- name: Drain a control plane, and keep the lease meanwhile
  k8s_cluster.manager.k8s_node_drain:
    kubeconfig: "{{ kubeconfig }}"
    nodes:
      - name: fargle-controlplane-2
    lease: "{{ {'holder': lease.holder, 'acquired': lease.acquired, 'kubeconfig': kubeconfig} | to_json }}"

- name: Give the lease back
  k8s_cluster.manager.k8s_lease:
    kubeconfig: "{{ kubeconfig }}"
    operation: drain
    nodes: [fargle-controlplane-2]
    acquired: "{{ lease.acquired }}"
    state: absent
"""

RETURN = r"""
holder:
  description: The holder identity of the lease as it is now, empty when it is nobody's. In check mode that of whoever holds it.
  returned: success
  type: str
  sample: delete_node fargle-controlplane-2 alice@laptop
acquired:
  description: When it was acquired, which tells this acquisition from all others.
  returned: success
  type: str
  sample: "2026-11-22T15:00:00.250000Z"
unfinished:
  description: What is noted in it.
  returned: when it was taken, or noted in
  type: dict
  sample: {fargle-worker-3: {instance_id: i-0123456789abcdef0}}
waited_for:
  description: The holder identities that it waited for.
  returned: when it was taken
  type: list
  elements: str
plan:
  description: The changes, with C(verb), C(node) and C(target).
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.arguments import SOURCES, api_for, connection_arguments
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.lease import LeaseOptions, work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome, run


def main() -> None:
    """Wire the options to the work."""
    module = AnsibleModule(
        argument_spec={
            **connection_arguments(),
            "operation": {"type": "str", "required": True},
            "nodes": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "acquired": {"type": "str"},
            "unfinished": {"type": "dict"},
            "wait_timeout": {"type": "int", "default": 600},
        },
        required_one_of=SOURCES,
        mutually_exclusive=SOURCES,
        required_by={"unfinished": ("acquired",)},
        supports_check_mode=True,
    )

    def started() -> Outcome:
        options = LeaseOptions.of(module.params)
        with api_for(module.params) as api:
            return work(options, api, module.check_mode)

    run(module, started)


if __name__ == "__main__":
    main()
