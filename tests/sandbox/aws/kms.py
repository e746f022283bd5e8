# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether EC2 can use a KMS key for a volume."""

from __future__ import annotations

import re

from moto.kms.models import kms_backends


def usable(account: str, region: str, key: str | None) -> bool:
    """True if there is no key to use, it is the account's own for EBS, or it exists and is enabled.

    key: key ID, alias, key ARN or alias ARN. EC2 finds out only while it launches, never in its answer:
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html (KmsKeyId, "asynchronously").
    """
    name = re.sub(r"^arn:[^:]+:kms:[^:]+:[^:]+:", "", key or "").removeprefix("key/")
    if name in ("", "alias/aws/ebs"):
        return True
    store = kms_backends[account][region]
    aliases = {alias.alias_name: one for one in store.keys.values() for alias in one.aliases.values()}
    known = aliases.get(name) or store.keys.get(name)
    return known is not None and known.key_state == "Enabled"
