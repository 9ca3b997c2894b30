# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""Zones, fees, devices, keys and print runs in a real browser: axe, narrow and wide, light and dark, by keyboard.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import update

from issuer.application import Application
from issuer.models import HolderRow
from issuer.printing import making, runs
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
)
from tests.issuer.console.test_browser import first_visit, link_for, picture
from tests.service import City
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]


def submit(page: Page) -> None:
    page.locator("main form.form button[type=submit]").last.click()


@pytest.mark.parametrize(("language", "size", "scheme"), [("de", NARROW, "dark"), ("en", DESKTOP, "light")])
@SQLITE
def test_every_page(
    chromium: Browser, site: Site, city: City, language: str, size: dict[str, int], scheme: str
) -> None:
    locale = {"de": "de-DE", "en": "en-GB"}[language]
    name = f"admin-{language}-{size['width']}"
    with context(chromium, viewport=size, locale=locale, color_scheme=scheme) as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on(
            "console", lambda one: complaints.append(one.text) if "Content Security" in one.text else None
        )

        def look(what: str) -> None:
            picture(page, f"{name}-{what}")
            check(page, what, language)

        first_visit(page, site, city, link_for(site, "erika", *Role))
        office = site.url + "/office"
        for path in (
            "zones",
            "zones/MÜ",
            "fees",
            "streets?street=Hauptstr&number=1",
            "kinds",
            "keys",
            "devices",
        ):
            page.goto(f"{office}/{path}")
            look(path.partition("?")[0].replace("/", "-"))
        # A zone is merged: form, mistake, preview, confirmation.
        page.goto(f"{office}/zones/GÄ/change?what=merge")
        submit(page)
        expect(page.locator("#errors")).to_be_focused()
        look("zone-errors")
        page.select_option("#merged_into", "MÜ")
        page.fill("#valid_from", "2027-06-01")
        submit(page)
        expect(page.locator("#preview")).to_be_visible()
        look("zone-preview")
        page.locator("form[method=post][action='/office/zones'] button").click()
        page.wait_for_url("**?done=changed")
        look("zone-changed")
        page.goto(f"{office}/fees/change?channel=online&term_months=12")
        page.fill("#euros", "30,70")
        submit(page)
        expect(page.locator("#preview")).to_be_visible()
        look("fee-preview")
        page.goto(f"{office}/devices/new")
        submit(page)
        expect(page.locator("#errors")).to_be_focused()
        look("device-errors")
        page.fill("#name", "Handgerät 7")
        submit(page)
        expect(page.locator(".code img")).to_be_visible()
        look("device-invited")
        page.goto(f"{office}/devices")
        page.get_by_role("link", name="Handgerät 7").click()
        expect(page.locator("#digits")).to_be_visible()
        look("device")
        _print(page, site, office, look)
        assert complaints == []


def _print(page: Page, site: Site, office: str, look: object) -> None:
    application: Application = site.application
    assert callable(look)
    with application.writing() as session:
        session.execute(
            update(HolderRow).where(HolderRow.tenant == application.tenant).values(email="x@y.example")
        )
        refs = session.execute(
            HolderRow.__table__.select().where(HolderRow.tenant == application.tenant).limit(3)
        ).all()
        session.execute(
            update(HolderRow)
            .where(HolderRow.tenant == application.tenant, HolderRow.ref.in_([one.ref for one in refs]))
            .values(email="")
        )
    page.goto(f"{office}/print")
    look("print")
    submit(page)
    expect(page.locator("#found")).to_be_visible()
    look("print-found")
    page.locator("form[method=post][action='/office/print'] button").click()
    page.wait_for_url("**?done=begun")
    expect(page.locator("#bar")).to_be_visible()
    look("print-waits")
    with application.reading() as session:
        [run_id] = runs.outstanding(session, application.tenant)
    making.run_task(application, {"id": run_id})
    # The page asks again by itself.
    expect(page.locator("#first")).to_be_visible(timeout=20_000)
    look("print-done")


@SQLITE
def test_a_fee_by_keyboard_and_without_javascript(chromium: Browser, site: Site, city: City) -> None:
    with context(chromium, java_script_enabled=False, viewport=DESKTOP) as browser:
        page = browser.new_page()
        first_visit(page, site, city, link_for(site, "erika", Role.SUPERVISOR))
        page.goto(site.url + "/office/fees/change?channel=online&term_months=12")
        page.locator("#euros").focus()
        page.keyboard.press("Control+A")
        page.keyboard.type("30,70")
        page.keyboard.press("Enter")
        expect(page.locator("#preview")).to_be_visible()
        page.locator("form[method=post][action='/office/fees'] button").press("Enter")
        page.wait_for_url("**/office/fees?done=changed")
        page.get_by_role("button", name="Zurücknehmen").press("Enter")
        page.wait_for_url("**/office/fees?done=undone")
        expect(page.get_by_text("Es ist nichts vorgesehen.")).to_be_visible()
