"""The one CBOR and COSE_Sign1 codec: deterministic to write, strict to read.

CBOR is limited to what seals and lists use: integers of 64 bits, byte and text strings, arrays, maps,
tag 18, false, true and null, in the core deterministic encoding of RFC 8949 4.2.1. The decoder accepts
exactly the bytes the encoder would write, so a value has one encoding and no third form can slip in.
COSE_Sign1 is that of RFC 9052 4.2 with ES256 only. Foreign tokens are read by `keys.cose_generic`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from keys import es256

Value = int | bytes | str | bool | None | list["Value"] | dict["Value", "Value"]

ALGORITHM = 1
KID = 4
TYP = 16
ES256 = -7

_MAX_DEPTH = 8
_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = range(0, 6 << 5, 1 << 5)
_KEY_TYPES = frozenset({int, str, bytes})
_MAX_UINT = (1 << 64) - 1


class CborError(ValueError):
    """Bytes that are not the deterministic CBOR this codec reads, or a value it does not write."""


class CoseError(ValueError):
    """Well-formed CBOR that is not the COSE_Sign1 that was asked for."""


_OCTETS = [bytes((octet,)) for octet in range(256)]
_HEAD_OF_2 = struct.Struct(">BH").pack
_HEAD_OF_4 = struct.Struct(">BI").pack
_HEAD_OF_8 = struct.Struct(">BQ").pack


def _head(major: int, argument: int) -> bytes:
    """The first bytes of an item; ``major`` is the major type in its place, the upper three bits."""
    if argument < 24:
        return _OCTETS[major | argument]
    if argument < 0x100:
        return _OCTETS[major | 24] + _OCTETS[argument]
    if argument < 0x10000:
        return _HEAD_OF_2(major | 25, argument)
    if argument < 0x100000000:
        return _HEAD_OF_4(major | 26, argument)
    if argument <= _MAX_UINT:
        return _HEAD_OF_8(major | 27, argument)
    raise CborError("integer beyond 64 bits")


def encode(value: object) -> bytes:
    """Write ``value`` in deterministic CBOR: int, bytes, str, list or tuple, dict, bool, None.

    Raises CborError for what `decode` would not read back: other types, floats included, map keys that
    are no integer or string, integers beyond 64 bits, nesting deeper than eight levels, lone surrogates.
    """
    return _encoded(value, 0)


def _encoded(value: object, depth: int) -> bytes:
    kind = type(value)
    if kind is int:
        number: int = value  # type: ignore[assignment]
        return _head(_UINT, number) if number >= 0 else _head(_NEGATIVE, -1 - number)
    if kind is str:
        try:
            text: bytes = value.encode()  # type: ignore[attr-defined]
        except UnicodeEncodeError:
            raise CborError("text with a lone surrogate") from None
        return _head(_TEXT, len(text)) + text
    if kind is bytes:
        octets: bytes = value  # type: ignore[assignment]
        return _head(_BYTES, len(octets)) + octets
    if value is None:
        return b"\xf6"
    if value is True:
        return b"\xf5"
    if value is False:
        return b"\xf4"
    if depth >= _MAX_DEPTH:
        raise CborError("nested too deep")
    depth += 1
    if kind is dict:
        mapping: dict[object, object] = value  # type: ignore[assignment]
        pairs = []
        for key, item in mapping.items():
            if type(key) is int and 0 <= key < 24:
                pairs.append((_OCTETS[key], _encoded(item, depth)))
            elif type(key) in _KEY_TYPES:
                pairs.append((_encoded(key, depth), _encoded(item, depth)))
            else:
                raise CborError("map key is no integer or string")
        # No two keys are equal, so the order never depends on a value.
        pairs.sort()
        return _head(_MAP, len(pairs)) + b"".join([key + item for key, item in pairs])
    if kind is list or kind is tuple:
        items: list[object] = value  # type: ignore[assignment]
        return _head(_ARRAY, len(items)) + b"".join([_encoded(item, depth) for item in items])
    raise CborError(f"no encoding for {kind.__name__}")


def decode(data: bytes, *, max_bytes: int) -> Value:
    """Read one deterministic CBOR item that fills ``data`` exactly.

    ``max_bytes`` bounds the input before anything is parsed. Raises CborError for anything that
    `encode` would not have written: longer integer forms, unsorted or repeated map keys, indefinite
    lengths, tags, floats, bad UTF-8, trailing bytes, nesting deeper than eight levels.
    """
    if len(data) > max_bytes:
        raise CborError(f"longer than {max_bytes} bytes")
    value, end = _item(data, 0, 0)
    if end != len(data):
        raise CborError("trailing bytes")
    return value


def _item(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    try:
        first = data[at]
    except IndexError:
        raise CborError("ends too early") from None
    major = first >> 5
    argument = first & 31
    at += 1
    if argument >= 24:
        if major == 7:
            raise CborError("float or simple value")
        if argument > 27:
            raise CborError("indefinite length or reserved form")
        size = 1 << (argument - 24)
        octets = data[at : at + size]
        if len(octets) != size:
            raise CborError("ends too early")
        argument = int.from_bytes(octets, "big")
        if argument < (24, 0x100, 0x10000, 0x100000000)[size.bit_length() - 1]:
            raise CborError("integer not in its shortest form")
        at += size
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if major in (2, 3):
        end = at + argument
        octets = data[at:end]
        if len(octets) != argument:
            raise CborError("ends too early")
        if major == 2:
            return octets, end
        try:
            return octets.decode(), end
        except UnicodeDecodeError:
            raise CborError("text is not UTF-8") from None
    if major == 7:
        if argument == 20:
            return False, at
        if argument == 21:
            return True, at
        if argument == 22:
            return None, at
        raise CborError("float or simple value")
    if major == 6:
        raise CborError("tag")
    if depth >= _MAX_DEPTH:
        raise CborError("nested too deep")
    # Every element takes a byte at least: a count beyond the rest of the input is refused at once.
    if argument > len(data) - at:
        raise CborError("ends too early")
    depth += 1
    if major == 4:
        items: list[Value] = []
        for _ in range(argument):
            item, at = _item(data, at, depth)
            items.append(item)
        return items, at
    mapping: dict[Value, Value] = {}
    previous = b""
    for _ in range(argument):
        start = at
        key, at = _item(data, at, depth)
        if type(key) not in _KEY_TYPES:
            raise CborError("map key is no integer or string")
        encoded = data[start:at]
        if encoded <= previous:
            raise CborError("map keys unsorted or repeated")
        previous = encoded
        mapping[key], at = _item(data, at, depth)
    return mapping, at


class Es256Signer(Protocol):
    """What this codec needs of a key: its id, and 64 bytes r||s over the data."""

    def sign(self, data: bytes) -> bytes:
        """64 bytes r||s with the low s over ``data``."""
        ...


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    # Sig_structure of RFC 9052 4.4: ["Signature1", protected, external_aad = h'', payload].
    return (
        b"\x84\x6aSignature1"
        + _head(_BYTES, len(protected))
        + protected
        + b"\x40"
        + _head(_BYTES, len(payload))
        + payload
    )


@lru_cache(maxsize=64)
def _protected(kid: bytes, typ: str | None) -> bytes:
    header: dict[object, object] = {ALGORITHM: ES256, KID: kid}
    if typ is not None:
        header[TYP] = typ
    return encode(header)


def sign1(signer: Es256Signer, kid: bytes, payload: bytes, *, typ: str | None = None) -> bytes:
    """A tagged COSE_Sign1 over ``payload`` with ES256, ``kid`` and ``typ`` (RFC 9596) protected."""
    protected = _protected(kid, typ)
    signature = signer.sign(_to_be_signed(protected, payload))
    return b"".join(
        (
            b"\xd2\x84",
            _head(_BYTES, len(protected)),
            protected,
            b"\xa0",
            _head(_BYTES, len(payload)),
            payload,
            b"\x58\x40",
            signature,
        )
    )


@dataclass(frozen=True, slots=True)
class Sign1:
    """A strictly read COSE_Sign1 whose signature has not been checked yet."""

    kid: bytes
    typ: str | None
    payload: bytes
    signature: bytes
    _signed: bytes

    def verify(self, public_key: ec.EllipticCurvePublicKey) -> None:
        """Check the signature. Raises cryptography's InvalidSignature."""
        es256.verify(public_key, self.signature, self._signed)


