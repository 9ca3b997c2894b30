"""The rows of a register's file under the names that its pass type declares, whichever layout it has."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from issuer.errors import IssuerRefusal
from issuer.importing.csv_file import Record, parse_table, read_table, stream_table
from issuer.importing.findings import FileRefused, Finding, Severity
from issuer.importing.legacy import GERMAN_PERMIT_REGISTER, LegacyLayout
from passes.pass_types import PassType

_LAYOUTS: Final[Mapping[str, LegacyLayout]] = {"german-permit-register": GERMAN_PERMIT_REGISTER}


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A data row, counted from 1, on a line of the file: the cells by column, still as text.

    ``findings`` are errors that reading it has found; their columns are not among ``values``.
    """

    row: int
    line: int
    values: Mapping[str, str]
    findings: tuple[Finding, ...] = ()
    failed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RowFile:
    """A file that could be read.

    ``columns`` are those of the pass type that the file says something about; ``shown`` gives the name under
    which the file's reader knows them. ``findings`` are warnings about the file as a whole.
    """

    type_id: str
    columns: tuple[str, ...]
    shown: Mapping[str, str]
    rows: Sequence[SourceRow]
    findings: tuple[Finding, ...]
    legacy: bool = False


def read_rows(path: Path, pass_type: PassType, encoding: str | None = None) -> RowFile:
    """Read the file at ``path`` as rows of ``pass_type``, in its own layout or its legacy one.

    Raises FileRefused as `csv_file.read_table` does, and COLUMN_MISSING, DUPLICATE_COLUMN; IssuerRefusal
    LEGACY_UNKNOWN for a layout that the type names and nobody has.
    """
    table = read_table(path, encoding)
    return _whole(_layout(table.header, table.records, pass_type))


def parse_rows(data: bytes, pass_type: PassType, encoding: str | None = None) -> RowFile:
    """As `read_rows`, for the bytes of a file."""
    table = parse_table(data, encoding)
    return _whole(_layout(table.header, table.records, pass_type))


def stream_rows(
    file: BinaryIO, pass_type: PassType, encoding: str | None = None
) -> tuple[RowFile, Iterator[SourceRow]]:
    """The file without its rows, and the rows one after the other; ``file`` stays the caller's to close.

    Raises as `read_rows`, for a row that cannot be read when its turn comes (`csv_file.stream_table`).
    """
    return _layout(*stream_table(file, encoding), pass_type)


def _whole(layout: tuple[RowFile, Iterator[SourceRow]]) -> RowFile:
    return replace(layout[0], rows=tuple(layout[1]))


def _layout(
    head: Record, records: Iterable[Record], pass_type: PassType
) -> tuple[RowFile, Iterator[SourceRow]]:
    header = [unicodedata.normalize("NFC", cell.strip()) for cell in head.cells]
    line = head.line
    named = [name for name in header if name]
    repeated = sorted({name for name in named if named.count(name) > 1})
    if repeated:
        raise FileRefused("DUPLICATE_COLUMN", line=line, field_name=", ".join(repeated))
    legacy = pass_type.spec.register.legacy
    if legacy is not None and legacy not in _LAYOUTS:
        known = ", ".join(_LAYOUTS)
        raise IssuerRefusal("LEGACY_UNKNOWN", type=pass_type.id, layout=legacy, known=known)
    layout = _LAYOUTS[legacy] if legacy is not None else None
    if layout is not None and layout.number_header in named:
        _require(header, layout.required, line)
        shown = layout.columns(frozenset(header))
        findings = _unknown(header, layout.headers, line)
        file = RowFile(pass_type.id, tuple(shown), shown, (), findings, legacy=True)
        return file, _legacy_rows(records, header, layout)
    specs = pass_type.spec.register.columns
    known_names = {spec.name for spec in specs}
    _require(header, [spec.name for spec in specs if spec.required], line)
    places = [(place, name) for place, name in enumerate(header) if name in known_names]
    columns = tuple(name for _, name in places)
    findings = _unknown(header, known_names, line)
    file = RowFile(pass_type.id, columns, {name: name for name in columns}, (), findings)
    return file, _own_rows(records, len(header), places)


def _own_rows(
    records: Iterable[Record], width: int, places: Sequence[tuple[int, str]]
) -> Iterator[SourceRow]:
    for number, record in enumerate(records, start=1):
        if len(record.cells) != width:
            yield _wrong_count(number, record.line, len(record.cells), width)
            continue
        cells = record.cells
        yield SourceRow(number, record.line, {name: cells[place] for place, name in places})


def _legacy_rows(records: Iterable[Record], header: list[str], layout: LegacyLayout) -> Iterator[SourceRow]:
    for number, record in enumerate(records, start=1):
        if len(record.cells) != len(header):
            yield _wrong_count(number, record.line, len(record.cells), len(header))
            continue
        mapped = layout.translate(dict(zip(header, record.cells, strict=True)))
        findings = tuple(
            Finding(
                number, record.line, fault.header, Severity.ERROR, fault.code, fault.params, fault.package
            )
            for fault in mapped.faults
        )
        failed = frozenset(fault.column for fault in mapped.faults)
        yield SourceRow(number, record.line, mapped.values, findings, failed)


def _require(header: list[str], needed: Sequence[str], line: int) -> None:
    missing = [name for name in needed if name not in header]
    if missing:
        raise FileRefused("COLUMN_MISSING", line=line, field_name=", ".join(missing))


def _wrong_count(row: int, line: int, found: int, expected: int) -> SourceRow:
    params = {"found": found, "expected": expected}
    fault = Finding(row, line, None, Severity.ERROR, "COLUMN_COUNT", params)
    return SourceRow(row, line, {}, (fault,))


def _unknown(header: list[str], known: frozenset[str] | set[str], line: int) -> tuple[Finding, ...]:
    return tuple(
        Finding(None, line, name, Severity.WARN, "UNKNOWN_COLUMN")
        for name in header
        if name and name not in known
    )
