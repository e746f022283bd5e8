# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Elastic Load Balancing v2 as strict as the real one: names, targets, pages, tags, idempotent creation.

API = https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference
"""

from __future__ import annotations

import base64
import ipaddress
import re
import typing as t

from moto.core.responses import ActionResult, EmptyResult
from moto.elbv2.exceptions import ELBClientError, ListenerNotFoundError, LoadBalancerNotFoundError, TargetGroupNotFoundError
from moto.elbv2.models import ELBv2Backend
from moto.elbv2.responses import ELBV2Response

from .targets import Health, Key, Target
from .world import part_of

if t.TYPE_CHECKING:
    from .part import AwsPart

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
MAX_NAME = 32
MAX_ARNS = 20
MAX_TAGS = 50
# Page sizes when none is asked for: callers that do not follow NextMarker miss what is beyond (aws/aws-sdk-ruby#680).
PAGES = {"LoadBalancers": 400, "TargetGroups": 100, "Listeners": 100}
OUTSIDE = [ipaddress.ip_network(block) for block in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")]
NLB_ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": "300",
    "deregistration_delay.connection_termination.enabled": "false",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "preserve_client_ip.enabled": "true",
    "proxy_protocol_v2.enabled": "false",
    "stickiness.enabled": "false",
    "stickiness.type": "source_ip",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
    "target_health_state.unhealthy.connection_termination.enabled": "true",
    "target_health_state.unhealthy.draining_interval_seconds": "0",
}


def refuse(code: str, message: str) -> t.NoReturn:
    """Answer with this ELBv2 error."""
    raise ELBClientError(code, message)


class StrictELBv2Backend(ELBv2Backend):
    """moto's store; every target group has `members` (targets by ID and port), every NLB has `addresses`."""

    # moto's objects carry attributes of ours.
    load_balancers: dict[str, t.Any]
    target_groups: dict[str, t.Any]

    @property
    def part(self) -> AwsPart:
        return part_of(self.account_id)

    # Load balancers

    def create_load_balancer(self, name: str, security_groups: list[str], subnet_ids: list[str], *args: t.Any, **kwargs: t.Any) -> t.Any:
        _check_name("load balancer", name)
        if name.startswith("internal-"):
            refuse("ValidationError", f"The load balancer name '{name}' cannot begin with 'internal-'")
        mapped = [one["SubnetId"] for one in kwargs.get("subnet_mappings") or []]
        wanted = self._subnets([*subnet_ids, *mapped])
        self._check_groups(security_groups, wanted[0].vpc_id)
        settings = (sorted(security_groups), sorted(one.id for one in wanted), kwargs.get("scheme"), kwargs.get("loadbalancer_type"))
        for known in self.load_balancers.values():
            if known.name == name and known.settings != settings:
                refuse("DuplicateLoadBalancerName", f"A load balancer with the same name '{name}' exists, but with different settings")
            if known.name == name:
                return known
        tags = kwargs.pop("tags", None) or []
        kwargs.update({"tags": [], "scheme": kwargs.get("scheme") or "internet-facing"})
        made = super().create_load_balancer(name, security_groups, subnet_ids, *args, **kwargs)
        self._furnish(made, settings)
        self.tagging_service.tag_resource(made.arn, tags)
        return made

    def _subnets(self, subnet_ids: list[str]) -> list[t.Any]:
        if not subnet_ids:
            refuse("ValidationError", "At least one subnet must be specified")
        known = {one: subnet for zone in self.ec2_backend.subnets.values() for one, subnet in zone.items()}
        if missing := [one for one in subnet_ids if one not in known]:
            refuse("SubnetNotFound", f"The subnet ID '{missing[0]}' does not exist")
        subnets = [known[one] for one in subnet_ids]
        zones = [one.availability_zone for one in subnets]
        if len(zones) != len(set(zones)):
            refuse("InvalidConfigurationRequest", "A load balancer cannot be attached to multiple subnets in the same Availability Zone")
        if len({one.vpc_id for one in subnets}) > 1:
            refuse("InvalidConfigurationRequest", "All subnets must be in the same VPC")
        return subnets

    def _check_groups(self, group_ids: list[str], vpc_id: str) -> None:
        for group_id in group_ids:
            group = self.ec2_backend.get_security_group_from_id(group_id)
            if group is None or group.vpc_id != vpc_id:
                refuse("InvalidConfigurationRequest", f"One or more security groups are invalid: '{group_id}' does not belong to VPC '{vpc_id}'")

    def _furnish(self, balancer: t.Any, settings: tuple[t.Any, ...]) -> None:
        """What moto leaves out: addresses with their interfaces, a DNS name of its own, time to come up."""
        balancer.settings = settings
        balancer.active_at = self.part.clock.now() + self.part.ledger.delay("elb.provision", 0.2)
        balancer.addresses, balancer.interfaces = [], []
        if balancer.type != "network":
            return
        # moto gives every load balancer the ARN of an application load balancer.
        del self.load_balancers[balancer.arn]
        balancer.arn = balancer.arn.replace(":loadbalancer/app/", ":loadbalancer/net/")
        self.load_balancers[balancer.arn] = balancer
        identity = balancer.arn.rpartition("/")[2]
        balancer.dns_name = f"{balancer.name}-{identity}.elb.{self.region_name}.amazonaws.com"
        for subnet in balancer.subnets:
            address = self._free_address(balancer.name)
            balancer.addresses.append(address)
            interface = self.ec2_backend.create_network_interface(
                subnet, address, description=f"ELB net/{balancer.name}/{identity}", group_ids=balancer.security_groups
            )
            interface.interface_type, interface.requester_managed, interface.status = "network_load_balancer", True, "in-use"
            balancer.interfaces.append(interface.id)

    def _free_address(self, name: str) -> str:
        taken = {address for one in self.load_balancers.values() for address in getattr(one, "addresses", [])}
        reserved = self.part.reserved(name)
        pool = [*([reserved] if reserved else []), *(f"{self.part.network}.1.{number}" for number in range(10, 250))]
        return next(address for address in pool if address not in taken)

    def describe_load_balancers(self, arns: list[str] | None, names: list[str] | None) -> list[t.Any]:
        wanted, key = (arns, "arn") if arns else (names or [], "name")
        if len(wanted) > MAX_ARNS:
            refuse("ValidationError", f"You cannot describe more than '{MAX_ARNS}' load balancers at a time")
        known = {getattr(one, key): one for one in self.load_balancers.values()}
        if any(one not in known for one in wanted):
            raise LoadBalancerNotFoundError("LoadBalancerNotFound", "One or more load balancers not found")
        return [known[one] for one in dict.fromkeys(wanted)] if wanted else list(self.load_balancers.values())

    def delete_load_balancer(self, arn: str) -> None:
        balancer = self.load_balancers.get(arn)
        if balancer is None:
            return
        if balancer.attrs.get("deletion_protection.enabled") == "true":
            refuse("OperationNotPermitted", f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled")
        for interface in balancer.interfaces:
            self.ec2_backend.enis.pop(interface, None)
        super().delete_load_balancer(arn)
        self._relink()

    def set_security_groups(self, arn: str, sec_groups: list[str]) -> None:
        balancer = self.describe_load_balancers([arn], None)[0]
        if balancer.type == "network" and not balancer.security_groups:
            refuse("InvalidConfigurationRequest", "You cannot set security groups on a Network Load Balancer that was created without security groups")
        if balancer.type == "network" and not sec_groups:
            refuse("InvalidConfigurationRequest", "You cannot remove all security groups from a Network Load Balancer")
        self._check_groups(sec_groups, balancer.vpc_id)
        balancer.security_groups = sec_groups

    # Listeners

    def create_listener(
        self, load_balancer_arn: str, protocol: str, port: t.Any, ssl_policy: str, certificate: str | None, actions: list[t.Any], *args: t.Any, **kwargs: t.Any
    ) -> t.Any:
        balancer = self.describe_load_balancers([load_balancer_arn], None)[0]
        wanted = [arn for action in actions for arn in self._get_target_group_arns_from(action)]
        for arn in wanted:
            if arn not in self.target_groups:
                raise TargetGroupNotFoundError()
            self._check_attachable(balancer, self.target_groups[arn])
        for known in balancer.listeners.values():
            if int(known.port) == int(port):
                if known.protocol != protocol or _forwards(known, self) != wanted:
                    refuse("DuplicateListener", f"A listener already exists on this port for this load balancer '{load_balancer_arn}'")
                return known
        made = super().create_listener(load_balancer_arn, protocol, port, ssl_policy, certificate, actions, *args, **kwargs)
        self._relink()
        return made

    def _check_attachable(self, balancer: t.Any, group: t.Any) -> None:
        if group.vpc_id and group.vpc_id != balancer.vpc_id:
            refuse("InvalidConfigurationRequest", f"The target group '{group.arn}' is not in the same VPC as the load balancer")
        others = [arn for arn in group.load_balancer_arns if arn != balancer.arn]
        if others:
            refuse("TargetGroupAssociationLimit", f"The target group '{group.arn}' cannot be associated with more than one load balancer")

    def delete_listener(self, listener_arn: str) -> t.Any:
        gone = super().delete_listener(listener_arn)
        self._relink()
        return gone

    def modify_listener(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        changed = super().modify_listener(*args, **kwargs)
        self._relink()
        return changed

    def listeners_of(self, group_arn: str) -> list[t.Any]:
        """The listeners that forward to a target group."""
        return [listener for balancer in self.load_balancers.values() for listener in balancer.listeners.values() if group_arn in _forwards(listener, self)]

    def forwards(self, listener: t.Any) -> list[t.Any]:
        """The target groups that a listener forwards to."""
        return [self.target_groups[arn] for arn in _forwards(listener, self) if arn in self.target_groups]

    def _relink(self) -> None:
        """moto forgets to take load balancers out of their target groups again."""
        for group in self.target_groups.values():
            group.load_balancer_arns = list(dict.fromkeys(listener.load_balancer_arn for listener in self.listeners_of(group.arn)))

    # Target groups

    def create_target_group(self, name: str, **kwargs: t.Any) -> t.Any:
        _check_name("target group", name)
        settings = {key: value for key, value in kwargs.items() if key != "tags"}
        for known in self.target_groups.values():
            if known.name == name:
                if known.settings != settings:
                    refuse("DuplicateTargetGroupName", f"A target group with the same name '{name}' exists, but with different settings")
                return known
        made: t.Any = super().create_target_group(name, **kwargs)
        made.settings, made.members = settings, {}
        if made.protocol in ("TCP", "TLS", "UDP", "TCP_UDP"):
            made.attributes = dict(NLB_ATTRIBUTES)
            if made.target_type == "ip" and made.protocol in ("TCP", "TLS"):
                made.attributes["preserve_client_ip.enabled"] = "false"
        return made

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

    def modify_target_group_attributes(self, target_group_arn: str, attributes: dict[str, t.Any]) -> None:
        group = self.group(target_group_arn)
        for key in attributes:
            if key not in group.attributes:
                refuse("ValidationError", f"Target group attribute key '{key}' is not recognized")
        super().modify_target_group_attributes(target_group_arn, attributes)

    def group(self, arn: str) -> t.Any:
        """A target group, or TargetGroupNotFound."""
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
            existing = self.tagging_service.get_tag_dict_for_resource(arn)
            if len({*existing, *(tag["Key"] for tag in tags)}) > MAX_TAGS:
                refuse("TooManyTags", "The quota for the number of tags that can be assigned to a load balancer has been reached")
            self.tagging_service.tag_resource(arn, tags)

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
        self.store.modify_target_group_attributes(arn, {one["Key"]: one["Value"] for one in self._get_param("Attributes", [])})
        return ActionResult({"Attributes": self.store.group(arn).attributes})

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


def _check_name(what: str, name: str) -> None:
    if len(name) > MAX_NAME:
        refuse("ValidationError", f"The {what} name '{name}' cannot be longer than '{MAX_NAME}' characters")
    if not NAME.fullmatch(name):
        message = "can only contain characters that are alphanumeric characters and hyphens(-), and must not begin or end with a hyphen"
        refuse("ValidationError", f"The {what} name '{name}' {message}")


def _forwards(listener: t.Any, store: StrictELBv2Backend) -> list[str]:
    return [arn for action in listener.default_actions for arn in store._get_target_group_arns_from(action.data)]


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
