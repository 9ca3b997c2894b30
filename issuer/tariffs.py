"""Zones and fees of a city: loaded from its files, looked up when rows are checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.errors import IssuerRefusal
from issuer.importing.csv_file import Record, Table, read_table
from issuer.importing.findings import FileRefused
from issuer.models import ALWAYS, FeeRow, ZoneRow
from issuer.models_rules import RuleChangeRow
from keys.errors import Refusal
from passes.periods import parse_date_iso
from passes.zones import Zone, normalise_zone_code

_LONGEST_CLASS = 20
_MOST_CENTS = 10_000_000
_MOST_MONTHS = 120


@dataclass(frozen=True, slots=True)
class ZoneVersion:
    """What a zone is called and costs from a day on."""

    first: date
    name: str
    tariff_class: str


@dataclass(frozen=True, slots=True)
class TariffZone:
    """A zone with its tariff class and the days (inclusive) on which it holds.

    From the day after ``valid_until`` its area belongs to the zone ``merged_into``, if it names one. ``versions``
    are what the office has changed later, by day; `on` gives the zone as it is then.
    """

    zone: Zone
    tariff_class: str
    valid_from: date | None = None
    valid_until: date | None = None
    merged_into: str | None = None
    versions: tuple[ZoneVersion, ...] = ()

    def holds_on(self, day: date) -> bool:
        """Whether the zone exists on ``day``."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )

    def on(self, day: date) -> TariffZone:
        """The zone with the name and the tariff class that it has on ``day``."""
        started = [one for one in self.versions if one.first <= day]
        if not started:
            return self
        newest = max(started, key=lambda one: one.first)
        return replace(self, zone=Zone(self.zone.code, newest.name), tariff_class=newest.tariff_class)


@dataclass(frozen=True, slots=True)
class FeeTable:
    """What terms cost, in cents from a day on; None is no longer offered from that day.

    A row of the zone's own tariff class counts before one for all classes.
    """

    rows: Mapping[tuple[str, str, int], tuple[tuple[date, int | None], ...]]

    def __bool__(self) -> bool:
        return bool(self.rows)

    def fee(self, tariff_class: str, channel: str, term_months: int, day: date) -> int | None:
        """The fee in cents that holds on ``day``, or None if the table has none."""
        found = self.row_on(tariff_class, channel, term_months, day)
        return None if found is None else found[2]

    def row_on(
        self, tariff_class: str, channel: str, term_months: int, day: date
    ) -> tuple[str, date, int | None] | None:
        """The row that decides on ``day``: its tariff class, its first day and the fee in cents."""
        for wanted in dict.fromkeys((tariff_class, "")):
            started = [one for one in self.rows.get((wanted, channel, term_months), ()) if one[0] <= day]
            if started:
                first, cents = max(started, key=lambda one: one[0])
                return wanted, first, cents
        return None


def zones(session: Session, tenant: str) -> dict[str, TariffZone]:
    """The zones of ``tenant`` by code, with what the office has changed."""
    rows = session.scalars(select(ZoneRow).where(ZoneRow.tenant == tenant))
    known = {
        row.code: TariffZone(
            Zone(row.code, row.name), row.tariff_class, row.valid_from, row.valid_until, row.merged_into
        )
        for row in rows
    }
    for change in _changes(session, tenant, "zone"):
        known[change.target] = _changed(known.get(change.target), change)
    return known


def fees(session: Session, tenant: str) -> FeeTable:
    """The fee table of ``tenant`` with what the office has changed; false if it has none."""
    table: dict[tuple[str, str, int], dict[date, int | None]] = {}
    for row in session.scalars(select(FeeRow).where(FeeRow.tenant == tenant)):
        key = (row.tariff_class, row.channel, row.term_months)
        table.setdefault(key, {})[row.valid_from] = row.fee_cents
    for change in _changes(session, tenant, "fee"):
        told = change.content
        key = (told["tariff_class"], told["channel"], told["term_months"])
        table.setdefault(key, {})[change.valid_from] = told["cents"]
    return FeeTable({key: tuple(rows.items()) for key, rows in table.items()})


def _changes(session: Session, tenant: str, subject: str) -> Iterable[RuleChangeRow]:
    return session.scalars(
        select(RuleChangeRow)
        .where(
            RuleChangeRow.tenant == tenant,
            RuleChangeRow.subject == subject,
            RuleChangeRow.undone_at.is_(None),
        )
        .order_by(RuleChangeRow.valid_from, RuleChangeRow.made_at, RuleChangeRow.id)
    )


def _changed(before: TariffZone | None, change: RuleChangeRow) -> TariffZone:
    """The zone with one more change; a zone that was not there begins with it."""
    told, first = change.content, change.valid_from
    if before is None:
        return TariffZone(Zone(change.target, told["name"]), told["tariff_class"] or "", first)
    if told["ends"]:
        last = first - timedelta(days=1)
        if before.valid_until is not None:
            last = min(last, before.valid_until)
        return replace(before, valid_until=last, merged_into=told["merged_into"])
    latest = before.on(first)
    version = ZoneVersion(
        first,
        latest.zone.name if told["name"] is None else told["name"],
        latest.tariff_class if told["tariff_class"] is None else told["tariff_class"],
    )
    return replace(before, versions=(*before.versions, version))


