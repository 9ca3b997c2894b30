# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""The pages of a family in a real browser: accessibility, narrow screens, keyboard, no JavaScript.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from issuer import lifecycle
from issuer.application import Application
from issuer.lifecycle import Actor
from issuer.pickup.family import family_link
from issuer.pickup.links import Channel
from tests.browsers import (
    ANDROID,
    DESKTOP,
    NARROW,
    PHONE,
    SAVE,
    SQLITE,
    Site,
    check,
    chromium,
    context,
    site,
    tab_to,
)
from tests.issuer.pickup.families import SAFARI, family, without_consent
from tests.service import CARD, TODAY
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]


def link(site: Site, guardian: str) -> str:
    with site.application.writing() as session:
        return family_link(session, site.application, CARD, guardian, Channel.DESK)


def open_family(page: Page, site: Site, guardian: str) -> None:
    page.goto(link(site, guardian))
    page.locator("form button[type=submit]").click()
    page.wait_for_url("**/p/family")


def suspend(application: Application, number: str) -> None:
    with application.writing() as session:
        lifecycle.suspend(session, application.tenant, CARD, number, actor=Actor("t", TODAY, "lost"))


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, PHONE, DESKTOP], ids=["320", "390", "1200"])
@SQLITE
def test_every_page_and_state(
    chromium: Browser, site: Site, language: str, scheme: str, size: dict[str, int]
) -> None:
    numbers = family(site.application, 4)
    suspend(site.application, numbers[3])
    without_consent(site.application, numbers[4])
    locale = {"de": "de-DE", "en": "en-GB"}[language]
    with context(chromium, viewport=size, locale=locale, color_scheme=scheme, user_agent=SAFARI) as browser:
        page = browser.new_page()
        page.goto(link(site, numbers[0]))
        check(page, "link", language)
        open_family(page, site, numbers[0])
        check(page, "family", language)
        expect(page.locator("#all-apple a")).to_be_visible()
        expect(page.locator("#left-out li")).to_have_count(2)
        page.locator("#all-phone button").click()
        page.locator("#phone-code img").wait_for()
        check(page, "code in the page", language)
        page.goto(site.url + "/p/family/phone")
        check(page, "phone", language)
        page.locator("main form button").click()
        page.locator("main img").wait_for()
        check(page, "code", language)
        page.goto(site.url + f"/p/family/card/{numbers[1]}/show")
        page.locator("main .show img").wait_for()
        check(page, "code of a card", language)
        page.goto(site.url + "/p/family/card/M999999/card.pdf")
        check(page, "no card", language)
        page.goto(site.url + "/p/pass")
        check(page, "own card", language)
        suspend(site.application, numbers[0])
        for number in numbers[1:3]:
            without_consent(site.application, number)
        page.goto(site.url + "/p/family")
        check(page, "nothing to load", language)


def test_without_javascript_everything_works(chromium: Browser, site: Site) -> None:
    numbers = family(site.application)
    with context(chromium, java_script_enabled=False, user_agent=SAFARI, accept_downloads=True) as browser:
        page = browser.new_page()
        page.goto(link(site, numbers[0]))
        page.get_by_role("button", name="Ausweise öffnen").click()
        page.wait_for_url("**/p/family")
        with page.expect_download() as download:
            page.get_by_role("link", name="Alle zu Apple Wallet hinzufügen").click()
        assert download.value.suggested_filename == f"{numbers[0]}.pkpasses"
        with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as bundle:
            assert len(bundle.namelist()) == 3
        with page.expect_download() as download:
            page.get_by_role("link", name="Alle als PDF herunterladen").click()
        assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
        with page.expect_download() as download:
            page.get_by_role("link", name=f"{numbers[1]} zu Apple Wallet hinzufügen").click()
        assert download.value.suggested_filename == f"{numbers[1]}.pkpass"
        page.get_by_role("button", name="Code anzeigen").click()
        assert page.get_by_role("img").get_attribute("src", timeout=5000).startswith("data:image/png;base64,")
        page.get_by_role("link", name="Zurück zu den Ausweisen der Familie").click()
        with page.expect_request(SAVE):
            page.get_by_role("button", name="Alle zu Google Wallet hinzufügen").click()
        page = browser.new_page()
        page.goto(site.url + "/p/family")
        page.get_by_role("button", name="Besuch beenden").click()
        page.wait_for_url("**/p/ended")


@SQLITE
def test_keyboard_alone(chromium: Browser, site: Site) -> None:
    numbers = family(site.application)
    with context(chromium, user_agent=ANDROID) as browser:
        page = browser.new_page()
        page.goto(link(site, numbers[0]))
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/p/family")
        # From the top of the page everything comes in the order in which it is seen.
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        names = []
        for _ in range(18):
            page.keyboard.press("Tab")
            names.append(page.evaluate("document.activeElement.innerText"))
        assert names[:3] == [
            "Alle zu Google Wallet hinzufügen",
            "Alle als PDF herunterladen",
            "Code anzeigen",
        ]
        of_cards = [one for one in names if one.startswith("M5")]
        assert of_cards == [
            f"{number} {what}"
            for number in numbers
            for what in ("zu Google Wallet hinzufügen", "als PDF herunterladen", "zu Apple Wallet hinzufügen")
        ]
        shown = [one for one in names if one.endswith("vorzeigen")]
        assert shown == [f"Ausweis {number} vorzeigen" for number in numbers]


def test_the_scanned_code_brings_the_family_to_the_phone(
    chromium: Browser, site: Site, tmp_path: Path
) -> None:
    numbers = family(site.application)
    with context(chromium, viewport=DESKTOP) as desktop, context(chromium, user_agent=SAFARI) as phone:
        page = desktop.new_page()
        open_family(page, site, numbers[0])
        expect(page.locator("#all-apple")).to_have_count(0)
        page.locator("#all-phone button").click()
        source = page.locator("#phone-code img").get_attribute("src")
        assert source is not None
        picture = tmp_path / "code.png"
        picture.write_bytes(base64.b64decode(source.partition(",")[2]))
        with Image.open(picture) as image:
            [read] = zxingcpp.read_barcodes(image)
        other = phone.new_page()
        other.goto(read.text)
        other.get_by_role("button", name="Ausweise öffnen").click()
        other.wait_for_url("**/p/family")
        expect(other.locator("#all-apple a")).to_be_visible()
        assert other.goto(read.text).status == 410  # type: ignore[union-attr]
