"""mdoc: a credential of single elements, each of which the holder may show or keep (ISO/IEC 18013-5:2021, 9.1.2).

What is issued is ``IssuerSigned`` in base64url, as OpenID4VCI 1.0 (A.2.4) wants it: no docType around it, the
signature an untagged COSE_Sign1 whose protected header holds the algorithm alone and whose unprotected header holds
the certificates (label 33, RFC 9360). Status: ``status`` in the MSO, as draft-ietf-oauth-status-list-21 has it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec

from keys import cose
from keys.eudi_certificates import EudiSigningIdentity
from passes.credential_cbor import DATE_TIME, ENCODED, FULL_DATE, embedded, encode
from passes.credential_frame import StatusReference, Validity, coordinates
from passes.sd_jwt import Decoy, encoded

VERSION: Final = "1.0"
DIGEST_ALGORITHM: Final = "SHA-256"
X5CHAIN: Final = 33
RANDOM_BYTES: Final = 32
_DIGEST_BYTES: Final = 32
_TAG_24: Final = b"\xd8\x18"
_ORDER: Final = secrets.SystemRandom()

# COSE_Key of RFC 9052 7 and RFC 9053 7.1.1: kty EC2, crv P-256, x, y.
_KTY, _CRV, _X, _Y = 1, -1, -2, -3
_EC2, _P256 = 2, 1

Element = str | int | bool | bytes | date | list["Element"] | dict[str, "Element"]


def issue(
    identity: EudiSigningIdentity,
    *,
    doctype: str,
    elements: Mapping[str, Mapping[str, Element | Decoy]],
    holder: ec.EllipticCurvePublicKey,
    validity: Validity,
    status: StatusReference | None,
) -> str:
    """One credential, ``IssuerSigned`` in base64url. ``elements`` are values by namespace and element identifier.

    A date is written as a full-date (tag 1004). `DECOY` stands for an element this holder does not have: a digest
    with nothing behind it. Digest ids say nothing of the order of the elements. Raises PassRefusal HOLDER_KEY,
    KeyRefusal if the key store no longer answers.
    """
    spaces: dict[str, list[cbor2.CBORTag]] = {}
    digests: dict[str, dict[int, bytes]] = {}
    for namespace, values in elements.items():
        spaces[namespace], digests[namespace] = _namespace(values)
    x, y = coordinates(holder)
    security: dict[str, Any] = {
        "version": VERSION,
        "digestAlgorithm": DIGEST_ALGORITHM,
        "valueDigests": digests,
        "deviceKeyInfo": {"deviceKey": {_KTY: _EC2, _CRV: _P256, _X: x, _Y: y}},
        "docType": doctype,
        "validityInfo": {
            "signed": _moment(validity.issued_at),
            "validFrom": _moment(validity.not_before),
            "validUntil": _moment(validity.expires),
        },
    }
    if status is not None:
        security["status"] = {"status_list": {"idx": status.index, "uri": status.uri}}
    payload = encode(embedded(security))
    signed = {
        "nameSpaces": {name: items for name, items in spaces.items() if items},
        "issuerAuth": sign1(identity, {cose.ALGORITHM: cose.ES256}, payload),
    }
    return encoded(encode(signed))


def sign1(identity: EudiSigningIdentity, protected: Mapping[int, object], payload: bytes) -> list[object]:
    """The four elements of a COSE_Sign1 (RFC 9052 4.2) with the certificates in the unprotected header."""
    header = cose.encode(dict(protected))
    signature = identity.signer.sign(cose.encode(["Signature1", header, b"", payload]))
    chain = identity.x5chain
    return [header, {X5CHAIN: chain[0] if len(chain) == 1 else list(chain)}, payload, signature]


def item_digest(item: bytes) -> bytes:
    """The digest of an encoded IssuerSignedItem: SHA-256 over it in its byte string with tag 24 (9.1.2.5)."""
    return hashlib.sha256(_TAG_24 + cose.encode(item)).digest()


def _namespace(values: Mapping[str, Element | Decoy]) -> tuple[list[cbor2.CBORTag], dict[int, bytes]]:
    ids = list(range(len(values)))
    _ORDER.shuffle(ids)
    random = secrets.token_bytes(RANDOM_BYTES * len(ids))
    items: list[cbor2.CBORTag] = []
    digests: dict[int, bytes] = {}
    for number, (name, value) in zip(ids, values.items(), strict=True):
        if isinstance(value, Decoy):
            digests[number] = secrets.token_bytes(_DIGEST_BYTES)
            continue
        item = encode(
            {
                "digestID": number,
                "random": random[number * RANDOM_BYTES : (number + 1) * RANDOM_BYTES],
                "elementIdentifier": name,
                "elementValue": _element(value),
            }
        )
        items.append(cbor2.CBORTag(ENCODED, item))
        digests[number] = item_digest(item)
    return items, digests


def _element(value: Element) -> object:
    if isinstance(value, date):
        return cbor2.CBORTag(FULL_DATE, value.isoformat())
    if isinstance(value, list):
        return [_element(one) for one in value]
    if isinstance(value, dict):
        return {name: _element(one) for name, one in value.items()}
    return value


@lru_cache(maxsize=256)
def _moment(seconds: int) -> cbor2.CBORTag:
    """A tdate: RFC 3339 in UTC without fractions of a second (ISO/IEC 18013-5, 9.1.2.4)."""
    return cbor2.CBORTag(DATE_TIME, datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
