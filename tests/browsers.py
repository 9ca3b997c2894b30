"""Real browsers on a running service, and what is asked of every page: no findings of axe, no scrolling sideways.

Needs Debian's chromium (`tests.web_pages`). Every request of the browser goes to the service under test, or is
answered here.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright
from uvicorn import Config, Server

from issuer import google_wallet
from issuer.application import Application
from issuer.pickup.links import create_link
from issuer.settings import load_settings, save_settings
from tests.axe import faults
from tests.service import PERMIT, City
from tests.web_app import create_app
from tests.web_pages import launched

ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Mobile Safari/604.1"
NARROW = {"width": 320, "height": 640}
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1200, "height": 900}
SAVE = "https://pay.google.com/gp/v/save/demo"

# How a page looks does not depend on the database; a whole visit, which reads and writes everything, runs on both.
SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


@dataclass
class Site:
    """A running service."""

    application: Application
    url: str

    def link(self, number: str, type_id: str = PERMIT) -> str:
        with self.application.writing() as session:
            return create_link(session, self.application, type_id, number, "mail")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright, launched(playwright.chromium) as browser:
        yield browser


@pytest.fixture
def site(city: City, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The city's service on a free port; Google says yes without being asked."""
    monkeypatch.setenv("STADTPASS_SERVICE_REQUESTS_PER_MINUTE", "0")
    monkeypatch.setattr(google_wallet, "is_offered", lambda application, session: True)
    monkeypatch.setattr(google_wallet, "save_links", lambda application, type_id, numbers: [SAVE])
    application = city.open()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://localhost:{port}"
    with application.writing() as session:
        settings = msgspec.structs.replace(load_settings(session, application.tenant), base_url=url)
        save_settings(session, application.tenant, settings)
    server = Server(Config(create_app(application), port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(200):
        if server.started:
            break
        time.sleep(0.05)
    assert server.started
    yield Site(application, url)
    server.should_exit = True
    thread.join(timeout=20)


def context(chromium: Browser, **options: Any) -> BrowserContext:
    """A fresh browser profile that can reach nothing but the service and the stand-in for Google."""
    made = chromium.new_context(**{"viewport": PHONE, "locale": "de-DE", **options})
    made.set_default_timeout(60_000)

    def answer(route: Route) -> None:
        if route.request.url.startswith("https://pay.google.com/"):
            route.fulfill(body="<!doctype html><title>Google</title>saved", content_type="text/html")
        elif re.match(r"http://localhost:\d+/", route.request.url):
            route.continue_()
        else:
            route.abort()

    made.route("**/*", answer)
    return made


def open_pass(page: Page, site: Site, number: str, type_id: str = PERMIT) -> None:
    page.goto(site.link(number, type_id))
    page.locator("form button[type=submit]").click()
    page.wait_for_url("**/p/pass")


def is_wider_than_screen(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def check(page: Page, what: str, language: str) -> None:
    """A page as it is now: no findings, no sideways scrolling, the right language, a title, one heading."""
    # A click returns when the next page begins; its colours are there when its style sheets are.
    page.wait_for_load_state("load")
    assert faults(page) == [], what
    assert not is_wider_than_screen(page), what
    assert page.locator("html").get_attribute("lang") == language, what
    assert page.locator("h1").count() == 1, what
    assert page.title(), what


def tab_to(page: Page, identifier: str) -> None:
    # Whoever may do everything has a long navigation.
    for _ in range(60):
        if page.evaluate("document.activeElement.id") == identifier:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{identifier} cannot be reached")
