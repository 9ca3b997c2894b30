"""What the trust bundle and all lists have in common: a signed CWT with sequence, times and a type.

Claims: 2 subject, 4 expiry, 6 issue time (RFC 8392), 65534 ttl (draft-ietf-oauth-status-list-21), and the
private claim -65538, a sequence number that only grows. Protected header: alg, kid, typ (RFC 9596).
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from keys import cose
from keys.errors import KeyRefusal

SUBJECT, EXPIRES, ISSUED_AT, TTL = 2, 4, 6, 65534
SEQUENCE = -65538
_FRAME = frozenset({SUBJECT, EXPIRES, ISSUED_AT, TTL, SEQUENCE})


@dataclass(frozen=True, slots=True)
class ListFrame:
    """When a list was made and how long it counts. Times are seconds since 1970, ``ttl`` seconds.

    After ``issued_at + ttl`` the list is stale, from ``expires`` on it is worth nothing.
    """

    subject: str
    sequence: int
    issued_at: int
    ttl: int
    expires: int

    def is_stale(self, now: int) -> bool:
        """Whether ``now`` (seconds) is beyond the ttl."""
        return now > self.issued_at + self.ttl

    def is_expired(self, now: int) -> bool:
        """Whether ``now`` (seconds) has reached the expiry."""
        return now >= self.expires


@dataclass(frozen=True, slots=True)
class UnverifiedList:
    """A strictly read list whose signature has not been checked; the frame is not to be believed yet."""

    message: cose.Sign1
    frame: ListFrame
    claims: dict[int, cose.Value]

    def verify(self, public_key: ec.EllipticCurvePublicKey) -> None:
        """Check the signature. Raises KeyRefusal LIST_SIGNATURE."""
        try:
            self.message.verify(public_key)
        except InvalidSignature:
            raise KeyRefusal("LIST_SIGNATURE", name=self.frame.subject) from None


def sign_list(
    signer: cose.Es256Signer, kid: bytes, typ: str, frame: ListFrame, claims: dict[int, object]
) -> bytes:
    """The signed CWT of ``claims`` in ``frame``. Raises ValueError where a claim collides with the frame."""
    if _FRAME & claims.keys():
        raise ValueError("claim collides with the frame")
    return cose.sign1(
        signer,
        kid,
        cose.encode(
            {
                SUBJECT: frame.subject,
                EXPIRES: frame.expires,
                ISSUED_AT: frame.issued_at,
                TTL: frame.ttl,
                SEQUENCE: frame.sequence,
                **claims,
            }
        ),
        typ=typ,
    )


def read_list(data: bytes, typ: str, *, max_bytes: int) -> UnverifiedList:
    """Read a list of type ``typ``, bounded by ``max_bytes``. Raises KeyRefusal LIST_MALFORMED."""

    def malformed(fault: str) -> KeyRefusal:
        return KeyRefusal("LIST_MALFORMED", name=typ, fault=fault)

    try:
        message = cose.read_sign1(data, max_bytes=max_bytes)
        if message.typ != typ:
            raise malformed("another type")
        claims = cose.decode(message.payload, max_bytes=max_bytes)
    except (cose.CborError, cose.CoseError) as fault:
        raise malformed(str(fault)) from None
    if not isinstance(claims, dict):
        raise malformed("no claims")
    plain: dict[int, cose.Value] = {}
    for key, value in claims.items():
        if type(key) is not int:
            raise malformed("claim name")
        plain[key] = value
    subject = plain.get(SUBJECT)
    numbers = [plain.get(key) for key in (SEQUENCE, ISSUED_AT, TTL, EXPIRES)]
    if not isinstance(subject, str) or len(subject) > 400:
        raise malformed("no subject")
    sequence, issued_at, ttl, expires = (
        number if type(number) is int and 0 <= number < 1 << 53 else None for number in numbers
    )
    if sequence is None or issued_at is None or ttl is None or expires is None:
        raise malformed("no sequence or times")
    frame = ListFrame(subject, sequence, issued_at, ttl, expires)
    return UnverifiedList(message, frame, {key: plain[key] for key in plain.keys() - _FRAME})
