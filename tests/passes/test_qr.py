"""QR symbols: what a reader gets out is what went in, at the size that the format promises."""

import io

import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from passes import base45
from passes.errors import PassRefusal
from passes.qr import QUIET_ZONE, qr_matrix, qr_png, qr_svg, qr_version

ALPHABET = base45.ALPHABET.decode()
# A seal of 152 bytes, the usual permit with one plate.
SEAL = "SP1:" + base45.encode(bytes(range(100, 252)))


def read(png: bytes) -> str:
    found = zxingcpp.read_barcode(Image.open(io.BytesIO(png)).convert("L"))
    assert found is not None
    assert found.format == zxingcpp.BarcodeFormat.QRCode
    return found.text


@settings(max_examples=40, deadline=None)
@given(st.text(ALPHABET, min_size=4, max_size=300).filter(lambda text: text == text.strip(" ")))
def test_a_reader_gets_back_what_went_in(text: str) -> None:
    assert read(qr_png(text, module_px=4)) == text


def test_the_usual_permit_is_9_m() -> None:
    assert len(SEAL) == 232
    assert qr_version(SEAL) == 9
    found = zxingcpp.read_barcode(Image.open(io.BytesIO(qr_png(SEAL))).convert("L"))
    assert found is not None
    assert found.ec_level == "M"


def test_runs_of_digits_get_no_segments_of_their_own() -> None:
    # 11-M holds 366 alphanumeric characters (ISO/IEC 18004 table 7); digits packed apart would be more.
    text = ("ABC:" + "0123456789" * 5) * 7
    assert qr_version(text[:366]) == 11
    assert qr_version(text[:367]) == 12


def test_png_is_one_bit_deterministic_and_has_its_quiet_zone() -> None:
    png = qr_png(SEAL, module_px=5)
    qr_matrix.cache_clear()
    assert qr_png(SEAL, module_px=5) == png
    image = Image.open(io.BytesIO(png))
    assert image.mode == "1"
    assert image.size == ((53 + 2 * QUIET_ZONE) * 5,) * 2
    dark = image.convert("L").point(lambda value: 255 - value).getbbox()
    assert dark == (QUIET_ZONE * 5, QUIET_ZONE * 5, (53 + QUIET_ZONE) * 5, (53 + QUIET_ZONE) * 5)


def test_svg_draws_the_same_modules() -> None:
    svg = qr_svg(SEAL)
    rows = [bytearray(53) for _ in range(53)]
    for move in svg.split('<path d="M')[1].split('"')[0].split("M"):
        x, rest = move.split(" ")
        y, length = rest.split("v")[0].split("h")
        for column in range(int(x), int(x) + int(length)):
            rows[int(y) - QUIET_ZONE][column - QUIET_ZONE] = 1
    assert tuple(bytes(row) for row in rows) == qr_matrix(SEAL).rows


@pytest.mark.parametrize("text", ["", "sp1:abc", "SP1:Ä", "SP1:A\n"])
def test_text_outside_the_alphabet_is_refused(text: str) -> None:
    with pytest.raises(PassRefusal) as refused:
        qr_matrix(text)
    assert refused.value.code == "QR_ALPHABET"
    assert refused.value.sentence("de") != refused.value.sentence("en")


def test_more_than_a_symbol_holds_is_refused() -> None:
    qr_matrix("A" * 3391)
    with pytest.raises(PassRefusal) as refused:
        qr_matrix("A" * 3392)
    assert refused.value.code == "QR_TOO_LONG"
    assert "3392" in refused.value.sentence("de")
