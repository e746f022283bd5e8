# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make docs/run.svg, the README's picture: what a terminal shows of a run on the local cloud, as it comes.

Usage: python -m tests.docs.picture
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests import demo
from tests.sandbox.fixture import sandbox

from .pages import ROOT

PICTURE = ROOT / "docs" / "run.svg"
WIDTH = 124
# Tasks that changed nothing are not shown.
SETTINGS = {"ANSIBLE_DISPLAY_OK_HOSTS": "False", "ANSIBLE_FORCE_COLOR": "True", "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}


def act() -> None:
    """Two workers more, and one less again."""
    with sandbox() as cloud:
        demo.play(cloud, "create_node.yml", "cluster=fargle role=worker count=7")
        demo.headline("The cluster now")
        demo.show(cloud)
        demo.play(cloud, "delete_node.yml", f"cluster=fargle nodes=fargle-worker-12 {demo.FLOOR}")


def shown() -> str:
    """What a terminal is sent by act(), in a process of its own whose terminal it is."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "tests.docs.picture", "act"]
    received = b""
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **SETTINGS}, stdin=subprocess.DEVNULL, stdout=its, stderr=its) as process:
        os.close(its)
        try:
            while piece := os.read(ours, 65536):
                received += piece
        except OSError:
            # Linux says that nobody has the other end any more by an error.
            pass
    os.close(ours)
    if process.returncode:
        raise RuntimeError(received.decode())
    lines = received.decode().replace("\r\n", "\n").strip("\n").split("\n")
    # What is included is said with its path on this machine.
    return "\n".join(line for line in lines if "included: " not in line)


def draw(text: str) -> str:
    """The terminal's text as an SVG that loads nothing from elsewhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text.from_ansi(text))
    svg = console.export_svg(title="ansible-playbook", unique_id="run")
    # The font would come from a server; every reader has another one with equal widths.
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code, monospace", "monospace")


def main() -> int:
    """Without arguments: make the picture."""
    if sys.argv[1:] == ["act"]:
        act()
    else:
        PICTURE.write_text(draw(shown()) + "\n")
        print(Path(os.path.relpath(PICTURE)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
