# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Price List API: GetProducts with its refusals and pages.

https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html
"""

from __future__ import annotations

import base64
import functools
import json
import re
import typing as t

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse

from .price_list import Product, products

# The only regions that have the API: https://docs.aws.amazon.com/general/latest/gr/billing.html (AWS Price List API)
ENDPOINTS = ("us-east-1", "eu-central-1", "ap-south-1")
SERVICES = ("AmazonEC2", "AmazonVPC", "AWSELB")
# MaxResults is a maximum. Here a page never has more, so that whoever takes the first page for the whole is found out.
PAGE = 2
# botocore: Filter, FilterType
TESTS: dict[str, t.Callable[[str, str], bool]] = {
    "TERM_MATCH": lambda value, wanted: value == wanted,
    "EQUALS": lambda value, wanted: value == wanted,
    "CONTAINS": lambda value, wanted: wanted in value,
    "ANY_OF": lambda value, wanted: value in wanted.split(","),
    "NONE_OF": lambda value, wanted: value not in wanted.split(","),
}


class PricingError(ServiceException):
    """An error of the service."""


def refuse(message: str, code: str = "InvalidParameterException") -> t.NoReturn:
    """Answer with this error."""
    raise PricingError(code, message)


class StrictPricingResponse(BaseResponse):
    """One request."""

    def __init__(self) -> None:
        super().__init__(service_name="pricing")

    def get_products(self) -> ActionResult:
        if self.region not in ENDPOINTS:
            raise NotImplementedError(f"{self.region} has no Price List API; a real client would find no such host")
        service, size = str(self._get_param("ServiceCode") or ""), self._get_int_param("MaxResults", 100)
        filters = self._get_param("Filters") or []
        _check(service, size, self._get_param("FormatVersion"))
        for number, one in enumerate(filters, 1):
            _check_filter(number, one)
        if service not in SERVICES:
            refuse("The requested resource can't be found.", "NotFoundException")
        start, found = _read_token(self._get_param("NextToken")), _matching(service, json.dumps(filters))
        end = start + min(size, PAGE)
        result: dict[str, t.Any] = {"FormatVersion": "aws_v1", "PriceList": list(found[start:end])}
        if end < len(found):
            result["NextToken"] = base64.b64encode(f"after:{end}".encode()).decode()
        return ActionResult(result)


def _check(service: str, size: int, version: str | None) -> None:
    """Refusals of the request as a whole. https://github.com/aws/aws-sdk-js/issues/3329, https://github.com/cloud-barista/cb-spider/issues/1055"""
    if not service:
        refuse("Input Parameters are invalid. serviceCode cannot be null or empty")
    if not re.fullmatch("[a-zA-Z0-9]+", service):
        refuse("ServiceCode can only contain a-z, A-Z, 0-9")
    if not 1 <= size <= 100:
        word = "less than or equal to 100" if size > 100 else "greater than or equal to 1"
        refuse(f"1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy constraint: Member must have value {word}")
    if version not in (None, "aws_v1"):
        refuse(f"Input Parameters are invalid. Unknown format version {version}")


def _check_filter(number: int, one: t.Mapping[str, str]) -> None:
    at = f"1 validation error detected: Value at 'filters.{number}.member"
    for name in ("Type", "Field", "Value"):
        if not one.get(name):
            refuse(f"{at}.{name.lower()}' failed to satisfy constraint: Member must not be null")
    if one["Type"] not in TESTS:
        refuse(f"{at}.type' failed to satisfy constraint: Member must satisfy enum value set: [{', '.join(TESTS)}]")


@functools.cache
def _matching(service: str, filters: str) -> tuple[str, ...]:
    """The products of a service that pass all filters (given as JSON), each as the JSON text it is listed as."""
    wanted = json.loads(filters)
    return tuple(json.dumps(one) for one in products() if one["serviceCode"] == service and all(_passes(one, each) for each in wanted))


def _passes(product: Product, one: t.Mapping[str, str]) -> bool:
    """A product without the attribute passes no filter on it: https://github.com/boto/boto3/issues/3200"""
    fields = {**product["product"]["attributes"], "ServiceCode": product["serviceCode"], "productFamily": product["product"].get("productFamily")}
    value = fields.get(one["Field"])
    return value is not None and TESTS[one["Type"]](value, one["Value"])


def _read_token(token: str | None) -> int:
    if not token:
        return 0
    try:
        word, _colon, number = base64.b64decode(token, validate=True).decode().partition(":")
    except ValueError:
        word, number = "", ""
    return int(number) if word == "after" else refuse("The pagination token is invalid. Try again without a pagination token.", "InvalidNextTokenException")
