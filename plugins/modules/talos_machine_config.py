#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_machine_config
short_description: Machine configs of Talos nodes from one base and patches
version_added: 1.0.0
description:
  - Makes the machine configs of any number of nodes from one base config, patches for all of them and what is each node's own,
    and validates them. Nothing is sent anywhere.
  - Patches are taken as C(talosctl machineconfig patch) takes them, by the rules of the Talos release the config is for. A strategic merge patch
    merges by Talos' own rules (most lists append, a C($patch) of V(delete) deletes); a list of operations is a JSON patch (RFC 6902), which
    Talos applies to configs of a single document only.
  - The hostname goes where the config's own style has it, C(machine.network.hostname) or a C(HostnameConfig) document, never both;
    so do labels.
  - Taints of workers become the kubelet's C(registerWithTaints), so that the node has them from its registration on. C(machine.nodeTaints) does not
    work on workers, because Kubernetes lets no kubelet change the taints of its node later. Control planes get C(machine.nodeTaints).
  - Every problem of every input is reported at once, by path and line and never with the value of a secret.
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
extends_documentation_fragment:
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.actiongroup_manager
  - k8s_cluster.manager.talos_config
  - k8s_cluster.manager.talos_config.nodes
attributes:
  check_mode:
    support: full
    details:
      - This module does not modify state.
  diff_mode:
    support: full
    details:
      - Shows the change against the base, secrets replaced by marks that differ where the secrets differ.
  idempotent:
    support: full
    details:
      - This module does not modify state.
options:
  return_config:
    description:
      - Return the configs themselves as RV(configs). They are full of secrets, so register such a result with C(no_log).
      - M(k8s_cluster.manager.talos_apply_config) does not need this, it takes the same inputs.
    type: bool
    default: false
requirements:
  - python >= 3.10
seealso:
  - module: k8s_cluster.manager.talos_apply_config
"""

EXAMPLES = r"""
- name: Are the sources of a new worker in order?
  k8s_cluster.manager.talos_machine_config:
    config: "{{ lookup('ansible.builtin.file', 'worker.yaml') }}"
    patch: "{{ lookup('ansible.builtin.file', 'patch.yaml') }}"
    role: worker
    nodes:
      - name: fargle-worker-7
        hostname: fargle-worker-7.example.com
  check_mode: true

- name: Write the configs of two workers for another tool
  k8s_cluster.manager.talos_machine_config:
    config: "{{ worker_config }}"
    role: worker
    talos_version: v1.11.3
    nodes:
      - name: fargle-worker-7
        hostname: fargle-worker-7.example.com
        labels:
          purpose: gpu
        taints:
          - key: purpose
            value: gpu
      - name: fargle-worker-8
        hostname: fargle-worker-8.example.com
        patch: |
          machine:
            sysctls:
              vm.max_map_count: 262144
    return_config: true
  register: rendered
  no_log: true
"""

RETURN = r"""
nodes:
  description: The nodes whose configs are valid, in the order given.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The node's name.
      type: str
    digest:
      description: The SHA-256 of its config.
      type: str
    warnings:
      description: What Talos would warn of.
      type: list
      elements: str
  sample:
    - name: fargle-worker-7
      digest: 5a2f4f0b6f0b0a7a1d7f4c0b0e3fd1a86a3a4a1a2d31bb9ad7e5bb7b5a3b9a3e
      warnings: []
config_info:
  description: What the config says of its cluster.
  returned: when the base and the common patch are valid
  type: dict
  contains:
    machine_type:
      description: V(worker) or V(controlplane).
      type: str
    cluster_name:
      description: The cluster's name in the config.
      type: str
    endpoint:
      description: The URL of the Kubernetes API.
      type: str
    talos_version:
      description: The release whose rules were used.
      type: str
    style:
      description: V(legacy) for one document as up to Talos 1.11, V(mixed) for one with others beside it, V(documents) for others alone.
      type: str
    kubernetes_ca_sha256:
      description: The SHA-256 of the Kubernetes CA certificate (DER), empty if the config has none.
      type: str
    talos_ca_sha256:
      description: The SHA-256 of the Talos CA certificate (DER), empty if the config has none.
      type: str
configs:
  description: The configs by node name.
  returned: when O(return_config=true)
  type: dict
failures:
  description: The nodes whose configs are not valid. The module fails, but has the others' results.
  returned: when there are any
  type: list
  elements: dict
  contains:
    name:
      description: The node's name.
      type: str
    msg:
      description: All problems of its config.
      type: str
plan:
  description: Always empty, the module changes nothing.
  returned: always
  type: list
  elements: dict
problems:
  description: Every problem of the base and the common patch.
  returned: when there are any
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import run
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.machine_config import CONFIG_OPTIONS, NODE_OPTIONS, given, work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.yamltext import YAML_IMPORT_ERROR


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONFIG_OPTIONS,
            "nodes": {"type": "list", "elements": "dict", "required": True, "options": NODE_OPTIONS},
            "return_config": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    if YAML_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("PyYAML"), exception=str(YAML_IMPORT_ERROR))
    run(module, lambda: work(given(module)))


if __name__ == "__main__":
    main()
