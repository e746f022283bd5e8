#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_apply_config
short_description: Configures Talos nodes and waits until they have joined
version_added: 1.0.0
description:
  - Renders the machine configs of any number of nodes as M(k8s_cluster.manager.talos_machine_config) does, sends each node its own, and waits
    until it has joined, all nodes in one call.
  - The C(machine.ca) of O(config) is what the nodes are recognised by afterwards.
  - Only nodes in maintenance mode are configured. A node that is configured already is compared with what it should be, RV(nodes[].drift) tells the
    result, and nothing is changed unless O(configured=apply). A node of another cluster fails.
  - A node in maintenance mode has no proof of whose it is, and whoever answers at its address gets the secrets of the cluster. Therefore its
    certificate is compared with the fingerprint that the machine prints on its console, which AWS hands over by another way.
  - A node is done when its Talos API shows a certificate of the cluster's CA and, with O(talosconfig), its stage is C(running). A control plane is
    done when it is also a voting member of etcd. Answers of the node to the sending do not count, they get lost too often.
  - Workers are configured all at once, control planes one by one, the next only when the one before votes.
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
extends_documentation_fragment:
  - k8s_cluster.manager.talos
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.set_module
  - k8s_cluster.manager.attributes.actiongroup_aws
  - k8s_cluster.manager.talos_config
  - k8s_cluster.manager.talos_config.nodes_delivered
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - k8s_cluster.manager.kubernetes.lease
options:
  configured:
    description:
      - What becomes of nodes that are configured already.
      - V(compare) leaves them as they are.
      - V(apply) sends a node what differs, and nothing to one on which nothing does. O(talosconfig) is required, and nodes in maintenance mode fail.
        A change that would give a node another name or role is refused.
      - Some changes take a reboot, RV(nodes[].reboot). Up to Talos 1.13 the node decides and does it, from 1.14 on this module asks for it.
        It waits until the node has booted again and is ready, and a control plane votes in etcd.
      - Workers are changed all at once, so only name those that may be missing together. Control planes are changed one by one, and while etcd has a
        quorum without the one that reboots.
      - In check mode each node on which something differs is asked by Talos' own dry run, over mTLS. What it does not take is a failure.
    type: str
    choices: [compare, apply]
    default: compare
  talosconfig:
    description:
      - The text of a talosconfig of the cluster, with a client certificate of the role C(os:admin).
      - Required for control planes and with O(configured=apply). Without it a worker counts as done when it shows a certificate of the cluster, and its
        drift is unknown.
    type: str
  endpoints:
    description:
      - Addresses of control planes that tell who is in etcd, the first that answers is asked.
      - Without it the endpoints of O(talosconfig).
    type: list
    elements: str
    default: []
  identity_check:
    description:
      - V(console) reads the fingerprint from the VM's console. This needs the permission C(ec2:GetConsoleOutput). Consoles of instance types that are not
        built on Nitro are minutes late. With C(ec2:DescribeInstanceStatus) the failure of a node says whether EC2 finds its VM broken.
      - V(fingerprint) takes it from O(nodes[].fingerprint).
      - V(none) sends the secrets of the cluster to whoever answers. It warns.
    type: str
    choices: [console, fingerprint, none]
    default: console
  probe_instance_id:
    description:
      - A VM of the cluster that is there already. In check mode with O(identity_check=console) the permission to read consoles is tried on it, without
        reading anything.
    type: str
  until:
    description:
      - When a node is done. V(joined) is what the description above says.
      - V(configured) asks for no more than that it has a machine config and its Talos API answers, for the first control plane of a cluster whose
        etcd M(k8s_cluster.manager.talos_bootstrap) has not bootstrapped yet. etcd is not asked whether it may be configured then.
    type: str
    choices: [joined, configured]
    default: joined
  wait_timeout:
    description: Seconds to wait for each node. Of a control plane the time until its turn does not count.
    type: int
    default: 900
  concurrency:
    description: How many nodes are talked to at the same time.
    type: int
    default: 50
seealso:
  - module: k8s_cluster.manager.talos_machine_config
  - module: k8s_cluster.manager.talos_etcd_member
"""

EXAMPLES = r"""
- name: Configure two workers
  k8s_cluster.manager.talos_apply_config:
    config: "{{ worker_config }}"
    patch: "{{ worker_patch }}"
    role: worker
    talosconfig: "{{ talosconfig }}"
    nodes:
      - name: fargle-worker-7
        hostname: fargle-worker-7.example.com
        address: 10.0.1.57
        instance_id: i-0123456789abcdef0
      - name: fargle-worker-8
        hostname: fargle-worker-8.example.com
        address: 10.0.2.58
        instance_id: i-0123456789abcdef1

- name: Change what differs on a worker that runs
  k8s_cluster.manager.talos_apply_config:
    config: "{{ worker_config }}"
    patch: "{{ worker_patch }}"
    role: worker
    talosconfig: "{{ talosconfig }}"
    configured: apply
    nodes:
      - name: fargle-worker-7
        hostname: fargle-worker-7.example.com
        address: 10.0.1.57

- name: Configure a machine whose console somebody has read
  k8s_cluster.manager.talos_apply_config:
    config: "{{ worker_config }}"
    role: worker
    identity_check: fingerprint
    nodes:
      - name: fargle-worker-9
        hostname: fargle-worker-9.example.com
        address: 10.0.1.59
        fingerprint: JXuzxDpbmXuxWlEjcoo2MpAGU1Ae0KBpJK1VAcSpR9s=
