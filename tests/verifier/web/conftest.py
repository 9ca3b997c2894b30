from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.web_pages import browser, served


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """An empty page from which the web app's modules can be imported."""
    with served() as url, browser() as chromium:
        opened = chromium.new_page()
        opened.goto(f"{url}/empty.html")
        yield opened
