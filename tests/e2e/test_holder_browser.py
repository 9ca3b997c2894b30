# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""What holders do with their pass in a real browser: another plate, a renewal, their data, the code, giving back.

Every page is looked at with axe, at 320 pixels; the way through a change of plates is walked with the keyboard alone.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import (
    DESKTOP,
    NARROW,
    SQLITE,
    Site,
    check,
    chromium,
    context,
    open_pass,
    site,
    tab_to,
)
from tests.issuer.pickup.browser import last_day
from tests.issuer.pickup.holders import ends, plates, standard, two_plates
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
    SQLITE,
]
# Where to leave pictures of the pages for people to look at; nowhere unless somebody wants them.
PICTURES = os.environ.get("PICTURES_OF_PAGES", "")


def seen(page: Page, name: str, language: str = "de") -> None:
    """The page as it is now is in order."""
    check(page, name, language)
    if PICTURES:
        width = page.viewport_size["width"] if page.viewport_size else 0
        page.screenshot(path=Path(PICTURES) / f"{name}-{width}.png", full_page=True)


@pytest.mark.parametrize(
    ("view", "scheme", "language"),
    [(NARROW, "light", "de"), (NARROW, "dark", "en"), (DESKTOP, "light", "de")],
)
def test_every_page(
    chromium: Browser,
    site: Site,
    view: dict[str, int],
    scheme: str,
    language: str,
) -> None:
    number = two_plates(site.application)
    ends(site.application, number, date(2026, 12, 31))
    locale = {"de": "de-DE", "en": "en-GB"}[language]
    with context(chromium, viewport=view, color_scheme=scheme, locale=locale) as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on(
            "console", lambda one: complaints.append(one.text) if "Content Security" in one.text else None
        )
        open_pass(page, site, number)
        seen(page, "pass", language)
        for name in ("renew", "give-back", "data", "data/rights", "seal", "plate"):
            page.goto(f"{site.url}/p/pass/{name}")
            seen(page, name.replace("/", "-"), language)
        # Wrong and ambiguous, with the focus on what is to be put right.
        page.fill("#plate", "CEE1234")
        expect(page.locator("#plate-reading")).to_contain_text("CE-E 1234")
        page.locator("main form button").click()
        expect(page.locator("#errors")).to_be_focused()
        seen(page, "plate-asked-back", language)
        page.locator("#choice-2").check()
        page.locator("#place-2").check()
        page.locator("#keeper-1").check()
        page.locator("main form button").click()
        page.wait_for_url("**/p/pass/plate/confirm")
        seen(page, "plate-confirm", language)
        page.locator("main form button").click()
        expect(page.locator("#errors")).to_be_focused()
        seen(page, "plate-confirm-errors", language)
        page.goto(f"{site.url}/p/pass/renew")
        page.locator("main form button").click()
        expect(page.locator("#errors")).to_be_focused()
        seen(page, "renew-errors", language)
        page.goto(f"{site.url}/p/pass/give-back")
        page.locator("main form button").click()
        expect(page.locator("#errors")).to_be_focused()
        page.goto(f"{site.url}/p/pass/data/rights")
        page.locator("main form button").first.click()
        expect(page.locator("#errors")).to_be_focused()
        seen(page, "rights-errors", language)
        assert complaints == []


def test_a_plate_by_keyboard_alone(chromium: Browser, site: Site) -> None:
    number = standard(site.application)
    day = last_day(site.application, number)
    with context(chromium, viewport=NARROW) as browser:
        page = browser.new_page()
        open_pass(page, site, number)
        page.goto(f"{site.url}/p/pass/plate")
        tab_to(page, "plate")
        page.keyboard.type("d zz 77")
        expect(page.locator("#plate-reading")).to_contain_text("D-ZZ 77")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/p/pass/plate/confirm")
        tab_to(page, "day")
        for part in ("day", "month", "year"):
            page.keyboard.type(day[part])
            page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/p/pass?done=plate")
        expect(page.locator("main")).to_contain_text("D-ZZ 77")
        seen(page, "pass-changed")
    assert plates(site.application, number) == ["D-ZZ 77"]


def test_without_javascript_the_plate_is_changed_as_well(chromium: Browser, site: Site) -> None:
    number = standard(site.application)
    day = last_day(site.application, number)
    with context(chromium, java_script_enabled=False) as browser:
        page = browser.new_page()
        open_pass(page, site, number)
        page.get_by_role("link", name="Kennzeichen ändern").click()
        page.get_by_label("Neues Kennzeichen").fill("D-ABC 1")
        page.get_by_label("Auf mich").check()
        page.get_by_role("button", name="Weiter").click()
        expect(page.locator("#plate-reading")).to_contain_text("ein oder zwei Buchstaben")
        page.get_by_label("Neues Kennzeichen").fill("D-ZZ 78")
        page.get_by_role("button", name="Weiter").click()
        for name, value in day.items():
            page.locator(f"#{name}").fill(value)
        page.get_by_role("button", name="Kennzeichen jetzt ändern").click()
        page.wait_for_url("**/p/pass?done=plate")
    assert plates(site.application, number) == ["D-ZZ 78"]
