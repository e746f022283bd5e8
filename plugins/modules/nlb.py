#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a cluster's network load balancers, repair them in place, and take them away."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nlb
short_description: Make a cluster's network load balancers, repair them in place, and take them away
version_added: 1.0.0
description:
  - Works on a set of network load balancers, each with its TCP listeners and a target group behind each listener.
  - What exists is taken over - a load balancer of the wanted name, else the one with the tag C(Cluster=<name>) that has the same scheme and, by its tag
    C(LoadBalancer) or its ports, the same purpose; a target group of the wanted name, else the one that the listener forwards to.
  - Tags, health checks, attributes, missing subnets and security groups, and what listeners forward to are repaired in place. Nothing is ever
    replaced. What cannot be changed - scheme, VPC, port and protocol of a target group - is an error that names it, before anything is changed.
  - Everything has the name it was asked for, or, where that is too long or has other characters than letters, digits and dashes, a shortened one that
    ends in a digest. So a run that was killed finds what it made.
  - Load balancers and target groups get the tags C(Cluster), C(LoadBalancer) and C(k8s-cluster-manager/owned). Only those that have them are removed.
  - The modules C(community.aws.elb_network_lb) and C(community.aws.elb_target_group) are not used for this. The first cannot give a load balancer security
    groups, which it gets when it is made or never, and deletes listeners that nobody named; the second deregisters all targets unless told otherwise. Both
    take one object per task, and neither has a check mode.
  - The number of calls does not depend on what else the account holds.
  - The IAM actions needed are C(ec2:DescribeSubnets), C(ec2:DescribeInternetGateways), C(ec2:DescribeInstances), C(tag:GetResources), and of
    C(elasticloadbalancing) C(DescribeLoadBalancers), C(DescribeLoadBalancerAttributes), C(DescribeListeners), C(DescribeTargetGroups),
    C(DescribeTargetGroupAttributes), C(DescribeTags), C(AddTags), C(CreateLoadBalancer), C(CreateTargetGroup), C(CreateListener),
    C(ModifyLoadBalancerAttributes), C(ModifyTargetGroup), C(ModifyTargetGroupAttributes), C(ModifyListener), C(SetSubnets), C(SetSecurityGroups),
    C(DeleteLoadBalancer) and C(DeleteTargetGroup).
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
      - V(present) makes and repairs; V(absent) removes load balancers, listeners and target groups, and waits until they are gone.
      - A load balancer whose deletion protection is on is not removed, and then nothing is.
    type: str
    choices: [present, absent]
    default: present
  load_balancers:
    description:
      - The load balancers.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Its name, of any length.
        type: str
        required: true
      kind:
        description:
          - What it is for, the value of the tag C(LoadBalancer).
        type: str
        choices: [apiserver, ingress]
        required: true
      scheme:
        description:
          - Whether it has private or public addresses.
        type: str
        choices: [internal, internet-facing]
        default: internal
      subnet_ids:
        description:
          - Subnets of one VPC. Of several in the same zone the first is used, or the one that the load balancer is in already.
          - Needed with O(state=present). A load balancer is never taken out of a subnet.
        type: list
        elements: str
        default: []
      security_groups:
        description:
          - Ids of security groups that it has. Others that it has stay. In check mode they may be names of groups that are still to be made.
          - A load balancer that was made without any can never get one; that is a warning.
        type: list
        elements: str
        default: []
      cross_zone:
        description:
          - Whether each zone sends connections to targets in all zones. Without it, a zone that has none of a target group's targets is a warning.
        type: bool
        default: true
      deregistration_delay:
        description:
          - Seconds a target drains.
        type: int
        default: 120
      connection_termination:
        description:
          - Whether connections that still are there after that are closed.
        type: bool
        default: true
      preserve_client_ip:
        description:
          - Whether targets see the clients' addresses. A target then cannot connect to itself through the load balancer.
        type: bool
        default: true
      health_check:
        description:
          - How targets are checked.
        type: dict
        suboptions:
          protocol:
            description:
              - What a target must speak; C(http) and C(https) must be answered with a status from 200 to 399.
            type: str
            choices: [tcp, http, https]
            default: tcp
          port:
            description:
              - A port number, or V(traffic-port).
            type: str
            default: traffic-port
          path:
            description:
              - What is asked for with C(http) and C(https).
            type: str
            default: /
          interval:
            description:
              - Seconds between two checks.
            type: int
            default: 10
          timeout:
            description:
              - Seconds that an answer may take.
            type: int
            default: 6
          healthy_threshold:
            description:
              - Checks in a row that make a target healthy.
            type: int
            default: 2
          unhealthy_threshold:
            description:
              - Failed checks in a row that make it unhealthy.
            type: int
            default: 2
      listeners:
        description:
          - Its TCP listeners. Others that it has stay. With O(state=absent) they say which target groups belong to a load balancer that is gone already.
        type: list
        elements: dict
        default: []
        suboptions:
          port:
            description:
              - The port clients connect to.
            type: int
            required: true
          target_port:
            description:
              - The port of the targets.
            type: int
            required: true
  tags:
    description:
      - Further tags of the load balancers and target groups. Tags that are not named stay.
    type: dict
    default: {}
  wait_timeout:
    description:
      - Seconds to wait for load balancers to be active, or gone.
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
  - module: k8s_cluster.manager.cluster_security_group
  - module: k8s_cluster.manager.nlb_target
  - module: k8s_cluster.manager.cluster_info
