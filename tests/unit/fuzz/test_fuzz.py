# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random inputs, and whether the fuzzer would notice: a crash, an input that takes long or never ends, a secret that is shown."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos._fields import KINDS

from tests.fuzz import __main__ as program
from tests.fuzz.inputs import FAMILIES, make
from tests.fuzz.judge import Options, judge
from tests.fuzz.planted import leaked, planted
from tests.fuzz.shrink import shrink
from tests.fuzz.workers import Tally, judge_here, judge_many

ROOT = Path(__file__).resolve().parents[3]
SECRET = planted(7)
OPTIONS: Options = {"config": f"machine: {{type: worker, token: {SECRET}}}\ncluster: {{}}\n", "role": "worker", "nodes": [{"name": "n"}]}
SHARE = 250


def fine(options: Options) -> Outcome:
    """A module's work that does nothing."""
    return Outcome()


@pytest.mark.slow
@pytest.mark.parametrize("share", range(12))
def test_inputs_never_crash_or_take_long_or_show_a_secret(share: int) -> None:
    tally = judge_here(1, range(share * SHARE, (share + 1) * SHARE))
    assert [(fault.number, fault.verdict.fault, fault.verdict.detail) for fault in tally.faults] == []
    # They are no heap of noise that is refused at the door.
    assert tally.families["structure", True] >= 0.15 * (tally.families["structure", True] + tally.families["structure", False])
    assert {family for family, _accepted in tally.families} == set(FAMILIES)


def secret_fields() -> set[str]:
    """Every field of the table that is a secret, as kind:path."""
    fields = set()
    for kind, (_since, _flags, rows) in KINDS.items():
        for path, type_, _merge, _first, marks in map(str.split, rows.strip().splitlines()):
            if "S" in marks.partition(":")[0]:
                fields.add(f"{kind}:{path}")
            elif "x509" in type_ and "key" in type_:
                fields.add(f"{kind}:{path}.key")
    return fields


def test_secrets_are_planted_in_every_secret_field() -> None:
    places = set().union(*(make(1, number).places for number in range(3000)))
    assert len(secret_fields()) > 50
    assert secret_fields() - places == set()


def test_an_input_is_made_from_seed_and_number_alone() -> None:
    code = "from tests import conftest; from tests.fuzz.inputs import make; import json; print(json.dumps(make(3, 41).options))"
    elsewhere = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "5"})
    assert json.loads(elsewhere.stdout) == make(3, 41).options
    assert make(3, 41) != make(4, 41)


# ---- faults are noticed -----------------------------------------------------------------------------------------------------------------------


