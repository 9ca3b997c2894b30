"""Valid permits by zone on the first of a month, from the register's history, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select, update

from issuer import approval, audit, lifecycle, renewal
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.figures.months import NAME, count_on, due_months, next_month, run
from issuer.lifecycle import Actor, Changes
from issuer.models import AuditEntryRow, PassRow, PassTermRow, RevisionRow, ZoneRow
from issuer.models_figures import OpenDataCountRow, OpenDataMonthRow
from issuer.nightly.expiry import expire_some
from issuer.nightly.reports import Report
from issuer.nightly.run import run_night
from issuer.settings import load_settings, save_settings
from passes.periods import BERLIN, berlin_day
from tests.issuer.nightly.samples import far_away, give_period
from tests.service import PERMIT, City, SetClock, running_numbers

DECEMBER, JANUARY = date(2026, 12, 1), date(2027, 1, 1)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def switch_on(application: Application, **values: Any) -> None:
    with application.writing() as session:
        settings = load_settings(session, application.tenant)
        changed = msgspec.structs.replace(settings, open_data=True, **values)
        save_settings(session, application.tenant, changed)


def zone_of(application: Application, number: str) -> str:
    with application.reading() as session:
        return session.scalars(
            select(PassTermRow.value).where(
                PassTermRow.tenant == application.tenant,
                PassTermRow.kind == "zone",
                PassTermRow.number == number,
            )
        ).one()


def counts(application: Application, day: date) -> dict[str, int]:
    with application.reading() as session:
        return {code: one.permits for code, one in count_on(session, application, day).items()}


def changed(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """By how many permits zones differ, of those that do."""
    return {code: by for code in {*before, *after} if (by := after.get(code, 0) - before.get(code, 0))}


def step(
    application: Application, clock: SetClock, what: Callable[..., Any], number: str, *more: Any
) -> None:
    """One of `issuer.lifecycle`'s steps that need a reason, now."""
    with application.writing() as session:
        what(session, application.tenant, PERMIT, number, *more, actor=Actor("t", clock(), "Test"))


@pytest.fixture
def far(application: Application) -> Application:
    """All passes hold from January 2026 to 2040."""
    far_away(application)
    return application


def test_the_period_decides_on_its_first_and_last_day(far: Application) -> None:
    number = running_numbers(far)[0]
    zone = zone_of(far, number)
    everybody = counts(far, DECEMBER)
    assert sum(everybody.values()) == len(running_numbers(far))
    for first, last, is_counted in (
        (date(2026, 12, 1), date(2026, 12, 1), True),
        (date(2026, 12, 2), date(2027, 6, 30), False),
        (date(2026, 1, 1), date(2026, 11, 30), False),
    ):
        give_period(far, number, first, last)
        assert changed(everybody, counts(far, DECEMBER)) == ({} if is_counted else {zone: -1}), (first, last)


def test_leap_day_and_month_ends(far: Application) -> None:
    number = running_numbers(far)[0]
    zone = zone_of(far, number)
    give_period(far, number, date(2027, 3, 1), date(2028, 2, 29))
    assert [counts(far, day)[zone] - counts(far, date(2028, 3, 1))[zone] for day in (
        date(2027, 2, 1), date(2027, 3, 1), date(2028, 2, 1), date(2028, 3, 1)
    )] == [0, 1, 1, 0]  # fmt: skip


def test_what_happened_in_the_month_counts_for_the_next(city: City, far: Application) -> None:
    """Revoked, suspended, resumed, changed: as of the first, whenever it is counted."""
    revoked, suspended, resumed, moved = running_numbers(far)[:4]
    zones = {number: zone_of(far, number) for number in (revoked, suspended, resumed, moved)}
    other = next(code for code in counts(far, DECEMBER) if code != zones[moved])
    before = counts(far, DECEMBER)
    city.clock.at = berlin("2026-12-05 10:00")
    step(far, city.clock, lifecycle.revoke, revoked)
    step(far, city.clock, lifecycle.suspend, suspended)
    step(far, city.clock, lifecycle.suspend, resumed)
    pass_type = far.pass_types[PERMIT]
    with far.writing() as session:
        seal_for = far.sealer(session, pass_type)
        lifecycle.change(
            session, far.tenant, pass_type, moved, Changes(zone_code=other),
            seal_for=seal_for, actor=Actor("t", city.clock()),
        )  # fmt: skip
    city.clock.at = berlin("2027-01-07 10:00")
    step(far, city.clock, lifecycle.resume, resumed)
    assert counts(far, DECEMBER) == before
    expected: dict[str, int] = {}
    for number in (revoked, suspended, resumed, moved):
        expected[zones[number]] = expected.get(zones[number], 0) - 1
    expected[other] = expected.get(other, 0) + 1
    assert changed(before, counts(far, JANUARY)) == {zone: by for zone, by in expected.items() if by}
    expected[zones[resumed]] += 1
    after = changed(before, counts(far, date(2027, 2, 1)))
    assert after == {zone: by for zone, by in expected.items() if by}


