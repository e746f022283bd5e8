# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes of network load balancers, their target groups and listeners: defaults and values.

https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html, API_TargetGroupAttribute.html, API_ListenerAttribute.html
"""

from __future__ import annotations

import dataclasses
import typing as t

from .elb_checks import refuse

Values = dict[str, str]
BOOL = ("true", "false")
DELAY, CUT, STICKY = "deregistration_delay.timeout_seconds", "deregistration_delay.connection_termination.enabled", "stickiness.enabled"
UNHEALTHY_CUT, UNHEALTHY_DRAIN = "target_health_state.unhealthy.connection_termination.enabled", "target_health_state.unhealthy.draining_interval_seconds"
CLIENT_IP = "preserve_client_ip.enabled"
LOGS, BUCKET, SECONDARY = "access_logs.s3.enabled", "access_logs.s3.bucket", "secondary_ips.auto_assigned.per_subnet"
# Attributes of other load balancers: known, but refused.
APPLICATION_ONLY = ("idle_timeout.timeout_seconds", "client_keep_alive.seconds", "connection_logs.", "health_check_logs.", "routing.", "waf.")
APPLICATION_GROUPS = ("load_balancing.algorithm.", "slow_start.", "stickiness.app_cookie.", "stickiness.lb_cookie.", "lambda.")
GATEWAY_GROUPS = ("target_failover.", "send_tcp_reset.")


@dataclasses.dataclass(frozen=True)
class Attribute:
    """One attribute. words: values that are allowed as they are; low, high: numbers that are, None = none; free: any text."""

    default: str
    words: tuple[str, ...] = ()
    low: int | None = None
    high: int = 0
    free: bool = False

    def allows(self, value: str) -> bool:
        if self.free or value in self.words:
            return True
        return self.low is not None and value.isdigit() and self.low <= int(value) <= self.high

    def allowed(self) -> str:
        """The values in words."""
        numbers = [f"{self.low}-{self.high}"] if self.low is not None else []
        return ", ".join([*self.words, *numbers])


BALANCER = {
    LOGS: Attribute("false", BOOL),
    BUCKET: Attribute("", free=True),
    "access_logs.s3.prefix": Attribute("", free=True),
    "deletion_protection.enabled": Attribute("false", BOOL),
    "load_balancing.cross_zone.enabled": Attribute("false", BOOL),
    "zonal_shift.config.enabled": Attribute("false", BOOL),
    "dns_record.client_routing_policy": Attribute(
        "any_availability_zone", ("any_availability_zone", "availability_zone_affinity", "partial_availability_zone_affinity")
    ),
    SECONDARY: Attribute("0", low=0, high=7),
}
GROUP = {
    DELAY: Attribute("300", low=0, high=3600),
    CUT: Attribute("false", BOOL),
    "load_balancing.cross_zone.enabled": Attribute("use_load_balancer_configuration", (*BOOL, "use_load_balancer_configuration")),
    CLIENT_IP: Attribute("true", BOOL),
    "proxy_protocol_v2.enabled": Attribute("false", BOOL),
    STICKY: Attribute("false", BOOL),
    "stickiness.type": Attribute("source_ip", ("source_ip",)),
    "target_group_health.dns_failover.minimum_healthy_targets.count": Attribute("1", ("off",), 1, 1000),
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": Attribute("off", ("off",), 1, 100),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": Attribute("1", (), 1, 1000),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": Attribute("off", ("off",), 1, 100),
    UNHEALTHY_CUT: Attribute("true", BOOL),
    UNHEALTHY_DRAIN: Attribute("0", low=0, high=360000),
}
LISTENER = {"tcp.idle_timeout.seconds": Attribute("350", low=60, high=6000)}


def defaults(table: dict[str, Attribute]) -> Values:
    """The attributes of something that was just made."""
    return {key: attribute.default for key, attribute in table.items()}


def group_defaults(protocol: str, target_type: str) -> Values:
    """The attributes of a new target group of a network load balancer."""
    datagrams = protocol in ("UDP", "TCP_UDP")
    values = {**defaults(GROUP), CUT: str(datagrams).lower(), UNHEALTHY_CUT: str(not datagrams).lower()}
    if target_type == "ip" and not datagrams:
        values[CLIENT_IP] = "false"
    return values


def _check_values(what: str, table: dict[str, Attribute], changes: Values) -> None:
    for key, value in changes.items():
        if not table[key].allows(value):
            refuse("ValidationError", f"{what} attribute '{key}' has the value '{value}', which must be one of: {table[key].allowed()}")


def check_balancer(current: Values, changes: Values) -> None:
    """Refuse what a network load balancer does not take. Texts: hashicorp/terraform-provider-aws#34135, #23971; aws/aws-cdk#29970."""
    for key in changes:
        if key.startswith(APPLICATION_ONLY):
            refuse("InvalidConfigurationRequest", f"Load balancer attribute key '{key}' is not supported on load balancers with type 'network'")
        if key == "ipv6.deny_all_igw_traffic":
            refuse("InvalidConfigurationRequest", f"Load balancer attribute key '{key}' is not supported on load balancers with IP address type 'ipv4'")
        if key not in BALANCER:
            refuse("ValidationError", f"Load balancer attribute key '{key}' is not recognized")
    _check_values("Load balancer", BALANCER, changes)
    if changes.get(LOGS) == "true":
        # There is no S3 here, so no bucket that would let the load balancer write.
        bucket = changes.get(BUCKET, current[BUCKET])
        refuse("InvalidConfigurationRequest", f"Access Denied for bucket: {bucket}. Please check S3bucket permission")
    if int(changes.get(SECONDARY, current[SECONDARY])) < int(current[SECONDARY]):
        refuse("InvalidConfigurationRequest", f"The value of '{SECONDARY}' cannot be decreased")


