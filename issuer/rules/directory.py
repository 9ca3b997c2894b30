"""The city's street directory: loaded from a CSV file, looked up in the register."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from issuer.errors import IssuerRefusal
from issuer.models_rules import StreetEntryRow
from issuer.rules.addresses import Address, AddressAnswer, StreetEntry, StreetUnknown, zone_of
from issuer.rules.house_numbers import WHOLE_STREET, HouseNumber, NumberRange, Side, parse_house_number
from issuer.rules.street_names import street_keys, suggestions
from issuer.status_allocation import chunks
from issuer.tariffs import TariffZone, in_line, known_codes, read_config_table, zones
from keys.errors import Refusal
from passes.names import FieldKind, normalise
from passes.periods import parse_date_iso
from passes.zones import normalise_zone_code

_LONGEST_NOTE: Final = 200
_CHUNK: Final = 1000
# The house number behind the street, where somebody typed both into one field.
_TRAILING = re.compile(r"(.*?[^0-9 ,]) *,? *([0-9][^,]*)")
_POSTAL_CODE = re.compile(r"[0-9]{5}")
_SIDES: Final = {
    "": Side.ALL, "all": Side.ALL, "alle": Side.ALL, "odd": Side.ODD, "ungerade": Side.ODD,
    "even": Side.EVEN, "gerade": Side.EVEN,
}  # fmt: skip


def find_address(
    session: Session,
    tenant: str,
    address: Address,
    day: date,
    known: Mapping[str, TariffZone] | None = None,
) -> AddressAnswer:
    """Which zone ``address`` lies in on ``day``, or why that cannot be said. Raises nothing for what people type.

    ``known`` are the city's zones (`issuer.tariffs.zones`), if the caller has them already.
    """
    try:
        wanted, entries = _entries(session, tenant, address)
    except IssuerRefusal:
        return StreetUnknown()
    if not entries:
        return StreetUnknown(suggestions(wanted.street, _street_names(session, tenant)))
    return zone_of(wanted, entries, zones(session, tenant) if known is None else known, day)


def streets_from_csv(session: Session, tenant: str, path: Path, encoding: str | None = None) -> int:
    """Replace the street directory by the file's; returns the number of its rows.

    Columns ``street``, ``postal_code``, ``zone_code`` (empty: no resident zone); optional ``number_from``,
    ``number_to`` (both empty: the whole street; only the first: that number alone), ``side`` (``odd``, ``even``,
    empty for both), ``note``, ``valid_from``, ``valid_until``. The directory is one file: what does not stand in it
    is gone. Raises FileRefused with the first faulty line, among others for two rows that give one house number two
    zones on the same day; the caller then rolls its transaction back.
    """
    records = read_config_table(path, encoding, ("street", "postal_code", "zone_code"))
    known = zones(session, tenant)
    lines: list[tuple[int, StreetEntry]] = []
    for record, cells in records:
        try:
            lines.append((record.line, _entry(cells, known)))
        except Refusal as fault:
            raise in_line(fault, record.line) from fault
    _refuse_contradictions(lines)
    session.execute(delete(StreetEntryRow).where(StreetEntryRow.tenant == tenant))
    for chunk in chunks(list(enumerate(lines, start=1)), _CHUNK):
        session.execute(
            insert(StreetEntryRow), [_row(tenant, position, entry) for position, (_, entry) in chunk]
        )
    session.flush()
    return len(lines)


def directory_size(session: Session, tenant: str) -> tuple[int, int]:
    """How many streets and how many rows the directory of ``tenant`` has."""
    counts = session.execute(
        select(func.count(func.distinct(StreetEntryRow.street)), func.count()).where(
            StreetEntryRow.tenant == tenant
        )
    ).one()
    return int(counts[0]), int(counts[1])


def directory(session: Session, tenant: str, zone_code: str | None = None) -> list[StreetEntry]:
    """The entries of the directory in the file's order, of one zone or (None) of all."""
    query = select(StreetEntryRow).where(StreetEntryRow.tenant == tenant)
    if zone_code is not None:
        query = query.where(StreetEntryRow.zone_code == zone_code)
    return [_entry_of(row) for row in session.scalars(query.order_by(StreetEntryRow.position))]


def _entries(session: Session, tenant: str, address: Address) -> tuple[Address, list[StreetEntry]]:
    """The entries of the street, and the address with the number that may have been typed behind the street."""
    found = _by_name(session, tenant, address.street)
    if found or address.house_number.strip():
        return address, found
    both = _TRAILING.fullmatch(address.street.strip())
    if both is None:
        return address, []
    split = Address(both[1], both[2].strip(), address.postal_code)
    return split, _by_name(session, tenant, split.street)


def _by_name(session: Session, tenant: str, street: str) -> list[StreetEntry]:
    keys = street_keys(street)
    for column, key in ((StreetEntryRow.street_key, keys.full), (StreetEntryRow.plain_key, keys.plain)):
        found = _with_key(session, tenant, column, key) if key else []
        if found:
            return found
    return []


def _with_key(
    session: Session, tenant: str, column: InstrumentedAttribute[str], key: str
) -> list[StreetEntry]:
    rows = session.scalars(
        select(StreetEntryRow)
        .where(StreetEntryRow.tenant == tenant, column == key)
        .order_by(StreetEntryRow.position)
    )
    return [_entry_of(row) for row in rows]


