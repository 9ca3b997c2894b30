"""Messages of the 3M Standard Interchange Protocol 2.00, as bytes and taken apart. Pure; no socket, no clock.

A message is a code of two digits, fields of fixed length in their order, fields ``XXvalue|`` in any order, and with
error detection ``AYn`` (the sequence digit that the answer repeats) and ``AZhhhh`` (the checksum); CR ends it.
Source: 3M Standard Interchange Protocol, version 2.00, document revision 2.12.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from issuer.library.sources.patron import SourceMisbehaves, is_plain

END: Final = b"\r"
# An answer about one patron without lists of items has some hundred bytes.
LONGEST: Final = 8 * 1024
LONGEST_VALUE: Final = 1000
_MOST_FIELDS: Final = 200
# How many characters stand before the first field, by message.
FIXED: Final = {
    "23": 21,
    "24": 35,
    "63": 31,
    "64": 59,
    "93": 2,
    "94": 1,
    "96": 0,
    "98": 34,
    "99": 8,
}
# Texts for people, which may come in any number, and lists of items; what else comes twice contradicts itself.
_TEXTS: Final = frozenset({"AF", "AG"})
_LISTS: Final = frozenset({"AS", "AT", "AU", "AV", "BU", "CD"})
_TAIL: Final = re.compile(rb"AY([0-9])AZ([0-9A-F]{4})\Z")
_FIELD_ID: Final = re.compile(r"[A-Z][A-Z0-9]")

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A message without its error detection."""

    code: str
    fixed: str
    fields: Fields = ()

    def value(self, name: str) -> str | None:
        """The value of the field ``name``; None if it is not there."""
        return next((value for one, value in self.fields if one == name), None)

    def values(self, name: str) -> Iterable[str]:
        """All values of a field that may be repeated."""
        return (value for one, value in self.fields if one == name)


def checksum(data: bytes) -> bytes:
    """Four hexadecimal digits which, added to the sum of ``data`` (up to and with ``AZ``), give 0 in 16 bits."""
    return b"%04X" % (-sum(data) & 0xFFFF)


def encode(message: Message, sequence: int | None, encoding: str) -> bytes:
    """``message`` as bytes with its end; with ``sequence`` (0 to 9) also with error detection.

    Raises ValueError for what the protocol cannot carry: a wrong fixed part, a field's end inside a value, a
    character that ``encoding`` does not have.
    """
    if len(message.fixed) != FIXED[message.code]:
        raise ValueError("fixed part of another length")
    for name, value in message.fields:
        if not _FIELD_ID.fullmatch(name) or "|" in value or not is_plain(value, LONGEST_VALUE):
            raise ValueError("field that cannot be sent")
    text = message.code + message.fixed + "".join(f"{name}{value}|" for name, value in message.fields)
    data = text.encode(encoding)
    if sequence is not None:
        data += b"AY%dAZ" % sequence
        data += checksum(data)
    return data + END


def parse(line: bytes, sequence: int | None, encoding: str) -> Message:
    """The message in ``line``, its end cut off; with ``sequence`` it must carry this one and the right checksum.

    Raises SourceMisbehaves LIBRARY_TOO_LONG, LIBRARY_CHECKSUM, LIBRARY_SEQUENCE, LIBRARY_ENCODING, LIBRARY_MESSAGE
    (an unknown code, a wrong form) or LIBRARY_FIELD (twice, too long, control characters).
    """
    if len(line) > LONGEST:
        raise SourceMisbehaves("LIBRARY_TOO_LONG")
    tail = _TAIL.search(line)
    if tail is not None:
        if checksum(line[: tail.start(2)]) != tail[2]:
            raise SourceMisbehaves("LIBRARY_CHECKSUM")
        line = line[: tail.start()]
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError:
        raise SourceMisbehaves("LIBRARY_ENCODING") from None
    code = text[:2]
    if code not in FIXED:
        raise SourceMisbehaves("LIBRARY_MESSAGE")
    if sequence is not None and code != "96":
        # The request to send again carries no sequence.
        if tail is None:
            raise SourceMisbehaves("LIBRARY_CHECKSUM")
        if int(tail[1]) != sequence:
            raise SourceMisbehaves("LIBRARY_SEQUENCE")
    fixed, rest = text[2 : 2 + FIXED[code]], text[2 + FIXED[code] :]
    if len(fixed) != FIXED[code] or not (fixed.isascii() and is_plain(fixed, FIXED[code])):
        raise SourceMisbehaves("LIBRARY_MESSAGE")
    return Message(code, fixed, _fields(rest) if code != "96" else ())


def _fields(text: str) -> Fields:
    if not text:
        return ()
    *parts, behind = text.split("|")
    if behind or len(parts) > _MOST_FIELDS:
        raise SourceMisbehaves("LIBRARY_MESSAGE")
    found: list[tuple[str, str]] = []
    seen: set[str] = set()
    for part in parts:
        name, value = part[:2], part[2:]
        if not _FIELD_ID.fullmatch(name):
            raise SourceMisbehaves("LIBRARY_MESSAGE")
        twice = name in seen and name not in _TEXTS | _LISTS
        if twice or (name not in _TEXTS and not is_plain(value, LONGEST_VALUE)):
            raise SourceMisbehaves("LIBRARY_FIELD", field=name)
        seen.add(name)
        found.append((name, value))
    return tuple(found)
