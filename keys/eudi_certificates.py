"""Certificates for EUDI credentials: what must hold before a credential or a request is signed with one.

A credential carries its signer's certificate and those between it and the trust anchor, never the anchor and never
a self-signed one (HAIP 1.0, 6.1.1; ISO/IEC 18013-5, 9.1.2.4). A wallet says only "invalid" to a chain that does not
hold, so it is checked here first. Two uses share the mechanism: the document signer under a city's credentials and
status lists, and the access certificate with which it asks wallets (OpenID4VP, ``x509_hash``).
Profile of a document signer: ISO/IEC 18013-5:2021, B.1.4, as far as it can be held against any authority.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from keys.apple_certificates import WARN_DAYS, ExpiryWarning
from keys.errors import KeyRefusal
from keys.identity import spki_der
from keys.store import Algorithm, Signer

# Extended key usage of a document signer (ISO/IEC 18013-5:2021, B.1.4, id-mdl-kp-mdlDS).
DOCUMENT_SIGNING: Final = ObjectIdentifier("1.0.18013.5.1.2")
MAX_PEM_BYTES: Final = 64 * 1024

_BERLIN = ZoneInfo("Europe/Berlin")
_MAX_INTERMEDIATES = 3
_LONGEST_NAME = 64
# Not all faults of a certificate are ValueErrors.
_FILE_FAULTS = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_CHAIN_FAULTS = (*_FILE_FAULTS, InvalidSignature, x509.ExtensionNotFound)
_Kind = TypeVar("_Kind", bound=x509.ExtensionType)


class EudiUse(StrEnum):
    """What a certificate is for: signing credentials and their status lists, or asking wallets."""

    DOCUMENT_SIGNER = "document-signer"
    ACCESS = "access"


@dataclass(frozen=True)
class EudiSigningIdentity:
    """A certificate, those between it and its trust anchor (nearest first), the anchor, and the key's signer.

    The anchor is what wallets find in a trusted list; it is kept to check the chain and stands in no credential.
    Raises KeyRefusal: EUDI_KEY_KIND for another key than P-256, EUDI_KEY_MISMATCH, EUDI_SELF_SIGNED,
    EUDI_CHAIN_BROKEN, EUDI_CHAIN_LONG, EUDI_PROFILE naming what the certificate lacks for its use.
    """

    use: EudiUse
    certificate: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    anchor: x509.Certificate
    signer: Signer

    def __post_init__(self) -> None:
        if self.signer.algorithm is not Algorithm.ES256:
            raise KeyRefusal("EUDI_KEY_KIND")
        if _spki(self.certificate) != spki_der(self.signer.public_key()):
            raise KeyRefusal("EUDI_KEY_MISMATCH", name=_common_name(self.certificate))
        if len(self.intermediates) > _MAX_INTERMEDIATES:
            raise KeyRefusal("EUDI_CHAIN_LONG", limit=_MAX_INTERMEDIATES)
        for one in (self.certificate, *self.intermediates):
            if one.subject == one.issuer or one == self.anchor:
                raise KeyRefusal("EUDI_SELF_SIGNED", name=_common_name(one))
        above = (*self.intermediates, self.anchor)
        for issued, issuer in zip((self.certificate, *above), above, strict=False):
            _check_issued(issued, issuer)
        _check_profile(self.certificate, self.use)

    @cached_property
    def x5c(self) -> tuple[str, ...]:
        """The certificates of a JOSE header, in base64 of their DER (RFC 7515 4.1.6): leaf first, no anchor."""
        return tuple(b64encode(one).decode("ascii") for one in self.x5chain)

    @cached_property
    def x5chain(self) -> tuple[bytes, ...]:
        """The same in DER, for a COSE header (RFC 9360 2)."""
        return tuple(one.public_bytes(Encoding.DER) for one in (self.certificate, *self.intermediates))

    @cached_property
    def hosts(self) -> frozenset[str]:
        """The host names the certificate speaks for: its alternative names of the kinds DNS and URI."""
        names = _extension(self.certificate, x509.SubjectAlternativeName)
        if names is None:
            return frozenset()
        hosts = set(names.get_values_for_type(x509.DNSName))
        hosts |= {
            urlsplit(one).hostname or "" for one in names.get_values_for_type(x509.UniformResourceIdentifier)
        }
        return frozenset(hosts - {""})

    @property
    def name(self) -> str:
        """The signer's common name."""
        return _common_name(self.certificate)

    @property
    def not_before(self) -> datetime:
        """From when on all certificates of the chain count, the anchor included; aware."""
        return max(one.not_valid_before_utc for one in self._all)

    @property
    def not_after(self) -> datetime:
        """Up to when, inclusive, all of them count; aware."""
        return min(one.not_valid_after_utc for one in self._all)

    def check(self, at: datetime) -> None:
        """Return if the chain counts at ``at`` (aware). Raises KeyRefusal EUDI_CERTIFICATE_EARLY or _EXPIRED."""
        if at.tzinfo is None:
            raise ValueError("a time has no zone")
        for one in self._all:
            name, first, end = _common_name(one), one.not_valid_before_utc, one.not_valid_after_utc
            if at < first:
                raise KeyRefusal("EUDI_CERTIFICATE_EARLY", name=name, first=first.astimezone(_BERLIN))
            if at > end:
                raise KeyRefusal("EUDI_CERTIFICATE_EXPIRED", name=name, end=end.astimezone(_BERLIN))

    def warnings(self, at: datetime) -> tuple[ExpiryWarning, ...]:
        """What ends within 60, 30 or 7 days of ``at`` (aware), or has ended, the signer's certificate first."""
        found = (_warning(one, at) for one in self._all)
        return tuple(one for one in found if one is not None)

    @property
    def pem(self) -> str:
        """All certificates in PEM, leaf first, anchor last: what `from_pem` reads."""
        return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in self._all)

    @property
    def _all(self) -> tuple[x509.Certificate, ...]:
        return (self.certificate, *self.intermediates, self.anchor)

    @classmethod
    def from_pem(cls, use: EudiUse, pem: str, signer: Signer) -> Self:
        """Read what `pem` writes. Raises KeyRefusal EUDI_CERTIFICATE_FILE and as the class does."""
        chain = _read_pem(pem.encode())
        if len(chain) < 2:
            raise KeyRefusal("EUDI_CHAIN_MISSING")
        return cls(use, chain[0], chain[1:-1], chain[-1], signer)

    @classmethod
    def from_files(
        cls, use: EudiUse, certificate: bytes, intermediates: bytes, anchor: bytes, signer: Signer
    ) -> Self:
        """What an authority sent, each in PEM: the certificate, those above it in any order (or none), the anchor.

        Raises KeyRefusal EUDI_CERTIFICATE_FILE, EUDI_CHAIN_MISSING, and as the class does.
        """
        leaves, anchors = _read_pem(certificate), _read_pem(anchor)
        if len(leaves) != 1 or len(anchors) != 1:
            raise KeyRefusal("EUDI_CERTIFICATE_FILE")
        above = _read_pem(intermediates) if intermediates.strip() else ()
        return cls(use, leaves[0], _ordered(leaves[0], above, anchors[0]), anchors[0], signer)


