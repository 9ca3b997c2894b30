# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""Applying for a permit in a real browser: on a phone by keyboard alone with axe on every page; without JavaScript.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from issuer.cases import issue, steps
from issuer.cases.store import CaseActor
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
from tests.issuer.apply.applicant import Applicant, Other
from tests.issuer.cases.test_evidence import PAPER
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]
FILE = {"name": "brief.jpg", "mimeType": "image/jpeg", "buffer": PAPER.data}
NEXT = "Speichern und weiter"


def picture(page: Page, name: str) -> None:
    """Keep a picture of the page where a person who looks at them wants them."""
    folder = os.environ.get("APPLY_PICTURES")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def typed(page: Page, field: str, text: str) -> None:
    """Go to a field with the tab key and type."""
    tab_to(page, field)
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def chosen(page: Page, field: str) -> None:
    """Go to a choice with the tab key and choose it."""
    if page.locator(f"#{field}").is_checked():
        return
    group = page.locator(f"#{field}").get_attribute("name")
    first = page.locator(f"input[name={group}]").first.get_attribute("id")
    assert first is not None
    tab_to(page, first)
    page.keyboard.press("Space")
    for _ in range(8):
        if page.locator(f"#{field}").is_checked():
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(field)


@SQLITE
def test_on_a_phone_by_keyboard_alone(chromium: Browser, site: Site) -> None:
    other = Other(site.application)
    with context(chromium, viewport=NARROW) as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on(
            "console", lambda one: complaints.append(one.text) if "Content Security" in one.text else None
        )

        def look(name: str) -> None:
            picture(page, name)
            check(page, name, "de")

        def on(path: str, title: str) -> None:
            page.wait_for_url(f"**/apply/{path}**")
            expect(page.get_by_role("heading", level=1)).to_contain_text(title)

        page.goto(site.url + "/apply/new")
        look("new-link")
        page.goto(site.url + "/apply")
        look("start")
        page.get_by_role("button", name="Antrag beginnen").press("Enter")
        on("address", "Wo wohnen Sie?")
        look("address")
        page.get_by_role("button", name=NEXT).press("Enter")
        expect(page.locator("#errors")).to_be_focused()
        look("address-errors")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#street")).to_be_focused()
        # While one types: what could be meant, then the zone.
        page.keyboard.type("Börsenwisenweg")
        expect(page.locator("#zone")).to_contain_text("Was meinen Sie?")
        look("address-suggestions")
        chosen(page, "street_choice-1")
        typed(page, "house_number", "31")
        typed(page, "street", "Börsenwiesenweg")
        typed(page, "postal_code", "40470")
        expect(page.locator("#zone")).to_contain_text("Bewohnerparkgebiet BÖ")
        look("address-zone")
        page.keyboard.press("Enter")
        on("person", "Wer beantragt")
        look("person")
        typed(page, "given_name", "Erika")
        typed(page, "family_name", "Mustermann")
        page.keyboard.press("Enter")
        on("link", "So kommen Sie wieder hierher")
        look("keep-link")
        page.get_by_role("button", name="Link anzeigen").press("Enter")
        expect(page.locator("#shown")).to_be_visible()
        look("keep-link-shown")
        page.get_by_role("link", name="Weiter").press("Enter")
        on("kind", "Welchen Ausweis")
        look("kind")
        chosen(page, "permit_kind-1")
        page.keyboard.press("Enter")
        on("plates", "Kennzeichen")
        typed(page, "plate_1", "D-0I 101")
        expect(page.locator("#plate_1-answer")).to_contain_text("Welches Kennzeichen meinen Sie?")
        look("plates-ask")
        typed(page, "plate_1", "d xy 77e")
        expect(page.locator("#plate_1-answer")).to_contain_text("Gelesen als D-XY 77E")
        look("plates")
        page.keyboard.press("Enter")
        on("car", "Fahrzeug und Wohnung")
        look("car")
        chosen(page, "keeper-2")
        chosen(page, "residence-1")
        page.keyboard.press("Enter")
        on("term", "Wie lange")
        look("term")
        chosen(page, "term_months-1")
        page.keyboard.press("Enter")
        on("documents", "Nachweise")
        page.set_input_files("#document", [FILE])
        page.get_by_role("button", name="Hochladen").press("Enter")
        expect(page.locator("#errors")).to_contain_text("was das für ein Nachweis ist")
        look("documents-errors")
        chosen(page, "evidence_type-1")
        page.set_input_files("#document", [FILE])
        page.get_by_role("button", name="Hochladen").press("Enter")
        expect(page.get_by_role("status")).to_contain_text("hochgeladen")
        look("documents")
        page.get_by_role("link", name="Weiter zur Übersicht").press("Enter")
        on("summary", "Prüfen und absenden")
        look("summary")
        page.get_by_role("button", name="Antrag absenden").press("Enter")
        expect(page.locator("#errors")).to_be_focused()
        look("summary-errors")
        tab_to(page, "confirm")
        page.keyboard.press("Space")
        page.get_by_role("button", name="Antrag absenden").press("Enter")
        on("case", "Ihr Antrag")
        expect(page.locator("#state")).to_have_text("Ihr Antrag ist eingegangen")
        look("case-received")
        case = Applicant(site.application).case()
        page.goto(site.url + "/apply/case/withdraw")
        look("withdraw")
        other.do(steps.ask_documents, case, ["keeper"])
        for path in ("case", "documents"):
            page.goto(f"{site.url}/apply/{path}")
            look(f"asked-{path}")
        page.get_by_role("button", name="Nachweise abgeben").press("Enter")
        on("case", "Ihr Antrag")
        other.approve(case)
        page.goto(site.url + "/apply/case")
        look("case-to-pay")
        page.get_by_role("button", name="Jetzt bezahlen").press("Enter")
        page.wait_for_url("**/payments/**")
        with site.application.writing() as session:
            actor = CaseActor("payment:demo", site.application.now())
            issue.paid(session, site.application, case.id, actor)
        page.goto(site.url + "/apply/case")
        expect(page.locator("#state")).to_have_text("Ihr Ausweis ist ausgestellt")
        look("case-issued")
        page.get_by_role("button", name="Ausweis abholen").press("Enter")
        page.get_by_role("button", name="Ausweis öffnen").press("Enter")
        page.wait_for_url("**/p/pass")
        assert complaints == []


