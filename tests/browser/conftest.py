# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One headless browser, Debian's, and the pages it looks at."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import pytest
from ansible_collections.k8s_cluster.manager.plugins.plugin_utils._description_page import page as html
from playwright.sync_api import Browser, Page, sync_playwright

from .observed import Record, troubled

CHROMIUM = "/usr/bin/chromium"
PRICE = {
    "hourly": 0.92,
    "currency": "USD",
    "lines": [{"what": "m5.large", "count": 8, "unit_price": 0.115, "hourly": 0.92}],
    "unknown": [],
}


@dataclasses.dataclass
class Opened:
    """A page in the browser, the description it was made of, what was loaded for it and what it complained of."""

    page: Page
    described: Record
    file: Path
    requests: list[str] = dataclasses.field(default_factory=list)
    complaints: list[str] = dataclasses.field(default_factory=list)


class Opener(t.Protocol):
    """Opens the page of a description."""

    def __call__(self, described: Record, scheme: t.Literal["light", "dark"], width: int = 1380) -> Opened: ...


@pytest.fixture(scope="session")
def browser() -> t.Iterator[Browser]:
    with sync_playwright() as playwright:
        # As root, which CI is, Chromium starts without its sandbox only.
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def opener(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Opener:
    def open_it(described: Record, scheme: t.Literal["light", "dark"], width: int = 1380) -> Opened:
        file = tmp_path_factory.mktemp("page") / "cluster.html"
        file.write_text(html(described))
        # Scripts of the test run all the same: the page's policy forbids only its own.
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        opened = Opened(page, described, file)
        page.on("request", lambda request: opened.requests.append(request.url))
        page.on("console", lambda message: opened.complaints.append(message.text))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.goto(file.as_uri(), wait_until="networkidle")
        return opened

    return open_it


@pytest.fixture(scope="session", params=[(size, scheme) for size in (3, 30, 300) for scheme in ("light", "dark")], ids=lambda both: f"{both[0]}-{both[1]}")
def opened(request: pytest.FixtureRequest, opener: Opener) -> Opened:
    size, scheme = request.param
    return opener(troubled(size).described(price=PRICE), scheme)
