#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_bootstrap
short_description: Bootstraps etcd of a new Talos cluster, once
version_added: 1.0.0
description:
  - Makes one control plane of a new cluster the first member of its etcd. Until then no control plane gets any further, and no other node joins.
  - Bootstrapping a second control plane would split the cluster in two. Therefore all control planes are asked first, each whether it knows
    etcd's members and whether etcd's data is on its disk. Only when all that are configured answer, and none has any part in etcd, the first of
    them in the order of O(nodes) is told to bootstrap. One that does not answer could have been bootstrapped, so it is waited for.
  - Ends when etcd answers. If it did so from the start, nothing is changed.
  - An answer that is lost is never a reason to tell another control plane. The same one is told again when it shows no sign of etcd;
    Talos itself refuses this if it has data of etcd.
  - Fails if it finds two etcds.
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
extends_documentation_fragment:
  - k8s_cluster.manager.talos
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.set_module
  - k8s_cluster.manager.attributes.actiongroup_manager
options:
  talosconfig:
    description:
      - The text of a talosconfig of the cluster, with a client certificate of the role C(os:admin).
      - Its endpoints that are not in O(nodes) are asked too, if they answer. One that knows members of etcd stops the module.
    type: str
    required: true
  nodes:
    description:
      - All control planes of the cluster, those first that should rather be the first member. Keep the order when the task is run again.
      - In check mode their addresses may be missing, for VMs that do not exist yet.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The node's name.
        type: str
        required: true
      address:
        description: The address at which the node's Talos API is reached.
        type: str
  wait_timeout:
    description: Seconds to wait until all control planes can be asked and etcd answers.
    type: int
    default: 600
seealso:
  - module: k8s_cluster.manager.talos_apply_config
  - module: k8s_cluster.manager.talos_etcd_member
  - module: k8s_cluster.manager.talos_kubeconfig
"""

EXAMPLES = r"""
- name: Bootstrap etcd on the first control plane, unless it is bootstrapped
  k8s_cluster.manager.talos_bootstrap:
    talosconfig: "{{ talosconfig }}"
    nodes:
      - name: barney-controlplane-1
        address: 10.0.1.11
      - name: barney-controlplane-2
        address: 10.0.2.12
"""

RETURN = r"""
bootstrapped:
  description: Whether etcd is bootstrapped, in check mode whether it would be afterwards.
  returned: success
  type: bool
members:
  description: The members of etcd, if there are any yet.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The member's ID, 16 hexadecimal digits.
      type: str
    hostname:
      description: Its hostname, empty for one that was added and never started.
      type: str
    addresses:
      description: The hosts of its peer and client URLs.
      type: list
      elements: str
    learner:
      description: Whether it does not vote yet.
      type: bool
  sample:
    - id: 5c2a1f0be4d99e31
      hostname: barney-controlplane-1
      addresses: [10.0.1.11]
      learner: false
nodes:
  description: The control planes, in the order of O(nodes), as last seen.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The node's name.
      type: str
    timing:
      description:
        - Seconds from the beginning of the call at which it was first seen in each phase. Missing when it was not waited for.
        - The phases are those of RV(nodes[].etcd).
      type: dict
      sample: {empty: 0.1, member: 6.2}
    address:
      description: Its address, null while it has none.
      type: str
    etcd:
      description:
        - V(member) if it gives the member list, V(data) if etcd's data is on its disk and there is no member list, V(empty) if neither,
          V(maintenance) if it has no machine config, V(unknown) if it could not be asked, V(pending) if it does not exist yet.
      type: str
    seen:
      description: The same in words.
      type: str
  sample:
    - name: barney-controlplane-1
      address: 10.0.1.11
      etcd: member
      seen: etcd has one member
plan:
  description: The control plane to bootstrap, with C(verb), C(node) and C(target); empty if etcd is bootstrapped. The same in check mode.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import run
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.bootstrap import bootstrap


def main() -> None:
    """Wire the options to the work."""
    module = AnsibleModule(
        argument_spec={
            "talosconfig": {"type": "str", "required": True, "no_log": True},
            "context": {"type": "str"},
            "nodes": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {"name": {"type": "str", "required": True}, "address": {"type": "str"}},
            },
            "wait_timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    run(module, lambda: bootstrap(module.params, module.check_mode))


if __name__ == "__main__":
    main()