def test_a_crash_is_noticed() -> None:
    verdict = judge(OPTIONS, lambda options: t.cast(Outcome, 1 // 0))
    assert (verdict.fault, verdict.sign) == ("crash", "ZeroDivisionError ")
    assert judge(OPTIONS, lambda options: t.cast(Outcome, recursion())).fault == "crash"
    assert judge(OPTIONS, fine).fault == ""


def recursion() -> int:
    """Never ends well."""
    return recursion() + 1


def give(outcome: Outcome, options: Options) -> Outcome:
    """Work whose outcome is known."""
    return outcome


def refuse(options: Options) -> Outcome:
    """A clean error that names a secret."""
    raise InputError("a clean error", problems=[f"machine.token: {SECRET}"])


def test_a_secret_is_noticed_wherever_it_is_shown() -> None:
    verdict = judge(OPTIONS, refuse)
    assert (verdict.fault, verdict.detail) == ("leak", f'secret 0007 in: a clean error{{"problems": ["machine.token: {SECRET[:20]}')
    for outcome in (
        Outcome(warnings=[SECRET]),
        Outcome(failures={"n": f"it is {SECRET[5:22]}"}),
        Outcome(nodes=[{"name": "n", "warnings": [SECRET.upper()]}]),
        Outcome(shown_diff=[{"before": "", "after": f"a\n{SECRET}\n"}]),
        Outcome(values={"config_info": {"endpoint": f"https://u:{SECRET}@h"}}),
    ):
        assert judge(OPTIONS, functools.partial(give, outcome)).fault == "leak"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("machine: {{token: {}}}", True),
        ("machine: {{type: {}}}", False),
        ("machine: {{nodeLabels: {{a: {}}}}}", False),
        ("machine: {{{}: x}}", True),
        ("machine: {{unknown: {}}}", True),
        ("machine: {{type: {}", True),
        ("machine: {{env: {{A: {}}}}}", True),
        ("machine: {{ca: {{key: {}}}}}", True),
        ("machine: {{ca: {{crt: {}}}}}", False),
        ("cluster: {{controlPlane: {{endpoint: 'https://u:{}@h'}}}}", True),
        ("cluster: {{controlPlane: {{endpoint: 'https://{}'}}}}", False),
        ("machine: {{kubelet: {{extraConfig: {{password: {}}}}}}}", True),
        ('["machine: {{token: {}}}"]', True),
        ('["machine: {{type: {}}}"]', False),
        ('[{{"op": "add", "path": "/machine/token", "value": "{}"}}]', True),
        ('[{{"op": "add", "path": "/machine/type", "value": "{}"}}]', False),
        ('[{{"op": "add", "path": "/machine/{}", "value": 1}}]', True),
        ("apiVersion: v1alpha1\nkind: WireguardConfig\nname: a\nprivateKey: {}\n", True),
        ("apiVersion: v1alpha1\nkind: WireguardConfig\nname: {}\n", False),
    ],
)
def test_what_is_secret_depends_on_its_place(text: str, shown: bool) -> None:
    assert (leaked(f"an output with {SECRET} in it", [text.format(SECRET)]) == {"0007"}) is shown


@pytest.mark.parametrize(("path", "shown"), [("/version", False), ("/cluster/token", True)])
def test_what_a_patch_copies_to_a_place_that_is_shown_is_no_secret(path: str, shown: bool) -> None:
    patch = json.dumps([{"op": "copy", "from": "/machine/token", "path": path}])
    for text in (patch, json.dumps([patch])):
        assert (leaked(SECRET, [OPTIONS["config"], text]) == {"0007"}) is shown


def busy(options: Options) -> Outcome:
    """Takes more than a second of CPU time."""
    until = time.process_time() + 1.1
    while time.process_time() < until:
        pass
    return Outcome()


def test_an_input_that_takes_long_is_noticed() -> None:
    verdict = judge(OPTIONS, busy)
    assert verdict.fault == "slow"
    assert verdict.seconds > 1.1


# ---- many of them, in processes -----------------------------------------------------------------------------------------------------------------


def deadly(options: Options) -> Outcome:
    """Ends its process at some inputs, never returns at others."""
    if options["config"] == make(1, 5).options["config"]:
        os._exit(9)
    if options["config"] == make(1, 8).options["config"]:
        time.sleep(600)
    return Outcome()


def test_the_end_of_a_process_and_an_endless_input_stop_nothing() -> None:
    tally = judge_many(1, 20, 2, deadly, patience=1.5)
    assert tally.judged == 20
    assert sorted((fault.number, fault.verdict.fault) for fault in tally.faults) == [(5, "crash"), (8, "slow")]


def test_the_last_line_and_what_was_missed() -> None:
    tally = judge_here(1, range(3), lambda options: t.cast(Outcome, 1 // 0))
    assert program.summary(tally).startswith("fuzz: 3 inputs, 3 crashes, 0 slow, 0 leaks, slowest ")
    assert program.missed(tally, 5) == ["3 crashes, not 0", "3 inputs, not 5"]
    assert program.missed(Tally(judged=5), 5) == []


def test_a_failing_input_is_made_small() -> None:
    options = {**OPTIONS, "patch": "a: 1\n" * 200 + "machine: {boom: 1}\n" + "b: 2\n" * 200, "mode": "metal", "talos_version": "v1.9.0"}
    smaller = shrink(options, lambda found: "boom" in str(found.get("patch")))
    assert smaller == {"config": "", "role": "worker", "nodes": [{"name": "n"}], "patch": "boom"}
