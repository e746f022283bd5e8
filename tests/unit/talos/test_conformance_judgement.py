# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The harness of `make conformance` judges rightly: wrong answers are counted, rows are exercised only by what happened, figures missed are told."""

from __future__ import annotations

import typing as t

import pytest

from tests.conformance.config import coverage, directed, known, names, run, scattered
from tests.conformance.config.cases import Case, rows
from tests.conformance.config.judge import Difference, Verdict, difference
from tests.conformance.config.known import Known
from tests.conformance.config.names import Name
from tests.conformance.config.oracle import Answer, Engine, releases
from tests.conformance.config.shrink import shrink

BASE = "version: v1alpha1\nmachine:\n  type: worker\n  certSANs:\n    - a\n"
CASE = Case(BASE, ("machine:\n  token: x\n",))


class Oracle:
    """A referee that answers with our own engine, but for what it is told to say otherwise of a case."""

    def __init__(self, minor: int, lies: dict[Case, Answer] | None = None) -> None:
        self.engine = Engine(minor)
        self.lies = lies or {}

    def answer(self, case: Case) -> Answer:
        return self.lies.get(case) or self.engine.answer(case)

    def ask(self, config: str, patches: t.Sequence[str], mode: str = "") -> dict[str, t.Any]:
        return {"text": config, "error": "", "invalid": "", "warnings": []}


def judged(cases: list[Case], lies: dict[Case, Answer] | None = None, engine: t.Any = None) -> run.Report:
    return run.run(13, cases, t.cast(t.Any, Oracle(13, lies)), engine or Engine(13))


# ---- wrong answers are counted --------------------------------------------------------------------------------------------------------


def test_the_same_answers_do_not_differ() -> None:
    report = judged([CASE])
    assert (report.cases, report.accepted, report.changed, dict(report.differ)) == (1, 1, 1, {})


@pytest.mark.parametrize(
    ("lie", "what"),
    [
        (Answer(error="some refusal"), "only they refuse"),
        (Answer(error="panic: oh"), "only they crash"),
        (Answer(text=BASE), "data"),
        (Answer(text="other"), "data"),
    ],
)
def test_a_wrong_answer_is_counted(lie: Answer, what: str) -> None:
    report = judged([CASE], {CASE: lie})
    assert sum(report.differ.values()) == 1
    assert [sample.what for sample in report.samples.values()] == [what]


def test_one_byte_is_a_difference() -> None:
    right = Engine(13).answer(CASE)
    report = judged([CASE], {CASE: Answer(right.text.replace("token: x", 'token: "x"'), "", right.invalid, right.warnings)})
    assert [sample.what for sample in report.samples.values()] == ["text"]


def test_an_engine_that_lies_is_counted() -> None:
    class Liar:
        def answer(self, case: Case) -> Answer:
            return Answer(error="machine.token: no")

    assert [sample.what for sample in judged([CASE], engine=Liar()).samples.values()] == ["only we refuse"]


def test_a_crash_of_the_engine_is_counted_even_if_talos_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(self: Engine, case: Case) -> Answer:
        raise AttributeError("oh")

    monkeypatch.setattr(Engine, "_answer", crash)
    for theirs in (Answer(error="some refusal"), Answer(text="other")):
        found = judged([CASE], {CASE: theirs}).samples.values()
        assert [(sample.what, sample.mine) for sample in found] == [("we crash", "the engine crashed: AttributeError: oh")]


def test_what_validation_says_counts_in_each_mode() -> None:
    right = Engine(13).answer(CASE)
    for number in range(2):
        invalid = tuple("" if index == number else "1 error occurred:\n\t* x\n" for index in range(2))
        report = judged([CASE], {CASE: Answer(right.text, "", invalid, right.warnings)})
        assert [sample.what.partition(" (")[0] for sample in report.samples.values()] == ["only we find invalid"]


def test_problems_and_warnings_must_be_named() -> None:
    case = Case("", ())
    wanted = Verdict(invalid=([[Name(word="certSANs")]], []), warnings=([], [[Name(word="cidr")]]))
    assert difference(case, wanted, Answer(), Answer(invalid=("machine.certSANs: bad", ""), warnings=((), ("old cidr",)))) is None
    for mine in (Answer(invalid=("machine.token: bad", ""), warnings=((), ("old cidr",))), Answer(invalid=("machine.certSANs: bad", ""))):
        assert difference(case, wanted, Answer(), mine) is not None


