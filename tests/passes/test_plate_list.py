from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import Refusal
from keys.signed_list import ListFrame, sign_list
from passes.periods import Period
from passes.plate_list import (
    TYP,
    PlateEntry,
    PlateList,
    read_plate_list,
    sign_plate_list,
    verified_plate_list,
)
from passes.plates import Plate
from passes.seasons import Season
from passes.status_list import Status
from tests.trust_factory import Key

KEY = Key()
FRAME = ListFrame("plates", 7, 1_790_000_000, 86400, 1_790_100_000)
PERIOD = Period(date(2026, 1, 1), date(2026, 12, 31))


def entry(
    plate: Plate, zone: str = "MÜ1", season: Season | None = None, status: Status = Status.VALID
) -> PlateEntry:
    return PlateEntry(plate.key, PERIOD, zone, season, status)


def listed(*entries: PlateEntry, epoch_keys: dict[int, bytes] | None = None) -> PlateList:
    data = sign_plate_list(KEY, KEY.kid, FRAME, entries, epoch_keys)
    return verified_plate_list(read_plate_list(data), KEY.public)


def test_plates_that_read_alike_without_separators_are_two_cars() -> None:
    first, second = Plate("UE", "MA", "123"), Plate("UEM", "A", "123")
    plates = listed(entry(first, "A"))
    assert plates.find(first) == [entry(first, "A")]
    assert plates.find(second) == []


@pytest.mark.parametrize(
    "other",
    [Plate("D", "AB", "123", "E"), Plate("D", "AB", "12"), Plate("D", "A", "123"), Plate("D", "AB", "1234")],
)
def test_a_part_of_a_plate_is_not_the_plate(other: Plate) -> None:
    plates = listed(entry(Plate("D", "AB", "123")))
    assert plates.find(other) == []
    assert listed(entry(other)).find(Plate("D", "AB", "123")) == []


def test_all_entries_of_a_plate_are_found_wherever_they_stand() -> None:
    first, middle, last = Plate("A", "A", "1"), Plate("MÜ", "X", "5", "H"), Plate("Z", "ZZ", "9999")
    entries = [
        entry(plate, zone, Season(10, 3), status)
        for plate in (last, middle, first)
        for zone, status in (("B", Status.SUPERSEDED), ("A", Status.VALID))
    ]
    plates = listed(*entries)
    for plate in (first, middle, last):
        assert sorted(one.zone for one in plates.find(plate)) == ["A", "B"]
        assert set(plates.find(plate)) <= set(entries)


def test_an_empty_list_lists_nothing() -> None:
    assert listed().find(Plate("D", "AB", "123")) == []


def test_epoch_keys_come_along() -> None:
    assert listed(epoch_keys={3: b"secret"}).epoch_keys == {3: b"secret"}


PLATES = st.builds(
    Plate,
    st.sampled_from(["D", "ME", "MÜ", "ÖHR"]),
    st.sampled_from(["A", "AB"]),
    st.integers(1, 99).map(str),
    st.sampled_from(["", "E", "H"]),
)


@given(st.sets(PLATES, max_size=15), PLATES)
def test_exactly_what_was_listed_is_found(present: set[Plate], wanted: Plate) -> None:
    plates = listed(*(entry(plate) for plate in present))
    assert len(plates.find(wanted)) == (wanted in present)
    assert all(plates.find(plate) == [entry(plate)] for plate in present)


@pytest.mark.parametrize("zone", ["A\tB", "A\nB"])
def test_a_separator_in_a_cell_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="separator"):
        listed(entry(Plate("D", "AB", "123"), zone))


LINE = b"D|AB|123|\t2026-01-01\t2026-12-31\tA\t\t0"


def signed(table: object, epoch_keys: object) -> PlateList:
    data = sign_list(KEY, KEY.kid, TYP, FRAME, {-65541: table, -65542: epoch_keys})
    return verified_plate_list(read_plate_list(data), KEY.public)


@pytest.mark.parametrize(
    ("table", "epoch_keys"),
    [(None, {}), ("\n", {}), (b"", {}), (LINE + b"\n", {}), (b"\n" + LINE, {}), (b"\n", None), (b"\n", []),
     (b"\n", {"1": b""}), (b"\n", {1: "x"})],
    ids=repr,
)  # fmt: skip
def test_signed_lists_of_another_form_are_refused(table: object, epoch_keys: object) -> None:
    with pytest.raises(Refusal) as refused:
        signed(table, epoch_keys)
    assert refused.value.code == "PLATE_LIST_FORM"


@pytest.mark.parametrize(
    ("good", "bad"),
    [(b"\t0", b"\t4"), (b"\t0", b"\tx"), (b"2026-01-01", b"2026-13-01"), (b"2026-12-31", b"2025-12-31"),
     (b"\tA", b"\t\xff"), (b"\t\t0", b"\t04-04\t0"), (b"\t0", b"\t0\t0"), (b"\t\t", b"\t")],
)  # fmt: skip
def test_a_line_of_another_form_is_refused_when_it_is_met(good: bytes, bad: bytes) -> None:
    plate = Plate("D", "AB", "123")
    assert len(signed(b"\n" + LINE + b"\n", {}).find(plate)) == 1
    with pytest.raises(Refusal):
        signed(b"\n" + LINE.replace(good, bad) + b"\n", {}).find(plate)


def test_another_key_is_refused() -> None:
    with pytest.raises(Refusal):
        verified_plate_list(read_plate_list(sign_plate_list(KEY, KEY.kid, FRAME, [])), Key().public)
