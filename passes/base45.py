"""Base45 (RFC 9285): two bytes in three characters of the QR alphanumeric alphabet.

Table-driven because sealing and checking stand and fall with it: a pair of bytes is one table look-up.
"""

from __future__ import annotations

import struct
from functools import cache

ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

_INVALID = 0xFF
_VALUES = bytearray([_INVALID]) * 256
for _value, _character in enumerate(ALPHABET):
    _VALUES[_character] = _value
_TO_VALUES = bytes(_VALUES)


class Base45Error(ValueError):
    """Text that is not the base45 of any bytes."""


@cache
def _triples() -> list[str]:
    # c + d*45 + e*45^2 with the least significant character first (RFC 9285 4.1); 65536 strings, built once.
    letters = ALPHABET.decode()
    pairs = [low + high for high in letters for low in letters]
    return [pairs[value % 2025] + letters[value // 2025] for value in range(65536)]


def encode(data: bytes) -> str:
    """``data`` as base45 text."""
    count = len(data) // 2
    text = "".join(map(_triples().__getitem__, struct.unpack_from(f">{count}H", data)))
    if len(data) % 2:
        high, low = divmod(data[-1], 45)
        text += chr(ALPHABET[low]) + chr(ALPHABET[high])
    return text


def decode(text: str) -> bytes:
    """The bytes of base45 ``text``.

    Raises Base45Error for characters outside the alphabet, an impossible length, or a group whose
    value does not fit its bytes. Every byte string has exactly one base45 text that is accepted.
    """
    try:
        values = text.encode("ascii").translate(_TO_VALUES)
    except UnicodeEncodeError:
        raise Base45Error("character outside the alphabet") from None
    if _INVALID in values:
        raise Base45Error("character outside the alphabet")
    rest = len(values) % 3
    if rest == 1:
        raise Base45Error("length leaves one character over")
    whole = len(values) - rest
    numbers = [
        low + 45 * middle + 2025 * high
        for low, middle, high in zip(values[0:whole:3], values[1:whole:3], values[2:whole:3], strict=True)
    ]
    try:
        data = struct.pack(f">{len(numbers)}H", *numbers)
    except struct.error:
        raise Base45Error("group beyond two bytes") from None
    if rest == 2:
        last = values[-2] + 45 * values[-1]
        if last > 0xFF:
            raise Base45Error("group beyond one byte")
        data += bytes((last,))
    return data
