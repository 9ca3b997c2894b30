# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""The holder's pages in a real browser: automated accessibility checks, narrow screens, keyboard, no JavaScript.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, expect

from issuer import lifecycle
from issuer.lifecycle import Actor
from issuer.models import PassRow
from issuer.pickup.codes import create_letter_code, grouped
from tests.browsers import (
    ANDROID,
    DESKTOP,
    IPHONE,
    NARROW,
    SAVE,
    SQLITE,
    Site,
    check,
    chromium,
    context,
    is_wider_than_screen,
    open_pass,
    site,
    tab_to,
)
from tests.service import CARD, PERMIT, TODAY, running_numbers
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@SQLITE
def test_every_page_and_state(chromium: Browser, site: Site, language: str, scheme: str) -> None:
    numbers = running_numbers(site.application)
    locale = {"de": "de-DE", "en": "en-GB"}[language]
    with context(chromium, viewport=NARROW, locale=locale, color_scheme=scheme) as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on(
            "console", lambda one: complaints.append(one.text) if "Content Security" in one.text else None
        )
        for path in (
            "/",
            "/p",
            "/p/code",
            "/p/new",
            "/p/new/sent",
            "/p/ended",
            "/p/pass",
            "/p/l/" + "x" * 22,
        ):
            page.goto(site.url + path)
            check(page, path, language)
        page.goto(site.url + "/p/code")
        page.fill("#code", "abcd")
        page.locator("form button").click()
        check(page, "code with errors", language)
        page.goto(site.url + "/p/new")
        page.locator("form button").click()
        check(page, "new link with errors", language)
        page.goto(site.link(numbers[0]))
        check(page, "link", language)
        open_pass(page, site, numbers[0])
        for path in ("/p/pass", "/p/pass/phone", "/p/pass/wallets", "/p/pass/devices", "/p/pass/data"):
            page.goto(site.url + path)
            check(page, path, language)
        page.goto(site.url + "/p/pass/phone")
        page.locator("main form button").click()
        page.locator("main img").wait_for()
        check(page, "code to scan", language)
        page.goto(site.url + "/p/pass")
        page.locator("#offer-phone button").click()
        page.locator("#phone-code img").wait_for()
        check(page, "code to scan in the page", language)
        page.goto(site.url + "/p/pass/wallets")
        page.locator("main form button").click()
        page.wait_for_url("**done=removed")
        check(page, "withdrawn", language)
        page.goto(site.url + "/p/pass/apple.pkpass")
        check(page, "not offered", language)
        page.goto(site.url + "/p/pass/devices")
        page.locator("main form button").click()
        page.wait_for_url("**done=dropped")
        check(page, "dropped", language)
        with site.application.writing() as session:
            lifecycle.suspend(
                session, site.application.tenant, PERMIT, numbers[0], actor=Actor("t", TODAY, "Test")
            )
        page.goto(site.url + "/p/pass")
        check(page, "suspended", language)
        assert complaints == []


@SQLITE
def test_wide_screen_and_library_card(chromium: Browser, site: Site) -> None:
    number = running_numbers(site.application, CARD)[0]
    with context(chromium, viewport=DESKTOP) as browser:
        page = browser.new_page()
        open_pass(page, site, number, CARD)
        check(page, "card", "de")


@SQLITE
def test_forced_colours(chromium: Browser, site: Site) -> None:
    number = running_numbers(site.application)[0]
    with context(chromium, forced_colors="active") as browser:
        page = browser.new_page()
        open_pass(page, site, number)
        check(page, "forced colours", "de")


@SQLITE
def test_text_twice_as_large_needs_no_sideways_scrolling(chromium: Browser, site: Site) -> None:
    number = running_numbers(site.application)[0]
    with context(chromium, viewport={"width": 640, "height": 800}) as browser:
        page = browser.new_page()
        open_pass(page, site, number)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert not is_wider_than_screen(page)


def test_without_javascript_everything_works(chromium: Browser, site: Site) -> None:
    number = running_numbers(site.application)[0]
    with context(chromium, java_script_enabled=False, user_agent=ANDROID, accept_downloads=True) as browser:
        page = browser.new_page()
        page.goto(site.link(number))
        page.get_by_role("button", name="Ausweis öffnen").click()
        page.wait_for_url("**/p/pass")
        with page.expect_download() as download:
            page.get_by_role("link", name="PDF herunterladen").click()
        assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
        with page.expect_download() as download:
            page.get_by_role("link", name="Zu Apple Wallet hinzufügen").click()
        assert Path(download.value.path()).read_bytes().startswith(b"PK")
        page.get_by_role("button", name="Code anzeigen").click()
        assert page.get_by_role("img").get_attribute("src", timeout=5000).startswith("data:image/png;base64,")
        page.get_by_role("link", name="Zurück zum Ausweis").click()
        # The policy for forms lets the redirect to Google through: otherwise it is not asked for at all.
        with page.expect_request(SAVE):
            page.get_by_role("button", name="Zu Google Wallet hinzufügen").click()
        page = browser.new_page()
        page.goto(site.url + "/p/pass")
        page.get_by_role("button", name="Besuch beenden").click()
        page.wait_for_url("**/p/ended")


