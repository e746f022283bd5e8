# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Smaller inputs with the same fault."""

from __future__ import annotations

import functools
import time
import typing as t

Options = dict[str, t.Any]
Same = t.Callable[[Options], bool]


def shrink(options: Options, same: Same, seconds: float = 20.0) -> Options:
    """Options without what the fault does not need, as far as the time goes. same says whether options still have the fault."""
    until = time.monotonic() + seconds
    for key in ("nodes", "patch", "talos_version", "mode"):
        simpler = {**options, key: [{"name": "n"}]} if key == "nodes" else {name: value for name, value in options.items() if name != key}
        if same(simpler):
            options = simpler
    places: list[Put] = [_config, _patch, *(functools.partial(_node_patch, index) for index in range(len(options["nodes"])))]
    for put in places:
        options = _at(options, put, same, until)
    return options


# What takes options and a text (None: as it is) and gives the options with that text in one place, and the text there.
Put = t.Callable[[Options, t.Optional[str]], tuple[Options, t.Any]]


def _config(options: Options, text: str | None) -> tuple[Options, t.Any]:
    options = options if text is None else {**options, "config": text}
    return options, options.get("config")


def _patch(options: Options, text: str | None) -> tuple[Options, t.Any]:
    options = options if text is None else {**options, "patch": text}
    return options, options.get("patch")


def _node_patch(index: int, options: Options, text: str | None) -> tuple[Options, t.Any]:
    nodes = [{**node, "patch": text} if number == index and text is not None else node for number, node in enumerate(options["nodes"])]
    return {**options, "nodes": nodes}, nodes[index].get("patch")


def _at(options: Options, put: Put, same: Same, until: float) -> Options:
    """Options with the text of one place as short as may be."""
    found = put(options, None)[1]
    if not isinstance(found, str):
        return options
    return put(options, _text(found, lambda text: same(put(options, text)[0]), until))[0]


def _text(text: str, same: t.Callable[[str], bool], until: float) -> str:
    """Delta debugging: leave out ever smaller pieces, first of lines, then of characters."""
    for pieces in (text.splitlines(True), []):
        pieces = pieces or list(text)
        size = len(pieces)
        while size and time.monotonic() < until:
            pieces = _without_pieces(pieces, size, same, until)
            size //= 2
        text = "".join(pieces)
    return text


def _without_pieces(pieces: list[str], size: int, same: t.Callable[[str], bool], until: float) -> list[str]:
    at = 0
    while at < len(pieces) and time.monotonic() < until:
        kept = pieces[:at] + pieces[at + size :]
        if same("".join(kept)):
            pieces = kept
        else:
            at += size
    return pieces
