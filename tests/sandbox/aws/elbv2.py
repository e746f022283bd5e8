# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Elastic Load Balancing v2 as strict as the real one: target groups, targets, pages, tags. What is made of them: balancers.py.

API = https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference
"""

from __future__ import annotations

import base64
import ipaddress
import re
import typing as t

from moto.core.responses import ActionResult, EmptyResult
from moto.elbv2.exceptions import ELBClientError, ListenerNotFoundError, TargetGroupNotFoundError
from moto.elbv2.responses import ELBV2Response

from . import attributes
from .balancers import MAX_ARNS, BalancerStore
from .elb_checks import FORWARDS, check_arn, check_health, check_name, check_shape, check_tags, complete, refuse
from .targets import Health, Key, Target

# Page sizes when none is asked for: callers that do not follow NextMarker miss what is beyond (aws/aws-sdk-ruby#680).
PAGES = {"LoadBalancers": 400, "TargetGroups": 100, "Listeners": 100}
OUTSIDE = [ipaddress.ip_network(block) for block in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")]
# Settings of a target group: the API's name -> moto's parameter and moto's attribute.
HEALTH = {
    "HealthCheckProtocol": ("healthcheck_protocol", "health_check_protocol"),
    "HealthCheckPort": ("healthcheck_port", "health_check_port"),
    "HealthCheckPath": ("healthcheck_path", "health_check_path"),
    "HealthCheckIntervalSeconds": ("healthcheck_interval_seconds", "health_check_interval_seconds"),
    "HealthCheckTimeoutSeconds": ("healthcheck_timeout_seconds", "health_check_timeout_seconds"),
    "HealthCheckEnabled": ("healthcheck_enabled", "health_check_enabled"),
    "HealthyThresholdCount": ("healthy_threshold_count", "healthy_threshold_count"),
    "UnhealthyThresholdCount": ("unhealthy_threshold_count", "unhealthy_threshold_count"),
    "Matcher": ("matcher", "matcher"),
}
FIXED = ("protocol", "port", "vpc_id", "target_type")


class StrictELBv2Backend(BalancerStore):
    """moto's store; every target group has `members` (targets by ID and port)."""

    # Target groups

    def create_target_group(self, name: str, **kwargs: t.Any) -> t.Any:
        check_name("target group", name)
        tags = kwargs.pop("tags", None) or []
        check_tags(tags)
        if kwargs.get("protocol") in FORWARDS:
            settings = complete({key: kwargs.get(parameter) for key, (parameter, _attribute) in HEALTH.items()})
            check_health(settings)
            kwargs.update({HEALTH[key][0]: value for key, value in settings.items()})
        for known in self.target_groups.values():
            if known.name == name:
                return self._same(known, kwargs)
        made: t.Any = super().create_target_group(name, **kwargs)
        self.tag_new(made, tags)
        made.members = {}
        if made.protocol in FORWARDS:
            made.attributes = attributes.group_defaults(made.protocol, made.target_type)
            self._set_health(made, settings)
        return made

    def _same(self, known: t.Any, wanted: dict[str, t.Any]) -> t.Any:
        """The target group of this name, if it is as asked for; its tags do not count and stay what they are."""
        present = {**{key: getattr(known, key) for key in FIXED}, **self._health_of(known)}
        asked = {**{key: wanted.get(key) for key in FIXED}, **{key: wanted.get(HEALTH[key][0]) for key in self._health_of(known)}}
        if {key: str(value) for key, value in present.items()} != {key: str(value) for key, value in asked.items()}:
            refuse("DuplicateTargetGroupName", f"A target group with the same name '{known.name}' exists, but with different settings")
        return known

    def _health_of(self, group: t.Any) -> dict[str, t.Any]:
        """A group's health check, by the API's names."""
        shown = {key: getattr(group, attribute, None) for key, (_parameter, attribute) in HEALTH.items() if key != "HealthCheckEnabled"}
        return {key: value for key, value in shown.items() if value is not None}

    def _set_health(self, group: t.Any, settings: dict[str, t.Any]) -> None:
        for key, (_parameter, attribute) in HEALTH.items():
            setattr(group, attribute, settings.get(key, True if key == "HealthCheckEnabled" else None))

    def change_health(self, arn: str, changes: dict[str, t.Any]) -> t.Any:
        """ModifyTargetGroup: what is not named stays, unless it makes no sense with the new protocol."""
        group = self.group(arn)
        if group.protocol not in FORWARDS:
            raise NotImplementedError("the sandbox changes target groups of network load balancers only")
        kept = self._health_of(group)
        if changes.get("HealthCheckProtocol", kept["HealthCheckProtocol"]) == "TCP":
            kept = {key: value for key, value in kept.items() if key not in ("HealthCheckPath", "Matcher")}
        settings = complete({**kept, **changes})
        check_health(settings)
        self._set_health(group, settings)
        return group

    def delete_target_group(self, target_group_arn: str) -> t.Any:
        """One that is not there is no error (API_DeleteTargetGroup knows only ResourceInUse)."""
        check_arn("target group", target_group_arn)
        if self.listeners_of(target_group_arn) or target_group_arn in self.unlinked:
            refuse("ResourceInUse", f"Target group '{target_group_arn}' is currently in use by a listener or a rule")
        return self.target_groups.pop(target_group_arn, None)

    def describe_target_groups(self, load_balancer_arn: str | None, target_group_arns: list[str], names: list[str] | None) -> list[t.Any]:
        if sum(map(bool, (load_balancer_arn, target_group_arns, names))) > 1:
            refuse("ValidationError", "Target group names, target group ARNs, and a load balancer ARN cannot be specified at the same time")
        if load_balancer_arn:
            self.describe_load_balancers([load_balancer_arn], None)
            return [one for one in self.target_groups.values() if load_balancer_arn in one.load_balancer_arns]
        wanted, key = (target_group_arns, "arn") if target_group_arns else (names or [], "name")
        if len(wanted) > MAX_ARNS:
            refuse("ValidationError", f"You cannot describe more than '{MAX_ARNS}' target groups at a time")
        known = {getattr(one, key): one for one in self.target_groups.values()}
        if any(one not in known for one in wanted):
            raise TargetGroupNotFoundError()
        return [known[one] for one in dict.fromkeys(wanted)] if wanted else list(self.target_groups.values())

    def modify_target_group_attributes(self, target_group_arn: str, attributes_: dict[str, t.Any]) -> None:
        group = self.group(target_group_arn)
        if group.protocol not in FORWARDS:
            return super().modify_target_group_attributes(target_group_arn, attributes_)
        attributes.check_group(group.protocol, group.attributes, attributes_)
        group.attributes.update(attributes_)
        return None

    def group(self, arn: str) -> t.Any:
        """A target group, or TargetGroupNotFound."""
        check_arn("target group", arn)
        if arn not in self.target_groups:
            raise TargetGroupNotFoundError()
        return self.target_groups[arn]

    # Targets

    def register_targets(self, target_group_arn: str, instances: list[t.Any]) -> None:
        group = self.group(target_group_arn)
        now = self.part.clock.now()
        if group.target_type not in ("instance", "ip"):
            raise NotImplementedError(f"the sandbox registers instances and addresses, not {group.target_type} targets")
        found = self._instances(group, instances) if group.target_type == "instance" else self._addresses(group, instances)
        for target in found:
            known = group.members.get(target.key)
            if known is None or not known.registered():
                target.begin(now, self.part.ledger)
                group.members[target.key] = target

    def _instances(self, group: t.Any, wanted: list[dict[str, t.Any]]) -> list[Target]:
        known = {one.id: one for one in self.part.lifecycle.instances()}
        ids = [one["Id"] for one in wanted]
        if malformed := [one for one in ids if not re.fullmatch(r"i-[0-9a-f]{8,17}", one)]:
            refuse("ValidationError", f"Instance ID '{malformed[0]}' is not valid")
        if any("AvailabilityZone" in one for one in wanted):
            refuse("ValidationError", "You cannot specify an Availability Zone for targets of type instance")
        if missing := [one for one in ids if one not in known]:
            refuse("InvalidTarget", f"The following instances do not exist: {_quoted(missing)}")
        if idle := [one for one in ids if known[one].state != "running"]:
            refuse("InvalidTarget", f"The following targets are not in a running state and cannot be registered: {_quoted(idle)}")
        if foreign := [one for one in ids if known[one].vpc_id != group.vpc_id]:
            refuse("InvalidTarget", f"The following targets are not in the target group VPC '{group.vpc_id}': {_quoted(foreign)}")
        return [Target(one["Id"], _port(group, one), str(known[one["Id"]].private_ip), str(known[one["Id"]].availability_zone)) for one in wanted]

    def _addresses(self, group: t.Any, wanted: list[dict[str, t.Any]]) -> list[Target]:
        return [Target(one["Id"], _port(group, one), one["Id"], self._zone_of(group, one)) for one in wanted]

    def _zone_of(self, group: t.Any, wanted: dict[str, t.Any]) -> str:
        """The zone of an address: found by its subnet; outside the VPC it must be "all", and the address private."""
        try:
            address = ipaddress.IPv4Address(wanted["Id"])
        except ValueError:
            refuse("ValidationError", f"The IP address '{wanted['Id']}' is not a valid IPv4 address")
        subnets = [subnet for zone in self.ec2_backend.subnets.values() for subnet in zone.values() if subnet.vpc_id == group.vpc_id]
        for subnet in subnets:
            if address in subnet.cidr:
                return str(subnet.availability_zone)
        if wanted.get("AvailabilityZone") != "all":
            message = "you must specify the Availability Zone 'all' for it"
            refuse("ValidationError", f"The IP address '{address}' is not in a subnet of the VPC '{group.vpc_id}': {message}")
        if not any(address in block for block in OUTSIDE):
            refuse("InvalidTarget", f"The IP address '{address}' is not a private address that the load balancer can reach")
        return "all"

    def deregister_targets(self, target_group_arn: str, instances: list[dict[str, t.Any]]) -> None:
        """Unknown targets are no error; a target registered with a port of its own goes only with that port."""
        group = self.group(target_group_arn)
        for wanted in instances:
            if target := group.members.get((wanted["Id"], _port(group, wanted))):
                self.drain(group, target)

    def drain(self, group: t.Any, target: Target) -> None:
        """Start to deregister a target."""
        drain = self.part.ledger.delay("elb.drain", 0.5) if float(group.attributes["deregistration_delay.timeout_seconds"]) else 0.0
        target.leave(self.part.clock.now(), drain, self.part.ledger.delay("elb.propagate", 0.3))

    def target_healths(self, target_group_arn: str, wanted: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
        """DescribeTargetHealth: all that are registered or draining, or exactly those asked for."""
        group, now = self.group(target_group_arn), self.part.clock.now()
        if not wanted:
            listed = [target for target in group.members.values() if target.registered() or target.draining(now)]
            return [_described(group, target.key, target.health(now), target.zone) for target in listed]
        shown = []
        for one in wanted:
            key = (one["Id"], _port(group, one))
            target = group.members.get(key)
            shown.append(_described(group, key, target.health(now) if target else Health("unused", "Target.NotRegistered"), target.zone if target else ""))
        return shown

    # Tags

    def add_tags(self, resource_arns: list[str], tags: list[dict[str, str]]) -> None:
        for arn in resource_arns:
            self._get_resource_by_arn(arn)
            check_tags(tags, self.tagging_service.get_tag_dict_for_resource(arn))
        for arn in resource_arns:
            self.tagging_service.tag_resource(arn, tags)

    def remove_tags(self, resource_arns: list[str], tag_keys: list[str]) -> None:
        for arn in resource_arns:
            self._get_resource_by_arn(arn)
        super().remove_tags(resource_arns, tag_keys)

    def describe_tags(self, resource_arns: list[str]) -> dict[str, dict[str, str]]:
        if len(resource_arns) > MAX_ARNS:
            refuse("ValidationError", f"Cannot have more than {MAX_ARNS} resources described")
        for arn in resource_arns:
            self._get_resource_by_arn(arn)
        return super().describe_tags(resource_arns)


class StrictELBv2Response(ELBV2Response):
    """One ELBv2 request: pages and shapes; the store does the rest."""

    @property
    def store(self) -> StrictELBv2Backend:
        return t.cast(StrictELBv2Backend, self.elbv2_backend)

    def call_action(self) -> t.Any:
        """Refuse values that no such service takes before moto sees them."""
        try:
            check_shape(self._get_action(), self.params)
        except ELBClientError as error:
            return self.serialized(ActionResult(error))
        return super().call_action()

    def describe_load_balancers(self) -> ActionResult:
        found = self.store.describe_load_balancers(self._get_param("LoadBalancerArns", []), self._get_param("Names", []))
        return self._paged("LoadBalancers", found)

    def describe_target_groups(self) -> ActionResult:
        found = self.store.describe_target_groups(self._get_param("LoadBalancerArn"), self._get_param("TargetGroupArns", []), self._get_param("Names", []))
        return self._paged("TargetGroups", found)

    def describe_listeners(self) -> ActionResult:
        arn, wanted = self._get_param("LoadBalancerArn"), self._get_param("ListenerArns", [])
        if not arn and not wanted:
            refuse("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
        if arn:
            return self._paged("Listeners", list(self.store.describe_load_balancers([arn], None)[0].listeners.values()))
        known = {one.arn: one for balancer in self.store.load_balancers.values() for one in balancer.listeners.values()}
        if any(one not in known for one in wanted):
            raise ListenerNotFoundError()
        return self._paged("Listeners", [known[one] for one in wanted])

    def describe_target_health(self) -> ActionResult:
        found = self.store.target_healths(self._get_param("TargetGroupArn"), [dict(one) for one in self._get_param("Targets", [])])
        return ActionResult({"TargetHealthDescriptions": found})

    def describe_target_group_attributes(self) -> ActionResult:
        return ActionResult({"Attributes": self.store.group(self._get_param("TargetGroupArn")).attributes})

    def modify_target_group_attributes(self) -> ActionResult:
        arn = self._get_param("TargetGroupArn")
        self.store.modify_target_group_attributes(arn, attributes.read(self._get_param("Attributes", [])))
        return ActionResult({"Attributes": self.store.group(arn).attributes})

    def modify_target_group(self) -> ActionResult:
        changes = {key: value for key, value in dict(self.params).items() if key in HEALTH}
        return ActionResult({"TargetGroups": [self.store.change_health(self._get_param("TargetGroupArn"), changes)]})

    def set_security_groups(self) -> ActionResult:
        arn, wanted = self._get_param("LoadBalancerArn"), self._get_param("SecurityGroups", [])
        self.store.set_security_groups(arn, wanted)
        return ActionResult({"SecurityGroupIds": self.store.balancer(arn).security_groups})

    def register_targets(self) -> ActionResult:
        self.store.register_targets(self._get_param("TargetGroupArn"), [dict(one) for one in self._get_param("Targets", [])])
        return EmptyResult()

    def deregister_targets(self) -> ActionResult:
        self.store.deregister_targets(self._get_param("TargetGroupArn"), [dict(one) for one in self._get_param("Targets", [])])
        return EmptyResult()

    def _paged(self, name: str, items: list[t.Any]) -> ActionResult:
        """A page in the order of the ARNs, so that what comes and goes between two pages moves nothing else."""
        size = self._get_int_param("PageSize", PAGES[name])
        if not 1 <= size <= 400:
            refuse("ValidationError", f"Value '{size}' at 'pageSize' failed to satisfy constraint: Member must have value between 1 and 400")
        after = _read_marker(self._get_param("Marker"))
        rest = sorted((one for one in items if one.arn > after), key=lambda one: str(one.arn))
        page = rest[:size]
        marker = base64.urlsafe_b64encode(page[-1].arn.encode()).decode() if len(rest) > size else None
        return ActionResult({name: page, "NextMarker": marker})


def _read_marker(marker: str | None) -> str:
    if not marker:
        return ""
    try:
        after = base64.urlsafe_b64decode(marker).decode()
    except ValueError:
        after = ""
    return after if after.startswith("arn:") else refuse("ValidationError", f"Marker '{marker}' is not valid")


def _port(group: t.Any, wanted: dict[str, t.Any]) -> int:
    return int(wanted.get("Port") or group.port)


def _quoted(ids: list[str]) -> str:
    return ", ".join(f"'{one}'" for one in ids)


def _described(group: t.Any, key: Key, health: Health, zone: str) -> dict[str, t.Any]:
    target: dict[str, t.Any] = {"Id": key[0], "Port": key[1]}
    if zone and group.target_type == "ip":
        target["AvailabilityZone"] = zone
    check = key[1] if group.health_check_port == "traffic-port" else group.health_check_port
    return {"Target": target, "HealthCheckPort": str(check), "TargetHealth": health.public()}
