# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""The console in a real browser: the whole life of a log-in, with axe, by keyboard, narrow, and without JavaScript.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

import base64
import os
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from issuer.staff import second_factor
from issuer.staff.accounts import invite
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
from tests.service import PERMIT, City, running_numbers
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]
PASSWORD = "drei Ampeln hinter Kaarst"


def picture(page: Page, name: str) -> None:
    """Keep a picture of the page where a person who looks at them wants them."""
    folder = os.environ.get("OFFICE_PICTURES")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def code(page: Page, secret: bytes, city: City) -> str:
    return second_factor.code_at(secret, second_factor.step_of(city.clock()))


def link_for(site: Site, login: str, *roles: Role) -> str:
    with site.application.writing() as session:
        return invite(session, site.application, login, "Erika Muster", roles, actor="test")[1]


def secret_on(page: Page) -> bytes:
    text = page.locator(".secret code").inner_text().replace(" ", "")
    return base64.b32decode(text + "=" * (-len(text) % 8))


def first_visit(page: Page, site: Site, city: City, link: str) -> bytes:
    page.goto(link)
    page.fill("#new", PASSWORD)
    page.fill("#again", PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/office/factor")
    secret = secret_on(page)
    page.fill("#code", code(page, secret, city))
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/office")
    city.clock.at += timedelta(minutes=1)
    return secret


@pytest.mark.parametrize(("language", "size", "scheme"), [("de", NARROW, "light"), ("en", DESKTOP, "dark")])
@SQLITE
def test_every_page(
    chromium: Browser,
    site: Site,
    city: City,
    language: str,
    size: dict[str, int],
    scheme: str,
) -> None:
    number = running_numbers(site.application)[0]
    locale = {"de": "de-DE", "en": "en-GB"}[language]
    name = f"{language}-{size['width']}"
    with context(chromium, viewport=size, locale=locale, color_scheme=scheme) as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on(
            "console", lambda one: complaints.append(one.text) if "Content Security" in one.text else None
        )

        def look(what: str) -> None:
            picture(page, f"{name}-{what}")
            check(page, what, language)

        page.goto(site.url + "/office")
        look("login")
        page.locator("main button[type=submit]").click()
        look("login-errors")
        page.goto(site.url + "/office/welcome/" + "x" * 22)
        look("link-gone")
        link = link_for(site, "erika", *Role)
        page.goto(link)
        look("welcome")
        page.fill("#new", "kurz")
        page.fill("#again", "kurz")
        page.locator("main button[type=submit]").click()
        look("welcome-errors")
        page.goto(link)
        page.fill("#new", PASSWORD)
        page.fill("#again", PASSWORD)
        page.locator("main button[type=submit]").click()
        page.wait_for_url("**/office/factor")
        look("factor")
        page.goto(site.url + "/office/factor")
        secret = secret_on(page)
        page.fill("#code", "1")
        page.locator("main button[type=submit]").click()
        look("factor-errors")
        page.fill("#code", code(page, secret, city))
        page.locator("main button[type=submit]").click()
        page.wait_for_url("**/office")
        city.clock.at += timedelta(minutes=1)
        look("start")
        page.goto(site.url + "/office/passes")
        page.fill("#q", number[:-1])
        page.locator("#rows li").first.wait_for()
        look("passes")
        page.goto(site.url + f"/office/passes/{PERMIT}/{number}")
        look("pass")
        for path in ("account", "account/factor", "accesses", "accounts", "accounts/new", "passes/x/y"):
            page.goto(f"{site.url}/office/{path}")
            look(path.replace("/", "-"))
        page.goto(site.url + "/office/accounts/new")
        page.locator("main button[type=submit]").click()
        look("new-errors")
        page.fill("#login", "max")
        page.fill("#display_name", "Max Beispiel")
        page.check("#roles-clerk")
        page.locator("main button[type=submit]").click()
        page.locator("#link").wait_for()
        look("new-link")
        page.goto(site.url + "/office/accounts")
        page.get_by_role("link", name="Max Beispiel").click()
        page.locator("main form").first.wait_for()
        look("one-account")
        page.locator(".head__out").click()
        page.wait_for_url("**/office/login**")
        look("logged-out")
        page.fill("#login", "erika")
        page.fill("#password", PASSWORD)
        page.locator("main button[type=submit]").click()
        page.wait_for_url("**/office/login/code")
        look("code")
        page.fill("#code", code(page, secret, city))
        page.locator("main button[type=submit]").click()
        page.wait_for_url("**/office")
        assert complaints == []


@SQLITE
def test_by_keyboard_alone(chromium: Browser, site: Site, city: City) -> None:
    link = link_for(site, "erika", Role.CLERK)
    with context(chromium, viewport=DESKTOP) as browser:
        page = browser.new_page()
        secret = first_visit(page, site, city, link)
        page.locator(".head__out").press("Enter")
        page.wait_for_url("**/office/login**")
        tab_to(page, "login")
        page.keyboard.press("Enter")
        expect(page.locator("#errors")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#login")).to_be_focused()
        page.keyboard.type("erika")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/office/login/code")
        tab_to(page, "code")
        page.keyboard.type(code(page, secret, city))
        page.keyboard.press("Enter")
        page.wait_for_url("**/office")
        page.keyboard.press("Tab")
        expect(page.get_by_text("Zum Inhalt springen", exact=True)).to_be_focused()


@SQLITE
def test_without_javascript(chromium: Browser, site: Site, city: City) -> None:
    number = running_numbers(site.application)[0]
    link = link_for(site, "erika", Role.CLERK)
    with context(chromium, java_script_enabled=False, viewport=DESKTOP) as browser:
        page = browser.new_page()
        first_visit(page, site, city, link)
        page.get_by_role("link", name="Zur Suche").click()
        page.fill("#q", number)
        page.get_by_role("button", name="Suchen").click()
        page.get_by_role("link", name=number).click()
        page.wait_for_url(f"**/office/passes/{PERMIT}/{number}")
        page.get_by_role("button", name="Abmelden").click()
        page.wait_for_url("**/office/login**")
