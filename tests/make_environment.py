# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a virtual environment and install into it.

Usage: make_environment.py FOLDER PIP_ARGUMENT...

Uses only the standard library, and works where the `venv` module lacks `ensurepip` by saying which package brings it.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

OLDEST_PYTHON = (3, 11)


def main() -> int:
    """Make the environment if it is not there yet, then run pip with the given arguments."""
    folder, arguments = Path(sys.argv[1]), sys.argv[2:]
    if sys.version_info < OLDEST_PYTHON:
        print(
            f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed; this is {sys.version.split()[0]}. Choose another one with PYTHON=python3.12 make …"
        )
        return 1
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"Making the environment {folder}")
        try:
            venv.EnvBuilder(with_pip=True).create(folder)
        except subprocess.CalledProcessError:
            print("This Python cannot make environments with pip; on Debian and Ubuntu install the package python3-venv.")
            return 1
    print("Installing what it needs; the first time takes about two minutes", flush=True)
    return subprocess.call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments])


if __name__ == "__main__":
    sys.exit(main())