@lru_cache(maxsize=64)
def _header(protected: bytes) -> tuple[bytes, str | None]:
    """The kid and typ of a protected header; a key's seals all have the same one, so it is kept."""
    header = decode(protected, max_bytes=256)
    if not isinstance(header, dict) or header.get(ALGORITHM) != ES256:
        raise CoseError("algorithm is not ES256")
    kid = header.get(KID)
    typ = header.get(TYP)
    if not isinstance(kid, bytes) or len(kid) != 8:
        raise CoseError("kid is not 8 bytes")
    if len(header) != (2 if typ is None else 3) or not (typ is None or isinstance(typ, str)):
        raise CoseError("unknown header parameter")
    return kid, typ


def read_sign1(data: bytes, *, max_bytes: int) -> Sign1:
    """Read a COSE_Sign1 as `sign1` writes it, and nothing else.

    Protected header exactly alg ES256, an 8-byte kid and at most a text ``typ``; unprotected header
    empty; payload a byte string; signature 64 bytes with the low s. Raises CborError or CoseError.
    """
    if data[:1] != b"\xd2":
        raise CoseError("no tag 18")
    message = decode(data[1:], max_bytes=max_bytes - 1)
    if not isinstance(message, list) or len(message) != 4:
        raise CoseError("not four elements")
    protected, unprotected, payload, signature = message
    if not isinstance(protected, bytes) or not isinstance(payload, bytes) or not isinstance(signature, bytes):
        raise CoseError("element of the wrong type")
    if unprotected != {}:
        raise CoseError("unprotected header not empty")
    kid, typ = _header(protected)
    if not es256.is_low_s(signature):
        raise CoseError("signature is not 64 bytes r||s with the low s")
    return Sign1(kid, typ, payload, signature, _to_be_signed(protected, payload))


__all__ = [
    "ALGORITHM",
    "ES256",
    "KID",
    "TYP",
    "CborError",
    "CoseError",
    "Es256Signer",
    "InvalidSignature",
    "Sign1",
    "Value",
    "decode",
    "encode",
    "read_sign1",
    "sign1",
]
