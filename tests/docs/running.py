# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the blocks of a page, and hold it to what it says of them."""

from __future__ import annotations

import contextlib
import re
import typing as t
from pathlib import Path

from tests import worldview
from tests.sandbox.control import Control

from .blocks import Block, blocks
from .shell import Failed, Terminal

RUN = ("run", "fails", "output")


class Reader:
    """Somebody who types a page's blocks, in terminals that begin with the same environment and folder."""

    def __init__(self, env: t.Mapping[str, str], folder: Path, say: t.Callable[[str], None] = lambda _text: None) -> None:
        self._env = env
        self._folder = folder
        self._terminals = contextlib.ExitStack()
        self._say = say
        self._printed = ""

    def _new(self) -> Terminal:
        return self._terminals.enter_context(contextlib.closing(Terminal(self._env, self._folder)))

    def read(self, page: Path) -> int:
        """Type the blocks that are to be run; returns how many. Failed with place and output of the first that goes wrong."""
        here = [block for block in blocks(page) if block.word in RUN]
        with self._terminals:
            terminal = self._new()
            for block in here:
                self._say(f"{block.place}\n{block.text}")
                try:
                    self._type(block, terminal)
                except Failed as failure:
                    raise Failed(f"{block.place}\n{block.text}\n{failure}") from None
        return len(here)

    def _type(self, block: Block, terminal: Terminal) -> None:
        elsewhere, _until, words = block.detail.partition("elsewhere until ")
        then = re.fullmatch(r"then (\S+) is (Ready|gone)", block.detail)
        if block.word == "output":
            _compare(block.text, self._printed)
        elif block.word == "fails":
            self._printed = _failure(block, terminal)
        elif words and not elsewhere:
            self._new().type(block.text, until=words)
        elif block.detail and not then:
            raise Failed(f"what is `{block.detail}`?")
        else:
            self._printed = terminal.type(block.text)
        if then:
            _see(then.group(1), then.group(2), terminal)


def _failure(block: Block, terminal: Terminal) -> str:
    """What a block prints that must fail with the words of its comment."""
    printed = terminal.type(f"if (\n{block.text}\n)\nthen echo; echo It did not fail.; exit 1; fi")
    if block.detail not in " ".join(printed.split()):
        raise Failed(f"it did not say: {block.detail}\n{printed}")
    return printed


def _compare(wanted: str, printed: str) -> None:
    """Each line must be among those printed, in their order, whatever stands for `…`."""
    lines = iter(printed.splitlines())
    for line in filter(str.strip, wanted.splitlines()):
        pattern = ".*".join(re.escape(part.strip()) for part in line.split("…"))
        if not any(re.search(pattern, said) for said in lines):
            raise Failed(f"not printed (or not there): {line}\n{printed}")


def _see(node: str, state: str, terminal: Terminal) -> None:
    """Look at the node in the sandbox that the terminal uses."""
    address = terminal.type("printenv SANDBOX_CONTROL_URL").strip()
    world = Control(address).world()
    found = {name: one for cluster in ("fargle", "fargle2", "barney") for name, one in worldview.nodes(world, cluster).items()}
    if (node in found and found[node].ready) != (state == "Ready") or (state == "gone" and node in found):
        raise Failed(f"{node} is not {state}: {found.get(node)}")
