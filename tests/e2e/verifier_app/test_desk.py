"""The library's desk: plain numbers by hand scanner, keyboard and camera, with the service, without it, locked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.verifier_city import (
    CARD,
    PLATES,
    VALID,
    VerifierCity,
    bars_picture,
    browser_arguments,
    code_picture,
    write_clip,
)
from tests.e2e.verifier_phone import enrol_desk, in_both_schemes, way
from tests.e2e.verifier_screens import check, show
from tests.hand_scanner import scan_by_hand
from tests.web_pages import CHROMIUM, needs_chromium

pytestmark = [pytest.mark.slow, needs_chromium]
NUMBER = "24711300000134"
FRAMED = f"A{NUMBER}B"
NOBODYS = "24711399999999"


@pytest.fixture(autouse=True)
def running(city: VerifierCity) -> Iterator[None]:
    """Each test finds the service running."""
    if city.process is None:
        city.start()
    yield


def verdict(page: Page, reason: str, colour: str) -> Any:
    found = page.locator(f'.verdict[data-reason="{reason}"]')
    expect(found).to_have_attribute("data-verdict", colour)
    return found


def answered(page: Page, status: int, **answer: object) -> None:
    """Have the service's next answer about a card be this one."""
    kind = "application/json" if status == 200 else "application/problem+json"
    body = answer if status == 200 else {"status": status, **answer}
    page.context.route(
        "**/check/cards", lambda route: route.fulfill(status=status, json=body, content_type=kind), times=1
    )


def test_a_number_online_blocked_and_with_the_server_dead(
    phone: Callable[..., Page], city: VerifierCity
) -> None:
    page = phone()
    enrol_desk(city, page)
    in_both_schemes(page, "desk that looks up")
    for scanner, text in (("US", f"*{NUMBER}*"), ("DE", NUMBER), ("US", FRAMED)):
        scan_by_hand(page, text, scanner=scanner, host="DE")
        found = verdict(page, "VALID", "GREEN")
        expect(found.locator(".card")).to_have_text(NUMBER)
        # A look-up looks like one, and says when.
        expect(found.locator(".looked-up")).to_contain_text("Nachgesehen am")
        expect(found.locator(".looked-up")).to_contain_text("kein Siegel geprüft")
        expect(found.locator(".remind")).to_contain_text("Eine Nummer beweist weder")
        expect(found.get_by_role("button", name="Nummer kopieren")).to_be_visible()
        # Valid: the desk goes on by itself.
        expect(page.get_by_role("heading", name="Bibliotheksausweis")).to_be_visible(timeout=20_000)
    show(page, f" {NUMBER[:4]} {NUMBER[4:]} ")
    verdict(page, "VALID", "GREEN")
    page.get_by_role("button", name="anhalten").click()
    in_both_schemes(page, "looked up")
    # A genuine seal says it is one, with the age of its list and no word of a look-up.
    scan_by_hand(page, city.seals[CARD], scanner="DE", host="DE")
    found = verdict(page, "VALID", "GREEN")
    expect(found).to_contain_text("Stand der Liste")
    expect(found.locator(".looked-up")).to_have_count(0)
    city.command("suspend", CARD, "--reason", "verloren")
    scan_by_hand(page, NUMBER)
    found = verdict(page, "SUSPENDED", "RED")
    expect(found).not_to_contain_text("verloren")
    in_both_schemes(page, "blocked")
    # Nothing but valid goes away by itself.
    expect(found.get_by_role("button", name="anhalten")).to_have_count(0)
    scan_by_hand(page, NOBODYS)
    in_both_schemes(page, "unknown")
    verdict(page, "CARD_UNKNOWN", "GREY")
    city.command("resume", CARD, "--reason", "gefunden")
    city.kill()
    scan_by_hand(page, NUMBER)
    found = verdict(page, "ASK_LIBRARY", "GREY")
    expect(page.get_by_role("alert")).to_contain_text("Ohne Netz lässt sich eine Nummer nicht prüfen")
    expect(page.get_by_role("alert")).to_contain_text("Bitte sehen Sie im Bibliothekssystem nach.")
    expect(found.locator(".card")).to_have_text(NUMBER)
    expect(found.get_by_role("button", name="Nummer kopieren")).to_be_visible()
    in_both_schemes(page, "server dead")
    # On the bus: a seal is checked all the same.
    scan_by_hand(page, city.seals[CARD])
    verdict(page, "VALID", "GREEN")


