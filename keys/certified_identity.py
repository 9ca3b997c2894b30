"""Keys that an authority has certified: the chain above them, how long it counts, and the request for it.

Whoever checks what such a key has signed says only "invalid" to a chain that does not hold, so it is checked here
first. What a certificate must be fit for is up to the kinds: credentials for EUDI Wallets (`keys.eudi_certificates`)
and seals in PDFs (`keys.pdf_seal_certificates`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final, Self, TypeVar
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from keys.apple_certificates import WARN_DAYS, ExpiryWarning
from keys.errors import KeyRefusal
from keys.identity import spki_der
from keys.store import Algorithm, Signer

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


@dataclass(frozen=True)
class CertifiedIdentity:
    """A certificate, those between it and its trust anchor (nearest first), the anchor, and the key's signer.

    The anchor is what those who check find in a list of theirs; it is kept to check the chain and never sent along.
    Kinds have a ``family``, with which their codes begin, and say by `lacking` what a certificate is unfit for.
    Raises KeyRefusal with the codes of the family: _KEY_KIND for another key than P-256, _KEY_MISMATCH,
    _SELF_SIGNED, _CHAIN_BROKEN, _CHAIN_LONG, _PROFILE naming what the certificate lacks for its use.
    """

    family: ClassVar[str]

    use: StrEnum
    certificate: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    anchor: x509.Certificate
    signer: Signer

    def __post_init__(self) -> None:
        if self.signer.algorithm is not Algorithm.ES256:
            raise self._refusal("KEY_KIND")
        if _spki(self.certificate) != spki_der(self.signer.public_key()):
            raise self._refusal("KEY_MISMATCH", name=self.name)
        if len(self.intermediates) > _MAX_INTERMEDIATES:
            raise self._refusal("CHAIN_LONG", limit=_MAX_INTERMEDIATES)
        for one in (self.certificate, *self.intermediates):
            if one.subject == one.issuer or one == self.anchor:
                raise self._refusal("SELF_SIGNED", name=common_name(one))
        above = (*self.intermediates, self.anchor)
        for issued, issuer in zip((self.certificate, *above), above, strict=False):
            self._check_issued(issued, issuer)
        try:
            lacking = self.lacking()
        except _FILE_FAULTS as error:
            raise self._refusal("CERTIFICATE_FILE") from error
        if lacking:
            raise self._refusal("PROFILE", name=self.name, lacking=lacking)

    def lacking(self) -> str:
        """What the certificate lacks for its use, in the words of RFC 5280; empty if nothing."""
        raise NotImplementedError

    def extension(self, kind: type[_Kind]) -> _Kind | None:
        """The certificate's extension of ``kind``, if it has one."""
        try:
            return self.certificate.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    @property
    def name(self) -> str:
        """The signer's common name."""
        return common_name(self.certificate)

    @property
    def not_before(self) -> datetime:
        """From when on all certificates of the chain count, the anchor included; aware."""
        return max(one.not_valid_before_utc for one in self._all)

    @property
    def not_after(self) -> datetime:
        """Up to when, inclusive, all of them count; aware."""
        return min(one.not_valid_after_utc for one in self._all)

    def check(self, at: datetime) -> None:
        """Return if the chain counts at ``at`` (aware). Raises KeyRefusal _CERTIFICATE_EARLY or _EXPIRED."""
        if at.tzinfo is None:
            raise ValueError("a time has no zone")
        for one in self._all:
            name, first, end = common_name(one), one.not_valid_before_utc, one.not_valid_after_utc
            if at < first:
                raise self._refusal("CERTIFICATE_EARLY", name=name, first=first.astimezone(_BERLIN))
            if at > end:
                raise self._refusal("CERTIFICATE_EXPIRED", name=name, end=end.astimezone(_BERLIN))

    def warnings(self, at: datetime) -> tuple[ExpiryWarning, ...]:
        """What ends within 60, 30 or 7 days of ``at`` (aware), or has ended, the signer's certificate first."""
        found = (self._warning(one, at) for one in self._all)
        return tuple(one for one in found if one is not None)

    @property
    def pem(self) -> str:
        """All certificates in PEM, leaf first, anchor last: what `from_pem` reads."""
        return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in self._all)

    @property
    def _all(self) -> tuple[x509.Certificate, ...]:
        return (self.certificate, *self.intermediates, self.anchor)

    @classmethod
    def from_pem(cls, use: StrEnum, pem: str, signer: Signer) -> Self:
        """Read what `pem` writes. Raises KeyRefusal _CERTIFICATE_FILE, _CHAIN_MISSING, and as the class does."""
        chain = cls._read_pem(pem.encode())
        if len(chain) < 2:
            raise cls._refusal("CHAIN_MISSING")
        return cls(use, chain[0], chain[1:-1], chain[-1], signer)

    @classmethod
    def from_files(
        cls, use: StrEnum, certificate: bytes, intermediates: bytes, anchor: bytes, signer: Signer
    ) -> Self:
        """What an authority sent, each in PEM: the certificate, those above it in any order (or none), the anchor.

        Raises KeyRefusal _CERTIFICATE_FILE, _CHAIN_MISSING, and as the class does.
        """
        leaves, anchors = cls._read_pem(certificate), cls._read_pem(anchor)
        if len(leaves) != 1 or len(anchors) != 1:
            raise cls._refusal("CERTIFICATE_FILE")
        above = cls._read_pem(intermediates) if intermediates.strip() else ()
        return cls(use, leaves[0], cls._ordered(leaves[0], above, anchors[0]), anchors[0], signer)

    @classmethod
    def _refusal(cls, code: str, **facts: object) -> KeyRefusal:
        return KeyRefusal(f"{cls.family}_{code}", **facts)

    @classmethod
    def _read_pem(cls, content: bytes) -> tuple[x509.Certificate, ...]:
        try:
            if len(content) > MAX_PEM_BYTES:
                raise ValueError("too long")
            found = tuple(x509.load_pem_x509_certificates(content))
            for one in found:
                # These are parsed when they are asked for: here, and not in the middle of the checks.
                _ = (
                    one.subject,
                    one.issuer,
                    one.extensions,
                    one.not_valid_before_utc,
                    one.not_valid_after_utc,
                )
        except _FILE_FAULTS as error:
            raise cls._refusal("CERTIFICATE_FILE") from error
        return found

    @classmethod
    def _ordered(
        cls, leaf: x509.Certificate, above: tuple[x509.Certificate, ...], anchor: x509.Certificate
    ) -> tuple[x509.Certificate, ...]:
        """Those of ``above`` between ``leaf`` and ``anchor``, nearest first. Raises KeyRefusal _CHAIN_MISSING."""
        chain: list[x509.Certificate] = []
        current = leaf
        while current.issuer != anchor.subject:
            issuer = next((one for one in above if one.subject == current.issuer and one not in chain), None)
            if issuer is None:
                raise cls._refusal("CHAIN_MISSING")
            chain.append(issuer)
            current = issuer
        return tuple(chain)

    @classmethod
    def _check_issued(cls, issued: x509.Certificate, issuer: x509.Certificate) -> None:
        """Check name, signature and the right to issue (RFC 5280 4.2.1.9, 6.1.3)."""
        try:
            issued.verify_directly_issued_by(issuer)
            if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                raise ValueError("no authority")
        except _CHAIN_FAULTS as error:
            names = {"name": common_name(issued), "issuer": common_name(issuer)}
            raise cls._refusal("CHAIN_BROKEN", **names) from error

    @classmethod
    def _warning(cls, certificate: x509.Certificate, at: datetime) -> ExpiryWarning | None:
        end = certificate.not_valid_after_utc
        left = end - at
        name, shown = common_name(certificate), end.astimezone(_BERLIN)
        if left < timedelta(0):
            return ExpiryWarning(f"{cls.family}_CERTIFICATE_EXPIRED", name, shown, 0, 0)
        crossed = [days for days in WARN_DAYS if left <= timedelta(days=days)]
        if not crossed:
            return None
        return ExpiryWarning(f"{cls.family}_CERTIFICATE_ENDS_SOON", name, shown, min(crossed), left.days)


