# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The work of cluster_price: what things cost per hour, as the AWS Price List API says it.

No price is known here. What cannot be found out is said, and never fails a run.
"""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import typing as t
from decimal import Decimal

try:
    import botocore.exceptions
    import botocore.session
except ImportError:
    pass  # AnsibleAWSModule says so before anything here is used

from .._errors import InputError
from .._outcome import Outcome
from .errors import ApiError, PricingErrorHandler
from .volumes import GP3_IOPS, GP3_THROUGHPUT

Client = t.Any
Item = dict[str, t.Any]

# An unreachable API must not hold a run: so long may one attempt take to connect and to answer, and all calls together (seconds).
CLIENT_CONFIG = {"connect_timeout": 3, "read_timeout": 5, "retries": {"total_max_attempts": 2, "mode": "standard"}}
PATIENCE = 10.0
THREAD = "price list"

# What is billed by the month is billed by the second; AWS' own calculator has 730 hours in a month.
MONTH = Decimal(730)
# Unit of a price, in lower case -> hours (and for throughput MiB/s) that it is for.
UNITS = {"hrs": Decimal(1), "gb-mo": MONTH, "iops-mo": MONTH, "gibps-mo": MONTH * 1024, "mibps-mo": MONTH}
# Volume types whose usage types end otherwise than in their API name.
USAGE_SUFFIX = {"io1": ".piops", "standard": ""}
# IOPS of io2 that the first and the second price are for; the third is for the rest.
IO2_TIERS = (32000, 32000)


@dataclasses.dataclass(frozen=True)
class Product:
    """One product of the price list. usage: its usage type without what stands for the region."""

    service: str
    usage: str
    filters: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Want:
    """count things, each made of so much of each product."""

    what: str
    count: int
    parts: tuple[tuple[Product, int], ...]

    @property
    def title(self) -> str:
        """As in 3 × m5.large."""
        return f"{self.count} × {self.what}"


@dataclasses.dataclass(frozen=True)
class PriceOptions:
    """The options of cluster_price. region: "" when none is known."""

    region: str
    wants: tuple[Want, ...]

    @classmethod
    def of_params(cls, params: t.Mapping[str, t.Any], region: str | None) -> PriceOptions:
        """Take the module's parameters; raise InputError for a count or size that is none."""
        wants = [Want(one["type"], one["count"], ((instance_product(one["type"]), 1),)) for one in params["instances"]]
        wants += [volume_want(one) for one in params["volumes"]]
        wants.append(Want("network load balancer", params["load_balancers"], ((BALANCER, 1),)))
        wants.append(Want("public IPv4 address", params["public_addresses"], ((ADDRESS, 1),)))
        for want in wants:
            if want.count < 0 or any(quantity < 1 for _product, quantity in want.parts):
                raise InputError(f"{want.title}: counts and sizes are not negative, and no volume has 0 GB")
        return cls(region or "", _together(wants))


def _together(wants: t.Iterable[Want]) -> tuple[Want, ...]:
    """The wants that are any, each thing once with how many of it there are in all."""
    counts: dict[Want, int] = {}
    for want in wants:
        kind = dataclasses.replace(want, count=0)
        counts[kind] = counts.get(kind, 0) + want.count
    return tuple(dataclasses.replace(kind, count=count) for kind, count in counts.items() if count)


def instance_product(name: str) -> Product:
    """An instance type, on demand, as it runs Linux or anything else without a licence on shared hardware."""
    words = {"instanceType": name, "operatingSystem": "Linux", "preInstalledSw": "NA", "tenancy": "Shared", "capacitystatus": "Used"}
    return Product("AmazonEC2", f"BoxUsage:{name}", tuple(words.items()))


def volume_want(volume: t.Mapping[str, t.Any]) -> Want:
    """Volumes: their size, and IOPS and throughput that are not included in it."""
    kind, iops, throughput = volume["type"], volume.get("iops") or 0, volume.get("throughput") or 0
    parts = [(_volume_product(kind, "Storage", "VolumeUsage"), volume["size_gb"])]
    parts += [(product, quantity) for product, quantity in _iops_parts(kind, iops) if quantity > 0]
    if kind == "gp3" and throughput > GP3_THROUGHPUT:
        parts.append((_volume_product(kind, "Provisioned Throughput", "VolumeP-Throughput"), throughput - GP3_THROUGHPUT))
    extra = [f"{value} {unit}" for value, unit in ((iops, "IOPS"), (throughput, "MiB/s")) if value]
    return Want(" ".join([f"{volume['size_gb']} GB {kind}", *extra]), volume["count"], tuple(parts))


