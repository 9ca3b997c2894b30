"""The web app's own copies of texts and data say what the catalogues and data files of the library say."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page

from keys.texts import texts
from passes.districts import AUTHORITY_SIGNS, district_signs
from tests.web_pages import WEB, needs_chromium
from verifier.verdict import Colour, Reason

DISTRICTS = """
async () => {
  const { DISTRICT_SIGNS, AUTHORITY_SIGNS } = await import("/core/districts.js");
  return { all: [...DISTRICT_SIGNS], authorities: [...AUTHORITY_SIGNS] };
}
"""


def told(language: str) -> dict[str, str]:
    read: dict[str, str] = json.loads((WEB / "texts" / f"verdicts.{language}.json").read_text("utf-8"))
    return read


def placeholders(sentence: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", sentence))


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_sentences_are_those_of_the_library(language: str) -> None:
    verdicts, values = texts("verifier", language).sentences, texts("passes", language).sentences
    for code, sentence in told(language).items():
        # Where both have a code, a verdict says what the verifier's catalogue says.
        assert sentence == verdicts.get(code, values.get(code)), code


def test_every_verdict_and_every_fault_of_a_plate_has_its_sentence() -> None:
    wanted = {reason.name for reason in Reason} | {f"WORD_{colour.name}" for colour in Colour}
    wanted |= {
        code for code in texts("verifier").sentences if re.match(r"(NOT_LISTED|UNKNOWN_KEY|AGE)_", code)
    }
    wanted |= {"TEST", "CORRECTED", "PAPER_REQUIRED"}
    wanted |= {code for code in texts("passes").sentences if re.match(r"(PLATE|SEASON)_", code)}
    assert wanted - {"PLATE_LIST_FORM"} == set(told("de")) == set(told("en"))


def test_plain_german_has_the_same_codes_and_no_other_placeholders() -> None:
    plain, german = told("de-simple"), told("de")
    assert plain.keys() == german.keys()
    for code, sentence in plain.items():
        assert sentence.strip() == sentence != "", code
        assert placeholders(sentence) <= placeholders(german[code]), code
        assert "{" not in re.sub(r"{\w+}", "", sentence), code


@needs_chromium
def test_the_district_signs_are_those_of_the_library(page: Page) -> None:
    signs: Any = page.evaluate(DISTRICTS)
    assert set(signs["all"]) == district_signs()
    assert len(signs["all"]) == len(district_signs())
    assert set(signs["authorities"]) == AUTHORITY_SIGNS
