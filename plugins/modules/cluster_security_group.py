#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a cluster's own security groups, and never touch others."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_security_group
short_description: Keep a cluster's own security groups, and never touch others
version_added: 1.0.0
description:
  - Works on a set of security groups that may name each other in their rules.
  - Groups that it makes are marked by the tag C(k8s-cluster-manager/owned) from birth. A group of a wanted name without that mark and the tag
    C(Cluster=<name>) is somebody else's; then nothing is changed or removed at all.
  - Incoming rules are made exactly those wanted, what lacks first. Outgoing rules are left as they are; EC2 lets a new group's traffic out.
  - With O(state=absent), the groups are taken out of the rules of the cluster's other own groups, and deleted as soon as no network interface has them any
    more. A load balancer's interfaces outlive it by a while.
  - The module M(amazon.aws.ec2_security_group) is not used for this since it changes whatever group has the name, reads all groups of the account twice for
    each group, and gives up at once on a group that a load balancer's interface still has.
  - The IAM actions needed are of C(ec2) C(DescribeSubnets), C(DescribeVpcs), C(DescribeSecurityGroups), C(DescribeNetworkInterfaces),
    C(CreateSecurityGroup), C(CreateTags), C(AuthorizeSecurityGroupIngress), C(RevokeSecurityGroupIngress) and C(DeleteSecurityGroup).
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
options:
  cluster:
    description:
      - Name of the cluster, the value of the tag C(Cluster).
    type: str
    required: true
  state:
    description:
      - Whether the groups are to be there.
    type: str
    choices: [present, absent]
    default: present
  subnet_ids:
    description:
      - Subnets of the VPC that the groups are in. Needed with O(state=present).
    type: list
    elements: str
    default: []
  security_groups:
    description:
      - The groups.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Its name.
        type: str
        required: true
      load_balancer:
        description:
          - The kind of load balancer it is for, the value of its tag C(LoadBalancer); V(none) for groups of nodes.
        type: str
        choices: [apiserver, ingress, none]
        default: none
      rules:
        description:
          - What may come in.
        type: list
        elements: dict
        default: []
        suboptions:
          protocol:
            description:
              - The protocol. V(-1) is all traffic.
            type: str
            choices: [tcp, udp, icmp, "-1"]
            default: tcp
          ports:
            description:
              - Ports and ranges of ports, such as V(443) and V(2379-2380). Needed for V(tcp) and V(udp), and not for others.
            type: list
            elements: str
            default: []
          sources:
            description:
              - From where - IP ranges, ids of security groups, names of groups of this call, V(self) for the group itself, V(vpc) for the VPC's own IPv4
                ranges.
            type: list
            elements: str
            required: true
  tags:
    description:
      - Further tags of the groups. Tags that are not named stay.
    type: dict
    default: {}
  wait_timeout:
    description:
      - Seconds to wait until nothing has a group that goes any more.
    type: int
    default: 600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.set_module
  - k8s_cluster.manager.attributes.actiongroup_aws
seealso:
  - module: k8s_cluster.manager.nlb
  - module: k8s_cluster.manager.cluster_info
"""

EXAMPLES = r"""
- name: Let anybody reach the Kubernetes API's load balancer, and only that the nodes
  k8s_cluster.manager.cluster_security_group:
    cluster: fargle
    subnet_ids: [subnet-0123456789abcdef0]
    security_groups:
      - name: apiserver-fargle
        load_balancer: apiserver
        rules:
          - ports: [6443]
            sources: [0.0.0.0/0]
      - name: nodes-fargle
        rules:
          - ports: [6443]
            sources: [apiserver-fargle, self]
"""

RETURN = r"""
plan:
  description: What is changed, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    verb:
      description: V(create), V(update) or V(delete).
      type: str
      sample: create
    node:
      description: Name of the group.
      type: str
      sample: apiserver-fargle
    target:
      description: What of it.
      type: str
      sample: security group
nodes:
  description: Always empty, no nodes are worked on.
  returned: success
  type: list
  elements: dict
  sample: []
security_groups:
  description: The groups in the order given; none with O(state=absent).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The group's name.
      type: str
      sample: apiserver-fargle
    id:
      description: The group's id; its name in check mode when it is still to be made.
      type: str
      sample: sg-0123456789abcdef0
failures:
  description: Groups that failed while the others were carried to the end.
  returned: when groups failed
  type: list
  elements: dict
  contains:
    name:
      description: Name of the group.
      type: str
      sample: apiserver-fargle
    msg:
      description: What happened.
      type: str
      sample: "Failed to delete security group of apiserver-fargle: DeleteSecurityGroup: DependencyViolation: resource has a dependent object"
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Clients
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.group_plan import GroupOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.security_groups import group_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import run

RULE = {
    "protocol": {"type": "str", "choices": ["tcp", "udp", "icmp", "-1"], "default": "tcp"},
    "ports": {"type": "list", "elements": "str", "default": []},
    "sources": {"type": "list", "elements": "str", "required": True},
}
GROUP = {
    "name": {"type": "str", "required": True},
    "load_balancer": {"type": "str", "choices": ["apiserver", "ingress", "none"], "default": "none"},
    "rules": {"type": "list", "elements": "dict", "default": [], "options": RULE},
}
SPEC = {
    "cluster": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "subnet_ids": {"type": "list", "elements": "str", "default": []},
    "security_groups": {"type": "list", "elements": "dict", "required": True, "options": GROUP},
    "tags": {"type": "dict", "default": {}},
    "wait_timeout": {"type": "int", "default": 600},
}


def main() -> None:
    """Wire the options to the work."""
    module = AnsibleAWSModule(argument_spec=SPEC, supports_check_mode=True)
    run(module, lambda: group_work(GroupOptions.of_params(module.params), Clients.of_module(module), module.check_mode))


if __name__ == "__main__":
    main()
