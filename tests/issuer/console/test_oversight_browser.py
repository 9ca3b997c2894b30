# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""Statements, audit trail, data protection and the accessibility statement in a real browser: axe, keyboard, narrow.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from issuer.nightly.run import run_night
from issuer.staff.permissions import Role
from tests.browsers import (
    DESKTOP,
    NARROW,
    SQLITE,
    Site,
    check,
    chromium,
    context,
    site,
    tab_to,
)
from tests.issuer.api.test_checks import permit, plate_of
from tests.issuer.console.test_browser import first_visit, link_for, picture
from tests.service import City
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]


@pytest.mark.parametrize(("language", "size", "scheme"), [("de", NARROW, "light"), ("en", DESKTOP, "dark")])
@SQLITE
def test_every_page(
    chromium: Browser, site: Site, city: City, language: str, size: dict[str, int], scheme: str
) -> None:
    content = permit(site.application)
    plate, number = plate_of(content).canonical, content.number
    locale = {"de": "de-DE", "en": "en-GB"}[language]
    run_night(site.application)
    with context(chromium, viewport=size, locale=locale, color_scheme=scheme) as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on(
            "console", lambda one: complaints.append(one.text) if "Content Security" in one.text else None
        )

        def look(what: str) -> None:
            picture(page, f"oversight-{language}-{size['width']}-{what}")
            check(page, what, language)

        page.goto(site.url + "/accessibility")
        look("accessibility")
        page.locator("main form button[type=submit]").click()
        expect(page.locator("#errors")).to_be_focused()
        look("accessibility-errors")
        page.fill("#message", "Der Kontrast der Karte ist zu schwach.\nZweite Zeile.")
        page.locator("main form button[type=submit]").click()
        page.wait_for_url("**/accessibility/thanks")
        look("thanks")

        first_visit(page, site, city, link_for(site, "erika", *Role))
        page.goto(site.url + "/office/statements")
        look("statement-ask")
        # With the keyboard alone: a plate that can be read in two ways, and an hour that there was twice.
        # The link past the navigation comes first.
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#content")).to_be_focused()
        tab_to(page, "plate")
        page.keyboard.type("CEE 1234")
        tab_to(page, "day")
        page.keyboard.type("25.10.2026")
        tab_to(page, "time")
        page.keyboard.type("2:30")
        page.keyboard.press("Enter")
        expect(page.locator("#errors")).to_be_focused()
        look("statement-errors")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#meant")).to_be_focused()
        tab_to(page, "meant-1")
        page.keyboard.press("Space")
        expect(page.locator("#meant-1")).to_be_checked()
        page.fill("#plate", plate)
        page.fill("#day", "20.11.2026")
        page.fill("#time", "11:00")
        page.locator("main form button[type=submit]").click()
        expect(page.get_by_role("heading", level=2).nth(1)).to_contain_text(number)
        look("statement")
        with page.expect_download() as loading:
            page.locator("main form button[type=submit]").first.click()
        assert loading.value.suggested_filename.endswith(".pdf")

        page.goto(site.url + "/office/accesses")
        look("accesses")
        page.goto(site.url + f"/office/audit?q={number}")
        look("audit")
        page.goto(site.url + "/office/data-protection")
        look("data-protection")
        page.goto(site.url + "/office/data-protection/record")
        look("record")
        page.goto(site.url + "/office/data-protection/deletions")
        look("deletions")
        page.goto(site.url + "/office/seal")
        page.fill("#seal", number)
        page.locator("main form button[type=submit]").click()
        expect(page.locator("pre.hex").last).to_contain_text("SP1:")
        look("seal")
        page.goto(site.url + "/office/barriers")
        look("barriers")
        assert complaints == []
