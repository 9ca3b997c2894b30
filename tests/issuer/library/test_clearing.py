"""What the night clears in members: nothing a day early, everything a day later, and what was previewed."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from issuer.application import Application
from issuer.library.membership import age_on, born_by
from issuer.lifecycle import Actor, revoke
from issuer.models import PassRow, RevisionRow
from issuer.models_library import MemberRow, ReplacedCardRow
from issuer.nightly import retention
from issuer.nightly.removals import delete_some
from issuer.nightly.reports import Report
from passes.periods import BERLIN, berlin_day
from tests.service import CARD, TODAY, City, running_numbers

MEMBER = "M500003"


def put(application: Application, **values: object) -> None:
    with application.writing() as session:
        row = session.get_one(MemberRow, (application.tenant, CARD, MEMBER))
        for name, value in values.items():
            setattr(row, name, value)


def member(application: Application) -> MemberRow:
    with application.reading() as session:
        row = session.get_one(MemberRow, (application.tenant, CARD, MEMBER))
        session.expunge(row)
        return row


def previewed(application: Application) -> dict[str, int]:
    with application.reading() as session:
        counts = retention.preview(application, session)
        return {name: counts[name] for name in ("birth_dates", "family_ties") if name in counts}


def night(application: Application) -> None:
    retention.run(application, Report(application, berlin_day(application.now()), retention.NAME))


def test_birth_date_and_family_go_with_the_birthday(city: City, application: Application) -> None:
    born, noted = date(2005, 11, 21), {"consent_name": "E. Muster", "consent_at": TODAY, "consent_by": "desk"}
    put(application, birth_date=born, guardian_number="M500001", **noted)
    city.clock.at = datetime(2023, 11, 20, 23, 59, tzinfo=BERLIN)
    assert previewed(application) == {}
    city.clock.at = datetime(2023, 11, 21, 0, 0, tzinfo=BERLIN)
    assert previewed(application) == {"family_ties": 1}
    city.clock.at = datetime(2026, 11, 20, 23, 59, tzinfo=BERLIN)
    night(application)
    kept = member(application)
    assert (kept.guardian_number, kept.consent_name, kept.consent_at, kept.consent_by) == (None,) * 4
    assert kept.birth_date == born
    city.clock.at = datetime(2026, 11, 21, 0, 0, tzinfo=BERLIN)
    assert previewed(application) == {"birth_dates": 1}
    night(application)
    assert member(application).birth_date is None
    assert previewed(application) == {}


def test_other_cities_members_are_not_touched(application: Application, neighbour: Application) -> None:
    put(neighbour, birth_date=date(1980, 1, 1))
    night(application)
    assert member(neighbour).birth_date == date(1980, 1, 1)
    assert previewed(neighbour) == {"birth_dates": 1}


@pytest.mark.parametrize(
    ("category", "known", "first", "cleared"),
    [
        ("adult", {}, date(2026, 1, 1), True),
        ("institution", {}, date(2026, 1, 1), True),
        ("youth", {}, date(2026, 1, 1), False),
        ("duesselpass", {}, date(2026, 1, 1), False),
        # There was a date, which decides nothing any more.
        ("duesselpass", {"birth_date": "a digest"}, date(2026, 1, 1), True),
        # Whoever had a card that day is 18 today, however old they were.
        ("child", {}, date(2008, 11, 21), False),
        ("child", {}, date(2008, 11, 20), True),
    ],
)
def test_family_ties_go_without_a_birth_date_too(
    application: Application, category: str, known: dict[str, str], first: date, cleared: bool
) -> None:
    put(application, birth_date=None, guardian_number="M500001", consent_at=TODAY)
    with application.writing() as session:
        row = session.get_one(PassRow, (application.tenant, CARD, MEMBER))
        row.period_first, row.record = first, {**row.record, "birth_date": None} | known
        mine = (RevisionRow.tenant == application.tenant, RevisionRow.number == MEMBER)
        revision = session.scalars(select(RevisionRow).where(*mine)).one()
        revision.attributes = revision.attributes | {"category": category}
    assert previewed(application) == ({"family_ties": 1} if cleared else {})
    night(application)
    assert (member(application).guardian_number, member(application).consent_at is None) == (
        (None, True) if cleared else ("M500001", False)
    )


def test_a_deleted_guardian_stands_nowhere_and_spent_numbers_stay_spent(
    city: City, application: Application
) -> None:
    put(application, birth_date=date(2015, 1, 1), guardian_number="M500001")
    with application.writing() as session:
        spent = {"tenant": application.tenant, "type_id": CARD, "card_key": "OLD-1", "number": "M500001"}
        session.execute(insert(ReplacedCardRow), [spent | {"replaced_at": TODAY}])
        revoke(session, application.tenant, CARD, "M500001", actor=Actor("desk", TODAY, "moved away"))
        row = session.get_one(PassRow, (application.tenant, CARD, "M500001"))
        row.period_first, row.period_last = date(2024, 1, 1), date(2024, 12, 31)
    with application.writing() as session:
        while delete_some(session, application):
            pass
    assert "M500001" not in running_numbers(application, CARD)
    assert member(application).guardian_number is None
    with application.reading() as session:
        kept = session.get_one(ReplacedCardRow, (application.tenant, CARD, "OLD-1"))
        assert kept.number is None
    del city


@given(st.dates(date(1990, 1, 1), date(2026, 1, 1)), st.dates(date(2026, 1, 1), date(2060, 1, 1)))
def test_born_by_is_the_age_turned_round(born: date, day: date) -> None:
    age = age_on(born, day)
    assert born <= born_by(age, day)
    assert born > born_by(age + 1, day)
