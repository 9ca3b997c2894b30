"""Receiving a file of a register: streamed from the request to the disk, bounded, and looked at as it begins.

The form's token comes before its file and is checked before anything of the file is written.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from litestar.concurrency import sync_to_thread
from multipart import MultipartError, MultipartSegment, PushMultipartParser  # type: ignore[import-untyped]

MIB: Final = 1024 * 1024
LARGEST_FILE: Final = 60 * MIB
# What a route for it may be sent: the file, and the form around it.
LARGEST_UPLOAD: Final = 64 * MIB
FILE_FIELD: Final = "file"
_BATCH: Final = 512 * 1024
_LONGEST_FIELD: Final = 400
_MOST_PARTS: Final = 20
_LONGEST_NAME: Final = 120
_BOUNDARY: Final = re.compile(
    r'multipart/form-data\s*;.*?boundary="?([A-Za-z0-9\'()+_,./:=? -]{1,70})"?', re.DOTALL
)
# Spreadsheets, archives, PDF, programs, pictures: whatever their names end in, their rows are no text.
_NO_TEXT: Final = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\xd0\xcf\x11\xe0",
    b"%PDF",
    b"\x7fELF",
    b"MZ\x90",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"\x1f\x8b",
    b"7z\xbc\xaf",
    b"{\\rtf",
)
_LONGEST_MARK: Final = max(map(len, _NO_TEXT))


@dataclass(slots=True)
class Received:
    """What came: the form's other fields, and the file if there was one. ``problem`` is the code of what is wrong."""

    path: Path
    accept: Callable[[Mapping[str, str]], None]
    fields: dict[str, str] = field(default_factory=dict)
    file_name: str = ""
    size: int = 0
    digest: str = ""
    problem: str = ""
    _accepted: bool = False
    _segment: str = ""
    _text: bytearray = field(default_factory=bytearray)
    _begin: bytes = b""
    _file: IO[bytes] | None = None
    _hash: Any = field(default_factory=hashlib.sha256)

    def take(self, parts: Any) -> None:
        """Take what the parser has read; for a thread, since it writes to the disk and asks the register."""
        for part in parts:
            if isinstance(part, MultipartSegment):
                self._begin_part(part)
            elif part:
                self._take_bytes(bytes(part))
            else:
                self._end_part()

    def finish(self) -> None:
        """Have the file on the disk, or say what is wrong with what came."""
        if not self._accepted:
            self.accept(self.fields)
        if self._file is None:
            self.problem = self.problem or "IMPORT_NO_FILE"
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.digest = self._hash.hexdigest()
        if self.problem:
            self.remove()

    def remove(self) -> None:
        """Forget the file."""
        if self._file is not None:
            self._file.close()
        with suppress(FileNotFoundError):
            self.path.unlink()

    def _begin_part(self, part: Any) -> None:
        self._segment, self._text = str(part.name or ""), bytearray()
        if self._segment != FILE_FIELD or self._file is not None or not part.filename:
            return
        self.accept(self.fields)
        self._accepted = True
        self.file_name = shown_name(str(part.filename))
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(handle, "wb")

    def _take_bytes(self, data: bytes) -> None:
        if self._segment != FILE_FIELD:
            if len(self._text) <= _LONGEST_FIELD:
                self._text += data
            return
        if self._file is None or self.problem:
            return
        self.size += len(data)
        if self.size > LARGEST_FILE:
            self.problem = "IMPORT_TOO_LARGE"
            return
        if len(self._begin) < _LONGEST_MARK:
            self._begin = (self._begin + data)[:_LONGEST_MARK]
            if self._begin.startswith(_NO_TEXT):
                self.problem = "IMPORT_NO_TEXT"
                return
        self._hash.update(data)
        self._file.write(data)

    def _end_part(self) -> None:
        if self._segment and self._segment != FILE_FIELD and len(self._text) <= _LONGEST_FIELD:
            # A field that comes twice counts as missing, as in all our forms.
            twice = self._segment in self.fields
            self.fields[self._segment] = "" if twice else self._text.decode("utf-8", "replace").strip()
        self._segment = ""


async def receive(
    body: AsyncIterator[bytes], content_type: str, path: Path, accept: Callable[[Mapping[str, str]], None]
) -> Received:
    """Read a form with a file, which is written to the new file ``path``, readable by its owner alone.

    ``accept`` gets the fields that come before the file and may raise; then, as on any other fault, nothing is left.
    Whatever the form lacks is the caller's to see from what is returned.
    """
    received = Received(path, accept)
    boundary = _BOUNDARY.match(content_type[:400])
    try:
        if boundary is not None:
            await _read(body, boundary[1], received)
        await sync_to_thread(received.finish)
    except BaseException:
        received.remove()
        raise
    return received


async def _read(body: AsyncIterator[bytes], boundary: str, received: Received) -> None:
    waiting = bytearray()
    try:
        with PushMultipartParser(boundary, max_segment_count=_MOST_PARTS) as parser:
            async for block in body:
                waiting += block
                if len(waiting) >= _BATCH:
                    await sync_to_thread(received.take, parser.parse(bytes(waiting)))
                    waiting.clear()
            if waiting:
                await sync_to_thread(received.take, parser.parse(bytes(waiting)))
            await sync_to_thread(received.take, parser.parse(b""))
    except MultipartError:
        received.problem = "IMPORT_BROKEN_OFF"


def shown_name(name: str) -> str:
    """The last part of a file's name as it may be shown: printable and not endless."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in last)[:_LONGEST_NAME]
