"""The keys of street names, and suggestions for names that are nearly right."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import IssuerRefusal
from issuer.rules.street_names import street_keys, suggestions

STREETS = [
    "Am Öhrchen",
    "Dr.-Übermut-Straße",
    "Drakehofstraße",
    "Neumarktgässchen",
    "Straße am Großen Wehr",
    "Straße des 31. Februar",
    "Sankt-Nirgend-Platz",
    "Zum Kühlen Grunde",
    "Äußere Hüttenstraße",
]


@pytest.mark.parametrize(
    ("street", "typed"),
    [
        ("Dr.-Übermut-Straße", "dr übermut str."),
        ("Dr.-Übermut-Straße", "DR UEBERMUT STRASSE"),
        ("Dr.-Übermut-Straße", "Dr.Übermut-Str"),
        ("Drakehofstraße", "Drakehofstr."),
        ("Drakehofstraße", "Drakehof Strasse"),
        ("Drakehofstraße", " drakehof-str "),
        ("Straße am Großen Wehr", "Str. am grossen Wehr"),
        ("Straße des 31. Februar", "strasse des 31.februar"),
        ("Sankt-Nirgend-Platz", "St. Nirgend Pl."),
        ("Neumarktgässchen", "Neumarktgaesschen"),
        ("Äußere Hüttenstraße", "aeussere  Huettenstr."),
    ],
)
def test_spellings_of_one_street(street: str, typed: str) -> None:
    assert street_keys(typed).full == street_keys(street).full


def test_umlauts_without_dots_meet_the_plain_key_only() -> None:
    assert street_keys("Zum Kuhlen Grunde").plain == street_keys("Zum Kühlen Grunde").plain
    assert street_keys("Zum Kuhlen Grunde").full != street_keys("Zum Kühlen Grunde").full


def test_other_streets_stay_other_streets() -> None:
    keys = [
        street_keys(one) for one in [*STREETS, "Drakehofweg", "Drakehofplatz", "Hüttenstraße", "Strehlen"]
    ]
    assert len({one.full for one in keys}) == len({one.plain for one in keys}) == len(keys)


@given(
    st.sampled_from(STREETS),
    st.sampled_from([str.upper, str.lower, str.swapcase, lambda text: text]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([" ", "  ", "-", " - ", "\u2013"]),
)  # fmt: skip
def test_case_composition_blanks_and_abbreviations_do_not_count(
    street: str, case: object, decomposed: bool, short: bool, gap: str
) -> None:
    typed = street.replace("Straße", "Str.").replace("straße", "str.") if short else street
    typed = gap.join(typed.replace("-", " ").split())
    assert callable(case)
    typed = case(unicodedata.normalize("NFD", typed) if decomposed else typed)
    assert street_keys(typed) == street_keys(street)


@given(st.text(max_size=100))
def test_any_text_has_a_key_of_letters_that_is_its_own_key(text: str) -> None:
    keys = street_keys(text)
    for key in (keys.full, keys.plain):
        assert len(key) <= 600
        assert not any(character.isspace() or character in "-.'" for character in key)
    if keys.plain.isascii() and len(keys.plain) <= 100:
        again = street_keys(keys.plain)
        assert street_keys(again.plain).plain == again.plain


def test_a_name_that_is_too_long() -> None:
    with pytest.raises(IssuerRefusal, match="STREET_FORMAT"):
        street_keys("a" * 101)


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("Drakenhofstraße", "Drakehofstraße"),
        ("Drakehof", "Drakehofstraße"),
        ("Am Oerchen", "Am Öhrchen"),
        ("Neumarktgasse", "Neumarktgässchen"),
        ("Strasse d. 31. Februar", "Straße des 31. Februar"),
        ("Hüttenstr", "Äußere Hüttenstraße"),
    ],
)
def test_the_nearest_is_suggested_first(typed: str, first: str) -> None:
    assert suggestions(typed, STREETS)[0] == first


def test_suggestions_are_few_and_none_for_nothing_alike() -> None:
    assert suggestions("Quux", STREETS) == ()
    assert suggestions("", STREETS) == ()
    assert suggestions("straße", ["Bergstraße", "Talstraße"]) == ()
    assert len(suggestions("Drake", [f"Drake {number}" for number in range(20)])) == 5
