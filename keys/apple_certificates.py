"""Apple's pass certificates: what must hold before a pass is signed with one.

A phone says only "invalid" to a pass whose certificate names another pass type or team, has ended, or comes
without Apple's intermediate (WWDR). So everything is checked here first, with a sentence that says what is
wrong. Facts: developer.apple.com, "Building a Pass"; apple/pass-builder, PassCertificate+Attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, Self
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import NameOID, ObjectIdentifier

from keys.errors import KeyRefusal
from keys.identity import spki_der
from keys.private_key_files import read_p12
from keys.store import KeyImporter, KeyManager, Signer
from keys.texts import texts
from keys.uri import KeyUri

# Marks a pass certificate; its value is the pass type identifier as a DER string.
PASS_TYPE_EXTENSION = ObjectIdentifier("1.2.840.113635.100.6.1.16")
WARN_DAYS = (60, 30, 7)
MAX_PEM_BYTES = 64 * 1024

_BERLIN = ZoneInfo("Europe/Berlin")
_MAX_CHAIN = 4
_DER_STRINGS = {0x0C: "utf-8", 0x16: "ascii"}


class ImportingKeyManager(KeyManager, KeyImporter, Protocol):
    """A key manager that takes keys made elsewhere."""


@dataclass(frozen=True, slots=True)
class ExpiryWarning:
    """A certificate that ends soon or has ended, for the operator's dashboard.

    ``within`` is the threshold in days that was crossed last: 60, 30, 7, or 0 for an ended certificate.
    """

    code: str
    name: str
    end: datetime
    within: int
    days_left: int

    def sentence(self, language: str = "de") -> str:
        """The warning as one sentence with its remedy, in ``de`` or ``en``."""
        return texts("keys", language)(self.code, name=self.name, end=self.end, days=self.days_left)


@dataclass(frozen=True, slots=True)
class AppleSigningIdentity:
    """A pass certificate, the certificates above it (WWDR first), and the signer of its key.

    Raises KeyRefusal if the key is not that of the certificate, or the chain is empty or does not hold.
    """

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    signer: Signer

    def __post_init__(self) -> None:
        if not 1 <= len(self.chain) <= _MAX_CHAIN:
            raise KeyRefusal("APPLE_CHAIN_MISSING")
        if _spki(self.certificate) != spki_der(self.signer.public_key()):
            raise KeyRefusal("APPLE_KEY_MISMATCH", name=_common_name(self.certificate))
        for issued, issuer in zip((self.certificate, *self.chain), self.chain, strict=False):
            _check_issued(issued, issuer)

    @property
    def wwdr(self) -> x509.Certificate:
        """The intermediate certificate that issued the pass certificate; every signature carries it."""
        return self.chain[0]

    @property
    def pass_type_identifier(self) -> str:
        """The pass type the certificate is for: its subject's UID. Raises KeyRefusal if it has none."""
        return _subject(self.certificate, NameOID.USER_ID, "UID")

    @property
    def team_identifier(self) -> str:
        """The developer team: the subject's OU. Raises KeyRefusal if it has none."""
        return _subject(self.certificate, NameOID.ORGANIZATIONAL_UNIT_NAME, "OU")

    def check(self, pass_type_identifier: str, team_identifier: str, at: datetime) -> None:
        """Return if passes of this type and team may be signed at ``at`` (aware); else raise KeyRefusal."""
        _check_fit(self.certificate, self.chain, pass_type_identifier, team_identifier, at)

    def warnings(self, at: datetime) -> tuple[ExpiryWarning, ...]:
        """What ends within 60, 30 or 7 days of ``at``, or has ended, the pass certificate first."""
        found = [_warning(self.certificate, at, "APPLE_CERTIFICATE")]
        found += [_warning(authority, at, "APPLE_WWDR") for authority in self.chain]
        return tuple(warning for warning in found if warning is not None)

    @classmethod
    def from_pem(cls, certificate_pem: bytes, chain_pem: bytes, signer: Signer) -> Self:
        """Read a pass certificate and the certificates above it. Raises KeyRefusal, see the class."""
        certificates = _read_pem(certificate_pem)
        if len(certificates) != 1:
            raise KeyRefusal("APPLE_CERTIFICATE_FILE")
        certificate = certificates[0]
        return cls(certificate, _ordered(certificate, _read_pem(chain_pem)), signer)

    @classmethod
    def import_p12(
        cls,
        content: bytes,
        password: str | None,
        chain_pem: bytes,
        manager: ImportingKeyManager,
        name: str,
        expected: tuple[str, str, datetime] | None = None,
    ) -> tuple[Self, KeyUri]:
        """Read Keychain's .p12, check it, then store its private key as ``name``.

        ``chain_pem`` holds WWDR if the .p12 does not. ``expected`` are the pass type, the team and the time
        (aware) that the certificate must fit, as `check` takes them. Nothing is stored if the file is
        refused. Raises KeyRefusal for a wrong password, a file without certificate, or what the class and
        `check` refuse.
        """
        material = read_p12(content, password)
        if material.certificate is None:
            raise KeyRefusal("APPLE_CERTIFICATE_FILE")
        if _spki(material.certificate) != spki_der(material.private_key.public_key()):
            raise KeyRefusal("APPLE_KEY_MISMATCH", name=_common_name(material.certificate))
        above = (*material.others, *(_read_pem(chain_pem) if chain_pem else ()))
        chain = _ordered(material.certificate, above)
        if not chain:
            raise KeyRefusal("APPLE_CHAIN_MISSING")
        for issued, issuer in zip((material.certificate, *chain), chain, strict=False):
            _check_issued(issued, issuer)
        if expected is not None:
            _check_fit(material.certificate, chain, *expected)
        uri = manager.import_key(name, material.private_key)
        return cls(material.certificate, chain, manager.signer(uri)), uri


