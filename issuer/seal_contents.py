"""Everything that a seal holds, byte for byte and claim by claim: for holders, and for whoever watches over data.

What is shown was read by the codec that verifiers use (`passes.seal`, `keys.cose`); nothing is taken from the
register but the key's own entry, against which the signature is checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.errors import IssuerRefusal
from keys import cose
from keys.texts import Texts
from passes import base45, rotating
from passes.pass_types import PassType
from passes.periods import BERLIN
from passes.seal import BODY, MAX_BYTES, PERSON, PREFIX, ReadSeal, read_seal, read_token

_PER_LINE: Final = 8
# RFC 8392, and the body's own keys; docs/sp1.md is the place where they are laid down.
_TIMES: Final = (4, 5, 6)
_CLAIMS: Final = {4: "EXPIRES", 5: "NOT_BEFORE", 6: "ISSUED_AT", PERSON: "PERSON", BODY: "BODY"}
# Of claim 169 what our proofs have.
_PERSON: Final = {4: "NAME", 8: "BIRTH_DATE", 10: "ADDRESS"}
_BODY: Final = {
    0: "TYPE", 1: "NUMBER", 2: "PLATES", 3: "ZONE", 4: "SEASONS", 5: "ORGANISATION", 6: "CARD_NUMBER", 7: "STATUS",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the structure: its place or key, what it is in plain words, its value as it stands there."""

    key: str
    meaning: str
    value: str
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class SealContents:
    """A seal taken apart: ``lines`` are its bytes in hex, eight a line; ``is_signed`` if the signature holds."""

    text: str
    size: int
    lines: tuple[str, ...]
    parts: tuple[Part, ...]
    is_signed: bool


def contents_of(
    session: Session, tenant: str, text: str, pass_types: Iterable[PassType], say: Texts
) -> SealContents:
    """The seal ``text``, static or rotating, in the language of ``say``; ``pass_types`` are those the city has.

    Raises MalformedSeal, NotASeal for a text that no issuer has written.
    """
    encoded = rotating.split(text).token if text.startswith(rotating.PREFIX) else ""
    read = read_token(encoded) if encoded else read_seal(text)
    data = base45.decode(encoded or text.removeprefix(PREFIX))
    pass_type = next((one for one in pass_types if one.seal_code == read.content.type_code), None)
    claims = cose.decode(read.message.payload, max_bytes=MAX_BYTES)
    return SealContents(
        text,
        len(data),
        tuple(data[at : at + _PER_LINE].hex(" ") for at in range(0, len(data), _PER_LINE)),
        (
            Part("18", say("SEAL_PART_TAG"), "COSE_Sign1"),
            Part(
                "[0]",
                say("SEAL_PART_PROTECTED"),
                "",
                (
                    Part(str(cose.ALGORITHM), say("SEAL_PART_ALGORITHM"), f"{cose.ES256} (ES256)"),
                    Part(str(cose.KID), say("SEAL_PART_KID"), read.message.kid.hex()),
                ),
            ),
            Part("[1]", say("SEAL_PART_UNPROTECTED"), "{}"),
            Part("[2]", say("SEAL_PART_PAYLOAD"), "", tuple(_claims(claims, pass_type, say))),
            Part("[3]", say("SEAL_PART_SIGNATURE"), read.message.signature.hex()),
        ),
        _is_signed(session, tenant, read),
    )


def _claims(claims: object, pass_type: PassType | None, say: Texts) -> Iterable[Part]:
    for key, value in _items(claims):
        meaning = say(f"SEAL_CLAIM_{_CLAIMS[key]}")
        if key == PERSON:
            parts = [
                Part(str(name), say(f"SEAL_PERSON_{_PERSON[name]}"), _words(one, say))
                for name, one in _items(value)
            ]
            yield Part(str(key), meaning, "", tuple(parts))
        elif key == BODY:
            yield Part(str(key), meaning, "", tuple(_body(value, pass_type, say)))
        else:
            yield Part(str(key), meaning, f"{value} ({_moment(value)})" if key in _TIMES else str(value))


def _body(body: object, pass_type: PassType | None, say: Texts) -> Iterable[Part]:
    own = {one.seal_key: one.name for one in pass_type.spec.attributes} if pass_type is not None else {}
    labels = pass_type.words(say.language).labels if pass_type is not None else {}
    for key, value in _items(body):
        if key in _BODY:
            meaning = say(f"SEAL_BODY_{_BODY[key]}")
        else:
            meaning = labels.get(own.get(key, ""), say("SEAL_BODY_OTHER"))
        yield Part(str(key), meaning, _words(value, say))


def _items(value: object) -> Iterable[tuple[int, object]]:
    """The pairs of a map with whole numbers for keys, as `read_seal` has found it to be."""
    if isinstance(value, dict):
        yield from value.items()


def _words(value: object, say: Texts) -> str:
    if isinstance(value, list):
        return ", ".join(_words(one, say) for one in value)
    if value is None:
        return say("SEAL_NOTHING")
    return str(value)


def _moment(seconds: object) -> str:
    at = datetime.fromtimestamp(seconds if isinstance(seconds, int) else 0, UTC).astimezone(BERLIN)
    return f"{at:%Y-%m-%d %H:%M:%S %Z}"


def _is_signed(session: Session, tenant: str, read: ReadSeal) -> bool:
    try:
        record = keyring.find(session, tenant, read.message.kid.hex())
    except IssuerRefusal:
        return False
    key = load_der_public_key(record.spki) if record.spki else None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        read.message.verify(key)
    except InvalidSignature:
        return False
    return True
