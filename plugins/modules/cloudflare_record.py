#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudflare_record
short_description: DNS records of nodes at Cloudflare
version_added: 1.0.0
description:
  - Gives nodes their address records and takes them away, for any number of nodes in one call, and tells which records a cluster has.
  - Every record gets a mark in its comment, C(k8s_cluster.manager cluster=<cluster> node=<node>) (of names too long for the
    100 characters of a comment, a part of their SHA-256). A record is ours when it has this mark, or exactly
    the wanted name, type and address; then it gets the mark. Any other record is never changed or deleted.
  - There is exactly one record per name and type afterwards. A changed address updates it.
  - Records are never proxied through Cloudflare.
  - Changes are sent in batches of up to 200, each of which Cloudflare carries out as a whole or not at all.
  - Works through the official Python SDK, with its retries and its environment variables, because C(community.general.cloudflare_dns) has
    one fixed endpoint, does not retry and has no notion of whose a record is.
author:
  - k8s_cluster.manager contributors (@k8s-cluster)
extends_documentation_fragment:
  - k8s_cluster.manager.attributes
  - k8s_cluster.manager.attributes.set_module
  - k8s_cluster.manager.attributes.actiongroup_manager
options:
  api_token:
    description:
      - An API token with the permissions Zone / Zone / Read and Zone / DNS / Edit. With O(zone_id), Zone / DNS / Edit is enough
        once the zone has records of the same domain.
      - Taken from the environment variable E(CLOUDFLARE_API_TOKEN) if not set.
      - E(CLOUDFLARE_EMAIL), E(CLOUDFLARE_API_KEY) and E(CLOUDFLARE_API_USER_SERVICE_KEY) are ignored. E(CLOUDFLARE_BASE_URL) names
        another endpoint.
    type: str
    required: true
  zone_id:
    description:
      - The zone's ID. Without it the longest zone is used that O(domain), or the first record's name, ends in.
      - Taken from the environment variable E(CLOUDFLARE_ZONE_ID) if not set.
    type: str
  zone_name:
    description:
      - The name of the zone O(zone_id), as RV(zone) of an earlier call has it. It is then asked for in check mode only.
    type: str
  domain:
    description:
      - The domain of the nodes' names. It must be the zone or below it.
      - RV(records) also has the records below it that are not ours.
    type: str
  cluster:
    description: The cluster's name.
    type: str
    required: true
  records:
    description: The records. An empty list only tells what there is.
    type: list
    elements: dict
    required: true
    suboptions:
      node:
        description: The node's name.
        type: str
        required: true
      name:
        description: The record's full name. Required unless O(state=absent).
        type: str
      type:
        description: The record's type.
        type: str
        choices: [A, AAAA]
        default: A
      content:
        description:
          - The node's address. Required unless O(state=absent). In check mode it may be missing, for a VM that does not exist yet.
          - With O(state=absent) it serves to recognise a record without mark.
        type: str
      id:
        description:
          - With O(state=absent) the ID of the one record to delete, which must have the node's mark, and be what O(records[].name) and
            O(records[].content) say where they are given. Otherwise nothing is deleted.
        type: str
      ttl:
        description: Time to live in seconds, or V(1) for automatic. Without it a record keeps its own, and a new one gets V(1).
        type: int
  state:
    description:
      - V(present) makes each record be there once. A record of that name that is not ours, or a C(CNAME) of that name, fails the node.
      - V(absent) deletes every record with the node's mark, whatever its name, and one with exactly the name, type and content given.
        A record of that name and type that is not ours is left alone, with a warning.
    type: str
    choices: [present, absent]
    default: present
requirements:
  - python >= 3.10
  - cloudflare >= 4.0.0
"""

EXAMPLES = r"""
- name: Which DNS records does the cluster have?
  k8s_cluster.manager.cloudflare_record:
    cluster: fargle
    domain: example.com
    records: []
  register: dns

- name: Name two nodes
  k8s_cluster.manager.cloudflare_record:
    api_token: "{{ cloudflare_token }}"
    cluster: fargle
    records:
      - node: fargle-worker-7
        name: fargle-worker-7.example.com
        content: 10.0.1.57
      - node: fargle-worker-8
        name: fargle-worker-8.example.com
        content: 10.0.2.58
        ttl: 300

- name: Forget a node
  k8s_cluster.manager.cloudflare_record:
    cluster: fargle
    domain: example.com
    records:
      - node: fargle-worker-7
    state: absent
"""

RETURN = r"""
records:
  description: All records of the cluster, and all records below O(domain) if that is given.
  returned: when Cloudflare answered
  type: list
  elements: dict
  contains:
    id:
      description: The record's ID.
      type: str
    name:
      description: Its full name.
      type: str
    type:
      description: Its type.
      type: str
    content:
      description: What it points to.
      type: str
    ttl:
      description: Its time to live in seconds, V(1) for automatic.
      type: int
    proxied:
      description: Whether Cloudflare proxies it.
      type: bool
    comment:
      description: Its comment.
      type: str
    cluster:
      description: The cluster that its mark names, empty without a mark.
      type: str
    node:
      description: The node that its mark names, empty without a mark.
      type: str
    ours:
      description: Whether it has a mark of O(cluster).
      type: bool
  sample:
    - id: 023e105f4ecef8ad9ca31a8372d0c353
      name: fargle-worker-7.example.com
      type: A
      content: 10.0.1.57
      ttl: 1
      proxied: false
      comment: k8s_cluster.manager cluster=fargle node=fargle-worker-7
      cluster: fargle
      node: fargle-worker-7
      ours: true
nodes:
  description: The nodes of O(records) with C(name) and their marked C(records), in the order of O(records). In check mode those that there are now.
  returned: when Cloudflare answered
  type: list
  elements: dict
zone:
  description: The zone, with C(id) and C(name); the name is empty when the token may not read it.
  returned: when Cloudflare answered
  type: dict
plan:
  description: The changes, with C(verb), C(node) and C(target); the same in check mode and in the run that follows.
  returned: when Cloudflare answered
  type: list
  elements: dict
failures:
  description: The nodes that failed, with C(name) and C(msg). The others have been carried to the end.
  returned: when nodes failed
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule, env_fallback
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare.client import connect
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare.records import read_options, work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome, run


def main() -> None:
    """Wire the options to the work."""
    record = {
        "node": {"type": "str", "required": True},
        "name": {"type": "str"},
        "type": {"type": "str", "choices": ["A", "AAAA"], "default": "A"},
        "content": {"type": "str"},
        "id": {"type": "str"},
        "ttl": {"type": "int"},
    }
    module = AnsibleModule(
        argument_spec={
            "api_token": {"type": "str", "required": True, "no_log": True, "fallback": (env_fallback, ["CLOUDFLARE_API_TOKEN"])},
            "zone_id": {"type": "str", "fallback": (env_fallback, ["CLOUDFLARE_ZONE_ID"])},
            "zone_name": {"type": "str"},
            "domain": {"type": "str"},
            "cluster": {"type": "str", "required": True},
            "records": {"type": "list", "elements": "dict", "required": True, "options": record},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )

    def started() -> Outcome:
        options = read_options(module.params, module.check_mode)
        return work(options, connect(module.params["api_token"]), module.check_mode)

    run(module, started)


if __name__ == "__main__":
    main()