def zones_from_csv(session: Session, tenant: str, path: Path, encoding: str | None = None) -> int:
    """Load zones from ``zone_code``, ``zone_name``, optional ``tariff_class``, ``valid_from``, ``valid_until``.

    An optional column ``merged_into`` names the zone that takes over the area after ``valid_until``; that zone may
    stand anywhere in the file. A code that is known is overwritten, none is removed, so loading twice changes
    nothing. Returns the number of rows. Raises FileRefused; the caller then rolls its transaction back.
    """
    records = read_config_table(path, encoding, ("zone_code", "zone_name"))
    merged: list[tuple[int, str]] = []
    for record, cells in records:
        try:
            zone = Zone(cells["zone_code"], cells["zone_name"])
            values: dict[str, Any] = {
                "name": zone.name,
                "tariff_class": _tariff_class(cells.get("tariff_class", "")),
                "valid_from": day_of_cell(cells.get("valid_from", "")),
                "valid_until": day_of_cell(cells.get("valid_until", "")),
            }
            if "merged_into" in cells:
                values["merged_into"] = _successor(cells["merged_into"], zone.code, values["valid_until"])
        except Refusal as fault:
            raise in_line(fault, record.line) from fault
        if values.get("merged_into"):
            merged.append((record.line, zone.code))
        _put(session, ZoneRow, {"tenant": tenant, "code": zone.code}, values)
    session.flush()
    known = zones(session, tenant) if merged else {}
    for line, code in merged:
        try:
            check_successor(known, code)
        except Refusal as fault:
            raise in_line(fault, line) from fault
    return len(records)


def _successor(text: str, code: str, valid_until: date | None) -> str | None:
    if not text:
        return None
    if valid_until is None:
        raise IssuerRefusal("ZONE_MERGED_WITHOUT_END", zone=code)
    return normalise_zone_code(text)


def check_successor(known: Mapping[str, TariffZone], code: str) -> None:
    """That the zone which takes over the area of ``code`` is there on the day after.

    Raises IssuerRefusal ZONE_SUCCESSOR.
    """
    ended = known[code]
    if ended.merged_into is None or ended.valid_until is None:
        return
    day = ended.valid_until + timedelta(days=1)
    successor = known.get(ended.merged_into)
    if successor is None or ended.merged_into == code or not successor.holds_on(day):
        raise IssuerRefusal(
            "ZONE_SUCCESSOR",
            zone=code,
            successor=ended.merged_into,
            day=day.isoformat(),
            known=known_codes(known, day),
        )


def fees_from_csv(session: Session, tenant: str, path: Path, encoding: str | None = None) -> int:
    """Load fees from ``channel``, ``term_months``, ``fee_cents``, optional ``tariff_class``, ``valid_from``.

    An empty tariff class means all, an empty day always. As `zones_from_csv`, loading twice changes nothing.
    """
    records = read_config_table(path, encoding, ("channel", "term_months", "fee_cents"))
    for record, cells in records:
        try:
            keys: dict[str, Any] = {
                "tenant": tenant,
                "tariff_class": _tariff_class(cells.get("tariff_class", "")),
                "channel": _channel(cells["channel"]),
                "term_months": whole(cells["term_months"], "term_months", _MOST_MONTHS),
                "valid_from": day_of_cell(cells.get("valid_from", "")) or ALWAYS,
            }
            cents = whole(cells["fee_cents"], "fee_cents", _MOST_CENTS)
        except Refusal as fault:
            raise in_line(fault, record.line) from fault
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
    return known[wanted].on(day)


def known_codes(known: Mapping[str, TariffZone], day: date | None) -> str:
    """The codes of the zones that hold on ``day`` (None: of all) for a sentence; a dash if there are none."""
    return ", ".join(sorted(code for code, zone in known.items() if day is None or zone.holds_on(day))) or "–"


def read_config_table(
    path: Path, encoding: str | None, needed: tuple[str, ...]
) -> list[tuple[Record, dict[str, str]]]:
    """The rows of a table of the city by column, blanks around cells left out.

    Raises FileRefused as `read_table` does, COLUMN_MISSING without one of ``needed``, COLUMN_COUNT.
    """
    return config_rows(read_table(path, encoding), needed)


def config_rows(table: Table, needed: tuple[str, ...]) -> list[tuple[Record, dict[str, str]]]:
    """As `read_config_table`, for a table that was read already."""
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


def in_line(fault: Refusal, line: int) -> FileRefused:
    """The refusal of a whole file because of what is wrong in one of its lines."""
    return FileRefused("CONFIG_ROW", line=line, fault=fault)


def _tariff_class(text: str) -> str:
    if len(text) > _LONGEST_CLASS or not text.isprintable():
        raise IssuerRefusal("VALUE_FORMAT", field="tariff_class")
    return text


def _channel(text: str) -> str:
    if not text.isascii() or not text.isalnum() or len(text) > _LONGEST_CLASS:
        raise IssuerRefusal("VALUE_FORMAT", field="channel")
    return text


def whole(text: str, column: str, most: int) -> int:
    """A cell with a whole number from 0 to ``most``. Raises IssuerRefusal INTEGER_FORMAT."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most):
        raise IssuerRefusal("INTEGER_FORMAT", field=column, minimum=0, maximum=most)
    return int(text)


def day_of_cell(text: str) -> date | None:
    """A cell with a day, or an empty one. Raises PassRefusal DATE_FORMAT."""
    return parse_date_iso(text) if text else None
