# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Price List API: what it refuses, its pages, and that a product has look-alikes.

API = https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html
"""

from __future__ import annotations

import json
import typing as t

import boto3
import pytest
from botocore.config import Config

from .aws_lab import REGION, Lab, expect_refused

KEYS = {"aws_access_key_id": "AKIAEXAMPLEEXAMPLE00", "aws_secret_access_key": "secret"}
HERE = {"regionCode": REGION}


def filters(**words: str) -> list[dict[str, str]]:
    return [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in words.items()]


def usage_types(lab: Lab, service: str = "AmazonEC2", **words: str) -> list[str]:
    """The usage types of all products, page after page, that pass the filters in this region."""
    pages = lab.client("pricing").get_paginator("get_products").paginate(ServiceCode=service, Filters=filters(**HERE, **words))
    return [json.loads(text)["product"]["attributes"]["usagetype"] for page in pages for text in page["PriceList"]]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ServiceCode": "AmazonEC3"}, "NotFoundException"),  # API, Errors
        ({"ServiceCode": ""}, "InvalidParameterException"),  # https://github.com/aws/aws-sdk-js/issues/3329
        ({"ServiceCode": "Compute Instance"}, "InvalidParameterException"),  # https://github.com/cloud-barista/cb-spider/issues/1055
        ({"MaxResults": 101}, "InvalidParameterException"),  # API, MaxResults: maximum value of 100
        ({"MaxResults": 0}, "InvalidParameterException"),  # API, MaxResults: minimum value of 1
        ({"FormatVersion": "aws_v2"}, "InvalidParameterException"),  # API, FormatVersion: valid values
        ({"NextToken": "again"}, "InvalidNextTokenException"),  # API, Errors
        ({"Filters": [{"Type": "LIKE", "Field": "instanceType", "Value": "m5"}]}, "InvalidParameterException"),  # API_pricing_Filter, Type: valid values
        ({"Filters": filters(instanceType="")}, "InvalidParameterException"),  # API_pricing_Filter: Value is required
    ],
)
def test_a_bad_request_is_refused(lab: Lab, changes: dict[str, t.Any], code: str) -> None:
    # Without boto3's own validation, which knows some of this.
    careless = boto3.client("pricing", config=Config(parameter_validation=False), endpoint_url=lab.part.endpoint, region_name=REGION, **KEYS)
    with expect_refused(code):
        careless.get_products(**{"ServiceCode": "AmazonEC2", "Filters": [], **changes})


def test_a_region_without_the_api_does_not_answer(lab: Lab) -> None:
    """https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html: three endpoints."""
    elsewhere = boto3.client("pricing", region_name="eu-west-1", endpoint_url=lab.part.endpoint, **KEYS)
    with expect_refused("NotImplementedBySandbox"):
        elsewhere.get_products(ServiceCode="AmazonEC2")


def test_without_the_permission_nothing_is_told(lab: Lab) -> None:
    lab.part.set_conditions({"denied": ["GetProducts"]})
    with expect_refused("AccessDeniedException"):
        lab.client("pricing").get_products(ServiceCode="AmazonEC2")


def test_products_are_json_text_in_pages(lab: Lab) -> None:
    """API: PriceList is an array of strings; MaxResults is a maximum."""
    first = lab.client("pricing").get_products(ServiceCode="AWSELB", Filters=filters(**HERE), MaxResults=100)
    assert first["FormatVersion"] == "aws_v1"
    assert first["NextToken"]
    assert all(json.loads(text)["serviceCode"] == "AWSELB" for text in first["PriceList"])
    assert len(usage_types(lab, "AWSELB")) > len(first["PriceList"])


def test_a_read_changes_nothing(lab: Lab) -> None:
    lab.ledger.clear_calls()
    lab.client("pricing").get_products(ServiceCode="AWSELB")
    assert [(call.service, call.operation, call.mutating) for call in lab.ledger.calls] == [("pricing", "GetProducts", False)]


def test_only_all_filters_together_find_one_product(lab: Lab) -> None:
    words = {"instanceType": "m5.large", "operatingSystem": "Linux", "preInstalledSw": "NA", "tenancy": "Shared", "capacitystatus": "Used"}
    assert usage_types(lab, **words) == ["EUC1-BoxUsage:m5.large"]
    for name in words:
        assert len(usage_types(lab, **{key: value for key, value in words.items() if key != name})) > 1, name


def test_a_product_without_the_attribute_passes_no_filter_on_it(lab: Lab) -> None:
    """https://github.com/boto/boto3/issues/3200"""
    assert usage_types(lab, "AmazonVPC", instanceType="m5.large") == []


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [("EQUALS", "gp3", {"gp3"}), ("CONTAINS", "gp", {"gp2", "gp3"}), ("ANY_OF", "gp3,io1", {"gp3", "io1"}), ("NONE_OF", "gp3,gp2,io1", {"io2", "standard"})],
)
def test_other_types_of_filters(lab: Lab, kind: str, value: str, found: set[str]) -> None:
    """API_pricing_Filter, Type."""
    wanted = [*filters(**HERE, productFamily="Storage"), {"Type": kind, "Field": "volumeApiName", "Value": value}]
    pages = lab.client("pricing").get_paginator("get_products").paginate(ServiceCode="AmazonEC2", Filters=wanted)
    assert {json.loads(text)["product"]["attributes"]["volumeApiName"] for page in pages for text in page["PriceList"]} == found
