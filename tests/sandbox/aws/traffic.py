# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the load balancers' store and their data plane: who is checked, who gets connections, what the checks found."""

from __future__ import annotations

import typing as t

from .. import nlb
from .targets import OTHER_ZONE, Health, Target

if t.TYPE_CHECKING:
    from .elbv2 import StrictELBv2Backend
    from .instances import StrictInstance
    from .part import AwsPart

TCP = ("TCP", "TCP_UDP", "TLS")


class Traffic:
    """Moves targets through their states and draws the data plane's view of them; the sandbox's lock is held."""

    def __init__(self, part: AwsPart) -> None:
        self.part = part

    def _stores(self) -> list[StrictELBv2Backend]:
        return self.part.elbv2_backends()

    def advance(self, now: float) -> None:
        """Bring load balancers and targets up to the clock."""
        instances = {one.id: one for one in self.part.lifecycle.instances()}
        for store in self._stores():
            store.advance(now)
            for group in store.target_groups.values():
                self._advance_group(store, group, instances, now)

    def _advance_group(self, store: StrictELBv2Backend, group: t.Any, instances: dict[str, StrictInstance], now: float) -> None:
        balancers = [store.load_balancers[arn] for arn in group.load_balancer_arns if arn in store.load_balancers]
        zones = {subnet.availability_zone for balancer in balancers for subnet in balancer.subnets}
        # Targets are not checked before their load balancer is up.
        active = any(balancer.state == "active" for balancer in balancers)
        for target in list(group.members.values()):
            if target.over(now):
                del group.members[target.key]
                continue
            instance = instances.get(target.id)
            if group.target_type == "instance" and (instance is None or instance.state in ("shutting-down", "terminated")):
                # An instance that ends is deregistered for us; an address is not.
                store.drain(group, target)
            self._set_idle(target, instance, zones)
            checked = target.idle is None and target.registered()
            if checked and (not target.checked or not active):
                target.begin(now, self.part.ledger)
            target.checked = checked
            if checked:
                target.settle(now)

    def _set_idle(self, target: Target, instance: StrictInstance | None, zones: set[str]) -> None:
        """Say why a target is not checked, if it is not."""
        target.idle = None
        if instance is not None and instance.state in ("stopping", "stopped"):
            target.idle = Health("unused", "Target.InvalidState")
        elif not zones:
            target.idle = Health("unused", "Target.NotInUse")
        elif target.zone != "all" and target.zone not in zones:
            target.idle = Health("unused", "Target.NotInUse", OTHER_ZONE)

    def record(self, results: nlb.Results) -> None:
        """Take in what the health checks found."""
        for store in self._stores():
            for group in store.target_groups.values():
                up, down = int(group.healthy_threshold_count), int(group.unhealthy_threshold_count)
                for target in group.members.values():
                    if target.checked and (key := _key(group, target)) in results:
                        target.record(results[key], up, down)

    def view(self, now: float) -> nlb.View:
        """What the data plane is to do now."""
        listeners, probes, cut = [], [], set()
        for store in self._stores():
            for group in store.target_groups.values():
                probes += [_probe(group, target) for target in group.members.values() if target.checked]
                cut |= {_key(group, target) for target in group.members.values() if _cuts(group, target, now)}
            for balancer in store.load_balancers.values():
                if balancer.type == "network" and balancer.state == "active":
                    listeners += self._listeners(store, balancer, now)
        return nlb.View(tuple(listeners), tuple(probes), frozenset(cut), self.part.ledger.delay("elb.interval", 0.25))

    def _listeners(self, store: StrictELBv2Backend, balancer: t.Any, now: float) -> list[nlb.Listener]:
        listeners = []
        for listener in balancer.listeners.values():
            if listener.protocol in TCP:
                targets = tuple(target for group in store.forwards(listener) for target in _routed(group, now))
                listeners += [nlb.Listener(address, int(listener.port), targets) for address in balancer.addresses]
        return listeners


def _key(group: t.Any, target: Target) -> str:
    return f"{group.arn} {target.id} {target.port}"


def _routed(group: t.Any, now: float) -> list[nlb.Target]:
    """Who gets new connections: the healthy; if none is, all that have been checked (fail open); and, since a
    deregistration takes its time to spread, those that have just left.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health.html;
    kubernetes-sigs/aws-load-balancer-controller#2366
    """
    checked = [target for target in group.members.values() if target.checked and target.status != "initial"]
    chosen = [target for target in checked if target.status == "healthy"] or checked
    leaving = [target for target in group.members.values() if target.routable(now)]
    keeps_client = group.attributes.get("preserve_client_ip.enabled") == "true"
    return [nlb.Target(_key(group, target), target.ip, target.port, keeps_client) for target in [*chosen, *leaving]]


def _cuts(group: t.Any, target: Target, now: float) -> bool:
    """True if the connections of a target end: it is unhealthy, or has drained, and the group is set so."""
    if target.registered():
        word = "target_health_state.unhealthy.connection_termination.enabled"
        return target.checked and target.status == "unhealthy" and group.attributes.get(word) == "true"
    return not target.draining(now) and group.attributes.get("deregistration_delay.connection_termination.enabled") == "true"


def _probe(group: t.Any, target: Target) -> nlb.Probe:
    port = target.port if group.health_check_port == "traffic-port" else int(group.health_check_port)
    protocol = group.health_check_protocol if group.health_check_protocol in ("HTTP", "HTTPS") else "TCP"
    codes = [entry.split("-") for entry in str((getattr(group, "matcher", None) or {}).get("HttpCode", "200-399")).split(",")]
    ranges = tuple((int(entry[0]), int(entry[-1])) for entry in codes)
    return nlb.Probe(_key(group, target), target.ip, port, protocol, group.health_check_path or "/", ranges)
