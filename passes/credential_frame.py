"""What both formats of an EUDI credential have in common: whose it is, how long it counts, where its status stands.

Times are coarse on purpose: two credentials of one batch, or of two people served in one minute, must not be told
apart or linked by their seconds (ARF 3.0.0, ISSU_35 and ISSU_36).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from keys.eudi_certificates import EudiSigningIdentity
from passes.errors import PassRefusal

_DAY: Final = 86_400
_HOUR: Final = 3_600
# A life of this length or more is counted from the beginning of the day, a shorter one from the moment itself.
_LONG: Final = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class StatusReference:
    """The place of one credential in a status list: the list's URI and the index in it.

    Every credential has its own, also within a batch, drawn at random (HAIP 1.0, 6; ARF VCR_17).
    """

    uri: str
    index: int


@dataclass(frozen=True, slots=True)
class Validity:
    """When a credential says it was issued, and from when to when it counts; seconds since 1970."""

    issued_at: int
    not_before: int
    expires: int


def validity(
    identity: EudiSigningIdentity, at: datetime, first: datetime, end: datetime, lifetime: timedelta
) -> Validity:
    """The times of a credential made at ``at`` for a right from ``first`` to before ``end``; all aware.

    It ends with the right or after ``lifetime``. Issue time and beginning are rounded down to the day in UTC, the end
    to the hour; a ``lifetime`` of three days or more counts from the rounded issue time. Whatever falls outside the
    life of the signer's certificates is moved to its edge: a wallet refuses a credential that was signed, by its own
    word, before its certificate was valid.
    Raises KeyRefusal EUDI_CERTIFICATE_EARLY or EUDI_CERTIFICATE_EXPIRED as `EudiSigningIdentity.check`, PassRefusal
    CREDENTIAL_PERIOD where no time is left.
    """
    identity.check(at)
    opens, closes = _seconds(identity.not_before), int(identity.not_after.timestamp())
    now = int(at.timestamp())
    issued = max(now - now % _DAY, opens)
    begin = int(first.timestamp())
    not_before = max(begin if begin > now else begin - begin % _DAY, issued)
    lived_from = now - now % _DAY if lifetime >= _LONG else now
    expires = min(int(end.timestamp()), lived_from + int(lifetime.total_seconds()), closes)
    expires -= expires % _HOUR
    if expires <= max(not_before, now):
        raise PassRefusal("CREDENTIAL_PERIOD", end=datetime.fromtimestamp(expires, UTC))
    return Validity(issued, not_before, expires)


def holder_key(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    """The wallet's key in a JWK (RFC 7517), to be bound into a credential.

    Raises PassRefusal HOLDER_KEY for anything but the public half of one P-256 key: ES256 is what HAIP asks for, and
    a private key must never have been sent.
    """
    try:
        key = ECKey.import_key(dict(jwk))
    except (JoseError, ValueError, TypeError, KeyError) as fault:
        raise PassRefusal("HOLDER_KEY") from fault
    if key.is_private or not isinstance(key.public_key, ec.EllipticCurvePublicKey):
        raise PassRefusal("HOLDER_KEY")
    return checked_holder_key(key.public_key)


def checked_holder_key(key: ec.EllipticCurvePublicKey) -> ec.EllipticCurvePublicKey:
    """``key`` if it is on P-256. Raises PassRefusal HOLDER_KEY."""
    if not isinstance(key.curve, ec.SECP256R1):
        raise PassRefusal("HOLDER_KEY")
    return key


def coordinates(key: ec.EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    """x and y of a P-256 key, 32 bytes each."""
    numbers = checked_holder_key(key).public_numbers()
    return numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")


def _seconds(at: datetime) -> int:
    """Whole seconds, rounded up: a moment that ``at`` has passed."""
    return math.ceil(at.timestamp())
