"""Zones and fees of a city: loaded from its files, looked up when rows are checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.errors import IssuerRefusal
from issuer.importing.csv_file import Record, read_table
from issuer.importing.findings import FileRefused
from issuer.models import ALWAYS, FeeRow, ZoneRow
from keys.errors import Refusal
from passes.periods import parse_date_iso
from passes.zones import Zone, normalise_zone_code

_LONGEST_CLASS = 20
_MOST_CENTS = 10_000_000
_MOST_MONTHS = 120


@dataclass(frozen=True, slots=True)
class TariffZone:
    """A zone with its tariff class and the days (inclusive) on which it holds."""

    zone: Zone
    tariff_class: str
    valid_from: date | None = None
    valid_until: date | None = None

    def holds_on(self, day: date) -> bool:
        """Whether the zone exists on ``day``."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )


@dataclass(frozen=True, slots=True)
class FeeTable:
    """What terms cost. A row of the zone's own tariff class counts before one for all classes."""

    rows: Mapping[tuple[str, str, int], tuple[tuple[date, int], ...]]

    def __bool__(self) -> bool:
        return bool(self.rows)

    def fee(self, tariff_class: str, channel: str, term_months: int, day: date) -> int | None:
        """The fee in cents that holds on ``day``, or None if the table has none."""
        for wanted in (tariff_class, ""):
            started = [one for one in self.rows.get((wanted, channel, term_months), ()) if one[0] <= day]
            if started:
                return max(started)[1]
        return None


def zones(session: Session, tenant: str) -> dict[str, TariffZone]:
    """The zones of ``tenant`` by code."""
    rows = session.scalars(select(ZoneRow).where(ZoneRow.tenant == tenant))
    return {
        row.code: TariffZone(Zone(row.code, row.name), row.tariff_class, row.valid_from, row.valid_until)
        for row in rows
    }


def fees(session: Session, tenant: str) -> FeeTable:
    """The fee table of ``tenant``; false if it has none."""
    table: dict[tuple[str, str, int], tuple[tuple[date, int], ...]] = {}
    for row in session.scalars(select(FeeRow).where(FeeRow.tenant == tenant)):
        key = (row.tariff_class, row.channel, row.term_months)
        table[key] = (*table.get(key, ()), (row.valid_from, row.fee_cents))
    return FeeTable(table)


def zones_from_csv(session: Session, tenant: str, path: Path, encoding: str | None = None) -> int:
    """Load zones from ``zone_code``, ``zone_name``, optional ``tariff_class``, ``valid_from``, ``valid_until``.

    A code that is known is overwritten, none is removed, so loading twice changes nothing. Returns the number
    of rows. Raises FileRefused; the caller then rolls its transaction back.
    """
    records = _read(path, encoding, ("zone_code", "zone_name"))
    for record, cells in records:
        try:
            zone = Zone(cells["zone_code"], cells["zone_name"])
            values: dict[str, Any] = {
                "name": zone.name,
                "tariff_class": _tariff_class(cells.get("tariff_class", "")),
                "valid_from": _day(cells.get("valid_from", "")),
                "valid_until": _day(cells.get("valid_until", "")),
            }
        except Refusal as fault:
            raise _in_line(fault, record.line) from fault
        _put(session, ZoneRow, {"tenant": tenant, "code": zone.code}, values)
    session.flush()
    return len(records)


def fees_from_csv(session: Session, tenant: str, path: Path, encoding: str | None = None) -> int:
    """Load fees from ``channel``, ``term_months``, ``fee_cents``, optional ``tariff_class``, ``valid_from``.

    An empty tariff class means all, an empty day always. As `zones_from_csv`, loading twice changes nothing.
    """
    records = _read(path, encoding, ("channel", "term_months", "fee_cents"))
    for record, cells in records:
        try:
            keys: dict[str, Any] = {
                "tenant": tenant,
                "tariff_class": _tariff_class(cells.get("tariff_class", "")),
                "channel": _channel(cells["channel"]),
                "term_months": _whole(cells["term_months"], "term_months", _MOST_MONTHS),
                "valid_from": _day(cells.get("valid_from", "")) or ALWAYS,
            }
            cents = _whole(cells["fee_cents"], "fee_cents", _MOST_CENTS)
        except Refusal as fault:
            raise _in_line(fault, record.line) from fault
        _put(session, FeeRow, keys, {"fee_cents": cents})
    session.flush()
    return len(records)


def find_zone(session: Session, tenant: str, code: str, day: date) -> TariffZone:
    """The zone with ``code`` as a person writes it, which must hold on ``day``.

    Raises IssuerRefusal ZONE_UNKNOWN, ZONE_ENDED, PassRefusal ZONE_FORMAT.
    """
    known = zones(session, tenant)
    wanted = normalise_zone_code(code)
    if wanted not in known:
        raise IssuerRefusal("ZONE_UNKNOWN", zone=wanted, known=known_codes(known, day))
    if not known[wanted].holds_on(day):
        raise IssuerRefusal("ZONE_ENDED", zone=wanted, day=day.isoformat(), known=known_codes(known, day))
    return known[wanted]


def known_codes(known: Mapping[str, TariffZone], day: date | None) -> str:
    """The codes of the zones that hold on ``day`` (None: of all) for a sentence; a dash if there are none."""
    return ", ".join(sorted(code for code, zone in known.items() if day is None or zone.holds_on(day))) or "–"


def _read(path: Path, encoding: str | None, needed: tuple[str, ...]) -> list[tuple[Record, dict[str, str]]]:
    table = read_table(path, encoding)
    header = [cell.strip() for cell in table.header.cells]
    missing = [name for name in needed if name not in header]
    if missing:
        raise FileRefused("COLUMN_MISSING", line=table.header.line, field_name=", ".join(missing))
    rows: list[tuple[Record, dict[str, str]]] = []
    for record in table.records:
        if len(record.cells) != len(header):
            raise FileRefused("COLUMN_COUNT", line=record.line, found=len(record.cells), expected=len(header))
        cells = (cell.strip(" ") for cell in record.cells)
        rows.append((record, dict(zip(header, cells, strict=True))))
    return rows


def _put(
    session: Session, table: type[ZoneRow] | type[FeeRow], keys: dict[str, Any], values: dict[str, Any]
) -> None:
    row = session.get(table, keys)
    if row is None:
        session.add(table(**keys, **values))
        return
    for name, value in values.items():
        setattr(row, name, value)


def _in_line(fault: Refusal, line: int) -> FileRefused:
    return FileRefused("CONFIG_ROW", line=line, fault=fault)


def _tariff_class(text: str) -> str:
    if len(text) > _LONGEST_CLASS or not text.isprintable():
        raise IssuerRefusal("VALUE_FORMAT", field="tariff_class")
    return text


def _channel(text: str) -> str:
    if not text.isascii() or not text.isalnum() or len(text) > _LONGEST_CLASS:
        raise IssuerRefusal("VALUE_FORMAT", field="channel")
    return text


def _whole(text: str, column: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most):
        raise IssuerRefusal("INTEGER_FORMAT", field=column, minimum=0, maximum=most)
    return int(text)


def _day(text: str) -> date | None:
    return parse_date_iso(text) if text else None
