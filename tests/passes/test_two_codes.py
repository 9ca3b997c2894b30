"""A library card's two codes on its carriers: which one the wallets show, and both on paper, read back."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pypdfium2
import pytest
import zxingcpp
from PIL import Image

from passes.apple import ApplePassFactory
from passes.apple_schema import check_pass_json
from passes.card_codes import Bars, card_code, shown_symbology
from passes.card_numbers import LONGEST, LONGEST_IN_BARS, CardNumber, Symbology
from passes.google import GooglePassFactory
from passes.model import City, MainCode, PassContent, PassStatus
from passes.pdf import PdfFactory
from passes.qr import QUIET_ZONE, qr_matrix
from passes.rotating import KEY_BYTES
from tests.passes.apple_samples import TOKEN, factory
from tests.passes.carrier_samples import CARD, HOLDER, LIBRARY_SEAL, PERMIT, city, library_card, permit
from tests.passes.code_readers import SAMPLES, any_code, read, sample_numbers
from tests.passes.google_schema import faults

SEAL_CITY, NUMBER_CITY = city(), city(library_main_code=MainCode.NUMBER)
IN_BARS = [one for symbology, one in SAMPLES.items() if symbology is not Symbology.QR]
LONG = CardNumber("A" * LONGEST, None, Symbology.CODE_39)
PLAIN = CardNumber("0012345")


@cache
def apple(of: City) -> ApplePassFactory:
    return factory(CARD, of)


def pass_json(card: CardNumber, of: City = NUMBER_CITY, **changes: Any) -> dict[str, Any]:
    data = apple(of).pass_json(library_card(card, apple_token=TOKEN, **changes))
    check_pass_json(data)
    made: dict[str, Any] = json.loads(data)
    return made


@pytest.mark.parametrize(
    ("card", "formats"),
    [
        (SAMPLES[Symbology.CODABAR], ["Codabar", "Code128", "QR"]),
        (SAMPLES[Symbology.CODE_39], ["Code39", "Code128", "QR"]),
        (SAMPLES[Symbology.EAN_13], ["EAN13", "Code128", "QR"]),
        (SAMPLES[Symbology.ITF], ["I2of5", "Code128", "QR"]),
        (SAMPLES[Symbology.CODE_128], ["Code128", "QR"]),
        (SAMPLES[Symbology.QR], ["QR"]),
        (PLAIN, ["Code128", "QR"]),
        (CardNumber("12 34", None, Symbology.CODE_39), ["Code39", "Code128", "QR"]),
        (LONG, ["QR"]),
    ],
)
def test_apple_gets_the_cards_own_code_first_and_then_what_older_phones_draw(
    card: CardNumber, formats: list[str]
) -> None:
    made = pass_json(card)
    assert [one["format"] for one in made["barcodes"]] == [f"PKBarcodeFormat{one}" for one in formats]
    for one in made["barcodes"]:
        assert (one["message"], one["altText"]) == (card.text, card.text)
        assert one["messageEncoding"] == "iso-8859-1"
    # What systems before iOS 9 read: the only one of the three kinds that they know.
    assert made["barcode"] == made["barcodes"][-1]
    assert LIBRARY_SEAL not in json.dumps(made)


def test_apple_shows_the_seal_by_itself() -> None:
    made = pass_json(SAMPLES[Symbology.CODABAR], SEAL_CITY)
    (only,) = made["barcodes"]
    assert (only["format"], only["message"]) == ("PKBarcodeFormatQR", LIBRARY_SEAL)
    assert only["altText"] == "24711390000101"


def test_codes_are_of_the_pass_and_not_of_those_made_before_it() -> None:
    for _ in range(2):
        for card in (*SAMPLES.values(), LONG, PLAIN):
            assert pass_json(card)["barcodes"][0]["message"] == card.text


def test_every_sample_makes_an_apple_pass_and_a_google_object_with_its_number_first() -> None:
    google = GooglePassFactory(CARD, NUMBER_CITY)
    for card in sample_numbers():
        assert pass_json(card)["barcodes"][0]["message"] == card.text
        made = google.google_object(library_card(card))
        assert faults("GenericObject", made) == []
        assert made["barcode"]["value"] == made["barcode"]["alternateText"] == card.text


@pytest.mark.parametrize(
    ("card", "kind"),
    [
        (SAMPLES[Symbology.CODABAR], "CODABAR"),
        (SAMPLES[Symbology.CODE_39], "CODE_39"),
        (SAMPLES[Symbology.CODE_128], "CODE_128"),
        (SAMPLES[Symbology.EAN_13], "EAN_13"),
        (SAMPLES[Symbology.QR], "QR_CODE"),
        # 14 digits with the check digit of ITF-14; one digit wrong; fewer digits.
        (CardNumber("12345678901231", None, Symbology.ITF), "ITF_14"),
        (CardNumber("12345678901232", None, Symbology.ITF), "CODE_128"),
        (SAMPLES[Symbology.ITF], "CODE_128"),
        (PLAIN, "CODE_128"),
        (LONG, "QR_CODE"),
    ],
)
def test_google_gets_the_type_that_fits(card: CardNumber, kind: str) -> None:
    made = GooglePassFactory(CARD, NUMBER_CITY).google_object(library_card(card))
    assert faults("GenericObject", made) == []
    assert made["barcode"] == {
        "type": kind,
        "renderEncoding": "UTF_8",
        "value": card.text,
        "alternateText": card.text,
    }
    assert LIBRARY_SEAL not in json.dumps(made)
    seal = GooglePassFactory(CARD, SEAL_CITY).google_object(library_card(card))["barcode"]
    assert (seal["type"], seal["value"], seal["alternateText"]) == ("QR_CODE", LIBRARY_SEAL, card.text)


def test_a_number_does_not_rotate() -> None:
    wants = replace(NUMBER_CITY, google_rotating_barcode=True)
    made = GooglePassFactory(CARD, wants).google_object(library_card(), bytes(KEY_BYTES))
    assert "rotatingBarcode" not in made and made["barcode"]["value"] == "24711300000134"


def test_the_setting_means_library_cards_alone() -> None:
    content = permit("D-AB 123")
    first, second = (factory(PERMIT, of).pass_json(content) for of in (SEAL_CITY, NUMBER_CITY))
    assert first == second
    made = [GooglePassFactory(PERMIT, of).google_object(content) for of in (SEAL_CITY, NUMBER_CITY)]
    assert made[0] == made[1]


@pytest.mark.parametrize("of", [SEAL_CITY, NUMBER_CITY], ids=lambda of: str(of.library_main_code))
def test_no_code_and_no_wallet_has_a_name_or_a_birth_date(of: City) -> None:
    content = library_card(SAMPLES[Symbology.CODABAR], apple_token=TOKEN)
    made = json.dumps(GooglePassFactory(CARD, of).google_object(content), ensure_ascii=False)
    texts = apple(of).pass_json(content).decode() + made
    for line in HOLDER:
        assert line not in texts


def test_a_withdrawn_card_is_void_whatever_code_it_shows() -> None:
    assert pass_json(PLAIN, status=PassStatus.SUSPENDED)["voided"] is True


@cache
def pdf_factory() -> PdfFactory:
    return PdfFactory()


def page(content: PassContent, of: City = SEAL_CITY, dpi: int = 200) -> Image.Image:
    """The only page of a library card's PDF as a printer puts it on paper."""
    document = pypdfium2.PdfDocument(pdf_factory().render(CARD, content, of, "de"))
    (only,) = document
    picture: Image.Image = only.render(scale=dpi / 72).to_pil().convert("L")
    return picture


