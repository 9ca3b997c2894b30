"""The verifier app in a shift: its zone, what the office says, a full storage, a scanner that puts in text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.verifier_city import CARD, PLATES, REVOKED, VALID, VerifierCity
from tests.e2e.verifier_phone import PIN, begin_shift, enrol, in_both_schemes, invite, refresh, way
from tests.e2e.verifier_screens import ready
from tests.web_pages import needs_chromium

pytestmark = [pytest.mark.slow, needs_chromium]


def answer(page: Page, path: str, status: int, **problem: object) -> None:
    """Have the service's next answer under ``path`` be a problem."""
    page.context.route(
        path,
        lambda route: route.fulfill(
            status=status, json={"status": status, **problem}, content_type="application/problem+json"
        ),
        times=1,
    )


def choose(page: Page, zone: str) -> None:
    page.locator("#zone").select_option(zone)


def test_no_check_without_the_zone_of_the_shift(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    enrol(city, page, invite(city, page, "BÖ", "HO"))
    # Chosen before the shift begins, it is the shift's.
    choose(page, "HO")
    begin_shift(page)
    expect(page.locator("#zone")).to_have_value("HO")
    way(page, "Scannen")
    page.locator("#typed").fill(city.seals[VALID])
    page.keyboard.press("Enter")
    page.locator('.verdict[data-reason="OTHER_ZONE"]').wait_for()
    page.locator(".next").click()
    # Another one, chosen while the shift runs, is this shift's as well.
    way(page, "Schicht")
    choose(page, "BÖ")
    # The next shift has none yet, and no way leads past it.
    way(page, "Jetzt sperren")
    for _ in range(5):
        page.locator("#pin").fill("000000")
        left = page.locator("[data-vault] [role=alert]")
        way(page, "Entsperren")
        expect(left).not_to_be_empty()
    page.locator("#pin-again").wait_for()
    begin_shift(page)
    expect(page.locator("#zone")).to_have_value("")
    for name in ("Scannen", "Kennzeichen"):
        way(page, name)
        expect(page.get_by_role("alert").filter(has_text="Gebiet")).to_have_text(
            "Wählen Sie das Gebiet dieser Schicht."
        )
        expect(page.locator("#zone")).to_be_focused()
        in_both_schemes(page, "zone missing")
    page.reload()
    page.locator("#pin").fill(PIN)
    way(page, "Entsperren")
    page.locator('[data-vault="open"]').wait_for()
    choose(page, "BÖ")
    way(page, "Kennzeichen")
    page.locator("input.plate").fill(PLATES[VALID])
    way(page, "Prüfen")
    page.locator('.verdict[data-reason="VALID"]').wait_for()
    page.locator(".next").click()
    # The desk is in no zone, and checks no plates.
    way(page, "Mehr")
    page.get_by_label("Thekenbetrieb").check()
    way(page, "Schicht")
    assert page.get_by_role("button", name="Kennzeichen", exact=True).count() == 0


def test_a_zone_of_others_is_none(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    choose(page, "HO")
    enrol(city, page, invite(city, page, "BÖ"))
    begin_shift(page)
    expect(page.locator("#zone option")).to_have_text(["bitte wählen", "BÖ – Börsenwiese"])
    expect(page.locator("#zone")).to_have_value("")
    way(page, "Scannen")
    expect(page.locator("#zone")).to_be_focused()


REFUSALS = {
    "DEVICE_LOCKED": "Dieses Gerät ist gesperrt. Wenden Sie sich an die Leitung.",
    "DEVICE_UNKNOWN": "Dieses Gerät ist nicht (mehr) angemeldet. Bitten Sie um eine neue Einladung.",
    "DEVICE_PENDING": "Nennen Sie diese Zahl der Person, die Sie eingeladen hat. Sie bestätigt das Gerät.",
    "DEVICE_CLOCK": "Stellen Sie Datum und Uhrzeit des Geräts auf automatisch.",
    "DEVICE_LEASE": "Das Gerät bekommt gerade keinen Schlüssel. "
    "Bitte warten Sie etwas und versuchen Sie es noch einmal.",
}


def test_why_the_office_gives_no_key(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    device = invite(city, page)
    # Not confirmed yet, the app opens where the number stands.
    way(page, "Dieses Gerät anmelden")
    code = page.locator(".check-code")
    number = code.inner_text()
    page.goto(f"{city.url}/check/")
    ready(page)
    expect(code).to_have_text(number)
    city.command("devices", "confirm", device, number)
    refresh(page)
    for code_of_problem, sentence in REFUSALS.items():
        answer(page, "**/check/leases", 401, code=code_of_problem)
        page.locator("#pin").fill(PIN)
        page.locator("#pin-again").fill(PIN)
        way(page, "Schicht beginnen")
        expect(page.locator("[data-vault] [role=alert]")).to_have_text(sentence)
    begin_shift(page)


def test_lists_came_and_plates_did_not(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    enrol(city, page, invite(city, page))
    begin_shift(page)
    expect(page.locator('[data-check="plates"]')).to_have_attribute("data-ok", "yes")
    told = page.locator(".refreshed")
    page.context.route("**/lists/plates.cwt", lambda route: route.fulfill(body=b"no list"), times=1)
    way(page, "Listen laden")
    expect(told).to_contain_text("Die neue Kennzeichenliste wurde abgelehnt")
    answer(page, "**/lists/plates.cwt", 401, code="DEVICE_CLOCK")
    way(page, "Listen laden")
    expect(told).to_contain_text("Stellen Sie Datum und Uhrzeit")
    answer(page, "**/lists/plates.cwt", 503)
    way(page, "Listen laden")
    expect(told).to_contain_text("die Kennzeichenliste kam nicht an")
    # What is here stays in use.
    expect(page.locator('[data-check="plates"]')).to_have_attribute("data-ok", "yes")
    way(page, "Listen laden")
    expect(told).to_have_text("Die Listen sind auf dem neuesten Stand.")


FULL = """() => {
  const kept = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = () => { throw new DOMException("full", "QuotaExceededError"); };
  globalThis.emptied = () => { IDBObjectStore.prototype.put = kept; };
}"""


@pytest.mark.parametrize("enrolled", [False, True], ids=["not enrolled", "in a shift"])
def test_a_full_storage_is_told_and_checks_go_on(
    phone: Callable[..., Page], city: VerifierCity, enrolled: bool
) -> None:
    page = phone()
    if enrolled:
        enrol(city, page, invite(city, page, "BÖ"))
        begin_shift(page)
    page.evaluate(FULL)
    if enrolled:
        choose(page, "BÖ")
        # A second on, what the vault notes of the time cannot be written either.
        page.wait_for_timeout(1100)
    way(page, "Listen laden")
    expect(page.locator(".refreshed")).to_have_text(
        "Der Speicher des Geräts nimmt nichts mehr an: Es bleibt bei den alten Listen."
    )
    line = page.locator('[data-check="storage"]')
    expect(line).to_have_attribute("data-ok", "no")
    expect(line).to_contain_text("Schaffen Sie Platz")
    in_both_schemes(page, "full")
    way(page, "Scannen")
    expect(page.locator(".notice")).to_contain_text("Der Speicher nimmt nichts mehr an.")
    page.locator("#typed").fill(city.seals[REVOKED])
    page.keyboard.press("Enter")
    page.locator('.verdict[data-reason="REVOKED"]').wait_for()
    page.locator(".next").click()
    way(page, "Schicht")
    if enrolled:
        way(page, "Jetzt sperren")
        page.locator('[data-vault="locked"]').wait_for()
        way(page, "Kennzeichen")
        page.locator("input.plate").fill(PLATES[VALID])
        way(page, "Prüfen")
        page.locator('.verdict[data-reason="NO_LIST"]').wait_for()
        page.locator(".next").click()
        way(page, "Schicht")
    page.evaluate("emptied()")
    way(page, "Listen laden")
    expect(page.locator(".refreshed")).to_have_text("Die Listen sind auf dem neuesten Stand.")
    expect(page.locator(".notice")).to_be_empty()


PLATFORM_AUTHENTICATOR = {
    "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": True, "hasPrf": True,
    "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


def test_every_shift_asks_the_same_passkey(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    control = page.context.new_cdp_session(page)
    control.send("WebAuthn.enable")
    finger = control.send("WebAuthn.addVirtualAuthenticator", {"options": PLATFORM_AUTHENTICATOR})
    page.reload()
    enrol(city, page, invite(city, page))

    def passkeys() -> int:
        return len(control.send("WebAuthn.getCredentials", finger)["credentials"])

    for _ in range(2):
        way(page, "Mit Passkey (Finger, Gesicht)")
        page.locator('[data-vault="open"]').wait_for()
        assert passkeys() == 1
        way(page, "Jetzt sperren")
        page.locator('[data-vault="locked"]').wait_for()
        way(page, "Mit Passkey (Finger, Gesicht)")
        page.locator('[data-vault="open"]').wait_for()
        expect(page.locator('[data-check="plates"]')).to_have_attribute("data-ok", "yes")
        # For the service the shift is over: the next one begins anew.
        answer(page, "**/lists/plates.cwt", 401, code="DEVICE_LEASE")
        way(page, "Listen laden")
        page.locator("#pin-again").wait_for()
    # Deleted in the system's settings, it does not answer; the next try makes another.
    control.send("WebAuthn.clearCredentials", finger)
    way(page, "Mit Passkey (Finger, Gesicht)")
    expect(page.locator("[data-vault] [role=alert]")).to_contain_text("Das hat nicht geklappt (PASSKEY)")
    way(page, "Mit Passkey (Finger, Gesicht)")
    page.locator('[data-vault="open"]').wait_for()
    assert passkeys() == 1


def put_in(page: Page, text: str) -> Any:
    """What an input method of a built-in scanner does: text without any key, into whatever has the focus."""
    page.keyboard.insert_text(text)
    return page.locator(".verdict")


def test_a_built_in_scanner_that_puts_in_text(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone(has_touch=True)
    way(page, "Mehr")
    page.get_by_label("Eingebauter Scanner, der Text eingibt").check()
    page.get_by_role("button", name="Scannen", exact=True).tap()
    scanner = page.get_by_role("textbox", name="Handscanner")
    expect(scanner).to_be_focused()
    assert scanner.get_attribute("inputmode") == "none"
    in_both_schemes(page, "scan with a scanner")
    expect(put_in(page, city.seals[VALID])).to_have_attribute("data-reason", "VALID")
    in_both_schemes(page, "verdict with a scanner")
    # The next one comes while a verdict still shows; some scanners end with a line's end.
    expect(put_in(page, city.seals[REVOKED] + "\n")).to_have_attribute("data-reason", "REVOKED")
    page.locator(".next").tap()
    # A tap beside a field leaves the next scan where it arrives, one into a field does not.
    page.locator("h1").focus()
    page.locator(".hint").first.tap()
    expect(scanner).to_be_focused()
    page.locator("#typed").tap()
    expect(page.locator("#typed")).to_be_focused()
    # What the app does after a tap it does in a timer: this one ends after it.
    page.evaluate("new Promise((done) => setTimeout(done))")
    # A keyboard's user stays where she is, and goes where she goes.
    page.get_by_role("button", name="Kennzeichen", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="A", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("input.plate")).to_have_value("A")
    page.wait_for_timeout(100)
    expect(page.get_by_role("button", name="A", exact=True)).to_be_focused()
    page.get_by_role("button", name="Mehr", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Einstellungen")).to_be_focused()
    page.get_by_label("Thekenbetrieb").check()
    way(page, "Scannen")
    page.get_by_role("heading", name="Bibliotheksausweis").wait_for()
    expect(put_in(page, city.seals[CARD])).to_have_attribute("data-reason", "VALID")
