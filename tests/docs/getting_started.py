# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow docs/getting-started.md as a newcomer does: in an empty home, with nothing but Python, make and the system's programs.

A copy of what git knows of the checkout stands for the clone with which the page begins.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from tests import checkout

from .pages import ROOT
from .running import Reader
from .shell import Failed

PAGE = ROOT / "docs" / "getting-started.md"
# How this machine reaches PyPI, if not directly.
NETWORK = ("PIP_", "SSL_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def environment(home: Path) -> dict[str, str]:
    """What a new user's terminal has. make uses the environment that it has made already, as it would for a second `make sandbox`."""
    programs = home / ".programs"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    inherited = {name: value for name, value in os.environ.items() if name.startswith(NETWORK)}
    return {**inherited, "HOME": str(home), "PATH": f"{programs}:/usr/bin:/bin", "LANG": "C.UTF-8", "VENV": sys.prefix}


def main() -> int:
    """Run the page's blocks; 0 if all did what the page says."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="home-") as folder:
        home = Path(folder).resolve()
        env = environment(home)
        checkout.copy(home / "manager")
        try:
            count = Reader(env, home / "manager", lambda text: print(f"\n== {text}", end="", flush=True)).read(PAGE)
        except Failed as failure:
            print(f"\ngetting started: failed at {failure}")
            return 1
    print(f"\ngetting started: {count} blocks in {time.monotonic() - started:.0f} seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
