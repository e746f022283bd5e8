#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_node_drain
short_description: Drains Kubernetes nodes
version_added: 1.0.0
description:
  - Cordons all nodes, then evicts their pods side by side, and waits until the pods are gone and their volumes are detached.
  - An eviction that a pod disruption budget refuses is tried again until O(timeout), at the pace that the API asks for.
  - Pods that belong to a DaemonSet, static pods and finished pods are left alone. A pod counts as gone when the one with its UID
    is; a new pod of the same name elsewhere is not waited for.
  - What can be known to fail is reported before anything is cordoned, for all pods together.
  - A node that could not be drained in time stays cordoned; the failure names each pod that is left and what holds it.
    Repeating the call goes on from there.
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
extends_documentation_fragment:
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.set_module
  - k8s_cluster.manager.attributes.actiongroup_kubernetes
  - k8s_cluster.manager.kubernetes
  - k8s_cluster.manager.kubernetes.lease
options:
  nodes:
    description:
      - The nodes. One without a Node object counts as drained.
      - A Node object is the wanted one when its provider ID or its internal address says so. By name alone (its name, hostname, or
        the first label of either) it is taken only while neither side knows more, because names are used again.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The node's name.
        type: str
        required: true
      address:
        description: The VM's private address.
        type: str
      hostname:
        description: The hostname in its machine config, where that is not O(nodes[].name) or that with a domain.
        type: str
      provider_id:
        description: The VM's provider ID (V(aws:///eu-central-1a/i-0123456789abcdef0)) or its instance ID.
        type: str
        aliases: [instance_id]
  cordon:
    description:
      - Whether to cordon the nodes first.
      - V(false) is for a play that has cordoned them earlier, with M(k8s_cluster.manager.k8s_node). In check mode, where that has
        not happened, the cordoning is then not planned twice.
    type: bool
    default: true
  concurrency:
    description: How many nodes are worked on at the same time.
    type: int
    default: 8
  timeout:
    description: Seconds that the evictions of all nodes may take.
    type: int
    default: 300
  volume_timeout:
    description:
      - Seconds to wait, once the pods are gone, until no volume is attached to the nodes. Volumes of DaemonSet pods do not count.
      - A machine that is terminated before its volumes are detached leaves them unusable for minutes.
    type: int
    default: 600
  force:
    description: Whether pods that no controller would make again may be evicted. They are lost.
    type: bool
    default: false
  delete_emptydir_data:
    description: Whether pods with C(emptyDir) volumes may be evicted. Their data is lost.
    type: bool
    default: false
  disable_eviction:
    description: Whether to delete the pods instead of evicting them, past all pod disruption budgets.
    type: bool
    default: false
  terminate_grace_period:
    description: Seconds that every pod gets to stop, instead of what the pod asks for.
    type: int
  unreachable:
    description:
      - What to do with a node whose kubelet does not answer. Its pods cannot be seen to stop, and they stay C(Terminating).
      - V(fail) fails such a node before anything is changed.
      - V(force) asks once for each of its pods to go, so that replacements start, and waits for nothing. Only for
        machines that are dead or terminated next.
    type: str
    choices: [fail, force]
    default: fail
seealso:
  - module: k8s_cluster.manager.k8s_node
  - module: kubernetes.core.k8s_drain
    description: Drains one node, and gives up at the first eviction that a disruption budget refuses.
"""

EXAMPLES = r"""
- name: Drain two workers
  k8s_cluster.manager.k8s_node_drain:
    kubeconfig: "{{ kubeconfig }}"
    cluster: fargle
    nodes:
      - name: fargle-worker-7
        address: 10.0.1.57
      - name: fargle-worker-8
        address: 10.0.2.58
    timeout: 900
    delete_emptydir_data: true

- name: Move on from a dead machine
  k8s_cluster.manager.k8s_node_drain:
    kubeconfig: "{{ kubeconfig }}"
    nodes:
      - name: fargle-worker-9
        address: 10.0.3.59
    unreachable: force
"""

RETURN = r"""
nodes:
  description: What became of each node's pods, in the order of O(nodes).
  returned: when the API answered
  type: list
  elements: dict
  contains:
    name:
      description: The name as given in O(nodes).
      type: str
    timing:
      description:
        - Seconds from the beginning of the call at which it was first seen in each phase. Missing when it was not waited for.
        - The phases are V(draining), V(empty), V(detaching), V(detached).
      type: dict
      sample: {draining: 0.2, empty: 18.4, detached: 18.6}
    node_names:
      description: The names of its Node objects, empty when there is none.
      type: list
      elements: str
    pods:
      description:
        - The pods, with C(namespace), C(name), C(result) and C(reason).
        - C(result) is V(evicted), V(deleted), V(gone) (by itself), V(skipped), V(terminating) (deleted by others, still there),
          V(blocked), V(failed) or V(pending) (not asked, because the node failed before). In check mode it is the prediction.
      type: list
      elements: dict
      sample:
        - namespace: shop
          name: web-7c9d-x2x9p
          result: blocked
          reason: "blocked by PodDisruptionBudget shop/web (needs 2 healthy pods and has 2)"
plan:
  description: The changes, with C(verb), C(node) and C(target); the same in check mode and in the run that follows.
  returned: when the API answered
  type: list
  elements: dict
failures:
  description: The nodes that failed, with C(name) and C(msg). The others have been drained.
  returned: when nodes failed
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.arguments import SOURCES, api_for, connection_arguments, node_arguments
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.drain import DrainOptions, work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.lease import LEASE_OPTION, kept
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.nodes import wanted_nodes
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome, run


def main() -> None:
    """Wire the options to the work."""
    own = {
        "cordon": {"type": "bool", "default": True},
        "concurrency": {"type": "int", "default": 8},
        "timeout": {"type": "int", "default": 300},
        "volume_timeout": {"type": "int", "default": 600},
        "force": {"type": "bool", "default": False},
        "delete_emptydir_data": {"type": "bool", "default": False},
        "disable_eviction": {"type": "bool", "default": False},
        "terminate_grace_period": {"type": "int"},
        "unreachable": {"type": "str", "choices": ["fail", "force"], "default": "fail"},
    }
    module = AnsibleModule(
        argument_spec={**connection_arguments(), **LEASE_OPTION, "nodes": node_arguments(), **own},
        required_one_of=SOURCES,
        mutually_exclusive=SOURCES,
        supports_check_mode=True,
    )

    def started() -> Outcome:
        options = DrainOptions(nodes=wanted_nodes(module.params["nodes"]), **{name: module.params[name] for name in own})
        with api_for(module.params, options.concurrency) as api:
            return work(options, api, module.check_mode)

    run(module, started, kept)


if __name__ == "__main__":
    main()
