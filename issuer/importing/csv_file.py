"""Reading a CSV file of unknown origin: what encoding and delimiter it has, and its rows as plain text.

Registers export through spreadsheets and old programs, so much is accepted: a byte order mark, ``sep=;``,
CR, LF or CRLF, three delimiters. What could be read in two ways is refused instead of guessed: the encoding,
bytes that do not belong to it, and quotes that are not those of RFC 4180. Memory is bounded by these limits.

A file is gone through twice: once for its bytes, so that what they say comes before what any row says, and once row
by row. `stream_table` holds one row at a time, `read_table` all of them.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

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
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"')
_BLOCK: Final = 256 * 1024
_BLANK: Final = "\r\n \t"


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
            return _table(file, encoding)
    except OSError as fault:
        raise FileRefused("FILE_UNREADABLE", file=path) from fault


def parse_table(data: bytes, encoding: str | None = None) -> Table:
    """As `read_table`, for the bytes of a file."""
    return _table(io.BytesIO(data), encoding)


def stream_table(file: BinaryIO, encoding: str | None = None) -> tuple[Record, Iterator[Record]]:
    """The header of a CSV file and its rows one after the other, from its beginning; ``file`` can be sought in.

    The rows end with ``file``, which stays the caller's to close. Raises FileRefused as `read_table` does: what is
    wrong with a row is raised when its turn comes.
    """
    if file.seek(0, os.SEEK_END) > MAX_BYTES:
        raise FileRefused("FILE_TOO_LARGE", limit=MAX_BYTES // (1024 * 1024))
    chosen, start = _examined(file, encoding)
    file.seek(start)
    lines = _lines(file, chosen)
    first = next(one for one in lines if one[1].strip(" \t"))
    delimiter = None
    separator = _SEPARATOR_LINE.fullmatch(first[1].strip(" "))
    if separator is not None:
        delimiter = separator[1] if separator[1] in _DELIMITERS else None
        following = next((one for one in lines if one[1].strip(" \t")), None)
        if following is None:
            raise FileRefused("EMPTY_FILE")
        first = following
    records = _records(first, lines, delimiter or _sniff(first[1]))
    header = next(records, None)
    if header is None:
        raise FileRefused("EMPTY_FILE")
    if len(header.cells) > MAX_COLUMNS:
        raise FileRefused("TOO_MANY_COLUMNS", line=header.line, limit=MAX_COLUMNS)
    return header, _counted(records)


def _table(file: BinaryIO, encoding: str | None) -> Table:
    header, records = stream_table(file, encoding)
    return Table(header, tuple(records))


def _counted(records: Iterator[Record]) -> Iterator[Record]:
    for count, record in enumerate(records):
        if count == MAX_ROWS:
            raise FileRefused("TOO_MANY_ROWS", line=record.line, limit=MAX_ROWS)
        yield record


def _examined(file: BinaryIO, encoding: str | None) -> tuple[str, int]:
    """The encoding of the file and the byte at which its text begins. Raises FileRefused for a wrong byte."""
    chosen = ENCODINGS.get((encoding or "utf-8").strip().lower().replace("_", "-"))
    if chosen is None:
        raise FileRefused("ENCODING_UNKNOWN", known=", ".join(sorted(set(ENCODINGS.values()))))
    file.seek(0)
    begin = file.read(64)
    if not begin:
        raise FileRefused("EMPTY_FILE")
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)) or _every_other_nul(
        begin
    ):
        raise FileRefused("ENCODING", text="ENCODING_UTF16", line=1)
    start = 0
    if begin.startswith(codecs.BOM_UTF8):
        if chosen != "utf-8":
            raise FileRefused("ENCODING", text="ENCODING_IS_UTF8", line=1, encoding=chosen)
        start = len(codecs.BOM_UTF8)
    undecodable, has_text = _looked_through(file, chosen, start)
    if undecodable is not None:
        raise FileRefused(
            "ENCODING",
            text="ENCODING_UTF8" if chosen == "utf-8" else "ENCODING_OTHER",
            line=_line_of(file, undecodable),
            offset=undecodable,
            encoding=chosen,
        )
    if not has_text:
        raise FileRefused("EMPTY_FILE")
    return chosen, start


def _looked_through(file: BinaryIO, encoding: str, start: int) -> tuple[int | None, bool]:
    """The first byte that is not of ``encoding``, and whether there is more than blanks. Raises NUL_BYTE."""
    decoder = codecs.getincrementaldecoder(encoding)()
    at, undecodable, has_text = start, None, False
    file.seek(start)
    while block := file.read(_BLOCK):
        nul = block.find(b"\0")
        if nul >= 0:
            raise FileRefused("NUL_BYTE", line=_line_of(file, at + nul), offset=at + nul)
        if undecodable is None:
            pending = len(decoder.getstate()[0])
            try:
                has_text = bool(decoder.decode(block).strip(_BLANK)) or has_text
            except UnicodeDecodeError as fault:
                undecodable = at - pending + fault.start
        at += len(block)
    if undecodable is None:
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as fault:
            undecodable = at - pending + fault.start
    return undecodable, has_text


def _every_other_nul(begin: bytes) -> bool:
    """UTF-16 without a byte order mark: in its first bytes, every other one of a Latin text is NUL."""
    return len(begin) >= 4 and (not any(begin[1::2]) or not any(begin[0::2]))


def _line_of(file: BinaryIO, offset: int) -> int:
    """The line, counted from 1, in which the byte at ``offset`` stands."""
    file.seek(0)
    line, left, after_return = 1, offset, False
    while left and (block := file.read(min(_BLOCK, left))):
        line += block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n")
        line -= after_return and block.startswith(b"\n")
        after_return = block.endswith(b"\r")
        left -= len(block)
    return line


def _lines(file: BinaryIO, encoding: str) -> Iterator[tuple[int, str]]:
    """The lines from where ``file`` stands, each with its number; what is behind the last line end is one as well."""
    text = io.TextIOWrapper(file, encoding, newline=None)
    try:
        number = 1
        while line := text.readline(MAX_LINE + 2):
            ended = line.endswith("\n")
            bare = line[:-1] if ended else line
            if len(bare) > MAX_LINE:
                raise FileRefused("LINE_TOO_LONG", line=number, limit=MAX_LINE)
            yield number, bare
            number += 1
    finally:
        # The file is the caller's, who may have closed it; a wrapper that is thrown away would close it.
        if not file.closed:
            text.detach()


def _sniff(header: str) -> str:
    """The delimiter that occurs most often in the header, outside quotes; a semicolon if there is none."""
    bare = _QUOTED.sub("", header)
    return max(_DELIMITERS, key=bare.count)


def _records(first: tuple[int, str], lines: Iterator[tuple[int, str]], delimiter: str) -> Iterator[Record]:
    """The rows from the line ``first`` on, a quoted cell possibly running over several lines."""
    line: tuple[int, str] | None = first
    while line is not None:
        start, text = line
        if '"' not in text:
            cells = tuple(text.split(delimiter))
        else:
            parts, length, quotes = [text], len(text), text.count('"')
            while quotes % 2:
                following = next(lines, None)
                if following is None or length > MAX_LINE:
                    raise FileRefused("QUOTES", text="QUOTE_OPEN", line=start)
                parts.append(following[1])
                length += len(following[1]) + 1
                quotes += following[1].count('"')
            cells = _cells("\n".join(parts), delimiter, start)
        if any(cell.strip(" ") for cell in cells):
            yield Record(start, cells)
        line = next(lines, None)


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
