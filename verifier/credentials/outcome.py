"""What comes of checking a presentation: its claims, or a refusal that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from keys.errors import Refusal


class PresentationRefused(Refusal):
    """A presentation that is not to be believed, or not now.

    Codes: PRESENTATION_MALFORMED with the fault, PRESENTATION_ALGORITHM, PRESENTATION_SELF_SIGNED,
    PRESENTATION_UNKNOWN_ISSUER, PRESENTATION_FORGED, PRESENTATION_DISCLOSURE with the fault, PRESENTATION_TYPE,
    PRESENTATION_NOT_YET_VALID, PRESENTATION_EXPIRED, PRESENTATION_NO_HOLDER, PRESENTATION_HOLDER_FORGED,
    PRESENTATION_AUDIENCE, PRESENTATION_NONCE, PRESENTATION_OLD, PRESENTATION_REVOKED, PRESENTATION_SUSPENDED,
    PRESENTATION_STATUS_UNKNOWN with the fault: nobody can say, so it is no word against the holder.
    """

    package = "verifier"


class StatusVerdict(StrEnum):
    """What the status of an accepted credential is known by."""

    VALID = "valid"
    NONE = "none"  # the credential names no list: it ends by itself
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Presented:
    """A presentation that holds: who issued what, to whose key, until when.

    ``type`` is the vct or docType. ``claims`` are those disclosed: of an SD-JWT VC as JSON without the claims of the
    format itself; of an mdoc elements by namespace, dates as ``date`` and aware ``datetime``. ``certificate`` is the
    signer's; ``expires`` is aware. ``disclosed`` are the paths of what the holder could have kept and has shown, of
    an mdoc namespace and element; numbers are places in the array as it was signed.
    """

    type: str
    claims: Mapping[str, Any]
    certificate: x509.Certificate
    holder: ec.EllipticCurvePublicKey
    expires: datetime
    status: StatusVerdict
    disclosed: frozenset[tuple[str | int, ...]] = frozenset()


def malformed(fault: str) -> PresentationRefused:
    """The refusal of bytes that are not what they should be; ``fault`` quotes nothing of them."""
    return PresentationRefused("PRESENTATION_MALFORMED", fault=fault)
