# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a refusal of Talos names, and whether a message of ours names it too.

Talos names things in these ways, each a rule below; a message of ours must name every one of them:

* unknown keys, as a YAML tree of them: the path of each;
* `line N: …` of a decoding error: the path of the value that begins on that line of the text refused (of the shape and words the error tells);
* up to 1.11, for types that read themselves, only the value: a path that has this value;
* a path itself: of a delete, of a JSON patch operation;
* Go's fields of a failed merge: the path they belong to;
* a document: its kind and name; a key that is there twice; a JSON patch's operation.
"""

from __future__ import annotations

import functools
import re
import typing as t

import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import table
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.table import Field
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.yamltext import KEY_SHOWN, NULLS

Path = tuple[t.Union[str, int], ...]

MASK = "(unprintable key)"
LOADER: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Name(t.NamedTuple):
    """One thing named: any of some paths (within: it or something below it), or a word as it stands; kind is the document's, if told."""

    paths: tuple[Path, ...] = ()
    word: str = ""
    within: bool = False
    kind: str | None = None


class Located(t.NamedTuple):
    """A value in a text: its document's kind, its path, its node."""

    kind: str
    path: Path
    node: yaml.Node


# ---- the values of a text -------------------------------------------------------------------------------------------------------------


def values(text: str) -> list[Located]:
    """Every value of a YAML text, in the order written; [] if it is not YAML."""
    try:
        documents = [node for node in yaml.compose_all(text, Loader=LOADER) if node is not None]
    except (yaml.YAMLError, ValueError):
        return []
    return [found for node in documents for found in _below(_kind(node), (), node)]


