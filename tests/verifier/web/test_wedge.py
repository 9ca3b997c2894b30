"""Hand scanners that type: layouts of scanner and host, text without key codes, and people who type."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from passes.seal import Sealer
from tests.trust_factory import Key, permit
from tests.web_pages import browser, needs_chromium, served

pytestmark = [pytest.mark.slow, needs_chromium]
PAGE = b"<!doctype html><title>Wedge</title><button id=button>x</button><input id=plate>"

# Physical key and shift of each sign of a seal that is neither letter nor digit (ISO/IEC 9995 positions).
SIGNS = {
    "US": {
        "$": ("Digit4", 1), "%": ("Digit5", 1), "*": ("Digit8", 1), "+": ("Equal", 1), "-": ("Minus", 0),
        ".": ("Period", 0), "/": ("Slash", 0), ":": ("Semicolon", 1), " ": ("Space", 0),
    },
    "DE": {
        "$": ("Digit4", 1), "%": ("Digit5", 1), "*": ("BracketRight", 1), "+": ("BracketRight", 0),
        "-": ("Slash", 0), ".": ("Period", 0), "/": ("Digit7", 1), ":": ("Period", 1), " ": ("Space", 0),
    },
}  # fmt: skip
# What a host shows for keys that its layout gives another sign than a seal's.
REST = {
    "US": {("BracketRight", 1): "}", ("BracketRight", 0): "]", ("Digit7", 1): "&", ("Period", 1): ">"},
    "DE": {("Digit8", 1): "(", ("Equal", 1): "`", ("Minus", 0): "ß", ("Semicolon", 1): "Ö"},
}
SWAP = str.maketrans("YZ", "ZY")


def pressed(text: str, scanner: str) -> list[tuple[str, int]]:
    keys = []
    for sign in text:
        if sign.isdigit():
            keys.append((f"Digit{sign}", 0))
        elif sign.isalpha():
            keys.append((f"Key{sign.translate(SWAP) if scanner == 'DE' else sign}", 1))
        else:
            keys.append(SIGNS[scanner][sign])
    return keys


def shown(key: tuple[str, int], host: str) -> str:
    code, _ = key
    by_key = {place: sign for sign, place in SIGNS[host].items()} | REST[host]
    if key in by_key:
        return by_key[key]
    if code.startswith("Key"):
        return code[3:].translate(SWAP) if host == "DE" else code[3:]
    return {"Slash": "-" if host == "DE" else "/"}.get(code, code[-1])


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


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


# Dispatched in one go: a machine under load must not make a scanner look like a person.
SCAN = """([keys, selector]) => {
  const target = document.querySelector(selector);
  target.focus();
  for (const [code, shiftKey, key] of [...keys, ['Enter', false, 'Enter']]) {
    target.dispatchEvent(new KeyboardEvent('keydown', { code, key, shiftKey, bubbles: true, cancelable: true }));
  }
}"""


@pytest.mark.parametrize("scanner", ["US", "DE"])
@pytest.mark.parametrize("host", ["US", "DE"])
def test_a_candidate_is_the_seal(page: Page, scanner: str, host: str) -> None:
    key = Key()
    for text in ("SP1:0123456789 $%*+-./:YZ", *(Sealer(key, key.kid).seal(permit()) for _ in range(3))):
        keys = [[code, bool(shift), shown((code, shift), host)] for code, shift in pressed(text, scanner)]
        page.evaluate(SCAN, [keys, "#button"])
        assert text in page.evaluate("globalThis.scans.at(-1)")


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


def test_a_person_types_undisturbed(page: Page) -> None:
    page.locator("#plate").press_sequentially("D-AB 1234 Z", delay=120)
    page.locator("#plate").press("Enter")
    assert page.locator("#plate").input_value() == "D-AB 1234 Z"
    page.locator("#button").press("Enter")
    assert page.evaluate("[globalThis.scans.length, globalThis.presses]") == [0, 1]
