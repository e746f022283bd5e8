# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Scalars of machine configs: how Talos reads each type from YAML text, and how it prints it back.

parse() gives Python values: str for texts (canonical form), bool, int, nanoseconds for durations. format_() gives what is printed: a str
(quoted where YAML wants it), a Plain (never quoted), bool, int or None.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import math
import re
import typing as t

from . import urls
from .yamltext import STR_TAG, ConfigError, Scalar

REDACTED = "******"


class Plain(str):
    """Text printed without quotes whatever it looks like (octal file modes)."""


class Timestamp(str):
    """A plain scalar that YAML reads as a time, as Go prints it (RFC 3339)."""

    source: str = ""


def timestamp(text: str) -> Timestamp | None:
    """The time that a plain scalar means, or None."""
    match = TIMESTAMP.fullmatch(text) if 8 <= len(text) <= 64 else None
    if match is None:
        return None
    date, clock, fraction, zone = match.groups()
    try:
        year, month, day = (int(part) for part in date.split("-"))
        hour, minute, second = (int(part) for part in (clock or "0:0:0").split(":"))
        datetime.datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    digits = (fraction or "")[:9].rstrip("0")
    result = Timestamp(f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{'.' + digits if digits else ''}{_zone(zone)}")
    result.source = text
    return result


def _zone(text: str | None) -> str:
    return text if text and text[1:] != "00:00" else "Z"


# The forms of times that go-yaml knows: a date; T or t and a zone; a space and no zone.
TIMESTAMP = re.compile(r"(\d{4}-\d\d?-\d\d?)(?:(?:[Tt](?=.*(?:Z|[-+]\d\d:\d\d)$)| )(\d\d?:\d\d?:\d\d?)(?:\.(\d+))?(?<! )(Z|[-+]\d\d:\d\d)?)?")


# ---- plain scalars, resolved as go-yaml does -------------------------------------------------------------------------------------

BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
OLD_BOOLS = {word: value for value, words in ((True, "y Y yes Yes YES on On ON"), (False, "n N no No NO off Off OFF")) for word in words.split()}
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SPECIAL_FLOATS = {".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan}
SPECIAL_FLOATS |= {sign + word: value for sign, value in (("", math.inf), ("+", math.inf), ("-", -math.inf)) for word in (".inf", ".Inf", ".INF")}
INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]([0-7]+)|0([0-7]+)|(0|[1-9][0-9]*))")
NUMBER_START = frozenset("+-.0123456789")


def parse_integer(text: str) -> int | None:
    """An integer in any of YAML's notations (0x, 0o, 0b, leading zero, underscores), or None."""
    match = INTEGER.fullmatch(text.replace("_", ""))
    if match is None:
        return None
    sign, hexadecimal, binary, octal, old_octal, decimal = match.groups()
    for digits, base in ((hexadecimal, 16), (binary, 2), (octal or old_octal, 8), (decimal, 10)):
        if digits is not None and len(digits) <= 64:
            value = int(sign + digits, base)
            return value if -(2**63) <= value < 2**64 else None
    return None


