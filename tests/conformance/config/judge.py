# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judgement: what of Talos' answer ours must repeat, and how the two differ."""

from __future__ import annotations

import dataclasses
import re
import typing as t

import yaml

from . import names
from .cases import Case
from .names import Name
from .oracle import CRASHED, MODES, Answer, Referee

NOTHING = "machine: {}\n"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Talos' answer as it is compared: the text, or a refusal and what it names; by mode what each problem and warning names.

    crashed: the refusal was a panic.
    """

    text: str = ""
    refused: bool = False
    crashed: bool = False
    names: tuple[Name, ...] = ()
    invalid: tuple[list[list[Name]], ...] = ([], [])
    warnings: tuple[list[list[Name]], ...] = ([], [])


@dataclasses.dataclass(frozen=True)
class Difference:
    """A case answered differently: what differs, and both answers in words. Those with the same kind look alike."""

    what: str
    case: Case
    theirs: str
    mine: str

    @property
    def kind(self) -> str:
        """What differs, and the words of it that do not vary from case to case."""
        words = self.mine if self.what in ("only we refuse", "we crash") else self.theirs
        if self.what == "text":
            pairs = zip(self.theirs.split("\n"), self.mine.split("\n"), strict=False)
            words = " / ".join(next((pair for pair in pairs if pair[0] != pair[1]), ("(length)", "")))
        return f"{self.what}: {re.sub(VARYING, '…', words.strip())[-110:]}"


VARYING = re.compile(r"""line \d+|\d+|"[^"]*"|'[^']*'|`[^`]*`|\s+(?=\s)|\n""")


def verdict(referee: Referee, case: Case, answer: Answer, minor: int) -> Verdict:
    """Talos' answer as it is compared."""
    if answer.error:
        crashed = answer.error.startswith("panic: ")
        found = [] if crashed else names.refusal(answer.error, refused_text(referee, case, answer.error), minor)
        return Verdict(refused=True, crashed=crashed, names=tuple(found))
    invalid = tuple(names.problems(words, answer.text, minor) for words in answer.invalid)
    warnings = tuple([names.problem(line) for words in one for line in words.split("\n")] for one in answer.warnings)
    return Verdict(answer.text, invalid=invalid, warnings=warnings)


def refused_text(referee: Referee, case: Case, error: str) -> str:
    """The text that an error is about: the patch that alone makes the same error, the base, or what became of it half-way; "" if none."""
    for patch in case.patches:
        if referee.ask(NOTHING, [patch])["error"] == error:
            return patch
    for number in range(len(case.patches)):
        text = referee.ask(case.config, case.patches[:number])["text"] if number else case.config
        if referee.ask(text, (), MODES[0])["invalid"] == error:
            return t.cast(str, text)
    return ""


def difference(case: Case, wanted: Verdict, theirs: Answer, mine: Answer) -> Difference | None:
    """How our answer differs from theirs, or None. theirs is for the report alone."""
    for what, their_words, my_words in _differences(wanted, theirs, mine):
        return Difference(what, case, their_words, my_words)
    return None


def _differences(wanted: Verdict, theirs: Answer, mine: Answer) -> t.Iterator[tuple[str, str, str]]:
    """(what, their words, ours) of each difference."""
    if mine.error.startswith(CRASHED):
        yield "we crash", theirs.error or theirs.text, mine.error
    elif wanted.refused != bool(mine.error):
        what = "only they crash" if wanted.crashed else "only they refuse" if wanted.refused else "only we refuse"
        yield what, theirs.error or theirs.text, mine.error or mine.text
    elif wanted.refused:
        unnamed = names.missing(wanted.names, mine.error)
        if unnamed:
            yield f"not named {_shown(unnamed)}", theirs.error, mine.error
    elif wanted.text != mine.text:
        yield "text" if same_data(wanted.text, mine.text) else "data", wanted.text, mine.text
    else:
        yield from _validation(wanted, theirs, mine)


def _validation(wanted: Verdict, theirs: Answer, mine: Answer) -> t.Iterator[tuple[str, str, str]]:
    for number, mode in enumerate(MODES):
        if bool(wanted.invalid[number]) != bool(mine.invalid[number]):
            yield f"only {'they' if wanted.invalid[number] else 'we'} find invalid ({mode})", theirs.invalid[number], mine.invalid[number]
        messages = mine.invalid[number].split("\n") if mine.invalid[number] else []
        unnamed = names.unmatched(wanted.invalid[number], messages)
        if unnamed:
            yield f"problem not named ({mode}) {_shown(unnamed[0])}", theirs.invalid[number], mine.invalid[number]
        if len(wanted.invalid[number]) > len(messages):
            yield f"fewer problems ({mode})", theirs.invalid[number], mine.invalid[number]
        unwarned = names.unmatched(wanted.warnings[number], mine.warnings[number])
        if unwarned:
            yield f"warning not given ({mode}) {_shown(unwarned[0])}", "\n".join(theirs.warnings[number]), "\n".join(mine.warnings[number])


def _shown(found: t.Iterable[Name]) -> str:
    return ", ".join(name.word or " or ".join(".".join(map(str, path)) for path in name.paths[:3]) for name in found)


def same_data(left: str, right: str) -> bool:
    """Whether two texts hold the same data: scalars compared as texts."""
    try:
        pair = [list(yaml.load_all(text, Loader=yaml.BaseLoader)) for text in (left, right)]  # noqa: S506 - texts only
    except yaml.YAMLError:
        return False
    return bool(pair[0] == pair[1])
