"""No sentence stands in a page or in code: all of them are in the catalogues, and the English ones are English."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment

import issuer
from keys.texts import LANGUAGES, texts

ROOT = Path(issuer.__file__).parent
TEMPLATES = sorted(ROOT.rglob("templates/**/*.html"))
# Read aloud or shown by browsers as it stands.
SHOWN = ("alt", "aria-label", "aria-description", "aria-roledescription", "placeholder", "title", "label")
# What is the same in every language: names of products, forms and units.
SAME = {
    "stadtpass",
    "apple",
    "google",
    "wallet",
    "pdf",
    "qr",
    "csv",
    "json",
    "sp1",
    "html",
    "xml",
    "rdf",
    "ld",
}
# Words of forms that come from a city, not sentences of ours.
GERMAN_DATA = {
    "importing/legacy.py": "heads of the columns of an old register",
    "staff/passwords.py": "rows of a keyboard",
    "setup.py": "the demo city's address",
    "data_protection/dpia.py": "a draft that a German authority goes on writing",
    "api/": "the description of the API is English; umlauts stand in its examples",
}
GERMAN = re.compile(
    r"[äöüßÄÖÜ]|\b(und|oder|nicht|kein\w*|für|bitte|Sie|Ihr\w*|ist|sind|wird|wurde|Fall|Ausweis\w*|Bewohner\w*)\b"
)


def literal(template: str) -> Iterator[str]:
    """The words that stand in a template itself, in its text and in the attributes that people meet."""
    plain = "\0".join(text for _, kind, text in Environment().lex(template) if kind == "data")
    # Commands and names of files are the same in every language; attributes also stand alone in macros.
    plain = re.sub(
        r"<(style|script|svg|code)\b.*?</\1>|\b\w+\.(csv|json|jsonld|rdf)\b", " ", plain, flags=re.S
    )
    attribute = r'([\w-]+)="([^"]*)"'
    for name, value in re.findall(attribute, plain):
        if name in SHOWN:
            yield value
    yield re.sub(r"<[^>]*>", " ", re.sub(attribute, " ", plain))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_template_says_nothing_of_its_own(template: Path) -> None:
    words = [
        word
        for text in literal(template.read_text("utf-8"))
        for word in re.findall(r"[^\W\d_]{2,}", re.sub(r"&\w+;", " ", text))
        if word.lower() not in SAME
    ]
    assert words == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_template_says_is_in_both_catalogues(template: Path) -> None:
    codes = set(re.findall(r"""\bsay\(\s*["']([A-Z0-9_]+)["']\s*[,)]""", template.read_text("utf-8")))
    missing = [(code, one) for code in sorted(codes) for one in LANGUAGES if code not in texts("issuer", one)]
    assert missing == []


def sentences_in(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    # Strings that stand alone are docstrings.
    notes = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes:
            yield node.value


def test_no_german_stands_in_code() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in sorted(ROOT.rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(tuple(GERMAN_DATA))
        for text in sentences_in(path)
        if GERMAN.search(text)
    ]
    assert found == []


def test_an_english_sentence_is_not_the_german_one() -> None:
    german, english = (texts("issuer", language).sentences for language in LANGUAGES)
    untranslated = [
        code
        for code, sentence in english.items()
        if sentence == german[code]
        and len(re.findall(r"[a-zäöüß]{2,}", re.sub(r"\{\w*\}", "", sentence))) > 3
    ]
    assert untranslated == []
    assert [
        code for code, sentence in english.items() if re.search(r"\b(und|nicht|Sie|bitte)\b", sentence)
    ] == []
