"""The code of a card number: what every reader gets out is the number, at the sizes of print and phone."""

import io
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from passes.card_codes import QUIET_ZONE, Bars, card_code, card_code_png, card_code_svg, shown_symbology
from passes.card_numbers import LONGEST, LONGEST_IN_BARS, CardNumber, Symbology
from passes.errors import PassRefusal
from passes.qr import QrMatrix
from tests.passes.code_readers import SAMPLES, any_code, drawn, read, sample_numbers

CARDS = [*SAMPLES.values(), CardNumber("0012345"), CardNumber("A" * LONGEST_IN_BARS, None, Symbology.CODE_39)]
NAMES = {
    Symbology.CODABAR: "Codabar",
    Symbology.CODE_39: "Code 39",
    Symbology.CODE_128: "Code 128",
    Symbology.EAN_13: "EAN-13",
    Symbology.ITF: "ITF",
    Symbology.QR: "QR Code",
}


def bars_of(card: CardNumber) -> Bars:
    code = card_code(card)
    assert isinstance(code, Bars)
    return code


@pytest.mark.parametrize("card", CARDS, ids=str)
def test_every_picture_of_every_symbology_is_read_as_the_number(card: CardNumber) -> None:
    symbology = shown_symbology(card)
    assert read(card_code_png(card), symbology) == card.text
    assert read(drawn(card_code_svg(card), 80, 300), symbology) == card.text
    assert read(drawn(card_code_svg(card, upright=True), 20, 600), symbology) == card.text
    # A reader that is told nothing finds this kind of code and no other.
    assert list(any_code(drawn(card_code_svg(card), 80, 300))) == [NAMES[symbology]]


def test_every_number_of_the_samples_is_read_from_its_card() -> None:
    numbers = sample_numbers()
    assert len(numbers) > 200
    assert {one.symbology for one in numbers} >= {Symbology.CODABAR, Symbology.CODE_39, Symbology.CODE_128}
    for card in numbers:
        assert read(card_code_png(card, half_px=1, module_px=2), shown_symbology(card)) == card.text


