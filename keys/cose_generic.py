"""A reader for foreign tokens: interoperability and third-party test vectors. Never used for seals or lists.

Accepts what RFC 8949 and RFC 9052 allow and `keys.cose` refuses on purpose: longer integer forms, unsorted
maps, indefinite lengths, tags, floats, headers in either place, other algorithms. One token has many accepted
spellings here, so nothing that is read this way may be compared, counted or trusted as one of ours.
Input size, depth, number of items and inflated size are bounded all the same.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys import cose
from keys.cose import CborError, CoseError

MAX_BYTES = 64 * 1024
MAX_INFLATED = 256 * 1024
CLAIM_169 = 169

_MAX_DEPTH = 16
_MAX_ITEMS = 10_000
_BREAK = object()
_SIGN1, _ENCRYPT0, _CWT = 18, 16, 61
_IV = 5
_A256GCM = 3
_STATUS_LIST = 65533

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey

_ECDSA: dict[object, hashes.HashAlgorithm] = {-7: hashes.SHA256(), -35: hashes.SHA384(), -36: hashes.SHA512()}
_EDDSA = -8


class UnsupportedAlgorithm(CoseError):
    """A token of an algorithm that this reader does not know, such as HSS-LMS."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tagged value other than those this reader takes off."""

    number: int
    value: object


@dataclass(frozen=True, slots=True)
class ForeignList:
    """A status list of 1, 2, 4 or 8 bits an entry (draft-ietf-oauth-status-list-21, 4.1)."""

    bits: int
    _raw: bytes

    def __getitem__(self, index: int) -> int:
        """The value at ``index``. Raises IndexError outside the list."""
        each = 8 // self.bits
        if not 0 <= index < len(self._raw) * each:
            raise IndexError(index)
        return self._raw[index // each] >> index % each * self.bits & (1 << self.bits) - 1


class _Reader:
    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_BYTES:
            raise CborError(f"longer than {MAX_BYTES} bytes")
        self.data, self.at, self.items = data, 0, 0

    def take(self, count: int) -> bytes:
        octets = self.data[self.at : self.at + count]
        if len(octets) != count:
            raise CborError("ends too early")
        self.at += count
        return octets

    def item(self, depth: int = 0) -> object:
        self.items += 1
        if depth > _MAX_DEPTH or self.items > _MAX_ITEMS:
            raise CborError("nested too deep or too many items")
        first = self.take(1)[0]
        major, argument = first >> 5, first & 31
        if 28 <= argument <= 30 or (argument == 31 and major in (0, 1, 6)):
            raise CborError("reserved form")
        if major == 7:
            return self._simple(argument)
        length = None if argument == 31 else argument
        if argument in (24, 25, 26, 27):
            length = int.from_bytes(self.take(1 << argument - 24), "big")
        if length is None:
            return self._indefinite(major, depth)
        if major == 0:
            return length
        if major == 1:
            return -1 - length
        if major in (2, 3):
            return _string(major, self.take(length))
        if major == 6:
            return Tag(length, self._element(depth))
        if length > len(self.data) - self.at:
            raise CborError("ends too early")
        if major == 4:
            return [self._element(depth) for _ in range(length)]
        return _mapping([(self._element(depth), self._element(depth)) for _ in range(length)])

    def _element(self, depth: int) -> object:
        value = self.item(depth + 1)
        if value is _BREAK:
            raise CborError("break where an item should be")
        return value

    def _simple(self, argument: int) -> object:
        if argument < 24:
            return {20: False, 21: True, 22: None, 23: None}.get(argument, Tag(-1, argument))
        if argument == 31:
            return _BREAK
        octets = self.take(1 << argument - 24)
        if argument == 24:
            return Tag(-1, octets[0])
        number: float = struct.unpack({25: ">e", 26: ">f", 27: ">d"}[argument], octets)[0]
        return number

    def _indefinite(self, major: int, depth: int) -> object:
        parts: list[object] = []
        while (part := self.item(depth + 1)) is not _BREAK:
            parts.append(part)
        if major == 4:
            return parts
        if major == 5:
            if len(parts) % 2:
                raise CborError("map key without a value")
            return _mapping(list(zip(parts[::2], parts[1::2], strict=True)))
        kind = bytes if major == 2 else str
        if not all(type(part) is kind for part in parts):
            raise CborError("chunk of another type")
        joined = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
        return _string(major, b"".join(joined))


def _string(major: int, octets: bytes) -> bytes | str:
    if major == 2:
        return octets
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise CborError("text is not UTF-8") from None


def _mapping(pairs: list[tuple[object, object]]) -> dict[object, object]:
    mapping: dict[object, object] = {}
    for key, value in pairs:
        if not isinstance(key, int | str | bytes) or key in mapping:
            raise CborError("map key repeated or of an odd type")
        mapping[key] = value
    return mapping


def decode(data: bytes) -> object:
    """Any one well-formed CBOR item that fills ``data``; tags come as `Tag`. Raises CborError."""
    reader = _Reader(data)
    value = reader.item()
    if value is _BREAK or reader.at != len(data):
        raise CborError("break or trailing bytes")
    return value


def _message(data: bytes, wanted: int, length: int) -> tuple[bytes, dict[object, object], list[object]]:
    """Protected bytes, all header parameters (protected wins) and the elements of a COSE message."""
    value = decode(data)
    if isinstance(value, Tag) and value.number == _CWT:
        value = value.value
    if isinstance(value, Tag):
        if value.number != wanted:
            raise CoseError(f"tag {value.number}")
        value = value.value
    if not isinstance(value, list) or len(value) != length:
        raise CoseError("no such COSE message")
    protected, unprotected = value[0], value[1]
    if not isinstance(protected, bytes) or not isinstance(unprotected, dict):
        raise CoseError("headers of the wrong type")
    header = decode(protected) if protected else {}
    if not isinstance(header, dict):
        raise CoseError("protected header is no map")
    # RFC 9052 4.4: an empty protected map is signed as zero bytes.
    return (protected if header else b""), {**unprotected, **header}, value


def verify_foreign(data: bytes, key: PublicKey, external: bytes = b"") -> bytes:
    """Verify a COSE_Sign1, tagged or not, and return its payload.

    Raises CborError or CoseError for bytes that are none, UnsupportedAlgorithm for an unknown one, and
    cryptography's InvalidSignature.
    """
    protected, header, message = _message(data, _SIGN1, 4)
    payload, signature = message[2], message[3]
    if not isinstance(payload, bytes) or not isinstance(signature, bytes):
        raise CoseError("payload or signature of the wrong type")
    signed = cose.encode(["Signature1", protected, external, payload])
    algorithm = header.get(cose.ALGORITHM)
    if algorithm == _EDDSA and isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        key.verify(signature, signed)
    elif algorithm in _ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
        size = (key.key_size + 7) // 8
        if len(signature) != 2 * size:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(_ECDSA[algorithm]))
    else:
        raise UnsupportedAlgorithm(f"unsupported algorithm {algorithm!r} for this key")
    return payload


