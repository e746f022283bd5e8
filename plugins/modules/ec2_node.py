#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Launch, finish and terminate the instances of a cluster's nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ec2_node
short_description: Launch, finish and terminate the instances of a cluster's nodes
version_added: 1.0.0
description:
  - Works on a set of nodes of one cluster and role, each an EC2 instance found by its tags C(Cluster) and C(Name).
  - A launch carries a client token made from cluster, node name, subnet and a generation number, so a run that was
    killed or lost EC2's answer gets the same instance when it is repeated, and two runs at the same time get one instance. An instance whose
    C(Name) tag was changed is found by this token. After a terminated instance the next generation is launched.
  - Instances are tagged at birth, with C(Cluster), C(Name), C(Role), the generation, and with C(k8s-cluster-manager/unfinished), which
    O(state=finished) removes. Volumes and interfaces are tagged too. The root volume is encrypted and deleted with the instance, and the
    metadata service takes IMDSv2 only.
  - Nodes are spread over the subnets by the number that their name ends in. Where a zone has no capacity, the next subnet is tried.
  - An existing instance is never replaced or changed, except that a lost C(Cluster) or C(Name) tag is restored.
  - Before anything is launched, image, instance type, zones, subnets, free addresses, security groups, placement group, volume and KMS key are checked, and all
    problems are reported together. In check mode EC2 is also asked for a dry run of the launch.
  - The module C(amazon.aws.ec2_instance) is not used for this since its client token is random in each run, it takes one name per call and adopts any instance
    that its filters match.
  - The IAM actions needed are C(ec2:DescribeInstances), C(ec2:DescribeInstanceStatus) and, to launch, C(ec2:RunInstances), C(ec2:CreateTags),
    C(ec2:DescribeImages), C(ec2:DescribeInstanceTypes), C(ec2:DescribeInstanceTypeOfferings), C(ec2:DescribeSubnets), C(ec2:DescribeSecurityGroups),
    C(ec2:DescribePlacementGroups), C(iam:PassRole) with O(iam_instance_profile) and C(kms:DescribeKey) with O(root_volume.kms_key_id);
    to terminate, C(ec2:TerminateInstances) and C(ec2:DescribeInstanceAttribute); to stop, C(ec2:StopInstances); to finish, C(ec2:DeleteTags); to tag,
    C(ec2:CreateTags).
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
      - With V(present), every node has a running instance.
      - With V(finished), the creation of the nodes is marked as complete.
      - With V(stopped), no node has an instance that runs. Instances are stopped at once, without waiting for their systems to
        shut down; this is for nodes that do not answer any more.
      - With V(absent), no node has an instance. The call fails before anything is terminated when one of the instances has termination protection.
      - With V(tagged), the instances given by O(nodes[].instance_id) have the tags C(Cluster) and C(Name) by which they are found. One that carries
        another cluster's tag, or another name, is left as it is and fails its node.
    type: str
    choices: [present, absent, stopped, finished, tagged]
    default: present
  nodes:
    description:
      - The nodes.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the node, a DNS label. It is the value of the tag C(Name).
        type: str
        required: true
      instance_id:
        description:
          - The instance meant when several have the same name.
        type: str
  role:
    description:
      - What the nodes are in the cluster. Needed to launch.
    type: str
    choices: [worker, controlplane]
  image_id:
    description:
      - The image to launch from. Needed to launch.
    type: str
  instance_type:
    description:
      - The instance type. Needed to launch.
    type: str
  subnet_id:
    description:
      - The subnets the nodes may be in, of one VPC. Needed to launch.
    type: list
    elements: str
  security_group_ids:
    description:
      - The security groups of the nodes, at most five. Needed to launch; the VPC's default group is never used.
      - In check mode there may be none, for groups that do not exist yet.
    type: list
    elements: str
  root_volume:
    description:
      - The root volume.
    type: dict
    suboptions:
      size_gb:
        description:
          - Size in GiB; the image's when not given.
        type: int
      type:
        description:
          - Volume type.
        type: str
        choices: [gp2, gp3, io1, io2, standard]
        default: gp3
      device_name:
        description:
          - Device name, which must be that of the image's root device. Taken from the image when not given.
        type: str
      kms_key_id:
        description:
          - KMS key to encrypt it with; the account's default key for EBS when not given.
        type: str
      iops:
        description:
          - I/O operations per second.
        type: int
      throughput:
        description:
          - Throughput in MiB/s, for V(gp3).
        type: int
  placement_group_name:
    description:
      - Placement group to launch into.
    type: str
  tags:
    description:
      - More tags for instances, volumes and interfaces. Those by which the node is found cannot be given.
    type: dict
  iam_instance_profile:
    description:
      - Name or ARN of an instance profile.
    type: str
  associate_public_ip:
    description:
      - Whether the instances get a public address; as the subnet says when not given.
    type: bool
  offer:
    description:
      - What RV(offer) of a call in check mode with the same options was, so that a launch does not check again what was checked just before.
    type: dict
    suboptions:
      root_device_name:
        description:
          - The image's root device.
        type: str
        required: true
      subnet_id:
        description:
          - The subnets that can take the nodes.
        type: list
        elements: str
        required: true
  wait_timeout:
    description:
      - Seconds to wait for instances to run, or to be terminated.
    type: int
    default: 300
  concurrency:
    description:
      - Calls at a time where each is about one node, such as launches.
    type: int
    default: 4
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
- name: Launch two workers
  k8s_cluster.manager.ec2_node:
    cluster: fargle
    role: worker
    nodes:
      - name: fargle-worker-7
      - name: fargle-worker-8
    image_id: ami-0123456789abcdef0
    instance_type: m5.large
    subnet_id:
      - subnet-0123456789abcdef0
      - subnet-0123456789abcdef1
    security_group_ids:
      - sg-0123456789abcdef0
    root_volume:
      size_gb: 100