def check_group(protocol: str, current: Values, changes: Values) -> None:
    """Refuse what a target group of a network load balancer does not take."""
    for key in changes:
        if key.startswith(APPLICATION_GROUPS + GATEWAY_GROUPS):
            refuse("InvalidConfigurationRequest", f"Target group attribute key '{key}' is not supported on target groups with protocol '{protocol}'")
        if key not in GROUP:
            refuse("ValidationError", f"Target group attribute key '{key}' is not recognized")
    kind = changes.get("stickiness.type", "source_ip")
    if kind in ("lb_cookie", "app_cookie", "source_ip_dest_ip", "source_ip_dest_ip_proto"):
        refuse("InvalidConfigurationRequest", f"Stickiness type '{kind}' is not supported for target groups with the {protocol} protocol")
    _check_values("Target group", GROUP, changes)
    _check_together(protocol, {**current, **changes}, changes)


def _check_together(protocol: str, wanted: Values, changes: Values) -> None:
    """Attributes that depend on the protocol or on each other."""
    datagrams = protocol in ("UDP", "TCP_UDP")
    if datagrams and wanted[CLIENT_IP] == "false":
        refuse("InvalidConfigurationRequest", f"Client IP preservation cannot be disabled for target groups with the {protocol} protocol")
    if datagrams and wanted[UNHEALTHY_CUT] == "true":
        refuse("InvalidConfigurationRequest", f"'{UNHEALTHY_CUT}' cannot be enabled for target groups with the {protocol} protocol")
    if protocol == "TLS" and wanted[STICKY] == "true":
        refuse("InvalidConfigurationRequest", "You cannot enable stickiness on target groups with the TLS protocol")
    if UNHEALTHY_DRAIN in changes and changes[UNHEALTHY_DRAIN] != "0" and wanted[UNHEALTHY_CUT] == "true":
        refuse("InvalidConfigurationRequest", f"'{UNHEALTHY_DRAIN}' can only be configured when '{UNHEALTHY_CUT}' is false")


def check_listener(changes: Values) -> None:
    """Refuse what a TCP listener does not take."""
    for key in changes:
        if key not in LISTENER:
            refuse("ValidationError", f"Listener attribute key '{key}' is not recognized")
    _check_values("Listener", LISTENER, changes)


def read(given: t.Sequence[dict[str, t.Any]]) -> Values:
    """[{"Key", "Value"}] as a mapping."""
    return {str(one["Key"]): str(one.get("Value", "")) for one in given}
