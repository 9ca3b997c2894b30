"""A row on its way into the register: its values so far, and the faults found in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import field as with_default
from datetime import date
from typing import Final

from issuer.importing.columns import Normaliser, Value
from issuer.importing.findings import Finding, Severity, of_refusal
from issuer.importing.rows import RowFile, SourceRow
from issuer.library.membership import MembershipFees
from issuer.rules.kinds import KindRules
from issuer.rules.sources.protocols import ResidentsRegister
from issuer.tariffs import FeeTable, TariffZone
from keys.errors import Refusal
from passes.card_numbers import CardNumber
from passes.model import Attribute, PassStatus, RegisteredPlate
from passes.pass_types import PassType
from passes.periods import Period
from passes.plates import check_season_length
from passes.seasons import Season
from passes.zones import Zone

# A seal counts the seconds since 1970-01-01 in UTC, when that day had begun in Berlin already, up to 2200.
FIRST_DAY: Final = date(1970, 1, 2)
LAST_DAY: Final = date(2199, 12, 31)
# What a spreadsheet makes of a long number in a column that is not text; the digits are lost.
_ROUNDED: Final = re.compile(r"[0-9](?:[.,][0-9]+)?[Ee]\+[0-9]{2,3}")


@dataclass(frozen=True, slots=True)
class Member:
    """What a check must know of another member: the category, and the birth date if the file has it."""

    category: str | None
    birth_date: date | None = None


@dataclass(slots=True)
class Surroundings:
    """What the checks of one file look things up in.

    ``cards`` are card numbers in use, ``spent`` those that were replaced, each with the number of their pass.
    """

    pass_type: PassType
    today: date
    zones: Mapping[str, TariffZone]
    fees: FeeTable
    membership_fees: MembershipFees
    cards: dict[str, str]
    spent: dict[str, str]
    members: Mapping[str, Member]
    kinds: Mapping[str, KindRules]
    residents: ResidentsRegister | None = None


@dataclass(slots=True)
class RowUnderCheck:
    """One row. A column in ``failed`` has had its fault reported; checks that need it must not run."""

    source: SourceRow
    file: RowFile
    values: dict[str, Value] = with_default(default_factory=dict)
    failed: set[str] = with_default(default_factory=set)
    findings: list[Finding] = with_default(default_factory=list)
    number: str = ""
    period: Period | None = None
    plates: tuple[RegisteredPlate, ...] = ()
    card: CardNumber | None = None
    zone: TariffZone | None = None
    status: PassStatus = PassStatus.ACTIVE

    @property
    def refused(self) -> bool:
        """Whether an error was found."""
        return any(one.severity is Severity.ERROR for one in self.findings)

    def fit(self, *columns: str) -> bool:
        """Whether none of ``columns`` has a fault already."""
        return self.failed.isdisjoint(columns)

    def text(self, column: str) -> str:
        """The text of ``column``, empty if there is none."""
        value = self.values.get(column)
        return value if isinstance(value, str) else ""

    def day(self, column: str) -> date | None:
        """The day of ``column``."""
        value = self.values.get(column)
        return value if isinstance(value, date) else None

    def integer(self, column: str) -> int | None:
        """The whole number of ``column``."""
        value = self.values.get(column)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def yes(self, column: str) -> bool:
        """Whether ``column`` says yes."""
        return self.values.get(column) is True

    def error(self, column: str, code: str, /, *, text: str | None = None, **params: object) -> None:
        """Report a fault of ``column``: the row is refused."""
        source = self.source
        self.findings.append(
            Finding(source.row, source.line, self._shown(column), Severity.ERROR, code, params, text=text)
        )
        self.failed.add(column)

    def refuse(self, column: str, refusal: Refusal) -> None:
        """Report the refusal of a value of ``column``."""
        source = self.source
        self.findings.append(of_refusal(source.row, source.line, self._shown(column), refusal))
        self.failed.add(column)

    def advise(self, column: str, refusal: Refusal) -> None:
        """Report as `warn` what would refuse the row elsewhere."""
        source, shown = self.source, self._shown(column)
        finding = of_refusal(source.row, source.line, shown, refusal)
        self.findings.append(replace(finding, severity=Severity.WARN))

    def warn(self, column: str, code: str, /, *, package: str = "issuer", **params: object) -> None:
        """Report something about ``column`` that a person should look at; the row is accepted."""
        source = self.source
        self.findings.append(
            Finding(source.row, source.line, self._shown(column), Severity.WARN, code, params, package)
        )

    def _shown(self, column: str) -> str:
        return self.file.shown.get(column, column)


def normalised(
    source: SourceRow, file: RowFile, pass_type: PassType, normaliser: Normaliser
) -> RowUnderCheck:
    """The row with its cells as values, and what they make together: number, period, plates, card."""
    row = RowUnderCheck(source, file, findings=list(source.findings), failed=set(source.failed))
    if not source.values:
        return row
    for spec in pass_type.spec.register.columns:
        cell = source.values.get(spec.name)
        if cell is None:
            continue
        if not cell and not spec.required:
            row.values[spec.name] = None
            continue
        try:
            value = normaliser.value(spec, cell)
        except Refusal as refusal:
            row.refuse(spec.name, refusal)
            continue
        row.values[spec.name] = value
        if isinstance(value, str) and not value.isascii():
            suggestion = normaliser.suspicion(spec, value)
            if suggestion is not None:
                row.warn(spec.name, "MOJIBAKE_SUSPECTED", package="passes", suggestion=suggestion)
    row.number = row.text(pass_type.spec.register.number_column)
    _put_together(row, pass_type)
    return row


def attributes_of(row: RowUnderCheck, pass_type: PassType) -> dict[str, Attribute]:
    """The attributes of the revision that an accepted row makes, in the type's order."""
    attributes: dict[str, Attribute] = {}
    for name, spec in pass_type.attributes.items():
        value: Attribute | None
        if spec.kind == "plates":
            value = row.plates
        elif spec.kind == "card_number":
            value = row.card
        else:
            value = _plain(row, pass_type, name)
        if value is not None and value != ():
            attributes[name] = value
    return attributes