@SQLITE
def test_keyboard_alone(chromium: Browser, site: Site) -> None:
    number = running_numbers(site.application)[0]
    with site.application.writing() as session:
        code = create_letter_code(session, site.application, PERMIT, number)
    with site.application.reading() as session:
        row = session.get(PassRow, (site.application.tenant, PERMIT, number))
        assert row is not None
        last = row.period_last
    with context(chromium, viewport=DESKTOP) as browser:
        page = browser.new_page()
        page.goto(site.url + "/p")
        page.keyboard.press("Tab")
        expect(page.get_by_text("Zum Inhalt springen", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        # The first link of the page is the one to apply for a permit.
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Code eingeben", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url("**/p/code")
        tab_to(page, "code")
        page.keyboard.type(grouped(code).lower())
        page.keyboard.press("Enter")
        # The summary of errors has the focus, and its links lead to the fields.
        expect(page.locator("#errors")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#day")).to_be_focused()
        assert page.locator("#code").input_value() == grouped(code)
        for part in (last.day, last.month, last.year):
            page.keyboard.type(str(part))
            page.keyboard.press("Tab")
        expect(page.locator("main [type=submit]")).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url("**/p/pass")


@pytest.mark.parametrize(("agent", "first"), [(IPHONE, "apple"), (ANDROID, "google"), (None, "print")])
@SQLITE
def test_the_device_decides_what_comes_first(
    chromium: Browser, site: Site, agent: str | None, first: str
) -> None:
    number = running_numbers(site.application)[0]
    options = {"user_agent": agent} if agent else {}
    with context(chromium, **options) as browser:
        page = browser.new_page()
        open_pass(page, site, number)
        offers = [one.get_attribute("id") for one in page.locator("section[id^=offer-]").all()]
        assert offers[0] == f"offer-{first}"
        assert sorted(map(str, offers)) == ["offer-apple", "offer-google", "offer-phone", "offer-print"]


@SQLITE
def test_buttons_are_large_enough_to_hit(chromium: Browser, site: Site) -> None:
    number = running_numbers(site.application)[0]
    with context(chromium) as browser:
        page = browser.new_page()
        open_pass(page, site, number)
        for one in page.locator("main button, main a").all():
            box = one.bounding_box()
            # WCAG 2.2, 2.5.8
            assert box is not None
            assert box["height"] >= 24, one.inner_text()


def test_the_scanned_code_opens_the_pass_once(chromium: Browser, site: Site, tmp_path: Path) -> None:
    number = running_numbers(site.application)[0]
    with context(chromium, viewport=DESKTOP) as desktop, context(chromium, user_agent=IPHONE) as phone:
        page = desktop.new_page()
        open_pass(page, site, number)
        page.locator("#offer-phone button").click()
        source = page.locator("#phone-code img").get_attribute("src")
        assert source is not None
        assert page.url.endswith("/p/pass")
        picture = tmp_path / "code.png"
        picture.write_bytes(base64.b64decode(source.partition(",")[2]))
        with Image.open(picture) as image:
            [read] = zxingcpp.read_barcodes(image)
        other = phone.new_page()
        other.goto(read.text)
        other.get_by_role("button", name="Ausweis öffnen").click()
        other.wait_for_url("**/p/pass")
        assert number in other.locator("main").inner_text()
        assert other.goto(read.text).status == 410


@pytest.mark.skipif(shutil.which("pdfinfo") is None, reason="needs pdfinfo (apt install poppler-utils)")
@SQLITE
def test_stored_data_can_be_printed(chromium: Browser, site: Site, tmp_path: Path) -> None:
    number = running_numbers(site.application)[0]
    with context(chromium) as browser:
        page = browser.new_page()
        open_pass(page, site, number)
        page.goto(site.url + "/p/pass/data")
        page.pdf(path=tmp_path / "data.pdf", format="A4")
    told = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "data.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout
    assert number in told
    assert "Alles als Datei" not in told
