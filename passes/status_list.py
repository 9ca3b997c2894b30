"""The status list: what has become of every pass, two bits each, without naming one.

Token Status List in CWT form, draft-ietf-oauth-status-list-21: entry i is in byte i//4, from the least
significant bits up, the whole compressed with zlib (RFC 1950).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric import ec

from keys import cose
from keys.signed_list import ListFrame, UnverifiedList, read_list, sign_list
from passes.errors import PassRefusal

TYP = "application/statuslist+cwt"
ENTRIES = 1 << 20
BITS = 2
MAX_BYTES = 512 * 1024

_STATUS_LIST = 65533
_RAW_BYTES = ENTRIES * BITS // 8


class Status(IntEnum):
    """The value of an entry; 3 is the application-specific value, which here means superseded."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2
    SUPERSEDED = 3


class StatusListRefused(PassRefusal):
    """Not a status list of ours, or an entry it does not have."""


@dataclass(frozen=True, slots=True)
class StatusList:
    """A verified status list."""

    frame: ListFrame
    _raw: bytes

    def __getitem__(self, index: int) -> Status:
        """The status at ``index``. Raises IndexError outside the list (draft, 8.3)."""
        if not 0 <= index < len(self._raw) * 4:
            raise IndexError(index)
        return Status(self._raw[index >> 2] >> (index & 3) * BITS & 3)

    def not_valid(self) -> Iterator[tuple[int, Status]]:
        """Every entry that is not valid, in order: (index, status)."""
        for place, byte in enumerate(self._raw):
            if byte:
                for entry in range(4):
                    if value := byte >> entry * BITS & 3:
                        yield place * 4 + entry, Status(value)

    def holds(self, raw: bytes) -> bool:
        """Whether its entries are those of ``raw``, as `pack` gives them."""
        return self._raw == raw


def pack(entries: Iterable[tuple[int, Status]]) -> bytes:
    """The uncompressed list with ``entries`` (index, status); all others are valid.

    Raises StatusListRefused for an index outside the list.
    """
    raw = bytearray(_RAW_BYTES)
    for index, status in entries:
        if not 0 <= index < ENTRIES:
            raise StatusListRefused("STATUS_VALUE", value=int(status), index=index)
        shift = (index & 3) * BITS
        raw[index >> 2] = raw[index >> 2] & ~(3 << shift) | status << shift
    return bytes(raw)


def sign_status_list(
    signer: cose.Es256Signer, kid: bytes, frame: ListFrame, entries: Iterable[tuple[int, Status]]
) -> bytes:
    """The signed list; ``frame.subject`` is the list's URI."""
    compressed = zlib.compress(pack(entries), 9)
    return sign_list(signer, kid, TYP, frame, {_STATUS_LIST: {"bits": BITS, "lst": compressed}})


def read_status_list(data: bytes) -> UnverifiedList:
    """Read a status list without checking its signature. Raises KeyRefusal LIST_MALFORMED."""
    return read_list(data, TYP, max_bytes=MAX_BYTES)


def verified_status_list(unverified: UnverifiedList, public_key: ec.EllipticCurvePublicKey) -> StatusList:
    """Check the signature and unpack the list.

    Raises KeyRefusal LIST_SIGNATURE, StatusListRefused STATUS_LIST_FORM.
    """
    unverified.verify(public_key)
    content = unverified.claims.get(_STATUS_LIST)
    if not isinstance(content, dict) or content.get("bits") != BITS or len(content) != 2:
        raise StatusListRefused("STATUS_LIST_FORM", fault="not two bits an entry")
    compressed = content.get("lst")
    if not isinstance(compressed, bytes):
        raise StatusListRefused("STATUS_LIST_FORM", fault="no list")
    return StatusList(unverified.frame, _inflate(compressed))


def _inflate(compressed: bytes) -> bytes:
    # One byte more than a list can have tells a too large one without ever holding it.
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(compressed, _RAW_BYTES + 1)
    except zlib.error as fault:
        raise StatusListRefused("STATUS_LIST_FORM", fault=str(fault)) from None
    if len(raw) > _RAW_BYTES or not inflater.eof or inflater.unused_data:
        raise StatusListRefused("STATUS_LIST_FORM", fault="larger than a list can be")
    return raw
