"""Plates as citizens, clerks and wardens write them, and as the seal carries them."""

from __future__ import annotations

import csv
import itertools
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.districts import AUTHORITY_SIGNS, civil_district_signs, district_signs
from passes.errors import PassRefusal
from passes.plates import (
    Plate,
    PlateAmbiguous,
    check_season_length,
    correct_lookalikes,
    parse_with_season,
)
from passes.seasons import Season

VECTORS = Path(__file__).parent.parent / "data" / "plate_vectors.csv"


def vectors(verdict: str) -> list[dict[str, str]]:
    with VECTORS.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file, delimiter=";") if row["verdict"] == verdict]


@st.composite
def plates(draw: st.DrawFn) -> Plate:
    district = draw(st.sampled_from(sorted(civil_district_signs())))
    letters = draw(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=2))
    suffix = draw(st.sampled_from(["", "E", "H"]))
    digits = min(4, 8 - len(district + letters + suffix))
    return Plate(district, letters, str(draw(st.integers(1, 10**digits - 1))), suffix)


@pytest.mark.parametrize("row", vectors("valid"), ids=lambda row: row["note"])
def test_valid_vector(row: dict[str, str]) -> None:
    plate = Plate.parse(row["input"])
    assert (plate.canonical, plate.key) == (row["canonical"], row["key_or_code"])


@pytest.mark.parametrize("row", vectors("invalid"), ids=lambda row: f"{row['key_or_code']} {row['input']!r}")
def test_invalid_vector(row: dict[str, str]) -> None:
    with pytest.raises(PassRefusal) as refused:
        Plate.parse(row["input"])
    assert refused.value.code == row["key_or_code"]
    assert refused.value.sentence("de") != refused.value.sentence("en")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("D- NC 7682", "D-NC 7682"),
        ("B NY 9369", "B-NY 9369"),
        ("GÖ- TS 1869", "GÖ-TS 1869"),
        ("go\u0308 ts 1869", "GÖ-TS 1869"),
        ("D\u00a0AB\u202f123 e", "D-AB 123E"),
        ("D\u2212AB\u2014123", "D-AB 123"),
        ("UE-MA 123", "UE-MA 123"),
        ("UEM-A 123", "UEM-A 123"),
        ("  d-ab 123  ", "D-AB 123"),
    ],
)
def test_spellings(text: str, canonical: str) -> None:
    assert Plate.parse(text).canonical == canonical


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("XX-AB 123", "PLATE_DISTRICT_UNKNOWN"),
        ("BOR-AB 1234", "PLATE_TOO_LONG"),
        ("D-AB 0123", "PLATE_FORMAT"),
        ("D-AB 12X", "PLATE_FORMAT"),
        ("D-AB 12HE", "PLATE_SUFFIX_CONFLICT"),
        ("D-1234", "PLATE_SPECIAL"),
        ("D 3-1234", "PLATE_SPECIAL"),
        ("NRW 4-1234", "PLATE_SPECIAL"),
        ("BWL-AB 12", "PLATE_SPECIAL"),
        ("YAB123", "PLATE_SPECIAL"),
        ("D-06 1234", "PLATE_SPECIAL"),
        ("D-AB \u0661\u0662\u0663", "PLATE_NON_LATIN"),
        ("D-\u00df 123", "PLATE_LETTERS_INVALID"),
        ("D-\ufb01 123", "PLATE_LETTERS_INVALID"),
        ("D-AB\u200b 123", "PLATE_CONTROL_CHAR"),
        ("D-AB\t123", "PLATE_CONTROL_CHAR"),
        ("D-AB 123; DROP", "PLATE_FORMAT"),
        ("D" * 5000, "PLATE_TOO_LONG"),
        ("wechselnde Fahrzeuge", "PLATE_FORMAT"),
        ("", "PLATE_FORMAT"),
    ],
)
def test_refusals(text: str, code: str) -> None:
    with pytest.raises(PassRefusal) as refused:
        Plate.parse(text)
    assert refused.value.code == code


def test_ambiguous_text_offers_every_reading() -> None:
    with pytest.raises(PlateAmbiguous) as refused:
        Plate.parse("uema 123h")
    assert refused.value.suggestions == (Plate("UE", "MA", "123", "H"), Plate("UEM", "A", "123", "H"))
    assert "UE-MA 123H, UEM-A 123H" in refused.value.sentence("en")


@given(plates())
def test_joined_spelling_finds_the_plate_among_its_readings(plate: Plate) -> None:
    joined = plate.canonical.replace("-", "").replace(" ", "").lower()
    try:
        readings: tuple[Plate, ...] = (Plate.parse(joined),)
    except PlateAmbiguous as ambiguous:
        readings = ambiguous.suggestions
        assert len(readings) > 1
    assert plate in readings
    assert all(reading.district in civil_district_signs() for reading in readings)


@given(plates())
def test_round_trips(plate: Plate) -> None:
    assert Plate.parse(plate.canonical) == Plate.from_canonical(plate.canonical) == plate
    assert Plate.from_key(plate.key) == plate
    assert Plate.parse(unicodedata.normalize("NFD", plate.canonical).swapcase()) == plate


@given(st.one_of(st.text(), st.text("ABDEHOYÄÖÜßxy0137- ()/·\u0308\u200b\n", max_size=16)))
def test_any_text_gives_a_plate_or_a_refusal(text: str) -> None:
    for read in (Plate.parse, parse_with_season, correct_lookalikes, Plate.from_canonical, Plate.from_key):
        try:
            read(text)
        except PassRefusal as refusal:
            assert refusal.sentence("de")


