# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Price lists that are not as expected: the price is then unknown, never wrong and never an error."""

from __future__ import annotations

import json
import typing as t

import boto3
import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws import prices
from botocore.stub import Stubber

M5 = {"instances": [{"type": "m5.large", "count": 1}], "volumes": [], "load_balancers": 0, "public_addresses": 0}


def product(usage: str = "EUC1-BoxUsage:m5.large", unit: str = "Hrs", **rates: str) -> str:
    """A product with one price per currency."""
    dimensions = {currency: {"unit": unit, "pricePerUnit": {currency: rate}} for currency, rate in (rates or {"USD": "0.1"}).items()}
    return json.dumps({"product": {"attributes": {"usagetype": usage}}, "terms": {"OnDemand": {"term": {"priceDimensions": dimensions}}}})


def answered(*texts: str, region: str = "eu-central-1") -> dict[str, t.Any]:
    """The price of an m5.large when the price list answers with these texts."""
    client = boto3.client("pricing", region_name="eu-central-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    with Stubber(client) as stub:
        stub.add_response("get_products", {"PriceList": list(texts)})
        return t.cast("dict[str, t.Any]", prices.price_work(prices.PriceOptions.of_params(M5, region), lambda _region: client).values["price"])


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([], "has no BoxUsage:m5.large in this region"),
        ([product("EUC1-BoxUsage:m5.large.x")], "has no BoxUsage:m5.large"),
        ([product("EUC1-Host-BoxUsage:m5.large")], "has no BoxUsage:m5.large"),
        ([product(USD="0.0000000000")], "has no BoxUsage:m5.large"),
        ([product(), product(USD="0.2")], "has 2 prices for BoxUsage:m5.large"),
        ([product(USD="0.1", CNY="0.7")], "has 2 prices"),
        ([product(unit="Quantity")], "a price per Quantity, which is not understood"),
        ([product(USD="much")], "is not understood: "),
        (['{"product": {}}'], "is not understood: KeyError('attributes')"),
        (["[]"], "is not understood: "),
        (["<html>"], "is not understood: "),
    ],
)
def test_a_list_without_exactly_one_price_makes_it_unknown(texts: list[str], reason: str) -> None:
    found = answered(*texts)
    assert len(found["unknown"]) == 1
    assert reason in found["unknown"][0]
    assert (found["hourly"], found["currency"]) == (None, None)


def test_the_same_price_twice_is_one_price() -> None:
    assert answered(product(), product("BoxUsage:m5.large"))["hourly"] == 0.1


def test_prices_are_in_the_currency_of_the_list() -> None:
    assert answered(product("CNN1-BoxUsage:m5.large", CNY="0.7"), region="cn-north-1")["summary"].startswith("1 × m5.large: 0.70 CNY per hour")


@pytest.mark.parametrize(
    ("region", "asked"),
    [
        ("us-east-1", "us-east-1"),
        ("eu-central-1", "eu-central-1"),
        ("eu-north-1", "eu-central-1"),
        ("ap-northeast-3", "ap-south-1"),
        ("sa-east-1", "us-east-1"),
        ("cn-north-1", "cn-northwest-1"),
    ],
)
def test_the_api_is_asked_where_it_exists(region: str, asked: str) -> None:
    assert prices.endpoint_region(region) == asked
