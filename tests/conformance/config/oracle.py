# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The referees: one Go program per Talos release, asked in JSON lines; and the engine, asked the same."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import documents, patching, validate
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.yamltext import ConfigError

from .cases import Case

REFEREES = Path(__file__).resolve().parent / "referee"
MODES = ("metal", "cloud")
CRASHED = "the engine crashed"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What becomes of a case: the text or the refusal; by mode, what validation of the text refuses and warns of."""

    text: str = ""
    error: str = ""
    invalid: tuple[str, ...] = ("", "")
    warnings: tuple[tuple[str, ...], ...] = ((), ())


class Asked(t.Protocol):
    """Whoever answers cases."""

    def answer(self, case: Case) -> Answer:
        """The answer to a case."""


class Referee:
    """The Go program of one release: a context manager that ends it."""

    def __init__(self, program: str | Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")

    def __enter__(self) -> Referee:
        return self

    def __exit__(self, *exc: object) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, config: str, patches: t.Sequence[str], mode: str = "") -> dict[str, t.Any]:
        """The program's answer: text, error, warnings, invalid."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"config": config, "patches": list(patches), "validate": mode}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the referee died of: {config!r} {patches!r}")
        return t.cast("dict[str, t.Any]", json.loads(line))

    def answer(self, case: Case) -> Answer:
        """Patch, then validate what came out in each mode."""
        first = self.ask(case.config, case.patches, MODES[0])
        if first["error"]:
            return Answer(error=first["error"])
        second = self.ask(first["text"], (), MODES[1])
        return Answer(first["text"], "", (first["invalid"], second["invalid"]), tuple(tuple(one["warnings"] or ()) for one in (first, second)))


class Engine:
    """The collection's engine for one release."""

    def __init__(self, minor: int) -> None:
        self.minor = minor

    def answer(self, case: Case) -> Answer:
        """Patch, then validate what came out in each mode. A crash is an answer too: it differs from all others."""
        try:
            return self._answer(case)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
            return Answer(error=f"{CRASHED}: {type(error).__name__}: {error}")

    def _answer(self, case: Case) -> Answer:
        try:
            result = patching.Patched(self.minor, text=case.config)
            for patch in [patching.load_patch(patch, self.minor) for patch in case.patches]:
                result = result.apply(patch)
            text = result.text()
        except ConfigError as error:
            return Answer(error=str(error))
        checked = [self.validated(text, mode) for mode in MODES]
        return Answer(text, "", tuple(invalid for invalid, _warnings in checked), tuple(warnings for _invalid, warnings in checked))

    def validated(self, text: str, mode: str) -> tuple[str, tuple[str, ...]]:
        """(problems, warnings) of a config, read again from its text."""
        try:
            problems, warnings = validate.validate(documents.load(text, self.minor), self.minor, mode)
        except ConfigError as error:
            return str(error), ()
        return "\n".join(problems), tuple(warnings)


def releases() -> dict[int, str]:
    """The releases that have a referee: minor → folder name."""
    found = {int(folder.name.partition(".")[2]): folder.name for folder in REFEREES.iterdir() if (folder / "go.mod").exists()}
    return dict(sorted(found.items()))


def build(release: str, target: Path) -> Path:
    """Build the referee of a release below target; returns the program. Go's own cache makes the second time quick."""
    folder = target / release
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(REFEREES / release, folder)
    for source in REFEREES.glob("*.go"):
        shutil.copy(source, folder)
    subprocess.run(["go", "build", "-o", "referee", "."], cwd=folder, check=True)
    return folder / "referee"
