# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Decoded configs to YAML in the layout of Talos' own encoder: fields in table order, maps in natural order, four-column steps."""

from __future__ import annotations

import functools
import math
import re
import typing as t

from . import scalars
from .documents import Config
from .scalars import OLD_BOOLS, Plain, Timestamp
from .table import Field

ARGUMENTS_SINCE = 13
DECIDING_SINCE = 12
SINGLE_QUOTES_SINCE = 14


class Argument(str):
    """A text that Talos prints without the quotes which YAML 1.1's words (yes, off, 1:30) otherwise get."""


# ---- decoded values to what is printed ------------------------------------------------------------------------------------------------


def tree(value: t.Any, field: Field, minor: int) -> t.Any:
    """A decoded value as ordered plain data, as Talos 1.<minor> prints it: dicts, lists, str, Plain, bool, int, float, None."""
    if value is None:
        return None
    if field.kind == "struct":
        return _struct_tree(value, field, minor)
    if field.kind == "list":
        item = t.cast(Field, field.item)
        return [tree(entry, item, minor) for entry in value]
    if field.kind == "map":
        item = t.cast(Field, field.item)
        return {key: tree(value[key], item, minor) for key in sorted(value, key=natural)}
    if field.kind == "unstructured":
        return untyped_tree(value)
    if field.kind == "arg" and minor >= ARGUMENTS_SINCE:
        return [Argument(item) for item in value] if isinstance(value, list) else Argument(value) if value else None
    if field.kind.startswith("x509"):
        return dict(value)
    return scalars.format_(value, field.kind)


def _struct_tree(value: dict[str, t.Any], field: Field, minor: int) -> dict[str, t.Any]:
    result: dict[str, t.Any] = {}
    for name, child in field.fields.items():
        entry = value.get(name)
        if not is_blank(entry, child, minor):
            result[name] = tree(entry, child, minor)
        elif child.printed_until >= minor:
            result[name] = blank(child, minor)
    return result


def is_blank(value: t.Any, field: Field, minor: int) -> bool:
    """Whether Go's encoder sees a zero value: absent, or by value and empty."""
    if value is None:
        return True
    if field.pointer:
        return False
    if field.kind == "struct":
        return all(
            is_blank(entry, field.fields[name], minor)
            for name, entry in value.items()
            if minor < DECIDING_SINCE or not field.deciding or name in field.deciding
        )
    if field.kind.startswith("enum:"):
        return not value or value == scalars.zero_word(field.kind)
    return not value and minor < field.empty_since


BLANKS: dict[str, t.Any] = {"list": [], "map": {}, "unstructured": {}, "bool": False, "duration": "0s", "filemode": Plain("0o0")}


def blank(field: Field, minor: int) -> t.Any:
    """What is printed for an unset field that is always printed."""
    if field.pointer:
        return None
    if field.kind == "struct":
        return _struct_tree({}, field, minor)
    if field.kind.startswith("enum:"):
        return scalars.zero_word(field.kind) or f"{field.kind.partition(':')[2]}(0)"
    if field.kind in scalars.INT_RANGES and field.kind != "filemode":
        return 0
    return BLANKS.get(field.kind, "")


def untyped_tree(value: t.Any) -> t.Any:
    """Untyped data with its keys in natural order."""
    if isinstance(value, dict):
        return {key: untyped_tree(value[key]) for key in sorted(value, key=natural)}
    if isinstance(value, list):
        return [untyped_tree(item) for item in value]
    return value


# ---- natural order ------------------------------------------------------------------------------------------------------------------


def _number(text: str, start: int, prefix: int) -> tuple[int, int]:
    """The number whose digits begin at start, after prefix, in 64 bits as in Go; and where it ends."""
    number, end = prefix, start
    while end < len(text) and text[end].isdecimal():
        number = (number * 10 + ord(text[end]) - ord("0") + 2**63) % 2**64 - 2**63
        end += 1
    return number, end


def _compare(left: str, right: str) -> int:
    """go-yaml's key order: letters by code point, runs of digits by number, letters after other signs."""
    index = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), None)
    if index is None:
        return len(left) - len(right)
    a, b = left[index], right[index]
    if a.isalpha() and b.isalpha():
        return -1 if a < b else 1
    if a.isalpha() or b.isalpha():
        after_digit = index > 0 and left[index - 1].isdecimal()
        return -1 if (a.isalpha() if after_digit else b.isalpha()) else 1
    prefix = 0
    if "0" in (a, b):
        digits = re.search(r"\d*$", left[:index])
        prefix = 1 if digits and digits[0].strip("0") else 0
    first, first_end = _number(left, index, prefix)
    second, second_end = _number(right, index, prefix)
    for x, y in ((first, second), (first_end, second_end), (ord(a), ord(b))):
        if x != y:
            return -1 if x < y else 1
    return 0


