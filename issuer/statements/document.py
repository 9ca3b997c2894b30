"""What a statement says, and its one form: a JWS (RFC 7515, compact) over its JSON, ES256.

JSON, because whoever files it reads it with what they have; a JWS, because every language has a library for it. The
header has exactly ``alg``, ``typ`` and ``kid``, so nothing in it can lead a reader elsewhere. The key has the purpose
``statement`` and stands in the trust bundle; the reader decides the algorithm.
"""

from __future__ import annotations

import re
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from issuer.errors import IssuerRefusal
from keys import es256
from keys.identity import KID_BYTES
from keys.store import Signer

TYP: Final = "stadtpass-statement+jws"
MEDIA_TYPE: Final = "application/jose"
MAX_BYTES: Final = 256 * 1024
_LARGEST_PDF: Final = 16 * 1024 * 1024
# Ours have some dozens; each costs a try to unpack.
_MOST_STREAMS: Final = 2000
_COMPACT: Final = re.compile(rb"[A-Za-z0-9_-]{1,400}\.[A-Za-z0-9_-]{1,262144}\.[A-Za-z0-9_-]{86}")
_STREAM: Final = re.compile(rb"stream\r?\n")


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was asked: the plate as it was read, the zone (None: any), and the moment (aware)."""

    plate: str
    zone: str | None
    at: datetime


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that was done to a permit: the action's name, and the status after it where it set one."""

    at: datetime
    action: str
    status: str | None = None


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place in a status list."""

    list: int
    index: int


class Permit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A permit that named the plate, as it stood at the moment asked about; days are Europe/Berlin, inclusive.

    ``finding`` is why it counts or does not. ``binding`` is the version that was in force, in force since
    ``binding_since`` and until ``binding_until`` (None: still). ``entered_at`` is when the register came to know the
    permit. ``steps`` are all changes of it up to now, so also what came after the moment.
    """

    type: str
    number: str
    plate: str
    finding: str
    status: str
    first_day: date
    last_day: date
    zone: str | None
    season: str | None
    binding: int
    binding_since: datetime
    binding_until: datetime | None
    entered_at: datetime
    status_list: Place | None
    steps: list[Step]


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signed list that was the published one at the moment asked about."""

    name: str
    sequence: int
    published_at: datetime


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer. ``answer`` is ``permit``, ``no-permit`` or ``not-held``; ``reason`` is the finding behind it.

    ``not-held``: passes whose days reached the moment have been deleted since, so from finding none nothing follows.
    ``published`` are the lists of that time as far as the register still has them; lists that were replaced are not
    kept. ``audit_sequence`` and ``audit_hash`` are the head of the audit trail that the answer was read from.
    ``register_since``: of the time before, the register knows what was taken over into it.
    """

    version: Literal[1]
    id: str
    issuer: str
    tenant: str
    test: bool
    made_at: datetime
    question: Question
    answer: Literal["permit", "no-permit", "not-held"]
    reason: str
    permits: list[Permit]
    other_plates: list[str]
    published: list[Published]
    register_since: datetime
    audit_sequence: int
    audit_hash: str


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: Literal["ES256"]
    typ: Literal["stadtpass-statement+jws"]
    kid: str


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement as it was read; not to be believed before `verify`."""

    kid: bytes
    statement: Statement
    signed: bytes
    signature: bytes

    def verify(self, public_key: ec.EllipticCurvePublicKey) -> None:
        """Check the signature. Raises IssuerRefusal STATEMENT_SIGNATURE."""
        try:
            es256.verify(public_key, self.signature, self.signed)
        except InvalidSignature:
            raise IssuerRefusal("STATEMENT_SIGNATURE") from None


def sign(statement: Statement, signer: Signer, kid: bytes) -> str:
    """The statement as a compact JWS."""
    header = {"alg": "ES256", "kid": kid.hex(), "typ": TYP}
    signed = f"{_encoded(msgspec.json.encode(header))}.{_encoded(msgspec.json.encode(statement))}"
    return f"{signed}.{_encoded(signer.sign(signed.encode()))}"


def read(data: bytes) -> SignedStatement:
    """The statement in ``data``: a compact JWS, or a PDF with one attached. Raises IssuerRefusal STATEMENT_MALFORMED.

    Exactly what `sign` writes is accepted: one spelling of header, payload and signature.
    """
    try:
        compact = _in_pdf(data) if data.startswith(b"%PDF-") else data.strip()
        if len(compact) > MAX_BYTES or _COMPACT.fullmatch(compact) is None:
            raise ValueError("no statement")
        header, payload, signature = compact.split(b".")
        told = msgspec.json.decode(_decoded(header), type=_Header)
        kid = bytes.fromhex(told.kid)
        if len(kid) != KID_BYTES or told.kid != kid.hex():
            raise ValueError("kid")
        statement = msgspec.json.decode(_decoded(payload), type=Statement)
        return SignedStatement(kid, statement, header + b"." + payload, _decoded(signature))
    except ValueError as fault:
        # msgspec's errors are ValueErrors too; their texts may quote what a stranger wrote.
        raise IssuerRefusal("STATEMENT_MALFORMED") from fault


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: bytes) -> bytes:
    data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if _encoded(data).encode() != text:
        raise ValueError("another spelling")
    return data


def _in_pdf(data: bytes) -> bytes:
    if len(data) > _LARGEST_PDF:
        raise ValueError("too large")
    found = set(_attached(data))
    if len(found) != 1:
        raise ValueError("no statement, or several")
    return found.pop()


def _attached(data: bytes) -> Iterator[bytes]:
    """The streams of a PDF that have the form of a statement; nothing else of the file is interpreted."""
    for place in islice(_STREAM.finditer(data), _MOST_STREAMS):
        rest = data[place.end() : place.end() + MAX_BYTES]
        plain = rest[: max(rest.find(b"endstream"), 0)].strip()
        if _COMPACT.fullmatch(plain):
            yield plain
            continue
        try:
            unpacked = zlib.decompressobj().decompress(rest, MAX_BYTES)
        except zlib.error:
            continue
        if _COMPACT.fullmatch(unpacked.strip()):
            yield unpacked.strip()
