# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""A library card's codes on screens and on paper in a real browser, read from the pictures of both."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from passes.card_codes import shown_symbology
from passes.card_numbers import LONGEST, CardNumber, Symbology
from passes.model import MainCode
from tests.browsers import (
    DESKTOP,
    NARROW,
    PHONE,
    SQLITE,
    Site,
    check,
    chromium,
    context,
    open_pass,
    site,
)
from tests.issuer.pickup.holders import shows_first, with_card
from tests.passes.code_readers import SAMPLES, any_code, read
from tests.service import CARD
from tests.web_pages import WHOLE_CHROMIUM, launched, needs_chromium, needs_whole_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
    SQLITE,
]
# Where to leave pictures of the pages for people to look at; nowhere unless somebody wants them.
PICTURES = os.environ.get("PICTURES_OF_PAGES", "")
# The longest number that people meet, in the widest bars that hold it.
WIDE = CardNumber("24711390000101", None, Symbology.CODE_39)
LONG = CardNumber("a" * LONGEST)
LANDSCAPE = {"width": 844, "height": 390}


def seen(page: Page, name: str) -> Image.Image:
    """The page as it is now, in order and as a picture."""
    check(page, name, "de")
    picture = page.screenshot(full_page=True)
    if PICTURES:
        width = page.viewport_size["width"] if page.viewport_size else 0
        (Path(PICTURES) / f"{name}-{width}.png").write_bytes(picture)
    return Image.open(io.BytesIO(picture))


def seal_in(picture: Image.Image, card: CardNumber) -> bool:
    """Whether the seal is read from ``picture``, beside what there is of the number."""
    return any(text.startswith("SP1:") for text in every_text(picture) if text != card.text)


def every_text(picture: Image.Image) -> list[str]:
    import zxingcpp

    return [str(one.text) for one in zxingcpp.read_barcodes(picture.convert("L"))]


@pytest.mark.parametrize("card", [*SAMPLES.values(), WIDE, LONG], ids=str)
def test_every_kind_of_code_is_read_from_a_phone(chromium: Browser, site: Site, card: CardNumber) -> None:
    number, symbology = with_card(site.application, card), shown_symbology(card)
    for view, scale in ((PHONE, 3), (NARROW, 2)):
        # Without JavaScript all the same.
        options = {"viewport": view, "device_scale_factor": scale, "color_scheme": "dark"}
        with context(chromium, java_script_enabled=False, **options) as browser:
            page = browser.new_page()
            open_pass(page, site, number, CARD)
            whole = Image.open(io.BytesIO(page.screenshot(full_page=True)))
            texts = every_text(whole)
            assert any(text.startswith("SP1:") for text in texts)
            assert symbology is not Symbology.QR or card.text in texts
            assert symbology is Symbology.QR or read(whole, symbology) == card.text
            page.locator("#code-number a").click()
            page.wait_for_url("**/p/pass/show?code=number")
            # The whole code is on the screen, as it is without any scrolling of theirs.
            assert read(Image.open(io.BytesIO(page.screenshot())), symbology) == card.text
            page.goto(f"{site.url}/p/pass/show?code=seal")
            (seal,) = every_text(Image.open(io.BytesIO(page.screenshot())))
            assert seal.startswith("SP1:")


def test_the_pages_are_in_order_on_every_screen_and_the_codes_are_read(chromium: Browser, site: Site) -> None:
    card = SAMPLES[Symbology.CODABAR]
    number = with_card(site.application, card)
    for view, scheme, first in (
        (NARROW, "light", MainCode.SEAL),
        (PHONE, "light", MainCode.NUMBER),
        (LANDSCAPE, "dark", MainCode.NUMBER),
        (DESKTOP, "light", MainCode.SEAL),
    ):
        shows_first(site.application, first)
        scale = 1 if view is DESKTOP else 2
        with context(chromium, viewport=view, color_scheme=scheme, device_scale_factor=scale) as browser:
            page = browser.new_page()
            open_pass(page, site, number, CARD)
            picture = seen(page, f"library-{first}")
            assert sorted(any_code(picture)) == ["Codabar", "QR Code"]
            assert read(picture, Symbology.CODABAR) == card.text
            page.goto(f"{site.url}/p/pass/show?code=number")
            assert read(seen(page, f"library-show-{first}"), Symbology.CODABAR) == card.text
            page.goto(f"{site.url}/p/pass/show?code=seal")
            assert list(any_code(seen(page, f"library-seal-{first}"))) == ["QR Code"]


@pytest.fixture(scope="module")
def printing(chromium: Browser) -> Iterator[Browser]:
    """The whole browser, as people print with it: the engine alone sets a sheet another way."""
    with launched(chromium.browser_type, program=WHOLE_CHROMIUM) as made:
        yield made


@needs_whole_chromium
def test_the_page_is_printed_with_both_codes_on_one_sheet(printing: Browser, site: Site) -> None:
    for place, card in enumerate((SAMPLES[Symbology.CODE_39], SAMPLES[Symbology.EAN_13])):
        number = with_card(site.application, card, place)
        with context(printing, viewport=PHONE) as browser:
            page = browser.new_page()
            open_pass(page, site, number, CARD)
            sheet = pypdfium2.PdfDocument(page.pdf(format="A4"))[0]
            picture = sheet.render(scale=200 / 72).to_pil()
            assert read(picture, shown_symbology(card)) == card.text
            assert seal_in(picture, card)
            text = sheet.get_textpage().get_text_range()
            assert "Bibliotheksausweis" in text
            assert "Wallet" not in text


def test_what_is_copied_is_the_number(chromium: Browser, site: Site) -> None:
    number = with_card(site.application, SAMPLES[Symbology.CODABAR])
    with context(chromium, viewport=NARROW) as browser:
        page = browser.new_page()
        open_pass(page, site, number, CARD)
        shown = page.locator(".card-number")
        copied = page.evaluate(
            "() => { const number = document.querySelector('.card-number');"
            " getSelection().selectAllChildren(number); return getSelection().toString(); }"
        )
        assert copied.strip() == "24711390000101"
        assert float(shown.evaluate("one => parseFloat(getComputedStyle(one).fontSize)")) >= 28