@pytest.mark.parametrize("card", SAMPLES.values(), ids=str)
def test_small_blurred_and_askew_pictures_are_read(card: CardNumber) -> None:
    """A narrow bar of three pixels, out of focus by a third of that, in poor contrast, and held at an angle."""
    symbology = shown_symbology(card)
    code = card_code(card)
    modules = code.modules + 8 if isinstance(code, QrMatrix) else code.modules
    sharp = Image.open(io.BytesIO(card_code_png(card, half_px=6, module_px=12))).convert("L")
    small = sharp.resize((round(modules * 3), round(sharp.height / 4)), Image.Resampling.BICUBIC)
    assert read(small.filter(ImageFilter.GaussianBlur(1)), symbology) == card.text
    grey = small.point(lambda value: 60 + value * 120 // 255)
    assert read(grey, symbology) == card.text
    for degrees in (-6, 6, 180):
        assert (
            read(small.rotate(degrees, Image.Resampling.BICUBIC, True, fillcolor=255), symbology) == card.text
        )


@pytest.mark.parametrize("card", CARDS, ids=str)
def test_the_light_margins_are_a_part_of_the_picture(card: CardNumber) -> None:
    code = card_code(card)
    png = Image.open(io.BytesIO(card_code_png(card, half_px=2, module_px=4)))
    assert png.mode == "1"
    assert card_code_png(card) == card_code_png(card)
    left, top, right, bottom = png.convert("L").point(lambda value: 255 - value).getbbox() or (0, 0, 0, 0)
    if isinstance(code, QrMatrix):
        assert (left, top, png.width - right, png.height - bottom) == (16, 16, 16, 16)
        return
    # Two pixels are half a narrow bar: ten of them are forty pixels; EAN-13 asks for eleven on its left.
    least = 44 if code.symbology is Symbology.EAN_13 else 4 * QUIET_ZONE
    assert (left, png.width - right) == (least, least)
    assert (top, bottom) == (0, png.height)
    assert png.height >= 0.15 * (right - left)


def test_wide_bars_are_wide_enough_for_smeared_print() -> None:
    for symbology, ratio in ((Symbology.CODABAR, 2.5), (Symbology.CODE_39, 2.5), (Symbology.ITF, 3)):
        widths = set(bars_of(SAMPLES[symbology]).widths)
        assert max(widths) / min(widths) == ratio
        assert len(widths) == 2


def test_a_bank_card_holds_the_widest_number_with_bars_of_a_fifth_of_a_millimetre() -> None:
    widest = max(
        bars_of(CardNumber(sign * LONGEST_IN_BARS, None, symbology)).modules
        for symbology, sign in ((Symbology.CODE_39, "A"), (Symbology.CODABAR, "1"), (Symbology.CODE_128, "a"))
    )
    assert (85.6 - 3) / widest >= 0.19


@pytest.mark.parametrize("symbology", [None, Symbology.CODE_39, Symbology.CODE_128, Symbology.QR])
def test_what_is_too_long_for_bars_is_a_qr_code(symbology: Symbology | None) -> None:
    card = CardNumber("A" * LONGEST, None, symbology)
    assert card.symbologies == (Symbology.QR,)
    assert read(card_code_png(card), Symbology.QR) == card.text


ALPHABETS = {
    # Readers take fewer than four characters of Codabar and six digits of ITF for noise.
    Symbology.CODABAR: st.text(string.digits + "$:/.+-", min_size=4, max_size=LONGEST_IN_BARS),
    Symbology.CODE_39: st.text(
        string.digits + string.ascii_uppercase + "$%+./-", min_size=2, max_size=LONGEST_IN_BARS
    ),
    Symbology.CODE_128: st.text([chr(one) for one in range(33, 127)], min_size=1, max_size=LONGEST_IN_BARS),
    Symbology.ITF: st.text(string.digits, min_size=3, max_size=13).map(lambda half: half + half),
    Symbology.QR: st.text([chr(one) for one in range(33, 127)], min_size=1, max_size=LONGEST),
}


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(list(ALPHABETS)))
def test_any_number_is_read_as_it_is(data: st.DataObject, symbology: Symbology) -> None:
    text = data.draw(
        ALPHABETS[symbology].filter(lambda one: not one.casefold().startswith(("sp1:", "sp1r:")))
    )
    card = CardNumber(text, None, symbology)
    assert shown_symbology(card) is symbology
    assert read(card_code_png(card), symbology) == text


@settings(deadline=None)
@given(st.integers(0, 10**12 - 1))
def test_any_ean_13_is_read_as_it_is(body: int) -> None:
    digits = f"{body:012}"
    check = -sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(digits)) % 10
    card = CardNumber(f"{digits}{check}", None, Symbology.EAN_13)
    assert read(card_code_png(card), Symbology.EAN_13) == card.text


@given(
    st.sampled_from(["SP1:", "SP1R:", "sp1:", "Sp1r:", " SP1:"]),
    st.text([chr(one) for one in range(33, 127)], max_size=300),
    st.sampled_from(["", *Symbology]),
)
def test_no_number_begins_like_a_seal(prefix: str, rest: str, symbology: str) -> None:
    for text in (prefix + rest, f"*{prefix.strip()}{rest[:30]}*"):
        if text.startswith("*") and symbology not in ("", "CODE_39"):
            # Asterisks are a frame in Code 39 alone; elsewhere the number begins with one.
            continue
        with pytest.raises(PassRefusal) as refused:
            CardNumber.parse(text, "", symbology)
        assert refused.value.code == "CARD_LIKE_SEAL"
        assert refused.value.sentence("de") != refused.value.sentence("en")
    with pytest.raises(PassRefusal, match="CARD_LIKE_SEAL"):
        CardNumber(prefix.strip() + rest)


@given(st.text([chr(one) for one in range(33, 127)], min_size=1, max_size=LONGEST))
def test_groups_are_the_number_again_and_none_stands_alone(text: str) -> None:
    if text.casefold().startswith(("sp1:", "sp1r:")):
        return
    groups = CardNumber(text).groups
    assert "".join(groups) == text
    sizes = [len(one) for one in groups]
    assert max(sizes) <= 4 and (len(text) == 1 or min(sizes) >= 2)
    assert max(sizes) - min(sizes) <= 1
