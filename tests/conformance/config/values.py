# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values for the rows of the field table: good ones that every release takes, and odd ones that some refuse."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import scalars
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.table import Field

from .yamlwriter import Raw

# By type: values that decode in every release and differ from zero, but for booleans.
GOOD: dict[str, tuple[t.Any, ...]] = {
    "bool": (Raw("true"), Raw("false"), Raw("yes"), Raw("off"), Raw("True")),
    "duration": ("10m", Raw("1h30m"), "1.5s", "250ms"),
    "url": ("https://a.example:6443/", "http://b.example", "https://c.example/path?x=1#f", "tcp://10.0.0.1:1514"),
    "bytesize": ("10GiB", "5 GB", "1.5MiB", "100MB"),
    "size": ("10GiB", "5 GB", "120MiB", "7"),
    "disksize": ("10GB", "1.5 GB", 4096, 99000000),
    "sizecondition": (">= 1TB", "4GB", "<= 2TB", "> 10GB"),
    "addr": ("10.0.0.1", "fe80::1", "2001:DB8::1", "192.168.1.9"),
    "prefix": ("10.0.0.0/24", "10.0.0.5/8", "2001:DB8::/32", "192.168.1.9/32"),
    "addrport": ("10.0.0.1:80", "[fe80::1]:443", "192.168.1.9:51820"),
    "hwaddr": ("00:1A:2b:3c:4d:5e", "001122334455", "aa:bb:cc:dd:ee:ff"),
    "portrange": (80, Raw("80-90"), 443, Raw("1000-2000")),
    "bytes": ("YQ==", "Yg==", "Yw=="),
    "filemode": (Raw("0o644"), 420, Raw("0o600"), Raw("0755")),
    "arg": ("a", Raw("7"), "b=c", Raw("true")),
    "disktype": ("nvme", "ssd", "hdd", "sd"),
}

NUMBERS = (1, 9, 200, Raw("0x1F"), Raw("0o17"), 5, Raw("1_0"))

# By type: what some release refuses, or takes for zero, or reads in its own way.
ODD: dict[str, tuple[t.Any, ...]] = {
    "bool": ("yes", "true", 1, Raw("y"), Raw("NO"), "x"),
    "duration": (0, Raw("0s"), 5, "x", "-3s", "10", "1h30", "", Raw("1.5")),
    "url": ("", "/only/path", "a b", "https://u:p@c/x", "%zz", "grpc://x:1?t=y", "http://[::1", "http://a:b/"),
    "bytesize": (4096, "", "-1GB", "x", "1,5GB", 0),
    "size": ("50%", "", "-10%", "120%", 0, "x", "7.5%"),
    "disksize": (5000, "123kB", "x", 1000, 0, "-1", ""),
    "sizecondition": ("= 3", "x", "", ">=", 7),
    "addr": ("", "x", "fe80::1%eth0", "10.0.0.01", "10.0.0.0/8", 7, "::ffff:10.0.0.1"),
    "prefix": ("", "10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/08", "fe80::1%eth0/64"),
    "addrport": ("x:1", "", "10.0.0.1", "10.0.0.1:70000", "fe80::1:80"),
    "hwaddr": ("00-1a-2b-3c-4d-5e", "zz", "", "0", 7),
    "portrange": ("443", "90-80", "x", 70000, "", "1-2-3", 0),
    "bytes": ("", "x", "******", "YQ"),
    "filemode": ("0644", 0, -1, "x", Raw("0o999")),
    "arg": ("", Raw("null"), ["x", "y"], [], {"x": "y"}, [Raw("1")], [["a"]]),
    "disktype": ("", "NVME", "x", "SSD"),
    "string": (
        "",
        Raw("null"),
        Raw("~"),
        Raw("2024-01-01"),
        Raw("1:30"),
        Raw("0x10"),
        "two\nlines\n",
        " lead",
        "trail ",
        "#hash",
        "\ttab",
        "é",
        ["a"],
        {"a": "b"},
    ),
    "number": (0, -1, 70000, Raw("017"), Raw("3.0"), Raw("1.5"), "12", Raw("1e3"), Raw("4294967296"), "x", Raw("-0")),
    "cel": ("", "1 +", "true", "no.such.thing", "x == 1", 7),
    "x509": ({}, {"crt": "YQ=="}, {"key": "YQ=="}, {"crt": "", "key": ""}, {"crt": "x"}, {"key": "******"}, {"other": "YQ=="}),
    "any": (None, Raw(""), "", 0, False, [], {}, "odd", 7, ["a"], {"a": "b"}, {"$patch": "replace"}, Raw("2024-01-01"), Raw("1.5")),
}

WORDS = (
    "alpha",
    "beta",
    "with: colon",
    "true",
    "12",
    "a'b\"c",
    "*x",
    "-",
    "a #b",
    "null",
    Raw("plain"),
    Raw("65535"),
    Raw("yes"),
    Raw("1.0"),
    "no\nend",
    "9.8.7",
)

CEL = {
    "disk": ("disk.size > 10u * GB", 'disk.transport == "nvme"'),
    "volume": ('volume.name == "ext4"', 'volume.partition_label == "x"'),
    "link": ('link.driver == "x"', "link.mtu == 1500u"),
    "triggerExpression": (
        "multiply_qos_vectors(d_qos_memory_full_total, {System: 8.0, Podruntime: 4.0}) > 3000.0",
        "multiply_qos_vectors(d_qos_memory_full_total, {System: 2.0}) > 10.0",
    ),
    "cgroupRankingExpression": ("1.0", "2.0"),
}

