from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.verifier.web.lists_server import ListsServer, lists_server
from tests.web_pages import launched, served


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """The one Playwright of these tests: a second one beside it would not start."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """One browser for all tests; what they store stays apart in contexts of their own."""
    with launched(playwright.chromium) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """An empty page from which the web app's modules can be imported."""
    with served() as url:
        opened = chromium.new_page()
        opened.goto(f"{url}/empty.html")
        yield opened
        opened.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ListsServer]:
    """A city's lists and the app's files, at an address that no other test has."""
    with lists_server(tmp_path) as made:
        yield made


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that has stored nothing; its pages are closed after the test."""
    made = chromium.new_context()
    yield made
    made.close()
