# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""boto3 clients, made when first used."""

from __future__ import annotations

import functools
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

Client = t.Any


class Clients:
    """make(service) builds a client; each service's is made once, only if it is needed. boto3 clients may be shared by threads."""

    def __init__(self, make: t.Callable[[str], Client]) -> None:
        self._make = make

    @classmethod
    def of_module(cls, module: AnsibleAWSModule, connections: int = 10) -> Clients:
        """Clients with the module's connection options, good for this many calls at a time."""
        return cls(lambda service: module.client(service, config={"max_pool_connections": max(10, connections)}))

    @functools.cached_property
    def ec2(self) -> Client:
        """EC2."""
        return self._make("ec2")

    @functools.cached_property
    def elbv2(self) -> Client:
        """Elastic Load Balancing v2."""
        return self._make("elbv2")

    @functools.cached_property
    def tagging(self) -> Client:
        """Resource Groups Tagging API."""
        return self._make("resourcegroupstaggingapi")

    @functools.cached_property
    def kms(self) -> Client:
        """Key Management Service."""
        return self._make("kms")
