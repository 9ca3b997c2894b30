"""Days, periods and times as German law and the citizens count them: in Europe/Berlin, last day inclusive."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final, Self
from zoneinfo import ZoneInfo

from passes.errors import PassRefusal

BERLIN: Final = ZoneInfo("Europe/Berlin")
EARLIEST_YEAR: Final = 1900
LATEST_YEAR: Final = 2199
LONGEST_TERM: Final = 1200

_ISO_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_GERMAN_DAY = re.compile(r"([0-9]{2})\.([0-9]{2})\.([0-9]{4})")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """The days ``first`` to ``last``, both inclusive, in Europe/Berlin.

    Raises PassRefusal DATE_RANGE if it ends before it starts, DATE_YEAR outside 1900 to 2199.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise PassRefusal("DATE_RANGE", first=self.first.isoformat(), last=self.last.isoformat())
        if self.first.year < EARLIEST_YEAR or self.last.year > LATEST_YEAR:
            raise PassRefusal("DATE_YEAR", earliest=EARLIEST_YEAR, latest=LATEST_YEAR)

    @classmethod
    def of_months(cls, first: date, months: int) -> Self:
        """The period of ``months`` (1 to 1200) that starts with the day ``first``.

        It ends with the day before the same day of the last month, and with the last day of that month if it
        has no such day: sections 187 (2) and 188 (2), (3) BGB. Raises PassRefusal TERM_INVALID for another
        number of months, DATE_YEAR for a period that ends after 2199.
        """
        if not 1 <= months <= LONGEST_TERM:
            raise PassRefusal("TERM_INVALID", months=months, limit=LONGEST_TERM)
        years, month_index = divmod(first.month - 1 + months, 12)
        year, month = first.year + years, month_index + 1
        if year > LATEST_YEAR + 1:
            raise PassRefusal("DATE_YEAR", earliest=EARLIEST_YEAR, latest=LATEST_YEAR)
        days = calendar.monthrange(year, month)[1]
        last = date(year, month, first.day) - _ONE_DAY if first.day <= days else date(year, month, days)
        return cls(first, last)

    @property
    def starts_at(self) -> datetime:
        """00:00 of the first day, aware, Europe/Berlin: the first moment inside."""
        return datetime.combine(self.first, time.min, BERLIN)

    @property
    def ends_at(self) -> datetime:
        """00:00 after the last day, aware, Europe/Berlin: the first moment outside."""
        return datetime.combine(self.last + _ONE_DAY, time.min, BERLIN)

    def contains(self, at: datetime) -> bool:
        """Whether the moment ``at`` (aware, any zone) lies in the period. Raises ValueError if naive."""
        return self.first <= berlin_day(at) <= self.last


def months_of(period: Period) -> int | None:
    """The number of months with which `Period.of_months` gives this period, or None: it is no whole term."""
    last = period.last
    months = (last.year - period.first.year) * 12 + last.month - period.first.month
    for candidate in (months, months + 1):
        if 1 <= candidate <= LONGEST_TERM:
            try:
                if Period.of_months(period.first, candidate).last == last:
                    return candidate
            except PassRefusal:
                continue
    return None


def berlin_day(at: datetime) -> date:
    """The day in Berlin at the moment ``at`` (aware, any zone). Raises ValueError if ``at`` is naive."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone says nothing about the day")
    return at.astimezone(BERLIN).date()


def parse_date_iso(text: str) -> date:
    """Read ``2026-11-20``, years 1900 to 2199. Raises PassRefusal DATE_FORMAT for anything else."""
    found = _ISO_DAY.fullmatch(text)
    if found is None:
        raise PassRefusal("DATE_FORMAT", example="2026-11-20")
    return _day(found[1], found[2], found[3], "2026-11-20")


def parse_date_german(text: str) -> date:
    """Read ``20.11.2026``, years 1900 to 2199. Raises PassRefusal DATE_FORMAT for anything else."""
    found = _GERMAN_DAY.fullmatch(text)
    if found is None:
        raise PassRefusal("DATE_FORMAT", example="20.11.2026")
    return _day(found[3], found[2], found[1], "20.11.2026")


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time as an aware datetime in UTC.

    Without offset it is a wall time in Europe/Berlin; seconds may be missing. Of the two readings in the hour
    that is repeated in autumn the first counts. The result is in UTC, because differences between two
    datetimes of the same local zone ignore the change of the clocks. Raises PassRefusal TIME_FORMAT for
    anything else, for leap seconds, wall times that the spring change skips and years outside 1900 to 2199.
    """
    found = _TIME.fullmatch(text) if len(text) <= 40 else None
    if found is None:
        raise PassRefusal("TIME_FORMAT")
    hour, minute, second = int(found[2]), int(found[3]), int(found[4] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise PassRefusal("TIME_FORMAT")
    try:
        day = parse_date_iso(found[1])
    except PassRefusal:
        raise PassRefusal("TIME_FORMAT") from None
    wall = datetime.combine(day, time(hour, minute, second, int((found[5] or "0")[:6].ljust(6, "0"))))
    if found[6] is not None:
        return wall.replace(tzinfo=_offset(found[6])).astimezone(UTC)
    at = wall.replace(tzinfo=BERLIN).astimezone(UTC)
    if at.astimezone(BERLIN).replace(tzinfo=None) != wall:
        raise PassRefusal("TIME_FORMAT")
    return at


def _day(year: str, month: str, day: str, example: str) -> date:
    if not EARLIEST_YEAR <= int(year) <= LATEST_YEAR:
        raise PassRefusal("DATE_FORMAT", example=example)
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise PassRefusal("DATE_FORMAT", example=example) from None


def _offset(text: str) -> timezone:
    if text in {"Z", "z"}:
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:
        raise PassRefusal("TIME_FORMAT")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)
