"""Cells of CSV files that people open in a spreadsheet: one line each, quoted where they must be, never a formula."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def cell(text: str) -> str:
    """``text`` as one cell: on one line, quoted if it must be, and never a formula (OWASP, CSV injection)."""
    shown = "".join(
        character if character.isprintable() or character == " " else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )
    if text.startswith(_FORMULA_STARTS):
        shown = f"'{shown}"
    if any(sign in shown for sign in ';"'):
        return '"' + shown.replace('"', '""') + '"'
    return shown


def table(rows: Iterable[Iterable[str]]) -> bytes:
    """Rows as a file: semicolons, UTF-8 with the mark that spreadsheets need to see that it is."""
    lines = (";".join(map(cell, row)) for row in rows)
    return ("\ufeff" + "\n".join(lines) + "\n").encode()