SUBNETS = ("10.1.0.5/24", "fd00::5/64", "192.168.0.0/16")
ADDRESSES = ("10.0.0.7", "fd00::7", "192.168.0.1")
IMAGES = ("registry.example/a/b:v1.33.1", "registry.example/two:v1.31.0", "registry.example/d/e@sha256:" + "0" * 64)

# By path (document kind, a colon, path): strings that mean something to validation.
SPECIAL: tuple[tuple[re.Pattern[str], tuple[t.Any, ...]], ...] = tuple(
    (re.compile(pattern), values)
    for pattern, values in (
        (r":machine\.type", ("worker", "controlplane", "init")),
        (r":version", ("v1alpha1",)),
        (r":.*(cidr|addresses\[\]|[sS]ubnets?(\[\])?|allowedIPs\[\]|network|excludeAdvertisedNetworks\[\]|subnet)", SUBNETS),
        (r":.*(gateway|routes\[\]\.source|\bip|nameservers\[\]|clusterDNS\[\]|arpIPTarget\[\])", ADDRESSES),
        (r":.*[iI]mage", IMAGES),
        (r":.*(manifests|extraManifests|urls)\[\]", ("https://a.example/x.yaml", "https://b.example/y.yaml")),
        (r":.*endpoints?(\[\])?", ("https://a.example:6443", "https://b.example:443/path")),
        (r":.*(interfaces?|links)(\[\])?|:.*(link|parent|primary|master|iifName|oifName|name)", ("eth0", "eth1", "bond0")),
        (r":.*hardwareAddr|:.*permanentAddr|:.*adActorSystem", ("00:1a:*", "aa:bb:cc:dd:ee:ff")),
        (r":.*(privateKey|publicKey|presharedKey)", ("OPyRwF6V0A/3MqOcmvRTnv2Hwd3iXkz8pGNxnFMYKXI=", "cGXhVyTpqqGPYzVXGUtVYq1HnvDuTLrIT33A3aDfvXo=")),
        (r":.*bond\.mode", ("802.3ad", "active-backup")),
        (r":.*xmitHashPolicy", ("layer2", "layer3+4")),
        (r":.*lacpRate", ("fast", "slow")),
        (r":.*arpValidate", ("all", "none")),
        (r":.*arpAllTargets", ("all", "any")),
        (r":.*primaryReselect", ("better", "always")),
        (r":.*failOverMac", ("active", "none")),
        (r":.*adSelect", ("count", "stable")),
        (r":.*nodeAddressSortAlgorithm", ("v1", "v2")),
        (r":.*files\[\]\.op", ("create", "append", "overwrite")),
        (r":.*files\[\]\.path", ("/var/a", "/etc/cri/conf.d/20-customization.part")),
        (r":.*logging.*format", ("json_lines",)),
        (r":.*cni\.name", ("flannel", "none", "custom")),
        (r":.*dnsDomain", ("cluster.local", "a.example")),
        (r":.*authorizationConfig\[\]\.type", ("Node", "RBAC", "Webhook")),
        (r":.*allowedRoles\[\]", ("os:reader", "os:admin")),
        (r":.*(hostname|hostnames\[\]|aliases\[\]|[cC]ertSANs\[\]|searchDomains.*\[\])", ("a.example", "b", "c.example")),
        (r"KubeFlannelCNIConfig:backendType", ("vxlan", "host-gw")),
        (r"ContainerConfig:.*\.(mode|profile)", ("host", "none")),
    )
)

# Untyped data that meets itself: the same types under the same keys, so that it merges.
UNTYPED = (
    {"a": 1, "b": "s", "c": [1, "x"], "d": {"k10": True, "k9": 1.5}},
    {"a": 2, "c": [2], "d": {"k9": 2.5, "new": "two\nlines"}},
    {"b": "t", "e": Raw("yes"), "f": {}},
)


HEAD = ("apiVersion", "kind")


def good(kind: str, field: Field) -> tuple[t.Any, ...]:
    """Good values of a scalar row of a document kind, at least two different ones where there are two."""
    where = f"{kind}:{field.path}"
    word = field.kind.partition(":")[0]
    if kind and field.path in HEAD:
        return ("v1alpha1",) if field.path == "apiVersion" else (kind,)
    if word == "enum":
        words = scalars.ENUMS[field.kind.partition(":")[2]]
        return tuple(entry for entry in words[:8] if entry) or ("other",)
    if word == "cel":
        return CEL.get(field.path) or CEL["volume" if "volumeSelector" in field.path else "link" if field.path == "selector.match" else "disk"]
    if word == "x509":
        parts = field.kind.partition(":")[2].split(",")
        return tuple(dict.fromkeys(parts, text) for text in ("YQ==", "Yg=="))
    if word == "unstructured":
        return UNTYPED
    if field.kind in scalars.INT_RANGES and word not in GOOD:
        return NUMBERS
    return next((values for pattern, values in SPECIAL if word == "string" and pattern.fullmatch(where)), GOOD.get(word, WORDS))


def odd(field: Field) -> tuple[t.Any, ...]:
    """Odd values of a row: of its type, and of any."""
    word = "number" if field.kind in scalars.INT_RANGES and field.kind not in ODD else field.kind.partition(":")[0]
    return (*ODD.get(word, ()), *ODD["any"])


def wrong(field: Field) -> t.Any:
    """A value whose shape no release takes for the row."""
    word = field.kind.partition(":")[0]
    if word in ("struct", "map", "unstructured", "x509"):
        return "word"
    return {"a": "b"}


def empty(field: Field) -> t.Any:
    """The row's own empty value: {}, [], false, 0 or ""."""
    word = field.kind.partition(":")[0]
    if word in ("struct", "map", "unstructured", "x509"):
        return {}
    return {"list": [], "bool": Raw("false")}.get(word, 0 if field.kind in scalars.INT_RANGES else "")
