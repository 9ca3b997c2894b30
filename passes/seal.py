"""The seal SP1: a COSE_Sign1 in base45 that every carrier shows as its QR code.

Layout, keys and limits are in docs/sp1.md. Reading is strict: one pass revision has one accepted text, so
a seal cannot be changed into another spelling of itself. The rotating form is in `passes.rotating`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from keys import cose
from keys.identity import KID_BYTES
from passes import base45
from passes.errors import PassRefusal
from passes.plates import Plate
from passes.seasons import Season

PREFIX = "SP1:"
# Room for a car-sharing organisation of 80 letters; the usual seal has about 150 bytes.
MAX_BYTES = 480
MAX_TEXT = len(PREFIX) + (MAX_BYTES * 3 + 1) // 2
BODY = -65537
# Who somebody is (IANA CWT registry, claim 169): only in proofs of a person, which are never wallet passes.
PERSON = 169

_EXPIRES, _NOT_BEFORE, _ISSUED_AT = 4, 5, 6
_TYPE, _NUMBER, _PLATES, _ZONE, _SEASONS, _ORGANISATION, _CARD_NUMBER, _STATUS = range(8)
_FULL_NAME, _BIRTH_DATE, _ADDRESS = 4, 8, 10
_MAX_NAME = 200
_MAX_LINE, _MAX_LINES = 120, 6
_BIRTH_DATE_FORM = re.compile(r"[12][0-9]{7}")
_NUMBER_FORM = re.compile(r"[A-Za-z0-9._-]{1,40}")
_MAX_PLATES = 8
_MAX_ZONE = 12
_MAX_TEXT_VALUE = 120
_MAX_CARD_NUMBER = 40
# 2200-01-01: no pass of a city runs longer, and every clock in use can hold it.
_MAX_TIME = 7_258_118_400
_MAX_INTEGER = (1 << 53) - 1


class NotASeal(PassRefusal):
    """The text is not a seal at all: some other QR code."""


class MalformedSeal(PassRefusal):
    """The text claims to be a seal but is not one that an issuer could have written."""


@dataclass(frozen=True, slots=True)
class SealedPerson:
    """Whom a proof is about, as claim 169 has it: name, birth date, and the lines of an address, none empty."""

    full_name: str = field(repr=False)
    birth_date: date = field(repr=False)
    address: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealContent:
    """What a seal says. Times are seconds since 1970 (RFC 8392); ``expires`` is the first invalid second."""

    type_code: int
    number: str
    issued_at: int
    not_before: int
    expires: int
    status_list: int
    status_index: int
    plates: tuple[Plate, ...] = ()
    seasons: tuple[Season | None, ...] = ()
    zone: str | None = None
    organisation: str | None = None
    card_number: str | None = None
    further: Mapping[int, int | str | bool] = field(default_factory=dict)
    person: SealedPerson | None = None

    def __post_init__(self) -> None:
        if not self.seasons:
            object.__setattr__(self, "seasons", (None,) * len(self.plates))


@dataclass(frozen=True, slots=True)
class ReadSeal:
    """A strictly read seal. Its content must not be believed before ``message.verify`` has passed."""

    message: cose.Sign1
    content: SealContent


def seconds(at: datetime) -> int:
    """An aware datetime as whole seconds since 1970."""
    return int(at.timestamp())


class Sealer:
    """Writes seals with one key. ``kid`` is its key id, ``signer`` gives 64 bytes r||s (ES256, low s)."""

    def __init__(self, signer: cose.Es256Signer, kid: bytes) -> None:
        self.kid = kid
        self._signer = signer

    def seal(self, content: SealContent) -> str:
        """The SP1 text for ``content``.

        Raises MalformedSeal where a value does not fit the format, and PassRefusal SEAL_TOO_LARGE for
        more than `MAX_BYTES`: the reader would refuse both, so neither leaves the house.
        """
        return PREFIX + base45.encode(_token(content, self._signer, self.kid))


class _Blank:
    """Signs nothing: for the size of a seal its signature's bytes do not matter."""

    def sign(self, _message: bytes) -> bytes:
        return bytes(64)


_BLANK = _Blank()
_BLANK_KID = bytes(KID_BYTES)


def check_fits(content: SealContent) -> None:
    """Refuse what `Sealer.seal` would refuse, without a key: raises the same MalformedSeal and PassRefusal."""
    _token(content, _BLANK, _BLANK_KID)