"""

EXAMPLES = r"""
- name: Make the load balancer of the Kubernetes API
  k8s_cluster.manager.nlb:
    cluster: fargle
    load_balancers:
      - name: apiserver-fargle
        kind: apiserver
        subnet_ids: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]
        security_groups: [sg-0123456789abcdef0]
        preserve_client_ip: false
        listeners:
          - port: 6443
            target_port: 6443

- name: Remove it
  k8s_cluster.manager.nlb:
    cluster: fargle
    state: absent
    load_balancers:
      - name: apiserver-fargle
        kind: apiserver
        listeners:
          - port: 6443
            target_port: 6443
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
      description: Name of the load balancer.
      type: str
      sample: ingress-fargle
    target:
      description: What of it.
      type: str
      sample: target group ingress-fargle-80
nodes:
  description: Always empty, no nodes are worked on.
  returned: success
  type: list
  elements: dict
  sample: []
load_balancers:
  description: The load balancers in the order given; none with O(state=absent).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name in AWS.
      type: str
      sample: ingress-fargle
    kind:
      description: What it is for.
      type: str
      sample: ingress
    arn:
      description: Its ARN; empty in check mode when it is still to be made, like the other values that are not known then.
      type: str
      sample: arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/net/ingress-fargle/0123456789abcdef
    dns_name:
      description: The name clients use.
      type: str
      sample: ingress-fargle-0123456789abcdef.elb.eu-central-1.amazonaws.com
    scheme:
      description: V(internal) or V(internet-facing).
      type: str
      sample: internal
    state:
      description: Its state.
      type: str
      sample: active
    zones:
      description: The zones it is in.
      type: list
      elements: str
      sample: [eu-central-1a, eu-central-1b]
    security_groups:
      description: Ids of its security groups.
      type: list
      elements: str
      sample: [sg-0123456789abcdef0]
target_groups:
  description: The target groups behind the listeners that were asked for, as M(k8s_cluster.manager.nlb_target) takes them.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The target group's name.
      type: str
      sample: ingress-fargle-80
    arn:
      description: The target group's ARN; empty in check mode when it is still to be made.
      type: str
      sample: arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/ingress-fargle-80/0123456789abcdef
    port:
      description: The port of its targets.
      type: int
      sample: 30080
    target_type:
      description: V(instance) or V(ip).
      type: str
      sample: instance
    kind:
      description: V(apiserver), for control planes; V(ingress), for workers.
      type: str
      sample: ingress
    skipped:
      description: Always empty.
      type: str
      sample: ""
failures:
  description: Load balancers that failed while the others were carried to the end.
  returned: when load balancers failed
  type: list
  elements: dict
  contains:
    name:
      description: Name of the load balancer.
      type: str
      sample: ingress-fargle
    msg:
      description: What happened.
      type: str
      sample: "Failed to create load balancer of ingress-fargle: CreateLoadBalancer: TooManyLoadBalancers: no"
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Clients
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.nlb import nlb_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.nlb_options import NlbOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import run

HEALTH_CHECK = {
    "protocol": {"type": "str", "choices": ["tcp", "http", "https"], "default": "tcp"},
    "port": {"type": "str", "default": "traffic-port"},
    "path": {"type": "str", "default": "/"},
    "interval": {"type": "int", "default": 10},
    "timeout": {"type": "int", "default": 6},
    "healthy_threshold": {"type": "int", "default": 2},
    "unhealthy_threshold": {"type": "int", "default": 2},
}
LISTENER = {"port": {"type": "int", "required": True}, "target_port": {"type": "int", "required": True}}
LOAD_BALANCER = {
    "name": {"type": "str", "required": True},
    "kind": {"type": "str", "choices": ["apiserver", "ingress"], "required": True},
    "scheme": {"type": "str", "choices": ["internal", "internet-facing"], "default": "internal"},
    "subnet_ids": {"type": "list", "elements": "str", "default": []},
    "security_groups": {"type": "list", "elements": "str", "default": []},
    "cross_zone": {"type": "bool", "default": True},
    "deregistration_delay": {"type": "int", "default": 120},
    "connection_termination": {"type": "bool", "default": True},
    "preserve_client_ip": {"type": "bool", "default": True},
    "health_check": {"type": "dict", "options": HEALTH_CHECK},
    "listeners": {"type": "list", "elements": "dict", "default": [], "options": LISTENER},
}
SPEC = {
    "cluster": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "load_balancers": {"type": "list", "elements": "dict", "required": True, "options": LOAD_BALANCER},
    "tags": {"type": "dict", "default": {}},
    "wait_timeout": {"type": "int", "default": 600},
}


def main() -> None:
    """Wire the options to the work."""
    module = AnsibleAWSModule(argument_spec=SPEC, supports_check_mode=True)
    run(module, lambda: nlb_work(NlbOptions.of_params(module.params), Clients.of_module(module), module.check_mode))


if __name__ == "__main__":
    main()
