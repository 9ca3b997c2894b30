"""The residents' register as a CSV file."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from issuer.errors import IssuerRefusal
from issuer.importing.csv_file import Table
from issuer.rules.addresses import Address
from issuer.rules.house_numbers import HouseNumber, parse_house_number
from issuer.rules.sources.files import WatchedFile
from issuer.rules.sources.names import RegisteredName
from issuer.rules.sources.protocols import (
    Person,
    Residence,
    ResidenceAnswer,
    ResidentUnclear,
    Resides,
    ResidesNot,
    SourceAway,
)
from issuer.rules.street_names import street_keys
from issuer.tariffs import config_rows, in_line
from keys.errors import Refusal
from passes.periods import parse_date_iso

_COLUMNS = ("family_name", "given_name", "street", "house_number", "postal_code", "residence")


@dataclass(frozen=True, slots=True)
class _Resident:
    name: RegisteredName
    numbers: tuple[HouseNumber, ...]
    postal_code: str
    residence: Residence
    moved_in: date | None
    moved_out: date | None

    def lives(self, address: Address, numbers: tuple[HouseNumber, ...], day: date) -> bool:
        return (
            (not address.postal_code or address.postal_code == self.postal_code)
            and numbers == self.numbers
            and (self.moved_in is None or self.moved_in <= day)
            and (self.moved_out is None or day <= self.moved_out)
        )


_Residents = dict[str, list[_Resident]]


class ResidentsFile:
    """Answers from a CSV file with ``family_name``, ``given_name``, ``street``, ``house_number``, ``postal_code``,
    ``residence`` (main or secondary), optional ``birth_date``, ``moved_in``, ``moved_out`` (its last day there).
    """

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path, _parse)

    def residence(self, person: Person, address: Address, day: date) -> ResidenceAnswer:
        """As `ResidentsRegister.residence`; a main residence counts before a secondary one of the same person."""
        known = self._file.content()
        if isinstance(known, SourceAway):
            return known
        try:
            numbers = parse_house_number(address.house_number) if address.house_number.strip() else ()
            key = street_keys(address.street).plain
        except IssuerRefusal:
            return ResidesNot()
        found = [
            one for one in known.get(key, ()) if one.lives(address, numbers, day) and one.name.fits(person)
        ]
        if not found:
            return ResidesNot()
        if len({one.name.birth_date for one in found}) > 1:
            return ResidentUnclear()
        main = any(one.residence is Residence.MAIN for one in found)
        return Resides(Residence.MAIN if main else Residence.SECONDARY)


def _parse(table: Table) -> _Residents:
    known: defaultdict[str, list[_Resident]] = defaultdict(list)
    for record, cells in config_rows(table, _COLUMNS):
        try:
            known[street_keys(cells["street"]).plain].append(_resident(cells))
        except Refusal as fault:
            raise in_line(fault, record.line) from fault
    return dict(known)


def _resident(cells: dict[str, str]) -> _Resident:
    if not cells["family_name"]:
        raise IssuerRefusal("VALUE_MISSING", field="family_name")
    if cells["residence"] not in tuple(Residence):
        raise IssuerRefusal("CHOICE_UNKNOWN", field="residence", known="main, secondary")
    number = cells["house_number"]
    return _Resident(
        RegisteredName.of(cells["family_name"], cells["given_name"], optional_day(cells, "birth_date")),
        parse_house_number(number) if number else (),
        cells["postal_code"],
        Residence(cells["residence"]),
        optional_day(cells, "moved_in"),
        optional_day(cells, "moved_out"),
    )


def optional_day(cells: dict[str, str], name: str) -> date | None:
    """The day in a column that may be missing or empty. Raises PassRefusal DATE_FORMAT."""
    text = cells.get(name, "")
    return parse_date_iso(text) if text else None
