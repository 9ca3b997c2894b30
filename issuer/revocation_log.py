"""The log of revocations outside the database: what was withdrawn must survive the restore of an old backup.

Each line is one JSON object. It is on disk before the command says that anything was revoked; `restore`
replays it, so that no backup brings a withdrawn pass or key, a superseded certificate or a replaced card number back
to life. A line that is cut off was never acknowledged; the next entry starts on a line of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from issuer.files import sync_folder
from keys.lifecycle import KeyRecord

FILE_NAME = "revocations.log"


@dataclass(frozen=True, slots=True)
class RevokedPass:
    """A pass whose right has ended, or that says what is so no longer.

    ``place`` is its list number and index, None if it had no seal.
    """

    type_id: str
    number: str
    place: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class ReplacedCard:
    """A card number that never holds again; ``place`` is that of the last seal with it, None if it is not known.

    Whose it was is not said: the register knows, and forgets it with the pass.
    """

    type_id: str
    card: str
    place: tuple[int, int] | None


class RevocationLog:
    """The log of one data folder. Times are aware. Writing raises OSError where the disk does not take it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def passes(self, tenant: str, revoked: Sequence[RevokedPass], at: datetime) -> None:
        """Note that all of ``revoked`` are revoked, with one synchronisation of the disk."""
        self._append(
            [
                {"tenant": tenant, "pass": f"{one.type_id}/{one.number}", "place": one.place}
                for one in revoked
            ],
            at,
        )

    def superseded(self, tenant: str, certificates: Sequence[RevokedPass], at: datetime) -> None:
        """Note that these certificates of residence say what is so no longer."""
        self._append(
            [
                {"tenant": tenant, "superseded": f"{one.type_id}/{one.number}", "place": one.place}
                for one in certificates
            ],
            at,
        )

    def seals(self, tenant: str, withdrawn: Sequence[RevokedPass], at: datetime) -> None:
        """Note that these seals are withdrawn; their numbers may have come to other passes since."""
        self._append(
            [
                {"tenant": tenant, "seal": f"{one.type_id}/{one.number}", "place": one.place}
                for one in withdrawn
            ],
            at,
        )

    def cards(self, tenant: str, replaced: Sequence[ReplacedCard], at: datetime) -> None:
        """Note that these card numbers are replaced."""
        self._append(
            [{"tenant": tenant, "card": f"{one.type_id}/{one.card}", "place": one.place} for one in replaced],
            at,
        )

    def freed(self, tenant: str, cards: Iterable[tuple[str, str]], at: datetime) -> None:
        """Note that card numbers (type id, number) were called replaced by mistake, and are free again."""
        self._append(
            [{"tenant": tenant, "card": f"{type_id}/{card}", "freed": True} for type_id, card in cards], at
        )

    def key(self, record: KeyRecord, at: datetime, reason: str) -> None:
        """Note that a key is revoked."""
        self._append([{"tenant": record.tenant, "key": record.kid.hex(), "reason": reason}], at)

    def _append(self, entries: Sequence[dict[str, object]], at: datetime) -> None:
        if not entries:
            return
        moment = at.astimezone(UTC).isoformat()
        data = "".join(
            f"{json.dumps({'at': moment, **one}, ensure_ascii=False)}\n" for one in entries
        ).encode()
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # Held until the file is closed: lines of two processes do not mix, however they are written.
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                data = b"\n" + data
            _write(handle, data)
            os.fsync(handle)
            if not size:
                sync_folder(self._path.parent)
        finally:
            os.close(handle)


def _write(handle: int, data: bytes) -> None:
    """All of ``data``: the system may take less at once, as on a disk that is nearly full."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
