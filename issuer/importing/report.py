"""``report.csv``: what was wrong with a file, one line for each fault, safe to open in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from issuer.files import write_atomically
from issuer.importing.findings import Finding

HEADER: Final = ("row", "line", "field", "severity", "code", "sentence")
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def write_report(path: Path, findings: Iterable[Finding], language: str = "de") -> None:
    """Write ``findings`` to ``path`` in UTF-8, replacing an older report only when the new one is on disk.

    Raises OSError if the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, report_text(findings, language).encode())


def report_text(findings: Iterable[Finding], language: str = "de") -> str:
    """The report as text: header and one line for each finding."""
    lines = [";".join(HEADER)]
    for one in findings:
        row = "" if one.row is None else str(one.row)
        line = "" if one.line is None else str(one.line)
        texts = (one.field or "", one.severity.value, one.code, one.sentence(language))
        lines.append(";".join((row, line, *map(cell, texts))))
    return "\n".join(lines) + "\n"


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
