"""CBOR of mdocs and of what wallets send: with tags, and read as strictly as foreign bytes can be.

Seals and lists have a codec of their own (`keys.cose`), which knows no tags because a seal has one spelling. ISO/IEC
18013-5 needs tags 0, 18, 24 and 1004, and a wallet's message may be spelt in ways that codec refuses, so `cbor2`
reads and writes here (docs/decisions/018). Of its conveniences none is wanted: those tags come back as tags, others
are refused, so that no number, regular expression or cyclic list is ever made from a stranger's bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Final

import cbor2

FULL_DATE: Final = 1004
DATE_TIME: Final = 0
ENCODED: Final = 24
_SIGN1: Final = 18
_MAX_DEPTH: Final = 24
# Tags and what may be in them. Inside a tag, cbor2 makes arrays tuples and maps frozen.
_ALLOWED: Final[dict[int, type]] = {DATE_TIME: str, FULL_DATE: str, ENCODED: bytes, _SIGN1: tuple}
# The tags that cbor2 makes Python objects of by itself: they stay tags (those allowed) or are refused.
_MADE_BY_CBOR2: Final = (
    0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 43, 52, 54, 100, 101, 256, 258, 260, 261, 1004, 43000, 55799,
)  # fmt: skip


class CborRefused(ValueError):
    """Bytes that are not the one CBOR item that was expected."""


def encode(value: object) -> bytes:
    """``value`` in deterministic CBOR, definite lengths, shortest integers, sorted keys (RFC 8949 4.2)."""
    return cbor2.dumps(value, canonical=True)


def embedded(value: object) -> cbor2.CBORTag:
    """``value`` encoded and put into a byte string with tag 24, as ISO/IEC 18013-5 signs and hashes it."""
    return cbor2.CBORTag(ENCODED, encode(value))


def decode(data: bytes, *, max_bytes: int) -> Any:
    """The one item that fills ``data``; tags 0, 18, 24 and 1004 come as ``CBORTag``. Raises CborRefused.

    Refused: more than ``max_bytes``, other tags, repeated map keys, bytes after the item, deep nesting.
    """
    if len(data) > max_bytes:
        raise CborRefused(f"longer than {max_bytes} bytes")
    source = BytesIO(data)
    try:
        value = cbor2.load(
            source,
            semantic_decoders=_DECODERS,
            tag_hook=_tag,
            max_depth=_MAX_DEPTH,
            allow_duplicate_keys=False,
        )
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, OverflowError, MemoryError) as fault:
        raise CborRefused(type(fault).__name__) from None
    if source.tell() != len(data):
        raise CborRefused("bytes after the item")
    return value


def opened(value: object, *, max_bytes: int) -> Any:
    """What is encoded in the byte string of a tag 24. Raises CborRefused."""
    return decode(embedded_bytes(value), max_bytes=max_bytes)


def embedded_bytes(value: object) -> bytes:
    """The byte string in a tag 24, not decoded. Raises CborRefused."""
    if isinstance(value, cbor2.CBORTag) and value.tag == ENCODED and isinstance(value.value, bytes):
        return value.value
    raise CborRefused("no embedded CBOR")


def _checked(number: int, value: Any) -> cbor2.CBORTag:
    """The tag, if it is one of the allowed ones around what it may be around."""
    kind = _ALLOWED.get(number)
    if kind is None or not isinstance(value, kind):
        raise CborRefused(f"tag {number}")
    return cbor2.CBORTag(number, _thawed(value))


def _thawed(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_thawed(one) for one in value]
    if isinstance(value, Mapping):
        return {name: _thawed(one) for name, one in value.items()}
    return value


def _tag(tag: cbor2.CBORTag, _immutable: bool) -> cbor2.CBORTag:
    return _checked(tag.tag, tag.value)


def _decoder(number: int) -> Callable[[Any, bool], Any]:
    return lambda value, _immutable: _checked(number, value)


_DECODERS: Final = {number: _decoder(number) for number in _MADE_BY_CBOR2}
