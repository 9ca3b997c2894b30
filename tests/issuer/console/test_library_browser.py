# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""The library's desk in a real browser: every page narrow and wide, light and dark, axe; a card by keyboard alone.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

import re
from datetime import date

import pytest
from playwright.sync_api import Browser, Page, expect

from issuer.models_library import MembershipFeeRow
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
from tests.issuer.console.test_browser import first_visit, link_for, picture
from tests.service import CARD, City
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]
FIRST, SECOND, THIRD = "24711300099995", "24711300099987", "24711300099979"


def fees(site: Site) -> None:
    with site.application.writing() as session:
        key = {"tenant": site.application.tenant, "type_id": CARD, "category": "adult"}
        session.add(MembershipFeeRow(**key, valid_from=date(2026, 1, 1), fee_cents=2000))


def scan(page: Page, text: str) -> None:
    """A hand scanner types into whatever has the focus, and presses Enter."""
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def go_on(page: Page) -> None:
    page.locator("main form .kern-btn--primary").first.click()


def type_person(page: Page, given: str, family: str, born: tuple[int, int, int]) -> None:
    page.fill("#given_name", given)
    page.fill("#family_name", family)
    for name, value in zip(("day", "month", "year"), born, strict=True):
        page.fill(f"#birth_{name}", str(value))


@pytest.mark.parametrize(("language", "size", "scheme"), [("de", NARROW, "dark"), ("en", DESKTOP, "light")])
@SQLITE
def test_a_day_at_the_desk(
    chromium: Browser, site: Site, city: City, language: str, size: dict[str, int], scheme: str
) -> None:
    fees(site)
    locale = {"de": "de-DE", "en": "en-GB"}[language]
    name = f"library-{language}-{size['width']}"
    with context(chromium, viewport=size, locale=locale, color_scheme=scheme) as browser:
        page = browser.new_page()

        def look(what: str) -> None:
            expect(page.locator("h1")).to_be_visible()
            picture(page, f"{name}-{what}")
            check(page, what, language)

        first_visit(page, site, city, link_for(site, "lea", Role.LIBRARIAN))
        look("start")
        page.goto(f"{site.url}/office/library")
        look("search")
        page.goto(f"{site.url}/office/library/new")
        look("new-1")
        page.fill("#card_number", "SP1:6BFOXN")
        go_on(page)
        look("new-1-fault")
        page.fill("#card_number", FIRST)
        go_on(page)
        look("new-2")
        type_person(page, "Jürgen", "Müller-Lüdenscheidt", (31, 2, 1980))
        go_on(page)
        look("new-2-fault")
        page.fill("#birth_day", "5")
        go_on(page)
        look("new-3")
        go_on(page)
        look("code")
        page.locator("main a[href*='/members/']").last.click()
        page.wait_for_url(re.compile("/members/[^/]+/[^/]+$"))
        look("member")
        parent = page.url
        page.locator("main a[href*='/new?guardian=']").click()
        page.fill("#card_number", SECOND)
        go_on(page)
        type_person(page, "Mia", "Müller-Lüdenscheidt", (3, 5, 2015))
        go_on(page)
        look("new-3-child")
        go_on(page)
        look("new-3-child-fault")
        page.check("#consent")
        go_on(page)
        look("code-child")
        page.goto(parent)
        look("member-family")
        page.locator("form[action$='/family'] button").click()
        look("code-family")
        for step in ("number", "block", "renew", "consent", "guardian", "birth", "reissue", "revoke"):
            page.goto(f"{parent}/steps/{step}")
            look(f"step-{step}")
        page.goto(f"{parent}/steps/block")
        go_on(page)
        look("step-block-fault")
        page.check("#reason-fees")
        page.fill("#fees", "12,50")
        go_on(page)
        page.wait_for_url(re.compile("done=blocked"))
        look("member-blocked")
        page.goto(f"{parent}/steps/unblock")
        look("step-unblock")
        page.goto(f"{site.url}/office/library/waiting")
        look("waiting")
        page.goto(f"{parent}/steps/unblock")
        page.check("#reason-paid")
        go_on(page)
        page.wait_for_url(re.compile("done=unblocked"))
        look("member-unblocked")
        page.goto(f"{parent}/steps/number")
        page.fill("#card_number", THIRD)
        go_on(page)
        page.wait_for_url(re.compile("done=replaced"))
        look("member-replaced")
        page.goto(f"{site.url}/office/library")
        expect(page.locator("#q")).to_be_focused()
        scan(page, FIRST)
        page.wait_for_url(re.compile("/members/.*old=1"))
        look("member-old")
        page.goto(f"{parent}/steps/birth")
        for name_of, value in (("day", "7"), ("month", "8"), ("year", "2014")):
            page.fill(f"#birth_{name_of}", value)
        go_on(page)
        look("step-birth-fault")
        page.goto(f"{parent}/steps/revoke")
        page.check("#reason-requested")
        go_on(page)
        page.wait_for_url(re.compile("done=revoked"))
        look("member-revoked")
        page.goto(f"{parent}/steps/reinstate")
        look("step-reinstate")
        page.goto(f"{site.url}/office/library/print?kind=permits")
        look("print")
        go_on(page)
        page.wait_for_url(re.compile("/library/print/[0-9a-f]{32}"))
        look("print-run")
        page.goto(f"{site.url}/office/library?q=Mueller-Luedenscheidt")
        expect(page.locator(".rows li")).to_have_count(2)
        look("found")


@SQLITE
def test_a_card_by_scanner_and_keyboard_alone(chromium: Browser, site: Site, city: City) -> None:
    fees(site)
    with context(chromium, viewport=DESKTOP, java_script_enabled=True) as browser:
        page = browser.new_page()
        first_visit(page, site, city, link_for(site, "lea", Role.LIBRARIAN))
        page.goto(f"{site.url}/office/library/new")
        tab_to(page, "card_number")
        # The scanner types, and presses Enter itself.
        scan(page, f"A{FIRST}B")
        page.wait_for_url("**/new/card")
        tab_to(page, "given_name")
        page.keyboard.type("Ada")
        page.keyboard.press("Tab")
        page.keyboard.type("Jung")
        for part in ("7", "12", "1990"):
            page.keyboard.press("Tab")
            page.keyboard.type(part)
        page.keyboard.press("Enter")
        page.wait_for_url("**/new/person")
        expect(page.locator("#category-adult")).to_be_checked()
        tab_to(page, "category-adult")
        page.keyboard.press("Enter")
        expect(page.locator("[role=status]")).to_contain_text(FIRST)
        expect(page.locator("main")).to_contain_text("20,00")
