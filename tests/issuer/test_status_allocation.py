"""Places in the status lists."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from issuer.models import RevisionRow
from issuer.register import NewRevision
from issuer.status_allocation import allocate, half_year, status_entries
from passes.status_list import Status
from tests.issuer.register_samples import TODAY, SampleRegister, sample_register

TYPE = "resident-parking-permit"


@pytest.fixture
def register(tmp_path: Path) -> Iterator[SampleRegister]:
    with sample_register(tmp_path) as opened:
        opened.load("permits_valid.csv")
        yield opened


def store(session: Session, tenant: str, places: list[tuple[int, int]], first: int) -> None:
    rows = [
        NewRevision(
            tenant, TYPE, "BPA-2026-100001", first + n, {}, place, Status(place[1] % 4), None, TODAY
        ).row()
        | {"superseded_at": TODAY}
        for n, place in enumerate(places)
    ]
    session.execute(insert(RevisionRow), rows)


def test_half_years_end_in_june_and_december() -> None:
    assert [half_year(date(2027, month, day)) for month, day in ((1, 1), (6, 30), (7, 1), (12, 31))] == [
        "2027H1", "2027H1", "2027H2", "2027H2",
    ]  # fmt: skip


def test_a_list_for_each_type_and_half_year_and_a_new_one_at_80_percent(register: SampleRegister) -> None:
    with register.writing() as session:
        seen: list[tuple[int, int]] = []
        for batch in (7, 3, 9):
            places = allocate(session, register.tenant, TYPE, date(2099, 3, 1), batch, capacity=10)
            store(session, register.tenant, places, 1000 + len(seen))
            seen += places
        other = allocate(session, register.tenant, TYPE, date(2099, 7, 1), 1, capacity=10)
        card = allocate(session, register.tenant, "library-card", date(2099, 3, 1), 1, capacity=10)
    assert len(set(seen)) == 19
    lists = sorted({number for number, _ in seen})
    assert [sum(number == one for number, _ in seen) for one in lists] == [8, 8, 3]
    assert all(0 <= index < 10 for _, index in seen)
    assert len({*lists, other[0][0], card[0][0]}) == 5


def test_entries_are_those_given_out_with_their_values(register: SampleRegister) -> None:
    with register.writing() as session:
        places = allocate(session, register.tenant, TYPE, date(2099, 3, 1), 50)
        store(session, register.tenant, places, 1000)
    with register.reading() as session:
        lists = {one.number: (one, dict(one.entries)) for one in status_entries(session, register.tenant)}
        number = places[0][0]
        assert lists[number][1] == {index: index % 4 for _, index in places}
        assert (lists[number][0].half_year, lists[number][0].last_expiry) == ("2099H1", date(2099, 6, 30))
        assert list(status_entries(session, "neuss")) == []


def test_indexes_do_not_follow_the_order_of_the_rows(register: SampleRegister) -> None:
    with register.writing() as session:
        drawn = [index for _, index in allocate(session, register.tenant, TYPE, date(2099, 3, 1), 1500)]
    assert drawn != sorted(drawn)
    halves = sum(drawn[:500]) / 500, sum(drawn[-500:]) / 500
    assert abs(halves[0] - halves[1]) < 0.2 * 2**20
