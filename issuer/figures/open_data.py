"""Open data: what was told of every month, as one table, as CSV and as JSON.

The columns and keys are a promise to whoever reads them by program: new ones may come, none changes or goes. What
would break that gets another `SCHEMA` and another address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.figures.tables import Cell, csv_text
from issuer.models_figures import OpenDataCountRow, OpenDataMonthRow

if TYPE_CHECKING:
    from issuer.application import Application
    from issuer.settings import Settings

SCHEMA: Final = 1
COLUMNS: Final = (
    "month",
    "as_of",
    "level",
    "zone_code",
    "zone_name",
    "valid_permits",
    "suppressed",
    "threshold",
)
_LICENSES: Final = "http://dcat-ap.de/def/licenses/"


class ZoneFigure(msgspec.Struct, frozen=True):
    """A zone in a month; ``valid_permits`` is null where the count is suppressed."""

    zone_code: str
    zone_name: str
    valid_permits: int | None
    suppressed: bool


class MonthFigures(msgspec.Struct, frozen=True):
    """A month as of its first day; ``threshold`` is the least count that could be told."""

    month: str
    as_of: date
    threshold: int
    valid_permits: int | None
    suppressed: bool
    zones: Sequence[ZoneFigure]


class OpenData(msgspec.Struct, frozen=True):
    """The whole JSON file."""

    schema: int
    publisher: str
    license: str
    modified: datetime | None
    months: Sequence[MonthFigures]


@dataclass(frozen=True, slots=True)
class Published:
    """What is published: the months, oldest first, and when the newest was stored (aware; None without any)."""

    months: Sequence[MonthFigures]
    modified: datetime | None


def published(session: Session, application: Application) -> Published:
    """Everything that was stored for the city: a row for each zone and month."""
    zones: dict[date, list[ZoneFigure]] = {}
    counts = session.scalars(
        select(OpenDataCountRow)
        .where(OpenDataCountRow.tenant == application.tenant)
        .order_by(OpenDataCountRow.month, OpenDataCountRow.zone_code)
    )
    for one in counts:
        figure = ZoneFigure(one.zone_code, one.zone_name, one.permits, one.permits is None)
        zones.setdefault(one.month, []).append(figure)
    rows = session.scalars(
        select(OpenDataMonthRow)
        .where(OpenDataMonthRow.tenant == application.tenant)
        .order_by(OpenDataMonthRow.month)
    ).all()
    months = [
        MonthFigures(
            f"{row.month:%Y-%m}",
            row.month,
            row.threshold,
            row.total,
            row.total is None,
            zones.get(row.month, []),
        )
        for row in rows
    ]
    return Published(months, max((row.stored_at for row in rows), default=None))


def publisher_of(settings: Settings) -> str:
    """Who publishes: as set, or the city."""
    return settings.open_data_publisher or settings.city_name


def license_of(settings: Settings) -> str:
    """The licence's URI in the list of DCAT-AP.de."""
    return f"{_LICENSES}{settings.open_data_license}"


def as_csv(found: Published) -> bytes:
    """UTF-8, commas, a head: for each month one row for the city and one for each zone."""
    rows: list[list[Cell]] = []
    for month in found.months:
        common: tuple[str, str] = (month.month, month.as_of.isoformat())
        rows.append([*common, "city", "", "", *_count(month.valid_permits), month.threshold])
        rows += [
            [*common, "zone", one.zone_code, one.zone_name, *_count(one.valid_permits), month.threshold]
            for one in month.zones
        ]
    return csv_text(COLUMNS, rows).encode()


def _count(permits: int | None) -> tuple[Cell, str]:
    return ("", "true") if permits is None else (permits, "false")


def as_json(found: Published, settings: Settings) -> bytes:
    """The same as `OpenData`, UTF-8."""
    whole = OpenData(SCHEMA, publisher_of(settings), license_of(settings), found.modified, found.months)
    return msgspec.json.encode(whole) + b"\n"


def by_zone(found: Published) -> Mapping[str, Mapping[str, int | None]]:
    """The counts by zone code and month, for tables."""
    table: dict[str, dict[str, int | None]] = {}
    for month in found.months:
        for one in month.zones:
            table.setdefault(one.zone_code, {})[month.month] = one.valid_permits
    return dict(sorted(table.items()))