"""

RETURN = r"""
nodes:
  description: The nodes whose configs are valid, in the order of O(nodes).
  returned: when the options were right
  type: list
  elements: dict
  contains:
    name:
      description: The node's name.
      type: str
    timing:
      description:
        - Seconds from the beginning of the call at which it was first seen in each phase. Missing when it was not waited for.
        - The phases are V(booting) (the Talos API does not answer yet), V(maintenance), V(configured) (the config was accepted), V(installing),
          V(joining), V(joined).
      type: dict
      sample: {booting: 0.0, maintenance: 14.0, configured: 15.2, installing: 15.8, joining: 61.3, joined: 74.0}
    address:
      description: Its address, null while it has none.
      type: str
    was:
      description: What it was in when first met, V(maintenance), V(configured) or V(unreachable). Null in check mode for a node without address.
      type: str
    applied:
      description: Whether this run configured it. Always V(false) in check mode.
      type: bool
    drift:
      description: Whether its config differs from what it should be. Null if it could not be read.
      type: bool
    diff:
      description: What differed, as a unified diff in which secrets are replaced. Null if nothing did.
      type: str
    reboot:
      description: Whether the change takes, or took, a reboot. Null if its config could not be read.
      type: bool
    reboot_for:
      description: The parts of the config whose change takes a reboot.
      type: list
      elements: str
    boot_id:
      description: What tells its boot from all others. Only with O(configured=apply).
      type: str
    stage:
      description: Its stage, V(running) at the end. Null without O(talosconfig).
      type: str
    talos_version:
      description: The Talos version that it runs. Null without O(talosconfig).
      type: str
    fingerprint:
      description: The fingerprint of the certificate that it had in maintenance mode, null if it was not seen in it.
      type: str
    digest:
      description: The SHA-256 of the config it should have.
      type: str
    seen:
      description: Its latest state in words. Null if nobody looked.
      type: str
  sample:
    - name: fargle-worker-7
      address: 10.0.1.57
      was: maintenance
      applied: true
      drift: false
      diff:
      reboot: false
      reboot_for: []
      boot_id:
      stage: running
      talos_version: v1.11.6
      fingerprint: JXuzxDpbmXuxWlEjcoo2MpAGU1Ae0KBpJK1VAcSpR9s=
      digest: 5a2f4f0b6f0b0a7a1d7f4c0b0e3fd1a86a3a4a1a2d31bb9ad7e5bb7b5a3b9a3e
      seen: stage running
config_info:
  description: What the config says of its cluster, as M(k8s_cluster.manager.talos_machine_config) returns it.
  returned: when the options were right
  type: dict
problems:
  description: Every problem of the options.
  returned: when there are any
  type: list
  elements: str
plan:
  description: The nodes to configure and reboot, with C(verb), C(node) and C(target); the same in check mode and in the run that follows.
  returned: when the options were right
  type: list
  elements: dict
failures:
  description: The nodes that failed, with C(name) and C(msg). The others have been carried to the end.
  returned: when nodes failed
  type: list
  elements: dict
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.console import check_permission, console_reader, name_broken
from ansible_collections.k8s_cluster.manager.plugins.module_utils._kubernetes.lease import LEASE_OPTION, kept
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome, run
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.deliver import apply_configs
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.deliver_changes import apply_changes
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.machine_config import CONFIG_OPTIONS, NODE_OPTIONS, given
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.transport import require_libraries


def main() -> None:
    """Wire the options to the work."""
    node = {**NODE_OPTIONS, "address": {"type": "str"}, "instance_id": {"type": "str"}, "fingerprint": {"type": "str"}, "boot_id": {"type": "str"}}
    module = AnsibleAWSModule(
        argument_spec={
            **CONFIG_OPTIONS,
            **LEASE_OPTION,
            "nodes": {"type": "list", "elements": "dict", "required": True, "options": node},
            "configured": {"type": "str", "choices": ["compare", "apply"], "default": "compare"},
            "talosconfig": {"type": "str", "no_log": True},
            "context": {"type": "str"},
            "endpoints": {"type": "list", "elements": "str", "default": []},
            "identity_check": {"type": "str", "choices": ["console", "fingerprint", "none"], "default": "console"},
            "probe_instance_id": {"type": "str"},
            "until": {"type": "str", "choices": ["joined", "configured"], "default": "joined"},
            "wait_timeout": {"type": "int", "default": 900},
            "concurrency": {"type": "int", "default": 50},
        },
        supports_check_mode=True,
        # Only reading consoles needs it.
        check_boto3=False,
    )

    def work() -> Outcome:
        require_libraries()
        if module.params["configured"] == "apply":
            return apply_changes(given(module), module.check_mode)
        reads = module.params["identity_check"] == "console" and module.params["nodes"]
        console = console_reader(module, module.params["concurrency"]) if reads and not module.check_mode else None
        outcome = apply_configs(given(module), console, module.check_mode)
        if reads and module.check_mode and module.params["probe_instance_id"]:
            check_permission(module, module.params["probe_instance_id"])
        if console:
            name_broken(module, outcome.failures)
        return outcome

    run(module, work, kept)


if __name__ == "__main__":
    main()
