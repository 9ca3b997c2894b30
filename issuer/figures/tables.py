"""A table of figures: as it stands on a page, and as a CSV file that spreadsheets take for nothing but values."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from issuer.safe_csv import plain

Cell = str | int


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
        writer.writerow([cell if isinstance(cell, int) else plain(cell) for cell in row])
    return out.getvalue()
