"""Which keys Stadtpass knows, and the short name (kid) each of them carries into every token.

A kid is the first 8 bytes of SHA-256 over the DER SubjectPublicKeyInfo (RFC 5280 4.1.2.7), so it follows
from the key itself and nobody hands it out.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from keys.errors import KeyRefusal

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

KID_BYTES = 8
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096

# An RSA-4096 key takes 550 bytes; anything much longer is no key of ours.
_MAX_SPKI_BYTES = 1024


def check_public_key(public_key: object) -> PublicKey:
    """Return ``public_key`` if it is P-256 or RSA of 2048 to 4096 bits. Raises KeyRefusal otherwise."""
    if isinstance(public_key, ec.EllipticCurvePublicKey) and isinstance(public_key.curve, ec.SECP256R1):
        return public_key
    if isinstance(public_key, rsa.RSAPublicKey) and MIN_RSA_BITS <= public_key.key_size <= MAX_RSA_BITS:
        return public_key
    raise KeyRefusal("KEY_KIND")


def spki_der(public_key: PublicKey) -> bytes:
    """The DER SubjectPublicKeyInfo of a key; raises KeyRefusal for a kind of key that is not used here."""
    return check_public_key(public_key).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def kid_of_spki(spki: bytes) -> bytes:
    """The 8-byte kid of a key given as DER SubjectPublicKeyInfo, which is not checked."""
    return hashlib.sha256(spki).digest()[:KID_BYTES]


def kid_of(public_key: PublicKey) -> bytes:
    """The 8-byte kid of a key. Raises KeyRefusal for a kind of key that is not used here."""
    return kid_of_spki(spki_der(public_key))


def public_key_from_spki(spki: bytes) -> PublicKey:
    """Read a DER SubjectPublicKeyInfo.

    Raises KeyRefusal unless it is the one DER spelling (a second spelling would have a second kid) of a
    P-256 or RSA-2048 to RSA-4096 key.
    """
    if len(spki) > _MAX_SPKI_BYTES:
        raise KeyRefusal("KEY_SPKI")
    try:
        public_key = check_public_key(load_der_public_key(spki))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefusal("KEY_SPKI") from error
    if spki_der(public_key) != spki:
        raise KeyRefusal("KEY_SPKI")
    return public_key
