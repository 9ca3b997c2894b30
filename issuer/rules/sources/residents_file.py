"""The residents' register as a CSV file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from issuer.errors import IssuerRefusal
from issuer.importing.csv_file import Table
from issuer.rules.addresses import Address
from issuer.rules.house_numbers import HouseNumber, parse_house_number
from issuer.rules.sources.agreement import agrees
from issuer.rules.sources.files import WatchedFile
from issuer.rules.sources.names import RegisteredName
from issuer.rules.sources.protocols import (
    Home,
    NotByMachine,
    Person,
    Residence,
    ResidenceAnswer,
    Resident,
    ResidentAnswer,
    ResidentUnclear,
    Resides,
    ResidesNot,
    SourceAway,
)
from issuer.rules.street_names import street_keys
from issuer.tariffs import config_rows, in_line
from keys.errors import Refusal
from passes.errors import PassRefusal
from passes.names import search_keys
from passes.periods import parse_date_iso

_COLUMNS: Final = ("family_name", "given_name", "street", "house_number", "postal_code", "residence")
_WORDS: Final = ("usual_given_name", "former_names", "doctoral_degree", "artistic_name")
# What a row's words are called in `Resident`.
_TEXTS: Final = ("family_name", "given_names", "key", *_WORDS)
_ID: Final = "id"
_YES_NO: Final = {"": False, "no": False, "yes": True}


@dataclass(frozen=True, slots=True)
class _Row:
    """One address of one person; rows of one person have the same ``who``."""

    who: tuple[str, ...]
    name: RegisteredName
    numbers: tuple[HouseNumber, ...]
    home: Home
    is_blocked: bool
    moved_in: date | None
    moved_out: date | None
    words: tuple[str, ...]

    @property
    def former_names(self) -> str:
        return self.words[_TEXTS.index("former_names")]

    def holds(self, day: date) -> bool:
        return (self.moved_in is None or self.moved_in <= day) and (
            self.moved_out is None or day <= self.moved_out
        )

    def former_name_fits(self, person: Person) -> bool:
        names = [one.strip() for one in self.former_names.split(",")]
        return any(replace(self.name, family=search_keys(one)).fits(person) for one in names if one)

    def lives(self, address: Address, numbers: tuple[HouseNumber, ...], day: date) -> bool:
        known = self.home.postal_code
        return (
            (not address.postal_code or address.postal_code == known)
            and numbers == self.numbers
            and self.holds(day)
        )


@dataclass(frozen=True, slots=True)
class _Residents:
    by_street: Mapping[str, list[_Row]]
    by_person: Mapping[tuple[str, ...], list[_Row]]
    by_family: Mapping[str, set[tuple[str, ...]]]
    born: Mapping[date, set[tuple[str, ...]]]
    # Of all addresses of those people, whichever row of the file says so, and however it spells them.
    blocked: frozenset[tuple[str, ...]]

    def resident(self, who: tuple[str, ...], day: date) -> Resident | None:
        """What the rows of a person say on ``day``; None where there are none, or they do not say the same."""
        rows = [one for one in self.by_person[who] if one.holds(day)]
        born = rows[0].name.birth_date if rows else None
        if born is None or len({(one.words, one.name.birth_date) for one in rows}) > 1:
            return None
        homes = dict.fromkeys(one.home for one in rows)
        main_first = sorted(homes, key=lambda one: one.residence is not Residence.MAIN)
        texts = dict(zip(_TEXTS, rows[0].words, strict=True))
        return Resident(birth_date=born, homes=tuple(main_first), **texts)

    def fitting(self, person: Person, among: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Those ``among`` the people whom any of their rows calls as ``person`` is called."""
        return [who for who in among if any(one.name.fits(person) for one in self.by_person[who])]

    def once_called(self, person: Person, among: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Those ``among`` the people who have another family name than ``person``, and had theirs before."""
        return [
            who
            for who in among
            if not self.fitting(person, (who,))
            and any(one.former_name_fits(person) for one in self.by_person[who])
        ]

    def named(self, person: Person) -> list[tuple[str, ...]]:
        """Everybody who can be ``person``."""
        try:
            keys = search_keys(person.family_name)
        except PassRefusal:
            return []
        return self.fitting(person, {who for key in keys for who in self.by_family.get(key, ())})

    def at(self, person: Person, address: Address, day: date) -> list[_Row]:
        """Those of ``person``'s name at the address on ``day`` for whom nothing is blocked."""
        try:
            numbers = parse_house_number(address.house_number) if address.house_number.strip() else ()
            keys = _street(address.street)
        except IssuerRefusal:
            return []
        return [
            one
            for one in dict.fromkeys(one for key in keys for one in self.by_street.get(key, ()))
            if one.lives(address, numbers, day) and one.name.fits(person) and one.who not in self.blocked
        ]


class ResidentsFile:
    """Answers from a CSV file with ``family_name``, ``given_name``, ``street``, ``house_number``, ``postal_code``,
    ``residence`` (main or secondary), optional ``birth_date``, ``moved_in``, ``moved_out`` (its last day there).

    For certificates of residence also, all optional: ``city``, ``blocked`` (yes: no disclosure, §§ 51, 52 BMG),
    ``person_id``, ``usual_given_name``, ``former_names``, ``doctoral_degree``, ``artistic_name``. A person has a row
    for each address; without a ``person_id`` rows with one name and birth date are one person.
    """

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path, _parse)

    def residence(self, person: Person, address: Address, day: date) -> ResidenceAnswer:
        """As `ResidentsRegister.residence`; a main residence counts before a secondary one of the same person."""
        known = self._file.content()
        if isinstance(known, SourceAway):
            return known
        found = known.at(person, address, day)
        if not found:
            return ResidesNot()
        if len({one.name.birth_date for one in found}) > 1:
            return ResidentUnclear()
        main = any(one.home.residence is Residence.MAIN for one in found)
        return Resides(Residence.MAIN if main else Residence.SECONDARY)

    def resident(self, person: Person, address: Address, day: date) -> ResidentAnswer:
        """As `ResidentsRegister.resident`; whose birth date the file lacks gets no certificate from it."""
        known = self._file.content()
        if isinstance(known, SourceAway):
            return known
        who = {
            one.who
            for one in known.at(person, address, day)
            if person.birth_date is not None and one.name.birth_date == person.birth_date
        }
        if len(who) != 1:
            return NotByMachine()
        return known.resident(who.pop(), day) or NotByMachine()

    def may_certify(self, person: Person, day: date) -> bool | SourceAway:
        """As `ResidentsRegister.may_certify`; a block holds whatever the day."""
        known = self._file.content()
        if isinstance(known, SourceAway):
            return known
        people = known.named(person)
        lives = any(one.holds(day) for who in people for one in known.by_person[who])
        return lives and known.blocked.isdisjoint(people)

    def contradicts(self, certified: Resident, day: date) -> bool | SourceAway:
        """As `ResidentsRegister.contradicts`: of one person of that name, today's or a former one, and birth date.

        Who has moved away has rows that have ended. Of a blocked person nothing is told, this neither.
        """
        known = self._file.content()
        if isinstance(known, SourceAway):
            return known
        person = Person(certified.family_name, certified.given_names, certified.birth_date)
        born = known.born.get(certified.birth_date, ())
        renamed = set(known.once_called(person, born))
        who = [one for one in {*known.fitting(person, born), *renamed} if one not in known.blocked]
        if len(who) != 1:
            return False
        if not any(one.holds(day) for one in known.by_person[who[0]]):
            return any(one.moved_out is not None for one in known.by_person[who[0]])
        found = known.resident(who[0], day)
        return found is not None and (who[0] in renamed or not agrees(found, certified))


