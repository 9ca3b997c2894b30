"""The revocation logs that a restore replays: of one machine, or of several that served the same register."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from issuer.errors import IssuerRefusal

_LARGEST: Final = 1024 * 1024 * 1024
# How every line begins, see `issuer.revocation_log`.
_BEGIN: Final = b'{"at": '
# Under one of these a line says which pass or card number it is of.
_NAMED: Final = ("pass", "seal", "superseded", "card")


@dataclass(frozen=True, slots=True)
class LoggedRevocation:
    """Line ``line`` of ``file``: the key ``kid`` (hexadecimal), or the pass ``type_id``/``number``.

    ``place`` is the list number and index of one seal of the pass, None if it had none. ``seal_only``: the number may
    have come to another pass since, so only a pass that has this very seal is meant. ``superseded_at`` (aware): it is
    a certificate that was not revoked but superseded then.
    """

    file: Path
    line: int
    kid: str | None
    type_id: str
    number: str
    place: tuple[int, int] | None
    seal_only: bool = False
    superseded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LoggedCard:
    """Line ``line`` of ``file``: the card number ``card`` of a pass type was replaced ``at`` (aware).

    ``place`` is the list number and index of the last seal with it, None if it is not known. ``is_free``: it was
    called replaced by mistake, and is not.
    """

    file: Path
    line: int
    type_id: str
    card: str
    place: tuple[int, int] | None
    at: datetime
    is_free: bool


@dataclass(frozen=True, slots=True)
class RevocationLogs:
    """What the logs say: ``data`` is all of them as one file, the rest is this city's.

    ``cards`` are the card numbers that are replaced, as each was said last.
    """

    data: bytes
    entries: tuple[LoggedRevocation, ...]
    cards: tuple[LoggedCard, ...]


def read_logs(files: Sequence[Path], tenant: str) -> RevocationLogs:
    """The logs ``files`` in one; a line that several have stands there once.

    Raises IssuerRefusal RESTORE_LOG_UNREADABLE for a line that is none of a revocation log; OSError.
    """
    merged = b""
    entries: list[LoggedRevocation | LoggedCard] = []
    for file in files:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise IssuerRefusal("RESTORE_LOG_UNREADABLE", file=file, line=0)
        entries += _entries(file, data, tenant)
        merged = _merged(merged, data)
    return _sorted(merged, entries)


def logs_of(file: Path, data: bytes, tenant: str) -> RevocationLogs:
    """What ``data``, the content of ``file``, says of the tenant. Raises as `read_logs`."""
    return _sorted(data, list(_entries(file, data, tenant)))


def _sorted(data: bytes, entries: Sequence[LoggedRevocation | LoggedCard]) -> RevocationLogs:
    said = sorted((one for one in entries if isinstance(one, LoggedCard)), key=lambda one: one.at)
    last = {(one.type_id, one.card): one for one in said}
    return RevocationLogs(
        data,
        tuple(one for one in entries if isinstance(one, LoggedRevocation)),
        tuple(one for one in last.values() if not one.is_free),
    )


def _entries(file: Path, data: bytes, tenant: str) -> Iterator[LoggedRevocation | LoggedCard]:
    for n, line in enumerate(data.split(b"\n"), start=1):
        # A line that was cut off was never acknowledged; the log goes on behind it on a line of its own.
        if not line.strip() or (line.startswith(_BEGIN) and not line.endswith(b"}")):
            continue
        try:
            entry = json.loads(line)
            if entry["tenant"] != tenant:
                continue
            kid, place = entry.get("key"), entry.get("place")
            name = next((entry[one] for one in _NAMED if one in entry), "")
            type_id, _, number = name.partition("/")
            if place is not None:
                place = int(place[0]), int(place[1])
            if kid is None and not (type_id and number):
                raise ValueError
            at = datetime.fromisoformat(entry["at"]) if "card" in entry or "superseded" in entry else None
            if at is not None and at.tzinfo is None:
                raise ValueError
            if "card" in entry and at is not None:
                yield LoggedCard(file, n, type_id, number, place, at, entry.get("freed") is True)
                continue
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise IssuerRefusal("RESTORE_LOG_UNREADABLE", file=file, line=n) from None
        yield LoggedRevocation(
            file,
            n,
            None if kid is None else str(kid),
            type_id,
            number,
            place,
            seal_only="seal" in entry,
            superseded_at=at,
        )


def lacks_lines_of(log: bytes, older: bytes) -> bool:
    """Whether ``older`` has a line that ``log`` has not: then ``log`` is not the newest, whatever it is."""
    return bool(set(older.splitlines()) - set(log.splitlines()))


def _merged(first: bytes, second: bytes) -> bytes:
    if not first:
        return second
    known = set(first.split(b"\n"))
    more = [line for line in second.split(b"\n") if line.strip() and line not in known]
    return (
        first + (b"" if first.endswith(b"\n") or not more else b"\n") + b"".join(one + b"\n" for one in more)
    )
