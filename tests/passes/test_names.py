"""Names, addresses and remarks as registers hold them, and as attackers would like to."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.errors import PassRefusal
from passes.names import FieldKind, mojibake_suspected, normalise, search_keys

NAMES = [
    "von und zu Hohenstein-Waldburg-Trauchberg-Übersee", "Karl Theodor Maria Nikolaus", "Dr. Dr.", "Suharto",
    "Łukasz", "Wiśniewski", "Şule", "Yıldırım", "Ọsei", "Õnne", "Đorđević", "al-Ḥusaynī", "ʿAbd ar-Raḥmān",
    "aš-Šāfiʿī", "Hryhor’jeva", "Van ’t Hoff", "O’Connor", "D'Angelo", "Ģirts Bērziņš", "Þórðarson",
    "Nguyễn Hữu Cầu", "Ayşegül Çağlar", "Șerban", "-ova", "'t Hart", "Nataliâ", "Größmann", "STRAẞE",
]  # fmt: skip
ADDRESSES = [
    "5 b",
    "27 1/2",
    "12-14",
    "Straße des 31. Februar",
    "Dr.-Übermut-Straße",
    "Frankfurt (Oder)",
    "19c",
]
ORGANISATIONS = [
    "Rheinteiler eG (fiktiv)", "Kita Löwenzähnchen e. V.", "Seniorenstift „Zur Süßen Linde“",
    "Müller & Söhne GmbH", "Grundschule 12 am Größeren Weiher", "Café + Kultur gGmbH", "Jugendhaus »Süd«",
]  # fmt: skip
# Sequences of DIN 91379 that have no composed form.
SEQUENCES = [
    "A\u030b",
    "C\u0328\u0306",
    "K\u035fh",
    "M\u0302",
    "R\u0325\u0304",
    "S\u031b\u0304",
    "l\u0325",
    "n\u0304",
]


@pytest.mark.parametrize("name", NAMES + SEQUENCES)
def test_names_keep_their_letters(name: str) -> None:
    assert normalise(name) == unicodedata.normalize("NFC", name)
    assert normalise(unicodedata.normalize("NFD", name)) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("text", ADDRESSES)
def test_addresses(text: str) -> None:
    assert normalise(text, FieldKind.ADDRESS) == text


@pytest.mark.parametrize("text", ORGANISATIONS)
def test_organisations(text: str) -> None:
    assert normalise(text, FieldKind.ORGANISATION) == text


def test_remarks() -> None:
    assert normalise("Stellplatz? geprüft", FieldKind.TEXT) == "Stellplatz? geprüft"


def test_spaces_are_tidied() -> None:
    assert normalise("  Anna\u00a0 Maria\u2009Ida ") == "Anna Maria Ida"
    assert normalise("   ") == ""


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("@SUM(1+1)*cmd|' /C calc'!A0", FieldKind.NAME, "NAME_FORBIDDEN_CHAR"),
        ("<img src=x onerror=alert(1)>", FieldKind.NAME, "NAME_FORBIDDEN_CHAR"),
        ("<b>fett</b>", FieldKind.TEXT, "NAME_FORBIDDEN_CHAR"),
        ("=1+1", FieldKind.TEXT, "NAME_FORBIDDEN_CHAR"),
        (" +49 211 1", FieldKind.ADDRESS, "NAME_FORBIDDEN_CHAR"),
        ("@SUM(A1)", FieldKind.ORGANISATION, "NAME_FORBIDDEN_CHAR"),
        ("\t=1+1", FieldKind.ADDRESS, "CONTROL_CHAR"),
        ("Anna\r\nBcc: x", FieldKind.NAME, "CONTROL_CHAR"),
        ("Anna\u2028Ida", FieldKind.NAME, "CONTROL_CHAR"),
        ("Muster\u200bmann", FieldKind.NAME, "NAME_INVISIBLE_CHAR"),
        ("\u202egnp.exe", FieldKind.NAME, "NAME_INVISIBLE_CHAR"),
        ("Anna\u00ad", FieldKind.NAME, "NAME_INVISIBLE_CHAR"),
        ("A\ufe0f", FieldKind.NAME, "NAME_INVISIBLE_CHAR"),
        ("\u3164", FieldKind.NAME, "NAME_INVISIBLE_CHAR"),
        ("Агата", FieldKind.NAME, "NAME_FORBIDDEN_CHAR"),
        ("Anna 2", FieldKind.NAME, "NAME_FORBIDDEN_CHAR"),
        ("\uff21nna", FieldKind.NAME, "NAME_FORBIDDEN_CHAR"),
        ("Ann\u0489a", FieldKind.NAME, "NAME_FORBIDDEN_CHAR"),
        ("x\u0301\u0302\u0304", FieldKind.NAME, "NAME_FORBIDDEN_CHAR"),
        ("\u0301Anna", FieldKind.NAME, "NAME_FORBIDDEN_CHAR"),
        ("a" * 201, FieldKind.NAME, "FIELD_TOO_LONG"),
        ("Lang" * 1250, FieldKind.NAME, "FIELD_TOO_LONG"),
        ("a" + "\u0301" * 10_000, FieldKind.NAME, "FIELD_TOO_LONG"),
    ],
)
def test_refusals(text: str, kind: FieldKind, code: str) -> None:
    with pytest.raises(PassRefusal) as refused:
        normalise(text, kind)
    assert refused.value.code == code
    for language in ("de", "en"):
        sentence = refused.value.sentence(language)
        assert not any(unicodedata.category(character) in {"Cc", "Cf"} for character in sentence)


def test_limit_counts_composed_characters() -> None:
    assert normalise("u\u0308" * 200) == "ü" * 200


@given(st.text(max_size=300), st.sampled_from(FieldKind))
def test_normalise_is_stable_and_leaves_nothing_dangerous(text: str, kind: FieldKind) -> None:
    try:
        tidy = normalise(text, kind)
    except PassRefusal as refusal:
        assert refusal.sentence("de")
        return
    assert normalise(tidy, kind) == tidy == unicodedata.normalize("NFC", tidy)
    assert not set(tidy) & set("<>|\\{}\t\n\r")
    assert not tidy.startswith(("=", "+", "@"))


@given(st.text("aäöüßéŁş -„“’", min_size=1, max_size=40))
def test_mojibake_is_noticed_and_repaired(text: str) -> None:
    damaged = "".join(
        bytes([byte]).decode("cp1252") if byte not in {0x81, 0x8D, 0x8F, 0x90, 0x9D} else chr(byte)
        for byte in text.encode()
    )
    assert mojibake_suspected(damaged) == (None if text.isascii() else text)
    assert mojibake_suspected(text) is None


def test_mojibake_is_kept_for_a_warning() -> None:
    assert normalise("MÃ¼ller-LÃ¼denscheidt") == "MÃ¼ller-LÃ¼denscheidt"
    assert mojibake_suspected("MÃ¼ller-LÃ¼denscheidt") == "Müller-Lüdenscheidt"


@pytest.mark.parametrize("text", ["<MÃ¼ller>", "=MÃ¼ller", "MÃ¼ller 2", "Ð¼Ð°Ð¼Ð°"])
def test_mojibake_opens_no_door(text: str) -> None:
    with pytest.raises(PassRefusal, match="NAME_FORBIDDEN_CHAR"):
        normalise(text)


@pytest.mark.parametrize("name", NAMES)
def test_sound_names_are_not_suspected(name: str) -> None:
    assert mojibake_suspected(name) is None


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("Müller", "Mueller"), ("Müller", "muller"), ("Müller", "MÜLLER"), ("Müller", "Mu\u0308ller"),
        ("Groß", "Gross"), ("STRAẞE", "Strasse"), ("Łukasz", "Lukasz"), ("Yıldırım", "YILDIRIM"),
        ("İnci", "inci"), ("Þórðarson", "Thordarson"), ("Nguyễn", "Nguyen"), ("Sørensen", "Soerensen"),
        ("Sørensen", "Sorensen"), ("Åse", "Aase"), ("Åse", "Ase"), ("Ạ̈li", "Aeli"),
        ("Meyer-Landrut", "meyer landrut"), ("O’Connor", "OConnor"), ("ʿAbd ar-Raḥmān", "Abd ar Rahman"),
    ],
)  # fmt: skip
def test_names_are_found_as_people_type_them(stored: str, typed: str) -> None:
    assert search_keys(stored) & search_keys(typed)


def test_different_names_do_not_meet() -> None:
    assert not search_keys("Möller") & search_keys("Müller")
    assert search_keys("’ -") == frozenset()


@given(st.text(max_size=400))
def test_search_keys_take_any_text(text: str) -> None:
    for key in search_keys(text):
        assert key == key.strip()
        assert "  " not in key


def test_search_is_bounded() -> None:
    with pytest.raises(PassRefusal, match="FIELD_TOO_LONG"):
        search_keys("a" * 401)
