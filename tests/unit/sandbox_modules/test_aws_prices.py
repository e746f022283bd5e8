# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prices as the sandbox's Price List API has them, and why they are unknown."""

from __future__ import annotations

import functools
import threading
import time
import typing as t

import boto3
import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.prices import CLIENT_CONFIG, PATIENCE, THREAD, PriceOptions, price_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError
from botocore.config import Config

from tests.sandbox.calls import Fault
from tests.unit.sandbox.aws_lab import REGION, Lab

Price = dict[str, t.Any]


def options(region: str | None = REGION, **wanted: t.Any) -> PriceOptions:
    """Options as the module gets them, its defaults filled in."""
    base: dict[str, t.Any] = {"instances": [], "volumes": [], "load_balancers": 0, "public_addresses": 0, **wanted}
    base["instances"] = [{"count": 1, **one} for one in base["instances"]]
    base["volumes"] = [{"count": 1, "type": "gp3", "iops": None, "throughput": None, **one} for one in base["volumes"]]
    return PriceOptions.of_params(base, region)


@functools.cache
def pricing(endpoint: str, region: str) -> t.Any:
    """The client that the module makes."""
    keys = {"aws_access_key_id": "AKIAEXAMPLEEXAMPLE00", "aws_secret_access_key": "secret"}
    return boto3.client("pricing", region_name=region, endpoint_url=endpoint, config=Config(**CLIENT_CONFIG), **keys)


def price(lab: Lab, patience: float = PATIENCE, region: str | None = REGION, **wanted: t.Any) -> Price:
    outcome = price_work(options(region, **wanted), functools.partial(pricing, lab.part.endpoint), patience)
    assert (outcome.steps, outcome.failures, outcome.warnings) == ([], {}, [])
    return t.cast("Price", outcome.values["price"])


def asked(lab: Lab) -> list[str]:
    return [call.operation for call in lab.ledger.calls]


@pytest.mark.parametrize(
    ("wanted", "hourly"),
    [
        ({"instances": [{"type": "m5.large"}]}, 0.1152),
        ({"instances": [{"type": "m5.large", "count": 3}]}, 0.3456),
        ({"volumes": [{"size_gb": 730}]}, 0.096),
        ({"volumes": [{"size_gb": 730, "iops": 3000, "throughput": 125}]}, 0.096),
        ({"volumes": [{"size_gb": 730, "iops": 3730}]}, 0.096 + 0.006),
        ({"volumes": [{"size_gb": 730, "iops": 4000, "throughput": 855}]}, 0.096 + 1000 * 0.006 / 730 + 0.048),
        ({"volumes": [{"size_gb": 730, "type": "gp2"}]}, 0.12),
        ({"volumes": [{"size_gb": 730, "type": "standard"}]}, 0.06),
        ({"volumes": [{"size_gb": 730, "type": "io1", "iops": 7300}]}, 0.15 + 0.78),
        ({"volumes": [{"size_gb": 730, "type": "io2", "iops": 32000}]}, 0.15 + 32000 * 0.078 / 730),
        ({"volumes": [{"size_gb": 730, "type": "io2", "iops": 70000}]}, 0.15 + (32000 + 32000 * 0.7 + 6000 * 0.49) * 0.078 / 730),
        ({"load_balancers": 1}, 0.02712),
        ({"public_addresses": 2}, 0.012),
    ],
)
def test_the_price_is_of_what_is_meant_and_of_nothing_alike(lab: Lab, wanted: dict[str, t.Any], hourly: float) -> None:
    found = price(lab, **wanted)
    assert found["hourly"] == pytest.approx(hourly, abs=1e-6)
    assert (found["currency"], found["unknown"]) == ("USD", [])


@pytest.mark.parametrize(("region", "hourly"), [("us-east-1", 0.096), ("eu-west-1", 0.1056), ("eu-central-1", 0.1152)])
def test_each_region_has_its_own_price_wherever_it_is_asked(lab: Lab, region: str, hourly: float) -> None:
    assert price(lab, region=region, instances=[{"type": "m5.large"}])["hourly"] == pytest.approx(hourly)


def test_addresses_cost_where_usage_types_have_a_prefix_that_others_lack(lab: Lab) -> None:
    found = price(lab, region="us-east-1", public_addresses=1, load_balancers=1)
    assert [one["unit_price"] for one in found["lines"]] == [0.0226, 0.005]


def test_what_it_costs_is_told_in_lines_and_in_one(lab: Lab) -> None:
    found = price(lab, instances=[{"type": "m5.large", "count": 3}], volumes=[{"size_gb": 100, "count": 3}, {"size_gb": 8, "count": 0}])
    assert found["lines"] == [
        {"what": "m5.large", "count": 3, "unit_price": 0.1152, "hourly": 0.3456},
        {"what": "100 GB gp3", "count": 3, "unit_price": 0.013151, "hourly": 0.039452},
    ]
    assert found["hourly"] == 0.385052
    assert found["summary"] == "3 × m5.large + 3 × 100 GB gp3: 0.39 USD per hour (AWS Price List, on demand, without traffic)"


def test_the_same_things_are_one_line(lab: Lab) -> None:
    volumes = [{"size_gb": 100, "count": 3}, {"size_gb": 80, "count": 2}, {"size_gb": 100, "count": 1}]
    found = price(lab, instances=[{"type": "m5.large", "count": 3}, {"type": "m5.large", "count": 2}], volumes=volumes)
    assert found["summary"].startswith("5 × m5.large + 4 × 100 GB gp3 + 2 × 80 GB gp3: ")
    assert found["lines"][0] == {"what": "m5.large", "count": 5, "unit_price": 0.1152, "hourly": 0.576}


