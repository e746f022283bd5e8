# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups as strict as the real ones: names, rules all or none, no rule twice, no deletion while in use.

API = https://docs.aws.amazon.com/AWSEC2/latest/APIReference
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t

from moto.core.responses import ActionResult
from moto.ec2.exceptions import InvalidSecurityGroupNotFoundError
from moto.ec2.responses import EC2Response

from .launch import refuse

Plain = dict[str, t.Any]
NAME = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}")
ALLOWED = "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
PROTOCOLS = {"tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp", "icmp": "icmp", "1": "icmp", "icmpv6": "icmpv6", "58": "icmpv6", "all": "-1", "-1": "-1"}
# How an EC2 request names those that a rule lets in or out: list in the request, key of one, moto's parameter.
PEERS = (
    ("IpRanges", "CidrIp", "ip_ranges"),
    ("Ipv6Ranges", "CidrIpv6", "ip_ranges"),
    ("UserIdGroupPairs", "GroupId", "source_groups"),
    ("PrefixListIds", "PrefixListId", "prefix_list_ids"),
)


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule: what makes it the same as another. ports: None for all protocols; peer: a CIDR, group ID or prefix list ID."""

    protocol: str
    ports: tuple[int, int] | None
    peer: str

    def __str__(self) -> str:
        ports = f", from port: {self.ports[0]}, to port: {self.ports[1]}" if self.ports else ""
        return f'"peer: {self.peer}, {"ALL" if self.protocol == "-1" else self.protocol.upper()}{ports}, ALLOW"'


def _stored(rule: t.Any) -> Rule:
    """A rule as moto keeps it."""
    peer = rule.cidr_ipv4 or rule.cidr_ipv6 or (rule.source_group or {}).get("GroupId") or rule.prefix_list_id
    return Rule(str(rule.ip_protocol), None if rule.from_port is None else (int(rule.from_port), int(rule.to_port)), str(peer))


def _network(text: str) -> str:
    """A CIDR block as AWS keeps it: without host bits (API_IpRange)."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return refuse("InvalidParameterValue", f"CIDR block {text} is malformed")


def _check_text(what: str, text: str) -> None:
    if text and not NAME.fullmatch(text):
        refuse("InvalidParameterValue", f"Invalid {what}. Valid {what}s are strings less than 256 characters from the following set:  {ALLOWED}")