- name: Mark them as finished
  k8s_cluster.manager.ec2_node:
    cluster: fargle
    state: finished
    nodes:
      - name: fargle-worker-7
      - name: fargle-worker-8

- name: Terminate one of two instances of the same name
  k8s_cluster.manager.ec2_node:
    cluster: fargle
    state: absent
    nodes:
      - name: fargle-worker-7
        instance_id: i-0123456789abcdef0
"""

RETURN = r"""
plan:
  description: What is changed, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    verb:
      description: One of V(launch), V(tag), V(finish), V(stop) and V(terminate).
      type: str
      sample: launch
    node:
      description: Name of the node.
      type: str
      sample: fargle-worker-7
    target:
      description: The instance's id, or V(instance) while it has none.
      type: str
      sample: instance
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
        - The phases are V(launching), V(launched), then EC2's states.
      type: dict
      sample: {launching: 0.4, launched: 2.1, pending: 2.6, running: 9.3}
    instance_id:
      description: The instance's id; null while it has none, as in check mode.
      type: str
      sample: i-0123456789abcdef0
    private_ip:
      description: Its private address.
      type: str
      sample: 10.0.1.151
    public_ip:
      description: Its public address.
      type: str
      sample: null
    az:
      description: The availability zone it is in.
      type: str
      sample: eu-central-1a
    subnet_id:
      description: The subnet it is in.
      type: str
      sample: subnet-0123456789abcdef0
    state:
      description: EC2's word for its state, or V(absent).
      type: str
      sample: running
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
    generation:
      description: How many instances were launched under this name before it; null for instances of other tools.
      type: int
      sample: 0
    unfinished:
      description: Whether its creation was begun and not yet finished.
      type: bool
      sample: true
offer:
  description: What was found out about a launch; O(offer) takes it.
  returned: when O(state=present) and something is to be launched
  type: dict
  contains:
    root_device_name:
      description: The image's root device.
      type: str
      sample: /dev/xvda
    subnet_id:
      description: The subnets that can take the nodes.
      type: list
      elements: str
      sample: [subnet-0123456789abcdef0]
public_addresses:
  description: How many of the instances to launch get a public IPv4 address, where each has its first choice of subnets.
  returned: when O(state=present) and O(offer) is not given
  type: int
  sample: 0
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
      sample: "no subnet has room for m5.large"
image:
  description: The image asked for.
  returned: when O(state=present) and O(offer) is not given
  type: dict
  contains:
    id:
      description: The image's id.
      type: str
      sample: ami-0123456789abcdef0
    name:
      description: Its name; empty when it does not exist any more.
      type: str
      sample: talos-v1.11.3-eu-central-1-amd64
    root_device_name:
      description: Its root device.
      type: str
      sample: /dev/xvda
    root_volume_gb:
      description: Size of its root volume in GiB; 0 when it does not say it.
      type: int
      sample: 8
    talos_version:
      description: The Talos version in it, from a tag C(TalosVersion) or from its name; empty when neither says it.
      type: str
      sample: v1.11.3
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Clients
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.nodes import node_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.options import NodeOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.volumes import VOLUME_TYPES
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.lease import LEASE_OPTION, kept
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import run

NODE = {"name": {"type": "str", "required": True}, "instance_id": {"type": "str"}}
VOLUME = {
    "size_gb": {"type": "int"},
    "type": {"type": "str", "choices": list(VOLUME_TYPES), "default": "gp3"},
    "device_name": {"type": "str"},
    "kms_key_id": {"type": "str", "no_log": False},
    "iops": {"type": "int"},
    "throughput": {"type": "int"},
}
OFFER = {"root_device_name": {"type": "str", "required": True}, "subnet_id": {"type": "list", "elements": "str", "required": True}}
SPEC = {
    **LEASE_OPTION,
    "cluster": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent", "stopped", "finished", "tagged"], "default": "present"},
    "nodes": {"type": "list", "elements": "dict", "required": True, "options": NODE},
    "role": {"type": "str", "choices": ["worker", "controlplane"]},
    "image_id": {"type": "str"},
    "instance_type": {"type": "str"},
    "subnet_id": {"type": "list", "elements": "str"},
    "security_group_ids": {"type": "list", "elements": "str"},
    "root_volume": {"type": "dict", "options": VOLUME},
    "placement_group_name": {"type": "str"},
    "tags": {"type": "dict"},
    "iam_instance_profile": {"type": "str"},
    "associate_public_ip": {"type": "bool"},
    "offer": {"type": "dict", "options": OFFER},
    "wait_timeout": {"type": "int", "default": 300},
    "concurrency": {"type": "int", "default": 4},
}


def main() -> None:
    """Wire the options to the work."""
    module = AnsibleAWSModule(argument_spec=SPEC, supports_check_mode=True)
    clients = Clients.of_module(module, module.params["concurrency"])
    run(module, lambda: node_work(NodeOptions.of_params(module.params, module.check_mode), clients, module.check_mode), kept)


if __name__ == "__main__":
    main()
