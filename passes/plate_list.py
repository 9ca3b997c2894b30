"""The signed plate list for enrolled warden devices: every plate with a running permit, nothing else.

The entries are lines of text, ``key TAB first TAB last TAB zone TAB season TAB status``, sorted, one line
feed before and after each. A look-up is one search in the signed bytes: no entry is unpacked that was not
asked for. A city of 40,000 permits makes 1.6 MB; while it is checked, a list is held a few times over.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from cryptography.hazmat.primitives.asymmetric import ec

from keys import cose
from keys.signed_list import ListFrame, UnverifiedList, read_list, sign_list
from passes.errors import PassRefusal
from passes.periods import Period
from passes.plates import Plate
from passes.seasons import Season
from passes.status_list import Status

TYP = "application/stadtpass-plates+cwt"
MAX_BYTES = 64 * 1024 * 1024
_PLATES = -65541
_EPOCH_KEYS = -65542


@dataclass(frozen=True, slots=True)
class PlateEntry:
    """One plate of one permit."""

    key: str
    period: Period
    zone: str
    season: Season | None
    status: Status


@dataclass(frozen=True, slots=True)
class PlateList:
    """A verified plate list. ``epoch_keys`` let the device check rotating codes; they are secrets.

    ``table`` holds the entries as `plate_table` makes them.
    """

    frame: ListFrame
    table: bytes
    epoch_keys: Mapping[int, bytes]

    def find(self, plate: Plate) -> list[PlateEntry]:
        """All entries of ``plate``. Raises PassRefusal PLATE_LIST_FORM for a line that is none."""
        wanted = f"\n{plate.key}\t".encode()
        entries = []
        start = self.table.find(wanted)
        while start >= 0:
            end = self.table.find(b"\n", start + 1)
            entries.append(_entry(self.table[start + 1 : end]))
            start = self.table.find(wanted, end)
        return entries


def plate_table(entries: Iterable[PlateEntry]) -> bytes:
    """The lines of ``entries``."""
    return table_of(_line(entry) for entry in entries)


def table_of(lines: Iterable[bytes]) -> bytes:
    """The table of lines that `plate_line` gave."""
    # By bytes: UTF-8 sorts as its code points do.
    ordered = sorted(lines)
    return b"\n".join([b"", *ordered, b""]) if ordered else b"\n"


def changed_table(table: bytes, keys: Container[bytes], lines: Iterable[bytes]) -> bytes:
    """``table`` with ``lines`` in place of all lines of the plates whose compare keys are in ``keys``."""
    kept = [line for line in table.split(b"\n") if line and key_of(line) not in keys]
    return table_of([*kept, *lines])


def key_of(line: bytes) -> bytes:
    """The compare key of the plate that ``line`` is about."""
    return line[: line.index(b"\t")]


def plate_line(key: str, first: str, last: str, zone: str, season: str) -> bytes:
    """The line of a valid entry from checked values: days as ``YYYY-MM-DD``, no season as an empty text.

    Raises ValueError where a value holds a separator.
    """
    return _joined_cells(key, first, last, zone, season, Status.VALID)


def count_of(table: bytes) -> int:
    """The number of entries in ``table``."""
    return table.count(b"\n") - 1


def sign_plate_list(
    signer: cose.Es256Signer,
    kid: bytes,
    frame: ListFrame,
    entries: Iterable[PlateEntry],
    epoch_keys: Mapping[int, bytes] | None = None,
) -> bytes:
    """The signed list of ``entries``."""
    return sign_plate_table(signer, kid, frame, plate_table(entries), epoch_keys)


def sign_plate_table(
    signer: cose.Es256Signer,
    kid: bytes,
    frame: ListFrame,
    table: bytes,
    epoch_keys: Mapping[int, bytes] | None = None,
) -> bytes:
    """The signed list of what `plate_table` or `changed_table` gave."""
    return sign_list(signer, kid, TYP, frame, {_PLATES: table, _EPOCH_KEYS: dict(epoch_keys or {})})


def read_plate_list(data: bytes) -> UnverifiedList:
    """Read a plate list without checking its signature. Raises KeyRefusal LIST_MALFORMED."""
    return read_list(data, TYP, max_bytes=MAX_BYTES)


def verified_plate_list(unverified: UnverifiedList, public_key: ec.EllipticCurvePublicKey) -> PlateList:
    """Check the signature. Raises KeyRefusal LIST_SIGNATURE, PassRefusal PLATE_LIST_FORM."""
    unverified.verify(public_key)
    table = unverified.claims.get(_PLATES)
    epoch_keys = unverified.claims.get(_EPOCH_KEYS)
    if not isinstance(table, bytes) or not table.startswith(b"\n") or not table.endswith(b"\n"):
        raise PassRefusal("PLATE_LIST_FORM")
    if not isinstance(epoch_keys, dict):
        raise PassRefusal("PLATE_LIST_FORM")
    keys: dict[int, bytes] = {}
    for number, key in epoch_keys.items():
        if type(number) is not int or not isinstance(key, bytes):
            raise PassRefusal("PLATE_LIST_FORM")
        keys[number] = key
    return PlateList(unverified.frame, table, keys)


def _line(entry: PlateEntry) -> bytes:
    season = "" if entry.season is None else entry.season.text
    first, last = entry.period.first.isoformat(), entry.period.last.isoformat()
    return _joined_cells(entry.key, first, last, entry.zone, season, entry.status)


def _joined_cells(key: str, first: str, last: str, zone: str, season: str, status: Status) -> bytes:
    line = f"{key}\t{first}\t{last}\t{zone}\t{season}\t{int(status)}"
    if line.count("\t") != 5 or "\n" in line:
        raise ValueError("a cell holds a separator")
    return line.encode()


def _entry(line: bytes) -> PlateEntry:
    try:
        key, first, last, zone, season, status = line.decode().split("\t")
        return PlateEntry(
            key,
            Period(date.fromisoformat(first), date.fromisoformat(last)),
            zone,
            Season.parse(season) if season else None,
            Status(int(status)),
        )
    except (ValueError, PassRefusal):
        raise PassRefusal("PLATE_LIST_FORM") from None
