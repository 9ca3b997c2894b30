"""Whose signature counts: certificates in a token up to a trust anchor, and ES256 over its bytes.

Path validation (RFC 5280 6.1) is that of `cryptography`. What is asked of a signer besides: its certificate is not
self-signed and no anchor, it is no authority, and it may sign (HAIP 1.0, 6.1.1).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from keys import es256
from verifier.credentials.outcome import PresentationRefused, malformed

_MAX_CHAIN = 4
_MAX_CERTIFICATE = 8 * 1024
# Not all faults of a certificate are ValueErrors.
_FAULTS = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class TrustAnchors:
    """The certificates of authorities that are trusted for one kind of credential.

    Raises ValueError for none at all: with nothing to trust, nothing can be checked.
    """

    def __init__(self, certificates: Iterable[x509.Certificate]) -> None:
        self._certificates = frozenset(certificates)
        if not self._certificates:
            raise ValueError("no trust anchors")
        self._store = Store(list(self._certificates))

    @classmethod
    def from_pem(cls, pem: bytes) -> TrustAnchors:
        """The anchors in a PEM file. Raises ValueError."""
        return cls(x509.load_pem_x509_certificates(pem))

    def signer(self, chain: Sequence[bytes], at: datetime) -> x509.Certificate:
        """The first certificate of ``chain`` (DER, leaf first), if it leads to an anchor at ``at`` (aware).

        Raises PresentationRefused: PRESENTATION_MALFORMED, PRESENTATION_SELF_SIGNED, PRESENTATION_UNKNOWN_ISSUER.
        """
        if not 1 <= len(chain) <= _MAX_CHAIN or any(len(one) > _MAX_CERTIFICATE for one in chain):
            raise malformed("certificates")
        try:
            leaf, *above = [x509.load_der_x509_certificate(one) for one in chain]
            is_self_signed = leaf.subject == leaf.issuer
        except _FAULTS:
            raise malformed("certificates") from None
        if is_self_signed or leaf in self._certificates:
            raise PresentationRefused("PRESENTATION_SELF_SIGNED")
        try:
            moment = at.astimezone(UTC).replace(tzinfo=None)
            builder = PolicyBuilder().store(self._store).time(moment).max_chain_depth(_MAX_CHAIN)
            builder = builder.extension_policies(
                ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=_SIGNER
            )
            builder.build_client_verifier().verify(leaf, above)
        except (VerificationError, *_FAULTS):
            raise PresentationRefused("PRESENTATION_UNKNOWN_ISSUER") from None
        return leaf


def _may_sign(_policy: Policy, _leaf: x509.Certificate, usage: x509.KeyUsage) -> None:
    if not usage.digital_signature or usage.key_cert_sign:
        raise ValueError("the key is not for signing credentials")


def _no_authority(
    _policy: Policy, _leaf: x509.Certificate, constraints: x509.BasicConstraints | None
) -> None:
    if constraints is not None and constraints.ca:
        raise ValueError("an authority signs no credentials itself")


_SIGNER = (
    ExtensionPolicy.permit_all()
    .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
    .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _no_authority)
)


def public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """The P-256 key of a signer. Raises PresentationRefused PRESENTATION_ALGORITHM for another kind."""
    try:
        key = certificate.public_key()
    except _FAULTS:
        raise PresentationRefused("PRESENTATION_ALGORITHM") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise PresentationRefused("PRESENTATION_ALGORITHM")
    return key


def check_signature(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes, code: str) -> None:
    """Check 64 bytes r||s over ``data``; wallets write either s. Raises PresentationRefused with ``code``."""
    try:
        es256.verify(key, es256.with_low_s(signature), data)
    except InvalidSignature:
        raise PresentationRefused(code) from None


def chain_of_x5c(x5c: object) -> list[bytes]:
    """The DER certificates of a JOSE header's ``x5c`` (RFC 7515 4.1.6). Raises PresentationRefused."""
    if not isinstance(x5c, list) or not 1 <= len(x5c) <= _MAX_CHAIN:
        raise malformed("x5c")
    try:
        return [b64decode(one, validate=True) for one in x5c]
    except (ValueError, TypeError):
        raise malformed("x5c") from None


def chain_of_x5chain(x5chain: object) -> list[bytes]:
    """The DER certificates of a COSE header's ``x5chain`` (RFC 9360 2). Raises PresentationRefused."""
    if isinstance(x5chain, bytes):
        return [x5chain]
    if isinstance(x5chain, list) and len(x5chain) > 1 and all(isinstance(one, bytes) for one in x5chain):
        return list(x5chain)
    raise malformed("x5chain")
