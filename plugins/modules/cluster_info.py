#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what a cluster owns in AWS."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: Find what a cluster owns in AWS
version_added: 1.0.0
description:
  - Finds the security groups, load balancers, target groups (with the health of their targets) and instances that are tagged
    C(Cluster=<name>), and says what each is for.
  - The number of calls does not depend on what else the account holds. Load balancers are found through the Resource Groups Tagging API, and
    only the cluster's own target groups are looked at.
  - A target group is classified by the tag C(LoadBalancer) (V(apiserver), V(ingress) or V(none)) on it or on its load balancer;
    else port 6443 or 50000, or C(apiserver) in the load balancer's name, make it an apiserver group; all others are for ingress.
  - Something that vanishes between two calls is left out.
  - The IAM actions needed are C(tag:GetResources), C(ec2:DescribeInstances), C(ec2:DescribeSecurityGroups), and of C(elasticloadbalancing)
    C(DescribeLoadBalancers), C(DescribeTargetGroups), C(DescribeTargetHealth) and C(DescribeTags).
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
options:
  cluster:
    description:
      - Name of the cluster, the value of the tag C(Cluster).
    type: str
    required: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.info_module
  - k8s_cluster.manager.attributes.actiongroup_aws
seealso:
  - module: k8s_cluster.manager.ec2_node
  - module: k8s_cluster.manager.nlb_target
"""

EXAMPLES = r"""
- name: See what the cluster has
  k8s_cluster.manager.cluster_info:
    cluster: fargle
  register: found

- name: Name the security groups that a new node gets
  ansible.builtin.debug:
    msg: "{{ found.cluster.security_groups | selectattr('admits_talos_api') | rejectattr('load_balancer') | map(attribute='name') }}"
"""

RETURN = r"""
plan:
  description: Always empty, nothing is changed.
  returned: success
  type: list
  elements: dict
  sample: []
nodes:
  description: Always empty, the instances are in RV(cluster.instances).
  returned: success
  type: list
  elements: dict
  sample: []