def _read_pem(content: bytes) -> tuple[x509.Certificate, ...]:
    try:
        if len(content) > MAX_PEM_BYTES:
            raise ValueError("too long")
        return tuple(x509.load_pem_x509_certificates(content))
    except ValueError as error:
        raise KeyRefusal("APPLE_CERTIFICATE_FILE") from error


def _ordered(leaf: x509.Certificate, above: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    """The issuers of ``leaf`` in ``above``, nearest first; a file may hold them in any order."""
    chain: list[x509.Certificate] = []
    current = leaf
    while len(chain) < _MAX_CHAIN and current.issuer != current.subject:
        issuer = next((item for item in above if item.subject == current.issuer and item not in chain), None)
        if issuer is None:
            break
        chain.append(issuer)
        current = issuer
    return tuple(chain)


def _check_issued(issued: x509.Certificate, issuer: x509.Certificate) -> None:
    """Check name, signature and the right to issue (RFC 5280 4.2.1.9, 6.1.3)."""
    try:
        issued.verify_directly_issued_by(issuer)
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise ValueError("no authority")
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
        names = {"name": _common_name(issued), "issuer": _common_name(issuer)}
        raise KeyRefusal("APPLE_CHAIN_BROKEN", **names) from error


def _check_fit(
    certificate: x509.Certificate,
    chain: tuple[x509.Certificate, ...],
    pass_type_identifier: str,
    team_identifier: str,
    at: datetime,
) -> None:
    if at.tzinfo is None:
        raise ValueError("a time has no zone")
    found = _subject(certificate, NameOID.USER_ID, "UID")
    if found != pass_type_identifier:
        raise KeyRefusal("APPLE_PASS_TYPE", found=found, expected=pass_type_identifier)
    team = _subject(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME, "OU")
    if team != team_identifier:
        raise KeyRefusal("APPLE_TEAM", found=team, expected=team_identifier)
    marked = _marked_pass_type(certificate)
    if marked is not None and marked != pass_type_identifier:
        raise KeyRefusal("APPLE_PASS_TYPE_MARK", found=marked, expected=pass_type_identifier)
    _check_period(certificate, at, "APPLE_CERTIFICATE_EARLY", "APPLE_CERTIFICATE_EXPIRED")
    for authority in chain:
        _check_period(authority, at, "APPLE_WWDR_EARLY", "APPLE_WWDR_EXPIRED")


def _check_period(certificate: x509.Certificate, at: datetime, early: str, expired: str) -> None:
    name = _common_name(certificate)
    if at < certificate.not_valid_before_utc:
        raise KeyRefusal(early, name=name, first=certificate.not_valid_before_utc.astimezone(_BERLIN))
    if at > certificate.not_valid_after_utc:
        raise KeyRefusal(expired, name=name, end=certificate.not_valid_after_utc.astimezone(_BERLIN))


def _warning(certificate: x509.Certificate, at: datetime, prefix: str) -> ExpiryWarning | None:
    end = certificate.not_valid_after_utc
    left = end - at
    name, shown = _common_name(certificate), end.astimezone(_BERLIN)
    if left < timedelta(0):
        return ExpiryWarning(f"{prefix}_EXPIRED", name, shown, 0, 0)
    crossed = [days for days in WARN_DAYS if left <= timedelta(days=days)]
    if not crossed:
        return None
    return ExpiryWarning(f"{prefix}_ENDS_SOON", name, shown, min(crossed), left.days)


def _spki(certificate: x509.Certificate) -> bytes:
    try:
        key: object = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefusal("KEY_KIND") from error
    return spki_der(key)  # type: ignore[arg-type]


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def _subject(certificate: x509.Certificate, oid: ObjectIdentifier, label: str) -> str:
    values = certificate.subject.get_attributes_for_oid(oid)
    if len(values) != 1:
        raise KeyRefusal("APPLE_SUBJECT", name=_common_name(certificate), attribute=label)
    return str(values[0].value)


def _marked_pass_type(certificate: x509.Certificate) -> str | None:
    """The pass type in Apple's marker extension, None if there is no such extension."""
    try:
        extension = certificate.extensions.get_extension_for_oid(PASS_TYPE_EXTENSION)
    except x509.ExtensionNotFound:
        return None
    except ValueError as error:
        raise KeyRefusal("APPLE_CERTIFICATE_FILE") from error
    value = extension.value
    octets = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    # DER: tag, length in short form (X.690 8.1.3.4), text. A pass type of 128 or more bytes does not exist.
    encoding = _DER_STRINGS.get(octets[0]) if len(octets) > 2 else None
    if encoding is None or octets[1] != len(octets) - 2 or octets[1] > 0x7F:
        mark = PASS_TYPE_EXTENSION.dotted_string
        raise KeyRefusal("APPLE_SUBJECT", name=_common_name(certificate), attribute=mark)
    try:
        return octets[2:].decode(encoding)
    except UnicodeDecodeError as error:
        raise KeyRefusal("APPLE_CERTIFICATE_FILE") from error
