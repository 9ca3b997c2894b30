"""Card numbers as libraries print them, scanners deliver them and spreadsheets damage them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from passes.card_numbers import SCHEMES, CardNumber, Symbology, to_base32
from passes.errors import PassRefusal

VECTORS = Path(__file__).parent.parent / "data" / "card_number_vectors.csv"
GOOD = {
    "codabar14": ["24711300000134", "24711300025875"],
    "mod11": ["D402102592", "D40211258X", "D40216623X"],
    "sbc_kennung": ["211403607", "69JGQN"],
    "sbc_like": ["BQD18N001000", "BQD18N002001"],
}


def vectors() -> list[dict[str, str]]:
    with VECTORS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


@pytest.mark.parametrize("row", vectors(), ids=lambda row: row["input"])
def test_vector(row: dict[str, str]) -> None:
    if row["verdict"] == "invalid":
        with pytest.raises(PassRefusal, match="CARD_FORMAT"):
            CardNumber.parse(row["input"], row["scheme"], row["symbology"])
        return
    number = CardNumber.parse(row["input"], row["scheme"], row["symbology"])
    framed = row["verdict"] == "normalise"
    assert number.text == (row["input"][1:-1] if framed else row["input"])
    assert number.scheme == row["scheme"]


@pytest.mark.parametrize(("scheme", "text"), [(scheme, text) for scheme in GOOD for text in GOOD[scheme]])
def test_good_numbers_and_every_single_wrong_digit(scheme: str, text: str) -> None:
    """The serial of sbc_like has no check digit; everywhere else one wrong digit is noticed."""
    assert CardNumber.parse(text, scheme).check_digit_holds
    checked = range(6) if scheme == "sbc_like" else range(len(text))
    for place in checked:
        for digit in "0123456789":
            if digit != text[place] and text.isdigit():
                with pytest.raises(PassRefusal, match="CARD_FORMAT"):
                    CardNumber.parse(text[:place] + digit + text[place + 1 :], scheme)


@pytest.mark.parametrize(
    ("text", "scheme", "symbology"),
    [
        ("2471139ABC0991", "codabar14", "CODABAR"),
        ("2,47E+13", "codabar14", "CODABAR"),
        ("4711300000134", "codabar14", "CODABAR"),
        ("24711300000135", "codabar14", "CODABAR"),
        ("D402102593", "mod11", "CODE_128"),
        ("69JGQN001000", "sbc_like", "CODE_39"),
        ("bqd18n001000", "sbc_like", "CODE_39"),
        ("\u0662\u0664711300000134", "codabar14", "CODABAR"),
        ("24711300000134\n", "codabar14", "CODABAR"),
        ("A2471B", "", "ITF"),
        ("247", "", "ITF"),
        ("4006381333932", "", "EAN_13"),
        ("", "", ""),
        ("**", "", "CODE_39"),
        ("ABC DEF", "", ""),
        ("1" * 41, "", ""),
        ("1" * 5000, "codabar14", "CODABAR"),
    ],
)
def test_refusals(text: str, scheme: str, symbology: str) -> None:
    with pytest.raises(PassRefusal) as refused:
        CardNumber.parse(text, scheme, symbology)
    assert refused.value.code == "CARD_FORMAT"
    assert refused.value.sentence("de")


def test_leading_zeros_stay() -> None:
    assert CardNumber.parse("000123", "", "CODE_128").text == "000123"
    assert CardNumber.parse("4006381333931", symbology="EAN_13").symbology is Symbology.EAN_13


def test_scanned_number_counts_even_if_the_check_digit_does_not_hold() -> None:
    scanned = CardNumber.parse("A24711390000991B", "codabar14", "CODABAR")
    assert not scanned.check_digit_holds
    with pytest.raises(PassRefusal, match="CARD_FORMAT"):
        CardNumber.parse("24711390000991", "codabar14", "CODABAR")
    with pytest.raises(PassRefusal, match="CARD_FORMAT"):
        CardNumber.parse("A2471139B", "codabar14", "CODABAR")


def test_letters_that_belong_to_a_number_are_not_taken_for_a_frame() -> None:
    assert CardNumber.parse("A4711B", "", "CODE_128").text == "A4711B"


@pytest.mark.parametrize(
    ("text", "symbology", "said"),
    [
        ("4006381333932", "EAN_13", ("EAN-13", "13 Ziffern", "andere Strichcodeart")),
        ("400638133393", "EAN_13", ("EAN-13", "Prüfziffer", "andere Strichcodeart")),
        ("247", "ITF", ("ITF", "Anzahl ist gerade", "andere Strichcodeart")),
        ("abc", "CODE_39", ("Code 39", "Großbuchstaben", "- . $ / + %", "andere Strichcodeart")),
        ("D4711", "CODABAR", ("Codabar", "- $ : / . +", "andere Strichcodeart")),
        ("ABC DEF", "", ("1 bis 40 Zeichen", "ohne Leerzeichen")),
        ("1" * 41, "ITF", ("1 bis 40 Zeichen",)),
        ("1" * 43, "CODABAR", ("1 bis 40 Zeichen",)),
    ],
)
def test_what_a_symbology_holds_is_said(text: str, symbology: str, said: tuple[str, ...]) -> None:
    with pytest.raises(PassRefusal) as refused:
        CardNumber.parse(text, "", symbology)
    assert refused.value.code == "CARD_FORMAT"
    sentence = refused.value.sentence("de")
    assert all(one in sentence for one in said)
    assert "Nummernschema" not in sentence
    assert refused.value.sentence("en") != sentence


def test_a_number_outside_its_scheme_is_told_of_the_scheme() -> None:
    with pytest.raises(PassRefusal) as refused:
        CardNumber.parse("ABC", "codabar14", "CODABAR")
    assert "codabar14" in refused.value.sentence("de")


def test_unknown_scheme_and_symbology_are_named() -> None:
    with pytest.raises(PassRefusal, match=r"CARD_SCHEME_UNKNOWN.*codabar14"):
        CardNumber.parse("1", "mod97")
    with pytest.raises(PassRefusal, match=r"CARD_SYMBOLOGY_UNKNOWN.*ITF"):
        CardNumber.parse("1", "", "CODABAR_X")


def test_published_kennung() -> None:
    assert to_base32("211403607") == "69JGQN"
    with pytest.raises(PassRefusal, match="CARD_FORMAT"):
        to_base32("211403608")


@given(st.integers(10_000_000, 99_999_999))
def test_base32_form_is_the_same_number(body: int) -> None:
    kennung = next(f"{body}{digit}" for digit in range(10) if holds(f"{body}{digit}"))
    assert int(to_base32(kennung), 32) == int(kennung)
    assert CardNumber.parse(to_base32(kennung), "sbc_kennung").check_digit_holds


def holds(text: str) -> bool:
    return CardNumber(text, "sbc_kennung").check_digit_holds


@given(st.text(max_size=60), st.sampled_from(["", *SCHEMES]), st.sampled_from(["", *Symbology]))
def test_any_text_gives_a_number_or_a_refusal(text: str, scheme: str, symbology: str) -> None:
    try:
        number = CardNumber.parse(text, scheme, symbology)
    except PassRefusal as refusal:
        assert refusal.sentence("en")
        return
    assert number.text in text
    assume(number.check_digit_holds)
    assert CardNumber.parse(number.text, scheme, symbology).text == number.text