@pytest.mark.parametrize("card", [*SAMPLES.values(), PLAIN, LONG], ids=str)
@pytest.mark.parametrize("of", [SEAL_CITY, NUMBER_CITY], ids=lambda of: str(of.library_main_code))
def test_the_print_has_both_codes_and_both_are_read(card: CardNumber, of: City) -> None:
    picture = page(library_card(card), of)
    symbology = shown_symbology(card)
    if symbology is Symbology.QR:
        found = {one.text for one in _qr_codes(picture)}
        assert found == {card.text, LIBRARY_SEAL}
        return
    assert read(picture, symbology) == card.text
    assert [one.text for one in _qr_codes(picture)] == [LIBRARY_SEAL]
    assert len(any_code(picture)) == 2


def test_the_widest_bars_are_read_from_the_print() -> None:
    widest = CardNumber("9" * (LONGEST_IN_BARS - 1) + "Z", None, Symbology.CODE_39)
    assert read(page(library_card(widest), dpi=300), Symbology.CODE_39) == widest.text


@pytest.mark.parametrize("card", IN_BARS, ids=str)
def test_bars_in_print_have_their_size_and_light_margins(card: CardNumber) -> None:
    """Bars of at least a fifth of a millimetre, ten millimetres high, ten of them of light on either side."""
    dpi = 600
    picture = page(library_card(card), dpi=dpi)
    found = next(one for one in zxingcpp.read_barcodes(picture) if str(one.format) != "QR Code")
    row = (found.position.top_left.y + found.position.bottom_left.y) // 2
    left, right = sorted((found.position.top_left.x, found.position.top_right.x))
    code = card_code(card)
    assert isinstance(code, Bars)
    narrow = (right - left) / (code.modules - 2 * code.quiet / 2)
    assert narrow / dpi * 25.4 >= 0.2
    margin = round(narrow * 9.5)
    line = picture.crop((left - margin, row, left - 3, row + 1)).getextrema()
    assert line == (255, 255)
    assert picture.crop((right + 4, row, right + margin, row + 1)).getextrema() == (255, 255)
    column = picture.crop((left + 1, row - round(5 / 25.4 * dpi), left + 2, row + round(5 / 25.4 * dpi)))
    assert column.getextrema()[1] < 128


def test_a_number_as_qr_code_keeps_away_from_the_seal() -> None:
    picture = page(library_card(SAMPLES[Symbology.QR]), dpi=300)
    number, seal = sorted(_qr_codes(picture), key=lambda one: len(one.text))
    modules = qr_matrix(LIBRARY_SEAL).modules
    width = seal.position.top_right.x - seal.position.top_left.x
    assert seal.position.top_left.x - number.position.top_right.x > 2 * QUIET_ZONE * width / modules


def _qr_codes(picture: Image.Image) -> list[Any]:
    return list(zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode))