def test_small_sums_are_not_shown_as_none_and_capacity_units_are_named(lab: Lab) -> None:
    assert price(lab, load_balancers=1)["summary"].partition(": ")[2] == (
        "0.0271 USD per hour (AWS Price List, on demand, without traffic or load balancer capacity units (LCU))"
    )


def test_each_product_is_asked_for_once(lab: Lab) -> None:
    """Also when several things are made of it."""
    instances = [{"type": "m5.large"}, {"type": "m5.large", "count": 2}]
    price(lab, instances=instances, volumes=[{"size_gb": 100}, {"size_gb": 40, "throughput": 200}])
    words = [{one["Field"]: one["Value"] for one in call.detail["Filters"]} for call in lab.ledger.calls]
    assert [one.get("productFamily", one.get("instanceType")) for one in words] == ["m5.large", "Storage", "Provisioned Throughput"]
    assert all(one["regionCode"] == REGION for one in words)


def test_all_pages_are_read(lab: Lab) -> None:
    """The hours of network load balancers come after their capacity units."""
    price(lab, load_balancers=3)
    assert asked(lab) == ["GetProducts"] * 2


def test_nothing_costs_nothing_and_needs_no_call(lab: Lab) -> None:
    assert price(lab) == {"lines": [], "hourly": 0, "currency": None, "unknown": [], "summary": "nothing: costs nothing"}
    assert asked(lab) == []


def test_a_missing_permission_is_named_and_nothing_more_is_asked(lab: Lab) -> None:
    lab.part.set_conditions({"denied": ["GetProducts"]})
    found = price(lab, instances=[{"type": "m5.large"}], load_balancers=1)
    assert (found["hourly"], found["currency"]) == (None, None)
    assert [one["hourly"] for one in found["lines"]] == [None, None]
    assert len(found["unknown"]) == 1
    assert found["unknown"][0].endswith("(grant the IAM action pricing:GetProducts)")
    assert found["summary"] == f"1 × m5.large + 1 × network load balancer: price unknown: {found['unknown'][0]}"
    assert asked(lab) == ["GetProducts"]


def test_what_has_no_price_does_not_hide_the_price_of_the_rest(lab: Lab) -> None:
    found = price(lab, instances=[{"type": "m9.huge"}, {"type": "m5.large"}])
    assert found["unknown"] == ["the price list has no BoxUsage:m9.huge in this region"]
    assert [one["hourly"] for one in found["lines"]] == [None, 0.1152]
    assert found["hourly"] is None


def test_throttling_is_waited_out(lab: Lab) -> None:
    lab.ledger.faults.append(Fault("throttle", "pricing", ordinals=[1]))
    assert price(lab, instances=[{"type": "m5.large"}])["unknown"] == []
    assert asked(lab) == ["GetProducts"] * 2


def test_an_api_that_is_broken_is_asked_twice(lab: Lab) -> None:
    lab.ledger.faults.append(Fault("error", "pricing"))
    assert "InternalErrorException" in price(lab, instances=[{"type": "m5.large"}], load_balancers=1)["unknown"][0]
    assert asked(lab) == ["GetProducts"] * 2


@pytest.fixture
def left_alone() -> t.Iterator[None]:
    """Threads that were left behind have ended before the next test counts its calls."""
    yield
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join()


@pytest.mark.usefixtures("left_alone")
def test_an_api_that_does_not_answer_is_left(lab: Lab) -> None:
    """However long it holds the connection."""
    lab.ledger.faults.append(Fault("timeout", "pricing", ordinals=[1], seconds=4))
    started = time.monotonic()
    found = price(lab, patience=0.5, instances=[{"type": "m5.large"}])
    assert time.monotonic() - started < 4
    assert found["summary"] == "1 × m5.large: price unknown: no answer within 0.5 s"


@pytest.mark.usefixtures("left_alone")
def test_what_was_answered_before_it_fell_silent_is_kept(lab: Lab) -> None:
    lab.ledger.faults.append(Fault("timeout", "pricing", ordinals=[2], seconds=4))
    found = price(lab, patience=2, instances=[{"type": "m5.large"}], load_balancers=1)
    assert [one["hourly"] for one in found["lines"]] == [0.1152, None]


def test_an_api_that_cannot_be_reached_is_no_failure() -> None:
    started = time.monotonic()
    outcome = price_work(options(instances=[{"type": "m5.large"}]), functools.partial(pricing, "http://127.0.0.1:9"))
    assert "Could not connect to the endpoint URL" in outcome.values["price"]["unknown"][0]
    assert time.monotonic() - started < PATIENCE


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        ("us-gov-west-1", "the AWS Price List API does not exist in aws-us-gov, where us-gov-west-1 is"),
        ("moon-base-1", "AWS has no region moon-base-1"),
        (None, "no region is given"),
    ],
)
def test_a_region_without_a_price_list_is_said(lab: Lab, region: str | None, reason: str) -> None:
    assert price(lab, region=region, instances=[{"type": "m5.large"}])["unknown"] == [reason]
    assert asked(lab) == []


@pytest.mark.parametrize("wanted", [{"load_balancers": -1}, {"instances": [{"type": "m5.large", "count": -2}]}, {"volumes": [{"size_gb": 0}]}])
def test_counts_and_sizes_that_are_none_are_refused(wanted: dict[str, t.Any]) -> None:
    with pytest.raises(InputError, match="not negative"):
        options(**wanted)
