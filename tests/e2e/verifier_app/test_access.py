"""The verifier web app for whoever sees or types differently, with a hand scanner, and on a locked device."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.verifier_city import AMBIGUOUS, CARD, PLATES, REVOKED, VALID, VerifierCity
from tests.e2e.verifier_phone import PIN, begin_shift, enrol, in_both_schemes, invite, refresh, way
from tests.e2e.verifier_screens import LOOKS, NARROW, choose_zone, show
from tests.hand_scanner import scan_by_hand
from tests.web_pages import needs_chromium

pytestmark = [pytest.mark.slow, needs_chromium]
# Higher than any screen: what stands above what does not depend on how far it is scrolled.
TALL = {"width": 390, "height": 2400}
READ_MS = 600  # longer than the app takes an Enter on a verdict for a scanner's


def test_camera_and_desk(phone: Callable[..., Page]) -> None:
    page = phone()
    way(page, "Scannen")
    page.get_by_text("Halten Sie den ganzen Code ins Bild").wait_for()
    in_both_schemes(page, "scan")
    way(page, "Mehr")
    page.get_by_label("Thekenbetrieb").check()
    way(page, "Scannen")
    page.get_by_role("heading", name="Bibliotheksausweis").wait_for()
    page.locator("#zoom").wait_for()
    in_both_schemes(page, "desk")


def test_enrolment_and_shift(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    page.get_by_text("Gerät anmelden", exact=True).click()
    in_both_schemes(page, "link to type")
    device = invite(city, page)
    in_both_schemes(page, "invited")
    way(page, "Dieses Gerät anmelden")
    code = page.locator(".check-code")
    expect(code).to_be_visible()
    in_both_schemes(page, "check code")
    city.command("devices", "confirm", device, code.inner_text())
    refresh(page)
    page.locator("#pin").fill("12345")
    page.get_by_role("button", name="Schicht beginnen").click()
    expect(page.get_by_role("alert").filter(has_text="PIN")).to_have_text("Die PIN braucht 6 bis 12 Ziffern.")
    in_both_schemes(page, "new PIN")
    begin_shift(page)
    in_both_schemes(page, "plate list open")
    way(page, "Jetzt sperren")
    page.locator("#pin").fill("000000")
    page.get_by_role("button", name="Entsperren").click()
    expect(page.get_by_role("alert").filter(has_text="PIN")).to_have_text(
        "Die PIN ist falsch. Noch 4 Versuche."
    )
    expect(page.locator("#pin")).to_be_focused()
    in_both_schemes(page, "unlocking")


# The elements that a keyboard must reach, in the order of the document; of radio buttons the chosen one.
STOPS = """() => [
  ...document.querySelectorAll('a[href], button, input:not([type=file]), select, summary, [tabindex="0"]')]
  .filter((one) => one.checkVisibility() && !(one.type === 'radio' && !one.checked))"""
# Which of them has the focus, whether one sees that, and whether something covers it.
FOCUSED = f"""() => {{
  const one = document.activeElement;
  const box = one.getBoundingClientRect();
  const at = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  const {{ outlineStyle, outlineWidth }} = getComputedStyle(one);
  return {{
    stop: ({STOPS})().indexOf(one),
    text: one.textContent || one.id,
    seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
    covered: !(one.contains(at) || at?.contains(one)),
  }};
}}"""
# Pairs of neighbours of which the second stands neither below the first nor right of it in the same row.
OUT_OF_ORDER = f"""() => {{
  const boxes = ({STOPS})().map((one) => [one, (one.closest('label') ?? one).getBoundingClientRect()]);
  return boxes.slice(1).flatMap(([one, box], before) => {{
    const [other, last] = boxes[before];
    const follows = box.top >= last.bottom - 1 || (box.left >= last.right - 1 && box.bottom > last.top);
    return follows ? [] : [`${{one.textContent || one.id}} after ${{other.textContent || other.id}}`];
  }});
}}"""


def walk(page: Page, what: str) -> None:
    """With Tab alone: everything once round, seen, uncovered, in the order in which it stands."""
    count = len(page.evaluate(f"({STOPS})().map((one) => one.id)"))
    seen: list[int] = []
    for _ in range(2 * count + 2):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["stop"] < 0:
            continue  # the browser's own, between last and first
        if focused["stop"] in seen:
            break
        assert focused["seen"], f"{what}: {focused}"
        assert not focused["covered"], f"{what}: {focused}"
        seen.append(focused["stop"])
    first = seen.index(0)
    assert seen[first:] + seen[:first] == list(range(count)), what
    page.set_viewport_size(TALL)
    assert page.evaluate(OUT_OF_ORDER) == [], what
    page.set_viewport_size(NARROW)


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the button with this name has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").replace("\xad", "") == name:
            return
    raise AssertionError(name)


def escape(page: Page) -> None:
    """Leave a verdict that has been read."""
    page.wait_for_timeout(READ_MS)
    page.keyboard.press("Escape")
    expect(page.locator(".verdict")).to_have_count(0)


def test_every_stop_of_the_keyboard(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    walk(page, "start")
    way(page, "Scannen")
    page.locator("#zoom").wait_for()
    walk(page, "scan")
    show(page, "UEMA 123")
    page.locator(".choices").wait_for()
    walk(page, "verdict that asks")
    escape(page)
    show(page, city.seals[VALID])
    page.locator('.verdict[data-verdict="GREEN"]').wait_for()
    walk(page, "valid")
    escape(page)
    way(page, "Kennzeichen")
    walk(page, "plate")
    way(page, "Mehr")
    page.get_by_label("Thekenbetrieb").check()
    walk(page, "settings")
    way(page, "Scannen")
    page.locator("#zoom").wait_for()
    walk(page, "desk")


def test_a_shift_with_the_keyboard_alone(phone: Callable[..., Page]) -> None:
    page = phone()
    tab_to(page, "Prüfen beginnen")
    begin = page.get_by_role("button", name="Prüfen beginnen")
    # New lists have the screen drawn anew: the focus is where it was.
    drawn = begin.element_handle()
    refresh(page)
    page.wait_for_function("(one) => !one.isConnected", arg=drawn)
    expect(begin).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Code scannen")).to_be_focused()
    tab_to(page, "Kennzeichen")
    page.keyboard.press("Enter")
    expect(page.locator("input.plate")).to_be_focused()
    page.keyboard.type("D-AB", delay=80)
    for sign in "1", "2":
        tab_to(page, sign)
        page.keyboard.press("Space")
    expect(page.locator("input.plate")).to_have_value("D-AB12")
    for key in ("Enter", "Escape"):
        tab_to(page, "Prüfen")
        page.keyboard.press("Enter")
        heading = page.locator(".verdict h1")
        expect(heading).to_be_focused()
        # The same stroke again, before anybody has read it.
        page.keyboard.press(key)
        expect(heading).to_be_focused()
        page.wait_for_timeout(READ_MS)
        page.keyboard.press(key)
        expect(page.get_by_role("heading", name="Code scannen")).to_be_focused()
        page.locator("#typed").fill("D-AB 12")
    tab_to(page, "Prüfen")
    page.keyboard.press("Enter")
    expect(page.locator(".verdict h1")).to_be_focused()
    # On another button Enter presses that button.
    tab_to(page, "Ausdruck scannen")
    page.wait_for_timeout(READ_MS)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Code scannen")).to_be_focused()


def contrast(shot: bytes) -> float:
    """Of the lightest to the darkest point of a picture, as WCAG reckons it."""

    def light(colour: tuple[int, ...]) -> float:
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    found = [light(colour) for _, colour in picture.getcolors(picture.width * picture.height) or []]
    return (max(found) + 0.05) / (min(found) + 0.05)


# How many lines each word of an element takes.
LINES = """(one) => [...one.firstChild.data.matchAll(/\\S+/g)].map(({ 0: word, index }) => {
  const range = document.createRange();
  range.setStart(one.firstChild, index);
  range.setEnd(one.firstChild, index + word.length);
  return range.getClientRects().length;
})"""


def test_verdicts_without_red_and_green(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    page.context.new_cdp_session(page).send("Emulation.setEmulatedVisionDeficiency", {"type": "deuteranopia"})
    typed = {"GREEN": VALID, "AMBER": VALID, "RED": REVOKED}
    looks = set()
    for colour in LOOKS:
        choose_zone(page, "HO" if colour == "AMBER" else "")
        show(page, city.seals[typed[colour]] if colour in typed else "12345")
        verdict = page.locator(f'.verdict[data-verdict="{colour}"]')
        verdict.wait_for()
        icon, sign = verdict.locator("h1 svg path").all()
        border = verdict.evaluate("(one) => getComputedStyle(one).borderTopStyle")
        word = verdict.locator("h1").inner_text()
        assert set(verdict.locator("h1 span").evaluate(LINES)) == {1}, word
        looks.update([icon.get_attribute("d"), sign.get_attribute("d"), border, word])
        assert contrast(verdict.locator("h1").screenshot()) >= 4.5, colour
        page.locator(".next").click()
    # Four of each: outline, sign, border and word, none like another's.
    assert len(looks) == 4 * len(LOOKS)


def verdict_of(page: Page, text: str, into: str = "body", scanner: str = "US") -> Any:
    """The verdict after a hand scanner has read ``text``."""
    scan_by_hand(page, text, into, scanner, host="DE")
    return page.locator(".verdict")


def test_hand_scanner(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    way(page, "Scannen")
    expect(verdict_of(page, city.seals[VALID])).to_have_attribute("data-reason", "VALID")
    # The next one comes while a verdict still shows.
    expect(verdict_of(page, city.seals[REVOKED], scanner="DE")).to_have_attribute("data-reason", "REVOKED")
    page.locator(".next").click()
    way(page, "Mehr")
    page.get_by_label("Thekenbetrieb").check()
    page.context.set_offline(True)
    way(page, "Scannen")
    page.locator("#typed").fill("247")
    verdict = verdict_of(page, "24711300000134", into="#typed")
    expect(verdict).to_have_attribute("data-verdict", "GREY")
    expect(verdict).to_contain_text("Bitte sehen Sie im Bibliothekssystem nach.")
    expect(verdict.locator(".card")).to_have_text("24711300000134")
    expect(verdict_of(page, city.seals[CARD])).to_have_attribute("data-reason", "VALID")
    # Valid, so the desk goes on by itself, and has checked each once.
    expect(page.get_by_role("heading", name="Bibliotheksausweis")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Thekenbetrieb verlassen").click()
    for colour, checks in {"GREEN": 2, "AMBER": 0, "RED": 1, "GREY": 1}.items():
        expect(page.locator(f'dd[data-count="{colour}"]')).to_have_text(str(checks))


def test_a_plate_that_can_be_two(phone: Callable[..., Page], city: VerifierCity) -> None:
    page = phone()
    enrol(city, page, invite(city, page))
    begin_shift(page)
    for plate, reason in ((PLATES[AMBIGUOUS], "VALID"), ("UEM-A 123", "NOT_LISTED")):
        way(page, "Kennzeichen")
        page.locator("input.plate").fill("uema 123")
        way(page, "Prüfen")
        readings = page.get_by_role("group", name="Welches Kennzeichen?").get_by_role("button")
        expect(readings).to_have_text(["UE-MA 123", "UEM-A 123"])
        readings.filter(has_text=plate).click()
        verdict = page.locator(f'.verdict[data-reason="{reason}"]')
        expect(verdict.locator("li.plate")).to_have_text(plate)
        page.locator(".next").click()


# What is stored under the lease: the list and the wrapped key.
HELD = """async () => {
  const { openStore } = await import('/check/device/store.js');
  const store = await openStore();
  return [await store.get('files', 'plates.cwt'), await store.get('keys', 'lease')].map((one) => one !== undefined);
}"""


def test_a_locked_device(phone: Callable[..., Page], city: VerifierCity) -> None:
    held, fresh = phone(), phone()
    devices = [invite(city, page) for page in (held, fresh)]
    for page, device in zip((held, fresh), devices, strict=True):
        enrol(city, page, device)
    begin_shift(held)
    assert held.evaluate(HELD) == [True, True]
    for device in devices:
        city.command("devices", "lock", device)
    # The one had no key yet, and gets none.
    fresh.locator("#pin").fill(PIN)
    fresh.locator("#pin-again").fill(PIN)
    with fresh.expect_response("**/check/leases") as refused:
        fresh.get_by_role("button", name="Schicht beginnen").click()
    assert refused.value.status == 401
    fresh.get_by_text("Dieses Gerät ist gesperrt").first.wait_for()
    # The other loses key and list as soon as it hears of it.
    way(held, "Listen laden")
    held.get_by_text("Dieses Gerät ist gesperrt").first.wait_for()
    for page in (held, fresh):
        assert page.locator("[data-vault]").count() == 0
        assert page.evaluate(HELD) == [False, False]
        way(page, "Kennzeichen")
        page.locator("input.plate").fill(PLATES[VALID])
        way(page, "Prüfen")
        page.locator('.verdict[data-reason="NO_LIST"]').wait_for()
