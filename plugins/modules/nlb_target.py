#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put nodes into target groups and take them out without losing traffic."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nlb_target
short_description: Put nodes into target groups and take them out without losing traffic
version_added: 1.0.0
description:
  - Works on a set of nodes and a set of target groups, in batches, with one read per target group however many nodes there are.
  - With O(state=present), waits until the targets are healthy in groups of the kinds in O(require_healthy). In other groups a target is only waited for
    until its first health check is over. Those that are not healthy then are one warning, since a fresh worker is rightly unhealthy where its ingress pods
    are only starting or run elsewhere.
  - A target that is draining is registered again. A target that ELB refuses does not keep out the others, and one that is refused because its instance
    does not run yet is tried again.
  - With O(state=absent), targets are deregistered with the port they are found on, whichever that is. The module waits until ELB does not list them any
    more, and at least O(floor) seconds, since a network load balancer sends new connections for about two minutes after it was told to stop.
  - A deregistration that fails is a failure of its node, which then still gets traffic and must not be stopped.
  - The module C(community.aws.elb_target) is not used for this since it takes one target and one group per task, has no check mode, and
    counts a draining target as present.
  - The IAM actions needed are C(elasticloadbalancing:DescribeTargetHealth), C(elasticloadbalancing:RegisterTargets), C(elasticloadbalancing:DeregisterTargets)
    and, when ELB refuses a target, C(ec2:DescribeInstances).
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
options:
  state:
    description:
      - Whether the nodes are to be in the target groups.
    type: str
    choices: [present, absent]
    default: present
  nodes:
    description:
      - The nodes. In check mode they may be without O(nodes[].instance_id) and O(nodes[].address).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the node.
        type: str
        required: true
      instance_id:
        description:
          - Its instance, for target groups with target type V(instance).
        type: str
      address:
        description:
          - Its address, for target groups with target type V(ip).
        type: str
      instance_exists:
        description:
          - Whether its instance is still there. Where none is left to get traffic, O(floor) is not waited for.
        type: bool
        default: true
  target_groups:
    description:
      - Target groups as M(k8s_cluster.manager.cluster_info) returns them. Of the keys only C(arn), C(port), C(target_type), C(kind) and C(skipped) are used.
      - In check mode they may be such as M(k8s_cluster.manager.nlb) predicts, which have a C(name) and no C(arn).
      - Those of kind V(none) are left alone. Those with a reason in C(skipped) get no nodes, but nodes are taken out of them.
    type: list
    elements: dict
    required: true
  require_healthy:
    description:
      - Kinds of target groups in which a target must become healthy.
    type: list
    elements: str
    choices: [apiserver, ingress]
    default: [apiserver]
  floor:
    description:
      - Seconds that at least pass after a deregistration.
    type: int
    default: 120
  allow_empty:
    description:
      - Whether a target group of kind V(apiserver) may lose its last healthy target. Without it the call fails before anything is deregistered.
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds to wait for targets to be healthy or drained. Should be more than the target groups' deregistration delay.
    type: int
    default: 600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.set_module
  - k8s_cluster.manager.attributes.actiongroup_aws
  - k8s_cluster.manager.kubernetes.lease
seealso:
  - module: k8s_cluster.manager.cluster_info
"""

EXAMPLES = r"""
- name: Find the target groups
  k8s_cluster.manager.cluster_info:
    cluster: fargle
  register: found

- name: Put a worker behind the ingress load balancers
  k8s_cluster.manager.nlb_target:
    nodes:
      - name: fargle-worker-7
        instance_id: i-0123456789abcdef0
        address: 10.0.1.151
    target_groups: "{{ found.cluster.target_groups | selectattr('kind', 'eq', 'ingress') }}"

- name: Take it out of all target groups
  k8s_cluster.manager.nlb_target:
    state: absent
    nodes:
      - name: fargle-worker-7
        instance_id: i-0123456789abcdef0
        address: 10.0.1.151
    target_groups: "{{ found.cluster.target_groups }}"
"""

RETURN = r"""
plan:
  description: What is changed, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    verb:
      description: Either V(register) or V(deregister).
      type: str
      sample: register
    node:
      description: Name of the node.
      type: str
      sample: fargle-worker-7
    target:
      description: Name of the target group and port.
      type: str
      sample: fargle-web:443
nodes:
  description: The nodes in the order given.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the node.
      type: str
      sample: fargle-worker-7
    timing:
      description:
        - Seconds from the beginning of the call at which it was first seen in each phase. Missing when it was not waited for.
        - The phases are ELB's states of that of its targets that is behind the others, V(waiting) while new connections may still come, and V(drained).
      type: dict
      sample: {initial: 0.3, healthy: 31.5}
    targets:
      description: Its targets, one for each target group and port.
      type: list
      elements: dict
      contains:
        target_group_arn:
          description: The target group's ARN.
          type: str
          sample: arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/fargle-web/0123456789abcdef
        target_group:
          description: The target group's name.
          type: str
          sample: fargle-web
        port:
          description: The port the target is registered with.
          type: int
          sample: 443
        state:
          description: Its health when last seen; empty when it is not listed.
          type: str
          sample: healthy
        reason:
          description: ELB's code for why it is not healthy.
          type: str
          sample: ""
failures:
  description: Nodes that failed while the others were carried to the end.
  returned: when nodes failed
  type: list
  elements: dict
  contains:
    name:
      description: Name of the node.
      type: str
      sample: fargle-worker-8
    msg:
      description: What happened.
      type: str
      sample: "not healthy after 600 s: target group fargle-apiserver, target i-0123456789abcdef0 port 6443: unhealthy (Target.FailedHealthChecks)"
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.balancing import target_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Clients
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.targets import TargetOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.lease import LEASE_OPTION, kept
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import run

NODE = {
    "name": {"type": "str", "required": True},
    "instance_id": {"type": "str"},
    "address": {"type": "str"},
    "instance_exists": {"type": "bool", "default": True},
}
SPEC = {
    **LEASE_OPTION,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "nodes": {"type": "list", "elements": "dict", "required": True, "options": NODE},
    "target_groups": {"type": "list", "elements": "dict", "required": True},
    "require_healthy": {"type": "list", "elements": "str", "choices": ["apiserver", "ingress"], "default": ["apiserver"]},
    "floor": {"type": "int", "default": 120},
    "allow_empty": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 600},
}


def main() -> None:
    """Wire the options to the work."""
    module = AnsibleAWSModule(argument_spec=SPEC, supports_check_mode=True)
    run(module, lambda: target_work(TargetOptions.of_params(module.params), Clients.of_module(module), module.check_mode), kept)


if __name__ == "__main__":
    main()
