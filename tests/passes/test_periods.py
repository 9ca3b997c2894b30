"""Periods by BGB, days in Berlin, and the reading of dates and times."""

from __future__ import annotations

import calendar
import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.errors import PassRefusal
from passes.periods import (
    BERLIN,
    Period,
    berlin_day,
    months_of,
    parse_date_german,
    parse_date_iso,
    parse_time,
)

VECTORS = Path(__file__).parent.parent / "data" / "period_vectors.csv"
DAYS = st.dates(date(1950, 1, 1), date(2150, 12, 31))
MONTHS = st.integers(1, 300)
# Hypothesis takes the bounds of a strategy without a zone.
WALL_TIMES = (datetime(1950, 1, 1), datetime(2150, 1, 1))  # noqa: DTZ001


def rows() -> list[dict[str, str]]:
    with VECTORS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['valid_from']}+{row['months']}")
def test_vector(row: dict[str, str]) -> None:
    period = Period.of_months(parse_date_iso(row["valid_from"]), int(row["months"]))
    assert period.last.isoformat() == row["valid_to_inclusive"]
    assert f"{period.ends_at:%Y-%m-%dT%H:%M} {period.ends_at.tzinfo}" == row["expires_at_local"]
    assert months_of(period) == int(row["months"])


@given(DAYS, MONTHS)
def test_whole_months_are_found_again_and_leave_no_gap(first: date, months: int) -> None:
    period = Period.of_months(first, months)
    assert months_of(period) == months
    assert Period.of_months(first, months + 1).last > period.last
    following = period.last + timedelta(days=1)
    month_is_too_short = calendar.monthrange(period.last.year, period.last.month)[1] < first.day
    assert following.day == (1 if month_is_too_short else first.day)


@given(DAYS, st.integers(1, 30), MONTHS)
def test_a_later_start_never_ends_earlier(first: date, later: int, months: int) -> None:
    assert (
        Period.of_months(first, months).last <= Period.of_months(first + timedelta(days=later), months).last
    )


@given(DAYS, st.integers(0, 800))
def test_months_of_only_names_terms_that_fit(first: date, days: int) -> None:
    period = Period(first, first + timedelta(days=days))
    months = months_of(period)
    fitting = [term for term in range(1, 40) if Period.of_months(first, term) == period]
    assert fitting == ([] if months is None else [months])


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        (datetime(2026, 3, 28, 22, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), True),
        (datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC), True),
        (datetime(2026, 10, 25, 23, 0, tzinfo=UTC), False),
    ],
)
def test_last_day_counts_until_midnight_in_berlin(at: datetime, inside: bool) -> None:
    """Both ends are days on which the clocks change."""
    period = Period(date(2026, 3, 29), date(2026, 10, 25))
    assert period.contains(at) is inside
    assert (period.starts_at <= at < period.ends_at) is inside


@given(DAYS, st.integers(0, 400), st.datetimes(*WALL_TIMES))
def test_contains_agrees_with_the_ends(first: date, days: int, naive: datetime) -> None:
    period, at = Period(first, first + timedelta(days=days)), naive.replace(tzinfo=UTC)
    assert period.contains(at) == (period.starts_at.astimezone(UTC) <= at < period.ends_at.astimezone(UTC))


def test_a_time_without_zone_is_our_fault() -> None:
    with pytest.raises(ValueError, match="zone"):
        berlin_day(datetime(2026, 11, 20))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("first", "months", "code"),
    [
        (date(2026, 1, 1), 0, "TERM_INVALID"),
        (date(2026, 1, 1), 10**9, "TERM_INVALID"),
        (date(2190, 1, 1), 240, "DATE_YEAR"),
    ],
)
def test_impossible_terms(first: date, months: int, code: str) -> None:
    with pytest.raises(PassRefusal) as refused:
        Period.of_months(first, months)
    assert refused.value.code == code
    assert refused.value.sentence("de")


def test_period_to_the_end_of_the_last_year() -> None:
    assert Period.of_months(date(2199, 1, 1), 12).last == date(2199, 12, 31)


def test_end_before_start() -> None:
    with pytest.raises(PassRefusal, match="DATE_RANGE"):
        Period(date(2026, 10, 1), date(2026, 9, 30))


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)))
def test_dates_round_trip(day: date) -> None:
    assert parse_date_iso(day.isoformat()) == day
    assert parse_date_german(f"{day.day:02d}.{day.month:02d}.{day.year:04d}") == day


@pytest.mark.parametrize(
    "text", ["11/20/2026", "2026-02-29", "2026-1-1", "1899-12-31", "2200-01-01", "2026-11-20\n", "20261120",
             "", "\u0662026-11-20", " 2026-11-20", "2026-11-20T12:00"],
)  # fmt: skip
def test_other_dates_are_not_guessed(text: str) -> None:
    with pytest.raises(PassRefusal, match="DATE_FORMAT"):
        parse_date_iso(text)


@pytest.mark.parametrize(
    "text", ["2026-11-20", "1.10.2026", "31.02.2026", "01.10.26", "11.20.2026", "01.10.1899"]
)
def test_other_german_dates_are_not_guessed(text: str) -> None:
    with pytest.raises(PassRefusal, match="DATE_FORMAT"):
        parse_date_german(text)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-20T12:00", "2026-11-20T11:00:00+00:00"),
        ("2026-07-20T12:00:30", "2026-07-20T10:00:30+00:00"),
        ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00+00:00"),
        ("2026-11-20t12:00:00.25-05:30", "2026-11-20T17:30:00.250000+00:00"),
        ("2026-11-20T12:00:00.123456789z", "2026-11-20T12:00:00.123456+00:00"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00+00:00"),
    ],
)
def test_times(text: str, utc: str) -> None:
    assert parse_time(text).isoformat() == utc


@pytest.mark.parametrize(
    "text", ["2026-11-20", "2026-11-20 12:00", "2026-11-20T24:00", "2026-11-20T12:60", "2026-12-31T23:59:60Z",
             "2026-03-29T02:30", "2026-11-20T12:00+25:00", "2026-11-20T12:00+0100", "2026-02-30T12:00",
             "2026-11-20T12:00Z\n", "now", "1" * 5000, "9999-12-31T23:59-23:59"],
)  # fmt: skip
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(PassRefusal, match="TIME_FORMAT"):
        parse_time(text)


@given(st.datetimes(*WALL_TIMES, timezones=st.just(BERLIN)))
def test_times_round_trip_through_any_offset(at: datetime) -> None:
    rounded = at.astimezone(UTC).replace(microsecond=0)
    assert parse_time(rounded.isoformat()) == parse_time(rounded.astimezone(BERLIN).isoformat()) == rounded


@given(st.text())
def test_any_text_gives_a_value_or_a_refusal(text: str) -> None:
    for parse in (parse_date_iso, parse_date_german, parse_time):
        try:
            parse(text)
        except PassRefusal as refusal:
            assert refusal.sentence("de")