cluster:
  description: What the cluster owns.
  returned: success
  type: dict
  contains:
    name:
      description: The cluster's name.
      type: str
      sample: fargle
    security_groups:
      description: Security groups with the cluster's tag, by name.
      type: list
      elements: dict
      contains:
        id:
          description: The group's id.
          type: str
          sample: sg-0123456789abcdef0
        name:
          description: The group's name.
          type: str
          sample: fargle-nodes
        vpc_id:
          description: The VPC it is in.
          type: str
          sample: vpc-0123456789abcdef0
        tags:
          description: Its tags.
          type: dict
          sample: {"Cluster": "fargle"}
        admits_talos_api:
          description: Whether a rule admits TCP port 50000, exactly, in a range or as part of all traffic.
          type: bool
          sample: true
        load_balancer:
          description: Whether it is a load balancer's, by its tag C(LoadBalancer) or because a load balancer of the cluster uses it.
          type: bool
          sample: false
    load_balancers:
      description: Network and application load balancers with the cluster's tag, by name.
      type: list
      elements: dict
      contains:
        arn:
          description: The load balancer's ARN.
          type: str
          sample: arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/net/fargle-apiserver/0123456789abcdef
        name:
          description: The load balancer's name.
          type: str
          sample: fargle-apiserver
        type:
          description: Its type, V(network) or V(application).
          type: str
          sample: network
        dns_name:
          description: The name clients use.
          type: str
          sample: fargle-apiserver-0123456789abcdef.elb.eu-central-1.amazonaws.com
        scheme:
          description: Whether it is V(internal) or V(internet-facing).
          type: str
          sample: internal
        vpc_id:
          description: The VPC it is in.
          type: str
          sample: vpc-0123456789abcdef0
        state:
          description: Its state.
          type: str
          sample: active
        zones:
          description: The availability zones it is in, by name.
          type: list
          elements: str
          sample: [eu-central-1a, eu-central-1b]
        security_groups:
          description: Ids of its security groups.
          type: list
          elements: str
          sample: []
        tags:
          description: Its tags.
          type: dict
          sample: {"Cluster": "fargle"}
        controller_owned:
          description: Whether a controller in Kubernetes made it; such load balancers are left alone.
          type: bool
          sample: false
    target_groups:
      description: Target groups of these load balancers and those with the cluster's tag, by name.
      type: list
      elements: dict
      contains:
        arn:
          description: The target group's ARN.
          type: str
          sample: arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/fargle-apiserver/0123456789abcdef
        name:
          description: The target group's name.
          type: str
          sample: fargle-apiserver
        load_balancer_arns:
          description: The load balancers that use it.
          type: list
          elements: str
          sample: ["arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/net/fargle-apiserver/0123456789abcdef"]
        protocol:
          description: Its protocol.
          type: str
          sample: TCP
        port:
          description: The port that targets get when registered without one.
          type: int
          sample: 6443
        target_type:
          description: V(instance), V(ip), V(lambda) or V(alb).
          type: str
          sample: instance
        vpc_id:
          description: The VPC of its targets.
          type: str
          sample: vpc-0123456789abcdef0
        tags:
          description: Its tags.
          type: dict
          sample: {}
        kind:
          description:
            - V(apiserver), for control planes; V(ingress), for workers.
            - V(none) when it is left alone, then RV(cluster.target_groups[].targets) is not read.
          type: str
          sample: apiserver
        skipped:
          description: Why no node is registered with it; empty when nodes are.
          type: str
          sample: ""
        targets:
          description: Its targets.
          type: list
          elements: dict
          contains:
            id:
              description: Instance id or address.
              type: str
              sample: i-0123456789abcdef0
            port:
              description: Port the target is registered with.
              type: int
              sample: 6443
            az:
              description: Availability zone, where ELB says it.
              type: str
              sample: ""
            state:
              description: V(initial), V(healthy), V(unhealthy), V(unhealthy.draining), V(draining), V(unused) or V(unavailable).
              type: str
              sample: healthy
            reason:
              description: ELB's code for why it is not healthy.
              type: str
              sample: ""
            description:
              description: ELB's words for why it is not healthy.
              type: str
              sample: ""
    instances:
      description: Instances with the cluster's tag that are not terminated, by name.
      type: list
      elements: dict
      contains:
        instance_id:
          description: The instance's id.
          type: str
          sample: i-0123456789abcdef0
        name:
          description: Value of its C(Name) tag, the node's name.
          type: str
          sample: fargle-worker-1
        role:
          description: V(worker) or V(controlplane), from its C(Role) tag or its target groups; empty when unknown.
          type: str
          sample: worker
        state:
          description: V(pending), V(running), V(shutting-down), V(stopping) or V(stopped).
          type: str
          sample: running
        private_ip:
          description: Its private address.
          type: str
          sample: 10.0.1.151
        public_ip:
          description: Its public address.
          type: str
          sample: null
        subnet_id:
          description: The subnet it is in.
          type: str
          sample: subnet-0123456789abcdef0
        vpc_id:
          description: The VPC it is in.
          type: str
          sample: vpc-0123456789abcdef0
        az:
          description: The availability zone it is in.
          type: str
          sample: eu-central-1a
        image_id:
          description: The image it was launched from.
          type: str
          sample: ami-0123456789abcdef0
        instance_type:
          description: Its type.
          type: str
          sample: m5.large
        launch_time:
          description: When it was launched.
          type: str
          sample: "2026-01-31T12:00:00+00:00"
        tags:
          description: Its tags.
          type: dict
          sample: {"Cluster": "fargle", "Name": "fargle-worker-1", "Role": "worker"}
        client_token:
          description: The token it was launched with.
          type: str
          sample: ""
        generation:
          description: How many instances M(k8s_cluster.manager.ec2_node) launched under this name before it.
          type: int
          sample: 0
        unfinished:
          description: Whether its creation was begun and not yet finished.
          type: bool
          sample: false
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Clients
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.discovery import InfoOptions, discover
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import run


def main() -> None:
    """Wire the options to the work."""
    module = AnsibleAWSModule(argument_spec={"cluster": {"type": "str", "required": True}}, supports_check_mode=True)
    run(module, lambda: discover(InfoOptions(module.params["cluster"]), Clients.of_module(module)))


if __name__ == "__main__":
    main()
