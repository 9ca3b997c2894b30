"""A library card's life against the running service: the desk in one browser, the member's phone in another.

A card at the desk, fetched from the code on the screen; another number; blocked as lost and found again. A child
without and with a parent's consent, and a family of three with one code.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browsers import DESKTOP, PHONE, chromium, context
from tests.e2e.permit_city import Clerk, PermitCity
from tests.e2e.test_permit_life import SUPERSEDED, SUSPENDED, VALID, arrive, choose, seal_in_wallet, send
from tests.service import new_database
from tests.web_pages import needs_chromium

# The fixtures of the browsers are this module's as well.
__all__ = ["chromium"]

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
    pytest.mark.timeout(900),
]
# 14 digits with the check digit of Luhn.
FIRST, SECOND, THIRD = "24711300099995", "24711300099987", "24711300099979"
MEMBER = "/office/library/members/[^/]+/[^/]+"
BORN = {"parent": ("5", "2", "1980"), "child": ("3", "5", "2018"), "other": ("1", "9", "2020")}


@pytest.fixture(params=["sqlite", "postgresql"])
def city(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PermitCity]:
    database = ""
    if request.param == "postgresql":
        database = new_database(request.getfixturevalue("postgresql"), f"library_{secrets.token_hex(6)}")
    made = PermitCity(tmp_path, database).set_up()
    made.start()
    yield made
    made.kill()


def main_button(page: Page) -> Locator:
    return page.locator("main form .kern-btn--primary").first


def scan(page: Page, text: str) -> None:
    """A hand scanner types into whatever has the focus, and presses Enter."""
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def say_who(page: Page, card: str, given: str, born: tuple[str, str, str]) -> None:
    """The first two steps of a new card, from the page that asks for the number."""
    page.locator("#card_number").focus()
    scan(page, card)
    arrive(page, "/office/library/new/card")
    page.fill("#given_name", given)
    page.fill("#family_name", "Müller")
    for name, value in zip(("day", "month", "year"), born, strict=True):
        page.fill(f"#birth_{name}", value)
    main_button(page).click()
    arrive(page, "/office/library/new/person")


def code_on_screen(page: Page) -> str:
    """The link in the code that the desk's screen shows, as a phone's camera reads it."""
    expect(page.locator(".code img")).to_be_visible()
    picture = Image.open(BytesIO(page.locator(".code img").screenshot()))
    (found,) = zxingcpp.read_barcodes(picture)
    return str(found.text)


def fetch(phone: Page, link: str) -> str:
    """Open the link on the phone; the code in the pass."""
    phone.goto(link)
    phone.locator("main form button[type=submit]").click()
    arrive(phone, "/p/pass")
    return seal_in_wallet(phone)


def to_member(page: Page) -> str:
    """From the page with the code to that of the member; its address."""
    page.locator("main a[href*='/office/library/members/']:not([href$='.pdf'])").first.click()
    arrive(page, MEMBER)
    return page.url


def test_of_a_grown_up(city: PermitCity, chromium: Browser) -> None:
    with context(chromium, viewport=DESKTOP) as desk, context(chromium, viewport=PHONE) as pocket:
        page = Clerk.invited(city, desk, "lea", "librarian").page
        page.get_by_role("link", name="Neuer Ausweis").click()
        arrive(page, "/office/library/new")
        # Codabar's start and stop characters are the scanner's.
        say_who(page, f"A{FIRST}B", "Jürgen", BORN["parent"])
        expect(page.locator("#category-adult")).to_be_checked()
        main_button(page).click()
        expect(page.locator("[role=status]").first).to_contain_text(FIRST)
        link = code_on_screen(page)
        phone = pocket.new_page()
        seal = fetch(phone, link)
        city.becomes(seal, VALID)
        member = to_member(page)
        renumbered = replace_number(city, page, phone, seal)
        lose_and_find(city, page, member, renumbered)
        # The link was for once.
        phone.context.clear_cookies()
        phone.goto(link)
        expect(phone.locator(f"main form[action$='{link.removeprefix(city.url)}']")).to_have_count(0)


def replace_number(city: PermitCity, page: Page, phone: Page, seal: str) -> str:
    """Another number: the code of before is superseded, and the one of now holds."""
    page.locator("a[href$='/steps/number']").click()
    arrive(page, ".*/steps/number")
    expect(page.locator("del")).to_have_text(FIRST)
    page.fill("#card_number", SECOND)
    main_button(page).click()
    arrive(page, MEMBER)
    city.becomes(seal, SUPERSEDED)
    # On the phone the same pass says something else.
    phone.reload()
    renumbered = seal_in_wallet(phone)
    assert renumbered != seal
    city.becomes(renumbered, VALID)
    # Whoever still shows the old number is found, and told.
    page.goto(f"{city.url}/office/library")
    expect(page.locator("#q")).to_be_focused()
    scan(page, FIRST)
    arrive(page, MEMBER)
    expect(page.locator("[role=status]")).to_contain_text(SECOND)
    return renumbered


def lose_and_find(city: PermitCity, page: Page, member: str, seal: str) -> None:
    """Blocked as lost, and found again."""
    page.goto(f"{member}/steps/block")
    choose(page, "reason", "lost")
    main_button(page).click()
    arrive(page, MEMBER)
    expect(page.locator("main")).to_contain_text("Gesperrt: Verlust gemeldet")
    city.becomes(seal, SUSPENDED)
    page.goto(f"{member}/steps/unblock")
    choose(page, "reason", "found")
    main_button(page).click()
    arrive(page, MEMBER)
    city.becomes(seal, VALID)
    # A slip of the hand, and its way back.
    page.get_by_role("button", name="Rückgängig machen").click()
    arrive(page, MEMBER)
    city.becomes(seal, SUSPENDED)
    page.get_by_role("button", name="Rückgängig machen").click()
    arrive(page, MEMBER)
    city.becomes(seal, VALID)


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_of_a_family(city: PermitCity, chromium: Browser) -> None:
    with context(chromium, viewport=DESKTOP) as desk, context(chromium, viewport=PHONE) as pocket:
        page = Clerk.invited(city, desk, "lea", "librarian").page
        page.goto(f"{city.url}/office/library/new")
        say_who(page, FIRST, "Jürgen", BORN["parent"])
        main_button(page).click()
        parent = to_member(page)
        for card, given, born in ((SECOND, "Mia", BORN["child"]), (THIRD, "Ben", BORN["other"])):
            page.goto(parent)
            page.locator("a[href*='/office/library/new?guardian=']").click()
            say_who(page, card, given, born)
            main_button(page).click()
            # Without consent there is no card, and a sentence that says so.
            expect(page.locator("#consent-error")).to_contain_text("Ohne Einwilligung eines Elternteils")
            expect(page.locator("#consent_name")).to_have_value("Jürgen Müller")
            page.check("#consent")
            main_button(page).click()
            expect(page.locator("[role=status]").first).to_contain_text(card)
        child = to_member(page)
        expect(page.locator("main")).to_contain_text("von Jürgen Müller, vermerkt am")
        page.goto(parent)
        expect(page.locator(".rows li")).to_have_count(2)
        send(page, "/family")
        link = code_on_screen(page)
        for name in ("Jürgen", "Mia", "Ben"):
            expect(page.locator("main")).to_contain_text(f"{name} Müller")
        phone = pocket.new_page()
        phone.goto(link)
        phone.locator("main form button[type=submit]").click()
        phone.wait_for_url(re.compile("/p/"))
        for card in (FIRST, SECOND, THIRD):
            expect(phone.locator("main")).to_contain_text(card)
        # A child's page leads to the parent's.
        page.goto(child)
        page.locator(".rows a").first.click()
        arrive(page, MEMBER)
        assert page.url == parent