def _iops_parts(kind: str, iops: int) -> list[tuple[Product, int]]:
    base = _volume_product(kind, "System Operation", "VolumeP-IOPS")
    if kind == "gp3":
        return [(base, iops - GP3_IOPS)]
    if kind == "io1":
        return [(base, iops)]
    if kind != "io2":
        return []
    first, second = IO2_TIERS
    tiers = [dataclasses.replace(base, usage=f"{base.usage}{tier}") for tier in ("", ".tier2", ".tier3")]
    return [(tiers[0], min(iops, first)), (tiers[1], min(iops - first, second)), (tiers[2], iops - first - second)]


def _volume_product(kind: str, family: str, usage: str) -> Product:
    suffix = USAGE_SUFFIX.get(kind, f".{kind}")
    return Product("AmazonEC2", f"EBS:{usage}{suffix}", (("productFamily", family), ("volumeApiName", kind)))


BALANCER = Product("AWSELB", "LoadBalancerUsage", (("productFamily", "Load Balancer-Network"),))
ADDRESS = Product("AmazonVPC", "PublicIPv4:InUseAddress", (("group", "VPCPublicIPv4Address"),))


class Unknown(Exception):
    """A price cannot be found out, for a reason in the user's words; final when it holds for every other one too."""

    def __init__(self, reason: str, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


def endpoint_region(region: str) -> str:
    """The region whose Price List API knows the prices of a region: itself, one of its continent, or any of its partition. Raises Unknown."""
    if not region:
        raise Unknown("no region is given", final=True)
    session = botocore.session.get_session()
    try:
        partition = session.get_partition_for_region(region)
    except botocore.exceptions.UnknownRegionError:
        raise Unknown(f"AWS has no region {region}", final=True) from None
    offered = sorted(session.get_available_regions("pricing", partition), reverse=True)
    if not offered:
        raise Unknown(f"the AWS Price List API does not exist in {partition}, where {region} is", final=True)
    return region if region in offered else next((one for one in offered if one.split("-")[0] == region.split("-")[0]), offered[0])


@PricingErrorHandler.common_error_handler("ask for prices")
def get_products(pricing: Client, region: str, product: Product) -> list[Item]:
    """The products of a region that pass the product's filters, as AWS describes them."""
    words = {"regionCode": region, "locationType": "AWS Region", **dict(product.filters)}
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in words.items()]
    pages = pricing.get_paginator("get_products").paginate(ServiceCode=product.service, Filters=filters, FormatVersion="aws_v1")
    return [json.loads(text) for page in pages for text in page["PriceList"]]


def hourly_price(found: t.Sequence[Item], product: Product) -> tuple[Decimal, str]:
    """What one unit costs per hour, and in which currency. Raises Unknown unless exactly one price is found."""
    # Usage types begin with the region's code, except in some places: EUC1-BoxUsage:m5.large, BoxUsage:m5.large
    usage = re.compile(rf"(?:[A-Z0-9]+-)?{re.escape(product.usage)}")
    meant = [one for one in found if usage.fullmatch(one["product"]["attributes"].get("usagetype", ""))]
    prices = {price for one in meant for term in one["terms"].get("OnDemand", {}).values() for price in _term_prices(term)}
    if not prices:
        raise Unknown(f"the price list has no {product.usage} in this region")
    if len(prices) > 1:
        raise Unknown(f"the price list has {len(prices)} prices for {product.usage}")
    return prices.pop()


def _term_prices(term: Item) -> t.Iterator[tuple[Decimal, str]]:
    """The prices of an offer, per hour; those of 0 are for what is free up to some amount, or for what something else pays."""
    for dimension in term["priceDimensions"].values():
        for currency, text in dimension["pricePerUnit"].items():
            hours = UNITS.get(dimension["unit"].lower())
            if hours is None:
                raise Unknown(f"the price list has a price per {dimension['unit']}, which is not understood")
            if Decimal(text):
                yield Decimal(text) / hours, currency


