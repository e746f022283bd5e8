# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the engine with Talos' own library: python -m tests.conformance.config.compare [minor] [cases] [seed] [program]

Builds the referee (Go and its module proxy are needed; or takes a built program), asks it the cases of cases.py and prints where the answers differ.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import re
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import patching
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.yamltext import ConfigError

from .cases import Case, Generator

HERE = Path(__file__).resolve().parent
RELEASES = {int(folder.name.split(".")[1]): folder.name for folder in (HERE / "referee").glob("v1.*")}


class Referee:
    """The Go program of one release, asked in JSON lines."""

    def __init__(self, program: str) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, case: Case, validate: str = "") -> dict[str, t.Any]:
        """The referee's answer: text, error, warnings, invalid."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"config": case.config, "patches": case.patches, "validate": validate}) + "\n")
        self.process.stdin.flush()
        return t.cast("dict[str, t.Any]", json.loads(self.process.stdout.readline()))

    def stop(self) -> None:
        """End the program."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def build(release: str, target: Path) -> str:
    """Build the referee of a release; returns the program's path."""
    folder = target / release
    shutil.copytree(HERE / "referee" / release, folder)
    shutil.copy(HERE / "referee" / "main.go", folder)
    subprocess.run(["go", "build", "-o", "referee", "."], cwd=folder, check=True)
    return str(folder / "referee")


def ours(case: Case, minor: int) -> tuple[str, str]:
    """(text, error) as the engine answers."""
    try:
        result = patching.Patched(minor, text=case.config)
        for patch in [patching.load_patch(patch, minor) for patch in case.patches]:
            result = result.apply(patch)
        return result.text(), ""
    except ConfigError as error:
        return "", str(error)


@dataclasses.dataclass
class Difference:
    """A case answered differently; kind groups those that look alike."""

    kind: str
    case: Case
    theirs: str
    mine: str


# Where we differ knowingly: words of their answer or our error, and why.
KNOWN = {
    "nil pointer dereference": "Talos crashes; we answer",
    "interface conversion": "Talos crashes; we answer",
    "the config has no such document": "up to 1.13 Talos adds an empty document when a delete's document is missing; we refuse",
    "strictCgroupClassOrdering": "new in a later patch release of 1.12 than the module proxy has",
    "swap does not belong to FilesystemType": "new in a later patch release of 1.10 than the module proxy has",
    "must be a single value, not a mapping": "up to 1.12 Talos takes {} for an unset address; we refuse",
    "replace operation value must be object or array": "older releases' JSON patches may replace the whole config by a scalar; we refuse",
    "checkSecurebootStatusOnEnroll": "new in a later patch release of 1.6 than the module proxy has",
}


def difference(case: Case, answer: dict[str, t.Any], minor: int) -> Difference | None:
    """How the answers differ, or None."""
    text, error = ours(case, minor)
    if bool(error) != bool(answer["error"]):
        if any(words in error + answer["error"] for words in KNOWN):
            return None
        words = re.sub(r"line \d+|\d+", "N", error or answer["error"].replace("\n", " "))[-100:]
        return Difference(f"{'we' if error else 'they'} refuse: {words}", case, answer["error"] or answer["text"], error or text)
    if text != answer["text"]:
        pairs = zip(answer["text"].split("\n"), text.split("\n"), strict=False)
        first = next((pair for pair in pairs if pair[0] != pair[1]), ("(length)", ""))
        return Difference(f"text: {first[0].strip()[:40]!r} / {first[1].strip()[:40]!r}", case, answer["text"], text)
    return None


def shrink(found: Difference, referee: Referee, minor: int) -> Difference:
    """A smaller case that still differs the same way: fewer patches, fewer documents."""
    for index in range(len(found.case.patches)):
        smaller = Case(found.case.config, [patch for i, patch in enumerate(found.case.patches) if i != index])
        again = difference(smaller, referee.ask(smaller), minor)
        if again is not None and again.kind == found.kind:
            return again
    return found


def main(minor: int, count: int, seed: int, program: str | None = None) -> int:
    """Run count cases of one release; prints a sample of each kind of difference. Returns the number that differ."""
    with tempfile.TemporaryDirectory() as folder:
        referee = Referee(program or build(RELEASES[minor], Path(folder)))
        generator = Generator(seed, minor)
        kinds: collections.Counter[str] = collections.Counter()
        samples: dict[str, Difference] = {}
        accepted = changed = 0
        for _ in range(count):
            case = generator.case()
            answer = referee.ask(case)
            accepted += not answer["error"]
            changed += not answer["error"] and answer["text"] != case.config
            found = difference(case, answer, minor)
            if found is not None:
                kinds[found.kind] += 1
                samples.setdefault(found.kind, found)
        for kind, number in kinds.most_common(25):
            sample = shrink(samples[kind], referee, minor)
            print(f"== {number} x {kind}\n-- config\n{sample.case.config}-- patches")
            print("\n".join(sample.case.patches), f"-- theirs\n{sample.theirs}\n-- ours\n{sample.mine}\n", sep="\n")
        referee.stop()
    print(f"conformance: {count} cases, {sum(kinds.values())} differ ({accepted} accepted, {changed} changed)")
    return sum(kinds.values())


if __name__ == "__main__":
    words = dict(enumerate(sys.argv[1:]))
    sys.exit(main(int(words.get(0, "13")), int(words.get(1, "1000")), int(words.get(2, "1")), words.get(3)) > 0)
