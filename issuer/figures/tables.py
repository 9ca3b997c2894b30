"""A table of figures: as it stands on a page, and as a CSV file that spreadsheets take for nothing but values."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Cell = str | int
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class FigureTable:
    """``columns`` are the heads; the first cell of a row says what the row is about."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def csv_text(columns: Sequence[Cell], rows: Sequence[Sequence[Cell]], separator: str = ",") -> str:
    """The table as CSV (RFC 4180); a text that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n")
    for row in (columns, *rows):
        writer.writerow([_plain(cell) for cell in row])
    return out.getvalue()


def _plain(cell: Cell) -> Cell:
    """``cell`` as a value: one line, and never a formula (OWASP, CSV injection)."""
    if isinstance(cell, int):
        return cell
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in cell)
    return (
        f"'{shown}"
        if cell.lstrip().startswith(_FORMULA_STARTS) or cell.startswith(_FORMULA_STARTS)
        else shown
    )