@SQLITE
def test_without_javascript_on_a_dark_desk(chromium: Browser, site: Site) -> None:
    options = {"java_script_enabled": False, "viewport": DESKTOP, "color_scheme": "dark", "locale": "en-GB"}
    with context(chromium, **options) as browser:
        page = browser.new_page()

        def go() -> None:
            page.get_by_role("button", name="Save and go on").click()

        page.goto(site.url + "/")
        page.get_by_role("link", name="Apply for a resident parking permit").click()
        page.get_by_role("button", name="Begin the application").click()
        page.fill("#street", "Börsenwisenweg")
        page.fill("#house_number", "31")
        page.fill("#postal_code", "40470")
        go()
        expect(page.locator("#errors")).to_contain_text("Börsenwiesenweg")
        picture(page, "desk-address")
        page.get_by_label("Börsenwiesenweg", exact=True).check()
        go()
        page.fill("#family_name", "Mustermann")
        page.fill("#email", "erika@example.org")
        go()
        expect(page.get_by_role("status")).to_contain_text("sent you a link")
        page.check("#permit_kind-1")
        go()
        page.fill("#plate_1", "CEE1234")
        go()
        page.get_by_label("C-EE 1234").check()
        picture(page, "desk-plate")
        go()
        page.check("#keeper-1")
        page.check("#residence-1")
        go()
        page.check("#term_months-2")
        picture(page, "desk-term")
        go()
        page.check("#evidence_type-1")
        page.set_input_files("#document", [FILE])
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("status")).to_contain_text("uploaded")
        page.get_by_role("button", name="Remove").click()
        expect(page.get_by_role("status")).to_contain_text("removed")
        page.get_by_role("link", name="On to the overview").click()
        expect(page.locator(".fee")).to_contain_text("€50.00 for 24 months")
        page.get_by_role("link", name="Change What is the plate").click()
        page.fill("#plate_1", "D-XY 77")
        go()
        page.wait_for_url("**/apply/summary")
        picture(page, "desk-summary")
        page.check("#confirm")
        page.get_by_role("button", name="Send the application").click()
        expect(page.locator("#state")).to_have_text("We have received your application")
        picture(page, "desk-case")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/apply")