def test_a_refusal_must_name_the_path() -> None:
    wanted = Verdict(refused=True, names=(Name(paths=(("machine", "network", "interfaces", 0, "mtu"),)),))
    assert difference(CASE, wanted, Answer(error="x"), Answer(error="line 1: machine.network.interfaces[0].mtu: must be a number")) is None
    for mine in ("machine.network.interfaces[0]: bad", "machine.network.interfaces[1].mtu: bad", "x.machine.network.interfaces[0].mtu.y: bad", "bad"):
        assert difference(CASE, wanted, Answer(error="x"), Answer(error=mine)) is not None


# ---- what a refusal names -------------------------------------------------------------------------------------------------------------

PATCH = "machine:\n  type: worker\n  foo: 1\n  network:\n    interfaces:\n      - interface: eth0\n      - mtu: abc\n        bar:\n          x: 1\n"


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (
            "error decoding document /v1alpha1/ (line 1): unknown keys found during decoding:\n"
            "machine:\n    foo: 1\n    network:\n        interfaces:\n            - bar:\n                x: 1\n",
            [(("machine", "foo"),), (("machine", "network", "interfaces", 1, "bar"),)],
        ),
        (
            "error decoding  to *v1alpha1.Config: yaml: unmarshal errors:\n  line 7: cannot unmarshal !!str `abc` into int",
            [(("machine", "network", "interfaces", 1, "mtu"),)],
        ),
        (
            "error decoding  to *v1alpha1.Config: yaml: construct errors:\n  line 7: cannot construct !!map into int",
            [(("machine", "network", "interfaces", 1),)],
        ),
        ("error decoding  to *v1alpha1.Config: failed to parse disk size abc: bad", [(("machine", "network", "interfaces", 1, "mtu"),)]),
        (
            "merge field v1alpha1.Config.MachineConfig: merge field v1alpha1.MachineConfig.MachineKubelet: "
            "merge field v1alpha1.KubeletConfig.KubeletExtraConfig: merge field v1alpha1.Unstructured.Object: merge type mismatch left int right string",
            [(("machine", "kubelet", "extraConfig"),)],
        ),
    ],
)
def test_paths_are_found_in_refusals(error: str, found: list[t.Any]) -> None:
    assert [name.paths for name in names.refusal(error, PATCH, 13) if name.paths] == found


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ("patch delete: path 'machine.x' in document '/v1alpha1': failed to delete path 'machine.x': lookup failed", "'machine.x'"),
        ("failure applying rfc6902 patches: error in remove for path: '/a/b': Unable to remove nonexistent key: b: missing value", "/a/b"),
        ('error decoding document v1alpha1/Foo/ (line 1): "Foo" "v1alpha1": not registered', "Foo"),
        ("duplicate document: KmsgLogConfig/x", "KmsgLogConfig/x"),
        ('yaml: unmarshal errors:\n  line 3: mapping key "type" already defined at line 2', '"type"'),
    ],
)
def test_words_are_found_in_refusals(error: str, word: str) -> None:
    assert word in [name.word for name in names.refusal(error, PATCH, 13)]


def test_problems_name_documents_and_fields() -> None:
    text = (
        "1 error occurred:\n\t* v1alpha1.Config: 2 errors occurred:\n\t* issuing CA is required (.machine.ca)\n\t* the end\n\n\t* BondConfig/a: no bondMode\n"
    )
    assert [[name.word for name in one] for one in names.problems(text, "", 13)] == [["ca"], [], ["BondConfig", "bondMode"]]


def test_lines_of_one_problem_are_told_from_problems_of_one_document() -> None:
    text = (
        "1 error occurred:\n\t* LinkAliasConfig/a: ERROR: <input>:1:4: Syntax error\n | 1 +\n | ...^\n"
        "name is required\ninvalid taints: 1 error occurred:\n\t* a\n"
    )
    assert names.problems(text, "", 13) == [[Name(word="LinkAliasConfig")], [Name(word="LinkAliasConfig")], []]
    assert len(names.problems("1 error occurred:\n\t* event sink: no\nend\n", "a: |-\n  no\n  end\n", 8)) == 1


