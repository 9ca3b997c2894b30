"""Status lists of EUDI credentials, as JWT and as CWT (draft-ietf-oauth-status-list-21, 5.1 and 5.2).

They are signed with the certificate under the credentials they speak of, which wallets expect. Their values are those
of the EUDI world: a superseded credential is simply not valid any more (1), never the seals' own value 3; and 1 is
never taken back. The list in the seal's world is `passes.status_list`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from keys import cose
from keys.eudi_certificates import EudiSigningIdentity
from passes.mdoc import sign1
from passes.sd_jwt import encoded, sign_jws
from passes.status_list import Status, StatusListRefused

JWT_TYP: Final = "statuslist+jwt"
CWT_TYP: Final = "application/statuslist+cwt"
JWT_MEDIA_TYPE: Final = "application/statuslist+jwt"
CWT_MEDIA_TYPE: Final = "application/statuslist+cwt"
# 2^20 places: a list of one entry would name its holder (ARF VCR_18).
ENTRIES: Final = 1 << 20
BITS: Final = 2

# CWT claims: subject, expiry, issue time (RFC 8392), ttl and list (draft, 5.2).
_SUB, _EXP, _IAT, _TTL, _LIST = 2, 4, 6, 65534, 65533
_TAG_18: Final = b"\xd2"
_VALUES: Final = {Status.VALID: 0, Status.INVALID: 1, Status.SUSPENDED: 2, Status.SUPERSEDED: 1}


@dataclass(frozen=True, slots=True)
class StatusListFrame:
    """Which list, of when, and how long it counts: ``uri`` as credentials name it, times and ``ttl`` in seconds."""

    uri: str
    issued_at: int
    ttl: int
    expires: int


@dataclass(frozen=True, slots=True)
class PackedList:
    """A list ready to be signed in either form."""

    bits: int
    compressed: bytes


def pack(entries: Iterable[tuple[int, Status]], *, bits: int = BITS, size: int = ENTRIES) -> PackedList:
    """The list with ``entries`` (index, status); all others are valid. ``bits`` is 1, 2, 4 or 8 for each entry.

    Raises StatusListRefused STATUS_VALUE for an index outside the list, or a status that ``bits`` cannot hold.
    """
    if bits not in (1, 2, 4, 8):
        raise ValueError("bits is 1, 2, 4 or 8")
    each = 8 // bits
    raw = bytearray(-(-size // each))
    for index, status in entries:
        value = _VALUES[status]
        if not 0 <= index < size or value >= 1 << bits:
            raise StatusListRefused("STATUS_VALUE", value=value, index=index)
        shift = index % each * bits
        raw[index // each] = raw[index // each] & ~((1 << bits) - 1 << shift) & 0xFF | value << shift
    return PackedList(bits, zlib.compress(bytes(raw), 9))


def sign_jwt(identity: EudiSigningIdentity, frame: StatusListFrame, packed: PackedList) -> str:
    """The Status List Token as a compact JWT. Raises KeyRefusal if the key store no longer answers."""
    return sign_jws(
        identity.signer,
        {"alg": "ES256", "typ": JWT_TYP, "x5c": identity.x5c},
        {
            "sub": frame.uri,
            "iat": frame.issued_at,
            "exp": frame.expires,
            "ttl": frame.ttl,
            "status_list": {"bits": packed.bits, "lst": encoded(packed.compressed)},
        },
    )


def sign_cwt(identity: EudiSigningIdentity, frame: StatusListFrame, packed: PackedList) -> bytes:
    """The Status List Token as a CWT in a COSE_Sign1 with tag 18. Raises KeyRefusal as `sign_jwt`."""
    claims = {
        _SUB: frame.uri,
        _EXP: frame.expires,
        _IAT: frame.issued_at,
        _TTL: frame.ttl,
        _LIST: {"bits": packed.bits, "lst": packed.compressed},
    }
    protected = {cose.ALGORITHM: cose.ES256, cose.TYP: CWT_TYP}
    return _TAG_18 + cose.encode(sign1(identity, protected, cose.encode(claims)))