def _street_names(session: Session, tenant: str) -> list[str]:
    return list(
        session.scalars(select(StreetEntryRow.street).where(StreetEntryRow.tenant == tenant).distinct())
    )


def _entry(cells: Mapping[str, str], known: Mapping[str, TariffZone]) -> StreetEntry:
    street = normalise(cells["street"], FieldKind.ADDRESS)
    if not street:
        raise IssuerRefusal("VALUE_MISSING", field="street")
    if not street_keys(street).full:
        raise IssuerRefusal("VALUE_FORMAT", field="street")
    if _POSTAL_CODE.fullmatch(cells["postal_code"]) is None:
        raise IssuerRefusal("POSTAL_CODE_FORMAT")
    code = cells["zone_code"]
    if code:
        code = normalise_zone_code(code)
        if code not in known:
            raise IssuerRefusal("ZONE_UNKNOWN", zone=code, known=known_codes(known, None))
    note = normalise(cells.get("note", ""), FieldKind.TEXT)
    if len(note) > _LONGEST_NOTE:
        raise IssuerRefusal("VALUE_FORMAT", field="note")
    first, last = (_day(cells.get(name, "")) for name in ("valid_from", "valid_until"))
    if first is not None and last is not None and last < first:
        raise IssuerRefusal("STREET_DAYS", first=first.isoformat(), last=last.isoformat())
    return StreetEntry(street, cells["postal_code"], _numbers(cells), code, note, first, last)


def _numbers(cells: Mapping[str, str]) -> NumberRange:
    side = _SIDES.get(cells.get("side", "").lower())
    if side is None:
        raise IssuerRefusal("CHOICE_UNKNOWN", field="side", known="odd, even, all")
    first, last = cells.get("number_from", ""), cells.get("number_to", "")
    if not first and not last:
        return NumberRange(WHOLE_STREET.first, WHOLE_STREET.last, side)
    if not first:
        raise IssuerRefusal("VALUE_MISSING", field="number_from")
    return NumberRange(_number(first), _number(last or first), side)


def _number(text: str) -> HouseNumber:
    numbers = parse_house_number(text)
    if len(numbers) != 1:
        raise IssuerRefusal("HOUSE_NUMBER_SINGLE", number=text)
    return numbers[0]


def _day(text: str) -> date | None:
    return parse_date_iso(text) if text else None


def _refuse_contradictions(lines: Iterable[tuple[int, StreetEntry]]) -> None:
    """One street has one spelling in a postal code; no number has two zones, or a zone and none, on the same day."""
    streets: defaultdict[tuple[str, str], list[tuple[int, StreetEntry]]] = defaultdict(list)
    for line, entry in lines:
        streets[street_keys(entry.street).full, entry.postal_code].append((line, entry))
    for entries in streets.values():
        first_line, spelled = entries[0]
        for line, entry in entries:
            if entry.street != spelled.street:
                fault = IssuerRefusal(
                    "STREET_SPELLINGS", street=entry.street, other=spelled.street, line=first_line
                )
                raise in_line(fault, line)
        # In order of their first number, only those before that reach so far can overlap.
        entries.sort(key=lambda one: one[1].numbers.first.order)
        open_ones: list[tuple[int, StreetEntry]] = []
        for line, entry in entries:
            start = entry.numbers.first.number
            open_ones = [one for one in open_ones if one[1].numbers.last.number >= start]
            for other_line, other in open_ones:
                if other.zone_code != entry.zone_code and _meet(entry, other):
                    fault = IssuerRefusal(
                        "STREET_CONTRADICTION", street=entry.street, line=min(line, other_line)
                    )
                    raise in_line(fault, max(line, other_line))
            open_ones.append((line, entry))


def _meet(one: StreetEntry, other: StreetEntry) -> bool:
    first = max(one.valid_from or date.min, other.valid_from or date.min)
    last = min(one.valid_until or date.max, other.valid_until or date.max)
    return first <= last and one.numbers.overlaps(other.numbers)


def _row(tenant: str, position: int, entry: StreetEntry) -> dict[str, Any]:
    keys = street_keys(entry.street)
    numbers = entry.numbers
    return {
        "tenant": tenant,
        "position": position,
        "street": entry.street,
        "street_key": keys.full,
        "plain_key": keys.plain,
        "postal_code": entry.postal_code,
        "first_number": numbers.first.number,
        "first_suffix": numbers.first.suffix,
        "last_number": numbers.last.number,
        "last_suffix": numbers.last.suffix,
        "side": numbers.side.value,
        "zone_code": entry.zone_code,
        "note": entry.note,
        "valid_from": entry.valid_from,
        "valid_until": entry.valid_until,
    }


def _entry_of(row: StreetEntryRow) -> StreetEntry:
    numbers = NumberRange(
        HouseNumber(row.first_number, row.first_suffix),
        HouseNumber(row.last_number, row.last_suffix),
        Side(row.side),
    )
    return StreetEntry(
        row.street, row.postal_code, numbers, row.zone_code, row.note, row.valid_from, row.valid_until
    )
