#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_node
short_description: Waits for, cordons, uncordons and deletes Kubernetes Node objects
version_added: 1.0.0
description:
  - Waits until nodes are Ready, cordons or uncordons them, or deletes their Node objects, for any number of nodes in one call, and tells which
    nodes the cluster has.
  - A Node that bears a wanted name but belongs to another machine is never touched; the node fails with the way out.
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
      - The nodes. An empty list only tells what there is.
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
      uid:
        description:
          - The UID of its Node object. A Node of its name that has another one is not the wanted one, and left alone.
        type: str
      new:
        description:
          - The VM does not exist yet. Any Node of this name is then a leftover and fails the node, so that a name is not used
            again before its past is gone.
        type: bool
        default: false
  state:
    description:
      - V(ready) waits until all nodes are Ready, asking for all of them together. It changes nothing.
      - V(cordoned) marks them unschedulable. Nodes that have no Node object are passed over.
      - V(uncordoned) takes that mark off.
      - V(absent) deletes the Node objects, provided that they are still the ones that were read (UID). Nodes already gone are fine.
    type: str
    choices: [ready, cordoned, uncordoned, absent]
    default: ready
  wait_timeout:
    description: Seconds to wait for V(ready). In check mode nothing is waited for.
    type: int
    default: 600
seealso:
  - module: k8s_cluster.manager.k8s_node_drain
"""

EXAMPLES = r"""
- name: Which nodes are there?
  k8s_cluster.manager.k8s_node:
    kubeconfig: "{{ kubeconfig }}"
    nodes: []
  register: kubernetes

- name: Wait for two new nodes
  k8s_cluster.manager.k8s_node:
    kubeconfig: "{{ kubeconfig }}"
    cluster: fargle
    nodes:
      - name: fargle-worker-7
        address: 10.0.1.57
      - name: fargle-worker-8
        address: 10.0.2.58
    wait_timeout: 300

- name: Delete a Node object, asking one control plane directly
  k8s_cluster.manager.k8s_node:
    kubeconfig: "{{ kubeconfig }}"
    server: https://10.0.1.5:6443
    nodes:
      - name: fargle-worker-7
        address: 10.0.1.57
    state: absent
"""

RETURN = r"""
nodes:
  description: The Node object of each wanted node, in the order of O(nodes). Empty strings and V(false) where there is none.
  returned: always
  type: list
  elements: dict
  contains: &node
    name:
      description: The name as given in O(nodes).
      type: str
    timing:
      description:
        - In RV(nodes) only. Seconds from the beginning of the call at which it was first seen in each phase. Missing when it was not waited for.
        - The phases are V(unregistered) (it has no Node object), V(NotReady), V(Ready).
      type: dict
      sample: {unregistered: 0.1, NotReady: 4.2, Ready: 21.7}
    node_name:
      description: The Node object's name.
      type: str
    uid:
      description: The Node object's UID.
      type: str
    ready:
      description: Whether its condition Ready is true.
      type: bool
    condition:
      description: The Ready condition in words.
      type: str
    address:
      description: The first internal address.
      type: str
    provider_id:
      description: The provider ID, empty without a cloud controller.
      type: str
    labels:
      description: Its labels.
      type: dict
    taints:
      description: Its taints, with C(key), C(value) and C(effect).
      type: list
      elements: dict
    unschedulable:
      description: Whether it is cordoned.
      type: bool
    created:
      description: When the object was made.
      type: str
    kubelet_version:
      description: The version of its kubelet, which is its Kubernetes version.
      type: str
    os_image:
      description: Its operating system, with Talos' version.
      type: str
  sample:
    - name: fargle-worker-7
      node_name: fargle-worker-7.example.com
      uid: 5f0ed57b-6d9c-4f6b-9d46-6e1b8e3cf0c1
      ready: true
      condition: "Ready=True KubeletReady: kubelet is posting ready status"
      address: 10.0.1.57
      provider_id: aws:///eu-central-1a/i-0123456789abcdef0
      labels: {}
      taints: []
      unschedulable: false
      created: "2026-11-22T15:00:00Z"
      kubelet_version: v1.34.1
      os_image: Talos (v1.11.3)
all_nodes:
  description: All Node objects of the cluster, in the shape of RV(nodes); C(name) is the object's own name.
  returned: when the API answered
  type: list
  elements: dict
  contains: *node
cluster_id:
  description: The UID of namespace C(kube-system), which tells clusters apart.
  returned: when the API answered and O(nodes) is empty
  type: str
  sample: 8f7a6a1e-3f0d-4f5f-8a27-4a2f5d2f9a11
ca_sha256:
  description: SHA-256 (hex) of the DER form of the kubeconfig's CA certificate.
  returned: when the API answered
  type: str
plan:
  description: The changes, with C(verb), C(node) and C(target); the same in check mode and in the run that follows.
  returned: when the API answered
  type: list
  elements: dict
failures:
  description: The nodes that failed, with C(name) and C(msg). The others have been carried to the end.
  returned: when nodes failed
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.arguments import SOURCES, api_for, connection_arguments, node_arguments
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.from_talos import endpoint_warning
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.lease import LEASE_OPTION, kept
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.nodes import CONCURRENCY, NodeOptions, wanted_nodes, work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome, run


def main() -> None:
    """Wire the options to the work."""
    module = AnsibleModule(
        argument_spec={
            **connection_arguments(),
            **LEASE_OPTION,
            "nodes": node_arguments(new={"type": "bool", "default": False}, uid={"type": "str"}),
            "state": {"type": "str", "choices": ["ready", "cordoned", "uncordoned", "absent"], "default": "ready"},
            "wait_timeout": {"type": "int", "default": 600},
        },
        required_one_of=SOURCES,
        mutually_exclusive=SOURCES,
        supports_check_mode=True,
    )

    def started() -> Outcome:
        options = NodeOptions(wanted_nodes(module.params["nodes"]), module.params["state"], module.params["wait_timeout"])
        with api_for(module.params, CONCURRENCY) as api:
            outcome = work(options, api, module.check_mode)
            if module.params["talosconfig"] and options.state == "ready" and options.nodes and not module.check_mode and not outcome.failures:
                outcome.warnings += filter(None, [endpoint_warning(api)])
            return outcome

    run(module, started, kept)


if __name__ == "__main__":
    main()