class SecurityGroupActions(EC2Response):
    """The actions on security groups that moto is lenient about."""

    def _asked(self) -> Plain:
        raise NotImplementedError

    def _group(self, group_id: str) -> t.Any:
        """A group, or InvalidGroup.NotFound."""
        found = self.ec2_backend.get_security_group_from_id(group_id)
        if found is None:
            raise InvalidSecurityGroupNotFoundError(group_id)
        return found

    # Creation and deletion

    def create_security_group(self) -> ActionResult:
        """API_CreateSecurityGroup GroupName, Description."""
        asked = self._asked()
        name, vpc_id = asked["GroupName"], asked.get("VpcId")
        if name.startswith("sg-") or name == "default":
            refuse("InvalidParameterValue", f"Invalid value '{name}' for groupName. Group names may not be in the format sg-* and not 'default'.")
        _check_text("security group name", name)
        _check_text("security group description", asked.get("Description", ""))
        if vpc_id and vpc_id not in self.ec2_backend.vpcs:
            refuse("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")
        return super().create_security_group()

    def delete_security_group(self) -> ActionResult:
        """API_DeleteSecurityGroup: not the default one, none in use by an interface or by a rule of another group."""
        group = self._group(str(self._asked().get("GroupId")))
        self.error_on_dryrun()
        if group.is_default:
            refuse("CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user')
        interfaces = [one for one in self.ec2_backend.enis.values() if one.instance is None or one.instance.state != "terminated"]
        others = [one for groups in self.ec2_backend.groups.values() for one in groups.values() if one.id != group.id]
        referring = [one for one in others for rule in [*one.ingress_rules, *one.egress_rules] if rule.source_group.get("GroupId") == group.id]
        if referring or any(one.id == group.id for interface in interfaces for one in interface.group_set):
            refuse("DependencyViolation", f"resource {group.id} has a dependent object")
        self.ec2_backend.delete_security_group(group_id=group.id)
        return ActionResult({"Return": True, "GroupId": group.id})

    # Rules

    def authorize_security_group_ingress(self) -> ActionResult:
        return self._authorize(self.ec2_backend.authorize_security_group_ingress, "ingress_rules")

    def authorize_security_group_egress(self) -> ActionResult:
        return self._authorize(self.ec2_backend.authorize_security_group_egress, "egress_rules")

    def revoke_security_group_ingress(self) -> ActionResult:
        return self._revoke("ingress_rules")

    def revoke_security_group_egress(self) -> ActionResult:
        return self._revoke("egress_rules")

    def _authorize(self, add: t.Callable[..., t.Any], kind: str) -> ActionResult:
        """All rules or none: API_AuthorizeSecurityGroupIngress errors InvalidPermission.Duplicate."""
        asked = self._asked()
        group = self._group(str(asked.get("GroupId")))
        wanted = list(self._rules(group, asked))
        if not wanted:
            refuse("MissingParameter", "The request must contain the parameter ipPermissions")
        self.error_on_dryrun()
        present, seen = {_stored(rule) for rule in getattr(group, kind)}, set()
        for rule, _words in wanted:
            if rule in seen:
                refuse("InvalidParameterValue", "The same permission must not appear multiple times")
            if rule in present:
                refuse("InvalidPermission.Duplicate", f"the specified rule {rule} already exists")
            seen.add(rule)
        if len(present) + len(seen) > 60:
            refuse("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
        tags = self._parse_tag_specification().get("security-group-rule", {})
        made = [one for _rule, words in wanted for one in add(group.id, sgrule_tags=tags, **words)[0]]
        return ActionResult({"Return": True, "SecurityGroupRules": made})

    def _revoke(self, kind: str) -> ActionResult:
        """All rules or none: API_RevokeSecurityGroupIngress errors InvalidPermission.NotFound."""
        asked = self._asked()
        group = self._group(str(asked.get("GroupId")))
        stored = getattr(group, kind)
        ids = asked.get("SecurityGroupRuleIds", [])
        if unknown := [one for one in ids if one not in {rule.id for rule in stored}]:
            refuse("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{unknown[0]}' does not exist")
        wanted = {rule for rule, _words in self._rules(group, asked)}
        if not wanted <= {_stored(rule) for rule in stored}:
            refuse("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
        self.error_on_dryrun()
        setattr(group, kind, [rule for rule in stored if rule.id not in ids and _stored(rule) not in wanted])
        return ActionResult({"Return": True})

    def _rules(self, group: t.Any, asked: Plain) -> t.Iterator[tuple[Rule, Plain]]:
        """Every single rule of a request, and moto's words for it."""
        permissions = asked.get("IpPermissions", [])
        if "IpProtocol" in asked:
            single = {"IpRanges": [{"CidrIp": asked["CidrIp"]}]} if "CidrIp" in asked else {}
            permissions = [{**{key: asked[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in asked}, **single}]
        for permission in permissions:
            protocol, ports = _protocol(permission), _ports(permission)
            words: Plain = {"ip_protocol": protocol, "from_port": ports and ports[0], "to_port": ports and ports[1], "ip_ranges": []}
            for list_name, key, parameter in PEERS:
                for peer in permission.get(list_name, []):
                    settled = self._peer(group, key, peer)
                    yield Rule(protocol, ports, settled[key]), {**words, parameter: [settled]}

    def _peer(self, group: t.Any, key: str, peer: Plain) -> Plain:
        """Who a rule is about, checked and as it is kept."""
        _check_text("rule description", peer.get("Description", ""))
        if key in ("CidrIp", "CidrIpv6"):
            return {**peer, key: _network(str(peer.get(key)))}
        if key == "GroupId":
            other = self._group(str(peer.get("GroupId")))
            if other.vpc_id != group.vpc_id:
                refuse("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
        return dict(peer)


def _protocol(permission: Plain) -> str:
    word = str(permission.get("IpProtocol", "")).lower()
    if word in PROTOCOLS:
        return PROTOCOLS[word]
    if not word.isdigit() or int(word) > 255:
        refuse("InvalidParameterValue", f"Invalid value '{permission.get('IpProtocol')}' for IP protocol. Unknown protocol.")
    return word


def _ports(permission: Plain) -> tuple[int, int] | None:
    """First and last port; None where the protocol has none."""
    protocol = _protocol(permission)
    if protocol not in ("tcp", "udp", "icmp", "icmpv6"):
        return None
    first, last = permission.get("FromPort"), permission.get("ToPort")
    if first is None or last is None:
        refuse("InvalidParameterValue", "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
    low = -1 if protocol.startswith("icmp") else 0
    if not low <= int(first) <= 65535 or not low <= int(last) <= 65535 or (protocol in ("tcp", "udp") and int(first) > int(last)):
        refuse("InvalidParameterValue", f"Invalid {protocol.upper()} port range ({first} - {last})")
    return int(first), int(last)
