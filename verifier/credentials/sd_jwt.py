"""Checking a presentation of an SD-JWT VC with key binding (RFC 9901, 7.3; SD-JWT VC; HAIP 1.0)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from passes.credential_frame import holder_key
from passes.errors import PassRefusal
from passes.sd_jwt import REGISTERED, TYP, encoded
from verifier.credentials.chain import TrustAnchors, chain_of_x5c, public_key
from verifier.credentials.disclosures import disclosed
from verifier.credentials.jose import UnverifiedJws, integer, read_jws
from verifier.credentials.outcome import PresentationRefused, Presented, malformed
from verifier.credentials.status import StatusLists, check_status

KEY_BINDING_TYP: Final = "kb+jwt"
MAX_CHARACTERS: Final = 128 * 1024
# A presentation is made for one question; older ones are somebody's copy.
MAX_AGE: Final = 300
TOLERANCE: Final = 120


@dataclass(frozen=True, slots=True)
class Expected:
    """What the question was: the types asked for, to whom the answer goes, and the nonce of this one question.

    ``audience`` is the verifier's whole ``client_id`` with its prefix. Of ``types`` (vct) one must be presented.
    """

    types: Collection[str]
    audience: str
    nonce: str


def check_sd_jwt(
    presentation: str,
    anchors: TrustAnchors,
    expected: Expected,
    at: datetime,
    status_lists: StatusLists | None,
) -> Presented:
    """The claims of ``presentation`` (``JWT~disclosures~KB-JWT``) at ``at`` (aware), if all of it holds.

    ``status_lists`` are the Status List Tokens fetched, by URI; None where the caller does not ask.
    Raises PresentationRefused; that a nonce is used once only is the caller's to see to.
    """
    if at.tzinfo is None:
        raise ValueError("a time has no zone")
    if len(presentation) > MAX_CHARACTERS or not presentation.isascii():
        raise malformed("too long or not ASCII")
    token, *rest = presentation.split("~")
    if len(rest) < 1:
        raise malformed("no SD-JWT")
    *disclosures, binding = rest
    issued = read_jws(token, TYP)
    certificate = anchors.signer(chain_of_x5c(issued.header.get("x5c")), at)
    issued.verify(public_key(certificate), "PRESENTATION_FORGED")
    claims, shown = disclosed(issued.payload, disclosures)
    vct = claims.get("vct")
    if not isinstance(vct, str) or vct not in expected.types:
        raise PresentationRefused("PRESENTATION_TYPE")
    expires = _check_times(issued, int(at.timestamp()))
    holder = _holder(claims)
    covered = presentation[: len(presentation) - len(binding)]
    _check_binding(binding, covered, holder, expected, int(at.timestamp()))
    status = check_status(claims.get("status"), status_lists, anchors, at)
    told = {name: value for name, value in claims.items() if name not in REGISTERED}
    return Presented(vct, told, certificate, holder, datetime.fromtimestamp(expires, UTC), status, shown)


def _check_times(issued: UnverifiedJws, now: int) -> int:
    begins = integer(issued.payload, "nbf", optional=True)
    expires = integer(issued.payload, "exp", optional=True)
    if begins is not None and now + TOLERANCE < begins:
        raise PresentationRefused("PRESENTATION_NOT_YET_VALID")
    if expires is None:
        raise malformed("exp")
    if now >= expires:
        raise PresentationRefused("PRESENTATION_EXPIRED")
    return expires


def _holder(claims: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    confirmation = claims.get("cnf")
    jwk = confirmation.get("jwk") if isinstance(confirmation, dict) else None
    if not isinstance(jwk, dict):
        raise PresentationRefused("PRESENTATION_NO_HOLDER")
    try:
        return holder_key(jwk)
    except PassRefusal:
        raise PresentationRefused("PRESENTATION_NO_HOLDER") from None


def _check_binding(
    binding: str, covered: str, holder: ec.EllipticCurvePublicKey, expected: Expected, now: int
) -> None:
    if not binding:
        raise PresentationRefused("PRESENTATION_NO_HOLDER")
    read = read_jws(binding, KEY_BINDING_TYP)
    read.verify(holder, "PRESENTATION_HOLDER_FORGED")
    if read.payload.get("aud") != expected.audience:
        raise PresentationRefused("PRESENTATION_AUDIENCE")
    nonce = read.payload.get("nonce")
    # JSON may hold half of a surrogate pair, which is no UTF-8.
    if not isinstance(nonce, str) or not nonce.isascii():
        raise PresentationRefused("PRESENTATION_NONCE")
    if not secrets.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise PresentationRefused("PRESENTATION_NONCE")
    wanted = encoded(hashlib.sha256(covered.encode("ascii")).digest())
    if read.payload.get("sd_hash") != wanted:
        raise PresentationRefused("PRESENTATION_HOLDER_FORGED")
    issued_at = integer(read.payload, "iat")
    if issued_at is None or not now - MAX_AGE <= issued_at <= now + TOLERANCE:
        raise PresentationRefused("PRESENTATION_OLD")
