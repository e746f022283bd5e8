# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What IAM asks of a policy for each call, and what a policy answers.

Which actions, resources and condition keys belong to an operation: https://docs.aws.amazon.com/service-authorization/latest/reference/
(list_amazonec2, list_awselasticloadbalancingv2, list_amazonresourcegrouptaggingapi, list_awspricelist). Only what the collection calls is known here.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import typing as t

Call = t.Mapping[str, t.Any]
Tags = t.Mapping[str, t.Mapping[str, str]]
Policy = t.Mapping[str, t.Any]

PREFIXES = {"ec2": "ec2", "elbv2": "elasticloadbalancing", "tagging": "tag", "pricing": "pricing", "kms": "kms", "sts": "sts", "iam": "iam"}
# The start of an EC2 id -> what it is called in an ARN.
KINDS = {"i": "instance", "vol": "volume", "eni": "network-interface", "sg": "security-group", "subnet": "subnet", "ami": "image", "vpc": "vpc"}
# Parameters that name the resources an operation is allowed or denied for.
RESOURCES = ("InstanceIds", "InstanceId", "Resources", "GroupId", "TargetGroupArn", "LoadBalancerArn", "ListenerArn", "ResourceArns")
# What RunInstances makes, and what other operations make that take tags (a listener is a part of its load balancer, and gets none here).
LAUNCHED = ("instance", "volume", "network-interface")
CREATED = {
    "CreateSecurityGroup": "arn:aws:ec2:eu-central-1:123456789012:security-group/*",
    "CreateLoadBalancer": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/net/new/1",
    "CreateTargetGroup": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/new/1",
}
# Operations whose resources have no ARN in IAM: these are allowed for "*" only.
UNBOUND = ("Describe", "Get", "List")
BOUND = ("GetConsoleOutput", "DescribeInstanceAttribute")


@dataclasses.dataclass(frozen=True)
class Request:
    """One question to IAM: may this action be done to this resource, in this context?"""

    action: str
    arn: str
    context: tuple[tuple[str, str], ...] = ()

    def without_tags(self) -> Request:
        """The same of a resource that has no tags."""
        return dataclasses.replace(self, context=tuple(pair for pair in self.context if not pair[0].startswith("aws:ResourceTag/")))


def requests(call: Call, tags: Tags) -> list[Request]:
    """What IAM is asked when this call is made. tags: of every resource, by id or ARN, as they are then."""
    detail, operation = call["detail"], call["operation"]
    action = f"{PREFIXES[call['service']]}:{operation}"
    if operation == "RunInstances":
        return _launch(detail)
    asked = [Request(action, _arn(name), _context("ResourceTag", tags.get(name, {}))) for name in _named(operation, detail)]
    asked = asked or [Request(action, "*")]
    given = _given_tags(detail)
    if operation in CREATED:
        asked = [Request(action, CREATED[operation], _context("RequestTag", given))]
        asked += [Request(action, _arn(detail["VpcId"]))] if operation == "CreateSecurityGroup" else []
    elif operation in ("CreateTags", "AddTags"):
        asked = [dataclasses.replace(one, context=one.context + _context("RequestTag", given)) for one in asked]
    return asked + (_tagging_at_birth(call["service"], operation, given, CREATED[operation]) if operation in CREATED else [])


def _launch(detail: Call) -> list[Request]:
    """An instance's launch is asked for every resource that it makes and uses."""
    made = {one["ResourceType"]: _tag_map(one["Tags"]) for one in detail.get("TagSpecifications", [])}
    interfaces = detail.get("NetworkInterfaces", [])
    used = [detail["ImageId"], *[one["SubnetId"] for one in interfaces], *[group for one in interfaces for group in one.get("Groups", [])]]
    used += [detail["SubnetId"]] if "SubnetId" in detail else []
    used += detail.get("SecurityGroupIds", [])
    asked = [Request("ec2:RunInstances", f"arn:aws:ec2:eu-central-1:123456789012:{kind}/*", _context("RequestTag", made.get(kind, {}))) for kind in LAUNCHED]
    asked += [Request("ec2:RunInstances", _arn(name)) for name in used]
    for kind, given in made.items():
        asked += _tagging_at_birth("ec2", "RunInstances", given, f"arn:aws:ec2:eu-central-1:123456789012:{kind}/*")
    return asked


def _tagging_at_birth(service: str, operation: str, given: t.Mapping[str, str], arn: str) -> list[Request]:
    """Tags given to what is being created need the tagging action, too."""
    if not given:
        return []
    action = "ec2:CreateTags" if service == "ec2" else "elasticloadbalancing:AddTags"
    context = _context("RequestTag", given) + ((f"{action.partition(':')[0]}:CreateAction", operation),)
    return [Request(action, arn, context)]


def _named(operation: str, detail: Call) -> list[str]:
    if operation.startswith(UNBOUND) and operation not in BOUND:
        return []
    found = [detail[name] for name in RESOURCES if name in detail]
    return [one for value in found for one in ([value] if isinstance(value, str) else value)]


def _arn(name: str) -> str:
    if name.startswith("arn:"):
        return name
    kind = KINDS[name.partition("-")[0]]
    return f"arn:aws:ec2:eu-central-1:{'' if kind == 'image' else '123456789012'}:{kind}/{name}"


def _given_tags(detail: Call) -> dict[str, str]:
    """The tags in a request."""
    listed = [*detail.get("Tags", []), *[tag for one in detail.get("TagSpecifications", []) for tag in one["Tags"]]]
    return _tag_map(listed)


def _tag_map(listed: t.Iterable[t.Mapping[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in listed}


def _context(kind: str, tags: t.Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((f"aws:{kind}/{key}", value) for key, value in sorted(tags.items()))


def statements(policy: Policy, request: Request) -> list[str]:
    """The Sids of the statements that allow a request."""
    return [one["Sid"] for one in policy["Statement"] if _allows(one, request)]


def _allows(statement: Policy, request: Request) -> bool:
    assert statement["Effect"] == "Allow"
    context = dict(request.context)
    return (
        any(fnmatch.fnmatchcase(request.action, one) for one in _listed(statement["Action"]))
        and any(fnmatch.fnmatchcase(request.arn, one) for one in _listed(statement["Resource"]))
        and all(_holds(operator, conditions, context) for operator, conditions in statement.get("Condition", {}).items())
    )


def _holds(operator: str, conditions: t.Mapping[str, t.Any], context: t.Mapping[str, str]) -> bool:
    """A condition on a key that the request does not have is false."""
    tests: dict[str, t.Callable[[str, str], bool]] = {"StringEquals": str.__eq__, "StringLike": fnmatch.fnmatchcase}
    return all(key in context and any(tests[operator](context[key], one) for one in _listed(wanted)) for key, wanted in conditions.items())


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def actions(policy: Policy) -> list[str]:
    """Every action of a policy, as often as it is in it."""
    return [action for one in policy["Statement"] for action in _listed(one["Action"])]


def condition_keys(policy: Policy) -> set[tuple[str, str]]:
    """(action, condition key without the tag's own key) of a policy's statements."""
    keys = [(one, key) for one in policy["Statement"] for conditions in one.get("Condition", {}).values() for key in conditions]
    return {(action, key.partition("/")[0]) for one, key in keys for action in _listed(one["Action"])}
