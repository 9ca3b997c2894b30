"""The revocation logs that a restore replays: of one machine, or of several that served the same register."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from issuer.errors import IssuerRefusal

_LARGEST: Final = 1024 * 1024 * 1024
# How every line begins, see `issuer.revocation_log`.
_BEGIN: Final = b'{"at": '


@dataclass(frozen=True, slots=True)
class LoggedRevocation:
    """Line ``line`` of ``file``: the key ``kid`` (hexadecimal), or the pass ``type_id``/``number``.

    ``place`` is the list number and index of one seal of the pass, None if it had none. ``seal_only``: the number may
    have come to another pass since, so only a pass that has this very seal is meant.
    """

    file: Path
    line: int
    kid: str | None
    type_id: str
    number: str
    place: tuple[int, int] | None
    seal_only: bool = False


@dataclass(frozen=True, slots=True)
class RevocationLogs:
    """What the logs say: ``data`` is all of them as one file, ``entries`` are this city's."""

    data: bytes
    entries: tuple[LoggedRevocation, ...]


def read_logs(files: Sequence[Path], tenant: str) -> RevocationLogs:
    """The logs ``files`` in one; a line that several have stands there once.

    Raises IssuerRefusal RESTORE_LOG_UNREADABLE for a line that is none of a revocation log; OSError.
    """
    merged = b""
    entries: list[LoggedRevocation] = []
    for file in files:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise IssuerRefusal("RESTORE_LOG_UNREADABLE", file=file, line=0)
        entries += list(entries_of(file, data, tenant))
        merged = _merged(merged, data)
    return RevocationLogs(merged, tuple(entries))


def entries_of(file: Path, data: bytes, tenant: str) -> Iterator[LoggedRevocation]:
    """What ``data``, the content of ``file``, says of the tenant. Raises as `read_logs`."""
    for n, line in enumerate(data.split(b"\n"), start=1):
        # A line that was cut off was never acknowledged; the log goes on behind it on a line of its own.
        if not line.strip() or (line.startswith(_BEGIN) and not line.endswith(b"}")):
            continue
        try:
            entry = json.loads(line)
            if entry["tenant"] != tenant:
                continue
            kid, place = entry.get("key"), entry.get("place")
            name = entry.get("pass") or entry.get("seal")
            type_id, _, number = (name or "").partition("/")
            if place is not None:
                place = int(place[0]), int(place[1])
            if kid is None and not (type_id and number):
                raise ValueError
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise IssuerRefusal("RESTORE_LOG_UNREADABLE", file=file, line=n) from None
        seal_only = "seal" in entry
        yield LoggedRevocation(file, n, None if kid is None else str(kid), type_id, number, place, seal_only)


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