def resolve_plain(text: str) -> t.Any:
    """What a plain scalar means: None, bool, int, float, Timestamp or str."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in BOOLS:
        return BOOLS[text]
    if text[0] not in NUMBER_START:
        return text
    if text in SPECIAL_FLOATS:
        return SPECIAL_FLOATS[text]
    time = timestamp(text)
    if time is not None:
        return time
    number = parse_integer(text)
    if number is not None:
        return number
    bare = text.replace("_", "")
    return float(bare) if len(bare) < 400 and FLOAT.fullmatch(bare) else text


def resolve(node: Scalar) -> t.Any:
    """What a scalar means in untyped data."""
    if node.tag == STR_TAG or not node.plain:
        return None if node.is_null else node.text
    return resolve_plain(node.text)


TIME_TAG = "tag:yaml.org,2002:timestamp"
TIMES_REFUSED_SINCE = 14


def is_time(node: Scalar, minor: int) -> bool:
    """Whether a text that Talos takes for a time stands where a text must be; earlier releases did not mind."""
    if minor < TIMES_REFUSED_SINCE:
        return False
    return node.tag == TIME_TAG or (node.plain and not node.tag and node.text[:1].isdigit() and timestamp(node.text) is not None)


# ---- numbers and booleans ---------------------------------------------------------------------------------------------------------

INT_RANGES = {
    "int": (-(2**63), 2**63 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint": (0, 2**64 - 1),
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "filemode": (0, 2**32 - 1),
}


def parse_bool(node: Scalar, kind: str, minor: int) -> bool:
    """true/false unquoted, or YAML 1.1's yes/no words in any form."""
    value = resolve(node)
    if isinstance(value, str):
        value = OLD_BOOLS.get(value)
    if isinstance(value, bool):
        return value
    raise ConfigError("must be true or false (unquoted)")


def parse_int(node: Scalar, kind: str, minor: int) -> int:
    """An unquoted whole number in the type's range (up to 1.12 a fraction was cut off)."""
    value = resolve(node)
    low, high = INT_RANGES[kind]
    if isinstance(value, float) and low <= value <= high and (value.is_integer() or minor <= 12):
        value = int(value)
    elif value == 2.0**64 and high == 2**64 - 1 and minor <= 12:
        value = 2**63  # as Go's conversion goes wrong
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError("must be a whole number (unquoted)")
    if not low <= value <= high:
        raise ConfigError(f"must be between {low} and {high}")
    return value


UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(node: Scalar, kind: str, minor: int) -> int:
    """A Go duration ("1h30m") in nanoseconds."""
    text, value = node.text, resolve(node)
    if value == 0 and isinstance(value, int) and not isinstance(value, bool) and minor >= 13 and (minor >= 14 or not text.startswith("-")):
        return 0
    if not isinstance(value, str):
        raise ConfigError('must be a duration such as "10m" or "1h30m"')
    sign = -1 if text.startswith("-") else 1
    body = text[1:] if text[:1] in ("+", "-") else text
    parts = DURATION_PART.findall(body) if len(body) <= 64 else []
    if body != "0" and (not parts or "".join(number + unit for number, unit in parts) != body):
        raise ConfigError('must be a duration such as "10m" or "1h30m"')
    total = sum(_nanoseconds(number, UNITS[unit]) for number, unit in parts)
    if total > (2**63 if sign < 0 else 2**63 - 1):
        raise ConfigError("is too long a duration")
    return sign * total


def _nanoseconds(number: str, unit: int) -> int:
    whole, _dot, fraction = number.partition(".")
    return int(whole or "0") * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def format_duration(value: int) -> str:
    """Go's text of a duration: 600·10⁹ → "10m0s", 1500 → "1.5µs"."""
    if value == 0:
        return "0s"
    sign, rest = ("-", -value) if value < 0 else ("", value)
    if rest < 10**9:
        unit = next(name for name in ("ms", "µs", "ns") if rest >= UNITS[name])
        return f"{sign}{_decimal(rest, UNITS[unit])}{unit}"
    minutes, seconds = divmod(rest, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(seconds, 10**9)}s"
    if minutes or hours:
        text = f"{minutes}m{text}"
    return sign + (f"{hours}h{text}" if hours else text)


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    fraction = str(rest).zfill(len(str(unit)) - 1).rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


# ---- sizes ------------------------------------------------------------------------------------------------------------------------

SIZE_UNITS = {"": 1, "b": 1} | {
    name: factor**power
    for power, letter in enumerate("kmgtpe", start=1)
    for name, factor in ((letter, 1000), (letter + "b", 1000), (letter + "i", 1024), (letter + "ib", 1024))
}
SIZE = re.compile(r"([0-9.,]+)\s*([A-Za-z]*)\s*")


