"""Detached CMS signatures (RFC 5652), as Apple Wallet wants them for a pass's manifest.

All that does not change from pass to pass is encoded once per certificate: the certificates, the names, the
algorithm identifiers. A signature then costs one hash, one signing and one join of bytes. The attributes are
content type, signing time and message digest; Wallet refuses a pass without signing time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from keys.store import Algorithm, Signer

_SEQUENCE, _SET, _OCTETS, _OID, _INTEGER, _NULL = 0x30, 0x31, 0x04, 0x06, 0x02, b"\x05\x00"
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_EXPLICIT_0 = 0xA0

# Object identifiers in DER: RFC 5652 4, 5.1, 11.1-11.3; RFC 5754 2.2, 3.3; RFC 8017 appendix A.1.
_OID_DATA = bytes.fromhex("06092a864886f70d010701")
_OID_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_OID_CONTENT_TYPE = bytes.fromhex("06092a864886f70d010903")
_OID_MESSAGE_DIGEST = bytes.fromhex("06092a864886f70d010904")
_OID_SIGNING_TIME = bytes.fromhex("06092a864886f70d010905")
_OID_SHA256 = bytes.fromhex("0609608648016503040201")
_OID_RSA = bytes.fromhex("06092a864886f70d010101")
_OID_ECDSA_SHA256 = bytes.fromhex("06082a8648ce3d040302")


def _tlv(tag: int, *parts: bytes) -> bytes:
    """One DER element: tag, definite length in its shortest form (X.690 10.1), content."""
    return _header(tag, sum(map(len, parts))) + b"".join(parts)


def _header(tag: int, size: int) -> bytes:
    if size < 0x80:
        return bytes((tag, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length


def _integer(value: int) -> bytes:
    return _tlv(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


# RFC 5754 2: SHA-256 goes without parameters.
_SHA256 = _tlv(_SEQUENCE, _OID_SHA256)
_ALGORITHMS = {
    Algorithm.RS256: _tlv(_SEQUENCE, _OID_RSA, _NULL),
    Algorithm.ES256: _tlv(_SEQUENCE, _OID_ECDSA_SHA256),
}
_ATTRIBUTE_CONTENT_TYPE = _tlv(_SEQUENCE, _OID_CONTENT_TYPE, _tlv(_SET, _OID_DATA))
# All but the 32 bytes of the digest at the end.
_ATTRIBUTE_DIGEST = _tlv(_SEQUENCE, _OID_MESSAGE_DIGEST, _tlv(_SET, _tlv(_OCTETS, bytes(32))))[:-32]


def signing_time(at: datetime) -> bytes:
    """``at`` (aware) as DER Time in UTC: UTCTime for 1950 to 2049, else GeneralizedTime (RFC 5652 11.3).

    Raises ValueError if ``at`` has no zone. Fractions of a second are cut off.
    """
    if at.tzinfo is None:
        raise ValueError("a signing time needs a zone")
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    tail = f"{utc.month:02d}{utc.day:02d}{utc.hour:02d}{utc.minute:02d}{utc.second:02d}Z"
    if 1950 <= utc.year <= 2049:
        return _tlv(_UTC_TIME, f"{utc.year % 100:02d}{tail}".encode())
    return _tlv(_GENERALIZED_TIME, f"{utc.year:04d}{tail}".encode())


class DetachedSigner:
    """Signs with one key and certificate; ``chain`` are the certificates above it, nearest first.

    The nearest (WWDR) always goes along, roots further up never do: who checks has them. Raises ValueError
    without a chain. Whether key and certificates belong together is `AppleSigningIdentity`'s to check.
    """

    def __init__(
        self, certificate: x509.Certificate, chain: Sequence[x509.Certificate], signer: Signer
    ) -> None:
        if not chain:
            raise ValueError("the intermediate certificate is missing")
        self._signer = signer
        self._raw_ecdsa = signer.algorithm is Algorithm.ES256
        embedded = {certificate, chain[0], *(one for one in chain[1:] if one.issuer != one.subject)}
        # A SET OF is sorted by its encodings (X.690 11.6).
        certificates = sorted(one.public_bytes(Encoding.DER) for one in embedded)
        self._before_signers = b"".join(
            (
                _integer(1),
                _tlv(_SET, _SHA256),
                _tlv(_SEQUENCE, _OID_DATA),
                _tlv(_EXPLICIT_0, *certificates),
            )
        )
        self._before_attributes = b"".join(
            (
                _integer(1),
                _tlv(_SEQUENCE, certificate.issuer.public_bytes(), _integer(certificate.serial_number)),
                _SHA256,
            )
        )
        self._algorithm = _ALGORITHMS[signer.algorithm]
        self._frames: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self._last_time: tuple[datetime, bytes] | None = None

    def sign(self, content: bytes, at: datetime) -> bytes:
        """The DER of a detached SignedData over ``content`` with SHA-256 and signing time ``at`` (aware).

        Raises ValueError if ``at`` has no zone, KeyRefusal if the key store no longer answers.
        """
        attributes = self.attributes(content, at)
        return self.signed_data(attributes, self._signer.sign(attributes))

    def sign_all(self, contents: Iterable[bytes], at: datetime) -> list[bytes]:
        """As `sign` for each of ``contents``. Hashing, signing and framing are done one after the other for
        all of them, which spares the processor's caches and a few per cent of the time.
        """
        attributes = [self.attributes(content, at) for content in contents]
        return list(map(self.signed_data, attributes, list(map(self._signer.sign, attributes))))

    def attributes(self, content: bytes, at: datetime) -> bytes:
        """What is signed for ``content``: the DER of the attributes as a SET OF (RFC 5652 5.4).

        Sorted as DER wants a SET OF: the three differ in the length, which is their second byte. A batch
        is signed with one time, so what stands before the digest is kept for the next.
        """
        last = self._last_time
        if last is None or last[0] is not at:
            moment = _tlv(_SEQUENCE, _OID_SIGNING_TIME, _tlv(_SET, signing_time(at)))
            start = _ATTRIBUTE_CONTENT_TYPE + moment + _ATTRIBUTE_DIGEST
            last = self._last_time = (at, _header(_SET, len(start) + 32) + start)
        return last[1] + hashlib.sha256(content).digest()

    def signed_data(self, attributes: bytes, signature: bytes) -> bytes:
        """The DER of the SignedData from what `attributes` gave and the signer's signature over it."""
        if self._raw_ecdsa:
            half = len(signature) // 2
            signature = encode_dss_signature(
                int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
            )
        sizes = (len(attributes), len(signature))
        frame = self._frames.get(sizes)
        if frame is None:
            # An RSA key has one or two sizes, an EC key a handful.
            frame = self._frames[sizes] = self._frame(*sizes)
        # In the message the attributes are tagged [0]; the length behind the tag is the same.
        return b"".join((frame[0], attributes[1:], frame[1], signature))

    def _frame(self, attributes: int, signature: int) -> tuple[bytes, bytes]:
        """All bytes up to the attributes' tag and between attributes and signature, for these sizes."""
        middle = self._algorithm + _header(_OCTETS, signature)
        attributes -= 1
        start = self._before_attributes + bytes((_EXPLICIT_0,))
        size = len(start) + attributes + len(middle) + signature
        start = _header(_SEQUENCE, size) + start
        size += len(_header(_SEQUENCE, size))
        start = self._before_signers + _header(_SET, size) + start
        size = len(start) + attributes + len(middle) + signature
        start = _header(_SEQUENCE, size) + start
        size += len(_header(_SEQUENCE, size))
        start = _OID_SIGNED_DATA + _header(_EXPLICIT_0, size) + start
        size = len(start) + attributes + len(middle) + signature
        return _header(_SEQUENCE, size) + start, middle
