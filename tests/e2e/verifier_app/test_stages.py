"""The verifier web app in a real browser with a camera: all verdicts online, offline, and with the server dead."""

from __future__ import annotations

import base64
import io
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, expect, sync_playwright

from tests.e2e.verifier_city import (
    EXPIRED,
    PLATES,
    REVOKED,
    VALID,
    VerifierCity,
    browser_arguments,
    code_picture,
    write_clip,
)  # fmt: skip
from tests.e2e.verifier_screens import LOOKS, NARROW, check, choose_zone, ready, show, too_wide
from tests.web_pages import CHROMIUM, needs_chromium

PHONE = {"width": 390, "height": 844}
CAMERA_SHOWS = {"NOT_A_SEAL", "VALID", "REVOKED", "SUPERSEDED", "EXPIRED", "FORGED"}

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerifierCity]:
    made = VerifierCity(tmp_path_factory.mktemp("city")).set_up()
    write_clip(made.folder / "clip.mjpeg", made.codes())
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


class Phone:
    """A browser with a profile that outlives it, and what it complained about."""

    def __init__(self, playwright: Playwright, city: VerifierCity, profile: Path) -> None:
        self.playwright, self.city, self.profile = playwright, city, profile
        self.complaints: list[str] = []
        self.network = True

    def open(self, clip: str | None = None, **options: Any) -> Page:
        film = None if clip is None else self.city.folder / clip
        self.context: BrowserContext = self.playwright.chromium.launch_persistent_context(
            self.profile, executable_path=str(CHROMIUM), headless=True,
            args=browser_arguments(film),
            **{"viewport": PHONE, "locale": "de-DE", **options},
        )  # fmt: skip
        self.context.set_default_timeout(60_000)
        self.page = self.context.pages[0]
        self.page.on("pageerror", lambda fault: self.complaints.append(str(fault)))
        self.page.on("console", self._console)
        self.page.goto(f"{self.city.url}/check/")
        return self.page

    def _console(self, message: Any) -> None:
        # With the network gone a browser says so itself, for each list that cannot be refreshed.
        lost = "net::ERR_" in message.text and not self.network
        if message.type in ("error", "warning") and not lost:
            self.complaints.append(message.text)


@pytest.fixture
def phone(playwright: Playwright, city: VerifierCity, tmp_path: Path) -> Iterator[Phone]:
    made = Phone(playwright, city, tmp_path / "profile")
    if city.process is None:
        city.start()
    yield made
    made.context.close()


def camera_round(page: Page) -> set[str]:
    """Every verdict that the camera's clip leads to, each seen at least once."""
    found: set[str] = set()
    for _ in range(20):
        verdict = page.locator(".verdict")
        verdict.wait_for()
        found.add(str(verdict.get_attribute("data-reason")))
        if found >= CAMERA_SHOWS:
            break
        page.locator(".next").click()
    return found


def test_all_verdicts_with_and_without_the_server(phone: Phone, city: VerifierCity) -> None:
    page = phone.open("clip.mjpeg")
    ready(page)
    page.get_by_role("button", name="Prüfen beginnen").click()
    assert camera_round(page) == CAMERA_SHOWS, "online"
    assert phone.complaints == []
    phone.network = False
    phone.context.set_offline(True)
    page.reload()
    assert camera_round(page) == CAMERA_SHOWS, "offline"
    phone.context.set_offline(False)
    city.kill()
    page.reload()
    assert camera_round(page) == CAMERA_SHOWS, "server dead"
    phone.context.close()
    page = phone.open("clip.mjpeg")
    assert camera_round(page) == CAMERA_SHOWS, "browser restarted, server dead"
    page.locator(".next").click()
    page.get_by_role("button", name="Mehr").click()
    page.locator("dd[data-version]").wait_for()
    assert int(page.locator('dd[data-count="GREEN"]').inner_text()) >= 4
    assert phone.complaints == []
    city.start()