def unverified_payload(data: bytes) -> bytes:
    """The payload of a COSE_Sign1 without looking at its signature. Raises CborError or CoseError."""
    payload = _message(data, _SIGN1, 4)[2][2]
    if not isinstance(payload, bytes):
        raise CoseError("no payload")
    return payload


def decrypt_foreign(data: bytes, key: bytes, external: bytes = b"") -> bytes:
    """The content of a COSE_Encrypt0 with A256GCM (RFC 9053 4.1). Raises CborError or CoseError."""
    protected, header, message = _message(data, _ENCRYPT0, 3)
    if header.get(cose.ALGORITHM) != _A256GCM:
        raise UnsupportedAlgorithm(f"unsupported algorithm {header.get(cose.ALGORITHM)!r}")
    nonce, sealed = header.get(_IV), message[2]
    if not isinstance(nonce, bytes) or len(nonce) != 12 or not isinstance(sealed, bytes):
        raise CoseError("nonce or ciphertext of the wrong type")
    try:
        return AESGCM(key).decrypt(nonce, sealed, cose.encode(["Encrypt0", protected, external]))
    except InvalidTag:
        raise CoseError("ciphertext was changed") from None


def claims_of(payload: bytes) -> dict[object, object]:
    """The claims of a CWT payload (RFC 8392). Raises CborError or CoseError."""
    claims = decode(payload)
    if isinstance(claims, Tag) and claims.number == _CWT:
        claims = claims.value
    if not isinstance(claims, dict):
        raise CoseError("no claims")
    return claims


def inflate(data: bytes, limit: int = MAX_INFLATED) -> bytes:
    """zlib data (RFC 1950) of at most ``limit`` bytes inflated. Raises CoseError."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(data, limit + 1)
    except zlib.error as fault:
        raise CoseError(f"no zlib data: {fault}") from None
    if len(raw) > limit or not inflater.eof or inflater.unused_data:
        raise CoseError("inflates to too much, or ends too early, or goes on")
    return raw


def status_list(content: object) -> ForeignList:
    """The list in a ``{"bits", "lst"}`` map or in the claims of a status list token. Raises CoseError."""
    found = content.get(_STATUS_LIST, content) if isinstance(content, dict) else None
    if not isinstance(found, dict) or found.get("bits") not in (1, 2, 4, 8):
        raise CoseError("no status list")
    compressed, bits = found.get("lst"), found["bits"]
    if not isinstance(compressed, bytes) or not isinstance(bits, int):
        raise CoseError("no status list")
    return ForeignList(bits, inflate(compressed, 1 << 20))
