"""ES256 signatures in the one form Stadtpass accepts: 64 bytes r||s with the low s (RFC 9053 2.1).

ECDSA allows (r, s) and (r, n-s) for one message. Only the lower s counts here, so that a signature has
one spelling and nobody can turn one token into a second one.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

# Order of the curve P-256 (SEC 2, 2.4.2).
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_HALF_ORDER = ORDER >> 1
_ORDER_BYTES = ORDER.to_bytes(32, "big")
_HALF_ORDER_BYTES = _HALF_ORDER.to_bytes(32, "big")
_ZERO = bytes(32)
_ES256 = ec.ECDSA(hashes.SHA256())

SIGNATURE_BYTES = 64


def raw_from_der(der: bytes) -> bytes:
    """Turn a DER ECDSA signature into 64 bytes r||s with the low s. Raises ValueError on bad DER."""
    r, s = decode_dss_signature(der)
    if s > _HALF_ORDER:
        s = ORDER - s
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def is_low_s(signature: bytes) -> bool:
    """Whether 64 bytes r||s have both numbers in range and the low s: a check of form, not of truth."""
    # Big-endian numbers of one length are in the order of their bytes.
    return (
        len(signature) == SIGNATURE_BYTES
        and _ZERO < signature[:32] < _ORDER_BYTES
        and _ZERO < signature[32:] <= _HALF_ORDER_BYTES
    )


def with_low_s(signature: bytes) -> bytes:
    """The spelling with the low s of 64 bytes r||s, as browsers make them with either; others stay as they are.

    For signatures that identify nothing and are kept nowhere.
    """
    s = int.from_bytes(signature[32:], "big")
    if len(signature) != SIGNATURE_BYTES or not _HALF_ORDER < s < ORDER:
        return signature
    return signature[:32] + (ORDER - s).to_bytes(32, "big")


def verify(public_key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> None:
    """Check 64 bytes r||s over ``data``.

    Raises cryptography's InvalidSignature for a wrong signature and for a high s.
    """
    if not is_low_s(signature):
        raise InvalidSignature
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    public_key.verify(encode_dss_signature(r, s), data, _ES256)
