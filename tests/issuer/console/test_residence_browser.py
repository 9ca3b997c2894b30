# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""The registrar's pages in a real browser: narrow and wide, light and dark, axe.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from issuer.staff.permissions import Role
from tests.browsers import DESKTOP, NARROW, SQLITE, Site, check, chromium, context, site
from tests.issuer.console.test_browser import first_visit, link_for, picture
from tests.issuer.residence.registry import BLOCKED, ERIKA, FILE, HOME, SECOND, write_register
from tests.service import City
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]


def ask(page: Page, given: str, family: str, born: tuple[int, int, int], street: str, number: str) -> None:
    page.fill("#given_names", given)
    page.fill("#family_name", family)
    for name, value in zip(("day", "month", "year"), born, strict=True):
        page.fill(f"#birth_{name}", str(value))
    page.fill("#street", street)
    page.fill("#house_number", number)
    page.locator("main form .kern-btn--primary").first.click()


@pytest.mark.parametrize(("language", "size", "scheme"), [("de", NARROW, "dark"), ("en", DESKTOP, "light")])
@SQLITE
def test_at_the_counter(
    chromium: Browser, site: Site, city: City, language: str, size: dict[str, int], scheme: str
) -> None:
    write_register(city.folder, ERIKA + HOME, ERIKA + SECOND, BLOCKED)
    locale = {"de": "de-DE", "en": "en-GB"}[language]
    name = f"residence-{language}-{size['width']}"
    with context(chromium, viewport=size, locale=locale, color_scheme=scheme) as browser:
        page = browser.new_page()

        def look(what: str) -> None:
            expect(page.locator("h1")).to_be_visible()
            picture(page, f"{name}-{what}")
            check(page, what, language)

        first_visit(page, site, city, link_for(site, "rita", Role.REGISTRAR))
        look("start")
        page.goto(f"{site.url}/office/residence")
        look("ask")
        ask(page, "Berta", "Geheim", (3, 5, 1990), "Lohweilerplatz", "1")
        look("at-office")
        ask(page, "Quirina", "Müller-Đặng", (29, 2, 1984), "Ährengässchen", "17 c")
        look("check")
        page.locator("main form .kern-btn--primary").first.click()
        look("issued")
        page.locator("main form[action$='/link'] button").click()
        look("link")
        (city.folder / FILE).unlink()
        page.goto(f"{site.url}/office/residence")
        ask(page, "Quirina", "Müller-Đặng", (29, 2, 1984), "Ährengässchen", "17 c")
        page.fill("#main_postal_code", "40999")
        page.locator("main form .kern-btn--primary").first.click()
        look("typed")
