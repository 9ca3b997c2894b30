"""The log of revocations outside the database: what was withdrawn must survive the restore of an old backup.

Each line is one JSON object. It is on disk before the command says that anything was revoked; `restore`
replays it, so that no backup brings a withdrawn pass or key back to life.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from keys.lifecycle import KeyRecord

FILE_NAME = "revocations.log"


class RevocationLog:
    """The log of one data folder. Writing raises OSError where the disk does not take it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def passed(
        self, tenant: str, type_id: str, number: str, place: tuple[int, int] | None, at: datetime
    ) -> None:
        """Note that a pass is revoked; ``place`` is its list number and index."""
        self._append({"tenant": tenant, "pass": f"{type_id}/{number}", "place": place}, at)

    def key(self, record: KeyRecord, at: datetime, reason: str) -> None:
        """Note that a key is revoked."""
        self._append({"tenant": record.tenant, "key": record.kid.hex(), "reason": reason}, at)

    def _append(self, entry: dict[str, object], at: datetime) -> None:
        line = json.dumps({"at": at.astimezone(UTC).isoformat(), **entry}, ensure_ascii=False) + "\n"
        # One write of one line: two processes appending at once do not mix.
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, line.encode())
            os.fsync(handle)
        finally:
            os.close(handle)
