"""Base45 as a reader of its own, so that a fault of the program does not hide here."""

from __future__ import annotations


def base45(text: str) -> bytes:
    """RFC 9285, written here anew."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
    out = bytearray()
    for start in range(0, len(text), 3):
        digits = [alphabet.index(one) for one in text[start : start + 3]]
        value = sum(digit * 45**power for power, digit in enumerate(digits))
        out += value.to_bytes(len(digits) - 1, "big")
    return bytes(out)
