# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code blocks of a Markdown page, and what the comment above each says is to be done with it.

    <!-- run -->                                 run by a shell; all of a page's blocks by the same one, in their order
    <!-- run: then fargle-worker-11 is Ready --> and that is so afterwards; or `is gone`
    <!-- run: elsewhere until WORDS -->          in another terminal, where it goes on; the next block waits for the words
    <!-- fails: WORDS -->                        run; it must fail and say the words
    <!-- output -->                              the lines stand in what the last block that was run printed; `…` is anything
    <!-- node config -->                         a YAML block that is no playbook: what it is, see checks.py
    <!-- not run: REASON -->                     nothing is checked

A block without a comment is checked, not run: shell commands and playbooks.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from markdown_it import MarkdownIt

from .pages import ROOT

COMMENT = re.compile(r"<!--\s*(.+?)\s*-->\s*")


@dataclasses.dataclass(frozen=True)
class Block:
    """One code block. fenced: between ``` lines; line: its first line, from 1; word and detail: what its comment says, `word: detail`."""

    page: Path
    line: int
    language: str
    text: str
    fenced: bool
    word: str
    detail: str

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        page = self.page.relative_to(ROOT) if ROOT in self.page.parents else self.page
        return f"{page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page in their order, those in lists included."""
    found, comment = [], ""
    for token in MarkdownIt("commonmark").parse(page.read_text()):
        if token.type in ("fence", "code_block") and token.map:
            word, _colon, detail = comment.partition(":")
            fenced = token.type == "fence"
            found.append(Block(page, token.map[0] + 1 + fenced, token.info.strip(), token.content, fenced, word.strip(), detail.strip()))
        said = COMMENT.fullmatch(token.content) if token.type == "html_block" else None
        comment = said.group(1) if said else ""
    return found
