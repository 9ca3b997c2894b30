"""What a status list says of one credential (draft-ietf-oauth-status-list-21, 8.3), as JWT or CWT."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from keys import cose
from passes.credential_cbor import CborRefused, decode
from passes.credential_status import CWT_TYP, JWT_TYP
from passes.sd_jwt import decoded
from verifier.credentials.chain import (
    TrustAnchors,
    chain_of_x5c,
    chain_of_x5chain,
    check_signature,
    public_key,
)
from verifier.credentials.jose import integer, read_jws
from verifier.credentials.outcome import PresentationRefused, StatusVerdict

MAX_BYTES: Final = 8 * 1024 * 1024
MAX_INFLATED: Final = 16 * 1024 * 1024
_TOLERANCE: Final = 120
_SUB, _EXP, _IAT, _TTL, _LIST, _X5CHAIN, _SIGN1 = 2, 4, 6, 65534, 65533, 33, 18


@dataclass(frozen=True, slots=True)
class FetchedToken:
    """A Status List Token and when (aware) it came from its issuer: then its ``ttl`` begins (draft, 13.7)."""

    token: str | bytes
    at: datetime


StatusLists = Mapping[str, str | bytes | FetchedToken]


@dataclass(frozen=True, slots=True)
class _List:
    subject: object
    issued_at: int | None
    expires: int | None
    ttl: int | None
    bits: int
    compressed: bytes


def check_status(
    status: object, lists: StatusLists | None, anchors: TrustAnchors, at: datetime
) -> StatusVerdict:
    """Return what is known of the credential's ``status`` claim; ``lists`` are Status List Tokens by their URI.

    The ``ttl`` of one that does not say when it was fetched begins with its issue time.

    Raises PresentationRefused PRESENTATION_REVOKED, PRESENTATION_SUSPENDED; PRESENTATION_STATUS_UNKNOWN where the
    list is missing, stale, not signed under the ``anchors``, or of another URI, and for values nobody has defined.
    ``lists`` None: the caller does not ask.
    """
    if status is None:
        return StatusVerdict.NONE
    if lists is None:
        return StatusVerdict.NOT_CHECKED
    reference = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(reference, dict):
        raise _unknown("no status list")
    uri, index = reference.get("uri"), reference.get("idx")
    if not isinstance(uri, str) or isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise _unknown("reference")
    token = lists.get(uri)
    if token is None:
        raise _unknown("list missing")
    value = _value(token, uri, index, anchors, at)
    if value == 1:
        raise PresentationRefused("PRESENTATION_REVOKED")
    if value == 2:
        raise PresentationRefused("PRESENTATION_SUSPENDED")
    if value != 0:
        raise _unknown("value")
    return StatusVerdict.VALID


def _value(
    given: str | bytes | FetchedToken, uri: str, index: int, anchors: TrustAnchors, at: datetime
) -> int:
    token = given.token if isinstance(given, FetchedToken) else given
    if len(token) > MAX_BYTES:
        raise _unknown("too long")
    try:
        found = _jwt(token, anchors, at) if isinstance(token, str) else _cwt(token, anchors, at)
    except PresentationRefused as fault:
        raise _unknown(str(fault.params.get("fault", fault.code))) from None
    now = int(at.timestamp())
    if found.subject != uri:
        raise _unknown("another list")
    if found.issued_at is None or found.issued_at > now + _TOLERANCE:
        raise _unknown("issued in the future")
    if found.expires is not None and now >= found.expires:
        raise _unknown("expired")
    since = int(given.at.timestamp()) if isinstance(given, FetchedToken) else found.issued_at
    if found.ttl is not None and now > since + found.ttl:
        raise _unknown("stale")
    return entry(found.bits, found.compressed, index)


def entry(bits: int, compressed: bytes, index: int) -> int:
    """The value at ``index`` of a list with ``bits`` an entry (draft, 4.1). Raises PresentationRefused."""
    if bits not in (1, 2, 4, 8):
        raise _unknown("bits")
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(compressed, MAX_INFLATED + 1)
    except zlib.error:
        raise _unknown("compression") from None
    if len(raw) > MAX_INFLATED or not inflater.eof or inflater.unused_data:
        raise _unknown("compression")
    each = 8 // bits
    if index >= len(raw) * each:
        raise _unknown("index beyond the list")
    return raw[index // each] >> index % each * bits & (1 << bits) - 1


def _jwt(token: str, anchors: TrustAnchors, at: datetime) -> _List:
    read = read_jws(token, JWT_TYP)
    signer = anchors.signer(chain_of_x5c(read.header.get("x5c")), at)
    read.verify(public_key(signer), "PRESENTATION_FORGED")
    content = read.payload.get("status_list")
    content = content if isinstance(content, dict) else {}
    text = content.get("lst")
    if not isinstance(text, str):
        raise _unknown("no list")
    try:
        compressed = decoded(text)
    except ValueError:
        raise _unknown("no list") from None
    return _List(
        read.payload.get("sub"),
        integer(read.payload, "iat"),
        integer(read.payload, "exp", optional=True),
        integer(read.payload, "ttl", optional=True),
        _bits(content.get("bits")),
        compressed,
    )


def _cwt(token: bytes, anchors: TrustAnchors, at: datetime) -> _List:
    try:
        message = decode(token, max_bytes=MAX_BYTES)
        elements = message.value if getattr(message, "tag", None) == _SIGN1 else None
        if not isinstance(elements, list) or len(elements) != 4:
            raise _unknown("no COSE_Sign1 with tag 18")
        protected, unprotected, payload, signature = elements
        header = decode(protected, max_bytes=1024)
        claims: Any = decode(payload, max_bytes=MAX_BYTES)
    except (CborRefused, TypeError):
        raise _unknown("no CBOR") from None
    if not isinstance(header, dict) or not isinstance(unprotected, dict) or not isinstance(claims, dict):
        raise _unknown("no header or claims")
    if header.get(cose.ALGORITHM) != cose.ES256 or header.get(cose.TYP) != CWT_TYP:
        raise _unknown("algorithm or type")
    chain = chain_of_x5chain(header.get(_X5CHAIN, unprotected.get(_X5CHAIN)))
    key = public_key(anchors.signer(chain, at))
    signed = cose.encode(["Signature1", protected, b"", payload])
    check_signature(key, signature if isinstance(signature, bytes) else b"", signed, "PRESENTATION_FORGED")
    content = claims.get(_LIST)
    content = content if isinstance(content, dict) else {}
    compressed = content.get("lst")
    if not isinstance(compressed, bytes):
        raise _unknown("no list")
    times = {str(name): claims.get(name) for name in (_IAT, _EXP, _TTL)}
    return _List(
        claims.get(_SUB),
        integer(times, str(_IAT)),
        integer(times, str(_EXP), optional=True),
        integer(times, str(_TTL), optional=True),
        _bits(content.get("bits")),
        compressed,
    )


def _bits(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _unknown(fault: str) -> PresentationRefused:
    return PresentationRefused("PRESENTATION_STATUS_UNKNOWN", fault=fault)
