"""A source that is a CSV file: read when it is asked, and again when it has changed.

Whoever exports it writes a new file beside it and renames it. A file that is missing, too large or faulty is a source
that is away: nothing is answered from what it held before.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

from issuer.importing.csv_file import Table, parse_table
from issuer.rules.sources.protocols import SourceAway
from keys.errors import Refusal

LARGEST: Final = 64 * 1024 * 1024

_Content = TypeVar("_Content")
_log = structlog.get_logger(__name__)


class WatchedFile(Generic[_Content]):
    """What ``parse`` makes of the table in the file at ``path``; safe to use from several threads."""

    def __init__(self, path: Path, parse: Callable[[Table], _Content]) -> None:
        self._path = path
        self._parse = parse
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._content: _Content | SourceAway = SourceAway("FILE_MISSING")

    def content(self) -> _Content | SourceAway:
        """What the file holds now. Raises nothing."""
        with self._lock:
            try:
                with self._path.open("rb") as file:
                    found = os.fstat(file.fileno())
                    mark = (found.st_mtime_ns, found.st_size, found.st_ino)
                    if mark == self._seen:
                        return self._content
                    data = file.read(LARGEST + 1)
            except OSError:
                return self._gone("FILE_MISSING")
            self._seen = mark
            self._content = self._read(data)
            return self._content

    def _read(self, data: bytes) -> _Content | SourceAway:
        if len(data) > LARGEST:
            return self._gone("FILE_TOO_LARGE", keep=True)
        try:
            return self._parse(parse_table(data))
        except Refusal as fault:
            # The sentence may quote a cell, which is personal data.
            _log.warning(
                "source refused", file=self._path.name, code=fault.code, line=getattr(fault, "line", None)
            )
            return SourceAway(fault.code)

    def _gone(self, reason: str, *, keep: bool = False) -> SourceAway:
        if not keep:
            self._seen = None
        away = SourceAway(reason)
        if self._content != away:
            _log.warning("source away", file=self._path.name, reason=reason)
        self._content = away
        return away