def ask(pricing: Client, region: str, products: t.Sequence[Product], answers: dict[Product, tuple[Decimal, str] | Unknown]) -> None:
    """Fill answers, one product after another. One that the API refuses for all, or does not answer, is the last to be asked."""
    for product in products:
        try:
            answers[product] = hourly_price(get_products(pricing, region, product), product)
        except Unknown as unknown:
            answers[product] = unknown
        except ApiError as error:
            answers[product] = Unknown(str(error), final=True)
            return
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            answers[product] = Unknown(f"the price list's entry for {product.usage} is not understood: {error!r}")


def find_prices(make: t.Callable[[str], Client], region: str, products: t.Sequence[Product], patience: float) -> dict[Product, tuple[Decimal, str] | Unknown]:
    """Each product's price or why it is unknown. make(region) builds a client of the Price List API."""
    try:
        pricing = make(endpoint_region(region))
    except Unknown as unknown:
        return dict.fromkeys(products, unknown)
    answers: dict[Product, tuple[Decimal, str] | Unknown] = {}
    # In a thread of its own that may be left behind: looking up a host name, and its many addresses, has no time limit.
    asking = threading.Thread(target=ask, args=(pricing, region, products, answers), name=THREAD, daemon=True)
    asking.start()
    asking.join(patience)
    known = dict(answers)
    rest: Unknown = next((one for one in known.values() if isinstance(one, Unknown) and one.final), Unknown(f"no answer within {patience:g} s"))
    return {product: known.get(product, rest) for product in products}


def line(want: Want, answers: t.Mapping[Product, tuple[Decimal, str] | Unknown]) -> tuple[Item, str]:
    """A line of the bill and its currency; unit_price and hourly are None, and the currency is "", when a part's price is unknown."""
    price, currency = Decimal(0), ""
    for product, quantity in want.parts:
        answer = answers[product]
        if isinstance(answer, Unknown):
            return {"what": want.what, "count": want.count, "unit_price": None, "hourly": None}, ""
        price += answer[0] * quantity
        currency = answer[1]
    return {"what": want.what, "count": want.count, "unit_price": _rounded(price), "hourly": _rounded(price * want.count)}, currency


def _rounded(price: Decimal) -> float:
    return round(float(price), 6)


def summary(wants: t.Sequence[Want], price: Item) -> str:
    """The price in one line."""
    named = " + ".join(want.title for want in wants) or "nothing"
    if price["unknown"]:
        return f"{named}: price unknown: {'; '.join(price['unknown'])}"
    if not wants:
        return f"{named}: costs nothing"
    shown = f"{price['hourly']:.2f}" if price["hourly"] >= 0.1 else f"{price['hourly']:.4f}"
    lacking = "traffic or load balancer capacity units (LCU)" if any(part == BALANCER for want in wants for part, _n in want.parts) else "traffic"
    return f"{named}: {shown} {price['currency']} per hour (AWS Price List, on demand, without {lacking})"


def price_work(options: PriceOptions, make: t.Callable[[str], Client], patience: float = PATIENCE) -> Outcome:
    """What the things wanted cost; each product is asked for once."""
    products = list(dict.fromkeys(product for want in options.wants for product, _quantity in want.parts))
    answers = find_prices(make, options.region, products, patience) if products else {}
    lines = [line(want, answers) for want in options.wants]
    unknown = list(dict.fromkeys(str(answer) for answer in answers.values() if isinstance(answer, Unknown)))
    currencies = {currency for _line, currency in lines if currency}
    if len(currencies) > 1:
        unknown.append(f"prices are in {' and '.join(sorted(currencies))}")
    price: Item = {"lines": [one for one, _currency in lines], "currency": currencies.pop() if len(currencies) == 1 else None, "unknown": unknown}
    price["hourly"] = None if unknown else round(sum(one["hourly"] for one in price["lines"]), 6)
    price["summary"] = summary(options.wants, price)
    return Outcome(values={"price": price})