def test_the_moment_is_midnight_in_berlin(city: City, far: Application) -> None:
    before_midnight, after_midnight = running_numbers(far)[:2]
    before = counts(far, DECEMBER)
    city.clock.at = berlin("2026-11-30 23:59:59")
    step(far, city.clock, lifecycle.revoke, before_midnight)
    city.clock.at = berlin("2026-12-01 00:00:01")
    step(far, city.clock, lifecycle.revoke, after_midnight)
    assert changed(before, counts(far, DECEMBER)) == {zone_of(far, before_midnight): -1}


def test_a_renewed_permit_counts_in_every_month_and_an_expired_one_no_more(
    city: City, far: Application
) -> None:
    renewed, ended = running_numbers(far)[:2]
    before = counts(far, DECEMBER)
    for number in (renewed, ended):
        give_period(far, number, date(2026, 1, 1), date(2026, 12, 31))
    city.clock.at = berlin("2026-12-20 10:00")
    pass_type = far.pass_types[PERMIT]
    with far.writing() as session:
        renewal.renew(
            session, far.tenant, pass_type, renewed, renewal.Renewal(12),
            seal_for=far.sealer(session, pass_type), actor=Actor("t", city.clock()),
        )  # fmt: skip
    city.clock.at = berlin("2027-01-15 10:00")
    with far.writing() as session:
        assert expire_some(session, far) == 1
    assert counts(far, DECEMBER) == before
    assert changed(before, counts(far, JANUARY)) == {zone_of(far, ended): -1}


def test_a_reissued_permit_counts_once_and_an_unpaid_one_from_its_approval(
    city: City, far: Application
) -> None:
    again, unpaid = running_numbers(far)[:2]
    before = counts(far, DECEMBER)
    zone = zone_of(far, unpaid)
    with far.writing() as session:
        key = {"tenant": far.tenant, "type_id": PERMIT, "number": unpaid}
        session.execute(update(PassRow).filter_by(**key).values(status="pending_payment"))
        session.execute(
            update(RevisionRow)
            .filter_by(**key)
            .values(list_number=None, list_index=None, seal=None, kid=None, status_value=0)
        )
    assert changed(before, counts(far, DECEMBER)) == {zone: -1}
    city.clock.at = berlin("2026-12-10 10:00")
    pass_type = far.pass_types[PERMIT]
    with far.writing() as session:
        seal_for = far.sealer(session, pass_type)
        actor = Actor("t", city.clock(), "Test")
        approval.approve(session, far.tenant, pass_type, unpaid, seal_for=seal_for, actor=actor)
        lifecycle.reissue(session, far.tenant, pass_type, again, seal_for=seal_for, actor=actor)
    assert changed(before, counts(far, DECEMBER)) == {zone: -1}
    assert counts(far, JANUARY) == before


def test_permits_of_a_merged_zone_count_for_the_one_that_took_over(far: Application) -> None:
    before = counts(far, DECEMBER)
    old, new = (code for code, number in sorted(before.items(), key=lambda one: -one[1])[:2])
    with far.writing() as session:
        session.execute(
            update(ZoneRow)
            .where(ZoneRow.tenant == far.tenant, ZoneRow.code == old)
            .values(valid_until=date(2026, 12, 31), merged_into=new)
        )
    assert counts(far, DECEMBER) == before
    after = counts(far, JANUARY)
    assert old not in after
    assert after[new] == before[old] + before[new]
    assert sum(after.values()) == sum(before.values())


@pytest.mark.parametrize("end", ["import-undone", "delete"])
def test_a_number_given_again_counts_by_its_own_pass(city: City, far: Application, end: str) -> None:
    number = running_numbers(far)[0]
    before = counts(far, DECEMBER)
    city.clock.at = berlin("2026-12-05 10:00")
    about = f"{PERMIT}/{number}"
    with far.writing() as session:
        events = [
            AuditEvent("revoke", about, {"status": "active"}, {"status": "revoked"}),
            AuditEvent(end, about, {"status": "revoked"}),
        ]
        audit.append(session, far.tenant, events, city.clock(), "t")
        session.execute(
            update(PassRow)
            .filter_by(tenant=far.tenant, type_id=PERMIT, number=number)
            .values(status="pending_payment")
        )
    assert changed(before, counts(far, DECEMBER)) == {zone_of(far, number): -1}
    with far.writing() as session:
        event = AuditEvent("approve", about, {"status": "pending_payment"}, {"status": "active"})
        audit.append(session, far.tenant, [event], city.clock(), "t")
        session.execute(
            update(PassRow)
            .filter_by(tenant=far.tenant, type_id=PERMIT, number=number)
            .values(status="active")
        )
    assert changed(before, counts(far, DECEMBER)) == {zone_of(far, number): -1}
    assert counts(far, JANUARY) == before


