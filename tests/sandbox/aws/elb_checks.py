# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Elastic Load Balancing refuses before it looks at anything it stores: shapes of parameters, names, tags, ARNs, health checks.

API = https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference
"""

from __future__ import annotations

import re
import typing as t

from moto.core.utils import get_service_model
from moto.elbv2.exceptions import ELBClientError

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
CODES = re.compile(r"\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*")
MAX_NAME = 32
MAX_TAGS = 50
# Protocols of network load balancers, and which target groups a listener of each may forward to (API_CreateListener, API_CreateTargetGroup).
FORWARDS = {"TCP": ("TCP", "TCP_UDP"), "TLS": ("TCP", "TLS"), "UDP": ("UDP", "TCP_UDP"), "TCP_UDP": ("TCP_UDP",)}
KINDS = {"load balancer": ":loadbalancer/", "target group": ":targetgroup/", "listener": ":listener/"}


def refuse(code: str, message: str) -> t.NoReturn:
    """Answer with this ELBv2 error."""
    raise ELBClientError(code, message)


def check_shape(operation: str, parameters: dict[str, t.Any]) -> None:
    """Refuse values outside of what the service's model says: enumerations, ranges, patterns. API_CommonErrors ValidationError."""
    shape = get_service_model("elbv2").operation_model(operation).input_shape
    found = list(_violations(shape, parameters, "")) if shape is not None else []
    if found:
        plural = "s" if len(found) > 1 else ""
        refuse("ValidationError", f"{len(found)} validation error{plural} detected: {'; '.join(found)}")


def _violations(shape: t.Any, value: t.Any, path: str) -> t.Iterator[str]:
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _violations(member, value[name], f"{path}.{name[0].lower()}{name[1:]}".lstrip("."))
    elif shape.type_name == "list":
        for number, one in enumerate(value, 1):
            yield from _violations(shape.member, one, f"{path}.{number}.member")
    elif broken := _broken(shape, value):
        yield f"Value '{value}' at '{path}' failed to satisfy constraint: Member must {broken}"


def _broken(shape: t.Any, value: t.Any) -> str:
    """The constraint that a string or number breaks, "" if none."""
    bounds = shape.metadata
    if bounds.get("enum") and value not in bounds["enum"]:
        return f"satisfy enum value set: [{', '.join(bounds['enum'])}]"
    what, size = ("have length", len(value)) if shape.type_name == "string" else ("have value", value)
    if "max" in bounds and size > bounds["max"]:
        return f"{what} less than or equal to {bounds['max']}"
    if "min" in bounds and size < bounds["min"]:
        return f"{what} greater than or equal to {bounds['min']}"
    # Java's letters, spaces and digits of all scripts.
    pattern = bounds.get("pattern", "").replace(r"\p{L}\p{Z}\p{N}", r"\w ")
    return f"satisfy regular expression pattern: {bounds['pattern']}" if pattern and not re.fullmatch(pattern, value) else ""


def check_name(what: str, name: str) -> None:
    """API_CreateLoadBalancer, API_CreateTargetGroup Name."""
    if len(name) > MAX_NAME:
        refuse("ValidationError", f"The {what} name '{name}' cannot be longer than '{MAX_NAME}' characters")
    if not NAME.fullmatch(name):
        message = "can only contain characters that are alphanumeric characters and hyphens(-), and must not begin or end with a hyphen"
        refuse("ValidationError", f"The {what} name '{name}' {message}")


def check_tags(tags: t.Sequence[dict[str, str]], existing: t.Iterable[str] = ()) -> None:
    """API_AddTags errors DuplicateTagKeys, TooManyTags; API_Tag: no aws: prefix."""
    keys = [tag["Key"] for tag in tags]
    if len(keys) != len(set(keys)):
        refuse("DuplicateTagKeys", "A tag key was specified more than once")
    if reserved := [key for key in keys if key.lower().startswith("aws:")]:
        refuse("ValidationError", f"The tag key '{reserved[0]}' must not begin with 'aws:', which is reserved")
    if len({*existing, *keys}) > MAX_TAGS:
        refuse("TooManyTags", "The quota for the number of tags that can be assigned to a load balancer has been reached")


def check_arn(what: str, arn: str) -> None:
    """An ARN must be one, whether or not there is such a thing."""
    if not arn.startswith("arn:aws:elasticloadbalancing:") or KINDS[what] not in arn:
        refuse("ValidationError", f"'{arn}' is not a valid {what} ARN")


def complete(settings: dict[str, t.Any]) -> dict[str, t.Any]:
    """A target group's health check with defaults filled in (API_CreateTargetGroup); keys as the API names them.

    A check by TCP has neither path nor matcher; groups of other load balancers than network ones are left as they are.
    """
    protocol = settings.get("HealthCheckProtocol") or "TCP"
    base = {
        "HealthCheckProtocol": protocol,
        "HealthCheckPort": "traffic-port",
        "HealthCheckIntervalSeconds": 30,
        "HealthCheckTimeoutSeconds": 6 if protocol == "HTTP" else 10,
        "HealthyThresholdCount": 5,
        "UnhealthyThresholdCount": 2,
    }
    web = {} if protocol == "TCP" else {"HealthCheckPath": "/", "Matcher": {"HttpCode": "200-399"}}
    return {**base, **web, **{key: value for key, value in settings.items() if value is not None}}


def check_health(settings: dict[str, t.Any]) -> None:
    """Refuse health checks that a target group of a network load balancer cannot have. API_CreateTargetGroup, API_ModifyTargetGroup."""
    protocol = settings["HealthCheckProtocol"]
    if protocol not in ("TCP", "HTTP", "HTTPS"):
        refuse("InvalidConfigurationRequest", f"Health check protocol '{protocol}' is not supported: use one of TCP, HTTP, HTTPS")
    for key in ("HealthCheckPath", "Matcher") if protocol == "TCP" else ():
        if key in settings:
            refuse("InvalidConfigurationRequest", f"{key} cannot be specified for health checks with the TCP protocol")
    if settings.get("HealthCheckEnabled") is False:
        refuse("InvalidConfigurationRequest", "Health check enabled must be true for target groups with target type 'instance', 'ip' and 'alb'")
    port = str(settings["HealthCheckPort"])
    if port != "traffic-port" and not (port.isdigit() and 1 <= int(port) <= 65535):
        refuse("ValidationError", f"Health check port '{port}' must be 'traffic-port' or between '1' and '65535' inclusive")
    timeout, interval = settings["HealthCheckTimeoutSeconds"], settings["HealthCheckIntervalSeconds"]
    if timeout > interval:
        refuse("ValidationError", f"Health check timeout '{timeout}' must be smaller than or equal to the interval '{interval}'")
    if protocol != "TCP":
        _check_web(settings)


def _check_web(settings: dict[str, t.Any]) -> None:
    path, codes = settings["HealthCheckPath"], str(settings["Matcher"].get("HttpCode", ""))
    if not path.startswith("/"):
        refuse("ValidationError", f"Health check path '{path}' must begin with a '/' character")
    if not CODES.fullmatch(codes) or not all(200 <= int(code) <= 599 for code in re.split("[-,]", codes)):
        refuse("ValidationError", f"Health check matcher HTTP code '{codes}' must be within '200-599' inclusive")