def _plain(row: RowUnderCheck, pass_type: PassType, attribute: str) -> Attribute | None:
    for column in pass_type.spec.register.columns:
        if column.attribute != attribute:
            continue
        value = row.values.get(column.name)
        if column.kind == "zone" and isinstance(value, str):
            if row.zone is None:
                return Zone(value, value)
            return (row.zone if row.period is None else row.zone.on(row.period.first)).zone
        if isinstance(value, (str, int, date)):
            return value
    return None


def _years_fit(row: RowUnderCheck) -> bool:
    """Whether both days can stand in a seal; the first that cannot is reported."""
    for column in ("valid_from", "valid_to"):
        day = row.day(column)
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            row.error(
                column,
                "DATE_YEAR",
                text="PERIOD_YEAR",
                first=FIRST_DAY.isoformat(),
                last=LAST_DAY.isoformat(),
            )
            return False
    return True


def _put_together(row: RowUnderCheck, pass_type: PassType) -> None:
    first, last = row.day("valid_from"), row.day("valid_to")
    if _years_fit(row) and first is not None and last is not None:
        try:
            row.period = Period(first, last)
        except Refusal as refusal:
            row.refuse("valid_to", refusal)
    columns = pass_type.spec.register.columns
    plate_columns = [spec.name for spec in columns if spec.kind == "plate"]
    season_columns = [spec.name for spec in columns if spec.kind == "season"]
    if plate_columns and row.fit(*plate_columns, *season_columns):
        row.plates = _plates(row, plate_columns, season_columns)
    for spec in columns:
        if spec.kind == "card_number":
            _card(row, spec.name, pass_type)


def _plates(
    row: RowUnderCheck, plate_columns: list[str], season_columns: list[str]
) -> tuple[RegisteredPlate, ...]:
    plates: list[RegisteredPlate] = []
    for place, column in enumerate(plate_columns):
        season_column = season_columns[place] if place < len(season_columns) else ""
        season = row.values.get(season_column)
        cell = row.values.get(column)
        if not isinstance(cell, tuple):
            if season is not None:
                row.error(season_column, "SEASON_WITHOUT_PLATE", plate=column)
            continue
        plate, written = cell
        if not isinstance(season, Season):
            plates.append(RegisteredPlate(plate, written))
            continue
        if written is not None and written != season:
            row.error(season_column, "SEASON_CONFLICT", plate=column)
            continue
        try:
            check_season_length(plate)
        except Refusal as refusal:
            row.refuse(column, refusal)
            continue
        plates.append(RegisteredPlate(plate, season))
    return tuple(plates)


def _card(row: RowUnderCheck, column: str, pass_type: PassType) -> None:
    kinds = {spec.kind: spec.name for spec in pass_type.spec.register.columns}
    scheme, symbology = kinds.get("card_scheme", ""), kinds.get("symbology", "")
    if not row.text(column) or not row.fit(column, scheme, symbology):
        return
    if _ROUNDED.fullmatch(row.text(column)):
        row.error(column, "CARD_FORMAT", text="CARD_FORMAT_ROUNDED")
        return
    places = {"CARD_SCHEME_UNKNOWN": scheme, "CARD_SYMBOLOGY_UNKNOWN": symbology}
    try:
        row.card = pass_type.card_number(row.text(column), row.text(scheme), row.text(symbology))
    except Refusal as refusal:
        row.refuse(places.get(refusal.code, column), refusal)
