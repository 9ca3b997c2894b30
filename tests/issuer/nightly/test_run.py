"""The night begins once per day in Berlin, whatever the clocks do and however many workers look."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from issuer.application import Application
from issuer.background.engine import Engine
from issuer.background.tasks import RetryLater
from issuer.models_delivery import NightlyRunRow
from issuer.nightly import run
from issuer.nightly.run import due_day, enqueue_due, run_night
from passes.periods import BERLIN
from tests.issuer.nightly.samples import column, count, snapshot
from tests.service import City


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (berlin("2026-11-20 02:29"), date(2026, 11, 19)),
        (berlin("2026-11-20 02:30"), date(2026, 11, 20)),
        (datetime(2026, 11, 20, 1, 30, tzinfo=UTC), date(2026, 11, 20)),
        (datetime(2026, 7, 1, 0, 30, tzinfo=UTC), date(2026, 7, 1)),
        (datetime(2026, 7, 1, 0, 29, tzinfo=UTC), date(2026, 6, 30)),
        # 02:30 does not exist on the day that summer time begins, and 03:00 follows 01:59.
        (datetime(2027, 3, 28, 0, 59, tzinfo=UTC), date(2027, 3, 27)),
        (datetime(2027, 3, 28, 1, 0, tzinfo=UTC), date(2027, 3, 28)),
        # It comes twice on the day that it ends.
        (berlin("2026-10-25 02:30", fold=0), date(2026, 10, 25)),
        (berlin("2026-10-25 02:00", fold=1), date(2026, 10, 24)),
        (berlin("2028-02-29 03:00"), date(2028, 2, 29)),
    ],
)
def test_the_day_whose_night_is_due(now: datetime, expected: date) -> None:
    assert due_day(now, "02:30") == expected


@pytest.fixture
def queued(city: City, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The days for which a night was queued."""
    days: list[str] = []

    def note(self: Application, session: object, task: str, payload: dict[str, str], **_: object) -> bool:
        assert task == run.TASK
        days.append(payload["day"])
        return True

    monkeypatch.setattr(Application, "enqueue", note)
    return days


def test_a_night_begins_once(city: City, queued: list[str]) -> None:
    first, second = city.open(), city.open()
    city.clock.at = berlin("2026-11-21 02:30")
    assert [enqueue_due(one) for one in (first, second, first, second)] == [True, False, False, False]
    city.clock.at = berlin("2026-11-22 02:29")
    assert not enqueue_due(first)
    city.clock.at = berlin("2026-11-22 02:31")
    assert enqueue_due(second)
    assert queued == ["2026-11-21", "2026-11-22"]


def test_workers_that_look_at_the_same_moment(city: City, queued: list[str]) -> None:
    workers = [city.open() for _ in range(4)]
    barrier = threading.Barrier(4, timeout=30)

    def look(application: Application) -> None:
        barrier.wait()
        enqueue_due(application)

    threads = [threading.Thread(target=look, args=(one,)) for one in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queued == ["2026-11-20"]


def test_a_month_switched_off_is_caught_up_once(city: City, queued: list[str]) -> None:
    application = city.open()
    enqueue_due(application)
    city.clock.forward(days=30)
    assert [enqueue_due(application) for _ in range(5)] == [True, False, False, False, False]
    assert queued == ["2026-11-20", "2026-12-20"]


def test_the_hour_that_autumn_repeats_begins_nothing(city: City, queued: list[str]) -> None:
    application = city.open()
    for now in ("2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30"):
        city.clock.at = datetime.fromisoformat(now).replace(tzinfo=UTC)
        enqueue_due(application)
    # Switched on at 02:00 summer time, the night before is due; then its own, and nothing more.
    assert queued == ["2026-10-24", "2026-10-25"]


def test_a_clock_that_was_set_back_by_a_day_begins_nothing(city: City, queued: list[str]) -> None:
    application = city.open()
    enqueue_due(application)
    city.clock.forward(days=-1)
    assert not enqueue_due(application)


def test_a_clock_that_was_years_ahead_ends_no_night(city: City, queued: list[str]) -> None:
    application = city.open()
    city.clock.at = berlin("2030-01-01 12:00")
    assert enqueue_due(application)
    for day in ("2026-11-21", "2026-11-22"):
        city.clock.at = berlin(f"{day} 12:00")
        assert [enqueue_due(application), enqueue_due(application)] == [True, False]
    assert queued == ["2030-01-01", "2026-11-21", "2026-11-22"]


def test_each_city_has_its_own_night(city: City, neighbour: Application, queued: list[str]) -> None:
    assert enqueue_due(city.open())
    assert enqueue_due(neighbour)


def test_before_the_service_has_run_no_night_is_used_up(application: Application) -> None:
    assert not enqueue_due(application)
    assert count(application, NightlyRunRow) == 0


def test_a_second_run_does_nothing_and_no_other_city_is_touched(
    city: City, application: Application, neighbour: Application
) -> None:
    city.clock.forward(days=200)
    others = snapshot(neighbour)
    run_night(application)
    first = snapshot(application)
    assert count(application, NightlyRunRow) == len(run.PARTS)
    run_night(application)
    second = snapshot(application)
    differing = [name for name in first if first[name] != second[name]]
    assert differing == []
    assert snapshot(neighbour) == others


@pytest.mark.parametrize("failing", ["expiry", "payments", "reminders", "warnings", "retention"])
def test_a_part_that_fails_keeps_no_other_from_its_work(
    city: City, application: Application, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("Erika Mustermann")

    city.clock.forward(days=200)
    whole = run.PARTS
    broken = tuple(replace(part, run=fail) if part.name == failing else part for part in whole)
    monkeypatch.setattr(run, "PARTS", broken)
    with application.writing() as session:
        session.add(
            NightlyRunRow(
                tenant=application.tenant,
                day=city.clock.at.date(),
                name="nightly",
                started_at=city.clock.at,
                finished_at=None,
                report={},
            )
        )
    payload = {"day": city.clock.at.date().isoformat()}
    with pytest.raises(RetryLater, match="night-incomplete"):
        run.run_task(application, payload)
    open_parts = set(column(application, NightlyRunRow.name, finished_at=None))
    assert open_parts == {failing, "nightly"}
    monkeypatch.setattr(run, "PARTS", whole)
    run.run_task(application, payload)
    assert column(application, NightlyRunRow.name, finished_at=None) == []
    done = snapshot(application)
    run.run_task(application, payload)
    assert snapshot(application) == done


def test_the_task_runs_in_a_real_engine(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STADTPASS_BACKGROUND_POLLING_SECONDS", "0.05")
    application = city.open()
    engine = Engine(application, "night-1")
    engine.start()
    try:
        assert enqueue_due(application)
        for _ in range(600):
            (finished,) = column(application, NightlyRunRow.finished_at, name="nightly")
            if finished is not None:
                break
            threading.Event().wait(0.05)
        names = column(application, NightlyRunRow.name)
        names_of_parts = [
            "audit",
            "cases",
            "expiry",
            "library",
            "nightly",
            "open-data",
            "payments",
            "reminders",
            "residence",
            "retention",
            "warnings",
        ]
        assert sorted(names) == names_of_parts
        assert None not in column(application, NightlyRunRow.finished_at)
    finally:
        engine.stop(5)