def request_for(
    signer: Signer,
    common_name: str,
    country: str,
    organisation: str,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
    family: str,
) -> bytes:
    """A PKCS#10 request (RFC 2986) in PEM for the key; works with a key in an HSM.

    ``extensions`` are asked for, each with whether it is critical. Raises KeyRefusal with codes of ``family``:
    _KEY_KIND, _REQUEST for a name X.509 cannot hold.
    """
    if signer.algorithm is not Algorithm.ES256:
        raise KeyRefusal(f"{family}_KEY_KIND")
    if not 0 < len(common_name) <= _LONGEST_NAME or not 0 < len(organisation) <= _LONGEST_NAME:
        raise KeyRefusal(f"{family}_REQUEST", limit=_LONGEST_NAME)
    try:
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, country),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
    except ValueError as error:
        raise KeyRefusal(f"{family}_REQUEST", limit=_LONGEST_NAME) from error
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(_SigningKey(signer), hashes.SHA256()).public_bytes(Encoding.PEM)


class _SigningKey(ec.EllipticCurvePrivateKey):
    """A `Signer` in the form in which cryptography's builders take a private key; it can do nothing but sign."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def public_key(self) -> ec.EllipticCurvePublicKey:
        public_key = self._signer.public_key()
        if not isinstance(public_key, ec.EllipticCurvePublicKey):
            raise KeyRefusal("KEY_KIND")
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


def common_name(certificate: x509.Certificate) -> str:
    """The subject's common name, or the whole subject where there is none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def _spki(certificate: x509.Certificate) -> bytes:
    try:
        key: object = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefusal("KEY_KIND") from error
    return spki_der(key)  # type: ignore[arg-type]