@given(plates(), st.data())
def test_only_the_canonical_spelling_is_canonical(plate: Plate, data: st.DataObject) -> None:
    text = plate.canonical
    at = data.draw(st.integers(0, len(text)))
    inserted = data.draw(st.sampled_from([" ", "-", "\n", "\u0308", "\u00a0", "0", "\u0661", "E", "a", "|"]))
    changed = text[:at] + inserted + text[at:]
    try:
        read = Plate.from_canonical(changed)
    except PassRefusal:
        return
    assert read.canonical == changed


@pytest.mark.parametrize(
    "text", ["d-AB 123", "D-AB 123\n", "D AB 123", "GO\u0308-A 1", "D-AB 0123", "D-ÄB 1", "BOR-AB 123E"]
)
def test_canonical_reading_is_strict(text: str) -> None:
    with pytest.raises(PassRefusal):
        Plate.from_canonical(text)


@pytest.mark.parametrize(
    ("text", "canonical", "season"),
    [
        ("D-AB 123 (04-10)", "D-AB 123", Season(4, 10)),
        ("D HX 8900 08/10", "D-HX 8900", Season(8, 10)),
        ("K M 6663H 01/04", "K-M 6663H", Season(1, 4)),
        ("NE- BN 68E 10/03", "NE-BN 68E", Season(10, 3)),
        ("D-AB 123", "D-AB 123", None),
    ],
)
def test_season_behind_the_plate(text: str, canonical: str, season: Season | None) -> None:
    plate, read = parse_with_season(text)
    assert (plate.canonical, read) == (canonical, season)


def test_season_needs_room_on_the_plate() -> None:
    check_season_length(Plate.parse("K-M 6663H"))
    with pytest.raises(PassRefusal, match="PLATE_TOO_LONG"):
        check_season_length(Plate.parse("BOR-AB 123"))
    with pytest.raises(PassRefusal, match="PLATE_TOO_LONG"):
        parse_with_season("BOR-AB 123 (04-10)")
    with pytest.raises(PassRefusal, match="SEASON_MONTH"):
        parse_with_season("D-AB 123 (03-13)")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("D-AB I23", "D-AB 123"),
        ("d-ab 1o3", "D-AB 103"),
        ("0B-T0 5514", "OB-TO 5514"),
        ("1N-A 1", "IN-A 1"),
        ("D0 234", "D-O 234"),
        ("D-A0123", "D-AO 123"),
        ("D-AB I2 (04-10)", "D-AB 12 (04-10)"),
    ],
)
def test_lookalikes_are_corrected_by_position(typed: str, meant: str) -> None:
    assert correct_lookalikes(typed) == (meant, True)


@pytest.mark.parametrize(
    "typed", ["D-O 1", "D-OI 10", "D-04123", "0-17-123", "UEMA123", "XX-AB I23", "D-ÄB O"]
)
def test_nothing_is_corrected_without_need_or_hope(typed: str) -> None:
    assert correct_lookalikes(typed) == (typed, False)


@pytest.mark.parametrize(
    ("typed", "readings"),
    [("CEE I23E", ["C-EE 123E", "CE-E 123E"]), ("D0 123", ["D-O 123", "DO-I 23"])],
)
def test_a_correction_with_two_readings_is_asked_back(typed: str, readings: list[str]) -> None:
    with pytest.raises(PlateAmbiguous) as refused:
        correct_lookalikes(typed)
    assert [plate.canonical for plate in refused.value.suggestions] == readings


@given(plates(), st.data())
def test_mistyped_lookalikes_come_back_or_are_asked_back(plate: Plate, data: st.DataObject) -> None:
    """With separators the position of every character is known, so no other plate may come out."""
    swapped = "".join(
        data.draw(st.sampled_from([character, character.translate(str.maketrans("O0I1", "0O1I"))]))
        for character in plate.canonical
    )
    try:
        text, corrected = correct_lookalikes(swapped)
        found = (Plate.parse(text),)
    except PlateAmbiguous as ambiguous:
        found, corrected = ambiguous.suggestions, True  # type: ignore[assignment]
    except PassRefusal as refusal:
        assert refusal.code == "PLATE_SPECIAL"
        return
    assert plate in found
    assert corrected or swapped == plate.canonical or found == (plate,)


def test_suffix_is_part_of_the_plate() -> None:
    plain, electric, historic = (Plate.parse(f"D-AB 123{suffix}") for suffix in ("", "E", "H"))
    for one, other in itertools.permutations((plain, electric, historic), 2):
        assert one != other


@pytest.mark.parametrize(
    "parts", [("D", "Ä", "1", ""), ("D", "A", "01", ""), ("BOR", "AB", "1234", ""), ("d", "A", "1", "")]
)
def test_no_plate_from_impossible_parts(parts: tuple[str, str, str, str]) -> None:
    with pytest.raises(PassRefusal):
        Plate(*parts)


def test_district_signs_are_loaded_whole() -> None:
    assert len(district_signs()) == 726
    assert district_signs() >= AUTHORITY_SIGNS
    assert {"D", "NE", "GÖ", "PLÖ", "TÖL", "UEM", "HSK", "SLF", "WAT"} <= civil_district_signs()
    assert not {"XX", "DX", "U", "0"} & district_signs()
