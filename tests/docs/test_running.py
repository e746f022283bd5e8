# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page that does not do what it says is found out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .running import Reader
from .shell import Failed


def read(folder: Path, text: str) -> int:
    """Type a page's blocks in a folder."""
    page = folder / "page.md"
    page.write_text(text)
    return Reader({"PATH": os.defpath, "HOME": str(folder)}, folder).read(page)


def block(comment: str, text: str) -> str:
    """A block with its comment."""
    return f"<!-- {comment} -->\n```sh\n{text}\n```\n\n"


def test_blocks_share_a_shell_and_its_variables(tmp_path: Path) -> None:
    text = block("run", "word=tea\ncd /") + block("run", 'echo "$word in $PWD"\ncat') + block("output", "tea … /")
    assert read(tmp_path, text) == 3


def test_what_runs_elsewhere_goes_on_and_is_ended(tmp_path: Path) -> None:
    elsewhere = 'trap "rm here; exit" TERM\ntouch here\necho ready\nwhile true; do sleep 0.05; done'
    assert read(tmp_path, block("run: elsewhere until ready", elsewhere) + block("run", "test -e here")) == 2
    assert not (tmp_path / "here").exists()


def test_a_block_that_must_fail_may(tmp_path: Path) -> None:
    assert read(tmp_path, block("fails: no such tea", "echo there is no such tea; exit 3") + block("run", "true")) == 2


@pytest.mark.parametrize(
    "text",
    [
        block("run", "echo said\nfalse\necho more"),
        block("run", "echo tea") + block("output", "coffee"),
        block("run", "echo one; echo two") + block("output", "two\none"),
        block("fails: tea", "echo tea"),
        block("fails: tea", "echo coffee; false"),
        block("run: elsewhere until ready", "echo stopped"),
        block("run: perhaps", "true"),
    ],
)
def test_a_page_that_says_something_else_fails(tmp_path: Path, text: str) -> None:
    with pytest.raises(Failed):
        read(tmp_path, text)
