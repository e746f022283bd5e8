# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters of DescribeInstances and DescribeInstanceStatus.

Values match exactly, * and ? are wildcards (backslash quotes them), case counts, values of one filter are joined by OR
and filters by AND: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
"""

from __future__ import annotations

import re
import typing as t

from .launch import refuse

if t.TYPE_CHECKING:
    from .instances import StrictInstance

Read = t.Callable[["StrictInstance"], t.Any]

FIELDS: dict[str, Read] = {
    "architecture": lambda one: one.architecture,
    "availability-zone": lambda one: one.availability_zone,
    "block-device-mapping.volume-id": lambda one: [device.volume_id for device in one.block_device_mapping.values()],
    "client-token": lambda one: one.client_token,
    "image-id": lambda one: one.image_id,
    "instance-id": lambda one: one.id,
    "instance-state-code": lambda one: str(one.state_code),
    "instance-state-name": lambda one: one.state,
    "instance-status.status": lambda one: one.instance_status["Status"],
    "system-status.status": lambda one: one.system_status["Status"],
    "instance-type": lambda one: one.instance_type,
    "instance.group-id": lambda one: [group.id for group in one.security_groups],
    "instance.group-name": lambda one: [group.name for group in one.security_groups],
    "ip-address": lambda one: one.public_ip,
    "key-name": lambda one: one.key_name,
    "network-interface.network-interface-id": lambda one: [interface.id for interface in one.nics.values()],
    "network-interface.addresses.private-ip-address": lambda one: one.private_ip,
    "owner-id": lambda one: one.owner_id,
    "placement-group-name": lambda one: one.placement.group_name,
    "private-dns-name": lambda one: one.private_dns_name,
    "private-ip-address": lambda one: one.private_ip,
    "root-device-name": lambda one: one.root_device_name,
    "state-reason-code": lambda one: one.state_reason.code,
    "subnet-id": lambda one: one.subnet_id,
    "tag-key": lambda one: list(one.tag_dict),
    "vpc-id": lambda one: one.vpc_id,
}


def matches(instance: StrictInstance, filters: list[dict[str, t.Any]]) -> bool:
    """True if the instance passes all filters; an unknown filter is EC2's InvalidParameterValue."""
    return all(_passes(instance, one["Name"], one.get("Values", [])) for one in filters)


def _passes(instance: StrictInstance, name: str, wanted: list[str]) -> bool:
    if name.startswith("tag:"):
        value = instance.tag_dict.get(name[len("tag:") :])
        have = [] if value is None else [value]
    elif name in FIELDS:
        value = FIELDS[name](instance)
        have = value if isinstance(value, list) else [value]
    else:
        refuse("InvalidParameterValue", f"The filter '{name}' is invalid")
    return any(_pattern(pattern).fullmatch(one) for pattern in wanted for one in have if one is not None)


def _pattern(pattern: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|[*?]|[^\\*?]+|\\", pattern)
    translated = [".*" if part == "*" else "." if part == "?" else re.escape(part[1:] if part.startswith("\\") and len(part) > 1 else part) for part in parts]
    return re.compile("".join(translated), re.DOTALL)
