#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_pods
short_description: Tells which pods of a cluster are unavailable, and waits until they are no more than before
version_added: 1.0.0
description:
  - A pod is unavailable when a controller keeps it and it is not Ready. Pods that are being deleted, or have done their work, do not count.
  - What is done to nodes one after the other waits in between until what ran before runs again.
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
extends_documentation_fragment:
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.info_module
  - k8s_cluster.manager.attributes.actiongroup_kubernetes
  - k8s_cluster.manager.kubernetes
  - k8s_cluster.manager.kubernetes.lease
options:
  at_most:
    description:
      - Wait until no more pods than this are unavailable. In check mode nothing is waited for.
      - Without it, nothing is waited for, whatever there is.
    type: int
  wait_timeout:
    description: Seconds to wait. The failure then names the pods.
    type: int
    default: 600
seealso:
  - module: k8s_cluster.manager.k8s_node
"""

EXAMPLES = r"""
- name: What does not run?
  k8s_cluster.manager.k8s_pods:
    kubeconfig: "{{ kubeconfig }}"
  register: before

- name: Wait until no more than that does not run
  k8s_cluster.manager.k8s_pods:
    kubeconfig: "{{ kubeconfig }}"
    at_most: "{{ before.unavailable | length }}"
"""

RETURN = r"""
unavailable:
  description: The pods that are unavailable, by namespace and name, and why.
  returned: success
  type: dict
  sample: {shop/web-7d4b9: Unschedulable}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.arguments import SOURCES, api_for, connection_arguments
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.availability import work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.lease import LEASE_OPTION, kept
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome, run


def main() -> None:
    """Wire the options to the work."""
    module = AnsibleModule(
        argument_spec={
            **connection_arguments(),
            **LEASE_OPTION,
            "at_most": {"type": "int"},
            "wait_timeout": {"type": "int", "default": 600},
        },
        required_one_of=SOURCES,
        mutually_exclusive=SOURCES,
        supports_check_mode=True,
    )

    def started() -> Outcome:
        with api_for(module.params) as api:
            return work(module.params["at_most"], module.params["wait_timeout"], api, module.check_mode)

    run(module, started, kept)


if __name__ == "__main__":
    main()
