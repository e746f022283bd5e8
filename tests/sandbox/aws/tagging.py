# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource Groups Tagging API: GetResources with its real limits and pages."""

from __future__ import annotations

import base64
import typing as t

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends
from moto.resourcegroupstaggingapi.exceptions import ResourceGroupsTaggingAPIError
from moto.resourcegroupstaggingapi.responses import ResourceGroupsTaggingAPIResponse

from .world import part_of

if t.TYPE_CHECKING:
    from .elbv2 import StrictELBv2Backend

Found = tuple[str, dict[str, str]]


def refuse(message: str, code: str = "InvalidParameterException") -> t.NoReturn:
    """Answer with this error."""
    raise ResourceGroupsTaggingAPIError(code, message)


class StrictTaggingResponse(ResourceGroupsTaggingAPIResponse):
    """One request.

    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
    """

    def get_resources(self) -> ActionResult:
        filters, types = self._get_param("TagFilters", []), self._get_param("ResourceTypeFilters", [])
        arns, size = self._get_param("ResourceARNList", []), self._get_int_param("ResourcesPerPage", 50)
        _check(filters, types, arns, size)
        after = _read_token(self._get_param("PaginationToken"))
        found = [one for one in self._tagged() if one[0] > after and _matches(one, filters, types, arns)]
        page = found[:size]
        mapping = [{"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]} for arn, tags in page]
        # The last page has an empty token, not a missing one.
        token = base64.urlsafe_b64encode(page[-1][0].encode()).decode() if len(found) > size else ""
        return ActionResult({"ResourceTagMappingList": mapping, "PaginationToken": token})

    def _tagged(self) -> list[Found]:
        """Everything that has tags, in the order of its ARNs."""
        account = self.current_account
        now = part_of(account).clock.now()
        balancers = t.cast("StrictELBv2Backend", elbv2_backends[account][self.region])
        stores = (ec2_backends[account][self.region], balancers)
        hidden = {f"instance/{one.id}" for one in part_of(account).lifecycle.instances() if one.life.visible_at > now}
        untold = balancers.untold(now)
        every = [(one.arn, dict(one.tags)) for store in stores for one in store.iter_tagged_resources() if one.tags and one.arn not in untold]
        return sorted(one for one in every if one[0].rpartition(":")[2] not in hidden)


def _check(filters: list[t.Any], types: list[str], arns: list[str], size: int) -> None:
    if not 1 <= size <= 100:
        refuse("ResourcesPerPage must be between 1 and 100")
    if arns and (filters or types):
        refuse("ResourceARNList cannot be used with TagFilters or ResourceTypeFilters")
    if len(arns) > 100 or len(types) > 100:
        refuse("at most 100 ARNs or resource types in a request")
    if len(filters) > 50:
        refuse("at most 50 tag filters in a request")
    for one in filters:
        if len(one.get("Values", [])) > 20:
            refuse("at most 20 values in a tag filter")


def _matches(found: Found, filters: list[t.Any], types: list[str], arns: list[str]) -> bool:
    arn, tags = found
    if arns and arn not in arns:
        return False
    if types and not any(_is_of_type(arn, one) for one in types):
        return False
    return all(one["Key"] in tags and (not one.get("Values") or tags[one["Key"]] in one["Values"]) for one in filters)


def _is_of_type(arn: str, wanted: str) -> bool:
    """wanted: "ec2" or "ec2:instance"."""
    service, resource = arn.split(":", 5)[2], arn.split(":", 5)[5]
    return wanted in (service, f"{service}:{resource.partition('/')[0]}")


def _read_token(token: str | None) -> str:
    if not token:
        return ""
    try:
        after = base64.urlsafe_b64decode(token).decode()
    except ValueError:
        after = ""
    return after if after.startswith("arn:") else refuse("The pagination token is not valid or has expired", "PaginationTokenExpiredException")
