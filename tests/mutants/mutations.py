# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be disabled in a module, found in the module itself: its conditions, and the entries of its tables.

A mutation changes the running process, so it belongs into a forked child. So does what watches which of them would change anything.
"""

from __future__ import annotations

import ast
import collections
import dataclasses
import functools
import gc
import inspect
import sys
import types
import typing as t


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One rule less: what it is called, what disables it in this process, and the marks of which a test that may notice leaves one while it is watched."""

    name: str
    apply: t.Callable[[], None]
    marks: frozenset[str]


Note = t.Callable[[str], None]


@functools.cache
def source(module: types.ModuleType) -> str:
    """The text of a module, read once: the file may change while mutants run."""
    return inspect.getsource(module)


@functools.cache
def functions(module: types.ModuleType) -> list[types.FunctionType]:
    """The functions that a module made, those in closures too. (Found once: objects that are frozen for a fork are no longer found.)"""
    return [thing for thing in gc.get_objects() if isinstance(thing, types.FunctionType) and thing.__module__ == module.__name__]


@functools.cache
def _caches(module: types.ModuleType) -> list[t.Any]:
    return [thing for thing in gc.get_objects() if isinstance(thing, functools._lru_cache_wrapper) and thing.__module__ == module.__name__]


def forget(modules: t.Iterable[types.ModuleType]) -> None:
    """Empty the caches of the modules' functions."""
    for module in modules:
        for cache in _caches(module):
            cache.cache_clear()


def short(module: types.ModuleType) -> str:
    """A module's last name."""
    return module.__name__.rpartition(".")[2]


# ---- conditions -----------------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Spot:
    """A condition, or a part of one, in the function where; held by a node's attribute (a list: at index). It stops to count when it is always truth."""

    where: str
    what: str
    holder: ast.AST
    attribute: str
    index: int | None
    truth: bool
    part: bool = False


def conditions(module: types.ModuleType, parts: bool) -> t.Iterator[Mutation]:
    """A mutation for every if that never applies and every filter that lets all pass; with parts also for each part of an "and" or "or" that does not count."""
    seen: collections.Counter[str] = collections.Counter()
    for number, spot in enumerate(_spots(ast.parse(source(module)))):
        if parts or not spot.part:
            name = f"{short(module)}.{spot.where}: {spot.what}"
            seen[name] += 1
            marks = frozenset((_mark(module, number),))
            yield Mutation(name if seen[name] == 1 else f"{name} ({seen[name]})", functools.partial(_disable, module, number), marks)


def _mark(module: types.ModuleType, number: int) -> str:
    return f"{short(module)}#{number}"


def _spots(tree: ast.Module) -> t.Iterator[Spot]:
    for where, function in _functions(tree, ""):
        for node in _own_nodes(function):
            if isinstance(node, (ast.If, ast.IfExp)):
                yield Spot(where, f"if {ast.unparse(node.test)}", node, "test", None, False)
            elif isinstance(node, ast.comprehension):
                yield from (Spot(where, f"filter {ast.unparse(test)}", node, "ifs", index, True) for index, test in enumerate(node.ifs))
            elif isinstance(node, ast.BoolOp) and not _gives_a_default(node):
                word = "and" if isinstance(node.op, ast.And) else "or"
                yield from (Spot(where, f"{word} {ast.unparse(part)}", node, "values", i, word == "and", True) for i, part in enumerate(node.values))


def _functions(tree: ast.AST, prefix: str) -> t.Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            if isinstance(node, ast.FunctionDef):
                yield prefix + node.name, node
            yield from _functions(node, f"{prefix}{node.name}.")


