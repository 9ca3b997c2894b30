"""The vehicle register as a CSV file."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from issuer.errors import IssuerRefusal
from issuer.importing.csv_file import Table
from issuer.rules.sources.files import WatchedFile
from issuer.rules.sources.names import RegisteredName
from issuer.rules.sources.protocols import (
    KeeperAnswer,
    KeeperIs,
    KeeperIsOther,
    Person,
    SourceAway,
    VehicleUnknown,
)
from issuer.rules.sources.residents_file import optional_day
from issuer.tariffs import config_rows, in_line
from keys.errors import Refusal
from passes.plates import Plate

_COLUMNS = ("plate", "keeper_family_name", "keeper_given_name")


@dataclass(frozen=True, slots=True)
class _Keeper:
    # None where an organisation keeps the vehicle.
    name: RegisteredName | None
    first: date | None
    last: date | None


_Keepers = dict[str, list[_Keeper]]


class VehiclesFile:
    """Answers from a CSV file with ``plate``, ``keeper_family_name`` (empty: an organisation), ``keeper_given_name``,
    optional ``keeper_birth_date``, ``registered_from``, ``registered_until`` (the last day).
    """

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path, _parse)

    def keeper(self, plate: Plate, person: Person, day: date) -> KeeperAnswer:
        """As `VehicleRegister.keeper`."""
        known = self._file.content()
        if isinstance(known, SourceAway):
            return known
        running = [
            one
            for one in known.get(plate.key, ())
            if (one.first is None or one.first <= day) and (one.last is None or day <= one.last)
        ]
        if not running:
            return VehicleUnknown()
        fits = any(one.name is not None and one.name.fits(person) for one in running)
        return KeeperIs() if fits else KeeperIsOther()


def _parse(table: Table) -> _Keepers:
    known: defaultdict[str, list[_Keeper]] = defaultdict(list)
    for record, cells in config_rows(table, _COLUMNS):
        try:
            known[Plate.parse(cells["plate"]).key].append(_keeper(cells))
        except Refusal as fault:
            raise in_line(fault, record.line) from fault
    return dict(known)


def _keeper(cells: dict[str, str]) -> _Keeper:
    family, given = cells["keeper_family_name"], cells["keeper_given_name"]
    if given and not family:
        raise IssuerRefusal("VALUE_MISSING", field="keeper_family_name")
    name = RegisteredName.of(family, given, optional_day(cells, "keeper_birth_date")) if family else None
    return _Keeper(name, optional_day(cells, "registered_from"), optional_day(cells, "registered_until"))