def _parse(table: Table) -> _Residents:
    by_street: defaultdict[str, list[_Row]] = defaultdict(list)
    by_person: defaultdict[tuple[str, ...], list[_Row]] = defaultdict(list)
    for record, cells in config_rows(table, _COLUMNS):
        try:
            row = _row(cells)
            for key in _street(cells["street"]):
                by_street[key].append(row)
        except Refusal as fault:
            raise in_line(fault, record.line) from fault
        by_person[row.who].append(row)
    by_family: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    born: defaultdict[date, set[tuple[str, ...]]] = defaultdict(set)
    for who, rows in by_person.items():
        for row in rows:
            for key in row.name.family:
                by_family[key].add(who)
            if row.name.birth_date is not None:
                born[row.name.birth_date].add(who)
    blocked = _blocked(by_person, by_family)
    return _Residents(dict(by_street), dict(by_person), dict(by_family), dict(born), blocked)


def _street(text: str) -> set[str]:
    """How a street is found: with umlauts as AE and as A, since people write both."""
    keys = street_keys(text)
    return {keys.full, keys.plain}


def _blocked(
    by_person: Mapping[tuple[str, ...], list[_Row]], by_family: Mapping[str, set[tuple[str, ...]]]
) -> frozenset[tuple[str, ...]]:
    """Who is blocked, and whoever can be the same person, unless the register's own keys tell them apart."""
    marked = [rows for rows in by_person.values() if any(one.is_blocked for one in rows)]
    found = {rows[0].who for rows in marked}
    for row in (one for rows in marked for one in rows):
        for who in {other for key in row.name.family for other in by_family[key]}:
            is_told_apart = row.who[0] == who[0] == _ID
            if not is_told_apart and any(row.name.may_be(one.name) for one in by_person[who]):
                found.add(who)
    return frozenset(found)


def _row(cells: dict[str, str]) -> _Row:
    if not cells["family_name"]:
        raise IssuerRefusal("VALUE_MISSING", field="family_name")
    if cells["residence"] not in tuple(Residence):
        raise IssuerRefusal("CHOICE_UNKNOWN", field="residence", known="main, secondary")
    blocked = _YES_NO.get(cells.get("blocked", "").lower())
    if blocked is None:
        raise IssuerRefusal("CHOICE_UNKNOWN", field="blocked", known="yes, no")
    number, key = cells["house_number"], cells.get("person_id", "")
    born = optional_day(cells, "birth_date")
    names = (cells["family_name"], cells["given_name"])
    return _Row(
        (_ID, key) if key else ("name", *names, born.isoformat() if born else ""),
        RegisteredName.of(*names, born),
        parse_house_number(number) if number else (),
        Home(
            Residence(cells["residence"]),
            cells["street"],
            number,
            cells["postal_code"],
            cells.get("city", ""),
        ),
        blocked,
        optional_day(cells, "moved_in"),
        optional_day(cells, "moved_out"),
        (*names, key, *(cells.get(one, "") for one in _WORDS)),
    )


def optional_day(cells: dict[str, str], name: str) -> date | None:
    """The day in a column that may be missing or empty. Raises PassRefusal DATE_FORMAT."""
    text = cells.get(name, "")
    return parse_date_iso(text) if text else None
