# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that the modules of this collection share."""

from __future__ import annotations


class ModuleDocFragment:
    """`attributes`: what each means, `attributes.set_module` or `.info_module` how far it is supported; add `.actiongroup_manager` or `.actiongroup_aws`."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return the changed status prediction without modifying the target.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
      - This assumes that the system controlled or queried by the module has not changed in a relevant way.
"""

    # A module that changes a set of nodes: all of it works everywhere.
    SET_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Check mode is also the preflight. It validates everything that read-only calls can find out, reports all problems together,
        and returns the same C(plan) as the run that follows.
  diff_mode:
    support: full
  idempotent:
    support: full
"""

    # A module that only reads.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module does not modify state.
  diff_mode:
    support: N/A
    details:
      - This module does not modify state.
  idempotent:
    support: full
    details:
      - This module does not modify state.
"""

    # Defaults for every module of the collection at once.
    ACTIONGROUP_MANAGER = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/k8s_cluster.manager.manager) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - k8s_cluster.manager.manager
"""

    # Modules that take amazon.aws' connection options are in both groups.
    ACTIONGROUP_AWS = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/k8s_cluster.manager.aws) or C(group/k8s_cluster.manager.manager) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - k8s_cluster.manager.aws
      - k8s_cluster.manager.manager
"""

    # Modules that talk to Kubernetes.
    ACTIONGROUP_KUBERNETES = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/k8s_cluster.manager.kubernetes) or C(group/k8s_cluster.manager.manager) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - k8s_cluster.manager.kubernetes
      - k8s_cluster.manager.manager
"""