def _own_nodes(function: ast.AST) -> t.Iterator[ast.AST]:
    """The nodes of a function without those of functions in it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node
            yield from _own_nodes(node)


def _gives_a_default(node: ast.BoolOp) -> bool:
    """`x or {}`, `x or y` for a value rather than a truth: a literal, a name or a call comes last, not a comparison."""
    return isinstance(node.op, ast.Or) and not any(isinstance(part, (ast.Compare, ast.UnaryOp, ast.BoolOp)) for part in node.values)


def _disable(module: types.ModuleType, number: int) -> None:
    """Give the functions of a module the code they would have without one condition."""
    tree = ast.parse(source(module))
    spot = list(_spots(tree))[number]
    # The old expression is still evaluated, so that the function keeps its variables.
    _exchange(spot, lambda old: ast.BoolOp(ast.Or() if spot.truth else ast.And(), [old, ast.Constant(spot.truth)]))
    _swap(module, tree)


def _exchange(spot: Spot, new: t.Callable[[ast.expr], ast.expr]) -> None:
    held = getattr(spot.holder, spot.attribute)
    if spot.index is None:
        setattr(spot.holder, spot.attribute, new(held))
    else:
        held[spot.index] = new(held[spot.index])


def _swap(module: types.ModuleType, tree: ast.Module) -> None:
    new = _placed(_compiled(ast.fix_missing_locations(tree)))
    codes = {old: new[place] for place, old in _placed(_compiled(source(module))).items() if place in new}
    for function in functions(module):
        function.__code__ = codes.get(function.__code__, function.__code__)
    forget([module])


def watch(module: types.ModuleType, note: Note) -> None:
    """From now on a module notes the functions that run, and the conditions that come out otherwise than they would with their mutant."""

    def judged(mark: str, truth: bool, value: t.Any) -> t.Any:
        if bool(value) is not truth:
            note(mark)
        return value

    tree = ast.parse(source(module))
    for number, spot in enumerate(list(_spots(tree))):
        words = [ast.Constant(_mark(module, number)), ast.Constant(spot.truth)]
        _exchange(spot, lambda old, words=words: ast.Call(ast.Name("_judged", ast.Load()), [*words, old], []))  # type: ignore[misc]
    for where, function in _functions(tree, ""):
        function.body.insert(0, ast.Expr(ast.Call(ast.Name("_note", ast.Load()), [ast.Constant(f"{short(module)}.{where}")], [])))
    vars(module).update(_judged=judged, _note=note)
    _swap(module, tree)


def _placed(code: types.CodeType) -> dict[tuple[str, int, int], types.CodeType]:
    """Codes by name, line, and which of those of the line."""
    seen: collections.Counter[tuple[str, int]] = collections.Counter()
    result: dict[tuple[str, int, int], types.CodeType] = {}
    for each in _codes(code):
        name, line = each.co_name, each.co_firstlineno
        seen[name, line] += 1
        result[name, line, seen[name, line]] = each
    return result


def _compiled(source: str | ast.Module) -> types.CodeType:
    return compile(source, "<mutant>", "exec", dont_inherit=True)


def _codes(code: types.CodeType) -> t.Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _codes(constant)


# ---- tables ---------------------------------------------------------------------------------------------------------------------------

LONG = 40
Neutral = t.Mapping[str, t.Callable[..., t.Any]]


def tables(module: types.ModuleType, users: t.Iterable[types.ModuleType], neutral: t.Mapping[str, Neutral], neutral_only: bool = False) -> t.Iterator[Mutation]:
    """A mutation for every entry of the module's own tables (dicts, tuples and sets in capitals) that the users' functions use: the entry is gone.

    neutral says by table what stands in for its functions: words for it, and the function. Words in a dict's tuples go one by one.
    """
    for name, table in _own_tables(module):
        title = f"{short(module)}.{name}"
        using = frozenset(function for user in users for function in _using(user, name))
        if not using or (neutral_only and title not in neutral):
            continue
        changes = _replaced(title, table, neutral[title]) if title in neutral else ((words, changed, using) for words, changed in _shortened(table))
        for words, changed, marks in changes:
            yield Mutation(f"{title}{words}", functools.partial(rename, module, name, changed), marks)


def watch_tables(module: types.ModuleType, neutral: t.Mapping[str, Neutral], note: Note) -> None:
    """From now on the functions of a module's tables note that they run."""

    def watched(mark: str, function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        def noting(*args: t.Any) -> t.Any:
            note(mark)
            return function(*args)

        return noting

    for name, table in _own_tables(module):
        title = f"{short(module)}.{name}"
        if title in neutral:
            noted = [watched(title + entry, function) for entry, function in _entries(table)]
            rename(module, name, dict(zip(table, noted, strict=True)) if isinstance(table, dict) else tuple(noted))


def _own_tables(module: types.ModuleType) -> t.Iterator[tuple[str, t.Any]]:
    """The tables that the module's own statements make."""
    for node in ast.parse(source(module)).body:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []:
            value = vars(module).get(target.id) if isinstance(target, ast.Name) and target.id.isupper() else None
            if isinstance(value, (dict, tuple, frozenset)) and isinstance(target, ast.Name):
                yield target.id, value


def _using(module: types.ModuleType, name: str) -> t.Iterator[str]:
    """The functions of a module that use a name."""
    for where, function in _functions(ast.parse(source(module)), ""):
        if any(name in (getattr(node, "id", ""), getattr(node, "attr", "")) for node in ast.walk(function)):
            yield f"{short(module)}.{where}"


def _shortened(table: t.Any) -> t.Iterator[tuple[str, t.Any]]:
    if not isinstance(table, dict):
        for entry in sorted(table, key=str) if isinstance(table, frozenset) else table:
            yield f" without {entry!r}", type(table)(each for each in table if each is not entry)
        return
    for key, value in table.items():
        yield f"[{key!r}] is gone", {other: table[other] for other in table if other != key}
        for word in value if isinstance(value, tuple) and len(value) < LONG else ():
            yield f"[{key!r}] without {word!r}", {**table, key: tuple(each for each in value if each != word)}


def _replaced(title: str, table: t.Any, neutral: Neutral) -> t.Iterator[tuple[str, t.Any, frozenset[str]]]:
    """The table with one of its functions replaced; and the mark of that function."""
    for words, stand_in in neutral.items():
        for number, (entry, _function) in enumerate(_entries(table)):
            functions = [stand_in if number == other else function for other, (_entry, function) in enumerate(_entries(table))]
            changed = dict(zip(table, functions, strict=True)) if isinstance(table, dict) else tuple(functions)
            yield f"{entry} {words}", changed, frozenset((title + entry,))


def _entries(table: t.Any) -> list[tuple[str, t.Callable[..., t.Any]]]:
    """The functions of a table, each with what mutants call its place."""
    if isinstance(table, dict):
        return [(f"[{key!r}]", function) for key, function in table.items()]
    return [(f" with {function.__name__}", function) for function in table]


def rename(module: types.ModuleType, name: str, value: t.Any) -> None:
    """A new value for a module's name, wherever it was imported to."""
    old = vars(module)[name]
    for other in list(sys.modules.values()):
        if getattr(other, "__dict__", {}).get(name) is old:
            setattr(other, name, value)
