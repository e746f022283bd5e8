# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of describe_cluster as a browser shows it, with few and with many nodes, by day and by night."""

from __future__ import annotations

import itertools
import typing as t
from pathlib import Path

import pytest

from .conftest import Opened, Opener
from .observed import Record, cluster, troubled

MEASURE = (Path(__file__).parent / "measure.js").read_text()
LARGEST = 1_000_000
# WCAG 2.2, AA, for texts of any size.
LEGIBLE = 4.5
# A text may stand out of its box by what a pixel is rounded by.
ROUNDING = 0.5

Place = t.Mapping[str, float]


@pytest.fixture(scope="session")
def measured(opened: Opened) -> Record:
    return t.cast("Record", opened.page.evaluate(MEASURE))


def test_it_is_one_file_that_loads_nothing_and_complains_of_nothing(opened: Opened) -> None:
    assert opened.requests == [opened.file.as_uri()]
    assert opened.complaints == []
    assert opened.file.stat().st_size <= LARGEST


def test_nodes_do_not_overlap_and_what_is_said_of_them_stays_in_their_boxes(opened: Opened, measured: Record) -> None:
    drawn = [box["texts"][0]["text"] for box in measured["boxes"] if box["kind"] == "node"]
    assert sorted(drawn) == sorted(node["name"] for node in opened.described["nodes"])
    assert_in_their_places(measured)


def assert_in_their_places(measured: Record) -> None:
    for box in measured["boxes"]:
        assert all(inside(text, box["box"]) for text in box["texts"]), box
        assert not overlapping(box["texts"]), box
        if box["kind"] == "node":
            assert any(inside(box["box"], lane) for lane in measured["lanes"]), box
    assert overlapping([box["box"] for box in measured["boxes"]]) == []
    assert overlapping([*measured["heads"], *(text for box in measured["boxes"] for text in box["texts"])]) == []


def inside(one: Place, other: Place) -> bool:
    low = all(one[side] >= other[side] - ROUNDING for side in ("left", "top"))
    return low and all(one[side] <= other[side] + ROUNDING for side in ("right", "bottom"))


def overlapping(places: t.Sequence[Place]) -> list[tuple[Place, Place]]:
    """Pairs that lie over each other."""
    ordered = sorted(places, key=lambda place: place["top"])
    found = []
    for number, one in enumerate(ordered):
        end = one["bottom"] - ROUNDING
        below = itertools.takewhile(lambda other, end=end: other["top"] < end, ordered[number + 1 :])  # type: ignore[misc]
        found += [(one, other) for other in below if one["left"] < other["right"] - ROUNDING and other["left"] < one["right"] - ROUNDING]
    return found


def test_whoever_searches_the_page_finds_every_node_target_load_balancer_and_target_group(opened: Opened, measured: Record) -> None:
    described, text = opened.described, measured["text"]
    wanted = [node["name"] for node in described["nodes"]] + [node["address"] for node in described["nodes"]]
    wanted += [one["name"] for key in ("load_balancers", "target_groups") for one in described[key]]
    wanted += [f"{target['id']}:{target['port']} {target['state']}" for group in described["target_groups"] for target in group["targets"]]
    assert [one for one in wanted if one not in text] == []


def test_health_drift_and_cost_are_said_in_words(opened: Opened, measured: Record) -> None:
    for said in {node[key]["words"] for node in opened.described["nodes"] for key in ("machine", "ready", "behind", "config")}:
        assert said in measured["text"]
    assert "22.08 USD" in measured["text"]


def test_all_text_is_legible(measured: Record) -> None:
    assert len(measured["colours"]) > 50
    faint = [(text, ink, paper) for ink, paper, text in measured["colours"] if contrast(ink, paper) < LEGIBLE]
    assert faint == []


def contrast(ink: t.Sequence[float], paper: t.Sequence[float]) -> float:
    """The contrast of two colours, from 1 to 21: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    darker, lighter = sorted((luminance(ink), luminance(paper)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: t.Sequence[float]) -> float:
    linear = [part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_dark_is_dark_and_light_is_light(opener: Opener) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        page = opener(cluster(3).described(), t.cast("t.Literal['light', 'dark']", scheme)).page
        shades[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert luminance(shades["light"]) > 0.8
    assert luminance(shades["dark"]) < 0.05


@pytest.mark.parametrize("width", [390, 800, 2560])
def test_it_fits_screens_of_other_widths(opener: Opener, width: int) -> None:
    """What is wide scrolls in its own frame."""
    opened = opener(troubled(30).described(), "light", width)
    measured = opened.page.evaluate(MEASURE)
    assert measured["overflow"] <= 0
    assert_in_their_places(measured)


@pytest.mark.parametrize("name", ["n" * 63, "W" * 253, "\u5bb6" * 40, "</text><script>alert(1)</script>", "x\u202ey\x1b[31m"])
def test_names_of_any_kind_are_shown_as_text_in_their_boxes(opener: Opener, name: str) -> None:
    found = cluster(8)
    found.instances[4]["name"] = name
    opened = opener(found.described(), "light")
    assert opened.complaints == []
    assert_in_their_places(opened.page.evaluate(MEASURE))


def test_a_cluster_of_which_nothing_was_read_has_a_page(opener: Opener) -> None:
    found = cluster(3)
    for kind in ("instances", "groups", "balancers", "members", "nodes", "records", "talos"):
        setattr(found, kind, [])
    opened = opener(found.described(unread={"aws": "no answer", "kubernetes": "there is no kubeconfig"}), "dark")
    text = opened.page.inner_text("body")
    assert opened.complaints == []
    assert "no answer" in text and "there is no kubeconfig" in text


def test_a_node_of_the_drawing_leads_to_its_row(opener: Opener) -> None:
    opened = opener(cluster(8).described(), "light")
    opened.page.get_by_text("fargle-worker-3", exact=True).first.click()
    assert opened.page.evaluate("document.querySelector(':target').innerText").startswith("fargle-worker-3")
    assert opened.requests == [opened.file.as_uri()]