def parse_bytes_number(text: str) -> int:
    """Bytes in a human-readable size ("10GB", "1.5 GiB", "4096")."""
    match = SIZE.fullmatch(text.rstrip()) if len(text) < 64 else None
    factor = SIZE_UNITS.get(match[2].lower()) if match else None
    try:
        number = float(match[1].replace(",", "")) if match and factor else math.nan
    except ValueError:
        number = math.nan
    if math.isnan(number) or factor is None or number * factor >= 2**64:
        raise ConfigError('must be a size such as "10GB" or "512MiB"')
    return int(number * factor)


def parse_bytesize(node: Scalar, kind: str, minor: int) -> str:
    """A size, kept as written; it may be negative from 1.13 on."""
    if node.text:
        parse_bytes_number(node.text.removeprefix("-") if minor >= 13 else node.text)
    return node.text


NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")


def parse_size(node: Scalar, kind: str, minor: int) -> dict[str, str]:
    """A size or (from 1.12 on) a percentage, in the slot it fills: {"bytes": text} or {"percent": text}."""
    if "%" not in node.text or minor <= 11:
        return {"bytes": parse_bytesize(node, kind, minor)} if node.text else {}
    digits = node.text.removesuffix("%")
    number = digits.removeprefix("-" if minor >= 13 else "")
    if digits == node.text or len(number) > 64 or not NUMBER.fullmatch(number) or not 0 <= float(number) <= 100:
        raise ConfigError('must be a size such as "10GB" or a percentage up to "100%"')
    return {"percent": node.text}


def parse_disksize(node: Scalar, kind: str, minor: int) -> int:
    """Bytes of a partition."""
    return parse_bytes_number(node.text)


def format_disksize(value: int) -> str | int:
    """Human-readable where that loses nothing."""
    if value % 1000 == 0 and value >= 1000:
        power = min((len(str(value)) - 1) // 3, 6)
        scaled = value / 1000**power
        text = f"{scaled:.1f}" if scaled < 10 else f"{scaled:.0f}"
        text = f"{text} " + "kMGTPE"[power - 1] + "B"
        if parse_bytes_number(text) == value:
            return text
    return value


SIZE_CONDITION = re.compile(r"(>=|<=|>|<|==)?\s*(.*)")


def parse_sizecondition(node: Scalar, kind: str, minor: int) -> str:
    """A disk size condition (">= 1TB"), kept as written."""
    text = node.text.strip()
    match = SIZE_CONDITION.fullmatch(text)
    parse_bytes_number(match[2] if match else "")
    return text


# ---- network ----------------------------------------------------------------------------------------------------------------------


def _address(text: str) -> str:
    bare, percent, zone = text.partition("%")
    if percent and not zone:
        raise ValueError(text)
    if any(part != "0" and part.startswith("0") for part in bare.split(".")) and ":" not in bare:
        raise ValueError(bare)
    address = ipaddress.ip_address(bare)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (f"::ffff:{mapped}" if mapped else str(address)) + (f"%{zone}" if zone else "")


def parse_addr(node: Scalar, kind: str, minor: int) -> str:
    """An IP address in canonical form."""
    if not node.text:
        return ""
    try:
        return _address(node.text)
    except ValueError:
        raise ConfigError("must be an IP address") from None


def parse_prefix(node: Scalar, kind: str, minor: int) -> str:
    """An address with prefix length in canonical form (host bits kept)."""
    if not node.text:
        return ""
    address, slash, bits = node.text.rpartition("/")
    try:
        canonical = _address(address)
        limit = 128 if ":" in canonical else 32
        if not slash or "%" in address or not bits.isdecimal() or bits != str(int(bits)) or int(bits) > limit:
            raise ValueError(bits)
    except ValueError:
        raise ConfigError('must be an address with a prefix length such as "10.0.0.0/24"') from None
    return f"{canonical}/{bits}"


def parse_addrport(node: Scalar, kind: str, minor: int) -> str:
    """An address with a port in canonical form."""
    if not node.text:
        return ""
    host, _colon, port = node.text.rpartition(":")
    six = host.startswith("[") and host.endswith("]")
    try:
        canonical = _address(host[1:-1] if six else host)
        if six != (":" in canonical) or not port.isdecimal() or int(port) > 65535:
            raise ValueError(port)
    except ValueError:
        raise ConfigError('must be an address with a port such as "10.0.0.1:51820"') from None
    return f"[{canonical}]:{int(port)}" if six else f"{canonical}:{int(port)}"


def parse_hwaddr(node: Scalar, kind: str, minor: int) -> str:
    """A hardware address (or any bytes written that way), lower case with colons."""
    digits = node.text.lower().replace(":", "")
    if len(digits) % 2 or not all(digit in "0123456789abcdef" for digit in digits):
        raise ConfigError('must be a hardware address such as "00:1a:2b:3c:4d:5e"')
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))


