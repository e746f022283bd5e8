# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's price list: products as the Price List API shows them, and beside each those that a careless filter takes for it.

Shapes, attributes and units are AWS' own; prices are of the right size, no more. Not every instance type has a product here.
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-query-api.html
"""

from __future__ import annotations

import hashlib
import typing as t

Product = dict[str, t.Any]

# Region: its name, what its usage types begin with, and its prices relative to those below.
REGIONS = {"us-east-1": ("US East (N. Virginia)", "", 1.0), "eu-west-1": ("EU (Ireland)", "EU-", 1.1), "eu-central-1": ("EU (Frankfurt)", "EUC1-", 1.2)}
# Per hour in us-east-1.
INSTANCES = {"m5.large": 0.096, "m5.xlarge": 0.192, "m5.2xlarge": 0.384, "c5.large": 0.085, "t3.medium": 0.0416, "t3.large": 0.0832, "m6g.large": 0.077}
# API name: what its usage types end in, USD per GB and month, per IOPS and month.
VOLUMES = {
    "gp3": ("gp3", 0.08, 0.005),
    "gp2": ("gp2", 0.1, 0.0),
    "io1": ("piops", 0.125, 0.065),
    "io2": ("io2", 0.125, 0.065),
    "standard": ("", 0.05, 0.0),
}
# Operating system, pre-installed software -> operation, how many times Linux' price.
SYSTEMS = {
    ("Windows", "NA"): ("RunInstances:0002", 1.9),
    ("Linux", "SQL Web"): ("RunInstances:0200", 1.7),
    ("Linux", "NA"): ("RunInstances", 1.0),
    ("RHEL", "NA"): ("RunInstances:0010", 1.3),
}


def products() -> list[Product]:
    """Every product, those to be avoided before those that are meant."""
    found: list[Product] = []
    for region in REGIONS:
        for name, price in INSTANCES.items():
            found += _instance(region, name, price)
        for name, (suffix, storage, iops) in VOLUMES.items():
            found += _volume(region, name, suffix, storage, iops)
        found += _balancer(region) + _addresses(region)
    return found


def _product(service: str, family: str, region: str, usage: str, unit: str, price: float, **attributes: str) -> Product:
    """One product with an on-demand price in the region; usage is the usage type without the region's prefix."""
    name, prefix, factor = REGIONS[region]
    every = {"servicecode": service, "location": name, "locationType": "AWS Region", "regionCode": region, "usagetype": prefix + usage, **attributes}
    sku = hashlib.sha256(repr((service, family, sorted(every.items()))).encode()).hexdigest()[:16].upper()
    product: Product = {"attributes": every, "sku": sku}
    if family:
        product["productFamily"] = family
    terms = {"OnDemand": _term(sku, "JRTCKXETXF", unit, price * factor, usage)}
    return {"product": product, "serviceCode": service, "terms": terms, "version": "20260131000000", "publicationDate": "2026-01-31T00:00:00Z"}


def _term(sku: str, offer: str, unit: str, price: float, what: str, **attributes: str) -> dict[str, t.Any]:
    rate = f"{sku}.{offer}.6YS6EN2CT7"
    dimension = {
        "rateCode": rate,
        "unit": unit,
        "beginRange": "0",
        "endRange": "Inf",
        "appliesTo": [],
        "description": f"${price:g} per {unit} of {what}",
        "pricePerUnit": {"USD": f"{price:.10f}"},
    }
    term = {"sku": sku, "offerTermCode": offer, "effectiveDate": "2026-01-01T00:00:00Z", "termAttributes": attributes, "priceDimensions": {rate: dimension}}
    return {f"{sku}.{offer}": term}


def _instance(region: str, name: str, price: float) -> list[Product]:
    """An instance type with every system, tenancy and capacity reservation; the one that a node is comes neither first nor last."""

    def one(usage: str, unit_price: float, **attributes: str) -> Product:
        base = {"instanceType": name, "operatingSystem": "Linux", "preInstalledSw": "NA", "tenancy": "Shared", "capacitystatus": "Used"}
        base |= {"operation": "RunInstances", "licenseModel": "No License required", "marketoption": "OnDemand"}
        return _product("AmazonEC2", "Compute Instance", region, f"{usage}:{name}", "Hrs", unit_price, **{**base, **attributes})

    found = [one("DedicatedUsage", price * 1.06, tenancy="Dedicated"), one("UnusedBox", price, capacitystatus="UnusedCapacityReservation")]
    found.append(one("Reservation", 0.0, capacitystatus="AllocatedCapacityReservation"))
    for (system, software), (operation, factor) in SYSTEMS.items():
        found.append(one("BoxUsage", price * factor, operatingSystem=system, preInstalledSw=software, operation=operation))
    for product in found:
        sku = product["product"]["sku"]
        words = {"LeaseContractLength": "1yr", "OfferingClass": "standard", "PurchaseOption": "No Upfront"}
        product["terms"]["Reserved"] = _term(sku, "4NA7Y494T4", "Hrs", price * 0.63, name, **words)
    return found


def _volume(region: str, name: str, suffix: str, storage: float, iops: float) -> list[Product]:
    end = f".{suffix}" if suffix else ""
    both = {"volumeApiName": name}
    found = [_product("AmazonEC2", "Storage", region, f"EBS:VolumeUsage{end}", "GB-Mo", storage, **both)]
    if iops:
        found.append(_product("AmazonEC2", "System Operation", region, f"EBS:VolumeP-IOPS{end}", "IOPS-Mo", iops, group="EBS IOPS", **both))
    if name == "io2":
        for tier, factor in ((2, 0.7), (3, 0.49)):
            usage = f"EBS:VolumeP-IOPS.io2.tier{tier}"
            found.append(_product("AmazonEC2", "System Operation", region, usage, "IOPS-Mo", iops * factor, group=f"EBS IOPS Tier {tier}", **both))
    if name == "gp3":
        usage, group = "EBS:VolumeP-Throughput.gp3", "EBS Throughput"
        found.append(_product("AmazonEC2", "Provisioned Throughput", region, usage, "GiBps-mo", 40.96, group=group, **both))
    if name == "standard":
        found.append(_product("AmazonEC2", "System Operation", region, "EBS:VolumeIOUsage", "IOs", 5e-8, group="EBS I/O Requests", **both))
    return found


def _balancer(region: str) -> list[Product]:
    """Application and network load balancers, their hours and their capacity units."""
    found = []
    for kind, hour, unit in (("Application", 0.0225, 0.008), ("Network", 0.0226, 0.006)):
        family, operation = f"Load Balancer-{kind}", f"LoadBalancing:{kind}"
        found.append(_product("AWSELB", family, region, "LCUUsage", "LCU-Hrs", unit, operation=operation))
        found.append(_product("AWSELB", family, region, "ReservedLCUUsage", "LCU-Hrs", unit, operation=operation))
        found.append(_product("AWSELB", family, region, "LoadBalancerUsage", "Hrs", hour, operation=operation))
    return found


def _addresses(region: str) -> list[Product]:
    """Public addresses; these products have no family, and a prefix in every region."""
    prefix = "USE1-" if region == "us-east-1" else ""
    return [
        _product("AmazonVPC", "", region, f"{prefix}PublicIPv4:{use}", "Hrs", price, group="VPCPublicIPv4Address")
        for use, price in (("IdleAddress", 0.004), ("ContiguousBlock", 0.008), ("InUseAddress", 0.005))
    ]
