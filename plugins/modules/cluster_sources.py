#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_sources
short_description: Read the inputs of a cluster
version_added: 1.0.0
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
description:
  - Reads machine config, patch, node config, talosconfig and kubeconfig of a cluster, each from a file, from inline data,
    from HashiCorp Vault (KV version 2), or from the environment, in that order.
  - Vault is asked through P(community.hashi_vault.vault_kv2_get#lookup), with whatever address and authentication that plugin finds.
  - Runs on the controller, whatever the host's connection is. Relative file names start in the folder where Ansible was started.
  - The result holds secrets. Use it with C(no_log) and report RV(problems) in a task of its own.
extends_documentation_fragment:
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.info_module
options:
  cluster:
    description: The cluster's name.
    type: str
    required: true
  role:
    description: The role whose machine config, patch and node config are wanted. Without it only talosconfig and kubeconfig are read.
    type: str
    choices: [worker, controlplane]
  role_word:
    description: The user's own word for the role, tried first in the names of secrets.
    type: str
  required:
    description: Names of the sources whose absence is a problem.
    type: list
    elements: str
    default: []
  secret_mount:
    description: The mount of the KV version 2 secrets.
    type: str
    default: secret
  secret_names:
    description:
      - Patterns for the names of secrets that differ from the usual ones, by source. C({cluster}) and C({role}) are filled in.
      - The usual ones are C(cluster-{cluster}-machine-{role}) for C(machine_config), C(cluster-{cluster}-patch-{role}) for C(patch),
        C(cluster-{cluster}-node-{role}) for C(node_config), C(cluster-{cluster}-talosconfig), C(cluster-{cluster}-kubeconfig), and for C(all)
        C(cluster-{cluster}-{role}), the secret that holds C(config.yaml), C(patch.yaml) and C(node-aws.yaml) together.
    type: dict
    default: {}
  machine_config_file:
    description: File with the Talos machine config.
    type: str
  patch_file:
    description: File with a Talos patch or a list of patches.
    type: str
  node_config_file:
    description: File with the node config.
    type: str
  talosconfig_file:
    description: File with the talosconfig. The environment variable E(TALOSCONFIG) is the last resort.
    type: str
  kubeconfig_file:
    description: File with the kubeconfig. The environment variable E(KUBECONFIG) is the last resort.
    type: str
  machine_config:
    description: The Talos machine config itself.
    type: raw
  patch:
    description: The Talos patch itself, or a list of patches.
    type: raw
  node_config:
    description: The node config itself.
    type: raw
  talosconfig:
    description: The talosconfig itself.
    type: raw
  kubeconfig:
    description: The kubeconfig itself.
    type: raw
"""

EXAMPLES = r"""
- name: Read what a new worker needs
  k8s_cluster.manager.cluster_sources:
    cluster: fargle
    role: worker
    required:
      - machine_config
      - node_config
  register: inputs
  no_log: true

- name: Check that all was found
  ansible.builtin.assert:
    that: inputs.problems == []
    fail_msg: "{{ inputs.problems | join('; ') }}"
"""

RETURN = r"""
sources:
  description: The text of each source by name; null where there is none.
  returned: success
  type: dict
node_config:
  description: The node config with every key it may have; null where nothing was said.
  returned: success
  type: dict
  sample:
    image_id: ami-0123456789abcdef0
    instance_type: m5.large
    subnet_id: [subnet-0123456789abcdef0]
    domain: example.com
    block_device_gb: 100
    block_device_name: /dev/xvda
    block_device_type: gp3
    placement_group_name: null
    tags: {}
    iam_instance_profile: null
    kms_key_id: null
    associate_public_ip: null
cloudflare:
  description: C(api_token) and C(zone_id), where the secret of the one-secret layout has them.
  returned: success
  type: dict
problems:
  description: What is missing or wrong, in words without secrets.
  returned: success
  type: list
  elements: str
"""