def signing_request(signer: Signer, common_name: str, country: str, organisation: str, host: str) -> bytes:
    """A PKCS#10 request (RFC 2986) in PEM for the key, to be sent to the authority; works with a key in an HSM.

    ``host`` is asked for as alternative name, which an ``iss`` of that host needs. Raises KeyRefusal EUDI_KEY_KIND,
    EUDI_REQUEST for a name X.509 cannot hold.
    """
    if signer.algorithm is not Algorithm.ES256:
        raise KeyRefusal("EUDI_KEY_KIND")
    if not 0 < len(common_name) <= _LONGEST_NAME or not 0 < len(organisation) <= _LONGEST_NAME:
        raise KeyRefusal("EUDI_REQUEST", limit=_LONGEST_NAME)
    try:
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, country),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
        names = x509.SubjectAlternativeName(
            [x509.DNSName(host), x509.UniformResourceIdentifier(f"https://{host}")]
        )
    except ValueError as error:
        raise KeyRefusal("EUDI_REQUEST", limit=_LONGEST_NAME) from error
    builder = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(names, critical=False)
    )
    return builder.sign(_SigningKey(signer), hashes.SHA256()).public_bytes(Encoding.PEM)


class _SigningKey(ec.EllipticCurvePrivateKey):
    """A `Signer` in the form in which cryptography's builders take a private key; it can do nothing but sign."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def public_key(self) -> ec.EllipticCurvePublicKey:
        public_key = self._signer.public_key()
        if not isinstance(public_key, ec.EllipticCurvePublicKey):
            raise KeyRefusal("EUDI_KEY_KIND")
        return public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        return ec.SECP256R1()

    @property
    def key_size(self) -> int:
        return 256

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:  # noqa: ARG002
        raw = self._signer.sign(bytes(data))
        return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        raise NotImplementedError("the key signs only")

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        raise NotImplementedError("the key does not leave its place")

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> bytes:
        raise NotImplementedError("the key does not leave its place")

    def __copy__(self) -> _SigningKey:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _SigningKey:
        return self


def _read_pem(content: bytes) -> tuple[x509.Certificate, ...]:
    try:
        if len(content) > MAX_PEM_BYTES:
            raise ValueError("too long")
        found = tuple(x509.load_pem_x509_certificates(content))
        for one in found:
            # These are parsed when they are asked for: here, and not in the middle of the checks.
            _ = (one.subject, one.issuer, one.extensions, one.not_valid_before_utc, one.not_valid_after_utc)
    except _FILE_FAULTS as error:
        raise KeyRefusal("EUDI_CERTIFICATE_FILE") from error
    return found


def _ordered(
    leaf: x509.Certificate, above: tuple[x509.Certificate, ...], anchor: x509.Certificate
) -> tuple[x509.Certificate, ...]:
    """Those of ``above`` between ``leaf`` and ``anchor``, nearest first. Raises KeyRefusal EUDI_CHAIN_MISSING."""
    chain: list[x509.Certificate] = []
    current = leaf
    while current.issuer != anchor.subject:
        issuer = next((one for one in above if one.subject == current.issuer and one not in chain), None)
        if issuer is None:
            raise KeyRefusal("EUDI_CHAIN_MISSING")
        chain.append(issuer)
        current = issuer
    return tuple(chain)


def _check_issued(issued: x509.Certificate, issuer: x509.Certificate) -> None:
    """Check name, signature and the right to issue (RFC 5280 4.2.1.9, 6.1.3)."""
    try:
        issued.verify_directly_issued_by(issuer)
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise ValueError("no authority")
    except _CHAIN_FAULTS as error:
        names = {"name": _common_name(issued), "issuer": _common_name(issuer)}
        raise KeyRefusal("EUDI_CHAIN_BROKEN", **names) from error


def _check_profile(certificate: x509.Certificate, use: EudiUse) -> None:
    def refuse(lacking: str) -> None:
        raise KeyRefusal("EUDI_PROFILE", name=_common_name(certificate), lacking=lacking)

    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        refuse("basicConstraints CA:FALSE")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        refuse("keyUsage digitalSignature")
    if _extension(certificate, x509.AuthorityKeyIdentifier) is None:
        refuse("authorityKeyIdentifier")
    extended = _extension(certificate, x509.ExtendedKeyUsage)
    if use is EudiUse.DOCUMENT_SIGNER and (extended is None or DOCUMENT_SIGNING not in extended):
        refuse(f"extendedKeyUsage {DOCUMENT_SIGNING.dotted_string}")
    if use is EudiUse.DOCUMENT_SIGNER and not certificate.subject.get_attributes_for_oid(
        NameOID.COUNTRY_NAME
    ):
        refuse("countryName")


def _extension(certificate: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except _FILE_FAULTS as error:
        raise KeyRefusal("EUDI_CERTIFICATE_FILE") from error


def _warning(certificate: x509.Certificate, at: datetime) -> ExpiryWarning | None:
    end = certificate.not_valid_after_utc
    left = end - at
    name, shown = _common_name(certificate), end.astimezone(_BERLIN)
    if left < timedelta(0):
        return ExpiryWarning("EUDI_CERTIFICATE_EXPIRED", name, shown, 0, 0)
    crossed = [days for days in WARN_DAYS if left <= timedelta(days=days)]
    return (
        ExpiryWarning("EUDI_CERTIFICATE_ENDS_SOON", name, shown, min(crossed), left.days) if crossed else None
    )


def _spki(certificate: x509.Certificate) -> bytes:
    try:
        key: object = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefusal("KEY_KIND") from error
    return spki_der(key)  # type: ignore[arg-type]


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()
