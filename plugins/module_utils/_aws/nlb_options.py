# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The options of nlb as typed data."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import InputError
from .names import CLUSTER_TAG, LOAD_BALANCER_TAG, OWNED_TAG, check_cluster, load_balancer_name

Tags = dict[str, str]


@dataclasses.dataclass(frozen=True)
class HealthCheck:
    """How a target group looks after its targets; interval and timeout are seconds, path counts for http and https."""

    protocol: str = "tcp"
    port: str = "traffic-port"
    path: str = "/"
    interval: int = 10
    timeout: int = 6
    healthy_threshold: int = 2
    unhealthy_threshold: int = 2

    def problems(self) -> list[str]:
        """What ELB would refuse of it."""
        ranges = {"interval": (5, 300), "timeout": (2, 120), "healthy_threshold": (2, 10), "unhealthy_threshold": (2, 10)}
        found = [f"{name} is not within {low}-{high}" for name, (low, high) in ranges.items() if not low <= getattr(self, name) <= high]
        if self.timeout > self.interval:
            found.append(f"timeout {self.timeout} is longer than the interval {self.interval}")
        if self.port != "traffic-port" and not (self.port.isdigit() and 1 <= int(self.port) <= 65535):
            found.append(f"port {self.port!r} is neither a port number nor traffic-port")
        return [f"health_check: {text}" for text in found]

    def params(self) -> dict[str, t.Any]:
        """As ELB describes it, and takes it in CreateTargetGroup and ModifyTargetGroup."""
        params: dict[str, t.Any] = {
            "HealthCheckProtocol": self.protocol.upper(),
            "HealthCheckPort": self.port,
            "HealthCheckIntervalSeconds": self.interval,
            "HealthCheckTimeoutSeconds": self.timeout,
            "HealthyThresholdCount": self.healthy_threshold,
            "UnhealthyThresholdCount": self.unhealthy_threshold,
        }
        return params if self.protocol == "tcp" else {**params, "HealthCheckPath": self.path}


@dataclasses.dataclass(frozen=True)
class Listener:
    """A TCP listener, and the port of the targets behind it."""

    port: int
    target_port: int


@dataclasses.dataclass(frozen=True)
class Balancer:
    """A network load balancer that is wanted, or to be removed; deregistration_delay is seconds.

    security_groups holds IDs, in check mode also names of groups still to be made.
    """

    wanted_name: str
    kind: str
    scheme: str = "internal"
    subnet_ids: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    cross_zone: bool = True
    deregistration_delay: int = 120
    connection_termination: bool = True
    preserve_client_ip: bool = True
    health_check: HealthCheck = HealthCheck()
    listeners: tuple[Listener, ...] = ()

    @classmethod
    def of_param(cls, param: t.Mapping[str, t.Any]) -> Balancer:
        """Take an element of load_balancers."""
        plain = {key: param[key] for key in ("kind", "scheme", "cross_zone", "deregistration_delay", "connection_termination", "preserve_client_ip")}
        check = {key: value for key, value in (param["health_check"] or {}).items() if value is not None}
        return cls(
            wanted_name=param["name"],
            subnet_ids=tuple(dict.fromkeys(param["subnet_ids"])),
            security_groups=tuple(dict.fromkeys(param["security_groups"])),
            health_check=HealthCheck(**check),
            listeners=tuple(Listener(**listener) for listener in param["listeners"]),
            **plain,
        )

    @property
    def name(self) -> str:
        """Its name in AWS."""
        return load_balancer_name(self.wanted_name)

    def group_name(self, listener: Listener) -> str:
        """The name of the target group behind a listener."""
        return load_balancer_name(f"{self.wanted_name}-{listener.port}")

    def group_attributes(self) -> dict[str, str]:
        """The attributes of its target groups, all explicit."""
        return {
            "deregistration_delay.timeout_seconds": str(self.deregistration_delay),
            "deregistration_delay.connection_termination.enabled": str(self.connection_termination).lower(),
            "preserve_client_ip.enabled": str(self.preserve_client_ip).lower(),
        }

    def problems(self, check_mode: bool) -> list[str]:
        """What is wrong with its options, as far as they alone tell."""
        found = []
        if not self.wanted_name.strip():
            found.append("load_balancers: a name is empty")
        if not self.subnet_ids or not all(self.subnet_ids):
            found.append(f"load_balancers: {self.wanted_name}: subnet_ids is empty; name one subnet in each zone")
        if not self.listeners:
            found.append(f"load_balancers: {self.wanted_name}: has no listeners")
        ports = [listener.port for listener in self.listeners]
        found += [f"load_balancers: {self.wanted_name}: several listeners on port {port}" for port in sorted(set(ports)) if ports.count(port) > 1]
        found += [f"load_balancers: {self.wanted_name}: {problem}" for problem in self.health_check.problems()]
        if not 0 <= self.deregistration_delay <= 3600:
            found.append(f"load_balancers: {self.wanted_name}: deregistration_delay is not within 0-3600")
        if len(self.security_groups) > 5:
            found.append(f"load_balancers: {self.wanted_name}: {len(self.security_groups)} security groups, a load balancer takes 5")
        unknown = [group for group in self.security_groups if not group.startswith("sg-")]
        if unknown and not check_mode:
            found.append(f"load_balancers: {self.wanted_name}: {', '.join(unknown)} is not the id of a security group")
        return found


@dataclasses.dataclass(frozen=True)
class NlbOptions:
    """The options of nlb; wait_timeout is seconds."""

    cluster: str
    state: str
    balancers: tuple[Balancer, ...]
    tags: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    wait_timeout: int = 600

    @classmethod
    def of_params(cls, params: t.Mapping[str, t.Any]) -> NlbOptions:
        """Take a module's parameters; raise InputError for names that cannot be used."""
        check_cluster(params["cluster"])
        options = cls(
            cluster=params["cluster"],
            state=params["state"],
            balancers=tuple(Balancer.of_param(balancer) for balancer in params["load_balancers"]),
            tags={key: str(value) for key, value in (params["tags"] or {}).items()},
            wait_timeout=params["wait_timeout"],
        )
        names = [balancer.name for balancer in options.balancers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"load_balancers: {', '.join(twice)} is named twice")
        return options

    def problems(self, check_mode: bool) -> list[str]:
        """What is wrong with the options of a creation, as far as they alone tell."""
        reserved = sorted(key for key in self.tags if key in (CLUSTER_TAG, LOAD_BALANCER_TAG, OWNED_TAG) or key.lower().startswith("aws:"))
        found = [f"tags: {', '.join(reserved)} cannot be chosen, the load balancers are found by them"] if reserved else []
        return found + [problem for balancer in self.balancers for problem in balancer.problems(check_mode)]

    def tags_of(self, balancer: Balancer) -> Tags:
        """The tags of a load balancer and its target groups."""
        return {**self.tags, CLUSTER_TAG: self.cluster, LOAD_BALANCER_TAG: balancer.kind, OWNED_TAG: "true"}
