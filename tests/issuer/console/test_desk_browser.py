# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""The office's work in a real browser: counter and cases, narrow and wide, light and dark, axe; by keyboard alone.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from issuer.rules.directory import streets_from_csv
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
from tests.issuer.console.permit_office import STREETS
from tests.issuer.console.test_browser import first_visit, link_for, picture
from tests.service import PERMIT, City, running_numbers
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]
PERSON = {
    "given_name": "Hilde", "family_name": "Groß", "street": "Pastorswiesenring", "house_number": "7",
    "postal_code": "40474", "city": "Düsseldorf",
}  # fmt: skip


def directory(site: Site, folder: Path) -> None:
    file = folder / "streets.csv"
    file.write_text(STREETS, "utf-8")
    with site.application.writing() as session:
        streets_from_csv(session, site.application.tenant, file)


def send(page: Page) -> None:
    page.locator("main form .kern-btn--primary").first.click()


@pytest.mark.parametrize(("language", "size", "scheme"), [("de", NARROW, "dark"), ("en", DESKTOP, "light")])
@SQLITE
def test_the_days_work(
    chromium: Browser,
    site: Site,
    city: City,
    tmp_path: Path,
    language: str,
    size: dict[str, int],
    scheme: str,
) -> None:
    directory(site, tmp_path)
    locale = {"de": "de-DE", "en": "en-GB"}[language]
    name = f"desk-{language}-{size['width']}"
    with context(chromium, viewport=size, locale=locale, color_scheme=scheme) as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on(
            "console", lambda one: complaints.append(one.text) if "Content Security" in one.text else None
        )

        def look(what: str) -> None:
            expect(page.locator("h1")).to_be_visible()
            picture(page, f"{name}-{what}")
            check(page, what, language)

        first_visit(page, site, city, link_for(site, "erika", *Role))
        look("start")
        page.goto(site.url + "/office/counter")
        for field, text in PERSON.items():
            page.fill(f"#{field}", text)
        page.fill("#street", "Am Feldrand")
        send(page)
        expect(page.locator("#errors")).to_be_focused()
        look("person-errors")
        page.fill("#street", PERSON["street"])
        send(page)
        page.wait_for_url("**/permit")
        page.check("#permit_kind-standard")
        page.fill("#plate_1", "D-XYZ 123")
        page.check("#keeper-holder")
        page.check("#residence-main")
        page.check("#term_months-12")
        send(page)
        expect(page.locator("#errors")).to_be_focused()
        look("permit-errors")
        page.fill("#plate_1", "D-HG 34")
        send(page)
        page.wait_for_url("**/evidence")
        look("evidence")
        page.check("#seen_residence-identity_card")
        send(page)
        page.wait_for_url("**/office/cases/*")
        look("case")
        case = page.url
        page.locator("form[action$='/approve'] button").click()
        expect(page.locator("#refusal")).to_be_focused()
        look("case-refusal")
        for path in ("documents", "refuse"):
            page.goto(f"{case}/{path}")
            look(path)
        page.locator("#code-not_resident").check()
        send(page)
        expect(page.locator("#text")).to_be_visible()
        page.fill("#text", "x")
        send(page)
        expect(page.locator("#errors")).to_be_focused()
        look("refuse-errors")
        page.goto(case)
        page.locator("form[action$='/accept'] button").first.click()
        page.wait_for_url("**done=accepted")
        page.locator("form[action$='/propose'] button").click()
        page.wait_for_url("**done=proposed")
        look("case-proposed")
        page.goto(site.url + "/office/cases?state=all")
        look("cases")
        other = browser.new_page()
        other.goto(case)
        other.locator("details summary").click()
        expect(other.locator("form[action$='/withdraw'] button")).to_be_visible()
        picture(other, f"{name}-withdraw")
        check(other, "withdraw", language)
        page.goto(case)
        page.locator("details summary").click()
        page.locator("form[action$='/withdraw'] button").click()
        page.wait_for_url("**done=withdrawn")
        other.locator("form[action$='/withdraw'] button").click()
        expect(other.get_by_role("heading", level=1)).to_contain_text("A-2026-000001:")
        picture(other, f"{name}-moved")
        check(other, "moved", language)
        number = running_numbers(site.application)[0]
        one = f"{site.url}/office/passes/{PERMIT}/{number}"
        page.goto(one)
        page.locator("form[action$='/link'] button").click()
        expect(page.locator("#link")).to_be_visible()
        look("pass-link")
        page.goto(one + "/steps/revoke")
        look("revoke")
        page.check("#reason-misuse")
        send(page)
        page.wait_for_url("**done=revoke")
        look("pass-revoked")
        page.goto(one + "/reinstate")
        send(page)
        look("reinstate")
        page.goto(f"{site.url}/office/histories?q={number}")
        look("histories")
        assert complaints == []


@SQLITE
def test_the_counter_by_keyboard_alone(chromium: Browser, site: Site, city: City, tmp_path: Path) -> None:
    directory(site, tmp_path)
    with context(chromium, viewport=DESKTOP, java_script_enabled=True) as browser:
        page = browser.new_page()
        first_visit(page, site, city, link_for(site, "erika", Role.CLERK))
        page.goto(site.url + "/office/counter")
        for field, text in PERSON.items():
            tab_to(page, field)
            page.keyboard.type(text)
        page.keyboard.press("Enter")
        page.wait_for_url("**/permit")
        for field, key in (
            ("permit_kind-standard", "Space"),
            ("plate_1", ""),
            ("keeper-holder", "Space"),
            ("residence-main", "Space"),
            ("term_months-12", "Space"),
        ):
            tab_to(page, field)
            page.keyboard.press(key) if key else page.keyboard.type("D-HG 34")
        page.keyboard.press("Enter")
        page.wait_for_url("**/evidence")
        for field in ("seen_residence", "seen_keeper_1"):
            # Of a group of radio buttons the one that is chosen takes the focus; an arrow goes on to the first.
            tab_to(page, f"{field}-")
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**/finish")
        tab_to(page, "receipt")
        page.keyboard.type("17")
        page.keyboard.press("Enter")
        page.wait_for_url("**/finish?done=paid")
        expect(page.get_by_role("link", name="Ausweis drucken (PDF)")).to_be_visible()
        picture(page, "desk-finish")
        check(page, "finish", "de")