natural = functools.cmp_to_key(_compare)


# ---- printing -----------------------------------------------------------------------------------------------------------------------

SIMPLE = re.compile(r"[A-Za-z/][A-Za-z0-9_./@+=-]*(?:[: ][A-Za-z0-9_./@+=-]+)*")
WORDS = frozenset({*OLD_BOOLS, *scalars.BOOLS, "null", "Null", "NULL", "~", "<<"})
BASE60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
NOT_FIRST = frozenset("#,[]{}&*!|>'\"%@`")
UNPRINTABLE = re.compile("[^\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@functools.lru_cache(maxsize=4096)
def scalar(text: str, single: bool = False) -> str:
    """A one-line string as YAML: plain where it stays a string, else quoted; single: YAML 1.1's words in single quotes."""
    if SIMPLE.fullmatch(text) and text not in WORDS:
        return text
    if UNPRINTABLE.search(text) or "\n" in text:
        return _double(text)
    if single and (text in OLD_BOOLS or text == "<<" or BASE60.fullmatch(text)):
        return f"'{text}'"
    if not text or text in WORDS or BASE60.fullmatch(text) or not _is_string(text):
        return _double(text)
    return text if _plain_allowed(text) else "'" + text.replace("'", "''") + "'"


def _is_string(text: str) -> bool:
    value = scalars.resolve_plain(text)
    return isinstance(value, str) and not isinstance(value, Timestamp)


def _plain_allowed(text: str) -> bool:
    if text[0] in NOT_FIRST or text != text.strip(" ") or text.startswith(("---", "...")):
        return False
    if text[0] in "-?:" and (len(text) == 1 or text[1] == " "):
        return False
    return ": " not in text and " #" not in text and not text.endswith(":")


ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0", "\x1b": "\\e", "\a": "\\a", "\b": "\\b"}
ESCAPES |= {"\v": "\\v", "\f": "\\f", "\x85": "\\N", "\xa0": "\\_", "\u2028": "\\L", "\u2029": "\\P"}


def _double(text: str) -> str:
    return '"' + "".join(_escape(char) for char in text) + '"'


def _escape(char: str) -> str:
    if char in ESCAPES:
        return ESCAPES[char]
    if not UNPRINTABLE.match(char):
        return char
    code = ord(char)
    return f"\\x{code:02X}" if code < 256 else f"\\u{code:04X}" if code < 65536 else f"\\U{code:08X}"


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    digits = repr(value)
    if "e" in digits:
        mantissa, _e, exponent = digits.partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent):+03d}"
    if value.is_integer() and abs(value) >= 1e21:
        return f"{value:g}"
    return digits.removesuffix(".0")


def inline(value: t.Any, single: bool = False) -> str:
    """A scalar or empty collection on one line; single as for scalar()."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (Plain, Timestamp)):
        return str.__str__(value)
    if isinstance(value, Argument) and (value in OLD_BOOLS or BASE60.fullmatch(value)):
        return str.__str__(value)
    if isinstance(value, str):
        return scalar(str.__str__(value), single)
    if isinstance(value, float):
        return _float(value)
    return str(value) if isinstance(value, int) else "[]" if isinstance(value, list) else "{}"


def _literal_allowed(text: str) -> bool:
    return "\n" in text and not UNPRINTABLE.search(text.replace("\t", " ")) and " \n" not in text and not text.endswith(" ") and text.strip("\n") != ""


WIDTH = 80


def _folded(start: str, written: str, feed: str) -> str:
    """A written scalar with a line feed for single spaces (in double quotes for the first of several) past the width."""
    quote = written[0] if written[0] in "'\"" else ""
    first, last = (1, len(written) - 2) if quote else (-1, len(written))
    result, column, before = [], len(start), ""
    for index, char in enumerate(written):
        after = written[index + 1 : index + 2]
        if char == " " and before != " " and column > WIDTH and first < index < last and (quote == '"' or after != " "):
            result.append(feed + ("\\" if after == " " else ""))
            column = len(feed) - 1 + (after == " ")
        else:
            result.append(char)
            column += 1
        before = char
    return "".join(result)


class _Printer:
    """Prints one document; step is the indentation width; single as for scalar()."""

    def __init__(self, step: int = 4, flat_lists: bool = False, single: bool = False) -> None:
        self.single = single
        self.step = step
        self.flat_lists = flat_lists
        self.lines: list[str] = []

    def below(self, column: int) -> int:
        return self.step * ((column + self.step) // self.step)

    def mapping(self, value: dict[str, t.Any], column: int, lead: str = "") -> None:
        """A block mapping at column; lead replaces the first line's indentation ("- " of a list item)."""
        for key, entry in value.items():
            start = lead or " " * column
            self.entry(f"{start}{scalar(key, self.single)}:", entry, column)
            lead = ""

    def entry(self, start: str, value: t.Any, column: int) -> None:
        if isinstance(value, dict) and value:
            self.lines.append(start)
            self.mapping(value, self.below(column))
        elif isinstance(value, list) and value:
            self.lines.append(start)
            self.sequence(value, column if self.flat_lists else self.below(column))
        elif type(value) in (str, Argument) and _literal_allowed(value):
            self.literal(f"{start} ", value, self.below(column))
        else:
            self.line(f"{start} ", inline(value, self.single), column)

    def line(self, start: str, written: str, column: int) -> None:
        """A scalar in its own words; the printer of JSON patches breaks long ones at a space."""
        if self.flat_lists and len(start) + len(written) > WIDTH:
            written = _folded(start, written, f"\n{' ' * (column + self.step)}")
        self.lines.append(start + written)

    def sequence(self, value: list[t.Any], column: int, lead: str = "") -> None:
        for item in value:
            start = (lead or " " * column) + "- "
            if isinstance(item, dict) and item:
                self.mapping(item, column + 2, start)
            elif isinstance(item, list) and item:
                self.sequence(item, column + 2, start)
            elif type(item) in (str, Argument) and _literal_allowed(item):
                self.literal(start, item, column + 2)
            else:
                self.line(start, inline(item, self.single), column)
            lead = ""

    def literal(self, start: str, text: str, column: int) -> None:
        chomp = "" if not text.endswith("\n") else "+" if text.endswith("\n\n") else None
        mark = "-" if chomp == "" else chomp or ""
        hint = str(self.step) if text[0] in " \n" else ""
        self.lines.append(f"{start}|{hint}{mark}")
        body = text[:-1] if text.endswith("\n") else text
        self.lines.extend(" " * column + line if line else "" for line in body.split("\n"))


