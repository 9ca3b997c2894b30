"""Checking a large file piece by piece, in memory that does not grow with it.

What rows must know of each other stands in a small database of its own, on the disk and only for as long as the
check runs: numbers and card numbers, the categories of members, and keyed digests of names.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from sqlalchemy.orm import Session

from issuer.importing.check_file import CheckedFile, check_rows
from issuer.importing.columns import Normaliser
from issuer.importing.row_under_check import Member, Surroundings
from issuer.importing.rows import RowFile, SourceRow, stream_rows
from issuer.rules.sources.protocols import ResidentsRegister
from issuer.status_allocation import chunks
from keys.errors import Refusal
from passes.pass_types import PassType

ROWS_AT_ONCE: Final = 500
_AT_ONCE: Final = 500
_GUARDIAN: Final = "guardian_member_id"
_TABLES: Final = """
CREATE TABLE numbers (number TEXT PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE cards (card TEXT PRIMARY KEY, number TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE spent (card TEXT PRIMARY KEY, number TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE names (ref TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE members (number TEXT PRIMARY KEY, category TEXT, birth_date TEXT) WITHOUT ROWID;
"""


class RowIndex:
    """`EarlierRows` on the disk: in the new file ``path``, which `close` removes, or where SQLite has its own."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        if path is not None:
            path.unlink(missing_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self._database = sqlite3.connect(path or "", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.executescript(_TABLES)

    def close(self) -> None:
        """Forget everything."""
        self._database.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def first_rows(self, numbers: Sequence[str]) -> dict[str, int]:
        """As `EarlierRows` says."""
        return dict(self._found("numbers", "number", numbers))

    def cards(self, texts: Sequence[str]) -> dict[str, str]:
        """As `EarlierRows` says."""
        return dict(self._found("cards", "card", texts))

    def spent(self, texts: Sequence[str]) -> dict[str, str]:
        """As `EarlierRows` says."""
        return dict(self._found("spent", "card", texts))

    def names(self, refs: Sequence[str]) -> dict[str, str]:
        """As `EarlierRows` says."""
        return dict(self._found("names", "ref", refs))

    def members(self, numbers: Sequence[str]) -> dict[str, Member]:
        """As `EarlierRows` says."""
        return {
            number: Member(category, date.fromisoformat(born) if born else None)
            for number, category, born in self._found("members", "number", numbers)
        }

    def keep(self, first_rows: Mapping[str, int], around: Surroundings, names: Mapping[str, str]) -> None:
        """As `EarlierRows` says."""
        database = self._database
        database.execute("BEGIN")
        database.executemany("INSERT OR IGNORE INTO numbers VALUES (?, ?)", first_rows.items())
        database.executemany("INSERT OR IGNORE INTO cards VALUES (?, ?)", around.cards.items())
        database.executemany("INSERT OR IGNORE INTO spent VALUES (?, ?)", around.spent.items())
        database.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", names.items())
        database.execute("COMMIT")

    def keep_members(self, members: Sequence[tuple[str, str | None, str | None]]) -> None:
        """Remember members with category and date of birth; of two with one number, the later."""
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR REPLACE INTO members VALUES (?, ?, ?)", members)
        self._database.execute("COMMIT")

    def _found(self, table: str, column: str, keys: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        for chunk in chunks(keys, _AT_ONCE):
            marks = ", ".join("?" * len(chunk))
            yield from self._database.execute(f"SELECT * FROM {table} WHERE {column} IN ({marks})", chunk)  # noqa: S608


@dataclass(slots=True)
class FileCheck:
    """The check of one file: `chunks` gives its rows in pieces, `check` the outcome of each, in their order.

    A piece that was checked may be checked again before the next one is.
    """

    reading: Callable[[], AbstractContextManager[Session]]
    tenant: str
    pass_type: PassType
    file: BinaryIO
    encoding: str | None
    at: datetime
    index: RowIndex
    residents: ResidentsRegister | None = None
    _layout: RowFile | None = None

    def chunks(self) -> Iterator[list[SourceRow]]:
        """The rows in pieces of `ROWS_AT_ONCE`; at least one piece, which may be empty.

        Raises FileRefused as `rows.read_rows` does, where the file's turn comes to it.
        """
        if any(spec.name == _GUARDIAN for spec in self.pass_type.spec.register.columns):
            self._note_members()
        self._layout, rows = stream_rows(self.file, self.pass_type, self.encoding)
        with contextlib.closing(rows):  # type: ignore[type-var]
            empty = True
            for chunk in chunks_of(rows):
                empty = False
                yield chunk
            if empty:
                yield []

    def check(self, rows: Sequence[SourceRow]) -> CheckedFile:
        """The outcome of a piece; the findings about the file as a whole come with the first one."""
        if self._layout is None:
            raise RuntimeError("pieces come from chunks()")
        is_first = not rows or rows[0].row == 1
        findings = self._layout.findings if is_first else ()
        piece = replace(self._layout, rows=rows, findings=findings)
        with self.reading() as session:
            return check_rows(
                session, self.tenant, self.pass_type, piece, self.at, self.index, residents=self.residents
            )

    def _note_members(self) -> None:
        """Who in the file can be a guardian: children stand before and behind their parents."""
        columns = {spec.name: spec for spec in self.pass_type.spec.register.columns}
        wanted = (self.pass_type.spec.register.number_column, "category", "birth_date")
        _, rows = stream_rows(self.file, self.pass_type, self.encoding)
        normaliser = Normaliser()

        def value(row: SourceRow, name: str) -> str | None:
            with contextlib.suppress(Refusal):
                found = normaliser.value(columns[name], row.values.get(name, ""))
                return found.isoformat() if isinstance(found, date) else str(found) if found else None
            return None

        for chunk in chunks_of(rows):
            members = [tuple(value(row, name) for name in wanted) for row in chunk]
            self.index.keep_members([(one, category, born) for one, category, born in members if one])


def chunks_of(rows: Iterator[SourceRow]) -> Iterator[list[SourceRow]]:
    """``rows`` in pieces of `ROWS_AT_ONCE`."""
    chunk: list[SourceRow] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == ROWS_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
