"""The words of an Apple pass that are the same in every pass of a type and city, in both languages."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date

from keys.texts import LANGUAGES, texts
from passes.apple_bundle import strings_file
from passes.apple_schema import ApplePassInvalid
from passes.apple_values import field_value
from passes.display import display_sentence, reminder_sentence
from passes.errors import PassRefusal
from passes.model import City, DisplayMode
from passes.pass_types import STANDINGS, PassType

# Mark a slot in the template; private use, refused in the words of a type.
SLOT_START, SLOT_END = "\ue000", "\ue001"


def nfc(text: str) -> str:
    """``text`` in Unicode normalisation form C."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def marked(city: City, text: str) -> str:
    """``text``, with TEST in front of it where the city is only trying things out."""
    return f"TEST {nfc(text)}" if city.test else nfc(text)


def change_message(pass_type: PassType, key: str, language: str) -> str:
    """What the phone says when the field changes. Raises ApplePassInvalid if no %@ is in it."""
    message = pass_type.words(language).changes.get(key, "")
    if "%@" not in message:
        raise ApplePassInvalid("APPLE_RULE_CHANGE", f"{pass_type.id}/{language}.toml changes.{key}")
    return nfc(message)


def static_text(key: str, pass_type: PassType, city: City, language: str) -> str:
    """The value of a field that is the same in every pass of the type and city."""
    if key == "contact":
        return nfc(city.contact)
    if key == "reminder":
        return nfc(texts("passes", language)("REMINDER_TO_COME"))
    return nfc(pass_type.words(language).texts[key])


def translations(pass_type: PassType, city: City) -> dict[str, dict[str, str]]:
    """A table per language: from the German text, as it stands in pass.json, to the words.

    Raises PassRefusal APPLE_TEXT_TWICE if one German text has two translations: the phone looks texts up by
    themselves, so it could not tell them apart.
    """
    tables: dict[str, dict[str, str]] = {}
    for language in LANGUAGES:
        table: dict[str, str] = {}
        for german, translated in zip(
            _words(pass_type, city, "de"), _words(pass_type, city, language), strict=True
        ):
            if table.setdefault(german, translated) != translated:
                raise PassRefusal("APPLE_TEXT_TWICE", type=pass_type.id, text=german, language=language)
        table.pop("", None)
        tables[language] = table
    return tables


def strings_files(
    tables: Mapping[str, Mapping[str, str]], reminder: tuple[int, date] | None
) -> dict[str, bytes]:
    """``pass.strings`` per language from `translations`; with the sentence of ``reminder`` (days, last day)."""
    return {
        f"{language}.lproj/pass.strings": strings_file({**table, **_reminder(reminder, language)})
        for language, table in tables.items()
    }


def _reminder(reminder: tuple[int, date] | None, language: str) -> dict[str, str]:
    if reminder is None:
        return {}
    german, translated = (nfc(reminder_sentence(*reminder, one)) for one in ("de", language))
    return {german: translated}


def _words(pass_type: PassType, city: City, language: str) -> list[str]:
    """All translated texts of a pass in the order of the type's declaration."""
    words, say = pass_type.words(language), texts("passes", language)
    found = [marked(city, words.description), marked(city, words.name), say("APPLE_ISSUED_BY")]
    if city.test:
        found.append(say("TEST"))
    for spec in pass_type.spec.fields:
        if spec.apple == "none":
            continue
        found.append(words.labels[spec.key])
        if spec.change_message:
            found.append(change_message(pass_type, spec.key, language))
        if field_value(spec, pass_type, city) is None:
            found.append(static_text(spec.key, pass_type, city, language))
        elif spec.key == "display_hint":
            found += [display_sentence(mode, language) for mode in DisplayMode]
        elif spec.key == "standing":
            found += [words.texts[one] for one in STANDINGS]
        elif spec.key == "reminder":
            found.append(static_text(spec.key, pass_type, city, language))
    for attribute in pass_type.spec.attributes:
        found += [words.choices[attribute.name][choice] for choice in attribute.choices]
    if any(attribute.kind == "yes_no" for attribute in pass_type.spec.attributes):
        found += [say("YES"), say("NO")]
    found = [nfc(one) for one in found]
    if any(SLOT_START in one or SLOT_END in one for one in (*found, city.name)):
        raise PassRefusal("APPLE_TEXT_CHARACTER", type=pass_type.id, language=language)
    return found
