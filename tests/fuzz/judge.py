# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One input through what a user reaches: the module's options and its work. Clean errors are right; the rest is a verdict."""

from __future__ import annotations

import dataclasses
import json
import re
import time
import traceback
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.machine_config import CONFIG_OPTIONS, NODE_OPTIONS, work

from . import planted

Options = dict[str, t.Any]
Work = t.Callable[[Options], t.Any]

# CPU seconds, so that a busy machine makes no input slow.
LIMIT = 1.0

# Of the text around a leak, the words of the message before it, so that equal leaks look equal.
WORDS_BEFORE = re.compile(r"\S*zq.*$|\d+|^.{0,30}\s", re.IGNORECASE)

SPEC = ArgumentSpecValidator({**CONFIG_OPTIONS, "nodes": {"type": "list", "elements": "dict", "required": True, "options": NODE_OPTIONS}})


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of an input: fault is "" or one of crash, slow, leak; sign tells equal faults, detail is for people; accepted: nothing was refused."""

    seconds: float
    fault: str = ""
    sign: str = ""
    detail: str = ""
    accepted: bool = False


def judge(options: Options, run: Work = work) -> Verdict:
    """Run an input as the module does."""
    started = time.process_time()
    shown, crash, accepted = _outcome(options, run)
    seconds = time.process_time() - started
    if crash:
        return Verdict(seconds, "crash", _sign(crash), crash)
    leaked = planted.leaked(shown, texts(options))
    if leaked:
        around = _around(shown, min(leaked))
        return Verdict(seconds, "leak", WORDS_BEFORE.sub("", around), f"secret {', '.join(sorted(leaked))} in: {around}")
    if seconds > LIMIT:
        return Verdict(seconds, "slow", "", f"{seconds:.1f} s")
    return Verdict(seconds, accepted=accepted)


def _outcome(options: Options, run: Work) -> tuple[str, str, bool]:
    """(everything shown, the traceback of a crash, whether nothing was refused)."""
    checked = SPEC.validate(options)
    if checked.error_messages:
        return "\n".join(checked.error_messages), "", False
    try:
        outcome = run(checked.validated_parameters)
        result = outcome.result(with_diff=True)
    except ManagerError as error:
        return str(error) + _text(error.details), "", False
    except (Exception, RecursionError, MemoryError):
        return "", traceback.format_exc(), False
    return _text([result, outcome.warnings]), "", not result.get("failures")


def _text(value: t.Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _sign(crash: str) -> str:
    """The exception and the innermost line of our own code."""
    lines = [line.strip() for line in crash.strip().split("\n")]
    ours = [line for line in lines if line.startswith("File") and "/module_utils/" in line]
    return f"{lines[-1].partition(':')[0]} {ours[-1].rpartition('/')[2] if ours else ''}"


def _around(shown: str, secret: str) -> str:
    at = shown.lower().find(f"zq{secret}")
    return shown[max(at - 60, 0) : at + 20].replace("\n", " ")


def texts(options: Options) -> list[str]:
    """All texts of an input that may hold secrets."""
    nodes = options.get("nodes") or []
    every = [options.get("config"), options.get("patch"), *(node.get("patch") for node in nodes if isinstance(node, dict))]
    return [found if isinstance(found, str) else json.dumps(found, default=str) for found in every if found]
