"""What scanners deliver, as the card numbers that it can be; and never as one what is a seal."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from passes.card_numbers import SCHEMES, CardNumber, Symbology
from passes.errors import PassRefusal
from passes.rotating import PREFIX as ROTATING_PREFIX
from passes.scanned_cards import Delivered, ScannedCard, scanned_card, without_envelope
from passes.seal import PREFIX, MalformedSeal, NotASeal, read_seal

DATA = Path(__file__).parent.parent / "data"
CASES = json.loads((DATA / "vectors" / "scanned_cards.json").read_text("utf-8"))["cases"]
SYMBOLOGIES = st.sampled_from([None, *Symbology])


def read(one: dict[str, Any]) -> ScannedCard:
    symbology = Symbology(one["symbology"]) if one["symbology"] else None
    return scanned_card(one["text"], symbology).of_schemes(one["schemes"])


@pytest.mark.parametrize("one", CASES, ids=lambda one: one["note"])
def test_vector(one: dict[str, Any]) -> None:
    card = read(one)
    assert card.kind.value == one["kind"]
    assert [[spelling.text, spelling.framed] for spelling in card.spellings] == one["spellings"]


def test_every_kind_has_vectors() -> None:
    assert {one["kind"] for one in CASES} == {kind.value for kind in Delivered}


def number_vectors() -> list[dict[str, str]]:
    with (DATA / "card_number_vectors.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


@pytest.mark.parametrize("row", number_vectors(), ids=lambda row: row["input"])
def test_a_scanner_says_what_an_import_says(row: dict[str, str]) -> None:
    symbology = Symbology(row["symbology"]) if row["symbology"] else None
    card = scanned_card(row["input"], symbology).of_schemes([row["scheme"]])
    try:
        number = CardNumber.parse(row["input"], row["scheme"], row["symbology"])
    except PassRefusal:
        assert card.kind is Delivered.MISREAD
        return
    assert [one.text for one in card.spellings] == [number.text]


def is_seal(text: str) -> bool:
    """Whether any part of this project would take ``text``, as delivered, to the check of seals."""
    if text.startswith(ROTATING_PREFIX):
        return True
    try:
        read_seal(text)
    except NotASeal:
        return False
    except MalformedSeal:
        return True
    return True


ENVELOPES = st.sampled_from(["", " ", "\r", "\x02", "]Q1", "]C0\x1d", "]F0", "*", "A", "]A0*"])


@given(
    ENVELOPES, st.sampled_from([PREFIX, ROTATING_PREFIX, ""]), st.text(max_size=70), ENVELOPES, SYMBOLOGIES
)
@example("", PREFIX, "123", "", Symbology.CODABAR)
def test_nothing_is_a_seal_and_a_card_number(
    before: str, prefix: str, text: str, after: str, symbology: Symbology | None
) -> None:
    delivered = before + prefix + text + after
    card = scanned_card(delivered, symbology)
    spelt = [one.text for one in card.spellings]
    for candidate in (delivered, delivered.strip(), without_envelope(delivered)[0]):
        assert not (is_seal(candidate) and card.kind is Delivered.NUMBER)
    assert not any(is_seal(one) for one in spelt)
    assert not any(one.upper().startswith((PREFIX, ROTATING_PREFIX)) for one in spelt)


@given(st.text(max_size=100), SYMBOLOGIES, st.sets(st.sampled_from(sorted(SCHEMES))))
def test_a_spelling_is_a_number_that_a_register_can_hold(
    text: str, symbology: Symbology | None, schemes: set[str]
) -> None:
    card = scanned_card(text, symbology).of_schemes(schemes)
    assert bool(card.spellings) == (card.kind is Delivered.NUMBER)
    assert len(card.spellings) <= 5
    assert len({one.text for one in card.spellings}) == len(card.spellings)
    for one in card.spellings:
        assert CardNumber(one.text, None, Symbology.CODE_39 if " " in one.text else None).text == one.text
        assert re.search("[0-9]", one.text)


@given(st.from_regex(r"[0-9A-Z]{3,20}[0-9]", fullmatch=True), SYMBOLOGIES)
def test_a_number_as_printed_is_among_its_spellings(number: str, symbology: Symbology | None) -> None:
    card = scanned_card(number, symbology)
    try:
        CardNumber(number, None, symbology)
    except PassRefusal:
        return
    assert number in [one.text for one in card.spellings]
