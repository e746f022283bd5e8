# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The options of ec2_node as typed data."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import InputError
from .names import RESERVED_TAGS, check_cluster, check_nodes


@dataclasses.dataclass(frozen=True)
class Node:
    """A node asked for; instance_id chooses among instances of the same name ("" when not given)."""

    name: str
    instance_id: str = ""


@dataclasses.dataclass(frozen=True)
class RootVolume:
    """The root volume of a launch; None leaves a value to EC2, device_name "" means the image's own."""

    size_gb: int | None = None
    type: str = "gp3"
    device_name: str = ""
    kms_key_id: str = ""
    iops: int | None = None
    throughput: int | None = None


@dataclasses.dataclass(frozen=True)
class Offer:
    """What a check found a launch may use: the image's root device, and the subnets that can take the nodes."""

    root_device_name: str
    subnet_ids: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class NodeOptions:
    """The options of ec2_node; those of a launch are empty where only existing instances are meant."""

    cluster: str
    state: str
    nodes: tuple[Node, ...]
    role: str = ""
    image_id: str = ""
    instance_type: str = ""
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    root_volume: RootVolume = RootVolume()
    placement_group_name: str = ""
    tags: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    iam_instance_profile: str = ""
    associate_public_ip: bool | None = None
    offer: Offer | None = None
    wait_timeout: int = 300
    concurrency: int = 4
    # Check mode also predicts launches into security groups that do not exist yet; a launch needs them.
    needs_groups: bool = True

    @classmethod
    def of_params(cls, params: t.Mapping[str, t.Any], check_mode: bool = False) -> NodeOptions:
        """Take a module's parameters; raise InputError for names that cannot be used."""
        check_cluster(params["cluster"])
        check_nodes(params["nodes"])
        volume = {key: value for key, value in (params["root_volume"] or {}).items() if value is not None}
        return cls(
            cluster=params["cluster"],
            state=params["state"],
            nodes=tuple(Node(node["name"], node.get("instance_id") or "") for node in params["nodes"]),
            role=params["role"] or "",
            image_id=params["image_id"] or "",
            instance_type=params["instance_type"] or "",
            subnet_ids=tuple(dict.fromkeys(params["subnet_id"] or ())),
            security_group_ids=tuple(dict.fromkeys(params["security_group_ids"] or ())),
            root_volume=RootVolume(**volume),
            placement_group_name=params["placement_group_name"] or "",
            tags={key: str(value) for key, value in (params["tags"] or {}).items()},
            iam_instance_profile=params["iam_instance_profile"] or "",
            associate_public_ip=params["associate_public_ip"],
            offer=_offer(params["offer"], params["subnet_id"] or ()),
            wait_timeout=params["wait_timeout"],
            concurrency=max(1, params["concurrency"]),
            needs_groups=not check_mode,
        )

    def problems(self) -> list[str]:
        """What is wrong with the options of a launch, as far as the options alone tell."""
        needed = {"role": self.role, "image_id": self.image_id, "instance_type": self.instance_type}
        found = [f"{option}: is empty" for option, value in needed.items() if not value]
        if not self.subnet_ids or not all(self.subnet_ids):
            found.append("subnet_id: is empty; name one or more subnets of the cluster's VPC")
        if (self.needs_groups and not self.security_group_ids) or not all(self.security_group_ids):
            found.append("security_group_ids: is empty; EC2 would take the VPC's default group, which is never right for a node")
        if len(self.security_group_ids) > 5:
            found.append(f"security_group_ids: {len(self.security_group_ids)} groups, an interface takes 5")
        reserved = sorted(key for key in self.tags if key in RESERVED_TAGS or key.lower().startswith("aws:"))
        if reserved:
            found.append(f"tags: {', '.join(reserved)} cannot be chosen, the node is found by them")
        return found


def _offer(given: t.Mapping[str, t.Any] | None, subnet_ids: t.Collection[str]) -> Offer | None:
    """The option offer. Raises InputError for one that was made for other subnets, or offers none."""
    if not given:
        return None
    others = [subnet_id for subnet_id in given["subnet_id"] if subnet_id not in subnet_ids]
    if others or not given["subnet_id"]:
        raise InputError(f"offer.subnet_id: {', '.join(others) or 'empty'}: the offer is of a call with another subnet_id")
    return Offer(given["root_device_name"], tuple(given["subnet_id"]))


def check_problems(problems: t.Sequence[str]) -> None:
    """Raise one InputError that names all problems, if there are any; its details list them."""
    if problems:
        raise InputError("; ".join(problems), problems=list(problems))