def _token(content: SealContent, signer: cose.Es256Signer, kid: bytes) -> bytes:
    token = cose.sign1(signer, kid, encode_claims(content))
    if len(token) > MAX_BYTES:
        raise PassRefusal("SEAL_TOO_LARGE", number=content.number, size=len(token), limit=MAX_BYTES)
    return token


def encode_claims(content: SealContent) -> bytes:
    """The claims of ``content`` in deterministic CBOR. Raises MalformedSeal for values outside the format."""
    try:
        _check(content)
    except (AttributeError, TypeError, ValueError) as fault:
        raise MalformedSeal("SEAL_MALFORMED", fault=f"claims: {fault}") from None
    body: dict[object, object] = {_TYPE: content.type_code, _NUMBER: content.number}
    if content.plates:
        body[_PLATES] = [plate.canonical for plate in content.plates]
        if any(content.seasons):
            body[_SEASONS] = [list(season.as_pair()) if season else None for season in content.seasons]
    if content.zone is not None:
        body[_ZONE] = content.zone
    if content.organisation is not None:
        body[_ORGANISATION] = content.organisation
    if content.card_number is not None:
        body[_CARD_NUMBER] = content.card_number
    body[_STATUS] = [content.status_list, content.status_index]
    for key, value in content.further.items():
        body[key] = value
    claims: dict[object, object] = {
        _EXPIRES: content.expires,
        _NOT_BEFORE: content.not_before,
        _ISSUED_AT: content.issued_at,
        BODY: body,
    }
    if content.person is not None:
        claims[PERSON] = _person_claim(content.person)
    return cose.encode(claims)


def _person_claim(person: SealedPerson) -> dict[object, object]:
    return {
        _FULL_NAME: person.full_name,
        _BIRTH_DATE: f"{person.birth_date:%Y%m%d}",
        _ADDRESS: "\n".join(person.address),
    }


def read_seal(text: str) -> ReadSeal:
    """Read an SP1 text without checking its signature.

    Raises NotASeal where the prefix is missing and MalformedSeal for everything that an issuer would
    not have written: other encodings of the same content, unknown headers, values out of range.
    """
    if not text.startswith(PREFIX):
        raise NotASeal("NOT_A_SEAL")
    if len(text) > MAX_TEXT:
        raise MalformedSeal("SEAL_MALFORMED", fault="too long")
    return read_token(text[len(PREFIX) :])


def read_token(encoded: str) -> ReadSeal:
    """Read the base45 part of a seal. Raises MalformedSeal."""
    try:
        message = cose.read_sign1(base45.decode(encoded), max_bytes=MAX_BYTES)
        if message.typ is not None:
            raise MalformedSeal("SEAL_MALFORMED", fault="unknown header parameter")
        claims = cose.decode(message.payload, max_bytes=MAX_BYTES)
    except (base45.Base45Error, cose.CborError, cose.CoseError) as fault:
        raise MalformedSeal("SEAL_MALFORMED", fault=str(fault)) from None
    return ReadSeal(message, _content(claims))


def _content(claims: object) -> SealContent:
    try:
        return _strict_content(claims)
    except (KeyError, TypeError, ValueError, PassRefusal) as fault:
        raise MalformedSeal("SEAL_MALFORMED", fault=f"claims: {fault}") from None


def _strict_content(claims: object) -> SealContent:
    if not isinstance(claims, dict) or len(claims) != (5 if PERSON in claims else 4):
        raise ValueError("not the claims of a seal")
    person = _person(claims[PERSON]) if PERSON in claims else None
    body = claims[BODY]
    if not isinstance(body, dict):
        raise ValueError("no body")
    rest = dict(body)
    type_code, number, status = rest.pop(_TYPE), rest.pop(_NUMBER), rest.pop(_STATUS)
    if not isinstance(status, list) or len(status) != 2:
        raise ValueError("status reference")
    plates: tuple[Plate, ...] = ()
    seasons: tuple[Season | None, ...] = ()
    if _PLATES in rest:
        texts = rest.pop(_PLATES)
        if not isinstance(texts, list) or not 1 <= len(texts) <= _MAX_PLATES:
            raise ValueError("plates")
        plates = tuple([Plate.from_canonical(text) for text in texts])
        seasons = _seasons(rest.pop(_SEASONS), len(plates)) if _SEASONS in rest else (None,) * len(plates)
    zone = _text(rest.pop(_ZONE), _MAX_ZONE) if _ZONE in rest else None
    organisation = _text(rest.pop(_ORGANISATION), _MAX_TEXT_VALUE) if _ORGANISATION in rest else None
    card_number = _text(rest.pop(_CARD_NUMBER), _MAX_CARD_NUMBER) if _CARD_NUMBER in rest else None
    if rest:
        for key, value in rest.items():
            _further(key, value)
    content = SealContent(
        type_code, number, claims[_ISSUED_AT], claims[_NOT_BEFORE], claims[_EXPIRES], status[0], status[1],
        plates, seasons, zone, organisation, card_number, rest, person,
    )  # fmt: skip
    _check_frame(content)
    return content


