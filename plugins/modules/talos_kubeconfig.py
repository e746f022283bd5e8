#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_kubeconfig
short_description: Writes a kubeconfig of a Talos cluster to a file
version_added: 1.0.0
description:
  - Lets a control plane make a kubeconfig with an administrator's certificate, and writes it to a file that only its owner may read (mode C(0600)).
  - Never returns the kubeconfig. The modules that talk to Kubernetes need none, they take O(talosconfig) themselves.
  - Talos makes a new certificate each time. A file that is there is kept while it names the same server and its certificate has at least a third of
    the time of a new one left.
  - A file that holds anything else, such as another cluster's kubeconfig or several contexts, is never overwritten; the module fails.
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
extends_documentation_fragment:
  - k8s_cluster.manager.talos
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.set_module
  - k8s_cluster.manager.attributes.actiongroup_manager
options:
  talosconfig:
    description:
      - The text of a talosconfig of the cluster, with a client certificate of the role C(os:admin).
    type: str
    required: true
  endpoints:
    description:
      - Addresses of control planes to ask, the first that answers is used. Without it the endpoints of O(talosconfig).
      - In check mode none needs to answer.
    type: list
    elements: str
    default: []
  dest:
    description: The file, on the host that the module runs on. Its directory must exist.
    type: path
    required: true
requirements:
  - PyYAML >= 5.4
seealso:
  - module: k8s_cluster.manager.talos_bootstrap
"""

EXAMPLES = r"""
- name: Keep the kubeconfig
  k8s_cluster.manager.talos_kubeconfig:
    talosconfig: "{{ talosconfig }}"
    endpoints: [10.0.1.11]
    dest: ~/.kube/barney
"""

RETURN = r"""
plan:
  description:
    - What is done to the file, with C(verb) (C(write), or C(restrict) if only its mode was wrong), C(node) (empty) and C(target); the same in check mode.
  returned: success
  type: list
  elements: dict
nodes:
  description: Always empty.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.from_talos import save
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import run


def main() -> None:
    """Wire the options to the work."""
    module = AnsibleModule(
        argument_spec={
            "talosconfig": {"type": "str", "required": True, "no_log": True},
            "context": {"type": "str"},
            "endpoints": {"type": "list", "elements": "str", "default": []},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    run(module, lambda: save(module.params, module.check_mode))


if __name__ == "__main__":
    main()
