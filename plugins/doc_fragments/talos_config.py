# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that make machine configs."""

from __future__ import annotations

# What a node is told of in every such module: a fragment cannot add to the suboptions of a module, nor a module to those of a fragment.
NODE = """
      name:
        description: The node's name, under which its results are found.
        type: str
        required: true
      hostname:
        description: The node's hostname, short or fully qualified. Without it the config's own is kept.
        type: str
      labels:
        description: Labels of the Kubernetes node.
        type: dict
        default: {}
      taints:
        description: Taints of the Kubernetes node.
        type: list
        elements: dict
        default: []
        suboptions:
          key:
            description: The taint's key.
            type: str
            required: true
          value:
            description: The taint's value.
            type: str
            default: ""
          effect:
            description: What the taint does to pods that do not tolerate it.
            type: str
            choices: [NoSchedule, PreferNoSchedule, NoExecute]
            default: NoSchedule
      patch:
        description: Patches of this node alone, applied after O(patch), in the same forms.
        type: raw
"""


class ModuleDocFragment:
    """`talos_config`: the base and its patches, see module_utils/_talos/machine_config.py; add `.nodes` or `.nodes_delivered` for the nodes."""

    DOCUMENTATION = r"""
options:
  config:
    description:
      - The base, as C(talosctl gen config) makes it (C(worker.yaml) or C(controlplane.yaml)), as YAML or JSON text, or as data.
      - Text is better than data, in which what Talos reads otherwise than Ansible has changed already. C(0o644), C(0x10), C(1.10) and C(yes) are
        such words, and a config of several documents is no data at all. So pass text on as text, not through C(from_yaml).
      - At most 4 MiB and 50,000 values.
    type: raw
    required: true
  patch:
    description:
      - A patch for all nodes, or a list of patches applied in order, as YAML or JSON text, or as data.
      - The elements of a list are patches, or texts of patches, such as files that are read by a lookup.
    type: raw
  role:
    description: The role of the nodes. The module fails if it is not what C(machine.type) says.
    type: str
    choices: [worker, controlplane]
    required: true
  talos_version:
    description:
      - The Talos release whose rules count, such as V(v1.13.2).
      - Without it the tag of C(machine.install.image) counts, else the newest release this collection knows.
    type: str
  mode:
    description: What to validate for. V(metal) requires install instructions, V(cloud) does not.
    type: str
    choices: [cloud, metal]
    default: cloud
requirements:
  - PyYAML >= 5.4
"""

    # Annotated, because ansible-test takes a plain assignment in this class for a literal.
    NODES: str = f"""
options:
  nodes:
    description: The nodes. With an empty list the base and the common patch are checked.
    type: list
    elements: dict
    required: true
    suboptions:{NODE}
"""

    NODES_DELIVERED: str = f"""
options:
  nodes:
    description:
      - The nodes. In check mode their addresses may be missing, for VMs that do not exist yet.
    type: list
    elements: dict
    required: true
    suboptions:{NODE}
      address:
        description: The address at which the node's Talos API is reached.
        type: str
      instance_id:
        description: The VM whose console tells the fingerprint. Required if O(identity_check=console).
        type: str
      fingerprint:
        description:
          - The fingerprint of the node's certificate in maintenance mode, as its console shows it. Required if O(identity_check=fingerprint).
        type: str
      boot_id:
        description:
          - With O(configured=apply), a boot that the node has to leave, as RV(nodes[].boot_id) told it. It is rebooted if it is still in it, even
            where nothing differs. So a run finishes what a killed one began.
        type: str
"""