def test_positions_in_lists_count_without_deletes_before() -> None:
    patch = "machine:\n  disks:\n    - device: a\n      $patch: delete\n    - device: [b]\n"
    found = names.refusal("error decoding  to *v1alpha1.Config: yaml: unmarshal errors:\n  line 5: cannot unmarshal !!seq into string", patch, 12)
    assert [name.paths for name in found] == [(("machine", "disks", 0, "device"),)]


# ---- rows -----------------------------------------------------------------------------------------------------------------------------


def test_a_row_is_exercised_by_its_change_or_by_a_refusal_that_names_it() -> None:
    result = Engine(13).answer(CASE).text
    assert coverage.exercised(CASE, Verdict(text=result), 13) == ({"v1alpha1:machine", "v1alpha1:machine.token"}, True)
    assert coverage.exercised(CASE, Verdict(text=BASE), 13) == (set(), False)
    named = Name(paths=(("machine", "certSANs", 0),), kind="")
    assert coverage.exercised(CASE, Verdict(refused=True, names=(named,)), 13) == ({"v1alpha1:machine.certSANs[]"}, False)
    either = Name(paths=(("machine", "certSANs"), ("machine", "token")), kind="")
    assert coverage.exercised(CASE, Verdict(refused=True, names=(either,)), 13) == (set(), False)


def test_rows_not_exercised_and_figures_missed_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    report = judged([CASE, Case(BASE, ("nonsense: 1\n",))])
    assert "v1alpha1:machine.certSANs" in report.unexercised
    assert "v1alpha1:machine.token" not in report.unexercised
    assert run.verdict([report], 6000, whole=False) == 1
    shown = capsys.readouterr().out
    assert "1.13: 2 cases, wanted 6000" in shown
    assert "1.13: 50.0% of the cases are accepted and change the base, wanted 60%" in shown
    assert "row v1alpha1:machine.certSANs is not exercised" in shown


def test_every_row_of_a_release_has_its_cases() -> None:
    for minor in (6, 14):
        made = list(directed.cases(minor))
        assert {case.about.rpartition(" ")[0] for case in made} == {row.name for row in rows(minor)}
        assert len({row.name for row in rows(minor)}) == len(rows(minor)) > 400


def test_the_same_seed_makes_the_same_cases() -> None:
    first, second, other = (list(scattered.Generator(seed, 13).cases(50)) for seed in (1, 1, 2))
    assert first == second != other


# ---- known differences ----------------------------------------------------------------------------------------------------------------


def test_known_differences_are_counted_and_told_apart(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    here = Known("only they refuse", "some refusal", "", (13, 13), "because")
    monkeypatch.setattr(known, "KNOWN", {"here": here, "gone": Known("data", "x", "y", (6, 14), "was")})
    report = judged([CASE], {CASE: Answer(error="some refusal")})
    assert (dict(report.known), dict(report.differ)) == ({"here": 1}, {})
    report.unexercised.clear()
    assert run.verdict([report], 1, whole=True) == 1
    shown = capsys.readouterr().out
    assert "known: 1 x here: because" in shown
    assert "missed: known difference 'gone' no longer occurs" in shown
    assert shown.endswith("conformance: 1 cases, 0 differ\n")
    assert not here.fits(Difference("only they refuse", CASE, "another refusal", ""), 13)
    assert not here.fits(Difference("only they refuse", CASE, "some refusal", ""), 12)


# ---- shrinking ------------------------------------------------------------------------------------------------------------------------


def test_shrinking_keeps_the_difference_alone() -> None:
    def differs(case: Case) -> Difference | None:
        return Difference("data", case, "a", "b") if "mtu" in "".join(case.patches) else None

    big = Case("machine:\n  type: worker\n---\nkind: X\n", ("a: 1\n", "machine:\n  b: 0x10\n  network: [{mtu: 5, x: [1]}, 7]\n---\nkind: X\n"))
    small = shrink(t.cast(Difference, differs(big)), differs).case
    assert small.patches == ("machine:\n  network:\n  - mtu: 5\n",)
    assert small.config in ("{}\n", "machine: {}\n")


def test_every_release_has_a_referee() -> None:
    assert list(releases()) == list(range(6, 15))
