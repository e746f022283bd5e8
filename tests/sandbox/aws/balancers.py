# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers and listeners as strict as the real ones: networks, security groups, attributes, what stays behind for a while.

API = https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference, NLB = https://docs.aws.amazon.com/elasticloadbalancing/latest/network
"""

from __future__ import annotations

import ipaddress
import typing as t

from moto.elbv2.exceptions import ListenerNotFoundError, LoadBalancerNotFoundError, TargetGroupNotFoundError
from moto.elbv2.models import ELBv2Backend

from . import attributes
from .elb_checks import FORWARDS, check_arn, check_name, check_tags, refuse
from .world import part_of

if t.TYPE_CHECKING:
    from .part import AwsPart

MAX_ARNS = 20
MAX_GROUPS = 5
MAX_LISTENERS = 50
# Addresses that a load balancer wants free in each of its subnets; those that AWS keeps for itself in each.
FREE_ADDRESSES, KEPT_ADDRESSES = 8, 5


class BalancerStore(ELBv2Backend):
    """moto's store; every NLB has `addresses` and `interfaces`, in the order of its subnets.

    leaving: network interfaces of deleted load balancers, and until when they hold on to their security groups.
    unlinked: target groups that lost their listener, and until when they count as in use.
    """

    # moto's objects carry attributes of ours.
    load_balancers: dict[str, t.Any]
    target_groups: dict[str, t.Any]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.leaving: dict[str, float] = {}
        self.unlinked: dict[str, float] = {}

    @property
    def part(self) -> AwsPart:
        return part_of(self.account_id)

    def advance(self, now: float) -> None:
        """Bring load balancers up to the clock."""
        for balancer in self.load_balancers.values():
            if now >= balancer.active_at:
                balancer.state = "active"
        for interface in [one for one, until in self.leaving.items() if now >= until]:
            del self.leaving[interface]
            self.ec2_backend.enis.pop(interface, None)
        self.unlinked = {arn: until for arn, until in self.unlinked.items() if now < until}

    # Creation

    def create_load_balancer(self, name: str, security_groups: list[str], subnet_ids: list[str], *args: t.Any, **kwargs: t.Any) -> t.Any:
        check_name("load balancer", name)
        if name.startswith("internal-"):
            refuse("ValidationError", f"The load balancer name '{name}' cannot begin with 'internal-'")
        tags, mappings = kwargs.pop("tags", None) or [], kwargs.get("subnet_mappings") or []
        check_tags(tags)
        if subnet_ids and mappings:
            refuse("ValidationError", "You must specify either subnets or subnet mappings, but not both")
        fixed = {one["SubnetId"]: one["PrivateIPv4Address"] for one in mappings if "PrivateIPv4Address" in one}
        wanted = self._subnets([*subnet_ids, *(one["SubnetId"] for one in mappings)])
        self._check_groups(security_groups, wanted[0].vpc_id)
        kwargs.update({"tags": [], "scheme": kwargs.get("scheme") or "internet-facing"})
        kind, address_type = kwargs.get("loadbalancer_type") or "application", kwargs.get("ip_address_type") or "ipv4"
        settings = (sorted(security_groups), sorted(one.id for one in wanted), kwargs["scheme"], kind, address_type, fixed)
        if known := self._known(name, settings):
            return known
        self._check_kind(kind, kwargs["scheme"], address_type, wanted)
        self._check_room(wanted, fixed, kwargs["scheme"])
        made = super().create_load_balancer(name, security_groups, subnet_ids, *args, **kwargs)
        self._furnish(made, fixed)
        self.tag_new(made, tags)
        return made

    def tag_new(self, made: t.Any, tags: list[dict[str, str]]) -> None:
        """Tags of what was just made: the tagging service hears of them a while later."""
        made.tagged_at = self.part.clock.now() + self.part.ledger.delay("elb.tagged", 0.1)
        self.tagging_service.tag_resource(made.arn, tags)

    def untold(self, now: float) -> set[str]:
        """ARNs that the tagging service does not know yet."""
        return {one.arn for things in (self.load_balancers, self.target_groups) for one in things.values() if one.tagged_at > now}

    def _known(self, name: str, settings: tuple[t.Any, ...]) -> t.Any:
        """The load balancer of this name, if it is as asked for; its tags do not count and stay what they are."""
        for known in self.load_balancers.values():
            if known.name == name:
                present = (sorted(known.security_groups), sorted(one.id for one in known.subnets), known.scheme, known.type, known.ip_address_type, known.fixed)
                if present != settings:
                    refuse("DuplicateLoadBalancerName", f"A load balancer with the same name '{name}' exists, but with different settings")
                return known
        return None

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
        """NLB/load-balancer-security-groups: up to five, of the VPC."""
        for group_id in group_ids:
            group = self.ec2_backend.get_security_group_from_id(group_id)
            if group is None:
                refuse("InvalidSecurityGroup", f"The security group '{group_id}' does not exist")
            if group.vpc_id != vpc_id:
                refuse("InvalidConfigurationRequest", f"One or more security groups are invalid: '{group_id}' does not belong to VPC '{vpc_id}'")
        if len(group_ids) > MAX_GROUPS:
            refuse("InvalidConfigurationRequest", "The maximum number of security groups per load balancer has been reached")

    def _check_kind(self, kind: str, scheme: str, address_type: str, subnets: list[t.Any]) -> None:
        """The internet gateway is asked of the VPC, not of the subnet's routes: openshift/installer#1110, aws-load-balancer-controller#2222."""
        if kind == "application" and len(subnets) < 2:
            refuse("ValidationError", "At least two subnets in two different Availability Zones must be specified")
        if scheme == "internal" and address_type != "ipv4":
            refuse("InvalidConfigurationRequest", "Internal load balancers must use the IP address type 'ipv4'")
        vpc_id = subnets[0].vpc_id
        gateways = self.ec2_backend.internet_gateways.values()
        if scheme == "internet-facing" and not any(one.vpc and one.vpc.id == vpc_id for one in gateways):
            refuse("InvalidSubnet", f"VPC {vpc_id} has no internet gateway")

    def _check_room(self, subnets: list[t.Any], fixed: dict[str, str], scheme: str) -> None:
        """API_CreateLoadBalancer errors InvalidSubnet; API_SubnetMapping PrivateIPv4Address."""
        for subnet in subnets:
            used = [one.private_ip_address for one in self.ec2_backend.enis.values() if one.subnet.id == subnet.id]
            if subnet.cidr.num_addresses - KEPT_ADDRESSES - len(used) < FREE_ADDRESSES:
                message = f"ELB requires at least {FREE_ADDRESSES} free IP addresses in each subnet."
                refuse("InvalidSubnet", f"Not enough IP space available in {subnet.id}. {message}")
            address = fixed.get(subnet.id)
            if address and (scheme != "internal" or address in used or ipaddress.ip_address(address) not in subnet.cidr):
                refuse("InvalidConfigurationRequest", f"The private IPv4 address '{address}' cannot be used in the subnet '{subnet.id}'")

    def _furnish(self, balancer: t.Any, fixed: dict[str, str]) -> None:
        """What moto leaves out: addresses with their interfaces, a DNS name of its own, time to come up."""
        balancer.fixed = fixed
        balancer.active_at = self.part.clock.now() + self.part.ledger.delay("elb.provision", 0.2)
        balancer.addresses, balancer.interfaces = [], []
        if balancer.type != "network":
            return
        # moto gives every load balancer the ARN and the attributes of an application load balancer.
        del self.load_balancers[balancer.arn]
        balancer.arn = balancer.arn.replace(":loadbalancer/app/", ":loadbalancer/net/")
        self.load_balancers[balancer.arn] = balancer
        balancer.attrs = attributes.defaults(attributes.BALANCER)
        balancer.dns_name = f"{balancer.name}-{balancer.arn.rpartition('/')[2]}.elb.{self.region_name}.amazonaws.com"
        for subnet in balancer.subnets:
            self._plug(balancer, subnet)

    def _plug(self, balancer: t.Any, subnet: t.Any) -> None:
        """Give a load balancer an address and an interface in a subnet."""
        address = balancer.fixed.get(subnet.id) or self._free_address(balancer)
        description = f"ELB net/{balancer.name}/{balancer.arn.rpartition('/')[2]}"
        interface = self.ec2_backend.create_network_interface(subnet, address, description=description, group_ids=balancer.security_groups)
        interface.interface_type, interface.requester_managed, interface.status = "network_load_balancer", True, "in-use"
        if not balancer.security_groups:
            interface._group_set = []
        balancer.addresses.append(address)
        balancer.interfaces.append(interface.id)

    def _unplug(self, interfaces: list[str]) -> None:
        """Let interfaces go, after a while: hashicorp/terraform#3758."""
        until = self.part.clock.now() + self.part.ledger.delay("elb.release", 0.5)
        self.leaving.update(dict.fromkeys(interfaces, until))

    def _free_address(self, balancer: t.Any) -> str:
        taken = {address for one in self.load_balancers.values() for address in [*getattr(one, "addresses", []), *getattr(one, "fixed", {}).values()]}
        reserved = self.part.reserved(balancer.name)
        pool = [*([reserved] if reserved else []), *(f"{self.part.network}.{net}.{number}" for net in range(1, 5) for number in range(10, 250))]
        return next(address for address in pool if address not in taken)

    # Reading and changing

    def describe_load_balancers(self, arns: list[str] | None, names: list[str] | None) -> list[t.Any]:
        wanted, key = (arns, "arn") if arns else (names or [], "name")
        if arns and names:
            refuse("ValidationError", "Load balancer names and load balancer ARNs cannot be specified at the same time")
        for arn in arns or []:
            check_arn("load balancer", arn)
        if len(wanted) > MAX_ARNS:
            refuse("ValidationError", f"You cannot describe more than '{MAX_ARNS}' load balancers at a time")
        known = {getattr(one, key): one for one in self.load_balancers.values()}
        if any(one not in known for one in wanted):
            raise LoadBalancerNotFoundError("LoadBalancerNotFound", "One or more load balancers not found")
        return [known[one] for one in dict.fromkeys(wanted)] if wanted else list(self.load_balancers.values())

    def balancer(self, arn: str) -> t.Any:
        """A load balancer, or LoadBalancerNotFound."""
        return self.describe_load_balancers([arn], None)[0]

    def delete_load_balancer(self, arn: str) -> None:
        check_arn("load balancer", arn)
        balancer = self.load_balancers.get(arn)
        if balancer is None:
            return
        if balancer.attrs.get("deletion_protection.enabled") == "true":
            refuse("OperationNotPermitted", f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled")
        self._unplug(balancer.interfaces)
        super().delete_load_balancer(arn)
        self._relink()

    def set_security_groups(self, arn: str, sec_groups: list[str]) -> None:
        balancer = self.balancer(arn)
        if balancer.type == "network" and not balancer.security_groups:
            refuse("InvalidConfigurationRequest", "You cannot set security groups on a Network Load Balancer that was created without security groups")
        if balancer.type == "network" and not sec_groups:
            refuse("InvalidConfigurationRequest", "You cannot remove all security groups from a Network Load Balancer")
        self._check_groups(sec_groups, balancer.vpc_id)
        balancer.security_groups = list(dict.fromkeys(sec_groups))
        for interface in balancer.interfaces:
            groups = [self.ec2_backend.get_security_group_from_id(one) for one in balancer.security_groups]
            self.ec2_backend.enis[interface]._group_set = groups

    def set_subnets(self, arn: str, subnets: list[str], subnet_mappings: list[dict[str, t.Any]]) -> t.Any:
        """Zones come and go; another subnet in a zone is refused (kubernetes-sigs/aws-load-balancer-controller#4171, terraform-provider-aws#41418)."""
        balancer = self.balancer(arn)
        if balancer.type != "network":
            return super().set_subnets(arn, subnets, subnet_mappings)
        fixed = {one["SubnetId"]: one["PrivateIPv4Address"] for one in subnet_mappings if "PrivateIPv4Address" in one}
        wanted = self._subnets([*subnets, *(one["SubnetId"] for one in subnet_mappings)])
        if wanted[0].vpc_id != balancer.vpc_id:
            refuse("InvalidConfigurationRequest", f"The subnets are not in the load balancer's VPC '{balancer.vpc_id}'")
        zones = {one.availability_zone: one.id for one in balancer.subnets}
        for subnet in wanted:
            if zones.get(subnet.availability_zone, subnet.id) != subnet.id:
                begin = "You cannot specify an additional subnet from an Availability Zone that is already associated with the load balancer."
                zone = f"The Availability Zone '{subnet.availability_zone}' corresponding to the new subnet '{subnet.id}' is already associated"
                refuse("InvalidConfigurationRequest", f"{begin} {zone} with the load balancer.")
        new = [one for one in wanted if one.id not in zones.values()]
        self._check_room(new, fixed, balancer.scheme)
        self._replug(balancer, [one.id for one in wanted], new, fixed)
        return balancer.availability_zones

    def _replug(self, balancer: t.Any, wanted: list[str], new: list[t.Any], fixed: dict[str, str]) -> None:
        plugs = list(zip(balancer.subnets, balancer.addresses, balancer.interfaces, strict=True))
        self._unplug([interface for subnet, _address, interface in plugs if subnet.id not in wanted])
        kept = [plug for plug in plugs if plug[0].id in wanted]
        balancer.addresses, balancer.interfaces = [plug[1] for plug in kept], [plug[2] for plug in kept]
        balancer.fixed = {one: address for one, address in {**balancer.fixed, **fixed}.items() if one in wanted}
        balancer.subnets = [plug[0] for plug in kept] + new
        for subnet in new:
            self._plug(balancer, subnet)

    def modify_load_balancer_attributes(self, arn: str, attrs: dict[str, t.Any]) -> dict[str, t.Any]:
        balancer = self.balancer(arn)
        if balancer.type != "network":
            return super().modify_load_balancer_attributes(arn, attrs)
        attributes.check_balancer(balancer.attrs, attrs)
        balancer.attrs.update(attrs)
        return dict(balancer.attrs)

    def describe_load_balancer_attributes(self, arn: str) -> dict[str, t.Any]:
        return dict(self.balancer(arn).attrs)

    # Listeners

    def create_listener(
        self, load_balancer_arn: str, protocol: str, port: t.Any, ssl_policy: str, certificate: str | None, actions: list[t.Any], *args: t.Any, **kwargs: t.Any
    ) -> t.Any:
        balancer = self.balancer(load_balancer_arn)
        check_tags(kwargs.get("tags") or [])
        # moto asks for a port and for a protocol of this kind of load balancer.
        self._validate_port_and_protocol(balancer.type, port, protocol)
        wanted = self._check_actions(balancer, protocol, actions)
        if protocol == "TLS" and not certificate:
            refuse("ValidationError", "A certificate must be specified for TLS listeners")
        for known in balancer.listeners.values():
            if int(known.port) == int(port):
                if known.protocol != protocol or _forwards(known, self) != wanted:
                    refuse("DuplicateListener", f"A listener already exists on this port for this load balancer '{load_balancer_arn}'")
                return known
        if len(balancer.listeners) >= MAX_LISTENERS:
            refuse("TooManyListeners", "The maximum number of listeners has been reached")
        made: t.Any = super().create_listener(load_balancer_arn, protocol, port, ssl_policy, certificate, actions, *args, **kwargs)
        if not certificate:
            made.ssl_policy = None
        self._relink()
        return made

    def _check_actions(self, balancer: t.Any, protocol: str, actions: list[t.Any]) -> list[str]:
        """The target groups that the actions forward to, all of which this load balancer may have."""
        wanted = [arn for action in actions for arn in self._get_target_group_arns_from(action)]
        if balancer.type == "network" and (len(actions) != 1 or actions[0]["Type"] != "forward" or not wanted):
            refuse("InvalidLoadBalancerAction", "A listener of a Network Load Balancer must have exactly one default action, of type 'forward'")
        for arn in wanted:
            if arn not in self.target_groups:
                raise TargetGroupNotFoundError()
            self._check_attachable(balancer, protocol, self.target_groups[arn])
        return wanted

    def _check_attachable(self, balancer: t.Any, protocol: str, group: t.Any) -> None:
        if balancer.type == "network" and group.protocol not in FORWARDS.get(protocol, ()):
            message = f"The protocol '{group.protocol}' of the target group '{group.arn}' is not compatible with the listener protocol '{protocol}'"
            refuse("IncompatibleProtocols", message)
        if group.vpc_id and group.vpc_id != balancer.vpc_id:
            refuse("InvalidConfigurationRequest", f"The target group '{group.arn}' is not in the same VPC as the load balancer")
        others = [arn for arn in group.load_balancer_arns if arn != balancer.arn]
        if others:
            refuse("TargetGroupAssociationLimit", f"The target group '{group.arn}' cannot be associated with more than one load balancer")

    def delete_listener(self, listener_arn: str) -> t.Any:
        check_arn("listener", listener_arn)
        gone = super().delete_listener(listener_arn)
        self._relink()
        return gone

    def modify_listener(
        self,
        arn: str,
        port: t.Any = None,
        protocol: str | None = None,
        ssl_policy: str | None = None,
        certificates: list[dict[str, t.Any]] | None = None,
        actions: list[dict[str, t.Any]] | None = None,
    ) -> t.Any:
        listener = self.listener(arn)
        balancer = self.load_balancers[listener.load_balancer_arn]
        if port is not None and any(int(one.port) == int(port) and one is not listener for one in balancer.listeners.values()):
            refuse("DuplicateListener", f"A listener already exists on this port for this load balancer '{balancer.arn}'")
        self._validate_port_and_protocol(balancer.type, port or listener.port, protocol or listener.protocol)
        if actions or protocol:
            self._check_actions(balancer, protocol or listener.protocol, actions or [action.data for action in listener.default_actions])
        changed = super().modify_listener(arn, port, protocol, ssl_policy, certificates or [], actions or [])
        self._relink()
        return changed

    def listener(self, arn: str) -> t.Any:
        """A listener, or ListenerNotFound."""
        check_arn("listener", arn)
        found = [one for balancer in self.load_balancers.values() for one in balancer.listeners.values() if one.arn == arn]
        if not found:
            raise ListenerNotFoundError()
        return found[0]

    def modify_listener_attributes(self, listener_arn: str, attrs: list[dict[str, str]]) -> dict[str, str]:
        self.listener(listener_arn)
        attributes.check_listener(attributes.read(attrs))
        return super().modify_listener_attributes(listener_arn, attrs)

    def listeners_of(self, group_arn: str) -> list[t.Any]:
        """The listeners that forward to a target group."""
        return [listener for balancer in self.load_balancers.values() for listener in balancer.listeners.values() if group_arn in _forwards(listener, self)]

    def forwards(self, listener: t.Any) -> list[t.Any]:
        """The target groups that a listener forwards to."""
        return [self.target_groups[arn] for arn in _forwards(listener, self) if arn in self.target_groups]

    def _relink(self) -> None:
        """moto forgets to take load balancers out of their target groups again. AWS takes a while to (terraform-provider-aws: targetGroupDeleteTimeout)."""
        until = self.part.clock.now() + self.part.ledger.delay("elb.unlink", 0.3)
        for group in self.target_groups.values():
            before, listeners = group.load_balancer_arns, self.listeners_of(group.arn)
            group.load_balancer_arns = list(dict.fromkeys(listener.load_balancer_arn for listener in listeners))
            if before and not group.load_balancer_arns:
                self.unlinked[group.arn] = until


def _forwards(listener: t.Any, store: BalancerStore) -> list[str]:
    return [arn for action in listener.default_actions for arn in store._get_target_group_arns_from(action.data)]