def parse_portrange(node: Scalar, kind: str, minor: int) -> str:
    """A port or a range of ports: "80" or "80-90"."""
    try:
        ports = [str(parse_int(node, "uint16", minor))]
    except ConfigError:
        ports = node.text.split("-")
        if len(ports) != 2 or not all(port.isascii() and port.isdecimal() and int(port[:9]) <= 65535 for port in ports):
            raise ConfigError('must be a port or a range of ports such as "80-90"') from None
    low, high = int(ports[0]), int(ports[-1])
    return str(low) if low == high else f"{low}-{high}"


def parse_url(node: Scalar, kind: str, minor: int) -> str:
    """A URL as Go prints it after reading it."""
    return urls.canonical(parse_string(node, kind, minor))


# ---- texts ------------------------------------------------------------------------------------------------------------------------


def parse_string(node: Scalar, kind: str, minor: int) -> str:
    """Any scalar, its source text kept."""
    if is_time(node, minor):
        raise ConfigError("a time such as 2024-01-01 must be quoted where a text is wanted")
    return node.text


def parse_cel(node: Scalar, kind: str, minor: int) -> str:
    """An expression, kept as written."""
    return node.text


def parse_base64(node: Scalar, kind: str, minor: int) -> str:
    """Standard base64 (line breaks ignored) in canonical form; as a key the redaction mark is kept."""
    bare = node.text.replace("\r", "").replace("\n", "")
    if bare == REDACTED and kind == "key":
        return bare
    try:
        return base64.b64encode(base64.b64decode(bare.encode(), validate=True)).decode()
    except (binascii.Error, ValueError):
        raise ConfigError("must be base64") from None


# Values of the enumerations in Go's order: the first is zero unless ZERO says otherwise.
ENUMS: dict[str, tuple[str, ...]] = {
    "ADSelect": ("stable", "bandwidth", "count"),
    "ADLACPActive": ("off", "on"),
    "ARPAllTargets": ("any", "all"),
    "ARPValidate": ("none", "active", "backup", "all", "filter", "filter-active", "filter-backup"),
    "AutoHostnameKind": ("off", "talos-addr", "stable"),
    "BondMode": ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"),
    "BondXmitHashPolicy": ("layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"),
    "ClientIdentifier": ("none", "mac", "duid"),
    "DefaultAction": ("accept", "block"),
    "DNSProtocol": ("Do53", "DoT", "DoH"),
    "EncryptionProviderType": ("none", "luks2"),
    "FailOverMAC": ("none", "active", "follow"),
    "FilesystemType": ("none", "xfs", "vfat", "ext4", "iso9660", "swap", "swapi", "virtiofs", "btrfs"),
    "LACPRate": ("slow", "fast"),
    "LVMLogicalVolumeType": ("linear", "raid1", "raid0", "raid10"),
    "MDLevel": ("raid1",),
    "MDMetadata": ("1.0", "1.2"),
    "PrimaryReselect": ("always", "better", "failure"),
    "Protocol": ("", "icmp", "tcp", "udp", "icmpv6"),
    "RoutingRuleAction": ("unspec", "unicast", "blackhole", "unreachable", "prohibit"),
    "RoutingTable": ("unspec", *(str(table) for table in range(1, 253)), "default", "main", "local"),
    "VLANProtocol": ("", "802.1q", "802.1ad"),
    "VolumeType": ("partition", "disk", "tmpfs", "directory", "symlink", "overlay", "external"),
    "WOLMode": ("", "phy", "unicast", "multicast", "broadcast", "magic", "magicsecure", "filter"),
}