def test_every_screen_for_everybody(phone: Phone, city: VerifierCity) -> None:
    page = phone.open(viewport=NARROW)
    ready(page)
    seals = city.seals
    typed = {"GREEN": seals[VALID], "AMBER": seals[VALID], "RED": seals[REVOKED], "GREY": "12345"}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for way in ("Schicht", "Kennzeichen", "Mehr"):
            page.get_by_role("button", name=way, exact=True).click()
            check(page, f"{way}, {scheme}")
    for colour, (word, border) in LOOKS.items():
        choose_zone(page, "HO" if colour == "AMBER" else "")
        show(page, typed[colour])
        verdict = page.locator(f'.verdict[data-verdict="{colour}"]')
        verdict.wait_for()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text(word)
        expect(verdict.locator("h1")).to_be_focused()
        assert verdict.evaluate("(one) => getComputedStyle(one).borderTopStyle") == border
        assert verdict.locator("h1 svg.icon").count() == 1
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            check(page, f"{colour}, {scheme}")
        page.emulate_media(forced_colors="active", color_scheme="light")
        check(page, f"{colour}, forced colours")
        page.emulate_media(forced_colors="none")
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert not too_wide(page), f"{colour}, 200 %"
        page.evaluate("document.documentElement.style.fontSize = ''")
        page.locator(".next").click()
    assert phone.complaints == []


