#!/usr/bin/python
# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module with a gRPC client, TLS and YAML costs before it has done anything."""

from __future__ import annotations

import cryptography.x509  # noqa: F401
import google.protobuf.message  # noqa: F401
import grpclib.client  # noqa: F401
import yaml  # noqa: F401
from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Start, and answer."""
    AnsibleModule(argument_spec={}, supports_check_mode=True).exit_json(changed=False)


if __name__ == "__main__":
    main()
