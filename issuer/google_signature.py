"""Whether a callback comes from Google: ECv2SigningOnly, a root key over an intermediate key over the message.

https://developers.google.com/wallet/generic/use-cases/use-callbacks-for-saves-and-deletions and the payment data
cryptography it refers to. What is signed are texts, each preceded by its length in bytes as four bytes, little end
first. The recipient is part of it, and it is the city's own issuer id, never one that the message names: otherwise
every other issuer's genuine callbacks would be taken too.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

PROTOCOL: Final = "ECv2SigningOnly"
SENDER: Final = "GooglePayPasses"
LARGEST: Final = 16 * 1024
_DIGITS: Final = r"\A[0-9]{1,13}\Z"
_Base64 = Annotated[str, msgspec.Meta(min_length=8, max_length=400)]
_Millis = Annotated[str, msgspec.Meta(pattern=_DIGITS)] | Annotated[int, msgspec.Meta(ge=0, lt=10**13)]
_Identity = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{1,20}\.[A-Za-z0-9._-]{1,120}\Z")]
_Read = TypeVar("_Read")


class CallbackRefused(Exception):
    """The bytes are no callback of Google for this issuer that holds now; ``reason`` is a word for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RootKey(msgspec.Struct, frozen=True):
    """A root key as Google publishes it: base64 of a DER public key, and until when it holds."""

    key: ec.EllipticCurvePublicKey
    expires_at: datetime


class Callback(msgspec.Struct, frozen=True):
    """What Google tells: somebody has added an object (``save``) or removed it (``del``)."""

    object_id: str
    class_id: str
    event: Literal["save", "del"]
    nonce: str
    expires_at: datetime


class _IntermediateSigningKey(msgspec.Struct, frozen=True):
    # Signed as they stand, so these stay texts until their signatures are checked.
    signedKey: Annotated[str, msgspec.Meta(max_length=2000)]  # noqa: N815 - Google's names
    signatures: Annotated[list[_Base64], msgspec.Meta(min_length=1, max_length=4)]


class _Envelope(msgspec.Struct, frozen=True):
    protocolVersion: Annotated[str, msgspec.Meta(max_length=40)]  # noqa: N815
    signature: _Base64
    intermediateSigningKey: _IntermediateSigningKey  # noqa: N815
    signedMessage: Annotated[str, msgspec.Meta(max_length=8000)]  # noqa: N815


class _SignedKey(msgspec.Struct, frozen=True):
    keyValue: _Base64  # noqa: N815
    keyExpiration: _Millis  # noqa: N815


class _Message(msgspec.Struct, frozen=True):
    objectId: _Identity  # noqa: N815
    classId: _Identity  # noqa: N815
    eventType: Literal["save", "del"]  # noqa: N815
    expTimeMillis: _Millis  # noqa: N815
    nonce: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _PublishedKey(msgspec.Struct, frozen=True):
    keyValue: _Base64  # noqa: N815
    protocolVersion: Annotated[str, msgspec.Meta(max_length=40)]  # noqa: N815
    keyExpiration: _Millis  # noqa: N815


class _PublishedKeys(msgspec.Struct, frozen=True):
    keys: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=50)]


def root_keys(data: bytes) -> list[RootKey]:
    """The root keys for callbacks in the JSON that Google publishes; keys of other protocols are left out.

    Raises CallbackRefused root-keys for anything else.
    """
    try:
        published = _read(data.decode("utf-8"), _PublishedKeys).keys
        wanted = [one for one in published if one.get("protocolVersion") == PROTOCOL]
        read = [msgspec.convert(one, _PublishedKey) for one in wanted]
        return [RootKey(_public_key(one.keyValue), _moment(one.keyExpiration)) for one in read]
    except (ValueError, msgspec.ValidationError) as fault:
        raise CallbackRefused("root-keys") from fault


def verified(data: bytes, roots: Sequence[RootKey], issuer_id: str, now: datetime) -> Callback:
    """The callback in ``data``, if Google has signed it for ``issuer_id`` and it holds at ``now`` (aware).

    Nothing of the message is looked at before both signatures are good. Raises CallbackRefused.
    """
    if len(data) > LARGEST:
        raise CallbackRefused("too-large")
    try:
        envelope = _read(data.decode("utf-8"), _Envelope)
    except (ValueError, msgspec.ValidationError) as fault:
        raise CallbackRefused("form") from fault
    if envelope.protocolVersion != PROTOCOL:
        raise CallbackRefused("protocol")
    intermediate = _intermediate_key(envelope.intermediateSigningKey, roots, now)
    try:
        signed = signed_bytes(SENDER, issuer_id, PROTOCOL, envelope.signedMessage)
        if not _is_signed([intermediate], [envelope.signature], signed):
            raise CallbackRefused("message-signature")
        message = _read(envelope.signedMessage, _Message)
        expires_at = _moment(message.expTimeMillis)
    except (ValueError, msgspec.ValidationError) as fault:
        raise CallbackRefused("message") from fault
    if expires_at <= now:
        raise CallbackRefused("message-expired")
    return Callback(message.objectId, message.classId, message.eventType, message.nonce, expires_at)


def signed_bytes(*parts: str) -> bytes:
    """What is signed: each part in UTF-8 behind its length in bytes. Raises ValueError for lone surrogates."""
    encoded = [part.encode("utf-8") for part in parts]
    return b"".join(len(part).to_bytes(4, "little") + part for part in encoded)


def _intermediate_key(
    intermediate: _IntermediateSigningKey, roots: Sequence[RootKey], now: datetime
) -> ec.EllipticCurvePublicKey:
    holding = [root.key for root in roots if root.expires_at > now]
    try:
        signed = signed_bytes(SENDER, PROTOCOL, intermediate.signedKey)
        if not _is_signed(holding, intermediate.signatures, signed):
            raise CallbackRefused("key-signature")
        key = _read(intermediate.signedKey, _SignedKey)
        if _moment(key.keyExpiration) <= now:
            raise CallbackRefused("key-expired")
        return _public_key(key.keyValue)
    except (ValueError, msgspec.ValidationError) as fault:
        raise CallbackRefused("key") from fault


def _is_signed(keys: Sequence[ec.EllipticCurvePublicKey], signatures: Iterable[str], signed: bytes) -> bool:
    """Whether one of ``signatures`` (base64 of DER) was made by one of ``keys``."""
    for signature in signatures:
        der = _base64(signature)
        for key in keys:
            try:
                key.verify(der, signed, ec.ECDSA(SHA256()))
            except InvalidSignature:
                continue
            return True
    return False


def _public_key(text: str) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(_base64(text))
    except UnsupportedAlgorithm as fault:
        raise ValueError("not a key on P-256") from fault
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a key on P-256")
    return key


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as fault:
        raise ValueError("not base64") from fault


def _moment(millis: str | int) -> datetime:
    return datetime.fromtimestamp(int(millis) / 1000, UTC)


def _read(text: str, kind: type[_Read]) -> _Read:
    """Strict JSON as ``kind``; members that are not known may be there. Raises ValueError, ValidationError."""
    try:
        told = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as fault:
        raise ValueError("nested too deeply") from fault
    return msgspec.convert(told, kind)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two members with one name, the signer and we might mean different ones.
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice")
    return made


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