def test_library_cards_and_other_cities_do_not_count(far: Application, neighbour: Application) -> None:
    far_away(neighbour)
    with far.reading() as session:
        permits = session.scalar(
            select(func.count())
            .select_from(PassRow)
            .filter_by(tenant=far.tenant, type_id=PERMIT, status="active")
        )
    assert sum(counts(far, DECEMBER).values()) == permits


def stored(application: Application) -> dict[str, tuple[int | None, dict[str, int | None]]]:
    with application.reading() as session:
        months = session.scalars(
            select(OpenDataMonthRow).filter_by(tenant=application.tenant).order_by(OpenDataMonthRow.month)
        ).all()
        rows = session.scalars(select(OpenDataCountRow).filter_by(tenant=application.tenant)).all()
        return {
            f"{month.month:%Y-%m}": (
                month.total,
                {row.zone_code: row.permits for row in rows if row.month == month.month},
            )
            for month in months
        }


def test_the_night_stores_a_month_once_and_it_never_changes(
    city: City, far: Application, neighbour: Application
) -> None:
    run_night(far)
    switch_on(far, open_data_threshold=3)
    run_night(far)
    assert stored(far) == {}
    city.clock.at = berlin("2026-12-01 02:30")
    run_night(far)
    first = stored(far)
    assert list(first) == ["2026-12"]
    truth = counts(far, DECEMBER)
    assert first["2026-12"][1].keys() == truth.keys()
    assert all(count in (None, truth[zone]) for zone, count in first["2026-12"][1].items())
    assert any(count is None for count in first["2026-12"][1].values())
    for number in running_numbers(far)[:20]:
        step(far, city.clock, lifecycle.revoke, number)
    switch_on(far, open_data_threshold=5)
    city.clock.at = berlin("2027-01-01 02:30")
    run_night(far)
    run_night(far)
    assert list(stored(far)) == ["2026-12", "2027-01"]
    assert stored(far)["2026-12"] == first["2026-12"]
    assert stored(neighbour) == {}
    with far.reading() as session:
        told = session.scalars(
            select(AuditEntryRow.subject)
            .filter_by(tenant=far.tenant, action="store-open-data")
            .order_by(AuditEntryRow.sequence)
        ).all()
    assert told == ["open-data/2026-12", "open-data/2027-01"]


def test_a_month_counted_late_is_the_month_counted_in_time(city: City, far: Application) -> None:
    switch_on(far, open_data_threshold=3)
    city.clock.at = berlin("2026-12-01 02:30")
    in_time = counts(far, DECEMBER)
    numbers = running_numbers(far)
    city.clock.at = berlin("2026-12-09 10:00")
    for number in numbers[:7]:
        step(far, city.clock, lifecycle.suspend, number)
    city.clock.at = berlin("2027-02-03 02:30")
    assert counts(far, DECEMBER) == in_time
    run(far, Report(far, berlin_day(city.clock()), NAME))
    assert list(stored(far)) == ["2026-12", "2027-01", "2027-02"]


def test_which_months_are_due(city: City, application: Application) -> None:
    def due(now: str) -> list[str]:
        city.clock.at = berlin(now)
        with application.reading() as session:
            return [day.isoformat() for day in due_months(session, application)]

    assert due("2027-02-10 12:00") == []
    switch_on(application)
    # Nothing before the register was set up, on 20 November, and nothing that is not there yet.
    assert due("2026-11-30 23:59") == []
    assert due("2026-12-01 00:00") == ["2026-12-01"]
    assert due("2027-02-10 12:00") == ["2026-12-01", "2027-01-01", "2027-02-01"]
    # Permits that had ended before may have been deleted after 183 days.
    assert due("2027-07-02 12:00") == [f"2027-0{n}-01" for n in range(1, 8)]
    assert due("2027-07-04 12:00") == [f"2027-0{n}-01" for n in range(2, 8)]
    switch_on(application, open_data_from="2027-06")
    assert due("2027-07-04 12:00") == ["2027-06-01", "2027-07-01"]


def test_the_month_after() -> None:
    assert [next_month(date(2026, 11, 30)), next_month(date(2026, 12, 1))] == [DECEMBER, JANUARY]
