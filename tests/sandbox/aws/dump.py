# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that the AWS part stores, as JSON whose order depends on the content alone.

Two dumps are equal if and only if nothing was changed in between: clocks and counters are left out, so a target
that is checked all the time looks the same as long as its health does.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .elbv2 import StrictELBv2Backend
    from .part import AwsPart

Rows = dict[str, dict[str, t.Any]]


def dump(part: AwsPart) -> dict[str, t.Any]:
    """The world of a part; its lock is held."""
    regions: dict[str, dict[str, t.Any]] = {}
    for store in part.ec2_backends():
        regions.setdefault(store.region_name, {}).update(_ec2(store))
    for store in part.elbv2_backends():
        regions.setdefault(store.region_name, {}).update(_elbv2(store, part.clock.now()))
    return {"account": part.account, "regions": dict(sorted(regions.items())), "iam": _iam(part), "kms": _kms(part), "conditions": part.conditions.public()}


def _by_id(rows: t.Iterable[tuple[str, dict[str, t.Any]]]) -> Rows:
    return dict(sorted(rows))


def _ec2(store: t.Any) -> dict[str, Rows]:
    instances = [one for reservation in store.reservations.values() for one in reservation.instances]
    subnets = [one for zone in store.subnets.values() for one in zone.values()]
    groups = [one for vpc in store.groups.values() for one in vpc.values()]

    def rows(things: t.Iterable[t.Any], describe: t.Callable[[t.Any], dict[str, t.Any]]) -> Rows:
        return _by_id((one.id, {**describe(one), "tags": dict(sorted(store.tags.get(one.id, {}).items()))}) for one in things)

    return {
        "instances": rows(instances, _instance),
        "volumes": rows(store.volumes.values(), _volume),
        "snapshots": rows(store.snapshots.values(), lambda one: {"volume": one.volume.id}),
        "interfaces": rows(store.enis.values(), _interface),
        "addresses": _by_id((one.allocation_id or one.public_ip, {"public_ip": one.public_ip}) for one in store.addresses),
        "images": rows(store.amis.values(), lambda one: {"name": one.name, "state": one.state, "root_device_name": one.root_device_name}),
        "vpcs": rows(store.vpcs.values(), lambda one: {"cidr": one.cidr_block}),
        "subnets": rows(subnets, lambda one: {"vpc": one.vpc_id, "cidr": one.cidr_block, "zone": one.availability_zone}),
        "security_groups": rows(groups, _security_group),
        "placement_groups": _by_id((name, {"strategy": one["Strategy"]}) for name, one in store.placement_groups.items()),
        "client_tokens": _by_id((" ".join(key), {"instances": [one.id for one in known.reservation.instances]}) for key, known in store.tokens.items()),
    }


def _instance(one: t.Any) -> dict[str, t.Any]:
    return {
        "state": one.state,
        "state_reason": one.state_reason.code,
        "zone": one.availability_zone,
        "subnet": one.subnet_id,
        "private_ip": one.private_ip,
        "public_ip": one.public_ip,
        "image": one.image_id,
        "type": one.instance_type,
        "groups": sorted(group.id for group in one.security_groups),
        "client_token": one.client_token,
        "volumes": sorted(device.volume_id for device in one.block_device_mapping.values()),
        "interfaces": sorted(interface.id for interface in one.nics.values()),
        "termination_protection": bool(one.disable_api_termination),
        "http_tokens": one.metadata_options.http_tokens,
        "user_data": one.user_data.decode() if one.user_data else "",
    }


def _volume(one: t.Any) -> dict[str, t.Any]:
    return {
        "size": one.size,
        "type": one.volume_type,
        "encrypted": bool(one.encrypted),
        "kms_key": one.kms_key_id,
        "state": one.status,
        "instance": one.attachment.instance.id if one.attachment else None,
    }


def _interface(one: t.Any) -> dict[str, t.Any]:
    return {
        "private_ip": one.private_ip_address,
        "public_ip": one.public_ip,
        "subnet": one.subnet.id,
        "groups": sorted(group.id for group in one.group_set),
        "description": one.description,
        "instance": one.instance.id if one.instance else None,
    }


def _security_group(one: t.Any) -> dict[str, t.Any]:
    return {"name": one.name, "vpc": one.vpc_id, "ingress": _rules(one.ingress_rules), "egress": _rules(one.egress_rules)}


def _rules(rules: list[t.Any]) -> list[str]:
    """Rules as words that sort: protocol, ports, and who is let in or out."""
    return sorted(f"{one.ip_protocol} {one.from_port}-{one.to_port} {_peer(one)}" for one in rules)


def _peer(rule: t.Any) -> str:
    return str(rule.cidr_ipv4 or rule.cidr_ipv6 or (rule.source_group or {}).get("GroupId") or rule.prefix_list_id)


def _elbv2(store: StrictELBv2Backend, now: float) -> dict[str, Rows]:
    def tags(arn: str) -> dict[str, str]:
        return dict(sorted(store.tagging_service.get_tag_dict_for_resource(arn).items()))

    return {
        "load_balancers": _by_id((arn, {**_balancer(store, one), "tags": tags(arn)}) for arn, one in store.load_balancers.items()),
        "target_groups": _by_id((arn, {**_group(one, now), "tags": tags(arn)}) for arn, one in store.target_groups.items()),
    }


def _balancer(store: StrictELBv2Backend, one: t.Any) -> dict[str, t.Any]:
    listeners = {str(each.port): {"protocol": each.protocol, "target_groups": [group.arn for group in store.forwards(each)]} for each in one.listeners.values()}
    return {
        "name": one.name,
        "type": one.type,
        "scheme": one.scheme,
        "state": one.state,
        "subnets": sorted(subnet.id for subnet in one.subnets),
        "security_groups": sorted(one.security_groups),
        "addresses": one.addresses,
        "attributes": dict(sorted(one.attrs.items())),
        "listeners": dict(sorted(listeners.items())),
    }


def _group(one: t.Any, now: float) -> dict[str, t.Any]:
    targets = {f"{target.id}:{target.port}": target.health(now).public() for target in one.members.values() if target.registered() or target.draining(now)}
    return {
        "name": one.name,
        "protocol": one.protocol,
        "port": one.port,
        "target_type": one.target_type,
        "health_check": _health_check(one),
        "attributes": dict(sorted(one.attributes.items())),
        "targets": dict(sorted(targets.items())),
    }


def _health_check(one: t.Any) -> dict[str, t.Any]:
    words = ("protocol", "port", "path", "interval_seconds", "timeout_seconds")
    found = {word: getattr(one, f"health_check_{word}") for word in words} | {"matcher": (getattr(one, "matcher", None) or {}).get("HttpCode")}
    return found | {"healthy": int(one.healthy_threshold_count), "unhealthy": int(one.unhealthy_threshold_count)}


def _iam(part: AwsPart) -> Rows:
    profiles = [one for store in part.stores()["iam"].values() for one in store.instance_profiles.values()]
    return _by_id((one.name, {"arn": one.arn}) for one in profiles)


def _kms(part: AwsPart) -> Rows:
    keys = [one for store in part.stores()["kms"].values() for one in store.keys.values()]
    return _by_id((one.id, {"state": one.key_state, "aliases": sorted(one.aliases)}) for one in keys)