def test_languages_photo_scanner_and_desk(phone: Phone, city: VerifierCity, tmp_path: Path) -> None:
    page = phone.open()
    ready(page)
    # Keyboard alone: the ways come after the screen, and Enter goes there.
    page.get_by_role("button", name="Mehr", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_label("Einfaches Deutsch").check()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.get_by_label("English").check()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("heading", name="Settings").wait_for()
    page.get_by_label("Deutsch", exact=True).check()
    assert not page.locator("#set-sound").is_checked()
    page.get_by_label("Thekenbetrieb").check()
    page.get_by_role("button", name="Scannen", exact=True).click()
    # A permit does not count at the library; and that stays until somebody goes on.
    page.locator("#typed").fill(city.seals[VALID])
    page.locator(".typein button").click()
    page.locator('.verdict[data-reason="WRONG_TYPE"]').wait_for()
    page.locator(".next").click()
    page.locator("#typed").fill("24711300000134")
    page.locator(".typein button").click()
    expect(page.locator(".verdict[data-verdict=GREY]")).to_contain_text("Bibliothekssystem")
    page.locator(".next").click()
    picture = tmp_path / "card.png"
    code_picture(city.seals["M-1"]).save(picture)
    page.locator("#photo").set_input_files(picture)
    page.locator('.verdict[data-reason="VALID"] .card').wait_for()
    expect(page.locator(".verdict .card")).to_have_text(re.compile("^[A-Z0-9]+$"))
    # Valid, so the desk goes on by itself.
    expect(page.get_by_role("heading", name="Bibliotheksausweis")).to_be_visible(timeout=20_000)
    assert phone.complaints == []


def test_a_camera_that_was_lost_and_a_photo_that_is_late(phone: Phone, city: VerifierCity) -> None:
    page = phone.open()
    ready(page)
    page.get_by_role("button", name="Prüfen beginnen").click()
    check(page, "Scannen")
    # Another app takes the camera away: it can be taken back, with the zoom as it was.
    page.locator("#zoom").fill("2")
    page.evaluate(
        "document.querySelector('video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))"
    )
    expect(page.locator(".frame")).to_be_hidden()
    page.get_by_role("button", name="Kamera wieder öffnen").click()
    expect(page.locator(".frame")).to_be_visible()
    expect(page.locator("#zoom")).to_have_value("2")
    # A photo is still being read when somebody has typed a code: it changes nothing any more.
    data = io.BytesIO()
    code_picture(city.seals[VALID]).resize((3840, 2160)).save(data, "PNG")
    chooser = page.evaluate_handle(
        """([picture, typed]) => {
        const chooser = document.querySelector('#photo');
        const chosen = new DataTransfer();
        const data = Uint8Array.from(atob(picture), (one) => one.charCodeAt(0));
        chosen.items.add(new File([data], 'seal.png', { type: 'image/png' }));
        chooser.files = chosen.files;
        chooser.dispatchEvent(new Event('change'));
        document.querySelector('#typed').value = typed;
        document.querySelector('.typein').requestSubmit();
        return chooser;
        }""",
        [base64.b64encode(data.getvalue()).decode(), city.seals[REVOKED]],
    )
    page.locator('.verdict[data-reason="REVOKED"]').wait_for()
    page.wait_for_function("(one) => one.value === ''", arg=chooser)
    assert page.locator(".verdict").get_attribute("data-reason") == "REVOKED"
    # An invitation that the app itself reads opens enrolling.
    page.locator(".next").click()
    page.locator("#typed").fill(f"{city.url}/check/#enrol={'x' * 22}.{city.root_kid()}")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Dieses Gerät anmelden").wait_for()
    assert phone.complaints == []


def test_a_new_version_waits_for_a_tap(phone: Phone, city: VerifierCity) -> None:
    page = phone.open()
    ready(page)
    files = page.evaluate("fetch('files.json').then((one) => one.json())")
    css = page.evaluate("fetch('app.css?now').then((one) => one.text())") + "\n/* newer */\n"
    files["files"]["app.css"] = page.evaluate(
        """async (text) => Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256',
        new TextEncoder().encode(text))), (one) => one.toString(16).padStart(2, '0')).join('')""",
        css,
    )
    old, files["version"] = files["version"], "new"

    def serve_new() -> None:
        phone.context.route("**/check/files.json*", lambda route: route.fulfill(json=files))
        phone.context.route(
            "**/check/app.css", lambda route: route.fulfill(body=css, content_type="text/css")
        )

    def expect_version(on: Page, version: str) -> None:
        on.get_by_role("button", name="Mehr", exact=True).click()
        expect(on.locator("dd[data-version]")).to_have_text(version)

    serve_new()
    page.reload()
    update = page.get_by_role("button", name="Neue Version: neu starten")
    update.wait_for()
    page.reload()
    update.wait_for()
    expect_version(page, old)
    # All pages closed, the browser swaps workers by itself; the version that was chosen stays.
    phone.context.close()
    page = phone.open()
    serve_new()
    update = page.get_by_role("button", name="Neue Version: neu starten")
    update.wait_for()
    page.reload()
    update.wait_for()
    expect_version(page, old)
    # Another page shows a verdict meanwhile: it follows when that is left.
    other = phone.context.new_page()
    other.goto(f"{city.url}/check/")
    other.get_by_role("button", name="Scannen", exact=True).click()
    show(other, city.seals[VALID])
    other.locator(".verdict").wait_for()
    with page.expect_navigation():
        update.click()
    expect_version(page, "new")
    other.locator(".verdict").wait_for()
    with other.expect_navigation():
        other.locator(".next").click()
    expect_version(other, "new")
    assert [one for one in page.evaluate("caches.keys()") if old in one] == []


def test_enrolment_and_plates(phone: Phone, city: VerifierCity) -> None:
    invited = json.loads(
        city.command("devices", "invite", "Streife 1", "--role", "warden", "--zone", "BÖ", "--json")
    )
    page = phone.open()
    ready(page)
    page.goto(f"{city.url}/check/#enrol={invited['code']}.{city.root_kid()}")
    page.get_by_role("button", name="Dieses Gerät anmelden").click()
    code = page.locator(".check-code").inner_text()
    city.command("devices", "confirm", invited["id"], code)
    # Confirmed: the device notices by itself, and a shift begins with a PIN of one's own.
    page.locator("#pin").fill("135790")
    page.locator("#pin-again").fill("135790")
    problem = {"status": 401, "code": "DEVICE_CLOCK"}
    phone.context.route(
        "**/check/leases",
        lambda route: route.fulfill(status=401, json=problem, content_type="application/problem+json"),
        times=1,
    )
    phone.network = False
    page.get_by_role("button", name="Schicht beginnen").click()
    expect(page.locator("[data-vault] [role=alert]")).to_contain_text("Stellen Sie Datum und Uhrzeit")
    phone.network = True
    page.locator("#pin").fill("135790")
    page.locator("#pin-again").fill("135790")
    page.get_by_role("button", name="Schicht beginnen").click()
    page.locator('[data-vault="open"]').wait_for()
    # Enrolled for a zone, the shift needs one.
    expect(page.locator("#zone option").first).to_have_text("bitte wählen")
    page.get_by_role("button", name="Prüfen beginnen").click()
    page.get_by_text("Wählen Sie das Gebiet dieser Schicht.").wait_for()
    page.locator("#zone").select_option("BÖ")
    page.get_by_role("button", name="Prüfen beginnen").click()
    page.locator("#typed").wait_for()
    phone.network = False
    city.kill()
    page.reload()
    page.locator("#pin").fill("135790")
    page.get_by_role("button", name="Entsperren").click()
    page.locator('[data-vault="open"]').wait_for()
    page.get_by_role("button", name="Kennzeichen", exact=True).click()
    # O for 0 is put right, and shown.
    page.locator("input.plate").fill("D-0B 123")
    page.get_by_role("button", name="Prüfen", exact=True).click()
    verdict = page.locator('.verdict[data-reason="VALID"]')
    expect(verdict).to_contain_text(PLATES[VALID])
    expect(verdict).to_contain_text("D-0B 123")
    # What was withdrawn or has ended is in no plate list.
    for plate in (PLATES[REVOKED], PLATES[EXPIRED]):
        page.locator(".next").click()
        page.get_by_role("button", name="Kennzeichen", exact=True).click()
        page.locator("input.plate").fill(plate)
        page.get_by_role("button", name="Prüfen", exact=True).click()
        page.locator('.verdict[data-reason="NOT_LISTED"]').wait_for()
    # A service that knows of no lease, as after a restore: the list goes, and a new shift begins.
    with closing(sqlite3.connect(city.folder / "data" / "register.db")) as register, register:
        assert register.execute("UPDATE verifier_devices SET lease_until = NULL").rowcount == 1
    city.start()
    page.locator(".next").click()
    page.get_by_role("button", name="Schicht", exact=True).click()
    page.get_by_role("button", name="Listen laden").click()
    page.get_by_text("Die Schicht ist zu Ende").wait_for()
    page.locator("#pin").fill("975310")
    page.locator("#pin-again").fill("975310")
    page.get_by_role("button", name="Schicht beginnen").click()
    page.locator('[data-vault="open"]').wait_for()
    expect(page.locator('[data-check="plates"]')).to_have_attribute("data-ok", "yes")
    # The fifth wrong PIN takes the list, and says so.
    page.get_by_role("button", name="Jetzt sperren").click()
    for left in (4, 3, 2, 1):
        page.locator("#pin").fill("000000")
        page.get_by_role("button", name="Entsperren").click()
        page.get_by_text(f"Noch {left} Versuche").wait_for()
    page.locator("#pin").fill("000000")
    page.get_by_role("button", name="Entsperren").click()
    page.locator('[data-vault="empty"]').wait_for()
    expect(page.locator("[data-vault] [role=alert]")).to_contain_text("Zu viele Versuche")
    city.command("devices", "lock", invited["id"])
    phone.network = True
    page.get_by_role("button", name="Listen laden").click()
    page.get_by_text("Dieses Gerät ist gesperrt").first.wait_for()
    assert page.locator("[data-vault]").count() == 0
