#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the health, hardware and disks of instances."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ec2_node_info
short_description: Find the health, hardware and disks of instances
version_added: 1.0.0
description:
  - Tells of instances what M(k8s_cluster.manager.cluster_info) does not, which every run needs; this is for those who look at a cluster.
  - The number of calls grows by pages (100 status checks, 200 instances), not by instances.
  - An instance that is not there is told without status and volumes.
  - The IAM actions needed are C(ec2:DescribeImages), C(ec2:DescribeInstances), C(ec2:DescribeInstanceStatus), C(ec2:DescribeInstanceTypes) and
    C(ec2:DescribeVolumes).
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
options:
  instance_ids:
    description:
      - The instances.
    type: list
    elements: str
    default: []
  instance_types:
    description:
      - Instance types whose hardware is told.
    type: list
    elements: str
    default: []
  image_ids:
    description:
      - Images of which is told what they are.
    type: list
    elements: str
    default: []
  machines:
    description:
      - Ids and private addresses of instances to look for, whatever their tags.
    type: list
    elements: str
    default: []
  vpc_ids:
    description:
      - The VPCs in which the addresses of O(machines) are looked for.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.info_module
  - k8s_cluster.manager.attributes.actiongroup_aws
seealso:
  - module: k8s_cluster.manager.cluster_info
"""

EXAMPLES = r"""
- name: See what the cluster has
  k8s_cluster.manager.cluster_info:
    cluster: fargle
  register: found

- name: See how its instances are
  k8s_cluster.manager.ec2_node_info:
    instance_ids: "{{ found.cluster.instances | map(attribute='instance_id') | list }}"
    instance_types: "{{ found.cluster.instances | map(attribute='instance_type') | unique | list }}"
  register: details

- name: Name those that EC2 finds broken
  ansible.builtin.debug:
    msg: "{{ details.instances | selectattr('status', 'equalto', 'impaired') | map(attribute='instance_id') }}"
"""

RETURN = r"""
plan:
  description: Always empty, nothing is changed.
  returned: success
  type: list
  elements: dict
  sample: []
nodes:
  description: Always empty, the instances are in RV(instances).
  returned: success
  type: list
  elements: dict
  sample: []
instances:
  description: The instances, in the order of O(instance_ids).
  returned: success
  type: list
  elements: dict
  contains:
    instance_id:
      description: The instance's id.
      type: str
      sample: i-0123456789abcdef0
    status:
      description:
        - The worst of its status checks, V(ok), V(impaired), V(initializing), V(insufficient-data) or V(not-applicable).
        - Empty when it does not run.
      type: str
      sample: ok
    volumes:
      description: The volumes attached to it, each with its C(id), C(type), C(size_gb), C(iops) and, in MiB/s, C(throughput).
      type: list
      elements: dict
      sample: [{"id": "vol-0123456789abcdef0", "type": "gp3", "size_gb": 100, "iops": 3000, "throughput": 125}]
instance_types:
  description: Those of O(instance_types) that there are in the region.
  returned: success
  type: list
  elements: dict
  contains:
    instance_type:
      description: The type's name.
      type: str
      sample: m5.large
    vcpus:
      description: Its virtual CPUs.
      type: int
      sample: 2
    memory_mib:
      description: Its memory in MiB.
      type: int
      sample: 8192
images:
  description: Those of O(image_ids) that this account may see.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The image's id.
      type: str
      sample: ami-0123456789abcdef0
    name:
      description: Its name.
      type: str
      sample: talos-v1.11.3-eu-central-1-amd64
    root_device_name:
      description: Its root device.
      type: str
      sample: /dev/xvda
    root_volume_gb:
      description: The size of its root volume.
      type: int
      sample: 8
    talos_version:
      description: Its Talos version, from a tag or its name; empty when neither tells.
      type: str
      sample: v1.11.3
machines:
  description:
    - The instances that O(machines) mean, in the shape of RV(k8s_cluster.manager.cluster_info#module:cluster.instances), with the value of their tag
      C(Cluster) as C(cluster). Terminated ones are left out.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Clients
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.details import DetailOptions, details
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import run

SPEC = {name: {"type": "list", "elements": "str", "default": []} for name in ("instance_ids", "instance_types", "image_ids", "machines", "vpc_ids")}


def main() -> None:
    """Wire the options to the work."""
    module = AnsibleAWSModule(argument_spec=SPEC, supports_check_mode=True)
    run(module, lambda: details(DetailOptions.of_params(module.params), Clients.of_module(module)))


if __name__ == "__main__":
    main()
