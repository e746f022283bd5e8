# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Names: tag keys, launch tokens, and what may be called a cluster or a node."""

from __future__ import annotations

import hashlib
import re
import typing as t

from .._errors import InputError

CLUSTER_TAG = "Cluster"
NAME_TAG = "Name"
ROLE_TAG = "Role"
LOAD_BALANCER_TAG = "LoadBalancer"
UNFINISHED_TAG = "k8s-cluster-manager/unfinished"
GENERATION_TAG = "k8s-cluster-manager/generation"
CONTROLLER_TAG = "elbv2.k8s.aws/cluster"
# On load balancers, target groups and security groups that the collection made or took over, and may remove.
OWNED_TAG = "k8s-cluster-manager/owned"
RESERVED_TAGS = (CLUSTER_TAG, NAME_TAG, ROLE_TAG, UNFINISHED_TAG, GENERATION_TAG)

ROLES = ("worker", "controlplane")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

# The longest name of a load balancer or target group, and how much of it tells shortened ones apart.
LOAD_BALANCER_NAME = 32
_DIGEST_LENGTH = 8


def load_balancer_name(name: str) -> str:
    """The name in AWS of a load balancer or target group that should be called name: itself where ELB takes it.

    Else (too long, or with other than letters, digits and single dashes between them) as much of it as fits, and a digest of all of it: the same
    name always gives the same, different ones give different ones.
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
    if plain == name and len(name) <= LOAD_BALANCER_NAME:
        return name
    return f"{plain[: LOAD_BALANCER_NAME - _DIGEST_LENGTH - 1].rstrip('-')}-{_digest(name)[:_DIGEST_LENGTH]}"


def check_cluster(cluster: str) -> None:
    """Raise InputError unless this can be a cluster's name; an empty selector must never mean everything."""
    if not _CLUSTER.fullmatch(cluster):
        raise InputError(f"cluster: {cluster!r} is not a cluster name (letters, digits, - and _, not empty)")


def check_nodes(nodes: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    """Raise one InputError that lists every node name that cannot be used."""
    problems = []
    seen: dict[str, int] = {}
    for index, node in enumerate(nodes):
        name = node.get("name") or ""
        if not _DNS_LABEL.fullmatch(name):
            problems.append(f"nodes[{index}]: {name!r} is not a node name (a DNS label: lower-case letters, digits and -, at most 63, not empty)")
        elif name in seen:
            problems.append(f"nodes[{index}]: {name!r} is already nodes[{seen[name]}]")
        seen.setdefault(name, index)
    if problems:
        raise InputError("; ".join(problems))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def token_prefix(cluster: str, name: str) -> str:
    """What all launch tokens of this node begin with: 41 characters, the last a dash."""
    return f"{_digest(cluster, name)[:40]}-"


def launch_token(cluster: str, name: str, subnet_id: str, generation: int) -> str:
    """The client token of a launch: the same words give the same token, so that a killed run repeated gets its own VM back.

    The subnet is part of it since EC2 keeps tokens per zone. Fewer than 64 characters, which is what EC2 allows.
    """
    return f"{token_prefix(cluster, name)}{_digest(subnet_id)[:12]}-{generation}"


def token_generation(token: str) -> int:
    """The generation a token of ours was made for; 0 for other tokens."""
    generation = token.rpartition("-")[2]
    return int(generation) if generation.isdigit() else 0