def text(value: t.Any, step: int = 4, flat_lists: bool = False) -> str:
    """Plain data as one YAML document; flat_lists puts a list's dashes under its key's first letter."""
    printer = _Printer(step, flat_lists)
    if isinstance(value, dict) and value:
        printer.mapping(value, 0)
    elif isinstance(value, list) and value:
        printer.sequence(value, 0)
    else:
        printer.lines.append(inline(value))
    return "\n".join(printer.lines) + "\n"


View = t.Callable[[t.Any, Field], t.Any]


class ConfigPrinter:
    """Prints configs as Talos does after a strategic merge. Parts that configs share (the same objects) are printed once.

    view is applied to each part before it is printed (to redact it).
    """

    DEPTH = 2

    def __init__(self, minor: int, view: View | None = None) -> None:
        self.minor = minor
        self.view = view
        self.parts: dict[tuple[int, str, int], tuple[t.Any, str]] = {}

    def config(self, value: Config) -> str:
        """A config's text."""
        return "---\n".join(self._members(document.value, document.kind.root, 0, self.DEPTH) for document in value.documents)

    def _members(self, value: dict[str, t.Any], field: Field, column: int, depth: int) -> str:
        shown = {name: child for name, child in field.fields.items() if child.printed_until >= self.minor or not is_blank(value.get(name), child, self.minor)}
        return "".join(self._member(name, value.get(name), child, column, depth) for name, child in shown.items())

    def _member(self, name: str, entry: t.Any, field: Field, column: int, depth: int) -> str:
        """A member's lines. Those of a collection are kept, and the collection with them, so that no other takes its id."""
        if not isinstance(entry, (dict, list)):
            return self._printed(name, entry, field, column, depth)
        known = self.parts.get((id(entry), name, column))
        if known is None:
            known = self.parts[(id(entry), name, column)] = (entry, self._printed(name, entry, field, column, depth))
        return known[1]

    def _printed(self, name: str, entry: t.Any, field: Field, column: int, depth: int) -> str:
        printer = _Printer(single=self.minor >= SINGLE_QUOTES_SINCE)
        start = f"{' ' * column}{name}:"
        if is_blank(entry, field, self.minor):
            printer.entry(start, blank(field, self.minor), column)
        elif depth and field.kind == "struct":
            below = self._members(entry, field, printer.below(column), depth - 1)
            printer.lines.append(f"{start}\n{below[:-1]}" if below else f"{start} {{}}")
        else:
            printer.entry(start, tree(self.view(entry, field) if self.view else entry, field, self.minor), column)
        return "\n".join(printer.lines) + "\n"


def config(value: Config, minor: int) -> str:
    """A config as Talos 1.<minor> prints it after a strategic merge."""
    return ConfigPrinter(minor).config(value)
