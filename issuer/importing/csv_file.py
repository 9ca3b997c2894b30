"""Reading a CSV file of unknown origin: what encoding and delimiter it has, and its rows as plain text.

Registers export through spreadsheets and old programs, so much is accepted: a byte order mark, ``sep=;``,
CR, LF or CRLF, three delimiters. What could be read in two ways is refused instead of guessed: the encoding,
bytes that do not belong to it, and quotes that are not those of RFC 4180. Memory is bounded by these limits.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from issuer.importing.findings import FileRefused

MAX_BYTES: Final = 256 * 1024 * 1024
MAX_LINE: Final = 64 * 1024
MAX_COLUMNS: Final = 200
MAX_ROWS: Final = 250_000
# What may be named instead of UTF-8: the encodings of western Windows and Unix programs.
ENCODINGS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "cp1252": "cp1252",
    "windows-1252": "cp1252",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "iso-8859-1": "latin-1",
    "iso-8859-15": "iso-8859-15",
    "latin-9": "iso-8859-15",
}
_DELIMITERS = (";", ",", "\t")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_LINE_END = re.compile(rb"\r\n|\r|\n")
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"')


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the file: the line it starts on, counted from 1, and its cells."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A file that could be read: its header and its rows, blank ones left out."""

    header: Record
    records: tuple[Record, ...]


def read_table(path: Path, encoding: str | None = None) -> Table:
    """Read the CSV file at ``path``; without ``encoding`` only UTF-8 is accepted.

    Raises FileRefused, and nothing else, for whatever the file holds: FILE_UNREADABLE, FILE_TOO_LARGE,
    EMPTY_FILE, ENCODING_UNKNOWN, ENCODING, NUL_BYTE, LINE_TOO_LONG, QUOTES, TOO_MANY_COLUMNS, TOO_MANY_ROWS.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as fault:
        raise FileRefused("FILE_UNREADABLE", file=path) from fault
    if len(data) > MAX_BYTES:
        raise FileRefused("FILE_TOO_LARGE", limit=MAX_BYTES // (1024 * 1024))
    return parse_table(data, encoding)


def parse_table(data: bytes, encoding: str | None = None) -> Table:
    """As `read_table`, for the bytes of a file."""
    text = _decode(data, encoding)
    if not text.strip("\r\n \t"):
        raise FileRefused("EMPTY_FILE")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    del text
    first = 0
    while not lines[first].strip(" \t"):
        first += 1
    delimiter = None
    separator = _SEPARATOR_LINE.fullmatch(lines[first].strip(" "))
    if separator is not None:
        delimiter = separator[1] if separator[1] in _DELIMITERS else None
        first += 1
        while first < len(lines) and not lines[first].strip(" \t"):
            first += 1
        if first == len(lines):
            raise FileRefused("EMPTY_FILE")
    if delimiter is None:
        delimiter = _sniff(lines[first])
    records = _records(lines, first, delimiter)
    header = next(records, None)
    if header is None:
        raise FileRefused("EMPTY_FILE")
    if len(header.cells) > MAX_COLUMNS:
        raise FileRefused("TOO_MANY_COLUMNS", line=header.line, limit=MAX_COLUMNS)
    rows: list[Record] = []
    for record in records:
        if len(rows) == MAX_ROWS:
            raise FileRefused("TOO_MANY_ROWS", line=record.line, limit=MAX_ROWS)
        rows.append(record)
    return Table(header, tuple(rows))


def _decode(data: bytes, encoding: str | None) -> str:
    chosen = ENCODINGS.get((encoding or "utf-8").strip().lower().replace("_", "-"))
    if chosen is None:
        raise FileRefused("ENCODING_UNKNOWN", known=", ".join(sorted(set(ENCODINGS.values()))))
    if not data:
        raise FileRefused("EMPTY_FILE")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)) or _every_other_nul(
        data
    ):
        raise FileRefused("ENCODING", text="ENCODING_UTF16", line=1)
    if data.startswith(codecs.BOM_UTF8):
        if chosen != "utf-8":
            raise FileRefused("ENCODING", text="ENCODING_IS_UTF8", line=1, encoding=chosen)
        data_start = len(codecs.BOM_UTF8)
    else:
        data_start = 0
    nul = data.find(b"\0")
    if nul >= 0:
        raise FileRefused("NUL_BYTE", line=_line_of(data, nul), offset=nul)
    try:
        return str(memoryview(data)[data_start:], chosen)
    except UnicodeDecodeError as fault:
        offset = fault.start + data_start
        raise FileRefused(
            "ENCODING",
            text="ENCODING_UTF8" if chosen == "utf-8" else "ENCODING_OTHER",
            line=_line_of(data, offset),
            offset=offset,
            encoding=chosen,
        ) from None


def _every_other_nul(data: bytes) -> bool:
    """UTF-16 without a byte order mark: in its first bytes, every other one of a Latin text is NUL."""
    start = data[:64]
    return len(start) >= 4 and (not any(start[1::2]) or not any(start[0::2]))


def _line_of(data: bytes, offset: int) -> int:
    return 1 + sum(1 for _ in _LINE_END.finditer(data, 0, offset))


def _sniff(header: str) -> str:
    """The delimiter that occurs most often in the header, outside quotes; a semicolon if there is none."""
    bare = _QUOTED.sub("", header)
    return max(_DELIMITERS, key=bare.count)


def _records(lines: list[str], first: int, delimiter: str) -> Iterator[Record]:
    """The rows from line index ``first`` on, a quoted cell possibly running over several lines."""
    at = first
    while at < len(lines):
        start, text = at, lines[at]
        at += 1
        if len(text) > MAX_LINE:
            raise FileRefused("LINE_TOO_LONG", line=start + 1, limit=MAX_LINE)
        if '"' not in text:
            cells = tuple(text.split(delimiter))
        else:
            parts, length, quotes = [text], len(text), text.count('"')
            while quotes % 2:
                if at == len(lines) or length > MAX_LINE:
                    raise FileRefused("QUOTES", text="QUOTE_OPEN", line=start + 1)
                parts.append(lines[at])
                length += len(lines[at]) + 1
                quotes += lines[at].count('"')
                at += 1
            cells = _cells("\n".join(parts), delimiter, start + 1)
        if any(cell.strip(" ") for cell in cells):
            yield Record(start + 1, cells)


def _cells(text: str, delimiter: str, line: int) -> tuple[str, ...]:
    """The cells of a row with quotes: a cell is quoted as a whole or has no quote in it (RFC 4180)."""
    cells: list[str] = []
    at = 0
    while True:
        quoted = _QUOTED.match(text, at)
        if quoted is not None:
            cells.append(quoted[1].replace('""', '"'))
            at = quoted.end()
        else:
            end = text.find(delimiter, at)
            end = len(text) if end < 0 else end
            cells.append(text[at:end])
            if '"' in cells[-1]:
                raise FileRefused("QUOTES", line=line)
            at = end
        if at == len(text):
            return tuple(cells)
        if text[at] != delimiter:
            raise FileRefused("QUOTES", line=line)
        at += 1