def test_what_is_no_card_number(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    enrol_desk(city, page)
    asked: list[str] = []
    page.on(
        "request", lambda request: asked.append(request.url) if request.url.endswith("/check/cards") else None
    )
    scan_by_hand(page, city.seals[VALID])
    verdict(page, "WRONG_TYPE", "RED")
    scan_by_hand(page, "*247113000")
    verdict(page, "CARD_MISREAD", "GREY")
    expect(page.get_by_role("alert")).to_contain_text("Unvollständig gelesen")
    in_both_schemes(page, "misread")
    # A bar code that says it is a seal is judged as one.
    scan_by_hand(page, "SP1:24711300000134")
    verdict(page, "MALFORMED", "RED")
    page.locator(".next").click()
    for text in ("https://example.org/4711", "Hallo", "Regal 7!"):
        show(page, text)
        verdict(page, "NOT_A_SEAL", "GREY")
        page.locator(".next").click()
    assert asked == []
    # A plate is no plate here: it is looked up as a number, and nobody has it.
    show(page, PLATES[VALID])
    verdict(page, "CARD_UNKNOWN", "GREY")
    assert len(asked) == 1
    expect(page.locator("li.plate")).to_have_count(0)
    page.locator(".next").click()
    # Nor is a card number anything to a warden's device, whatever reads it.
    way_out = page.get_by_role("button", name="Thekenbetrieb verlassen")
    way_out.click()
    page.get_by_label("Thekenbetrieb").uncheck()
    way(page, "Scannen")
    scan_by_hand(page, NUMBER)
    verdict(page, "NOT_A_SEAL", "GREY")
    # Scanned, not even what reads like a plate is one.
    scan_by_hand(page, PLATES[VALID])
    verdict(page, "NOT_A_SEAL", "GREY")
    page.locator(".next").click()
    show(page, NUMBER)
    expect(verdict(page, "NOT_A_SEAL", "GREY")).to_contain_text("sehen Sie im System nach")
    assert len(asked) == 1


def test_whichever_code_carries_it(phone: Callable[..., Page], city: VerifierCity, tmp_path: Path) -> None:
    page = phone()
    enrol_desk(city, page)
    pictures = [
        # A number in a QR code is a number, and text of a seal in bars is a seal.
        (code_picture(NUMBER), "VALID", "GREEN"),
        (bars_picture("SP1:24711300000134", "Code128"), "MALFORMED", "RED"),
        (bars_picture(NUMBER, "ITF"), "VALID", "GREEN"),
    ]
    for place, (picture, reason, colour) in enumerate(pictures):
        file = tmp_path / f"{place}.png"
        picture.save(file)
        page.locator("#photo").set_input_files(file)
        found = verdict(page, reason, colour)
        expect(found.locator(".looked-up")).to_have_count(1 if reason == "VALID" else 0)
        page.locator(".next").click()
        page.get_by_role("heading", name="Bibliotheksausweis").wait_for()


def test_what_the_service_says_instead(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    device = enrol_desk(city, page)
    whole: dict[str, object] = {
        "card_number": NUMBER, "valid_from": None, "valid_until": None, "category": None, "cause": None,
        "test": True, "time": 1_795_172_400,
    }  # fmt: skip
    told = [
        (200, {"verdict": "GREY", "reason": "ASK_LIBRARY", "cause": "silent"}, "GREY", "gibt gerade keine Auskunft"),
        (200, {"verdict": "RED", "reason": "CARD_UNKNOWN"}, "RED", "kennt diese Nummer nicht"),
        (200, {"verdict": "RED", "reason": "SUSPENDED", "cause": "lost"}, "RED", "als verloren gemeldet"),
        (200, {"verdict": "RED", "reason": "SUPERSEDED"}, "RED", "wurde ersetzt"),
        (200, {"verdict": "GREEN", "reason": "VALID"}, "GREEN", "nach Auskunft des Bibliothekssystems"),
        # What no service of ours says is no answer.
        (200, {"verdict": "GREEN", "reason": "SUSPENDED"}, "GREY", "gerade nicht möglich"),
        (200, {"verdict": "GREEN", "reason": "VALID", "time": "now"}, "GREY", "gerade nicht möglich"),
        (429, {"code": "TOO_MANY_REQUESTS"}, "GREY", "Zu viele Nachfragen"),
        (401, {"code": "DEVICE_CLOCK"}, "GREY", "Uhr dieses Geräts"),
        (503, {"code": "SERVICE_UNAVAILABLE"}, "GREY", "gerade nicht möglich"),
    ]  # fmt: skip
    for status, answer, colour, sentence in told:
        answered(page, status, **(whole | answer if status == 200 else answer))
        show(page, NUMBER)
        page.locator(f'.verdict[data-verdict="{colour}"]').wait_for()
        expect(page.get_by_role("alert")).to_contain_text(sentence)
        check(page, sentence)
        page.locator(".next").click()
    city.command("devices", "lock", device)
    show(page, NUMBER)
    verdict(page, "ASK_LIBRARY", "GREY")
    expect(page.get_by_role("alert")).to_contain_text("Dieses Gerät ist gesperrt")
    page.locator(".next").click()
    # It knows that now, and asks no more.
    show(page, NUMBER)
    expect(page.get_by_role("alert")).to_contain_text("nicht für die Bibliothek angemeldet")


def test_an_answer_that_does_not_come(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    enrol_desk(city, page)
    held: list[Route] = []
    page.context.route("**/check/cards", lambda route: held.append(route))  # noqa: PLW0108
    show(page, NUMBER)
    expect(page.get_by_role("status").filter(has_text="nachgesehen")).to_be_visible()
    in_both_schemes(page, "looking up")
    verdict(page, "ASK_LIBRARY", "GREY")
    expect(page.get_by_role("status").filter(has_text="nachgesehen")).to_have_count(0)
    page.locator(".next").click()
    # Overtaken by the next card: its late answer is nobody's.
    show(page, NUMBER)
    scan_by_hand(page, city.seals[CARD])
    verdict(page, "VALID", "GREEN")
    page.wait_for_timeout(2500)
    expect(page.locator('.verdict[data-reason="ASK_LIBRARY"]')).to_have_count(0)
    assert len(held) == 2


def test_the_camera_reads_bars(chromium: Browser, city: VerifierCity, tmp_path: Path) -> None:
    clip = tmp_path / "cards.mjpeg"
    write_clip(clip, [bars_picture(FRAMED, "Codabar"), bars_picture("BQD18N001000", "Code39")])
    browser = chromium.browser_type.launch(executable_path=str(CHROMIUM), args=browser_arguments(clip))
    page = browser.new_context(viewport={"width": 390, "height": 844}, locale="de-DE").new_page()
    page.goto(f"{city.url}/check/")
    enrol_desk(city, page)
    seen: set[tuple[str | None, str]] = set()
    for _ in range(12):
        page.locator(".verdict").wait_for(timeout=60_000)
        shown = page.locator(".verdict")
        seen.add((shown.get_attribute("data-reason"), shown.locator(".card").inner_text()))
        page.locator(".next").click()
        if len(seen) == 2:
            break
    assert seen == {("VALID", NUMBER), ("CARD_UNKNOWN", "BQD18N001000")}
    city.kill()
    page.locator('.verdict[data-verdict="GREY"][data-reason="ASK_LIBRARY"]').wait_for(timeout=60_000)
    browser.close()
