"""Hand scanners that type: layouts of scanner and host, text without key codes, and people who type."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from passes.seal import Sealer
from tests.hand_scanner import scan_by_hand
from tests.trust_factory import Key, permit
from tests.web_pages import needs_chromium, served

pytestmark = [pytest.mark.slow, needs_chromium]
PAGE = b"<!doctype html><title>Wedge</title><button id=button>x</button><input id=plate>"


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with served(more={"/wedge.html": PAGE}) as url:
        opened = chromium.new_page()
        opened.goto(f"{url}/wedge.html")
        opened.evaluate("""async () => {
          const { Wedge } = await import('/scan/wedge.js');
          globalThis.scans = [];
          globalThis.presses = 0;
          document.querySelector('#button').addEventListener('click', () => { globalThis.presses += 1; });
          const wedge = new Wedge();
          wedge.addEventListener('input', ({ detail }) => globalThis.scans.push(detail.candidates));
          wedge.attach(window);
        }""")
        yield opened
        opened.close()


@pytest.mark.parametrize("scanner", ["US", "DE"])
@pytest.mark.parametrize("host", ["US", "DE"])
def test_a_candidate_is_the_seal(page: Page, scanner: str, host: str) -> None:
    key = Key()
    for text in ("SP1:0123456789 $%*+-./:YZ", *(Sealer(key, key.kid).seal(permit()) for _ in range(3))):
        scan_by_hand(page, text, "#button", scanner, host)
        assert text in page.evaluate("globalThis.scans.at(-1)")


def test_a_short_card_number_with_its_enter(page: Page) -> None:
    scan_by_hand(page, "69JGQN", "#button")
    assert page.evaluate("globalThis.scans.at(-1)") == ["69JGQN"]
    # Four keys and Enter can be somebody in a hurry.
    scan_by_hand(page, "4711", "#plate")
    assert page.evaluate("globalThis.scans.length") == 1


def test_text_without_key_codes(page: Page) -> None:
    page.evaluate("""() => {
      const field = document.createElement('input');
      field.inputMode = 'none';
      document.body.append(field);
      field.value = 'SP1:ABCDEF0123';
      field.dispatchEvent(new InputEvent('input', { bubbles: true }));
    }""")
    page.wait_for_timeout(600)
    assert page.evaluate("globalThis.scans") == [["SP1:ABCDEF0123"]]


def test_text_that_ends_with_a_key(page: Page) -> None:
    page.evaluate("""() => {
      const field = document.createElement('input');
      field.inputMode = 'none';
      document.body.append(field);
      field.focus();
      globalThis.enters = 0;
      addEventListener('keydown', () => { globalThis.enters += 1; });
    }""")
    for text in ("SP1:ABCDEF0123", "4711"):
        page.keyboard.insert_text(text)
        page.keyboard.press("Enter")
    # Without a scan it is a key like any other.
    page.keyboard.press("Enter")
    assert page.evaluate("globalThis.scans") == [["SP1:ABCDEF0123"], ["4711"]]
    assert page.evaluate("globalThis.enters") == 1


def test_a_person_types_undisturbed(page: Page) -> None:
    page.locator("#plate").press_sequentially("D-AB 1234 Z", delay=120)
    page.locator("#plate").press("Enter")
    assert page.locator("#plate").input_value() == "D-AB 1234 Z"
    page.locator("#button").press("Enter")
    assert page.evaluate("[globalThis.scans.length, globalThis.presses]") == [0, 1]
