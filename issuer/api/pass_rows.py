"""A pass as JSON, turned into one row of its register, so that the same code checks it as in an import."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import msgspec

from issuer.api.pass_schemas import AttributeValue, HolderInput, NewPass, Warning
from issuer.importing.findings import Finding, Severity
from issuer.importing.rows import RowFile, SourceRow
from issuer.web.problems import Fault
from keys.errors import Refusal
from passes.pass_types import AttributeSpec, ColumnSpec, PassType
from passes.periods import Period, months_of

_HOLDER_COLUMNS: Final = {"ref": "holder_ref"}
_PERIOD_COLUMNS: Final = ("valid_from", "valid_to", "term_months", "status")
_PACKAGE: Final = "issuer"


@dataclass(slots=True)
class PassRequestRow:
    """The row that a request makes: cells by column, where each came from, and faults found on the way."""

    pass_type: PassType
    cells: dict[str, str] = field(default_factory=dict)
    pointers: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def file(self) -> RowFile:
        """The row as a file of one row, with every column that the type requires."""
        for spec in self.pass_type.spec.register.columns:
            if spec.required and spec.name not in self.cells:
                self.cells[spec.name] = ""
                self.pointers.setdefault(spec.name, _place_of(spec, self.pass_type))
        columns = tuple(self.cells)
        return RowFile(
            self.pass_type.id, columns, {one: one for one in columns}, [SourceRow(1, 1, self.cells)], ()
        )

    def faults_of(self, findings: Sequence[Finding]) -> list[Fault]:
        """The errors among ``findings``, at the places of the body that they come from."""
        return [
            Fault(one.code, _facts(one), self._pointer(one), package=one.package, text=one.text)
            for one in findings
            if one.severity is Severity.ERROR
        ]

    def warnings_of(self, findings: Sequence[Finding], language: str) -> list[Warning]:
        """The warnings among ``findings``."""
        return [
            Warning(one.code, one.sentence(language), self._pointer(one))
            for one in findings
            if one.severity is Severity.WARN
        ]

    def put(self, column: str, cell: str | None, pointer: str) -> None:
        """A cell with its place in the body."""
        if cell is not None:
            self.cells[column] = cell
        self.pointers[column] = pointer

    def fault(self, code: str, pointer: str, /, **params: object) -> None:
        """A fault that no column has."""
        self.faults.append(Fault(code, params, pointer))

    def _pointer(self, finding: Finding) -> str:
        known = self.pointers.get(finding.field or "")
        if known is not None:
            return known
        # What is missing has a place too.
        columns = self.pass_type.spec.register.columns
        return next((_place_of(spec, self.pass_type) for spec in columns if spec.name == finding.field), "#")


def row_of(pass_type: PassType, given: NewPass, number: str) -> PassRequestRow:
    """The row for ``given`` under ``number``; values of the wrong kind are among its faults."""
    row = PassRequestRow(pass_type)
    register = pass_type.spec.register
    row.put(register.number_column, number, "#/number")
    row.put("status", given.status, "#/status")
    specs = {spec.name: spec for spec in register.columns}
    _put_holder(row, specs, given.holder)
    _put_period(row, specs, given)
    for name, value in given.attributes.items():
        spec = pass_type.attributes.get(name)
        if spec is None:
            row.fault("VALUE_NOT_KNOWN", f"#/attributes/{name}")
        elif value is not None:
            _put_attribute(row, spec, value)
    taken = {register.number_column, *_PERIOD_COLUMNS, *_holder_columns()}
    for name, detail in given.details.items():
        column = specs.get(name)
        if column is None or column.attribute is not None or name in taken:
            row.fault("VALUE_NOT_KNOWN", f"#/details/{name}")
        elif detail is not None:
            _put_plain(row, column, detail, f"#/details/{name}")
    return row


def _holder_columns() -> Iterator[str]:
    for one in msgspec.structs.fields(HolderInput):
        yield _HOLDER_COLUMNS.get(one.name, one.name)


def _put_holder(row: PassRequestRow, specs: dict[str, ColumnSpec], holder: HolderInput) -> None:
    for name, value in msgspec.structs.asdict(holder).items():
        column = _HOLDER_COLUMNS.get(name, name)
        if value is None:
            continue
        if column not in specs:
            row.fault("VALUE_NOT_KNOWN", f"#/holder/{name}")
        else:
            row.put(column, value.isoformat() if isinstance(value, date) else value, f"#/holder/{name}")


def _put_period(row: PassRequestRow, specs: dict[str, ColumnSpec], given: NewPass) -> None:
    period = given.period
    row.put("valid_from", period.first.isoformat(), "#/period/first")
    last, months = period.last, period.term_months
    if last is None and months is None:
        row.fault("VALUE_REQUIRED", "#/period/last")
    elif last is None and months is not None:
        try:
            last = Period.of_months(period.first, months).last
        except Refusal as refusal:
            row.faults.append(
                Fault(refusal.code, refusal.params, "#/period/term_months", package=refusal.package)
            )
    if last is not None:
        row.put("valid_to", last.isoformat(), "#/period/last")
        if months is not None and "term_months" not in specs and last >= period.first:
            whole = months_of(Period(period.first, last)) if last.year < 2200 else None
            if whole != months:
                row.fault("VALUE_INVALID", "#/period/last")
    if months is not None and "term_months" in specs:
        row.put("term_months", str(months), "#/period/term_months")


def _put_attribute(row: PassRequestRow, spec: AttributeSpec, value: AttributeValue) -> None:
    pointer = f"#/attributes/{spec.name}"
    columns = [one for one in row.pass_type.spec.register.columns if one.attribute == spec.name]
    if spec.kind == "plates":
        _put_plates(row, columns, value, pointer)
    elif spec.kind == "card_number":
        _put_card(row, columns, value, pointer)
    elif spec.kind == "zone" and isinstance(value, dict):
        if "code" not in value or not set(value) <= {"code", "name"}:
            row.fault("VALUE_REQUIRED", f"{pointer}/code")
        else:
            row.put(columns[0].name, value["code"] or "", f"{pointer}/code")
    elif not columns:
        row.fault("VALUE_NOT_KNOWN", pointer)
    else:
        _put_plain(row, columns[0], value, pointer)


def _put_plates(row: PassRequestRow, columns: list[ColumnSpec], value: AttributeValue, pointer: str) -> None:
    if not isinstance(value, list):
        row.fault("VALUE_KIND", pointer)
        return
    plates = [one.name for one in columns if one.kind == "plate"]
    seasons = [one.name for one in columns if one.kind == "season"]
    if len(value) > len(plates):
        row.fault("PLATE_COUNT", pointer, limit=len(plates))
        return
    for name in (*plates, *seasons):
        row.pointers[name] = pointer
    for place, one in enumerate(value):
        row.put(plates[place], one.plate, f"{pointer}/{place}/plate")
        if one.season is not None and place < len(seasons):
            row.put(seasons[place], one.season, f"{pointer}/{place}/season")


def _put_card(row: PassRequestRow, columns: list[ColumnSpec], value: AttributeValue, pointer: str) -> None:
    by_kind = {one.kind: one.name for one in columns}
    places = {"number": "card_number", "scheme": "card_scheme", "symbology": "symbology"}
    if isinstance(value, str):
        row.put(by_kind["card_number"], value, pointer)
        return
    if not isinstance(value, dict):
        row.fault("VALUE_KIND", pointer)
        return
    for name, cell in value.items():
        column = by_kind.get(places.get(name, ""))  # type: ignore[call-overload]
        if column is None:
            row.fault("VALUE_NOT_KNOWN", f"{pointer}/{name}"[:200])
        elif cell is not None:
            row.put(column, cell, f"{pointer}/{name}")


def _put_plain(row: PassRequestRow, spec: ColumnSpec, value: Any, pointer: str) -> None:
    """A value of the JSON kind that the column's kind wants: numbers and yes/no are not written as texts."""
    if spec.kind in ("integer", "cents"):
        cell = str(value) if isinstance(value, int) and not isinstance(value, bool) else None
    elif spec.kind == "yes_no":
        cell = ("yes" if value else "no") if isinstance(value, bool) else None
    else:
        cell = value if isinstance(value, str) else None
    if cell is None:
        row.fault("VALUE_KIND", pointer)
    row.put(spec.name, cell, pointer)


def _place_of(spec: ColumnSpec, pass_type: PassType) -> str:
    """Where in the body the value of a column belongs."""
    if spec.attribute is not None:
        return f"#/attributes/{spec.attribute}"
    for one in msgspec.structs.fields(HolderInput):
        if _HOLDER_COLUMNS.get(one.name, one.name) == spec.name:
            return f"#/holder/{one.name}"
    if spec.name == pass_type.spec.register.number_column:
        return "#/number"
    return {"valid_from": "#/period/first", "valid_to": "#/period/last"}.get(
        spec.name, f"#/details/{spec.name}"
    )


def _facts(finding: Finding) -> dict[str, object]:
    return {"field": finding.field, **finding.params}
