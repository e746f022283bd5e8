#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_host
short_description: Make a cluster the host of a play
version_added: 1.0.0
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
description:
  - The collection's roles run on a host that stands for a cluster. This makes it, the only one in the group C(k8s_cluster_manager_<cluster>), for
    the next play.
  - Without an inventory, a local host of the cluster's name is added. A host of that name in the inventory is used as it is, modules run where its
    C(ansible_host) or C(ansible_connection) says. A group of that name holds nodes; a host C(cluster-<name>) is added to it, so that the group's
    variables apply.
  - It fails for a name that is a pattern or has a meaning in Ansible, for a cluster that the inventory does not know although it knows others, and where
    C(--limit) or C(--tags) leaves the cluster or its steps out, since the next play would run on no host and look successful. A playbook that imports
    another one may leave it out by tags.
  - No host is contacted. Ansible reports an added host as a change; where that is not wanted, set C(changed_when).
extends_documentation_fragment:
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.info_module
options:
  cluster:
    description: The cluster's name, of letters, digits, C(-) and C(_).
    type: raw
    required: true
seealso:
  - module: ansible.builtin.add_host
"""

EXAMPLES = r"""
- name: Find the cluster
  hosts: all:localhost
  gather_facts: false
  tasks:
    - name: Find the cluster
      k8s_cluster.manager.cluster_host:
        cluster: fargle
      changed_when: false

- name: Add a worker
  hosts: k8s_cluster_manager_fargle
  gather_facts: false
  roles:
    - role: k8s_cluster.manager.create_node
"""

RETURN = r"""
add_host:
  description: The host, its groups and its variables.
  returned: success
  type: dict
  sample:
    host_name: fargle
    groups: [k8s_cluster_manager_fargle]
    host_vars: {cluster_name: fargle, ansible_connection: local}
"""