def _check(content: SealContent) -> None:
    """Refuse to write what the reader would refuse to read; plates and seasons are checked values already."""
    _check_frame(content)
    if len(content.plates) > _MAX_PLATES:
        raise ValueError("plates")
    for plate, season in zip(content.plates, content.seasons, strict=True):
        if type(plate) is not Plate or (season is not None and type(season) is not Season):
            raise ValueError("plates")
    if content.zone is not None:
        _text(content.zone, _MAX_ZONE)
    if content.organisation is not None:
        _text(content.organisation, _MAX_TEXT_VALUE)
    if content.card_number is not None:
        _text(content.card_number, _MAX_CARD_NUMBER)
    for key, value in content.further.items():
        _further(key, value)
    if content.person is not None:
        _person(_person_claim(content.person))


def _check_frame(content: SealContent) -> None:
    """What every seal has: type code, number, times and status reference."""
    for moment in (content.expires, content.not_before, content.issued_at):
        if type(moment) is not int or not 0 <= moment < _MAX_TIME:
            raise ValueError("time out of range")
    if content.not_before >= content.expires:
        raise ValueError("ends before it starts")
    if type(content.type_code) is not int or not 1 <= content.type_code <= 0xFFFF:
        raise ValueError("type code")
    if type(content.number) is not str or not _NUMBER_FORM.fullmatch(content.number):
        raise ValueError("pass number")
    if type(content.status_list) is not int or not 0 <= content.status_list <= 0xFFFF:
        raise ValueError("status list number")
    if type(content.status_index) is not int or not 0 <= content.status_index < 1 << 32:
        raise ValueError("status index")


def _seasons(pairs: object, count: int) -> tuple[Season | None, ...]:
    if not isinstance(pairs, list) or len(pairs) != count or not any(pairs):
        raise ValueError("seasons")
    return tuple([None if pair is None else _season(pair) for pair in pairs])


def _season(pair: object) -> Season:
    if not isinstance(pair, list) or len(pair) != 2 or any(type(month) is not int for month in pair):
        raise ValueError("season")
    return Season(pair[0], pair[1])


def _text(value: object, longest: int) -> str:
    if type(value) is not str or not 1 <= len(value) <= longest:
        raise ValueError("text")
    if not value.isascii() and not unicodedata.is_normalized("NFC", value):
        raise ValueError("text is not NFC")
    if not value.isprintable():
        raise ValueError("text with invisible characters")
    return value


def _person(claim: object) -> SealedPerson:
    """Claim 169 with exactly name, birth date and address: whatever else it could say has no place in a proof."""
    if not isinstance(claim, dict) or set(claim) != {_FULL_NAME, _BIRTH_DATE, _ADDRESS}:
        raise ValueError("person")
    born, address = claim[_BIRTH_DATE], claim[_ADDRESS]
    if type(born) is not str or not _BIRTH_DATE_FORM.fullmatch(born) or type(address) is not str:
        raise ValueError("person")
    lines = address.split("\n")
    if len(lines) > _MAX_LINES:
        raise ValueError("address")
    day = date(int(born[:4]), int(born[4:6]), int(born[6:]))
    return SealedPerson(
        _text(claim[_FULL_NAME], _MAX_NAME), day, tuple([_text(line, _MAX_LINE) for line in lines])
    )


def _further(key: object, value: object) -> None:
    # Keys beyond the built-in ones belong to pass types that are data only: any scalar may stand there.
    if type(key) is not int or not 8 <= key <= 255:
        raise ValueError("unknown body key")
    if type(value) is str:
        _text(value, _MAX_TEXT_VALUE)
    elif type(value) is int:
        # Beyond 53 bits a reader in JavaScript would round.
        if not -_MAX_INTEGER <= value <= _MAX_INTEGER:
            raise ValueError("integer out of range")
    elif type(value) is not bool:
        raise ValueError("body value of an unknown type")
