# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What discovery does not tell of instances: their health, hardware and disks, and whose machines else are in the cluster's places."""

from __future__ import annotations

import dataclasses
import typing as t

from .._outcome import Outcome
from . import classify, ec2
from .clients import Clients
from .discovery import LIVING
from .preflight import image_result

Item = dict[str, t.Any]

# The worst first; an instance has the worst of its checks. One that does not run has none.
STATUSES = ("impaired", "insufficient-data", "initializing", "not-applicable", "ok")
CHECKS = ("SystemStatus", "InstanceStatus", "AttachedEbsStatus")


@dataclasses.dataclass(frozen=True)
class DetailOptions:
    """The options of ec2_node_info. image_ids: a call for each. machines: instance ids and private addresses, the latter looked for in vpc_ids."""

    instance_ids: tuple[str, ...]
    instance_types: tuple[str, ...]
    image_ids: tuple[str, ...]
    machines: tuple[str, ...]
    vpc_ids: tuple[str, ...]

    @classmethod
    def of_params(cls, params: t.Mapping[str, t.Any]) -> DetailOptions:
        """From a module's parameters, each value once."""
        return cls(**{field.name: tuple(dict.fromkeys(params[field.name])) for field in dataclasses.fields(cls)})


def status_of(item: Item) -> str:
    """The worst status check of an instance."""
    checks = {item[check]["Status"] for check in CHECKS if check in item}
    return next((status for status in STATUSES if status in checks), "")


def volume(item: Item) -> Item:
    """A volume as ec2_node_info returns it."""
    return {
        "id": item["VolumeId"],
        "type": item["VolumeType"],
        "size_gb": item["Size"],
        "iops": item.get("Iops"),
        "throughput": item.get("Throughput"),
    }


def _volumes(clients: Clients, instance_ids: t.Sequence[str]) -> dict[str, list[Item]]:
    """Instance id to its volumes."""
    found: dict[str, list[Item]] = {}
    for item in ec2.describe_volumes(clients.ec2, instance_ids):
        for attachment in item["Attachments"]:
            found.setdefault(attachment["InstanceId"], []).append(volume(item))
    return found


def _strangers(options: DetailOptions, clients: Clients) -> list[Item]:
    """The instances that machines mean."""
    ids = [machine for machine in options.machines if machine.startswith("i-")]
    addresses = [machine for machine in options.machines if not machine.startswith("i-")]
    found = ec2.describe_instances(clients.ec2, "instance-id", ids, LIVING)
    if options.vpc_ids:
        found += ec2.describe_instances(clients.ec2, "private-ip-address", addresses, LIVING, {"vpc-id": list(options.vpc_ids)})
    rows = {item["InstanceId"]: classify.instance(item) for item in found}
    return [{**row, "cluster": classify.owner(row)} for row in rows.values()]


def details(options: DetailOptions, clients: Clients) -> Outcome:
    """The work of ec2_node_info."""
    statuses = {item["InstanceId"]: status_of(item) for item in ec2.describe_instance_status(clients.ec2, options.instance_ids)}
    volumes = _volumes(clients, options.instance_ids)
    instances = [{"instance_id": key, "status": statuses.get(key, ""), "volumes": volumes.get(key, [])} for key in options.instance_ids]
    types = [
        {"instance_type": item["InstanceType"], "vcpus": item["VCpuInfo"]["DefaultVCpus"], "memory_mib": item["MemoryInfo"]["SizeInMiB"]}
        for item in ec2.describe_instance_types(clients.ec2, options.instance_types)
    ]
    images = [image_result(image, image_id) for image_id in options.image_ids for image in ec2.describe_images(clients.ec2, image_id)]
    return Outcome(values={"instances": instances, "instance_types": types, "images": images, "machines": _strangers(options, clients)})
