"""Checking an mdoc DeviceResponse (ISO/IEC 18013-5:2021, 9.1 and 9.3), presented over OpenID4VP 1.0 (B.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from keys import cose
from passes.credential_cbor import (
    DATE_TIME,
    ENCODED,
    FULL_DATE,
    CborRefused,
    decode,
    embedded,
    embedded_bytes,
    encode,
    opened,
)
from passes.mdoc import DIGEST_ALGORITHM, VERSION, X5CHAIN, item_digest
from verifier.credentials.chain import TrustAnchors, chain_of_x5chain, check_signature, public_key
from verifier.credentials.outcome import PresentationRefused, Presented, malformed
from verifier.credentials.status import StatusLists, check_status

MAX_BYTES: Final = 512 * 1024
TOLERANCE: Final = timedelta(minutes=2)
_MAX_ELEMENTS: Final = 200
_ITEM: Final = {"digestID", "random", "elementIdentifier", "elementValue"}
_SHORTEST_RANDOM: Final = 16


@dataclass(frozen=True, slots=True)
class ExpectedMdoc:
    """What the question was: the document types asked for, and the encoded SessionTranscript of this session.

    The transcript holds client id, nonce and response address: a presentation made for another verifier or an earlier
    question does not verify with it.
    """

    types: Collection[str]
    session_transcript: bytes


def openid4vp_transcript(
    client_id: str, nonce: str, response_uri: str, jwk_thumbprint: bytes | None
) -> bytes:
    """The encoded SessionTranscript of OpenID4VP 1.0, B.2.6.1, with ``direct_post`` and ``direct_post.jwt``.

    ``jwk_thumbprint`` is the SHA-256 thumbprint (RFC 7638) of the key the response is encrypted to, None without.
    """
    information = cose.encode([client_id, nonce, jwk_thumbprint, response_uri])
    return cose.encode([None, None, ["OpenID4VPHandover", hashlib.sha256(information).digest()]])


def check_mdoc(
    response: bytes,
    anchors: TrustAnchors,
    expected: ExpectedMdoc,
    at: datetime,
    status_lists: StatusLists | None,
) -> Presented:
    """The elements of the one document in ``response`` (DeviceResponse) at ``at`` (aware), if all of it holds.

    ``status_lists`` are the Status List Tokens fetched, by URI; None where the caller does not ask.
    Raises PresentationRefused; that a session's nonce is used once only is the caller's to see to.
    """
    if at.tzinfo is None:
        raise ValueError("a time has no zone")
    try:
        return _checked(decode(response, max_bytes=MAX_BYTES), anchors, expected, at, status_lists)
    except CborRefused as fault:
        raise malformed(str(fault)) from None


def _checked(
    response: object,
    anchors: TrustAnchors,
    expected: ExpectedMdoc,
    at: datetime,
    status_lists: StatusLists | None,
) -> Presented:
    whole = _map(response, {"version", "documents", "status"}, "DeviceResponse")
    if whole["version"] != VERSION or not _is(whole["status"], 0):
        raise malformed("version or status")
    documents = whole["documents"]
    if not isinstance(documents, list) or len(documents) != 1:
        raise malformed("not one document")
    document = _map(documents[0], {"docType", "issuerSigned", "deviceSigned"}, "document")
    doctype = document["docType"]
    issuer = _map(document["issuerSigned"], {"nameSpaces", "issuerAuth"}, "issuerSigned")
    security, certificate = security_object(issuer["issuerAuth"], anchors, at)
    if security["docType"] != doctype:
        raise PresentationRefused("PRESENTATION_FORGED")
    if doctype not in expected.types:
        raise PresentationRefused("PRESENTATION_TYPE")
    elements = issued_elements(issuer["nameSpaces"], security["valueDigests"])
    expires = _check_validity(security["validityInfo"], certificate, at)
    holder = _device_key(security["deviceKeyInfo"])
    _check_device(document["deviceSigned"], doctype, holder, expected.session_transcript)
    status = check_status(security.get("status"), status_lists, anchors, at)
    shown: frozenset[tuple[str | int, ...]] = frozenset(
        (space, name) for space, values in elements.items() for name in values
    )
    return Presented(doctype, elements, certificate, holder, expires, status, shown)


def security_object(
    signed: object, anchors: TrustAnchors, at: datetime
) -> tuple[dict[str, Any], x509.Certificate]:
    """The Mobile Security Object in ``issuerAuth`` and its signer's certificate, the signature checked.

    Raises PresentationRefused, CborRefused.
    """
    protected, unprotected, payload, signature = _sign1(signed)
    if set(unprotected) != {X5CHAIN} or not isinstance(payload, bytes):
        raise malformed("issuerAuth")
    certificate = anchors.signer(chain_of_x5chain(unprotected[X5CHAIN]), at)
    to_be_signed = cose.encode(["Signature1", protected, b"", payload])
    check_signature(public_key(certificate), signature, to_be_signed, "PRESENTATION_FORGED")
    security = opened(decode(payload, max_bytes=MAX_BYTES), max_bytes=MAX_BYTES)
    needed = {"version", "digestAlgorithm", "valueDigests", "deviceKeyInfo", "docType", "validityInfo"}
    if not isinstance(security, dict) or not needed <= security.keys():
        raise malformed("MSO")
    if security["version"] != VERSION or security["digestAlgorithm"] != DIGEST_ALGORITHM:
        raise PresentationRefused("PRESENTATION_ALGORITHM")
    return security, certificate


def issued_elements(spaces: object, digests: object) -> dict[str, dict[str, Any]]:
    """The elements in ``nameSpaces`` by namespace, each held against its digest in the MSO.

    Raises PresentationRefused, CborRefused.
    """
    if not isinstance(spaces, dict) or not isinstance(digests, dict):
        raise malformed("nameSpaces")
    made: dict[str, dict[str, Any]] = {}
    for namespace, items in spaces.items():
        known = digests.get(namespace)
        if not isinstance(namespace, str) or not isinstance(items, list) or not isinstance(known, dict):
            raise PresentationRefused("PRESENTATION_DISCLOSURE", fault="an unknown namespace")
        if len(items) > _MAX_ELEMENTS:
            raise malformed("too many elements")
        made[namespace] = {}
        seen: set[int] = set()
        for one in items:
            content = embedded_bytes(one)
            item = _map(decode(content, max_bytes=MAX_BYTES), _ITEM, "IssuerSignedItem")
            number, name, random = item["digestID"], item["elementIdentifier"], item["random"]
            if isinstance(number, bool) or not isinstance(number, int) or not isinstance(name, str):
                raise malformed("IssuerSignedItem")
            if not isinstance(random, bytes) or len(random) < _SHORTEST_RANDOM:
                raise malformed("random")
            if known.get(number) != item_digest(content):
                raise PresentationRefused("PRESENTATION_DISCLOSURE", fault="its digest differs")
            if number in seen or name in made[namespace]:
                raise PresentationRefused("PRESENTATION_DISCLOSURE", fault="disclosed twice")
            seen.add(number)
            made[namespace][name] = _plain(item["elementValue"])
    return made


def _check_validity(info: object, certificate: x509.Certificate, at: datetime) -> datetime:
    if not isinstance(info, dict):
        raise malformed("validityInfo")
    signed, begins, expires = (_moment(info.get(name)) for name in ("signed", "validFrom", "validUntil"))
    # ISO/IEC 18013-5, 9.3.1: signed while the certificate counted.
    if not certificate.not_valid_before_utc <= signed <= certificate.not_valid_after_utc:
        raise PresentationRefused("PRESENTATION_UNKNOWN_ISSUER")
    if signed > begins or begins >= expires:
        raise malformed("validityInfo")
    if at + TOLERANCE < begins:
        raise PresentationRefused("PRESENTATION_NOT_YET_VALID")
    if at >= expires:
        raise PresentationRefused("PRESENTATION_EXPIRED")
    return expires


def _device_key(info: object) -> ec.EllipticCurvePublicKey:
    key = info.get("deviceKey") if isinstance(info, dict) else None
    if not isinstance(key, dict) or not _is(key.get(1), 2) or not _is(key.get(-1), 1):
        raise PresentationRefused("PRESENTATION_NO_HOLDER")
    x, y = key.get(-2), key.get(-3)
    if not isinstance(x, bytes) or not isinstance(y, bytes) or (len(x), len(y)) != (32, 32):
        raise PresentationRefused("PRESENTATION_NO_HOLDER")
    try:
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()
        )
        return numbers.public_key()
    except ValueError:
        raise PresentationRefused("PRESENTATION_NO_HOLDER") from None


def _check_device(signed: object, doctype: str, holder: ec.EllipticCurvePublicKey, transcript: bytes) -> None:
    device = _map(signed, {"nameSpaces", "deviceAuth"}, "deviceSigned")
    spaces = device["nameSpaces"]
    # What the device says of itself was not asked for, and nobody has allowed it to (keyAuthorizations).
    if opened(spaces, max_bytes=1024) != {}:
        raise malformed("the device's own elements")
    authentication = _map(device["deviceAuth"], {"deviceSignature"}, "deviceAuth")
    protected, unprotected, payload, signature = _sign1(authentication["deviceSignature"])
    if payload is not None or unprotected:
        raise malformed("deviceSignature")
    # The transcript goes in as it was handed over; it is an array of ours, encoded already.
    told = embedded(["DeviceAuthentication", decode(transcript, max_bytes=MAX_BYTES), doctype, spaces])
    to_be_signed = cose.encode(["Signature1", protected, b"", encode(told)])
    check_signature(holder, signature, to_be_signed, "PRESENTATION_HOLDER_FORGED")


def _sign1(value: object) -> tuple[bytes, dict[Any, Any], object, bytes]:
    """The elements of an untagged COSE_Sign1 with ES256 alone in its protected header."""
    if not isinstance(value, list) or len(value) != 4:
        raise malformed("no untagged COSE_Sign1")
    protected, unprotected, payload, signature = value
    if (
        not isinstance(protected, bytes)
        or not isinstance(unprotected, dict)
        or not isinstance(signature, bytes)
    ):
        raise malformed("no COSE_Sign1")
    header = decode(protected, max_bytes=256)
    if not isinstance(header, dict) or set(header) != {cose.ALGORITHM}:
        raise malformed("protected header")
    if not _is(header[cose.ALGORITHM], cose.ES256):
        raise PresentationRefused("PRESENTATION_ALGORITHM")
    return protected, unprotected, payload, signature


def _map(value: object, names: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise malformed(what)
    return value


def _is(value: object, number: int) -> bool:
    return type(value) is int and value == number


def _moment(value: object) -> datetime:
    """A tdate, aware (ISO/IEC 18013-5, 7.2.1)."""
    if isinstance(value, cbor2.CBORTag) and value.tag == DATE_TIME and isinstance(value.value, str):
        try:
            moment = datetime.fromisoformat(value.value)
        except ValueError:
            raise malformed("tdate") from None
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    raise malformed("tdate")


def _plain(value: Any) -> Any:
    """An element's value in Python's own types."""
    if isinstance(value, cbor2.CBORTag):
        if value.tag == DATE_TIME:
            return _moment(value)
        if value.tag == FULL_DATE and isinstance(value.value, str):
            try:
                return date.fromisoformat(value.value)
            except ValueError:
                raise malformed("full-date") from None
        if value.tag == ENCODED:
            return _plain(opened(value, max_bytes=MAX_BYTES))
        raise malformed("tag")
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value