# Words that came or went with a release. (Swap was misspelt in 1.13.)
ENUM_SINCE = {
    ("FilesystemType", "swap"): 11,
    ("FilesystemType", "virtiofs"): 13,
    ("FilesystemType", "btrfs"): 14,
    ("FilesystemType", "swapi"): 13,
    ("VolumeType", "external"): 13,
}
ENUM_UNTIL = {("FilesystemType", "swap"): 12}

DISK_TYPES = ("nvme", "sd", "hdd", "ssd")


def parse_disktype(node: Scalar, kind: str, minor: int) -> str:
    """A disk type; up to 1.8 checked while loading, later only by validation."""
    if minor <= 8:
        if node.text.lower() not in DISK_TYPES:
            raise ConfigError(f"must be one of {', '.join(DISK_TYPES)}")
        return node.text.lower()
    return parse_string(node, kind, minor)


# The first release that takes the words of most enumerations in any case.
ANY_CASE_SINCE = 7


def parse_enum(node: Scalar, kind: str, minor: int) -> str:
    """A word of an enumeration, in its own spelling."""
    name = kind.removeprefix("enum:")
    words = [word for word in ENUMS[name] if ENUM_SINCE.get((name, word), 0) <= minor <= ENUM_UNTIL.get((name, word), minor)]
    exact = minor < ANY_CASE_SINCE or name == "FailOverMAC"
    for word in words:
        if word and (node.text == word if exact else node.text.lower() == word.lower()):
            return word
    if name == "FailOverMAC" and (node.text == "" or (node.text.isdecimal() and int(node.text[:9]) < len(words))):
        return words[int(node.text[:9] or "0")]
    listed = ", ".join(words[:12]) if len(words) < 20 else "a number or one of main, local, default"
    raise ConfigError(f"must be one of {listed.removeprefix(', ')}")


PARSERS: dict[str, t.Callable[[Scalar, str, int], t.Any]] = {
    "string": parse_string,
    "cel": parse_cel,
    "disktype": parse_disktype,
    "bool": parse_bool,
    "duration": parse_duration,
    "bytesize": parse_bytesize,
    "size": parse_size,
    "disksize": parse_disksize,
    "sizecondition": parse_sizecondition,
    "addr": parse_addr,
    "prefix": parse_prefix,
    "addrport": parse_addrport,
    "hwaddr": parse_hwaddr,
    "portrange": parse_portrange,
    "url": parse_url,
    "bytes": parse_base64,
    "key": parse_base64,
    **dict.fromkeys(INT_RANGES, parse_int),
}


def parse(node: Scalar, kind: str, minor: int) -> t.Any:
    """A scalar of a table type, for Talos 1.<minor>. Raises ConfigError with what it must be (not what it is: it may be a secret)."""
    return PARSERS.get(kind, parse_enum)(node, kind, minor)


def format_(value: t.Any, kind: str) -> t.Any:
    """A typed value as printed: str, Plain, bool, int or None."""
    if kind == "duration":
        return format_duration(value)
    if kind == "filemode":
        return Plain(f"0o{value:o}")
    if kind == "size":
        return value.get("bytes", value.get("percent"))
    if kind == "disksize":
        return format_disksize(value)
    if kind == "portrange" and value.isdecimal():
        return int(value)
    return value


def zero_word(kind: str) -> str:
    """The enumeration word that is Go's zero value, "" where it has none."""
    return ENUMS[kind.removeprefix("enum:")][0]
