# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Expressions (CEL) in machine configs: what is wrong with one, as far as that shows without CEL's own library.

Talos keeps an expression as written, and parses and type-checks it when it validates the config. This does the same for the language's grammar,
the names Talos gives, the fields of its objects, the types of operators, and the type of the whole. What it does not know (calls of
methods, macros) has any type, so that nothing is refused that Talos takes.
"""

from __future__ import annotations

import functools
import re
import typing as t

from .yamltext import ConfigError

TOKEN = re.compile(
    r"""\s*(?:(?P<comment>//[^\n]*)
    | (?P<float>(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?))
    | (?P<uint>(?:0[xX][0-9a-fA-F]+|\d+)[uU])
    | (?P<int>0[xX][0-9a-fA-F]+|\d+)
    | (?P<text>(?:[rR][bB]?|[bB][rR]?)?(?:\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>\|\||&&|[<>=!]=|[-+*/%!?:.,(){}\[\]<>]))""",
    re.VERBOSE | re.DOTALL,
)
MAX_DEPTH = 50


def _words(text: str) -> list[str]:
    return text.split()


RESERVED = frozenset(_words("as break const continue else for function if import let loop package namespace return var void while"))

ANY, BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, LIST, MAP, DURATION, TIME, TYPE = [
    "dyn",
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "null_type",
    "list",
    "map",
    "duration",
    "timestamp",
    "type",
]
NUMBERS = (INT, UINT, DOUBLE)

# The fields of Talos' objects.
DISK = {
    **dict.fromkeys(_words("dev_path model serial modalias wwid uuid bus_path sub_system transport pretty_size firmware_version"), STRING),
    **dict.fromkeys(("readonly", "cdrom", "rotational"), BOOL),
    **dict.fromkeys(("size", "io_size", "sector_size"), UINT),
    **dict.fromkeys(("symlinks", "secondary_disks"), LIST),
}
VOLUME = {
    **dict.fromkeys(_words("name uuid label dev_path device_path parent type parent_dev_path partition_uuid partition_type partition_label"), STRING),
    **dict.fromkeys(_words("size sector_size io_size block_size filesystem_block_size probed_size partition_index offset"), UINT),
    "pretty_size": STRING,
}
LINK = {
    **dict.fromkeys(
        [
            "kind",
            "slave_kind",
            "driver",
            "driver_version",
            "firmware_version",
            "product_id",
            "vendor_id",
            "pciid",
            "vendor",
            "product",
            "bus_path",
            "alias",
            "queue_disc",
        ],
        STRING,
    ),
    **dict.fromkeys(["index", "type", "link_index", "flags", "mtu", "master_index"], UINT),
    **dict.fromkeys(("hardware_addr", "permanent_addr", "broadcast_addr"), BYTES),
    **dict.fromkeys(["speed_megabits", "operational_state", "port", "duplex"], INT),
    "link_state": BOOL,
    "alt_names": LIST,
    **dict.fromkeys(["vlan", "bridge_master", "bond_master", "wireguard", "vrf_master", "veth"], ANY),
}
OBJECTS = {"Disk": DISK, "Volume": VOLUME, "Link": LINK}
UNITS = dict.fromkeys(["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "kB", "MB", "GB", "TB", "PB", "EB"], UINT)
CLASSES = dict.fromkeys(["Besteffort", "Burstable", "Guaranteed", "Podruntime", "System"], INT)
PRESSURE = [f"memory_{kind}_{span}" for kind in ("some", "full") for span in ("avg10", "avg60", "avg300", "total")]
AMOUNTS = ["memory_current", "memory_peak", "memory_max"]

# What an expression may name, and the type it must have.
ENVIRONMENTS: dict[str, tuple[str, dict[str, str]]] = {
    "disk": (BOOL, {"disk": "Disk", "system_disk": BOOL, **UNITS}),
    "volume": (BOOL, {"volume": "Volume", "disk": "Disk", **UNITS}),
    "member": (BOOL, {"volume": "Volume", "disk": "Disk", "volume_id": STRING, "system_disk": BOOL, **UNITS}),
    "link": (BOOL, {"link": "Link"}),
    "trigger": (
        BOOL,
        {
            **{prefix + name: DOUBLE for prefix in ("", "d_") for name in PRESSURE},
            **{prefix + name: MAP for prefix in ("qos_", "d_qos_") for name in PRESSURE + AMOUNTS},
            "time_since_trigger": DURATION,
            **UNITS,
            **CLASSES,
        },
    ),
    "ranking": (DOUBLE, {**dict.fromkeys(AMOUNTS, ANY), "path": STRING, "class": INT, **UNITS, **CLASSES}),
}
FUNCTIONS = {
    "bool": BOOL,
    "bytes": BYTES,
    "double": DOUBLE,
    "duration": DURATION,
    "dyn": ANY,
    "glob": BOOL,
    "has": BOOL,
    "int": INT,
    "mac": STRING,
    "matches": BOOL,
    "multiply_qos_vectors": DOUBLE,
    "size": INT,
    "string": STRING,
    "timestamp": TIME,
    "type": TYPE,
    "uint": UINT,
}
TEXT_METHODS = frozenset(("contains", "endsWith", "startsWith", "matches"))
TIME_METHODS = _words("Date DayOfMonth DayOfWeek DayOfYear FullYear Hours Milliseconds Minutes Month Seconds")
METHODS = {
    **dict.fromkeys(TEXT_METHODS, BOOL),
    **dict.fromkeys(("all", "exists", "exists_one", "existsOne", "hasValue"), BOOL),
    **dict.fromkeys(("or", "orValue", "value"), ANY),
    **dict.fromkeys((f"get{name}" for name in TIME_METHODS), INT),
    "size": INT,
}
MACROS = frozenset(("all", "exists", "exists_one", "existsOne", "map", "filter", "optMap", "optFlatMap"))


@functools.lru_cache(maxsize=1024)
def problem(text: str, environment: str) -> str:
    """What is wrong with an expression of an environment, "" if nothing is seen."""
    wanted, names = ENVIRONMENTS[environment]
    try:
        found = _Parser(_tokens(text), names).whole()
    except ConfigError as error:
        return str(error)
    return "" if found in (wanted, ANY) else f"expression output type is {found.lower()}, expected {wanted}"


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            if not text[position:].strip():
                break
            raise ConfigError(f"Syntax error: token recognition error at column {position}")
        position = match.end()
        kind = t.cast(str, match.lastgroup)
        if kind != "comment":
            found.append((kind, match[kind]))
    return [*found, ("end", "<EOF>")]


class _Parser:
    """Reads an expression and gives its type."""

    def __init__(self, tokens: list[tuple[str, str]], names: t.Mapping[str, str]) -> None:
        self.tokens = tokens
        self.names = [names]
        self.position = 0
        self.depth = 0

    def peek(self) -> str:
        """The next token, "" for a literal (which is no sign)."""
        kind, text = self.tokens[self.position]
        return text if kind in ("sign", "end") or (kind == "name" and text == "in") else ""

    def take(self, *wanted: str) -> str:
        """The next token if it is one of the wanted, else ""."""
        if self.peek() in wanted:
            self.position += 1
            return self.tokens[self.position - 1][1]
        return ""

    def expect(self, wanted: str) -> None:
        if not self.take(wanted):
            raise ConfigError(f"Syntax error: unexpected '{self.tokens[self.position][1][:40]}' expecting '{wanted}'")

    def whole(self) -> str:
        found = self.expression()
        if self.tokens[self.position][0] != "end":
            raise ConfigError(f"Syntax error: extraneous input '{self.tokens[self.position][1][:40]}' expecting <EOF>")
        return found

    def expression(self) -> str:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ConfigError("Syntax error: nested too deep")
        found = self.binary(0)
        if self.take("?"):
            _want(found, BOOL, "_?_:_")
            one = self.binary(0)
            self.expect(":")
            two = self.expression()
            if ANY not in (one, two) and one != two:
                raise ConfigError(f"found no matching overload for '_?_:_' applied to '(bool, {one.lower()}, {two.lower()})'")
            found = one if two == ANY else two
        self.depth -= 1
        return found

    LEVELS = (("||",), ("&&",), ("<", "<=", ">=", ">", "==", "!=", "in"), ("+", "-"), ("*", "/", "%"))

    def binary(self, level: int) -> str:
        """Operators of one level and all that bind closer."""
        if level == len(self.LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while sign := self.take(*self.LEVELS[level]):
            left = _operator(sign, left, self.binary(level + 1))
        return left

    def unary(self) -> str:
        sign, odd = self.take("!", "-"), True
        while sign and self.take(sign):
            odd = not odd
        found = self.member()
        # A sign twice is none, whatever it stands before.
        if sign == "!" and odd:
            _want(found, BOOL, "!_")
        if sign == "-" and odd and found not in (ANY, INT, DOUBLE, DURATION):
            raise ConfigError(f"found no matching overload for '-_' applied to '({found.lower()})'")
        return found

    def member(self) -> str:
        found = self.primary()
        while sign := self.take(".", "["):
            if sign == "[":
                self.take("?")
                self.expression()
                self.expect("]")
                found = DOUBLE if found == MAP else ANY
                continue
            self.take("?")
            kind, name = self.tokens[self.position]
            if kind != "name":
                raise ConfigError(f"Syntax error: no viable alternative at input '.{name[:40]}'")
            self.position += 1
            found = self.call(found, name) if self.take("(") else _field(found, name)
        return found

    def call(self, found: str, name: str) -> str:
        """The arguments of a method; the first of a macro names a variable of its own."""
        if name not in METHODS and name not in MACROS:
            raise ConfigError(f"undeclared reference to '{name[:40]}' (in container '')")
        if name in TEXT_METHODS and found not in (STRING, ANY):
            raise ConfigError(f"found no matching overload for '{name}' applied to '{found.lower()}.()'")
        bound: dict[str, str] = {}
        if name in MACROS and self.tokens[self.position][0] == "name":
            bound = {self.tokens[self.position][1]: ANY}
        self.names.append({**self.names[-1], **bound})
        self.arguments(")")
        self.names.pop()
        return METHODS.get(name, ANY)

    def arguments(self, end: str) -> list[str]:
        found: list[str] = []
        while not self.take(end):
            if found:
                self.expect(",")
                if self.take(end):
                    break
            found.append(self.expression())
        return found

    def primary(self) -> str:
        kind, text = self.tokens[self.position]
        self.position += 1
        if kind in ("float", "uint", "int"):
            return {"float": DOUBLE, "uint": UINT, "int": INT}[kind]
        if kind == "text":
            return BYTES if "b" in re.split("['\"]", text, maxsplit=1)[0].lower() else STRING
        if kind == "name":
            return self.name(text)
        if text == "(":
            found = self.expression()
            self.expect(")")
            return found
        if text == "[":
            self.arguments("]")
            return LIST
        if text == "{":
            return self.mapping()
        if text == ".":
            return self.name(self.word())
        raise ConfigError(f"Syntax error: mismatched input '{text[:40]}'")

    def word(self) -> str:
        kind, text = self.tokens[self.position]
        if kind != "name":
            raise ConfigError(f"Syntax error: mismatched input '{text[:40]}' expecting IDENTIFIER")
        self.position += 1
        return text

    def mapping(self) -> str:
        while not self.take("}"):
            self.take("?")
            self.expression()
            self.expect(":")
            self.expression()
            if not self.take(","):
                self.expect("}")
                break
        return MAP

    def name(self, text: str) -> str:
        if text in ("true", "false", "null"):
            return NULL if text == "null" else BOOL
        if text in RESERVED or text == "in":
            raise ConfigError(f"Syntax error: mismatched input '{text}': a reserved word")
        if self.take("("):
            self.arguments(")")
            if text not in FUNCTIONS:
                raise ConfigError(f"undeclared reference to '{text[:40]}' (in container '')")
            return FUNCTIONS[text]
        if text in self.names[-1]:
            return self.names[-1][text]
        if text in FUNCTIONS or text in (LIST, MAP, "optional", "google"):
            return ANY
        raise ConfigError(f"undeclared reference to '{text[:40]}' (in container '')")


def _field(found: str, name: str) -> str:
    fields = OBJECTS.get(found)
    if fields is None:
        if found in (BOOL, STRING, BYTES, *NUMBERS):
            raise ConfigError(f"type '{found}' does not support field selection")
        return ANY
    if name not in fields:
        raise ConfigError(f"undefined field '{name[:40]}'")
    return fields[name]


def _want(found: str, wanted: str, name: str) -> None:
    if found not in (wanted, ANY):
        raise ConfigError(f"found no matching overload for '{name}' applied to '({found.lower()})'")


SUMS = {"+": (*NUMBERS, STRING, BYTES, LIST, DURATION), "-": (*NUMBERS, DURATION), "*": NUMBERS, "/": NUMBERS, "%": (INT, UINT)}
ORDERED = (BOOL, STRING, BYTES, DURATION, TIME, *NUMBERS)


def _operator(sign: str, left: str, right: str) -> str:
    """The type of two operands with an operator between them. Numbers of different types compare, but do not add up."""
    pair = (left, right)
    if sign in ("||", "&&"):
        good, result = all(kind in (BOOL, ANY) for kind in pair), BOOL
    elif sign == "in":
        good, result = right in (LIST, MAP, ANY), BOOL
    elif sign in ("==", "!="):
        good, result = ANY in pair or NULL in pair or left == right, BOOL
    elif sign in ("<", "<=", ">", ">="):
        good, result = ANY in pair or (left in ORDERED and left == right) or (left in NUMBERS and right in NUMBERS) or pair == (NULL, NULL), BOOL
    else:
        good, result = ANY in pair or TIME in pair or (left == right and left in SUMS[sign]), ANY if TIME in pair or ANY in pair else left
    if not good:
        raise ConfigError(f"found no matching overload for '_{sign}_' applied to '({left.lower()}, {right.lower()})'")
    return result