def _kind(node: yaml.Node) -> str:
    pairs = {key.value: value.value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    kind = pairs.get("kind", "")
    return kind if isinstance(kind, str) else ""


def _below(kind: str, path: Path, node: yaml.Node) -> t.Iterator[Located]:
    yield Located(kind, path, node)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _below(kind, (*path, str(key.value)), value)
    elif isinstance(node, yaml.SequenceNode):
        kept = 0
        for item in node.value:
            # Positions count what is left before: Talos takes the deletes out one by one.
            yield from _below(kind, (*path, kept), item)
            kept += not _deletes(item)


def _deletes(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and any((key.value, value.value) == ("$patch", "delete") for key, value in node.value)


# ---- what Talos names -----------------------------------------------------------------------------------------------------------------


def refusal(error: str, text: str, minor: int) -> list[Name]:
    """What an error of patching or loading names; text is the one that was refused."""
    error = error.replace("\r", "")
    if "unknown keys found during decoding" in error:
        return [*_documents(error), *_unknown(error, text, minor)]
    if "merge field" in error or "merge map key" in error:
        return _merge(error)
    if "patch" in error and ("path '" in error or "inner key in '" in error or "list item '" in error):
        return [Name(word=f"'{shown(path, '.')}'") for path in dict.fromkeys(re.findall(r"(?:path|key in|item) '([^']*)'", error))]
    if "found in sequence node for path " in error:
        return [Name(word=shown(error.rpartition("for path ")[2], "."))]
    if "rfc6902" in error or "Unexpected kind" in error:
        return _operation(error)
    located = values(text)
    lines = re.findall(r"line (\d+): ((?:cannot|mapping key|.*?)[^\n]*?)(?=\s*line \d+: |\n|$)", error.partition(" errors:")[2])
    if lines:
        return [*_documents(error), *(name for line, words in lines for name in _line(int(line), words, located))]
    return [*_documents(error), *_value(error, located)]


def _documents(error: str) -> list[Name]:
    """Documents by kind and name."""
    found = re.findall(r"(?:decoding document|duplicate document) v1alpha1/([A-Z]\w+)/", error)
    found += re.findall(r"error decoding ([A-Z]\w+) to ", error)
    found += re.findall(r'"([^"]+)" "[^"]*": not registered', error)
    found += re.findall(r"duplicate document /(v1alpha1)/", error)
    found += [word for pair in re.findall(r"(?:duplicate document:|documents:) (\S+)(?: and (\S+))?", error) for word in pair if word]
    return [Name(word=shown(word.rstrip("/"), "/")) for word in dict.fromkeys(found) if word.rstrip("/")]


def _line(line: int, words: str, located: list[Located]) -> list[Name]:
    """The value that begins on a line."""
    twice = re.match(r'mapping key "([^"]*)" already defined', words)
    if twice:
        return [Name(word=f'"{shown(twice[1], "")}"')]
    shape = re.search(r"!!(map|seq|\w+)(?: `([^`]*)`)?", words)
    here = [one for one in located if one.node.start_mark.line + 1 == line]
    if shape:
        wanted = {"map": yaml.MappingNode, "seq": yaml.SequenceNode}.get(shape[1], yaml.ScalarNode)
        here = [one for one in here if isinstance(one.node, wanted) and (not shape[2] or str(one.node.value).startswith(shape[2].removesuffix("...")))]
    else:
        here = _quoted(words, here) or [one for one in here if one.path]
    within = any(isinstance(one.node, yaml.CollectionNode) for one in here) and not shape
    return [Name(paths=tuple(one.path for one in here), kind=here[0].kind, within=within)] if here else []


def _quoted(words: str, here: list[Located]) -> list[Located]:
    """The scalars whose value an error quotes or has in it as a word; a value of one or two letters proves nothing."""
    scalars = [one for one in here if isinstance(one.node, yaml.ScalarNode) and one.path]
    quoted = {*re.findall(r'"([^"]*)"', words), *re.findall(r"^(\S*) does not belong", words)}
    told = [one for one in scalars if one.node.value in quoted]
    return told or [one for one in scalars if len(one.node.value) > 2 and one.node.value in words]


VALUE_WORDS = re.compile(r'"([^"]*)"|^(\S+) does not belong| size (\S+): ')


def _value(error: str, located: list[Located]) -> list[Name]:
    """The value that an error quotes without telling where it is."""
    words = error.rpartition("V1Alpha1: ")[2] if "V1Alpha1: " in error else error.partition("Config: ")[2]
    for match in VALUE_WORDS.finditer(words):
        value = next((group for group in match.groups() if group), "")
        here = [one for one in located if value and isinstance(one.node, yaml.ScalarNode) and str(one.node.value) == value]
        if here:
            return [Name(paths=tuple(one.path for one in here), kind=here[0].kind)]
    return []


def _operation(error: str) -> list[Name]:
    """A JSON patch's path, or its unknown operation."""
    kind = re.search(r"Unexpected kind: (\S+)", error)
    if kind:
        return [Name(word=shown(kind[1], ""))]
    pointers = re.findall(r"""(?:path: |path: '|"|testing value )(/[^"'\s]*?)(?=["':\s]|: |$)""", error)
    return [Name(word=shown(pointers[0], "/", numbers=True))] if pointers else []


# ---- unknown keys ---------------------------------------------------------------------------------------------------------------------


def _unknown(error: str, text: str, minor: int) -> list[Name]:
    tree = yaml.load(error.partition("during decoding:\n")[2], Loader=yaml.BaseLoader)  # noqa: S506 - texts only
    for document in _plain_documents(text):
        kind = document.get("kind", "") if isinstance(document, dict) else ""
        kind = "" if kind in NULLS else kind
        known = table.kind(kind) if isinstance(kind, str) else None
        if known is not None and _contains(document, tree):
            return [Name(paths=(path,), kind=t.cast(str, kind)) for path in _unknown_paths(tree, document, known.root, minor)]
    return []


def _plain_documents(text: str) -> list[t.Any]:
    try:
        return list(yaml.load_all(text, Loader=yaml.BaseLoader))  # noqa: S506 - texts only
    except yaml.YAMLError:
        return []


def _contains(whole: t.Any, part: t.Any) -> bool:
    """Whether a tree of unknown keys is part of a document; its lists have only the items with unknown keys."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and _contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return all(any(_contains(item, wanted) for item in whole) for wanted in part)
    return bool(whole == part) or not isinstance(part, (dict, list))


def _unknown_paths(tree: t.Any, document: t.Any, field: Field | None, minor: int) -> t.Iterator[Path]:
    """The topmost keys in the tree that the release's field table does not have; a known key leads further down."""
    if isinstance(tree, dict) and field is not None:
        for key, value in tree.items():
            child = field.item if field.kind == "map" else field.fields.get(key)
            known = child is not None and child.since <= minor
            deeper = [(key, *path) for path in _unknown_paths(value, document.get(key), child, minor)] if known else []
            yield from deeper or [(key,)]
    elif isinstance(tree, list) and isinstance(document, list):
        start = 0
        for wanted in tree:
            index = next((i for i in range(start, len(document)) if _contains(document[i], wanted)), start)
            yield from ((index, *path) for path in _unknown_paths(wanted, document[index], field.item if field else None, minor))
            start = index + 1


# ---- merges ---------------------------------------------------------------------------------------------------------------------------

STEP = re.compile(r"merge field (\w+)\.(\w+)\.(\w+)|merge map key .*?\[([^\[\]]*)\](?=: )")


def _merge(error: str) -> list[Name]:
    """The path to which Go's type and field names belong: at each step the field whose name the Go name contains."""
    for kind in table.kinds():
        path = _go_path(error, kind)
        if path:
            return [Name(paths=(path,), within=True, kind=kind)]
    return []


def _go_path(error: str, kind: str) -> Path:
    steps = [match.groups() for match in STEP.finditer(error)]
    if not steps or not _go_root(kind, steps[0]):
        return ()
    known = table.kind(kind)
    field: Field | None = known.root if known else None
    path: list[str | int] = []
    for _package, _type, name, key in steps:
        if field is None:
            break
        if key is not None:
            field = field.item if field.kind == "map" else None
            path.append(key)
            continue
        child = _go_child(field, name)
        if child is not None:
            path.append(child.name)
            field = child if child.kind in ("struct", "map", "unstructured") else None
    return tuple(path)


def _go_root(kind: str, step: tuple[str | None, ...]) -> bool:
    """Whether the first Go type is that of a document kind: v1alpha1.Config, network.BondConfigV1Alpha1."""
    name = (step[1] or "").removesuffix("V1Alpha1")
    return name == "Config" if not kind else bool(name) and (name == kind or kind.endswith(name) and step[0] != "v1alpha1" and len(name) > 6)


def _go_child(field: Field, name: str) -> Field | None:
    lower = name.lower()
    found = [child for child in field.fields.values() if child.name.lower() in lower or lower.removesuffix("config") in child.name.lower()]
    return max(found, key=lambda child: (child.name.lower() in lower, len(child.name)), default=None)


# ---- whether we name it too -----------------------------------------------------------------------------------------------------------


def shown(text: str, separator: str, numbers: bool = False) -> str:
    """A text of keys as our messages show it: what may be a misplaced value is masked, list positions are not."""
    parts = text.split(separator) if separator else [text]
    return separator.join(part if not part or numbers and part.isdecimal() or part.startswith("[") or KEY_SHOWN.fullmatch(part) else MASK for part in parts)


def spelt(path: Path) -> str:
    """A pattern of the ways in which our messages write a path."""
    parts = []
    for step in path:
        key = re.escape(str(step) if isinstance(step, int) or KEY_SHOWN.fullmatch(step) else MASK)
        parts.append(rf"\.?\[{key}\]" if isinstance(step, int) else rf"(?:\.?\[{key}\]|\.?{key})")
    return r"(?<![\w.\]])" + "".join(parts) if parts else "document"


def named(name: Name, message: str) -> bool:
    """Whether a message of ours names it."""
    if not name.paths:
        return name.word in message
    end = "" if name.within else r"(?![\w\[]|\.[\w\[])"
    return any(re.search(spelt(path) + end, message) for path in name.paths)


def missing(names: t.Iterable[Name], message: str) -> list[Name]:
    """What a message of ours does not name of what it should."""
    return [name for name in names if not named(name, message)]


# ---- problems of validation -----------------------------------------------------------------------------------------------------------

DOCUMENT = re.compile(r"([A-Z]\w+)(/\S*)?: ")
# How an expression is shown below what is wrong with it.
EXCERPT = " | "
HEADING = re.compile(r"(?:\t\* )?(?:.*: )?\d+ errors? occurred:")
WORD = re.compile(r"[A-Za-z][\w.\[\]]*")


def problems(invalid: str, text: str, minor: int) -> list[list[Name]]:
    """What each problem of a validation names: its document and the fields in it; once if several name the same fields.

    A text that does not load is one problem. Lines after a problem's first are problems of the same document.
    """
    if not invalid:
        return []
    if not re.match(r"\d+ errors? occurred:", invalid):
        return [refusal(invalid, text, minor)]
    invalid = _unfolded(invalid, text)
    found: dict[str, list[Name]] = {}
    prefix = ""
    for line in invalid.split("\n")[1:]:
        if line.startswith("\t* "):
            prefix = (DOCUMENT.match(line.removeprefix("\t* ")) or [""])[0]
        if line and not line.startswith(EXCERPT) and not HEADING.fullmatch(line):
            words = line.removeprefix("\t* ") if line.startswith("\t* ") else prefix + line
            found.setdefault(words, problem(words))
    return list({(tuple(names), "" if any(name.word[:1].islower() for name in names) else words): names for words, names in found.items()}.values())


def _unfolded(invalid: str, text: str) -> str:
    """The problems with the line breaks of quoted values taken out."""
    broken = {str(one.node.value) for one in values(text) if isinstance(one.node, yaml.ScalarNode) and "\n" in one.node.value} if "\n" in text else set()
    for value in sorted(broken, key=len, reverse=True):
        invalid = invalid.replace(value, value.replace("\n", " "))
    return invalid


def problem(line: str) -> list[Name]:
    """What one problem or warning names: the document it begins with, and words with a dot or a capital that are fields of the format."""
    document = DOCUMENT.match(line)
    kind = document[1] if document and table.kind(document[1]) is not None else ""
    body = re.sub(r'"[^"]*"', " ", line[document.end() :] if document and kind else line)
    words = [match[0].rstrip(".") for match in WORD.finditer(body)]
    fields = {word.rpartition(".")[2].partition("[")[0] for word in words if "." in word or word != word.lower()} & _field_names()
    return [*([Name(word=kind)] if kind else []), *(Name(word=field) for field in sorted(fields))]


@functools.cache
def _field_names() -> frozenset[str]:
    def below(field: Field) -> t.Iterator[str]:
        for child in (*field.fields.values(), *([field.item] if field.item else [])):
            yield child.name
            yield from below(child)

    return frozenset(name for kind in table.kinds() for name in below(t.cast(table.Kind, table.kind(kind)).root))


def unmatched(wanted: t.Iterable[list[Name]], messages: t.Sequence[str]) -> list[list[Name]]:
    """The problems that none of our messages names; those of a text that does not load (they have paths) may need several."""
    pairs = [(message, message.lower()) for message in messages]
    whole = ("\n".join(messages), "\n".join(messages).lower())
    return [
        names
        for names in wanted
        if not any(_names_all(names, message, folded) for message, folded in ([whole] if messages and any(name.paths for name in names) else pairs))
    ]


def _names_all(names: list[Name], message: str, folded: str) -> bool:
    return all(named(name, message) if name.paths else name.word.lower() in folded for name in names)
