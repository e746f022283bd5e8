#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what instances, volumes and load balancers cost per hour."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_price
short_description: Find what instances, volumes and load balancers cost per hour
version_added: 1.0.0
description:
  - Asks the AWS Price List API what things cost on demand in the region, before they are bought. No price is built in.
  - Not included are traffic, load balancer capacity units (LCU), snapshots, requests to V(standard) volumes and CPU credits, and what the account
    has by contract, such as savings plans, reserved instances and free tiers.
  - What is billed by the month is counted as AWS' own calculator does, with 730 hours to a month. Of V(gp3) volumes 3000 IOPS and 125 MiB/s are included in the
    size's price.
  - A price that cannot be found out never fails a task. RV(price.unknown) says why, and RV(price.hourly) is null. An API that does not answer
    holds the task for ten seconds at most.
  - The API exists in V(us-east-1), V(eu-central-1) and V(ap-south-1) only, and knows all regions; one of them is chosen. There is none in AWS GovCloud (US).
  - The IAM action needed is C(pricing:GetProducts).
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
options:
  instances:
    description:
      - Instances, priced as Linux on shared hardware, which is what Talos is billed as.
    type: list
    elements: dict
    default: []
    suboptions:
      type:
        description:
          - Instance type.
        type: str
        required: true
      count:
        description:
          - How many.
        type: int
        default: 1
  volumes:
    description:
      - EBS volumes.
    type: list
    elements: dict
    default: []
    suboptions:
      type:
        description:
          - Volume type.
        type: str
        choices: [gp2, gp3, io1, io2, standard]
        default: gp3
      size_gb:
        description:
          - Size of each in GiB.
        type: int
        required: true
      count:
        description:
          - How many.
        type: int
        default: 1
      iops:
        description:
          - I/O operations per second of each.
        type: int
      throughput:
        description:
          - Throughput of each in MiB/s, for V(gp3).
        type: int
  load_balancers:
    description:
      - How many network load balancers.
    type: int
    default: 0
  public_addresses:
    description:
      - How many public IPv4 addresses in use, those of internet-facing load balancers (one per zone) included.
    type: int
    default: 0
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.info_module
  - k8s_cluster.manager.attributes.actiongroup_aws
seealso:
  - module: k8s_cluster.manager.ec2_node
"""

EXAMPLES = r"""
- name: Find what three workers cost
  k8s_cluster.manager.cluster_price:
    instances:
      - type: m5.large
        count: 3
    volumes:
      - size_gb: 100
        count: 3
  register: found

- name: Say it
  ansible.builtin.debug:
    msg: "{{ found.price.summary }}"
"""

RETURN = r"""
plan:
  description: Always empty, nothing is changed.
  returned: success
  type: list
  elements: dict
  sample: []
nodes:
  description: Always empty.
  returned: success
  type: list
  elements: dict
  sample: []
price:
  description: What it costs.
  returned: success
  type: dict
  contains:
    summary:
      description: All of it in one line.
      type: str
      sample: "3 × m5.large + 3 × 100 GB gp3: 0.38 USD per hour (AWS Price List, on demand, without traffic)"
    hourly:
      description: The total per hour; null when a price is unknown.
      type: float
      sample: 0.384123
    currency:
      description: The currency of all prices; null when no price is known.
      type: str
      sample: USD
    lines:
      description: One for each thing asked for of which there is at least one; the same things are counted together.
      type: list
      elements: dict
      contains:
        what:
          description: What it is.
          type: str
          sample: 100 GB gp3
        count:
          description: How many.
          type: int
          sample: 3
        unit_price:
          description: What one costs per hour; null when that is unknown.
          type: float
          sample: 0.013041
        hourly:
          description: What all of them cost per hour; null when that is unknown.
          type: float
          sample: 0.039123
    unknown:
      description: Why prices are unknown; empty when all are known.
      type: list
      elements: str
      sample: []
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Connection
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.prices import CLIENT_CONFIG, PriceOptions, price_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.volumes import VOLUME_TYPES
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import run

INSTANCE = {"type": {"type": "str", "required": True}, "count": {"type": "int", "default": 1}}
VOLUME = {
    "type": {"type": "str", "choices": list(VOLUME_TYPES), "default": "gp3"},
    "size_gb": {"type": "int", "required": True},
    "count": {"type": "int", "default": 1},
    "iops": {"type": "int"},
    "throughput": {"type": "int"},
}
SPEC = {
    "instances": {"type": "list", "elements": "dict", "default": [], "options": INSTANCE},
    "volumes": {"type": "list", "elements": "dict", "default": [], "options": VOLUME},
    "load_balancers": {"type": "int", "default": 0},
    "public_addresses": {"type": "int", "default": 0},
}


def main() -> None:
    """Wire the options to the work."""
    module = AnsibleAWSModule(argument_spec=SPEC, supports_check_mode=True)
    connection = Connection(module)
    run(
        module,
        lambda: price_work(PriceOptions.of_params(module.params, connection.region), lambda region: connection.client("pricing", region, **CLIENT_CONFIG)),
    )


if __name__ == "__main__":
    main()
