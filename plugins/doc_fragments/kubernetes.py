# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that talk to a cluster's Kubernetes API."""

from __future__ import annotations


class ModuleDocFragment:
    """`kubernetes`: the connection, see module_utils/_kubernetes/arguments.py; `kubernetes.lease`: the option of modules that wait, see lease.py there."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - The kubeconfig's text (YAML or JSON), not a path, so that it can come straight from a secret store.
      - It must carry a CA certificate and a client certificate or a token. One that runs a program (C(exec)), asks an
        authentication provider or skips TLS verification is refused. C(talosctl kubeconfig) writes a fitting one.
      - Nothing of it is written to a file.
      - One of O(kubeconfig) and O(talosconfig) is required.
    type: str
  talosconfig:
    description:
      - The text of a talosconfig of the cluster, with a client certificate of the role C(os:admin), in place of O(kubeconfig).
      - The first control plane of O(endpoints) that answers makes a kubeconfig, which stays in memory, and its own API server is talked to, on port 6443.
        So this works where the cluster has no kubeconfig yet and its endpoint's name does not lead anywhere yet.
      - M(k8s_cluster.manager.k8s_node) warns when nodes have become Ready and the endpoint in their machine configs leads elsewhere.
      - Needs the Python libraries grpclib, protobuf and cryptography.
    type: str
  endpoints:
    description:
      - Addresses of control planes to ask with O(talosconfig). Without it the endpoints of O(talosconfig).
    type: list
    elements: str
    default: []
  cluster:
    description:
      - The cluster's name. Of several contexts in O(kubeconfig) the one named after it is used (V(name), V(user@name), or its
        cluster entry is V(name)); when none or more than one is, O(context) must say.
    type: str
  context:
    description:
      - The context of O(kubeconfig) to use. Without it, and without O(cluster), the current context.
    type: str
  server:
    description:
      - Another URL of the same API server, for instance one control plane's own V(https://10.0.1.5:6443) while the load
        balancer's targets change. The server must still show a certificate for the name it has in O(kubeconfig).
    type: str
requirements:
  - python >= 3.10
  - kubernetes >= 28.1.0
  - A Linux controller (O(kubeconfig)'s certificates are handed to the Python library in memory files)
"""

    LEASE = r"""
options:
  lease:
    description:
      - What M(k8s_cluster.manager.k8s_lease) has taken, which is renewed while this module runs. If it has been lost, the module stops before it
        does anything further that cannot be taken back.
      - JSON with RV(k8s_cluster.manager.k8s_lease#module:holder), RV(k8s_cluster.manager.k8s_lease#module:acquired) and the options that lead to the cluster.
      - Needs the Python library kubernetes. Not used in check mode.
    type: str
"""
