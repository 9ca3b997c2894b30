"""Cells of CSV files that people open in a spreadsheet: one line each, quoted where they must be, never a formula."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def plain(text: str) -> str:
    """``text`` on one line, and never a formula, also behind blanks (OWASP, CSV injection)."""
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    is_formula = text.startswith(_FORMULA_STARTS) or text.lstrip().startswith(_FORMULA_STARTS)
    return f"'{shown}" if is_formula else shown


def cell(text: str) -> str:
    """``text`` as one cell of a line: `plain`, and quoted if it must be."""
    shown = plain(text)
    if any(sign in shown for sign in ';"'):
        return '"' + shown.replace('"', '""') + '"'
    return shown


def table(rows: Iterable[Iterable[str]]) -> bytes:
    """Rows as a file: semicolons, UTF-8 with the mark that spreadsheets need to see that it is."""
    lines = (";".join(map(cell, row)) for row in rows)
    return ("\ufeff" + "\n".join(lines) + "\n").encode()
