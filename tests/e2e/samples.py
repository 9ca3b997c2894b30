"""What the sample files say, read here on its own: the expectations of the tests come from them."""

from __future__ import annotations

import csv
import sqlite3
from pathlib import Path
from typing import Any

from tests.e2e.commandline import SAMPLES

ALL_FILES = frozenset({".pkpass", ".google.json", ".save-link.txt", ".pdf", ".seal.txt", ".png"})
SEAL_FILES = frozenset({".seal.txt", ".png"})
FILES_OF_STATUS = {
    "active": ALL_FILES,
    "not_yet_valid": ALL_FILES,
    "expired": SEAL_FILES,
    "superseded": SEAL_FILES,
    "revoked": SEAL_FILES,
    "suspended": SEAL_FILES,
    "blocked": SEAL_FILES,
    "pending_payment": frozenset(),
}
# The column of the status list's table in the contract; None: no place in a list.
VALUE_OF_STATUS = {
    "active": 0, "not_yet_valid": 0, "expired": 0, "superseded": 3, "revoked": 1, "suspended": 2, "blocked": 2,
    "pending_payment": None,
}  # fmt: skip
REPORT_HEADER = ["row", "line", "field", "severity", "code", "sentence"]


def read_csv(path: Path, encoding: str = "utf-8") -> list[dict[str, str]]:
    """The rows of a semicolon file."""
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


PERMITS = read_csv(SAMPLES / "permits_valid.csv")
MEMBERS = read_csv(SAMPLES / "library_valid.csv")
LEGACY = read_csv(SAMPLES / "permits_legacy_cp1252.csv", "cp1252")
STATUS = {row["permit_id"]: row["status"] for row in PERMITS} | {
    row["member_id"]: row["status"] for row in MEMBERS
}


def write_csv(path: Path, rows: list[dict[str, str]], encoding: str = "utf-8") -> Path:
    """Write rows as a semicolon file."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def report(out: Path) -> list[dict[str, str]]:
    """The lines of the report in ``out``; the header must be the contract's."""
    data = (out / "report.csv").read_bytes()
    text = data.decode("utf-8")
    assert not text.startswith("\N{BYTE ORDER MARK}")
    lines = list(csv.reader(text.splitlines(), delimiter=";"))
    assert lines[0] == REPORT_HEADER
    assert all(len(line) == len(REPORT_HEADER) for line in lines)
    return [dict(zip(REPORT_HEADER, line, strict=True)) for line in lines[1:]]


def suffixes(out: Path, number: str) -> frozenset[str]:
    """Which files ``out`` has of a pass, by what follows its number."""
    return frozenset(
        entry.name.removeprefix(number)
        for entry in out.iterdir()
        if entry.name.startswith(f"{number}.") and entry.name != "report.csv"
    )


def register_rows(data: Path, query: str) -> list[tuple[Any, ...]]:
    """Read the register of an installation without changing it."""
    with sqlite3.connect(f"file:{data / 'register.db'}?mode=ro", uri=True) as connection:
        rows = connection.execute(query).fetchall()
    connection.close()
    return rows


def register_content(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table: two registers are the same if this is."""
    tables = [name for (name,) in register_rows(data, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: sorted(register_rows(data, f'SELECT * FROM "{name}"'), key=repr) for name in tables}
