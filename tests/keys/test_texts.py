"""Every sentence exists in both languages, asks for the same facts, and every refusal brings those facts."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import keys
from keys.errors import Refusal
from keys.texts import LANGUAGES, texts
from passes.errors import PassRefusal

PROJECT = Path(keys.__file__).parents[1]
PACKAGES = [
    name for name in ("keys", "passes", "verifier", "issuer") if (PROJECT / name / "locales" / "de").is_dir()
]


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def refusals(kind: type[Refusal]) -> Iterator[tuple[str, type[Refusal]]]:
    """Every kind of refusal by name; each package declares its own in its errors module."""
    yield kind.__name__, kind
    for narrower in kind.__subclasses__():
        yield from refusals(narrower)


def raised() -> Iterator[tuple[str, type[Refusal], str, set[str]]]:
    """Place, class, code and params of every refusal whose code and params are written out."""
    for package in PACKAGES:
        if (PROJECT / package / "errors.py").exists():
            importlib.import_module(f"{package}.errors")
    kinds = dict(refusals(Refusal))
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            place = path.relative_to(PROJECT)
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                    continue
                code = node.args[0]
                if not (isinstance(code, ast.Constant) and isinstance(code.value, str)):
                    continue
                if not node.func.id.endswith("Refusal") or any(word.arg is None for word in node.keywords):
                    continue
                params = {str(word.arg) for word in node.keywords}
                yield f"{place}:{node.lineno}", kinds[node.func.id], code.value, params


@pytest.mark.parametrize("package", PACKAGES)
def test_both_languages_say_the_same_things(package: str) -> None:
    german, english = (texts(package, language).sentences for language in LANGUAGES)
    assert german.keys() == english.keys()
    differing = [code for code in german if placeholders(german[code]) != placeholders(english[code])]
    assert differing == []


@pytest.mark.parametrize("package", PACKAGES)
def test_each_topic_file_exists_in_both_languages(package: str) -> None:
    folder = PROJECT / package / "locales"
    german, english = ({path.name for path in (folder / language).iterdir()} for language in LANGUAGES)
    assert german == english


def test_every_refusal_has_its_sentence() -> None:
    found = list(raised())
    assert found
    missing = [
        f"{place}: {code} in {language}"
        for place, kind, code, _ in found
        for language in LANGUAGES
        if code not in texts(kind.package, language)
    ]
    assert missing == []


def test_every_refusal_brings_the_facts_of_its_sentence() -> None:
    lacking = [
        f"{place}: {code} needs {sorted(needed - params)}"
        for place, kind, code, params in raised()
        if code in texts(kind.package)
        and not (needed := placeholders(texts(kind.package).sentences[code])) <= params
    ]
    assert lacking == []


def test_days_stand_in_sentences_as_their_language_writes_them() -> None:
    refusal = Refusal("KEY_NAME", name="2026-03-05", example="2026-03-05")
    assert "05.03.2026" in refusal.sentence("de")
    assert "5 March 2026" in refusal.sentence("en")
    assert refusal.params["name"] == "2026-03-05"
    assert "2026-02-30" in Refusal("KEY_NAME", name="2026-02-30").sentence("de")
    assert "x2026-03-05" in Refusal("KEY_NAME", name="x2026-03-05").sentence("de")
    # What is to be typed stays as it is to be typed.
    assert "2026-11-20" in PassRefusal("DATE_FORMAT", example="2026-11-20").sentence("de")
