#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_etcd_member
short_description: Takes control planes of a Talos cluster out of etcd
version_added: 1.0.0
description:
  - Takes any number of control planes out of etcd, one after the other, and tells who is in it and how much it can lose.
  - A node that answers is asked to hand over leadership and to leave; that it is gone is read from another member. A node that does not answer
    is removed by its member ID, if O(unreachable=force).
  - Before anything is done, all removals are checked together. A removal is refused when fewer healthy voters than the quorum would be left at
    any step, when etcd has no quorum now, when a healthy member would go while a sick one stays, or when another member is still joining.
    Removing the sick one of three is allowed.
  - A node is the member that has its address. A name alone counts only when the node's address is not known and exactly one member has the name.
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
extends_documentation_fragment:
  - k8s_cluster.manager.talos
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.set_module
  - k8s_cluster.manager.attributes.actiongroup_manager
  - k8s_cluster.manager.kubernetes.lease
options:
  talosconfig:
    description:
      - The text of a talosconfig with a client certificate of the role C(os:admin).
    type: str
    required: true
  endpoints:
    description:
      - Addresses of control planes to ask, the first that answers is used. Those of O(nodes) are not asked.
      - Without it the endpoints of O(talosconfig).
    type: list
    elements: str
    default: []
  nodes:
    description: The nodes to take out. An empty list only tells what there is.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The node's name.
        type: str
        required: true
      address:
        description: The node's private address.
        type: str
      hostname:
        description:
          - The node's hostname. When given, a member that has the address under another hostname is not taken for the node.
        type: str
      member_id:
        description: The member's ID, as RV(members[].id) tells it, where address and name are ambiguous.
        type: str
  state:
    description: V(absent) takes the nodes out.
    type: str
    choices: [absent]
    default: absent
  unreachable:
    description:
      - What to do with a node whose Talos API does not answer. V(fail) refuses before anything is done.
      - V(force) removes it by its member ID. Its machine must be off for good, a living one goes on with an ID that etcd refuses.
        A sick member whose Talos API answers is asked to leave first, and removed by its ID if it does not within O(wait_timeout).
    type: str
    choices: [fail, force]
    default: fail
  allow_single_control_plane:
    description: Allow that a single voting member is left of several. O(allow_last_control_plane=true) allows it too.
    type: bool
    default: false
  allow_last_control_plane:
    description:
      - Allow that no voting member is left, which is the end of the cluster. The nodes then do not leave etcd (the last one cannot), RV(nodes[].state)
        is V(last). If O(endpoints) has no other nodes, etcd that does not answer is tolerated.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait for each node to leave.
    type: int
    default: 300
seealso:
  - module: k8s_cluster.manager.talos_apply_config
"""

EXAMPLES = r"""
- name: Who is in etcd?
  k8s_cluster.manager.talos_etcd_member:
    talosconfig: "{{ talosconfig }}"
    nodes: []
  register: etcd

- name: Take a control plane out of etcd
  k8s_cluster.manager.talos_etcd_member:
    talosconfig: "{{ talosconfig }}"
    endpoints: [10.0.1.5, 10.0.2.5, 10.0.3.5]
    nodes:
      - name: fargle-controlplane-4
        address: 10.0.1.44

- name: Remove a dead one, whose machine has been stopped
  k8s_cluster.manager.talos_etcd_member:
    talosconfig: "{{ talosconfig }}"
    nodes:
      - name: fargle-controlplane-2
        address: 10.0.2.5
    unreachable: force
"""

RETURN = r"""
members:
  description: The members of etcd, after the change. In check mode, and with no nodes, as they are now.
  returned: when etcd was read
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
    healthy:
      description: Whether it answers, follows the same leader as the others, and has neither errors nor alarms.
      type: bool
    problem:
      description: Why it is not healthy.
      type: str
    leader:
      description: Whether it is the leader.
      type: bool
    alarms:
      description: Its alarms.
      type: list
      elements: str
  sample:
    - id: 5c2a1f0be4d99e31
      hostname: fargle-controlplane-1
      addresses: [10.0.1.5]
      learner: false
      healthy: true
      problem: ""
      leader: true
      alarms: []
quorum:
  description: The C(voters), how many of them are C(healthy), how many are C(needed), and how many more may fail (C(tolerates)).
  returned: when etcd was read
  type: dict
  sample: {voters: 3, healthy: 3, needed: 2, tolerates: 1}
nodes:
  description: The nodes, in the order of O(nodes).
  returned: when etcd was read
  type: list
  elements: dict
  contains:
    name:
      description: The node's name.
      type: str
    timing:
      description:
        - Seconds from the beginning of the call at which it was first seen in each phase. Missing when it was not waited for.
        - The phases are V(leaving), V(left).
      type: dict
      sample: {leaving: 0.2, left: 2.9}
    member_id:
      description: The ID that it has or had, empty if it was no member.
      type: str
    state:
      description: V(absent), V(present) (it failed), V(last) (left in, because nobody stays), or V(unknown) (etcd could not be read, which was allowed).
      type: str
  sample:
    - name: fargle-controlplane-4
      member_id: 8e9e05c52164694d
      state: absent
ghosts:
  description: The IDs of members that bear a node's name but not its address, left alone.
  returned: when etcd was read
  type: list
  elements: str
ca_sha256:
  description: The SHA-256 of the Talos CA certificate (DER) of the cluster that O(talosconfig) is for.
  returned: always
  type: str
plan:
  description: The removals, with C(verb) (C(leave) or C(remove)), C(node) and C(target), the same in check mode and in the run that follows.
  returned: when etcd was read
  type: list
  elements: dict
failures:
  description: The nodes that failed, with C(name) and C(msg).
  returned: when nodes failed
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.lease import LEASE_OPTION, kept
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import run
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.etcd import etcd_members


def main() -> None:
    """Wire the options to the work."""
    node = {"name": {"type": "str", "required": True}, "address": {"type": "str"}, "hostname": {"type": "str"}, "member_id": {"type": "str"}}
    module = AnsibleModule(
        argument_spec={
            **LEASE_OPTION,
            "talosconfig": {"type": "str", "required": True, "no_log": True},
            "context": {"type": "str"},
            "endpoints": {"type": "list", "elements": "str", "default": []},
            "nodes": {"type": "list", "elements": "dict", "required": True, "options": node},
            "state": {"type": "str", "choices": ["absent"], "default": "absent"},
            "unreachable": {"type": "str", "choices": ["fail", "force"], "default": "fail"},
            "allow_single_control_plane": {"type": "bool", "default": False},
            "allow_last_control_plane": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    run(module, lambda: etcd_members(module.params, module.check_mode), kept)


if __name__ == "__main__":
    main()
