"""The web app reads what scanners deliver as the library does, and takes no seal for a card number or the reverse."""

from __future__ import annotations

import csv
import itertools
import json
import random
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from passes.card_numbers import SCHEMES, Symbology
from passes.scanned_cards import Delivered, scanned_card
from tests.web_pages import needs_chromium

pytestmark = needs_chromium
DATA = Path(__file__).parents[2] / "data"
READ = """async (cases) => {
  const { scannedCard, ofSchemes } = await import('/core/scanned-cards.js');
  return cases.map(([text, symbology, schemes]) => {
    const { kind, spellings } = ofSchemes(scannedCard(text, symbology), schemes);
    return [kind, spellings.map((one) => [one.text, one.framed])];
  });
}"""
# What the app makes of a text that was scanned at the desk: whether it is checked as a seal, whether as a number.
TAKEN = """async (texts) => {
  const { isCode } = await import('/ui/checking.js');
  const { scannedCard, withoutEnvelope } = await import('/core/scanned-cards.js');
  return texts.map((text) => [isCode(withoutEnvelope(text).bare), scannedCard(text).kind]);
}"""
# Signs of every class that the rules tell apart: all texts of up to four of them, behind what begins a seal.
SIGNS = ["1", "A", "f", "*", ":", "]", " ", "\r", "-", "ß"]
BEGINNINGS = ["", "SP1:", "SP1R:", "sp1:", "]Q1SP1:", "]F0SP1:", "*SP1:", "ASP1:", " SP1R:"]


def told(text: str, symbology: Symbology | None, schemes: list[str]) -> list[Any]:
    card = scanned_card(text, symbology).of_schemes(schemes)
    return [card.kind.value, [[one.text, one.framed] for one in card.spellings]]


def test_the_vectors(page: Page) -> None:
    cases = json.loads((DATA / "vectors" / "scanned_cards.json").read_text("utf-8"))["cases"]
    answers = page.evaluate(READ, [[one["text"], one["symbology"], one["schemes"]] for one in cases])
    for answer, one in zip(answers, cases, strict=True):
        assert answer == [one["kind"], one["spellings"]], one["note"]


def test_the_numbers_of_every_scheme(page: Page) -> None:
    with (DATA / "card_number_vectors.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    # Each number, and each with one sign changed: what the schemes' checks are for.
    cases: list[tuple[str, Symbology | None, list[str]]] = [
        (text[:at] + sign + text[at + 1 :], None, [row["scheme"]])
        for row in rows
        for text in [row["input"].strip("*")]
        for at, sign in itertools.product(range(len(text)), "0179AVX")
    ]
    assert {name for _, _, (name,) in cases} == set(SCHEMES)
    answers = page.evaluate(READ, cases)
    for answer, (text, _, schemes) in zip(answers, cases, strict=True):
        assert answer == told(text, None, schemes), (text, schemes)
    assert {answer[0] for answer in answers} >= {"number", "misread"}


def test_any_text_is_read_as_the_library_reads_it(page: Page) -> None:
    choice = random.Random(6)
    alphabet = "0123456789ABCDXYabd*:]$%+-./ \r\n\x1d\x7fßé\u200b"
    weights = [9] * 10 + [1] * (len(alphabet) - 10)
    kinds = [None, *Symbology]
    cases: list[tuple[str, Symbology | None, list[str]]] = [
        (
            choice.choice(["", "*", "A", "]F0", "]C1", "SP1:"])
            + "".join(choice.choices(alphabet, weights=weights, k=choice.randint(0, 44)))
            + choice.choice(["", "*", "B", "\r"]),
            choice.choice(kinds),
            choice.sample(sorted(SCHEMES), choice.randint(0, 2)),
        )
        for _ in range(20_000)
    ]  # fmt: skip
    answers = page.evaluate(READ, cases)
    for answer, one in zip(answers, cases, strict=True):
        assert answer == told(*one), one
    assert {answer[0] for answer in answers} == {kind.value for kind in Delivered}


def test_nothing_is_a_seal_and_a_card_number(page: Page) -> None:
    texts = [
        beginning + "".join(signs)
        for beginning in BEGINNINGS
        for length in range(5)
        for signs in itertools.product(SIGNS, repeat=length)
    ]
    answers = page.evaluate(TAKEN, texts)
    both = [
        text for text, (is_code, kind) in zip(texts, answers, strict=True) if is_code and kind == "number"
    ]
    assert both == []
    codes = [text for text, (is_code, _) in zip(texts, answers, strict=True) if is_code]
    assert codes
    assert all("SP1" in text for text in codes)
